/* dataplane/courier/courier.c - the loop's half, and the actor that the other half is. */
#include "dataplane/courier/courier.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/actor.h"
#include "common/arena.h"
#include "common/bus.h"
#include "common/check.h"
#include "common/loop.h"
#include "common/mailbox.h"
#include "common/mem.h"
#include "common/reactor.h"
#include "dataplane/conf.h"
#include "dataplane/courier/courier_mail.h"
#include "dataplane/courier/desk.h"
#include "dataplane/courier/intake.h"
#include "dataplane/courier/link.h"
#include "dataplane/courier/outbox.h"
#include "dataplane/courier/telemetry.h"
#include "dataplane/dialect.h"
#include "dataplane/records/spool.h"
#include "dataplane/route/view.h"

enum {
    DRAIN_MSEC = 2000,
    DRAIN_PATIENCE = DRAIN_MSEC + 3000, /* a disk may be slow to sync */
    FOLD_EVERY = 1000,                  /* milliseconds between ordinary beats */
    FOLD_URGENT = 50,                   /* and between those for faults */
};

#ifndef SB_VERSION
#define SB_VERSION "0.1.0"
#endif

struct dp_courier {
    /* Set before the thread starts. */
    struct dp_courier_start start;
    char host[64];

    /* The loop's. */
    struct sb_actor *actor;
    struct sb_mailbox *to_courier; /* borrowed from the actor */
    struct sb_mailbox *to_loop;
    struct sb_wake wake;
    struct sb_timer fold_timer;
    sb_msec folded_at;
    uint64_t noted;  /* sequence that the courier was told of */
    uint64_t wanted; /* sequence that somebody waits for; told when it is in shared */
    struct sb_mail records, sync;

    struct dp_courier_shared shared;

    /* The thread's. */
    struct sb_reactor *reactor;
    struct dp_link *link;
    struct dp_intake *intake;
    struct dp_outbox *outbox;
    struct dp_desk *desk;
    struct sb_reactor_timer drain_timer;
    struct sb_ask *drain; /* to be replied to */
};

/* --- the thread: what the link says ------------------------------------------- */

static void fill_hello(void *ctx, struct msg_hello *hello)
{
    const struct dp_courier *courier = ctx;

    hello->worker = sb_slice_of(courier->start.worker);
    hello->boot = dp_spool_boot(courier->start.spool);
    hello->host = sb_slice_of(courier->host);
    hello->pid = (uint32_t)getpid();
    hello->release = SB_SLICE_LIT(SB_VERSION);
    hello->dialects = sb_slice_of(dp_dialect_names());
    if (courier->start.receipt_key != NULL)
        memcpy(hello->receipt_key, courier->start.receipt_key, sizeof(hello->receipt_key));
    dp_intake_fill_hello(courier->intake, hello);
}

static void show_link(struct dp_courier *courier)
{
    const struct dp_link_stats *stats = dp_link_stats(courier->link);
    struct dp_courier_shared *shared = &courier->shared;

    atomic_store_explicit(&shared->connected, stats->has_leader, memory_order_relaxed);
    atomic_store_explicit(&shared->term, stats->term, memory_order_relaxed);
    atomic_store_explicit(&shared->resyncs, stats->resyncs, memory_order_relaxed);
    atomic_store_explicit(&shared->heard, stats->heard, memory_order_relaxed);
}

static void pass_certificate(struct dp_courier *courier, struct sb_slice certificate)
{
    struct dp_certificate_mail *mail;

    if (certificate.n == 0 || certificate.n > MSG_CERTIFICATE_MAX)
        return; /* one that was given before stays good */
    mail = dp_mail_new(sizeof(*mail), DP_MAIL_CERTIFICATE);
    mail->n = certificate.n;
    memcpy(mail->text, certificate.p, certificate.n);
    (void)sb_mailbox_post(courier->to_loop, &mail->mail);
}

static void on_leader(void *ctx, const struct msg_welcome *welcome)
{
    struct dp_courier *courier = ctx;
    bool was_connected = atomic_load_explicit(&courier->shared.connected, memory_order_relaxed);

    show_link(courier);
    pass_certificate(courier, welcome->certificate);
    dp_intake_on_leader(courier->intake, welcome);
    dp_outbox_on_leader(courier->outbox);
    if (!was_connected)
        dp_desk_on_leader(courier->desk);
}

static void on_leader_lost(void *ctx)
{
    struct dp_courier *courier = ctx;

    show_link(courier);
    dp_intake_on_leader_lost(courier->intake);
    dp_outbox_on_leader_lost(courier->outbox);
}

