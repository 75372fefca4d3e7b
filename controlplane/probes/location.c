/* controlplane/probes/location.c */
#include "controlplane/probes/location.h"

#include <inttypes.h>

#include "common/arena.h"
#include "common/log.h"
#include "controlplane/config/store.h"
#include "controlplane/events/events.h"
#include "controlplane/publish/term.h"
#include "proto/country.h"

enum { ARENA = 16384 };

static const struct sb_slice author = SB_SLICE_INIT("prober");

/* --- judging ------------------------------------------------------------------------- */

static bool is_in_region(struct sb_slice region, int country)
{
    if (sb_slice_is(region, "eu"))
        return msg_country_is_eu(country);
    if (region.n == 2) /* a country, or "us" */
        return msg_country_parse(region) == country;
    return true;
}

static bool is_european(struct sb_slice region)
{
    int country = region.n == 2 ? msg_country_parse(region) : -1;

    return sb_slice_is(region, "eu") || (country >= 0 && msg_country_is_eu(country));
}

enum cp_location_verdict cp_location_judge(struct sb_slice region, enum msg_tri eu_resident,
                                           int country)
{
    bool is_inside =
        is_in_region(region, country) && (eu_resident != MSG_TRI_YES || msg_country_is_eu(country));

    if (is_inside)
        return CP_LOCATION_FINE;
    if (eu_resident == MSG_TRI_YES || (eu_resident != MSG_TRI_NO && is_european(region)))
        return CP_LOCATION_REFUTED;
    return CP_LOCATION_OUTSIDE;
}

/* --- acting --------------------------------------------------------------------------- */

struct acting {
    struct cp_store *store;
    const struct cp_locations *locations;
    uint64_t revision; /* the newest, as far as we know */
    struct sb_arena *arena;
    uint64_t refuted;
    /* Of the endpoint under way. */
    struct sb_slice endpoint, region;
    const struct cp_located *worst;
    char address[SB_ADDRESS_TEXT_MAX], country[MSG_COUNTRY_CODE];
    struct cp_event event;
    struct sb_slice anew; /* tells it once more; empty: it does not */
};

static int refute(struct acting *acting, struct sb_errmsg *err)
{
    struct sb_slice body = sb_arena_printf(
        acting->arena,
        "{\"eu_resident\":{\"value\":\"no\",\"attested_by\":null,\"attested_on\":null,"
        "\"expires_on\":null,\"evidence\":\"%s, an address of %.*s, is in %s by the country "
        "database of %s\"}}",
        acting->address, SB_SLICE_ARGS(acting->locations->host), acting->country,
        acting->locations->date);
    struct cp_change change = {
        .author = author,
        .note = SB_SLICE_LIT("an address is outside of what the endpoint claims"),
        .if_match = acting->revision};
    struct cp_answer answer;
    int rc;

    cp_answer_init(&answer, acting->arena);
    rc = cp_store_patch(acting->store, CP_ENDPOINTS, acting->endpoint, body, &change, &answer);
    if (rc != SB_OK)
        return sb_err_set(err, rc, "eu_resident of %.100s is not set to no: %.100s",
                          acting->endpoint.p, answer.err.text);
    acting->revision = answer.result.version.revision;
    acting->refuted++;
    sb_log_warn(PROBE,
                "set eu_resident to no endpoint=%.*s revision=%" PRIu64 " address=%s country=%s",
                SB_LOG_SLICE(acting->endpoint), acting->revision, acting->address, acting->country);
    return SB_OK;
}

static int record(struct cp_db *db, void *ctx)
{
    struct acting *acting = ctx;
    int64_t id = 0;
    int rc = cp_event_record(db, &acting->event, &id);

    if (rc == SB_OK && id == 0 && acting->anew.n > 0) {
        acting->event.once = acting->anew;
        rc = cp_event_record(db, &acting->event, &id);
    }
    return rc == SB_OK ? cp_term_check(db, acting->locations->term) : rc;
}

/* Of the event: what makes it the same as one before. */
static struct sb_slice occasion(struct acting *acting)
{
    return sb_arena_printf(acting->arena, "%s/%.*s/%.*s/%s",
                           cp_event_name(CP_EVENT_ADDRESS_OUTSIDE), SB_SLICE_ARGS(acting->endpoint),
                           SB_SLICE_ARGS(acting->region), acting->address);
}

