/* tests/unit/dataplane/test_conn.c - bytes and events of open connections;
 * how they are opened is in test_dial.c. */
#define _GNU_SOURCE /* RTLD_NEXT */

#include "dataplane/upstream/conn.h"

#include "tests/lib/dial_run.h"

/* Both kinds of connection keep the same promises. */
static struct peer *peer_of(struct run *w, int tls)
{
    return tls ? &w->tls : &w->plain;
}

static char *pattern(size_t n)
{
    char *bytes = sb_mem_new(n + 1);
    uint32_t x = 2463534242u;

    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        bytes[i] = (char)(1 + x % 255); /* no NUL */
    }
    return bytes;
}

/* --- sending ------------------------------------------------------------------ */

static void head_and_body_leave_in_one_write(void **state)
{
    struct run *w = *state;

    for (int tls = 0; tls < 2; tls++) {
        const struct sb_slice parts[] = {SB_SLICE_NONE, SB_SLICE_LIT("head "), SB_SLICE_LIT(""),
                                         SB_SLICE_LIT("body "), SB_SLICE_LIT("tail")};
        struct peer_conn *pc;
        struct user u;
        size_t n = 0;

        connect_to(w, &u, peer_of(w, tls));
        assert_int_equal(dp_conn_sendv(u.conn, parts, SB_ARRAY_LEN(parts), &n), SB_OK);
        assert_int_equal(n, 14);
        pc = peer_last(peer_of(w, tls));
        UNTIL(w->loop, peer_heard(pc, "head body tail"));
        assert_int_equal(pc->largest, 14); /* one segment, or one record */
        assert_int_equal(u.writes, 0);
        hang_up(&u);
    }
}

static void more_parts_than_a_system_call_takes_all_arrive(void **state)
{
    struct run *w = *state;

    for (int tls = 0; tls < 2; tls++) {
        struct sb_slice parts[100];
        char *bytes = pattern(100 * 700);
        size_t sent = 0;
        struct user u;

        connect_to(w, &u, peer_of(w, tls));
        for (size_t i = 0; i < 100; i++)
            parts[i] = sb_slice_make(bytes + i * 700, 700);
        for (size_t at = 0; at < 100;) {
            size_t n = 0;
            int rc = dp_conn_sendv(u.conn, parts + at, 100 - at, &n);

            if (rc == SB_EAGAIN) {
                sb_loop_wait(w->loop);
                continue;
            }
            assert_int_equal(rc, SB_OK);
            sent += n;
            while (at < 100 && n >= parts[at].n)
                n -= parts[at++].n;
            if (n > 0)
                parts[at] = sb_slice_from(parts[at], n);
        }
        assert_int_equal(sent, 70000);
        UNTIL(w->loop, peer_heard(peer_last(peer_of(w, tls)), bytes));
        sb_mem_free(bytes);
        hang_up(&u);
    }
}

/* Each send offers what is left from another address, and the peer does not
 * read before the socket is full. */
static void a_big_body_waits_for_the_peer_and_arrives_whole(void **state)
{
    struct run *w = *state;

    for (int tls = 0; tls < 2; tls++) {
        struct peer *peer = peer_of(w, tls);
        size_t total = 24000001, before;
        char *bytes = pattern(total);
        struct user u;

        connect_to(w, &u, peer);
        u.to_send = sb_slice_make(bytes, total);
        send_rest(&u);
        UNTIL(w->loop, sb_buf_len(&peer_last(peer)->in) > 0 || u.to_send.n < total);
        sb_watch_set(&peer_last(peer)->watch, 0); /* stops reading */
        do {
            before = u.to_send.n;
            for (int i = 0; i < 50; i++)
                sb_loop_turn(w->loop);
        } while (u.to_send.n < before);
        assert_true(u.to_send.n > 0); /* full */
        assert_int_equal(u.conn->watch.interest, SB_WATCH_READ | SB_WATCH_WRITE);
        sb_watch_set(&peer_last(peer)->watch, SB_WATCH_READ);
        UNTIL(w->loop, sb_buf_len(&peer_last(peer)->in) == total);
        assert_true(peer_heard(peer_last(peer), bytes));
        assert_true(u.writes > 0);
        assert_int_equal(dp_conn_sent(u.conn), total);
        assert_int_equal(u.conn->watch.interest, SB_WATCH_READ); /* given up again */
        sb_mem_free(bytes);
        hang_up(&u);
    }
}

