/* dataplane/dialect/openai.c - what goes to a provider that speaks the clients'
 * own language, and what its errors mean.
 *
 * The client's bytes go out as they are; only members that must change are
 * changed (ROUTING.md 9).
 */
#define _GNU_SOURCE /* memmem */
#include "dataplane/dialect/openai.h"

#include "common/err.h"

enum { EDITS_MAX = 48 };

static const char *path(enum msg_api api)
{
    switch (api) {
    case MSG_API_CHAT:
        return "/chat/completions";
    case MSG_API_COMPLETIONS:
        return "/completions";
    case MSG_API_EMBEDDINGS:
        return "/embeddings";
    case MSG_API_COUNT:
        break;
    }
    return NULL;
}

/* Members that are ours and mean nothing, or too much, to a provider. */
static const enum dp_member gateway_only[] = {
    DP_MEMBER_PROVIDER,   DP_MEMBER_SWITCHBOARD, DP_MEMBER_MODELS, DP_MEMBER_ROUTE,
    DP_MEMBER_TRANSFORMS, DP_MEMBER_PLUGINS,     DP_MEMBER_PRESET, DP_MEMBER_SESSION_ID,
};

/* stream_options with include_usage: true, whatever else it holds. */
static int with_usage(const struct dp_outgoing *o, const struct sb_splice_member *options,
                      struct sb_slice *ret_json)
{
    struct sb_splice_member table[16];
    struct sb_splice_edit changes[1];
    const struct sb_splice_member *flag;
    SB_CLEANUP(sb_buf_release) struct sb_buf buf;
    struct sb_splice_edits edits;
    struct sb_splice doc;
    int rc;

    sb_buf_init(&buf, SB_SPLICE_NAME_BYTES * SB_ARRAY_LEN(table) * 4);
    sb_splice_init(&doc, table, SB_ARRAY_LEN(table));
    if (sb_splice_scan(&doc, sb_splice_value(o->ask->body, options), SB_SPLICE_DEPTH_MAX, NULL) !=
            SB_OK ||
        doc.type != SB_SPLICE_OBJECT) {
        *ret_json = SB_SLICE_LIT("{\"include_usage\":true}");
        return SB_OK;
    }
    sb_splice_edits_init(&edits, &doc, changes, SB_ARRAY_LEN(changes));
    flag = sb_splice_find(&doc, SB_SLICE_LIT("include_usage"));
    rc = flag != NULL
             ? sb_splice_replace(&edits, flag, SB_SLICE_LIT("true"))
             : sb_splice_append(&edits, SB_SLICE_LIT("include_usage"), SB_SLICE_LIT("true"));
    if (rc == SB_OK)
        rc = sb_splice_emit(&edits, &buf);
    if (rc == SB_OK)
        *ret_json = sb_arena_dup(o->arena, sb_buf_slice(&buf));
    return rc;
}

/* Makes sure that a stream ends with its usage. */
static int want_usage(const struct dp_outgoing *o, struct sb_splice_edits *edits)
{
    const struct sb_splice_member *options =
        dp_requirements_member(o->ask, DP_MEMBER_STREAM_OPTIONS);
    struct sb_slice json;
    int rc;

    if (o->ask->include_usage)
        return SB_OK;
    if (options == NULL)
        return sb_splice_append(edits, SB_SLICE_LIT("stream_options"),
                                SB_SLICE_LIT("{\"include_usage\":true}"));
    rc = with_usage(o, options, &json);
    return rc == SB_OK ? sb_splice_replace(edits, options, json) : rc;
}

