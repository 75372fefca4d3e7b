/* controlplane/catalog/doc.c - see doc.h for the contract. */
#include "controlplane/catalog/doc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "controlplane/catalog/yaml.h"

/* --- JSON ------------------------------------------------------------------ */

struct json_reader {
    struct sb_arena *arena;
    struct sb_errmsg *err;
    uint32_t nodes;
};

static void *json_alloc(void *ctx, size_t size)
{
    (void)ctx;
    return sb_mem_try(size);
}

static void *json_resize(void *ctx, void *p, size_t old_size, size_t size)
{
    (void)ctx;
    (void)old_size;
    return sb_mem_resize(p, size);
}

static void json_free(void *ctx, void *p)
{
    (void)ctx;
    sb_mem_free(p);
}

static void enclose(struct cp_node *node, const struct cp_node *child)
{
    node->weight += child->weight;
    if (node->height <= child->height)
        node->height = (uint8_t)(child->height + 1);
}

static int add_json(struct json_reader *reader, yyjson_val *value, unsigned depth,
                    struct cp_node *node);

static struct cp_node *add_child(struct json_reader *reader, struct cp_node *parent,
                                 struct cp_node **last)
{
    struct cp_node *node = sb_arena_alloc(reader->arena, sizeof(*node));

    if (*last != NULL)
        (*last)->next = node;
    else
        parent->first = node;
    *last = node;
    parent->n++;
    return node;
}

static int add_json_map(struct json_reader *reader, yyjson_val *value, unsigned depth,
                        struct cp_node *node)
{
    struct cp_node *last = NULL;
    yyjson_obj_iter iter = yyjson_obj_iter_with(value);
    yyjson_val *name;

    node->kind = CP_NODE_MAP;
    while ((name = yyjson_obj_iter_next(&iter)) != NULL) {
        struct cp_node *child;
        struct sb_slice text = sb_slice_make(yyjson_get_str(name), yyjson_get_len(name));
        int rc;

        for (const struct cp_node *other = node->first; other != NULL; other = other->next)
            if (sb_slice_eq(other->name, text))
                return sb_err_set(reader->err, SB_EPARSE, "member '%.*s' comes twice",
                                  SB_SLICE_ARGS(text));
        if (node->n == CP_DOC_MEMBERS_MAX)
            return sb_err_set(reader->err, SB_ETOOBIG, "a map of over %d members",
                              CP_DOC_MEMBERS_MAX);
        child = add_child(reader, node, &last);
        child->name = sb_arena_dup(reader->arena, text);
        rc = add_json(reader, yyjson_obj_iter_get_val(name), depth + 1, child);
        if (rc != SB_OK)
            return rc;
        enclose(node, child);
    }
    return SB_OK;
}

static int add_json_list(struct json_reader *reader, yyjson_val *value, unsigned depth,
                         struct cp_node *node)
{
    struct cp_node *last = NULL;
    yyjson_arr_iter iter = yyjson_arr_iter_with(value);
    yyjson_val *element;

    node->kind = CP_NODE_LIST;
    while ((element = yyjson_arr_iter_next(&iter)) != NULL) {
        struct cp_node *child = add_child(reader, node, &last);
        int rc = add_json(reader, element, depth + 1, child);

        if (rc != SB_OK)
            return rc;
        enclose(node, child);
    }
    return SB_OK;
}

static int add_json(struct json_reader *reader, yyjson_val *value, unsigned depth,
                    struct cp_node *node)
{
    struct sb_slice text;

    if (depth == CP_DOC_DEPTH_MAX)
        return sb_err_set(reader->err, SB_ETOOBIG, "nested deeper than %d", CP_DOC_DEPTH_MAX);
    if (++reader->nodes > CP_DOC_NODES_MAX)
        return sb_err_set(reader->err, SB_ETOOBIG, "over %d values", CP_DOC_NODES_MAX);
    node->weight = 1;
    node->height = 1;
    if (yyjson_is_obj(value))
        return add_json_map(reader, value, depth, node);
    if (yyjson_is_arr(value))
        return add_json_list(reader, value, depth, node);
    node->kind = CP_NODE_SCALAR;
    node->style = CP_STYLE_LITERAL;
    if (yyjson_is_str(value)) {
        node->style = CP_STYLE_QUOTED;
        text = sb_slice_make(yyjson_get_str(value), yyjson_get_len(value));
    } else if (yyjson_is_raw(value)) {
        text = sb_slice_make(yyjson_get_raw(value), yyjson_get_len(value));
    } else {
        text = sb_slice_of(yyjson_is_null(value)    ? "null"
                           : yyjson_get_bool(value) ? "true"
                                                    : "false");
    }
    node->text = sb_arena_dup(reader->arena, text);
    return SB_OK;
}

static int line_of(struct sb_slice text, size_t at)
{
    int line = 1;

    for (size_t i = 0; i < at && i < text.n; i++)
        line += text.p[i] == '\n';
    return line;
}

