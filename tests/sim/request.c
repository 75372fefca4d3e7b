/* tests/sim/request.c */
#include "tests/sim/request.h"

#include "common/err.h"
#include "common/splice.h"
#include "tests/sim/error.h"

static bool ends_with(struct sb_slice text, struct sb_slice end)
{
    return text.n >= end.n && sb_slice_eq(sb_slice_from(text, text.n - end.n), end);
}

enum sim_kind sim_kind_of(struct sb_slice path, struct sb_slice *ret_model)
{
    struct sb_slice models = SB_SLICE_LIT("/v1/models/");

    if (ends_with(path, SB_SLICE_LIT("/chat/completions")))
        return SIM_CHAT;
    if (ends_with(path, SB_SLICE_LIT("/completions")))
        return SIM_COMPLETION;
    if (ends_with(path, SB_SLICE_LIT("/embeddings")))
        return SIM_EMBEDDINGS;
    if (ends_with(path, SB_SLICE_LIT("/models")))
        return SIM_MODEL_LIST;
    if (sb_slice_starts_with(path, models) && path.n > models.n) {
        *ret_model = sb_slice_from(path, models.n);
        return SIM_MODEL_ENTRY;
    }
    return SIM_NO_KIND;
}

/* A pass over the members, one look at each: faster than ten searches. */
struct reader {
    const struct sb_splice *doc;
    struct sim_request *request;
    struct sim_error *error;
};

static int refuse_type(struct reader *reader, const char *param, const char *expected)
{
    return sim_error_set(reader->error, 400, param, "Invalid type for '%s': expected %s.", param,
                         expected);
}

static int read_typed(struct reader *reader, const struct sb_splice_member *member,
                      const char *param, enum sb_splice_type type, struct sb_slice *ret_text)
{
    static const char *const names[] = {
        [SB_SPLICE_STRING] = "a string",
        [SB_SPLICE_ARRAY] = "an array",
        [SB_SPLICE_OBJECT] = "an object",
    };

    if (member->type != type)
        return refuse_type(reader, param, names[type]);
    *ret_text = sb_splice_value(reader->doc, member);
    return 0;
}

static int read_bool(struct reader *reader, const struct sb_splice_member *member,
                     const char *param, bool *ret_bool)
{
    if (sb_splice_get_bool(sb_splice_value(reader->doc, member), ret_bool) != SB_OK)
        return refuse_type(reader, param, "a boolean");
    return 0;
}

static int read_int(struct reader *reader, const struct sb_splice_member *member, const char *param,
                    int64_t max, int64_t *ret_int)
{
    int64_t number;

    if (member->type != SB_SPLICE_NUMBER ||
        sb_splice_get_int(sb_splice_value(reader->doc, member), &number) != SB_OK)
        return refuse_type(reader, param, "an integer");
    if (number < 1 || number > max)
        return sim_error_set(reader->error, 400, param,
                             "Invalid '%s': expected a value from 1 to %lld.", param,
                             (long long)max);
    *ret_int = number;
    return 0;
}

static int read_stream_options(struct reader *reader, const struct sb_splice_member *member)
{
    struct sb_splice_member table[16];
    struct sb_splice options;
    const struct sb_splice_member *usage;

    if (member->type != SB_SPLICE_OBJECT)
        return refuse_type(reader, "stream_options", "an object");
    sb_splice_init(&options, table, SB_ARRAY_LEN(table));
    if (sb_splice_scan(&options, sb_splice_value(reader->doc, member), SB_SPLICE_DEPTH, NULL) !=
        SB_OK)
        return sim_error_set(reader->error, 400, "stream_options", "Too many stream options.");
    usage = sb_splice_find(&options, SB_SLICE_LIT("include_usage"));
    if (usage == NULL || usage->type == SB_SPLICE_NULL)
        return 0;
    if (sb_splice_get_bool(sb_splice_value(&options, usage), &reader->request->include_usage) !=
        SB_OK)
        return refuse_type(reader, "stream_options.include_usage", "a boolean");
    return 0;
}

static int read_encoding(struct reader *reader, const struct sb_splice_member *member)
{
    struct sb_slice value = sb_splice_value(reader->doc, member);

    if (sb_slice_is(value, "\"base64\"")) {
        reader->request->base64 = true;
        return 0;
    }
    if (sb_slice_is(value, "\"float\""))
        return 0;
    return sim_error_set(reader->error, 400, "encoding_format",
                         "Invalid value for 'encoding_format': expected 'float' or 'base64'.");
}

enum member_name {
    MODEL,
    MESSAGES,
    STREAM,
    MAX_TOKENS,
    MAX_COMPLETION_TOKENS,
    N,
    STREAM_OPTIONS,
    TOOLS,
    TOOL_CHOICE,
    RESPONSE_FORMAT,
    PROMPT,
    INPUT,
    DIMENSIONS,
    ENCODING_FORMAT,
    MEMBERS
};

