/* tests/unit/common/test_sketch.c */
#include "common/sketch.h"

#include <math.h>
#include <stdbool.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/mem.h"
#include "tests/lib/random.h"
#include "tests/lib/test.h"

enum { VALUES = 50000, SHARDS = 8 };

static const double quantiles[] = {0,   0.001, 0.01, 0.1,   0.25,   0.5, 0.75,
                                   0.9, 0.95,  0.99, 0.999, 0.9999, 1};

static double values[VALUES];

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Pareto with alpha 1: no mean, and its largest values are thousands of
 * times its median, as latencies are. */
static double heavy_tailed(uint64_t *seed)
{
    return 5.0 / random_unit(seed);
}

static double log_normal(uint64_t *seed)
{
    double sum = 0;

    for (int i = 0; i < 12; i++)
        sum += random_unit(seed);
    return exp(2 * (sum - 6) + 5);
}

static double uniform(uint64_t *seed)
{
    return random_unit(seed) * 1e-3;
}

static double mostly_zero(uint64_t *seed)
{
    return random_below(seed, 3) == 0 ? heavy_tailed(seed) : 0;
}

static void check_quantiles(const struct sb_sketch *sketch, const double *sorted, size_t n)
{
    for (size_t i = 0; i < SB_ARRAY_LEN(quantiles); i++) {
        double exact = sorted[(size_t)(quantiles[i] * (double)(n - 1))];
        double got = sb_sketch_quantile(sketch, quantiles[i]);

        if (fabs(got - exact) > exact * (SB_SKETCH_ACCURACY + 1e-9))
            fail_msg("q %g of %zu values is %.17g, the sketch says %.17g", quantiles[i], n, exact,
                     got);
    }
}

static void quantiles_are_within_one_percent(void **state)
{
    static double (*const shapes[])(uint64_t *) = {heavy_tailed, log_normal, uniform, mostly_zero};
    uint64_t seed = 42;

    (void)state;
    for (size_t shape = 0; shape < SB_ARRAY_LEN(shapes); shape++) {
        SB_CLEANUP(sb_sketch_release) struct sb_sketch sketch = {.n = 0};
        double sum = 0;

        for (size_t i = 0; i < VALUES; i++) {
            values[i] = shapes[shape](&seed);
            sum += values[i];
            assert_int_equal(sb_sketch_add(&sketch, values[i], 1), SB_OK);
        }
        qsort(values, VALUES, sizeof(values[0]), ascending);
        check_quantiles(&sketch, values, VALUES);
        assert_true(sketch.count == VALUES);
        assert_true(sketch.min == values[0] && sketch.max == values[VALUES - 1]);
        assert_true(fabs(sketch.sum - sum) <= sum * 1e-12);
        assert_true(sketch.n <= SB_SKETCH_BUCKETS);
    }
}

static void few_values_are_as_good_as_many(void **state)
{
    uint64_t seed = 7;

    (void)state;
    for (size_t n = 1; n <= 50; n++) {
        SB_CLEANUP(sb_sketch_release) struct sb_sketch sketch = {.n = 0};

        for (size_t i = 0; i < n; i++) {
            values[i] = heavy_tailed(&seed);
            assert_int_equal(sb_sketch_add(&sketch, values[i], 1), SB_OK);
        }
        qsort(values, n, sizeof(values[0]), ascending);
        check_quantiles(&sketch, values, n);
    }
}

static bool same(const struct sb_sketch *a, const struct sb_sketch *b)
{
    return a->n == b->n && a->first == b->first && a->zeros == b->zeros && a->count == b->count &&
           a->min == b->min && a->max == b->max && fabs(a->sum - b->sum) <= fabs(a->sum) * 1e-9 &&
           (a->n == 0 || memcmp(a->counts, b->counts, a->n * sizeof(*a->counts)) == 0);
}

/* Values over more than twice the range that the buckets span. */
static double very_wide(uint64_t *seed)
{
    return random_below(seed, 100) == 0 ? 0 : 1e-9 * exp(55 * random_unit(seed));
}

static void merging_in_any_order_is_as_adding_all(void **state)
{
    static double (*const shapes[])(uint64_t *) = {heavy_tailed, very_wide};
    uint64_t seed = 9;

    (void)state;
    for (int round = 0; round < 100; round++) {
        struct sb_sketch shards[SHARDS] = {{.n = 0}};
        SB_CLEANUP(sb_sketch_release) struct sb_sketch whole = {.n = 0};
        SB_CLEANUP(sb_sketch_release) struct sb_sketch up = {.n = 0};
        SB_CLEANUP(sb_sketch_release) struct sb_sketch down = {.n = 0};

        for (int i = 0; i < 300; i++) {
            double value = shapes[round % 2](&seed);
            /* Some shards stay empty. */
            size_t shard = random_below(&seed, SHARDS - 2);

            assert_int_equal(sb_sketch_add(&whole, value, 3), SB_OK);
            assert_int_equal(sb_sketch_add(&shards[shard], value, 3), SB_OK);
        }
        for (size_t i = 0; i < SHARDS; i++)
            assert_int_equal(sb_sketch_merge(&up, &shards[i]), SB_OK);
        /* The other way round, and in pairs first. */
        for (size_t i = SHARDS; i > 0; i -= 2) {
            assert_int_equal(sb_sketch_merge(&shards[i - 1], &shards[i - 2]), SB_OK);
            assert_int_equal(sb_sketch_merge(&down, &shards[i - 1]), SB_OK);
        }
        assert_true(same(&up, &whole));
        assert_true(same(&down, &whole));
        for (size_t i = 0; i < SHARDS; i++)
            sb_sketch_release(&shards[i]);
    }
}

