/* dataplane/pace.h - what a stream tells of its endpoint's throughput while it
 * runs.
 *
 * An attempt is counted when it has ended, and so is its throughput
 * (dataplane/courier/telemetry.h); an answer of a thousand tokens would tell a minute
 * late that its provider has become slow.  So a stream also speaks meanwhile:
 * values for the sketch of throughput, and for nothing else.  Attempts,
 * outcomes, tokens and cost are counted once, at the end, whatever was said.
 *
 *      begin (first content) -> tick, tick, ... every second -> end
 *                                 |
 *                                 +--> dp_telemetry_pace(), now and then
 *
 * When.  After 1, 2, 3, 5, 8, 12, 18, 27 ... seconds of streaming: each pause half
 * as long as all that was before it.  So what a stream says grows with the
 * logarithm of its length (10 seconds: 5 values and the one of its end; 10
 * minutes: 15), and a long one does not outvote many short ones.  When the last
 * two seconds were less than half as fast as what was said last, or more than twice, that is said
 * at once, and the pauses begin anew; after three such changes it is a restless
 * stream, which keeps to its pauses.  Silence is a pace of nought, and said like
 * any other; who stays silent is ended by the time limit of the attempt.
 *
 * What.  The same that an ended answer says, tokens per second with the wait for
 * the first one included, as if all of the answer had come at the pace of the
 * newest seconds (those since it last spoke):
 *
 *      tokens / (wait + (bytes - bytes of the first read) / pace)
 *
 * with as many bytes and tokens as this endpoint's streams mostly have, or this
 * one has already, when that is more.  Without that, young streams would be
 * slow, since their wait is shared by few tokens.
 *
 * How well that is known.  A running stream does not say its tokens; the bytes
 * of its content are counted anyway (struct dp_incoming).  How many tokens that
 * is was learned from this endpoint's streams that ended with usage, at this
 * worker, the last sixteen or so: it does not matter how many tokens an event
 * has, nor that hidden reasoning is billed.  Until one has ended nothing is said.
 * An answer unlike the others (another script, hidden reasoning where the others
 * had none) is wrong by as much as its bytes per token differ: a third is
 * common between prose and code, a factor of two or three between scripts.
 * Percentiles are of many answers.
 *
 * Says nothing: an attempt on a tenant's own key; a stream from the moment when
 * its client did not keep up, since it is the client's pace then.
 *
 * Costs nothing per event.  Per stream a timer that fires once a second, with
 * the loop's own clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/loop.h"

struct dp_incoming;
struct dp_paces;
struct dp_telemetry;
struct msg_attempt;

enum {
    DP_PACE_TICK = 1000, /* ms */
    DP_PACE_CHANGES = 3, /* of one stream, that are said at once */
    DP_PACES_MAX = 4096, /* endpoints; the one that was learned first is forgotten */
};

/* Borrows the telemetry. */
struct dp_paces *dp_paces_new(struct dp_telemetry *telemetry);
void dp_paces_destroy(struct dp_paces **paces);
/* A stream has come to its end: how many bytes and tokens it had.  Says nothing
 * without a provider's usage. */
void dp_paces_learn(struct dp_paces *paces, const struct msg_attempt *attempt,
                    const struct dp_incoming *in);

/* How much had come, and when. */
struct dp_pace_mark {
    sb_msec at;
    uint64_t bytes;
};

/* Of one attempt at a time; embedded in it. */
struct dp_pace {
    struct sb_timer tick;
    bool has_begun; /* until end() */
    uint8_t changes;
    struct dp_paces *paces; /* borrowed, like the next one, from begin() to end() */
    const struct dp_incoming *in;
    uint64_t endpoint;
    double wait; /* milliseconds to the first content */
    struct dp_pace_mark begun, said;
    struct dp_pace_mark before[2]; /* at the tick before the last, and at the last */
    double said_pace;              /* bytes per millisecond */
    sb_msec pauses_from, say_at;
};

void dp_pace_init(struct dp_pace *pace, struct sb_loop *loop);
void dp_pace_release(struct dp_pace *pace);
/* What came in one read with the first content has been counted.  wait:
 * microseconds from the attempt's start to it; now: of the loop. */
void dp_pace_begin(struct dp_pace *pace, struct dp_paces *paces, const struct msg_attempt *attempt,
                   const struct dp_incoming *in, uint64_t wait, sb_msec now);
/* What the timer does: at is later than the last time.  For tests. */
void dp_pace_look(struct dp_pace *pace, sb_msec at);
/* Says nothing any more, until another attempt begins. */
void dp_pace_hush(struct dp_pace *pace);
/* The attempt is over; nothing when none has begun. */
void dp_pace_end(struct dp_pace *pace);
