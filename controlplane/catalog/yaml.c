/* controlplane/catalog/yaml.c - see yaml.h for the contract. */
#include "controlplane/catalog/yaml.h"

#include <string.h>

#include <yaml.h>

enum { ANCHORS_MAX = 1024 };

struct anchor {
    struct anchor *next;
    struct sb_slice name;
    struct cp_node *node; /* NULL: it is being read, an alias to it would be a loop */
};

struct reader {
    yaml_parser_t parser;
    struct sb_arena *arena;
    struct sb_errmsg *err;
    struct anchor *anchors; /* newest first: an anchor may be set again */
    unsigned n_anchors;
    uint32_t nodes;
};

static uint32_t line_at(const yaml_mark_t *mark)
{
    return (uint32_t)mark->line + 1;
}

static int fail(struct reader *reader, int code, const yaml_mark_t *mark, const char *what)
{
    return sb_err_set(reader->err, code, "line %u: %s", line_at(mark), what);
}

static int next_event(struct reader *reader, yaml_event_t *event)
{
    const yaml_parser_t *parser = &reader->parser;

    if (yaml_parser_parse(&reader->parser, event))
        return SB_OK;
    if (parser->error == YAML_MEMORY_ERROR)
        return SB_ENOMEM;
    if (parser->error == YAML_READER_ERROR)
        return sb_err_set(reader->err, SB_EPARSE, "byte %zu: %s", parser->problem_offset,
                          parser->problem != NULL ? parser->problem : "not UTF-8");
    return sb_err_set(reader->err, SB_EPARSE, "line %u: %s%s%s", line_at(&parser->problem_mark),
                      parser->problem != NULL ? parser->problem : "malformed",
                      parser->context != NULL ? ", " : "",
                      parser->context != NULL ? parser->context : "");
}

static struct sb_slice text_of(const yaml_char_t *text)
{
    return sb_slice_of((const char *)text);
}

static int read_node(struct reader *reader, const yaml_event_t *event, unsigned depth,
                     struct cp_node *node);

static int set_anchor(struct reader *reader, const yaml_char_t *name, const yaml_mark_t *mark,
                      struct anchor **ret_anchor)
{
    struct anchor *anchor;

    if (name == NULL)
        return SB_OK;
    if (++reader->n_anchors > ANCHORS_MAX)
        return fail(reader, SB_ETOOBIG, mark, "too many anchors");
    anchor = sb_arena_alloc(reader->arena, sizeof(*anchor));
    anchor->name = sb_arena_dup(reader->arena, text_of(name));
    anchor->next = reader->anchors;
    reader->anchors = anchor;
    *ret_anchor = anchor;
    return SB_OK;
}

/* The children of the other node are shared: nobody changes them any more. */
static int read_alias(struct reader *reader, const yaml_event_t *event, struct cp_node *node)
{
    struct sb_slice wanted = text_of(event->data.alias.anchor);

    for (const struct anchor *anchor = reader->anchors; anchor != NULL; anchor = anchor->next) {
        if (!sb_slice_eq(anchor->name, wanted))
            continue;
        if (anchor->node == NULL)
            return fail(reader, SB_EPARSE, &event->start_mark, "an alias inside of its own anchor");
        node->kind = anchor->node->kind;
        node->style = anchor->node->style;
        node->text = anchor->node->text;
        node->first = anchor->node->first;
        node->n = anchor->node->n;
        node->weight = anchor->node->weight;
        node->height = anchor->node->height;
        return SB_OK;
    }
    return fail(reader, SB_EPARSE, &event->start_mark, "an alias without an anchor");
}

static int read_scalar(struct reader *reader, const yaml_event_t *event, struct cp_node *node)
{
    const char *tag = (const char *)event->data.scalar.tag;
    bool quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;

    if (tag != NULL) {
        if (strcmp(tag, YAML_STR_TAG) != 0 && strcmp(tag, "!") != 0)
            return fail(reader, SB_EPARSE, &event->start_mark, "no tags but !!str are known");
        quoted = true;
    }
    if (memchr(event->data.scalar.value, '\0', event->data.scalar.length) != NULL)
        return fail(reader, SB_EPARSE, &event->start_mark, "a text with a NUL character");
    node->kind = CP_NODE_SCALAR;
    node->style = quoted ? CP_STYLE_QUOTED : CP_STYLE_PLAIN;
    node->text = sb_arena_dup(reader->arena,
                              sb_slice_make(event->data.scalar.value, event->data.scalar.length));
    return SB_OK;
}

