/* dataplane/relay.h - the answer on its way to the client.
 *
 * From the first content on.  Copies what it needs of names and prices, lets
 * go of the snapshot and of the request's body, and turns what the attempt
 * reads into what leaves: one write for all that came in one read.
 *
 *      begin -> whole                    a checked, unstreamed answer
 *      begin -> events, flush ... end    a stream; or fail
 *      begin -> raw_head, raw ... raw_end   an answer too large to be held
 *
 * The record is written before the last byte leaves.
 */
#pragma once

#include <stdint.h>

#include "common/slice.h"
#include "proto/vocabulary.h"

struct dp_request;
struct sb_buf;

/* The first content is there: RELAY. */
void dp_relay_begin(struct dp_request *req);

void dp_relay_whole(struct dp_request *req);

/* Where a dialect writes events; flushed by flush() or end(). */
struct sb_buf *dp_relay_buf(struct dp_request *req);
void dp_relay_events(struct dp_request *req, struct sb_slice events);
void dp_relay_flush(struct dp_request *req);
void dp_relay_end(struct dp_request *req);
/* After content: one error chunk, and a clean end.  Before content, behind a
 * comment that has committed the status: the same, by dp_failover. */
void dp_relay_fail(struct dp_request *req, enum msg_outcome outcome);
/* Fills the record's usage and cost from what was relayed.  Failures of
 * providers, and ours, are not charged. */
void dp_relay_settle(struct dp_request *req, enum msg_outcome outcome);
/* ": SWITCHBOARD PROCESSING", while a stream waits for its first content. */
void dp_relay_comment(struct dp_request *req);
/* An error for a stream whose head is out: chunk with this envelope's error. */
struct dp_error;
void dp_relay_error(struct dp_request *req, enum msg_outcome outcome, const struct dp_error *error);

/* length: UINT64_MAX when it is not known. */
void dp_relay_raw_head(struct dp_request *req, uint64_t length);
void dp_relay_raw(struct dp_request *req, struct sb_slice bytes);
void dp_relay_raw_end(struct dp_request *req);
