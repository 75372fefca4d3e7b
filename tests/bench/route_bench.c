/* tests/bench/route_bench.c - what a decision costs.
 *
 * Prints microseconds for reading the requirements of a body (behind the scan),
 * and for deciding (merge, filter, order) among 20 endpoints of a model in a catalogue of 100 000,
 * with and without rules, tables and conditional prices, and among 5 000 candidates of 8 models.
 * Best of many rounds. Not a test. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/splice.h"
#include "dataplane/route/content.h"
#include "dataplane/route/decide.h"
#include "dataplane/route/tables.h"
#include "dataplane/route/view.h"

enum {
    PROVIDERS = 40,
    MODELS = 5000,
    BIG_MODELS = 8,
    SMALL = 20, /* endpoints of most models */
    BIG = 625,  /* of the first eight */
    ENDPOINTS = BIG_MODELS * BIG + (MODELS - BIG_MODELS) * SMALL,
    ROUNDS = 200,
    NOW = 1000000,
};

struct bench {
    struct msg_provider providers[PROVIDERS];
    struct msg_model models[MODELS];
    struct msg_endpoint endpoints[ENDPOINTS];
    struct msg_credential credentials[PROVIDERS];
    struct msg_tenant tenants[1];
    struct msg_key keys[1];
    struct msg_policy policies[1];
    struct msg_snapshot records;
    struct dp_snapshot *snap;
    struct dp_tables *tables;
    bool has_overrides; /* every endpoint: conditional prices */
};

/* One by the length of the prompt, one by the hour: both apply to 200 KB at night. */
static const struct msg_override overrides[] = {
    {.min_prompt_tokens = 32000,
     .price = {200000000, 600000000, -1, -1, -1, -1, -1, -1, -1, -1, -1}},
    {.from = 30, .until = 510, .price = {50000000, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1}},
};

static double now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void fill_endpoint(struct bench *b, struct sb_arena *arena, uint32_t number, uint32_t model,
                          uint32_t at)
{
    struct msg_endpoint *row = &b->endpoints[number];
    static const char *const regions[] = {"DE", "US", "FR", "eu", ""};
    const struct msg_claim proven = {.value = MSG_TRI_YES, .evidence = SB_SLICE_LIT("contract")};

    *row = (struct msg_endpoint){
        .id = number * UINT64_C(7919) + 1,
        .model = model,
        .provider = at % PROVIDERS,
        .tag = sb_arena_printf(arena, "p%02u/%04u", at % PROVIDERS, at),
        .upstream_model = SB_SLICE_LIT("x"),
        .region = sb_slice_of(regions[at % 5]),
        .quantization = (uint8_t)(at % MSG_QUANTIZATION_COUNT),
        .context_length = 131072,
        .input_modalities = 1,
        .output_modalities = 1,
        .parameters = UINT64_MAX,
    };
    for (int kind = 0; kind < MSG_PRICE_COUNT; kind++)
        row->price[kind] = -1;
    row->price[MSG_PRICE_PROMPT] = 100000000 + at % 17 * 50000000;
    row->price[MSG_PRICE_COMPLETION] = 300000000 + at % 13 * 90000000;
    if (model >= MODELS / 2)
        row->price[MSG_PRICE_CACHE_READ] = 10000000;
    for (int claim = 0; claim < MSG_ENDPOINT_CLAIMS; claim++)
        if (at % 3 != 0)
            row->claim[claim] = proven;
    if (b->has_overrides) {
        row->overrides = overrides;
        row->n_overrides = sizeof(overrides) / sizeof(overrides[0]);
    }
}

static void fill(struct bench *b, struct sb_arena *arena)
{
    uint32_t at = 0;

    for (uint32_t i = 0; i < PROVIDERS; i++) {
        b->providers[i] = (struct msg_provider){
            .slug = sb_arena_printf(arena, "p%02u", i),
            .name = SB_SLICE_LIT("P"),
            .dialect = SB_SLICE_LIT("openai"),
            .base_url = SB_SLICE_LIT("https://p.example"),
            .headquarters = i % 4 == 0 ? SB_SLICE_LIT("US") : SB_SLICE_LIT("DE"),
        };
        b->credentials[i] = (struct msg_credential){.id = i + 1, .provider = i, .tenant = MSG_NONE};
    }
    for (uint32_t m = 0; m < MODELS; m++) {
        uint32_t n = m < BIG_MODELS ? BIG : SMALL;

        b->models[m] = (struct msg_model){.id = sb_arena_printf(arena, "author/model-%u", m)};
        for (uint32_t i = 0; i < n; i++, at++)
            fill_endpoint(b, arena, at, m, i);
    }
    b->tenants[0] = (struct msg_tenant){.id = 1};
    b->keys[0] = (struct msg_key){.id = 1, .policy = 0};
    b->policies[0] = (struct msg_policy){
        .id = 1,
        .name = SB_SLICE_LIT("p"),
        .rules = SB_SLICE_LIT("{\"data_collection\":\"deny\",\"ignore\":[\"p03\"],"
                              "\"max_price\":{\"prompt\":5,\"completion\":20}}"),
    };
}

