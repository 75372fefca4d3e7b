/* controlplane/catalog/doc.h - what a YAML or JSON text says, before anybody asks what
 * it means.
 *
 * A tree of nodes in an arena.  Scalars keep their text: what is read is
 * decided by who reads, so that a price is never a double, a date never
 * something else, "region: NO" is Norway and "value: no" is a no.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/attr.h"
#include "common/err.h"
#include "common/slice.h"

struct sb_json;

enum cp_node_kind { CP_NODE_SCALAR, CP_NODE_LIST, CP_NODE_MAP };

enum cp_node_style {
    CP_STYLE_QUOTED,  /* a string for sure */
    CP_STYLE_PLAIN,   /* YAML without quotes: whatever its reader takes it for */
    CP_STYLE_LITERAL, /* JSON number, true, false, null */
};

struct cp_node {
    struct cp_node *next;  /* sibling */
    struct cp_node *first; /* LIST, MAP: children in the order of the text */
    struct sb_slice name;  /* as a member of a map */
    struct sb_slice text;  /* SCALAR */
    uint32_t n;            /* LIST, MAP: children */
    uint32_t line;         /* from 1; 0 unknown (JSON) */
    uint32_t weight;       /* nodes at and below, aliases counted each time */
    uint8_t height;        /* levels at and below */
    uint8_t kind;          /* enum cp_node_kind */
    uint8_t style;         /* enum cp_node_style; SCALAR */
};

enum {
    CP_DOC_BYTES_MAX = 64 << 20,
    CP_DOC_NODES_MAX = 4000000, /* with aliases counted each time */
    CP_DOC_DEPTH_MAX = 32,      /* levels, aliases followed */
    CP_DOC_MEMBERS_MAX = 4096,  /* of one map */
};

enum cp_doc_format {
    CP_DOC_AUTO, /* JSON when the first character is { or [ and it parses, else YAML */
    CP_DOC_YAML,
    CP_DOC_JSON,
};

/* Copies what it needs into arena.  An empty text is an empty map.  Errors,
 * with line and reason in err: SB_EPARSE (also doubled member names, several
 * documents), SB_ETOOBIG, SB_ENOMEM. */
int cp_doc_read(struct sb_slice text, enum cp_doc_format format, struct sb_arena *arena,
                struct cp_node **ret_root, struct sb_errmsg *err) SB_MUSTCHECK;

/* The member, or NULL (also when node is NULL or no map). */
const struct cp_node *cp_node_get(const struct cp_node *node, const char *name);
/* NULL pointer, JSON null, and YAML's null, ~ and nothing. */
bool cp_node_is_null(const struct cp_node *node);
/* Readers of scalars: SB_EINVAL when it does not read so. */
int cp_node_text(const struct cp_node *node, struct sb_slice *ret_text) SB_MUSTCHECK;
int cp_node_bool(const struct cp_node *node, bool *ret_bool) SB_MUSTCHECK;
int cp_node_i64(const struct cp_node *node, int64_t *ret_number) SB_MUSTCHECK;
/* A decimal, as a number or in quotes; its text as written. */
int cp_node_decimal(const struct cp_node *node, struct sb_slice *ret_text) SB_MUSTCHECK;
/* "text", "number", "list", "map", "null", ...: static. */
const char *cp_node_describe(const struct cp_node *node);

/* RFC 7396: target with what patch changes.  Neither is touched; the result
 * shares their nodes.  target may be NULL. */
struct cp_node *cp_node_merge(const struct cp_node *target, const struct cp_node *patch,
                              struct sb_arena *arena);

/* Writes the value as JSON; plain scalars become null, true, false or a number
 * when they look so in YAML 1.2's core schema, else a string. */
void cp_node_write(const struct cp_node *node, struct sb_json *json);
