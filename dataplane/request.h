/* dataplane/request.h - the life of one request.
 *
 *      READ --whole body--> ROUTE --candidates--> ATTEMPT --first content--> RELAY
 *        |                    |                    |    ^                      |
 *        |                    |                    +----+ next candidate       |
 *        +----- an answer of our own (error, document) -----+                  |
 *                                                           v                  v
 *                                                        RECORD -----------> DONE
 *
 *  READ     head and body arrive; authenticated as soon as the head is there
 *  ROUTE    pure functions over the pinned snapshot: candidates, or reasons
 *  ATTEMPT  one candidate at a time; nothing has reached the client yet but
 *           comments (dataplane/attempt.h)
 *  RELAY    content flows; the snapshot is unpinned
 *  RECORD   the audit record goes into the spool, before the last byte leaves;
 *           lasts while it is waited for (dataplane/durable.h)
 *  DONE     on the worker's dead list
 *
 * Freed in one place, with its arena.  The client may leave at any time; then
 * client is NULL, and the request ends with its record.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/http1.h"
#include "common/loop.h"
#include "common/slice.h"
#include "common/splice.h"
#include "dataplane/answer.h"
#include "dataplane/attempt.h"
#include "dataplane/failover.h"
#include "dataplane/route/decide.h"
#include "proto/bill.h"
#include "proto/limits.h"
#include "proto/record.h"
#include "proto/tariff.h"

struct dp_api;
struct dp_client;
struct dp_candidate;
struct dp_durable;
struct dp_snapshot;
struct dp_worker;
struct dp_key;
struct dp_question;

enum dp_req_state {
    DP_REQ_READ,
    DP_REQ_ROUTE,
    DP_REQ_ATTEMPT,
    DP_REQ_RELAY,
    DP_REQ_RECORD,
    DP_REQ_DONE,
};
const char *dp_req_state_name(enum dp_req_state state);

enum {
    DP_GENERATION_MAX = 48, /* with its quotes as a JSON string */
};

/* What the metadata tells of an attempt and the record does not. */
struct dp_told {
    struct sb_slice provider_json; /* its display name */
    uint32_t sequence;             /* of the own key */
};

struct dp_request {
    struct dp_worker *worker;
    struct dp_client *client; /* NULL once it has left */
    struct sb_arena *arena;
    enum dp_req_state state;
    struct sb_task dead; /* frees it, outside its own callbacks */

    /* READ.  Slices are in the arena. */
    const struct dp_api *api; /* NULL: no such path */
    struct sb_slice path, query;
    enum sb_http1_method method;
    struct sb_slice request_id, session_header, beta_header, trace_header;
    struct sb_slice body;          /* whole, once complete */
    struct sb_buf body_buf;        /* where it is held when it did not come at once */
    uint64_t body_expected;        /* by the head; 0 not said */
    uint64_t body_counted;         /* of it in worker->body_bytes */
    struct sb_slice page_headers;  /* of a browser's preflight: fields that a page wants to send */
    const char *metadata_name;     /* member that the answer is to carry; NULL: none */
    struct sb_slice decision_json; /* members of it that need the snapshot */
    bool is_head;                  /* method HEAD: no body in the answer */
    bool wants_body;
    struct dp_error refusal; /* status 0: none so far */

    /* Who asks; set when authenticated, valid while the snapshot is pinned.
     * What is needed later is copied into the arena. */
    struct dp_snapshot *snapshot; /* pinned from authentication to RELAY */
    const struct dp_key *key;
    struct msg_record record; /* filled as things become known */

    /* ROUTE */
    struct sb_splice doc;          /* the scanned body */
    struct dp_requirements *facts; /* what the body asks for; its flags stay valid to the end */
    struct dp_route route;
    struct dp_decision *decision; /* candidates in order, while the snapshot is pinned */
    struct sb_slice user_json, generation_json;
    double prompt_tokens; /* estimate */
    bool is_routed;

