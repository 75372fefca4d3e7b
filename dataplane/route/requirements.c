/* dataplane/route/requirements.c */
#include "dataplane/route/requirements.h"

#include "common/arena.h"
#include "dataplane/route/content.h"
#include "proto/limits.h"
#include "proto/rules.h"

/* --- which member is which --------------------------------------------------------- */

enum { LONGEST_NAME = 21, SAME_LENGTH = 8 };

#define PARAMETER(name) (MSG_PARAMETER_##name + 1)
#define MEMBER(name)    (DP_MEMBER_##name + 1)

/* 1 + the number of each member, by the length of its name. */
static const uint8_t by_length[LONGEST_NAME + 1][SAME_LENGTH + 1] = {
    [1] = {MEMBER(N)},
    [4] = {MEMBER(USER), PARAMETER(SEED), PARAMETER(STOP)},
    [5] = {MEMBER(MODEL), PARAMETER(TOP_P), PARAMETER(TOOLS), PARAMETER(TOP_K), PARAMETER(MIN_P),
           PARAMETER(TOP_A), MEMBER(INPUT), MEMBER(ROUTE)},
    [6] = {MEMBER(STREAM), MEMBER(MODELS), MEMBER(PROMPT), MEMBER(PRESET)},
    [7] = {MEMBER(PLUGINS)},
    [8] = {MEMBER(MESSAGES), MEMBER(PROVIDER), PARAMETER(LOGPROBS), MEMBER(METADATA)},
    [9] = {PARAMETER(REASONING), PARAMETER(VERBOSITY)},
    [10] = {PARAMETER(MAX_TOKENS), MEMBER(SESSION_ID), PARAMETER(LOGIT_BIAS), PARAMETER(PREDICTION),
            MEMBER(MODALITIES), MEMBER(TRANSFORMS)},
    [11] = {PARAMETER(TEMPERATURE), PARAMETER(TOOL_CHOICE), MEMBER(SWITCHBOARD)},
    [12] = {PARAMETER(TOP_LOGPROBS)},
    [14] = {MEMBER(STREAM_OPTIONS)},
    [15] = {PARAMETER(RESPONSE_FORMAT)},
    [16] = {MEMBER(PROMPT_CACHE_KEY), PARAMETER(PRESENCE_PENALTY), PARAMETER(REASONING_EFFORT)},
    [17] = {PARAMETER(FREQUENCY_PENALTY), PARAMETER(INCLUDE_REASONING)},
    [18] = {PARAMETER(REPETITION_PENALTY), PARAMETER(STRUCTURED_OUTPUTS),
            PARAMETER(WEB_SEARCH_OPTIONS)},
    [19] = {PARAMETER(PARALLEL_TOOL_CALLS)},
    [21] = {PARAMETER(MAX_COMPLETION_TOKENS)},
};

static const char *const names[DP_MEMBER_COUNT] = {
#define X(name, number, text) [number] = (text),
    MSG_PARAMETER_MAP(X)
#undef X
#define X(name, text) [DP_MEMBER_##name] = (text),
        DP_MEMBER_MAP(X)
#undef X
};

const char *dp_member_name(int member)
{
    return member >= 0 && member < DP_MEMBER_COUNT ? names[member] : "unknown";
}

/* 0 when it means nothing to us. */
static int member_of(const struct sb_splice *body, const struct sb_splice_member *member)
{
    const uint8_t *same;

    if (member->name_escaped) { /* legal, and never seen: try them all */
        for (int i = 0; i < DP_MEMBER_COUNT; i++) {
            if (sb_splice_name_is(body, member, sb_slice_of(names[i])))
                return i + 1;
        }
        return 0;
    }
    if (member->name_n > LONGEST_NAME)
        return 0;
    for (same = by_length[member->name_n]; *same != 0; same++) {
        if (memcmp(names[*same - 1], body->text.p + member->name, member->name_n) == 0)
            return *same;
    }
    return 0;
}

static void find_members(struct dp_requirements *ask)
{
    const struct sb_splice *body = ask->body;

    for (uint32_t i = 0; i < body->n && i < UINT8_MAX; i++) {
        int member = member_of(body, &body->members[i]);

        if (member == 0)
            continue;
        ask->at[member - 1] = (uint8_t)(i + 1);
        if (member - 1 < MSG_PARAMETER_COUNT && body->members[i].type != SB_SPLICE_NULL)
            ask->parameters |= UINT64_C(1) << (member - 1);
    }
}

