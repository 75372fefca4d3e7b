/* dataplane/upstream/dial.c
 *
 * When a dial ends well, a plain socket is taken out of libcurl, and a TLS
 * connection stays in it, with a watch of our own.
 *
 * Tested with libcurl 7.88.1, 8.5.0 and 8.14.1; what is said about its inside
 * was read in or measured with the first.
 */
#include "dataplane/upstream/dial.h"

#include <curl/curl.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/check.h"
#include "common/loop.h"
#include "common/mem.h"
#include "dataplane/upstream/conn.h"
#include "dataplane/upstream/multi.h"
#include "dataplane/upstream/trust.h"
#include "proto/limits.h"

enum {
    /* curl_easy_send() and curl_easy_recv() search the connection in a list of
     * all of the multi handle, at each call: 0.55 us with 32, 24 us with 4 000.
     * So TLS connections live in many small multi handles. */
    GROUP_MAX = 32,
    /* One TLS record; also the least that a send after "try again" is given. */
    RECORD_MAX = 16384,
    /* Of one send call; more waits for the next turn of the loop. */
    RECORDS_PER_SEND = 16,
    /* Dead peers behind a NAT or a pulled cable: found after a minute. */
    KEEPALIVE_IDLE_S = 30,
    KEEPALIVE_INTERVAL_S = 10,
    KEEPALIVE_PROBES = 3,
};

/* What only a dial needs. */
struct dial {
    dp_dial_done_cb *done;
    sb_msec started;
    int local_errno;         /* why we could make no socket */
    enum msg_outcome failed; /* before libcurl was asked; text says why */
    char text[CURL_ERROR_SIZE];
};

struct dp_dialer {
    struct sb_loop *loop;
    struct dp_multi *plain; /* only dials: plain connections leave at once */
    struct sb_list groups;  /* of TLS connections */
    struct dp_trusts trusts;
    struct sb_list conns;   /* open ones, and dials that libcurl has */
    struct sb_list stopped; /* dials that failed before they began */
    struct sb_list dead;    /* closed without having been open */
    struct sb_task work;    /* the two lists above */
    struct dp_dial_stats stats;
    char record[RECORD_MAX]; /* parts of a send, put together for one TLS record */
};

const char *dp_dial_failure_name(int failure)
{
    static const char *const names[DP_DIAL_FAILURES] = {"connect", "timeout", "dns", "tls",
                                                        "local"};

    return failure >= 0 && failure < DP_DIAL_FAILURES ? names[failure] : NULL;
}

/* --- groups ------------------------------------------------------------------- */

static void on_result(void *easy, int code);

/* One empty group is kept: the next dial comes. */
static void on_empty_group(struct dp_multi *group, void *ctx)
{
    struct dp_dialer *dialer = ctx;

    if (group == dialer->plain || dialer->stats.tls_groups == 1)
        return;
    dialer->stats.tls_groups--;
    dp_multi_destroy(&group);
}

static const struct dp_multi_cbs group_cbs = {.on_result = on_result, .on_empty = on_empty_group};

/* NULL when there is none and none can be made. */
static struct dp_multi *tls_group_with_room(struct dp_dialer *dialer)
{
    struct dp_multi *group;

    sb_list_for_each(link, &dialer->groups)
    {
        group = dp_multi_of_link(link);
        if (dp_multi_count(group) < GROUP_MAX)
            return group;
    }
    group = dp_multi_new(dialer->loop, &group_cbs, dialer);
    if (group != NULL) {
        sb_list_add_tail(&dialer->groups, dp_multi_link(group));
        dialer->stats.tls_groups++;
    }
    return group;
}

/* --- ends --------------------------------------------------------------------- */

/* Takes the easy handle out of libcurl, which closes its connection. */
static void drop_easy(struct dp_conn *conn)
{
    if (conn->group != NULL)
        dp_multi_remove(conn->group, conn->easy);
    conn->group = NULL;
    conn->ssl = NULL;
    curl_easy_cleanup(conn->easy);
    conn->easy = NULL;
    dp_trust_unref(&conn->trust);
}

/* We are out of something, and the provider is not to blame.  Not
 * EADDRNOTAVAIL: ports that are used up look like a host without IPv6. */
