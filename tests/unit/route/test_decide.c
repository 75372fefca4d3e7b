/* tests/unit/route/test_decide.c - what must hold for every catalogue and every
 * request.  Random ones (fixed seeds) are judged by a second, naive reading of
 * the page: one endpoint and one rule at a time, straight from the rows. */
#include "dataplane/route/decide.h"

#include "proto/country.h"
#include "tests/lib/random.h"
#include "tests/lib/route_ask.h"

enum { CATALOGUES = 150, REQUESTS = 40, RULES_MAX = 6, TEXT_MAX = 65536 };

/* --- random catalogues ------------------------------------------------------------- */

static const char *pick(uint64_t *seed, const char *const *words, size_t n)
{
    return words[random_below(seed, n)];
}
#define PICK(seed, ...)                                                                            \
    pick(seed, (const char *const[]){__VA_ARGS__},                                                 \
         sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static void add(char *text, const char *fmt, ...) SB_PRINTF(2, 3);

static void add(char *text, const char *fmt, ...)
{
    size_t n = strlen(text);
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text + n, TEXT_MAX - n, fmt, args);
    va_end(args);
}

static void add_endpoint(char *text, uint64_t *seed, unsigned number)
{
    add(text,
        "%s{'tag': 'p%u/t%u', 'model': 'm/%s', 'price': [%u, %u], 'region': '%s',"
        " 'eu_resident': '%s', 'zdr': '%s', 'no_training': '%s', 'quantization': '%s',"
        " 'context': %u, 'max_completion': %u, 'in': ['text'%s], 'without': [%s]}",
        number > 0 ? "," : "", (unsigned)random_below(seed, 5), number, PICK(seed, "a", "a", "b"),
        (unsigned)random_below(seed, 5), (unsigned)random_below(seed, 9),
        PICK(seed, "DE", "FR", "US", "eu", "global", "", "CH"),
        PICK(seed, "yes", "yes", "no", "unknown", "expired"),
        PICK(seed, "yes", "no", "unknown", "unproven", "last day"),
        PICK(seed, "yes", "no", "unknown", "expired"),
        PICK(seed, "fp8", "mxfp8", "bf16", "unknown"), 200U << random_below(seed, 6),
        100U * (unsigned)random_below(seed, 4), PICK(seed, "", ", 'image'"),
        PICK(seed, "", "'seed'", "'tools'", "'seed', 'verbosity'"));
}

static struct world *random_world(uint64_t *seed, const char *policy)
{
    static char text[TEXT_MAX];
    unsigned n = 1 + (unsigned)random_below(seed, 24);

    text[0] = '\0';
    add(text, "{'models': {'m/a': {'distillable': '%s'}, 'm/b': {'distillable': '%s'}},",
        PICK(seed, "yes", "no"), PICK(seed, "yes", "unknown"));
    add(text, "'providers': {");
    for (unsigned p = 0; p < 5; p++)
        add(text, "%s'p%u': {'headquarters': '%s', 'own': %s, 'house': %s}", p > 0 ? "," : "", p,
            PICK(seed, "DE", "US", "CN", ""), PICK(seed, "0", "0", "1", "2"),
            PICK(seed, "1", "1", "0"));
    add(text, "}, %s%s%s 'endpoints': [", policy != NULL ? "'policy': {" : "",
        policy != NULL ? policy : "", policy != NULL ? "}," : "");
    for (unsigned i = 0; i < n; i++)
        add_endpoint(text, seed, i);
    add(text, "]}");
    return world_new(text);
}

/* Some endpoints get measured values, some an outage. */
static void random_tables(struct world *world, uint64_t *seed)
{
    struct msg_table_row rows[32];
    struct msg_tables message = {
        .epoch = 1, .term = 1, .sequence = 2, .complete = true, .rows = rows};

    for (size_t i = 0; i < world->records.n_endpoints && i < 32; i++) {
        struct msg_table_row *row = &rows[message.n_rows];

        if (random_below(seed, 3) == 0)
            continue;
        *row = (struct msg_table_row){.endpoint = world->endpoints[i].id, .samples = 10};
        row->outage = random_below(seed, 5) == 0;
        for (unsigned p = 0; p < MSG_PERCENTILES; p++) {
            row->throughput[p] = (uint32_t)random_below(seed, 100) * 1000;
            row->first_token[p] = (uint32_t)random_below(seed, 5000);
        }
        message.n_rows++;
    }
    assert_int_equal(dp_tables_apply(world->tables, &message, WORLD_NOW), SB_OK);
}

