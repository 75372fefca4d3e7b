/* proto/rules.h - what a request or a policy may say about routing.
 *
 * One schema for three closed JSON objects: `provider` and `switchboard` of a
 * request (ROUTING.md 3 and 4), and the rules of a policy, which may hold the
 * members of both and some of its own.  The control plane checks policies with
 * it, the worker reads policies and requests.
 *
 *      struct msg_rules rules;
 *      msg_rules_init(&rules);
 *      rc = msg_rules_read(&rules, MSG_IN_PROVIDER, text, arena, &report);
 *      rc = msg_rules_read(&rules, MSG_IN_SWITCHBOARD, text, arena, &report);
 *
 * Every member may be null, which says nothing.  A list that would allow
 * nothing at all when it is empty (only, quantizations, residency, ...) must not
 * be empty: it is a mistake, and neither reading of it is safe.  Strings are
 * borrowed from the text, or lie in the arena when they had escapes; lists lie
 * in the arena.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/money.h"
#include "common/slice.h"
#include "proto/country.h"
#include "proto/tables.h"
#include "proto/vocabulary.h"

struct sb_arena;

/* X(NAME, number, "member", schemas): P provider, S switchboard, K policies
 * alone.  The number is the bit in msg_rules.said; memory only. */
#define MSG_RULE_MAP(X)                                                                            \
    X(ORDER, 0, "order", MSG_IN_PROVIDER)                                                          \
    X(ALLOW_FALLBACKS, 1, "allow_fallbacks", MSG_IN_PROVIDER)                                      \
    X(ONLY, 2, "only", MSG_IN_PROVIDER)                                                            \
    X(IGNORE, 3, "ignore", MSG_IN_PROVIDER)                                                        \
    X(REQUIRE_PARAMETERS, 4, "require_parameters", MSG_IN_PROVIDER)                                \
    X(DATA_COLLECTION, 5, "data_collection", MSG_IN_PROVIDER)                                      \
    X(ZDR, 6, "zdr", MSG_IN_PROVIDER)                                                              \
    X(ENFORCE_DISTILLABLE_TEXT, 7, "enforce_distillable_text", MSG_IN_PROVIDER)                    \
    X(QUANTIZATIONS, 8, "quantizations", MSG_IN_PROVIDER)                                          \
    X(SORT, 9, "sort", MSG_IN_PROVIDER)                                                            \
    X(PREFERRED_MIN_THROUGHPUT, 10, "preferred_min_throughput", MSG_IN_PROVIDER)                   \
    X(PREFERRED_MAX_LATENCY, 11, "preferred_max_latency", MSG_IN_PROVIDER)                         \
    X(MAX_PRICE, 12, "max_price", MSG_IN_PROVIDER)                                                 \
    X(RESIDENCY, 13, "residency", MSG_IN_SWITCHBOARD)                                              \
    X(OPERATOR_COUNTRIES, 14, "operator_countries", MSG_IN_SWITCHBOARD)                            \
    X(MIN_THROUGHPUT, 15, "min_throughput", MSG_IN_SWITCHBOARD)                                    \
    X(MAX_LATENCY, 16, "max_latency", MSG_IN_SWITCHBOARD)                                          \
    X(UNKNOWN_OK, 17, "unknown_ok", MSG_IN_SWITCHBOARD)                                            \
    X(MAX_COST, 18, "max_cost", MSG_IN_SWITCHBOARD)                                                \
    X(PIN, 19, "pin", MSG_IN_SWITCHBOARD)                                                          \
    X(STRICT, 20, "strict", MSG_IN_SWITCHBOARD)                                                    \
    X(FIRST_TOKEN_TIMEOUT_MS, 21, "first_token_timeout_ms", MSG_IN_SWITCHBOARD)                    \
    X(ATTEMPT_TIMEOUT_MS, 22, "attempt_timeout_ms", MSG_IN_SWITCHBOARD)                            \
    X(DEADLINE_MS, 23, "deadline_ms", MSG_IN_SWITCHBOARD)                                          \
    X(BYOK, 24, "byok", MSG_IN_SWITCHBOARD)                                                        \
    X(SPILL, 25, "spill", MSG_IN_SWITCHBOARD)                                                      \
    X(SESSION_ID, 26, "session_id", MSG_IN_SWITCHBOARD)                                            \
    X(FALLBACK_ON_REFUSAL, 27, "fallback_on_refusal", MSG_IN_SWITCHBOARD)                          \
    X(EXPLAIN, 28, "explain", MSG_IN_SWITCHBOARD)                                                  \
    X(ALLOWED_MODELS, 29, "allowed_models", MSG_IN_POLICY)                                         \
    X(AUDIT, 30, "audit", MSG_IN_POLICY)                                                           \
    X(CHARGE_OWN_KEYS, 31, "charge_own_keys", MSG_IN_POLICY)                                       \
    X(AUDIT_PERSONAL, 32, "audit_personal", MSG_IN_POLICY)                                         \
    X(RECEIPTS, 33, "receipts", MSG_IN_POLICY)