static void on_heartbeat(void *ctx, const struct msg_heartbeat *heartbeat)
{
    struct dp_courier *courier = ctx;

    show_link(courier);
    dp_intake_on_heartbeat(courier->intake, heartbeat);
}

static void on_message(void *ctx, const struct dp_link_message *message)
{
    struct dp_courier *courier = ctx;

    switch (message->envelope.kind) {
    case MSG_KIND_ANNOUNCE:
    case MSG_KIND_SNAPSHOT:
    case MSG_KIND_TABLES:
        dp_intake_on_message(courier->intake, message);
        break;
    case MSG_KIND_BATCH_OK:
        dp_outbox_on_batch_ok(courier->outbox, message->body);
        break;
    case MSG_KIND_QUERY:
        dp_desk_on_query(courier->desk, message);
        break;
    case MSG_KIND_ANSWER:
        dp_desk_on_answer(courier->desk, message);
        break;
    default: /* of a newer daemon */
        break;
    }
}

static void on_pulse(void *ctx, sb_msec now)
{
    struct dp_courier *courier = ctx;

    show_link(courier);
    dp_intake_on_pulse(courier->intake, now);
    dp_outbox_on_pulse(courier->outbox, now);
    dp_desk_on_pulse(courier->desk, now);
}

static const struct dp_link_events link_events = {
    .fill_hello = fill_hello,
    .on_leader = on_leader,
    .on_leader_lost = on_leader_lost,
    .on_heartbeat = on_heartbeat,
    .on_message = on_message,
    .on_pulse = on_pulse,
};

/* --- the thread: what the loop says ------------------------------------------- */

static void finish_drain(struct dp_courier *courier)
{
    sb_reactor_timer_stop(&courier->drain_timer);
    if (courier->drain != NULL)
        sb_ask_reply(courier->drain, SB_OK);
    courier->drain = NULL;
}

static void on_drained(void *ctx)
{
    finish_drain(ctx);
}

static void on_drain_timer(struct sb_reactor_timer *timer)
{
    finish_drain(container_of(timer, struct dp_courier, drain_timer));
}

static void begin_drain(struct dp_courier *courier, struct sb_ask *ask)
{
    courier->drain = ask;
    sb_reactor_timer_start(courier->reactor, &courier->drain_timer, DRAIN_MSEC, 0, on_drain_timer);
    dp_outbox_drain(courier->outbox);
}

static void on_thread_mail(void *ctx, struct sb_mail *mail)
{
    struct dp_courier *courier = ctx;

    switch ((enum dp_mail_kind)mail->kind) {
    case DP_MAIL_RECORDS:
        dp_outbox_on_records(courier->outbox);
        return;
    case DP_MAIL_SYNC:
        atomic_store(&courier->shared.sync_asked, false); /* from here on ask again */
        dp_outbox_on_sync(courier->outbox);
        return;
    case DP_MAIL_DRAIN:
        begin_drain(courier, container_of(mail, struct sb_ask, mail));
        return;
    case DP_MAIL_QUESTION: /* taken */
        dp_desk_on_question(courier->desk, (struct dp_question *)(void *)mail);
        return;
    case DP_MAIL_EXPLAINED: /* taken */
        dp_desk_on_explained(courier->desk, (struct dp_explained_mail *)(void *)mail);
        return;
    case DP_MAIL_TAKEN:
        dp_intake_on_taken(courier->intake, ((struct dp_version_mail *)(void *)mail)->version);
        break;
    case DP_MAIL_FOLD:
        dp_outbox_on_fold(courier->outbox, &((struct dp_fold_mail *)(void *)mail)->fold,
                          ((struct dp_fold_mail *)(void *)mail)->is_urgent);
        break;
    case DP_MAIL_TABLES_LOST:
        dp_intake_on_tables_lost(courier->intake);
        break;
    case DP_MAIL_RETIRE: /* all that there is to do is below */
    case DP_MAIL_SNAPSHOT:
    case DP_MAIL_CONFIRMED:
    case DP_MAIL_TABLES:
    case DP_MAIL_EXPLAIN:
    case DP_MAIL_SYNCED:
    case DP_MAIL_CERTIFICATE: /* these go the other way */
        break;
    }
    dp_mail_drop(mail);
}

static void stop_thread(void *ctx)
{
    struct dp_courier *courier = ctx;

    finish_drain(courier);
    dp_desk_destroy(&courier->desk);
    dp_outbox_destroy(&courier->outbox);
    dp_intake_destroy(&courier->intake);
    dp_link_destroy(&courier->link);
}

