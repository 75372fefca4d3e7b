/* controlplane/admin/report.c - GET compliance/report: what was demanded in some
 * days, by whom it was served on what evidence, what was refused, and each
 * violation.
 *
 * Everything is read in one transaction, so that its parts agree.  A recount may
 * take minutes: blank lines in front of the report show that it goes on, and keep
 * proxies from giving up; what breaks it off breaks the answer off. */
#include "common/check.h"
#include "common/log.h"
#include "common/timefmt.h"
#include "controlplane/admin/call.h"
#include "controlplane/admin/demand.h"
#include "controlplane/admin/recount.h"
#include "controlplane/admin/report_page.h"
#include "controlplane/admin/routes.h"
#include "controlplane/db.h"

enum {
    DOCUMENT_MAX = 256 << 20,
    TURN_MSEC = 1000,              /* of a recount, between two signs of life */
    RECOUNT_MSEC = 10 * 60 * 1000, /* one statement of it: a day without a demand */
    LISTED_VIOLATIONS = 10000,
};

const char *const cp_report_formats[] = {"json", "html", NULL};

struct report {
    struct cp_demand demand;
    struct cp_recount recount;
    struct cp_stores *stores;
    struct cp_store *store;
    bool wants_page, wants_recount, is_over;
};

static void release(void *ctx)
{
    struct report *report = ctx;

    cp_recount_release(&report->recount);
    if (report->store == NULL)
        return;
    cp_db_rollback(cp_store_db(report->store));
    cp_db_set_timeout(cp_store_db(report->store), 0);
    cp_stores_give(report->stores, &report->store);
}

/* --- the parts ------------------------------------------------------------------------- */

#define OF_DAYS                                                                                    \
    " FROM compliance_days WHERE claim = $1::text AND " CP_DEMAND_DAY("day") " AND " CP_DEMAND_OF( \
        "demanded")
#define REQUESTS(verdict) "coalesce(sum(requests) FILTER (WHERE verdict = '" verdict "'), 0)"
#define COUNTS                                                                                                                           \
    "'demanded', coalesce(sum(requests), 0), 'served', " REQUESTS(                                                                       \
        "served") ", 'refused', " REQUESTS("refused") ", 'failed', " REQUESTS("failed") ", "                                             \
                                                                                        "'violati"                                       \
                                                                                        "ons',"                                          \
                                                                                        " " REQUESTS(                                    \
                                                                                            "viol"                                       \
                                                                                            "atio"                                       \
                                                                                            "n") ", 'tokens', coalesce(sum(tokens), 0)," \
                                                                                                 " 'cost', coalesce(trim_scale(sum(cost) * 0.000000000000001), 0)::text"
#define OF_TIME                                                                                    \
    "received_at >= (date '1970-01-01' + $2::integer)::timestamp AT TIME ZONE 'UTC'"               \
    " AND received_at < (date '1970-01-01' + $3::integer)::timestamp AT TIME ZONE 'UTC'"

/* Each gives one value, the JSON of a member. */
static const struct {
    const char *name, *sql;
} parts[] = {
    {"counts", "SELECT json_build_object(" COUNTS ")::text" OF_DAYS},
    /* sent under "audit: sync", and how they ended is not known (yet) */
    {"open", "SELECT count(*)::text FROM audit_open_requests WHERE " OF_TIME
             " AND demanded & " CP_DEMAND_BIT " <> 0"
             " AND " CP_DEMAND_OF("coalesce(residency, '')")},
    {"demands",
     "SELECT coalesce(json_agg(o ORDER BY demanded), '[]')::text FROM (SELECT demanded,"
     " json_build_object('demand', demanded, " COUNTS ") AS o" OF_DAYS " GROUP BY demanded) d"},
    {"served_by",
     "SELECT coalesce(json_agg(json_build_object('endpoint', endpoint, 'provider', provider,"
     " 'region', region, 'demanded', demanded, 'evidence', evidence, 'expires_on', expires_on,"
     " 'requests', requests, 'tokens', tokens, 'cost', cost, 'first_day', first_day,"
     " 'last_day', last_day) ORDER BY endpoint, region, demanded, first_day, evidence), '[]')::text"
     " FROM (SELECT endpoint, provider, region, demanded, evidence, expires_on,"
     " sum(requests) AS requests, sum(tokens) AS tokens,"
     " trim_scale(sum(cost) * 0.000000000000001)::text AS cost, min(day) AS first_day,"
     " max(day) AS last_day" OF_DAYS
     " AND verdict = 'served' GROUP BY endpoint, provider, region, demanded, evidence, expires_on)"
     " s"},
    {"days", "SELECT coalesce(json_agg(o ORDER BY day), '[]')::text FROM (SELECT day,"
             " json_build_object('day', day, " COUNTS ") AS o" OF_DAYS " GROUP BY day) d"},
    {"violations", "SELECT coalesce(json_agg(" CP_DEMAND_VIOLATION
                   " ORDER BY received_at), '[]')::text FROM (SELECT * FROM compliance_violations"
                   " WHERE claim = $1::text AND " OF_TIME
                   " AND " CP_DEMAND_OF("demanded") " ORDER BY received_at LIMIT 10000) v"},
    /* so that nobody takes a part for the whole */
    {"violations_found", "SELECT count(*)::text FROM compliance_violations WHERE claim = $1::text"
                         " AND " OF_TIME " AND " CP_DEMAND_OF("demanded")},
};

