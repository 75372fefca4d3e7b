/* dataplane/tail.h - reads the end of an answer whose content is complete.
 *
 * A stream is over for the client at its end mark; the provider's last chunk
 * often comes in a packet of its own.  Reading it makes the connection fit for
 * the next request. */
#pragma once

struct dp_conn;
struct dp_worker;
struct sb_http1;

/* Takes the connection; copies the parser, which is inside a body.  Gives the
 * connection to the pool when the message ends soon, else drops it. */
void dp_tail_read(struct dp_worker *worker, struct dp_conn **conn, const struct sb_http1 *parser);
/* Drops all that are being read: the worker ends. */
void dp_tail_end(struct dp_worker *worker);
