/* dataplane/dialect/openai_answer.c - answers of the openai dialect, whole and
 * event by event.
 *
 * Mostly the provider's own bytes, with id, model, provider and usage put in.
 * What strict clients reject is mended: null members, choices without index,
 * delta or finish_reason.
 */
#include "dataplane/dialect/openai.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/err.h"
#include "common/json.h"
#include "common/walk.h"

enum {
    MEMBERS = 32,        /* of an answer; more is no answer */
    CHOICES = 128,       /* the API's own limit of n */
    CHOICE_MEMBERS = 16, /* of a choice, a delta, a message */
    EDITS = 16,
    MENDED_MORE = 64, /* bytes that mending may add to a choice */
};

/* --- reading --------------------------------------------------------------- */

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

static bool is_string(struct sb_slice value)
{
    return value.n > 0 && value.p[0] == '"';
}

static bool is_null(struct sb_slice value)
{
    return value.n > 0 && value.p[0] == 'n';
}

/* prompt_tokens_details, completion_tokens_details */
static void read_details(struct msg_usage *usage, struct sb_walk *walk)
{
    struct sb_slice name, value;

    while (sb_walk_name(walk, &name)) {
        value = sb_walk_value(walk);
        if (sb_slice_eq(name, SB_SLICE_LIT("cached_tokens")))
            usage->cached_tokens = count_of(value);
        else if (sb_slice_eq(name, SB_SLICE_LIT("cache_write_tokens")))
            usage->cache_write_tokens = count_of(value);
        else if (sb_slice_eq(name, SB_SLICE_LIT("reasoning_tokens")))
            usage->reasoning_tokens = count_of(value);
    }
}

static void read_usage(struct dp_incoming *in, struct sb_slice object)
{
    struct sb_walk walk = sb_walk_into(object);
    struct msg_usage *usage = &in->usage;
    struct sb_slice name;

    *usage = (struct msg_usage){.source = MSG_USAGE_SOURCE_PROVIDER};
    while (sb_walk_name(&walk, &name)) {
        if (sb_slice_eq(name, SB_SLICE_LIT("prompt_tokens")))
            usage->prompt_tokens = count_of(sb_walk_value(&walk));
        else if (sb_slice_eq(name, SB_SLICE_LIT("completion_tokens")))
            usage->completion_tokens = count_of(sb_walk_value(&walk));
        else if (walk.p < walk.end && *walk.p == '{' && sb_walk_open(&walk))
            read_details(usage, &walk);
        else
            (void)sb_walk_value(&walk);
    }
}

/* Nulls that clients accept; others are cut. */
static bool may_be_null(struct sb_slice name)
{
    return sb_slice_eq(name, SB_SLICE_LIT("content")) ||
           sb_slice_eq(name, SB_SLICE_LIT("refusal")) ||
           sb_slice_eq(name, SB_SLICE_LIT("reasoning"));
}

/* Looks at a message or a delta, which was opened, for anything that a client
 * would call content. */
static void read_message(struct dp_incoming *in, struct sb_walk *walk)
{
    struct sb_slice name, value;

    while (sb_walk_name(walk, &name)) {
        value = sb_walk_value(walk);
        if (is_null(value)) {
            if (!may_be_null(name))
                in->repair = true;
        } else if (value.n > 2 && !sb_slice_eq(name, SB_SLICE_LIT("role")) &&
                   (is_string(value) || value.p[0] == '{' || value.p[0] == '[')) {
            in->has_content = true; /* text, tool calls, audio, reasoning details */
            in->content_bytes += is_string(value) ? value.n - 2 : value.n;
        }
    }
}

/* Some providers repeat the finish reason, in the chunk of the usage for one:
 * each choice ends once.  at: its place, where it does not say an index. */
