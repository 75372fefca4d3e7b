/* controlplane/admin/audit_requests.c - GET audit/requests: what was asked, who
 * served it, and what was held for it then. */
#include <inttypes.h>

#include "common/num.h"
#include "common/timefmt.h"
#include "controlplane/admin/call.h"
#include "controlplane/admin/cell.h"
#include "controlplane/admin/csv.h"
#include "controlplane/admin/filter.h"
#include "controlplane/admin/routes.h"
#include "controlplane/admin/view.h"
#include "proto/vocabulary.h"

/* X(NAME, "expression"): the columns in their order. */
#define COLUMN_MAP(X)                                                                              \
    X(GENERATION, "generation")                                                                    \
    X(REQUEST_ID, "request_id")                                                                    \
    X(RECEIVED_AT, "received_at")                                                                  \
    X(TOOK, "took_us")                                                                             \
    X(FIRST_TOKEN, "first_token_us")                                                               \
    X(API, "api")                                                                                  \
    X(STREAMED, "streamed")                                                                        \
    X(KEY, "key_name")                                                                             \
    X(TENANT, "tenant_name")                                                                       \
    X(MODEL_ASKED, "model_asked")                                                                  \
    X(MODEL_SERVED, "model_served")                                                                \
    X(ENDPOINT_ID, "endpoint_id")                                                                  \
    X(TAG, "tag")                                                                                  \
    X(PROVIDER, "provider")                                                                        \
    X(REGION, "region")                                                                            \
    X(CREDENTIAL, "credential_kind")                                                               \
    X(EPOCH, "epoch")                                                                              \
    X(REVISION, "revision")                                                                        \
    X(DEMANDED, "demanded")                                                                        \
    X(RESIDENCY, "residency")                                                                      \
    X(EVIDENCE, "evidence::text")                                                                  \
    X(ATTEMPTS, "attempts::text")                                                                  \
    X(PROMPT, "prompt_tokens")                                                                     \
    X(COMPLETION, "completion_tokens")                                                             \
    X(CACHED, "cached_tokens")                                                                     \
    X(CACHE_WRITE, "cache_write_tokens")                                                           \
    X(REASONING, "reasoning_tokens")                                                               \
    X(USAGE_SOURCE, "usage_source")                                                                \
    X(COST, "cost")                                                                                \
    X(UPSTREAM_COST, "upstream_cost")                                                              \
    X(STATUS, "status")                                                                            \
    X(OUTCOME, "outcome")                                                                          \
    X(FINISH_REASON, "finish_reason")                                                              \
    X(REQUEST_BYTES, "request_bytes")                                                              \
    X(RESPONSE_BYTES, "response_bytes")                                                            \
    X(CLIENT_ADDRESS, "host(client_address)")                                                      \
    X(BY_POLICY, "demanded_by_policy")                                                             \
    X(LEAF, "leaf")                                                                                \
    X(REQUEST_DIGEST, "encode(request_digest, 'hex')")                                             \
    X(RESPONSE_DIGEST, "encode(response_digest, 'hex')")                                           \
    X(WORKER, "worker_id")                                                                         \
    X(BOOT, "boot_id")                                                                             \
    X(SEQUENCE, "sequence")

enum column {
#define X(name, expression) COL_##name,
    COLUMN_MAP(X)
#undef X
};

/* left_area() passes over these. */
_Static_assert(MSG_OUTCOME_CONNECT_FAILED == 2 && MSG_OUTCOME_DNS_FAILED == 5,
               "as in controlplane/sql");

/* What was held for them was taken back by a later revision. */
#define WITHDRAWN                                                                                  \
    " AND ($16::boolean IS NULL OR $16 = EXISTS (SELECT FROM jsonb_to_recordset(a.evidence)"       \
    "   AS e (claim text, value text, evidence text)"                                              \
    "  JOIN withdrawn w ON (w.claim, w.value, w.evidence) = (e.claim, e.value, e.evidence)"        \
    "  WHERE w.revision > a.revision AND w.name = CASE w.kind"                                     \
    "   WHEN 'endpoints' THEN coalesce(a.model_served, a.model_asked) || '@' || a.tag"             \
    "   WHEN 'providers' THEN a.provider ELSE coalesce(a.model_served, a.model_asked) END))"

