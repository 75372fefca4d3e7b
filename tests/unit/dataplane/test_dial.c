/* tests/unit/dataplane/test_dial.c */
#define _GNU_SOURCE /* RTLD_NEXT */

#include "dataplane/upstream/dial.h"

#include <fcntl.h>
#include <netinet/tcp.h>

#include "dataplane/upstream/conn.h"
#include "tests/lib/dial_run.h"

/* --- dialling ----------------------------------------------------------------- */

static int option_of(const struct user *u, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof(value);

    assert_int_equal(getsockopt(u->conn->fd, level, name, &value, &size), 0);
    return value;
}

static void a_plain_connection_is_a_socket_of_our_own(void **state)
{
    struct run *w = *state;
    char peer[DP_CONN_PEER_MAX], expected[32];
    struct user u;

    connect_to(w, &u, &w->plain);
    assert_null(u.conn->easy);
    assert_null(u.conn->group);
    assert_false(dp_conn_is_tls(u.conn));
    assert_int_equal(stats(w)->open_plain, 1);
    assert_int_equal(option_of(&u, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option_of(&u, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_not_equal(fcntl(u.conn->fd, F_GETFD) & FD_CLOEXEC, 0);
    assert_int_not_equal(fcntl(u.conn->fd, F_GETFL) & O_NONBLOCK, 0);
    (void)snprintf(expected, sizeof(expected), "127.0.0.1:%u", w->plain.port);
    assert_string_equal(dp_conn_peer(u.conn, peer), expected);

    send_text(&u, "question");
    UNTIL(w->loop, peer_heard(peer_last(&w->plain), "question"));
    peer_say(peer_last(&w->plain), "answer");
    UNTIL(w->loop, has_got(&u, "answer"));
    assert_int_equal(dp_conn_sent(u.conn), 8);
    assert_int_equal(dp_conn_received(u.conn), 6);
    world_skip(5);
    sb_loop_turn(w->loop);
    assert_in_range(dp_conn_age(u.conn), 5000, 120000);
    hang_up(&u);
    UNTIL(w->loop, peer_last(&w->plain)->eof);
    peer_close(peer_last(&w->plain));
    assert_int_equal(count_fds(), w->fds);
}

static void a_tls_connection_carries_bytes_both_ways(void **state)
{
    struct run *w = *state;
    struct user u;

    connect_to(w, &u, &w->tls);
    assert_true(dp_conn_is_tls(u.conn));
    assert_int_equal(option_of(&u, IPPROTO_TCP, TCP_NODELAY), 1);
    send_text(&u, "question");
    UNTIL(w->loop, peer_heard(peer_last(&w->tls), "question"));
    peer_say(peer_last(&w->tls), "answer");
    UNTIL(w->loop, has_got(&u, "answer"));
    hang_up(&u);
    /* newer libcurls send no close_notify for connections like ours */
    UNTIL(w->loop, peer_last(&w->tls)->eof || peer_last(&w->tls)->broken);
}

static void a_refused_port_is_told_later_and_as_such(void **state)
{
    struct run *w = *state;
    struct dp_target target;
    struct user u;
    uint16_t port;
    int fd = peer_bind(&port); /* bound, nobody listens */

    target = target_to("127.0.0.1", port, false);
    assert_int_equal(outcome_of(w, &u, &target), MSG_OUTCOME_CONNECT_FAILED);
    assert_non_null(strstr(u.text, "refused"));
    assert_int_equal(stats(w)->failures[DP_DIAL_FAILED_CONNECT], 1);
    hang_up(&u);
    (void)close(fd);
    sb_loop_turn(w->loop);
    assert_int_equal(count_fds(), w->fds);
}

/* A port that takes no more connections and does not say so. */
static void open_black_hole(int fds[3], uint16_t *ret_port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};

    fds[0] = peer_bind(ret_port);
    in.sin_port = htons(*ret_port);
    assert_int_equal(listen(fds[0], 0), 0);
    for (int i = 1; i < 3; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fds[i], (struct sockaddr *)&in, sizeof(in));
    }
}

static void silence_ends_the_dial_at_its_limit(void **state)
{
    struct run *w = *state;
    struct dp_target target;
    struct user u;
    uint16_t port;
    int fds[3];

    open_black_hole(fds, &port);
    target = target_to("127.0.0.1", port, false);
    dial(w, &u, &target, 60000);
    for (int i = 0; i < 20; i++)
        sb_loop_turn(w->loop);
    assert_false(u.done);
    world_skip(61);
    UNTIL(w->loop, u.done);
    assert_int_equal(u.outcome, MSG_OUTCOME_CONNECT_TIMEOUT);
    assert_int_equal(stats(w)->failures[DP_DIAL_FAILED_TIMEOUT], 1);
    assert_in_range(dp_conn_dial_time(u.conn), 60000, 120000);
    hang_up(&u);
    for (int i = 0; i < 3; i++)
        (void)close(fds[i]);
}

static void the_limit_covers_the_handshake_too(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_to("api.test", w->tls.port, true);
    struct user u;

    target.ca_file = sb_slice_of(w->ca_file);
    w->tls.deaf = true;
    dial(w, &u, &target, 60000);
    UNTIL(w->loop, w->tls.accepted == 1);
    for (int i = 0; i < 20; i++)
        sb_loop_turn(w->loop);
    assert_false(u.done);
    world_skip(61);
    UNTIL(w->loop, u.done);
    assert_int_equal(u.outcome, MSG_OUTCOME_CONNECT_TIMEOUT);
    hang_up(&u);
}

static void an_unknown_name_is_told_as_such(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_to("none.test", 80, false);
    struct user u;

    assert_int_equal(outcome_of(w, &u, &target), MSG_OUTCOME_DNS_FAILED);
    assert_non_null(strstr(u.text, "none.test"));
    assert_int_equal(stats(w)->failures[DP_DIAL_FAILED_DNS], 1);
    hang_up(&u);
}

static void a_look_up_that_hangs_holds_up_nobody(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_to("hang.test", 80, false);
    struct user hanging, given_up, other;

    dial(w, &hanging, &target, 60000);
    dial(w, &given_up, &target, 60000);
    UNTIL(w->loop, world_hanging == 2);
    connect_to(w, &other, &w->plain);
    hang_up(&other);
    hang_up(&given_up); /* would wait for its thread */
    assert_false(hanging.done);
    world_skip(61);
    UNTIL(w->loop, hanging.done);
    assert_int_equal(hanging.outcome, MSG_OUTCOME_CONNECT_TIMEOUT);
    hang_up(&hanging);
    assert_int_equal(world_hanging, 2); /* both still do */
    world_answer();
    world_answer();
    while (world_hanging > 0)
        sb_loop_turn(w->loop);
}

static void the_next_address_is_tried(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_to("two.test", w->plain.port, false);
    struct user u;

    assert_int_equal(outcome_of(w, &u, &target), MSG_OUTCOME_SUCCESS);
    send_text(&u, "hello");
    UNTIL(w->loop, w->plain.accepted == 1 && peer_heard(peer_last(&w->plain), "hello"));
    hang_up(&u);
    peer_close(peer_last(&w->plain));
    sb_loop_turn(w->loop);
    assert_int_equal(count_fds(), w->fds);
}

static void names_are_remembered_across_groups(void **state)
{
    struct run *w = *state;
    enum { N = 40 }; /* more than one group */
    struct user users[N];
    unsigned before;

    connect_to(w, &users[0], &w->tls);
    before = world_lookups;
    for (int i = 1; i < N; i++)
        connect_to(w, &users[i], &w->tls);
    assert_int_equal(world_lookups, before);
    assert_int_equal(stats(w)->tls_groups, 2);
    for (int i = 0; i < N; i++)
        hang_up(&users[i]);
    sb_loop_turn(w->loop);
    assert_int_equal(stats(w)->tls_groups, 1);
}

static void our_own_lack_of_descriptors_is_not_the_providers_fault(void **state)
{
    struct run *w = *state;
    struct dp_target numeric = target_to("127.0.0.1", w->plain.port, false);
    struct dp_target named = target_to("fresh.test", w->plain.port, false);
    struct user u;

    world_is_full = true;
    assert_int_equal(outcome_of(w, &u, &numeric), MSG_OUTCOME_OVERLOADED);
    assert_non_null(strstr(u.text, "Too many open files"));
    hang_up(&u);
    assert_int_equal(outcome_of(w, &u, &named), MSG_OUTCOME_OVERLOADED);
    hang_up(&u);
    world_is_full = false;
    assert_int_equal(stats(w)->failures[DP_DIAL_FAILED_LOCAL], 2);
    assert_int_equal(outcome_of(w, &u, &numeric), MSG_OUTCOME_SUCCESS);
    hang_up(&u);
}

/* --- certificates ------------------------------------------------------------- */

/* What a dial to a server with this identity ends in. */
static enum msg_outcome outcome_with(struct run *w, const struct tls_id *id, int version,
                                     const char *host, const char *ca_file, char text[300])
{
    SSL_CTX *ctx = tls_server(id, version, version);
    struct dp_target target;
    enum msg_outcome outcome;
    struct peer peer;
    struct user u;

    peer_start(&peer, w->loop, &peer_tls, ctx);
    target = target_to(host, peer.port, true);
    target.ca_file = sb_slice_of(ca_file);
    outcome = outcome_of(w, &u, &target);
    (void)snprintf(text, 300, "%s", u.text);
    hang_up(&u);
    peer_stop(&peer);
    SSL_CTX_free(ctx);
    return outcome;
}

static void only_a_valid_certificate_is_accepted(void **state)
{
    struct run *w = *state;
    struct tls_id expired = tls_id_new(&w->ca, "DNS:api.test", -60);
    struct tls_id other_name = tls_id_new(&w->ca, "DNS:api.test.example,DNS:*.api.test", 3600);
    struct tls_id other_ca = tls_id_new(&w->other_ca, "DNS:api.test", 3600);
    struct tls_id address = tls_id_new(&w->ca, "IP:127.0.0.1", 3600);
    char text[300];
    const int v13 = TLS1_3_VERSION;

    assert_int_equal(outcome_with(w, &w->id, v13, "api.test", w->ca_file, text),
                     MSG_OUTCOME_SUCCESS);
    assert_int_equal(outcome_with(w, &w->id, TLS1_2_VERSION, "api.test", w->ca_file, text),
                     MSG_OUTCOME_SUCCESS);
    assert_int_equal(outcome_with(w, &address, v13, "127.0.0.1", w->ca_file, text),
                     MSG_OUTCOME_SUCCESS);
    assert_int_equal(outcome_with(w, &expired, v13, "api.test", w->ca_file, text),
                     MSG_OUTCOME_TLS_FAILED);
    assert_non_null(strstr(text, "expired"));
    assert_int_equal(outcome_with(w, &other_name, v13, "api.test", w->ca_file, text),
                     MSG_OUTCOME_TLS_FAILED);
    assert_non_null(strstr(text, "api.test"));
    assert_int_equal(outcome_with(w, &w->id, v13, "127.0.0.1", w->ca_file, text),
                     MSG_OUTCOME_TLS_FAILED);
    assert_int_equal(outcome_with(w, &other_ca, v13, "api.test", w->ca_file, text),
                     MSG_OUTCOME_TLS_FAILED);
    assert_int_equal(outcome_with(w, &other_ca, v13, "api.test", w->other_ca_file, text),
                     MSG_OUTCOME_SUCCESS);
    assert_int_equal(outcome_with(w, &w->id, TLS1_1_VERSION, "api.test", w->ca_file, text),
                     MSG_OUTCOME_TLS_FAILED);
    assert_int_equal(stats(w)->failures[DP_DIAL_FAILED_TLS], 5);
    tls_id_free(&expired);
    tls_id_free(&other_name);
    tls_id_free(&other_ca);
    tls_id_free(&address);
}

static void without_a_ca_file_the_systems_authorities_decide(void **state)
{
    struct run *w = *state;
    struct sb_errmsg err;
    char text[300];

    /* the machine's own, which do not know ours */
    assert_int_equal(setenv("SSL_CERT_FILE", w->other_ca_file, 1), 0);
    assert_int_equal(outcome_with(w, &w->id, TLS1_3_VERSION, "api.test", "", text),
                     MSG_OUTCOME_TLS_FAILED);
    assert_int_equal(setenv("SSL_CERT_FILE", w->ca_file, 1), 0);
    assert_int_equal(dp_dialer_reload(w->dialer, &err), SB_OK);
    assert_int_equal(outcome_with(w, &w->id, TLS1_3_VERSION, "api.test", "", text),
                     MSG_OUTCOME_SUCCESS);
    assert_int_equal(unsetenv("SSL_CERT_FILE"), 0);
}

static void a_ca_file_is_read_once_and_again_when_asked(void **state)
{
    struct run *w = *state;
    struct tls_id next_ca = tls_id_new(NULL, NULL, 3600);
    struct tls_id next = tls_id_new(&next_ca, "DNS:api.test", 3600);
    struct sb_errmsg err;
    char path[128], text[300];

    (void)snprintf(path, sizeof(path), "%s/late.pem", w->dir);
    assert_int_equal(setenv("SSL_CERT_FILE", w->ca_file, 1), 0);
    assert_int_equal(outcome_with(w, &w->id, TLS1_3_VERSION, "api.test", path, text),
                     MSG_OUTCOME_TLS_FAILED);
    assert_non_null(strstr(text, path));
    tls_id_save(&w->ca, path); /* now it is there */
    assert_int_equal(outcome_with(w, &w->id, TLS1_3_VERSION, "api.test", path, text),
                     MSG_OUTCOME_SUCCESS);
    tls_id_save(&next_ca, path); /* rotated, but not read */
    assert_int_equal(outcome_with(w, &w->id, TLS1_3_VERSION, "api.test", path, text),
                     MSG_OUTCOME_SUCCESS);
    assert_int_equal(dp_dialer_reload(w->dialer, &err), SB_OK);
    assert_int_equal(outcome_with(w, &w->id, TLS1_3_VERSION, "api.test", path, text),
                     MSG_OUTCOME_TLS_FAILED);
    assert_int_equal(outcome_with(w, &next, TLS1_3_VERSION, "api.test", path, text),
                     MSG_OUTCOME_SUCCESS);
    assert_int_equal(unlink(path), 0); /* lost: the old one stays */
    assert_int_equal(dp_dialer_reload(w->dialer, &err), SB_EIO);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(outcome_with(w, &next, TLS1_3_VERSION, "api.test", path, text),
                     MSG_OUTCOME_SUCCESS);
    assert_int_equal(unsetenv("SSL_CERT_FILE"), 0);
    tls_id_free(&next_ca);
    tls_id_free(&next);
}

/* --- proxies ------------------------------------------------------------------ */

static void ask_proxy(struct dp_target *target, const struct peer *proxy, const char *scheme,
                      char url[64])
{
    (void)snprintf(url, 64, "%s://me:secret@127.0.0.1:%u", scheme, proxy->port);
    target->proxy = sb_slice_of(url);
}

static void answer_connect(struct peer_conn *pc, const char *answer)
{
    if (pc->step == 0 && sb_buf_len(&pc->in) > 4 &&
        memcmp(sb_buf_end(&pc->in) - 4, "\r\n\r\n", 4) == 0) {
        pc->step = 1;
        assert_int_equal(sb_buf_append_byte(&pc->in, '\0'), SB_OK);
        peer_say(pc, answer);
    }
}

static void tunnel(struct peer_conn *pc)
{
    answer_connect(pc, "HTTP/1.1 200 fine\r\nX-Proxy: yes\r\n\r\n");
}

/* The first bytes from beyond come in the same write. */
static void tunnel_early(struct peer_conn *pc)
{
    answer_connect(pc, "HTTP/1.1 200 fine\r\nX-Proxy: yes\r\n\r\nearly");
}

static void a_plain_target_is_reached_through_connect(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_to("behind.example", 8123, false);
    struct peer_conn *pc;
    char url[64];
    struct user u;

    w->plain.on_ready = tunnel_early;
    ask_proxy(&target, &w->plain, "http", url);
    assert_int_equal(outcome_of(w, &u, &target), MSG_OUTCOME_SUCCESS);
    assert_null(u.conn->easy);
    pc = peer_last(&w->plain);
    assert_ptr_equal(strstr(sb_buf_slice(&pc->in).p, "CONNECT behind.example:8123 HTTP/1.1\r\n"),
                     sb_buf_slice(&pc->in).p);
    assert_non_null(strstr(sb_buf_slice(&pc->in).p, "Proxy-Authorization: Basic bWU6c2VjcmV0\r\n"));
    UNTIL(w->loop, has_got(&u, "early")); /* libcurl has swallowed nothing */
    sb_buf_reset(&pc->in);
    send_text(&u, "GET / HTTP/1.1\r\n");
    UNTIL(w->loop, peer_heard(pc, "GET / HTTP/1.1\r\n"));
    hang_up(&u);
}

static void refuse_tunnel(struct peer_conn *pc)
{
    if (pc->step++ == 0)
        peer_say(pc, "HTTP/1.1 403 no\r\nContent-Length: 0\r\n\r\n");
}

static void a_proxy_that_refuses_fails_the_dial(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_to("behind.example", 443, true);
    char url[64];
    struct user u;

    target.ca_file = sb_slice_of(w->ca_file);
    w->plain.on_ready = refuse_tunnel;
    ask_proxy(&target, &w->plain, "http", url);
    assert_int_equal(outcome_of(w, &u, &target), MSG_OUTCOME_CONNECT_FAILED);
    assert_null(strstr(u.text, "secret"));
    hang_up(&u);
    target.proxy = SB_SLICE_LIT("http://none.test:3128");
    assert_int_equal(outcome_of(w, &u, &target), MSG_OUTCOME_DNS_FAILED);
    hang_up(&u);
}

static void socks_greets(struct peer_conn *pc)
{
    static const char request[] = "\x05\x01\x00\x01\x0a\x00\x00\x09\x1f\xbb"; /* 10.0.0.9:8123 */
    struct sb_slice in = sb_buf_slice(&pc->in);

    if (pc->step == 0 && in.n >= 3) {
        assert_int_equal(send(pc->fd, "\x05\x00", 2, MSG_NOSIGNAL), 2);
        sb_buf_reset(&pc->in);
        pc->step = 1;
    } else if (pc->step == 1 && in.n == 10) {
        assert_memory_equal(in.p, request, 10);
        assert_int_equal(send(pc->fd, "\x05\x00\x00\x01\0\0\0\0\0\0", 10, MSG_NOSIGNAL), 10);
        sb_buf_reset(&pc->in);
        pc->step = 2;
    }
}

static void a_socks_proxy_leaves_a_socket_of_our_own_too(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_to("10.0.0.9", 8123, false);
    char url[64];
    struct user u;

    w->plain.on_ready = socks_greets;
    (void)snprintf(url, sizeof(url), "socks5://127.0.0.1:%u", w->plain.port);
    target.proxy = sb_slice_of(url);
    assert_int_equal(outcome_of(w, &u, &target), MSG_OUTCOME_SUCCESS);
    assert_null(u.conn->easy);
    send_text(&u, "hello");
    UNTIL(w->loop, peer_heard(peer_last(&w->plain), "hello"));
    hang_up(&u);
}

/* Passes on what comes from the client to the TLS peer and back. */
struct relay {
    struct sb_watch watch;
    struct peer_conn *client;
    int fd;
};

static struct relay relay;

static void on_relay(struct sb_watch *watch, unsigned events, int error)
{
    char bytes[16384];
    ssize_t n = recv(relay.fd, bytes, sizeof(bytes), 0);

    (void)watch;
    (void)events;
    (void)error;
    if (n > 0)
        assert_int_equal(send(relay.client->fd, bytes, (size_t)n, MSG_NOSIGNAL), n);
    else if (n == 0)
        sb_watch_set(&relay.watch, 0);
}

static void relay_tunnel(struct peer_conn *pc)
{
    struct sb_slice in = sb_buf_slice(&pc->in);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    unsigned port;

    if (pc->step == 1) {
        assert_int_equal(send(relay.fd, in.p, in.n, MSG_NOSIGNAL), in.n);
        sb_buf_reset(&pc->in);
        return;
    }
    if (in.n < 4 || memcmp(sb_buf_end(&pc->in) - 4, "\r\n\r\n", 4) != 0)
        return;
    pc->step = 1;
    assert_int_equal(sb_buf_append_byte(&pc->in, '\0'), SB_OK);
    in = sb_buf_slice(&pc->in);
    assert_int_equal(sscanf(in.p, "CONNECT api.test:%u ", &port), 1);
    to.sin_port = htons((uint16_t)port);
    relay.client = pc;
    relay.fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(relay.fd, (struct sockaddr *)&to, sizeof(to)), 0);
    assert_int_equal(sb_watch_init(&relay.watch, pc->peer->loop, relay.fd, on_relay), SB_OK);
    sb_watch_set(&relay.watch, SB_WATCH_READ);
    sb_buf_reset(&pc->in);
    peer_say(pc, "HTTP/1.1 200 fine\r\n\r\n");
}

