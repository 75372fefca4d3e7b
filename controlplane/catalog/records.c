/* controlplane/catalog/records.c */
#include "controlplane/catalog/records.h"

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/check.h"
#include "common/json.h"
#include "common/splice.h"
#include "common/timefmt.h"
#include "controlplane/catalog/prices.h"
#include "proto/snapshot.h"

enum { SECONDS_PER_DAY = 86400 };

struct making {
    const struct cp_catalog *catalog;
    struct sb_arena *arena;
    struct cp_problems *problems;
    struct msg_snapshot *records;
    /* what providers claim for all their endpoints, by index */
    struct msg_claim (*claims)[MSG_ENDPOINT_CLAIMS];
};

/* --- helpers ------------------------------------------------------------------- */

/* Zeroed; for sizes that grow with the document. */
static void *room(struct making *making, size_t n, size_t size)
{
    void *rows = sb_arena_try(making->arena, n * size + 1);

    if (rows != NULL)
        memset(rows, 0, n * size);
    return rows;
}

static void free_doc(void *ctx)
{
    yyjson_doc *doc = ctx;

    sb_json_free(&doc);
}

/* The object's normal form, which lives as long as the arena. */
static int open_object(struct making *making, const struct cp_object *object,
                       yyjson_val **ret_object)
{
    yyjson_doc *doc = NULL;
    int rc = sb_json_read(object->json, object->json.n, &doc, NULL);

    if (rc != SB_OK)
        return rc;
    sb_arena_on_destroy(making->arena, free_doc, doc);
    *ret_object = yyjson_doc_get_root(doc);
    return SB_OK;
}

/* The index in its section, which is in the order of by_name; or MSG_NONE. */
static uint32_t index_of(const struct cp_catalog *catalog, enum cp_kind kind, struct sb_slice name)
{
    size_t place = cp_catalog_place(catalog, kind, name);

    return place < catalog->n[kind] ? (uint32_t)place : MSG_NONE;
}

static struct sb_slice text_of(yyjson_val *object, const char *member)
{
    return sb_json_text(yyjson_obj_get(object, member));
}

static uint32_t number_of(yyjson_val *object, const char *member)
{
    return (uint32_t)yyjson_get_uint(yyjson_obj_get(object, member));
}

static int32_t day_of(yyjson_val *object, const char *member)
{
    int32_t day = 0;

    return sb_date_parse(text_of(object, member), &day) == SB_OK ? day : 0;
}

typedef int parse_fn(struct sb_slice text);

static uint64_t bits_of(yyjson_val *list, parse_fn *parse)
{
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);
    yyjson_val *word;
    uint64_t bits = 0;

    while ((word = yyjson_arr_iter_next(&iter)) != NULL) {
        int number = parse(sb_json_text(word));

        if (number >= 0)
            bits |= UINT64_C(1) << number;
    }
    return bits;
}

/* False: there is none. */
static bool read_claim(yyjson_val *claim, struct msg_claim *ret_claim)
{
    int tri = msg_tri_parse(text_of(claim, "value"));

    if (!yyjson_is_obj(claim))
        return false;
    *ret_claim = (struct msg_claim){.value = (uint8_t)(tri > 0 ? tri : MSG_TRI_UNKNOWN),
                                    .evidence = text_of(claim, "evidence"),
                                    .attested_by = text_of(claim, "attested_by"),
                                    .attested_on = day_of(claim, "attested_on"),
                                    .expires_on = day_of(claim, "expires_on")};
    return true;
}

/* --- providers -------------------------------------------------------------------- */

static int compare_pairs(const void *a, const void *b)
{
    const struct msg_pair *x = a, *y = b;

    return cp_slice_order(x->name, y->name);
}

static int read_pairs(struct making *making, yyjson_val *object, const struct msg_pair **ret_pairs,
                      size_t *ret_n)
{
    struct msg_pair *pairs = room(making, yyjson_obj_size(object), sizeof(*pairs));
    yyjson_obj_iter iter = yyjson_obj_iter_with(object);
    yyjson_val *name;
    size_t n = 0;

    if (pairs == NULL)
        return SB_ENOMEM;
    while ((name = yyjson_obj_iter_next(&iter)) != NULL)
        pairs[n++] = (struct msg_pair){.name = sb_json_text(name),
                                       .value = sb_json_text(yyjson_obj_iter_get_val(name))};
    qsort(pairs, n, sizeof(*pairs), compare_pairs);
    *ret_pairs = pairs;
    *ret_n = n;
    return SB_OK;
}

