/* tests/unit/dataplane/test_openai.c - the openai dialect: what goes to a
 * provider, and what comes of its answers. */
#include "dataplane/dialect.h"

#include "common/arena.h"
#include "common/err.h"
#include "common/json.h"
#include "dataplane/route/content.h"
#include "tests/lib/test.h"

static const struct dp_dialect *const openai = &dp_dialect_openai;

/* --- requests ---------------------------------------------------------------- */

/* The body that goes out for a client's body. */
static char *encode(enum msg_api api, const char *body, struct dp_outgoing outgoing)
{
    static char text[4096];
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(8192);
    struct sb_splice_member members[SB_SPLICE_MEMBERS];
    struct dp_pieces pieces = {.n = 0};
    struct dp_requirements ask;
    struct dp_content content;
    size_t n = 0;
    struct sb_errmsg err;
    struct sb_splice doc;

    dp_content_init(&content, api);
    sb_splice_init(&doc, members, SB_SPLICE_MEMBERS);
    assert_int_equal(
        sb_splice_visit(&doc, sb_slice_of(body), SB_SPLICE_DEPTH, &content.visitor, NULL), SB_OK);
    assert_int_equal(dp_requirements_read(&doc, &content, arena, &ask, &err), SB_OK);
    outgoing.ask = &ask;
    outgoing.arena = arena;
    if (outgoing.model_json.n == 0)
        outgoing.model_json = SB_SLICE_LIT("\"up\"");
    assert_int_equal(openai->encode(&outgoing, &pieces), SB_OK);
    for (size_t i = DP_PIECES_HEAD; i < pieces.n; i++) {
        assert_true(pieces.list[i].n < sizeof(text) - n);
        memcpy(text + n, pieces.list[i].p, pieces.list[i].n);
        n += pieces.list[i].n;
    }
    text[n] = '\0';
    return text;
}

#define MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static void only_the_model_changes_in_a_plain_request(void **state)
{
    (void)state;
    assert_string_equal(encode(MSG_API_CHAT,
                               "{ \"model\" : \"a/b\", " MESSAGES ", \"x_new\": 1e2 }",
                               (struct dp_outgoing){.drop = 0}),
                        "{ \"model\" : \"up\", " MESSAGES ", \"x_new\": 1e2 }");
}

static void gateway_members_never_leave(void **state)
{
    (void)state;
    assert_string_equal(
        encode(MSG_API_CHAT,
               "{\"model\":\"a/b\",\"models\":[\"c/d\"],\"provider\":{\"zdr\":true},"
               "\"switchboard\":{\"explain\":true},\"session_id\":\"s\"," MESSAGES "}",
               (struct dp_outgoing){.drop = 0}),
        "{\"model\":\"up\"," MESSAGES "}");
}

static void the_user_goes_out_as_a_hash_or_not_at_all(void **state)
{
    (void)state;
    assert_string_equal(encode(MSG_API_CHAT, "{\"model\":\"a/b\",\"user\":\"eve\"," MESSAGES "}",
                               (struct dp_outgoing){.user_json = SB_SLICE_INIT("\"00ff\"")}),
                        "{\"model\":\"up\",\"user\":\"00ff\"," MESSAGES "}");
    assert_string_equal(encode(MSG_API_CHAT, "{\"model\":\"a/b\",\"user\":\"eve\"," MESSAGES "}",
                               (struct dp_outgoing){.drop = 0}),
                        "{\"model\":\"up\"," MESSAGES "}");
}

static void a_stream_always_asks_for_its_usage(void **state)
{
    static const char *const cases[][2] = {
        {"{\"model\":\"a/b\",\"stream\":true," MESSAGES "}",
         "{\"model\":\"up\",\"stream\":true," MESSAGES
         ",\"stream_options\":{\"include_usage\":true}}"},
        {"{\"model\":\"a/"
         "b\",\"stream\":true,\"stream_options\":{\"include_usage\":false,\"k\":1}," MESSAGES "}",
         "{\"model\":\"up\",\"stream\":true,\"stream_options\":{\"include_usage\":true,\"k\":1}"
         "," MESSAGES "}"},
        {"{\"model\":\"a/b\",\"stream\":true,\"stream_options\":null," MESSAGES "}",
         "{\"model\":\"up\",\"stream\":true,\"stream_options\":{\"include_usage\":true}," MESSAGES
         "}"},
        {"{\"model\":\"a/b\",\"stream\":false," MESSAGES "}",
         "{\"model\":\"up\",\"stream\":false," MESSAGES "}"},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++)
        assert_string_equal(encode(MSG_API_CHAT, cases[i][0], (struct dp_outgoing){.drop = 0}),
                            cases[i][1]);
}