/* --- reading single members ----------------------------------------------------------- */

struct reader {
    struct dp_requirements *ask;
    struct dp_content *content;
    struct sb_arena *arena;
    struct sb_errmsg *err;
};

/* The value of a member that is there and not null. */
static bool value_of(const struct reader *reader, int member, struct sb_slice *ret_value)
{
    const struct sb_splice_member *at = dp_requirements_member(reader->ask, member);

    if (at == NULL || at->type == SB_SPLICE_NULL)
        return false;
    *ret_value = sb_splice_value(reader->ask->body, at);
    return true;
}

static int wrong(const struct reader *reader, int member, const char *allowed)
{
    struct sb_slice value = SB_SLICE_NONE;
    bool cut;

    (void)value_of(reader, member, &value);
    cut = value.n > 64;
    while (value.n > 64 || (cut && value.n > 0 && ((unsigned char)value.p[value.n] & 0xc0) == 0x80))
        value.n--;
    return sb_err_set(reader->err, SB_EINVAL, "%s: %.*s%s is not allowed; it must be %s",
                      names[member], SB_SLICE_ARGS(value), cut ? "..." : "", allowed);
}

static int read_flag(const struct reader *reader, int member, bool *ret_flag)
{
    struct sb_slice value;

    if (!value_of(reader, member, &value) || sb_splice_get_bool(value, ret_flag) == SB_OK)
        return SB_OK;
    return wrong(reader, member, "true or false");
}

static int read_count(const struct reader *reader, int member, int64_t min, uint64_t *ret_count)
{
    struct sb_slice value;
    int64_t count;

    if (!value_of(reader, member, &value))
        return SB_OK;
    if (sb_splice_get_int(value, &count) != SB_OK || count < min)
        return wrong(reader, member,
                     min > 0 ? "a whole number above 0" : "a whole number, and not negative");
    *ret_count = (uint64_t)count;
    return SB_OK;
}

static int read_string(const struct reader *reader, int member, struct sb_slice *ret_string)
{
    struct sb_slice value;

    if (!value_of(reader, member, &value) ||
        sb_splice_get_string(value, reader->arena, ret_string) == SB_OK)
        return SB_OK;
    return wrong(reader, member, "a string");
}

/* --- the model, and how much ------------------------------------------------------------ */

static int add_model(const struct reader *reader, int member, struct sb_slice value)
{
    struct dp_requirements *ask = reader->ask;
    struct sb_slice name;

    /* A NUL would end the name in messages, which would then name another model. */
    if (sb_splice_get_string(value, reader->arena, &name) != SB_OK || name.n == 0 ||
        name.n > MSG_MODEL_ID_MAX || memchr(name.p, '\0', name.n) != NULL)
        return wrong(reader, member,
                     member == DP_MEMBER_MODEL ? "the name of a model" : "a list of model names");
    if (ask->n_models == DP_MODELS_MAX)
        return sb_err_set(reader->err, SB_EINVAL, "models: at most %d together with model",
                          DP_MODELS_MAX);
    ask->model[ask->n_models++] = name;
    return SB_OK;
}

static int read_models(const struct reader *reader)
{
    struct sb_splice_member table[DP_MODELS_MAX + 1];
    struct sb_splice list;
    struct sb_slice value;
    int rc;

    if (value_of(reader, DP_MEMBER_MODEL, &value)) {
        rc = add_model(reader, DP_MEMBER_MODEL, value);
        if (rc != SB_OK)
            return rc;
    }
    if (value_of(reader, DP_MEMBER_MODELS, &value)) {
        sb_splice_init(&list, table, SB_ARRAY_LEN(table));
        if (sb_splice_type_of(value) != SB_SPLICE_ARRAY ||
            sb_splice_scan(&list, value, SB_SPLICE_DEPTH, NULL) != SB_OK)
            return wrong(reader, DP_MEMBER_MODELS, "a list of model names");
        for (uint32_t i = 0; i < list.n; i++) {
            rc = add_model(reader, DP_MEMBER_MODELS, sb_splice_value(&list, &table[i]));
            if (rc != SB_OK)
                return rc;
        }
    }
    if (reader->ask->n_models == 0)
        return sb_err_set(reader->err, SB_EINVAL, "model: missing; name a model");
    return SB_OK;
}

