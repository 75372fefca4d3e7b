/* controlplane/records/audit_rows.c */
#include "controlplane/records/audit_rows.h"

#include <string.h>

#include "common/arena.h"
#include "common/canon.h"
#include "common/err.h"
#include "common/json.h"
#include "common/network.h"
#include "common/num.h"
#include "common/secret.h"
#include "common/timefmt.h"
#include "controlplane/copy.h"
#include "controlplane/db.h"
#include "controlplane/log/entry.h"
#include "proto/record.h"

enum {
    COPY_MAX = 1 << 28,   /* bytes of rows in one transaction, far above what batches hold */
    JSON_MAX = 1 << 20,   /* of the attempts and the evidence of one record */
    SEND_BYTES = 1 << 18, /* of rows that are sent before the others are made */
    SQL_MAX = 4096,
};

void cp_audit_rows_init(struct cp_audit_rows *rows)
{
    for (int t = 0; t < CP_AUDIT_TABLES; t++) {
        sb_buf_init(&rows->tables[t].copy, COPY_MAX);
        rows->tables[t].n = 0;
    }
    sb_buf_init(&rows->json, JSON_MAX);
    sb_buf_init(&rows->line, CP_ENTRY_LINE_MAX);
    rows->is_copying = false;
}

void cp_audit_rows_release(struct cp_audit_rows *rows)
{
    for (int t = 0; t < CP_AUDIT_TABLES; t++)
        sb_buf_release(&rows->tables[t].copy);
    sb_buf_release(&rows->json);
    sb_buf_release(&rows->line);
}

void cp_audit_rows_reset(struct cp_audit_rows *rows)
{
    for (int t = 0; t < CP_AUDIT_TABLES; t++) {
        sb_buf_reset(&rows->tables[t].copy);
        rows->tables[t].n = 0;
    }
    rows->is_copying = false;
}

/* --- JSON of a record, canonical ------------------------------------------------------- */

static char *put_raw(char *to, const char *text, size_t n)
{
    memcpy(to, text, n);
    return to + n;
}
#define PUT(to, text) put_raw(to, text, sizeof(text) - 1)

static char *put_number(char *to, uint64_t number)
{
    return to + sb_num_put_u64(to, number);
}

/* 0 is unknown.  label begins with the comma. */
static char *put_day(char *to, const char *label, int32_t day)
{
    const struct sb_date last = {.year = 9999, .month = 12, .day = 31};
    char text[SB_DATE_TEXT_MAX];
    size_t n;

    if (day <= 0 || day > sb_date_to_day(last))
        return to;
    n = sb_date_format(day, text);
    to = put_raw(to, label, strlen(label));
    return sb_canon_text(to, sb_slice_make(text, n));
}

static char *put_evidence(char *to, const struct msg_evidence *held)
{
    char *start;

    to = start = PUT(to, "{");
    if (held->attested_by.n > 0)
        to = sb_canon_text(PUT(to, ",\"attested_by\":"), held->attested_by);
    to = put_day(to, ",\"attested_on\":", held->attested_on);
    to = sb_canon_text(PUT(to, ",\"claim\":"), sb_slice_of(msg_claim_name(held->claim)));
    if (held->evidence.n > 0)
        to = sb_canon_text(PUT(to, ",\"evidence\":"), held->evidence);
    to = put_day(to, ",\"expires_on\":", held->expires_on);
    to = sb_canon_text(PUT(to, ",\"value\":"), sb_slice_of(msg_tri_name(held->value)));
    *to++ = '}';
    memmove(start, start + 1, (size_t)(to - start - 1)); /* the first comma */
    return to - 1;
}

/* Numbers of closed lists stay numbers, as in the columns: a newer worker may
 * know more than we have names for. */
