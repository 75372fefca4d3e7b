/* tests/unit/route/test_requirements.c - what is read from a body; what it is
 * refused for is shown by the cases of the page. */
#include "dataplane/route/content.h"
#include "proto/rules.h"
#include "tests/lib/random.h"
#include "tests/lib/route_ask.h"

#define BIT(parameter) (UINT64_C(1) << MSG_PARAMETER_##parameter)

struct fixture {
    struct world *world;
    struct ask *ask;
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));

    f->world = world_new("{'endpoints': [{'tag': 'acme'}]}");
    f->ask = ask_new(f->world);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    ask_free(&f->ask);
    world_free(&f->world);
    test_free(f);
    return 0;
}

static const struct dp_requirements *read_ok(struct fixture *f, const char *members)
{
    ask_write(f->ask, members);
    if (ask_read(f->ask) != SB_OK)
        fail_msg("%s: %s", members, f->ask->err.text);
    return &f->ask->requirements;
}

static int read_bad(struct fixture *f, enum msg_api api, const char *body)
{
    int rc;

    sb_buf_reset(&f->ask->body);
    for (; *body != '\0'; body++)
        assert_int_equal(sb_buf_append_byte(&f->ask->body, *body == '\'' ? '"' : *body), SB_OK);
    f->ask->api = api;
    rc = ask_read(f->ask);
    f->ask->api = MSG_API_CHAT;
    return rc;
}

static void every_known_member_is_found_plain_and_escaped(void **state)
{
    struct fixture *f = *state;

    for (int member = 0; member < DP_MEMBER_COUNT; member++) {
        const char *name = dp_member_name(member);
        struct sb_splice_member table[2];
        struct sb_splice doc;
        struct dp_content content;
        struct dp_requirements ask;
        char text[128];

        dp_content_init(&content, MSG_API_CHAT);
        for (int escaped = 0; escaped < 2; escaped++) {
            if (escaped)
                (void)snprintf(text, sizeof(text), "{\"\\u%04x%s\":null}", name[0], name + 1);
            else
                (void)snprintf(text, sizeof(text), "{\"%s\":null}", name);
            sb_splice_init(&doc, table, 2);
            assert_int_equal(sb_splice_scan(&doc, sb_slice_of(text), 8, NULL), SB_OK);
            /* refused for what is missing, after the members were found */
            assert_int_equal(dp_requirements_read(&doc, &content, NULL, &ask, NULL), SB_EINVAL);
            if (ask.at[member] != 1)
                fail_msg("%s was not found", text);
        }
        (void)snprintf(text, sizeof(text), "{\"%sx\":null}", name);
        sb_splice_init(&doc, table, 2);
        assert_int_equal(sb_splice_scan(&doc, sb_slice_of(text), 8, NULL), SB_OK);
        assert_int_equal(dp_requirements_read(&doc, &content, NULL, &ask, NULL), SB_EINVAL);
        for (int other = 0; other < DP_MEMBER_COUNT; other++)
            assert_true(ask.at[other] == 0 ||
                        strncmp(dp_member_name(other), name, strlen(name)) == 0);
    }
    (void)f;
}

static void a_plain_request_asks_for_text_and_nothing_else(void **state)
{
    const struct dp_requirements *ask = read_ok(*state, "");

    assert_int_equal(ask->n_models, 1);
    assert_true(sb_slice_is(ask->model[0], "m/a"));
    assert_false(ask->stream || ask->include_usage || ask->reasoning || ask->json_schema);
    assert_int_equal(ask->n, 1);
    assert_int_equal(ask->max_tokens, 0);
    assert_int_equal(ask->parameters, 0);
    assert_int_equal(ask->restricting, 0);
    assert_int_equal(ask->input_modalities, 1 << MSG_MODALITY_TEXT);
    assert_int_equal(ask->output_modalities, 1 << MSG_MODALITY_TEXT);
    assert_int_equal(ask->text_bytes, 2);
    assert_true(sb_slice_is(ask->first_user, "\"hi\""));
    assert_int_equal(ask->first_system.n, 0);
    assert_null(ask->rules);
}

