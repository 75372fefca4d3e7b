/* dataplane/breaker.c - see breaker.h for the contract and the state chart. */
#include "dataplane/breaker.h"

#include <stdint.h>

#include "common/check.h"
#include "common/mem.h"
#include "dataplane/route/index.h"

/* Our keys are two numbers that nobody outside chooses; uthash's own function
 * reads them byte by byte. */
#define HASH_FUNCTION(keyptr, keylen, hashv) ((hashv) = hash_pair(keyptr))
#define uthash_malloc(size)                  sb_mem_new(size)
#define uthash_free(p, size)                 sb_mem_free(p)
static unsigned hash_pair(const void *key);
#include <uthash.h>

enum {
    FAULTS_IN_A_ROW = 5,
    WINDOW = 10,            /* seconds, one bucket each */
    ATTEMPTS_TO_JUDGE = 20, /* in the window */
    PAUSE_MIN = 5000,       /* milliseconds */
    PAUSE_MAX = 60000,
    IDLE_LIFE = 60000,  /* after the last attempt, when there is nothing left to say */
    SWEEP_AT_ONCE = 64, /* pairs */
};

struct bucket {
    uint32_t second; /* which one these counts are of */
    uint32_t attempts, faults;
};

/* A pair of endpoint and credential. */
struct pair {
    struct pair_key {
        uint64_t endpoint, credential;
    } key;
    UT_hash_handle hh;
    enum dp_breaker_state state;
    uint32_t generation;    /* of ->state; tickets carry it */
    uint32_t in_flight;     /* attempts that were not reported yet */
    uint32_t faults_in_row; /* meaningful while CLOSED */
    bool on_trial;          /* closed by first content alone, and nothing has ended well since */
    sb_msec pause;          /* length of the current pause */
    sb_msec retry_at;       /* meaningful while OPEN */
    sb_msec cool_until;
    sb_msec used_at;
    struct bucket bucket[WINDOW];
};

struct dp_breakers {
    struct dp_health_source source; /* first: its callback casts back */
    const struct sb_clock *clock;   /* borrowed */
    struct pair *pairs;             /* by key */
    struct pair *sweep_at;          /* where the next sweep goes on, or NULL */
    size_t open;                    /* not CLOSED */
    size_t cooling;                 /* with a cooldown that nobody has seen end */
};

const char *dp_breaker_state_name(enum dp_breaker_state state)
{
    switch (state) {
    case DP_BREAKER_CLOSED:
        return "closed";
    case DP_BREAKER_OPEN:
        return "open";
    case DP_BREAKER_PROBING:
        return "probing";
    }
    return "unknown";
}

/* --- pairs ---------------------------------------------------------------------------- */

static unsigned hash_pair(const void *key)
{
    const struct pair_key *pair = key;

    return (unsigned)dp_mix(pair->endpoint ^ dp_mix(pair->credential));
}

/* NOLINTNEXTLINE(readability-function-size): uthash's macros are long */
static struct pair *find(const struct dp_breakers *breakers, uint64_t endpoint, uint64_t credential)
{
    struct pair_key key = {.endpoint = endpoint, .credential = credential};
    struct pair *pair;

    HASH_FIND(hh, breakers->pairs, &key, sizeof(key), pair);
    return pair;
}

/* NOLINTNEXTLINE(readability-function-size): uthash's macros are long */
static struct pair *find_or_add(struct dp_breakers *breakers, uint64_t endpoint,
                                uint64_t credential)
{
    struct pair *pair = find(breakers, endpoint, credential);

    if (pair == NULL) {
        pair = sb_mem_new(sizeof(*pair));
        pair->key = (struct pair_key){.endpoint = endpoint, .credential = credential};
        pair->state = DP_BREAKER_CLOSED;
        HASH_ADD(hh, breakers->pairs, key, sizeof(pair->key), pair);
    }
    pair->used_at = sb_clock_now(breakers->clock);
    return pair;
}

static void note_marks(struct dp_breakers *breakers)
{
    breakers->source.all_good = breakers->open == 0 && breakers->cooling == 0;
}

/* The only place that writes ->state. */
static void set_state(struct dp_breakers *breakers, struct pair *pair, enum dp_breaker_state next)
{
    static const bool legal[3][3] = {
        [DP_BREAKER_CLOSED] = {[DP_BREAKER_OPEN] = true},
        /* closed at once: an attempt that was made for want of anything else succeeded */
        [DP_BREAKER_OPEN] = {[DP_BREAKER_PROBING] = true, [DP_BREAKER_CLOSED] = true},
        [DP_BREAKER_PROBING] = {[DP_BREAKER_CLOSED] = true, [DP_BREAKER_OPEN] = true},
    };

    SB_BUG_ON(!legal[pair->state][next]);
    breakers->open += pair->state == DP_BREAKER_CLOSED;
    breakers->open -= next == DP_BREAKER_CLOSED;
    pair->state = next;
    pair->generation++;
    note_marks(breakers);
}