/* Newest first, of either as many as are wanted.  What was not asked for must
 * vanish for the planner: of "demanded & 0 = 0" it believes that few rows have it,
 * and sorts all of them.  The days of a cursor are told apart from its place, which
 * says nothing about partitions. */
#define ORDER " ORDER BY received_at DESC, worker_id DESC, boot_id DESC, sequence DESC LIMIT $22"
#define ROWS_OF(table)                                                                             \
    "(SELECT * FROM " table " a WHERE ($1::timestamptz IS NULL OR received_at >= $1)"              \
    " AND ($2::timestamptz IS NULL OR received_at < $2)"                                           \
    " AND ($3::text IS NULL OR key_name = $3)"                                                     \
    " AND ($4::text IS NULL OR model_asked = $4 OR model_served = $4)"                             \
    " AND ($5::text IS NULL OR provider = $5)"                                                     \
    " AND ($6::text IS NULL OR tag = $6 OR model_served || '@' || tag = $6)"                       \
    " AND ($7::text IS NULL OR region = $7)"                                                       \
    " AND ($8::smallint[] IS NULL OR outcome = ANY ($8))"                                          \
    " AND ($9::text IS NULL OR generation = $9)"                                                   \
    " AND ($10::text IS NULL OR $10 = ANY (string_to_array(residency, ',')))"                      \
    " AND ($11::bigint IS NULL OR cost >= $11)"                                                    \
    " AND ($12::integer IS NULL OR demanded & $12 = $12)"                                          \
    " AND ($13::integer IS NULL OR demanded & $13 = 0)"                                            \
    " AND ($14::inet IS NULL OR client_address <<= $14)"                                           \
    " AND ($15::text[] IS NULL OR left_area($15, region, coalesce(model_served, model_asked)"      \
    "  || '@' || tag, attempts, revision))" WITHDRAWN " AND ($17::text IS NULL"                    \
    "  OR evidence @> jsonb_build_array(jsonb_build_object('evidence', $17)))"                     \
    " AND ($18::timestamptz IS NULL OR (received_at <= $18 AND (received_at, worker_id, boot_id,"  \
    "  sequence) < ($18, $19::text, $20::bigint, $21::bigint)))" ORDER ")"

#define X(name, expression) expression ", "
static const char sql[] =
    "WITH withdrawn AS MATERIALIZED (SELECT * FROM withdrawn_evidence"
    " WHERE $16::boolean IS NOT NULL)"
    " SELECT " COLUMN_MAP(X) "NULL FROM (" ROWS_OF("audit_requests") " UNION ALL " ROWS_OF(
        "audit_open_requests") ") AS either" ORDER;
#undef X
#undef ROWS_OF
#undef WITHDRAWN
#undef ORDER
enum { N_FILTERS = 17, N_CURSOR = 4 };

/* --- cursor ---------------------------------------------------------------------- */

static struct sb_slice make_cursor(const struct cp_rows *rows, size_t row, struct sb_arena *arena)
{
    char at[SB_TIME_TEXT_MAX];
    size_t n = sb_time_format((sb_usec)cp_rows_usec(rows, row, COL_RECEIVED_AT), 6, at);

    return sb_arena_printf(arena, "%.*s~%" PRId64 "~%" PRId64 "~%.*s", (int)n, at,
                           cp_rows_i64(rows, row, COL_BOOT), cp_rows_i64(rows, row, COL_SEQUENCE),
                           SB_SLICE_ARGS(cp_rows_bytes(rows, row, COL_WORKER)));
}

static int read_cursor(struct sb_slice cursor, struct cp_param *params)
{
    struct sb_slice at = cp_cell_take_part(&cursor), boot = cp_cell_take_part(&cursor);
    struct sb_slice sequence = cp_cell_take_part(&cursor);

    for (int i = 0; i < N_CURSOR; i++)
        params[i] = CP_P_NULL;
    if (at.n == 0)
        return SB_OK;
    if (cursor.n == 0 || !cp_cell_read_time(at, &params[0]) ||
        !cp_cell_read_number(boot, &params[2]) || !cp_cell_read_number(sequence, &params[3]))
        return SB_EINVAL;
    params[1] = CP_P_TEXT(cursor); /* the name of a worker may hold anything */
    return SB_OK;
}

