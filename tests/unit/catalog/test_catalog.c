/* tests/unit/catalog/test_catalog.c - documents, problems and normal forms. */
#include "controlplane/catalog/catalog.h"

#include "proto/limits.h"
#include "tests/lib/test.h"

static struct sb_arena *arena;
static struct cp_problems problems;
static struct cp_catalog *catalog;

static int read_text(const char *text)
{
    cp_problems_init(&problems, arena);
    catalog = NULL;
    return cp_catalog_read(sb_slice_of(text), CP_DOC_AUTO, arena, &problems, &catalog);
}

static const struct cp_problem *find_problem(const char *path, const char *text)
{
    for (const struct cp_problem *one = problems.first; one != NULL; one = one->next)
        if (sb_slice_is(one->path, path) &&
            strstr(one->problem.p, text) != NULL) /* arena texts are terminated */
            return one;
    return NULL;
}

static void show_problems(void)
{
    for (const struct cp_problem *one = problems.first; one != NULL; one = one->next)
        print_error("  '%.*s': %.*s\n", SB_SLICE_ARGS(one->path), SB_SLICE_ARGS(one->problem));
}

#define PROVIDER "{slug: acme, dialect: openai, base_url: \"https://acme.example/v1\"}"
#define MODEL    "{id: a/b, context_length: 1000}"

/* The example of CONTRACT.md, whole. */
static const char example[] =
    "version: 1\n"
    "providers:\n"
    "  - slug: acme\n"
    "    name: Acme Inference\n"
    "    dialect: openai\n"
    "    base_url: https://api.acme.example/v1\n"
    "    credential: {env: ACME_API_KEY}\n"
    "    headquarters: US\n"
    "    data_policy: {no_training: {value: yes, evidence: \"https://acme.example/dpa\"},"
    " zdr: {value: yes, evidence: \"https://acme.example/dpa\", attested_by: \"legal@example.com\","
    " attested_on: 2026-10-01, expires_on: 2027-10-01}}\n"
    "models:\n"
    "  - id: meta-llama/llama-3.3-70b-instruct\n"
    "    name: Llama 3.3 70B Instruct\n"
    "    aliases: [llama-3]\n"
    "    context_length: 131072\n"
    "    input_modalities: [text]\n"
    "    output_modalities: [text]\n"
    "    distillable: {value: no, evidence: \"Llama licence\"}\n"
    "endpoints:\n"
    "  - model: meta-llama/llama-3.3-70b-instruct\n"
    "    provider: acme\n"
    "    tag: acme/turbo\n"
    "    upstream_model: llama-3.3-70b-turbo\n"
    "    region: DE\n"
    "    quantization: fp8\n"
    "    context_length: 131072\n"
    "    max_completion_tokens: 16384\n"
    "    supported_parameters: [temperature, top_p, max_tokens, stop, seed, tools, tool_choice,"
    " response_format]\n"
    "    pricing: {prompt: \"0.10\", completion: \"0.30\", request: \"0\", cache_read: \"0.01\"}\n"
    "    eu_resident: {value: yes, evidence: \"https://acme.example/regions\"}\n"
    "policies:\n"
    "  - name: eu-only\n"
    "    residency: eu\n"
    "    zdr: true\n"
    "    max_price: {prompt: 1, completion: 3}\n"
    "    allowed_models: [\"meta-llama/*\"]\n"
    "tenants:\n"
    "  - name: default\n"
    "keys:\n"
    "  - name: app\n"
    "    tenant: default\n"
    "    expires_at: 2027-12-31T00:00:00Z\n"
    "    policy: eu-only\n"
    "    secret: {env: APP_KEY}\n";

static void expect_object(enum cp_kind kind, const char *name, const char *json)
{
    const struct cp_object *object = cp_catalog_find(catalog, kind, sb_slice_of(name));

    assert_non_null(object);
    if (!sb_slice_is(object->json, json))
        fail_msg("%s is %.*s", name, SB_SLICE_ARGS(object->json));
}

