/* controlplane/ctl/cmd_history.c - revisions, revision, rollback. */
#include "common/num.h"
#include "controlplane/ctl/change.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/diff.h"
#include "controlplane/ctl/show.h"

static const struct ctl_field fields[] = {
    {"REVISION", "revision", CTL_SHOW_VERSION, false},
    {"WHEN (UTC)", "at", CTL_SHOW_TIME, false},
    {"WHO", "author", CTL_SHOW_NAME, false},
    {"AS", "role", CTL_SHOW_TEXT, false},
    {"FROM", "address", CTL_SHOW_TEXT, false},
    {"ACTION", "action", CTL_SHOW_TEXT, false},
    {"ADDED", "added", CTL_SHOW_COUNT, false},
    {"CHANGED", "changed", CTL_SHOW_COUNT, false},
    {"REMOVED", "removed", CTL_SHOW_COUNT, false},
    {"NOTE", "note", CTL_SHOW_TEXT, true},
};
static const unsigned leaves[SB_ARRAY_LEN(fields)] = {0, 0, 0, 0, 1, 0, 0, 0, 0, 0};

int ctl_run_revisions(struct ctl *ctl)
{
    const char *limit = ctl_flag(ctl, "limit");
    yyjson_val *list = NULL;
    uint64_t most = 20;
    int status;

    if (limit != NULL && (!sb_num_read_u64(sb_slice_of(limit), &most) || most == 0 || most > 1000))
        return ctl_misuse(ctl, "--limit %s is not a number from 1 to 1000", limit);
    status = ctl_get_list(ctl, "/admin/v1/revisions", NULL, (size_t)most, &list);
    if (status != CTL_DONE)
        return status;
    if (ctl->format != CTL_AS_TABLE)
        ctl_print_value(ctl, list);
    else
        ctl_show_fitted(ctl, list, fields, leaves, SB_ARRAY_LEN(fields),
                        "nothing has been changed yet");
    return CTL_DONE;
}

static int revision_path(struct ctl *ctl, const char *end, const char **ret_path)
{
    uint64_t revision;

    if (!sb_num_read_u64(sb_slice_of(ctl->args.operands[0]), &revision))
        return ctl_misuse(ctl, "'%s' is not a revision: a number is", ctl->args.operands[0]);
    *ret_path =
        sb_arena_printf(ctl->arena, "/admin/v1/revisions/%s%s", ctl->args.operands[0], end).p;
    return CTL_DONE;
}

/* Of those that are known; the prober, for one, has neither. */
static void print_origin(struct ctl *ctl, struct sb_slice role, struct sb_slice address)
{
    if (role.n > 0)
        ctl_print(ctl, " as %.*s", SB_SLICE_ARGS(role));
    if (address.n > 0)
        ctl_print(ctl, " from %.*s", SB_SLICE_ARGS(address));
}

static void print_head(struct ctl *ctl, yyjson_val *revision)
{
    struct sb_slice note = ctl_member_text(revision, "note");
    struct sb_slice when = ctl_words(ctl->arena, yyjson_obj_get(revision, "at"), CTL_SHOW_TIME, 0);

    ctl_print(ctl, "revision %llu, %.*s UTC, by ",
              (unsigned long long)yyjson_get_uint(yyjson_obj_get(revision, "revision")),
              SB_SLICE_ARGS(when));
    ctl_print_styled(ctl, CTL_NAME, ctl_member_text(revision, "author"));
    print_origin(ctl, ctl_member_text(revision, "role"), ctl_member_text(revision, "address"));
    ctl_print(ctl, " (%.*s)\n", SB_SLICE_ARGS(ctl_member_text(revision, "action")));
    if (note.n > 0) {
        ctl_print_styled(ctl, CTL_PLAIN, note);
        ctl_print(ctl, "\n");
    }
    ctl_print(ctl, "\n");
}

int ctl_run_revision(struct ctl *ctl)
{
    struct ctl_query query = {.ctl = ctl};
    yyjson_val *revision = NULL;
    const char *path = NULL;
    int status = revision_path(ctl, "", &path);

    if (status != CTL_DONE)
        return status;
    ctl_query_add(&query, "since", ctl_flag(ctl, "since"));
    status = ctl_get(ctl, ctl_query_path(&query, path), &revision);
    if (status != CTL_DONE)
        return status;
    if (ctl->format != CTL_AS_TABLE) {
        ctl_print_value(ctl, revision);
        return CTL_DONE;
    }
    if (ctl_member(revision, "author") != NULL)
        print_head(ctl, revision);
    ctl_diff_print(ctl, yyjson_obj_get(revision, "difference"));
    return CTL_DONE;
}

int ctl_run_rollback(struct ctl *ctl)
{
    struct ctl_query query = {.ctl = ctl};
    struct ctl_request request = {.method = "POST"};
    yyjson_val *answer = NULL;
    const char *path = NULL;
    int status = revision_path(ctl, "/rollback", &path);

    if (status != CTL_DONE)
        return status;
    ctl_change_query(&query);
    request.path = ctl_query_path(&query, path);
    ctl->doing = "rolling back";
    status = ctl_call(ctl, &request, &answer);
    return status == CTL_DONE ? ctl_change_show(ctl, answer) : status;
}