static int make_provider(struct making *making, const struct cp_object *from, yyjson_val *object,
                         size_t i)
{
    struct msg_provider *row = &making->records->providers[i];
    yyjson_val *policy = yyjson_obj_get(object, "data_policy");
    struct sb_slice header = text_of(yyjson_obj_get(object, "auth"), "header");
    int rc;

    (void)from;
    *row = (struct msg_provider){
        .slug = text_of(object, "slug"),
        .name = text_of(object, "name"),
        .dialect = text_of(object, "dialect"),
        .base_url = text_of(object, "base_url"),
        .headquarters = text_of(object, "headquarters"),
        .auth_header = header.n > 0 ? header : SB_SLICE_LIT("authorization"),
        .proxy = text_of(object, "proxy"),
        .ca_file = text_of(object, "ca_file"),
        .max_connections = number_of(object, "max_connections"),
        .max_in_flight = number_of(object, "max_in_flight"),
        .privacy_policy_url = text_of(object, "privacy_policy_url"),
        .terms_of_service_url = text_of(object, "terms_of_service_url"),
        .status_page_url = text_of(object, "status_page_url"),
    };
    rc = read_pairs(making, yyjson_obj_get(object, "headers"), &row->headers, &row->n_headers);
    if (rc == SB_OK)
        rc = read_pairs(making, yyjson_obj_get(object, "query"), &row->query, &row->n_query);
    (void)read_claim(yyjson_obj_get(policy, "zdr"), &making->claims[i][MSG_CLAIM_ZDR]);
    (void)read_claim(yyjson_obj_get(policy, "no_training"),
                     &making->claims[i][MSG_CLAIM_NO_TRAINING]);
    return rc;
}

/* --- models, policies -------------------------------------------------------------- */

static int make_model(struct making *making, const struct cp_object *from, yyjson_val *object,
                      size_t i)
{
    struct msg_model *row = &making->records->models[i];
    yyjson_val *list = yyjson_obj_get(object, "aliases");
    struct sb_slice *aliases = room(making, yyjson_arr_size(list), sizeof(*aliases));
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);
    yyjson_val *alias;

    (void)from;
    if (aliases == NULL)
        return SB_ENOMEM;
    *row = (struct msg_model){
        .id = text_of(object, "id"),
        .name = text_of(object, "name"),
        .description = text_of(object, "description"),
        .created = (int64_t)day_of(object, "created") * SECONDS_PER_DAY,
        .context_length = number_of(object, "context_length"),
        .input_modalities =
            (uint32_t)bits_of(yyjson_obj_get(object, "input_modalities"), msg_modality_parse),
        .output_modalities =
            (uint32_t)bits_of(yyjson_obj_get(object, "output_modalities"), msg_modality_parse),
        .image_tokens = number_of(object, "image_tokens"),
        .aliases = aliases,
    };
    while ((alias = yyjson_arr_iter_next(&iter)) != NULL)
        aliases[row->n_aliases++] = sb_json_text(alias);
    (void)read_claim(yyjson_obj_get(object, "distillable"), &row->distillable);
    return SB_OK;
}

/* The rules are all members but the name, as written: prices stay exact. */
static int make_policy(struct making *making, const struct cp_object *from, yyjson_val *object,
                       size_t i)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf rules;
    struct sb_splice_member members[SB_SPLICE_MEMBERS];
    struct sb_splice_edit cuts[1];
    struct sb_splice_edits edits;
    struct sb_splice doc;
    int rc;

    sb_buf_init(&rules, MSG_RULES_MAX);
    sb_splice_init(&doc, members, SB_ARRAY_LEN(members));
    rc = sb_splice_scan(&doc, from->json, SB_SPLICE_DEPTH, NULL);
    if (SB_NEVER(rc != SB_OK)) /* it is our own normal form */
        return rc;
    sb_splice_edits_init(&edits, &doc, cuts, SB_ARRAY_LEN(cuts));
    rc = sb_splice_cut(&edits, sb_splice_find(&doc, SB_SLICE_LIT("name")));
    if (rc == SB_OK)
        rc = sb_splice_emit(&edits, &rules);
    if (rc == SB_OK)
        making->records->policies[i] =
            (struct msg_policy){.id = i + 1,
                                .name = text_of(object, "name"),
                                .rules = sb_arena_dup(making->arena, sb_buf_slice(&rules))};
    return rc;
}

