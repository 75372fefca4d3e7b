/* controlplane/tables/chronicle.c */
#include "controlplane/tables/chronicle.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/actor.h"
#include "common/arena.h"
#include "common/log.h"
#include "common/mailbox.h"
#include "common/mem.h"
#include "common/reactor.h"
#include "common/timefmt.h"
#include "controlplane/db.h"
#include "controlplane/events/events.h"
#include "controlplane/events/expiry.h"
#include "controlplane/mail.h"
#include "controlplane/publish/term.h"
#include "controlplane/stats.h"
#include "controlplane/tables/minutes.h"

enum {
    HALF_HOUR = 30, /* minutes */
    HOUR = 60,
    HOURS = 24,
    ARENA = 4096,
};
#define USEC_PER_MINUTE INT64_C(60000000)

struct cp_chronicle {
    struct cp_chronicle_conf conf;
    char application[96];
    struct sb_actor *actor;
    /* The actor's own. */
    struct sb_reactor *reactor;
    struct sb_reactor_timer work, expiry;
    struct cp_observers observers; /* the tables */
    struct cp_db *db;
    bool leading, told_lost;
    uint64_t term;
    struct sb_list minutes; /* struct cp_minute, to be stored */
    size_t n_minutes;
    uint64_t minutes_term;   /* in which the newest of them were measured */
    struct sb_list verdicts; /* struct cp_verdict, to be recorded */
    int64_t began;           /* minute in which the term began here */
    int hours;               /* of the past that were told; -1: not even the last half one */
    bool wants_expiry;
    int64_t expiry_revision; /* for which, and */
    int32_t expiry_day;      /* on which was looked last; 0: never */
};

static void want(struct cp_chronicle *chronicle, sb_msec delay);

static int64_t minute_now(void)
{
    return (int64_t)sb_clock_wall(&sb_clock_system) / USEC_PER_MINUTE;
}

/* --- the connection ----------------------------------------------------------- */

static int connect_db(struct cp_chronicle *chronicle)
{
    const struct cp_db_conf conf = {.conninfo = chronicle->conf.conninfo,
                                    .application = chronicle->application,
                                    .role = CP_DB_SERVICE_ROLE,
                                    .connect_timeout = 2000,
                                    .query_timeout = 30000};
    struct sb_errmsg err;
    int rc;

    if (chronicle->db != NULL && cp_db_is_alive(chronicle->db))
        return SB_OK;
    cp_db_destroy(&chronicle->db);
    rc = cp_db_new(&conf, &chronicle->db, &err);
    if (rc != SB_OK && !chronicle->told_lost)
        sb_log_error(TABLES, "no database for the history, trying on code=%s: %s", sb_err_name(rc),
                     err.text);
    chronicle->told_lost = rc != SB_OK;
    return rc;
}

/* --- minutes --------------------------------------------------------------------- */

static void drop_minute(struct cp_chronicle *chronicle)
{
    struct sb_list *link = sb_list_pop(&chronicle->minutes);
    struct cp_minute *minute = container_of(link, struct cp_minute, link);

    cp_minute_destroy(&minute);
    chronicle->n_minutes--;
}

static void drop_minutes(struct cp_chronicle *chronicle)
{
    while (chronicle->n_minutes > 0)
        drop_minute(chronicle);
}

static void take_minutes(struct cp_chronicle *chronicle, struct cp_minutes *mail)
{
    chronicle->n_minutes += sb_list_count(&mail->minutes);
    sb_list_append_all(&chronicle->minutes, &mail->minutes);
    chronicle->minutes_term = mail->term;
    for (; chronicle->n_minutes > CP_CHRONICLE_MINUTES_MAX; drop_minute(chronicle))
        cp_stat_add(chronicle->conf.stats, minutes_lost, 1);
    want(chronicle, 0);
}

static int store_minutes(struct cp_chronicle *chronicle)
{
    size_t n = chronicle->n_minutes;
    int rc = n > 0 ? cp_minutes_store(chronicle->db, chronicle->minutes_term, &chronicle->minutes)
                   : SB_OK;

    if (rc == SB_OK || rc == SB_EINVAL) { /* what the database refuses stays refused */
        cp_stat_add(chronicle->conf.stats, minutes_stored, rc == SB_OK ? n : 0);
        cp_stat_add(chronicle->conf.stats, minutes_lost, rc == SB_OK ? 0 : n);
        drop_minutes(chronicle);
    }
    if (rc == SB_EINVAL) {
        sb_log_error(TABLES, "the database refused telemetry rows=%zu: %s", n,
                     cp_db_last_error(chronicle->db)->text.text);
        rc = SB_OK;
    }
    return rc;
}

