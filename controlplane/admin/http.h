/* controlplane/admin/http.h - a small HTTP/1.1 server, off the request path.
 *
 * The only door to libmicrohttpd.  Every connection has a thread, in which its
 * requests are answered one after the other; handlers may block.
 *
 *      head(): the head is there, the body is not: refuse, or go on
 *      serve(): all of the request is there: fill the reply
 *
 * A request and its arena live until the last byte of the reply is written, or
 * the client is gone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/arena.h"
#include "common/attr.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/network.h"
#include "common/slice.h"

struct cp_http;

enum {
    CP_HTTP_ID_MAX = 65,         /* of a request, with its NUL */
    CP_HTTP_FIELDS_MAX = 8,      /* of a reply, beside those of every reply */
    CP_HTTP_CONNECTIONS = 64,    /* more are closed at once */
    CP_HTTP_IDLE_SECONDS = 75,   /* a connection that neither asks nor reads */
    CP_HTTP_BODY_MAX = 64 << 20, /* of a request */
    CP_HTTP_ANSWER_MAX = 512 << 20,
    CP_HTTP_DRAIN_MSEC = 5000,
};

struct cp_http_request {
    const char *method;      /* "GET"; as sent */
    struct sb_slice target;  /* path and query, as sent */
    struct sb_slice body;    /* empty in head() */
    struct sb_arena *arena;  /* borrowed */
    char id[CP_HTTP_ID_MAX]; /* the client's X-Request-Id, or one of ours */
    /* Address of the other side of the connection; "" when that has none.  There
     * is no setting for trusted proxies here, so no field of the head counts. */
    char peer[SB_ADDRESS_TEXT_MAX];
    void *user;       /* of head() for serve() */
    void *connection; /* see cp_http_header() */
};

/* Appends the next piece of a long reply: SB_OK with at least one byte, SB_EEOF
 * at the end; another code breaks the connection, which is how the client
 * learns that it has not got everything. */
typedef int cp_http_more_cb(void *ctx, struct sb_buf *out);

struct cp_http_reply {
    unsigned status;
    const char *content_type; /* static; NULL: no body */
    struct sb_buf body;
    cp_http_more_cb *more; /* NULL: body is all; else called when it was sent */
    void *more_ctx;        /* in the request's arena */
    struct {
        const char *name;
        const char *value; /* in the request's arena, or static */
    } fields[CP_HTTP_FIELDS_MAX];
    unsigned n_fields;
};

struct cp_http_ops {
    /* false: the reply is filled and final; the body is not read. */
    bool (*head)(void *ctx, struct cp_http_request *request, struct cp_http_reply *reply);
    void (*serve)(void *ctx, struct cp_http_request *request, struct cp_http_reply *reply);
    /* Instead of serve().  SB_ETOOBIG: the body is over CP_HTTP_BODY_MAX.
     * SB_EINVAL: two lengths, by which a proxy in front may see the end of
     * the request elsewhere; the connection ends with the reply. */
    void (*refuse)(void *ctx, struct cp_http_request *request, struct cp_http_reply *reply,
                   int code);
};

/* listen: "127.0.0.1:9090", "[::1]:0", "localhost:9090".  Borrows ops and ctx.
 * SB_EINVAL, SB_EADDRINUSE, SB_EACCES, ... with a text. */
int cp_http_start(const char *listen, const struct cp_http_ops *ops, void *ctx,
                  struct cp_http **ret_http, struct sb_errmsg *err) SB_MUSTCHECK;
/* Accepts no more, waits CP_HTTP_DRAIN_MSEC for requests that are being
 * served, closes all.  NULL is fine. */
void cp_http_stop(struct cp_http **http);
unsigned cp_http_port(const struct cp_http *http);

/* The value of a field of the request's head; empty when there is none. */
struct sb_slice cp_http_header(const struct cp_http_request *request, const char *name);
/* value: terminated, in the arena or static.  More than fit are a bug. */
void cp_http_reply_field(struct cp_http_reply *reply, const char *name, const char *value);
