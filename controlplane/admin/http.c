/* controlplane/admin/http.c */
#include "controlplane/admin/http.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <microhttpd.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/hostport.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/num.h"
#include "common/secret.h"

enum {
    BACKLOG = 128,
    HEAD_BYTES = 64 * 1024,  /* memory of a connection for heads */
    STACK_BYTES = 2 << 20,   /* of a connection's thread */
    PIECE_BYTES = 64 * 1024, /* of a streamed reply, per call of libmicrohttpd */
    ARENA_BYTES = 8 * 1024,
};

struct cp_http {
    const struct cp_http_ops *ops; /* borrowed */
    void *ctx;                     /* borrowed */
    struct MHD_Daemon *daemon;
    unsigned port;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    unsigned serving; /* requests between head() and their last byte; under lock */
};

enum phase { PHASE_HEAD, PHASE_BODY, PHASE_REPLIED };

struct exchange {
    struct cp_http *http;
    struct cp_http_request request;
    struct cp_http_reply reply;
    struct sb_arena *arena;
    struct sb_buf body;
    size_t received; /* bytes of the body, dropped ones as well */
    enum phase phase;
    bool counted;
    bool too_big;
    sb_msec began;
};

/* --- a request's life ------------------------------------------------------------- */

static void count_begin(struct exchange *exchange)
{
    struct cp_http *http = exchange->http;

    exchange->counted = true;
    (void)pthread_mutex_lock(&http->lock);
    http->serving++;
    (void)pthread_mutex_unlock(&http->lock);
}

static void count_end(struct exchange *exchange)
{
    struct cp_http *http = exchange->http;

    if (!exchange->counted)
        return;
    exchange->counted = false;
    (void)pthread_mutex_lock(&http->lock);
    if (--http->serving == 0)
        (void)pthread_cond_broadcast(&http->idle);
    (void)pthread_mutex_unlock(&http->lock);
}

/* The first that is known of a request: its target, as it was sent. */
static void *on_target(void *ctx, const char *target, struct MHD_Connection *connection)
{
    struct exchange *exchange = sb_mem_new(sizeof(*exchange));

    exchange->http = ctx;
    exchange->began = sb_clock_now(&sb_clock_system);
    exchange->arena = sb_arena_new(ARENA_BYTES);
    exchange->request = (struct cp_http_request){
        .arena = exchange->arena,
        .connection = connection,
        .target = sb_arena_dup(exchange->arena, sb_slice_of(target)),
    };
    sb_buf_init(&exchange->body, CP_HTTP_BODY_MAX);
    sb_buf_init(&exchange->reply.body, CP_HTTP_ANSWER_MAX);
    return exchange;
}

/* Both may hold secrets: those of a catalogue, a key that was made. */
static void release_wiped(struct sb_buf *buf)
{
    if (buf->data != NULL)
        sb_secret_wipe(buf->data, buf->size);
    sb_buf_release(buf);
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **user,
                         enum MHD_RequestTerminationCode code)
{
    struct exchange *exchange = *user;

    (void)ctx;
    (void)connection;
    if (exchange == NULL)
        return;
    *user = NULL;
    if (exchange->phase == PHASE_REPLIED)
        sb_log_debug(ADMIN, "answered method=%s path=%.*s status=%u took_ms=%llu id=%s%s",
                     exchange->request.method, (int)sb_slice_find(exchange->request.target, '?'),
                     exchange->request.target.p, exchange->reply.status,
                     (unsigned long long)(sb_clock_now(&sb_clock_system) - exchange->began),
                     exchange->request.id,
                     code == MHD_REQUEST_TERMINATED_COMPLETED_OK ? "" : ", cut short");
    count_end(exchange);
    release_wiped(&exchange->body);
    release_wiped(&exchange->reply.body);
    sb_arena_destroy(&exchange->arena);
    sb_mem_free(exchange);
}

/* --- replies ------------------------------------------------------------------------ */

