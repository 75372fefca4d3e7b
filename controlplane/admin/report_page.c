/* controlplane/admin/report_page.c */
#include "controlplane/admin/report_page.h"

#include <inttypes.h>
#include <string.h>

#include "common/buf.h"
#include "common/slice.h"

enum { MOMENT_TEXT = sizeof("2026-01-31T12:00:00") - 1 };

/* The first error sticks. */
struct page {
    struct sb_buf *out;
    int rc;
};

enum show { TEXT, WORD, MOMENT, COUNT, MONEY };

struct column {
    const char *title;
    const char *member;
    enum show show;
    const char *none; /* in place of a text that is not there */
};

static void put(struct page *page, const char *html)
{
    if (page->rc == SB_OK)
        page->rc = sb_buf_append_text(page->out, html);
}

static void put_slice(struct page *page, struct sb_slice text)
{
    if (page->rc == SB_OK)
        page->rc = sb_buf_append(page->out, text);
}

/* Text of others: nothing in it is markup. */
static void put_text(struct page *page, struct sb_slice text)
{
    for (size_t i = 0; i < text.n; i++) {
        switch (text.p[i]) {
        case '&':
            put(page, "&amp;");
            break;
        case '<':
            put(page, "&lt;");
            break;
        case '>':
            put(page, "&gt;");
            break;
        case '"':
            put(page, "&quot;");
            break;
        default: /* control characters are none of HTML's */
            if ((unsigned char)text.p[i] >= ' ' && text.p[i] != 0x7f)
                put_slice(page, sb_slice_make(text.p + i, 1));
        }
    }
}

static struct sb_slice text_of(yyjson_val *object, const char *member)
{
    return sb_json_text(yyjson_obj_get(object, member));
}

/* Digits in groups of three, a narrow blank that does not break between. */
static void put_digits(struct page *page, struct sb_slice digits)
{
    for (size_t i = 0; i < digits.n; i++) {
        if (i > 0 && (digits.n - i) % 3 == 0)
            put(page, "\xe2\x80\xaf");
        put_slice(page, sb_slice_make(digits.p + i, 1));
    }
}

static void put_count(struct page *page, yyjson_val *value)
{
    char digits[24];
    int n;

    if (!yyjson_is_uint(value) && yyjson_is_num(value)) { /* sums beyond 64 bits */
        n = snprintf(digits, sizeof(digits), "%.4g", yyjson_get_num(value));
        put_slice(page, sb_slice_make(digits, (size_t)n));
        return;
    }
    n = snprintf(digits, sizeof(digits), "%" PRIu64, yyjson_get_uint(value));
    put_digits(page, sb_slice_make(digits, (size_t)n));
}

/* An exact decimal: the part before the point in groups. */
static void put_money(struct page *page, struct sb_slice text)
{
    size_t point = sb_slice_find(text, '.');

    put_digits(page, sb_slice_make(text.p, point));
    put_slice(page, sb_slice_from(text, point));
}

/* --- tables ------------------------------------------------------------------------ */

static void put_cell(struct page *page, yyjson_val *row, const struct column *column)
{
    yyjson_val *value = yyjson_obj_get(row, column->member);
    struct sb_slice text = sb_json_text(value);

    put(page, column->show == TEXT                             ? "<td>"
              : column->show == WORD || column->show == MOMENT ? "<td class=\"w\">"
                                                               : "<td class=\"n\">");
    if (column->show == MOMENT && text.n > MOMENT_TEXT)
        text.n = MOMENT_TEXT; /* to the second: the generation tells them apart */
    if (column->show == COUNT)
        put_count(page, value);
    else if (column->show == MONEY)
        put_money(page, text);
    else if (text.n > 0)
        put_text(page, text);
    else if (column->none != NULL)
        put(page, column->none);
    put(page, "</td>");
}

