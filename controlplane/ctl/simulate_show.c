/* controlplane/ctl/simulate_show.c - what a simulation found, for people and for programs. */
#include <inttypes.h>
#include <stdlib.h>

#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/show.h"
#include "controlplane/ctl/simulate.h"
#include "dataplane/route/tables.h"
#include "dataplane/route/view.h"

enum { COLUMNS_BEFORE_SHARES = 6 };

static const struct sb_slice no_data = {"no data", 7};

static const struct dp_row *row_of(const struct ctl_simulate *simulate,
                                   const struct dp_endpoint *endpoint)
{
    return dp_tables_find(simulate->market->tables, simulate->market->snapshot, endpoint);
}

static const struct dp_endpoint *endpoints_of(const struct ctl_simulate *simulate,
                                              const struct ctl_simulated *result)
{
    return dp_model_endpoints(simulate->market->snapshot, result->model);
}

static double share_of(const struct ctl_outcome *outcome, uint32_t place)
{
    return outcome->requests > 0
               ? (double)outcome->served[place].requests / (double)outcome->requests
               : 0;
}

/* Places in the model, the cheapest first, then by name. */
struct place {
    uint32_t at;
    sb_money price;
};

static int by_price(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->price != y->price)
        return x->price < y->price ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static struct place *sort_places(struct ctl *ctl, const struct ctl_simulated *result)
{
    uint32_t n = result->model->n;
    struct place *places = sb_arena_alloc(ctl->arena, n * sizeof(*places) + 1);

    for (uint32_t i = 0; i < n; i++)
        places[i] = (struct place){.at = i, .price = result->outcome[0].served[i].price};
    if (n > 0)
        qsort(places, n, sizeof(*places), by_price);
    return places;
}

/* --- for people ---------------------------------------------------------------------------- */

static void add_right(struct ctl_table *table, enum ctl_style style, struct sb_slice words)
{
    ctl_table_add(table, sb_slice_eq(words, no_data) ? CTL_DIM : style, words);
}

static struct sb_slice latency_words(struct ctl *ctl, double msec, double known)
{
    if (known <= 0)
        return no_data;
    return sb_arena_printf(ctl->arena, "%.*s%s", SB_SLICE_ARGS(ctl_msec_words(ctl->arena, msec)),
                           known < 1 ? "*" : "");
}

static struct sb_slice throughput_words(struct ctl *ctl, double rate, double known)
{
    return known > 0 ? sb_arena_printf(ctl->arena, "%.1f%s", rate, known < 1 ? "*" : "") : no_data;
}

static void add_strategy(const struct ctl_simulate *simulate, struct ctl_table *table,
                         const struct ctl_simulated *result, unsigned at)
{
    const struct ctl_outcome *outcome = &result->outcome[at];
    struct ctl *ctl = simulate->ctl;
    struct sb_slice requests = SB_SLICE_LIT("no limit");
    uint64_t n;

    if (ctl_outcome_affords(outcome, result->model->n, simulate->budget, &n))
        requests = ctl_count_words(ctl->arena, n);
    ctl_table_add(table, CTL_NAME, sb_slice_of(ctl_strategy_name(simulate->strategies[at])));
    ctl_table_add(table, CTL_BOLD, requests);
    ctl_table_add(table, CTL_PLAIN,
                  sb_arena_printf(ctl->arena, "%.4f", outcome->mean_price * 1000));
    add_right(table, CTL_PLAIN, latency_words(ctl, outcome->mean_latency, outcome->latency_known));
    add_right(table, CTL_PLAIN,
              throughput_words(ctl, outcome->mean_throughput, outcome->throughput_known));
}

static void show_strategies(const struct ctl_simulate *simulate, const struct ctl_simulated *result)
{
    static const struct ctl_column columns[] = {
        {"STRATEGY", false, false, 0},   {"REQUESTS", true, false, 0}, {"$/1000", true, false, 0},
        {"FIRST TOKEN", true, false, 0}, {"TOK/S", true, false, 0},
    };
    struct ctl *ctl = simulate->ctl;
    struct ctl_table *table = ctl_table_new(ctl->arena, columns, SB_ARRAY_LEN(columns));

    for (unsigned s = 0; s < simulate->n_strategies; s++) {
        if (result->outcome[s].requests > 0)
            add_strategy(simulate, table, result, s);
    }
    ctl_print_table(ctl, table);
}

