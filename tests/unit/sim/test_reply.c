/* tests/unit/sim/test_reply.c */
#include "tests/sim/reply.h"

#include "common/buf.h"
#include "common/err.h"
#include "tests/lib/test.h"
#include "tests/sim/behaviour.h"
#include "tests/sim/world.h"

#define CHAT   "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define STREAM CHAT ",\"stream\":true"

struct fixture {
    struct sim_world world;
    struct sim_reply reply;
    struct sb_buf out;
    sb_msec when;
    bool started;
};

static int set_up(void **state)
{
    static struct fixture f;
    struct sim_behaviour *start = sim_behaviour_new();

    f = (struct fixture){.started = false};
    sim_world_init(&f.world, "test", &start);
    f.world.seed = 1;
    sb_buf_init(&f.out, 1 << 24);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    if (f->started)
        sim_reply_end(&f->reply);
    sb_buf_release(&f->out);
    sim_world_release(&f->world);
    return 0;
}

static void start(struct fixture *f, const char *behaviour, const char *path, const char *body)
{
    static uint64_t number;
    struct sb_errmsg err = {.text = ""};
    struct sim_asked asked = {.is_post = true,
                              .keep_alive = true,
                              .authorized = true,
                              .path = sb_slice_of(path),
                              .body = sb_slice_of(body),
                              .number = ++number};

    if (sim_world_change(&f->world, sb_slice_of(behaviour), &err) != SB_OK)
        fail_msg("%s", err.text);
    if (f->started)
        sim_reply_end(&f->reply);
    sb_buf_reset(&f->out);
    sim_reply_start(&f->reply, &f->world, &asked, 1000);
    f->started = true;
}

/* Steps until there is something else to do than to step. */
static enum sim_step run(struct fixture *f, sb_msec now)
{
    enum sim_step step;
    int n = 0;

    do {
        step = sim_reply_step(&f->reply, now, &f->out, &f->when);
        assert_true(n++ < 10000);
    } while (step == SIM_STEP_MORE);
    return step;
}

/* What was written so far, terminated. */
static const char *text_of(struct fixture *f)
{
    assert_int_equal(sb_buf_append_byte(&f->out, '\0'), SB_OK);
    f->out.tail--;
    return sb_buf_slice(&f->out).p;
}

static void expect(struct fixture *f, const char *part)
{
    if (strstr(text_of(f), part) == NULL)
        fail_msg("'%s' is not in:\n%s", part, text_of(f));
}

static void expect_not(struct fixture *f, const char *part)
{
    if (strstr(text_of(f), part) != NULL)
        fail_msg("'%s' is in:\n%s", part, text_of(f));
}

static int count(struct fixture *f, const char *part)
{
    int n = 0;

    for (const char *at = strstr(text_of(f), part); at != NULL; at = strstr(at + 1, part))
        n++;
    return n;
}

static enum sim_step chat(struct fixture *f, const char *behaviour, const char *body)
{
    start(f, behaviour, "/v1/chat/completions", body);
    return run(f, 1000);
}

static void a_whole_answer_tells_its_length(void **state)
{
    struct fixture *f = *state;
    const char *body;
    unsigned long length;

    assert_int_equal(chat(f, "{\"tokens\":3}", CHAT "}"), SIM_STEP_KEEP);
    expect(f, "HTTP/1.1 200 OK\r\n");
    expect(f, "\"completion_tokens\":3");
    expect(f, "\"finish_reason\":\"stop\"");
    body = strstr(text_of(f), "\r\n\r\n") + 4;
    length = strtoul(strstr(text_of(f), "content-length: ") + 16, NULL, 10);
    assert_int_equal(strlen(body), length);
}

