/* dataplane/courier/intake.c */
#include "dataplane/courier/intake.h"

#include <inttypes.h>
#include <string.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/bus.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/reactor.h"
#include "common/secret.h"
#include "dataplane/conf.h"
#include "dataplane/courier/courier_mail.h"
#include "dataplane/courier/link.h"
#include "dataplane/courier/rowstore.h"
#include "dataplane/courier/snapstore.h"
#include "dataplane/courier/sync.h"
#include "dataplane/dialect.h"
#include "dataplane/route/view.h"
#include "dataplane/upstream/outlet.h"
#include "proto/snapshot.h"

enum {
    ARENA_BLOCK = 64 * 1024,
    BODY_MAX = 16 * 1024,
    FETCH_PATIENCE = 10000, /* milliseconds; doubled for each try that came to nothing */
    FETCH_TRIES_MAX = 4,
    RETRY_DAMAGED = 1000, /* bytes that were changed on the way */
    RETRY_REFUSED = 60000,
    KEEP_EVERY = 60000,
};

/* A request for something that is under way. */
struct fetch {
    bool is_running;
    sb_msec since;
    unsigned tries; /* in vain, one after the other */
};

struct dp_intake {
    struct dp_intake_start start;
    struct dp_link *link;
    struct dp_sync_held given; /* to the loop */
    struct msg_version taken;  /* by the loop; follows at once */
    struct sb_slice bytes;     /* of given, in its own arena; for the disk */
    bool is_kept;              /* given is on disk */
    bool is_from_disk;         /* given is, and no daemon has confirmed it */
    struct dp_sync_held refused;
    sb_msec refused_until;
    struct fetch snapshot, tables;
    struct dp_rowstore *rows;
    sb_msec kept_at; /* what is on disk was looked after */
    struct sb_reactor_timer start_wait;
};

static sb_msec now_of(const struct dp_intake *intake)
{
    return sb_reactor_now(intake->start.reactor);
}

/* --- asking ------------------------------------------------------------------- */

static void get(struct dp_intake *intake, struct fetch *fetch, enum msg_get_what what)
{
    const struct msg_get msg = {
        .what = (uint8_t)what,
        .format = MSG_SNAPSHOT_FORMAT,
        .version = intake->given.version,
    };
    SB_CLEANUP(sb_buf_release) struct sb_buf body;

    sb_buf_init(&body, BODY_MAX);
    if (fetch->is_running)
        return;
    if (msg_get_encode(&msg, &body) != SB_OK ||
        dp_link_send(intake->link, MSG_KIND_GET, sb_buf_slice(&body), NULL) != SB_OK)
        return; /* a heartbeat will remind us */
    fetch->is_running = true;
    fetch->since = now_of(intake);
}

static void check_fetch(struct dp_intake *intake, struct fetch *fetch, const char *what,
                        sb_msec now)
{
    if (!fetch->is_running || now - fetch->since < (sb_msec)FETCH_PATIENCE << fetch->tries)
        return;
    fetch->is_running = false;
    if (fetch->tries < FETCH_TRIES_MAX)
        fetch->tries++;
    dp_link_resync(intake->link, what);
}

static bool is_refused(const struct dp_intake *intake, struct msg_version version)
{
    return msg_version_cmp(version, intake->refused.version) == 0 &&
           now_of(intake) < intake->refused_until;
}

static void send_ack(struct dp_intake *intake)
{
    const struct msg_ack ack = {.version = intake->given.version};
    SB_CLEANUP(sb_buf_release) struct sb_buf body;

    sb_buf_init(&body, BODY_MAX);
    if (msg_ack_encode(&ack, &body) == SB_OK)
        (void)!dp_link_send(intake->link, MSG_KIND_ACK, sb_buf_slice(&body), NULL);
}

static void confirm(struct dp_intake *intake)
{
    if (intake->is_from_disk) {
        intake->is_from_disk = false;
        dp_mail_post_plain(intake->start.loop, DP_MAIL_CONFIRMED);
    }
    if (intake->is_kept)
        (void)!dp_snapstore_confirm(intake->start.dir, "snapshot");
}

