/* controlplane/admin/recount.c */
#include "controlplane/admin/recount.h"

#include "common/arena.h"
#include "common/err.h"
#include "common/json.h"
#include "common/timefmt.h"
#include "controlplane/db.h"
#include "controlplane/records/audit_rows.h"
#include "proto/record.h"

enum { PAGE = 5000, ARENA = 64 * 1024, TALLIES_MAX = 256 << 20 };

void cp_recount_init(struct cp_recount *recount, const struct cp_demand *demand)
{
    *recount = (struct cp_recount){.demand = *demand, .day = demand->from};
    cp_tallies_init(&recount->tallies, CP_RECOUNT_VIOLATIONS);
}

void cp_recount_release(struct cp_recount *recount)
{
    cp_tallies_release(&recount->tallies);
}

/* --- a row ---------------------------------------------------------------------------- */

enum column {
    COL_RECEIVED_AT,
    COL_WORKER,
    COL_BOOT,
    COL_SEQUENCE,
    COL_GENERATION,
    COL_KEY,
    COL_MODEL,
    COL_ENDPOINT,
    COL_TAG,
    COL_PROVIDER,
    COL_REGION,
    COL_RESIDENCY,
    COL_EVIDENCE,
    COL_ATTEMPTS,
    COL_PROMPT,
    COL_COMPLETION,
    COL_COST,
    COL_OUTCOME,
};

#define COLUMNS                                                                                    \
    "received_at, worker_id, boot_id, sequence, generation, key_name, model_served, endpoint_id,"  \
    " tag, provider, region, residency, evidence::text, jsonb_array_length(attempts),"             \
    " prompt_tokens, completion_tokens, cost, outcome"

static int32_t read_day(yyjson_val *object, const char *name)
{
    int32_t day = 0;

    return sb_date_parse(sb_json_text(yyjson_obj_get(object, name)), &day) == SB_OK ? day : 0;
}

/* As it was written by controlplane/records/audit_rows.c; what is not of that form was
 * not, and counts as nothing. */
static int read_evidence(struct sb_slice text, struct sb_arena *arena, struct msg_record *record)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    yyjson_val *array, *object;
    size_t i, n;
    int rc;

    if (text.n == 0)
        return SB_OK;
    rc = sb_json_read(text, text.n, &doc, NULL);
    if (rc != SB_OK)
        return rc;
    array = yyjson_doc_get_root(doc);
    record->evidence =
        sb_arena_alloc(arena, (yyjson_arr_size(array) + 1) * sizeof(*record->evidence));
    yyjson_arr_foreach(array, i, n, object)
    {
        int claim = msg_claim_parse(sb_json_text(yyjson_obj_get(object, "claim")));
        int value = msg_tri_parse(sb_json_text(yyjson_obj_get(object, "value")));

        if (claim < 0)
            continue;
        record->evidence[record->n_evidence++] = (struct msg_evidence){
            .claim = (uint8_t)claim,
            .value = (uint8_t)(value >= 0 ? value : MSG_TRI_UNKNOWN),
            .expires_on = read_day(object, "expires_on"),
            .evidence = sb_arena_dup(arena, sb_json_text(yyjson_obj_get(object, "evidence"))),
        };
    }
    return SB_OK;
}

static int note(struct cp_recount *recount, const struct cp_rows *rows, size_t row,
                struct sb_arena *arena)
{
    struct cp_record_id id = {.worker = cp_rows_bytes(rows, row, COL_WORKER),
                              .boot = (uint64_t)cp_rows_i64(rows, row, COL_BOOT),
                              .sequence = (uint64_t)cp_rows_i64(rows, row, COL_SEQUENCE)};
    struct msg_record record = {
        .kind = MSG_RECORD_REQUEST,
        .demanded = 1u << recount->demand.claim, /* the one that is asked for */
        .received_at = cp_rows_usec(rows, row, COL_RECEIVED_AT),
        .generation = cp_rows_bytes(rows, row, COL_GENERATION),
        .key_name = cp_rows_bytes(rows, row, COL_KEY),
        .model_served = cp_rows_bytes(rows, row, COL_MODEL),
        .endpoint = (uint64_t)cp_rows_i64(rows, row, COL_ENDPOINT),
        .tag = cp_rows_bytes(rows, row, COL_TAG),
        .provider = cp_rows_bytes(rows, row, COL_PROVIDER),
        .region = cp_rows_bytes(rows, row, COL_REGION),
        .residency = cp_rows_bytes(rows, row, COL_RESIDENCY),
        .n_attempts = (size_t)cp_rows_i64(rows, row, COL_ATTEMPTS),
        .usage = {.prompt_tokens = (uint64_t)cp_rows_i64(rows, row, COL_PROMPT),
                  .completion_tokens = (uint64_t)cp_rows_i64(rows, row, COL_COMPLETION)},
        .cost = cp_rows_i64(rows, row, COL_COST),
        .outcome = (uint8_t)cp_rows_i64(rows, row, COL_OUTCOME)};
    int rc = read_evidence(cp_rows_bytes(rows, row, COL_EVIDENCE), arena, &record);

