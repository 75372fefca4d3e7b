/* controlplane/probes/price_watch.h - judges a price that a provider publishes.
 *
 * Pure.  Prices are arrays by enum msg_price in 1e-15 USD; -1: none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/slice.h"
#include "proto/vocabulary.h"

struct sb_arena;

enum cp_price_verdict {
    CP_PRICE_SAME,
    CP_PRICE_APPLY,  /* the operator wants it in the catalogue */
    CP_PRICE_REPORT, /* the operator wants to know of it */
    CP_PRICE_ROSE,   /* by more than may be: never by itself, whatever is wanted */
};

/* have: of the catalogue; seen: what the provider says, where it says anything.
 * What the catalogue has no price for costs what is charged instead: a cached
 * token as any of the prompt, reasoning as any of the completion, all else
 * nothing.  rise_limit: per cent; a rise from nothing is beyond any. */
enum cp_price_verdict cp_price_judge(const int64_t have[MSG_PRICE_COUNT],
                                     const int64_t seen[MSG_PRICE_COUNT], bool may_apply,
                                     unsigned rise_limit);

/* Prices in the form of the catalogue, as a JSON object in arena; only those
 * that differ between both, as they are in `of`. */
struct sb_slice cp_price_json(const int64_t of[MSG_PRICE_COUNT],
                              const int64_t have[MSG_PRICE_COUNT],
                              const int64_t seen[MSG_PRICE_COUNT], struct sb_arena *arena);
