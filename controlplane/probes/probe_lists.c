/* controlplane/probes/probe_lists.c */
#include "controlplane/probes/probe_lists.h"

#include "common/arena.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/secret.h"
#include "controlplane/probes/fetch.h"
#include "controlplane/probes/models_list.h"
#include "controlplane/probes/probe_answer.h"
#include "controlplane/probes/probe_plan.h"
#include "controlplane/probes/probe_request.h"
#include "controlplane/probes/sightings.h"

enum { SCRATCH = 4096 };

struct cp_probe_lists {
    struct cp_plan *plan; /* by list_id() */
    const struct msg_snapshot *snapshot;
};

/* Providers have no number of their own. */
static uint64_t list_id(struct sb_slice slug)
{
    static const uint8_t key[SB_SHORT_KEY_BYTES];

    return sb_hash_short(key, slug);
}

/* MSG_NONE: it is gone. */
static uint32_t provider_of(const struct msg_snapshot *snapshot, uint64_t id)
{
    for (size_t i = 0; i < snapshot->n_providers; i++)
        if (list_id(snapshot->providers[i].slug) == id)
            return (uint32_t)i;
    return MSG_NONE;
}

uint32_t cp_probe_lists_provider(const struct msg_snapshot *snapshot, struct sb_slice slug)
{
    return provider_of(snapshot, list_id(slug));
}

/* --- turns --------------------------------------------------------------------------- */

struct cp_probe_lists *cp_probe_lists_new(sb_msec interval, uint64_t seed)
{
    struct cp_probe_lists *lists = sb_mem_new(sizeof(*lists));

    lists->plan = cp_plan_new(interval, seed);
    return lists;
}

void cp_probe_lists_destroy(struct cp_probe_lists **lists)
{
    if (*lists != NULL)
        cp_plan_destroy(&(*lists)->plan);
    sb_mem_free(*lists);
    *lists = NULL;
}

int cp_probe_lists_set(struct cp_probe_lists *lists, const struct msg_snapshot *snapshot,
                       sb_msec now)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(SCRATCH);
    size_t room = snapshot->n_providers + 1, n = 0;
    uint64_t *ids = sb_arena_try(arena, room * sizeof(*ids));
    const struct msg_credential *credential;

    lists->snapshot = snapshot;
    if (ids == NULL)
        return SB_ENOMEM;
    for (size_t i = 0; i < snapshot->n_providers; i++) {
        const struct msg_provider *provider = &snapshot->providers[i];

        if (cp_probe_dialect_find(provider->dialect) != NULL &&
            cp_probe_credential(snapshot, (uint32_t)i, &credential))
            ids[n++] = list_id(provider->slug);
    }
    return cp_plan_set(lists->plan, ids, n, now);
}

/* False: it is gone. */
static bool want(const struct cp_probe_lists *lists, uint64_t id, struct cp_probe *ret_probe)
{
    uint32_t provider = provider_of(lists->snapshot, id);
    struct cp_probe probe = {.kind = CP_PROBE_MODELS, .reason = CP_PROBE_SCHEDULED};

    if (provider == MSG_NONE || !sb_slice_copy_text(lists->snapshot->providers[provider].slug,
                                                    probe.provider, sizeof(probe.provider)))
        return false;
    *ret_probe = probe;
    return true;
}

bool cp_probe_lists_take(struct cp_probe_lists *lists, sb_msec now, struct cp_probe *ret_probe)
{
    enum cp_probe_reason reason;
    uint64_t id;

    while (cp_plan_take(lists->plan, now, &id, &reason))
        if (want(lists, id, ret_probe)) /* else the next snapshot forgets it, too */
            return true;
    return false;
}

void cp_probe_lists_done(struct cp_probe_lists *lists, const struct cp_probe *probe, sb_msec now)
{
    cp_plan_done(lists->plan, list_id(sb_slice_of(probe->provider)),
                 probe->outcome != MSG_OUTCOME_SUCCESS, now);
}

void cp_probe_lists_put_off(struct cp_probe_lists *lists, const struct cp_probe *probe,
                            sb_msec pause, sb_msec now)
{
    cp_plan_put_off(lists->plan, list_id(sb_slice_of(probe->provider)), pause, now);
}

sb_msec cp_probe_lists_wait(const struct cp_probe_lists *lists, sb_msec now, sb_msec most)
{
    return cp_plan_wait(lists->plan, now, most);
}

/* --- what one says ---------------------------------------------------------------------- */

static enum msg_outcome read_list(const struct msg_snapshot *snapshot, const char *slug,
                                  struct sb_slice text, struct cp_sightings *sightings)
{
    uint32_t provider = cp_probe_lists_provider(snapshot, sb_slice_of(slug));
    struct cp_listed *models;
    struct sb_errmsg err = {.text = ""};
    size_t n;

    if (cp_models_read(text, sightings->arena, &models, &n, &err) != SB_OK) {
        sb_log_info(PROBE, "the list of models cannot be read provider=%s: %s", slug, err.text);
        return MSG_OUTCOME_BAD_ANSWER;
    }
    if (provider != MSG_NONE)
        cp_sightings_compare(sightings, snapshot, provider, models, n);
    return MSG_OUTCOME_SUCCESS;
}

void cp_probe_lists_conclude(const struct msg_snapshot *snapshot, const struct cp_fetch_end *end,
                             struct sb_slice text, struct cp_probe *probe,
                             struct cp_sightings *sightings)
{
    probe->status = (uint16_t)end->status;
    probe->connect = end->connect;
    probe->took = end->took;
    if (end->status != 0 && end->status != 200)
        probe->outcome = cp_probe_outcome_of_status(end->status);
    else if (end->outcome != MSG_OUTCOME_SUCCESS)
        probe->outcome = end->outcome;
    else
        probe->outcome = read_list(snapshot, probe->provider, text, sightings);
}
