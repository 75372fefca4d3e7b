/* common/logline.c */
#include "common/logline.h"

#include <stdio.h>
#include <string.h>

#include "common/timefmt.h"

enum {
    MEMBERS_MAX = 32,
    KEY_MAX = 48,
    PLAN_MAX = 1024,  /* of a format with marks */
    TEXT_MAX = 16384, /* of a formatted event before it is taken apart */
};

#define KEY_CHARS "abcdefghijklmnopqrstuvwxyz0123456789_."
/* Stands around each value in the formatted text. */
#define MARK '\x1f'

struct member {
    struct sb_slice key;
    struct sb_slice value;
    bool number; /* the format says that it prints one */
};

struct event {
    struct sb_slice sentence;
    char joined[SB_LOG_VALUE_MAX + 8]; /* the sentence, when values were cut out of it */
    struct member members[MEMBERS_MAX];
    size_t n;
};

/* A line in the making.  What does not fit is dropped and noticed. */
struct line {
    char *text; /* of SB_LOG_LINE_MAX bytes */
    size_t n;
    size_t limit;
    bool overflow;
    bool json;
    /* Keys so far, so that none comes twice. */
    struct sb_slice keys[MEMBERS_MAX + 8];
    size_t n_keys;
};

/* --- taking the format apart -------------------------------------------------- */

struct writer {
    char *at;
    const char *end; /* one byte is kept for the NUL */
    bool overflow;
};

static void put_char(struct writer *out, char c)
{
    if (out->at < out->end)
        *out->at++ = c;
    else
        out->overflow = true;
}

/* Copies a piece of a format; a plain %s gets a precision, so that one long
 * value cannot push the others out. */
static void put_format(struct writer *out, const char *fmt, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        put_char(out, fmt[i]);
        if (fmt[i] != '%' || i + 1 == n)
            continue;
        if (fmt[i + 1] == 's') {
            char precision[16];

            (void)snprintf(precision, sizeof(precision), ".%d", SB_LOG_VALUE_MAX + 1);
            for (const char *p = precision; *p != '\0'; p++)
                put_char(out, *p);
        }
        put_char(out, fmt[++i]);
    }
}

/* "%d", "%" PRIu64, "%.3f": one conversion and nothing else. */
static bool is_number_format(struct sb_slice fmt)
{
    size_t i = 1;

    if (fmt.n < 2 || fmt.p[0] != '%')
        return false;
    while (i < fmt.n - 1 && strchr("lhjzt.0123456789", fmt.p[i]) != NULL)
        i++;
    return i == fmt.n - 1 && strchr("diuf", fmt.p[i]) != NULL;
}

/* Writes the format with marks around its values to `plan`, and the members'
 * keys to the event; false when there is more than we have room for. */
static bool make_plan(const char *fmt, char plan[PLAN_MAX], struct event *event)
{
    struct writer out = {.at = plan, .end = plan + PLAN_MAX - 1};

    event->n = 0;
    while (*fmt != '\0') {
        const char *word = fmt + strspn(fmt, " ");
        size_t n = strcspn(word, " "), key = strspn(word, KEY_CHARS), value;

        if (key == 0 || word[key] != '=') {
            put_format(&out, fmt, (size_t)(word - fmt) + n);
            fmt = word + n;
            continue;
        }
        for (value = n; value > key + 1 && strchr(",:;", word[value - 1]) != NULL; value--)
            ;
        if (event->n == MEMBERS_MAX)
            return false;
        event->members[event->n++] = (struct member){
            .key = sb_slice_make(word, key),
            .number = is_number_format(sb_slice_make(word + key + 1, value - key - 1)),
        };
        put_char(&out, MARK);
        put_format(&out, word + key + 1, value - key - 1);
        put_char(&out, MARK);
        put_format(&out, word + value, n - value);
        fmt = word + n;
    }
    *out.at = '\0';
    return !out.overflow;
}

/* Appends to the sentence; what is beyond its end would not be shown. */
static size_t join(struct event *event, size_t n, const char *from, const char *to)
{
    size_t room = sizeof(event->joined) - n, more;

    while (n == 0 && from < to && *from == ' ')
        from++;
    more = (size_t)(to - from);
    more = more < room ? more : room;
    memcpy(event->joined + n, from, more);
    return n + more;
}

