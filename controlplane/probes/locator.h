/* controlplane/probes/locator.h - looks where providers' addresses lie.
 *
 * An actor with a connection of its own, of which only the leader's does
 * anything.  At the start of a term, when the configuration or the country
 * database (controlplane/probes/country_db.h) has changed, and every
 * CP_LOCATOR_PERIOD, it makes a round: it looks up the host of each provider
 * one after the other, by getaddrinfo() in its own thread, which nobody waits
 * for; what is found is judged and acted on by controlplane/probes/location.h.  A host
 * that cannot be looked up says nothing.
 *
 * The file is read again when it has changed, and when CP_MAIL_REREAD comes;
 * one that cannot be read leaves what was read before.
 */
#pragma once

#include "common/attr.h"
#include "common/err.h"

struct cp_locator;
struct sb_keyring;
struct sb_mailbox;

enum {
    CP_LOCATOR_POLL = 1000,       /* ms between two looks whether anything has changed */
    CP_LOCATOR_PERIOD = 600000,   /* ms between two rounds of the same: names get other addresses */
    CP_LOCATOR_SPACING = 5000,    /* ms between two rounds in the long run */
    CP_LOCATOR_BURST = 4,         /* so many may come at once */
    CP_LOCATOR_ADDRESSES_MAX = 64 /* of one host */
};

struct cp_locator_conf {
    const char *conninfo; /* all borrowed */
    const char *name;     /* of the daemon */
    const char *path;     /* of the country database */
    const struct sb_keyring *keyring;
};

/* Codes of cp_country_db_new().  The database may be away. */
int cp_locator_start(const struct cp_locator_conf *conf, struct cp_locator **ret,
                     struct sb_errmsg *err) SB_MUSTCHECK;
/* Waits for one look-up at most. */
void cp_locator_stop(struct cp_locator **locator);
/* Takes CP_MAIL_LEAD and CP_MAIL_REREAD. */
struct sb_mailbox *cp_locator_mailbox(const struct cp_locator *locator);
