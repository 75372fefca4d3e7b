/* tests/unit/dataplane/test_spool.c */
#include "dataplane/records/spool.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "tests/lib/spool_run.h"

static struct spool_home home;

static int set_up(void **state)
{
    (void)state;
    home_make(&home);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    home_remove(&home);
    return 0;
}

static struct dp_spool_stats stats_of(const struct dp_spool *spool)
{
    struct dp_spool_stats stats;

    dp_spool_stats(spool, &stats);
    return stats;
}

/* --- in one life -------------------------------------------------------------- */

static void gives_batches_in_order_until_they_are_acknowledged(void **state)
{
    struct sent first, again;

    (void)state;
    home.spool = home_open(&home, "host-0");
    assert_false(batch_take(home.spool, 1 << 20, 2000, &first));
    assert_true(dp_spool_is_drained(home.spool));
    record_put_many(home.spool, 1000);
    assert_true(batch_take(home.spool, 100000, 30, &first));
    assert_int_equal(first.batch.first, 1);
    assert_string_equal(first.worker, "host-0");
    assert_true(batch_take(home.spool, 100000, 30, &again));
    assert_int_equal(again.last, first.last); /* sent again */
    assert_false(dp_spool_is_drained(home.spool));
    assert_int_equal(boot_take_all(home.spool, dp_spool_boot(home.spool), 1), 1000);
    assert_true(dp_spool_is_drained(home.spool));
    assert_int_equal(stats_of(home.spool).acked, 1000);
    assert_int_equal(stats_of(home.spool).next, 1001);
}

static void frees_segments_as_they_are_acknowledged(void **state)
{
    uint64_t before;

    (void)state;
    home.spool = home_open(&home, "host-0");
    before = stats_of(home.spool).bytes;
    record_put_many(home.spool, 1000);
    assert_true(stats_of(home.spool).bytes > before + 2000000);
    (void)boot_take_all(home.spool, dp_spool_boot(home.spool), 1);
    assert_true(stats_of(home.spool).bytes <= before + 2 * SPOOL_SEGMENT);
}

static void a_part_of_a_batch_may_be_acknowledged(void **state)
{
    struct sent sent;

    (void)state;
    home.spool = home_open(&home, "host-0");
    record_put_many(home.spool, 100);
    assert_true(batch_take(home.spool, 1 << 20, 50, &sent));
    sent.last = 20;
    batch_ack(home.spool, &sent);
    assert_true(batch_take(home.spool, 1 << 20, 50, &sent));
    assert_int_equal(sent.batch.first, 21);
    sent.last = 5; /* late, of an earlier sending */
    batch_ack(home.spool, &sent);
    assert_true(batch_take(home.spool, 1 << 20, 50, &sent));
    assert_int_equal(sent.batch.first, 21);
}

static void what_was_never_written_cannot_be_acknowledged(void **state)
{
    struct dp_spool *spool = home.spool = home_open(&home, "host-0");

    (void)state;
    record_put_many(spool, 10);
    assert_int_equal(dp_spool_ack(spool, SB_SLICE_LIT("host-0"), dp_spool_boot(spool), 11),
                     SB_EINVAL);
    assert_int_equal(dp_spool_ack(spool, SB_SLICE_LIT("host-0"), 1, 5), SB_ENOENT);
    assert_int_equal(dp_spool_ack(spool, SB_SLICE_LIT("host-1"), dp_spool_boot(spool), 5),
                     SB_ENOENT);
    assert_int_equal(boot_take_all(spool, dp_spool_boot(spool), 1), 10);
}

static void says_what_is_on_stable_storage(void **state)
{
    (void)state;
    home.spool = home_open(&home, "host-0");
    record_put_many(home.spool, 300);
    assert_false(dp_spool_is_synced(home.spool, 1));
    assert_int_equal(dp_spool_sync(home.spool), SB_OK);
    assert_true(dp_spool_is_synced(home.spool, 300));
    record_put_many(home.spool, 1);
    assert_false(dp_spool_is_synced(home.spool, 301));
    /* What the database has is safe, too. */
    (void)boot_take_all(home.spool, dp_spool_boot(home.spool), 1);
    assert_true(dp_spool_is_synced(home.spool, 301));
}

