/* tests/unit/dataplane/test_courier.c - leaders and snapshots; records and
 * questions have files of their own. */
#include "dataplane/courier/courier.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/courier_run.h"

static struct courier_world world; /* one after the other */

static int set_up(void **state)
{
    (void)state;
    world_init(&world);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_release(&world);
    return 0;
}

static struct msg_version version_of(uint64_t epoch, uint64_t revision)
{
    return (struct msg_version){.epoch = epoch, .revision = revision};
}

static void set_snapshot(struct fake_daemon *daemon, uint64_t epoch, uint64_t revision)
{
    fake_set_snapshot(daemon, version_of(epoch, revision), "http://127.0.0.1:9/v1");
}

/* A daemon, and a worker that serves by its first snapshot. */
static struct fake_daemon *begin(void)
{
    struct fake_daemon *a = world_add_daemon(&world, "a");

    world_start(&world);
    WORLD_UNTIL(&world, world_serves(&world, 5, 10));
    WORLD_UNTIL(&world, world_is_version(a->ack_version, 5, 10));
    return a;
}

/* --- snapshots ---------------------------------------------------------------- */

static void fetches_the_snapshot_serves_by_it_and_acknowledges(void **state)
{
    struct fake_daemon *a = begin();

    (void)state;
    assert_false(world.from_disk);
    assert_string_equal(a->hello_worker, "host-0");
    assert_int_equal(a->hello_boot, dp_spool_boot(world.spool));
    assert_memory_equal(a->hello_key, world_receipt_key, sizeof(a->hello_key));
    set_snapshot(a, 5, 11);
    fake_announce(a);
    WORLD_UNTIL(&world, world_serves(&world, 5, 11));
    WORLD_UNTIL(&world, world_is_version(a->ack_version, 5, 11));
    WORLD_UNTIL(&world, world_is_version(a->beat_version, 5, 11));
    assert_true(world_is_version(a->get_version, 5, 10));
    assert_int_equal(a->got[MSG_KIND_NACK], 0);
}

static void an_announcement_that_was_lost_is_made_up_by_a_heartbeat(void **state)
{
    struct fake_daemon *a = begin();

    (void)state;
    set_snapshot(a, 5, 12); /* nothing is announced */
    WORLD_UNTIL(&world, world_serves(&world, 5, 12));
    WORLD_UNTIL(&world, world_is_version(a->ack_version, 5, 12));
}

static void what_is_not_newer_is_dropped(void **state)
{
    struct fake_daemon *a = begin();
    unsigned gets = a->got[MSG_KIND_GET];

    (void)state;
    set_snapshot(a, 5, 9);
    fake_announce(a);
    fake_send_snapshot(a);
    set_snapshot(a, 5, 10);
    fake_announce(a);
    fake_send_snapshot(a);
    world_beats(&world, 5);
    assert_int_equal(a->got[MSG_KIND_GET], gets);
    assert_int_equal(world.snapshots, 1);
    assert_true(world_serves(&world, 5, 10));
}

static void wrong_bytes_are_refused_and_the_old_snapshot_kept(void **state)
{
    struct fake_daemon *a = begin();

    (void)state;
    a->spoils_hash = true;
    set_snapshot(a, 5, 11);
    fake_announce(a);
    WORLD_UNTIL(&world, a->got[MSG_KIND_NACK] > 0);
    assert_true(world_is_version(a->nack_version, 5, 11));
    assert_int_equal(a->nack_code, SB_EHASH);
    assert_true(strlen(a->nack_text) > 0);
    assert_true(world_serves(&world, 5, 10));
    assert_true(world_state(&world).nacks >= 1);
    a->spoils_hash = false; /* it was the way, not the bytes: tried again */
    WORLD_UNTIL(&world, world_serves(&world, 5, 11));
    WORLD_UNTIL(&world, world_is_version(a->ack_version, 5, 11));
}

static void a_snapshot_that_cannot_be_served_is_refused_once(void **state)
{
    struct fake_daemon *a = begin();
    unsigned gets = a->got[MSG_KIND_GET];

    (void)state;
    fake_set_snapshot(a, version_of(5, 11), "ftp://127.0.0.1/v1");
    fake_announce(a);
    WORLD_UNTIL(&world, a->got[MSG_KIND_NACK] > 0);
    assert_int_equal(a->nack_code, SB_EINVAL);
    world_beats(&world, 10); /* each says that there is a newer one */
    assert_int_equal(a->got[MSG_KIND_GET], gets + 1);
    assert_int_equal(a->got[MSG_KIND_NACK], 1);
    assert_true(world_serves(&world, 5, 10));
    set_snapshot(a, 5, 12);
    fake_announce(a);
    WORLD_UNTIL(&world, world_serves(&world, 5, 12));
}

