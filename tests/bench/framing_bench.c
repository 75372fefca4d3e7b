/* tests/bench/framing_bench.c - what framing costs a proxy: nanoseconds for
 * the head and body of a typical request that arrives whole, for a chunked
 * stream of events, and for reading those events.  Best of many rounds.  Not a
 * test. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/http1.h"
#include "common/sse.h"

enum { BODY_BYTES = 2048, EVENTS = 50, FIELDS = 100 };

static const struct sb_http1_limits limits = {
    .target_bytes = 8192, .head_bytes = 32768, .body_bytes = 1 << 25};

static void check(int rc)
{
    if (rc != SB_OK)
        abort();
}

/* What the official Python client sends. */
static void make_request(struct sb_buf *buf)
{
    static char body[BODY_BYTES];

    memset(body, 'x', sizeof(body));
    check(sb_buf_append_text(
        buf,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
        "Accept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\n"
        "Accept: application/json\r\nContent-Type: application/json\r\n"
        "User-Agent: OpenAI/Python 1.68.2\r\nX-Stainless-Lang: python\r\n"
        "X-Stainless-Package-Version: 1.68.2\r\nX-Stainless-OS: Linux\r\n"
        "X-Stainless-Arch: x64\r\nX-Stainless-Runtime: CPython\r\n"
        "X-Stainless-Runtime-Version: 3.11.2\r\nAuthorization: Bearer sk-sb-0123456789abcdef\r\n"
        "X-Stainless-Async: false\r\nx-stainless-retry-count: 0\r\n"
        "x-stainless-read-timeout: 600\r\n"));
    check(sb_http1_put_field_u64(buf, SB_SLICE_LIT("Content-Length"), sizeof(body)));
    check(sb_http1_put_end(buf));
    check(sb_buf_append(buf, sb_slice_make(body, sizeof(body))));
}

static void make_stream(struct sb_buf *buf, struct sb_buf *events)
{
    struct sb_slice event =
        SB_SLICE_LIT("data: {\"id\":\"chatcmpl-9xYz\",\"object\":\"chat.completion.chunk\","
                     "\"created\":1754000000,\"model\":\"gpt-4o\",\"choices\":[{\"index\":0,"
                     "\"delta\":{\"content\":\" token\"},\"finish_reason\":null}]}\n\n");

    check(sb_http1_put_status(buf, 200));
    check(sb_http1_put_field(buf, SB_SLICE_LIT("Content-Type"), SB_SLICE_LIT("text/event-stream")));
    check(sb_http1_put_field(buf, SB_SLICE_LIT("Transfer-Encoding"), SB_SLICE_LIT("chunked")));
    check(sb_http1_put_end(buf));
    for (int i = 0; i < EVENTS; i++) {
        check(sb_http1_put_chunk(buf, event));
        check(sb_buf_append(events, event));
    }
    check(sb_http1_put_last_chunk(buf));
}

static void read_message(enum sb_http1_kind kind, struct sb_slice in)
{
    struct sb_http1_field fields[FIELDS];
    struct sb_http1_head head = {.fields = fields, .fields_max = FIELDS};
    struct sb_http1_step step = {.got = 0};
    struct sb_http1 parser;

    sb_http1_init(&parser, kind, &limits);
    while ((step.got & SB_HTTP1_GOT_DONE) == 0) {
        check(sb_http1_execute(&parser, &head, in, &step));
        in = sb_slice_from(in, step.used);
    }
}

static void read_request(struct sb_slice in)
{
    read_message(SB_HTTP1_REQUEST, in);
}

static void read_stream(struct sb_slice in)
{
    read_message(SB_HTTP1_RESPONSE, in);
}

static void read_events(struct sb_slice in)
{
    struct sb_sse_event event;
    struct sb_sse sse;
    int n = 0;

    sb_sse_init(&sse, 1 << 20);
    while (sb_sse_next(&sse, &in, &event) == SB_OK)
        n++;
    if (n != EVENTS)
        abort();
    sb_sse_release(&sse);
}

static double now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void report(const char *what, void (*job)(struct sb_slice), struct sb_slice in, int parts)
{
    enum { CALLS = 500 };
    double best = 1e12;

    for (int round = 0; round < 100; round++) {
        double start = now_ns(), took;

        for (int i = 0; i < CALLS; i++)
            job(in);
        took = (now_ns() - start) / (double)CALLS;
        best = took < best ? took : best;
    }
    (void)printf("%-28s %8zu %10.0f %10.0f\n", what, in.n, best, best / parts);
}

int main(void)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf request, stream, events;

    sb_buf_init(&request, 1 << 20);
    sb_buf_init(&stream, 1 << 20);
    sb_buf_init(&events, 1 << 20);
    make_request(&request);
    make_stream(&stream, &events);
    (void)printf("%-28s %8s %10s %10s   ns, best of 100 rounds\n", "", "bytes", "all", "each");
    report("request, 17 fields", read_request, sb_buf_slice(&request), 1);
    report("response, 50 chunks", read_stream, sb_buf_slice(&stream), EVENTS);
    report("50 events", read_events, sb_buf_slice(&events), EVENTS);
    return EXIT_SUCCESS;
}
