/* controlplane/probes/prober.c */
#include "controlplane/probes/prober.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/actor.h"
#include "common/arena.h"
#include "common/check.h"
#include "common/list.h"
#include "common/log.h"
#include "common/mailbox.h"
#include "common/mem.h"
#include "common/reactor.h"
#include "common/secret.h"
#include "common/timefmt.h"
#include "controlplane/mail.h"
#include "controlplane/probes/fetch.h"
#include "controlplane/probes/models_list.h"
#include "controlplane/probes/probe_answer.h"
#include "controlplane/probes/probe_cost.h"
#include "controlplane/probes/probe_lists.h"
#include "controlplane/probes/probe_plan.h"
#include "controlplane/probes/probe_request.h"
#include "controlplane/probes/probe_sample.h"
#include "controlplane/probes/sightings.h"
#include "controlplane/stats.h"
#include "controlplane/tables/windows.h"
#include "proto/tariff.h"

enum {
    LONGEST_WAIT = 1000, /* ms between two looks at the plan */
    SHORTEST_WAIT = 10,
    SCRATCH = 8192,
};

/* Where the endpoint of an id is in the configuration. */
struct place {
    uint64_t id;
    const struct msg_endpoint *endpoint;
};

struct cp_prober {
    struct cp_prober_conf conf;
    struct sb_actor *actor;
    struct sb_mailbox *self;
    /* The actor's own. */
    struct sb_reactor *reactor;
    struct sb_reactor_timer next, pulse;
    struct cp_fetcher *fetcher;
    bool leading, has_pulse, is_asking;
    uint64_t term;
    struct cp_catalog_mail *catalog; /* NULL: not known yet */
    struct place *places;            /* sorted; of what can be probed */
    size_t n_places;
    struct cp_plan *plan;         /* by id of the endpoint; NULL: none is probed */
    struct cp_probe_lists *lists; /* likewise */
    struct sb_list jobs;          /* under way */
    unsigned n_open;              /* completions: those, and those that the ledger has */
    unsigned n_lists;             /* lists of models, likewise */
};

/* One probe under way. */
struct job {
    struct cp_prober *prober;
    struct sb_list link;
    struct cp_probe probe;
    struct msg_tariff
        tariff; /* of the copies below: the catalogue may go before the answer comes */
    struct msg_prices prices;
    struct msg_override overrides[MSG_OVERRIDES_MAX];
    size_t request_bytes;
    struct cp_fetch *fetch;
    struct cp_probe_answer answer; /* of an endpoint */
    struct sb_buf whole;           /* an embedding, or a list of models, as it comes */
};

static void look(struct cp_prober *prober);

/* --- what there is ----------------------------------------------------------------- */

static int compare_places(const void *a, const void *b)
{
    uint64_t x = ((const struct place *)a)->id, y = ((const struct place *)b)->id;

    return x < y ? -1 : x > y;
}

static const struct msg_endpoint *endpoint_of(const struct cp_prober *prober, uint64_t id)
{
    const struct place wanted = {.id = id};
    const struct place *found = prober->n_places == 0
                                    ? NULL
                                    : bsearch(&wanted, prober->places, prober->n_places,
                                              sizeof(*prober->places), compare_places);

    return found != NULL ? found->endpoint : NULL;
}

static void forget_catalog(struct cp_prober *prober)
{
    if (prober->catalog != NULL)
        cp_mail_free(&prober->catalog->mail);
    prober->catalog = NULL;
    prober->places = NULL; /* in the arena of the catalogue */
    prober->n_places = 0;
}

static bool can_probe(const struct msg_snapshot *snapshot, const struct msg_endpoint *endpoint,
                      const bool *has_key)
{
    enum cp_probe_kind kind;

    return has_key[endpoint->provider] && cp_probe_kind_of(endpoint, &kind) &&
           cp_probe_dialect_find(snapshot->providers[endpoint->provider].dialect) != NULL;
}

static int plan_lists(struct cp_prober *prober)
{
    if (prober->lists == NULL)
        return SB_OK;
    return cp_probe_lists_set(prober->lists, prober->catalog->snapshot,
                              sb_reactor_now(prober->reactor));
}

static int plan_completions(struct cp_prober *prober, const uint64_t *ids)
{
    if (prober->plan == NULL)
        return SB_OK;
    return cp_plan_set(prober->plan, ids, prober->n_places, sb_reactor_now(prober->reactor));
}

