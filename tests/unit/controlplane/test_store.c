/* tests/unit/controlplane/test_store.c - changes and history, over a real PostgreSQL. */
#include "controlplane/config/store.h"

#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "common/secret.h"
#include "proto/snapshot.h"
#include "tests/lib/store_fixture.h"

#define PROVIDER                                                                                   \
    "{slug: acme, dialect: openai, base_url: \"https://acme.example/v1\","                         \
    " credential: {value: sk-upstream}}"
#define MODEL    "{id: a/b, context_length: 1000, aliases: [bee]}"
#define ENDPOINT "{model: a/b, provider: acme, pricing: {prompt: \"0.10\", completion: 2}}"
#define KEY      "{name: app, secret: {value: sk-0123456789abcdef}}"
#define BASE                                                                                       \
    "{version: 1, providers: [" PROVIDER "], models: [" MODEL "], endpoints: [" ENDPOINT           \
    "], keys: [" KEY "]}"

static int put(enum cp_kind kind, const char *name, const char *body)
{
    cp_answer_init(&fx.answer, fx.arena);
    return cp_store_put(fx.store, kind, sb_slice_of(name), sb_slice_of(body), &plain_change,
                        &fx.answer);
}

static int patch(enum cp_kind kind, const char *name, const char *body)
{
    cp_answer_init(&fx.answer, fx.arena);
    return cp_store_patch(fx.store, kind, sb_slice_of(name), sb_slice_of(body), &plain_change,
                          &fx.answer);
}

static int delete_with(enum cp_kind kind, const char *name, const struct cp_change *change)
{
    cp_answer_init(&fx.answer, fx.arena);
    return cp_store_delete(fx.store, kind, sb_slice_of(name), change, &fx.answer);
}

static int rollback(uint64_t revision)
{
    struct cp_change change = plain_change;

    change.force = true;
    cp_answer_init(&fx.answer, fx.arena);
    return cp_store_rollback(fx.store, revision, &change, &fx.answer);
}

static bool has_note(const char *text)
{
    for (const struct cp_note *note = fx.answer.result.notes; note != NULL; note = note->next)
        if (strstr(note->text.p, text) != NULL)
            return true;
    return false;
}

static void an_applied_catalogue_reads_back_as_it_is(void **state)
{
    const char *catalogue;

    (void)state;
    fixture_apply(BASE);
    assert_true(fx.answer.result.changed);
    assert_int_equal(fx.answer.result.version.revision, 1);
    assert_int_equal(fx.answer.result.added, 5); /* the credential, too */
    catalogue = fixture_catalog();
    assert_string_equal(
        catalogue,
        "{\"version\":1,"
        "\"providers\":[{\"slug\":\"acme\",\"name\":\"acme\",\"dialect\":\"openai\","
        "\"base_url\":\"https://acme.example/v1\"}],"
        "\"models\":[{\"id\":\"a/b\",\"name\":\"a/b\",\"context_length\":1000,"
        "\"input_modalities\":[\"text\"],\"output_modalities\":[\"text\"],\"aliases\":[\"bee\"]}],"
        "\"tenants\":[{\"name\":\"default\"}],\"policies\":[],"
        "\"endpoints\":[{\"model\":\"a/b\",\"provider\":\"acme\",\"tag\":\"acme\","
        "\"upstream_model\":\"a/b\",\"pricing\":{\"prompt\":\"0.1\",\"completion\":\"2\"}}],"
        "\"keys\":[{\"name\":\"app\",\"tenant\":\"default\"}],"
        "\"credentials\":[{\"name\":\"acme\",\"provider\":\"acme\"}]}");
}

/* Everything that an object can say, so that what C writes and what SQL shows are
 * compared member by member. */
static const char everything[] =
    "version: 1\n"
    "providers:\n"
    "  - {slug: acme, name: Acme \xc3\xa4 \"x\", dialect: openai, base_url: "
    "\"https://x:8443/v1\",\n"
    "     credential: {value: sk-upstream}, headquarters: US, auth: {header: api-key},\n"
    "     headers: {x-title: app, X-Long-Name: b}, query: {api-version: 2026-01-01},\n"
    "     proxy: \"http://p:1\", ca_file: /ca.pem, max_connections: 5, max_in_flight: 6,\n"
    "     price_updates: report, privacy_policy_url: \"https://x/p\",\n"
    "     terms_of_service_url: \"https://x/t\", status_page_url: \"https://x/s\",\n"
    "     data_policy: {no_training: {value: yes, evidence: dpa, attested_by: me,\n"
    "       attested_on: 2026-01-01, expires_on: 2027-01-01}, zdr: unknown}}\n"
    "  - {slug: half, dialect: openai, base_url: \"http://h\","
    " data_policy: {zdr: {value: yes, evidence: dpa}}}\n"
    "models:\n"
    "  - {id: a/b, name: B, description: \"two\\nlines\", created: 2025-01-31, context_length: "
    "1000,\n"
    "     input_modalities: [image, text], output_modalities: [text], image_tokens: 85,\n"
    "     aliases: [z, y, x], distillable: {value: yes, evidence: MIT}}\n"
    "policies:\n"
    "  - {name: strict, residency: [DE, NO], max_price: {prompt: 0.10, request: \"0.5\"}, zdr: "
    "yes,\n"
    "     allowed_models: [\"a/*\"], order: [acme], sort: {by: price, partition: none}}\n"
    "tenants: [{name: team}]\n"
    "endpoints:\n"
    "  - {model: a/b, provider: acme, tag: acme/turbo, upstream_model: \"B v2\", region: DE,\n"
    "     quantization: fp8, context_length: 900, max_completion_tokens: 100,\n"
    "     max_prompt_tokens: 800, input_modalities: [text], output_modalities: [text],\n"
    "     supported_parameters: [tools, seed, top_p],\n"
    "     pricing: {prompt: 0.10, completion: 9223372036, request: 0.000000000000001, image: 1,\n"
    "       image_output: 2, audio: 3, audio_output: 4, cache_read: 0.000000001, cache_write: 5,\n"
    "       reasoning: 6, web_search: 9223, overrides: [{min_prompt_tokens: 128000, prompt: 0.2,\n"
    "         completion: 9223372036}, {hours: \"22:00-24:00\", days: [sunday, friday],\n"
    "         cache_read: 0.000000001, web_search: 0.000000000000001}]},\n"
    "     eu_resident: {value: yes, evidence: \"https://x/r\"}, zdr: no,\n"
    "     no_training: {value: unknown}}\n"
    "keys:\n"
    "  - {name: app, tenant: team, policy: strict, expires_at: \"2027-12-31T12:34:56+02:00\",\n"
    "     disabled: yes, secret: {value: sk-0123456789abcdef}}\n"
    "credentials:\n"
    "  - {name: own, provider: acme, tenant: team, sequence: 3, spill: no,\n"
    "     secret: {value: sk-own}}\n";

