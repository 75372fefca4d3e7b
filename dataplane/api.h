/* dataplane/api.h - the paths that are served, and by whom.
 */
#pragma once

#include <stdbool.h>

#include "common/http1.h"
#include "common/slice.h"

struct dp_error;
struct dp_request;

struct dp_api {
    const char *path;                      /* '*' stands for one segment */
    bool get, post;                        /* methods; HEAD goes with get */
    bool needs_key;                        /* Authorization is checked before anything else */
    bool takes_body;                       /* JSON */
    bool is_recorded;                      /* leaves an audit record */
    bool on_status;                        /* served on the status address */
    bool on_main;                          /* and on that of the clients */
    void (*serve)(struct dp_request *req); /* the body is complete */
};

/* NULL, and the refusal filled in (404, 405), when there is none.  A leading
 * "/api" is dropped from *path: clients of OpenRouter expect that prefix. */
const struct dp_api *dp_api_find(struct sb_slice *path, enum sb_http1_method method, bool is_status,
                                 struct dp_error *refusal);
/* Segment n of a path, from 0: "v1" of "/v1/models"; empty beyond the end. */
struct sb_slice dp_api_segment(struct sb_slice path, unsigned n);
/* The same, unescaped into the request's arena. */
struct sb_slice dp_api_name(struct dp_request *req, unsigned n);
/* The value of a query member, unescaped into the request's arena; empty when
 * it is absent. */
struct sb_slice dp_api_query(struct dp_request *req, struct sb_slice name);

/* dataplane/inference.c */
void dp_serve_chat(struct dp_request *req);
void dp_serve_completions(struct dp_request *req);
void dp_serve_embeddings(struct dp_request *req);
/* dataplane/listing.c: what the snapshot holds */
void dp_serve_models(struct dp_request *req);
void dp_serve_models_count(struct dp_request *req);
void dp_serve_model(struct dp_request *req);
void dp_serve_model_endpoints(struct dp_request *req);
void dp_serve_providers(struct dp_request *req);
void dp_serve_zdr_endpoints(struct dp_request *req);
/* dataplane/lookup.c: what the control plane knows */
void dp_serve_generation(struct dp_request *req);
void dp_serve_key(struct dp_request *req);
void dp_serve_credits(struct dp_request *req);
void dp_serve_receipt(struct dp_request *req);
/* dataplane/status.c */
void dp_serve_healthz(struct dp_request *req);
void dp_serve_readyz(struct dp_request *req);
void dp_serve_metrics(struct dp_request *req);
