/* controlplane/tables.c */
#include "controlplane/tables.h"

#include "common/actor.h"
#include "common/arena.h"
#include "common/log.h"
#include "common/mailbox.h"
#include "common/mem.h"
#include "common/reactor.h"
#include "controlplane/mail.h"
#include "controlplane/stats.h"
#include "controlplane/windows.h"
#include "proto/tables.h"

enum { ROWS_ARENA = 64 * 1024 };

struct cp_tables {
    struct cp_tables_conf conf;
    struct sb_actor *actor;
    /* The actor's own. */
    struct sb_reactor *reactor;
    struct sb_reactor_timer tick;
    struct cp_observers observers; /* the publisher */
    struct cp_windows *windows;
    bool leading;
    uint64_t term, epoch;
    uint64_t sequence; /* of the last message of this term */
};

static void post(struct cp_tables *tables, struct cp_send *send)
{
    if (tables->observers.n > 0)
        (void)sb_mailbox_post(tables->observers.boxes[0], &send->mail);
    else
        cp_mail_free(&send->mail);
}

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
    post(tables, send);
}

static void on_tick(struct sb_reactor_timer *timer)
{
    struct cp_tables *tables = container_of(timer, struct cp_tables, tick);

    if (tables->leading)
        send_rows(tables, NULL);
    cp_stat_set(tables->conf.stats, table_rows, (int64_t)cp_windows_count(tables->windows));
}

static void fold(struct cp_tables *tables, const struct msg_beat_row *rows, size_t n)
{
    sb_msec now = sb_reactor_now(tables->reactor);

    for (size_t i = 0; i < n; i++) {
        int rc = cp_windows_add(tables->windows, &rows[i], now);

        if (rc != SB_OK)
            sb_log_debug(TABLES, "a row of telemetry is not counted in full code=%s",
                         sb_err_name(rc));
    }
    cp_stat_add(tables->conf.stats, beat_rows, n);
}

static void on_lead(struct cp_tables *tables, const struct cp_lead *lead)
{
    if (lead->leading && lead->term != tables->term)
        tables->sequence = 0;
    tables->leading = lead->leading;
    tables->term = lead->term;
    tables->epoch = lead->epoch;
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

        fold(tables, beat->rows, beat->n_rows);
        break;
    }
    case CP_MAIL_SAMPLES: {
        const struct cp_samples *samples = container_of(mail, struct cp_samples, mail);

        fold(tables, samples->rows, samples->n_rows);
        break;
    }
    case CP_MAIL_ROWS:
        if (tables->leading)
            send_rows(tables, &container_of(mail, struct cp_rows_wanted, mail)->from);
        break;
    case CP_ASK_TABLES: {
        struct cp_ask_text *ask = container_of(mail, struct cp_ask_text, ask.mail);

        sb_ask_reply(&ask->ask, tables->leading
                                    ? cp_windows_json(tables->windows,
                                                      sb_reactor_now(tables->reactor), &ask->out)
                                    : SB_ENOTLEADER);
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
    return SB_OK;
}

static void on_stop(void *ctx)
{
    struct cp_tables *tables = ctx;

    sb_reactor_timer_stop(&tables->tick);
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
