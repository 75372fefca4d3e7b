/* tests/unit/common/test_zstd.c */
#include "common/zstd.h"

#include "common/buf.h"
#include "common/err.h"
#include "tests/lib/random.h"
#include "tests/lib/test.h"

enum { SIZE = 1 << 20 };

static struct sb_buf plain, packed, unpacked;

static int keep(void *ctx, struct sb_slice piece)
{
    return sb_buf_append(ctx, piece);
}

static int refuse(void *ctx, struct sb_slice piece)
{
    (void)ctx;
    (void)piece;
    return SB_ENOSPC;
}

static int set_up(void **state)
{
    uint64_t seed = 7;

    (void)state;
    sb_buf_init(&plain, 4 * SIZE);
    sb_buf_init(&packed, 4 * SIZE);
    sb_buf_init(&unpacked, 4 * SIZE);
    while (sb_buf_len(&plain) < SIZE)
        assert_int_equal(sb_buf_printf(&plain, "{\"n\":%d}\n", (int)random_below(&seed, 100000)),
                         SB_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sb_buf_release(&plain);
    sb_buf_release(&packed);
    sb_buf_release(&unpacked);
    return 0;
}

static void pack(void)
{
    struct sb_zstd_writer *writer = sb_zstd_writer_new(keep, &packed);
    struct sb_slice left = sb_buf_slice(&plain);
    uint64_t seed = 9;

    while (left.n > 0) {
        size_t n = random_below(&seed, 5000);

        n = n < left.n ? n : left.n;
        assert_int_equal(sb_zstd_write(writer, sb_slice_make(left.p, n)), SB_OK);
        left = sb_slice_from(left, n);
    }
    assert_int_equal(sb_zstd_end(writer), SB_OK);
    sb_zstd_writer_destroy(&writer);
    assert_null(writer);
}

/* In pieces of every size; what the last call gave, and whether all of it was there. */
static int unpack(struct sb_slice bytes, bool *ret_whole)
{
    struct sb_zstd_reader *reader = sb_zstd_reader_new(keep, &unpacked);
    uint64_t seed = 11;
    int rc = SB_OK;

    while (rc == SB_OK && bytes.n > 0) {
        size_t n = 1 + random_below(&seed, 3000);

        n = n < bytes.n ? n : bytes.n;
        rc = sb_zstd_read(reader, sb_slice_make(bytes.p, n));
        bytes = sb_slice_from(bytes, n);
    }
    *ret_whole = sb_zstd_is_whole(reader);
    sb_zstd_reader_destroy(&reader);
    return rc;
}

static void what_was_written_is_read(void **state)
{
    bool is_whole;

    (void)state;
    pack();
    assert_true(sb_zstd_is_one(sb_buf_slice(&packed)));
    assert_true(sb_buf_len(&packed) < sb_buf_len(&plain) / 2);
    assert_int_equal(unpack(sb_buf_slice(&packed), &is_whole), SB_OK);
    assert_true(is_whole);
    assert_true(sb_slice_eq(sb_buf_slice(&plain), sb_buf_slice(&unpacked)));
}

static void frames_may_follow_each_other(void **state)
{
    bool is_whole;

    (void)state;
    pack();
    pack();
    assert_int_equal(unpack(sb_buf_slice(&packed), &is_whole), SB_OK);
    assert_true(is_whole);
    assert_int_equal(sb_buf_len(&unpacked), 2 * sb_buf_len(&plain));
}

static void what_was_cut_is_not_whole(void **state)
{
    bool is_whole = true;

    (void)state;
    pack();
    assert_int_equal(
        unpack(sb_slice_make(sb_buf_slice(&packed).p, sb_buf_len(&packed) - 1), &is_whole), SB_OK);
    assert_false(is_whole);
}

static void damage_is_refused(void **state)
{
    bool is_whole;

    (void)state;
    assert_false(sb_zstd_is_one(SB_SLICE_LIT("{}")));
    assert_int_equal(unpack(SB_SLICE_LIT("{\"format\":1}"), &is_whole), SB_EPARSE);
    pack();
    packed.data[packed.tail - 1] ^= 1; /* of the checksum */
    assert_int_equal(unpack(sb_buf_slice(&packed), &is_whole), SB_EPARSE);
}

static void the_sink_ends_it(void **state)
{
    struct sb_zstd_reader *reader = sb_zstd_reader_new(refuse, NULL);
    struct sb_zstd_writer *writer = sb_zstd_writer_new(refuse, NULL);

    (void)state;
    pack();
    assert_int_equal(sb_zstd_read(reader, sb_buf_slice(&packed)), SB_ENOSPC);
    (void)(sb_zstd_write(writer, sb_buf_slice(&plain)) == SB_OK);
    assert_int_equal(sb_zstd_end(writer), SB_ENOSPC);
    sb_zstd_reader_destroy(&reader);
    sb_zstd_writer_destroy(&writer);
    sb_zstd_reader_destroy(&reader); /* nothing is fine */
    sb_zstd_writer_destroy(&writer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_written_is_read), TEST(frames_may_follow_each_other),
        TEST(what_was_cut_is_not_whole), TEST(damage_is_refused), TEST(the_sink_ends_it)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
