/* tests/lib/store_fixture.h - a store over a private PostgreSQL, for C tests.
 *
 * Group set-up starts the server, each test gets a new database with the
 * schema in it.
 */
#pragma once

#include "common/buf.h"
#include "common/keyring.h"
#include "controlplane/config/store.h"
#include "controlplane/migrate.h"
#include "tests/lib/pg_cluster.h"
#include "tests/lib/test.h"

struct store_fixture {
    struct pg_cluster cluster;
    struct sb_keyring *keyring;
    struct cp_store *store;
    struct sb_arena *arena;
    struct cp_answer answer; /* of the last change */
    struct sb_buf out;       /* of the last thing read, terminated */
};

static struct store_fixture fx;

static inline struct cp_db *fixture_connect(const char *role)
{
    struct cp_db_conf conf = {.conninfo = fx.cluster.conninfo, .role = role};
    struct cp_db *db = NULL;
    struct sb_errmsg err;

    if (cp_db_new(&conf, &db, &err) != SB_OK)
        fail_msg("%s", err.text);
    return db;
}

static inline struct cp_store *fixture_store(const struct sb_keyring *keyring)
{
    struct cp_store_conf conf = {
        .db = {.conninfo = fx.cluster.conninfo, .role = CP_DB_SERVICE_ROLE},
        .keyring = keyring,
        .clock = &sb_clock_system};
    struct cp_store *store = NULL;
    struct sb_errmsg err;

    if (cp_store_new(&conf, &store, &err) != SB_OK)
        fail_msg("%s", err.text);
    return store;
}

static inline int fixture_start(void **state)
{
    struct sb_errmsg err;

    (void)state;
    pg_cluster_start(&fx.cluster);
    if (sb_keyring_parse(
            SB_SLICE_LIT("main:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
                         "api-key-hash:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=\n"),
            &fx.keyring, &err) != SB_OK)
        pg_cluster_die(err.text);
    return 0;
}

static inline int fixture_stop(void **state)
{
    (void)state;
    sb_keyring_destroy(&fx.keyring);
    pg_cluster_stop(&fx.cluster);
    return 0;
}

static inline int fixture_setup(void **state)
{
    struct cp_db *owner;
    struct sb_errmsg err;

    (void)state;
    (void)pg_cluster_database(&fx.cluster);
    owner = fixture_connect(NULL);
    if (cp_migrate(owner, &err) != SB_OK)
        pg_cluster_die(err.text);
    cp_db_destroy(&owner);
    fx.store = fixture_store(fx.keyring);
    fx.arena = sb_arena_new(65536);
    sb_buf_init(&fx.out, 256 << 20);
    return 0;
}

static inline int fixture_teardown(void **state)
{
    (void)state;
    cp_store_destroy(&fx.store);
    sb_arena_destroy(&fx.arena);
    sb_buf_release(&fx.out);
    return 0;
}

static inline void fixture_show(int rc)
{
    print_error("%s: %s\n", sb_err_name(rc), fx.answer.err.text);
    for (const struct cp_problem *one = fx.answer.problems.first; one != NULL; one = one->next)
        print_error("  '%.*s': %.*s\n", SB_SLICE_ARGS(one->path), SB_SLICE_ARGS(one->problem));
}

static const struct cp_change plain_change = {.author = {"tester", 6}, .if_match = CP_ANY_REVISION};

static inline int fixture_apply_with(const char *text, const struct cp_change *change)
{
    cp_answer_init(&fx.answer, fx.arena);
    return cp_store_apply(fx.store, sb_slice_of(text), CP_DOC_AUTO, change, &fx.answer);
}

/* Applies what must be right. */
static inline void fixture_apply(const char *text)
{
    int rc = fixture_apply_with(text, &plain_change);

    if (rc != SB_OK) {
        fixture_show(rc);
        fail_msg("%s", text);
    }
}

static inline bool fixture_has_problem(const char *path, const char *text)
{
    for (const struct cp_problem *one = fx.answer.problems.first; one != NULL; one = one->next)
        if (sb_slice_is(one->path, path) && strstr(one->problem.p, text) != NULL)
            return true;
    return false;
}

/* Terminates what was read. */
static inline const char *fixture_text(int rc)
{
    assert_int_equal(rc, SB_OK);
    assert_int_equal(sb_buf_append_byte(&fx.out, '\0'), SB_OK);
    return sb_buf_slice(&fx.out).p;
}

static inline const char *fixture_get(enum cp_kind kind, const char *name)
{
    sb_buf_reset(&fx.out);
    return fixture_text(cp_store_get(fx.store, kind, sb_slice_of(name), &fx.out));
}

static inline const char *fixture_catalog(void)
{
    struct msg_version version;

    sb_buf_reset(&fx.out);
    return fixture_text(cp_store_catalog(fx.store, &fx.out, &version));
}

static inline uint64_t fixture_revision(void)
{
    struct msg_version version;

    assert_int_equal(cp_store_head(fx.store, &version), SB_OK);
    return version.revision;
}

/* The first column of the first row, as the owner sees it. */
static inline int64_t fixture_number(const char *sql)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct cp_db *owner = fixture_connect(NULL);
    int64_t number;

    if (cp_db_query(owner, sql, CP_NO_PARAMS, &rows) != SB_OK)
        fail_msg("%s: %s", sql, cp_db_last_error(owner)->text.text);
    number = cp_rows_i64(rows, 0, 0);
    cp_db_destroy(&owner);
    return number;
}
