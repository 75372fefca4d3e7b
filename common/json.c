/* common/json.c - reading; the writer is in json_put.c. */
#include "common/json.h"

#include <stdio.h>

#include "common/mem.h"
#include "common/num.h"

static void *on_alloc(void *ctx, size_t size)
{
    (void)ctx;
    return sb_mem_resize(NULL, size);
}

static void *on_resize(void *ctx, void *p, size_t old_size, size_t size)
{
    (void)ctx;
    (void)old_size;
    return sb_mem_resize(p, size);
}

static void on_free(void *ctx, void *p)
{
    (void)ctx;
    sb_mem_free(p);
}

static const yyjson_alc allocator = {on_alloc, on_resize, on_free, NULL};

const struct yyjson_alc *sb_json_allocator(void)
{
    return &allocator;
}

/* Of a text that is valid JSON. */
static size_t depth_of(struct sb_slice text)
{
    size_t depth = 0, deepest = 0;
    bool quoted = false;

    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];

        if (quoted) {
            i += c == '\\' ? 1 : 0;
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            depth++;
            deepest = depth > deepest ? depth : deepest;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return deepest;
}

static int set_place(struct sb_errmsg *err, struct sb_slice text, const yyjson_read_err *what)
{
    size_t line = 1, start = 0;

    if (what->code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
        return sb_err_set(err, SB_ENOMEM, "%s", sb_err_str(SB_ENOMEM));
    for (size_t i = 0; i < what->pos && i < text.n; i++) {
        if (text.p[i] == '\n') {
            line++;
            start = i + 1;
        }
    }
    return sb_err_set(err, SB_EPARSE, "line %zu column %zu: %s", line, what->pos - start + 1,
                      what->msg);
}

/* The type lacks a const for the sake of reading in place, which this is not:
 * nothing is written. */
static yyjson_doc *read_doc(struct sb_slice text, yyjson_read_flag flags, yyjson_read_err *what)
{
    return yyjson_read_opts((char *)(uintptr_t)text.p, text.n, flags, &allocator, what);
}

int sb_json_read(struct sb_slice text, size_t max, yyjson_doc **ret_doc, struct sb_errmsg *err)
{
    yyjson_read_err what;
    yyjson_doc *doc;

    if (text.n > max)
        return sb_err_set(err, SB_ETOOBIG, "%zu bytes, at most %zu are allowed", text.n, max);
    if (text.n == 0)
        return sb_err_set(err, SB_EPARSE, "line 1 column 1: input is empty");
    doc = read_doc(text, YYJSON_READ_NOFLAG, &what);
    if (doc == NULL)
        return set_place(err, text, &what);
    if (depth_of(text) > SB_JSON_DEPTH) {
        sb_json_free(&doc);
        return sb_err_set(err, SB_ETOOBIG, "nested deeper than %d", SB_JSON_DEPTH);
    }
    *ret_doc = doc;
    return SB_OK;
}

int sb_json_read_raw(struct sb_slice text, yyjson_doc **ret_doc)
{
    yyjson_read_err what;
    yyjson_doc *doc;

    if (text.n == 0)
        return SB_EPARSE;
    doc = read_doc(text, YYJSON_READ_NUMBER_AS_RAW, &what);
    if (doc == NULL)
        return what.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION ? SB_ENOMEM : SB_EPARSE;
    if (depth_of(text) > SB_JSON_DEPTH) {
        sb_json_free(&doc);
        return SB_ETOOBIG;
    }
    *ret_doc = doc;
    return SB_OK;
}

void sb_json_free(yyjson_doc **doc)
{
    yyjson_doc_free(*doc);
    *doc = NULL;
}

struct sb_slice sb_json_text(yyjson_val *value)
{
    return sb_slice_make(yyjson_get_str(value), yyjson_get_len(value));
}

const char *sb_json_type_name(yyjson_val *value)
{
    switch (yyjson_get_type(value)) {
    case YYJSON_TYPE_NULL:
        return "null";
    case YYJSON_TYPE_BOOL:
        return "boolean";
    case YYJSON_TYPE_NUM:
        return yyjson_is_int(value) ? "integer" : "number";
    case YYJSON_TYPE_STR:
        return "string";
    case YYJSON_TYPE_ARR:
        return "array";
    case YYJSON_TYPE_OBJ:
        return "object";
    default:
        return "nothing";
    }
}

/* --- members --------------------------------------------------------------- */

static int find(yyjson_val *object, const char *name, yyjson_val **ret_value)
{
    yyjson_val *value = yyjson_obj_get(object, name);

    if (value == NULL || yyjson_is_null(value))
        return SB_ENOENT;
    *ret_value = value;
    return SB_OK;
}

int sb_json_get_text(yyjson_val *object, const char *name, struct sb_slice *ret_text)
{
    yyjson_val *value;
    int rc = find(object, name, &value);

    if (rc != SB_OK)
        return rc;
    if (!yyjson_is_str(value))
        return SB_EINVAL;
    *ret_text = sb_json_text(value);
    return SB_OK;
}

int sb_json_get_i64(yyjson_val *object, const char *name, int64_t *ret_number)
{
    yyjson_val *value;
    int rc = find(object, name, &value);

    if (rc != SB_OK)
        return rc;
    if (!yyjson_is_int(value) || (yyjson_is_uint(value) && yyjson_get_uint(value) > INT64_MAX))
        return SB_EINVAL;
    *ret_number = yyjson_get_sint(value);
    return SB_OK;
}

int sb_json_get_u64(yyjson_val *object, const char *name, uint64_t *ret_number)
{
    yyjson_val *value;
    int rc = find(object, name, &value);

    if (rc != SB_OK)
        return rc;
    if (!yyjson_is_uint(value))
        return SB_EINVAL;
    *ret_number = yyjson_get_uint(value);
    return SB_OK;
}

int sb_json_get_double(yyjson_val *object, const char *name, double *ret_number)
{
    yyjson_val *value;
    int rc = find(object, name, &value);

    if (rc != SB_OK)
        return rc;
    if (!yyjson_is_num(value))
        return SB_EINVAL;
    *ret_number = yyjson_get_num(value);
    return SB_OK;
}

int sb_json_get_bool(yyjson_val *object, const char *name, bool *ret_bool)
{
    yyjson_val *value;
    int rc = find(object, name, &value);

    if (rc != SB_OK)
        return rc;
    if (!yyjson_is_bool(value))
        return SB_EINVAL;
    *ret_bool = yyjson_get_bool(value);
    return SB_OK;
}

int sb_json_get_object(yyjson_val *object, const char *name, yyjson_val **ret_object)
{
    yyjson_val *value;
    int rc = find(object, name, &value);

    if (rc != SB_OK)
        return rc;
    if (!yyjson_is_obj(value))
        return SB_EINVAL;
    *ret_object = value;
    return SB_OK;
}

int sb_json_get_array(yyjson_val *object, const char *name, yyjson_val **ret_array)
{
    yyjson_val *value;
    int rc = find(object, name, &value);

    if (rc != SB_OK)
        return rc;
    if (!yyjson_is_arr(value))
        return SB_EINVAL;
    *ret_array = value;
    return SB_OK;
}

static bool is_listed(struct sb_slice name, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (sb_slice_is(name, *names))
            return true;
    }
    return false;
}

