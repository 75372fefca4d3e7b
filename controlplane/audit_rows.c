/* controlplane/audit_rows.c */
#include "controlplane/audit_rows.h"

#include "common/arena.h"
#include "common/err.h"
#include "common/json.h"
#include "common/timefmt.h"
#include "controlplane/copy.h"
#include "controlplane/db.h"
#include "proto/record.h"

enum {
    COPY_MAX = 1 << 28, /* bytes of rows in one transaction, far above what batches hold */
    JSON_MAX = 1 << 18, /* of the attempts or the evidence of one record */
};

/* Columns in the order in which they are written below. */
#define ID_COLUMNS "received_at, worker_id, boot_id, sequence"
#define REQUEST_COLUMNS                                                                            \
    ID_COLUMNS ", generation, request_id, took_us, first_token_us, api, streamed, key_id,"         \
               " tenant_id, key_name, tenant_name, model_asked, model_served, endpoint_id, tag,"   \
               " provider, region, credential_kind, epoch, revision, demanded, residency,"         \
               " evidence, attempts, prompt_tokens, completion_tokens, cached_tokens,"             \
               " cache_write_tokens, reasoning_tokens, usage_source, cost, upstream_cost, status," \
               " outcome, finish_reason, request_bytes, response_bytes, client_address, salt,"     \
               " request_digest, response_digest, user_hash, metadata_hash, user_plain,"           \
               " metadata_plain, demanded_by_policy"
#define DISPATCH_COLUMNS                                                                           \
    ID_COLUMNS ", generation, key_id, tenant_id, key_name, tenant_name, model_asked, endpoint_id," \
               " tag, provider, region, epoch, revision, request_id, api, streamed,"               \
               " credential_kind, demanded, residency, evidence, request_bytes, client_address,"   \
               " salt, request_digest, response_digest, demanded_by_policy"
#define REFUSAL_COLUMNS ID_COLUMNS ", reason, refusals"

enum { REQUEST_N = 49, DISPATCH_N = 29, REFUSAL_N = 6 };

static const char *const copy_sql[CP_AUDIT_TABLES] = {
    [CP_AUDIT_REQUESTS] = "COPY audit_requests (" REQUEST_COLUMNS ") FROM STDIN (FORMAT binary)",
    [CP_AUDIT_DISPATCHES] =
        "COPY audit_dispatches (" DISPATCH_COLUMNS ") FROM STDIN (FORMAT binary)",
    [CP_AUDIT_REFUSALS] = "COPY audit_refusals (" REFUSAL_COLUMNS ") FROM STDIN (FORMAT binary)",
};

void cp_audit_rows_init(struct cp_audit_rows *rows)
{
    for (int t = 0; t < CP_AUDIT_TABLES; t++) {
        sb_buf_init(&rows->tables[t].copy, COPY_MAX);
        rows->tables[t].n = 0;
    }
}

void cp_audit_rows_release(struct cp_audit_rows *rows)
{
    for (int t = 0; t < CP_AUDIT_TABLES; t++)
        sb_buf_release(&rows->tables[t].copy);
}

void cp_audit_rows_reset(struct cp_audit_rows *rows)
{
    for (int t = 0; t < CP_AUDIT_TABLES; t++) {
        sb_buf_reset(&rows->tables[t].copy);
        rows->tables[t].n = 0;
    }
}

/* --- one row ------------------------------------------------------------------------- */

/* Values of a row; the first error sticks. */
struct row {
    struct sb_buf *copy;
    struct sb_buf json; /* at hand for nested values */
    int rc;
};

static void put_u64(struct row *row, uint64_t value)
{
    if (row->rc == SB_OK && value > INT64_MAX)
        row->rc = SB_EINVAL;
    if (row->rc == SB_OK)
        row->rc = cp_copy_i64(row->copy, (int64_t)value);
}

static void put_i64(struct row *row, int64_t value)
{
    if (row->rc == SB_OK)
        row->rc = cp_copy_i64(row->copy, value);
}

static void put_i32(struct row *row, int32_t value)
{
    if (row->rc == SB_OK)
        row->rc = cp_copy_i32(row->copy, value);
}

static void put_i16(struct row *row, int16_t value)
{
    if (row->rc == SB_OK)
        row->rc = cp_copy_i16(row->copy, value);
}

