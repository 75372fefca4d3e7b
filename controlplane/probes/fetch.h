/* controlplane/probes/fetch.h - many HTTP requests at once, from an actor.
 *
 * libcurl's multi interface on a reactor (common/reactor.h): one descriptor of
 * the reactor, however many transfers.  Nothing of it blocks; names are looked
 * up by libcurl's own threads.  Every size and every time has a ceiling that
 * the caller names.  Redirects are not followed: a key would go with them.
 *
 *      new -> get/post ... (on_body, on_end) -> destroy
 *
 * A transfer ends with exactly one on_end, unless it is cancelled.  Callbacks
 * never run inside a call made here; from on_end anything may be called, from
 * on_body nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/slice.h"
#include "proto/vocabulary.h"

struct cp_fetch;
struct cp_fetcher;
struct sb_reactor;
struct sb_secret;

/* All borrowed for the call, and copied. */
struct cp_fetch_request {
    const char *url;
    struct sb_slice body;         /* POST when it has bytes, else GET */
    const char *const *fields;    /* "name: value", NULL at the end; or NULL */
    const struct sb_secret *auth; /* one more, with a secret in it; or NULL */
    const char *proxy;            /* URL; "" or NULL: none, whatever the environment says */
    const char *ca_file;          /* path; "" or NULL: the system's authorities */
    sb_msec connect_limit;
    sb_msec first_limit; /* until the first byte of the body */
    sb_msec limit;       /* until the end */
    size_t bytes_limit;  /* of the body */
};

struct cp_fetch_end {
    enum msg_outcome outcome; /* SUCCESS: an answer came whole, whatever its status, or its
                                 reader had enough; RESET: also one that was cut */
    bool has_body;            /* bytes of a body came */
    bool was_sent;            /* the request may have reached the provider */
    bool is_too_big;          /* the body was longer than its limit */
    unsigned status;          /* 0: none came */
    uint32_t connect;         /* us until a connection stood, TLS included; 0: never */
    uint32_t ready;           /* us until the request could be sent; 0: never */
    uint32_t took;            /* us in all */
    uint32_t retry_after;     /* ms, as common/retry_after.h reads it; 0: nothing was said */
};

struct cp_fetch_reader {
    /* Bytes of the body, in the order they come; false: enough, end it. */
    bool (*on_body)(void *ctx, unsigned status, struct sb_slice bytes);
    void (*on_end)(void *ctx, const struct cp_fetch_end *end);
};

/* reactor is borrowed.  SB_ENOMEM and errno's. */
int cp_fetcher_new(struct sb_reactor *reactor, struct cp_fetcher **ret) SB_MUSTCHECK;
/* Cancels what is under way. */
void cp_fetcher_destroy(struct cp_fetcher **fetcher);
unsigned cp_fetcher_count(const struct cp_fetcher *fetcher);

/* reader is borrowed until the end.  SB_EINVAL: libcurl does not take it;
 * SB_ENOMEM; then there is no on_end. */
int cp_fetch_start(struct cp_fetcher *fetcher, const struct cp_fetch_request *request,
                   const struct cp_fetch_reader *reader, void *ctx,
                   struct cp_fetch **ret_fetch) SB_MUSTCHECK;
/* No on_end follows.  Sets *fetch to NULL. */
void cp_fetch_cancel(struct cp_fetch **fetch);
/* Ms since it began; from on_body: when these bytes came. */
sb_msec cp_fetch_age(const struct cp_fetch *fetch);
/* Ms after which the request could be sent; 0 before that. */
sb_msec cp_fetch_ready(const struct cp_fetch *fetch);