static int start_thread(void *ctx, struct sb_reactor *reactor, struct sb_mailbox *self,
                        struct sb_errmsg *err)
{
    struct dp_courier *courier = ctx;
    const struct dp_courier_start *start = &courier->start;
    const struct dp_intake_start intake = {
        .conf = start->conf,
        .dir = dp_spool_dir(start->spool),
        .keyring = start->keyring,
        .reactor = reactor,
        .loop = courier->to_loop,
        .retire = self,
        .shared = &courier->shared,
    };
    struct dp_outbox_start outbox = {
        .conf = start->conf,
        .worker = start->worker,
        .reactor = reactor,
        .spool = start->spool,
        .loop = start->events->on_synced != NULL ? courier->to_loop : NULL,
        .shared = &courier->shared,
        .on_drained = on_drained,
        .ctx = courier,
    };
    int rc;

    courier->reactor = reactor;
    outbox.intake = courier->intake = dp_intake_new(&intake);
    courier->outbox = dp_outbox_new(&outbox);
    courier->desk = dp_desk_new(reactor, start->spool, courier->to_loop);
    rc = dp_link_new(start->conf, reactor, &link_events, courier, &courier->link, err);
    if (rc != SB_OK) {
        stop_thread(courier);
        return rc;
    }
    dp_intake_set_link(courier->intake, courier->link);
    dp_outbox_set_link(courier->outbox, courier->link);
    dp_desk_set_link(courier->desk, courier->link);
    return SB_OK;
}

static const struct sb_actor_ops actor_ops = {
    .name = "courier",
    .start = start_thread,
    .on_mail = on_thread_mail,
    .stop = stop_thread,
};

/* --- the loop: what the thread says ------------------------------------------- */

static void take_snapshot(struct dp_courier *courier, struct dp_snapshot_mail *mail)
{
    struct dp_snapshot *snapshot = mail->snapshot;
    struct msg_version version = snapshot->records->version;

    mail->snapshot = NULL;
    courier->start.events->on_snapshot(courier->start.ctx, snapshot, mail->from_disk);
    dp_mail_post_version(courier->to_courier, DP_MAIL_TAKEN, version);
}

static void take_answer(struct dp_question *question)
{
    if (question->cb != NULL)
        question->cb(question->ctx, question->status, sb_buf_slice(&question->json));
}

static void on_loop_mail(struct dp_courier *courier, struct sb_mail *mail)
{
    const struct dp_courier_events *events = courier->start.events;
    void *ctx = courier->start.ctx;

    switch ((enum dp_mail_kind)mail->kind) {
    case DP_MAIL_SNAPSHOT:
        take_snapshot(courier, (struct dp_snapshot_mail *)(void *)mail);
        break;
    case DP_MAIL_CONFIRMED:
        events->on_confirmed(ctx);
        break;
    case DP_MAIL_TABLES:
        if (events->on_tables(ctx, &((struct dp_tables_mail *)(void *)mail)->tables) == SB_EGAP)
            dp_mail_post_plain(courier->to_courier, DP_MAIL_TABLES_LOST);
        break;
    case DP_MAIL_EXPLAIN: {
        const struct dp_explain_mail *explain = (struct dp_explain_mail *)(void *)mail;

        events->on_explain(ctx, explain->id, explain->key_name, explain->body);
        break;
    }
    case DP_MAIL_QUESTION:
        take_answer((struct dp_question *)(void *)mail);
        break;
    case DP_MAIL_SYNCED:
        events->on_synced(ctx, ((struct dp_version_mail *)(void *)mail)->version.revision);
        break;
    case DP_MAIL_CERTIFICATE: {
        const struct dp_certificate_mail *certificate = (struct dp_certificate_mail *)(void *)mail;

        events->on_certificate(ctx, sb_slice_make(certificate->text, certificate->n));
        break;
    }
    case DP_MAIL_RECORDS:
    case DP_MAIL_SYNC:
    case DP_MAIL_TAKEN:
    case DP_MAIL_RETIRE:
    case DP_MAIL_FOLD:
    case DP_MAIL_TABLES_LOST:
    case DP_MAIL_EXPLAINED:
    case DP_MAIL_DRAIN: /* go the other way */
        break;
    }
    dp_mail_drop(mail);
}

static void on_wake(struct sb_wake *wake)
{
    struct dp_courier *courier = container_of(wake, struct dp_courier, wake);
    struct sb_mail *chain = sb_mailbox_take(courier->to_loop), *mail;

    while ((mail = sb_mail_pop(&chain)) != NULL)
        on_loop_mail(courier, mail);
}

