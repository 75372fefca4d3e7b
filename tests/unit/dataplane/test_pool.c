/* tests/unit/dataplane/test_pool.c */
#define _GNU_SOURCE /* RTLD_NEXT */

#include "dataplane/upstream/pool.h"

#include "dataplane/upstream/conn.h"
#include "tests/lib/dial_run.h"
#include "tests/lib/random.h"

/* Somebody who wants connections. */
struct taker {
    struct dp_take take;
    struct dp_conn *conn;
    enum msg_outcome outcome;
    unsigned served; /* position among all that were called back; 0: not yet */
    bool drop_at_once;
};

static struct dp_pool *pool;
static unsigned served;

static const struct dp_pool_stats *counts(void)
{
    return dp_pool_stats(pool);
}

static void on_taken(struct dp_take *take, struct dp_conn *conn, enum msg_outcome outcome,
                     const char *text)
{
    struct taker *t = container_of(take, struct taker, take);

    assert_int_equal(outcome == MSG_OUTCOME_SUCCESS, conn != NULL);
    assert_int_equal(outcome == MSG_OUTCOME_SUCCESS, text[0] == '\0');
    assert_false(dp_take_is_waiting(take));
    t->conn = conn;
    t->outcome = outcome;
    t->served = ++served;
    if (t->drop_at_once && conn != NULL)
        dp_pool_drop(pool, &t->conn);
}

static int take(struct taker *t, const struct dp_target *target)
{
    struct dp_conn *conn = NULL;
    int rc;

    t->take.cb = on_taken;
    t->take.connect_timeout = 60000;
    t->served = 0;
    t->conn = NULL;
    rc = dp_pool_take(pool, target, &t->take, &conn);
    assert_int_equal(t->served, 0); /* never from inside */
    assert_int_equal(rc == SB_OK, conn != NULL);
    assert_int_equal(rc == SB_EAGAIN, dp_take_is_waiting(&t->take));
    t->conn = conn;
    return rc;
}

static struct dp_target target_at(struct peer *peer, uint32_t max_connections)
{
    struct dp_target target = target_to("127.0.0.1", peer->port, false);

    target.max_connections = max_connections;
    return target;
}

static void taken(struct run *w, struct taker *t, const struct dp_target *target)
{
    int rc = take(t, target);

    if (rc == SB_EAGAIN) {
        UNTIL(w->loop, t->served > 0);
        assert_int_equal(t->outcome, MSG_OUTCOME_SUCCESS);
        rc = SB_OK;
    }
    assert_int_equal(rc, SB_OK);
}

static void give(struct taker *t)
{
    dp_pool_give(pool, &t->conn);
    assert_null(t->conn);
}

static void turns(struct run *w, int n)
{
    for (int i = 0; i < n; i++)
        sb_loop_turn(w->loop);
}

static int open_pool(void **state)
{
    struct run *w;

    assert_int_equal(set_up(state), 0);
    w = *state;
    served = 0;
    pool = dp_pool_new(w->loop, w->dialer, &dp_pool_conf_default);
    return 0;
}

static void reopen_pool(struct run *w, const struct dp_pool_conf *conf)
{
    dp_pool_destroy(&pool);
    pool = dp_pool_new(w->loop, w->dialer, conf);
}

static int close_pool(void **state)
{
    dp_pool_destroy(&pool);
    return tear_down(state);
}

/* --- reuse -------------------------------------------------------------------- */

static void a_connection_given_back_is_taken_again(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_at(&w->plain, 0);
    struct taker a = {0}, b = {0};
    struct dp_conn *conn;

    taken(w, &a, &target);
    assert_int_equal(counts()->in_use, 1);
    assert_false(dp_conn_is_reused(a.conn));
    conn = a.conn;
    dp_conn_pause(conn); /* as a full client leaves it */
    give(&a);
    assert_int_equal(counts()->idle, 1);
    assert_int_equal(take(&b, &target), SB_OK); /* at once */
    assert_ptr_equal(b.conn, conn);
    assert_true(dp_conn_is_reused(b.conn));
    assert_false(b.conn->paused);
    assert_int_equal(counts()->reused, 1);
    assert_int_equal(counts()->fresh, 1);
    assert_int_equal(counts()->idle, 0);
    assert_int_equal(w->plain.accepted, 1);
    dp_pool_drop(pool, &b.conn);
    assert_null(b.conn);
    assert_int_equal(stats(w)->open_plain, 0);
}

