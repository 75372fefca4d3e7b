/* proto/rules_value.c */
#include "proto/rules_value.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/arena.h"
#include "common/err.h"
#include "proto/limits.h"

enum {
    OBJECT_MEMBERS = 48, /* more than any of our objects has */
    OBJECT_DEPTH = 16,
    QUOTED_MAX = 64, /* bytes of a wrong value that are repeated in the message */
};

void msg_reader_note(struct msg_reader *reader, int rc, const char *fmt, ...)
{
    struct msg_report *report = reader->report;
    struct msg_problem *problem;
    size_t n = reader->path.n;
    va_list args;

    if (reader->rc == SB_OK)
        reader->rc = rc;
    if (report == NULL || report->n++ >= report->max)
        return;
    problem = &report->problem[report->n - 1];
    if (n >= sizeof(problem->path))
        n = sizeof(problem->path) - 1;
    memcpy(problem->path, reader->path.text, n);
    problem->path[n] = '\0';
    va_start(args, fmt);
    (void)vsnprintf(problem->text, sizeof(problem->text), fmt, args);
    va_end(args);
}

/* What fits of a value into a message, not cut inside a character. */
static struct sb_slice quoted(struct sb_slice value)
{
    if (value.n <= QUOTED_MAX)
        return value;
    value.n = QUOTED_MAX;
    while (value.n > 0 && ((unsigned char)value.p[value.n] & 0xc0) == 0x80)
        value.n--;
    return value;
}

void msg_reader_note_wrong(struct msg_reader *reader, struct sb_slice value, const char *allowed)
{
    struct sb_slice shown = quoted(value);

    msg_reader_note(reader, SB_EINVAL, "%.*s%s is not allowed; it must be %s", SB_SLICE_ARGS(shown),
                    shown.n < value.n ? "..." : "", allowed);
}

bool msg_read_bool(struct msg_reader *reader, struct sb_slice value, bool *ret_bool)
{
    if (sb_splice_get_bool(value, ret_bool) == SB_OK)
        return true;
    msg_reader_note_wrong(reader, value, "true or false");
    return false;
}

bool msg_read_text(struct msg_reader *reader, struct sb_slice value, size_t max,
                   struct sb_slice *ret_text)
{
    struct sb_slice text;
    char allowed[64];

    if (sb_splice_get_string(value, reader->arena, &text) == SB_OK && text.n > 0 && text.n <= max) {
        *ret_text = text;
        return true;
    }
    (void)snprintf(allowed, sizeof(allowed), "a string of 1 to %zu bytes", max);
    msg_reader_note_wrong(reader, value, allowed);
    return false;
}

int msg_read_word(struct msg_reader *reader, struct sb_slice value, const char *const *words)
{
    char allowed[192] = "";
    struct sb_slice text;
    size_t n = 0;

    if (sb_splice_get_string(value, reader->arena, &text) == SB_OK) {
        for (int i = 0; words[i] != NULL; i++) {
            if (sb_slice_is(text, words[i]))
                return i;
        }
    }
    for (int i = 0; words[i] != NULL && n < sizeof(allowed); i++) {
        const char *between = i == 0 ? "" : words[i + 1] == NULL ? " or " : ", ";
        int wrote = snprintf(allowed + n, sizeof(allowed) - n, "%s\"%s\"", between, words[i]);

        n += wrote > 0 ? (size_t)wrote : 0;
    }
    msg_reader_note_wrong(reader, value, allowed);
    return -1;
}

bool msg_read_whole(struct msg_reader *reader, struct sb_slice value, uint32_t min, uint32_t max,
                    uint32_t *ret_number)
{
    int64_t number;
    char allowed[64];

    if (sb_splice_get_int(value, &number) == SB_OK && number >= min && number <= max) {
        *ret_number = (uint32_t)number;
        return true;
    }
    (void)snprintf(allowed, sizeof(allowed), "a whole number from %u to %u", min, max);
    msg_reader_note_wrong(reader, value, allowed);
    return false;
}

/* SB_EINVAL, SB_EPARSE: no amount. */
static int parse_money(struct sb_slice text, bool per_million, sb_money *ret_money)
{
    double number;
    int rc;

    if (text.n == 0 || text.p[0] == '-')
        return SB_EPARSE;
    rc =
        per_million ? sb_money_parse_per_million(text, ret_money) : sb_money_parse(text, ret_money);
    if (rc == SB_EINVAL && sb_splice_get_number(text, &number) == SB_OK) { /* too fine */
        number *= per_million ? 1e9 : 1e15;
        *ret_money = number < 9e18 ? (sb_money)(number + 0.5) : SB_MONEY_MAX;
        return SB_OK;
    }
    if (rc == SB_ETOOBIG) {
        *ret_money = SB_MONEY_MAX;
        return SB_OK;
    }
    return rc;
}