static void ring(void *ctx)
{
    sb_wake_send(&((struct dp_courier *)ctx)->wake);
}

/* --- the loop: what it says --------------------------------------------------- */

static void send_fold(struct dp_courier *courier, bool is_urgent, sb_msec now)
{
    struct dp_fold_mail *mail = dp_mail_new(sizeof(*mail), DP_MAIL_FOLD);

    courier->folded_at = now;
    mail->fold = dp_telemetry_take(courier->start.telemetry);
    mail->is_urgent = is_urgent;
    (void)sb_mailbox_post(courier->to_courier, &mail->mail);
}

static void note_telemetry(struct dp_courier *courier)
{
    sb_msec now, due;
    bool is_urgent;

    if (!dp_telemetry_has(courier->start.telemetry, &is_urgent))
        return;
    now = sb_loop_now(courier->start.loop);
    due = courier->folded_at + (is_urgent ? FOLD_URGENT : FOLD_EVERY);
    if (now >= due)
        send_fold(courier, is_urgent, now);
    else if (!sb_timer_is_set(&courier->fold_timer) || courier->fold_timer.deadline > due)
        sb_timer_set(&courier->fold_timer, due);
}

static void on_fold_timer(struct sb_timer *timer)
{
    note_telemetry(container_of(timer, struct dp_courier, fold_timer));
}

void dp_courier_want_sync(struct dp_courier *courier, uint64_t sequence)
{
    courier->wanted = sequence; /* they only grow */
}

static void note_wanted(struct dp_courier *courier)
{
    struct dp_courier_shared *shared = &courier->shared;

    if (SB_LIKELY(courier->wanted ==
                  atomic_load_explicit(&shared->sync_wanted, memory_order_relaxed)))
        return;
    /* Written before it is asked: whoever takes the question sees it. */
    atomic_store(&shared->sync_wanted, courier->wanted);
    if (!atomic_exchange(&shared->sync_asked, true))
        (void)sb_mailbox_post(courier->to_courier, &courier->sync);
}

void dp_courier_note(struct dp_courier *courier, const struct dp_load *load)
{
    struct dp_courier_shared *shared = &courier->shared;
    uint64_t last = dp_spool_last(courier->start.spool);

    atomic_store_explicit(&shared->in_flight, load->in_flight, memory_order_relaxed);
    atomic_store_explicit(&shared->connections, load->connections, memory_order_relaxed);
    atomic_store_explicit(&shared->requests, load->requests, memory_order_relaxed);
    atomic_store_explicit(&shared->draining, load->draining, memory_order_relaxed);
    if (last != courier->noted) {
        courier->noted = last;
        /* Written before this is read, against the same two the other way round
         * in dataplane/courier/outbox.c: one of us sees the other. */
        atomic_thread_fence(memory_order_seq_cst);
        if (atomic_load_explicit(&shared->sleeping, memory_order_relaxed) &&
            atomic_exchange(&shared->sleeping, false))
            (void)sb_mailbox_post(courier->to_courier, &courier->records);
    }
    note_wanted(courier);
    note_telemetry(courier);
}

void dp_courier_retire(struct dp_courier *courier, struct dp_snapshot *snapshot)
{
    struct dp_snapshot_mail *mail = dp_mail_new(sizeof(*mail), DP_MAIL_RETIRE);

    mail->snapshot = snapshot;
    (void)sb_mailbox_post(courier->to_courier, &mail->mail);
}

struct dp_question *dp_courier_ask(struct dp_courier *courier, const struct dp_asked *asked,
                                   dp_question_cb *cb, void *ctx)
{
    enum { ANSWER_MAX = 1 << 20 };
    struct dp_question *question =
        dp_mail_new(sizeof(*question) + asked->argument.n, DP_MAIL_QUESTION);
    char *copy = (char *)(question + 1);

    SB_BUG_ON(asked->argument.n > MSG_NAME_MAX);
    if (asked->argument.n > 0)
        memcpy(copy, asked->argument.p, asked->argument.n);
    question->cb = cb;
    question->ctx = ctx;
    question->what = (int)asked->what;
    question->tenant = asked->tenant;
    question->key = asked->key;
    question->argument = sb_slice_make(copy, asked->argument.n);
    sb_buf_init(&question->json, ANSWER_MAX);
    (void)sb_mailbox_post(courier->to_courier, &question->mail);
    return question;
}