/* --- endpoints ------------------------------------------------------------------------ */

static void problem_at(struct making *making, const struct cp_object *object, const char *member,
                       const char *text, struct sb_slice name)
{
    struct sb_slice path =
        sb_arena_printf(making->problems->arena, "%.*s.%s", SB_SLICE_ARGS(object->path), member);

    cp_problems_add(making->problems, path, object->line, "%s '%.*s'", text, SB_SLICE_ARGS(name));
}

/* What it does not say itself is the model's and the provider's. */
static void inherit(const struct making *making, yyjson_val *object, struct msg_endpoint *row)
{
    static const char *const members[MSG_ENDPOINT_CLAIMS] = {
        [MSG_CLAIM_EU_RESIDENT] = "eu_resident",
        [MSG_CLAIM_ZDR] = "zdr",
        [MSG_CLAIM_NO_TRAINING] = "no_training",
    };
    const struct msg_model *model = &making->records->models[row->model];

    if (row->context_length == 0)
        row->context_length = model->context_length;
    if (row->input_modalities == 0)
        row->input_modalities = model->input_modalities;
    if (row->output_modalities == 0)
        row->output_modalities = model->output_modalities;
    for (int claim = 0; claim < MSG_ENDPOINT_CLAIMS; claim++) {
        if (!read_claim(yyjson_obj_get(object, members[claim]), &row->claim[claim]))
            row->claim[claim] = making->claims[row->provider][claim];
    }
}

static int make_endpoint(struct making *making, const struct cp_object *from, yyjson_val *object,
                         struct msg_endpoint *row)
{
    yyjson_val *pricing = yyjson_obj_get(object, "pricing");
    struct sb_slice model = text_of(object, "model"), provider = text_of(object, "provider");
    int quantization = msg_quantization_parse(text_of(object, "quantization")), rc;

    *row = (struct msg_endpoint){
        .model = index_of(making->catalog, CP_MODELS, model),
        .provider = index_of(making->catalog, CP_PROVIDERS, provider),
        .tag = text_of(object, "tag"),
        .upstream_model = text_of(object, "upstream_model"),
        .region = text_of(object, "region"),
        .quantization = (uint8_t)(quantization > 0 ? quantization : MSG_QUANTIZATION_UNKNOWN),
        .context_length = number_of(object, "context_length"),
        .max_completion_tokens = number_of(object, "max_completion_tokens"),
        .max_prompt_tokens = number_of(object, "max_prompt_tokens"),
        .input_modalities =
            (uint32_t)bits_of(yyjson_obj_get(object, "input_modalities"), msg_modality_parse),
        .output_modalities =
            (uint32_t)bits_of(yyjson_obj_get(object, "output_modalities"), msg_modality_parse),
        .parameters = bits_of(yyjson_obj_get(object, "supported_parameters"), msg_parameter_parse),
    };
    for (int kind = 0; kind < MSG_PRICE_COUNT; kind++)
        row->price[kind] = cp_price_read(pricing, kind);
    rc = cp_overrides_read(yyjson_obj_get(pricing, "overrides"), making->arena, &row->overrides,
                           &row->n_overrides);
    if (row->model == MSG_NONE)
        problem_at(making, from, "model", "there is no model", model);
    if (row->provider == MSG_NONE)
        problem_at(making, from, "provider", "there is no provider", provider);
    if (row->model != MSG_NONE && row->provider != MSG_NONE)
        inherit(making, object, row);
    return rc;
}

