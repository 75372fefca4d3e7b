/* dataplane/route/explain.h - a decision in words: which rule removed which
 * endpoint, what would have to be relaxed, and the order with weights and
 * shares.  The same text serves refusals, metadata, and whoever asks.
 *
 * Not on the hot path: reasons are worked out again here.  Call it while the
 * snapshot of the decision is still pinned.
 */
#pragma once

#include "common/attr.h"
#include "common/err.h"

struct dp_decision;
struct dp_route;
struct sb_arena;
struct sb_json;

/* Members of an open object: "endpoints" {total, available[]}, "funnel"
 * [{step, removed [{endpoint, model, reason}], left}]. */
void dp_explain_add_funnel(struct sb_json *json, const struct dp_route *route,
                           const struct dp_decision *decision, struct sb_arena *arena);
/* Member "order": the candidates with model, credential kind, health, cost,
 * weight and share of the draw. */
void dp_explain_add_order(struct sb_json *json, const struct dp_decision *decision);
/* Member "warnings": strings. */
void dp_explain_add_warnings(struct sb_json *json, const struct dp_decision *decision);

/* A whole value, the answer to 404: {"error": {code, message, metadata
 * {error_type, funnel, relax, endpoints}, availability {...}}}. */
void dp_explain_refusal(struct sb_json *json, const struct dp_route *route,
                        const struct dp_decision *decision, struct sb_arena *arena);

/* A whole value, the answer to explain: decides with all candidates ranked
 * and writes the outcome, whatever it is.  Returns what dp_route_decide()
 * returned, with its text in err. */
int dp_explain(struct sb_json *json, const struct dp_route *route, struct sb_arena *arena,
               struct sb_errmsg *err) SB_MUSTCHECK;
