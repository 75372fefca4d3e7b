/* controlplane/records/dispatches.c */
#include "controlplane/records/dispatches.h"

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/slice.h"
#include "common/timefmt.h"
#include "controlplane/db.h"
#include "controlplane/records/audit_rows.h"
#include "proto/record.h"

enum {
    ROOM_MIN = 64,
    JSON_MAX = 64 << 20, /* all records of CP_INGEST_BATCHES_MAX batches, and their names */
};

struct cp_dispatch {
    struct cp_record_id id; /* of the DISPATCH */
    sb_usec received_at;    /* meaningful when it is opened */
};

void cp_dispatches_init(struct cp_dispatches *dispatches)
{
    *dispatches = (struct cp_dispatches){.opened = {.n = 0}};
}

void cp_dispatches_release(struct cp_dispatches *dispatches)
{
    sb_mem_free(dispatches->opened.at);
    sb_mem_free(dispatches->closed.at);
    cp_dispatches_init(dispatches);
}

void cp_dispatches_reset(struct cp_dispatches *dispatches)
{
    dispatches->opened.n = dispatches->closed.n = 0;
}

static int add(struct cp_dispatch_list *list, const struct cp_dispatch *dispatch)
{
    if (list->n == list->room) {
        size_t room = list->room > 0 ? 2 * list->room : ROOM_MIN;
        struct cp_dispatch *at = sb_mem_resize(list->at, room * sizeof(*at));

        if (at == NULL)
            return SB_ENOMEM;
        list->at = at;
        list->room = room;
    }
    list->at[list->n++] = *dispatch;
    return SB_OK;
}

int cp_dispatches_note(struct cp_dispatches *dispatches, const struct cp_record_id *id,
                       const struct msg_record *record)
{
    struct cp_dispatch dispatch = {.id = *id, .received_at = (sb_usec)record->received_at};

    if (record->kind == MSG_RECORD_DISPATCH)
        return add(&dispatches->opened, &dispatch);
    if (record->kind != MSG_RECORD_REQUEST || record->dispatch == 0)
        return SB_OK;
    dispatch.id.sequence = record->dispatch;
    return add(&dispatches->closed, &dispatch);
}

/* --- pairs ----------------------------------------------------------------------- */

static int compare_text(struct sb_slice a, struct sb_slice b)
{
    int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n); /* workers have names */

    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

static int compare(const void *left, const void *right)
{
    const struct cp_record_id *a = &((const struct cp_dispatch *)left)->id;
    const struct cp_record_id *b = &((const struct cp_dispatch *)right)->id;

    if (a->sequence != b->sequence)
        return a->sequence < b->sequence ? -1 : 1;
    if (a->boot != b->boot)
        return a->boot < b->boot ? -1 : 1;
    return compare_text(a->worker, b->worker);
}

static void sort(struct cp_dispatch_list *list)
{
    if (list->n > 1)
        qsort(list->at, list->n, sizeof(*list->at), compare);
}

/* Takes those out of both lists that are in both. */
static void pair_up(struct cp_dispatches *dispatches)
{
    struct cp_dispatch_list *opened = &dispatches->opened, *closed = &dispatches->closed;
    size_t o = 0, c = 0, left_open = 0, left_closed = 0;

    sort(opened);
    sort(closed);
    while (o < opened->n || c < closed->n) {
        int order = o == opened->n   ? 1
                    : c == closed->n ? -1
                                     : compare(&opened->at[o], &closed->at[c]);

        if (order < 0) {
            opened->at[left_open++] = opened->at[o++];
        } else if (order > 0) {
            closed->at[left_closed++] = closed->at[c++];
        } else {
            o++;
            c++;
        }
    }
    opened->n = left_open;
    closed->n = left_closed;
}

/* --- the table --------------------------------------------------------------------- */

static int put_list(const struct cp_dispatch_list *list, struct sb_buf *text)
{
    char at[SB_TIME_TEXT_MAX];
    struct sb_json json;

    sb_json_init(&json, text);
    sb_json_open_array(&json);
    for (size_t i = 0; i < list->n; i++) {
        const struct cp_dispatch *dispatch = &list->at[i];
        size_t n = sb_time_format(dispatch->received_at, 6, at);

        sb_json_open_object(&json);
        sb_json_add_text(&json, "worker_id", dispatch->id.worker);
        sb_json_add_u64(&json, "boot_id", dispatch->id.boot);
        sb_json_add_u64(&json, "sequence", dispatch->id.sequence);
        sb_json_add_text(&json, "received_at", sb_slice_make(at, n));
        sb_json_close_object(&json);
    }
    sb_json_close_array(&json);
    return sb_json_end(&json);
}

static int change(struct cp_db *db, const char *sql, const struct cp_dispatch_list *list)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf text = {.limit = 0};
    int rc;

    if (list->n == 0)
        return SB_OK;
    sb_buf_init(&text, JSON_MAX);
    rc = put_list(list, &text);
    return rc == SB_OK ? cp_db_exec(db, sql, CP_PARAMS(CP_P_TEXT(sb_buf_slice(&text))), NULL) : rc;
}

#define GIVEN                                                                                      \
    "jsonb_to_recordset($1::jsonb) AS g(worker_id text, boot_id bigint, sequence bigint,"          \
    " received_at timestamptz)"

int cp_dispatches_store(struct cp_dispatches *dispatches, struct cp_db *db)
{
    int rc;

    pair_up(dispatches);
    rc = change(db,
                "INSERT INTO open_dispatches (worker_id, boot_id, sequence, received_at)"
                " SELECT worker_id, boot_id, sequence, received_at FROM " GIVEN
                " ON CONFLICT DO NOTHING",
                &dispatches->opened);
    if (rc != SB_OK)
        return rc;
    return change(db,
                  "DELETE FROM open_dispatches o USING " GIVEN
                  " WHERE o.worker_id = g.worker_id AND o.boot_id = g.boot_id"
                  " AND o.sequence = g.sequence",
                  &dispatches->closed);
}