/* --- values --------------------------------------------------------------------------- */

static struct sb_slice text_of(const struct cp_rows *rows, size_t row, enum column column)
{
    return cp_rows_bytes(rows, row, (int)column);
}

static int64_t number_of(const struct cp_rows *rows, size_t row, enum column column)
{
    return cp_rows_i64(rows, row, (int)column);
}

/* --- JSON -------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum msg_claim_kind claim;
} claims[] = {{"eu_resident", MSG_CLAIM_EU_RESIDENT},
              {"zdr", MSG_CLAIM_ZDR},
              {"no_training", MSG_CLAIM_NO_TRAINING},
              {"distillable", MSG_CLAIM_DISTILLABLE}};

static bool is_demanded(const struct cp_rows *rows, size_t row, enum msg_claim_kind claim)
{
    return (number_of(rows, row, COL_DEMANDED) >> claim & 1) != 0;
}

/* Those of them that the policy of the key asked for; null: not known. */
static void add_by_policy(struct sb_json *json, const struct cp_rows *rows, size_t row)
{
    if (cp_rows_is_null(rows, row, COL_BY_POLICY)) {
        sb_json_add_null(json, "by_policy");
        return;
    }
    sb_json_add_array(json, "by_policy");
    for (size_t i = 0; i < SB_ARRAY_LEN(claims); i++) {
        if ((number_of(rows, row, COL_BY_POLICY) >> claims[i].claim & 1) != 0)
            sb_json_put_text(json, sb_slice_of(claims[i].name));
    }
    sb_json_close_array(json);
}

static void add_demanded(struct sb_json *json, const struct cp_rows *rows, size_t row)
{
    sb_json_add_object(json, "demanded");
    cp_cell_add_text(json, "residency", rows, row, COL_RESIDENCY);
    for (size_t i = 0; i < SB_ARRAY_LEN(claims); i++)
        sb_json_add_bool(json, claims[i].name, is_demanded(rows, row, claims[i].claim));
    add_by_policy(json, rows, row);
    sb_json_close_object(json);
}

static void add_tokens(struct sb_json *json, const struct cp_rows *rows, size_t row)
{
    sb_json_add_object(json, "tokens");
    cp_cell_add_number(json, "prompt", rows, row, COL_PROMPT);
    cp_cell_add_number(json, "completion", rows, row, COL_COMPLETION);
    cp_cell_add_number(json, "cached", rows, row, COL_CACHED);
    cp_cell_add_number(json, "cache_write", rows, row, COL_CACHE_WRITE);
    cp_cell_add_number(json, "reasoning", rows, row, COL_REASONING);
    sb_json_add_text(
        json, "source",
        sb_slice_of(msg_usage_source_name((int)number_of(rows, row, COL_USAGE_SOURCE))));
    sb_json_close_object(json);
}

/* Stored with the numbers of closed lists, shown with their names. */
static void add_attempt(struct sb_json *json, yyjson_val *attempt)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(attempt);
    yyjson_val *name;

    sb_json_open_object(json);
    while ((name = yyjson_obj_iter_next(&iter)) != NULL) {
        yyjson_val *value = yyjson_obj_iter_get_val(name);
        struct sb_slice text = sb_json_text(name);

        if (sb_slice_is(text, "outcome")) {
            sb_json_add_text(json, "outcome", sb_slice_of(msg_outcome_name(yyjson_get_int(value))));
        } else if (sb_slice_is(text, "credential_kind")) {
            sb_json_add_text(json, "credential",
                             sb_slice_of(msg_credential_kind_name(yyjson_get_int(value))));
        } else {
            sb_json_name(json, text);
            sb_json_put_value(json, value);
        }
    }
    sb_json_close_object(json);
}

/* The array in a column; NULL when there is none. */
static yyjson_doc *read_array(const struct cp_rows *rows, size_t row, enum column column)
{
    struct sb_slice text = text_of(rows, row, column);
    yyjson_doc *doc = NULL;

    return text.n > 0 && sb_json_read(text, text.n, &doc, NULL) == SB_OK ? doc : NULL;
}