static int tell(struct acting *acting, bool is_refuted)
{
    const struct cp_locations *locations = acting->locations;

    acting->event = (struct cp_event){
        .kind = CP_EVENT_ADDRESS_OUTSIDE,
        .severity = is_refuted ? CP_SEVERITY_CRITICAL : CP_SEVERITY_WARNING,
        .subject_kind = CP_ENDPOINTS,
        .subject = acting->endpoint,
        .text = sb_arena_printf(
            acting->arena,
            "%s, an address of %.*s, is in %s, outside of what the endpoint claims%s",
            acting->address, SB_SLICE_ARGS(locations->host), acting->country,
            is_refuted ? ": eu_resident is set to no" : ""),
        .detail = sb_arena_printf(
            acting->arena,
            "{\"address\":\"%s\",\"country\":\"%s\",\"host\":\"%.*s\",\"region\":\"%.*s\","
            "\"database\":\"%s\",\"refuted\":%s}",
            acting->address, acting->country, SB_SLICE_ARGS(locations->host),
            SB_SLICE_ARGS(acting->region), locations->date, is_refuted ? "true" : "false"),
        .revision = acting->revision,
        .term = locations->term,
        .once = occasion(acting),
    };
    /* a claim that was made again and is changed again is news */
    acting->anew = is_refuted ? sb_arena_printf(acting->arena, "%.*s/revision %" PRIu64,
                                                SB_SLICE_ARGS(acting->event.once), acting->revision)
                              : SB_SLICE_NONE;
    return cp_db_transact(cp_store_db(acting->store), CP_READ_COMMITTED, record, acting);
}

static int act_on(struct acting *acting, enum msg_tri eu_resident, struct sb_errmsg *err)
{
    enum cp_location_verdict worst = CP_LOCATION_FINE;
    int rc = SB_OK;

    for (size_t i = 0; i < acting->locations->n; i++) {
        const struct cp_located *one = &acting->locations->all[i];
        enum cp_location_verdict verdict =
            cp_location_judge(acting->region, eu_resident, one->country);

        if (verdict <= worst)
            continue;
        worst = verdict;
        acting->worst = one;
    }
    if (worst == CP_LOCATION_FINE)
        return SB_OK;
    (void)sb_address_format(&acting->worst->address, acting->address);
    msg_country_format(acting->worst->country, acting->country);
    if (worst == CP_LOCATION_REFUTED)
        rc = refute(acting, err);
    return rc == SB_OK ? tell(acting, worst == CP_LOCATION_REFUTED) : rc;
}

/* What has no claim is unknown. */
static enum msg_tri tri_of(const struct cp_rows *rows, size_t row, int column)
{
    int value =
        cp_rows_is_null(rows, row, column) ? -1 : msg_tri_parse(cp_rows_bytes(rows, row, column));

    return value < 0 ? MSG_TRI_UNKNOWN : (enum msg_tri)value;
}

int cp_location_act(struct cp_store *store, const struct cp_locations *locations,
                    uint64_t *ret_refuted, struct sb_errmsg *err)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(ARENA);
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct acting acting = {.store = store, .locations = locations, .arena = arena};
    int rc = cp_db_query(cp_store_db(store),
                         "SELECT e.name, coalesce(e.region, ''), (e.eu_resident).value::text,"
                         " h.revision FROM endpoints e JOIN providers p ON p.id = e.provider_id,"
                         " config_head h WHERE p.slug = $1 ORDER BY e.name",
                         CP_PARAMS(CP_P_TEXT(locations->provider)), &rows);

    *err = (struct sb_errmsg){.text = ""};
    for (size_t i = 0; rc == SB_OK && i < cp_rows_count(rows); i++) {
        acting.endpoint = cp_rows_bytes(rows, i, 0);
        acting.region = cp_rows_bytes(rows, i, 1);
        if (i == 0)
            acting.revision = (uint64_t)cp_rows_i64(rows, i, 3);
        rc = act_on(&acting, tri_of(rows, i, 2), err);
    }
    if (rc == SB_OK)
        *ret_refuted = acting.refuted;
    else if (err->text[0] == '\0')
        return sb_err_set(err, rc, "%s: %.200s", sb_err_str(rc),
                          cp_db_last_error(cp_store_db(store))->text.text);
    return rc;
}
