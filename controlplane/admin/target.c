/* controlplane/admin/target.c */
#include "controlplane/admin/target.h"

#include <stdbool.h>

#include "common/utf8.h"

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int cp_target_unescape(struct sb_slice text, bool is_form, struct sb_arena *arena,
                       struct sb_slice *ret_text)
{
    char *out = sb_arena_alloc(arena, text.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];

        if (c == '+' && is_form) {
            c = ' ';
        } else if (c == '%') {
            int high = i + 2 < text.n ? hex(text.p[i + 1]) : -1;
            int low = high >= 0 ? hex(text.p[i + 2]) : -1;

            if (low < 0 || (high == 0 && low == 0))
                return SB_EPARSE;
            c = (char)(high * 16 + low);
            i += 2;
        }
        out[n++] = c;
    }
    if (!sb_utf8_is_valid(sb_slice_make(out, n)))
        return SB_EPARSE;
    *ret_text = sb_slice_make(out, n);
    return SB_OK;
}

static int parse_param(struct sb_slice text, struct sb_arena *arena, struct cp_target_param *param)
{
    size_t equals = sb_slice_find(text, '=');
    struct sb_slice value = equals < text.n ? sb_slice_from(text, equals + 1) : SB_SLICE_NONE;
    int rc = cp_target_unescape(sb_slice_make(text.p, equals), true, arena, &param->name);

    return rc == SB_OK ? cp_target_unescape(value, true, arena, &param->value) : rc;
}

int cp_target_parse(struct sb_slice text, struct sb_arena *arena, struct cp_target *ret_target,
                    struct sb_errmsg *err)
{
    struct cp_target target = {.path = sb_slice_make(text.p, sb_slice_find(text, '?'))};
    struct sb_slice left =
        target.path.n < text.n ? sb_slice_from(text, target.path.n + 1) : SB_SLICE_NONE;
    struct cp_target_param params[CP_TARGET_PARAMS_MAX];

    while (left.n > 0) {
        struct sb_slice one = sb_slice_make(left.p, sb_slice_find(left, '&'));

        left = one.n < left.n ? sb_slice_from(left, one.n + 1) : SB_SLICE_NONE;
        if (one.n == 0)
            continue;
        if (target.n_params == CP_TARGET_PARAMS_MAX)
            return sb_err_set(err, SB_ETOOBIG, "more than %d parameters", CP_TARGET_PARAMS_MAX);
        if (parse_param(one, arena, &params[target.n_params]) != SB_OK)
            return sb_err_set(err, SB_EPARSE, "bytes that are no text in the parameter '%.*s'",
                              one.n < 80 ? (int)one.n : 80, one.p);
        target.n_params++;
    }
    target.params = sb_arena_alloc(arena, (target.n_params + 1) * sizeof(*target.params));
    for (size_t i = 0; i < target.n_params; i++)
        target.params[i] = params[i];
    *ret_target = target;
    return SB_OK;
}

/* Takes "/segment" off the front; false at the end. */
static bool next_segment(struct sb_slice *path, struct sb_slice *ret_segment)
{
    if (path->n == 0 || path->p[0] != '/')
        return false;
    *path = sb_slice_from(*path, 1);
    *ret_segment = sb_slice_make(path->p, sb_slice_find(*path, '/'));
    *path = sb_slice_from(*path, ret_segment->n);
    return true;
}

static bool is_rest(struct sb_slice wanted)
{
    return wanted.n > 5 && sb_slice_eq(sb_slice_from(wanted, wanted.n - 4), SB_SLICE_LIT("...}"));
}

bool cp_target_match(const char *pattern, struct sb_slice path,
                     struct sb_slice ret_args[CP_TARGET_ARGS_MAX])
{
    struct sb_slice left = sb_slice_of(pattern), wanted, segment, before;
    unsigned n = 0;

    while (next_segment(&left, &wanted)) {
        before = path;
        if (!next_segment(&path, &segment))
            return false;
        if (wanted.n == 0 || wanted.p[0] != '{') {
            if (!sb_slice_eq(wanted, segment))
                return false;
            continue;
        }
        if (is_rest(wanted)) {
            segment = sb_slice_from(before, 1);
            path = SB_SLICE_NONE;
        }
        if (segment.n == 0 || n == CP_TARGET_ARGS_MAX)
            return false;
        ret_args[n++] = segment;
    }
    return path.n == 0;
}