static void put_table(struct page *page, yyjson_val *rows, const struct column *columns, size_t n)
{
    yyjson_arr_iter iter = yyjson_arr_iter_with(rows);
    yyjson_val *row;

    put(page, "<table>\n<thead><tr>");
    for (size_t i = 0; i < n; i++) {
        put(page,
            columns[i].show < COUNT ? "<th scope=\"col\">" : "<th scope=\"col\" class=\"n\">");
        put(page, columns[i].title);
        put(page, "</th>");
    }
    put(page, "</tr></thead>\n<tbody>\n");
    while ((row = yyjson_arr_iter_next(&iter)) != NULL) {
        put(page, "<tr>");
        for (size_t i = 0; i < n; i++)
            put_cell(page, row, &columns[i]);
        put(page, "</tr>\n");
    }
    put(page, "</tbody>\n</table>\n");
}

#define PUT_TABLE(page, rows, columns) put_table(page, rows, columns, SB_ARRAY_LEN(columns))

static const struct column verdicts[] = {
    {"Demanded", "demanded", COUNT, NULL},     {"Served inside", "served", COUNT, NULL},
    {"Refused", "refused", COUNT, NULL},       {"Failed", "failed", COUNT, NULL},
    {"Violations", "violations", COUNT, NULL},
};

/* --- the head ------------------------------------------------------------------------ */

static const char style[] =
    "<style>\n"
    ":root{color-scheme:light}\n"
    "body{font:15px/1.45 system-ui,\"Segoe UI\",Roboto,\"Liberation "
    "Sans\",sans-serif;color:#1b1f24;"
    "background:#fff;max-width:62rem;margin:2.5rem auto;padding:0 1.5rem}\n"
    "h1{font-size:1.7rem;margin:0 0 .2rem}\n"
    "h2{font-size:1.1rem;margin:2rem 0 .5rem;break-after:avoid}\n"
    "p{margin:.4rem 0}\n"
    ".when,.note{color:#57606a}\n"
    ".note{font-size:.88rem}\n"
    ".verdict{margin:1.2rem 0;padding:.7rem 1rem;border-left:5px solid "
    "#1a7f37;background:#eef8f0}\n"
    ".verdict.bad{border-color:#cf222e;background:#fdeeee}\n"
    "table{border-collapse:collapse;width:100%;font-size:.9rem}\n"
    "th{text-align:left;font-weight:600;border-bottom:2px solid #57606a;padding:.3rem .6rem .3rem "
    "0;"
    "vertical-align:bottom}\n"
    "td{border-bottom:1px solid #d8dee4;padding:.3rem .6rem .3rem 0;vertical-align:top;"
    "overflow-wrap:anywhere}\n"
    ".w{white-space:nowrap;overflow-wrap:normal}\n"
    ".n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}\n"
    "dl.sum{display:flex;flex-wrap:wrap;gap:.6rem 2.2rem;margin:1rem 0}\n"
    "dl.sum div{min-width:6rem}\n"
    "dl.sum dt{color:#57606a;font-size:.85rem}\n"
    "dl.sum dd{margin:0;font-size:1.5rem;font-variant-numeric:tabular-nums}\n"
    "@page{margin:16mm 14mm}\n"
    "@media print{body{font-size:10pt;max-width:none;margin:0;padding:0}"
    "thead{display:table-header-group}tr,.verdict,dl.sum{break-inside:avoid}"
    ".verdict{-webkit-print-color-adjust:exact;print-color-adjust:exact}}\n"
    "</style>\n";

static void put_sum(struct page *page, const char *name, yyjson_val *value)
{
    put(page, "<div><dt>");
    put(page, name);
    put(page, "</dt><dd>");
    put_count(page, value);
    put(page, "</dd></div>");
}

static void put_head(struct page *page, yyjson_val *report)
{
    put(page, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
              "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>"
              "Compliance report: ");
    put_text(page, text_of(report, "claim"));
    put(page, "</title>\n");
    put(page, style);
    put(page, "</head>\n<body>\n<h1>Compliance report: ");
    put_text(page, text_of(report, "claim"));
    put(page, "</h1>\n<p class=\"when\">Requests received from ");
    put_text(page, text_of(report, "from"));
    put(page, " on and before ");
    put_text(page, text_of(report, "to"));
    put(page, ", UTC. Made at ");
    put_text(page, text_of(report, "made_at"));
    put(page, ".</p>\n");
}

