/* controlplane/probes/probe_lists.h - providers' lists of models: whose turn it is, what one says.
 *
 * A list is a probe without an endpoint.  Each provider that we speak the
 * dialect of, and that the house has a key for if it wants one, has a turn
 * (controlplane/probes/probe_plan.h).  Pure: time is the caller's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/slice.h"
#include "controlplane/probes/probe.h"

struct cp_fetch_end;
struct cp_probe_lists;
struct cp_sightings;

/* interval: between two looks at one; not 0. */
struct cp_probe_lists *cp_probe_lists_new(sb_msec interval, uint64_t seed);
void cp_probe_lists_destroy(struct cp_probe_lists **lists);

/* From now on the providers are those of the snapshot, which is borrowed until
 * the next.  SB_ENOMEM: some are missing. */
int cp_probe_lists_set(struct cp_probe_lists *lists, const struct msg_snapshot *snapshot,
                       sb_msec now) SB_MUSTCHECK;

/* Takes one whose turn it is, as a probe that is wanted; false: nobody's. */
bool cp_probe_lists_take(struct cp_probe_lists *lists, sb_msec now, struct cp_probe *ret_probe);
/* It has an outcome. */
void cp_probe_lists_done(struct cp_probe_lists *lists, const struct cp_probe *probe, sb_msec now);
/* It was not sent: its turn comes again after the pause. */
void cp_probe_lists_put_off(struct cp_probe_lists *lists, const struct cp_probe *probe,
                            sb_msec pause, sb_msec now);
/* Until the next turn, at most `most`. */
sb_msec cp_probe_lists_wait(const struct cp_probe_lists *lists, sb_msec now, sb_msec most);

/* The provider of that slug; MSG_NONE: it is gone. */
uint32_t cp_probe_lists_provider(const struct msg_snapshot *snapshot, struct sb_slice slug);

/* Concludes a probe: outcome, status and times of it, and in sightings what the
 * text, the body that came, says otherwise than the snapshot. */
void cp_probe_lists_conclude(const struct msg_snapshot *snapshot, const struct cp_fetch_end *end,
                             struct sb_slice text, struct cp_probe *probe,
                             struct cp_sightings *sightings);
