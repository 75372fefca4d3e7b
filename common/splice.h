/* common/splice.h - one validating pass over a JSON text, and edits of its
 * top level that leave all other bytes as they were.
 *
 * The pass rejects what RFC 8259 rejects, also bytes that are not UTF-8,
 * escapes that are half a surrogate pair, numbers beyond a double (as yyjson
 * does), nesting over a limit, and member names that come twice, also when one
 * of them is escaped.  It yields the members of the outermost object (or the
 * elements of the outermost array) as spans.  Nothing is allocated: tables are
 * the caller's, usually on its stack, and may be left uninitialised.
 *
 *      struct sb_splice_member table[SB_SPLICE_MEMBERS];
 *      struct sb_splice_edit changes[8];
 *      struct sb_splice doc;
 *      struct sb_splice_edits edits;
 *
 *      sb_splice_init(&doc, table, SB_ARRAY_LEN(table));
 *      rc = sb_splice_scan(&doc, body, SB_SPLICE_DEPTH, &error);
 *      sb_splice_edits_init(&edits, &doc, changes, SB_ARRAY_LEN(changes));
 *      model = sb_splice_find(&doc, SB_SLICE_LIT("model"));
 *      if (model != NULL)
 *          rc = sb_splice_replace(&edits, model, SB_SLICE_LIT("\"llama-3\""));
 *      ... sb_splice_length(&edits) into the head ...
 *      rc = sb_splice_emit(&edits, &out);
 *
 * A value's text can be scanned again for its own members, by the same call.
 * Facts from deeper levels are told to a visitor in the same pass.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/attr.h"
#include "common/slice.h"

struct sb_arena;
struct sb_buf;

enum {
    SB_SPLICE_DEPTH = 64,        /* usual limit of nesting; the outermost object is 1 */
    SB_SPLICE_DEPTH_MAX = 1024,  /* highest limit that can be asked for */
    SB_SPLICE_MEMBERS = 128,     /* usual size of a table for a client's body */
    SB_SPLICE_NAME_BYTES = 1024, /* longest name of a recorded member, as written */
    SB_SPLICE_VISIT_DEPTH = 8,   /* deepest level that a visitor hears of */
};

enum sb_splice_type {
    SB_SPLICE_NULL,
    SB_SPLICE_FALSE,
    SB_SPLICE_TRUE,
    SB_SPLICE_NUMBER,
    SB_SPLICE_STRING,
    SB_SPLICE_ARRAY,
    SB_SPLICE_OBJECT,
};

/* Offsets count from the first byte of the text. */
struct sb_splice_member {
    uint32_t name, name_n;   /* between its quotes, as written; 0, 0 in an array */
    uint32_t value, value_n; /* a string with its quotes */
    uint32_t end;            /* offset of the ',' '}' or ']' that follows */
    uint32_t hash;           /* of the name, unescaped */
    uint8_t type;            /* enum sb_splice_type */
    bool name_escaped;       /* the name holds a backslash */
};

struct sb_splice {
    struct sb_slice text;             /* borrowed */
    struct sb_splice_member *members; /* the caller's table, in order of the text */
    uint32_t max;                     /* its size */
    uint32_t n;                       /* recorded: members, or elements of an array */
    uint32_t count;                   /* there; more than n only in an array */
    uint32_t open, close;             /* offsets of the outermost brackets */
    enum sb_splice_type type;         /* of the outermost value */
};

/* Where and why; both static or in the text that was scanned. */
struct sb_splice_error {
    size_t offset;          /* of the first byte that cannot be accepted */
    const char *reason;     /* e.g. "doubled member name" */
    struct sb_slice member; /* outermost member that holds the place, or the doubled one, name
                               as written; or none */
};

/* members may be NULL with max 0, to validate something that is no object. */
void sb_splice_init(struct sb_splice *doc, struct sb_splice_member *members, uint32_t max);
/* Borrows text until the document is no longer used.  max_depth: at most
 * SB_SPLICE_DEPTH_MAX.  Errors, all with *ret_error filled (NULL: not wanted),
 * the document is then not to be used: SB_EPARSE; SB_EEXIST for a doubled
 * name; SB_ETOOBIG for depth, number of members, length of a name, or a text
 * of 4 GiB.  Of an array only the first max elements are recorded. */
int sb_splice_scan(struct sb_splice *doc, struct sb_slice text, unsigned max_depth,
                   struct sb_splice_error *ret_error) SB_MUSTCHECK;

/* Hears of what lies deeper while the scan passes it, so that nothing is read
 * twice.  Embedded in a struct of its owner, who gets at it by container_of().
 * depth: how many objects and arrays are around the value; 1 is a member of
 * the outermost one.  name: as written, without quotes; none in an array.  What
 * was told counts only when the scan ends well: a visitor gathers, and its
 * owner draws conclusions afterwards.  Names are not checked for doubles. */
struct sb_splice_visitor {
    /* An object or array begins.  Whether its inside is to be told. */
    bool (*open)(struct sb_splice_visitor *visitor, unsigned depth, struct sb_slice name,
                 enum sb_splice_type type);
    /* A value inside of what is told has ended, an opened one behind all that is
     * in it.  Not called for the outermost members: they are recorded. */
    void (*value)(struct sb_splice_visitor *visitor, unsigned depth, struct sb_slice name,
                  struct sb_slice value);
};
/* As sb_splice_scan(), and tells the visitor. */
int sb_splice_visit(struct sb_splice *doc, struct sb_slice text, unsigned max_depth,
                    struct sb_splice_visitor *visitor,
                    struct sb_splice_error *ret_error) SB_MUSTCHECK;