static void parameters_are_those_that_are_there_and_not_null(void **state)
{
    const struct dp_requirements *ask =
        read_ok(*state, "'temperature': 0, 'top_p': null, 'stop': ['a'], 'logit_bias': {},"
                        "'max_completion_tokens': 7, 'tools': [], 'web_search_options': {}");

    assert_int_equal(ask->parameters, BIT(TEMPERATURE) | BIT(STOP) | BIT(LOGIT_BIAS) |
                                          BIT(MAX_TOKENS) | BIT(MAX_COMPLETION_TOKENS) |
                                          BIT(WEB_SEARCH_OPTIONS));
    assert_int_equal(ask->max_tokens, 7);
    assert_non_null(dp_requirements_member(ask, MSG_PARAMETER_TOP_P));
    assert_null(dp_requirements_member(ask, MSG_PARAMETER_MAX_TOKENS));
}

static void of_two_limits_the_larger_counts(void **state)
{
    assert_int_equal(read_ok(*state, "'max_tokens': 10, 'max_completion_tokens': 20")->max_tokens,
                     20);
    assert_int_equal(read_ok(*state, "'max_tokens': 30, 'max_completion_tokens': null")->max_tokens,
                     30);
}

static void streams_and_their_usage(void **state)
{
    const struct dp_requirements *ask =
        read_ok(*state, "'stream': true, 'stream_options': {'include_usage': true}");

    assert_true(ask->stream && ask->include_usage);
    ask = read_ok(*state, "'stream': false, 'stream_options': {'include_usage': false}");
    assert_false(ask->stream || ask->include_usage);
    ask = read_ok(*state, "'stream': null, 'stream_options': null");
    assert_false(ask->stream || ask->include_usage);
}

static void reasoning_is_asked_for_in_three_ways(void **state)
{
    assert_true(read_ok(*state, "'reasoning': {}")->reasoning);
    assert_true(read_ok(*state, "'reasoning': {'effort': 'low'}")->reasoning);
    assert_false(read_ok(*state, "'reasoning': {'effort': 'none'}")->reasoning);
    assert_false(read_ok(*state, "'reasoning': {'enabled': false}")->reasoning);
    assert_true(read_ok(*state, "'reasoning_effort': 'high'")->reasoning);
    assert_false(read_ok(*state, "'reasoning_effort': 'none'")->reasoning);
    assert_true(read_ok(*state, "'include_reasoning': true")->reasoning);
    assert_false(read_ok(*state, "'include_reasoning': false")->reasoning);
    assert_false(read_ok(*state, "'reasoning': null, 'reasoning_effort': null")->reasoning);
}

static void formats_and_tools_restrict(void **state)
{
    const struct dp_requirements *ask =
        read_ok(*state, "'response_format': {'type': 'json_schema', 'json_schema': {}},"
                        "'tools': [{}], 'verbosity': 'low', 'seed': 1");

    assert_true(ask->json_schema);
    assert_int_equal(ask->restricting,
                     BIT(RESPONSE_FORMAT) | BIT(STRUCTURED_OUTPUTS) | BIT(TOOLS) | BIT(VERBOSITY));
    assert_int_equal(read_ok(*state, "'response_format': {'type': 'text'}")->restricting, 0);
    assert_int_equal(read_ok(*state, "'response_format': {'type': 'json_object'}")->restricting,
                     BIT(RESPONSE_FORMAT));
}

