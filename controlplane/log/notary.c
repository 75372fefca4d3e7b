/* controlplane/log/notary.c */
#include "controlplane/log/notary.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/actor.h"
#include "common/buf.h"
#include "common/checkpoint.h"
#include "common/log.h"
#include "common/mailbox.h"
#include "common/mem.h"
#include "common/notekey.h"
#include "common/reactor.h"
#include "controlplane/db.h"
#include "controlplane/events/events.h"
#include "controlplane/log/checkpoint_file.h"
#include "controlplane/log/log_tree.h"
#include "controlplane/mail.h"
#include "controlplane/publish/term.h"
#include "controlplane/stats.h"

struct cp_notary {
    struct cp_notary_conf conf;
    char application[96];
    struct sb_actor *actor;
    /* The actor's own. */
    struct sb_reactor *reactor;
    struct sb_reactor_timer poll;
    struct cp_db *db;
    bool leading, told_lost;
    uint64_t term;
    bool is_known;              /* known was looked for in this term */
    struct sb_checkpoint known; /* size 0: there is none yet */
    char known_from[32];        /* for people */
    sb_msec signed_at;          /* of the reactor's clock */
    bool is_forked;
};

/* --- what is known ------------------------------------------------------------------ */

static void know(struct cp_notary *notary, const struct sb_checkpoint *checkpoint, const char *from)
{
    notary->known = *checkpoint;
    (void)snprintf(notary->known_from, sizeof(notary->known_from), "%s", from);
}

static int learn_from_file(struct cp_notary *notary, struct sb_errmsg *err)
{
    struct sb_checkpoint checkpoint;
    int rc;

    if (notary->conf.file == NULL)
        return SB_OK;
    rc = cp_checkpoint_file_last(notary->conf.file, sb_note_signer_key(notary->conf.signer),
                                 &checkpoint, err);
    if (rc == SB_ENOENT)
        return SB_OK; /* the first start */
    if (rc == SB_OK && checkpoint.size > notary->known.size)
        know(notary, &checkpoint, "checkpoint file");
    return rc;
}

/* Another daemon may have signed since; a row that our key did not sign is
 * nobody's. */
static int learn_from_database(struct cp_notary *notary, struct sb_errmsg *err)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct sb_checkpoint checkpoint;
    int rc = cp_db_query(notary->db, "SELECT text FROM log_checkpoints ORDER BY size DESC LIMIT 10",
                         CP_NO_PARAMS, &rows);

    if (rc != SB_OK)
        return sb_err_set(err, rc, "%s", cp_db_last_error(notary->db)->text.text);
    for (size_t i = 0; i < cp_rows_count(rows); i++)
        if (sb_checkpoint_open(cp_rows_bytes(rows, i, 0), sb_note_signer_key(notary->conf.signer),
                               &checkpoint, NULL) == SB_OK) {
            if (checkpoint.size > notary->known.size)
                know(notary, &checkpoint, "database");
            break;
        }
    return SB_OK;
}

static int learn(struct cp_notary *notary, struct sb_errmsg *err)
{
    int rc;

    if (notary->is_known)
        return SB_OK;
    rc = learn_from_file(notary, err);
    if (rc == SB_OK)
        rc = learn_from_database(notary, err);
    if (rc != SB_OK)
        return rc;
    notary->is_known = true;
    sb_log_info(NOTARY, "the newest checkpoint of the log is of size=%" PRIu64 " from=%s",
                notary->known.size, notary->known_from);
    return SB_OK;
}

/* --- a fork ---------------------------------------------------------------------------- */

/* The database is not the one that the checkpoint is of.  One event for each
 * checkpoint that is contradicted. */
static int tell_fork(struct cp_notary *notary, const char *why)
{
    char text[640], once[128];
    struct cp_event event = {.kind = CP_EVENT_LOG_FORKED,
                             .severity = CP_SEVERITY_CRITICAL,
                             .subject_class = "log",
                             .subject = sb_slice_of(sb_note_signer_key(notary->conf.signer)->name),
                             .term = notary->term};
    int64_t id;
    int rc;

    (void)snprintf(text, sizeof(text),
                   "The audit log does not continue the checkpoint of %" PRIu64
                   " entries (%s): %s. Nothing more is signed until it does.",
                   notary->known.size, notary->known_from, why);
    (void)snprintf(once, sizeof(once), "log_forked %" PRIu64 " %02x%02x%02x%02x term %" PRIu64,
                   notary->known.size, notary->known.root.bytes[0], notary->known.root.bytes[1],
                   notary->known.root.bytes[2], notary->known.root.bytes[3], notary->term);
    if (!notary->is_forked)
        sb_log_error(NOTARY, "the log forked, signing nothing known=%" PRIu64 " from=%s: %s",
                     notary->known.size, notary->known_from, why);
    cp_stat_set(notary->conf.stats, log_forked, 1);
    event.text = sb_slice_of(text);
    event.once = sb_slice_of(once);
    rc = notary->is_forked ? SB_OK : cp_event_record(notary->db, &event, &id);
    notary->is_forked = notary->is_forked || rc == SB_OK;
    return rc;
}

