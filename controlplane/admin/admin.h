/* controlplane/admin/admin.h - the admin API: REST for operators.
 *
 * A server with a thread per connection, a few connections to the database
 * that these share, and questions to the running daemon.  A request that waits
 * for the database or for a worker holds up nobody but itself.
 *
 *      start -> (requests, reload...) -> stop
 *
 * The routes and their documentation are one table, controlplane/admin/routes.c.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/slice.h"
#include "controlplane/config/store.h"

struct cp_admin;
struct cp_explain_what;
struct sb_buf;
struct sb_json;

/* What only the running daemon knows.  All of these are called by threads of
 * the server, several at once; they may block for seconds.  NULL: not known
 * here, which is answered 503.  out is only appended to. */
struct cp_admin_live {
    void *ctx;
    /* Adds members to the open object of GET status: "daemon", "leading",
     * "term", "published", "workers" by state ... */
    int (*state)(void *ctx, struct sb_json *json);
    /* A JSON array each: the fleet, one object per worker; one object for each
     * of the endpoints that something is measured of. */
    int (*workers)(void *ctx, struct sb_buf *out, struct sb_errmsg *err);
    int (*tables)(void *ctx, const uint64_t *ids, size_t n, struct sb_buf *out,
                  struct sb_errmsg *err);
    /* A live worker's decision.  *ret_status: what the answer says of itself, 200
     * when it was decided.  SB_ENOENT: no such worker; SB_EAGAIN: there is none. */
    int (*explain)(void *ctx, const struct cp_explain_what *what, struct sb_buf *out,
                   unsigned *ret_status, struct sb_errmsg *err);
    /* Appends families in Prometheus's text format. */
    int (*metrics)(void *ctx, struct sb_buf *page);
    /* SB_OK, or why the daemon is not ready to serve. */
    int (*ready)(void *ctx, struct sb_errmsg *err);
};

struct cp_admin_conf {
    const char *listen;         /* HOST:PORT; HOST is an address or a name; port 0: any */
    const char *token_file;     /* private; its first line is the token */
    const char *release;        /* of the program, for status and openapi.json */
    struct cp_store_conf store; /* for each connection of the pool */
    struct cp_admin_live live;
};

/* Texts of conf are copied; what it borrows else lives until stop.  Does not
 * need the database to be there yet.  Errors: of the token file, the address. */
int cp_admin_start(const struct cp_admin_conf *conf, struct cp_admin **ret_admin,
                   struct sb_errmsg *err) SB_MUSTCHECK;
/* Reads the token file again; on failure the old token stays. */
int cp_admin_reload(struct cp_admin *admin, struct sb_errmsg *err) SB_MUSTCHECK;
/* Accepts no more, lets running requests end (5 s at most), frees all.  NULL is
 * fine. */
void cp_admin_stop(struct cp_admin **admin);
/* The port it listens on. */
unsigned cp_admin_port(const struct cp_admin *admin);

enum { CP_ADMIN_TOKEN_MIN = 16 }; /* characters: a shorter token is refused */
