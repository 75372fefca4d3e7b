/* common/bus.c */
#include "common/bus.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <czmq.h>

#include "common/busaddr.h"
#include "common/busauth.h"
#include "common/buskey.h"
#include "common/check.h"
#include "common/mem.h"
#include "common/secret.h"

enum {
    DEFAULT_QUEUE = 1000,      /* messages */
    HEARTBEAT = 1000,          /* milliseconds */
    LIVENESS = 3 * HEARTBEAT,  /* a silent peer is given up */
    RECONNECT_FIRST = 1000,    /* the library adds up to as much again at random */
    RECONNECT_LONGEST = 32000, /* and doubles up to here */
    /* libzmq may leave a peer that was told "not now" waiting for its whole
     * handshake time: the shorter, the sooner it tries again. */
    HANDSHAKE = LIVENESS,
};

struct sb_bus_socket {
    zsock_t *sock;
    void *handle; /* sock's, resolved */
    enum sb_bus_type type;
    bool is_secure;          /* CURVE */
    struct sb_busauth *auth; /* held: the side that lets others in; else NULL */
    char bound[SB_BUSADDR_MAX];
};

struct sb_bus_msg {
    size_t n;          /* of parts that are initialised */
    size_t first;      /* index of the first frame: 1 after a routing id */
    bool is_authentic; /* its properties come from our ZAP handler */
    zmq_msg_t parts[SB_BUS_FRAMES_MAX + 1];
};

struct sb_bus_blob {
    zmq_msg_t msg; /* its bytes are counted by the library */
};

struct sb_bus_monitor {
    struct sb_bus_socket sock; /* the PAIR that the events come out of */
    struct sb_bus_socket *watched;
};

static atomic_uint n_open; /* sockets of this file */

int sb_bus_init(struct sb_errmsg *err)
{
    /* Before zsys_init(), which would catch SIGINT and SIGTERM. */
    zsys_handler_set(NULL);
    if (zsys_init() == NULL)
        return sb_err_set(err, SB_EINTERNAL, "cannot start ZeroMQ: %s", zmq_strerror(zmq_errno()));
    zsys_set_logstream(NULL);
    if (zmq_has("curve") == 0)
        return sb_err_set(err, SB_EUNSUPPORTED, "this libzmq was built without CURVE");
    return SB_OK;
}

void sb_bus_shutdown(void)
{
    SB_BUG_ON(atomic_load(&n_open) > 0); /* the library would wait for them for ever */
    zsys_shutdown();
}

/* --- Sockets ------------------------------------------------------------------ */

static int set_int(void *handle, int option, int value)
{
    return zmq_setsockopt(handle, option, &value, sizeof(value));
}

static int set_common(void *handle, const struct sb_bus_opts *opts)
{
    int64_t max_bytes = (int64_t)opts->max_message_bytes;
    int send = opts->send_limit > 0 ? (int)opts->send_limit : DEFAULT_QUEUE;
    int recv = opts->recv_limit > 0 ? (int)opts->recv_limit : DEFAULT_QUEUE;
    int bad = zmq_setsockopt(handle, ZMQ_MAXMSGSIZE, &max_bytes, sizeof(max_bytes));

    bad |= set_int(handle, ZMQ_LINGER, 0);
    bad |= set_int(handle, ZMQ_SNDHWM, send);
    bad |= set_int(handle, ZMQ_RCVHWM, recv);
    bad |= set_int(handle, ZMQ_IPV6, 1);
    bad |= set_int(handle, ZMQ_HEARTBEAT_IVL, HEARTBEAT);
    bad |= set_int(handle, ZMQ_HEARTBEAT_TIMEOUT, LIVENESS);
    bad |= set_int(handle, ZMQ_HEARTBEAT_TTL, LIVENESS);
    bad |= set_int(handle, ZMQ_RECONNECT_IVL, RECONNECT_FIRST);
    bad |= set_int(handle, ZMQ_RECONNECT_IVL_MAX, RECONNECT_LONGEST);
    bad |= set_int(handle, ZMQ_HANDSHAKE_IVL, HANDSHAKE);
    return bad;
}