static void a_record_that_waits_is_offered_again_from_other_parts(void **state)
{
    struct run *w = *state;
    struct peer *peer = &w->tls;
    const size_t total = 24000000;
    char *bytes = pattern(total);
    unsigned shape = 0;
    size_t at = 0;
    struct user u;

    connect_to(w, &u, peer);
    sb_watch_set(&peer_last(peer)->watch, 0);
    while (at < total) {
        /* never less than was offered before: all that is left */
        size_t left = total - at, cut = (shape++ * 7919) % 40000;
        struct sb_slice parts[3];
        size_t n = 0;
        int rc;

        cut = cut < left ? cut : left;
        parts[0] = sb_slice_make(bytes + at, cut / 3);
        parts[1] = sb_slice_make(bytes + at + cut / 3, cut - cut / 3);
        parts[2] = sb_slice_make(bytes + at + cut, left - cut);
        rc = dp_conn_sendv(u.conn, parts, 3, &n);
        if (rc == SB_EAGAIN) {
            sb_watch_set(&peer_last(peer)->watch, SB_WATCH_READ);
            for (int i = 0; i < 10; i++)
                sb_loop_turn(w->loop);
            sb_watch_set(&peer_last(peer)->watch, 0);
            continue;
        }
        assert_int_equal(rc, SB_OK);
        at += n;
    }
    assert_true(shape > 20);
    sb_watch_set(&peer_last(peer)->watch, SB_WATCH_READ);
    UNTIL(w->loop, sb_buf_len(&peer_last(peer)->in) == total);
    assert_true(peer_heard(peer_last(peer), bytes));
    sb_mem_free(bytes);
    hang_up(&u);
}

/* --- receiving ---------------------------------------------------------------- */

static void a_reader_that_stops_early_is_called_again(void **state)
{
    struct run *w = *state;

    for (int tls = 0; tls < 2; tls++) {
        struct user u;
        char *bytes = pattern(3000);

        connect_to(w, &u, peer_of(w, tls));
        u.step = 7;
        u.rounds = 1; /* 7 bytes per event, the rest is left behind */
        send_text(&u, "go");
        UNTIL(w->loop, peer_heard(peer_last(peer_of(w, tls)), "go"));
        peer_say(peer_last(peer_of(w, tls)), bytes); /* one segment, one record */
        UNTIL(w->loop, sb_buf_len(&u.in) == 3000);
        assert_true(has_got(&u, bytes));
        assert_in_range(u.reads, 429, 435);
        sb_mem_free(bytes);
        hang_up(&u);
    }
}

static void a_reader_that_goes_on_needs_one_event(void **state)
{
    struct run *w = *state;

    for (int tls = 0; tls < 2; tls++) {
        struct user u;
        char *bytes = pattern(3000);

        connect_to(w, &u, peer_of(w, tls));
        send_text(&u, "go");
        UNTIL(w->loop, peer_heard(peer_last(peer_of(w, tls)), "go"));
        for (int i = 0; i < 10; i++)
            sb_loop_turn(w->loop); /* tickets are another event */
        u.step = 7;
        u.reads = 0;
        peer_say(peer_last(peer_of(w, tls)), bytes);
        UNTIL(w->loop, sb_buf_len(&u.in) == 3000);
        assert_int_equal(u.reads, 1);
        sb_mem_free(bytes);
        hang_up(&u);
    }
}