static void put_verdict(struct page *page, yyjson_val *counts)
{
    yyjson_val *violations = yyjson_obj_get(counts, "violations");

    if (yyjson_get_uint(violations) == 0) {
        put(page, "<p class=\"verdict\"><strong>No violation.</strong> Every request that demanded "
                  "this and was answered was served by an endpoint for which valid evidence was "
                  "held.</p>\n");
        return;
    }
    put(page, "<p class=\"verdict bad\"><strong>Violations: ");
    put_count(page, violations);
    put(page, ".</strong> These requests were served outside of what they demanded, or on evidence "
              "that had expired or was missing. Each is listed below.</p>\n");
}

static void put_counts(struct page *page, yyjson_val *report)
{
    yyjson_val *counts = yyjson_obj_get(report, "counts");
    yyjson_val *open = yyjson_obj_get(report, "open");

    put_verdict(page, counts);
    put(page, "<dl class=\"sum\">");
    for (size_t i = 0; i < SB_ARRAY_LEN(verdicts); i++)
        put_sum(page, verdicts[i].title, yyjson_obj_get(counts, verdicts[i].member));
    put_sum(page, "Tokens", yyjson_obj_get(counts, "tokens"));
    put(page, "<div><dt>Charged, USD</dt><dd>");
    put_money(page, text_of(counts, "cost"));
    put(page, "</dd></div></dl>\n");
    if (yyjson_get_uint(open) > 0) {
        put(page,
            "<p class=\"note\">Not among them, sent to an endpoint, and how they ended is not "
            "known: ");
        put_count(page, open);
        put(page, ".</p>\n");
    }
}

/* --- the parts -------------------------------------------------------------------------- */

static void put_violations(struct page *page, yyjson_val *report)
{
    static const struct column columns[] = {
        {"Received (UTC)", "received_at", MOMENT, NULL},
        {"Generation", "generation_id", TEXT, NULL},
        {"Key", "key", WORD, NULL},
        {"Demanded", "demanded", TEXT, "&ndash;"},
        {"Endpoint", "endpoint", TEXT, NULL},
        {"Region", "region", WORD, "not known"},
        {"Why", "why", WORD, NULL},
        {"Evidence", "evidence", TEXT, "none"},
        {"Valid through", "expires_on", WORD, "&ndash;"},
    };
    yyjson_val *list = yyjson_obj_get(report, "violations");
    yyjson_val *found = yyjson_obj_get(report, "violations_found");

    if (yyjson_arr_size(list) == 0)
        return;
    put(page, "<h2>Violations</h2>\n");
    PUT_TABLE(page, list, columns);
    if (yyjson_get_uint(found) > yyjson_arr_size(list)) {
        put(page, "<p class=\"note\">The first ones of ");
        put_count(page, found);
        put(page, ".</p>\n");
    }
    put(page,
        "<p class=\"note\"><em>outside</em>: the region is not one that was demanded, or not "
        "known; <em>expired</em>: the evidence had; <em>no</em>: the opposite was held; "
        "<em>unproven</em>: said without evidence; <em>unknown</em>: nothing was held.</p>\n");
}

static void put_served(struct page *page, yyjson_val *report)
{
    static const struct column columns[] = {
        {"Endpoint", "endpoint", TEXT, NULL},    {"Provider", "provider", TEXT, NULL},
        {"Region", "region", WORD, "&ndash;"},   {"Demanded", "demanded", TEXT, "&ndash;"},
        {"Evidence held", "evidence", TEXT, ""}, {"Valid through", "expires_on", WORD, "no end"},
        {"First day", "first_day", WORD, NULL},  {"Last day", "last_day", WORD, NULL},
        {"Requests", "requests", COUNT, NULL},
    };
    yyjson_val *list = yyjson_obj_get(report, "served_by");

    put(page, "<h2>Served inside the demand: by which endpoint, on what evidence</h2>\n");
    if (yyjson_arr_size(list) == 0)
        put(page, "<p>None.</p>\n");
    else
        PUT_TABLE(page, list, columns);
}