static void append(struct cp_node *parent, struct cp_node **last, struct cp_node *child)
{
    if (*last != NULL)
        (*last)->next = child;
    else
        parent->first = child;
    *last = child;
    parent->n++;
    parent->weight += child->weight;
    if (parent->height <= child->height)
        parent->height = (uint8_t)(child->height + 1);
}

static struct cp_node *find(const struct cp_node *map, struct sb_slice name)
{
    for (struct cp_node *child = map->first; child != NULL; child = child->next)
        if (sb_slice_eq(child->name, name))
            return child;
    return NULL;
}

/* "<<": members of another map that this one does not have itself. */
static int merge(struct reader *reader, struct cp_node *map, struct cp_node **last,
                 const struct cp_node *other, const yaml_mark_t *mark)
{
    if (other->kind == CP_NODE_LIST) {
        for (const struct cp_node *one = other->first; one != NULL; one = one->next) {
            int rc = one->kind == CP_NODE_MAP ? merge(reader, map, last, one, mark)
                                              : fail(reader, SB_EPARSE, mark, "<< takes maps only");

            if (rc != SB_OK)
                return rc;
        }
        return SB_OK;
    }
    if (other->kind != CP_NODE_MAP)
        return fail(reader, SB_EPARSE, mark, "<< takes maps only");
    for (const struct cp_node *member = other->first; member != NULL; member = member->next) {
        struct cp_node *copy;

        if (find(map, member->name) != NULL)
            continue;
        if (map->n == CP_DOC_MEMBERS_MAX)
            return fail(reader, SB_ETOOBIG, mark, "too many members");
        copy = sb_arena_alloc(reader->arena, sizeof(*copy));
        *copy = *member;
        copy->next = NULL;
        append(map, last, copy);
        if (++reader->nodes > CP_DOC_NODES_MAX)
            return fail(reader, SB_ETOOBIG, mark, "too many values");
    }
    return SB_OK;
}

static int read_list(struct reader *reader, unsigned depth, struct cp_node *node)
{
    struct cp_node *last = NULL;

    node->kind = CP_NODE_LIST;
    for (;;) {
        yaml_event_t event;
        struct cp_node *child;
        int rc = next_event(reader, &event);

        if (rc != SB_OK)
            return rc;
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return SB_OK;
        }
        child = sb_arena_alloc(reader->arena, sizeof(*child));
        rc = read_node(reader, &event, depth + 1, child);
        yaml_event_delete(&event);
        if (rc != SB_OK)
            return rc;
        append(node, &last, child);
    }
}

/* One member, whose name is in event.  Merged maps are put aside: the own
 * members win, wherever they stand. */
static int read_member(struct reader *reader, const yaml_event_t *event, unsigned depth,
                       struct cp_node *map, struct cp_node **last, struct cp_node **ret_merged)
{
    struct cp_node *child = sb_arena_alloc(reader->arena, sizeof(*child));
    yaml_event_t value;
    int rc;

    if (event->type != YAML_SCALAR_EVENT)
        return fail(reader, SB_EPARSE, &event->start_mark, "the name of a member must be a text");
    child->name = sb_arena_dup(reader->arena,
                               sb_slice_make(event->data.scalar.value, event->data.scalar.length));
    if (memchr(child->name.p, '\0', child->name.n) != NULL)
        return fail(reader, SB_EPARSE, &event->start_mark, "a name with a NUL character");
    if (map->n == CP_DOC_MEMBERS_MAX)
        return fail(reader, SB_ETOOBIG, &event->start_mark, "too many members");
    if (find(map, child->name) != NULL)
        return sb_err_set(reader->err, SB_EPARSE, "line %u: member '%.*s' comes twice",
                          line_at(&event->start_mark), SB_SLICE_ARGS(child->name));
    rc = next_event(reader, &value);
    if (rc != SB_OK)
        return rc;
    rc = read_node(reader, &value, depth + 1, child);
    yaml_event_delete(&value);
    if (rc != SB_OK)
        return rc;
    if (sb_slice_is(child->name, "<<") && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        *ret_merged = child;
    else
        append(map, last, child);
    return SB_OK;
}

static int read_map(struct reader *reader, unsigned depth, struct cp_node *node)
{
    struct cp_node *last = NULL, *merged = NULL;

    node->kind = CP_NODE_MAP;
    for (;;) {
        yaml_event_t event;
        bool had_merged = merged != NULL;
        int rc = next_event(reader, &event);

        if (rc != SB_OK)
            return rc;
        if (event.type == YAML_MAPPING_END_EVENT) {
            if (merged != NULL)
                rc = merge(reader, node, &last, merged, &event.start_mark);
            yaml_event_delete(&event);
            return rc;
        }
        rc = read_member(reader, &event, depth, node, &last, &merged);
        if (rc == SB_OK && had_merged && sb_slice_is(text_of(event.data.scalar.value), "<<"))
            rc = fail(reader, SB_EPARSE, &event.start_mark, "<< comes twice");
        yaml_event_delete(&event);
        if (rc != SB_OK)
            return rc;
    }
}

static int read_node(struct reader *reader, const yaml_event_t *event, unsigned depth,
                     struct cp_node *node)
{
    struct anchor *anchor = NULL;
    int rc;

