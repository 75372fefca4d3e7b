/* dataplane/courier/snapstore.h - the last good snapshot and tables, on disk.
 *
 * Two files in the worker's directory, replaced as a whole: a head with
 * version, length and BLAKE2b hash, and the bytes as they came.  Read at a
 * start without a control plane.  These block: for the courier only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/slice.h"
#include "proto/limits.h"
#include "proto/version.h"

struct dp_stored {
    struct msg_version version;   /* of tables: epoch and term */
    uint8_t hash[MSG_HASH_BYTES]; /* of the bytes */
    sb_usec confirmed_at;         /* when a daemon last said that it is the newest */
};

/* name: "snapshot" or "tables".  The hash is worked out when it is NULL. */
int dp_snapstore_write(const char *dir, const char *name, struct msg_version version,
                       const uint8_t *hash, struct sb_slice bytes,
                       struct sb_errmsg *err) SB_MUSTCHECK;
/* What is there is still the newest, as of now. */
int dp_snapstore_confirm(const char *dir, const char *name) SB_MUSTCHECK;
/* Fills an empty buf, whose limit is that of the file: the bytes are behind
 * *ret_bytes.  SB_ENOENT; SB_EHASH when it is damaged; SB_EVERSION when it is
 * of another program; SB_ETOOBIG, SB_ENOMEM, SB_EIO. */
int dp_snapstore_read(const char *dir, const char *name, struct sb_buf *buf,
                      struct dp_stored *ret_stored, struct sb_slice *ret_bytes,
                      struct sb_errmsg *err) SB_MUSTCHECK;
