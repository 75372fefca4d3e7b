/* controlplane/upkeep.c */
#include "controlplane/upkeep.h"

#include <stdio.h>

#include "common/actor.h"
#include "common/log.h"
#include "common/mailbox.h"
#include "common/mem.h"
#include "common/reactor.h"
#include "common/timefmt.h"
#include "controlplane/db.h"
#include "controlplane/mail.h"
#include "controlplane/migrate.h"

enum { BEHIND = 1 }; /* days before today: records that come late */

struct cp_upkeep {
    struct cp_upkeep_conf conf;
    char application[96];
    struct sb_actor *actor;
    /* The actor's own. */
    struct sb_reactor *reactor;
    struct sb_reactor_timer timer;
};

static int drop(struct cp_db *db, enum cp_history history, sb_msec keep, bool exported_only,
                struct sb_errmsg *err)
{
    const sb_msec day = SB_SEC_PER_DAY * 1000;
    int32_t today = sb_day_of(sb_clock_wall(&sb_clock_system));
    unsigned dropped = 0;
    int rc;

    if (keep == 0)
        return SB_OK;
    rc = cp_partitions_drop(db, history, today - (int32_t)((keep + day - 1) / day), exported_only,
                            &dropped, err);
    if (rc == SB_OK && dropped > 0)
        sb_log_info(STORE, "dropped partitions of days that are too old partitions=%u history=%s",
                    dropped, history == CP_HISTORY_AUDIT ? "audit" : "telemetry");
    return rc;
}

static int keep_up(struct cp_upkeep *upkeep, struct sb_errmsg *err)
{
    const struct cp_db_conf conf = {.conninfo = upkeep->conf.owner_conninfo,
                                    .application = upkeep->application};
    int32_t today = sb_day_of(sb_clock_wall(&sb_clock_system));
    SB_CLEANUP(cp_db_destroy) struct cp_db *db = NULL;
    int rc = cp_db_new(&conf, &db, err);

    if (rc == SB_OK)
        rc = cp_partitions_make(db, today - BEHIND, BEHIND + 1 + CP_UPKEEP_AHEAD, err);
    if (rc == SB_OK)
        rc = drop(db, CP_HISTORY_AUDIT, upkeep->conf.audit_keep, upkeep->conf.exported_only, err);
    if (rc == SB_OK)
        rc = drop(db, CP_HISTORY_TELEMETRY, upkeep->conf.telemetry_keep, false, err);
    return rc;
}

static void on_timer(struct sb_reactor_timer *timer)
{
    struct cp_upkeep *upkeep = container_of(timer, struct cp_upkeep, timer);
    struct sb_errmsg err = {.text = ""};
    int rc = keep_up(upkeep, &err);

    /* Nothing is lost meanwhile: the default partitions take everything. */
    if (rc != SB_OK)
        sb_log_warn(STORE, "no partitions made, trying again in a minute code=%s: %s",
                    sb_err_name(rc), err.text);
    sb_reactor_timer_start(upkeep->reactor, timer, rc == SB_OK ? CP_UPKEEP_PERIOD : CP_UPKEEP_RETRY,
                           0, on_timer);
}

static void on_mail(void *ctx, struct sb_mail *mail)
{
    (void)ctx;
    cp_mail_free(mail);
}

static int on_start(void *ctx, struct sb_reactor *reactor, struct sb_mailbox *self,
                    struct sb_errmsg *err)
{
    struct cp_upkeep *upkeep = ctx;

    (void)self;
    (void)err;
    upkeep->reactor = reactor;
    sb_reactor_timer_start(reactor, &upkeep->timer, 0, 0, on_timer);
    return SB_OK;
}

static void on_stop(void *ctx)
{
    struct cp_upkeep *upkeep = ctx;

    sb_reactor_timer_stop(&upkeep->timer);
}

static const struct sb_actor_ops ops = {
    .name = "upkeep", .start = on_start, .on_mail = on_mail, .stop = on_stop};

int cp_upkeep_start(const struct cp_upkeep_conf *conf, struct cp_upkeep **ret,
                    struct sb_errmsg *err)
{
    struct cp_upkeep *upkeep = sb_mem_new(sizeof(*upkeep));
    int rc;

    upkeep->conf = *conf;
    (void)snprintf(upkeep->application, sizeof(upkeep->application),
                   "switchboard-control upkeep %s", conf->name);
    rc = sb_actor_start(&ops, upkeep, &upkeep->actor, err);
    if (rc != SB_OK) {
        sb_mem_free(upkeep);
        return rc;
    }
    *ret = upkeep;
    return SB_OK;
}

void cp_upkeep_stop(struct cp_upkeep **upkeepp)
{
    struct cp_upkeep *upkeep = *upkeepp;

    *upkeepp = NULL;
    if (upkeep == NULL)
        return;
    sb_actor_stop(&upkeep->actor);
    sb_mem_free(upkeep);
}
