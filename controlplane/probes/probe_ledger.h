/* controlplane/probes/probe_ledger.h - the prober's side that talks to the database.
 *
 * An actor: it gives the prober the configuration when that has changed, lets
 * probes go that the budget allows, writes down what they cost, and acts on
 * prices that were seen (controlplane/probes/sightings.h).  It is
 * apart from the prober so that a database that does not answer never makes a
 * provider look slow.  Without a database nothing is probed.
 *
 * What it could not write it keeps, CP_LEDGER_KEPT mails of it, and writes
 * later; in a record that is never completed the cost stays the worst case.
 */
#pragma once

#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/err.h"

struct cp_ledger;
struct cp_stats;
struct sb_keyring;
struct sb_mailbox;

enum {
    CP_LEDGER_POLL = 1000,    /* ms between two looks at the head */
    CP_LEDGER_SPACING = 5000, /* ms between two readings of the configuration in the long run */
    CP_LEDGER_BURST = 4,      /* so many may come at once */
    CP_LEDGER_KEPT = 256,
};

struct cp_ledger_conf {
    const char *conninfo, *name;
    int64_t budget;                   /* of a day (UTC), 1e-15 USD */
    unsigned rise_limit;              /* per cent that a price may rise to be applied by itself */
    const struct sb_keyring *keyring; /* borrowed */
    struct cp_stats *stats;           /* borrowed */
};

int cp_ledger_start(const struct cp_ledger_conf *conf, struct cp_ledger **ret,
                    struct sb_errmsg *err) SB_MUSTCHECK;
void cp_ledger_stop(struct cp_ledger **ledger);
/* Takes CP_MAIL_LEAD, CP_MAIL_PROBES (wanted, done), CP_MAIL_SIGHTINGS, and CP_MAIL_ATTACH of the
 * prober, who gets CP_MAIL_CATALOG and CP_MAIL_PROBES (granted). */
struct sb_mailbox *cp_ledger_mailbox(const struct cp_ledger *ledger);
