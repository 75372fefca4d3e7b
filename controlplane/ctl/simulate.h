/* controlplane/ctl/simulate.h - one run of `simulate`: asked for and run by
 * cmd_simulate.c, shown by simulate_show.c. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/ctl/simulation.h"

struct ctl;
struct dp_model;

/* A model and what came out, in the order of ctl_simulate.strategies. */
struct ctl_simulated {
    const struct dp_model *model;
    struct ctl_outcome outcome[CTL_STRATEGIES];
};

/* All of a run: what was asked for, and what came out. */
struct ctl_simulate {
    struct ctl *ctl;
    struct ctl_market *market;
    struct ctl_workload workload; /* but the model */
    uint64_t budget;              /* 1e-9 USD */
    const char *budget_text;
    enum ctl_strategy strategies[CTL_STRATEGIES];
    unsigned n_strategies;
    struct ctl_simulated *results;
    uint32_t n_results;
    uint64_t done, total; /* requests, of all runs together */
    bool any_served;
};

/* Prints all results: as tables; as JSON or YAML. */
void ctl_simulate_show(const struct ctl_simulate *simulate);
void ctl_simulate_print(const struct ctl_simulate *simulate);
