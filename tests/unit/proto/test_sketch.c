/* tests/unit/proto/test_sketch.c */
#include "proto/sketch.h"

#include <math.h>

#include "proto/wire.h"
#include "tests/lib/message.h"

static struct sb_buf out;
static struct sb_sketch sketch;

static int set_up(void **state)
{
    (void)state;
    sb_buf_init(&out, 1 << 16);
    sb_sketch_init(&sketch);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sb_mem_fail_nth(0);
    sb_buf_release(&out);
    sb_sketch_release(&sketch);
    return 0;
}

static int recode_sketch(struct sb_slice bytes, struct sb_buf *again)
{
    struct sb_sketch got;
    int rc;

    sb_sketch_init(&got);
    rc = msg_sketch_decode(bytes, &got);
    if (rc == SB_OK)
        assert_int_equal(msg_sketch_encode(&got, again), SB_OK);
    sb_sketch_release(&got);
    return rc;
}

static void a_sketch_keeps_its_bytes(void **state)
{
    (void)state;
    assert_int_equal(sb_sketch_add(&sketch, 0, 2), SB_OK);
    assert_int_equal(sb_sketch_add(&sketch, 250, 300), SB_OK);
    assert_int_equal(sb_sketch_add(&sketch, 260.5, 1), SB_OK);
    assert_int_equal(msg_sketch_encode(&sketch, &out), SB_OK);
    check_message("sketch", sb_buf_slice(&out), recode_sketch);
}

static void its_quantiles_survive_the_way(void **state)
{
    struct sb_sketch got;

    (void)state;
    for (unsigned i = 1; i <= 5000; i++)
        assert_int_equal(sb_sketch_add(&sketch, i * 0.37, 1 + i % 3), SB_OK);
    assert_int_equal(msg_sketch_encode(&sketch, &out), SB_OK);
    sb_sketch_init(&got);
    assert_int_equal(msg_sketch_decode(sb_buf_slice(&out), &got), SB_OK);
    assert_true(got.count == sketch.count && got.sum == sketch.sum);
    for (unsigned q = 0; q <= 100; q++)
        assert_true(sb_sketch_quantile(&got, q / 100.0) == sb_sketch_quantile(&sketch, q / 100.0));
    sb_sketch_release(&got);
}

static void an_empty_sketch_replaces_what_was_there(void **state)
{
    struct sb_sketch empty;

    (void)state;
    sb_sketch_init(&empty);
    assert_int_equal(msg_sketch_encode(&empty, &out), SB_OK);
    assert_int_equal(sb_sketch_add(&sketch, 5, 5), SB_OK);
    assert_int_equal(msg_sketch_decode(sb_buf_slice(&out), &sketch), SB_OK);
    assert_int_equal(sketch.count, 0);
    assert_int_equal(msg_sketch_decode(SB_SLICE_LIT("\x90"), &sketch), SB_OK);
    assert_int_equal(sketch.count, 0);
}

/* Counts that need five bytes each, in every bucket there can be. */
static void the_greatest_sketch_fits_its_ceiling(void **state)
{
    double value = 1.01; /* in the middle of a bucket */

    (void)state;
    for (unsigned i = 0; i < SB_SKETCH_BUCKETS; i++) {
        assert_int_equal(sb_sketch_add(&sketch, value, UINT32_MAX / SB_SKETCH_BUCKETS), SB_OK);
        value *= (1 + SB_SKETCH_ACCURACY) / (1 - SB_SKETCH_ACCURACY);
    }
    assert_int_equal(sketch.n, SB_SKETCH_BUCKETS);
    assert_int_equal(msg_sketch_encode(&sketch, &out), SB_OK);
    assert_true(sb_buf_len(&out) <= MSG_SKETCH_MAX);
    assert_int_equal(msg_sketch_decode(sb_buf_slice(&out), &sketch), SB_OK);
}

/* A sketch of n buckets with one value each, and the given extremes. */
static struct sb_slice made(uint32_t n, double min, double max)
{
    struct wire_writer w;

    sb_buf_reset(&out);
    w = wire_writer_init(&out);
    wire_write_array(&w, 6);
    wire_write_i64(&w, 0);
    wire_write_u64(&w, 0);
    wire_write_double(&w, 1);
    wire_write_double(&w, min);
    wire_write_double(&w, max);
    wire_write_array(&w, n);
    for (uint32_t i = 0; i < n; i++)
        wire_write_u64(&w, 1);
    assert_int_equal(wire_writer_end(&w), SB_OK);
    return sb_buf_slice(&out);
}

static void what_cannot_be_a_sketch_is_refused_and_changes_nothing(void **state)
{
    static char big[MSG_SKETCH_MAX + 1];

    (void)state;
    assert_int_equal(sb_sketch_add(&sketch, 5, 7), SB_OK);
    assert_int_equal(msg_sketch_decode(made(SB_SKETCH_BUCKETS + 1, 1, 1), &sketch), SB_ETOOBIG);
    assert_int_equal(msg_sketch_decode(made(1, 50, 1), &sketch), SB_EPARSE);
    assert_int_equal(msg_sketch_decode(made(1, 1, (double)NAN), &sketch), SB_EPARSE);
    assert_int_equal(msg_sketch_decode(sb_slice_make(big, sizeof(big)), &sketch), SB_ETOOBIG);
    assert_int_equal(msg_sketch_decode(SB_SLICE_LIT("\x91\xa1x"), &sketch), SB_EPARSE);
    assert_int_equal(sketch.count, 7);
    assert_int_equal(msg_sketch_decode(made(1, 1, 1), &sketch), SB_OK);
    assert_int_equal(sketch.count, 1);
}

static void without_memory_it_fails_and_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(sb_sketch_add(&sketch, 5, 7), SB_OK);
    sb_mem_fail_nth(1);
    assert_int_equal(msg_sketch_encode(&sketch, &out), SB_ENOMEM);
    assert_int_equal(sb_buf_len(&out), 0);
    (void)made(1, 1, 1);
    sb_sketch_release(&sketch);
    sb_sketch_init(&sketch);
    sb_mem_fail_nth(1);
    assert_int_equal(msg_sketch_decode(sb_buf_slice(&out), &sketch), SB_ENOMEM);
    assert_int_equal(sketch.count, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_sketch_keeps_its_bytes),
        TEST(its_quantiles_survive_the_way),
        TEST(an_empty_sketch_replaces_what_was_there),
        TEST(the_greatest_sketch_fits_its_ceiling),
        TEST(what_cannot_be_a_sketch_is_refused_and_changes_nothing),
        TEST(without_memory_it_fails_and_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
