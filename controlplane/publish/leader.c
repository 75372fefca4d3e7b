/* controlplane/publish/leader.c */
#include "controlplane/publish/leader.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/actor.h"
#include "common/log.h"
#include "common/mailbox.h"
#include "common/mem.h"
#include "common/reactor.h"
#include "controlplane/db.h"
#include "controlplane/mail.h"
#include "controlplane/stats.h"
#include "controlplane/stuck.h"

/* "SBRD" 2: the lock of the leader. */
#define TRY_LOCK "SELECT pg_try_advisory_lock(1396855364, 2)"

struct cp_leader {
    struct cp_leader_conf conf;
    char application[96];
    struct sb_actor *actor;
    /* The actor's own. */
    struct sb_reactor *reactor;
    struct sb_reactor_timer tick;
    struct cp_observers observers;
    struct cp_db *db;
    bool leading, new_epoch, told_lost;
    uint64_t term;
    struct msg_version head; /* when it was read last */
};

uint64_t cp_epoch_after(uint64_t seen, sb_usec now)
{
    const uint64_t year = UINT64_C(366) * 24 * 3600 * 1000000;

    if (seen >= now + year)
        return 0;
    return seen >= now ? seen + 1 : now;
}

static void tell(struct cp_leader *leader, struct sb_mailbox *box)
{
    (void)sb_mailbox_post(box,
                          &cp_lead_new(leader->leading, leader->term, leader->head.epoch)->mail);
}

static void tell_all(struct cp_leader *leader)
{
    cp_stat_set(leader->conf.stats, leading, leader->leading ? 1 : 0);
    cp_stat_set(leader->conf.stats, term, (int64_t)leader->term);
    for (unsigned i = 0; i < leader->observers.n; i++)
        tell(leader, leader->observers.boxes[i]);
}

/* --- the head and its epoch ----------------------------------------------------- */

struct taking {
    struct cp_leader *leader;
    const struct cp_suspect *suspect; /* NULL: a term is being taken */
    /* Results. */
    uint64_t term;
    struct msg_version head;
    const char *why; /* a new epoch was made; static */
    bool moved;      /* cluster or timeline are others than those noted */
};

/* With the lock it waits for a change under way: only where it must. */
static int read_head(struct cp_db *db, struct taking *taking, bool lock)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = SB_OK;

    if (lock)
        rc = cp_db_script(db, "SET LOCAL lock_timeout = '1500ms'");
    if (rc == SB_OK)
        rc = cp_db_query(db,
                         lock ? "SELECT epoch, revision FROM config_head FOR UPDATE"
                              : "SELECT epoch, revision FROM config_head",
                         CP_NO_PARAMS, &rows);
    if (rc != SB_OK)
        return rc;
    if (cp_rows_count(rows) != 1)
        return SB_EDB;
    taking->head = (struct msg_version){.epoch = (uint64_t)cp_rows_i64(rows, 0, 0),
                                        .revision = (uint64_t)cp_rows_i64(rows, 0, 1)};
    return SB_OK;
}

/* Those that wait for a change hear of it as of any other. */
static int make_epoch(struct cp_db *db, struct taking *taking, const char *why)
{
    uint64_t seen = taking->suspect != NULL ? taking->suspect->version.epoch : 0, epoch;
    int rc = read_head(db, taking, true);

    if (rc != SB_OK)
        return rc;
    epoch = cp_epoch_after(seen > taking->head.epoch ? seen : taking->head.epoch,
                           sb_clock_wall(&sb_clock_system));
    if (epoch == 0)
        return SB_EINVAL;
    rc = cp_db_exec(db, "UPDATE config_head SET epoch = $1", CP_PARAMS(CP_P_I64(epoch)), NULL);
    if (rc == SB_OK)
        rc = cp_db_script(db, "SELECT pg_notify('" CP_CHANNEL_CONFIG
                              "', epoch || '.' || revision) FROM config_head");
    if (rc == SB_OK) {
        taking->head.epoch = epoch;
        taking->why = why;
    }
    return rc;
}

/* --- taking the lead -------------------------------------------------------------- */

/* The timeline is the first eight digits of a WAL file's name. */
#define IDENTITY                                                                                   \
    "SELECT system_identifier,"                                                                    \
    " ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::integer AS timeline"  \
    " FROM pg_control_system()"

static int take_term(struct cp_db *db, struct taking *taking)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc =
        cp_db_query(db,
                    "WITH old AS (SELECT * FROM leadership),"
                    " server AS (" IDENTITY ")"
                    " UPDATE leadership l SET term = l.term + 1, leader = $1, taken_at = now(),"
                    " system_identifier = server.system_identifier, timeline = server.timeline"
                    " FROM old, server RETURNING l.term,"
                    " coalesce(old.system_identifier <> server.system_identifier"
                    " OR old.timeline <> server.timeline, false)",
                    CP_PARAMS(CP_P_STR(taking->leader->conf.name)), &rows);

    if (rc != SB_OK)
        return rc;
    if (cp_rows_count(rows) != 1)
        return SB_EDB;
    taking->term = (uint64_t)cp_rows_i64(rows, 0, 0);
    taking->moved = cp_rows_bool(rows, 0, 1);
    return SB_OK;
}

