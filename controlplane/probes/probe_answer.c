/* controlplane/probes/probe_answer.c */
#include "controlplane/probes/probe_answer.h"

#include "common/err.h"
#include "common/json.h"

enum {
    /* More than that a probe cannot use: a number beyond is none. */
    TOKENS_MAX = 100000,
    /* A rate of fewer tokens, or of a shorter time, measures the network. */
    RATE_TOKENS = 4,
    RATE_MSEC = 5,
    PROMPT_BYTES_PER_TOKEN = 4,
};

void cp_probe_answer_init(struct cp_probe_answer *answer)
{
    *answer = (struct cp_probe_answer){.bytes = 0};
    sb_sse_init(&answer->sse, CP_PROBE_EVENT_MAX);
}

void cp_probe_answer_release(struct cp_probe_answer *answer)
{
    sb_sse_release(&answer->sse);
}

/* --- usage ----------------------------------------------------------------------------- */

static bool get_count(yyjson_val *object, const char *name, uint64_t *ret_count)
{
    uint64_t count = 0;
    int rc = sb_json_get_u64(object, name, &count);

    if (rc == SB_ENOENT)
        return true;
    if (rc != SB_OK || count > TOKENS_MAX)
        return false;
    *ret_count = count;
    return true;
}

static void read_usage(struct cp_probe_answer *answer, yyjson_val *object)
{
    struct msg_usage usage = {.source = MSG_USAGE_SOURCE_PROVIDER};
    yyjson_val *prompt = yyjson_obj_get(object, "prompt_tokens_details");
    yyjson_val *completion = yyjson_obj_get(object, "completion_tokens_details");

    if (!yyjson_is_obj(object) || !get_count(object, "prompt_tokens", &usage.prompt_tokens) ||
        !get_count(object, "completion_tokens", &usage.completion_tokens))
        return;
    if (yyjson_is_obj(prompt) && !get_count(prompt, "cached_tokens", &usage.cached_tokens))
        return;
    if (yyjson_is_obj(completion) &&
        !get_count(completion, "reasoning_tokens", &usage.reasoning_tokens))
        return;
    answer->usage = usage;
}

/* --- content ---------------------------------------------------------------------------- */

/* Bytes of what a delta says, whatever kind it is: text, reasoning, a refusal,
 * tool calls; the role says nothing. */
static size_t content_of(yyjson_val *delta)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(delta);
    yyjson_val *name;
    size_t n = 0;

    while ((name = yyjson_obj_iter_next(&iter)) != NULL) {
        yyjson_val *value = yyjson_obj_iter_get_val(name);

        if (sb_slice_is(sb_json_text(name), "role"))
            continue;
        if (yyjson_is_str(value))
            n += yyjson_get_len(value);
        else if (yyjson_is_ctn(value) && unsafe_yyjson_get_len(value) > 0)
            n += 1; /* it is there; what it holds nobody reads */
    }
    return n;
}

static void note_content(struct cp_probe_answer *answer, size_t bytes, sb_msec at)
{
    if (!answer->has_content)
        answer->first_at = at;
    answer->has_content = true;
    answer->last_at = at;
    if (bytes > 0) {
        answer->pieces++;
        answer->content_bytes += bytes;
    }
}

static void read_choices(struct cp_probe_answer *answer, yyjson_val *choices, sb_msec at)
{
    yyjson_arr_iter iter = yyjson_arr_iter_with(choices);
    yyjson_val *choice;

    while ((choice = yyjson_arr_iter_next(&iter)) != NULL) {
        size_t bytes = content_of(yyjson_obj_get(choice, "delta"));
        bool is_last = yyjson_get_len(yyjson_obj_get(choice, "finish_reason")) > 0;

        if (bytes > 0 || (is_last && !answer->has_content))
            note_content(answer, bytes, at);
        answer->is_finished = answer->is_finished || is_last;
    }
}

/* False: it is an error, or too deep. */
static bool read_event(struct cp_probe_answer *answer, struct sb_slice data, sb_msec at)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    yyjson_val *root;

    if (sb_json_read(data, CP_PROBE_EVENT_MAX, &doc, NULL) != SB_OK)
        return true; /* as in workers: dropped, the stream goes on */
    root = yyjson_doc_get_root(doc);
    if (yyjson_is_obj(yyjson_obj_get(root, "error")))
        return false;
    read_choices(answer, yyjson_obj_get(root, "choices"), at);
    read_usage(answer, yyjson_obj_get(root, "usage"));
    return true;
}