static void put_bool(struct row *row, bool value)
{
    if (row->rc == SB_OK)
        row->rc = cp_copy_bool(row->copy, value);
}

static void put_usec(struct row *row, int64_t value)
{
    if (row->rc == SB_OK)
        row->rc = cp_copy_usec(row->copy, value);
}

static void put_null(struct row *row)
{
    if (row->rc == SB_OK)
        row->rc = cp_copy_null(row->copy);
}

static void put_text(struct row *row, struct sb_slice value)
{
    if (row->rc == SB_OK)
        row->rc = cp_copy_bytes(row->copy, value);
}

/* Nothing is NULL. */
static void put_text_or_null(struct row *row, struct sb_slice value)
{
    if (value.n > 0)
        put_text(row, value);
    else
        put_null(row);
}

static void put_u64_or_null(struct row *row, uint64_t value)
{
    if (value != 0)
        put_u64(row, value);
    else
        put_null(row);
}

/* What is no address is NULL: it must not keep its record out. */
static void put_address(struct row *row, struct sb_slice address)
{
    int rc;

    if (row->rc != SB_OK)
        return;
    rc = cp_copy_inet(row->copy, address);
    row->rc = rc == SB_EINVAL ? cp_copy_null(row->copy) : rc;
}

static void put_by_policy(struct row *row, const struct msg_record *record)
{
    if (record->demanded_by_policy == MSG_DEMANDED_UNKNOWN)
        put_null(row);
    else
        put_i32(row, (int32_t)record->demanded_by_policy);
}

static void put_json(struct row *row, struct sb_json *json)
{
    if (row->rc == SB_OK)
        row->rc = sb_json_end(json);
    if (row->rc == SB_OK)
        row->rc = cp_copy_json(row->copy, sb_buf_slice(&row->json));
}

/* 0 is unknown. */
static void add_day(struct sb_json *json, const char *name, int32_t day)
{
    const struct sb_date last = {.year = 9999, .month = 12, .day = 31};
    char text[SB_DATE_TEXT_MAX];
    size_t n;

    if (day <= 0 || day > sb_date_to_day(last))
        return;
    n = sb_date_format(day, text);
    sb_json_add_text(json, name, sb_slice_make(text, n));
}

static void put_evidence(struct row *row, const struct msg_record *record)
{
    struct sb_json json;

    if (record->n_evidence == 0) {
        put_null(row);
        return;
    }
    sb_buf_reset(&row->json);
    sb_json_init(&json, &row->json);
    sb_json_open_array(&json);
    for (size_t i = 0; i < record->n_evidence; i++) {
        const struct msg_evidence *held = &record->evidence[i];

        sb_json_open_object(&json);
        sb_json_add_text(&json, "claim", sb_slice_of(msg_claim_name(held->claim)));
        sb_json_add_text(&json, "value", sb_slice_of(msg_tri_name(held->value)));
        add_day(&json, "attested_on", held->attested_on);
        add_day(&json, "expires_on", held->expires_on);
        if (held->evidence.n > 0)
            sb_json_add_text(&json, "evidence", held->evidence);
        if (held->attested_by.n > 0)
            sb_json_add_text(&json, "attested_by", held->attested_by);
        sb_json_close_object(&json);
    }
    sb_json_close_array(&json);
    put_json(row, &json);
}

/* Numbers of closed lists stay numbers, as in the columns: a newer worker may
 * know more than we have names for. */
static void put_attempts(struct row *row, const struct msg_record *record)
{
    struct sb_json json;

    sb_buf_reset(&row->json);
    sb_json_init(&json, &row->json);
    sb_json_open_array(&json);
    for (size_t i = 0; i < record->n_attempts; i++) {
        const struct msg_attempt *attempt = &record->attempts[i];

        sb_json_open_object(&json);
        sb_json_add_u64(&json, "endpoint_id", attempt->endpoint);
        sb_json_add_text(&json, "tag", attempt->tag);
        sb_json_add_text(&json, "model", attempt->model);
        sb_json_add_u64(&json, "credential_id", attempt->credential);
        sb_json_add_u64(&json, "credential_kind", attempt->credential_kind);
        sb_json_add_u64(&json, "status", attempt->status);
        sb_json_add_u64(&json, "outcome", attempt->outcome);
        sb_json_add_u64(&json, "started_us", attempt->started);
        sb_json_add_u64(&json, "first_token_us", attempt->first_token);
        sb_json_add_u64(&json, "took_us", attempt->took);
        sb_json_close_object(&json);
    }
    sb_json_close_array(&json);
    put_json(row, &json);
}