static void applying_the_same_again_makes_no_revision(void **state)
{
    (void)state;
    fixture_apply(everything);
    assert_int_equal(fx.answer.result.added, 9);
    fixture_apply(everything);
    if (fx.answer.result.changed)
        fail_msg("%.*s", SB_SLICE_ARGS(fx.answer.result.difference));
    assert_int_equal(fx.answer.result.version.revision, 1);
    assert_int_equal(fixture_revision(), 1);
    assert_int_equal(fixture_number("SELECT count(*) FROM revisions"), 1);
}

static void what_the_store_shows_can_be_applied_as_it_is(void **state)
{
    char *shown;

    (void)state;
    fixture_apply(everything);
    shown = sb_mem_strdup(fixture_catalog());
    assert_null(strstr(shown, "sk-"));
    fixture_apply(shown);
    if (fx.answer.result.changed)
        fail_msg("%.*s", SB_SLICE_ARGS(fx.answer.result.difference));
    sb_mem_free(shown);
    /* A single object with what the store adds to it as well. */
    shown = sb_mem_strdup(fixture_get(CP_ENDPOINTS, "a/b@acme/turbo"));
    assert_non_null(strstr(shown, "\"managed_by\":\"file\""));
    assert_int_equal(put(CP_ENDPOINTS, "a/b@acme/turbo", shown), SB_OK);
    assert_false(fx.answer.result.changed);
    sb_mem_free(shown);
}

static void a_wrong_catalogue_changes_nothing_and_names_all_problems(void **state)
{
    (void)state;
    fixture_apply(BASE);
    assert_int_equal(
        fixture_apply_with(
            "{version: 1, providers: [{slug: bad, dialect: openai, base_url: nope}],"
            " endpoints: [{model: a/b, provider: bad, pricing: {prompt: 1, completion: 1}},"
            " {model: x/y, provider: zzz, pricing: {prompt: 1, completion: 1}}],"
            " keys: [{name: k, tenant: nobody, policy: nothing}],"
            " credentials: [{name: c, provider: acme}]}",
            &plain_change),
        SB_EINVAL);
    assert_true(fixture_has_problem("providers[0].base_url", "http://"));
    assert_true(fixture_has_problem("endpoints[1].model", "there is no model 'x/y'"));
    assert_true(fixture_has_problem("endpoints[1].provider", "there is no provider 'zzz'"));
    assert_true(fixture_has_problem("keys[0].tenant", "there is no tenant 'nobody'"));
    assert_true(fixture_has_problem("keys[0].policy", "there is no policy 'nothing'"));
    assert_true(fixture_has_problem("credentials[0]", "a new credential needs a secret"));
    /* endpoints[0] refers to a provider that is in the file: its problem is the provider's */
    if (fx.answer.problems.n != 6)
        fixture_show(SB_EINVAL);
    assert_int_equal(fx.answer.problems.n, 6);
    assert_string_equal(fx.answer.err.text, "there are 6 problems");
    assert_int_equal(fixture_revision(), 1);
    assert_int_equal(fixture_apply_with("{", &plain_change), SB_EINVAL);
    assert_string_equal(fx.answer.err.text, "there is 1 problem");
}

static void objects_refer_to_what_is_stored_already(void **state)
{
    (void)state;
    fixture_apply(BASE);
    fixture_apply("{version: 1, endpoints: [{model: a/b, provider: acme, tag: acme/two,"
                  " pricing: {prompt: 1, completion: 1}}]}");
    assert_int_equal(fx.answer.result.added, 1);
    assert_int_equal(fx.answer.result.version.revision, 2);
}

static void chat_endpoints_need_prices_also_when_the_model_is_stored(void **state)
{
    (void)state;
    fixture_apply(BASE);
    assert_int_equal(fixture_apply_with("{version: 1, endpoints: [{model: a/b, provider: acme,"
                                        " tag: acme/two, pricing: {prompt: 1}}]}",
                                        &plain_change),
                     SB_EINVAL);
    assert_true(fixture_has_problem("endpoints[0].pricing.completion", "write \"0\""));
    /* or when the model becomes one that chats */
    fixture_apply("{version: 1, models: [{id: e/f, context_length: 1,"
                  " output_modalities: [embeddings]}], endpoints: [{model: e/f, provider: acme,"
                  " pricing: {prompt: 1}}]}");
    assert_int_equal(put(CP_MODELS, "e/f", "{\"context_length\": 1}"), SB_EINVAL);
    assert_true(fixture_has_problem("endpoints[e/f@acme].pricing.completion", "is missing"));
}

