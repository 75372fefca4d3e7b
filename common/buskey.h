/* common/buskey.h - CURVE keys of the bus.
 *
 * A key file is text, private as common/keyfile.h says:
 *
 *      # switchboard bus key
 *      public: <40 characters, Z85>
 *      secret: <40 characters, Z85>
 *
 * A public key file has the first of these two lines only, and may be read by
 * anybody.
 */
#pragma once

#include <stdbool.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/slice.h"

enum { SB_BUSKEY_TEXT = 40 }; /* characters of a key in Z85 */

struct sb_buskey; /* a pair */
struct sb_secret;

/* Makes a new pair and writes it to path (mode 0600), and its public half to
 * path + ".pub" (0644).  SB_EEXIST when either is there: a key is never
 * overwritten. */
int sb_buskey_generate(const char *path, struct sb_errmsg *err) SB_MUSTCHECK;
/* A new pair that exists in memory only. */
struct sb_buskey *sb_buskey_new(void);
/* SB_ENOENT, SB_EACCES (others can read it), SB_EPARSE (also when the halves
 * do not belong together). */
int sb_buskey_load(const char *path, struct sb_buskey **ret, struct sb_errmsg *err) SB_MUSTCHECK;
/* Wipes the secret half. */
void sb_buskey_destroy(struct sb_buskey **key);
/* Z85, terminated; lives as long as key. */
const char *sb_buskey_public(const struct sb_buskey *key);
/* Z85 likewise; for common/bus.c. */
const struct sb_secret *sb_buskey_secret(const struct sb_buskey *key);

/* Reads the "public:" line of a public or a whole key file. */
int sb_buskey_load_public(const char *path, char ret_text[SB_BUSKEY_TEXT + 1],
                          struct sb_errmsg *err) SB_MUSTCHECK;
/* true: 40 characters of Z85. */
bool sb_buskey_is_public_text(struct sb_slice text);