static void unsupported_parameters_are_cut_and_limits_renamed(void **state)
{
    (void)state;
    assert_string_equal(
        encode(MSG_API_CHAT,
               "{\"model\":\"a/b\",\"seed\":7,\"max_tokens\":9,\"top_k\":3," MESSAGES "}",
               (struct dp_outgoing){.drop = UINT64_C(1) << MSG_PARAMETER_SEED |
                                            UINT64_C(1) << MSG_PARAMETER_TOP_K,
                                    .limit_member = "max_completion_tokens"}),
        "{\"model\":\"up\"," MESSAGES ",\"max_completion_tokens\":9}");
}

static void a_limit_of_null_does_not_hide_the_real_one(void **state)
{
    static const struct {
        const char *members, *expected;
    } cases[] = {
        {"\"max_completion_tokens\":null,\"max_tokens\":9,", "\"max_completion_tokens\":9,"},
        {"\"max_tokens\":9,\"max_completion_tokens\":8,", "\"max_completion_tokens\":8,"},
        {"\"max_tokens\":null,\"max_completion_tokens\":8,", "\"max_completion_tokens\":8,"},
        {"\"max_tokens\":null,", ""},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        char body[256], expected[256];

        (void)snprintf(body, sizeof(body), "{\"model\":\"a/b\",%s" MESSAGES "}", cases[i].members);
        (void)snprintf(expected, sizeof(expected), "{\"model\":\"up\",%s" MESSAGES "}",
                       cases[i].expected);
        assert_string_equal(encode(MSG_API_CHAT, body,
                                   (struct dp_outgoing){.limit_member = "max_completion_tokens"}),
                            expected);
    }
}

/* --- answers ----------------------------------------------------------------- */

static struct dp_incoming incoming(enum msg_api api, struct sb_arena *arena)
{
    return (struct dp_incoming){
        .api = api,
        .n = 1,
        .id_json = SB_SLICE_INIT("\"gen-1\""),
        .model_json = SB_SLICE_INIT("\"a/b\""),
        .provider_json = SB_SLICE_INIT("\"Acme\""),
        .created = 1700000000,
        .arena = arena,
    };
}

static void a_whole_answer_gets_our_names_and_usage(void **state)
{
    static const char body[] =
        "{\"id\":\"x\",\"object\":\"chat.completion\",\"created\":5,\"model\":\"up\",\"choices\":["
        "{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"hey\"},"
        "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":3,"
        "\"prompt_tokens_details\":{\"cached_tokens\":4}},\"system_fingerprint\":null}";
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(8192);
    SB_CLEANUP(sb_buf_release) struct sb_buf out;
    struct dp_incoming in = incoming(MSG_API_CHAT, arena);

    (void)state;
    sb_buf_init(&out, 4096);
    assert_int_equal(openai->read_answer(&in, sb_slice_of(body)), SB_OK);
    assert_true(in.has_content);
    assert_int_equal(in.finished, 1);
    assert_true(sb_slice_is(in.finish_reason, "stop"));
    assert_int_equal(in.usage.prompt_tokens, 11);
    assert_int_equal(in.usage.cached_tokens, 4);
    assert_int_equal(in.usage.source, MSG_USAGE_SOURCE_PROVIDER);
    in.usage_json = SB_SLICE_LIT("{\"cost\":1}");
    assert_int_equal(openai->write_answer(&in, &out), SB_OK);
    assert_true(sb_slice_is(
        sb_buf_slice(&out),
        "{\"id\":\"gen-1\",\"object\":\"chat.completion\",\"created\":5,\"model\":\"a/b\","
        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"hey\"},"
        "\"finish_reason\":\"stop\"}],\"usage\":{\"cost\":1},\"system_fingerprint\":null,"
        "\"provider\":\"Acme\"}"));
}