/* Content of a reply in pieces: what more() appended, then more() again. */
static ssize_t on_piece(void *ctx, uint64_t at, char *out, size_t room)
{
    struct exchange *exchange = ctx;
    struct cp_http_reply *reply = &exchange->reply;
    struct sb_slice held = sb_buf_slice(&reply->body);

    (void)at;
    if (held.p == NULL || held.n == 0) {
        int rc = reply->more(reply->more_ctx, &reply->body);

        held = sb_buf_slice(&reply->body);
        if (rc == SB_EEOF)
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (rc != SB_OK || SB_NEVER(held.p == NULL || held.n == 0)) {
            sb_log_warn(ADMIN, "broke off an answer id=%s code=%s", exchange->request.id,
                        sb_err_name(rc));
            return MHD_CONTENT_READER_END_WITH_ERROR;
        }
    }
    if (held.n > room)
        held.n = room;
    memcpy(out, held.p, held.n);
    sb_buf_consume(&reply->body, held.n);
    return (ssize_t)held.n;
}

static void add_field(struct MHD_Response *response, const char *name, const char *value)
{
    /* Fails only when memory is gone, or for bytes that we never send. */
    if (MHD_add_response_header(response, name, value) != MHD_YES)
        sb_log_warn(ADMIN, "left out a field of an answer name=%s", name);
}

static enum MHD_Result send_reply(struct MHD_Connection *connection, struct exchange *exchange)
{
    struct cp_http_reply *reply = &exchange->reply;
    struct sb_slice body = sb_buf_slice(&reply->body);
    struct MHD_Response *response;
    enum MHD_Result result;

    exchange->phase = PHASE_REPLIED;
    if (reply->more != NULL)
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE_BYTES, on_piece,
                                                     exchange, NULL);
    else /* the exchange outlives the response */
        response = MHD_create_response_from_buffer(body.n, (void *)(uintptr_t)body.p,
                                                   MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        return MHD_NO;
    if (reply->content_type != NULL)
        add_field(response, "Content-Type", reply->content_type);
    add_field(response, "X-Request-Id", exchange->request.id);
    add_field(response, "Cache-Control", "no-store");
    add_field(response, "X-Content-Type-Options", "nosniff");
    for (unsigned i = 0; i < reply->n_fields; i++)
        add_field(response, reply->fields[i].name, reply->fields[i].value);
    result = MHD_queue_response(connection, reply->status, response);
    MHD_destroy_response(response);
    return result;
}

void cp_http_reply_field(struct cp_http_reply *reply, const char *name, const char *value)
{
    SB_BUG_ON(reply->n_fields == CP_HTTP_FIELDS_MAX);
    reply->fields[reply->n_fields].name = name;
    reply->fields[reply->n_fields++].value = value;
}

struct sb_slice cp_http_header(const struct cp_http_request *request, const char *name)
{
    const char *value = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);

    return sb_slice_of(value);
}

/* --- receiving ---------------------------------------------------------------------- */

/* The client's own id, when it is fit to be shown and logged. */
static void name_request(struct cp_http_request *request)
{
    struct sb_slice id = cp_http_header(request, "X-Request-Id");
    bool fit = id.n > 0 && id.n < sizeof(request->id);

    for (size_t i = 0; fit && i < id.n; i++)
        fit = id.p[i] > ' ' && id.p[i] < 0x7f;
    if (!fit || !sb_slice_copy_text(id, request->id, sizeof(request->id)))
        sb_random_id("req-", 22, request->id, sizeof(request->id));
}

static void note_peer(struct cp_http_request *request, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct sockaddr_storage name = {.ss_family = AF_UNSPEC};
    struct sb_address address;

    if (info == NULL || info->client_addr == NULL)
        return;
    memcpy(&name, info->client_addr,
           info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                    : sizeof(struct sockaddr_in));
    if (sb_address_from(&name, &address) == SB_OK)
        (void)sb_address_format(&address, request->peer);
}