static void open_for(struct dp_breakers *breakers, struct pair *pair, sb_msec pause)
{
    set_state(breakers, pair, DP_BREAKER_OPEN);
    pair->pause = pause < PAUSE_MAX ? pause : PAUSE_MAX;
    pair->retry_at = sb_clock_now(breakers->clock) + pair->pause;
}

static void forget_counts(struct pair *pair)
{
    pair->faults_in_row = 0;
    memset(pair->bucket, 0, sizeof(pair->bucket));
}

/* --- life ------------------------------------------------------------------------------- */

static enum dp_health on_health(const struct dp_health_source *source, uint64_t endpoint,
                                uint64_t credential, sb_msec now)
{
    const struct dp_breakers *breakers = (const struct dp_breakers *)(const void *)source;
    const struct pair *pair = find(breakers, endpoint, credential);

    if (pair == NULL)
        return DP_HEALTH_GOOD;
    if (now < pair->cool_until)
        return DP_HEALTH_COOLDOWN;
    if (pair->state == DP_BREAKER_PROBING ||
        (pair->state == DP_BREAKER_OPEN && now < pair->retry_at))
        return DP_HEALTH_BREAKER;
    return DP_HEALTH_GOOD;
}

struct dp_breakers *dp_breakers_new(const struct sb_clock *clock)
{
    struct dp_breakers *breakers = sb_mem_new(sizeof(*breakers));

    breakers->source.health = on_health;
    breakers->clock = clock;
    note_marks(breakers);
    return breakers;
}

/* NOLINTNEXTLINE(readability-function-size): uthash's macros are long */
void dp_breakers_destroy(struct dp_breakers **breakers)
{
    struct pair *pair, *next;

    if (*breakers == NULL)
        return;
    HASH_ITER(hh, (*breakers)->pairs, pair, next)
    {
        HASH_DELETE(hh, (*breakers)->pairs, pair);
        sb_mem_free(pair);
    }
    sb_mem_free(*breakers);
    *breakers = NULL;
}

const struct dp_health_source *dp_breakers_health(const struct dp_breakers *breakers)
{
    return &breakers->source;
}

/* --- attempts ------------------------------------------------------------------------------ */

struct dp_breaker_ticket dp_breakers_begin(struct dp_breakers *breakers, uint64_t endpoint,
                                           uint64_t credential)
{
    struct pair *pair = find_or_add(breakers, endpoint, credential);
    bool probe = pair->state == DP_BREAKER_OPEN && pair->used_at >= pair->retry_at;

    if (probe)
        set_state(breakers, pair, DP_BREAKER_PROBING);
    pair->in_flight++;
    return (struct dp_breaker_ticket){
        .endpoint = endpoint,
        .credential = credential,
        .generation = pair->generation,
        .probe = probe,
    };
}

static void count(struct dp_breakers *breakers, struct pair *pair, bool fault)
{
    uint32_t second = (uint32_t)(sb_clock_now(breakers->clock) / 1000);
    struct bucket *bucket = &pair->bucket[second % WINDOW];

    if (bucket->second != second)
        *bucket = (struct bucket){.second = second};
    bucket->attempts++;
    bucket->faults += fault;
    pair->faults_in_row = fault ? pair->faults_in_row + 1 : 0;
}

static bool is_too_bad(const struct dp_breakers *breakers, const struct pair *pair)
{
    uint32_t second = (uint32_t)(sb_clock_now(breakers->clock) / 1000);
    uint32_t attempts = 0, faults = 0;

    if (pair->faults_in_row >= FAULTS_IN_A_ROW)
        return true;
    for (size_t i = 0; i < WINDOW; i++) {
        if (second - pair->bucket[i].second >= WINDOW)
            continue;
        attempts += pair->bucket[i].attempts;
        faults += pair->bucket[i].faults;
    }
    return attempts >= ATTEMPTS_TO_JUDGE && 2 * faults >= attempts;
}

static void close_it(struct dp_breakers *breakers, struct pair *pair, bool on_trial)
{
    forget_counts(pair);
    pair->on_trial = on_trial;
    set_state(breakers, pair, DP_BREAKER_CLOSED);
}

void dp_breakers_first_content(struct dp_breakers *breakers, struct dp_breaker_ticket *ticket)
{
    struct pair *pair = find(breakers, ticket->endpoint, ticket->credential);

    if (SB_NEVER(pair == NULL || pair->in_flight == 0))
        return; /* it was reported before */
    if (ticket->generation != pair->generation || pair->state == DP_BREAKER_CLOSED)
        return;
    close_it(breakers, pair, true);
    ticket->generation = pair->generation;
    ticket->probe = false;
    ticket->trial = true;
}

