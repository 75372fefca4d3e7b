/* controlplane/probes/probe_plan.h - when which endpoint is to be probed.
 *
 * Pure: time is the caller's (monotonic milliseconds), chance comes from a
 * seed.  Each thing that may be probed has a turn:
 *
 *      waiting --due, and nothing fresh was heard--> taken --done--> waiting
 *              <--due, but something was heard-----
 *
 * Turns are spread: the first is at a random point of the interval, every
 * pause is up to CP_PLAN_JITTER per cent shorter or longer.  Each failure in a
 * row doubles the pause, up to CP_PLAN_PAUSE_MAX (or the interval, if that is
 * longer).  What is held to be down is looked at again much sooner, after
 * CP_PLAN_RECHECK and then twice as long each time up to
 * CP_PLAN_RECHECK_MAX, CP_PLAN_RECHECKS times; then as any that fails.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "controlplane/probes/probe.h"

struct cp_plan;

enum {
    CP_PLAN_JITTER = 20, /* per cent */
    CP_PLAN_PAUSE_MAX = 3600 * 1000,
    CP_PLAN_RECHECK = 2000,
    CP_PLAN_RECHECK_MAX = 20000,
    CP_PLAN_RECHECKS = 30,
};

/* interval: how old the newest news may be; not 0. */
struct cp_plan *cp_plan_new(sb_msec interval, uint64_t seed);
void cp_plan_destroy(struct cp_plan **plan);
size_t cp_plan_count(const struct cp_plan *plan);

/* From now on there are just these (ids, each once): what is new gets a turn,
 * what is gone is forgotten, the others keep theirs.  SB_ENOMEM: some of the
 * new ones are missing. */
int cp_plan_set(struct cp_plan *plan, const uint64_t *ids, size_t n, sb_msec now) SB_MUSTCHECK;

/* Something was heard of it age ago, by traffic or by a probe; is_down: it is
 * held to be down.  One that is not in the plan is fine. */
void cp_plan_heard(struct cp_plan *plan, uint64_t id, sb_msec age, bool is_down, sb_msec now);

/* Takes one whose turn it is; false: nobody's. */
bool cp_plan_take(struct cp_plan *plan, sb_msec now, uint64_t *ret_id,
                  enum cp_probe_reason *ret_reason);
/* It was probed.  Done with what was not taken, or is gone, is fine. */
void cp_plan_done(struct cp_plan *plan, uint64_t id, bool has_failed, sb_msec now);
/* It was not: its turn comes again after the pause. */
void cp_plan_put_off(struct cp_plan *plan, uint64_t id, sb_msec pause, sb_msec now);
/* Until the next turn, at most `most`. */
sb_msec cp_plan_wait(const struct cp_plan *plan, sb_msec now, sb_msec most);

/* The pause before the next turn.  failures, rechecks: in a row; at: 0 to
 * just under 1. */
sb_msec cp_plan_pause(sb_msec interval, unsigned failures, bool is_down, unsigned rechecks,
                      double at) SB_MUSTCHECK;
