/* tests/unit/common/test_bus.c - real sockets, over ipc:// in a directory of
 * the test's own and over TCP on loopback. */
#include "common/bus.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/buskey.h"
#include "tests/lib/bus.h"
#include "tests/lib/tmpdir.h"

static const struct sb_bus_opts plain = {.max_message_bytes = 1 << 20};
static struct test_tmpdir dir;
static char ipc_addr[64];
static struct sigaction sigint_before, sigterm_before;

static int set_up(void **state)
{
    (void)state;
    (void)sigaction(SIGINT, NULL, &sigint_before);
    (void)sigaction(SIGTERM, NULL, &sigterm_before);
    if (sb_bus_init(NULL) != SB_OK)
        return -1;
    test_tmpdir_make(&dir);
    (void)snprintf(ipc_addr, sizeof(ipc_addr), "ipc://%s", test_tmp(&dir, "bus"));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_tmpdir_remove(&dir);
    sb_bus_shutdown();
    return 0;
}

struct pair {
    struct sb_bus_socket *router, *dealer;
};

static void open_pair(struct pair *pair, const char *addr, const struct sb_bus_opts *opts)
{
    pair->router = test_socket(SB_BUS_ROUTER, opts);
    pair->dealer = test_socket(SB_BUS_DEALER, opts);
    test_bind(pair->router, addr);
    test_connect(pair->dealer, sb_bus_bound_addr(pair->router));
    test_connected(pair->dealer);
}

static void close_pair(struct pair *pair)
{
    sb_bus_socket_destroy(&pair->dealer);
    sb_bus_socket_destroy(&pair->router);
    test_tmpdir_empty(&dir);
}

static void signals_stay_ours(void **state)
{
    struct sigaction now;

    (void)state;
    assert_int_equal(sigaction(SIGINT, NULL, &now), 0);
    assert_ptr_equal(now.sa_handler, sigint_before.sa_handler);
    assert_int_equal(sigaction(SIGTERM, NULL, &now), 0);
    assert_ptr_equal(now.sa_handler, sigterm_before.sa_handler);
}