static void text_is_counted_without_media(void **state)
{
    const struct dp_requirements *ask = read_ok(
        *state,
        "'messages': [{'role': 'system', 'content': '12345'},"
        "{'role': 'user', 'content': [{'type': 'text', 'text': '123'},"
        "  {'image_url': {'url': 'data:image/png;base64,AAAAAAAAAAAAAAAAAA'}, 'type': 'image_url'},"
        "  {'type': 'input_audio', 'input_audio': {'data': 'AAAAAAAAA'}}]},"
        "{'role': 'assistant', 'content': null, 'audio': {'id': 'x'},"
        "  'images': [{'type': 'image_url', 'image_url': {'url': 'AAAAAAAAAAAAAA'}}]}]");

    assert_int_equal(ask->text_bytes, 8);
    assert_int_equal(ask->images, 2);
    assert_int_equal(ask->audios, 1);
    assert_int_equal(ask->input_modalities,
                     1 << MSG_MODALITY_TEXT | 1 << MSG_MODALITY_IMAGE | 1 << MSG_MODALITY_AUDIO);
}

static void tool_calls_and_tools_are_text_too(void **state)
{
    const struct dp_requirements *ask = read_ok(
        *state, "'messages': [{'role': 'assistant', 'content': 'ab', 'tool_calls': [{'id': 'q'}]}],"
                "'tools': [{}]");

    assert_int_equal(ask->text_bytes, 2 + strlen("[{\"id\": \"q\"}]") + strlen("[{}]"));
}

static void unknown_parts_count_as_text(void **state)
{
    const struct dp_requirements *ask = read_ok(
        *state,
        "'messages': [{'role': 'user', 'content': [{'type': 'hologram', 'x': 1}, 'abc', 5]}]");

    assert_int_equal(ask->text_bytes,
                     strlen("{\"type\": \"hologram\", \"x\": 1}") + strlen("\"abc\"") + 1);
    assert_int_equal(ask->input_modalities, 1 << MSG_MODALITY_TEXT);
}

static void media_is_found_behind_escapes(void **state)
{
    const struct dp_requirements *ask = read_ok(
        *state,
        "'messages': [{'role': 'user', 'c\\u006fntent': [{'typ\\u0065': 'im\\u0061ge_url'}]}]");

    assert_int_equal(ask->input_modalities, 1 << MSG_MODALITY_IMAGE);
}

static void the_beginning_of_the_conversation_is_remembered(void **state)
{
    const struct dp_requirements *ask = read_ok(
        *state, "'messages': [{'content': 'be \\'brief\\'', 'role': 'developer'},"
                "{'role': 'system', 'content': 'later'}, {'role': 'assistant', 'content': 'x'},"
                "{'role': 'user', 'content': [{'type': 'text', 'text': 'one'}]},"
                "{'role': 'user', 'content': 'two'}]");

    assert_true(sb_slice_is(ask->first_system, "\"be \\\"brief\\\"\""));
    assert_true(sb_slice_is(ask->first_user, "[{\"type\": \"text\", \"text\": \"one\"}]"));
}

static void strings_with_backslashes_do_not_confuse_the_cursor(void **state)
{
    const struct dp_requirements *ask =
        read_ok(*state, "'messages': [{'role': 'user', 'content': 'a\\\\'}, {'role': 'user',"
                        "'content': '\\\\\\'}]'}, {'role': 'user', 'content': '{[\\'\\\\'}]");

    assert_int_equal(ask->text_bytes, 3 + 6 + 6);
}

static void sessions_users_and_cache_keys(void **state)
{
    const struct dp_requirements *ask =
        read_ok(*state, "'session_id': 's', 'user': 'u\\u0041', 'prompt_cache_key': 'k\\n'");

    assert_true(sb_slice_is(ask->session_id, "s"));
    assert_true(sb_slice_is(ask->user, "\"u\\u0041\""));
    assert_true(sb_slice_is(ask->prompt_cache_key, "k\n"));
}

static void rules_of_both_objects_are_read(void **state)
{
    const struct dp_requirements *ask =
        read_ok(*state, "'provider': {'zdr': true}, 'switchboard': {'pin': 'acme'}");

    assert_true(ask->rules->zdr);
    assert_true(sb_slice_is(ask->rules->pin, "acme"));
    assert_null(read_ok(*state, "'provider': null")->rules);
}

