/* controlplane/publish/source.h - where the publisher gets what it publishes.
 *
 * An actor that follows the head of the configuration: it listens for
 * CP_CHANNEL_CONFIG, polls once a second (a notification is a hint only) and
 * compiles what is new, at most five times a second in the long run.
 *
 * A standby polls only, and keeps the newest snapshot ready, so that it
 * publishes at once when it leads; the leader's compiling stores the bytes,
 * and a standby then finds them.
 */
#pragma once

#include "common/attr.h"
#include "common/err.h"

struct cp_source;
struct cp_stats;
struct sb_mailbox;

enum {
    CP_SOURCE_POLL = 1000,   /* ms */
    CP_SOURCE_SPACING = 200, /* ms between compilations, in the long run */
    CP_SOURCE_BURST = 5,
};

struct cp_source_conf {
    const char *conninfo; /* all borrowed */
    const char *name;
    struct sb_mailbox *publisher; /* gets CP_MAIL_COMPILED */
    struct cp_stats *stats;
};

/* Returns at once; the database may be away. */
int cp_source_start(const struct cp_source_conf *conf, struct cp_source **ret,
                    struct sb_errmsg *err) SB_MUSTCHECK;
void cp_source_stop(struct cp_source **source);
/* Takes CP_MAIL_LEAD. */
struct sb_mailbox *cp_source_mailbox(const struct cp_source *source);
