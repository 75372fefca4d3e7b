/* controlplane/publish/compile.c - see compile.h for the contract. */
#include "controlplane/publish/compile.h"

#include <string.h>

#include "common/secret.h"
#include "controlplane/db.h"
#include "controlplane/publish/term.h"
#include "proto/snapshot.h"

enum { ARENA_FIRST = 1 << 20 };

void cp_compiled_release(struct cp_compiled *compiled)
{
    sb_buf_release(&compiled->bytes);
}

static int fail(struct cp_db *db, int rc, const char *what, struct sb_errmsg *err)
{
    const struct cp_db_error *error = cp_db_last_error(db);

    if (error->code == rc)
        return sb_err_set(err, rc, "%s: %.200s", what, error->text.text);
    return sb_err_set(err, rc, "%s: %s", what, sb_err_str(rc));
}

/* --- reading ------------------------------------------------------------------- */

struct reading {
    struct sb_arena *arena;
    struct msg_snapshot *snapshot; /* NULL: the bytes were stored already */
    struct cp_compiled *compiled;  /* NULL: stored bytes are not wanted */
};

/* The stored bytes of a version; SB_ENOENT when there are none. */
static int load(struct cp_db *db, struct msg_version version, struct cp_compiled *compiled)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct sb_slice hash;
    int rc = cp_db_query(
        db,
        "SELECT hash, bytes FROM compiled_snapshots"
        " WHERE epoch = $1 AND revision = $2 AND format = $3",
        CP_PARAMS(CP_P_I64(version.epoch), CP_P_I64(version.revision), CP_P_I64(compiled->format)),
        &rows);

    if (rc != SB_OK)
        return rc;
    if (cp_rows_count(rows) == 0)
        return SB_ENOENT;
    hash = cp_rows_bytes(rows, 0, 0);
    if (hash.n != MSG_HASH_BYTES)
        return SB_EHASH;
    memcpy(compiled->hash, hash.p, hash.n);
    compiled->version = version;
    sb_buf_reset(&compiled->bytes);
    return sb_buf_append(&compiled->bytes, cp_rows_bytes(rows, 0, 1));
}

static int read_all(struct cp_db *db, void *ctx)
{
    struct reading *reading = ctx;

    if (reading->compiled != NULL) {
        SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
        struct msg_version version;
        int rc = cp_db_query(db, "SELECT epoch, revision FROM config_head", CP_NO_PARAMS, &rows);

        if (rc != SB_OK)
            return rc;
        if (cp_rows_count(rows) != 1)
            return SB_EPARSE;
        version.epoch = (uint64_t)cp_rows_i64(rows, 0, 0);
        version.revision = (uint64_t)cp_rows_i64(rows, 0, 1);
        rc = load(db, version, reading->compiled);
        if (rc != SB_ENOENT)
            return rc;
    }
    return cp_compile_records(db, reading->arena, &reading->snapshot);
}

int cp_compile_read(struct cp_db *db, struct sb_arena *arena, struct msg_snapshot **ret_snapshot,
                    struct sb_errmsg *err)
{
    struct reading reading = {.arena = arena};
    int rc = cp_db_transact(db, CP_REPEATABLE_READ_ONLY, read_all, &reading);

    if (rc != SB_OK)
        return fail(db, rc, "reading the configuration", err);
    *ret_snapshot = reading.snapshot;
    return SB_OK;
}

/* --- storing --------------------------------------------------------------------- */

struct storing {
    struct cp_compiled *compiled;
    uint64_t term;
};

static int store(struct cp_db *db, void *ctx)
{
    struct storing *storing = ctx;
    struct cp_compiled *compiled = storing->compiled;
    uint64_t count = 0;
    int rc = cp_term_check(db, storing->term);

    /* Lost in a crash of the server it is made again, byte for byte. */
    if (rc == SB_OK)
        rc = cp_db_script(db, "SET LOCAL synchronous_commit = off");
    if (rc == SB_OK)
        rc = cp_db_exec(db,
                        "INSERT INTO compiled_snapshots (epoch, revision, format, hash, bytes)"
                        " VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                        CP_PARAMS(CP_P_I64(compiled->version.epoch),
                                  CP_P_I64(compiled->version.revision), CP_P_I64(compiled->format),
                                  CP_P_BYTES(sb_slice_make(compiled->hash, MSG_HASH_BYTES)),
                                  CP_P_BYTES(sb_buf_slice(&compiled->bytes))),
                        &count);
    if (rc == SB_OK && count == 0) /* somebody was faster: his bytes are the ones */
        return load(db, compiled->version, compiled);
    if (rc == SB_OK)
        rc =
            cp_db_exec(db,
                       "DELETE FROM compiled_snapshots WHERE format = $1 AND (epoch, revision) <"
                       " (SELECT epoch, revision FROM compiled_snapshots WHERE format = $1"
                       " ORDER BY epoch DESC, revision DESC LIMIT 1 OFFSET $2)",
                       CP_PARAMS(CP_P_I64(compiled->format), CP_P_I64(CP_COMPILED_KEPT - 1)), NULL);
    return rc;
}

static int encode(const struct msg_snapshot *snapshot, struct cp_compiled *compiled,
                  struct sb_errmsg *err)
{
    int rc = msg_snapshot_check(snapshot, err);

    if (rc == SB_OK)
        rc = msg_snapshot_encode(snapshot, &compiled->bytes, err);
    if (rc != SB_OK)
        return rc;
    compiled->version = snapshot->version;
    sb_hash(sb_buf_slice(&compiled->bytes), compiled->hash);
    return SB_OK;
}

static int compile_into(struct cp_db *db, uint64_t term, struct cp_compiled *compiled,
                        struct sb_errmsg *err)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(ARENA_FIRST);
    struct reading reading = {.arena = arena, .compiled = compiled};
    struct storing storing = {.compiled = compiled, .term = term};
    int rc = cp_db_transact(db, CP_REPEATABLE_READ_ONLY, read_all, &reading);

    if (rc != SB_OK)
        return fail(db, rc, "reading the configuration", err);
    if (reading.snapshot == NULL)
        return SB_OK;
    rc = encode(reading.snapshot, compiled, err);
    if (rc != SB_OK || term == 0)
        return rc;
    rc = cp_db_transact(db, CP_READ_COMMITTED, store, &storing);
    return rc == SB_OK ? rc : fail(db, rc, "storing the compiled snapshot", err);
}

int cp_compile(struct cp_db *db, uint8_t format, uint64_t term, struct cp_compiled *ret,
               struct sb_errmsg *err)
{
    struct cp_compiled compiled = {.format = format};
    int rc;

    if (format != MSG_SNAPSHOT_FORMAT)
        return sb_err_set(err, SB_EVERSION, "there is no snapshot format %u", format);
    sb_buf_init(&compiled.bytes, MSG_SNAPSHOT_MAX);
    rc = compile_into(db, term, &compiled, err);
    if (rc != SB_OK) {
        cp_compiled_release(&compiled);
        return rc;
    }
    *ret = compiled;
    return SB_OK;
}
