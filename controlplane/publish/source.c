/* controlplane/publish/source.c */
#include "controlplane/publish/source.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/actor.h"
#include "common/log.h"
#include "common/mailbox.h"
#include "common/mem.h"
#include "common/reactor.h"
#include "controlplane/db.h"
#include "controlplane/mail.h"
#include "controlplane/publish/compile.h"
#include "controlplane/publish/pace.h"
#include "controlplane/stats.h"
#include "proto/snapshot.h"

enum { ANSWER = 10000 }; /* ms that the database may take */

struct cp_source {
    struct cp_source_conf conf;
    char application[96];
    struct sb_actor *actor;
    /* The actor's own. */
    struct sb_reactor *reactor;
    struct sb_reactor_timer poll, next;
    struct cp_db *db;
    int fd; /* of db, as it is in the reactor; -1 none */
    bool told_lost;
    bool leading;
    uint64_t term;
    struct cp_pace pace;
    struct msg_version have; /* posted */
    uint64_t have_term;      /* in which; 0 as standby */
};

static void want(struct cp_source *source);

/* --- the connection ---------------------------------------------------------- */

static void unwatch(struct cp_source *source)
{
    if (source->fd >= 0)
        sb_reactor_remove_fd(source->reactor, source->fd);
    source->fd = -1;
}

static void lose(struct cp_source *source, const char *what)
{
    if (!source->told_lost)
        sb_log_error(PUB, "%s, publishing what there is: %s", what,
                     source->db != NULL ? cp_db_last_error(source->db)->text.text : "");
    source->told_lost = true;
    unwatch(source);
    cp_db_destroy(&source->db);
}

/* Reads all notifications: they say no more than that something is new. */
static bool take_notifications(struct cp_source *source)
{
    struct cp_notification notification;
    bool any = false;
    int rc;

    while ((rc = cp_db_notified(source->db, &notification)) == SB_OK)
        any = true;
    if (rc != SB_EAGAIN) {
        lose(source, "lost the database");
        return false;
    }
    return any;
}

static void on_readable(void *ctx, unsigned events)
{
    struct cp_source *source = ctx;

    (void)events;
    if (take_notifications(source) && source->leading)
        want(source);
}

static bool connect_db(struct cp_source *source)
{
    const struct cp_db_conf conf = {.conninfo = source->conf.conninfo,
                                    .application = source->application,
                                    .role = CP_DB_SERVICE_ROLE,
                                    .connect_timeout = 2000,
                                    .query_timeout = ANSWER};
    struct sb_errmsg err;
    int rc;

    if (source->db != NULL)
        return true;
    rc = cp_db_new(&conf, &source->db, &err);
    if (rc == SB_OK)
        rc = cp_db_listen(source->db, CP_CHANNEL_CONFIG);
    if (rc != SB_OK) {
        if (!source->told_lost)
            sb_log_error(PUB, "no database, trying on code=%s: %s", sb_err_name(rc), err.text);
        source->told_lost = true;
        cp_db_destroy(&source->db);
        return false;
    }
    source->told_lost = false;
    source->fd = cp_db_fd(source->db);
    sb_reactor_add_fd(source->reactor, source->fd, SB_REACTOR_IN, on_readable, source);
    return true;
}

/* --- compiling ------------------------------------------------------------------ */

static int read_head(struct cp_source *source, struct msg_version *ret_head)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc =
        cp_db_query(source->db, "SELECT epoch, revision FROM config_head", CP_NO_PARAMS, &rows);

    if (rc == SB_OK && cp_rows_count(rows) != 1)
        rc = SB_EDB;
    if (rc == SB_OK)
        *ret_head = (struct msg_version){.epoch = (uint64_t)cp_rows_i64(rows, 0, 0),
                                         .revision = (uint64_t)cp_rows_i64(rows, 0, 1)};
    return rc;
}

