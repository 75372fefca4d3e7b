/* Who may do what: every route for every role, written down once more. */
#include "controlplane/roles.h"

#include "controlplane/admin/routes.h"
#include "tests/lib/test.h"

/* V viewer, A auditor, O operator, D admin; '*' nobody is asked for a token.  A
 * route that is added must be added here by who has thought about it. */
static const struct {
    const char *method, *path, *who;
} expected[] = {
    {"GET", "/healthz", "*"},
    {"GET", "/readyz", "*"},
    {"GET", "/metrics", "*"},
    {"GET", "/openapi.json", "*"},
    {"GET", "/admin/v1/status", "VAOD"},
    {"GET", "/admin/v1/providers", "VAOD"},
    {"GET", "/admin/v1/providers/{name...}", "VAOD"},
    {"PUT", "/admin/v1/providers/{name...}", "OD"},
    {"PATCH", "/admin/v1/providers/{name...}", "OD"},
    {"DELETE", "/admin/v1/providers/{name...}", "OD"},
    {"GET", "/admin/v1/models", "VAOD"},
    {"GET", "/admin/v1/models/{name...}", "VAOD"},
    {"PUT", "/admin/v1/models/{name...}", "OD"},
    {"PATCH", "/admin/v1/models/{name...}", "OD"},
    {"DELETE", "/admin/v1/models/{name...}", "OD"},
    {"GET", "/admin/v1/tenants", "VAOD"},
    {"GET", "/admin/v1/tenants/{name...}", "VAOD"},
    {"PUT", "/admin/v1/tenants/{name...}", "OD"},
    {"PATCH", "/admin/v1/tenants/{name...}", "OD"},
    {"DELETE", "/admin/v1/tenants/{name...}", "OD"},
    {"GET", "/admin/v1/policies", "VAOD"},
    {"GET", "/admin/v1/policies/{name...}", "VAOD"},
    {"PUT", "/admin/v1/policies/{name...}", "OD"},
    {"PATCH", "/admin/v1/policies/{name...}", "OD"},
    {"DELETE", "/admin/v1/policies/{name...}", "OD"},
    {"GET", "/admin/v1/endpoints", "VAOD"},
    {"GET", "/admin/v1/endpoints/{name...}", "VAOD"},
    {"PUT", "/admin/v1/endpoints/{name...}", "OD"},
    {"PATCH", "/admin/v1/endpoints/{name...}", "OD"},
    {"DELETE", "/admin/v1/endpoints/{name...}", "OD"},
    {"GET", "/admin/v1/keys", "VAOD"},
    {"GET", "/admin/v1/keys/{name...}", "VAOD"},
    {"PUT", "/admin/v1/keys/{name...}", "OD"},
    {"PATCH", "/admin/v1/keys/{name...}", "OD"},
    {"DELETE", "/admin/v1/keys/{name...}", "OD"},
    {"GET", "/admin/v1/credentials", "VAOD"},
    {"GET", "/admin/v1/credentials/{name...}", "VAOD"},
    {"PUT", "/admin/v1/credentials/{name...}", "OD"},
    {"PATCH", "/admin/v1/credentials/{name...}", "OD"},
    {"DELETE", "/admin/v1/credentials/{name...}", "OD"},
    {"GET", "/admin/v1/catalog", "VAOD"},
    {"PUT", "/admin/v1/catalog", "OD"},
    {"GET", "/admin/v1/revisions", "AOD"},
    {"GET", "/admin/v1/revisions/{revision}", "AOD"},
    {"POST", "/admin/v1/revisions/{revision}/rollback", "OD"},
    {"GET", "/admin/v1/workers", "VAOD"},
    {"GET", "/admin/v1/tables", "VAOD"},
    {"GET", "/admin/v1/events", "VAOD"},
    {"GET", "/admin/v1/flags/{name...}", "VAOD"},
    {"GET", "/admin/v1/probes", "VAOD"},
    {"GET", "/admin/v1/prices", "VAOD"},
    {"POST", "/admin/v1/explain", "VAOD"},
    {"GET", "/admin/v1/audit/requests", "AD"},
    {"GET", "/admin/v1/audit/changes", "AD"},
    {"GET", "/admin/v1/audit/actions", "AD"},
    {"GET", "/admin/v1/audit/log", "AD"},
    {"GET", "/admin/v1/audit/checkpoints", "AD"},
    {"GET", "/admin/v1/audit/checkpoints/latest", "AD"},
    {"GET", "/admin/v1/audit/edge", "AD"},
    {"GET", "/admin/v1/audit/proof", "AD"},
    {"GET", "/admin/v1/audit/consistency", "AD"},
    {"GET", "/admin/v1/compliance/report", "AD"},
    {"GET", "/admin/v1/audit/export", "AD"},
    {"GET", "/admin/v1/holds", "AD"},
    {"POST", "/admin/v1/holds", "D"},
    {"GET", "/admin/v1/holds/{name}", "AD"},
    {"DELETE", "/admin/v1/holds/{name}", "D"},
    {"POST", "/admin/v1/erasures", "D"},
    {"GET", "/admin/v1/tokens", "AD"},
    {"POST", "/admin/v1/tokens", "D"},
    {"GET", "/admin/v1/tokens/{name}", "AD"},
    {"DELETE", "/admin/v1/tokens/{name}", "D"},
};
static const char letters[CP_ROLES + 1] = "VAOD";

