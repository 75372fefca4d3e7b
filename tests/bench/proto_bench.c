/* tests/bench/proto_bench.c - how long records and snapshots take.
 *
 *      cmake --preset release && cmake --build --preset release
 *      build/release/tests/proto_bench
 *
 * Prints the best of several rounds: what the machine can do when nothing
 * else runs on it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/arena.h"
#include "common/check.h"
#include "common/err.h"
#include "common/mem.h"
#include "proto/bus.h"
#include "proto/record.h"
#include "proto/snapshot.h"
#include "proto/tables.h"

enum { ROUNDS = 7, RECORDS = 200000, ENDPOINTS_PER_MODEL = 10 };

static double now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* ---- one record ---- */

static struct msg_attempt attempt = {
    .endpoint = 4711,
    .tag = {"acme/turbo", 10},
    .model = {"meta-llama/llama-3.3-70b-instruct", 33},
    .credential = 12,
    .credential_kind = MSG_CREDENTIAL_KIND_HOUSE,
    .status = 200,
    .outcome = MSG_OUTCOME_SUCCESS,
    .started = 180,
    .first_token = 310000,
    .took = 2400000,
};
static const struct msg_record record = {
    .kind = MSG_RECORD_REQUEST,
    .generation = {"gen-1790000000-aB3dE6gH9jK2mN5pQ8sT", 35},
    .received_at = 1790000000123456,
    .took = 2410000,
    .first_token = 310200,
    .streamed = true,
    .key = 31,
    .tenant = 2,
    .key_name = {"app", 3},
    .tenant_name = {"default", 7},
    .model_asked = {"meta-llama/llama-3.3-70b-instruct", 33},
    .model_served = {"meta-llama/llama-3.3-70b-instruct", 33},
    .endpoint = 4711,
    .tag = {"acme/turbo", 10},
    .provider = {"acme", 4},
    .region = {"DE", 2},
    .credential_kind = MSG_CREDENTIAL_KIND_HOUSE,
    .version = {1780000000000000, 77},
    .attempts = &attempt,
    .n_attempts = 1,
    .usage = {.prompt_tokens = 1200, .completion_tokens = 350, .source = MSG_USAGE_SOURCE_PROVIDER},
    .cost = 225000000000,
    .upstream_cost = 225000000000,
    .status = 200,
    .outcome = MSG_OUTCOME_SUCCESS,
    .finish_reason = {"stop", 4},
    .request_bytes = 5120,
    .response_bytes = 60000,
};

static void bench_record(void)
{
    double encode = 1e18, decode = 1e18;
    struct sb_arena *arena = NULL;
    struct sb_buf out;

    sb_buf_init(&out, 1 << 20);
    for (int round = 0; round < ROUNDS; round++) {
        double start = now_ns(), took;

        for (int i = 0; i < RECORDS; i++) {
            sb_buf_reset(&out);
            SB_BUG_ON(msg_record_encode(&record, &out) != SB_OK);
        }
        took = (now_ns() - start) / (double)RECORDS;
        encode = took < encode ? took : encode;
        arena = sb_arena_new((size_t)RECORDS * 256);
        start = now_ns();
        for (int i = 0; i < RECORDS; i++) {
            struct msg_record got;

            SB_BUG_ON(msg_record_decode(sb_buf_slice(&out), arena, &got) != SB_OK);
        }
        took = (now_ns() - start) / (double)RECORDS;
        decode = took < decode ? took : decode;
        sb_arena_destroy(&arena);
    }
    (void)printf("record: %zu bytes, encode %.0f ns, decode %.0f ns\n", sb_buf_len(&out), encode,
                 decode);
    sb_buf_release(&out);
}

/* ---- a catalogue ---- */

struct catalogue {
    struct sb_arena *arena;
    struct msg_snapshot snapshot;
};

