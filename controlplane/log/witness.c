/* controlplane/log/witness.c */
#include "controlplane/log/witness.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/actor.h"
#include "common/buf.h"
#include "common/checkpoint.h"
#include "common/json.h"
#include "common/log.h"
#include "common/mailbox.h"
#include "common/mem.h"
#include "common/reactor.h"
#include "controlplane/db.h"
#include "controlplane/events/webhook.h"
#include "controlplane/log/checkpoint_file.h"
#include "controlplane/mail.h"
#include "controlplane/stats.h"

enum { PER_ROUND = 100, BODY_MAX = 2 * SB_NOTE_MAX };

struct cp_witness {
    struct cp_witness_conf conf;
    char application[96];
    char row[2 * SB_HASH_BYTES + 8]; /* of a URL: its name in log_witnesses */
    struct sb_actor *actor;
    /* The actor's own. */
    struct sb_reactor *reactor;
    struct sb_reactor_timer poll;
    struct cp_db *db, *other; /* other: the second database */
    bool leading, told;       /* told: that it does not work */
    bool is_placed;
    uint64_t place;   /* size of the newest that was handed over */
    uint64_t seen;    /* of the last that was read, ours or not, of rounds that belong together */
    uint64_t foreign; /* the greatest size that was told not to be ours */
    unsigned failures;
};

static const char *const names[CP_WITNESS_KINDS] = {
    [CP_WITNESS_FILE] = "file",
    [CP_WITNESS_URL] = "url",
    [CP_WITNESS_DATABASE] = "database",
};

const char *cp_witness_name(enum cp_witness_kind kind)
{
    return names[kind];
}

static int db_failed(struct cp_db *db, int rc, struct sb_errmsg *err)
{
    return sb_err_set(err, rc, "%s", cp_db_last_error(db)->text.text);
}

/* --- a file ---------------------------------------------------------------------------- */

static int place_in_file(struct cp_witness *witness, uint64_t *ret_size, struct sb_errmsg *err)
{
    struct sb_checkpoint last = {.size = 0};
    int rc = cp_checkpoint_file_last(witness->conf.where, witness->conf.key, &last, err);

    if (rc == SB_OK || rc == SB_ENOENT)
        *ret_size = last.size;
    return rc == SB_ENOENT ? SB_OK : rc;
}

static int put_in_file(struct cp_witness *witness, uint64_t size, struct sb_slice note,
                       struct sb_errmsg *err)
{
    (void)size;
    return cp_checkpoint_file_append(witness->conf.where, note, err);
}

/* --- a receiver ------------------------------------------------------------------------- */

/* Where it stood, as far as that can be: the row lies in the database that is
 * watched.  What is beyond the log's head was never signed. */
static int place_at_url(struct cp_witness *witness, uint64_t *ret_size, struct sb_errmsg *err)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int64_t newest, place;
    int rc = cp_db_query(witness->db,
                         "SELECT coalesce((SELECT max(c.size) FROM log_checkpoints c, log_head h"
                         " WHERE c.size <= h.size), 0),"
                         " coalesce((SELECT size FROM log_witnesses WHERE name = $1), -1)",
                         CP_PARAMS(CP_P_STR(witness->row)), &rows);

    if (rc != SB_OK)
        return db_failed(witness->db, rc, err);
    newest = cp_rows_i64(rows, 0, 0);
    place = cp_rows_i64(rows, 0, 1);
    if (place < 0 || place > newest) /* new, or not to be believed */
        place = newest > 0 ? newest - 1 : 0;
    *ret_size = (uint64_t)place;
    return SB_OK;
}

static int put_body(const struct cp_witness *witness, uint64_t size, struct sb_slice note,
                    struct sb_buf *body)
{
    struct sb_json json;

    sb_json_init(&json, body);
    sb_json_open_object(&json);
    sb_json_add_text(&json, "log", sb_slice_of(witness->conf.key->name));
    sb_json_add_u64(&json, "size", size);
    sb_json_add_text(&json, "note", note);
    sb_json_close_object(&json);
    return sb_json_end(&json);
}

static int put_at_url(struct cp_witness *witness, uint64_t size, struct sb_slice note,
                      struct sb_errmsg *err)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf body = {.data = NULL};
    int rc;

    sb_buf_init(&body, BODY_MAX);
    rc = put_body(witness, size, note, &body);
    if (rc == SB_OK)
        rc = cp_webhook_post(witness->conf.webhook, "checkpoint", (int64_t)size,
                             sb_buf_slice(&body), err);
    if (rc != SB_OK)
        return rc;
    rc = cp_db_exec(witness->db,
                    "INSERT INTO log_witnesses (name, size) VALUES ($1, $2)"
                    " ON CONFLICT (name) DO UPDATE SET size = excluded.size, at = now()",
                    CP_PARAMS(CP_P_STR(witness->row), CP_P_I64(size)), NULL);
    return rc == SB_OK ? rc : db_failed(witness->db, rc, err);
}

