/* dataplane/dialect/openai_error.c - what the errors of a provider mean. */
#define _GNU_SOURCE /* memmem */
#include "dataplane/dialect/openai.h"

#include "common/err.h"

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

void dp_openai_classify(int status, struct sb_slice body, struct sb_arena *arena,
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