static bool is_local_errno(long error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* A name look-up begins with a pair of descriptors, and fails like an unknown
 * name when there are none. */
static bool is_out_of_descriptors(void)
{
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        return is_local_errno(errno);
    (void)close(fds[0]);
    (void)close(fds[1]);
    return false;
}

/* A time-out covers names, TCP, the proxy and TLS, and is result 28 wherever
 * it struck; nobody but DNS is asked for 5 and 6. */
static enum msg_outcome classify(CURLcode result)
{
    switch ((int)result) {
    case CURLE_OK:
        return MSG_OUTCOME_SUCCESS;
    case CURLE_OPERATION_TIMEDOUT:
        return MSG_OUTCOME_CONNECT_TIMEOUT;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return MSG_OUTCOME_DNS_FAILED;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_SHUTDOWN_FAILED:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CLIENTCERT:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_USE_SSL_FAILED:
    case CURLE_ABORTED_BY_CALLBACK: /* on_ssl_ctx() */
        return MSG_OUTCOME_TLS_FAILED;
    case CURLE_OUT_OF_MEMORY:
    case CURLE_FAILED_INIT:
        return MSG_OUTCOME_OVERLOADED;
    default:
        return MSG_OUTCOME_CONNECT_FAILED;
    }
}

static enum dp_dial_failure failure_of(enum msg_outcome outcome)
{
    switch ((int)outcome) {
    case MSG_OUTCOME_CONNECT_TIMEOUT:
        return DP_DIAL_FAILED_TIMEOUT;
    case MSG_OUTCOME_TLS_FAILED:
        return DP_DIAL_FAILED_TLS;
    case MSG_OUTCOME_DNS_FAILED:
        return DP_DIAL_FAILED_DNS;
    case MSG_OUTCOME_OVERLOADED:
        return DP_DIAL_FAILED_LOCAL;
    default:
        return DP_DIAL_FAILED_CONNECT;
    }
}

/* Completes the text, before the easy handle goes. */
static enum msg_outcome explain(struct dp_conn *conn, CURLcode result)
{
    struct dial *dial = conn->dial;
    enum msg_outcome outcome = classify(result);
    long error = 0;
    size_t n;

    if (outcome == MSG_OUTCOME_SUCCESS)
        return outcome;
    (void)curl_easy_getinfo(conn->easy, CURLINFO_OS_ERRNO, &error);
    if (dial->local_errno != 0)
        error = dial->local_errno;
    if (dial->text[0] == '\0')
        (void)snprintf(dial->text, sizeof(dial->text), "%s", curl_easy_strerror(result));
    n = strlen(dial->text);
    if (outcome == MSG_OUTCOME_CONNECT_FAILED && error != 0 && n + 3 < sizeof(dial->text)) {
        char why[80];

        if (strerror_r((int)error, why, sizeof(why)) == 0)
            (void)snprintf(dial->text + n, sizeof(dial->text) - n, " (%s)", why);
    }
    if (outcome == MSG_OUTCOME_CONNECT_FAILED && is_local_errno(error))
        outcome = MSG_OUTCOME_OVERLOADED;
    if (outcome == MSG_OUTCOME_DNS_FAILED && is_out_of_descriptors())
        outcome = MSG_OUTCOME_OVERLOADED;
    return outcome;
}

/* Calls back, last: the connection may be closed then. */
static void finish(struct dp_conn *conn, enum msg_outcome outcome)
{
    struct dp_dialer *dialer = conn->dialer;
    struct dial *dial = conn->dial;

    conn->dial = NULL;
    conn->opened_at = sb_loop_now(dialer->loop);
    conn->dial_time = (uint32_t)(conn->opened_at - dial->started);
    dialer->stats.dialling--;
    if (outcome == MSG_OUTCOME_SUCCESS) {
        (*(conn->tls ? &dialer->stats.open_tls : &dialer->stats.open_plain))++;
        dial->text[0] = '\0';
    } else {
        conn->state = DP_CONN_FAILED;
        dialer->stats.failures[failure_of(outcome)]++;
    }
    dial->done(conn, outcome, dial->text);
    sb_mem_free(dial);
}

/* --- TLS ---------------------------------------------------------------------- */

static int tls_recv(struct dp_conn *conn, void *buf, size_t size, size_t *ret_n)
{
    size_t n = 0;
    CURLcode result = curl_easy_recv(conn->easy, buf, size, &n);

    if (result == CURLE_AGAIN)
        return SB_EAGAIN;
    if (result != CURLE_OK)
        return SB_ECONNRESET;
    if (n == 0)
        return SB_EEOF;
    *ret_n = n;
    return SB_OK;
}

/* The bytes of one record that begin `skip` bytes into the first part: where
 * they are when they lie in one piece, else copied together.  How many depends
 * on how many are left and on nothing else, so that the record that OpenSSL
 * has encrypted already is offered again with its length. */
static struct sb_slice next_record(struct dp_dialer *dialer, const struct sb_slice *parts, size_t n,
                                   size_t skip)
{
    size_t filled = 0;

    if (parts[0].n - skip >= RECORD_MAX)
        return sb_slice_make(parts[0].p + skip, RECORD_MAX);
    if (n == 1)
        return sb_slice_from(parts[0], skip);
    for (size_t i = 0; i < n && filled < RECORD_MAX; i++) {
        struct sb_slice part = i == 0 ? sb_slice_from(parts[0], skip) : parts[i];
        size_t take = part.n < RECORD_MAX - filled ? part.n : RECORD_MAX - filled;

        if (take > 0)
            memcpy(dialer->record + filled, part.p, take);
        filled += take;
    }
    return sb_slice_make(dialer->record, filled);
}

static int tls_sendv(struct dp_conn *conn, const struct sb_slice *parts, size_t n, size_t *ret_n)
{
    size_t total = 0, skip = 0;

    for (unsigned records = 0; records < RECORDS_PER_SEND; records++) {
        struct sb_slice record;
        size_t sent = 0;
        CURLcode result;

        while (n > 0 && skip == parts[0].n) {
            parts++;
            n--;
            skip = 0;
        }
        if (n == 0)
            break;
        record = next_record(conn->dialer, parts, n, skip);
        result = curl_easy_send(conn->easy, record.p, record.n, &sent);
        if (result == CURLE_AGAIN)
            break;
        if (result != CURLE_OK)
            return SB_ECONNRESET;
        total += sent;
        for (skip += sent; n > 0 && skip > parts[0].n; n--)
            skip -= (parts++)->n;
        if (sent < record.n)
            break;
    }
    if (total == 0)
        return SB_EAGAIN;
    *ret_n = total;
    return SB_OK;
}

/* OpenSSL reads ahead: what the socket has goes into its buffer at once. */
static bool tls_may_hold(const struct dp_conn *conn)
{
    return conn->ssl == NULL || dp_trust_has_pending(conn->ssl);
}

/* A small record is mostly alone (an event of a stream), a big one seldom. */
static bool tls_may_get(size_t n, size_t size)
{
    return n == size || n >= RECORD_MAX / 2;
}

static const struct dp_conn_io tls_io = {
    .recv = tls_recv, .sendv = tls_sendv, .may_hold = tls_may_hold, .may_get = tls_may_get};

/* Called while libcurl makes the context of one connection. */
static CURLcode on_ssl_ctx(CURL *easy, void *ssl_ctx, void *ctx)
{
    struct dp_conn *conn = ctx;

    (void)easy;
    return dp_trust_apply(conn->trust, ssl_ctx) ? CURLE_OK : CURLE_ABORTED_BY_CALLBACK;
}

/* --- sockets ------------------------------------------------------------------ */

static curl_socket_t on_open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
    };
    struct dp_conn *conn = ctx;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    address->protocol);

    (void)purpose;
    if (fd < 0) {
        if (is_local_errno(errno))
            conn->dial->local_errno = errno;
        return CURL_SOCKET_BAD;
    }
    for (size_t i = 0; i < SB_ARRAY_LEN(options); i++) /* wishes, not needs */
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                         sizeof(options[i].value));
    return fd;
}

