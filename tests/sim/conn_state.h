/* tests/sim/conn_state.h - a connection, as its own files see it: conn.c reads
 * and listens to the loop, wire.c has the socket, exchange.c answers.
 *
 * After every call that may end the connection its state is looked at: the
 * memory of a dead one stays until the loop's next turn.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/buf.h"
#include "common/http1.h"
#include "common/list.h"
#include "common/loop.h"
#include "tests/sim/journal.h"
#include "tests/sim/reply.h"

struct sim_server;
struct sim_tls;

enum { SIM_CONN_FIELDS_MAX = 200 };

enum sim_conn_state {
    SIM_CONN_READING,
    SIM_CONN_ANSWERING,
    SIM_CONN_FLUSHING,
    SIM_CONN_WAITING,
    SIM_CONN_DEAD
};

struct sim_conn {
    struct sb_list link;  /* of server->connections */
    struct sb_list queue; /* of server->held or server->waiters */
    struct sim_server *server;
    struct sim_tls *tls; /* NULL: plain */
    struct sb_watch watch;
    struct sb_timer timer; /* next part of the answer, next slow read, end of a wait */
    struct sb_task task;   /* goes on after a long turn */
    struct sb_buf in;      /* the message that is read or answered, and what follows it */
    struct sb_buf body;    /* of a chunked message */
    struct sb_buf out;
    struct sb_http1 parser;
    struct sb_http1_head head;
    struct sb_http1_field fields[SIM_CONN_FIELDS_MAX];
    struct sim_reply reply;    /* while has_reply */
    struct sim_record *record; /* likewise, when it is recorded */
    uint64_t number;           /* of the connection */
    uint64_t served;           /* answers */
    size_t used;               /* bytes of in that the parser took of this message */
    size_t split;              /* most bytes of one write; 0: any */
    int fd;
    enum sim_conn_state state;
    enum sim_step last;  /* how it goes on after SIM_CONN_FLUSHING */
    bool got_head;       /* of the message that is read */
    bool slow;           /* its body is read slowly */
    bool more_behind;    /* the client sent more while it was answered: it waits in the socket */
    bool has_reply;      /* of the provider, not one about /_sim/ */
    bool counts_stream;  /* in open_streams */
    bool counts_hanging; /* in hanging */
    bool counts_held;    /* in held */
};

/* --- wire.c ----------------------------------------------------------------- */

/* SB_OK with at least one byte, SB_EAGAIN, SB_EEOF, SB_ECONNRESET. */
int sim_conn_read(struct sim_conn *conn, char *bytes, size_t n, size_t *ret_n) SB_MUSTCHECK;
/* Writes what there is.  True: all is written.  False: not yet, or dead. */
bool sim_conn_flush(struct sim_conn *conn);
/* Asks the loop for what the state needs. */
void sim_conn_set_interest(struct sim_conn *conn);
/* The exchange is over, one way or another; fine when there is none. */
void sim_conn_end_reply(struct sim_conn *conn, enum sim_outcome outcome);
/* It is held, or waits, no longer. */
void sim_conn_leave_queue(struct sim_conn *conn);
/* Ends it; an exchange that runs was aborted by its client. */
void sim_conn_destroy(struct sim_conn *conn, bool reset);
/* As above; the client left. */
void sim_conn_lose(struct sim_conn *conn);

/* --- exchange.c ------------------------------------------------------------- */

/* The message is complete: answers it, or begins to. */
void sim_exchange_start(struct sim_conn *conn);
/* Makes and writes as much of the answer as can be now. */
void sim_exchange_pump(struct sim_conn *conn);
/* What came is no HTTP, as conn->parser.err says: answers that and closes. */
void sim_exchange_refuse(struct sim_conn *conn);
/* Is the message, of which the head is complete, for /_sim/? */
bool sim_exchange_is_control(const struct sim_conn *conn, struct sb_slice *ret_path);
/* Asks, for the first time or again, what is under /_sim/.  True when it was
 * answered, else there is a time to wait. */
bool sim_exchange_ask(struct sim_conn *conn, sb_msec *ret_timeout);
/* It has waited long enough. */
void sim_exchange_give_up(struct sim_conn *conn);
