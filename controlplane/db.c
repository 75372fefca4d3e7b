/* controlplane/db.c - see db.h for the contract. */
#include "controlplane/db.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "common/check.h"
#include "common/mem.h"

enum {
    DEFAULT_CONNECT_MS = 5000,
    DEFAULT_QUERY_MS = 60000,
    IDLE_IN_TRANSACTION_MS = 10000,
    COPY_CHUNK = 1 << 18, /* bytes handed to libpq at once: what it may have to buffer */
};

#define PG_BYTEA 17 /* its type in PostgreSQL's catalogue, which never changes */

struct cp_db {
    PGconn *conn; /* NULL: lost */
    char *conninfo, *application, *role;
    sb_msec connect_timeout, query_timeout, idle_timeout;
    sb_msec timeout; /* of the calls that follow */
    bool in_transaction;
    char channels[CP_DB_CHANNELS][64];
    size_t n_channels;
    struct cp_db_error error;
};

/* --- errors ------------------------------------------------------------------ */

static int code_of(const char *state)
{
    static const struct {
        const char *prefix;
        int code;
    } map[] = {
        {"40001", SB_EAGAIN},    {"40P01", SB_EAGAIN},    {"23505", SB_EEXIST},
        {"22", SB_EINVAL},       {"23", SB_EINVAL},       {"42501", SB_EACCES},
        {"55P03", SB_ETIMEDOUT}, {"57014", SB_ETIMEDOUT}, {"53", SB_ENOSPC},
        {"57P", SB_ECONNRESET},  {"08", SB_ECONNRESET},   {"55000", SB_ECONFLICT},
    };

    for (size_t i = 0; i < SB_ARRAY_LEN(map); i++)
        if (strncmp(state, map[i].prefix, strlen(map[i].prefix)) == 0)
            return map[i].code;
    return SB_EDB;
}

static void copy_text(char *to, size_t size, const char *from)
{
    (void)snprintf(to, size, "%s", from != NULL ? from : "");
}

/* libpq's messages end in line feeds. */
static void trim(char *text)
{
    size_t n = strlen(text);

    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
        text[--n] = '\0';
}

static int lose(struct cp_db *db, int code, const char *why)
{
    db->error = (struct cp_db_error){.code = code};
    copy_text(db->error.text.text, sizeof(db->error.text.text), why);
    trim(db->error.text.text);
    PQfinish(db->conn); /* after the text: it may be the connection's */
    db->conn = NULL;
    db->in_transaction = false;
    return code;
}

/* What the server said about a statement that failed. */
static int refuse(struct cp_db *db, const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

    if (PQstatus(db->conn) == CONNECTION_BAD)
        return lose(db, SB_ECONNRESET, message != NULL ? message : PQerrorMessage(db->conn));
    db->error = (struct cp_db_error){.code = SB_EDB};
    if (state != NULL)
        db->error.code = code_of(state);
    copy_text(db->error.sqlstate, sizeof(db->error.sqlstate), state);
    copy_text(db->error.constraint, sizeof(db->error.constraint),
              PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME));
    (void)snprintf(db->error.text.text, sizeof(db->error.text.text), "%s%s%s",
                   message != NULL ? message : "no message", detail != NULL ? ": " : "",
                   detail != NULL ? detail : "");
    trim(db->error.text.text);
    return db->error.code;
}

const struct cp_db_error *cp_db_last_error(const struct cp_db *db)
{
    return &db->error;
}

/* --- waiting ------------------------------------------------------------------- */

static int wait_socket(struct cp_db *db, short events, sb_msec deadline)
{
    struct pollfd pfd = {.fd = PQsocket(db->conn), .events = events};
    sb_msec now = sb_clock_now(&sb_clock_system);
    int n;

    if (now >= deadline)
        return lose(db, SB_ETIMEDOUT, "the server does not answer in time");
    n = poll(&pfd, 1, deadline - now < INT32_MAX ? (int)(deadline - now) : INT32_MAX);
    if (n < 0 && errno != EINTR)
        return lose(db, SB_ECONNRESET, "poll failed");
    return SB_OK;
}

/* Sends all that libpq holds, reading meanwhile: a server that cannot write
 * would not read either. */
static int flush(struct cp_db *db, sb_msec deadline)
{
    for (;;) {
        int left = PQflush(db->conn);
        int rc;

        if (left == 0)
            return SB_OK;
        if (left < 0)
            return lose(db, SB_ECONNRESET, PQerrorMessage(db->conn));
        rc = wait_socket(db, POLLIN | POLLOUT, deadline);
        if (rc != SB_OK)
            return rc;
        if (PQconsumeInput(db->conn) == 0)
            return lose(db, SB_ECONNRESET, PQerrorMessage(db->conn));
    }
}

