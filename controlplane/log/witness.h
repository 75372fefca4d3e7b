/* controlplane/log/witness.h - brings checkpoints of the log to where the database
 * is not: a file, a receiver of HTTP, a second database.
 *
 * Each is an actor of the leader with a connection of its own, so that one that
 * is slow or away holds up nobody.  It reads log_checkpoints from where the
 * other side stands (after a restart too) and hands over what that has missed,
 * in order, one after the other, until it is taken; what our key did not sign
 * is passed over.
 *
 *      file        the last note in it says where it stands
 *      database    the greatest size in its table
 *      url         cannot be asked: a row of log_witnesses; one that is new
 *                  begins with the newest checkpoint
 *
 * A receiver gets {"log": ..., "size": ..., "note": "..."} as an event of kind
 * `checkpoint` (controlplane/events/webhook.h); its delivery number is the size.
 */
#pragma once

#include <stdint.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/slice.h"

struct cp_db;
struct cp_stats;
struct cp_webhook;
struct cp_witness;
struct sb_mailbox;
struct sb_note_key;

enum cp_witness_kind { CP_WITNESS_FILE, CP_WITNESS_URL, CP_WITNESS_DATABASE, CP_WITNESS_KINDS };
const char *cp_witness_name(enum cp_witness_kind kind); /* "file": also the metric label */

enum { CP_WITNESS_POLL = 1000 /* ms */ };

struct cp_witness_conf {
    enum cp_witness_kind kind;
    const char *conninfo; /* all borrowed */
    const char *name;     /* of the daemon */
    struct cp_stats *stats;
    const struct sb_note_key *key;
    const char *where;          /* path, URL or conninfo */
    struct cp_webhook *webhook; /* of a URL; its alone */
};

/* Returns at once; everything may be away. */
int cp_witness_start(const struct cp_witness_conf *conf, struct cp_witness **ret,
                     struct sb_errmsg *err) SB_MUSTCHECK;
/* May take as long as a post. */
void cp_witness_stop(struct cp_witness **witness);
/* Takes CP_MAIL_LEAD. */
struct sb_mailbox *cp_witness_mailbox(const struct cp_witness *witness);
