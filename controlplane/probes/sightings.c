/* controlplane/probes/sightings.c */
#include "controlplane/probes/sightings.h"

#include <inttypes.h>

#include "common/arena.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/timefmt.h"
#include "controlplane/config/store.h"
#include "controlplane/events/events.h"
#include "controlplane/mail.h"
#include "controlplane/probes/models_list.h"
#include "controlplane/probes/price_watch.h"
#include "controlplane/publish/term.h"

static const struct sb_slice author = SB_SLICE_INIT("prober");

struct cp_sightings *cp_sightings_new(uint64_t term)
{
    struct cp_sightings *sightings = sb_mem_new(sizeof(*sightings));

    sightings->mail.kind = CP_MAIL_SIGHTINGS;
    sightings->mail.drop = cp_mail_free;
    sightings->term = term;
    sightings->arena = sb_arena_new(4096);
    return sightings;
}

/* --- comparing ------------------------------------------------------------------------- */

static struct cp_sighting sight(const struct msg_endpoint *endpoint, const struct cp_listed *listed)
{
    struct cp_sighting sighting = {.is_missing = listed == NULL,
                                   .have_context = endpoint->context_length};

    for (int kind = 0; kind < MSG_PRICE_COUNT; kind++) {
        sighting.have[kind] = endpoint->price[kind];
        sighting.seen[kind] = listed != NULL ? listed->price[kind] : -1;
    }
    if (listed != NULL)
        sighting.seen_context = listed->context_length;
    return sighting;
}

static bool says_something(const struct cp_sighting *sighting)
{
    return sighting->is_missing ||
           (sighting->seen_context > 0 && sighting->seen_context != sighting->have_context) ||
           cp_price_judge(sighting->have, sighting->seen, true, 0) != CP_PRICE_SAME;
}

void cp_sightings_compare(struct cp_sightings *sightings, const struct msg_snapshot *snapshot,
                          uint32_t provider, const struct cp_listed *models, size_t n)
{
    struct sb_arena *arena = sightings->arena;

    sightings->version = snapshot->version;
    sightings->has_models = n > 0;
    sightings->provider = sb_arena_dup(arena, snapshot->providers[provider].slug);
    sightings->all = sb_arena_try(arena, (snapshot->n_endpoints + 1) * sizeof(*sightings->all));
    for (size_t i = 0; n > 0 && sightings->all != NULL && i < snapshot->n_endpoints; i++) {
        const struct msg_endpoint *endpoint = &snapshot->endpoints[i];
        struct cp_sighting sighting;

        if (endpoint->provider != provider)
            continue;
        sighting = sight(endpoint, cp_models_find(models, n, endpoint->upstream_model));
        if (!says_something(&sighting))
            continue;
        sighting.endpoint =
            sb_arena_printf(arena, "%.*s@%.*s", SB_SLICE_ARGS(snapshot->models[endpoint->model].id),
                            SB_SLICE_ARGS(endpoint->tag));
        sighting.upstream = sb_arena_dup(arena, endpoint->upstream_model);
        sightings->all[sightings->n++] = sighting;
    }
}

/* --- acting ------------------------------------------------------------------------------ */

struct acting {
    struct cp_store *store;
    const struct cp_sightings *sightings;
    unsigned rise_limit;
    bool may_apply;
    struct msg_version version; /* the newest, as far as we know */
    struct sb_arena *arena;
    /* Of the sighting under way. */
    const struct cp_sighting *sighting;
    struct cp_event event;
    bool is_kept; /* as a row of price_sightings too */
    const char *verdict;
    struct sb_slice have, seen;
};

/* The event, and the price that is not applied, once. */
static int record(struct cp_db *db, void *ctx)
{
    struct acting *acting = ctx;
    int64_t id = 0;
    int rc = cp_event_record(db, &acting->event, &id);

    if (rc == SB_OK && id != 0 && acting->is_kept)
        rc = cp_db_exec(db,
                        "INSERT INTO price_sightings (endpoint, verdict, revision, term, have,"
                        " seen) VALUES ($1, $2, $3, $4, $5::jsonb, $6::jsonb)",
                        CP_PARAMS(CP_P_TEXT(acting->sighting->endpoint), CP_P_STR(acting->verdict),
                                  CP_P_I64(acting->version.revision),
                                  CP_P_I64(acting->sightings->term), CP_P_TEXT(acting->have),
                                  CP_P_TEXT(acting->seen)),
                        NULL);
    return rc == SB_OK ? cp_term_check(db, acting->sightings->term) : rc;
}