static int take(struct cp_db *db, void *ctx)
{
    struct taking *taking = ctx;
    int rc = cp_db_script(db, "SET LOCAL lock_timeout = '500ms'");

    taking->why = NULL;
    if (rc == SB_OK)
        rc = take_term(db, taking);
    if (rc == SB_OK)
        rc = read_head(db, taking, false);
    if (rc == SB_OK && taking->moved)
        rc = make_epoch(db, taking, "the database is another cluster or history");
    else if (rc == SB_OK && taking->leader->new_epoch)
        rc = make_epoch(db, taking, "asked for");
    return rc;
}

static void log_epoch(const struct taking *taking)
{
    if (taking->why != NULL)
        sb_log_warn(LEADER, "began a new epoch epoch=%" PRIu64 " revision=%" PRIu64 " why=%s",
                    taking->head.epoch, taking->head.revision, taking->why);
}

/* The lock is ours: begin a term.  Failing, the session goes and the lock with
 * it, so that another daemon may have more luck. */
static void begin_term(struct cp_leader *leader)
{
    struct taking taking = {.leader = leader};
    int rc = cp_db_transact(leader->db, CP_READ_COMMITTED, take, &taking);

    if (rc == SB_ETIMEDOUT && cp_db_is_alive(leader->db)) {
        rc = cp_stuck_end(leader->db, CP_DB_SERVICE_ROLE);
        if (rc == SB_OK)
            rc = cp_db_transact(leader->db, CP_READ_COMMITTED, take, &taking);
    }
    if (rc != SB_OK) {
        sb_log_error(LEADER, "cannot begin a term code=%s: %s", sb_err_name(rc),
                     cp_db_last_error(leader->db)->text.text);
        cp_db_destroy(&leader->db);
        return;
    }
    leader->leading = true;
    leader->new_epoch = false;
    leader->term = taking.term;
    leader->head = taking.head;
    cp_stat_add(leader->conf.stats, terms_taken, 1);
    cp_stat_add(leader->conf.stats, epochs_made, taking.why != NULL ? 1 : 0);
    log_epoch(&taking);
    sb_log_info(LEADER, "leading term=%" PRIu64 " epoch=%" PRIu64 " revision=%" PRIu64,
                leader->term, leader->head.epoch, leader->head.revision);
    tell_all(leader);
}

static void step_down(struct cp_leader *leader, const char *why)
{
    leader->leading = false;
    cp_stat_add(leader->conf.stats, terms_lost, 1);
    tell_all(leader); /* before anything that takes time */
    sb_log_warn(LEADER, "not leading any more term=%" PRIu64 ": %s", leader->term, why);
    cp_db_destroy(&leader->db);
}

/* --- the tick ---------------------------------------------------------------------- */

/* True: there is a session. */
static bool connect_db(struct cp_leader *leader)
{
    const struct cp_db_conf conf = {.conninfo = leader->conf.conninfo,
                                    .application = leader->application,
                                    .role = CP_DB_SERVICE_ROLE,
                                    .connect_timeout = CP_LEADER_ANSWER,
                                    .query_timeout = CP_LEADER_ANSWER,
                                    .idle_timeout = CP_LEADER_SILENCE};
    struct sb_errmsg err;
    int rc;

    if (leader->db != NULL && cp_db_is_alive(leader->db))
        return true;
    cp_db_destroy(&leader->db);
    rc = cp_db_new(&conf, &leader->db, &err);
    if (rc == SB_OK) {
        leader->told_lost = false;
        return true;
    }
    if (!leader->told_lost)
        sb_log_error(LEADER, "no database, trying on code=%s: %s", sb_err_name(rc), err.text);
    leader->told_lost = true;
    return false;
}

static void ping(struct cp_leader *leader)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = cp_db_query(leader->db, "SELECT term FROM leadership", CP_NO_PARAMS, &rows);

    if (rc != SB_OK)
        step_down(leader, cp_db_last_error(leader->db)->text.text);
    else if (cp_rows_count(rows) != 1 || (uint64_t)cp_rows_i64(rows, 0, 0) != leader->term)
        step_down(leader, "another daemon has taken a term");
}

static void try_to_lead(struct cp_leader *leader)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;

    if (!connect_db(leader))
        return;
    if (cp_db_query(leader->db, TRY_LOCK, CP_NO_PARAMS, &rows) == SB_OK && cp_rows_bool(rows, 0, 0))
        begin_term(leader);
}

static void schedule(struct cp_leader *leader);

static void on_tick(struct sb_reactor_timer *timer)
{
    struct cp_leader *leader = container_of(timer, struct cp_leader, tick);

    if (leader->leading)
        ping(leader);
    else
        try_to_lead(leader);
    schedule(leader);
}