static void the_example_of_the_contract_is_read_whole(void **state)
{
    const struct cp_object *object;

    (void)state;
    assert_int_equal(read_text(example), SB_OK);
    show_problems();
    assert_int_equal(problems.n, 0);
    expect_object(CP_PROVIDERS, "acme",
                  "{\"slug\":\"acme\",\"name\":\"Acme Inference\",\"dialect\":\"openai\","
                  "\"base_url\":\"https://api.acme.example/v1\",\"headquarters\":\"US\","
                  "\"data_policy\":{\"no_training\":{\"value\":\"yes\","
                  "\"evidence\":\"https://acme.example/dpa\"},\"zdr\":{\"value\":\"yes\","
                  "\"evidence\":\"https://acme.example/dpa\",\"attested_by\":\"legal@example.com\","
                  "\"attested_on\":\"2026-10-01\",\"expires_on\":\"2027-10-01\"}}}");
    expect_object(
        CP_MODELS, "meta-llama/llama-3.3-70b-instruct",
        "{\"id\":\"meta-llama/llama-3.3-70b-instruct\",\"name\":\"Llama 3.3 70B Instruct\","
        "\"aliases\":[\"llama-3\"],\"context_length\":131072,"
        "\"input_modalities\":[\"text\"],\"output_modalities\":[\"text\"],"
        "\"distillable\":{\"value\":\"no\",\"evidence\":\"Llama licence\"}}");
    expect_object(
        CP_ENDPOINTS, "meta-llama/llama-3.3-70b-instruct@acme/turbo",
        "{\"model\":\"meta-llama/llama-3.3-70b-instruct\",\"provider\":\"acme\","
        "\"tag\":\"acme/turbo\",\"upstream_model\":\"llama-3.3-70b-turbo\","
        "\"region\":\"DE\",\"quantization\":\"fp8\",\"context_length\":131072,"
        "\"max_completion_tokens\":16384,\"supported_parameters\":[\"temperature\","
        "\"top_p\",\"max_tokens\",\"seed\",\"response_format\",\"stop\",\"tools\","
        "\"tool_choice\"],\"pricing\":{\"prompt\":\"0.1\",\"completion\":\"0.3\","
        "\"request\":\"0\",\"cache_read\":\"0.01\"},"
        "\"eu_resident\":{\"value\":\"yes\",\"evidence\":\"https://acme.example/regions\"}}");
    expect_object(CP_POLICIES, "eu-only",
                  "{\"name\":\"eu-only\",\"residency\":\"eu\",\"zdr\":true,"
                  "\"max_price\":{\"prompt\":1,\"completion\":3},"
                  "\"allowed_models\":[\"meta-llama/*\"]}");
    expect_object(
        CP_KEYS, "app",
        "{\"name\":\"app\",\"tenant\":\"default\",\"expires_at\":\"2027-12-31T00:00:00Z\","
        "\"policy\":\"eu-only\"}");
    expect_object(CP_CREDENTIALS, "acme", "{\"name\":\"acme\",\"provider\":\"acme\"}");
    object = cp_catalog_find(catalog, CP_CREDENTIALS, SB_SLICE_LIT("acme"));
    assert_int_equal(object->secret.from, CP_SECRET_ENV);
    assert_true(sb_slice_is(object->secret.text, "ACME_API_KEY"));
    assert_true(sb_slice_is(object->path, "providers[0].credential"));
    object = cp_catalog_find(catalog, CP_KEYS, SB_SLICE_LIT("app"));
    assert_int_equal(object->secret.from, CP_SECRET_ENV);
}

static void what_is_left_out_is_filled_in(void **state)
{
    (void)state;
    assert_int_equal(read_text("{version: 1, providers: [" PROVIDER "], models: [" MODEL "],"
                               " endpoints: [{model: a/b, provider: acme,"
                               " pricing: {prompt: 0, completion: 0}}], keys: [{name: k}]}"),
                     SB_OK);
    show_problems();
    assert_int_equal(problems.n, 0);
    expect_object(CP_PROVIDERS, "acme",
                  "{\"slug\":\"acme\",\"dialect\":\"openai\","
                  "\"base_url\":\"https://acme.example/v1\",\"name\":\"acme\"}");
    expect_object(CP_MODELS, "a/b",
                  "{\"id\":\"a/b\",\"context_length\":1000,\"name\":\"a/b\","
                  "\"input_modalities\":[\"text\"],\"output_modalities\":[\"text\"]}");
    expect_object(CP_ENDPOINTS, "a/b@acme",
                  "{\"model\":\"a/b\",\"provider\":\"acme\","
                  "\"pricing\":{\"prompt\":\"0\",\"completion\":\"0\"},\"tag\":\"acme\","
                  "\"upstream_model\":\"a/b\"}");
    expect_object(CP_KEYS, "k", "{\"name\":\"k\",\"tenant\":\"default\"}");
}

/* One member of one object, and what it becomes or why not. */
struct member_case {
    const char *member;  /* in YAML */
    const char *becomes; /* in the normal form, or NULL */
    const char *path, *problem;
};

static void run_cases(const char *before, const struct member_case *cases, size_t n,
                      enum cp_kind kind, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        char text[2048];
        const struct cp_object *object;

        (void)snprintf(text, sizeof(text), "{version: 1, %s%s}]}", before, cases[i].member);
        assert_int_equal(read_text(text), SB_OK);
        if (cases[i].problem != NULL) {
            if (problems.n != 1 || find_problem(cases[i].path, cases[i].problem) == NULL) {
                show_problems();
                fail_msg("%s: expected '%s': %s", cases[i].member, cases[i].path, cases[i].problem);
            }
            continue;
        }
        show_problems();
        assert_int_equal(problems.n, 0);
        object = cp_catalog_find(catalog, kind, sb_slice_of(name));
        assert_non_null(object);
        if (object->json.n == 0 || strstr(object->json.p, cases[i].becomes) == NULL)
            fail_msg("%s: %.*s lacks %s", cases[i].member, SB_SLICE_ARGS(object->json),
                     cases[i].becomes);
    }
}

