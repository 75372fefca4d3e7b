/* controlplane/log/receipts.c */
#include "controlplane/log/receipts.h"

#include "common/buf.h"
#include "common/canon.h"
#include "common/err.h"
#include "common/json.h"
#include "common/merkle.h"
#include "controlplane/db.h"
#include "controlplane/log/entry.h"
#include "controlplane/log/log_tree.h"

/* A row of the select, and where it is. */
struct found {
    struct cp_rows *rows;
    struct cp_value values[CP_COLUMNS_MAX];
    uint64_t leaf;
};

static int find_row(struct cp_db *db, struct sb_slice generation, uint64_t tenant,
                    struct found *ret)
{
    const struct cp_columns *columns = cp_columns_of(CP_ENTRY_REQUEST);
    SB_CLEANUP(sb_buf_release) struct sb_buf sql = {.limit = 0};
    const struct cp_value *leaf = &ret->values[CP_REQUEST_leaf];
    int rc;

    if (tenant > INT64_MAX)
        return SB_ENOENT;
    sb_buf_init(&sql, 1 << 16);
    rc = sb_buf_printf(&sql,
                       "%s WHERE generation = $1 AND tenant_id = $2"
                       " ORDER BY received_at DESC LIMIT 1",
                       columns->select);
    if (rc == SB_OK)
        rc = sb_buf_append_byte(&sql, '\0');
    if (rc == SB_OK)
        rc = cp_db_query(db, sb_buf_slice(&sql).p,
                         CP_PARAMS(CP_P_TEXT(generation), CP_P_I64(tenant)), &ret->rows);
    if (rc != SB_OK)
        return rc;
    if (cp_rows_count(ret->rows) == 0)
        return SB_ENOENT;
    cp_columns_read(columns, ret->rows, 0, ret->values);
    if (!leaf->is_set || leaf->number < 0)
        return SB_ENOENT;
    ret->leaf = (uint64_t)leaf->number;
    return SB_OK;
}

/* SB_EGAP: none that covers the leaf. */
static int find_checkpoint(struct cp_db *db, uint64_t leaf, bool is_signing,
                           struct cp_rows **ret_rows)
{
    /* what is beyond the head was never signed */
    static const char sql[] = "SELECT c.size, c.text FROM log_checkpoints c, log_head h"
                              " WHERE c.size <= h.size ORDER BY c.size DESC LIMIT 1";
    int rc = cp_db_query(db, sql, CP_NO_PARAMS, ret_rows);

    if (rc != SB_OK)
        return rc;
    if (cp_rows_count(*ret_rows) > 0 && cp_rows_i64(*ret_rows, 0, 0) > (int64_t)leaf)
        return SB_OK;
    return is_signing || cp_rows_count(*ret_rows) > 0 ? SB_EGAP : SB_EUNSUPPORTED;
}

static void add_hex(struct sb_json *json, struct sb_slice bytes)
{
    char text[2 * 32 + 2];

    sb_json_put_raw(json, sb_slice_make(text, (size_t)(sb_canon_hex(text, bytes) - text)));
}

/* A person was forgotten: what was hashed cannot be checked any more. */
static bool is_erased(const struct found *found)
{
    const struct cp_value *values = found->values;

    return !values[CP_REQUEST_salt].is_set &&
           (values[CP_REQUEST_request_digest].is_set || values[CP_REQUEST_response_digest].is_set ||
            values[CP_REQUEST_user_hash].is_set || values[CP_REQUEST_metadata_hash].is_set);
}

static int write_receipt(const struct found *found, const struct cp_rows *checkpoint,
                         struct sb_slice entry, const struct sb_merkle_proof *proof,
                         struct sb_buf *out)
{
    const struct cp_value *salt = &found->values[CP_REQUEST_salt];
    struct sb_json json;

    sb_json_init(&json, out);
    sb_json_open_object(&json);
    sb_json_add_text(&json, "checkpoint", cp_rows_bytes(checkpoint, 0, 1));
    sb_json_add_text(&json, "entry", entry);
    if (is_erased(found))
        sb_json_add_bool(&json, "erased", true);
    sb_json_add_text(&json, "generation", found->values[CP_REQUEST_generation].bytes);
    sb_json_add_u64(&json, "leaf", found->leaf);
    sb_json_add_array(&json, "proof");
    for (unsigned i = 0; i < proof->n; i++)
        add_hex(&json, sb_slice_make(proof->nodes[i].bytes, sizeof(proof->nodes[i].bytes)));
    sb_json_close_array(&json);
    if (salt->is_set && salt->bytes.n <= 32) {
        sb_json_name(&json, SB_SLICE_LIT("salt"));
        add_hex(&json, salt->bytes);
    }
    sb_json_add_u64(&json, "version", 1);
    sb_json_close_object(&json);
    return sb_json_end(&json);
}

int cp_receipt_write(struct cp_db *db, struct sb_slice generation, uint64_t tenant, bool is_signing,
                     struct sb_buf *out)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *checkpoint = NULL;
    SB_CLEANUP(sb_buf_release) struct sb_buf entry = {.limit = 0};
    struct found found = {.rows = NULL};
    struct sb_merkle_proof proof;
    struct cp_log_tree tree;
    int rc = find_row(db, generation, tenant, &found);

    sb_buf_init(&entry, CP_ENTRY_LINE_MAX);
    if (rc == SB_OK)
        rc = find_checkpoint(db, found.leaf, is_signing, &checkpoint);
    if (rc == SB_OK)
        rc = cp_entry_put_row(CP_ENTRY_REQUEST, found.rows, 0, &entry);
    if (rc == SB_OK) {
        cp_log_tree_init(&tree, db);
        rc = sb_merkle_prove_inclusion(&tree.source, found.leaf,
                                       (uint64_t)cp_rows_i64(checkpoint, 0, 0), &proof);
        if (rc == SB_ENOENT)
            rc = SB_EIO; /* nodes are missing, not the record */
    }
    if (rc == SB_OK)
        rc = write_receipt(&found, checkpoint, sb_buf_slice(&entry), &proof, out);
    cp_rows_destroy(&found.rows);
    return rc;
}
