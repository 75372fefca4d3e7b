/* controlplane/admin/probes.c - GET probes: what was asked of providers to see
 * how they are, what came of it, and what it cost. */
#include <inttypes.h>

#include "common/timefmt.h"
#include "controlplane/admin/call.h"
#include "controlplane/admin/cell.h"
#include "controlplane/admin/csv.h"
#include "controlplane/admin/filter.h"
#include "controlplane/admin/routes.h"
#include "controlplane/admin/view.h"
#include "controlplane/probes/probe.h"
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

static struct sb_slice make_cursor(const struct cp_rows *rows, size_t row, struct sb_arena *arena)
{
    char at[SB_TIME_TEXT_MAX];
    size_t n = cp_cell_time(rows, row, COL_STARTED_AT, at);

    return sb_arena_printf(arena, "%.*s~%" PRId64 "~%" PRId64, (int)n, at,
                           cp_rows_i64(rows, row, COL_TERM), cp_rows_i64(rows, row, COL_SEQUENCE));
}

static int read_cursor(struct sb_slice cursor, struct cp_param *params)
{
    struct sb_slice at = cp_cell_take_part(&cursor), term = cp_cell_take_part(&cursor);

    for (int i = 0; i < N_CURSOR; i++)
        params[i] = CP_P_NULL;
    return at.n == 0 ||
                   (cp_cell_read_time(at, &params[0]) && cp_cell_read_number(term, &params[1]) &&
                    cp_cell_read_number(cursor, &params[2]))
               ? SB_OK
               : SB_EINVAL;
}

/* --- JSON --------------------------------------------------------------------------- */

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
    sb_json_open_object(json);
    cp_cell_add_time(json, "started_at", rows, row, COL_STARTED_AT);
    cp_cell_add_text(json, "kind", rows, row, COL_KIND);
    cp_cell_add_text(json, "reason", rows, row, COL_REASON);
    cp_cell_add_text(json, "provider", rows, row, COL_PROVIDER);
    cp_cell_add_number(json, "endpoint_id", rows, row, COL_ENDPOINT_ID);
    cp_cell_add_text(json, "endpoint", rows, row, COL_ENDPOINT);
    if (outcome != NULL)
        sb_json_add_text(json, "outcome", sb_slice_of(outcome));
    else
        sb_json_add_null(json, "outcome");
    cp_cell_add_number(json, "status", rows, row, COL_STATUS);
    cp_cell_add_thousandth(json, "connect_ms", rows, row, COL_CONNECT);
    cp_cell_add_thousandth(json, "first_token_ms", rows, row, COL_FIRST_TOKEN);
    cp_cell_add_thousandth(json, "took_ms", rows, row, COL_TOOK);
    cp_cell_add_thousandth(json, "tokens_per_second", rows, row, COL_THROUGHPUT);
    cp_cell_add_number(json, "prompt_tokens", rows, row, COL_PROMPT);
    cp_cell_add_number(json, "completion_tokens", rows, row, COL_COMPLETION);
    if (cp_rows_is_null(rows, row, COL_USAGE_SOURCE))
        sb_json_add_null(json, "usage_source");
    else
        sb_json_add_text(
            json, "usage_source",
            sb_slice_of(msg_usage_source_name((int)cp_rows_i64(rows, row, COL_USAGE_SOURCE))));
    cp_cell_add_money(json, "reserved", rows, row, COL_RESERVED);
    cp_cell_add_money(json, "cost", rows, row, COL_COST);
    cp_cell_add_number(json, "term", rows, row, COL_TERM);
    cp_cell_add_number(json, "sequence", rows, row, COL_SEQUENCE);
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

static void put_csv(struct cp_csv *csv, const struct cp_rows *rows, size_t row,
                    struct sb_arena *arena)
{
    (void)arena;
    cp_cell_put_time(csv, rows, row, COL_STARTED_AT);
    cp_cell_put_text(csv, rows, row, COL_KIND);
    cp_cell_put_text(csv, rows, row, COL_REASON);
    cp_cell_put_text(csv, rows, row, COL_PROVIDER);
    cp_cell_put_number(csv, rows, row, COL_ENDPOINT_ID);
    cp_cell_put_text(csv, rows, row, COL_ENDPOINT);
    cp_csv_text(csv, sb_slice_of(outcome_of(rows, row)));
    cp_cell_put_number(csv, rows, row, COL_STATUS);
    cp_cell_put_number(csv, rows, row, COL_CONNECT);
    cp_cell_put_number(csv, rows, row, COL_FIRST_TOKEN);
    cp_cell_put_number(csv, rows, row, COL_TOOK);
    cp_cell_put_number(csv, rows, row, COL_THROUGHPUT);
    cp_cell_put_number(csv, rows, row, COL_PROMPT);
    cp_cell_put_number(csv, rows, row, COL_COMPLETION);
    cp_cell_put_money(csv, rows, row, COL_RESERVED);
    cp_cell_put_money(csv, rows, row, COL_COST);
    cp_cell_put_number(csv, rows, row, COL_TERM);
    cp_cell_put_number(csv, rows, row, COL_SEQUENCE);
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

    return cp_view_reply(call, &view, filters);
}
