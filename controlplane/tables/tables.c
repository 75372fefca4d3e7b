/* controlplane/tables/tables.c */
#include "controlplane/tables/tables.h"

#include "common/actor.h"
#include "common/arena.h"
#include "common/log.h"
#include "common/mailbox.h"
#include "common/mem.h"
#include "common/reactor.h"
#include "controlplane/mail.h"
#include "controlplane/stats.h"
#include "controlplane/tables/windows.h"
#include "proto/tables.h"

enum {
    ROWS_ARENA = 64 * 1024,
    WAITING_MAX = 256, /* who is beyond asks again */
    HEALTH_EVERY = 5,  /* ticks */
};

struct cp_tables {
    struct cp_tables_conf conf;
    struct sb_actor *actor;
    /* The actor's own. */
    struct sb_reactor *reactor;
    struct sb_reactor_timer tick, haste, patience, minutes;
    struct cp_observers observers; /* the publisher */
    struct cp_windows *windows;
    unsigned ticks;
    bool leading;
    bool ready; /* the past is in, or will not come */
    uint64_t term, epoch;
    uint64_t sequence;                   /* of the last message of this term */
    struct cp_peer waiting[WAITING_MAX]; /* for rows, until ready */
    unsigned n_waiting;
};

static void post(struct cp_tables *tables, struct cp_send *send)
{
    if (tables->observers.n > 0)
        (void)sb_mailbox_post(tables->observers.boxes[0], &send->mail);
    else
        cp_mail_free(&send->mail);
}

/* --- publishing ----------------------------------------------------------------------- */

/* To everybody what changed; or to one worker all there is, as of the last
 * message that everybody got. */
static void send_rows(struct cp_tables *tables, const struct cp_peer *to)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(ROWS_ARENA);
    struct cp_send *send;
    struct msg_tables message;
    int rc = cp_windows_rows(tables->windows, to != NULL, sb_reactor_now(tables->reactor), arena,
                             &message);

    if (rc != SB_OK) {
        sb_log_warn(TABLES, "cannot make the tables code=%s", sb_err_name(rc));
        return;
    }
    if (to == NULL && message.n_rows == 0)
        return;
    if (to == NULL)
        tables->sequence++;
    message.epoch = tables->epoch;
    message.term = tables->term;
    message.sequence = tables->sequence;
    send = cp_send_new(MSG_KIND_TABLES, tables->term);
    rc = msg_tables_encode(&message, &send->bulk);
    if (rc != SB_OK) {
        sb_log_warn(TABLES, "cannot encode the tables code=%s", sb_err_name(rc));
        cp_mail_free(&send->mail);
        return;
    }
    send->publish = to == NULL;
    send->sequence = tables->sequence;
    if (to != NULL)
        send->to = *to;
    cp_stat_add(tables->conf.stats, tables_published, to == NULL ? 1 : 0);
    cp_stat_add(tables->conf.stats, table_rows_published, message.n_rows);
    cp_stat_add(tables->conf.stats, table_bytes_published,
                to == NULL ? sb_buf_len(&send->bulk) : 0);
    post(tables, send);
}

/* What the detector has decided, for the record. */
static void send_verdicts(struct cp_tables *tables)
{
    struct cp_verdicts *mail = cp_verdicts_new(tables->term);

    cp_windows_verdicts(tables->windows, &mail->verdicts);
    sb_list_for_each(link, &mail->verdicts)
    {
        if (container_of(link, struct cp_verdict, link)->is_out)
            cp_stat_add(tables->conf.stats, outages, 1);
    }
    if (tables->conf.chronicle != NULL && tables->leading && !sb_list_is_empty(&mail->verdicts))
        (void)sb_mailbox_post(tables->conf.chronicle, &mail->mail);
    else
        cp_mail_free(&mail->mail);
}

static void publish(struct cp_tables *tables)
{
    if (!tables->leading || !tables->ready)
        return;
    send_rows(tables, NULL);
    send_verdicts(tables);
}

static void on_haste(struct sb_reactor_timer *timer)
{
    publish(container_of(timer, struct cp_tables, haste));
}

static void count_health(struct cp_tables *tables)
{
    size_t out, cooling;

    cp_windows_health(tables->windows, sb_reactor_now(tables->reactor), &out, &cooling);
    cp_stat_set(tables->conf.stats, table_rows, (int64_t)cp_windows_count(tables->windows));
    cp_stat_set(tables->conf.stats, endpoints_out, (int64_t)out);
    cp_stat_set(tables->conf.stats, endpoints_cooling, (int64_t)cooling);
}

