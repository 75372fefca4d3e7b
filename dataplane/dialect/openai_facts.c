/* dataplane/dialect/openai_facts.c */
#include "dataplane/dialect/openai_facts.h"

#include "common/arena.h"
#include "common/err.h"

/* --- the outermost members --------------------------------------------------- */

static const struct sb_slice names[] = {
#define X(name, text) SB_SLICE_INIT(text),
    DP_OPENAI_MEMBER_MAP(X)
#undef X
};

struct sb_slice dp_openai_member_name(enum dp_openai_member member)
{
    return names[member];
}

/* As sb_splice_name_is(), without a call where the name is a literal. */
static inline bool is_named(const struct sb_splice *doc, const struct sb_splice_member *member,
                            struct sb_slice name)
{
    if (SB_UNLIKELY(member->name_escaped))
        return sb_splice_name_is(doc, member, name);
    return sb_slice_eq(sb_splice_name(doc, member), name);
}

/* A row of comparisons with constants: this is done for every chunk.  -1: it
 * means nothing to us. */
static int member_of(const struct sb_splice *doc, const struct sb_splice_member *member)
{
#define X(member_name, text)                                                                       \
    if (member->hash == sb_splice_hash(SB_SLICE_LIT(text)))                                        \
        return is_named(doc, member, SB_SLICE_LIT(text)) ? DP_OPENAI_##member_name : -1;
    DP_OPENAI_MEMBER_MAP(X)
#undef X
    return -1;
}

void dp_openai_index_make(struct dp_openai_index *index, const struct sb_splice *doc)
{
    *index = (struct dp_openai_index){.at = {0}};
    for (uint32_t i = 0; i < doc->n; i++) {
        int which = member_of(doc, &doc->members[i]);

        if (which >= 0)
            index->at[which] = (uint8_t)(i + 1);
    }
}

/* --- what lies inside -------------------------------------------------------- */

static bool is_string(struct sb_slice value)
{
    return value.p[0] == '"';
}

bool dp_openai_may_be_null(struct sb_slice name)
{
    return sb_slice_eq(name, SB_SLICE_LIT("content")) ||
           sb_slice_eq(name, SB_SLICE_LIT("refusal")) || sb_slice_eq(name, DP_OPENAI_REASONING);
}

const char *dp_openai_message_name(enum msg_api api, bool streamed)
{
    if (api == MSG_API_COMPLETIONS)
        return "text";
    return streamed ? "delta" : "message";
}

/* A count of tokens; what is none counts nothing. */
static uint64_t count_of(struct sb_slice value)
{
    uint64_t n = 0;

    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] < '0' || value.p[i] > '9' || i >= 18)
            return 0; /* no provider has such an answer */
        n = n * 10 + (uint64_t)(value.p[i] - '0');
    }
    return n;
}

static void note_usage(struct msg_usage *usage, struct sb_slice name, struct sb_slice value)
{
    if (sb_slice_eq(name, SB_SLICE_LIT("prompt_tokens")))
        usage->prompt_tokens = count_of(value);
    else if (sb_slice_eq(name, SB_SLICE_LIT("completion_tokens")))
        usage->completion_tokens = count_of(value);
}

/* prompt_tokens_details, completion_tokens_details */
static void note_detail(struct msg_usage *usage, struct sb_slice name, struct sb_slice value)
{
    if (sb_slice_eq(name, SB_SLICE_LIT("cached_tokens")))
        usage->cached_tokens = count_of(value);
    else if (sb_slice_eq(name, SB_SLICE_LIT("cache_write_tokens")))
        usage->cache_write_tokens = count_of(value);
    else if (sb_slice_eq(name, SB_SLICE_LIT("reasoning_tokens")))
        usage->reasoning_tokens = count_of(value);
}

static void note_text(struct dp_openai_facts *facts, struct sb_slice string)
{
    facts->has_content = true;
    facts->strings++;
    facts->content = sb_slice_make(string.p + 1, string.n - 2);
    facts->content_bytes += string.n - 2;
}

/* Of a message or a delta. */
static void note_named_text(struct dp_openai_facts *facts, struct sb_slice name,
                            struct sb_slice string)
{
    note_text(facts, string);
    facts->has_reasoning |= sb_slice_eq(name, DP_OPENAI_REASONING);
    facts->other_reasoning |= sb_slice_eq(name, DP_OPENAI_OTHER_REASONING);
}

/* Tool calls, audio, reasoning details. */
static void note_parts(struct dp_openai_facts *facts, struct sb_slice value)
{
    facts->has_content = facts->has_parts = true;
    facts->content_bytes += value.n;
}

/* Of a message or a delta: anything that a client would call content. */
static void note_in_message(struct dp_openai_facts *facts, struct sb_slice name,
                            struct sb_slice value)
{
    if (value.p[0] == 'n') {
        if (!dp_openai_may_be_null(name))
            facts->repair = true;
    } else if (value.n > 2 && !sb_slice_eq(name, SB_SLICE_LIT("role"))) {
        if (is_string(value))
            note_named_text(facts, name, value);
        else if (value.p[0] == '{' || value.p[0] == '[')
            note_parts(facts, value);
    }
}

