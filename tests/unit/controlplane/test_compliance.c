/* tests/unit/controlplane/test_compliance.c */
#include "controlplane/records/compliance.h"

#include "common/timefmt.h"
#include "proto/record.h"
#include "tests/lib/test.h"

static const int64_t noon = (INT64_C(20000) * 86400 + 43200) * 1000000; /* of day 20000 */

static struct msg_evidence held;

static struct msg_record served(unsigned claim, const char *region, const char *residency)
{
    held = (struct msg_evidence){
        .claim = (uint8_t)claim, .value = MSG_TRI_YES, .evidence = SB_SLICE_LIT("contract")};
    return (struct msg_record){.kind = MSG_RECORD_REQUEST,
                               .received_at = noon,
                               .endpoint = 7,
                               .region = sb_slice_of(region),
                               .residency = sb_slice_of(residency),
                               .demanded = 1u << claim,
                               .evidence = &held,
                               .n_evidence = 1,
                               .outcome = MSG_OUTCOME_SUCCESS};
}

static const char *breach(const struct msg_record *record, enum msg_claim_kind claim)
{
    struct cp_judgement judgement = cp_compliance_judge(record, claim);

    assert_int_equal(judgement.verdict == CP_VERDICT_VIOLATION, judgement.breach != CP_BREACH_NONE);
    return cp_breach_name(judgement.breach);
}

static void yes_with_evidence_keeps_to_a_claim(void **state)
{
    struct msg_record record = served(MSG_CLAIM_ZDR, "US", "");
    struct cp_judgement judgement = cp_compliance_judge(&record, MSG_CLAIM_ZDR);

    (void)state;
    assert_int_equal(judgement.verdict, CP_VERDICT_SERVED);
    assert_ptr_equal(judgement.held, &held);
    held.expires_on = 20000; /* valid through its last day */
    assert_string_equal(breach(&record, MSG_CLAIM_ZDR), "");
}

static void anything_less_is_a_violation(void **state)
{
    struct msg_record record = served(MSG_CLAIM_ZDR, "US", "");

    (void)state;
    held.expires_on = 19999;
    assert_string_equal(breach(&record, MSG_CLAIM_ZDR), "expired");
    held.expires_on = -1;
    assert_string_equal(breach(&record, MSG_CLAIM_ZDR), "expired");
    held.expires_on = 0;
    held.evidence = SB_SLICE_NONE;
    assert_string_equal(breach(&record, MSG_CLAIM_ZDR), "unproven");
    held.value = MSG_TRI_NO;
    assert_string_equal(breach(&record, MSG_CLAIM_ZDR), "no");
    held.value = MSG_TRI_UNKNOWN;
    assert_string_equal(breach(&record, MSG_CLAIM_ZDR), "unknown");
    held.value = 77; /* of a newer worker */
    assert_string_equal(breach(&record, MSG_CLAIM_ZDR), "unknown");
    record.n_evidence = 0;
    assert_string_equal(breach(&record, MSG_CLAIM_ZDR), "unknown");
}

static void evidence_for_another_claim_does_not_count(void **state)
{
    struct msg_record record = served(MSG_CLAIM_NO_TRAINING, "US", "");

    (void)state;
    assert_string_equal(breach(&record, MSG_CLAIM_ZDR), "unknown");
}

static void residency_needs_the_place_and_evidence_for_it(void **state)
{
    static const struct {
        const char *residency, *region;
        enum msg_tri said;
        const char *breach;
    } cases[] = {
        {"eu", "DE", MSG_TRI_YES, ""},
        {"eu", "eu", MSG_TRI_YES, ""},
        {"eu", "de", MSG_TRI_YES, ""},
        {"eu", "DE", MSG_TRI_NO, "no"},
        {"eu", "US", MSG_TRI_YES, "outside"},
        {"eu", "global", MSG_TRI_YES, "outside"},
        {"eu", "", MSG_TRI_YES, "outside"},
        {"eu", "GB", MSG_TRI_YES, "outside"},
        {"DE", "DE", MSG_TRI_YES, ""},
        {"DE", "FR", MSG_TRI_YES, "outside"},
        {"DE", "eu", MSG_TRI_YES, "outside"},
        {"DE,FR", "FR", MSG_TRI_YES, ""},
        {"CH,US", "US", MSG_TRI_NO, ""}, /* outside of the union: the evidence says so */
        {"CH,US", "US", MSG_TRI_YES, "no"},
        {"US", "us", MSG_TRI_NO, ""},
        {"eu,DE,US", "DE", MSG_TRI_YES, ""},
        {"eu,DE,US", "US", MSG_TRI_NO, "outside"},
        {"eu,DE,US", "FR", MSG_TRI_YES, "outside"},
        {"", "DE", MSG_TRI_YES, "outside"}, /* two lists without a country in common */
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(cases); i++) {
        struct msg_record record =
            served(MSG_CLAIM_EU_RESIDENT, cases[i].region, cases[i].residency);

        held.value = (uint8_t)cases[i].said;
        assert_string_equal(breach(&record, MSG_CLAIM_EU_RESIDENT), cases[i].breach);
    }
}

static void what_no_endpoint_answered_was_refused_or_failed(void **state)
{
    struct msg_record record = served(MSG_CLAIM_ZDR, "", "");

    (void)state;
    record.endpoint = 0;
    record.outcome = MSG_OUTCOME_NO_ENDPOINT;
    assert_int_equal(cp_compliance_judge(&record, MSG_CLAIM_ZDR).verdict, CP_VERDICT_REFUSED);
    record.outcome = MSG_OUTCOME_SERVER_ERROR;
    assert_int_equal(cp_compliance_judge(&record, MSG_CLAIM_ZDR).verdict, CP_VERDICT_FAILED);
    record.outcome = MSG_OUTCOME_OVERLOADED;
    record.n_attempts = 1; /* somebody has had the request */
    assert_int_equal(cp_compliance_judge(&record, MSG_CLAIM_ZDR).verdict, CP_VERDICT_FAILED);
}

static void an_answer_that_broke_off_was_served(void **state)
{
    struct msg_record record = served(MSG_CLAIM_ZDR, "US", "");

    (void)state;
    record.outcome = MSG_OUTCOME_STREAM_CUT;
    assert_int_equal(cp_compliance_judge(&record, MSG_CLAIM_ZDR).verdict, CP_VERDICT_SERVED);
    held.value = MSG_TRI_NO;
    assert_int_equal(cp_compliance_judge(&record, MSG_CLAIM_ZDR).verdict, CP_VERDICT_VIOLATION);
}

static void demands_have_names(void **state)
{
    (void)state;
    assert_int_equal(cp_demand_parse(SB_SLICE_LIT("residency")), MSG_CLAIM_EU_RESIDENT);
    assert_int_equal(cp_demand_parse(SB_SLICE_LIT("no_training")), MSG_CLAIM_NO_TRAINING);
    assert_int_equal(cp_demand_parse(SB_SLICE_LIT("eu_resident")), -1);
    assert_string_equal(cp_demand_name(MSG_CLAIM_EU_RESIDENT), "residency");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yes_with_evidence_keeps_to_a_claim),
        cmocka_unit_test(anything_less_is_a_violation),
        cmocka_unit_test(evidence_for_another_claim_does_not_count),
        cmocka_unit_test(residency_needs_the_place_and_evidence_for_it),
        cmocka_unit_test(what_no_endpoint_answered_was_refused_or_failed),
        cmocka_unit_test(an_answer_that_broke_off_was_served),
        cmocka_unit_test(demands_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
