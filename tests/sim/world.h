/* tests/sim/world.h - one simulated provider, without its sockets.
 *
 * Who it is, how it behaves now, and what its script says next.  Everything
 * that answers requests borrows it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/list.h"
#include "common/slice.h"

struct sb_arena_cache;
struct sim_behaviour;
struct sim_words;

struct sim_world {
    const char *name;    /* borrowed */
    const char *api_key; /* borrowed; NULL: any key, or none */
    const char *models;  /* borrowed; names with commas between */
    uint64_t seed;
    int64_t created;             /* seconds since 1970, of every answer */
    struct sim_words *words;     /* owned */
    struct sim_behaviour *start; /* as the flags say; owned */
    struct sim_behaviour *now;   /* owned */
    struct sb_list script;       /* of what is used once, in this order */
    uint64_t script_left;        /* uses */
    struct sb_arena_cache *arenas;
    struct sb_buf event; /* scratch of whoever writes an event or a body, between no two calls */
    struct sb_buf body;  /* likewise, for what an event or a head is made of */
};

/* Takes start.  Texts are borrowed. */
void sim_world_init(struct sim_world *world, const char *name, struct sim_behaviour **start);
void sim_world_release(struct sim_world *world);

/* The behaviour of the next request, with a reference: the script's, else the
 * one of now. */
struct sim_behaviour *sim_world_next(struct sim_world *world);
/* From a JSON object: knobs, and "scripted": a list of objects with knobs and
 * "times" (default 1).  They start from what the knobs beside the list make;
 * the list is put behind what is left of an earlier one.  All or nothing. */
int sim_world_change(struct sim_world *world, struct sb_slice text,
                     struct sb_errmsg *err) SB_MUSTCHECK;
/* As at the start, and nothing scripted. */
void sim_world_restore(struct sim_world *world);
