/* controlplane/events/herald.c */
#include "controlplane/events/herald.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/actor.h"
#include "common/buf.h"
#include "common/json.h"
#include "common/log.h"
#include "common/mailbox.h"
#include "common/mem.h"
#include "common/reactor.h"
#include "common/timefmt.h"
#include "controlplane/db.h"
#include "controlplane/events/events.h"
#include "controlplane/events/webhook.h"
#include "controlplane/mail.h"
#include "controlplane/publish/term.h"
#include "controlplane/stats.h"

enum { PER_ROUND = 50, BODY_MAX = 128 * 1024 };

struct cp_herald {
    struct cp_herald_conf conf;
    char application[96];
    struct sb_actor *actor;
    /* The actor's own. */
    struct sb_reactor *reactor;
    struct sb_reactor_timer poll;
    struct cp_db *db;
    int fd; /* of db, as it is in the reactor; -1 none */
    bool told_lost;
    bool leading;
    uint64_t term;
};

static const char due_sql[] =
    "SELECT e.id, e.at, e.kind, e.severity, e.subject_kind, e.subject, e.text, e.detail::text,"
    " e.revision, e.term, o.is_logged, o.tries, e.at < now() - make_interval(secs => $1::bigint)"
    " FROM event_outbox o JOIN events e ON e.id = o.event_id"
    " WHERE o.due <= now() ORDER BY o.event_id LIMIT $2";
enum column {
    COL_ID,
    COL_AT,
    COL_KIND,
    COL_SEVERITY,
    COL_SUBJECT_KIND,
    COL_SUBJECT,
    COL_TEXT,
    COL_DETAIL,
    COL_REVISION,
    COL_TERM,
    COL_IS_LOGGED,
    COL_TRIES,
    COL_IS_OLD,
};

/* --- the connection ------------------------------------------------------------ */

static void on_readable(void *ctx, unsigned events);

static void lose(struct cp_herald *herald)
{
    if (herald->fd >= 0)
        sb_reactor_remove_fd(herald->reactor, herald->fd);
    herald->fd = -1;
    cp_db_destroy(&herald->db);
}

static bool connect_db(struct cp_herald *herald)
{
    const struct cp_db_conf conf = {.conninfo = herald->conf.conninfo,
                                    .application = herald->application,
                                    .role = CP_DB_SERVICE_ROLE,
                                    .connect_timeout = 2000,
                                    .query_timeout = 10000};
    struct sb_errmsg err;
    int rc;

    if (herald->db != NULL && !cp_db_is_alive(herald->db))
        lose(herald);
    if (herald->db != NULL)
        return true;
    rc = cp_db_new(&conf, &herald->db, &err);
    if (rc == SB_OK)
        rc = cp_db_listen(herald->db, CP_CHANNEL_EVENTS);
    if (rc != SB_OK) {
        if (!herald->told_lost)
            sb_log_error(EVENT, "no database to read events from, trying on code=%s: %s",
                         sb_err_name(rc), err.text);
        herald->told_lost = true;
        cp_db_destroy(&herald->db);
        return false;
    }
    herald->told_lost = false;
    herald->fd = cp_db_fd(herald->db);
    sb_reactor_add_fd(herald->reactor, herald->fd, SB_REACTOR_IN, on_readable, herald);
    return true;
}

/* --- one event --------------------------------------------------------------------- */

static enum cp_severity severity_of(const struct cp_rows *rows, size_t row)
{
    int64_t severity = cp_rows_i64(rows, row, COL_SEVERITY);

    return severity >= 0 && severity < CP_SEVERITIES ? (enum cp_severity)severity
                                                     : CP_SEVERITY_CRITICAL;
}

static void log_event(const struct cp_rows *rows, size_t row)
{
    static const enum sb_log_level levels[CP_SEVERITIES] = {
        [CP_SEVERITY_INFO] = SB_LOG_INFO,
        [CP_SEVERITY_WARNING] = SB_LOG_WARN,
        [CP_SEVERITY_CRITICAL] = SB_LOG_ERROR,
    };
    enum cp_severity severity = severity_of(rows, row);

    sb_log_at(levels[severity], EVENT,
              "event event=%.*s severity=%s id=%" PRId64 " subject_kind=%.*s subject=%.*s: %.*s",
              SB_LOG_SLICE(cp_rows_bytes(rows, row, COL_KIND)), cp_severity_name(severity),
              cp_rows_i64(rows, row, COL_ID),
              SB_LOG_SLICE(cp_rows_bytes(rows, row, COL_SUBJECT_KIND)),
              SB_LOG_SLICE(cp_rows_bytes(rows, row, COL_SUBJECT)),
              SB_LOG_SLICE(cp_rows_bytes(rows, row, COL_TEXT)));
}

static void add_number(struct sb_json *json, const char *name, const struct cp_rows *rows,
                       size_t row, enum column column)
{
    if (cp_rows_is_null(rows, row, (int)column))
        sb_json_add_null(json, name);
    else
        sb_json_add_i64(json, name, cp_rows_i64(rows, row, (int)column));
}

