/* The HTTP server of the admin API, over real sockets. */
#include "tests/lib/test.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/check.h"
#include "controlplane/admin/http.h"

/* What the handlers of the test do, and what they saw. */
struct world {
    struct cp_http *http;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool holds;       /* serve() waits until released */
    bool is_serving;  /* it does */
    unsigned refused; /* bodies over the limit, or of two lengths */
    unsigned pieces;  /* of a stream that were made */
};
static struct world world;

static void set(bool *flag, bool value)
{
    (void)pthread_mutex_lock(&world.lock);
    *flag = value;
    (void)pthread_cond_broadcast(&world.changed);
    (void)pthread_mutex_unlock(&world.lock);
}

static void wait_for(const bool *flag, bool value)
{
    (void)pthread_mutex_lock(&world.lock);
    while (*flag != value)
        (void)pthread_cond_wait(&world.changed, &world.lock);
    (void)pthread_mutex_unlock(&world.lock);
}

static void fill(struct cp_http_reply *reply, unsigned status, struct sb_slice body)
{
    reply->status = status;
    reply->content_type = "text/plain";
    SB_BUG_ON(sb_buf_append(&reply->body, body) != SB_OK);
}

static bool on_head(void *ctx, struct cp_http_request *request, struct cp_http_reply *reply)
{
    (void)ctx;
    if (!sb_slice_starts_with(request->target, SB_SLICE_LIT("/refused")))
        return true;
    fill(reply, 401, SB_SLICE_LIT("no"));
    cp_http_reply_field(reply, "WWW-Authenticate", "Bearer");
    return false;
}

static int on_more(void *ctx, struct sb_buf *out)
{
    struct world *at = ctx;

    if (++at->pieces > 3)
        return SB_EEOF;
    return sb_buf_printf(out, "piece %u;", at->pieces);
}

static int on_more_breaks(void *ctx, struct sb_buf *out)
{
    struct world *at = ctx;

    return ++at->pieces > 2 ? SB_EDB : sb_buf_append_text(out, "piece;");
}

static void on_serve(void *ctx, struct cp_http_request *request, struct cp_http_reply *reply)
{
    (void)ctx;
    if (sb_slice_is(request->target, "/hold")) {
        set(&world.is_serving, true);
        wait_for(&world.holds, false);
    }
    if (sb_slice_is(request->target, "/stream") || sb_slice_is(request->target, "/broken")) {
        fill(reply, 200, SB_SLICE_LIT("head;"));
        reply->more = sb_slice_is(request->target, "/stream") ? on_more : on_more_breaks;
        reply->more_ctx = &world;
        return;
    }
    if (sb_slice_is(request->target, "/empty")) {
        reply->status = 204;
        return;
    }
    fill(reply, 200,
         sb_arena_printf(request->arena, "%s %.*s %.*s %zu:", request->method,
                         SB_SLICE_ARGS(request->target),
                         SB_SLICE_ARGS(cp_http_header(request, "X-Mine")), request->body.n));
    SB_BUG_ON(sb_buf_append(&reply->body, request->body) != SB_OK);
}

static void on_refuse(void *ctx, struct cp_http_request *request, struct cp_http_reply *reply,
                      int code)
{
    (void)ctx;
    (void)request;
    world.refused++;
    if (code == SB_ETOOBIG)
        fill(reply, 413, SB_SLICE_LIT("too big"));
    else
        fill(reply, 400, SB_SLICE_LIT("two lengths"));
}

static const struct cp_http_ops ops = {.head = on_head, .serve = on_serve, .refuse = on_refuse};

/* --- a client ------------------------------------------------------------------------ */

static int dial(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)cp_http_port(world.http)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void say(int fd, struct sb_slice bytes)
{
    while (bytes.n > 0) {
        ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);

        if (n < 0)
            return; /* it has heard enough */
        bytes = sb_slice_from(bytes, (size_t)n);
    }
}