static int set_type(void *handle, enum sb_bus_type type)
{
    int bad = 0;

    switch (type) {
    case SB_BUS_ROUTER:
        bad |= set_int(handle, ZMQ_ROUTER_MANDATORY, 1);
        bad |= set_int(handle, ZMQ_ROUTER_HANDOVER, 0);
        break;
    case SB_BUS_DEALER:
        bad |= set_int(handle, ZMQ_IMMEDIATE, 1);
        break;
    case SB_BUS_PUB:
    case SB_BUS_SUB:
        break;
    }
    return bad;
}

static int set_curve(void *handle, const struct sb_bus_opts *opts)
{
    struct sb_slice secret = sb_secret_expose(sb_buskey_secret(opts->key));
    int bad = zmq_setsockopt(handle, ZMQ_CURVE_SECRETKEY, secret.p, SB_BUSKEY_TEXT + 1);

    if (opts->auth != NULL) {
        bad |= set_int(handle, ZMQ_CURVE_SERVER, 1);
        return bad |
               zmq_setsockopt(handle, ZMQ_ZAP_DOMAIN, "switchboard", sizeof("switchboard") - 1);
    }
    bad |= zmq_setsockopt(handle, ZMQ_CURVE_PUBLICKEY, sb_buskey_public(opts->key),
                          SB_BUSKEY_TEXT + 1);
    bad |= zmq_setsockopt(handle, ZMQ_CURVE_SERVERKEY, opts->server_public, SB_BUSKEY_TEXT + 1);
    return bad;
}

static int check_opts(const struct sb_bus_opts *opts, struct sb_errmsg *err)
{
    SB_BUG_ON(opts->max_message_bytes == 0 || opts->max_message_bytes > INT64_MAX);
    SB_BUG_ON(opts->send_limit > INT32_MAX || opts->recv_limit > INT32_MAX);
    if (opts->key == NULL && opts->auth == NULL && opts->server_public == NULL)
        return SB_OK;
    if (opts->key == NULL)
        return sb_err_set(err, SB_EINVAL, "CURVE needs a key of our own");
    if ((opts->auth != NULL) == (opts->server_public != NULL))
        return sb_err_set(err, SB_EINVAL,
                          "CURVE needs either the server's public key, to connect, or the "
                          "authorised keys, to be connected to");
    if (opts->server_public != NULL && !sb_buskey_is_public_text(sb_slice_of(opts->server_public)))
        return sb_err_set(err, SB_EINVAL, "the server's public key is not %d characters of Z85",
                          (int)SB_BUSKEY_TEXT);
    return SB_OK;
}

static int library_type(enum sb_bus_type type)
{
    switch (type) {
    case SB_BUS_PUB:
        return ZMQ_PUB;
    case SB_BUS_SUB:
        return ZMQ_SUB;
    case SB_BUS_ROUTER:
        return ZMQ_ROUTER;
    case SB_BUS_DEALER:
        break;
    }
    return ZMQ_DEALER;
}

int sb_bus_socket_new(enum sb_bus_type type, const struct sb_bus_opts *opts,
                      struct sb_bus_socket **ret, struct sb_errmsg *err)
{
    SB_CLEANUP(sb_bus_socket_destroy) struct sb_bus_socket *sock = NULL;
    int rc = check_opts(opts, err);