static void compile(struct cp_source *source)
{
    sb_usec before = sb_clock_wall(&sb_clock_system), after;
    struct cp_compiled_mail *mail;
    struct cp_compiled compiled;
    struct sb_errmsg err;
    int rc;

    cp_pace_done(&source->pace, sb_reactor_now(source->reactor));
    rc = cp_compile(source->db, MSG_SNAPSHOT_FORMAT, source->term, &compiled, &err);
    if (rc == SB_ENOTLEADER) /* the leader actor will find out, and tell */
        return;
    if (rc != SB_OK) {
        cp_stat_add(source->conf.stats, compile_failures, 1);
        sb_log_error(PUB, "cannot compile, publishing revision=%" PRIu64 " code=%s: %s",
                     source->have.revision, sb_err_name(rc), err.text);
        return;
    }
    after = sb_clock_wall(&sb_clock_system);
    cp_stat_add(source->conf.stats, compiled, 1);
    cp_stat_add(source->conf.stats, compile_usec, after > before ? after - before : 0);
    source->have = compiled.version;
    source->have_term = source->term;
    sb_log_debug(PUB, "compiled epoch=%" PRIu64 " revision=%" PRIu64 " bytes=%zu us=%" PRIu64,
                 compiled.version.epoch, compiled.version.revision, sb_buf_len(&compiled.bytes),
                 after - before);
    mail = cp_compiled_mail_new();
    mail->compiled = compiled;
    (void)sb_mailbox_post(source->conf.publisher, &mail->mail);
}

static void refresh(struct cp_source *source)
{
    struct msg_version head;

    if (!connect_db(source))
        return;
    if (read_head(source, &head) != SB_OK) {
        if (!cp_db_is_alive(source->db))
            lose(source, "lost the database");
        return;
    }
    if (msg_version_cmp(head, source->have) != 0 || source->have_term != source->term)
        compile(source);
    /* What came in while we were reading answers. */
    if (!cp_db_is_alive(source->db))
        lose(source, "lost the database");
    else if (take_notifications(source) && source->leading)
        want(source);
}

static void on_next(struct sb_reactor_timer *timer)
{
    refresh(container_of(timer, struct cp_source, next));
}

static void want(struct cp_source *source)
{
    if (!sb_reactor_timer_is_running(&source->next))
        sb_reactor_timer_start(source->reactor, &source->next,
                               cp_pace_wait(&source->pace, sb_reactor_now(source->reactor)), 0,
                               on_next);
}

static void on_poll(struct sb_reactor_timer *timer)
{
    want(container_of(timer, struct cp_source, poll));
}

/* --- the actor --------------------------------------------------------------------- */

static void on_mail(void *ctx, struct sb_mail *mail)
{
    struct cp_source *source = ctx;

    if (mail->kind == CP_MAIL_LEAD) {
        const struct cp_lead *lead = container_of(mail, struct cp_lead, mail);

        source->leading = lead->leading;
        source->term = lead->leading ? lead->term : 0;
        if (lead->leading)
            want(source);
    }
    cp_mail_free(mail);
}

static int on_start(void *ctx, struct sb_reactor *reactor, struct sb_mailbox *self,
                    struct sb_errmsg *err)
{
    struct cp_source *source = ctx;

    (void)self;
    (void)err;
    source->reactor = reactor;
    source->fd = -1;
    cp_pace_init(&source->pace, CP_SOURCE_SPACING, CP_SOURCE_BURST);
    sb_reactor_timer_start(reactor, &source->poll, 0, CP_SOURCE_POLL, on_poll);
    return SB_OK;
}

static void on_stop(void *ctx)
{
    struct cp_source *source = ctx;

    sb_reactor_timer_stop(&source->poll);
    sb_reactor_timer_stop(&source->next);
    unwatch(source);
    cp_db_destroy(&source->db);
}

static const struct sb_actor_ops ops = {
    .name = "source", .start = on_start, .on_mail = on_mail, .stop = on_stop};

int cp_source_start(const struct cp_source_conf *conf, struct cp_source **ret,
                    struct sb_errmsg *err)
{
    struct cp_source *source = sb_mem_new(sizeof(*source));
    int rc;

    source->conf = *conf;
    (void)snprintf(source->application, sizeof(source->application),
                   "switchboard-control source %s", conf->name);
    rc = sb_actor_start(&ops, source, &source->actor, err);
    if (rc != SB_OK) {
        sb_mem_free(source);
        return rc;
    }
    *ret = source;
    return SB_OK;
}

void cp_source_stop(struct cp_source **sourcep)
{
    struct cp_source *source = *sourcep;

    *sourcep = NULL;
    if (source == NULL)
        return;
    sb_actor_stop(&source->actor);
    sb_mem_free(source);
}

struct sb_mailbox *cp_source_mailbox(const struct cp_source *source)
{
    return sb_actor_mailbox(source->actor);
}
