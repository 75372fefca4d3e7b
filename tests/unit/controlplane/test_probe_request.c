/* tests/unit/controlplane/test_probe_request.c */
#include "controlplane/probes/probe_request.h"

#include "common/arena.h"
#include "common/buf.h"
#include "common/json.h"
#include "common/keyring.h"
#include "common/secret.h"
#include "proto/snapshot.h"
#include "tests/lib/test.h"

static struct sb_arena *arena;
static struct sb_keyring *keyring;

static int set_up(void **state)
{
    struct sb_errmsg err;

    (void)state;
    arena = sb_arena_new(4096);
    return sb_keyring_parse(SB_SLICE_LIT("main:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"),
                            &keyring, &err);
}

static int tear_down(void **state)
{
    (void)state;
    sb_keyring_destroy(&keyring);
    sb_arena_destroy(&arena);
    return 0;
}

static const struct msg_provider acme = {.slug = SB_SLICE_INIT("acme"),
                                         .dialect = SB_SLICE_INIT("openai"),
                                         .base_url = SB_SLICE_INIT("https://api.acme.example/v1")};

static struct msg_credential sealed_for(const struct msg_provider *provider, const char *key)
{
    struct msg_credential credential = {.id = 3, .tenant = MSG_NONE};
    struct sb_buf binding, sealed;
    struct sb_slice part;

    sb_buf_init(&binding, 4096);
    sb_buf_init(&sealed, 4096);
    assert_int_equal(msg_credential_binding(credential.id, SB_SLICE_NONE, provider->slug,
                                            provider->base_url, &binding),
                     SB_OK);
    part = sb_buf_slice(&binding);
    assert_int_equal(sb_keyring_seal(keyring, &part, 1, sb_slice_of(key), &sealed), SB_OK);
    credential.sealed = sb_arena_dup(arena, sb_buf_slice(&sealed));
    sb_buf_release(&binding);
    sb_buf_release(&sealed);
    return credential;
}

static void the_key_goes_where_the_provider_wants_it(void **state)
{
    struct msg_provider other = acme;
    struct msg_credential credential = sealed_for(&acme, "k-1");
    struct cp_fetch_request request;
    struct sb_secret *auth = NULL;
    struct sb_errmsg err;

    (void)state;
    assert_int_equal(cp_probe_request_make(&(struct cp_probe_call){.provider = &acme,
                                                                   .credential = &credential,
                                                                   .path = "/models"},
                                           keyring, arena, &request, &auth, &err),
                     SB_OK);
    assert_string_equal(request.url, "https://api.acme.example/v1/models");
    assert_true(sb_slice_is(sb_secret_expose(auth), "Authorization: Bearer k-1"));
    sb_secret_destroy(&auth);
    other.auth_header = SB_SLICE_LIT("api-key");
    assert_int_equal(cp_probe_request_make(&(struct cp_probe_call){.provider = &other,
                                                                   .credential = &credential,
                                                                   .path = "/models"},
                                           keyring, arena, &request, &auth, &err),
                     SB_OK);
    assert_true(sb_slice_is(sb_secret_expose(auth), "api-key: k-1"));
    sb_secret_destroy(&auth);
    assert_int_equal(
        cp_probe_request_make(&(struct cp_probe_call){.provider = &acme, .path = "/models"},
                              keyring, arena, &request, &auth, &err),
        SB_OK);
    assert_null(auth);
}

static void a_key_is_not_sent_where_it_was_not_sealed_for_nor_with_a_line_end(void **state)
{
    struct msg_provider moved = acme;
    struct msg_credential credential = sealed_for(&acme, "k-1");
    struct msg_credential broken = sealed_for(&acme, "k\r\nx: y");
    struct cp_fetch_request request;
    struct sb_secret *auth = NULL;
    struct sb_errmsg err;

    (void)state;
    moved.base_url = SB_SLICE_LIT("https://elsewhere.example/v1");
    assert_int_equal(cp_probe_request_make(&(struct cp_probe_call){.provider = &moved,
                                                                   .credential = &credential,
                                                                   .path = "/models"},
                                           keyring, arena, &request, &auth, &err),
                     SB_EAUTH);
    assert_int_equal(
        cp_probe_request_make(
            &(struct cp_probe_call){.provider = &acme, .credential = &broken, .path = "/models"},
            keyring, arena, &request, &auth, &err),
        SB_EINVAL);
    assert_null(auth);
}

static bool has_field(const struct cp_fetch_request *request, const char *field)
{
    for (const char *const *one = request->fields; *one != NULL; one++)
        if (strcmp(*one, field) == 0)
            return true;
    return false;
}

