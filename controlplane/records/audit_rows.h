/* controlplane/records/audit_rows.h - records of workers as rows of the audit tables.
 *
 * Rows are collected as binary COPY, one buffer per table, and go to the
 * database in one COPY each; with each row comes its entry of the log
 * (controlplane/log/entry.h).  Also the way back: the record of a row.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/buf.h"
#include "common/slice.h"

struct cp_db;
struct cp_rows;
struct msg_record;
struct sb_arena;

enum cp_audit_table { CP_AUDIT_REQUESTS, CP_AUDIT_DISPATCHES, CP_AUDIT_REFUSALS, CP_AUDIT_TABLES };

/* Whose record it is; outside of its bytes. */
struct cp_record_id {
    struct sb_slice worker;
    uint64_t boot, sequence;
};

struct cp_audit_rows {
    struct {
        struct sb_buf copy;
        uint64_t n; /* rows */
    } tables[CP_AUDIT_TABLES];
    struct sb_buf json, line; /* of the last record */
    bool is_copying;          /* requests, over the connection */
};

void cp_audit_rows_init(struct cp_audit_rows *rows);
void cp_audit_rows_release(struct cp_audit_rows *rows);
/* Drops the rows and keeps the memory. */
void cp_audit_rows_reset(struct cp_audit_rows *rows);
/* leaf: the place of its entry, whose line is given: borrowed until the next
 * record is added.  SB_EINVAL: it holds a number that no column takes;
 * SB_ENOMEM, SB_ETOOBIG.  The rows are then as before. */
int cp_audit_rows_add(struct cp_audit_rows *rows, const struct cp_record_id *id,
                      const struct msg_record *record, uint64_t leaf,
                      struct sb_slice *ret_line) SB_MUSTCHECK;
/* Inside of a transaction; codes of controlplane/db.h.  Sends the rows of requests
 * once there are enough for it, so that the database works while more are made.
 * From then on the connection takes no other statement, until settle() or
 * store(), which may say what was wrong with rows that were sent before. */
int cp_audit_rows_send(struct cp_audit_rows *rows, struct cp_db *db) SB_MUSTCHECK;
int cp_audit_rows_settle(struct cp_audit_rows *rows, struct cp_db *db) SB_MUSTCHECK;
/* All that is left. */
int cp_audit_rows_store(struct cp_audit_rows *rows, struct cp_db *db) SB_MUSTCHECK;

/* The request of a tenant (0: any) with this generation id, its texts and
 * arrays in arena.  SB_ENOENT; codes of controlplane/db.h. */
int cp_audit_find(struct cp_db *db, struct sb_slice generation, uint64_t tenant,
                  struct sb_arena *arena, struct msg_record *ret_record) SB_MUSTCHECK;
