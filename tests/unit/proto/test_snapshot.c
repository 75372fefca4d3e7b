/* tests/unit/proto/test_snapshot.c */
#include "proto/snapshot.h"

#include "proto/wire.h"
#include "tests/lib/message.h"

#define TEXT(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }
#define SEALED "\x00\x01sealed\xff"

/* One snapshot that says everything; set_up() restores it, so that a test can
 * spoil any part of it. */
static struct sample {
    struct msg_pair headers[2], query[1];
    struct msg_provider providers[2];
    struct sb_slice aliases[2];
    struct msg_model models[2];
    struct msg_override overrides[2];
    struct msg_endpoint endpoints[3];
    struct msg_policy policies[2];
    struct msg_tenant tenants[2];
    struct msg_key keys[2];
    struct msg_credential credentials[4];
    struct msg_snapshot snapshot;
} s;

static const struct sample sample = {
    .headers = {{TEXT("x-title"), TEXT("app")}, {TEXT("x-empty"), {NULL, 0}}},
    .query = {{TEXT("api-version"), TEXT("2026-01-01")}},
    .providers = {{.slug = TEXT("acme"),
                   .name = TEXT("Acme Inference"),
                   .dialect = TEXT("openai"),
                   .base_url = TEXT("https://api.acme.example/v1"),
                   .headquarters = TEXT("US"),
                   .auth_header = TEXT("api-key"),
                   .proxy = TEXT("http://proxy.example:3128"),
                   .ca_file = TEXT("/etc/acme.pem"),
                   .max_connections = 512,
                   .max_in_flight = 2000,
                   .privacy_policy_url = TEXT("https://acme.example/privacy"),
                   .terms_of_service_url = TEXT("https://acme.example/terms"),
                   .status_page_url = TEXT("https://status.acme.example"),
                   .wants_key = true},
                  {.slug = TEXT("bolt"),
                   .name = TEXT("Bolt"),
                   .dialect = TEXT("anthropic"),
                   .base_url = TEXT("http://127.0.0.1:8081"),
                   .auth_header = TEXT("authorization")}},
    .aliases = {TEXT("llama-3"), TEXT("llama")},
    .models = {{.id = TEXT("meta-llama/llama-3.3-70b-instruct"),
                .name = TEXT("Llama 3.3 70B Instruct"),
                .description = TEXT("Mod\xc3\xa8le"),
                .created = 1733506137,
                .context_length = 131072,
                .input_modalities = 1u << MSG_MODALITY_TEXT | 1u << MSG_MODALITY_IMAGE,
                .output_modalities = 1u << MSG_MODALITY_TEXT,
                .image_tokens = 1000,
                .distillable = {.value = MSG_TRI_NO, .evidence = TEXT("Llama licence")}},
               {.id = TEXT("nomic/embed"), .output_modalities = 1u << MSG_MODALITY_EMBEDDINGS}},
    .overrides = {{.min_prompt_tokens = 128000,
                   .price = {200000000, 600000000, -1, -1, -1, -1, -1, 0, -1, -1, -1}},
                  {.from = 1350, /* 22:30 */
                   .until = 30,
                   .days = 1u << MSG_DAY_SATURDAY | 1u << MSG_DAY_SUNDAY,
                   .price = {50000000, -1, -1, -1, -1, -1, -1, -1, -1, -1, INT64_MAX}}},
    .endpoints = {{.id = 101,
                   .model = 0,
                   .provider = 0,
                   .tag = TEXT("acme"),
                   .upstream_model = TEXT("llama-3.3-70b"),
                   .region = TEXT("DE"),
                   .quantization = MSG_QUANTIZATION_FP8,
                   .context_length = 131072,
                   .max_completion_tokens = 16384,
                   .max_prompt_tokens = 100000,
                   .input_modalities = 1,
                   .output_modalities = 1,
                   .parameters = UINT64_C(1) << MSG_PARAMETER_VERBOSITY | 1,
                   .price = {100000000, 300000000, 0, -1, -1, -1, -1, 10000000, -1, -1, -1},
                   .claim = {{.value = MSG_TRI_YES,
                              .attested_on = 20000,
                              .expires_on = 20365,
                              .evidence = TEXT("https://acme.example/regions"),
                              .attested_by = TEXT("legal@example.com")},
                             {.value = MSG_TRI_NO},
                             {.attested_on = -1}}},
                  {.id = 100,
                   .model = 0,
                   .provider = 1,
                   .tag = TEXT("acme/turbo"),
                   .upstream_model = TEXT("l"),
                   .region = TEXT("global"),
                   .context_length = 1,
                   .price = {0, 0, -1, -1, -1, -1, -1, -1, -1, -1, INT64_MAX}},
                  {.id = UINT64_MAX,
                   .model = 1,
                   .provider = 1,
                   .tag = TEXT("acme"),
                   .upstream_model = TEXT("e"),
                   .context_length = UINT32_MAX}},
    .policies = {{.id = 1, .name = TEXT("eu-only"), .rules = TEXT("{\"zdr\":true}")},
                 {.id = 2, .name = TEXT("free"), .rules = TEXT("{}")}},
    .tenants = {{.id = 11, .name = TEXT("default")}, {.id = 12, .name = TEXT("shop")}},
    .keys =
        {{.id = 21,
          .hash = {1, 2, 3, [31] = 9},
          .name =
              TEXT("app"),
          .label = TEXT("sb-abc...xyz"),
          .tenant = 0,
          .policy = MSG_NONE,
          .expires_at = 1893456000},
         {.id = 22, .hash = {4}, .name = TEXT("app"), .tenant = 1, .policy = 1, .disabled = true}},
    .credentials =
        {{.id = 31, .provider = 0, .tenant = 1, .sequence = 1, .sealed = TEXT(SEALED)},
         {.id = 32, .provider = 0, .tenant = 1, .sequence = 2, .spill = true, .sealed = TEXT("s")},
         {.id = 33, .provider = 0, .tenant = MSG_NONE, .sealed = TEXT("s")},
         {.id = 34, .provider = 1, .tenant = MSG_NONE, .sealed = TEXT("s")}},
    .snapshot = {.version = {1780000000000000, 77},
                 .created_at = 1790000000123456,
                 .sticky_key = {1, 2, 3, [15] = 16},
                 .user_key = {4, 5, 6, [31] = 32}},
};

