/* controlplane/admin/probes.c - GET probes: what was asked of providers to see
 * how they are, what came of it, and what it cost. */
#include <inttypes.h>

#include "common/money.h"
#include "common/num.h"
#include "common/timefmt.h"
#include "controlplane/admin/call.h"
#include "controlplane/admin/csv.h"
#include "controlplane/admin/filter.h"
#include "controlplane/admin/routes.h"
#include "controlplane/admin/view.h"
#include "controlplane/probe.h"
#include "proto/vocabulary.h"

enum column {
    COL_STARTED_AT,
    COL_TERM,
    COL_SEQUENCE,
    COL_KIND,
    COL_REASON,
    COL_PROVIDER,
    COL_ENDPOINT_ID,
    COL_ENDPOINT,
    COL_OUTCOME,
    COL_STATUS,
    COL_CONNECT,
    COL_FIRST_TOKEN,
    COL_TOOK,
    COL_THROUGHPUT,
    COL_PROMPT,
    COL_COMPLETION,
    COL_USAGE_SOURCE,
    COL_RESERVED,
    COL_COST,
};

static const char sql[] =
    "SELECT started_at, term, sequence, kind, reason, provider, endpoint_id, endpoint, outcome,"
    " status, connect_us, first_token_us, took_us, throughput, prompt_tokens, completion_tokens,"
    " usage_source, reserved, cost"
    " FROM probes"
    " WHERE ($1::timestamptz IS NULL OR started_at >= $1)"
    " AND ($2::timestamptz IS NULL OR started_at < $2)"
    " AND ($3::text IS NULL OR kind = $3)"
    " AND ($4::text IS NULL OR provider = $4)"
    " AND ($5::text IS NULL OR endpoint = $5 OR split_part(endpoint, '@', 2) = $5)"
    " AND ($6::smallint[] IS NULL OR outcome = ANY ($6))"
    " AND ($7::timestamptz IS NULL OR (started_at, term, sequence) < ($7, $8::bigint, $9::bigint))"
    " ORDER BY started_at DESC, term DESC, sequence DESC LIMIT $10";
enum { N_FILTERS = 6, N_CURSOR = 3 };

/* --- cursor --------------------------------------------------------------------- */

static size_t format_time(const struct cp_rows *rows, size_t row, char text[SB_TIME_TEXT_MAX])
{
    return sb_time_format((sb_usec)cp_rows_usec(rows, row, COL_STARTED_AT), 6, text);
}

static struct sb_slice make_cursor(const struct cp_rows *rows, size_t row, struct sb_arena *arena)
{
    char at[SB_TIME_TEXT_MAX];
    size_t n = format_time(rows, row, at);

    return sb_arena_printf(arena, "%.*s~%" PRId64 "~%" PRId64, (int)n, at,
                           cp_rows_i64(rows, row, COL_TERM), cp_rows_i64(rows, row, COL_SEQUENCE));
}

static bool read_number(struct sb_slice text, struct cp_param *param)
{
    uint64_t number = 0;

    if (!sb_num_read_u64(text, &number) || number > INT64_MAX)
        return false;
    *param = CP_P_I64(number);
    return true;
}

static int read_cursor(struct sb_slice cursor, struct cp_param *params)
{
    struct sb_slice at = sb_slice_make(cursor.p, sb_slice_find(cursor, '~')), left, term;
    sb_usec wall;

    for (int i = 0; i < N_CURSOR; i++)
        params[i] = CP_P_NULL;
    if (cursor.n == 0)
        return SB_OK;
    if (at.n == cursor.n || sb_time_parse(at, &wall) != SB_OK)
        return SB_EINVAL;
    left = sb_slice_from(cursor, at.n + 1);
    term = sb_slice_make(left.p, sb_slice_find(left, '~'));
    if (term.n == left.n || !read_number(term, &params[1]) ||
        !read_number(sb_slice_from(left, term.n + 1), &params[2]))
        return SB_EINVAL;
    params[0] = CP_P_TEXT(at);
    return SB_OK;
}

/* --- JSON --------------------------------------------------------------------------- */

static struct sb_slice text_of(const struct cp_rows *rows, size_t row, enum column column)
{
    return cp_rows_bytes(rows, row, (int)column);
}

static void add_text(struct sb_json *json, const char *name, const struct cp_rows *rows, size_t row,
                     enum column column)
{
    if (cp_rows_is_null(rows, row, (int)column))
        sb_json_add_null(json, name);
    else
        sb_json_add_text(json, name, text_of(rows, row, column));
}

static void add_number(struct sb_json *json, const char *name, const struct cp_rows *rows,
                       size_t row, enum column column)
{
    if (cp_rows_is_null(rows, row, (int)column))
        sb_json_add_null(json, name);
    else
        sb_json_add_i64(json, name, cp_rows_i64(rows, row, (int)column));
}

/* A thousandth of what is stored: microseconds as milliseconds, and rates. */
static void add_thousandth(struct sb_json *json, const char *name, const struct cp_rows *rows,
                           size_t row, enum column column)
{
    if (cp_rows_is_null(rows, row, (int)column))
        sb_json_add_null(json, name);
    else
        sb_json_add_double(json, name, (double)cp_rows_i64(rows, row, (int)column) / 1000);
}

static void add_money(struct sb_json *json, const char *name, const struct cp_rows *rows,
                      size_t row, enum column column)
{
    char text[SB_MONEY_TEXT_MAX];
    size_t n = sb_money_format(cp_rows_i64(rows, row, (int)column), text);

    sb_json_add_text(json, name, sb_slice_make(text, n));
}

/* A probe that has none is under way, or its daemon died. */
static const char *outcome_of(const struct cp_rows *rows, size_t row)
{
    return cp_rows_is_null(rows, row, COL_OUTCOME)
               ? NULL
               : msg_outcome_name((int)cp_rows_i64(rows, row, COL_OUTCOME));
}

