/* controlplane/catalog/records.h - a catalogue document as the records that
 * workers route by, without a database.
 *
 * The same rows in the same order as controlplane/publish/compile.h makes from a store
 * that holds nothing but the document, less what only a store knows: ids count
 * up from 1, there are no version and no cluster keys.  Keys and credentials are
 * left out with their secrets: to routing a provider without credentials is one
 * that wants none, so every endpoint can be tried.  The one tenant is "default".
 */
#pragma once

#include "common/attr.h"
#include "controlplane/catalog/catalog.h"

struct msg_snapshot;

/* catalog: without problems.  The records and all that they refer to are in
 * arena.  Errors: SB_EINVAL when the document does not stand alone (an endpoint
 * of a model or provider that it does not name), with what is wrong in
 * problems; SB_ENOMEM, SB_ETOOBIG. */
int cp_records_make(const struct cp_catalog *catalog, struct sb_arena *arena,
                    struct cp_problems *problems, struct msg_snapshot **ret_records) SB_MUSTCHECK;
