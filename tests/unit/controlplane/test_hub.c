/* tests/unit/controlplane/test_hub.c - with an actor that plays all the others. */
#include "controlplane/hub.h"

#include "common/actor.h"
#include "common/bus.h"
#include "common/json.h"
#include "controlplane/mail.h"
#include "controlplane/publish/explain.h"
#include "controlplane/stats.h"
#include "tests/lib/test.h"

struct stage {
    int rc; /* of every answer */
    char worker[MSG_WORKER_ID_MAX + 1], key[64], body[64];
};

static struct stage stage;
static struct sb_actor *actor;
static struct cp_stats stats;
static struct cp_hub *hub;
static struct sb_buf out;

static void copy(const struct sb_buf *from, char *to, size_t size)
{
    (void)sb_slice_copy_text(sb_buf_slice(from), to, size);
}

static void answer_explain(struct stage *ctx, struct cp_ask_explain *ask)
{
    (void)snprintf(ctx->worker, sizeof(ctx->worker), "%s", ask->worker);
    copy(&ask->key_name, ctx->key, sizeof(ctx->key));
    copy(&ask->body, ctx->body, sizeof(ctx->body));
    ask->status = 422;
    (void)!sb_buf_append_text(&ask->out, "{\"said\":1}");
    sb_ask_reply(&ask->ask, ctx->rc);
}

static void on_mail(void *ctx, struct sb_mail *mail)
{
    struct stage *play = ctx;

    switch (mail->kind) {
    case CP_ASK_FLEET:
    case CP_ASK_METRICS: {
        struct cp_ask_text *ask = container_of(mail, struct cp_ask_text, ask.mail);

        (void)!sb_buf_printf(&ask->out, "[%u]", mail->kind);
        sb_ask_reply(&ask->ask, play->rc);
        break;
    }
    case CP_ASK_TABLES: {
        struct cp_ask_tables *ask = container_of(mail, struct cp_ask_tables, ask.mail);

        if (ask->n == 2)
            (void)!sb_buf_printf(&ask->out, "[%d,%d]", (int)ask->ids[0], (int)ask->ids[1]);
        sb_ask_reply(&ask->ask, play->rc);
        break;
    }
    case CP_ASK_STATE: {
        struct cp_ask_state *ask = container_of(mail, struct cp_ask_state, ask.mail);

        ask->leading = true;
        ask->term = 9;
        ask->published = (struct msg_version){.epoch = 5, .revision = 6};
        ask->workers[CP_WORKER_STALE] = 4;
        sb_ask_reply(&ask->ask, play->rc);
        break;
    }
    case CP_ASK_EXPLAIN:
        answer_explain(play, container_of(mail, struct cp_ask_explain, ask.mail));
        break;
    default:
        cp_mail_free(mail);
    }
}

static int on_start(void *ctx, struct sb_reactor *reactor, struct sb_mailbox *self,
                    struct sb_errmsg *err)
{
    (void)ctx;
    (void)reactor;
    (void)self;
    (void)err;
    return SB_OK;
}

static void on_stop(void *ctx)
{
    (void)ctx;
}

static int set_up(void **state)
{
    static const struct sb_actor_ops ops = {
        .name = "stage", .start = on_start, .on_mail = on_mail, .stop = on_stop};
    struct cp_hub_conf conf = {.name = "d", .stats = &stats};

    (void)state;
    stage = (struct stage){.rc = SB_OK};
    if (sb_actor_start(&ops, &stage, &actor, NULL) != SB_OK)
        return -1;
    conf.publisher = conf.tables = sb_actor_mailbox(actor);
    hub = cp_hub_new(&conf);
    sb_buf_init(&out, 1 << 16);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sb_actor_stop(&actor);
    cp_hub_destroy(&hub);
    sb_buf_release(&out);
    return 0;
}

/* From here on nobody answers. */
static void end_the_play(void)
{
    sb_actor_stop(&actor);
}

static const char *text(void)
{
    assert_int_equal(sb_buf_append_byte(&out, '\0'), SB_OK);
    return sb_buf_slice(&out).p;
}

static void lists_are_appended(void **state)
{
    static const uint64_t ids[] = {7, 9};
    struct sb_errmsg err;
    char expected[64];

    (void)state;
    assert_int_equal(sb_buf_append_text(&out, "x"), SB_OK);
    assert_int_equal(cp_hub_workers(hub, &out, &err), SB_OK);
    assert_int_equal(cp_hub_tables(hub, ids, SB_ARRAY_LEN(ids), &out, &err), SB_OK);
    (void)snprintf(expected, sizeof(expected), "x[%d][7,9]", CP_ASK_FLEET);
    assert_string_equal(text(), expected);
}

