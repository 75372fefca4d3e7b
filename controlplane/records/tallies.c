/* controlplane/records/tallies.c */
#include "controlplane/records/tallies.h"

#include <inttypes.h>

#include "common/arena.h"
#include "common/check.h"
#include "common/err.h"
#include "common/mem.h"
#include "common/timefmt.h"
#include "controlplane/db.h"
#include "controlplane/events/events.h"
#include "controlplane/records/audit_rows.h"
#include "proto/record.h"

#define HASH_FUNCTION        HASH_FNV
#define uthash_malloc(size)  sb_mem_new(size)
#define uthash_free(p, size) sb_mem_free(p)
#include <uthash.h>

enum {
    ARENA = 16 * 1024,
    KEY_MAX = 64 * 1024,  /* the texts of one record */
    JSON_MAX = 256 << 20, /* of all records of a transaction, escaped */
    EVENTS_MAX = 100,     /* of a transaction; the rows are all there anyway */
};

struct cp_tally_slot {
    struct cp_tally *tally;
    UT_hash_handle hh;
};

void cp_tallies_init(struct cp_tallies *tallies, size_t max)
{
    *tallies = (struct cp_tallies){.max = max};
    sb_buf_init(&tallies->key, KEY_MAX);
    sb_buf_init(&tallies->text, JSON_MAX);
    cp_tallies_reset(tallies);
}

static void drop(struct cp_tallies *tallies)
{
    HASH_CLEAR(hh, tallies->slots);
    sb_arena_destroy(&tallies->arena);
}

void cp_tallies_release(struct cp_tallies *tallies)
{
    drop(tallies);
    sb_buf_release(&tallies->key);
    sb_buf_release(&tallies->text);
}

void cp_tallies_reset(struct cp_tallies *tallies)
{
    drop(tallies);
    tallies->arena = sb_arena_new(ARENA);
    tallies->first = NULL;
    tallies->last = &tallies->first;
    tallies->n = tallies->violations = 0;
    sb_buf_reset(&tallies->text);
    sb_json_init(&tallies->json, &tallies->text);
    sb_json_open_array(&tallies->json);
}

/* --- adding up ------------------------------------------------------------------------ */

/* What makes requests alike, as bytes. */
static int make_key(struct cp_tallies *tallies, const struct cp_tally *tally)
{
    const struct sb_slice texts[] = {tally->demanded, tally->endpoint, tally->provider,
                                     tally->region, tally->evidence};
    int rc;

    sb_buf_reset(&tallies->key);
    rc = sb_buf_printf(&tallies->key, "%" PRId32 " %d %d %d %" PRId32, tally->day,
                       (int)tally->claim, (int)tally->judgement.verdict,
                       (int)tally->judgement.breach, tally->expires_on);
    for (size_t i = 0; rc == SB_OK && i < SB_ARRAY_LEN(texts); i++) {
        rc = sb_buf_printf(&tallies->key, " %zu ", texts[i].n); /* so that they cannot run over */
        if (rc == SB_OK)
            rc = sb_buf_append(&tallies->key, texts[i]);
    }
    return rc;
}

static struct cp_tally *keep(struct cp_tallies *tallies, const struct cp_tally *tally)
{
    struct cp_tally *kept = sb_arena_alloc(tallies->arena, sizeof(*kept));

    *kept = *tally;
    kept->judgement.held = NULL;
    kept->demanded = sb_arena_dup(tallies->arena, tally->demanded);
    kept->endpoint = sb_arena_dup(tallies->arena, tally->endpoint);
    kept->provider = sb_arena_dup(tallies->arena, tally->provider);
    kept->region = sb_arena_dup(tallies->arena, tally->region);
    kept->evidence = sb_arena_dup(tallies->arena, tally->evidence);
    kept->generation = sb_arena_dup(tallies->arena, tally->generation);
    kept->next = NULL;
    *tallies->last = kept;
    tallies->last = &kept->next;
    tallies->n++;
    return kept;
}

/* false: a sum would not fit any more. */
static bool add_up(struct cp_tally *sum, const struct cp_tally *tally)
{
    uint64_t tokens;
    int64_t cost;

    if (__builtin_add_overflow(sum->tokens, tally->tokens, &tokens) ||
        __builtin_add_overflow(sum->cost, tally->cost, &cost))
        return false;
    sum->requests += tally->requests;
    sum->tokens = tokens;
    sum->cost = cost;
    return true;
}

static int add(struct cp_tallies *tallies, const struct cp_tally *tally)
{
    struct cp_tally_slot *slot;
    struct sb_slice key;
    int rc = make_key(tallies, tally);

    if (rc != SB_OK)
        return rc;
    key = sb_buf_slice(&tallies->key);
    if (SB_NEVER(key.p == NULL)) /* it begins with a number */
        return SB_ENOMEM;
    HASH_FIND(hh, tallies->slots, key.p, key.n, slot);
    if (slot == NULL) {
        slot = sb_arena_alloc(tallies->arena, sizeof(*slot));
        key = sb_arena_dup(tallies->arena, key);
        HASH_ADD_KEYPTR(hh, tallies->slots, key.p, key.n, slot);
        slot->tally = keep(tallies, tally);
    } else if (!add_up(slot->tally, tally)) {
        slot->tally = keep(tallies, tally); /* a second one, which the database adds up */
    }
    return SB_OK;
}