/* SB_OK: the tree continues what is known.  SB_EHASH: it does not; err says
 * how.  Else: it cannot be said now. */
static int prove(struct cp_notary *notary, const struct sb_merkle_edge *edge,
                 struct sb_hash *ret_root, struct sb_errmsg *err)
{
    struct sb_merkle_proof proof;
    struct cp_log_tree tree;
    int rc;

    sb_merkle_root(edge, ret_root);
    if (edge->size < notary->known.size)
        return sb_err_set(err, SB_EHASH,
                          "it has only %" PRIu64 " entries; perhaps an old backup was restored",
                          edge->size);
    cp_log_tree_init(&tree, notary->db);
    rc = sb_merkle_prove_consistency(&tree.source, notary->known.size, edge->size, &proof);
    if (rc == SB_ENOENT)
        return sb_err_set(err, SB_EHASH, "%s", tree.err.text);
    if (rc != SB_OK)
        return sb_err_set(err, rc, "%s", tree.err.text);
    rc = sb_merkle_verify_consistency(notary->known.size, &notary->known.root, edge->size, ret_root,
                                      &proof);
    if (rc != SB_OK)
        return sb_err_set(err, SB_EHASH, "its first %" PRIu64 " entries are other ones",
                          notary->known.size);
    return SB_OK;
}

/* --- signing ----------------------------------------------------------------------------- */

struct signing {
    struct cp_notary *notary;
    uint64_t size;
    const struct sb_hash *root;
    struct sb_slice note;
};

/* Another leader may have signed the same size.  SB_EHASH: somebody else put a
 * row there, which would keep ours from those who wait for it. */
static int check_row(struct cp_db *db, const struct signing *signing)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct sb_checkpoint there;
    int rc = cp_db_query(db, "SELECT text FROM log_checkpoints WHERE size = $1",
                         CP_PARAMS(CP_P_I64(signing->size)), &rows);

    if (rc != SB_OK)
        return rc;
    return cp_rows_count(rows) == 1 &&
                   sb_checkpoint_open(cp_rows_bytes(rows, 0, 0),
                                      sb_note_signer_key(signing->notary->conf.signer), &there,
                                      NULL) == SB_OK &&
                   there.size == signing->size && sb_hash_equal(&there.root, signing->root)
               ? SB_OK
               : SB_EHASH;
}

static int store(struct cp_db *db, void *ctx)
{
    const struct signing *signing = ctx;
    uint64_t stored = 0;
    int rc = cp_term_check(db, signing->notary->term);

    if (rc == SB_OK)
        rc = cp_db_exec(db,
                        "INSERT INTO log_checkpoints (size, text) VALUES ($1, $2)"
                        " ON CONFLICT (size) DO NOTHING",
                        CP_PARAMS(CP_P_I64(signing->size), CP_P_TEXT(signing->note)), &stored);
    return rc == SB_OK && stored == 0 ? check_row(db, signing) : rc;
}

static int sign(struct cp_notary *notary, uint64_t size, const struct sb_hash *root,
                struct sb_errmsg *err)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf note = {.data = NULL};
    struct sb_checkpoint checkpoint = {.size = size, .root = *root};
    struct signing signing = {.notary = notary, .size = size, .root = root};
    int rc;

    sb_buf_init(&note, SB_CHECKPOINT_MAX);
    rc = sb_checkpoint_sign(notary->conf.signer, size, root, &note);
    if (rc != SB_OK)
        return sb_err_set(err, rc, "cannot sign a checkpoint");
    signing.note = sb_buf_slice(&note);
    rc = cp_db_transact(notary->db, CP_READ_COMMITTED, store, &signing);
    if (rc == SB_EHASH)
        return sb_err_set(err, rc,
                          "the place of the checkpoint of %" PRIu64
                          " entries is taken, by a row of log_checkpoints that we did not sign",
                          size);
    if (rc != SB_OK)
        return sb_err_set(err, rc, "%s", cp_db_last_error(notary->db)->text.text);
    know(notary, &checkpoint, "this daemon");
    notary->signed_at = sb_reactor_now(notary->reactor);
    cp_stat_add(notary->conf.stats, checkpoints, 1);
    cp_stat_set(notary->conf.stats, checkpoint_size, (int64_t)size);
    sb_log_debug(NOTARY, "signed a checkpoint size=%" PRIu64, size);
    return SB_OK;
}

static bool is_due(const struct cp_notary *notary, uint64_t size)
{
    sb_msec since = sb_reactor_now(notary->reactor) - notary->signed_at;

    if (size <= notary->known.size || notary->is_forked)
        return true; /* to be compared, at no cost */
    return since >= notary->conf.interval ||
           (notary->conf.records > 0 && size - notary->known.size >= notary->conf.records);
}