static void an_alias_belongs_to_one_model(void **state)
{
    (void)state;
    fixture_apply(BASE);
    assert_int_equal(fixture_apply_with("{version: 1, models: [{id: c/d, context_length: 1,"
                                        " aliases: [bee, a/b]}]}",
                                        &plain_change),
                     SB_EINVAL);
    assert_true(fixture_has_problem("models[0].aliases", "'bee' belongs to the model 'a/b'"));
    assert_true(fixture_has_problem("models[0].aliases", "'a/b' belongs to the model 'a/b'"));
    /* it can move in one change */
    fixture_apply("{version: 1, models: [{id: a/b, context_length: 1000}, {id: c/d,"
                  " context_length: 1, aliases: [bee]}]}");
    assert_non_null(strstr(fixture_get(CP_MODELS, "c/d"), "\"aliases\":[\"bee\"]"));
    assert_null(strstr(fixture_get(CP_MODELS, "a/b"), "aliases"));
}

static void a_dry_run_tells_and_changes_nothing(void **state)
{
    struct cp_change dry = plain_change;

    (void)state;
    dry.dry_run = true;
    assert_int_equal(fixture_apply_with(BASE, &dry), SB_OK);
    assert_true(fx.answer.result.changed);
    assert_int_equal(fx.answer.result.added, 5);
    assert_int_equal(fx.answer.result.version.revision, 1);
    assert_non_null(strstr(fx.answer.result.difference.p, "\"action\":\"added\""));
    assert_int_equal(fixture_revision(), 0);
    assert_int_equal(fixture_number("SELECT count(*) FROM audit_changes"), 0);
    assert_int_equal(fixture_apply_with("{version: 1, keys: [{name: new}]}", &dry), SB_OK);
    assert_null(fx.answer.result.made); /* it does not exist: nobody may try it */
}

static void a_stale_change_is_a_conflict(void **state)
{
    struct cp_change change = plain_change;

    (void)state;
    change.if_match = 0;
    assert_int_equal(fixture_apply_with(BASE, &change), SB_OK);
    assert_int_equal(fixture_apply_with("{version: 1, tenants: [{name: t}]}", &change),
                     SB_ECONFLICT);
    assert_non_null(strstr(fx.answer.err.text, "the newest revision is 1, not 0"));
    change.if_match = 1;
    assert_int_equal(fixture_apply_with("{version: 1, tenants: [{name: t}]}", &change), SB_OK);
    assert_int_equal(fixture_revision(), 2);
}

static void pruning_removes_what_a_file_made_and_nothing_else(void **state)
{
    struct cp_change prune = plain_change;

    (void)state;
    prune.prune = true;
    fixture_apply(BASE);
    assert_int_equal(put(CP_TENANTS, "by-hand", "{}"), SB_OK);
    assert_int_equal(put(CP_CREDENTIALS, "own",
                         "{\"provider\": \"acme\", \"tenant\": \"by-hand\","
                         "\"secret\": {\"value\": \"x\"}}"),
                     SB_OK);
    fixture_apply("{version: 1, policies: [{name: p, zdr: true}], tenants: [{name: by-file}]}");
    assert_int_equal(fixture_apply_with("{version: 1, providers: [{slug: acme, dialect: openai,"
                                        " base_url: \"https://acme.example/v1\"}], models: [" MODEL
                                        "], endpoints: [" ENDPOINT "]}",
                                        &prune),
                     SB_OK);
    assert_int_equal(fx.answer.result.removed, 3); /* policy, tenant, key */
    assert_int_equal(fixture_number("SELECT count(*) FROM tenants WHERE name = 'by-hand'"), 1);
    /* A provider that is named without its credential keeps it; what came by hand stays. */
    assert_int_equal(fixture_number("SELECT count(*) FROM credentials"), 2);
    assert_int_equal(fixture_number("SELECT count(*) FROM keys"), 0);
}

static void removing_too_much_needs_force(void **state)
{
    struct cp_change change = plain_change;
    char text[4096] = "{version: 1, providers: [" PROVIDER "], models: [" MODEL "], endpoints: [";
    char few[1024] = "{version: 1, providers: [" PROVIDER "], models: [" MODEL "], endpoints: [";

    (void)state;
    for (int i = 0; i < 10; i++) {
        char one[256];

        (void)snprintf(one, sizeof(one),
                       "%s{model: a/b, provider: acme, tag: acme/n%d, pricing: {prompt: 1,"
                       " completion: 1}}",
                       i > 0 ? ", " : "", i);
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s", one);
        if (i < 4)
            (void)snprintf(few + strlen(few), sizeof(few) - strlen(few), "%s", one);
    }
    (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "]}");
    (void)snprintf(few + strlen(few), sizeof(few) - strlen(few), "]}");
    fixture_apply(text);
    change.prune = true;
    assert_int_equal(fixture_apply_with(few, &change), SB_EACCES);
    assert_non_null(strstr(fx.answer.err.text, "removes 6 of 10 endpoints"));
    assert_int_equal(fixture_revision(), 1);
    change.force = true;
    assert_int_equal(fixture_apply_with(few, &change), SB_OK);
    assert_int_equal(fx.answer.result.removed, 6);
    /* Under ten any may go, but not the last one. */
    change.force = false;
    for (int i = 0; i < 4; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "a/b@acme/n%d", i);
        assert_int_equal(delete_with(CP_ENDPOINTS, name, &plain_change), i < 3 ? SB_OK : SB_EACCES);
    }
    change.force = true;
    assert_int_equal(delete_with(CP_ENDPOINTS, "a/b@acme/n3", &change), SB_OK);
    assert_int_equal(fixture_number("SELECT count(*) FROM revisions WHERE forced"), 2);
}

static void what_is_in_use_cannot_be_removed(void **state)
{
    (void)state;
    fixture_apply("{version: 1, providers: [" PROVIDER "], models: [" MODEL
                  "], endpoints: [" ENDPOINT
                  "], policies: [{name: p, zdr: true}], tenants: [{name: t}],"
                  " keys: [{name: app, tenant: t, policy: p}]}");
    assert_int_equal(delete_with(CP_PROVIDERS, "acme", &plain_change), SB_EINVAL);
    assert_true(
        fixture_has_problem("providers[acme]", "is used by 1 endpoint, such as 'a/b@acme'"));
    assert_int_equal(delete_with(CP_MODELS, "a/b", &plain_change), SB_EINVAL);
    assert_int_equal(delete_with(CP_POLICIES, "p", &plain_change), SB_EINVAL);
    assert_true(fixture_has_problem("policies[p]", "is used by 1 key, such as 'app'"));
    assert_int_equal(delete_with(CP_TENANTS, "t", &plain_change), SB_EINVAL);
    assert_int_equal(delete_with(CP_TENANTS, "default", &plain_change), SB_EINVAL);
    assert_true(fixture_has_problem("tenants[default]", "cannot be removed"));
    assert_int_equal(delete_with(CP_TENANTS, "nobody", &plain_change), SB_ENOENT);
    assert_int_equal(fixture_revision(), 1);
}