static void add_attempts(struct sb_json *json, const struct cp_rows *rows, size_t row)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = read_array(rows, row, COL_ATTEMPTS);
    yyjson_arr_iter iter = yyjson_arr_iter_with(yyjson_doc_get_root(doc));
    yyjson_val *one;

    sb_json_add_array(json, "attempts");
    while ((one = yyjson_arr_iter_next(&iter)) != NULL)
        add_attempt(json, one);
    sb_json_close_array(json);
}

static void add_who_and_what(struct sb_json *json, const struct cp_rows *rows, size_t row)
{
    sb_json_add_text(json, "generation_id", text_of(rows, row, COL_GENERATION));
    cp_cell_add_text(json, "request_id", rows, row, COL_REQUEST_ID);
    cp_cell_add_time(json, "received_at", rows, row, COL_RECEIVED_AT);
    cp_cell_add_thousandth(json, "took_ms", rows, row, COL_TOOK);
    cp_cell_add_thousandth(json, "first_token_ms", rows, row, COL_FIRST_TOKEN);
    sb_json_add_text(json, "api", sb_slice_of(msg_api_name((int)number_of(rows, row, COL_API))));
    sb_json_add_bool(json, "streamed", cp_rows_bool(rows, row, COL_STREAMED));
    cp_cell_add_text(json, "key", rows, row, COL_KEY);
    cp_cell_add_text(json, "tenant", rows, row, COL_TENANT);
    cp_cell_add_text(json, "model_asked", rows, row, COL_MODEL_ASKED);
    cp_cell_add_text(json, "model_served", rows, row, COL_MODEL_SERVED);
    cp_cell_add_number(json, "endpoint_id", rows, row, COL_ENDPOINT_ID);
    cp_cell_add_text(json, "endpoint", rows, row, COL_TAG);
    cp_cell_add_text(json, "provider", rows, row, COL_PROVIDER);
    cp_cell_add_text(json, "region", rows, row, COL_REGION);
    sb_json_add_text(
        json, "credential",
        sb_slice_of(msg_credential_kind_name((int)number_of(rows, row, COL_CREDENTIAL))));
}

static void put_json(struct sb_json *json, const struct cp_rows *rows, size_t row)
{
    sb_json_open_object(json);
    add_who_and_what(json, rows, row);
    add_demanded(json, rows, row);
    sb_json_add_raw(json, "evidence",
                    cp_rows_is_null(rows, row, COL_EVIDENCE) ? SB_SLICE_LIT("[]")
                                                             : text_of(rows, row, COL_EVIDENCE));
    cp_cell_add_number(json, "epoch", rows, row, COL_EPOCH);
    cp_cell_add_number(json, "revision", rows, row, COL_REVISION);
    add_attempts(json, rows, row);
    add_tokens(json, rows, row);
    cp_cell_add_money(json, "cost", rows, row, COL_COST);
    cp_cell_add_money(json, "upstream_cost", rows, row, COL_UPSTREAM_COST);
    cp_cell_add_number(json, "status", rows, row, COL_STATUS);
    sb_json_add_text(json, "outcome",
                     sb_slice_of(msg_outcome_name((int)number_of(rows, row, COL_OUTCOME))));
    cp_cell_add_text(json, "finish_reason", rows, row, COL_FINISH_REASON);
    cp_cell_add_number(json, "request_bytes", rows, row, COL_REQUEST_BYTES);
    cp_cell_add_number(json, "response_bytes", rows, row, COL_RESPONSE_BYTES);
    cp_cell_add_text(json, "client_address", rows, row, COL_CLIENT_ADDRESS);
    cp_cell_add_text(json, "request_digest", rows, row, COL_REQUEST_DIGEST);
    cp_cell_add_text(json, "response_digest", rows, row, COL_RESPONSE_DIGEST);
    cp_cell_add_number(json, "leaf", rows, row, COL_LEAF);
    cp_cell_add_text(json, "worker", rows, row, COL_WORKER);
    cp_cell_add_number(json, "boot", rows, row, COL_BOOT);
    cp_cell_add_number(json, "sequence", rows, row, COL_SEQUENCE);
    sb_json_close_object(json);
}

/* --- CSV ------------------------------------------------------------------------------------ */