static struct msg_claim yes(void)
{
    return (struct msg_claim){.value = MSG_TRI_YES,
                              .attested_on = 20000,
                              .expires_on = 20365,
                              .evidence = SB_SLICE_LIT("https://provider.example/trust/regions"),
                              .attested_by = SB_SLICE_LIT("legal@example.com")};
}

static void make_providers(struct catalogue *c, size_t n)
{
    c->snapshot.providers = sb_arena_alloc(c->arena, n * sizeof(struct msg_provider));
    c->snapshot.n_providers = n;
    for (size_t i = 0; i < n; i++) {
        struct msg_provider *p = &c->snapshot.providers[i];

        p->slug = sb_arena_printf(c->arena, "provider-%03zu", i);
        p->name = sb_arena_printf(c->arena, "Provider %zu", i);
        p->dialect = SB_SLICE_LIT("openai");
        p->base_url = sb_arena_printf(c->arena, "https://api.provider-%zu.example/v1", i);
        p->auth_header = SB_SLICE_LIT("authorization");
        p->headquarters = SB_SLICE_LIT("DE");
    }
}

static void make_endpoints(struct catalogue *c, size_t n)
{
    c->snapshot.endpoints = sb_arena_alloc(c->arena, n * sizeof(struct msg_endpoint));
    c->snapshot.n_endpoints = n;
    for (size_t i = 0; i < n; i++) {
        struct msg_endpoint *e = &c->snapshot.endpoints[i];

        e->id = 100000 + i;
        e->model = (uint32_t)(i / ENDPOINTS_PER_MODEL);
        e->provider = (uint32_t)(i % ENDPOINTS_PER_MODEL);
        e->tag = sb_arena_printf(c->arena, "provider-%03zu/turbo", i % ENDPOINTS_PER_MODEL);
        e->upstream_model = sb_arena_printf(c->arena, "vendor-model-%zu-70b-turbo", e->model + 0uL);
        e->region = SB_SLICE_LIT("DE");
        e->quantization = MSG_QUANTIZATION_FP8;
        e->context_length = 131072;
        e->max_completion_tokens = 16384;
        e->input_modalities = e->output_modalities = 1;
        e->parameters = 0x3ffff;
        for (size_t k = 0; k < MSG_PRICE_COUNT; k++)
            e->price[k] = k < 3 ? (int64_t)(100000000 + i) : -1;
        for (size_t k = 0; k < MSG_ENDPOINT_CLAIMS; k++)
            e->claim[k] = yes();
    }
}

static void make_keys(struct catalogue *c, size_t n)
{
    c->snapshot.tenants = sb_arena_alloc(c->arena, sizeof(struct msg_tenant));
    c->snapshot.n_tenants = 1;
    c->snapshot.tenants[0] = (struct msg_tenant){.id = 1, .name = SB_SLICE_LIT("default")};
    c->snapshot.keys = sb_arena_alloc(c->arena, n * sizeof(struct msg_key));
    c->snapshot.n_keys = n;
    for (size_t i = 0; i < n; i++) {
        struct msg_key *k = &c->snapshot.keys[i];

        k->id = 1 + i;
        for (size_t b = 0; b < sizeof(i); b++)
            k->hash[b] = (uint8_t)(i >> (8 * b));
        k->name = sb_arena_printf(c->arena, "app-%zu", i);
        k->label = SB_SLICE_LIT("sb-abc...xyz");
        k->policy = MSG_NONE;
    }
}

static void make(struct catalogue *c, size_t endpoints)
{
    *c = (struct catalogue){.arena = sb_arena_new(1 << 20)};
    c->snapshot.version = (struct msg_version){1, 1};
    make_providers(c, ENDPOINTS_PER_MODEL);
    c->snapshot.n_models = endpoints / ENDPOINTS_PER_MODEL;
    c->snapshot.models = sb_arena_alloc(c->arena, c->snapshot.n_models * sizeof(struct msg_model));
    for (size_t i = 0; i < c->snapshot.n_models; i++) {
        struct msg_model *m = &c->snapshot.models[i];

        m->id = sb_arena_printf(c->arena, "vendor/model-%05zu", i);
        m->name = sb_arena_printf(c->arena, "Model %zu", i);
        m->description = SB_SLICE_LIT("A model of the benchmark, with a sentence about it.");
        m->context_length = 131072;
        m->input_modalities = m->output_modalities = 1;
        m->distillable = yes();
    }
    make_endpoints(c, endpoints);
    make_keys(c, endpoints / 10);
}

