/* controlplane/catalog/catalog.h - the catalogue document: parse, validate, normalise.
 *
 * Pure: no database, no environment, no files.  A text goes in; out comes a
 * list of objects in normal form, or all problems at once.  In normal form
 * members that say nothing are left out, defaults that name something (tag,
 * upstream_model, names) are filled in, decimals are the shortest, dates and
 * times are RFC 3339 in UTC: equal objects have equal JSON.
 *
 * What needs the stored catalogue (references to objects that the document does
 * not name, removals) is checked by controlplane/config/store.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/attr.h"
#include "common/err.h"
#include "common/slice.h"
#include "controlplane/catalog/doc.h"
#include "controlplane/catalog/problem.h"

/* X(NAME, "section", "one of it"), in an order in which they can be stored:
 * nothing refers to what comes later. */
#define CP_KIND_MAP(X)                                                                             \
    X(PROVIDERS, "providers", "provider")                                                          \
    X(MODELS, "models", "model")                                                                   \
    X(TENANTS, "tenants", "tenant")                                                                \
    X(POLICIES, "policies", "policy")                                                              \
    X(ENDPOINTS, "endpoints", "endpoint")                                                          \
    X(KEYS, "keys", "key")                                                                         \
    X(CREDENTIALS, "credentials", "credential")

enum cp_kind {
#define X(name, section, one) CP_##name,
    CP_KIND_MAP(X)
#undef X
        CP_KINDS
};
const char *cp_kind_section(enum cp_kind kind); /* "providers" */
const char *cp_kind_one(enum cp_kind kind);     /* "provider" */
/* Either form; -1 when it is none. */
int cp_kind_parse(struct sb_slice text);

/* Where a secret is to be read from; the document holds the place, and only
 * for VALUE the secret itself. */
enum cp_secret_from { CP_SECRET_NONE, CP_SECRET_ENV, CP_SECRET_FILE, CP_SECRET_VALUE };

struct cp_secret_source {
    enum cp_secret_from from;
    struct sb_slice text;    /* name of the variable, path, or the secret; in the arena */
    struct sb_slice written; /* the same in the document's node, to be wiped as well */
    struct sb_slice path;    /* "providers[0].credential" */
    uint32_t line;
};

/* One object.  Its name is unique in its kind: the provider's slug, the model's
 * id, "model@tag" of an endpoint, else its name. */
struct cp_object {
    enum cp_kind kind;
    struct sb_slice name;
    struct sb_slice json; /* normal form, never a secret; empty: it has problems */
    struct sb_slice path; /* "endpoints[3]", for later problems */
    uint32_t line;
    struct cp_secret_source secret; /* keys, credentials */
    struct sb_slice base_url;       /* providers: what a credential is sealed for */
    const struct cp_node *node;     /* as written; NULL for a provider's credential */
};

struct cp_catalog {
    struct sb_arena *arena; /* borrowed */
    /* All objects of a kind, in the order of the document.  A provider's
     * "credential" is a credential of its own, named by the slug. */
    struct cp_object *objects[CP_KINDS];
    struct cp_object **by_name[CP_KINDS]; /* the same, sorted */
    size_t n[CP_KINDS];
};

/* Reads a whole document, `version: 1` and sections.  Problems
 * (also those that cp_doc_read() finds) are added to the list; the catalogue is
 * given all the same, so that more can be found in the store.  SB_EINVAL: the
 * text is no document at all, there is no catalogue; SB_ENOMEM.  Everything is
 * in arena. */
int cp_catalog_read(struct sb_slice text, enum cp_doc_format format, struct sb_arena *arena,
                    struct cp_problems *problems, struct cp_catalog **ret_catalog) SB_MUSTCHECK;

/* Reads one object, as PUT sends it: its paths begin with its members.  name
 * is the one in the address: the object may repeat it, not differ. */
int cp_catalog_read_object(enum cp_kind kind, struct sb_slice name, struct sb_slice text,
                           struct sb_arena *arena, struct cp_problems *problems,
                           struct cp_catalog **ret_catalog) SB_MUSTCHECK;

/* The place in by_name, or n when there is no such object. */
size_t cp_catalog_place(const struct cp_catalog *catalog, enum cp_kind kind, struct sb_slice name);
/* The object of that name, or NULL; one that has problems is found, too. */
struct cp_object *cp_catalog_find(const struct cp_catalog *catalog, enum cp_kind kind,
                                  struct sb_slice name);

/* Below, equal, above, byte by byte: the order of by_name. */
int cp_slice_order(struct sb_slice a, struct sb_slice b);

enum { CP_CATALOG_VERSION = 1 };
/* An endpoint's name: model and tag around this. */
#define CP_ENDPOINT_SEPARATOR '@'