    if (rc != SB_OK)
        return rc;
    sock = sb_mem_new(sizeof(*sock));
    sock->type = type;
    sock->is_secure = opts->key != NULL;
    sock->sock = zsock_new(library_type(type));
    if (sock->sock == NULL)
        return sb_err_set(err, SB_EINTERNAL, "no bus socket: %s", zmq_strerror(zmq_errno()));
    (void)atomic_fetch_add(&n_open, 1);
    sock->handle = zsock_resolve(sock->sock);
    if (set_common(sock->handle, opts) != 0 || set_type(sock->handle, type) != 0 ||
        (sock->is_secure && set_curve(sock->handle, opts) != 0))
        return sb_err_set(err, SB_EINTERNAL, "libzmq refuses a bus option: %s",
                          zmq_strerror(zmq_errno()));
    if (opts->auth != NULL) {
        sock->auth = opts->auth;
        sb_busauth_hold(sock->auth);
    }
    *ret = sock;
    sock = NULL;
    return SB_OK;
}

void sb_bus_socket_destroy(struct sb_bus_socket **sockp)
{
    struct sb_bus_socket *sock = *sockp;

    *sockp = NULL;
    if (sock == NULL)
        return;
    if (sock->sock != NULL) {
        zsock_destroy(&sock->sock);
        (void)atomic_fetch_sub(&n_open, 1);
    }
    if (sock->auth != NULL)
        sb_busauth_release(sock->auth);
    sb_mem_free(sock);
}

void *sb_bus_socket_handle(struct sb_bus_socket *sock)
{
    return sock->handle;
}

static int fail(struct sb_errmsg *err, const char *what, const char *addr)
{
    int errnum = zmq_errno();

    return sb_err_set(err, sb_err_from_errno(errnum), "cannot %s %.150s: %s", what, addr,
                      zmq_strerror(errnum));
}

int sb_bus_bind(struct sb_bus_socket *sock, const char *addr, struct sb_errmsg *err)
{
    size_t size = sizeof(sock->bound);
    int rc = sb_busaddr_check(addr, sock->is_secure, err);

    if (rc != SB_OK)
        return rc;
    if (sock->is_secure && sock->auth == NULL)
        return sb_err_set(err, SB_EINVAL, "%.150s: this socket's keys are those to connect with",
                          addr);
    if (addr[0] == 'i') {
        rc = sb_busaddr_check_free(addr, err);
        if (rc != SB_OK)
            return rc;
    }
    if (zmq_bind(sock->handle, addr) != 0)
        return fail(err, "bind to", addr);
    if (zmq_getsockopt(sock->handle, ZMQ_LAST_ENDPOINT, sock->bound, &size) != 0)
        sock->bound[0] = '\0';
    return SB_OK;
}

int sb_bus_connect(struct sb_bus_socket *sock, const char *addr, struct sb_errmsg *err)
{
    int rc = sb_busaddr_check(addr, sock->is_secure, err);

    if (rc != SB_OK)
        return rc;
    if (sock->auth != NULL)
        return sb_err_set(err, SB_EINVAL, "%.150s: this socket's keys are those to bind with",
                          addr);
    return zmq_connect(sock->handle, addr) == 0 ? SB_OK : fail(err, "connect to", addr);
}

int sb_bus_disconnect(struct sb_bus_socket *sock, const char *addr, struct sb_errmsg *err)
{
    return zmq_disconnect(sock->handle, addr) == 0 ? SB_OK : fail(err, "disconnect from", addr);
}

const char *sb_bus_bound_addr(const struct sb_bus_socket *sock)
{
    return sock->bound;
}

void sb_bus_subscribe(struct sb_bus_socket *sock, struct sb_slice prefix)
{
    SB_BUG_ON(sock->type != SB_BUS_SUB);
    SB_BUG_ON(zmq_setsockopt(sock->handle, ZMQ_SUBSCRIBE, prefix.n > 0 ? prefix.p : "", prefix.n) !=
              0);
}

void sb_bus_unsubscribe(struct sb_bus_socket *sock, struct sb_slice prefix)
{
    SB_BUG_ON(sock->type != SB_BUS_SUB);
    /* Never subscribed is not worth an error. */
    (void)zmq_setsockopt(sock->handle, ZMQ_UNSUBSCRIBE, prefix.n > 0 ? prefix.p : "", prefix.n);
}

/* --- Sending ------------------------------------------------------------------ */

