/* controlplane/admin/routes.c */
#include "controlplane/admin/routes.h"

#include <stdio.h>
#include <string.h>

#include "controlplane/admin/view.h"
#include "controlplane/catalog/catalog.h"
#include "controlplane/events/events.h"

#define PAGE_PARAMS                                                                                \
    {"limit", CP_PARAM_OF_NUMBER, "how many at most, 1 to 1000 (default 100)", NULL},              \
    {                                                                                              \
        "cursor", CP_PARAM_OF_TEXT, "next_cursor of the page before", NULL                         \
    }
#define CHANGE_PARAMS                                                                              \
    {"dry_run", CP_PARAM_OF_FLAG, "find out what would change, change nothing", NULL},             \
        {"force", CP_PARAM_OF_FLAG, "even when it removes more than half", NULL},                  \
    {                                                                                              \
        "note", CP_PARAM_OF_TEXT, "why; kept with the revision", NULL                              \
    }
#define NO_MORE_PARAMS                                                                             \
    {                                                                                              \
        NULL, CP_PARAM_OF_TEXT, NULL, NULL                                                         \
    }

static const struct cp_route_param no_params[] = {NO_MORE_PARAMS};
static const struct cp_route_param page_params[] = {PAGE_PARAMS, NO_MORE_PARAMS};
static const struct cp_route_param change_params[] = {CHANGE_PARAMS, NO_MORE_PARAMS};
static const struct cp_route_param apply_params[] = {
    {"prune", CP_PARAM_OF_FLAG, "remove what files made and this one does not name", NULL},
    CHANGE_PARAMS,
    NO_MORE_PARAMS,
};
static const struct cp_route_param revision_params[] = {
    {"since", CP_PARAM_OF_NUMBER, "show all that changed after that revision", NULL},
    NO_MORE_PARAMS,
};
static const struct cp_route_param explain_params[] = {
    {"worker", CP_PARAM_OF_TEXT, "name of the worker to ask (default: any)", NULL},
    {"key", CP_PARAM_OF_TEXT, "name of the key to decide for (default: the first)", NULL},
    NO_MORE_PARAMS,
};

static const struct cp_route_param tables_params[] = {
    PAGE_PARAMS,
    {"model", CP_PARAM_OF_TEXT, "only endpoints of this model", NULL},
    {"provider", CP_PARAM_OF_TEXT, "only endpoints of this provider", NULL},
    NO_MORE_PARAMS,
};
#define VIEW_PARAMS                                                                                \
    {"from", CP_PARAM_OF_TIME, "not before: 2026-01-31 or 2026-01-31T12:00:00Z", NULL},            \
        {"to", CP_PARAM_OF_TIME, "before", NULL},                                                  \
        {"format", CP_PARAM_OF_TEXT, "json comes in pages, csv and ndjson as a stream",            \
         cp_view_formats},                                                                         \
        {"limit", CP_PARAM_OF_NUMBER, "how many at most (json: 1000; default 100)", NULL},         \
    {                                                                                              \
        "cursor", CP_PARAM_OF_TEXT, "next_cursor of the page before", NULL                         \
    }
static const struct cp_route_param audit_requests_params[] = {
    VIEW_PARAMS,
    {"key", CP_PARAM_OF_TEXT, "name of the API key", NULL},
    {"model", CP_PARAM_OF_TEXT, "asked for or served", NULL},
    {"provider", CP_PARAM_OF_TEXT, "slug", NULL},
    {"endpoint", CP_PARAM_OF_TEXT, "tag, or model@tag", NULL},
    {"region", CP_PARAM_OF_TEXT, "of the endpoint that served", NULL},
    {"outcome", CP_PARAM_OF_TEXT, "one or several, with commas between: success,stream_cut", NULL},
    {"generation_id", CP_PARAM_OF_TEXT, "the one request", NULL},
    {"zdr", CP_PARAM_OF_FLAG, "whether zero data retention was demanded", NULL},
    {"residency", CP_PARAM_OF_TEXT, "that was demanded: eu, or one country (DE)", NULL},
    {"no_training", CP_PARAM_OF_FLAG, "whether it was demanded", NULL},
    {"distillable", CP_PARAM_OF_FLAG, "whether it was demanded", NULL},
    {"left", CP_PARAM_OF_TEXT,
     "served outside of eu, or of countries (DE,FR), or tried there on the way", NULL},
    {"evidence", CP_PARAM_OF_TEXT, "that was held for what they demanded: its text", NULL},
    {"evidence_withdrawn", CP_PARAM_OF_FLAG, "whether that was taken back later", NULL},
    {"min_cost", CP_PARAM_OF_TEXT, "USD at least", NULL},
    {"client", CP_PARAM_OF_TEXT, "address of the client, or a network: 192.0.2.0/24", NULL},
    NO_MORE_PARAMS,
};
static const char *const flag_names[] = {"eu_resident", "zdr", "no_training", "distillable", NULL};
static const char *const role_choices[] = {
#define X(name, label, has) label,
    CP_ROLE_MAP(X)
#undef X
        NULL};