static void a_provider_takes_its_credentials_along(void **state)
{
    struct cp_change force = plain_change;

    (void)state;
    force.force = true;
    fixture_apply(BASE);
    assert_int_equal(delete_with(CP_ENDPOINTS, "a/b@acme", &force), SB_OK);
    assert_int_equal(delete_with(CP_PROVIDERS, "acme", &plain_change), SB_OK);
    assert_int_equal(fx.answer.result.removed, 2);
    assert_int_equal(fixture_number("SELECT count(*) FROM credentials"), 0);
}

static void put_replaces_and_patch_changes(void **state)
{
    (void)state;
    fixture_apply(BASE);
    assert_int_equal(patch(CP_ENDPOINTS, "a/b@acme",
                           "{\"region\": \"DE\", \"pricing\": {\"completion\": \"3.50\"}}"),
                     SB_OK);
    assert_int_equal(fx.answer.result.changed_objects, 1);
    assert_non_null(
        strstr(fixture_get(CP_ENDPOINTS, "a/b@acme"),
               "\"region\":\"DE\",\"pricing\":{\"prompt\":\"0.1\",\"completion\":\"3.5\"}"));
    assert_int_equal(patch(CP_ENDPOINTS, "a/b@acme", "{\"region\": null}"), SB_OK);
    assert_null(strstr(fixture_get(CP_ENDPOINTS, "a/b@acme"), "region"));
    assert_int_equal(patch(CP_ENDPOINTS, "a/b@acme", "{\"region\": \"XX\", \"x\": 1}"), SB_EINVAL);
    assert_int_equal(fx.answer.problems.n, 2);
    assert_true(fixture_has_problem("region", "ISO 3166"));
    assert_int_equal(patch(CP_ENDPOINTS, "a/b@acme", "[1]"), SB_EINVAL);
    assert_int_equal(patch(CP_ENDPOINTS, "a/b@acme", "{"), SB_EINVAL);
    assert_int_equal(patch(CP_ENDPOINTS, "a/b@nobody", "{}"), SB_ENOENT);
    assert_int_equal(put(CP_MODELS, "a/b", "{\"context_length\": 7}"), SB_OK);
    assert_string_equal(fixture_get(CP_MODELS, "a/b"),
                        "{\"id\":\"a/b\",\"name\":\"a/b\",\"context_length\":7,"
                        "\"input_modalities\":[\"text\"],\"output_modalities\":[\"text\"],"
                        "\"revision\":4,\"managed_by\":\"file\"}");
}

static void endpoint_ids_stay_and_are_never_reused(void **state)
{
    struct cp_change force = plain_change;
    int64_t id;

    (void)state;
    force.force = true;
    fixture_apply(BASE);
    id = fixture_number("SELECT id FROM endpoints");
    assert_int_equal(patch(CP_ENDPOINTS, "a/b@acme", "{\"region\": \"DE\"}"), SB_OK);
    assert_int_equal(fixture_number("SELECT id FROM endpoints"), id);
    assert_int_equal(delete_with(CP_ENDPOINTS, "a/b@acme", &force), SB_OK);
    fixture_apply(BASE);
    assert_true(fixture_number("SELECT id FROM endpoints") > id);
}

/* --- keys ------------------------------------------------------------------------- */

static void a_key_without_a_secret_gets_one_that_is_shown_once(void **state)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    uint8_t hash[SB_HASH_BYTES];
    struct sb_slice secret;

    (void)state;
    fixture_apply("{version: 1, keys: [{name: app}, {name: web}]}");
    assert_non_null(fx.answer.result.made);
    assert_non_null(fx.answer.result.made->next);
    assert_null(fx.answer.result.made->next->next);
    secret = sb_secret_expose(fx.answer.result.made->secret);
    assert_int_equal(secret.n, SB_APIKEY_TEXT);
    sb_apikey_hash(sb_keyring_hash_key(fx.keyring), secret, hash);
    assert_int_equal(cp_db_query(cp_store_db(fx.store),
                                 "SELECT name, label FROM keys WHERE hash = $1",
                                 CP_PARAMS(CP_P_BYTES(sb_slice_make(hash, sizeof(hash)))), &rows),
                     SB_OK);
    assert_int_equal(cp_rows_count(rows), 1);
    assert_true(sb_slice_eq(cp_rows_bytes(rows, 0, 0), fx.answer.result.made->name));
    assert_int_equal(cp_rows_bytes(rows, 0, 1).n, 12); /* "sb-abc...xyz" */
    assert_memory_equal(cp_rows_bytes(rows, 0, 1).p, secret.p, 6);

    fixture_apply("{version: 1, keys: [{name: app}, {name: web}]}");
    assert_false(fx.answer.result.changed);
    assert_null(fx.answer.result.made);
}

static void a_given_secret_is_hashed_and_may_be_changed(void **state)
{
    (void)state;
    fixture_apply("{version: 1, keys: [" KEY "]}");
    assert_null(fx.answer.result.made);
    fixture_apply("{version: 1, keys: [" KEY "]}");
    assert_false(fx.answer.result.changed);
    fixture_apply("{version: 1, keys: [{name: app, secret: {value: sk-another-secret}}]}");
    assert_true(fx.answer.result.changed);
    assert_non_null(strstr(fx.answer.result.difference.p, "\"secret_changed\":true"));
    assert_int_equal(fixture_number("SELECT count(*) FROM keys"), 1);
    assert_int_equal(fixture_number("SELECT count(*) FROM keys WHERE position('another' IN"
                                    " encode(hash, 'escape')) > 0"),
                     0);
}

