/* tests/sim/models.h - answers of /v1/models. */
#pragma once

#include "common/attr.h"
#include "common/slice.h"

struct sb_buf;
struct sim_behaviour;
struct sim_error;
struct sim_world;

/* Append a whole answer to out.  0, or the status with *error filled; out then
 * holds what it held. */
int sim_models_write_list(const struct sim_world *world, const struct sim_behaviour *behaviour,
                          struct sb_buf *out, struct sim_error *error) SB_MUSTCHECK;
int sim_models_write_one(const struct sim_world *world, struct sb_slice model, struct sb_buf *out,
                         struct sim_error *error) SB_MUSTCHECK;
