/* controlplane/events/webhook.c */
#include "controlplane/events/webhook.h"

#include <inttypes.h>
#include <stdio.h>

#include <curl/curl.h>

#include "common/buf.h"
#include "common/keyfile.h"
#include "common/mem.h"
#include "common/secret.h"

enum {
    BACKOFF_FIRST = 1000,  /* ms */
    BACKOFF_MOST = 300000, /* ms */
    BODY_MAX = 256 * 1024, /* of an event, with its time before it */
    FIELDS = 5,
};

struct cp_webhook {
    CURL *easy; /* keeps the connection */
    struct sb_secret *key;
    char *url;
    char host[256]; /* for people */
};

void cp_webhook_destroy(struct cp_webhook **webhook)
{
    struct cp_webhook *old = *webhook;

    *webhook = NULL;
    if (old == NULL)
        return;
    if (old->easy != NULL)
        curl_easy_cleanup(old->easy);
    sb_secret_destroy(&old->key);
    sb_mem_free(old->url);
    sb_mem_free(old);
}

static int read_key(const char *path, struct sb_secret **ret_key, struct sb_errmsg *err)
{
    SB_CLEANUP(sb_secret_destroy) struct sb_secret *content = NULL;
    struct sb_slice left, line = SB_SLICE_NONE;
    int rc = sb_keyfile_read(path, true, &content, err);

    if (rc != SB_OK)
        return rc;
    left = sb_secret_expose(content);
    (void)sb_keyfile_next_line(&left, &line);
    if (line.n < CP_WEBHOOK_KEY_MIN)
        return sb_err_set(err, SB_EINVAL,
                          "%.150s: a key of at least %d characters is needed to sign events", path,
                          CP_WEBHOOK_KEY_MIN);
    return sb_secret_new(line, ret_key);
}

/* Takes the URL apart, as libcurl will: what it does not take is found now. */
static int read_url(struct cp_webhook *webhook, const char *url, struct sb_errmsg *err)
{
    CURLU *parts = curl_url();
    char *scheme = NULL, *host = NULL;
    bool is_good =
        parts != NULL && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        (sb_slice_is(sb_slice_of(scheme), "http") || sb_slice_is(sb_slice_of(scheme), "https"));

    if (is_good) {
        webhook->url = sb_mem_new(strlen(url) + 1);
        memcpy(webhook->url, url, strlen(url));
        (void)snprintf(webhook->host, sizeof(webhook->host), "%s", host);
    }
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(parts);
    if (is_good)
        return SB_OK;
    return sb_err_set(err, SB_EINVAL,
                      "webhook-url: not a URL that can be posted to; it is http://... or "
                      "https://...");
}

int cp_webhook_new(const char *url, const char *secret_file, struct cp_webhook **ret_webhook,
                   struct sb_errmsg *err)
{
    struct cp_webhook *webhook = sb_mem_new(sizeof(*webhook));
    int rc = read_url(webhook, url, err);

    if (rc == SB_OK)
        rc = read_key(secret_file, &webhook->key, err);
    if (rc == SB_OK) {
        webhook->easy = curl_easy_init();
        rc = webhook->easy != NULL ? SB_OK : SB_ENOMEM;
    }
    if (rc != SB_OK) {
        cp_webhook_destroy(&webhook);
        return rc;
    }
    *ret_webhook = webhook;
    return SB_OK;
}

/* --- signing -------------------------------------------------------------------- */

