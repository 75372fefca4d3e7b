/* dataplane/route/filter.h - the hard rules, one step each: which endpoints may
 * not have this request, and why.
 *
 * Steps run in the order of the map; the first that an endpoint fails removes
 * it.  The same code says all that it fails, and words the reasons, for those
 * who ask.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"
#include "dataplane/route/policy.h"
#include "proto/tariff.h"

struct dp_endpoint;
struct dp_requirements;
struct dp_row;
struct dp_snapshot;
struct dp_tables;
struct dp_tenant;

/* X(NAME, "step", "excluded_by", "what to relax") */
#define DP_STEP_MAP(X)                                                                             \
    X(DIALECT, "dialect", "dialect", "nothing: this worker does not speak the provider's dialect") \
    X(PIN, "pin", "pin", "switchboard.pin")                                                        \
    X(ONLY, "only", "allowed_providers", "provider.only")                                          \
    X(IGNORE, "ignore", "allowed_providers", "provider.ignore")                                    \
    X(ORDER, "order", "allowed_providers",                                                         \
      "provider.allow_fallbacks, or more names in "                                                \
      "provider.order")                                                                            \
    X(MAX_PRICE, "max_price", "max_price", "provider.max_price")                                   \
    X(QUANTIZATIONS, "quantizations", "quantization", "provider.quantizations")                    \
    X(DATA_COLLECTION, "data_collection", "data_policy:training", "provider.data_collection")      \
    X(ZDR, "zdr", "data_policy:zdr", "provider.zdr")                                               \
    X(DISTILLABLE, "enforce_distillable_text", "data_policy:distillable",                          \
      "provider.enforce_distillable_text")                                                         \
    X(RESIDENCY, "residency", "data_region", "switchboard.residency")                              \
    X(OPERATOR_COUNTRIES, "operator_countries", "geo", "switchboard.operator_countries")           \
    X(INPUT_MODALITIES, "input_modalities", "modalities", "the kinds of content in messages")      \
    X(OUTPUT_MODALITIES, "output_modalities", "modalities", "modalities")                          \
    X(TOOLS, "tools", "tools", "tools")                                                            \
    X(PARAMETERS, "parameters", "require_parameters",                                              \
      "provider.require_parameters, or the "                                                       \
      "parameters")                                                                                \
    X(CONTEXT_LENGTH, "context_length", "context_length", "the length of the prompt")              \
    X(MAX_TOKENS, "max_tokens", "max_tokens", "max_tokens")                                        \
    X(MAX_COST, "max_cost", "max_cost", "switchboard.max_cost")                                    \
    X(MIN_THROUGHPUT, "min_throughput", "min_throughput",                                          \
      "switchboard.min_throughput, or "                                                            \
      "switchboard.unknown_ok")                                                                    \
    X(MAX_LATENCY, "max_latency", "max_latency",                                                   \
      "switchboard.max_latency, or "                                                               \
      "switchboard.unknown_ok")                                                                    \
    X(CREDENTIAL, "credential", "credential", "switchboard.byok")

enum dp_step {
#define X(name, text, excluded_by, relax) DP_STEP_##name,
    DP_STEP_MAP(X)
#undef X
        DP_STEP_COUNT,
    DP_STEP_PASSED = DP_STEP_COUNT, /* by all of them */
};

#define DP_STEP_BIT(name) (UINT32_C(1) << DP_STEP_##name)

/* Static strings; step: below DP_STEP_COUNT. */
const char *dp_step_name(enum dp_step step);
const char *dp_step_excluded_by(enum dp_step step);
const char *dp_step_relax(enum dp_step step);

/* All that the steps look at; borrowed. */
struct dp_filter {
    const struct dp_snapshot *snapshot;
    const struct dp_tables *tables; /* may be NULL */
    const struct dp_requirements *ask;
    const struct dp_plan *plan;
    const struct dp_tenant *tenant;
    sb_msec now;
    struct msg_moment moment; /* when the request was received */
    int32_t today;            /* days since 1970 UTC */
};

/* The first step that the endpoint fails, or DP_STEP_PASSED. */
enum dp_step dp_filter_endpoint(const struct dp_filter *filter, const struct dp_endpoint *endpoint);
/* Bits 1 << enum dp_step of all steps that it fails. */
uint32_t dp_filter_all_steps(const struct dp_filter *filter, const struct dp_endpoint *endpoint);
/* Bits of enum msg_parameter that the request needs and the endpoint lacks. */
uint64_t dp_filter_missing(const struct dp_filter *filter, const struct dp_endpoint *endpoint);

/* Whether the measured values keep all limits; without data the answer is
 * `unknown`. */
bool dp_row_has_throughput(const struct dp_row *row, const struct msg_cutoffs *least, sb_msec now,
                           bool unknown);
bool dp_row_has_latency(const struct dp_row *row, const struct msg_cutoffs *most, sb_msec now,
                        bool unknown);
