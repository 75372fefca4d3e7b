/* controlplane/ctl/show.c */
#include "controlplane/ctl/show.h"

#include <inttypes.h>
#include <string.h>

#include "common/num.h"
#include "common/timefmt.h"
#include "controlplane/ctl/ctl.h"

static const char nothing[] = "-";

yyjson_val *ctl_member(yyjson_val *object, const char *path)
{
    struct sb_slice left = sb_slice_of(path);

    while (left.n > 0 && object != NULL) {
        size_t dot = sb_slice_find(left, '.');

        object = yyjson_obj_getn(object, left.p, dot);
        left = dot < left.n ? sb_slice_from(left, dot + 1) : SB_SLICE_NONE;
    }
    return object;
}

struct sb_slice ctl_member_text(yyjson_val *object, const char *path)
{
    return sb_json_text(ctl_member(object, path));
}

/* --- words --------------------------------------------------------------------------- */

static struct sb_slice scalar_words(struct sb_arena *arena, yyjson_val *value)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf text;
    struct sb_json json;

    sb_buf_init(&text, 1 << 20);
    if (yyjson_is_str(value))
        return sb_json_text(value);
    sb_json_init(&json, &text);
    sb_json_put_value(&json, value);
    return sb_json_end(&json) == SB_OK ? sb_arena_dup(arena, sb_buf_slice(&text))
                                       : SB_SLICE_LIT("...");
}

static struct sb_slice list_words(struct sb_arena *arena, yyjson_val *list)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf words;
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);
    yyjson_val *one;
    int rc = SB_OK;

    sb_buf_init(&words, 1 << 20);
    while (rc == SB_OK && (one = yyjson_arr_iter_next(&iter)) != NULL) {
        if (sb_buf_len(&words) > 0)
            rc = sb_buf_append_text(&words, ", ");
        if (rc == SB_OK)
            rc = sb_buf_append(&words, scalar_words(arena, one));
    }
    return sb_arena_dup(arena, sb_buf_slice(&words));
}

struct sb_slice ctl_count_words(struct sb_arena *arena, uint64_t number)
{
    char digits[SB_NUM_U64_MAX], words[SB_NUM_U64_MAX * 2];
    size_t n = sb_num_put_u64(digits, number), used = 0;

    for (size_t i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            words[used++] = ' ';
        words[used++] = digits[i];
    }
    return sb_arena_dup(arena, sb_slice_make(words, used));
}

static struct sb_slice byte_words(struct sb_arena *arena, double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;

    while (bytes >= 1024 && unit + 1 < SB_ARRAY_LEN(units)) {
        bytes /= 1024;
        unit++;
    }
    return sb_arena_printf(arena, unit == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes,
                           units[unit]);
}

struct sb_slice ctl_msec_words(struct sb_arena *arena, double msec)
{
    if (msec < 1000)
        return sb_arena_printf(arena, "%.0f ms", msec);
    if (msec < 120000)
        return sb_arena_printf(arena, "%.1f s", msec / 1000);
    return sb_arena_printf(arena, "%.0f min", msec / 60000);
}

static struct sb_slice age_words(struct sb_arena *arena, sb_usec then, sb_usec now)
{
    static const struct {
        uint64_t seconds;
        const char *name;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    uint64_t age = now > then ? (now - then) / SB_USEC_PER_SEC : 0;

    for (size_t i = 0; i < SB_ARRAY_LEN(units); i++) {
        if (age >= units[i].seconds)
            return sb_arena_printf(arena, "%" PRIu64 " %s ago", age / units[i].seconds,
                                   units[i].name);
    }
    return SB_SLICE_LIT("now");
}

static struct sb_slice time_words(struct sb_arena *arena, yyjson_val *value, bool is_age,
                                  sb_usec now)
{
    char text[SB_TIME_TEXT_MAX];
    sb_usec then;
    size_t n;

    if (sb_time_parse(sb_json_text(value), &then) != SB_OK)
        return scalar_words(arena, value);
    if (is_age)
        return age_words(arena, then, now);
    n = sb_time_format(then, 0, text);
    text[10] = ' ';
    return sb_arena_dup(arena, sb_slice_make(text, n - 1)); /* all are UTC */
}

static struct sb_slice evidence_words(struct sb_arena *arena, yyjson_val *list)
{
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);
    struct sb_slice words = SB_SLICE_NONE;
    yyjson_val *one;

