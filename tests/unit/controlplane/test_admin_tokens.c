/* tests/unit/controlplane/test_admin_tokens.c - against a real PostgreSQL. */
#include "controlplane/admin_tokens.h"

#include "common/secret.h"
#include "tests/lib/store_fixture.h"

static const struct cp_actor actor = {
    .name = {"admin", 5}, .role = {"admin", 5}, .address = {"192.0.2.7", 9}};
static const struct cp_scope everything = {.kinds = CP_SCOPE_ALL_KINDS};

static struct sb_secret *create(const struct cp_token_wish *wish)
{
    struct sb_secret *secret = NULL;
    struct sb_errmsg err = {.text = ""};

    if (cp_token_create(fx.store, wish, &actor, &secret, &err) != SB_OK)
        fail_msg("%s", err.text);
    return secret;
}

static struct sb_secret *create_plain(const char *name, enum cp_role role)
{
    return create(
        &(struct cp_token_wish){.name = sb_slice_of(name), .role = role, .scope = &everything});
}

static int find(const struct sb_secret *secret, struct cp_principal *who, struct sb_errmsg *err)
{
    return cp_token_find(fx.store, sb_secret_expose(secret), fx.arena, who, err);
}

static void a_token_is_found_by_its_secret_alone(void **state)
{
    SB_CLEANUP(sb_secret_destroy) struct sb_secret *secret = create_plain("ops", CP_ROLE_OPERATOR);
    struct cp_principal who = {.name = "untouched"};
    struct sb_errmsg err;
    char text[100];

    (void)state;
    assert_memory_equal(sb_secret_expose(secret).p, "sbadm-", 6);
    assert_int_equal(sb_secret_len(secret), 6 + 43);
    assert_int_equal(find(secret, &who, &err), SB_OK);
    assert_string_equal(who.name, "ops");
    assert_int_equal(who.role, CP_ROLE_OPERATOR);
    assert_true(cp_scope_is_whole(&who.scope));
    who = (struct cp_principal){.name = "untouched"};
    for (size_t i = 0; i < sb_secret_len(secret); i++) { /* each character counts */
        assert_true(sb_slice_copy_text(sb_secret_expose(secret), text, sizeof(text)));
        text[i] = text[i] == 'x' ? 'y' : 'x';
        assert_int_equal(cp_token_find(fx.store, sb_slice_of(text), fx.arena, &who, &err),
                         SB_EAUTH);
    }
    assert_string_equal(who.name, "untouched");
}

static void what_is_stored_opens_nothing(void **state)
{
    SB_CLEANUP(sb_secret_destroy) struct sb_secret *secret = create_plain("ops", CP_ROLE_ADMIN);
    SB_CLEANUP(cp_db_destroy) struct cp_db *owner = fixture_connect(NULL);
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    uint8_t plain[SB_HASH_BYTES];

    (void)state;
    sb_hash(sb_secret_expose(secret), plain);
    assert_int_equal(cp_db_query(owner,
                                 "SELECT count(*) FROM admin_tokens WHERE hash = $1"
                                 " OR position($2::text IN admin_tokens::text) > 0",
                                 CP_PARAMS(CP_P_BYTES(sb_slice_make(plain, sizeof(plain))),
                                           CP_P_TEXT(sb_secret_expose(secret))),
                                 &rows),
                     SB_OK);
    assert_int_equal(cp_rows_i64(rows, 0, 0), 0);
}

static void an_ended_token_says_how_it_ended(void **state)
{
    SB_CLEANUP(sb_secret_destroy) struct sb_secret *revoked = create_plain("one", CP_ROLE_VIEWER);
    SB_CLEANUP(sb_secret_destroy)
    struct sb_secret *expired =
        create(&(struct cp_token_wish){.name = SB_SLICE_LIT("two"),
                                       .role = CP_ROLE_VIEWER,
                                       .scope = &everything,
                                       .expires_at = SB_SLICE_LIT("2001-02-03T04:05:06Z")});
    struct cp_principal who;
    struct sb_errmsg err;

    (void)state;
    assert_int_equal(find(expired, &who, &err), SB_EAUTH);
    assert_string_equal(err.text, "the token 'two' (viewer) expired at 2001-02-03T04:05:06Z; an "
                                  "admin makes another");
    assert_int_equal(find(revoked, &who, &err), SB_OK);
    assert_int_equal(cp_token_revoke(fx.store, SB_SLICE_LIT("one"), &actor, &err), SB_OK);
    assert_int_equal(find(revoked, &who, &err), SB_EAUTH);
    assert_memory_equal(err.text, "the token 'one' (viewer) was revoked at 20", 42);
    assert_int_equal(cp_token_revoke(fx.store, SB_SLICE_LIT("one"), &actor, &err), SB_ECONFLICT);
    assert_string_equal(err.text, "the token 'one' was revoked already, by admin");
    assert_int_equal(cp_token_revoke(fx.store, SB_SLICE_LIT("none"), &actor, &err), SB_ENOENT);
}

