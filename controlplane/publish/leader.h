/* controlplane/publish/leader.h - one daemon leads: it publishes, probes and collects.
 *
 * An actor with a database session of its own.  Who holds the session's
 * advisory lock leads; the others try to get it several times a second.
 *
 *      FOLLOWING --lock taken, term incremented--> LEADING
 *          ^                                          |
 *          +---session lost, or term not ours---------+
 *
 * What makes it safe:
 *  - The leader pings in its session; the server ends a session that is silent
 *    for CP_LEADER_SILENCE, and with it the lock.  A ping waits for less than
 *    that, so a leader that is cut off stops before another one begins.
 *  - A daemon that was stopped (SIGSTOP, a frozen machine) cannot stop in time.
 *    It wakes as the leader of an old term: its transactions fail, since each
 *    holds the term (SELECT ... FOR SHARE) until its commit, and workers
 *    ignore its messages.  If it was stopped inside of such a transaction the
 *    next leader ends that session.
 *
 * Epochs: see DESIGN.md.  The leader begins a new one when the database is not
 * the cluster or the history it was, when a worker holds what this history
 * cannot have made, or when told to.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/err.h"
#include "proto/version.h"

struct cp_leader;
struct cp_stats;
struct sb_mailbox;

enum {
    CP_LEADER_TRY = 250,      /* ms between two attempts to get the lock */
    CP_LEADER_PING = 500,     /* ms between two pings */
    CP_LEADER_ANSWER = 2000,  /* ms that one may take */
    CP_LEADER_SILENCE = 3000, /* ms until the server ends the session */
};

struct cp_leader_conf {
    const char *conninfo; /* all borrowed */
    const char *name;     /* of the daemon, told to people */
    bool new_epoch;       /* when it leads for the first time */
    struct cp_stats *stats;
};

/* Returns at once; the database may be away. */
int cp_leader_start(const struct cp_leader_conf *conf, struct cp_leader **ret,
                    struct sb_errmsg *err) SB_MUSTCHECK;
/* Gives the lock up: a standby has it within CP_LEADER_TRY. */
void cp_leader_stop(struct cp_leader **leader);
/* Takes CP_MAIL_ATTACH (who is told CP_MAIL_LEAD) and CP_MAIL_SUSPECT. */
struct sb_mailbox *cp_leader_mailbox(const struct cp_leader *leader);

/* The number of a new epoch, above all that were seen; 0: seen is nonsense
 * (it is more than a year ahead of the clock), do not follow it. */
uint64_t cp_epoch_after(uint64_t seen, sb_usec now);
