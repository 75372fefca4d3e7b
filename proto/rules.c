/* proto/rules.c - one reader for each member; the table at the end says which
 * member has which. */
#include "proto/rules.h"

#include <stdio.h>

#include "common/check.h"
#include "common/err.h"
#include "proto/limits.h"
#include "proto/rules_value.h"

static struct msg_rules *rules_of(struct msg_reader *reader)
{
    return reader->ctx;
}

static void read_countries(struct msg_reader *reader, struct sb_slice value, bool may_be_empty,
                           struct msg_countries *ret_countries)
{
    struct msg_names names = {.n = 0};
    size_t back;
    int number;

    (void)msg_read_names(reader, value, MSG_SLUG_MAX, may_be_empty, &names);
    for (uint32_t i = 0; i < names.n; i++) {
        if (names.name[i].n == 0)
            continue; /* noted already */
        number = msg_country_parse(names.name[i]);
        if (number >= 0) {
            msg_countries_add(ret_countries, number);
            continue;
        }
        back = sb_json_path_index(&reader->path, i);
        msg_reader_note(reader, SB_EINVAL,
                        "\"%.*s\" is no country of ISO 3166-1 (two letters, e.g. \"DE\")",
                        SB_SLICE_ARGS(names.name[i]));
        sb_json_path_back(&reader->path, back);
    }
}

/* --- members of several kinds -------------------------------------------------- */

static const char *const percentiles[] = {"p50", "p75", "p90", "p99"};

struct cutoffs_ctx {
    struct msg_cutoffs *cutoffs;
    bool upwards;
};

static bool take_percentile(struct msg_reader *reader, struct sb_slice name, struct sb_slice value,
                            void *ctx)
{
    struct cutoffs_ctx *to = ctx;

    for (int i = 0; i < MSG_PERCENTILES; i++) {
        if (!sb_slice_is(name, percentiles[i]))
            continue;
        if (!msg_value_is_null(value))
            (void)msg_read_thousandths(reader, value, to->upwards, &to->cutoffs->at[i]);
        return true;
    }
    return false;
}

/* A number is that of p50. */
static void read_cutoffs(struct msg_reader *reader, struct sb_slice value, bool upwards,
                         struct msg_cutoffs *ret_cutoffs)
{
    struct cutoffs_ctx to = {.cutoffs = ret_cutoffs, .upwards = upwards};

    if (sb_splice_type_of(value) == SB_SPLICE_NUMBER)
        (void)msg_read_thousandths(reader, value, upwards, &ret_cutoffs->at[0]);
    else if (sb_splice_type_of(value) == SB_SPLICE_OBJECT)
        (void)msg_read_object(reader, value, "p50, p75, p90, p99", take_percentile, &to);
    else
        msg_reader_note_wrong(reader, value, "a number, or an object with p50, p75, p90, p99");
}

static bool take_price(struct msg_reader *reader, struct sb_slice name, struct sb_slice value,
                       void *ctx)
{
    static const int kinds[] = {MSG_PRICE_PROMPT, MSG_PRICE_COMPLETION, MSG_PRICE_REQUEST,
                                MSG_PRICE_IMAGE, MSG_PRICE_AUDIO};
    struct msg_rules *rules = rules_of(reader);

    (void)ctx;
    for (size_t i = 0; i < SB_ARRAY_LEN(kinds); i++) {
        if (!sb_slice_is(name, msg_price_name(kinds[i])))
            continue;
        if (!msg_value_is_null(value))
            (void)msg_read_money(reader, value,
                                 kinds[i] == MSG_PRICE_PROMPT || kinds[i] == MSG_PRICE_COMPLETION,
                                 &rules->max_price[kinds[i]]);
        return true;
    }
    return false;
}

static const char *const sorts[] = {"price", "throughput", "latency", "exacto", NULL};

static bool take_sort(struct msg_reader *reader, struct sb_slice name, struct sb_slice value,
                      void *ctx)
{
    static const char *const partitions[] = {"model", "none", NULL};
    bool is_by = sb_slice_is(name, "by");
    int word;

    (void)ctx;
    if (!is_by && !sb_slice_is(name, "partition"))
        return false;
    if (msg_value_is_null(value))
        return true;
    word = msg_read_word(reader, value, is_by ? sorts : partitions);
    if (is_by)
        rules_of(reader)->sort = (enum msg_sort)(word + 1); /* in the order of the enum */
    else
        rules_of(reader)->sort_across_models = word == 1;
    return true;
}

