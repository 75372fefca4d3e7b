/* common/buskey.h - CURVE keys of the bus, and who is let in.
 *
 * A key file is text, mode 0600 (one that others can read is refused):
 *
 *      # switchboard bus key
 *      public: <40 characters, Z85>
 *      secret: <40 characters, Z85>
 *
 * A public key file has the first of these two lines only.  Authorised keys
 * are either a directory with one public key file NAME.pub each, or one file
 * with lines "<public key> <name>".  The name is whose key it is, and what
 * messages of that peer carry, see sb_bus_msg_name().
 */
#pragma once

#include <stdbool.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/slice.h"

enum {
    SB_BUSKEY_TEXT = 40,     /* characters of a key in Z85 */
    SB_BUSKEY_NAME_MAX = 64, /* bytes; letters, digits, '.', '_', '-' */
};

struct sb_buskey;  /* a pair; the secret half lies in zeroed memory */
struct sb_busauth; /* the authorised keys, behind the process's ZAP handler */

/* Makes a new pair and writes it to path (mode 0600), and its public half to
 * path + ".pub" (0644).  SB_EEXIST when either is there: a key is never
 * overwritten. */
int sb_buskey_generate(const char *path, struct sb_errmsg *err) SB_MUSTCHECK;
/* A new pair that exists in memory only. */
struct sb_buskey *sb_buskey_new(void);
/* SB_ENOENT, SB_EACCES (others can read it), SB_EPARSE. */
int sb_buskey_load(const char *path, struct sb_buskey **ret, struct sb_errmsg *err) SB_MUSTCHECK;
void sb_buskey_destroy(struct sb_buskey **key);
/* Z85, terminated; lives as long as key. */
const char *sb_buskey_public(const struct sb_buskey *key);

/* Reads the "public:" line of a public or a whole key file. */
int sb_buskey_load_public(const char *path, char ret_text[SB_BUSKEY_TEXT + 1],
                          struct sb_errmsg *err) SB_MUSTCHECK;
/* true: 40 characters of Z85. */
bool sb_buskey_is_public_text(struct sb_slice text);

/* Loads the authorised keys (directory or file) and starts the process's ZAP
 * handler, an actor; one per process, before any socket that uses it.
 * SB_EPARSE names file and line. */
int sb_busauth_start(const char *path, struct sb_busauth **ret, struct sb_errmsg *err) SB_MUSTCHECK;
/* After the sockets that use it. */
void sb_busauth_stop(struct sb_busauth **auth);
/* Reads the same path again, from any thread; on failure the old keys stay.
 * New connections see the change.  Connections that exist go on: a receiver
 * that must drop those of a removed key asks sb_busauth_allows(). */
int sb_busauth_reload(struct sb_busauth *auth, struct sb_errmsg *err) SB_MUSTCHECK;
/* From any thread.  key: Z85 text, as sb_bus_msg_key() gives it. */
bool sb_busauth_allows(struct sb_busauth *auth, struct sb_slice key);