/* Fills places, and gives the ids for the plan. */
static const uint64_t *find_places(struct cp_prober *prober)
{
    const struct msg_snapshot *snapshot = prober->catalog->snapshot;
    struct sb_arena *arena = prober->catalog->arena;
    struct place *places = sb_arena_try(arena, (snapshot->n_endpoints + 1) * sizeof(*places));
    uint64_t *ids = sb_arena_try(arena, (snapshot->n_endpoints + 1) * sizeof(*ids));
    bool *has_key = sb_arena_try(arena, snapshot->n_providers + 1);
    const struct msg_credential *credential;
    size_t n = 0;

    if (places == NULL || ids == NULL || has_key == NULL)
        return NULL;
    for (size_t i = 0; i < snapshot->n_providers; i++)
        has_key[i] = cp_probe_credential(snapshot, (uint32_t)i, &credential);
    for (size_t i = 0; i < snapshot->n_endpoints; i++) {
        const struct msg_endpoint *endpoint = &snapshot->endpoints[i];

        if (can_probe(snapshot, endpoint, has_key))
            places[n++] = (struct place){.id = endpoint->id, .endpoint = endpoint};
    }
    if (n > 0)
        qsort(places, n, sizeof(*places), compare_places);
    for (size_t i = 0; i < n; i++)
        ids[i] = places[i].id;
    prober->places = places;
    prober->n_places = n;
    return ids;
}

/* Takes catalog. */
static void on_catalog(struct cp_prober *prober, struct cp_catalog_mail *catalog)
{
    const uint64_t *ids;
    bool is_short;

    if (!prober->leading || catalog->term != prober->term) {
        cp_mail_free(&catalog->mail);
        return;
    }
    forget_catalog(prober);
    prober->catalog = catalog;
    ids = find_places(prober);
    is_short = ids == NULL || plan_completions(prober, ids) != SB_OK;
    if (plan_lists(prober) != SB_OK || is_short)
        sb_log_error(PROBE, "no memory to plan probes of all endpoints");
    cp_stat_set(prober->conf.stats, probe_endpoints, (int64_t)prober->n_places);
    look(prober);
}

/* --- wanting ----------------------------------------------------------------------------- */

/* False: it cannot be asked anything. */
static bool ask(const struct msg_provider *provider, const struct msg_endpoint *endpoint,
                struct sb_arena *arena, struct cp_probe_question *ret_question)
{
    const struct cp_probe_dialect *dialect = cp_probe_dialect_find(provider->dialect);

    return dialect != NULL &&
           cp_probe_question_make(dialect, endpoint, CP_PROBER_TOKENS, arena, ret_question);
}

/* False: it is gone, or has no prices. */
static bool want(struct cp_prober *prober, uint64_t id, enum cp_probe_reason reason,
                 struct cp_probe *ret_probe)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(SCRATCH);
    const struct msg_endpoint *endpoint = endpoint_of(prober, id);
    const struct msg_snapshot *snapshot = prober->catalog->snapshot;
    struct cp_probe probe = {.reason = reason, .endpoint = id};
    const struct msg_provider *provider;
    struct cp_probe_question question;
    struct sb_slice name;

    if (endpoint == NULL)
        return false;
    provider = &snapshot->providers[endpoint->provider];
    name = sb_arena_printf(arena, "%.*s@%.*s", SB_SLICE_ARGS(snapshot->models[endpoint->model].id),
                           SB_SLICE_ARGS(endpoint->tag));
    if (!sb_slice_copy_text(name, probe.name, sizeof(probe.name)) ||
        !sb_slice_copy_text(provider->slug, probe.provider, sizeof(probe.provider)) ||
        !ask(provider, endpoint, arena, &question) ||
        cp_probe_worst(endpoint, question.body.n, question.max_tokens, &probe.reserved) != SB_OK)
        return false;
    probe.kind = question.kind;
    *ret_probe = probe;
    return true;
}

/* Adds one, and posts what is full. */
static void add_wanted(struct cp_prober *prober, const struct cp_probe *probe,
                       struct cp_probes **wanted)
{
    if (*wanted == NULL)
        *wanted = cp_probes_new(CP_PROBES_WANTED, prober->term);
    (*wanted)->probes[(*wanted)->n++] = *probe;
    if ((*wanted)->n < CP_PROBES_MAX)
        return;
    (void)sb_mailbox_post(prober->conf.ledger, &(*wanted)->mail);
    *wanted = NULL;
}

