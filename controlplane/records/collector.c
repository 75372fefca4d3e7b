/* controlplane/records/collector.c */
#include "controlplane/records/collector.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/actor.h"
#include "common/check.h"
#include "common/log.h"
#include "common/mailbox.h"
#include "common/mem.h"
#include "common/reactor.h"
#include "controlplane/db.h"
#include "controlplane/log/appender.h"
#include "controlplane/log/pending.h"
#include "controlplane/mail.h"
#include "controlplane/publish/term.h"
#include "controlplane/records/ingest.h"
#include "controlplane/stats.h"
#include "controlplane/stuck.h"

struct cp_collector {
    struct cp_collector_conf conf;
    char application[96];
    struct sb_actor *actor;
    /* The actor's own. */
    struct sb_reactor *reactor;
    struct sb_reactor_timer work, look; /* look: while leading */
    struct cp_observers observers;      /* the publisher */
    struct cp_db *db;
    struct cp_appender appender; /* of what no record makes */
    bool leading, told_failure, told_look;
    uint64_t term;
    struct cp_batch *first, **last; /* those that wait, oldest first */
    size_t bytes;                   /* of their bulks */
    int64_t n;
    sb_msec retry; /* 0: the last attempt went well */
};

/* --- the queue -------------------------------------------------------------------------- */

static void update_gauge(struct cp_collector *collector)
{
    cp_stat_set(collector->conf.stats, batches_waiting, collector->n);
}

static struct cp_batch *pop(struct cp_collector *collector)
{
    struct cp_batch *batch = collector->first;

    collector->first = batch->next;
    if (collector->first == NULL)
        collector->last = &collector->first;
    collector->bytes -= batch->bulk.n;
    collector->n--;
    return batch;
}

static void drop_all(struct cp_collector *collector)
{
    while (collector->first != NULL)
        cp_mail_free(&pop(collector)->mail);
    update_gauge(collector);
}

/* --- storing ------------------------------------------------------------------------------ */

/* From how many batches the next transaction is made. */
static size_t gather(const struct cp_collector *collector, struct cp_ingest_batch *batches)
{
    const struct cp_batch *batch = collector->first;
    size_t n = 0, bytes = 0;

    for (; batch != NULL && n < CP_INGEST_BATCHES_MAX; batch = batch->next) {
        bytes += batch->bulk.n;
        if (n > 0 && bytes > CP_COLLECTOR_TRANSACTION)
            break;
        batches[n++] = (struct cp_ingest_batch){.worker = batch->batch.worker,
                                                .boot = batch->batch.boot,
                                                .first = batch->batch.first,
                                                .bulk = batch->bulk};
    }
    return n;
}

static void acknowledge(struct cp_collector *collector, const struct cp_batch *batch, uint64_t last)
{
    const struct msg_batch_ok ok = {
        .worker = batch->batch.worker, .boot = batch->batch.boot, .last = last};
    struct cp_send *send = cp_send_new(MSG_KIND_BATCH_OK, collector->term);
    int rc = msg_batch_ok_encode(&ok, &send->body);

    SB_BUG_ON(rc != SB_OK); /* the same fields came in a batch */
    send->to = batch->from;
    if (collector->observers.n > 0)
        (void)sb_mailbox_post(collector->observers.boxes[0], &send->mail);
    else
        cp_mail_free(&send->mail);
}

static bool connect_db(struct cp_collector *collector, struct sb_errmsg *err)
{
    const struct cp_db_conf conf = {.conninfo = collector->conf.conninfo,
                                    .application = collector->application,
                                    .role = CP_DB_COLLECTOR_ROLE,
                                    .connect_timeout = 2000,
                                    .query_timeout = 30000};

    if (collector->db != NULL && cp_db_is_alive(collector->db))
        return true;
    cp_db_destroy(&collector->db);
    return cp_db_new(&conf, &collector->db, err) == SB_OK;
}

static int check_term(struct cp_db *db, void *ctx)
{
    const struct cp_collector *collector = ctx;

    return cp_term_check(db, collector->term);
}