static void bytes_that_are_no_snapshot_are_refused(void **state)
{
    struct fake_daemon *a = begin();

    (void)state;
    sb_buf_reset(&a->snapshot);
    assert_int_equal(sb_buf_append_text(&a->snapshot, "not msgpack at all"), SB_OK);
    sb_hash(sb_buf_slice(&a->snapshot), a->hash);
    a->version = version_of(5, 11);
    WORLD_UNTIL(&world, a->got[MSG_KIND_NACK] > 0);
    assert_int_equal(a->nack_code, SB_EPARSE);
    set_snapshot(a, 5, 12); /* says another version than it is announced as */
    a->version = version_of(5, 13);
    WORLD_UNTIL(&world, a->got[MSG_KIND_NACK] > 1);
    assert_int_equal(a->nack_code, SB_EPARSE);
    assert_true(world_serves(&world, 5, 10));
}

static void a_new_epoch_begins_whatever_its_revision(void **state)
{
    struct fake_daemon *a = begin();

    (void)state;
    set_snapshot(a, 6, 1);
    fake_announce(a);
    WORLD_UNTIL(&world, world_serves(&world, 6, 1));
    WORLD_UNTIL(&world, world_is_version(a->ack_version, 6, 1));
    set_snapshot(a, 5, 900); /* never back */
    fake_announce(a);
    world_beats(&world, 5);
    assert_true(world_serves(&world, 6, 1));
}

/* The database was put back and made the same version again. */
static void one_version_with_two_contents_is_reported_not_served(void **state)
{
    struct fake_daemon *a = begin();
    unsigned hellos = a->got[MSG_KIND_HELLO];
    uint8_t held[MSG_HASH_BYTES];

    (void)state;
    memcpy(held, a->hash, sizeof(held));
    world_beats(&world, 3); /* the pause between two HELLOs is over */
    fake_set_snapshot(a, version_of(5, 10), "http://127.0.0.1:10/v1");
    fake_announce(a);
    WORLD_UNTIL(&world, a->got[MSG_KIND_HELLO] > hellos);
    assert_true(world_is_version(a->hello_version, 5, 10));
    assert_memory_equal(a->hello_hash, held, sizeof(held));
    WORLD_UNTIL(&world, world_state(&world).resyncs >= 1);
    assert_int_equal(world.snapshots, 1);
}

/* --- leaders ------------------------------------------------------------------ */

static void a_standby_is_not_followed(void **state)
{
    struct fake_daemon *a = world_add_daemon(&world, "a");

    (void)state;
    a->leads = false;
    world_start(&world);
    WORLD_UNTIL(&world, a->got[MSG_KIND_HELLO] > 1);
    assert_false(world_is_connected(&world));
    assert_int_equal(a->got[MSG_KIND_GET], 0);
    a->leads = true;
    WORLD_UNTIL(&world, world_serves(&world, 5, 10));
    assert_true(world_is_connected(&world));
}

static void follows_the_leader_to_another_daemon(void **state)
{
    struct fake_daemon *a = begin(), *b = world_add_daemon(&world, "b");

    (void)state;
    b->leads = false;
    WORLD_UNTIL(&world, b->got[MSG_KIND_HELLO] > 0);
    a->leads = false;
    b->leads = true;
    b->term = 2;
    set_snapshot(b, 5, 11);
    WORLD_UNTIL(&world, world_serves(&world, 5, 11));
    WORLD_UNTIL(&world, world_is_version(b->ack_version, 5, 11));
    WORLD_UNTIL(&world, b->got[MSG_KIND_BEAT] > 0);
    assert_int_equal(world_state(&world).term, 2);
}

/* A leader that was cut off comes back and does not know that it has lost. */
static void a_lower_term_is_ignored(void **state)
{
    struct fake_daemon *a = world_add_daemon(&world, "a"), *b;
    unsigned gets;

    (void)state;
    a->term = 7;
    world_start(&world);
    WORLD_UNTIL(&world, world_serves(&world, 5, 10));
    b = world_add_daemon(&world, "b");
    b->term = 6;
    set_snapshot(b, 5, 99);
    WORLD_UNTIL(&world, b->got[MSG_KIND_HELLO] > 0);
    fake_announce(b);
    gets = b->got[MSG_KIND_GET];
    world_beats(&world, 10);
    assert_int_equal(gets, 0);
    assert_int_equal(b->got[MSG_KIND_GET], 0);
    assert_int_equal(b->got[MSG_KIND_BEAT], 0);
    assert_true(world_serves(&world, 5, 10));
    assert_int_equal(world_state(&world).term, 7);
}