/* A version was named as the newest there is. */
static void consider(struct dp_intake *intake, struct msg_version version, const uint8_t *hash)
{
    switch (dp_sync_judge(&intake->given, version, hash)) {
    case DP_SYNC_APPLY:
        if (!is_refused(intake, version))
            get(intake, &intake->snapshot, MSG_GET_SNAPSHOT);
        break;
    case DP_SYNC_HELD:
        if (intake->is_from_disk)
            confirm(intake);
        break;
    case DP_SYNC_RESYNC:
        dp_link_resync(intake->link, "another snapshot has the version that is held");
        break;
    case DP_SYNC_OLD:
        break;
    }
}

/* --- a snapshot --------------------------------------------------------------- */

static void free_outlets(void *ctx)
{
    struct dp_outlets *outlets = ctx;

    dp_outlets_destroy(&outlets);
}

static void free_message(void *ctx)
{
    struct sb_bus_msg *msg = ctx;

    sb_bus_msg_destroy(&msg);
}

/* The loop has let go of it: back to this thread, which frees it. */
static void on_last(void *ctx, struct dp_snapshot *snapshot)
{
    struct dp_snapshot_mail *mail = dp_mail_new(sizeof(*mail), DP_MAIL_RETIRE);

    mail->snapshot = snapshot;
    (void)sb_mailbox_post(ctx, &mail->mail);
}

/* Bytes that live as long as the arena become a snapshot with all that hangs on
 * it.  On failure the arena is the caller's. */
static int build(const struct dp_intake *intake, struct sb_slice bytes, struct msg_version want,
                 struct sb_arena **arena, struct dp_snapshot **ret_snapshot, struct sb_errmsg *err)
{
    const struct dp_view_options options = {.dialects = dp_dialects};
    struct dp_outlets *outlets = NULL;
    struct msg_snapshot *records;
    int rc = msg_snapshot_decode(bytes, *arena, &records, err);

    if (rc != SB_OK)
        return rc;
    if (msg_version_cmp(records->version, want) != 0)
        return sb_err_set(err, SB_EPARSE, "it says it is version %" PRIu64 ".%" PRIu64,
                          records->version.epoch, records->version.revision);
    rc = dp_outlets_new(records, intake->start.keyring, &outlets, err);
    if (rc != SB_OK)
        return rc;
    sb_arena_on_destroy(*arena, free_outlets, outlets);
    rc = dp_snapshot_build(arena, records, &options, ret_snapshot, err);
    if (rc != SB_OK)
        return rc;
    (*ret_snapshot)->extra = outlets;
    dp_snapshot_set_on_last(*ret_snapshot, on_last, intake->start.retire);
    return SB_OK;
}

static void give(struct dp_intake *intake, struct dp_snapshot *snapshot,
                 const struct dp_sync_held *held, struct sb_slice bytes, bool from_disk)
{
    struct dp_snapshot_mail *mail = dp_mail_new(sizeof(*mail), DP_MAIL_SNAPSHOT);

    intake->given = *held;
    intake->bytes = bytes;
    intake->is_kept = intake->is_from_disk = from_disk;
    sb_reactor_timer_stop(&intake->start_wait);
    mail->snapshot = snapshot;
    mail->from_disk = from_disk;
    (void)sb_mailbox_post(intake->start.loop, &mail->mail);
}

static void refuse(struct dp_intake *intake, const struct dp_sync_held *offered, int code,
                   const struct sb_errmsg *err)
{
    const struct msg_nack nack = {
        .version = offered->version,
        .code = code,
        .text = sb_slice_of(err->text),
    };
    SB_CLEANUP(sb_buf_release) struct sb_buf body;

    sb_log_warn(SYNC,
                "refused a snapshot epoch=%" PRIu64 " revision=%" PRIu64
                " code=%s: %s, keeping kept_epoch=%" PRIu64 " kept_revision=%" PRIu64,
                offered->version.epoch, offered->version.revision, sb_err_name(code), err->text,
                intake->given.version.epoch, intake->given.version.revision);
    intake->refused = *offered;
    intake->refused_until = now_of(intake) + (code == SB_EHASH ? RETRY_DAMAGED : RETRY_REFUSED);
    (void)atomic_fetch_add(&intake->start.shared->nacks, 1);
    sb_buf_init(&body, BODY_MAX);
    if (msg_nack_encode(&nack, &body) == SB_OK)
        (void)!dp_link_send(intake->link, MSG_KIND_NACK, sb_buf_slice(&body), NULL);
}