static void put_id(struct row *row, int16_t columns, const struct cp_record_id *id,
                   const struct msg_record *record)
{
    row->rc = cp_copy_row(row->copy, columns);
    put_usec(row, record->received_at);
    put_text(row, id->worker);
    put_u64(row, id->boot);
    put_u64(row, id->sequence);
}

static void put_served_by(struct row *row, const struct msg_record *record)
{
    put_u64_or_null(row, record->endpoint);
    put_text_or_null(row, record->tag);
    put_text_or_null(row, record->provider);
    put_text_or_null(row, record->region);
}

static void put_request(struct row *row, const struct cp_record_id *id,
                        const struct msg_record *record)
{
    put_id(row, REQUEST_N, id, record);
    put_text(row, record->generation);
    put_text_or_null(row, record->request_id);
    put_u64(row, record->took);
    put_u64_or_null(row, record->first_token);
    put_i16(row, record->api);
    put_bool(row, record->streamed);
    put_u64(row, record->key);
    put_u64(row, record->tenant);
    put_text(row, record->key_name);
    put_text(row, record->tenant_name);
    put_text(row, record->model_asked);
    put_text_or_null(row, record->model_served);
    put_served_by(row, record);
    put_i16(row, record->credential_kind);
    put_u64(row, record->version.epoch);
    put_u64(row, record->version.revision);
    put_i32(row, (int32_t)record->demanded);
    put_text_or_null(row, record->residency);
    put_evidence(row, record);
    put_attempts(row, record);
    put_u64(row, record->usage.prompt_tokens);
    put_u64(row, record->usage.completion_tokens);
    put_u64(row, record->usage.cached_tokens);
    put_u64(row, record->usage.cache_write_tokens);
    put_u64(row, record->usage.reasoning_tokens);
    put_i16(row, record->usage.source);
    put_i64(row, record->cost);
    put_i64(row, record->upstream_cost);
    put_i32(row, record->status);
    put_i16(row, record->outcome);
    put_text_or_null(row, record->finish_reason);
    put_u64(row, record->request_bytes);
    put_u64(row, record->response_bytes);
    put_address(row, record->client_address);
    put_text_or_null(row, record->salt);
    put_text_or_null(row, record->request_digest);
    put_text_or_null(row, record->response_digest);
    put_text_or_null(row, record->user_hash);
    put_text_or_null(row, record->metadata_hash);
    put_text_or_null(row, record->user_plain);
    put_text_or_null(row, record->metadata_plain);
    put_by_policy(row, record);
}

static void put_dispatch(struct row *row, const struct cp_record_id *id,
                         const struct msg_record *record)
{
    put_id(row, DISPATCH_N, id, record);
    put_text(row, record->generation);
    put_u64(row, record->key);
    put_u64(row, record->tenant);
    put_text(row, record->key_name);
    put_text(row, record->tenant_name);
    put_text(row, record->model_asked);
    put_served_by(row, record);
    put_u64(row, record->version.epoch);
    put_u64(row, record->version.revision);
    put_text_or_null(row, record->request_id);
    put_i16(row, record->api);
    put_bool(row, record->streamed);
    put_i16(row, record->credential_kind);
    put_i32(row, (int32_t)record->demanded);
    put_text_or_null(row, record->residency);
    put_evidence(row, record);
    put_u64(row, record->request_bytes);
    put_address(row, record->client_address);
    put_text_or_null(row, record->salt);
    put_text_or_null(row, record->request_digest);
    put_text_or_null(row, record->response_digest);
    put_by_policy(row, record);
}

static void put_refusals(struct row *row, const struct cp_record_id *id,
                         const struct msg_record *record)
{
    put_id(row, REFUSAL_N, id, record);
    put_text(row, record->refusal);
    put_u64(row, record->refusals);
}

