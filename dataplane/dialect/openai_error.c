/* dataplane/dialect/openai_error.c - what the errors of a provider mean.
 *
 * Statuses are mostly agreed on; what is wrong with a 400 is not.  Providers
 * say it in "code", in "type", in "status", in the metadata of another
 * gateway, or in words only.
 */
#include "dataplane/dialect/openai.h"

#include "common/err.h"

enum {
    ERROR_MEMBERS = 24, /* of an error object that are looked at */
    BODY_MEMBERS = 32,  /* of its document */
};

/* --- reading --------------------------------------------------------------- */

/* The text of a member, copied: the answer goes before the error does. */
static struct sb_slice text_of(const struct sb_splice *doc, const char *name,
                               struct sb_arena *arena)
{
    const struct sb_splice_member *member = sb_splice_find(doc, sb_slice_of(name));
    struct sb_slice text = SB_SLICE_NONE;

    if (member == NULL || member->type != SB_SPLICE_STRING ||
        sb_splice_get_string(sb_splice_value(doc, member), arena, &text) != SB_OK)
        return SB_SLICE_NONE;
    return sb_arena_dup(arena, text);
}

static bool scan_object(struct sb_splice *doc, struct sb_splice_member *table, uint32_t max,
                        struct sb_slice text)
{
    sb_splice_init(doc, table, max);
    return sb_splice_scan(doc, text, SB_SPLICE_DEPTH_MAX, NULL) == SB_OK &&
           doc->type == SB_SPLICE_OBJECT;
}

/* Another gateway in front of the provider: what it made of the error. */
static void read_metadata(const struct sb_splice *doc, struct sb_arena *arena,
                          struct dp_openai_error *error)
{
    const struct sb_splice_member *member = sb_splice_find(doc, SB_SLICE_LIT("metadata"));
    struct sb_splice_member table[ERROR_MEMBERS];
    struct sb_splice metadata;

    if (member == NULL ||
        !scan_object(&metadata, table, SB_ARRAY_LEN(table), sb_splice_value(doc, member)))
        return;
    if (error->type.n == 0)
        error->type = text_of(&metadata, "error_type", arena);
    if (error->type.n == 0 && sb_splice_find(&metadata, SB_SLICE_LIT("flagged_input")) != NULL)
        error->type = SB_SLICE_LIT("moderation");
}

/* Whatever is not known yet. */
static void read_object(const struct sb_splice *doc, struct sb_arena *arena,
                        struct dp_openai_error *error)
{
    static const char *const messages[] = {"message", "detail"};
    static const char *const types[] = {"type", "status"};
    const struct sb_splice_member *code = sb_splice_find(doc, SB_SLICE_LIT("code"));
    int64_t number;

    for (size_t i = 0; i < SB_ARRAY_LEN(messages) && error->message.n == 0; i++)
        error->message = text_of(doc, messages[i], arena);
    if (error->code.n == 0)
        error->code = text_of(doc, "code", arena);
    for (size_t i = 0; i < SB_ARRAY_LEN(types) && error->type.n == 0; i++)
        error->type = text_of(doc, types[i], arena);
    if (code != NULL && sb_splice_get_int(sb_splice_value(doc, code), &number) == SB_OK &&
        number >= 400 && number <= 599)
        error->status = (int)number;
    read_metadata(doc, arena, error);
}

void dp_openai_read_error(struct sb_slice value, struct sb_arena *arena,
                          struct dp_openai_error *error)
{
    struct sb_splice_member table[ERROR_MEMBERS];
    struct sb_splice doc;
    struct sb_slice text;

    if (sb_splice_type_of(value) == SB_SPLICE_STRING) {
        if (sb_splice_get_string(value, arena, &text) == SB_OK)
            error->message = sb_arena_dup(arena, text);
    } else if (scan_object(&doc, table, SB_ARRAY_LEN(table), value)) {
        read_object(&doc, arena, error);
    }
}

/* {"error": {...}}, {"error": "...", "code": "..."}, {"message": "..."},
 * {"detail": "..."}, or the first of these in a list. */
