/* controlplane/tables/minutes.c */
#include "controlplane/tables/minutes.h"

#include <stdlib.h>

#include "common/err.h"
#include "common/mem.h"
#include "controlplane/copy.h"
#include "controlplane/db.h"
#include "controlplane/mail.h"
#include "controlplane/publish/term.h"
#include "proto/sketch.h"

enum { COPY_MAX = 512 << 20, MSEC_PER_MINUTE = 60000 };
#define USEC_PER_MINUTE INT64_C(60000000)

/* In the order of read_sums(). */
#define SUMS                                                                                       \
    "attempts, successes, faults, rate_limited, prompt_tokens, completion_tokens,"                 \
    " first_token, throughput"
enum { SUMS_COLUMNS = 8 };

/* --- rows ----------------------------------------------------------------------- */

/* What cannot be read is missing from the percentiles, and from nothing else. */
static void read_sketch(const struct cp_rows *rows, size_t row, int column, struct sb_sketch *ret)
{
    struct sb_slice bytes = cp_rows_bytes(rows, row, column);

    if (bytes.n > 0)
        (void)!msg_sketch_decode(bytes, ret);
}

static void read_sums(const struct cp_rows *rows, size_t row, int column, struct cp_sums *sums)
{
    cp_sums_reset(sums);
    sums->attempts = (uint64_t)cp_rows_i64(rows, row, column);
    sums->successes = (uint64_t)cp_rows_i64(rows, row, column + 1);
    sums->faults = (uint64_t)cp_rows_i64(rows, row, column + 2);
    sums->rate_limited = (uint64_t)cp_rows_i64(rows, row, column + 3);
    sums->prompt_tokens = (uint64_t)cp_rows_i64(rows, row, column + 4);
    sums->completion_tokens = (uint64_t)cp_rows_i64(rows, row, column + 5);
    read_sketch(rows, row, column + 6, &sums->first_token);
    read_sketch(rows, row, column + 7, &sums->throughput);
}

/* --- storing ---------------------------------------------------------------------- */

/* Minutes in order, so that those of one come together. */
struct store {
    uint64_t term;
    struct cp_minute **minutes;
    size_t n;
    struct sb_buf copy, sketch;
};

static int by_minute(const void *a, const void *b)
{
    const struct cp_minute *x = *(struct cp_minute *const *)a, *y = *(struct cp_minute *const *)b;

    if (x->minute != y->minute)
        return x->minute < y->minute ? -1 : 1;
    return x->endpoint < y->endpoint ? -1 : x->endpoint > y->endpoint;
}

static int encode(struct store *store, const struct sb_sketch *sketch, struct sb_slice *ret)
{
    int rc;

    sb_buf_reset(&store->sketch);
    *ret = SB_SLICE_NONE;
    if (sketch->count == 0)
        return SB_OK;
    rc = msg_sketch_encode(sketch, &store->sketch);
    if (rc == SB_OK)
        *ret = sb_buf_slice(&store->sketch);
    return rc;
}

static int copy_sketch(struct store *store, const struct sb_sketch *sketch)
{
    struct sb_slice bytes;
    int rc = encode(store, sketch, &bytes);

    if (rc != SB_OK)
        return rc;
    return bytes.n > 0 ? cp_copy_bytes(&store->copy, bytes) : cp_copy_null(&store->copy);
}

/* The column is a bigint. */
static int64_t stored(uint64_t number)
{
    return number <= INT64_MAX ? (int64_t)number : INT64_MAX;
}

static int copy_minute(struct store *store, const struct cp_minute *minute)
{
    const struct cp_sums *sums = &minute->sums;
    const uint64_t numbers[] = {sums->attempts,     sums->successes,     sums->faults,
                                sums->rate_limited, sums->prompt_tokens, sums->completion_tokens};
    int rc = cp_copy_row(&store->copy, 11);

    if (rc == SB_OK)
        rc = cp_copy_usec(&store->copy, minute->minute * USEC_PER_MINUTE);
    if (rc == SB_OK)
        rc = cp_copy_i64(&store->copy, stored(minute->endpoint));
    for (size_t i = 0; rc == SB_OK && i < SB_ARRAY_LEN(numbers); i++)
        rc = cp_copy_i64(&store->copy, stored(numbers[i]));
    if (rc == SB_OK)
        rc = cp_copy_numeric(&store->copy, sums->cost);
    if (rc == SB_OK)
        rc = copy_sketch(store, &sums->first_token);
    return rc == SB_OK ? copy_sketch(store, &sums->throughput) : rc;
}