static void each_member_of_a_provider_is_checked(void **state)
{
    static const struct member_case cases[] = {
        {"headquarters: de", "\"headquarters\":\"DE\"", NULL, NULL},
        {"headquarters: UK", NULL, "providers[0].headquarters", "ISO 3166"},
        {"headquarters: [DE]", NULL, "providers[0].headquarters", "must be a text, not a list"},
        {"auth: {header: API-Key}", "\"auth\":{\"header\":\"api-key\"}", NULL, NULL},
        {"auth: {header: Authorization}", "\"name\":\"acme\"}", NULL, NULL},
        {"auth: {header: \"a b\"}", NULL, "providers[0].auth.header", "the name of a header"},
        {"auth: {header: x, haeder: y}", NULL, "providers[0].auth.haeder", "did you mean 'header'"},
        {"auth: {}", NULL, "providers[0].auth.header", "is missing"},
        {"auth: basic", NULL, "providers[0].auth", "must be a map, not a text"},
        {"headers: {x-title: app, x-n: 7}", "\"headers\":{\"x-title\":\"app\",\"x-n\":\"7\"}", NULL,
         NULL},
        {"headers: {Host: x}", NULL, "providers[0].headers.Host", "is set by Switchboard"},
        {"headers: {\"a:b\": x}", NULL, "providers[0].headers.a:b", "no valid name"},
        {"headers: {x: \"a\\r\\nb: c\"}", NULL, "providers[0].headers.x", "control character"},
        {"headers: {x: [1]}", NULL, "providers[0].headers.x", "must be a text"},
        {"query: {api-version: 2026-01-01}", "\"query\":{\"api-version\":\"2026-01-01\"}", NULL,
         NULL},
        {"proxy: http://proxy.example:3128/", "\"proxy\":\"http://proxy.example:3128\"", NULL,
         NULL},
        {"proxy: ftp://x", NULL, "providers[0].proxy", "socks5"},
        {"proxy: http://u:p@x:1", NULL, "providers[0].proxy", "user or password"},
        {"ca_file: /etc/ca.pem", "\"ca_file\":\"/etc/ca.pem\"", NULL, NULL},
        {"ca_file: ca.pem", NULL, "providers[0].ca_file", "absolute path"},
        {"max_connections: 512", "\"max_connections\":512", NULL, NULL},
        {"max_connections: -1", NULL, "providers[0].max_connections", "must be 0 to"},
        {"max_connections: many", NULL, "providers[0].max_connections", "must be a whole number"},
        {"max_in_flight: 1.5", NULL, "providers[0].max_in_flight", "must be a whole number"},
        {"price_updates: report", "\"price_updates\":\"report\"", NULL, NULL},
        {"price_updates: aply", NULL, "providers[0].price_updates", "did you mean 'apply'"},
        {"status_page_url: nope", NULL, "providers[0].status_page_url", "http://"},
        {"credential: {env: A, file: B}", NULL, "providers[0].credential", "{env: NAME}"},
        {"credential: sk-123", NULL, "providers[0].credential", "{env: NAME}"},
        {"data_policy: {zdr: {value: yes}}", NULL, "providers[0].data_policy.zdr",
         "a yes needs evidence"},
        {"data_policy: {zdr: yes}", NULL, "providers[0].data_policy.zdr", "a yes needs evidence"},
        {"data_policy: {zdr: no}", "\"zdr\":{\"value\":\"no\"}", NULL, NULL},
        {"data_policy: {zdr: {value: true, evidence: x}}", "\"zdr\":{\"value\":\"yes\"", NULL,
         NULL},
        {"data_policy: {zdr: {value: \"no\"}}", "\"zdr\":{\"value\":\"no\"}", NULL, NULL},
        {"data_policy: {zdr: {value: maybe}}", NULL, "providers[0].data_policy.zdr.value",
         "yes, no or unknown"},
        {"data_policy: {zdr: {evidence: x}}", NULL, "providers[0].data_policy.zdr.value",
         "is missing"},
        {"data_policy: {zdr: {value: no, expires_on: 2026-02-30}}", NULL,
         "providers[0].data_policy.zdr.expires_on", "must be a date"},
        {"data_policy: {zdr: {value: no, attested_on: 2026-02-02, expires_on: 2026-02-01}}", NULL,
         "providers[0].data_policy.zdr.expires_on", "before it was attested"},
        {"data_policy: {distillable: no}", NULL, "providers[0].data_policy.distillable",
         "is not known"},
        {"heders: {}", NULL, "providers[0].heders", "did you mean 'headers'"},
        {"xyzzy: 1", NULL, "providers[0].xyzzy", "is not known"},
        {"id: 7", NULL, "providers[0].id", "is not known"},
        {"name: \"\"", NULL, "providers[0].name", "must not be empty"},
        {"name: \"a\\tb\"", NULL, "providers[0].name", "control character"},
        {"headers: null", "\"name\":\"acme\"}", NULL, NULL},
    };

    (void)state;
    run_cases("providers: [{slug: acme, dialect: openai, base_url: \"http://x/v1\", ", cases,
              SB_ARRAY_LEN(cases), CP_PROVIDERS, "acme");
}

