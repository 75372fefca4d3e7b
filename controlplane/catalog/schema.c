/* controlplane/catalog/schema.c - the members of each kind of object. */
#include "controlplane/catalog/schema.h"

#include <string.h>

#include "common/buf.h"
#include "proto/limits.h"
#include "proto/rules.h"
#include "proto/vocabulary.h"

/* What cp_store_get() shows beside an object; a PUT may send it back. */
#define STORE_FIELDS                                                                               \
    {.name = "id", .flags = CP_FIELD_STORE}, {.name = "revision", .flags = CP_FIELD_STORE},        \
    {                                                                                              \
        .name = "managed_by", .flags = CP_FIELD_STORE                                              \
    }

static bool take_name(struct cp_object *object, const struct cp_node *node, const char *member)
{
    return cp_node_text(cp_node_get(node, member), &object->name) == SB_OK && object->name.n > 0;
}

static void add_default(struct cp_reader *reader, const struct cp_node *node, const char *member,
                        struct sb_slice value)
{
    if (value.n > 0 && cp_node_is_null(cp_node_get(node, member)))
        sb_json_add_text(&reader->json, member, value);
}

static struct sb_slice text_at(const struct cp_node *node, const char *member)
{
    struct sb_slice text = SB_SLICE_NONE;

    if (cp_node_text(cp_node_get(node, member), &text) != SB_OK)
        return SB_SLICE_NONE;
    return text;
}

/* A problem with one member of the object. */
static void problem_at(struct cp_reader *reader, const struct cp_node *node, const char *member,
                       const char *problem)
{
    const struct cp_node *at = cp_node_get(node, member);
    size_t back = sb_json_path_member(&reader->path, sb_slice_of(member));

    cp_reader_problem(reader, at != NULL ? at : node, "%s", problem);
    sb_json_path_back(&reader->path, back);
}

/* --- providers -------------------------------------------------------------- */

static const char *const dialects[] = {"openai", NULL};
static const char *const price_updates[] = {"apply", "report", NULL};

static const struct cp_field provider_fields[] = {
    {.name = "slug", .check = cp_check_slug, .flags = CP_FIELD_REQUIRED},
    {.name = "name", .check = cp_check_line, .max = MSG_NAME_MAX},
    {.name = "dialect", .check = cp_check_word, .arg = dialects, .flags = CP_FIELD_REQUIRED},
    {.name = "base_url",
     .check = cp_check_base_url,
     .max = MSG_URL_MAX,
     .flags = CP_FIELD_REQUIRED},
    {.name = "credential", .check = cp_check_secret, .arg = "house"},
    {.name = "headquarters", .check = cp_check_country},
    {.name = "auth", .check = cp_check_auth},
    {.name = "headers", .check = cp_check_pairs, .arg = "headers"},
    {.name = "query", .check = cp_check_pairs},
    {.name = "proxy", .check = cp_check_proxy, .max = MSG_URL_MAX},
    {.name = "ca_file", .check = cp_check_path, .max = MSG_URL_MAX},
    {.name = "max_connections", .check = cp_check_number, .max = 1000000},
    {.name = "max_in_flight", .check = cp_check_number, .max = 100000000},
    {.name = "price_updates", .check = cp_check_word, .arg = price_updates},
    {.name = "privacy_policy_url", .check = cp_check_url, .max = MSG_URL_MAX},
    {.name = "terms_of_service_url", .check = cp_check_url, .max = MSG_URL_MAX},
    {.name = "status_page_url", .check = cp_check_url, .max = MSG_URL_MAX},
    {.name = "data_policy", .check = cp_check_data_policy},
    STORE_FIELDS,
};

static bool name_provider(struct cp_object *object, const struct cp_node *node,
                          struct sb_arena *arena)
{
    (void)arena;
    return take_name(object, node, "slug");
}

static void complete_provider(struct cp_reader *reader, const struct cp_node *node)
{
    add_default(reader, node, "name", text_at(node, "slug"));
}

/* --- models -------------------------------------------------------------------- */

