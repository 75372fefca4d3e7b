/* tests/unit/dataplane/test_snapstore.c */
#include "dataplane/courier/snapstore.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/secret.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

enum { HEAD = 64 }; /* bytes before the contents */

static struct tempdir dir;
static struct sb_buf buf;

static const struct msg_version version = {.epoch = 5, .revision = 10};

static int set_up(void **state)
{
    (void)state;
    assert_true(tempdir_make(&dir));
    sb_buf_init(&buf, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sb_buf_release(&buf);
    assert_true(tempdir_remove(&dir));
    return 0;
}

static void write_text(const char *text)
{
    struct sb_errmsg err;

    assert_int_equal(
        dp_snapstore_write(dir.path, "snapshot", version, NULL, sb_slice_of(text), &err), SB_OK);
}

static int read_back(struct dp_stored *ret_stored, struct sb_slice *ret_bytes)
{
    struct sb_errmsg err;

    sb_buf_clear(&buf);
    return dp_snapstore_read(dir.path, "snapshot", &buf, ret_stored, ret_bytes, &err);
}

static const char *path_of(const char *name)
{
    static char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", dir.path, name);
    return path;
}

static void gives_back_what_was_written(void **state)
{
    struct dp_stored stored = {.confirmed_at = 0};
    uint8_t hash[MSG_HASH_BYTES];
    struct sb_slice bytes;
    struct stat st;

    (void)state;
    assert_int_equal(read_back(&stored, &bytes), SB_ENOENT);
    write_text("the first");
    write_text("the whole configuration");
    assert_int_equal(read_back(&stored, &bytes), SB_OK);
    assert_true(sb_slice_is(bytes, "the whole configuration"));
    assert_int_equal(msg_version_cmp(stored.version, version), 0);
    sb_hash(bytes, hash);
    assert_memory_equal(stored.hash, hash, sizeof(hash));
    assert_int_equal(stat(path_of("snapshot"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600); /* sealed, but nobody's business */
    assert_int_not_equal(stat(path_of("snapshot.new"), &st), 0);
}

static void a_changed_byte_or_a_lost_tail_is_noticed(void **state)
{
    struct dp_stored stored;
    struct sb_slice bytes;
    char byte;
    int fd;

    (void)state;
    write_text("the whole configuration");
    fd = open(path_of("snapshot"), O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    for (off_t at = HEAD - 40; at < HEAD + 23; at++) { /* length, hash, bytes */
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 4;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        assert_int_equal(read_back(&stored, &bytes), SB_EHASH);
        byte ^= 4;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    assert_int_equal(read_back(&stored, &bytes), SB_OK);
    for (off_t n = HEAD + 22; n >= 0; n -= 7) {
        assert_int_equal(ftruncate(fd, n), 0);
        assert_int_equal(read_back(&stored, &bytes), n >= HEAD ? SB_EHASH : SB_EVERSION);
    }
    assert_int_equal(close(fd), 0);
}

static void a_file_of_another_program_is_not_taken(void **state)
{
    struct dp_stored stored;
    struct sb_slice bytes;
    struct sb_errmsg err;
    int fd = open(path_of("snapshot"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    char text[200];

    (void)state;
    memset(text, 'x', sizeof(text));
    assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
    assert_int_equal(close(fd), 0);
    assert_int_equal(read_back(&stored, &bytes), SB_EVERSION);
    sb_buf_clear(&buf);
    buf.limit = 100;
    assert_int_equal(dp_snapstore_read(dir.path, "snapshot", &buf, &stored, &bytes, &err),
                     SB_ETOOBIG);
}

static void knows_when_it_was_confirmed(void **state)
{
    const struct timespec then[2] = {{.tv_sec = 1700000000, .tv_nsec = 5000},
                                     {.tv_sec = 1700000000, .tv_nsec = 5000}};
    sb_usec before = sb_clock_wall(&sb_clock_system);
    struct dp_stored stored;
    struct sb_slice bytes;

    (void)state;
    assert_int_equal(dp_snapstore_confirm(dir.path, "snapshot"), SB_ENOENT);
    write_text("x");
    assert_int_equal(utimensat(AT_FDCWD, path_of("snapshot"), then, 0), 0);
    assert_int_equal(read_back(&stored, &bytes), SB_OK);
    assert_int_equal(stored.confirmed_at, 1700000000000005);
    assert_int_equal(dp_snapstore_confirm(dir.path, "snapshot"), SB_OK);
    assert_int_equal(read_back(&stored, &bytes), SB_OK);
    /* The kernel stamps files by a clock of its own, which may be a tick late. */
    assert_true(stored.confirmed_at + 1000000 > before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(gives_back_what_was_written),
        TEST(a_changed_byte_or_a_lost_tail_is_noticed),
        TEST(a_file_of_another_program_is_not_taken),
        TEST(knows_when_it_was_confirmed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