static void a_name_is_used_once(void **state)
{
    SB_CLEANUP(sb_secret_destroy) struct sb_secret *first = create_plain("ci", CP_ROLE_VIEWER);
    struct cp_token_wish wish = {
        .name = SB_SLICE_LIT("ci"), .role = CP_ROLE_ADMIN, .scope = &everything};
    struct sb_secret *second = NULL;
    struct sb_errmsg err;

    (void)state;
    assert_int_equal(cp_token_create(fx.store, &wish, &actor, &second, &err), SB_EEXIST);
    assert_int_equal(cp_token_revoke(fx.store, SB_SLICE_LIT("ci"), &actor, &err), SB_OK);
    assert_int_equal(cp_token_create(fx.store, &wish, &actor, &second, &err), SB_EEXIST);
    assert_null(second);
    assert_int_equal(fixture_number("SELECT count(*) FROM admin_actions"), 2); /* what was done */
}

static void names_that_could_be_mistaken_are_refused(void **state)
{
    static const char *const fit[] = {
        "a", "ops-1", "jane.doe@example.com", "0_x",
        "a123456789012345678901234567890123456789012345678901234567890123"};
    static const char *const unfit[] = {
        "",       "admin",
        "prober", "-a",
        ".a",     "a b",
        "a/b",    "\xc3\xa9",
        "a\n",    "a1234567890123456789012345678901234567890123456789012345678901234"};

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(fit); i++)
        assert_true(cp_token_name_is_fit(sb_slice_of(fit[i])));
    for (size_t i = 0; i < SB_ARRAY_LEN(unfit); i++)
        assert_false(cp_token_name_is_fit(sb_slice_of(unfit[i])));
}

static void a_scope_comes_back_as_it_was_given(void **state)
{
    struct sb_slice tenants[] = {SB_SLICE_LIT("red"), SB_SLICE_LIT("say \"blue\", {x}")};
    struct cp_scope scope = {.kinds = 1u << CP_KEYS | 1u << CP_MODELS};
    SB_CLEANUP(sb_secret_destroy)
    struct sb_secret *kinds = create(&(struct cp_token_wish){
        .name = SB_SLICE_LIT("kinds"), .role = CP_ROLE_OPERATOR, .scope = &scope});
    SB_CLEANUP(sb_secret_destroy) struct sb_secret *both = NULL;
    struct cp_principal who;
    struct sb_errmsg err;

    (void)state;
    cp_scope_limit_tenants(&scope, tenants, SB_ARRAY_LEN(tenants));
    both = create(&(struct cp_token_wish){
        .name = SB_SLICE_LIT("both"), .role = CP_ROLE_VIEWER, .scope = &scope});
    assert_int_equal(find(kinds, &who, &err), SB_OK);
    assert_int_equal(who.scope.kinds, 1u << CP_KEYS | 1u << CP_MODELS);
    assert_null(who.scope.tenants);
    assert_int_equal(find(both, &who, &err), SB_OK);
    assert_int_equal(who.scope.kinds, 1u << CP_KEYS);
    assert_int_equal(who.scope.n_tenants, 2);
    assert_true(sb_slice_eq(who.scope.tenants[1], tenants[1]));
    sb_buf_reset(&fx.out);
    assert_non_null(strstr(fixture_text(cp_token_get(fx.store, SB_SLICE_LIT("both"), &fx.out)),
                           "\"kinds\":[\"keys\"]"));
}

