/* tests/unit/controlplane/test_fetch.c - over real sockets on loopback. */
#include "controlplane/probes/fetch.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/arena.h"
#include "common/bus.h"
#include "common/reactor.h"
#include "common/secret.h"
#include "tests/lib/test.h"

enum { TURNS_MAX = 3000, HELD_MAX = 8 };

/* A server that reads one request per connection and says one thing. */
static struct {
    int fd;
    uint16_t port;
    const char *answer; /* NULL: nothing, and the connection stays */
    int held[HELD_MAX];
    unsigned n_held, accepted;
    char heard[4096]; /* of the last request */
} server;

static struct {
    struct sb_arena *arena;
    char body[256];
    size_t bytes, enough; /* stop after that many; 0: never */
    unsigned ended, status;
    struct cp_fetch_end end;
} got;

static struct sb_reactor *reactor;
static struct cp_fetcher *fetcher;

static void on_accept(void *ctx, unsigned events)
{
    int fd = accept(server.fd, NULL, NULL);
    size_t n = 0;

    (void)ctx;
    (void)events;
    assert_true(fd >= 0);
    server.accepted++;
    server.heard[0] = '\0';
    while (strstr(server.heard, "\r\n\r\n") == NULL) {
        ssize_t got_n = recv(fd, server.heard + n, sizeof(server.heard) - 1 - n, 0);

        assert_true(got_n > 0);
        n += (size_t)got_n;
        server.heard[n] = '\0';
    }
    if (server.answer == NULL) {
        assert_true(server.n_held < HELD_MAX);
        server.held[server.n_held++] = fd;
        return;
    }
    (void)!send(fd, server.answer, strlen(server.answer), MSG_NOSIGNAL);
    (void)close(fd);
}

static bool on_body(void *ctx, unsigned status, struct sb_slice bytes)
{
    (void)ctx;
    got.status = status;
    if (got.bytes + bytes.n < sizeof(got.body))
        memcpy(got.body + got.bytes, bytes.p, bytes.n);
    got.bytes += bytes.n;
    return got.enough == 0 || got.bytes < got.enough;
}

static void on_end(void *ctx, const struct cp_fetch_end *end)
{
    (void)ctx;
    got.ended++;
    got.end = *end;
}

static const struct cp_fetch_reader reader = {.on_body = on_body, .on_end = on_end};

static int set_up(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);

    (void)state;
    memset(&server, 0, sizeof(server));
    memset(&got, 0, sizeof(got));
    got.arena = sb_arena_new(1024);
    server.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server.fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(server.fd, 16), 0);
    assert_int_equal(getsockname(server.fd, (struct sockaddr *)&address, &size), 0);
    server.port = ntohs(address.sin_port);
    assert_int_equal(sb_reactor_new(&sb_clock_system, &reactor), SB_OK);
    assert_int_equal(cp_fetcher_new(reactor, &fetcher), SB_OK);
    sb_reactor_add_fd(reactor, server.fd, SB_REACTOR_IN, on_accept, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cp_fetcher_destroy(&fetcher);
    sb_reactor_remove_fd(reactor, server.fd);
    sb_reactor_destroy(&reactor);
    for (unsigned i = 0; i < server.n_held; i++)
        (void)close(server.held[i]);
    (void)close(server.fd);
    sb_arena_destroy(&got.arena);
    return 0;
}

static struct cp_fetch_request request(void)
{
    return (struct cp_fetch_request){
        .url = sb_arena_printf(got.arena, "http://127.0.0.1:%u/v1/x", server.port).p,
        .connect_limit = 10000,
        .first_limit = 30000,
        .limit = 60000,
        .bytes_limit = 100000,
    };
}

static struct cp_fetch *begin(const struct cp_fetch_request *wanted)
{
    struct cp_fetch *fetch = NULL;

    assert_int_equal(cp_fetch_start(fetcher, wanted, &reader, NULL, &fetch), SB_OK);
    return fetch;
}

static void run(const struct cp_fetch_request *wanted)
{
    unsigned before = got.ended;

    (void)begin(wanted);
    for (int i = 0; got.ended == before; i++) {
        assert_true(i < TURNS_MAX);
        assert_int_equal(sb_reactor_turn(reactor, 1000), SB_OK);
    }
    assert_int_equal(cp_fetcher_count(fetcher), 0);
}

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"

static void a_request_goes_out_whole_and_its_answer_comes_back(void **state)
{
    static const char *const fields[] = {"x-title: app", NULL};
    struct cp_fetch_request wanted = request();
    SB_CLEANUP(sb_secret_destroy) struct sb_secret *auth = NULL;

    (void)state;
    assert_int_equal(sb_secret_new(SB_SLICE_LIT("Authorization: Bearer k"), &auth), SB_OK);
    server.answer = OK_HEAD "hello";
    wanted.fields = fields;
    wanted.auth = auth;
    run(&wanted);
    assert_int_equal(got.end.outcome, MSG_OUTCOME_SUCCESS);
    assert_int_equal(got.end.status, 200);
    assert_true(got.end.was_sent && got.end.connect > 0 && got.end.ready >= got.end.connect);
    assert_int_equal(got.bytes, 5);
    assert_memory_equal(got.body, "hello", 5);
    assert_non_null(strstr(server.heard, "GET /v1/x HTTP/1.1\r\n"));
    assert_non_null(strstr(server.heard, "x-title: app\r\n"));
    assert_non_null(strstr(server.heard, "Authorization: Bearer k\r\n"));
    assert_null(strstr(server.heard, "Expect:"));
}

