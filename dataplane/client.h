/* dataplane/client.h - one connection of a client: the server side of HTTP/1.1.
 *
 * Reads heads and bodies under their limits and deadlines, hands each complete
 * message to a request, and writes what the request answers.  One request at
 * a time: while one is in work, further bytes of the client (pipelining) are
 * kept up to DP_CLIENT_AHEAD_MAX, then the socket is not read any more, but a
 * hang-up is still noticed.
 *
 *      IDLE --byte--> HEAD --head--> BODY --last byte--> BUSY --finish--> IDLE
 *                      |              |                    |
 *                      +---error------+-----finish with close--> LINGER -> dead
 *
 * LINGER: the answer is out and the sending side is shut; what the client
 * still sends is thrown away for a moment, so that a reset does not take the
 * answer from it.
 *
 * An idle client holds this object and nothing else: no buffer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/attr.h"
#include "common/list.h"
#include "common/slice.h"

struct dp_client;
struct dp_keymemo;
struct dp_worker;
struct sb_address;

enum {
    DP_CLIENT_AHEAD_MAX = 32 * 1024,      /* bytes of pipelined requests kept */
    DP_CLIENT_OUT_HIGH = 64 * 1024,       /* unsent answer bytes: stop reading the provider */
    DP_CLIENT_OUT_LOW = 16 * 1024,        /* read it again */
    DP_CLIENT_OUT_MAX = 64 * 1024 * 1024, /* unsent bytes at most; beyond it the client is lost */
    DP_CLIENT_FIELDS_MAX = 100,
    DP_CLIENT_PARTS_MAX = 8, /* of one write */
};

/* Takes fd, which was just accepted and is non-blocking.  The client lives
 * until its peer or a deadline ends it; worker->clients lists it. */
void dp_client_new(struct dp_worker *worker, int fd, bool is_status);
/* Closes it whatever it does; a request of it is told that it is gone.  For
 * the end of the worker. */
void dp_client_destroy(struct dp_client *client);

/* Sends bytes of the answer; copies what the socket does not take at once.
 * Never calls back.  A dead socket is not told here: the bytes are dropped and
 * dp_request_on_client_gone() follows. */
void dp_client_write(struct dp_client *client, struct sb_slice bytes);
/* The same for parts that follow each other, in one system call. */
void dp_client_writev(struct dp_client *client, const struct sb_slice *parts, size_t n);
/* More than DP_CLIENT_OUT_HIGH is unsent; dp_request_on_client_ready() follows
 * once it is below DP_CLIENT_OUT_LOW. */
bool dp_client_is_full(struct dp_client *client);

/* Keeps back what is written from here on; what was written before leaves.  For
 * a client whose message was read whole. */
void dp_client_hold(struct dp_client *client);
/* Lets it leave. */
void dp_client_unhold(struct dp_client *client);

/* The request has written its whole answer and lets go.  keep_alive: as far
 * as the answer is concerned. */
void dp_client_finish(struct dp_client *client, bool keep_alive);
/* The request lets go and the connection ends without a clean end, so that
 * the client knows the answer for broken. */
void dp_client_abort(struct dp_client *client);
/* The same in the middle of a request, which keeps it and hears of it by
 * dp_request_on_client_gone(). */
void dp_client_lose(struct dp_client *client);

/* Whether the answer that is about to be written may keep the connection: the
 * client's own wish, its body was read, no drain. */
bool dp_client_keeps_alive(const struct dp_client *client);
/* Answers may be chunked (HTTP/1.1). */
bool dp_client_takes_chunks(const struct dp_client *client);
/* Came to the worker's own status address. */
bool dp_client_is_status(const struct dp_client *client);
/* The API key that it showed last. */
struct dp_keymemo *dp_client_key(struct dp_client *client);
/* The peer's address. */
const struct sb_address *dp_client_peer(const struct dp_client *client);
/* The same as text; lives as long as the client. */
struct sb_slice dp_client_peer_text(const struct dp_client *client);

/* Ends the request that is in work, if any, in words; then the connection. */
void dp_client_shut_down(struct dp_client *client);
/* --- while the worker drains: every answer is the last of its connection ------ */

/* No new client comes.  One that has not sent anything yet has a moment left. */
void dp_client_drain(struct dp_client *client);
/* A request of it is arriving, in work, or its answer has not left yet. */
bool dp_client_is_busy(const struct dp_client *client);
/* Closes an idle client, unless a request has just come from it. */
void dp_client_close_idle(struct dp_client *client);
/* From a link of worker->clients. */
struct dp_client *dp_client_of(struct sb_list *link);