static void a_tls_target_is_verified_through_the_tunnel(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_to("api.test", w->tls.port, true);
    char url[64];
    struct user u;

    target.ca_file = sb_slice_of(w->ca_file);
    w->plain.on_ready = relay_tunnel;
    ask_proxy(&target, &w->plain, "http", url);
    assert_int_equal(outcome_of(w, &u, &target), MSG_OUTCOME_SUCCESS);
    assert_true(dp_conn_is_tls(u.conn));
    send_text(&u, "question");
    UNTIL(w->loop, w->tls.accepted == 1 && peer_heard(peer_last(&w->tls), "question"));
    peer_say(peer_last(&w->tls), "answer");
    UNTIL(w->loop, has_got(&u, "answer"));
    hang_up(&u);
    sb_watch_close(&relay.watch, NULL);
    (void)close(relay.fd);
}

static void behind_a_tls_proxy_a_plain_target_is_carried_by_tls(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_to("behind.example", 80, false);
    char url[64];
    struct user u;

    target.ca_file = sb_slice_of(w->ca_file);
    w->tls.on_ready = tunnel;
    (void)snprintf(url, sizeof(url), "https://api.test:%u", w->tls.port);
    target.proxy = sb_slice_of(url);
    assert_int_equal(outcome_of(w, &u, &target), MSG_OUTCOME_SUCCESS);
    assert_true(dp_conn_is_tls(u.conn));
    sb_buf_reset(&peer_last(&w->tls)->in);
    send_text(&u, "hello");
    UNTIL(w->loop, peer_heard(peer_last(&w->tls), "hello"));
    hang_up(&u);
    w->tls.on_ready = tunnel_early; /* HTTP servers wait to be asked */
    assert_int_equal(outcome_of(w, &u, &target), MSG_OUTCOME_CONNECT_FAILED);
    assert_non_null(strstr(u.text, "spoke first"));
    hang_up(&u);
    target.ca_file = sb_slice_of(w->other_ca_file); /* the proxy is verified as well */
    assert_int_equal(outcome_of(w, &u, &target), MSG_OUTCOME_TLS_FAILED);
    hang_up(&u);
}