static struct sb_buf out;
static struct sb_arena *arena;
static struct sb_errmsg err;

static int set_up(void **state)
{
    (void)state;
    s = sample;
    s.providers[0].headers = s.headers;
    s.providers[0].n_headers = SB_ARRAY_LEN(s.headers);
    s.providers[0].query = s.query;
    s.providers[0].n_query = SB_ARRAY_LEN(s.query);
    s.models[0].aliases = s.aliases;
    s.models[0].n_aliases = SB_ARRAY_LEN(s.aliases);
    s.endpoints[0].overrides = s.overrides;
    s.endpoints[0].n_overrides = SB_ARRAY_LEN(s.overrides);
#define ATTACH(member)                                                                             \
    s.snapshot.member = s.member;                                                                  \
    s.snapshot.n_##member = SB_ARRAY_LEN(s.member)
    ATTACH(providers);
    ATTACH(models);
    ATTACH(endpoints);
    ATTACH(policies);
    ATTACH(tenants);
    ATTACH(keys);
    ATTACH(credentials);
    sb_buf_init(&out, 1 << 24);
    arena = sb_arena_new(16);
    err.text[0] = '\0';
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sb_mem_fail_nth(0);
    sb_buf_release(&out);
    sb_arena_destroy(&arena);
    return 0;
}

static int recode_snapshot(struct sb_slice bytes, struct sb_buf *again)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *fresh = sb_arena_new(16);
    struct msg_snapshot *got = NULL;
    int rc = msg_snapshot_decode(bytes, fresh, &got, NULL);

    if (rc == SB_OK)
        assert_int_equal(msg_snapshot_encode(got, again, NULL), SB_OK);
    else
        assert_null(got);
    return rc;
}

static struct msg_snapshot *send(void)
{
    struct msg_snapshot *got = NULL;

    assert_int_equal(msg_snapshot_encode(&s.snapshot, &out, &err), SB_OK);
    assert_int_equal(msg_snapshot_decode(sb_buf_slice(&out), arena, &got, &err), SB_OK);
    return got;
}

static void a_snapshot_keeps_its_bytes(void **state)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf again;

    (void)state;
    sb_buf_init(&again, 1 << 20);
    assert_int_equal(msg_snapshot_encode(&s.snapshot, &out, &err), SB_OK);
    golden_compare("snapshot", sb_buf_slice(&out));
    assert_int_equal(recode_exact(sb_buf_slice(&out), recode_snapshot, &again), SB_OK);
    assert_true(sb_slice_eq(sb_buf_slice(&again), sb_buf_slice(&out)));
    check_truncations(sb_buf_slice(&out), recode_snapshot);
    assert_int_equal(sb_buf_append_byte(&out, 0), SB_OK);
    assert_int_equal(recode_exact(sb_buf_slice(&out), recode_snapshot, &again), SB_EPARSE);
}

static void same_claim(const struct msg_claim *got, const struct msg_claim *want)
{
    assert_int_equal(got->value, want->value);
    assert_int_equal(got->attested_on, want->attested_on);
    assert_int_equal(got->expires_on, want->expires_on);
    assert_true(sb_slice_eq(got->evidence, want->evidence));
    assert_true(sb_slice_eq(got->attested_by, want->attested_by));
}

static void same_pairs(const struct msg_pair *got, const struct msg_pair *want, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_true(sb_slice_eq(got[i].name, want[i].name));
        assert_true(sb_slice_eq(got[i].value, want[i].value));
    }
}

