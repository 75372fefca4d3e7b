/* controlplane/tables/newest.h - the newest values of one endpoint, one by one.
 *
 * Slots of ten seconds (controlplane/tables/series.h) are too coarse to tell a step of
 * the pace within seconds: what was heard just before it is in the same slot.
 * So the newest CP_NEWEST values are kept besides.  As they are few, nearly all
 * of them have to say the same before they are believed.
 *
 * Pure.  All zeros: nothing heard.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"

struct sb_sketch;

enum {
    CP_NEWEST = 20,
    CP_NEWEST_AGREE = 15, /* of them: by chance next to never, were even a third of all so */
};

struct cp_newest {
    float values[CP_NEWEST]; /* a ring; n of them */
    uint8_t n, at;
};

/* What was heard in one second.  Of more than CP_NEWEST values as many that are
 * spread like them. */
void cp_newest_add(struct cp_newest *newest, const struct sb_sketch *heard);
/* Whether they are another pace than this median: CP_NEWEST_AGREE of them are at
 * most half of it, or at least twice. */
bool cp_newest_is_step(const struct cp_newest *newest, double median);
/* Replaces what is in the sketch by them.  SB_ENOMEM. */
int cp_newest_fill(const struct cp_newest *newest, struct sb_sketch *sketch) SB_MUSTCHECK;
