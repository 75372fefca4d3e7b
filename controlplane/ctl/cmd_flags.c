/* controlplane/ctl/cmd_flags.c - flags. */
#include "common/clock.h"
#include "common/timefmt.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/moment.h"
#include "controlplane/ctl/show.h"
#include "controlplane/ctl/table.h"

static const struct ctl_column columns[] = {
    {"CLAIM", false, false, 0},   {"COUNTS AS", false, false, 0},  {"SAID", false, false, 0},
    {"EVIDENCE", false, true, 0}, {"EXPIRES", false, false, 0},    {"ATTESTED BY", false, false, 0},
    {"REVISION", true, false, 0}, {"CHANGED BY", false, false, 0},
};

static enum ctl_style style_of(struct sb_slice value)
{
    if (sb_slice_is(value, "yes"))
        return CTL_GOOD;
    return sb_slice_is(value, "no") ? CTL_BAD : CTL_WARN;
}

static void add_member(struct ctl *ctl, struct ctl_table *table, yyjson_val *flag, const char *path,
                       enum ctl_show show)
{
    ctl_table_add(table, CTL_PLAIN, ctl_words(ctl->arena, ctl_member(flag, path), show, 0));
}

static void show_flags(struct ctl *ctl, yyjson_val *answer)
{
    struct ctl_table *table = ctl_table_new(ctl->arena, columns, SB_ARRAY_LEN(columns));
    yyjson_obj_iter iter = yyjson_obj_iter_with(ctl_member(answer, "flags"));
    struct sb_slice when = ctl_words(ctl->arena, ctl_member(answer, "at"), CTL_SHOW_TIME, 0);
    yyjson_val *name;

    ctl_print_styled(ctl, CTL_NAME, ctl_member_text(answer, "endpoint"));
    ctl_print(ctl, " at %.*s UTC, revision %llu\n\n", SB_SLICE_ARGS(when),
              (unsigned long long)yyjson_get_uint(ctl_member(answer, "revision")));
    while ((name = yyjson_obj_iter_next(&iter)) != NULL) {
        yyjson_val *flag = yyjson_obj_iter_get_val(name);
        struct sb_slice value = ctl_member_text(flag, "value");

        ctl_table_add(table, CTL_NAME, sb_json_text(name));
        ctl_table_add(table, style_of(value), value);
        add_member(ctl, table, flag, "said", CTL_SHOW_TEXT);
        add_member(ctl, table, flag, "evidence", CTL_SHOW_TEXT);
        add_member(ctl, table, flag, "expires_on", CTL_SHOW_TEXT);
        add_member(ctl, table, flag, "attested_by", CTL_SHOW_TEXT);
        add_member(ctl, table, flag, "changed_by.revision", CTL_SHOW_VERSION);
        add_member(ctl, table, flag, "changed_by.author", CTL_SHOW_NAME);
    }
    ctl_print_table(ctl, table);
}

/* Of a provider: its own claims, then those of its endpoints. */
static void show_provider(struct ctl *ctl, yyjson_val *answer)
{
    static const struct ctl_field fields[] = {
        {"ENDPOINT", "endpoint", CTL_SHOW_NAME, true},
        {"REGION", "region", CTL_SHOW_TEXT, false},
        {"CLAIM", "claim", CTL_SHOW_TEXT, false},
        {"COUNTS AS", "value", CTL_SHOW_STATE, false},
        {"SAID", "said", CTL_SHOW_TEXT, false},
        {"EVIDENCE", "evidence", CTL_SHOW_TEXT, true},
        {"EXPIRES", "expires_on", CTL_SHOW_TEXT, false},
        {"ATTESTED BY", "attested_by", CTL_SHOW_TEXT, false},
    };
    struct sb_slice when = ctl_words(ctl->arena, ctl_member(answer, "at"), CTL_SHOW_TIME, 0);
    struct sb_slice country = ctl_member_text(answer, "headquarters");

    ctl_print_styled(ctl, CTL_NAME, ctl_member_text(answer, "provider"));
    ctl_print(ctl, " at %.*s UTC, revision %llu, headquarters %.*s\n\n", SB_SLICE_ARGS(when),
              (unsigned long long)yyjson_get_uint(ctl_member(answer, "revision")),
              SB_SLICE_ARGS(country.n > 0 ? country : SB_SLICE_LIT("not known")));
    ctl_show_list(ctl, ctl_member(answer, "flags"), fields, SB_ARRAY_LEN(fields), "");
}

int ctl_run_flags(struct ctl *ctl)
{
    struct ctl_query query = {.ctl = ctl};
    const char *at = ctl_flag(ctl, "at");
    char moment[SB_TIME_TEXT_MAX];
    yyjson_val *answer = NULL;
    struct sb_slice path;
    int status;

    if (at != NULL) {
        if (!ctl_moment_read(at, sb_clock_wall(&sb_clock_system), moment))
            return ctl_misuse(ctl,
                              "--at %s is no time: 2026-01-31, 2026-01-31T12:00:00Z, or 30d (ago) "
                              "is",
                              at);
        ctl_query_add(&query, "at", moment);
    }
    path =
        sb_arena_printf(ctl->arena, "/admin/v1/flags/%s", ctl_escape(ctl, ctl->args.operands[0]));
    status = ctl_get(ctl, ctl_query_path(&query, path.p), &answer);
    if (status != CTL_DONE)
        return status;
    if (ctl->format != CTL_AS_TABLE)
        ctl_print_value(ctl, answer);
    else if (ctl_member(answer, "provider") != NULL)
        show_provider(ctl, answer);
    else
        show_flags(ctl, answer);
    return CTL_DONE;
}