static const struct cp_field model_fields[] = {
    {.name = "id", .check = cp_check_model_id, .flags = CP_FIELD_REQUIRED},
    {.name = "name", .check = cp_check_line, .max = MSG_NAME_MAX},
    {.name = "description", .check = cp_check_text, .max = MSG_TEXT_MAX},
    {.name = "created", .check = cp_check_date},
    {.name = "context_length",
     .check = cp_check_number,
     .min = 1,
     .max = 1000000000,
     .flags = CP_FIELD_REQUIRED},
    {.name = "input_modalities", .check = cp_check_modalities, .min = 1, .max = MSG_MODALITY_COUNT},
    {.name = "output_modalities",
     .check = cp_check_modalities,
     .min = 1,
     .max = MSG_MODALITY_COUNT},
    {.name = "image_tokens", .check = cp_check_number, .max = 10000000},
    {.name = "aliases", .check = cp_check_aliases},
    {.name = "distillable", .check = cp_check_claim},
    {.name = "revision", .flags = CP_FIELD_STORE},
    {.name = "managed_by", .flags = CP_FIELD_STORE},
};

static bool name_model(struct cp_object *object, const struct cp_node *node, struct sb_arena *arena)
{
    (void)arena;
    return take_name(object, node, "id");
}

static void complete_model(struct cp_reader *reader, const struct cp_node *node)
{
    add_default(reader, node, "name", text_at(node, "id"));
    for (int i = 0; i < 2; i++) {
        const char *member = i == 0 ? "input_modalities" : "output_modalities";

        if (cp_node_is_null(cp_node_get(node, member)))
            sb_json_add_raw(&reader->json, member, SB_SLICE_LIT("[\"text\"]"));
    }
}

/* --- tenants, policies ------------------------------------------------------------ */

static const struct cp_field tenant_fields[] = {
    {.name = "name", .check = cp_check_name, .flags = CP_FIELD_REQUIRED},
    STORE_FIELDS,
};

static bool name_by_name(struct cp_object *object, const struct cp_node *node,
                         struct sb_arena *arena)
{
    (void)arena;
    return take_name(object, node, "name");
}

/* A rule is written as it is: complete_policy() checks all of them together.
 * In YAML a rule that is a boolean may be spelled yes or no. */
static void check_rule(struct cp_reader *reader, const struct cp_field *field,
                       const struct cp_node *node)
{
    bool truth;

    if (field->arg != NULL && cp_node_bool(node, &truth) == SB_OK) {
        sb_json_add_bool(&reader->json, field->name, truth);
        return;
    }
    sb_json_name(&reader->json, sb_slice_of(field->name));
    cp_node_write(node, &reader->json);
}

#define RULE(text)                                                                                 \
    {                                                                                              \
        .name = (text), .check = check_rule                                                        \
    }
#define FLAG(text)                                                                                 \
    {                                                                                              \
        .name = (text), .check = check_rule, .arg = "boolean"                                      \
    }
static const struct cp_field policy_fields[] = {
    {.name = "name", .check = cp_check_name, .flags = CP_FIELD_REQUIRED},
    RULE("order"),
    FLAG("allow_fallbacks"),
    RULE("only"),
    RULE("ignore"),
    FLAG("require_parameters"),
    RULE("data_collection"),
    FLAG("zdr"),
    FLAG("enforce_distillable_text"),
    RULE("quantizations"),
    RULE("sort"),
    RULE("preferred_min_throughput"),
    RULE("preferred_max_latency"),
    RULE("max_price"),
    RULE("residency"),
    RULE("operator_countries"),
    RULE("min_throughput"),
    RULE("max_latency"),
    FLAG("unknown_ok"),
    RULE("max_cost"),
    RULE("pin"),
    FLAG("strict"),
    RULE("first_token_timeout_ms"),
    RULE("attempt_timeout_ms"),
    RULE("deadline_ms"),
    RULE("byok"),
    FLAG("spill"),
    RULE("session_id"),
    FLAG("fallback_on_refusal"),
    FLAG("explain"),
    RULE("allowed_models"),
    RULE("audit"),
    FLAG("charge_own_keys"),
    RULE("audit_personal"),
    FLAG("receipts"),
    STORE_FIELDS,
};
_Static_assert(SB_ARRAY_LEN(policy_fields) == 1 + MSG_RULE_COUNT + 3, "a row for every rule");

