/* dataplane/route/explain.h - a decision in words: which rule removed which
 * endpoint, what would have to be relaxed, and the order with weights and
 * shares.  The same text serves refusals, metadata, and whoever asks.
 *
 * Not on the hot path: every endpoint is filtered again, now for all steps.
 * Call it while the snapshot of the decision is still pinned.
 */
#pragma once

#include "common/attr.h"
#include "common/err.h"

struct dp_candidate;
struct dp_decision;
struct dp_route;
struct sb_arena;
struct sb_json;

/* In `funnel` and `available` at most so many endpoints are named per list;
 * "more" then counts the rest. */
enum { DP_EXPLAIN_NAMED = 100 };

/* The functions that add write members into an object that is open. */

/* "endpoints" {total, available [{provider, model, endpoint, selected}]} and
 * "funnel" [{step, removed [{endpoint, model, reason}], left}].  Selected is
 * decision->served. */
void dp_explain_add_funnel(struct sb_json *json, const struct dp_route *route,
                           const struct dp_decision *decision, struct sb_arena *arena);
/* "relax": the fewest rules that would have to go, and whom that lets in:
 * [{rules [...], endpoints [...]}], easiest first.  A rule of the key's policy
 * is named as one: "policy.zdr". */
void dp_explain_add_relax(struct sb_json *json, const struct dp_route *route,
                          const struct dp_decision *decision, struct sb_arena *arena);
/* "order": the candidates with their credential, health, group, cost, weight
 * and share of the draw inside the group, and where there are any "overrides",
 * those of its prices that apply [{index, conditions, prices}], and
 * "dropped_parameters".  "only_first" when the rules allow no others behind the first. */
void dp_explain_add_order(struct sb_json *json, const struct dp_decision *decision);
/* "warnings": strings. */
void dp_explain_add_warnings(struct sb_json *json, const struct dp_decision *decision);
/* "dropped_parameters": those cut from the body for a candidate; NULL: for none. */
void dp_explain_add_dropped(struct sb_json *json, const struct dp_candidate *candidate);
/* "direct", "alias" or "fallback"; model: index in decision->models. */
const char *dp_explain_strategy(const struct dp_decision *decision, unsigned model);

/* "error", of the answer to a 404: {code, message, metadata {error_type, funnel,
 * relax, warnings}, availability {...}}. */
void dp_explain_add_refusal(struct sb_json *json, const struct dp_route *route,
                            const struct dp_decision *decision, struct sb_arena *arena);

/* A whole value, the answer to an explain: decides with all candidates ranked
 * and writes the outcome, whatever it is.  Returns what dp_route_decide()
 * returned, with its text in err. */
int dp_explain(struct sb_json *json, const struct dp_route *route, struct sb_arena *arena,
               struct sb_errmsg *err) SB_MUSTCHECK;