static void the_one_given_back_last_is_taken_first(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_at(&w->plain, 0);
    struct taker t[3] = {{.conn = NULL}};
    struct dp_conn *last;

    for (int i = 0; i < 3; i++)
        taken(w, &t[i], &target);
    last = t[1].conn;
    give(&t[0]);
    give(&t[2]);
    give(&t[1]);
    assert_int_equal(take(&t[0], &target), SB_OK);
    assert_ptr_equal(t[0].conn, last);
    give(&t[0]);
}

static void providers_share_nothing(void **state)
{
    struct run *w = *state;
    struct dp_target a = target_at(&w->plain, 0), b = a;
    struct taker t = {0};

    a.provider = SB_SLICE_LIT("a");
    b.provider = SB_SLICE_LIT("b");
    taken(w, &t, &a);
    give(&t);
    assert_int_equal(take(&t, &b), SB_EAGAIN);
    dp_pool_cancel(pool, &t.take);
}

static void an_idle_connection_that_the_provider_closes_is_noticed(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_at(&w->plain, 0);
    struct taker t = {0};

    taken(w, &t, &target);
    give(&t);
    UNTIL(w->loop, w->plain.accepted == 1);
    peer_close(peer_last(&w->plain));
    UNTIL(w->loop, counts()->idle == 0);
    assert_int_equal(counts()->idle_closed, 1);
    taken(w, &t, &target);
    assert_false(dp_conn_is_reused(t.conn));
    UNTIL(w->loop, w->plain.accepted == 2);
    give(&t);
    peer_reset(peer_last(&w->plain));
    UNTIL(w->loop, counts()->idle == 0);
    assert_int_equal(counts()->idle_closed, 2);
}

static void bytes_that_nobody_asked_for_close_an_idle_connection(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_at(&w->plain, 0);
    struct taker t = {0};

    taken(w, &t, &target);
    give(&t);
    UNTIL(w->loop, w->plain.accepted == 1);
    peer_say(peer_last(&w->plain), "HTTP/1.1 408 too slow\r\n\r\n");
    UNTIL(w->loop, counts()->idle == 0);
    assert_int_equal(counts()->idle_closed, 1);
}

static void tls_tickets_leave_an_idle_connection_alone(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_to("api.test", w->tls.port, true);
    struct taker t = {0};
    size_t n;

    target.ca_file = sb_slice_of(w->ca_file);
    taken(w, &t, &target);
    give(&t); /* before the peer has sent its tickets */
    UNTIL(w->loop, w->tls.accepted == 1 && SSL_is_init_finished(peer_last(&w->tls)->tls));
    turns(w, 20);
    assert_int_equal(counts()->idle, 1);
    assert_int_equal(take(&t, &target), SB_OK);
    assert_int_equal(dp_conn_send(t.conn, SB_SLICE_LIT("hello"), &n), SB_OK);
    UNTIL(w->loop, peer_heard(peer_last(&w->tls), "hello"));
    give(&t);
}

static void what_is_over_or_holds_more_is_not_kept(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_at(&w->plain, 0);
    struct taker t = {0};
    char bytes[6];
    size_t n = 0;

    taken(w, &t, &target);
    UNTIL(w->loop, w->plain.accepted == 1);
    peer_say(peer_last(&w->plain), "answerX");
    while (dp_conn_recv(t.conn, bytes, 6, &n) == SB_EAGAIN)
        sb_loop_wait(w->loop);
    give(&t);
    assert_int_equal(counts()->idle, 0);
    assert_int_equal(counts()->idle_closed, 1);

    taken(w, &t, &target);
    UNTIL(w->loop, w->plain.accepted == 2);
    peer_close(peer_last(&w->plain));
    while (dp_conn_recv(t.conn, bytes, 6, &n) == SB_EAGAIN)
        sb_loop_wait(w->loop);
    assert_int_equal(dp_conn_recv(t.conn, bytes, 6, &n), SB_EEOF);
    give(&t);
    assert_int_equal(counts()->idle, 0);
    assert_int_equal(counts()->idle_closed, 2);
}