static double build(struct bench *b)
{
    static const char *const dialects[] = {"openai", NULL};
    const struct dp_view_options options = {.dialects = dialects};
    struct sb_arena *arena = sb_arena_new(1 << 20);
    struct sb_errmsg err;
    double start;

    fill(b, arena);
    b->records = (struct msg_snapshot){
        .providers = b->providers,
        .models = b->models,
        .endpoints = b->endpoints,
        .policies = b->policies,
        .tenants = b->tenants,
        .keys = b->keys,
        .credentials = b->credentials,
        .n_providers = PROVIDERS,
        .n_models = MODELS,
        .n_endpoints = ENDPOINTS,
        .n_policies = 1,
        .n_tenants = 1,
        .n_keys = 1,
        .n_credentials = PROVIDERS,
    };
    start = now_us();
    if (dp_snapshot_build(&arena, &b->records, &options, &b->snap, &err) != SB_OK)
        abort();
    return now_us() - start;
}

static double fill_tables(struct bench *b)
{
    struct msg_table_row *rows = sb_mem_new(ENDPOINTS * sizeof(*rows));
    struct msg_tables message = {
        .epoch = 1, .term = 1, .sequence = 1, .complete = true, .rows = rows, .n_rows = ENDPOINTS};
    double start;

    for (uint32_t i = 0; i < ENDPOINTS; i++) {
        rows[i] = (struct msg_table_row){
            .endpoint = b->endpoints[i].id, .samples = 100, .mean_completion = 300};
        for (uint32_t p = 0; p < MSG_PERCENTILES; p++) {
            rows[i].throughput[p] = 20000 + i % 50 * 1000;
            rows[i].first_token[p] = 200 + i % 900;
        }
    }
    b->tables = dp_tables_new();
    start = now_us();
    if (dp_tables_apply(b->tables, &message, NOW) != SB_OK)
        abort();
    start = now_us() - start;
    sb_mem_free(rows);
    return start;
}

/* A chat request of about that size. */
static void make_body(struct sb_buf *buf, size_t size, const char *members)
{
    sb_buf_reset(buf);
    if (sb_buf_printf(buf, "{%s,\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"}",
                      members) != SB_OK)
        abort();
    while (sb_buf_len(buf) + 100 < size) {
        if (sb_buf_printf(buf, ",{\"role\":\"user\",\"content\":\"%0500d\"}", 0) != SB_OK)
            abort();
    }
    if (sb_buf_append_text(buf, "],\"temperature\":0.7,\"max_tokens\":512,\"stream\":true}") !=
        SB_OK)
        abort();
}

