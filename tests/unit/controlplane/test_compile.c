/* tests/unit/controlplane/test_compile.c - tables to snapshot bytes, over a real PostgreSQL. */
#include "controlplane/publish/compile.h"

#include "common/secret.h"
#include "controlplane/catalog/records.h"
#include "proto/snapshot.h"
#include "tests/lib/store_fixture.h"

static const char catalogue[] =
    "version: 1\n"
    "providers:\n"
    "  - {slug: zeta, dialect: openai, base_url: \"http://z\", credential: {value: sk-z}}\n"
    "  - {slug: acme, name: Acme, dialect: openai, base_url: \"https://x/v1\",\n"
    "     credential: {value: sk-house}, headquarters: US, auth: {header: api-key},\n"
    "     headers: {x-b: \"2\", x-a: \"1\"}, query: {v: \"3\"}, proxy: \"http://p:1\",\n"
    "     ca_file: /ca.pem, max_connections: 5, max_in_flight: 6,\n"
    "     privacy_policy_url: \"https://x/p\", terms_of_service_url: \"https://x/t\",\n"
    "     status_page_url: \"https://x/s\",\n"
    "     data_policy: {no_training: {value: yes, evidence: dpa, attested_by: me,\n"
    "       attested_on: 1970-01-11, expires_on: 1970-01-21}, zdr: {value: yes, evidence: z}}}\n"
    "models:\n"
    "  - {id: a/b-c, context_length: 7, input_modalities: [text, image], created: 1970-01-02,\n"
    "     image_tokens: 85}\n"
    "  - {id: a/b, name: B, description: D, context_length: 1000, aliases: [z, y],\n"
    "     distillable: {value: no, evidence: licence}}\n"
    "policies: [{name: p2, zdr: true}, {name: p1, max_price: {prompt: 0.10}}]\n"
    "tenants: [{name: team}, {name: alpha}]\n"
    "endpoints:\n"
    "  - {model: a/b-c, provider: zeta, pricing: {prompt: 0, completion: 0}}\n"
    "  - {model: a/b, provider: acme, tag: acme/turbo, upstream_model: BB, region: DE,\n"
    "     quantization: fp8, context_length: 900, max_completion_tokens: 100,\n"
    "     max_prompt_tokens: 800, input_modalities: [file], output_modalities: [text, audio],\n"
    "     supported_parameters: [tools, top_p], pricing: {prompt: 0.10, completion: 3, request: "
    "1,\n"
    "       image: 2, image_output: 3, audio: 4, audio_output: 5, cache_read: 6, cache_write: 7,\n"
    "       reasoning: 8, web_search: 9, overrides: [{min_prompt_tokens: 5, request: 2},\n"
    "         {hours: \"22:00-06:30\", days: [sunday], prompt: 0.05}]}, zdr: no,\n"
    "     eu_resident: {value: yes, evidence: r, attested_by: a, attested_on: 2026-01-01}}\n"
    "  - {model: a/b, provider: acme, pricing: {prompt: 1, completion: 1}}\n"
    "keys:\n"
    "  - {name: k2, tenant: team, policy: p2, expires_at: \"1970-01-01T00:01:40Z\", disabled: "
    "yes,\n"
    "     secret: {value: sk-0123456789abcdef}}\n"
    "  - {name: k1, secret: {value: sk-0123456789abcdeX}}\n"
    "credentials:\n"
    "  - {name: own2, provider: acme, tenant: team, sequence: 2, spill: no, secret: {value: b}}\n"
    "  - {name: own1, provider: acme, tenant: team, sequence: 1, secret: {value: a}}\n";

static void compile_with(uint64_t term, struct cp_compiled *compiled)
{
    struct sb_errmsg err = {{0}};
    int rc = cp_compile(cp_store_db(fx.store), MSG_SNAPSHOT_FORMAT, term, compiled, &err);

    if (rc != SB_OK)
        fail_msg("%s: %s", sb_err_name(rc), err.text);
}

static const struct msg_snapshot *decode(const struct cp_compiled *compiled)
{
    struct msg_snapshot *snapshot = NULL;
    struct sb_errmsg err = {{0}};
    int rc = msg_snapshot_decode(sb_buf_slice(&compiled->bytes), fx.arena, &snapshot, &err);

    if (rc != SB_OK)
        fail_msg("%s: %s", sb_err_name(rc), err.text);
    return snapshot;
}

#define assert_text(slice, expected) assert_true(sb_slice_is((slice), (expected)))

