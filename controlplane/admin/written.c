/* controlplane/admin/written.c */
#include "controlplane/admin/written.h"

#include <inttypes.h>

#include "common/log.h"
#include "common/num.h"
#include "common/secret.h"
#include "controlplane/admin/call.h"
#include "controlplane/admin/routes.h"

/* A revision, as a number or as an entity tag; "*" is any. */
static int read_if_match(struct cp_call *call, uint64_t *ret_revision)
{
    struct sb_slice text = cp_http_header(call->request, "If-Match");

    *ret_revision = CP_ANY_REVISION;
    if (text.n == 0 || sb_slice_is(text, "*"))
        return SB_OK;
    if (text.n >= 2 && text.p[0] == '"' && text.p[text.n - 1] == '"')
        text = sb_slice_make(text.p + 1, text.n - 2);
    if (!sb_num_read_u64(text, ret_revision)) {
        cp_problems_add(&call->problems, SB_SLICE_LIT("If-Match"), 0,
                        "is not a revision: a number is");
        return SB_EINVAL;
    }
    return SB_OK;
}

int cp_written_begin(struct cp_call *call, struct cp_change *ret_change,
                     struct cp_answer *ret_answer)
{
    const struct cp_actor actor = cp_call_actor(call);
    int rc;

    *ret_change = (struct cp_change){
        .author = actor.name,
        .role = actor.role,
        .address = actor.address,
        .scope = &call->who.scope,
        .note = cp_call_param(call, "note"),
        .dry_run = cp_call_flag(call, "dry_run"),
        .force = cp_call_flag(call, "force"),
        .prune = cp_call_flag(call, "prune"),
    };
    (void)read_if_match(call, &ret_change->if_match);
    cp_answer_init(ret_answer, call->arena);
    rc = cp_call_check(call);
    return rc == SB_OK ? cp_call_store(call) : rc;
}

int cp_written_format(struct cp_call *call, enum cp_doc_format *ret_format)
{
    static const struct {
        const char *type;
        enum cp_doc_format format;
    } types[] = {
        {"application/json", CP_DOC_JSON},
        {"application/merge-patch+json", CP_DOC_JSON},
        {"application/yaml", CP_DOC_YAML},
        {"application/x-yaml", CP_DOC_YAML},
        {"text/yaml", CP_DOC_YAML},
        {"text/x-yaml", CP_DOC_YAML},
        /* what curl says unless it is told */
        {"application/x-www-form-urlencoded", CP_DOC_AUTO},
        {"application/octet-stream", CP_DOC_AUTO},
        {"text/plain", CP_DOC_AUTO},
        {"", CP_DOC_AUTO},
    };
    struct sb_slice type = cp_http_header(call->request, "Content-Type");

    type.n = sb_slice_find(type, ';');
    while (type.n > 0 && type.p[type.n - 1] == ' ')
        type.n--;
    for (size_t i = 0; i < SB_ARRAY_LEN(types); i++) {
        if (sb_slice_eq_nocase(type, sb_slice_of(types[i].type))) {
            *ret_format = types[i].format;
            return SB_OK;
        }
    }
    return sb_err_set(&call->err, SB_EUNSUPPORTED,
                      "the content type '%.*s' is neither JSON nor YAML", SB_LOG_SLICE(type));
}

/* --- the reply ------------------------------------------------------------------------ */

/* The only place where a made key is shown: here, once. */
static void add_keys(struct sb_json *json, const struct cp_made_key *made)
{
    if (made == NULL)
        return;
    sb_json_add_array(json, "keys");
    for (; made != NULL; made = made->next) {
        sb_json_open_object(json);
        sb_json_add_text(json, "name", made->name);
        sb_json_add_text(json, "secret", sb_secret_expose(made->secret));
        sb_json_close_object(json);
    }
    sb_json_close_array(json);
}

static void add_notes(struct sb_json *json, const struct cp_note *note)
{
    sb_json_add_array(json, "notes");
    for (; note != NULL; note = note->next)
        sb_json_put_text(json, note->text);
    sb_json_close_array(json);
}

static int reply(struct cp_call *call, const struct cp_change *change,
                 const struct cp_result *result, bool is_put)
{
    struct sb_json json;

    cp_call_tag(call, result->version.revision);
    cp_call_json(call, is_put && result->added > 0 && !change->dry_run ? 201 : 200, &json);
    sb_json_open_object(&json);
    sb_json_add_u64(&json, "epoch", result->version.epoch);
    sb_json_add_u64(&json, "revision", result->version.revision);
    sb_json_add_bool(&json, "dry_run", change->dry_run);
    sb_json_add_bool(&json, "is_changed", result->changed);
    sb_json_add_u64(&json, "added", result->added);
    sb_json_add_u64(&json, "changed", result->changed_objects);
    sb_json_add_u64(&json, "removed", result->removed);
    sb_json_add_raw(&json, "difference",
                    result->difference.n > 0 ? result->difference : SB_SLICE_LIT("[]"));
    add_notes(&json, result->notes);
    add_keys(&json, result->made);
    sb_json_close_object(&json);
    return cp_call_json_end(call, &json);
}

int cp_written_reply(struct cp_call *call, int rc, const struct cp_change *change,
                     struct cp_answer *answer, bool is_put)
{
    const struct cp_result *result = &answer->result;

    if (rc != SB_OK) {
        call->err = answer->err;
        call->problems = answer->problems;
        return rc;
    }
    if (result->changed && !change->dry_run)
        sb_log_info(ADMIN,
                    "changed the configuration revision=%" PRIu64
                    " by=%s role=%s address=%s call=%s added=%" PRIu64 " changed=%" PRIu64
                    " removed=%" PRIu64 " id=%s",
                    result->version.revision, call->who.name, cp_role_name(call->who.role),
                    call->request->peer, call->route->id, result->added, result->changed_objects,
                    result->removed, call->request->id);
    return reply(call, change, result, is_put);
}
