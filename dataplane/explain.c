/* dataplane/explain.c */
#include "dataplane/explain.h"

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/json.h"
#include "dataplane/breaker.h"
#include "dataplane/conf.h"
#include "dataplane/courier/courier.h"
#include "dataplane/route/content.h"
#include "dataplane/route/decide.h"
#include "dataplane/route/explain.h"
#include "dataplane/route/view.h"
#include "dataplane/worker.h"

enum { ANSWER_MAX = 64 << 20 };

static const struct dp_key *find_key(const struct dp_snapshot *snapshot, struct sb_slice name)
{
    for (size_t i = 0; i < snapshot->records->n_keys; i++)
        if (name.n == 0 || sb_slice_eq(snapshot->keys[i].row->name, name))
            return &snapshot->keys[i];
    return NULL;
}

/* Appends the outcome as JSON; returns the HTTP status that fits. */
static int explain(struct dp_worker *worker, struct sb_slice key_name, struct sb_slice body,
                   struct sb_arena *arena, struct sb_json *json, struct sb_errmsg *err)
{
    struct sb_splice_member *members =
        sb_arena_alloc_raw(arena, SB_SPLICE_MEMBERS * sizeof(*members));
    struct dp_requirements *ask = sb_arena_alloc(arena, sizeof(*ask));
    struct dp_route route = {
        .snapshot = worker->snapshot,
        .tables = worker->tables,
        .health = dp_breakers_health(worker->breakers),
        .ask = ask,
        .now = sb_loop_now(worker->loop),
        .unix_seconds = (int64_t)(sb_clock_wall(worker->clock) / 1000000),
        .random = dp_worker_random(worker),
    };
    struct sb_splice_error mistake;
    struct dp_content content;
    struct sb_splice doc;
    int rc;

    if (worker->snapshot == NULL)
        return sb_err_set(err, 503, "the worker has no snapshot yet");
    route.key = find_key(worker->snapshot, key_name);
    if (route.key == NULL)
        return sb_err_set(err, 404, "there is no key '%.*s'", SB_SLICE_ARGS(key_name));
    sb_splice_init(&doc, members, SB_SPLICE_MEMBERS);
    dp_content_init(&content, MSG_API_CHAT);
    if (sb_splice_visit(&doc, body, (unsigned)worker->conf->json_depth, &content.visitor,
                        &mistake) != SB_OK)
        return sb_err_set(err, 400, "the request is not valid JSON at byte %zu: %s", mistake.offset,
                          mistake.reason);
    if (doc.type != SB_SPLICE_OBJECT)
        return sb_err_set(err, 400, "the request must be a JSON object");
    if (dp_requirements_read(&doc, &content, arena, ask, err) != SB_OK)
        return 400;
    rc = dp_explain(json, &route, arena, err);
    switch (rc) {
    case SB_OK:
    case SB_ENOENT: /* a refusal is an explanation too */
        return 200;
    case SB_EACCES:
        return 403;
    default:
        return 400;
    }
}

void dp_explain_answer(struct dp_worker *worker, uint64_t id, struct sb_slice key_name,
                       struct sb_slice body)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(DP_ARENA_BYTES);
    SB_CLEANUP(sb_buf_release) struct sb_buf out;
    struct sb_errmsg err = {.text = ""};
    struct sb_json json;
    int status;

    sb_buf_init(&out, ANSWER_MAX);
    sb_json_init(&json, &out);
    status = explain(worker, key_name, body, arena, &json, &err);
    if (status != 200 || sb_json_end(&json) != SB_OK) {
        sb_buf_reset(&out);
        sb_json_init(&json, &out);
        sb_json_open_object(&json);
        sb_json_add_object(&json, "error");
        sb_json_add_i64(&json, "code", status);
        sb_json_add_text(&json, "message", sb_slice_of(err.text));
        sb_json_close_object(&json);
        sb_json_close_object(&json);
        if (sb_json_end(&json) != SB_OK)
            sb_buf_reset(&out);
    }
    dp_courier_answer(worker->courier, id, status, sb_buf_slice(&out));
}