/* --- a second database ---------------------------------------------------------------------- */

static int connect_other(struct cp_witness *witness, struct sb_errmsg *err)
{
    const struct cp_db_conf conf = {.conninfo = witness->conf.where,
                                    .application = witness->application,
                                    .connect_timeout = 2000,
                                    .query_timeout = 5000};

    if (witness->other != NULL && !cp_db_is_alive(witness->other))
        cp_db_destroy(&witness->other);
    return witness->other != NULL ? SB_OK : cp_db_new(&conf, &witness->other, err);
}

/* Makes its table where there is none: of the same shape as ours. */
static int place_in_database(struct cp_witness *witness, uint64_t *ret_size, struct sb_errmsg *err)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *is_there = NULL;
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = connect_other(witness, err);

    if (rc != SB_OK)
        return rc;
    rc =
        cp_db_query(witness->other, "SELECT to_regclass('switchboard.log_checkpoints') IS NOT NULL",
                    CP_NO_PARAMS, &is_there);
    if (rc == SB_OK && !cp_rows_bool(is_there, 0, 0))
        rc = cp_db_script(witness->other,
                          "CREATE SCHEMA IF NOT EXISTS switchboard;"
                          "CREATE TABLE IF NOT EXISTS switchboard.log_checkpoints ("
                          " size bigint PRIMARY KEY CHECK (size >= 0),"
                          " at timestamptz NOT NULL DEFAULT now(), text text NOT NULL)");
    if (rc == SB_OK)
        rc = cp_db_query(witness->other,
                         "SELECT coalesce(max(size), 0) FROM switchboard.log_checkpoints",
                         CP_NO_PARAMS, &rows);
    if (rc != SB_OK)
        return db_failed(witness->other, rc, err);
    *ret_size = (uint64_t)cp_rows_i64(rows, 0, 0);
    return SB_OK;
}

static int put_in_database(struct cp_witness *witness, uint64_t size, struct sb_slice note,
                           struct sb_errmsg *err)
{
    int rc = connect_other(witness, err);

    if (rc != SB_OK)
        return rc;
    rc = cp_db_exec(witness->other,
                    "INSERT INTO switchboard.log_checkpoints (size, text) VALUES ($1, $2)"
                    " ON CONFLICT (size) DO NOTHING",
                    CP_PARAMS(CP_P_I64(size), CP_P_TEXT(note)), NULL);
    return rc == SB_OK ? rc : db_failed(witness->other, rc, err);
}

/* --- all of them --------------------------------------------------------------------------------
 */

static const struct {
    int (*place)(struct cp_witness *witness, uint64_t *ret_size, struct sb_errmsg *err);
    int (*put)(struct cp_witness *witness, uint64_t size, struct sb_slice note,
               struct sb_errmsg *err);
} kinds[CP_WITNESS_KINDS] = {
    [CP_WITNESS_FILE] = {place_in_file, put_in_file},
    [CP_WITNESS_URL] = {place_at_url, put_at_url},
    [CP_WITNESS_DATABASE] = {place_in_database, put_in_database},
};

static int connect_db(struct cp_witness *witness, struct sb_errmsg *err)
{
    const struct cp_db_conf conf = {.conninfo = witness->conf.conninfo,
                                    .application = witness->application,
                                    .role = CP_DB_COLLECTOR_ROLE,
                                    .connect_timeout = 2000,
                                    .query_timeout = 10000};

    if (witness->db != NULL && !cp_db_is_alive(witness->db))
        cp_db_destroy(&witness->db);
    return witness->db != NULL ? SB_OK : cp_db_new(&conf, &witness->db, err);
}

/* What our key did not sign is told once, and passed over without a word about
 * where we stand: whoever can write such rows must not keep ours from going out. */
static int hand_over(struct cp_witness *witness, uint64_t size, struct sb_slice note,
                     struct sb_errmsg *err)
{
    struct sb_checkpoint checkpoint = {.size = 0};
    struct sb_errmsg why = {.text = "it is of another size"};
    int rc = sb_checkpoint_open(note, witness->conf.key, &checkpoint, &why);

    if (rc == SB_OK && checkpoint.size == size) {
        rc = kinds[witness->conf.kind].put(witness, size, note, err);
        if (rc != SB_OK)
            return rc;
        witness->place = size;
        cp_stat_set(witness->conf.stats, witness_size[witness->conf.kind], (int64_t)size);
        return SB_OK;
    }
    if (size > witness->foreign)
        sb_log_error(NOTARY,
                     "a checkpoint in the database is not ours, keeping it from %s size=%" PRIu64
                     ": %s",
                     names[witness->conf.kind], size, why.text);
    witness->foreign = size > witness->foreign ? size : witness->foreign;
    return SB_OK;
}

