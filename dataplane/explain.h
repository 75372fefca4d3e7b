/* dataplane/explain.h - answers "what would you do with this request?", asked
 * by the control plane for an operator: the decision of this very worker,
 * breakers and cooldowns included, without sending anything. */
#pragma once

#include <stdint.h>

#include "common/slice.h"

struct dp_worker;

/* Answers by dp_courier_answer(), from inside.  key_name: whose policy and
 * credentials hold; empty: the first key. */
void dp_explain_answer(struct dp_worker *worker, uint64_t id, struct sb_slice key_name,
                       struct sb_slice body);
