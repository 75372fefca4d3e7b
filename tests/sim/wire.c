/* tests/sim/wire.c - the socket of a connection, and its end */
#include "tests/sim/conn_state.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/check.h"
#include "common/err.h"
#include "common/mem.h"
#include "tests/sim/server.h"
#include "tests/sim/tls.h"

int sim_conn_read(struct sim_conn *conn, char *bytes, size_t n, size_t *ret_n)
{
    ssize_t got;

    if (conn->tls != NULL)
        return sim_tls_read(conn->tls, bytes, n, ret_n);
    do
        got = recv(conn->fd, bytes, n, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? SB_EAGAIN : SB_ECONNRESET;
    *ret_n = (size_t)got;
    return got > 0 ? SB_OK : SB_EEOF;
}

static int write_bytes(struct sim_conn *conn, const char *bytes, size_t n, size_t *ret_n)
{
    ssize_t put;

    if (conn->tls != NULL)
        return sim_tls_write(conn->tls, bytes, n, ret_n);
    do
        put = send(conn->fd, bytes, n, MSG_NOSIGNAL);
    while (put < 0 && errno == EINTR);
    if (put < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? SB_EAGAIN : SB_ECONNRESET;
    *ret_n = (size_t)put;
    return SB_OK;
}

void sim_conn_set_interest(struct sim_conn *conn)
{
    unsigned interest = SB_WATCH_READ;

    if (conn->state == SIM_CONN_READING ? conn->slow : conn->more_behind)
        interest = SB_WATCH_HANGUP;
    /* While a task or the split goes on, it is not the socket we wait for. */
    if ((sb_buf_len(&conn->out) > 0 && !sb_list_is_linked(&conn->task.link)) ||
        (conn->tls != NULL && sim_tls_wants_write(conn->tls)))
        interest |= SB_WATCH_WRITE;
    sb_watch_set(&conn->watch, interest);
}

static void on_closed(struct sb_watch *watch)
{
    struct sim_conn *conn = container_of(watch, struct sim_conn, watch);

    sb_buf_release(&conn->in);
    sb_buf_release(&conn->body);
    sb_buf_release(&conn->out);
    sb_mem_free(conn);
}

void sim_conn_leave_queue(struct sim_conn *conn)
{
    struct sim_counters *count = &conn->server->journal.count;

    sb_list_remove(&conn->queue);
    if (conn->counts_held)
        count->held--;
    conn->counts_held = false;
}

/* The exchange is over, one way or another. */
void sim_conn_end_reply(struct sim_conn *conn, enum sim_outcome outcome)
{
    struct sim_counters *count = &conn->server->journal.count;

    if (!conn->has_reply)
        return;
    conn->has_reply = false;
    sim_conn_leave_queue(conn);
    count->open_requests--;
    count->open_streams -= conn->counts_stream;
    count->hanging -= conn->counts_hanging;
    count->answered += outcome == SIM_OUTCOME_ANSWERED;
    count->failed += outcome == SIM_OUTCOME_FAILED;
    count->aborted += outcome == SIM_OUTCOME_ABORTED;
    count->streams_aborted += outcome == SIM_OUTCOME_ABORTED && conn->counts_stream;
    conn->counts_stream = conn->counts_hanging = false;
    if (conn->record != NULL) {
        conn->record->outcome = outcome;
        conn->record->status = conn->reply.status;
        conn->record->events = conn->reply.events;
    }
    sim_journal_leave(&conn->record);
    sim_reply_end(&conn->reply);
}

void sim_conn_destroy(struct sim_conn *conn, bool reset)
{
    SB_BUG_ON(conn->state == SIM_CONN_DEAD);
    sim_conn_end_reply(conn, SIM_OUTCOME_ABORTED);
    sim_conn_leave_queue(conn);
    conn->state = SIM_CONN_DEAD;
    conn->server->journal.count.open_connections--;
    sb_list_remove(&conn->link);
    sb_timer_release(&conn->timer);
    sb_task_cancel(&conn->task);
    if (conn->tls != NULL && !reset)
        sim_tls_shutdown(conn->tls);
    sim_tls_destroy(&conn->tls);
    if (reset)
        (void)setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
                         sizeof(struct linger));
    sb_watch_close(&conn->watch, on_closed);
    (void)close(conn->fd);
}

/* The client left. */
void sim_conn_lose(struct sim_conn *conn)
{
    if (conn->state == SIM_CONN_READING && sb_buf_len(&conn->in) > 0)
        conn->server->journal.count.truncated++;
    sim_conn_destroy(conn, false);
}

/* Writes what there is.  True: all is written.  False: not yet, or dead. */
bool sim_conn_flush(struct sim_conn *conn)
{
    while (sb_buf_len(&conn->out) > 0) {
        struct sb_slice bytes = sb_buf_slice(&conn->out);
        size_t n = conn->split > 0 && conn->split < bytes.n ? conn->split : bytes.n;
        size_t put;
        int rc = write_bytes(conn, bytes.p, n, &put);

        if (rc == SB_EAGAIN)
            return false;
        if (rc != SB_OK) {
            sim_conn_lose(conn);
            return false;
        }
        sb_buf_consume(&conn->out, put);
        if (conn->split > 0 && sb_buf_len(&conn->out) > 0) {
            sb_task_soon(&conn->task);
            return false;
        }
    }
    return true;
}