static void schedule(struct cp_leader *leader)
{
    sb_reactor_timer_start(leader->reactor, &leader->tick,
                           leader->leading ? CP_LEADER_PING : CP_LEADER_TRY, 0, on_tick);
}

/* --- what a worker holds ------------------------------------------------------------- */

/* That a worker was led by a later term than ours says as much as its version:
 * we hold the lock, so that term is of a history that this database has lost. */
static const char *find_reason(const struct taking *taking)
{
    const struct cp_suspect *suspect = taking->suspect;

    if (msg_version_cmp(suspect->version, taking->head) > 0)
        return "a worker holds a later version";
    if (suspect->other_bytes && suspect->version.epoch == taking->head.epoch)
        return "a worker holds other bytes of the same version";
    if (suspect->term > taking->term && suspect->version.epoch == taking->head.epoch)
        return "a worker was led by a later term";
    return NULL;
}

static int settle(struct cp_db *db, void *ctx)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct taking *taking = ctx;
    int rc = cp_db_query(db, "SELECT term FROM leadership FOR SHARE", CP_NO_PARAMS, &rows);

    taking->why = NULL;
    if (rc != SB_OK)
        return rc;
    taking->term = (uint64_t)cp_rows_i64(rows, 0, 0);
    if (taking->term != taking->leader->term)
        return SB_ENOTLEADER;
    rc = read_head(db, taking, false);
    if (rc == SB_OK && find_reason(taking) != NULL)
        rc = make_epoch(db, taking, find_reason(taking));
    return rc;
}

static void on_suspect(struct cp_leader *leader, const struct cp_suspect *suspect)
{
    struct taking taking = {.leader = leader, .suspect = suspect};
    int rc;

    if (!leader->leading)
        return;
    rc = cp_db_transact(leader->db, CP_READ_COMMITTED, settle, &taking);
    if (rc == SB_EINVAL) {
        sb_log_error(LEADER,
                     "ignoring what a worker says it holds epoch=%" PRIu64 " revision=%" PRIu64
                     ": its epoch is in the far future",
                     suspect->version.epoch, suspect->version.revision);
        return;
    }
    if (rc != SB_OK) {
        sb_log_warn(LEADER, "cannot compare with what a worker holds code=%s", sb_err_name(rc));
        return; /* the worker will say it again */
    }
    leader->head = taking.head;
    if (taking.why == NULL)
        return;
    cp_stat_add(leader->conf.stats, epochs_made, 1);
    log_epoch(&taking);
    tell_all(leader);
}

/* --- the actor ------------------------------------------------------------------------ */

static void on_mail(void *ctx, struct sb_mail *mail)
{
    struct cp_leader *leader = ctx;

    switch (mail->kind) {
    case CP_MAIL_ATTACH: {
        struct cp_attach *attach = container_of(mail, struct cp_attach, mail);

        tell(leader, attach->box);
        cp_observers_add(&leader->observers, attach);
        break;
    }
    case CP_MAIL_SUSPECT:
        on_suspect(leader, container_of(mail, struct cp_suspect, mail));
        cp_mail_free(mail);
        break;
    default:
        cp_mail_free(mail);
        break;
    }
}

static int on_start(void *ctx, struct sb_reactor *reactor, struct sb_mailbox *self,
                    struct sb_errmsg *err)
{
    struct cp_leader *leader = ctx;

    (void)self;
    (void)err;
    leader->reactor = reactor;
    sb_reactor_timer_start(reactor, &leader->tick, 0, 0, on_tick);
    return SB_OK;
}

static void on_stop(void *ctx)
{
    struct cp_leader *leader = ctx;

    sb_reactor_timer_stop(&leader->tick);
    if (leader->leading) {
        leader->leading = false;
        tell_all(leader);
        sb_log_info(LEADER, "gave up the lead term=%" PRIu64, leader->term);
    }
    cp_db_destroy(&leader->db);
    cp_observers_release(&leader->observers);
}

static const struct sb_actor_ops ops = {
    .name = "leader", .start = on_start, .on_mail = on_mail, .stop = on_stop};

int cp_leader_start(const struct cp_leader_conf *conf, struct cp_leader **ret,
                    struct sb_errmsg *err)
{
    struct cp_leader *leader = sb_mem_new(sizeof(*leader));
    int rc;

    leader->conf = *conf;
    leader->new_epoch = conf->new_epoch;
    (void)snprintf(leader->application, sizeof(leader->application),
                   "switchboard-control leader %s", conf->name);
    rc = sb_actor_start(&ops, leader, &leader->actor, err);
    if (rc != SB_OK) {
        sb_mem_free(leader);
        return rc;
    }
    *ret = leader;
    return SB_OK;
}

void cp_leader_stop(struct cp_leader **leaderp)
{
    struct cp_leader *leader = *leaderp;

    *leaderp = NULL;
    if (leader == NULL)
        return;
    sb_actor_stop(&leader->actor);
    sb_mem_free(leader);
}

struct sb_mailbox *cp_leader_mailbox(const struct cp_leader *leader)
{
    return sb_actor_mailbox(leader->actor);
}