/* --- limits of what is kept --------------------------------------------------- */

static void idle_connections_expire(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_at(&w->plain, 0);
    struct taker t[2] = {{.conn = NULL}};

    taken(w, &t[0], &target);
    taken(w, &t[1], &target);
    give(&t[0]);
    sb_loop_skip(w->loop, 40000);
    sb_loop_turn(w->loop);
    give(&t[1]);
    sb_loop_skip(w->loop, 19000);
    sb_loop_turn(w->loop);
    assert_int_equal(counts()->idle, 2);
    sb_loop_skip(w->loop, 1500);
    sb_loop_turn(w->loop);
    assert_int_equal(counts()->idle, 1);
    sb_loop_skip(w->loop, 40000);
    sb_loop_turn(w->loop);
    assert_int_equal(counts()->idle, 0);
    assert_int_equal(counts()->idle_expired, 2);
    assert_int_equal(stats(w)->open_plain, 0);
}

static void old_connections_are_not_used_again(void **state)
{
    struct run *w = *state;
    struct dp_pool_conf conf = dp_pool_conf_default;
    struct dp_target target = target_at(&w->plain, 0);
    struct taker t = {0};

    conf.idle_timeout = 3600 * 1000;
    reopen_pool(w, &conf);
    taken(w, &t, &target);
    sb_loop_skip(w->loop, 590 * 1000);
    sb_loop_turn(w->loop);
    give(&t);
    assert_int_equal(counts()->idle, 1);
    sb_loop_skip(w->loop, 20 * 1000);
    sb_loop_turn(w->loop);
    taken(w, &t, &target); /* too old by now: another one */
    assert_false(dp_conn_is_reused(t.conn));
    sb_loop_skip(w->loop, 601 * 1000);
    sb_loop_turn(w->loop);
    give(&t);
    assert_int_equal(counts()->idle, 0);
    assert_int_equal(counts()->idle_expired, 2);
}

static void no_more_than_the_limits_are_kept_and_the_oldest_goes(void **state)
{
    struct run *w = *state;
    struct dp_pool_conf conf = dp_pool_conf_default;
    struct dp_target a = target_at(&w->plain, 0), b = a;
    struct taker t[5] = {{.conn = NULL}};
    struct dp_conn *conns[5];

    conf.idle_per_target = 2;
    conf.idle_total = 3;
    reopen_pool(w, &conf);
    b.provider = SB_SLICE_LIT("b");
    for (int i = 0; i < 5; i++) {
        taken(w, &t[i], i < 3 ? &a : &b);
        conns[i] = t[i].conn;
    }
    for (int i = 0; i < 5; i++)
        give(&t[i]); /* 0 goes for 2, then 1 for 4 */
    assert_int_equal(counts()->idle, 3);
    assert_int_equal(counts()->idle_expired, 2);
    assert_int_equal(take(&t[0], &a), SB_OK);
    assert_ptr_equal(t[0].conn, conns[2]);
    assert_int_equal(take(&t[1], &a), SB_EAGAIN); /* none is left there */
    dp_pool_cancel(pool, &t[1].take);
    assert_int_equal(take(&t[3], &b), SB_OK);
    assert_ptr_equal(t[3].conn, conns[4]);
    give(&t[0]);
    give(&t[3]);
}

/* --- waiting ------------------------------------------------------------------ */