static int add_part(struct report *report, size_t i, struct sb_json *json)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct cp_param params[CP_DEMAND_PARAMS];
    int rc;

    _Static_assert(LISTED_VIOLATIONS == 10000, "as in the statement above");
    cp_demand_params(&report->demand, params);
    rc = cp_db_query(cp_store_db(report->store), parts[i].sql, params, CP_DEMAND_PARAMS, &rows);
    if (rc == SB_OK)
        sb_json_add_raw(json, parts[i].name, cp_rows_bytes(rows, 0, 0));
    return rc;
}

static int add_recount(struct report *report, struct sb_json *json)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf text = {.limit = 0};
    int rc;

    sb_buf_init(&text, DOCUMENT_MAX);
    rc = cp_recount_write(&report->recount, cp_store_db(report->store), &text);
    if (rc == SB_OK)
        sb_json_add_raw(json, "recount", sb_buf_slice(&text));
    return rc;
}

static void add_day(struct sb_json *json, const char *name, int32_t day)
{
    char text[SB_DATE_TEXT_MAX];
    size_t n = sb_date_format(day, text);

    sb_json_add_text(json, name, sb_slice_make(text, n));
}

static int write_document(struct report *report, struct sb_buf *out)
{
    char now[SB_TIME_TEXT_MAX];
    size_t n = sb_time_format(sb_clock_wall(&sb_clock_system), 0, now);
    struct sb_json json;
    int rc = SB_OK, ended;

    sb_json_init(&json, out);
    sb_json_open_object(&json);
    sb_json_add_text(&json, "claim", report->demand.name);
    add_day(&json, "from", report->demand.from);
    add_day(&json, "to", report->demand.to);
    sb_json_add_text(&json, "made_at", sb_slice_make(now, n));
    for (size_t i = 0; rc == SB_OK && i < SB_ARRAY_LEN(parts); i++)
        rc = add_part(report, i, &json);
    if (rc == SB_OK && report->wants_recount)
        rc = add_recount(report, &json);
    else if (rc == SB_OK)
        sb_json_add_null(&json, "recount");
    sb_json_close_object(&json);
    ended = sb_json_end(&json);
    return rc == SB_OK ? ended : rc;
}

static int write_report(struct report *report, struct sb_buf *out)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf text = {.limit = 0};
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    int rc;

    if (!report->wants_page) {
        rc = write_document(report, out);
        return rc == SB_OK ? sb_buf_append_byte(out, '\n') : rc;
    }
    sb_buf_init(&text, DOCUMENT_MAX);
    rc = write_document(report, &text);
    if (rc == SB_OK)
        rc = sb_json_read(sb_buf_slice(&text), DOCUMENT_MAX, &doc, NULL);
    return rc == SB_OK ? cp_report_page(yyjson_doc_get_root(doc), out) : rc;
}

/* --- recounting -------------------------------------------------------------------------- */

/* Works for a while.  SB_OK: something was appended. */
static int go_on(struct report *report, struct sb_buf *out)
{
    sb_msec end = sb_clock_now(&sb_clock_system) + TURN_MSEC;
    int rc = SB_OK;

    while (rc == SB_OK && sb_clock_now(&sb_clock_system) < end)
        rc = cp_recount_step(&report->recount, cp_store_db(report->store));
    if (rc == SB_OK)
        return sb_buf_append_byte(out, '\n');
    if (rc != SB_EEOF)
        return rc;
    report->is_over = true;
    return write_report(report, out);
}

static int on_more(void *ctx, struct sb_buf *out)
{
    struct report *report = ctx;
    struct sb_errmsg err = {.text = ""};
    int rc = SB_EEOF;

    if (report->is_over)
        return SB_EEOF;
    rc = go_on(report, out);
    if (rc != SB_OK) {
        rc = cp_stores_failure(report->store, rc, &err);
        sb_log_warn(ADMIN, "cannot go on with a recount code=%s: %s", sb_err_name(rc), err.text);
    }
    return rc;
}

/* --- the call ---------------------------------------------------------------------------- */

static int begin(struct cp_call *call, struct report *report)
{
    struct msg_version head;
    int rc = cp_stores_take(report->stores, &report->store, &call->err);

    if (rc != SB_OK)
        return rc;
    rc = cp_store_head(report->store, &head); /* connects again when it must */
    if (rc == SB_OK)
        rc = cp_db_begin(cp_store_db(report->store), CP_REPEATABLE_READ_ONLY);
    if (rc == SB_OK && report->wants_recount)
        cp_db_set_timeout(cp_store_db(report->store), RECOUNT_MSEC);
    return rc == SB_OK ? rc : cp_stores_failure(report->store, rc, &call->err);
}

int cp_serve_report(struct cp_call *call)
{
    struct report *report = sb_arena_alloc(call->arena, sizeof(*report));
    struct sb_slice format = cp_call_param(call, "format");
    struct cp_http_reply *reply = call->reply;
    int rc;

    report->stores = call->world->stores;
    report->wants_page = sb_slice_is(format, "html");
    report->wants_recount = cp_call_flag(call, "recount");
    cp_demand_read(call, &report->demand);
    rc = cp_call_check(call);
    if (rc != SB_OK)
        return rc;
    cp_recount_init(&report->recount, &report->demand);
    sb_arena_on_destroy(call->arena, release, report);
    rc = begin(call, report);
    if (rc == SB_OK) {
        rc = report->wants_recount ? go_on(report, &reply->body)
                                   : write_report(report, &reply->body);
        if (rc != SB_OK)
            return cp_stores_failure(report->store, rc, &call->err);
    }
    if (rc != SB_OK)
        return rc;
    reply->status = 200;
    reply->content_type = report->wants_page ? "text/html; charset=utf-8" : "application/json";
    if (report->wants_recount) {
        reply->more = on_more;
        reply->more_ctx = report;
    }
    return SB_OK;
}
