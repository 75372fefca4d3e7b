/* tests/sim/conn.h - one client's connection.
 *
 *      READING -> ANSWERING -> FLUSHING -> READING (keep-alive) | dead
 *           \---> WAITING (GET /_sim/wait) --^
 *
 * A connection ends itself: when its client leaves, when its answer says so, or
 * by sim_conn_destroy().  Its memory goes with the loop's close callback.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"

struct sim_server;
struct sim_conn;

/* Takes fd, a connected socket that does not block. */
void sim_conn_start(struct sim_server *server, int fd);
/* Closes the connections (of server->connections), those only that are between
 * two requests if idle_only, with a reset if asked for.  Spares `except`, which
 * may be NULL.  Returns how many. */
uint64_t sim_conn_close_all(struct sim_server *server, bool idle_only, bool reset,
                            const struct sim_conn *except);
/* Lets up to max held replies go on, the longest held first.  Returns how many. */
uint64_t sim_conn_release_held(struct sim_server *server, uint64_t max);
/* Looks again at who waits for a condition. */
void sim_conn_check_waiters(struct sim_server *server);
