/* controlplane/ctl/cmd_explain.c - what a live worker would do with a request. */
#include <unistd.h>

#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/input.h"
#include "controlplane/ctl/show.h"

enum { REQUEST_MAX = 33 << 20 };

/* --- the funnel ------------------------------------------------------------------ */

static void add_step(struct ctl *ctl, struct ctl_table *table, yyjson_val *step)
{
    struct sb_slice name = ctl_member_text(step, "step");
    struct sb_slice left = ctl_words(ctl->arena, yyjson_obj_get(step, "left"), CTL_SHOW_COUNT, 0);
    yyjson_val *removed = yyjson_obj_get(step, "removed"), *one;
    yyjson_arr_iter iter = yyjson_arr_iter_with(removed);
    bool is_first = true;

    if (yyjson_arr_size(removed) == 0) {
        ctl_table_add(table, CTL_BOLD, name);
        ctl_table_add(table, CTL_PLAIN, SB_SLICE_NONE);
        ctl_table_add(table, CTL_PLAIN, SB_SLICE_NONE);
        ctl_table_add(table, CTL_BOLD, left);
        return;
    }
    while ((one = yyjson_arr_iter_next(&iter)) != NULL) {
        ctl_table_add(table, CTL_BOLD, is_first ? name : SB_SLICE_NONE);
        ctl_table_add(
            table, CTL_BAD,
            sb_arena_printf(ctl->arena, "- %.*s", SB_SLICE_ARGS(ctl_member_text(one, "endpoint"))));
        ctl_table_add(table, CTL_PLAIN, ctl_member_text(one, "reason"));
        ctl_table_add(table, CTL_BOLD, is_first ? left : SB_SLICE_NONE);
        is_first = false;
    }
    if (yyjson_obj_get(step, "more") != NULL) {
        ctl_table_add(table, CTL_PLAIN, SB_SLICE_NONE);
        ctl_table_add(
            table, CTL_DIM,
            sb_arena_printf(ctl->arena, "- and %llu more",
                            (unsigned long long)yyjson_get_uint(yyjson_obj_get(step, "more"))));
        ctl_table_add(table, CTL_PLAIN, SB_SLICE_NONE);
        ctl_table_add(table, CTL_PLAIN, SB_SLICE_NONE);
    }
}

static void show_no_steps(struct ctl *ctl, yyjson_val *endpoints)
{
    if (yyjson_get_uint(endpoints) == 0)
        ctl_print(ctl, "\nNo provider serves it: the catalogue has no endpoint of the model.\n");
    else if (yyjson_get_uint(endpoints) == 1)
        ctl_print(ctl, "\nNo rule removes the one endpoint.\n");
    else
        ctl_print(ctl, "\nNo rule removes any of the %.*s endpoints.\n",
                  SB_SLICE_ARGS(ctl_words(ctl->arena, endpoints, CTL_SHOW_COUNT, 0)));
}

static void show_funnel(struct ctl *ctl, yyjson_val *funnel)
{
    static const struct ctl_column columns[] = {{"RULE", false, false, 0},
                                                {"REMOVES", false, true, 0},
                                                {"BECAUSE", false, true, 0},
                                                {"LEFT", true, false, 0}};
    struct ctl_table *table = ctl_table_new(ctl->arena, columns, SB_ARRAY_LEN(columns));
    yyjson_arr_iter iter = yyjson_arr_iter_with(funnel);
    yyjson_val *step;

    if (yyjson_arr_size(funnel) == 1) { /* the models themselves */
        show_no_steps(ctl, yyjson_obj_get(yyjson_arr_get_first(funnel), "left"));
        return;
    }
    while ((step = yyjson_arr_iter_next(&iter)) != NULL)
        add_step(ctl, table, step);
    ctl_print(ctl, "\n");
    ctl_print_table(ctl, table);
}

/* --- the order ---------------------------------------------------------------------- */

/* Why a candidate ranks behind, and what would be cut from the request there. */
static struct sb_slice note(struct ctl *ctl, yyjson_val *candidate)
{
    yyjson_val *dropped = yyjson_obj_get(candidate, "dropped_parameters");
    const char *behind =
        yyjson_is_true(yyjson_obj_get(candidate, "misses_context"))      ? "context may not fit"
        : yyjson_is_true(yyjson_obj_get(candidate, "misses_preference")) ? "misses a preference"
                                                                         : "";

    if (dropped == NULL)
        return sb_slice_of(behind);
    return sb_arena_printf(ctl->arena, "%s%sdrops %.*s", behind, *behind != '\0' ? "; " : "",
                           SB_SLICE_ARGS(ctl_words(ctl->arena, dropped, CTL_SHOW_TEXT, 0)));
}

