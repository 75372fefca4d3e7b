/* dataplane/tail.c */
#include "dataplane/tail.h"

#include "common/err.h"
#include "common/http1.h"
#include "common/loop.h"
#include "common/mem.h"
#include "dataplane/upstream/pool.h"
#include "dataplane/worker.h"

enum {
    TAIL_MSEC = 1000,
    TAIL_MAX = 64 * 1024, /* bytes after the end mark: more is another stream */
};

struct tail {
    struct dp_worker *worker;
    struct dp_conn *conn;
    struct sb_http1 parser;
    struct sb_http1_head head; /* not used any more, but the parser wants one */
    struct sb_timer limit;
    struct sb_list link; /* worker->tails */
    size_t got;
};

static void end(struct tail *tail, bool clean)
{
    if (clean)
        dp_pool_give(tail->worker->pool, &tail->conn);
    else
        dp_pool_drop(tail->worker->pool, &tail->conn);
    sb_timer_release(&tail->limit);
    sb_list_remove(&tail->link);
    sb_mem_free(tail);
}

static void on_limit(struct sb_timer *timer)
{
    end(container_of(timer, struct tail, limit), false);
}

/* 1: the message is over, 0: more is needed, -1: not fit for reuse. */
static int feed(struct tail *tail, struct sb_slice input)
{
    struct sb_http1_step step;

    while (input.n > 0) {
        if (sb_http1_execute(&tail->parser, &tail->head, input, &step) != SB_OK)
            return -1;
        input = sb_slice_from(input, step.used);
        if (step.got & SB_HTTP1_GOT_DONE)
            return input.n == 0 ? 1 : -1;
    }
    return 0;
}

static void on_event(struct dp_conn *conn, unsigned events)
{
    struct tail *tail = dp_conn_ctx(conn);
    size_t n = 0;
    int rc;

    if ((events & DP_CONN_READ) == 0)
        return;
    rc = dp_conn_recv(conn, tail->worker->scratch, DP_SCRATCH_BYTES, &n);
    if (rc == SB_EAGAIN)
        return;
    tail->got += n;
    rc = rc == SB_OK && tail->got <= TAIL_MAX ? feed(tail, sb_slice_make(tail->worker->scratch, n))
                                              : -1;
    if (rc != 0)
        end(tail, rc > 0);
}

void dp_tail_read(struct dp_worker *worker, struct dp_conn **conn, const struct sb_http1 *parser)
{
    struct tail *tail = sb_mem_new(sizeof(*tail));

    tail->worker = worker;
    tail->conn = *conn;
    *conn = NULL;
    tail->parser = *parser;
    sb_list_init(&tail->link);
    sb_list_add_tail(&worker->tails, &tail->link);
    sb_timer_init(&tail->limit, worker->loop, on_limit);
    sb_timer_set(&tail->limit, sb_loop_now(worker->loop) + TAIL_MSEC);
    dp_conn_hold(tail->conn, on_event, tail);
}

void dp_tail_end(struct dp_worker *worker)
{
    struct sb_list *link;

    while ((link = sb_list_first(&worker->tails)) != NULL)
        end(container_of(link, struct tail, link), false);
}