static void round_trip(const char *addr)
{
    static const char binary[] = "\0\xff\0";
    const struct sb_slice out[] = {SB_SLICE_LIT("HELLO"), SB_SLICE_NONE, SB_SLICE_LIT(binary)};
    const struct sb_slice back = SB_SLICE_LIT("welcome");
    struct sb_bus_msg *msg;
    struct pair pair;

    open_pair(&pair, addr, &plain);
    assert_int_equal(sb_bus_send(pair.dealer, out, 3), SB_OK);
    msg = test_recv(pair.router);
    assert_int_equal(sb_bus_msg_frames(msg), 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(sb_slice_eq(sb_bus_msg_frame(msg, i), out[i]));
    assert_int_equal(sb_bus_msg_frame(msg, 3).n, 0);
    assert_int_equal(sb_bus_msg_key(msg).n, 0);
    assert_true(sb_bus_msg_peer(msg).n > 0);
    assert_int_equal(sb_bus_send_to(pair.router, sb_bus_msg_peer(msg), &back, 1), SB_OK);
    sb_bus_msg_destroy(&msg);
    assert_null(msg);
    msg = test_recv(pair.dealer);
    assert_int_equal(sb_bus_msg_frames(msg), 1);
    assert_true(sb_slice_is(sb_bus_msg_frame(msg, 0), "welcome"));
    assert_int_equal(sb_bus_msg_peer(msg).n, 0);
    sb_bus_msg_destroy(&msg);
    assert_int_equal(sb_bus_recv(pair.dealer, &msg), SB_EAGAIN);
    close_pair(&pair);
}

static void a_message_goes_there_and_back_over_ipc(void **state)
{
    (void)state;
    round_trip(ipc_addr);
}

static void a_message_goes_there_and_back_over_tcp(void **state)
{
    (void)state;
    round_trip("tcp://127.0.0.1:*");
    round_trip("tcp://[::1]:*");
}

static struct sb_bus_msg *publish_until_seen(struct sb_bus_socket *pub, struct sb_bus_socket *sub,
                                             const struct sb_slice *frames, size_t n)
{
    struct sb_bus_msg *msg = NULL;

    /* What is published before a subscription has arrived is lost. */
    for (int i = 0; i < 3000 && msg == NULL; i++) {
        assert_int_equal(sb_bus_send(pub, frames, n), SB_OK);
        if (test_await(sub, SB_REACTOR_IN, 10))
            assert_int_equal(sb_bus_recv(sub, &msg), SB_OK);
    }
    assert_non_null(msg);
    return msg;
}

static void a_subscriber_gets_what_it_subscribed_to(void **state)
{
    const struct sb_slice tables[] = {SB_SLICE_LIT("T"), SB_SLICE_LIT("tables")};
    const struct sb_slice snapshot[] = {SB_SLICE_LIT("S"), SB_SLICE_LIT("snapshot")};
    struct sb_bus_socket *pub = test_socket(SB_BUS_PUB, &plain);
    struct sb_bus_socket *sub = test_socket(SB_BUS_SUB, &plain);
    struct sb_bus_msg *msg;

    (void)state;
    test_bind(pub, ipc_addr);
    test_connect(sub, ipc_addr);
    sb_bus_subscribe(sub, SB_SLICE_LIT("S"));
    msg = publish_until_seen(pub, sub, snapshot, 2);
    assert_true(sb_slice_is(sb_bus_msg_frame(msg, 1), "snapshot"));
    sb_bus_msg_destroy(&msg);
    while (test_await(sub, SB_REACTOR_IN, 1)) { /* the copies on their way */
        assert_int_equal(sb_bus_recv(sub, &msg), SB_OK);
        sb_bus_msg_destroy(&msg);
    }
    assert_int_equal(sb_bus_send(pub, tables, 2), SB_OK); /* not subscribed to */
    msg = publish_until_seen(pub, sub, snapshot, 2);
    assert_true(sb_slice_is(sb_bus_msg_frame(msg, 0), "S"));
    sb_bus_msg_destroy(&msg);
    sb_bus_subscribe(sub, SB_SLICE_LIT("T"));
    sb_bus_unsubscribe(sub, SB_SLICE_LIT("S"));
    msg = publish_until_seen(pub, sub, tables, 2);
    sb_bus_msg_destroy(&msg);
    sb_bus_socket_destroy(&sub);
    sb_bus_socket_destroy(&pub);
    test_tmpdir_empty(&dir);
}

static void a_slow_subscriber_never_holds_the_publisher_up(void **state)
{
    static char block[16 * 1024];
    const struct sb_bus_opts narrow = {
        .send_limit = 2, .recv_limit = 2, .max_message_bytes = sizeof(block)};
    const struct sb_slice frame = sb_slice_make(block, sizeof(block));
    struct sb_bus_socket *pub = test_socket(SB_BUS_PUB, &narrow);
    struct sb_bus_socket *sub = test_socket(SB_BUS_SUB, &narrow);
    struct sb_bus_msg *msg;

    (void)state;
    test_bind(pub, ipc_addr);
    test_connect(sub, ipc_addr);
    sb_bus_subscribe(sub, SB_SLICE_NONE);
    msg = publish_until_seen(pub, sub, &frame, 1);
    sb_bus_msg_destroy(&msg);
    for (int i = 0; i < 2000; i++) /* 32 MB into a queue of 2 */
        assert_int_equal(sb_bus_send(pub, &frame, 1), SB_OK);
    sb_bus_socket_destroy(&sub);
    sb_bus_socket_destroy(&pub);
    test_tmpdir_empty(&dir);
}

static void a_full_queue_says_so_and_loses_nothing(void **state)
{
    enum { MOST = 5000 }; /* 80 MB: more than a queue of 4 and the kernel hold */
    static char block[16 * 1024];
    const struct sb_bus_opts narrow = {
        .send_limit = 4, .recv_limit = 4, .max_message_bytes = sizeof(block)};
    struct pair pair;
    int sent = 0, got = 0, rc = SB_OK;

    (void)state;
    open_pair(&pair, ipc_addr, &narrow);
    while (rc == SB_OK && sent < MOST) {
        const struct sb_slice frames[] = {sb_slice_make(&sent, sizeof(sent)),
                                          sb_slice_make(block, sizeof(block))};

        rc = sb_bus_send(pair.dealer, frames, 2);
        /* The I/O thread may still be moving what was sent before. */
        if (rc == SB_EAGAIN && test_await(pair.dealer, SB_REACTOR_OUT, 200))
            rc = SB_OK;
        else
            sent += rc == SB_OK;
    }
    assert_int_equal(rc, SB_EAGAIN);
    while (got < sent) {
        struct sb_bus_msg *msg = test_recv(pair.router);
        int no;

        assert_int_equal(sb_bus_msg_frames(msg), 2);
        memcpy(&no, sb_bus_msg_frame(msg, 0).p, sizeof(no));
        assert_int_equal(no, got++);
        assert_int_equal(sb_bus_msg_frame(msg, 1).n, sizeof(block));
        sb_bus_msg_destroy(&msg);
    }
    test_connected(pair.dealer); /* there is room again */
    close_pair(&pair);
}

static void a_router_at_a_peers_limit_says_so(void **state)
{
    static char block[16 * 1024];
    const struct sb_bus_opts narrow = {
        .send_limit = 4, .recv_limit = 4, .max_message_bytes = sizeof(block)};
    const struct sb_slice frame = sb_slice_make(block, sizeof(block));
    const struct sb_slice hello = SB_SLICE_LIT("hello");
    struct sb_bus_msg *msg;
    struct pair pair;
    int rc = SB_OK;

    (void)state;
    open_pair(&pair, ipc_addr, &narrow);
    assert_int_equal(sb_bus_send(pair.dealer, &hello, 1), SB_OK);
    msg = test_recv(pair.router);
    for (int i = 0; i < 5000 && rc == SB_OK; i++) {
        rc = sb_bus_send_to(pair.router, sb_bus_msg_peer(msg), &frame, 1);
        if (rc == SB_EAGAIN && test_await(pair.router, SB_REACTOR_OUT, 200))
            rc = SB_OK;
    }
    assert_int_equal(rc, SB_EAGAIN);
    sb_bus_msg_destroy(&msg);
    close_pair(&pair);
}

static void a_peer_that_is_gone_cannot_be_sent_to(void **state)
{
    const struct sb_slice frame = SB_SLICE_LIT("hello");
    struct sb_bus_monitor *monitor = NULL;
    enum sb_bus_event event = SB_BUS_CONNECTED;
    struct sb_bus_msg *msg;
    struct pair pair;
    int rc = SB_OK;

    (void)state;
    open_pair(&pair, ipc_addr, &plain);
    assert_int_equal(sb_bus_monitor_new(pair.router, &monitor), SB_OK);
    assert_int_equal(sb_bus_send_to(pair.router, SB_SLICE_LIT("stranger"), &frame, 1), SB_ENOENT);
    assert_int_equal(sb_bus_send(pair.dealer, &frame, 1), SB_OK);
    msg = test_recv(pair.router);
    sb_bus_socket_destroy(&pair.dealer);
    while (event != SB_BUS_DISCONNECTED) {
        assert_true(test_await(sb_bus_monitor_socket(monitor), SB_REACTOR_IN, TEST_PATIENCE));
        assert_int_equal(sb_bus_monitor_next(monitor, &event, NULL), SB_OK);
    }
    /* The event is a little earlier than the end of the pipe. */
    for (int i = 0; i < 3000 && rc == SB_OK; i++) {
        rc = sb_bus_send_to(pair.router, sb_bus_msg_peer(msg), &frame, 1);
        (void)test_await(pair.router, SB_REACTOR_IN, 10);
    }
    assert_int_equal(rc, SB_ENOENT);
    sb_bus_msg_destroy(&msg);
    sb_bus_monitor_destroy(&monitor);
    close_pair(&pair);
}

static void nothing_queues_for_a_peer_that_is_not_there(void **state)
{
    const struct sb_slice frame = SB_SLICE_LIT("hello");
    struct sb_bus_socket *router, *dealer = test_socket(SB_BUS_DEALER, &plain);
    struct sb_bus_msg *msg;

    (void)state;
    test_connect(dealer, ipc_addr);
    assert_int_equal(sb_bus_send(dealer, &frame, 1), SB_EAGAIN);
    router = test_socket(SB_BUS_ROUTER, &plain);
    test_bind(router, ipc_addr);
    test_connected(dealer); /* it keeps trying */
    assert_int_equal(sb_bus_recv(router, &msg), SB_EAGAIN);
    assert_int_equal(sb_bus_send(dealer, &frame, 1), SB_OK);
    msg = test_recv(router);
    sb_bus_msg_destroy(&msg);
    assert_int_equal(sb_bus_disconnect(dealer, ipc_addr, NULL), SB_OK);
    for (int i = 0; i < 3000 && sb_bus_send(dealer, &frame, 1) == SB_OK; i++)
        (void)test_await(dealer, SB_REACTOR_IN, 10);
    assert_int_equal(sb_bus_send(dealer, &frame, 1), SB_EAGAIN);
    assert_int_equal(sb_bus_disconnect(dealer, ipc_addr, NULL), SB_ENOENT);
    sb_bus_socket_destroy(&dealer);
    sb_bus_socket_destroy(&router);
    test_tmpdir_empty(&dir);
}

static void a_blob_is_shared_by_what_carries_it(void **state)
{
    enum { BYTES = 300000, WORKERS = 3 };
    static char bytes[BYTES];
    const struct sb_slice hello = SB_SLICE_LIT("hello"), head = SB_SLICE_LIT("SNAPSHOT");
    struct sb_bus_socket *router = test_socket(SB_BUS_ROUTER, &plain), *dealers[WORKERS];
    struct sb_bus_blob *blob = NULL;

    (void)state;
    memset(bytes, 'b', sizeof(bytes));
    assert_int_equal(sb_bus_blob_new(sb_slice_make(bytes, sizeof(bytes)), &blob), SB_OK);
    memset(bytes, 'x', sizeof(bytes)); /* it was copied */
    test_bind(router, ipc_addr);
    for (int i = 0; i < WORKERS; i++) {
        struct sb_bus_msg *msg;

        dealers[i] = test_socket(SB_BUS_DEALER, &plain);
        test_connect(dealers[i], ipc_addr);
        test_connected(dealers[i]);
        assert_int_equal(sb_bus_send(dealers[i], &hello, 1), SB_OK);
        msg = test_recv(router);
        assert_int_equal(sb_bus_send_blob(router, sb_bus_msg_peer(msg), &head, 1, blob), SB_OK);
        sb_bus_msg_destroy(&msg);
    }
    assert_int_equal(sb_bus_blob_bytes(blob).n, BYTES);
    sb_bus_blob_destroy(&blob);
    assert_null(blob);
    for (int i = 0; i < WORKERS; i++) {
        struct sb_bus_msg *msg = test_recv(dealers[i]);

        assert_int_equal(sb_bus_msg_frames(msg), 2);
        assert_true(sb_slice_is(sb_bus_msg_frame(msg, 0), "SNAPSHOT"));
        assert_int_equal(sb_bus_msg_frame(msg, 1).n, BYTES);
        assert_int_equal(sb_bus_msg_frame(msg, 1).p[0], 'b');
        assert_int_equal(sb_bus_msg_frame(msg, 1).p[BYTES - 1], 'b');
        sb_bus_msg_destroy(&msg);
        sb_bus_socket_destroy(&dealers[i]);
    }
    sb_bus_socket_destroy(&router);
    test_tmpdir_empty(&dir);
}

static void a_message_has_one_to_sixteen_frames(void **state)
{
    struct sb_slice frames[SB_BUS_FRAMES_MAX + 1];
    struct sb_bus_msg *msg;
    struct pair pair;

    (void)state;
    open_pair(&pair, ipc_addr, &plain);
    for (size_t i = 0; i <= SB_BUS_FRAMES_MAX; i++)
        frames[i] = SB_SLICE_LIT("f");
    assert_int_equal(sb_bus_send(pair.dealer, frames, 0), SB_EINVAL);
    assert_int_equal(sb_bus_send(pair.dealer, frames, SB_BUS_FRAMES_MAX + 1), SB_EINVAL);
    assert_int_equal(sb_bus_send(pair.dealer, frames, SB_BUS_FRAMES_MAX), SB_OK);
    msg = test_recv(pair.router);
    assert_int_equal(sb_bus_msg_frames(msg), SB_BUS_FRAMES_MAX);
    sb_bus_msg_destroy(&msg);
    close_pair(&pair);
}

static void read_exactly(int fd, char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t got = read(fd, bytes, n);

        assert_true(got > 0);
        bytes += got;
        n -= (size_t)got;
    }
}

