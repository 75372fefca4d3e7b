/* controlplane/ctl/cmd_fleet.c - status, workers, tables. */
#include <time.h>

#include "common/timefmt.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/screen.h"
#include "controlplane/ctl/show.h"

enum { WATCH_SECONDS = 2, ARENA_BYTES = 64 * 1024 };

static const struct ctl_field worker_fields[] = {
    {"WORKER", "worker", CTL_SHOW_NAME, false},
    {"STATE", "state", CTL_SHOW_STATE, false},
    {"REVISION", "version", CTL_SHOW_VERSION, false},
    {"SEEN", "last_seen", CTL_SHOW_AGE, false},
    {"IN FLIGHT", "load.in_flight", CTL_SHOW_COUNT, false},
    {"CLIENTS", "load.connections", CTL_SHOW_COUNT, false},
    {"REQUESTS", "load.requests", CTL_SHOW_COUNT, false},
    {"SPOOL", "spool.bytes", CTL_SHOW_BYTES, false},
    {"WAITING", "spool.records", CTL_SHOW_COUNT, false},
    {"DRAINS", "draining", CTL_SHOW_FLAG, false},
    {"HOST", "host", CTL_SHOW_TEXT, true},
    {"RELEASE", "release", CTL_SHOW_TEXT, false},
};
static const unsigned worker_leaves[SB_ARRAY_LEN(worker_fields)] = {0, 0, 0, 0, 0, 0,
                                                                    0, 0, 0, 1, 0, 1};

/* --- status ------------------------------------------------------------------------ */

static void print_line(struct ctl *ctl, const char *what, enum ctl_style style,
                       struct sb_slice words)
{
    ctl_print(ctl, "%-10s ", what);
    ctl_print_styled(ctl, style, words);
    ctl_print(ctl, "\n");
}

static void print_database(struct ctl *ctl, yyjson_val *status)
{
    bool is_up = sb_slice_is(ctl_member_text(status, "database.state"), "up");
    unsigned long long revision =
        (unsigned long long)yyjson_get_uint(ctl_member(status, "database.revision"));

    if (is_up)
        print_line(ctl, "database", CTL_GOOD,
                   sb_arena_printf(ctl->arena, "up, revision %llu", revision));
    else
        print_line(ctl, "database", CTL_BAD,
                   sb_arena_printf(ctl->arena, "down: %.*s",
                                   SB_SLICE_ARGS(ctl_member_text(status, "database.problem"))));
}

static void print_fleet(struct ctl *ctl, yyjson_val *workers)
{
    static const char *const states[] = {"synced", "sent", "stale", "nacked", "gone"};
    struct sb_slice words = SB_SLICE_NONE;
    unsigned long long all = 0, good = 0;

    for (size_t i = 0; i < SB_ARRAY_LEN(states); i++) {
        unsigned long long n =
            (unsigned long long)yyjson_get_uint(yyjson_obj_get(workers, states[i]));

        all += n;
        good += i == 0 ? n : 0;
        if (n > 0)
            words = sb_arena_printf(ctl->arena, "%.*s%s%llu %s", SB_SLICE_ARGS(words),
                                    words.n > 0 ? ", " : "", n, states[i]);
    }
    print_line(ctl, "workers",
               all == 0      ? CTL_WARN
               : good == all ? CTL_GOOD
                             : CTL_WARN,
               all == 0 ? SB_SLICE_LIT("none") : words);
}

int ctl_run_status(struct ctl *ctl)
{
    yyjson_val *status = NULL;
    int rc = ctl_get(ctl, "/admin/v1/status", &status);
    struct sb_slice leads;

    if (rc != CTL_DONE)
        return rc;
    if (ctl->format != CTL_AS_TABLE) {
        ctl_print_value(ctl, status);
        return CTL_DONE;
    }
    leads = sb_arena_printf(ctl->arena, "%.*s, release %.*s",
                            SB_SLICE_ARGS(ctl_member_text(status, "daemon")),
                            SB_SLICE_ARGS(ctl_member_text(status, "release")));
    if (ctl_member(status, "daemon") != NULL)
        print_line(ctl, "daemon", CTL_NAME, leads);
    if (ctl_member(status, "leading") != NULL) {
        bool is_leading = yyjson_is_true(ctl_member(status, "leading"));

        print_line(ctl, "leader", is_leading ? CTL_GOOD : CTL_DIM,
                   is_leading ? sb_arena_printf(
                                    ctl->arena, "this one, term %llu",
                                    (unsigned long long)yyjson_get_uint(ctl_member(status, "term")))
                              : SB_SLICE_LIT("another one; this one stands by"));
    }
    print_database(ctl, status);
    if (ctl_member(status, "published.revision") != NULL)
        print_line(ctl, "published", CTL_PLAIN,
                   sb_arena_printf(ctl->arena, "revision %llu",
                                   (unsigned long long)yyjson_get_uint(
                                       ctl_member(status, "published.revision"))));
    if (yyjson_is_obj(ctl_member(status, "workers")))
        print_fleet(ctl, ctl_member(status, "workers"));
    return CTL_DONE;
}

