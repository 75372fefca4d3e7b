/* dataplane/digest.h - what a record says of bodies without telling them.
 *
 * BLAKE2b-256 keyed with a salt of the request's own: of the body that the
 * client sent, of the body that it was sent (without the framing of chunks),
 * and of the members `user` and `metadata`.  The salt is in the record and in
 * the receipt; without it short texts cannot be guessed, and once it is
 * destroyed nobody can tie the record to a person.
 *
 *      begin ... request ... personal ... answer, answer ... finish
 *
 * Bodies are digested of all requests, or with `--digests receipts` of those that
 * a receipt was asked for: it is the dearest part of a record (tests/bench).
 * State is in the request's arena; nothing is allocated elsewhere.  Requests
 * that leave no record have none: req->digest is NULL, and all calls do nothing.
 */
#pragma once

#include "common/slice.h"

struct dp_request;

/* There will be a record: makes the salt. */
void dp_digest_begin(struct dp_request *req);
/* The body is whole. */
void dp_digest_request(struct dp_request *req);
/* `user` and `metadata` of the body, once it was understood.  In plain text
 * too when the key's policy says `audit_personal: plain`. */
void dp_digest_personal(struct dp_request *req);
/* Bytes of the answer's body, in order, before they are written; counts them. */
void dp_digest_answer(struct dp_request *req, struct sb_slice bytes);
/* Before the record is encoded: all bytes of the answer were told.  An answer
 * that never began has no digest; one without a body has that of no bytes. */
void dp_digest_finish(struct dp_request *req);
