/* controlplane/ctl/cmd_config.c - apply, get, delete. */
#include <string.h>

#include "common/secret.h"
#include "controlplane/ctl/change.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/input.h"
#include "controlplane/ctl/kinds.h"

enum { FILE_MAX = 64 << 20 };

/* --- apply ------------------------------------------------------------------------ */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

/* What is neither is told apart by the control plane. */
static const char *content_type(const char *path)
{
    if (ends_with(path, ".json"))
        return "application/json";
    if (ends_with(path, ".yaml") || ends_with(path, ".yml"))
        return "application/yaml";
    return "text/plain";
}

int ctl_run_apply(struct ctl *ctl)
{
    const char *path = ctl_flag(ctl, "file"), *if_match = ctl_flag(ctl, "if-match");
    struct ctl_query query = {.ctl = ctl};
    struct ctl_request request = {.method = "PUT"};
    yyjson_val *answer = NULL;
    struct sb_buf text;
    int status;

    if (path == NULL)
        return ctl_misuse(ctl, "apply wants -f FILE");
    sb_buf_init(&text, FILE_MAX);
    status = ctl_input_read(ctl, path, &text);
    if (status == CTL_DONE) {
        ctl_change_query(&query);
        ctl_query_add_switch(&query, "prune", "prune");
        request.path = ctl_query_path(&query, "/admin/v1/catalog");
        request.content_type = content_type(path);
        request.body = sb_buf_slice(&text);
        if (if_match != NULL)
            request.fields[0] = sb_arena_printf(ctl->arena, "If-Match: %s", if_match).p;
        ctl->doing = "applying";
        status = ctl_call(ctl, &request, &answer);
    }
    if (text.data != NULL) /* it may hold secrets */
        sb_secret_wipe(text.data, text.size);
    sb_buf_release(&text);
    if (status == CTL_FAILED && ctl->status == 409 && if_match == NULL && !ctl_has(ctl, "force"))
        ctl_note(ctl, "If that is what you want: apply --force");
    return status == CTL_DONE ? ctl_change_show(ctl, answer) : status;
}

/* --- get and delete -------------------------------------------------------------------- */

static int find_kind(struct ctl *ctl, const struct ctl_kind **ret_kind)
{
    const char *guess = NULL;

    *ret_kind = ctl_kind_find(sb_slice_of(ctl->args.operands[0]), &guess);
    if (*ret_kind != NULL)
        return CTL_DONE;
    if (guess != NULL)
        return ctl_misuse(ctl, "there is no kind '%s'; did you mean '%s'?", ctl->args.operands[0],
                          guess);
    return ctl_misuse(ctl,
                      "there is no kind '%s'; there are providers, models, endpoints, "
                      "tenants, keys, policies and credentials",
                      ctl->args.operands[0]);
}

static const char *object_path(struct ctl *ctl, const struct ctl_kind *kind)
{
    return sb_arena_printf(ctl->arena, "/admin/v1/%s/%s", kind->many,
                           ctl_escape(ctl, ctl->args.operands[1]))
        .p;
}

static int get_all(struct ctl *ctl, const struct ctl_kind *kind)
{
    const char *path = sb_arena_printf(ctl->arena, "/admin/v1/%s", kind->many).p;
    yyjson_val *list = NULL;
    int status = ctl_get_list(ctl, path, NULL, CTL_ALL, &list);

    if (status != CTL_DONE)
        return status;
    if (ctl->format != CTL_AS_TABLE)
        ctl_print_value(ctl, list);
    else
        ctl_show_list(ctl, list, kind->fields, kind->n_fields,
                      sb_arena_printf(ctl->arena, "there are no %s", kind->many).p);
    return CTL_DONE;
}

int ctl_run_get(struct ctl *ctl)
{
    const struct ctl_kind *kind = NULL;
    yyjson_val *object = NULL;
    int status = find_kind(ctl, &kind);

    if (status != CTL_DONE)
        return status;
    if (ctl->args.n_operands < 2)
        return get_all(ctl, kind);
    status = ctl_get(ctl, object_path(ctl, kind), &object);
    if (status != CTL_DONE)
        return status;
    if (ctl->format != CTL_AS_TABLE)
        ctl_print_value(ctl, object);
    else
        ctl_show_object(ctl, object);
    return CTL_DONE;
}

int ctl_run_delete(struct ctl *ctl)
{
    const struct ctl_kind *kind = NULL;
    struct ctl_query query = {.ctl = ctl};
    struct ctl_request request = {.method = "DELETE"};
    yyjson_val *answer = NULL;
    int status = find_kind(ctl, &kind);

    if (status != CTL_DONE)
        return status;
    ctl_change_query(&query);
    request.path = ctl_query_path(&query, object_path(ctl, kind));
    status = ctl_call(ctl, &request, &answer);
    return status == CTL_DONE ? ctl_change_show(ctl, answer) : status;
}
