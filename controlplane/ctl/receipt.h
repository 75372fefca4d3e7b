/* controlplane/ctl/receipt.h - checks receipts and promises by the log's key.
 *
 * A receipt is what GET /v1/generation/{id}/receipt gives:
 *
 *      {"checkpoint": "...", "entry": "...", "generation": "gen-...",
 *       "leaf": N, "proof": ["<hex>", ...], "salt": "<hex>", "version": 1}
 *
 * checkpoint: signed note (common/checkpoint.h); entry: the line of the log,
 * as it was hashed; leaf: its place; proof: hashes of RFC 6962's audit path,
 * nearest the leaf first; salt: the key of the digests in the entry, until it
 * is destroyed.
 *
 * A promise (proto/receipt.h) is taken as the value of its header, or out of
 * the whole head of an answer.
 *
 * Nothing is believed but the key: pure functions of what is given.
 */
#pragma once

#include <stdbool.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/json.h"
#include "common/note.h"
#include "common/slice.h"

struct sb_arena;

enum { CTL_RECEIPT_CHECKS = 8, CTL_RECEIPT_MAX = 16 << 20 /* bytes of a receipt */ };

struct ctl_receipt_ask {
    const struct sb_note_key *key; /* all borrowed */
    struct sb_slice receipt;       /* empty: there is a promise only */
    struct sb_slice promise;       /* empty: none */
    bool has_request, has_response;
    struct sb_slice request, response; /* bodies */
};

/* One thing that is proven, or is not. */
struct ctl_check {
    /* "checkpoint", "entry", "salt", "request", "response", "certificate", "promise" */
    const char *name;
    bool is_proven;
    struct sb_slice text; /* a sentence */
};

struct ctl_receipt {
    struct ctl_check checks[CTL_RECEIPT_CHECKS];
    unsigned n;
    bool is_proven;         /* all of them */
    struct sb_slice entry;  /* JSON of what was proven: the entry, or the promise; or none */
    yyjson_doc *doc;        /* of it */
    struct sb_slice origin; /* of the log */
    uint64_t size, leaf;    /* meaningful with a receipt */
};

/* Texts are in arena.  SB_EAGAIN: it is what is given instead of a receipt while
 * the record is under no checkpoint; SB_EPARSE: it is no receipt, or no promise;
 * err says how to get one.  ret is to be released. */
int ctl_receipt_verify(const struct ctl_receipt_ask *ask, struct sb_arena *arena,
                       struct ctl_receipt *ret, struct sb_errmsg *err) SB_MUSTCHECK;
void ctl_receipt_release(struct ctl_receipt *receipt);

/* The promise in the head of an answer, or in its value alone; none when there
 * is none. */
struct sb_slice ctl_receipt_find_promise(struct sb_slice text);