void dp_question_cancel(struct dp_question **question)
{
    if (*question != NULL)
        (*question)->cb = NULL;
    *question = NULL;
}

void dp_courier_answer(struct dp_courier *courier, uint64_t id, int status, struct sb_slice json)
{
    enum { ANSWER_MAX = 64 << 20 };
    struct dp_explained_mail *mail = dp_mail_new(sizeof(*mail), DP_MAIL_EXPLAINED);

    mail->id = id;
    mail->status = status;
    sb_buf_init(&mail->json, ANSWER_MAX);
    if (sb_buf_append(&mail->json, json) != SB_OK)
        mail->status = 503;
    (void)sb_mailbox_post(courier->to_courier, &mail->mail);
}

void dp_courier_state(const struct dp_courier *courier, struct dp_courier_state *ret_state)
{
    const struct dp_courier_shared *shared = &courier->shared;
    sb_msec now = sb_clock_now(&sb_clock_system);
    sb_msec heard = atomic_load_explicit(&shared->heard, memory_order_relaxed);

    *ret_state = (struct dp_courier_state){
        .connected = atomic_load_explicit(&shared->connected, memory_order_relaxed),
        .term = atomic_load_explicit(&shared->term, memory_order_relaxed),
        .batches = atomic_load_explicit(&shared->batches, memory_order_relaxed),
        .nacks = atomic_load_explicit(&shared->nacks, memory_order_relaxed),
        .resyncs = atomic_load_explicit(&shared->resyncs, memory_order_relaxed),
        .beats = atomic_load_explicit(&shared->beats, memory_order_relaxed),
        .tables_sequence = atomic_load_explicit(&shared->tables_sequence, memory_order_relaxed),
        .silent_for = now > heard ? now - heard : 0,
    };
}

/* --- life --------------------------------------------------------------------- */

int dp_courier_new(const struct dp_courier_start *start, struct dp_courier **ret_courier,
                   struct sb_errmsg *err)
{
    struct dp_courier *courier = sb_mem_new(sizeof(*courier));
    int rc;

    courier->start = *start;
    courier->records = (struct sb_mail){.kind = DP_MAIL_RECORDS};
    courier->sync = (struct sb_mail){.kind = DP_MAIL_SYNC};
    atomic_store(&courier->shared.sleeping, true);
    atomic_store(&courier->shared.heard, sb_clock_now(&sb_clock_system));
    if (gethostname(courier->host, sizeof(courier->host) - 1) != 0)
        courier->host[0] = '\0';
    rc = sb_wake_init(&courier->wake, start->loop, on_wake);
    if (rc != SB_OK) {
        sb_mem_free(courier);
        return sb_err_set(err, rc, "cannot make a wake on the loop");
    }
    sb_timer_init(&courier->fold_timer, start->loop, on_fold_timer);
    rc = sb_mailbox_new(ring, courier, &courier->to_loop);
    if (rc == SB_OK)
        rc = sb_actor_start(&actor_ops, courier, &courier->actor, err);
    if (rc != SB_OK) {
        dp_courier_destroy(&courier);
        return rc;
    }
    courier->to_courier = sb_actor_mailbox(courier->actor);
    *ret_courier = courier;
    return SB_OK;
}

static void free_courier(struct sb_wake *wake)
{
    sb_mem_free(container_of(wake, struct dp_courier, wake));
}

static void drain(struct dp_courier *courier)
{
    struct sb_ask ask;
    bool is_urgent;

    if (dp_telemetry_has(courier->start.telemetry, &is_urgent))
        send_fold(courier, false, sb_loop_now(courier->start.loop));
    sb_ask_init(&ask, DP_MAIL_DRAIN, NULL);
    /* When it takes longer than that, the thread is stuck in a system call and
     * will let go of the question when it is stopped: wait for both. */
    if (sb_ask_wait(&ask, courier->to_courier, DRAIN_PATIENCE) == SB_ETIMEDOUT)
        sb_actor_stop(&courier->actor);
    sb_ask_release(&ask);
    sb_actor_stop(&courier->actor);
}

void dp_courier_destroy(struct dp_courier **courierp)
{
    struct dp_courier *courier = *courierp;

    *courierp = NULL;
    if (courier == NULL)
        return;
    if (courier->actor != NULL)
        drain(courier);
    if (courier->to_loop != NULL)
        sb_mailbox_close(courier->to_loop); /* drops what nobody will take */
    sb_mailbox_unref(&courier->to_loop);
    sb_timer_release(&courier->fold_timer);
    sb_wake_close(&courier->wake, free_courier);
}
