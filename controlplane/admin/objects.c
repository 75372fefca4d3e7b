/* controlplane/admin/objects.c - providers, models, endpoints, tenants, keys,
 * policies, credentials: all are served alike. */
#include "controlplane/admin/call.h"
#include "controlplane/admin/routes.h"
#include "controlplane/admin/written.h"

enum { PUT_TRIES = 10 /* when others keep changing something */ };

static enum cp_kind kind_of(const struct cp_call *call)
{
    return (enum cp_kind)call->route->kind;
}

/* The revision goes out with what was read, to be sent back in If-Match.  It is
 * read before the object, so that a change in between makes a needless conflict
 * at worst. */
static int tag_reply(struct cp_call *call)
{
    struct msg_version head;
    int rc = cp_call_store(call);

    if (rc == SB_OK)
        rc = cp_store_head(call->store, &head);
    if (rc != SB_OK)
        return rc;
    cp_call_tag(call, head.revision);
    return SB_OK;
}

int cp_serve_list(struct cp_call *call)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf list;
    struct cp_page page;
    int rc;

    sb_buf_init(&list, CP_HTTP_ANSWER_MAX);
    rc = cp_call_page(call, &page);
    page.tenants = cp_scope_tenants_json(&call->who.scope, call->arena);
    if (rc == SB_OK)
        rc = tag_reply(call);
    if (rc == SB_OK)
        rc = cp_store_list(call->store, kind_of(call), &page, &list);
    if (rc != SB_OK)
        return rc;
    return cp_call_reply_list(call, sb_buf_slice(&list), page.cursor);
}

static int say_missing(struct cp_call *call)
{
    return sb_err_set(&call->err, SB_ENOENT, "there is no %s '%.*s'", cp_kind_one(kind_of(call)),
                      call->args[0].n < 150 ? (int)call->args[0].n : 150, call->args[0].p);
}

/* An object that was read must be of a tenant that the token is limited to. */
static int check_tenant(struct cp_call *call)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    struct sb_slice text = sb_buf_slice(&call->reply->body), tenant = call->args[0];
    int rc;

    if (call->who.scope.tenants == NULL)
        return SB_OK;
    rc = sb_json_read(text, text.n, &doc, NULL);
    if (rc != SB_OK)
        return rc;
    if (kind_of(call) != CP_TENANTS)
        tenant = sb_json_text(yyjson_obj_get(yyjson_doc_get_root(doc), "tenant"));
    if (cp_scope_has_tenant(&call->who.scope, tenant))
        return SB_OK;
    return sb_err_set(&call->err, SB_EFORBIDDEN,
                      "the %s '%.*s' is outside of the scope of the token '%s'; a token with it in "
                      "its scope, or without a scope, may",
                      cp_kind_one(kind_of(call)), call->args[0].n < 80 ? (int)call->args[0].n : 80,
                      call->args[0].p, call->who.name);
}

int cp_serve_get(struct cp_call *call)
{
    struct sb_json json;
    int rc = tag_reply(call);

    if (rc != SB_OK)
        return rc;
    cp_call_json(call, 200, &json);
    rc = cp_store_get(call->store, kind_of(call), call->args[0], &call->reply->body);
    if (rc == SB_ENOENT)
        return say_missing(call);
    if (rc == SB_OK)
        rc = check_tenant(call);
    return rc == SB_OK ? sb_buf_append_byte(&call->reply->body, '\n') : rc;
}

/* If-None-Match: *, the object must not be there.  That is checked before the
 * change, which then takes place only if nothing else has changed since. */
static int check_absent(struct cp_call *call, struct cp_change *change)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf object;
    struct msg_version head;
    int rc = cp_store_head(call->store, &head);

    sb_buf_init(&object, CP_HTTP_BODY_MAX);
    if (rc == SB_OK)
        rc = cp_store_get(call->store, kind_of(call), call->args[0], &object);
    if (rc == SB_OK)
        return sb_err_set(&call->err, SB_EEXIST, "there is a %s '%.*s' already",
                          cp_kind_one(kind_of(call)),
                          call->args[0].n < 150 ? (int)call->args[0].n : 150, call->args[0].p);
    if (rc != SB_ENOENT)
        return rc;
    change->if_match = head.revision;
    return SB_OK;
}

static int put_new(struct cp_call *call, struct sb_slice body, struct cp_change *change,
                   struct cp_answer *answer)
{
    int rc = SB_ECONFLICT;

    for (int i = 0; rc == SB_ECONFLICT && i < PUT_TRIES; i++) {
        rc = check_absent(call, change);
        if (rc != SB_OK) {
            answer->err = call->err;
            return rc;
        }
        cp_answer_init(answer, call->arena);
        rc = cp_store_put(call->store, kind_of(call), call->args[0], body, change, answer);
    }
    return rc;
}

int cp_serve_put(struct cp_call *call)
{
    bool must_be_new = sb_slice_is(cp_http_header(call->request, "If-None-Match"), "*");
    struct sb_slice body = call->request->body;
    enum cp_doc_format format;
    struct cp_change change;
    struct cp_answer answer;
    int rc = cp_written_format(call, &format); /* the store tells them apart by itself */

    if (rc == SB_OK)
        rc = cp_written_begin(call, &change, &answer);
    if (rc != SB_OK)
        return rc;
    if (body.n == 0) /* all of a new key, or of a tenant, is its name */
        body = SB_SLICE_LIT("{}");
    if (must_be_new)
        rc = put_new(call, body, &change, &answer);
    else
        rc = cp_store_put(call->store, kind_of(call), call->args[0], body, &change, &answer);
    return cp_written_reply(call, rc, &change, &answer, true);
}

int cp_serve_patch(struct cp_call *call)
{
    enum cp_doc_format format;
    struct cp_change change;
    struct cp_answer answer;
    int rc = cp_written_format(call, &format);

    if (rc == SB_OK)
        rc = cp_written_begin(call, &change, &answer);
    if (rc != SB_OK)
        return rc;
    rc = cp_store_patch(call->store, kind_of(call), call->args[0], call->request->body, &change,
                        &answer);
    return cp_written_reply(call, rc, &change, &answer, false);
}

int cp_serve_delete(struct cp_call *call)
{
    struct cp_change change;
    struct cp_answer answer;
    int rc = cp_written_begin(call, &change, &answer);

    if (rc != SB_OK)
        return rc;
    rc = cp_store_delete(call->store, kind_of(call), call->args[0], &change, &answer);
    if (rc == SB_EINVAL) { /* nothing is wrong with the request, but with its moment */
        call->problems = answer.problems;
        cp_call_refuse(call, 409, "in_use", "others refer to it");
        return SB_OK;
    }
    return cp_written_reply(call, rc, &change, &answer, false);
}
