/* controlplane/records/ingest.c */
#include "controlplane/records/ingest.h"

#include <inttypes.h>
#include <string.h>

#include "common/arena.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/sha256.h"
#include "controlplane/db.h"
#include "controlplane/log/appender.h"
#include "controlplane/log/entry.h"
#include "controlplane/publish/term.h"
#include "controlplane/records/audit_rows.h"
#include "controlplane/records/dispatches.h"
#include "controlplane/records/tallies.h"
#include "controlplane/stats.h"
#include "proto/bus.h"
#include "proto/record.h"

enum {
    DECODE_ARENA = 16 * 1024,
    CURSORS_JSON_MAX = 64 * 1024, /* names and numbers of CP_INGEST_BATCHES_MAX boots */
};

struct item {
    struct cp_record_id id;
    struct sb_slice bytes;
    unsigned cursor; /* index of its boot's */
    bool is_refused; /* to quarantine */
    char code[32];   /* why */
    char problem[200];
};

/* How far one boot is stored. */
struct cursor {
    struct sb_slice worker;
    uint64_t boot;
    uint64_t stored; /* committed */
    uint64_t last;   /* as of the transaction under way */
};

struct ingest {
    struct cp_db *db;
    uint64_t term;
    struct cp_stats *stats;
    struct item *items;
    size_t n_items, room;
    struct cursor cursors[CP_INGEST_BATCHES_MAX];
    unsigned n_cursors;
    struct cp_audit_rows rows;
    struct cp_dispatches dispatches;
    struct cp_appender appender;
    struct sb_arena_cache *arenas; /* for decoding */
    struct cp_tallies tallies;
    /* The transaction under way. */
    size_t from, to; /* items */
    uint64_t stored, skipped, quarantined, gaps;
};

/* --- what is to be stored ---------------------------------------------------------- */

static unsigned cursor_of(struct ingest *ingest, const struct cp_ingest_batch *batch)
{
    struct cursor *cursor = ingest->cursors;

    for (unsigned i = 0; i < ingest->n_cursors; i++, cursor++)
        if (cursor->boot == batch->boot && sb_slice_eq(cursor->worker, batch->worker))
            return i;
    *cursor = (struct cursor){.worker = batch->worker, .boot = batch->boot};
    return ingest->n_cursors++;
}

static int add_item(struct ingest *ingest, const struct cp_ingest_batch *batch, unsigned cursor,
                    uint64_t sequence, struct sb_slice bytes, struct item **ret_item)
{
    struct item *item;

    if (ingest->n_items == ingest->room) {
        size_t room = ingest->room > 0 ? 2 * ingest->room : 256;
        struct item *items = sb_mem_resize(ingest->items, room * sizeof(*items));

        if (items == NULL)
            return SB_ENOMEM;
        ingest->items = items;
        ingest->room = room;
    }
    item = &ingest->items[ingest->n_items++];
    memset(item, 0, sizeof(*item));
    item->id =
        (struct cp_record_id){.worker = batch->worker, .boot = batch->boot, .sequence = sequence};
    item->bytes = bytes;
    item->cursor = cursor;
    *ret_item = item;
    return SB_OK;
}

