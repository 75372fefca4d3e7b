/* controlplane/probes/fetch.c */
#include "controlplane/probes/fetch.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <curl/curl.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/list.h"
#include "common/mem.h"
#include "common/reactor.h"
#include "common/retry_after.h"
#include "common/secret.h"

enum {
    EVENTS_PER_TURN = 256,
    DATE_MAX = 64, /* bytes of an HTTP date, with its NUL; all have 29 */
};

struct cp_fetcher {
    struct sb_reactor *reactor; /* borrowed */
    struct sb_reactor_timer timer;
    CURLM *multi;
    int epoll; /* all of libcurl's sockets behind one descriptor */
    struct sb_list all;
    unsigned n;
};

struct cp_fetch {
    struct cp_fetcher *fetcher;
    struct sb_list link;
    CURL *easy;
    struct curl_slist *fields;
    char *body;
    const struct cp_fetch_reader *reader; /* borrowed */
    void *ctx;
    sb_msec began, first_limit;
    struct sb_reactor_timer first; /* the limit of the first byte */
    size_t bytes, bytes_limit;
    bool has_enough, is_too_big, is_late;
};

/* --- libcurl's wishes -------------------------------------------------------------- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *known)
{
    struct cp_fetcher *fetcher = ctx;
    struct epoll_event event = {.data.fd = fd};

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        (void)epoll_ctl(fetcher->epoll, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    if ((what & CURL_POLL_IN) != 0)
        event.events |= EPOLLIN;
    if ((what & CURL_POLL_OUT) != 0)
        event.events |= EPOLLOUT;
    if (epoll_ctl(fetcher->epoll, known != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0)
        return -1;
    (void)curl_multi_assign(fetcher->multi, fd, fetcher);
    return 0;
}

static void on_timeout(struct sb_reactor_timer *timer);

static int on_timer(CURLM *multi, long msec, void *ctx)
{
    struct cp_fetcher *fetcher = ctx;

    (void)multi;
    if (msec < 0)
        sb_reactor_timer_stop(&fetcher->timer);
    else
        sb_reactor_timer_start(fetcher->reactor, &fetcher->timer, (sb_msec)msec, 0, on_timeout);
    return 0;
}

static size_t on_write(char *bytes, size_t size, size_t count, void *ctx)
{
    struct cp_fetch *fetch = ctx;
    struct sb_slice piece = sb_slice_make(bytes, size * count);
    long status = 0;

    sb_reactor_timer_stop(&fetch->first);
    fetch->bytes += piece.n;
    if (fetch->bytes > fetch->bytes_limit) {
        fetch->is_too_big = true;
        return CURL_WRITEFUNC_ERROR;
    }
    (void)curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
    if (!fetch->reader->on_body(fetch->ctx, (unsigned)status, piece)) {
        fetch->has_enough = true;
        return CURL_WRITEFUNC_ERROR;
    }
    return piece.n;
}

/* --- ends ----------------------------------------------------------------------------- */

static void release(struct cp_fetch *fetch)
{
    sb_reactor_timer_stop(&fetch->first);
    if (fetch->easy != NULL) {
        (void)curl_multi_remove_handle(fetch->fetcher->multi, fetch->easy);
        curl_easy_cleanup(fetch->easy);
    }
    for (struct curl_slist *one = fetch->fields; one != NULL; one = one->next)
        sb_secret_wipe(one->data, strlen(one->data));
    curl_slist_free_all(fetch->fields);
    sb_mem_free(fetch->body);
    sb_mem_free(fetch);
}

static uint32_t usec_of(CURL *easy, CURLINFO info)
{
    curl_off_t usec = 0;

    if (curl_easy_getinfo(easy, info, &usec) != CURLE_OK || usec < 0)
        return 0;
    return usec < UINT32_MAX ? (uint32_t)usec : UINT32_MAX;
}

static enum msg_outcome outcome_of(const struct cp_fetch *fetch, CURLcode code, bool is_connected)
{
    if (fetch->is_late)
        return is_connected ? MSG_OUTCOME_FIRST_TOKEN_TIMEOUT : MSG_OUTCOME_CONNECT_TIMEOUT;
    if (fetch->is_too_big)
        return MSG_OUTCOME_BAD_ANSWER;
    if (fetch->has_enough)
        return MSG_OUTCOME_SUCCESS;
    switch ((int)code) {
    case CURLE_OK:
        return MSG_OUTCOME_SUCCESS;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return MSG_OUTCOME_DNS_FAILED;
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY:
        return MSG_OUTCOME_CONNECT_FAILED;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
        return MSG_OUTCOME_TLS_FAILED;
    case CURLE_OPERATION_TIMEDOUT:
        return is_connected ? MSG_OUTCOME_ATTEMPT_TIMEOUT : MSG_OUTCOME_CONNECT_TIMEOUT;
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
        return MSG_OUTCOME_RESET;
    default:
        return is_connected ? MSG_OUTCOME_BAD_ANSWER : MSG_OUTCOME_CONNECT_FAILED;
    }
}