/* --- random rules, and their naive meaning --------------------------------------------- */

enum kind {
    ZDR,
    DENY,
    DISTILLABLE,
    ONLY,
    IGNORE,
    CLOSED_ORDER,
    MAX_PRICE,
    QUANTIZATIONS,
    RESIDENCY_EU,
    RESIDENCY_LIST,
    OPERATOR_ALLOW,
    OPERATOR_DENY,
    MIN_THROUGHPUT,
    MAX_LATENCY,
    MAX_COST,
    PIN,
    BYOK_ONLY,
    BYOK_NEVER,
    REQUIRE_PARAMETERS,
    KINDS
};

struct rule {
    enum kind kind;
    unsigned a, b; /* what they mean depends on the kind */
};

/* Writes the member; true: it belongs to switchboard. */
static bool write_rule(char *text, struct rule rule)
{
    switch (rule.kind) {
    case ZDR:
        add(text, "'zdr': true");
        return false;
    case DENY:
        add(text, "'data_collection': 'deny'");
        return false;
    case DISTILLABLE:
        add(text, "'enforce_distillable_text': true");
        return false;
    case ONLY:
        add(text, "'only': ['p%u', 'P%u/T%u']", rule.a % 5, rule.b % 5, rule.b % 24);
        return false;
    case IGNORE:
        add(text, "'ignore': ['p%u', 'p%u/t%u']", rule.a % 5, rule.b % 5, rule.b % 24);
        return false;
    case CLOSED_ORDER:
        add(text, "'order': ['p%u', 'p%u'], 'allow_fallbacks': false", rule.a % 5, rule.b % 5);
        return false;
    case MAX_PRICE:
        add(text, "'max_price': {'prompt': %u, 'completion': '%u'}", rule.a % 5, rule.b % 9);
        return false;
    case QUANTIZATIONS:
        add(text, "'quantizations': ['%s', 'bf16']", rule.a % 2 == 0 ? "fp8" : "unknown");
        return false;
    case REQUIRE_PARAMETERS:
        add(text, "'require_parameters': true");
        return false;
    case RESIDENCY_EU:
        add(text, "'residency': 'eu'");
        return true;
    case RESIDENCY_LIST:
        add(text, "'residency': ['DE', '%s']", rule.a % 2 == 0 ? "US" : "CH");
        return true;
    case OPERATOR_ALLOW:
        add(text, "'operator_countries': {'allow': ['DE', '%s']}", rule.a % 2 == 0 ? "US" : "FR");
        return true;
    case OPERATOR_DENY:
        add(text, "'operator_countries': {'deny': ['CN', '%s']}", rule.a % 2 == 0 ? "US" : "FR");
        return true;
    case MIN_THROUGHPUT:
        add(text, "'min_throughput': {'p50': %u, 'p99': %u}", rule.a % 60, rule.b % 60);
        return true;
    case MAX_LATENCY:
        add(text, "'max_latency': {'p75': %u.%03u}, 'unknown_ok': true", rule.a % 5, rule.b % 1000);
        return true;
    case MAX_COST:
        add(text, "'max_cost': 0.00%u", 1 + rule.a % 9);
        return true;
    case PIN:
        add(text, "'pin': 'p%u/t%u'", rule.a % 5, rule.b % 24);
        return true;
    case BYOK_ONLY:
        add(text, "'byok': 'only'");
        return true;
    case BYOK_NEVER:
        add(text, "'byok': 'never'");
        return true;
    case KINDS:
        break;
    }
    return false;
}

static bool holds(const struct msg_claim *claim)
{
    return claim->value == MSG_TRI_YES && claim->evidence.n > 0 &&
           (claim->expires_on == 0 || claim->expires_on >= WORLD_TODAY);
}

static bool is_named(const struct msg_endpoint *row, unsigned provider)
{
    return row->tag.p[1] == (char)('0' + provider % 5);
}

static bool is_tag(const struct msg_endpoint *row, unsigned provider, unsigned number)
{
    char tag[32];

    (void)snprintf(tag, sizeof(tag), "p%u/t%u", provider % 5, number % 24);
    return sb_slice_is(row->tag, tag);
}