static void a_body_makes_it_a_post_and_each_has_a_connection_of_its_own(void **state)
{
    struct cp_fetch_request wanted = request();

    (void)state;
    server.answer = OK_HEAD "hello";
    wanted.body = SB_SLICE_LIT("{}");
    run(&wanted);
    assert_non_null(strstr(server.heard, "POST /v1/x HTTP/1.1\r\n"));
    run(&wanted);
    assert_int_equal(server.accepted, 2);
}

static void a_status_is_an_answer_and_says_when_to_come_again(void **state)
{
    struct cp_fetch_request wanted = request();

    (void)state;
    server.answer = "HTTP/1.1 429 No\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n";
    run(&wanted);
    assert_int_equal(got.end.outcome, MSG_OUTCOME_SUCCESS);
    assert_int_equal(got.end.status, 429);
    assert_int_equal(got.end.retry_after, 7000);
    server.answer = "HTTP/1.1 429 No\r\nRetry-After: 7\r\nRetry-After-Ms: 6500.5\r\n"
                    "Content-Length: 0\r\n\r\n";
    run(&wanted);
    assert_int_equal(got.end.retry_after, 6501);
    server.answer = "HTTP/1.1 503 No\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                    "Retry-After: Sun, 06 Nov 1994 08:50:37 GMT\r\nContent-Length: 0\r\n\r\n";
    run(&wanted);
    assert_int_equal(got.end.retry_after, 60000);
    server.answer = "HTTP/1.1 429 No\r\nContent-Length: 0\r\n\r\n";
    run(&wanted);
    assert_int_equal(got.end.retry_after, 0);
    /* a redirect is not followed: a key would go along */
    server.answer = "HTTP/1.1 302 No\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    run(&wanted);
    assert_int_equal(got.end.status, 302);
    assert_int_equal(server.accepted, 5);
}

static void what_is_too_long_or_enough_is_ended(void **state)
{
    struct cp_fetch_request wanted = request();

    (void)state;
    server.answer = OK_HEAD "hello";
    wanted.bytes_limit = 4;
    run(&wanted);
    assert_true(got.end.is_too_big);
    assert_int_equal(got.end.outcome, MSG_OUTCOME_BAD_ANSWER);
    assert_int_equal(got.bytes, 0);
    wanted.bytes_limit = 5;
    got.enough = 1;
    server.answer = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello";
    run(&wanted);
    assert_int_equal(got.end.outcome, MSG_OUTCOME_SUCCESS);
    assert_false(got.end.is_too_big);
}

static void failures_are_told_apart(void **state)
{
    struct cp_fetch_request wanted = request();

    (void)state;
    server.answer = ""; /* closed without a word */
    run(&wanted);
    assert_int_equal(got.end.outcome, MSG_OUTCOME_RESET);
    server.answer = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello"; /* cut */
    run(&wanted);
    assert_int_equal(got.end.outcome, MSG_OUTCOME_RESET);
    assert_int_equal(got.end.status, 200);
    server.answer = "nonsense\r\n\r\n";
    run(&wanted);
    assert_int_equal(got.end.outcome, MSG_OUTCOME_BAD_ANSWER);
    wanted.url = "http://127.0.0.1:1/";
    run(&wanted);
    assert_int_equal(got.end.outcome, MSG_OUTCOME_CONNECT_FAILED);
    assert_false(got.end.was_sent);
    wanted.url = "file:///etc/passwd";
    run(&wanted);
    assert_int_equal(got.end.outcome, MSG_OUTCOME_CONNECT_FAILED);
    assert_int_equal(got.end.status, 0);
}

static void silence_has_an_end(void **state)
{
    struct cp_fetch_request wanted = request();

    (void)state;
    wanted.first_limit = 30;
    run(&wanted);
    assert_int_equal(got.end.outcome, MSG_OUTCOME_FIRST_TOKEN_TIMEOUT);
    assert_true(got.end.was_sent);
    wanted.first_limit = 30000;
    wanted.limit = 30;
    run(&wanted);
    assert_int_equal(got.end.outcome, MSG_OUTCOME_ATTEMPT_TIMEOUT);
}

static void what_is_cancelled_says_nothing_more(void **state)
{
    struct cp_fetch_request wanted = request();
    struct cp_fetch *first = begin(&wanted), *second = begin(&wanted);

    (void)state;
    for (int i = 0; server.accepted < 2 && i < TURNS_MAX; i++)
        assert_int_equal(sb_reactor_turn(reactor, 1000), SB_OK);
    assert_int_equal(cp_fetcher_count(fetcher), 2);
    cp_fetch_cancel(&first);
    assert_null(first);
    assert_int_equal(cp_fetcher_count(fetcher), 1);
    assert_int_equal(sb_reactor_turn(reactor, 0), SB_OK);
    assert_int_equal(got.ended, 0);
    (void)second; /* ended with the fetcher */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static int group_start(void **state)
{
    (void)state;
    return sb_bus_init(NULL) == SB_OK ? 0 : -1;
}

static int group_stop(void **state)
{
    (void)state;
    sb_bus_shutdown();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_goes_out_whole_and_its_answer_comes_back),
        TEST(a_body_makes_it_a_post_and_each_has_a_connection_of_its_own),
        TEST(a_status_is_an_answer_and_says_when_to_come_again),
        TEST(what_is_too_long_or_enough_is_ended),
        TEST(failures_are_told_apart),
        TEST(silence_has_an_end),
        TEST(what_is_cancelled_says_nothing_more),
    };

    return cmocka_run_group_tests(tests, group_start, group_stop);
}