static void base_urls_have_one_spelling_per_origin(void **state)
{
    static const struct member_case cases[] = {
        {"base_url: HTTPS://API.Acme.Example:443/V1/", "\"https://api.acme.example/V1\"", NULL,
         NULL},
        {"base_url: \"http://127.0.0.1:80\"", "\"http://127.0.0.1\"", NULL, NULL},
        {"base_url: \"http://127.0.0.1:8080//\"", "\"http://127.0.0.1:8080\"", NULL, NULL},
        {"base_url: \"http://[::1]:9000/v1\"", "\"http://[::1]:9000/v1\"", NULL, NULL},
        {"base_url: ftp://x", NULL, "providers[0].base_url", "http:// or https://"},
        {"base_url: \"https://\"", NULL, "providers[0].base_url", "http:// or https://"},
        {"base_url: \"https://u:p@x/\"", NULL, "providers[0].base_url", "use credential"},
        {"base_url: \"https://x/?a=b\"", NULL, "providers[0].base_url", "use query"},
        {"base_url: \"https://x:0/\"", NULL, "providers[0].base_url", "host and port"},
        {"base_url: \"https://x:99999/\"", NULL, "providers[0].base_url", "host and port"},
        {"base_url: \"https://x:/\"", NULL, "providers[0].base_url", "host and port"},
        {"base_url: \"https://x%41/\"", NULL, "providers[0].base_url", "host and port"},
        {"base_url: \"https://x y/\"", NULL, "providers[0].base_url", "http:// or https://"},
        {"base_url: \"https://[::1/\"", NULL, "providers[0].base_url", "host and port"},
    };

    (void)state;
    run_cases("providers: [{slug: acme, dialect: openai, ", cases, SB_ARRAY_LEN(cases),
              CP_PROVIDERS, "acme");
}

static void each_member_of_a_model_is_checked(void **state)
{
    static const struct member_case cases[] = {
        {"created: 2025-01-31", "\"created\":\"2025-01-31\"", NULL, NULL},
        {"created: yesterday", NULL, "models[0].created", "must be a date"},
        {"input_modalities: [image, text]", "\"input_modalities\":[\"text\",\"image\"]", NULL,
         NULL},
        {"input_modalities: [imge]", NULL, "models[0].input_modalities[0]", "did you mean 'image'"},
        {"input_modalities: [text, text]", NULL, "models[0].input_modalities[1]", "comes twice"},
        {"output_modalities: []", NULL, "models[0].output_modalities", "must not be empty"},
        {"aliases: [x, \"y z\"]", NULL, "models[0].aliases[1]", "spaces"},
        {"aliases: [\"x:nitro\"]", NULL, "models[0].aliases[0]", ":nitro"},
        {"aliases: [x, x]", NULL, "models[0].aliases[1]", "is an alias of a/b already"},
        {"aliases: [a/b]", NULL, "models[0].aliases[0]", "is the model a/b already"},
        {"aliases: x", NULL, "models[0].aliases", "must be a list"},
        {"distillable: {value: yes, evidence: MIT}",
         "\"distillable\":{\"value\":\"yes\",\"evidence\":\"MIT\"}", NULL, NULL},
        {"description: \"two\\nlines\"", "\"description\":\"two\\nlines\"", NULL, NULL},
    };

    (void)state;
    run_cases("models: [{id: a/b, context_length: 1000, ", cases, SB_ARRAY_LEN(cases), CP_MODELS,
              "a/b");
}

static void names_have_their_grammar(void **state)
{
    static const struct member_case models[] = {
        {"id: ab", NULL, "models[0].id", "author/slug"},
        {"id: a/b/c", NULL, "models[0].id", "author/slug"},
        {"id: A/B", NULL, "models[0].id", "aliases"},
        {"id: \"a/b@c\"", NULL, "models[0].id", "author/slug"},
        {"id: \"a/b:floor\"", NULL, "models[0].id", ":floor"},
        {"id: \"a/b:free\"", "\"id\":\"a/b:free\"", NULL, NULL},
    };
    static const struct member_case providers[] = {
        {"slug: Acme", NULL, "providers[0].slug", "lower case"},
        {"slug: acme/x", NULL, "providers[0].slug", "lower case"},
        {"slug: -x", NULL, "providers[0].slug", "begin with a letter"},
    };

    (void)state;
    run_cases("models: [{context_length: 1, ", models, SB_ARRAY_LEN(models), CP_MODELS, "a/b:free");
    run_cases("providers: [{dialect: openai, base_url: \"http://x\", ", providers,
              SB_ARRAY_LEN(providers), CP_PROVIDERS, "acme");
}