static void providers_arrive_whole(void **state)
{
    struct msg_snapshot *got = send();

    (void)state;
    assert_int_equal(msg_version_cmp(got->version, s.snapshot.version), 0);
    assert_true(got->created_at == s.snapshot.created_at);
    assert_memory_equal(got->sticky_key, s.snapshot.sticky_key, sizeof(got->sticky_key));
    assert_memory_equal(got->user_key, s.snapshot.user_key, sizeof(got->user_key));
    assert_int_equal(got->n_providers, 2);
    for (size_t i = 0; i < got->n_providers; i++) {
        const struct msg_provider *p = &got->providers[i], *want = &s.providers[i];

        assert_true(sb_slice_eq(p->slug, want->slug));
        assert_true(sb_slice_eq(p->name, want->name));
        assert_true(sb_slice_eq(p->dialect, want->dialect));
        assert_true(sb_slice_eq(p->base_url, want->base_url));
        assert_true(sb_slice_eq(p->headquarters, want->headquarters));
        assert_true(sb_slice_eq(p->auth_header, want->auth_header));
        assert_true(sb_slice_eq(p->proxy, want->proxy));
        assert_true(sb_slice_eq(p->ca_file, want->ca_file));
        assert_int_equal(p->n_headers, want->n_headers);
        same_pairs(p->headers, want->headers, p->n_headers);
        assert_int_equal(p->n_query, want->n_query);
        same_pairs(p->query, want->query, p->n_query);
        assert_int_equal(p->max_connections, want->max_connections);
        assert_int_equal(p->max_in_flight, want->max_in_flight);
        assert_true(sb_slice_eq(p->privacy_policy_url, want->privacy_policy_url));
        assert_true(sb_slice_eq(p->terms_of_service_url, want->terms_of_service_url));
        assert_true(sb_slice_eq(p->status_page_url, want->status_page_url));
        assert_int_equal(p->wants_key, want->wants_key);
    }
}

static void models_arrive_whole(void **state)
{
    struct msg_snapshot *got = send();

    (void)state;
    assert_int_equal(got->n_models, 2);
    for (size_t i = 0; i < got->n_models; i++) {
        const struct msg_model *m = &got->models[i], *want = &s.models[i];

        assert_true(sb_slice_eq(m->id, want->id));
        assert_true(sb_slice_eq(m->name, want->name));
        assert_true(sb_slice_eq(m->description, want->description));
        assert_int_equal(m->created, want->created);
        assert_int_equal(m->context_length, want->context_length);
        assert_int_equal(m->input_modalities, want->input_modalities);
        assert_int_equal(m->output_modalities, want->output_modalities);
        assert_int_equal(m->image_tokens, want->image_tokens);
        assert_int_equal(m->n_aliases, want->n_aliases);
        for (size_t k = 0; k < m->n_aliases; k++)
            assert_true(sb_slice_eq(m->aliases[k], want->aliases[k]));
        same_claim(&m->distillable, &want->distillable);
    }
}

static void same_override(const struct msg_override *got, const struct msg_override *want)
{
    assert_int_equal(got->min_prompt_tokens, want->min_prompt_tokens);
    assert_int_equal(got->from, want->from);
    assert_int_equal(got->until, want->until);
    assert_int_equal(got->days, want->days);
    assert_memory_equal(got->price, want->price, sizeof(got->price));
}

static void endpoints_arrive_whole(void **state)
{
    struct msg_snapshot *got = send();

    (void)state;
    assert_int_equal(got->n_endpoints, 3);
    for (size_t i = 0; i < got->n_endpoints; i++) {
        const struct msg_endpoint *e = &got->endpoints[i], *want = &s.endpoints[i];

        assert_true(e->id == want->id);
        assert_int_equal(e->model, want->model);
        assert_int_equal(e->provider, want->provider);
        assert_true(sb_slice_eq(e->tag, want->tag));
        assert_true(sb_slice_eq(e->upstream_model, want->upstream_model));
        assert_true(sb_slice_eq(e->region, want->region));
        assert_int_equal(e->quantization, want->quantization);
        assert_int_equal(e->context_length, want->context_length);
        assert_int_equal(e->max_completion_tokens, want->max_completion_tokens);
        assert_int_equal(e->max_prompt_tokens, want->max_prompt_tokens);
        assert_int_equal(e->input_modalities, want->input_modalities);
        assert_int_equal(e->output_modalities, want->output_modalities);
        assert_int_equal(e->parameters, want->parameters);
        assert_memory_equal(e->price, want->price, sizeof(e->price));
        assert_int_equal(e->n_overrides, want->n_overrides);
        for (size_t k = 0; k < want->n_overrides; k++)
            same_override(&e->overrides[k], &want->overrides[k]);
        for (size_t k = 0; k < MSG_ENDPOINT_CLAIMS; k++)
            same_claim(&e->claim[k], &want->claim[k]);
    }
}