static bool is_in(struct sb_slice code, const char *a, const char *b)
{
    return sb_slice_is(code, a) || sb_slice_is(code, b);
}

static bool has_own_key(const struct world *world, const struct msg_endpoint *row)
{
    for (size_t i = 0; i < world->records.n_credentials; i++) {
        if (world->credentials[i].provider == row->provider && world->credentials[i].tenant == 0)
            return true;
    }
    return false;
}

static bool has_house_key(const struct world *world, const struct msg_endpoint *row)
{
    bool any = false;

    for (size_t i = 0; i < world->records.n_credentials; i++) {
        if (world->credentials[i].provider != row->provider)
            continue;
        any = true;
        if (world->credentials[i].tenant == MSG_NONE)
            return true;
    }
    return !any; /* wants none */
}

/* Of a request with `messages` of `bytes`, max_tokens 50 and n 2. */
static bool costs_at_most(const struct msg_endpoint *row, unsigned bytes, int64_t limit)
{
    return row->price[0] * (int64_t)((bytes + 1) / 2) + row->price[1] * 100 <= limit;
}

static bool keeps(const struct world *world, const struct msg_endpoint *row, struct rule rule)
{
    const struct dp_row *measured = dp_tables_find_id(world->tables, row->id);
    struct sb_slice hq = world->providers[row->provider].headquarters;
    const struct msg_claim *eu = &row->claim[MSG_CLAIM_EU_RESIDENT];
    struct msg_claim no_eu = *eu;

    no_eu.value = (uint8_t)(eu->value == MSG_TRI_NO ? MSG_TRI_YES : MSG_TRI_NO);
    switch (rule.kind) {
    case ZDR:
        return holds(&row->claim[MSG_CLAIM_ZDR]);
    case DENY:
        return holds(&row->claim[MSG_CLAIM_NO_TRAINING]);
    case DISTILLABLE:
        return holds(&world->models[row->model].distillable);
    case ONLY:
        return is_named(row, rule.a) || is_tag(row, rule.b, rule.b);
    case IGNORE:
        return !is_named(row, rule.a) && !is_tag(row, rule.b, rule.b);
    case CLOSED_ORDER:
        return is_named(row, rule.a) || is_named(row, rule.b);
    case MAX_PRICE:
        return row->price[0] <= (int64_t)(rule.a % 5) * 1000000000 &&
               row->price[1] <= (int64_t)(rule.b % 9) * 1000000000;
    case QUANTIZATIONS:
        return row->quantization == MSG_QUANTIZATION_BF16 ||
               (rule.a % 2 == 0 ? row->quantization == MSG_QUANTIZATION_FP8 ||
                                      row->quantization == MSG_QUANTIZATION_MXFP8
                                : row->quantization == MSG_QUANTIZATION_UNKNOWN);
    case RESIDENCY_EU:
        return holds(eu) && (is_in(row->region, "DE", "FR") || sb_slice_is(row->region, "eu"));
    case RESIDENCY_LIST:
        return sb_slice_is(row->region, "DE")
                   ? holds(eu)
                   : sb_slice_is(row->region, rule.a % 2 == 0 ? "US" : "CH") && holds(&no_eu);
    case OPERATOR_ALLOW:
        return is_in(hq, "DE", rule.a % 2 == 0 ? "US" : "FR");
    case OPERATOR_DENY:
        return !is_in(hq, "CN", rule.a % 2 == 0 ? "US" : "FR");
    case MIN_THROUGHPUT:
        return measured != NULL && measured->throughput[0] >= rule.a % 60 * 1000 &&
               measured->throughput[3] >= rule.b % 60 * 1000;
    case MAX_LATENCY:
        return measured == NULL || measured->first_token[1] <= rule.a % 5 * 1000 + rule.b % 1000;
    case MAX_COST:
        return costs_at_most(row, 400, (1 + rule.a % 9) * SB_MONEY_USD / 1000);
    case PIN:
        return is_tag(row, rule.a, rule.b);
    case BYOK_ONLY:
        return has_own_key(world, row);
    case BYOK_NEVER:
        return has_house_key(world, row);
    case REQUIRE_PARAMETERS:
        return (row->parameters >> MSG_PARAMETER_SEED & 1) != 0;
    case KINDS:
        break;
    }
    return false;
}

/* What no rule has to say: the body has 400 bytes of text, an image perhaps,
 * seed 1, max_tokens 50, n 2. */