static void note_finish(struct dp_incoming *in, struct sb_slice value, struct sb_slice index_json,
                        uint32_t at)
{
    struct sb_slice reason = SB_SLICE_NONE;
    int64_t index = at;
    uint64_t bit;

    in->has_content = true;
    if (sb_splice_get_string(value, in->arena, &reason) == SB_OK &&
        !sb_slice_eq(reason, in->finish_reason))
        in->finish_reason = sb_arena_dup(in->arena, reason);
    if (index_json.n > 0 && sb_splice_get_int(index_json, &index) != SB_OK)
        index = at;
    if (index < 0 || index >= CHOICES)
        index = CHOICES - 1;
    bit = UINT64_C(1) << (index % 64);
    if ((in->finished_bits[index / 64] & bit) == 0)
        in->finished++;
    in->finished_bits[index / 64] |= bit;
}

/* "delta", "message", or "text" of a completion. */
static void read_content(struct dp_incoming *in, struct sb_walk *walk)
{
    struct sb_slice value;

    if (walk->p < walk->end && *walk->p == '{' && sb_walk_open(walk)) {
        read_message(in, walk);
        return;
    }
    value = sb_walk_value(walk);
    if (is_string(value) && value.n > 2) {
        in->has_content = true;
        in->content_bytes += value.n - 2;
    }
}

/* A choice, which was opened. */
static void read_choice(struct dp_incoming *in, struct sb_walk *walk, uint32_t at,
                        struct sb_slice message)
{
    struct sb_slice finish = SB_SLICE_NONE, index = SB_SLICE_NONE;
    bool has_message = false;
    struct sb_slice name, value;

    while (sb_walk_name(walk, &name)) {
        if (sb_slice_eq(name, message)) {
            has_message = true;
            read_content(in, walk);
            continue;
        }
        value = sb_walk_value(walk);
        if (sb_slice_eq(name, SB_SLICE_LIT("finish_reason")))
            finish = value;
        else if (sb_slice_eq(name, SB_SLICE_LIT("index")))
            index = value;
    }
    if (is_string(finish) && finish.n > 2)
        note_finish(in, finish, index, at);
    if (!has_message || finish.n == 0 || index.n == 0)
        in->repair = true;
}

/* Returns the number of choices; a value that is no array has none. */
static uint32_t read_choices(struct dp_incoming *in, struct sb_slice array, const char *message)
{
    struct sb_walk walk = {.p = array.p, .end = array.p + array.n};
    struct sb_slice name = sb_slice_of(message);
    uint32_t n = 0;

    if (array.n == 0 || *array.p != '[' || !sb_walk_open(&walk))
        return 0;
    for (; sb_walk_more(&walk); n++) {
        if (*walk.p == '{' && sb_walk_open(&walk))
            read_choice(in, &walk, n, name);
        else
            (void)sb_walk_value(&walk);
    }
    return n;
}

/* An "error" member that says something. */
static bool read_error(struct dp_incoming *in, const struct sb_splice *doc)
{
    const struct sb_splice_member *member = sb_splice_find(doc, SB_SLICE_LIT("error"));
    struct sb_slice code = SB_SLICE_NONE;
    int64_t number = 0;

    if (member == NULL || member->type == SB_SPLICE_NULL || member->type == SB_SPLICE_FALSE ||
        member->value_n <= 2) /* "", {} */
        return false;
    in->has_error = true;
    dp_openai_read_error(sb_splice_value(doc, member), in->arena, &in->error_message, &code);
    if (sb_splice_get_int(code, &number) == SB_OK && number >= 400 && number <= 599)
        in->error_status = (int)number;
    return true;
}

/* --- mending --------------------------------------------------------------- */

static const char *message_name(const struct dp_incoming *in, bool streamed)
{
    if (in->api == MSG_API_COMPLETIONS)
        return "text";
    return streamed ? "delta" : "message";
}