static int next_result(struct cp_db *db, sb_msec deadline, PGresult **ret_result)
{
    while (PQisBusy(db->conn)) {
        int rc = wait_socket(db, POLLIN, deadline);

        if (rc != SB_OK)
            return rc;
        if (PQconsumeInput(db->conn) == 0)
            return lose(db, SB_ECONNRESET, PQerrorMessage(db->conn));
    }
    *ret_result = PQgetResult(db->conn);
    return SB_OK;
}

static sb_msec deadline_of(const struct cp_db *db)
{
    return sb_clock_now(&sb_clock_system) + db->timeout;
}

/* The outcome of what was sent: the last result, or the first that failed. */
static int finish(struct cp_db *db, sb_msec deadline, PGresult **ret_result)
{
    PGresult *kept = NULL;
    int rc = flush(db, deadline);

    while (rc == SB_OK) {
        PGresult *result = NULL;
        ExecStatusType status;

        rc = next_result(db, deadline, &result);
        if (rc != SB_OK || result == NULL)
            break;
        if (kept != NULL && PQresultStatus(kept) == PGRES_FATAL_ERROR) {
            PQclear(result);
            continue;
        }
        PQclear(kept);
        kept = result;
        status = PQresultStatus(kept);
        if (status == PGRES_COPY_IN)
            break;
    }
    if (rc != SB_OK) {
        PQclear(kept);
        return rc;
    }
    if (kept == NULL)
        return lose(db, SB_ECONNRESET, "the server ended the connection");
    if (PQresultStatus(kept) == PGRES_FATAL_ERROR || PQresultStatus(kept) == PGRES_BAD_RESPONSE) {
        rc = refuse(db, kept);
        PQclear(kept);
        return rc;
    }
    *ret_result = kept;
    return SB_OK;
}

static int is_lost(struct cp_db *db)
{
    if (db->conn != NULL)
        return SB_OK;
    if (db->error.code == SB_OK)
        db->error.code = SB_ECONNRESET;
    return SB_ECONNRESET;
}

/* One text of ours, any number of statements. */
static int simple(struct cp_db *db, const char *sql, PGresult **ret_result)
{
    int rc = is_lost(db);

    if (rc != SB_OK)
        return rc;
    if (PQsendQuery(db->conn, sql) == 0)
        return lose(db, SB_ECONNRESET, PQerrorMessage(db->conn));
    return finish(db, deadline_of(db), ret_result);
}

int cp_db_script(struct cp_db *db, const char *sql)
{
    PGresult *result = NULL;
    int rc = simple(db, sql, &result);

    PQclear(result);
    return rc;
}

/* --- connecting ------------------------------------------------------------------ */

static void ignore_notice(void *ctx, const PGresult *result)
{
    (void)ctx;
    (void)result;
}

static int setup_session(struct cp_db *db)
{
    char sql[512];
    sb_msec idle = db->idle_timeout;
    sb_msec in_transaction =
        idle != 0 && idle < IDLE_IN_TRANSACTION_MS ? idle : IDLE_IN_TRANSACTION_MS;
    int rc;

    /* jit: compiling costs more than our statements take.  The connection
     * check ends statements of clients that are gone. */
    (void)snprintf(sql, sizeof(sql),
                   "SET search_path = switchboard, pg_catalog, pg_temp;"
                   "SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET jit = off;"
                   "SET lock_timeout = '10s'; SET client_connection_check_interval = '5s';"
                   "SET idle_in_transaction_session_timeout = %" PRIu64 ";"
                   "SET idle_session_timeout = %" PRIu64,
                   in_transaction, idle);
    rc = cp_db_script(db, sql);
    if (rc == SB_OK && db->role != NULL) {
        char *name = PQescapeIdentifier(db->conn, db->role, strlen(db->role));

        if (name == NULL)
            return lose(db, SB_EINVAL, "the role has no valid name");
        (void)snprintf(sql, sizeof(sql), "SET ROLE %.200s", name);
        PQfreemem(name);
        rc = cp_db_script(db, sql);
    }
    for (size_t i = 0; rc == SB_OK && i < db->n_channels; i++) {
        (void)snprintf(sql, sizeof(sql), "LISTEN %s", db->channels[i]);
        rc = cp_db_script(db, sql);
    }
    return rc;
}