static bool keeps_always(const struct world *world, const struct msg_endpoint *row, bool image)
{
    return 400 <= 8 * row->context_length &&
           (row->max_completion_tokens == 0 || row->max_completion_tokens >= 50) &&
           (!image || (row->input_modalities >> MSG_MODALITY_IMAGE & 1) != 0) &&
           (has_own_key(world, row) || has_house_key(world, row));
}

/* --- requests ---------------------------------------------------------------------------- */

struct request {
    struct rule rule[RULES_MAX];
    unsigned n;
    bool image;
};

/* Members of provider, of switchboard, or both in one for a policy. */
static void write_rules(char *text, const struct request *request, int schema)
{
    bool filled = false;

    for (unsigned i = 0; i < request->n; i++) {
        char member[512] = "";
        bool switchboard = write_rule(member, request->rule[i]);

        if (schema != MSG_IN_POLICY && switchboard != (schema == MSG_IN_SWITCHBOARD))
            continue;
        add(text, "%s%s", filled ? ", " : "", member);
        filled = true;
    }
}

static struct request random_request(uint64_t *seed)
{
    struct request request = {.n = (unsigned)random_below(seed, 4),
                              .image = random_below(seed, 4) == 0};

    for (unsigned i = 0; i < request.n; i++) {
        bool again;

        do { /* no member twice */
            request.rule[i] = (struct rule){.kind = (enum kind)random_below(seed, KINDS),
                                            .a = (unsigned)random_below(seed, 10000),
                                            .b = (unsigned)random_below(seed, 10000)};
            again = false;
            for (unsigned k = 0; k < i; k++) {
                enum kind x = request.rule[k].kind, y = request.rule[i].kind;

                again |= x == y || (x == RESIDENCY_EU && y == RESIDENCY_LIST) ||
                         (y == RESIDENCY_EU && x == RESIDENCY_LIST) ||
                         (x == OPERATOR_ALLOW && y == OPERATOR_DENY) ||
                         (y == OPERATOR_ALLOW && x == OPERATOR_DENY) ||
                         (x == BYOK_ONLY && y == BYOK_NEVER) ||
                         (y == BYOK_ONLY && x == BYOK_NEVER) ||
                         /* its unknown_ok would reach the other's limit */
                         (x == MIN_THROUGHPUT && y == MAX_LATENCY) ||
                         (y == MIN_THROUGHPUT && x == MAX_LATENCY);
            }
        } while (again);
    }
    return request;
}

static bool has_rule(const struct request *request, enum kind kind)
{
    for (unsigned i = 0; i < request->n; i++) {
        if (request->rule[i].kind == kind)
            return true;
    }
    return false;
}

static void ask_with(struct ask *ask, const struct request *request, const char *soft)
{
    static char text[TEXT_MAX];

    text[0] = '\0';
    add(text,
        "'model': 'm/a', 'models': ['m/b'], 'seed': 1, 'max_tokens': 50, 'n': 2, 'provider': {");
    write_rules(text, request, MSG_IN_PROVIDER);
    if (soft != NULL)
        add(text, "%s%s", text[strlen(text) - 1] == '{' ? "" : ", ", soft);
    add(text, "}, 'switchboard': {");
    write_rules(text, request, MSG_IN_SWITCHBOARD);
    add(text,
        "}, 'messages': [{'role': 'user', 'content': [%s{'type': 'text', 'text': '%0400d'}]}]",
        request->image ? "{'type': 'image_url'}," : "", 0);
    (void)ask_for(ask, text);
    if (ask->rc != SB_OK && ask->rc != SB_ENOENT)
        fail_msg("%s: %s", ask->err.text, text);
}

/* Bit i: endpoint i is a candidate. */
static uint64_t chosen(const struct ask *ask)
{
    uint64_t set = 0;

    for (uint32_t i = 0; ask->rc == SB_OK && i < ask->decision.n; i++)
        set |= UINT64_C(1) << ask->decision.candidates[i].endpoint->number;
    return set;
}

static uint64_t naively_chosen(const struct world *world, const struct request *request)
{
    uint64_t set = 0;

    for (size_t i = 0; i < world->records.n_endpoints; i++) {
        bool in = keeps_always(world, &world->endpoints[i], request->image);

        for (unsigned r = 0; r < request->n; r++)
            in = in && keeps(world, &world->endpoints[i], request->rule[r]);
        if (in)
            set |= UINT64_C(1) << i;
    }
    return set;
}