int ctl_run_workers(struct ctl *ctl)
{
    yyjson_val *list = NULL;
    int status = ctl_get_list(ctl, "/admin/v1/workers", NULL, CTL_ALL, &list);

    if (status != CTL_DONE)
        return status;
    if (ctl->format != CTL_AS_TABLE)
        ctl_print_value(ctl, list);
    else
        ctl_show_fitted(ctl, list, worker_fields, worker_leaves, SB_ARRAY_LEN(worker_fields),
                        "no worker has said hello");
    return CTL_DONE;
}

/* --- tables ---------------------------------------------------------------------------- */

static const struct ctl_field table_fields[] = {
    {"MODEL", "model", CTL_SHOW_NAME, true},
    {"TAG", "tag", CTL_SHOW_NAME, true},
    {"REGION", "region", CTL_SHOW_TEXT, false},
    {"HEALTH", "health", CTL_SHOW_STATE, false},
    {"UPTIME", "uptime", CTL_SHOW_PERCENT, false},
    {"1 DAY", "day.uptime", CTL_SHOW_PERCENT, false},
    {"FIRST p50", "latency_ms.p50", CTL_SHOW_MSEC, false},
    {"p99", "latency_ms.p99", CTL_SHOW_MSEC, false},
    {"TOK/S", "throughput.p50", CTL_SHOW_RATE, false},
    {"$/M IN", "pricing.prompt", CTL_SHOW_DECIMAL, false},
    {"OUT", "pricing.completion", CTL_SHOW_DECIMAL, false},
    {"SAMPLES", "samples", CTL_SHOW_COUNT, false},
    {"SHARE", "traffic_share", CTL_SHOW_PERCENT, false},
    {"EXPIRES", "expires_on", CTL_SHOW_NEAR, false},
};
/* What a narrow terminal leaves out last is what one looks for first. */
static const unsigned table_leaves[SB_ARRAY_LEN(table_fields)] = {1, 0, 6, 0, 0, 5, 0,
                                                                  0, 0, 0, 0, 4, 0, 0};

/* To ctl->out. */
static int print_tables(struct ctl *ctl, size_t *ret_n)
{
    yyjson_val *list = NULL;
    int status = ctl_get_list(ctl, "/admin/v1/tables", NULL, CTL_ALL, &list);

    if (status != CTL_DONE)
        return status;
    *ret_n = yyjson_arr_size(list);
    if (ctl->format != CTL_AS_TABLE)
        ctl_print_value(ctl, list);
    else
        ctl_show_fitted(ctl, list, table_fields, table_leaves, SB_ARRAY_LEN(table_fields),
                        "there are no endpoints");
    return CTL_DONE;
}

static int show_tables(struct ctl *ctl)
{
    size_t n;
    int status = print_tables(ctl, &n);

    return status == CTL_DONE ? ctl_flush(ctl) : status;
}

/* One list after the other, for a file or a pipe. */
static int repeat_tables(struct ctl *ctl)
{
    const struct timespec pause = {.tv_sec = WATCH_SECONDS};
    struct sb_arena *whole = ctl->arena;
    int status = CTL_DONE;

    while (status == CTL_DONE && !ctl->reader_is_gone) {
        ctl->arena = sb_arena_new(ARENA_BYTES);
        status = show_tables(ctl);
        sb_arena_destroy(&ctl->arena);
        if (status == CTL_DONE && !ctl->reader_is_gone)
            (void)nanosleep(&pause, NULL);
    }
    ctl->arena = whole;
    return status;
}

