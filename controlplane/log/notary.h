/* controlplane/log/notary.h - signs checkpoints of the log.
 *
 * An actor of the leader with a connection of its own, of the collector's role.
 * While the log grows it signs one every `interval`, or after `records` more entries: size and root
 * of the tree that log_head describes, as a note (common/checkpoint.h), into
 * log_checkpoints.  Those who keep checkpoints elsewhere (controlplane/log/witness.h)
 * read them there.
 *
 * Before it signs it proves from log_nodes that the tree is a continuation of
 * the last checkpoint it knows from outside of the database: what it signed
 * itself, or the last one of its file.  A tree that is not (an old backup, a
 * history that was rewritten) gets no signature: an event `log_forked`, and
 * the same again until the database is the one it was.  Likewise when a row that
 * we did not sign is where the checkpoint would go: nobody would get ours.
 */
#pragma once

#include "common/attr.h"
#include "common/clock.h"
#include "common/err.h"

struct cp_notary;
struct cp_stats;
struct sb_mailbox;
struct sb_note_signer;

enum { CP_NOTARY_POLL = 1000 /* ms at most between two looks at the log */ };

struct cp_notary_conf {
    const char *conninfo; /* all borrowed */
    const char *name;     /* of the daemon */
    struct cp_stats *stats;
    const struct sb_note_signer *signer;
    const char *file; /* NULL: none, then the newest of the database counts */
    sb_msec interval;
    uint64_t records; /* 0: the interval alone counts */
};

/* Returns at once; the database may be away. */
int cp_notary_start(const struct cp_notary_conf *conf, struct cp_notary **ret,
                    struct sb_errmsg *err) SB_MUSTCHECK;
void cp_notary_stop(struct cp_notary **notary);
/* Takes CP_MAIL_LEAD. */
struct sb_mailbox *cp_notary_mailbox(const struct cp_notary *notary);