void cp_webhook_sign(const struct sb_secret *key, uint64_t seconds, struct sb_slice body,
                     char ret_text[CP_WEBHOOK_SIGNATURE])
{
    SB_CLEANUP(sb_buf_release) struct sb_buf text;
    uint8_t mac[SB_HASH_BYTES];
    int n = snprintf(ret_text, CP_WEBHOOK_SIGNATURE, "t=%" PRIu64 ",v1=", seconds), rc;

    sb_buf_init(&text, body.n + 32);
    rc = sb_buf_printf(&text, "%" PRIu64 ".", seconds);
    if (rc == SB_OK)
        rc = sb_buf_append(&text, body);
    if (rc != SB_OK)
        return; /* without memory: a signature that nobody accepts */
    sb_hmac_sha256(key, sb_buf_slice(&text), mac);
    for (size_t i = 0; i < sizeof(mac); i++)
        n += snprintf(ret_text + n, (size_t)(CP_WEBHOOK_SIGNATURE - n), "%02x", mac[i]);
}

sb_msec cp_webhook_backoff(unsigned failures)
{
    sb_msec wait = BACKOFF_FIRST;

    while (failures-- > 1 && wait < BACKOFF_MOST)
        wait *= 2;
    return wait < BACKOFF_MOST ? wait : BACKOFF_MOST;
}

/* --- posting ------------------------------------------------------------------------ */

/* Nobody reads the answer; a receiver that never ends it must not hold us. */
static size_t on_body(char *bytes, size_t size, size_t count, void *ctx)
{
    size_t *left = ctx;

    (void)bytes;
    if (size * count > *left)
        return 0;
    *left -= size * count;
    return size * count;
}

static struct curl_slist *make_fields(const struct cp_webhook *webhook, const char *kind,
                                      int64_t id, struct sb_slice body)
{
    char texts[FIELDS][160], signature[CP_WEBHOOK_SIGNATURE];
    struct curl_slist *list = NULL;

    cp_webhook_sign(webhook->key, sb_clock_wall(&sb_clock_system) / 1000000, body, signature);
    (void)snprintf(texts[0], sizeof(texts[0]), "Content-Type: application/json");
    (void)snprintf(texts[1], sizeof(texts[1]), "X-Switchboard-Event: %s", kind);
    (void)snprintf(texts[2], sizeof(texts[2]), "X-Switchboard-Delivery: %" PRId64, id);
    (void)snprintf(texts[3], sizeof(texts[3]), "X-Switchboard-Signature: %s", signature);
    (void)snprintf(texts[4], sizeof(texts[4]), "Expect:");
    for (int i = 0; i < FIELDS; i++)
        list = curl_slist_append(list, texts[i]);
    return list;
}

static void set_options(const struct cp_webhook *webhook, struct curl_slist *fields,
                        struct sb_slice body, size_t *answer_left, char *problem)
{
    CURL *easy = webhook->easy;

    curl_easy_reset(easy); /* keeps the connection */
    (void)curl_easy_setopt(easy, CURLOPT_URL, webhook->url);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_USERAGENT, "switchboard-control");
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fields);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, problem);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CP_WEBHOOK_CONNECT);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)CP_WEBHOOK_LIMIT);
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.p);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer_left);
}

int cp_webhook_post(struct cp_webhook *webhook, const char *kind, int64_t id, struct sb_slice body,
                    struct sb_errmsg *err)
{
    struct curl_slist *fields = make_fields(webhook, kind, id, body);
    char problem[CURL_ERROR_SIZE] = "";
    size_t answer_left = BODY_MAX;
    long status = 0;
    CURLcode code;

    set_options(webhook, fields, body, &answer_left, problem);
    code = curl_easy_perform(webhook->easy);
    (void)curl_easy_getinfo(webhook->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(fields);
    if (code == CURLE_OK && status >= 200 && status < 300)
        return SB_OK;
    if (code == CURLE_COULDNT_CONNECT)
        return sb_err_set(err, SB_ECONNREFUSED, "nobody listens at %s", webhook->host);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return sb_err_set(err, SB_ETIMEDOUT, "%s did not answer in time", webhook->host);
    if (code != CURLE_OK)
        return sb_err_set(err, SB_EIO, "%s: %s", webhook->host, curl_easy_strerror(code));
    return sb_err_set(err, SB_EIO, "%s answered %ld", webhook->host, status);
}
