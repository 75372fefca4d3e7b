/* tests/sim/behaviour.c */
#include "tests/sim/behaviour.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/json.h"
#include "common/mem.h"

const struct sim_knob sim_knobs[SIM_KNOBS] = {
#define X(name, type, fallback, min, max, group, help)                                             \
    {#name, SIM_IS_##type, offsetof(struct sim_behaviour, name), fallback, min, max, group, help},
    SIM_KNOB_MAP(X)
#undef X
};

static void *member_of(struct sim_behaviour *behaviour, const struct sim_knob *knob)
{
    return (char *)behaviour + knob->offset;
}

static const void *const_member_of(const struct sim_behaviour *behaviour,
                                   const struct sim_knob *knob)
{
    return (const char *)behaviour + knob->offset;
}

static int parse_number(const char *text, double max, double *ret_number)
{
    char *end;
    double number;

    errno = 0;
    number = strtod(text, &end);
    if (end == text || *end != '\0' || errno != 0 || !(number >= 0 && number <= max))
        return SB_EINVAL;
    *ret_number = number;
    return SB_OK;
}

static int parse_int(const char *text, int64_t min, int64_t max, int64_t *ret_number)
{
    char *end;
    long long number;

    errno = 0;
    number = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || number < min || number > max)
        return SB_EINVAL;
    *ret_number = number;
    return SB_OK;
}

static int parse_fail(const char *text, struct sim_fail *ret_fail)
{
    const char *colon = strchr(text, ':');
    struct sim_fail fail = {.rate = 1};
    char status[16];
    int64_t code;

    if (*text == '\0') {
        *ret_fail = (struct sim_fail){.status = 0};
        return SB_OK;
    }
    if (!sb_slice_copy_text(
            sb_slice_make(text, colon != NULL ? (size_t)(colon - text) : strlen(text)), status,
            sizeof(status)) ||
        parse_int(status, 300, 599, &code) != SB_OK ||
        (colon != NULL && parse_number(colon + 1, 1, &fail.rate) != SB_OK))
        return SB_EINVAL;
    fail.status = (int)code;
    *ret_fail = fail;
    return SB_OK;
}

static int parse_bool(const char *text, bool *ret_bool)
{
    bool yes = strcmp(text, "true") == 0;

    if (!yes && strcmp(text, "false") != 0)
        return SB_EINVAL;
    *ret_bool = yes;
    return SB_OK;
}

static void set_text(char **member, const char *text)
{
    sb_mem_free(*member);
    *member = *text != '\0' ? sb_mem_strdup(text) : NULL;
}

static int refuse(const struct sim_knob *knob, const char *value, struct sb_errmsg *err)
{
    switch (knob->type) {
    case SIM_IS_BOOL:
        return sb_err_set(err, SB_EINVAL, "%s: '%.60s' is not true or false", knob->name, value);
    case SIM_IS_INT:
        return sb_err_set(err, SB_EINVAL,
                          "%s: '%.60s' is not an integer from %" PRId64 " to %" PRId64, knob->name,
                          value, knob->min, knob->max);
    case SIM_IS_NUMBER:
        return sb_err_set(err, SB_EINVAL, "%s: '%.60s' is not a number from 0", knob->name, value);
    case SIM_IS_RATE:
        return sb_err_set(err, SB_EINVAL, "%s: '%.60s' is not a number from 0 to 1", knob->name,
                          value);
    case SIM_IS_FAIL:
        return sb_err_set(err, SB_EINVAL, "%s: '%.60s' is not STATUS or STATUS:RATE, e.g. 500:0.5",
                          knob->name, value);
    case SIM_IS_TEXT:
        break;
    }
    return sb_err_set(err, SB_EINVAL, "%s: '%.60s' is not one of length, chunked, close",
                      knob->name, value);
}

static bool is_framing(const char *text)
{
    return *text == '\0' || strcmp(text, "length") == 0 || strcmp(text, "chunked") == 0 ||
           strcmp(text, "close") == 0;
}