/* --- the past ---------------------------------------------------------------------- */

/* Endpoints whose last word is that they are out. */
static int read_outages(struct cp_chronicle *chronicle, struct cp_past *past)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = cp_db_query(chronicle->db,
                         "SELECT DISTINCT ON (e.subject) p.id, e.kind FROM events e"
                         " JOIN endpoints p ON p.name = e.subject"
                         " WHERE e.subject_kind = 'endpoints'"
                         " AND e.kind IN ('outage_began', 'outage_ended')"
                         " AND e.at > now() - interval '1 day'"
                         " ORDER BY e.subject, e.id DESC",
                         CP_NO_PARAMS, &rows);

    if (rc != SB_OK || cp_rows_count(rows) == 0)
        return rc;
    past->out = sb_mem_try(cp_rows_count(rows) * sizeof(*past->out));
    if (past->out == NULL)
        return SB_ENOMEM;
    for (size_t i = 0; i < cp_rows_count(rows); i++)
        if (sb_slice_is(cp_rows_bytes(rows, i, 1), cp_event_name(CP_EVENT_OUTAGE_BEGAN)))
            past->out[past->n_out++] = (uint64_t)cp_rows_i64(rows, i, 0);
    return SB_OK;
}

static void tell_tables(struct cp_chronicle *chronicle, struct cp_past *past)
{
    if (chronicle->observers.n > 0)
        (void)sb_mailbox_post(chronicle->observers.boxes[0], &past->mail);
    else
        cp_mail_free(&past->mail);
}

/* A piece of it: first what routing depends on, then an hour at a time. */
static int tell_past(struct cp_chronicle *chronicle)
{
    int64_t now = minute_now(), first = chronicle->began - HALF_HOUR;
    struct cp_past *past;
    int rc;

    if (chronicle->hours < 0) {
        /* From a clock that was ahead, too. */
        rc =
            cp_minutes_read(chronicle->db, chronicle->term, first + 1, now + HALF_HOUR, now, &past);
        if (rc != SB_OK)
            return rc;
        past->is_enough = true;
        rc = read_outages(chronicle, past);
        if (rc != SB_OK) {
            cp_mail_free(&past->mail);
            return rc;
        }
    } else {
        int64_t to = first - (int64_t)chronicle->hours * HOUR;

        rc = cp_minutes_sum(chronicle->db, chronicle->term, to - HOUR + 1, to, now, &past);
        if (rc != SB_OK)
            return rc;
    }
    tell_tables(chronicle, past);
    chronicle->hours++;
    return SB_OK;
}

/* --- verdicts ------------------------------------------------------------------------ */

struct recording {
    struct cp_chronicle *chronicle;
    const struct cp_verdict *verdict;
};

/* Leaders come and go in the middle of an outage: what is known is not told
 * again. */
static const char verdict_sql[] =
    "SELECT p.name, (SELECT revision FROM config_head), coalesce((SELECT e.kind FROM events e"
    "  WHERE e.subject_kind = 'endpoints' AND e.subject = p.name"
    "  AND e.kind IN ('outage_began', 'outage_ended') ORDER BY e.id DESC LIMIT 1), '')"
    " FROM endpoints p WHERE p.id = $1";

static int record_verdict(struct cp_db *db, void *ctx)
{
    const struct recording *recording = ctx;
    const struct cp_verdict *verdict = recording->verdict;
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(ARENA);
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct cp_event event = {.kind =
                                 verdict->is_out ? CP_EVENT_OUTAGE_BEGAN : CP_EVENT_OUTAGE_ENDED,
                             .severity = verdict->is_out ? CP_SEVERITY_CRITICAL : CP_SEVERITY_INFO,
                             .subject_kind = CP_ENDPOINTS,
                             .term = recording->chronicle->term};
    bool was_out;
    int64_t id;
    int rc = cp_db_query(db, verdict_sql, CP_PARAMS(CP_P_I64(verdict->endpoint)), &rows);

    if (rc != SB_OK || cp_rows_count(rows) == 0) /* it has left the catalogue */
        return rc;
    was_out = sb_slice_is(cp_rows_bytes(rows, 0, 2), cp_event_name(CP_EVENT_OUTAGE_BEGAN));
    if (was_out == verdict->is_out)
        return SB_OK;
    event.subject = cp_rows_bytes(rows, 0, 0);
    event.revision = (uint64_t)cp_rows_i64(rows, 0, 1);
    event.text = verdict->is_out
                     ? sb_arena_printf(arena, "%.*s is out: %" PRIu32 " attempts in a row failed",
                                       SB_SLICE_ARGS(event.subject), verdict->faults)
                     : sb_arena_printf(arena, "%.*s is no longer out, after %" PRIu64 " s",
                                       SB_SLICE_ARGS(event.subject), verdict->lasted / 1000);
    event.detail = verdict->is_out
                       ? sb_arena_printf(arena, "{\"faults\":%" PRIu32 "}", verdict->faults)
                       : sb_arena_printf(arena, "{\"lasted_ms\":%" PRIu64 "}", verdict->lasted);
    rc = cp_event_record(db, &event, &id);
    return rc == SB_OK ? cp_term_check(db, recording->chronicle->term) : rc;
}

