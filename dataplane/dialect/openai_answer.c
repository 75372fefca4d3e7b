/* dataplane/dialect/openai_answer.c - answers of the openai dialect, whole and
 * event by event.
 *
 * Mostly the provider's own bytes, with id, model, provider and usage put in.
 * What strict clients reject is mended: null members, choices without index,
 * delta or finish_reason; what they do not find, reasoning by another name.
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/err.h"
#include "common/json.h"
#include "dataplane/dialect/openai.h"
#include "dataplane/dialect/openai_facts.h"
#include "dataplane/dialect/openai_repeat.h"

enum {
    MEMBERS = 32,        /* of an answer; more is no answer */
    CHOICE_MEMBERS = 16, /* of a choice, a delta, a message */
    EDITS = 16,
    MENDED_MORE = 64, /* bytes that mending may add to a choice */
};

/* --- errors ---------------------------------------------------------------- */

static void note_error(struct dp_incoming *in, struct sb_slice value)
{
    struct dp_openai_error error = {.status = 0};

    dp_openai_read_error(value, in->arena, &error);
    in->has_error = true;
    in->error_status = error.status;
    if (!dp_openai_error_is_private(&error))
        in->error_message = error.message;
}

/* An "error" member that says something, or a choice that ended by one. */
static bool read_error(struct dp_incoming *in, const struct sb_splice *doc,
                       const struct dp_openai_facts *facts)
{
    const struct sb_splice_member *member = dp_openai_find(&facts->index, doc, DP_OPENAI_ERROR);

    if (member != NULL && member->type != SB_SPLICE_NULL && member->type != SB_SPLICE_FALSE &&
        member->value_n > 2) /* "", {} */
        note_error(in, sb_splice_value(doc, member));
    else if (facts->has_error)
        note_error(in, facts->error);
    return in->has_error;
}

/* --- mending --------------------------------------------------------------- */

/* Appends a message or delta without the nulls that clients reject, and with
 * its reasoning by the name that they know. */
static int mend_message(struct sb_slice value, struct sb_buf *out)
{
    const struct sb_splice_member *reasoning, *other;
    struct sb_splice_member table[CHOICE_MEMBERS];
    struct sb_splice_edit changes[CHOICE_MEMBERS + 1];
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
            !dp_openai_may_be_null(sb_splice_name(&doc, &doc.members[i])))
            rc = sb_splice_cut(&edits, &doc.members[i]);
    reasoning = sb_splice_find(&doc, DP_OPENAI_REASONING);
    other = sb_splice_find(&doc, DP_OPENAI_OTHER_REASONING);
    if (rc == SB_OK && other != NULL && other->type == SB_SPLICE_STRING) {
        if (reasoning == NULL)
            rc = sb_splice_append(&edits, DP_OPENAI_REASONING, sb_splice_value(&doc, other));
        else if (reasoning->type == SB_SPLICE_NULL)
            rc = sb_splice_replace(&edits, reasoning, sb_splice_value(&doc, other));
    }
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

    sb_buf_init(&mended, 2 * value.n + MENDED_MORE); /* at most doubled: all is reasoning */
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
    struct sb_splice_member table[DP_OPENAI_CHOICES_MAX];
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
    bool embeddings = in->api == MSG_API_EMBEDDINGS;
    const struct sb_splice_member *member;
    struct sb_splice *doc = &in->answer;
    struct dp_openai_facts facts;

    sb_splice_init(doc, sb_arena_alloc_raw(in->arena, MEMBERS * sizeof(*doc->members)), MEMBERS);
    if (dp_openai_facts_read(&facts, in, body, false, doc) != SB_OK)
        return SB_EPARSE;
    /* also beside choices: they are a part of what was asked for */
    if (read_error(in, doc, &facts))
        return SB_OK;
    member = dp_openai_find(&facts.index, doc, embeddings ? DP_OPENAI_DATA : DP_OPENAI_CHOICES);
    if (member == NULL || member->type != SB_SPLICE_ARRAY || (!embeddings && facts.choices == 0))
        return SB_EPARSE;
    dp_openai_facts_note(&facts, in);
    if (embeddings) {
        in->repair = false;
        in->has_content = member->value_n > 2;
    }
    return SB_OK;
}

