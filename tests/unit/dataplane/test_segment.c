/* tests/unit/dataplane/test_segment.c */
#include "dataplane/records/segment.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/limits.h"
#include "tests/lib/random.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

enum { SIZE = 256 * 1024, BOOT = 77, NAME_1 = 1 };

static struct tempdir dir;
static int dir_fd;
static char text[MSG_RECORD_MAX];

static int set_up(void **state)
{
    (void)state;
    assert_true(tempdir_make(&dir));
    dir_fd = open(dir.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(dir_fd >= 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(close(dir_fd), 0);
    assert_true(tempdir_remove(&dir));
    return 0;
}

/* The record of a sequence: its bytes and length follow from it. */
static struct sb_slice record_of(uint64_t sequence)
{
    size_t n = 1 + (size_t)(sequence * 7919 % 3000);

    memset(text, (int)('a' + sequence % 26), n);
    return sb_slice_make(text, n);
}

static struct dp_segment *make(void)
{
    struct dp_segment *segment = NULL;

    assert_int_equal(dp_segment_new(dir_fd, BOOT, NAME_1, SIZE, &dp_disk_system, &segment), SB_OK);
    return segment;
}

static struct dp_segment *open_again(uint64_t boot)
{
    struct dp_segment *segment = NULL;

    assert_int_equal(dp_segment_open(dir_fd, "0000000000000001.seg", boot, NAME_1, &segment),
                     SB_OK);
    return segment;
}

/* Puts as many as fit; returns how many. */
static uint64_t fill(struct dp_segment *segment)
{
    uint64_t sequence = 1;

    for (; dp_segment_room(segment) >= dp_frame_size(record_of(sequence).n); sequence++)
        dp_segment_put(segment, sequence, record_of(sequence));
    return sequence - 1;
}

static void check_frame(const struct dp_frame *frame)
{
    assert_true(sb_slice_eq(frame->bytes, record_of(frame->sequence)));
}

/* Reads to the end; every frame must be as it was written. */
static uint64_t count(struct dp_segment *segment)
{
    struct dp_segment_cursor cursor = dp_segment_begin();
    uint64_t n = 0, before = 0;
    struct dp_frame frame;

    while (dp_segment_next(segment, &cursor, &frame)) {
        check_frame(&frame);
        assert_true(frame.sequence > before);
        before = frame.sequence;
        n++;
    }
    return n;
}

/* Changes bytes of the closed file. */
static void write_at(size_t at, const void *bytes, size_t n)
{
    int fd = openat(dir_fd, "0000000000000001.seg", O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, n, (off_t)at), (ssize_t)n);
    assert_int_equal(close(fd), 0);
}

static void gives_records_as_they_were_put(void **state)
{
    struct dp_segment *segment = make();
    uint64_t n = fill(segment);

    (void)state;
    assert_true(n > 100);
    assert_int_equal(count(segment), n);
    dp_segment_destroy(&segment);
    segment = open_again(BOOT);
    assert_int_equal(count(segment), n);
    assert_int_equal(count(segment), n); /* the end was noted, and is right */
    assert_false(segment->is_damaged);
    dp_segment_destroy(&segment);
}

static void a_reader_follows_the_writer(void **state)
{
    struct dp_segment *segment = make();
    struct dp_segment_cursor cursor = dp_segment_begin();
    struct dp_frame frame;

    (void)state;
    for (uint64_t i = 1; i <= 50; i++) {
        assert_false(dp_segment_next(segment, &cursor, &frame));
        dp_segment_put(segment, i, record_of(i));
        assert_true(dp_segment_next(segment, &cursor, &frame));
        assert_int_equal(frame.sequence, i);
        check_frame(&frame);
    }
    dp_segment_destroy(&segment);
}

static void a_segment_is_made_at_its_full_size(void **state)
{
    struct dp_segment *segment = make();
    struct stat st;

    (void)state;
    assert_int_equal(fstatat(dir_fd, "0000000000000001.seg", &st, 0), 0);
    assert_int_equal(st.st_size, SIZE);
    assert_true(st.st_blocks * 512 >= SIZE);
    assert_int_equal(st.st_mode & 0777, 0600);
    dp_segment_remove(&segment, dir_fd);
    assert_int_not_equal(fstatat(dir_fd, "0000000000000001.seg", &st, 0), 0);
}

/* Wherever the tail was torn: what is whole before it is given. */
static void a_torn_tail_ends_at_the_last_whole_record(void **state)
{
    static char zeros[8192];
    struct dp_segment *segment = make();
    size_t end;

    (void)state;
    for (uint64_t i = 1; i <= 40; i++)
        dp_segment_put(segment, i, record_of(i));
    end = atomic_load(&segment->written) - dp_frame_size(record_of(40).n);
    dp_segment_destroy(&segment);
    for (size_t keep = dp_frame_size(record_of(40).n); keep-- > 0;) {
        if (keep > DP_FRAME_HEAD + 8 && keep % 61 != 0)
            continue; /* all of the head, some of the rest */
        write_at(end + keep, zeros, dp_frame_size(record_of(40).n) - keep);
        segment = open_again(BOOT);
        /* Zeros that pad it are no loss. */
        assert_int_equal(count(segment), keep >= DP_FRAME_HEAD + record_of(40).n ? 40 : 39);
        dp_segment_destroy(&segment);
    }
}

static void reading_goes_on_behind_what_is_damaged(void **state)
{
    struct dp_segment *segment = make();
    uint64_t n = fill(segment), seed = 3;
    struct stat st;
    char *good;
    int fd;

    (void)state;
    dp_segment_destroy(&segment);
    fd = openat(dir_fd, "0000000000000001.seg", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    good = test_malloc((size_t)st.st_size);
    assert_int_equal(pread(fd, good, (size_t)st.st_size, 0), st.st_size);
    assert_int_equal(close(fd), 0);
    for (int round = 0; round < 300; round++) {
        size_t at = DP_SEGMENT_HEAD + random_below(&seed, SIZE - DP_SEGMENT_HEAD - 600);
        size_t length = 1 + random_below(&seed, 600);
        char noise[600];
        uint64_t got;

        for (size_t i = 0; i < length; i++)
            noise[i] = (char)random_next(&seed);
        write_at(at, noise, length);
        segment = open_again(BOOT);
        got = count(segment);
        assert_true(got <= n);
        /* Records have 1500 bytes on average, but some have a few. */
        assert_true(got + 1 + length / DP_FRAME_HEAD >= n);
        dp_segment_destroy(&segment);
        write_at(at, good + at, length);
    }
    test_free(good);
}

static void a_frame_of_another_boot_is_none(void **state)
{
    struct dp_segment *segment = make();
    const uint64_t other = BOOT + 1;

    (void)state;
    dp_segment_put(segment, 1, record_of(1));
    dp_segment_destroy(&segment);
    assert_int_equal(dp_segment_open(dir_fd, "0000000000000001.seg", other, NAME_1, &segment),
                     SB_EVERSION);
    write_at(sizeof(uint64_t), &other, sizeof(other)); /* the head says so, the frames do not */
    segment = open_again(other);
    assert_int_equal(count(segment), 0);
    dp_segment_destroy(&segment);
}

static void a_head_that_never_reached_the_disk_loses_no_record(void **state)
{
    static const char zeros[DP_SEGMENT_HEAD];
    struct dp_segment *segment = make();
    uint64_t n = fill(segment);

    (void)state;
    dp_segment_destroy(&segment);
    write_at(0, zeros, sizeof(zeros));
    segment = open_again(BOOT);
    assert_int_equal(count(segment), n);
    dp_segment_destroy(&segment);
}

static void a_file_of_another_kind_is_left_alone(void **state)
{
    struct dp_segment *segment = make();
    int fd;

    (void)state;
    dp_segment_destroy(&segment);
    write_at(0, "#!/bin/sh\n", 10);
    assert_int_equal(dp_segment_open(dir_fd, "0000000000000001.seg", BOOT, NAME_1, &segment),
                     SB_EVERSION);
    fd = openat(dir_fd, "0000000000000001.seg", O_WRONLY | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, 10), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(dp_segment_open(dir_fd, "0000000000000001.seg", BOOT, NAME_1, &segment),
                     SB_EVERSION);
    assert_int_equal(dp_segment_open(dir_fd, "none.seg", BOOT, NAME_1, &segment), SB_ENOENT);
    assert_null(segment);
}

static void remembers_what_is_acknowledged_or_says_nothing(void **state)
{
    struct dp_segment *segment = make();
    const uint64_t wrong = 9;

    (void)state;
    assert_int_equal(dp_segment_marked(segment), 0);
    dp_segment_mark(segment, 41);
    dp_segment_destroy(&segment);
    segment = open_again(BOOT);
    assert_int_equal(dp_segment_marked(segment), 41);
    dp_segment_destroy(&segment);
    write_at(3 * sizeof(uint64_t), &wrong, sizeof(wrong)); /* half of it */
    segment = open_again(BOOT);
    assert_int_equal(dp_segment_marked(segment), 0);
    dp_segment_destroy(&segment);
}

/* The records of the use before are there, whole, and must not come back. */
static void what_is_left_of_the_use_before_is_no_record(void **state)
{
    struct dp_segment *segment = make();
    uint64_t n = fill(segment);

    (void)state;
    assert_int_equal(dp_segment_sync(segment, &dp_disk_system), SB_OK);
    assert_int_equal(dp_segment_reuse(segment, dir_fd, 2), SB_OK);
    assert_int_equal(count(segment), 0);
    dp_segment_put(segment, n + 1, record_of(n + 1));
    dp_segment_put(segment, n + 2, record_of(n + 2));
    assert_int_equal(count(segment), 2);
    assert_int_equal(dp_segment_sync(segment, &dp_disk_system), SB_OK);
    dp_segment_destroy(&segment);
    segment = open_again(BOOT);
    assert_int_equal(count(segment), 2);
    assert_false(segment->is_damaged);
    dp_segment_destroy(&segment);
}

static void memory_that_was_given_back_can_still_be_read(void **state)
{
    struct dp_segment *segment = make();
    uint64_t n = fill(segment);

    (void)state;
    dp_segment_forget(segment, SIZE / 2);
    assert_int_equal(count(segment), n);
    dp_segment_park(segment);
    assert_int_equal(count(segment), n);
    dp_segment_destroy(&segment);
}

static void one_in_memory_can_be_saved(void **state)
{
    struct dp_segment *segment = NULL;
    uint64_t n;

    (void)state;
    assert_int_equal(dp_segment_new_in_memory(BOOT, SIZE, &segment), SB_OK);
    n = fill(segment);
    assert_int_equal(dp_segment_sync(segment, &dp_disk_system), SB_EIO);
    dp_segment_forget(segment, SIZE); /* must not lose anything */
    dp_segment_park(segment);
    assert_int_equal(dp_segment_save(segment, dir_fd, NAME_1, &dp_disk_system), SB_OK);
    assert_int_equal(dp_segment_sync(segment, &dp_disk_system), SB_OK);
    assert_int_equal(count(segment), n);
    dp_segment_destroy(&segment);
    segment = open_again(BOOT);
    assert_int_equal(count(segment), n);
    dp_segment_destroy(&segment);
}

static int no_space(int fd, size_t bytes)
{
    (void)fd;
    (void)bytes;
    return ENOSPC;
}

static int syncs;
static int fails_once(int fd)
{
    (void)fd;
    return syncs++ == 0 ? EIO : 0;
}

static void a_full_disk_leaves_nothing_behind(void **state)
{
    const struct dp_disk full = {.allocate = no_space, .sync = dp_disk_system.sync};
    struct dp_segment *segment = NULL;
    struct stat st;

    (void)state;
    assert_int_equal(dp_segment_new(dir_fd, BOOT, NAME_1, SIZE, &full, &segment), SB_ENOSPC);
    assert_null(segment);
    assert_int_not_equal(fstatat(dir_fd, "0000000000000001.seg", &st, 0), 0);
}

/* After a failed sync the kernel forgets which pages were dirty, and says that
 * all is well. */
static void a_sync_that_failed_once_has_failed(void **state)
{
    const struct dp_disk bad = {.allocate = dp_disk_system.allocate, .sync = fails_once};
    struct dp_segment *segment = make();

    (void)state;
    syncs = 0;
    dp_segment_put(segment, 1, record_of(1));
    assert_int_equal(dp_segment_sync(segment, &bad), SB_EIO);
    assert_int_equal(dp_segment_sync(segment, &bad), SB_EIO);
    assert_true(segment->is_unsafe);
    dp_segment_destroy(&segment);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(gives_records_as_they_were_put),
        TEST(a_reader_follows_the_writer),
        TEST(a_segment_is_made_at_its_full_size),
        TEST(a_torn_tail_ends_at_the_last_whole_record),
        TEST(reading_goes_on_behind_what_is_damaged),
        TEST(a_frame_of_another_boot_is_none),
        TEST(a_head_that_never_reached_the_disk_loses_no_record),
        TEST(a_file_of_another_kind_is_left_alone),
        TEST(remembers_what_is_acknowledged_or_says_nothing),
        TEST(what_is_left_of_the_use_before_is_no_record),
        TEST(memory_that_was_given_back_can_still_be_read),
        TEST(one_in_memory_can_be_saved),
        TEST(a_full_disk_leaves_nothing_behind),
        TEST(a_sync_that_failed_once_has_failed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