static void keys_and_what_they_refer_to_arrive_whole(void **state)
{
    struct msg_snapshot *got = send();

    (void)state;
    assert_int_equal(got->n_policies, 2);
    assert_int_equal(got->n_tenants, 2);
    assert_int_equal(got->n_keys, 2);
    assert_int_equal(got->n_credentials, 4);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(got->policies[i].id, s.policies[i].id);
        assert_true(sb_slice_eq(got->policies[i].name, s.policies[i].name));
        assert_true(sb_slice_eq(got->policies[i].rules, s.policies[i].rules));
        assert_int_equal(got->tenants[i].id, s.tenants[i].id);
        assert_true(sb_slice_eq(got->tenants[i].name, s.tenants[i].name));
        assert_int_equal(got->keys[i].id, s.keys[i].id);
        assert_memory_equal(got->keys[i].hash, s.keys[i].hash, MSG_HASH_BYTES);
        assert_true(sb_slice_eq(got->keys[i].name, s.keys[i].name));
        assert_true(sb_slice_eq(got->keys[i].label, s.keys[i].label));
        assert_int_equal(got->keys[i].tenant, s.keys[i].tenant);
        assert_int_equal(got->keys[i].policy, s.keys[i].policy);
        assert_int_equal(got->keys[i].expires_at, s.keys[i].expires_at);
        assert_int_equal(got->keys[i].disabled, s.keys[i].disabled);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(got->credentials[i].id, s.credentials[i].id);
        assert_int_equal(got->credentials[i].provider, s.credentials[i].provider);
        assert_int_equal(got->credentials[i].tenant, s.credentials[i].tenant);
        assert_int_equal(got->credentials[i].sequence, s.credentials[i].sequence);
        assert_int_equal(got->credentials[i].spill, s.credentials[i].spill);
        assert_true(sb_slice_eq(got->credentials[i].sealed, s.credentials[i].sealed));
    }
}

static void an_empty_snapshot_is_one(void **state)
{
    struct msg_snapshot *got;

    (void)state;
    s.snapshot = (struct msg_snapshot){.version = {1, 1}};
    got = send();
    assert_int_equal(got->n_endpoints, 0);
    assert_null(got->endpoints);
}

static void the_same_records_give_the_same_bytes_wherever_they_lie(void **state)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf again;
    struct msg_snapshot *got = send();

    (void)state;
    sb_buf_init(&again, 1 << 20);
    assert_int_equal(sb_buf_append_text(&again, "before"), SB_OK); /* it appends */
    assert_int_equal(msg_snapshot_encode(got, &again, &err), SB_OK);
    sb_buf_consume(&again, 6);
    assert_true(sb_slice_eq(sb_buf_slice(&again), sb_buf_slice(&out)));
}

static void bits_without_a_name_are_dropped(void **state)
{
    struct msg_snapshot *got;

    (void)state;
    s.endpoints[0].parameters = UINT64_MAX;
    s.endpoints[0].input_modalities = UINT32_MAX;
    got = send();
    assert_int_equal(got->endpoints[0].parameters, (UINT64_C(1) << MSG_PARAMETER_COUNT) - 1);
    assert_int_equal(got->endpoints[0].input_modalities, (1u << MSG_MODALITY_COUNT) - 1);
}

/* The spoilt sample is refused by both checks, with a text that says where. */
static void refused(const char *where)
{
    struct msg_snapshot *got = NULL;

    err.text[0] = '\0';
    assert_int_equal(msg_snapshot_check(&s.snapshot, &err), SB_EPARSE);
    if (strncmp(err.text, where, strlen(where)) != 0)
        fail_msg("\"%s\" does not begin with \"%s\"", err.text, where);
    sb_buf_reset(&out);
    assert_int_equal(msg_snapshot_encode(&s.snapshot, &out, &err), SB_OK);
    err.text[0] = '\0';
    assert_int_equal(msg_snapshot_decode(sb_buf_slice(&out), arena, &got, &err), SB_EPARSE);
    if (strncmp(err.text, where, strlen(where)) != 0)
        fail_msg("\"%s\" does not begin with \"%s\"", err.text, where);
    assert_null(got);
    assert_int_equal(msg_snapshot_decode(sb_buf_slice(&out), arena, &got, NULL), SB_EPARSE);
}

/* Spoils one field, looks, and puts it back. */
#define REFUSED(field, value, where)                                                               \
    do {                                                                                           \
        __typeof__(s.field) kept = s.field;                                                        \
                                                                                                   \
        s.field = (value);                                                                         \
        refused(where);                                                                            \
        s.field = kept;                                                                            \
    } while (0)

static void references_to_rows_that_are_not_there_are_refused(void **state)
{
    (void)state;
    assert_int_equal(msg_snapshot_check(&s.snapshot, &err), SB_OK);
    REFUSED(endpoints[2].model, 2, "endpoints[2]: refers to a model");
    REFUSED(endpoints[2].model, MSG_NONE, "endpoints[2]: refers to a model");
    REFUSED(endpoints[1].provider, 2, "endpoints[1]: refers to a provider");
    REFUSED(keys[0].tenant, 2, "keys[0]: refers to a tenant");
    REFUSED(keys[0].tenant, MSG_NONE, "keys[0]: refers to a tenant");
    REFUSED(keys[1].policy, 2, "keys[1]: refers to a policy");
    REFUSED(credentials[3].provider, 2, "credentials[3]: refers to a provider");
    REFUSED(credentials[1].tenant, 2, "credentials[1]: refers to a tenant");
}

