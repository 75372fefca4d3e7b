/* controlplane/ctl/proofs.h - what commands that prove something share: whom
 * they trust, and hashes out of answers. */
#pragma once

#include "common/attr.h"
#include "common/json.h"
#include "common/merkle.h"
#include "common/note.h"
#include "controlplane/ctl/checkpoints.h"

struct ctl;
struct ctl_findings;

/* Nothing of the server: a public key, and checkpoints that were kept outside
 * of the database. */
struct ctl_trust {
    struct sb_note_key key;
    struct ctl_checkpoints checkpoints;
    const char *path; /* of the file they are from */
};
/* --log-key and --checkpoints, or those of the home.  A file of checkpoints
 * that nobody named may be missing.  CTL_DONE, CTL_FAILED. */
int ctl_trust_load(struct ctl *ctl, const struct ctl_part *part, struct ctl_findings *findings,
                   struct ctl_trust *ret) SB_MUSTCHECK;
/* The key alone; and checkpoints only when --checkpoints names them: what is
 * verified carries its own. */
int ctl_trust_load_key(struct ctl *ctl, struct ctl_findings *findings,
                       struct ctl_trust *ret) SB_MUSTCHECK;

/* The edge of the log when it had size entries; it is checked by whoever has its
 * root. */
int ctl_fetch_edge(struct ctl *ctl, uint64_t size, struct sb_merkle_edge *ret) SB_MUSTCHECK;