static void expect_claim(const struct msg_claim *claim, int value, const char *evidence,
                         const char *by, int32_t on, int32_t until)
{
    assert_int_equal(claim->value, value);
    assert_text(claim->evidence, evidence);
    if (by != NULL) {
        assert_text(claim->attested_by, by);
        assert_int_equal(claim->attested_on, on);
    }
    assert_int_equal(claim->expires_on, until);
}

static void every_member_arrives_in_the_snapshot(void **state)
{
    SB_CLEANUP(cp_compiled_release) struct cp_compiled compiled;
    const struct msg_snapshot *s;
    const struct msg_provider *p;
    const struct msg_endpoint *e;
    struct msg_version head;
    uint8_t hash[MSG_HASH_BYTES];

    (void)state;
    fixture_apply(catalogue);
    compile_with(0, &compiled);
    s = decode(&compiled);
    assert_int_equal(cp_store_head(fx.store, &head), SB_OK);
    assert_int_equal(msg_version_cmp(s->version, head), 0);
    assert_int_equal(msg_version_cmp(compiled.version, head), 0);
    sb_hash(sb_buf_slice(&compiled.bytes), hash);
    assert_memory_equal(hash, compiled.hash, sizeof(hash));
    assert_true(s->created_at > 0);

    assert_int_equal(s->n_providers, 2);
    p = &s->providers[0];
    assert_text(p->slug, "acme");
    assert_text(p->name, "Acme");
    assert_text(p->dialect, "openai");
    assert_text(p->base_url, "https://x/v1");
    assert_text(p->headquarters, "US");
    assert_text(p->auth_header, "api-key");
    assert_text(s->providers[1].auth_header, "authorization");
    assert_text(p->proxy, "http://p:1");
    assert_text(p->ca_file, "/ca.pem");
    assert_int_equal(p->n_headers, 2);
    assert_text(p->headers[0].name, "x-a");
    assert_text(p->headers[1].value, "2");
    assert_int_equal(p->n_query, 1);
    assert_text(p->query[0].value, "3");
    assert_int_equal(p->max_connections, 5);
    assert_int_equal(p->max_in_flight, 6);
    assert_text(p->privacy_policy_url, "https://x/p");
    assert_text(p->terms_of_service_url, "https://x/t");
    assert_text(p->status_page_url, "https://x/s");

    assert_int_equal(s->n_models, 2);
    assert_text(s->models[0].id, "a/b");
    assert_text(s->models[0].name, "B");
    assert_text(s->models[0].description, "D");
    assert_int_equal(s->models[0].n_aliases, 2);
    assert_text(s->models[0].aliases[0], "z");
    assert_text(s->models[0].aliases[1], "y");
    assert_int_equal(s->models[0].distillable.value, MSG_TRI_NO);
    assert_text(s->models[0].distillable.evidence, "licence");
    assert_text(s->models[1].id, "a/b-c");
    assert_int_equal(s->models[1].created, 86400);
    assert_int_equal(s->models[1].image_tokens, 85);
    assert_int_equal(s->models[1].input_modalities,
                     1u << MSG_MODALITY_TEXT | 1u << MSG_MODALITY_IMAGE);
    assert_int_equal(s->models[1].output_modalities, 1u << MSG_MODALITY_TEXT);

    assert_int_equal(s->n_endpoints, 3);
    e = &s->endpoints[0];
    assert_text(e->tag, "acme");
    assert_text(e->upstream_model, "a/b");
    assert_int_equal(e->model, 0);
    assert_int_equal(e->provider, 0);
    assert_text(e->region, "");
    assert_int_equal(e->quantization, MSG_QUANTIZATION_UNKNOWN);
    assert_int_equal(e->context_length, 1000); /* the model's */
    assert_int_equal(e->input_modalities, 1u << MSG_MODALITY_TEXT);
    assert_int_equal(e->parameters, 0);
    assert_true(e->price[MSG_PRICE_PROMPT] == 1000000000);
    assert_true(e->price[MSG_PRICE_REQUEST] == -1);
    /* the provider's, since it has none itself */
    expect_claim(&e->claim[MSG_CLAIM_NO_TRAINING], MSG_TRI_YES, "dpa", "me", 10, 20);
    expect_claim(&e->claim[MSG_CLAIM_ZDR], MSG_TRI_YES, "z", NULL, 0, 0);
    expect_claim(&e->claim[MSG_CLAIM_EU_RESIDENT], MSG_TRI_UNKNOWN, "", "", 0, 0);

    e = &s->endpoints[1];
    assert_text(e->tag, "acme/turbo");
    assert_text(e->upstream_model, "BB");
    assert_text(e->region, "DE");
    assert_int_equal(e->quantization, MSG_QUANTIZATION_FP8);
    assert_int_equal(e->context_length, 900);
    assert_int_equal(e->max_completion_tokens, 100);
    assert_int_equal(e->max_prompt_tokens, 800);
    assert_int_equal(e->input_modalities, 1u << MSG_MODALITY_FILE);
    assert_int_equal(e->output_modalities, 1u << MSG_MODALITY_TEXT | 1u << MSG_MODALITY_AUDIO);
    assert_true(e->parameters ==
                (UINT64_C(1) << MSG_PARAMETER_TOOLS | UINT64_C(1) << MSG_PARAMETER_TOP_P));
    assert_true(e->price[MSG_PRICE_PROMPT] == 100000000);
    assert_true(e->price[MSG_PRICE_COMPLETION] == INT64_C(3000000000));
    for (int i = MSG_PRICE_REQUEST; i <= MSG_PRICE_AUDIO_OUTPUT; i++)
        assert_true(e->price[i] == INT64_C(1000000000000000) * (i - 1));
    assert_true(e->price[MSG_PRICE_CACHE_READ] == INT64_C(6000000000));
    assert_true(e->price[MSG_PRICE_CACHE_WRITE] == INT64_C(7000000000));
    assert_true(e->price[MSG_PRICE_REASONING] == INT64_C(8000000000));
    assert_true(e->price[MSG_PRICE_WEB_SEARCH] == INT64_C(9000000000000000));
    assert_int_equal(e->n_overrides, 2);
    assert_int_equal(e->overrides[0].min_prompt_tokens, 5);
    assert_true(e->overrides[0].price[MSG_PRICE_REQUEST] == 2 * INT64_C(1000000000000000));
    assert_true(e->overrides[0].price[MSG_PRICE_PROMPT] == -1);
    assert_int_equal(e->overrides[1].from, 22 * 60);
    assert_int_equal(e->overrides[1].until, 6 * 60 + 30);
    assert_int_equal(e->overrides[1].days, 1u << MSG_DAY_SUNDAY);
    assert_true(e->overrides[1].price[MSG_PRICE_PROMPT] == 50000000);
    assert_int_equal(s->endpoints[0].n_overrides, 0);
    assert_int_equal(e->claim[MSG_CLAIM_ZDR].value, MSG_TRI_NO);
    expect_claim(&e->claim[MSG_CLAIM_EU_RESIDENT], MSG_TRI_YES, "r", "a", 20454, 0);
    assert_int_equal(s->endpoints[2].model, 1);
    assert_int_equal(s->endpoints[2].provider, 1);
    assert_true(s->endpoints[2].price[MSG_PRICE_PROMPT] == 0);
    assert_int_equal(s->endpoints[2].input_modalities,
                     1u << MSG_MODALITY_TEXT | 1u << MSG_MODALITY_IMAGE);

    assert_int_equal(s->n_policies, 2);
    assert_text(s->policies[0].name, "p1");
    assert_text(s->policies[0].rules, "{\"max_price\": {\"prompt\": 0.10}}");
    assert_text(s->policies[1].rules, "{\"zdr\": true}");
    assert_int_equal(s->n_tenants, 3);
    assert_text(s->tenants[0].name, "alpha");

    assert_int_equal(s->n_keys, 2);
    assert_text(s->keys[0].name, "k1");
    assert_text(s->tenants[s->keys[0].tenant].name, "default");
    assert_int_equal(s->keys[0].policy, MSG_NONE);
    assert_int_equal(s->keys[0].expires_at, 0);
    assert_false(s->keys[0].disabled);
    assert_text(s->keys[1].label, "sk-012...def");
    assert_text(s->tenants[s->keys[1].tenant].name, "team");
    assert_text(s->policies[s->keys[1].policy].name, "p2");
    assert_int_equal(s->keys[1].expires_at, 100);
    assert_true(s->keys[1].disabled);
    sb_apikey_hash(sb_keyring_hash_key(fx.keyring), SB_SLICE_LIT("sk-0123456789abcdef"), hash);
    assert_memory_equal(s->keys[1].hash, hash, sizeof(hash));

    assert_int_equal(s->n_credentials, 4);
    assert_int_equal(s->credentials[0].sequence, 1);
    assert_text(s->tenants[s->credentials[0].tenant].name, "team");
    assert_true(s->credentials[0].spill);
    assert_int_equal(s->credentials[1].sequence, 2);
    assert_false(s->credentials[1].spill);
    assert_int_equal(s->credentials[2].tenant, MSG_NONE); /* the house comes last */
    assert_int_equal(s->credentials[3].provider, 1);
}