static void what_is_no_answer_is_told_from_an_error_in_a_200(void **state)
{
    static const struct {
        const char *body;
        int rc;
        bool has_error;
        int status;
        const char *message;
    } cases[] = {
        {"", SB_EPARSE, false, 0, ""},
        {"<html>", SB_EPARSE, false, 0, ""},
        {"{}", SB_EPARSE, false, 0, ""},
        {"{\"choices\":[]}", SB_EPARSE, false, 0, ""},
        {"{\"choices\":null}", SB_EPARSE, false, 0, ""},
        {"{\"error\":{\"message\":\"no\",\"code\":429}}", SB_OK, true, 429, "no"},
        {"{\"error\":\"plain\"}", SB_OK, true, 0, "plain"},
        {"{\"choices\":[],\"error\":{\"message\":\"late\"}}", SB_OK, true, 0, "late"},
        {"{\"error\":{\"message\":\"no\",\"code\":429,\"type\":\"requests\"}}", SB_OK, true, 429,
         "no"},
        {"{\"choices\":[{\"index\":0,\"message\":{},\"finish_reason\":\"error\"}]}", SB_OK, true, 0,
         ""},
        {"{\"choices\":[{\"index\":0,\"message\":{},\"finish_reason\":\"error\","
         "\"error\":{\"code\":502,\"message\":\"lost\"}}]}",
         SB_OK, true, 502, "lost"},
        {"{\"choices\":[{\"index\":0,\"message\":{},\"finish_reason\":\"stop\",\"error\":null}]}",
         SB_OK, false, 0, ""},
        {"{\"choices\":[{\"index\":0,\"message\":{},\"finish_reason\":\"stop\"}],\"error\":null}",
         SB_OK, false, 0, ""},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(8192);
        struct dp_incoming in = incoming(MSG_API_CHAT, arena);

        assert_int_equal(openai->read_answer(&in, sb_slice_of(cases[i].body)), cases[i].rc);
        assert_int_equal(in.has_error, cases[i].has_error);
        assert_int_equal(in.error_status, cases[i].status);
        assert_true(sb_slice_is(in.error_message, cases[i].message));
    }
}

/* --- streams ----------------------------------------------------------------- */

static void feed(struct dp_incoming *in, const char *data, struct sb_buf *out)
{
    const struct sb_sse_event event = {.data = sb_slice_of(data), .has_data = true};

    assert_int_equal(openai->on_event(in, &event, out), SB_OK);
}

static void a_stream_is_rewritten_and_its_usage_kept_for_the_end(void **state)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(8192);
    SB_CLEANUP(sb_buf_release) struct sb_buf out;
    struct dp_incoming in = incoming(MSG_API_CHAT, arena);

    (void)state;
    sb_buf_init(&out, 8192);
    feed(&in,
         "{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":5,\"model\":\"up\","
         "\"system_fingerprint\":null,\"usage\":null,\"choices\":[{\"index\":0,\"delta\":"
         "{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}",
         &out);
    assert_false(in.has_content);
    assert_true(
        sb_slice_is(sb_buf_slice(&out),
                    "data: {\"id\":\"gen-1\",\"object\":\"chat.completion.chunk\",\"created\":5,"
                    "\"model\":\"a/b\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\","
                    "\"content\":\"\"},\"finish_reason\":null}],\"provider\":\"Acme\"}\n\n"));
    sb_buf_reset(&out);
    feed(&in,
         "{\"id\":\"x\",\"object\":\"o\",\"created\":5,\"model\":\"up\",\"choices\":[{\"index\":0,"
         "\"delta\":{\"content\":\"hey\"},\"finish_reason\":null}]}",
         &out);
    assert_true(in.has_content);
    assert_int_equal(in.finished, 0);
    feed(&in, "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}", &out);
    assert_int_equal(in.finished, 1);
    sb_buf_reset(&out);
    feed(&in, "{\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}", &out);
    assert_int_equal(sb_buf_len(&out), 0);
    assert_int_equal(in.usage.completion_tokens, 2);
    feed(&in, "[DONE]", &out);
    assert_true(in.is_done);
    in.usage_json = SB_SLICE_LIT("{\"cost\":2}");
    assert_int_equal(openai->end(&in, &out), SB_OK);
    assert_true(sb_slice_is(
        sb_buf_slice(&out),
        "data: {\"id\":\"gen-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
        "\"model\":\"a/b\",\"provider\":\"Acme\",\"choices\":[{\"index\":0,\"delta\":{\"role\":"
        "\"assistant\",\"content\":\"\"},\"finish_reason\":null}],\"usage\":{\"cost\":2}}\n\n"
        "data: [DONE]\n\n"));
}