static int read_json(struct sb_slice text, struct sb_arena *arena, struct cp_node **ret_root,
                     struct sb_errmsg *err)
{
    const yyjson_alc alc = {json_alloc, json_resize, json_free, NULL};
    struct json_reader reader = {.arena = arena, .err = err};
    struct cp_node *root = sb_arena_alloc(arena, sizeof(*root));
    yyjson_read_err problem;
    yyjson_doc *doc;
    char *copy = sb_mem_try(text.n + 1);
    int rc;

    if (copy == NULL)
        return SB_ENOMEM;
    if (text.n > 0)
        memcpy(copy, text.p, text.n); /* yyjson takes what it could change */
    /* Numbers stay text, so that prices stay exact. */
    doc = yyjson_read_opts(copy, text.n, YYJSON_READ_NUMBER_AS_RAW, &alc, &problem);
    sb_mem_free(copy);
    if (doc == NULL) {
        if (problem.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
            return SB_ENOMEM;
        return sb_err_set(err, SB_EPARSE, "line %d: %s", line_of(text, problem.pos), problem.msg);
    }
    rc = add_json(&reader, yyjson_doc_get_root(doc), 0, root);
    yyjson_doc_free(doc);
    if (rc == SB_OK)
        *ret_root = root;
    return rc;
}

/* --- both ------------------------------------------------------------------- */

static bool looks_like_json(struct sb_slice text)
{
    for (size_t i = 0; i < text.n; i++)
        if (strchr(" \t\r\n", text.p[i]) == NULL)
            return text.p[i] == '{' || text.p[i] == '[';
    return false;
}

int cp_doc_read(struct sb_slice text, enum cp_doc_format format, struct sb_arena *arena,
                struct cp_node **ret_root, struct sb_errmsg *err)
{
    if (text.n > CP_DOC_BYTES_MAX)
        return sb_err_set(err, SB_ETOOBIG, "over %d bytes", CP_DOC_BYTES_MAX);
    if (format == CP_DOC_JSON)
        return read_json(text, arena, ret_root, err);
    if (format == CP_DOC_AUTO && looks_like_json(text)) {
        struct sb_errmsg yaml_err = {{0}};
        int rc = read_json(text, arena, ret_root, err);

        /* YAML's flow style begins the same; but what neither reads was meant
         * to be JSON, and its message stays. */
        if (rc != SB_EPARSE)
            return rc;
        return cp_yaml_read(text, arena, ret_root, &yaml_err) == SB_OK ? SB_OK : rc;
    }
    return cp_yaml_read(text, arena, ret_root, err);
}

const struct cp_node *cp_node_get(const struct cp_node *node, const char *name)
{
    if (node == NULL || node->kind != CP_NODE_MAP)
        return NULL;
    for (const struct cp_node *child = node->first; child != NULL; child = child->next)
        if (sb_slice_is(child->name, name))
            return child;
    return NULL;
}

static bool is_one_of(struct sb_slice text, const char *const *words)
{
    for (; *words != NULL; words++)
        if (sb_slice_is(text, *words))
            return true;
    return false;
}

static const char *const null_words[] = {"", "~", "null", "Null", "NULL", NULL};
static const char *const true_words[] = {"true", "True", "TRUE", "yes", "Yes",
                                         "YES",  "on",   "On",   "ON",  NULL};
static const char *const false_words[] = {"false", "False", "FALSE", "no",  "No",
                                          "NO",    "off",   "Off",   "OFF", NULL};

bool cp_node_is_null(const struct cp_node *node)
{
    return node == NULL || (node->kind == CP_NODE_SCALAR && node->style != CP_STYLE_QUOTED &&
                            is_one_of(node->text, null_words));
}

int cp_node_text(const struct cp_node *node, struct sb_slice *ret_text)
{
    if (cp_node_is_null(node) || node->kind != CP_NODE_SCALAR || node->style == CP_STYLE_LITERAL)
        return SB_EINVAL;
    *ret_text = node->text;
    return SB_OK;
}

int cp_node_bool(const struct cp_node *node, bool *ret_bool)
{
    if (node == NULL || node->kind != CP_NODE_SCALAR || node->style == CP_STYLE_QUOTED)
        return SB_EINVAL;
    if (is_one_of(node->text, true_words))
        *ret_bool = true;
    else if (is_one_of(node->text, false_words))
        *ret_bool = false;
    else
        return SB_EINVAL;
    return SB_OK;
}

int cp_node_i64(const struct cp_node *node, int64_t *ret_number)
{
    char text[24], *end;
    long long number;

    if (node == NULL || node->kind != CP_NODE_SCALAR || node->style == CP_STYLE_QUOTED ||
        !sb_slice_copy_text(node->text, text, sizeof(text)) ||
        text[strspn(text, "-0123456789")] != '\0')
        return SB_EINVAL;
    errno = 0;
    number = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0')
        return SB_EINVAL;
    *ret_number = number;
    return SB_OK;
}

/* The grammar of RFC 8259, number. */
static bool is_number(struct sb_slice text)
{
    size_t i = 0;
    size_t digits;

#define DIGITS() for (digits = 0; i < text.n && text.p[i] >= '0' && text.p[i] <= '9'; i++, digits++)
    if (i < text.n && text.p[i] == '-')
        i++;
    if (i + 1 < text.n && text.p[i] == '0' && text.p[i + 1] >= '0' && text.p[i + 1] <= '9')
        return false;
    DIGITS();
    if (digits == 0)
        return false;
    if (i < text.n && text.p[i] == '.') {
        i++;
        DIGITS();
        if (digits == 0)
            return false;
    }
    if (i < text.n && (text.p[i] == 'e' || text.p[i] == 'E')) {
        i++;
        if (i < text.n && (text.p[i] == '+' || text.p[i] == '-'))
            i++;
        DIGITS();
        if (digits == 0)
            return false;
    }
#undef DIGITS
    return i == text.n;
}

int cp_node_decimal(const struct cp_node *node, struct sb_slice *ret_text)
{
    if (node == NULL || node->kind != CP_NODE_SCALAR || !is_number(node->text))
        return SB_EINVAL;
    *ret_text = node->text;
    return SB_OK;
}

const char *cp_node_describe(const struct cp_node *node)
{
    bool truth;

    if (cp_node_is_null(node))
        return "nothing";
    if (node->kind != CP_NODE_SCALAR)
        return node->kind == CP_NODE_LIST ? "a list" : "a map";
    if (node->style == CP_STYLE_QUOTED)
        return "a text";
    if (cp_node_bool(node, &truth) == SB_OK)
        return "a boolean";
    return is_number(node->text) ? "a number" : "a text";
}

static const struct cp_node *find(const struct cp_node *map, struct sb_slice name)
{
    if (map == NULL || map->kind != CP_NODE_MAP)
        return NULL;
    for (const struct cp_node *member = map->first; member != NULL; member = member->next)
        if (sb_slice_eq(member->name, name))
            return member;
    return NULL;
}

static void append(struct cp_node *map, struct cp_node **last, const struct cp_node *member,
                   struct sb_slice name, struct sb_arena *arena)
{
    struct cp_node *copy = sb_arena_alloc(arena, sizeof(*copy));

