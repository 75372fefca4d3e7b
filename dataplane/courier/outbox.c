/* dataplane/courier/outbox.c */
#include "dataplane/courier/outbox.h"

#include <inttypes.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/reactor.h"
#include "dataplane/conf.h"
#include "dataplane/courier/courier_mail.h"
#include "dataplane/courier/intake.h"
#include "dataplane/courier/link.h"
#include "dataplane/courier/telemetry.h"
#include "dataplane/records/spool.h"
#include "proto/bus.h"

enum {
    TICK = 40,             /* milliseconds between looks at new records */
    BATCH_BYTES = 1 << 20, /* one record may make it longer */
    BATCH_RECORDS = 2000,
    AT_ONCE = BATCH_RECORDS / 2, /* so many waiting do not wait for the tick */
    RESEND = 5000,               /* milliseconds; doubled for each time in vain */
    RESENDS_MAX = 3,
    ADOPT_FIRST = 3000, /* who restarts is back by then */
    ADOPT_EVERY = 30000,
    FOLDS_MAX = 64,
    BODY_MAX = 16 << 20,
    ARENA_BLOCK = 16 * 1024,
    SMALL = 4096,
};

struct dp_outbox {
    struct dp_outbox_start start;
    struct dp_link *link;
    struct sb_reactor_timer tick;
    sb_msec tick_length;
    bool is_draining;

    uint64_t seen;          /* of the live boot, at the last tick */
    uint64_t told;          /* the loop knows that this is safe */
    sb_msec unsynced_since; /* 0: all is safe */
    sb_msec adopt_at;

    bool is_sent;  /* a batch is under way */
    bool has_more; /* there may be records that were not in it */
    struct {
        char worker[MSG_WORKER_ID_MAX + 1];
        uint64_t boot, last;
        sb_msec at;
        unsigned resends;
    } sent;
    struct sb_buf bulk;

    struct dp_fold *folds[FOLDS_MAX];
    unsigned n_folds;
};

static sb_msec now_of(const struct dp_outbox *outbox)
{
    return sb_reactor_now(outbox->start.reactor);
}

/* --- batches ------------------------------------------------------------------ */

static void note_drained(struct dp_outbox *outbox)
{
    if (outbox->is_draining && dp_spool_is_drained(outbox->start.spool)) {
        outbox->is_draining = false;
        outbox->start.on_drained(outbox->start.ctx);
    }
}

static int put_batch(struct dp_outbox *outbox, const struct dp_spool_batch *batch)
{
    const struct msg_batch msg = {
        .worker = sb_slice_of(batch->worker),
        .boot = batch->boot,
        .first = batch->first,
        .count = batch->count,
    };
    struct sb_slice bulk = sb_buf_slice(&outbox->bulk);
    SB_CLEANUP(sb_buf_release) struct sb_buf body;
    int rc;

    sb_buf_init(&body, SMALL);
    rc = msg_batch_encode(&msg, &body);
    return rc == SB_OK ? dp_link_send(outbox->link, MSG_KIND_BATCH, sb_buf_slice(&body), &bulk)
                       : rc;
}

static void send_batch(struct dp_outbox *outbox)
{
    struct dp_spool_batch batch;
    int rc;

    if (outbox->is_sent || !dp_link_has_leader(outbox->link))
        return;
    sb_buf_reset(&outbox->bulk);
    rc = dp_spool_fill(outbox->start.spool, BATCH_BYTES, BATCH_RECORDS, &outbox->bulk, &batch);
    if (rc == SB_EAGAIN) {
        outbox->has_more = false;
        sb_buf_clear(&outbox->bulk); /* at rest we are small */
        note_drained(outbox);
        return;
    }
    if (rc == SB_OK)
        rc = put_batch(outbox, &batch);
    if (rc != SB_OK) {
        sb_log_debug(COURIER, "cannot send a batch now code=%s", sb_err_name(rc));
        return; /* the next tick or pulse tries again */
    }
    outbox->is_sent = true;
    (void)sb_slice_copy_text(sb_slice_of(batch.worker), outbox->sent.worker,
                             sizeof(outbox->sent.worker));
    outbox->sent.boot = batch.boot;
    outbox->sent.last = batch.first + batch.count - 1;
    outbox->sent.at = now_of(outbox);
    outbox->has_more = batch.boot != dp_spool_boot(outbox->start.spool) ||
                       outbox->sent.last < dp_spool_last(outbox->start.spool);
    (void)atomic_fetch_add_explicit(&outbox->start.shared->batches, 1, memory_order_relaxed);
}

