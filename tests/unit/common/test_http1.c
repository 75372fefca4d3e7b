/* tests/unit/common/test_http1.c */
#include "common/http1.h"

#include "common/buf.h"
#include "common/err.h"
#include "tests/lib/http1_run.h"
#include "tests/lib/test.h"

#define HOST "Host: a\r\n"
#define GET  "GET / HTTP/1.1\r\n" HOST
#define POST "POST /v1/x HTTP/1.1\r\n" HOST
#define OK   "HTTP/1.1 200 OK\r\n"

struct row {
    const char *what;
    const char *bytes;
    const char *want; /* what tests/lib/http1_run.h writes down */
    size_t n;         /* of bytes, when they hold NUL */
};

static const struct sb_http1_limits limits = {
    .target_bytes = 64, .head_bytes = 256, .body_bytes = 64};

static struct sb_buf run_in_pieces(enum sb_http1_kind kind, struct sb_slice bytes, size_t piece,
                                   bool answers_head)
{
    struct http1_run run = {.limits = limits, .answers_head = answers_head};

    http1_run(&run, kind, bytes, piece);
    sb_buf_release(&run.body);
    return run.log;
}

static void check_row(const struct row *row, enum sb_http1_kind kind, bool answers_head)
{
    struct sb_slice bytes = sb_slice_make(row->bytes, row->n > 0 ? row->n : strlen(row->bytes));

    for (size_t piece = bytes.n; piece > 0; piece--) {
        struct sb_buf log = run_in_pieces(kind, bytes, piece, answers_head);

        if (!sb_slice_is(sb_buf_slice(&log), row->want))
            fail_msg("%s, in pieces of %zu:\n%.*s\nwanted:\n%s", row->what, piece,
                     SB_SLICE_ARGS(sb_buf_slice(&log)), row->want);
        sb_buf_release(&log);
    }
}

#define CHECK_ROWS(rows, kind, answers_head)                                                       \
    do {                                                                                           \
        for (size_t i_ = 0; i_ < SB_ARRAY_LEN(rows); i_++)                                         \
            check_row(&(rows)[i_], kind, answers_head);                                            \
    } while (0)