static void measure(const char *what, struct bench *b, size_t size, const char *members,
                    bool policy, bool tables)
{
    struct sb_splice_member table[SB_SPLICE_MEMBERS];
    struct sb_arena_cache *cache = sb_arena_cache_new(16384, 2);
    struct sb_splice doc;
    struct dp_content content;
    struct dp_requirements ask;
    struct dp_decision decision;
    struct dp_key key = b->snap->keys[0];
    struct dp_route route = {.snapshot = b->snap,
                             .tables = tables ? b->tables : NULL,
                             .ask = &ask,
                             .key = &key,
                             .now = NOW,
                             .unix_seconds = 1790000000};
    struct sb_errmsg err;
    struct sb_buf body;
    double read = 1e9, decide = 1e9;
    uint32_t n = 0;
    size_t arena_bytes = 0;
    int repeat = size > 10000 || strstr(members, "models") != NULL ? 4 : 50;

    if (!policy)
        key.policy = NULL;
    sb_buf_init(&body, 1 << 22);
    make_body(&body, size, members);
    sb_splice_init(&doc, table, SB_SPLICE_MEMBERS);
    dp_content_init(&content, MSG_API_CHAT);
    if (sb_splice_visit(&doc, sb_buf_slice(&body), SB_SPLICE_DEPTH, &content.visitor, NULL) !=
        SB_OK)
        abort();
    for (int round = 0; round < ROUNDS; round++) {
        struct sb_arena *arenas[2];
        double start, t;

        arenas[0] = sb_arena_cache_take(cache);
        start = now_us();
        for (int i = 0; i < repeat; i++) {
            if (dp_requirements_read(&doc, &content, arenas[0], &ask, &err) != SB_OK)
                abort();
        }
        t = (now_us() - start) / repeat;
        read = t < read ? t : read;
        sb_arena_cache_give(cache, &arenas[0]);

        t = 0;
        for (int i = 0; i < repeat; i++) {
            arenas[0] = sb_arena_cache_take(cache);
            if (dp_requirements_read(&doc, &content, arenas[0], &ask, &err) != SB_OK)
                abort();
            route.random += 7919;
            start = now_us();
            for (int k = 0; k < 8; k++) {
                if (dp_route_decide(&route, arenas[0], &decision, &err) != SB_OK)
                    abort();
            }
            t += (now_us() - start) / 8;
            n = decision.n;
            arena_bytes = sb_arena_held(arenas[0]);
            sb_arena_cache_give(cache, &arenas[0]);
        }
        t /= repeat;
        decide = t < decide ? t : decide;
    }
    printf("%-52s %8.2f %9.2f %6u %6u %8zu\n", what, read, decide, decision.endpoints, n,
           arena_bytes);
    sb_buf_release(&body);
    sb_arena_cache_destroy(&cache);
}

int main(void)
{
    struct bench *b = sb_mem_new(sizeof(*b));
    const char *eight =
        "\"models\":[\"author/model-0\",\"author/model-1\",\"author/model-2\",\"author/model-3\","
        "\"author/model-4\",\"author/model-5\",\"author/model-6\",\"author/model-7\"]";
    const char *rules =
        "\"model\":\"author/model-777\",\"provider\":{\"order\":[\"p07\",\"p11/"
        "0011\"],\"zdr\":true,"
        "\"ignore\":[\"p01\"],\"max_price\":{\"prompt\":3}},\"switchboard\":{\"residency\":\"eu\"}";

    printf("snapshot of %d endpoints: built in %.1f ms\n", ENDPOINTS, build(b) / 1000);
    printf("tables of %d rows: merged in %.1f ms\n\n", ENDPOINTS, fill_tables(b) / 1000);
    printf("%-52s %8s %9s %6s %6s %8s\n", "microseconds", "read", "decide", "of", "kept", "arena");
    measure("20 endpoints, 2 KB", b, 2048, "\"model\":\"author/model-777\"", false, false);
    measure("20 endpoints, 2 KB, tables", b, 2048, "\"model\":\"author/model-777\"", false, true);
    measure("20 endpoints, 2 KB, tables, policy", b, 2048, "\"model\":\"author/model-777\"", true,
            true);
    measure("20 endpoints, 2 KB, tables, policy, rules", b, 2048, rules, true, true);
    measure("20 endpoints, 2 KB, tables, session", b, 2048,
            "\"model\":\"author/model-777\",\"session_id\":\"0123456789abcdef\"", false, true);
    measure("20 endpoints, 2 KB, cached prompts", b, 2048, "\"model\":\"author/model-4777\"", false,
            true);
    measure("20 endpoints, 20 KB", b, 20480, "\"model\":\"author/model-777\"", false, false);
    measure("20 endpoints, 200 KB", b, 204800, "\"model\":\"author/model-777\"", false, false);
    measure("5 000 endpoints of 8 models, 2 KB", b, 2048, eight, false, false);
    measure("5 000 endpoints of 8 models, 2 KB, tables, policy", b, 2048, eight, true, true);
    dp_snapshot_unref(&b->snap);
    b->has_overrides = true;
    (void)build(b);
    measure("20 endpoints, 2 KB, overrides", b, 2048, "\"model\":\"author/model-777\"", false,
            false);
    measure("20 endpoints, 2 KB, tables, policy, rules, overrides", b, 2048, rules, true, true);
    measure("20 endpoints, 200 KB, overrides", b, 204800, "\"model\":\"author/model-777\"", false,
            false);
    measure("5 000 endpoints of 8 models, 2 KB, overrides", b, 2048, eight, false, false);
    dp_snapshot_unref(&b->snap);
    dp_tables_destroy(&b->tables);
    sb_mem_free(b);
    return 0;
}