bool msg_read_money(struct msg_reader *reader, struct sb_slice value, bool per_million,
                    sb_money *ret_money)
{
    struct sb_slice text = value;
    int rc = SB_OK;

    if (sb_splice_type_of(value) == SB_SPLICE_STRING)
        rc = sb_splice_get_string(value, reader->arena, &text);
    else if (sb_splice_type_of(value) != SB_SPLICE_NUMBER)
        rc = SB_EINVAL;
    if (rc == SB_OK)
        rc = parse_money(text, per_million, ret_money);
    if (rc == SB_OK)
        return true;
    msg_reader_note_wrong(reader, value, "a number or a decimal in a string, and not negative");
    return false;
}

bool msg_read_thousandths(struct msg_reader *reader, struct sb_slice value, bool upwards,
                          uint32_t *ret_limit)
{
    double number, whole;
    uint64_t near;

    if (sb_splice_get_number(value, &number) != SB_OK || number < 0) {
        msg_reader_note_wrong(reader, value, "a number, and not negative");
        return false;
    }
    number *= 1000;
    if (number >= MSG_NO_DATA - 1) {
        *ret_limit = MSG_NO_DATA - 1;
        return true;
    }
    near = (uint64_t)(number + 0.5);
    whole = (double)near;
    if (number > whole + 1e-6 && upwards) /* 1.001 * 1000 is not quite 1001 */
        near++;
    if (number < whole - 1e-6 && !upwards)
        near--;
    *ret_limit = (uint32_t)near;
    return true;
}

bool msg_read_names(struct msg_reader *reader, struct sb_slice value, size_t max, bool may_be_empty,
                    struct msg_names *ret_names)
{
    struct sb_splice_member table[MSG_LIST_MAX];
    struct sb_splice doc;
    struct sb_slice *name;
    bool all = true;

    sb_splice_init(&doc, table, SB_ARRAY_LEN(table));
    if (sb_splice_type_of(value) != SB_SPLICE_ARRAY ||
        sb_splice_scan(&doc, value, OBJECT_DEPTH, NULL) != SB_OK) {
        msg_reader_note_wrong(reader, value, "a list of strings");
        return false;
    }
    if (doc.count > doc.n) {
        msg_reader_note(reader, SB_EINVAL, "has %u entries; at most %d are allowed", doc.count,
                        MSG_LIST_MAX);
        return false;
    }
    if (doc.n == 0 && !may_be_empty) {
        msg_reader_note(reader, SB_EINVAL,
                        "an empty list allows nothing; leave it out to allow everything");
        return false;
    }
    name = sb_arena_alloc(reader->arena, doc.n * sizeof(*name) + 1);
    for (uint32_t i = 0; i < doc.n; i++) {
        size_t back = sb_json_path_index(&reader->path, i);

        all &= msg_read_text(reader, sb_splice_value(&doc, &table[i]), max, &name[i]);
        sb_json_path_back(&reader->path, back);
    }
    *ret_names = (struct msg_names){.name = name, .n = doc.n};
    return all;
}

/* The name as it is meant; nobody escapes one, but it is legal. */
static struct sb_slice name_of(struct msg_reader *reader, const struct sb_splice *doc,
                               const struct sb_splice_member *member)
{
    struct sb_slice name = sb_splice_name(doc, member);
    struct sb_slice with_quotes = {.p = name.p - 1, .n = name.n + 2};

    if (member->name_escaped && sb_splice_get_string(with_quotes, reader->arena, &name) != SB_OK)
        return SB_SLICE_NONE;
    return name;
}

bool msg_read_object(struct msg_reader *reader, struct sb_slice value, const char *members,
                     msg_take_member_cb *take, void *ctx)
{
    struct sb_splice_member table[OBJECT_MEMBERS];
    struct sb_splice_error error = {.reason = NULL};
    struct sb_splice doc;
    int rc = SB_EINVAL;

    sb_splice_init(&doc, table, SB_ARRAY_LEN(table));
    if (sb_splice_type_of(value) == SB_SPLICE_OBJECT)
        rc = sb_splice_scan(&doc, value, OBJECT_DEPTH, &error);
    if (rc != SB_OK) {
        if (error.reason == NULL)
            msg_reader_note_wrong(reader, value, "an object");
        else
            msg_reader_note(reader, rc == SB_EPARSE ? SB_EPARSE : SB_EINVAL, "%s: \"%.*s\"",
                            error.reason, SB_SLICE_ARGS(quoted(error.member)));
        return false;
    }
    for (uint32_t i = 0; i < doc.n; i++) {
        struct sb_slice name = name_of(reader, &doc, &table[i]);
        size_t back = sb_json_path_member(&reader->path, name);

        if (!take(reader, name, sb_splice_value(&doc, &table[i]), ctx) && members != NULL)
            msg_reader_note(reader, SB_EINVAL, "no such member; there are %s", members);
        sb_json_path_back(&reader->path, back);
    }
    return true;
}