/* --- properties ------------------------------------------------------------------------------ */

static void candidates_are_exactly_those_that_keep_every_hard_rule(void **state)
{
    uint64_t seed = 11;
    unsigned some = 0, none = 0;

    (void)state;
    for (int c = 0; c < CATALOGUES; c++) {
        struct world *world = random_world(&seed, NULL);
        struct ask *ask = ask_new(world);

        random_tables(world, &seed);
        ask->rank_all = true;
        for (int r = 0; r < REQUESTS; r++) {
            struct request request = random_request(&seed);
            uint64_t naive = naively_chosen(world, &request);

            ask_with(ask, &request, NULL);
            if (chosen(ask) != naive)
                fail_msg("%llx instead of %llx: %.*s", (unsigned long long)chosen(ask),
                         (unsigned long long)naive, SB_SLICE_ARGS(sb_buf_slice(&ask->body)));
            some += naive != 0;
            none += naive == 0;
        }
        ask_free(&ask);
        world_free(&world);
    }
    assert_true(some > 1000 && none > 500); /* both happened */
}

static void soft_preferences_change_no_set(void **state)
{
    static const char *const soft[] = {
        "'sort': 'price'",
        "'sort': {'by': 'throughput', 'partition': 'none'}",
        "'preferred_min_throughput': 70",
        "'preferred_max_latency': {'p50': 0.001, 'p99': 0.002}, 'sort': 'latency'",
        "'order': ['p1', 'p0/t3', 'p4'], 'preferred_max_latency': 0.5",
    };
    uint64_t seed = 22;

    (void)state;
    for (int c = 0; c < CATALOGUES; c++) {
        struct world *world = random_world(&seed, NULL);
        struct ask *ask = ask_new(world);

        random_tables(world, &seed);
        ask->rank_all = true;
        for (int r = 0; r < REQUESTS / 4; r++) {
            struct request request = random_request(&seed);
            uint64_t set;

            ask_with(ask, &request, NULL);
            set = chosen(ask);
            for (size_t s = 0; s < sizeof(soft) / sizeof(soft[0]); s++) {
                if (strstr(soft[s], "order") != NULL && has_rule(&request, CLOSED_ORDER))
                    continue; /* an order of its own */
                ask_with(ask, &request, soft[s]);
                assert_int_equal(chosen(ask), set);
            }
        }
        ask_free(&ask);
        world_free(&world);
    }
}

/* What policy and request allow together is what each of them allows. */
static void tightening_never_adds_an_endpoint(void **state)
{
    uint64_t seed = 33;
    unsigned less = 0;

    (void)state;
    for (int c = 0; c < CATALOGUES * 4; c++) {
        struct request policy = random_request(&seed), nothing = {.n = 0};
        static char text[TEXT_MAX];
        uint64_t same = seed;
        struct world *limited, *open;
        struct ask *asks[2];

        text[0] = '\0';
        write_rules(text, &policy, MSG_IN_POLICY);
        limited = random_world(&seed, text);
        open = random_world(&same, NULL); /* the same catalogue */
        assert_int_equal(seed, same);
        random_tables(limited, &seed);
        random_tables(open, &same);
        asks[0] = ask_new(limited);
        asks[1] = ask_new(open);
        asks[0]->rank_all = asks[1]->rank_all = true;
        for (int r = 0; r < 10; r++) {
            struct request request = random_request(&seed);
            uint64_t by_policy, by_request, by_both;

            nothing.image = request.image;
            ask_with(asks[0], &nothing, NULL);
            by_policy = chosen(asks[0]);
            ask_with(asks[1], &request, NULL);
            by_request = chosen(asks[1]);
            ask_with(asks[0], &request, NULL);
            by_both = chosen(asks[0]);
            /* byok only and never are both kept by pairs that do not exist */
            assert_int_equal(by_both & ~(by_policy & by_request), 0);
            less += by_both != by_request && by_both != 0;
        }
        for (int i = 0; i < 2; i++)
            ask_free(&asks[i]);
        world_free(&limited);
        world_free(&open);
    }
    assert_true(less > 200);
}