static void wrong_secrets_are_problems(void **state)
{
    (void)state;
    assert_int_equal(unsetenv("SWITCHBOARD_TEST_NO_SUCH"), 0);
    fixture_apply("{version: 1, keys: [" KEY "]}");
    assert_int_equal(fixture_apply_with("{version: 1, keys: [{name: a, secret: {value: short}},"
                                        " {name: b, secret: {env: SWITCHBOARD_TEST_NO_SUCH}},"
                                        " {name: c, secret: {file: /nonexistent}},"
                                        " {name: d, secret: {value: \"with spaces in it, long\"}},"
                                        " {name: e, secret: {value: sk-0123456789abcdef}}]}",
                                        &plain_change),
                     SB_EINVAL);
    assert_true(fixture_has_problem("keys[0].secret", "at least 16 characters"));
    assert_true(fixture_has_problem("keys[1].secret", "environment has no 'SWITCHBOARD_TEST_NO"));
    assert_true(fixture_has_problem("keys[2].secret", "cannot read the file '/nonexistent'"));
    assert_true(fixture_has_problem("keys[3].secret", "spaces"));
    assert_true(fixture_has_problem("keys[4].secret", "is that of the key 'app'"));
    assert_int_equal(fx.answer.problems.n, 5);
    assert_int_equal(
        fixture_apply_with("{version: 1, keys: [{name: x, secret: {value: sk-0123456789abcdeX}},"
                           " {name: y, secret: {value: sk-0123456789abcdeX}}]}",
                           &plain_change),
        SB_EINVAL);
    assert_true(fixture_has_problem("", "two keys have the same secret"));
}

static void secrets_are_read_from_environment_and_files(void **state)
{
    char path[] = "/tmp/sb-secret-XXXXXX";
    int fd = mkstemp(path);
    char text[256];

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "sk-from-the-file\n", 17), 17);
    assert_int_equal(close(fd), 0);
    assert_int_equal(setenv("SWITCHBOARD_TEST_KEY", "sk-from-the-environment", 1), 0);
    (void)snprintf(text, sizeof(text),
                   "{version: 1, keys: [{name: e, secret: {env: SWITCHBOARD_TEST_KEY}},"
                   " {name: f, secret: {file: %s}}]}",
                   path);
    fixture_apply(text);
    assert_int_equal(fixture_number("SELECT count(*) FROM keys WHERE label = 'sk-fro...ent'"), 1);
    assert_int_equal(fixture_number("SELECT count(*) FROM keys WHERE label = 'sk-fro...ile'"), 1);
    assert_int_equal(unlink(path), 0);
}

static void a_revoked_key_stays_revoked(void **state)
{
    (void)state;
    fixture_apply("{version: 1, keys: [" KEY ", {name: other}]}");
    assert_int_equal(delete_with(CP_KEYS, "app", &plain_change), SB_OK);
    assert_int_equal(fixture_number("SELECT count(*) FROM revoked_keys WHERE name = 'app'"), 1);
    assert_int_equal(rollback(1), SB_OK);
    assert_false(fx.answer.result.changed);
    assert_true(has_note("key 'app' stays revoked"));
    assert_int_equal(fixture_number("SELECT count(*) FROM keys"), 1);
    /* nor does its secret ever open again */
    assert_int_equal(fixture_apply_with("{version: 1, keys: [" KEY "]}", &plain_change), SB_EINVAL);
    assert_true(fixture_has_problem("keys[0].secret", "is that of the revoked key 'app'"));
    fixture_apply("{version: 1, keys: [{name: app}]}"); /* a new key of that name may be made */
    assert_non_null(fx.answer.result.made);
}

/* --- credentials --------------------------------------------------------------------- */

/* Opens the sealed credential of that name as a worker would. */
static struct sb_secret *open_sealed(const char *name, const char *tenant, const char *base_url)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    SB_CLEANUP(sb_buf_release) struct sb_buf binding;
    struct sb_secret *secret = NULL;
    struct sb_slice bound;

    sb_buf_init(&binding, 4096);
    assert_int_equal(cp_db_query(cp_store_db(fx.store),
                                 "SELECT id, sealed FROM credentials WHERE name = $1",
                                 CP_PARAMS(CP_P_STR(name)), &rows),
                     SB_OK);
    assert_int_equal(cp_rows_count(rows), 1);
    assert_int_equal(msg_credential_binding((uint64_t)cp_rows_i64(rows, 0, 0), sb_slice_of(tenant),
                                            SB_SLICE_LIT("acme"), sb_slice_of(base_url), &binding),
                     SB_OK);
    bound = sb_buf_slice(&binding);
    if (sb_keyring_unseal(fx.keyring, &bound, 1, cp_rows_bytes(rows, 0, 1), &secret, NULL) != SB_OK)
        return NULL;
    return secret;
}

static void a_credential_is_sealed_for_its_origin(void **state)
{
    struct sb_secret *secret;

    (void)state;
    fixture_apply(BASE);
    secret = open_sealed("acme", "", "https://acme.example/other/path");
    assert_non_null(secret);
    assert_true(sb_slice_is(sb_secret_expose(secret), "sk-upstream"));
    sb_secret_destroy(&secret);
    assert_null(open_sealed("acme", "", "https://evil.example/v1"));
    assert_null(open_sealed("acme", "team", "https://acme.example/v1"));
    assert_int_equal(fixture_number("SELECT count(*) FROM credentials WHERE"
                                    " position('upstream' IN encode(sealed, 'escape')) > 0"),
                     0);
    assert_int_equal(fixture_number("SELECT count(*) FROM audit_changes WHERE"
                                    " coalesce(before::text, '') || coalesce(after::text, '')"
                                    " LIKE '%upstream\"%'"),
                     0);
}

