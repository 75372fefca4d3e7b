/* controlplane/log/exporter.h - writes each day of the log to a file.
 *
 * An actor of the leader with a connection of its own, of the collector's role.
 * When a day is over it writes DIR/YYYY-MM-DD.ndjson.zst (controlplane/log/export.h),
 * aside first, and only when the file is whole, proven and on the disk under its
 * name, a row of log_exports; from the first day of the log on, each continuing
 * the one before.  A day that is not what was signed gets no file: the log says
 * so, and nothing later is exported until it is.  After a crash between the file and
 * its row the day is written again: it is the same, but for records that retention took
 * meanwhile, which it does not where only exported days are dropped.
 */
#pragma once

#include "common/attr.h"
#include "common/clock.h"
#include "common/err.h"

struct cp_exporter;
struct sb_mailbox;

enum { CP_EXPORTER_POLL = 60 * 1000 /* ms between two looks for a day that is over */ };

struct cp_exporter_conf {
    const char *conninfo; /* all borrowed */
    const char *name;     /* of the daemon */
    const char *dir;      /* made when it is missing */
    sb_msec poll;         /* 0: CP_EXPORTER_POLL */
};

/* Returns at once; the database may be away. */
int cp_exporter_start(const struct cp_exporter_conf *conf, struct cp_exporter **ret,
                      struct sb_errmsg *err) SB_MUSTCHECK;
/* A file that is not whole is given up. */
void cp_exporter_stop(struct cp_exporter **exporter);
/* Takes CP_MAIL_LEAD. */
struct sb_mailbox *cp_exporter_mailbox(const struct cp_exporter *exporter);