static void a_paused_connection_is_silent_and_slows_the_peer_down(void **state)
{
    struct run *w = *state;

    for (int tls = 0; tls < 2; tls++) {
        struct peer *peer = peer_of(w, tls);
        size_t total = 0;
        char *bytes = pattern(60000);
        struct user u;
        ssize_t n;

        connect_to(w, &u, peer);
        send_text(&u, "go");
        UNTIL(w->loop, peer_heard(peer_last(peer), "go"));
        dp_conn_pause(u.conn);
        assert_int_equal(u.conn->watch.interest, SB_WATCH_READ); /* costs nothing yet */
        do {
            n = peer->io->send(peer_last(peer), bytes, 60000);
            total += n > 0 ? (size_t)n : 0;
            sb_loop_turn(w->loop);
        } while (n > 0);
        assert_int_equal(n, -1); /* the peer must wait */
        assert_int_equal(u.reads, 0);
        assert_int_equal(u.conn->watch.interest, 0); /* the loop does not spin */
        dp_conn_resume(u.conn);
        UNTIL(w->loop, sb_buf_len(&u.in) == total);
        assert_true(u.reads > 0);
        dp_conn_pause(u.conn); /* and off and on without anything between */
        dp_conn_resume(u.conn);
        assert_int_equal(u.conn->watch.interest, SB_WATCH_READ);
        sb_mem_free(bytes);
        hang_up(&u);
    }
}

/* Bytes that OpenSSL has taken from the socket are not seen by the poll. */
static void what_tls_holds_comes_after_a_pause(void **state)
{
    struct run *w = *state;
    char *bytes = pattern(5000);
    struct user u;
    unsigned reads;

    connect_to(w, &u, &w->tls);
    send_text(&u, "go");
    UNTIL(w->loop, peer_heard(peer_last(&w->tls), "go"));
    u.step = 10;
    u.rounds = 1;
    peer_say(peer_last(&w->tls), bytes);
    UNTIL(w->loop, sb_buf_len(&u.in) > 0); /* tickets are events without bytes */
    assert_true(sb_buf_len(&u.in) < 5000);
    dp_conn_pause(u.conn);
    reads = u.reads;
    for (int i = 0; i < 10; i++)
        sb_loop_turn(w->loop);
    assert_int_equal(u.reads, reads);
    u.step = 65536;
    u.rounds = 0;
    dp_conn_resume(u.conn);
    UNTIL(w->loop, sb_buf_len(&u.in) == 5000);
    assert_true(has_got(&u, bytes));
    sb_mem_free(bytes);
    hang_up(&u);
}

static void the_end_is_told_once_and_stays(void **state)
{
    struct run *w = *state;

    for (int tls = 0; tls < 2; tls++) {
        struct user u;
        char byte;
        size_t n = 0;

        connect_to(w, &u, peer_of(w, tls));
        send_text(&u, "go");
        UNTIL(w->loop, peer_heard(peer_last(peer_of(w, tls)), "go"));
        peer_say(peer_last(peer_of(w, tls)), "last words");
        peer_close(peer_last(peer_of(w, tls)));
        UNTIL(w->loop, u.end != SB_OK);
        assert_int_equal(u.end, SB_EEOF);
        assert_true(has_got(&u, "last words"));
        u.reads = 0;
        for (int i = 0; i < 10; i++)
            sb_loop_turn(w->loop);
        assert_int_equal(u.reads, 0);
        assert_int_equal(u.conn->watch.interest, 0); /* nor does the loop spin */
        assert_int_equal(dp_conn_recv(u.conn, &byte, 1, &n), SB_EEOF);
        hang_up(&u);
    }
}

/* Which of the two is up to libcurl and OpenSSL: only framing can tell a whole
 * answer from one that was cut. */
static void an_end_without_a_tls_goodbye_is_an_end(void **state)
{
    struct run *w = *state;
    struct user u;

    connect_to(w, &u, &w->tls);
    send_text(&u, "go");
    UNTIL(w->loop, peer_heard(peer_last(&w->tls), "go"));
    peer_say(peer_last(&w->tls), "last words");
    peer_drop(peer_last(&w->tls), false);
    UNTIL(w->loop, u.end != SB_OK);
    assert_true(u.end == SB_EEOF || u.end == SB_ECONNRESET);
    assert_true(has_got(&u, "last words"));
    hang_up(&u);
}

