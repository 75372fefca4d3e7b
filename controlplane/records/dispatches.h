/* controlplane/records/dispatches.h - which dispatches have no record of their end yet.
 *
 * A request under "audit: sync" leaves a DISPATCH before its first byte goes to
 * a provider, and a record when it ends, which names the DISPATCH.  Both are
 * history.  Besides, the table open_dispatches lists those that are alone: what
 * a transaction of controlplane/records/ingest.h brought is noted here and stored with
 * it, so that a row is there exactly as long as its record is not.  A pair that
 * comes in one transaction, which is nearly always, never touches the table.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"

struct cp_db;
struct cp_record_id;
struct msg_record;

struct cp_dispatch;

struct cp_dispatch_list {
    struct cp_dispatch *at;
    size_t n, room;
};

struct cp_dispatches {
    struct cp_dispatch_list opened, closed;
};

void cp_dispatches_init(struct cp_dispatches *dispatches);
void cp_dispatches_release(struct cp_dispatches *dispatches);
/* Forgets what was noted and keeps the memory. */
void cp_dispatches_reset(struct cp_dispatches *dispatches);
/* A record that this transaction stores; of no interest are those without a
 * dispatch.  Borrows id->worker until the next reset.  SB_ENOMEM. */
int cp_dispatches_note(struct cp_dispatches *dispatches, const struct cp_record_id *id,
                       const struct msg_record *record) SB_MUSTCHECK;
/* Inside of the transaction.  Codes of controlplane/db.h; SB_ETOOBIG. */
int cp_dispatches_store(struct cp_dispatches *dispatches, struct cp_db *db) SB_MUSTCHECK;
