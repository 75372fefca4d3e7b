/* common/canon.h - JSON in one form only, so that it can be hashed.
 *
 * UTF-8 without white space.  Members of objects are sorted by the bytes of their
 * names.  Numbers stay as they are written.  Strings escape nothing but '"', '\'
 * and what is below U+0020: as \b \t \n \f \r where JSON has that, else as \u00xx
 * in lower case.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/slice.h"

struct sb_buf;

/* Bytes that a string of n bytes takes at most. */
#define SB_CANON_TEXT_MAX(n) (6 * (n) + 2)
/* A string with its quotes: writes at to, which has that much room, and gives
 * the end.  text is UTF-8, or the result is not. */
char *sb_canon_text(char *to, struct sb_slice text);
/* Lower-case hexadecimal in quotes, 2 * n + 2 bytes; as above. */
char *sb_canon_hex(char *to, struct sb_slice bytes);

/* Appends another JSON text in this form.  SB_EPARSE: it is none, or an object
 * has two members of one name; SB_ETOOBIG: nested deeper than SB_JSON_DEPTH, or
 * over the limit of the buffer; SB_ENOMEM.  out is then as before. */
int sb_canon_json(struct sb_buf *out, struct sb_slice json) SB_MUSTCHECK;