static int put_body(const struct cp_rows *rows, size_t row, struct sb_buf *out)
{
    char at[SB_TIME_TEXT_MAX];
    size_t n = sb_time_format((sb_usec)cp_rows_usec(rows, row, COL_AT), 6, at);
    struct sb_json json;

    sb_json_init(&json, out);
    sb_json_open_object(&json);
    sb_json_add_i64(&json, "id", cp_rows_i64(rows, row, COL_ID));
    sb_json_add_text(&json, "at", sb_slice_make(at, n));
    sb_json_add_text(&json, "kind", cp_rows_bytes(rows, row, COL_KIND));
    sb_json_add_text(&json, "severity", sb_slice_of(cp_severity_name(severity_of(rows, row))));
    sb_json_add_text(&json, "subject_kind", cp_rows_bytes(rows, row, COL_SUBJECT_KIND));
    sb_json_add_text(&json, "subject", cp_rows_bytes(rows, row, COL_SUBJECT));
    sb_json_add_text(&json, "text", cp_rows_bytes(rows, row, COL_TEXT));
    if (cp_rows_is_null(rows, row, COL_DETAIL))
        sb_json_add_null(&json, "detail");
    else
        sb_json_add_raw(&json, "detail", cp_rows_bytes(rows, row, COL_DETAIL));
    add_number(&json, "revision", rows, row, COL_REVISION);
    add_number(&json, "term", rows, row, COL_TERM);
    sb_json_close_object(&json);
    return sb_json_end(&json);
}

/* SB_OK: taken, or there is nobody to take it. */
static int post(struct cp_herald *herald, const struct cp_rows *rows, size_t row)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf body = {.limit = 0};
    struct sb_slice kind = cp_rows_bytes(rows, row, COL_KIND);
    struct sb_errmsg err = {.text = ""};
    char name[64];
    int rc;

    if (herald->conf.webhook == NULL)
        return SB_OK;
    sb_buf_init(&body, BODY_MAX);
    (void)sb_slice_copy_text(kind, name, sizeof(name));
    rc = put_body(rows, row, &body);
    if (rc == SB_OK)
        rc = cp_webhook_post(herald->conf.webhook, name, cp_rows_i64(rows, row, COL_ID),
                             sb_buf_slice(&body), &err);
    if (rc == SB_OK) {
        cp_stat_add(herald->conf.stats, webhook_posts, 1);
        return rc;
    }
    cp_stat_add(herald->conf.stats, webhook_failures, 1);
    sb_log_warn(EVENT, "the webhook did not take an event, trying again id=%" PRId64 " code=%s: %s",
                cp_rows_i64(rows, row, COL_ID), sb_err_name(rc), err.text);
    return rc;
}

static void count(struct cp_herald *herald, struct sb_slice name)
{
    int kind = cp_event_parse(name);

    if (kind >= 0) /* a newer daemon may have recorded it */
        cp_stat_add(herald->conf.stats, events[kind], 1);
}

/* In a transaction of its own, so that a failure behind it does not have it
 * logged again. */
static int mark_logged(struct cp_herald *herald, int64_t id)
{
    return cp_db_exec(herald->db, "UPDATE event_outbox SET is_logged = true WHERE event_id = $1",
                      CP_PARAMS(CP_P_I64(id)), NULL);
}

static int finish(struct cp_herald *herald, int64_t id)
{
    return cp_db_exec(herald->db, "DELETE FROM event_outbox WHERE event_id = $1",
                      CP_PARAMS(CP_P_I64(id)), NULL);
}

static int postpone(struct cp_herald *herald, int64_t id, int64_t tries)
{
    sb_msec wait = cp_webhook_backoff((unsigned)tries);

    return cp_db_exec(herald->db,
                      "UPDATE event_outbox SET tries = $2,"
                      " due = now() + make_interval(secs => $3::bigint / 1000.0)"
                      " WHERE event_id = $1",
                      CP_PARAMS(CP_P_I64(id), CP_P_I64(tries), CP_P_I64(wait)), NULL);
}

static int write_down(struct cp_herald *herald, const struct cp_rows *rows, size_t row)
{
    int rc = SB_OK;

    if (cp_rows_bool(rows, row, COL_IS_LOGGED))
        return SB_OK;
    rc = mark_logged(herald, cp_rows_i64(rows, row, COL_ID));
    if (rc != SB_OK)
        return rc;
    log_event(rows, row);
    count(herald, cp_rows_bytes(rows, row, COL_KIND));
    return SB_OK;
}

static int deliver(struct cp_herald *herald, const struct cp_rows *rows, size_t row)
{
    int64_t id = cp_rows_i64(rows, row, COL_ID), tries = cp_rows_i64(rows, row, COL_TRIES) + 1;

    if (post(herald, rows, row) == SB_OK)
        return finish(herald, id);
    if (!cp_rows_bool(rows, row, COL_IS_OLD))
        return postpone(herald, id, tries);
    cp_stat_add(herald->conf.stats, webhook_given_up, 1);
    sb_log_error(EVENT,
                 "the webhook never took an event, giving it up id=%" PRId64 " tries=%" PRId64, id,
                 tries);
    return finish(herald, id);
}

