/* dataplane/route/trial.h - every endpoint of the models that were asked for,
 * judged by all steps instead of the first that it fails: for those who
 * explain.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/route/blame.h"
#include "dataplane/route/filter.h"

struct dp_decision;
struct dp_endpoint;
struct dp_route;
struct sb_arena;

struct dp_judged {
    const struct dp_endpoint *endpoint;
    uint32_t failed;          /* bits 1 << enum dp_step; 0: available */
    uint32_t by[DP_BY_COUNT]; /* those of them that a rule of that set alone removes it by */
    bool is_hopeless;         /* no rule that can be relaxed lets it in */
};

struct dp_trial {
    struct dp_filter filter;
    struct dp_blame blame;
    struct dp_judged *judged; /* from the arena */
    uint32_t n;
};

/* Borrows route and decision. */
void dp_trial_make(struct dp_trial *trial, const struct dp_route *route,
                   const struct dp_decision *decision, struct sb_arena *arena);