static void put_json(struct sb_json *json, const struct cp_rows *rows, size_t row)
{
    const char *outcome = outcome_of(rows, row);
    char at[SB_TIME_TEXT_MAX];
    size_t n = format_time(rows, row, at);

    sb_json_open_object(json);
    sb_json_add_text(json, "started_at", sb_slice_make(at, n));
    add_text(json, "kind", rows, row, COL_KIND);
    add_text(json, "reason", rows, row, COL_REASON);
    add_text(json, "provider", rows, row, COL_PROVIDER);
    add_number(json, "endpoint_id", rows, row, COL_ENDPOINT_ID);
    add_text(json, "endpoint", rows, row, COL_ENDPOINT);
    if (outcome != NULL)
        sb_json_add_text(json, "outcome", sb_slice_of(outcome));
    else
        sb_json_add_null(json, "outcome");
    add_number(json, "status", rows, row, COL_STATUS);
    add_thousandth(json, "connect_ms", rows, row, COL_CONNECT);
    add_thousandth(json, "first_token_ms", rows, row, COL_FIRST_TOKEN);
    add_thousandth(json, "took_ms", rows, row, COL_TOOK);
    add_thousandth(json, "tokens_per_second", rows, row, COL_THROUGHPUT);
    add_number(json, "prompt_tokens", rows, row, COL_PROMPT);
    add_number(json, "completion_tokens", rows, row, COL_COMPLETION);
    if (cp_rows_is_null(rows, row, COL_USAGE_SOURCE))
        sb_json_add_null(json, "usage_source");
    else
        sb_json_add_text(
            json, "usage_source",
            sb_slice_of(msg_usage_source_name((int)cp_rows_i64(rows, row, COL_USAGE_SOURCE))));
    add_money(json, "reserved", rows, row, COL_RESERVED);
    add_money(json, "cost", rows, row, COL_COST);
    add_number(json, "term", rows, row, COL_TERM);
    add_number(json, "sequence", rows, row, COL_SEQUENCE);
    sb_json_close_object(json);
}

/* --- CSV ------------------------------------------------------------------------------ */

static const char *const titles[] = {"started_at",
                                     "kind",
                                     "reason",
                                     "provider",
                                     "endpoint_id",
                                     "endpoint",
                                     "outcome",
                                     "status",
                                     "connect_us",
                                     "first_token_us",
                                     "took_us",
                                     "tokens_per_1000_seconds",
                                     "prompt_tokens",
                                     "completion_tokens",
                                     "reserved",
                                     "cost",
                                     "term",
                                     "sequence",
                                     NULL};

static void put_number(struct cp_csv *csv, const struct cp_rows *rows, size_t row,
                       enum column column)
{
    if (cp_rows_is_null(rows, row, (int)column))
        cp_csv_text(csv, SB_SLICE_NONE);
    else
        cp_csv_i64(csv, cp_rows_i64(rows, row, (int)column));
}

static void put_money(struct cp_csv *csv, const struct cp_rows *rows, size_t row,
                      enum column column)
{
    char text[SB_MONEY_TEXT_MAX];
    size_t n = sb_money_format(cp_rows_i64(rows, row, (int)column), text);

    cp_csv_text(csv, sb_slice_make(text, n));
}

static void put_csv(struct cp_csv *csv, const struct cp_rows *rows, size_t row,
                    struct sb_arena *arena)
{
    char at[SB_TIME_TEXT_MAX];
    size_t n = format_time(rows, row, at);

    (void)arena;
    cp_csv_text(csv, sb_slice_make(at, n));
    cp_csv_text(csv, text_of(rows, row, COL_KIND));
    cp_csv_text(csv, text_of(rows, row, COL_REASON));
    cp_csv_text(csv, text_of(rows, row, COL_PROVIDER));
    put_number(csv, rows, row, COL_ENDPOINT_ID);
    cp_csv_text(csv, text_of(rows, row, COL_ENDPOINT));
    cp_csv_text(csv, sb_slice_of(outcome_of(rows, row)));
    put_number(csv, rows, row, COL_STATUS);
    put_number(csv, rows, row, COL_CONNECT);
    put_number(csv, rows, row, COL_FIRST_TOKEN);
    put_number(csv, rows, row, COL_TOOK);
    put_number(csv, rows, row, COL_THROUGHPUT);
    put_number(csv, rows, row, COL_PROMPT);
    put_number(csv, rows, row, COL_COMPLETION);
    put_money(csv, rows, row, COL_RESERVED);
    put_money(csv, rows, row, COL_COST);
    put_number(csv, rows, row, COL_TERM);
    put_number(csv, rows, row, COL_SEQUENCE);
}

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

int cp_serve_probes(struct cp_call *call)
{
    const struct cp_param filters[N_FILTERS] = {
        cp_filter_time(call, "from"),     cp_filter_time(call, "to"),
        cp_filter_text(call, "kind"),     cp_filter_text(call, "provider"),
        cp_filter_text(call, "endpoint"), cp_filter_outcomes(call, "outcome"),
    };

    struct sb_slice kind = cp_call_param(call, "kind");

    if (kind.p != NULL && !sb_slice_is(kind, cp_probe_kind_name(CP_PROBE_COMPLETION)) &&
        !sb_slice_is(kind, cp_probe_kind_name(CP_PROBE_MODELS)) &&
        !sb_slice_is(kind, cp_probe_kind_name(CP_PROBE_EMBEDDING)))
        cp_problems_add(&call->problems, SB_SLICE_LIT("kind"), 0,
                        "completion, embedding and models are kinds");
    return cp_view_reply(call, &view, filters);
}