static void each_member_of_an_endpoint_is_checked(void **state)
{
    static const struct member_case cases[] = {
        {"region: DE", "\"region\":\"DE\"", NULL, NULL},
        {"region: NO", "\"region\":\"NO\"", NULL, NULL},
        {"region: eu", "\"region\":\"eu\"", NULL, NULL},
        {"region: de", NULL, "endpoints[0].region", "in capitals: DE"},
        {"region: EU", NULL, "endpoints[0].region", "eu, us, global"},
        {"quantization: fp8", "\"quantization\":\"fp8\"", NULL, NULL},
        {"quantization: unknown", "\"tag\":\"acme\"", NULL, NULL},
        {"quantization: f8", NULL, "endpoints[0].quantization", "did you mean"},
        {"tag: acme/turbo", "\"tag\":\"acme/turbo\"", NULL, NULL},
        {"tag: other", NULL, "endpoints[0].tag", "provider's slug"},
        {"tag: acmeturbo", NULL, "endpoints[0].tag", "provider's slug"},
        {"tag: acme/Turbo", NULL, "endpoints[0].tag", "lower case"},
        {"tag: \"acme/\"", NULL, "endpoints[0].tag", "lower case"},
        {"supported_parameters: [temprature]", NULL, "endpoints[0].supported_parameters[0]",
         "did you mean 'temperature'"},
        {"supported_parameters: []", "\"tag\":\"acme\"", NULL, NULL},
        {"max_prompt_tokens: 2000000000", NULL, "endpoints[0].max_prompt_tokens", "must be 0 to"},
        {"no_training: {value: yes}", NULL, "endpoints[0].no_training", "needs evidence"},
        {"zdr: unknown", "\"zdr\":{\"value\":\"unknown\"}", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        const char *name = cases[i].becomes != NULL && strstr(cases[i].becomes, "turbo") != NULL
                               ? "a/b@acme/turbo"
                               : "a/b@acme";

        run_cases("models: [" MODEL "], endpoints: [{model: a/b, provider: acme,"
                  " pricing: {prompt: 1, completion: 1}, ",
                  &cases[i], 1, CP_ENDPOINTS, name);
    }
}

static void prices_are_exact_decimals_and_chat_needs_two(void **state)
{
    static const struct member_case cases[] = {
        {"pricing: {prompt: 0.10, completion: \"0.30\"}",
         "\"pricing\":{\"prompt\":\"0.1\",\"completion\":\"0.3\"}", NULL, NULL},
        {"pricing: {prompt: 1e-1, completion: 0.000000001}",
         "\"prompt\":\"0.1\",\"completion\":\"0.000000001\"", NULL, NULL},
        {"pricing: {prompt: 1, completion: 1, request: 0.000000000000001}",
         "\"request\":\"0.000000000000001\"", NULL, NULL},
        {"pricing: {prompt: 1, completion: 0.0000000001}", NULL, "endpoints[0].pricing.completion",
         "more than 9 decimals"},
        {"pricing: {prompt: 1, completion: 1, image: 0.0000000000000001}", NULL,
         "endpoints[0].pricing.image", "more than 15 decimals"},
        {"pricing: {prompt: -1, completion: 1}", NULL, "endpoints[0].pricing.prompt",
         "must not be negative"},
        {"pricing: {prompt: 1e30, completion: 1}", NULL, "endpoints[0].pricing.prompt",
         "out of range"},
        {"pricing: {prompt: cheap, completion: 1}", NULL, "endpoints[0].pricing.prompt",
         "must be a decimal number"},
        {"pricing: {prompt: \"0x1\", completion: 1}", NULL, "endpoints[0].pricing.prompt",
         "must be a decimal number"},
        {"pricing: {prompt: 1, completion: 1, input_cache_raed: 1}", NULL,
         "endpoints[0].pricing.input_cache_raed", "is not known"},
        {"pricing: {prompt: 1}", NULL, "endpoints[0].pricing.completion", "write \"0\""},
        {"pricing: {completion: 1}", NULL, "endpoints[0].pricing.prompt", "write \"0\""},
        {"pricing: {prompt: null, completion: 1}", NULL, "endpoints[0].pricing.prompt",
         "write \"0\""},
        {"output_modalities: [embeddings], pricing: {prompt: 1}", "\"prompt\":\"1\"", NULL, NULL},
        {"output_modalities: [embeddings]", NULL, "endpoints[0].pricing.prompt", "write \"0\""},
        {"output_modalities: [image]", "\"tag\":\"acme\"", NULL, NULL},
    };
    static const struct member_case by_model[] = {
        {"pricing: {prompt: 1}", "\"prompt\":\"1\"", NULL, NULL},
    };

    (void)state;
    run_cases("models: [" MODEL "], endpoints: [{model: a/b, provider: acme, ", cases,
              SB_ARRAY_LEN(cases), CP_ENDPOINTS, "a/b@acme");
    run_cases("models: [{id: a/b, context_length: 1, output_modalities: [embeddings]}],"
              " endpoints: [{model: a/b, provider: acme, ",
              by_model, SB_ARRAY_LEN(by_model), CP_ENDPOINTS, "a/b@acme");
    /* A model that is only in the store is the store's to look at. */
    run_cases("endpoints: [{model: a/b, provider: acme, ", by_model, SB_ARRAY_LEN(by_model),
              CP_ENDPOINTS, "a/b@acme");
}

static void prices_may_have_conditions(void **state)
{
    static const struct member_case cases[] = {
        {"overrides: [{min_prompt_tokens: 128000, prompt: 0.20, cache_read: 0}]",
         "\"pricing\":{\"prompt\":\"1\",\"completion\":\"1\",\"overrides\":[{"
         "\"min_prompt_tokens\":128000,\"prompt\":\"0.2\",\"cache_read\":\"0\"}]}",
         NULL, NULL},
        {"overrides: [{hours: \"00:30-08:30\", completion: 2}, {days: [sunday, monday], request: "
         "1}]",
         "\"overrides\":[{\"hours\":\"00:30-08:30\",\"completion\":\"2\"},"
         "{\"days\":[\"monday\",\"sunday\"],\"request\":\"1\"}]",
         NULL, NULL},
        {"overrides: [{hours: 22:00-24:00, prompt: 1}]", "\"hours\":\"22:00-00:00\"", NULL, NULL},
        {"overrides: [{hours: 23:59-00:01, min_prompt_tokens: null, prompt: 1}]",
         "[{\"hours\":\"23:59-00:01\",\"prompt\":\"1\"}]", NULL, NULL},
        {"overrides: []", "\"completion\":\"1\"}", NULL, NULL},
        {"overrides: null", "\"completion\":\"1\"}", NULL, NULL},
        {"overrides: {prompt: 1}", NULL, "endpoints[0].pricing.overrides", "must be a list"},
        {"overrides: [1]", NULL, "endpoints[0].pricing.overrides[0]", "must be a map"},
        {"overrides: [{prompt: 1}]", NULL, "endpoints[0].pricing.overrides[0]",
         "has no condition: give min_prompt_tokens, hours or days"},
        {"overrides: [{hours: 01:00-02:00}]", NULL, "endpoints[0].pricing.overrides[0]",
         "has no price"},
        {"overrides: [{days: [monday], prompt: -1}]", NULL,
         "endpoints[0].pricing.overrides[0].prompt", "must not be negative"},
        {"overrides: [{days: [], prompt: 1}]", NULL, "endpoints[0].pricing.overrides[0].days",
         "must not be empty"},
        {"overrides: [{days: [mondya], prompt: 1}]", NULL,
         "endpoints[0].pricing.overrides[0].days[0]", "did you mean 'monday'?"},
        {"overrides: [{days: [monday, monday], prompt: 1}]", NULL,
         "endpoints[0].pricing.overrides[0].days[1]", "comes twice"},
        {"overrides: [{min_prompt_tokens: 0, prompt: 1}]", NULL,
         "endpoints[0].pricing.overrides[0].min_prompt_tokens", "must be 1 to"},
        {"overrides: [{min_promt_tokens: 1, days: [monday], prompt: 1}]", NULL,
         "endpoints[0].pricing.overrides[0].min_promt_tokens", "did you mean 'min_prompt_tokens'?"},
        {"overrides: [{days: [monday], prompt: 1, overrides: []}]", NULL,
         "endpoints[0].pricing.overrides[0].overrides", "is not known"},
    };
    static const char *const wrong[] = {"08:30-08:30", "24:00-00:00", "24:01-02:00", "8:30-09:00",
                                        "08:30",       "08:60-09:00", "25:00-26:00", "08:30-09:00 ",
                                        "08:30~09:00", "night",       "0x:30-09:00", "08.30-09.00"};
    char many[1024] = "overrides: [";
    struct member_case one = {.member = many,
                              .path = "endpoints[0].pricing.overrides[1].hours",
                              .problem = "it must be hours of the UTC day, such as"};

    (void)state;
#define BEFORE                                                                                     \
    "models: [" MODEL "], endpoints: [{model: a/b, provider: acme, pricing: {prompt: 1, "          \
    "completion: 1, "
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        char member[512];
        struct member_case closed = cases[i];

        (void)snprintf(member, sizeof(member), "%s}", cases[i].member);
        closed.member = member;
        run_cases(BEFORE, &closed, 1, CP_ENDPOINTS, "a/b@acme");
    }
    for (size_t i = 0; i < SB_ARRAY_LEN(wrong); i++) {
        (void)snprintf(many, sizeof(many),
                       "overrides: [{days: [monday], prompt: 1}, {hours: \"%s\", prompt: 1}]}",
                       wrong[i]);
        run_cases(BEFORE, &one, 1, CP_ENDPOINTS, "a/b@acme");
    }
    (void)snprintf(many, sizeof(many), "overrides: [");
    for (int i = 0; i <= MSG_OVERRIDES_MAX; i++)
        (void)snprintf(many + strlen(many), sizeof(many) - strlen(many),
                       "{days: [monday], prompt: %d}, ", i);
    (void)snprintf(many + strlen(many), sizeof(many) - strlen(many), "]}");
    one.path = "endpoints[0].pricing.overrides";
    one.problem = "has over 16 entries";
    run_cases(BEFORE, &one, 1, CP_ENDPOINTS, "a/b@acme");
#undef BEFORE
}

