/* tests/unit/common/test_busauth.c - who may connect; real handshakes on
 * loopback. */
#include "common/busauth.h"

#include <pthread.h>

#include "common/buskey.h"
#include "tests/lib/bus.h"
#include "tests/lib/tmpdir.h"

static struct test_tmpdir dir;
static struct sb_buskey *server_key, *alice, *mallory;

/* What the handler's thread reports. */
static struct {
    pthread_mutex_t lock;
    char key[SB_BUSKEY_TEXT + 1];
    char address[64];
    int n;
} refused = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int set_up(void **state)
{
    (void)state;
    if (sb_bus_init(NULL) != SB_OK)
        return -1;
    test_tmpdir_make(&dir);
    server_key = sb_buskey_new();
    alice = sb_buskey_new();
    mallory = sb_buskey_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sb_buskey_destroy(&server_key);
    sb_buskey_destroy(&alice);
    sb_buskey_destroy(&mallory);
    test_tmpdir_remove(&dir);
    sb_bus_shutdown();
    return 0;
}

static void on_refused(void *ctx, struct sb_slice key, struct sb_slice address)
{
    (void)ctx;
    (void)pthread_mutex_lock(&refused.lock);
    (void)sb_slice_copy_text(key, refused.key, sizeof(refused.key));
    (void)sb_slice_copy_text(address, refused.address, sizeof(refused.address));
    refused.n++;
    (void)pthread_mutex_unlock(&refused.lock);
}

static void list(const char *path, const struct sb_buskey *key, const char *name)
{
    char text[256];

    (void)snprintf(text, sizeof(text), "# who may connect\n\n  %s   %s\n#\n",
                   key != NULL ? sb_buskey_public(key) : "# nobody", key != NULL ? name : "");
    test_write_file(path, text, 0644);
}

static struct sb_busauth *start_auth(const char *path)
{
    struct sb_busauth *auth = NULL;
    struct sb_errmsg err = {.text = ""};

    if (sb_busauth_start(path, on_refused, NULL, &auth, &err) != SB_OK)
        fail_msg("%s", err.text);
    return auth;
}

struct pair {
    struct sb_bus_socket *router, *dealer;
    struct sb_bus_monitor *monitor; /* of the dealer */
};

static void open_router(struct pair *pair, struct sb_busauth *auth)
{
    const struct sb_bus_opts opts = {.max_message_bytes = 1000, .key = server_key, .auth = auth};

    pair->router = test_socket(SB_BUS_ROUTER, &opts);
    test_bind(pair->router, "tcp://127.0.0.1:*");
}

static void open_dealer(struct pair *pair, const struct sb_buskey *key, const char *server_public)
{
    const struct sb_bus_opts opts = {
        .max_message_bytes = 1000, .key = key, .server_public = server_public};

    pair->dealer = test_socket(SB_BUS_DEALER, &opts);
    assert_int_equal(sb_bus_monitor_new(pair->dealer, &pair->monitor), SB_OK);
    test_connect(pair->dealer, sb_bus_bound_addr(pair->router));
}

static void close_dealer(struct pair *pair)
{
    sb_bus_monitor_destroy(&pair->monitor);
    sb_bus_socket_destroy(&pair->dealer);
}

static enum sb_bus_event next_event(struct sb_bus_monitor *monitor)
{
    enum sb_bus_event event = SB_BUS_DISCONNECTED;

    assert_true(test_await(sb_bus_monitor_socket(monitor), SB_REACTOR_IN, TEST_PATIENCE));
    assert_int_equal(sb_bus_monitor_next(monitor, &event, NULL), SB_OK);
    return event;
}

static void assert_refused(struct pair *pair)
{
    const struct sb_slice frame = SB_SLICE_LIT("let me in");
    struct sb_bus_msg *msg = NULL;

    assert_int_equal(next_event(pair->monitor), SB_BUS_REFUSED);
    assert_int_equal(sb_bus_send(pair->dealer, &frame, 1), SB_EAGAIN);
    assert_int_equal(sb_bus_recv(pair->router, &msg), SB_EAGAIN);
}

static void assert_let_in_as(struct pair *pair, const struct sb_buskey *key, const char *name)
{
    const struct sb_slice frames[] = {SB_SLICE_LIT("hello"), SB_SLICE_LIT("world")};
    struct sb_bus_msg *msg;

    test_connected(pair->dealer);
    assert_int_equal(sb_bus_send(pair->dealer, frames, 2), SB_OK);
    msg = test_recv(pair->router);
    assert_true(sb_slice_is(sb_bus_msg_frame(msg, 0), "hello"));
    assert_true(sb_slice_is(sb_bus_msg_key(msg), sb_buskey_public(key)));
    assert_true(sb_slice_is(sb_bus_msg_name(msg), name));
    assert_int_equal(sb_bus_send_to(pair->router, sb_bus_msg_peer(msg), frames, 1), SB_OK);
    sb_bus_msg_destroy(&msg);
    msg = test_recv(pair->dealer); /* on our side the server's key is pinned, not told */
    assert_int_equal(sb_bus_msg_key(msg).n, 0);
    assert_int_equal(sb_bus_msg_name(msg).n, 0);
    sb_bus_msg_destroy(&msg);
}

