/* controlplane/tables/chronicle.h - what the leader's tables keep in the database, and find there.
 *
 * An actor with a connection of its own, so that the tables never wait for the
 * database.  While this daemon leads it
 *
 *  - stores the minutes of telemetry that the tables hand it
 *    (controlplane/tables/minutes.h),
 *  - tells the tables of a new leader what its predecessors stored: at once
 *    the last half hour and which endpoints were out, then the rest of the day,
 *    hour by hour,
 *  - records the detector's verdicts as events, each outage once whatever
 *    leaders come and go,
 *  - looks for evidence that expires (controlplane/events/expiry.h), whenever the
 *    configuration has changed, or the day.
 */
#pragma once

#include "common/attr.h"
#include "common/err.h"

struct cp_chronicle;
struct cp_stats;
struct sb_mailbox;

enum {
    CP_CHRONICLE_RETRY = 2000,        /* ms until a failure is tried again */
    CP_CHRONICLE_EXPIRY = 5000,       /* ms between two looks whether evidence may have expired */
    CP_CHRONICLE_MINUTES_MAX = 500000 /* rows that wait for the database; older ones are lost */
};

struct cp_chronicle_conf {
    const char *conninfo; /* all borrowed */
    const char *name;     /* of the daemon */
    struct cp_stats *stats;
};

/* Returns at once; the database may be away. */
int cp_chronicle_start(const struct cp_chronicle_conf *conf, struct cp_chronicle **ret,
                       struct sb_errmsg *err) SB_MUSTCHECK;
/* Tries once to store what waits. */
void cp_chronicle_stop(struct cp_chronicle **chronicle);
/* Takes CP_MAIL_LEAD, CP_MAIL_MINUTES, CP_MAIL_VERDICTS, and CP_MAIL_ATTACH of
 * the tables actor, which is told CP_MAIL_PAST. */
struct sb_mailbox *cp_chronicle_mailbox(const struct cp_chronicle *chronicle);
