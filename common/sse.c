/* common/sse.c */
#include "common/sse.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "common/err.h"

enum {
    /* A block this small is kept between events, so that a stream whose events
     * are often cut does not allocate for each. */
    KEEP_BYTES = 4096,
};

/* Where the bytes held end; the input goes on from there. */
enum at {
    AT_LINE,   /* a line is about to begin */
    AT_MIDDLE, /* inside a line */
    AT_CR,     /* behind a CR that ended a line: LF belongs to it */
};

void sb_sse_init(struct sb_sse *sse, size_t limit)
{
    *sse = (struct sb_sse){.at = AT_LINE, .limit = limit};
    /* An empty line of up to two bytes, and what finish() adds. */
    sb_buf_init(&sse->held, limit < SIZE_MAX - 4 ? limit + 4 : limit);
    sb_buf_init(&sse->joined, limit);
}

void sb_sse_release(struct sb_sse *sse)
{
    sb_buf_release(&sse->held);
    sb_buf_release(&sse->joined);
}

size_t sb_sse_held(const struct sb_sse *sse)
{
    return sse->delivered ? 0 : sb_buf_len(&sse->held);
}

/* The first CR or LF, or end. */
static const char *line_end(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i cr = _mm_set1_epi8('\r'), lf = _mm_set1_epi8('\n');

    for (; end - p >= 16; p += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i hits = _mm_or_si128(_mm_cmpeq_epi8(bytes, cr), _mm_cmpeq_epi8(bytes, lf));
        unsigned mask = (unsigned)_mm_movemask_epi8(hits);

        if (mask != 0)
            return p + __builtin_ctz(mask);
    }
#endif
    while (p < end && *p != '\r' && *p != '\n')
        p++;
    return p;
}

/* Behind the line's end at p: CR, LF or CRLF, as far as it is there. */
static const char *skip_line_end(const char *p, const char *end)
{
    if (*p == '\r' && p + 1 < end && p[1] == '\n')
        return p + 2;
    return p + 1;
}

/* --- one event ------------------------------------------------------------- */

struct found {
    unsigned lines, comments, data_lines;
};

static int add_data(struct sb_sse *sse, struct sb_sse_event *event, struct found *found,
                    struct sb_slice value)
{
    int rc;

    if (++found->data_lines == 1) {
        event->data = value;
        return SB_OK;
    }
    if (found->data_lines == 2) {
        rc = sb_buf_append(&sse->joined, event->data);
        if (rc != SB_OK)
            return rc;
    }
    rc = sb_buf_append_byte(&sse->joined, '\n');
    return rc == SB_OK ? sb_buf_append(&sse->joined, value) : rc;
}

static int add_line(struct sb_sse *sse, struct sb_sse_event *event, struct found *found,
                    struct sb_slice line)
{
    size_t colon;
    struct sb_slice name, value = SB_SLICE_NONE;

    found->lines++;
    if (line.p[0] == ':') {
        found->comments++;
        return SB_OK;
    }
    if (sb_slice_starts_with(line, SB_SLICE_LIT("data:"))) { /* nearly every line */
        colon = 4;
    } else {
        colon = sb_slice_find(line, ':');
    }
    name = sb_slice_make(line.p, colon);
    if (colon < line.n)
        value = sb_slice_from(line, colon + 1);
    if (value.n > 0 && value.p[0] == ' ')
        value = sb_slice_from(value, 1);
    if (sb_slice_eq(name, SB_SLICE_LIT("data")))
        return add_data(sse, event, found, value);
    if (sb_slice_eq(name, SB_SLICE_LIT("event")))
        event->name = value;
    return SB_OK;
}

/* Reads lines up to the empty one; SB_EAGAIN when there is none.  *ret_used:
 * bytes of the event, empty lines before it included. */
static int parse_event(struct sb_sse *sse, struct sb_slice in, struct sb_sse_event *ret_event,
                       size_t *ret_used)
{
    const char *p = in.p, *end = in.p + in.n, *start = NULL;
    struct sb_sse_event event = {.has_data = false};
    struct found found = {.lines = 0};
    int rc;

    while (p < end) {
        const char *stop = line_end(p, end);
        struct sb_slice line = sb_slice_make(p, (size_t)(stop - p));

        if (stop == end)
            return SB_EAGAIN;
        if (line.n == 0 && found.lines > 0) {
            if ((size_t)(p - start) > sse->limit)
                return SB_ETOOBIG;
            p = skip_line_end(stop, end);
            event.raw = sb_slice_make(start, (size_t)(p - start));
            break;
        }
        if (line.n > 0) {
            start = found.lines == 0 ? p : start;
            rc = add_line(sse, &event, &found, line);
            if (rc != SB_OK)
                return rc;
        }
        p = skip_line_end(stop, end);
    }
    if (event.raw.n == 0)
        return SB_EAGAIN;
    event.has_data = found.data_lines > 0;
    event.is_comment = found.comments == found.lines;
    if (found.data_lines > 1)
        event.data = sb_buf_slice(&sse->joined);
    *ret_event = event;
    *ret_used = (size_t)(p - in.p);
    return SB_OK;
}