static void another_origin_suspends_a_credential_until_it_is_entered_again(void **state)
{
    struct sb_secret *secret;

    (void)state;
    fixture_apply(BASE);
    assert_int_equal(patch(CP_PROVIDERS, "acme", "{\"base_url\": \"https://acme.example/v2\"}"),
                     SB_OK);
    assert_non_null(strstr(fixture_get(CP_CREDENTIALS, "acme"), "\"suspended\":false"));
    assert_int_equal(patch(CP_PROVIDERS, "acme", "{\"base_url\": \"https://new.example/v2\"}"),
                     SB_OK);
    assert_true(has_note("credential 'acme' is suspended"));
    assert_non_null(strstr(fixture_get(CP_CREDENTIALS, "acme"), "\"suspended\":true"));
    /* going back does not help: somebody must enter it */
    assert_int_equal(rollback(1), SB_OK);
    assert_non_null(strstr(fixture_get(CP_CREDENTIALS, "acme"), "\"suspended\":true"));
    fixture_apply(BASE);
    assert_true(fx.answer.result.changed);
    assert_non_null(strstr(fixture_get(CP_CREDENTIALS, "acme"), "\"suspended\":false"));
    secret = open_sealed("acme", "", "https://acme.example/v1");
    assert_non_null(secret);
    sb_secret_destroy(&secret);
}

static void an_origin_and_a_credential_may_change_together(void **state)
{
    struct sb_secret *secret;

    (void)state;
    fixture_apply(BASE);
    fixture_apply("{version: 1, providers: [{slug: acme, dialect: openai,"
                  " base_url: \"http://new.example:8080\", credential: {value: sk-upstream}}]}");
    assert_null(fx.answer.result.notes);
    secret = open_sealed("acme", "", "http://new.example:8080");
    assert_non_null(secret);
    sb_secret_destroy(&secret);
    assert_non_null(strstr(fixture_get(CP_CREDENTIALS, "acme"), "\"suspended\":false"));
}

static void tenants_have_credentials_of_their_own(void **state)
{
    struct sb_secret *secret;

    (void)state;
    fixture_apply(BASE);
    assert_int_equal(put(CP_TENANTS, "team", "{}"), SB_OK);
    assert_int_equal(put(CP_CREDENTIALS, "own",
                         "{\"provider\": \"acme\", \"tenant\": \"team\", \"sequence\": 1,"
                         " \"secret\": {\"value\": \"sk-own\"}}"),
                     SB_OK);
    secret = open_sealed("own", "team", "https://acme.example");
    assert_non_null(secret);
    sb_secret_destroy(&secret);
    assert_int_equal(patch(CP_CREDENTIALS, "own", "{\"spill\": false}"), SB_OK);
    assert_non_null(strstr(fixture_get(CP_CREDENTIALS, "own"), "\"spill\":false"));
    assert_int_equal(patch(CP_CREDENTIALS, "own", "{\"tenant\": null}"), SB_EINVAL);
    assert_true(fixture_has_problem("tenant", "for the provider 'acme' and the tenant 'team'"));
    /* two of one provider and tenant need places of their own, and may swap them */
    assert_int_equal(put(CP_CREDENTIALS, "two",
                         "{\"provider\": \"acme\", \"tenant\": \"team\", \"sequence\": 1,"
                         " \"secret\": {\"value\": \"sk-two\"}}"),
                     SB_EINVAL);
    assert_true(fixture_has_problem("sequence", "1 is the place of 'own'"));
    fixture_apply(
        "{version: 1, credentials: [{name: two, provider: acme, tenant: team, sequence: 2,"
        " secret: {value: sk-two}}]}");
    fixture_apply(
        "{version: 1, credentials: [{name: two, provider: acme, tenant: team, sequence: 1},"
        " {name: own, provider: acme, tenant: team, sequence: 2}]}");
    assert_int_equal(fx.answer.result.changed_objects, 2);
}

static void without_keys_to_seal_and_hash_nothing_secret_is_taken(void **state)
{
    struct cp_store *with = fx.store;

    (void)state;
    fx.store = fixture_store(NULL);
    assert_int_equal(fixture_apply_with(BASE, &plain_change), SB_EINVAL);
    assert_true(fixture_has_problem("providers[0].credential", "no master key"));
    assert_true(fixture_has_problem("keys[0].secret", "no key to hash API keys"));
    cp_store_destroy(&fx.store);
    fx.store = with;
}

static void conditional_prices_are_kept_in_every_digit_and_with_their_history(void **state)
{
    (void)state;
    fixture_apply(BASE);
    assert_int_equal(patch(CP_ENDPOINTS, "a/b@acme",
                           "{\"pricing\": {\"overrides\": [{\"hours\": \"00:30-08:30\", "
                           "\"prompt\": 0.000000001}]}}"),
                     SB_OK);
    assert_non_null(strstr(fixture_get(CP_ENDPOINTS, "a/b@acme"), "0.000000001"));
    /* the prices beside them stay when they change, and they when those do */
    assert_int_equal(patch(CP_ENDPOINTS, "a/b@acme", "{\"pricing\": {\"prompt\": 3}}"), SB_OK);
    assert_non_null(strstr(fixture_get(CP_ENDPOINTS, "a/b@acme"), "0.000000001"));
    assert_int_equal(
        patch(CP_ENDPOINTS, "a/b@acme", "{\"pricing\": {\"overrides\": [{\"hours\": \"8-9\"}]}}"),
        SB_EINVAL);
    assert_true(fixture_has_problem("pricing.overrides[0].hours", "'8-9' is not allowed"));
    assert_true(fixture_has_problem("pricing.overrides[0]", "has no price"));
    assert_int_equal(patch(CP_ENDPOINTS, "a/b@acme", "{\"pricing\": {\"overrides\": null}}"),
                     SB_OK);
    assert_null(strstr(fixture_get(CP_ENDPOINTS, "a/b@acme"), "overrides"));
    assert_int_equal(
        fixture_number("SELECT count(*) FROM price_history WHERE after -> 'overrides' IS NOT NULL"),
        2);
    assert_int_equal(rollback(2), SB_OK);
    assert_non_null(strstr(fixture_get(CP_ENDPOINTS, "a/b@acme"), "0.000000001"));
    assert_int_equal(fixture_number("SELECT count(*) FROM endpoints WHERE price_overrides -> 0"
                                    " ->> 'hours' = '00:30-08:30'"),
                     1);
}