/* --- looking --------------------------------------------------------------- */

/* What members carry of their names: length and ends, enough to tell those of
 * one object apart.  Who crafts names that collide makes us compare them, and
 * they are short.  Of a literal it costs nothing. */
static inline uint32_t sb_splice_hash(struct sb_slice name)
{
    uint32_t head = 0, tail = 0;

    if (name.n >= 4) {
        memcpy(&head, name.p, 4);
        memcpy(&tail, name.p + name.n - 4, 4);
    } else {
        for (size_t i = 0; i < name.n; i++)
            head = head << 8 | (unsigned char)name.p[i];
    }
    return ((head * 0x9e3779b1u) ^ tail) * 0x85ebca6bu + (uint32_t)name.n;
}

/* NULL when there is none. */
const struct sb_splice_member *sb_splice_find(const struct sb_splice *doc, struct sb_slice name);
/* Compares unescaped. */
bool sb_splice_name_is(const struct sb_splice *doc, const struct sb_splice_member *member,
                       struct sb_slice name);

static inline struct sb_slice sb_splice_name(const struct sb_splice *doc,
                                             const struct sb_splice_member *member)
{
    return (struct sb_slice){.p = doc->text.p + member->name, .n = member->name_n};
}

/* The text of a value; scan it again for what is inside. */
static inline struct sb_slice sb_splice_value(const struct sb_splice *doc,
                                              const struct sb_splice_member *member)
{
    return (struct sb_slice){.p = doc->text.p + member->value, .n = member->value_n};
}

/* Told by the first byte. */
static inline enum sb_splice_type sb_splice_type_of(struct sb_slice value)
{
    switch (value.n > 0 ? value.p[0] : 'n') {
    case '"':
        return SB_SPLICE_STRING;
    case '{':
        return SB_SPLICE_OBJECT;
    case '[':
        return SB_SPLICE_ARRAY;
    case 't':
        return SB_SPLICE_TRUE;
    case 'f':
        return SB_SPLICE_FALSE;
    case 'n':
        return SB_SPLICE_NULL;
    default:
        return SB_SPLICE_NUMBER;
    }
}

/* Getters take the text of one value that passed a scan.  SB_EINVAL: it is of
 * another type. */
/* Gives the characters: part of the text when nothing is escaped, else
 * unescaped into the arena (SB_ENOMEM).  May hold NUL. */
int sb_splice_get_string(struct sb_slice value, struct sb_arena *arena,
                         struct sb_slice *ret_string) SB_MUSTCHECK;
/* An integer without fraction or exponent; SB_ETOOBIG when it does not fit. */
int sb_splice_get_int(struct sb_slice value, int64_t *ret_int) SB_MUSTCHECK;
/* SB_ETOOBIG: more text than any number needs (500 bytes). */
int sb_splice_get_number(struct sb_slice value, double *ret_number) SB_MUSTCHECK;
int sb_splice_get_bool(struct sb_slice value, bool *ret_bool) SB_MUSTCHECK;

/* Whether this could stand between the quotes of a string.  The byte behind it
 * must be a quote. */
bool sb_splice_is_inside(struct sb_slice inside);

/* --- changing -------------------------------------------------------------- */

struct sb_splice_edit {
    uint32_t member;       /* index; UINT32_MAX: appended */
    bool cut;              /* else replaced or appended */
    struct sb_slice name;  /* of an appended member */
    struct sb_slice value; /* JSON text */
};

/* A list of changes; the document stays as it is, so that one document may
 * have several lists, e.g. one for each attempt. */
struct sb_splice_edits {
    const struct sb_splice *doc;  /* borrowed */
    struct sb_splice_edit *items; /* the caller's: by member, appended ones behind */
    uint32_t n, max;
};

/* The document must be an object.  Slices given to the calls below are
 * borrowed until the list was emitted for the last time.  The last change of a
 * member counts.  SB_ENOSPC: the list is full. */
void sb_splice_edits_init(struct sb_splice_edits *edits, const struct sb_splice *doc,
                          struct sb_splice_edit *items, uint32_t max);
/* value: JSON text, not looked at. */
int sb_splice_replace(struct sb_splice_edits *edits, const struct sb_splice_member *member,
                      struct sb_slice value) SB_MUSTCHECK;
/* Takes its comma along. */
int sb_splice_cut(struct sb_splice_edits *edits,
                  const struct sb_splice_member *member) SB_MUSTCHECK;
/* name: without quotes, as it is to be written.  Does not look whether there
 * is such a member. */
int sb_splice_append(struct sb_splice_edits *edits, struct sb_slice name,
                     struct sb_slice value) SB_MUSTCHECK;
/* Bytes that sb_splice_emit() will add. */
size_t sb_splice_length(const struct sb_splice_edits *edits);
/* Appends the changed text to out; errors as sb_buf_reserve(), then nothing
 * was added. */
int sb_splice_emit(const struct sb_splice_edits *edits, struct sb_buf *out) SB_MUSTCHECK;
/* The changed text in pieces, without a copy: they lie in the document's text,
 * in the values and names of the edits, or are static.  The list, of at most
 * sb_splice_pieces_max() and without empty ones, is the caller's; gives how many
 * they are. */
size_t sb_splice_pieces(const struct sb_splice_edits *edits, struct sb_slice *ret_pieces);
static inline size_t sb_splice_pieces_max(const struct sb_splice_edits *edits)
{
    return 5 * (size_t)edits->n + 1; /* an appended one: text, comma, name, colon, value */
}