/* A stranger that speaks ZMTP 3.0 by hand: what no socket of ours would send. */
static int dial_raw(void)
{
    static const char greeting[64] = {(char)0xff, 0,    0, 0, 0,   0,   0,   0,
                                      0,          0x7f, 3, 0, 'N', 'U', 'L', 'L'};
    static const char ready[] = "\x04\x3d"
                                "\x05READY"
                                "\x0bSocket-Type\0\0\0\x06"
                                "DEALER"
                                "\x07User-Id\0\0\0\x05"
                                "admin"
                                "\x04Name\0\0\0\x07"
                                "mallory";
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    char answer[256];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    _Static_assert(sizeof(ready) - 1 == 2 + 0x3d, "length of READY");
    assert_true(fd >= 0);
    (void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", ipc_addr + 6);
    assert_int_equal(connect(fd, (const struct sockaddr *)(const void *)&sun, sizeof(sun)), 0);
    assert_int_equal(write(fd, greeting, sizeof(greeting)), sizeof(greeting));
    assert_int_equal(write(fd, ready, sizeof(ready) - 1), sizeof(ready) - 1);
    /* Its greeting, then READY with a one-byte length: not a frame before. */
    read_exactly(fd, answer, 64 + 2);
    read_exactly(fd, answer, (unsigned char)answer[65]);
    return fd;
}

static void send_raw_frames(int fd, int n)
{
    for (int i = 0; i < n; i++) {
        const char frame[] = {i + 1 < n ? 1 : 0, 1, 'f'}; /* flag "more", length, byte */

        assert_int_equal(write(fd, frame, sizeof(frame)), sizeof(frame));
    }
}

static void a_stranger_cannot_name_itself_nor_send_too_much(void **state)
{
    struct sb_bus_socket *router = test_socket(SB_BUS_ROUTER, &plain);
    struct sb_bus_msg *msg = NULL;
    int fd;

    (void)state;
    test_bind(router, ipc_addr);
    fd = dial_raw();
    send_raw_frames(fd, SB_BUS_FRAMES_MAX + 1);
    send_raw_frames(fd, 200);
    send_raw_frames(fd, 3);
    for (int i = 0; i < 2; i++) {

        assert_true(test_await(router, SB_REACTOR_IN, TEST_PATIENCE));
        assert_int_equal(sb_bus_recv(router, &msg), SB_EPARSE);
        assert_null(msg);
    }
    msg = test_recv(router); /* the next is whole */
    assert_int_equal(sb_bus_msg_frames(msg), 3);
    assert_int_equal(sb_bus_msg_key(msg).n, 0);
    assert_int_equal(sb_bus_msg_name(msg).n, 0);
    sb_bus_msg_destroy(&msg);
    assert_int_equal(close(fd), 0);
    sb_bus_socket_destroy(&router);
    test_tmpdir_empty(&dir);
}

static void who_sends_too_big_a_frame_is_cut_off(void **state)
{
    static char block[2000];
    const struct sb_bus_opts small = {.max_message_bytes = 1000};
    const struct sb_slice fits = sb_slice_make(block, 1000), big = sb_slice_make(block, 1001);
    struct sb_bus_monitor *monitor = NULL;
    enum sb_bus_event event = SB_BUS_CONNECTED;
    struct sb_bus_msg *msg;
    struct pair pair;

    (void)state;
    open_pair(&pair, ipc_addr, &small);
    assert_int_equal(sb_bus_send(pair.dealer, &fits, 1), SB_OK);
    msg = test_recv(pair.router);
    sb_bus_msg_destroy(&msg);
    assert_int_equal(sb_bus_monitor_new(pair.router, &monitor), SB_OK);
    assert_int_equal(sb_bus_send(pair.dealer, &big, 1), SB_OK);
    while (event != SB_BUS_DISCONNECTED) {
        assert_true(test_await(sb_bus_monitor_socket(monitor), SB_REACTOR_IN, TEST_PATIENCE));
        assert_int_equal(sb_bus_monitor_next(monitor, &event, NULL), SB_OK);
    }
    assert_int_equal(sb_bus_recv(pair.router, &msg), SB_EAGAIN);
    sb_bus_monitor_destroy(&monitor);
    close_pair(&pair);
}

static void a_monitor_tells_where(void **state)
{
    struct sb_bus_socket *router = test_socket(SB_BUS_ROUTER, &plain);
    struct sb_bus_socket *dealer = test_socket(SB_BUS_DEALER, &plain);
    struct sb_bus_monitor *monitor = NULL;
    enum sb_bus_event event = SB_BUS_DISCONNECTED;
    char addr[SB_BUSADDR_MAX] = "";

    (void)state;
    test_bind(router, ipc_addr);
    assert_int_equal(sb_bus_monitor_new(dealer, &monitor), SB_OK);
    assert_int_equal(sb_bus_monitor_next(monitor, &event, addr), SB_EAGAIN);
    test_connect(dealer, ipc_addr);
    assert_true(test_await(sb_bus_monitor_socket(monitor), SB_REACTOR_IN, TEST_PATIENCE));
    assert_int_equal(sb_bus_monitor_next(monitor, &event, addr), SB_OK);
    assert_int_equal(event, SB_BUS_CONNECTED);
    assert_string_equal(sb_bus_event_name(event), "connected");
    assert_string_equal(addr, ipc_addr);
    sb_bus_monitor_destroy(&monitor);
    assert_null(monitor);
    sb_bus_socket_destroy(&dealer);
    sb_bus_socket_destroy(&router);
    test_tmpdir_empty(&dir);
}

static void a_bad_address_is_refused_with_a_reason(void **state)
{
    struct sb_bus_socket *router = test_socket(SB_BUS_ROUTER, &plain), *second;
    struct sb_errmsg err = {.text = ""};

    (void)state;
    assert_int_equal(sb_bus_bind(router, "tcp://0.0.0.0:*", &err), SB_EACCES);
    assert_int_equal(sb_bus_connect(router, "tcp://192.0.2.1:5555", &err), SB_EACCES);
    assert_string_equal(sb_bus_bound_addr(router), "");
    assert_int_equal(sb_bus_bind(router, "ipc:///nonexistent/bus", &err), SB_ENOENT);
    assert_non_null(strstr(err.text, "/nonexistent/bus"));
    test_bind(router, ipc_addr);
    second = test_socket(SB_BUS_ROUTER, &plain);
    assert_int_equal(sb_bus_bind(second, ipc_addr, &err), SB_EADDRINUSE);
    test_bind(router, "tcp://127.0.0.1:*");
    assert_int_equal(sb_bus_bind(second, sb_bus_bound_addr(router), &err), SB_EADDRINUSE);
    sb_bus_socket_destroy(&second);
    sb_bus_socket_destroy(&router);
    test_tmpdir_empty(&dir);
}

static void half_a_key_set_up_is_refused(void **state)
{
    struct sb_buskey *key = sb_buskey_new();
    struct sb_bus_socket *sock = NULL;
    const struct sb_bus_opts halves[] = {
        {.max_message_bytes = 1, .key = key},
        {.max_message_bytes = 1, .server_public = sb_buskey_public(key)},
        {.max_message_bytes = 1, .key = key, .server_public = "short"},
    };
    const struct sb_bus_opts client = {
        .max_message_bytes = 1, .key = key, .server_public = sb_buskey_public(key)};

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(halves); i++) {
        struct sb_errmsg err = {.text = ""};

        assert_int_equal(sb_bus_socket_new(SB_BUS_DEALER, &halves[i], &sock, &err), SB_EINVAL);
        assert_int_not_equal(err.text[0], '\0');
        assert_null(sock);
    }
    sock = test_socket(SB_BUS_DEALER, &client);
    assert_int_equal(sb_bus_bind(sock, "tcp://127.0.0.1:*", NULL), SB_EINVAL);
    sb_bus_socket_destroy(&sock);
    sb_buskey_destroy(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_stay_ours),
        cmocka_unit_test(a_message_goes_there_and_back_over_ipc),
        cmocka_unit_test(a_message_goes_there_and_back_over_tcp),
        cmocka_unit_test(a_subscriber_gets_what_it_subscribed_to),
        cmocka_unit_test(a_slow_subscriber_never_holds_the_publisher_up),
        cmocka_unit_test(a_full_queue_says_so_and_loses_nothing),
        cmocka_unit_test(a_router_at_a_peers_limit_says_so),
        cmocka_unit_test(a_peer_that_is_gone_cannot_be_sent_to),
        cmocka_unit_test(nothing_queues_for_a_peer_that_is_not_there),
        cmocka_unit_test(a_blob_is_shared_by_what_carries_it),
        cmocka_unit_test(a_message_has_one_to_sixteen_frames),
        cmocka_unit_test(a_stranger_cannot_name_itself_nor_send_too_much),
        cmocka_unit_test(who_sends_too_big_a_frame_is_cut_off),
        cmocka_unit_test(a_monitor_tells_where),
        cmocka_unit_test(a_bad_address_is_refused_with_a_reason),
        cmocka_unit_test(half_a_key_set_up_is_refused),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