static void a_sketch_may_be_merged_into_itself(void **state)
{
    SB_CLEANUP(sb_sketch_release) struct sb_sketch sketch = {.n = 0};

    (void)state;
    assert_int_equal(sb_sketch_add(&sketch, 10, 1), SB_OK);
    assert_int_equal(sb_sketch_add(&sketch, 20, 2), SB_OK);
    assert_int_equal(sb_sketch_merge(&sketch, &sketch), SB_OK);
    assert_true(sketch.count == 6 && sketch.sum == 100);
    assert_true(sketch.counts[sketch.n - 1] == 4);
}

static void a_range_too_wide_loses_its_low_end_only(void **state)
{
    SB_CLEANUP(sb_sketch_release) struct sb_sketch sketch = {.n = 0};
    uint64_t seed = 3;

    (void)state;
    for (size_t i = 0; i < VALUES; i++) {
        values[i] = very_wide(&seed);
        assert_int_equal(sb_sketch_add(&sketch, values[i], 1), SB_OK);
    }
    qsort(values, VALUES, sizeof(values[0]), ascending);
    assert_int_equal(sketch.n, SB_SKETCH_BUCKETS);
    assert_true(sketch.min == values[0] && sketch.max == values[VALUES - 1]);
    /* 1024 buckets of the 2750 that the values span. */
    for (int percent = 64; percent <= 100; percent++) {
        double q = percent / 100.0;
        double exact = values[(size_t)(q * (VALUES - 1))];

        assert_true(fabs(sb_sketch_quantile(&sketch, q) - exact) <=
                    exact * (SB_SKETCH_ACCURACY + 1e-9));
    }
    assert_true(sb_sketch_quantile(&sketch, 0.3) >= values[(size_t)(0.3 * (VALUES - 1))]);
}

static void values_that_cannot_be_are_refused(void **state)
{
    static const double wrong[] = {-1, -0.0001, NAN, INFINITY, -INFINITY, 1.1e15};
    SB_CLEANUP(sb_sketch_release) struct sb_sketch sketch = {.n = 0};

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(wrong); i++)
        assert_int_equal(sb_sketch_add(&sketch, wrong[i], 1), SB_EINVAL);
    assert_true(sketch.count == 0);
    assert_true(sb_sketch_quantile(&sketch, 0.5) == 0);
    assert_int_equal(sb_sketch_add(&sketch, SB_SKETCH_VALUE_MAX, 1), SB_OK);
    assert_int_equal(sb_sketch_add(&sketch, SB_SKETCH_VALUE_MIN, 1), SB_OK);
    assert_int_equal(sb_sketch_add(&sketch, 0, 1), SB_OK);
    assert_int_equal(sb_sketch_add(&sketch, 1, 0), SB_OK);
    assert_true(sketch.count == 3 && sketch.zeros == 1);
    assert_int_equal(sb_sketch_add(&sketch, 1, UINT32_MAX - 2), SB_ETOOBIG);
    assert_int_equal(sb_sketch_add(&sketch, 1, UINT32_MAX - 3), SB_OK);
    assert_int_equal(sb_sketch_merge(&sketch, &sketch), SB_ETOOBIG);
    assert_true(sketch.count == UINT32_MAX);
}

static void without_memory_it_stays_as_it_was(void **state)
{
    SB_CLEANUP(sb_sketch_release) struct sb_sketch sketch = {.n = 0};
    SB_CLEANUP(sb_sketch_release) struct sb_sketch other = {.n = 0};

    (void)state;
    sb_mem_fail_nth(1);
    assert_int_equal(sb_sketch_add(&sketch, 1, 1), SB_ENOMEM);
    assert_true(sketch.count == 0);
    assert_int_equal(sb_sketch_add(&sketch, 1, 1), SB_OK);
    assert_int_equal(sb_sketch_add(&other, 1000, 1), SB_OK);
    sb_mem_fail_nth(1);
    assert_int_equal(sb_sketch_merge(&sketch, &other), SB_ENOMEM);
    assert_true(sketch.count == 1 && sketch.n == 1 && sketch.max == 1);
    assert_int_equal(sb_sketch_merge(&sketch, &other), SB_OK);
    assert_true(sketch.count == 2 && sketch.max == 1000);
}

