/* dataplane/upstream/pool.h - the worker's connections to providers, kept for reuse.
 *
 *      rc = dp_pool_take(pool, target, &attempt->take, &conn);
 *        SB_OK      conn is idle and open: use it now
 *        SB_EAGAIN  take->cb brings one, or says why not
 *        SB_ETOOBIG the provider's max_in_flight is reached
 *      ... dp_conn_hold(), dp_conn_sendv(), ... the answer is complete ...
 *      dp_pool_give(pool, &conn);    fit for the next request, or
 *      dp_pool_drop(pool, &conn);    not: closed
 *
 * Connections are kept per target (dataplane/upstream/target.h), the one given back
 * last is taken first, so that those too many grow old and go.  A target has
 * at most max_connections, idle and dialling ones included; beyond that takes
 * wait in the order in which they came.  A waiting take gets the first
 * connection that comes free, its own dial or another's; what it does not need
 * goes to the next, or to the pool.
 *
 * A connection that was used before may have been closed by the provider a
 * moment ago, unnoticed (dp_conn_is_reused()): a request that fails on it
 * before any byte of an answer may be sent again on a fresh one, and that is
 * the caller's decision.  One that receives anything while idle is closed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/list.h"
#include "dataplane/upstream/dial.h"
#include "dataplane/upstream/target.h"
#include "proto/vocabulary.h"

struct sb_loop;
struct dp_pool;

struct dp_pool_conf {
    uint32_t connections;     /* of a target that names no number of its own */
    uint32_t idle_per_target; /* kept at most */
    uint32_t idle_total;      /* of all targets; the oldest goes */
    sb_msec idle_timeout;     /* unused for so long: closed */
    sb_msec max_age;          /* since the dial: not used again, since names move */
};

extern const struct dp_pool_conf dp_pool_conf_default;

struct dp_pool_stats {
    uint64_t takes;        /* asked for */
    uint64_t reused;       /* served with a connection that was used before */
    uint64_t fresh;        /* served with a new one */
    uint64_t failed;       /* ended with a dial's failure */
    uint64_t cancelled;    /* by the caller, while waiting */
    uint64_t refused;      /* over max_in_flight */
    uint64_t queued;       /* had to wait for max_connections */
    uint64_t idle_closed;  /* idle ones that the provider closed, or wrote to */
    uint64_t idle_expired; /* idle too long, too old, or too many */
    int64_t idle;          /* now */
    int64_t in_use;        /* now: taken and not given back */
    int64_t waiting;       /* now: takes without a connection */
};

/* Borrows loop and dialer; copies conf. */
struct dp_pool *dp_pool_new(struct sb_loop *loop, struct dp_dialer *dialer,
                            const struct dp_pool_conf *conf) __attribute__((returns_nonnull));
/* Everything taken must have been given back or dropped, every waiting take
 * cancelled.  Closes the rest.  NULL is fine. */
void dp_pool_destroy(struct dp_pool **pool);

/* --- taking ----------------------------------------------------------------- */

struct dp_take;
/* outcome SUCCESS with a connection, else as of dp_dial_done_cb, with conn
 * NULL.  The take is over and may be used again or go.  text: for people,
 * valid during the call. */
typedef void dp_take_cb(struct dp_take *take, struct dp_conn *conn, enum msg_outcome outcome,
                        const char *text);

/* Embedded in whatever wants a connection; all zeros to begin with. */
struct dp_take {
    /* set by the caller before each dp_pool_take() */
    dp_take_cb *cb;
    sb_msec connect_timeout; /* of the dial made for it; time in the queue is the caller's */
    bool fresh;              /* only a new one will do: a reused one was stale */
    /* the pool's */
    struct sb_list link;
    struct dp_origin *origin; /* NULL: not waiting */
    struct dp_conn *dial;     /* under way for this take */
    struct dp_conn *got;      /* assigned, to be delivered */
};

/* Never calls back from inside.  SB_OK gives *ret_conn (the take is not
 * waiting), held by nobody: call dp_conn_hold().  SB_EAGAIN: the callback
 * will come, unless the take is cancelled.  SB_ETOOBIG. */
int dp_pool_take(struct dp_pool *pool, const struct dp_target *target, struct dp_take *take,
                 struct dp_conn **ret_conn) SB_MUSTCHECK;
/* No callback comes any more; the memory may go.  Fine for a take that is not
 * waiting.  A dial that was made for it goes on, for the next or the pool. */
void dp_pool_cancel(struct dp_pool *pool, struct dp_take *take);
bool dp_take_is_waiting(const struct dp_take *take);
/* Waits for room under max_connections: nothing was dialled for it. */
bool dp_take_is_queued(const struct dp_take *take);

/* --- giving back -------------------------------------------------------------- */

/* The answer was read to its end, nothing is left to be sent, and both sides
 * keep the connection.  Takes it: no more events.  Sets *conn to NULL.  One
 * that has ended, or holds bytes beyond the answer, is closed all the same. */
void dp_pool_give(struct dp_pool *pool, struct dp_conn **conn);
/* Closes it: cancelled, broken, "Connection: close", bytes beyond the answer. */
void dp_pool_drop(struct dp_pool *pool, struct dp_conn **conn);

/* Whether it served a request before, or waited in the pool. */
bool dp_conn_is_reused(struct dp_conn *conn);

/* --- changes ------------------------------------------------------------------ */

/* A new snapshot: targets with a new limit have it from now on; idle
 * connections to targets that are not among these are closed, and those in use
 * when they are given back.  Borrows targets for the call. */
void dp_pool_retain(struct dp_pool *pool, const struct dp_target *targets, size_t n);
/* Shutting down: closes what is idle and keeps nothing from now on; takes are
 * still served, since running requests may need another attempt. */
void dp_pool_drain(struct dp_pool *pool);

/* Borrowed; changes as things happen. */
const struct dp_pool_stats *dp_pool_stats(const struct dp_pool *pool);
