/* controlplane/conf.h - the settings of switchboard-control.
 *
 * Filled once at start from flags and SWITCHBOARD_* variables, then read only.
 * Texts are borrowed from argv and the environment.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/conf.h"

struct cp_conf {
    /* who */
    const char *name; /* NULL: the host's, see cp_conf_name() */
    int log_format;   /* enum sb_log_format */
    const char *log_level;
    /* database */
    const char *database;           /* conninfo of the serving login */
    const char *collector_database; /* of the one that stores records; NULL: the same */
    const char *owner_database; /* conninfo of the schema's owner; NULL: somebody else migrates */
    bool new_epoch;
    sb_msec audit_keep, telemetry_keep; /* 0: for ever */
    /* bus */
    const char *control, *publish; /* addresses to bind */
    const char *bus_key, *bus_clients;
    sb_msec tables_interval;
    /* events; the file for the URL or that of checkpoints */
    const char *webhook_url, *webhook_secret_file;
    /* the audit log; without a key nothing is signed */
    const char *log_key;
    sb_msec checkpoint_interval;
    int64_t checkpoint_records; /* 0: the interval alone counts */
    const char *checkpoint_file, *checkpoint_url, *checkpoint_database;
    const char *export_dir; /* NULL: days are not exported */
    bool export_before_drop;
    /* probes */
    sb_msec probe_interval;      /* 0: none */
    const char *probe_budget;    /* USD */
    int64_t probe_budget_amount; /* the same in 1e-15 USD, filled in by the check */
    int64_t probe_concurrency;
    sb_msec models_interval;      /* 0: never */
    int64_t price_rise_limit;     /* per cent */
    const char *country_database; /* NULL: addresses are not looked at */
    /* administration */
    const char *admin; /* HOST:PORT */
    const char *admin_token_file;
    const char *keyring;
};

extern const struct sb_conf_spec cp_conf_spec;

enum { CP_NAME_MAX = 64 }; /* bytes of a daemon's name, with its NUL */
/* The daemon's name: the setting, or the host's. */
void cp_conf_name(const struct cp_conf *conf, char ret_name[CP_NAME_MAX]);
