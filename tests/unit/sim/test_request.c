/* tests/unit/sim/test_request.c */
#include "tests/sim/request.h"

#include "tests/lib/test.h"
#include "tests/sim/error.h"

static struct sim_request read_well(enum sim_kind kind, const char *body)
{
    struct sim_request request;
    struct sim_error error = {.message = ""};

    if (sim_request_read(&request, kind, sb_slice_of(body), &error) != 0)
        fail_msg("%s: %s", body, error.message);
    return request;
}

static void targets_tell_the_kind(void **state)
{
    static const struct {
        const char *path;
        enum sim_kind kind;
    } cases[] = {
        {"/v1/chat/completions", SIM_CHAT},
        {"/openai/deployments/x/chat/completions", SIM_CHAT},
        {"/v1/completions", SIM_COMPLETION},
        {"/v1/embeddings", SIM_EMBEDDINGS},
        {"/v1/models", SIM_MODEL_LIST},
        {"/v1/models/a/b", SIM_MODEL_ENTRY},
        {"/v1/models/", SIM_NO_KIND},
        {"/v1/other", SIM_NO_KIND},
        {"", SIM_NO_KIND},
    };
    struct sb_slice model = SB_SLICE_NONE;

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++)
        assert_int_equal(sim_kind_of(sb_slice_of(cases[i].path), &model), cases[i].kind);
    assert_true(sb_slice_is(model, "a/b"));
}

static void a_chat_is_read(void **state)
{
    struct sim_request request = read_well(
        SIM_CHAT, "{\"model\":\"m\",\"messages\":[{}],\"stream\":true,\"n\":2,\"max_tokens\":9,"
                  "\"stream_options\":{\"include_usage\":true},\"tools\":[1],\"unknown\":1}");

    (void)state;
    assert_true(sb_slice_is(request.model, "\"m\""));
    assert_true(sb_slice_is(request.messages, "[{}]"));
    assert_true(sb_slice_is(request.tools, "[1]"));
    assert_true(request.stream);
    assert_true(request.include_usage);
    assert_int_equal(request.n, 2);
    assert_int_equal(request.max_tokens, 9);
}

static void null_is_as_absent(void **state)
{
    struct sim_request request =
        read_well(SIM_CHAT, "{\"model\":\"m\",\"messages\":[{}],\"stream\":null,\"n\":null,"
                            "\"max_tokens\":null,\"stream_options\":null,\"tools\":null}");

    (void)state;
    assert_false(request.stream);
    assert_int_equal(request.n, 1);
    assert_int_equal(request.max_tokens, -1);
    assert_int_equal(request.tools.n, 0);
}

static void embeddings_are_read(void **state)
{
    struct sim_request request =
        read_well(SIM_EMBEDDINGS, "{\"model\":\"m\",\"input\":[\"a\",\"b\"],\"dimensions\":8,"
                                  "\"encoding_format\":\"base64\"}");

    (void)state;
    assert_true(sb_slice_is(request.input, "[\"a\",\"b\"]"));
    assert_int_equal(request.dimensions, 8);
    assert_true(request.base64);
}

static void wrong_bodies_are_400_and_name_the_member(void **state)
{
    static const struct {
        enum sim_kind kind;
        const char *body, *param;
    } cases[] = {
        {SIM_CHAT, "", NULL},
        {SIM_CHAT, "{\"model\":\"m\",\"messages\":[{}]", NULL},
        {SIM_CHAT, "[]", NULL},
        {SIM_CHAT, "{\"messages\":[{}]}", NULL},
        {SIM_CHAT, "{\"model\":7,\"messages\":[{}]}", "model"},
        {SIM_CHAT, "{\"model\":\"m\"}", "messages"},
        {SIM_CHAT, "{\"model\":\"m\",\"messages\":[ ]}", "messages"},
        {SIM_CHAT, "{\"model\":\"m\",\"messages\":{}}", "messages"},
        {SIM_CHAT, "{\"model\":\"m\",\"messages\":[{}],\"stream\":\"yes\"}", "stream"},
        {SIM_CHAT, "{\"model\":\"m\",\"messages\":[{}],\"max_tokens\":0}", "max_tokens"},
        {SIM_CHAT, "{\"model\":\"m\",\"messages\":[{}],\"max_tokens\":1.5}", "max_tokens"},
        {SIM_CHAT, "{\"model\":\"m\",\"messages\":[{}],\"n\":129}", "n"},
        {SIM_CHAT, "{\"model\":\"m\",\"messages\":[{}],\"stream_options\":1}", "stream_options"},
        {SIM_CHAT, "{\"model\":\"m\",\"messages\":[{}],\"stream_options\":{\"include_usage\":1}}",
         "stream_options.include_usage"},
        {SIM_COMPLETION, "{\"model\":\"m\",\"prompt\":7}", "prompt"},
        {SIM_EMBEDDINGS, "{\"model\":\"m\"}", "input"},
        {SIM_EMBEDDINGS, "{\"model\":\"m\",\"input\":[]}", "input"},
        {SIM_EMBEDDINGS, "{\"model\":\"m\",\"input\":\"a\",\"encoding_format\":\"x\"}",
         "encoding_format"},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        struct sim_request request;
        struct sim_error error = {.message = ""};

        assert_int_equal(
            sim_request_read(&request, cases[i].kind, sb_slice_of(cases[i].body), &error), 400);
        assert_true(strlen(error.message) > 0);
        if (cases[i].param == NULL)
            assert_null(error.param);
        else
            assert_string_equal(error.param, cases[i].param);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_tell_the_kind),
        cmocka_unit_test(a_chat_is_read),
        cmocka_unit_test(null_is_as_absent),
        cmocka_unit_test(embeddings_are_read),
        cmocka_unit_test(wrong_bodies_are_400_and_name_the_member),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