static void what_is_there_twice_is_refused(void **state)
{
    (void)state;
    REFUSED(providers[1].slug, s.providers[0].slug, "providers[1]: slug");
    REFUSED(models[1].id, s.models[0].id, "models[1]: id");
    REFUSED(models[1].id, s.aliases[1], "models[1]: id");
    REFUSED(aliases[1], s.aliases[0], "models[0]: alias");
    REFUSED(aliases[1], s.models[0].id, "models[0]: alias");
    REFUSED(endpoints[2].id, 101, "endpoints[2]: id");
    REFUSED(endpoints[1].tag, s.endpoints[0].tag, "endpoints[1]: not sorted");
    REFUSED(policies[1].id, 1, "policies[1]: id");
    REFUSED(policies[1].name, s.policies[0].name, "policies[1]: name");
    REFUSED(tenants[1].id, 11, "tenants[1]: id");
    REFUSED(tenants[1].name, s.tenants[0].name, "tenants[1]: name");
    REFUSED(keys[1].id, 21, "keys[1]: id");
    REFUSED(credentials[3].id, 31, "credentials[3]: id");
    memcpy(s.keys[1].hash, s.keys[0].hash, MSG_HASH_BYTES);
    refused("keys[1]: hash");
}

static void what_is_not_sorted_is_refused(void **state)
{
    (void)state;
    REFUSED(endpoints[2].model, 0, "endpoints[2]: not sorted");
    REFUSED(endpoints[0].tag, SB_SLICE_LIT("b"), "endpoints[1]: not sorted");
    REFUSED(endpoints[1].tag, SB_SLICE_LIT("acm"), "endpoints[1]: not sorted");
    REFUSED(endpoints[1].tag, SB_SLICE_LIT("ACME"), "endpoints[1]: not sorted");
    REFUSED(credentials[0].provider, 1, "credentials[1]: not sorted");
    REFUSED(credentials[2].tenant, 0, "credentials[2]: not sorted");
    REFUSED(credentials[0].sequence, 3, "credentials[1]: not sorted");
}

static void rows_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    REFUSED(providers[0].slug, SB_SLICE_NONE, "providers[0]: slug");
    REFUSED(providers[0].slug, SB_SLICE_LIT("Acme"), "providers[0]: slug");
    REFUSED(providers[0].dialect, SB_SLICE_NONE, "providers[0]: has no dialect");
    REFUSED(providers[0].base_url, SB_SLICE_NONE, "providers[0]: base_url");
    REFUSED(providers[0].base_url, SB_SLICE_LIT("https://a/"), "providers[0]: base_url");
    REFUSED(providers[0].headquarters, SB_SLICE_LIT("us"), "providers[0]: headquarters");
    REFUSED(providers[0].headquarters, SB_SLICE_LIT("USA"), "providers[0]: headquarters");
    REFUSED(models[1].id, SB_SLICE_NONE, "models[1]: has no id");
    REFUSED(aliases[0], SB_SLICE_NONE, "models[0]: has an empty alias");
    REFUSED(endpoints[0].id, 0, "endpoints[0]: id is 0");
    REFUSED(endpoints[0].tag, SB_SLICE_NONE, "endpoints[0]: has no tag");
    REFUSED(endpoints[0].upstream_model, SB_SLICE_NONE, "endpoints[0]: has no tag or");
    REFUSED(endpoints[0].region, SB_SLICE_LIT("de"), "endpoints[0]: region");
    REFUSED(endpoints[0].region, SB_SLICE_LIT("EUR"), "endpoints[0]: region");
    REFUSED(endpoints[0].context_length, 0, "endpoints[0]: context length");
    REFUSED(policies[0].id, 0, "policies[0]: id is 0");
    REFUSED(policies[0].name, SB_SLICE_NONE, "policies[0]: has no name");
    REFUSED(tenants[0].id, 0, "tenants[0]: id is 0");
    REFUSED(tenants[0].name, SB_SLICE_NONE, "tenants[0]: has no name");
    REFUSED(keys[0].id, 0, "keys[0]: id is 0");
    REFUSED(credentials[0].id, 0, "credentials[0]: id is 0");
    REFUSED(credentials[0].sealed, SB_SLICE_NONE, "credentials[0]: has no sealed key");
}

static void a_negative_price_is_refused_by_both_sides(void **state)
{
    struct msg_snapshot *got = NULL;

    (void)state;
    s.endpoints[0].price[MSG_PRICE_WEB_SEARCH] = -2;
    assert_int_equal(msg_snapshot_check(&s.snapshot, &err), SB_EPARSE);
    assert_string_equal(err.text, "endpoints[0]: has a negative price");
    assert_int_equal(msg_snapshot_encode(&s.snapshot, &out, &err), SB_OK);
    assert_int_equal(msg_snapshot_decode(sb_buf_slice(&out), arena, &got, &err), SB_EPARSE);
    assert_string_equal(err.text, "endpoints[0].price: malformed input");
}

