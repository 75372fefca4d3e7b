/* tests/lib/log_check.h - is the log in the database whole?
 *
 * Makes every line of its row again and the tree of the lines as section 2.1 of
 * RFC 6962 defines it, top down, and compares all that is stored of it.  Shares
 * with the product the lines and SHA-256, which have tests of their own.
 */
#pragma once

#include "common/arena.h"
#include "common/sha256.h"
#include "controlplane/log/entry.h"
#include "tests/lib/ingest_fixture.h"

struct log_check {
    struct cp_db *db;
    struct sb_arena *arena;
    uint64_t size;
    uint8_t (*leaves)[SB_SHA256_BYTES];
    struct sb_slice *lines; /* in arena */
};

static inline void log_check_hash(const void *left, size_t n_left, const void *right, char first,
                                  uint8_t *ret)
{
    const struct sb_slice parts[] = {sb_slice_make(&first, 1), sb_slice_make(left, n_left),
                                     sb_slice_make(right, right == NULL ? 0 : SB_SHA256_BYTES)};

    sb_sha256_parts(parts, 3, ret);
}

/* Of leaves from to to - 1. */
static inline void log_check_root(const struct log_check *check, uint64_t from, uint64_t to,
                                  uint8_t *ret)
{
    uint8_t left[SB_SHA256_BYTES], right[SB_SHA256_BYTES];
    uint64_t k = 1;

    if (to - from == 1) {
        memcpy(ret, check->leaves[from], SB_SHA256_BYTES);
        return;
    }
    while (2 * k < to - from)
        k *= 2;
    log_check_root(check, from, from + k, left);
    log_check_root(check, from + k, to, right);
    log_check_hash(left, sizeof(left), right, 1, ret);
}

static inline void log_check_read(struct log_check *check, enum cp_entry_kind kind)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    const struct cp_columns *columns = cp_columns_of(kind);
    struct sb_buf line;
    char sql[8192];

    sb_buf_init(&line, CP_ENTRY_LINE_MAX);
    (void)snprintf(sql, sizeof(sql), "%s WHERE leaf IS NOT NULL", columns->select);
    if (cp_db_query(check->db, sql, CP_NO_PARAMS, &rows) != SB_OK)
        fail_msg("%s: %s", sql, cp_db_last_error(check->db)->text.text);
    for (size_t row = 0; row < cp_rows_count(rows); row++) {
        uint64_t leaf = (uint64_t)cp_rows_i64(rows, row, columns->leaf);

        sb_buf_reset(&line);
        assert_int_equal(cp_entry_put_row(kind, rows, row, &line), SB_OK);
        if (leaf >= check->size || check->lines[leaf].n > 0)
            fail_msg("leaf %d of %d, or twice", (int)leaf, (int)check->size);
        check->lines[leaf] = sb_arena_dup(check->arena, sb_buf_slice(&line));
        log_check_hash(line.data, sb_buf_len(&line), NULL, 0, check->leaves[leaf]);
    }
    sb_buf_release(&line);
}

/* Nodes of a level, those of complete subtrees. */
static inline void log_check_level(const struct log_check *check, int level)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    uint64_t each = UINT64_C(1) << 8 * level, next = 0;
    uint8_t want[SB_SHA256_BYTES];

    assert_int_equal(cp_db_query(check->db,
                                 "SELECT first, hashes FROM log_nodes WHERE level = $1"
                                 " ORDER BY first",
                                 CP_PARAMS(CP_P_I64(level)), &rows),
                     SB_OK);
    for (size_t row = 0; row < cp_rows_count(rows); row++) {
        struct sb_slice hashes = cp_rows_bytes(rows, row, 1);

        assert_int_equal(cp_rows_i64(rows, row, 0), next);
        for (size_t at = 0; at < hashes.n; at += SB_SHA256_BYTES, next++) {
            assert_true((next + 1) * each <= check->size);
            log_check_root(check, next * each, (next + 1) * each, want);
            assert_memory_equal(hashes.p + at, want, sizeof(want));
        }
    }
    assert_int_equal(next, check->size / each);
}

static inline void log_check_edge(const struct log_check *check, struct sb_slice edge)
{
    uint64_t from = 0;
    uint8_t want[SB_SHA256_BYTES];

    for (int bit = 63; bit >= 0; bit--) {
        uint64_t each = UINT64_C(1) << bit;

        if ((check->size & each) == 0)
            continue;
        assert_true(edge.n >= sizeof(want));
        log_check_root(check, from, from + each, want);
        assert_memory_equal(edge.p, want, sizeof(want));
        edge = sb_slice_from(edge, sizeof(want));
        from += each;
    }
    assert_int_equal(edge.n, 0);
}

/* Fails the test unless every leaf has its row, every row that has a leaf is in
 * the tree, and all nodes and the edge are those of that tree.  Gives the lines,
 * which live as long as arena. */
static inline struct log_check log_check(struct cp_db *db, struct sb_arena *arena)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *head = NULL;
    struct log_check check = {.db = db, .arena = arena};

    assert_int_equal(cp_db_query(db, "SELECT size, edge FROM log_head", CP_NO_PARAMS, &head),
                     SB_OK);
    check.size = (uint64_t)cp_rows_i64(head, 0, 0);
    check.leaves = sb_arena_alloc(arena, (check.size + 1) * sizeof(*check.leaves));
    check.lines = sb_arena_alloc(arena, (check.size + 1) * sizeof(*check.lines));
    for (int kind = 0; kind < CP_ENTRY_KINDS; kind++)
        log_check_read(&check, (enum cp_entry_kind)kind);
    for (uint64_t leaf = 0; leaf < check.size; leaf++)
        if (check.lines[leaf].n == 0)
            fail_msg("leaf %d has no row", (int)leaf);
    for (int level = 0; level < 8; level++)
        log_check_level(&check, level);
    log_check_edge(&check, cp_rows_bytes(head, 0, 1));
    return check;
}
