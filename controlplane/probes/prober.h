/* controlplane/probes/prober.h - asks providers how they are when traffic does not say.
 *
 * An actor, of which only the leader's does anything.  It knows from the tables
 * actor what was heard of which endpoint (a question every CP_PROBER_PULSE),
 * plans whose turn it is (controlplane/probes/probe_plan.h), has each probe allowed
 * and recorded by the ledger (controlplane/probes/probe.h), sends it
 * (controlplane/probes/fetch.h), and hands what it measured to the tables actor as a
 * sample and to the ledger as a record.
 *
 * A probe: a streamed chat completion of CP_PROBER_TOKENS tokens, or of
 * endpoints that do not chat an embedding of a word, with the house's key, on a
 * connection of its own.  Endpoints that give neither, whose dialect is not
 * spoken here, or that only tenants have keys for, are not probed.
 *
 * Besides, it reads the list of models of every provider that has endpoints
 * (controlplane/probes/models_list.h) and tells the ledger what is there otherwise
 * than in the catalogue (controlplane/probes/sightings.h).
 */
#pragma once

#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/err.h"

struct cp_prober;
struct cp_stats;
struct sb_keyring;
struct sb_mailbox;

enum {
    CP_PROBER_PULSE = 2000,
    CP_PROBER_TOKENS = 16,
    CP_PROBER_CONNECT_LIMIT = 5000,
    CP_PROBER_FIRST_LIMIT = 30000, /* until the first byte of an answer */
    CP_PROBER_LIMIT = 60000,
    CP_PROBER_LISTS = 4,        /* of models that are read at once: they may be big */
    CP_PROBER_NO_MONEY = 60000, /* pause of what the budget did not allow */
};

struct cp_prober_conf {
    sb_msec interval;                   /* how old news of an endpoint may be; 0: no probes */
    sb_msec list_interval;              /* between two looks at a list of models; 0: none */
    unsigned concurrency;               /* at once, over all providers; at least 1 */
    const struct sb_keyring *keyring;   /* borrowed */
    struct sb_mailbox *ledger, *tables; /* borrowed */
    struct cp_stats *stats;             /* borrowed */
};

int cp_prober_start(const struct cp_prober_conf *conf, struct cp_prober **ret,
                    struct sb_errmsg *err) SB_MUSTCHECK;
/* What is under way is given up, its record stays at the worst case. */
void cp_prober_stop(struct cp_prober **prober);
/* Takes CP_MAIL_LEAD, and of the ledger CP_MAIL_CATALOG and CP_MAIL_PROBES. */
struct sb_mailbox *cp_prober_mailbox(const struct cp_prober *prober);