static const struct cp_route_param audit_changes_params[] = {
    VIEW_PARAMS,
    {"author", CP_PARAM_OF_TEXT, "who changed it", NULL},
    {"role", CP_PARAM_OF_TEXT, "that the author had", role_choices},
    {"client", CP_PARAM_OF_TEXT, "address it came from, or a network: 192.0.2.0/24", NULL},
    {"kind", CP_PARAM_OF_TEXT, "of the object", NULL},
    {"name", CP_PARAM_OF_TEXT, "of the object", NULL},
    {"flag", CP_PARAM_OF_TEXT, "only changes of this claim", flag_names},
    {"revision", CP_PARAM_OF_NUMBER, "the one that changed it", NULL},
    NO_MORE_PARAMS,
};
static const struct cp_route_param audit_log_params[] = {
    {"from", CP_PARAM_OF_NUMBER, "the first leaf (default 0)", NULL},
    {"to", CP_PARAM_OF_NUMBER,
     "the leaf before which it ends (default: all, and what is in no tree)", NULL},
    NO_MORE_PARAMS,
};
static const struct cp_route_param export_params[] = {
    {"day", CP_PARAM_OF_TEXT, "2026-01-31 (UTC), ten minutes after its end or later", NULL},
    NO_MORE_PARAMS,
};
static const struct cp_route_param edge_params[] = {
    {"size", CP_PARAM_OF_NUMBER, "in leaves (default: the log as it is)", NULL},
    NO_MORE_PARAMS,
};
static const struct cp_route_param proof_params[] = {
    {"leaf", CP_PARAM_OF_NUMBER, "which entry", NULL},
    {"generation_id", CP_PARAM_OF_TEXT, "instead: that of a request", NULL},
    {"size", CP_PARAM_OF_NUMBER, "of the tree (default: that of the newest checkpoint)", NULL},
    NO_MORE_PARAMS,
};
static const struct cp_route_param consistency_params[] = {
    {"from", CP_PARAM_OF_NUMBER, "size of the older tree", NULL},
    {"to", CP_PARAM_OF_NUMBER, "size of the newer one", NULL},
    NO_MORE_PARAMS,
};
static const struct cp_route_param report_params[] = {
    {"claim", CP_PARAM_OF_TEXT,
     "residency, residency:eu, residency:DE,FR, zdr, no_training or distillable", NULL},
    {"from", CP_PARAM_OF_TIME, "first day, UTC: 2026-01-31 (default: 30 days before to)", NULL},
    {"to", CP_PARAM_OF_TIME, "first day after (default: tomorrow)", NULL},
    {"format", CP_PARAM_OF_TEXT, "html is a page to read and to print", cp_report_formats},
    {"recount", CP_PARAM_OF_FLAG, "also read every row again, and say what differs", NULL},
    NO_MORE_PARAMS,
};
static const char *const probe_kinds[] = {"completion", "embedding", "models", NULL};
static const char *const actions[] = {"token_created", "token_revoked", "refused", "hold_set",
                                      "hold_lifted",   "erasure",       NULL};