static bool is_sequence(void *ctx, struct sb_slice record)
{
    const uint64_t *want = ctx;

    return sb_slice_eq(record, record_make(want[0], want[1]));
}

static void finds_what_is_not_acknowledged(void **state)
{
    uint64_t want[2], last = 800;
    struct sent sent;

    (void)state;
    home.spool = home_open(&home, "host-0");
    record_put_many(home.spool, (unsigned)last);
    want[0] = dp_spool_boot(home.spool);
    for (want[1] = 1; want[1] <= last; want[1] += 33)
        assert_int_equal(dp_spool_search(home.spool, SIZE_MAX, is_sequence, want), SB_OK);
    want[1] = last + 1;
    assert_int_equal(dp_spool_search(home.spool, SIZE_MAX, is_sequence, want), SB_ENOENT);
    want[1] = 1;
    assert_int_equal(dp_spool_search(home.spool, 100000, is_sequence, want), SB_EAGAIN);
    want[1] = last; /* the newest are looked at first */
    assert_int_equal(dp_spool_search(home.spool, 2 * SPOOL_SEGMENT, is_sequence, want), SB_OK);
    assert_true(batch_take(home.spool, 1 << 20, 2000, &sent));
    batch_ack(home.spool, &sent);
    want[1] = sent.last;
    assert_int_equal(dp_spool_search(home.spool, SIZE_MAX, is_sequence, want), SB_ENOENT);
    want[1] = sent.last + 1;
    assert_int_equal(dp_spool_search(home.spool, SIZE_MAX, is_sequence, want), SB_OK);
}

/* --- room --------------------------------------------------------------------- */

static struct sb_slice largest(void)
{
    static char bytes[MSG_RECORD_MAX];

    return sb_slice_make(bytes, sizeof(bytes));
}

/* However many were admitted, each gets its room for the largest record. */
static void keeps_every_promise_at_the_limit(void **state)
{
    unsigned admitted = 0, more = 0;

    (void)state;
    home.limit = 4 << 20;
    home.spool = home_open(&home, "host-0");
    while (dp_spool_reserve(home.spool))
        admitted++;
    assert_in_range(admitted, 12, 32);
    assert_int_equal(stats_of(home.spool).full, 1);
    assert_false(stats_of(home.spool).failing);
    dp_spool_unreserve(home.spool);
    assert_true(dp_spool_reserve(home.spool));
    assert_false(dp_spool_reserve(home.spool));
    for (unsigned i = 0; i < admitted; i++) {
        (void)dp_spool_append(home.spool, largest());
        if (i % 3 == 0) /* the courier may be slow */
            dp_spool_tend(home.spool);
        more += dp_spool_reserve(home.spool);
    }
    while (more > 0) {
        (void)dp_spool_append(home.spool, largest());
        more--;
    }
    assert_true(stats_of(home.spool).bytes <= home.limit);
    assert_int_equal(dp_spool_sync(home.spool), SB_OK); /* no memory was needed */
    assert_false(dp_spool_reserve(home.spool));
}

/* Records of any size use up the room in any order; promises hold. */
static void keeps_every_promise_with_records_of_any_size(void **state)
{
    uint64_t seed = 11;

    (void)state;
    home.limit = 4 << 20;
    for (int round = 0; round < 30; round++) {
        struct dp_spool *spool = home.spool = home_open(&home, "host-0");
        unsigned open = 0;

        for (int i = 0; i < 600; i++) {
            if (random_below(&seed, 2) == 0) {
                open += dp_spool_reserve(spool);
            } else if (open > 0) {
                size_t n =
                    random_below(&seed, 3) == 0 ? MSG_RECORD_MAX : 1 + random_below(&seed, 40000);

                (void)dp_spool_append(spool, sb_slice_make(largest().p, n));
                open--;
            }
            if (random_below(&seed, 8) == 0)
                dp_spool_tend(spool);
            assert_true(stats_of(spool).bytes <= home.limit);
        }
        for (; open > 0; open--)
            (void)dp_spool_append(spool, largest());
        assert_true(stats_of(spool).bytes <= home.limit);
        assert_int_equal(dp_spool_sync(spool), SB_OK);
        assert_int_equal(
            dp_spool_ack(spool, SB_SLICE_LIT("host-0"), dp_spool_boot(spool), dp_spool_last(spool)),
            SB_OK);
        dp_spool_close(&home.spool);
    }
}