static void an_answer_before_a_reset_can_still_be_read(void **state)
{
    struct run *w = *state;

    for (int tls = 0; tls < 2; tls++) {
        struct user u;

        connect_to(w, &u, peer_of(w, tls));
        send_text(&u, "go");
        UNTIL(w->loop, peer_heard(peer_last(peer_of(w, tls)), "go"));
        peer_say(peer_last(peer_of(w, tls)), "wait"); /* takes the tickets out of the way: */
        UNTIL(w->loop, has_got(&u, "wait"));
        sb_buf_reset(&u.in);
        u.step = 3;
        u.rounds = 1;
        peer_say(peer_last(peer_of(w, tls)), "an answer"); /* one segment outlives a reset */
        peer_reset(peer_last(peer_of(w, tls)));
        UNTIL(w->loop, u.end != SB_OK);
        assert_int_equal(u.end, SB_ECONNRESET);
        assert_true(has_got(&u, "an answer"));
        hang_up(&u);
    }
}

static void a_reset_during_a_pause_is_told_after_it(void **state)
{
    struct run *w = *state;

    for (int tls = 0; tls < 2; tls++) {
        struct user u;

        connect_to(w, &u, peer_of(w, tls));
        send_text(&u, "go");
        UNTIL(w->loop, peer_heard(peer_last(peer_of(w, tls)), "go"));
        dp_conn_pause(u.conn);
        peer_reset(peer_last(peer_of(w, tls)));
        for (int i = 0; i < 10; i++)
            sb_loop_turn(w->loop);
        assert_int_equal(u.reads, 0);
        dp_conn_resume(u.conn);
        UNTIL(w->loop, u.end != SB_OK);
        assert_int_equal(u.end, SB_ECONNRESET);
        hang_up(&u);
    }
}

static void sending_to_a_peer_that_left_breaks_the_connection(void **state)
{
    struct run *w = *state;

    for (int tls = 0; tls < 2; tls++) {
        struct user u;
        size_t n = 0;
        int rc;

        connect_to(w, &u, peer_of(w, tls));
        send_text(&u, "go");
        UNTIL(w->loop, peer_heard(peer_last(peer_of(w, tls)), "go"));
        peer_reset(peer_last(peer_of(w, tls)));
        UNTIL(w->loop, u.end != SB_OK);
        rc = dp_conn_send(u.conn, SB_SLICE_LIT("anybody there?"), &n);
        assert_int_equal(rc, SB_ECONNRESET); /* and no SIGPIPE: plain sends ask for none */
        hang_up(&u);
    }
}

/* --- closing ------------------------------------------------------------------ */

static void a_connection_may_be_closed_in_any_callback(void **state)
{
    struct run *w = *state;

    for (int tls = 0; tls < 2; tls++) {
        struct dp_target target = target_to("api.test", peer_of(w, tls)->port, tls);
        struct user u;

        target.ca_file = sb_slice_of(w->ca_file);
        dial(w, &u, &target, 10000);
        u.close_on_done = true;
        UNTIL(w->loop, u.done);
        assert_int_equal(u.outcome, MSG_OUTCOME_SUCCESS);
        assert_null(u.conn);
        hang_up(&u);

        target.port = 1; /* refused */
        dial(w, &u, &target, 10000);
        u.close_on_done = true;
        UNTIL(w->loop, u.done);
        assert_int_equal(u.outcome, MSG_OUTCOME_CONNECT_FAILED);
        hang_up(&u);

        target.ca_file = SB_SLICE_LIT("/nowhere"); /* fails before it begins */
        target.tls = true;
        dial(w, &u, &target, 10000);
        u.close_on_done = true;
        UNTIL(w->loop, u.done);
        assert_int_equal(u.outcome, MSG_OUTCOME_TLS_FAILED);
        hang_up(&u);

        connect_to(w, &u, peer_of(w, tls));
        send_text(&u, "go");
        UNTIL(w->loop, peer_heard(peer_last(peer_of(w, tls)), "go"));
        u.close_on_read = true;
        peer_say(peer_last(peer_of(w, tls)), "answer");
        UNTIL(w->loop, u.conn == NULL);
        hang_up(&u);
    }
    assert_int_equal(stats(w)->open_plain + stats(w)->open_tls, 0);
}