static void headers_and_query_of_the_provider_are_sent(void **state)
{
    const struct msg_pair headers[] = {{SB_SLICE_LIT("x-title"), SB_SLICE_LIT("app")}};
    const struct msg_pair query[] = {{SB_SLICE_LIT("a"), SB_SLICE_LIT("1")},
                                     {SB_SLICE_LIT("b"), SB_SLICE_LIT("2")}};
    struct msg_provider provider = acme;
    struct cp_fetch_request request;
    struct sb_secret *auth = NULL;
    struct sb_errmsg err;

    (void)state;
    provider.headers = headers;
    provider.n_headers = 1;
    provider.query = query;
    provider.n_query = 2;
    assert_int_equal(cp_probe_request_make(&(struct cp_probe_call){.provider = &provider,
                                                                   .path = "/chat/completions",
                                                                   .body = SB_SLICE_LIT("{}")},
                                           keyring, arena, &request, &auth, &err),
                     SB_OK);
    assert_string_equal(request.url, "https://api.acme.example/v1/chat/completions?a=1&b=2");
    assert_true(has_field(&request, "x-title: app"));
    assert_true(has_field(&request, "Content-Type: application/json"));
}

static void the_body_is_json_with_the_name_of_the_limit_that_the_endpoint_takes(void **state)
{
    const struct cp_probe_dialect *dialect = cp_probe_dialect_find(SB_SLICE_LIT("openai"));
    struct msg_endpoint endpoint = {.upstream_model = SB_SLICE_LIT("a \"b\"")};
    struct sb_slice body;
    yyjson_doc *doc = NULL;

    (void)state;
    body = dialect->completion_body(&endpoint, 16, arena);
    assert_int_equal(sb_json_read(body, body.n, &doc, NULL), SB_OK);
    assert_true(
        sb_slice_is(sb_json_text(yyjson_obj_get(yyjson_doc_get_root(doc), "model")), "a \"b\""));
    assert_int_equal(yyjson_get_int(yyjson_obj_get(yyjson_doc_get_root(doc), "max_tokens")), 16);
    sb_json_free(&doc);
    endpoint.parameters = UINT64_C(1) << MSG_PARAMETER_MAX_COMPLETION_TOKENS;
    body = dialect->completion_body(&endpoint, 16, arena);
    assert_non_null(strstr(body.p, "\"max_completion_tokens\":16"));
    assert_null(cp_probe_dialect_find(SB_SLICE_LIT("smoke-signals")));
}

static void an_endpoint_is_asked_what_it_answers(void **state)
{
    const struct cp_probe_dialect *dialect = cp_probe_dialect_find(SB_SLICE_LIT("openai"));
    const uint32_t text = 1u << MSG_MODALITY_TEXT, image = 1u << MSG_MODALITY_IMAGE;
    const uint32_t embeddings = 1u << MSG_MODALITY_EMBEDDINGS;
    struct msg_endpoint endpoint = {.upstream_model = SB_SLICE_LIT("a \"b\""),
                                    .input_modalities = text | image,
                                    .output_modalities = embeddings | text};
    struct cp_probe_question question;

    (void)state;
    assert_true(cp_probe_question_make(dialect, &endpoint, 16, arena, &question));
    assert_int_equal(question.kind, CP_PROBE_COMPLETION);
    assert_string_equal(question.path, "/chat/completions");
    assert_int_equal(question.max_tokens, 16);
    endpoint.output_modalities = embeddings;
    assert_true(cp_probe_question_make(dialect, &endpoint, 16, arena, &question));
    assert_int_equal(question.kind, CP_PROBE_EMBEDDING);
    assert_string_equal(question.path, "/embeddings");
    assert_int_equal(question.max_tokens, 0);
    assert_true(sb_slice_is(question.body, "{\"model\":\"a \\\"b\\\"\",\"input\":\"Hello.\"}"));
    endpoint.output_modalities = image;
    assert_false(cp_probe_question_make(dialect, &endpoint, 16, arena, &question));
    endpoint.output_modalities = embeddings;
    endpoint.input_modalities = image;
    assert_false(cp_probe_question_make(dialect, &endpoint, 16, arena, &question));
}

static void the_house_pays_or_nobody(void **state)
{
    struct msg_credential credentials[] = {{.id = 1, .provider = 0, .tenant = 0},
                                           {.id = 2, .provider = 0, .tenant = MSG_NONE},
                                           {.id = 3, .provider = 0, .tenant = MSG_NONE},
                                           {.id = 4, .provider = 1, .tenant = 0}};
    struct msg_provider providers[] = {
        {.wants_key = true}, {.wants_key = true}, {.wants_key = false}, {.wants_key = true}};
    const struct msg_snapshot snapshot = {.providers = providers,
                                          .n_providers = SB_ARRAY_LEN(providers),
                                          .credentials = credentials,
                                          .n_credentials = SB_ARRAY_LEN(credentials)};
    const struct msg_credential *found = NULL;

    (void)state;
    assert_true(cp_probe_credential(&snapshot, 0, &found));
    assert_int_equal(found->id, 2);
    assert_false(cp_probe_credential(&snapshot, 1, &found)); /* a tenant's own only */
    assert_true(cp_probe_credential(&snapshot, 2, &found));  /* wants none */
    assert_null(found);
    assert_false(cp_probe_credential(&snapshot, 3, &found)); /* suspended: not published */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_key_goes_where_the_provider_wants_it),
        TEST(a_key_is_not_sent_where_it_was_not_sealed_for_nor_with_a_line_end),
        TEST(headers_and_query_of_the_provider_are_sent),
        TEST(the_body_is_json_with_the_name_of_the_limit_that_the_endpoint_takes),
        TEST(an_endpoint_is_asked_what_it_answers),
        TEST(the_house_pays_or_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
