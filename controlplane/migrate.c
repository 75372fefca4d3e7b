/* controlplane/migrate.c - see migrate.h for the contract. */
#include "controlplane/migrate.h"

#include <inttypes.h>
#include <string.h>

#include "common/clock.h"
#include "common/secret.h"
#include "common/timefmt.h"
#include "controlplane/db.h"
#include "controlplane/sql.h"

enum { PARTITION_DAYS_BEHIND = 1, PARTITION_DAYS_AHEAD = 3 };

/* "SBRD" 1: the lock of those who bring a schema up to date. */
#define LOCK_SQL                                                                                   \
    "SET lock_timeout = '60s'; SELECT pg_advisory_lock(1396855364, 1); SET lock_timeout = '10s'"
#define UNLOCK_SQL "SELECT pg_advisory_unlock(1396855364, 1)"

static int explain(struct cp_db *db, const char *what, struct sb_errmsg *err)
{
    const struct cp_db_error *error = cp_db_last_error(db);

    return sb_err_set(err, error->code, "%s: %.180s (%s)", what, error->text.text,
                      error->sqlstate[0] != '\0' ? error->sqlstate : sb_err_name(error->code));
}

static void hash_file(const struct cp_sql_file *file, uint8_t ret_hash[SB_HASH_BYTES])
{
    sb_hash(sb_slice_of(file->text), ret_hash);
}

/* What ran before must be what this program has. */
static int check_applied(struct cp_db *db, unsigned *ret_last, struct sb_errmsg *err)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    unsigned last = 0;
    int rc = cp_db_query(db, "SELECT number, name, hash FROM migrations ORDER BY number",
                         CP_NO_PARAMS, &rows);

    if (rc != SB_OK)
        return explain(db, "reading the schema's version", err);
    for (size_t i = 0; i < cp_rows_count(rows); i++) {
        int64_t number = cp_rows_i64(rows, i, 0);
        struct sb_slice name = cp_rows_bytes(rows, i, 1);
        uint8_t hash[SB_HASH_BYTES];

        if (number >= (int64_t)cp_sql_n_files)
            return sb_err_set(err, SB_EVERSION,
                              "the schema is newer than this program: it has %.*s",
                              SB_SLICE_ARGS(name));
        hash_file(&cp_sql_files[number], hash);
        if (!sb_slice_eq(cp_rows_bytes(rows, i, 2), sb_slice_make(hash, sizeof(hash))))
            return sb_err_set(err, SB_EVERSION, "%.*s.sql has changed since it was applied",
                              SB_SLICE_ARGS(name));
        last = (unsigned)number;
    }
    *ret_last = last;
    return SB_OK;
}

static int apply_file(struct cp_db *db, void *ctx)
{
    const struct cp_sql_file *file = ctx;
    uint8_t hash[SB_HASH_BYTES];
    int rc = cp_db_script(db, file->text);

    if (rc != SB_OK)
        return rc;
    hash_file(file, hash);
    return cp_db_exec(db, "INSERT INTO migrations (number, name, hash) VALUES ($1, $2, $3)",
                      CP_PARAMS(CP_P_I64(file->number), CP_P_STR(file->name),
                                CP_P_BYTES(sb_slice_make(hash, sizeof(hash)))),
                      NULL);
}

/* What is made once in the life of a database. */
static int seed(struct cp_db *db, void *ctx)
{
    uint8_t sticky[16], user[32];
    int rc;

    (void)ctx;
    sb_random_bytes(sticky, sizeof(sticky));
    sb_random_bytes(user, sizeof(user));
    rc = cp_db_exec(db,
                    "INSERT INTO cluster_keys (name, key) VALUES ('sticky', $1), ('user', $2)"
                    " ON CONFLICT DO NOTHING",
                    CP_PARAMS(CP_P_BYTES(sb_slice_make(sticky, sizeof(sticky))),
                              CP_P_BYTES(sb_slice_make(user, sizeof(user)))),
                    NULL);
    sb_secret_wipe(sticky, sizeof(sticky));
    sb_secret_wipe(user, sizeof(user));
    if (rc == SB_OK)
        rc = cp_db_exec(db,
                        "INSERT INTO config_head (epoch, revision) VALUES ($1, 0)"
                        " ON CONFLICT DO NOTHING",
                        CP_PARAMS(CP_P_I64(sb_clock_wall(&sb_clock_system))), NULL);
    if (rc == SB_OK)
        rc = cp_db_script(db, "INSERT INTO leadership DEFAULT VALUES ON CONFLICT DO NOTHING;"
                              "INSERT INTO tenants (name, from_file, revision)"
                              " VALUES ('default', false, 0) ON CONFLICT DO NOTHING");
    return rc;
}

