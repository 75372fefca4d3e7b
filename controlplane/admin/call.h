/* controlplane/admin/call.h - one request to the admin API while it is served.
 *
 * A handler fills the reply and returns SB_OK, or returns a code: the reply is
 * then made from it, from call->err and call->problems, by cp_call_fail().  A
 * refusal with 403 is written down once the handler has returned.
 */
#pragma once

#include <stdbool.h>

#include "common/arena.h"
#include "common/attr.h"
#include "common/err.h"
#include "common/json.h"
#include "controlplane/admin/admin.h"
#include "controlplane/admin/http.h"
#include "controlplane/admin/stores.h"
#include "controlplane/admin/target.h"
#include "controlplane/admin_tokens.h"
#include "controlplane/catalog/problem.h"

struct cp_route;

/* What handlers may reach; outlives every call. */
struct cp_admin_world {
    struct cp_admin_live live;
    struct cp_stores *stores;
    const char *release;
    struct cp_admin_stats *stats;
};

struct cp_call {
    const struct cp_admin_world *world;
    const struct cp_route *route;
    struct cp_http_request *request;
    struct cp_http_reply *reply;
    struct sb_arena *arena;
    struct cp_target target;
    struct sb_slice args[CP_TARGET_ARGS_MAX]; /* of the path, unescaped */
    struct cp_principal who;
    struct cp_store *store; /* NULL until cp_call_store() */
    struct sb_errmsg err;
    struct cp_problems problems;
};

/* Who asks, for the audit; borrowed from the call. */
struct cp_actor cp_call_actor(const struct cp_call *call);

/* A store for this call, given back when it has been served. */
int cp_call_store(struct cp_call *call) SB_MUSTCHECK;

/* --- what was asked ------------------------------------------------------------------- */

/* The value of a parameter; p == NULL when it is absent. */
struct sb_slice cp_call_param(const struct cp_call *call, const char *name);
/* "true", "1" and nothing ("?force") are true.  A value that is neither is a
 * problem of the call. */
bool cp_call_flag(struct cp_call *call, const char *name);
/* A whole number from min to max; fallback when absent.  Else a problem. */
uint64_t cp_call_number(struct cp_call *call, const char *name, uint64_t min, uint64_t max,
                        uint64_t fallback);
/* SB_EINVAL when there are problems so far. */
int cp_call_check(struct cp_call *call) SB_MUSTCHECK;

/* limit and cursor of a list. */
int cp_call_page(struct cp_call *call, struct cp_page *ret_page) SB_MUSTCHECK;

/* --- the reply ---------------------------------------------------------------------------- */

/* A JSON reply of this status; the body so far is dropped. */
void cp_call_json(struct cp_call *call, unsigned status, struct sb_json *json);
/* Ends it: the line ends, too, since people look at it with curl. */
int cp_call_json_end(struct cp_call *call, struct sb_json *json) SB_MUSTCHECK;
/* ETag: the revision that was seen, to come back in If-Match. */
void cp_call_tag(struct cp_call *call, uint64_t revision);
/* The whole of a list: {"data": [...], "next_cursor": "..." or null}.  list:
 * its JSON. */
int cp_call_reply_list(struct cp_call *call, struct sb_slice list, const char *cursor) SB_MUSTCHECK;

/* An error reply: {"error": {"code", "message", "details"}}; details are the
 * problems of the call. */
void cp_call_refuse(struct cp_call *call, unsigned status, const char *code, const char *message);
/* The same for a code that a handler returned. */
void cp_call_fail(struct cp_call *call, int rc);