static int look(struct cp_notary *notary, struct sb_errmsg *err)
{
    struct sb_merkle_edge edge;
    struct sb_hash root;
    int rc = learn(notary, err);

    if (rc == SB_OK)
        rc = cp_log_head_read(notary->db, &edge, err);
    if (rc == SB_EPARSE)
        return tell_fork(notary, err->text);
    if (rc != SB_OK || edge.size == 0 || !is_due(notary, edge.size))
        return rc;
    rc = prove(notary, &edge, &root, err);
    if (rc == SB_OK && edge.size > notary->known.size)
        rc = sign(notary, edge.size, &root, err);
    if (rc == SB_EHASH)
        return tell_fork(notary, err->text);
    if (rc != SB_OK)
        return rc;
    if (notary->is_forked)
        sb_log_info(NOTARY, "the log continues what is known again size=%" PRIu64, edge.size);
    notary->is_forked = false;
    cp_stat_set(notary->conf.stats, log_forked, 0);
    return SB_OK;
}

/* --- rounds -------------------------------------------------------------------------------- */

static bool connect_db(struct cp_notary *notary)
{
    const struct cp_db_conf conf = {.conninfo = notary->conf.conninfo,
                                    .application = notary->application,
                                    .role = CP_DB_COLLECTOR_ROLE,
                                    .connect_timeout = 2000,
                                    .query_timeout = 10000};
    struct sb_errmsg err;
    int rc;

    if (notary->db != NULL && !cp_db_is_alive(notary->db))
        cp_db_destroy(&notary->db);
    if (notary->db != NULL)
        return true;
    rc = cp_db_new(&conf, &notary->db, &err);
    if (rc != SB_OK && !notary->told_lost)
        sb_log_error(NOTARY, "no database to read the log from, trying on code=%s: %s",
                     sb_err_name(rc), err.text);
    notary->told_lost = rc != SB_OK;
    return rc == SB_OK;
}

static void on_poll(struct sb_reactor_timer *timer);

static void poll_in(struct cp_notary *notary, sb_msec delay)
{
    sb_reactor_timer_start(notary->reactor, &notary->poll, delay, 0, on_poll);
}

static void on_poll(struct sb_reactor_timer *timer)
{
    struct cp_notary *notary = container_of(timer, struct cp_notary, poll);
    sb_msec delay = notary->conf.interval < CP_NOTARY_POLL ? notary->conf.interval : CP_NOTARY_POLL;
    struct sb_errmsg err = {.text = ""};
    int rc;

    if (!notary->leading)
        return;
    rc = connect_db(notary) ? look(notary, &err) : SB_OK;
    if (rc != SB_OK && rc != SB_ENOTLEADER)
        sb_log_warn(NOTARY, "cannot sign a checkpoint, trying again code=%s: %s", sb_err_name(rc),
                    err.text);
    poll_in(notary, delay);
}

static void on_mail(void *ctx, struct sb_mail *mail)
{
    struct cp_notary *notary = ctx;

    if (mail->kind == CP_MAIL_LEAD) {
        const struct cp_lead *lead = container_of(mail, struct cp_lead, mail);

        notary->leading = lead->leading;
        notary->term = lead->term;
        notary->is_known = false; /* others may have signed meanwhile */
        notary->is_forked = false;
        cp_stat_set(notary->conf.stats, log_forked, 0);
        if (lead->leading)
            poll_in(notary, 0);
    }
    cp_mail_free(mail);
}

static int on_start(void *ctx, struct sb_reactor *reactor, struct sb_mailbox *self,
                    struct sb_errmsg *err)
{
    struct cp_notary *notary = ctx;

    (void)self;
    (void)err;
    notary->reactor = reactor;
    notary->signed_at = sb_reactor_now(reactor);
    return SB_OK;
}

static void on_stop(void *ctx)
{
    struct cp_notary *notary = ctx;

    sb_reactor_timer_stop(&notary->poll);
    cp_db_destroy(&notary->db);
}

static const struct sb_actor_ops ops = {
    .name = "notary", .start = on_start, .on_mail = on_mail, .stop = on_stop};

int cp_notary_start(const struct cp_notary_conf *conf, struct cp_notary **ret,
                    struct sb_errmsg *err)
{
    struct cp_notary *notary = sb_mem_new(sizeof(*notary));
    int rc;

    notary->conf = *conf;
    know(notary, &notary->known, "nowhere");
    (void)snprintf(notary->application, sizeof(notary->application),
                   "switchboard-control notary %s", conf->name);
    rc = sb_actor_start(&ops, notary, &notary->actor, err);
    if (rc != SB_OK) {
        sb_mem_free(notary);
        return rc;
    }
    *ret = notary;
    return SB_OK;
}

void cp_notary_stop(struct cp_notary **notaryp)
{
    struct cp_notary *notary = *notaryp;

    *notaryp = NULL;
    if (notary == NULL)
        return;
    sb_actor_stop(&notary->actor);
    sb_mem_free(notary);
}

struct sb_mailbox *cp_notary_mailbox(const struct cp_notary *notary)
{
    return sb_actor_mailbox(notary->actor);
}