static int check_bytes(const struct msg_announce *said, struct sb_slice bytes,
                       struct sb_errmsg *err)
{
    uint8_t hash[MSG_HASH_BYTES];

    if (said->format != MSG_SNAPSHOT_FORMAT)
        return sb_err_set(err, SB_EVERSION, "format %u is not known", said->format);
    sb_hash(bytes, hash);
    if (bytes.n != said->size || memcmp(hash, said->hash, sizeof(hash)) != 0)
        return sb_err_set(err, SB_EHASH, "%zu bytes came that do not have the announced hash",
                          bytes.n);
    return SB_OK;
}

static void on_snapshot(struct dp_intake *intake, const struct dp_link_message *message)
{
    struct dp_snapshot *snapshot = NULL;
    struct msg_announce said;
    struct dp_sync_held offered;
    struct sb_errmsg err = {.text = ""};
    struct sb_arena *arena;
    int rc;

    intake->snapshot.is_running = false;
    if (msg_announce_decode(message->body, &said) != SB_OK)
        return;
    offered.version = said.version;
    memcpy(offered.hash, said.hash, sizeof(offered.hash));
    if (dp_sync_judge(&intake->given, said.version, said.hash) != DP_SYNC_APPLY) {
        consider(intake, said.version, said.hash);
        return;
    }
    intake->snapshot.tries = 0;
    rc = check_bytes(&said, message->bulk, &err);
    if (rc != SB_OK) {
        refuse(intake, &offered, rc, &err);
        return;
    }
    arena = sb_arena_new(ARENA_BLOCK);
    sb_arena_on_destroy(arena, free_message, *message->msg);
    rc = build(intake, message->bulk, said.version, &arena, &snapshot, &err);
    if (rc == SB_OK)
        give(intake, snapshot, &offered, message->bulk, false);
    else
        refuse(intake, &offered, rc, &err);
    *message->msg = NULL; /* in the arena */
    sb_arena_destroy(&arena);
}

void dp_intake_on_taken(struct dp_intake *intake, struct msg_version version)
{
    struct sb_errmsg err;
    int rc;

    intake->taken = version;
    if (msg_version_cmp(version, intake->given.version) != 0 || intake->is_from_disk)
        return;
    send_ack(intake);
    /* It has not been freed: the loop says so after this. */
    rc = dp_snapstore_write(intake->start.dir, "snapshot", version, intake->given.hash,
                            intake->bytes, &err);
    intake->is_kept = rc == SB_OK;
    if (rc != SB_OK)
        sb_log_error(SYNC, "cannot keep the snapshot on disk code=%s: %s", sb_err_name(rc),
                     err.text);
}

/* --- the disk ----------------------------------------------------------------- */

static void free_bytes(void *ctx)
{
    struct sb_buf *bytes = ctx;

    sb_buf_release(bytes);
    sb_mem_free(bytes);
}

/* Reads a file into a buffer that lives in the arena. */
static int read_file(const struct dp_intake *intake, const char *name, struct sb_arena *arena,
                     struct dp_stored *ret_stored, struct sb_slice *ret_bytes,
                     struct sb_errmsg *err)
{
    struct sb_buf *bytes = sb_mem_new(sizeof(*bytes));

    sb_buf_init(bytes, MSG_SNAPSHOT_MAX);
    sb_arena_on_destroy(arena, free_bytes, bytes);
    return dp_snapstore_read(intake->start.dir, name, bytes, ret_stored, ret_bytes, err);
}

static int load_snapshot(struct dp_intake *intake, struct sb_arena **arena, struct sb_errmsg *err)
{
    sb_msec max_age = intake->start.conf->snapshot_max_age;
    sb_usec now = sb_clock_wall(&sb_clock_system);
    struct dp_snapshot *snapshot = NULL;
    struct dp_stored stored;
    struct sb_slice bytes;
    struct dp_sync_held held;
    int rc = read_file(intake, "snapshot", *arena, &stored, &bytes, err);

    if (rc != SB_OK)
        return rc;
    if (max_age > 0 && now > stored.confirmed_at && now - stored.confirmed_at > max_age * 1000)
        return sb_err_set(err, SB_EINVAL, "it was last confirmed %" PRIu64 " seconds ago",
                          (now - stored.confirmed_at) / 1000000);
    rc = build(intake, bytes, stored.version, arena, &snapshot, err);
    if (rc != SB_OK)
        return rc;
    held.version = stored.version;
    memcpy(held.hash, stored.hash, sizeof(held.hash));
    give(intake, snapshot, &held, bytes, true);
    return SB_OK;
}

