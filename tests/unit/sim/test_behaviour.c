/* tests/unit/sim/test_behaviour.c */
#include "tests/sim/behaviour.h"

#include "common/buf.h"
#include "common/json.h"
#include "tests/lib/test.h"

static int apply(struct sim_behaviour *behaviour, const char *text,
                 const struct sim_behaviour *start, struct sb_errmsg *err)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;

    assert_int_equal(sb_json_read(sb_slice_of(text), 1 << 20, &doc, NULL), SB_OK);
    return sim_behaviour_apply(behaviour, yyjson_doc_get_root(doc), start, NULL, err);
}

static void every_knob_has_a_default_that_it_takes(void **state)
{
    SB_CLEANUP(sim_behaviour_unref) struct sim_behaviour *behaviour = sim_behaviour_new();

    (void)state;
    assert_int_equal(behaviour->tokens, 50);
    assert_int_equal(behaviour->cut_after, -1);
    assert_int_equal(behaviour->fail.status, 0);
    assert_null(behaviour->content);
}

static void takes_each_type_from_json(void **state)
{
    SB_CLEANUP(sim_behaviour_unref) struct sim_behaviour *behaviour = sim_behaviour_new();
    struct sb_errmsg err;

    (void)state;
    assert_int_equal(apply(behaviour,
                           "{\"tokens\":7,\"cut-after\":0,\"tokens_per_s\":12.5,\"hang\":1,"
                           "\"no_usage\":true,\"content\":\"hi\",\"fail\":\"503:0.25\","
                           "\"framing\":\"close\"}",
                           behaviour, &err),
                     SB_OK);
    assert_int_equal(behaviour->tokens, 7);
    assert_int_equal(behaviour->cut_after, 0);
    assert_true(behaviour->tokens_per_s == 12.5);
    assert_true(behaviour->hang == 1);
    assert_true(behaviour->no_usage);
    assert_string_equal(behaviour->content, "hi");
    assert_int_equal(behaviour->fail.status, 503);
    assert_true(behaviour->fail.rate == 0.25);
    assert_string_equal(behaviour->framing, "close");
}

static void a_bare_status_fails_always(void **state)
{
    SB_CLEANUP(sim_behaviour_unref) struct sim_behaviour *behaviour = sim_behaviour_new();
    struct sb_errmsg err;

    (void)state;
    assert_int_equal(apply(behaviour, "{\"fail\":429}", behaviour, &err), SB_OK);
    assert_int_equal(behaviour->fail.status, 429);
    assert_true(behaviour->fail.rate == 1);
}

static void null_gives_the_value_of_the_start(void **state)
{
    SB_CLEANUP(sim_behaviour_unref) struct sim_behaviour *start = sim_behaviour_new();
    SB_CLEANUP(sim_behaviour_unref) struct sim_behaviour *behaviour = NULL;
    struct sb_errmsg err;

    (void)state;
    assert_int_equal(sim_behaviour_set(start, SIM_KNOB_content, "from the flags", &err), SB_OK);
    assert_int_equal(sim_behaviour_set(start, SIM_KNOB_tokens, "3", &err), SB_OK);
    behaviour = sim_behaviour_copy(start);
    assert_int_equal(apply(behaviour, "{\"content\":\"other\",\"tokens\":9}", start, &err), SB_OK);
    assert_string_equal(start->content, "from the flags");
    assert_int_equal(apply(behaviour, "{\"content\":null,\"tokens\":null}", start, &err), SB_OK);
    assert_string_equal(behaviour->content, "from the flags");
    assert_int_equal(behaviour->tokens, 3);
}

static void names_what_it_refuses(void **state)
{
    static const struct {
        const char *json, *word;
    } cases[] = {
        {"{\"no_such\":1}", "no_such"},
        {"{\"tokens\":\"many\"}", "tokens"},
        {"{\"tokens\":-1}", "0 to 100000000"},
        {"{\"hang\":1.5}", "0 to 1"},
        {"{\"fail\":\"500:2\"}", "STATUS"},
        {"{\"fail\":200}", "STATUS"},
        {"{\"no_usage\":1}", "true or false"},
        {"{\"framing\":\"odd\"}", "chunked"},
        {"{\"content\":[]}", "content"},
        {"{\"content\":\"a\\u0000b\"}", "content"},
        {"{\"tokens\":1.5}", "tokens"},
        {"[]", "object"},
        {"{\"tokens_per_s\":-1}", "tokens_per_s"},
    };
    SB_CLEANUP(sim_behaviour_unref) struct sim_behaviour *behaviour = sim_behaviour_new();

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        struct sb_errmsg err = {.text = ""};

        assert_int_equal(apply(behaviour, cases[i].json, behaviour, &err), SB_EINVAL);
        assert_non_null(strstr(err.text, cases[i].word));
    }
    assert_int_equal(behaviour->tokens, 50);
}

static void what_it_shows_can_be_applied_again(void **state)
{
    SB_CLEANUP(sim_behaviour_unref) struct sim_behaviour *behaviour = sim_behaviour_new();
    SB_CLEANUP(sim_behaviour_unref) struct sim_behaviour *again = sim_behaviour_new();
    SB_CLEANUP(sb_buf_release) struct sb_buf text;
    struct sb_errmsg err;
    struct sb_json json;

    (void)state;
    sb_buf_init(&text, 1 << 16);
    assert_int_equal(apply(behaviour,
                           "{\"fail\":\"500:0.5\",\"tokens\":4,\"reset\":true,\"jitter\":0.1,"
                           "\"error_code\":\"x\"}",
                           behaviour, &err),
                     SB_OK);
    sb_json_init(&json, &text);
    sim_behaviour_show(behaviour, &json);
    assert_int_equal(sb_json_end(&json), SB_OK);
    assert_int_equal(sb_buf_append_byte(&text, '\0'), SB_OK);
    assert_int_equal(apply(again, sb_buf_slice(&text).p, behaviour, &err), SB_OK);
    assert_int_equal(again->fail.status, 500);
    assert_true(again->fail.rate == 0.5);
    assert_int_equal(again->tokens, 4);
    assert_true(again->reset);
    assert_true(again->jitter == 0.1);
    assert_string_equal(again->error_code, "x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_knob_has_a_default_that_it_takes),
        cmocka_unit_test(takes_each_type_from_json),
        cmocka_unit_test(a_bare_status_fails_always),
        cmocka_unit_test(null_gives_the_value_of_the_start),
        cmocka_unit_test(names_what_it_refuses),
        cmocka_unit_test(what_it_shows_can_be_applied_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
