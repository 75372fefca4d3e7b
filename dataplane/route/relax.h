/* dataplane/route/relax.h - what would have to be relaxed to let endpoints in.
 */
#pragma once

struct dp_trial;
struct sb_arena;
struct sb_json;

/* "relax": the easiest ways, each with all the rules that it takes and the
 * endpoints that it lets in: few rules before many, the request's own before
 * those of the policy, many endpoints before few. */
void dp_relax_add(struct sb_json *json, const struct dp_trial *trial, struct sb_arena *arena);