/* problem: ASCII is kept of it, so that it can be cut anywhere. */
static void refuse(struct item *item, const char *code, const char *problem)
{
    item->is_refused = true;
    (void)snprintf(item->code, sizeof(item->code), "%s", code);
    (void)snprintf(item->problem, sizeof(item->problem), "%s", problem);
    for (char *c = item->problem; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
}

/* What comes after bytes that are no frame cannot be told apart any more: it
 * is kept as one. */
static int add_batch(struct ingest *ingest, const struct cp_ingest_batch *batch)
{
    unsigned cursor = cursor_of(ingest, batch);
    struct sb_slice left = batch->bulk;
    uint64_t sequence = batch->first;
    struct item *item;
    int rc = SB_OK;

    while (rc == SB_OK) {
        struct sb_slice bytes, before = left;

        rc = msg_batch_next(&left, &bytes);
        if (rc == SB_EEOF)
            return SB_OK;
        if (rc != SB_OK) {
            int broken = rc;

            rc = add_item(ingest, batch, cursor, sequence, before, &item);
            if (rc == SB_OK)
                refuse(item, sb_err_name(broken), "the batch is broken from here on");
            return rc;
        }
        rc = add_item(ingest, batch, cursor, sequence++, bytes, &item);
    }
    return rc;
}

/* --- cursors ------------------------------------------------------------------------- */

#define WANTED "jsonb_to_recordset($1::jsonb) AS w(worker_id text, boot_id bigint, last_seq bigint)"

static int put_cursors(const struct ingest *ingest, struct sb_buf *text)
{
    struct sb_json json;

    sb_json_init(&json, text);
    sb_json_open_array(&json);
    for (unsigned i = 0; i < ingest->n_cursors; i++) {
        sb_json_open_object(&json);
        sb_json_add_text(&json, "worker_id", ingest->cursors[i].worker);
        sb_json_add_u64(&json, "boot_id", ingest->cursors[i].boot);
        sb_json_add_u64(&json, "last_seq", ingest->cursors[i].last);
        sb_json_close_object(&json);
    }
    sb_json_close_array(&json);
    return sb_json_end(&json);
}

static void read_cursors(struct ingest *ingest, const struct cp_rows *rows)
{
    for (size_t row = 0; row < cp_rows_count(rows); row++) {
        struct sb_slice worker = cp_rows_bytes(rows, row, 0);
        uint64_t boot = (uint64_t)cp_rows_i64(rows, row, 1);

        for (unsigned i = 0; i < ingest->n_cursors; i++) {
            struct cursor *cursor = &ingest->cursors[i];

            if (cursor->boot == boot && sb_slice_eq(cursor->worker, worker))
                cursor->last = cursor->stored = (uint64_t)cp_rows_i64(rows, row, 2);
        }
    }
}

/* Locked in one order, so that two daemons never wait for each other. */
static int lock_cursors(struct ingest *ingest)
{
    static const char select[] = "SELECT c.worker_id, c.boot_id, c.last_seq FROM ingest_cursor c"
                                 " JOIN " WANTED " USING (worker_id, boot_id)"
                                 " ORDER BY c.worker_id, c.boot_id FOR UPDATE OF c";
    static const char insert[] = "INSERT INTO ingest_cursor (worker_id, boot_id, last_seq)"
                                 " SELECT worker_id, boot_id, 0 FROM " WANTED
                                 " ORDER BY worker_id, boot_id ON CONFLICT DO NOTHING";
    SB_CLEANUP(sb_buf_release) struct sb_buf text = {.limit = 0};
    size_t found = 0;
    int rc;

    sb_buf_init(&text, CURSORS_JSON_MAX);
    rc = put_cursors(ingest, &text);
    for (int round = 0; rc == SB_OK && round < 2 && found < ingest->n_cursors; round++) {
        SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;

        if (round > 0)
            rc = cp_db_exec(ingest->db, insert, CP_PARAMS(CP_P_TEXT(sb_buf_slice(&text))), NULL);
        if (rc == SB_OK)
            rc = cp_db_query(ingest->db, select, CP_PARAMS(CP_P_TEXT(sb_buf_slice(&text))), &rows);
        if (rc != SB_OK)
            break;
        found = cp_rows_count(rows);
        read_cursors(ingest, rows);
    }
    return rc;
}

static int save_cursors(struct ingest *ingest)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf text = {.limit = 0};
    int rc;

    sb_buf_init(&text, CURSORS_JSON_MAX);
    rc = put_cursors(ingest, &text);
    if (rc != SB_OK)
        return rc;
    return cp_db_exec(
        ingest->db,
        "UPDATE ingest_cursor c SET last_seq = w.last_seq, updated_at = now() FROM " WANTED
        " WHERE c.worker_id = w.worker_id AND c.boot_id = w.boot_id"
        " AND c.last_seq <> w.last_seq",
        CP_PARAMS(CP_P_TEXT(sb_buf_slice(&text))), NULL);
}

/* --- one transaction ------------------------------------------------------------------- */

/* Its entry of the log, whose leaf is set: what the row will say. */
static int put_quarantined(const struct item *item, int64_t at, struct sb_buf *line)
{
    struct cp_value values[CP_QUARANTINED_N] = {0};
    uint8_t hash[SB_SHA256_BYTES];

#define TEXT(slice)  ((struct cp_value){.is_set = true, .bytes = (slice)})
#define NUMBER(what) ((struct cp_value){.is_set = true, .number = (int64_t)(what)})
    sb_sha256(item->bytes, hash);
    values[CP_QUARANTINED_at] = NUMBER(at);
    values[CP_QUARANTINED_worker_id] = TEXT(item->id.worker);
    values[CP_QUARANTINED_boot_id] = NUMBER(item->id.boot);
    values[CP_QUARANTINED_sequence] = NUMBER(item->id.sequence);
    values[CP_QUARANTINED_code] = TEXT(sb_slice_of(item->code));
    values[CP_QUARANTINED_problem] = TEXT(sb_slice_of(item->problem));
    values[CP_QUARANTINED_bytes_sha256] = TEXT(sb_slice_make(hash, sizeof(hash)));
#undef TEXT
#undef NUMBER
    return cp_entry_put(CP_ENTRY_QUARANTINED, values, line);
}