static const struct cp_route_param audit_actions_params[] = {
    VIEW_PARAMS,
    {"author", CP_PARAM_OF_TEXT, "who did it, or was not let", NULL},
    {"role", CP_PARAM_OF_TEXT, "that the author had", role_choices},
    {"action", CP_PARAM_OF_TEXT, "what was done; refused: was attempted, by a valid token",
     actions},
    {"subject", CP_PARAM_OF_TEXT,
     "the token, the hold, the tenant of an erasure; of what was refused: method and path", NULL},
    {"client", CP_PARAM_OF_TEXT, "address it came from, or a network: 192.0.2.0/24", NULL},
    NO_MORE_PARAMS,
};
static const struct cp_route_param probes_params[] = {
    VIEW_PARAMS,
    {"kind", CP_PARAM_OF_TEXT, "of a completion, an embedding, or the list of models", probe_kinds},
    {"provider", CP_PARAM_OF_TEXT, "slug", NULL},
    {"endpoint", CP_PARAM_OF_TEXT, "tag, or model@tag", NULL},
    {"outcome", CP_PARAM_OF_TEXT, "one or several, with commas between: success,reset", NULL},
    NO_MORE_PARAMS,
};
static const char *const price_verdicts[] = {"applied", "reported", "held", NULL};
static const struct cp_route_param prices_params[] = {
    VIEW_PARAMS,
    {"endpoint", CP_PARAM_OF_TEXT, "model@tag", NULL},
    {"verdict", CP_PARAM_OF_TEXT, "applied; only reported; or held, since it rose too much",
     price_verdicts},
    NO_MORE_PARAMS,
};

static const char *const severities[] = {
#define X(name, text) text,
    CP_SEVERITY_MAP(X)
#undef X
        NULL};
static const struct cp_route_param events_params[] = {
    VIEW_PARAMS,
    {"kind", CP_PARAM_OF_TEXT, "one or several, with commas between: outage_began,price_rose",
     NULL},
    {"severity", CP_PARAM_OF_TEXT, "at least", severities},
    {"subject_kind", CP_PARAM_OF_TEXT, "of the object that it is about: endpoints", NULL},
    {"subject", CP_PARAM_OF_TEXT, "its name: model@tag", NULL},
    NO_MORE_PARAMS,
};
static const struct cp_route_param flags_params[] = {
    {"at", CP_PARAM_OF_TIME, "as of then: 2026-01-31 or 2026-01-31T12:00:00Z (default: now)", NULL},
    NO_MORE_PARAMS,
};

#define V1 "/admin/v1/"

#define KIND_ROUTES(NAME, section, one)                                                            \
    {.method = "GET",                                                                              \
     .path = V1 section,                                                                           \
     .serve = cp_serve_list,                                                                       \
     .needs = CP_MAY_READ,                                                                         \
     .is_of_kind = true,                                                                           \
     .kind = CP_##NAME,                                                                            \
     .params = page_params,                                                                        \
     .answer = CP_ANSWER_LIST,                                                                     \
     .id = "list_" section,                                                                        \
     .summary = "All " section ", by name"},                                                       \
        {.method = "GET",                                                                          \
         .path = V1 section "/{name...}",                                                          \
         .serve = cp_serve_get,                                                                    \
         .needs = CP_MAY_READ,                                                                     \
         .is_of_kind = true,                                                                       \
         .kind = CP_##NAME,                                                                        \
         .params = no_params,                                                                      \
         .answer = CP_ANSWER_OBJECT,                                                               \
         .id = "get_" one,                                                                         \
         .summary = "One " one},                                                                   \
        {.method = "PUT",                                                                          \
         .path = V1 section "/{name...}",                                                          \
         .serve = cp_serve_put,                                                                    \
         .needs = CP_MAY_CHANGE,                                                                   \
         .is_of_kind = true,                                                                       \
         .kind = CP_##NAME,                                                                        \
         .params = change_params,                                                                  \
         .body = CP_BODY_OBJECT,                                                                   \
         .answer = CP_ANSWER_CHANGE,                                                               \
         .id = "put_" one,                                                                         \
         .summary = "Make or replace one " one},                                                   \
        {.method = "PATCH",                                                                        \
         .path = V1 section "/{name...}",                                                          \
         .serve = cp_serve_patch,                                                                  \
         .needs = CP_MAY_CHANGE,                                                                   \
         .is_of_kind = true,                                                                       \
         .kind = CP_##NAME,                                                                        \
         .params = change_params,                                                                  \
         .body = CP_BODY_PATCH,                                                                    \
         .answer = CP_ANSWER_CHANGE,                                                               \
         .id = "patch_" one,                                                                       \
         .summary = "Change members of one " one},                                                 \
        {.method = "DELETE",                                                                       \
         .path = V1 section "/{name...}",                                                          \
         .serve = cp_serve_delete,                                                                 \
         .needs = CP_MAY_CHANGE,                                                                   \
         .is_of_kind = true,                                                                       \
         .kind = CP_##NAME,                                                                        \
         .params = change_params,                                                                  \
         .answer = CP_ANSWER_CHANGE,                                                               \
         .id = "delete_" one,                                                                      \
         .summary = "Remove one " one},