static int tell(struct acting *acting, enum cp_event_kind kind, enum cp_severity severity,
                struct sb_slice text, struct sb_slice detail)
{
    acting->event = (struct cp_event){
        .kind = kind,
        .severity = severity,
        .subject_kind = CP_ENDPOINTS,
        .subject = acting->sighting->endpoint,
        .text = text,
        .detail = detail,
        .revision = acting->version.revision,
        .term = acting->sightings->term,
        .once = sb_arena_printf(acting->arena, "%s:%.*s:%.*s", cp_event_name(kind),
                                SB_SLICE_ARGS(acting->sighting->endpoint), SB_SLICE_ARGS(detail)),
    };
    return cp_db_transact(cp_store_db(acting->store), CP_READ_COMMITTED, record, acting);
}

static int apply(struct acting *acting, struct sb_errmsg *err)
{
    const struct cp_sighting *sighting = acting->sighting;
    struct sb_slice body =
        sb_arena_printf(acting->arena, "{\"pricing\":%.*s}", SB_SLICE_ARGS(acting->seen));
    struct cp_change change = {.author = author,
                               .note = SB_SLICE_LIT("seen in the provider's list of models"),
                               .if_match = acting->version.revision};
    struct cp_answer answer;
    int rc;

    cp_answer_init(&answer, acting->arena);
    rc = cp_store_patch(acting->store, CP_ENDPOINTS, sighting->endpoint, body, &change, &answer);
    if (rc != SB_OK)
        return sb_err_set(err, rc, "the price of %.100s is not applied: %.100s",
                          sighting->endpoint.p, answer.err.text);
    acting->version = answer.result.version;
    sb_log_info(PROBE, "applied a price endpoint=%.*s revision=%" PRIu64 " pricing=%.*s",
                SB_LOG_SLICE(sighting->endpoint), acting->version.revision,
                SB_LOG_SLICE(acting->seen));
    return SB_OK;
}

static int act_on_price(struct acting *acting, struct sb_errmsg *err)
{
    static const struct {
        enum cp_event_kind kind;
        enum cp_severity severity;
        const char *verdict, *text;
    } what[] = {
        [CP_PRICE_APPLY] = {CP_EVENT_PRICE_CHANGED, CP_SEVERITY_INFO, NULL,
                            "the price changed, and is applied"},
        [CP_PRICE_REPORT] = {CP_EVENT_PRICE_DIFFERS, CP_SEVERITY_WARNING, "reported",
                             "the provider lists another price than the catalogue"},
        [CP_PRICE_ROSE] = {CP_EVENT_PRICE_ROSE, CP_SEVERITY_CRITICAL, "held",
                           "the provider lists a price that rose by more than the limit: change "
                           "the catalogue if it is right"},
    };
    const struct cp_sighting *sighting = acting->sighting;
    enum cp_price_verdict verdict =
        cp_price_judge(sighting->have, sighting->seen, acting->may_apply, acting->rise_limit);
    int rc = SB_OK;

    if (verdict == CP_PRICE_SAME)
        return SB_OK;
    acting->have = cp_price_json(sighting->have, sighting->have, sighting->seen, acting->arena);
    acting->seen = cp_price_json(sighting->seen, sighting->have, sighting->seen, acting->arena);
    acting->verdict = what[verdict].verdict;
    acting->is_kept = what[verdict].verdict != NULL;
    if (verdict == CP_PRICE_APPLY)
        rc = apply(acting, err);
    if (rc != SB_OK)
        return rc;
    return tell(acting, what[verdict].kind, what[verdict].severity, sb_slice_of(what[verdict].text),
                sb_arena_printf(acting->arena, "{\"have\":%.*s,\"seen\":%.*s}",
                                SB_SLICE_ARGS(acting->have), SB_SLICE_ARGS(acting->seen)));
}

/* Told again every day, as long as it is so. */
static int act_on_absence(struct acting *acting)
{
    char day[SB_DATE_TEXT_MAX];
    struct sb_slice name = acting->sighting->upstream;

    (void)sb_date_format(sb_day_of(sb_clock_wall(&sb_clock_system)), day);
    return tell(acting, CP_EVENT_MODEL_MISSING, CP_SEVERITY_WARNING,
                sb_arena_printf(acting->arena, "the provider does not list %.*s any more",
                                SB_SLICE_ARGS(name)),
                sb_arena_printf(acting->arena, "{\"day\":\"%s\"}", day));
}

