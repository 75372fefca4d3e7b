/* controlplane/records/answers.h - answers what clients ask the control plane by way
 * of their worker: one generation, its receipt, the key itself, its credits.
 *
 * An actor with a database connection of its own, since it waits.  A question
 * that the database does not answer soon is answered 503, and so is one that
 * waited in line so long that nobody waits for its answer any more: a slow
 * database makes no queue.
 */
#pragma once

#include <stdbool.h>

#include "common/attr.h"
#include "common/err.h"

struct cp_answers;
struct cp_stats;
struct sb_mailbox;

enum { CP_ANSWERS_PATIENCE = 2000 }; /* ms that the database may take; the worker waits as long */

struct cp_answers_conf {
    const char *conninfo; /* all borrowed */
    const char *name;
    struct cp_stats *stats;
    bool is_signing; /* this daemon signs the log */
};

int cp_answers_start(const struct cp_answers_conf *conf, struct cp_answers **ret,
                     struct sb_errmsg *err) SB_MUSTCHECK;
void cp_answers_stop(struct cp_answers **answers);
/* Takes CP_MAIL_QUERY, and CP_MAIL_ATTACH of the publisher, who gets
 * CP_MAIL_SEND of ANSWER. */
struct sb_mailbox *cp_answers_mailbox(const struct cp_answers *answers);