/* Finds the values between the marks and joins the rest to the sentence;
 * false when the marks are not those of the plan, since a value had one. */
static bool take_apart(const char *text, size_t n, struct event *event)
{
    const char *at = text, *end = text + n;
    size_t marks = 0, sentence = 0;

    for (size_t i = 0; i < n; i++)
        marks += text[i] == MARK ? 1 : 0;
    if (marks != 2 * event->n)
        return false;
    for (size_t i = 0; i < event->n; i++) {
        const char *open = memchr(at, MARK, (size_t)(end - at));
        const char *close = memchr(open + 1, MARK, (size_t)(end - open - 1));

        sentence = join(event, sentence, at, open);
        event->members[i].value = sb_slice_make(open + 1, (size_t)(close - open - 1));
        at = close + 1;
    }
    sentence = join(event, sentence, at, end);
    event->sentence = sb_slice_make(event->joined, sentence);
    return true;
}

/* --- writing the line --------------------------------------------------------- */

static void put(struct line *line, const char *bytes, size_t n)
{
    if (n > line->limit - line->n) {
        line->overflow = true;
        return;
    }
    memcpy(line->text + line->n, bytes, n);
    line->n += n;
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* Length of the well-formed UTF-8 character at p (table 3-7 of the Unicode
 * standard), 0 when there is none. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

    if (len == 0 || len > n || p[0] > 0xf4)
        return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    return len;
}

/* Bytes that would move the cursor or confuse a parser, and broken UTF-8: of
 * what they were, a JSON reader learns the code, a person the bytes. */
static void put_escaped_bytes(struct line *line, const unsigned char *p, size_t n, bool broken)
{
    char escape[8];

    if (line->json) {
        unsigned code = broken ? 0xfffd : p[n - 1]; /* U+0080 to U+009F: c2 80 to c2 9f */

        (void)snprintf(escape, sizeof(escape), "\\u%04x", code);
        put_text(line, escape);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(escape, sizeof(escape), "\\x%02x", (unsigned)p[i]);
        put_text(line, escape);
    }
}

static void put_character(struct line *line, const unsigned char *p, size_t n)
{
    if (n == 1 && (p[0] == '"' || p[0] == '\\')) {
        put(line, "\\", 1);
        put(line, (const char *)p, 1);
    } else if (n == 1 && p[0] == '\n') {
        put_text(line, "\\n");
    } else if (n == 1 && p[0] == '\t') {
        put_text(line, "\\t");
    } else if (p[0] < 0x20 || p[0] == 0x7f || (p[0] == 0xc2 && p[1] < 0xa0)) {
        put_escaped_bytes(line, p, n, false);
    } else {
        put(line, (const char *)p, n);
    }
}

static void put_quoted(struct line *line, struct sb_slice value)
{
    const unsigned char *p = (const unsigned char *)value.p;
    size_t at = 0;

    put(line, "\"", 1);
    while (at < value.n) {
        size_t n = utf8_length(p + at, value.n - at);

        if (at + (n > 0 ? n : 1) > SB_LOG_VALUE_MAX) {
            put_text(line, "...");
            break;
        }
        if (n > 0)
            put_character(line, p + at, n);
        else
            put_escaped_bytes(line, p + at, 1, true);
        at += n > 0 ? n : 1;
    }
    put(line, "\"", 1);
}

/* What JSON takes as a number, of what printf() makes: not inf, nan or 007. */
static bool is_number(struct sb_slice value)
{
    size_t at = value.n > 0 && value.p[0] == '-' ? 1 : 0;
    size_t start = at;

    while (at < value.n && value.p[at] >= '0' && value.p[at] <= '9')
        at++;
    if (at == start || (value.p[start] == '0' && at > start + 1))
        return false;
    if (at == value.n)
        return true;
    start = at + 1;
    for (at = start; at < value.n && value.p[at] >= '0' && value.p[at] <= '9'; at++)
        ;
    return value.p[start - 1] == '.' && at > start && at == value.n;
}