static void a_dial_can_be_given_up_at_any_moment(void **state)
{
    struct run *w = *state;

    for (int tls = 0; tls < 2; tls++) {
        struct dp_target target = target_to("api.test", peer_of(w, tls)->port, tls);

        target.ca_file = sb_slice_of(w->ca_file);
        for (int turns = 0;; turns++) {
            struct user u;

            dial(w, &u, &target, 10000);
            for (int i = 0; i < turns && !u.done; i++)
                sb_loop_turn(w->loop);
            if (u.done) {
                hang_up(&u);
                break;
            }
            hang_up(&u);
            for (int i = 0; i < 5; i++)
                sb_loop_turn(w->loop);
            assert_false(u.done); /* no callback any more */
        }
    }
    assert_true(stats(w)->abandoned >= 4);
    while (w->plain.open + w->tls.open > 0) {
        if (w->plain.open > 0)
            peer_close(peer_last(&w->plain));
        if (w->tls.open > 0)
            peer_close(peer_last(&w->tls));
    }
    dp_dialer_destroy(&w->dialer); /* with its spare group */
    assert_int_equal(dp_dialer_new(w->loop, &w->dialer, NULL), SB_OK);
    UNTIL(w->loop, count_fds() <= w->fds); /* look-ups that were left behind end */
}

/* --- TLS inside libcurl ------------------------------------------------------- */

/* libcurl closes connections that it takes for idle ones of its own, when it
 * dials another.  TLS 1.2, since reading a ticket is a use. */
static void an_unused_tls_connection_survives_in_libcurl(void **state)
{
    struct run *w = *state;
    struct user first, second;

    assert_int_equal(SSL_CTX_set_max_proto_version(w->server, TLS1_2_VERSION), 1);
    connect_to(w, &first, &w->tls);
    for (int i = 0; i < 10; i++)
        sb_loop_turn(w->loop);
    world_skip(200);
    connect_to(w, &second, &w->tls);
    assert_int_equal(w->tls.accepted, 2);
    assert_int_equal(first.end, SB_OK);
    send_text(&first, "still here");
    UNTIL(w->loop, peer_heard(container_of(sb_list_first(&w->tls.conns), struct peer_conn, link),
                              "still here"));
    hang_up(&first);
    hang_up(&second);
}

static int prefer_h2(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                     const unsigned char *in, unsigned in_n, void *ctx)
{
    static const unsigned char ours[] = "\x02h2\x08http/1.1";

    (void)ssl;
    (void)ctx;
    return SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_n, ours, sizeof(ours) - 1,
                                 in, in_n) == OPENSSL_NPN_NEGOTIATED
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_NOACK;
}

static void http_1_1_is_spoken_to_a_server_that_prefers_h2(void **state)
{
    struct run *w = *state;
    const unsigned char *protocol;
    struct user u;
    unsigned n;

    SSL_CTX_set_alpn_select_cb(w->server, prefer_h2, NULL);
    connect_to(w, &u, &w->tls);
    SSL_get0_alpn_selected(peer_last(&w->tls)->tls, &protocol, &n);
    assert_true(sb_slice_is(sb_slice_make(protocol, n), "http/1.1"));
    hang_up(&u);
}

