/* controlplane/ctl/market.h - a catalogue file, and what is known of its
 * endpoints, made ready for the routing code.
 *
 * Pure, and alone: no daemon is asked.  What is measured comes as `tables -o
 * json` or `-o yaml` prints it; a catalogue itself has no such numbers.  Marks
 * of outages and cooldowns are not read: a simulation is of any day, not of
 * this minute.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/attr.h"
#include "common/clock.h"
#include "common/slice.h"
#include "controlplane/catalog/doc.h"
#include "controlplane/catalog/problem.h"

struct dp_snapshot;
struct dp_tables;

struct ctl_market {
    struct dp_snapshot *snapshot; /* one tenant, no keys */
    struct dp_tables *tables;     /* a row for each endpoint */
    size_t n_unknown;             /* rows of endpoints that the catalogue does not have */
};

/* Tables age; everything in a market is of this moment. */
#define CTL_MARKET_NOW ((sb_msec)1)

/* Reads the catalogue, a document of `format`.  SB_EINVAL: problems says what
 * is wrong; SB_ENOMEM, SB_ETOOBIG.  Texts of problems are in the arena that
 * the list was made with. */
int ctl_market_new(struct sb_slice catalogue, enum cp_doc_format format,
                   struct cp_problems *problems, struct ctl_market **ret_market) SB_MUSTCHECK;
/* NULL is fine. */
void ctl_market_destroy(struct ctl_market **market);

/* Fills the tables, once.  measured: empty when nothing is known.  completion:
 * tokens that answers have in the mean, at every endpoint.  Errors as above;
 * paths begin with "[0]". */
int ctl_market_measure(struct ctl_market *market, struct sb_slice measured, uint32_t completion,
                       struct cp_problems *problems) SB_MUSTCHECK;
