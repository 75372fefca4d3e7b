/* dataplane/supervisor.h - keeps N workers running on one address.
 *
 * Binds one SO_REUSEPORT socket per slot and hands each worker its descriptor,
 * so that a worker that dies loses no connection that waits to be accepted: its
 * successor inherits the queue.  Restarts what dies, at once at first, later
 * with a growing pause; passes SIGHUP on.  SIGTERM or SIGINT has the workers
 * drain, a second one has them end at once.
 */
#pragma once

#include <signal.h>

struct dp_conf;

/* argv is that of this process; workers are started from the same program
 * with --slot added.  Returns the exit status. */
int dp_supervise(const struct dp_conf *conf, int argc, char **argv);

/* To a worker that drains: no more patience. */
#define DP_HURRY_SIGNAL SIGUSR1

/* Descriptors that a supervisor hands down. */
enum { DP_LISTEN_FD = 3, DP_STATUS_FD = 4 };
