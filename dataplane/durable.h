/* dataplane/durable.h - a request whose policy says "audit: sync".
 *
 *      ROUTE --DISPATCH is safe--> ATTEMPT --> ... --> RECORD --record is safe--> DONE
 *
 * Nothing goes to a provider before a DISPATCH is on stable storage, so that a
 * request that dies with its worker is known; and the end of the answer does not
 * leave before the record is.  While the record waits, state RECORD lasts; the
 * last bytes lie in the client (dp_client_hold()).
 *
 * A disk that does not take the DISPATCH in time refuses the request, 503; one
 * that does not take the record breaks the answer off, since its end would say
 * that all is well.
 *
 * Requests of other policies have none of it: req->durable is NULL.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct dp_request;

/* From ROUTE on, under such a policy.  What was refused before was sent nowhere
 * and does not wait. */
void dp_durable_begin(struct dp_request *req);
/* Writes the DISPATCH, names it in the record, and goes on with
 * dp_failover_start() when it is safe.  May refuse the request from inside. */
void dp_durable_dispatch(struct dp_request *req);
/* The record was written: what is written to the client from here on waits. */
void dp_durable_hold(struct dp_request *req, uint64_t sequence);
/* Whether the record is waited for: dp_request_done() comes again. */
bool dp_durable_is_holding(const struct dp_request *req);
/* Nobody is left to wait for, or nothing: the callback does not come. */
void dp_durable_cancel(struct dp_request *req);
/* The same, and the client does not get the end of its answer. */
void dp_durable_break_off(struct dp_request *req);
/* With the request. */
void dp_durable_release(struct dp_request *req);
