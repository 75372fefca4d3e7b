/* controlplane/admin/audit_proofs.c - GET audit/checkpoints, audit/edge,
 * audit/proof, audit/consistency: what the log's tree proves.
 *
 * Hashes are in hexadecimal, a proof's nearest the leaf first (RFC 9162,
 * 2.1.3 and 2.1.4). */
#include <inttypes.h>

#include "common/num.h"
#include "common/timefmt.h"
#include "controlplane/admin/call.h"
#include "controlplane/admin/routes.h"
#include "controlplane/db.h"
#include "controlplane/log/log_read.h"
#include "controlplane/log/log_tree.h"

/* The database as of one moment, for the rest of the call. */
static int begin(struct cp_call *call, struct cp_log_tree *tree)
{
    int rc = cp_call_check(call);

    if (rc == SB_OK)
        rc = cp_call_store(call);
    if (rc == SB_OK)
        cp_log_tree_init(tree, cp_store_db(call->store));
    return rc;
}

static int query(struct cp_call *call, const char *sql, const struct cp_param *params, size_t n,
                 struct cp_rows **ret_rows)
{
    int rc = cp_db_query(cp_store_db(call->store), sql, params, n, ret_rows);

    return rc == SB_OK ? rc : cp_stores_failure(call->store, rc, &call->err);
}

struct hex {
    char text[2 * SB_SHA256_BYTES];
};

static struct sb_slice hex_of(const struct sb_hash *hash, struct hex *hex)
{
    for (size_t i = 0; i < sizeof(hash->bytes); i++) {
        hex->text[2 * i] = "0123456789abcdef"[hash->bytes[i] >> 4];
        hex->text[2 * i + 1] = "0123456789abcdef"[hash->bytes[i] & 15];
    }
    return sb_slice_make(hex->text, sizeof(hex->text));
}

static void add_hashes(struct sb_json *json, const char *name, const struct sb_hash *hashes,
                       unsigned n)
{
    struct hex hex;

    sb_json_add_array(json, name);
    for (unsigned i = 0; i < n; i++)
        sb_json_put_text(json, hex_of(&hashes[i], &hex));
    sb_json_close_array(json);
}

/* --- checkpoints ------------------------------------------------------------------------ */

static void add_checkpoint(struct sb_json *json, const struct cp_rows *rows, size_t row)
{
    char at[SB_TIME_TEXT_MAX];
    size_t n = sb_time_format((sb_usec)cp_rows_usec(rows, row, 1), 6, at);

    sb_json_open_object(json);
    sb_json_add_i64(json, "size", cp_rows_i64(rows, row, 0));
    sb_json_add_text(json, "at", sb_slice_make(at, n));
    sb_json_add_text(json, "note", cp_rows_bytes(rows, row, 2));
    sb_json_close_object(json);
}

static int read_cursor(struct cp_call *call, struct cp_param *ret_before)
{
    struct sb_slice cursor = cp_call_param(call, "cursor");
    uint64_t number;

    *ret_before = CP_P_NULL;
    if (cursor.p == NULL)
        return SB_OK;
    if (!sb_num_read_u64(cursor, &number) || number > INT64_MAX)
        cp_problems_add(&call->problems, SB_SLICE_LIT("cursor"), 0, "is not one of ours");
    *ret_before = CP_P_I64(number);
    return cp_call_check(call);
}

int cp_serve_checkpoints(struct cp_call *call)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    uint64_t limit = cp_call_number(call, "limit", 1, 1000, 100);
    struct cp_param before;
    struct cp_log_tree tree;
    struct sb_json json;
    size_t n;
    int rc = read_cursor(call, &before);

    if (rc == SB_OK)
        rc = begin(call, &tree);
    if (rc == SB_OK)
        rc = query(call,
                   "SELECT size, at, text FROM log_checkpoints"
                   " WHERE ($1::bigint IS NULL OR size < $1) ORDER BY size DESC LIMIT $2",
                   CP_PARAMS(before, CP_P_I64(limit + 1)), &rows);
    if (rc != SB_OK)
        return rc;
    n = cp_rows_count(rows) > limit ? (size_t)limit : cp_rows_count(rows);
    cp_call_json(call, 200, &json);
    sb_json_open_object(&json);
    sb_json_add_array(&json, "data");
    for (size_t i = 0; i < n; i++)
        add_checkpoint(&json, rows, i);
    sb_json_close_array(&json);
    if (cp_rows_count(rows) > limit)
        sb_json_add_text(&json, "next_cursor",
                         sb_arena_printf(call->arena, "%" PRId64, cp_rows_i64(rows, n - 1, 0)));
    else
        sb_json_add_null(&json, "next_cursor");
    sb_json_close_object(&json);
    return cp_call_json_end(call, &json);
}