static bool is_announced_too_big(const struct cp_http_request *request)
{
    struct sb_slice length = cp_http_header(request, "Content-Length");
    uint64_t bytes = 0;

    return length.n > 0 && (!sb_num_read_u64(length, &bytes) || bytes > CP_HTTP_BODY_MAX);
}

static enum MHD_Result count_length(void *ctx, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    unsigned *lengths = ctx;

    (void)kind;
    (void)value;
    *lengths += sb_slice_eq_nocase(sb_slice_of(name), SB_SLICE_LIT("Content-Length")) ||
                sb_slice_eq_nocase(sb_slice_of(name), SB_SLICE_LIT("Transfer-Encoding"));
    return MHD_YES;
}

/* libmicrohttpd takes the first of several lengths, and a coding before any. */
static bool has_one_length(struct MHD_Connection *connection)
{
    unsigned lengths = 0;

    (void)MHD_get_connection_values(connection, MHD_HEADER_KIND, count_length, &lengths);
    return lengths <= 1;
}

static enum MHD_Result on_head(struct MHD_Connection *connection, struct exchange *exchange,
                               const char *method)
{
    struct cp_http *http = exchange->http;

    exchange->phase = PHASE_BODY;
    exchange->request.method = sb_arena_dup(exchange->arena, sb_slice_of(method)).p;
    name_request(&exchange->request);
    note_peer(&exchange->request, connection);
    count_begin(exchange);
    if (!http->ops->head(http->ctx, &exchange->request, &exchange->reply))
        return send_reply(connection, exchange);
    if (!has_one_length(connection)) {
        cp_http_reply_field(&exchange->reply, "Connection", "close");
        http->ops->refuse(http->ctx, &exchange->request, &exchange->reply, SB_EINVAL);
        return send_reply(connection, exchange);
    }
    if (is_announced_too_big(&exchange->request)) {
        http->ops->refuse(http->ctx, &exchange->request, &exchange->reply, SB_ETOOBIG);
        return send_reply(connection, exchange);
    }
    return MHD_YES;
}

/* libmicrohttpd takes no reply in the middle of a body: what is over the limit
 * is read and dropped, up to as much again. */
static enum MHD_Result on_body(struct exchange *exchange, struct sb_slice bytes)
{
    exchange->received += bytes.n;
    if (exchange->received > 2 * (size_t)CP_HTTP_BODY_MAX)
        return MHD_NO;
    if (!exchange->too_big && sb_buf_append(&exchange->body, bytes) != SB_OK)
        exchange->too_big = true;
    return MHD_YES;
}

/* NOLINTNEXTLINE(readability-function-size): the form is the library's */
static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **user)
{
    struct exchange *exchange = *user;
    struct cp_http *http = ctx;

    (void)url;
    (void)version;
    if (SB_NEVER(exchange == NULL))
        return MHD_NO;
    if (exchange->phase == PHASE_HEAD)
        return on_head(connection, exchange, method);
    if (exchange->phase == PHASE_REPLIED) { /* the rest of a body that nobody wants */
        *upload_size = 0;
        return MHD_YES;
    }
    if (*upload_size > 0) {
        struct sb_slice bytes = sb_slice_make(upload, *upload_size);

        *upload_size = 0;
        return on_body(exchange, bytes);
    }
    if (exchange->too_big) {
        http->ops->refuse(http->ctx, &exchange->request, &exchange->reply, SB_ETOOBIG);
    } else {
        exchange->request.body = sb_buf_slice(&exchange->body);
        http->ops->serve(http->ctx, &exchange->request, &exchange->reply);
    }
    return send_reply(connection, exchange);
}

/* --- listening ---------------------------------------------------------------------- */

static int bind_to(const struct addrinfo *info)
{
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        int saved = errno;

        (void)close(fd);
        return -saved;
    }
    return fd;
}