static const char *const member_names[MEMBERS] = {
    [MODEL] = "model",
    [MESSAGES] = "messages",
    [STREAM] = "stream",
    [MAX_TOKENS] = "max_tokens",
    [MAX_COMPLETION_TOKENS] = "max_completion_tokens",
    [N] = "n",
    [STREAM_OPTIONS] = "stream_options",
    [TOOLS] = "tools",
    [TOOL_CHOICE] = "tool_choice",
    [RESPONSE_FORMAT] = "response_format",
    [PROMPT] = "prompt",
    [INPUT] = "input",
    [DIMENSIONS] = "dimensions",
    [ENCODING_FORMAT] = "encoding_format",
};

static enum member_name name_of(const struct sb_splice *doc, const struct sb_splice_member *member)
{
    for (int i = 0; i < MEMBERS; i++) {
        if (sb_splice_name_is(doc, member, sb_slice_of(member_names[i])))
            return (enum member_name)i;
    }
    return MEMBERS;
}

static int read_member(struct reader *reader, const struct sb_splice_member *member)
{
    struct sim_request *request = reader->request;
    enum member_name index = name_of(reader->doc, member);
    const char *name = index < MEMBERS ? member_names[index] : "";

    if (index == MEMBERS || member->type == SB_SPLICE_NULL)
        return 0;
    switch (index) {
    case MODEL:
        return read_typed(reader, member, name, SB_SPLICE_STRING, &request->model);
    case MESSAGES:
        return read_typed(reader, member, name, SB_SPLICE_ARRAY, &request->messages);
    case STREAM:
        return read_bool(reader, member, name, &request->stream);
    case MAX_TOKENS:
    case MAX_COMPLETION_TOKENS:
        return read_int(reader, member, name, INT32_MAX, &request->max_tokens);
    case N:
        return read_int(reader, member, name, SIM_N_MAX, &request->n);
    case STREAM_OPTIONS:
        return read_stream_options(reader, member);
    case TOOLS:
        return read_typed(reader, member, name, SB_SPLICE_ARRAY, &request->tools);
    case TOOL_CHOICE:
        request->tool_choice = sb_splice_value(reader->doc, member);
        return 0;
    case RESPONSE_FORMAT:
        return read_typed(reader, member, name, SB_SPLICE_OBJECT, &request->response_format);
    case PROMPT:
        request->prompt = sb_splice_value(reader->doc, member);
        return 0;
    case INPUT:
        request->input = sb_splice_value(reader->doc, member);
        return 0;
    case DIMENSIONS:
        return read_int(reader, member, name, SIM_DIMENSIONS_MAX, &request->dimensions);
    case ENCODING_FORMAT:
        return read_encoding(reader, member);
    case MEMBERS:
        break;
    }
    return 0;
}

/* "[]", maybe with spaces. */
static bool is_empty_array(struct sb_slice array)
{
    for (size_t i = 1; i + 1 < array.n; i++) {
        if (array.p[i] != ' ' && array.p[i] != '\t' && array.p[i] != '\n' && array.p[i] != '\r')
            return false;
    }
    return true;
}

static bool is_text_or_array(struct sb_slice value)
{
    enum sb_splice_type type = sb_splice_type_of(value);

    return type == SB_SPLICE_STRING || (type == SB_SPLICE_ARRAY && !is_empty_array(value));
}

static int check_whole(const struct sim_request *request, struct sim_error *error)
{
    if (request->model.n == 0)
        return sim_error_set(error, 400, NULL, "You must provide a model parameter.");
    if (request->kind == SIM_CHAT && request->messages.n == 0)
        return sim_error_set(error, 400, "messages", "Missing required parameter: 'messages'.");
    if (request->kind == SIM_CHAT && is_empty_array(request->messages))
        return sim_error_set(error, 400, "messages", "Invalid 'messages': empty array.");
    if (request->kind == SIM_COMPLETION && request->prompt.n > 0 &&
        !is_text_or_array(request->prompt))
        return sim_error_set(error, 400, "prompt", "Invalid 'prompt'.");
    if (request->kind == SIM_EMBEDDINGS &&
        (request->input.n == 0 || !is_text_or_array(request->input)))
        return sim_error_set(error, 400, "input", "Invalid or missing 'input'.");
    return 0;
}

int sim_request_read(struct sim_request *request, enum sim_kind kind, struct sb_slice body,
                     struct sim_error *error)
{
    struct sb_splice_member table[SB_SPLICE_MEMBERS];
    struct sb_splice_error where = {.reason = ""};
    struct sb_splice doc;
    struct reader reader = {.doc = &doc, .request = request, .error = error};

    *request = (struct sim_request){.kind = kind, .max_tokens = -1, .n = 1, .dimensions = -1};
    sb_splice_init(&doc, table, SB_ARRAY_LEN(table));
    if (sb_splice_scan(&doc, body, SB_SPLICE_DEPTH, &where) != SB_OK)
        return sim_error_set(error, 400, NULL,
                             "We could not parse the JSON body of your request: %s at byte %zu.",
                             where.reason, where.offset);
    if (doc.type != SB_SPLICE_OBJECT)
        return sim_error_set(error, 400, NULL, "The body must be a JSON object.");
    for (uint32_t i = 0; i < doc.n; i++) {
        int status = read_member(&reader, &doc.members[i]);

        if (status != 0)
            return status;
    }
    return check_whole(request, error);
}
