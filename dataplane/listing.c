/* dataplane/listing.c - the catalogue as clients see it: models, endpoints,
 * providers, out of the snapshot that the request has pinned.
 *
 * Members and units are OpenRouter's (prices per token, as strings), with what
 * OpenAI's clients want beside them.  A key sees the models that its policy
 * allows.
 */
#define _GNU_SOURCE /* memmem */
#include "common/err.h"
#include "common/json.h"
#include "dataplane/answer.h"
#include "dataplane/api.h"
#include "dataplane/request.h"
#include "dataplane/route/policy.h"
#include "dataplane/route/prices.h"
#include "dataplane/route/tables.h"
#include "dataplane/route/view.h"
#include "dataplane/worker.h"

enum { LISTING_MAX = 256 << 20 };

/* --- pieces ------------------------------------------------------------------ */

static void add_modalities(struct sb_json *json, const char *name, uint32_t bits)
{
    sb_json_add_array(json, name);
    for (; bits != 0; bits &= bits - 1)
        sb_json_put_text(json, sb_slice_of(msg_modality_name(__builtin_ctz(bits))));
    sb_json_close_array(json);
}

static void add_parameters(struct sb_json *json, uint64_t bits)
{
    sb_json_add_array(json, "supported_parameters");
    for (; bits != 0; bits &= bits - 1)
        sb_json_put_text(json, sb_slice_of(msg_parameter_name(__builtin_ctzll(bits))));
    sb_json_close_array(json);
}

/* NULL: of nobody. */
static void add_pricing(struct sb_json *json, const struct msg_endpoint *row)
{
    static const int64_t none[MSG_PRICE_COUNT] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};

    sb_json_add_object(json, "pricing");
    dp_prices_add(json, row != NULL ? row->price : none);
    if (row != NULL && row->n_overrides > 0) {
        sb_json_add_array(json, "overrides");
        for (size_t i = 0; i < row->n_overrides; i++) {
            sb_json_open_object(json);
            dp_prices_add_override(json, &row->overrides[i]);
            sb_json_close_object(json);
        }
        sb_json_close_array(json);
    }
    sb_json_close_object(json);
}

static void add_architecture(struct sb_json *json, uint32_t in, uint32_t out)
{
    sb_json_add_object(json, "architecture");
    sb_json_add_null(json, "modality");
    add_modalities(json, "input_modalities", in);
    add_modalities(json, "output_modalities", out);
    sb_json_add_text(json, "tokenizer", SB_SLICE_LIT("Other"));
    sb_json_add_null(json, "instruct_type");
    sb_json_close_object(json);
}

static void add_claim(struct sb_json *json, const char *name, const struct msg_claim *claim)
{
    sb_json_add_text(json, name, sb_slice_of(msg_tri_name(claim->value)));
}

/* The endpoint whose prices stand for the model: the cheapest prompt. */
static const struct msg_endpoint *cheapest(const struct dp_snapshot *snapshot,
                                           const struct dp_model *model)
{
    const struct dp_endpoint *endpoints = dp_model_endpoints(snapshot, model);
    const struct msg_endpoint *best = NULL;

    for (uint32_t i = 0; i < model->n; i++)
        if (best == NULL || endpoints[i].row->price[0] < best->price[0])
            best = endpoints[i].row;
    return best;
}

/* --- models ------------------------------------------------------------------ */

static void put_model(struct sb_json *json, const struct dp_snapshot *snapshot,
                      const struct dp_model *model)
{
    const struct msg_model *row = model->row;
    const struct msg_endpoint *best = cheapest(snapshot, model);
    size_t slash = sb_slice_find(row->id, '/');

    sb_json_open_object(json);
    sb_json_add_text(json, "id", row->id);
    sb_json_add_text(json, "object", SB_SLICE_LIT("model"));
    sb_json_add_text(json, "owned_by", sb_slice_make(row->id.p, slash));
    sb_json_add_text(json, "canonical_slug", row->id);
    sb_json_add_text(json, "name", row->name);
    sb_json_add_i64(json, "created", row->created);
    sb_json_add_text(json, "description", row->description);
    sb_json_add_u64(json, "context_length", row->context_length);
    add_architecture(json, row->input_modalities, row->output_modalities);
    add_pricing(json, best);
    sb_json_add_object(json, "top_provider");
    sb_json_add_u64(json, "context_length", best != NULL ? best->context_length : 0);
    if (best != NULL && best->max_completion_tokens > 0)
        sb_json_add_u64(json, "max_completion_tokens", best->max_completion_tokens);
    else
        sb_json_add_null(json, "max_completion_tokens");
    sb_json_add_bool(json, "is_moderated", false);
    sb_json_close_object(json);
    sb_json_add_null(json, "per_request_limits");
    add_parameters(json, model->parameters);
    sb_json_add_null(json, "default_parameters");
    sb_json_add_null(json, "supported_voices");
    sb_json_add_object(json, "links");
    sb_json_add_text(json, "details", SB_SLICE_LIT("/v1/models"));
    sb_json_close_object(json);
    add_claim(json, "distillable", &row->distillable);
    sb_json_close_object(json);
}

