/* tests/lib/dial_run.h - a dialer, real peers and users of connections, for
 * tests of dataplane/upstream/dial.h.  The including file begins with _GNU_SOURCE. */
#pragma once

#include <signal.h>

#include "dataplane/upstream/dial.h"
#include "tests/lib/fake_world.h"
#include "tests/lib/test.h"
#include "tests/lib/tls_peer.h"

struct user {
    struct dp_conn *conn;
    bool done;
    enum msg_outcome outcome;
    char text[300];
    struct sb_buf in;
    int end;                /* what recv ended with; SB_OK while it goes on */
    size_t step;            /* bytes per recv */
    unsigned rounds;        /* of recv per event; 0: until there is no more */
    unsigned reads, writes; /* events */
    bool close_on_done, close_on_read;
    struct sb_slice to_send; /* the rest */
};

struct run {
    struct sb_loop *loop;
    struct dp_dialer *dialer;
    struct peer plain, tls;
    SSL_CTX *server;
    struct tls_id ca, other_ca, id;
    char dir[64], ca_file[128], other_ca_file[128];
    unsigned fds;
};

static inline const struct dp_dial_stats *stats(const struct run *w)
{
    return dp_dialer_stats(w->dialer);
}

static inline void send_rest(struct user *u)
{
    while (u->to_send.n > 0) {
        size_t n = 0;
        /* a copy at another address each time, as a buffer that moves */
        size_t offered = u->to_send.n < 300000 ? u->to_send.n : 300000;
        char *copy = sb_mem_new(offered);
        int rc;

        memcpy(copy, u->to_send.p, offered);
        rc = dp_conn_send(u->conn, sb_slice_make(copy, offered), &n);
        sb_mem_free(copy);
        if (rc == SB_EAGAIN)
            return;
        assert_int_equal(rc, SB_OK);
        assert_true(n > 0 && n <= offered);
        u->to_send = sb_slice_from(u->to_send, n);
        if (n < offered)
            return;
    }
}

static inline void on_event(struct dp_conn *conn, unsigned events)
{
    struct user *u = dp_conn_ctx(conn);

    assert_ptr_equal(u->conn, conn);
    if ((events & DP_CONN_WRITE) != 0) {
        u->writes++;
        send_rest(u);
    }
    if ((events & DP_CONN_READ) == 0)
        return;
    u->reads++;
    if (u->close_on_read) {
        dp_conn_close(&u->conn);
        return;
    }
    for (unsigned round = 0; u->rounds == 0 || round < u->rounds; round++) {
        char bytes[65536];
        size_t n = 0;
        int rc = dp_conn_recv(conn, bytes, u->step, &n);

        if (rc == SB_EAGAIN)
            return;
        if (rc != SB_OK) {
            u->end = rc;
            return;
        }
        assert_int_equal(sb_buf_append(&u->in, sb_slice_make(bytes, n)), SB_OK);
    }
}

static inline void on_done(struct dp_conn *conn, enum msg_outcome outcome, const char *text)
{
    struct user *u = dp_conn_ctx(conn);

    assert_ptr_equal(u->conn, conn); /* so dp_dial() has returned */
    assert_false(u->done);
    u->done = true;
    u->outcome = outcome;
    (void)snprintf(u->text, sizeof(u->text), "%s", text);
    if (u->close_on_done)
        dp_conn_close(&u->conn);
    else if (outcome == MSG_OUTCOME_SUCCESS)
        dp_conn_hold(conn, on_event, u);
}

static inline struct dp_target target_to(const char *host, uint16_t port, bool tls)
{
    return (struct dp_target){.host = sb_slice_of(host), .port = port, .tls = tls};
}

static inline void dial(struct run *w, struct user *u, const struct dp_target *target,
                        sb_msec timeout)
{
    *u = (struct user){.step = 65536};
    sb_buf_init(&u->in, (size_t)1 << 28);
    u->conn = dp_dial(w->dialer, target, timeout, on_done, u);
    assert_false(u->done);
}

static inline enum msg_outcome outcome_of(struct run *w, struct user *u,
                                          const struct dp_target *target)
{
    dial(w, u, target, 10000);
    UNTIL(w->loop, u->done);
    return u->outcome;
}

static inline void hang_up(struct user *u)
{
    dp_conn_close(&u->conn);
    sb_buf_release(&u->in);
}

/* A connection to the plain or the TLS peer, open on both sides. */
static inline void connect_to(struct run *w, struct user *u, struct peer *peer)
{
    struct dp_target target = target_to("api.test", peer->port, peer == &w->tls);
    unsigned accepted = peer->accepted;

    target.ca_file = sb_slice_of(w->ca_file);
    assert_int_equal(outcome_of(w, u, &target), MSG_OUTCOME_SUCCESS);
    assert_string_equal(u->text, "");
    UNTIL(w->loop, peer->accepted == accepted + 1);
}

static inline void send_text(struct user *u, const char *text)
{
    size_t n = 0;

    assert_int_equal(dp_conn_send(u->conn, sb_slice_of(text), &n), SB_OK);
    assert_int_equal(n, strlen(text));
}

static inline bool has_got(const struct user *u, const char *text)
{
    return sb_slice_is(sb_buf_slice(&u->in), text);
}

static inline int set_up(void **state)
{
    struct run *w = sb_mem_new(sizeof(*w));
    struct sb_errmsg err;

    assert_int_equal(sb_loop_new(&w->loop), SB_OK);
    (void)snprintf(w->dir, sizeof(w->dir), "/tmp/switchboard-dial-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    (void)snprintf(w->ca_file, sizeof(w->ca_file), "%s/ca.pem", w->dir);
    (void)snprintf(w->other_ca_file, sizeof(w->other_ca_file), "%s/other.pem", w->dir);
    w->ca = tls_id_new(NULL, NULL, 3600);
    w->other_ca = tls_id_new(NULL, NULL, 3600);
    w->id = tls_id_new(&w->ca, "DNS:api.test,DNS:two.test", 3600);
    tls_id_save(&w->ca, w->ca_file);
    tls_id_save(&w->other_ca, w->other_ca_file);
    w->server = tls_server(&w->id, TLS1_2_VERSION, TLS1_3_VERSION);
    assert_int_equal(dp_dialer_new(w->loop, &w->dialer, &err), SB_OK);
    peer_start(&w->plain, w->loop, &peer_plain, NULL);
    peer_start(&w->tls, w->loop, &peer_tls, w->server);
    w->fds = count_fds();
    *state = w;
    return 0;
}

static inline int tear_down(void **state)
{
    struct run *w = *state;

    peer_stop(&w->plain);
    peer_stop(&w->tls);
    assert_int_equal(stats(w)->dialling + stats(w)->open_plain + stats(w)->open_tls, 0);
    dp_dialer_destroy(&w->dialer);
    sb_loop_destroy(&w->loop);
    SSL_CTX_free(w->server);
    tls_id_free(&w->ca);
    tls_id_free(&w->other_ca);
    tls_id_free(&w->id);
    (void)unlink(w->ca_file);
    (void)unlink(w->other_ca_file);
    assert_int_equal(rmdir(w->dir), 0);
    sb_mem_free(w);
    return 0;
}

/* Set-up of the whole group. */
static inline int run_begin(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN); /* OpenSSL in the peers; we raise none */
    world_init();
    return 0;
}