static void read_body(struct sb_slice body, struct sb_arena *arena, struct dp_openai_error *error)
{
    struct sb_splice_member table[BODY_MEMBERS];
    const struct sb_splice_member *member;
    struct sb_splice doc;

    sb_splice_init(&doc, table, SB_ARRAY_LEN(table));
    if (sb_splice_scan(&doc, body, SB_SPLICE_DEPTH, NULL) != SB_OK)
        return;
    if (doc.type == SB_SPLICE_ARRAY && doc.n > 0 &&
        !scan_object(&doc, table, SB_ARRAY_LEN(table), sb_splice_value(&doc, &table[0])))
        return;
    if (doc.type != SB_SPLICE_OBJECT)
        return;
    member = sb_splice_find(&doc, SB_SLICE_LIT("error"));
    if (member != NULL)
        dp_openai_read_error(sb_splice_value(&doc, member), arena, error);
    if (member == NULL || member->type == SB_SPLICE_STRING)
        read_object(&doc, arena, error);
}

/* --- meaning --------------------------------------------------------------- */

static bool has_word(struct sb_slice text, const char *word)
{
    size_t n = strlen(word);

    for (size_t at = 0; at + n <= text.n; at++)
        if (strncasecmp(text.p + at, word, n) == 0)
            return true;
    return false;
}

/* words ends with NULL. */
static bool has_any(struct sb_slice text, const char *const *words)
{
    for (; *words != NULL; words++)
        if (has_word(text, *words))
            return true;
    return false;
}

static bool is_context_length(const struct dp_openai_error *error)
{
    static const char *const codes[] = {
        "context_length",   "context_size",    "context_window",       "prompt_too_long",
        "string_above_max", "string_too_long", "token_limit_exceeded", NULL,
    };
    static const char *const words[] = {
        "context length",        "context limit",
        "context size",          "context window",
        "maximum context",       "maximum prompt length",
        "exceeds max length",    "input token count",
        "input is too long",     "prompt is too long",
        "too many tokens",       "model token limit",
        "range of input length", "`max_new_tokens` must be",
        "reduce the length of",  NULL,
    };

    return has_any(error->code, codes) || has_any(error->type, codes) ||
           has_any(error->message, words);
}

static bool is_refusal(const struct dp_openai_error *error)
{
    static const char *const codes[] = {
        "content_filter",     "content_policy", "datainspection", "data_inspection", "moderation",
        "prohibited_content", "responsibleai",  "responsible_ai", "safety",          NULL,
    };

    return has_any(error->code, codes) || has_any(error->type, codes);
}

bool dp_openai_error_is_private(const struct dp_openai_error *error)
{
    static const char *const codes[] = {"api_key", "auth", "billing", "permission", "quota", NULL};

    if (is_refusal(error))
        return false;
    return (error->status >= 401 && error->status <= 403) || has_any(error->code, codes) ||
           has_any(error->type, codes);
}

static enum msg_outcome outcome_of(int status, const struct dp_openai_error *error)
{
    switch (status) {
    case 400:
    case 413:
    case 422:
        return is_context_length(error) ? MSG_OUTCOME_CONTEXT_LENGTH
               : is_refusal(error)      ? MSG_OUTCOME_REFUSED
                                        : MSG_OUTCOME_BAD_REQUEST;
    case 403:
        return is_refusal(error) ? MSG_OUTCOME_REFUSED : MSG_OUTCOME_CREDENTIAL;
    case 401:
    case 402:
    case 498: /* an invalid token */
        return MSG_OUTCOME_CREDENTIAL;
    case 404:
    case 405:
    case 410:
    case 421: /* not by this server; and then: locked, failed for another, */
    case 423:
    case 424:
    case 426:
    case 451: /* not by this protocol, not by law: whatever is sent */
        return MSG_OUTCOME_NOT_OFFERED;
    case 408:
        return MSG_OUTCOME_SERVER_ERROR;
    case 409:
    case 425:
    case 499: /* it believes that we have left */
        return MSG_OUTCOME_BUSY;
    case 429:
        return MSG_OUTCOME_RATE_LIMITED;
    default:
        return status >= 500   ? MSG_OUTCOME_SERVER_ERROR
               : status >= 400 ? MSG_OUTCOME_BAD_REQUEST
                               : MSG_OUTCOME_BAD_ANSWER;
    }
}

void dp_openai_classify(int status, struct sb_slice body, struct sb_arena *arena,
                        struct dp_verdict *verdict)
{
    struct dp_openai_error error = {.status = 0};

    read_body(body, arena, &error);
    *verdict = (struct dp_verdict){
        .outcome = outcome_of(status, &error),
        .message = error.message,
    };
}