/* What ?output_modalities=, ?distillable=, ?q= ask for. */
struct wish {
    int modality; /* -1 any */
    bool distillable;
    struct sb_slice text;
    uint64_t offset, limit;
};

static uint64_t number_of(struct dp_request *req, struct sb_slice name, uint64_t otherwise)
{
    struct sb_slice text = dp_api_query(req, name);
    int64_t n = 0;

    return text.n > 0 && sb_splice_get_int(text, &n) == SB_OK && n >= 0 ? (uint64_t)n : otherwise;
}

static struct wish read_wish(struct dp_request *req)
{
    struct sb_slice modality = dp_api_query(req, SB_SLICE_LIT("output_modalities"));

    return (struct wish){
        .modality = modality.n > 0 ? msg_modality_parse(modality) : -1,
        .distillable = sb_slice_is(dp_api_query(req, SB_SLICE_LIT("distillable")), "true"),
        .text = dp_api_query(req, SB_SLICE_LIT("q")),
        .offset = number_of(req, SB_SLICE_LIT("offset"), 0),
        .limit = number_of(req, SB_SLICE_LIT("limit"), UINT64_MAX),
    };
}

static bool is_wanted(const struct dp_request *req, const struct wish *wish,
                      const struct dp_model *model)
{
    const struct msg_model *row = model->row;

    if (!dp_policy_allows_model(req->key->policy, row->id))
        return false;
    if (wish->modality >= 0 && (row->output_modalities >> wish->modality & 1) == 0)
        return false;
    if (wish->distillable && row->distillable.value != MSG_TRI_YES)
        return false;
    return wish->text.n == 0 || memmem(row->id.p, row->id.n, wish->text.p, wish->text.n) != NULL ||
           memmem(row->name.p, row->name.n, wish->text.p, wish->text.n) != NULL;
}

/* Ends an answer of one document. */
static void finish(struct dp_request *req, struct sb_json *json, const struct sb_buf *body)
{
    if (sb_json_end(json) == SB_OK)
        dp_answer_json(req, 200, sb_buf_slice(body));
    else
        dp_answer_text(req, 500, "application/json", SB_SLICE_LIT("{\"error\":{\"code\":500}}"));
    dp_request_done(req);
}

static void not_found(struct dp_request *req)
{
    dp_request_fail(req, MSG_OUTCOME_INVALID,
                    &(struct dp_error){.status = 404,
                                       .type = "not_found",
                                       .message = SB_SLICE_INIT("there is no such model")});
}

void dp_serve_models(struct dp_request *req)
{
    const struct dp_snapshot *snapshot = req->snapshot;
    const struct wish wish = read_wish(req);
    SB_CLEANUP(sb_buf_release) struct sb_buf body;
    struct sb_json json;
    uint64_t n = 0;

    sb_buf_init(&body, LISTING_MAX);
    sb_json_init(&json, &body);
    sb_json_open_object(&json);
    sb_json_add_text(&json, "object", SB_SLICE_LIT("list"));
    sb_json_add_array(&json, "data");
    for (size_t i = 0; i < snapshot->records->n_models; i++) {
        if (!is_wanted(req, &wish, &snapshot->models[i]))
            continue;
        if (n >= wish.offset && n - wish.offset < wish.limit)
            put_model(&json, snapshot, &snapshot->models[i]);
        n++;
    }
    sb_json_close_array(&json);
    sb_json_add_u64(&json, "total_count", n);
    sb_json_add_object(&json, "links");
    sb_json_add_null(&json, "next");
    sb_json_close_object(&json);
    sb_json_close_object(&json);
    finish(req, &json, &body);
}

void dp_serve_models_count(struct dp_request *req)
{
    const struct wish wish = read_wish(req);
    SB_CLEANUP(sb_buf_release) struct sb_buf body;
    struct sb_json json;
    uint64_t n = 0;

    for (size_t i = 0; i < req->snapshot->records->n_models; i++)
        n += is_wanted(req, &wish, &req->snapshot->models[i]);
    sb_buf_init(&body, LISTING_MAX);
    sb_json_init(&json, &body);
    sb_json_open_object(&json);
    sb_json_add_object(&json, "data");
    sb_json_add_u64(&json, "count", n);
    sb_json_close_object(&json);
    sb_json_close_object(&json);
    finish(req, &json, &body);
}

