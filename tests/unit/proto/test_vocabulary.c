/* tests/unit/proto/test_vocabulary.c */
#include "proto/vocabulary.h"

#include "common/attr.h"
#include "tests/lib/test.h"

struct word {
    int number;
    const char *text;
};

struct list {
    const char *name;
    const struct word *words;
    size_t n;
    const char *(*name_of)(int number);
    int (*parse)(struct sb_slice text);
};

#define X(name, number, text) {number, text},
#define L(list, LIST)         static const struct word list##_words[] = {MSG_##LIST##_MAP(X)};
MSG_LISTS(L)
#undef L
#undef X

#define L(list, LIST)                                                                              \
    {#list, list##_words, SB_ARRAY_LEN(list##_words), msg_##list##_name, msg_##list##_parse},
static const struct list lists[] = {MSG_LISTS(L)};
#undef L

static void every_word_is_read_back_as_its_number(void **state)
{
    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(lists); i++) {
        const struct list *l = &lists[i];

        assert_true(l->n >= 3);
        for (size_t k = 0; k < l->n; k++) {
            assert_string_equal(l->name_of(l->words[k].number), l->words[k].text);
            assert_int_equal(l->parse(sb_slice_of(l->words[k].text)), l->words[k].number);
        }
    }
}

static void no_number_and_no_word_is_used_twice(void **state)
{
    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(lists); i++) {
        const struct list *l = &lists[i];

        for (size_t k = 0; k < l->n; k++) {
            for (size_t m = k + 1; m < l->n; m++) {
                assert_int_not_equal(l->words[k].number, l->words[m].number);
                assert_string_not_equal(l->words[k].text, l->words[m].text);
            }
        }
    }
}

static void what_is_not_in_a_list_has_no_name_and_no_number(void **state)
{
    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(lists); i++) {
        const struct list *l = &lists[i];

        assert_string_equal(l->name_of(-1), "unknown");
        assert_string_equal(l->name_of(255), "unknown");
        assert_int_equal(l->parse(SB_SLICE_LIT("Yes")), -1); /* case matters */
        assert_int_equal(l->parse(SB_SLICE_LIT("texts")), -1);
        assert_int_equal(l->parse(SB_SLICE_LIT("tex")), -1);
        assert_int_equal(l->parse(SB_SLICE_NONE), -1);
    }
}

/* Numbers that are bits of a wire field must fit it. */
static void numbers_that_are_bits_fit_their_field(void **state)
{
    (void)state;
    assert_true(MSG_CLAIM_COUNT <= 32);
    assert_true(MSG_MODALITY_COUNT <= 32);
    assert_true(MSG_PARAMETER_COUNT <= 64);
    for (size_t i = 0; i < SB_ARRAY_LEN(outcome_words); i++)
        assert_in_range(outcome_words[i].number, 0, UINT8_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_word_is_read_back_as_its_number),
        cmocka_unit_test(no_number_and_no_word_is_used_twice),
        cmocka_unit_test(what_is_not_in_a_list_has_no_name_and_no_number),
        cmocka_unit_test(numbers_that_are_bits_fit_their_field),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