/* Appends a message or delta without the nulls that clients reject. */
static int mend_message(struct sb_slice value, struct sb_buf *out)
{
    struct sb_splice_member table[CHOICE_MEMBERS];
    struct sb_splice_edit changes[CHOICE_MEMBERS];
    struct sb_splice_edits edits;
    struct sb_splice doc;
    int rc = SB_OK;

    sb_splice_init(&doc, table, SB_ARRAY_LEN(table));
    if (sb_splice_scan(&doc, value, SB_SPLICE_DEPTH_MAX, NULL) != SB_OK ||
        doc.type != SB_SPLICE_OBJECT)
        return sb_buf_append(out, value);
    sb_splice_edits_init(&edits, &doc, changes, SB_ARRAY_LEN(changes));
    for (uint32_t i = 0; i < doc.n && rc == SB_OK; i++)
        if (doc.members[i].type == SB_SPLICE_NULL &&
            !may_be_null(sb_splice_name(&doc, &doc.members[i])))
            rc = sb_splice_cut(&edits, &doc.members[i]);
    return rc == SB_OK ? sb_splice_emit(&edits, out) : rc;
}

static int mend_choice(struct sb_slice value, uint32_t index, const char *message,
                       struct sb_buf *out)
{
    struct sb_splice_member table[CHOICE_MEMBERS];
    struct sb_splice_edit changes[EDITS];
    const struct sb_splice_member *member;
    SB_CLEANUP(sb_buf_release) struct sb_buf mended;
    struct sb_splice_edits edits;
    struct sb_splice doc;
    char number[16];
    int rc = SB_OK;

    sb_buf_init(&mended, value.n);
    sb_splice_init(&doc, table, SB_ARRAY_LEN(table));
    if (sb_splice_scan(&doc, value, SB_SPLICE_DEPTH_MAX, NULL) != SB_OK ||
        doc.type != SB_SPLICE_OBJECT)
        return sb_buf_append(out, value);
    sb_splice_edits_init(&edits, &doc, changes, SB_ARRAY_LEN(changes));
    member = sb_splice_find(&doc, sb_slice_of(message));
    if (member == NULL) {
        rc = sb_splice_append(&edits, sb_slice_of(message),
                              strcmp(message, "text") == 0 ? SB_SLICE_LIT("\"\"")
                                                           : SB_SLICE_LIT("{}"));
    } else if (member->type == SB_SPLICE_OBJECT) {
        rc = mend_message(sb_splice_value(&doc, member), &mended);
        if (rc == SB_OK)
            rc = sb_splice_replace(&edits, member, sb_buf_slice(&mended));
    }
    if (rc == SB_OK && sb_splice_find(&doc, SB_SLICE_LIT("finish_reason")) == NULL)
        rc = sb_splice_append(&edits, SB_SLICE_LIT("finish_reason"), SB_SLICE_LIT("null"));
    if (rc == SB_OK && sb_splice_find(&doc, SB_SLICE_LIT("index")) == NULL) {
        int n = snprintf(number, sizeof(number), "%u", index);

        rc = sb_splice_append(&edits, SB_SLICE_LIT("index"), sb_slice_make(number, (size_t)n));
    }
    return rc == SB_OK ? sb_splice_emit(&edits, out) : rc;
}

/* The whole array anew; rare, so it may copy. */
static int mend_choices(struct sb_slice value, const char *message, struct sb_buf *out)
{
    struct sb_splice_member table[CHOICES];
    struct sb_splice doc;
    int rc;

    sb_splice_init(&doc, table, SB_ARRAY_LEN(table));
    if (sb_splice_scan(&doc, value, SB_SPLICE_DEPTH_MAX, NULL) != SB_OK)
        return sb_buf_append(out, value);
    rc = sb_buf_append_byte(out, '[');
    for (uint32_t i = 0; i < doc.n && rc == SB_OK; i++) {
        if (i > 0)
            rc = sb_buf_append_byte(out, ',');
        if (rc == SB_OK)
            rc = mend_choice(sb_splice_value(&doc, &doc.members[i]), i, message, out);
    }
    return rc == SB_OK ? sb_buf_append_byte(out, ']') : rc;
}