static void takes_beyond_the_limit_are_served_in_their_order(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_at(&w->plain, 1);
    struct taker t[4] = {{.conn = NULL}};

    taken(w, &t[0], &target);
    for (int i = 1; i < 4; i++)
        assert_int_equal(take(&t[i], &target), SB_EAGAIN);
    assert_int_equal(counts()->waiting, 3);
    assert_int_equal(counts()->queued, 3);
    for (int i = 0; i < 3; i++) {
        give(&t[i]);
        assert_int_equal(t[i + 1].served, 0); /* not from inside */
        UNTIL(w->loop, t[i + 1].served > 0);
        turns(w, 5);
        assert_true(i == 2 || t[i + 2].served == 0);
        assert_true(dp_conn_is_reused(t[i + 1].conn));
    }
    assert_int_equal(t[3].served - t[1].served, 2);
    assert_int_equal(stats(w)->dials, 1);
    give(&t[3]);
}

static void room_that_a_broken_connection_leaves_is_used(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_at(&w->plain, 1);
    struct taker a = {0}, b = {0};

    taken(w, &a, &target);
    assert_int_equal(take(&b, &target), SB_EAGAIN);
    dp_pool_drop(pool, &a.conn);
    UNTIL(w->loop, b.served > 0);
    assert_false(dp_conn_is_reused(b.conn));
    assert_int_equal(stats(w)->dials, 2);
    give(&b);
}

static void what_comes_free_first_serves_and_the_dial_goes_to_the_pool(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_at(&w->plain, 2);
    struct taker a = {0}, b = {0};
    struct dp_conn *conn;

    taken(w, &a, &target);
    conn = a.conn;
    assert_int_equal(take(&b, &target), SB_EAGAIN);
    assert_int_equal(stats(w)->dialling, 1);
    give(&a);
    UNTIL(w->loop, b.served > 0);
    assert_ptr_equal(b.conn, conn);
    UNTIL(w->loop, counts()->idle == 1);
    assert_int_equal(stats(w)->dials, 2);
    assert_int_equal(take(&a, &target), SB_OK); /* never used, but not fresh either */
    assert_true(dp_conn_is_reused(a.conn));
    give(&a);
    give(&b);
}

/* The first dial hangs in its handshake, the second does not. */
static void a_dial_that_overtakes_serves_who_waits_longest(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_to("api.test", w->tls.port, true);
    struct taker a = {0}, b = {0};

    target.ca_file = sb_slice_of(w->ca_file);
    w->tls.deaf = true;
    assert_int_equal(take(&a, &target), SB_EAGAIN);
    UNTIL(w->loop, w->tls.accepted == 1);
    w->tls.deaf = false;
    assert_int_equal(take(&b, &target), SB_EAGAIN);
    UNTIL(w->loop, a.served > 0);
    assert_int_equal(b.served, 0);
    peer_listen(container_of(sb_list_first(&w->tls.conns), struct peer_conn, link));
    UNTIL(w->loop, b.served > 0);
    assert_false(dp_conn_is_reused(a.conn) || dp_conn_is_reused(b.conn));
    assert_int_equal(stats(w)->dials, 2);
    give(&a);
    give(&b);
}

static void and_the_other_gets_the_dial_whatever_becomes_of_it(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_to("api.test", w->tls.port, true);
    struct taker a = {0}, b = {0};

    target.ca_file = sb_slice_of(w->ca_file);
    w->tls.deaf = true;
    assert_int_equal(take(&a, &target), SB_EAGAIN);
    UNTIL(w->loop, w->tls.accepted == 1);
    w->tls.deaf = false;
    assert_int_equal(take(&b, &target), SB_EAGAIN);
    UNTIL(w->loop, a.served > 0);
    peer_reset(container_of(sb_list_first(&w->tls.conns), struct peer_conn, link));
    UNTIL(w->loop, b.served > 0);
    assert_int_equal(b.outcome, MSG_OUTCOME_TLS_FAILED);
    give(&a);
}

static void each_dial_that_fails_is_told_to_one_take(void **state)
{
    struct run *w = *state;
    struct dp_target target;
    struct taker t[3] = {{.conn = NULL}};
    uint16_t port;
    int fd = peer_bind(&port); /* nobody listens */

    target = target_to("127.0.0.1", port, false);
    target.max_connections = 1;
    for (int i = 0; i < 3; i++)
        assert_int_equal(take(&t[i], &target), SB_EAGAIN);
    UNTIL(w->loop, t[2].served > 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(t[i].served, i + 1);
        assert_int_equal(t[i].outcome, MSG_OUTCOME_CONNECT_FAILED);
    }
    assert_int_equal(stats(w)->dials, 3);
    assert_int_equal(counts()->failed, 3);
    assert_int_equal(counts()->waiting, 0);
    (void)close(fd);
}