/* For plain connections.  The one socket that take_plain() has named stays
 * open; addresses that were tried in vain are closed as usual. */
static int on_close_socket(void *ctx, curl_socket_t fd)
{
    struct dp_conn *conn = ctx;

    if (fd != conn->fd)
        return close(fd);
    conn->kept = true;
    return 0;
}

/* --- taking over -------------------------------------------------------------- */

/* Out of libcurl: it closes its connection when the handle is removed, but
 * leaves the socket to us.  Nothing was read beyond a proxy's answer, which it
 * reads byte by byte. */
static CURLcode take_plain(struct dp_conn *conn, int fd)
{
    conn->fd = fd;
    drop_easy(conn);
    if (SB_NEVER(!conn->kept)) { /* then it is not ours, and perhaps closed */
        conn->fd = -1;
        return CURLE_FAILED_INIT;
    }
    if (SB_NEVER(dp_conn_open(conn, conn->dialer->loop, fd, &dp_conn_plain) != SB_OK)) {
        (void)close(fd);
        return CURLE_FAILED_INIT;
    }
    return CURLE_OK;
}

/* Reads once, which should find nothing: libcurl takes a connection that was
 * never sent or received on for an idle one of its own, closes it when another
 * dial runs and it is 118 s old or has something to read, and the number of
 * its descriptor is used again.  The first call makes it the easy handle's for
 * good.  Ours may wait in the pool before its first request. */
