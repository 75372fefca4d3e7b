/* controlplane/probes/sightings.h - what a provider's list of models says that the
 * catalogue does not, and what becomes of it.
 *
 * Only prices ever change anything by themselves, and only where the operator
 * chose so for the provider (price_updates: apply); that is a revision of its
 * own with the author "prober".  Otherwise the price is kept in price_sightings,
 * and either way an event is recorded.  A price that rose by more than the
 * limit is never applied.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/mailbox.h"
#include "controlplane/probes/probe.h"
#include "proto/version.h"

struct cp_listed;
struct cp_store;
struct sb_arena;
struct sb_errmsg;

struct cp_sighting {
    struct sb_slice endpoint;            /* model@tag */
    struct sb_slice upstream;            /* the name that the provider should list */
    bool is_missing;                     /* it does not; nothing else is meaningful then */
    uint32_t have_context, seen_context; /* seen: 0 not said */
    int64_t have[MSG_PRICE_COUNT], seen[MSG_PRICE_COUNT];
};

/* Of one provider, from the prober to the ledger. */
struct cp_sightings {
    struct sb_mail mail;
    uint64_t term;
    struct msg_version version; /* of the configuration that was compared */
    struct sb_arena *arena;     /* of all texts; its own */
    struct sb_slice provider;   /* slug */
    bool has_models;            /* the list does; without any it says nothing */
    struct cp_sighting *all;
    size_t n;
};
struct cp_sightings *cp_sightings_new(uint64_t term);

/* Pure: compares a list with the endpoints of a provider (an index), and adds
 * what differs. */
void cp_sightings_compare(struct cp_sightings *sightings, const struct msg_snapshot *snapshot,
                          uint32_t provider, const struct cp_listed *models, size_t n);

/* Acts on all of them, over store's connection, and tells of endpoints whose
 * model was missing and is listed again.  Changes are made only while
 * the configuration is the one that was compared; what was told before is not
 * told again.  SB_ECONFLICT: it changed meanwhile, compare again; else the code
 * of the first that failed, with its text in err. */
int cp_sightings_act(struct cp_store *store, const struct cp_sightings *sightings,
                     unsigned rise_limit, struct sb_errmsg *err) SB_MUSTCHECK;