static void a_take_can_be_cancelled_in_every_state(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_at(&w->plain, 1);
    struct taker a = {0}, b = {0}, c = {0};

    dp_pool_cancel(pool, &a.take); /* waits for nothing */
    assert_int_equal(take(&a, &target), SB_EAGAIN);
    assert_int_equal(take(&b, &target), SB_EAGAIN);
    assert_int_equal(take(&c, &target), SB_EAGAIN);
    assert_false(dp_take_is_queued(&a.take)); /* dialled for */
    assert_true(dp_take_is_queued(&b.take) && dp_take_is_queued(&c.take));
    dp_pool_cancel(pool, &b.take); /* in the queue */
    dp_pool_cancel(pool, &a.take); /* its dial goes to c */
    assert_false(dp_take_is_queued(&b.take) || dp_take_is_queued(&c.take));
    UNTIL(w->loop, c.served > 0);
    assert_int_equal(stats(w)->dials, 1);
    assert_int_equal(take(&a, &target), SB_EAGAIN);
    assert_int_equal(take(&b, &target), SB_EAGAIN);
    give(&c);
    dp_pool_cancel(pool, &a.take); /* it has got one, but was not told */
    UNTIL(w->loop, b.served > 0);
    give(&b);
    dp_pool_drop(pool, (taken(w, &c, &target), &c.conn));
    assert_int_equal(take(&a, &target), SB_EAGAIN);
    dp_pool_cancel(pool, &a.take); /* nobody wants its dial: to the pool */
    UNTIL(w->loop, counts()->idle == 1);
    assert_int_equal(counts()->cancelled, 4);
    assert_int_equal(a.served, 0);
}

static void in_flight_counts_those_that_wait_too(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_at(&w->plain, 1);
    struct taker a = {0}, b = {0}, c = {0};

    target.max_in_flight = 2;
    taken(w, &a, &target);
    assert_int_equal(take(&b, &target), SB_EAGAIN);
    assert_true(dp_take_is_queued(&b.take));
    assert_int_equal(take(&c, &target), SB_ETOOBIG);
    assert_false(dp_take_is_queued(&c.take));
    assert_int_equal(counts()->refused, 1);
    give(&a);
    UNTIL(w->loop, b.served > 0);
    assert_int_equal(take(&c, &target), SB_EAGAIN); /* one has left */
    give(&b);
    UNTIL(w->loop, c.served > 0);
    give(&c);
}

static void who_wants_a_fresh_one_gets_no_other(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_at(&w->plain, 1);
    struct taker a = {0}, b = {.take = {.fresh = true}}, c = {0};

    taken(w, &a, &target);
    give(&a);
    taken(w, &b, &target); /* the idle one makes room, at the limit */
    assert_false(dp_conn_is_reused(b.conn));
    assert_int_equal(counts()->idle_expired, 1);
    give(&b);
    taken(w, &a, &target);
    assert_int_equal(take(&b, &target), SB_EAGAIN); /* waits for room */
    assert_int_equal(take(&c, &target), SB_EAGAIN);
    give(&a); /* passes by the first in the queue */
    UNTIL(w->loop, c.served > 0);
    assert_int_equal(b.served, 0);
    give(&c); /* of no use for b: closed for a new one */
    UNTIL(w->loop, b.served > 0);
    assert_false(dp_conn_is_reused(b.conn));
    give(&b);
}

static void a_callback_may_drop_what_it_gets(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_at(&w->plain, 1);
    struct taker t[3] = {{.conn = NULL}};

    for (int i = 0; i < 3; i++) {
        t[i].drop_at_once = true;
        assert_int_equal(take(&t[i], &target), SB_EAGAIN);
    }
    UNTIL(w->loop, t[2].served > 0);
    assert_int_equal(stats(w)->dials, 3);
    assert_int_equal(stats(w)->open_plain, 0);
}

