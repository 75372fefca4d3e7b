/* controlplane/ctl/cmd_simulate.c - what a budget buys, by a catalogue file. */
#include <inttypes.h>

#include "common/num.h"
#include "common/timefmt.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/input.h"
#include "controlplane/ctl/moment.h"
#include "controlplane/ctl/simulate.h"
#include "dataplane/route/view.h"

enum { PROBLEMS_SHOWN = 50 };

/* --- what was asked for -------------------------------------------------------------- */

static int read_number(struct ctl *ctl, const char *flag, uint64_t least, uint64_t most,
                       uint64_t fallback, uint64_t *ret_number)
{
    const char *text = ctl_flag(ctl, flag);

    *ret_number = fallback;
    if (text == NULL)
        return CTL_DONE;
    if (!sb_num_read_u64(sb_slice_of(text), ret_number) || *ret_number < least ||
        *ret_number > most)
        return ctl_misuse(ctl, "--%s %s is not a number from %" PRIu64 " to %" PRIu64, flag, text,
                          least, most);
    return CTL_DONE;
}

/* Read as a price per million, a dollar is CTL_BUDGET_USD. */
static int read_budget(struct ctl_simulate *simulate)
{
    const char *text = ctl_flag(simulate->ctl, "budget");
    sb_money money;

    simulate->budget_text = text != NULL ? text : "100";
    if (sb_money_parse_per_million(sb_slice_of(simulate->budget_text), &money) != SB_OK ||
        money <= 0)
        return ctl_misuse(simulate->ctl, "--budget %s is not an amount of USD, such as 100 or 2.50",
                          simulate->budget_text);
    simulate->budget = (uint64_t)money;
    return CTL_DONE;
}

static int read_moment(struct ctl_simulate *simulate)
{
    const char *text = ctl_flag(simulate->ctl, "at");
    sb_usec wall = sb_clock_wall(&sb_clock_system);
    char moment[SB_TIME_TEXT_MAX];

    if (text != NULL && (!ctl_moment_read(text, wall, moment) ||
                         sb_time_parse(sb_slice_of(moment), &wall) != SB_OK))
        return ctl_misuse(simulate->ctl,
                          "--at %s is neither a date, nor a time such as 2026-01-31T03:00:00Z, nor "
                          "how long ago, such as 2h",
                          text);
    simulate->workload.unix_seconds = (int64_t)(wall / SB_USEC_PER_SEC);
    return CTL_DONE;
}

static int read_strategy(struct ctl_simulate *simulate)
{
    const char *text = ctl_flag(simulate->ctl, "strategy");
    int strategy;

    if (text == NULL) {
        for (int i = 0; i < CTL_STRATEGIES; i++)
            simulate->strategies[i] = (enum ctl_strategy)i;
        simulate->n_strategies = CTL_STRATEGIES;
        return CTL_DONE;
    }
    strategy = ctl_strategy_parse(sb_slice_of(text));
    if (strategy < 0)
        return ctl_misuse(simulate->ctl,
                          "--strategy %s: there are price, balanced, throughput and latency", text);
    simulate->strategies[0] = (enum ctl_strategy)strategy;
    simulate->n_strategies = 1;
    return CTL_DONE;
}

static int read_flags(struct ctl_simulate *simulate)
{
    struct ctl *ctl = simulate->ctl;
    struct ctl_workload *workload = &simulate->workload;
    int status;

    if (ctl_flag(ctl, "catalog") == NULL)
        return ctl_misuse(ctl, "simulate wants --catalog FILE");
    status = read_number(ctl, "requests", 1, CTL_REQUESTS_MAX, 100000, &workload->requests);
    if (status == CTL_DONE)
        status =
            read_number(ctl, "prompt-tokens", 0, CTL_PROMPT_MAX, 1000, &workload->prompt_tokens);
    if (status == CTL_DONE)
        status = read_number(ctl, "completion-tokens", 1, CTL_COMPLETION_MAX, 300,
                             &workload->completion_tokens);
    if (status == CTL_DONE)
        status = read_number(ctl, "seed", 0, UINT64_MAX, 1, &workload->seed);
    if (status == CTL_DONE)
        status = read_moment(simulate);
    if (status == CTL_DONE)
        status = read_budget(simulate);
    return status == CTL_DONE ? read_strategy(simulate) : status;
}

/* --- the market ---------------------------------------------------------------------------- */

static int show_problems(struct ctl *ctl, const char *path, int rc,
                         const struct cp_problems *problems)
{
    size_t shown = 0;

    if (rc != SB_EINVAL)
        return ctl_fail(ctl, "%s: %s", path, sb_err_str(rc));
    (void)ctl_fail(ctl, "%s: %zu problem%s", path, problems->n, problems->n == 1 ? "" : "s");
    for (const struct cp_problem *one = problems->first; one != NULL && shown < PROBLEMS_SHOWN;
         one = one->next, shown++)
        ctl_note(ctl, "  %.*s%s%.*s", SB_SLICE_ARGS(one->path), one->path.n > 0 ? ": " : "",
                 SB_SLICE_ARGS(one->problem));
    if (problems->n > shown)
        ctl_note(ctl, "  ... and %zu more", problems->n - shown);
    return CTL_FAILED;
}