static int record_verdicts(struct cp_chronicle *chronicle)
{
    struct sb_list *link;
    int rc = SB_OK;

    while (rc == SB_OK && (link = sb_list_first(&chronicle->verdicts)) != NULL) {
        struct cp_verdict *verdict = container_of(link, struct cp_verdict, link);
        struct recording recording = {.chronicle = chronicle, .verdict = verdict};

        rc = cp_db_transact(chronicle->db, CP_READ_COMMITTED, record_verdict, &recording);
        if (rc == SB_OK) {
            sb_list_remove(link);
            sb_mem_free(verdict);
        }
    }
    return rc;
}

static void drop_verdicts(struct cp_chronicle *chronicle)
{
    struct sb_list *link;

    while ((link = sb_list_pop(&chronicle->verdicts)) != NULL)
        sb_mem_free(container_of(link, struct cp_verdict, link));
}

/* --- evidence --------------------------------------------------------------------------- */

static int tell_expiry(struct cp_chronicle *chronicle)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int32_t today = sb_day_of(sb_clock_wall(&sb_clock_system));
    uint64_t told = 0;
    int64_t revision;
    int rc;

    if (!chronicle->wants_expiry)
        return SB_OK;
    rc = cp_db_query(chronicle->db, "SELECT revision FROM config_head", CP_NO_PARAMS, &rows);
    if (rc != SB_OK)
        return rc;
    revision = cp_rows_count(rows) > 0 ? cp_rows_i64(rows, 0, 0) : 0;
    if (revision != chronicle->expiry_revision || today != chronicle->expiry_day)
        rc = cp_expiry_tell(chronicle->db, chronicle->term, today, &told);
    if (rc != SB_OK)
        return rc;
    if (told < CP_EXPIRY_AT_ONCE) { /* else there may be more */
        chronicle->expiry_revision = revision;
        chronicle->expiry_day = today;
    }
    chronicle->wants_expiry = false;
    return SB_OK;
}

static void on_expiry(struct sb_reactor_timer *timer)
{
    struct cp_chronicle *chronicle = container_of(timer, struct cp_chronicle, expiry);

    chronicle->wants_expiry = true;
    want(chronicle, 0);
}

/* --- work -------------------------------------------------------------------------------- */

/* The most urgent first; the long past a piece at a time, between the others. */
static int work(struct cp_chronicle *chronicle)
{
    int rc = connect_db(chronicle);

    if (rc == SB_OK && chronicle->hours < 0)
        rc = tell_past(chronicle);
    if (rc == SB_OK)
        rc = record_verdicts(chronicle);
    if (rc == SB_OK)
        rc = store_minutes(chronicle);
    if (rc == SB_OK)
        rc = tell_expiry(chronicle);
    if (rc == SB_OK && chronicle->hours < HOURS)
        rc = tell_past(chronicle);
    return rc;
}

/* What was measured before the term ended is stored when nobody has taken the
 * next one yet; else that leader has begun without it, and it is lost. */
static void last_minutes(struct cp_chronicle *chronicle)
{
    if (chronicle->n_minutes == 0 || connect_db(chronicle) != SB_OK ||
        store_minutes(chronicle) != SB_OK)
        drop_minutes(chronicle);
}