static void add_endpoint(const struct ctl_simulate *simulate, struct ctl_table *table,
                         const struct ctl_simulated *result, struct place place)
{
    const struct dp_endpoint *endpoint = &endpoints_of(simulate, result)[place.at];
    const struct dp_row *row = row_of(simulate, endpoint);
    struct ctl *ctl = simulate->ctl;
    char text[SB_MONEY_TEXT_MAX];
    size_t n;

    ctl_table_add(table, CTL_NAME, endpoint->row->tag);
    n = sb_money_format_per_million(endpoint->prompt, text);
    ctl_table_add(table, CTL_PLAIN, sb_slice_make(text, n));
    n = sb_money_format_per_million(endpoint->completion, text);
    ctl_table_add(table, CTL_PLAIN, sb_slice_make(text, n));
    ctl_table_add(table, CTL_PLAIN,
                  sb_arena_printf(ctl->arena, "%.4f", sb_money_as_double(place.price) * 1000));
    add_right(table, CTL_PLAIN,
              latency_words(ctl, row->first_token[0], row->first_token[0] != MSG_NO_DATA));
    add_right(
        table, CTL_PLAIN,
        throughput_words(ctl, row->throughput[0] / 1000.0, row->throughput[0] != MSG_NO_DATA));
    for (unsigned s = 0; s < simulate->n_strategies; s++) {
        double share = share_of(&result->outcome[s], place.at);

        ctl_table_add(table, share > 0 ? CTL_BOLD : CTL_DIM,
                      share > 0 ? sb_arena_printf(ctl->arena, "%.1f %%", share * 100)
                                : SB_SLICE_LIT("-"));
    }
}

static void show_endpoints(const struct ctl_simulate *simulate, const struct ctl_simulated *result)
{
    static const struct ctl_column first[COLUMNS_BEFORE_SHARES] = {
        {"ENDPOINT", false, true, 0}, {"$/M IN", true, false, 0},    {"$/M OUT", true, false, 0},
        {"$/1000", true, false, 0},   {"FIRST p50", true, false, 1}, {"TOK/S p50", true, false, 1},
    };
    static const char *const titles[CTL_STRATEGIES] = {"PRICE", "BALANCED", "THROUGHPUT",
                                                       "LATENCY"};
    struct ctl *ctl = simulate->ctl;
    unsigned n = COLUMNS_BEFORE_SHARES + simulate->n_strategies;
    struct ctl_column *columns = sb_arena_alloc(ctl->arena, n * sizeof(*columns));
    struct place *places = sort_places(ctl, result);
    struct ctl_table *table;

    for (unsigned i = 0; i < n; i++)
        columns[i] = i < COLUMNS_BEFORE_SHARES
                         ? first[i]
                         : (struct ctl_column){
                               .title = titles[simulate->strategies[i - COLUMNS_BEFORE_SHARES]],
                               .is_right = true};
    table = ctl_table_new(ctl->arena, columns, n);
    for (uint32_t i = 0; i < result->model->n; i++)
        add_endpoint(simulate, table, result, places[i]);
    ctl_print(ctl, "\n");
    ctl_print_table(ctl, table);
}

/* Who is measured goes first, so a mean that nobody knows says that nobody was:
 * a sort by what nobody knows is no sort. */
static bool sorts_without_data(const struct ctl_simulate *simulate,
                               const struct ctl_simulated *result)
{
    for (unsigned s = 0; s < simulate->n_strategies; s++) {
        const struct ctl_outcome *outcome = &result->outcome[s];

        if (outcome->requests > 0 &&
            ((simulate->strategies[s] == CTL_STRATEGY_THROUGHPUT &&
              outcome->throughput_known <= 0) ||
             (simulate->strategies[s] == CTL_STRATEGY_LATENCY && outcome->latency_known <= 0)))
            return true;
    }
    return false;
}

/* Why a strategy has no line, why a mean has a star. */
static void show_remarks(const struct ctl_simulate *simulate, const struct ctl_simulated *result)
{
    struct ctl *ctl = simulate->ctl;
    bool is_partial = false;

    for (unsigned s = 0; s < simulate->n_strategies; s++) {
        const struct ctl_outcome *outcome = &result->outcome[s];

        is_partial |= (outcome->latency_known > 0 && outcome->latency_known < 1) ||
                      (outcome->throughput_known > 0 && outcome->throughput_known < 1);
        if (outcome->refusal.n > 0 && (s == 0 || result->outcome[s - 1].refusal.n == 0)) {
            ctl_print_styled(ctl, CTL_BAD, SB_SLICE_LIT("refused: "));
            ctl_print_styled(ctl, CTL_PLAIN, outcome->refusal);
            ctl_print(ctl, "\n");
        }
    }
    if (sorts_without_data(simulate, result))
        ctl_print(ctl, "no data: --tables FILE says what is measured; what nobody has measured "
                       "is drawn by price\n");
    if (is_partial)
        ctl_print(ctl, "* the mean of those requests whose endpoint has been measured\n");
}

void ctl_simulate_show(const struct ctl_simulate *simulate)
{
    const struct ctl_workload *workload = &simulate->workload;
    struct ctl *ctl = simulate->ctl;
    struct sb_arena *arena = ctl->arena;

    ctl_print(ctl,
              "What %s USD buy: requests of %.*s prompt and %.*s completion tokens "
              "(%.*s simulated, seed %" PRIu64 ")\n",
              simulate->budget_text, SB_SLICE_ARGS(ctl_count_words(arena, workload->prompt_tokens)),
              SB_SLICE_ARGS(ctl_count_words(arena, workload->completion_tokens)),
              SB_SLICE_ARGS(ctl_count_words(arena, workload->requests)), workload->seed);
    for (uint32_t i = 0; i < simulate->n_results; i++) {
        const struct ctl_simulated *result = &simulate->results[i];
        bool any = false;

        ctl_print(ctl, "\n");
        ctl_print_styled(ctl, CTL_BOLD, result->model->row->id);
        ctl_print(ctl, "\n");
        for (unsigned s = 0; s < simulate->n_strategies; s++)
            any |= result->outcome[s].requests > 0;
        if (any) {
            show_strategies(simulate, result);
            show_endpoints(simulate, result);
        }
        show_remarks(simulate, result);
    }
}

