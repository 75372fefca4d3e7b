/* controlplane/named.c */
#include "controlplane/named.h"

#include "common/buf.h"
#include "common/json.h"
#include "controlplane/config/store_private.h"
#include "controlplane/db.h"

bool cp_named_is_fit(struct sb_slice name, size_t most)
{
    if (name.n == 0 || name.n > most)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool is_alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!is_alnum && (i == 0 || (c != '.' && c != '_' && c != '@' && c != '-')))
            return false;
    }
    return true;
}

int cp_named_list(struct cp_store *store, const char *sql, struct cp_page *page, struct sb_buf *out)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct sb_json json;
    size_t n;
    int rc = cp_store_ready(store);

    if (rc == SB_OK)
        rc = cp_db_query(store->db, sql,
                         CP_PARAMS(CP_P_STR(page->cursor), CP_P_I64(page->limit + 1)), &rows);
    if (rc != SB_OK)
        return rc;
    n = cp_rows_count(rows) > page->limit ? page->limit : cp_rows_count(rows);
    sb_json_init(&json, out);
    sb_json_open_array(&json);
    for (size_t i = 0; i < n; i++)
        sb_json_put_raw(&json, cp_rows_bytes(rows, i, 1));
    sb_json_close_array(&json);
    page->cursor[0] = '\0';
    if (cp_rows_count(rows) > n)
        (void)sb_slice_copy_text(cp_rows_bytes(rows, n - 1, 0), page->cursor, CP_CURSOR_MAX);
    return sb_json_end(&json);
}

int cp_named_get(struct cp_store *store, const char *sql, struct sb_slice name, struct sb_buf *out)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = cp_store_ready(store);

    if (rc == SB_OK)
        rc = cp_db_query(store->db, sql, CP_PARAMS(CP_P_TEXT(name)), &rows);
    if (rc != SB_OK)
        return rc;
    return cp_rows_count(rows) == 0 ? SB_ENOENT : sb_buf_append(out, cp_rows_bytes(rows, 0, 0));
}
