/* controlplane/events/expiry.c */
#include "controlplane/events/expiry.h"

#include <inttypes.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/check.h"
#include "common/json.h"
#include "common/timefmt.h"
#include "controlplane/db.h"
#include "controlplane/events/events.h"
#include "controlplane/publish/term.h"

enum { ARENA = 4096 };

struct telling {
    uint64_t term;
    int32_t today;
    uint64_t told;
};

/* What is said yes to, until when; "once" is what such an event is known by.
 * Endpoints that have no claim of their own have their provider's. */
static const char sql[] =
    "WITH claims (kind, name, claim, held) AS ("
    " SELECT 'endpoints', name, 'eu_resident', eu_resident FROM endpoints"
    " UNION ALL SELECT 'endpoints', name, 'zdr', zdr FROM endpoints"
    " UNION ALL SELECT 'endpoints', name, 'no_training', no_training FROM endpoints"
    " UNION ALL SELECT 'providers', slug, 'zdr', zdr FROM providers"
    " UNION ALL SELECT 'providers', slug, 'no_training', no_training FROM providers"
    " UNION ALL SELECT 'models', model, 'distillable', distillable FROM models),"
    " ends AS (SELECT kind, name, claim, (held).evidence, (held).attested_by, (held).expires_on,"
    "  (CASE WHEN (held).expires_on < d.today THEN 'evidence_expired/' ELSE 'evidence_expiring/' "
    "END"
    "   || kind || '/' || name || '/' || claim || '/' || (held).expires_on) AS once"
    "  FROM claims, (SELECT '1970-01-01'::date + $1::integer AS today) d"
    "  WHERE (held).value = 'yes' AND (held).expires_on <= d.today + $2::integer)"
    " SELECT kind, name, claim, evidence, attested_by, expires_on, once,"
    "  (SELECT revision FROM config_head)"
    " FROM ends WHERE NOT EXISTS (SELECT FROM events e WHERE e.once = ends.once)"
    " ORDER BY expires_on, kind, name, claim LIMIT $3::bigint";

enum column {
    COL_KIND,
    COL_NAME,
    COL_CLAIM,
    COL_EVIDENCE,
    COL_ATTESTED_BY,
    COL_EXPIRES,
    COL_ONCE,
    COL_REVISION
};

static int put_detail(const struct cp_rows *rows, size_t row, const char *expires,
                      struct sb_buf *out)
{
    struct sb_json json;

    sb_json_init(&json, out);
    sb_json_open_object(&json);
    sb_json_add_text(&json, "claim", cp_rows_bytes(rows, row, COL_CLAIM));
    sb_json_add_text(&json, "expires_on", sb_slice_of(expires));
    sb_json_add_text(&json, "evidence", cp_rows_bytes(rows, row, COL_EVIDENCE));
    sb_json_add_text(&json, "attested_by", cp_rows_bytes(rows, row, COL_ATTESTED_BY));
    sb_json_close_object(&json);
    return sb_json_end(&json);
}

static int tell(struct cp_db *db, struct telling *telling, const struct cp_rows *rows, size_t row)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(ARENA);
    SB_CLEANUP(sb_buf_release) struct sb_buf detail = {.limit = 0};
    int32_t day = cp_rows_day(rows, row, COL_EXPIRES);
    bool is_over = day < telling->today;
    struct sb_slice claim = cp_rows_bytes(rows, row, COL_CLAIM);
    char expires[SB_DATE_TEXT_MAX];
    struct cp_event event = {.kind =
                                 is_over ? CP_EVENT_EVIDENCE_EXPIRED : CP_EVENT_EVIDENCE_EXPIRING,
                             .severity = is_over ? CP_SEVERITY_CRITICAL : CP_SEVERITY_WARNING,
                             .subject = cp_rows_bytes(rows, row, COL_NAME),
                             .revision = (uint64_t)cp_rows_i64(rows, row, COL_REVISION),
                             .term = telling->term,
                             .once = cp_rows_bytes(rows, row, COL_ONCE)};
    int kind = cp_kind_parse(cp_rows_bytes(rows, row, COL_KIND)), rc;
    int64_t id = 0;

    if (SB_NEVER(kind < 0))
        return SB_OK;
    (void)sb_date_format(day, expires);
    event.subject_kind = (enum cp_kind)kind;
    event.text =
        is_over
            ? sb_arena_printf(arena, "the evidence for %.*s expired on %s: it counts as unknown",
                              SB_SLICE_ARGS(claim), expires)
            : sb_arena_printf(arena,
                              "the evidence for %.*s expires on %s, in %" PRId32
                              " days: then it counts as unknown",
                              SB_SLICE_ARGS(claim), expires, day - telling->today);
    sb_buf_init(&detail, CP_EVENT_DETAIL_MAX);
    rc = put_detail(rows, row, expires, &detail);
    event.detail = sb_buf_slice(&detail);
    if (rc == SB_OK)
        rc = cp_event_record(db, &event, &id);
    telling->told += rc == SB_OK && id > 0;
    return rc;
}

static int tell_all(struct cp_db *db, void *ctx)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct telling *telling = ctx;
    int rc = cp_db_query(
        db, sql,
        CP_PARAMS(CP_P_I64(telling->today), CP_P_I64(CP_EXPIRY_DAYS), CP_P_I64(CP_EXPIRY_AT_ONCE)),
        &rows);

    telling->told = 0;
    for (size_t i = 0; rc == SB_OK && i < cp_rows_count(rows); i++)
        rc = tell(db, telling, rows, i);
    return rc == SB_OK ? cp_term_check(db, telling->term) : rc;
}

int cp_expiry_tell(struct cp_db *db, uint64_t term, int32_t today, uint64_t *ret_told)
{
    struct telling telling = {.term = term, .today = today};
    int rc = cp_db_transact(db, CP_READ_COMMITTED, tell_all, &telling);

    if (rc == SB_OK)
        *ret_told = telling.told;
    return rc;
}