static void want_completions(struct cp_prober *prober, sb_msec now, struct cp_probes **wanted)
{
    enum cp_probe_reason reason;
    struct cp_probe probe;
    uint64_t id;

    while (prober->n_open < prober->conf.concurrency &&
           cp_plan_take(prober->plan, now, &id, &reason)) {
        if (!want(prober, id, reason, &probe)) {
            cp_plan_put_off(prober->plan, id, CP_PLAN_PAUSE_MAX, now);
            continue;
        }
        prober->n_open++;
        add_wanted(prober, &probe, wanted);
    }
}

static void want_lists(struct cp_prober *prober, sb_msec now, struct cp_probes **wanted)
{
    struct cp_probe probe;

    while (prober->n_lists < CP_PROBER_LISTS && cp_probe_lists_take(prober->lists, now, &probe)) {
        prober->n_lists++;
        add_wanted(prober, &probe, wanted);
    }
}

static void on_next(struct sb_reactor_timer *timer)
{
    look(container_of(timer, struct cp_prober, next));
}

/* Asks for all whose turn it is, and sets the clock for the next. */
static void look(struct cp_prober *prober)
{
    sb_msec now = sb_reactor_now(prober->reactor), wait = LONGEST_WAIT;
    struct cp_probes *wanted = NULL;

    if (!prober->leading || prober->catalog == NULL || !prober->has_pulse)
        return;
    if (prober->plan != NULL) {
        want_completions(prober, now, &wanted);
        wait = cp_plan_wait(prober->plan, now, wait);
    }
    if (prober->lists != NULL) {
        want_lists(prober, now, &wanted);
        wait = cp_probe_lists_wait(prober->lists, now, wait);
    }
    if (wanted != NULL)
        (void)sb_mailbox_post(prober->conf.ledger, &wanted->mail);
    sb_reactor_timer_start(prober->reactor, &prober->next,
                           wait > SHORTEST_WAIT ? wait : SHORTEST_WAIT, 0, on_next);
}

/* --- one probe ---------------------------------------------------------------------------- */

static bool on_body(void *ctx, unsigned status, struct sb_slice bytes)
{
    struct job *job = ctx;

    if (status != 200) /* an error's text is of no use, and may hold a key */
        return false;
    if (job->probe.kind != CP_PROBE_COMPLETION)
        return sb_buf_append(&job->whole, bytes) == SB_OK;
    return cp_probe_answer_take(&job->answer, bytes, cp_fetch_age(job->fetch)) == SB_OK;
}

static void count(struct cp_stats *stats, enum msg_outcome outcome)
{
    if (outcome == MSG_OUTCOME_SUCCESS)
        cp_stat_add(stats, probes[CP_PROBE_STAT_SUCCESS], 1);
    else if (msg_outcome_is_fault(outcome))
        cp_stat_add(stats, probes[CP_PROBE_STAT_FAULT], 1);
    else
        cp_stat_add(stats, probes[CP_PROBE_STAT_OTHER], 1);
}

static unsigned *open_of(struct cp_prober *prober, enum cp_probe_kind kind)
{
    return kind == CP_PROBE_MODELS ? &prober->n_lists : &prober->n_open;
}

static void release(struct job *job)
{
    sb_list_remove(&job->link);
    *open_of(job->prober, job->probe.kind) -= 1;
    cp_probe_answer_release(&job->answer);
    sb_buf_release(&job->whole);
    sb_mem_free(job);
}

static int64_t unix_second(void)
{
    return (int64_t)(sb_clock_wall(&sb_clock_system) / SB_USEC_PER_SEC);
}

static void tell_tables(const struct cp_prober *prober, const struct cp_probe *probe)
{
    if (probe->outcome != MSG_OUTCOME_INTERNAL) /* it was sent, or tried to be */
        (void)sb_mailbox_post(prober->conf.tables, &cp_probe_sample(probe, unix_second())->mail);
}