static int send_failed(void)
{
    switch (zmq_errno()) {
    case EAGAIN:
        return SB_EAGAIN;
    case EHOSTUNREACH:
        return SB_ENOENT;
    case ETERM:
        return SB_ECANCELED;
    default:
        return SB_EIO;
    }
}

static void close_parts(zmq_msg_t *parts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)zmq_msg_close(&parts[i]);
}

/* Takes the parts, sent or not. */
static int send_parts(struct sb_bus_socket *sock, zmq_msg_t *parts, size_t n)
{
    int rc = SB_OK;

    for (size_t i = 0; i < n; i++) {
        int flags = ZMQ_DONTWAIT | (i + 1 < n ? ZMQ_SNDMORE : 0);

        if (zmq_msg_send(&parts[i], sock->handle, flags) >= 0)
            continue;
        if (rc == SB_OK)
            rc = send_failed();
        if (i == 0)
            break;
        /* The connection went in the middle: the library has taken back what
         * it had, and wants to see the end of the message to start afresh. */
    }
    close_parts(parts, n);
    return rc;
}

static int add_part(zmq_msg_t *parts, size_t *n, struct sb_slice bytes)
{
    if (zmq_msg_init_size(&parts[*n], bytes.n) != 0)
        return SB_ENOMEM;
    if (bytes.n > 0)
        memcpy(zmq_msg_data(&parts[*n]), bytes.p, bytes.n);
    ++*n;
    return SB_OK;
}

int sb_bus_send_blob(struct sb_bus_socket *sock, struct sb_slice to, const struct sb_slice *frames,
                     size_t n, struct sb_bus_blob *blob)
{
    zmq_msg_t parts[SB_BUS_FRAMES_MAX + 1]; /* all made before any is sent: whole or nothing */
    size_t n_parts = 0, n_frames = n + (blob != NULL ? 1 : 0);
    int rc = SB_OK;

    SB_BUG_ON(sock->type == SB_BUS_SUB || (sock->type == SB_BUS_ROUTER) != (to.n > 0));
    if (n_frames == 0 || n_frames > SB_BUS_FRAMES_MAX)
        return SB_EINVAL;
    if (to.n > 0)
        rc = add_part(parts, &n_parts, to);
    for (size_t i = 0; i < n && rc == SB_OK; i++)
        rc = add_part(parts, &n_parts, frames[i]);
    if (rc != SB_OK) {
        close_parts(parts, n_parts);
        return rc;
    }
    if (blob != NULL) {
        (void)zmq_msg_init(&parts[n_parts]);
        (void)zmq_msg_copy(&parts[n_parts++], &blob->msg);
    }
    return send_parts(sock, parts, n_parts);
}

int sb_bus_send(struct sb_bus_socket *sock, const struct sb_slice *frames, size_t n)
{
    return sb_bus_send_blob(sock, SB_SLICE_NONE, frames, n, NULL);
}

int sb_bus_send_to(struct sb_bus_socket *sock, struct sb_slice to, const struct sb_slice *frames,
                   size_t n)
{
    return sb_bus_send_blob(sock, to, frames, n, NULL);
}

int sb_bus_blob_new(struct sb_slice bytes, struct sb_bus_blob **ret)
{
    struct sb_bus_blob *blob = sb_mem_new(sizeof(*blob));
    size_t n = 0;
    int rc = add_part(&blob->msg, &n, bytes);

    if (rc != SB_OK) {
        sb_mem_free(blob);
        return rc;
    }
    *ret = blob;
    return SB_OK;
}

void sb_bus_blob_destroy(struct sb_bus_blob **blobp)
{
    struct sb_bus_blob *blob = *blobp;

    *blobp = NULL;
    if (blob == NULL)
        return;
    (void)zmq_msg_close(&blob->msg);
    sb_mem_free(blob);
}

static struct sb_slice part_slice(const zmq_msg_t *part)
{
    zmq_msg_t *p = (zmq_msg_t *)(uintptr_t)part; /* the library's getters take no const */

