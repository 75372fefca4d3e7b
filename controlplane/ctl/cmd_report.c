/* controlplane/ctl/cmd_report.c - report. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/timefmt.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/moment.h"
#include "controlplane/ctl/show.h"

enum { REPORT_MAX = 256 << 20 };

static const struct ctl_field count_fields[] = {
    {"DEMANDED", "demanded", CTL_SHOW_COUNT, false},
    {"SERVED INSIDE", "served", CTL_SHOW_COUNT, false},
    {"REFUSED", "refused", CTL_SHOW_COUNT, false},
    {"FAILED", "failed", CTL_SHOW_COUNT, false},
    {"VIOLATIONS", "violations", CTL_SHOW_COUNT, false},
    {"COST $", "cost", CTL_SHOW_DECIMAL, false},
};
static const struct ctl_field demand_fields[] = {
    {"RESIDENCY", "demand", CTL_SHOW_NAME, true},
    {"DEMANDED", "demanded", CTL_SHOW_COUNT, false},
    {"SERVED INSIDE", "served", CTL_SHOW_COUNT, false},
    {"REFUSED", "refused", CTL_SHOW_COUNT, false},
    {"FAILED", "failed", CTL_SHOW_COUNT, false},
    {"VIOLATIONS", "violations", CTL_SHOW_COUNT, false},
};
static const struct ctl_field served_fields[] = {
    {"SERVED BY", "endpoint", CTL_SHOW_NAME, true},
    {"REGION", "region", CTL_SHOW_TEXT, false},
    {"DEMANDED", "demanded", CTL_SHOW_TEXT, false},
    {"ON EVIDENCE", "evidence", CTL_SHOW_TEXT, true},
    {"VALID THROUGH", "expires_on", CTL_SHOW_TEXT, false},
    {"FROM", "first_day", CTL_SHOW_TEXT, false},
    {"TO", "last_day", CTL_SHOW_TEXT, false},
    {"REQUESTS", "requests", CTL_SHOW_COUNT, false},
};
static const struct ctl_field violation_fields[] = {
    {"VIOLATION AT (UTC)", "received_at", CTL_SHOW_TIME, false},
    {"KEY", "key", CTL_SHOW_NAME, false},
    {"ENDPOINT", "endpoint", CTL_SHOW_TEXT, true},
    {"REGION", "region", CTL_SHOW_TEXT, false},
    {"WHY", "why", CTL_SHOW_TEXT, false},
    {"EVIDENCE", "evidence", CTL_SHOW_TEXT, true},
    {"VALID THROUGH", "expires_on", CTL_SHOW_TEXT, false},
    {"GENERATION", "generation_id", CTL_SHOW_TEXT, true},
};
static const struct ctl_field difference_fields[] = {
    {"DAY", "day", CTL_SHOW_TEXT, false},
    {"VERDICT", "verdict", CTL_SHOW_TEXT, false},
    {"ENDPOINT", "endpoint", CTL_SHOW_NAME, true},
    {"EVIDENCE", "evidence", CTL_SHOW_TEXT, true},
    {"COUNTED NOW", "counted", CTL_SHOW_COUNT, false},
    {"THEN", "stored", CTL_SHOW_COUNT, false},
};

/* --- for people ---------------------------------------------------------------------- */

static bool has_violations(yyjson_val *report)
{
    return yyjson_get_uint(ctl_member(report, "counts.violations")) > 0;
}

static bool differs(yyjson_val *report)
{
    yyjson_val *matches = ctl_member(report, "recount.matches");

    return matches != NULL && !yyjson_get_bool(matches);
}

static void show_part(struct ctl *ctl, yyjson_val *report, const char *member,
                      const struct ctl_field *fields, unsigned n)
{
    yyjson_val *list = ctl_member(report, member);

    if (yyjson_arr_size(list) == 0)
        return;
    ctl_print(ctl, "\n");
    ctl_show_list(ctl, list, fields, n, "");
}
#define SHOW_PART(ctl, report, member, fields)                                                     \
    show_part(ctl, report, member, fields, SB_ARRAY_LEN(fields))

static void show_counts(struct ctl *ctl, yyjson_val *report)
{
    struct ctl_column columns[SB_ARRAY_LEN(count_fields)];
    struct ctl_table *table;

    for (size_t i = 0; i < SB_ARRAY_LEN(count_fields); i++)
        columns[i] = (struct ctl_column){.title = count_fields[i].title, .is_right = true};
    table = ctl_table_new(ctl->arena, columns, SB_ARRAY_LEN(columns));
    for (size_t i = 0; i < SB_ARRAY_LEN(count_fields); i++)
        ctl_table_add(table, CTL_PLAIN,
                      ctl_words(ctl->arena,
                                ctl_member(ctl_member(report, "counts"), count_fields[i].path),
                                count_fields[i].show, 0));
    ctl_print_table(ctl, table);
}