/* Attesters and days that the document does not give are the revision's. */
static void forget_default(struct msg_claim *stored, const struct msg_claim *written)
{
    if (written->attested_by.n == 0)
        stored->attested_by = SB_SLICE_NONE;
    if (written->attested_on == 0)
        stored->attested_on = 0;
}

/* Makes stored what a document can know. */
static void forget_the_store(struct msg_snapshot *stored, const struct msg_snapshot *written)
{
    assert_int_equal(stored->n_models, written->n_models);
    assert_int_equal(stored->n_endpoints, written->n_endpoints);
    assert_int_equal(stored->n_policies, written->n_policies);
    stored->version = written->version;
    stored->created_at = 0;
    memset(stored->sticky_key, 0, sizeof(stored->sticky_key));
    memset(stored->user_key, 0, sizeof(stored->user_key));
    stored->n_keys = stored->n_credentials = 0;
    stored->tenants = written->tenants;
    stored->n_tenants = written->n_tenants;
    for (size_t i = 0; i < stored->n_providers; i++) /* whose credentials it leaves aside */
        stored->providers[i].wants_key = false;
    for (size_t i = 0; i < stored->n_models; i++)
        forget_default(&stored->models[i].distillable, &written->models[i].distillable);
    for (size_t i = 0; i < stored->n_endpoints; i++) {
        stored->endpoints[i].id = written->endpoints[i].id;
        for (int claim = 0; claim < MSG_ENDPOINT_CLAIMS; claim++)
            forget_default(&stored->endpoints[i].claim[claim], &written->endpoints[i].claim[claim]);
    }
    for (size_t i = 0; i < stored->n_policies; i++) { /* the database writes its own blanks */
        stored->policies[i].id = written->policies[i].id;
        stored->policies[i].rules = written->policies[i].rules;
    }
}