/* A document, where its members are, and what is to be changed. */
struct revision {
    const struct sb_splice *doc;
    struct dp_openai_index index;
    struct sb_splice_edits edits;
    struct sb_splice_edit changes[EDITS];
    char created[24];
};

static void revision_init(struct revision *r, const struct sb_splice *doc,
                          const struct dp_openai_index *index)
{
    r->doc = doc;
    r->index = *index;
    sb_splice_edits_init(&r->edits, doc, r->changes, SB_ARRAY_LEN(r->changes));
}

/* Replaces a member's value, or adds it. */
static int put(struct revision *r, enum dp_openai_member which, struct sb_slice value)
{
    const struct sb_splice_member *member = dp_openai_find(&r->index, r->doc, which);

    return member != NULL ? sb_splice_replace(&r->edits, member, value)
                          : sb_splice_append(&r->edits, dp_openai_member_name(which), value);
}

/* Adds a member that is not there. */
static int need(struct revision *r, enum dp_openai_member which, struct sb_slice value)
{
    return r->index.at[which] != 0
               ? SB_OK
               : sb_splice_append(&r->edits, dp_openai_member_name(which), value);
}

static int put_identity(struct revision *r, const struct dp_incoming *in)
{
    int rc = SB_OK;

    if (in->api != MSG_API_EMBEDDINGS && r->index.at[DP_OPENAI_CREATED] == 0) {
        int n = snprintf(r->created, sizeof(r->created), "%" PRId64, in->created);

        rc = need(r, DP_OPENAI_CREATED, sb_slice_make(r->created, (size_t)n));
    }
    if (rc == SB_OK)
        rc = put(r, DP_OPENAI_ID, in->id_json);
    if (rc == SB_OK)
        rc = put(r, DP_OPENAI_MODEL, in->model_json);
    return rc == SB_OK ? put(r, DP_OPENAI_PROVIDER, in->provider_json) : rc;
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

/* Puts a sound copy of the choices into mended. */
static int mend(struct revision *r, const struct dp_incoming *in, bool streamed,
                struct sb_buf *mended)
{
    const struct sb_splice_member *choices = dp_openai_find(&r->index, r->doc, DP_OPENAI_CHOICES);
    int rc;

    if (!in->repair || choices == NULL)
        return SB_OK;
    rc = mend_choices(sb_splice_value(r->doc, choices), dp_openai_message_name(in->api, streamed),
                      mended);
    return rc == SB_OK ? sb_splice_replace(&r->edits, choices, sb_buf_slice(mended)) : rc;
}

int dp_openai_write_answer(struct dp_incoming *in, struct sb_buf *out)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf mended;
    struct sb_slice metadata;
    const struct sb_splice_member *member;
    struct dp_openai_index index;
    struct revision r;
    int rc;

    dp_openai_index_make(&index, &in->answer);
    sb_buf_init(&mended, 2 * in->answer.text.n + (size_t)DP_OPENAI_CHOICES_MAX * MENDED_MORE);
    revision_init(&r, &in->answer, &index);
    rc = put_identity(&r, in);
    if (rc == SB_OK)
        rc = need(&r, DP_OPENAI_OBJECT, object_of(in->api, false));
    if (rc == SB_OK && in->api == MSG_API_CHAT)
        rc = need(&r, DP_OPENAI_FINGERPRINT, SB_SLICE_LIT("null"));
    if (rc == SB_OK)
        rc = mend(&r, in, false, &mended);
    if (rc == SB_OK && in->usage_json.n > 0)
        rc = put(&r, DP_OPENAI_USAGE, in->usage_json);
    if (rc == SB_OK && in->metadata_name != NULL) {
        metadata = sb_slice_of(in->metadata_name);
        member = sb_splice_find(r.doc, metadata);
        rc = member != NULL ? sb_splice_replace(&r.edits, member, in->metadata_json)
                            : sb_splice_append(&r.edits, metadata, in->metadata_json);
    }
    return rc == SB_OK ? sb_splice_emit(&r.edits, out) : rc;
}