static void put_by(struct page *page, yyjson_val *list, struct column by)
{
    struct column columns[1 + SB_ARRAY_LEN(verdicts)];

    columns[0] = by;
    memcpy(columns + 1, verdicts, sizeof(verdicts));
    PUT_TABLE(page, list, columns);
}

static void put_demands_and_days(struct page *page, yyjson_val *report)
{
    yyjson_val *demands = yyjson_obj_get(report, "demands");
    yyjson_val *days = yyjson_obj_get(report, "days");

    if (yyjson_arr_size(demands) > 1) {
        put(page, "<h2>By what was demanded</h2>\n");
        put_by(page, demands, (struct column){"Residency", "demand", TEXT, "nowhere"});
    }
    put(page, "<h2>Day by day</h2>\n");
    if (yyjson_arr_size(days) == 0)
        put(page, "<p>No request demanded this.</p>\n");
    else
        put_by(page, days, (struct column){"Day (UTC)", "day", WORD, NULL});
}

static void put_recount(struct page *page, yyjson_val *recount)
{
    static const struct column columns[] = {
        {"Day", "day", WORD, NULL},
        {"Verdict", "verdict", WORD, NULL},
        {"Endpoint", "endpoint", TEXT, "none"},
        {"Region", "region", WORD, "&ndash;"},
        {"Evidence", "evidence", TEXT, "none"},
        {"Counted now", "counted", COUNT, NULL},
        {"Counted then", "stored", COUNT, NULL},
    };
    bool matches = yyjson_get_bool(yyjson_obj_get(recount, "matches"));

    if (!yyjson_is_obj(recount))
        return;
    put(page, "<h2>Recount</h2>\n<p>Every record of these days was read again: ");
    put_count(page, yyjson_obj_get(recount, "rows"));
    put(page, matches ? " demanded this. The count is the same as the one that was kept when they "
                        "were stored.</p>\n"
                      : " demanded this. <strong>The count differs from the one that was kept when "
                        "they were stored:</strong> records were changed, added or removed since, "
                        "or dropped with their day.</p>\n");
    if (matches)
        return;
    PUT_TABLE(page, yyjson_obj_get(recount, "differences"), columns);
    if (yyjson_get_uint(yyjson_obj_get(recount, "violations_differ")) == 0)
        return;
    put(page, "<p>The list of violations that is kept differs from what the records say in ");
    put_count(page, yyjson_obj_get(recount, "violations_differ"));
    put(page, ".</p>\n");
}

static void put_foot(struct page *page)
{
    put(page,
        "<h2>How to read this</h2>\n"
        "<p class=\"note\">A request counts when its client or the policy of its key demanded the "
        "claim. <em>Served inside</em>: an answer came from an endpoint for which the claim was "
        "held, with evidence that was valid on that day; the evidence is what was held then, not "
        "now. <em>Refused</em>: nothing was sent to anybody. <em>Failed</em>: endpoints were "
        "tried, "
        "each of which had to keep to the claim, and none answered. A residency is kept to when "
        "the "
        "region of the endpoint is one that was demanded, and evidence says that it is there.</p>\n"
        "</body>\n</html>\n");
}

int cp_report_page(yyjson_val *report, struct sb_buf *out)
{
    struct page page = {.out = out, .rc = SB_OK};

    put_head(&page, report);
    put_counts(&page, report);
    put_violations(&page, report);
    put_served(&page, report);
    put_demands_and_days(&page, report);
    put_recount(&page, yyjson_obj_get(report, "recount"));
    put_foot(&page);
    return page.rc;
}