static void a_document_by_itself_says_the_same(void **state)
{
    struct msg_snapshot *stored = NULL, *written = NULL;
    struct cp_problems problems;
    struct cp_catalog *catalog = NULL;
    struct sb_buf a, b;
    struct sb_errmsg err;

    (void)state;
    fixture_apply(catalogue);
    assert_int_equal(cp_compile_read(cp_store_db(fx.store), fx.arena, &stored, &err), SB_OK);
    cp_problems_init(&problems, fx.arena);
    assert_int_equal(
        cp_catalog_read(sb_slice_of(catalogue), CP_DOC_AUTO, fx.arena, &problems, &catalog), SB_OK);
    assert_int_equal(cp_records_make(catalog, fx.arena, &problems, &written), SB_OK);
    assert_text(written->policies[0].rules, "{\"max_price\":{\"prompt\":0.10}}");
    assert_text(written->policies[1].rules, "{\"zdr\":true}");
    forget_the_store(stored, written);
    sb_buf_init(&a, 1 << 20);
    sb_buf_init(&b, 1 << 20);
    assert_int_equal(msg_snapshot_encode(stored, &a, &err), SB_OK);
    assert_int_equal(msg_snapshot_encode(written, &b, &err), SB_OK);
    assert_true(sb_slice_eq(sb_buf_slice(&a), sb_buf_slice(&b)));
    sb_buf_release(&a);
    sb_buf_release(&b);
}

static void an_empty_database_compiles_to_an_empty_snapshot(void **state)
{
    SB_CLEANUP(cp_compiled_release) struct cp_compiled compiled;
    const struct msg_snapshot *s;

    (void)state;
    compile_with(0, &compiled);
    s = decode(&compiled);
    assert_int_equal(s->version.revision, 0);
    assert_true(s->version.epoch > 0);
    assert_int_equal(s->n_endpoints, 0);
    assert_int_equal(s->n_tenants, 1);
}

static void the_leader_stores_the_bytes_and_everybody_gets_the_same(void **state)
{
    SB_CLEANUP(cp_compiled_release) struct cp_compiled one;
    SB_CLEANUP(cp_compiled_release) struct cp_compiled two;
    struct cp_db *owner = fixture_connect(NULL);

    (void)state;
    fixture_apply(catalogue);
    compile_with(0, &one); /* not stored: nobody leads */
    assert_int_equal(fixture_number("SELECT count(*) FROM compiled_snapshots"), 0);
    assert_int_equal(cp_db_script(owner, "UPDATE leadership SET term = 5"), SB_OK);
    compile_with(5, &two);
    assert_memory_equal(one.hash, two.hash, MSG_HASH_BYTES);
    assert_int_equal(fixture_number("SELECT count(*) FROM compiled_snapshots"), 1);
    cp_compiled_release(&two);
    /* What is stored is what is served, whatever the tables say meanwhile. */
    assert_int_equal(cp_db_script(owner, "UPDATE providers SET name = 'changed behind our back'"),
                     SB_OK);
    compile_with(0, &two);
    assert_memory_equal(one.hash, two.hash, MSG_HASH_BYTES);
    assert_true(sb_slice_eq(sb_buf_slice(&one.bytes), sb_buf_slice(&two.bytes)));
    cp_db_destroy(&owner);
}