/* --- changes ------------------------------------------------------------------ */

static void a_target_that_vanishes_keeps_nothing(void **state)
{
    struct run *w = *state;
    struct dp_target stays = target_at(&w->plain, 0), goes = stays;
    struct taker a = {0}, b = {0}, c = {0};

    goes.provider = SB_SLICE_LIT("goes");
    taken(w, &a, &goes);
    taken(w, &b, &goes);
    taken(w, &c, &stays);
    give(&a);
    give(&c);
    dp_pool_retain(pool, &stays, 1);
    assert_int_equal(counts()->idle, 1); /* the one that stays */
    give(&b);                            /* was in use: closed now */
    assert_int_equal(counts()->idle, 1);
    taken(w, &a, &goes); /* by a request with an older snapshot */
    give(&a);
    dp_pool_retain(pool, NULL, 0);
    assert_int_equal(counts()->idle, 0);
    assert_int_equal(stats(w)->open_plain, 0);
}

static void a_target_that_comes_back_is_kept_again(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_at(&w->plain, 0);
    struct taker a = {0};

    taken(w, &a, &target);
    dp_pool_retain(pool, NULL, 0);
    dp_pool_retain(pool, &target, 1);
    give(&a);
    assert_int_equal(counts()->idle, 1);
}

static void a_limit_that_grows_lets_those_in_that_wait(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_at(&w->plain, 1);
    struct taker a = {0}, b = {0}, c = {0};

    taken(w, &a, &target);
    assert_int_equal(take(&b, &target), SB_EAGAIN);
    assert_int_equal(stats(w)->dialling, 0);
    target.max_connections = 2;
    target.max_in_flight = 2;
    dp_pool_retain(pool, &target, 1);
    UNTIL(w->loop, b.served > 0);
    assert_int_equal(take(&c, &target), SB_ETOOBIG);
    give(&a);
    give(&b);
}

static void draining_keeps_nothing_but_serves_on(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_at(&w->plain, 1);
    struct taker a = {0}, b = {0};

    taken(w, &a, &target);
    give(&a);
    dp_pool_drain(pool);
    assert_int_equal(counts()->idle, 0);
    taken(w, &a, &target);
    assert_int_equal(take(&b, &target), SB_EAGAIN);
    give(&a);
    UNTIL(w->loop, b.served > 0);
    give(&b);
    assert_int_equal(counts()->idle, 0);
    assert_int_equal(stats(w)->open_plain, 0);
}

static void a_pool_goes_with_dials_that_nobody_waits_for(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_at(&w->plain, 0);
    struct taker a = {0};

    assert_int_equal(take(&a, &target), SB_EAGAIN);
    dp_pool_cancel(pool, &a.take);
    assert_int_equal(stats(w)->dialling, 1);
    reopen_pool(w, &dp_pool_conf_default);
    assert_int_equal(stats(w)->dialling, 0);
}

/* --- everything at once -------------------------------------------------------- */

enum { TAKERS = 40, LIMIT = 5 };

static void check(struct run *w, const struct taker *t)
{
    int64_t waiting = 0, holding = 0;

    for (int i = 0; i < TAKERS; i++) {
        waiting += dp_take_is_waiting(&t[i].take);
        holding += t[i].conn != NULL;
        assert_false(dp_take_is_waiting(&t[i].take) && t[i].conn != NULL);
    }
    assert_int_equal(counts()->waiting, waiting);
    assert_int_equal(counts()->in_use, holding);
    assert_in_range(stats(w)->open_plain + stats(w)->dialling, holding + counts()->idle, 3 * LIMIT);
    assert_int_equal(counts()->takes, counts()->reused + counts()->fresh + counts()->failed +
                                          counts()->cancelled + counts()->refused +
                                          (uint64_t)waiting);
}