/* What of the table is seen. */
struct view {
    size_t top;     /* first row */
    size_t n, room; /* rows there are, rows that fit */
};

/* The text from its nth line on. */
static struct sb_slice lines_from(struct sb_slice text, size_t n)
{
    for (; n > 0 && text.n > 0; n--) {
        size_t line = sb_slice_find(text, '\n');

        text = sb_slice_from(text, line < text.n ? line + 1 : line);
    }
    return text;
}

/* A line about it all, the titles, and the rows that fit. */
static int draw(struct ctl *ctl, struct view *view, unsigned lines)
{
    struct sb_slice all = sb_arena_dup(ctl->arena, sb_buf_slice(&ctl->out));
    struct sb_slice rows = lines_from(all, 1), titles = all, head;
    char now[SB_TIME_TEXT_MAX];

    titles.n -= rows.n;
    view->room = lines > 2 ? lines - 2 : 0;
    if (view->top + view->room > view->n)
        view->top = view->n > view->room ? view->n - view->room : 0;
    (void)sb_time_format(sb_clock_wall(&sb_clock_system), 0, now);
    head = view->n <= view->room
               ? sb_arena_printf(ctl->arena, "%zu endpoints  %s  q quits", view->n, now)
               : sb_arena_printf(ctl->arena, "endpoints %zu-%zu of %zu  %s  arrows move, q quits",
                                 view->top + 1, view->top + view->room, view->n, now);
    sb_buf_reset(&ctl->out);
    ctl_print_styled(ctl, CTL_DIM, head);
    ctl_print(ctl, "\n%.*s", SB_SLICE_ARGS(titles));
    if (view->n == 0)
        ctl_print(ctl, "there are no endpoints\n");
    ctl_print(ctl, "%.*s", SB_SLICE_ARGS(lines_from(rows, view->top)));
    all = sb_arena_dup(ctl->arena, sb_buf_slice(&ctl->out));
    sb_buf_reset(&ctl->out);
    if (ctl_screen_frame(all, lines, &ctl->out) != SB_OK)
        return ctl_fail(ctl, "no memory");
    return ctl_flush(ctl);
}

static void move(struct view *view, enum ctl_screen_event event)
{
    size_t by = event == CTL_SCREEN_PAGE_UP || event == CTL_SCREEN_PAGE_DOWN ? view->room : 1;

    if (event == CTL_SCREEN_UP || event == CTL_SCREEN_PAGE_UP)
        view->top -= by < view->top ? by : view->top;
    else if (event == CTL_SCREEN_DOWN || event == CTL_SCREEN_PAGE_DOWN)
        view->top += by; /* drawing sees to the end */
}

static int refresh(struct ctl *ctl, struct view *view)
{
    unsigned lines = 0;
    int status;

    ctl_screen_size(&ctl->term.width, &lines);
    status = print_tables(ctl, &view->n);
    return status == CTL_DONE ? draw(ctl, view, lines > 0 ? lines : 24) : status;
}

/* Every round in an arena of its own. */
static int watch(struct ctl *ctl)
{
    struct sb_arena *whole = ctl->arena;
    enum ctl_screen_event event = CTL_SCREEN_TIME;
    struct view view = {.top = 0};
    int status = CTL_DONE;

    ctl_screen_begin();
    while (status == CTL_DONE && !ctl->reader_is_gone && event != CTL_SCREEN_QUIT) {
        ctl->arena = sb_arena_new(ARENA_BYTES);
        status = refresh(ctl, &view);
        sb_arena_destroy(&ctl->arena);
        if (status == CTL_DONE && !ctl->reader_is_gone)
            event = ctl_screen_wait((sb_msec)WATCH_SECONDS * 1000);
        move(&view, event);
    }
    ctl_screen_end();
    ctl->arena = whole;
    sb_buf_reset(&ctl->out);
    /* What was said of it went with the screen: once more, where it stays. */
    return status == CTL_DONE ? status : show_tables(ctl);
}

int ctl_run_tables(struct ctl *ctl)
{
    if (!ctl_has(ctl, "watch"))
        return show_tables(ctl);
    return ctl->term.width > 0 && ctl->format == CTL_AS_TABLE ? watch(ctl) : repeat_tables(ctl);
}
