/* common/json.h - JSON documents by yyjson, and a writer into sb_buf.
 *
 * For documents off the hot path (admin API, catalogues, small nested objects);
 * bodies that pass through are common/splice.h's.  This is the only file that
 * includes yyjson: use its yyjson_obj_get(), yyjson_arr_foreach() etc. through
 * it.  Documents use our allocator and are read only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <yyjson.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/slice.h"

struct sb_arena;
struct sb_buf;

/* --- reading --------------------------------------------------------------- */

enum { SB_JSON_DEPTH = 64 };

/* Copies; the document does not need text any more.  Strict RFC 8259.
 * SB_ETOOBIG: text over max bytes, or nested deeper than SB_JSON_DEPTH (so that
 * a recursive walk is safe); SB_EPARSE: err names line, column and reason;
 * SB_ENOMEM. */
int sb_json_read(struct sb_slice text, size_t max, yyjson_doc **ret_doc,
                 struct sb_errmsg *err) SB_MUSTCHECK;
/* The same with numbers as they are written (yyjson_get_raw()), of any length of
 * text and without words about what is wrong. */
int sb_json_read_raw(struct sb_slice text, yyjson_doc **ret_doc) SB_MUSTCHECK;
/* common/mem.h for yyjson, to write or to build documents with; static. */
const struct yyjson_alc *sb_json_allocator(void);
/* Fits SB_CLEANUP; NULL is fine. */
void sb_json_free(yyjson_doc **doc);

/* The characters of a string; no bytes when value is NULL or no string.
 * Borrowed from the document. */
struct sb_slice sb_json_text(yyjson_val *value);
/* "string", "integer", ...; static. */
const char *sb_json_type_name(yyjson_val *value);
/* Members of an object.  SB_ENOENT: it is absent or null; SB_EINVAL: it is of
 * another type, or no such number fits.  Of doubled names the first counts. */
int sb_json_get_text(yyjson_val *object, const char *name, struct sb_slice *ret_text) SB_MUSTCHECK;
int sb_json_get_i64(yyjson_val *object, const char *name, int64_t *ret_number) SB_MUSTCHECK;
int sb_json_get_u64(yyjson_val *object, const char *name, uint64_t *ret_number) SB_MUSTCHECK;
int sb_json_get_double(yyjson_val *object, const char *name, double *ret_number) SB_MUSTCHECK;
int sb_json_get_bool(yyjson_val *object, const char *name, bool *ret_bool) SB_MUSTCHECK;
int sb_json_get_object(yyjson_val *object, const char *name, yyjson_val **ret_object) SB_MUSTCHECK;
int sb_json_get_array(yyjson_val *object, const char *name, yyjson_val **ret_array) SB_MUSTCHECK;
/* The name of the first member that is not in the list (NULL-terminated), or
 * comes twice; p == NULL when all is well.  For objects that are closed. */
struct sb_slice sb_json_unknown_member(yyjson_val *object, const char *const *names);

/* --- the place inside a document, for messages ------------------------------ */

/* "endpoints[3].prices.prompt".  What does not fit ends in "...". */
struct sb_json_path {
    char text[200]; /* terminated */
    size_t n;
};

void sb_json_path_init(struct sb_json_path *path);
/* Both return the length before, for sb_json_path_back(). */
size_t sb_json_path_member(struct sb_json_path *path, struct sb_slice name);
size_t sb_json_path_index(struct sb_json_path *path, size_t index);
void sb_json_path_back(struct sb_json_path *path, size_t length);

/* --- writing --------------------------------------------------------------- */

/* Appends one value to a buffer.  Errors stick: look once, at the end.  Commas
 * and colons are the writer's business; strings are escaped, and bytes in them
 * that are not UTF-8 become U+FFFD, so that the output is always valid. */
struct sb_json {
    struct sb_buf *out; /* borrowed */
    size_t start;       /* length of out before */
    uint64_t arrays;    /* per level: it is an array */
    uint64_t filled;    /* per level: a comma is due */
    uint8_t depth;
    bool named; /* a name was written, its value is due */
    int rc;     /* sticky */
};

void sb_json_init(struct sb_json *json, struct sb_buf *out);
/* SB_OK; or SB_ETOOBIG or SB_ENOMEM from the buffer, which then holds what it
 * held before.  Everything opened must be closed. */
int sb_json_end(struct sb_json *json) SB_MUSTCHECK;

void sb_json_open_object(struct sb_json *json);
void sb_json_close_object(struct sb_json *json);
void sb_json_open_array(struct sb_json *json);
void sb_json_close_array(struct sb_json *json);
/* Before each value inside an object. */
void sb_json_name(struct sb_json *json, struct sb_slice name);

void sb_json_put_text(struct sb_json *json, struct sb_slice text);
void sb_json_put_i64(struct sb_json *json, int64_t number);
void sb_json_put_u64(struct sb_json *json, uint64_t number);
/* Shortest text that reads back the same; what JSON has no text for is null. */
void sb_json_put_double(struct sb_json *json, double number);
void sb_json_put_bool(struct sb_json *json, bool value);
void sb_json_put_null(struct sb_json *json);
/* JSON text as it is: exact decimals, spans of another document. */
void sb_json_put_raw(struct sb_json *json, struct sb_slice text);
/* A value of a document, whole. */
void sb_json_put_value(struct sb_json *json, yyjson_val *value);

/* A JSON string, quotes included, in the arena. */
struct sb_slice sb_json_quote(struct sb_arena *arena, struct sb_slice text);

/* Name and value in one; name is a C string of ours. */
void sb_json_add_text(struct sb_json *json, const char *name, struct sb_slice text);
void sb_json_add_i64(struct sb_json *json, const char *name, int64_t number);
void sb_json_add_u64(struct sb_json *json, const char *name, uint64_t number);
void sb_json_add_double(struct sb_json *json, const char *name, double number);
void sb_json_add_bool(struct sb_json *json, const char *name, bool value);
void sb_json_add_null(struct sb_json *json, const char *name);
void sb_json_add_raw(struct sb_json *json, const char *name, struct sb_slice text);
void sb_json_add_object(struct sb_json *json, const char *name); /* opens it */
void sb_json_add_array(struct sb_json *json, const char *name);  /* opens it */