static void wake_up(struct dp_outbox *outbox);

void dp_outbox_on_batch_ok(struct dp_outbox *outbox, struct sb_slice body)
{
    struct dp_spool *spool = outbox->start.spool;
    struct msg_batch_ok ok;
    int rc;

    if (msg_batch_ok_decode(body, &ok) != SB_OK)
        return;
    rc = dp_spool_ack(spool, ok.worker, ok.boot, ok.last);
    if (rc == SB_EINVAL)
        sb_log_error(COURIER,
                     "acknowledged was what was never written boot=%" PRIu64 " last=%" PRIu64,
                     ok.boot, ok.last);
    /* Also of an earlier sending: then all or a part of ours was in it. */
    if (rc != SB_OK || !outbox->is_sent || ok.boot != outbox->sent.boot ||
        !sb_slice_is(ok.worker, outbox->sent.worker))
        return;
    outbox->is_sent = false;
    outbox->sent.resends = 0;
    /* Records that came while it was under way were seen by a tick that could
     * not send them, and nothing else would wake us for them. */
    if (ok.last < outbox->sent.last ||
        (ok.boot == dp_spool_boot(spool) && ok.last < dp_spool_last(spool)))
        outbox->has_more = true;
    if (outbox->is_draining || ok.boot != dp_spool_boot(spool) ||
        dp_spool_last(spool) - ok.last >= AT_ONCE)
        send_batch(outbox);
    else if (outbox->has_more)
        wake_up(outbox);
    else
        sb_buf_clear(&outbox->bulk);
}

static void resend(struct dp_outbox *outbox, sb_msec now)
{
    if (!outbox->is_sent || now - outbox->sent.at < (sb_msec)RESEND << outbox->sent.resends)
        return;
    if (outbox->sent.resends < RESENDS_MAX)
        outbox->sent.resends++;
    sb_log_warn(COURIER,
                "a batch was not acknowledged, sending it again boot=%" PRIu64 " last=%" PRIu64,
                outbox->sent.boot, outbox->sent.last);
    outbox->is_sent = false;
    send_batch(outbox);
}

/* --- ticks -------------------------------------------------------------------- */

/* The loop hears of it only while it waits for something. */
static void tell_synced(struct dp_outbox *outbox)
{
    uint64_t wanted = atomic_load(&outbox->start.shared->sync_wanted), synced;

    if (SB_LIKELY(outbox->told >= wanted) || outbox->start.loop == NULL)
        return;
    synced = dp_spool_synced(outbox->start.spool);
    if (synced <= outbox->told)
        return;
    outbox->told = synced;
    dp_mail_post_version(outbox->start.loop, DP_MAIL_SYNCED,
                         (struct msg_version){.epoch = 1, .revision = synced});
}

static void sync_now(struct dp_outbox *outbox)
{
    if (dp_spool_sync(outbox->start.spool) == SB_OK)
        outbox->unsynced_since = 0;
    tell_synced(outbox);
}