/* --- for programs ------------------------------------------------------------------------- */

static void add_number(struct sb_json *json, const char *name, double number, bool is_known)
{
    if (is_known)
        sb_json_add_double(json, name, number);
    else
        sb_json_add_null(json, name);
}

static void put_endpoint(struct sb_json *json, const struct ctl_simulate *simulate,
                         const struct ctl_simulated *result, unsigned at, struct place place)
{
    const struct ctl_outcome *outcome = &result->outcome[at];
    const struct dp_endpoint *endpoint = &endpoints_of(simulate, result)[place.at];
    const struct dp_row *row = row_of(simulate, endpoint);
    char text[SB_MONEY_TEXT_MAX];
    size_t n = sb_money_format(place.price, text);

    sb_json_open_object(json);
    sb_json_add_text(json, "tag", endpoint->row->tag);
    sb_json_add_double(json, "share", share_of(outcome, place.at));
    sb_json_add_u64(json, "simulated", outcome->served[place.at].requests);
    sb_json_add_text(json, "price", sb_slice_make(text, n));
    add_number(json, "latency_ms", row->first_token[0], row->first_token[0] != MSG_NO_DATA);
    add_number(json, "throughput", row->throughput[0] / 1000.0, row->throughput[0] != MSG_NO_DATA);
    sb_json_close_object(json);
}

static void put_strategy(struct sb_json *json, const struct ctl_simulate *simulate,
                         const struct ctl_simulated *result, unsigned at)
{
    const struct ctl_outcome *outcome = &result->outcome[at];
    struct place *places = sort_places(simulate->ctl, result);
    bool is_served = outcome->requests > 0;
    uint64_t n;

    sb_json_open_object(json);
    sb_json_add_text(json, "strategy", sb_slice_of(ctl_strategy_name(simulate->strategies[at])));
    if (outcome->refusal.n > 0)
        sb_json_add_text(json, "refusal", outcome->refusal);
    else
        sb_json_add_null(json, "refusal");
    if (is_served && ctl_outcome_affords(outcome, result->model->n, simulate->budget, &n))
        sb_json_add_u64(json, "requests", n);
    else
        sb_json_add_null(json, "requests");
    add_number(json, "mean_price", outcome->mean_price, is_served);
    add_number(json, "mean_latency_ms", outcome->mean_latency, outcome->latency_known > 0);
    add_number(json, "mean_throughput", outcome->mean_throughput, outcome->throughput_known > 0);
    sb_json_add_double(json, "latency_known", outcome->latency_known);
    sb_json_add_double(json, "throughput_known", outcome->throughput_known);
    sb_json_add_array(json, "endpoints");
    for (uint32_t i = 0; i < result->model->n; i++)
        put_endpoint(json, simulate, result, at, places[i]);
    sb_json_close_array(json);
    sb_json_close_object(json);
}

static void put_all(struct sb_json *json, const struct ctl_simulate *simulate)
{
    const struct ctl_workload *workload = &simulate->workload;

    sb_json_open_object(json);
    sb_json_add_text(json, "budget", sb_slice_of(simulate->budget_text));
    sb_json_add_u64(json, "prompt_tokens", workload->prompt_tokens);
    sb_json_add_u64(json, "completion_tokens", workload->completion_tokens);
    sb_json_add_u64(json, "simulated", workload->requests);
    sb_json_add_u64(json, "seed", workload->seed);
    sb_json_add_array(json, "models");
    for (uint32_t i = 0; i < simulate->n_results; i++) {
        sb_json_open_object(json);
        sb_json_add_text(json, "model", simulate->results[i].model->row->id);
        sb_json_add_array(json, "strategies");
        for (unsigned s = 0; s < simulate->n_strategies; s++)
            put_strategy(json, simulate, &simulate->results[i], s);
        sb_json_close_array(json);
        sb_json_close_object(json);
    }
    sb_json_close_array(json);
    sb_json_close_object(json);
}

void ctl_simulate_print(const struct ctl_simulate *simulate)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    SB_CLEANUP(sb_buf_release) struct sb_buf text;
    struct sb_json json;
    int rc;

    sb_buf_init(&text, CTL_OUT_MAX);
    sb_json_init(&json, &text);
    put_all(&json, simulate);
    rc = sb_json_end(&json);
    if (rc == SB_OK)
        rc = sb_json_read(sb_buf_slice(&text), CTL_OUT_MAX, &doc, NULL);
    if (rc == SB_OK)
        ctl_print_value(simulate->ctl, yyjson_doc_get_root(doc));
    else
        (void)ctl_fail(simulate->ctl, "cannot show the result: %s", sb_err_str(rc));
}
