/* tests/unit/route/test_view.c */
#include "dataplane/route/view.h"

#include "proto/country.h"
#include "tests/lib/route_build.h"

static struct world *some_world(void)
{
    return world_new(
        "{'models': {'m/b': {'aliases': ['bee', 'm/a']}, 'm/a': {'distillable': 'yes'}},"
        " 'providers': {'Acme': {'headquarters': 'US', 'own': 2, 'house': 3}, 'kl': {'dialect': "
        "'x'},"
        "               'free': {'house': 0}, 'mine': {'own': 1, 'house': 0}},"
        " 'endpoints': [{'tag': 'kl'}, {'tag': 'Acme/Turbo', 'region': 'DE', 'eu_resident': 'yes'},"
        "   {'tag': 'Acme/Turbo', 'model': 'm/b', 'region': 'eu', 'zdr': 'last day'},"
        "   {'tag': 'free', 'price': [2, 6], 'request': 0.001, 'cache_read': 1.9,"
        "    'parameters': ['seed', 'max_tokens']},"
        "   {'tag': 'mine', 'price': 0, 'region': 'global', 'cache_read': 0, 'no_training': "
        "'unproven'}]}");
}

static const struct dp_endpoint *endpoint(const struct world *world, const char *model,
                                          const char *tag)
{
    const struct dp_model *found = dp_snapshot_find_model(world->snap, sb_slice_of(model));

    for (uint32_t i = 0; found != NULL && i < found->n; i++) {
        const struct dp_endpoint *at = dp_model_endpoints(world->snap, found) + i;

        if (sb_slice_is(at->row->tag, tag))
            return at;
    }
    fail_msg("no %s of %s", tag, model);
    return NULL;
}

static void models_are_found_by_id_and_alias(void **state)
{
    struct world *world = some_world();
    const struct dp_model *a = dp_snapshot_find_model(world->snap, SB_SLICE_LIT("m/a"));
    const struct dp_model *b = dp_snapshot_find_model(world->snap, SB_SLICE_LIT("bee"));

    (void)state;
    assert_true(sb_slice_is(b->row->id, "m/b"));
    assert_true(sb_slice_is(a->row->id, "m/a")); /* an alias never hides an id */
    assert_int_equal(a->n, 4);
    assert_int_equal(b->n, 1);
    assert_int_equal(a->distillable_through, INT32_MAX);
    assert_int_equal(b->distillable_through, INT32_MIN);
    assert_null(dp_snapshot_find_model(world->snap, SB_SLICE_LIT("m/")));
    assert_null(dp_snapshot_find_model(world->snap, SB_SLICE_LIT("BEE")));
    assert_null(dp_snapshot_find_model(world->snap, SB_SLICE_NONE));
    world_free(&world);
}

static void endpoints_are_found_by_their_stable_id(void **state)
{
    struct world *world = some_world();

    (void)state;
    for (size_t i = 0; i < world->records.n_endpoints; i++) {
        const struct dp_endpoint *found =
            dp_snapshot_find_endpoint(world->snap, world->endpoints[i].id);

        assert_ptr_equal(found->row, &world->endpoints[i]);
        assert_int_equal(found->number, i);
    }
    assert_null(dp_snapshot_find_endpoint(world->snap, 12345));
    world_free(&world);
}

static void providers_and_tags_are_found_without_case(void **state)
{
    struct world *world = some_world();
    uint32_t tag = dp_snapshot_find_tag(world->snap, SB_SLICE_LIT("aCME/tURBO"));

    (void)state;
    assert_non_null(dp_snapshot_find_provider(world->snap, SB_SLICE_LIT("ACME")));
    assert_null(dp_snapshot_find_provider(world->snap, SB_SLICE_LIT("acm")));
    assert_int_not_equal(tag, DP_NONE);
    assert_int_equal(endpoint(world, "m/a", "Acme/Turbo")->tag, tag);
    assert_int_equal(endpoint(world, "m/b", "Acme/Turbo")->tag, tag);
    assert_int_not_equal(endpoint(world, "m/a", "kl")->tag, tag);
    assert_int_equal(dp_snapshot_find_tag(world->snap, SB_SLICE_LIT("acme")), DP_NONE);
    world_free(&world);
}