static const char *expectation(const struct cp_route *route)
{
    for (size_t i = 0; i < SB_ARRAY_LEN(expected); i++)
        if (strcmp(expected[i].method, route->method) == 0 &&
            strcmp(expected[i].path, route->path) == 0)
            return expected[i].who;
    fail_msg("%s %s: say in this test who may", route->method, route->path);
    return "";
}

static struct cp_principal principal(enum cp_role role)
{
    return (struct cp_principal){
        .name = "somebody", .role = role, .scope = {.kinds = CP_SCOPE_ALL_KINDS}};
}

static void every_route_lets_in_whom_it_should(void **state)
{
    (void)state;
    assert_int_equal(cp_routes_n, SB_ARRAY_LEN(expected));
    for (size_t i = 0; i < cp_routes_n; i++) {
        const struct cp_route *route = &cp_routes[i];
        const char *who = expectation(route);

        assert_int_equal(route->is_open, strcmp(who, "*") == 0);
        for (int role = 0; role < CP_ROLES && !route->is_open; role++) {
            struct cp_principal one = principal((enum cp_role)role);
            int kind = route->is_of_kind ? route->kind : -1;
            bool may = strchr(who, letters[role]) != NULL;

            if ((cp_principal_check(&one, route->needs, kind, NULL) == SB_OK) != may)
                fail_msg("%s %s: %s", route->method, route->path, cp_role_name((enum cp_role)role));
        }
    }
}

static void who_changes_nothing_is_let_into_nothing_that_changes(void **state)
{
    (void)state;
    for (size_t i = 0; i < cp_routes_n; i++) {
        const struct cp_route *route = &cp_routes[i];
        bool changes = route->answer == CP_ANSWER_CHANGE || route->body == CP_BODY_TOKEN ||
                       strcmp(route->method, "DELETE") == 0;

        if (!changes)
            continue;
        assert_false(cp_role_may(CP_ROLE_AUDITOR, route->needs));
        assert_false(cp_role_may(CP_ROLE_VIEWER, route->needs));
    }
}

static void names_and_roles_find_each_other(void **state)
{
    static const char *const names[CP_ROLES] = {"viewer", "auditor", "operator", "admin"};

    (void)state;
    for (int role = 0; role < CP_ROLES; role++) {
        assert_string_equal(cp_role_name((enum cp_role)role), names[role]);
        assert_int_equal(cp_role_parse(sb_slice_of(names[role])), role);
    }
    assert_int_equal(cp_role_parse(SB_SLICE_LIT("Admin")), -1);
    assert_int_equal(cp_role_parse(SB_SLICE_NONE), -1);
}

