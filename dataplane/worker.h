/* dataplane/worker.h - the top object of one worker process.
 *
 * Owns the loop and all that lives on it.  Single-threaded: the courier, the
 * only other thread, is reached through dataplane/courier/courier.h.  Modules of the
 * request path read the members they need; each member names its writer.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/http1.h"
#include "common/list.h"
#include "common/loop.h"
#include "dataplane/forwarded.h"
#include "dataplane/records/wait.h"
#include "dataplane/stats.h"

struct dp_client;
struct dp_conf;
struct dp_courier;
struct dp_dialer;
struct dp_breakers;
struct dp_listener;
struct dp_paces;
struct dp_pool;
struct dp_receipts;
struct dp_refusals;
struct dp_snapshot;
struct dp_spool;
struct dp_status;
struct dp_tables;
struct dp_telemetry;
struct sb_keyring;

enum {
    DP_SCRATCH_BYTES = 64 * 1024,
    DP_ARENA_BYTES = 16 * 1024,
    DP_DATE_MAX = 48, /* "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" */
};

enum dp_drain {
    DP_DRAIN_NONE,
    DP_DRAIN_NOTICE, /* /readyz says so; all is served */
    DP_DRAIN_WAIT,   /* no new connections; requests that run or arrive end */
    DP_DRAIN_CUT,    /* what is left was ended; last bytes leave */
};

struct dp_worker {
    const struct dp_conf *conf; /* borrowed */
    const struct sb_clock *clock;
    struct sb_loop *loop;
    struct dp_listener *listener;
    struct sb_timer open; /* of the listener, when no snapshot comes */
    struct dp_status *status;
    struct dp_dialer *dialer;
    struct dp_pool *pool;
    struct dp_spool *spool;
    struct dp_courier *courier;
    struct dp_telemetry *telemetry;
    struct dp_paces *paces;       /* what running streams tell the telemetry */
    struct dp_breakers *breakers; /* and cooldowns, by candidate */
    struct dp_receipts *receipts; /* the key that promises them */
    struct sb_keyring *keyring;   /* of the loop's thread only; SIGHUP reads it again */
    struct dp_proxies proxies;    /* whose X-Forwarded-For is believed */

    /* What is served by; NULL until the first.  Only dp_worker_adopt_*()
     * write them. */
    struct dp_snapshot *snapshot;
    struct dp_tables *tables;

    struct sb_list clients; /* dp_client */
    struct sb_list tails;   /* dataplane/tail.c */
    struct dp_waits waits;  /* for records to be safe: dataplane/durable.h */
    uint32_t n_clients;
    uint32_t n_requests; /* from head to record */
    uint64_t body_bytes; /* held by requests; at most conf->body_memory */
    bool draining;

    /* Lent to whoever runs, never across a return to the loop. */
    char *scratch;                 /* DP_SCRATCH_BYTES: what was read */
    struct sb_buf out;             /* a body being put together, for either side */
    struct sb_buf head;            /* its head */
    struct sb_buf usage;           /* the "usage" of an answer */
    struct sb_buf record;          /* an encoded record */
    struct sb_http1_field *fields; /* DP_CLIENT_FIELDS_MAX: of a head that came whole */
    struct sb_arena_cache *arenas;
    struct sb_http1_limits request_limits, answer_limits;

    struct dp_stats stats;
    uint64_t random[2];     /* state of dp_worker_random() */
    char name[64];          /* in the fleet: "host-0" */
    char snapshot_text[48]; /* "epoch.revision" of the snapshot */
    uint8_t snapshot_text_n;
    char generation_start[32]; /* "gen-<second>-", of the current second */
    uint8_t generation_start_n;
    int64_t generation_second;
    bool from_disk;     /* the snapshot is not confirmed by a daemon */
    int64_t adopted_at; /* unix seconds */
    uint64_t requests_done;
    struct dp_refusals *refusals;
    char date[DP_DATE_MAX]; /* field of the current second */
    size_t date_n;
    sb_msec date_until;
    struct sb_hook turn_end;
    struct sb_timer second;

    /* end */
    enum dp_drain drain_phase;
    sb_msec drain_until;
    struct sb_timer drain_timer;
    bool has_signals;
    struct sb_signal sigterm, sigint, sighup, hurry;
};

/* conf is borrowed.  listen_fd and status_fd are taken; status_fd may be -1.
 * Errors: text in err; everything that was opened is closed. */
int dp_worker_new(const struct dp_conf *conf, int listen_fd, int status_fd,
                  struct dp_worker **ret_worker, struct sb_errmsg *err) SB_MUSTCHECK;
void dp_worker_destroy(struct dp_worker **worker);
/* Serves until SIGTERM or SIGINT has been drained. */
void dp_worker_run(struct dp_worker *worker);

/* Takes what the courier built; the old one goes once its requests let go. */
void dp_worker_adopt_snapshot(struct dp_worker *worker, struct dp_snapshot **taken);

/* A refusal before authentication: counted per reason and minute. */
void dp_worker_count_refusal(struct dp_worker *worker, const char *reason);
/* Fast and unpredictable enough for the draw; not for secrets. */
uint64_t dp_worker_random(struct dp_worker *worker);
/* "Date: ...\r\n" of this second. */
struct sb_slice dp_worker_date(struct dp_worker *worker);
/* Begins the drain, as SIGTERM does; nothing when it has begun. */
void dp_worker_drain(struct dp_worker *worker);
/* Ends the drain at once, as DP_HURRY_SIGNAL does. */
void dp_worker_hurry(struct dp_worker *worker);
/* A request or a client ended: the drain may be over. */
void dp_worker_request_ended(struct dp_worker *worker);
void dp_worker_client_ended(struct dp_worker *worker);