static void an_override_that_says_nothing_is_refused(void **state)
{
    struct msg_snapshot *got = NULL;

    (void)state;
    s.overrides[1].days = 0; /* the hours are left */
    assert_int_equal(msg_snapshot_check(&s.snapshot, &err), SB_OK);
    s.overrides[1].until = s.overrides[1].from;
    assert_int_equal(msg_snapshot_check(&s.snapshot, &err), SB_EPARSE);
    assert_string_equal(err.text, "endpoints[0]: has an override without a condition");
    assert_int_equal(msg_snapshot_encode(&s.snapshot, &out, &err), SB_OK);
    assert_int_equal(msg_snapshot_decode(sb_buf_slice(&out), arena, &got, &err), SB_EPARSE);
    assert_string_equal(err.text, "endpoints[0]: has an override without a condition");
    s.overrides[1] = sample.overrides[1];
    s.overrides[1].price[0] = s.overrides[1].price[MSG_PRICE_WEB_SEARCH] = -1;
    assert_int_equal(msg_snapshot_check(&s.snapshot, &err), SB_EPARSE);
    assert_string_equal(err.text, "endpoints[0]: has an override without a price");
    s.overrides[1].price[0] = -2;
    assert_int_equal(msg_snapshot_check(&s.snapshot, &err), SB_EPARSE);
    assert_string_equal(err.text, "endpoints[0]: has a negative price in an override");
}

/* Encodes the spoilt sample; the error names the place. */
static void not_encoded(const char *where)
{
    err.text[0] = '\0';
    assert_int_equal(msg_snapshot_encode(&s.snapshot, &out, &err), SB_ETOOBIG);
    if (strcmp(err.text, where) != 0)
        fail_msg("\"%s\" is not \"%s\"", err.text, where);
    assert_int_equal(sb_buf_len(&out), 0);
    assert_int_equal(msg_snapshot_encode(&s.snapshot, &out, NULL), SB_ETOOBIG);
}

static void fields_over_their_ceiling_are_not_encoded(void **state)
{
    static char big[MSG_RULES_MAX + 1];
    static struct msg_pair pairs[MSG_LIST_MAX + 1];
    static struct sb_slice names[MSG_LIST_MAX + 1];
    static struct msg_override overrides[MSG_OVERRIDES_MAX + 1];

    (void)state;
    memset(big, 'x', sizeof(big));
#define OVER(field, max, where)                                                                    \
    do {                                                                                           \
        struct sb_slice kept = s.field;                                                            \
                                                                                                   \
        s.field = sb_slice_make(big, (max) + 1);                                                   \
        not_encoded(where ": over the configured limit");                                          \
        s.field.n--;                                                                               \
        sb_buf_reset(&out);                                                                        \
        assert_int_equal(msg_snapshot_encode(&s.snapshot, &out, &err), SB_OK);                     \
        sb_buf_reset(&out);                                                                        \
        s.field = kept;                                                                            \
    } while (0)
    OVER(providers[1].slug, MSG_SLUG_MAX, "providers[1].slug");
    OVER(providers[0].base_url, MSG_URL_MAX, "providers[0].base_url");
    OVER(headers[1].value, MSG_TEXT_MAX, "providers[0].value");
    OVER(models[0].description, MSG_TEXT_MAX, "models[0].description");
    OVER(aliases[1], MSG_MODEL_ID_MAX, "models[0].aliases");
    OVER(endpoints[2].tag, MSG_SLUG_MAX, "endpoints[2].tag");
    OVER(endpoints[2].claim[2].evidence, MSG_TEXT_MAX, "endpoints[2].evidence");
    OVER(policies[0].rules, MSG_RULES_MAX, "policies[0].rules");
    OVER(keys[0].label, MSG_SLUG_MAX, "keys[0].label");
    OVER(credentials[0].sealed, MSG_SEALED_MAX, "credentials[0].sealed");
    s.providers[0].headers = pairs;
    s.providers[0].n_headers = SB_ARRAY_LEN(pairs);
    not_encoded("providers[0].headers: over the configured limit");
    s.providers[0].n_headers--;
    s.models[0].aliases = names;
    s.models[0].n_aliases = SB_ARRAY_LEN(names);
    not_encoded("models[0].aliases: over the configured limit");
    s.models[0].n_aliases--;
    s.endpoints[0].quantization = MSG_QUANTIZATION_COUNT;
    not_encoded("endpoints[0].quantization: over the configured limit");
    s.endpoints[0].quantization = 0;
    s.endpoints[0].claim[0].value = MSG_TRI_YES + 1;
    not_encoded("endpoints[0].value: over the configured limit");
    s.endpoints[0].claim[0].value = 0;
    s.overrides[0].until = 24 * 60;
    not_encoded("endpoints[0].until: over the configured limit");
    s.overrides[0].until = 0;
    s.overrides[0].days = 1u << MSG_DAY_COUNT;
    not_encoded("endpoints[0].days: over the configured limit");
    s.overrides[0].days = 0;
    s.endpoints[0].overrides = overrides;
    s.endpoints[0].n_overrides = SB_ARRAY_LEN(overrides);
    not_encoded("endpoints[0].overrides: over the configured limit");
    s.endpoints[0].n_overrides = 0;
    s.snapshot.n_tenants = MSG_ROWS_MAX + 1; /* not looked at */
    not_encoded("tenants: over the configured limit");
}