static void on_tick(struct sb_reactor_timer *timer)
{
    struct cp_tables *tables = container_of(timer, struct cp_tables, tick);

    publish(tables);
    if (tables->ticks++ % HEALTH_EVERY == 0)
        count_health(tables);
}

/* --- the history ------------------------------------------------------------------------ */

static void send_minutes(struct cp_tables *tables, bool flush)
{
    struct cp_minutes *mail = cp_minutes_new(tables->term);

    cp_windows_minutes(tables->windows, flush, sb_reactor_now(tables->reactor),
                       sb_clock_wall(&sb_clock_system), &mail->minutes);
    if (tables->conf.chronicle != NULL && !sb_list_is_empty(&mail->minutes))
        (void)sb_mailbox_post(tables->conf.chronicle, &mail->mail);
    else
        cp_mail_free(&mail->mail);
}

static void on_minutes(struct sb_reactor_timer *timer)
{
    struct cp_tables *tables = container_of(timer, struct cp_tables, minutes);

    if (tables->leading)
        send_minutes(tables, false);
}

/* Answers those that asked before there was anything to say. */
static void become_ready(struct cp_tables *tables)
{
    sb_reactor_timer_stop(&tables->patience);
    tables->ready = true;
    while (tables->n_waiting > 0)
        send_rows(tables, &tables->waiting[--tables->n_waiting]);
}

static void on_patience(struct sb_reactor_timer *timer)
{
    struct cp_tables *tables = container_of(timer, struct cp_tables, patience);

    sb_log_warn(TABLES, "the history does not come, publishing what is measured from now on");
    become_ready(tables);
}

static void on_past(struct cp_tables *tables, const struct cp_past *past)
{
    sb_msec now = sb_reactor_now(tables->reactor);
    int rc = SB_OK;

    if (!tables->leading || past->term != tables->term)
        return;
    for (size_t i = 0; i < past->n; i++)
        rc |= cp_windows_load(tables->windows, past->rows[i].endpoint, past->rows[i].span,
                              past->rows[i].age, &past->rows[i].sums, now);
    for (size_t i = 0; i < past->n_out; i++)
        rc |= cp_windows_restore_outage(tables->windows, past->out[i], now);
    if (rc != SB_OK)
        sb_log_warn(TABLES, "not all of the history is counted");
    if (past->is_enough && !tables->ready) {
        sb_log_info(TABLES, "took the history over endpoints=%zu out=%zu",
                    cp_windows_count(tables->windows), past->n_out);
        become_ready(tables);
    }
}

/* --- what is measured --------------------------------------------------------------------- */

static void fold(struct cp_tables *tables, enum cp_sample_source source,
                 const struct msg_beat_row *rows, size_t n)
{
    sb_msec now = sb_reactor_now(tables->reactor);
    sb_usec wall = sb_clock_wall(&sb_clock_system);

    for (size_t i = 0; i < n; i++) {
        int rc = cp_windows_add(tables->windows, source, &rows[i], now, wall);

        if (rc != SB_OK)
            sb_log_debug(TABLES, "a row of telemetry is not counted in full code=%s",
                         sb_err_name(rc));
    }
    cp_stat_add(tables->conf.stats, beat_rows, n);
    if (cp_windows_is_urgent(tables->windows) && !sb_reactor_timer_is_running(&tables->haste))
        sb_reactor_timer_start(tables->reactor, &tables->haste, CP_TABLES_HASTE, 0, on_haste);
}

static void want_rows(struct cp_tables *tables, const struct cp_peer *from)
{
    if (!tables->leading)
        return;
    if (tables->ready)
        send_rows(tables, from);
    else if (tables->n_waiting < WAITING_MAX)
        tables->waiting[tables->n_waiting++] = *from;
}

/* --- the actor ------------------------------------------------------------------------------ */

static void begin_term(struct cp_tables *tables)
{
    tables->sequence = 0;
    if (tables->conf.chronicle == NULL) {
        tables->ready = true;
        return;
    }
    /* Of what another leader saw meanwhile the history knows more. */
    cp_windows_destroy(&tables->windows);
    tables->windows = cp_windows_new();
    tables->ready = false;
    sb_reactor_timer_start(tables->reactor, &tables->patience, CP_TABLES_PATIENCE, 0, on_patience);
}