static void what_is_wrong_is_said_in_words(void **state)
{
    static const struct {
        int rc;
        const char *word;
    } cases[] = {{SB_ENOTLEADER, "lead"}, {SB_ETOOBIG, "limit"}, {SB_ETIMEDOUT, "time"}};
    struct sb_errmsg err;

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        stage.rc = cases[i].rc;
        assert_int_equal(cp_hub_workers(hub, &out, &err), cases[i].rc);
        assert_non_null(strstr(err.text, cases[i].word));
    }
    assert_int_equal(sb_buf_len(&out), 0);
    end_the_play();
    assert_int_equal(cp_hub_tables(hub, NULL, 0, &out, &err), SB_ECANCELED);
    assert_int_equal(cp_hub_ready(hub, &err), SB_ECANCELED);
    assert_true(err.text[0] != '\0');
}

static void the_state_is_members_of_an_open_object(void **state)
{
    struct sb_json json;

    (void)state;
    sb_json_init(&json, &out);
    sb_json_open_object(&json);
    assert_int_equal(cp_hub_state(hub, &json), SB_OK);
    sb_json_close_object(&json);
    assert_int_equal(sb_json_end(&json), SB_OK);
    assert_string_equal(text(),
                        "{\"daemon\":\"d\",\"leading\":true,\"term\":9,\"published\":{\"epoch\":5,"
                        "\"revision\":6},\"tables_sequence\":0,\"workers\":{\"sent\":0,"
                        "\"synced\":0,\"nacked\":0,\"stale\":4,\"gone\":0}}");
}

static void the_state_of_a_daemon_that_ends_is_still_one(void **state)
{
    struct sb_json json;

    (void)state;
    end_the_play();
    sb_json_init(&json, &out);
    sb_json_open_object(&json);
    assert_int_equal(cp_hub_state(hub, &json), SB_OK);
    sb_json_close_object(&json);
    assert_int_equal(sb_json_end(&json), SB_OK);
    assert_non_null(strstr(text(), "does not answer"));
}

static int explain(const char *worker, const char *key, struct sb_errmsg *err, unsigned *status)
{
    const struct cp_explain_what what = {
        .worker = sb_slice_of(worker), .key = sb_slice_of(key), .body = SB_SLICE_LIT("{}")};

    return cp_hub_explain(hub, &what, &out, status, err);
}

static void a_question_to_a_worker_goes_and_comes_whole(void **state)
{
    struct sb_errmsg err;
    unsigned status = 0;

    (void)state;
    assert_int_equal(explain("w-1", "app", &err, &status), SB_OK);
    assert_int_equal(status, 422);
    assert_string_equal(text(), "{\"said\":1}");
    assert_string_equal(stage.worker, "w-1");
    assert_string_equal(stage.key, "app");
    assert_string_equal(stage.body, "{}");
}

static void a_name_that_no_worker_can_have_is_unknown(void **state)
{
    char name[MSG_WORKER_ID_MAX + 2];
    struct sb_errmsg err;
    unsigned status = 7;

    (void)state;
    memset(name, 'w', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(explain(name, "", &err, &status), SB_ENOENT);
    stage.rc = SB_EAGAIN;
    assert_int_equal(explain("", "", &err, &status), SB_EAGAIN);
    assert_non_null(strstr(err.text, "no worker"));
    assert_int_equal(status, 7);
    assert_int_equal(sb_buf_len(&out), 0);
}

static void metrics_are_there_even_without_the_fleet(void **state)
{
    (void)state;
    end_the_play();
    assert_int_equal(cp_hub_metrics(hub, &out), SB_OK);
    assert_non_null(strstr(text(), "switchboard_control_leading 0\n"));
}

static int group_start(void **state)
{
    (void)state;
    return sb_bus_init(NULL) == SB_OK ? 0 : -1;
}

static int group_stop(void **state)
{
    (void)state;
    sb_bus_shutdown();
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lists_are_appended),
        TEST(what_is_wrong_is_said_in_words),
        TEST(the_state_is_members_of_an_open_object),
        TEST(the_state_of_a_daemon_that_ends_is_still_one),
        TEST(a_question_to_a_worker_goes_and_comes_whole),
        TEST(a_name_that_no_worker_can_have_is_unknown),
        TEST(metrics_are_there_even_without_the_fleet),
    };

    return cmocka_run_group_tests(tests, group_start, group_stop);
}