/* All until the server closes. */
static char *hear(int fd)
{
    static char text[1 << 20];
    size_t used = 0;
    ssize_t n;

    while ((n = recv(fd, text + used, sizeof(text) - 1 - used, 0)) > 0)
        used += (size_t)n;
    text[used] = '\0';
    (void)close(fd);
    return text;
}

static char *ask(const char *text)
{
    int fd = dial();

    say(fd, sb_slice_of(text));
    return hear(fd);
}

#define CLOSE "Host: x\r\nConnection: close\r\n"

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool ends(const char *text, const char *with)
{
    size_t n = strlen(text), m = strlen(with);

    return n >= m && strcmp(text + n - m, with) == 0;
}

/* --- tests ---------------------------------------------------------------------------- */

static int set_up(void **state)
{
    struct sb_errmsg err;

    (void)state;
    memset(&world, 0, sizeof(world));
    (void)pthread_mutex_init(&world.lock, NULL);
    (void)pthread_cond_init(&world.changed, NULL);
    return cp_http_start("127.0.0.1:0", &ops, &world, &world.http, &err);
}

static int tear_down(void **state)
{
    (void)state;
    cp_http_stop(&world.http);
    assert_null(world.http);
    (void)pthread_cond_destroy(&world.changed);
    (void)pthread_mutex_destroy(&world.lock);
    return 0;
}

static void a_request_is_seen_as_it_was_sent(void **state)
{
    const char *text =
        ask("PUT /a%2Fb?x=%20 HTTP/1.1\r\n" CLOSE "X-Mine: yes\r\nContent-Length: 5\r\n\r\nhello");

    (void)state;
    assert_true(begins(text, "HTTP/1.1 200 "));
    assert_true(ends(text, "PUT /a%2Fb?x=%20 yes 5:hello"));
    assert_non_null(strstr(text, "Content-Type: text/plain\r\n"));
    assert_non_null(strstr(text, "Cache-Control: no-store\r\n"));
    assert_non_null(strstr(text, "X-Request-Id: req-"));
}

static void a_chunked_body_is_put_together(void **state)
{
    (void)state;
    assert_true(ends(ask("PATCH / HTTP/1.1\r\n" CLOSE "Transfer-Encoding: chunked\r\n\r\n"
                         "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"),
                     " 7:abcdefg"));
}

static void a_connection_is_kept(void **state)
{
    const char *text = ask("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\n" CLOSE "\r\n");

    (void)state;
    assert_non_null(strstr(text, "GET /1  0:"));
    assert_true(ends(text, "GET /2  0:"));
}

static void an_empty_answer_has_no_type(void **state)
{
    const char *text = ask("DELETE /empty HTTP/1.1\r\n" CLOSE "\r\n");

    (void)state;
    assert_true(begins(text, "HTTP/1.1 204 "));
    assert_null(strstr(text, "\nContent-Type"));
}

static void who_is_refused_at_the_head_sends_no_body(void **state)
{
    const char *text = ask("PUT /refused HTTP/1.1\r\n" CLOSE
                           "Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n");

    (void)state;
    assert_true(begins(text, "HTTP/1.1 401 "));
    assert_non_null(strstr(text, "WWW-Authenticate: Bearer\r\n"));
}