/* --- one record ------------------------------------------------------------------------- */

static void write_violation(struct cp_tallies *tallies, const struct cp_record_id *id,
                            const struct msg_record *record, const struct cp_tally *tally)
{
    struct sb_json *json = &tallies->json;

    sb_json_open_object(json);
    sb_json_add_i64(json, "received_at", record->received_at);
    sb_json_add_text(json, "worker_id", id->worker);
    sb_json_add_u64(json, "boot_id", id->boot);
    sb_json_add_u64(json, "sequence", id->sequence);
    sb_json_add_text(json, "generation", record->generation);
    sb_json_add_text(json, "claim", sb_slice_of(cp_demand_name(tally->claim)));
    sb_json_add_text(json, "why", sb_slice_of(cp_breach_name(tally->judgement.breach)));
    sb_json_add_text(json, "demanded", tally->demanded);
    sb_json_add_text(json, "key_name", record->key_name);
    sb_json_add_text(json, "endpoint", tally->endpoint);
    sb_json_add_text(json, "provider", tally->provider);
    sb_json_add_text(json, "region", tally->region);
    sb_json_add_text(json, "evidence", tally->evidence);
    sb_json_add_i64(json, "expires_on", tally->expires_on);
    sb_json_close_object(json);
}

static int32_t day_of(int64_t received_at)
{
    return received_at >= 0 ? sb_day_of((sb_usec)received_at) : -1;
}

static int note_claim(struct cp_tallies *tallies, const struct cp_record_id *id,
                      const struct msg_record *record, struct cp_tally *tally)
{
    tally->judgement = cp_compliance_judge(record, tally->claim);
    tally->demanded = tally->claim == MSG_CLAIM_EU_RESIDENT ? record->residency : SB_SLICE_NONE;
    tally->evidence = SB_SLICE_NONE;
    tally->expires_on = 0;
    if (tally->judgement.held != NULL) {
        tally->evidence = tally->judgement.held->evidence;
        tally->expires_on = tally->judgement.held->expires_on;
    }
    if (tally->judgement.verdict == CP_VERDICT_VIOLATION && tallies->violations++ < tallies->max)
        write_violation(tallies, id, record, tally);
    return add(tallies, tally);
}

int cp_tallies_note(struct cp_tallies *tallies, const struct cp_record_id *id,
                    const struct msg_record *record)
{
    struct cp_tally tally = {.requests = 1, .cost = record->cost, .generation = record->generation};
    char endpoint[MSG_MODEL_ID_MAX + 1 + MSG_SLUG_MAX + 1];
    int rc = SB_OK;

    if (record->kind != MSG_RECORD_REQUEST || record->demanded == 0)
        return SB_OK;
    tally.day = day_of(record->received_at);
    /* Each fits a column, so their sum fits here. */
    tally.tokens = record->usage.prompt_tokens + record->usage.completion_tokens;
    if (record->endpoint != 0) {
        int n = snprintf(endpoint, sizeof(endpoint), "%.*s@%.*s",
                         SB_SLICE_ARGS(record->model_served), SB_SLICE_ARGS(record->tag));

        tally.endpoint = sb_slice_make(
            endpoint, (size_t)n < sizeof(endpoint) ? (size_t)n : sizeof(endpoint) - 1);
        tally.provider = record->provider;
        tally.region = record->region;
    }
    for (int claim = 0; rc == SB_OK && claim < MSG_CLAIM_COUNT; claim++) {
        tally.claim = (enum msg_claim_kind)claim;
        if ((record->demanded >> claim & 1) != 0)
            rc = note_claim(tallies, id, record, &tally);
    }
    return rc;
}

int cp_tallies_violations(struct cp_tallies *tallies, struct sb_slice *ret_json)
{
    int rc;

    sb_json_close_array(&tallies->json);
    rc = sb_json_end(&tallies->json);
    if (rc == SB_OK)
        *ret_json = sb_buf_slice(&tallies->text);
    return rc;
}

/* --- storing ---------------------------------------------------------------------------------- */

