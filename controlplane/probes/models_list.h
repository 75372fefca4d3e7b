/* controlplane/probes/models_list.h - reads what a provider says of its models.
 *
 * Pure.  Two shapes of GET /models: OpenAI's ({"data": [{"id"}]}), and that with
 * what OpenRouter adds: context_length (also as max_model_len or
 * context_window) and pricing, an object of USD per token, request or piece
 * under the names of MSG_PRICE_MAP.  A bare array is taken, too.  What cannot be
 * read of one model is left out of it; a negative price means "it depends".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/slice.h"
#include "proto/vocabulary.h"

struct sb_arena;

enum {
    CP_MODELS_BYTES_MAX = 4 << 20,
    CP_MODELS_MAX = 20000,
};

struct cp_listed {
    struct sb_slice id;             /* in arena */
    uint32_t context_length;        /* tokens; 0: not said */
    int64_t price[MSG_PRICE_COUNT]; /* 1e-15 USD; -1: not said */
};

/* Gives the models, sorted by id, in arena.  SB_EPARSE: it is no such list;
 * SB_ETOOBIG: over the ceilings; SB_ENOMEM. */
int cp_models_read(struct sb_slice text, struct sb_arena *arena, struct cp_listed **ret_models,
                   size_t *ret_n, struct sb_errmsg *err) SB_MUSTCHECK;
/* The model of that id, or NULL. */
const struct cp_listed *cp_models_find(const struct cp_listed *models, size_t n,
                                       struct sb_slice id);