#define OPEN(path_, serve_, answer_, id_, summary_)                                                \
    {                                                                                              \
        .method = "GET", .path = (path_), .serve = (serve_), .is_open = true, .params = no_params, \
        .answer = (answer_), .id = (id_), .summary = (summary_)                                    \
    }

const struct cp_route cp_routes[] = {
    OPEN("/healthz", cp_serve_healthz, CP_ANSWER_OBJECT, "healthz", "Whether the process is alive"),
    OPEN("/readyz", cp_serve_readyz, CP_ANSWER_OBJECT, "readyz", "Whether changes can be taken"),
    OPEN("/metrics", cp_serve_metrics, CP_ANSWER_TEXT, "metrics", "Numbers for Prometheus"),
    OPEN("/openapi.json", cp_serve_openapi, CP_ANSWER_OBJECT, "openapi", "This description"),
    {.method = "GET",
     .path = V1 "status",
     .serve = cp_serve_status,
     .needs = CP_MAY_READ,
     .params = no_params,
     .answer = CP_ANSWER_OBJECT,
     .id = "status",
     .summary = "Leader, database, fleet and revision at a glance"},
    CP_KIND_MAP(KIND_ROUTES) /* each row ends with a comma */
    {.method = "GET",
     .path = V1 "catalog",
     .serve = cp_serve_catalog,
     .needs = CP_MAY_READ,
     .params = no_params,
     .answer = CP_ANSWER_OBJECT,
     .id = "get_catalog",
     .summary = "The whole configuration as one document"},
    {.method = "PUT",
     .path = V1 "catalog",
     .serve = cp_serve_apply,
     .needs = CP_MAY_CHANGE,
     .params = apply_params,
     .body = CP_BODY_DOCUMENT,
     .answer = CP_ANSWER_CHANGE,
     .id = "apply_catalog",
     .summary = "Apply a document: everything, or nothing and the list of problems"},
    {.method = "GET",
     .path = V1 "revisions",
     .serve = cp_serve_revisions,
     .needs = CP_MAY_READ_HISTORY,
     .params = page_params,
     .answer = CP_ANSWER_LIST,
     .id = "list_revisions",
     .summary = "Who changed how much, and when; newest first"},
    {.method = "GET",
     .path = V1 "revisions/{revision}",
     .serve = cp_serve_revision,
     .needs = CP_MAY_READ_HISTORY,
     .params = revision_params,
     .answer = CP_ANSWER_OBJECT,
     .id = "get_revision",
     .summary = "One revision with what it changed"},
    {.method = "POST",
     .path = V1 "revisions/{revision}/rollback",
     .serve = cp_serve_rollback,
     .needs = CP_MAY_CHANGE,
     .params = change_params,
     .answer = CP_ANSWER_CHANGE,
     .id = "rollback",
     .summary = "Make everything as it was after that revision, as a new one"},
    {.method = "GET",
     .path = V1 "workers",
     .serve = cp_serve_workers,
     .needs = CP_MAY_READ,
     .params = no_params,
     .answer = CP_ANSWER_LIST,
     .id = "list_workers",
     .summary = "The fleet: version held, state, last seen, load, spool"},
    {.method = "GET",
     .path = V1 "tables",
     .serve = cp_serve_tables,
     .needs = CP_MAY_READ,
     .params = tables_params,
     .answer = CP_ANSWER_LIST,
     .id = "list_tables",
     .summary = "What is measured of each endpoint"},
    {.method = "GET",
     .path = V1 "events",
     .serve = cp_serve_events,
     .needs = CP_MAY_READ,
     .params = events_params,
     .answer = CP_ANSWER_LIST,
     .id = "list_events",
     .summary = "Outages, evidence that ends, prices: newest first"},
    {.method = "GET",
     .path = V1 "flags/{name...}",
     .serve = cp_serve_flags,
     .needs = CP_MAY_READ,
     .params = flags_params,
     .answer = CP_ANSWER_OBJECT,
     .id = "get_flags",
     .summary = "What was believed about an endpoint, or a provider, at some time, and why"},
    {.method = "GET",
     .path = V1 "probes",
     .serve = cp_serve_probes,
     .needs = CP_MAY_READ,
     .params = probes_params,
     .answer = CP_ANSWER_LIST,
     .id = "list_probes",
     .summary = "Probes of providers, what came of them and what they cost; newest first"},
    {.method = "GET",
     .path = V1 "prices",
     .serve = cp_serve_prices,
     .needs = CP_MAY_READ,
     .params = prices_params,
     .answer = CP_ANSWER_LIST,
     .id = "list_prices",
     .summary = "What endpoints cost, and what providers said they would; newest first"},
    {.method = "POST",
     .path = V1 "explain",
     .serve = cp_serve_explain,
     .needs = CP_MAY_READ,
     .params = explain_params,
     .body = CP_BODY_REQUEST,
     .answer = CP_ANSWER_OBJECT,
     .id = "explain",
     .summary = "What a live worker would do with a request, without sending anything"},
    {.method = "GET",
     .path = V1 "audit/requests",
     .serve = cp_serve_audit_requests,
     .needs = CP_MAY_READ_AUDIT,
     .params = audit_requests_params,
     .answer = CP_ANSWER_LIST,
     .id = "audit_requests",
     .summary = "What was asked, who served it, and the evidence that was held for it"},
    {.method = "GET",
     .path = V1 "audit/changes",
     .serve = cp_serve_audit_changes,
     .needs = CP_MAY_READ_AUDIT,
     .params = audit_changes_params,
     .answer = CP_ANSWER_LIST,
     .id = "audit_changes",
     .summary = "Each object that was changed, by whom, before and after"},
    {.method = "GET",
     .path = V1 "audit/log",
     .serve = cp_serve_audit_log,
     .needs = CP_MAY_READ_AUDIT,
     .params = audit_log_params,
     .answer = CP_ANSWER_TEXT,
     .id = "audit_log",
     .summary = "The entries of the log as they are now, each with the hash of its leaf (NDJSON)"},
    {.method = "GET",
     .path = V1 "audit/checkpoints",
     .serve = cp_serve_checkpoints,
     .needs = CP_MAY_READ_AUDIT,
     .params = page_params,
     .answer = CP_ANSWER_LIST,
     .id = "list_checkpoints",
     .summary = "Signed checkpoints of the log; newest first"},
    {.method = "GET",
     .path = V1 "audit/checkpoints/latest",
     .serve = cp_serve_latest_checkpoint,
     .needs = CP_MAY_READ_AUDIT,
     .params = no_params,
     .answer = CP_ANSWER_OBJECT,
     .id = "get_latest_checkpoint",
     .summary = "The newest checkpoint of the log"},
    {.method = "GET",
     .path = V1 "audit/edge",
     .serve = cp_serve_edge,
     .needs = CP_MAY_READ_AUDIT,
     .params = edge_params,
     .answer = CP_ANSWER_OBJECT,
     .id = "get_edge",
     .summary = "The roots of the perfect subtrees that the log was made of at some size"},
    {.method = "GET",
     .path = V1 "audit/proof",
     .serve = cp_serve_proof,
     .needs = CP_MAY_READ_AUDIT,
     .params = proof_params,
     .answer = CP_ANSWER_OBJECT,
     .id = "get_proof",
     .summary = "That an entry is in the log: itself, the inclusion proof, the checkpoint"},
    {.method = "GET",
     .path = V1 "audit/consistency",
     .serve = cp_serve_consistency,
     .needs = CP_MAY_READ_AUDIT,
     .params = consistency_params,
     .answer = CP_ANSWER_OBJECT,
     .id = "get_consistency",
     .summary = "That the log of one size continues the log of another: the consistency proof"},
    {.method = "GET",
     .path = V1 "compliance/report",
     .serve = cp_serve_report,
     .needs = CP_MAY_READ_AUDIT,
     .params = report_params,
     .answer = CP_ANSWER_REPORT,
     .id = "compliance_report",
     .summary = "What was demanded, who served it on what evidence, and each violation"},
    {.method = "GET",
     .path = V1 "audit/actions",
     .serve = cp_serve_audit_actions,
     .needs = CP_MAY_READ_AUDIT,
     .params = audit_actions_params,
     .answer = CP_ANSWER_LIST,
     .id = "audit_actions",
     .summary = "What administrators did that is no revision, and what tokens were refused"},
    {.method = "GET",
     .path = V1 "audit/export",
     .serve = cp_serve_audit_export,
     .needs = CP_MAY_READ_AUDIT,
     .params = export_params,
     .answer = CP_ANSWER_TEXT,
     .id = "audit_export",
     .summary = "A day of the log as a file that the log's public key alone verifies (NDJSON)"},
    {.method = "GET",
     .path = V1 "holds",
     .serve = cp_serve_holds,
     .needs = CP_MAY_READ_AUDIT,
     .params = page_params,
     .answer = CP_ANSWER_LIST,
     .id = "list_holds",
     .summary = "Legal holds, lifted ones as well, by name"},
    {.method = "POST",
     .path = V1 "holds",
     .serve = cp_serve_hold_set,
     .needs = CP_MAY_MANAGE_RETENTION,
     .params = no_params,
     .body = CP_BODY_HOLD,
     .answer = CP_ANSWER_OBJECT,
     .id = "set_hold",
     .summary = "Keep days of the audit: nothing of them is dropped or erased until it is lifted"},
    {.method = "GET",
     .path = V1 "holds/{name}",
     .serve = cp_serve_hold,
     .needs = CP_MAY_READ_AUDIT,
     .params = no_params,
     .answer = CP_ANSWER_OBJECT,
     .id = "get_hold",
     .summary = "One legal hold"},
    {.method = "DELETE",
     .path = V1 "holds/{name}",
     .serve = cp_serve_hold_lift,
     .needs = CP_MAY_MANAGE_RETENTION,
     .params = no_params,
     .answer = CP_ANSWER_OBJECT,
     .id = "lift_hold",
     .summary = "Lift a legal hold; that it was there stays"},
    {.method = "POST",
     .path = V1 "erasures",
     .serve = cp_serve_erasure,
     .needs = CP_MAY_MANAGE_RETENTION,
     .params = no_params,
     .body = CP_BODY_ERASURE,
     .answer = CP_ANSWER_OBJECT,
     .id = "erase",
     .summary = "Forget a person: destroy the salts of a user's records, and what is plain"},
    {.method = "GET",
     .path = V1 "tokens",
     .serve = cp_serve_tokens,
     .needs = CP_MAY_READ_TOKENS,
     .params = page_params,
     .answer = CP_ANSWER_LIST,
     .id = "list_tokens",
     .summary = "Admin tokens, ended ones as well, by name; never their secrets"},
    {.method = "POST",
     .path = V1 "tokens",
     .serve = cp_serve_token_create,
     .needs = CP_MAY_MANAGE_TOKENS,
     .params = no_params,
     .body = CP_BODY_TOKEN,
     .answer = CP_ANSWER_OBJECT,
     .id = "create_token",
     .summary = "Make an admin token; its secret is shown this once"},
    {.method = "GET",
     .path = V1 "tokens/{name}",
     .serve = cp_serve_token,
     .needs = CP_MAY_READ_TOKENS,
     .params = no_params,
     .answer = CP_ANSWER_OBJECT,
     .id = "get_token",
     .summary = "One admin token, never its secret"},
    {.method = "DELETE",
     .path = V1 "tokens/{name}",
     .serve = cp_serve_token_revoke,
     .needs = CP_MAY_MANAGE_TOKENS,
     .params = no_params,
     .answer = CP_ANSWER_OBJECT,
     .id = "revoke_token",
     .summary = "End an admin token, for good and at once"},
};
const size_t cp_routes_n = sizeof(cp_routes) / sizeof(cp_routes[0]);

static void allow_method(char allow[CP_ALLOW_MAX], const char *method)
{
    size_t n = strlen(allow);

    (void)snprintf(allow + n, CP_ALLOW_MAX - n, "%s%s", n > 0 ? ", " : "", method);
}

const struct cp_route *cp_route_find(const char *method, struct sb_slice path,
                                     struct sb_slice ret_args[CP_TARGET_ARGS_MAX],
                                     char allow[CP_ALLOW_MAX])
{
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;

    allow[0] = '\0';
    for (size_t i = 0; i < cp_routes_n; i++) {
        if (!cp_target_match(cp_routes[i].path, path, ret_args))
            continue;
        if (strcmp(cp_routes[i].method, wanted) == 0)
            return &cp_routes[i];
        allow_method(allow, cp_routes[i].method);
    }
    return NULL;
}

const struct cp_route_param *cp_route_find_param(const struct cp_route *route, struct sb_slice name)
{
    for (const struct cp_route_param *one = route->params; one->name != NULL; one++) {
        if (sb_slice_is(name, one->name))
            return one;
    }
    return NULL;
}