static void read_sort(struct msg_reader *reader, struct sb_slice value)
{
    if (sb_splice_type_of(value) == SB_SPLICE_OBJECT)
        (void)msg_read_object(reader, value, "by, partition", take_sort, NULL);
    else
        rules_of(reader)->sort = (enum msg_sort)(msg_read_word(reader, value, sorts) + 1);
}

static bool take_operator(struct msg_reader *reader, struct sb_slice name, struct sb_slice value,
                          void *ctx)
{
    struct msg_rules *rules = rules_of(reader);
    bool allow = sb_slice_is(name, "allow");

    (void)ctx;
    if (!allow && !sb_slice_is(name, "deny"))
        return false;
    if (msg_value_is_null(value))
        return true;
    rules->has_operator_allow |= allow;
    read_countries(reader, value, !allow, allow ? &rules->operator_allow : &rules->operator_deny);
    return true;
}

static void read_residency(struct msg_reader *reader, struct sb_slice value)
{
    struct sb_slice text;

    if (sb_splice_get_string(value, reader->arena, &text) == SB_OK &&
        sb_slice_eq_nocase(text, SB_SLICE_LIT("eu")))
        rules_of(reader)->residency_eu = true;
    else if (sb_splice_type_of(value) == SB_SPLICE_ARRAY)
        read_countries(reader, value, false, &rules_of(reader)->residency);
    else
        msg_reader_note_wrong(reader, value,
                              "\"eu\", or a list of countries such as [\"DE\", \"FR\"]");
}

/* fp4 and fp8 are families: they admit their formats with shared scales. */
static uint32_t quantization_family(int quantization)
{
    uint32_t bits = UINT32_C(1) << quantization;

    if (quantization == MSG_QUANTIZATION_FP4)
        bits |= UINT32_C(1) << MSG_QUANTIZATION_MXFP4 | UINT32_C(1) << MSG_QUANTIZATION_NVFP4;
    if (quantization == MSG_QUANTIZATION_FP8)
        bits |= UINT32_C(1) << MSG_QUANTIZATION_MXFP8;
    return bits;
}

static void read_quantizations(struct msg_reader *reader, struct sb_slice value)
{
    struct msg_names names = {.n = 0};
    size_t back;
    int quantization;

    (void)msg_read_names(reader, value, MSG_SLUG_MAX, false, &names);
    for (uint32_t i = 0; i < names.n; i++) {
        if (names.name[i].n == 0)
            continue; /* noted already */
        quantization = msg_quantization_parse(names.name[i]);
        if (quantization >= 0) {
            rules_of(reader)->quantizations |= quantization_family(quantization);
            continue;
        }
        back = sb_json_path_index(&reader->path, i);
        msg_reader_note(
            reader, SB_EINVAL,
            "\"%.*s\" is not allowed; it must be int4, int8, fp4, mxfp4, nvfp4, fp6, fp8, mxfp8, "
            "fp16, bf16, fp32 or unknown",
            SB_SLICE_ARGS(names.name[i]));
        sb_json_path_back(&reader->path, back);
    }
}

static void read_session_id(struct msg_reader *reader, struct sb_slice value)
{
    struct sb_slice text;
    size_t characters = 0;

    if (sb_splice_get_string(value, reader->arena, &text) == SB_OK) {
        for (size_t i = 0; i < text.n; i++)
            characters += ((unsigned char)text.p[i] & 0xc0) != 0x80;
        if (characters <= MSG_SESSION_ID_MAX) {
            rules_of(reader)->session_id = text;
            return;
        }
    }
    msg_reader_note_wrong(reader, value, "a string of at most 256 characters");
}

/* --- the schema ----------------------------------------------------------------- */