static void each_rule_of_a_policy_is_checked(void **state)
{
    static const struct member_case cases[] = {
        {"zdr: yes", "\"zdr\":true", NULL, NULL},
        {"zdr: null, strict: on", "{\"name\":\"p\",\"strict\":true}", NULL, NULL},
        {"max_price: {prompt: 0.10}", "\"max_price\":{\"prompt\":0.10}", NULL, NULL},
        {"operator_countries: {deny: [NO, US]}",
         "\"operator_countries\":{\"deny\":[\"NO\",\"US\"]}", NULL, NULL},
        {"audit: sync", "\"audit\":\"sync\"", NULL, NULL},
        {"charge_own_keys: yes", "\"charge_own_keys\":true", NULL, NULL},
        {"sort: cheap", NULL, "policies[0].sort", "price"},
        {"max_price: {prompt: -1}", NULL, "policies[0].max_price.prompt", ""},
        {"residency: [UK]", NULL, "policies[0].residency[0]", ""},
        {"alowed_models: []", NULL, "policies[0].alowed_models", "did you mean 'allowed_models'"},
    };

    (void)state;
    run_cases("policies: [{name: p, ", cases, SB_ARRAY_LEN(cases), CP_POLICIES, "p");
}

static void each_member_of_a_key_and_a_credential_is_checked(void **state)
{
    static const struct member_case keys[] = {
        {"expires_at: 2027-12-31T00:00:00+02:00", "\"expires_at\":\"2027-12-30T22:00:00Z\"", NULL,
         NULL},
        {"expires_at: 2027-12-31", "\"expires_at\":\"2027-12-31T23:59:59Z\"", NULL, NULL},
        {"expires_at: soon", NULL, "keys[0].expires_at", "must be a time"},
        {"disabled: yes", "\"disabled\":true", NULL, NULL},
        {"disabled: no", "{\"name\":\"k\",\"tenant\":\"default\"}", NULL, NULL},
        {"disabled: \"yes\"", NULL, "keys[0].disabled", "true or false"},
        {"tenant: \"a b\"", NULL, "keys[0].tenant", "must be letters"},
        {"secret: {valu: x}", NULL, "keys[0].secret", "{value: ...}"},
        {"label: x", NULL, "keys[0].label", "is not known"},
    };
    static const struct member_case credentials[] = {
        {"tenant: t, sequence: 2, spill: false", "\"tenant\":\"t\",\"sequence\":2,\"spill\":false",
         NULL, NULL},
        {"spill: true", "{\"name\":\"c\",\"provider\":\"acme\"}", NULL, NULL},
        {"sequence: -1", NULL, "credentials[0].sequence", "must be 0 to"},
    };

    (void)state;
    run_cases("keys: [{name: k, ", keys, SB_ARRAY_LEN(keys), CP_KEYS, "k");
    run_cases("credentials: [{name: c, provider: acme, ", credentials, SB_ARRAY_LEN(credentials),
              CP_CREDENTIALS, "c");
}

