/* tests/unit/proto/test_wire.c */
#include "proto/wire.h"

#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "tests/lib/test.h"

#define BYTES(...)                                                                                 \
    sb_slice_make((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static struct sb_buf out;

static int set_up(void **state)
{
    (void)state;
    sb_buf_init(&out, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sb_mem_fail_nth(0);
    sb_buf_release(&out);
    return 0;
}

static void numbers_of_every_width_come_back(void **state)
{
    struct wire_writer w = wire_writer_init(&out);
    struct wire_reader r;

    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t v = UINT64_C(1) << bit;

        wire_write_u64(&w, v - 1);
        wire_write_u64(&w, v);
        wire_write_i64(&w, (int64_t)(v - 1));
        wire_write_i64(&w, -(int64_t)(v - 1));
        wire_write_i64(&w, -(int64_t)(v - 1) - 1);
    }
    wire_write_u64(&w, UINT64_MAX);
    assert_int_equal(wire_writer_end(&w), SB_OK);
    r = wire_reader_init(sb_buf_slice(&out), NULL);
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t v = UINT64_C(1) << bit;

        assert_int_equal(wire_read_u64(&r, UINT64_MAX), v - 1);
        assert_int_equal(wire_read_u64(&r, UINT64_MAX), v);
        assert_true(wire_read_i64(&r, INT64_MIN, INT64_MAX) == (int64_t)(v - 1));
        assert_true(wire_read_i64(&r, INT64_MIN, INT64_MAX) == -(int64_t)(v - 1));
        assert_true(wire_read_i64(&r, INT64_MIN, INT64_MAX) == -(int64_t)(v - 1) - 1);
    }
    assert_true(wire_read_u64(&r, UINT64_MAX) == UINT64_MAX);
    assert_int_equal(wire_reader_end(&r), SB_OK);
}

static void numbers_are_written_in_their_shortest_form(void **state)
{
    struct wire_writer w = wire_writer_init(&out);

    (void)state;
    wire_write_u64(&w, 127);
    wire_write_u64(&w, 128);
    wire_write_i64(&w, 256);
    wire_write_i64(&w, -32);
    wire_write_i64(&w, -33);
    assert_int_equal(wire_writer_end(&w), SB_OK);
    assert_true(
        sb_slice_eq(sb_buf_slice(&out), BYTES(0x7f, 0xcc, 0x80, 0xcd, 1, 0, 0xe0, 0xd0, 0xdf)));
}

static void a_number_outside_its_range_is_malformed(void **state)
{
    struct wire_reader r;

    (void)state;
    r = wire_reader_init(BYTES(0xcd, 1, 0), NULL);
    assert_int_equal(wire_read_u64(&r, 255), 0);
    assert_int_equal(wire_reader_end(&r), SB_EPARSE);
    r = wire_reader_init(BYTES(0xff), NULL); /* -1 */
    assert_int_equal(wire_read_u64(&r, UINT64_MAX), 0);
    assert_int_equal(wire_reader_end(&r), SB_EPARSE);
    r = wire_reader_init(BYTES(0xcf, 0x80, 0, 0, 0, 0, 0, 0, 0), NULL); /* 2^63 */
    assert_int_equal(wire_read_i64(&r, INT64_MIN, INT64_MAX), 0);
    assert_int_equal(wire_reader_end(&r), SB_EPARSE);
    r = wire_reader_init(BYTES(0xd1, 0xff, 0x7f), NULL); /* -129 */
    assert_int_equal(wire_read_i64(&r, -128, 127), 0);
    assert_int_equal(wire_reader_end(&r), SB_EPARSE);
}

/* Other writers may not choose the shortest form. */
static void any_width_of_a_number_is_read(void **state)
{
    struct wire_reader r = wire_reader_init(BYTES(0xcf, 0, 0, 0, 0, 0, 0, 0, 5, 0xd0, 5, 0xd3, 0, 0,
                                                  0, 0, 0, 0, 0, 5, 0xd2, 0xff, 0xff, 0xff, 0xff),
                                            NULL);

    (void)state;
    assert_int_equal(wire_read_u64(&r, 5), 5);
    assert_int_equal(wire_read_u64(&r, 5), 5);
    assert_int_equal(wire_read_u64(&r, 5), 5);
    assert_int_equal(wire_read_i64(&r, -1, 5), -1);
    assert_int_equal(wire_reader_end(&r), SB_OK);
}

static void strings_borrow_from_the_input(void **state)
{
    char big[70000];
    struct sb_slice text;
    struct wire_writer w = wire_writer_init(&out);
    struct wire_reader r;

    (void)state;
    memset(big, 'x', sizeof(big));
    for (size_t n = 1; n <= sizeof(big); n = n * 5 / 2) {
        wire_write_text(&w, sb_slice_make(big, n), n);
        wire_write_bytes(&w, sb_slice_make(big, n), n);
    }
    wire_write_text(&w, SB_SLICE_NONE, 0);
    wire_write_bytes(&w, SB_SLICE_NONE, 0);
    assert_int_equal(wire_writer_end(&w), SB_OK);
    r = wire_reader_init(sb_buf_slice(&out), NULL);
    for (size_t n = 1; n <= sizeof(big); n = n * 5 / 2) {
        text = wire_read_text(&r, n);
        assert_int_equal(text.n, n);
        assert_in_range(text.p - out.data, 0, sb_buf_len(&out));
        assert_int_equal(wire_read_bytes(&r, n).n, n);
    }
    assert_int_equal(wire_read_text(&r, 0).n, 0);
    assert_int_equal(wire_read_bytes(&r, 0).n, 0);
    assert_int_equal(wire_reader_end(&r), SB_OK);
}

static void strings_over_their_ceiling_are_refused_on_both_sides(void **state)
{
    struct wire_writer w = wire_writer_init(&out);
    struct wire_reader r;

    (void)state;
    wire_write_text(&w, SB_SLICE_LIT("four"), 3);
    assert_int_equal(wire_writer_end(&w), SB_ETOOBIG);
    assert_int_equal(sb_buf_len(&out), 0);
    r = wire_reader_init(BYTES(0xa4, 'f', 'o', 'u', 'r'), NULL);
    assert_int_equal(wire_read_text(&r, 3).n, 0);
    assert_int_equal(wire_reader_end(&r), SB_ETOOBIG);
    r = wire_reader_init(BYTES(0xc6, 0xff, 0xff, 0xff, 0xff, 1), NULL);
    assert_null(wire_read_bytes(&r, UINT32_MAX).p);
    assert_int_equal(wire_reader_end(&r), SB_EPARSE); /* the claim is not believed */
}

static void a_value_of_another_type_is_malformed(void **state)
{
    static const uint8_t tags[] = {0x00, 0x80, 0x90, 0xa0, 0xc0, 0xc1, 0xc2, 0xc4, 0xc7,
                                   0xca, 0xcb, 0xcc, 0xd0, 0xd4, 0xd9, 0xdc, 0xde, 0xff};
    uint8_t value[32] = {0};
    struct sb_slice bytes = sb_slice_make(value, sizeof(value));

    (void)state;
    for (size_t i = 0; i < sizeof(tags); i++) {
        struct wire_reader r;
        uint8_t tag = value[0] = tags[i];

        r = wire_reader_init(bytes, NULL);
        (void)wire_read_u64(&r, UINT64_MAX);
        assert_int_equal(r.error == SB_OK, tag == 0x00 || tag == 0xcc || tag == 0xd0);
        r = wire_reader_init(bytes, NULL);
        (void)wire_read_i64(&r, INT64_MIN, INT64_MAX);
        assert_int_equal(r.error == SB_OK,
                         tag == 0x00 || tag == 0xcc || tag == 0xd0 || tag == 0xff);
        r = wire_reader_init(bytes, NULL);
        (void)wire_read_bool(&r);
        assert_int_equal(r.error == SB_OK, tag == 0xc2);
        r = wire_reader_init(bytes, NULL);
        (void)wire_read_double(&r);
        assert_int_equal(r.error == SB_OK, tag == 0xcb);
        r = wire_reader_init(bytes, NULL);
        (void)wire_read_text(&r, 100);
        assert_int_equal(r.error == SB_OK, tag == 0xa0 || tag == 0xd9);
        r = wire_reader_init(bytes, NULL);
        (void)wire_read_bytes(&r, 100);
        assert_int_equal(r.error == SB_OK, tag == 0xc4);
        r = wire_reader_init(bytes, NULL);
        (void)wire_enter(&r);
        assert_int_equal(r.error == SB_OK, tag == 0x90 || tag == 0xdc);
        r = wire_reader_init(bytes, NULL);
        assert_int_equal(wire_read_nil(&r), tag == 0xc0);
        assert_int_equal(r.error, SB_OK);
    }
}

static void fields_missing_at_the_end_read_as_nothing(void **state)
{
    /* [7, []] read as [number, [text, flag], bytes, nil, array] */
    struct wire_reader r = wire_reader_init(BYTES(0x92, 7, 0x90), NULL);
    struct wire_scope outer = wire_enter(&r);
    struct wire_scope inner;

    (void)state;
    assert_int_equal(wire_read_u64(&r, 10), 7);
    inner = wire_enter(&r);
    assert_int_equal(wire_read_text(&r, 10).n, 0);
    assert_false(wire_read_bool(&r));
    wire_leave(&r, inner);
    assert_int_equal(wire_read_bytes(&r, 10).n, 0);
    assert_true(wire_read_nil(&r));
    inner = wire_enter(&r);
    assert_int_equal(r.left, 0);
    assert_int_equal(wire_read_i64(&r, 5, 10), 0);
    assert_true(wire_read_double(&r) == 0);
    wire_leave(&r, inner);
    wire_leave(&r, outer);
    assert_int_equal(wire_reader_end(&r), SB_OK);
}

static void newer_fields_are_skipped_whatever_they_are(void **state)
{
    /* [1, [2, <every kind of value>], 3] of which 1, 2 and 3 are known */
    struct wire_reader r = wire_reader_init(
        BYTES(0x93, 1, 0xdc, 0, 21, 2,                              /* */
              0x82, 0xa1, 'a', 1, 0xa1, 'b', 0x92, 0xc0, 0xc3,      /* map of arrays */
              0xdd, 0, 0, 0, 1, 0xdf, 0, 0, 0, 0,                   /* array32, map32 */
              0xc4, 1, 9, 0xc5, 0, 1, 9, 0xc6, 0, 0, 0, 1, 9,       /* bin */
              0xc7, 1, 5, 9, 0xc8, 0, 1, 5, 9, 0xc9, 0, 0, 0, 0, 5, /* ext */
              0xca, 0, 0, 0, 0, 0xcb, 0, 0, 0, 0, 0, 0, 0, 0,       /* floats */
              0xcc, 200, 0xcf, 1, 2, 3, 4, 5, 6, 7, 8, 0xd1, 0, 1,  /* integers */
              0xd4, 5, 9, 0xd8, 5, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, /* fixext */
              0xd9, 1, 'x', 0xda, 0, 1, 'x', 0xdb, 0, 0, 0, 1, 'x',                /* str */
              0xde, 0, 1, 1, 2,                                                    /* map16 */
              0xe0, 3),
        NULL);
    struct wire_scope outer = wire_enter(&r);
    struct wire_scope inner;

    (void)state;
    assert_int_equal(wire_read_u64(&r, 10), 1);
    inner = wire_enter(&r);
    assert_int_equal(wire_read_u64(&r, 10), 2);
    wire_leave(&r, inner);
    assert_int_equal(wire_read_u64(&r, 10), 3);
    wire_leave(&r, outer);
    assert_int_equal(wire_reader_end(&r), SB_OK);
}

static void outside_of_arrays_a_missing_value_is_an_error(void **state)
{
    struct wire_reader r = wire_reader_init(SB_SLICE_NONE, NULL);

    (void)state;
    assert_int_equal(wire_reader_end(&r), SB_OK);
    assert_int_equal(wire_read_u64(&r, 10), 0);
    assert_int_equal(wire_reader_end(&r), SB_EPARSE);
    r = wire_reader_init(BYTES(1, 2), NULL);
    assert_int_equal(wire_read_u64(&r, 10), 1);
    assert_int_equal(wire_reader_end(&r), SB_EPARSE); /* 2 is left over */
}

static void counts_that_the_bytes_cannot_hold_allocate_nothing(void **state)
{
    static const uint8_t array32[] = {0xdd, 0xff, 0xff, 0xff, 0xff, 1, 2, 3};
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(64);
    size_t held = sb_arena_held(arena), n = 7;
    struct wire_reader r = wire_reader_init(sb_slice_make(array32, sizeof(array32)), arena);

    (void)state;
    (void)wire_enter(&r);
    assert_null(wire_read_rows(&r, SIZE_MAX, 1000, &n));
    assert_int_equal(n, 0);
    assert_int_equal(wire_reader_end(&r), SB_EPARSE);
    assert_int_equal(sb_arena_held(arena), held);
    /* Inside the bytes, over the ceiling. */
    r = wire_reader_init(BYTES(0x94, 1, 2, 3, 4), arena);
    (void)wire_enter(&r);
    assert_null(wire_read_rows(&r, 3, 1000, &n));
    assert_int_equal(wire_reader_end(&r), SB_ETOOBIG);
    assert_int_equal(sb_arena_held(arena), held);
    r = wire_reader_init(BYTES(0x94, 1, 2, 3, 4), arena);
    (void)wire_enter(&r);
    sb_mem_fail_nth(1);
    assert_null(wire_read_rows(&r, 4, 1000, &n));
    assert_int_equal(wire_reader_end(&r), SB_ENOMEM);
    /* A byte that msgpack never uses. */
    r = wire_reader_init(BYTES(0xc1), arena);
    wire_skip(&r);
    assert_int_equal(wire_reader_end(&r), SB_EPARSE);
    /* A map of 2^32 pairs inside a skipped value. */
    r = wire_reader_init(BYTES(0xdf, 0xff, 0xff, 0xff, 0xff, 1, 2, 3), arena);
    wire_skip(&r);
    assert_int_equal(wire_reader_end(&r), SB_EPARSE);
}

static void depth_costs_no_stack(void **state)
{
    enum { DEPTH = 1 << 20 };
    uint8_t *deep = sb_mem_new(DEPTH);
    struct wire_reader r;

    (void)state;
    memset(deep, 0x91, DEPTH);
    deep[DEPTH - 1] = 0xc0;
    r = wire_reader_init(sb_slice_make(deep, DEPTH), NULL);
    wire_skip(&r);
    assert_int_equal(wire_reader_end(&r), SB_OK);
    r = wire_reader_init(sb_slice_make(deep, DEPTH - 1), NULL);
    wire_skip(&r);
    assert_int_equal(wire_reader_end(&r), SB_EPARSE);
    sb_mem_free(deep);
}

static void the_first_error_stays_and_names_its_field(void **state)
{
    struct wire_reader r = wire_reader_init(BYTES(0x93, 0xa3, 'a', 'b', 'c', 0xc0, 1), NULL);
    struct wire_scope outer = wire_enter(&r);

    (void)state;
    r.at = "first";
    assert_int_equal(wire_read_text(&r, 2).n, 0);
    r.at = "second";
    assert_false(wire_read_bool(&r));
    assert_int_equal(wire_read_u64(&r, 10), 0);
    wire_skip(&r);
    wire_leave(&r, outer);
    assert_int_equal(wire_reader_end(&r), SB_ETOOBIG);
    assert_string_equal(r.failed, "first");
}

static void a_writer_that_fails_takes_back_what_it_wrote(void **state)
{
    struct wire_writer w;
    char big[3000] = {0};

    (void)state;
    assert_int_equal(sb_buf_append_text(&out, "xkept"), SB_OK);
    sb_buf_consume(&out, 1);
    w = wire_writer_init(&out);
    wire_write_array(&w, 3);
    w.at = "second";
    sb_mem_fail_nth(1);
    wire_write_text(&w, sb_slice_make(big, sizeof(big)), sizeof(big));
    w.at = "third";
    wire_write_double(&w, 1.5);
    wire_write_nil(&w);
    wire_write_bool(&w, true);
    assert_int_equal(wire_writer_end(&w), SB_ENOMEM);
    assert_string_equal(w.failed, "second");
    assert_true(sb_slice_is(sb_buf_slice(&out), "kept"));
    /* A count that msgpack has no room for. */
    w = wire_writer_init(&out);
    wire_write_array(&w, (size_t)UINT32_MAX + 1);
    wire_writer_fail(&w, SB_EINVAL); /* too late: the first error stays */
    assert_int_equal(wire_writer_end(&w), SB_ETOOBIG);
    /* The buffer's own ceiling counts as well. */
    sb_buf_clear(&out);
    sb_buf_init(&out, 10);
    w = wire_writer_init(&out);
    wire_write_u64(&w, 1);
    wire_write_text(&w, SB_SLICE_LIT("0123456789"), 100);
    assert_int_equal(wire_writer_end(&w), SB_ETOOBIG);
    assert_int_equal(sb_buf_len(&out), 0);
}

static void doubles_flags_and_nil_come_back(void **state)
{
    struct wire_writer w = wire_writer_init(&out);
    struct wire_reader r;

    (void)state;
    wire_write_array(&w, 5);
    wire_write_double(&w, -1234.5678e-9);
    wire_write_bool(&w, true);
    wire_write_bool(&w, false);
    wire_write_nil(&w);
    wire_write_u64(&w, 9);
    assert_int_equal(wire_writer_end(&w), SB_OK);
    r = wire_reader_init(sb_buf_slice(&out), NULL);
    (void)wire_enter(&r);
    assert_true(wire_read_double(&r) == -1234.5678e-9);
    assert_true(wire_read_bool(&r));
    assert_false(wire_read_bool(&r));
    assert_true(wire_read_nil(&r));
    assert_false(wire_read_nil(&r));
    assert_int_equal(wire_read_u64(&r, 9), 9);
    assert_int_equal(wire_reader_end(&r), SB_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_of_every_width_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(numbers_are_written_in_their_shortest_form, set_up,
                                        tear_down),
        cmocka_unit_test(a_number_outside_its_range_is_malformed),
        cmocka_unit_test(any_width_of_a_number_is_read),
        cmocka_unit_test_setup_teardown(strings_borrow_from_the_input, set_up, tear_down),
        cmocka_unit_test_setup_teardown(strings_over_their_ceiling_are_refused_on_both_sides,
                                        set_up, tear_down),
        cmocka_unit_test(a_value_of_another_type_is_malformed),
        cmocka_unit_test(fields_missing_at_the_end_read_as_nothing),
        cmocka_unit_test(newer_fields_are_skipped_whatever_they_are),
        cmocka_unit_test(outside_of_arrays_a_missing_value_is_an_error),
        cmocka_unit_test_setup_teardown(counts_that_the_bytes_cannot_hold_allocate_nothing, set_up,
                                        tear_down),
        cmocka_unit_test(depth_costs_no_stack),
        cmocka_unit_test(the_first_error_stays_and_names_its_field),
        cmocka_unit_test_setup_teardown(a_writer_that_fails_takes_back_what_it_wrote, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(doubles_flags_and_nil_come_back, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
