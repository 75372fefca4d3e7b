/* The route table: what is asked for is found, and the table is sound. */
#include "tests/lib/test.h"

#include "controlplane/admin/routes.h"
#include "controlplane/catalog/catalog.h"

static const struct cp_route *find(const char *method, const char *path, char *allow)
{
    struct sb_slice args[CP_TARGET_ARGS_MAX];

    return cp_route_find(method, sb_slice_of(path), args, allow);
}

static void each_kind_has_its_five_calls(void **state)
{
    static const char *const methods[] = {"GET", "PUT", "PATCH", "DELETE"};
    char path[100], allow[CP_ALLOW_MAX];

    (void)state;
    for (int kind = 0; kind < CP_KINDS; kind++) {
        const struct cp_route *route;

        (void)snprintf(path, sizeof(path), "/admin/v1/%s", cp_kind_section((enum cp_kind)kind));
        route = find("GET", path, allow);
        assert_non_null(route);
        assert_int_equal(route->kind, kind);
        assert_ptr_equal(route->serve, cp_serve_list);
        strcat(path, "/a/b");
        for (size_t i = 0; i < SB_ARRAY_LEN(methods); i++) {
            route = find(methods[i], path, allow);
            assert_non_null(route);
            assert_int_equal(route->kind, kind);
        }
    }
}

static void a_wrong_method_is_told_from_a_wrong_path(void **state)
{
    char allow[CP_ALLOW_MAX];

    (void)state;
    assert_null(find("POST", "/admin/v1/keys/a", allow));
    assert_string_equal(allow, "GET, PUT, PATCH, DELETE");
    assert_null(find("GET", "/admin/v1/nothing", allow));
    assert_string_equal(allow, "");
    assert_null(find("GET", "/admin/v2/keys", allow));
    assert_null(find("get", "/admin/v1/keys", allow)); /* methods are case-sensitive */
    assert_non_null(find("HEAD", "/admin/v1/keys", allow));
}

static void a_rollback_is_no_revision(void **state)
{
    char allow[CP_ALLOW_MAX];

    (void)state;
    assert_ptr_equal(find("POST", "/admin/v1/revisions/7/rollback", allow)->serve,
                     cp_serve_rollback);
    assert_ptr_equal(find("GET", "/admin/v1/revisions/7", allow)->serve, cp_serve_revision);
    assert_null(find("GET", "/admin/v1/revisions/7/rollback", allow));
    assert_string_equal(allow, "POST");
}

static void only_what_tells_nothing_is_open(void **state)
{
    (void)state;
    for (size_t i = 0; i < cp_routes_n; i++)
        assert_int_equal(cp_routes[i].is_open,
                         strncmp(cp_routes[i].path, "/admin/", strlen("/admin/")) != 0);
}

static void rows_are_complete_and_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < cp_routes_n; i++) {
        const struct cp_route *one = &cp_routes[i];

        assert_non_null(one->serve);
        assert_non_null(one->params);
        assert_non_null(one->id);
        assert_non_null(one->summary);
        assert_int_equal(one->needs == CP_MAY_NOTHING, one->is_open);
        assert_int_equal(one->body != CP_BODY_NONE && one->body != CP_BODY_REQUEST &&
                             one->body != CP_BODY_TOKEN && one->body != CP_BODY_HOLD &&
                             one->body != CP_BODY_ERASURE && one->answer != CP_ANSWER_CHANGE,
                         0); /* a body that is stored is a change */
        for (size_t j = 0; j < i; j++) {
            assert_true(strcmp(one->id, cp_routes[j].id) != 0);
            assert_true(strcmp(one->path, cp_routes[j].path) != 0 ||
                        strcmp(one->method, cp_routes[j].method) != 0);
        }
        for (const struct cp_route_param *param = one->params; param->name != NULL; param++) {
            assert_non_null(param->help);
            assert_ptr_equal(cp_route_find_param(one, sb_slice_of(param->name)), param);
        }
        assert_null(cp_route_find_param(one, SB_SLICE_LIT("nothing")));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_has_its_five_calls),
        cmocka_unit_test(a_wrong_method_is_told_from_a_wrong_path),
        cmocka_unit_test(a_rollback_is_no_revision),
        cmocka_unit_test(only_what_tells_nothing_is_open),
        cmocka_unit_test(rows_are_complete_and_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