/* The model of /v1/model/{author}/{slug} and its kin; NULL: 404.  OpenAI's
 * client escapes the slash of an id: all of it is one segment then. */
static const struct dp_model *model_of(struct dp_request *req)
{
    struct sb_slice author = dp_api_name(req, 2), slug = dp_api_name(req, 3);
    struct sb_slice id = slug.n == 0 ? author
                                     : sb_arena_printf(req->arena, "%.*s/%.*s",
                                                       SB_SLICE_ARGS(author), SB_SLICE_ARGS(slug));
    const struct dp_model *model = dp_snapshot_find_model(req->snapshot, id);

    return model != NULL && dp_policy_allows_model(req->key->policy, model->row->id) ? model : NULL;
}

void dp_serve_model(struct dp_request *req)
{
    const struct dp_model *model = model_of(req);
    bool wrapped = sb_slice_is(dp_api_segment(req->path, 1), "model");
    SB_CLEANUP(sb_buf_release) struct sb_buf body;
    struct sb_json json;

    sb_buf_init(&body, LISTING_MAX);
    if (model == NULL) {
        not_found(req);
        return;
    }
    sb_json_init(&json, &body);
    /* OpenRouter wraps it in "data"; OpenAI's GET /v1/models/{id} does not */
    if (wrapped) {
        sb_json_open_object(&json);
        sb_json_name(&json, SB_SLICE_LIT("data"));
    }
    put_model(&json, req->snapshot, model);
    if (wrapped)
        sb_json_close_object(&json);
    finish(req, &json, &body);
}

/* --- endpoints ----------------------------------------------------------------- */

static void add_percentiles(struct sb_json *json, const char *name, const uint32_t *values,
                            uint32_t scale)
{
    static const char *const names[MSG_PERCENTILES] = {"p50", "p75", "p90", "p99"};

    if (values == NULL || values[0] == MSG_NO_DATA) {
        sb_json_add_null(json, name);
        return;
    }
    sb_json_add_object(json, name);
    for (int i = 0; i < MSG_PERCENTILES; i++)
        sb_json_add_double(json, names[i], (double)values[i] / scale);
    sb_json_close_object(json);
}

/* In percent. */
static void add_uptime(struct sb_json *json, const char *name, uint32_t uptime)
{
    if (uptime == MSG_NO_DATA)
        sb_json_add_null(json, name);
    else
        sb_json_add_double(json, name, uptime / 10000.0);
}

static void put_measured(struct sb_json *json, const struct dp_request *req,
                         const struct dp_endpoint *endpoint)
{
    const struct dp_row *row = dp_tables_find(req->worker->tables, req->snapshot, endpoint);
    sb_msec now = sb_loop_now(req->worker->loop);
    bool fresh = dp_row_is_fresh(row, now);
    bool half_hour = row != NULL && now < row->half_hour_until;
    bool day = row != NULL && now < row->day_until;

    sb_json_add_i64(json, "status", row != NULL && row->outage_until > now ? -2 : 0);
    add_uptime(json, "uptime_last_5m", fresh ? row->uptime : MSG_NO_DATA);
    add_uptime(json, "uptime_last_30m", half_hour ? row->uptime_half_hour : MSG_NO_DATA);
    add_uptime(json, "uptime_last_1d", day ? row->uptime_day : MSG_NO_DATA);
    add_percentiles(json, "latency_last_30m", half_hour ? row->first_token_half_hour : NULL, 1);
    add_percentiles(json, "throughput_last_30m", half_hour ? row->throughput_half_hour : NULL,
                    1000);
}

/* The catalogue knows whether an endpoint takes the parameter, not which values. */
static void add_tool_choice(struct sb_json *json, bool is_supported)
{
    static const char *const values[] = {"none", "auto", "required", "function"};

    sb_json_add_object(json, "supports_tool_choice");
    for (size_t i = 0; i < SB_ARRAY_LEN(values); i++)
        sb_json_add_bool(json, values[i], is_supported);
    sb_json_close_object(json);
}