static void max_tokens_shortens_an_answer(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(chat(f, "{\"tokens\":30}", CHAT ",\"max_tokens\":2}"), SIM_STEP_KEEP);
    expect(f, "\"finish_reason\":\"length\"");
    expect(f, "\"completion_tokens\":2");
    assert_int_equal(chat(f, "{}", STREAM ",\"max_completion_tokens\":2}"), SIM_STEP_KEEP);
    expect(f, "\"finish_reason\":\"length\"");
    assert_int_equal(count(f, "data: "), 5); /* role, two tokens, finish, [DONE] */
}

static void a_stream_has_role_tokens_finish_and_done(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(chat(f, "{\"content\":\"one two\"}", STREAM "}"), SIM_STEP_KEEP);
    expect(f, "transfer-encoding: chunked\r\n");
    expect(f, "content-type: text/event-stream");
    expect(f, "\"delta\":{\"role\":\"assistant\",\"content\":\"\"");
    expect(f, "\"delta\":{\"content\":\"one\"}");
    expect(f, "\"delta\":{\"content\":\" two\"}");
    expect(f, "\"finish_reason\":\"stop\"");
    expect(f, "data: [DONE]\n\n\r\n0\r\n\r\n");
    expect_not(f, "usage");
    assert_int_equal(count(f, "data: "), 5);
}

static void usage_comes_when_it_is_asked_for(void **state)
{
    struct fixture *f = *state;
    const char *body = STREAM ",\"stream_options\":{\"include_usage\":true}}";

    assert_int_equal(chat(f, "{\"tokens\":4}", body), SIM_STEP_KEEP);
    expect(f, "\"choices\":[],\"usage\":{\"prompt_tokens\":");
    assert_int_equal(count(f, "\"usage\":null"), 6);
    assert_int_equal(chat(f, "{\"no_usage\":true}", body), SIM_STEP_KEEP);
    expect_not(f, "\"usage\":{");
}

static void several_choices_are_numbered_and_counted(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(chat(f, "{\"tokens\":4}", CHAT ",\"n\":3}"), SIM_STEP_KEEP);
    expect(f, "\"index\":2");
    expect(f, "\"completion_tokens\":12");
    assert_int_equal(chat(f, "{\"tokens\":4}", STREAM ",\"n\":3}"), SIM_STEP_KEEP);
    assert_int_equal(count(f, "\"index\":2"), 6);
    assert_int_equal(count(f, "data: "), 19);
}