static int connect_now(struct cp_db *db)
{
    char seconds[16];
    const char *const names[] = {"fallback_application_name",
                                 "client_encoding",
                                 "keepalives_idle",
                                 "keepalives_interval",
                                 "keepalives_count",
                                 "tcp_user_timeout",
                                 "connect_timeout",
                                 "dbname", /* last: what it says wins */
                                 NULL};
    const char *const values[] = {db->application != NULL ? db->application : "switchboard",
                                  "UTF8",
                                  "1",
                                  "1",
                                  "3",
                                  "3000",
                                  seconds,
                                  db->conninfo,
                                  NULL};
    sb_msec timeout = db->timeout;
    int rc;

    (void)snprintf(seconds, sizeof(seconds), "%u", (unsigned)((db->connect_timeout + 999) / 1000));
    db->error = (struct cp_db_error){.code = SB_OK};
    db->in_transaction = false;
    db->conn = PQconnectdbParams(names, values, 1);
    if (db->conn == NULL)
        return lose(db, SB_ENOMEM, "no memory for a connection");
    if (PQstatus(db->conn) != CONNECTION_OK)
        return lose(db, SB_ECONNRESET, PQerrorMessage(db->conn));
    PQsetNoticeReceiver(db->conn, ignore_notice, NULL);
    if (PQsetnonblocking(db->conn, 1) != 0)
        return lose(db, SB_ECONNRESET, PQerrorMessage(db->conn));
    db->timeout = db->connect_timeout;
    rc = setup_session(db);
    db->timeout = timeout;
    if (rc != SB_OK && db->conn != NULL) {
        struct cp_db_error error = db->error;

        (void)lose(db, rc, "");
        db->error = error;
    }
    return rc;
}

/* libpq quotes what it cannot parse, password and all: we do not. */
static bool is_conninfo(const char *conninfo)
{
    PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
    bool valid = options != NULL;

    PQconninfoFree(options);
    return valid;
}

int cp_db_new(const struct cp_db_conf *conf, struct cp_db **ret_db, struct sb_errmsg *err)
{
    struct cp_db *db;
    int rc;

    if (!is_conninfo(conf->conninfo))
        return sb_err_set(
            err, SB_EINVAL,
            "the database's address is neither a URI (postgresql://...) nor a list of "
            "key=value");
    db = sb_mem_new(sizeof(*db));
    db->conninfo = sb_mem_strdup(conf->conninfo);
    db->application = conf->application != NULL ? sb_mem_strdup(conf->application) : NULL;
    db->role = conf->role != NULL ? sb_mem_strdup(conf->role) : NULL;
    db->connect_timeout = conf->connect_timeout != 0 ? conf->connect_timeout : DEFAULT_CONNECT_MS;
    db->query_timeout = conf->query_timeout != 0 ? conf->query_timeout : DEFAULT_QUERY_MS;
    db->idle_timeout = conf->idle_timeout;
    db->timeout = db->query_timeout;
    rc = connect_now(db);
    if (rc != SB_OK) {
        (void)sb_err_set(err, rc, "cannot use the database: %.200s", db->error.text.text);
        cp_db_destroy(&db);
        return rc;
    }
    *ret_db = db;
    return SB_OK;
}

void cp_db_destroy(struct cp_db **db)
{
    if (*db == NULL)
        return;
    PQfinish((*db)->conn);
    if ((*db)->conninfo != NULL) /* may hold a password */
        explicit_bzero((*db)->conninfo, strlen((*db)->conninfo));
    sb_mem_free((*db)->conninfo);
    sb_mem_free((*db)->application);
    sb_mem_free((*db)->role);
    sb_mem_free(*db);
    *db = NULL;
}

int cp_db_reset(struct cp_db *db, struct sb_errmsg *err)
{
    int rc;

    PQfinish(db->conn);
    db->conn = NULL;
    rc = connect_now(db);
    if (rc != SB_OK)
        (void)sb_err_set(err, rc, "cannot use the database: %.200s", db->error.text.text);
    return rc;
}

bool cp_db_is_alive(const struct cp_db *db)
{
    return db->conn != NULL;
}

void cp_db_set_timeout(struct cp_db *db, sb_msec timeout)
{
    db->timeout = timeout != 0 ? timeout : db->query_timeout;
}

int cp_db_ping(struct cp_db *db)
{
    return cp_db_script(db, "SELECT 1");
}

/* --- queries ------------------------------------------------------------------------ */

/* The parameters as libpq wants them. */
struct bound {
    const char *values[CP_DB_PARAMS_MAX];
    int lengths[CP_DB_PARAMS_MAX], formats[CP_DB_PARAMS_MAX];
    Oid types[CP_DB_PARAMS_MAX]; /* 0: what the statement makes of it */
    char numbers[CP_DB_PARAMS_MAX][24];
    char *copies[CP_DB_PARAMS_MAX]; /* of texts: libpq wants them terminated */
};