static void act(struct run *w, struct taker *t, const struct dp_target *target, unsigned dice)
{
    if (dp_take_is_waiting(&t->take)) {
        if (dice % 8 == 0)
            dp_pool_cancel(pool, &t->take);
    } else if (t->conn != NULL) {
        if (dice % 4 == 0)
            dp_pool_drop(pool, &t->conn);
        else
            give(t);
    } else if (dice % 16 == 0) {
        sb_loop_skip(w->loop, dice % 3 * 10000);
    } else if (dice % 16 == 1 && w->plain.open > 0) {
        peer_close(peer_last(&w->plain));
    } else {
        t->take.fresh = dice % 16 == 2;
        t->drop_at_once = dice % 16 == 3;
        if (take(t, target) == SB_OK && t->drop_at_once)
            dp_pool_drop(pool, &t->conn);
    }
}

static void a_random_life_keeps_the_books(void **state)
{
    struct run *w = *state;
    struct dp_target targets[3];
    struct taker t[TAKERS] = {{.conn = NULL}};
    uint64_t seed = 20260301;
    uint16_t port;
    int fd = peer_bind(&port);

    for (int i = 0; i < 3; i++) {
        static const char *const names[] = {"a", "b", "c"};

        targets[i] = target_at(&w->plain, LIMIT);
        targets[i].provider = sb_slice_of(names[i]);
        targets[i].max_in_flight = 12;
    }
    targets[2].port = port; /* refuses */
    for (int step = 0; step < 20000; step++) {
        unsigned dice = (unsigned)(random_next(&seed) >> 33);

        act(w, &t[dice % TAKERS], &targets[dice / TAKERS % 3], dice >> 13);
        if (dice % 5 == 0)
            sb_loop_turn(w->loop);
        if (dice % 501 == 0)
            dp_pool_retain(pool, targets, dice % 4);
        check(w, t);
    }
    assert_true(counts()->reused > 100 && counts()->fresh > 100 && counts()->failed > 100);
    assert_true(counts()->cancelled > 100 && counts()->refused > 100);
    for (int i = 0; i < TAKERS; i++) {
        dp_pool_cancel(pool, &t[i].take);
        if (t[i].conn != NULL)
            give(&t[i]);
    }
    dp_pool_drain(pool);
    UNTIL(w->loop, stats(w)->dialling == 0);
    assert_int_equal(stats(w)->open_plain, 0);
    while (w->plain.open > 0 || w->plain.accepted < counts()->fresh) {
        if (w->plain.open > 0)
            peer_close(peer_last(&w->plain));
        sb_loop_turn(w->loop);
    }
    turns(w, 3);
    (void)close(fd);
    assert_int_equal(count_fds(), w->fds);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_pool, close_pool)
    const struct CMUnitTest tests[] = {
        T(a_connection_given_back_is_taken_again),
        T(the_one_given_back_last_is_taken_first),
        T(providers_share_nothing),
        T(an_idle_connection_that_the_provider_closes_is_noticed),
        T(bytes_that_nobody_asked_for_close_an_idle_connection),
        T(tls_tickets_leave_an_idle_connection_alone),
        T(what_is_over_or_holds_more_is_not_kept),
        T(idle_connections_expire),
        T(old_connections_are_not_used_again),
        T(no_more_than_the_limits_are_kept_and_the_oldest_goes),
        T(takes_beyond_the_limit_are_served_in_their_order),
        T(room_that_a_broken_connection_leaves_is_used),
        T(what_comes_free_first_serves_and_the_dial_goes_to_the_pool),
        T(a_dial_that_overtakes_serves_who_waits_longest),
        T(and_the_other_gets_the_dial_whatever_becomes_of_it),
        T(each_dial_that_fails_is_told_to_one_take),
        T(a_take_can_be_cancelled_in_every_state),
        T(in_flight_counts_those_that_wait_too),
        T(who_wants_a_fresh_one_gets_no_other),
        T(a_callback_may_drop_what_it_gets),
        T(a_target_that_vanishes_keeps_nothing),
        T(a_target_that_comes_back_is_kept_again),
        T(a_limit_that_grows_lets_those_in_that_wait),
        T(draining_keeps_nothing_but_serves_on),
        T(a_pool_goes_with_dials_that_nobody_waits_for),
        T(a_random_life_keeps_the_books),
    };

    return cmocka_run_group_tests(tests, run_begin, NULL);
}