static void the_environment_has_no_say_about_proxies(void **state)
{
    struct run *w = *state;
    struct dp_target target = target_to("behind.example", 80, false);
    char url[64];
    struct user u;

    assert_int_equal(setenv("http_proxy", "http://none.test:1", 1), 0);
    assert_int_equal(setenv("ALL_PROXY", "http://none.test:1", 1), 0);
    assert_int_equal(setenv("no_proxy", "*", 1), 0);
    connect_to(w, &u, &w->plain);
    hang_up(&u);
    w->plain.on_ready = tunnel; /* a configured one is used all the same */
    ask_proxy(&target, &w->plain, "http", url);
    assert_int_equal(outcome_of(w, &u, &target), MSG_OUTCOME_SUCCESS);
    hang_up(&u);
    assert_int_equal(unsetenv("http_proxy"), 0);
    assert_int_equal(unsetenv("ALL_PROXY"), 0);
    assert_int_equal(unsetenv("no_proxy"), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_plain_connection_is_a_socket_of_our_own),
        T(a_tls_connection_carries_bytes_both_ways),
        T(a_refused_port_is_told_later_and_as_such),
        T(silence_ends_the_dial_at_its_limit),
        T(the_limit_covers_the_handshake_too),
        T(an_unknown_name_is_told_as_such),
        T(a_look_up_that_hangs_holds_up_nobody),
        T(the_next_address_is_tried),
        T(names_are_remembered_across_groups),
        T(our_own_lack_of_descriptors_is_not_the_providers_fault),
        T(only_a_valid_certificate_is_accepted),
        T(without_a_ca_file_the_systems_authorities_decide),
        T(a_ca_file_is_read_once_and_again_when_asked),
        T(a_plain_target_is_reached_through_connect),
        T(a_proxy_that_refuses_fails_the_dial),
        T(a_socks_proxy_leaves_a_socket_of_our_own_too),
        T(a_tls_target_is_verified_through_the_tunnel),
        T(behind_a_tls_proxy_a_plain_target_is_carried_by_tls),
        T(the_environment_has_no_say_about_proxies),
    };

    return cmocka_run_group_tests(tests, run_begin, NULL);
}