static void bound_release(struct bound *bound)
{
    for (size_t i = 0; i < CP_DB_PARAMS_MAX; i++)
        sb_mem_free(bound->copies[i]);
}

static int bind_one(struct bound *bound, size_t i, const struct cp_param *param)
{
    switch (param->type) {
    case CP_PARAM_NULL:
        break;
    case CP_PARAM_TEXT:
        if (param->bytes.n > 0 && memchr(param->bytes.p, '\0', param->bytes.n) != NULL)
            return SB_EINVAL;
        bound->copies[i] = sb_mem_try(param->bytes.n + 1);
        if (bound->copies[i] == NULL)
            return SB_ENOMEM;
        if (param->bytes.n > 0)
            memcpy(bound->copies[i], param->bytes.p, param->bytes.n);
        bound->values[i] = bound->copies[i];
        break;
    case CP_PARAM_BYTES:
        if (param->bytes.n > INT32_MAX)
            return SB_ETOOBIG;
        bound->values[i] = param->bytes.p != NULL ? param->bytes.p : "";
        bound->lengths[i] = (int)param->bytes.n;
        bound->formats[i] = 1;
        bound->types[i] = PG_BYTEA;
        break;
    case CP_PARAM_I64:
        (void)snprintf(bound->numbers[i], sizeof(bound->numbers[i]), "%" PRId64, param->number);
        bound->values[i] = bound->numbers[i];
        break;
    case CP_PARAM_BOOL:
        bound->values[i] = param->number != 0 ? "t" : "f";
        break;
    }
    return SB_OK;
}

static int run(struct cp_db *db, const char *sql, const struct cp_param *params, size_t n_params,
               PGresult **ret_result)
{
    SB_CLEANUP(bound_release) struct bound bound = {.values = {NULL}};
    int rc = is_lost(db);

    if (rc != SB_OK)
        return rc;
    SB_BUG_ON(n_params > CP_DB_PARAMS_MAX);
    for (size_t i = 0; i < n_params; i++) {
        rc = bind_one(&bound, i, &params[i]);
        if (rc != SB_OK) {
            db->error = (struct cp_db_error){.code = rc};
            (void)sb_err_set(&db->error.text, rc, "parameter %zu: %s", i + 1, sb_err_str(rc));
            return rc;
        }
    }
    if (PQsendQueryParams(db->conn, sql, (int)n_params, bound.types, bound.values, bound.lengths,
                          bound.formats, 1) == 0)
        return lose(db, SB_ECONNRESET, PQerrorMessage(db->conn));
    return finish(db, deadline_of(db), ret_result);
}

int cp_db_query(struct cp_db *db, const char *sql, const struct cp_param *params, size_t n_params,
                struct cp_rows **ret_rows)
{
    PGresult *result = NULL;
    int rc = run(db, sql, params, n_params, &result);

    if (rc != SB_OK)
        return rc;
    *ret_rows = cp_rows_new(result);
    return SB_OK;
}

int cp_db_exec(struct cp_db *db, const char *sql, const struct cp_param *params, size_t n_params,
               uint64_t *ret_count)
{
    PGresult *result = NULL;
    int rc = run(db, sql, params, n_params, &result);

    if (rc != SB_OK)
        return rc;
    if (ret_count != NULL)
        *ret_count = strtoull(PQcmdTuples(result), NULL, 10);
    PQclear(result);
    return SB_OK;
}

/* --- transactions ------------------------------------------------------------------- */

int cp_db_begin(struct cp_db *db, enum cp_isolation isolation)
{
    static const char *const begin[] = {
        [CP_READ_COMMITTED] = "BEGIN ISOLATION LEVEL READ COMMITTED",
        [CP_REPEATABLE_READ_ONLY] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        [CP_SERIALIZABLE] = "BEGIN ISOLATION LEVEL SERIALIZABLE",
    };
    int rc;

    SB_BUG_ON(db->in_transaction);
    rc = cp_db_script(db, begin[isolation]);
    if (rc == SB_OK)
        db->in_transaction = true;
    return rc;
}

int cp_db_commit(struct cp_db *db)
{
    PGresult *result = NULL;
    int rc;

    db->in_transaction = false;
    rc = simple(db, "COMMIT", &result);
    /* A transaction that had failed is rolled back by COMMIT, without an error. */
    if (rc == SB_OK && strcmp(PQcmdStatus(result), "COMMIT") != 0) {
        db->error = (struct cp_db_error){.code = SB_EDB};
        rc = sb_err_set(&db->error.text, SB_EDB, "the transaction had failed before");
    }
    PQclear(result);
    return rc;
}