/* Adds a part to the row that is there, whose sketches are in before. */
static int update_minute(struct cp_db *db, struct store *store, const struct cp_minute *minute,
                         struct cp_sums *before)
{
    struct sb_buf *throughput = &store->copy; /* idle until all updates are done */
    struct sb_slice first_token;
    int rc = sb_sketch_merge(&before->first_token, &minute->sums.first_token);

    if (rc == SB_OK)
        rc = sb_sketch_merge(&before->throughput, &minute->sums.throughput);
    if (rc == SB_OK)
        rc = encode(store, &before->first_token, &first_token);
    sb_buf_reset(throughput);
    if (rc == SB_OK && before->throughput.count > 0)
        rc = msg_sketch_encode(&before->throughput, throughput);
    if (rc != SB_OK)
        return rc;
    return cp_db_exec(
        db,
        "UPDATE telemetry_minutes SET attempts = attempts + $3, successes = successes + $4,"
        " faults = faults + $5, rate_limited = rate_limited + $6,"
        " prompt_tokens = prompt_tokens + $7, completion_tokens = completion_tokens + $8,"
        " cost = cost + $9::bigint, first_token = nullif($10::bytea, ''),"
        " throughput = nullif($11::bytea, '')"
        " WHERE minute = to_timestamp($1::bigint * 60) AND endpoint_id = $2",
        CP_PARAMS(CP_P_I64(minute->minute), CP_P_I64(minute->endpoint),
                  CP_P_I64(minute->sums.attempts), CP_P_I64(minute->sums.successes),
                  CP_P_I64(minute->sums.faults), CP_P_I64(minute->sums.rate_limited),
                  CP_P_I64(stored(minute->sums.prompt_tokens)),
                  CP_P_I64(stored(minute->sums.completion_tokens)), CP_P_I64(minute->sums.cost),
                  CP_P_BYTES(first_token), CP_P_BYTES(sb_buf_slice(throughput))),
        NULL);
}

/* Of the minutes first to last - 1, which are one and the same: takes those out
 * of the list that are there already, after adding to them. */
static int merge_stored(struct cp_db *db, struct store *store, size_t first, size_t last)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    SB_CLEANUP(cp_sums_release) struct cp_sums before = {.attempts = 0};
    size_t row = 0, n;
    int rc = cp_db_query(db,
                         "SELECT endpoint_id, " SUMS " FROM telemetry_minutes"
                         " WHERE minute = to_timestamp($1::bigint * 60)"
                         " ORDER BY endpoint_id FOR UPDATE",
                         CP_PARAMS(CP_P_I64(store->minutes[first]->minute)), &rows);

    n = rc == SB_OK ? cp_rows_count(rows) : 0;
    for (size_t i = first; rc == SB_OK && i < last && row < n; i++) {
        while (row < n && (uint64_t)cp_rows_i64(rows, row, 0) < store->minutes[i]->endpoint)
            row++;
        if (row == n || (uint64_t)cp_rows_i64(rows, row, 0) != store->minutes[i]->endpoint)
            continue;
        read_sums(rows, row, 1, &before);
        rc = update_minute(db, store, store->minutes[i], &before);
        store->minutes[i] = NULL;
    }
    return rc;
}

static int copy_new(struct cp_db *db, struct store *store)
{
    uint64_t count;
    int rc;

    sb_buf_reset(&store->copy);
    rc = cp_copy_start(&store->copy);
    for (size_t i = 0; rc == SB_OK && i < store->n; i++)
        if (store->minutes[i] != NULL)
            rc = copy_minute(store, store->minutes[i]);
    if (rc == SB_OK)
        rc = cp_copy_finish(&store->copy);
    if (rc == SB_OK)
        rc = cp_db_copy_begin(
            db, "COPY telemetry_minutes (minute, endpoint_id, attempts, successes, faults,"
                " rate_limited, prompt_tokens, completion_tokens, cost, first_token, throughput)"
                " FROM STDIN (FORMAT binary)");
    if (rc == SB_OK)
        rc = cp_db_copy_put(db, sb_buf_slice(&store->copy));
    return rc == SB_OK ? cp_db_copy_end(db, &count) : rc;
}