/* Tells everybody; takes job. */
static void finish(struct job *job)
{
    struct cp_prober *prober = job->prober;
    struct cp_probes *done = cp_probes_new(CP_PROBES_DONE, prober->term);
    const struct cp_probe *probe = &job->probe;
    sb_msec now = sb_reactor_now(prober->reactor);

    done->probes[done->n++] = *probe;
    (void)sb_mailbox_post(prober->conf.ledger, &done->mail);
    count(prober->conf.stats, probe->outcome);
    sb_log_debug(
        PROBE,
        "probed kind=%s provider=%s endpoint=%s outcome=%s status=%u first_token_us=%" PRIu32
        " cost=%" PRId64,
        cp_probe_kind_name(probe->kind), probe->provider, probe->name,
        msg_outcome_name((int)probe->outcome), probe->status, probe->first_token, probe->cost);
    if (probe->cost > probe->reserved)
        sb_log_warn(PROBE, "a probe cost more than it could endpoint=%s, no more of it today",
                    probe->name);
    if (probe->kind == CP_PROBE_MODELS) {
        cp_probe_lists_done(prober->lists, probe, now);
    } else {
        tell_tables(prober, probe);
        cp_plan_done(prober->plan, probe->endpoint, probe->outcome != MSG_OUTCOME_SUCCESS, now);
    }
    release(job);
    look(prober);
}

/* Tells the ledger what the list says. */
static void conclude_list(struct job *job, const struct cp_fetch_end *end)
{
    struct cp_prober *prober = job->prober;
    struct cp_sightings *sightings = cp_sightings_new(prober->term);

    cp_probe_lists_conclude(prober->catalog->snapshot, end, sb_buf_slice(&job->whole), &job->probe,
                            sightings);
    if (sightings->has_models)
        (void)sb_mailbox_post(prober->conf.ledger, &sightings->mail);
    else
        cp_mail_free(&sightings->mail);
}

static void on_end(void *ctx, const struct cp_fetch_end *end)
{
    struct job *job = ctx;
    struct cp_probe *probe = &job->probe;

    job->fetch = NULL;
    if (probe->kind == CP_PROBE_EMBEDDING && end->status == 200 &&
        end->outcome == MSG_OUTCOME_SUCCESS)
        cp_probe_answer_take_embedding(&job->answer, sb_buf_slice(&job->whole), end->took / 1000);
    if (probe->kind != CP_PROBE_MODELS)
        cp_probe_conclude(probe, end, &job->answer, job->request_bytes, &job->tariff);
    else
        conclude_list(job, end);
    finish(job);
}

static const struct cp_fetch_reader reader = {.on_body = on_body, .on_end = on_end};

static const size_t bytes_limits[] = {
    [CP_PROBE_COMPLETION] = CP_PROBE_ANSWER_MAX,
    [CP_PROBE_MODELS] = CP_MODELS_BYTES_MAX,
    [CP_PROBE_EMBEDDING] = CP_PROBE_EMBEDDING_MAX,
};

/* Sends it.  The key is unsealed for as long as that takes. */
static int send(struct job *job, uint32_t index, const char *path, struct sb_slice body,
                struct sb_errmsg *err)
{
    struct cp_prober *prober = job->prober;
    const struct msg_snapshot *snapshot = prober->catalog->snapshot;
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(SCRATCH);
    SB_CLEANUP(sb_secret_destroy) struct sb_secret *auth = NULL;
    struct cp_probe_call call = {
        .provider = &snapshot->providers[index], .path = path, .body = body};
    struct cp_fetch_request request;
    int rc;

    if (!cp_probe_credential(snapshot, index, &call.credential))
        return sb_err_set(err, SB_ENOENT, "the house has no key any more");
    rc = cp_probe_request_make(&call, prober->conf.keyring, arena, &request, &auth, err);
    if (rc != SB_OK)
        return rc;
    request.connect_limit = CP_PROBER_CONNECT_LIMIT;
    request.first_limit = CP_PROBER_FIRST_LIMIT;
    request.limit = CP_PROBER_LIMIT;
    request.bytes_limit = bytes_limits[job->probe.kind];
    job->request_bytes = body.n;
    rc = cp_fetch_start(prober->fetcher, &request, &reader, job, &job->fetch);
    return rc == SB_OK ? rc : sb_err_set(err, rc, "libcurl does not take the request");
}

static void keep_tariff(struct job *job, const struct msg_endpoint *endpoint)
{
    memcpy(job->prices.at, endpoint->price, sizeof(job->prices.at));
    for (size_t i = 0; i < endpoint->n_overrides; i++)
        job->overrides[i] = endpoint->overrides[i];
    job->tariff = (struct msg_tariff){
        .price = job->prices.at, .overrides = job->overrides, .n_overrides = endpoint->n_overrides};
}