static void use_is_kept_coarsely(void **state)
{
    SB_CLEANUP(sb_secret_destroy) struct sb_secret *secret = create_plain("ops", CP_ROLE_VIEWER);
    SB_CLEANUP(cp_db_destroy) struct cp_db *owner = fixture_connect(NULL);
    struct cp_principal who;
    struct sb_errmsg err;

    (void)state;
    assert_int_equal(fixture_number("SELECT count(last_used_at) FROM admin_tokens"), 0);
    assert_int_equal(find(secret, &who, &err), SB_OK);
    assert_int_equal(fixture_number("SELECT count(*) FROM admin_tokens WHERE last_used_at ="
                                    " date_trunc('minute', last_used_at)"),
                     1);
    assert_int_equal(cp_db_script(owner, "UPDATE admin_tokens SET last_used_at = now() - interval"
                                         " '4 minutes 7 seconds'"),
                     SB_OK);
    assert_int_equal(find(secret, &who, &err), SB_OK); /* soon again: not moved */
    assert_int_equal(fixture_number("SELECT count(*) FROM admin_tokens WHERE last_used_at ="
                                    " date_trunc('minute', last_used_at)"),
                     0);
    assert_int_equal(cp_db_script(owner, "UPDATE admin_tokens SET last_used_at = now() - interval"
                                         " '5 minutes 7 seconds'"),
                     SB_OK);
    assert_int_equal(find(secret, &who, &err), SB_OK);
    assert_int_equal(fixture_number("SELECT count(*) FROM admin_tokens WHERE last_used_at >"
                                    " now() - interval '2 minutes'"),
                     1);
}

static void what_was_done_and_refused_is_kept(void **state)
{
    SB_CLEANUP(sb_secret_destroy) struct sb_secret *secret = create_plain("ops", CP_ROLE_VIEWER);
    const struct cp_actor ops = {.name = SB_SLICE_LIT("ops"), .role = SB_SLICE_LIT("viewer")};
    struct sb_errmsg err;

    (void)state;
    assert_int_equal(fixture_number("SELECT count(*) FROM admin_actions WHERE author = 'admin'"
                                    " AND role = 'admin' AND address = '192.0.2.7'"
                                    " AND action = 'token_created' AND subject = 'ops'"
                                    " AND detail = '{\"role\": \"viewer\"}'"),
                     1);
    for (int i = 0; i < 3; i++) /* the same again is told once */
        assert_int_equal(cp_action_refused(fx.store, &ops, SB_SLICE_LIT("PUT /x"), "because"),
                         SB_OK);
    assert_int_equal(cp_action_refused(fx.store, &ops, SB_SLICE_LIT("PUT /y"), "because"), SB_OK);
    assert_int_equal(fixture_number("SELECT count(*) FROM admin_actions WHERE action = 'refused'"
                                    " AND author = 'ops' AND address IS NULL"
                                    " AND detail ->> 'why' = 'because'"),
                     2);
    assert_int_equal(cp_token_revoke(fx.store, SB_SLICE_LIT("ops"), &actor, &err), SB_OK);
    assert_int_equal(fixture_number("SELECT count(*) FROM admin_actions WHERE subject = 'ops'"
                                    " AND action = 'token_revoked'"),
                     1);
}

static void without_a_key_to_hash_with_there_are_no_tokens(void **state)
{
    SB_CLEANUP(cp_store_destroy) struct cp_store *store = fixture_store(NULL);
    SB_CLEANUP(sb_secret_destroy) struct sb_secret *secret = create_plain("ops", CP_ROLE_VIEWER);
    struct cp_token_wish wish = {
        .name = SB_SLICE_LIT("x"), .role = CP_ROLE_ADMIN, .scope = &everything};
    struct sb_secret *made = NULL;
    struct cp_principal who;
    struct sb_errmsg err;

    (void)state;
    assert_int_equal(cp_token_create(store, &wish, &actor, &made, &err), SB_EUNSUPPORTED);
    assert_null(made);
    assert_int_equal(cp_token_find(store, sb_secret_expose(secret), fx.arena, &who, &err),
                     SB_EAUTH);
}

/* --- changes under a scope ------------------------------------------------------------ */

#define CATALOG                                                                                    \
    "version: 1\n"                                                                                 \
    "tenants: [{name: red}, {name: blue}]\n"                                                       \
    "keys: [{name: red-1, tenant: red}, {name: blue-1, tenant: blue}]\n"                           \
    "providers: [{slug: acme, name: A, dialect: openai, base_url: 'https://a.example/v1',"         \
    " credential: {value: a-secret-of-acme}}]\n"

static struct cp_change limited(const struct cp_scope *scope)
{
    struct cp_change change = plain_change;

    change.scope = scope;
    return change;
}

static int put_key(const char *name, const char *body, const struct cp_change *change)
{
    cp_answer_init(&fx.answer, fx.arena);
    return cp_store_put(fx.store, CP_KEYS, sb_slice_of(name), sb_slice_of(body), change,
                        &fx.answer);
}

