/* tests/sim/control.c */
#include "tests/sim/control.h"

#include "common/buf.h"
#include "common/err.h"
#include "common/json.h"
#include "common/num.h"
#include "tests/sim/behaviour.h"
#include "tests/sim/conn.h"
#include "tests/sim/error.h"
#include "tests/sim/query.h"
#include "tests/sim/server.h"

#define PREFIX "/_sim/"

enum { WAIT_USUAL_MS = 10000, WAIT_MAX_MS = 600000 };

bool sim_control_is_for(struct sb_slice path)
{
    return sb_slice_starts_with(path, SB_SLICE_LIT(PREFIX));
}

static int refuse(struct sb_buf *body, int status, const char *text)
{
    struct sim_error error;

    (void)sim_error_set(&error, status, NULL, "%s", text);
    return sim_error_write(&error, body) == SB_OK ? status : 500;
}

static int show_number(struct sb_buf *body, const char *name, uint64_t number)
{
    struct sb_json json;

    sb_json_init(&json, body);
    sb_json_open_object(&json);
    sb_json_add_u64(&json, name, number);
    sb_json_close_object(&json);
    return sb_json_end(&json) == SB_OK ? 200 : 500;
}

static int show_counters(struct sim_server *server, struct sb_buf *body)
{
    struct sb_json json;

    server->journal.count.script_left = server->world->script_left;
    sb_json_init(&json, body);
    sim_counters_show(&server->journal.count, &json);
    return sb_json_end(&json) == SB_OK ? 200 : 500;
}

static int get_requests(struct sim_server *server, const struct sim_control *control,
                        struct sb_buf *body)
{
    struct sb_slice query = control->query, name, value;
    struct sb_json json;
    uint64_t since = 0;

    while (sim_query_next(&query, &name, &value)) {
        if (!sb_slice_is(name, "since") || !sb_num_read_u64(value, &since))
            return refuse(body, 400, "the query is ?since=N");
    }
    server->journal.count.script_left = server->world->script_left;
    sb_json_init(&json, body);
    sim_journal_show(&server->journal, since, &json);
    return sb_json_end(&json) == SB_OK ? 200 : 500;
}

static int delete_requests(struct sim_server *server, const struct sim_control *control,
                           struct sb_buf *body)
{
    (void)control;
    sim_journal_clear(&server->journal);
    return show_counters(server, body);
}

static int get_counters(struct sim_server *server, const struct sim_control *control,
                        struct sb_buf *body)
{
    (void)control;
    return show_counters(server, body);
}

static int get_behaviour(struct sim_server *server, const struct sim_control *control,
                         struct sb_buf *body)
{
    struct sb_json json;

    (void)control;
    sb_json_init(&json, body);
    sim_behaviour_show(server->world->now, &json);
    return sb_json_end(&json) == SB_OK ? 200 : 500;
}

static int post_behaviour(struct sim_server *server, const struct sim_control *control,
                          struct sb_buf *body)
{
    struct sb_errmsg err;

    if (sim_world_change(server->world, control->body, &err) != SB_OK)
        return refuse(body, 400, err.text);
    return get_behaviour(server, control, body);
}

static int delete_behaviour(struct sim_server *server, const struct sim_control *control,
                            struct sb_buf *body)
{
    sim_world_restore(server->world);
    return get_behaviour(server, control, body);
}

static int post_release(struct sim_server *server, const struct sim_control *control,
                        struct sb_buf *body)
{
    struct sb_slice query = control->query, name, value;
    uint64_t count = UINT64_MAX;

    while (sim_query_next(&query, &name, &value)) {
        if (!sb_slice_is(name, "count") || !sb_num_read_u64(value, &count))
            return refuse(body, 400, "the query is ?count=N");
    }
    return show_number(body, "released", sim_conn_release_held(server, count));
}

static int post_close(struct sim_server *server, const struct sim_control *control,
                      struct sb_buf *body)
{
    struct sb_slice query = control->query, name, value;
    bool idle_only = true, reset = false;

    while (sim_query_next(&query, &name, &value)) {
        if (sb_slice_is(name, "which") && (sb_slice_is(value, "idle") || sb_slice_is(value, "all")))
            idle_only = sb_slice_is(value, "idle");
        else if (sb_slice_is(name, "how") &&
                 (sb_slice_is(value, "close") || sb_slice_is(value, "reset")))
            reset = sb_slice_is(value, "reset");
        else
            return refuse(body, 400, "the query is ?which=idle|all&how=close|reset");
    }
    return show_number(body, "closed", sim_conn_close_all(server, idle_only, reset, control->conn));
}

static int get_wait(struct sim_server *server, const struct sim_control *control,
                    struct sb_buf *body, sb_msec *ret_timeout)
{
    struct sb_slice query = control->query, name, value;
    sb_msec timeout = WAIT_USUAL_MS;
    bool all = true;

    server->journal.count.script_left = server->world->script_left;
    while (sim_query_next(&query, &name, &value)) {
        bool met = true;

        if (sb_slice_is(name, "timeout_ms")) {
            if (!sb_num_read_u64(value, &timeout) || timeout > WAIT_MAX_MS)
                return refuse(body, 400, "timeout_ms is a number up to 600000");
        } else if (sim_counters_meet(&server->journal.count, name, value, &met) != SB_OK) {
            return refuse(body, 400, "the query is ?COUNTER=FROM or ?COUNTER=FROM-TO");
        }
        all = all && met;
    }
    *ret_timeout = timeout;
    return all ? show_counters(server, body) : 0;
}

int sim_control_give_up(struct sim_server *server, struct sb_buf *body)
{
    int status = show_counters(server, body);

    return status == 200 ? 408 : status;
}

typedef int answer_cb(struct sim_server *server, const struct sim_control *control,
                      struct sb_buf *body);

int sim_control_answer(struct sim_server *server, const struct sim_control *control,
                       struct sb_buf *body, sb_msec *ret_timeout)
{
    static const struct {
        const char *method, *path;
        answer_cb *answer;
    } table[] = {
        {"GET", PREFIX "requests", get_requests},
        {"DELETE", PREFIX "requests", delete_requests},
        {"GET", PREFIX "counters", get_counters},
        {"GET", PREFIX "behaviour", get_behaviour},
        {"POST", PREFIX "behaviour", post_behaviour},
        {"DELETE", PREFIX "behaviour", delete_behaviour},
        {"POST", PREFIX "release", post_release},
        {"POST", PREFIX "close", post_close},
    };

    if (sb_slice_is(control->method, "GET") && sb_slice_is(control->path, PREFIX "wait"))
        return get_wait(server, control, body, ret_timeout);
    for (size_t i = 0; i < SB_ARRAY_LEN(table); i++) {
        if (sb_slice_is(control->method, table[i].method) &&
            sb_slice_is(control->path, table[i].path))
            return table[i].answer(server, control, body);
    }
    return refuse(body, 404, "there is no such thing under " PREFIX);
}