static int send_question(struct job *job, struct sb_errmsg *err)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(SCRATCH);
    const struct msg_snapshot *snapshot = job->prober->catalog->snapshot;
    const struct msg_endpoint *endpoint = endpoint_of(job->prober, job->probe.endpoint);
    struct cp_probe_question question;

    if (endpoint == NULL ||
        !ask(&snapshot->providers[endpoint->provider], endpoint, arena, &question) ||
        question.kind != job->probe.kind)
        return sb_err_set(err, SB_ENOENT, "it is gone, or answers something else now");
    keep_tariff(job, endpoint);
    return send(job, endpoint->provider, question.path, question.body, err);
}

static int send_list(struct job *job, struct sb_errmsg *err)
{
    const struct msg_snapshot *snapshot = job->prober->catalog->snapshot;
    uint32_t index = cp_probe_lists_provider(snapshot, sb_slice_of(job->probe.provider));
    const struct cp_probe_dialect *dialect;

    if (index == MSG_NONE)
        return sb_err_set(err, SB_ENOENT, "it is gone");
    dialect = cp_probe_dialect_find(snapshot->providers[index].dialect);
    return dialect == NULL ? sb_err_set(err, SB_EUNSUPPORTED, "its dialect changed")
                           : send(job, index, dialect->models_path, SB_SLICE_NONE, err);
}

static void begin(struct cp_prober *prober, const struct cp_probe *probe)
{
    struct job *job = sb_mem_new(sizeof(*job));
    struct sb_errmsg err = {.text = ""};
    int rc;

    job->prober = prober;
    job->probe = *probe;
    cp_probe_answer_init(&job->answer);
    sb_buf_init(&job->whole, bytes_limits[probe->kind]);
    sb_list_add_tail(&prober->jobs, &job->link);
    rc = probe->kind == CP_PROBE_MODELS ? send_list(job, &err) : send_question(job, &err);
    if (rc == SB_OK)
        return;
    sb_log_warn(PROBE, "cannot probe provider=%s endpoint=%s: %s", probe->provider, probe->name,
                err.text);
    job->probe.outcome = MSG_OUTCOME_INTERNAL; /* says nothing of the endpoint, costs nothing */
    finish(job);
}

/* Takes probes. */
static void on_granted(struct cp_prober *prober, struct cp_probes *probes)
{
    sb_msec now = sb_reactor_now(prober->reactor);

    if (!prober->leading || probes->term != prober->term || prober->catalog == NULL) {
        cp_mail_free(&probes->mail); /* of a term that is over: so are its open ones */
        return;
    }
    for (unsigned i = 0; i < probes->n; i++) {
        const struct cp_probe *probe = &probes->probes[i];

        if (probe->is_granted) {
            begin(prober, probe);
            continue;
        }
        *open_of(prober, probe->kind) -= 1;
        if (probe->kind == CP_PROBE_MODELS)
            cp_probe_lists_put_off(prober->lists, probe, CP_PROBER_NO_MONEY, now);
        else
            cp_plan_put_off(prober->plan, probe->endpoint, CP_PROBER_NO_MONEY, now);
    }
    cp_mail_free(&probes->mail);
    look(prober);
}

/* --- the pulse -------------------------------------------------------------------------------- */

static void free_pulse(struct sb_ask *ask)
{
    struct cp_ask_pulse *pulse = container_of(ask, struct cp_ask_pulse, ask);

    sb_arena_destroy(&pulse->arena);
    sb_mem_free(pulse);
}

static void on_pulse_timer(struct sb_reactor_timer *timer)
{
    struct cp_prober *prober = container_of(timer, struct cp_prober, pulse);
    struct cp_ask_pulse *pulse;

    if (prober->is_asking)
        return;
    pulse = sb_mem_new(sizeof(*pulse));
    pulse->arena = sb_arena_new(SCRATCH);
    sb_ask_init(&pulse->ask, CP_ASK_PULSE, free_pulse);
    prober->is_asking = true;
    sb_ask_send(&pulse->ask, prober->conf.tables, prober->self);
}

