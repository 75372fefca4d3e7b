/* controlplane/tables/windows_private.h - what the files of controlplane/tables/windows.h share.
 *
 *      windows.c       folds in, and is asked for what it has
 *      window_row.c    what is said of one endpoint
 *      windows_json.c  the same for people
 */
#pragma once

#include "common/mem.h"
#include "common/sketch.h"
#include "controlplane/tables/newest.h"
#include "controlplane/tables/outage.h"
#include "controlplane/tables/windows.h"

/* Ids are the database's: nobody chooses what collides. */
#define HASH_FUNCTION        HASH_FNV
#define uthash_malloc(size)  sb_mem_new(size)
#define uthash_free(p, size) sb_mem_free(p)
#include <uthash.h>

struct window {
    uint64_t endpoint;
    struct sb_list fresh; /* in windows->fresh while there is news */
    struct sb_list turn;  /* in windows->turns */
    struct sb_list out;   /* in windows->out while it is out */
    sb_msec heard;        /* newest news */
    struct cp_outage outage;
    sb_msec cooldown_until, cooldown_told;
    struct msg_table_row published;
    sb_msec published_at, looked_at;
    bool is_published, verdict_changed;
    struct cp_series traffic;
    struct cp_series *probes; /* NULL: none */
    struct cp_newest *paces;  /* of traffic, tokens per second; NULL: none */
    UT_hash_handle hh;
};

/* What a row is made of; the sketches are kept as scratch. */
struct scratch {
    struct cp_sums traffic, probes, wide, recent;
};

struct cp_windows {
    struct window *all;
    struct sb_list fresh;    /* with news since they were looked at */
    struct sb_list turns;    /* all, by looked_at */
    struct sb_list out;      /* those with a verdict */
    struct sb_list verdicts; /* struct cp_verdict, to be taken */
    struct sb_list minutes;  /* struct cp_minute, to be taken */
    struct cp_sums heard;    /* scratch of adding */
    struct scratch scratch;
    bool is_urgent;
};

struct window *cp_window_find(const struct cp_windows *windows, uint64_t endpoint);

/* Fills scratch->traffic and ->probes with one span. */
int cp_window_add_up(const struct window *window, enum cp_span span, sb_msec now,
                     struct scratch *scratch) SB_MUSTCHECK;
/* The row of an endpoint; scratch holds the last five minutes then. */
int cp_window_row(const struct window *window, sb_msec now, struct scratch *scratch,
                  struct msg_table_row *row) SB_MUSTCHECK;
/* Adds the half hour's percentiles, for what goes out: nothing is decided by
 * them, so they move no row. */
int cp_window_fill_half_hour(const struct window *window, sb_msec now, struct scratch *scratch,
                             struct msg_table_row *row) SB_MUSTCHECK;
bool cp_window_is_out(const struct window *window, sb_msec now);
/* Whether the row differs so much from what was published that it should be
 * published again. */
bool cp_window_has_moved(const struct msg_table_row *a, const struct msg_table_row *b);

/* Parts per million of the attempts that speak about the endpoint: of traffic,
 * or else of probes. */
uint32_t cp_window_uptime(const struct cp_sums *traffic, const struct cp_sums *probes);
void cp_window_put_latency(const struct sb_sketch *sketch, uint32_t ret[MSG_PERCENTILES]);
void cp_window_put_throughput(const struct sb_sketch *sketch, uint32_t ret[MSG_PERCENTILES]);
/* Traffic's when it has any, else that of probes. */
const struct sb_sketch *cp_window_either(const struct sb_sketch *traffic,
                                         const struct sb_sketch *probes);