struct sb_slice sb_json_unknown_member(yyjson_val *object, const char *const *names)
{
    size_t i, max;
    yyjson_val *name, *value;

    yyjson_obj_foreach(object, i, max, name, value)
    {
        struct sb_slice text = sb_json_text(name);

        /* A name that is found elsewhere comes twice. */
        if (!is_listed(text, names) || yyjson_obj_getn(object, text.p, text.n) != value)
            return text;
    }
    return SB_SLICE_NONE;
}

/* --- the place inside a document -------------------------------------------- */

void sb_json_path_init(struct sb_json_path *path)
{
    path->text[0] = '\0';
    path->n = 0;
}

/* Once something was left out, nothing more is added. */
static void extend(struct sb_json_path *path, struct sb_slice text)
{
    static const char more[] = "...";
    size_t room = sizeof(path->text) - sizeof(more) - path->n;

    if (path->n > sizeof(path->text) - sizeof(more))
        return;
    if (text.n > room) {
        memcpy(path->text + path->n, text.p, room);
        path->n += room;
        text = SB_SLICE_LIT("...");
    }
    memcpy(path->text + path->n, text.p, text.n);
    path->n += text.n;
    path->text[path->n] = '\0';
}

size_t sb_json_path_member(struct sb_json_path *path, struct sb_slice name)
{
    size_t before = path->n;

    if (before > 0)
        extend(path, SB_SLICE_LIT("."));
    extend(path, name);
    return before;
}

size_t sb_json_path_index(struct sb_json_path *path, size_t index)
{
    char text[SB_NUM_U64_MAX + 2] = "[";
    size_t n = 1 + sb_num_put_u64(text + 1, index);
    size_t before = path->n;

    text[n++] = ']';
    extend(path, sb_slice_make(text, n));
    return before;
}

void sb_json_path_back(struct sb_json_path *path, size_t length)
{
    path->n = length;
    path->text[length] = '\0';
}