static void room_comes_back_with_acknowledgements(void **state)
{
    (void)state;
    home.limit = 4 << 20;
    home.spool = home_open(&home, "host-0");
    while (record_put(home.spool))
        ;
    assert_false(dp_spool_reserve(home.spool));
    (void)boot_take_all(home.spool, dp_spool_boot(home.spool), 1);
    assert_true(record_put(home.spool));
}

static bool disk_is_full, disk_is_broken;

static int maybe_allocate(int fd, size_t bytes)
{
    return disk_is_full ? ENOSPC : dp_disk_system.allocate(fd, bytes);
}

static int maybe_sync(int fd)
{
    return disk_is_broken ? EIO : dp_disk_system.sync(fd);
}

static const struct dp_disk bad_disk = {.allocate = maybe_allocate, .sync = maybe_sync};

static void a_full_disk_is_a_full_spool(void **state)
{
    unsigned admitted = 0;

    (void)state;
    home.disk = &bad_disk;
    disk_is_full = disk_is_broken = false;
    home.spool = home_open(&home, "host-0");
    record_put_many(home.spool, 10);
    disk_is_full = true;
    for (int i = 0; i < 300; i++) { /* uses up what was made ahead */
        if (!dp_spool_reserve(home.spool))
            break;
        (void)dp_spool_append(home.spool, largest());
        admitted++;
        dp_spool_tend(home.spool);
    }
    assert_in_range(admitted, 1, 10);
    assert_true(stats_of(home.spool).failing);
    assert_false(dp_spool_reserve(home.spool));
    disk_is_full = false;
    dp_spool_tend(home.spool);
    assert_false(stats_of(home.spool).failing);
    assert_true(record_put(home.spool));
}

static void a_worker_starts_on_a_full_disk_and_recovers(void **state)
{
    (void)state;
    home.disk = &bad_disk;
    disk_is_full = true;
    disk_is_broken = false;
    home.spool = home_open(&home, "host-0");
    assert_true(stats_of(home.spool).failing);
    assert_false(dp_spool_reserve(home.spool));
    disk_is_full = false;
    dp_spool_tend(home.spool);
    assert_false(stats_of(home.spool).failing);
    assert_true(record_put(home.spool));
}

/* Requests were admitted, then the disk filled up from one moment to the next:
 * their records wait in memory, and are written when it has room again. */
static void promises_outlive_a_disk_that_fills_up(void **state)
{
    enum { ADMITTED = 20 };
    struct sent sent;
    uint64_t boot;

    (void)state;
    home.disk = &bad_disk;
    disk_is_full = disk_is_broken = false;
    home.spool = home_open(&home, "host-0");
    boot = dp_spool_boot(home.spool);
    for (int i = 0; i < ADMITTED; i++)
        assert_true(dp_spool_reserve(home.spool));
    disk_is_full = true;
    for (uint64_t i = 1; i <= ADMITTED; i++)
        (void)dp_spool_append(home.spool, i < 15 ? largest() : record_make(boot, i));
    assert_int_equal(dp_spool_sync(home.spool), SB_EIO);
    dp_spool_tend(home.spool);
    assert_true(stats_of(home.spool).failing);
    assert_false(dp_spool_reserve(home.spool));
    assert_false(dp_spool_is_synced(home.spool, ADMITTED));
    disk_is_full = false;
    dp_spool_tend(home.spool);
    assert_true(record_put(home.spool)); /* which leaves the memory behind */
    dp_spool_tend(home.spool);
    assert_int_equal(dp_spool_sync(home.spool), SB_OK);
    assert_true(dp_spool_is_synced(home.spool, ADMITTED + 1));
    assert_false(stats_of(home.spool).failing);
    dp_spool_close(&home.spool);
    home.spool = home_open(&home, "host-0");
    assert_int_equal(dp_spool_ack(home.spool, SB_SLICE_LIT("host-0"), boot, 14), SB_OK);
    assert_true(batch_take(home.spool, 1 << 20, 100, &sent));
    assert_int_equal(sent.batch.first, 15);
    assert_int_equal(sent.last, ADMITTED + 1);
}