int sim_behaviour_set(struct sim_behaviour *behaviour, enum sim_knob_index index, const char *value,
                      struct sb_errmsg *err)
{
    const struct sim_knob *knob = &sim_knobs[index];
    void *member = member_of(behaviour, knob);
    int rc = SB_OK;

    switch (knob->type) {
    case SIM_IS_BOOL:
        rc = parse_bool(value, member);
        break;
    case SIM_IS_INT:
        rc = parse_int(value, knob->min, knob->max, member);
        break;
    case SIM_IS_NUMBER:
        rc = parse_number(value, 1e9, member);
        break;
    case SIM_IS_RATE:
        rc = parse_number(value, 1, member);
        break;
    case SIM_IS_FAIL:
        rc = parse_fail(value, member);
        break;
    case SIM_IS_TEXT:
        if (index == SIM_KNOB_framing && !is_framing(value))
            rc = SB_EINVAL;
        else
            set_text(member, value);
        break;
    }
    return rc == SB_OK ? SB_OK : refuse(knob, value, err);
}

struct sim_behaviour *sim_behaviour_new(void)
{
    struct sim_behaviour *behaviour = sb_mem_new(sizeof(*behaviour));
    struct sb_errmsg err;

    behaviour->refs = 1;
    for (int i = 0; i < SIM_KNOBS; i++)
        SB_BUG_ON(sim_behaviour_set(behaviour, (enum sim_knob_index)i, sim_knobs[i].fallback,
                                    &err) != SB_OK);
    return behaviour;
}

struct sim_behaviour *sim_behaviour_copy(const struct sim_behaviour *behaviour)
{
    struct sim_behaviour *copy = sb_mem_new(sizeof(*copy));

    *copy = *behaviour;
    copy->refs = 1;
    for (int i = 0; i < SIM_KNOBS; i++) {
        if (sim_knobs[i].type == SIM_IS_TEXT) {
            char **text = member_of(copy, &sim_knobs[i]);

            *text = *text != NULL ? sb_mem_strdup(*text) : NULL;
        }
    }
    return copy;
}

struct sim_behaviour *sim_behaviour_ref(struct sim_behaviour *behaviour)
{
    behaviour->refs++;
    return behaviour;
}

void sim_behaviour_unref(struct sim_behaviour **behaviour)
{
    struct sim_behaviour *it = *behaviour;

    *behaviour = NULL;
    if (it == NULL || --it->refs > 0)
        return;
    for (int i = 0; i < SIM_KNOBS; i++) {
        if (sim_knobs[i].type == SIM_IS_TEXT)
            set_text(member_of(it, &sim_knobs[i]), "");
    }
    sb_mem_free(it);
}

/* As in the table, or with '-' for '_'. */
static bool is_name(const char *name, struct sb_slice text)
{
    if (strlen(name) != text.n)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        if (name[i] != (text.p[i] == '-' ? '_' : text.p[i]))
            return false;
    }
    return true;
}

static int find_knob(struct sb_slice name, enum sim_knob_index *ret_index)
{
    for (int i = 0; i < SIM_KNOBS; i++) {
        if (is_name(sim_knobs[i].name, name)) {
            *ret_index = (enum sim_knob_index)i;
            return SB_OK;
        }
    }
    return SB_ENOENT;
}

static void restore(struct sim_behaviour *behaviour, const struct sim_knob *knob,
                    const struct sim_behaviour *start)
{
    static const size_t sizes[] = {
        [SIM_IS_BOOL] = sizeof(bool),     [SIM_IS_INT] = sizeof(int64_t),
        [SIM_IS_NUMBER] = sizeof(double), [SIM_IS_RATE] = sizeof(double),
        [SIM_IS_TEXT] = sizeof(char *),   [SIM_IS_FAIL] = sizeof(struct sim_fail),
    };

    if (knob->type == SIM_IS_TEXT) {
        char *const *text = const_member_of(start, knob);

        set_text(member_of(behaviour, knob), *text != NULL ? *text : "");
    } else {
        memcpy(member_of(behaviour, knob), const_member_of(start, knob), sizes[knob->type]);
    }
}

