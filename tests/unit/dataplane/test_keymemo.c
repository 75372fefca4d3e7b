/* tests/unit/dataplane/test_keymemo.c */
#include "dataplane/keymemo.h"

#include "common/err.h"
#include "tests/lib/test.h"

static struct sb_secret *hash_key(char fill)
{
    struct sb_secret *key = NULL;
    char bytes[32];

    memset(bytes, fill, sizeof(bytes));
    assert_int_equal(sb_secret_new(sb_slice_make(bytes, sizeof(bytes)), &key), SB_OK);
    return key;
}

static void every_key_has_the_hash_that_it_has_without_a_memo(void **state)
{
    static const char long_key[] =
        "sb-a-key-that-nobody-should-have-chosen-since-it-is-longer-than-what-the-memo-holds";
    static const char *const keys[] = {"sb-one", "sb-one", "sb-two", "sb-tw",  "sb-two2",
                                       "",       "",       long_key, long_key, "sb-one"};
    struct sb_secret *key = hash_key('k');
    struct dp_keymemo memo = {.n = 0};
    uint8_t want[SB_HASH_BYTES];

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(keys); i++) {
        sb_apikey_hash(key, sb_slice_of(keys[i]), want);
        assert_memory_equal(dp_keymemo_hash(&memo, key, sb_slice_of(keys[i])), want, sizeof(want));
    }
    sb_secret_destroy(&key);
}

/* Shown by a second hash key, which the memo does not look at. */
static void a_key_that_is_shown_again_is_not_hashed_again(void **state)
{
    struct sb_secret *first = hash_key('1'), *second = hash_key('2');
    struct dp_keymemo memo = {.n = 0};
    uint8_t want[SB_HASH_BYTES];

    (void)state;
    (void)dp_keymemo_hash(&memo, first, SB_SLICE_LIT("sb-one"));
    sb_apikey_hash(first, SB_SLICE_LIT("sb-one"), want);
    assert_memory_equal(dp_keymemo_hash(&memo, second, SB_SLICE_LIT("sb-one")), want, sizeof(want));
    sb_apikey_hash(second, SB_SLICE_LIT("sb-onf"), want);
    assert_memory_equal(dp_keymemo_hash(&memo, second, SB_SLICE_LIT("sb-onf")), want, sizeof(want));
    sb_secret_destroy(&first);
    sb_secret_destroy(&second);
}

static void clearing_leaves_nothing(void **state)
{
    struct sb_secret *key = hash_key('k');
    struct dp_keymemo memo = {.n = 0}, zero = {.n = 0};

    (void)state;
    (void)dp_keymemo_hash(&memo, key, SB_SLICE_LIT("sb-one"));
    dp_keymemo_clear(&memo);
    assert_memory_equal(&memo, &zero, sizeof(memo));
    sb_secret_destroy(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_has_the_hash_that_it_has_without_a_memo),
        cmocka_unit_test(a_key_that_is_shown_again_is_not_hashed_again),
        cmocka_unit_test(clearing_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
