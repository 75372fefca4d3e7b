/* tests/unit/controlplane/test_sums.c */
#include "controlplane/tables/sums.h"

#include <math.h>

#include "common/err.h"
#include "tests/lib/random.h"
#include "tests/lib/test.h"

static void make(struct cp_sums *sums, uint64_t *random, unsigned n)
{
    *sums = (struct cp_sums){.attempts = n,
                             .successes = random_below(random, n + 1),
                             .faults = random_below(random, n + 1),
                             .rate_limited = random_below(random, 3),
                             .prompt_tokens = random_next(random) >> random_below(random, 64),
                             .completion_tokens = random_next(random) >> random_below(random, 64),
                             .cost = (int64_t)(random_next(random) >> 1)};
    for (unsigned i = 0; i < n; i++) {
        double value = random_below(random, 20) == 0
                           ? 0
                           : pow(10, 12 * random_unit(random) - 6 * random_unit(random));

        assert_int_equal(sb_sketch_add(&sums->first_token, value, 1), SB_OK);
        if (i % 2 == 0)
            assert_int_equal(sb_sketch_add(&sums->throughput, 100 * random_unit(random),
                                           1 + (uint32_t)random_below(random, 1 << 20)),
                             SB_OK);
    }
}

static bool is_near(double a, double b)
{
    return fabs(a - b) <= 1e-6 * fabs(b);
}

static void expect_same_sketch(const struct sb_sketch *got, const struct sb_sketch *want)
{
    assert_int_equal(got->count, want->count);
    assert_int_equal(got->zeros, want->zeros);
    assert_int_equal(got->n, want->n);
    if (want->count == 0)
        return;
    assert_int_equal(got->n == 0 ? 0 : got->first, want->n == 0 ? 0 : want->first);
    for (uint32_t i = 0; i < want->n; i++)
        assert_int_equal(got->counts[i], want->counts[i]);
    assert_true(is_near(got->min, want->min) && is_near(got->max, want->max));
    assert_true(is_near(got->sum, want->sum));
}

static void expect_same(const struct cp_sums *got, const struct cp_sums *want)
{
    assert_int_equal(got->attempts, want->attempts);
    assert_int_equal(got->successes, want->successes);
    assert_int_equal(got->faults, want->faults);
    assert_int_equal(got->rate_limited, want->rate_limited);
    assert_int_equal(got->prompt_tokens, want->prompt_tokens);
    assert_int_equal(got->completion_tokens, want->completion_tokens);
    assert_int_equal(got->cost, want->cost);
    expect_same_sketch(&got->first_token, &want->first_token);
    expect_same_sketch(&got->throughput, &want->throughput);
}

static void what_was_packed_is_what_comes_out(void **state)
{
    uint64_t random = 1;

    (void)state;
    for (unsigned round = 0; round < 2000; round++) {
        struct cp_sums sums, got = {.attempts = 0}, numbers = {.attempts = 0};
        uint8_t bytes[CP_SUMS_PACKED_MAX];
        struct sb_slice packed;

        make(&sums, &random, (unsigned)random_below(&random, round % 10 == 0 ? 3000 : 40));
        packed = sb_slice_make((const char *)bytes, cp_sums_pack(&sums, bytes));
        assert_true(packed.n <= sizeof(bytes));
        assert_int_equal(cp_sums_add_packed(&got, packed), SB_OK);
        expect_same(&got, &sums);
        cp_sums_add_packed_numbers(&numbers, packed);
        assert_int_equal(numbers.attempts, sums.attempts);
        assert_int_equal(numbers.cost, sums.cost);
        assert_int_equal(numbers.first_token.count, 0);
        cp_sums_release(&sums);
        cp_sums_release(&got);
    }
}

static void the_order_in_which_packed_ones_are_added_does_not_matter(void **state)
{
    enum { N = 20 };
    static uint8_t bytes[N][CP_SUMS_PACKED_MAX];
    struct sb_slice packed[N];
    struct cp_sums plain = {.attempts = 0}, up = {.attempts = 0}, down = {.attempts = 0};
    uint64_t random = 2;

    (void)state;
    for (size_t i = 0; i < N; i++) {
        struct cp_sums one;

        make(&one, &random, 1 + (unsigned)random_below(&random, 500));
        packed[i] = sb_slice_make((const char *)bytes[i], cp_sums_pack(&one, bytes[i]));
        assert_int_equal(cp_sums_add(&plain, &one), SB_OK);
        cp_sums_release(&one);
    }
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(cp_sums_add_packed(&up, packed[i]), SB_OK);
        assert_int_equal(cp_sums_add_packed(&down, packed[N - 1 - i]), SB_OK);
    }
    expect_same(&up, &plain);
    expect_same(&down, &plain);
    cp_sums_release(&plain);
    cp_sums_release(&up);
    cp_sums_release(&down);
}

static void the_largest_fits_and_nothing_is_a_few_bytes(void **state)
{
    uint8_t bytes[CP_SUMS_PACKED_MAX];
    struct cp_sums sums = {.attempts = UINT64_MAX,
                           .successes = UINT64_MAX,
                           .faults = UINT64_MAX,
                           .rate_limited = UINT64_MAX,
                           .prompt_tokens = UINT64_MAX,
                           .completion_tokens = UINT64_MAX,
                           .cost = INT64_MAX};
    const struct cp_sums none = {.attempts = 0};
    struct cp_sums got = {.attempts = 0};
    size_t n;

    (void)state;
    for (int i = 0; i < SB_SKETCH_BUCKETS; i++) {
        double value = exp(0.0200006667 * i);

        assert_int_equal(sb_sketch_add(&sums.first_token, value, 4000000), SB_OK);
        assert_int_equal(sb_sketch_add(&sums.throughput, value, 4000000), SB_OK);
    }
    n = cp_sums_pack(&sums, bytes);
    assert_true(n <= sizeof(bytes));
    assert_int_equal(cp_sums_add_packed(&got, sb_slice_make((const char *)bytes, n)), SB_OK);
    expect_same(&got, &sums);
    assert_in_range(cp_sums_pack(&none, bytes), 1, 9);
    cp_sums_release(&sums);
    cp_sums_release(&got);
}

/* One request, and an hour of ten a minute: what a quiet endpoint costs. */
static void few_attempts_are_few_bytes(void **state)
{
    uint8_t bytes[CP_SUMS_PACKED_MAX];
    struct cp_sums sums = {.attempts = 1, .successes = 1, .prompt_tokens = 500, .cost = 1000000};
    uint64_t random = 3;

    (void)state;
    assert_int_equal(sb_sketch_add(&sums.first_token, 312, 1), SB_OK);
    assert_int_equal(sb_sketch_add(&sums.throughput, 41, 1), SB_OK);
    assert_in_range(cp_sums_pack(&sums, bytes), 1, 56);
    for (int i = 0; i < 600; i++) {
        assert_int_equal(sb_sketch_add(&sums.first_token, 200 / sqrt(random_unit(&random)), 1),
                         SB_OK);
        assert_int_equal(sb_sketch_add(&sums.throughput, 20 + 60 * random_unit(&random), 1), SB_OK);
    }
    assert_in_range(cp_sums_pack(&sums, bytes), 1, 450);
    cp_sums_release(&sums);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_packed_is_what_comes_out),
        cmocka_unit_test(the_order_in_which_packed_ones_are_added_does_not_matter),
        cmocka_unit_test(the_largest_fits_and_nothing_is_a_few_bytes),
        cmocka_unit_test(few_attempts_are_few_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