static void what_waits_in_memory_is_written_at_the_end(void **state)
{
    struct sent sent;
    uint64_t boot;

    (void)state;
    home.disk = &bad_disk;
    disk_is_full = true;
    disk_is_broken = false;
    home.spool = home_open(&home, "host-0");
    boot = dp_spool_boot(home.spool);
    disk_is_full = false;
    dp_spool_tend(home.spool);
    for (int i = 0; i < 5; i++)
        assert_true(dp_spool_reserve(home.spool));
    disk_is_full = true;
    (void)dp_spool_append(home.spool, largest());
    for (uint64_t i = 2; i <= 5; i++)
        (void)dp_spool_append(home.spool, record_make(boot, i));
    disk_is_full = false;
    dp_spool_close(&home.spool);
    home.spool = home_open(&home, "host-0");
    assert_int_equal(dp_spool_ack(home.spool, SB_SLICE_LIT("host-0"), boot, 1), SB_OK);
    assert_true(batch_take(home.spool, 1 << 20, 100, &sent));
    assert_int_equal(sent.last, 5);
}

static void a_disk_that_does_not_sync_is_trusted_when_its_records_are_stored(void **state)
{
    (void)state;
    home.disk = &bad_disk;
    disk_is_full = disk_is_broken = false;
    home.spool = home_open(&home, "host-0");
    record_put_many(home.spool, 300);
    disk_is_broken = true;
    assert_int_equal(dp_spool_sync(home.spool), SB_EIO);
    assert_true(stats_of(home.spool).failing);
    disk_is_broken = false;
    dp_spool_tend(home.spool);
    assert_int_equal(dp_spool_sync(home.spool), SB_EIO); /* says the kernel, but who knows */
    assert_true(stats_of(home.spool).failing);
    (void)boot_take_all(home.spool, dp_spool_boot(home.spool), 1);
    assert_true(dp_spool_is_synced(home.spool, 300));
    dp_spool_tend(home.spool);
    record_put_many(home.spool, 300); /* past the segment that has failed */
    (void)boot_take_all(home.spool, dp_spool_boot(home.spool), 301);
    dp_spool_tend(home.spool);
    assert_false(stats_of(home.spool).failing);
    assert_int_equal(dp_spool_sync(home.spool), SB_OK);
}

/* --- more than one life ------------------------------------------------------- */

static void a_closed_spool_is_gone_when_all_is_stored(void **state)
{
    char path[128];
    struct stat st;

    (void)state;
    home.spool = home_open(&home, "host-0");
    (void)snprintf(path, sizeof(path), "%s/host-0/%016llx@host-0", home.dir.path,
                   (unsigned long long)dp_spool_boot(home.spool));
    assert_int_equal(stat(path, &st), 0);
    record_put_many(home.spool, 10);
    (void)boot_take_all(home.spool, dp_spool_boot(home.spool), 1);
    dp_spool_close(&home.spool);
    assert_int_not_equal(stat(path, &st), 0);
}

static void earlier_boots_are_sent_first_and_where_they_stopped(void **state)
{
    uint64_t boots[3];
    struct sent sent;

    (void)state;
    for (int i = 0; i < 3; i++) {
        home.spool = home_open(&home, "host-0");
        boots[i] = dp_spool_boot(home.spool);
        record_put_many(home.spool, 200);
        if (i == 0) {
            assert_true(batch_take(home.spool, 1 << 20, 150, &sent));
            batch_ack(home.spool, &sent);
        }
        if (i < 2)
            dp_spool_close(&home.spool);
    }
    assert_true(boots[0] < boots[1] && boots[1] < boots[2]);
    assert_int_equal(stats_of(home.spool).adopted, 2);
    assert_int_equal(boot_take_all(home.spool, boots[0], sent.last + 1), 200);
    assert_int_equal(boot_take_all(home.spool, boots[1], 1), 200);
    assert_int_equal(boot_take_all(home.spool, boots[2], 1), 200);
    assert_int_equal(stats_of(home.spool).adopted, 0);
    assert_true(dp_spool_is_drained(home.spool));
}