static void tools_are_called_with_fitting_arguments(void **state)
{
    struct fixture *f = *state;
    const char *tools = ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"weather\","
                        "\"parameters\":{\"type\":\"object\",\"properties\":{\"days\":"
                        "{\"type\":\"integer\"}}}}}]";
    char body[1000];

    (void)snprintf(body, sizeof(body), "%s%s}", CHAT, tools);
    assert_int_equal(chat(f, "{}", body), SIM_STEP_KEEP);
    expect(f, "\"name\":\"weather\",\"arguments\":\"{\\\"days\\\":7}\"");
    expect(f, "\"finish_reason\":\"tool_calls\"");
    (void)snprintf(body, sizeof(body), "%s%s}", STREAM, tools);
    assert_int_equal(chat(f, "{}", body), SIM_STEP_KEEP);
    expect(f, "\"function\":{\"name\":\"weather\",\"arguments\":\"\"}");
    expect(f, "\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"");
    (void)snprintf(body, sizeof(body), "%s%s,\"tool_choice\":\"none\"}", CHAT, tools);
    assert_int_equal(chat(f, "{}", body), SIM_STEP_KEEP);
    expect(f, "\"finish_reason\":\"stop\"");
    (void)snprintf(body, sizeof(body),
                   "%s%s,\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"no\"}}}",
                   CHAT, tools);
    assert_int_equal(chat(f, "{}", body), SIM_STEP_KEEP);
    expect(f, "HTTP/1.1 400 ");
}

static void structured_output_fits_its_schema(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(
        chat(f, "{}",
             CHAT ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\","
                  "\"schema\":{\"type\":\"object\",\"properties\":{\"ok\":{\"type\":\"boolean\"}}}}"
                  "}}"),
        SIM_STEP_KEEP);
    expect(f, "\"content\":\"{\\\"ok\\\":true}\"");
    assert_int_equal(chat(f, "{}", CHAT ",\"response_format\":{\"type\":\"json_object\"}}"),
                     SIM_STEP_KEEP);
    expect(f, "\"content\":\"{\\\"answer\\\": \\\"simulated\\\"}\"");
}

static void reasoning_comes_before_content(void **state)
{
    struct fixture *f = *state;
    const char *thought, *said;

    assert_int_equal(chat(f, "{\"reasoning\":1,\"content\":\"said\"}", STREAM "}"), SIM_STEP_KEEP);
    thought = strstr(text_of(f), "\"delta\":{\"reasoning_content\":\"");
    said = strstr(text_of(f), "\"delta\":{\"content\":\"said\"}");
    assert_non_null(thought);
    assert_non_null(said);
    assert_true(thought < said);
}

static void failures_are_errors_in_the_envelope(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(chat(f, "{\"fail\":429,\"retry_after\":7}", STREAM "}"), SIM_STEP_KEEP);
    expect(f, "HTTP/1.1 429 ");
    expect(f, "retry-after: 7\r\n");
    expect(f, "{\"error\":{\"message\":");
    expect(f, "\"code\":\"rate_limit_exceeded\"");
    assert_int_equal(chat(f, "{\"fail\":null,\"context_error\":true}", CHAT "}"), SIM_STEP_KEEP);
    expect(f, "HTTP/1.1 400 ");
    expect(f, "\"code\":\"context_length_exceeded\"");
    assert_int_equal(chat(f, "{\"context_error\":null,\"content_filter\":true}", CHAT "}"),
                     SIM_STEP_KEEP);
    expect(f, "\"code\":\"content_filter\"");
    assert_int_equal(chat(f, "{\"content_filter\":null,\"error_in_200\":true}", CHAT "}"),
                     SIM_STEP_KEEP);
    expect(f, "HTTP/1.1 200 ");
    expect(f, "{\"error\":{");
}

static void rates_follow_from_the_seed(void **state)
{
    struct fixture *f = *state;
    int failed = 0;

    for (int i = 0; i < 1000; i++) {
        assert_int_equal(chat(f, "{\"fail\":\"500:0.3\",\"tokens\":1}", CHAT "}"), SIM_STEP_KEEP);
        failed += f->reply.status == 500;
    }
    assert_in_range(failed, 250, 350);
}

static void no_answer_comes_in_each_way(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(chat(f, "{\"reset\":true}", CHAT "}"), SIM_STEP_RESET);
    assert_int_equal(sb_buf_len(&f->out), 0);
    assert_true(f->reply.failed);
    assert_int_equal(chat(f, "{\"reset\":null,\"close_before_answer\":true}", CHAT "}"),
                     SIM_STEP_CLOSE);
    assert_int_equal(sb_buf_len(&f->out), 0);
    assert_int_equal(chat(f, "{\"close_before_answer\":null,\"hang\":1}", CHAT "}"), SIM_STEP_HANG);
    assert_int_equal(sb_buf_len(&f->out), 0);
    assert_int_equal(chat(f, "{\"hang\":null,\"empty_body\":true}", CHAT "}"), SIM_STEP_KEEP);
    expect(f, "content-length: 0\r\n");
    assert_int_equal(chat(f, "{}", STREAM "}"), SIM_STEP_KEEP);
    expect(f, "\r\n\r\n0\r\n\r\n");
}

static void streams_are_cut_after_so_many_events(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(chat(f, "{\"cut_after\":0}", STREAM "}"), SIM_STEP_CLOSE);
    expect(f, "HTTP/1.1 200 OK");
    assert_int_equal(count(f, "data: "), 0);
    assert_true(f->reply.failed);
    assert_int_equal(chat(f, "{\"cut_after\":3,\"cut_reset\":true}", STREAM "}"), SIM_STEP_RESET);
    assert_int_equal(count(f, "data: "), 3);
    expect_not(f, "\r\n0\r\n");
    assert_int_equal(chat(f, "{\"cut_after\":null,\"end_after\":3}", STREAM "}"), SIM_STEP_KEEP);
    assert_int_equal(count(f, "data: "), 3);
    expect(f, "\r\n0\r\n\r\n");
    expect_not(f, "[DONE]");
}

static void whole_answers_are_cut_after_so_many_bytes(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(chat(f, "{\"cut_after\":10}", CHAT "}"), SIM_STEP_CLOSE);
    assert_int_equal(strlen(strstr(text_of(f), "\r\n\r\n")), 14);
    assert_true(strtoul(strstr(text_of(f), "content-length: ") + 16, NULL, 10) > 100);
}

static void errors_come_inside_a_stream(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(chat(f, "{\"error_event_first\":true}", STREAM "}"), SIM_STEP_KEEP);
    assert_int_equal(count(f, "data: "), 1);
    expect(f, "data: {\"error\":{");
    assert_int_equal(chat(f, "{\"error_event_first\":null,\"error_event_after\":2}", STREAM "}"),
                     SIM_STEP_KEEP);
    assert_int_equal(count(f, "data: "), 3);
    expect_not(f, "[DONE]");
    assert_int_equal(
        chat(f, "{\"error_event_after\":null,\"malformed\":1,\"malformed_at\":2,\"tokens\":4}",
             STREAM "}"),
        SIM_STEP_KEEP);
    assert_int_equal(count(f, "\"del\n\n"), 1);
    expect(f, "[DONE]");
    assert_int_equal(count(f, "data: "), 8);
}

static void marks_of_a_bad_stream_can_be_left_out(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(chat(f, "{\"no_done\":true,\"tokens\":1}", STREAM "}"), SIM_STEP_KEEP);
    expect_not(f, "[DONE]");
    expect(f, "\"finish_reason\":\"stop\"");
    assert_int_equal(chat(f, "{\"no_finish\":true,\"null_usage\":true}", STREAM "}"),
                     SIM_STEP_KEEP);
    expect_not(f, "\"finish_reason\":\"stop\"");
    assert_int_equal(count(f, "\"system_fingerprint\":null"), 2);
    assert_int_equal(count(f, "\"usage\":null"), 2);
    assert_int_equal(chat(f, "{\"role_only_first\":true}", STREAM "}"), SIM_STEP_KEEP);
    expect(f, "\"delta\":{\"role\":\"assistant\"}");
}

static void a_paced_stream_waits_for_each_token(void **state)
{
    struct fixture *f = *state;

    start(f, "{\"first_token_ms\":100,\"tokens_per_s\":50,\"tokens\":3}", "/v1/chat/completions",
          STREAM "}");
    assert_int_equal(run(f, 1000), SIM_STEP_WAIT);
    assert_int_equal(f->when, 1100);
    assert_int_equal(sb_buf_len(&f->out), 0);
    assert_int_equal(run(f, 1100), SIM_STEP_WAIT);
    assert_int_equal(f->when, 1120);
    assert_int_equal(count(f, "data: "), 2);
    assert_int_equal(run(f, 1139), SIM_STEP_WAIT);
    assert_int_equal(f->when, 1140);
    assert_int_equal(run(f, 1140), SIM_STEP_KEEP);
    assert_int_equal(count(f, "data: "), 6);
}

static void a_late_caller_gets_all_that_is_due(void **state)
{
    struct fixture *f = *state;

    start(f, "{\"tokens_per_s\":4000,\"tokens\":10}", "/v1/chat/completions", STREAM "}");
    assert_int_equal(run(f, 1001), SIM_STEP_WAIT);
    assert_int_equal(f->reply.token, 5); /* at 0, 0.25, ... 1.0 ms */
    assert_int_equal(f->when, 1002);
}

static void a_paced_whole_answer_comes_when_all_is_said(void **state)
{
    struct fixture *f = *state;

    start(f, "{\"first_token_ms\":100,\"tokens_per_s\":100,\"tokens\":5}", "/v1/chat/completions",
          CHAT "}");
    assert_int_equal(run(f, 1149), SIM_STEP_WAIT);
    assert_int_equal(f->when, 1150);
    assert_int_equal(run(f, 1150), SIM_STEP_KEEP);
}

static void jitter_stays_in_its_bounds(void **state)
{
    struct fixture *f = *state;
    sb_msec least = 2000, most = 0;

    for (int i = 0; i < 200; i++) {
        start(f, "{\"first_token_ms\":100,\"jitter\":0.5}", "/v1/chat/completions", STREAM "}");
        assert_int_equal(run(f, 1000), SIM_STEP_WAIT);
        least = f->when < least ? f->when : least;
        most = f->when > most ? f->when : most;
    }
    assert_in_range(least, 1050, 1060);
    assert_in_range(most, 1140, 1150);
}

static void comments_fill_the_wait_for_the_first_token(void **state)
{
    struct fixture *f = *state;

    start(f, "{\"sse_comments\":3,\"first_token_ms\":400}", "/v1/chat/completions", STREAM "}");
    assert_int_equal(run(f, 1000), SIM_STEP_WAIT);
    assert_int_equal(f->when, 1100);
    assert_int_equal(run(f, 1200), SIM_STEP_WAIT);
    assert_int_equal(count(f, ": SIMULATED PROCESSING\n\n"), 2);
    assert_int_equal(run(f, 1399), SIM_STEP_WAIT);
    assert_int_equal(count(f, ": SIMULATED PROCESSING\n\n"), 3);
    assert_int_equal(count(f, "data: "), 0);
    assert_int_equal(f->when, 1400);
    assert_int_equal(run(f, 1400), SIM_STEP_KEEP);
}

static void a_held_stream_goes_on_after_its_release(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(chat(f, "{\"hold_after\":2,\"tokens\":4}", STREAM "}"), SIM_STEP_HOLD);
    assert_int_equal(count(f, "data: "), 2);
    assert_int_equal(run(f, 9000), SIM_STEP_HOLD);
    sim_reply_release(&f->reply);
    assert_int_equal(run(f, 9000), SIM_STEP_KEEP);
    assert_int_equal(count(f, "data: "), 7);
}

static void holding_at_zero_holds_any_answer(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(chat(f, "{\"hold_after\":0}", CHAT "}"), SIM_STEP_HOLD);
    assert_int_equal(sb_buf_len(&f->out), 0);
    sim_reply_release(&f->reply);
    assert_int_equal(run(f, 1000), SIM_STEP_KEEP);
    assert_int_equal(chat(f, "{\"hold_after\":0,\"fail\":500}", CHAT "}"), SIM_STEP_HOLD);
    assert_int_equal(chat(f, "{\"hold_after\":0,\"fail\":null,\"early_head\":true}", STREAM "}"),
                     SIM_STEP_HOLD);
    expect(f, "HTTP/1.1 200 OK");
    assert_int_equal(count(f, "data: "), 0);
}

static void the_wire_can_be_odd(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(chat(f, "{\"framing\":\"close\",\"tokens\":1}", CHAT "}"), SIM_STEP_CLOSE);
    expect(f, "connection: close\r\n");
    expect_not(f, "content-length");
    assert_false(f->reply.failed);
    assert_int_equal(chat(f, "{\"framing\":\"chunked\",\"frame_split\":7}", CHAT "}"),
                     SIM_STEP_KEEP);
    expect(f, "\r\n\r\n7\r\n{\"id\":\"\r\n7\r\n");
    assert_int_equal(
        chat(f, "{\"framing\":null,\"interim_100\":true,\"content_encoding\":\"gzip\"}", CHAT "}"),
        SIM_STEP_KEEP);
    assert_true(strncmp(text_of(f), "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 ", 36) == 0);
    expect(f, "content-encoding: gzip\r\n");
    assert_int_equal(chat(f, "{\"announce_close\":true}", CHAT "}"), SIM_STEP_CLOSE);
    expect(f, "connection: close\r\n");
    assert_int_equal(chat(f, "{\"raw_response\":\"HTTP/1.1 200 OK\\r\\nx\"}", CHAT "}"),
                     SIM_STEP_CLOSE);
    assert_string_equal(text_of(f), "HTTP/1.1 200 OK\r\nx");
}

static void completions_have_text(void **state)
{
    struct fixture *f = *state;

    start(f, "{\"content\":\"one two\"}", "/v1/completions", "{\"model\":\"m\",\"prompt\":\"p\"}");
    assert_int_equal(run(f, 1000), SIM_STEP_KEEP);
    expect(f, "\"object\":\"text_completion\"");
    expect(f, "\"text\":\"one two\"");
    start(f, "{}", "/v1/completions", "{\"model\":\"m\",\"prompt\":\"p\",\"stream\":true}");
    assert_int_equal(run(f, 1000), SIM_STEP_KEEP);
    expect(f, "\"index\":0,\"text\":\" two\",\"logprobs\":null,\"finish_reason\":null}");
    assert_int_equal(count(f, "data: "), 4);
}

static void embeddings_are_the_same_for_the_same_input(void **state)
{
    struct fixture *f = *state;
    const char *first, *second;

    start(f, "{}", "/v1/embeddings",
          "{\"model\":\"m\",\"input\":[\"a\",\"a\",\"b\"],\"dimensions\":4,"
          "\"encoding_format\":\"base64\"}");
    assert_int_equal(run(f, 1000), SIM_STEP_KEEP);
    assert_int_equal(count(f, "\"object\":\"embedding\""), 3);
    first = strstr(text_of(f), "\"embedding\":\"") + 13;
    second = strstr(first, "\"embedding\":\"") + 13;
    assert_int_equal(strcspn(first, "\""), 24); /* 16 bytes */
    assert_memory_equal(first, second, 24);
    assert_memory_not_equal(second, strstr(second, "\"embedding\":\"") + 13, 24);
    start(f, "{}", "/v1/embeddings", "{\"model\":\"m\",\"input\":[\"a\",7]}");
    assert_int_equal(run(f, 1000), SIM_STEP_KEEP);
    expect(f, "HTTP/1.1 400 ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_whole_answer_tells_its_length),
        TEST(max_tokens_shortens_an_answer),
        TEST(a_stream_has_role_tokens_finish_and_done),
        TEST(usage_comes_when_it_is_asked_for),
        TEST(several_choices_are_numbered_and_counted),
        TEST(tools_are_called_with_fitting_arguments),
        TEST(structured_output_fits_its_schema),
        TEST(reasoning_comes_before_content),
        TEST(failures_are_errors_in_the_envelope),
        TEST(rates_follow_from_the_seed),
        TEST(no_answer_comes_in_each_way),
        TEST(streams_are_cut_after_so_many_events),
        TEST(whole_answers_are_cut_after_so_many_bytes),
        TEST(errors_come_inside_a_stream),
        TEST(marks_of_a_bad_stream_can_be_left_out),
        TEST(a_paced_stream_waits_for_each_token),
        TEST(a_late_caller_gets_all_that_is_due),
        TEST(a_paced_whole_answer_comes_when_all_is_said),
        TEST(jitter_stays_in_its_bounds),
        TEST(comments_fill_the_wait_for_the_first_token),
        TEST(a_held_stream_goes_on_after_its_release),
        TEST(holding_at_zero_holds_any_answer),
        TEST(the_wire_can_be_odd),
        TEST(completions_have_text),
        TEST(embeddings_are_the_same_for_the_same_input),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
