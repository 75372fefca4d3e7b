/* dataplane/records/wait.h - who waits for records to be on stable storage.
 *
 * Records become safe in the order in which they were written, so those who
 * wait stand in a queue, and news of one sequence serve all up to it.
 *
 *      idle --begin--> waiting --advance, or the limit--> idle, then its callback
 *
 * Single-threaded; embedded in whoever waits.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/list.h"
#include "common/loop.h"

struct dp_waits {
    struct sb_list waiting; /* rising sequences */
};

struct dp_wait;
/* is_safe: false when the limit has passed.  May begin another wait. */
typedef void dp_wait_cb(struct dp_wait *wait, bool is_safe);

struct dp_wait {
    struct sb_list link;
    struct sb_timer limit;
    uint64_t sequence;
    dp_wait_cb *cb;
};

void dp_waits_init(struct dp_waits *waits);
/* All up to this sequence is safe: calls back whoever waited for that. */
void dp_waits_advance(struct dp_waits *waits, uint64_t sequence);

void dp_wait_init(struct dp_wait *wait, struct sb_loop *loop, dp_wait_cb *cb);
/* Cancels it. */
void dp_wait_release(struct dp_wait *wait);
/* Waits for a record that was just written, so long at most.  Never calls back
 * from inside. */
void dp_wait_begin(struct dp_wait *wait, struct dp_waits *waits, uint64_t sequence, sb_msec limit);
/* The callback does not come. */
void dp_wait_cancel(struct dp_wait *wait);
bool dp_wait_is_waiting(const struct dp_wait *wait);