/* The database writes spaces between: what is stored here must fit a snapshot. */
enum { RULES_MAX = MSG_RULES_MAX / 2 };

/* The rules' own reader is the judge, the same as in the worker. */
static void check_rules(struct cp_reader *reader, const struct cp_node *node, struct sb_slice rules)
{
    struct msg_problem found[MSG_RULE_COUNT]; /* every rule may be wrong */
    struct msg_report report = {.problem = found, .max = SB_ARRAY_LEN(found)};
    struct msg_rules parsed;

    msg_rules_init(&parsed);
    if (msg_rules_read(&parsed, MSG_IN_POLICY, rules, reader->problems->arena, &report) == SB_OK)
        return;
    reader->bad = true;
    for (uint32_t i = 0; i < report.n && i < report.max; i++) {
        struct sb_slice path = sb_arena_printf(
            reader->problems->arena, "%.*s%s%s", (int)reader->path.n, reader->path.text,
            reader->path.n > 0 && found[i].path[0] != '\0' ? "." : "", found[i].path);

        cp_problems_add(reader->problems, path, node->line, "%s", found[i].text);
    }
    if (report.n == 0 || report.n > report.max)
        cp_reader_problem(reader, node, "the rules have more problems");
}

static void complete_policy(struct cp_reader *reader, const struct cp_node *node)
{
    struct sb_buf buf;
    struct sb_json json;

    sb_buf_init(&buf, RULES_MAX);
    sb_json_init(&json, &buf);
    sb_json_open_object(&json);
    for (size_t i = 1; i <= MSG_RULE_COUNT; i++) {
        const struct cp_field *field = &policy_fields[i];
        const struct cp_node *rule = cp_node_get(node, field->name);
        bool truth;

        if (cp_node_is_null(rule))
            continue;
        sb_json_name(&json, sb_slice_of(field->name));
        if (field->arg != NULL && cp_node_bool(rule, &truth) == SB_OK)
            sb_json_put_bool(&json, truth);
        else
            cp_node_write(rule, &json);
    }
    sb_json_close_object(&json);
    if (sb_json_end(&json) == SB_OK)
        check_rules(reader, node, sb_buf_slice(&buf));
    else
        cp_reader_problem(reader, node, "the rules are over %d bytes", RULES_MAX);
    sb_buf_release(&buf);
}

/* --- endpoints ---------------------------------------------------------------------- */

enum { TOKENS_MAX = 1000000000 };

static const struct cp_field endpoint_fields[] = {
    {.name = "model", .check = cp_check_model_id, .flags = CP_FIELD_REQUIRED},
    {.name = "provider", .check = cp_check_slug, .flags = CP_FIELD_REQUIRED},
    {.name = "tag", .check = cp_check_tag},
    {.name = "upstream_model", .check = cp_check_line, .max = MSG_MODEL_ID_MAX},
    {.name = "region", .check = cp_check_region},
    {.name = "quantization", .check = cp_check_quantization},
    {.name = "context_length", .check = cp_check_number, .max = TOKENS_MAX},
    {.name = "max_completion_tokens", .check = cp_check_number, .max = TOKENS_MAX},
    {.name = "max_prompt_tokens", .check = cp_check_number, .max = TOKENS_MAX},
    {.name = "input_modalities", .check = cp_check_modalities, .max = MSG_MODALITY_COUNT},
    {.name = "output_modalities", .check = cp_check_modalities, .max = MSG_MODALITY_COUNT},
    {.name = "supported_parameters", .check = cp_check_parameters, .max = MSG_PARAMETER_COUNT},
    {.name = "pricing", .check = cp_check_pricing},
    {.name = "eu_resident", .check = cp_check_claim},
    {.name = "zdr", .check = cp_check_claim},
    {.name = "no_training", .check = cp_check_claim},
    STORE_FIELDS,
};