static const struct row good_requests[] = {
    {"no body", GET "\r\n", "GET / 1.1 keep none|Host=a\n[]\n", 0},
    {"a body by length", POST "Content-Length: 5\r\n\r\nhello",
     "POST /v1/x 1.1 keep length n=5|Host=a|Content-Length=5\n[hello]\n", 0},
    {"an empty body", POST "Content-Length: 0\r\n\r\n",
     "POST /v1/x 1.1 keep none n=0|Host=a|Content-Length=0\n[]\n", 0},
    {"a chunked body",
     POST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
     "POST /v1/x 1.1 keep chunked|Host=a|Transfer-Encoding=chunked\n[hello world]\n", 0},
    {"chunk sizes in hexadecimal",
     POST "transfer-encoding: Chunked\r\n\r\nA\r\n0123456789\r\n0b\r\n01234567890\r\n0\r\n\r\n",
     "POST /v1/x 1.1 keep chunked|Host=a|transfer-encoding=Chunked\n[012345678901234567890]\n", 0},
    {"extensions and trailers are dropped",
     POST "Transfer-Encoding: chunked\r\n\r\n2;a=b;c=\"d\"\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n",
     "POST /v1/x 1.1 keep chunked|Host=a|Transfer-Encoding=chunked\n[hi]\n", 0},
    {"several in a row", GET "\r\n" POST "Content-Length: 2\r\n\r\nhi" GET "\r\n",
     "GET / 1.1 keep none|Host=a\n[]\n"
     "POST /v1/x 1.1 keep length n=2|Host=a|Content-Length=2\n[hi]\n"
     "GET / 1.1 keep none|Host=a\n[]\n",
     0},
    {"an empty line before it", "\r\n" GET "\r\n", "GET / 1.1 keep none|Host=a\n[]\n", 0},
    {"only an empty line", "\r\n", "", 0},
    {"nothing", "\r\n", "", 2},
    {"spaces around values", GET "X:\t a b \t \r\nY: \r\nZ:\r\n\r\n",
     "GET / 1.1 keep none|Host=a|X=a b|Y=|Z=\n[]\n", 0},
    {"bytes beyond ASCII in a value", GET "X: \xc3\xa4\xff\r\n\r\n",
     "GET / 1.1 keep none|Host=a|X=\xc3\xa4\xff\n[]\n", 0},
    {"the same field twice", GET "X: 1\r\nx: 2\r\n\r\n", "GET / 1.1 keep none|Host=a|X=1|x=2\n[]\n",
     0},
    {"close", GET "Connection: close\r\n\r\n", "GET / 1.1 close none|Host=a|Connection=close\n[]\n",
     0},
    {"close in a list", GET "Connection: x, Close\r\n\r\n",
     "GET / 1.1 close none|Host=a|Connection=x, Close\n[]\n", 0},
    {"close wins over keep-alive", GET "Connection: close, keep-alive\r\n\r\n",
     "GET / 1.1 close none|Host=a|Connection=close, keep-alive\n[]\n", 0},
    {"HTTP/1.0 closes", "GET / HTTP/1.0\r\n\r\n", "GET / 1.0 close none\n[]\n", 0},
    {"HTTP/1.0 with keep-alive", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
     "GET / 1.0 keep none|Connection=keep-alive\n[]\n", 0},
    {"HTTP/1.0 with both", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
     "GET / 1.0 close none|Connection=keep-alive, close\n[]\n", 0},
    {"expects 100", POST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\nx",
     "POST /v1/x 1.1 keep length n=1 expect|Host=a|Expect=100-Continue|Content-Length=1\n[x]\n", 0},
    {"HTTP/1.0 cannot expect", "GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n",
     "GET / 1.0 close none|Expect=100-continue\n[]\n", 0},
    {"an upgrade is told and not followed",
     POST "Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi" GET "\r\n",
     "POST /v1/x 1.1 keep length n=2 upgrade|Host=a|Connection=Upgrade|Upgrade=h2c|"
     "Content-Length=2\n[hi]\nGET / 1.1 keep none|Host=a\n[]\n",
     0},
    {"an upgrade without a body", GET "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
     "GET / 1.1 keep none upgrade|Host=a|Connection=Upgrade|Upgrade=websocket\n[]\n", 0},
    {"another method", "PROPFIND / HTTP/1.1\r\n" HOST "\r\n",
     "PROPFIND / 1.1 keep none|Host=a\n[]\n", 0},
    {"absolute form", "GET http://b:80/x?y HTTP/1.1\r\nHost: b:80\r\n\r\n",
     "GET http://b:80/x?y 1.1 keep none|Host=b:80\n[]\n", 0},
    {"asterisk form", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "OPTIONS * 1.1 keep none|Host=a\n[]\n",
     0},
    {"an address as host", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
     "GET / 1.1 keep none|Host=[::1]:80\n[]\n", 0},
};

static void reads_requests(void **state)
{
    (void)state;
    CHECK_ROWS(good_requests, SB_HTTP1_REQUEST, false);
}

#define BAD(text) "error " text
#define CHUNKED   POST "Transfer-Encoding: chunked\r\n\r\n"