static bool needs_no_quotes(struct sb_slice value)
{
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            (c == '\0' || strchr("-_.:/@+,~", c) == NULL))
            return false;
    }
    return value.n > 0 && value.n <= SB_LOG_VALUE_MAX;
}

static void put_member(struct line *line, struct sb_slice key, struct sb_slice value, bool number)
{
    char suffix[16] = "";
    int times = 1;

    for (size_t i = 0; i < line->n_keys; i++)
        times += sb_slice_eq(line->keys[i], key) ? 1 : 0;
    if (line->n_keys < SB_ARRAY_LEN(line->keys))
        line->keys[line->n_keys++] = key;
    if (times > 1)
        (void)snprintf(suffix, sizeof(suffix), "_%d", times);
    if (line->json)
        put_text(line, line->n > 1 ? ",\"" : "\"");
    else if (line->n > 0)
        put(line, " ", 1);
    put(line, key.p, key.n < KEY_MAX ? key.n : KEY_MAX);
    put_text(line, suffix);
    put_text(line, line->json ? "\":" : "=");
    if (line->json ? number && is_number(value) : needs_no_quotes(value))
        put(line, value.p, value.n);
    else
        put_quoted(line, value);
}

static void put_head(struct line *line, const struct sb_logline_head *head)
{
    char time[SB_TIME_TEXT_MAX], pid[16];

    (void)sb_time_format(head->time, 3, time);
    (void)snprintf(pid, sizeof(pid), "%ld", (long)head->pid);
    put_member(line, SB_SLICE_LIT("time"), sb_slice_of(time), false);
    put_member(line, SB_SLICE_LIT("level"), sb_slice_of(head->level), false);
    put_member(line, SB_SLICE_LIT("program"), sb_slice_of(head->program), false);
    put_member(line, SB_SLICE_LIT("pid"), sb_slice_of(pid), true);
    put_member(line, SB_SLICE_LIT("group"), sb_slice_of(head->group), false);
}

/* Whole members only, so that the line is well-formed however long they are. */
static void put_event(struct line *line, const struct event *event)
{
    size_t before;

    put_member(line, SB_SLICE_LIT("msg"), event->sentence, false);
    for (size_t i = 0; i < event->n; i++) {
        const struct member *member = &event->members[i];

        before = line->n;
        put_member(line, member->key, member->value, member->number);
        if (line->overflow) {
            line->n = before;
            line->limit = SB_LOG_LINE_MAX;
            put_text(line, line->json ? ",\"truncated\":true" : " truncated=true");
            break;
        }
    }
    line->limit = SB_LOG_LINE_MAX;
    put_text(line, line->json ? "}\n" : "\n");
}

/* The conversions are those of fmt, which the compiler has checked against
 * its arguments. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static size_t format_text(char text[TEXT_MAX], const char *fmt, va_list ap)
{
    int n = vsnprintf(text, TEXT_MAX, fmt, ap);

    if (n < 0)
        return 0;
    return n < TEXT_MAX ? (size_t)n : TEXT_MAX - 1;
}
#pragma GCC diagnostic pop

size_t sb_logline_make(char text[SB_LOG_LINE_MAX], const struct sb_logline_head *head,
                       enum sb_log_format format, const char *fmt, va_list ap)
{
    enum { TAIL = sizeof(",\"truncated\":true}\n") };
    char plan[PLAN_MAX], formatted[TEXT_MAX];
    struct event event;
    struct line line = {
        .text = text, .limit = SB_LOG_LINE_MAX - TAIL, .json = format == SB_LOG_JSON};
    bool planned = make_plan(fmt, plan, &event);
    size_t n = format_text(formatted, planned ? plan : fmt, ap);

    if (!planned || !take_apart(formatted, n, &event)) {
        /* No structure that can be trusted: all of it is the sentence. */
        event.n = 0;
        event.sentence = sb_slice_make(formatted, n);
    }
    if (line.json)
        put(&line, "{", 1);
    put_head(&line, head);
    put_event(&line, &event);
    return line.n;
}
