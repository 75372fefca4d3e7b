/* controlplane/upkeep.h - what only the owner of the schema may do: making the
 * partitions of the days to come, dropping those that are too old and under
 * no legal hold.
 *
 * An actor that opens a connection of the owner once an hour, and not longer
 * than it needs.  Any number of daemons may do it.
 */
#pragma once

#include <stdbool.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/err.h"

struct cp_upkeep;

enum {
    CP_UPKEEP_PERIOD = 3600 * 1000, /* ms */
    CP_UPKEEP_RETRY = 60 * 1000,    /* ms after a failure */
    CP_UPKEEP_AHEAD = 3,            /* days with a partition after today */
};

struct cp_upkeep_conf {
    const char *owner_conninfo; /* borrowed */
    const char *name;
    sb_msec audit_keep, telemetry_keep; /* 0: for ever */
    bool exported_only;                 /* audit records of days that were not exported stay */
};

int cp_upkeep_start(const struct cp_upkeep_conf *conf, struct cp_upkeep **ret,
                    struct sb_errmsg *err) SB_MUSTCHECK;
void cp_upkeep_stop(struct cp_upkeep **upkeep);