static struct sb_slice tag_of(const struct cp_node *node)
{
    struct sb_slice tag = text_at(node, "tag");

    return tag.n > 0 ? tag : text_at(node, "provider");
}

static bool name_endpoint(struct cp_object *object, const struct cp_node *node,
                          struct sb_arena *arena)
{
    struct sb_slice model = text_at(node, "model");
    struct sb_slice tag = tag_of(node);

    if (model.n == 0 || tag.n == 0)
        return false;
    object->name = sb_arena_printf(arena, "%.*s%c%.*s", SB_SLICE_ARGS(model), CP_ENDPOINT_SEPARATOR,
                                   SB_SLICE_ARGS(tag));
    return true;
}

static void complete_endpoint(struct cp_reader *reader, const struct cp_node *node)
{
    struct sb_slice provider = text_at(node, "provider");
    struct sb_slice tag = tag_of(node);

    add_default(reader, node, "tag", provider);
    add_default(reader, node, "upstream_model", text_at(node, "model"));
    if (provider.n > 0 && !sb_slice_eq(tag, provider) &&
        !(sb_slice_starts_with(tag, provider) && tag.p[provider.n] == '/'))
        problem_at(reader, node, "tag", "must begin with the provider's slug");
}

/* --- keys, credentials ------------------------------------------------------------------ */

static const struct cp_field key_fields[] = {
    {.name = "name", .check = cp_check_name, .flags = CP_FIELD_REQUIRED},
    {.name = "tenant", .check = cp_check_name},
    {.name = "policy", .check = cp_check_name},
    {.name = "expires_at", .check = cp_check_time},
    {.name = "disabled", .check = cp_check_flag},
    {.name = "secret", .check = cp_check_secret},
    STORE_FIELDS,
    {.name = "label", .flags = CP_FIELD_STORE},
    {.name = "created_at", .flags = CP_FIELD_STORE},
};

static void complete_key(struct cp_reader *reader, const struct cp_node *node)
{
    add_default(reader, node, "tenant", SB_SLICE_LIT("default"));
}

static const struct cp_field credential_fields[] = {
    {.name = "name", .check = cp_check_name, .flags = CP_FIELD_REQUIRED},
    {.name = "provider", .check = cp_check_slug, .flags = CP_FIELD_REQUIRED},
    {.name = "tenant", .check = cp_check_name},
    {.name = "sequence", .check = cp_check_number, .max = 1000000},
    {.name = "spill", .check = cp_check_flag, .min = true},
    {.name = "secret", .check = cp_check_secret},
    STORE_FIELDS,
    {.name = "suspended", .flags = CP_FIELD_STORE},
    {.name = "origin", .flags = CP_FIELD_STORE},
    {.name = "entered_at", .flags = CP_FIELD_STORE},
};

const struct cp_schema cp_schemas[CP_KINDS] = {
    [CP_PROVIDERS] = {provider_fields, SB_ARRAY_LEN(provider_fields), name_provider,
                      complete_provider},
    [CP_MODELS] = {model_fields, SB_ARRAY_LEN(model_fields), name_model, complete_model},
    [CP_TENANTS] = {tenant_fields, SB_ARRAY_LEN(tenant_fields), name_by_name, NULL},
    [CP_POLICIES] = {policy_fields, SB_ARRAY_LEN(policy_fields), name_by_name, complete_policy},
    [CP_ENDPOINTS] = {endpoint_fields, SB_ARRAY_LEN(endpoint_fields), name_endpoint,
                      complete_endpoint},
    [CP_KEYS] = {key_fields, SB_ARRAY_LEN(key_fields), name_by_name, complete_key},
    [CP_CREDENTIALS] = {credential_fields, SB_ARRAY_LEN(credential_fields), name_by_name, NULL},
};