static const struct row smuggled_requests[] = {
    {"length and coding", POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     BAD("FRAMING"), 0},
    {"coding and length", POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
     BAD("FRAMING"), 0},
    {"two lengths", POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", BAD("FRAMING"), 0},
    {"two equal lengths", POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
     BAD("FRAMING"), 0},
    {"a list of lengths", POST "Content-Length: 5, 5\r\n\r\nhello", BAD("FRAMING"), 0},
    {"a negative length", POST "Content-Length: -1\r\n\r\n", BAD("FRAMING"), 0},
    {"a signed length", POST "Content-Length: +5\r\n\r\nhello", BAD("FRAMING"), 0},
    {"a hexadecimal length", POST "Content-Length: 0x5\r\n\r\nhello", BAD("FRAMING"), 0},
    {"an empty length", POST "Content-Length:\r\n\r\n", BAD("FRAMING"), 0},
    {"a blank length", POST "Content-Length: \r\n\r\n", BAD("FRAMING"), 0},
    {"a broken length", POST "Content-Length: 1 2\r\n\r\n123456789012", BAD("FRAMING"), 0},
    {"a length over 64 bits", POST "Content-Length: 18446744073709551617\r\n\r\nx", BAD("FRAMING"),
     0},
    {"two codings", POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
     BAD("CODING"), 0},
    {"HTTP/1.0 with a coding", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
     BAD("FRAMING"), 0},
    {"an unknown coding", POST "Transfer-Encoding: gzip\r\n\r\n", BAD("CODING"), 0},
    {"a coding before chunked", POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
     BAD("CODING"), 0},
    {"a coding after chunked", POST "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
     BAD("CODING"), 0},
    {"a coding like chunked", POST "Transfer-Encoding: xchunked\r\n\r\n", BAD("CODING"), 0},
    {"identity", POST "Transfer-Encoding: identity\r\n\r\n", BAD("CODING"), 0},
    {"an empty coding", POST "Transfer-Encoding:\r\n\r\n", BAD("CODING"), 0},
    {"a space before the colon", GET "X : 1\r\n\r\n", BAD("SYNTAX"), 0},
    {"length with a space before the colon", POST "Content-Length : 5\r\n\r\nhello", BAD("SYNTAX"),
     0},
    {"a folded line", GET "X: 1\r\n 2\r\n\r\n", BAD("SYNTAX"), 0},
    {"a folded line with a tab", GET "X: 1\r\n\t2\r\n\r\n", BAD("SYNTAX"), 0},
    {"a folded first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", BAD("SYNTAX"), 0},
    {"a bare LF after a field", GET "X: 1\n\r\n", BAD("SYNTAX"), 0},
    {"a bare LF after the first line", "GET / HTTP/1.1\n" HOST "\r\n", BAD("SYNTAX"), 0},
    {"a bare LF as the empty line", GET "\n", BAD("SYNTAX"), 0},
    {"a bare CR in a value", GET "X: 1\r2\r\n\r\n", BAD("SYNTAX"), 0},
    {"a bare CR as the end", GET "\rGET", BAD("SYNTAX"), 0},
    {"NUL in a value", GET "X: 1\0002\r\n\r\n", BAD("SYNTAX"), sizeof(GET "X: 1\0002\r\n\r\n") - 1},
    {"NUL in a name", GET "X\0: 1\r\n\r\n", BAD("SYNTAX"), sizeof(GET "X\0: 1\r\n\r\n") - 1},
    {"a control byte in a value", GET "X: \001\r\n\r\n", BAD("SYNTAX"), 0},
    {"an empty name", GET ": 1\r\n\r\n", BAD("SYNTAX"), 0},
    {"a name that is no token", GET "X(: 1\r\n\r\n", BAD("SYNTAX"), 0},
    {"a line without a colon", GET "X\r\n\r\n", BAD("SYNTAX"), 0},
    {"no size", CHUNKED "\r\nhi", BAD("CHUNK"), 0},
    {"a size that is no number", CHUNKED "xyz\r\n", BAD("CHUNK"), 0},
    {"a size with 0x", CHUNKED "0x2\r\nhi\r\n", BAD("CHUNK"), 0},
    {"a negative size", CHUNKED "-2\r\nhi\r\n", BAD("CHUNK"), 0},
    {"a size with a space", CHUNKED "2 \r\nhi\r\n", BAD("CHUNK"), 0},
    {"a space before a size", CHUNKED " 2\r\nhi\r\n", BAD("CHUNK"), 0},
    {"a size over 64 bits", CHUNKED "10000000000000002\r\nhi\r\n", BAD("CHUNK"), 0},
    {"a bare LF after a size", CHUNKED "2\nhi\r\n", BAD("CHUNK"), 0},
    {"a bare LF after a chunk", CHUNKED "2\r\nhi\n0\r\n\r\n", BAD("CHUNK"), 0},
    {"a chunk longer than its size", CHUNKED "2\r\nhix\r\n", BAD("CHUNK"), 0},
    {"a bare LF in an extension", CHUNKED "2;a\nhi\r\n", BAD("CHUNK"), 0},
    {"a bare LF at the end", CHUNKED "0\r\n\n", BAD("CHUNK"), 0},
    {"a length in a trailer", CHUNKED "0\r\nContent-Length: 5\r\n\r\n", BAD("CHUNK"), 0},
};

static void refuses_what_could_be_read_two_ways(void **state)
{
    (void)state;
    CHECK_ROWS(smuggled_requests, SB_HTTP1_REQUEST, false);
}

static const struct row bad_requests[] = {
    {"no host", "GET / HTTP/1.1\r\n\r\n", BAD("HOST"), 0},
    {"two hosts", GET HOST "\r\n", BAD("HOST"), 0},
    {"two hosts in HTTP/1.0", "GET / HTTP/1.0\r\n" HOST HOST "\r\n", BAD("HOST"), 0},
    {"a list of hosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", BAD("HOST"), 0},
    {"a host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", BAD("HOST"), 0},
    {"a host with a user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", BAD("HOST"), 0},
    {"an unknown method", "FROB / HTTP/1.1\r\n" HOST "\r\n", BAD("METHOD"), 0},
    {"a method in lower case", "get / HTTP/1.1\r\n" HOST "\r\n", BAD("METHOD"), 0},
    {"a method that goes on", "GETS / HTTP/1.1\r\n" HOST "\r\n", BAD("METHOD"), 0},
    {"connect", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", BAD("CONNECT"), 0},
    {"TLS", "\x16\x03\x01\x02\x01\x01\xfc\x03\x03", BAD("SYNTAX"), 0},
    {"a space first", " GET / HTTP/1.1\r\n", BAD("SYNTAX"), 0},
    {"two spaces after the method", "GET  / HTTP/1.1\r\n" HOST "\r\n", BAD("SYNTAX"), 0},
    {"two spaces after the target", "GET /  HTTP/1.1\r\n" HOST "\r\n", BAD("SYNTAX"), 0},
    {"a tab after the method", "GET\t/ HTTP/1.1\r\n" HOST "\r\n", BAD("SYNTAX"), 0},
    {"two empty lines before it", "\r\n\r\n" GET "\r\n", BAD("SYNTAX"), 0},
    {"a bare LF before it", "\n" GET "\r\n", BAD("SYNTAX"), 0},
    {"a bare CR before it", "\r" GET "\r\n", BAD("SYNTAX"), 0},
    {"HTTP/2", "GET / HTTP/2.0\r\n" HOST "\r\n", BAD("VERSION"), 0},
    {"HTTP/1.2", "GET / HTTP/1.2\r\n" HOST "\r\n", BAD("VERSION"), 0},
    {"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BAD("VERSION"), 0},
    {"HTTP/0.9", "GET /\r\n\r\n", BAD("VERSION"), 0},
    {"another protocol", "GET / XTTP/1.1\r\n" HOST "\r\n", BAD("SYNTAX"), 0},
    {"a streaming protocol", "DESCRIBE / RTSP/1.0\r\n\r\n", BAD("SYNTAX"), 0},
    {"a method of a streaming protocol", "DESCRIBE / HTTP/1.1\r\n" HOST "\r\n", BAD("SYNTAX"), 0},
    {"an unknown expectation", POST "Expect: magic\r\n\r\n", BAD("EXPECT"), 0},
    {"a fragment", "GET /x#y HTTP/1.1\r\n" HOST "\r\n", BAD("TARGET"), 0},
    {"a relative target", "GET x HTTP/1.1\r\n" HOST "\r\n", BAD("TARGET"), 0},
    {"a control byte in the target", "GET /\001 HTTP/1.1\r\n" HOST "\r\n", BAD("TARGET"), 0},
    {"a byte beyond ASCII in the target", "GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n", BAD("TARGET"),
     0},
    {"cut in the first line", "GET / HT", BAD("TRUNCATED"), 0},
    {"cut in a field", "GET / HTTP/1.1\r\nHos", BAD("TRUNCATED"), 0},
    {"cut in a body", POST "Content-Length: 5\r\n\r\nhell", BAD("TRUNCATED"), 0},
    {"cut in a chunked body", CHUNKED "2\r\nhi\r\n", BAD("TRUNCATED"), 0},
    {"cut before the last line", CHUNKED "0\r\n", BAD("TRUNCATED"), 0},
};

static void refuses_what_is_no_request(void **state)
{
    (void)state;
    CHECK_ROWS(bad_requests, SB_HTTP1_REQUEST, false);
}

#define X10 "xxxxxxxxxx"
#define X60 X10 X10 X10 X10 X10 X10

/* Limits of these tests: 64 bytes of target, 256 of head, 8 fields, 64 of body. */
static const struct row limited_requests[] = {
    {"a target as long as may be", "GET /" X60 "xxx HTTP/1.1\r\n" HOST "\r\n",
     "GET /" X60 "xxx 1.1 keep none|Host=a\n[]\n", 0},
    {"a target too long", "GET /" X60 "xxxx HTTP/1.1\r\n" HOST "\r\n", BAD("TARGET_LIMIT"), 0},
    {"a target far too long", "GET /" X60 X60 X60 X60 X60, BAD("TARGET_LIMIT"), 0},
    {"a head as long as may be", GET "X: " X60 X60 X60 X10 X10 X10 "xxxxxxxxxxxxxx\r\n\r\n",
     "GET / 1.1 keep none|Host=a|X=" X60 X60 X60 X10 X10 X10 "xxxxxxxxxxxxxx\n[]\n", 0},
    {"a head too long", GET "X: " X60 X60 X60 X10 X10 X10 "xxxxxxxxxxxxxxx\r\n\r\n",
     BAD("HEAD_LIMIT"), 0},
    {"a name without end", GET X60 X60 X60 X60 X60, BAD("HEAD_LIMIT"), 0},
    {"as many fields as may be", GET "a:\r\nb:\r\nc:\r\nd:\r\ne:\r\nf:\r\ng:\r\n\r\n",
     "GET / 1.1 keep none|Host=a|a=|b=|c=|d=|e=|f=|g=\n[]\n", 0},
    {"too many fields", GET "a:\r\nb:\r\nc:\r\nd:\r\ne:\r\nf:\r\ng:\r\nh:\r\n\r\n",
     BAD("FIELDS_LIMIT"), 0},
    {"a body as long as may be", POST "Content-Length: 64\r\n\r\n" X60 "1234",
     "POST /v1/x 1.1 keep length n=64|Host=a|Content-Length=64\n[" X60 "1234]\n", 0},
    {"a body too long, told before", POST "Content-Length: 65\r\n\r\n", BAD("BODY_LIMIT"), 0},
    {"chunks too long together", CHUNKED "3c\r\n" X60 "\r\n5\r\n12345\r\n0\r\n\r\n",
     BAD("BODY_LIMIT"), 0},
    {"a huge chunk", CHUNKED "ffffffffffffffff\r\n", BAD("BODY_LIMIT"), 0},
    {"an extension without end", CHUNKED "2;" X60 X60 X60 X60 X60, BAD("CHUNK"), 0},
    {"trailers without end", CHUNKED "2\r\nhi\r\n0\r\nx: " X60 X60 X60 X60 X60, BAD("CHUNK"), 0},
};

static void keeps_the_limits_of_its_caller(void **state)
{
    (void)state;
    CHECK_ROWS(limited_requests, SB_HTTP1_REQUEST, false);
}

static const struct row responses[] = {
    {"a body by length", OK "Content-Length: 2\r\n\r\nhi",
     "200 OK 1.1 keep length n=2|Content-Length=2\n[hi]\n", 0},
    {"a chunked body", OK "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
     "200 OK 1.1 keep chunked|Transfer-Encoding=chunked\n[hi]\n", 0},
    {"a body up to the close", OK "\r\nall the rest", "200 OK 1.1 close rest\n[all the rest]\n", 0},
    {"no body up to the close", OK "\r\n", "200 OK 1.1 close rest\n[]\n", 0},
    {"no reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
     "200  1.1 keep none n=0|Content-Length=0\n[]\n", 0},
    {"an empty reason", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
     "200  1.1 keep none n=0|Content-Length=0\n[]\n", 0},
    {"204", "HTTP/1.1 204 No Content\r\n\r\n" OK "Content-Length: 0\r\n\r\n",
     "204 No Content 1.1 keep none\n[]\n200 OK 1.1 keep none n=0|Content-Length=0\n[]\n", 0},
    {"304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
     "304 Not Modified 1.1 keep none n=5|Content-Length=5\n[]\n", 0},
    {"interim ones are skipped",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK
     "Content-Length: 2\r\n\r\nhi",
     "200 OK 1.1 keep length n=2|Content-Length=2\n[hi]\n", 0},
    {"an interim one and no more", "HTTP/1.1 100 Continue\r\n\r\n", BAD("TRUNCATED"), 0},
    {"interim ones without end",
     "HTTP/1.1 100 x" X60 "\r\n\r\nHTTP/1.1 100 x" X60 "\r\n\r\nHTTP/1.1 100 x" X60
     "\r\n\r\nHTTP/1.1 100 x" X60 "\r\n\r\n",
     BAD("HEAD_LIMIT"), 0},
    {"101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
     BAD("SWITCHED"), 0},
    {"close", OK "Connection: close\r\nContent-Length: 2\r\n\r\nhi",
     "200 OK 1.1 close length n=2|Connection=close|Content-Length=2\n[hi]\n", 0},
    {"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
     "200 OK 1.0 close length n=2|Content-Length=2\n[hi]\n", 0},
    {"length and coding", OK "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     BAD("FRAMING"), 0},
    {"an unknown coding", OK "Transfer-Encoding: gzip\r\n\r\nx", BAD("CODING"), 0},
    {"two lengths", OK "Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi", BAD("FRAMING"), 0},
    {"an empty line before it", "\r\n" OK "\r\n", BAD("SYNTAX"), 0},
    {"no HTTP", "SSH-2.0-OpenSSH_9.2\r\n", BAD("SYNTAX"), 0},
    {"HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", BAD("VERSION"), 0},
    {"a status of two digits", "HTTP/1.1 20 OK\r\n\r\n", BAD("SYNTAX"), 0},
    {"a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", BAD("SYNTAX"), 0},
    {"a status below 100", "HTTP/1.1 099 OK\r\n\r\n", BAD("SYNTAX"), 0},
    {"a bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", BAD("SYNTAX"), 0},
    {"a folded line", OK "X: 1\r\n 2\r\n\r\n", BAD("SYNTAX"), 0},
    {"a body too long, up to the close", OK "\r\n" X60 X10, BAD("BODY_LIMIT"), 0},
};

static void reads_responses(void **state)
{
    (void)state;
    CHECK_ROWS(responses, SB_HTTP1_RESPONSE, false);
}

static void an_answer_to_head_has_no_body(void **state)
{
    static const struct row rows[] = {
        {"with a length", OK "Content-Length: 5\r\n\r\n" OK "Content-Length: 500\r\n\r\n",
         "200 OK 1.1 keep none n=5|Content-Length=5\n[]\n"
         "200 OK 1.1 keep none n=500|Content-Length=500\n[]\n",
         0},
        {"chunked", OK "Transfer-Encoding: chunked\r\n\r\n",
         "200 OK 1.1 keep none|Transfer-Encoding=chunked\n[]\n", 0},
        {"without either", OK "\r\n", "200 OK 1.1 keep none\n[]\n", 0},
    };

    (void)state;
    CHECK_ROWS(rows, SB_HTTP1_RESPONSE, true);
}

static void a_small_message_is_one_call(void **state)
{
    struct sb_http1_field fields[8];
    struct sb_http1_head head = {.fields = fields, .fields_max = 8};
    struct sb_http1_step step;
    struct sb_http1 parser;
    struct sb_slice in = SB_SLICE_LIT(POST "Content-Length: 5\r\n\r\nhelloGET");

    (void)state;
    sb_http1_init(&parser, SB_HTTP1_REQUEST, &limits);
    assert_true(sb_http1_is_idle(&parser));
    assert_int_equal(sb_http1_execute(&parser, &head, in, &step), SB_OK);
    assert_int_equal(step.got, SB_HTTP1_GOT_HEAD | SB_HTTP1_GOT_BODY | SB_HTTP1_GOT_DONE);
    assert_int_equal(step.used, in.n - 3);
    assert_ptr_equal(step.body.p, in.p + head.size);
    assert_true(sb_slice_is(step.body, "hello"));
    assert_int_equal(head.method, SB_HTTP1_POST);
    assert_false(sb_http1_is_idle(&parser));
    sb_http1_begin(&parser);
    assert_true(sb_http1_is_idle(&parser));
    assert_true(sizeof(parser) <= 200);
}

static void an_error_sticks(void **state)
{
    struct sb_http1_field fields[8];
    struct sb_http1_head head = {.fields = fields, .fields_max = 8};
    struct sb_http1_step step = {.used = 77};
    struct sb_http1 parser;

    (void)state;
    sb_http1_init(&parser, SB_HTTP1_REQUEST, &limits);
    assert_int_equal(sb_http1_execute(&parser, &head, SB_SLICE_LIT("\x01"), &step), SB_EPARSE);
    assert_int_equal(step.used, 77);
    assert_int_equal(sb_http1_execute(&parser, &head, SB_SLICE_LIT(GET "\r\n"), &step), SB_EPARSE);
    assert_int_equal(sb_http1_finish(&parser), SB_EPARSE);
    assert_int_equal(parser.err, SB_HTTP1_ERR_SYNTAX);
    assert_int_equal(sb_http1_err_status(parser.err), 400);
    assert_string_equal(sb_http1_err_text(parser.err), "malformed head");
}

static void finds_fields_by_name(void **state)
{
    struct sb_slice in = SB_SLICE_LIT(GET "X-A: 1\r\nx-a: 2\r\nX-B:\r\n\r\n");
    struct sb_http1_field fields[8];
    struct sb_http1_head head = {.fields = fields, .fields_max = 8};
    const struct sb_http1_field *field;
    struct sb_http1_step step;
    struct sb_http1 parser;

    (void)state;
    sb_http1_init(&parser, SB_HTTP1_REQUEST, &limits);
    assert_int_equal(sb_http1_execute(&parser, &head, in, &step), SB_OK);
    assert_true(sb_slice_is(sb_http1_value(&head, in.p, SB_SLICE_LIT("HOST")), "a"));
    field = sb_http1_find(&head, in.p, SB_SLICE_LIT("X-a"), NULL);
    assert_true(sb_slice_is(sb_http1_slice(in.p, field->value), "1"));
    field = sb_http1_find(&head, in.p, SB_SLICE_LIT("X-a"), field);
    assert_true(sb_slice_is(sb_http1_slice(in.p, field->value), "2"));
    assert_null(sb_http1_find(&head, in.p, SB_SLICE_LIT("X-a"), field));
    assert_non_null(sb_http1_value(&head, in.p, SB_SLICE_LIT("x-b")).p);
    assert_int_equal(sb_http1_value(&head, in.p, SB_SLICE_LIT("x-b")).n, 0);
    assert_null(sb_http1_value(&head, in.p, SB_SLICE_LIT("x-c")).p);
}

static void splits_targets(void **state)
{
    static const struct {
        const char *target, *path, *query; /* path NULL: there is none */
    } rows[] = {
        {"/", "/", ""},
        {"/v1/models?limit=5&x", "/v1/models", "limit=5&x"},
        {"/a?", "/a", ""},
        {"/a?b?c", "/a", "b?c"},
        {"http://h:1/p?q", "/p", "q"},
        {"http://h", NULL, NULL},
        {"*", NULL, NULL},
        {"", NULL, NULL},
        {"x:/y", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(rows); i++) {
        struct sb_slice path, query;
        bool has_path = sb_http1_split_target(sb_slice_of(rows[i].target), &path, &query);

        assert_int_equal(has_path, rows[i].path != NULL);
        if (has_path) {
            assert_true(sb_slice_is(path, rows[i].path));
            assert_true(sb_slice_is(query, rows[i].query));
        }
    }
}

static void what_it_writes_it_reads(void **state)
{
    struct http1_run run = {.limits = limits};
    struct sb_buf out;

    (void)state;
    sb_buf_init(&out, 4096);
    assert_int_equal(sb_http1_put_status(&out, 429), SB_OK);
    assert_int_equal(sb_http1_put_field(&out, SB_SLICE_LIT("x-a"), SB_SLICE_LIT("b c")), SB_OK);
    assert_int_equal(sb_http1_put_field_u64(&out, SB_SLICE_LIT("x-n"), UINT64_MAX), SB_OK);
    assert_int_equal(
        sb_http1_put_field(&out, SB_SLICE_LIT("Transfer-Encoding"), SB_SLICE_LIT("chunked")),
        SB_OK);
    assert_int_equal(sb_http1_put_end(&out), SB_OK);
    assert_int_equal(sb_http1_put_chunk(&out, SB_SLICE_LIT("0123456789abcdef!")), SB_OK);
    assert_int_equal(sb_http1_put_chunk(&out, SB_SLICE_LIT("")), SB_OK);
    assert_int_equal(sb_http1_put_chunk(&out, SB_SLICE_LIT("x")), SB_OK);
    assert_int_equal(sb_http1_put_last_chunk(&out), SB_OK);
    http1_run(&run, SB_HTTP1_RESPONSE, sb_buf_slice(&out), SIZE_MAX);
    assert_true(sb_slice_is(sb_buf_slice(&run.log),
                            "429 Too Many Requests 1.1 keep chunked|x-a=b c|"
                            "x-n=18446744073709551615|Transfer-Encoding=chunked\n"
                            "[0123456789abcdef!x]\n"));
    http1_run_release(&run);
    sb_buf_release(&out);
}

static void never_writes_a_second_line_into_a_field(void **state)
{
    struct sb_buf out;

    (void)state;
    sb_buf_init(&out, 64);
    assert_int_equal(sb_http1_put_field(&out, SB_SLICE_LIT("x"), SB_SLICE_LIT("a\r\nb: c")),
                     SB_EINVAL);
    assert_int_equal(sb_http1_put_field(&out, SB_SLICE_LIT("x"), SB_SLICE_LIT("a\nb")), SB_EINVAL);
    assert_int_equal(sb_http1_put_field(&out, SB_SLICE_LIT("x"), SB_SLICE_LIT("a\0b")), SB_EINVAL);
    assert_int_equal(sb_buf_len(&out), 0);
    sb_buf_release(&out);
}

static void writing_stops_at_the_ceiling(void **state)
{
    char big[64];
    struct sb_buf out;

    (void)state;
    memset(big, 'x', sizeof(big));
    sb_buf_init(&out, 16);
    assert_int_equal(sb_http1_put_field(&out, SB_SLICE_LIT("x"), sb_slice_make(big, 64)),
                     SB_ETOOBIG);
    assert_int_equal(sb_http1_put_chunk(&out, sb_slice_make(big, 64)), SB_ETOOBIG);
    assert_int_equal(sb_http1_put_chunk(&out, sb_slice_make(big, SIZE_MAX)), SB_ETOOBIG);
    assert_int_equal(sb_buf_len(&out), 0);
    sb_buf_release(&out);
}

static void every_status_has_a_reason(void **state)
{
    (void)state;
    assert_string_equal(sb_http1_reason(200), "OK");
    assert_string_equal(sb_http1_reason(503), "Service Unavailable");
    assert_string_equal(sb_http1_reason(499), "Client Error");
    assert_string_equal(sb_http1_reason(999), "Unknown");
    assert_string_equal(sb_http1_reason(-1), "Unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_requests),
        cmocka_unit_test(refuses_what_could_be_read_two_ways),
        cmocka_unit_test(refuses_what_is_no_request),
        cmocka_unit_test(keeps_the_limits_of_its_caller),
        cmocka_unit_test(reads_responses),
        cmocka_unit_test(an_answer_to_head_has_no_body),
        cmocka_unit_test(a_small_message_is_one_call),
        cmocka_unit_test(an_error_sticks),
        cmocka_unit_test(finds_fields_by_name),
        cmocka_unit_test(splits_targets),
        cmocka_unit_test(what_it_writes_it_reads),
        cmocka_unit_test(never_writes_a_second_line_into_a_field),
        cmocka_unit_test(writing_stops_at_the_ceiling),
        cmocka_unit_test(every_status_has_a_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