static void who_waits_to_be_asked_is_asked(void **state)
{
    int fd = dial();
    char text[100] = "";

    (void)state;
    say(fd, SB_SLICE_LIT("PUT / HTTP/1.1\r\n" CLOSE
                         "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
    assert_true(recv(fd, text, sizeof(text) - 1, 0) > 0);
    assert_true(begins(text, "HTTP/1.1 100 "));
    say(fd, SB_SLICE_LIT("ok"));
    assert_true(ends(hear(fd), " 2:ok"));
}

static void a_body_that_is_announced_too_big_is_not_read(void **state)
{
    char head[200];

    (void)state;
    (void)snprintf(head, sizeof(head), "PUT / HTTP/1.1\r\n" CLOSE "Content-Length: %d\r\n\r\n",
                   CP_HTTP_BODY_MAX + 1);
    assert_true(begins(ask(head), "HTTP/1.1 413 "));
    assert_int_equal(world.refused, 1);
}

static void say_chunks(int fd, size_t total)
{
    static char chunk[(1 << 20) + 20];
    size_t n = (size_t)snprintf(chunk, 20, "%x\r\n", 1 << 20);

    memset(chunk + n, 'x', 1 << 20);
    memcpy(chunk + n + (1 << 20), "\r\n", 2);
    for (size_t sent = 0; sent < total; sent += 1 << 20)
        say(fd, sb_slice_make(chunk, n + (1 << 20) + 2));
}

static void a_body_that_turns_out_too_big_is_refused(void **state)
{
    int fd = dial();

    (void)state;
    say(fd, SB_SLICE_LIT("PUT / HTTP/1.1\r\n" CLOSE "Transfer-Encoding: chunked\r\n\r\n"));
    say_chunks(fd, CP_HTTP_BODY_MAX + (1 << 20));
    say(fd, SB_SLICE_LIT("0\r\n\r\n"));
    assert_true(begins(hear(fd), "HTTP/1.1 413 "));
    assert_int_equal(world.refused, 1);
}

static void who_does_not_stop_sending_is_cut_off(void **state)
{
    int fd = dial();

    (void)state;
    say(fd, SB_SLICE_LIT("PUT / HTTP/1.1\r\n" CLOSE "Transfer-Encoding: chunked\r\n\r\n"));
    say_chunks(fd, 3 * (size_t)CP_HTTP_BODY_MAX);
    assert_string_equal(hear(fd), "");
    assert_int_equal(world.refused, 0);
}

static void a_stream_comes_in_pieces_and_ends(void **state)
{
    const char *text = ask("GET /stream HTTP/1.1\r\n" CLOSE "\r\n");

    (void)state;
    assert_non_null(strstr(text, "Transfer-Encoding: chunked\r\n"));
    assert_non_null(strstr(text, "head;"));
    assert_non_null(strstr(text, "piece 3;"));
    assert_true(ends(text, "\r\n0\r\n\r\n"));
}

static void a_stream_that_breaks_does_not_look_whole(void **state)
{
    const char *text = ask("GET /broken HTTP/1.1\r\n" CLOSE "\r\n");

    (void)state;
    assert_non_null(strstr(text, "piece;"));
    assert_false(ends(text, "0\r\n\r\n"));
}

static void ids_of_clients_are_kept_when_they_are_fit(void **state)
{
    (void)state;
    assert_non_null(strstr(ask("GET / HTTP/1.1\r\n" CLOSE "X-Request-Id: mine-7\r\n\r\n"),
                           "X-Request-Id: mine-7\r\n"));
    assert_non_null(strstr(ask("GET / HTTP/1.1\r\n" CLOSE "X-Request-Id: not mine\r\n\r\n"),
                           "X-Request-Id: req-"));
}

/* Half a head, half a body, a whole request whose answer nobody waits for: what
 * was held for them goes with them (a leak fails the test program). */
static void clients_that_leave_leave_nothing(void **state)
{
    static const char *const beginnings[] = {
        "G",
        "GET / HT",
        "GET / HTTP/1.1\r\nHos",
        "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab",
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "\r\n\r\n\r\n",
        "nonsense\r\n\r\n"};

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(beginnings); i++) {
        int fd = dial();

        say(fd, sb_slice_of(beginnings[i]));
        (void)close(fd);
    }
    assert_true(begins(ask("GET / HTTP/1.1\r\n" CLOSE "\r\n"), "HTTP/1.1 200 "));
}

static void *stop_server(void *ctx)
{
    cp_http_stop(ctx);
    return NULL;
}

static bool can_dial(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool can = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;

    (void)close(fd);
    return can;
}

static void a_stop_waits_for_what_is_being_served(void **state)
{
    unsigned port = cp_http_port(world.http);
    pthread_t stopper;
    int fd = dial();

    (void)state;
    world.holds = true;
    say(fd, SB_SLICE_LIT("GET /hold HTTP/1.1\r\n" CLOSE "\r\n"));
    wait_for(&world.is_serving, true);
    assert_int_equal(pthread_create(&stopper, NULL, stop_server, &world.http), 0);
    set(&world.holds, false);
    assert_true(ends(hear(fd), "GET /hold  0:"));
    assert_int_equal(pthread_join(stopper, NULL), 0);
    assert_false(can_dial(port));
}

/* A proxy that takes the other length would see a request in the body.  libmicrohttpd 1 refuses a
 * length beside a coding itself, in its own words and before it asks us. */
static void two_lengths_are_refused_and_end_the_connection(void **state)
{
    static const char *const lengths[] = {
        "Content-Length: 15\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\ncontent-length: 15\r\n",
        "Content-Length: 15\r\nContent-Length: 15\r\n",
        "Content-Length: 15\r\nContent-Length: 0\r\n",
    };
    unsigned refused = 0;

    (void)state;
    for (unsigned i = 0; i < SB_ARRAY_LEN(lengths); i++) {
        char text[512];
        const char *heard;

        (void)snprintf(text, sizeof(text),
                       "PUT /a HTTP/1.1\r\nHost: x\r\n%s\r\n5\r\nhello\r\n0\r\n\r\n"
                       "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
                       lengths[i]);
        heard = ask(text);
        assert_true(begins(heard, "HTTP/1.1 400 "));
        assert_non_null(strstr(heard, "Connection: close\r\n"));
        assert_null(strstr(heard, "smuggled"));
        refused += ends(heard, "two lengths");
        assert_int_equal(world.refused, refused);
        if (strstr(lengths[i], "chunked") == NULL)
            assert_true(ends(heard, "two lengths"));
    }
}

static void addresses_that_will_not_do_are_named(void **state)
{
    static const char *const bad[] = {
        "",
        "9090",
        ":9090",
        "127.0.0.1",
        "127.0.0.1:",
        "[::1]",
        "127.0.0.1:999999",
        "127.0.0.1:http",
    };
    struct cp_http *http = NULL;
    struct sb_errmsg err;
    char taken[40];

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(bad); i++) {
        err.text[0] = '\0';
        assert_int_equal(cp_http_start(bad[i], &ops, NULL, &http, &err), SB_EINVAL);
        assert_non_null(strstr(err.text, bad[i]));
    }
    (void)snprintf(taken, sizeof(taken), "127.0.0.1:%u", cp_http_port(world.http));
    assert_int_equal(cp_http_start(taken, &ops, NULL, &http, &err), SB_EADDRINUSE);
    assert_non_null(strstr(err.text, taken));
    assert_null(http);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_seen_as_it_was_sent),
        TEST(a_chunked_body_is_put_together),
        TEST(a_connection_is_kept),
        TEST(an_empty_answer_has_no_type),
        TEST(who_is_refused_at_the_head_sends_no_body),
        TEST(who_waits_to_be_asked_is_asked),
        TEST(a_body_that_is_announced_too_big_is_not_read),
        TEST(a_body_that_turns_out_too_big_is_refused),
        TEST(who_does_not_stop_sending_is_cut_off),
        TEST(a_stream_comes_in_pieces_and_ends),
        TEST(a_stream_that_breaks_does_not_look_whole),
        TEST(ids_of_clients_are_kept_when_they_are_fit),
        TEST(clients_that_leave_leave_nothing),
        TEST(a_stop_waits_for_what_is_being_served),
        TEST(two_lengths_are_refused_and_end_the_connection),
        TEST(addresses_that_will_not_do_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
