/* tests/sim/shape.c */
#include "tests/sim/shape.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/json.h"
#include "tests/sim/behaviour.h"
#include "tests/sim/message.h"
#include "tests/sim/request.h"
#include "tests/sim/rng.h"

#define FINGERPRINT "fp_simulated"

/* 16 hexadecimal digits that look like an id and follow from the number. */
static uint64_t scramble(uint64_t number)
{
    struct sim_rng rng = {.state = number};

    return sim_rng_next(&rng);
}

void sim_shape_init(struct sim_shape *shape, struct sb_arena *arena)
{
    const struct sim_behaviour *behaviour = shape->behaviour;
    bool chat = shape->request->kind == SIM_CHAT;
    bool usage_is_null = behaviour->null_usage || (shape->request->include_usage &&
                                                   !behaviour->no_usage && !behaviour->compact);
    const char *more = "";

    if (behaviour->compact)
        shape->id = sb_arena_printf(arena, "c%" PRIu64, shape->number);
    else
        shape->id = sb_arena_printf(arena, "%s-%016" PRIx64, chat ? "chatcmpl" : "cmpl",
                                    scramble(shape->number));
    if (!shape->request->stream)
        return;
    if (behaviour->null_usage)
        more = "\"system_fingerprint\":null,";
    else if (!behaviour->compact)
        more = "\"service_tier\":\"default\",\"system_fingerprint\":\"" FINGERPRINT "\",";
    shape->prefix = sb_arena_printf(
        arena,
        "data: {\"id\":\"%.*s\",\"object\":\"%s\",\"created\":%" PRId64 ",\"model\":%.*s,%s"
        "\"choices\":[",
        SB_SLICE_ARGS(shape->id), chat ? "chat.completion.chunk" : "text_completion",
        shape->created, SB_SLICE_ARGS(shape->request->model), more);
    shape->suffix = usage_is_null ? SB_SLICE_LIT("],\"usage\":null}\n\n") : SB_SLICE_LIT("]}\n\n");
}

/* --- usage ------------------------------------------------------------------ */

static void put_usage(const struct sim_shape *shape, struct sb_json *json)
{
    const struct sim_message *message = shape->message;
    int64_t completion = sim_message_tokens(message) * shape->request->n;

    sb_json_open_object(json);
    sb_json_add_i64(json, "prompt_tokens", message->reported_prompt);
    sb_json_add_i64(json, "completion_tokens", completion);
    sb_json_add_i64(json, "total_tokens", message->reported_prompt + completion);
    if (!shape->behaviour->compact || message->reported_cached > 0) {
        sb_json_add_object(json, "prompt_tokens_details");
        sb_json_add_i64(json, "cached_tokens", message->reported_cached);
        sb_json_add_i64(json, "audio_tokens", 0);
        sb_json_close_object(json);
    }
    if (!shape->behaviour->compact || message->reasoning.count > 0) {
        sb_json_add_object(json, "completion_tokens_details");
        sb_json_add_i64(json, "reasoning_tokens", message->reasoning.count * shape->request->n);
        sb_json_add_i64(json, "audio_tokens", 0);
        sb_json_add_i64(json, "accepted_prediction_tokens", 0);
        sb_json_add_i64(json, "rejected_prediction_tokens", 0);
        sb_json_close_object(json);
    }
    sb_json_close_object(json);
}

/* --- whole ------------------------------------------------------------------- */

/* A member whose value is a text of tokens, or null when there are none. */
static int add_tokens(struct sb_json *json, const char *name, const struct sim_text *text)
{
    struct sb_buf *out = json->out;
    int rc;

    if (text == NULL) {
        sb_json_add_null(json, name);
        return SB_OK;
    }
    /* Through the writer for the comma and the name; the text itself is
     * escaped already and may be far larger than one would like to hold twice. */
    sb_json_add_raw(json, name, SB_SLICE_LIT("\""));
    rc = sim_text_write(text, out);
    if (rc == SB_OK)
        rc = sb_buf_append_byte(out, '"');
    return rc;
}

static struct sb_slice call_id(const struct sim_shape *shape, int64_t choice, char text[32])
{
    int n = snprintf(text, 32, "call_%016" PRIx64,
                     scramble(shape->number * SIM_N_MAX + (uint64_t)choice));

    return sb_slice_make(text, (size_t)n);
}

static int put_tool_calls(const struct sim_shape *shape, struct sb_json *json, int64_t choice)
{
    char id[32];
    int rc;

    sb_json_add_array(json, "tool_calls");
    sb_json_open_object(json);
    sb_json_add_text(json, "id", call_id(shape, choice, id));
    sb_json_add_text(json, "type", SB_SLICE_LIT("function"));
    sb_json_add_object(json, "function");
    sb_json_add_raw(json, "name", shape->message->tool_name);
    rc = add_tokens(json, "arguments", &shape->message->says);
    sb_json_close_object(json);
    sb_json_close_object(json);
    sb_json_close_array(json);
    return rc;
}

