/* controlplane/log/receipts.h - receipts: the proof that one request is in the log.
 *
 *      {"checkpoint": "<signed note>", "entry": "<line of the log>",
 *       "generation": "gen-...", "leaf": N, "proof": ["<hex>", ...],
 *       "salt": "<hex>", "version": 1}
 *
 * The entry is made of the columns as they are now, so a record that was edited
 * gets a receipt that does not verify.  No salt: it was destroyed, and digests
 * cannot be checked any more.  switchboardctl receipt verify checks it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/slice.h"

struct cp_db;
struct sb_buf;

/* Appends the receipt by the newest checkpoint.  is_signing: somebody signs the
 * log here.  SB_ENOENT: the tenant has no such record, or it is from before the
 * log; SB_EGAP: it is there, and no checkpoint covers it yet; SB_EUNSUPPORTED:
 * likewise, and nobody will sign one; SB_ETOOBIG, SB_ENOMEM, codes of
 * controlplane/db.h.  out is garbage then. */
int cp_receipt_write(struct cp_db *db, struct sb_slice generation, uint64_t tenant, bool is_signing,
                     struct sb_buf *out) SB_MUSTCHECK;
