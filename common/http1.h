/* common/http1.h - HTTP/1.1 framing, both directions, without any I/O.
 *
 * The caller owns all bytes.  It keeps the bytes of a head contiguous from the
 * first byte of the message until the head is reported; the block may move
 * between calls, since fields are offsets.  Body bytes are handed out as
 * slices of the input, chunk framing removed, and need not be kept.  Nothing
 * is called back: a call returns what it found.
 *
 *      init -> begin -> execute ... (HEAD, BODY*, DONE) -> begin -> ...
 *                          \-> error: sticky, the connection is to be closed
 *
 *      while (in.n > 0) {
 *          rc = sb_http1_execute(&parser, &head, in, &step);
 *          if (rc != SB_OK)
 *              answer sb_http1_err_status(parser.err) and close;
 *          in = sb_slice_from(in, step.used);
 *          if (step.got & SB_HTTP1_GOT_HEAD) ...;  then BODY, then DONE
 *          if (step.got & SB_HTTP1_GOT_DONE)
 *              break;      what is left in `in` is the next message, untouched
 *      }
 *
 * Strict: all that lets two parsers disagree about where a message ends is an
 * error, not repaired: Content-Length beside Transfer-Encoding, either of them
 * doubled, any coding but "chunked", bare CR or LF, folded lines, a space
 * before the colon, NUL, a bad chunk size, HTTP/1.1 without exactly one Host.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/slice.h"

struct sb_buf;

/* X(name, status to answer a client with, text) */
#define SB_HTTP1_ERR_MAP(X)                                                                        \
    X(NONE, 0, "ok")                                                                               \
    X(SYNTAX, 400, "malformed head")                                                               \
    X(FRAMING, 400, "contradictory or malformed message length")                                   \
    X(CHUNK, 400, "malformed chunk")                                                               \
    X(HOST, 400, "missing, doubled or malformed host")                                             \
    X(TARGET, 400, "malformed request target")                                                     \
    X(METHOD, 501, "unknown method")                                                               \
    X(CONNECT, 501, "connect is not supported")                                                    \
    X(VERSION, 505, "unsupported protocol version")                                                \
    X(CODING, 501, "unsupported transfer coding")                                                  \
    X(EXPECT, 417, "unsupported expectation")                                                      \
    X(TARGET_LIMIT, 414, "target over its limit")                                                  \
    X(HEAD_LIMIT, 431, "head over its limit")                                                      \
    X(FIELDS_LIMIT, 431, "too many fields")                                                        \
    X(BODY_LIMIT, 413, "body over its limit")                                                      \
    X(SWITCHED, 502, "protocol switched without being asked")                                      \
    X(TRUNCATED, 400, "connection closed inside a message")

enum sb_http1_err {
#define X(name, status, text) SB_HTTP1_ERR_##name,
    SB_HTTP1_ERR_MAP(X)
#undef X
};

const char *sb_http1_err_name(enum sb_http1_err err); /* "HEAD_LIMIT"; static */
const char *sb_http1_err_text(enum sb_http1_err err); /* "head over its limit"; static */
int sb_http1_err_status(enum sb_http1_err err);

enum sb_http1_kind { SB_HTTP1_REQUEST, SB_HTTP1_RESPONSE };

enum sb_http1_method {
    SB_HTTP1_OTHER, /* known to HTTP, not to us: see head.method_text */
    SB_HTTP1_GET,
    SB_HTTP1_HEAD,
    SB_HTTP1_POST,
    SB_HTTP1_PUT,
    SB_HTTP1_PATCH,
    SB_HTTP1_DELETE,
    SB_HTTP1_OPTIONS,
};

enum sb_http1_framing {
    SB_HTTP1_NO_BODY,
    SB_HTTP1_LENGTH, /* head.content_length bytes */
    SB_HTTP1_CHUNKED,
    SB_HTTP1_UNTIL_CLOSE, /* responses only; ended by sb_http1_finish() */
};

struct sb_http1_limits {
    uint32_t target_bytes;
    uint32_t head_bytes; /* first line, fields, ending; also what may lie between two body bytes */
    uint64_t body_bytes; /* UINT64_MAX: the caller counts himself */
};

/* Bytes of the head: offset from the first byte of the message. */
struct sb_http1_span {
    uint32_t at, n;
};

struct sb_http1_field {
    struct sb_http1_span name, value; /* the value without spaces around it */
};

/* The caller's; written while the head is read, complete once HEAD was
 * reported.  Until then it must stay what it was between calls, but it may be
 * moved.  Afterwards the parser does not need it. */
struct sb_http1_head {
    struct sb_http1_field *fields; /* in order of arrival; the caller's table */
    uint16_t fields_max;           /* its size: one more field is FIELDS_LIMIT */
    uint16_t fields_n;
    uint32_t size;                    /* bytes of the head with its empty line */
    struct sb_http1_span method_text; /* requests */
    struct sb_http1_span target;      /* requests, as sent */
    struct sb_http1_span reason;      /* responses */
    uint16_t status;                  /* responses */
    uint8_t minor;                    /* HTTP/1.minor */
    enum sb_http1_method method;      /* requests */
    enum sb_http1_framing framing;    /* of the body that follows */
    uint64_t content_length;          /* as sent, also where no body follows; see has_length */
    bool has_length;                  /* a Content-Length was there */
    bool keep_alive;                  /* another message may follow on this connection */
    bool expect_continue;             /* the client waits for "100 Continue" */
    bool upgrade;                     /* asked for; the message is read as if it had not */
};