/* A field of the answer; none: empty.  Until the next call for this handle. */
static struct sb_slice field_of(CURL *easy, const char *name)
{
    struct curl_header *field;

    return curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &field) == CURLHE_OK
               ? sb_slice_of(field->value)
               : SB_SLICE_NONE;
}

static uint32_t retry_after_of(CURL *easy)
{
    sb_msec wait = sb_retry_after_ms(field_of(easy, "retry-after-ms"));
    char date[DATE_MAX] = "";

    if (wait == 0) {
        (void)sb_slice_copy_text(field_of(easy, "date"), date, sizeof(date));
        wait = sb_retry_after(field_of(easy, "retry-after"), sb_slice_of(date),
                              sb_clock_wall(&sb_clock_system));
    }
    return (uint32_t)wait;
}

/* Takes fetch. */
static void finish(struct cp_fetch *fetch, CURLcode code)
{
    struct cp_fetcher *fetcher = fetch->fetcher;
    uint32_t connect = usec_of(fetch->easy, CURLINFO_CONNECT_TIME_T);
    uint32_t tls = usec_of(fetch->easy, CURLINFO_APPCONNECT_TIME_T);
    uint32_t ready = usec_of(fetch->easy, CURLINFO_PRETRANSFER_TIME_T);
    struct cp_fetch_end end = {
        .outcome = outcome_of(fetch, code, ready > 0),
        .has_body = fetch->bytes > 0,
        .was_sent = ready > 0,
        .is_too_big = fetch->is_too_big,
        .connect = ready == 0      ? 0
                   : tls > connect ? tls
                                   : connect,
        .ready = ready,
        .took = usec_of(fetch->easy, CURLINFO_TOTAL_TIME_T),
        .retry_after = retry_after_of(fetch->easy),
    };
    const struct cp_fetch_reader *reader = fetch->reader;
    void *ctx = fetch->ctx;
    long status = 0;

    (void)curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
    end.status = (unsigned)status;
    sb_list_remove(&fetch->link);
    fetcher->n--;
    release(fetch);
    reader->on_end(ctx, &end);
}

static void collect(struct cp_fetcher *fetcher)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(fetcher->multi, &left)) != NULL) {
        CURLcode code = message->data.result;
        struct cp_fetch *fetch = NULL;

        if (message->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&fetch);
        finish(fetch, code); /* message is gone with the handle */
    }
}

static void on_timeout(struct sb_reactor_timer *timer)
{
    struct cp_fetcher *fetcher = container_of(timer, struct cp_fetcher, timer);
    int running;

    (void)curl_multi_socket_action(fetcher->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(fetcher);
}

static void on_first_limit(struct sb_reactor_timer *timer)
{
    struct cp_fetch *fetch = container_of(timer, struct cp_fetch, first);

    fetch->is_late = true;
    finish(fetch, CURLE_OPERATION_TIMEDOUT);
}

static void on_ready(void *ctx, unsigned events)
{
    struct cp_fetcher *fetcher = ctx;
    struct epoll_event found[EVENTS_PER_TURN];
    int n = epoll_wait(fetcher->epoll, found, EVENTS_PER_TURN, 0), running;

    (void)events;
    for (int i = 0; i < n; i++) {
        int mask = 0;

        if ((found[i].events & EPOLLIN) != 0)
            mask |= CURL_CSELECT_IN;
        if ((found[i].events & EPOLLOUT) != 0)
            mask |= CURL_CSELECT_OUT;
        if ((found[i].events & (EPOLLERR | EPOLLHUP)) != 0)
            mask |= CURL_CSELECT_ERR;
        (void)curl_multi_socket_action(fetcher->multi, found[i].data.fd, mask, &running);
    }
    collect(fetcher);
}

/* --- life ------------------------------------------------------------------------------- */

int cp_fetcher_new(struct sb_reactor *reactor, struct cp_fetcher **ret)
{
    struct cp_fetcher *fetcher = sb_mem_new(sizeof(*fetcher));

    fetcher->reactor = reactor;
    sb_list_init(&fetcher->all);
    fetcher->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (fetcher->epoll < 0) {
        int rc = sb_err_from_errno(errno);

        sb_mem_free(fetcher);
        return rc;
    }
    sb_reactor_add_fd(reactor, fetcher->epoll, SB_REACTOR_IN, on_ready, fetcher);
    fetcher->multi = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? curl_multi_init() : NULL;
    if (fetcher->multi == NULL) {
        cp_fetcher_destroy(&fetcher);
        return SB_ENOMEM;
    }
    (void)curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETDATA, fetcher);
    (void)curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    (void)curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERDATA, fetcher);
    *ret = fetcher;
    return SB_OK;
}

