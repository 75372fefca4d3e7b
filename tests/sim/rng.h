/* tests/sim/rng.h - chance that comes from --seed and nothing else.
 *
 * SplitMix64 (Steele, Lea, Flood 2014).  Every request has a generator of its
 * own, seeded from --seed and its number, so that what happens to request 7
 * does not depend on how it overlaps with others.
 */
#pragma once

#include <stdint.h>

struct sim_rng {
    uint64_t state;
};

static inline uint64_t sim_rng_next(struct sim_rng *rng)
{
    uint64_t z = rng->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline struct sim_rng sim_rng_of(uint64_t seed, uint64_t number)
{
    struct sim_rng rng = {.state = seed};

    rng.state = sim_rng_next(&rng) + number;
    rng.state = sim_rng_next(&rng);
    return rng;
}

/* Even in [0, 1). */
static inline double sim_rng_unit(struct sim_rng *rng)
{
    return (double)(sim_rng_next(rng) >> 11) * 0x1.0p-53;
}