static CURLcode take_tls(struct dp_conn *conn, int fd)
{
    struct curl_tlssessioninfo *info = NULL;
    size_t n = 0;
    char byte;

    if (curl_easy_recv(conn->easy, &byte, 1, &n) != CURLE_AGAIN) {
        if (n > 0 || conn->dial->text[0] == '\0') /* else libcurl says which alert came */
            (void)snprintf(conn->dial->text, sizeof(conn->dial->text),
                           n > 0 ? "the provider spoke first" : "closed right after the handshake");
        return CURLE_RECV_ERROR;
    }
    (void)curl_easy_setopt(conn->easy, CURLOPT_ERRORBUFFER, NULL); /* goes with the dial */
    if (curl_easy_getinfo(conn->easy, CURLINFO_TLS_SSL_PTR, &info) == CURLE_OK && info != NULL &&
        info->internals != NULL && !conn->tls_proxy) {
        conn->ssl = info->internals;
        conn->dialer->stats.tls_resumed += dp_trust_is_resumed(conn->ssl);
    }
    if (SB_NEVER(dp_conn_open(conn, conn->dialer->loop, fd, &tls_io) != SB_OK))
        return CURLE_FAILED_INIT;
    return CURLE_OK;
}

/* From the task of the group. */
static void on_result(void *easy, int code)
{
    CURLcode result = (CURLcode)code;
    curl_socket_t fd = CURL_SOCKET_BAD;
    struct dp_conn *conn = NULL;
    enum msg_outcome outcome;

    SB_BUG_ON(curl_easy_getinfo(easy, CURLINFO_PRIVATE, &conn) != CURLE_OK || conn == NULL);
    if (result == CURLE_OK) {
        (void)curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd);
        if (fd == CURL_SOCKET_BAD)
            result = CURLE_COULDNT_CONNECT; /* gone since */
        else
            result = conn->tls ? take_tls(conn, fd) : take_plain(conn, fd);
    }
    outcome = explain(conn, result);
    if (outcome != MSG_OUTCOME_SUCCESS)
        drop_easy(conn);
    finish(conn, outcome);
}

/* --- dial --------------------------------------------------------------------- */

static bool has_tls_proxy(const struct dp_target *target)
{
    return target->proxy.n >= 8 && strncasecmp(target->proxy.p, "https://", 8) == 0;
}

