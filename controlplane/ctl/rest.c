/* controlplane/ctl/rest.c */
#include "controlplane/ctl/rest.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <curl/curl.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/mem.h"
#include "common/secret.h"

#ifndef SB_VERSION
#define SB_VERSION "0"
#endif

enum {
    ANSWER_MAX = 512 << 20,
    CONNECT_SECONDS = 5,
    ANSWER_SECONDS = 600, /* a big catalogue, a slow disk */
    PATIENCE_MSEC = 100,  /* between two reports of progress */
};

struct ctl_rest {
    CURL *easy;
    char *url;
    struct sb_secret *field; /* "Authorization: Bearer ..." */
    ctl_progress_cb *on_progress;
    void *progress_ctx;
    sb_msec reported;
};

struct exchange {
    struct ctl_rest *rest;
    const struct ctl_request *request;
    struct ctl_reply *reply;
    size_t sent;
    int rc; /* of a callback */
};

void ctl_reply_release(struct ctl_reply *reply)
{
    sb_json_free(&reply->doc);
    if (reply->body.data != NULL) /* a key that was made */
        sb_secret_wipe(reply->body.data, reply->body.size);
    sb_buf_release(&reply->body);
}

/* --- life ------------------------------------------------------------------------ */

static bool is_own_machine(const char *url)
{
    static const char *const hosts[] = {"http://127.", "http://localhost", "http://[::1]"};

    for (size_t i = 0; i < SB_ARRAY_LEN(hosts); i++) {
        if (strncmp(url, hosts[i], strlen(hosts[i])) == 0)
            return true;
    }
    return false;
}

static int make_field(const struct sb_secret *token, struct sb_secret **ret_field)
{
    static const char begin[] = "Authorization: Bearer ";
    struct sb_slice text = sb_secret_expose(token);
    char field[sizeof(begin) + SB_SECRET_MAX];
    int rc;

    if (text.n > SB_SECRET_MAX - sizeof(begin))
        return SB_ETOOBIG;
    memcpy(field, begin, sizeof(begin) - 1);
    memcpy(field + sizeof(begin) - 1, text.p, text.n);
    rc = sb_secret_new(sb_slice_make(field, sizeof(begin) - 1 + text.n), ret_field);
    sb_secret_wipe(field, sizeof(field));
    return rc;
}

int ctl_rest_new(const char *url, struct sb_secret **token, struct ctl_rest **ret_rest,
                 struct sb_errmsg *err)
{
    struct ctl_rest *rest;
    size_t n = strlen(url), scheme = strncmp(url, "https://", 8) == 0 ? 8 : 7;
    int rc;