int cp_audit_rows_add(struct cp_audit_rows *rows, const struct cp_record_id *id,
                      const struct msg_record *record)
{
    static void (*const put[])(struct row *, const struct cp_record_id *,
                               const struct msg_record *) = {
        [CP_AUDIT_REQUESTS] = put_request,
        [CP_AUDIT_DISPATCHES] = put_dispatch,
        [CP_AUDIT_REFUSALS] = put_refusals,
    };
    enum cp_audit_table table = record->kind == MSG_RECORD_REQUEST    ? CP_AUDIT_REQUESTS
                                : record->kind == MSG_RECORD_DISPATCH ? CP_AUDIT_DISPATCHES
                                                                      : CP_AUDIT_REFUSALS;
    struct row row = {.copy = &rows->tables[table].copy, .rc = SB_OK};
    size_t before = sb_buf_len(row.copy);

    sb_buf_init(&row.json, JSON_MAX);
    if (before == 0)
        row.rc = cp_copy_start(row.copy);
    if (row.rc == SB_OK)
        put[table](&row, id, record);
    sb_buf_release(&row.json);
    if (row.rc != SB_OK)
        sb_buf_truncate(row.copy, before);
    else
        rows->tables[table].n++;
    return row.rc;
}

int cp_audit_rows_store(struct cp_audit_rows *rows, struct cp_db *db)
{
    int rc = SB_OK;

    for (int t = 0; rc == SB_OK && t < CP_AUDIT_TABLES; t++) {
        uint64_t stored = 0;

        if (rows->tables[t].n == 0)
            continue;
        rc = cp_copy_finish(&rows->tables[t].copy);
        if (rc == SB_OK)
            rc = cp_db_copy_begin(db, copy_sql[t]);
        if (rc == SB_OK)
            rc = cp_db_copy_put(db, sb_buf_slice(&rows->tables[t].copy));
        if (rc == SB_OK)
            rc = cp_db_copy_end(db, &stored);
    }
    return rc;
}

/* --- the way back ---------------------------------------------------------------------- */

/* In the order of read_row(). */
#define FIND_COLUMNS                                                                               \
    "generation, request_id, received_at, took_us, first_token_us, api, streamed, key_id,"         \
    " tenant_id, key_name, tenant_name, model_asked, model_served, endpoint_id, tag, provider,"    \
    " region, credential_kind, epoch, revision, demanded, residency, prompt_tokens,"               \
    " completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, usage_source, cost," \
    " upstream_cost, status, outcome, finish_reason, request_bytes, response_bytes, salt,"         \
    " request_digest, response_digest, user_hash, metadata_hash, user_plain, metadata_plain,"      \
    " demanded_by_policy, attempts::text"

/* The columns of a row one after another. */
struct columns {
    const struct cp_rows *rows;
    struct sb_arena *arena;
    int next;
};

static uint64_t next_u64(struct columns *columns)
{
    return (uint64_t)cp_rows_i64(columns->rows, 0, columns->next++);
}

static struct sb_slice next_text(struct columns *columns)
{
    return sb_arena_dup(columns->arena, cp_rows_bytes(columns->rows, 0, columns->next++));
}

static void read_row(struct columns *columns, struct msg_record *record)
{
    record->kind = MSG_RECORD_REQUEST;
    record->generation = next_text(columns);
    record->request_id = next_text(columns);
    record->received_at = cp_rows_usec(columns->rows, 0, columns->next++);
    record->took = next_u64(columns);
    record->first_token = (uint32_t)next_u64(columns);
    record->api = (uint8_t)next_u64(columns);
    record->streamed = cp_rows_bool(columns->rows, 0, columns->next++);
    record->key = next_u64(columns);
    record->tenant = next_u64(columns);
    record->key_name = next_text(columns);
    record->tenant_name = next_text(columns);
    record->model_asked = next_text(columns);
    record->model_served = next_text(columns);
    record->endpoint = next_u64(columns);
    record->tag = next_text(columns);
    record->provider = next_text(columns);
    record->region = next_text(columns);
    record->credential_kind = (uint8_t)next_u64(columns);
    record->version.epoch = next_u64(columns);
    record->version.revision = next_u64(columns);
    record->demanded = (uint32_t)next_u64(columns);
    record->residency = next_text(columns);
    record->usage.prompt_tokens = next_u64(columns);
    record->usage.completion_tokens = next_u64(columns);
    record->usage.cached_tokens = next_u64(columns);
    record->usage.cache_write_tokens = next_u64(columns);
    record->usage.reasoning_tokens = next_u64(columns);
    record->usage.source = (uint8_t)next_u64(columns);
    record->cost = (int64_t)next_u64(columns);
    record->upstream_cost = (int64_t)next_u64(columns);
    record->status = (uint16_t)next_u64(columns);
    record->outcome = (uint8_t)next_u64(columns);
    record->finish_reason = next_text(columns);
    record->request_bytes = next_u64(columns);
    record->response_bytes = next_u64(columns);
    record->salt = next_text(columns);
    record->request_digest = next_text(columns);
    record->response_digest = next_text(columns);
    record->user_hash = next_text(columns);
    record->metadata_hash = next_text(columns);
    record->user_plain = next_text(columns);
    record->metadata_plain = next_text(columns);
    record->demanded_by_policy = cp_rows_is_null(columns->rows, 0, columns->next)
                                     ? MSG_DEMANDED_UNKNOWN
                                     : (uint32_t)cp_rows_i64(columns->rows, 0, columns->next);
    columns->next++;
}