static void keys_are_found_by_their_hash_alone(void **state)
{
    struct world *world = some_world();
    uint8_t hash[MSG_HASH_BYTES];

    (void)state;
    memset(hash, 'b', sizeof(hash));
    assert_ptr_equal(dp_snapshot_find_key(world->snap, hash)->row, &world->keys[1]);
    assert_int_equal(dp_snapshot_find_key(world->snap, hash)->tenant->row->id, 12);
    hash[MSG_HASH_BYTES - 1] = 'c';
    assert_null(dp_snapshot_find_key(world->snap, hash));
    world_free(&world);
}

static void credentials_are_found_by_tenant_and_provider(void **state)
{
    struct world *world = some_world();
    const struct dp_provider *acme = dp_snapshot_find_provider(world->snap, SB_SLICE_LIT("acme"));
    const struct dp_provider *kl = dp_snapshot_find_provider(world->snap, SB_SLICE_LIT("kl"));
    const struct dp_provider *none = dp_snapshot_find_provider(world->snap, SB_SLICE_LIT("free"));
    const struct dp_provider *mine = dp_snapshot_find_provider(world->snap, SB_SLICE_LIT("mine"));
    uint32_t at_acme = (uint32_t)(acme - world->snap->providers);
    struct dp_credentials own = dp_snapshot_own_keys(world->snap, world->key->tenant, at_acme);

    (void)state;
    assert_int_equal(acme->house.n, 3);
    assert_int_equal(acme->house.first[2].sequence, 2);
    assert_int_equal(own.n, 2);
    assert_int_equal(own.first[1].sequence, 1);
    assert_int_equal(own.first[0].tenant, 0);
    assert_int_equal(dp_snapshot_own_keys(world->snap, world->other_key->tenant, at_acme).n, 0);
    assert_int_equal(dp_snapshot_own_keys(world->snap, world->key->tenant,
                                          (uint32_t)(kl - world->snap->providers))
                         .n,
                     0);
    assert_true(none->keyless);
    assert_false(mine->keyless);
    assert_true(endpoint(world, "m/a", "free")->has_house);
    assert_false(endpoint(world, "m/a", "mine")->has_house);
    world_free(&world);
}

static void what_every_decision_reads_is_worked_out(void **state)
{
    struct world *world = some_world();
    const struct dp_endpoint *dear = endpoint(world, "m/a", "free");
    const struct dp_endpoint *mine = endpoint(world, "m/a", "mine");
    const struct dp_endpoint *de = endpoint(world, "m/a", "Acme/Turbo");
    const struct dp_endpoint *eu = endpoint(world, "m/b", "Acme/Turbo");

    (void)state;
    assert_true(fabs(dear->base - (750 * 2e-6 + 250 * 6e-6 + 0.001)) < 1e-15);
    assert_true(dear->cheaper_cached); /* 1.9 < 2 */
    assert_int_equal(dear->parameters, UINT64_C(1) << MSG_PARAMETER_SEED |
                                           UINT64_C(1) << MSG_PARAMETER_MAX_TOKENS |
                                           UINT64_C(1) << MSG_PARAMETER_MAX_COMPLETION_TOKENS);
    assert_true(mine->base == DP_COST_MIN);
    assert_false(mine->cheaper_cached); /* nothing is not cheaper than nothing */
    assert_int_equal(mine->holds_through[MSG_CLAIM_NO_TRAINING], INT32_MIN);
    assert_int_equal(mine->region, DP_REGION_GLOBAL);
    assert_int_equal(de->region, msg_country_parse(SB_SLICE_LIT("DE")));
    assert_int_equal(de->located_through, INT32_MAX);
    assert_int_equal(eu->region, DP_REGION_EU);
    assert_int_equal(eu->holds_through[MSG_CLAIM_ZDR], WORLD_TODAY);
    assert_int_equal(eu->located_through, INT32_MIN);
    assert_false(endpoint(world, "m/a", "kl")->dialect_known);
    assert_true(de->dialect_known);
    world_free(&world);
}

