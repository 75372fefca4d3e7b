/* dataplane/courier/rowstore.c */
#include "dataplane/courier/rowstore.h"

#include "common/mem.h"

#define HASH_FUNCTION        HASH_FNV
#define uthash_malloc(size)  sb_mem_new(size)
#define uthash_free(p, size) sb_mem_free(p)
#include <uthash.h>

#include "common/buf.h"
#include "dataplane/courier/snapstore.h"
#include "proto/snapshot.h"
#include "proto/tables.h"

struct row {
    struct msg_table_row row;
    sb_msec at; /* when it came */
    UT_hash_handle hh;
};

struct dp_rowstore {
    struct row *rows; /* by endpoint */
    struct dp_sync_tables held;
    bool is_changed;
};

struct dp_rowstore *dp_rowstore_new(void)
{
    return sb_mem_new(sizeof(struct dp_rowstore));
}

static void clear(struct dp_rowstore *store)
{
    struct row *row, *next;

    HASH_ITER(hh, store->rows, row, next)
    {
        HASH_DELETE(hh, store->rows, row);
        sb_mem_free(row);
    }
}

void dp_rowstore_destroy(struct dp_rowstore **store)
{
    if (*store != NULL)
        clear(*store);
    sb_mem_free(*store);
    *store = NULL;
}

int dp_rowstore_apply(struct dp_rowstore *store, const struct msg_tables *message, sb_msec now)
{
    if (message->complete)
        clear(store);
    for (size_t i = 0; i < message->n_rows; i++) {
        struct row *row;

        HASH_FIND(hh, store->rows, &message->rows[i].endpoint, sizeof(uint64_t), row);
        if (row == NULL) {
            if (HASH_COUNT(store->rows) >= MSG_ROWS_MAX)
                return SB_ETOOBIG;
            row = sb_mem_new(sizeof(*row));
            row->row.endpoint = message->rows[i].endpoint;
            HASH_ADD(hh, store->rows, row.endpoint, sizeof(uint64_t), row);
        }
        row->row = message->rows[i];
        row->at = now;
    }
    store->held = (struct dp_sync_tables){
        .epoch = message->epoch, .term = message->term, .sequence = message->sequence};
    store->is_changed = true;
    return SB_OK;
}

const struct dp_sync_tables *dp_rowstore_held(const struct dp_rowstore *store)
{
    return &store->held;
}

static uint32_t older(uint32_t age, sb_msec by)
{
    return by < UINT32_MAX - age ? age + (uint32_t)by : UINT32_MAX;
}

/* As it would be sent now. */
static struct msg_table_row aged(const struct row *row, sb_msec now)
{
    struct msg_table_row as = row->row;
    sb_msec passed = now - row->at;

    as.age = older(as.age, passed);
    if (as.outage)
        as.outage_age = older(as.outage_age, passed);
    as.cooldown = as.cooldown > passed ? as.cooldown - (uint32_t)passed : 0;
    return as;
}

int dp_rowstore_save(struct dp_rowstore *store, const char *dir, sb_msec now, struct sb_errmsg *err)
{
    struct msg_tables all = {.epoch = store->held.epoch,
                             .term = store->held.term,
                             .sequence = store->held.sequence,
                             .complete = true,
                             .n_rows = HASH_COUNT(store->rows)};
    SB_CLEANUP(sb_buf_release) struct sb_buf bytes;
    struct msg_table_row *to;
    int rc;

    sb_buf_init(&bytes, MSG_SNAPSHOT_MAX);
    if (!store->is_changed)
        return SB_OK;
    to = all.rows = sb_mem_try((all.n_rows + 1) * sizeof(*all.rows));
    if (to == NULL)
        return sb_err_set(err, SB_ENOMEM, "no memory to write the tables");
    for (const struct row *row = store->rows; row != NULL; row = row->hh.next)
        *to++ = aged(row, now);
    rc = msg_tables_encode(&all, &bytes);
    sb_mem_free(all.rows);
    if (rc != SB_OK)
        return sb_err_set(err, rc, "cannot write the tables");
    rc = dp_snapstore_write(dir, "tables",
                            (struct msg_version){.epoch = all.epoch, .revision = all.term}, NULL,
                            sb_buf_slice(&bytes), err);
    if (rc == SB_OK)
        store->is_changed = false;
    return rc;
}