/* Hands over what is new; *ret_more: there may be more of it. */
static int bring(struct cp_witness *witness, bool *ret_more, struct sb_errmsg *err)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = connect_db(witness, err);

    if (rc == SB_OK && !witness->is_placed)
        rc = kinds[witness->conf.kind].place(witness, &witness->place, err);
    if (rc != SB_OK)
        return rc;
    witness->is_placed = true;
    if (witness->seen < witness->place)
        witness->seen = witness->place;
    rc =
        cp_db_query(witness->db,
                    "SELECT size, text FROM log_checkpoints WHERE size > $1 ORDER BY size LIMIT $2",
                    CP_PARAMS(CP_P_I64(witness->seen), CP_P_I64(PER_ROUND)), &rows);
    if (rc != SB_OK)
        return db_failed(witness->db, rc, err);
    for (size_t i = 0; i < cp_rows_count(rows); i++) {
        uint64_t size = (uint64_t)cp_rows_i64(rows, i, 0);

        rc = hand_over(witness, size, cp_rows_bytes(rows, i, 1), err);
        if (rc != SB_OK)
            return rc;
        witness->seen = size;
    }
    *ret_more = cp_rows_count(rows) == PER_ROUND;
    if (!*ret_more)
        witness->seen = witness->place; /* ours come in front of those that are not */
    return SB_OK;
}

static void on_poll(struct sb_reactor_timer *timer);

static void poll_in(struct cp_witness *witness, sb_msec delay)
{
    sb_reactor_timer_start(witness->reactor, &witness->poll, delay, 0, on_poll);
}

static void on_poll(struct sb_reactor_timer *timer)
{
    struct cp_witness *witness = container_of(timer, struct cp_witness, poll);
    struct sb_errmsg err = {.text = ""};
    bool is_more = false;
    int rc;

    if (!witness->leading)
        return;
    rc = bring(witness, &is_more, &err);
    if (rc == SB_OK) {
        if (witness->told)
            sb_log_info(NOTARY, "checkpoints are kept again where=%s", names[witness->conf.kind]);
        witness->told = false;
        witness->failures = 0;
        poll_in(witness, is_more ? 0 : CP_WITNESS_POLL);
        return;
    }
    cp_stat_add(witness->conf.stats, witness_failures[witness->conf.kind], 1);
    if (!witness->told)
        sb_log_error(NOTARY, "a checkpoint is not kept, trying on where=%s code=%s: %s",
                     names[witness->conf.kind], sb_err_name(rc), err.text);
    witness->told = true;
    witness->is_placed = false; /* the other side says where it stands */
    witness->seen = 0;
    poll_in(witness, cp_webhook_backoff(++witness->failures));
}

static void on_mail(void *ctx, struct sb_mail *mail)
{
    struct cp_witness *witness = ctx;

    if (mail->kind == CP_MAIL_LEAD) {
        witness->leading = container_of(mail, struct cp_lead, mail)->leading;
        witness->is_placed = false;
        witness->seen = 0;
        if (witness->leading)
            poll_in(witness, 0);
    }
    cp_mail_free(mail);
}

static int on_start(void *ctx, struct sb_reactor *reactor, struct sb_mailbox *self,
                    struct sb_errmsg *err)
{
    struct cp_witness *witness = ctx;

    (void)self;
    (void)err;
    witness->reactor = reactor;
    return SB_OK;
}

static void on_stop(void *ctx)
{
    struct cp_witness *witness = ctx;

    sb_reactor_timer_stop(&witness->poll);
    cp_db_destroy(&witness->db);
    cp_db_destroy(&witness->other);
}

static const struct sb_actor_ops ops = {
    .name = "witness", .start = on_start, .on_mail = on_mail, .stop = on_stop};

/* A URL may hold a secret, so its row is named after its hash. */
static void name_row(struct cp_witness *witness)
{
    uint8_t hash[SB_HASH_BYTES];
    int n = snprintf(witness->row, sizeof(witness->row), "url ");

    sb_hash(sb_slice_of(witness->conf.where), hash);
    for (size_t i = 0; i < sizeof(hash); i++)
        n += snprintf(witness->row + n, sizeof(witness->row) - (size_t)n, "%02x", hash[i]);
}

int cp_witness_start(const struct cp_witness_conf *conf, struct cp_witness **ret,
                     struct sb_errmsg *err)
{
    struct cp_witness *witness = sb_mem_new(sizeof(*witness));
    int rc;

    witness->conf = *conf;
    name_row(witness);
    (void)snprintf(witness->application, sizeof(witness->application),
                   "switchboard-control witness %s", conf->name);
    rc = sb_actor_start(&ops, witness, &witness->actor, err);
    if (rc != SB_OK) {
        sb_mem_free(witness);
        return rc;
    }
    *ret = witness;
    return SB_OK;
}

void cp_witness_stop(struct cp_witness **witnessp)
{
    struct cp_witness *witness = *witnessp;

    *witnessp = NULL;
    if (witness == NULL)
        return;
    sb_actor_stop(&witness->actor);
    sb_mem_free(witness);
}

struct sb_mailbox *cp_witness_mailbox(const struct cp_witness *witness)
{
    return sb_actor_mailbox(witness->actor);
}
