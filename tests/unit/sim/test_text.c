/* tests/unit/sim/test_text.c */
#include "tests/sim/text.h"

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"
#include "tests/lib/test.h"

/* The tokens one after the other. */
static void join(const struct sim_text *text, struct sb_buf *out)
{
    for (int64_t i = 0; i < text->count; i++)
        assert_int_equal(sb_buf_append(out, sim_text_token(text, i)), SB_OK);
}

static void check_split(const char *text, const char *escaped, int64_t tokens)
{
    struct sb_arena *arena = sb_arena_new(256);
    struct sim_text split = sim_text_split(arena, sb_slice_of(text));
    SB_CLEANUP(sb_buf_release) struct sb_buf joined;
    SB_CLEANUP(sb_buf_release) struct sb_buf whole;

    sb_buf_init(&joined, 1 << 16);
    sb_buf_init(&whole, 1 << 16);
    join(&split, &joined);
    assert_true(sb_slice_is(sb_buf_slice(&joined), escaped));
    assert_int_equal(sim_text_write(&split, &whole), SB_OK);
    assert_true(sb_slice_is(sb_buf_slice(&whole), escaped));
    assert_int_equal(split.count, tokens);
    sb_arena_destroy(&arena);
}

static void cuts_at_spaces_and_in_long_words(void **state)
{
    (void)state;
    check_split("one two", "one two", 2);
    check_split("abcdefghijklmnop q", "abcdefghijklmnop q", 3);
    check_split(" x", " x", 1);
    check_split("", "", 0);
}

static void never_cuts_an_escape_or_a_character(void **state)
{
    (void)state;
    check_split("\n\n\n\n\n\n\n\n\n", "\\n\\n\\n\\n\\n\\n\\n\\n\\n", 2);
    check_split("\x01\x01\x01\x01\x01\x01\x01\x01\x01",
                "\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001", 2);
    check_split("ääääääääöö", "ääääääääöö", 2);
    check_split("😀😀😀😀😀😀😀😀😀", "😀😀😀😀😀😀😀😀😀", 2);
    check_split("a\"b\\c", "a\\\"b\\\\c", 1);
}

static void each_token_is_whole_characters(void **state)
{
    struct sb_arena *arena = sb_arena_new(256);
    struct sim_text split = sim_text_split(arena, SB_SLICE_LIT("ääääääääö\n\n\n\n\n\n\n\n"));

    (void)state;
    for (int64_t i = 0; i < split.count; i++) {
        struct sb_slice token = sim_text_token(&split, i);
        int backslashes = 0;

        assert_false(((unsigned char)token.p[0] & 0xc0) == 0x80); /* no middle of a character */
        for (size_t at = 0; at < token.n; at++)
            backslashes += token.p[at] == '\\';
        assert_false(backslashes > 0 && token.p[token.n - 1] == '\\');
    }
    sb_arena_destroy(&arena);
}

static void a_long_answer_repeats_the_words(void **state)
{
    struct sim_words *words = sim_words_new(SB_SLICE_LIT("acme"));
    struct sim_text text = sim_words_text(words, 1000);
    SB_CLEANUP(sb_buf_release) struct sb_buf joined;
    SB_CLEANUP(sb_buf_release) struct sb_buf whole;

    (void)state;
    sb_buf_init(&joined, 1 << 16);
    sb_buf_init(&whole, 1 << 16);
    join(&text, &joined);
    assert_int_equal(sim_text_write(&text, &whole), SB_OK);
    assert_true(sb_slice_eq(sb_buf_slice(&joined), sb_buf_slice(&whole)));
    assert_true(sb_slice_starts_with(sb_buf_slice(&whole), SB_SLICE_LIT("acme here")));
    assert_true(sb_slice_eq(sim_text_token(&text, 0), sim_text_token(&text, text.period)));
    sim_words_destroy(&words);
}

static void tokens_of_a_size_have_it(void **state)
{
    struct sb_arena *arena = sb_arena_new(256);
    struct sim_text text = sim_text_of_size(arena, 100, 7);
    SB_CLEANUP(sb_buf_release) struct sb_buf whole;

    (void)state;
    sb_buf_init(&whole, 1 << 16);
    assert_int_equal(sim_text_write(&text, &whole), SB_OK);
    assert_int_equal(sb_buf_len(&whole), 700);
    assert_int_equal(sim_text_token(&text, 6).n, 100);
    sb_arena_destroy(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_at_spaces_and_in_long_words),
        cmocka_unit_test(never_cuts_an_escape_or_a_character),
        cmocka_unit_test(each_token_is_whole_characters),
        cmocka_unit_test(a_long_answer_repeats_the_words),
        cmocka_unit_test(tokens_of_a_size_have_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
