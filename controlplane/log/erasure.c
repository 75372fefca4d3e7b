/* controlplane/log/erasure.c */
#include "controlplane/log/erasure.h"

#include <inttypes.h>

#include "common/buf.h"
#include "common/json.h"
#include "common/secret.h"
#include "common/timefmt.h"
#include "controlplane/admin_tokens.h"
#include "controlplane/config/store_private.h"

enum { PAGE = 5000, JSON_MAX = 16 << 20 };

enum { F_AT, F_WORKER, F_BOOT, F_SEQUENCE, F_SALT, F_HASH, F_HELD };

static const char page_sql[] =
    "SELECT r.received_at, r.worker_id, r.boot_id, r.sequence, r.salt, r.user_hash,"
    " EXISTS (SELECT FROM legal_holds h WHERE h.lifted_at IS NULL"
    "         AND (r.received_at AT TIME ZONE 'UTC')::date BETWEEN h.from_day AND h.to_day)"
    " FROM audit_requests r WHERE r.tenant_name = $1"
    " AND r.received_at >= $2::timestamptz AND ($3::timestamptz IS NULL OR r.received_at < $3)"
    " AND (r.received_at, r.worker_id, r.boot_id, r.sequence) >"
    "     ($4::timestamptz, $5::text, $6::bigint, $7::bigint)"
    " AND r.salt IS NOT NULL AND r.user_hash IS NOT NULL"
    " ORDER BY r.received_at, r.worker_id, r.boot_id, r.sequence LIMIT $8";

struct run {
    struct cp_store *store;
    const struct cp_erasure *erasure;
    const struct cp_actor *by;
    bool erases;
    struct cp_erased found;
    uint64_t erased;
    struct sb_errmsg *err;
};

static int db_failed(const struct run *run, int rc)
{
    return sb_err_set(run->err, rc, "%s", cp_db_last_error(run->store->db)->text.text);
}

static bool is_of_user(const struct run *run, const struct cp_rows *rows, size_t row)
{
    struct sb_slice salt = cp_rows_bytes(rows, row, F_SALT);
    uint8_t key[SB_SALT_BYTES], hash[SB_HASH_BYTES];

    if (salt.n != sizeof(key))
        return false;
    memcpy(key, salt.p, sizeof(key));
    sb_hash_named(key, "user", run->erasure->user, hash);
    return sb_slice_eq(cp_rows_bytes(rows, row, F_HASH), sb_slice_make(hash, sizeof(hash)));
}

static void add_record(struct sb_json *json, const struct cp_rows *rows, size_t row)
{
    char at[SB_TIME_TEXT_MAX];
    size_t n = sb_time_format((sb_usec)cp_rows_usec(rows, row, F_AT), 6, at);

    sb_json_open_object(json);
    sb_json_add_text(json, "received_at", sb_slice_make(at, n));
    sb_json_add_text(json, "worker_id", cp_rows_bytes(rows, row, F_WORKER));
    sb_json_add_i64(json, "boot_id", cp_rows_i64(rows, row, F_BOOT));
    sb_json_add_i64(json, "sequence", cp_rows_i64(rows, row, F_SEQUENCE));
    sb_json_close_object(json);
}

static int erase_page(struct run *run, struct sb_slice records)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = cp_db_query(
        run->store->db, "SELECT erase_records($1, $2, $3::jsonb)",
        CP_PARAMS(CP_P_TEXT(run->by->name), CP_P_TEXT(run->erasure->tenant), CP_P_TEXT(records)),
        &rows);

    if (rc != SB_OK)
        return db_failed(run, rc);
    run->erased += (uint64_t)cp_rows_i64(rows, 0, 0);
    return SB_OK;
}

static int take_page(struct run *run, const struct cp_rows *rows)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf records = {.limit = JSON_MAX};
    struct sb_json json;
    size_t n = 0;
    int rc;

    sb_json_init(&json, &records);
    sb_json_open_array(&json);
    for (size_t row = 0; row < cp_rows_count(rows); row++) {
        if (!is_of_user(run, rows, row))
            continue;
        add_record(&json, rows, row);
        n++;
        if (run->erases)
            continue;
        run->found.records++;
        run->found.held += cp_rows_bool(rows, row, F_HELD) ? 1 : 0;
    }
    sb_json_close_array(&json);
    rc = sb_json_end(&json);
    return rc == SB_OK && run->erases && n > 0 ? erase_page(run, sb_buf_slice(&records)) : rc;
}