static void read_provider_rule(struct msg_reader *reader, enum msg_rule rule, struct sb_slice value)
{
    static const char *const collections[] = {"allow", "deny", NULL};
    struct msg_rules *rules = rules_of(reader);

    switch ((int)rule) {
    case MSG_RULE_ORDER:
        (void)msg_read_names(reader, value, MSG_SLUG_MAX, true, &rules->order);
        break;
    case MSG_RULE_ONLY:
        (void)msg_read_names(reader, value, MSG_SLUG_MAX, false, &rules->only);
        break;
    case MSG_RULE_IGNORE:
        (void)msg_read_names(reader, value, MSG_SLUG_MAX, true, &rules->ignore);
        break;
    case MSG_RULE_ALLOW_FALLBACKS:
        (void)msg_read_bool(reader, value, &rules->allow_fallbacks);
        break;
    case MSG_RULE_REQUIRE_PARAMETERS:
        (void)msg_read_bool(reader, value, &rules->require_parameters);
        break;
    case MSG_RULE_DATA_COLLECTION:
        rules->deny_data_collection = msg_read_word(reader, value, collections) == 1;
        break;
    case MSG_RULE_ZDR:
        (void)msg_read_bool(reader, value, &rules->zdr);
        break;
    case MSG_RULE_ENFORCE_DISTILLABLE_TEXT:
        (void)msg_read_bool(reader, value, &rules->distillable);
        break;
    case MSG_RULE_QUANTIZATIONS:
        read_quantizations(reader, value);
        break;
    case MSG_RULE_SORT:
        read_sort(reader, value);
        break;
    case MSG_RULE_PREFERRED_MIN_THROUGHPUT:
        read_cutoffs(reader, value, true, &rules->preferred_min_throughput);
        break;
    case MSG_RULE_PREFERRED_MAX_LATENCY:
        read_cutoffs(reader, value, false, &rules->preferred_max_latency);
        break;
    case MSG_RULE_MAX_PRICE:
        (void)msg_read_object(reader, value, "prompt, completion, request, image, audio",
                              take_price, NULL);
        break;
    default:
        SB_BUG_ON(true); /* the table sent it here */
    }
}

static void read_switchboard_rule(struct msg_reader *reader, enum msg_rule rule,
                                  struct sb_slice value)
{
    static const char *const byoks[] = {"first", "last", "only", "never", NULL};
    struct msg_rules *rules = rules_of(reader);

    switch ((int)rule) {
    case MSG_RULE_RESIDENCY:
        read_residency(reader, value);
        break;
    case MSG_RULE_OPERATOR_COUNTRIES:
        (void)msg_read_object(reader, value, "allow, deny", take_operator, NULL);
        break;
    case MSG_RULE_MIN_THROUGHPUT:
        read_cutoffs(reader, value, true, &rules->min_throughput);
        break;
    case MSG_RULE_MAX_LATENCY:
        read_cutoffs(reader, value, false, &rules->max_latency);
        break;
    case MSG_RULE_UNKNOWN_OK:
        (void)msg_read_bool(reader, value, &rules->unknown_ok);
        break;
    case MSG_RULE_MAX_COST:
        (void)msg_read_money(reader, value, false, &rules->max_cost);
        break;
    case MSG_RULE_PIN:
        (void)msg_read_text(reader, value, MSG_SLUG_MAX, &rules->pin);
        break;
    case MSG_RULE_STRICT:
        (void)msg_read_bool(reader, value, &rules->strict);
        break;
    case MSG_RULE_FIRST_TOKEN_TIMEOUT_MS:
        (void)msg_read_whole(reader, value, 1, MSG_TIMEOUT_MS_MAX, &rules->first_token_timeout);
        break;
    case MSG_RULE_ATTEMPT_TIMEOUT_MS:
        (void)msg_read_whole(reader, value, 1, MSG_TIMEOUT_MS_MAX, &rules->attempt_timeout);
        break;
    case MSG_RULE_DEADLINE_MS:
        (void)msg_read_whole(reader, value, 1, MSG_TIMEOUT_MS_MAX, &rules->deadline);
        break;
    case MSG_RULE_BYOK:
        rules->byok = (enum msg_byok)msg_read_word(reader, value, byoks); /* in the enum's order */
        break;
    case MSG_RULE_SPILL:
        (void)msg_read_bool(reader, value, &rules->spill);
        break;
    case MSG_RULE_SESSION_ID:
        read_session_id(reader, value);
        break;
    case MSG_RULE_FALLBACK_ON_REFUSAL:
        (void)msg_read_bool(reader, value, &rules->fallback_on_refusal);
        break;
    case MSG_RULE_EXPLAIN:
        (void)msg_read_bool(reader, value, &rules->explain);
        break;
    default:
        SB_BUG_ON(true);
    }
}

static void read_policy_rule(struct msg_reader *reader, enum msg_rule rule, struct sb_slice value)
{
    static const char *const audits[] = {"async", "sync", NULL};
    static const char *const personals[] = {"hashed", "plain", NULL};
    struct msg_rules *rules = rules_of(reader);

    switch ((int)rule) {
    case MSG_RULE_ALLOWED_MODELS:
        (void)msg_read_names(reader, value, MSG_MODEL_ID_MAX, false, &rules->allowed_models);
        break;
    case MSG_RULE_AUDIT:
        rules->audit_sync = msg_read_word(reader, value, audits) == 1;
        break;
    case MSG_RULE_CHARGE_OWN_KEYS:
        (void)msg_read_bool(reader, value, &rules->charge_own_keys);
        break;
    case MSG_RULE_AUDIT_PERSONAL:
        rules->audit_personal_plain = msg_read_word(reader, value, personals) == 1;
        break;
    case MSG_RULE_RECEIPTS:
        (void)msg_read_bool(reader, value, &rules->receipts);
        break;
    default:
        SB_BUG_ON(true);
    }
}