static CURLcode set_options(struct dp_conn *conn, const struct dp_target *target, sb_msec timeout)
{
    char url[DP_HOST_MAX + 32], proxy[MSG_URL_MAX + 1];
    bool v6 = target->host.n > 0 && sb_slice_find(target->host, ':') < target->host.n;
    CURL *easy = conn->easy;
    int bad = 0;

    (void)snprintf(url, sizeof(url), "%s://%s%.*s%s:%u/", target->tls ? "https" : "http",
                   v6 ? "[" : "", SB_SLICE_ARGS(target->host), v6 ? "]" : "", target->port);
    if (!sb_slice_copy_text(target->proxy, proxy, sizeof(proxy)))
        return CURLE_COULDNT_RESOLVE_PROXY;
#define SET(option, value) bad |= curl_easy_setopt(easy, (option), (value)) != CURLE_OK
    SET(CURLOPT_PRIVATE, conn);
    SET(CURLOPT_ERRORBUFFER, conn->dial->text);
    SET(CURLOPT_URL, url);
    SET(CURLOPT_CONNECT_ONLY, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(timeout < 1 ? 1 : timeout > INT_MAX ? INT_MAX : timeout));
    SET(CURLOPT_NOSIGNAL, 1L);
    /* A thread that hangs in a name look-up is left behind; else removing the
     * handle waits for it, and the loop with it, past any time limit. */
    SET(CURLOPT_QUICK_EXIT, 1L);
    /* We speak HTTP/1.1; with h2 agreed on by ALPN no answer would ever come. */
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_BUFFERSIZE, 1024L);
    SET(CURLOPT_SHARE, dp_trust_share(conn->trust));
    /* What the environment says about proxies is not meant for us. */
    SET(CURLOPT_PROXY, proxy);
    SET(CURLOPT_NOPROXY, "");
    SET(CURLOPT_HTTPPROXYTUNNEL, 1L); /* else "connected" to a proxy means nothing */
    SET(CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    SET(CURLOPT_OPENSOCKETDATA, conn);
    if (!conn->tls) {
        SET(CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
        SET(CURLOPT_CLOSESOCKETDATA, conn);
        return bad ? CURLE_OUT_OF_MEMORY : CURLE_OK;
    }
    /* Verification is always on.  The authorities come from our store; a path
     * set here (Debian's default is one) would be read for each connection. */
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_CAINFO, NULL);
    SET(CURLOPT_CAPATH, NULL);
    SET(CURLOPT_CA_CACHE_TIMEOUT, 0L); /* see dp_trust_apply() */
    SET(CURLOPT_PROXY_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_PROXY_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_PROXY_CAINFO, NULL);
    SET(CURLOPT_PROXY_CAPATH, NULL);
    SET(CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx);
    SET(CURLOPT_SSL_CTX_DATA, conn);
#undef SET
    return bad ? CURLE_OUT_OF_MEMORY : CURLE_OK;
}

static int stop(struct dp_conn *conn, enum msg_outcome outcome, const char *text)
{
    drop_easy(conn);
    conn->dial->failed = outcome;
    (void)snprintf(conn->dial->text, sizeof(conn->dial->text), "%s", text);
    return SB_ECANCELED;
}

/* SB_ECANCELED when libcurl was not asked at all: dial->failed says why. */
static int start(struct dp_conn *conn, const struct dp_target *target, sb_msec timeout)
{
    struct dp_dialer *dialer = conn->dialer;
    struct dp_multi *group;
    struct sb_errmsg err;
    CURLcode result;

    if (target->host.n > DP_HOST_MAX || target->ca_file.n > MSG_URL_MAX)
        return stop(conn, MSG_OUTCOME_CONNECT_FAILED, "the host or CA file is too long");
    conn->trust = dp_trusts_find(&dialer->trusts, conn->tls ? target->ca_file : SB_SLICE_NONE);
    group = conn->tls ? tls_group_with_room(dialer) : dialer->plain;
    conn->easy = curl_easy_init();
    if (conn->trust == NULL || group == NULL || conn->easy == NULL)
        return stop(conn, MSG_OUTCOME_OVERLOADED, "libcurl is out of memory or descriptors");
    if (conn->tls && dp_trust_load(conn->trust, &err) != SB_OK)
        return stop(conn, MSG_OUTCOME_TLS_FAILED, err.text);
    result = set_options(conn, target, timeout);
    if (result != CURLE_OK)
        return stop(conn, classify(result), curl_easy_strerror(result));
    if (dp_multi_add(group, conn->easy) != SB_OK)
        return stop(conn, MSG_OUTCOME_OVERLOADED, "libcurl takes no more connections");
    conn->group = group;
    return SB_OK;
}

struct dp_conn *dp_dial(struct dp_dialer *dialer, const struct dp_target *target, sb_msec timeout,
                        dp_dial_done_cb *done, void *ctx)
{
    struct dp_conn *conn = sb_mem_new(sizeof(*conn));

    conn->dialer = dialer;
    conn->ctx = ctx;
    conn->fd = -1;
    conn->tls_proxy = has_tls_proxy(target);
    conn->tls = target->tls || conn->tls_proxy;
    sb_list_init(&conn->link);
    conn->place.conn = conn;
    sb_list_init(&conn->place.link);
    sb_list_init(&conn->place.link_all);
    conn->dial = sb_mem_new(sizeof(*conn->dial));
    conn->dial->done = done;
    conn->dial->started = sb_loop_now(dialer->loop);
    dialer->stats.dials++;
    dialer->stats.dialling++;
    if (start(conn, target, timeout) == SB_OK) {
        sb_list_add_tail(&dialer->conns, &conn->link);
    } else {
        sb_list_add_tail(&dialer->stopped, &conn->link);
        sb_task_soon(&dialer->work);
    }
    return conn;
}