static void all_problems_are_named_at_once_with_their_lines(void **state)
{
    (void)state;
    assert_int_equal(read_text("version: 2\n"
                               "provider: []\n"
                               "models: {}\n"
                               "providers:\n"
                               "  - slug: acme\n"
                               "    dialct: openai\n"
                               "  - 7\n"
                               "  - slug: acme\n"
                               "    dialect: openai\n"
                               "    base_url: https://x\n"
                               "keys:\n"
                               "  - tenant: t\n"),
                     SB_OK);
    assert_non_null(find_problem("version", "must be 1 (line 1)"));
    assert_non_null(find_problem("provider", "did you mean 'providers'? (line 2)"));
    assert_non_null(find_problem("models", "must be a list, not a map"));
    assert_non_null(find_problem("providers[0].dialct", "did you mean 'dialect'? (line 6)"));
    assert_non_null(find_problem("providers[0].dialect", "is missing (line 5)"));
    assert_non_null(find_problem("providers[0].base_url", "is missing"));
    assert_non_null(find_problem("providers[1]", "must be a map, not a number (line 7)"));
    assert_non_null(find_problem("providers[2]", "comes twice, first at providers[0]"));
    assert_non_null(find_problem("keys[0].name", "is missing"));
    assert_int_equal(problems.n, 9);
}