static int read_limits(const struct reader *reader)
{
    const uint64_t both = UINT64_C(1) << MSG_PARAMETER_MAX_TOKENS |
                          UINT64_C(1) << MSG_PARAMETER_MAX_COMPLETION_TOKENS;
    struct dp_requirements *ask = reader->ask;
    uint64_t a = 0, b = 0, n = 1;
    int rc = read_count(reader, MSG_PARAMETER_MAX_TOKENS, 0, &a);

    if (rc == SB_OK)
        rc = read_count(reader, MSG_PARAMETER_MAX_COMPLETION_TOKENS, 0, &b);
    if (rc == SB_OK)
        rc = read_count(reader, DP_MEMBER_N, 1, &n);
    if (rc != SB_OK)
        return rc;
    ask->max_tokens = a > b ? a : b; /* a provider may go by either */
    ask->n = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
    if ((ask->parameters & both) != 0)
        ask->parameters |= both;
    return SB_OK;
}

/* --- objects: the few members inside that matter ------------------------------------------- */

/* The value of one member of a small object; false when it is not there. */
static bool inner_value(struct sb_slice object, const char *name, struct sb_slice *ret_value)
{
    struct sb_splice_member table[SB_SPLICE_MEMBERS];
    const struct sb_splice_member *member;
    struct sb_splice doc;

    sb_splice_init(&doc, table, SB_ARRAY_LEN(table));
    if (sb_splice_type_of(object) != SB_SPLICE_OBJECT ||
        sb_splice_scan(&doc, object, SB_SPLICE_DEPTH, NULL) != SB_OK)
        return false;
    member = sb_splice_find(&doc, sb_slice_of(name));
    if (member == NULL || member->type == SB_SPLICE_NULL)
        return false;
    *ret_value = sb_splice_value(&doc, member);
    return true;
}

static bool inner_text_is(struct sb_slice object, const char *name, const char *word)
{
    struct sb_slice value;

    return inner_value(object, name, &value) && value.n == strlen(word) + 2 &&
           memcmp(value.p + 1, word, value.n - 2) == 0;
}

static int read_stream(const struct reader *reader)
{
    struct dp_requirements *ask = reader->ask;
    struct sb_slice value, usage;
    int rc = read_flag(reader, DP_MEMBER_STREAM, &ask->stream);

    if (rc != SB_OK || !value_of(reader, DP_MEMBER_STREAM_OPTIONS, &value))
        return rc;
    if (sb_splice_type_of(value) != SB_SPLICE_OBJECT)
        return wrong(reader, DP_MEMBER_STREAM_OPTIONS, "an object");
    if (inner_value(value, "include_usage", &usage) &&
        sb_splice_get_bool(usage, &ask->include_usage) != SB_OK)
        return wrong(reader, DP_MEMBER_STREAM_OPTIONS,
                     "an object with include_usage true or false");
    return SB_OK;
}

/* Asked for: by an object that does not switch it off, by an effort other than
 * none, or by include_reasoning. */
static int read_reasoning(const struct reader *reader)
{
    struct dp_requirements *ask = reader->ask;
    struct sb_slice value, inner;
    bool enabled;

    if (value_of(reader, MSG_PARAMETER_REASONING, &value)) {
        if (sb_splice_type_of(value) != SB_SPLICE_OBJECT)
            return wrong(reader, MSG_PARAMETER_REASONING, "an object");
        ask->reasoning = !inner_text_is(value, "effort", "none");
        if (inner_value(value, "enabled", &inner) && sb_splice_get_bool(inner, &enabled) == SB_OK)
            ask->reasoning = enabled;
    }
    if (value_of(reader, MSG_PARAMETER_REASONING_EFFORT, &value))
        ask->reasoning |= !sb_slice_is(value, "\"none\"");
    if (value_of(reader, MSG_PARAMETER_INCLUDE_REASONING, &value))
        ask->reasoning |= sb_splice_type_of(value) == SB_SPLICE_TRUE;
    return SB_OK;
}

