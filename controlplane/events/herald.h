/* controlplane/events/herald.h - tells events: one log line each, and the webhook.
 *
 * An actor of the leader with a connection of its own.  It works the outbox
 * off (controlplane/events/events.h): whoever recorded an event, on whatever daemon,
 * it is logged once and posted until the receiver takes it, so a receiver may
 * see an event twice, and knows it by its number.  After CP_HERALD_PATIENCE an
 * event that nobody takes is given up, and counted.
 *
 * A notification is a hint; the outbox is looked at every second, too.
 */
#pragma once

#include "common/attr.h"
#include "common/err.h"

struct cp_herald;
struct cp_stats;
struct cp_webhook;
struct sb_mailbox;

enum {
    CP_HERALD_POLL = 1000,          /* ms */
    CP_HERALD_PATIENCE = 24 * 3600, /* s */
};

struct cp_herald_conf {
    const char *conninfo; /* all borrowed */
    const char *name;     /* of the daemon */
    struct cp_stats *stats;
    struct cp_webhook *webhook; /* its alone while it runs; NULL: events are logged only */
};

/* Returns at once; the database may be away. */
int cp_herald_start(const struct cp_herald_conf *conf, struct cp_herald **ret,
                    struct sb_errmsg *err) SB_MUSTCHECK;
/* May take as long as a post. */
void cp_herald_stop(struct cp_herald **herald);
/* Takes CP_MAIL_LEAD. */
struct sb_mailbox *cp_herald_mailbox(const struct cp_herald *herald);
