/* controlplane/probes/probe_ledger.c */
#include "controlplane/probes/probe_ledger.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/actor.h"
#include "common/log.h"
#include "common/mailbox.h"
#include "common/mem.h"
#include "common/reactor.h"
#include "controlplane/config/store.h"
#include "controlplane/db.h"
#include "controlplane/mail.h"
#include "controlplane/probes/probe_store.h"
#include "controlplane/probes/sightings.h"
#include "controlplane/publish/compile.h"
#include "controlplane/publish/pace.h"
#include "controlplane/stats.h"

enum {
    ANSWER = 10000,               /* ms that the database may take */
    MONEY_PER_MICRO = 1000000000, /* of a dollar */
};

struct cp_ledger {
    struct cp_ledger_conf conf;
    char application[96];
    struct sb_actor *actor;
    /* The actor's own. */
    struct sb_reactor *reactor;
    struct sb_reactor_timer poll;
    struct cp_observers observers; /* the prober */
    struct cp_db *db;
    struct cp_store *store; /* for changes; NULL until one is due */
    bool told_lost, told_short;
    bool leading;
    uint64_t term, sequence;
    struct msg_version given; /* to the prober, in this term */
    bool has_given;
    struct cp_pace pace; /* of readings */
    struct cp_probes *unwritten, **last_unwritten;
    unsigned n_unwritten;
};

static void post(struct cp_ledger *ledger, struct sb_mail *mail)
{
    if (ledger->observers.n > 0)
        (void)sb_mailbox_post(ledger->observers.boxes[0], mail);
    else
        cp_mail_free(mail);
}

/* --- the connection ------------------------------------------------------------------ */

static struct cp_db_conf db_conf(const struct cp_ledger *ledger)
{
    return (struct cp_db_conf){.conninfo = ledger->conf.conninfo,
                               .application = ledger->application,
                               .role = CP_DB_SERVICE_ROLE,
                               .connect_timeout = 2000,
                               .query_timeout = ANSWER};
}

static bool connect_db(struct cp_ledger *ledger)
{
    const struct cp_db_conf conf = db_conf(ledger);
    struct sb_errmsg err;
    int rc;

    if (ledger->db != NULL)
        return true;
    rc = cp_db_new(&conf, &ledger->db, &err);
    if (rc != SB_OK && !ledger->told_lost)
        sb_log_error(PROBE, "no database, probing nothing code=%s: %s", sb_err_name(rc), err.text);
    ledger->told_lost = rc != SB_OK;
    return rc == SB_OK;
}

static void failed(struct cp_ledger *ledger, const char *what, int rc)
{
    if (rc != SB_ENOTLEADER) /* the leader actor will find out, and tell */
        sb_log_warn(PROBE, "%s code=%s: %s", what, sb_err_name(rc),
                    cp_db_last_error(ledger->db)->text.text);
    if (!cp_db_is_alive(ledger->db))
        cp_db_destroy(&ledger->db);
}

/* --- the configuration ------------------------------------------------------------------ */

static int read_head(struct cp_ledger *ledger, struct msg_version *ret_head)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc =
        cp_db_query(ledger->db, "SELECT epoch, revision FROM config_head", CP_NO_PARAMS, &rows);

    if (rc == SB_OK && cp_rows_count(rows) != 1)
        rc = SB_EDB;
    if (rc == SB_OK)
        *ret_head = (struct msg_version){.epoch = (uint64_t)cp_rows_i64(rows, 0, 0),
                                         .revision = (uint64_t)cp_rows_i64(rows, 0, 1)};
    return rc;
}

static void give_catalog(struct cp_ledger *ledger)
{
    sb_msec now = sb_reactor_now(ledger->reactor);
    struct cp_catalog_mail *mail;
    struct msg_snapshot *snapshot;
    struct msg_version head;
    struct sb_errmsg err = {.text = ""};
    int rc = read_head(ledger, &head);

    if (rc != SB_OK) {
        failed(ledger, "cannot see whether the configuration changed", rc);
        return;
    }
    if (ledger->has_given &&
        (msg_version_cmp(head, ledger->given) == 0 || cp_pace_wait(&ledger->pace, now) > 0))
        return;
    cp_pace_done(&ledger->pace, now);
    mail = cp_catalog_mail_new(ledger->term);
    rc = cp_compile_read(ledger->db, mail->arena, &snapshot, &err);
    if (rc != SB_OK) {
        cp_mail_free(&mail->mail);
        failed(ledger, "cannot read what there is to probe", rc);
        return;
    }
    mail->snapshot = snapshot;
    ledger->given = snapshot->version;
    ledger->has_given = true;
    post(ledger, &mail->mail);
}