/* --- the stream ------------------------------------------------------------ */

/* Bytes of in up to the end of the event whose start is held, or in.n with
 * *ret_whole false.  Looks only at line ends, each byte once. */
static size_t find_end(struct sb_sse *sse, struct sb_slice in, bool *ret_whole)
{
    const char *p = in.p, *end = in.p + in.n;

    *ret_whole = false;
    if (sse->at == AT_CR) {
        p += *p == '\n' ? 1 : 0;
        sse->at = AT_LINE;
    }
    while (p < end) {
        const char *stop = line_end(p, end);
        bool empty = sse->at == AT_LINE && stop == p;

        if (stop == end) {
            sse->at = AT_MIDDLE;
            return in.n;
        }
        p = skip_line_end(stop, end);
        sse->at = p == end && p[-1] == '\r' ? AT_CR : AT_LINE;
        if (empty) {
            *ret_whole = true;
            return (size_t)(p - in.p);
        }
    }
    return in.n;
}

static void empty(struct sb_buf *buf)
{
    if (buf->size > KEEP_BYTES)
        sb_buf_clear(buf);
    else
        sb_buf_reset(buf);
}

static void drop_delivered(struct sb_sse *sse)
{
    if (sse->delivered)
        empty(&sse->held);
    sse->delivered = false;
    empty(&sse->joined);
}

/* What is left of the input is kept; find_end() has to know how it ends. */
static int hold(struct sb_sse *sse, struct sb_slice *input)
{
    char last = input->p[input->n - 1];
    int rc = sb_buf_append(&sse->held, *input);

    if (rc != SB_OK)
        return rc;
    sse->at = last == '\r' ? AT_CR : last == '\n' ? AT_LINE : AT_MIDDLE;
    *input = sb_slice_from(*input, input->n);
    return SB_EAGAIN;
}

/* Empty lines between events are not worth holding; nor is the LF whose CR
 * ended the event before. */
static void skip_empty_lines(struct sb_slice *input)
{
    size_t n = 0;

    while (n < input->n && (input->p[n] == '\n' || input->p[n] == '\r'))
        n++;
    *input = sb_slice_from(*input, n);
}

/* False while it is open whether the stream begins with a byte order mark:
 * its first bytes are held then. */
static bool skip_mark(struct sb_sse *sse, struct sb_slice *input)
{
    static const char mark[3] = {'\xef', '\xbb', '\xbf'};

    while (!sse->started && input->n > 0) {
        size_t n = sb_buf_len(&sse->held);

        if (input->p[0] != mark[n]) {
            sse->started = true;
        } else if (n == 2) {
            sse->started = true;
            sb_buf_reset(&sse->held);
            *input = sb_slice_from(*input, 1);
        } else {
            if (sb_buf_append_byte(&sse->held, mark[n]) != SB_OK)
                return true; /* the limit is below any event: next() will tell */
            sse->at = AT_MIDDLE;
            *input = sb_slice_from(*input, 1);
        }
    }
    return sse->started;
}

int sb_sse_next(struct sb_sse *sse, struct sb_slice *input, struct sb_sse_event *ret_event)
{
    struct sb_slice part;
    size_t used;
    bool whole;
    int rc;

    drop_delivered(sse);
    if (!skip_mark(sse, input))
        return SB_EAGAIN;
    if (sb_buf_len(&sse->held) == 0 && input->n > 0)
        skip_empty_lines(input);
    if (input->n == 0)
        return SB_EAGAIN;
    if (sb_buf_len(&sse->held) == 0) {
        rc = parse_event(sse, *input, ret_event, &used);
        if (rc == SB_EAGAIN)
            return hold(sse, input);
        if (rc != SB_OK)
            return rc;
        *input = sb_slice_from(*input, used);
        return SB_OK;
    }
    used = find_end(sse, *input, &whole);
    part = sb_slice_make(input->p, used);
    rc = sb_buf_append(&sse->held, part);
    if (rc != SB_OK)
        return rc;
    *input = sb_slice_from(*input, used);
    if (!whole)
        return SB_EAGAIN;
    rc = parse_event(sse, sb_buf_slice(&sse->held), ret_event, &used);
    if (rc != SB_OK)
        return rc;
    sse->delivered = true;
    return SB_OK;
}

int sb_sse_finish(struct sb_sse *sse, struct sb_sse_event *ret_event)
{
    struct sb_slice raw;
    size_t used;
    int rc;

    drop_delivered(sse);
    raw = sb_buf_slice(&sse->held);
    if (raw.n == 0 || !sse->started)
        return SB_EAGAIN;
    /* Two line ends more are an end, whatever the event has of its own. */
    rc = sb_buf_append_text(&sse->held, "\n\n");
    if (rc == SB_OK)
        rc = parse_event(sse, sb_buf_slice(&sse->held), ret_event, &used);
    if (rc != SB_OK)
        return rc;
    sse->delivered = true;
    return SB_OK;
}