static void bench_snapshot(size_t endpoints)
{
    double encode = 1e18, decode = 1e18, check = 1e18;
    struct catalogue c;
    struct sb_buf out;
    size_t held = 0;

    make(&c, endpoints);
    sb_buf_init(&out, MSG_SNAPSHOT_MAX);
    for (int round = 0; round < ROUNDS; round++) {
        struct sb_arena *arena = sb_arena_new(4096);
        struct msg_snapshot *got = NULL;
        struct sb_errmsg err;
        double start = now_ns(), took;

        sb_buf_reset(&out);
        if (msg_snapshot_encode(&c.snapshot, &out, &err) != SB_OK) {
            (void)fprintf(stderr, "%s\n", err.text);
            exit(EXIT_FAILURE);
        }
        took = now_ns() - start;
        encode = took < encode ? took : encode;
        start = now_ns();
        SB_BUG_ON(msg_snapshot_decode(sb_buf_slice(&out), arena, &got, &err) != SB_OK);
        took = now_ns() - start;
        decode = took < decode ? took : decode;
        start = now_ns();
        SB_BUG_ON(msg_snapshot_check(got, &err) != SB_OK);
        took = now_ns() - start;
        check = took < check ? took : check;
        held = sb_arena_held(arena);
        sb_arena_destroy(&arena);
    }
    (void)printf("snapshot of %zu endpoints, %zu keys: %.2f MB, encode %.2f ms, decode %.2f ms "
                 "(%.2f of it checks), %.2f MB decoded\n",
                 endpoints, c.snapshot.n_keys, (double)sb_buf_len(&out) / 1e6, encode / 1e6,
                 decode / 1e6, check / 1e6, (double)held / 1e6);
    sb_buf_release(&out);
    sb_arena_destroy(&c.arena);
}

static void bench_tables(size_t n)
{
    double encode = 1e18, decode = 1e18;
    struct msg_table_row *rows = sb_mem_new(n * sizeof(*rows));
    struct msg_tables tables = {.epoch = 1, .rows = rows, .n_rows = n}, got;
    struct sb_buf out;

    for (size_t i = 0; i < n; i++) {
        rows[i] = (struct msg_table_row){.endpoint = 100000 + i,
                                         .age = 1500,
                                         .samples = 300,
                                         .uptime = 990000,
                                         .first_token = {210, 320, 430, 540},
                                         .throughput = {91000, 82000, 73000, 64000},
                                         .mean_completion = 333};
    }
    sb_buf_init(&out, 1 << 28);
    for (int round = 0; round < ROUNDS; round++) {
        struct sb_arena *arena = sb_arena_new(4096);
        double start = now_ns(), took;

        sb_buf_reset(&out);
        SB_BUG_ON(msg_tables_encode(&tables, &out) != SB_OK);
        took = now_ns() - start;
        encode = took < encode ? took : encode;
        start = now_ns();
        SB_BUG_ON(msg_tables_decode(sb_buf_slice(&out), arena, &got) != SB_OK);
        took = now_ns() - start;
        decode = took < decode ? took : decode;
        sb_arena_destroy(&arena);
    }
    (void)printf("tables of %zu rows: %.2f MB, encode %.2f ms, decode %.2f ms\n", n,
                 (double)sb_buf_len(&out) / 1e6, encode / 1e6, decode / 1e6);
    sb_buf_release(&out);
    sb_mem_free(rows);
}

int main(void)
{
    bench_record();
    bench_snapshot(10000);
    bench_snapshot(100000);
    bench_tables(10000);
    return EXIT_SUCCESS;
}
