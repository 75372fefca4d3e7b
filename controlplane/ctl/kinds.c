/* controlplane/ctl/kinds.c */
#include "controlplane/ctl/kinds.h"

#include "common/attr.h"
#include "common/closest.h"

static const struct ctl_field providers[] = {
    {"PROVIDER", "slug", CTL_SHOW_NAME, false},
    {"NAME", "name", CTL_SHOW_TEXT, true},
    {"DIALECT", "dialect", CTL_SHOW_TEXT, false},
    {"HQ", "headquarters", CTL_SHOW_TEXT, false},
    {"ZDR", "data_policy.zdr", CTL_SHOW_CLAIM, false},
    {"NO TRAINING", "data_policy.no_training", CTL_SHOW_CLAIM, false},
    {"BASE URL", "base_url", CTL_SHOW_TEXT, true},
    {"REVISION", "revision", CTL_SHOW_VERSION, false},
};
static const struct ctl_field models[] = {
    {"MODEL", "id", CTL_SHOW_NAME, true},
    {"NAME", "name", CTL_SHOW_TEXT, true},
    {"CONTEXT", "context_length", CTL_SHOW_COUNT, false},
    {"IN", "input_modalities", CTL_SHOW_TEXT, false},
    {"OUT", "output_modalities", CTL_SHOW_TEXT, false},
    {"DISTILLABLE", "distillable", CTL_SHOW_CLAIM, false},
    {"ALIASES", "aliases", CTL_SHOW_TEXT, true},
    {"REVISION", "revision", CTL_SHOW_VERSION, false},
};
static const struct ctl_field endpoints[] = {
    {"MODEL", "model", CTL_SHOW_NAME, true},
    {"TAG", "tag", CTL_SHOW_NAME, false},
    {"PROVIDER", "provider", CTL_SHOW_TEXT, false},
    {"REGION", "region", CTL_SHOW_TEXT, false},
    {"QUANT", "quantization", CTL_SHOW_TEXT, false},
    {"CONTEXT", "context_length", CTL_SHOW_COUNT, false},
    {"$/M IN", "pricing.prompt", CTL_SHOW_DECIMAL, false},
    {"$/M OUT", "pricing.completion", CTL_SHOW_DECIMAL, false},
    {"EU", "eu_resident", CTL_SHOW_CLAIM, false},
    {"ZDR", "zdr", CTL_SHOW_CLAIM, false},
};
static const struct ctl_field tenants[] = {
    {"TENANT", "name", CTL_SHOW_NAME, false},
    {"MANAGED BY", "managed_by", CTL_SHOW_TEXT, false},
    {"REVISION", "revision", CTL_SHOW_VERSION, false},
};
static const struct ctl_field policies[] = {
    {"POLICY", "name", CTL_SHOW_NAME, false},
    {"RESIDENCY", "residency", CTL_SHOW_TEXT, false},
    {"ZDR", "zdr", CTL_SHOW_FLAG, false},
    {"MAX $/M IN", "max_price.prompt", CTL_SHOW_DECIMAL, false},
    {"MAX $/M OUT", "max_price.completion", CTL_SHOW_DECIMAL, false},
    {"MODELS", "allowed_models", CTL_SHOW_TEXT, true},
    {"REVISION", "revision", CTL_SHOW_VERSION, false},
};
static const struct ctl_field keys[] = {
    {"KEY", "name", CTL_SHOW_NAME, false},
    {"LABEL", "label", CTL_SHOW_TEXT, false},
    {"TENANT", "tenant", CTL_SHOW_TEXT, false},
    {"POLICY", "policy", CTL_SHOW_TEXT, false},
    {"EXPIRES", "expires_at", CTL_SHOW_TIME, false},
    {"DISABLED", "disabled", CTL_SHOW_FLAG, false},
    {"MADE", "created_at", CTL_SHOW_AGE, false},
    {"REVISION", "revision", CTL_SHOW_VERSION, false},
};
static const struct ctl_field credentials[] = {
    {"CREDENTIAL", "name", CTL_SHOW_NAME, false},
    {"PROVIDER", "provider", CTL_SHOW_TEXT, false},
    {"TENANT", "tenant", CTL_SHOW_TEXT, false},
    {"SEQUENCE", "sequence", CTL_SHOW_COUNT, false},
    {"SPILL", "spill", CTL_SHOW_TEXT, false},
    {"SUSPENDED", "suspended", CTL_SHOW_FLAG, false},
    {"SEALED FOR", "origin", CTL_SHOW_TEXT, true},
    {"ENTERED", "entered_at", CTL_SHOW_AGE, false},
    {"REVISION", "revision", CTL_SHOW_VERSION, false},
};

#define KIND(one, many)                                                                            \
    {                                                                                              \
        one, #many, many, SB_ARRAY_LEN(many)                                                       \
    }
static const struct ctl_kind kinds[] = {
    KIND("provider", providers),     KIND("model", models), KIND("endpoint", endpoints),
    KIND("tenant", tenants),         KIND("key", keys),     KIND("policy", policies),
    KIND("credential", credentials),
};

const struct ctl_kind *ctl_kind_find(struct sb_slice word, const char **ret_guess)
{
    struct sb_closest guess = sb_closest_begin(word);

    for (size_t i = 0; i < SB_ARRAY_LEN(kinds); i++) {
        if (sb_slice_is(word, kinds[i].one) || sb_slice_is(word, kinds[i].many))
            return &kinds[i];
        sb_closest_try(&guess, kinds[i].one);
        sb_closest_try(&guess, kinds[i].many);
    }
    if (ret_guess != NULL)
        *ret_guess = guess.best;
    return NULL;
}