static void on_last_unref(void *ctx, struct dp_snapshot *snapshot)
{
    *(struct dp_snapshot **)ctx = snapshot;
}

static void the_last_reference_gives_it_to_whoever_frees(void **state)
{
    struct world *world = some_world();
    struct dp_snapshot *given = NULL, *pinned = dp_snapshot_ref(world->snap);

    (void)state;
    dp_snapshot_set_on_last(world->snap, on_last_unref, &given);
    dp_snapshot_unref(&world->snap);
    assert_null(world->snap);
    assert_null(given);
    dp_snapshot_unref(&pinned);
    assert_non_null(given);
    dp_snapshot_free(&given);
    assert_null(given);
    dp_snapshot_free(&given); /* nothing */
    dp_snapshot_unref(&given);
    world_free(&world);
}

static void a_policy_that_cannot_be_read_refuses_the_snapshot(void **state)
{
    static const char *const dialects[] = {"openai", NULL};
    const struct dp_view_options options = {.dialects = dialects};
    struct msg_policy policy = {
        .id = 1, .name = SB_SLICE_LIT("eu-only"), .rules = SB_SLICE_LIT("{\"zrd\":true}")};
    struct msg_snapshot records = {.policies = &policy, .n_policies = 1};
    struct sb_arena *arena = sb_arena_new(1024);
    struct dp_snapshot *snap = NULL;
    struct sb_errmsg err;

    (void)state;
    assert_int_equal(dp_snapshot_build(&arena, &records, &options, &snap, &err), SB_EINVAL);
    assert_non_null(strstr(err.text, "policy eu-only: zrd: no such member"));
    assert_null(snap);
    assert_non_null(arena); /* still ours */
    sb_arena_destroy(&arena);
}

static void an_empty_snapshot_is_one(void **state)
{
    struct world *world = world_new("{}");

    (void)state;
    assert_null(dp_snapshot_find_model(world->snap, SB_SLICE_LIT("a")));
    assert_null(dp_snapshot_find_endpoint(world->snap, 1));
    assert_null(dp_snapshot_find_provider(world->snap, SB_SLICE_LIT("a")));
    assert_int_equal(dp_snapshot_find_tag(world->snap, SB_SLICE_LIT("a")), DP_NONE);
    world_free(&world);
}

static void memory_that_is_gone_is_reported(void **state)
{
    static const char *const dialects[] = {"openai", NULL};
    const struct dp_view_options options = {.dialects = dialects};
    struct world *world = some_world();
    int failed = 0;

    (void)state;
    for (unsigned long nth = 1; nth < 100; nth++) {
        struct sb_arena *arena = sb_arena_new(512); /* small: nearly all goes to new blocks */
        struct dp_snapshot *snap = NULL;
        struct sb_errmsg err;
        int rc;

        sb_mem_fail_nth(nth);
        rc = dp_snapshot_build(&arena, &world->records, &options, &snap, &err);
        sb_mem_fail_nth(0);
        if (rc == SB_OK) {
            dp_snapshot_unref(&snap);
            break;
        }
        assert_int_equal(rc, SB_ENOMEM);
        sb_arena_destroy(&arena);
        failed++;
    }
    assert_true(failed > 0);
    world_free(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_are_found_by_id_and_alias),
        cmocka_unit_test(endpoints_are_found_by_their_stable_id),
        cmocka_unit_test(providers_and_tags_are_found_without_case),
        cmocka_unit_test(keys_are_found_by_their_hash_alone),
        cmocka_unit_test(credentials_are_found_by_tenant_and_provider),
        cmocka_unit_test(what_every_decision_reads_is_worked_out),
        cmocka_unit_test(the_last_reference_gives_it_to_whoever_frees),
        cmocka_unit_test(a_policy_that_cannot_be_read_refuses_the_snapshot),
        cmocka_unit_test(an_empty_snapshot_is_one),
        cmocka_unit_test(memory_that_is_gone_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
