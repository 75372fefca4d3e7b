/* controlplane/probes/probe_store.c */
#include "controlplane/probes/probe_store.h"

#include "common/arena.h"
#include "common/err.h"
#include "common/money.h"
#include "common/timefmt.h"
#include "controlplane/db.h"
#include "controlplane/events/events.h"
#include "controlplane/probes/probe_cost.h"
#include "controlplane/publish/term.h"

/* --- parameters ------------------------------------------------------------------- */

/* A number that is 0 when there is none. */
static struct cp_param some(uint64_t number)
{
    return number > 0 ? CP_P_I64(number) : CP_P_NULL;
}

static struct cp_param text_or_null(const char *text)
{
    return text[0] != '\0' ? CP_P_STR(text) : CP_P_NULL;
}

struct moment {
    char text[SB_TIME_TEXT_MAX];
    char day[SB_DATE_TEXT_MAX];
};

static struct moment moment_of(sb_usec wall)
{
    struct moment moment;

    (void)sb_time_format(wall, 6, moment.text);
    (void)sb_date_format(sb_day_of(wall), moment.day);
    return moment;
}

/* --- granting ----------------------------------------------------------------------- */

struct granting {
    const struct cp_probe_grant *grant;
    /* Of the try under way. */
    uint64_t sequence;
    int64_t spent; /* of the day */
    bool is_short;
    const struct cp_probe *unpaid; /* that not even the whole day's budget allows; NULL: none */
};

/* numeric, since a bill may be any nonsense. */
#define SPENT "least(cost, 9223372036854775807)::bigint"

static int lock_day(struct cp_db *db, const struct moment *moment, int64_t *ret_spent)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = cp_db_exec(db, "INSERT INTO probe_days (day) VALUES ($1::date) ON CONFLICT DO NOTHING",
                        CP_PARAMS(CP_P_STR(moment->day)), NULL);

    if (rc == SB_OK)
        rc = cp_db_query(db, "SELECT " SPENT " FROM probe_days WHERE day = $1::date FOR UPDATE",
                         CP_PARAMS(CP_P_STR(moment->day)), &rows);
    if (rc == SB_OK && cp_rows_count(rows) != 1)
        rc = SB_EDB;
    if (rc == SB_OK)
        *ret_spent = cp_rows_i64(rows, 0, 0);
    return rc;
}

static bool is_affordable(const struct granting *granting, const struct cp_probe *probe)
{
    int64_t allowed =
        cp_probe_allowance(granting->grant->budget, probe->reason, granting->grant->wall);

    return probe->reserved == 0 ||
           (granting->spent <= allowed && probe->reserved <= allowed - granting->spent);
}

/* With a budget of nothing nothing is spent. */
static bool is_beyond_the_day(const struct granting *granting, const struct cp_probe *probe)
{
    int64_t budget = granting->grant->budget;

    return budget > 0 && (granting->spent > budget || probe->reserved > budget - granting->spent);
}

static int tell_spent(struct cp_db *db, const struct granting *granting,
                      const struct moment *moment)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(1024);
    char spent[SB_MONEY_TEXT_MAX], budget[SB_MONEY_TEXT_MAX];
    int64_t id;
    struct cp_event event = {.kind = CP_EVENT_PROBE_BUDGET_SPENT,
                             .severity = CP_SEVERITY_WARNING,
                             .subject_kind = CP_PROVIDERS,
                             .subject = sb_slice_of(granting->unpaid->provider),
                             .term = granting->grant->term};

    (void)sb_money_format(granting->spent, spent);
    (void)sb_money_format(granting->grant->budget, budget);
    event.text =
        sb_arena_printf(arena,
                        "probes took %s of the %s USD that they may cost on %s: what is "
                        "left pays for no probe of %s, nor for any as dear, until tomorrow "
                        "(UTC)",
                        spent, budget, moment->day, granting->unpaid->provider);
    event.detail = sb_arena_printf(arena, "{\"day\":\"%s\",\"spent\":\"%s\",\"budget\":\"%s\"}",
                                   moment->day, spent, budget);
    event.once =
        sb_arena_printf(arena, "%s/%s", cp_event_name(CP_EVENT_PROBE_BUDGET_SPENT), moment->day);
    return cp_event_record(db, &event, &id);
}

static int insert(struct cp_db *db, const struct granting *granting, const struct cp_probe *probe,
                  const struct moment *moment, bool *ret_inserted)
{
    uint64_t count = 0;
    int rc = cp_db_exec(
        db,
        "INSERT INTO probes (started_at, term, sequence, kind, reason, provider, endpoint_id,"
        " endpoint, reserved, cost)"
        " SELECT $1::timestamptz, $2::bigint, $3::bigint, $4::text, $5::text, $6::text, $7::bigint,"
        " $8::text, $9::bigint, $9::bigint"
        " WHERE $7::bigint IS NULL OR NOT EXISTS (SELECT FROM probes WHERE endpoint = $8::text"
        " AND started_at >= $10::timestamptz AND cost > reserved)",
        CP_PARAMS(CP_P_STR(moment->text), CP_P_I64(granting->grant->term),
                  CP_P_I64(granting->sequence + 1), CP_P_STR(cp_probe_kind_name(probe->kind)),
                  CP_P_STR(cp_probe_reason_name(probe->reason)), CP_P_STR(probe->provider),
                  some(probe->endpoint), text_or_null(probe->name), CP_P_I64(probe->reserved),
                  CP_P_STR(moment->day)),
        &count);

    *ret_inserted = rc == SB_OK && count == 1;
    return rc;
}