static int go_through(struct run *run)
{
    struct cp_rows *rows = NULL;
    char from[SB_TIME_TEXT_MAX], to[SB_TIME_TEXT_MAX], at[SB_TIME_TEXT_MAX] = "1970-01-01";
    const bool has_end = run->erasure->to != INT64_MAX;
    struct sb_slice worker = SB_SLICE_LIT("");
    int64_t boot = INT64_MIN, sequence = INT64_MIN;
    size_t n = PAGE;
    int rc = SB_OK;

    (void)sb_time_format((sb_usec)run->erasure->from, 6, from);
    (void)sb_time_format(has_end ? (sb_usec)run->erasure->to : 0, 6, to);
    while (rc == SB_OK && n == PAGE) {
        const struct cp_param params[] = {CP_P_TEXT(run->erasure->tenant),
                                          CP_P_STR(from),
                                          has_end ? CP_P_STR(to) : CP_P_NULL,
                                          CP_P_STR(at),
                                          CP_P_TEXT(worker),
                                          CP_P_I64(boot),
                                          CP_P_I64(sequence),
                                          CP_P_I64(PAGE)};
        struct cp_rows *more = NULL;

        rc = cp_db_query(run->store->db, page_sql, params, SB_ARRAY_LEN(params), &more);
        if (rc != SB_OK) {
            rc = db_failed(run, rc);
            break;
        }
        cp_rows_destroy(&rows); /* worker was of it */
        rows = more;
        n = cp_rows_count(rows);
        rc = take_page(run, rows);
        if (n == 0)
            break;
        (void)sb_time_format((sb_usec)cp_rows_usec(rows, n - 1, F_AT), 6, at);
        worker = cp_rows_bytes(rows, n - 1, F_WORKER);
        boot = cp_rows_i64(rows, n - 1, F_BOOT);
        sequence = cp_rows_i64(rows, n - 1, F_SEQUENCE);
    }
    cp_rows_destroy(&rows);
    return rc;
}

/* That it was asked for, before anything is gone; never of whom. */
static int note_asked(struct run *run)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf detail = {.limit = 1024};
    const struct cp_erasure *erasure = run->erasure;
    char at[SB_TIME_TEXT_MAX];
    struct sb_json json;
    int rc;

    sb_json_init(&json, &detail);
    sb_json_open_object(&json);
    if (erasure->from > 0)
        sb_json_add_text(&json, "from",
                         sb_slice_make(at, sb_time_format((sb_usec)erasure->from, 0, at)));
    if (erasure->to != INT64_MAX)
        sb_json_add_text(&json, "to",
                         sb_slice_make(at, sb_time_format((sb_usec)erasure->to, 0, at)));
    sb_json_close_object(&json);
    rc = sb_json_end(&json);
    if (rc == SB_OK)
        rc = cp_action_record(run->store->db, "erasure", run->by, erasure->tenant,
                              sb_buf_slice(&detail));
    return rc == SB_OK ? rc : db_failed(run, rc);
}

/* A tenant that is gone may have left records, so the records count, too. */
static int check_tenant(const struct run *run)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct sb_slice name = run->erasure->tenant;
    int rc = cp_db_query(run->store->db,
                         "SELECT EXISTS (SELECT FROM tenants WHERE name = $1)"
                         " OR EXISTS (SELECT FROM audit_requests WHERE tenant_name = $1)",
                         CP_PARAMS(CP_P_TEXT(name)), &rows);

    if (rc != SB_OK)
        return db_failed(run, rc);
    if (cp_rows_bool(rows, 0, 0))
        return SB_OK;
    return sb_err_set(run->err, SB_ENOENT,
                      "there is no tenant '%.*s', and no record of one; switchboardctl get tenants "
                      "lists them",
                      SB_SLICE_ARGS(name));
}

int cp_erase(struct cp_store *store, const struct cp_erasure *erasure, const struct cp_actor *by,
             struct cp_erased *ret, struct sb_errmsg *err)
{
    struct run run = {.store = store, .erasure = erasure, .by = by, .err = err};
    int rc = cp_store_ready(store);

    if (rc != SB_OK)
        return db_failed(&run, rc);
    rc = check_tenant(&run);
    if (rc == SB_OK)
        rc = go_through(&run);
    if (rc == SB_OK && !erasure->dry_run && run.found.held > 0)
        return sb_err_set(err, SB_ECONFLICT,
                          "%" PRIu64 " of the %" PRIu64
                          " records are of days under a legal hold; lift it first, or leave these "
                          "days out by from and to",
                          run.found.held, run.found.records);
    if (rc == SB_OK && !erasure->dry_run) {
        run.erases = true;
        rc = note_asked(&run);
        if (rc == SB_OK)
            rc = go_through(&run);
        run.found.records = run.erased;
    }
    if (rc == SB_OK)
        *ret = run.found;
    return rc;
}