static void on_pulse(struct cp_prober *prober, struct cp_ask_pulse *pulse)
{
    sb_msec now = sb_reactor_now(prober->reactor);

    prober->is_asking = false;
    if (pulse->ask.rc == SB_OK && prober->leading) {
        for (size_t i = 0; prober->plan != NULL && i < pulse->n; i++)
            cp_plan_heard(prober->plan, pulse->pulses[i].endpoint, pulse->pulses[i].age,
                          pulse->pulses[i].is_down, now);
        prober->has_pulse = true;
    }
    sb_ask_release(&pulse->ask);
    look(prober);
}

/* --- the actor ----------------------------------------------------------------------------------
 */

static void give_up(struct cp_prober *prober)
{
    while (!sb_list_is_empty(&prober->jobs)) {
        struct job *job = container_of(sb_list_first(&prober->jobs), struct job, link);

        cp_fetch_cancel(&job->fetch);
        release(job);
    }
    sb_reactor_timer_stop(&prober->next);
    sb_reactor_timer_stop(&prober->pulse);
    forget_catalog(prober);
    cp_plan_destroy(&prober->plan);
    cp_probe_lists_destroy(&prober->lists);
    prober->n_open = 0;
    prober->n_lists = 0;
    prober->has_pulse = false;
    prober->leading = false;
}

static void on_lead(struct cp_prober *prober, const struct cp_lead *lead)
{
    uint64_t seed;

    if (lead->leading == prober->leading && lead->term == prober->term)
        return;
    if (prober->leading)
        give_up(prober);
    prober->term = lead->term;
    if (!lead->leading)
        return;
    sb_random_bytes(&seed, sizeof(seed));
    prober->leading = true;
    if (prober->conf.interval > 0)
        prober->plan = cp_plan_new(prober->conf.interval, seed);
    if (prober->conf.list_interval > 0)
        prober->lists = cp_probe_lists_new(prober->conf.list_interval, ~seed);
    sb_reactor_timer_start(prober->reactor, &prober->pulse, 0, CP_PROBER_PULSE, on_pulse_timer);
}

static void on_mail(void *ctx, struct sb_mail *mail)
{
    struct cp_prober *prober = ctx;

    switch (mail->kind) {
    case CP_MAIL_LEAD:
        on_lead(prober, container_of(mail, struct cp_lead, mail));
        break;
    case CP_MAIL_CATALOG:
        on_catalog(prober, container_of(mail, struct cp_catalog_mail, mail));
        return;
    case CP_MAIL_PROBES:
        on_granted(prober, container_of(mail, struct cp_probes, mail));
        return;
    case CP_ASK_PULSE:
        on_pulse(prober, container_of(mail, struct cp_ask_pulse, ask.mail));
        return;
    default:
        break;
    }
    cp_mail_free(mail);
}

static int on_start(void *ctx, struct sb_reactor *reactor, struct sb_mailbox *self,
                    struct sb_errmsg *err)
{
    struct cp_prober *prober = ctx;
    int rc = cp_fetcher_new(reactor, &prober->fetcher);

    if (rc != SB_OK)
        return sb_err_set(err, rc, "cannot set up libcurl");
    prober->reactor = reactor;
    prober->self = self;
    sb_list_init(&prober->jobs);
    return SB_OK;
}

static void on_stop(void *ctx)
{
    struct cp_prober *prober = ctx;

    give_up(prober);
    cp_fetcher_destroy(&prober->fetcher);
}

static const struct sb_actor_ops ops = {
    .name = "prober", .start = on_start, .on_mail = on_mail, .stop = on_stop};

int cp_prober_start(const struct cp_prober_conf *conf, struct cp_prober **ret,
                    struct sb_errmsg *err)
{
    struct cp_prober *prober = sb_mem_new(sizeof(*prober));
    int rc;

    prober->conf = *conf;
    rc = sb_actor_start(&ops, prober, &prober->actor, err);
    if (rc != SB_OK) {
        sb_mem_free(prober);
        return rc;
    }
    *ret = prober;
    return SB_OK;
}

void cp_prober_stop(struct cp_prober **proberp)
{
    struct cp_prober *prober = *proberp;

    *proberp = NULL;
    if (prober == NULL)
        return;
    sb_actor_stop(&prober->actor);
    sb_mem_free(prober);
}

struct sb_mailbox *cp_prober_mailbox(const struct cp_prober *prober)
{
    return sb_actor_mailbox(prober->actor);
}