static int quarantine(struct ingest *ingest, const struct item *item)
{
    static const char sql[] =
        "INSERT INTO quarantine (worker_id, boot_id, sequence, code, problem, bytes, leaf, at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, 'epoch'::timestamptz + $8 * interval '1 us')"
        " ON CONFLICT DO NOTHING";
    SB_CLEANUP(sb_buf_release) struct sb_buf line = {.limit = CP_ENTRY_LINE_MAX};
    int64_t at = (int64_t)sb_clock_wall(&sb_clock_system);
    uint64_t stored = 0;
    int rc = put_quarantined(item, at, &line);

    ingest->quarantined++;
    if (rc == SB_OK)
        rc = cp_audit_rows_settle(&ingest->rows, ingest->db);
    if (rc != SB_OK)
        return rc;
    rc = cp_db_exec(ingest->db, sql,
                    CP_PARAMS(CP_P_TEXT(item->id.worker), CP_P_I64(item->id.boot),
                              CP_P_I64(item->id.sequence), CP_P_STR(item->code),
                              CP_P_STR(item->problem), CP_P_BYTES(item->bytes),
                              CP_P_I64(cp_appender_next(&ingest->appender)), CP_P_I64(at)),
                    &stored);
    if (rc == SB_OK && stored > 0)
        cp_appender_add(&ingest->appender, sb_buf_slice(&line));
    return rc;
}

static int decode_row(struct ingest *ingest, const struct item *item)
{
    struct sb_arena *arena = sb_arena_cache_take(ingest->arenas);
    struct msg_record record;
    struct sb_slice line;
    int rc = msg_record_decode(item->bytes, arena, &record);

    if (rc == SB_OK)
        rc = cp_audit_rows_add(&ingest->rows, &item->id, &record,
                               cp_appender_next(&ingest->appender), &line);
    if (rc == SB_OK) {
        ingest->stored++;
        cp_appender_add(&ingest->appender, line);
        rc = cp_tallies_note(&ingest->tallies, &item->id, &record);
    }
    if (rc == SB_OK)
        rc = cp_dispatches_note(&ingest->dispatches, &item->id, &record);
    sb_arena_cache_give(ingest->arenas, &arena);
    return rc;
}

static int add_row(struct ingest *ingest, struct item *item)
{
    int rc;

    if (item->is_refused)
        return quarantine(ingest, item);
    rc = decode_row(ingest, item);
    if (rc == SB_OK || rc == SB_ENOMEM)
        return rc;
    refuse(item, sb_err_name(rc), "cannot be decoded, or holds a number that no column takes");
    return quarantine(ingest, item);
}

static int take_items(struct ingest *ingest)
{
    int rc = SB_OK;

    for (size_t i = ingest->from; rc == SB_OK && i < ingest->to; i++) {
        struct item *item = &ingest->items[i];
        struct cursor *cursor = &ingest->cursors[item->cursor];

        if (item->id.sequence <= cursor->last) {
            ingest->skipped++;
            continue;
        }
        /* The worker was told that they are stored: by this database before it
         * was restored from a backup. */
        if (item->id.sequence != cursor->last + 1)
            ingest->gaps++;
        rc = add_row(ingest, item);
        if (rc == SB_OK)
            rc = cp_audit_rows_send(&ingest->rows, ingest->db);
        cursor->last = item->id.sequence;
    }
    return rc;
}

static int store(struct cp_db *db, void *ctx)
{
    struct ingest *ingest = ctx;
    int rc;

    _Static_assert(CP_INGEST_STATEMENT == 20000, "as in the statement below");
    cp_audit_rows_reset(&ingest->rows);
    cp_dispatches_reset(&ingest->dispatches);
    cp_tallies_reset(&ingest->tallies);
    ingest->stored = ingest->skipped = ingest->quarantined = ingest->gaps = 0;
    rc = cp_db_script(db, "SET LOCAL statement_timeout = '20s'");
    if (rc == SB_OK)
        rc = lock_cursors(ingest);
    if (rc == SB_OK)
        rc = cp_appender_lock(&ingest->appender, db);
    if (rc == SB_OK)
        rc = take_items(ingest);
    if (rc == SB_OK)
        rc = cp_audit_rows_store(&ingest->rows, db);
    if (rc == SB_OK)
        rc = cp_dispatches_store(&ingest->dispatches, db);
    if (rc == SB_OK)
        rc = cp_appender_store(&ingest->appender, db, ingest->term);
    if (rc == SB_OK)
        rc = cp_tallies_store(&ingest->tallies, db, ingest->term);
    if (rc == SB_OK)
        rc = save_cursors(ingest);
    /* Last, and not first: a daemon that is stopped in the middle of a COPY
     * must not keep another one from leading. */
    return rc == SB_OK ? cp_term_check(ingest->db, ingest->term) : rc;
}

