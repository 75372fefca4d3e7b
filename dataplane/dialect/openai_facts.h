/* dataplane/dialect/openai_facts.h - what an answer of the openai dialect, or
 * one chunk of it, says.
 *
 * One pass validates the text, records its members for the edits of
 * openai_answer.c, and gathers from within its choices and its usage.  Nothing
 * reaches the request before the text has turned out to be sound:
 *
 *      rc = dp_openai_facts_read(&facts, in, text, streamed, &doc);
 *      if (rc == SB_OK && !is_error(&facts))
 *          rc = dp_openai_facts_note(&facts, in);
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/slice.h"
#include "common/splice.h"
#include "dataplane/dialect.h"

enum { DP_OPENAI_CHOICES_MAX = 128 }; /* the API's own limit of n */

/* Many providers say it by the other name, which clients of OpenRouter do not
 * look for.  They get both: some send a message back as it came. */
#define DP_OPENAI_REASONING       SB_SLICE_LIT("reasoning")
#define DP_OPENAI_OTHER_REASONING SB_SLICE_LIT("reasoning_content")

/* Outermost members of an answer: X(NAME, "member"). */
#define DP_OPENAI_MEMBER_MAP(X)                                                                    \
    X(ID, "id")                                                                                    \
    X(DATA, "data")                                                                                \
    X(ERROR, "error")                                                                              \
    X(MODEL, "model")                                                                              \
    X(USAGE, "usage")                                                                              \
    X(OBJECT, "object")                                                                            \
    X(CHOICES, "choices")                                                                          \
    X(CREATED, "created")                                                                          \
    X(PROVIDER, "provider")                                                                        \
    X(FINGERPRINT, "system_fingerprint")

enum dp_openai_member {
#define X(name, text) DP_OPENAI_##name,
    DP_OPENAI_MEMBER_MAP(X)
#undef X
        DP_OPENAI_MEMBERS
};

/* Which of a document's members is which; 0 not there, else 1 + its index. */
struct dp_openai_index {
    uint8_t at[DP_OPENAI_MEMBERS];
};

struct dp_openai_facts {
    struct dp_openai_index index;
    uint32_t choices;        /* how many, whatever they are */
    bool repair;             /* a choice has what strict clients reject, or lacks what they need */
    bool has_content;        /* a choice does */
    uint64_t content_bytes;  /* of completion text */
    bool has_parts;          /* not all of it is text: tool calls, audio */
    uint32_t strings;        /* how many strings that is */
    struct sb_slice content; /* the last of them, without its quotes */
    uint64_t finished[2];    /* bits of the choices that have a finish reason, by index */
    struct sb_slice finish;  /* the last one, a JSON string of the text; or none */
    bool has_error;          /* a choice ended by an error */
    struct sb_slice error;   /* JSON of what it says of it; or none */
    bool has_usage;
    struct msg_usage usage; /* when it has */

    /* While it gathers. */
    struct sb_splice_visitor visitor;
    struct sb_slice message; /* name of what a choice says its content in */
    bool in_usage;           /* else in the choices */
    bool has_message;        /* the current choice does */
    bool has_reasoning;      /* likewise, by either name */
    bool other_reasoning;
    struct sb_slice choice_finish; /* of the current choice, JSON; or none */
    struct sb_slice choice_index, choice_error;
};

/* Borrows text while doc and facts are used.  doc: initialised.  streamed: it
 * is a chunk.  SB_EPARSE: no JSON object. */
int dp_openai_facts_read(struct dp_openai_facts *facts, const struct dp_incoming *in,
                         struct sb_slice text, bool streamed, struct sb_splice *doc) SB_MUSTCHECK;
/* Adds them to what is known of the answer. */
void dp_openai_facts_note(const struct dp_openai_facts *facts, struct dp_incoming *in);

/* What a choice says its content in: "message", "delta" or "text". */
const char *dp_openai_message_name(enum msg_api api, bool streamed);
/* Whether a null under this name passes; others are cut. */
bool dp_openai_may_be_null(struct sb_slice name);

struct sb_slice dp_openai_member_name(enum dp_openai_member member);
void dp_openai_index_make(struct dp_openai_index *index, const struct sb_splice *doc);
/* NULL when it is not there. */
static inline const struct sb_splice_member *dp_openai_find(const struct dp_openai_index *index,
                                                            const struct sb_splice *doc,
                                                            enum dp_openai_member member)
{
    return index->at[member] != 0 ? &doc->members[index->at[member] - 1] : NULL;
}
