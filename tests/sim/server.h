/* tests/sim/server.h - the provider on the wire: one loop, one listener.
 *
 *      server_start -> (the loop runs) -> server_stop -> (a few turns) -> release
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/list.h"
#include "common/loop.h"
#include "tests/sim/journal.h"
#include "tests/sim/world.h"

struct sim_tls_context;

struct sim_server {
    struct sb_loop *loop;        /* borrowed */
    struct sim_world *world;     /* borrowed */
    struct sim_tls_context *tls; /* borrowed; NULL: plain */
    struct sim_journal journal;
    struct sb_list connections;
    struct sb_list held;    /* connections whose reply waits for a release */
    struct sb_list waiters; /* connections that asked GET /_sim/wait */
    struct sb_watch listener;
    struct sb_timer accept_again; /* after we ran out of descriptors */
    struct sb_hook end_of_turn;
    const char *address; /* borrowed */
    int fd;              /* of the listener */
};

struct sim_server_options {
    const char *address;         /* IPv4; borrowed for the server's life */
    int port;                    /* 0: any */
    uint32_t records;            /* requests that are kept to be shown */
    struct sim_tls_context *tls; /* borrowed for the server's life; NULL: plain */
};

int sim_server_start(struct sim_server *server, struct sb_loop *loop, struct sim_world *world,
                     const struct sim_server_options *options, struct sb_errmsg *err) SB_MUSTCHECK;
/* The port that it listens on. */
int sim_server_port(const struct sim_server *server);
/* Closes everything; all is gone after the loop has delivered its callbacks. */
void sim_server_stop(struct sim_server *server);
/* After the loop is done with it. */
void sim_server_release(struct sim_server *server);
