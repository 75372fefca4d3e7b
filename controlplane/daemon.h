/* controlplane/daemon.h - the parts of switchboard-control, put together.
 *
 *      prepare (until it succeeds) -> start -> reload... -> stop
 *
 * sb_bus_init() comes before start, sb_bus_shutdown() after stop.
 */
#pragma once

#include "common/attr.h"
#include "common/err.h"

struct cp_conf;
struct cp_daemon;

/* Brings the schema up to date as its owner, if there are settings for that.
 * SB_EVERSION: the schema is another program's, do not try again; other codes
 * of controlplane/db.h may go away. */
int cp_daemon_prepare(const struct cp_conf *conf, struct sb_errmsg *err) SB_MUSTCHECK;

/* Borrows conf.  Reads keys, binds addresses; does not need the database. */
int cp_daemon_start(const struct cp_conf *conf, struct cp_daemon **ret,
                    struct sb_errmsg *err) SB_MUSTCHECK;
/* Reads files again: the keyring, the admin token, the workers' keys.  What is wrong is
 * logged, and stays as it was. */
void cp_daemon_reload(struct cp_daemon *daemon);
/* Gives up the lead, then ends everything; NULL is fine. */
void cp_daemon_stop(struct cp_daemon **daemon);