/* Which object a member belongs to; a policy takes all of them. */
enum { MSG_IN_PROVIDER = 1, MSG_IN_SWITCHBOARD = 2, MSG_IN_POLICY = 4 };

enum msg_rule {
#define X(name, number, text, schemas) MSG_RULE_##name = (number),
    MSG_RULE_MAP(X) MSG_RULE_COUNT
#undef X
};

#define MSG_RULE_BIT(name) (UINT64_C(1) << MSG_RULE_##name)

/* "max_price"; a static string. */
const char *msg_rule_name(int rule);

enum msg_sort {
    MSG_SORT_NONE,
    MSG_SORT_PRICE,
    MSG_SORT_THROUGHPUT,
    MSG_SORT_LATENCY,
    MSG_SORT_EXACTO, /* accepted with a warning, sorts nothing */
};

enum msg_byok { MSG_BYOK_FIRST, MSG_BYOK_LAST, MSG_BYOK_ONLY, MSG_BYOK_NEVER };

/* Provider slugs, tags or patterns, as written. */
struct msg_names {
    const struct sb_slice *name;
    uint32_t n; /* at most MSG_LIST_MAX */
};

/* One limit for each percentile of a row of the tables, in its unit:
 * milliseconds, or 1/1000 token per second; MSG_NO_DATA where none is set. */
struct msg_cutoffs {
    uint32_t at[MSG_PERCENTILES];
};

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): in the order of the page */
struct msg_rules {
    uint64_t said; /* MSG_RULE_BIT of the members that are there and not null */

    struct msg_names order, only, ignore;
    bool allow_fallbacks;      /* unsaid: true */
    bool require_parameters;   /* unsaid: false, as all below */
    bool deny_data_collection; /* data_collection: "deny" */
    bool zdr, distillable;     /* false says nothing either */
    uint32_t quantizations;    /* bits 1 << enum msg_quantization, families included */
    enum msg_sort sort;        /* unsaid: MSG_SORT_NONE */
    bool sort_across_models;   /* partition: "none" */
    struct msg_cutoffs preferred_min_throughput, preferred_max_latency;
    sb_money max_price[MSG_PRICE_COUNT]; /* per token, request or piece; -1 no limit */

    bool residency_eu; /* residency: "eu"; else the list */
    struct msg_countries residency;
    bool has_operator_allow; /* operator_countries has `allow` */
    struct msg_countries operator_allow, operator_deny;
    struct msg_cutoffs min_throughput, max_latency;
    bool unknown_ok;
    sb_money max_cost;   /* -1 no limit */
    struct sb_slice pin; /* a tag */
    bool strict;
    uint32_t first_token_timeout, attempt_timeout, deadline; /* milliseconds; 0 unsaid */
    enum msg_byok byok;                                      /* unsaid: MSG_BYOK_FIRST */
    bool spill;                                              /* unsaid: true */
    struct sb_slice session_id;
    bool fallback_on_refusal;
    bool explain;

    struct msg_names allowed_models; /* patterns: '*' stands for any run of characters */
    bool audit_sync;                 /* audit: "sync" */
    bool charge_own_keys;            /* what own keys cost counts like what the house's cost */
    bool audit_personal_plain;       /* audit_personal: "plain"; unsaid: "hashed" */
    bool receipts;                   /* every answer promises one */
};

static inline bool msg_rules_say(const struct msg_rules *rules, enum msg_rule rule)
{
    return (rules->said >> rule & 1) != 0;
}

enum { MSG_SESSION_ID_MAX = 256 /* characters */, MSG_TIMEOUT_MS_MAX = 86400000 };

enum { MSG_PROBLEM_PATH = 96, MSG_PROBLEM_TEXT = 640 };

/* What is wrong and where, for a person: "sort", "\"cheap\" is not one of
 * price, throughput, latency, exacto". */
struct msg_problem {
    char path[MSG_PROBLEM_PATH]; /* from the object's own name on: "provider.sort",
                                    "switchboard.residency[1]"; of a policy without a name
                                    in front: "max_price.prompt" */
    char text[MSG_PROBLEM_TEXT];
};

/* The caller's array; problems beyond max are counted only. */
struct msg_report {
    struct msg_problem *problem;
    uint32_t max, n;
};

/* Nothing said. */
void msg_rules_init(struct msg_rules *rules);

/* Reads the members of one object into rules.  schemas: MSG_IN_PROVIDER,
 * MSG_IN_SWITCHBOARD, or MSG_IN_POLICY for all.  text: one JSON value, which
 * must outlive rules; null says nothing.  Errors: SB_EINVAL when anything is
 * not as it must be: a member that is not known, comes twice, is of another
 * type or has a value that is not allowed; report then names every problem
 * (NULL: not wanted), and rules is not to be used; SB_EPARSE for what is not
 * JSON, likewise. */
int msg_rules_read(struct msg_rules *rules, int schemas, struct sb_slice text,
                   struct sb_arena *arena, struct msg_report *report) SB_MUSTCHECK;

/* Whether a pattern of allowed_models covers a model id; '*' stands for any
 * run of characters, all others for themselves. */
bool msg_pattern_matches(struct sb_slice pattern, struct sb_slice model);