static void put_tally(struct sb_json *json, const struct cp_tally *tally)
{
    sb_json_open_object(json);
    sb_json_add_i64(json, "day", tally->day);
    sb_json_add_text(json, "claim", sb_slice_of(cp_demand_name(tally->claim)));
    sb_json_add_text(json, "demanded", tally->demanded);
    sb_json_add_text(json, "endpoint", tally->endpoint);
    sb_json_add_text(json, "provider", tally->provider);
    sb_json_add_text(json, "region", tally->region);
    sb_json_add_text(json, "evidence", tally->evidence);
    sb_json_add_i64(json, "expires_on", tally->expires_on);
    sb_json_add_text(json, "verdict", sb_slice_of(cp_verdict_name(tally->judgement.verdict)));
    sb_json_add_text(json, "why", sb_slice_of(cp_breach_name(tally->judgement.breach)));
    sb_json_add_u64(json, "requests", tally->requests);
    sb_json_add_u64(json, "tokens", tally->tokens);
    sb_json_add_i64(json, "cost", tally->cost);
    sb_json_close_object(json);
}

/* In one order, so that two daemons never wait for each other. */
static const char days_sql[] =
    "INSERT INTO compliance_days AS d (day, key, claim, demanded, endpoint, provider, region,"
    "  evidence, expires_on, verdict, why, requests, tokens, cost)" CP_TALLIES_ROWS(
        "$1") " ORDER BY day, key"
              " ON CONFLICT (day, key) DO UPDATE SET requests = d.requests + excluded.requests,"
              "  tokens = d.tokens + excluded.tokens, cost = d.cost + excluded.cost";

static const char violations_sql[] =
    "INSERT INTO compliance_violations (received_at, worker_id, boot_id, sequence, generation,"
    "  claim, why, demanded, key_name, endpoint, provider, region, evidence, "
    "expires_on)" CP_TALLIES_VIOLATIONS("$1") " ON CONFLICT DO NOTHING";

int cp_tallies_write(const struct cp_tallies *tallies, struct sb_buf *out)
{
    struct sb_json json;

    sb_json_init(&json, out);
    sb_json_open_array(&json);
    for (const struct cp_tally *tally = tallies->first; tally != NULL; tally = tally->next)
        put_tally(&json, tally);
    sb_json_close_array(&json);
    return sb_json_end(&json);
}

static int store_days(struct cp_tallies *tallies, struct cp_db *db)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf text = {.limit = 0};
    int rc;

    sb_buf_init(&text, JSON_MAX);
    rc = cp_tallies_write(tallies, &text);
    return rc == SB_OK ? cp_db_exec(db, days_sql, CP_PARAMS(CP_P_TEXT(sb_buf_slice(&text))), NULL)
                       : rc;
}

/* The same endpoint, claim and reason are told once a day: a worker that errs
 * errs often. */
static int tell(struct cp_tallies *tallies, struct cp_db *db, uint64_t term,
                const struct cp_tally *tally)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf detail = {.limit = 0};
    const char *claim = cp_demand_name(tally->claim);
    const char *why = cp_breach_name(tally->judgement.breach);
    struct cp_event event = {.kind = CP_EVENT_COMPLIANCE_VIOLATION,
                             .severity = CP_SEVERITY_CRITICAL,
                             .subject_kind = CP_ENDPOINTS,
                             .subject = tally->endpoint,
                             .term = term};
    struct sb_json json;
    int64_t id;
    int rc;

    event.once = sb_arena_printf(tallies->arena, "compliance_violation/%s/%s/%" PRId32 "/%.*s",
                                 claim, why, tally->day, SB_SLICE_ARGS(tally->endpoint));
    event.text = sb_arena_printf(
        tallies->arena,
        "served a request that demanded %s%s%.*s, and must not have (%s): %.*s was the first one",
        claim, tally->demanded.n > 0 ? " " : "", SB_SLICE_ARGS(tally->demanded), why,
        SB_SLICE_ARGS(tally->generation));
    sb_buf_init(&detail, CP_EVENT_DETAIL_MAX);
    sb_json_init(&json, &detail);
    put_tally(&json, tally);
    rc = sb_json_end(&json);
    event.detail = sb_buf_slice(&detail);
    return rc == SB_OK ? cp_event_record(db, &event, &id) : rc;
}

static int store_violations(struct cp_tallies *tallies, struct cp_db *db, uint64_t term)
{
    struct sb_slice text = SB_SLICE_NONE;
    unsigned told = 0;
    int rc = cp_tallies_violations(tallies, &text);

    if (rc == SB_OK)
        rc = cp_db_exec(db, violations_sql, CP_PARAMS(CP_P_TEXT(text)), NULL);
    for (const struct cp_tally *tally = tallies->first;
         rc == SB_OK && tally != NULL && told < EVENTS_MAX; tally = tally->next) {
        if (tally->judgement.verdict != CP_VERDICT_VIOLATION)
            continue;
        rc = tell(tallies, db, term, tally);
        told++;
    }
    return rc;
}

int cp_tallies_store(struct cp_tallies *tallies, struct cp_db *db, uint64_t term)
{
    int rc = SB_OK;

    if (tallies->n > 0)
        rc = store_days(tallies, db);
    if (rc == SB_OK && tallies->violations > 0)
        rc = store_violations(tallies, db, term);
    return rc;
}