static struct sb_sketch_parts parts_of(const struct sb_sketch *sketch)
{
    return (struct sb_sketch_parts){.counts = sketch->counts,
                                    .first = sketch->first,
                                    .n = sketch->n,
                                    .zeros = sketch->zeros,
                                    .sum = sketch->sum,
                                    .min = sketch->min,
                                    .max = sketch->max};
}

static void what_is_sent_comes_back(void **state)
{
    static double (*const shapes[])(uint64_t *) = {heavy_tailed, very_wide, mostly_zero, uniform};
    SB_CLEANUP(sb_sketch_release) struct sb_sketch loaded = {.n = 0};
    uint64_t seed = 11;

    (void)state;
    for (int round = 0; round < 400; round++) {
        SB_CLEANUP(sb_sketch_release) struct sb_sketch sketch = {.n = 0};
        struct sb_sketch_parts parts;

        for (int i = 0; i < round; i++)
            assert_int_equal(sb_sketch_add(&sketch, shapes[round % 4](&seed), 1), SB_OK);
        parts = parts_of(&sketch);
        assert_int_equal(sb_sketch_load(&loaded, &parts), SB_OK);
        assert_true(same(&loaded, &sketch));
    }
}

static void parts_that_no_sketch_has_are_refused(void **state)
{
    static uint32_t many[SB_SKETCH_BUCKETS + 1];
    static const uint32_t hollow[] = {0, 1}, hollow_end[] = {1, 0}, two[] = {3, 4};
    static const uint32_t huge[] = {UINT32_MAX, 1};
    SB_CLEANUP(sb_sketch_release) struct sb_sketch sketch = {.n = 0};
    struct sb_sketch_parts right, wrong;

    (void)state;
    assert_int_equal(sb_sketch_add(&sketch, 1.0, 3), SB_OK);
    assert_int_equal(sb_sketch_add(&sketch, 1.015, 4), SB_OK);
    right = parts_of(&sketch);
    assert_int_equal(right.n, 2);
    right.counts = two;
    assert_int_equal(sb_sketch_load(&sketch, &right), SB_OK);

#define REFUSED(change)                                                                            \
    do {                                                                                           \
        wrong = right;                                                                             \
        change;                                                                                    \
        assert_int_equal(sb_sketch_load(&sketch, &wrong), SB_EINVAL);                              \
    } while (0)
    for (size_t i = 0; i < SB_ARRAY_LEN(many); i++)
        many[i] = 1;
    REFUSED((wrong.counts = many, wrong.n = SB_ARRAY_LEN(many)));
    REFUSED(wrong.counts = hollow);
    REFUSED(wrong.counts = hollow_end);
    REFUSED(wrong.counts = huge);
    REFUSED(wrong.n = 0);
    REFUSED(wrong.first += 5);
    REFUSED(wrong.first = INT32_MAX);
    REFUSED(wrong.first = INT32_MIN);
    REFUSED(wrong.zeros = 1);
    REFUSED(wrong.zeros = UINT64_MAX);
    REFUSED(wrong.min = 0);
    REFUSED(wrong.min = -1);
    REFUSED(wrong.min = NAN);
    REFUSED(wrong.min = 0.5);
    REFUSED(wrong.min = 2);
    REFUSED(wrong.max = NAN);
    REFUSED(wrong.max = INFINITY);
    REFUSED(wrong.max = 100);
    REFUSED(wrong.sum = NAN);
    REFUSED(wrong.sum = INFINITY);
    REFUSED(wrong.sum = -1);
#undef REFUSED
    assert_true(sketch.count == 7 && sketch.counts[1] == 4);
}

static void an_emptied_sketch_is_as_new(void **state)
{
    SB_CLEANUP(sb_sketch_release) struct sb_sketch sketch;

    (void)state;
    sb_sketch_init(&sketch);
    assert_int_equal(sb_sketch_add(&sketch, 123, 5), SB_OK);
    sb_sketch_reset(&sketch);
    assert_true(sketch.count == 0 && sketch.n == 0 && sketch.room > 0);
    assert_int_equal(sb_sketch_add(&sketch, 1, 1), SB_OK);
    assert_true(sketch.n == 1 && sketch.counts[0] == 1 && sketch.max == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_within_one_percent),
        cmocka_unit_test(few_values_are_as_good_as_many),
        cmocka_unit_test(merging_in_any_order_is_as_adding_all),
        cmocka_unit_test(a_sketch_may_be_merged_into_itself),
        cmocka_unit_test(a_range_too_wide_loses_its_low_end_only),
        cmocka_unit_test(values_that_cannot_be_are_refused),
        cmocka_unit_test(without_memory_it_stays_as_it_was),
        cmocka_unit_test(what_is_sent_comes_back),
        cmocka_unit_test(parts_that_no_sketch_has_are_refused),
        cmocka_unit_test(an_emptied_sketch_is_as_new),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