static int open_listener(const char *address, int *ret_fd, struct sb_errmsg *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char host[SB_HOST_MAX], service[8];
    unsigned port;
    int rc;

    rc = sb_hostport_split(address, host, &port, err);
    if (rc != SB_OK)
        return rc;
    (void)snprintf(service, sizeof(service), "%u", port);
    rc = getaddrinfo(host[0] != '\0' ? host : NULL, service, &hints, &found);
    if (rc != 0)
        return sb_err_set(err, SB_EINVAL, "cannot listen on '%.100s': %s", address,
                          gai_strerror(rc));
    rc = bind_to(found);
    freeaddrinfo(found);
    if (rc < 0)
        return sb_err_set(err, sb_err_from_errno(-rc), "cannot listen on %.100s: %s", address,
                          strerror(-rc));
    *ret_fd = rc;
    return SB_OK;
}

static unsigned port_of(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {.v6 = {.sin6_family = AF_UNSPEC}};
    socklen_t size = sizeof(address);

    if (getsockname(fd, &address.any, &size) != 0)
        return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

/* --- start and stop ------------------------------------------------------------------- */

static void on_library_log(void *ctx, const char *fmt, va_list args) SB_PRINTF(2, 0);
static void on_library_log(void *ctx, const char *fmt, va_list args)
{
    char text[256];

    (void)ctx;
    (void)vsnprintf(text, sizeof(text), fmt, args);
    text[strcspn(text, "\n")] = '\0';
    sb_log_debug(ADMIN, "libmicrohttpd says=%s", text);
}

static struct MHD_Daemon *start_daemon(struct cp_http *http, int fd)
{
    const unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
                           MHD_USE_POLL | MHD_USE_ITC | MHD_USE_ERROR_LOG;
    struct MHD_Daemon *daemon;
    sigset_t all, before;

    /* Its threads inherit this: signals are for the process's main thread. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, http, MHD_OPTION_EXTERNAL_LOGGER, on_library_log, NULL,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CP_HTTP_CONNECTIONS,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CP_HTTP_IDLE_SECONDS,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEAD_BYTES, MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)STACK_BYTES, MHD_OPTION_URI_LOG_CALLBACK, on_target, http,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_END);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return daemon;
}

int cp_http_start(const char *listen, const struct cp_http_ops *ops, void *ctx,
                  struct cp_http **ret_http, struct sb_errmsg *err)
{
    struct cp_http *http;
    pthread_condattr_t attr;
    int fd = -1;
    int rc = open_listener(listen, &fd, err);

    if (rc != SB_OK)
        return rc;
    http = sb_mem_new(sizeof(*http));
    http->ops = ops;
    http->ctx = ctx;
    http->port = port_of(fd);
    (void)pthread_mutex_init(&http->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&http->idle, &attr);
    (void)pthread_condattr_destroy(&attr);
    http->daemon = start_daemon(http, fd);
    if (http->daemon == NULL) {
        (void)close(fd);
        cp_http_stop(&http);
        return sb_err_set(err, SB_EIO, "the HTTP server did not start on %.100s", listen);
    }
    *ret_http = http;
    return SB_OK;
}

static void drain(struct cp_http *http)
{
    struct timespec end;

    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += CP_HTTP_DRAIN_MSEC / 1000;
    (void)pthread_mutex_lock(&http->lock);
    while (http->serving > 0) {
        if (pthread_cond_timedwait(&http->idle, &http->lock, &end) == ETIMEDOUT)
            break;
    }
    (void)pthread_mutex_unlock(&http->lock);
}

void cp_http_stop(struct cp_http **http)
{
    struct cp_http *old = *http;

    if (old == NULL)
        return;
    if (old->daemon != NULL) {
        int fd = MHD_quiesce_daemon(old->daemon);

        drain(old);
        MHD_stop_daemon(old->daemon); /* ends and joins all threads */
        if (fd >= 0)
            (void)close(fd);
    }
    (void)pthread_cond_destroy(&old->idle);
    (void)pthread_mutex_destroy(&old->lock);
    sb_mem_free(old);
    *http = NULL;
}

unsigned cp_http_port(const struct cp_http *http)
{
    return http->port;
}