static int put_message(const struct sim_shape *shape, struct sb_json *json, int64_t choice)
{
    const struct sim_message *message = shape->message;
    enum sim_says how = message->how;
    int rc = SB_OK;

    sb_json_add_object(json, "message");
    sb_json_add_text(json, "role", SB_SLICE_LIT("assistant"));
    if (message->reasoning.count > 0)
        rc = add_tokens(json, "reasoning_content", &message->reasoning);
    if (rc == SB_OK)
        rc = add_tokens(json, "content", how == SIM_SAYS_CONTENT ? &message->says : NULL);
    if (rc == SB_OK && how == SIM_SAYS_TOOL)
        rc = put_tool_calls(shape, json, choice);
    if (rc == SB_OK && (how == SIM_SAYS_REFUSAL || !shape->behaviour->compact))
        rc = add_tokens(json, "refusal", how == SIM_SAYS_REFUSAL ? &message->says : NULL);
    if (!shape->behaviour->compact && how != SIM_SAYS_TOOL) {
        sb_json_add_array(json, "annotations");
        sb_json_close_array(json);
    }
    sb_json_close_object(json);
    return rc;
}

static int put_choice(const struct sim_shape *shape, struct sb_json *json, int64_t choice)
{
    bool chat = shape->request->kind == SIM_CHAT;
    int rc;

    sb_json_open_object(json);
    sb_json_add_i64(json, "index", choice);
    rc = chat ? put_message(shape, json, choice) : add_tokens(json, "text", &shape->message->says);
    if (!chat || !shape->behaviour->compact)
        sb_json_add_null(json, "logprobs");
    sb_json_add_text(json, "finish_reason", sb_slice_of(shape->message->finish));
    sb_json_close_object(json);
    return rc;
}

int sim_shape_whole(const struct sim_shape *shape, struct sb_buf *out)
{
    bool chat = shape->request->kind == SIM_CHAT;
    struct sb_json json;
    int rc = SB_OK, end;

    sb_json_init(&json, out);
    sb_json_open_object(&json);
    sb_json_add_text(&json, "id", shape->id);
    sb_json_add_text(&json, "object",
                     chat ? SB_SLICE_LIT("chat.completion") : SB_SLICE_LIT("text_completion"));
    sb_json_add_i64(&json, "created", shape->created);
    sb_json_add_raw(&json, "model", shape->request->model);
    sb_json_add_array(&json, "choices");
    for (int64_t i = 0; i < shape->request->n && rc == SB_OK; i++)
        rc = put_choice(shape, &json, i);
    sb_json_close_array(&json);
    if (!shape->behaviour->no_usage) {
        sb_json_name(&json, SB_SLICE_LIT("usage"));
        put_usage(shape, &json);
    }
    if (!shape->behaviour->compact)
        sb_json_add_text(&json, "service_tier", SB_SLICE_LIT("default"));
    if (shape->behaviour->null_usage)
        sb_json_add_null(&json, "system_fingerprint");
    else if (!shape->behaviour->compact)
        sb_json_add_text(&json, "system_fingerprint", SB_SLICE_LIT(FINGERPRINT));
    sb_json_close_object(&json);
    end = sb_json_end(&json);
    return rc != SB_OK ? rc : end;
}

/* --- streamed ----------------------------------------------------------------- */

bool sim_shape_has_opening(const struct sim_shape *shape)
{
    return shape->request->kind == SIM_CHAT;
}

static int put_all(struct sb_buf *out, const struct sb_slice *parts, size_t n)
{
    size_t total = 0;
    char *at;
    int rc;

    for (size_t i = 0; i < n; i++)
        total += parts[i].n;
    rc = sb_buf_reserve(out, total);
    if (rc != SB_OK)
        return rc;
    at = sb_buf_end(out);
    for (size_t i = 0; i < n; i++) {
        if (parts[i].n > 0)
            memcpy(at, parts[i].p, parts[i].n);
        at += parts[i].n;
    }
    sb_buf_commit(out, total);
    return SB_OK;
}

struct index_text {
    char text[8];
    size_t n;
};

static struct sb_slice index_of(int64_t choice, struct index_text *index)
{
    index->n = 0;
    if (choice >= 100)
        index->text[index->n++] = (char)('0' + choice / 100);
    if (choice >= 10)
        index->text[index->n++] = (char)('0' + choice / 10 % 10);
    index->text[index->n++] = (char)('0' + choice % 10);
    return sb_slice_make(index->text, index->n);
}

/* What closes a delta or text and its choice, while the choice goes on. */
static struct sb_slice open_end(const struct sim_shape *shape)
{
    return shape->behaviour->compact && shape->request->kind == SIM_CHAT
               ? SB_SLICE_LIT(",\"finish_reason\":null}")
               : SB_SLICE_LIT(",\"logprobs\":null,\"finish_reason\":null}");
}

