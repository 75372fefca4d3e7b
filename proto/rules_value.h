/* proto/rules_value.h - reads JSON values where every member and every value is
 * checked, and collects what is wrong.
 *
 * For proto/rules.c; nothing in it knows of routing.  All functions that
 * return bool return false when the value is wrong, after noting it under the
 * current path.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/json.h"
#include "common/money.h"
#include "common/slice.h"
#include "common/splice.h"
#include "proto/rules.h"

struct sb_arena;

struct msg_reader {
    struct sb_arena *arena;    /* unescaped strings and lists */
    struct msg_report *report; /* may be NULL */
    struct sb_json_path path;
    int rc; /* SB_OK until the first problem */
    void *ctx;
};

/* Notes a problem at the current path. */
void msg_reader_note(struct msg_reader *reader, int rc, const char *fmt, ...) SB_PRINTF(3, 4);
/* "<value> is not allowed; it must be <allowed>" */
void msg_reader_note_wrong(struct msg_reader *reader, struct sb_slice value, const char *allowed);

static inline bool msg_value_is_null(struct sb_slice value)
{
    return sb_splice_type_of(value) == SB_SPLICE_NULL;
}

bool msg_read_bool(struct msg_reader *reader, struct sb_slice value, bool *ret_bool);
/* A string of 1 to max bytes. */
bool msg_read_text(struct msg_reader *reader, struct sb_slice value, size_t max,
                   struct sb_slice *ret_text);
/* The index of a string among words (NULL-terminated), or -1. */
int msg_read_word(struct msg_reader *reader, struct sb_slice value, const char *const *words);
bool msg_read_whole(struct msg_reader *reader, struct sb_slice value, uint32_t min, uint32_t max,
                    uint32_t *ret_number);
/* A number, or a string that holds a decimal, of USD or USD per million units.
 * What is finer than 1e-15 of a unit (a client's own floating point) is
 * rounded, what is beyond any price is SB_MONEY_MAX. */
bool msg_read_money(struct msg_reader *reader, struct sb_slice value, bool per_million,
                    sb_money *ret_money);
/* A number in thousandths, rounded upwards or downwards to a whole number, so
 * that it decides the same about whole numbers. */
bool msg_read_thousandths(struct msg_reader *reader, struct sb_slice value, bool upwards,
                          uint32_t *ret_limit);
/* A list of strings of 1 to max bytes; one that is wrong is left empty. */
bool msg_read_names(struct msg_reader *reader, struct sb_slice value, size_t max, bool may_be_empty,
                    struct msg_names *ret_names);

/* Takes a member of a closed object that is not null; false when the object
 * has no such member. */
typedef bool msg_take_member_cb(struct msg_reader *reader, struct sb_slice name,
                                struct sb_slice value, void *ctx);
/* Gives every member to take, also those that are null.  members: for the
 * message about one that is not known; NULL when take has noted it. */
bool msg_read_object(struct msg_reader *reader, struct sb_slice value, const char *members,
                     msg_take_member_cb *take, void *ctx);