static void the_same_inputs_give_the_same_order(void **state)
{
    uint64_t seed = 44;

    (void)state;
    for (int c = 0; c < CATALOGUES; c++) {
        struct world *world = random_world(&seed, NULL);
        struct ask *asks[2] = {ask_new(world), ask_new(world)};

        random_tables(world, &seed);
        for (int r = 0; r < REQUESTS / 4; r++) {
            struct request request = random_request(&seed);

            asks[0]->random = asks[1]->random = random_next(&seed);
            for (int i = 0; i < 2; i++)
                ask_with(asks[i], &request, NULL);
            assert_string_equal(ask_order(asks[0]), ask_order(asks[1]));
        }
        for (int i = 0; i < 2; i++)
            ask_free(&asks[i]);
        world_free(&world);
    }
}

/* Without an endpoint the sequence is what it was, without it: whatever draws
 * and conversations are worth rests on that. */
static void an_endpoint_that_leaves_moves_nobody_else(void **state)
{
    uint64_t seed = 66;
    unsigned left = 0;

    (void)state;
    for (int c = 0; c < CATALOGUES; c++) {
        struct world *world = random_world(&seed, NULL);
        struct ask *with = ask_new(world), *without = ask_new(world);

        random_tables(world, &seed);
        with->rank_all = without->rank_all = true;
        for (int r = 0; r < REQUESTS / 4; r++) {
            struct request request = random_request(&seed);
            const struct dp_endpoint *gone;
            char ignore[64];
            uint32_t at = 0;

            if (has_rule(&request, IGNORE))
                continue;
            with->random = without->random = random_next(&seed);
            with->session = without->session =
                r % 2 == 0 ? SB_SLICE_LIT("conversation") : SB_SLICE_NONE;
            ask_with(with, &request, NULL);
            if (with->rc != SB_OK)
                continue;
            gone = with->decision.candidates[random_below(&seed, with->decision.n)].endpoint;
            (void)snprintf(ignore, sizeof(ignore), "'ignore': ['%.*s']",
                           SB_SLICE_ARGS(gone->row->tag));
            ask_with(without, &request, ignore);
            for (uint32_t i = 0; i < with->decision.n; i++) {
                const struct dp_candidate *was = &with->decision.candidates[i];

                if (was->endpoint == gone)
                    continue;
                assert_int_equal(without->rc, SB_OK);
                assert_true(at < without->decision.n);
                assert_ptr_equal(without->decision.candidates[at].endpoint, was->endpoint);
                assert_ptr_equal(without->decision.candidates[at++].credential, was->credential);
            }
            if (without->rc == SB_OK)
                assert_int_equal(at, without->decision.n);
            left += at > 0;
        }
        ask_free(&with);
        ask_free(&without);
        world_free(&world);
    }
    assert_true(left > 300);
}

/* What is kept while ranking is what sorting everything would have kept. */
static void the_kept_ones_are_the_best_of_all(void **state)
{
    static const char *const soft[] = {NULL, "'sort': 'price'", "'preferred_min_throughput': 50",
                                       "'order': ['p1', 'p0']"};
    uint64_t seed = 55;
    unsigned cut = 0;

    (void)state;
    for (int c = 0; c < CATALOGUES; c++) {
        struct world *world = random_world(&seed, NULL);
        struct ask *few = ask_new(world), *all = ask_new(world);

        random_tables(world, &seed);
        all->rank_all = true;
        for (int r = 0; r < REQUESTS / 2; r++) {
            struct request request = random_request(&seed);
            unsigned entries[2] = {0};
            uint32_t at = 0;

            for (unsigned i = 0; i < request.n; i++) /* comes as a soft member too */
                request.rule[i].kind =
                    request.rule[i].kind == CLOSED_ORDER ? ZDR : request.rule[i].kind;
            if (request.n > 1)
                request.n = 1;
            few->random = all->random = random_next(&seed);
            ask_with(few, &request, soft[r % 4]);
            ask_with(all, &request, soft[r % 4]);
            assert_int_equal(few->rc, all->rc);
            for (uint32_t i = 0; few->rc == SB_OK && i < all->decision.n; i++) {
                const struct dp_candidate *full = &all->decision.candidates[i];
                const struct dp_candidate *kept = &few->decision.candidates[at];
                bool first_key =
                    i == 0 || full[-1].endpoint != full->endpoint || full[-1].kind != full->kind;

                if (at < few->decision.n && kept->endpoint == full->endpoint &&
                    kept->credential == full->credential)
                    at++;
                else if (entries[full->model] < DP_ATTEMPTS_MAX && first_key)
                    fail_msg("%.*s was left out", SB_SLICE_ARGS(full->endpoint->row->tag));
                else
                    cut++;
                entries[full->model] += first_key;
            }
            if (few->rc == SB_OK)
                assert_int_equal(at, few->decision.n);
        }
        ask_free(&few);
        ask_free(&all);
        world_free(&world);
    }
    assert_true(cut > 100);
}