static const char *const titles[] = {"generation_id",
                                     "received_at",
                                     "took_us",
                                     "first_token_us",
                                     "api",
                                     "streamed",
                                     "key",
                                     "tenant",
                                     "model_asked",
                                     "model_served",
                                     "endpoint",
                                     "provider",
                                     "region",
                                     "credential",
                                     "residency",
                                     "demanded",
                                     "evidence",
                                     "revision",
                                     "attempts",
                                     "prompt_tokens",
                                     "completion_tokens",
                                     "cached_tokens",
                                     "reasoning_tokens",
                                     "usage_source",
                                     "cost_usd",
                                     "upstream_cost_usd",
                                     "status",
                                     "outcome",
                                     "finish_reason",
                                     "request_id",
                                     "worker",
                                     "sequence",
                                     "client_address",
                                     "request_digest",
                                     "response_digest",
                                     "leaf",
                                     NULL};

/* "acme:server_error bolt:success" */
static struct sb_slice attempt_words(const struct cp_rows *rows, size_t row, struct sb_arena *arena)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = read_array(rows, row, COL_ATTEMPTS);
    yyjson_arr_iter iter = yyjson_arr_iter_with(yyjson_doc_get_root(doc));
    struct sb_slice words = SB_SLICE_NONE;
    yyjson_val *one;

    while ((one = yyjson_arr_iter_next(&iter)) != NULL)
        words =
            sb_arena_printf(arena, "%.*s%s%.*s:%s", SB_SLICE_ARGS(words), words.n > 0 ? " " : "",
                            SB_SLICE_ARGS(sb_json_text(yyjson_obj_get(one, "tag"))),
                            msg_outcome_name(yyjson_get_int(yyjson_obj_get(one, "outcome"))));
    return words;
}

static struct sb_slice demanded_words(const struct cp_rows *rows, size_t row,
                                      struct sb_arena *arena)
{
    struct sb_slice words = SB_SLICE_NONE;

    for (size_t i = 0; i < SB_ARRAY_LEN(claims); i++) {
        if (is_demanded(rows, row, claims[i].claim))
            words = sb_arena_printf(arena, "%.*s%s%s", SB_SLICE_ARGS(words), words.n > 0 ? " " : "",
                                    claims[i].name);
    }
    return words;
}

static void put_csv(struct cp_csv *csv, const struct cp_rows *rows, size_t row,
                    struct sb_arena *arena)
{
    cp_cell_put_text(csv, rows, row, COL_GENERATION);
    cp_cell_put_time(csv, rows, row, COL_RECEIVED_AT);
    cp_cell_put_number(csv, rows, row, COL_TOOK);
    cp_cell_put_number(csv, rows, row, COL_FIRST_TOKEN);
    cp_csv_text(csv, sb_slice_of(msg_api_name((int)number_of(rows, row, COL_API))));
    cp_csv_text(csv, sb_slice_of(cp_rows_bool(rows, row, COL_STREAMED) ? "true" : "false"));
    cp_cell_put_text(csv, rows, row, COL_KEY);
    cp_cell_put_text(csv, rows, row, COL_TENANT);
    cp_cell_put_text(csv, rows, row, COL_MODEL_ASKED);
    cp_cell_put_text(csv, rows, row, COL_MODEL_SERVED);
    cp_cell_put_text(csv, rows, row, COL_TAG);
    cp_cell_put_text(csv, rows, row, COL_PROVIDER);
    cp_cell_put_text(csv, rows, row, COL_REGION);
    cp_csv_text(csv,
                sb_slice_of(msg_credential_kind_name((int)number_of(rows, row, COL_CREDENTIAL))));
    cp_cell_put_text(csv, rows, row, COL_RESIDENCY);
    cp_csv_text(csv, demanded_words(rows, row, arena));
    cp_cell_put_text(csv, rows, row, COL_EVIDENCE);
    cp_cell_put_number(csv, rows, row, COL_REVISION);
    cp_csv_text(csv, attempt_words(rows, row, arena));
    cp_cell_put_number(csv, rows, row, COL_PROMPT);
    cp_cell_put_number(csv, rows, row, COL_COMPLETION);
    cp_cell_put_number(csv, rows, row, COL_CACHED);
    cp_cell_put_number(csv, rows, row, COL_REASONING);
    cp_csv_text(csv,
                sb_slice_of(msg_usage_source_name((int)number_of(rows, row, COL_USAGE_SOURCE))));
    cp_cell_put_money(csv, rows, row, COL_COST);
    cp_cell_put_money(csv, rows, row, COL_UPSTREAM_COST);
    cp_cell_put_number(csv, rows, row, COL_STATUS);
    cp_csv_text(csv, sb_slice_of(msg_outcome_name((int)number_of(rows, row, COL_OUTCOME))));
    cp_cell_put_text(csv, rows, row, COL_FINISH_REASON);
    cp_cell_put_text(csv, rows, row, COL_REQUEST_ID);
    cp_cell_put_text(csv, rows, row, COL_WORKER);
    cp_cell_put_number(csv, rows, row, COL_SEQUENCE);
    cp_cell_put_text(csv, rows, row, COL_CLIENT_ADDRESS);
    cp_cell_put_text(csv, rows, row, COL_REQUEST_DIGEST);
    cp_cell_put_text(csv, rows, row, COL_RESPONSE_DIGEST);
    cp_cell_put_number(csv, rows, row, COL_LEAF);
}