/* A COPY that whoever began it did not end. */
static void give_copy_up(struct cp_db *db)
{
    PGresult *result = NULL;

    if (PQtransactionStatus(db->conn) == PQTRANS_ACTIVE &&
        PQputCopyEnd(db->conn, "given up") == 1 && finish(db, deadline_of(db), &result) == SB_OK)
        PQclear(result);
}

void cp_db_rollback(struct cp_db *db)
{
    struct cp_db_error error = db->error;

    if (db->conn != NULL)
        give_copy_up(db);
    if (db->conn != NULL && PQtransactionStatus(db->conn) != PQTRANS_IDLE) {
        int rc = cp_db_script(db, "ROLLBACK");

        (void)rc; /* when it fails the connection is lost, and the transaction with it */
    }
    db->in_transaction = false;
    db->error = error;
}

int cp_db_transact(struct cp_db *db, enum cp_isolation isolation, cp_db_work_cb *fn, void *ctx)
{
    int rc = SB_EAGAIN;

    for (int i = 0; i < CP_DB_TRIES && rc == SB_EAGAIN; i++) {
        rc = cp_db_begin(db, isolation);
        if (rc == SB_OK)
            rc = fn(db, ctx);
        if (rc == SB_OK)
            rc = cp_db_commit(db);
        if (rc != SB_OK)
            cp_db_rollback(db);
    }
    return rc;
}

/* --- COPY ------------------------------------------------------------------------------ */

int cp_db_copy_begin(struct cp_db *db, const char *sql)
{
    PGresult *result = NULL;
    int rc = simple(db, sql, &result);

    if (rc != SB_OK)
        return rc;
    SB_BUG_ON(PQresultStatus(result) != PGRES_COPY_IN);
    PQclear(result);
    return SB_OK;
}

int cp_db_copy_put(struct cp_db *db, struct sb_slice bytes)
{
    sb_msec deadline = deadline_of(db);
    int rc = is_lost(db);

    while (rc == SB_OK && bytes.n > 0) {
        size_t n = bytes.n < COPY_CHUNK ? bytes.n : COPY_CHUNK;
        int sent = PQputCopyData(db->conn, bytes.p, (int)n);

        if (sent < 0)
            return lose(db, SB_ECONNRESET, PQerrorMessage(db->conn));
        if (sent > 0)
            bytes = sb_slice_from(bytes, n);
        rc = flush(db, deadline);
    }
    return rc;
}

int cp_db_copy_end(struct cp_db *db, uint64_t *ret_rows)
{
    PGresult *result = NULL;
    sb_msec deadline = deadline_of(db);
    int rc = is_lost(db);

    if (rc != SB_OK)
        return rc;
    while (PQputCopyEnd(db->conn, NULL) == 0) {
        rc = flush(db, deadline);
        if (rc != SB_OK)
            return rc;
    }
    rc = finish(db, deadline, &result);
    if (rc != SB_OK)
        return rc;
    if (ret_rows != NULL)
        *ret_rows = strtoull(PQcmdTuples(result), NULL, 10);
    PQclear(result);
    return SB_OK;
}

/* --- notifications ------------------------------------------------------------------------ */

int cp_db_listen(struct cp_db *db, const char *channel)
{
    char sql[96];
    int rc;

    SB_BUG_ON(db->n_channels == CP_DB_CHANNELS || strlen(channel) >= sizeof(db->channels[0]) ||
              channel[strspn(channel, "abcdefghijklmnopqrstuvwxyz_")] != '\0');
    (void)snprintf(sql, sizeof(sql), "LISTEN %s", channel);
    rc = cp_db_script(db, sql);
    if (rc == SB_OK)
        copy_text(db->channels[db->n_channels++], sizeof(db->channels[0]), channel);
    return rc;
}

int cp_db_fd(const struct cp_db *db)
{
    return db->conn != NULL ? PQsocket(db->conn) : -1;
}

int cp_db_notified(struct cp_db *db, struct cp_notification *ret_notification)
{
    PGnotify *notify;
    int rc = is_lost(db);

    if (rc != SB_OK)
        return rc;
    if (PQconsumeInput(db->conn) == 0)
        return lose(db, SB_ECONNRESET, PQerrorMessage(db->conn));
    notify = PQnotifies(db->conn);
    if (notify == NULL)
        return SB_EAGAIN;
    copy_text(ret_notification->channel, sizeof(ret_notification->channel), notify->relname);
    copy_text(ret_notification->payload, sizeof(ret_notification->payload), notify->extra);
    PQfreemem(notify);
    return SB_OK;
}