static void completions_and_embeddings_have_their_own_input(void **state)
{
    struct fixture *f = *state;
    const struct dp_requirements *ask = &f->ask->requirements;

    assert_int_equal(read_bad(f, MSG_API_COMPLETIONS, "{'model':'m','prompt':'abcd'}"), SB_OK);
    assert_int_equal(ask->text_bytes, 4);
    assert_int_equal(read_bad(f, MSG_API_COMPLETIONS, "{'model':'m','prompt':[1,2,3]}"), SB_OK);
    assert_int_equal(ask->text_bytes, 7);
    assert_int_equal(ask->n, 1);
    assert_int_equal(read_bad(f, MSG_API_EMBEDDINGS, "{'model':'m','input':['a','b']}"), SB_OK);
    assert_int_equal(ask->n, 1);
    assert_int_equal(read_bad(f, MSG_API_EMBEDDINGS, "{'model':'m','input':['a','b']}"), SB_OK);
    assert_int_equal(ask->output_modalities, 1 << MSG_MODALITY_EMBEDDINGS);
    assert_int_equal(read_bad(f, MSG_API_EMBEDDINGS, "{'model':'m','input':[]}"), SB_EINVAL);
    assert_int_equal(read_bad(f, MSG_API_EMBEDDINGS, "{'model':'m','input':5}"), SB_EINVAL);
    assert_int_equal(read_bad(f, MSG_API_EMBEDDINGS, "{'model':'m'}"), SB_EINVAL);
    assert_string_equal(f->ask->err.text, "input: missing");
    assert_int_equal(read_bad(f, MSG_API_COMPLETIONS, "{'model':'m','messages':[{}]}"), SB_EINVAL);
}

static void every_prompt_of_a_list_has_its_own_answers(void **state)
{
    static const struct {
        const char *body;
        uint32_t n;
    } rows[] = {
        {"{'model':'m','prompt':['a','b','c']}", 3},
        {"{'model':'m','prompt':['a','b'],'n':2}", 4},
        {"{'model':'m','prompt':[[1,2],[3,4]]}", 2},
        {"{'model':'m','prompt':[1,2,3],'n':2}", 2},
        {"{'model':'m','prompt':'a,b'}", 1},
        {"{'model':'m','prompt':['a','b'],'n':4294967295}", UINT32_MAX},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < SB_ARRAY_LEN(rows); i++) {
        assert_int_equal(read_bad(f, MSG_API_COMPLETIONS, rows[i].body), SB_OK);
        assert_int_equal(f->ask->requirements.n, rows[i].n);
    }
}

static void wrong_types_are_refused_by_name(void **state)
{
    static const char *const wrong[] = {
        "'stream_options': []",
        "'stream_options': {'include_usage': 1}",
        "'max_tokens': 1.5",
        "'max_tokens': -1",
        "'max_completion_tokens': {}",
        "'n': '2'",
        "'reasoning': true",
        "'response_format': 'json'",
        "'session_id': 5",
        "'prompt_cache_key': []",
        "'modalities': 'text'",
        "'modalities': []",
        "'models': ['a', 5]",
        "'models': ['']",
        "'model': 'm\\u0000n'",
        "'provider': 'acme'",
        "'switchboard': 5",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char name[32];

        ask_write(f->ask, wrong[i]);
        if (ask_read(f->ask) != SB_EINVAL)
            fail_msg("%s was taken", wrong[i]);
        (void)snprintf(name, sizeof(name),
                       "%.*s:", (int)(strchr(wrong[i] + 1, '\'') - wrong[i]) - 1, wrong[i] + 1);
        if (strncmp(f->ask->err.text, name, strlen(name)) != 0)
            fail_msg("%s: %s", wrong[i], f->ask->err.text);
    }
}