    return sb_slice_make(zmq_msg_data(p), zmq_msg_size(p));
}

struct sb_slice sb_bus_blob_bytes(const struct sb_bus_blob *blob)
{
    return part_slice(&blob->msg);
}

/* --- Receiving ---------------------------------------------------------------- */

/* Throws the rest of a message away. */
static void drain(void *handle)
{
    zmq_msg_t rest;
    int more;

    do {
        (void)zmq_msg_init(&rest);
        more = zmq_msg_recv(&rest, handle, ZMQ_DONTWAIT) >= 0 && zmq_msg_more(&rest);
        (void)zmq_msg_close(&rest);
    } while (more);
}

static int recv_failed(void)
{
    switch (zmq_errno()) {
    case EAGAIN:
    case EINTR:
        return SB_EAGAIN;
    case ETERM:
        return SB_ECANCELED;
    default:
        return SB_EIO;
    }
}

int sb_bus_recv(struct sb_bus_socket *sock, struct sb_bus_msg **ret)
{
    SB_CLEANUP(sb_bus_msg_destroy) struct sb_bus_msg *msg = NULL;
    size_t first = sock->type == SB_BUS_ROUTER ? 1 : 0;
    zmq_msg_t head;
    bool more;

    (void)zmq_msg_init(&head);
    if (zmq_msg_recv(&head, sock->handle, ZMQ_DONTWAIT) < 0) {
        (void)zmq_msg_close(&head);
        return recv_failed();
    }
    msg = sb_mem_new(sizeof(*msg));
    msg->first = first;
    msg->is_authentic = sock->auth != NULL;
    (void)zmq_msg_init(&msg->parts[msg->n]);
    (void)zmq_msg_move(&msg->parts[msg->n++], &head);
    (void)zmq_msg_close(&head);
    more = zmq_msg_more(&msg->parts[0]) != 0;
    while (more) {
        zmq_msg_t *part = &msg->parts[msg->n];

        if (msg->n == first + SB_BUS_FRAMES_MAX) {
            drain(sock->handle);
            return SB_EPARSE;
        }
        (void)zmq_msg_init(part);
        msg->n++;
        /* Messages arrive whole: the rest is there. */
        if (zmq_msg_recv(part, sock->handle, ZMQ_DONTWAIT) < 0)
            return zmq_errno() == ETERM ? SB_ECANCELED : SB_EIO;
        more = zmq_msg_more(part) != 0;
    }
    /* Cannot be, as long as the ZAP handler lives; and it must not be. */
    if (msg->is_authentic && sb_bus_msg_key(msg).n == 0)
        return SB_EAUTH;
    *ret = msg;
    msg = NULL;
    return SB_OK;
}

void sb_bus_msg_destroy(struct sb_bus_msg **msgp)
{
    struct sb_bus_msg *msg = *msgp;

    *msgp = NULL;
    if (msg == NULL)
        return;
    close_parts(msg->parts, msg->n);
    sb_mem_free(msg);
}

size_t sb_bus_msg_frames(const struct sb_bus_msg *msg)
{
    return msg->n - msg->first;
}

struct sb_slice sb_bus_msg_frame(const struct sb_bus_msg *msg, size_t i)
{
    return i < msg->n - msg->first ? part_slice(&msg->parts[msg->first + i]) : SB_SLICE_NONE;
}

struct sb_slice sb_bus_msg_peer(const struct sb_bus_msg *msg)
{
    return msg->first > 0 ? part_slice(&msg->parts[0]) : SB_SLICE_NONE;
}

/* Without our ZAP handler a peer could set these properties itself. */
static struct sb_slice property(const struct sb_bus_msg *msg, const char *name)
{
    /* The routing id is made on our side and may carry none. */
    return msg->is_authentic ? sb_slice_of(zmq_msg_gets(&msg->parts[msg->n - 1], name))
                             : SB_SLICE_NONE;
}

struct sb_slice sb_bus_msg_key(const struct sb_bus_msg *msg)
{
    return property(msg, "User-Id");
}

