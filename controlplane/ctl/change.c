/* controlplane/ctl/change.c */
#include "controlplane/ctl/change.h"

#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/diff.h"
#include "controlplane/ctl/show.h"

void ctl_change_query(struct ctl_query *query)
{
    ctl_query_add_switch(query, "dry-run", "dry_run");
    ctl_query_add_switch(query, "force", "force");
    ctl_query_add(query, "note", ctl_flag(query->ctl, "note"));
}

static unsigned long long number(yyjson_val *answer, const char *name)
{
    return (unsigned long long)yyjson_get_uint(yyjson_obj_get(answer, name));
}

static void show_keys(struct ctl *ctl, yyjson_val *keys)
{
    yyjson_arr_iter iter = yyjson_arr_iter_with(keys);
    yyjson_val *one;

    while ((one = yyjson_arr_iter_next(&iter)) != NULL) {
        ctl_print(ctl, "key ");
        ctl_print_styled(ctl, CTL_NAME, ctl_member_text(one, "name"));
        ctl_print(ctl, ": ");
        ctl_print_styled(ctl, CTL_BOLD, ctl_member_text(one, "secret"));
        ctl_print(ctl, "\n");
    }
    if (yyjson_arr_size(keys) > 0)
        ctl_note(ctl, "Keep it: it is stored nowhere and never shown again.");
}

int ctl_change_show(struct ctl *ctl, yyjson_val *answer)
{
    bool is_dry = yyjson_is_true(yyjson_obj_get(answer, "dry_run"));
    yyjson_arr_iter iter = yyjson_arr_iter_with(yyjson_obj_get(answer, "notes"));
    yyjson_val *note;

    if (ctl->format != CTL_AS_TABLE) {
        ctl_print_value(ctl, answer);
        return CTL_DONE;
    }
    ctl_diff_print(ctl, yyjson_obj_get(answer, "difference"));
    show_keys(ctl, yyjson_obj_get(answer, "keys"));
    while ((note = yyjson_arr_iter_next(&iter)) != NULL)
        ctl_print(ctl, "note: %.*s\n", SB_SLICE_ARGS(sb_json_text(note)));
    if (!yyjson_is_true(yyjson_obj_get(answer, "is_changed"))) {
        ctl_print(ctl, "nothing to change; revision %llu\n", number(answer, "revision"));
        return CTL_DONE;
    }
    ctl_print(ctl, "%llu added, %llu changed, %llu removed: ", number(answer, "added"),
              number(answer, "changed"), number(answer, "removed"));
    if (is_dry)
        ctl_print(ctl, "would be revision %llu (dry run, nothing has changed)\n",
                  number(answer, "revision"));
    else
        ctl_print(ctl, "revision %llu\n", number(answer, "revision"));
    return CTL_DONE;
}
