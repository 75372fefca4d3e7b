/* tests/lib/route_build.h - from a written catalogue to a snapshot and tables;
 * see route_world.h. */
#pragma once

#include "tests/lib/route_world.h"

static inline int world_by_model_and_tag(const void *a, const void *b)
{
    const struct msg_endpoint *x = a, *y = b;
    size_t n = x->tag.n < y->tag.n ? x->tag.n : y->tag.n;
    int order = memcmp(x->tag.p, y->tag.p, n);

    if (x->model != y->model)
        return x->model < y->model ? -1 : 1;
    return order != 0 ? order : (x->tag.n > y->tag.n) - (x->tag.n < y->tag.n);
}

/* `own` keys of t1 and `house` keys for each provider; ids are unique. */
static inline void world_credentials(struct world *world)
{
    yyjson_val *all = yyjson_obj_get(yyjson_doc_get_root(world->doc), "providers");

    for (uint32_t p = 0; p < world->records.n_providers; p++) {
        struct sb_slice slug = world->providers[p].slug;
        yyjson_val *props = yyjson_obj_getn(all, slug.p, slug.n);
        uint32_t own = (uint32_t)world_number(props, "own", 0);
        uint32_t house = (uint32_t)world_number(props, "house", 1);
        bool spill = !yyjson_is_false(yyjson_obj_get(props, "spill"));

        for (uint32_t i = 0; i < own + house; i++) {
            size_t at = world->records.n_credentials++;

            assert_true(at < WORLD_KEYS);
            world->credentials[at] = (struct msg_credential){
                .id = at + 1,
                .provider = p,
                .tenant = i < own ? 0 : MSG_NONE,
                .sequence = i < own ? i : i - own,
                .spill = spill,
            };
        }
    }
}

static inline void world_percentiles(yyjson_val *props, const char *name, double unit,
                                     uint32_t ret_values[MSG_PERCENTILES])
{
    yyjson_val *value = yyjson_obj_get(props, name);

    for (size_t i = 0; i < MSG_PERCENTILES; i++) {
        yyjson_val *one = yyjson_is_arr(value) ? yyjson_arr_get(value, i) : value;

        ret_values[i] = one != NULL && !yyjson_is_null(one)
                            ? (uint32_t)llround(yyjson_get_num(one) * unit)
                            : MSG_NO_DATA;
    }
}

/* Rows of 'tables': throughput in tokens per second, times in seconds. */
static inline void world_tables(struct world *world)
{
    yyjson_val *all = yyjson_obj_get(yyjson_doc_get_root(world->doc), "tables"), *tag, *props;
    struct msg_table_row *rows = sb_mem_new((yyjson_obj_size(all) + 1) * sizeof(*rows));
    struct msg_tables message = {
        .epoch = 1, .term = 1, .sequence = 1, .complete = true, .rows = rows};
    size_t i, n;

    yyjson_obj_foreach(all, i, n, tag, props)
    {
        struct msg_table_row *row = &rows[message.n_rows++];

        *row = (struct msg_table_row){
            .age = (uint32_t)(world_number(props, "age", 0) * 1000),
            .outage = yyjson_is_true(yyjson_obj_get(props, "outage")),
            .outage_age = (uint32_t)(world_number(props, "outage_age", 0) * 1000),
            .samples = (uint32_t)world_number(props, "samples", 100),
            .uptime = 1000000,
            .mean_completion = (uint32_t)world_number(props, "mean", 0),
            .cooldown = (uint32_t)(world_number(props, "cooldown", 0) * 1000),
        };
        world_percentiles(props, "throughput", 1000, row->throughput);
        world_percentiles(props, "latency", 1000, row->first_token);
        for (size_t e = 0; e < world->records.n_endpoints; e++) {
            if (sb_slice_eq(world->endpoints[e].tag, sb_json_text(tag)))
                row->endpoint = world->endpoints[e].id;
        }
        assert_int_not_equal(row->endpoint, 0);
    }
    world->tables = dp_tables_new();
    assert_int_equal(dp_tables_apply(world->tables, &message, WORLD_NOW), SB_OK);
    sb_mem_free(rows);
}