static int compare_endpoints(const void *a, const void *b)
{
    const struct msg_endpoint *x = a, *y = b;

    if (x->model != y->model)
        return x->model < y->model ? -1 : 1;
    return cp_slice_order(x->tag, y->tag);
}

/* --- the whole ---------------------------------------------------------------------------- */

/* from: as the document has it; object: its normal form. */
typedef int make_fn(struct making *making, const struct cp_object *from, yyjson_val *object,
                    size_t i);

/* Sections but the endpoints, in the order of their names. */
static int make_section(struct making *making, enum cp_kind kind, make_fn *make)
{
    int rc = SB_OK;

    for (size_t i = 0; rc == SB_OK && i < making->catalog->n[kind]; i++) {
        const struct cp_object *from = making->catalog->by_name[kind][i];
        yyjson_val *object = NULL;

        rc = open_object(making, from, &object);
        if (rc == SB_OK)
            rc = make(making, from, object, i);
    }
    return rc;
}

static int make_endpoints(struct making *making)
{
    const struct cp_catalog *catalog = making->catalog;
    struct msg_endpoint *rows = making->records->endpoints;
    size_t n = catalog->n[CP_ENDPOINTS];
    int rc = SB_OK;

    for (size_t i = 0; rc == SB_OK && i < n; i++) {
        const struct cp_object *from = &catalog->objects[CP_ENDPOINTS][i];
        yyjson_val *object = NULL;

        rc = open_object(making, from, &object);
        if (rc == SB_OK)
            rc = make_endpoint(making, from, object, &rows[i]);
    }
    if (n > 0)
        qsort(rows, n, sizeof(*rows), compare_endpoints);
    for (size_t i = 0; i < n; i++)
        rows[i].id = i + 1;
    return rc;
}

static int make_rooms(struct making *making)
{
    const struct cp_catalog *catalog = making->catalog;
    struct msg_snapshot *records = making->records;
    static const struct msg_tenant tenant = {.id = 1, .name = {"default", 7}};

    records->n_providers = catalog->n[CP_PROVIDERS];
    records->n_models = catalog->n[CP_MODELS];
    records->n_policies = catalog->n[CP_POLICIES];
    records->n_endpoints = catalog->n[CP_ENDPOINTS];
    records->n_tenants = 1;
    records->providers = room(making, records->n_providers, sizeof(*records->providers));
    records->models = room(making, records->n_models, sizeof(*records->models));
    records->policies = room(making, records->n_policies, sizeof(*records->policies));
    records->endpoints = room(making, records->n_endpoints, sizeof(*records->endpoints));
    records->tenants = room(making, records->n_tenants, sizeof(*records->tenants));
    making->claims = room(making, records->n_providers, sizeof(*making->claims));
    if (records->providers == NULL || records->models == NULL || records->policies == NULL ||
        records->endpoints == NULL || records->tenants == NULL || making->claims == NULL)
        return SB_ENOMEM;
    records->tenants[0] = tenant;
    return SB_OK;
}

int cp_records_make(const struct cp_catalog *catalog, struct sb_arena *arena,
                    struct cp_problems *problems, struct msg_snapshot **ret_records)
{
    struct making making = {.catalog = catalog, .arena = arena, .problems = problems};
    struct sb_errmsg err = {.text = ""};
    size_t before = problems->n;
    int rc;

    making.records = sb_arena_alloc(arena, sizeof(*making.records));
    rc = make_rooms(&making);
    if (rc == SB_OK)
        rc = make_section(&making, CP_PROVIDERS, make_provider);
    if (rc == SB_OK)
        rc = make_section(&making, CP_MODELS, make_model);
    if (rc == SB_OK)
        rc = make_section(&making, CP_POLICIES, make_policy);
    if (rc == SB_OK)
        rc = make_endpoints(&making);
    if (rc != SB_OK)
        return rc;
    if (problems->n > before)
        return SB_EINVAL;
    rc = msg_snapshot_check(making.records, &err); /* names across models */
    if (rc == SB_EPARSE) {
        cp_problems_add(problems, SB_SLICE_NONE, 0, "%s", err.text);
        return SB_EINVAL;
    }
    if (rc == SB_OK)
        *ret_records = making.records;
    return rc;
}
