/* controlplane/admin/audit_log.c - GET audit/log: the entries of the log as they
 * are now, for whoever verifies them.
 *
 *      {"leaf":7,"hash":"<64 of hex>","entry":{...}}
 *
 * in this form exactly, the entry being the bytes that the leaf is the hash of.
 * {"leaf":7,"hash":"...","unfit":"user","entry":{...}} when what is kept plain of the
 * user (or "metadata", "user,metadata") or its salt ("salt") is not what the entry has a hash of,
 * or when it has hashes and "no salt", as erasing leaves it; the plain data and the salt are for
 * nobody who verifies.  Without "entry": no row has that leaf; without
 * "hash": it is not stored.  A stream to the head of the log ends with rows that are in no tree:
 * {"stray":{...},"leaf":9}, or without a leaf {"stray":{...}}: that may be a
 * record from before the log, if it is older than the first one in it. */
#include <inttypes.h>
#include <stdio.h>

#include "common/log.h"
#include "controlplane/admin/call.h"
#include "controlplane/admin/routes.h"
#include "controlplane/db.h"
#include "controlplane/log/log_read.h"
#include "controlplane/log/log_tree.h"

/* Where a stream is; in the call's arena. */
struct reading {
    struct cp_stores *stores;
    uint64_t next, to;
    bool is_open, is_over; /* is_open: up to the head, wherever that is by then */
};

/* One page of it, in one snapshot. */
struct page {
    struct reading *reading;
    struct sb_buf *out;
    struct sb_errmsg *err;
};

static int put_hex(struct sb_buf *out, const struct sb_hash *hash)
{
    static const char digits[] = "0123456789abcdef";
    char text[2 * sizeof(hash->bytes)];

    for (size_t i = 0; i < sizeof(hash->bytes); i++) {
        text[2 * i] = digits[hash->bytes[i] >> 4];
        text[2 * i + 1] = digits[hash->bytes[i] & 15];
    }
    return sb_buf_append(out, sb_slice_make(text, sizeof(text)));
}

static int on_entry(void *ctx, const struct cp_log_entry *entry)
{
    struct sb_buf *out = ctx;
    int rc = sb_buf_printf(out, "{\"leaf\":%" PRIu64, entry->leaf);

    if (rc == SB_OK && entry->hash != NULL) {
        rc = sb_buf_append_text(out, ",\"hash\":\"");
        if (rc == SB_OK)
            rc = put_hex(out, entry->hash);
        if (rc == SB_OK)
            rc = sb_buf_append_byte(out, '"');
    }
    if (rc == SB_OK && entry->unfit != NULL)
        rc = sb_buf_printf(out, ",\"unfit\":\"%s\"", entry->unfit);
    if (rc == SB_OK && entry->line.n > 0) {
        rc = sb_buf_append_text(out, ",\"entry\":");
        if (rc == SB_OK)
            rc = sb_buf_append(out, entry->line);
    }
    return rc == SB_OK ? sb_buf_append_text(out, "}\n") : rc;
}

static int on_stray(void *ctx, const struct cp_log_entry *entry)
{
    struct sb_buf *out = ctx;
    int rc = sb_buf_append_text(out, "{\"stray\":");

    if (rc == SB_OK)
        rc = sb_buf_append(out, entry->line);
    if (rc == SB_OK && entry->has_leaf)
        rc = sb_buf_printf(out, ",\"leaf\":%" PRIu64, entry->leaf);
    return rc == SB_OK ? sb_buf_append_text(out, "}\n") : rc;
}

static int read_page(struct cp_db *db, void *ctx)
{
    const struct page *page = ctx;
    struct reading *reading = page->reading;
    struct sb_merkle_edge edge;
    uint64_t to = reading->to;
    int rc = cp_log_head_read(db, &edge, page->err);

    if (rc != SB_OK)
        return rc;
    if (reading->is_open || to > edge.size)
        to = edge.size;
    if (to > reading->next + CP_LOG_PAGE)
        to = reading->next + CP_LOG_PAGE;
    if (reading->next < to)
        rc = cp_log_read(db, reading->next, to, on_entry, page->out, page->err);
    if (rc == SB_OK && reading->next < to)
        reading->next = to;
    reading->is_over =
        reading->next >= (reading->is_open ? edge.size : reading->to) || reading->next >= edge.size;
    if (rc == SB_OK && reading->is_over && reading->is_open)
        rc = cp_log_read_strays(db, edge.size, on_stray, page->out, page->err);
    return rc;
}

static int read_on(struct reading *reading, struct sb_buf *out, struct sb_errmsg *err)
{
    struct page page = {.reading = reading, .out = out, .err = err};
    struct cp_store *store = NULL;
    struct msg_version head;
    int rc = cp_stores_take(reading->stores, &store, err);

    if (rc == SB_OK)
        rc = cp_store_head(store, &head); /* connects again when it must */
    if (rc == SB_OK)
        rc = cp_db_transact(cp_store_db(store), CP_REPEATABLE_READ_ONLY, read_page, &page);
    if (rc == SB_EINVAL || rc == SB_EPARSE)
        rc = SB_EDB; /* no mistake of who asked */
    cp_stores_give(reading->stores, &store);
    return rc;
}

static int on_more(void *ctx, struct sb_buf *out)
{
    struct reading *reading = ctx;
    size_t before = sb_buf_len(out);
    struct sb_errmsg err = {.text = ""};
    int rc;

    if (reading->is_over)
        return SB_EEOF;
    rc = read_on(reading, out, &err);
    if (rc != SB_OK) {
        sb_log_warn(ADMIN, "cannot go on with the log code=%s: %s", sb_err_name(rc), err.text);
        return rc;
    }
    return sb_buf_len(out) > before ? SB_OK : SB_EEOF;
}

int cp_serve_audit_log(struct cp_call *call)
{
    struct reading *reading = sb_arena_alloc(call->arena, sizeof(*reading));
    int rc;

    reading->stores = call->world->stores;
    reading->next = cp_call_number(call, "from", 0, INT64_MAX, 0);
    reading->to = cp_call_number(call, "to", 0, INT64_MAX, UINT64_MAX);
    reading->is_open = reading->to == UINT64_MAX;
    rc = cp_call_check(call);
    if (rc == SB_OK)
        rc = read_on(reading, &call->reply->body, &call->err);
    if (rc != SB_OK)
        return rc;
    call->reply->status = 200;
    call->reply->content_type = "application/x-ndjson";
    call->reply->more = on_more;
    call->reply->more_ctx = reading;
    return SB_OK;
}
