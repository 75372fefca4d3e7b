/* tests/sim/message.c */
#include "tests/sim/message.h"

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/json.h"
#include "tests/sim/behaviour.h"
#include "tests/sim/error.h"
#include "tests/sim/request.h"
#include "tests/sim/schema.h"
#include "tests/sim/world.h"

enum { JSON_MAX = 16 << 20 };

/* A JSON text that fits the schema, as tokens. */
static int say_schema(struct sim_text *text, yyjson_val *schema, yyjson_val *root,
                      struct sb_arena *arena)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf buf;
    struct sb_json json;

    sb_buf_init(&buf, JSON_MAX);
    sb_json_init(&json, &buf);
    if (schema != NULL) {
        sim_schema_write(&json, schema, root);
    } else {
        sb_json_open_object(&json);
        sb_json_close_object(&json);
    }
    if (sb_json_end(&json) != SB_OK)
        return SB_ENOMEM;
    *text = sim_text_split(arena, sb_buf_slice(&buf));
    return SB_OK;
}

/* --- tools ----------------------------------------------------------------- */

/* The tool that is to be called; NULL: there is none of that name. */
static yyjson_val *choose_tool(yyjson_val *tools, yyjson_val *choice)
{
    struct sb_slice wanted =
        sb_json_text(yyjson_obj_get(yyjson_obj_get(choice, "function"), "name"));
    yyjson_val *tool;
    size_t i, max;

    yyjson_arr_foreach(tools, i, max, tool)
    {
        yyjson_val *name = yyjson_obj_get(yyjson_obj_get(tool, "function"), "name");

        if (yyjson_is_str(name) && (wanted.n == 0 || sb_slice_eq(sb_json_text(name), wanted)))
            return tool;
    }
    return NULL;
}

static struct sb_slice quoted(struct sb_arena *arena, struct sb_slice text)
{
    struct sim_text escaped = sim_text_split(arena, text);
    size_t n = escaped.period > 0 ? escaped.ends[escaped.period - 1] : 0;

    return sb_arena_printf(arena, "\"%.*s\"", (int)n, n > 0 ? escaped.bytes : "");
}

/* After a tool's result the model talks, unless a call is demanded. */
static bool ends_in_tool_result(struct sb_slice messages)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;

    if (sb_json_read(messages, JSON_MAX, &doc, NULL) != SB_OK)
        return false;
    return yyjson_equals_str(yyjson_obj_get(yyjson_arr_get_last(yyjson_doc_get_root(doc)), "role"),
                             "tool");
}

static int say_tool(struct sim_message *message, const struct sim_request *request,
                    struct sb_arena *arena, struct sim_error *error)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *tools = NULL;
    SB_CLEANUP(sb_json_free) yyjson_doc *choice = NULL;
    yyjson_val *tool, *function, *schema;

    if (sb_json_read(request->tools, JSON_MAX, &tools, NULL) != SB_OK)
        return sim_error_set(error, 400, "tools", "Invalid 'tools'.");
    if (request->tool_choice.n > 0 &&
        sb_json_read(request->tool_choice, JSON_MAX, &choice, NULL) != SB_OK)
        return sim_error_set(error, 400, "tool_choice", "Invalid 'tool_choice'.");
    tool = choose_tool(yyjson_doc_get_root(tools), yyjson_doc_get_root(choice));
    if (tool == NULL)
        return sim_error_set(error, 400, "tools", "There is no such tool, or it has no name.");
    function = yyjson_obj_get(tool, "function");
    schema = yyjson_obj_get(function, "parameters");
    message->how = SIM_SAYS_TOOL;
    message->finish = "tool_calls";
    message->tool_name = quoted(arena, sb_json_text(yyjson_obj_get(function, "name")));
    if (say_schema(&message->says, schema, schema, arena) != SB_OK)
        return sim_error_set(error, 400, "tools", "The schema asks for too much.");
    return 0;
}