static int grant(struct cp_db *db, void *ctx)
{
    struct granting *granting = ctx;
    const struct cp_probe_grant *wanted = granting->grant;
    struct moment moment = moment_of(wanted->wall);
    int64_t before = 0;
    int rc = lock_day(db, &moment, &before);

    granting->sequence = wanted->sequence;
    granting->spent = before;
    granting->is_short = false;
    granting->unpaid = NULL;
    for (unsigned i = 0; rc == SB_OK && i < wanted->n; i++) {
        struct cp_probe *probe = &wanted->probes[i];

        probe->is_granted = false;
        if (!is_affordable(granting, probe)) {
            granting->is_short = true;
            if (is_beyond_the_day(granting, probe))
                granting->unpaid = probe;
            continue;
        }
        rc = insert(db, granting, probe, &moment, &probe->is_granted);
        if (!probe->is_granted)
            continue;
        probe->started_at = wanted->wall;
        probe->sequence = ++granting->sequence;
        granting->spent += probe->reserved;
    }
    if (rc == SB_OK && granting->spent != before)
        rc = cp_db_exec(db, "UPDATE probe_days SET cost = cost + $2::bigint WHERE day = $1::date",
                        CP_PARAMS(CP_P_STR(moment.day), CP_P_I64(granting->spent - before)), NULL);
    if (rc == SB_OK && granting->unpaid != NULL)
        rc = tell_spent(db, granting, &moment);
    /* Last: a daemon that is stopped in between must not keep another one from
     * leading. */
    return rc == SB_OK ? cp_term_check(db, wanted->term) : rc;
}

int cp_probe_store_grant(struct cp_db *db, struct cp_probe_grant *wanted)
{
    struct granting granting = {.grant = wanted};
    int rc = cp_db_transact(db, CP_READ_COMMITTED, grant, &granting);

    if (rc == SB_OK) {
        wanted->sequence = granting.sequence;
        wanted->is_short = granting.is_short;
        return SB_OK;
    }
    for (unsigned i = 0; i < wanted->n; i++)
        wanted->probes[i].is_granted = false;
    return rc;
}

/* --- settling -------------------------------------------------------------------------- */

struct settling {
    uint64_t term;
    const struct cp_probe *probes;
    unsigned n;
};

static int settle_one(struct cp_db *db, uint64_t term, const struct cp_probe *probe)
{
    struct moment moment = moment_of(probe->started_at);

    return cp_db_exec(
        db,
        "WITH settled AS (UPDATE probes SET outcome = $5::smallint, status = $6::integer,"
        " connect_us = $7::bigint, first_token_us = $8::bigint, took_us = $9::bigint,"
        " throughput = $10::bigint, prompt_tokens = $11::bigint, completion_tokens = $12::bigint,"
        " usage_source = $13::smallint, cost = $14::bigint"
        " WHERE started_at = $1::timestamptz AND term = $2::bigint AND sequence = $3::bigint"
        " AND outcome IS NULL RETURNING cost - reserved::numeric AS difference)"
        " UPDATE probe_days d SET cost = d.cost + s.difference FROM settled s"
        " WHERE d.day = $4::date",
        CP_PARAMS(CP_P_STR(moment.text), CP_P_I64(term), CP_P_I64(probe->sequence),
                  CP_P_STR(moment.day), CP_P_I64(probe->outcome), some(probe->status),
                  some(probe->connect), some(probe->first_token), CP_P_I64(probe->took),
                  some(probe->throughput), CP_P_I64(probe->usage.prompt_tokens),
                  CP_P_I64(probe->usage.completion_tokens), CP_P_I64(probe->usage.source),
                  CP_P_I64(probe->cost)),
        NULL);
}

static int settle(struct cp_db *db, void *ctx)
{
    const struct settling *settling = ctx;
    int rc = SB_OK;

    for (unsigned i = 0; rc == SB_OK && i < settling->n; i++)
        rc = settle_one(db, settling->term, &settling->probes[i]);
    return rc == SB_OK ? cp_term_check(db, settling->term) : rc;
}

int cp_probe_store_settle(struct cp_db *db, uint64_t term, const struct cp_probe *probes,
                          unsigned n)
{
    struct settling settling = {.term = term, .probes = probes, .n = n};

    return cp_db_transact(db, CP_READ_COMMITTED, settle, &settling);
}

int cp_probe_store_spent(struct cp_db *db, sb_usec wall, int64_t *ret_spent)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct moment moment = moment_of(wall);
    int rc = cp_db_query(db, "SELECT " SPENT " FROM probe_days WHERE day = $1::date",
                         CP_PARAMS(CP_P_STR(moment.day)), &rows);

    if (rc == SB_OK)
        *ret_spent = cp_rows_count(rows) > 0 ? cp_rows_i64(rows, 0, 0) : 0;
    return rc;
}