/* --- history ---------------------------------------------------------------------------- */

static void a_rollback_restores_everything_but_what_must_stay(void **state)
{
    char *then;

    (void)state;
    fixture_apply(everything);
    then = sb_mem_strdup(fixture_catalog());
    assert_int_equal(patch(CP_PROVIDERS, "acme", "{\"name\": \"Other\", \"headers\": null}"),
                     SB_OK);
    assert_int_equal(patch(CP_ENDPOINTS, "a/b@acme/turbo", "{\"pricing\": {\"prompt\": 7}}"),
                     SB_OK);
    fixture_apply("{version: 1, models: [{id: c/d, context_length: 5}], tenants: [{name: late}]}");
    assert_int_equal(patch(CP_POLICIES, "strict", "{\"zdr\": null}"), SB_OK);
    assert_int_equal(patch(CP_KEYS, "app", "{\"disabled\": false}"), SB_OK);
    assert_int_equal(rollback(1), SB_OK);
    assert_int_equal(fx.answer.result.version.revision, 7);
    assert_int_equal(fx.answer.result.removed, 2);
    assert_int_equal(fx.answer.result.changed_objects, 4);
    assert_string_equal(fixture_catalog(), then);
    /* and forward again */
    assert_int_equal(rollback(6), SB_OK);
    assert_non_null(strstr(fixture_catalog(), "\"name\":\"Other\""));
    assert_non_null(strstr(fixture_catalog(), "c/d"));
    assert_int_equal(rollback(99), SB_ENOENT);
    assert_int_equal(rollback(fixture_revision()), SB_OK);
    assert_false(fx.answer.result.changed);
    sb_mem_free(then);
}

static void a_rollback_over_a_removal_brings_back_objects_but_no_secrets(void **state)
{
    struct cp_change force = plain_change;

    (void)state;
    force.force = true;
    fixture_apply(BASE);
    assert_int_equal(delete_with(CP_ENDPOINTS, "a/b@acme", &force), SB_OK);
    assert_int_equal(delete_with(CP_PROVIDERS, "acme", &plain_change), SB_OK);
    assert_int_equal(rollback(1), SB_OK);
    assert_true(has_note("credential 'acme' stays deleted: enter it again"));
    assert_int_equal(fixture_number("SELECT count(*) FROM endpoints"), 1);
    assert_int_equal(fixture_number("SELECT count(*) FROM credentials"), 0);
    /* what a file had made is a file's again */
    assert_int_equal(fixture_number("SELECT count(*) FROM providers WHERE from_file"), 1);
}

static void revisions_tell_who_changed_what(void **state)
{
    struct cp_change change = plain_change;
    struct cp_page page = {.limit = 2};
    const char *text;

    (void)state;
    change.note = SB_SLICE_LIT("ticket 7");
    assert_int_equal(fixture_apply_with(BASE, &change), SB_OK);
    assert_int_equal(patch(CP_ENDPOINTS, "a/b@acme", "{\"region\": \"DE\"}"), SB_OK);
    assert_int_equal(patch(CP_ENDPOINTS, "a/b@acme", "{\"region\": \"FR\"}"), SB_OK);
    sb_buf_reset(&fx.out);
    text = fixture_text(cp_store_revisions(fx.store, &page, &fx.out));
    assert_non_null(strstr(text, "\"revision\":3"));
    assert_null(strstr(text, "ticket 7"));
    assert_string_equal(page.cursor, "2");
    sb_buf_reset(&fx.out);
    text = fixture_text(cp_store_revisions(fx.store, &page, &fx.out));
    assert_non_null(strstr(text, "ticket 7"));
    assert_string_equal(page.cursor, "");
    sb_buf_reset(&fx.out);
    text = fixture_text(cp_store_revision(fx.store, 2, &fx.out));
    assert_non_null(strstr(text, "\"author\":\"tester\""));
    assert_non_null(strstr(text, "\"difference\":["));
    assert_non_null(strstr(text, "\"action\":\"changed\""));
    assert_non_null(strstr(text, "\"region\":\"DE\""));
    sb_buf_reset(&fx.out);
    text = fixture_text(cp_store_compare(fx.store, 1, 3, &fx.out));
    assert_null(strstr(text, "DE"));
    assert_non_null(strstr(text, "FR"));
    sb_buf_reset(&fx.out);
    assert_int_equal(cp_store_revision(fx.store, 9, &fx.out), SB_ENOENT);
    assert_int_equal(cp_store_compare(fx.store, 1, 9, &fx.out), SB_ENOENT);
    assert_int_equal(cp_store_compare(fx.store, 3, 1, &fx.out), SB_EINVAL);
    (void)strcpy(page.cursor, "x");
    assert_int_equal(cp_store_revisions(fx.store, &page, &fx.out), SB_EINVAL);
}

static void an_attestation_is_that_of_the_revision_and_stays(void **state)
{
    struct cp_change other = plain_change;
    const char *model = "{version: 1, models: [{id: a/b, context_length: 1,"
                        " distillable: {value: yes, evidence: MIT}}]}";

    (void)state;
    other.author = SB_SLICE_LIT("somebody else");
    fixture_apply(model);
    assert_non_null(strstr(fixture_get(CP_MODELS, "a/b"), "\"attested_by\":\"tester\""));
    assert_int_equal(fixture_apply_with(model, &other), SB_OK);
    assert_false(fx.answer.result.changed);
    assert_int_equal(fixture_apply_with("{version: 1, models: [{id: a/b, context_length: 1,"
                                        " distillable: {value: yes, evidence: Apache}}]}",
                                        &other),
                     SB_OK);
    assert_non_null(strstr(fixture_get(CP_MODELS, "a/b"), "\"attested_by\":\"somebody else\""));
}