static int put_opening_of_tool(const struct sim_shape *shape, int64_t choice, struct sb_buf *out)
{
    struct index_text index;
    char id[32];
    const struct sb_slice parts[] = {
        shape->prefix,
        SB_SLICE_LIT("{\"index\":"),
        index_of(choice, &index),
        SB_SLICE_LIT(",\"delta\":{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{"
                     "\"index\":0,\"id\":\""),
        call_id(shape, choice, id),
        SB_SLICE_LIT("\",\"type\":\"function\",\"function\":{\"name\":"),
        shape->message->tool_name,
        SB_SLICE_LIT(",\"arguments\":\"\"}}]"),
        shape->behaviour->compact ? SB_SLICE_LIT("}") : SB_SLICE_LIT(",\"refusal\":null}"),
        open_end(shape),
        shape->suffix,
    };

    return put_all(out, parts, SB_ARRAY_LEN(parts));
}

int sim_shape_opening(const struct sim_shape *shape, int64_t choice, struct sb_buf *out)
{
    struct index_text index;
    struct sb_slice delta = SB_SLICE_LIT(",\"delta\":{\"role\":\"assistant\",\"content\":\"\","
                                         "\"refusal\":null}");

    if (shape->message->how == SIM_SAYS_TOOL)
        return put_opening_of_tool(shape, choice, out);
    if (shape->behaviour->role_only_first)
        delta = SB_SLICE_LIT(",\"delta\":{\"role\":\"assistant\"}");
    else if (shape->behaviour->compact)
        delta = SB_SLICE_LIT(",\"delta\":{\"role\":\"assistant\",\"content\":\"\"}");
    const struct sb_slice parts[] = {
        shape->prefix,
        SB_SLICE_LIT("{\"index\":"),
        index_of(choice, &index),
        delta,
        open_end(shape),
        shape->suffix,
    };
    return put_all(out, parts, SB_ARRAY_LEN(parts));
}

/* What stands before and after the token in its choice. */
struct wrapping {
    struct sb_slice before, after;
};

static struct wrapping wrapping_of(const struct sim_shape *shape, bool reasoning)
{
    if (shape->request->kind == SIM_COMPLETION)
        return (struct wrapping){SB_SLICE_LIT(",\"text\":\""), SB_SLICE_LIT("\"")};
    if (reasoning)
        return (struct wrapping){SB_SLICE_LIT(",\"delta\":{\"reasoning_content\":\""),
                                 SB_SLICE_LIT("\"}")};
    switch (shape->message->how) {
    case SIM_SAYS_TOOL:
        return (struct wrapping){
            SB_SLICE_LIT(",\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\""),
            SB_SLICE_LIT("\"}}]}")};
    case SIM_SAYS_REFUSAL:
        return (struct wrapping){SB_SLICE_LIT(",\"delta\":{\"refusal\":\""), SB_SLICE_LIT("\"}")};
    case SIM_SAYS_CONTENT:
        break;
    }
    return (struct wrapping){SB_SLICE_LIT(",\"delta\":{\"content\":\""), SB_SLICE_LIT("\"}")};
}

int sim_shape_token(const struct sim_shape *shape, int64_t choice, int64_t token,
                    struct sb_buf *out)
{
    const struct sim_message *message = shape->message;
    bool reasoning = token < message->reasoning.count;
    struct wrapping wrapping = wrapping_of(shape, reasoning);
    struct index_text index;
    const struct sb_slice parts[] = {
        shape->prefix,
        SB_SLICE_LIT("{\"index\":"),
        index_of(choice, &index),
        wrapping.before,
        reasoning ? sim_text_token(&message->reasoning, token)
                  : sim_text_token(&message->says, token - message->reasoning.count),
        wrapping.after,
        open_end(shape),
        shape->suffix,
    };

    return put_all(out, parts, SB_ARRAY_LEN(parts));
}

int sim_shape_finish(const struct sim_shape *shape, int64_t choice, struct sb_buf *out)
{
    bool chat = shape->request->kind == SIM_CHAT;
    struct index_text index;
    const struct sb_slice parts[] = {
        shape->prefix,
        SB_SLICE_LIT("{\"index\":"),
        index_of(choice, &index),
        chat ? SB_SLICE_LIT(",\"delta\":{}") : SB_SLICE_LIT(",\"text\":\"\""),
        chat && shape->behaviour->compact ? SB_SLICE_LIT(",\"finish_reason\":\"")
                                          : SB_SLICE_LIT(",\"logprobs\":null,\"finish_reason\":\""),
        sb_slice_of(shape->message->finish),
        SB_SLICE_LIT("\"}"),
        shape->suffix,
    };

    return put_all(out, parts, SB_ARRAY_LEN(parts));
}

int sim_shape_usage(const struct sim_shape *shape, struct sb_buf *out)
{
    struct sb_json json;
    int rc =
        put_all(out, (const struct sb_slice[]){shape->prefix, SB_SLICE_LIT("],\"usage\":")}, 2);

    if (rc != SB_OK)
        return rc;
    sb_json_init(&json, out);
    put_usage(shape, &json);
    rc = sb_json_end(&json);
    return rc != SB_OK ? rc : sb_buf_append_text(out, "}\n\n");
}