/* A database that was restored counts terms from an earlier number. */
static void a_lower_term_of_a_higher_epoch_is_followed(void **state)
{
    struct fake_daemon *a = world_add_daemon(&world, "a");

    (void)state;
    a->term = 7;
    world_start(&world);
    WORLD_UNTIL(&world, world_serves(&world, 5, 10));
    a->term = 2;
    set_snapshot(a, 6, 3);
    WORLD_UNTIL(&world, world_serves(&world, 6, 3));
    WORLD_UNTIL(&world, world_is_version(a->ack_version, 6, 3));
    assert_int_equal(world_state(&world).term, 2);
}

static void a_silent_leader_is_lost_and_found_again(void **state)
{
    struct fake_daemon *a = begin();

    (void)state;
    a->is_mute = true;
    WORLD_UNTIL(&world, !world_is_connected(&world));
    assert_true(world_serves(&world, 5, 10));
    a->is_mute = false;
    set_snapshot(a, 5, 11);
    WORLD_UNTIL(&world, world_serves(&world, 5, 11));
    assert_true(world_is_connected(&world));
}

/* What is published does not arrive any more; what is asked is answered. */
static void without_publications_the_leader_is_asked(void **state)
{
    struct fake_daemon *a = begin();

    (void)state;
    world.is_beating = false;
    set_snapshot(a, 5, 11);
    WORLD_UNTIL(&world, world_serves(&world, 5, 11));
    assert_true(world_is_connected(&world));
    WORLD_UNTIL(&world, world_state(&world).resyncs >= 1);
}

static void a_daemon_that_restarts_is_joined_again(void **state)
{
    struct fake_daemon *a = begin();

    (void)state;
    fake_close(a);
    WORLD_UNTIL(&world, !world_is_connected(&world));
    world.n_daemons = 0;
    a = world_add_daemon(&world, "a");
    a->term = 2;
    set_snapshot(a, 5, 11);
    WORLD_UNTIL(&world, world_serves(&world, 5, 11));
    WORLD_UNTIL(&world, world_is_version(a->ack_version, 5, 11));
}

/* --- the disk ----------------------------------------------------------------- */

/* A worker that got a snapshot and stopped; then all daemons go. */
static void leave_a_snapshot_on_disk(void)
{
    struct fake_daemon *a = begin();

    a->tables_sequence = 3;
    WORLD_UNTIL(&world, dp_tables_sequence(world.tables) == 3);
    world_stop(&world);
    fake_close(a);
    world.n_daemons = 0;
    world.snapshots = 0;
}

static const char *snapshot_path(void)
{
    static char path[256];

    (void)snprintf(path, sizeof(path), "%s/host-0/snapshot", world.home);
    return path;
}

static void starts_without_a_control_plane_from_disk(void **state)
{
    struct fake_daemon *a;

    (void)state;
    leave_a_snapshot_on_disk();
    world.conf.start_wait = 1;
    world_start(&world);
    WORLD_UNTIL(&world, world_serves(&world, 5, 10));
    assert_true(world.from_disk);
    WORLD_UNTIL(&world, dp_tables_sequence(world.tables) == 3);
    assert_non_null(dp_tables_find_id(world.tables, 101));
    assert_false(world_is_connected(&world));
    a = world_add_daemon(&world, "a");
    a->tables_sequence = 3;
    WORLD_UNTIL(&world, world.confirmed == 1);
    assert_false(world.from_disk);
    WORLD_UNTIL(&world, world_is_version(a->ack_version, 5, 10));
    assert_int_equal(world.snapshots, 1);
    assert_int_equal(a->got[MSG_KIND_GET], 0);
    set_snapshot(a, 5, 11);
    WORLD_UNTIL(&world, world_serves(&world, 5, 11));
    assert_int_equal(world.confirmed, 1);
}

static void waits_for_a_daemon_before_it_takes_the_disk(void **state)
{
    (void)state;
    leave_a_snapshot_on_disk();
    (void)world_add_daemon(&world, "a");
    world_start(&world); /* start_wait is long */
    WORLD_UNTIL(&world, world_serves(&world, 5, 10));
    assert_false(world.from_disk);
}

static void a_newer_snapshot_replaces_the_one_on_disk(void **state)
{
    struct fake_daemon *a;

    (void)state;
    leave_a_snapshot_on_disk();
    world.conf.start_wait = 1;
    world_start(&world);
    WORLD_UNTIL(&world, world_serves(&world, 5, 10));
    a = world_add_daemon(&world, "a");
    set_snapshot(a, 5, 20);
    WORLD_UNTIL(&world, world_serves(&world, 5, 20));
    assert_false(world.from_disk);
    WORLD_UNTIL(&world, world_is_version(a->ack_version, 5, 20));
    world_stop(&world);
    fake_close(a);
    world.n_daemons = 0;
    world_start(&world);
    WORLD_UNTIL(&world, world_serves(&world, 5, 20));
    assert_true(world.from_disk);
}