static void a_listed_key_is_let_in_and_named(void **state)
{
    char path[64];
    struct sb_busauth *auth;
    struct pair pair;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s", test_tmp(&dir, "authorised"));
    list(path, alice, "alice-1.example_net");
    auth = start_auth(path);
    assert_true(sb_busauth_allows(auth, sb_slice_of(sb_buskey_public(alice))));
    assert_false(sb_busauth_allows(auth, sb_slice_of(sb_buskey_public(mallory))));
    assert_false(sb_busauth_allows(auth, SB_SLICE_NONE));
    open_router(&pair, auth);
    open_dealer(&pair, alice, sb_buskey_public(server_key));
    assert_let_in_as(&pair, alice, "alice-1.example_net");
    assert_int_equal(next_event(pair.monitor), SB_BUS_CONNECTED);
    close_dealer(&pair);
    sb_bus_socket_destroy(&pair.router);
    sb_busauth_stop(&auth);
    assert_null(auth);
    test_tmpdir_empty(&dir);
}

static void an_unlisted_key_is_turned_away_until_it_is_listed(void **state)
{
    char path[64];
    struct sb_busauth *auth;
    struct pair pair;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s", test_tmp(&dir, "authorised"));
    list(path, alice, "alice");
    auth = start_auth(path);
    (void)pthread_mutex_lock(&refused.lock);
    refused.n = 0;
    (void)pthread_mutex_unlock(&refused.lock);
    open_router(&pair, auth);
    open_dealer(&pair, mallory, sb_buskey_public(server_key));
    assert_refused(&pair);
    (void)pthread_mutex_lock(&refused.lock);
    assert_true(refused.n >= 1);
    assert_string_equal(refused.key, sb_buskey_public(mallory));
    assert_non_null(strstr(refused.address, "127.0.0.1"));
    (void)pthread_mutex_unlock(&refused.lock);

    /* The same socket gets in by itself once its key is there. */
    list(path, mallory, "reformed");
    assert_int_equal(sb_busauth_reload(auth, NULL), SB_OK);
    assert_let_in_as(&pair, mallory, "reformed");
    assert_false(sb_busauth_allows(auth, sb_slice_of(sb_buskey_public(alice))));
    close_dealer(&pair);
    sb_bus_socket_destroy(&pair.router);
    sb_busauth_stop(&auth);
    test_tmpdir_empty(&dir);
}

static void nobody_without_the_right_keys_gets_in(void **state)
{
    char path[64];
    struct sb_busauth *auth;
    struct pair pair;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s", test_tmp(&dir, "authorised"));
    list(path, alice, "alice");
    auth = start_auth(path);
    open_router(&pair, auth);
    open_dealer(&pair, NULL, NULL); /* plaintext */
    assert_refused(&pair);
    close_dealer(&pair);
    open_dealer(&pair, alice, sb_buskey_public(mallory)); /* takes us for somebody else */
    assert_refused(&pair);
    close_dealer(&pair);
    sb_bus_socket_destroy(&pair.router);
    list(path, NULL, NULL); /* an empty list lets nobody in, rather than everybody */
    assert_int_equal(sb_busauth_reload(auth, NULL), SB_OK);
    open_router(&pair, auth);
    open_dealer(&pair, alice, sb_buskey_public(server_key));
    assert_refused(&pair);
    close_dealer(&pair);
    sb_bus_socket_destroy(&pair.router);
    sb_busauth_stop(&auth);
    test_tmpdir_empty(&dir);
}

static void a_client_does_not_talk_to_a_server_without_its_pinned_key(void **state)
{
    const struct sb_bus_opts plain = {.max_message_bytes = 1000};
    struct pair pair;

    (void)state;
    pair.router = test_socket(SB_BUS_ROUTER, &plain);
    test_bind(pair.router, "tcp://127.0.0.1:*");
    open_dealer(&pair, alice, sb_buskey_public(server_key));
    assert_refused(&pair);
    close_dealer(&pair);
    sb_bus_socket_destroy(&pair.router);
}

static void a_subscriber_is_authenticated_too(void **state)
{
    const struct sb_slice frame = SB_SLICE_LIT("S news");
    char path[64];
    struct sb_busauth *auth;
    struct sb_bus_socket *pub, *sub;
    struct sb_bus_msg *msg = NULL;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s", test_tmp(&dir, "authorised"));
    list(path, alice, "alice");
    auth = start_auth(path);
    pub = test_socket(SB_BUS_PUB, &(struct sb_bus_opts){
                                      .max_message_bytes = 1000, .key = server_key, .auth = auth});
    test_bind(pub, "tcp://127.0.0.1:*");
    sub = test_socket(SB_BUS_SUB,
                      &(struct sb_bus_opts){.max_message_bytes = 1000,
                                            .key = alice,
                                            .server_public = sb_buskey_public(server_key)});
    sb_bus_subscribe(sub, SB_SLICE_LIT("S"));
    test_connect(sub, sb_bus_bound_addr(pub));
    for (int i = 0; i < 3000 && msg == NULL; i++) { /* until the subscription has arrived */
        assert_int_equal(sb_bus_send(pub, &frame, 1), SB_OK);
        if (test_await(sub, SB_REACTOR_IN, 10))
            assert_int_equal(sb_bus_recv(sub, &msg), SB_OK);
    }
    assert_non_null(msg);
    sb_bus_msg_destroy(&msg);
    sb_bus_socket_destroy(&sub);
    sb_bus_socket_destroy(&pub);
    sb_busauth_stop(&auth);
    test_tmpdir_empty(&dir);
}