static void give_tables(struct dp_intake *intake, struct sb_arena **arena,
                        const struct msg_tables *tables)
{
    struct dp_tables_mail *mail = dp_mail_new(sizeof(*mail), DP_MAIL_TABLES);

    mail->arena = *arena;
    *arena = NULL;
    mail->tables = *tables;
    atomic_store_explicit(&intake->start.shared->tables_sequence, tables->sequence,
                          memory_order_relaxed);
    (void)sb_mailbox_post(intake->start.loop, &mail->mail);
}

static uint32_t older(uint32_t age, sb_msec by)
{
    return by < UINT32_MAX - age ? age + (uint32_t)by : UINT32_MAX;
}

/* The time it lay on disk counts. */
static int load_tables(struct dp_intake *intake, struct sb_arena **arena, struct sb_errmsg *err)
{
    sb_usec now = sb_clock_wall(&sb_clock_system);
    struct dp_stored stored;
    struct msg_tables tables;
    struct sb_slice bytes;
    sb_msec passed;
    int rc = read_file(intake, "tables", *arena, &stored, &bytes, err);

    if (rc == SB_OK)
        rc = msg_tables_decode(bytes, *arena, &tables);
    if (rc != SB_OK)
        return rc;
    passed = now > stored.confirmed_at ? (now - stored.confirmed_at) / 1000 : 0;
    for (size_t i = 0; i < tables.n_rows; i++) {
        struct msg_table_row *row = &tables.rows[i];

        row->age = older(row->age, passed);
        row->outage_age = older(row->outage_age, passed);
        row->cooldown = row->cooldown > passed ? row->cooldown - (uint32_t)passed : 0;
    }
    if (dp_sync_judge_tables(dp_rowstore_held(intake->rows), &tables) != DP_SYNC_APPLY)
        return SB_OK;
    rc = dp_rowstore_apply(intake->rows, &tables, now_of(intake));
    if (rc == SB_OK)
        give_tables(intake, arena, &tables);
    return rc;
}

static void on_start_wait(struct sb_reactor_timer *timer)
{
    struct dp_intake *intake = container_of(timer, struct dp_intake, start_wait);
    struct sb_arena *arena = sb_arena_new(ARENA_BLOCK);
    struct sb_errmsg err = {.text = ""};
    int rc = load_snapshot(intake, &arena, &err);

    if (rc == SB_ENOENT)
        sb_log_warn(SYNC, "no control daemon yet, and no snapshot on disk dir=%s",
                    intake->start.dir);
    else if (rc != SB_OK)
        sb_log_error(SYNC, "cannot serve by the snapshot on disk code=%s: %s", sb_err_name(rc),
                     err.text);
    sb_arena_destroy(&arena);
    if (rc != SB_OK)
        return;
    arena = sb_arena_new(ARENA_BLOCK);
    rc = load_tables(intake, &arena, &err);
    if (rc != SB_OK && rc != SB_ENOENT)
        sb_log_warn(SYNC, "cannot use the tables on disk code=%s: %s", sb_err_name(rc), err.text);
    sb_arena_destroy(&arena);
}

/* --- tables ------------------------------------------------------------------- */

static void on_tables(struct dp_intake *intake, const struct dp_link_message *message)
{
    struct sb_arena *arena = sb_arena_new(ARENA_BLOCK);
    struct msg_tables tables;
    int rc = msg_tables_decode(message->bulk, arena, &tables);

    if (!message->is_published)
        intake->tables = (struct fetch){.is_running = false};
    if (rc != SB_OK) {
        sb_log_warn(SYNC, "tables that cannot be read code=%s", sb_err_name(rc));
        sb_arena_destroy(&arena);
        return;
    }
    switch (dp_sync_judge_tables(dp_rowstore_held(intake->rows), &tables)) {
    case DP_SYNC_APPLY:
        rc = dp_rowstore_apply(intake->rows, &tables, now_of(intake));
        if (rc == SB_OK)
            give_tables(intake, &arena, &tables);
        break;
    case DP_SYNC_RESYNC:
        get(intake, &intake->tables, MSG_GET_TABLES);
        break;
    case DP_SYNC_HELD:
    case DP_SYNC_OLD:
        break;
    }
    sb_arena_destroy(&arena);
}

