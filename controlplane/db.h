/* controlplane/db.h - PostgreSQL, one connection per object.
 *
 * The only door to libpq.  A connection belongs to one thread.  Every call
 * blocks its thread, and no longer than the query timeout: what the server
 * does not answer in time ends the connection, so that an actor is never
 * stuck behind a dead host or a stopped server.
 *
 *      new (connects) -> query/copy/listen ... -> destroy
 *        any call may find the connection lost: SB_ECONNRESET; it stays lost
 *        (all calls fail at once) until cp_db_reset() succeeds.
 *
 * SQL is always a constant text; values travel as parameters.  Results come in
 * binary form (controlplane/rows.h).
 * A session runs with search_path = switchboard and in UTC.
 *
 * Codes of all calls that talk to the server, beside SB_OK:
 *      SB_ECONNRESET   no connection, or lost; whether a COMMIT in flight
 *                      happened is unknown
 *      SB_ETIMEDOUT    lock or statement timeout of the server; or no answer
 *                      in time (the connection is then lost, too)
 *      SB_EAGAIN       serialization failure or deadlock: run the whole
 *                      transaction again
 *      SB_EEXIST       unique violation
 *      SB_EINVAL       the server refuses the data (other violations, bad
 *                      values): the same call will fail again
 *      SB_EACCES       the role may not
 *      SB_ENOSPC       disk or memory of the server is full
 *      SB_EDB          anything else
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/slice.h"
#include "controlplane/rows.h"

struct cp_db;
struct sb_buf;

struct cp_db_conf {
    const char *conninfo;    /* URI or "key=value ..."; all three are copied */
    const char *application; /* shown in pg_stat_activity */
    const char *role;        /* SET ROLE after connecting; NULL: as the login */
    sb_msec connect_timeout; /* 0: 5 s */
    sb_msec query_timeout;   /* 0: 60 s; see cp_db_set_timeout() */
    /* The server ends a session that asks nothing for so long: how a stopped
     * process loses its advisory locks.  0: never.  Inside of a transaction
     * it is 10 s at most, always. */
    sb_msec idle_timeout;
};

/* The role that serves, and the one that stores records; neither owns anything. */
#define CP_DB_SERVICE_ROLE   "switchboard_service"
#define CP_DB_COLLECTOR_ROLE "switchboard_collector"

/* Keepalives of 1 s and tcp_user_timeout of 3 s are set on every connection
 * over TCP.  err names the host, never the password.  SB_EINVAL: conninfo is
 * malformed. */
int cp_db_new(const struct cp_db_conf *conf, struct cp_db **ret_db,
              struct sb_errmsg *err) SB_MUSTCHECK;
void cp_db_destroy(struct cp_db **db);
/* Connects again with the same settings; what was listened to is listened to
 * again; a transaction that was open is gone. */
int cp_db_reset(struct cp_db *db, struct sb_errmsg *err) SB_MUSTCHECK;
/* False once a call has found the connection lost. */
bool cp_db_is_alive(const struct cp_db *db);
/* For the calls that follow; 0 is the one of the settings. */
void cp_db_set_timeout(struct cp_db *db, sb_msec timeout);
/* One round trip. */
int cp_db_ping(struct cp_db *db) SB_MUSTCHECK;

/* Of the last call that failed. */
struct cp_db_error {
    int code;              /* as returned */
    char sqlstate[6];      /* "23505"; empty when the server said nothing */
    char constraint[64];   /* name, or empty */
    struct sb_errmsg text; /* primary message and detail */
};
const struct cp_db_error *cp_db_last_error(const struct cp_db *db);

/* --- queries ------------------------------------------------------------------ */

enum cp_param_type { CP_PARAM_NULL, CP_PARAM_TEXT, CP_PARAM_BYTES, CP_PARAM_I64, CP_PARAM_BOOL };

struct cp_param {
    enum cp_param_type type;
    struct sb_slice bytes; /* TEXT (without NUL bytes), BYTES; borrowed for the call */
    int64_t number;        /* I64, BOOL */
};

/* TEXT is in the text form of whatever type the statement gives it: "{a,b}",
 * JSON, a date.  I64 goes out in text form as well. */
