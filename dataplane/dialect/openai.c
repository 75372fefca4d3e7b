/* dataplane/dialect/openai.c - what goes to a provider that speaks the clients'
 * own language.
 *
 * The client's bytes go out as they are; only members that must change are
 * changed (ROUTING.md 9).
 */
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

static void list_pieces(const struct dp_outgoing *o, const struct sb_splice_edits *edits,
                        struct dp_pieces *ret_body)
{
    size_t room = DP_PIECES_HEAD + sb_splice_pieces_max(edits);

    ret_body->list = sb_arena_alloc_raw(o->arena, room * sizeof(*ret_body->list));
    ret_body->n = DP_PIECES_HEAD + sb_splice_pieces(edits, ret_body->list + DP_PIECES_HEAD);
}

static int encode(const struct dp_outgoing *o, struct dp_pieces *ret_body)
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
    if (rc == SB_OK)
        list_pieces(o, &edits, ret_body);
    return rc;
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
    .classify = dp_openai_classify,
};