/* --- the budget ----------------------------------------------------------------------------- */

static void show_spent(struct cp_ledger *ledger, sb_usec wall)
{
    int64_t spent = 0;

    if (cp_probe_store_spent(ledger->db, wall, &spent) == SB_OK)
        cp_stat_set(ledger->conf.stats, probe_spent, spent / MONEY_PER_MICRO);
}

static int grant(struct cp_ledger *ledger, struct cp_probes *probes)
{
    struct cp_probe_grant wanted = {.term = ledger->term,
                                    .budget = ledger->conf.budget,
                                    .wall = sb_clock_wall(&sb_clock_system),
                                    .probes = probes->probes,
                                    .n = probes->n,
                                    .sequence = ledger->sequence};
    int rc;

    if (!ledger->leading || probes->term != ledger->term)
        return SB_ENOTLEADER;
    if (!connect_db(ledger))
        return SB_ECONNRESET;
    rc = cp_probe_store_grant(ledger->db, &wanted);
    if (rc != SB_OK) {
        failed(ledger, "cannot record probes, sending none", rc);
        return rc;
    }
    ledger->sequence = wanted.sequence;
    if (wanted.is_short && !ledger->told_short)
        sb_log_info(PROBE, "the budget allows no more of the probes that cost money for now");
    ledger->told_short = wanted.is_short;
    return SB_OK;
}

static void on_wanted(struct cp_ledger *ledger, struct cp_probes *probes)
{
    unsigned granted = 0;
    int rc = grant(ledger, probes);

    for (unsigned i = 0; i < probes->n; i++) {
        probes->probes[i].is_granted = probes->probes[i].is_granted && rc == SB_OK;
        granted += probes->probes[i].is_granted;
    }
    cp_stat_add(ledger->conf.stats, probes_put_off, probes->n - granted);
    probes->stage = CP_PROBES_GRANTED;
    post(ledger, &probes->mail);
}

/* --- the record ------------------------------------------------------------------------------ */

static void forget_first(struct cp_ledger *ledger)
{
    struct cp_probes *first = ledger->unwritten;

    ledger->unwritten = first->next;
    if (ledger->unwritten == NULL)
        ledger->last_unwritten = &ledger->unwritten;
    ledger->n_unwritten--;
    cp_mail_free(&first->mail);
}

static void write_down(struct cp_ledger *ledger)
{
    if (ledger->unwritten == NULL || !connect_db(ledger))
        return;
    while (ledger->unwritten != NULL) {
        struct cp_probes *first = ledger->unwritten;
        int rc = cp_probe_store_settle(ledger->db, first->term, first->probes, first->n);

        if (rc != SB_OK && rc != SB_ENOTLEADER && rc != SB_EINVAL) {
            failed(ledger, "cannot record what probes cost, trying again", rc);
            return;
        }
        if (rc != SB_OK)
            failed(ledger, "cannot record what probes cost, leaving it at the most they could", rc);
        forget_first(ledger);
        if (ledger->db == NULL)
            return;
    }
    show_spent(ledger, sb_clock_wall(&sb_clock_system));
}

/* Takes probes. */
static void on_done(struct cp_ledger *ledger, struct cp_probes *probes)
{
    if (ledger->n_unwritten == CP_LEDGER_KEPT) {
        sb_log_warn(PROBE, "too many records wait for the database, dropping the oldest");
        forget_first(ledger);
    }
    probes->next = NULL;
    *ledger->last_unwritten = probes;
    ledger->last_unwritten = &probes->next;
    ledger->n_unwritten++;
    write_down(ledger);
}

/* --- prices -------------------------------------------------------------------------------------
 */