static int read_catalog(struct ctl_simulate *simulate)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf text;
    struct ctl *ctl = simulate->ctl;
    const char *path = ctl_flag(ctl, "catalog");
    struct cp_problems problems;
    int status, rc;

    sb_buf_init(&text, CP_DOC_BYTES_MAX);
    status = ctl_input_read(ctl, path, &text);
    if (status != CTL_DONE)
        return status;
    cp_problems_init(&problems, ctl->arena);
    rc = ctl_market_new(sb_buf_slice(&text), CP_DOC_AUTO, &problems, &simulate->market);
    return rc == SB_OK ? CTL_DONE : show_problems(ctl, path, rc, &problems);
}

static int read_tables(struct ctl_simulate *simulate)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf text;
    struct ctl *ctl = simulate->ctl;
    const char *path = ctl_flag(ctl, "tables");
    struct cp_problems problems;
    int status = CTL_DONE, rc;

    sb_buf_init(&text, CP_DOC_BYTES_MAX);
    if (path != NULL)
        status = ctl_input_read(ctl, path, &text);
    if (status != CTL_DONE)
        return status;
    cp_problems_init(&problems, ctl->arena);
    rc = ctl_market_measure(simulate->market, sb_buf_slice(&text),
                            (uint32_t)simulate->workload.completion_tokens, &problems);
    if (rc != SB_OK)
        return show_problems(ctl, path != NULL ? path : "the tables", rc, &problems);
    if (simulate->market->n_unknown > 0)
        ctl_note(ctl, "%s: %zu rows are of endpoints that the catalogue does not have", path,
                 simulate->market->n_unknown);
    return CTL_DONE;
}

static int find_policy(struct ctl_simulate *simulate)
{
    const struct msg_snapshot *records = simulate->market->snapshot->records;
    const char *name = ctl_flag(simulate->ctl, "policy");

    simulate->workload.policy = MSG_NONE;
    for (uint32_t i = 0; name != NULL && i < records->n_policies; i++) {
        if (sb_slice_is(records->policies[i].name, name))
            simulate->workload.policy = i;
    }
    return name == NULL || simulate->workload.policy != MSG_NONE
               ? CTL_DONE
               : ctl_fail(simulate->ctl, "the catalogue has no policy '%s'", name);
}

/* The one that --model names, or all of the file. */
static int find_models(struct ctl_simulate *simulate)
{
    struct ctl *ctl = simulate->ctl;
    const struct dp_snapshot *snapshot = simulate->market->snapshot;
    const char *name = ctl_flag(ctl, "model");
    uint32_t n = (uint32_t)snapshot->records->n_models;
    const struct dp_model *model =
        name != NULL ? dp_snapshot_find_model(snapshot, sb_slice_of(name)) : NULL;

    if (name != NULL && model == NULL)
        return ctl_fail(ctl, "the catalogue has no model '%s'", name);
    if (n == 0)
        return ctl_fail(ctl, "the catalogue has no models");
    if (model != NULL)
        n = 1;
    simulate->results = sb_arena_alloc(ctl->arena, n * sizeof(*simulate->results));
    simulate->n_results = n;
    for (uint32_t i = 0; i < n; i++)
        simulate->results[i].model = model != NULL ? model : &snapshot->models[i];
    return CTL_DONE;
}

/* --- running --------------------------------------------------------------------------------- */

static void on_simulated(void *ctx, uint64_t done)
{
    struct ctl_simulate *simulate = ctx;

    ctl_progress(simulate->ctl, "simulating", simulate->done + done, simulate->total);
}

static int run_all(struct ctl_simulate *simulate)
{
    struct ctl_workload workload = simulate->workload;
    struct sb_errmsg err = {.text = ""};

    workload.on_simulated = on_simulated;
    workload.ctx = simulate;
    simulate->total = workload.requests * simulate->n_results * simulate->n_strategies;
    for (uint32_t i = 0; i < simulate->n_results; i++) {
        struct ctl_simulated *result = &simulate->results[i];

        workload.model = result->model;
        for (unsigned s = 0; s < simulate->n_strategies; s++) {
            int rc = ctl_simulate(simulate->market, &workload, simulate->strategies[s],
                                  simulate->ctl->arena, &result->outcome[s], &err);

            if (rc != SB_OK)
                return ctl_fail(simulate->ctl, "%.*s: %s", SB_SLICE_ARGS(result->model->row->id),
                                err.text[0] != '\0' ? err.text : sb_err_str(rc));
            simulate->done += workload.requests;
            simulate->any_served |= result->outcome[s].requests > 0;
        }
    }
    return CTL_DONE;
}

int ctl_run_simulate(struct ctl *ctl)
{
    struct ctl_simulate simulate = {.ctl = ctl};
    int status = read_flags(&simulate);

    if (status == CTL_DONE)
        status = read_catalog(&simulate);
    if (status == CTL_DONE)
        status = read_tables(&simulate);
    if (status == CTL_DONE)
        status = find_policy(&simulate);
    if (status == CTL_DONE)
        status = find_models(&simulate);
    if (status == CTL_DONE)
        status = run_all(&simulate);
    if (status == CTL_DONE && ctl->format == CTL_AS_TABLE)
        ctl_simulate_show(&simulate);
    else if (status == CTL_DONE)
        ctl_simulate_print(&simulate);
    ctl_market_destroy(&simulate.market);
    /* nobody may be asked: as a refused explain */
    return status == CTL_DONE && !simulate.any_served ? CTL_FAILED : status;
}