static int store_all(struct cp_db *db, struct store *store)
{
    size_t first = 0;
    int rc = SB_OK;

    qsort(store->minutes, store->n, sizeof(struct cp_minute *), by_minute);
    while (rc == SB_OK && first < store->n) {
        size_t last = first + 1;

        while (last < store->n && store->minutes[last]->minute == store->minutes[first]->minute)
            last++;
        rc = merge_stored(db, store, first, last);
        first = last;
    }
    if (rc == SB_OK)
        rc = copy_new(db, store);
    return rc == SB_OK ? cp_term_check(db, store->term) : rc;
}

int cp_minutes_store(struct cp_db *db, uint64_t term, struct sb_list *minutes)
{
    struct store store = {.term = term};
    int rc;

    store.minutes = sb_mem_try((sb_list_count(minutes) + 1) * sizeof(struct cp_minute *));
    if (store.minutes == NULL)
        return SB_ENOMEM;
    sb_list_for_each(link, minutes) store.minutes[store.n++] =
        container_of(link, struct cp_minute, link);
    sb_buf_init(&store.copy, COPY_MAX);
    sb_buf_init(&store.sketch, MSG_SKETCH_MAX);
    rc = cp_db_begin(db, CP_READ_COMMITTED);
    if (rc == SB_OK)
        rc = store_all(db, &store);
    if (rc == SB_OK)
        rc = cp_db_commit(db);
    if (rc != SB_OK)
        cp_db_rollback(db);
    sb_buf_release(&store.copy);
    sb_buf_release(&store.sketch);
    sb_mem_free(store.minutes);
    return rc;
}

/* --- reading ------------------------------------------------------------------------ */

static int query(struct cp_db *db, int64_t from, int64_t to, struct cp_rows **ret_rows)
{
    return cp_db_query(db,
                       "SELECT endpoint_id, (extract(epoch FROM minute) / 60)::bigint, " SUMS
                       " FROM telemetry_minutes WHERE minute >= to_timestamp($1::bigint * 60)"
                       " AND minute <= to_timestamp($2::bigint * 60)"
                       " ORDER BY endpoint_id, minute",
                       CP_PARAMS(CP_P_I64(from), CP_P_I64(to)), ret_rows);
}

/* Of a minute's middle; a clock that was set back makes it no younger than new. */
static sb_msec age_of(int64_t minute, int64_t today)
{
    return today > minute ? (sb_msec)(today - minute) * MSEC_PER_MINUTE - MSEC_PER_MINUTE / 2 : 0;
}

int cp_minutes_read(struct cp_db *db, uint64_t term, int64_t from, int64_t to, int64_t today,
                    struct cp_past **ret_past)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct cp_past *past;
    int rc = query(db, from, to, &rows);

    if (rc == SB_OK)
        rc = cp_past_new(term, cp_rows_count(rows), &past);
    if (rc != SB_OK)
        return rc;
    for (; past->n < cp_rows_count(rows); past->n++) {
        struct cp_past_row *row = &past->rows[past->n];

        row->endpoint = (uint64_t)cp_rows_i64(rows, past->n, 0);
        row->span = CP_SPAN_NOW;
        row->age = age_of(cp_rows_i64(rows, past->n, 1), today);
        read_sums(rows, past->n, 2, &row->sums);
    }
    *ret_past = past;
    return SB_OK;
}

int cp_minutes_sum(struct cp_db *db, uint64_t term, int64_t from, int64_t to, int64_t today,
                   struct cp_past **ret_past)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    SB_CLEANUP(cp_sums_release) struct cp_sums one = {.attempts = 0};
    struct cp_past *past;
    int rc = query(db, from, to, &rows);

    if (rc == SB_OK)
        rc = cp_past_new(term, cp_rows_count(rows), &past);
    if (rc != SB_OK)
        return rc;
    for (size_t i = 0; i < cp_rows_count(rows); i++) {
        uint64_t endpoint = (uint64_t)cp_rows_i64(rows, i, 0);

        if (past->n == 0 || past->rows[past->n - 1].endpoint != endpoint)
            past->rows[past->n++] = (struct cp_past_row){
                .endpoint = endpoint, .span = CP_SPAN_DAY, .age = age_of((from + to) / 2, today)};
        read_sums(rows, i, 2, &one);
        (void)!cp_sums_add(&past->rows[past->n - 1].sums, &one);
    }
    *ret_past = past;
    return SB_OK;
}