static enum ctl_style health_style(struct sb_slice health)
{
    return sb_slice_is(health, "good") ? CTL_GOOD : CTL_WARN;
}

/* "house", or which of the own keys. */
static struct sb_slice which_key(struct ctl *ctl, yyjson_val *candidate)
{
    struct sb_slice kind = ctl_member_text(candidate, "credential");
    yyjson_val *sequence = yyjson_obj_get(candidate, "sequence");

    if (sequence == NULL)
        return kind;
    return sb_arena_printf(ctl->arena, "%.*s %llu", SB_SLICE_ARGS(kind),
                           (unsigned long long)yyjson_get_uint(sequence));
}

static void add_candidate(struct ctl *ctl, struct ctl_table *table, yyjson_val *one, unsigned place)
{
    struct sb_slice health = ctl_member_text(one, "health");

    ctl_table_add(table, CTL_DIM, sb_arena_printf(ctl->arena, "%u", place));
    ctl_table_add(table, CTL_NAME, ctl_member_text(one, "endpoint"));
    ctl_table_add(table, CTL_PLAIN, ctl_member_text(one, "model"));
    ctl_table_add(table, CTL_PLAIN, which_key(ctl, one));
    ctl_table_add(table, health_style(health), health);
    ctl_table_add(table, CTL_PLAIN,
                  ctl_words(ctl->arena, yyjson_obj_get(one, "group"), CTL_SHOW_COUNT, 0));
    ctl_table_add(
        table, CTL_PLAIN,
        sb_arena_printf(ctl->arena, "%.4f", yyjson_get_num(yyjson_obj_get(one, "cost")) * 1000));
    ctl_table_add(
        table, CTL_PLAIN,
        sb_arena_printf(ctl->arena, "%.3g", yyjson_get_num(yyjson_obj_get(one, "weight"))));
    ctl_table_add(table, CTL_BOLD,
                  ctl_words(ctl->arena, yyjson_obj_get(one, "share"), CTL_SHOW_PERCENT, 0));
    ctl_table_add(table, CTL_WARN, note(ctl, one));
}

static void show_order(struct ctl *ctl, yyjson_val *order, bool only_first)
{
    static const struct ctl_column columns[] = {
        {"#", true, false, 0},      {"ENDPOINT", false, false, 0}, {"MODEL", false, true, 0},
        {"KEY", false, false, 0},   {"HEALTH", false, false, 0},   {"GROUP", true, false, 0},
        {"$/1000", true, false, 0}, {"WEIGHT", true, false, 0},    {"SHARE", true, false, 0},
        {"NOTE", false, true, 0},
    };
    struct ctl_table *table = ctl_table_new(ctl->arena, columns, SB_ARRAY_LEN(columns));
    yyjson_arr_iter iter = yyjson_arr_iter_with(order);
    yyjson_val *one;
    unsigned place = 0;

    ctl_print(ctl, "\n");
    ctl_print_styled(ctl, CTL_BOLD, SB_SLICE_LIT("Would be tried in this order"));
    ctl_print(ctl, " (groups one after the other, inside a group drawn by share)\n");
    while ((one = yyjson_arr_iter_next(&iter)) != NULL)
        add_candidate(ctl, table, one, ++place);
    ctl_print_table(ctl, table);
    if (only_first)
        ctl_print(ctl, "allow_fallbacks is false: no other endpoint would be tried.\n");
}

/* --- what to relax ---------------------------------------------------------------------- */

static void show_relax(struct ctl *ctl, yyjson_val *relax)
{
    yyjson_arr_iter iter = yyjson_arr_iter_with(relax);
    yyjson_val *way;

    if (yyjson_arr_size(relax) == 0)
        return;
    ctl_print(ctl, "\n");
    ctl_print_styled(ctl, CTL_BOLD, SB_SLICE_LIT("To let more in, relax"));
    ctl_print(ctl, "\n");
    while ((way = yyjson_arr_iter_next(&iter)) != NULL) {
        struct sb_slice rules =
            ctl_words(ctl->arena, yyjson_obj_get(way, "rules"), CTL_SHOW_TEXT, 0);
        struct sb_slice endpoints =
            ctl_words(ctl->arena, yyjson_obj_get(way, "endpoints"), CTL_SHOW_TEXT, 0);

        ctl_print(ctl, "  ");
        ctl_print_styled(ctl, CTL_WARN, rules);
        ctl_print(ctl, "  →  ");
        ctl_print_styled(ctl, CTL_NAME, endpoints);
        ctl_print(ctl, "\n");
    }
}