static void what_clients_reject_in_a_chunk_is_mended(void **state)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(8192);
    SB_CLEANUP(sb_buf_release) struct sb_buf out;
    struct dp_incoming in = incoming(MSG_API_CHAT, arena);

    (void)state;
    sb_buf_init(&out, 8192);
    feed(&in,
         "{\"choices\":[{\"delta\":{\"content\":\"a\",\"tool_calls\":null,\"refusal\":null}}]}",
         &out);
    assert_true(sb_slice_is(
        sb_buf_slice(&out),
        "data: {\"choices\":[{\"delta\":{\"content\":\"a\",\"refusal\":null},"
        "\"finish_reason\":null,\"index\":0}],\"created\":1700000000,\"id\":\"gen-1\","
        "\"model\":\"a/b\",\"provider\":\"Acme\",\"object\":\"chat.completion.chunk\"}\n\n"));
}

/* As OpenRouter calls it; by the other name it stays, for clients that send it
 * back to the provider. */
static void reasoning_has_the_name_that_clients_know(void **state)
{
    static const char *const cases[][2] = {
        {"{\"reasoning_content\":\"x\"}", "{\"reasoning_content\":\"x\",\"reasoning\":\"x\"}"},
        {"{\"reasoning\":null,\"content\":null,\"reasoning_content\":\"x\"}",
         "{\"reasoning\":\"x\",\"content\":null,\"reasoning_content\":\"x\"}"},
        {"{\"reasoning\":\"y\",\"reasoning_content\":\"x\"}",
         "{\"reasoning\":\"y\",\"reasoning_content\":\"x\"}"},
        {"{\"reasoning_content\":null,\"content\":\"x\"}", "{\"content\":\"x\"}"},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(8192);
        SB_CLEANUP(sb_buf_release) struct sb_buf out;
        struct dp_incoming in = incoming(MSG_API_CHAT, arena);
        char chunk[256], expected[256];

        sb_buf_init(&out, 8192);
        (void)snprintf(chunk, sizeof(chunk),
                       "{\"choices\":[{\"index\":0,\"delta\":%s,\"finish_reason\":null}]}",
                       cases[i][0]);
        (void)snprintf(expected, sizeof(expected),
                       "data: {\"choices\":[{\"index\":0,\"delta\":%s,\"finish_reason\":null}],"
                       "\"created\":1700000000,\"id\":\"gen-1\",\"model\":\"a/b\",\"provider\":"
                       "\"Acme\",\"object\":\"chat.completion.chunk\"}\n\n",
                       cases[i][1]);
        feed(&in, chunk, &out);
        assert_true(sb_slice_is(sb_buf_slice(&out), expected));
        assert_int_equal(in.content_bytes, i == 2 ? 2 : 1); /* once in each name that came */
    }
}

static void first_content_is_anything_but_a_role(void **state)
{
    static const struct {
        const char *delta;
        bool content;
    } cases[] = {
        {"{\"role\":\"assistant\"}", false},
        {"{\"role\":\"assistant\",\"content\":\"\"}", false},
        {"{\"content\":null}", false},
        {"{\"tool_calls\":[]}", false},
        {"{\"content\":\"x\"}", true},
        {"{\"reasoning\":\"x\"}", true},
        {"{\"reasoning_content\":\"x\"}", true},
        {"{\"refusal\":\"no\"}", true},
        {"{\"tool_calls\":[{\"index\":0}]}", true},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(8192);
        SB_CLEANUP(sb_buf_release) struct sb_buf out;
        struct dp_incoming in = incoming(MSG_API_CHAT, arena);
        char text[256];

        sb_buf_init(&out, 8192);
        (void)snprintf(text, sizeof(text),
                       "{\"choices\":[{\"index\":0,\"delta\":%s,\"finish_reason\":null}]}",
                       cases[i].delta);
        feed(&in, text, &out);
        assert_int_equal(in.has_content, cases[i].content);
    }
}