static int migrate_locked(struct cp_db *db, struct sb_errmsg *err)
{
    int32_t today = sb_day_of(sb_clock_wall(&sb_clock_system));
    unsigned last = 0;
    int rc = cp_db_script(db, cp_sql_files[0].text);

    if (rc != SB_OK)
        return explain(db, cp_sql_files[0].name, err);
    rc = check_applied(db, &last, err);
    if (rc != SB_OK)
        return rc;
    for (size_t i = last + 1; i < cp_sql_n_files; i++) {
        struct cp_sql_file file = cp_sql_files[i];

        rc = cp_db_transact(db, CP_READ_COMMITTED, apply_file, &file);
        if (rc != SB_OK)
            return explain(db, file.name, err);
    }
    rc = cp_db_transact(db, CP_READ_COMMITTED, seed, NULL);
    if (rc != SB_OK)
        return explain(db, "first rows", err);
    return cp_partitions_make(db, today - PARTITION_DAYS_BEHIND,
                              PARTITION_DAYS_BEHIND + 1 + PARTITION_DAYS_AHEAD, err);
}

int cp_migrate(struct cp_db *owner, struct sb_errmsg *err)
{
    int rc = cp_db_script(owner, LOCK_SQL);
    int unlocked;

    if (rc != SB_OK)
        return explain(owner, "waiting for another daemon's migration", err);
    rc = migrate_locked(owner, err);
    unlocked = cp_db_script(owner, UNLOCK_SQL); /* a lost connection unlocks as well */
    (void)unlocked;
    return rc;
}

unsigned cp_migrate_latest(void)
{
    return cp_sql_files[cp_sql_n_files - 1].number;
}

/* --- partitions ------------------------------------------------------------------ */

static const struct {
    const char *table;
    enum cp_history history;
} partitioned[] = {
    {"audit_requests", CP_HISTORY_AUDIT}, {"audit_dispatches", CP_HISTORY_AUDIT},
    {"audit_refusals", CP_HISTORY_AUDIT}, {"telemetry_minutes", CP_HISTORY_TELEMETRY},
    {"probes", CP_HISTORY_TELEMETRY},
};

int cp_partitions_make(struct cp_db *owner, int32_t first_day, unsigned days, struct sb_errmsg *err)
{
    char day[SB_DATE_TEXT_MAX];
    uint64_t made;

    for (unsigned i = 0; i < days; i++) {
        (void)sb_date_format(first_day + (int32_t)i, day);
        for (size_t t = 0; t < SB_ARRAY_LEN(partitioned); t++) {
            int rc = cp_db_exec(owner, "SELECT make_partition($1, $2::date)",
                                CP_PARAMS(CP_P_STR(partitioned[t].table), CP_P_STR(day)), &made);

            if (rc != SB_OK)
                return explain(owner, "making a partition", err);
        }
    }
    return SB_OK;
}

int cp_partitions_drop(struct cp_db *owner, enum cp_history history, int32_t day,
                       bool exported_only, unsigned *ret_dropped, struct sb_errmsg *err)
{
    char text[SB_DATE_TEXT_MAX];
    unsigned dropped = 0;

    (void)sb_date_format(day, text);
    for (size_t t = 0; t < SB_ARRAY_LEN(partitioned); t++) {
        SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
        int rc;

        if (partitioned[t].history != history)
            continue;
        rc = cp_db_query(
            owner, "SELECT drop_partitions($1, $2::date, $3)",
            CP_PARAMS(CP_P_STR(partitioned[t].table), CP_P_STR(text), CP_P_BOOL(exported_only)),
            &rows);
        if (rc != SB_OK)
            return explain(owner, "dropping partitions", err);
        dropped += (unsigned)cp_rows_i64(rows, 0, 0);
    }
    *ret_dropped = dropped;
    return SB_OK;
}