static void two_processes_cannot_hold_one_home(void **state)
{
    struct dp_spool *spool = NULL;
    int status;
    pid_t pid;

    (void)state;
    home.spool = home_open(&home, "host-0");
    assert_int_equal(home_try(&home, "host-0", &spool), SB_EAGAIN);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(home_try(&home, "host-0", &spool) == SB_EAGAIN ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_null(spool);
}

static void a_name_that_leads_elsewhere_is_refused(void **state)
{
    struct dp_spool *spool = NULL;

    (void)state;
    assert_int_equal(home_try(&home, "../x", &spool), SB_EINVAL);
    assert_int_equal(home_try(&home, "..", &spool), SB_EINVAL);
    assert_int_equal(home_try(&home, "", &spool), SB_EINVAL);
    assert_null(spool);
}

static void takes_over_what_workers_left_that_are_gone(void **state)
{
    struct dp_spool *living, *gone;
    uint64_t boot_gone, boot_living;
    struct sent sent;

    (void)state;
    gone = home_open(&home, "host-1");
    boot_gone = dp_spool_boot(gone);
    record_put_many(gone, 400);
    dp_spool_close(&gone);
    living = home_open(&home, "host-2");
    boot_living = dp_spool_boot(living);
    record_put_many(living, 5);
    home.spool = home_open(&home, "host-0");
    record_put_many(home.spool, 5);
    assert_int_equal(dp_spool_adopt(home.spool), 1);
    assert_int_equal(dp_spool_adopt(home.spool), 0);
    assert_int_equal(stats_of(home.spool).adopted, 1);
    assert_true(batch_take(home.spool, 1 << 20, 10, &sent));
    assert_string_equal(sent.worker, "host-1"); /* whose they are, they stay */
    assert_int_equal(boot_take_all(home.spool, boot_gone, 1), 400);
    assert_int_equal(boot_take_all(home.spool, dp_spool_boot(home.spool), 1), 5);
    assert_int_equal(boot_take_all(living, boot_living, 1), 5);
    dp_spool_close(&living);
    gone = home_open(&home, "host-1"); /* back again: nothing is left there */
    assert_int_equal(stats_of(gone).adopted, 0);
    dp_spool_close(&gone);
}

/* --- death -------------------------------------------------------------------- */

enum { KEPT = 40, ACK_EVERY = 50 };

struct report {
    uint64_t boot, sequence, acked;
};

/* Appends as fast as it can, and reports each record once it is appended.
 * Most are acknowledged soon, so that segments are used again. */
static void append_for_ever(int to)
{
    struct dp_spool *spool = home_open(&home, "host-0");
    struct report report = {.boot = dp_spool_boot(spool)};

    for (;;) {
        if (record_put(spool))
            report.sequence = dp_spool_last(spool);
        if (report.sequence % 7 == 0)
            dp_spool_tend(spool);
        if (report.sequence % ACK_EVERY == 0 && report.sequence > KEPT) {
            report.acked = report.sequence - KEPT;
            if (dp_spool_ack(spool, SB_SLICE_LIT("host-0"), report.boot, report.acked) != SB_OK)
                _exit(1);
        }
        if (write(to, &report, sizeof(report)) != (ssize_t)sizeof(report))
            _exit(1);
    }
}

static struct report kill_in_the_middle(uint64_t after)
{
    struct report report = {.sequence = 0};
    int ends[2], status;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(ends[0]);
        append_for_ever(ends[1]);
    }
    (void)close(ends[1]);
    while (report.sequence < after)
        assert_int_equal(read(ends[0], &report, sizeof(report)), sizeof(report));
    assert_int_equal(kill(pid, SIGKILL), 0);
    while (read(ends[0], &report, sizeof(report)) == (ssize_t)sizeof(report))
        ;
    (void)close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return report;
}

static void a_killed_worker_loses_no_record(void **state)
{
    uint64_t seed = 5;

    (void)state;
    for (int round = 0; round < 15; round++) {
        struct report last = kill_in_the_middle(1 + random_below(&seed, 1200));
        struct sent sent;
        uint64_t found;

        home.spool = home_open(&home, "host-0");
        assert_true(batch_take(home.spool, 1 << 20, 1, &sent));
        assert_int_equal(sent.batch.boot, last.boot);
        /* It may have got on a little after its last report. */
        assert_in_range(sent.batch.first, last.acked + 1, last.acked + 1 + ACK_EVERY);
        found = boot_take_all(home.spool, last.boot, sent.batch.first);
        assert_in_range(found, last.sequence, last.sequence + 1);
        dp_spool_close(&home.spool);
    }
}