static void garbage_in_a_stream_is_dropped_and_counted(void **state)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(8192);
    SB_CLEANUP(sb_buf_release) struct sb_buf out;
    struct dp_incoming in = incoming(MSG_API_CHAT, arena);

    (void)state;
    sb_buf_init(&out, 8192);
    feed(&in, "{\"choices\":[", &out);
    feed(&in, "pong", &out);
    feed(&in, "[1]", &out);
    assert_int_equal(in.bad_events, 3);
    feed(&in, "{\"type\":\"ping\"}", &out);
    assert_int_equal(sb_buf_len(&out), 0);
    assert_false(in.has_content);
}

static void an_error_event_says_what_it_is(void **state)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(8192);
    SB_CLEANUP(sb_buf_release) struct sb_buf out;
    struct dp_incoming in = incoming(MSG_API_CHAT, arena);

    (void)state;
    sb_buf_init(&out, 8192);
    feed(&in, "{\"error\":{\"message\":\"overloaded\",\"code\":503},\"choices\":[]}", &out);
    assert_true(in.has_error);
    assert_int_equal(in.error_status, 503);
    assert_true(sb_slice_is(in.error_message, "overloaded"));
    assert_int_equal(sb_buf_len(&out), 0);
}

/* Their texts quote what was sent with the request. */
static void an_error_that_may_quote_a_key_has_no_text(void **state)
{
    static const struct {
        const char *data, *message;
    } cases[] = {
        {"{\"error\":{\"message\":\"bad key sk-1\",\"code\":401}}", ""},
        {"{\"error\":{\"message\":\"pay for sk-1\",\"code\":402}}", ""},
        {"{\"error\":{\"message\":\"bad key sk-1\",\"code\":\"invalid_api_key\"}}", ""},
        {"{\"error\":{\"message\":\"bad key sk-1\",\"type\":\"authentication_error\"}}", ""},
        {"{\"error\":{\"message\":\"not you, sk-1\",\"type\":\"permission_error\"}}", ""},
        {"{\"error\":{\"message\":\"violence\",\"code\":\"content_filter\",\"type\":null}}",
         "violence"},
        {"{\"error\":{\"message\":\"busy\",\"code\":503}}", "busy"},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(8192);
        SB_CLEANUP(sb_buf_release) struct sb_buf out;
        struct dp_incoming in = incoming(MSG_API_CHAT, arena);

        sb_buf_init(&out, 8192);
        feed(&in, cases[i].data, &out);
        assert_true(in.has_error);
        assert_true(sb_slice_is(in.error_message, cases[i].message));
    }
}

static void a_choice_that_ends_by_an_error_is_an_error(void **state)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(8192);
    SB_CLEANUP(sb_buf_release) struct sb_buf out;
    struct dp_incoming in = incoming(MSG_API_CHAT, arena);

    (void)state;
    sb_buf_init(&out, 8192);
    feed(&in, "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"error\"}]}", &out);
    assert_true(in.has_error);
    assert_false(in.has_content);
    assert_int_equal(in.finished, 0);
    assert_int_equal(sb_buf_len(&out), 0);
}

static void each_choice_ends_once_however_often_it_says_so(void **state)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(8192);
    SB_CLEANUP(sb_buf_release) struct sb_buf out;
    struct dp_incoming in = incoming(MSG_API_CHAT, arena);

    (void)state;
    in.n = 2;
    sb_buf_init(&out, 8192);
    for (int i = 0; i < 3; i++)
        feed(&in,
             "{\"choices\":[{\"index\":1,\"delta\":{},\"finish_reason\":\"stop\"}],"
             "\"usage\":{\"prompt_tokens\":1}}",
             &out);
    assert_int_equal(in.finished, 1);
    assert_false(in.is_told);
    feed(&in, "{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}", &out);
    assert_int_equal(in.finished, 2);
}

static void usage_counts_as_told_only_at_the_end(void **state)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(8192);
    SB_CLEANUP(sb_buf_release) struct sb_buf out;
    struct dp_incoming in = incoming(MSG_API_CHAT, arena);

    (void)state;
    sb_buf_init(&out, 8192);
    feed(&in,
         "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}],"
         "\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":0}}",
         &out);
    feed(&in, "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}", &out);
    assert_int_equal(in.finished, 1);
    assert_false(in.is_told);
    feed(&in, "{\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":9}}", &out);
    assert_true(in.is_told);
    assert_int_equal(in.usage.completion_tokens, 9);
}