void cp_fetcher_destroy(struct cp_fetcher **fetcherp)
{
    struct cp_fetcher *fetcher = *fetcherp;

    *fetcherp = NULL;
    if (fetcher == NULL)
        return;
    while (!sb_list_is_empty(&fetcher->all)) {
        struct cp_fetch *fetch = container_of(sb_list_first(&fetcher->all), struct cp_fetch, link);

        cp_fetch_cancel(&fetch);
    }
    sb_reactor_timer_stop(&fetcher->timer);
    sb_reactor_remove_fd(fetcher->reactor, fetcher->epoll);
    if (fetcher->multi != NULL) {
        (void)curl_multi_cleanup(fetcher->multi);
        curl_global_cleanup();
    }
    (void)close(fetcher->epoll);
    sb_mem_free(fetcher);
}

unsigned cp_fetcher_count(const struct cp_fetcher *fetcher)
{
    return fetcher->n;
}

/* --- one transfer -------------------------------------------------------------------------- */

static bool add_field(struct cp_fetch *fetch, const char *field)
{
    struct curl_slist *longer = curl_slist_append(fetch->fields, field);

    if (longer == NULL)
        return false;
    fetch->fields = longer;
    return true;
}

static bool add_fields(struct cp_fetch *fetch, const struct cp_fetch_request *request)
{
    bool is_fine = add_field(fetch, "Expect:");

    for (const char *const *one = request->fields; is_fine && one != NULL && *one != NULL; one++)
        is_fine = add_field(fetch, *one);
    if (is_fine && request->auth != NULL)
        is_fine = add_field(fetch, sb_secret_expose(request->auth).p);
    return is_fine;
}

static CURLcode set_target(CURL *easy, const struct cp_fetch_request *request)
{
    CURLcode code = curl_easy_setopt(easy, CURLOPT_URL, request->url);

    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_PROXY, request->proxy != NULL ? request->proxy : "");
    if (code == CURLE_OK && request->ca_file != NULL && request->ca_file[0] != '\0')
        code = curl_easy_setopt(easy, CURLOPT_CAINFO, request->ca_file);
    /* a connection of its own: how long one takes is part of the answer */
    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    return code;
}

static CURLcode set_limits(CURL *easy, const struct cp_fetch_request *request)
{
    CURLcode code = curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);

    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)request->connect_limit);
    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->limit);
    return code;
}

static CURLcode set_io(struct cp_fetch *fetch, const struct cp_fetch_request *request)
{
    CURL *easy = fetch->easy;
    CURLcode code = curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fetch->fields);

    if (code == CURLE_OK && fetch->body != NULL)
        code = curl_easy_setopt(easy, CURLOPT_POSTFIELDS, fetch->body);
    if (code == CURLE_OK && fetch->body != NULL)
        code = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)request->body.n);
    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_write);
    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);
    return code;
}

static int set_up(struct cp_fetch *fetch, const struct cp_fetch_request *request)
{
    CURLcode code;

    fetch->easy = curl_easy_init();
    if (fetch->easy == NULL || !add_fields(fetch, request))
        return SB_ENOMEM;
    if (request->body.n > 0) {
        fetch->body = sb_mem_try(request->body.n);
        if (fetch->body == NULL)
            return SB_ENOMEM;
        memcpy(fetch->body, request->body.p, request->body.n);
    }
    code = set_target(fetch->easy, request);
    if (code == CURLE_OK)
        code = set_limits(fetch->easy, request);
    if (code == CURLE_OK)
        code = set_io(fetch, request);
    if (code != CURLE_OK)
        return code == CURLE_OUT_OF_MEMORY ? SB_ENOMEM : SB_EINVAL;
    return SB_OK;
}

int cp_fetch_start(struct cp_fetcher *fetcher, const struct cp_fetch_request *request,
                   const struct cp_fetch_reader *reader, void *ctx, struct cp_fetch **ret_fetch)
{
    struct cp_fetch *fetch = sb_mem_new(sizeof(*fetch));
    int rc;

    fetch->fetcher = fetcher;
    fetch->reader = reader;
    fetch->ctx = ctx;
    fetch->bytes_limit = request->bytes_limit;
    fetch->began = sb_reactor_now(fetcher->reactor);
    rc = set_up(fetch, request);
    if (rc == SB_OK && curl_multi_add_handle(fetcher->multi, fetch->easy) != CURLM_OK)
        rc = SB_ENOMEM;
    if (rc != SB_OK) {
        release(fetch);
        return rc;
    }
    sb_reactor_timer_start(fetcher->reactor, &fetch->first, request->first_limit, 0,
                           on_first_limit);
    sb_list_add_tail(&fetcher->all, &fetch->link);
    fetcher->n++;
    *ret_fetch = fetch;
    return SB_OK;
}

void cp_fetch_cancel(struct cp_fetch **fetchp)
{
    struct cp_fetch *fetch = *fetchp;

    *fetchp = NULL;
    if (fetch == NULL)
        return;
    sb_list_remove(&fetch->link);
    fetch->fetcher->n--;
    release(fetch);
}

sb_msec cp_fetch_age(const struct cp_fetch *fetch)
{
    return sb_reactor_now(fetch->fetcher->reactor) - fetch->began;
}

sb_msec cp_fetch_ready(const struct cp_fetch *fetch)
{
    return usec_of(fetch->easy, CURLINFO_PRETRANSFER_TIME_T) / 1000;
}