static void count(struct ingest *ingest)
{
    struct cp_stats *stats = ingest->stats;

    cp_stat_add(stats, batch_transactions, 1);
    cp_stat_add(stats, records_stored, ingest->stored);
    cp_stat_add(stats, records_skipped, ingest->skipped);
    cp_stat_add(stats, records_quarantined, ingest->quarantined);
    cp_stat_set(stats, log_size, (int64_t)cp_appender_next(&ingest->appender));
    cp_stat_add(stats, record_gaps, ingest->gaps);
    if (ingest->gaps > 0)
        sb_log_warn(COLLECT,
                    "records are missing that were acknowledged: was the database "
                    "restored from a backup? holes=%" PRIu64,
                    ingest->gaps);
    for (unsigned i = 0; i < ingest->n_cursors; i++)
        ingest->cursors[i].stored = ingest->cursors[i].last;
}

/* Would the same record be refused again, and only it? */
static bool is_about_the_data(const struct cp_db *db, int rc)
{
    const struct cp_db_error *error = cp_db_last_error(db);

    return rc == SB_EINVAL || rc == SB_EEXIST ||
           /* 54: beyond a limit of the server, a value too long for an index */
           (rc == SB_EDB && strncmp(error->sqlstate, "54", 2) == 0);
}

static int store_range(struct ingest *ingest, size_t from, size_t to)
{
    size_t middle = from + (to - from) / 2;
    struct item *item;
    int rc;

    ingest->from = from;
    ingest->to = to;
    rc = cp_db_transact(ingest->db, CP_READ_COMMITTED, store, ingest);
    if (rc == SB_OK) {
        count(ingest);
        return SB_OK;
    }
    if (!is_about_the_data(ingest->db, rc))
        return rc;
    if (to - from > 1) {
        rc = store_range(ingest, from, middle);
        return rc == SB_OK ? store_range(ingest, middle, to) : rc;
    }
    item = &ingest->items[from];
    if (SB_NEVER(item->is_refused)) /* bytes, and texts of ours */
        return SB_EDB;
    refuse(item, cp_db_last_error(ingest->db)->sqlstate, cp_db_last_error(ingest->db)->text.text);
    sb_log_error(COLLECT,
                 "the database refused a record, quarantined worker=%.*s boot=%" PRIu64
                 " sequence=%" PRIu64 " sqlstate=%s: %s",
                 SB_LOG_SLICE(item->id.worker), item->id.boot, item->id.sequence, item->code,
                 item->problem);
    return store_range(ingest, from, to);
}

static void set_results(const struct ingest *ingest, struct cp_ingest_batch *batches, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (unsigned c = 0; c < ingest->n_cursors; c++)
            if (ingest->cursors[c].boot == batches[i].boot &&
                sb_slice_eq(ingest->cursors[c].worker, batches[i].worker))
                batches[i].last = ingest->cursors[c].stored;
}

int cp_ingest(struct cp_db *db, uint64_t term, struct cp_ingest_batch *batches, size_t n,
              struct cp_stats *stats)
{
    struct ingest *ingest = sb_mem_new(sizeof(*ingest));
    int rc = SB_OK;

    SB_BUG_ON(n == 0 || n > CP_INGEST_BATCHES_MAX);
    ingest->db = db;
    ingest->term = term;
    ingest->stats = stats;
    cp_audit_rows_init(&ingest->rows);
    cp_dispatches_init(&ingest->dispatches);
    cp_appender_init(&ingest->appender);
    ingest->arenas = sb_arena_cache_new(DECODE_ARENA, 1);
    cp_tallies_init(&ingest->tallies, SIZE_MAX);
    for (size_t i = 0; rc == SB_OK && i < n; i++)
        rc = add_batch(ingest, &batches[i]);
    if (rc == SB_OK)
        rc = store_range(ingest, 0, ingest->n_items);
    if (rc == SB_OK)
        set_results(ingest, batches, n);
    cp_audit_rows_release(&ingest->rows);
    cp_dispatches_release(&ingest->dispatches);
    cp_appender_release(&ingest->appender);
    sb_arena_cache_destroy(&ingest->arenas);
    cp_tallies_release(&ingest->tallies);
    sb_mem_free(ingest->items);
    sb_mem_free(ingest);
    return rc;
}