static void sync_when_due(struct dp_outbox *outbox, uint64_t last, sb_msec now)
{
    sb_msec due = outbox->start.conf->spool_sync;

    if (dp_spool_is_synced(outbox->start.spool, last)) {
        outbox->unsynced_since = 0;
        tell_synced(outbox); /* also what was acknowledged meanwhile */
        return;
    }
    if (outbox->unsynced_since == 0)
        outbox->unsynced_since = now;
    /* At the tick that is nearest, rather early than late. */
    if (now - outbox->unsynced_since + outbox->tick_length < due && !outbox->is_draining)
        return;
    sync_now(outbox);
}

static void on_tick(struct sb_reactor_timer *timer)
{
    struct dp_outbox *outbox = container_of(timer, struct dp_outbox, tick);
    struct dp_spool *spool = outbox->start.spool;
    uint64_t last = dp_spool_last(spool);
    bool has_new = last != outbox->seen;

    outbox->seen = last;
    dp_spool_tend(spool);
    sync_when_due(outbox, last, now_of(outbox));
    if (has_new || outbox->has_more)
        send_batch(outbox);
    if (has_new || outbox->unsynced_since != 0) {
        wake_up(outbox);
        return;
    }
    dp_spool_rest(spool);
    /* To sleep, unless a record came just now: the loop looks at the flag after
     * it has written, we look for records after we have set it. */
    atomic_store(&outbox->start.shared->sleeping, true);
    if (dp_spool_last(spool) != outbox->seen &&
        atomic_exchange(&outbox->start.shared->sleeping, false))
        wake_up(outbox);
}

static void wake_up(struct dp_outbox *outbox)
{
    if (!sb_reactor_timer_is_running(&outbox->tick))
        sb_reactor_timer_start(outbox->start.reactor, &outbox->tick, outbox->tick_length, 0,
                               on_tick);
}

void dp_outbox_on_records(struct dp_outbox *outbox)
{
    if (outbox->unsynced_since == 0)
        outbox->unsynced_since = now_of(outbox);
    wake_up(outbox);
}

void dp_outbox_on_sync(struct dp_outbox *outbox)
{
    if (outbox->unsynced_since == 0)
        outbox->unsynced_since = now_of(outbox);
    sync_now(outbox);
    wake_up(outbox); /* it is to be sent as well, and a disk that failed asked again */
}

/* --- beats -------------------------------------------------------------------- */

static void drop_folds(struct dp_outbox *outbox)
{
    while (outbox->n_folds > 0)
        dp_fold_destroy(&outbox->folds[--outbox->n_folds]);
}

static void collect_rows(const struct dp_outbox *outbox, struct sb_arena *arena,
                         struct msg_beat *beat)
{
    size_t room = (size_t)outbox->n_folds * DP_FOLD_ROWS_MAX;

    if (outbox->n_folds == 1) {
        beat->rows = dp_fold_rows(outbox->folds[0], arena, &beat->n_rows);
        return;
    }
    if (room == 0)
        return;
    beat->rows = sb_arena_try(arena, room * sizeof(*beat->rows));
    for (unsigned i = 0; beat->rows != NULL && i < outbox->n_folds; i++) {
        size_t n;
        struct msg_beat_row *rows = dp_fold_rows(outbox->folds[i], arena, &n);

        for (size_t j = 0; j < n && beat->n_rows < MSG_BEAT_ROWS_MAX; j++)
            beat->rows[beat->n_rows++] = rows[j];
    }
}

