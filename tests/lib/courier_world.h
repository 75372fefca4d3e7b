/* tests/lib/courier_world.h - a courier between a loop and fake daemons, all real
 * but the daemons.
 *
 * Time is real: the courier's thread has its own clock.  A test waits for what
 * must come, looking again and again; only one that fails waits long.
 */
#pragma once

#include "common/file.h"
#include "common/keyring.h"
#include "common/loop.h"
#include "dataplane/conf.h"
#include "dataplane/courier/courier.h"
#include "dataplane/courier/telemetry.h"
#include "dataplane/records/spool.h"
#include "dataplane/route/tables.h"
#include "dataplane/route/view.h"
#include "dataplane/upstream/outlet.h"
#include "proto/record.h"
#include "tests/lib/fake_control.h"
#include "tests/lib/tempdir.h"

enum { WORLD_DAEMONS = 2 };

struct courier_world {
    struct tempdir dir;
    char home[128], control[512], publish[512];
    struct fake_daemon daemons[WORLD_DAEMONS];
    unsigned n_daemons;
    struct fake_store store;
    struct dp_conf conf;
    const struct dp_disk *disk; /* NULL: the system's */
    struct sb_keyring *keyring;
    sb_msec heartbeat_at; /* daemons beat while is_beating */
    bool is_beating;

    struct sb_loop *loop;
    struct dp_spool *spool;
    struct dp_telemetry *telemetry;
    struct dp_tables *tables;
    struct dp_courier *courier;
    struct sb_hook turn_end;
    struct dp_load load;

    /* What the loop was told. */
    struct dp_snapshot *snapshot;
    unsigned snapshots, confirmed, table_messages, explains, sync_messages;
    bool from_disk;
    uint64_t synced, explain_id;
    char explain_key[64], explain_body[256];
    char certificate[64];
    int answers, answer_status;
    char answer_json[8192];
};

static inline void world_on_snapshot(void *ctx, struct dp_snapshot *snapshot, bool from_disk)
{
    struct courier_world *world = ctx;
    struct dp_snapshot *old = world->snapshot;

    assert_non_null(snapshot->extra);
    world->snapshot = snapshot;
    world->snapshots++;
    world->from_disk = from_disk;
    dp_snapshot_unref(&old);
}

static inline void world_on_confirmed(void *ctx)
{
    struct courier_world *world = ctx;

    world->confirmed++;
    world->from_disk = false;
}

static inline int world_on_tables(void *ctx, const struct msg_tables *tables)
{
    struct courier_world *world = ctx;

    world->table_messages++;
    return dp_tables_apply(world->tables, tables, sb_loop_now(world->loop));
}

static inline void world_on_explain(void *ctx, uint64_t id, struct sb_slice key_name,
                                    struct sb_slice body)
{
    struct courier_world *world = ctx;

    world->explains++;
    world->explain_id = id;
    assert_true(sb_slice_copy_text(key_name, world->explain_key, sizeof(world->explain_key)));
    assert_true(sb_slice_copy_text(body, world->explain_body, sizeof(world->explain_body)));
}

static inline void world_on_synced(void *ctx, uint64_t sequence)
{
    struct courier_world *world = ctx;

    assert_true(sequence > world->synced);
    world->synced = sequence;
    world->sync_messages++;
}

static inline void world_on_certificate(void *ctx, struct sb_slice certificate)
{
    struct courier_world *world = ctx;

    assert_true(sb_slice_copy_text(certificate, world->certificate, sizeof(world->certificate)));
}

static inline void world_on_turn(struct sb_hook *hook)
{
    struct courier_world *world = container_of(hook, struct courier_world, turn_end);

    if (world->courier != NULL)
        dp_courier_note(world->courier, &world->load);
}

/* One daemon more, of this name, which is its address too. */
static inline struct fake_daemon *world_add_daemon(struct courier_world *world, const char *name)
{
    struct fake_daemon *daemon = &world->daemons[world->n_daemons++];

    fake_open(daemon, name, world->dir.path, &world->store);
    fake_set_snapshot(daemon, (struct msg_version){.epoch = 5, .revision = 10},
                      "http://127.0.0.1:9/v1");
    return daemon;
}

static inline void world_init(struct courier_world *world)
{
    static const char keys[] = "k:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
                               "api-key-hash:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\n";
    struct sb_errmsg err = {.text = ""};

    memset(world, 0, sizeof(*world));
    assert_true(tempdir_make(&world->dir));
    (void)snprintf(world->home, sizeof(world->home), "%s/spool", world->dir.path);
    if (sb_keyring_parse(SB_SLICE_LIT(keys), &world->keyring, &err) != SB_OK)
        fail_msg("%s", err.text);
    (void)snprintf(world->control, sizeof(world->control), "ipc://%s/a.r,ipc://%s/b.r",
                   world->dir.path, world->dir.path);
    (void)snprintf(world->publish, sizeof(world->publish), "ipc://%s/a.p,ipc://%s/b.p",
                   world->dir.path, world->dir.path);
    world->conf = (struct dp_conf){.control = world->control,
                                   .publish = world->publish,
                                   .start_wait = 600000,
                                   .spool_sync = 20,
                                   .spool_limit = 64 << 20};
    world->is_beating = true;
}

static const struct dp_courier_events world_events = {
    .on_snapshot = world_on_snapshot,
    .on_confirmed = world_on_confirmed,
    .on_tables = world_on_tables,
    .on_explain = world_on_explain,
    .on_synced = world_on_synced,
    .on_certificate = world_on_certificate,
};

static const uint8_t world_receipt_key[MSG_PUBLIC_KEY_BYTES] = {1, 2, 3};

static inline void world_start(struct courier_world *world)
{
    const struct dp_spool_conf spool = {
        .home = world->home,
        .worker = "host-0",
        .limit = world->conf.spool_limit,
        .disk = world->disk,
    };
    struct dp_courier_start start = {.conf = &world->conf,
                                     .worker = "host-0",
                                     .keyring = world->keyring,
                                     .receipt_key = world_receipt_key,
                                     .events = &world_events,
                                     .ctx = world};
    struct sb_errmsg err = {.text = ""};

    world->synced = 0;
    assert_int_equal(sb_loop_new(&world->loop), SB_OK);
    start.loop = world->loop;
    world->tables = dp_tables_new();
    start.telemetry = world->telemetry = dp_telemetry_new(&sb_clock_system);
    if (dp_spool_open(&spool, &world->spool, &err) != SB_OK)
        fail_msg("%s", err.text);
    start.spool = world->spool;
    if (dp_courier_new(&start, &world->courier, &err) != SB_OK)
        fail_msg("%s", err.text);
    sb_hook_add(&world->turn_end, world->loop, world_on_turn);
}

/* Ends the worker's side; the daemons stay. */
static inline void world_stop(struct courier_world *world)
{
    if (world->loop == NULL)
        return;
    dp_snapshot_unref(&world->snapshot);
    sb_hook_remove(&world->turn_end);
    dp_courier_destroy(&world->courier);
    dp_spool_close(&world->spool);
    dp_telemetry_destroy(&world->telemetry);
    dp_tables_destroy(&world->tables);
    sb_loop_destroy(&world->loop);
}

static inline void world_release(struct courier_world *world)
{
    world_stop(world);
    for (unsigned i = 0; i < world->n_daemons; i++)
        fake_close(&world->daemons[i]);
    sb_keyring_destroy(&world->keyring);
    assert_true(tempdir_remove(&world->dir));
}
