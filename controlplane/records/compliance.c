/* controlplane/records/compliance.c */
#include "controlplane/records/compliance.h"

#include "common/timefmt.h"
#include "proto/country.h"
#include "proto/record.h"

static const char *const verdict_names[] = {
#define X(name, text) text,
    CP_VERDICT_MAP(X)
#undef X
};
static const char *const breach_names[] = {
#define X(name, text) text,
    CP_BREACH_MAP(X)
#undef X
};

const char *cp_verdict_name(enum cp_verdict verdict)
{
    return verdict_names[verdict];
}

const char *cp_breach_name(enum cp_breach breach)
{
    return breach_names[breach];
}

const char *cp_demand_name(enum msg_claim_kind claim)
{
    return claim == MSG_CLAIM_EU_RESIDENT ? "residency" : msg_claim_name((int)claim);
}

int cp_demand_parse(struct sb_slice name)
{
    for (int claim = 0; claim < MSG_CLAIM_COUNT; claim++) {
        if (sb_slice_is(name, cp_demand_name((enum msg_claim_kind)claim)))
            return claim;
    }
    return -1;
}

/* --- served ---------------------------------------------------------------------------- */

static const struct msg_evidence *find_held(const struct msg_record *record,
                                            enum msg_claim_kind claim)
{
    for (size_t i = 0; i < record->n_evidence; i++) {
        if (record->evidence[i].claim == claim)
            return &record->evidence[i];
    }
    return NULL;
}

/* Where the region must lie, and what eu_resident must say of it.  Gives
 * MSG_TRI_UNKNOWN when it does not lie there. */
static enum msg_tri wanted_of_region(const struct msg_record *record)
{
    int country = msg_country_parse(record->region);
    bool in_eu = sb_slice_eq_nocase(record->region, SB_SLICE_LIT("eu")) ||
                 (country >= 0 && msg_country_is_eu(country));
    struct sb_slice left = record->residency;
    bool wants_eu = false, is_listed = false, has_list = false;

    while (left.n > 0) {
        size_t n = sb_slice_find(left, ',');
        struct sb_slice word = sb_slice_make(left.p, n);

        if (sb_slice_eq_nocase(word, SB_SLICE_LIT("eu"))) {
            wants_eu = true;
        } else {
            has_list = true;
            is_listed = is_listed || (country >= 0 && msg_country_parse(word) == country);
        }
        left = sb_slice_from(left, n < left.n ? n + 1 : n);
    }
    if (!(wants_eu || has_list) || (wants_eu && !in_eu) || (has_list && !is_listed))
        return MSG_TRI_UNKNOWN;
    return wants_eu || in_eu ? MSG_TRI_YES : MSG_TRI_NO;
}

static enum cp_breach find_breach(const struct msg_record *record, enum msg_claim_kind claim,
                                  const struct msg_evidence *held)
{
    enum msg_tri wanted = claim == MSG_CLAIM_EU_RESIDENT ? wanted_of_region(record) : MSG_TRI_YES;

    if (wanted == MSG_TRI_UNKNOWN)
        return CP_BREACH_OUTSIDE;
    if (held == NULL || (held->value != MSG_TRI_YES && held->value != MSG_TRI_NO))
        return CP_BREACH_UNKNOWN;
    if (held->value != wanted)
        return CP_BREACH_OTHERWISE;
    if (held->evidence.n == 0)
        return CP_BREACH_UNPROVEN;
    if (held->expires_on != 0 && held->expires_on < sb_day_of((sb_usec)record->received_at))
        return CP_BREACH_EXPIRED;
    return CP_BREACH_NONE;
}

/* --- not served --------------------------------------------------------------------------- */

/* Outcomes of requests that we turn down ourselves. */
static bool is_refusal(const struct msg_record *record)
{
    static const enum msg_outcome ours[] = {MSG_OUTCOME_INVALID,     MSG_OUTCOME_FORBIDDEN,
                                            MSG_OUTCOME_NO_ENDPOINT, MSG_OUTCOME_OVER_BUDGET,
                                            MSG_OUTCOME_LIMITED,     MSG_OUTCOME_OVERLOADED};

    for (size_t i = 0; i < SB_ARRAY_LEN(ours); i++) {
        if (record->outcome == ours[i])
            return record->n_attempts == 0;
    }
    return false;
}

struct cp_judgement cp_compliance_judge(const struct msg_record *record, enum msg_claim_kind claim)
{
    struct cp_judgement judgement = {.verdict = CP_VERDICT_SERVED, .breach = CP_BREACH_NONE};

    if (record->endpoint == 0) {
        judgement.verdict = is_refusal(record) ? CP_VERDICT_REFUSED : CP_VERDICT_FAILED;
        return judgement;
    }
    judgement.held = find_held(record, claim);
    judgement.breach = find_breach(record, claim, judgement.held);
    if (judgement.breach != CP_BREACH_NONE)
        judgement.verdict = CP_VERDICT_VIOLATION;
    return judgement;
}