static void aliases_of_two_models_may_not_meet(void **state)
{
    (void)state;
    assert_int_equal(read_text("{version: 1, models: [{id: a/b, context_length: 1, aliases: [x]},"
                               "{id: c/d, context_length: 1, aliases: [y, x, a/b]}]}"),
                     SB_OK);
    assert_non_null(find_problem("models[1].aliases[1]", "'x' is an alias of a/b already"));
    assert_non_null(find_problem("models[1].aliases[2]", "'a/b' is the model a/b already"));
    assert_int_equal(problems.n, 2);
}

static void what_is_no_document_has_one_problem(void **state)
{
    (void)state;
    assert_int_equal(read_text("a: [1\n"), SB_EINVAL);
    assert_int_equal(problems.n, 1);
    assert_null(catalog);
    assert_int_equal(read_text("- 1\n"), SB_EINVAL);
    assert_non_null(find_problem("", "must be a map, not a list"));
    assert_int_equal(read_text(""), SB_OK);
    assert_non_null(find_problem("version", "is missing"));
}

static void a_single_object_takes_its_name_from_the_address(void **state)
{
    (void)state;
    cp_problems_init(&problems, arena);
    assert_int_equal(cp_catalog_read_object(CP_ENDPOINTS, SB_SLICE_LIT("a/b@acme/turbo"),
                                            SB_SLICE_LIT("{\"id\": 7, \"revision\": 3, \"pricing\":"
                                                         "{\"prompt\": 1, \"completion\": 2}}"),
                                            arena, &problems, &catalog),
                     SB_OK);
    show_problems();
    assert_int_equal(problems.n, 0);
    expect_object(
        CP_ENDPOINTS, "a/b@acme/turbo",
        "{\"tag\":\"acme/turbo\",\"provider\":\"acme\",\"model\":\"a/b\","
        "\"pricing\":{\"prompt\":\"1\",\"completion\":\"2\"},\"upstream_model\":\"a/b\"}");

    assert_int_equal(cp_catalog_read_object(CP_KEYS, SB_SLICE_LIT("one"),
                                            SB_SLICE_LIT("{\"name\": \"two\"}"), arena, &problems,
                                            &catalog),
                     SB_OK);
    assert_non_null(find_problem("", "the object is 'two', the address says 'one'"));
    cp_problems_init(&problems, arena);
    assert_int_equal(cp_catalog_read_object(CP_PROVIDERS, SB_SLICE_LIT("acme"),
                                            SB_SLICE_LIT("dialect: openai\nbase_url: x\n"), arena,
                                            &problems, &catalog),
                     SB_OK);
    assert_non_null(find_problem("base_url", "must be an http:// or https:// address (line 2)"));
}

static void a_flood_of_problems_is_counted_but_not_kept(void **state)
{
    struct sb_slice text;
    char *p = sb_arena_alloc(arena, 200000);
    size_t n = (size_t)snprintf(p, 200000, "version: 1\nkeys:\n");

    (void)state;
    for (int i = 0; i < CP_PROBLEMS_MAX + 500; i++)
        n += (size_t)snprintf(p + n, 200000 - n, "  - {name: k%d, xyzzy: 1}\n", i);
    text = sb_slice_make(p, n);
    cp_problems_init(&problems, arena);
    assert_int_equal(cp_catalog_read(text, CP_DOC_YAML, arena, &problems, &catalog), SB_OK);
    assert_int_equal(problems.n, CP_PROBLEMS_MAX + 500);
    n = 0;
    for (const struct cp_problem *one = problems.first; one != NULL; one = one->next)
        n++;
    assert_int_equal(n, CP_PROBLEMS_MAX);
}

static int setup(void **state)
{
    (void)state;
    arena = sb_arena_new(4096);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sb_arena_destroy(&arena);
    return 0;
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_example_of_the_contract_is_read_whole),
        T(what_is_left_out_is_filled_in),
        T(each_member_of_a_provider_is_checked),
        T(base_urls_have_one_spelling_per_origin),
        T(each_member_of_a_model_is_checked),
        T(names_have_their_grammar),
        T(each_member_of_an_endpoint_is_checked),
        T(prices_are_exact_decimals_and_chat_needs_two),
        T(prices_may_have_conditions),
        T(each_rule_of_a_policy_is_checked),
        T(each_member_of_a_key_and_a_credential_is_checked),
        T(all_problems_are_named_at_once_with_their_lines),
        T(aliases_of_two_models_may_not_meet),
        T(what_is_no_document_has_one_problem),
        T(a_single_object_takes_its_name_from_the_address),
        T(a_flood_of_problems_is_counted_but_not_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