/* A header with the given counts; the caller appends rows. */
static struct wire_writer header(const uint64_t *counts, size_t n)
{
    struct wire_writer w;
    static const char zeros[MSG_HASH_BYTES];

    sb_buf_reset(&out);
    w = wire_writer_init(&out);
    wire_write_array(&w, 7);
    wire_write_u64(&w, MSG_SNAPSHOT_FORMAT);
    wire_write_u64(&w, 5);
    wire_write_u64(&w, 6);
    wire_write_i64(&w, 7);
    wire_write_bytes(&w, sb_slice_make(zeros, 16), 16);
    wire_write_bytes(&w, sb_slice_make(zeros, 32), 32);
    wire_write_array(&w, n);
    for (size_t i = 0; i < n; i++)
        wire_write_u64(&w, counts[i]);
    return w;
}

static int decode(struct wire_writer *w, struct msg_snapshot **ret_got)
{
    assert_int_equal(wire_writer_end(w), SB_OK);
    return msg_snapshot_decode(sb_buf_slice(&out), arena, ret_got, &err);
}

static void sections_and_fields_of_a_newer_sender_are_skipped(void **state)
{
    const uint64_t counts[] = {0, 0, 0, 0, 1, 0, 0, 2, 0, 1};
    struct wire_writer w = header(counts, SB_ARRAY_LEN(counts));
    struct msg_snapshot *got;

    (void)state;
    wire_write_array(&w, 4); /* a tenant with two more fields */
    wire_write_u64(&w, 11);
    wire_write_text(&w, SB_SLICE_LIT("default"), 7);
    wire_write_array(&w, 1);
    wire_write_nil(&w);
    wire_write_double(&w, 1.5);
    wire_write_array(&w, 1); /* three rows of sections that we have never heard of */
    wire_write_text(&w, SB_SLICE_LIT("new"), 3);
    wire_write_array(&w, 0);
    wire_write_bool(&w, true);
    assert_int_equal(decode(&w, &got), SB_OK);
    assert_int_equal(got->version.epoch, 5);
    assert_int_equal(got->n_tenants, 1);
    assert_true(sb_slice_is(got->tenants[0].name, "default"));
    out.tail--; /* one row less than the header says */
    assert_int_equal(msg_snapshot_decode(sb_buf_slice(&out), arena, &got, &err), SB_EPARSE);
}

static void what_an_older_sender_does_not_send_is_absent(void **state)
{
    const uint64_t counts[] = {1, 1, 1};
    struct wire_writer w = header(counts, SB_ARRAY_LEN(counts));
    struct msg_snapshot *got;

    (void)state;
    wire_write_array(&w, 4);
    wire_write_text(&w, SB_SLICE_LIT("acme"), 9);
    wire_write_text(&w, SB_SLICE_LIT("Acme"), 9);
    wire_write_text(&w, SB_SLICE_LIT("openai"), 9);
    wire_write_text(&w, SB_SLICE_LIT("http://a"), 9);
    wire_write_array(&w, 1);
    wire_write_text(&w, SB_SLICE_LIT("m/m"), 9);
    wire_write_array(&w, 14); /* an endpoint with one price, and no claims */
    wire_write_u64(&w, 1);
    wire_write_u64(&w, 0);
    wire_write_u64(&w, 0);
    wire_write_text(&w, SB_SLICE_LIT("acme"), 9);
    wire_write_text(&w, SB_SLICE_LIT("m"), 9);
    wire_write_text(&w, SB_SLICE_NONE, 9);
    wire_write_u64(&w, 0);
    wire_write_u64(&w, 4096);
    for (int i = 0; i < 5; i++)
        wire_write_u64(&w, 0);
    wire_write_array(&w, 1);
    wire_write_u64(&w, 12);
    assert_int_equal(decode(&w, &got), SB_OK);
    assert_int_equal(got->n_keys, 0);
    assert_int_equal(got->models[0].n_aliases, 0);
    assert_int_equal(got->models[0].distillable.value, MSG_TRI_UNKNOWN);
    assert_int_equal(got->endpoints[0].price[MSG_PRICE_PROMPT], 12);
    assert_true(got->endpoints[0].price[MSG_PRICE_COMPLETION] == -1); /* not free */
    assert_int_equal(got->endpoints[0].claim[MSG_CLAIM_ZDR].value, MSG_TRI_UNKNOWN);
    assert_int_equal(got->endpoints[0].n_overrides, 0);
}

static void another_format_is_told_apart_from_garbage(void **state)
{
    struct msg_snapshot *got = NULL;

    (void)state;
    assert_int_equal(msg_snapshot_decode(SB_SLICE_LIT("\x91\x02"), arena, &got, &err), SB_EVERSION);
    assert_string_equal(err.text, "format 2, this program reads 1");
    assert_int_equal(
        msg_snapshot_decode(SB_SLICE_LIT("\x92\x02\xa3new and more"), arena, &got, &err),
        SB_EVERSION);
    assert_int_equal(msg_snapshot_decode(SB_SLICE_LIT("\x80"), arena, &got, &err), SB_EPARSE);
    assert_int_equal(msg_snapshot_decode(SB_SLICE_NONE, arena, &got, &err), SB_EPARSE);
    assert_null(got);
    /* So long that it is not looked at. */
    assert_int_equal(
        msg_snapshot_decode(sb_slice_make("", MSG_SNAPSHOT_MAX + 1), arena, &got, &err),
        SB_ETOOBIG);
}