static int read_tools(const struct reader *reader)
{
    struct dp_requirements *ask = reader->ask;
    struct sb_splice_member first;
    struct sb_splice list;
    struct sb_slice value;

    if (!value_of(reader, MSG_PARAMETER_TOOLS, &value))
        return SB_OK;
    sb_splice_init(&list, &first, 1);
    if (sb_splice_type_of(value) != SB_SPLICE_ARRAY ||
        sb_splice_scan(&list, value, SB_SPLICE_DEPTH, NULL) != SB_OK)
        return wrong(reader, MSG_PARAMETER_TOOLS, "a list of tools");
    if (list.count == 0) /* many clients always send the member */
        ask->parameters &= ~(UINT64_C(1) << MSG_PARAMETER_TOOLS);
    ask->text_bytes += value.n;
    return SB_OK;
}

static int read_response_format(const struct reader *reader)
{
    struct dp_requirements *ask = reader->ask;
    struct sb_slice value;

    if (!value_of(reader, MSG_PARAMETER_RESPONSE_FORMAT, &value))
        return SB_OK;
    if (sb_splice_type_of(value) != SB_SPLICE_OBJECT)
        return wrong(reader, MSG_PARAMETER_RESPONSE_FORMAT, "an object with a type");
    if (inner_text_is(value, "type", "text")) /* what everybody does anyway */
        return SB_OK;
    ask->restricting |= UINT64_C(1) << MSG_PARAMETER_RESPONSE_FORMAT;
    ask->json_schema = inner_text_is(value, "type", "json_schema");
    if (ask->json_schema)
        ask->restricting |= UINT64_C(1) << MSG_PARAMETER_STRUCTURED_OUTPUTS;
    ask->text_bytes += value.n;
    return SB_OK;
}

/* Bits of a list of modalities; 0 when it is not one. */
static uint32_t modality_bits(const struct reader *reader, struct sb_slice value)
{
    struct sb_splice_member table[MSG_MODALITY_COUNT];
    struct sb_splice list;
    struct sb_slice text;
    uint32_t bits = 0;

    sb_splice_init(&list, table, SB_ARRAY_LEN(table));
    if (sb_splice_type_of(value) != SB_SPLICE_ARRAY ||
        sb_splice_scan(&list, value, SB_SPLICE_DEPTH, NULL) != SB_OK || list.count > list.n)
        return 0;
    for (uint32_t i = 0; i < list.n; i++) {
        int modality = -1;

        if (sb_splice_get_string(sb_splice_value(&list, &table[i]), reader->arena, &text) == SB_OK)
            modality = msg_modality_parse(text);
        if (modality < 0)
            return 0;
        bits |= 1U << modality;
    }
    return bits;
}

static int read_modalities(const struct reader *reader)
{
    struct dp_requirements *ask = reader->ask;
    struct sb_slice value;

    ask->output_modalities =
        1U << (ask->api == MSG_API_EMBEDDINGS ? MSG_MODALITY_EMBEDDINGS : MSG_MODALITY_TEXT);
    if (!value_of(reader, DP_MEMBER_MODALITIES, &value))
        return SB_OK;
    ask->output_modalities = modality_bits(reader, value);
    if (ask->output_modalities == 0)
        return wrong(reader, DP_MEMBER_MODALITIES, "a list of text, image, audio, video");
    return SB_OK;
}

/* --- the request's own rules ----------------------------------------------------------------- */

static int read_rules(const struct reader *reader)
{
    static const struct {
        int member, schema;
    } objects[] = {{DP_MEMBER_PROVIDER, MSG_IN_PROVIDER},
                   {DP_MEMBER_SWITCHBOARD, MSG_IN_SWITCHBOARD}};
    struct msg_problem problem;
    struct msg_report report = {.problem = &problem, .max = 1};
    struct msg_rules *rules = NULL;
    struct sb_slice value;

    for (size_t i = 0; i < SB_ARRAY_LEN(objects); i++) {
        if (!value_of(reader, objects[i].member, &value))
            continue;
        if (rules == NULL) {
            rules = sb_arena_alloc_raw(reader->arena, sizeof(*rules));
            msg_rules_init(rules);
        }
        if (msg_rules_read(rules, objects[i].schema, value, reader->arena, &report) != SB_OK)
            return sb_err_set(reader->err, SB_EINVAL, "%s: %s", problem.path, problem.text);
    }
    reader->ask->rules = rules;
    return SB_OK;
}

