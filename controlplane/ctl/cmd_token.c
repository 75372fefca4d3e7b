/* controlplane/ctl/cmd_token.c - token create, token list, token revoke. */
#include <string.h>

#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/input.h"
#include "controlplane/ctl/show.h"

enum { BODY_MAX = 64 * 1024 };

static const struct ctl_field fields[] = {
    {"NAME", "name", CTL_SHOW_NAME, false},
    {"ROLE", "role", CTL_SHOW_TEXT, false},
    {"STATE", "state", CTL_SHOW_STATE, false},
    {"EXPIRES (UTC)", "expires_at", CTL_SHOW_TIME, false},
    {"LAST USED", "last_used_at", CTL_SHOW_AGE, false},
    {"KINDS", "scope.kinds", CTL_SHOW_TEXT, true},
    {"TENANTS", "scope.tenants", CTL_SHOW_TEXT, true},
    {"MADE BY", "created_by", CTL_SHOW_TEXT, false},
    {"REVOKED BY", "revoked_by", CTL_SHOW_TEXT, false},
};

/* The names of --scope that begin with prefix, as a list of that name. */
static void add_part(struct sb_json *json, const char *name, const char *prefix, const char *scope)
{
    struct sb_slice left = sb_slice_of(scope);
    size_t n = strlen(prefix);
    bool is_open = false;

    while (left.n > 0) {
        size_t comma = sb_slice_find(left, ',');

        if (comma > n && memcmp(left.p, prefix, n) == 0) {
            if (!is_open)
                sb_json_add_array(json, name);
            is_open = true;
            sb_json_put_text(json, sb_slice_make(left.p + n, comma - n));
        }
        left = sb_slice_from(left, comma < left.n ? comma + 1 : comma);
    }
    if (is_open)
        sb_json_close_array(json);
}

static bool is_scope(const char *scope)
{
    struct sb_slice left = sb_slice_of(scope);

    if (left.n == 0 || left.p[left.n - 1] == ',')
        return false;
    while (left.n > 0) {
        size_t comma = sb_slice_find(left, ',');

        if (!(comma > strlen("kind:") && memcmp(left.p, "kind:", strlen("kind:")) == 0) &&
            !(comma > strlen("tenant:") && memcmp(left.p, "tenant:", strlen("tenant:")) == 0))
            return false;
        left = sb_slice_from(left, comma < left.n ? comma + 1 : comma);
    }
    return true;
}

static int make_body(struct ctl *ctl, struct sb_buf *body)
{
    const char *role = ctl_flag(ctl, "role"), *scope = ctl_flag(ctl, "scope");
    const char *expires = NULL;
    struct sb_json json;
    int status;

    if (role == NULL)
        return ctl_misuse(ctl, "--role is missing: viewer, auditor, operator or admin");
    if (scope != NULL && !is_scope(scope))
        return ctl_misuse(ctl, "--scope %s is no scope: kind:keys,tenant:acme is", scope);
    status = ctl_input_expiry(ctl, &expires);
    if (status != CTL_DONE)
        return status;
    sb_json_init(&json, body);
    sb_json_open_object(&json);
    sb_json_add_text(&json, "name", sb_slice_of(ctl->args.operands[0]));
    sb_json_add_text(&json, "role", sb_slice_of(role));
    if (expires != NULL)
        sb_json_add_text(&json, "expires_at", sb_slice_of(expires));
    if (scope != NULL) {
        sb_json_add_object(&json, "scope");
        add_part(&json, "kinds", "kind:", scope);
        add_part(&json, "tenants", "tenant:", scope);
        sb_json_close_object(&json);
    }
    sb_json_close_object(&json);
    if (sb_json_end(&json) != SB_OK)
        return ctl_misuse(ctl, "these flags are too long");
    return CTL_DONE;
}

int ctl_run_token_create(struct ctl *ctl)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf body;
    struct ctl_request request = {
        .method = "POST", .path = "/admin/v1/tokens", .content_type = "application/json"};
    yyjson_val *made = NULL;
    int status;

    sb_buf_init(&body, BODY_MAX);
    status = make_body(ctl, &body);
    if (status != CTL_DONE)
        return status;
    request.body = sb_buf_slice(&body);
    status = ctl_call(ctl, &request, &made);
    if (status != CTL_DONE)
        return status;
    if (ctl->format != CTL_AS_TABLE) {
        ctl_print_value(ctl, made);
        return CTL_DONE;
    }
    ctl_print(ctl, "token ");
    ctl_print_styled(ctl, CTL_NAME, ctl_member_text(made, "name"));
    ctl_print(ctl, " (%.*s): ", SB_SLICE_ARGS(ctl_member_text(made, "role")));
    ctl_print_styled(ctl, CTL_BOLD, ctl_member_text(made, "secret"));
    ctl_print(ctl, "\n");
    ctl_note(ctl, "Keep it: it is stored nowhere and never shown again.");
    return CTL_DONE;
}

int ctl_run_token_list(struct ctl *ctl)
{
    yyjson_val *list = NULL;
    int status = ctl_get_list(ctl, "/admin/v1/tokens", NULL, CTL_ALL, &list);

    if (status != CTL_DONE)
        return status;
    if (ctl->format != CTL_AS_TABLE)
        ctl_print_value(ctl, list);
    else
        ctl_show_list(ctl, list, fields, SB_ARRAY_LEN(fields),
                      "there is no token but that of the file");
    return CTL_DONE;
}

int ctl_run_token_revoke(struct ctl *ctl)
{
    struct ctl_request request = {.method = "DELETE"};
    yyjson_val *token = NULL;
    int status;

    request.path =
        sb_arena_printf(ctl->arena, "/admin/v1/tokens/%s", ctl_escape(ctl, ctl->args.operands[0]))
            .p;
    status = ctl_call(ctl, &request, &token);
    if (status != CTL_DONE)
        return status;
    if (ctl->format != CTL_AS_TABLE)
        ctl_print_value(ctl, token);
    else
        ctl_print(ctl, "revoked: no daemon takes the token any more\n");
    return CTL_DONE;
}
