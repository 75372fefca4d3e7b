/* controlplane/probes/probe_sample.h - what a probe amounts to. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "controlplane/probes/probe.h"

struct cp_fetch_end;
struct cp_probe_answer;
struct cp_samples;
struct msg_tariff;

/* Fills in what became of a completion, from the end of its transfer and the
 * answer read until then.  Its cost: by usage where there was an answer,
 * nothing where there was an error, and the prompt's where it was sent and
 * nobody answered; by the prices in force when it was started. */
void cp_probe_conclude(struct cp_probe *probe, const struct cp_fetch_end *end,
                       struct cp_probe_answer *answer, size_t request_bytes,
                       const struct msg_tariff *tariff);

/* The same as a sample for the tables.  second: unix time.  Throughput is what
 * an answer of 256 tokens would have, the wait for the first one included.  A 429
 * without Retry-After cools its endpoint like a request's. */
struct cp_samples *cp_probe_sample(const struct cp_probe *probe, int64_t second);
