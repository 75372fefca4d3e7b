/* controlplane/admin/routes.h - the table of what can be asked.
 *
 * Who looks for a handler, who checks parameters and who writes /openapi.json
 * walk the same rows.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/attr.h"
#include "common/slice.h"
#include "controlplane/admin/target.h"
#include "controlplane/roles.h"

struct cp_call;

/* Returns SB_OK with the reply filled, or a code for cp_call_fail(). */
typedef int cp_serve_cb(struct cp_call *call);

enum cp_param_kind { CP_PARAM_OF_TEXT, CP_PARAM_OF_NUMBER, CP_PARAM_OF_FLAG, CP_PARAM_OF_TIME };

struct cp_route_param {
    const char *name;
    enum cp_param_kind kind;
    const char *help;
    const char *const *choices; /* allowed values, NULL at the end; or NULL */
};

enum cp_route_body {
    CP_BODY_NONE,
    CP_BODY_OBJECT,   /* one object of the catalogue, JSON or YAML */
    CP_BODY_PATCH,    /* JSON merge patch */
    CP_BODY_DOCUMENT, /* a catalogue, JSON or YAML */
    CP_BODY_REQUEST,  /* a client's request body */
    CP_BODY_TOKEN,    /* {"name", "role", "expires_at", "scope"} */
    CP_BODY_HOLD,     /* {"name", "from", "to", "note"} */
    CP_BODY_ERASURE,  /* {"tenant", "user", "from", "to", "dry_run"} */
};

enum cp_route_answer {
    CP_ANSWER_OBJECT, /* some JSON object */
    CP_ANSWER_LIST,   /* {"data", "next_cursor"} */
    CP_ANSWER_CHANGE, /* what a change did */
    CP_ANSWER_TEXT,
    CP_ANSWER_REPORT, /* some JSON object, or a page */
};

struct cp_route {
    const char *method;
    const char *path; /* see cp_target_match() */
    cp_serve_cb *serve;
    enum cp_may needs;                   /* of who asks; CP_MAY_NOTHING when is_open */
    bool is_of_kind;                     /* serves objects of one kind, which is: */
    int kind;                            /* enum cp_kind */
    bool is_open;                        /* needs no token */
    const struct cp_route_param *params; /* a NULL name at the end; or NULL */
    enum cp_route_body body;
    enum cp_route_answer answer;
    const char *id; /* operationId */
    const char *summary;
};

extern const struct cp_route cp_routes[];
extern const size_t cp_routes_n;

/* The route of method and path, HEAD being like GET, and the arguments of its
 * path as sent.  NULL: none; then allow (of at least CP_ALLOW_MAX bytes) names the
 * methods that this path has, or is "". */
enum { CP_ALLOW_MAX = 64 };
const struct cp_route *cp_route_find(const char *method, struct sb_slice path,
                                     struct sb_slice ret_args[CP_TARGET_ARGS_MAX],
                                     char allow[CP_ALLOW_MAX]);
/* The parameter of that name, or NULL. */
const struct cp_route_param *cp_route_find_param(const struct cp_route *route,
                                                 struct sb_slice name);

/* objects.c */
cp_serve_cb cp_serve_list, cp_serve_get, cp_serve_put, cp_serve_patch, cp_serve_delete;
/* catalog.c */
cp_serve_cb cp_serve_catalog, cp_serve_apply;
/* revisions.c */
cp_serve_cb cp_serve_revisions, cp_serve_revision, cp_serve_rollback;
/* fleet.c */
cp_serve_cb cp_serve_workers, cp_serve_explain;
/* tables.c */
cp_serve_cb cp_serve_tables;
cp_serve_cb cp_serve_events;
cp_serve_cb cp_serve_flags;
/* prices.c */
cp_serve_cb cp_serve_prices;
/* probes.c */
cp_serve_cb cp_serve_probes;
/* audit_requests.c */
cp_serve_cb cp_serve_audit_requests;
/* audit_changes.c */
cp_serve_cb cp_serve_audit_changes;
/* audit_log.c */
cp_serve_cb cp_serve_audit_log;
/* audit_proofs.c */
cp_serve_cb cp_serve_checkpoints, cp_serve_latest_checkpoint, cp_serve_edge, cp_serve_proof,
    cp_serve_consistency;
/* report.c */
cp_serve_cb cp_serve_report;
extern const char *const cp_report_formats[]; /* NULL at the end */
/* audit_actions.c */
cp_serve_cb cp_serve_audit_actions;
/* tokens.c */
cp_serve_cb cp_serve_tokens, cp_serve_token, cp_serve_token_create, cp_serve_token_revoke;
/* holds.c */
cp_serve_cb cp_serve_holds, cp_serve_hold, cp_serve_hold_set, cp_serve_hold_lift;
/* erasures.c */
cp_serve_cb cp_serve_erasure;
/* audit_export.c */
cp_serve_cb cp_serve_audit_export;
/* status.c */
cp_serve_cb cp_serve_healthz, cp_serve_readyz, cp_serve_metrics, cp_serve_status;
/* openapi.c */
cp_serve_cb cp_serve_openapi;