static int read_session(const struct reader *reader)
{
    struct dp_requirements *ask = reader->ask;
    struct sb_slice value;
    size_t characters = 0;
    int rc = read_string(reader, DP_MEMBER_SESSION_ID, &ask->session_id);

    if (rc == SB_OK)
        rc = read_string(reader, DP_MEMBER_PROMPT_CACHE_KEY, &ask->prompt_cache_key);
    if (rc != SB_OK)
        return rc;
    for (size_t i = 0; i < ask->session_id.n; i++)
        characters += ((unsigned char)ask->session_id.p[i] & 0xc0) != 0x80;
    if (characters > MSG_SESSION_ID_MAX)
        return wrong(reader, DP_MEMBER_SESSION_ID, "a string of at most 256 characters");
    if (value_of(reader, DP_MEMBER_USER, &value)) {
        if (sb_splice_type_of(value) != SB_SPLICE_STRING)
            return wrong(reader, DP_MEMBER_USER, "a string");
        ask->user = value;
    }
    return SB_OK;
}

static int read_content(const struct reader *reader)
{
    static const int member[] = {[MSG_API_CHAT] = DP_MEMBER_MESSAGES,
                                 [MSG_API_COMPLETIONS] = DP_MEMBER_PROMPT,
                                 [MSG_API_EMBEDDINGS] = DP_MEMBER_INPUT};
    struct dp_content *content = reader->content;
    struct dp_requirements *ask = reader->ask;
    struct sb_slice value;
    int rc;

    if (!value_of(reader, member[ask->api], &value))
        return sb_err_set(reader->err, SB_EINVAL, "%s: missing", names[member[ask->api]]);
    rc = dp_content_finish(content, value, reader->err);
    if (rc != SB_OK)
        return rc;
    if (ask->api == MSG_API_COMPLETIONS &&
        __builtin_mul_overflow(ask->n, content->prompts, &ask->n))
        ask->n = UINT32_MAX;
    ask->text_bytes += content->text_bytes;
    ask->input_modalities = content->modalities;
    ask->images = content->images;
    ask->audios = content->audios;
    ask->first_system = content->first_system;
    ask->first_user = content->first_user;
    return SB_OK;
}

static void note_unserved(struct dp_requirements *ask)
{
    static const int members[] = {DP_MEMBER_ROUTE, DP_MEMBER_TRANSFORMS, DP_MEMBER_PLUGINS,
                                  DP_MEMBER_PRESET};

    for (size_t i = 0; i < SB_ARRAY_LEN(members); i++) {
        const struct sb_splice_member *at = dp_requirements_member(ask, members[i]);

        if (at != NULL && at->type != SB_SPLICE_NULL)
            ask->unserved |= 1U << (members[i] - DP_MEMBER_MODEL);
    }
}

int dp_requirements_read(const struct sb_splice *body, struct dp_content *content,
                         struct sb_arena *arena, struct dp_requirements *ret_ask,
                         struct sb_errmsg *err)
{
    static int (*const steps[])(const struct reader *) = {
        read_models, read_stream,          read_limits,  read_reasoning, read_modalities,
        read_tools,  read_response_format, read_session, read_content,   read_rules,
    };
    struct dp_requirements *ask = ret_ask;
    struct reader reader = {.ask = ask, .content = content, .arena = arena, .err = err};
    int rc;

    *ask = (struct dp_requirements){.body = body, .api = content->api, .n = 1};
    find_members(ask);
    for (size_t i = 0; i < SB_ARRAY_LEN(steps); i++) {
        rc = steps[i](&reader);
        if (rc != SB_OK)
            return rc;
    }
    ask->restricting |= ask->parameters & (UINT64_C(1) << MSG_PARAMETER_TOOLS |
                                           UINT64_C(1) << MSG_PARAMETER_VERBOSITY);
    note_unserved(ask);
    return SB_OK;
}