static char *put_attempt(char *to, const struct msg_attempt *attempt)
{
    to = put_number(PUT(to, "{\"credential_id\":"), attempt->credential);
    to = put_number(PUT(to, ",\"credential_kind\":"), attempt->credential_kind);
    to = put_number(PUT(to, ",\"endpoint_id\":"), attempt->endpoint);
    to = put_number(PUT(to, ",\"first_token_us\":"), attempt->first_token);
    to = sb_canon_text(PUT(to, ",\"model\":"), attempt->model);
    to = put_number(PUT(to, ",\"outcome\":"), attempt->outcome);
    to = put_number(PUT(to, ",\"started_us\":"), attempt->started);
    to = put_number(PUT(to, ",\"status\":"), attempt->status);
    to = sb_canon_text(PUT(to, ",\"tag\":"), attempt->tag);
    to = put_number(PUT(to, ",\"took_us\":"), attempt->took);
    return PUT(to, "}");
}

enum { NESTED_MAX = 512 }; /* bytes of one of either, its texts apart */

/* --- one row ------------------------------------------------------------------------- */

/* Values of a row; the first error sticks. */
struct row {
    struct cp_audit_rows *rows;
    struct cp_value *values;
    uint8_t salt_hash[SB_HASH_BYTES];
    int rc;
};

static void set_i64(struct row *row, int column, int64_t value)
{
    row->values[column] = (struct cp_value){.is_set = true, .number = value};
}

static void set_u64(struct row *row, int column, uint64_t value)
{
    if (value > INT64_MAX)
        row->rc = SB_EINVAL;
    else
        set_i64(row, column, (int64_t)value);
}

/* 0 is NULL. */
static void set_u64_or_null(struct row *row, int column, uint64_t value)
{
    if (value != 0)
        set_u64(row, column, value);
}

static void set_text(struct row *row, int column, struct sb_slice value)
{
    row->values[column] = (struct cp_value){.is_set = true, .bytes = value};
}

/* Nothing is NULL. */
static void set_text_or_null(struct row *row, int column, struct sb_slice value)
{
    if (value.n > 0)
        set_text(row, column, value);
}

static void set_time(struct row *row, int column, int64_t usec)
{
    if (!cp_copy_takes_usec(usec))
        row->rc = SB_EINVAL;
    else
        set_i64(row, column, usec);
}

/* What is no address is NULL: it must not keep its record out. */
static void set_address(struct row *row, int column, struct sb_slice text)
{
    struct sb_address address;

    if (sb_address_parse(text, &address) == SB_OK)
        set_text(row, column, text);
}

static void set_salt(struct row *row, int column, int hash_column, struct sb_slice salt)
{
    uint8_t key[SB_SALT_BYTES];

    if (salt.n != sizeof(key))
        return;
    memcpy(key, salt.p, sizeof(key));
    sb_hash_salt(key, row->salt_hash);
    set_text(row, column, salt);
    set_text(row, hash_column, sb_slice_make(row->salt_hash, sizeof(row->salt_hash)));
}

static void set_by_policy(struct row *row, int column, const struct msg_record *record)
{
    if (record->demanded_by_policy != MSG_DEMANDED_UNKNOWN)
        set_i64(row, column, (int32_t)record->demanded_by_policy);
}

/* The bytes behind offset of the buffer, which does not move any more. */
static void set_json(struct row *row, int column, size_t from)
{
    set_text(row, column, sb_slice_from(sb_buf_slice(&row->rows->json), from));
}

/* Room for all that is nested in a record. */
static int reserve_json(struct sb_buf *json, const struct msg_record *record)
{
    size_t room = 4 + NESTED_MAX * (record->n_evidence + record->n_attempts);

    for (size_t i = 0; i < record->n_evidence; i++)
        room += SB_CANON_TEXT_MAX(record->evidence[i].evidence.n) +
                SB_CANON_TEXT_MAX(record->evidence[i].attested_by.n);
    for (size_t i = 0; i < record->n_attempts; i++)
        room += SB_CANON_TEXT_MAX(record->attempts[i].model.n) +
                SB_CANON_TEXT_MAX(record->attempts[i].tag.n);
    sb_buf_reset(json);
    return sb_buf_reserve(json, room);
}