static void keys_may_lie_in_a_directory(void **state)
{
    char path[64], text[128];
    struct sb_busauth *auth;
    struct sb_errmsg err = {.text = ""};

    (void)state;
    (void)snprintf(path, sizeof(path), "%s", dir.path);
    (void)snprintf(text, sizeof(text), "public: %s\n", sb_buskey_public(alice));
    test_write_file(test_tmp(&dir, "alice.pub"), text, 0644);
    test_write_file(test_tmp(&dir, "README"), "not a key", 0644);
    test_write_file(test_tmp(&dir, ".hidden.pub"), "not a key", 0644);
    auth = start_auth(path);
    assert_true(sb_busauth_allows(auth, sb_slice_of(sb_buskey_public(alice))));

    /* A wrong file changes nothing, and says where. */
    test_write_file(test_tmp(&dir, "bob.pub"), "public: nonsense\n", 0644);
    assert_int_equal(sb_busauth_reload(auth, &err), SB_EPARSE);
    assert_non_null(strstr(err.text, "bob.pub"));
    assert_true(sb_busauth_allows(auth, sb_slice_of(sb_buskey_public(alice))));
    test_write_file(test_tmp(&dir, "bob.pub"), text, 0644);
    assert_int_equal(sb_busauth_reload(auth, &err), SB_EEXIST); /* alice's key again */
    assert_int_equal(unlink(test_tmp(&dir, "bob.pub")), 0);
    assert_int_equal(unlink(test_tmp(&dir, "alice.pub")), 0);
    assert_int_equal(sb_busauth_reload(auth, &err), SB_OK);
    assert_false(sb_busauth_allows(auth, sb_slice_of(sb_buskey_public(alice))));
    sb_busauth_stop(&auth);
    test_tmpdir_empty(&dir);
}

static void wrong_lists_name_the_line(void **state)
{
    static const char key[] = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
    static const struct {
        const char *format, *says;
        int rc;
    } cases[] = {
        {"# fine\nnonsense alice\n", "line 2: not a public key", SB_EPARSE},
        {"%s\n", "line 1: a name is", SB_EPARSE},
        {"%s al/ice\n", "line 1: a name is", SB_EPARSE},
        {"%s two names\n", "line 1: a name is", SB_EPARSE},
        {"%1$s a\n\n%1$s b\n", "line 3: the key of 'a' comes again", SB_EEXIST},
    };
    char path[64], text[256];

    (void)state;
    (void)snprintf(path, sizeof(path), "%s", test_tmp(&dir, "list"));
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        struct sb_busauth *auth = NULL;
        struct sb_errmsg err = {.text = ""};
        size_t n = 0;

        /* "%s" and "%1$s" stand for the key. */
        for (const char *p = cases[i].format; *p != '\0';) {
            if (*p == '%') {
                n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", key);
                p = strchr(p, 's') + 1;
            } else {
                text[n++] = *p++;
            }
        }
        text[n] = '\0';
        test_write_file(path, text, 0644);
        assert_int_equal(sb_busauth_start(path, NULL, NULL, &auth, &err), cases[i].rc);
        assert_non_null(strstr(err.text, cases[i].says));
        assert_non_null(strstr(err.text, path));
        assert_null(auth);
    }
    test_tmpdir_empty(&dir);
}

static void a_process_has_one_handler(void **state)
{
    struct sb_busauth *auth, *second = NULL;
    struct sb_errmsg err = {.text = ""};

    (void)state;
    assert_int_equal(sb_busauth_start("/nonexistent/keys", NULL, NULL, &second, &err), SB_ENOENT);
    assert_non_null(strstr(err.text, "/nonexistent/keys"));
    auth = start_auth(dir.path);
    assert_int_equal(sb_busauth_start(dir.path, NULL, NULL, &second, &err), SB_EADDRINUSE);
    assert_null(second);
    sb_busauth_stop(&auth);
    auth = start_auth(dir.path); /* and one after the other */
    sb_busauth_stop(&auth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listed_key_is_let_in_and_named),
        cmocka_unit_test(an_unlisted_key_is_turned_away_until_it_is_listed),
        cmocka_unit_test(nobody_without_the_right_keys_gets_in),
        cmocka_unit_test(a_client_does_not_talk_to_a_server_without_its_pinned_key),
        cmocka_unit_test(a_subscriber_is_authenticated_too),
        cmocka_unit_test(keys_may_lie_in_a_directory),
        cmocka_unit_test(wrong_lists_name_the_line),
        cmocka_unit_test(a_process_has_one_handler),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