    return rc == SB_OK ? cp_tallies_note(&recount->tallies, &id, &record) : rc;
}

/* --- a page --------------------------------------------------------------------------- */

/* A day at a time: what is not demanded is passed over on the server, and a
 * statement that passes over a month of it would take long. */
static int open_cursor(struct cp_recount *recount, struct cp_db *db)
{
    static const char sql[] =
        "DECLARE recount NO SCROLL CURSOR FOR SELECT " COLUMNS " FROM audit_requests"
        " WHERE received_at >= (date '1970-01-01' + $2::integer)::timestamp AT TIME ZONE 'UTC'"
        " AND received_at < (date '1970-01-01' + $3::integer)::timestamp AT TIME ZONE 'UTC'"
        " AND demanded & " CP_DEMAND_BIT " <> 0 AND " CP_DEMAND_OF("coalesce(residency, '')");
    struct cp_param params[CP_DEMAND_PARAMS];
    struct cp_demand demand = recount->demand;

    demand.from = recount->day;
    demand.to = recount->day + 1;
    cp_demand_params(&demand, params);
    return cp_db_exec(db, sql, params, CP_DEMAND_PARAMS, NULL);
}

static int read_page(struct cp_recount *recount, struct cp_db *db, size_t *ret_n)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(ARENA);
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = cp_db_query(db, "FETCH FORWARD 5000 FROM recount", CP_NO_PARAMS, &rows);

    _Static_assert(PAGE == 5000, "as in the statement above");
    if (rc != SB_OK)
        return rc;
    *ret_n = cp_rows_count(rows);
    for (size_t row = 0; rc == SB_OK && row < *ret_n; row++)
        rc = note(recount, rows, row, arena);
    recount->rows += *ret_n;
    return rc;
}

int cp_recount_step(struct cp_recount *recount, struct cp_db *db)
{
    size_t n = 0;
    int rc = SB_OK;

    if (recount->day >= recount->demand.to)
        return SB_EEOF;
    if (!recount->is_open)
        rc = open_cursor(recount, db);
    if (rc == SB_OK) {
        recount->is_open = true;
        rc = read_page(recount, db, &n);
    }
    if (rc == SB_OK && n < PAGE) {
        rc = cp_db_exec(db, "CLOSE recount", CP_NO_PARAMS, NULL);
        recount->is_open = false;
        recount->day++;
    }
    return rc;
}

/* --- what came of it ----------------------------------------------------------------------- */

/* By what is shown, and not by the key that stands for it: texts that somebody
 * edited are another row. */
#define TEXTS(row)                                                                                 \
    "(" row ".day, " row ".claim, " row ".demanded, " row ".endpoint, " row ".provider, " row      \
    ".region, " row ".evidence, coalesce(" row ".expires_on, 'infinity'), " row ".verdict, " row   \
    ".why)"
/* clang-format off */
static const char differences_sql[] =
    "WITH counted AS (" CP_TALLIES_ROWS("$5") "),"
    " stored AS (SELECT * FROM compliance_days WHERE claim = $1::text AND " CP_DEMAND_DAY("day")
    "  AND " CP_DEMAND_OF("demanded") "),"
    " differ AS (SELECT coalesce(c.day, s.day) AS day, coalesce(c.verdict, s.verdict) AS verdict,"
    "   coalesce(c.demanded, s.demanded) AS demanded, coalesce(c.endpoint, s.endpoint) AS endpoint,"
    "   coalesce(c.region, s.region) AS region, coalesce(c.evidence, s.evidence) AS evidence,"
    "   CASE WHEN c.key IS NULL THEN s.expires_on ELSE c.expires_on END AS expires_on,"
    "   coalesce(c.why, s.why) AS why, coalesce(c.requests, 0) AS counted,"
    "   coalesce(s.requests, 0) AS stored"
    "  FROM counted c FULL JOIN stored s ON " TEXTS("s") " = " TEXTS("c")
    "  WHERE (c.requests, c.tokens, c.cost) IS DISTINCT FROM (s.requests, s.tokens, s.cost)"
    "  ORDER BY 1, 2, 3, 4 LIMIT 1000)"
    " SELECT coalesce(json_agg(differ), '[]')::text FROM differ";
/* clang-format on */
#undef TEXTS

static int find_differences(struct cp_recount *recount, struct cp_db *db, struct cp_rows **ret_rows)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf text = {.limit = 0};
    struct cp_param params[CP_DEMAND_PARAMS + 1];
    int rc;

    _Static_assert(CP_RECOUNT_DIFFERENCES == 1000, "as in the statement above");
    sb_buf_init(&text, TALLIES_MAX);
    rc = cp_tallies_write(&recount->tallies, &text);
    if (rc != SB_OK)
        return rc;
    cp_demand_params(&recount->demand, params);
    params[CP_DEMAND_PARAMS] = CP_P_TEXT(sb_buf_slice(&text));
    return cp_db_query(db, differences_sql, params, CP_DEMAND_PARAMS + 1, ret_rows);
}