/* --- the call --------------------------------------------------------------------------------- */

static const struct cp_view view = {
    .sql = sql,
    .n_filters = N_FILTERS,
    .n_cursor = N_CURSOR,
    .read_cursor = read_cursor,
    .cursor = make_cursor,
    .titles = titles,
    .put_json = put_json,
    .put_csv = put_csv,
};

/* "gen-1795432452-QDAfqNZxVQe8Vcr9hqFR" was received in that second, so that the
 * planner has one day to look at instead of all.  0: not of that form. */
static sb_usec second_of(struct sb_slice generation)
{
    enum { START = 4, DIGITS = 10, ALL = START + DIGITS + 1 + 20 };
    uint64_t second = 0;

    if (generation.n != ALL || !sb_slice_starts_with(generation, SB_SLICE_LIT("gen-")) ||
        generation.p[START + DIGITS] != '-' ||
        !sb_num_read_u64(sb_slice_make(generation.p + START, DIGITS), &second))
        return 0;
    return second * (uint64_t)SB_USEC_PER_SEC;
}

static struct cp_param time_param(struct cp_call *call, sb_usec wall)
{
    char text[SB_TIME_TEXT_MAX];
    size_t n = sb_time_format(wall, 6, text);

    return CP_P_TEXT(sb_arena_dup(call->arena, sb_slice_make(text, n)));
}

/* What was given besides stays: a time outside of that second finds nothing. */
static void narrow(struct cp_call *call, struct cp_param *filters)
{
    sb_usec second = second_of(cp_call_param(call, "generation_id"));

    if (second == 0)
        return;
    if (filters[0].type == CP_PARAM_NULL)
        filters[0] = time_param(call, second);
    if (filters[1].type == CP_PARAM_NULL)
        filters[1] = time_param(call, second + (uint64_t)SB_USEC_PER_SEC);
}

int cp_serve_audit_requests(struct cp_call *call)
{
    int64_t with = 0, without = 0;
    struct cp_param filters[N_FILTERS] = {
        cp_filter_time(call, "from"),          cp_filter_time(call, "to"),
        cp_filter_text(call, "key"),           cp_filter_text(call, "model"),
        cp_filter_text(call, "provider"),      cp_filter_text(call, "endpoint"),
        cp_filter_text(call, "region"),        cp_filter_outcomes(call, "outcome"),
        cp_filter_text(call, "generation_id"), cp_filter_residency(call, "residency"),
        cp_filter_money(call, "min_cost"),
    };

    cp_filter_bit(call, "zdr", MSG_CLAIM_ZDR, &with, &without);
    cp_filter_bit(call, "no_training", MSG_CLAIM_NO_TRAINING, &with, &without);
    cp_filter_bit(call, "distillable", MSG_CLAIM_DISTILLABLE, &with, &without);
    filters[11] = with != 0 ? CP_P_I64(with) : CP_P_NULL;
    filters[12] = without != 0 ? CP_P_I64(without) : CP_P_NULL;
    filters[13] = cp_filter_network(call, "client");
    filters[14] = cp_filter_area(call, "left");
    if (cp_call_param(call, "evidence_withdrawn").p != NULL)
        filters[15] = CP_P_BOOL(cp_call_flag(call, "evidence_withdrawn"));
    filters[16] = cp_filter_text(call, "evidence");
    narrow(call, filters);
    return cp_view_reply(call, &view, filters);
}