/* --- whole answers --------------------------------------------------------- */

int dp_openai_read_answer(struct dp_incoming *in, struct sb_slice body)
{
    struct sb_splice *doc = &in->answer;
    const struct sb_splice_member *member;

    sb_splice_init(doc, sb_arena_alloc_raw(in->arena, MEMBERS * sizeof(*doc->members)), MEMBERS);
    if (sb_splice_scan(doc, body, SB_SPLICE_DEPTH_MAX, NULL) != SB_OK ||
        doc->type != SB_SPLICE_OBJECT)
        return SB_EPARSE;
    if (read_error(in, doc)) /* also beside choices: they are a part of what was asked for */
        return SB_OK;
    member = sb_splice_find(doc, in->api == MSG_API_EMBEDDINGS ? SB_SLICE_LIT("data")
                                                               : SB_SLICE_LIT("choices"));
    if (member == NULL || member->type != SB_SPLICE_ARRAY)
        return SB_EPARSE;
    in->repair = false;
    if (in->api == MSG_API_EMBEDDINGS)
        in->has_content = member->value_n > 2;
    else if (read_choices(in, sb_splice_value(doc, member), message_name(in, false)) == 0)
        return SB_EPARSE;
    member = sb_splice_find(doc, SB_SLICE_LIT("usage"));
    if (member != NULL && member->type == SB_SPLICE_OBJECT)
        read_usage(in, sb_splice_value(doc, member));
    return SB_OK;
}

/* Replaces a member's value, or adds it. */
static int put(struct sb_splice_edits *edits, const struct sb_splice *doc, struct sb_slice name,
               struct sb_slice value)
{
    const struct sb_splice_member *member = sb_splice_find(doc, name);

    return member != NULL ? sb_splice_replace(edits, member, value)
                          : sb_splice_append(edits, name, value);
}

/* Adds a member that is not there. */
static int need(struct sb_splice_edits *edits, const struct sb_splice *doc, struct sb_slice name,
                struct sb_slice value)
{
    return sb_splice_find(doc, name) != NULL ? SB_OK : sb_splice_append(edits, name, value);
}

static int put_identity(struct dp_incoming *in, const struct sb_splice *doc,
                        struct sb_splice_edits *edits, char created[24])
{
    int rc = SB_OK;

    if (in->api != MSG_API_EMBEDDINGS && sb_splice_find(doc, SB_SLICE_LIT("created")) == NULL) {
        int n = snprintf(created, 24, "%" PRId64, in->created);

        rc = sb_splice_append(edits, SB_SLICE_LIT("created"), sb_slice_make(created, (size_t)n));
    }
    if (rc == SB_OK)
        rc = put(edits, doc, SB_SLICE_LIT("id"), in->id_json);
    if (rc == SB_OK)
        rc = put(edits, doc, SB_SLICE_LIT("model"), in->model_json);
    return rc == SB_OK ? put(edits, doc, SB_SLICE_LIT("provider"), in->provider_json) : rc;
}

static struct sb_slice object_of(enum msg_api api, bool streamed)
{
    switch (api) {
    case MSG_API_CHAT:
        return streamed ? SB_SLICE_LIT("\"chat.completion.chunk\"")
                        : SB_SLICE_LIT("\"chat.completion\"");
    case MSG_API_COMPLETIONS:
        return SB_SLICE_LIT("\"text_completion\"");
    case MSG_API_EMBEDDINGS:
    case MSG_API_COUNT:
        break;
    }
    return SB_SLICE_LIT("\"list\"");
}