static void on_lead(struct cp_tables *tables, const struct cp_lead *lead)
{
    bool is_new = lead->leading && lead->term != tables->term;

    if (tables->leading && !lead->leading) {
        send_minutes(tables, true);
        sb_reactor_timer_stop(&tables->patience);
        tables->n_waiting = 0;
    }
    tables->leading = lead->leading;
    tables->term = lead->term;
    tables->epoch = lead->epoch;
    if (is_new)
        begin_term(tables);
}

static void on_ask(struct cp_tables *tables, struct cp_ask_tables *ask)
{
    sb_ask_reply(&ask->ask, tables->leading
                                ? cp_windows_json(tables->windows, ask->ids, ask->n,
                                                  sb_reactor_now(tables->reactor), &ask->out)
                                : SB_ENOTLEADER);
}

static void on_mail(void *ctx, struct sb_mail *mail)
{
    struct cp_tables *tables = ctx;

    switch (mail->kind) {
    case CP_MAIL_ATTACH:
        cp_observers_add(&tables->observers, container_of(mail, struct cp_attach, mail));
        return;
    case CP_MAIL_LEAD:
        on_lead(tables, container_of(mail, struct cp_lead, mail));
        break;
    case CP_MAIL_BEAT: {
        const struct msg_beat *beat = &container_of(mail, struct cp_beat, mail)->beat;

        fold(tables, CP_SAMPLE_TRAFFIC, beat->rows, beat->n_rows);
        break;
    }
    case CP_MAIL_SAMPLES: {
        const struct cp_samples *samples = container_of(mail, struct cp_samples, mail);

        fold(tables, samples->source, samples->rows, samples->n_rows);
        break;
    }
    case CP_MAIL_PAST:
        on_past(tables, container_of(mail, struct cp_past, mail));
        break;
    case CP_MAIL_ROWS:
        want_rows(tables, &container_of(mail, struct cp_rows_wanted, mail)->from);
        break;
    case CP_ASK_TABLES:
        on_ask(tables, container_of(mail, struct cp_ask_tables, ask.mail));
        return;
    case CP_ASK_PULSE: {
        struct cp_ask_pulse *ask = container_of(mail, struct cp_ask_pulse, ask.mail);

        sb_ask_reply(&ask->ask, cp_windows_pulse(tables->windows, sb_reactor_now(tables->reactor),
                                                 ask->arena, &ask->pulses, &ask->n));
        return;
    }
    default:
        break;
    }
    cp_mail_free(mail);
}

static int on_start(void *ctx, struct sb_reactor *reactor, struct sb_mailbox *self,
                    struct sb_errmsg *err)
{
    struct cp_tables *tables = ctx;

    (void)self;
    (void)err;
    tables->reactor = reactor;
    tables->windows = cp_windows_new();
    sb_reactor_timer_start(reactor, &tables->tick, tables->conf.interval, tables->conf.interval,
                           on_tick);
    sb_reactor_timer_start(reactor, &tables->minutes, CP_SLOT, CP_SLOT, on_minutes);
    return SB_OK;
}

static void on_stop(void *ctx)
{
    struct cp_tables *tables = ctx;

    if (tables->leading)
        send_minutes(tables, true);
    sb_reactor_timer_stop(&tables->tick);
    sb_reactor_timer_stop(&tables->haste);
    sb_reactor_timer_stop(&tables->patience);
    sb_reactor_timer_stop(&tables->minutes);
    cp_windows_destroy(&tables->windows);
    cp_observers_release(&tables->observers);
}

static const struct sb_actor_ops ops = {
    .name = "tables", .start = on_start, .on_mail = on_mail, .stop = on_stop};

int cp_tables_start(const struct cp_tables_conf *conf, struct cp_tables **ret,
                    struct sb_errmsg *err)
{
    struct cp_tables *tables = sb_mem_new(sizeof(*tables));
    int rc;

    tables->conf = *conf;
    rc = sb_actor_start(&ops, tables, &tables->actor, err);
    if (rc != SB_OK) {
        sb_mem_free(tables);
        return rc;
    }
    *ret = tables;
    return SB_OK;
}

void cp_tables_stop(struct cp_tables **tablesp)
{
    struct cp_tables *tables = *tablesp;

    *tablesp = NULL;
    if (tables == NULL)
        return;
    sb_actor_stop(&tables->actor);
    sb_mem_free(tables);
}

struct sb_mailbox *cp_tables_mailbox(const struct cp_tables *tables)
{
    return sb_actor_mailbox(tables->actor);
}