/* --- small things ------------------------------------------------------------------------------
 */

static void used_up_models_are_passed_over(void **state)
{
    struct world *world = world_new(
        "{'endpoints': [{'tag': 'a', 'price': 1}, {'tag': 'b', 'price': 2},"
        " {'tag': 'c', 'model': 'm/b', 'price': 1}, {'tag': 'd', 'model': 'm/c', 'price': 1}]}");
    struct ask *ask = ask_new(world);
    const struct dp_decision *decision = &ask->decision;

    (void)state;
    assert_int_equal(ask_for(ask, "'models': ['m/a:floor', 'm/b', 'm/c'], 'model': null"), SB_OK);
    assert_string_equal(ask_order(ask), "a b c d");
    assert_int_equal(dp_decision_next(decision, 0, 0), 0);
    assert_int_equal(dp_decision_next(decision, 1, 1), 2);
    assert_int_equal(dp_decision_next(decision, 0, 3), 3);
    assert_int_equal(dp_decision_next(decision, 0, 7), 4);
    assert_int_equal(dp_decision_models_left(decision, 0, 0), 3);
    assert_int_equal(dp_decision_models_left(decision, 1, 1), 2);
    assert_int_equal(dp_decision_models_left(decision, 4, 0), 0);
    ask_free(&ask);
    world_free(&world);
}

static void a_limit_goes_by_the_name_that_the_endpoint_knows(void **state)
{
    struct world *world =
        world_new("{'endpoints': [{'tag': 'both'}, {'tag': 'new', 'without': ['max_tokens']},"
                  " {'tag': 'old', 'without': ['max_completion_tokens']}]}");
    struct ask *ask = ask_new(world);
    const struct dp_endpoint *endpoint = world->snap->endpoints; /* by tag */

    (void)state;
    assert_int_equal(ask_for(ask, "'max_tokens': 5"), SB_OK);
    assert_null(dp_limit_member(&endpoint[0], &ask->requirements));
    assert_string_equal(dp_limit_member(&endpoint[1], &ask->requirements), "max_completion_tokens");
    assert_null(dp_limit_member(&endpoint[2], &ask->requirements));
    assert_int_equal(ask_for(ask, "'max_completion_tokens': 5"), SB_OK);
    assert_null(dp_limit_member(&endpoint[1], &ask->requirements));
    assert_string_equal(dp_limit_member(&endpoint[2], &ask->requirements), "max_tokens");
    assert_int_equal(ask_for(ask, ""), SB_OK);
    assert_null(dp_limit_member(&endpoint[2], &ask->requirements));
    ask_free(&ask);
    world_free(&world);
}

static void the_plan_tells_timeouts_claims_and_permissions(void **state)
{
    struct world *world = world_new(
        "{'endpoints': [{'tag': 'a', 'region': 'DE', 'eu_resident': 'yes', 'zdr': 'yes'}],"
        " 'policy': {'deadline_ms': 5000, 'attempt_timeout_ms': 700, 'zdr': true,"
        "            'fallback_on_refusal': true, 'audit': 'sync'}}");
    struct ask *ask = ask_new(world);
    const struct dp_plan *plan = &ask->decision.plan;

    (void)state;
    assert_int_equal(ask_for(ask,
                             "'switchboard': {'deadline_ms': 9000, 'first_token_timeout_ms': 10,"
                             " 'residency': ['FR', 'DE'], 'spill': false, 'explain': true}"),
                     SB_OK);
    assert_int_equal(plan->deadline, 5000);
    assert_int_equal(plan->attempt_timeout, 700);
    assert_int_equal(plan->first_token_timeout, 10);
    assert_int_equal(plan->demanded, 1 << MSG_CLAIM_ZDR | 1 << MSG_CLAIM_EU_RESIDENT);
    assert_true(sb_slice_is(dp_plan_residency(plan, ask->arena), "DE,FR"));
    assert_true(plan->fallback_on_refusal && plan->explain && plan->audit_sync);
    assert_false(plan->spill);
    assert_int_equal(ask_for(ask, "'switchboard': {'fallback_on_refusal': false}"), SB_OK);
    assert_false(plan->fallback_on_refusal);
    assert_true(plan->spill);
    assert_int_equal(dp_plan_residency(plan, ask->arena).n, 0);
    ask->key = world->other_key;
    assert_int_equal(ask_for(ask, "'switchboard': {'residency': 'eu'}"), SB_OK);
    assert_true(sb_slice_is(dp_plan_residency(plan, ask->arena), "eu"));
    assert_false(plan->fallback_on_refusal);
    ask_free(&ask);
    world_free(&world);
}