static bool report_probe(struct dp_breakers *breakers, struct pair *pair,
                         enum dp_breaker_verdict verdict)
{
    switch (verdict) {
    case DP_BREAKER_OK:
        close_it(breakers, pair, false);
        break;
    case DP_BREAKER_FAULT:
        open_for(breakers, pair, 2 * pair->pause);
        return true;
    case DP_BREAKER_NEITHER: /* the next request probes again, at once */
        set_state(breakers, pair, DP_BREAKER_OPEN);
        break;
    }
    return false;
}

bool dp_breakers_report(struct dp_breakers *breakers, const struct dp_breaker_ticket *ticket,
                        enum dp_breaker_verdict verdict)
{
    struct pair *pair = find(breakers, ticket->endpoint, ticket->credential);

    if (SB_NEVER(pair == NULL || pair->in_flight == 0))
        return false; /* a ticket reported twice */
    pair->in_flight--;
    if (ticket->generation != pair->generation)
        return false; /* it speaks of an earlier state */
    if (ticket->probe)
        return report_probe(breakers, pair, verdict);
    if (verdict == DP_BREAKER_NEITHER)
        return false;
    if (pair->state != DP_BREAKER_CLOSED) {
        if (verdict == DP_BREAKER_OK)
            close_it(breakers, pair, false);
        return false;
    }
    if (verdict == DP_BREAKER_FAULT && ticket->trial && pair->on_trial) {
        open_for(breakers, pair, 2 * pair->pause);
        return true;
    }
    pair->on_trial = pair->on_trial && verdict != DP_BREAKER_OK;
    count(breakers, pair, verdict == DP_BREAKER_FAULT);
    if (verdict != DP_BREAKER_FAULT || !is_too_bad(breakers, pair))
        return false;
    open_for(breakers, pair, PAUSE_MIN);
    return true;
}

void dp_breakers_cool(struct dp_breakers *breakers, uint64_t endpoint, uint64_t credential,
                      sb_msec rest)
{
    struct pair *pair = find_or_add(breakers, endpoint, credential);
    sb_msec until = sb_clock_now(breakers->clock) + rest;

    if (until <= pair->cool_until || rest == 0)
        return;
    breakers->cooling += pair->cool_until == 0;
    pair->cool_until = until;
    note_marks(breakers);
}

sb_msec dp_breakers_cooldown(const struct dp_breakers *breakers, uint64_t endpoint,
                             uint64_t credential)
{
    const struct pair *pair = find(breakers, endpoint, credential);
    sb_msec now = sb_clock_now(breakers->clock);

    return pair != NULL && pair->cool_until > now ? pair->cool_until - now : 0;
}

/* --- forgetting ------------------------------------------------------------------------------- */

/* NOLINTNEXTLINE(readability-function-size): uthash's macros are long */
static void sweep_pair(struct dp_breakers *breakers, struct pair *pair, sb_msec now)
{
    if (pair->cool_until != 0 && pair->cool_until <= now) {
        pair->cool_until = 0;
        breakers->cooling--;
    }
    if (pair->state != DP_BREAKER_CLOSED && pair->in_flight == 0 &&
        now >= pair->retry_at + IDLE_LIFE && now >= pair->used_at + IDLE_LIFE) {
        /* nobody has wanted to probe it: the next one starts anew */
        breakers->open--;
        pair->state = DP_BREAKER_CLOSED;
    }
    if (pair->state == DP_BREAKER_CLOSED && pair->in_flight == 0 && pair->cool_until == 0 &&
        now >= pair->used_at + IDLE_LIFE) {
        HASH_DELETE(hh, breakers->pairs, pair);
        sb_mem_free(pair);
    }
}

void dp_breakers_sweep(struct dp_breakers *breakers)
{
    sb_msec now = sb_clock_now(breakers->clock);

    for (unsigned i = 0; i < SWEEP_AT_ONCE; i++) {
        struct pair *pair = breakers->sweep_at != NULL ? breakers->sweep_at : breakers->pairs;

        if (pair == NULL)
            break;
        breakers->sweep_at = pair->hh.next;
        sweep_pair(breakers, pair, now);
        if (breakers->sweep_at == NULL)
            break; /* once around is enough */
    }
    note_marks(breakers);
}

enum dp_breaker_state dp_breakers_state(const struct dp_breakers *breakers, uint64_t endpoint,
                                        uint64_t credential)
{
    const struct pair *pair = find(breakers, endpoint, credential);

    return pair != NULL ? pair->state : DP_BREAKER_CLOSED;
}

size_t dp_breakers_count(const struct dp_breakers *breakers)
{
    return HASH_COUNT(breakers->pairs);
}

size_t dp_breakers_open(const struct dp_breakers *breakers)
{
    return breakers->open;
}