int cp_serve_latest_checkpoint(struct cp_call *call)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct cp_log_tree tree;
    struct sb_json json;
    int rc = begin(call, &tree);

    if (rc == SB_OK)
        rc = query(call, "SELECT size, at, text FROM log_checkpoints ORDER BY size DESC LIMIT 1",
                   CP_NO_PARAMS, &rows);
    if (rc == SB_OK && cp_rows_count(rows) == 0)
        rc = sb_err_set(&call->err, SB_ENOENT,
                        "the log was not signed yet; the daemons need a --log-key");
    if (rc != SB_OK)
        return rc;
    cp_call_json(call, 200, &json);
    add_checkpoint(&json, rows, 0);
    return cp_call_json_end(call, &json);
}

/* --- the tree ----------------------------------------------------------------------------- */

/* What the tree cannot tell is no mistake of who asked, unless he asked for more
 * than there is. */
static int tree_failed(struct cp_call *call, const struct cp_log_tree *tree, int rc)
{
    if (rc == SB_ENOENT)
        return sb_err_set(&call->err, SB_EDB, "%s", tree->err.text);
    return sb_err_set(&call->err, rc == SB_EINVAL ? SB_EDB : rc, "%s", tree->err.text);
}

static int read_head(struct cp_call *call, uint64_t *ret_size)
{
    struct sb_merkle_edge head;
    int rc = cp_log_head_read(cp_store_db(call->store), &head, &call->err);

    if (rc == SB_OK)
        *ret_size = head.size;
    return rc == SB_EPARSE ? SB_EDB : rc;
}

static int too_large(struct cp_call *call, const char *name, uint64_t wanted, uint64_t there)
{
    return sb_err_set(&call->err, SB_ENOENT,
                      "%s is %" PRIu64 ", and the log has %" PRIu64 " entries", name, wanted,
                      there);
}

int cp_serve_edge(struct cp_call *call)
{
    uint64_t wanted = cp_call_number(call, "size", 0, INT64_MAX, UINT64_MAX), size = 0;
    struct sb_merkle_edge edge;
    struct cp_log_tree tree;
    struct sb_hash root;
    struct sb_json json;
    struct hex hex;
    int rc = begin(call, &tree);

    if (rc == SB_OK)
        rc = read_head(call, &size);
    if (rc != SB_OK)
        return rc;
    if (wanted == UINT64_MAX)
        wanted = size;
    if (wanted > size)
        return too_large(call, "size", wanted, size);
    rc = sb_merkle_edge_at(&tree.source, wanted, &edge);
    if (rc != SB_OK)
        return tree_failed(call, &tree, rc);
    sb_merkle_root(&edge, &root);
    cp_call_json(call, 200, &json);
    sb_json_open_object(&json);
    sb_json_add_u64(&json, "size", wanted);
    sb_json_add_u64(&json, "head", size);
    sb_json_add_text(&json, "root", hex_of(&root, &hex));
    add_hashes(&json, "edge", edge.nodes, edge.n);
    sb_json_close_object(&json);
    return cp_call_json_end(call, &json);
}

/* The note of that size, or null. */
static int add_note(struct cp_call *call, struct sb_json *json, const char *name, uint64_t size)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = query(call, "SELECT text FROM log_checkpoints WHERE size = $1",
                   CP_PARAMS(CP_P_I64(size)), &rows);

    if (rc == SB_OK && cp_rows_count(rows) > 0)
        sb_json_add_text(json, name, cp_rows_bytes(rows, 0, 0));
    else
        sb_json_add_null(json, name);
    return rc;
}

int cp_serve_consistency(struct cp_call *call)
{
    uint64_t from = cp_call_number(call, "from", 0, INT64_MAX, UINT64_MAX);
    uint64_t to = cp_call_number(call, "to", 0, INT64_MAX, UINT64_MAX), head = 0;
    struct sb_merkle_proof proof;
    struct cp_log_tree tree;
    struct sb_json json;
    int rc;

    if (from == UINT64_MAX || to == UINT64_MAX || from > to)
        cp_problems_add(&call->problems, SB_SLICE_LIT("from"), 0,
                        "two sizes of the log are wanted: from, and to, which is not below it");
    rc = begin(call, &tree);
    if (rc == SB_OK)
        rc = read_head(call, &head);
    if (rc == SB_OK && to > head)
        rc = too_large(call, "to", to, head);
    if (rc != SB_OK)
        return rc;
    rc = sb_merkle_prove_consistency(&tree.source, from, to, &proof);
    if (rc != SB_OK)
        return tree_failed(call, &tree, rc);
    cp_call_json(call, 200, &json);
    sb_json_open_object(&json);
    sb_json_add_u64(&json, "from", from);
    sb_json_add_u64(&json, "to", to);
    add_hashes(&json, "proof", proof.nodes, proof.n);
    rc = add_note(call, &json, "from_checkpoint", from);
    if (rc == SB_OK)
        rc = add_note(call, &json, "to_checkpoint", to);
    sb_json_close_object(&json);
    return rc == SB_OK ? cp_call_json_end(call, &json) : rc;
}

