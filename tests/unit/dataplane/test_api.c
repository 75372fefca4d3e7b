/* tests/unit/dataplane/test_api.c - which path is served how. */
#include "dataplane/api.h"

#include "common/arena.h"
#include "dataplane/answer.h"
#include "dataplane/request.h"
#include "tests/lib/test.h"

static const struct dp_api *find(const char *text, enum sb_http1_method method, bool is_status,
                                 struct dp_error *refusal)
{
    struct sb_slice path = sb_slice_of(text);

    *refusal = (struct dp_error){.status = 0};
    return dp_api_find(&path, method, is_status, refusal);
}

static void each_path_has_its_pattern(void **state)
{
    static const struct {
        const char *path;
        enum sb_http1_method method;
        const char *pattern; /* NULL: none */
    } cases[] = {
        {"/v1/chat/completions", SB_HTTP1_POST, "/v1/chat/completions"},
        {"/api/v1/chat/completions", SB_HTTP1_POST, "/v1/chat/completions"},
        {"/api/api/v1/chat/completions", SB_HTTP1_POST, NULL},
        {"/v1/chat/completions/", SB_HTTP1_POST, NULL},
        {"/v1/chat", SB_HTTP1_POST, NULL},
        {"/v1/models", SB_HTTP1_GET, "/v1/models"},
        {"/v1/models/", SB_HTTP1_GET, NULL},
        {"/v1/models/count", SB_HTTP1_HEAD, "/v1/models/count"},
        {"/v1/models/a", SB_HTTP1_GET, "/v1/models/*"},
        {"/v1/models/a/b", SB_HTTP1_GET, "/v1/models/*/*"},
        {"/v1/models/a/b/endpoints", SB_HTTP1_GET, "/v1/models/*/*/endpoints"},
        {"/v1/models//b/endpoints", SB_HTTP1_GET, NULL},
        {"/v1/models/a/b/c/d", SB_HTTP1_GET, NULL},
        {"/healthz", SB_HTTP1_GET, "/healthz"},
        {"/metrics", SB_HTTP1_GET, NULL},
        {"", SB_HTTP1_GET, NULL},
        {"/", SB_HTTP1_GET, NULL},
        {"*", SB_HTTP1_GET, NULL},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        struct dp_error refusal;
        const struct dp_api *api = find(cases[i].path, cases[i].method, false, &refusal);

        if (cases[i].pattern == NULL) {
            assert_null(api);
            assert_int_equal(refusal.status, 404);
        } else {
            assert_non_null(api);
            assert_string_equal(api->path, cases[i].pattern);
        }
    }
}

static void another_method_is_told_what_the_path_takes(void **state)
{
    struct dp_error refusal;

    (void)state;
    assert_null(find("/v1/chat/completions", SB_HTTP1_GET, false, &refusal));
    assert_int_equal(refusal.status, 405);
    assert_string_equal(refusal.allow, "POST");
    assert_null(find("/v1/models/a/b", SB_HTTP1_DELETE, false, &refusal));
    assert_int_equal(refusal.status, 405);
    assert_string_equal(refusal.allow, "GET, HEAD");
}

static void the_status_address_serves_status_alone(void **state)
{
    struct dp_error refusal;

    (void)state;
    assert_non_null(find("/metrics", SB_HTTP1_GET, true, &refusal));
    assert_non_null(find("/readyz", SB_HTTP1_GET, true, &refusal));
    assert_null(find("/v1/models", SB_HTTP1_GET, true, &refusal));
    assert_int_equal(refusal.status, 404);
}

static void what_is_served_to_clients_wants_a_key(void **state)
{
    static const char *const paths[] = {"/v1/models", "/v1/key", "/v1/credits", "/v1/generation",
                                        "/v1/providers"};
    struct dp_error refusal;

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(paths); i++)
        assert_true(find(paths[i], SB_HTTP1_GET, false, &refusal)->needs_key);
    assert_true(find("/v1/embeddings", SB_HTTP1_POST, false, &refusal)->is_recorded);
}

static void segments_are_what_lies_between_slashes(void **state)
{
    struct sb_slice path = SB_SLICE_LIT("/v1/models/a%2Fb");

    (void)state;
    assert_true(sb_slice_is(dp_api_segment(path, 0), "v1"));
    assert_true(sb_slice_is(dp_api_segment(path, 2), "a%2Fb"));
    assert_int_equal(dp_api_segment(path, 3).n, 0);
    assert_int_equal(dp_api_segment(SB_SLICE_NONE, 0).n, 0);
    assert_int_equal(dp_api_segment(SB_SLICE_LIT("/"), 0).n, 0);
    assert_int_equal(dp_api_segment(SB_SLICE_LIT("//x"), 0).n, 0);
    assert_true(sb_slice_is(dp_api_segment(SB_SLICE_LIT("//x"), 1), "x"));
}

static void names_and_queries_are_unescaped(void **state)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(8192);
    struct dp_request *req = sb_arena_alloc(arena, sizeof(*req));

    (void)state;
    req->arena = arena;
    req->path = SB_SLICE_LIT("/v1/models/a%2Fb+c%4");
    assert_true(sb_slice_is(dp_api_name(req, 2), "a/b+c%4"));
    req->path = SB_SLICE_LIT("/v1/models/%41");
    assert_true(sb_slice_is(dp_api_name(req, 2), "A"));
    req->query = SB_SLICE_LIT("idx=1&id=gen%2d1+%zz&id=2&empty=&flag");
    assert_true(sb_slice_is(dp_api_query(req, SB_SLICE_LIT("id")), "gen-1 %zz"));
    assert_true(sb_slice_is(dp_api_query(req, SB_SLICE_LIT("idx")), "1"));
    assert_int_equal(dp_api_query(req, SB_SLICE_LIT("empty")).n, 0);
    assert_int_equal(dp_api_query(req, SB_SLICE_LIT("flag")).n, 0);
    assert_int_equal(dp_api_query(req, SB_SLICE_LIT("other")).n, 0);
    req->query = SB_SLICE_NONE;
    assert_int_equal(dp_api_query(req, SB_SLICE_LIT("id")).n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_path_has_its_pattern),
        cmocka_unit_test(another_method_is_told_what_the_path_takes),
        cmocka_unit_test(the_status_address_serves_status_alone),
        cmocka_unit_test(what_is_served_to_clients_wants_a_key),
        cmocka_unit_test(segments_are_what_lies_between_slashes),
        cmocka_unit_test(names_and_queries_are_unescaped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
