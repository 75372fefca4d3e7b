/* dataplane/route/models.h - which models a request means (ROUTING.md 5):
 * aliases, suffixes, `model` and then `models` in order. */
#pragma once

#include <stdint.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/slice.h"
#include "dataplane/route/requirements.h"
#include "proto/rules.h"

struct dp_model;
struct dp_rules;
struct dp_snapshot;

struct dp_models {
    struct {
        const struct dp_model *model;
        struct sb_slice asked; /* as in the request */
        enum msg_sort sort;    /* of its suffix, or MSG_SORT_NONE */
    } at[DP_MODELS_MAX];
    uint32_t n; /* no model twice */
};

/* A name with its suffixes.  Errors: SB_ENOENT. */
int dp_model_resolve(const struct dp_snapshot *snapshot, struct sb_slice name,
                     const struct dp_model **ret_model, enum msg_sort *ret_sort) SB_MUSTCHECK;

/* All of a request.  Errors, with the model in err: SB_EINVAL for one that is
 * unknown (400), SB_EACCES for one that the policy does not allow (403). */
int dp_models_resolve(const struct dp_snapshot *snapshot, const struct dp_requirements *ask,
                      const struct dp_rules *policy, struct dp_models *ret_models,
                      struct sb_errmsg *err) SB_MUSTCHECK;
