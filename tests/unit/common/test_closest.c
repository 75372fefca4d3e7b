/* "Did you mean": near words are found, far ones are not. */
#include "tests/lib/test.h"

#include "common/closest.h"

static const char *guess(const char *wrong)
{
    static const char *const words[] = {"apply", "get", "delete", "key create", "keyring new"};
    struct sb_closest closest = sb_closest_begin(sb_slice_of(wrong));

    for (size_t i = 0; i < SB_ARRAY_LEN(words); i++)
        sb_closest_try(&closest, words[i]);
    return closest.best;
}

static void a_typing_mistake_finds_its_word(void **state)
{
    (void)state;
    assert_string_equal(guess("aply"), "apply");
    assert_string_equal(guess("aplpy"), "apply");
    assert_string_equal(guess("deleet"), "delete");
    assert_string_equal(guess("key crate"), "key create");
}

static void a_beginning_finds_its_word(void **state)
{
    (void)state;
    assert_string_equal(guess("del"), "delete");
    assert_string_equal(guess("keyring"), "keyring new");
}

static void another_word_finds_nothing(void **state)
{
    char longer[SB_CLOSEST_MAX + 2];

    (void)state;
    assert_null(guess("rollback"));
    assert_null(guess(""));
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_null(guess(longer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_typing_mistake_finds_its_word),
        cmocka_unit_test(a_beginning_finds_its_word),
        cmocka_unit_test(another_word_finds_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
