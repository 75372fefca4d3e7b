/* tests/lib/ingest_fixture.h - a database of one's own with the schema in it, a
 * term begun, and records to store. */
#pragma once

#include "common/arena.h"
#include "common/buf.h"
#include "controlplane/db.h"
#include "controlplane/migrate.h"
#include "proto/bus.h"
#include "proto/record.h"
#include "tests/lib/pg_cluster.h"
#include "tests/lib/test.h"

enum { FIXTURE_TERM = 4 };

static struct pg_cluster cluster;

static inline struct cp_db *fixture_connect(const char *conninfo, const char *role)
{
    struct cp_db_conf conf = {.conninfo = conninfo, .role = role};
    struct cp_db *db = NULL;
    struct sb_errmsg err;

    if (cp_db_new(&conf, &db, &err) != SB_OK)
        fail_msg("%s", err.text);
    return db;
}

/* A new database; gives how the service reaches it. */
static inline const char *fixture_database(void)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *owner = NULL;
    struct sb_errmsg err;

    owner = fixture_connect(pg_cluster_database(&cluster), NULL);
    if (cp_migrate(owner, &err) != SB_OK)
        fail_msg("%s", err.text);
    assert_int_equal(cp_db_script(owner, "UPDATE leadership SET term = 4"), SB_OK);
    return cluster.conninfo;
}

static inline int64_t fixture_number(struct cp_db *db, const char *sql)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;

    if (cp_db_query(db, sql, CP_NO_PARAMS, &rows) != SB_OK)
        fail_msg("%s: %s", sql, cp_db_last_error(db)->text.text);
    return cp_rows_i64(rows, 0, 0);
}

static inline struct msg_record fixture_record(const char *generation)
{
    return (struct msg_record){.kind = MSG_RECORD_REQUEST,
                               .generation = sb_slice_of(generation),
                               .received_at = 1790000000000000,
                               .took = 1000,
                               .key = 1,
                               .tenant = 2,
                               .key_name = SB_SLICE_LIT("app"),
                               .tenant_name = SB_SLICE_LIT("default"),
                               .model_asked = SB_SLICE_LIT("a/m"),
                               .status = 200,
                               .outcome = MSG_OUTCOME_SUCCESS};
}

static inline void fixture_append(struct sb_buf *bulk, const struct msg_record *record)
{
    struct sb_buf bytes;

    sb_buf_init(&bytes, MSG_RECORD_MAX);
    assert_int_equal(msg_record_encode(record, &bytes), SB_OK);
    assert_int_equal(msg_batch_append(bulk, sb_buf_slice(&bytes)), SB_OK);
    sb_buf_release(&bytes);
}

/* n good records. */
static inline void fixture_fill(struct sb_buf *bulk, int n)
{
    struct msg_record record = fixture_record("gen-x");

    for (int i = 0; i < n; i++)
        fixture_append(bulk, &record);
}

static inline int fixture_group_start(void **state)
{
    (void)state;
    pg_cluster_start(&cluster);
    return 0;
}

static inline int fixture_group_stop(void **state)
{
    (void)state;
    pg_cluster_stop(&cluster);
    return 0;
}
