/* proto/tables.h - what every endpoint does right now.
 *
 * Apart from the catalogue, versioned by (epoch, term, sequence).  A message
 * carries the rows that changed; sequence grows by one per message, and a
 * receiver that misses one asks for all rows.  Every row carries its age.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/attr.h"
#include "common/buf.h"
#include "common/slice.h"
#include "proto/limits.h"

/* Order of the percentiles in a row: p50, p75, p90, p99. */
enum { MSG_PERCENTILES = 4 };
/* A value that nobody has measured. */
#define MSG_NO_DATA UINT32_MAX

struct msg_table_row {
    uint64_t endpoint;   /* stable id */
    uint32_t age;        /* milliseconds since the newest sample, at the sender */
    bool outage;         /* the detector's verdict; dies after 30 s without news */
    uint32_t outage_age; /* milliseconds since the verdict; 0 without one */
    uint32_t samples;    /* attempts in the window */
    uint32_t uptime;     /* parts per million, or MSG_NO_DATA */
    uint32_t first_token[MSG_PERCENTILES]; /* milliseconds, or MSG_NO_DATA */
    uint32_t throughput[MSG_PERCENTILES];  /* 1/1000 token per second, or MSG_NO_DATA */
    uint32_t mean_completion;              /* tokens; 0 no data */
    uint32_t cooldown;                     /* milliseconds left of a Retry-After; 0 none */
    uint32_t uptime_half_hour, uptime_day; /* as uptime, over longer times */
    uint32_t first_token_half_hour[MSG_PERCENTILES]; /* as above, of the last 30 minutes */
    uint32_t throughput_half_hour[MSG_PERCENTILES];
};

struct msg_tables {
    uint64_t epoch, term, sequence;
    bool complete; /* all rows, not only those that changed */
    struct msg_table_row *rows;
    size_t n_rows;
};

/* Errors: SB_ENOMEM, SB_ETOOBIG. */
int msg_tables_encode(const struct msg_tables *msg, struct sb_buf *out) SB_MUSTCHECK;
/* Rows come from arena.  Errors: SB_EPARSE, SB_ETOOBIG, SB_ENOMEM. */
int msg_tables_decode(struct sb_slice bytes, struct sb_arena *arena,
                      struct msg_tables *ret_msg) SB_MUSTCHECK;