enum { SB_HTTP1_LLHTTP_WORDS = 12 };

/* One per connection; about 170 bytes.  All but err is the module's own. */
struct sb_http1 {
    uint64_t llhttp[SB_HTTP1_LLHTTP_WORDS]; /* an llhttp_t */
    const struct sb_http1_limits *limits;   /* borrowed */
    struct sb_http1_head *head;             /* during a call */
    struct sb_http1_step *step;             /* during a call */
    const char *base;                       /* first byte of the message, during a call */
    size_t offset;                          /* bytes used of the head so far */
    size_t gap;                             /* bytes since the last body byte */
    uint64_t body_got;                      /* bytes of body so far */
    enum sb_http1_err err;                  /* sticky */
    uint8_t kind;
    uint8_t phase;
    uint8_t framing;
    uint8_t lead; /* bytes of an empty line before a request */
    bool no_body; /* response to HEAD */
};

enum {
    SB_HTTP1_GOT_HEAD = 1, /* head is complete: sb_http1_head is filled */
    SB_HTTP1_GOT_BODY = 2, /* step.body holds bytes of the body */
    SB_HTTP1_GOT_DONE = 4, /* the message is complete: begin before the next execute */
};

struct sb_http1_step {
    unsigned got;         /* bits, to be looked at in the order above */
    struct sb_slice body; /* with BODY: part of the input, never empty */
    size_t used;          /* bytes of the input; feed the rest again, unless DONE */
};

/* Borrows limits for the parser's life.  Begins, too. */
void sb_http1_init(struct sb_http1 *parser, enum sb_http1_kind kind,
                   const struct sb_http1_limits *limits);
/* Before each message. */
void sb_http1_begin(struct sb_http1 *parser);
/* After begin, before the first byte: the response belongs to a HEAD request
 * and has no body, whatever it says. */
void sb_http1_expect_no_body(struct sb_http1 *parser);
/* True when no byte of a message was seen since begin (an empty line before
 * a request does not count). */
bool sb_http1_is_idle(const struct sb_http1 *parser);

/* Reads on.  Until HEAD was reported, input must follow in memory what was
 * fed before (at input.p - what was used of this message); head may be NULL
 * afterwards.  With got == 0 everything was used and more is needed.  A whole
 * small message is one call; a chunked body is one call per chunk.  Interim
 * responses (1xx) are skipped: their bytes count as part of the head.
 * SB_EPARSE: see parser->err. */
int sb_http1_execute(struct sb_http1 *parser, struct sb_http1_head *head, struct sb_slice input,
                     struct sb_http1_step *ret_step) SB_MUSTCHECK;
/* The peer closed its side.  SB_OK: a body that runs until the close is
 * complete now.  SB_EEOF: no message was begun.  SB_EPARSE: cut short
 * (TRUNCATED), or it failed before. */
int sb_http1_finish(struct sb_http1 *parser) SB_MUSTCHECK;

/* --- looking at a head; base is the first byte of the message --------------- */

static inline struct sb_slice sb_http1_slice(const char *base, struct sb_http1_span span)
{
    return (struct sb_slice){.p = base + span.at, .n = span.n};
}

/* The first field of that name (lower or upper case alike); NULL when there is
 * none.  after: NULL, or what a former call gave, to find the next. */
const struct sb_http1_field *sb_http1_find(const struct sb_http1_head *head, const char *base,
                                           struct sb_slice name,
                                           const struct sb_http1_field *after);
/* Its value; no bytes (p == NULL) when there is none. */
struct sb_slice sb_http1_value(const struct sb_http1_head *head, const char *base,
                               struct sb_slice name);
/* Path and query (without '?') of a target, in origin or absolute form; false
 * when it has no path ("*"). */
bool sb_http1_split_target(struct sb_slice target, struct sb_slice *ret_path,
                           struct sb_slice *ret_query);

/* --- writing; errors as sb_buf_append() ------------------------------------ */

/* "HTTP/1.1 200 OK\r\n" */
int sb_http1_put_status(struct sb_buf *out, int status) SB_MUSTCHECK;
/* "name: value\r\n"; SB_EINVAL (and nothing written) when the value holds CR,
 * LF or NUL, since it may come from a peer.  The name is ours. */
int sb_http1_put_field(struct sb_buf *out, struct sb_slice name,
                       struct sb_slice value) SB_MUSTCHECK;
int sb_http1_put_field_u64(struct sb_buf *out, struct sb_slice name, uint64_t value) SB_MUSTCHECK;
/* The empty line. */
int sb_http1_put_end(struct sb_buf *out) SB_MUSTCHECK;

enum { SB_HTTP1_CHUNK_HEAD_MAX = 18 };
/* "1a2b\r\n" into at least SB_HTTP1_CHUNK_HEAD_MAX bytes, not terminated;
 * returns its length.  The chunk's bytes and "\r\n" follow. */
size_t sb_http1_chunk_head(char *out, uint64_t bytes);
/* A whole chunk; no bytes give no chunk, since an empty one ends the body. */
int sb_http1_put_chunk(struct sb_buf *out, struct sb_slice bytes) SB_MUSTCHECK;
/* "0\r\n\r\n" */
int sb_http1_put_last_chunk(struct sb_buf *out) SB_MUSTCHECK;
/* "Too Many Requests"; a general word for codes without one.  Static. */
const char *sb_http1_reason(int status);