static bool wants_tool(const struct sim_request *request)
{
    bool named = request->tool_choice.n > 0 && request->tool_choice.p[0] == '{';

    if (request->tools.n == 0 || sb_slice_is(request->tool_choice, "\"none\""))
        return false;
    return named || sb_slice_is(request->tool_choice, "\"required\"") ||
           !ends_in_tool_result(request->messages);
}

/* --- structured output ------------------------------------------------------ */

/* True when the message is said; *status is 0 or that of an error. */
static bool say_format(struct sim_message *message, const struct sim_request *request,
                       struct sb_arena *arena, struct sim_error *error, int *status)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    yyjson_val *type, *schema;

    *status = 0;
    if (request->response_format.n == 0)
        return false;
    if (sb_json_read(request->response_format, JSON_MAX, &doc, NULL) != SB_OK) {
        *status = sim_error_set(error, 400, "response_format", "Invalid 'response_format'.");
        return true;
    }
    type = yyjson_obj_get(yyjson_doc_get_root(doc), "type");
    if (yyjson_equals_str(type, "json_object")) {
        message->says = sim_text_split(arena, SB_SLICE_LIT("{\"answer\": \"simulated\"}"));
        return true;
    }
    if (!yyjson_equals_str(type, "json_schema"))
        return false;
    schema = yyjson_obj_get(yyjson_obj_get(yyjson_doc_get_root(doc), "json_schema"), "schema");
    if (!yyjson_is_obj(schema))
        *status = sim_error_set(error, 400, "response_format.json_schema.schema",
                                "Missing required parameter: 'schema'.");
    else if (say_schema(&message->says, schema, schema, arena) != SB_OK)
        *status = sim_error_set(error, 400, "response_format", "The schema asks for too much.");
    return true;
}

/* --- all --------------------------------------------------------------------- */

static struct sim_text plain_text(const struct sim_behaviour *behaviour,
                                  const struct sim_world *world, struct sb_arena *arena,
                                  int64_t count)
{
    if (behaviour->token_bytes > 0)
        return sim_text_of_size(arena, (uint32_t)behaviour->token_bytes, count);
    return sim_words_text(world->words, count);
}

static void shorten(struct sim_message *message, int64_t max_tokens)
{
    if (max_tokens < 0 || sim_message_tokens(message) <= max_tokens)
        return;
    message->finish = "length";
    if (message->reasoning.count > max_tokens)
        message->reasoning.count = max_tokens;
    message->says.count = max_tokens - message->reasoning.count;
}

static void report_prompt(struct sim_message *message, const struct sim_request *request,
                          const struct sim_behaviour *behaviour)
{
    size_t bytes = request->messages.n + request->prompt.n + request->input.n;
    int64_t tokens = behaviour->prompt_tokens;

    if (tokens < 0)
        tokens = (int64_t)(bytes + 3) / 4;
    message->reported_prompt = tokens;
    message->reported_cached =
        behaviour->cached_tokens < tokens ? behaviour->cached_tokens : tokens;
}

int sim_message_make(struct sim_message *message, const struct sim_request *request,
                     const struct sim_behaviour *behaviour, const struct sim_world *world,
                     struct sb_arena *arena, struct sim_error *error)
{
    int status = 0;

    *message = (struct sim_message){.finish = "stop"};
    report_prompt(message, request, behaviour);
    message->reasoning = sim_words_text(world->words, behaviour->reasoning);
    if (request->kind == SIM_CHAT && wants_tool(request))
        status = say_tool(message, request, arena, error);
    else if (request->kind != SIM_CHAT || !say_format(message, request, arena, error, &status))
        message->says = behaviour->content != NULL
                            ? sim_text_split(arena, sb_slice_of(behaviour->content))
                            : plain_text(behaviour, world, arena, behaviour->tokens);
    if (status != 0)
        return status;
    if (behaviour->refusal && request->kind == SIM_CHAT && message->how == SIM_SAYS_CONTENT)
        message->how = SIM_SAYS_REFUSAL;
    shorten(message, request->max_tokens);
    if (behaviour->finish_reason != NULL)
        message->finish = behaviour->finish_reason;
    return 0;
}