static const struct {
    const char *name;
    uint8_t n; /* bytes */
    uint8_t in;
} schema[MSG_RULE_COUNT] = {
#define X(name, number, text, schemas) [number] = {text, sizeof(text) - 1, schemas},
    MSG_RULE_MAP(X)
#undef X
};

static void read_rule(struct msg_reader *reader, enum msg_rule rule, struct sb_slice value)
{
    if (msg_value_is_null(value))
        return;
    rules_of(reader)->said |= UINT64_C(1) << rule;
    if (schema[rule].in == MSG_IN_PROVIDER)
        read_provider_rule(reader, rule, value);
    else if (schema[rule].in == MSG_IN_SWITCHBOARD)
        read_switchboard_rule(reader, rule, value);
    else
        read_policy_rule(reader, rule, value);
}

/* Names every member of the object, since the one that is meant is among them. */
static void note_unknown(struct msg_reader *reader, int schemas)
{
    char members[MSG_PROBLEM_TEXT] = "";
    size_t n = 0;

    for (int rule = 0; rule < MSG_RULE_COUNT; rule++) {
        if ((schema[rule].in & schemas) == 0 || n + schema[rule].n + 3U > sizeof(members))
            continue;
        n += (size_t)snprintf(members + n, sizeof(members) - n, "%s%s", n > 0 ? ", " : "",
                              schema[rule].name);
    }
    msg_reader_note(reader, SB_EINVAL, "no such member; there are %s", members);
}

static bool take_rule(struct msg_reader *reader, struct sb_slice name, struct sb_slice value,
                      void *ctx)
{
    const int *schemas = ctx;

    for (int rule = 0; rule < MSG_RULE_COUNT; rule++) {
        if ((schema[rule].in & *schemas) != 0 && schema[rule].n == name.n &&
            memcmp(schema[rule].name, name.p, name.n) == 0) {
            read_rule(reader, (enum msg_rule)rule, value);
            return true;
        }
    }
    note_unknown(reader, *schemas);
    return false;
}

const char *msg_rule_name(int rule)
{
    return rule >= 0 && rule < MSG_RULE_COUNT ? schema[rule].name : "unknown";
}

void msg_rules_init(struct msg_rules *rules)
{
    static const struct msg_cutoffs none = {
        .at = {MSG_NO_DATA, MSG_NO_DATA, MSG_NO_DATA, MSG_NO_DATA}};

    *rules = (struct msg_rules){
        .allow_fallbacks = true,
        .preferred_min_throughput = none,
        .preferred_max_latency = none,
        .min_throughput = none,
        .max_latency = none,
        .max_cost = -1,
        .spill = true,
    };
    for (int kind = 0; kind < MSG_PRICE_COUNT; kind++)
        rules->max_price[kind] = -1;
}

int msg_rules_read(struct msg_rules *rules, int schemas, struct sb_slice text,
                   struct sb_arena *arena, struct msg_report *report)
{
    struct msg_reader reader = {.arena = arena, .report = report, .rc = SB_OK, .ctx = rules};

    sb_json_path_init(&reader.path);
    if (schemas == MSG_IN_PROVIDER)
        (void)sb_json_path_member(&reader.path, SB_SLICE_LIT("provider"));
    else if (schemas == MSG_IN_SWITCHBOARD)
        (void)sb_json_path_member(&reader.path, SB_SLICE_LIT("switchboard"));
    else
        schemas = MSG_IN_PROVIDER | MSG_IN_SWITCHBOARD | MSG_IN_POLICY;
    if (text.n == 0)
        msg_reader_note(&reader, SB_EPARSE, "empty; it must be an object");
    else if (!msg_value_is_null(text))
        (void)msg_read_object(&reader, text, NULL, take_rule, &schemas);
    return reader.rc;
}

bool msg_pattern_matches(struct sb_slice pattern, struct sb_slice model)
{
    size_t p = 0, m = 0, star = SIZE_MAX, resume = 0;

    while (m < model.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            resume = m;
        } else if (p < pattern.n && pattern.p[p] == model.p[m]) {
            p++;
            m++;
        } else if (star != SIZE_MAX) { /* let the last star take one character more */
            p = star + 1;
            m = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}
