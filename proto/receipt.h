/* proto/receipt.h - what a worker promises about a request, and why it may.
 *
 * A promise is the value of the header MSG_RECEIPT_HEADER of an answer:
 *
 *      v1.<base64url of JSON>.<base64url of an Ed25519 signature>
 *
 * without padding.  What is signed are the characters before the second dot,
 * by a key that the worker made when it started.  The JSON has the names and
 * values of the entry that will be in the log (controlplane/log/entry.h), as far
 * as they are known when the head of the answer leaves, and
 *
 *      at             when it was made, microseconds since 1970 UTC
 *      certificate    why the worker's key is to be believed
 *      logged_within  seconds until the entry is in the log
 *      salt           hex, 16 bytes: the key of the digests
 *
 * A certificate is a signed note (common/note.h) of the log's key; its text:
 *
 *      switchboard/worker-key
 *      worker <name>
 *      boot <number>
 *      key <base64 of the public key>
 *      at <microseconds since 1970 UTC>
 *
 * which is no checkpoint, whatever the log is called: the second line of one
 * is a number.
 */
#pragma once

#include <stdint.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/secret.h"
#include "common/slice.h"

struct msg_record;
struct sb_buf;

#define MSG_RECEIPT_HEADER "X-Switchboard-Receipt"

enum {
    MSG_PROMISE_SECONDS = 60,
    MSG_PROMISE_MAX = 16384, /* characters; of long evidence there is a digest only */
    MSG_PROMISE_EVIDENCE_MAX = 256,
};

struct msg_certificate {
    struct sb_slice worker; /* as in the fleet; borrowed */
    uint64_t boot;
    uint8_t key[SB_SIGN_PUBLIC];
    int64_t at; /* microseconds since 1970 UTC */
};

/* Appends the text of the note, to be signed.  SB_EINVAL: no name of a worker. */
int msg_certificate_write(const struct msg_certificate *certificate,
                          struct sb_buf *out) SB_MUSTCHECK;
/* Of the text of a note that was verified.  SB_EPARSE. */
int msg_certificate_read(struct sb_slice text, struct msg_certificate *ret) SB_MUSTCHECK;

/* Who promises. */
struct msg_promiser {
    const struct sb_secret *seed; /* of the worker's key */
    struct sb_slice worker;
    uint64_t boot;
    struct sb_slice certificate; /* the note */
};

/* Appends the promise.  record: as far as it is known; it has a salt.  json:
 * scratch.  SB_ETOOBIG, SB_ENOMEM; out is then as before. */
int msg_promise_write(const struct msg_promiser *by, const struct msg_record *record, int64_t at,
                      struct sb_buf *json, struct sb_buf *out) SB_MUSTCHECK;

struct msg_promise {
    struct sb_slice is_signed; /* of the text that was opened */
    uint8_t signature[SB_SIGN_BYTES];
};
/* Takes a header's value apart; appends the JSON to json.  Nothing is verified
 * yet.  SB_EPARSE, SB_EVERSION: not "v1", SB_ETOOBIG, SB_ENOMEM. */
int msg_promise_open(struct sb_slice text, struct sb_buf *json, struct msg_promise *ret,
                     struct sb_errmsg *err) SB_MUSTCHECK;