static void add_counts(const struct cp_recount *recount, struct sb_json *json)
{
    static const char *const names[CP_VERDICTS] = {"served", "refused", "failed", "violations"};
    uint64_t counts[CP_VERDICTS] = {0}, all = 0;

    for (const struct cp_tally *tally = recount->tallies.first; tally != NULL; tally = tally->next)
        counts[tally->judgement.verdict] += tally->requests;
    for (int i = 0; i < CP_VERDICTS; i++)
        all += counts[i];
    sb_json_add_object(json, "counts");
    sb_json_add_u64(json, "demanded", all);
    for (int i = 0; i < CP_VERDICTS; i++)
        sb_json_add_u64(json, names[i], counts[i]);
    sb_json_close_object(json);
}

#define VIOLATION                                                                                  \
    "received_at, worker_id, boot_id, sequence, generation, claim, why, demanded, key_name,"       \
    " endpoint, provider, region, evidence, expires_on"

/* Rows of the stored list that were not counted, and that were and are not in it.
 * Beyond CP_RECOUNT_VIOLATIONS the list of what was counted is not whole: then by
 * their number alone. */
static int compare_violations(struct cp_recount *recount, struct cp_db *db, struct sb_slice counted,
                              uint64_t *ret_n)
{
    static const char sql[] = "WITH counted AS (SELECT " VIOLATION " FROM (" CP_TALLIES_VIOLATIONS(
        "$5") ") v),"
              " stored AS (SELECT " VIOLATION " FROM compliance_violations WHERE claim = $1::text"
              "  AND received_at >= (date '1970-01-01' + $2::integer)::timestamp AT TIME ZONE 'UTC'"
              "  AND received_at < (date '1970-01-01' + $3::integer)::timestamp AT TIME ZONE 'UTC'"
              "  AND " CP_DEMAND_OF(
                  "demanded") ")"
                              " SELECT CASE WHEN $6::bigint > (SELECT count(*) FROM counted)"
                              "  THEN abs($6 - (SELECT count(*) FROM stored))"
                              "  ELSE (SELECT count(*) FROM (TABLE counted EXCEPT ALL TABLE "
                              "stored) a)"
                              "   + (SELECT count(*) FROM (TABLE stored EXCEPT ALL TABLE counted) "
                              "b) END";
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct cp_param params[CP_DEMAND_PARAMS + 2];
    int rc;

    cp_demand_params(&recount->demand, params);
    params[CP_DEMAND_PARAMS] = CP_P_TEXT(counted);
    params[CP_DEMAND_PARAMS + 1] = CP_P_I64(recount->tallies.violations);
    rc = cp_db_query(db, sql, params, CP_DEMAND_PARAMS + 2, &rows);
    if (rc == SB_OK)
        *ret_n = (uint64_t)cp_rows_i64(rows, 0, 0);
    return rc;
}
#undef VIOLATION

static int find_violations(struct cp_recount *recount, struct cp_db *db, uint64_t *ret_differ,
                           struct cp_rows **ret_rows)
{
    static const char sql[] =
        "SELECT coalesce(json_agg(" CP_DEMAND_VIOLATION " ORDER BY received_at), '[]')::text"
        " FROM (" CP_TALLIES_VIOLATIONS("$1") ") v";
    struct sb_slice text = SB_SLICE_NONE;
    int rc = cp_tallies_violations(&recount->tallies, &text);

    if (rc == SB_OK)
        rc = compare_violations(recount, db, text, ret_differ);
    return rc == SB_OK ? cp_db_query(db, sql, CP_PARAMS(CP_P_TEXT(text)), ret_rows) : rc;
}

int cp_recount_write(struct cp_recount *recount, struct cp_db *db, struct sb_buf *out)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *differences = NULL, *violations = NULL;
    struct sb_slice text;
    struct sb_json json;
    uint64_t differ = 0;
    int rc = find_differences(recount, db, &differences);

    if (rc == SB_OK)
        rc = find_violations(recount, db, &differ, &violations);
    if (rc != SB_OK)
        return rc;
    text = cp_rows_bytes(differences, 0, 0);
    sb_json_init(&json, out);
    sb_json_open_object(&json);
    sb_json_add_u64(&json, "rows", recount->rows);
    add_counts(recount, &json);
    sb_json_add_bool(&json, "matches", sb_slice_is(text, "[]") && differ == 0);
    sb_json_add_raw(&json, "differences", text);
    sb_json_add_u64(&json, "violations_differ", differ);
    sb_json_add_raw(&json, "violations", cp_rows_bytes(violations, 0, 0));
    sb_json_close_object(&json);
    return sb_json_end(&json);
}
