/* controlplane/ctl/diff.c */
#include "controlplane/ctl/diff.h"

#include "controlplane/ctl/ctl.h"
#include "controlplane/ctl/kinds.h"
#include "controlplane/ctl/show.h"

static const struct ctl_column columns[] = {{"", false, false, 0},
                                            {"KIND", false, false, 0},
                                            {"NAME", false, true, 0},
                                            {"CHANGE", false, true, 0}};

/* One row; sign and name only for the first of an object. */
struct row {
    enum ctl_style style;
    const char *sign;
    struct sb_slice kind, name;
};

static void add_row(struct ctl_table *table, struct row *row, struct sb_slice change)
{
    ctl_table_add(table, row->style, sb_slice_of(row->sign));
    ctl_table_add(table, row->style, row->kind);
    ctl_table_add(table, row->style, row->name);
    ctl_table_add(table, CTL_PLAIN, change);
    row->sign = "";
    row->kind = row->name = SB_SLICE_NONE;
}

static struct sb_slice words_of(struct ctl *ctl, yyjson_val *value)
{
    return ctl_words(ctl->arena, value, CTL_SHOW_TEXT, 0);
}

/* --- what is different inside of an object -------------------------------------------- */

static void compare(struct ctl *ctl, struct ctl_table *table, struct row *row, struct sb_slice path,
                    yyjson_val *before, yyjson_val *after);

static struct sb_slice inner_path(struct ctl *ctl, struct sb_slice path, yyjson_val *name)
{
    return sb_arena_printf(ctl->arena, "%.*s%s%.*s", SB_SLICE_ARGS(path), path.n > 0 ? "." : "",
                           SB_SLICE_ARGS(sb_json_text(name)));
}

static void compare_members(struct ctl *ctl, struct ctl_table *table, struct row *row,
                            struct sb_slice path, yyjson_val *before, yyjson_val *after)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(before);
    yyjson_val *name;

    while ((name = yyjson_obj_iter_next(&iter)) != NULL)
        compare(ctl, table, row, inner_path(ctl, path, name), yyjson_obj_iter_get_val(name),
                yyjson_obj_getn(after, yyjson_get_str(name), yyjson_get_len(name)));
    iter = yyjson_obj_iter_with(after);
    while ((name = yyjson_obj_iter_next(&iter)) != NULL) {
        if (yyjson_obj_getn(before, yyjson_get_str(name), yyjson_get_len(name)) == NULL)
            compare(ctl, table, row, inner_path(ctl, path, name), NULL,
                    yyjson_obj_iter_get_val(name));
    }
}

static void compare(struct ctl *ctl, struct ctl_table *table, struct row *row, struct sb_slice path,
                    yyjson_val *before, yyjson_val *after)
{
    if (before != NULL && after != NULL && yyjson_equals(before, after))
        return;
    if (yyjson_is_obj(before) && yyjson_is_obj(after)) {
        compare_members(ctl, table, row, path, before, after);
        return;
    }
    if (yyjson_is_obj(before) || yyjson_is_obj(after)) { /* all of it came or went */
        compare_members(ctl, table, row, path, yyjson_is_obj(before) ? before : NULL,
                        yyjson_is_obj(after) ? after : NULL);
        return;
    }
    if (before == NULL)
        add_row(table, row,
                sb_arena_printf(ctl->arena, "%.*s: %.*s", SB_SLICE_ARGS(path),
                                SB_SLICE_ARGS(words_of(ctl, after))));
    else if (after == NULL)
        add_row(table, row,
                sb_arena_printf(ctl->arena, "%.*s: %.*s → (none)", SB_SLICE_ARGS(path),
                                SB_SLICE_ARGS(words_of(ctl, before))));
    else
        add_row(table, row,
                sb_arena_printf(ctl->arena, "%.*s: %.*s → %.*s", SB_SLICE_ARGS(path),
                                SB_SLICE_ARGS(words_of(ctl, before)),
                                SB_SLICE_ARGS(words_of(ctl, after))));
}

/* --- objects ------------------------------------------------------------------------------ */

/* "providers" as "provider". */
static struct sb_slice one_of(struct sb_slice many)
{
    const struct ctl_kind *kind = ctl_kind_find(many, NULL);

    return kind != NULL ? sb_slice_of(kind->one) : many;
}

static void add_object(struct ctl *ctl, struct ctl_table *table, yyjson_val *entry)
{
    struct sb_slice action = ctl_member_text(entry, "action");
    bool has_secret = yyjson_is_true(yyjson_obj_get(entry, "secret_changed"));
    struct row row = {.kind = one_of(ctl_member_text(entry, "kind")),
                      .name = ctl_member_text(entry, "name")};

    if (sb_slice_is(action, "changed")) {
        row.style = CTL_WARN;
        row.sign = "~";
        compare_members(ctl, table, &row, SB_SLICE_NONE, yyjson_obj_get(entry, "before"),
                        yyjson_obj_get(entry, "after"));
        if (has_secret || *row.sign != '\0')
            add_row(table, &row, sb_slice_of(has_secret ? "secret: new" : ""));
        return;
    }
    row.style = sb_slice_is(action, "added") ? CTL_GOOD : CTL_BAD;
    row.sign = sb_slice_is(action, "added") ? "+" : "-";
    add_row(table, &row, SB_SLICE_NONE);
}

void ctl_diff_print(struct ctl *ctl, yyjson_val *difference)
{
    struct ctl_table *table = ctl_table_new(ctl->arena, columns, SB_ARRAY_LEN(columns));
    yyjson_arr_iter iter = yyjson_arr_iter_with(difference);
    size_t n = 0, total = yyjson_arr_size(difference);
    yyjson_val *entry;

    if (total == 0)
        return;
    while (n < CTL_DIFF_LINES && (entry = yyjson_arr_iter_next(&iter)) != NULL) {
        add_object(ctl, table, entry);
        n++;
    }
    ctl_print_table(ctl, table);
    if (n < total)
        ctl_print(ctl, "... and %zu more objects (-o json shows them)\n", total - n);
    ctl_print(ctl, "\n");
}
