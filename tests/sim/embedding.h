/* tests/sim/embedding.h - answers of /v1/embeddings. */
#pragma once

#include "common/attr.h"

struct sb_buf;
struct sim_behaviour;
struct sim_error;
struct sim_request;

/* Appends a whole answer to out: a vector of length 1 for each input, the same
 * for the same input.  0, or the status with *error filled; out then holds
 * what it held. */
int sim_embedding_write(const struct sim_request *request, const struct sim_behaviour *behaviour,
                        struct sb_buf *out, struct sim_error *error) SB_MUSTCHECK;
