/* dataplane/listener.h - accepts clients on one address.
 *
 * Sockets are bound by the supervisor, one per worker slot with SO_REUSEPORT,
 * so that a worker that dies takes no accept queue with it.
 */
#pragma once

#include <stdbool.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/loop.h"

struct dp_listener;

/* Binds and listens; non-blocking.  address: HOST:PORT or [HOST]:PORT; host may
 * be a name, or "*" for all.  Gives the descriptor.  Errors: SB_EINVAL (the
 * address), SB_EADDRINUSE, SB_EACCES, SB_EIO. */
int dp_listen(const char *address, unsigned port_offset, bool reuse_port, int *ret_fd,
              struct sb_errmsg *err) SB_MUSTCHECK;

typedef void dp_accept_cb(void *ctx, int fd);

/* Takes fd.  Accepts nothing before dp_listener_open(), then a bounded number
 * per turn; cb takes each descriptor. */
int dp_listener_new(struct sb_loop *loop, int fd, dp_accept_cb *cb, void *ctx,
                    struct dp_listener **ret_listener) SB_MUSTCHECK;
/* Accepts from now on; until then clients wait in the kernel's queue.  Once
 * more does nothing. */
void dp_listener_open(struct dp_listener *listener);
/* Accepts all that waits in the queue, and then no more: who waits was told by
 * the kernel that he is connected. */
void dp_listener_finish(struct dp_listener **listener);
/* Accepts no more; what waits in the queue is another's, or refused. */
void dp_listener_close(struct dp_listener **listener);