/* --- errors ------------------------------------------------------------------ */

static void an_error_answer_has_one_meaning(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum msg_outcome outcome;
    } cases[] = {
        {400, "{\"error\":{\"message\":\"bad temperature\"}}", MSG_OUTCOME_BAD_REQUEST},
        {400, "{\"error\":{\"code\":\"context_length_exceeded\",\"message\":\"x\"}}",
         MSG_OUTCOME_CONTEXT_LENGTH},
        {400, "{\"error\":{\"message\":\"This model's maximum context length is 8\"}}",
         MSG_OUTCOME_CONTEXT_LENGTH},
        {413, "too large", MSG_OUTCOME_BAD_REQUEST},
        {400, "{\"error\":{\"code\":\"content_filter\"}}", MSG_OUTCOME_REFUSED},
        {403, "{\"error\":{\"code\":\"content_policy_violation\"}}", MSG_OUTCOME_REFUSED},
        {403, "{\"error\":{\"message\":\"forbidden\"}}", MSG_OUTCOME_CREDENTIAL},
        {401, "", MSG_OUTCOME_CREDENTIAL},
        {402, "{}", MSG_OUTCOME_CREDENTIAL},
        {404, "", MSG_OUTCOME_NOT_OFFERED},
        {410, "", MSG_OUTCOME_NOT_OFFERED},
        {408, "", MSG_OUTCOME_SERVER_ERROR},
        {409, "", MSG_OUTCOME_BUSY},
        {425, "", MSG_OUTCOME_BUSY},
        {429, "", MSG_OUTCOME_RATE_LIMITED},
        {500, "<html>", MSG_OUTCOME_SERVER_ERROR},
        {529, "", MSG_OUTCOME_SERVER_ERROR},
        {302, "", MSG_OUTCOME_BAD_ANSWER},
        {418, "", MSG_OUTCOME_BAD_REQUEST},
        {421, "", MSG_OUTCOME_NOT_OFFERED},
        {423, "", MSG_OUTCOME_NOT_OFFERED},
        {424, "", MSG_OUTCOME_NOT_OFFERED},
        {426, "", MSG_OUTCOME_NOT_OFFERED},
        {451, "", MSG_OUTCOME_NOT_OFFERED},
        {498, "", MSG_OUTCOME_CREDENTIAL},
        {499, "", MSG_OUTCOME_BUSY},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(8192);
        struct dp_verdict verdict;

        openai->classify(cases[i].status, sb_slice_of(cases[i].body), arena, &verdict);
        assert_string_equal(msg_outcome_name((int)verdict.outcome),
                            msg_outcome_name((int)cases[i].outcome));
    }
}

/* As providers word it, most of them under a general code. */
static void a_prompt_that_is_too_long_is_known_by_its_words(void **state)
{
    static const char *const bodies[] = {
        "{\"error\":{\"code\":\"context_length_exceeded\",\"message\":\"no\"}}",
        "{\"error\":{\"code\":400,\"type\":\"exceed_context_size_error\",\"message\":\"no\"}}",
        "{\"error\":{\"code\":400,\"message\":\"no\",\"metadata\":"
        "{\"error_type\":\"context_length_exceeded\"}}}",
        "{\"error\":{\"message\":\"This model's maximum context length is 8 tokens\"}}",
        "{\"object\":\"error\",\"message\":\"This model's maximum context length is "
        "8\",\"code\":400}",
        "{\"error\":{\"message\":\"prompt is too long: 215 tokens > 200 maximum\"}}",
        "{\"error\":{\"message\":\"input length and `max_tokens` exceed context limit: 9 + 9 > "
        "8\"}}",
        "[{\"error\":{\"code\":400,\"status\":\"INVALID_ARGUMENT\",\"message\":"
        "\"The input token count (9) exceeds the maximum number of tokens allowed (8).\"}}]",
        "{\"error\":{\"message\":\"Please reduce the length of the messages or completion.\"}}",
        "{\"error\":\"This model's maximum prompt length is 8 but the request has "
        "9\",\"code\":\"x\"}",
        "{\"message\":\"Input is too long for requested model.\"}",
        "{\"message\":\"too many tokens: size limit exceeded by 1 tokens\"}",
        "{\"error\":{\"message\":\"Input validation error: `inputs` tokens + `max_new_tokens` must "
        "be"
        " <= 8193. Given: 9000\"}}",
        "{\"error\":{\"message\":\"Your request exceeded model token limit: 8\"}}",
        "{\"detail\":\"Prompt exceeds max length\"}",
        "{\"error\":{\"message\":\"Range of input length should be [1, 8]\"}}",
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(bodies); i++) {
        SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(8192);
        struct dp_verdict verdict;

        openai->classify(400, sb_slice_of(bodies[i]), arena, &verdict);
        if (verdict.outcome != MSG_OUTCOME_CONTEXT_LENGTH)
            fail_msg("%s", bodies[i]);
        assert_true(verdict.message.n > 0);
    }
}