static int act_on_context(struct acting *acting)
{
    const struct cp_sighting *sighting = acting->sighting;

    if (sighting->seen_context == 0 || sighting->seen_context == sighting->have_context)
        return SB_OK;
    return tell(acting, CP_EVENT_CONTEXT_DIFFERS, CP_SEVERITY_INFO,
                SB_SLICE_LIT("the provider lists another context length than the catalogue"),
                sb_arena_printf(acting->arena, "{\"have\":%" PRIu32 ",\"seen\":%" PRIu32 "}",
                                sighting->have_context, sighting->seen_context));
}

static bool is_missing(const struct cp_sightings *sightings, struct sb_slice endpoint)
{
    for (size_t i = 0; i < sightings->n; i++)
        if (sightings->all[i].is_missing && sb_slice_eq(sightings->all[i].endpoint, endpoint))
            return true;
    return false;
}

/* Those of the provider that were told to be missing, and are not any more. */
static int tell_found(struct acting *acting)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    const struct cp_sightings *sightings = acting->sightings;
    struct cp_sighting found = {.is_missing = false};
    int rc = cp_db_query(cp_store_db(acting->store),
                         "SELECT p.name, told.id FROM endpoints p"
                         " JOIN providers of ON of.id = p.provider_id"
                         " CROSS JOIN LATERAL (SELECT e.id, e.kind FROM events e"
                         "  WHERE e.subject_kind = 'endpoints' AND e.subject = p.name"
                         "  AND e.kind IN ($2, $3) ORDER BY e.id DESC LIMIT 1) told"
                         " WHERE of.slug = $1 AND told.kind = $2",
                         CP_PARAMS(CP_P_TEXT(sightings->provider),
                                   CP_P_STR(cp_event_name(CP_EVENT_MODEL_MISSING)),
                                   CP_P_STR(cp_event_name(CP_EVENT_MODEL_FOUND))),
                         &rows);

    for (size_t i = 0; rc == SB_OK && i < cp_rows_count(rows); i++) {
        found.endpoint = cp_rows_bytes(rows, i, 0);
        if (is_missing(sightings, found.endpoint))
            continue;
        acting->sighting = &found;
        acting->is_kept = false;
        rc = tell(
            acting, CP_EVENT_MODEL_FOUND, CP_SEVERITY_INFO,
            SB_SLICE_LIT("the provider lists the model again"),
            sb_arena_printf(acting->arena, "{\"missing\":%" PRId64 "}", cp_rows_i64(rows, i, 1)));
    }
    return rc;
}

static int read_choice(struct acting *acting)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = cp_db_query(cp_store_db(acting->store),
                         "SELECT p.price_updates = 'apply', h.epoch, h.revision"
                         " FROM providers p, config_head h WHERE p.slug = $1",
                         CP_PARAMS(CP_P_TEXT(acting->sightings->provider)), &rows);

    if (rc != SB_OK)
        return rc;
    if (cp_rows_count(rows) != 1)
        return SB_ECONFLICT;
    acting->may_apply = cp_rows_bool(rows, 0, 0);
    acting->version = (struct msg_version){.epoch = (uint64_t)cp_rows_i64(rows, 0, 1),
                                           .revision = (uint64_t)cp_rows_i64(rows, 0, 2)};
    return msg_version_cmp(acting->version, acting->sightings->version) == 0 ? SB_OK : SB_ECONFLICT;
}

int cp_sightings_act(struct cp_store *store, const struct cp_sightings *sightings,
                     unsigned rise_limit, struct sb_errmsg *err)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(16384);
    struct acting acting = {
        .store = store, .sightings = sightings, .rise_limit = rise_limit, .arena = arena};
    int rc = read_choice(&acting);

    *err = (struct sb_errmsg){.text = ""};
    for (size_t i = 0; rc == SB_OK && i < sightings->n; i++) {
        acting.sighting = &sightings->all[i];
        acting.is_kept = false;
        if (acting.sighting->is_missing) {
            rc = act_on_absence(&acting);
            continue;
        }
        rc = act_on_context(&acting);
        if (rc == SB_OK)
            rc = act_on_price(&acting, err);
    }
    if (rc == SB_OK && sightings->has_models)
        rc = tell_found(&acting);
    if (rc != SB_OK && err->text[0] == '\0')
        return sb_err_set(err, rc, "%s: %.200s", sb_err_str(rc),
                          cp_db_last_error(cp_store_db(store))->text.text);
    return rc;
}
