/* controlplane/ctl/cmd_fleet.c - status, workers, tables. */
#include <signal.h>
#include <time.h>

#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"
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
        ctl_show_list(ctl, list, worker_fields, SB_ARRAY_LEN(worker_fields),
                      "no worker has said hello");
    return CTL_DONE;
}

/* --- tables ---------------------------------------------------------------------------- */

static const struct ctl_field table_fields[] = {
    {"MODEL", "model", CTL_SHOW_NAME, true},
    {"TAG", "tag", CTL_SHOW_NAME, false},
    {"REGION", "region", CTL_SHOW_TEXT, false},
    {"HEALTH", "health", CTL_SHOW_STATE, false},
    {"UPTIME", "uptime", CTL_SHOW_PERCENT, false},
    {"1 DAY", "day.uptime", CTL_SHOW_PERCENT, false},
    {"FIRST p50", "latency_ms.p50", CTL_SHOW_MSEC, false},
    {"p99", "latency_ms.p99", CTL_SHOW_MSEC, false},
    {"TOK/S p50", "throughput.p50", CTL_SHOW_RATE, false},
    {"$/M IN", "pricing.prompt", CTL_SHOW_DECIMAL, false},
    {"$/M OUT", "pricing.completion", CTL_SHOW_DECIMAL, false},
    {"SAMPLES", "samples", CTL_SHOW_COUNT, false},
    {"SHARE", "traffic_share", CTL_SHOW_PERCENT, false},
    {"EXPIRES", "expires_on", CTL_SHOW_TEXT, false},
};

static int show_tables(struct ctl *ctl)
{
    yyjson_val *list = NULL;
    int status = ctl_get_list(ctl, "/admin/v1/tables", NULL, CTL_ALL, &list);

    if (status != CTL_DONE)
        return status;
    if (ctl->format != CTL_AS_TABLE)
        ctl_print_value(ctl, list);
    else
        ctl_show_list(ctl, list, table_fields, SB_ARRAY_LEN(table_fields),
                      "there are no endpoints");
    return ctl_flush(ctl);
}

/* Every round in an arena of its own, from the top of the screen. */
static int watch(struct ctl *ctl)
{
    struct timespec pause = {.tv_sec = WATCH_SECONDS};
    struct sb_arena *whole = ctl->arena;
    int status = CTL_DONE;

    while (status == CTL_DONE && !ctl->reader_is_gone) {
        ctl->arena = sb_arena_new(ARENA_BYTES);
        if (ctl->term.width > 0)
            ctl_print(ctl, "\033[H\033[2J");
        status = show_tables(ctl);
        sb_arena_destroy(&ctl->arena);
        if (status == CTL_DONE && !ctl->reader_is_gone)
            (void)nanosleep(&pause, NULL);
    }
    ctl->arena = whole;
    return status;
}

int ctl_run_tables(struct ctl *ctl)
{
    return ctl_has(ctl, "watch") ? watch(ctl) : show_tables(ctl);
}