static void who_leads_no_more_stores_nothing(void **state)
{
    struct cp_compiled compiled = {.format = 77};
    struct cp_db *owner = fixture_connect(NULL);
    struct sb_errmsg err;

    (void)state;
    fixture_apply(catalogue);
    assert_int_equal(cp_db_script(owner, "UPDATE leadership SET term = 6"), SB_OK);
    cp_db_destroy(&owner);
    assert_int_equal(cp_compile(cp_store_db(fx.store), MSG_SNAPSHOT_FORMAT, 5, &compiled, &err),
                     SB_ENOTLEADER);
    assert_int_equal(compiled.format, 77);
    assert_int_equal(fixture_number("SELECT count(*) FROM compiled_snapshots"), 0);
    assert_int_equal(cp_compile(cp_store_db(fx.store), 99, 6, &compiled, &err), SB_EVERSION);
}

static void old_versions_are_dropped(void **state)
{
    struct cp_db *owner = fixture_connect(NULL);

    (void)state;
    assert_int_equal(cp_db_script(owner, "UPDATE leadership SET term = 1"), SB_OK);
    cp_db_destroy(&owner);
    for (int i = 0; i < CP_COMPILED_KEPT + 3; i++) {
        SB_CLEANUP(cp_compiled_release) struct cp_compiled compiled;
        char text[64];

        (void)snprintf(text, sizeof(text), "{version: 1, tenants: [{name: t%d}]}", i);
        fixture_apply(text);
        compile_with(1, &compiled);
    }
    assert_int_equal(fixture_number("SELECT count(*) FROM compiled_snapshots"), CP_COMPILED_KEPT);
    assert_int_equal(fixture_number("SELECT min(revision) FROM compiled_snapshots"), 4);
}

static void a_suspended_credential_is_not_published(void **state)
{
    SB_CLEANUP(cp_compiled_release) struct cp_compiled compiled;
    const struct msg_snapshot *s;

    (void)state;
    fixture_apply(catalogue);
    fixture_apply(
        "{version: 1, providers: [{slug: zeta, dialect: openai, base_url: \"http://y\"}]}");
    compile_with(0, &compiled);
    s = decode(&compiled);
    assert_int_equal(s->n_credentials, 3);
    assert_text(s->providers[1].slug, "zeta");
    assert_true(s->providers[1].wants_key); /* so that nobody goes there without one */
    fixture_apply(
        "{version: 1, providers: [{slug: zulu, dialect: openai, base_url: \"http://y\"}]}");
    cp_compiled_release(&compiled);
    compile_with(0, &compiled);
    s = decode(&compiled);
    assert_text(s->providers[2].slug, "zulu");
    assert_false(s->providers[2].wants_key);
}

static void keys_of_the_cluster_are_the_same_in_every_snapshot(void **state)
{
    struct msg_snapshot *one = NULL, *two = NULL;
    const uint8_t zero[32] = {0};
    struct sb_errmsg err;

    (void)state;
    assert_int_equal(cp_compile_read(cp_store_db(fx.store), fx.arena, &one, &err), SB_OK);
    fixture_apply(catalogue);
    assert_int_equal(cp_compile_read(cp_store_db(fx.store), fx.arena, &two, &err), SB_OK);
    assert_memory_equal(one->sticky_key, two->sticky_key, sizeof(one->sticky_key));
    assert_memory_equal(one->user_key, two->user_key, sizeof(one->user_key));
    assert_memory_not_equal(one->user_key, zero, sizeof(zero));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(every_member_arrives_in_the_snapshot),
        T(a_document_by_itself_says_the_same),
        T(an_empty_database_compiles_to_an_empty_snapshot),
        T(the_leader_stores_the_bytes_and_everybody_gets_the_same),
        T(who_leads_no_more_stores_nothing),
        T(old_versions_are_dropped),
        T(a_suspended_credential_is_not_published),
        T(keys_of_the_cluster_are_the_same_in_every_snapshot),
    };

    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