static void set_evidence(struct row *row, int column, const struct msg_record *record)
{
    struct sb_buf *json = &row->rows->json;
    size_t from = sb_buf_len(json);
    char *to = sb_buf_end(json);

    if (record->n_evidence == 0)
        return;
    for (size_t i = 0; i < record->n_evidence; i++) {
        *to++ = i == 0 ? '[' : ',';
        to = put_evidence(to, &record->evidence[i]);
    }
    *to++ = ']';
    sb_buf_commit(json, (size_t)(to - sb_buf_end(json)));
    set_json(row, column, from);
}

static void set_attempts(struct row *row, int column, const struct msg_record *record)
{
    struct sb_buf *json = &row->rows->json;
    size_t from = sb_buf_len(json);
    char *to = sb_buf_end(json);

    *to++ = '[';
    for (size_t i = 0; i < record->n_attempts; i++) {
        if (i > 0)
            *to++ = ',';
        to = put_attempt(to, &record->attempts[i]);
    }
    *to++ = ']';
    sb_buf_commit(json, (size_t)(to - sb_buf_end(json)));
    set_json(row, column, from);
}

/* Columns that all tables have, and those of requests and dispatches. */
#define SET_ID(TABLE)                                                                              \
    set_time(row, TABLE##_received_at, record->received_at);                                       \
    set_text(row, TABLE##_worker_id, id->worker);                                                  \
    set_u64(row, TABLE##_boot_id, id->boot);                                                       \
    set_u64(row, TABLE##_sequence, id->sequence)
#define SET_SHARED(TABLE)                                                                          \
    SET_ID(TABLE);                                                                                 \
    set_text(row, TABLE##_generation, record->generation);                                         \
    set_text_or_null(row, TABLE##_request_id, record->request_id);                                 \
    set_i64(row, TABLE##_api, record->api);                                                        \
    set_i64(row, TABLE##_streamed, record->streamed ? 1 : 0);                                      \
    set_u64(row, TABLE##_key_id, record->key);                                                     \
    set_u64(row, TABLE##_tenant_id, record->tenant);                                               \
    set_text(row, TABLE##_key_name, record->key_name);                                             \
    set_text(row, TABLE##_tenant_name, record->tenant_name);                                       \
    set_text(row, TABLE##_model_asked, record->model_asked);                                       \
    set_u64_or_null(row, TABLE##_endpoint_id, record->endpoint);                                   \
    set_text_or_null(row, TABLE##_tag, record->tag);                                               \
    set_text_or_null(row, TABLE##_provider, record->provider);                                     \
    set_text_or_null(row, TABLE##_region, record->region);                                         \
    set_i64(row, TABLE##_credential_kind, record->credential_kind);                                \
    set_u64(row, TABLE##_epoch, record->version.epoch);                                            \
    set_u64(row, TABLE##_revision, record->version.revision);                                      \
    set_i64(row, TABLE##_demanded, (int32_t)record->demanded);                                     \
    set_by_policy(row, TABLE##_demanded_by_policy, record);                                        \
    set_text_or_null(row, TABLE##_residency, record->residency);                                   \
    set_evidence(row, TABLE##_evidence, record);                                                   \
    set_u64(row, TABLE##_request_bytes, record->request_bytes);                                    \
    set_address(row, TABLE##_client_address, record->client_address);                              \
    set_salt(row, TABLE##_salt, TABLE##_salt_hash, record->salt);                                  \
    set_text_or_null(row, TABLE##_request_digest, record->request_digest);                         \
    set_text_or_null(row, TABLE##_response_digest, record->response_digest)

static void set_request(struct row *row, const struct cp_record_id *id,
                        const struct msg_record *record)
{
    SET_SHARED(CP_REQUEST);
    set_u64(row, CP_REQUEST_took_us, record->took);
    set_u64_or_null(row, CP_REQUEST_first_token_us, record->first_token);
    set_text_or_null(row, CP_REQUEST_model_served, record->model_served);
    set_attempts(row, CP_REQUEST_attempts, record);
    set_u64(row, CP_REQUEST_prompt_tokens, record->usage.prompt_tokens);
    set_u64(row, CP_REQUEST_completion_tokens, record->usage.completion_tokens);
    set_u64(row, CP_REQUEST_cached_tokens, record->usage.cached_tokens);
    set_u64(row, CP_REQUEST_cache_write_tokens, record->usage.cache_write_tokens);
    set_u64(row, CP_REQUEST_reasoning_tokens, record->usage.reasoning_tokens);
    set_i64(row, CP_REQUEST_usage_source, record->usage.source);
    set_i64(row, CP_REQUEST_cost, record->cost);
    set_i64(row, CP_REQUEST_upstream_cost, record->upstream_cost);
    set_i64(row, CP_REQUEST_status, record->status);
    set_i64(row, CP_REQUEST_outcome, record->outcome);
    set_text_or_null(row, CP_REQUEST_finish_reason, record->finish_reason);
    set_u64(row, CP_REQUEST_response_bytes, record->response_bytes);
    set_text_or_null(row, CP_REQUEST_user_hash, record->user_hash);
    set_text_or_null(row, CP_REQUEST_metadata_hash, record->metadata_hash);
    set_text_or_null(row, CP_REQUEST_user_plain, record->user_plain);
    set_text_or_null(row, CP_REQUEST_metadata_plain, record->metadata_plain);
}

static void set_dispatch(struct row *row, const struct cp_record_id *id,
                         const struct msg_record *record)
{
    SET_SHARED(CP_DISPATCH);
}

static void set_refusals(struct row *row, const struct cp_record_id *id,
                         const struct msg_record *record)
{
    SET_ID(CP_REFUSALS);
    set_text(row, CP_REFUSALS_reason, record->refusal);
    set_u64(row, CP_REFUSALS_refusals, record->refusals);
}

/* Each kind has its table. */
static const struct {
    enum cp_entry_kind entry;
    void (*set)(struct row *, const struct cp_record_id *, const struct msg_record *);
} tables[CP_AUDIT_TABLES] = {
    [CP_AUDIT_REQUESTS] = {CP_ENTRY_REQUEST, set_request},
    [CP_AUDIT_DISPATCHES] = {CP_ENTRY_DISPATCH, set_dispatch},
    [CP_AUDIT_REFUSALS] = {CP_ENTRY_REFUSALS, set_refusals},
};

static enum cp_audit_table table_of(const struct msg_record *record)
{
    switch (record->kind) {
    case MSG_RECORD_REQUEST:
        return CP_AUDIT_REQUESTS;
    case MSG_RECORD_DISPATCH:
        return CP_AUDIT_DISPATCHES;
    default:
        return CP_AUDIT_REFUSALS;
    }
}

int cp_audit_rows_add(struct cp_audit_rows *rows, const struct cp_record_id *id,
                      const struct msg_record *record, uint64_t leaf, struct sb_slice *ret_line)
{
    enum cp_audit_table table = table_of(record);
    enum cp_entry_kind kind = tables[table].entry;
    const struct cp_columns *columns = cp_columns_of(kind);
    struct cp_value values[CP_COLUMNS_MAX] = {0};
    struct row row = {.rows = rows, .values = values};
    struct sb_buf *copy = &rows->tables[table].copy;
    size_t before = sb_buf_len(copy);

    sb_buf_reset(&rows->line);
    row.rc = reserve_json(&rows->json, record);
    if (row.rc == SB_OK) {
        tables[table].set(&row, id, record);
        set_u64(&row, columns->leaf, leaf);
    }
    if (row.rc == SB_OK)
        row.rc = cp_entry_put(kind, values, &rows->line);
    if (row.rc == SB_OK && rows->tables[table].n == 0)
        row.rc = cp_copy_start(copy);
    if (row.rc == SB_OK)
        row.rc = cp_columns_copy(columns, values, copy);
    if (row.rc != SB_OK) {
        sb_buf_truncate(copy, before);
        return row.rc;
    }
    rows->tables[table].n++;
    *ret_line = sb_buf_slice(&rows->line);
    return SB_OK;
}

static int begin_copy(const struct cp_columns *columns, struct cp_db *db)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf sql = {.limit = SQL_MAX};
    int rc = cp_columns_copy_sql(columns, &sql);

    if (rc == SB_OK)
        rc = sb_buf_append_byte(&sql, '\0');
    return rc == SB_OK ? cp_db_copy_begin(db, sql.data) : rc;
}

static int end_copy(struct sb_buf *copy, struct cp_db *db)
{
    uint64_t stored;
    int rc = cp_copy_finish(copy);

    if (rc == SB_OK)
        rc = cp_db_copy_put(db, sb_buf_slice(copy));
    return rc == SB_OK ? cp_db_copy_end(db, &stored) : rc;
}

int cp_audit_rows_send(struct cp_audit_rows *rows, struct cp_db *db)
{
    struct sb_buf *copy = &rows->tables[CP_AUDIT_REQUESTS].copy;
    int rc = SB_OK;

    if (sb_buf_len(copy) < SEND_BYTES)
        return SB_OK;
    if (!rows->is_copying)
        rc = begin_copy(cp_columns_of(CP_ENTRY_REQUEST), db);
    if (rc != SB_OK)
        return rc;
    rows->is_copying = true;
    rc = cp_db_copy_put(db, sb_buf_slice(copy));
    sb_buf_reset(copy);
    return rc;
}

int cp_audit_rows_settle(struct cp_audit_rows *rows, struct cp_db *db)
{
    struct sb_buf *copy = &rows->tables[CP_AUDIT_REQUESTS].copy;
    int rc;

    if (!rows->is_copying)
        return SB_OK;
    rows->is_copying = false;
    rc = end_copy(copy, db);
    sb_buf_reset(copy);
    rows->tables[CP_AUDIT_REQUESTS].n = 0;
    return rc;
}

int cp_audit_rows_store(struct cp_audit_rows *rows, struct cp_db *db)
{
    int rc = cp_audit_rows_settle(rows, db);

    for (int t = 0; rc == SB_OK && t < CP_AUDIT_TABLES; t++) {
        if (rows->tables[t].n == 0)
            continue;
        rc = begin_copy(cp_columns_of(tables[t].entry), db);
        if (rc == SB_OK)
            rc = end_copy(&rows->tables[t].copy, db);
    }
    return rc;
}

/* --- the way back ---------------------------------------------------------------------- */

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

/* The values of a row, their texts in an arena. */
struct found {
    const struct cp_value *values;
    struct sb_arena *arena;
};

static uint64_t number_of(const struct found *found, enum cp_request_column column)
{
    return (uint64_t)found->values[column].number;
}

static struct sb_slice text_of(const struct found *found, enum cp_request_column column)
{
    return sb_arena_dup(found->arena, found->values[column].bytes);
}

static void read_texts(const struct found *found, struct msg_record *record)
{
    record->generation = text_of(found, CP_REQUEST_generation);
    record->request_id = text_of(found, CP_REQUEST_request_id);
    record->key_name = text_of(found, CP_REQUEST_key_name);
    record->tenant_name = text_of(found, CP_REQUEST_tenant_name);
    record->model_asked = text_of(found, CP_REQUEST_model_asked);
    record->model_served = text_of(found, CP_REQUEST_model_served);
    record->tag = text_of(found, CP_REQUEST_tag);
    record->provider = text_of(found, CP_REQUEST_provider);
    record->region = text_of(found, CP_REQUEST_region);
    record->residency = text_of(found, CP_REQUEST_residency);
    record->finish_reason = text_of(found, CP_REQUEST_finish_reason);
    record->salt = text_of(found, CP_REQUEST_salt);
    record->request_digest = text_of(found, CP_REQUEST_request_digest);
    record->response_digest = text_of(found, CP_REQUEST_response_digest);
    record->user_hash = text_of(found, CP_REQUEST_user_hash);
    record->metadata_hash = text_of(found, CP_REQUEST_metadata_hash);
    record->user_plain = text_of(found, CP_REQUEST_user_plain);
    record->metadata_plain = text_of(found, CP_REQUEST_metadata_plain);
}

static void read_numbers(const struct found *found, struct msg_record *record)
{
    record->received_at = found->values[CP_REQUEST_received_at].number;
    record->took = number_of(found, CP_REQUEST_took_us);
    record->first_token = (uint32_t)number_of(found, CP_REQUEST_first_token_us);
    record->api = (uint8_t)number_of(found, CP_REQUEST_api);
    record->streamed = number_of(found, CP_REQUEST_streamed) != 0;
    record->key = number_of(found, CP_REQUEST_key_id);
    record->tenant = number_of(found, CP_REQUEST_tenant_id);
    record->endpoint = number_of(found, CP_REQUEST_endpoint_id);
    record->credential_kind = (uint8_t)number_of(found, CP_REQUEST_credential_kind);
    record->version.epoch = number_of(found, CP_REQUEST_epoch);
    record->version.revision = number_of(found, CP_REQUEST_revision);
    record->demanded = (uint32_t)number_of(found, CP_REQUEST_demanded);
    record->demanded_by_policy = found->values[CP_REQUEST_demanded_by_policy].is_set
                                     ? (uint32_t)number_of(found, CP_REQUEST_demanded_by_policy)
                                     : MSG_DEMANDED_UNKNOWN;
    record->usage.prompt_tokens = number_of(found, CP_REQUEST_prompt_tokens);
    record->usage.completion_tokens = number_of(found, CP_REQUEST_completion_tokens);
    record->usage.cached_tokens = number_of(found, CP_REQUEST_cached_tokens);
    record->usage.cache_write_tokens = number_of(found, CP_REQUEST_cache_write_tokens);
    record->usage.reasoning_tokens = number_of(found, CP_REQUEST_reasoning_tokens);
    record->usage.source = (uint8_t)number_of(found, CP_REQUEST_usage_source);
    record->cost = found->values[CP_REQUEST_cost].number;
    record->upstream_cost = found->values[CP_REQUEST_upstream_cost].number;
    record->status = (uint16_t)number_of(found, CP_REQUEST_status);
    record->outcome = (uint8_t)number_of(found, CP_REQUEST_outcome);
    record->request_bytes = number_of(found, CP_REQUEST_request_bytes);
    record->response_bytes = number_of(found, CP_REQUEST_response_bytes);
}

static int find(struct cp_db *db, struct sb_slice generation, uint64_t tenant,
                struct cp_rows **ret_rows)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf sql = {.limit = SQL_MAX};
    int rc = sb_buf_printf(&sql,
                           "%s WHERE generation = $1 AND ($2 = 0::bigint OR tenant_id = $2)"
                           " ORDER BY received_at DESC LIMIT 1%c",
                           cp_columns_of(CP_ENTRY_REQUEST)->select, '\0');

    if (rc != SB_OK)
        return rc;
    return cp_db_query(db, sql.data, CP_PARAMS(CP_P_TEXT(generation), CP_P_I64(tenant)), ret_rows);
}

int cp_audit_find(struct cp_db *db, struct sb_slice generation, uint64_t tenant,
                  struct sb_arena *arena, struct msg_record *ret_record)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct msg_record record = {.kind = MSG_RECORD_REQUEST};
    struct cp_value values[CP_COLUMNS_MAX];
    struct found found = {.values = values, .arena = arena};
    int rc;

    if (tenant > INT64_MAX)
        return SB_ENOENT;
    rc = find(db, generation, tenant, &rows);
    if (rc != SB_OK)
        return rc;
    if (cp_rows_count(rows) == 0)
        return SB_ENOENT;
    cp_columns_read(cp_columns_of(CP_ENTRY_REQUEST), rows, 0, values);
    read_texts(&found, &record);
    read_numbers(&found, &record);
    rc = read_attempts(values[CP_REQUEST_attempts].bytes, arena, &record);
    if (rc == SB_OK)
        *ret_record = record;
    return rc;
}