static void lists_come_in_pages(void **state)
{
    struct cp_page page = {.limit = 2};

    (void)state;
    fixture_apply("{version: 1, tenants: [{name: a}, {name: b}, {name: c}, {name: d}]}");
    for (int i = 0; i < 3; i++) {
        static const char *const pages[] = {"\"name\":\"b\"", "\"name\":\"d\"",
                                            "\"name\":\"default\""};

        sb_buf_reset(&fx.out);
        assert_non_null(
            strstr(fixture_text(cp_store_list(fx.store, CP_TENANTS, &page, &fx.out)), pages[i]));
        assert_int_equal(page.cursor[0] == '\0', i == 2);
    }
    page.limit = 0;
    assert_int_equal(cp_store_list(fx.store, CP_TENANTS, &page, &fx.out), SB_EINVAL);
    sb_buf_reset(&fx.out);
    assert_int_equal(cp_store_get(fx.store, CP_TENANTS, SB_SLICE_LIT("x"), &fx.out), SB_ENOENT);
}

static void a_change_is_announced_when_it_is_committed(void **state)
{
    struct cp_db *listener = fixture_connect(CP_DB_SERVICE_ROLE);
    struct cp_change dry = plain_change;
    struct cp_notification notification;
    struct msg_version version;
    char expected[64];

    (void)state;
    dry.dry_run = true;
    assert_int_equal(cp_db_listen(listener, CP_CHANNEL_CONFIG), SB_OK);
    assert_int_equal(fixture_apply_with(BASE, &dry), SB_OK);
    fixture_apply(BASE);
    assert_int_equal(cp_store_head(fx.store, &version), SB_OK);
    (void)snprintf(expected, sizeof(expected), "%llu.%llu", (unsigned long long)version.epoch,
                   (unsigned long long)version.revision);
    assert_int_equal(cp_db_ping(listener), SB_OK);
    assert_int_equal(cp_db_notified(listener, &notification), SB_OK);
    assert_string_equal(notification.payload, expected);
    assert_int_equal(cp_db_notified(listener, &notification), SB_EAGAIN);
    cp_db_destroy(&listener);
}

static void a_connection_that_the_server_ended_is_made_anew(void **state)
{
    struct cp_db *owner = fixture_connect(NULL);

    (void)state;
    fixture_apply(BASE);
    assert_int_equal(
        cp_db_script(owner, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                            " WHERE datname = current_database() AND pid <> pg_backend_pid()"),
        SB_OK);
    cp_db_destroy(&owner);
    fixture_apply("{version: 1, tenants: [{name: t}]}");
    assert_int_equal(fixture_revision(), 2);
}

static void changes_at_the_same_time_are_one_after_the_other(void **state)
{
    pid_t children[4];

    (void)state;
    fixture_apply(BASE);
    for (int i = 0; i < 4; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            char body[64];
            int rc = SB_OK;

            fx.store = fixture_store(fx.keyring);
            for (int n = 0; rc == SB_OK && n < 5; n++) {
                (void)snprintf(body, sizeof(body), "{\"max_in_flight\": %d}", 1 + i * 5 + n);
                rc = patch(CP_PROVIDERS, "acme", body);
            }
            _exit(rc == SB_OK ? 0 : 1);
        }
    }
    for (int i = 0; i < 4; i++) {
        int status = -1;

        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(fixture_revision(), 21);
    /* each began where the one before had ended */
    assert_int_equal(fixture_number("SELECT count(*) FROM audit_changes a JOIN audit_changes b"
                                    " ON b.revision = a.revision + 1 AND a.kind = 'providers'"
                                    " AND b.kind = a.kind AND a.after = b.before"),
                     20);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(an_applied_catalogue_reads_back_as_it_is),
        T(applying_the_same_again_makes_no_revision),
        T(what_the_store_shows_can_be_applied_as_it_is),
        T(a_wrong_catalogue_changes_nothing_and_names_all_problems),
        T(objects_refer_to_what_is_stored_already),
        T(chat_endpoints_need_prices_also_when_the_model_is_stored),
        T(an_alias_belongs_to_one_model),
        T(a_dry_run_tells_and_changes_nothing),
        T(a_stale_change_is_a_conflict),
        T(pruning_removes_what_a_file_made_and_nothing_else),
        T(removing_too_much_needs_force),
        T(what_is_in_use_cannot_be_removed),
        T(a_provider_takes_its_credentials_along),
        T(put_replaces_and_patch_changes),
        T(conditional_prices_are_kept_in_every_digit_and_with_their_history),
        T(endpoint_ids_stay_and_are_never_reused),
        T(a_key_without_a_secret_gets_one_that_is_shown_once),
        T(a_given_secret_is_hashed_and_may_be_changed),
        T(wrong_secrets_are_problems),
        T(secrets_are_read_from_environment_and_files),
        T(a_revoked_key_stays_revoked),
        T(a_credential_is_sealed_for_its_origin),
        T(another_origin_suspends_a_credential_until_it_is_entered_again),
        T(an_origin_and_a_credential_may_change_together),
        T(tenants_have_credentials_of_their_own),
        T(without_keys_to_seal_and_hash_nothing_secret_is_taken),
        T(a_rollback_restores_everything_but_what_must_stay),
        T(a_rollback_over_a_removal_brings_back_objects_but_no_secrets),
        T(revisions_tell_who_changed_what),
        T(an_attestation_is_that_of_the_revision_and_stays),
        T(lists_come_in_pages),
        T(a_change_is_announced_when_it_is_committed),
        T(a_connection_that_the_server_ended_is_made_anew),
        T(changes_at_the_same_time_are_one_after_the_other),
    };

    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
