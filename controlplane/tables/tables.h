/* controlplane/tables/tables.h - turns telemetry into the tables that workers route by.
 *
 * An actor: it folds beats and probes into windows (controlplane/tables/windows.h),
 * and hands the publisher the rows that are due: once per interval, and
 * CP_TABLES_HASTE after a verdict on an outage or a cooldown.
 *
 * A leader that begins first hears from the history what its predecessors
 * saw; until then, or CP_TABLES_PATIENCE, it publishes nothing: workers go on
 * by the rows that they hold.
 */
#pragma once

#include "common/attr.h"
#include "common/clock.h"
#include "common/err.h"

struct cp_stats;
struct cp_tables;
struct sb_mailbox;

enum {
    CP_TABLES_HASTE = 20,      /* ms */
    CP_TABLES_PATIENCE = 5000, /* ms */
};

struct cp_tables_conf {
    sb_msec interval;
    struct cp_stats *stats;       /* borrowed */
    struct sb_mailbox *chronicle; /* borrowed; NULL: none */
};

int cp_tables_start(const struct cp_tables_conf *conf, struct cp_tables **ret,
                    struct sb_errmsg *err) SB_MUSTCHECK;
void cp_tables_stop(struct cp_tables **tables);
/* Takes CP_MAIL_LEAD, CP_MAIL_BEAT, CP_MAIL_SAMPLES, CP_MAIL_ROWS,
 * CP_MAIL_PAST, the questions CP_ASK_TABLES and CP_ASK_PULSE, and CP_MAIL_ATTACH of the
 * publisher, who gets CP_MAIL_SEND of TABLES. */
struct sb_mailbox *cp_tables_mailbox(const struct cp_tables *tables);