/* The limit of tokens under the name that the endpoint knows. */
static int rename_limit(const struct dp_outgoing *o, struct sb_splice_edits *edits)
{
    bool to_completion = strcmp(o->limit_member, "max_completion_tokens") == 0;
    const struct sb_splice_member *from = dp_requirements_member(
        o->ask, to_completion ? MSG_PARAMETER_MAX_TOKENS : MSG_PARAMETER_MAX_COMPLETION_TOKENS);
    const struct sb_splice_member *to = dp_requirements_member(
        o->ask, to_completion ? MSG_PARAMETER_MAX_COMPLETION_TOKENS : MSG_PARAMETER_MAX_TOKENS);
    int rc;

    if (from == NULL)
        return SB_OK;
    rc = sb_splice_cut(edits, from);
    if (rc != SB_OK || from->type == SB_SPLICE_NULL)
        return rc;
    if (to == NULL)
        rc = sb_splice_append(edits, sb_slice_of(o->limit_member),
                              sb_splice_value(o->ask->body, from));
    else if (to->type == SB_SPLICE_NULL) /* as good as absent: the other one counts */
        rc = sb_splice_replace(edits, to, sb_splice_value(o->ask->body, from));
    return rc;
}

static int encode(const struct dp_outgoing *o, struct sb_buf *out)
{
    const struct sb_splice_member *model = dp_requirements_member(o->ask, DP_MEMBER_MODEL);
    const struct sb_splice_member *user = dp_requirements_member(o->ask, DP_MEMBER_USER);
    struct sb_splice_edit changes[EDITS_MAX];
    struct sb_splice_edits edits;
    int rc;

    sb_splice_edits_init(&edits, o->ask->body, changes, SB_ARRAY_LEN(changes));
    rc = model != NULL ? sb_splice_replace(&edits, model, o->model_json)
                       : sb_splice_append(&edits, SB_SLICE_LIT("model"), o->model_json);
    for (size_t i = 0; i < SB_ARRAY_LEN(gateway_only) && rc == SB_OK; i++) {
        const struct sb_splice_member *member = dp_requirements_member(o->ask, gateway_only[i]);

        if (member != NULL)
            rc = sb_splice_cut(&edits, member);
    }
    if (rc == SB_OK && user != NULL)
        rc = o->user_json.n > 0 ? sb_splice_replace(&edits, user, o->user_json)
                                : sb_splice_cut(&edits, user);
    for (uint64_t left = o->drop; left != 0 && rc == SB_OK; left &= left - 1) {
        const struct sb_splice_member *member =
            dp_requirements_member(o->ask, __builtin_ctzll(left));

        if (member != NULL)
            rc = sb_splice_cut(&edits, member);
    }
    if (rc == SB_OK && o->limit_member != NULL)
        rc = rename_limit(o, &edits);
    if (rc == SB_OK && o->ask->stream)
        rc = want_usage(o, &edits);
    return rc == SB_OK ? sb_splice_emit(&edits, out) : rc;
}

/* --- errors ---------------------------------------------------------------- */

void dp_openai_read_error(struct sb_slice value, struct sb_arena *arena,
                          struct sb_slice *ret_message, struct sb_slice *ret_code)
{
    struct sb_splice_member table[24];
    const struct sb_splice_member *member;
    struct sb_splice doc;

    if (sb_splice_type_of(value) == SB_SPLICE_STRING) {
        if (sb_splice_get_string(value, arena, ret_message) == SB_OK)
            *ret_message = sb_arena_dup(arena, *ret_message); /* the answer goes before it */
        return;
    }
    sb_splice_init(&doc, table, SB_ARRAY_LEN(table));
    if (sb_splice_scan(&doc, value, SB_SPLICE_DEPTH_MAX, NULL) != SB_OK ||
        doc.type != SB_SPLICE_OBJECT)
        return;
    member = sb_splice_find(&doc, SB_SLICE_LIT("message"));
    if (member != NULL && member->type == SB_SPLICE_STRING)
        (void)!sb_splice_get_string(sb_splice_value(&doc, member), arena, ret_message);
    /* Some send the code as "type" only, some as a number. */
    for (int i = 0; i < 2 && ret_code->n == 0; i++) {
        member = sb_splice_find(&doc, i == 0 ? SB_SLICE_LIT("code") : SB_SLICE_LIT("type"));
        if (member == NULL)
            continue;
        if (member->type == SB_SPLICE_STRING)
            (void)!sb_splice_get_string(sb_splice_value(&doc, member), arena, ret_code);
        else if (member->type == SB_SPLICE_NUMBER)
            *ret_code = sb_splice_value(&doc, member);
    }
    *ret_message = sb_arena_dup(arena, *ret_message);
    *ret_code = sb_arena_dup(arena, *ret_code);
}

