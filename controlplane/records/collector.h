/* controlplane/records/collector.h - takes batches of records until they are stored.
 *
 * An actor with a database connection of its own.  It stores what waits, some
 * batches in one transaction (controlplane/records/ingest.h), and only after the
 * commit tells the publisher to acknowledge them.  While the database is away
 * batches wait up to CP_COLLECTOR_BYTES, and are turned away beyond: the
 * worker keeps them and sends them again.
 *
 * It is the only one that appends to the log: also what other daemons and the
 * owner wrote down for it (controlplane/log/pending.h), soon after they did.
 */
#pragma once

#include "common/attr.h"
#include "common/err.h"

struct cp_collector;
struct cp_stats;
struct sb_mailbox;

enum {
    CP_COLLECTOR_BYTES = 128 << 20,     /* of batches that wait */
    CP_COLLECTOR_TRANSACTION = 8 << 20, /* bytes of records in one */
    CP_COLLECTOR_RETRY = 250,           /* ms after a failure, doubled up to */
    CP_COLLECTOR_RETRY_MAX = 4000,
    CP_COLLECTOR_LOOK = 500, /* ms between looks for entries that no record makes */
};

struct cp_collector_conf {
    const char *conninfo; /* all borrowed */
    const char *name;
    struct cp_stats *stats;
};

/* Returns at once; the database may be away. */
int cp_collector_start(const struct cp_collector_conf *conf, struct cp_collector **ret,
                       struct sb_errmsg *err) SB_MUSTCHECK;
void cp_collector_stop(struct cp_collector **collector);
/* Takes CP_MAIL_LEAD, CP_MAIL_BATCH, and CP_MAIL_ATTACH of the publisher, who
 * gets CP_MAIL_SEND of BATCH_OK. */
struct sb_mailbox *cp_collector_mailbox(const struct cp_collector *collector);