static void a_change_ends_where_its_scope_does(void **state)
{
    struct sb_slice red = SB_SLICE_LIT("red");
    struct cp_scope scope = {.kinds = CP_SCOPE_ALL_KINDS},
                    providers = {.kinds = 1u << CP_PROVIDERS};
    struct cp_change change, of_providers = limited(&providers);
    uint64_t before;

    (void)state;
    fixture_apply(CATALOG);
    before = fixture_revision();
    cp_scope_limit_tenants(&scope, &red, 1);
    change = limited(&scope);
    assert_int_equal(put_key("red-2", "{\"tenant\": \"red\"}", &change), SB_OK);
    assert_int_equal(put_key("new", "{\"tenant\": \"blue\"}", &change), SB_EFORBIDDEN);
    assert_non_null(strstr(fx.answer.err.text, "the key 'new' is outside of the scope"));
    assert_int_equal(put_key("blue-1", "{\"tenant\": \"red\"}", &change),
                     SB_EFORBIDDEN); /* taken over */
    assert_int_equal(put_key("red-1", "{\"tenant\": \"blue\"}", &change),
                     SB_EFORBIDDEN);                                 /* given away */
    assert_int_equal(put_key("free", "{}", &change), SB_EFORBIDDEN); /* default's */
    cp_answer_init(&fx.answer, fx.arena);
    assert_int_equal(
        cp_store_delete(fx.store, CP_KEYS, SB_SLICE_LIT("blue-1"), &change, &fx.answer),
        SB_EFORBIDDEN);
    assert_int_equal(
        fixture_apply_with("version: 1\nmodels: []\ntenants: [{name: green}]\n", &change),
        SB_EFORBIDDEN);
    /* what only follows: the provider's credential would go along */
    cp_answer_init(&fx.answer, fx.arena);
    of_providers.force = true;
    assert_int_equal(
        cp_store_delete(fx.store, CP_PROVIDERS, SB_SLICE_LIT("acme"), &of_providers, &fx.answer),
        SB_EFORBIDDEN);
    assert_non_null(strstr(fx.answer.err.text, "the credential 'acme'"));
    assert_int_equal(fixture_revision(), before + 1);
}

static void a_list_shows_what_is_of_the_tenants(void **state)
{
    struct cp_page page = {.limit = 10, .tenants = SB_SLICE_LIT("[\"red\"]")};
    const char *text;

    (void)state;
    fixture_apply(CATALOG);
    sb_buf_reset(&fx.out);
    text = fixture_text(cp_store_list(fx.store, CP_KEYS, &page, &fx.out));
    assert_non_null(strstr(text, "\"red-1\""));
    assert_null(strstr(text, "blue"));
    sb_buf_reset(&fx.out);
    text = fixture_text(cp_store_list(fx.store, CP_TENANTS, &page, &fx.out));
    assert_non_null(strstr(text, "\"red\""));
    assert_null(strstr(text, "blue"));
    sb_buf_reset(&fx.out);
    assert_string_equal(fixture_text(cp_store_list(fx.store, CP_CREDENTIALS, &page, &fx.out)),
                        "[]");
    sb_buf_reset(&fx.out);
    assert_string_equal(fixture_text(cp_store_list(fx.store, CP_PROVIDERS, &page, &fx.out)), "[]");
}

static void a_revision_keeps_role_and_address(void **state)
{
    struct cp_change change = plain_change;

    (void)state;
    change.role = SB_SLICE_LIT("operator");
    change.address = SB_SLICE_LIT("2001:db8::7");
    assert_int_equal(fixture_apply_with("version: 1\ntenants: [{name: red}]\n", &change), SB_OK);
    fixture_apply("version: 1\ntenants: [{name: blue}]\n");
    assert_int_equal(fixture_number("SELECT count(*) FROM revisions WHERE revision = 1"
                                    " AND role = 'operator' AND address = '2001:db8::7'"),
                     1);
    assert_int_equal(fixture_number("SELECT count(*) FROM revisions WHERE revision = 2"
                                    " AND role IS NULL AND address IS NULL"),
                     1);
    sb_buf_reset(&fx.out);
    assert_non_null(strstr(fixture_text(cp_store_revision(fx.store, 1, &fx.out)),
                           "\"role\":\"operator\",\"address\":\"2001:db8::7\""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_token_is_found_by_its_secret_alone),
        TEST(what_is_stored_opens_nothing),
        TEST(an_ended_token_says_how_it_ended),
        TEST(a_name_is_used_once),
        TEST(names_that_could_be_mistaken_are_refused),
        TEST(a_scope_comes_back_as_it_was_given),
        TEST(use_is_kept_coarsely),
        TEST(what_was_done_and_refused_is_kept),
        TEST(without_a_key_to_hash_with_there_are_no_tokens),
        TEST(a_change_ends_where_its_scope_does),
        TEST(a_list_shows_what_is_of_the_tenants),
        TEST(a_revision_keeps_role_and_address),
    };

    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