    if (depth == CP_DOC_DEPTH_MAX)
        return fail(reader, SB_ETOOBIG, &event->start_mark, "nested too deep");
    node->line = line_at(&event->start_mark);
    node->weight = 1;
    node->height = 1;
    switch ((int)event->type) {
    case YAML_ALIAS_EVENT:
        rc = read_alias(reader, event, node);
        break;
    case YAML_SCALAR_EVENT:
        rc = set_anchor(reader, event->data.scalar.anchor, &event->start_mark, &anchor);
        if (rc == SB_OK)
            rc = read_scalar(reader, event, node);
        break;
    case YAML_SEQUENCE_START_EVENT:
        rc = event->data.sequence_start.tag != NULL
                 ? fail(reader, SB_EPARSE, &event->start_mark, "no tags but !!str are known")
                 : set_anchor(reader, event->data.sequence_start.anchor, &event->start_mark,
                              &anchor);
        if (rc == SB_OK)
            rc = read_list(reader, depth, node);
        break;
    case YAML_MAPPING_START_EVENT:
        rc =
            event->data.mapping_start.tag != NULL
                ? fail(reader, SB_EPARSE, &event->start_mark, "no tags but !!str are known")
                : set_anchor(reader, event->data.mapping_start.anchor, &event->start_mark, &anchor);
        if (rc == SB_OK)
            rc = read_map(reader, depth, node);
        break;
    default:
        rc = fail(reader, SB_EPARSE, &event->start_mark, "a value is missing");
    }
    /* Weights are bounded node by node, so their sums cannot overflow. */
    if (rc == SB_OK && (++reader->nodes > CP_DOC_NODES_MAX || node->weight > CP_DOC_NODES_MAX))
        rc = fail(reader, SB_ETOOBIG, &event->start_mark, "too many values");
    if (rc == SB_OK && depth + node->height > CP_DOC_DEPTH_MAX) /* through an alias */
        rc = fail(reader, SB_ETOOBIG, &event->start_mark, "nested too deep");
    if (rc == SB_OK && anchor != NULL)
        anchor->node = node;
    return rc;
}

/* The stream: its start, one document or none, its end. */
static int read_stream(struct reader *reader, struct cp_node *root)
{
    bool seen = false;

    for (;;) {
        yaml_event_t event;
        int type;
        int rc = next_event(reader, &event);

        if (rc != SB_OK)
            return rc;
        type = (int)event.type;
        if (type == YAML_DOCUMENT_START_EVENT && seen) {
            rc = fail(reader, SB_EPARSE, &event.start_mark, "a second document");
        } else if (type != YAML_STREAM_START_EVENT && type != YAML_DOCUMENT_START_EVENT &&
                   type != YAML_DOCUMENT_END_EVENT && type != YAML_STREAM_END_EVENT) {
            seen = true;
            rc = read_node(reader, &event, 0, root);
        }
        yaml_event_delete(&event);
        if (rc != SB_OK || type == YAML_STREAM_END_EVENT)
            return rc;
    }
}

int cp_yaml_read(struct sb_slice text, struct sb_arena *arena, struct cp_node **ret_root,
                 struct sb_errmsg *err)
{
    struct reader reader = {.arena = arena, .err = err};
    struct cp_node *root = sb_arena_alloc(arena, sizeof(*root));
    int rc;

    if (text.n > CP_DOC_BYTES_MAX)
        return sb_err_set(err, SB_ETOOBIG, "over %d bytes", CP_DOC_BYTES_MAX);
    *root = (struct cp_node){.kind = CP_NODE_MAP, .weight = 1, .height = 1};
    if (!yaml_parser_initialize(&reader.parser))
        return SB_ENOMEM;
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)(text.n > 0 ? text.p : ""),
                                 text.n);
    rc = read_stream(&reader, root);
    yaml_parser_delete(&reader.parser);
    if (rc == SB_OK)
        *ret_root = root;
    return rc;
}