#define CP_P_TEXT(slice)  ((struct cp_param){.type = CP_PARAM_TEXT, .bytes = (slice)})
#define CP_P_STR(text)    ((struct cp_param){.type = CP_PARAM_TEXT, .bytes = sb_slice_of(text)})
#define CP_P_BYTES(slice) ((struct cp_param){.type = CP_PARAM_BYTES, .bytes = (slice)})
#define CP_P_I64(n)       ((struct cp_param){.type = CP_PARAM_I64, .number = (int64_t)(n)})
#define CP_P_BOOL(b)      ((struct cp_param){.type = CP_PARAM_BOOL, .number = (b) ? 1 : 0})
#define CP_P_NULL         ((struct cp_param){.type = CP_PARAM_NULL})

enum { CP_DB_PARAMS_MAX = 32 };

/* One statement; gives its rows (none for a statement without).  Fits
 *      cp_db_query(db, sql, CP_PARAMS(CP_P_I64(7), CP_P_STR("x")), &rows) */
#define CP_PARAMS(...)                                                                             \
    (const struct cp_param[]){__VA_ARGS__},                                                        \
        sizeof((const struct cp_param[]){__VA_ARGS__}) / sizeof(struct cp_param)
#define CP_NO_PARAMS NULL, 0
int cp_db_query(struct cp_db *db, const char *sql, const struct cp_param *params, size_t n_params,
                struct cp_rows **ret_rows) SB_MUSTCHECK;
/* The same for who does not want the rows; *ret_count (may be NULL) is how
 * many rows were changed or found. */
int cp_db_exec(struct cp_db *db, const char *sql, const struct cp_param *params, size_t n_params,
               uint64_t *ret_count) SB_MUSTCHECK;
/* Many statements in one text, without parameters and results (migrations). */
int cp_db_script(struct cp_db *db, const char *sql) SB_MUSTCHECK;

/* --- transactions -------------------------------------------------------------- */

enum cp_isolation {
    CP_READ_COMMITTED,
    CP_REPEATABLE_READ_ONLY, /* one state of everything; writes nothing */
    CP_SERIALIZABLE,
};

int cp_db_begin(struct cp_db *db, enum cp_isolation isolation) SB_MUSTCHECK;
int cp_db_commit(struct cp_db *db) SB_MUSTCHECK;
/* Fine at any time: also in a COPY, without a transaction, or a connection.  Keeps what
 * cp_db_last_error() says. */
void cp_db_rollback(struct cp_db *db);

/* Runs fn in a transaction: commits when it gives SB_OK, else rolls back and
 * returns its code.  What ends in SB_EAGAIN is run again, up to
 * CP_DB_TRIES times in all, so fn must be able to start anew. */
enum { CP_DB_TRIES = 5 };
typedef int cp_db_work_cb(struct cp_db *db, void *ctx);
int cp_db_transact(struct cp_db *db, enum cp_isolation isolation, cp_db_work_cb *fn,
                   void *ctx) SB_MUSTCHECK;

/* --- COPY ------------------------------------------------------------------------ */

/* sql: "COPY t (a, b) FROM STDIN (FORMAT binary)"; the bytes are built with
 * controlplane/copy.h.  After an error of put or end the copy is over and the
 * transaction failed. */
int cp_db_copy_begin(struct cp_db *db, const char *sql) SB_MUSTCHECK;
int cp_db_copy_put(struct cp_db *db, struct sb_slice bytes) SB_MUSTCHECK;
int cp_db_copy_end(struct cp_db *db, uint64_t *ret_rows) SB_MUSTCHECK;

/* --- notifications ----------------------------------------------------------------- */

/* A new revision was committed; the payload is "epoch.revision". */
#define CP_CHANNEL_CONFIG "switchboard_config"

/* channel: a constant of ours ([a-z_]), at most CP_DB_CHANNELS of them. */
enum { CP_DB_CHANNELS = 4 };
int cp_db_listen(struct cp_db *db, const char *channel) SB_MUSTCHECK;
/* For a poller: readable means call cp_db_notified() until SB_EAGAIN.  -1
 * without a connection; another one after cp_db_reset(). */
int cp_db_fd(const struct cp_db *db);
struct cp_notification {
    char channel[64];
    char payload[256];
};
/* Reads what has come, never waits.  Other calls on the connection read
 * notifications, too, and keep them: ask after those as well.  SB_EAGAIN:
 * nothing; SB_ECONNRESET. */
int cp_db_notified(struct cp_db *db, struct cp_notification *ret_notification) SB_MUSTCHECK;