    /* ATTEMPT */
    struct dp_failover failover;
    struct dp_attempt attempt;    /* the current one */
    struct msg_attempt *attempts; /* MSG_ATTEMPTS_MAX */
    struct dp_told *told;         /* of each, more for the metadata; NULL when nobody wants it */
    uint32_t n_attempts;          /* begun */
    struct sb_timer deadline;     /* over all */
    struct sb_timer comment;      /* while a stream waits */
    struct msg_prices prices;     /* base prices of the endpoint that serves */
    struct msg_tariff tariff;     /* those and its overrides; price NULL: none serves so far */
    struct dp_question *question; /* to the control plane, of the APIs that ask it */

    /* Answer */
    char generation[DP_GENERATION_MAX]; /* the JSON string; its inside has no escapes */
    uint8_t generation_n;               /* of the inside; 0 none */
    struct sb_slice snapshot_text;      /* "epoch.revision" */
    struct sb_slice served_tag;         /* of the endpoint whose answer is relayed */
    bool is_billed;                     /* an own key's cost is not, unless the policy says so */
    bool spilled; /* not by an own key, since one was refused or at its limit */
    bool head_sent;
    bool comment_sent; /* the head went out with the first comment: less in it */
    bool is_chunked;
    bool keep_alive; /* what the head says */
    bool used_up;
    const char *allow; /* methods that the path takes, of a 405; NULL none */
    sb_msec retry_after;
    uint16_t status;
    uint64_t answer_bytes;
    bool is_authenticated;
    bool reserved;              /* room in the spool: there will be a record */
    struct dp_durable *durable; /* audit: sync; else NULL */

    uint64_t received_us; /* monotonic, for durations */
};

/* Begins a request whose head is complete; head and base are borrowed for the
 * call.  Writes *ret_req before anything else happens.  Never answers yet. */
void dp_request_new(struct dp_worker *worker, struct dp_client *client,
                    const struct sb_http1_head *head, const char *base,
                    struct dp_request **ret_req);
/* Whether the body is of interest, or the request is refused already. */
bool dp_request_wants_body(const struct dp_request *req);
/* Where the rest of a body can be read to, so that dp_request_on_body() need not
 * copy it, and how much that is; NULL when it is to be read elsewhere. */
char *dp_request_body_room(struct dp_request *req, size_t *ret_n);
void dp_request_on_body(struct dp_request *req, struct sb_slice bytes);
/* The body cannot be read: refused with this status. */
void dp_request_on_broken_body(struct dp_request *req, int status, const char *text);
/* The message is whole, or the rest of it is not wanted.  May answer and
 * finish the client from inside. */
void dp_request_on_complete(struct dp_request *req);
/* The client reads again, after dp_client_is_full(). */
void dp_request_on_client_ready(struct dp_request *req);
/* The client is gone and its object ends.  Cancels upstream, writes the record. */
void dp_request_on_client_gone(struct dp_request *req);
/* The worker ends before the answer does. */
void dp_request_shut_down(struct dp_request *req);

/* --- for the modules of the request path ----------------------------------- */

/* "gen-..." */
struct sb_slice dp_request_generation(const struct dp_request *req);
void dp_request_set_state(struct dp_request *req, enum dp_req_state next);
/* Microseconds since the request was received. */
uint64_t dp_request_elapsed(const struct dp_request *req);
/* Lets go of the snapshot; what is needed later has been copied. */
void dp_request_unpin(struct dp_request *req);
/* Fills and spools the record, once; before the last byte leaves. */
void dp_request_record(struct dp_request *req, enum msg_outcome outcome);
/* Answers with an error, records, and ends. */
void dp_request_fail(struct dp_request *req, enum msg_outcome outcome,
                     const struct dp_error *error);
/* The last byte was written: lets go of the client, and dies; when the record
 * is waited for, after that. */
void dp_request_done(struct dp_request *req);
/* The body is not needed any more: first content is on its way. */
void dp_request_drop_body(struct dp_request *req);
/* The next comment of a stream that waits, conf->comment_interval from now. */
void dp_request_arm_comment(struct dp_request *req);
/* Whether the deadline leaves so much time. */
bool dp_request_has_time(const struct dp_request *req, sb_msec wait);
/* Quotes what was held for each claim that is demanded. */
void dp_request_note_evidence(struct dp_request *req, const struct dp_candidate *candidate);