static inline void world_people(struct world *world)
{
    struct sb_buf rules;
    struct sb_json json;
    yyjson_val *policy = yyjson_obj_get(yyjson_doc_get_root(world->doc), "policy");

    world->tenants[0] = (struct msg_tenant){.id = 11, .name = SB_SLICE_LIT("t1")};
    world->tenants[1] = (struct msg_tenant){.id = 12, .name = SB_SLICE_LIT("t2")};
    for (uint32_t i = 0; i < 2; i++) {
        world->keys[i] = (struct msg_key){.id = i + 1, .tenant = i, .policy = MSG_NONE};
        memset(world->keys[i].hash, 'a' + (int)i, MSG_HASH_BYTES);
    }
    world->records.n_tenants = world->records.n_keys = 2;
    if (policy == NULL)
        return;
    sb_buf_init(&rules, 65536);
    sb_json_init(&json, &rules);
    sb_json_put_value(&json, policy);
    assert_int_equal(sb_json_end(&json), SB_OK);
    world->policies[0] = (struct msg_policy){
        .id = 1,
        .name = SB_SLICE_LIT("p"),
        .rules = sb_arena_dup(world->arena, sb_buf_slice(&rules)),
    };
    sb_buf_release(&rules);
    world->records.n_policies = 1;
    world->keys[0].policy = 0;
}

/* A document in which ' stands for ". */
static inline yyjson_doc *world_parse(const char *text)
{
    size_t n = strlen(text);
    char *copy = sb_mem_strdup(text);
    struct sb_errmsg err = {.text = ""};
    yyjson_doc *doc = NULL;

    for (size_t i = 0; i < n; i++)
        copy[i] = (char)(copy[i] == '\'' ? '"' : copy[i]);
    if (sb_json_read(sb_slice_make(copy, n), n, &doc, &err) != SB_OK)
        fail_msg("%s in: %s", err.text, copy);
    sb_mem_free(copy);
    return doc;
}

/* Takes doc. */
static inline struct world *world_from(yyjson_doc *doc)
{
    static const char *const dialects[] = {"openai", NULL};
    const struct dp_view_options options = {.dialects = dialects};
    struct world *world = sb_mem_new(sizeof(*world));
    struct sb_errmsg err = {.text = ""};
    yyjson_val *endpoint, *model, *props;
    uint8_t hash[MSG_HASH_BYTES];
    size_t i, n;

    world->doc = doc;
    world->arena = sb_arena_new(65536);
    yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "endpoints"), i, n, endpoint)
        world_endpoint(world, endpoint);
    yyjson_obj_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "models"), i, n, model, props)(void)
        world_model(world, sb_json_text(model)); /* those without endpoints */
    qsort(world->endpoints, world->records.n_endpoints, sizeof(world->endpoints[0]),
          world_by_model_and_tag);
    world_credentials(world);
    world_people(world);
    world->records.version = (struct msg_version){.epoch = 7, .revision = 41};
    memset(world->records.sticky_key, 5, sizeof(world->records.sticky_key));
    world->records.endpoints = world->endpoints;
    world->records.models = world->models;
    world->records.providers = world->providers;
    world->records.credentials = world->credentials;
    world->records.tenants = world->tenants;
    world->records.keys = world->keys;
    world->records.policies = world->policies;
    if (dp_snapshot_build(&world->arena, &world->records, &options, &world->snap, &err) != SB_OK)
        fail_msg("%s", err.text);
    world_tables(world);
    memset(hash, 'a', sizeof(hash));
    world->key = dp_snapshot_find_key(world->snap, hash);
    memset(hash, 'b', sizeof(hash));
    world->other_key = dp_snapshot_find_key(world->snap, hash);
    assert_non_null(world->key);
    return world;
}

static inline struct world *world_new(const char *text)
{
    return world_from(world_parse(text));
}

static inline void world_free(struct world **world)
{
    dp_snapshot_unref(&(*world)->snap);
    dp_tables_destroy(&(*world)->tables);
    sb_json_free(&(*world)->doc);
    sb_mem_free(*world);
    *world = NULL;
}