static void show_warnings(struct ctl *ctl, yyjson_val *warnings)
{
    yyjson_arr_iter iter = yyjson_arr_iter_with(warnings);
    yyjson_val *one;

    if (yyjson_arr_size(warnings) > 0)
        ctl_print(ctl, "\n");
    while ((one = yyjson_arr_iter_next(&iter)) != NULL) {
        ctl_print_styled(ctl, CTL_WARN, SB_SLICE_LIT("warning: "));
        ctl_print_styled(ctl, CTL_PLAIN, sb_json_text(one));
        ctl_print(ctl, "\n");
    }
}

static void show_decision(struct ctl *ctl, yyjson_val *decision)
{
    struct sb_slice revision =
        ctl_words(ctl->arena, ctl_member(decision, "snapshot.revision"), CTL_SHOW_TEXT, 0);

    ctl_print_styled(ctl, CTL_NAME, ctl_member_text(decision, "requested"));
    ctl_print(ctl, " (%.*s), tokens: about %.0f in and %.0f out, revision %.*s%s\n",
              SB_SLICE_ARGS(ctl_member_text(decision, "strategy")),
              yyjson_get_num(ctl_member(decision, "expected.prompt_tokens")),
              yyjson_get_num(ctl_member(decision, "expected.completion_tokens")),
              SB_SLICE_ARGS(revision),
              yyjson_is_true(yyjson_obj_get(decision, "sticky")) ? ", sticky" : "");
    show_funnel(ctl, yyjson_obj_get(decision, "funnel"));
    show_order(ctl, yyjson_obj_get(decision, "order"),
               yyjson_is_true(yyjson_obj_get(decision, "only_first")));
    show_relax(ctl, yyjson_obj_get(decision, "relax"));
    show_warnings(ctl, yyjson_obj_get(decision, "warnings"));
}

static void show_refusal(struct ctl *ctl, yyjson_val *error)
{
    ctl_print_styled(ctl, CTL_BAD, SB_SLICE_LIT("refused: "));
    ctl_print_styled(ctl, CTL_PLAIN, ctl_member_text(error, "message"));
    ctl_print(ctl, "\n");
    show_funnel(ctl, ctl_member(error, "metadata.funnel"));
    show_relax(ctl, ctl_member(error, "metadata.relax"));
    show_warnings(ctl, ctl_member(error, "metadata.warnings"));
}

/* --- the command ---------------------------------------------------------------------------- */

/* The least that can be asked about a model. */
static int make_request(struct ctl *ctl, const char *model, struct sb_buf *body)
{
    struct sb_json json;

    (void)ctl;
    sb_json_init(&json, body);
    sb_json_open_object(&json);
    sb_json_add_text(&json, "model", sb_slice_of(model));
    sb_json_add_array(&json, "messages");
    sb_json_open_object(&json);
    sb_json_add_text(&json, "role", SB_SLICE_LIT("user"));
    sb_json_add_text(&json, "content", SB_SLICE_LIT("Hello"));
    sb_json_close_object(&json);
    sb_json_close_array(&json);
    sb_json_close_object(&json);
    return sb_json_end(&json) == SB_OK ? CTL_DONE : ctl_fail(ctl, "this model's name is too long");
}

static int get_request(struct ctl *ctl, struct sb_buf *body)
{
    const char *path = ctl_flag(ctl, "file"), *model = ctl_flag(ctl, "model");
    int status = CTL_DONE;

    if (path != NULL && model != NULL)
        return ctl_misuse(ctl, "either -f FILE or --model, not both");
    if (model != NULL)
        return make_request(ctl, model, body);
    if (path != NULL || isatty(STDIN_FILENO) == 0)
        status = ctl_input_read(ctl, path != NULL ? path : "-", body);
    if (status == CTL_DONE && sb_buf_slice(body).n == 0)
        return ctl_misuse(ctl, "explain wants -f FILE, --model NAME, or a request on its input");
    return status;
}

int ctl_run_explain(struct ctl *ctl)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf body;
    struct ctl_query query = {.ctl = ctl};
    struct ctl_request request = {.method = "POST", .content_type = "application/json"};
    yyjson_val *decision = NULL, *error;
    int status;

    sb_buf_init(&body, REQUEST_MAX);
    status = get_request(ctl, &body);
    if (status != CTL_DONE)
        return status;
    ctl_query_add(&query, "key", ctl_flag(ctl, "key"));
    ctl_query_add(&query, "worker", ctl_flag(ctl, "worker"));
    request.path = ctl_query_path(&query, "/admin/v1/explain");
    request.body = sb_buf_slice(&body);
    status = ctl_call(ctl, &request, &decision);
    if (status != CTL_DONE)
        return status;
    error = yyjson_obj_get(decision, "error");
    if (ctl->format != CTL_AS_TABLE)
        ctl_print_value(ctl, decision);
    else if (error != NULL)
        show_refusal(ctl, error);
    else
        show_decision(ctl, decision);
    return error == NULL ? CTL_DONE : CTL_FAILED;
}