/* --- streams --------------------------------------------------------------- */

/* Writes one chunk as the client gets it. */
static int write_chunk(const struct dp_incoming *in, const struct sb_splice *doc,
                       const struct dp_openai_index *index, struct sb_buf *out)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf mended;
    const struct sb_splice_member *member;
    struct revision r;
    int rc;

    sb_buf_init(&mended, 2 * doc->text.n + (size_t)DP_OPENAI_CHOICES_MAX * MENDED_MORE);
    revision_init(&r, doc, index);
    rc = put_identity(&r, in);
    if (rc == SB_OK)
        rc = need(&r, DP_OPENAI_OBJECT, object_of(in->api, true));
    /* Usage comes once, in our last chunk. */
    member = dp_openai_find(&r.index, doc, DP_OPENAI_USAGE);
    if (rc == SB_OK && member != NULL)
        rc = sb_splice_cut(&r.edits, member);
    member = dp_openai_find(&r.index, doc, DP_OPENAI_FINGERPRINT);
    if (rc == SB_OK && member != NULL && member->type == SB_SPLICE_NULL)
        rc = sb_splice_cut(&r.edits, member);
    if (rc == SB_OK)
        rc = mend(&r, in, true, &mended);
    if (rc == SB_OK)
        rc = sb_buf_append(out, SB_SLICE_LIT("data: "));
    if (rc == SB_OK)
        rc = sb_splice_emit(&r.edits, out);
    return rc == SB_OK ? sb_buf_append(out, SB_SLICE_LIT("\n\n")) : rc;
}

/* Whether another chunk may differ from this one in nothing but its text. */
static bool is_plain_text(const struct dp_openai_facts *facts)
{
    return facts->choices == 1 && facts->strings == 1 && !facts->has_parts && !facts->repair &&
           !facts->has_usage && facts->finish.n == 0;
}

/* Writes a chunk, and keeps it for the next one to be compared with. */
static int write_chunk_of(struct dp_incoming *in, const struct dp_openai_facts *facts,
                          const struct sb_splice *doc, struct sb_buf *out)
{
    size_t before = sb_buf_len(out);
    int rc = write_chunk(in, doc, &facts->index, out);

    if (rc == SB_OK && is_plain_text(facts))
        dp_openai_repeat_keep(&in->repeat, in->arena, doc->text, facts->content,
                              sb_slice_from(sb_buf_slice(out), before));
    return rc;
}

int dp_openai_on_event(struct dp_incoming *in, const struct sb_sse_event *event, struct sb_buf *out)
{
    struct sb_splice_member table[MEMBERS];
    struct dp_openai_facts facts;
    struct sb_slice content;
    struct sb_splice doc;

    if (!event->has_data)
        return SB_OK;
    if (dp_openai_repeat_is(in->repeat, event->data, &content)) {
        in->has_content |= content.n > 0;
        in->content_bytes += content.n;
        return dp_openai_repeat_write(in->repeat, content, out);
    }
    if (sb_slice_is(event->data, "[DONE]")) {
        in->is_done = true;
        return SB_OK;
    }
    sb_splice_init(&doc, table, SB_ARRAY_LEN(table));
    if (dp_openai_facts_read(&facts, in, event->data, true, &doc) != SB_OK) {
        in->bad_events++;
        return SB_OK;
    }
    if (read_error(in, &doc, &facts))
        return SB_OK;
    dp_openai_facts_note(&facts, in);
    /* usage from before the end may be that of a part: some send it all along */
    if (facts.has_usage && in->finished >= in->n)
        in->is_told = true;
    /* usage only, or something that is no chunk */
    return facts.choices > 0 ? write_chunk_of(in, &facts, &doc, out) : SB_OK;
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
