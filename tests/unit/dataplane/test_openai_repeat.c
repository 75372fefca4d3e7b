/* tests/unit/dataplane/test_openai_repeat.c - chunks that differ in their text
 * alone; see also fuzz_openai_chunks. */
#include "dataplane/dialect/openai_repeat.h"

#include "tests/lib/chunks_run.h"
#include "tests/lib/test.h"

#define CHUNK(content)                                                                             \
    "{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\","           \
    "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" content "\"},\"finish_reason\":null}]}"

static void feed(struct chunks_run *run, const char *text)
{
    const char *wrong = chunks_run_feed(run, sb_slice_of(text));

    if (wrong != NULL)
        fail_msg("%s: %s is not as if it had been read in full", text, wrong);
}

static bool is_recognised(const struct chunks_run *run, const char *text)
{
    struct sb_slice content;

    return dp_openai_repeat_is(run->in[0].repeat, sb_slice_of(text), &content);
}

static void a_chunk_with_another_text_is_recognised(void **state)
{
    static const char *const texts[] = {
        CHUNK(" world"),
        CHUNK(""),
        CHUNK("\\n"),
        CHUNK("\xc3\xa4\xe2\x82\xac"),
        CHUNK("\\\""),
        CHUNK("\\ud83d\\ude00"),
        CHUNK("a text that is longer than a block of sixteen bytes, and than two of them")};
    struct chunks_run run;

    (void)state;
    chunks_run_init(&run);
    assert_false(is_recognised(&run, CHUNK("Hello")));
    feed(&run, CHUNK("Hello"));
    for (size_t i = 0; i < SB_ARRAY_LEN(texts); i++) {
        assert_true(is_recognised(&run, texts[i]));
        feed(&run, texts[i]);
    }
    chunks_run_release(&run);
}

static void a_chunk_that_differs_in_anything_else_is_read_in_full(void **state)
{
    static const char *const texts[] = {
        CHUNK("a") " ",
        CHUNK("a\"b"), /* ends its string early */
        CHUNK("a\\"),  /* and this one late */
        CHUNK("\x01"),
        CHUNK("\xc3"),
        CHUNK("\\ud83d"),
        CHUNK("b\"},\"finish_reason\":\"stop\"},{\"index\":1,\"delta\":{\"content\":\"c"),
        "{\"id\":\"c1\"",
        "",
        "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}",
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(texts); i++) {
        struct chunks_run run;

        chunks_run_init(&run);
        feed(&run, CHUNK("Hello"));
        assert_false(is_recognised(&run, texts[i]));
        feed(&run, texts[i]);
        feed(&run, CHUNK("again"));
        chunks_run_release(&run);
    }
}

/* The text is looked for in what was written: "m" is there twice. */
static void a_text_whose_place_is_not_plain_is_not_kept(void **state)
{
    struct chunks_run run;

    (void)state;
    chunks_run_init(&run);
    feed(&run, CHUNK("index"));
    assert_false(is_recognised(&run, CHUNK("Hello")));
    feed(&run, CHUNK("Hello"));
    assert_true(is_recognised(&run, CHUNK("index")));
    feed(&run, CHUNK("index"));
    chunks_run_release(&run);
}

static void what_is_too_long_is_not_kept(void **state)
{
    static char text[4096];
    struct chunks_run run;
    int n = snprintf(text, sizeof(text), "{\"id\":\"%01100d\",\"x\":\"%01100d\",%s", 1, 2,
                     &CHUNK("long")[1]);

    (void)state;
    assert_true(n > 2200 && (size_t)n < sizeof(text));
    chunks_run_init(&run);
    feed(&run, text);
    feed(&run, text);
    assert_false(is_recognised(&run, text));
    chunks_run_release(&run);
}

/* Tool calls, two strings, usage, a finish reason: there is more in them than
 * a text. */
static void only_plain_text_is_kept(void **state)
{
    static const char *const texts[] = {
        "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\",\"tool_calls\":[{}]},"
        "\"finish_reason\":null}]}",
        "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\",\"reasoning\":\"y\"},"
        "\"finish_reason\":null}]}",
        "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":null}],"
        "\"usage\":{\"prompt_tokens\":1}}",
        "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}",
        "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":null},"
        "{\"index\":1,\"delta\":{},\"finish_reason\":null}]}",
        "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\",\"audio\":null},"
        "\"finish_reason\":null}]}",
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(texts); i++) {
        struct chunks_run run;

        chunks_run_init(&run);
        feed(&run, texts[i]);
        assert_false(is_recognised(&run, texts[i]));
        feed(&run, texts[i]);
        chunks_run_release(&run);
    }
}

/* Every byte of a chunk replaced by others, before a sound one. */
static void nothing_that_is_one_byte_off_is_taken_for_a_repetition(void **state)
{
    static const char good[] = CHUNK("Hello"), others[] = "\"\\ {}[],:n0\x80\x01";
    char text[sizeof(good)];
    struct chunks_run run;

    (void)state;
    chunks_run_init(&run);
    for (size_t i = 0; i < sizeof(good) - 1; i++) {
        for (size_t k = 0; k < sizeof(others) - 1; k++) {
            feed(&run, good);
            memcpy(text, good, sizeof(good));
            text[i] = others[k];
            feed(&run, text);
        }
    }
    chunks_run_release(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chunk_with_another_text_is_recognised),
        cmocka_unit_test(a_chunk_that_differs_in_anything_else_is_read_in_full),
        cmocka_unit_test(a_text_whose_place_is_not_plain_is_not_kept),
        cmocka_unit_test(what_is_too_long_is_not_kept),
        cmocka_unit_test(only_plain_text_is_kept),
        cmocka_unit_test(nothing_that_is_one_byte_off_is_taken_for_a_repetition),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
