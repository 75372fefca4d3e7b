/* controlplane/ctl/show.h - JSON values in words, and lists of objects as
 * tables. */
#pragma once

#include "common/clock.h"
#include "common/json.h"
#include "common/slice.h"

struct ctl;
struct sb_arena;

enum ctl_show {
    CTL_SHOW_TEXT,     /* scalars as they are, lists with commas */
    CTL_SHOW_NAME,     /* as text, in the colour of names */
    CTL_SHOW_COUNT,    /* 1234567 as 1 234 567 */
    CTL_SHOW_LENGTH,   /* of a list */
    CTL_SHOW_BYTES,    /* 1.5 MiB */
    CTL_SHOW_MSEC,     /* 850 ms, 1.2 s */
    CTL_SHOW_PERCENT,  /* parts of one: 99.95 % */
    CTL_SHOW_DECIMAL,  /* an exact decimal, to the right */
    CTL_SHOW_RATE,     /* 84.3 */
    CTL_SHOW_TIME,     /* 2026-01-02 03:04:05 */
    CTL_SHOW_AGE,      /* of a time: 3 min ago */
    CTL_SHOW_CLAIM,    /* {value, evidence}: yes, no, unknown */
    CTL_SHOW_EVIDENCE, /* list of {claim, value, evidence}: "zdr yes: contract" */
    CTL_SHOW_VERSION,  /* {epoch, revision}: the revision */
    CTL_SHOW_STATE,    /* a word that is good, worrying or bad */
    CTL_SHOW_FLAG,     /* true: yes; false: nothing */
    CTL_SHOW_NEAR,     /* a date that is to be warned of */
};

struct ctl_field {
    const char *title;
    const char *path; /* "load.in_flight" */
    enum ctl_show show;
    bool may_shrink;
};

/* The member that a path with dots leads to, or NULL. */
yyjson_val *ctl_member(yyjson_val *object, const char *path);
/* Its text, or "" when there is none. */
struct sb_slice ctl_member_text(yyjson_val *object, const char *path);

/* A value in words; in arena.  now: for ages. */
struct sb_slice ctl_words(struct sb_arena *arena, yyjson_val *value, enum ctl_show show,
                          sb_usec now);
/* Thousands apart: "1 234 567"; "850 ms", "1.2 s"; in arena. */
struct sb_slice ctl_count_words(struct sb_arena *arena, uint64_t number);
struct sb_slice ctl_msec_words(struct sb_arena *arena, double msec);
/* Prints a list of objects, one line each; empty: what says that there are
 * none. */
void ctl_show_list(struct ctl *ctl, yyjson_val *list, const struct ctl_field *fields, unsigned n,
                   const char *empty);
/* The same, with what each field's column has as `leaves` (struct ctl_column);
 * leaves NULL: none leaves. */
void ctl_show_fitted(struct ctl *ctl, yyjson_val *list, const struct ctl_field *fields,
                     const unsigned *leaves, unsigned n, const char *empty);
/* Prints one object, a line for each member, inner ones with dots. */
void ctl_show_object(struct ctl *ctl, yyjson_val *object);