void dp_intake_on_tables_lost(struct dp_intake *intake)
{
    get(intake, &intake->tables, MSG_GET_TABLES);
}

/* The leader is at this sequence; we should be, too. */
static void consider_tables(struct dp_intake *intake, uint64_t sequence)
{
    const struct dp_sync_tables *held = dp_rowstore_held(intake->rows);

    if (sequence > 0 &&
        (sequence > held->sequence || held->term != dp_link_stats(intake->link)->term))
        get(intake, &intake->tables, MSG_GET_TABLES);
}

/* --- events ------------------------------------------------------------------- */

void dp_intake_on_leader(struct dp_intake *intake, const struct msg_welcome *welcome)
{
    consider(intake, welcome->version, NULL);
    if (dp_sync_judge(&intake->given, welcome->version, NULL) == DP_SYNC_HELD &&
        msg_version_cmp(intake->taken, intake->given.version) == 0 &&
        !msg_version_is_none(intake->taken))
        send_ack(intake); /* a new leader does not know */
    consider_tables(intake, welcome->tables_sequence);
}

void dp_intake_on_leader_lost(struct dp_intake *intake)
{
    intake->snapshot.is_running = intake->tables.is_running = false;
}

void dp_intake_on_heartbeat(struct dp_intake *intake, const struct msg_heartbeat *heartbeat)
{
    consider(intake, heartbeat->version, NULL);
    consider_tables(intake, heartbeat->tables_sequence);
}

void dp_intake_on_message(struct dp_intake *intake, const struct dp_link_message *message)
{
    struct msg_announce announce;

    switch (message->envelope.kind) {
    case MSG_KIND_ANNOUNCE:
        if (msg_announce_decode(message->body, &announce) == SB_OK)
            consider(intake, announce.version, announce.hash);
        break;
    case MSG_KIND_SNAPSHOT:
        on_snapshot(intake, message);
        break;
    case MSG_KIND_TABLES:
        on_tables(intake, message);
        break;
    default:
        break;
    }
}

static void keep_tables(struct dp_intake *intake, sb_msec now)
{
    struct sb_errmsg err = {.text = ""};
    int rc = dp_rowstore_save(intake->rows, intake->start.dir, now, &err);

    if (rc != SB_OK)
        sb_log_warn(SYNC, "cannot keep the tables on disk code=%s: %s", sb_err_name(rc), err.text);
}

void dp_intake_on_pulse(struct dp_intake *intake, sb_msec now)
{
    check_fetch(intake, &intake->snapshot, "the snapshot does not come", now);
    check_fetch(intake, &intake->tables, "the tables do not come", now);
    if (now - intake->kept_at < KEEP_EVERY)
        return;
    intake->kept_at = now;
    if (dp_link_has_leader(intake->link) && !intake->is_from_disk)
        confirm(intake);
    keep_tables(intake, now);
}

void dp_intake_fill_hello(const struct dp_intake *intake, struct msg_hello *hello)
{
    hello->version = intake->given.version;
    memcpy(hello->hash, intake->given.hash, sizeof(hello->hash));
}

struct msg_version dp_intake_version(const struct dp_intake *intake)
{
    return intake->taken;
}

bool dp_intake_is_from_disk(const struct dp_intake *intake)
{
    return intake->is_from_disk;
}

/* --- life --------------------------------------------------------------------- */

struct dp_intake *dp_intake_new(const struct dp_intake_start *start)
{
    struct dp_intake *intake = sb_mem_new(sizeof(*intake));

    intake->start = *start;
    intake->rows = dp_rowstore_new();
    intake->kept_at = now_of(intake);
    sb_reactor_timer_start(start->reactor, &intake->start_wait, start->conf->start_wait, 0,
                           on_start_wait);
    return intake;
}

void dp_intake_set_link(struct dp_intake *intake, struct dp_link *link)
{
    intake->link = link;
}

void dp_intake_destroy(struct dp_intake **intakep)
{
    struct dp_intake *intake = *intakep;

    *intakep = NULL;
    if (intake == NULL)
        return;
    keep_tables(intake, now_of(intake));
    sb_reactor_timer_stop(&intake->start_wait);
    dp_rowstore_destroy(&intake->rows);
    sb_mem_free(intake);
}