static int apply_member(struct sim_behaviour *behaviour, enum sim_knob_index index,
                        yyjson_val *value, const struct sim_behaviour *start, struct sb_errmsg *err)
{
    char text[64];

    if (yyjson_is_null(value)) {
        restore(behaviour, &sim_knobs[index], start);
        return SB_OK;
    }
    if (yyjson_is_bool(value))
        return sim_behaviour_set(behaviour, index, yyjson_get_bool(value) ? "true" : "false", err);
    if (yyjson_is_uint(value)) {
        (void)snprintf(text, sizeof(text), "%" PRIu64, yyjson_get_uint(value));
        return sim_behaviour_set(behaviour, index, text, err);
    }
    if (yyjson_is_num(value)) {
        if (yyjson_is_sint(value))
            (void)snprintf(text, sizeof(text), "%" PRId64, yyjson_get_sint(value));
        else
            (void)snprintf(text, sizeof(text), "%.17g", yyjson_get_real(value));
        return sim_behaviour_set(behaviour, index, text, err);
    }
    /* A NUL would cut the text in silence. */
    if (yyjson_is_str(value) && strlen(yyjson_get_str(value)) == yyjson_get_len(value))
        return sim_behaviour_set(behaviour, index, yyjson_get_str(value), err);
    return sb_err_set(err, SB_EINVAL, "%s: takes no %s", sim_knobs[index].name,
                      sb_json_type_name(value));
}

static bool is_in(const char *const *names, struct sb_slice name)
{
    for (; names != NULL && *names != NULL; names++) {
        if (sb_slice_is(name, *names))
            return true;
    }
    return false;
}

int sim_behaviour_apply(struct sim_behaviour *behaviour, yyjson_val *object,
                        const struct sim_behaviour *start, const char *const *skip,
                        struct sb_errmsg *err)
{
    yyjson_val *name, *value;
    size_t i, max;

    if (!yyjson_is_obj(object))
        return sb_err_set(err, SB_EINVAL, "a behaviour is an object");
    yyjson_obj_foreach(object, i, max, name, value)
    {
        enum sim_knob_index index;
        int rc;

        if (is_in(skip, sb_json_text(name)))
            continue;
        if (find_knob(sb_json_text(name), &index) != SB_OK)
            return sb_err_set(err, SB_EINVAL, "no behaviour '%.60s'", yyjson_get_str(name));
        rc = apply_member(behaviour, index, value, start, err);
        if (rc != SB_OK)
            return rc;
    }
    return SB_OK;
}

static void show_text(struct sb_json *json, const char *text)
{
    if (text != NULL)
        sb_json_put_text(json, sb_slice_of(text));
    else
        sb_json_put_null(json);
}

static void show_fail(struct sb_json *json, const struct sim_fail *fail)
{
    char text[64];

    if (fail->status == 0) {
        sb_json_put_null(json);
        return;
    }
    (void)snprintf(text, sizeof(text), "%d:%g", fail->status, fail->rate);
    sb_json_put_text(json, sb_slice_of(text));
}

void sim_behaviour_show(const struct sim_behaviour *behaviour, struct sb_json *json)
{
    sb_json_open_object(json);
    for (int i = 0; i < SIM_KNOBS; i++) {
        const void *member = const_member_of(behaviour, &sim_knobs[i]);

        sb_json_name(json, sb_slice_of(sim_knobs[i].name));
        switch (sim_knobs[i].type) {
        case SIM_IS_BOOL:
            sb_json_put_bool(json, *(const bool *)member);
            break;
        case SIM_IS_INT:
            sb_json_put_i64(json, *(const int64_t *)member);
            break;
        case SIM_IS_NUMBER:
        case SIM_IS_RATE:
            sb_json_put_double(json, *(const double *)member);
            break;
        case SIM_IS_TEXT:
            show_text(json, *(char *const *)member);
            break;
        case SIM_IS_FAIL:
            show_fail(json, member);
            break;
        }
    }
    sb_json_close_object(json);
}
