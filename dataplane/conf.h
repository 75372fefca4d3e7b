/* dataplane/conf.h - the settings of switchboard-worker.
 *
 * Filled once at start from flags and SWITCHBOARD_* variables, then read only.
 * Texts are borrowed from argv and the environment.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/conf.h"

struct dp_conf {
    /* where */
    const char *listen; /* HOST:PORT, [HOST]:PORT */
    int64_t workers;
    int64_t slot; /* of a supervised worker; -1 in the supervisor */
    const char *status;
    const char *name;
    int log_format; /* enum sb_log_format */
    const char *log_level;
    /* control plane */
    const char *control;
    const char *publish;
    const char *bus_key;
    const char *bus_server;
    sb_msec start_wait;
    sb_msec snapshot_max_age; /* 0: any age */
    /* secrets */
    const char *keyring;
    /* clients */
    int64_t max_connections;
    uint64_t head_limit;
    uint64_t target_limit;
    uint64_t body_limit;
    uint64_t body_memory;
    int64_t json_depth;
    sb_msec head_timeout;
    sb_msec body_timeout;
    sb_msec idle_timeout;
    sb_msec write_timeout;
    sb_msec comment_interval;
    const char *cors_origin;
    const char *trusted_proxy;
    /* providers */
    sb_msec connect_timeout;
    sb_msec stream_silence;
    sb_msec stream_silence_reasoning;
    sb_msec first_token_last;
    sb_msec answer_timeout;
    sb_msec answer_timeout_last;
    uint64_t answer_hold;
    int64_t pool_per_provider;
    int64_t pool_idle;
    sb_msec pool_idle_timeout;
    /* records */
    const char *spool; /* directory */
    uint64_t spool_limit;
    sb_msec spool_sync;
    sb_msec sync_timeout;
    int digests; /* enum dp_digests */
    /* end */
    sb_msec drain_delay;
    sb_msec drain_timeout;
};

/* Of which requests the bodies are digested (dataplane/digest.h). */
enum dp_digests { DP_DIGESTS_ALL, DP_DIGESTS_RECEIPTS };

extern const struct sb_conf_spec dp_conf_spec;