static void note_in_choice(struct dp_openai_facts *facts, struct sb_slice name,
                           struct sb_slice value)
{
    if (sb_slice_eq(name, facts->message)) {
        facts->has_message = true;
        if (is_string(value) && value.n > 2) /* "text" of a completion */
            note_text(facts, value);
    } else if (sb_slice_eq(name, SB_SLICE_LIT("finish_reason"))) {
        facts->choice_finish = value;
    } else if (sb_slice_eq(name, SB_SLICE_LIT("index"))) {
        facts->choice_index = value;
    } else if (sb_slice_eq(name, SB_SLICE_LIT("error"))) {
        facts->choice_error = value;
    }
}

static void begin_choice(struct dp_openai_facts *facts)
{
    facts->has_message = facts->has_reasoning = facts->other_reasoning = false;
    facts->choice_finish = facts->choice_index = facts->choice_error = SB_SLICE_NONE;
}

/* at: its place, where it does not say an index. */
static void end_choice(struct dp_openai_facts *facts, uint32_t at)
{
    struct sb_slice finish = facts->choice_finish;
    int64_t index = at;

    if (!facts->has_message || finish.n == 0 || facts->choice_index.n == 0 ||
        (facts->other_reasoning && !facts->has_reasoning))
        facts->repair = true;
    if (finish.n <= 2 || !is_string(finish))
        return;
    if (sb_slice_is(finish, "\"error\"")) {
        facts->has_error = true;
        facts->error = facts->choice_error;
        return;
    }
    if (facts->choice_index.n > 0 && sb_splice_get_int(facts->choice_index, &index) != SB_OK)
        index = at;
    if (index < 0 || index >= DP_OPENAI_CHOICES_MAX)
        index = DP_OPENAI_CHOICES_MAX - 1;
    facts->has_content = true;
    facts->finish = finish;
    facts->finished[index / 64] |= UINT64_C(1) << (index % 64);
}

/* Levels: 1 the members of the answer, 2 choices or the members of usage, 3
 * the members of a choice or of usage's details, 4 those of a message. */
static bool on_open(struct sb_splice_visitor *visitor, unsigned depth, struct sb_slice name,
                    enum sb_splice_type type)
{
    struct dp_openai_facts *facts = container_of(visitor, struct dp_openai_facts, visitor);

    switch (depth) {
    case 1:
        facts->in_usage = type == SB_SPLICE_OBJECT && sb_slice_eq(name, SB_SLICE_LIT("usage"));
        if (facts->in_usage) {
            facts->has_usage = true;
            facts->usage = (struct msg_usage){.source = MSG_USAGE_SOURCE_PROVIDER};
        }
        return facts->in_usage ||
               (type == SB_SPLICE_ARRAY && sb_slice_eq(name, SB_SLICE_LIT("choices")));
    case 2:
        begin_choice(facts);
        return type == SB_SPLICE_OBJECT;
    case 3:
        return !facts->in_usage && type == SB_SPLICE_OBJECT && sb_slice_eq(name, facts->message);
    default:
        return false;
    }
}

static void on_value(struct sb_splice_visitor *visitor, unsigned depth, struct sb_slice name,
                     struct sb_slice value)
{
    struct dp_openai_facts *facts = container_of(visitor, struct dp_openai_facts, visitor);

    if (facts->in_usage && depth == 2)
        note_usage(&facts->usage, name, value);
    else if (facts->in_usage)
        note_detail(&facts->usage, name, value);
    else if (depth == 4)
        note_in_message(facts, name, value);
    else if (depth == 3)
        note_in_choice(facts, name, value);
    else if (value.p[0] == '{')
        end_choice(facts, facts->choices++);
    else
        facts->choices++;
}

/* --- all of it --------------------------------------------------------------- */

int dp_openai_facts_read(struct dp_openai_facts *facts, const struct dp_incoming *in,
                         struct sb_slice text, bool streamed, struct sb_splice *doc)
{
    *facts = (struct dp_openai_facts){
        .visitor = {.open = on_open, .value = on_value},
        .message = sb_slice_of(dp_openai_message_name(in->api, streamed)),
    };
    if (sb_splice_visit(doc, text, SB_SPLICE_DEPTH_MAX, &facts->visitor, NULL) != SB_OK ||
        doc->type != SB_SPLICE_OBJECT)
        return SB_EPARSE;
    dp_openai_index_make(&facts->index, doc);
    return SB_OK;
}

void dp_openai_facts_note(const struct dp_openai_facts *facts, struct dp_incoming *in)
{
    struct sb_slice reason;

    in->repair = facts->repair;
    in->has_content |= facts->has_content;
    in->content_bytes += facts->content_bytes;
    /* Some providers repeat the finish reason, in the chunk of the usage for
     * one: each choice ends once. */
    for (size_t i = 0; i < SB_ARRAY_LEN(in->finished_bits); i++) {
        in->finished += (uint32_t)__builtin_popcountll(facts->finished[i] & ~in->finished_bits[i]);
        in->finished_bits[i] |= facts->finished[i];
    }
    if (facts->finish.n > 0 && sb_splice_get_string(facts->finish, in->arena, &reason) == SB_OK &&
        !sb_slice_eq(reason, in->finish_reason))
        in->finish_reason = sb_arena_dup(in->arena, reason);
    if (facts->has_usage)
        in->usage = facts->usage;
}