/* Another daemon holds rows of ours for long: who leads may end its session. */
static void make_way(struct cp_collector *collector)
{
    int rc = cp_db_transact(collector->db, CP_READ_COMMITTED, check_term, collector);

    if (rc == SB_OK)
        rc = cp_stuck_end(collector->db, CP_DB_COLLECTOR_ROLE);
    if (rc != SB_OK && rc != SB_ENOTLEADER)
        sb_log_warn(COLLECT, "cannot end sessions that hold the log code=%s: %s", sb_err_name(rc),
                    cp_db_last_error(collector->db)->text.text);
}

static void on_work(struct sb_reactor_timer *timer);

static void work_in(struct cp_collector *collector, sb_msec delay)
{
    if (!sb_reactor_timer_is_running(&collector->work))
        sb_reactor_timer_start(collector->reactor, &collector->work, delay, 0, on_work);
}

static void fail(struct cp_collector *collector, int rc, const char *text)
{
    cp_stat_add(collector->conf.stats, store_failures, 1);
    collector->retry = collector->retry == 0 ? CP_COLLECTOR_RETRY : 2 * collector->retry;
    if (collector->retry > CP_COLLECTOR_RETRY_MAX)
        collector->retry = CP_COLLECTOR_RETRY_MAX;
    if (!collector->told_failure)
        sb_log_error(COLLECT, "cannot store records, trying on waiting=%" PRId64 " code=%s: %s",
                     collector->n, sb_err_name(rc), text);
    collector->told_failure = true;
    work_in(collector, collector->retry);
}

static void store_some(struct cp_collector *collector)
{
    struct cp_ingest_batch batches[CP_INGEST_BATCHES_MAX];
    size_t n = gather(collector, batches);
    sb_msec before = sb_clock_now(&sb_clock_system);
    int rc = cp_ingest(collector->db, collector->term, batches, n, collector->conf.stats);

    if (rc == SB_ENOTLEADER) { /* the leader's actor finds out, too */
        drop_all(collector);
        return;
    }
    if (rc != SB_OK) {
        fail(collector, rc, cp_db_last_error(collector->db)->text.text);
        if (rc == SB_ETIMEDOUT && cp_db_is_alive(collector->db))
            make_way(collector);
        return;
    }
    if (collector->told_failure)
        sb_log_info(COLLECT, "storing records again waiting=%" PRId64, collector->n);
    collector->told_failure = false;
    collector->retry = 0;
    cp_stat_add(collector->conf.stats, batches, n);
    cp_stat_add(collector->conf.stats, batch_usec,
                (sb_clock_now(&sb_clock_system) - before) * 1000);
    for (size_t i = 0; i < n; i++) {
        struct cp_batch *batch = pop(collector);

        acknowledge(collector, batch, batches[i].last);
        cp_mail_free(&batch->mail);
    }
    update_gauge(collector);
    if (collector->first != NULL)
        work_in(collector, 0);
}

static void on_work(struct sb_reactor_timer *timer)
{
    struct cp_collector *collector = container_of(timer, struct cp_collector, work);
    struct sb_errmsg err = {.text = ""};

    if (!collector->leading || collector->first == NULL)
        return;
    if (connect_db(collector, &err))
        store_some(collector);
    else
        fail(collector, SB_ECONNRESET, err.text);
}

/* --- what no record makes ------------------------------------------------------------------- */

static int append_pending(struct cp_collector *collector)
{
    bool waits = false;
    int rc = cp_pending_look(collector->db, &waits);

    if (rc != SB_OK || !waits)
        return rc;
    rc = cp_pending_append(collector->db, collector->term, &collector->appender);
    if (rc == SB_OK)
        cp_stat_set(collector->conf.stats, log_size,
                    (int64_t)cp_appender_next(&collector->appender));
    return rc;
}