static void a_refusal_is_known_by_its_code_wherever_that_is(void **state)
{
    static const struct {
        int status;
        const char *body;
    } cases[] = {
        {400, "{\"error\":{\"code\":\"content_filter\",\"type\":null,\"message\":\"no\"}}"},
        {400, "{\"error\":{\"code\":\"ResponsibleAIPolicyViolation\",\"message\":\"no\"}}"},
        {400,
         "{\"error\":{\"code\":null,\"type\":\"content_policy_violation\",\"message\":\"no\"}}"},
        {400, "{\"code\":\"DataInspectionFailed\",\"message\":\"no\"}"},
        {400, "{\"error\":{\"code\":\"moderation_blocked\",\"message\":\"no\"}}"},
        {403, "{\"error\":{\"code\":403,\"message\":\"no\",\"metadata\":"
              "{\"reasons\":[\"violence\"],\"flagged_input\":\"x\"}}}"},
        {403, "{\"error\":{\"code\":403,\"message\":\"no\",\"metadata\":"
              "{\"error_type\":\"content_policy_violation\"}}}"},
        {400, "[{\"error\":{\"code\":400,\"status\":\"PROHIBITED_CONTENT\",\"message\":\"no\"}}]"},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(8192);
        struct dp_verdict verdict;

        openai->classify(cases[i].status, sb_slice_of(cases[i].body), arena, &verdict);
        if (verdict.outcome != MSG_OUTCOME_REFUSED)
            fail_msg("%s", cases[i].body);
        assert_true(sb_slice_is(verdict.message, "no"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_model_changes_in_a_plain_request),
        cmocka_unit_test(gateway_members_never_leave),
        cmocka_unit_test(the_user_goes_out_as_a_hash_or_not_at_all),
        cmocka_unit_test(a_stream_always_asks_for_its_usage),
        cmocka_unit_test(unsupported_parameters_are_cut_and_limits_renamed),
        cmocka_unit_test(a_limit_of_null_does_not_hide_the_real_one),
        cmocka_unit_test(a_whole_answer_gets_our_names_and_usage),
        cmocka_unit_test(what_is_no_answer_is_told_from_an_error_in_a_200),
        cmocka_unit_test(a_stream_is_rewritten_and_its_usage_kept_for_the_end),
        cmocka_unit_test(what_clients_reject_in_a_chunk_is_mended),
        cmocka_unit_test(reasoning_has_the_name_that_clients_know),
        cmocka_unit_test(first_content_is_anything_but_a_role),
        cmocka_unit_test(garbage_in_a_stream_is_dropped_and_counted),
        cmocka_unit_test(an_error_event_says_what_it_is),
        cmocka_unit_test(an_error_that_may_quote_a_key_has_no_text),
        cmocka_unit_test(a_choice_that_ends_by_an_error_is_an_error),
        cmocka_unit_test(each_choice_ends_once_however_often_it_says_so),
        cmocka_unit_test(usage_counts_as_told_only_at_the_end),
        cmocka_unit_test(an_error_answer_has_one_meaning),
        cmocka_unit_test(a_prompt_that_is_too_long_is_known_by_its_words),
        cmocka_unit_test(a_refusal_is_known_by_its_code_wherever_that_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