static void tls_sessions_are_resumed_within_one_trust_only(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_to("api.test", w->tls.port, true);
    struct user u;

    for (int i = 0; i < 2; i++) {
        connect_to(w, &u, &w->tls);
        send_text(&u, "go");
        UNTIL(w->loop, peer_heard(peer_last(&w->tls), "go"));
        peer_say(peer_last(&w->tls), "answer"); /* behind the tickets */
        UNTIL(w->loop, has_got(&u, "answer"));
        hang_up(&u);
    }
    assert_int_equal(stats(w)->tls_resumed, 1);
    /* Who trusts other authorities gets no session that these have verified. */
    target.ca_file = sb_slice_of(w->other_ca_file);
    assert_int_equal(outcome_of(w, &u, &target), MSG_OUTCOME_TLS_FAILED);
    hang_up(&u);
    target.ca_file = sb_slice_of(w->ca_file); /* and nobody after they were read again */
    assert_int_equal(setenv("SSL_CERT_FILE", w->ca_file, 1), 0);
    assert_int_equal(dp_dialer_reload(w->dialer, NULL), SB_OK);
    assert_int_equal(unsetenv("SSL_CERT_FILE"), 0);
    assert_int_equal(outcome_of(w, &u, &target), MSG_OUTCOME_SUCCESS);
    hang_up(&u);
    assert_int_equal(stats(w)->tls_resumed, 1);
}

/* --- many --------------------------------------------------------------------- */

static void thousands_come_and_go_and_leave_nothing(void **state)
{
    struct run *w = *state;
    enum { ROUNDS = 30, N = 100 };
    unsigned before = 0;

    for (int round = 0; round < ROUNDS; round++) {
        static struct user users[N];

        for (int i = 0; i < N; i++) {
            bool tls = i % 10 == 0;
            struct dp_target target = target_to("api.test", peer_of(w, tls)->port, tls);

            target.ca_file = sb_slice_of(w->ca_file);
            dial(w, &users[i], &target, 60000);
        }
        for (int i = 0; i < N; i++) {
            if (i % 7 == 3)
                hang_up(&users[i]); /* while it dials */
            else
                UNTIL(w->loop, users[i].done);
        }
        for (int i = 0; i < N; i++) {
            if (i % 7 != 3) {
                assert_int_equal(users[i].outcome, MSG_OUTCOME_SUCCESS);
                hang_up(&users[i]);
            }
        }
        while (w->plain.open > 0)
            peer_close(peer_last(&w->plain));
        while (w->tls.open > 0)
            peer_close(peer_last(&w->tls));
        for (int i = 0; i < 20; i++)
            sb_loop_turn(w->loop);
        while (w->plain.open + w->tls.open > 0) { /* accepted late */
            peer_close(peer_last(w->plain.open > 0 ? &w->plain : &w->tls));
            sb_loop_turn(w->loop);
        }
        if (round == 0)
            before = count_fds(); /* with the group that is kept */
        assert_int_equal(stats(w)->tls_groups, 1);
    }
    assert_int_equal(count_fds(), before);
    assert_int_equal(stats(w)->dials, ROUNDS * N);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(head_and_body_leave_in_one_write),
        T(more_parts_than_a_system_call_takes_all_arrive),
        T(a_big_body_waits_for_the_peer_and_arrives_whole),
        T(a_record_that_waits_is_offered_again_from_other_parts),
        T(a_reader_that_stops_early_is_called_again),
        T(a_reader_that_goes_on_needs_one_event),
        T(a_paused_connection_is_silent_and_slows_the_peer_down),
        T(what_tls_holds_comes_after_a_pause),
        T(the_end_is_told_once_and_stays),
        T(an_end_without_a_tls_goodbye_is_an_end),
        T(an_answer_before_a_reset_can_still_be_read),
        T(a_reset_during_a_pause_is_told_after_it),
        T(sending_to_a_peer_that_left_breaks_the_connection),
        T(a_connection_may_be_closed_in_any_callback),
        T(a_dial_can_be_given_up_at_any_moment),
        T(an_unused_tls_connection_survives_in_libcurl),
        T(http_1_1_is_spoken_to_a_server_that_prefers_h2),
        T(tls_sessions_are_resumed_within_one_trust_only),
        T(thousands_come_and_go_and_leave_nothing),
    };

    return cmocka_run_group_tests(tests, run_begin, NULL);
}