/* What a power failure leaves: all that was synced, and of the rest any
 * pages. */
static void lose_pages(const char *path, size_t from, uint64_t *seed)
{
    static const char zeros[4096];
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat st;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    from = (from + sizeof(zeros) - 1) / sizeof(zeros) * sizeof(zeros);
    for (size_t at = from; at + sizeof(zeros) <= (size_t)st.st_size; at += sizeof(zeros))
        if (random_below(seed, 4) == 0)
            assert_int_equal(pwrite(fd, zeros, sizeof(zeros), (off_t)at), sizeof(zeros));
    assert_int_equal(close(fd), 0);
}

static void power_loss_takes_nothing_that_was_synced(void **state)
{
    enum { SYNCED = 30, MORE = 30 };
    uint64_t seed = 21;

    (void)state;
    for (int round = 0; round < 40; round++) {
        size_t synced_bytes = DP_SEGMENT_HEAD;
        uint64_t boot, next = 1;
        struct sent sent;
        char path[128];

        home.spool = home_open(&home, "host-0");
        boot = dp_spool_boot(home.spool);
        for (uint64_t i = 1; i <= SYNCED + MORE; i++) {
            size_t n = record_size(boot, i);

            if (n == MSG_RECORD_MAX) { /* one segment is enough here */
                boot = 0;
                break;
            }
            synced_bytes += i <= SYNCED ? dp_frame_size(n) : 0;
        }
        if (boot != 0) {
            record_put_many(home.spool, SYNCED);
            assert_int_equal(dp_spool_sync(home.spool), SB_OK);
            record_put_many(home.spool, MORE);
        }
        dp_spool_close(&home.spool);
        if (boot == 0)
            continue;
        (void)snprintf(path, sizeof(path), "%s/host-0/%016llx@host-0/%016x.seg", home.dir.path,
                       (unsigned long long)boot, 1);
        lose_pages(path, synced_bytes, &seed);
        home.spool = home_open(&home, "host-0");
        while (batch_take(home.spool, 1 << 20, 2000, &sent)) {
            assert_int_equal(sent.batch.boot, boot);
            assert_true(sent.batch.first == next || next > SYNCED);
            assert_true(sent.batch.first >= next);
            batch_ack(home.spool, &sent);
            next = sent.last + 1;
        }
        assert_true(next > SYNCED);
        dp_spool_close(&home.spool);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void quiet(void *ctx, struct sb_slice line)
{
    (void)ctx;
    (void)line;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(gives_batches_in_order_until_they_are_acknowledged),
        TEST(frees_segments_as_they_are_acknowledged),
        TEST(a_part_of_a_batch_may_be_acknowledged),
        TEST(what_was_never_written_cannot_be_acknowledged),
        TEST(says_what_is_on_stable_storage),
        TEST(finds_what_is_not_acknowledged),
        TEST(keeps_every_promise_at_the_limit),
        TEST(keeps_every_promise_with_records_of_any_size),
        TEST(room_comes_back_with_acknowledgements),
        TEST(a_full_disk_is_a_full_spool),
        TEST(a_worker_starts_on_a_full_disk_and_recovers),
        TEST(promises_outlive_a_disk_that_fills_up),
        TEST(what_waits_in_memory_is_written_at_the_end),
        TEST(a_disk_that_does_not_sync_is_trusted_when_its_records_are_stored),
        TEST(a_closed_spool_is_gone_when_all_is_stored),
        TEST(earlier_boots_are_sent_first_and_where_they_stopped),
        TEST(two_processes_cannot_hold_one_home),
        TEST(a_name_that_leads_elsewhere_is_refused),
        TEST(takes_over_what_workers_left_that_are_gone),
        TEST(a_killed_worker_loses_no_record),
        TEST(power_loss_takes_nothing_that_was_synced),
    };

    sb_log_set_sink(quiet, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
