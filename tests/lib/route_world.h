/* tests/lib/route_world.h - a small catalogue, written down in a test.
 *
 * JSON in which ' may stand for ".  What is left out gets a harmless default:
 *
 *      {'endpoints': [{'tag': 'acme/turbo', 'price': [1, 2], 'zdr': 'yes'}],
 *       'models': {'m/a': {'context': 8000, 'aliases': ['a']}},
 *       'providers': {'acme': {'headquarters': 'US', 'house': 1, 'own': 2},
 *                     'bolt': {'house': 0, 'suspended': true}},
 *       'policy': {'only': ['acme']},
 *       'tables': {'acme/turbo': {'throughput': 50, 'latency': 0.4}}}
 *
 * Endpoints serve model m/a, cost 1 USD per million tokens, support everything
 * and prove nothing; a claim is 'yes', 'no', 'unknown', 'unproven' or
 * 'expired'.  Their ids depend on model and tag alone.  There are the tenants
 * t1 (whose key, with the policy, is world.key) and t2.
 */
#pragma once

#include "common/arena.h"
#include "common/buf.h"
#include "common/json.h"
#include "common/mem.h"
#include "dataplane/route/policy.h"
#include "dataplane/route/tables.h"
#include "dataplane/route/view.h"
#include "tests/lib/route_prices.h"
#include "tests/lib/test.h"

enum { WORLD_ENDPOINTS = 6000, WORLD_THINGS = 64, WORLD_KEYS = 256 };
#define WORLD_TODAY  20000   /* days since 1970 */
#define WORLD_NOW    1000000 /* milliseconds */
#define WORLD_PROVEN SB_SLICE_LIT("https://evidence.example")

struct world {
    struct sb_arena *arena; /* the records'; the snapshot has taken it */
    yyjson_doc *doc;
    struct msg_snapshot records;
    struct msg_endpoint endpoints[WORLD_ENDPOINTS];
    struct msg_model models[WORLD_THINGS];
    struct msg_provider providers[WORLD_THINGS];
    struct msg_credential credentials[WORLD_KEYS];
    struct msg_tenant tenants[2];
    struct msg_key keys[2];
    struct msg_policy policies[1];
    struct dp_snapshot *snap;
    struct dp_tables *tables;
    const struct dp_key *key, *other_key;
};

static inline struct sb_slice world_dup(struct world *world, const char *text)
{
    return sb_arena_dup(world->arena, sb_slice_of(text));
}

static inline struct msg_claim world_claim(yyjson_val *object, const char *name)
{
    struct sb_slice text = world_text(object, name, "unknown");

    if (sb_slice_is(text, "expired"))
        return (struct msg_claim){
            .value = MSG_TRI_YES, .evidence = WORLD_PROVEN, .expires_on = WORLD_TODAY - 1};
    if (sb_slice_is(text, "last day"))
        return (struct msg_claim){
            .value = MSG_TRI_YES, .evidence = WORLD_PROVEN, .expires_on = WORLD_TODAY};
    if (sb_slice_is(text, "unproven"))
        return (struct msg_claim){.value = MSG_TRI_YES};
    assert_true(msg_tri_parse(text) >= 0);
    return (struct msg_claim){.value = (uint8_t)msg_tri_parse(text), .evidence = WORLD_PROVEN};
}

static inline uint32_t world_provider(struct world *world, struct sb_slice slug)
{
    yyjson_val *all = yyjson_obj_get(yyjson_doc_get_root(world->doc), "providers");
    uint32_t at = (uint32_t)world->records.n_providers;
    yyjson_val *props;

    for (uint32_t i = 0; i < at; i++) {
        if (sb_slice_eq(world->providers[i].slug, slug))
            return i;
    }
    assert_true(at < WORLD_THINGS);
    props = yyjson_obj_getn(all, slug.p, slug.n);
    world->providers[at] = (struct msg_provider){
        .slug = slug,
        .name = world_text(props, "name", "A provider"),
        .dialect = world_text(props, "dialect", "openai"),
        .base_url = SB_SLICE_LIT("https://api.example"),
        .headquarters = world_text(props, "headquarters", ""),
        .auth_header = SB_SLICE_LIT("authorization"),
        .wants_key = yyjson_is_true(yyjson_obj_get(props, "suspended")),
    };
    world->records.n_providers++;
    return at;
}

static inline uint32_t world_model(struct world *world, struct sb_slice id)
{
    yyjson_val *all = yyjson_obj_get(yyjson_doc_get_root(world->doc), "models");
    uint32_t at = (uint32_t)world->records.n_models;
    yyjson_val *props, *aliases, *alias;
    struct sb_slice *names;
    size_t i, n;

    for (uint32_t m = 0; m < at; m++) {
        if (sb_slice_eq(world->models[m].id, id))
            return m;
    }
    assert_true(at < WORLD_THINGS);
    props = yyjson_obj_getn(all, id.p, id.n);
    aliases = yyjson_obj_get(props, "aliases");
    names = sb_arena_alloc(world->arena, yyjson_arr_size(aliases) * sizeof(*names) + 1);
    yyjson_arr_foreach(aliases, i, n, alias) names[i] = sb_json_text(alias);
    world->models[at] = (struct msg_model){
        .id = id,
        .name = id,
        .context_length = (uint32_t)world_number(props, "context", 100000),
        .image_tokens = (uint32_t)world_number(props, "image_tokens", 0),
        .aliases = names,
        .n_aliases = yyjson_arr_size(aliases),
        .distillable = world_claim(props, "distillable"),
    };
    world->records.n_models++;
    return at;
}

static inline void world_endpoint(struct world *world, yyjson_val *props)
{
    const uint32_t text_only = 1U << MSG_MODALITY_TEXT;
    struct msg_endpoint *row = &world->endpoints[world->records.n_endpoints++];
    struct sb_slice tag = world_text(props, "tag", "acme");
    struct sb_slice model = world_text(props, "model", "m/a");
    uint64_t without = world_bits(props, "without", msg_parameter_parse, 0);

    assert_true(world->records.n_endpoints <= WORLD_ENDPOINTS);
    *row = (struct msg_endpoint){
        .id = (uint64_t)dp_hash_text(model) << 32 | dp_hash_text(tag) | 1,
        .model = world_model(world, model),
        .provider = world_provider(world, sb_slice_make(tag.p, sb_slice_find(tag, '/'))),
        .tag = tag,
        .upstream_model = model,
        .region = world_text(props, "region", ""),
        .quantization =
            (uint8_t)msg_quantization_parse(world_text(props, "quantization", "unknown")),
        .context_length = (uint32_t)world_number(props, "context", 100000),
        .max_completion_tokens = (uint32_t)world_number(props, "max_completion", 0),
        .max_prompt_tokens = (uint32_t)world_number(props, "max_prompt", 0),
        .input_modalities = (uint32_t)world_bits(props, "in", msg_modality_parse, text_only),
        .output_modalities = (uint32_t)world_bits(props, "out", msg_modality_parse, text_only),
        .parameters = world_bits(props, "parameters", msg_parameter_parse,
                                 (UINT64_C(1) << MSG_PARAMETER_COUNT) - 1) &
                      ~without,
    };
    world_prices(world->arena, props, row);
    row->claim[MSG_CLAIM_EU_RESIDENT] = world_claim(props, "eu_resident");
    row->claim[MSG_CLAIM_ZDR] = world_claim(props, "zdr");
    row->claim[MSG_CLAIM_NO_TRAINING] = world_claim(props, "no_training");
}