int dp_openai_write_answer(struct dp_incoming *in, struct sb_buf *out)
{
    const struct sb_splice *doc = &in->answer;
    const struct sb_splice_member *choices = sb_splice_find(doc, SB_SLICE_LIT("choices"));
    SB_CLEANUP(sb_buf_release) struct sb_buf mended;
    struct sb_splice_edit changes[EDITS];
    struct sb_splice_edits edits;
    char created[24];
    int rc;

    sb_buf_init(&mended, doc->text.n + (size_t)CHOICES * MENDED_MORE);
    sb_splice_edits_init(&edits, doc, changes, SB_ARRAY_LEN(changes));
    rc = put_identity(in, doc, &edits, created);
    if (rc == SB_OK)
        rc = need(&edits, doc, SB_SLICE_LIT("object"), object_of(in->api, false));
    if (rc == SB_OK && in->api == MSG_API_CHAT)
        rc = need(&edits, doc, SB_SLICE_LIT("system_fingerprint"), SB_SLICE_LIT("null"));
    if (rc == SB_OK && in->repair && choices != NULL) {
        rc = mend_choices(sb_splice_value(doc, choices), message_name(in, false), &mended);
        if (rc == SB_OK)
            rc = sb_splice_replace(&edits, choices, sb_buf_slice(&mended));
    }
    if (rc == SB_OK && in->usage_json.n > 0)
        rc = put(&edits, doc, SB_SLICE_LIT("usage"), in->usage_json);
    if (rc == SB_OK && in->metadata_name != NULL)
        rc = put(&edits, doc, sb_slice_of(in->metadata_name), in->metadata_json);
    return rc == SB_OK ? sb_splice_emit(&edits, out) : rc;
}

/* --- streams --------------------------------------------------------------- */

/* Writes one chunk as the client gets it. */
static int write_chunk(struct dp_incoming *in, const struct sb_splice *doc,
                       const struct sb_splice_member *choices, struct sb_buf *out)
{
    const struct sb_splice_member *member;
    SB_CLEANUP(sb_buf_release) struct sb_buf mended;
    struct sb_splice_edit changes[EDITS];
    struct sb_splice_edits edits;
    char created[24];
    int rc;

    sb_buf_init(&mended, doc->text.n + (size_t)CHOICES * MENDED_MORE);
    sb_splice_edits_init(&edits, doc, changes, SB_ARRAY_LEN(changes));
    rc = put_identity(in, doc, &edits, created);
    if (rc == SB_OK)
        rc = need(&edits, doc, SB_SLICE_LIT("object"), object_of(in->api, true));
    /* Usage comes once, in our last chunk. */
    member = sb_splice_find(doc, SB_SLICE_LIT("usage"));
    if (rc == SB_OK && member != NULL)
        rc = sb_splice_cut(&edits, member);
    member = sb_splice_find(doc, SB_SLICE_LIT("system_fingerprint"));
    if (rc == SB_OK && member != NULL && member->type == SB_SPLICE_NULL)
        rc = sb_splice_cut(&edits, member);
    if (rc == SB_OK && in->repair) {
        rc = mend_choices(sb_splice_value(doc, choices), message_name(in, true), &mended);
        if (rc == SB_OK)
            rc = sb_splice_replace(&edits, choices, sb_buf_slice(&mended));
    }
    if (rc == SB_OK)
        rc = sb_buf_append(out, SB_SLICE_LIT("data: "));
    if (rc == SB_OK)
        rc = sb_splice_emit(&edits, out);
    return rc == SB_OK ? sb_buf_append(out, SB_SLICE_LIT("\n\n")) : rc;
}

