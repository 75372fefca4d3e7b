/* tests/lib/log_fixture.h - a log of entries that mean nothing, for tests of
 * those who sign and prove it. */
#pragma once

#include <inttypes.h>

#include "common/merkle.h"
#include "controlplane/db.h"
#include "tests/lib/test.h"

enum { LOG_FIXTURE_BATCH = 1024 };

struct log_fixture {
    struct sb_merkle_edge edge;
    /* What the transaction under way has completed. */
    struct {
        uint64_t first;
        size_t n;
        struct sb_hash nodes[LOG_FIXTURE_BATCH];
    } levels[SB_MERKLE_LEVELS];
};

static inline void log_fixture_on_node(void *ctx, unsigned level, uint64_t index,
                                       const struct sb_hash *node)
{
    struct log_fixture *log = ctx;

    if (log->levels[level].n == 0)
        log->levels[level].first = index;
    log->levels[level].nodes[log->levels[level].n++] = *node;
}

/* Appends n entries (at most LOG_FIXTURE_BATCH) in one transaction; which ones
 * depends on seed and position. */
static inline void log_fixture_append(struct log_fixture *log, struct cp_db *db, size_t n, int seed)
{
    const struct sb_merkle_sink sink = {.add = log_fixture_on_node, .ctx = log};

    for (unsigned level = 0; level < SB_MERKLE_LEVELS; level++)
        log->levels[level].n = 0;
    for (size_t i = 0; i < n; i++) {
        struct sb_hash leaf;
        char entry[64];

        (void)snprintf(entry, sizeof(entry), "%d %" PRIu64, seed, log->edge.size);
        sb_merkle_leaf(sb_slice_of(entry), &leaf);
        sb_merkle_append(&log->edge, &leaf, &sink);
    }
    assert_int_equal(cp_db_begin(db, CP_READ_COMMITTED), SB_OK);
    for (unsigned level = 0; level < SB_MERKLE_LEVELS; level++)
        if (log->levels[level].n > 0)
            assert_int_equal(
                cp_db_exec(db, "INSERT INTO log_nodes (level, first, hashes) VALUES ($1, $2, $3)",
                           CP_PARAMS(CP_P_I64(level), CP_P_I64(log->levels[level].first),
                                     CP_P_BYTES(sb_slice_make(log->levels[level].nodes,
                                                              log->levels[level].n * 32))),
                           NULL),
                SB_OK);
    assert_int_equal(cp_db_exec(db, "UPDATE log_head SET size = $1, edge = $2",
                                CP_PARAMS(CP_P_I64(log->edge.size),
                                          CP_P_BYTES(sb_merkle_edge_bytes(&log->edge))),
                                NULL),
                     SB_OK);
    assert_int_equal(cp_db_commit(db), SB_OK);
}

/* As an owner of the database would: as if nothing had been. */
static inline void log_fixture_wipe(struct log_fixture *log, struct cp_db *owner)
{
    *log = (struct log_fixture){.edge = {.size = 0}};
    assert_int_equal(cp_db_script(owner, "DELETE FROM log_nodes;"
                                         "UPDATE log_head SET size = 0, edge = ''"),
                     SB_OK);
}