static void put_endpoint(struct sb_json *json, const struct dp_request *req,
                         const struct dp_endpoint *endpoint)
{
    const struct msg_snapshot *records = req->snapshot->records;
    const struct msg_endpoint *row = endpoint->row;
    const struct msg_provider *provider = &records->providers[row->provider];
    const struct msg_model *model = &records->models[row->model];

    sb_json_open_object(json);
    sb_json_add_text(json, "name",
                     sb_arena_printf(req->arena, "%.*s | %.*s", SB_SLICE_ARGS(provider->name),
                                     SB_SLICE_ARGS(model->id)));
    sb_json_add_text(json, "model_id", model->id);
    sb_json_add_text(json, "model_name", model->name);
    sb_json_add_text(json, "provider_name", provider->name);
    sb_json_add_text(json, "tag", row->tag);
    sb_json_add_u64(json, "context_length", row->context_length);
    if (row->max_completion_tokens > 0)
        sb_json_add_u64(json, "max_completion_tokens", row->max_completion_tokens);
    else
        sb_json_add_null(json, "max_completion_tokens");
    if (row->max_prompt_tokens > 0)
        sb_json_add_u64(json, "max_prompt_tokens", row->max_prompt_tokens);
    else
        sb_json_add_null(json, "max_prompt_tokens");
    add_pricing(json, row);
    sb_json_add_text(json, "quantization", sb_slice_of(msg_quantization_name(row->quantization)));
    add_parameters(json, row->parameters);
    sb_json_add_bool(json, "supports_implicit_caching", endpoint->cheaper_cached);
    add_tool_choice(json, row->parameters >> MSG_PARAMETER_TOOL_CHOICE & 1);
    sb_json_add_text(json, "region", row->region);
    for (int kind = 0; kind < MSG_ENDPOINT_CLAIMS; kind++)
        add_claim(json, msg_claim_name(kind), &row->claim[kind]);
    put_measured(json, req, endpoint);
    sb_json_close_object(json);
}

void dp_serve_model_endpoints(struct dp_request *req)
{
    const struct dp_model *model = model_of(req);
    SB_CLEANUP(sb_buf_release) struct sb_buf body;
    struct sb_json json;

    sb_buf_init(&body, LISTING_MAX);
    if (model == NULL) {
        not_found(req);
        return;
    }
    sb_json_init(&json, &body);
    sb_json_open_object(&json);
    sb_json_add_object(&json, "data");
    sb_json_add_text(&json, "id", model->row->id);
    sb_json_add_text(&json, "name", model->row->name);
    sb_json_add_i64(&json, "created", model->row->created);
    sb_json_add_text(&json, "description", model->row->description);
    add_architecture(&json, model->row->input_modalities, model->row->output_modalities);
    sb_json_add_array(&json, "endpoints");
    for (uint32_t i = 0; i < model->n; i++)
        put_endpoint(&json, req, &dp_model_endpoints(req->snapshot, model)[i]);
    sb_json_close_array(&json);
    sb_json_close_object(&json);
    sb_json_close_object(&json);
    finish(req, &json, &body);
}

void dp_serve_zdr_endpoints(struct dp_request *req)
{
    const struct dp_snapshot *snapshot = req->snapshot;
    int32_t today = (int32_t)(req->record.received_at / 1000000 / 86400);
    SB_CLEANUP(sb_buf_release) struct sb_buf body;
    struct sb_json json;

    sb_buf_init(&body, LISTING_MAX);
    sb_json_init(&json, &body);
    sb_json_open_object(&json);
    sb_json_add_array(&json, "data");
    for (size_t i = 0; i < snapshot->records->n_endpoints; i++) {
        const struct dp_endpoint *endpoint = &snapshot->endpoints[i];

        if (endpoint->holds_through[MSG_CLAIM_ZDR] >= today &&
            dp_policy_allows_model(req->key->policy, snapshot->models[endpoint->model].row->id))
            put_endpoint(&json, req, endpoint);
    }
    sb_json_close_array(&json);
    sb_json_close_object(&json);
    finish(req, &json, &body);
}

/* --- providers ----------------------------------------------------------------- */

static void add_or_null(struct sb_json *json, const char *name, struct sb_slice text)
{
    if (text.n > 0)
        sb_json_add_text(json, name, text);
    else
        sb_json_add_null(json, name);
}

void dp_serve_providers(struct dp_request *req)
{
    const struct msg_snapshot *records = req->snapshot->records;
    SB_CLEANUP(sb_buf_release) struct sb_buf body;
    struct sb_json json;

    sb_buf_init(&body, LISTING_MAX);
    sb_json_init(&json, &body);
    sb_json_open_object(&json);
    sb_json_add_array(&json, "data");
    for (size_t i = 0; i < records->n_providers; i++) {
        const struct msg_provider *provider = &records->providers[i];

        sb_json_open_object(&json);
        sb_json_add_text(&json, "name", provider->name);
        sb_json_add_text(&json, "slug", provider->slug);
        add_or_null(&json, "headquarters", provider->headquarters);
        sb_json_add_null(&json, "datacenters");
        add_or_null(&json, "privacy_policy_url", provider->privacy_policy_url);
        add_or_null(&json, "terms_of_service_url", provider->terms_of_service_url);
        add_or_null(&json, "status_page_url", provider->status_page_url);
        sb_json_close_object(&json);
    }
    sb_json_close_array(&json);
    sb_json_close_object(&json);
    finish(req, &json, &body);
}