static void on_work(struct sb_reactor_timer *timer)
{
    struct cp_chronicle *chronicle = container_of(timer, struct cp_chronicle, work);
    int rc;

    if (!chronicle->leading) {
        last_minutes(chronicle);
        return;
    }
    rc = work(chronicle);
    if (rc == SB_ENOTLEADER) /* the leader actor will find out, and tell */
        return;
    if (rc != SB_OK && chronicle->db != NULL)
        sb_log_warn(TABLES, "the history is behind, trying again code=%s: %s", sb_err_name(rc),
                    cp_db_last_error(chronicle->db)->text.text);
    if (rc != SB_OK)
        want(chronicle, CP_CHRONICLE_RETRY);
    else if (chronicle->hours < HOURS)
        want(chronicle, 0);
}

static void want(struct cp_chronicle *chronicle, sb_msec delay)
{
    if (!sb_reactor_timer_is_running(&chronicle->work))
        sb_reactor_timer_start(chronicle->reactor, &chronicle->work, delay, 0, on_work);
}

static void on_lead(struct cp_chronicle *chronicle, const struct cp_lead *lead)
{
    if (lead->leading && lead->term == chronicle->term)
        return; /* a new epoch: the same past */
    if (!lead->leading) {
        sb_reactor_timer_stop(&chronicle->expiry);
        chronicle->leading = false;
        chronicle->term = 0;
        return;
    }
    drop_minutes(chronicle);
    drop_verdicts(chronicle);
    chronicle->leading = true;
    chronicle->term = lead->term;
    chronicle->began = minute_now();
    chronicle->hours = -1;
    chronicle->wants_expiry = true;
    chronicle->expiry_day = 0;
    sb_reactor_timer_start(chronicle->reactor, &chronicle->expiry, CP_CHRONICLE_EXPIRY,
                           CP_CHRONICLE_EXPIRY, on_expiry);
    want(chronicle, 0);
}

/* --- the actor ------------------------------------------------------------------------------ */

static void on_mail(void *ctx, struct sb_mail *mail)
{
    struct cp_chronicle *chronicle = ctx;

    switch (mail->kind) {
    case CP_MAIL_ATTACH:
        cp_observers_add(&chronicle->observers, container_of(mail, struct cp_attach, mail));
        return;
    case CP_MAIL_LEAD:
        on_lead(chronicle, container_of(mail, struct cp_lead, mail));
        break;
    case CP_MAIL_MINUTES:
        take_minutes(chronicle, container_of(mail, struct cp_minutes, mail));
        break;
    case CP_MAIL_VERDICTS:
        sb_list_append_all(&chronicle->verdicts,
                           &container_of(mail, struct cp_verdicts, mail)->verdicts);
        want(chronicle, 0);
        break;
    default:
        break;
    }
    cp_mail_free(mail);
}

static int on_start(void *ctx, struct sb_reactor *reactor, struct sb_mailbox *self,
                    struct sb_errmsg *err)
{
    struct cp_chronicle *chronicle = ctx;

    (void)self;
    (void)err;
    chronicle->reactor = reactor;
    sb_list_init(&chronicle->minutes);
    sb_list_init(&chronicle->verdicts);
    return SB_OK;
}

static void on_stop(void *ctx)
{
    struct cp_chronicle *chronicle = ctx;

    sb_reactor_timer_stop(&chronicle->work);
    sb_reactor_timer_stop(&chronicle->expiry);
    last_minutes(chronicle);
    drop_minutes(chronicle);
    drop_verdicts(chronicle);
    cp_db_destroy(&chronicle->db);
    cp_observers_release(&chronicle->observers);
}

static const struct sb_actor_ops ops = {
    .name = "chronicle", .start = on_start, .on_mail = on_mail, .stop = on_stop};

int cp_chronicle_start(const struct cp_chronicle_conf *conf, struct cp_chronicle **ret,
                       struct sb_errmsg *err)
{
    struct cp_chronicle *chronicle = sb_mem_new(sizeof(*chronicle));
    int rc;

    chronicle->conf = *conf;
    (void)snprintf(chronicle->application, sizeof(chronicle->application),
                   "switchboard-control chronicle %s", conf->name);
    rc = sb_actor_start(&ops, chronicle, &chronicle->actor, err);
    if (rc != SB_OK) {
        sb_mem_free(chronicle);
        return rc;
    }
    *ret = chronicle;
    return SB_OK;
}

void cp_chronicle_stop(struct cp_chronicle **chroniclep)
{
    struct cp_chronicle *chronicle = *chroniclep;

    *chroniclep = NULL;
    if (chronicle == NULL)
        return;
    sb_actor_stop(&chronicle->actor);
    sb_mem_free(chronicle);
}

struct sb_mailbox *cp_chronicle_mailbox(const struct cp_chronicle *chronicle)
{
    return sb_actor_mailbox(chronicle->actor);
}