static void on_look(struct sb_reactor_timer *timer)
{
    struct cp_collector *collector = container_of(timer, struct cp_collector, look);
    struct sb_errmsg err = {.text = ""};
    int rc;

    if (!collector->leading)
        return;
    sb_reactor_timer_start(collector->reactor, timer, CP_COLLECTOR_LOOK, 0, on_look);
    /* While records cannot be stored, this would fail for the same reason. */
    if (collector->retry > 0 || !connect_db(collector, &err))
        return;
    rc = append_pending(collector);
    if (rc != SB_OK)
        cp_stat_add(collector->conf.stats, store_failures, 1);
    if (rc != SB_OK && rc != SB_ENOTLEADER && !collector->told_look)
        sb_log_error(COLLECT, "cannot append changes to the log, trying on code=%s: %s",
                     sb_err_name(rc), cp_db_last_error(collector->db)->text.text);
    collector->told_look = rc != SB_OK;
}

/* --- the actor ------------------------------------------------------------------------------ */

static void on_lead(struct cp_collector *collector, const struct cp_lead *lead)
{
    if (!lead->leading || lead->term != collector->term)
        drop_all(collector); /* of another term: they come again */
    collector->leading = lead->leading;
    collector->term = lead->term;
    if (lead->leading)
        sb_reactor_timer_start(collector->reactor, &collector->look, 0, 0, on_look);
}

static void on_batch(struct cp_collector *collector, struct cp_batch *batch)
{
    if (!collector->leading || batch->term != collector->term ||
        collector->bytes + batch->bulk.n > CP_COLLECTOR_BYTES) {
        cp_stat_add(collector->conf.stats, batches_turned_away, 1);
        cp_mail_free(&batch->mail);
        return;
    }
    batch->next = NULL;
    *collector->last = batch;
    collector->last = &batch->next;
    collector->bytes += batch->bulk.n;
    collector->n++;
    update_gauge(collector);
    /* All mail of this turn first, then one transaction for it. */
    work_in(collector, 0);
}

static void on_mail(void *ctx, struct sb_mail *mail)
{
    struct cp_collector *collector = ctx;

    switch (mail->kind) {
    case CP_MAIL_ATTACH:
        cp_observers_add(&collector->observers, container_of(mail, struct cp_attach, mail));
        break;
    case CP_MAIL_LEAD:
        on_lead(collector, container_of(mail, struct cp_lead, mail));
        cp_mail_free(mail);
        break;
    case CP_MAIL_BATCH:
        on_batch(collector, container_of(mail, struct cp_batch, mail));
        break;
    default:
        cp_mail_free(mail);
        break;
    }
}

static int on_start(void *ctx, struct sb_reactor *reactor, struct sb_mailbox *self,
                    struct sb_errmsg *err)
{
    struct cp_collector *collector = ctx;

    (void)self;
    (void)err;
    collector->reactor = reactor;
    collector->last = &collector->first;
    cp_appender_init(&collector->appender);
    return SB_OK;
}

static void on_stop(void *ctx)
{
    struct cp_collector *collector = ctx;

    sb_reactor_timer_stop(&collector->work);
    sb_reactor_timer_stop(&collector->look);
    drop_all(collector);
    cp_db_destroy(&collector->db);
    cp_appender_release(&collector->appender);
    cp_observers_release(&collector->observers);
}

static const struct sb_actor_ops ops = {
    .name = "collector", .start = on_start, .on_mail = on_mail, .stop = on_stop};

int cp_collector_start(const struct cp_collector_conf *conf, struct cp_collector **ret,
                       struct sb_errmsg *err)
{
    struct cp_collector *collector = sb_mem_new(sizeof(*collector));
    int rc;

    collector->conf = *conf;
    (void)snprintf(collector->application, sizeof(collector->application),
                   "switchboard-control collector %s", conf->name);
    rc = sb_actor_start(&ops, collector, &collector->actor, err);
    if (rc != SB_OK) {
        sb_mem_free(collector);
        return rc;
    }
    *ret = collector;
    return SB_OK;
}

void cp_collector_stop(struct cp_collector **collectorp)
{
    struct cp_collector *collector = *collectorp;

    *collectorp = NULL;
    if (collector == NULL)
        return;
    sb_actor_stop(&collector->actor);
    sb_mem_free(collector);
}

struct sb_mailbox *cp_collector_mailbox(const struct cp_collector *collector)
{
    return sb_actor_mailbox(collector->actor);
}
