/* controlplane/catalog/schema.h - what the objects of a catalogue may say, as tables.
 *
 * For controlplane/catalog/catalog.c alone.  A row names a member and the function
 * that checks it and writes its normal form; parser, messages and the order in
 * which members are shown walk the same tables.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/json.h"
#include "common/slice.h"
#include "controlplane/catalog/catalog.h"
#include "controlplane/catalog/doc.h"
#include "controlplane/catalog/problem.h"

/* One object while it is read. */
struct cp_reader {
    struct cp_problems *problems;
    struct sb_json_path path;
    struct sb_json json;                /* the normal form */
    struct cp_object *object;           /* what becomes of it */
    struct cp_secret_source credential; /* providers: "credential" */
    bool bad;                           /* a problem was found in it */
    bool tolerant; /* members that only the store sets are ignored, not refused */
};

struct cp_field;
/* node is neither NULL nor null, path points to it.  Writes name and value to
 * reader->json, or adds problems. */
typedef void cp_check_cb(struct cp_reader *reader, const struct cp_field *field,
                         const struct cp_node *node);

enum {
    CP_FIELD_REQUIRED = 1,
    CP_FIELD_STORE = 2, /* only the store sets it */
};

struct cp_field {
    const char *name;
    cp_check_cb *check;
    int64_t min, max; /* numbers: range; texts: max bytes; booleans: min is the default */
    unsigned flags;
    const void *arg; /* of the check */
};

struct cp_schema {
    const struct cp_field *fields;
    size_t n;
    /* Sets the object's name from node, whatever else is wrong with it; false:
     * it has none. */
    bool (*name)(struct cp_object *object, const struct cp_node *node, struct sb_arena *arena);
    /* Writes what is left out and checks what takes several members; runs
     * last.  May be NULL. */
    void (*complete)(struct cp_reader *reader, const struct cp_node *node);
};

extern const struct cp_schema cp_schemas[CP_KINDS];

/* A problem with what the path points to. */
void cp_reader_problem(struct cp_reader *reader, const struct cp_node *node, const char *fmt, ...)
    SB_PRINTF(3, 4);
/* Checks the members of a map against rows, and writes them into the object
 * that is open. */
void cp_reader_members(struct cp_reader *reader, const struct cp_node *node,
                       const struct cp_field *fields, size_t n);

/* The checks of single members. */
cp_check_cb cp_check_slug, cp_check_name, cp_check_tag, cp_check_model_id, cp_check_line,
    cp_check_text, cp_check_base_url, cp_check_url, cp_check_proxy, cp_check_path, cp_check_country,
    cp_check_region, cp_check_number, cp_check_flag, cp_check_word, cp_check_date, cp_check_time,
    cp_check_pairs, cp_check_auth, cp_check_aliases, cp_check_modalities, cp_check_parameters,
    cp_check_days, cp_check_quantization, cp_check_pricing, cp_check_claim, cp_check_data_policy,
    cp_check_secret;

/* Lower case letters, digits, '.', '_', '-'; begins with a letter or digit. */
bool cp_is_slug(struct sb_slice text);

/* The word that somebody who wrote text may have meant, or NULL.  words ends
 * with NULL. */
const char *cp_closest(struct sb_slice text, const char *const *words);