    *copy = *member; /* its children are shared */
    copy->name = name;
    copy->next = NULL;
    if (*last != NULL)
        (*last)->next = copy;
    else
        map->first = copy;
    *last = copy;
    map->n++;
}

struct cp_node *cp_node_merge(const struct cp_node *target, const struct cp_node *patch,
                              struct sb_arena *arena)
{
    struct cp_node *merged = sb_arena_alloc(arena, sizeof(*merged));
    struct cp_node *last = NULL;

    *merged = *patch;
    merged->next = NULL;
    if (patch->kind != CP_NODE_MAP)
        return merged;
    merged->first = NULL;
    merged->n = 0;
    if (target == NULL || target->kind != CP_NODE_MAP)
        target = NULL;
    for (const struct cp_node *old = target != NULL ? target->first : NULL; old != NULL;
         old = old->next) {
        const struct cp_node *new = find(patch, old->name);

        if (new == NULL)
            append(merged, &last, old, old->name, arena);
        else if (!cp_node_is_null(new))
            append(merged, &last, cp_node_merge(old, new, arena), old->name, arena);
    }
    for (const struct cp_node *new = patch->first; new != NULL; new = new->next)
        if (find(target, new->name) == NULL && !cp_node_is_null(new))
            append(merged, &last, cp_node_merge(NULL, new, arena), new->name, arena);
    return merged;
}

static void write_scalar(const struct cp_node *node, struct sb_json *json)
{
    static const char *const core_true[] = {"true", "True", "TRUE", NULL};
    static const char *const core_false[] = {"false", "False", "FALSE", NULL};

    bool plain = node->style != CP_STYLE_QUOTED;

    if (plain && cp_node_is_null(node))
        sb_json_put_null(json);
    else if (plain && is_one_of(node->text, core_true))
        sb_json_put_bool(json, true);
    else if (plain && is_one_of(node->text, core_false))
        sb_json_put_bool(json, false);
    else if (plain && is_number(node->text))
        sb_json_put_raw(json, node->text);
    else
        sb_json_put_text(json, node->text);
}

void cp_node_write(const struct cp_node *node, struct sb_json *json)
{
    switch ((enum cp_node_kind)node->kind) {
    case CP_NODE_SCALAR:
        write_scalar(node, json);
        break;
    case CP_NODE_LIST:
        sb_json_open_array(json);
        for (const struct cp_node *child = node->first; child != NULL; child = child->next)
            cp_node_write(child, json);
        sb_json_close_array(json);
        break;
    case CP_NODE_MAP:
        sb_json_open_object(json);
        for (const struct cp_node *child = node->first; child != NULL; child = child->next) {
            sb_json_name(json, child->name);
            cp_node_write(child, json);
        }
        sb_json_close_object(json);
        break;
    }
}