static void beat(struct dp_outbox *outbox)
{
    struct dp_courier_shared *shared = outbox->start.shared;
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = NULL;
    SB_CLEANUP(sb_buf_release) struct sb_buf body;
    struct dp_spool_stats spool;
    struct msg_beat msg;

    sb_buf_init(&body, BODY_MAX);
    if (!dp_link_has_leader(outbox->link)) {
        drop_folds(outbox);
        return;
    }
    arena = sb_arena_new(ARENA_BLOCK);
    dp_spool_stats(outbox->start.spool, &spool);
    msg = (struct msg_beat){
        .worker = sb_slice_of(outbox->start.worker),
        .boot = dp_spool_boot(outbox->start.spool),
        .version = dp_intake_version(outbox->start.intake),
        .in_flight = atomic_load_explicit(&shared->in_flight, memory_order_relaxed),
        .connections = atomic_load_explicit(&shared->connections, memory_order_relaxed),
        .requests = atomic_load_explicit(&shared->requests, memory_order_relaxed),
        .spool_bytes = spool.bytes,
        .spool_limit = spool.limit,
        .spool_next = spool.next,
        .spool_acked = spool.acked,
        .from_disk = dp_intake_is_from_disk(outbox->start.intake),
        .draining = atomic_load_explicit(&shared->draining, memory_order_relaxed),
    };
    collect_rows(outbox, arena, &msg);
    if (msg_beat_encode(&msg, &body) == SB_OK &&
        dp_link_send(outbox->link, MSG_KIND_BEAT, sb_buf_slice(&body), NULL) == SB_OK)
        (void)atomic_fetch_add_explicit(&shared->beats, 1, memory_order_relaxed);
    drop_folds(outbox);
}

void dp_outbox_on_fold(struct dp_outbox *outbox, struct dp_fold **fold, bool is_urgent)
{
    if (outbox->n_folds == FOLDS_MAX)
        drop_folds(outbox);
    outbox->folds[outbox->n_folds++] = *fold;
    *fold = NULL;
    if (is_urgent)
        beat(outbox);
}

/* --- events ------------------------------------------------------------------- */

void dp_outbox_on_leader(struct dp_outbox *outbox)
{
    if (!outbox->is_sent)
        send_batch(outbox);
}

void dp_outbox_on_leader_lost(struct dp_outbox *outbox)
{
    outbox->is_sent = false;
    outbox->has_more = true;
    outbox->sent.resends = 0;
    /* Nobody is left to drain to. */
    if (outbox->is_draining) {
        outbox->is_draining = false;
        outbox->start.on_drained(outbox->start.ctx);
    }
}

void dp_outbox_on_pulse(struct dp_outbox *outbox, sb_msec now)
{
    if (now >= outbox->adopt_at) {
        outbox->adopt_at = now + ADOPT_EVERY;
        if (dp_spool_adopt(outbox->start.spool) > 0)
            outbox->has_more = true;
    }
    dp_spool_tend(outbox->start.spool);
    beat(outbox);
    resend(outbox, now);
    if (outbox->has_more)
        send_batch(outbox);
}

void dp_outbox_drain(struct dp_outbox *outbox)
{
    outbox->is_draining = true;
    sync_when_due(outbox, dp_spool_last(outbox->start.spool), now_of(outbox));
    beat(outbox);
    if (!dp_link_has_leader(outbox->link))
        dp_outbox_on_leader_lost(outbox);
    else
        send_batch(outbox);
    if (outbox->is_draining)
        note_drained(outbox);
}

/* --- life --------------------------------------------------------------------- */

struct dp_outbox *dp_outbox_new(const struct dp_outbox_start *start)
{
    struct dp_outbox *outbox = sb_mem_new(sizeof(*outbox));

    outbox->start = *start;
    outbox->tick_length = start->conf->spool_sync < TICK ? start->conf->spool_sync : TICK;
    outbox->adopt_at = now_of(outbox) + ADOPT_FIRST;
    outbox->has_more = true; /* of earlier boots */
    sb_buf_init(&outbox->bulk, MSG_BATCH_MAX);
    return outbox;
}

void dp_outbox_set_link(struct dp_outbox *outbox, struct dp_link *link)
{
    outbox->link = link;
}

void dp_outbox_destroy(struct dp_outbox **outboxp)
{
    struct dp_outbox *outbox = *outboxp;

    *outboxp = NULL;
    if (outbox == NULL)
        return;
    sb_reactor_timer_stop(&outbox->tick);
    drop_folds(outbox);
    sb_buf_release(&outbox->bulk);
    sb_mem_free(outbox);
}