int cp_probe_answer_take(struct cp_probe_answer *answer, struct sb_slice bytes, sb_msec at)
{
    struct sb_sse_event event;
    int rc = SB_OK;

    answer->bytes += bytes.n;
    answer->is_bad = answer->is_bad || answer->bytes > CP_PROBE_ANSWER_MAX;
    while (!answer->is_bad && !answer->is_over) {
        rc = sb_sse_next(&answer->sse, &bytes, &event);
        if (rc == SB_EAGAIN)
            return SB_OK;
        if (rc != SB_OK)
            answer->is_bad = true;
        else if (event.has_data && sb_slice_is(event.data, "[DONE]"))
            answer->is_over = true;
        else if (event.has_data)
            answer->is_bad = !read_event(answer, event.data, at);
    }
    return answer->is_bad ? SB_EPARSE : SB_EEOF;
}

/* --- embeddings --------------------------------------------------------------------------- */

/* Numbers, or their bytes in base64. */
static bool has_embedding(yyjson_val *root)
{
    yyjson_val *first = yyjson_arr_get_first(yyjson_obj_get(root, "data"));
    yyjson_val *embedding = yyjson_obj_get(first, "embedding");

    if (yyjson_is_arr(embedding))
        return yyjson_is_num(yyjson_arr_get_first(embedding));
    return yyjson_is_str(embedding) && yyjson_get_len(embedding) > 0;
}

void cp_probe_answer_take_embedding(struct cp_probe_answer *answer, struct sb_slice text,
                                    sb_msec at)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    yyjson_val *root;

    answer->bytes += text.n;
    if (sb_json_read(text, CP_PROBE_EMBEDDING_MAX, &doc, NULL) != SB_OK)
        return;
    root = yyjson_doc_get_root(doc);
    read_usage(answer, yyjson_obj_get(root, "usage"));
    if (yyjson_is_obj(yyjson_obj_get(root, "error")) || !has_embedding(root))
        return;
    note_content(answer, 0, at);
    answer->is_finished = true;
}

/* --- the end ------------------------------------------------------------------------------ */

static void estimate_usage(struct cp_probe_answer *answer, uint64_t request_bytes)
{
    if (answer->usage.source == MSG_USAGE_SOURCE_PROVIDER)
        return;
    answer->usage = (struct msg_usage){
        .prompt_tokens = (request_bytes + PROMPT_BYTES_PER_TOKEN - 1) / PROMPT_BYTES_PER_TOKEN,
        .completion_tokens = answer->pieces,
        .source = MSG_USAGE_SOURCE_ESTIMATED,
    };
}

enum msg_outcome cp_probe_answer_end(struct cp_probe_answer *answer, uint64_t request_bytes)
{
    struct sb_sse_event event;

    /* the last event may lack its empty line */
    if (!answer->is_bad && !answer->is_over && sb_sse_finish(&answer->sse, &event) == SB_OK &&
        event.has_data) {
        if (sb_slice_is(event.data, "[DONE]"))
            answer->is_over = true;
        else
            answer->is_bad = !read_event(answer, event.data, answer->last_at);
    }
    estimate_usage(answer, request_bytes);
    if (!answer->has_content)
        return MSG_OUTCOME_BAD_ANSWER;
    return answer->is_finished && !answer->is_bad ? MSG_OUTCOME_SUCCESS : MSG_OUTCOME_STREAM_CUT;
}

uint32_t cp_probe_answer_throughput(const struct cp_probe_answer *answer)
{
    sb_msec span = answer->last_at - answer->first_at;
    uint64_t tokens = answer->usage.source == MSG_USAGE_SOURCE_PROVIDER
                          ? answer->usage.completion_tokens
                          : answer->pieces;

    if (!answer->has_content || answer->pieces < 2 || tokens < RATE_TOKENS || span < RATE_MSEC)
        return 0;
    /* The first token is not among those that were written in that time. */
    return (uint32_t)((tokens - 1) * 1000000 / span);
}

enum msg_outcome cp_probe_outcome_of_status(unsigned status)
{
    switch (status) {
    case 401:
    case 402:
    case 403:
        return MSG_OUTCOME_CREDENTIAL;
    case 404:
    case 405:
    case 410:
        return MSG_OUTCOME_NOT_OFFERED;
    case 408:
        return MSG_OUTCOME_SERVER_ERROR;
    case 409:
    case 425:
        return MSG_OUTCOME_BUSY;
    case 429:
        return MSG_OUTCOME_RATE_LIMITED;
    default:
        if (status >= 500)
            return MSG_OUTCOME_SERVER_ERROR;
        return status >= 400 ? MSG_OUTCOME_BAD_REQUEST : MSG_OUTCOME_BAD_ANSWER;
    }
}