static void a_snapshot_that_is_too_old_is_not_served(void **state)
{
    const struct timespec long_ago[2] = {{.tv_sec = 1700000000}, {.tv_sec = 1700000000}};
    struct fake_daemon *a;

    (void)state;
    leave_a_snapshot_on_disk();
    assert_int_equal(utimensat(AT_FDCWD, snapshot_path(), long_ago, 0), 0);
    world.conf.start_wait = 1;
    world.conf.snapshot_max_age = 86400000;
    world_start(&world);
    a = world_add_daemon(&world, "a"); /* which it waits for now */
    WORLD_UNTIL(&world, world_serves(&world, 5, 10));
    assert_false(world.from_disk);
    assert_int_equal(world.snapshots, 1);
    assert_true(a->got[MSG_KIND_GET] >= 1);
    assert_true(msg_version_is_none(a->get_version));
}

static void a_damaged_snapshot_is_not_served(void **state)
{
    struct fake_daemon *a;
    int fd;

    (void)state;
    leave_a_snapshot_on_disk();
    fd = open(snapshot_path(), O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "X", 1, 100), 1);
    assert_int_equal(close(fd), 0);
    world.conf.start_wait = 1;
    world_start(&world);
    a = world_add_daemon(&world, "a");
    WORLD_UNTIL(&world, world_serves(&world, 5, 10));
    assert_false(world.from_disk);
    assert_true(msg_version_is_none(a->get_version));
}

/* --- tables ------------------------------------------------------------------- */

static void tables_follow_one_another_and_gaps_are_filled(void **state)
{
    struct fake_daemon *a = begin();
    unsigned gets;

    (void)state;
    a->tables_sequence = 1;
    WORLD_UNTIL(&world, dp_tables_sequence(world.tables) == 1);
    gets = a->tables_gets;
    assert_true(gets >= 1); /* a heartbeat told */
    a->tables_sequence = 2;
    fake_publish_tables(a);
    WORLD_UNTIL(&world, dp_tables_sequence(world.tables) == 2);
    assert_int_equal(a->tables_gets, gets);
    assert_int_equal(dp_tables_find_id(world.tables, 101)->samples, 2);
    a->tables_sequence = 5; /* 3 and 4 were lost */
    fake_publish_tables(a);
    WORLD_UNTIL(&world, dp_tables_sequence(world.tables) == 5);
    assert_true(a->tables_gets > gets);
    WORLD_UNTIL(&world, world_state(&world).tables_sequence == 5);
}

static void another_leader_counts_tables_from_his_own_start(void **state)
{
    struct fake_daemon *a = begin();

    (void)state;
    a->tables_sequence = 50;
    WORLD_UNTIL(&world, dp_tables_sequence(world.tables) == 50);
    a->term = 2;
    a->tables_sequence = 4;
    WORLD_UNTIL(&world, dp_tables_sequence(world.tables) == 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fetches_the_snapshot_serves_by_it_and_acknowledges),
        TEST(an_announcement_that_was_lost_is_made_up_by_a_heartbeat),
        TEST(what_is_not_newer_is_dropped),
        TEST(wrong_bytes_are_refused_and_the_old_snapshot_kept),
        TEST(a_snapshot_that_cannot_be_served_is_refused_once),
        TEST(bytes_that_are_no_snapshot_are_refused),
        TEST(a_new_epoch_begins_whatever_its_revision),
        TEST(one_version_with_two_contents_is_reported_not_served),
        TEST(a_standby_is_not_followed),
        TEST(follows_the_leader_to_another_daemon),
        TEST(a_lower_term_is_ignored),
        TEST(a_lower_term_of_a_higher_epoch_is_followed),
        TEST(a_silent_leader_is_lost_and_found_again),
        TEST(without_publications_the_leader_is_asked),
        TEST(a_daemon_that_restarts_is_joined_again),
        TEST(starts_without_a_control_plane_from_disk),
        TEST(waits_for_a_daemon_before_it_takes_the_disk),
        TEST(a_newer_snapshot_replaces_the_one_on_disk),
        TEST(a_snapshot_that_is_too_old_is_not_served),
        TEST(a_damaged_snapshot_is_not_served),
        TEST(tables_follow_one_another_and_gaps_are_filled),
        TEST(another_leader_counts_tables_from_his_own_start),
    };

    return world_main(tests, SB_ARRAY_LEN(tests));
}