static void a_refusal_names_role_permission_and_who_has_it(void **state)
{
    static const char longest[] =
        "a123456789012345678901234567890123456789012345678901234567890123";
    struct cp_principal who = principal(CP_ROLE_VIEWER);
    struct sb_errmsg err;

    (void)state;
    assert_int_equal(cp_principal_check(&who, CP_MAY_READ_AUDIT, -1, &err), SB_EFORBIDDEN);
    assert_string_equal(err.text,
                        "'somebody' has the role viewer, which lacks the permission read_audit "
                        "(read audit records); auditor and admin may");
    assert_int_equal(sizeof(longest), CP_TOKEN_NAME_MAX);
    memcpy(who.name, longest, sizeof(longest));
    for (int may = CP_MAY_NOTHING; may < CP_MAYS; may++) { /* whole, for the longest name */
        err.text[0] = '\0';
        if (cp_principal_check(&who, (enum cp_may)may, -1, &err) != SB_OK)
            assert_non_null(strstr(err.text, " may"));
    }
}

static void nobody_has_what_a_route_forgot_to_name(void **state)
{
    (void)state;
    for (int role = 0; role < CP_ROLES; role++)
        assert_false(cp_role_may((enum cp_role)role, CP_MAY_NOTHING));
}

static void a_scope_is_of_kinds_and_tenants(void **state)
{
    struct sb_arena *arena = sb_arena_new(1024);
    struct sb_slice tenants[] = {SB_SLICE_LIT("red"), SB_SLICE_LIT("say \"blue\"")};
    struct cp_principal who = principal(CP_ROLE_OPERATOR);
    struct sb_errmsg err;

    (void)state;
    assert_true(cp_scope_is_whole(&who.scope));
    assert_true(cp_scope_has_tenant(&who.scope, SB_SLICE_LIT("anybody")));
    assert_int_equal(cp_scope_tenants_json(&who.scope, arena).n, 0);

    who.scope.kinds = 1u << CP_MODELS | 1u << CP_KEYS;
    assert_false(cp_scope_is_whole(&who.scope));
    assert_int_equal(cp_principal_check(&who, CP_MAY_CHANGE, CP_KEYS, &err), SB_OK);
    assert_int_equal(cp_principal_check(&who, CP_MAY_CHANGE, CP_ENDPOINTS, &err), SB_EFORBIDDEN);
    assert_non_null(strstr(err.text, "without endpoints"));
    assert_int_equal(cp_principal_check(&who, CP_MAY_READ, -1, &err), SB_EFORBIDDEN);
    assert_true(sb_slice_is(cp_scope_kinds_json(&who.scope, arena), "[\"models\",\"keys\"]"));

    cp_scope_limit_tenants(&who.scope, tenants, SB_ARRAY_LEN(tenants));
    assert_int_equal(who.scope.kinds, 1u << CP_KEYS); /* models are nobody's */
    assert_true(cp_scope_has_tenant(&who.scope, SB_SLICE_LIT("red")));
    assert_false(cp_scope_has_tenant(&who.scope, SB_SLICE_LIT("re")));
    assert_false(cp_scope_has_tenant(&who.scope, SB_SLICE_NONE)); /* what is the house's */
    assert_true(
        sb_slice_is(cp_scope_tenants_json(&who.scope, arena), "[\"red\",\"say \\\"blue\\\"\"]"));
    sb_arena_destroy(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_lets_in_whom_it_should),
        cmocka_unit_test(who_changes_nothing_is_let_into_nothing_that_changes),
        cmocka_unit_test(names_and_roles_find_each_other),
        cmocka_unit_test(a_refusal_names_role_permission_and_who_has_it),
        cmocka_unit_test(nobody_has_what_a_route_forgot_to_name),
        cmocka_unit_test(a_scope_is_of_kinds_and_tenants),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