static void show_recount(struct ctl *ctl, yyjson_val *report)
{
    uint64_t listed = yyjson_get_uint(ctl_member(report, "recount.violations_differ"));

    if (!yyjson_is_obj(ctl_member(report, "recount")))
        return;
    ctl_print(ctl, "\n");
    if (!differs(report)) {
        ctl_print_styled(ctl, CTL_GOOD, SB_SLICE_LIT("Recounted"));
        ctl_print(ctl, " from every record: the same.\n");
        return;
    }
    ctl_print_styled(ctl, CTL_BAD, SB_SLICE_LIT("Recounted, and it differs"));
    ctl_print(ctl, ": records were changed, added, removed or dropped since.\n");
    SHOW_PART(ctl, report, "recount.differences", difference_fields);
    if (listed > 0)
        ctl_print(ctl,
                  "\nThe list of violations that is kept differs in %" PRIu64
                  " from what the records say.\n",
                  listed);
    SHOW_PART(ctl, report, "recount.violations", violation_fields);
}

static void show(struct ctl *ctl, yyjson_val *report)
{
    uint64_t open = yyjson_get_uint(ctl_member(report, "open"));

    ctl_print_styled(ctl, CTL_NAME, ctl_member_text(report, "claim"));
    ctl_print(ctl, ", from %.*s on and before %.*s (UTC): ",
              SB_SLICE_ARGS(ctl_member_text(report, "from")),
              SB_SLICE_ARGS(ctl_member_text(report, "to")));
    ctl_print_styled(ctl, has_violations(report) ? CTL_BAD : CTL_GOOD,
                     has_violations(report) ? SB_SLICE_LIT("violations")
                                            : SB_SLICE_LIT("no violation"));
    ctl_print(ctl, "\n\n");
    show_counts(ctl, report);
    if (open > 0)
        ctl_print(ctl, "Besides, sent and their end is not known: %" PRIu64 "\n", open);
    if (yyjson_arr_size(ctl_member(report, "demands")) > 1)
        SHOW_PART(ctl, report, "demands", demand_fields);
    SHOW_PART(ctl, report, "served_by", served_fields);
    SHOW_PART(ctl, report, "violations", violation_fields);
    show_recount(ctl, report);
}

/* --- asking ---------------------------------------------------------------------------- */

/* Not bound by the time of an answer: a recount takes as long as it takes. */
static int on_piece(void *ctx, struct sb_slice piece)
{
    return sb_buf_append(ctx, piece);
}

static int add_moment(struct ctl_query *query, const char *name)
{
    const char *text = ctl_flag(query->ctl, name);
    char moment[SB_TIME_TEXT_MAX];

    if (text == NULL)
        return CTL_DONE;
    if (!ctl_moment_read(text, sb_clock_wall(&sb_clock_system), moment))
        return ctl_misuse(query->ctl, "--%s %s is no day: 2026-01-31, or 30d (ago) is", name, text);
    ctl_query_add(query, name, sb_arena_dup(query->ctl->arena, sb_slice_of(moment)).p);
    return CTL_DONE;
}

static int fetch(struct ctl *ctl, const char *format, struct sb_buf *text)
{
    struct ctl_request request = {.method = "GET", .on_piece = on_piece, .piece_ctx = text};
    struct ctl_query query = {.ctl = ctl};
    yyjson_val *root = NULL;
    int status = add_moment(&query, "from");

    if (status == CTL_DONE)
        status = add_moment(&query, "to");
    if (status != CTL_DONE)
        return status;
    ctl_query_add(&query, "claim", ctl->args.operands[0]);
    ctl_query_add(&query, "format", format);
    ctl_query_add_switch(&query, "recount", "recount");
    request.path = ctl_query_path(&query, "/admin/v1/compliance/report");
    ctl->doing = ctl_has(ctl, "recount") ? "recounting" : "counting";
    return ctl_call(ctl, &request, &root);
}

static int save(struct ctl *ctl, const char *path, struct sb_slice page)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    ssize_t n = 0;

    while (fd >= 0 && page.n > 0 && n >= 0) {
        n = write(fd, page.p, page.n);
        if (n > 0)
            page = sb_slice_from(page, (size_t)n);
        else if (n < 0 && errno == EINTR)
            n = 0;
    }
    if (fd < 0 || n < 0 || close(fd) < 0)
        return ctl_fail(ctl, "cannot write %s: %s", path, strerror(errno));
    ctl_print(ctl, "wrote %s\n", path);
    return CTL_DONE;
}

int ctl_run_report(struct ctl *ctl)
{
    const char *path = ctl_flag(ctl, "html");
    SB_CLEANUP(sb_buf_release) struct sb_buf text = {.limit = 0};
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    yyjson_val *report;
    int status;

    sb_buf_init(&text, REPORT_MAX);
    status = fetch(ctl, path != NULL ? "html" : "json", &text);
    if (status != CTL_DONE)
        return status;
    if (path != NULL)
        return save(ctl, path, sb_buf_slice(&text));
    if (sb_json_read(sb_buf_slice(&text), REPORT_MAX, &doc, NULL) != SB_OK)
        return ctl_fail(ctl, "the answer is no report; it may have been broken off");
    report = yyjson_doc_get_root(doc);
    if (ctl->format != CTL_AS_TABLE)
        ctl_print_value(ctl, report);
    else
        show(ctl, report);
    return has_violations(report) || differs(report) ? CTL_FAILED : CTL_DONE;
}