struct sb_slice sb_bus_msg_name(const struct sb_bus_msg *msg)
{
    return property(msg, "Name");
}

/* --- Monitor ------------------------------------------------------------------ */

const char *sb_bus_event_name(enum sb_bus_event event)
{
    switch (event) {
    case SB_BUS_CONNECTED:
        return "connected";
    case SB_BUS_DISCONNECTED:
        return "disconnected";
    case SB_BUS_REFUSED:
        return "refused";
    }
    return "unknown";
}

int sb_bus_monitor_new(struct sb_bus_socket *sock, struct sb_bus_monitor **ret)
{
    static atomic_uint n_made;
    SB_CLEANUP(sb_bus_monitor_destroy) struct sb_bus_monitor *monitor = NULL;
    char addr[64];

    (void)snprintf(addr, sizeof(addr), "inproc://switchboard-monitor-%u",
                   atomic_fetch_add(&n_made, 1));
    monitor = sb_mem_new(sizeof(*monitor));
    monitor->sock.sock = zsock_new(ZMQ_PAIR);
    if (monitor->sock.sock == NULL)
        return SB_EINTERNAL;
    (void)atomic_fetch_add(&n_open, 1);
    monitor->sock.handle = zsock_resolve(monitor->sock.sock);
    if (zmq_socket_monitor(sock->handle, addr,
                           ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED |
                               ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                               ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                               ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) != 0)
        return SB_EINTERNAL;
    monitor->watched = sock;
    /* No limit: at one, the library's I/O thread would wait for us to read. */
    if (set_int(monitor->sock.handle, ZMQ_RCVHWM, 0) != 0 ||
        zmq_connect(monitor->sock.handle, addr) != 0)
        return SB_EINTERNAL;
    *ret = monitor;
    monitor = NULL;
    return SB_OK;
}

void sb_bus_monitor_destroy(struct sb_bus_monitor **monitorp)
{
    struct sb_bus_monitor *monitor = *monitorp;

    *monitorp = NULL;
    if (monitor == NULL)
        return;
    if (monitor->watched != NULL)
        (void)zmq_socket_monitor(monitor->watched->handle, NULL, 0);
    if (monitor->sock.sock != NULL) {
        zsock_destroy(&monitor->sock.sock);
        (void)atomic_fetch_sub(&n_open, 1);
    }
    sb_mem_free(monitor);
}

struct sb_bus_socket *sb_bus_monitor_socket(struct sb_bus_monitor *monitor)
{
    return &monitor->sock;
}

static bool is_known(uint16_t event, enum sb_bus_event *ret)
{
    switch (event) {
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        *ret = SB_BUS_CONNECTED;
        return true;
    case ZMQ_EVENT_DISCONNECTED:
        *ret = SB_BUS_DISCONNECTED;
        return true;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        *ret = SB_BUS_REFUSED;
        return true;
    default:
        return false; /* such as "monitor stopped" */
    }
}

int sb_bus_monitor_next(struct sb_bus_monitor *monitor, enum sb_bus_event *ret_event,
                        char *ret_addr)
{
    for (;;) {
        SB_CLEANUP(sb_bus_msg_destroy) struct sb_bus_msg *msg = NULL;
        int rc = sb_bus_recv(&monitor->sock, &msg);
        uint16_t event; /* host order, then four bytes of detail; the address is frame 1 */
        struct sb_slice frame;

        if (rc != SB_OK)
            return rc;
        frame = sb_bus_msg_frame(msg, 0);
        if (frame.p == NULL || frame.n < sizeof(event))
            continue;
        memcpy(&event, frame.p, sizeof(event));
        if (!is_known(event, ret_event))
            continue;
        if (ret_addr != NULL &&
            !sb_slice_copy_text(sb_bus_msg_frame(msg, 1), ret_addr, SB_BUSADDR_MAX))
            ret_addr[0] = '\0';
        return SB_OK;
    }
}