    while ((one = yyjson_arr_iter_next(&iter)) != NULL)
        words = sb_arena_printf(arena, "%.*s%s%.*s %.*s: %.*s", SB_SLICE_ARGS(words),
                                words.n > 0 ? "; " : "",
                                SB_SLICE_ARGS(sb_json_text(yyjson_obj_get(one, "claim"))),
                                SB_SLICE_ARGS(sb_json_text(yyjson_obj_get(one, "value"))),
                                SB_SLICE_ARGS(sb_json_text(yyjson_obj_get(one, "evidence"))));
    return words;
}

struct sb_slice ctl_words(struct sb_arena *arena, yyjson_val *value, enum ctl_show show,
                          sb_usec now)
{
    if (value == NULL || yyjson_is_null(value))
        return sb_slice_of(nothing);
    switch (show) {
    case CTL_SHOW_COUNT:
        if (yyjson_is_uint(value))
            return ctl_count_words(arena, yyjson_get_uint(value));
        break;
    case CTL_SHOW_LENGTH:
        return ctl_count_words(arena, yyjson_arr_size(value));
    case CTL_SHOW_BYTES:
        if (yyjson_is_num(value))
            return byte_words(arena, yyjson_get_num(value));
        break;
    case CTL_SHOW_MSEC:
        if (yyjson_is_num(value))
            return ctl_msec_words(arena, yyjson_get_num(value));
        break;
    case CTL_SHOW_PERCENT:
        if (yyjson_is_num(value))
            return sb_arena_printf(arena, "%.2f %%", yyjson_get_num(value) * 100);
        break;
    case CTL_SHOW_RATE:
        if (yyjson_is_num(value))
            return sb_arena_printf(arena, "%.1f", yyjson_get_num(value));
        break;
    case CTL_SHOW_TIME:
    case CTL_SHOW_AGE:
        return time_words(arena, value, show == CTL_SHOW_AGE, now);
    case CTL_SHOW_CLAIM:
        return scalar_words(arena, yyjson_is_obj(value) ? yyjson_obj_get(value, "value") : value);
    case CTL_SHOW_EVIDENCE:
        return evidence_words(arena, value);
    case CTL_SHOW_VERSION:
        return scalar_words(arena,
                            yyjson_is_obj(value) ? yyjson_obj_get(value, "revision") : value);
    case CTL_SHOW_FLAG:
        return sb_slice_of(yyjson_is_true(value) ? "yes" : "");
    case CTL_SHOW_TEXT:
    case CTL_SHOW_NAME:
    case CTL_SHOW_STATE:
    case CTL_SHOW_DECIMAL:
    case CTL_SHOW_NEAR:
        break;
    }
    return yyjson_is_arr(value) ? list_words(arena, value) : scalar_words(arena, value);
}

/* --- colours --------------------------------------------------------------------------- */

static enum ctl_style state_style(struct sb_slice word)
{
    static const struct {
        const char *word;
        enum ctl_style style;
    } words[] = {
        {"synced", CTL_GOOD},   {"good", CTL_GOOD},   {"success", CTL_GOOD}, {"up", CTL_GOOD},
        {"yes", CTL_GOOD},      {"sent", CTL_WARN},   {"stale", CTL_WARN},   {"degraded", CTL_WARN},
        {"cooldown", CTL_WARN}, {"nacked", CTL_BAD},  {"gone", CTL_BAD},     {"down", CTL_BAD},
        {"outage", CTL_BAD},    {"no_data", CTL_DIM}, {"unknown", CTL_DIM},  {"active", CTL_GOOD},
        {"expired", CTL_WARN},  {"revoked", CTL_DIM}, {"refused", CTL_BAD},
    };

    for (size_t i = 0; i < SB_ARRAY_LEN(words); i++) {
        if (sb_slice_is(word, words[i].word))
            return words[i].style;
    }
    return CTL_PLAIN;
}

