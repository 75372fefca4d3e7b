/* controlplane/ctl/cmd_key.c - key create, key revoke. */
#include "controlplane/ctl/change.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/input.h"
#include "controlplane/ctl/show.h"

enum { BODY_MAX = 64 * 1024 };

static const char *key_path(struct ctl *ctl)
{
    return sb_arena_printf(ctl->arena, "/admin/v1/keys/%s", ctl_escape(ctl, ctl->args.operands[0]))
        .p;
}

static void add_text(struct sb_json *json, const char *name, const char *text)
{
    if (text != NULL)
        sb_json_add_text(json, name, sb_slice_of(text));
}

/* {"name", "secret", "revision"}: the few that a script wants. */
static void print_made(struct ctl *ctl, yyjson_val *answer, yyjson_val *key)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf text;
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    struct sb_json json;

    sb_buf_init(&text, 4096);
    sb_json_init(&json, &text);
    sb_json_open_object(&json);
    sb_json_add_text(&json, "name", ctl_member_text(key, "name"));
    sb_json_add_text(&json, "secret", ctl_member_text(key, "secret"));
    sb_json_add_u64(&json, "revision", yyjson_get_uint(yyjson_obj_get(answer, "revision")));
    sb_json_close_object(&json);
    if (sb_json_end(&json) == SB_OK && sb_json_read(sb_buf_slice(&text), 4096, &doc, NULL) == SB_OK)
        ctl_print_value(ctl, yyjson_doc_get_root(doc));
}

int ctl_run_key_create(struct ctl *ctl)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf body;
    struct ctl_request request = {.method = "PUT",
                                  .path = key_path(ctl),
                                  .content_type = "application/json",
                                  .fields = {"If-None-Match: *"}};
    yyjson_val *answer = NULL, *key;
    const char *expires = NULL;
    struct sb_json json;
    int status;

    sb_buf_init(&body, BODY_MAX);
    status = ctl_input_expiry(ctl, &expires);
    if (status != CTL_DONE)
        return status;
    sb_json_init(&json, &body);
    sb_json_open_object(&json);
    add_text(&json, "policy", ctl_flag(ctl, "policy"));
    add_text(&json, "tenant", ctl_flag(ctl, "tenant"));
    add_text(&json, "expires_at", expires);
    sb_json_close_object(&json);
    if (sb_json_end(&json) != SB_OK)
        return ctl_misuse(ctl, "these flags are too long");
    request.body = sb_buf_slice(&body);
    status = ctl_call(ctl, &request, &answer);
    if (status != CTL_DONE)
        return status;
    key = yyjson_arr_get_first(yyjson_obj_get(answer, "keys"));
    if (key == NULL)
        return ctl_fail(ctl, "the control plane made no secret for this key");
    if (ctl->format == CTL_AS_TABLE)
        return ctl_change_show(ctl, answer);
    print_made(ctl, answer, key);
    return CTL_DONE;
}

int ctl_run_key_revoke(struct ctl *ctl)
{
    struct ctl_request request = {.method = "DELETE", .path = key_path(ctl)};
    yyjson_val *answer = NULL;
    int status = ctl_call(ctl, &request, &answer);

    return status == CTL_DONE ? ctl_change_show(ctl, answer) : status;
}