    /* a host has to follow; strchr() finds the end of the text as well */
    if ((scheme == 7 && strncmp(url, "http://", 7) != 0) || strchr("/:?#", url[scheme]) != NULL)
        return sb_err_set(err, SB_EINVAL, "--url '%.150s' is no address: http://HOST:PORT is", url);
    rest = sb_mem_new(sizeof(*rest));
    rc = make_field(*token, &rest->field);
    sb_secret_destroy(token);
    while (n > 0 && url[n - 1] == '/')
        n--;
    rest->url = sb_mem_strdup(url);
    rest->url[n] = '\0';
    if (rc == SB_OK && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        rc = SB_ENOMEM;
    if (rc == SB_OK) {
        rest->easy = curl_easy_init();
        if (rest->easy == NULL)
            rc = SB_ENOMEM;
    }
    if (rc != SB_OK) {
        ctl_rest_destroy(&rest);
        return sb_err_set(err, rc, "cannot use the token: %s", sb_err_str(rc));
    }
    *ret_rest = rest;
    return SB_OK;
}

void ctl_rest_destroy(struct ctl_rest **rest)
{
    struct ctl_rest *old = *rest;

    if (old == NULL)
        return;
    if (old->easy != NULL) {
        curl_easy_cleanup(old->easy);
        curl_global_cleanup();
    }
    sb_secret_destroy(&old->field);
    sb_mem_free(old->url);
    sb_mem_free(old);
    *rest = NULL;
}

void ctl_rest_set_progress(struct ctl_rest *rest, ctl_progress_cb *on_progress, void *ctx)
{
    rest->on_progress = on_progress;
    rest->progress_ctx = ctx;
}

/* --- one call ------------------------------------------------------------------------ */

static size_t on_body(char *bytes, size_t size, size_t count, void *ctx)
{
    struct exchange *exchange = ctx;
    struct sb_slice piece = sb_slice_make(bytes, size * count);
    long status = 0;

    (void)curl_easy_getinfo(exchange->rest->easy, CURLINFO_RESPONSE_CODE, &status);
    if (exchange->request->on_piece != NULL && status >= 200 && status < 300)
        exchange->rc = exchange->request->on_piece(exchange->request->piece_ctx, piece);
    else
        exchange->rc = sb_buf_append(&exchange->reply->body, piece);
    return exchange->rc == SB_OK ? piece.n : 0;
}

static size_t on_upload(char *out, size_t size, size_t count, void *ctx)
{
    struct exchange *exchange = ctx;
    struct sb_slice left = sb_slice_from(exchange->request->body, exchange->sent);

    if (left.n > size * count)
        left.n = size * count;
    if (left.n > 0)
        memcpy(out, left.p, left.n);
    exchange->sent += left.n;
    return left.n;
}

/* A connection that was kept may turn out to be closed: from the start again. */
static int on_seek(void *ctx, curl_off_t offset, int origin)
{
    struct exchange *exchange = ctx;

    if (origin != SEEK_SET || offset < 0 || (size_t)offset > exchange->request->body.n)
        return CURL_SEEKFUNC_FAIL;
    exchange->sent = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

static int on_progress(void *ctx, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    struct exchange *exchange = ctx;
    struct ctl_rest *rest = exchange->rest;
    sb_msec now = sb_clock_now(&sb_clock_system);

    (void)down_total;
    (void)down;
    (void)up_total;
    (void)up;
    if (rest->on_progress != NULL && now - rest->reported >= PATIENCE_MSEC) {
        rest->reported = now;
        rest->on_progress(rest->progress_ctx, exchange->sent, exchange->request->body.n);
    }
    return 0;
}

static struct curl_slist *make_fields(const struct ctl_rest *rest,
                                      const struct ctl_request *request)
{
    struct curl_slist *list = curl_slist_append(NULL, sb_secret_expose(rest->field).p);
    char type[128];

    if (request->content_type != NULL) {
        (void)snprintf(type, sizeof(type), "Content-Type: %s", request->content_type);
        list = curl_slist_append(list, type);
    }
    /* One trip more for each body, and all that it saves is a body to the wrong
     * place. */
    list = curl_slist_append(list, "Expect:");
    for (size_t i = 0; i < SB_ARRAY_LEN(request->fields) && request->fields[i] != NULL; i++)
        list = curl_slist_append(list, request->fields[i]);
    return list;
}

static void set_options(struct exchange *exchange, const char *url, struct curl_slist *fields,
                        char *problem)
{
    const struct ctl_request *request = exchange->request;
    CURL *easy = exchange->rest->easy;

    curl_easy_reset(easy); /* keeps the connection */
    (void)curl_easy_setopt(easy, CURLOPT_URL, url);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    if (is_own_machine(url))
        (void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_USERAGENT, "switchboardctl/" SB_VERSION);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fields);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, problem);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    if (request->on_piece == NULL)
        (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)ANSWER_SECONDS);
    (void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    if (request->content_type != NULL) {
        (void)curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        (void)curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body.n);
        (void)curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_upload);
        (void)curl_easy_setopt(easy, CURLOPT_READDATA, exchange);
        (void)curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
        (void)curl_easy_setopt(easy, CURLOPT_SEEKDATA, exchange);
    }
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
    (void)curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    (void)curl_easy_setopt(easy, CURLOPT_XFERINFODATA, exchange);
}

static int say_failure(const struct exchange *exchange, CURLcode code, const char *problem,
                       struct sb_errmsg *err)
{
    const char *url = exchange->rest->url;

    if (exchange->rc != SB_OK) {
        if (exchange->rc == SB_ETOOBIG)
            return sb_err_set(err, SB_ETOOBIG, "the answer of %s is too big", url);
        return exchange->rc;
    }
    if (code == CURLE_COULDNT_CONNECT)
        return sb_err_set(err, SB_ECONNREFUSED,
                          "no control plane answers at %s; is it running? (deploy/status)", url);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return sb_err_set(err, SB_ETIMEDOUT, "%s did not answer in time", url);
    return sb_err_set(err, SB_EIO, "%s: %s", url,
                      *problem != '\0' ? problem : curl_easy_strerror(code));
}

int ctl_rest_call(struct ctl_rest *rest, const struct ctl_request *request,
                  struct ctl_reply *ret_reply, struct sb_errmsg *err)
{
    struct ctl_reply reply = {.status = 0};
    struct exchange exchange = {.rest = rest, .request = request, .reply = &reply};
    struct curl_slist *fields = make_fields(rest, request);
    char problem[CURL_ERROR_SIZE] = "";
    size_t room = strlen(rest->url) + strlen(request->path) + 1;
    char *url = sb_mem_new(room);
    CURLcode code;

    (void)snprintf(url, room, "%s%s", rest->url, request->path);
    sb_buf_init(&reply.body, ANSWER_MAX);
    rest->reported = sb_clock_now(&sb_clock_system);
    set_options(&exchange, url, fields, problem);
    code = curl_easy_perform(rest->easy);
    (void)curl_easy_getinfo(rest->easy, CURLINFO_RESPONSE_CODE, &reply.status);
    curl_slist_free_all(fields);
    sb_mem_free(url);
    if (code != CURLE_OK) {
        ctl_reply_release(&reply);
        return say_failure(&exchange, code, problem, err);
    }
    if (sb_json_read(sb_buf_slice(&reply.body), ANSWER_MAX, &reply.doc, NULL) != SB_OK)
        reply.doc = NULL;
    *ret_reply = reply;
    return SB_OK;
}