/* --- one entry -------------------------------------------------------------------------------- */

static int on_entry(void *ctx, const struct cp_log_entry *entry)
{
    struct sb_buf *line = ctx;

    sb_buf_reset(line); /* of two rows that claim a leaf, one: the proof tells */
    return entry->line.n > 0 ? sb_buf_append(line, entry->line) : SB_OK;
}

static int find_leaf(struct cp_call *call, uint64_t *ret_leaf)
{
    struct sb_slice generation = cp_call_param(call, "generation_id");
    int rc;

    *ret_leaf = cp_call_number(call, "leaf", 0, INT64_MAX, UINT64_MAX);
    if ((generation.p == NULL) == (*ret_leaf == UINT64_MAX))
        cp_problems_add(&call->problems, SB_SLICE_LIT("leaf"), 0,
                        "give leaf or generation_id: which entry is it?");
    rc = cp_call_check(call);
    if (rc == SB_OK)
        rc = cp_call_store(call);
    if (rc == SB_OK && generation.p != NULL)
        rc = cp_log_find(cp_store_db(call->store), generation, ret_leaf, &call->err);
    return rc;
}

/* The size that was wanted, or that of the first checkpoint that has the leaf. */
static int find_size(struct cp_call *call, uint64_t leaf, uint64_t *size)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    uint64_t head = 0;
    int rc = read_head(call, &head);

    if (rc == SB_OK && leaf >= head)
        return too_large(call, "leaf", leaf, head);
    if (rc == SB_OK && *size == UINT64_MAX) {
        /* what is beyond the head was never signed */
        rc = query(call, "SELECT max(size) FROM log_checkpoints WHERE size > $1 AND size <= $2",
                   CP_PARAMS(CP_P_I64(leaf), CP_P_I64(head)), &rows);
        if (rc == SB_OK && cp_rows_is_null(rows, 0, 0))
            return sb_err_set(&call->err, SB_ENOENT,
                              "no checkpoint has entry %" PRIu64 " yet; ask again in a moment",
                              leaf);
        if (rc == SB_OK)
            *size = (uint64_t)cp_rows_i64(rows, 0, 0);
    }
    if (rc == SB_OK && *size > head)
        rc = too_large(call, "size", *size, head);
    if (rc == SB_OK && leaf >= *size)
        rc = too_large(call, "leaf", leaf, *size);
    return rc;
}

int cp_serve_proof(struct cp_call *call)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf line = {.data = NULL};
    uint64_t size = cp_call_number(call, "size", 1, INT64_MAX, UINT64_MAX), leaf = 0;
    struct sb_merkle_proof proof;
    struct cp_log_tree tree;
    struct sb_json json;
    int rc = find_leaf(call, &leaf);

    sb_buf_init(&line, CP_HTTP_ANSWER_MAX);
    if (rc == SB_OK)
        rc = find_size(call, leaf, &size);
    if (rc != SB_OK)
        return rc;
    cp_log_tree_init(&tree, cp_store_db(call->store));
    rc = sb_merkle_prove_inclusion(&tree.source, leaf, size, &proof);
    if (rc != SB_OK)
        return tree_failed(call, &tree, rc);
    rc = cp_log_read(tree.db, leaf, leaf + 1, on_entry, &line, &call->err);
    if (rc != SB_OK)
        return rc == SB_EINVAL ? SB_EDB : rc;
    cp_call_json(call, 200, &json);
    sb_json_open_object(&json);
    sb_json_add_u64(&json, "leaf", leaf);
    sb_json_add_u64(&json, "size", size);
    if (sb_buf_len(&line) > 0)
        sb_json_add_text(&json, "entry", sb_buf_slice(&line));
    else
        sb_json_add_null(&json, "entry"); /* its row is gone */
    add_hashes(&json, "proof", proof.nodes, proof.n);
    rc = add_note(call, &json, "checkpoint", size);
    sb_json_close_object(&json);
    return rc == SB_OK ? cp_call_json_end(call, &json) : rc;
}