/* Members that are missing stay zero. */
static void read_attempt(yyjson_val *object, struct sb_arena *arena, struct msg_attempt *attempt)
{
    struct sb_slice tag = sb_json_text(yyjson_obj_get(object, "tag"));
    struct sb_slice model = sb_json_text(yyjson_obj_get(object, "model"));

    attempt->tag = sb_arena_dup(arena, tag);
    attempt->model = sb_arena_dup(arena, model);
    attempt->endpoint = yyjson_get_uint(yyjson_obj_get(object, "endpoint_id"));
    attempt->credential = yyjson_get_uint(yyjson_obj_get(object, "credential_id"));
    attempt->credential_kind = (uint8_t)yyjson_get_uint(yyjson_obj_get(object, "credential_kind"));
    attempt->status = (uint16_t)yyjson_get_uint(yyjson_obj_get(object, "status"));
    attempt->outcome = (uint8_t)yyjson_get_uint(yyjson_obj_get(object, "outcome"));
    attempt->started = (uint32_t)yyjson_get_uint(yyjson_obj_get(object, "started_us"));
    attempt->first_token = (uint32_t)yyjson_get_uint(yyjson_obj_get(object, "first_token_us"));
    attempt->took = (uint32_t)yyjson_get_uint(yyjson_obj_get(object, "took_us"));
}

static int read_attempts(struct sb_slice text, struct sb_arena *arena, struct msg_record *record)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    yyjson_val *array, *object;
    size_t i, n;
    int rc = sb_json_read(text, JSON_MAX, &doc, NULL);

    if (rc != SB_OK)
        return rc;
    array = yyjson_doc_get_root(doc);
    n = yyjson_arr_size(array);
    if (n > MSG_ATTEMPTS_MAX)
        return SB_ETOOBIG;
    record->attempts = sb_arena_alloc(arena, (n + 1) * sizeof(*record->attempts));
    yyjson_arr_foreach(array, i, n, object)
    {
        read_attempt(object, arena, &record->attempts[i]);
    }
    record->n_attempts = n;
    return SB_OK;
}

int cp_audit_find(struct cp_db *db, struct sb_slice generation, uint64_t tenant,
                  struct sb_arena *arena, struct msg_record *ret_record)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct msg_record record = {.kind = MSG_RECORD_REQUEST};
    struct columns columns = {.arena = arena};
    int rc;

    if (tenant > INT64_MAX)
        return SB_ENOENT;
    rc = cp_db_query(db,
                     "SELECT " FIND_COLUMNS " FROM audit_requests WHERE generation = $1"
                     " AND ($2 = 0::bigint OR tenant_id = $2) ORDER BY received_at DESC LIMIT 1",
                     CP_PARAMS(CP_P_TEXT(generation), CP_P_I64(tenant)), &rows);
    if (rc != SB_OK)
        return rc;
    if (cp_rows_count(rows) == 0)
        return SB_ENOENT;
    columns.rows = rows;
    read_row(&columns, &record);
    rc = read_attempts(cp_rows_bytes(rows, 0, columns.next), arena, &record);
    if (rc == SB_OK)
        *ret_record = record;
    return rc;
}