/* --- rounds ---------------------------------------------------------------------------- */

/* What another leader tells already is not ours to tell. */
static int check_term(struct cp_herald *herald)
{
    int rc = cp_db_begin(herald->db, CP_READ_COMMITTED);

    if (rc == SB_OK)
        rc = cp_term_check(herald->db, herald->term);
    cp_db_rollback(herald->db);
    return rc;
}

static int count_waiting(struct cp_herald *herald)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = cp_db_query(herald->db, "SELECT count(*) FROM event_outbox", CP_NO_PARAMS, &rows);

    if (rc == SB_OK)
        cp_stat_set(herald->conf.stats, events_waiting, cp_rows_i64(rows, 0, 0));
    return rc;
}

/* Lines first: nobody waits for them behind a receiver that is slow.  Then one
 * event at a time: a post may take seconds, and the lead may be lost meanwhile. */
static int tell_round(struct cp_herald *herald, size_t *ret_n)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = cp_db_query(herald->db, due_sql,
                         CP_PARAMS(CP_P_I64(CP_HERALD_PATIENCE), CP_P_I64(PER_ROUND)), &rows);

    *ret_n = rc == SB_OK ? cp_rows_count(rows) : 0;
    if (*ret_n > 0)
        rc = check_term(herald);
    for (size_t i = 0; rc == SB_OK && i < *ret_n; i++)
        rc = write_down(herald, rows, i);
    for (size_t i = 0; rc == SB_OK && i < *ret_n; i++) {
        rc = check_term(herald);
        if (rc == SB_OK)
            rc = deliver(herald, rows, i);
    }
    return rc == SB_OK ? count_waiting(herald) : rc;
}

static void on_poll(struct sb_reactor_timer *timer);

static void poll_in(struct cp_herald *herald, sb_msec delay)
{
    sb_reactor_timer_start(herald->reactor, &herald->poll, delay, 0, on_poll);
}

static void on_poll(struct sb_reactor_timer *timer)
{
    struct cp_herald *herald = container_of(timer, struct cp_herald, poll);
    size_t n = 0;
    int rc = SB_EDB;

    if (!herald->leading)
        return;
    if (connect_db(herald))
        rc = tell_round(herald, &n);
    if (rc != SB_OK && rc != SB_ENOTLEADER && herald->db != NULL)
        sb_log_warn(EVENT, "cannot work events off, trying again code=%s: %s", sb_err_name(rc),
                    cp_db_last_error(herald->db)->text.text);
    poll_in(herald, rc == SB_OK && n == PER_ROUND ? 0 : CP_HERALD_POLL);
}

static void on_readable(void *ctx, unsigned events)
{
    struct cp_herald *herald = ctx;
    struct cp_notification notification;
    bool any = false;
    int rc;

    (void)events;
    while ((rc = cp_db_notified(herald->db, &notification)) == SB_OK)
        any = true;
    if (rc != SB_EAGAIN)
        lose(herald);
    else if (any && herald->leading)
        poll_in(herald, 0);
}

/* --- the actor ------------------------------------------------------------------------------ */

static void on_mail(void *ctx, struct sb_mail *mail)
{
    struct cp_herald *herald = ctx;

    if (mail->kind == CP_MAIL_LEAD) {
        const struct cp_lead *lead = container_of(mail, struct cp_lead, mail);

        herald->leading = lead->leading;
        herald->term = lead->term;
        if (lead->leading)
            poll_in(herald, 0);
        else
            cp_stat_set(herald->conf.stats, events_waiting, 0);
    }
    cp_mail_free(mail);
}

static int on_start(void *ctx, struct sb_reactor *reactor, struct sb_mailbox *self,
                    struct sb_errmsg *err)
{
    struct cp_herald *herald = ctx;

    (void)self;
    (void)err;
    herald->reactor = reactor;
    herald->fd = -1;
    return SB_OK;
}

static void on_stop(void *ctx)
{
    struct cp_herald *herald = ctx;

    sb_reactor_timer_stop(&herald->poll);
    lose(herald);
}

static const struct sb_actor_ops ops = {
    .name = "herald", .start = on_start, .on_mail = on_mail, .stop = on_stop};

int cp_herald_start(const struct cp_herald_conf *conf, struct cp_herald **ret,
                    struct sb_errmsg *err)
{
    struct cp_herald *herald = sb_mem_new(sizeof(*herald));
    int rc;

    herald->conf = *conf;
    (void)snprintf(herald->application, sizeof(herald->application),
                   "switchboard-control herald %s", conf->name);
    rc = sb_actor_start(&ops, herald, &herald->actor, err);
    if (rc != SB_OK) {
        sb_mem_free(herald);
        return rc;
    }
    *ret = herald;
    return SB_OK;
}

void cp_herald_stop(struct cp_herald **heraldp)
{
    struct cp_herald *herald = *heraldp;

    *heraldp = NULL;
    if (herald == NULL)
        return;
    sb_actor_stop(&herald->actor);
    sb_mem_free(herald);
}

struct sb_mailbox *cp_herald_mailbox(const struct cp_herald *herald)
{
    return sb_actor_mailbox(herald->actor);
}
