/* controlplane/events/webhook.h - posts one event to an HTTP receiver, signed.
 *
 *      POST <url>
 *      Content-Type: application/json
 *      X-Switchboard-Event: outage_began
 *      X-Switchboard-Delivery: 4711            the event's number: seen before?
 *      X-Switchboard-Signature: t=1790000000,v1=<hex>
 *
 * The signature is HMAC-SHA-256 over "<t>.<body>" under the key of the file;
 * a receiver compares it, and refuses a t that is too old.  A 2xx takes the
 * event; everything else is a failure, and the event comes again.  Redirects
 * are not followed: what is in an event is for that receiver.
 */
#pragma once

#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/slice.h"

struct cp_webhook;
struct sb_secret;

enum {
    CP_WEBHOOK_CONNECT = 2000, /* ms */
    CP_WEBHOOK_LIMIT = 5000,   /* ms, all in all */
    CP_WEBHOOK_KEY_MIN = 16,   /* bytes */
    CP_WEBHOOK_SIGNATURE = 96, /* bytes of "t=...,v1=...", with its NUL */
};

/* secret_file: private; its first line is the key.  SB_EINVAL: url is none, or
 * the key is too short; errors of common/keyfile.h. */
int cp_webhook_new(const char *url, const char *secret_file, struct cp_webhook **ret_webhook,
                   struct sb_errmsg *err) SB_MUSTCHECK;
void cp_webhook_destroy(struct cp_webhook **webhook);

/* Blocks CP_WEBHOOK_LIMIT at most.  SB_EIO, SB_ETIMEDOUT, SB_ECONNREFUSED: not
 * taken; err says why, and names no more of the URL than its host. */
int cp_webhook_post(struct cp_webhook *webhook, const char *kind, int64_t id, struct sb_slice body,
                    struct sb_errmsg *err) SB_MUSTCHECK;

/* The value of the signature's field; seconds: t. */
void cp_webhook_sign(const struct sb_secret *key, uint64_t seconds, struct sb_slice body,
                     char ret_text[CP_WEBHOOK_SIGNATURE]);

/* How long to wait after so many failures: a second, doubling to 5 minutes. */
sb_msec cp_webhook_backoff(unsigned failures);