static void what_the_policy_forbids_no_request_allows(void **state)
{
    struct world *world = world_new("{'endpoints': [{'tag': 'a'}],"
                                    " 'policy': {'spill': false, 'fallback_on_refusal': false,"
                                    "            'first_token_timeout_ms': 100, 'strict': true,"
                                    "            'charge_own_keys': true}}");
    struct ask *ask = ask_new(world);
    const struct dp_plan *plan = &ask->decision.plan;

    (void)state;
    assert_int_equal(ask_for(ask, "'switchboard': {'spill': true, 'fallback_on_refusal': true,"
                                  " 'first_token_timeout_ms': 900, 'strict': false}"),
                     SB_OK);
    assert_false(plan->spill);
    assert_false(plan->fallback_on_refusal);
    assert_int_equal(plan->first_token_timeout, 100);
    assert_true(plan->strict);
    assert_true(plan->charge_own_keys);
    ask->key = world->other_key;
    assert_int_equal(ask_for(ask, ""), SB_OK);
    assert_false(plan->charge_own_keys);
    ask_free(&ask);
    world_free(&world);
}

static void a_decision_takes_no_memory_but_its_arenas(void **state)
{
    uint64_t seed = 66;

    (void)state;
    for (int c = 0; c < 20; c++) {
        struct world *world = random_world(&seed, NULL);
        struct ask *ask = ask_new(world);
        struct request request = random_request(&seed);
        struct sb_arena *arena = sb_arena_new(65536);
        struct sb_errmsg err;

        random_tables(world, &seed);
        ask_with(ask, &request, "'sort': 'price'");
        sb_mem_fail_nth(1);
        assert_int_equal(dp_route_decide(&ask->route, arena, &ask->decision, &err), ask->rc);
        assert_null(sb_mem_try(1)); /* ours is the first */
        sb_mem_fail_nth(0);
        sb_arena_destroy(&arena);
        ask_free(&ask);
        world_free(&world);
    }
}

static void a_session_header_has_the_limit_of_the_member(void **state)
{
    struct world *world = world_new("{'endpoints': [{'tag': 'a'}]}");
    struct ask *ask = ask_new(world);
    char text[257];

    (void)state;
    memset(text, 'x', sizeof(text));
    ask->session = sb_slice_make(text, 256);
    assert_int_equal(ask_for(ask, ""), SB_OK);
    ask->session = sb_slice_make(text, 257);
    assert_int_equal(ask_for(ask, ""), SB_EINVAL);
    assert_string_equal(ask->err.text, "x-session-id: 257 characters; at most 256 are allowed");
    ask_free(&ask);
    world_free(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_decision_takes_no_memory_but_its_arenas),
        cmocka_unit_test(a_session_header_has_the_limit_of_the_member),
        cmocka_unit_test(candidates_are_exactly_those_that_keep_every_hard_rule),
        cmocka_unit_test(soft_preferences_change_no_set),
        cmocka_unit_test(tightening_never_adds_an_endpoint),
        cmocka_unit_test(the_same_inputs_give_the_same_order),
        cmocka_unit_test(an_endpoint_that_leaves_moves_nobody_else),
        cmocka_unit_test(the_kept_ones_are_the_best_of_all),
        cmocka_unit_test(used_up_models_are_passed_over),
        cmocka_unit_test(a_limit_goes_by_the_name_that_the_endpoint_knows),
        cmocka_unit_test(the_plan_tells_timeouts_claims_and_permissions),
        cmocka_unit_test(what_the_policy_forbids_no_request_allows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
