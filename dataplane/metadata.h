/* dataplane/metadata.h - the decision inside an answer, for those who ask for
 * it (ROUTING.md 9): switchboard_metadata, or openrouter_metadata. */
#pragma once

#include "common/slice.h"

struct dp_request;

/* While the snapshot is pinned: keeps the members that need it. */
void dp_metadata_make(struct dp_request *req);
/* The whole object, in the arena, with the attempts made so far; without what
 * nobody has asked for when the request has no metadata_name. */
struct sb_slice dp_metadata_json(struct dp_request *req);