static enum ctl_style style_of(enum ctl_show show, struct sb_slice words)
{
    if (sb_slice_is(words, nothing))
        return CTL_DIM;
    switch (show) {
    case CTL_SHOW_NAME:
        return CTL_NAME;
    case CTL_SHOW_STATE:
    case CTL_SHOW_CLAIM:
        return state_style(words);
    case CTL_SHOW_FLAG:
    case CTL_SHOW_NEAR:
        return CTL_WARN;
    case CTL_SHOW_AGE:
    case CTL_SHOW_TIME:
        return CTL_DIM;
    case CTL_SHOW_TEXT:
    case CTL_SHOW_EVIDENCE:
    case CTL_SHOW_COUNT:
    case CTL_SHOW_LENGTH:
    case CTL_SHOW_BYTES:
    case CTL_SHOW_MSEC:
    case CTL_SHOW_PERCENT:
    case CTL_SHOW_VERSION:
    case CTL_SHOW_DECIMAL:
    case CTL_SHOW_RATE:
        break;
    }
    return CTL_PLAIN;
}

static bool is_number(enum ctl_show show)
{
    return show == CTL_SHOW_COUNT || show == CTL_SHOW_BYTES || show == CTL_SHOW_MSEC ||
           show == CTL_SHOW_PERCENT || show == CTL_SHOW_VERSION || show == CTL_SHOW_DECIMAL ||
           show == CTL_SHOW_RATE || show == CTL_SHOW_LENGTH;
}

/* --- tables ----------------------------------------------------------------------------- */

void ctl_show_list(struct ctl *ctl, yyjson_val *list, const struct ctl_field *fields, unsigned n,
                   const char *empty)
{
    ctl_show_fitted(ctl, list, fields, NULL, n, empty);
}

void ctl_show_fitted(struct ctl *ctl, yyjson_val *list, const struct ctl_field *fields,
                     const unsigned *leaves, unsigned n, const char *empty)
{
    struct ctl_column *columns = sb_arena_alloc(ctl->arena, n * sizeof(*columns));
    sb_usec now = sb_clock_wall(&sb_clock_system);
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);
    struct ctl_table *table;
    yyjson_val *one;

    if (yyjson_arr_size(list) == 0) {
        ctl_note(ctl, "%s", empty);
        return;
    }
    for (unsigned i = 0; i < n; i++)
        columns[i] = (struct ctl_column){.title = fields[i].title,
                                         .is_right = is_number(fields[i].show),
                                         .may_shrink = fields[i].may_shrink,
                                         .leaves = leaves != NULL ? leaves[i] : 0};
    table = ctl_table_new(ctl->arena, columns, n);
    while ((one = yyjson_arr_iter_next(&iter)) != NULL) {
        for (unsigned i = 0; i < n; i++) {
            struct sb_slice words =
                ctl_words(ctl->arena, ctl_member(one, fields[i].path), fields[i].show, now);

            ctl_table_add(table, style_of(fields[i].show, words), words);
        }
    }
    ctl_print_table(ctl, table);
}

static void add_members(struct ctl_table *table, struct sb_arena *arena, yyjson_val *object,
                        struct sb_slice prefix)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(object);
    yyjson_val *name;

    while ((name = yyjson_obj_iter_next(&iter)) != NULL) {
        yyjson_val *value = yyjson_obj_iter_get_val(name);
        struct sb_slice path =
            sb_arena_printf(arena, "%.*s%s%.*s", SB_SLICE_ARGS(prefix), prefix.n > 0 ? "." : "",
                            SB_SLICE_ARGS(sb_json_text(name)));

        if (yyjson_is_obj(value)) {
            add_members(table, arena, value, path);
            continue;
        }
        ctl_table_add(table, CTL_NAME, path);
        ctl_table_add(table, CTL_PLAIN, ctl_words(arena, value, CTL_SHOW_TEXT, 0));
    }
}

void ctl_show_object(struct ctl *ctl, yyjson_val *object)
{
    static const struct ctl_column columns[] = {{"MEMBER", false, false, 0},
                                                {"VALUE", false, true, 0}};
    struct ctl_table *table = ctl_table_new(ctl->arena, columns, SB_ARRAY_LEN(columns));

    add_members(table, ctl->arena, object, SB_SLICE_NONE);
    ctl_print_table(ctl, table);
}