/* The text of an error answer: {"error": {...}}, {"error": "..."},
 * {"message": "..."} or {"detail": "..."}. */
static void read_body(struct sb_slice body, struct sb_arena *arena, struct dp_verdict *verdict)
{
    static const char *const names[] = {"error", "message", "detail"};
    struct sb_splice_member table[32];
    struct sb_splice doc;

    sb_splice_init(&doc, table, SB_ARRAY_LEN(table));
    if (sb_splice_scan(&doc, body, SB_SPLICE_DEPTH, NULL) != SB_OK || doc.type != SB_SPLICE_OBJECT)
        return;
    for (size_t i = 0; i < SB_ARRAY_LEN(names) && verdict->message.n == 0; i++) {
        const struct sb_splice_member *member = sb_splice_find(&doc, sb_slice_of(names[i]));

        if (member != NULL && (i == 0 || member->type == SB_SPLICE_STRING))
            dp_openai_read_error(sb_splice_value(&doc, member), arena, &verdict->message,
                                 &verdict->code);
    }
}

static bool text_has(struct sb_slice text, const char *const *words)
{
    for (; *words != NULL; words++)
        if (text.n > 0 && memmem(text.p, text.n, *words, strlen(*words)) != NULL)
            return true;
    return false;
}

/* Providers agree on the status of these two, not on the code. */
static bool is_context_length(const struct dp_verdict *verdict)
{
    static const char *const codes[] = {"context_length", "string_above_max_length", NULL};
    static const char *const words[] = {"context length",     "maximum context", "context window",
                                        "prompt is too long", "too many tokens", NULL};

    return text_has(verdict->code, codes) || text_has(verdict->message, words);
}

static bool is_refusal(const struct dp_verdict *verdict)
{
    static const char *const codes[] = {"content_filter", "content_policy", "moderation",
                                        "responsible_ai", "safety",         NULL};

    return text_has(verdict->code, codes);
}

static void classify(int status, struct sb_slice body, struct sb_arena *arena,
                     struct dp_verdict *verdict)
{
    *verdict = (struct dp_verdict){.outcome = MSG_OUTCOME_BAD_ANSWER};
    read_body(body, arena, verdict);
    switch (status) {
    case 400:
    case 413:
    case 422:
        verdict->outcome = is_context_length(verdict) ? MSG_OUTCOME_CONTEXT_LENGTH
                           : is_refusal(verdict)      ? MSG_OUTCOME_REFUSED
                                                      : MSG_OUTCOME_BAD_REQUEST;
        return;
    case 403:
        verdict->outcome = is_refusal(verdict) ? MSG_OUTCOME_REFUSED : MSG_OUTCOME_CREDENTIAL;
        return;
    case 401:
    case 402:
        verdict->outcome = MSG_OUTCOME_CREDENTIAL;
        return;
    case 404:
    case 405:
    case 410:
        verdict->outcome = MSG_OUTCOME_NOT_OFFERED;
        return;
    case 408:
        verdict->outcome = MSG_OUTCOME_SERVER_ERROR;
        return;
    case 409:
    case 425:
        verdict->outcome = MSG_OUTCOME_BUSY;
        return;
    case 429:
        verdict->outcome = MSG_OUTCOME_RATE_LIMITED;
        return;
    default:
        if (status >= 500)
            verdict->outcome = MSG_OUTCOME_SERVER_ERROR;
        else if (status >= 400)
            verdict->outcome = MSG_OUTCOME_BAD_REQUEST;
        return;
    }
}

const struct dp_dialect dp_dialect_openai = {
    .name = "openai",
    .path = path,
    .encode = encode,
    .read_answer = dp_openai_read_answer,
    .write_answer = dp_openai_write_answer,
    .on_event = dp_openai_on_event,
    .end = dp_openai_end,
    .fail = dp_openai_fail,
    .classify = classify,
};