int dp_openai_on_event(struct dp_incoming *in, const struct sb_sse_event *event, struct sb_buf *out)
{
    struct sb_splice_member table[MEMBERS];
    const struct sb_splice_member *usage, *choices;
    struct sb_splice doc;
    uint32_t n = 0;

    if (!event->has_data)
        return SB_OK;
    if (sb_slice_is(event->data, "[DONE]")) {
        in->is_done = true;
        return SB_OK;
    }
    sb_splice_init(&doc, table, SB_ARRAY_LEN(table));
    if (sb_splice_scan(&doc, event->data, SB_SPLICE_DEPTH_MAX, NULL) != SB_OK ||
        doc.type != SB_SPLICE_OBJECT) {
        in->bad_events++;
        return SB_OK;
    }
    if (read_error(in, &doc))
        return SB_OK;
    usage = sb_splice_find(&doc, SB_SLICE_LIT("usage"));
    if (usage != NULL && usage->type == SB_SPLICE_OBJECT)
        read_usage(in, sb_splice_value(&doc, usage));
    choices = sb_splice_find(&doc, SB_SLICE_LIT("choices"));
    in->repair = false;
    if (choices != NULL)
        n = read_choices(in, sb_splice_value(&doc, choices), message_name(in, true));
    /* usage from before the end may be that of a part: some send it all along */
    if (usage != NULL && usage->type == SB_SPLICE_OBJECT && in->finished >= in->n)
        in->is_told = true;
    /* usage only, or something that is no chunk */
    return n > 0 ? write_chunk(in, &doc, choices, out) : SB_OK;
}

/* The start of a chunk of our own, up to the value of "choices". */
static void open_chunk(struct dp_incoming *in, struct sb_json *json)
{
    sb_json_open_object(json);
    sb_json_add_raw(json, "id", in->id_json);
    sb_json_add_raw(json, "object", object_of(in->api, true));
    sb_json_add_i64(json, "created", in->created);
    sb_json_add_raw(json, "model", in->model_json);
    sb_json_add_raw(json, "provider", in->provider_json);
}

int dp_openai_end(struct dp_incoming *in, struct sb_buf *out)
{
    struct sb_json json;
    int rc = sb_buf_append(out, SB_SLICE_LIT("data: "));

    if (rc != SB_OK)
        return rc;
    sb_json_init(&json, out);
    open_chunk(in, &json);
    sb_json_add_raw(&json, "choices",
                    in->api == MSG_API_CHAT
                        ? SB_SLICE_LIT("[{\"index\":0,\"delta\":{\"role\":\"assistant\","
                                       "\"content\":\"\"},\"finish_reason\":null}]")
                        : SB_SLICE_LIT("[{\"index\":0,\"text\":\"\",\"logprobs\":null,"
                                       "\"finish_reason\":null}]"));
    if (in->usage_json.n > 0)
        sb_json_add_raw(&json, "usage", in->usage_json);
    if (in->metadata_name != NULL)
        sb_json_add_raw(&json, in->metadata_name, in->metadata_json);
    sb_json_close_object(&json);
    rc = sb_json_end(&json);
    return rc == SB_OK ? sb_buf_append(out, SB_SLICE_LIT("\n\ndata: [DONE]\n\n")) : rc;
}

int dp_openai_fail(struct dp_incoming *in, struct sb_slice error, struct sb_buf *out)
{
    struct sb_json json;
    int rc = sb_buf_append(out, SB_SLICE_LIT("data: "));

    if (rc != SB_OK)
        return rc;
    sb_json_init(&json, out);
    open_chunk(in, &json);
    sb_json_add_raw(&json, "error", error);
    sb_json_add_raw(&json, "choices",
                    in->api == MSG_API_CHAT
                        ? SB_SLICE_LIT("[{\"index\":0,\"delta\":{\"role\":\"assistant\","
                                       "\"content\":\"\"},\"finish_reason\":\"error\"}]")
                        : SB_SLICE_LIT("[{\"index\":0,\"text\":\"\",\"logprobs\":null,"
                                       "\"finish_reason\":\"error\"}]"));
    if (in->usage_json.n > 0)
        sb_json_add_raw(&json, "usage", in->usage_json);
    if (in->metadata_name != NULL)
        sb_json_add_raw(&json, in->metadata_name, in->metadata_json);
    sb_json_close_object(&json);
    rc = sb_json_end(&json);
    return rc == SB_OK ? sb_buf_append(out, SB_SLICE_LIT("\n\n")) : rc;
}
