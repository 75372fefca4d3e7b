/* controlplane/publish/compile.h - the stored configuration as snapshot bytes.
 *
 * Reads everything in one REPEATABLE READ transaction.  The bytes of a version
 * are stored per format, and whoever asks later gets those: every daemon serves
 * the same hash.
 */
#pragma once

#include <stdint.h>

#include "common/arena.h"
#include "common/attr.h"
#include "common/buf.h"
#include "common/err.h"
#include "proto/limits.h"
#include "proto/version.h"

struct cp_db;
struct msg_snapshot;

struct cp_compiled {
    struct msg_version version;
    uint8_t format;
    uint8_t hash[MSG_HASH_BYTES]; /* BLAKE2b-256 of bytes */
    struct sb_buf bytes;
};

void cp_compiled_release(struct cp_compiled *compiled);

/* The newest version: stored bytes if there are any, else compiled now and
 * stored.  term: of the leader that asks, who alone may store; 0 does not
 * store.  SB_ENOTLEADER: the term is not the newest any more; SB_EVERSION: no
 * such format; SB_ETOOBIG; codes of controlplane/db.h.  *ret is written on
 * success only. */
int cp_compile(struct cp_db *db, uint8_t format, uint64_t term, struct cp_compiled *ret,
               struct sb_errmsg *err) SB_MUSTCHECK;

/* The records of the newest version, in arena, texts included. */
int cp_compile_read(struct cp_db *db, struct sb_arena *arena, struct msg_snapshot **ret_snapshot,
                    struct sb_errmsg *err) SB_MUSTCHECK;

/* The same inside of a transaction that the caller has begun (REPEATABLE READ);
 * what the database said is in cp_db_last_error(). */
int cp_compile_records(struct cp_db *db, struct sb_arena *arena,
                       struct msg_snapshot **ret_snapshot) SB_MUSTCHECK;

/* How many versions' bytes are kept. */
enum { CP_COMPILED_KEPT = 8 };
