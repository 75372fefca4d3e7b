/* controlplane/probes/location.h - whether a provider's addresses lie where its endpoints claim.
 *
 * An endpoint claims a region, or with eu_resident the European Union.  An
 * address in a country outside of that is evidence against: eu_resident becomes
 * `no`, as a revision of "prober" that names the address, and an event is
 * recorded.  Nothing here ever makes a claim better, and an address of which
 * nobody knows the country says nothing.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/attr.h"
#include "common/network.h"
#include "common/slice.h"
#include "proto/vocabulary.h"

struct cp_store;
struct sb_errmsg;

enum cp_location_verdict {
    CP_LOCATION_FINE,    /* inside, or nothing is claimed */
    CP_LOCATION_OUTSIDE, /* and eu_resident is left: it is not yes, nor does the region promise it
                          */
    CP_LOCATION_REFUTED, /* and eu_resident becomes no */
};
/* Pure.  region: a country, "eu", "us", "global", or empty; country: a number
 * of proto/country.h. */
enum cp_location_verdict cp_location_judge(struct sb_slice region, enum msg_tri eu_resident,
                                           int country);

/* An address and its country. */
struct cp_located {
    struct sb_address address;
    int country; /* of proto/country.h, never -1 */
};

/* What is known of one provider's host. */
struct cp_locations {
    uint64_t term;            /* of the leader that looked */
    struct sb_slice provider; /* slug */
    struct sb_slice host;
    const char *date; /* of the country database */
    const struct cp_located *all;
    size_t n;
};

/* Judges all endpoints of the provider, and acts, over store's connection.  An
 * address is told once per endpoint and region that it claims, and each time
 * that a claim is changed for it.  *ret_refuted counts changed claims.
 * SB_ECONFLICT: the configuration changed meanwhile, look again; else the code
 * of what failed, with its text in err. */
int cp_location_act(struct cp_store *store, const struct cp_locations *locations,
                    uint64_t *ret_refuted, struct sb_errmsg *err) SB_MUSTCHECK;