static void counts_that_the_bytes_cannot_hold_allocate_nothing(void **state)
{
    const uint64_t too_many[] = {0, 0, UINT32_MAX}, some[] = {0, 0, 1000},
                   unknown[] = {0, 0, 0, 0, 0, 0, 0, UINT32_MAX, UINT32_MAX},
                   beyond[] = {UINT64_C(1) << 32};
    struct msg_snapshot *got = NULL;
    struct wire_writer w;
    size_t held = sb_arena_held(arena) + 4096;

    (void)state;
    w = header(too_many, SB_ARRAY_LEN(too_many));
    assert_int_equal(decode(&w, &got), SB_ETOOBIG);
    w = header(some, SB_ARRAY_LEN(some));
    assert_int_equal(decode(&w, &got), SB_EPARSE);
    w = header(unknown, SB_ARRAY_LEN(unknown));
    assert_int_equal(decode(&w, &got), SB_EPARSE);
    w = header(beyond, SB_ARRAY_LEN(beyond));
    assert_int_equal(decode(&w, &got), SB_EPARSE);
    assert_true(sb_arena_held(arena) <= held);
    assert_null(got);
}

static void text_over_its_ceiling_is_refused_with_its_place(void **state)
{
    static char big[MSG_SLUG_MAX + 1];
    const uint64_t counts[] = {0, 0, 0, 0, 2};
    struct wire_writer w = header(counts, SB_ARRAY_LEN(counts));
    struct msg_snapshot *got = NULL;

    (void)state;
    memset(big, 'x', sizeof(big));
    wire_write_array(&w, 2);
    wire_write_u64(&w, 1);
    wire_write_text(&w, SB_SLICE_LIT("a"), 1);
    wire_write_array(&w, 2);
    wire_write_u64(&w, 2);
    wire_write_text(&w, sb_slice_make(big, sizeof(big)), sizeof(big));
    assert_int_equal(decode(&w, &got), SB_ETOOBIG);
    assert_string_equal(err.text, "tenants[1].name: over the configured limit");
    assert_null(got);
}

static void every_allocation_of_a_decoder_may_fail(void **state)
{
    unsigned long nth;
    int rc = SB_ENOMEM;

    (void)state;
    assert_int_equal(msg_snapshot_encode(&s.snapshot, &out, &err), SB_OK);
    for (nth = 1; rc != SB_OK && nth < 200; nth++) {
        SB_CLEANUP(sb_arena_destroy) struct sb_arena *fresh = NULL;
        struct msg_snapshot *got = NULL;

        fresh = sb_arena_new(16);
        err.text[0] = '\0';
        sb_mem_fail_nth(nth);
        rc = msg_snapshot_decode(sb_buf_slice(&out), fresh, &got, &err);
        sb_mem_fail_nth(0);
        assert_int_equal(rc == SB_OK, got != NULL);
        assert_true(rc == SB_OK || (rc == SB_ENOMEM && err.text[0] != '\0'));
    }
    assert_int_equal(rc, SB_OK);
    assert_true(nth > 10); /* seven sections, each with a set or two */
    rc = SB_ENOMEM;
    for (nth = 1; rc != SB_OK && nth < 200; nth++) {
        sb_buf_clear(&out);
        sb_mem_fail_nth(nth);
        rc = msg_snapshot_encode(&s.snapshot, &out, &err);
        sb_mem_fail_nth(0);
        assert_true(rc == SB_OK || (rc == SB_ENOMEM && sb_buf_len(&out) == 0));
    }
    assert_int_equal(rc, SB_OK);
    assert_true(nth > 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_snapshot_keeps_its_bytes),
        TEST(providers_arrive_whole),
        TEST(models_arrive_whole),
        TEST(endpoints_arrive_whole),
        TEST(keys_and_what_they_refer_to_arrive_whole),
        TEST(an_empty_snapshot_is_one),
        TEST(the_same_records_give_the_same_bytes_wherever_they_lie),
        TEST(bits_without_a_name_are_dropped),
        TEST(references_to_rows_that_are_not_there_are_refused),
        TEST(what_is_there_twice_is_refused),
        TEST(what_is_not_sorted_is_refused),
        TEST(rows_that_make_no_sense_are_refused),
        TEST(a_negative_price_is_refused_by_both_sides),
        TEST(an_override_that_says_nothing_is_refused),
        TEST(fields_over_their_ceiling_are_not_encoded),
        TEST(sections_and_fields_of_a_newer_sender_are_skipped),
        TEST(what_an_older_sender_does_not_send_is_absent),
        TEST(another_format_is_told_apart_from_garbage),
        TEST(counts_that_the_bytes_cannot_hold_allocate_nothing),
        TEST(text_over_its_ceiling_is_refused_with_its_place),
        TEST(every_allocation_of_a_decoder_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