static void a_message_that_is_none_is_refused_with_its_place(void **state)
{
    static const struct {
        const char *messages, *place;
    } wrong[] = {
        {"5", "messages: "},
        {"[]", "messages: "},
        {"['hi']", "messages[0]: "},
        {"[{}]", "messages[0].role: "},
        {"[{'role':'user','content':'a'},{'content':'b'}]", "messages[1].role: "},
        {"[{'role':null,'content':'a'}]", "messages[0].role: "},
        {"[{'content':'a','role':5}]", "messages[0].role: "},
        {"[{'role':'user','content':5}]", "messages[0].content: "},
        {"[{'role':'user','content':true}]", "messages[0].content: "},
    };
    struct fixture *f = *state;
    char text[128];

    for (size_t i = 0; i < SB_ARRAY_LEN(wrong); i++) {
        (void)snprintf(text, sizeof(text), "'messages': %s", wrong[i].messages);
        ask_write(f->ask, text);
        if (ask_read(f->ask) != SB_EINVAL)
            fail_msg("%s was taken", text);
        if (strncmp(f->ask->err.text, wrong[i].place, strlen(wrong[i].place)) != 0)
            fail_msg("%s: %s", text, f->ask->err.text);
    }
    (void)read_ok(f, "'messages': [{'role':'assistant','content':null,'tool_calls':[]}]");
    (void)read_ok(f, "'messages': [{'role':'assistant'}]");
}

/* Any valid JSON in any member: an answer, never a crash, and the same one. */
static void random_bodies_are_read_or_refused(void **state)
{
    static const char *const values[] = {
        "null",
        "true",
        "5",
        "-1.5e3",
        "''",
        "'a\\\\'",
        "[]",
        "{}",
        "[[]]",
        "{'a':{'b':[1,'}']}}",
        "['a',{'type':'image_url'}]",
        "[{'role':'user','content':[{'type':'text'}]}]",
        "[{'content':{'type':'file'}},{'role':[]}]",
        "{'type':'json_schema'}",
        "{'zdr':true}",
    };
    struct fixture *f = *state;
    uint64_t seed = 7;
    unsigned taken = 0;

    for (int round = 0; round < 3000; round++) {
        char members[2048];
        size_t n = 0;
        int last = -1;

        members[0] = '\0';
        for (int member = 0; member < DP_MEMBER_COUNT; member++) {
            if (random_below(&seed, 12) != 0 || n > sizeof(members) - 200)
                continue;
            n += (size_t)snprintf(members + n, sizeof(members) - n, "%s'%s':%s",
                                  last < 0 ? "" : ",", dp_member_name(member),
                                  values[random_below(&seed, sizeof(values) / sizeof(values[0]))]);
            last = member;
        }
        ask_write(f->ask, members);
        if (ask_read(f->ask) == SB_OK) {
            taken++;
            (void)ask_decide(f->ask);
        } else {
            assert_true(strlen(f->ask->err.text) > 5);
        }
    }
    assert_true(taken > 50);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_known_member_is_found_plain_and_escaped),
        TEST(a_plain_request_asks_for_text_and_nothing_else),
        TEST(parameters_are_those_that_are_there_and_not_null),
        TEST(of_two_limits_the_larger_counts),
        TEST(streams_and_their_usage),
        TEST(reasoning_is_asked_for_in_three_ways),
        TEST(formats_and_tools_restrict),
        TEST(text_is_counted_without_media),
        TEST(tool_calls_and_tools_are_text_too),
        TEST(unknown_parts_count_as_text),
        TEST(media_is_found_behind_escapes),
        TEST(the_beginning_of_the_conversation_is_remembered),
        TEST(strings_with_backslashes_do_not_confuse_the_cursor),
        TEST(sessions_users_and_cache_keys),
        TEST(rules_of_both_objects_are_read),
        TEST(completions_and_embeddings_have_their_own_input),
        TEST(every_prompt_of_a_list_has_its_own_answers),
        TEST(wrong_types_are_refused_by_name),
        TEST(a_message_that_is_none_is_refused_with_its_place),
        TEST(random_bodies_are_read_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