static void act(struct cp_ledger *ledger, const struct cp_sightings *sightings)
{
    const struct cp_store_conf conf = {
        .db = db_conf(ledger), .keyring = ledger->conf.keyring, .clock = &sb_clock_system};
    struct sb_errmsg err = {.text = ""};
    int rc = SB_OK;

    if (!ledger->leading || sightings->term != ledger->term)
        return;
    if (ledger->store == NULL)
        rc = cp_store_new(&conf, &ledger->store, &err);
    if (rc == SB_OK)
        rc = cp_sightings_act(ledger->store, sightings, ledger->conf.rise_limit, &err);
    if (rc == SB_ECONFLICT)
        sb_log_debug(PROBE,
                     "the configuration changed, leaving prices to the next look provider=%s",
                     sightings->provider.p);
    else if (rc != SB_OK && rc != SB_ENOTLEADER)
        sb_log_warn(PROBE, "cannot act on the list of models provider=%s code=%s: %s",
                    sightings->provider.p, sb_err_name(rc), err.text);
    if (ledger->store != NULL && !cp_db_is_alive(cp_store_db(ledger->store)))
        cp_store_destroy(&ledger->store);
}

/* --- the actor ---------------------------------------------------------------------------------
 */

static void on_poll(struct sb_reactor_timer *timer)
{
    struct cp_ledger *ledger = container_of(timer, struct cp_ledger, poll);

    write_down(ledger);
    if (ledger->leading && connect_db(ledger))
        give_catalog(ledger);
}

static void on_lead(struct cp_ledger *ledger, const struct cp_lead *lead)
{
    if (lead->leading && (!ledger->leading || lead->term != ledger->term)) {
        ledger->sequence = 0;
        ledger->has_given = false;
        ledger->told_short = false;
        sb_reactor_timer_start(ledger->reactor, &ledger->poll, 0, CP_LEDGER_POLL, on_poll);
    }
    ledger->leading = lead->leading;
    ledger->term = lead->term;
    if (!lead->leading)
        sb_reactor_timer_stop(&ledger->poll);
}

static void on_mail(void *ctx, struct sb_mail *mail)
{
    struct cp_ledger *ledger = ctx;

    switch (mail->kind) {
    case CP_MAIL_ATTACH:
        cp_observers_add(&ledger->observers, container_of(mail, struct cp_attach, mail));
        return;
    case CP_MAIL_LEAD:
        on_lead(ledger, container_of(mail, struct cp_lead, mail));
        break;
    case CP_MAIL_SIGHTINGS:
        act(ledger, container_of(mail, struct cp_sightings, mail));
        break;
    case CP_MAIL_PROBES: {
        struct cp_probes *probes = container_of(mail, struct cp_probes, mail);

        if (probes->stage == CP_PROBES_WANTED)
            on_wanted(ledger, probes);
        else
            on_done(ledger, probes);
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
    struct cp_ledger *ledger = ctx;

    (void)self;
    (void)err;
    ledger->reactor = reactor;
    ledger->last_unwritten = &ledger->unwritten;
    cp_pace_init(&ledger->pace, CP_LEDGER_SPACING, CP_LEDGER_BURST);
    return SB_OK;
}

static void on_stop(void *ctx)
{
    struct cp_ledger *ledger = ctx;

    sb_reactor_timer_stop(&ledger->poll);
    while (ledger->unwritten != NULL)
        forget_first(ledger);
    cp_observers_release(&ledger->observers);
    cp_db_destroy(&ledger->db);
    cp_store_destroy(&ledger->store);
}

static const struct sb_actor_ops ops = {
    .name = "ledger", .start = on_start, .on_mail = on_mail, .stop = on_stop};

int cp_ledger_start(const struct cp_ledger_conf *conf, struct cp_ledger **ret,
                    struct sb_errmsg *err)
{
    struct cp_ledger *ledger = sb_mem_new(sizeof(*ledger));
    int rc;

    ledger->conf = *conf;
    (void)snprintf(ledger->application, sizeof(ledger->application),
                   "switchboard-control ledger %s", conf->name);
    rc = sb_actor_start(&ops, ledger, &ledger->actor, err);
    if (rc != SB_OK) {
        sb_mem_free(ledger);
        return rc;
    }
    *ret = ledger;
    return SB_OK;
}

void cp_ledger_stop(struct cp_ledger **ledgerp)
{
    struct cp_ledger *ledger = *ledgerp;

    *ledgerp = NULL;
    if (ledger == NULL)
        return;
    sb_actor_stop(&ledger->actor);
    sb_mem_free(ledger);
}

struct sb_mailbox *cp_ledger_mailbox(const struct cp_ledger *ledger)
{
    return sb_actor_mailbox(ledger->actor);
}
