/* tests/sim/control.h - what is under /_sim/, for tests.
 *
 *      GET    /_sim/requests?since=N   records and counters
 *      DELETE /_sim/requests           forgets them
 *      GET    /_sim/counters
 *      GET    /_sim/behaviour          every knob
 *      POST   /_sim/behaviour          changes some; "scripted": [...] used once each
 *      DELETE /_sim/behaviour          as at the start
 *      POST   /_sim/release?count=N    lets held replies go on (default: all)
 *      POST   /_sim/close?which=idle|all&how=close|reset
 *      GET    /_sim/wait?requests=3&open_streams=0-0&timeout_ms=5000
 *                                      answers when all that is true, else 408
 *
 * Not touched by behaviours, not counted, no key needed.
 */
#pragma once

#include <stdbool.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/slice.h"

struct sb_buf;
struct sim_conn;
struct sim_server;

struct sim_control {
    struct sb_slice method, path, query, body; /* borrowed */
    const struct sim_conn *conn;               /* who asks */
};

bool sim_control_is_for(struct sb_slice path);
/* Appends the body of the answer; returns its status, or 0: to be asked again
 * at the end of each turn, and at last after *ret_timeout. */
int sim_control_answer(struct sim_server *server, const struct sim_control *control,
                       struct sb_buf *body, sb_msec *ret_timeout);
/* The waiting is over: as above, never 0. */
int sim_control_give_up(struct sim_server *server, struct sb_buf *body);