void dp_conn_close(struct dp_conn **conn)
{
    struct dp_conn *old = *conn;
    struct dp_dialer *dialer;

    *conn = NULL;
    if (old == NULL)
        return;
    dialer = old->dialer;
    if (old->state == DP_CONN_OPEN) {
        int fd = old->fd;
        bool plain = old->easy == NULL;

        sb_list_remove(&old->link);
        (*(old->tls ? &dialer->stats.open_tls : &dialer->stats.open_plain))--;
        dp_conn_retire(old); /* the watch first, then its descriptor */
        drop_easy(old);
        if (plain)
            (void)close(fd);
        return;
    }
    if (old->state == DP_CONN_DIALLING) {
        drop_easy(old);
        dialer->stats.dialling--;
        dialer->stats.abandoned++;
        sb_mem_free(old->dial);
        old->dial = NULL;
    }
    old->state = DP_CONN_CLOSED;
    sb_list_move(&old->link, &dialer->dead); /* this may be its own callback */
    sb_task_soon(&dialer->work);
}

sb_msec dp_conn_age(const struct dp_conn *conn)
{
    return sb_loop_now(conn->dialer->loop) - conn->opened_at;
}

/* --- dialer ------------------------------------------------------------------- */

static void free_dead(struct dp_dialer *dialer)
{
    struct sb_list *link;

    while ((link = sb_list_pop(&dialer->dead)) != NULL)
        sb_mem_free(container_of(link, struct dp_conn, link));
}

static void on_dialer_work(struct sb_task *task)
{
    struct dp_dialer *dialer = container_of(task, struct dp_dialer, work);
    struct sb_list stopped, *link;

    sb_list_init(&stopped);
    sb_list_append_all(&stopped, &dialer->stopped);
    while ((link = sb_list_pop(&stopped)) != NULL) {
        struct dp_conn *conn = container_of(link, struct dp_conn, link);

        sb_list_add_tail(&dialer->conns, &conn->link);
        finish(conn, conn->dial->failed);
    }
    free_dead(dialer);
}

int dp_dialer_new(struct sb_loop *loop, struct dp_dialer **ret_dialer, struct sb_errmsg *err)
{
    struct dp_dialer *dialer;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return sb_err_set(err, SB_EINTERNAL, "libcurl does not start");
    dialer = sb_mem_new(sizeof(*dialer));
    dialer->loop = loop;
    sb_list_init(&dialer->groups);
    dp_trusts_init(&dialer->trusts);
    sb_list_init(&dialer->conns);
    sb_list_init(&dialer->stopped);
    sb_list_init(&dialer->dead);
    sb_task_init(&dialer->work, loop, on_dialer_work);
    dialer->plain = dp_multi_new(loop, &group_cbs, dialer);
    if (dialer->plain == NULL) {
        dp_dialer_destroy(&dialer);
        return sb_err_set(err, SB_EINTERNAL, "libcurl is out of memory or descriptors");
    }
    *ret_dialer = dialer;
    return SB_OK;
}

void dp_dialer_destroy(struct dp_dialer **dialer)
{
    struct dp_dialer *old = *dialer;

    *dialer = NULL;
    if (old == NULL)
        return;
    SB_BUG_ON(!sb_list_is_empty(&old->conns) || !sb_list_is_empty(&old->stopped));
    free_dead(old);
    sb_task_cancel(&old->work);
    sb_list_for_each_safe(link, &old->groups)
    {
        struct dp_multi *group = dp_multi_of_link(link);

        dp_multi_destroy(&group);
    }
    dp_multi_destroy(&old->plain);
    dp_trusts_release(&old->trusts);
    sb_mem_free(old);
    curl_global_cleanup();
}

int dp_dialer_reload(struct dp_dialer *dialer, struct sb_errmsg *err)
{
    struct dp_trust *system = dp_trusts_find(&dialer->trusts, SB_SLICE_NONE);

    dp_trust_unref(&system); /* among those that are read, if it was not */
    return dp_trusts_reload(&dialer->trusts, err);
}

const struct dp_dial_stats *dp_dialer_stats(const struct dp_dialer *dialer)
{
    return &dialer->stats;
}
