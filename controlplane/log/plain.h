/* controlplane/log/plain.h - what is kept plain beside an entry of the log: the salt
 * of its hashes, and personal data where a policy asks for it.
 *
 * The entry has hashes of them only, so that they can be destroyed; nothing else
 * ties them to what was logged.  Pure.
 */
#pragma once

#include "controlplane/log/columns.h"

/* What is not what the entry's hashes were made of: "user", "metadata" or
 * "user,metadata"; "salt": the salt is another; "no salt": a request has hashes and no
 * salt, as erasing leaves it; NULL: all fits, or the kind has nothing beside its entries.
 * Plain data without a hash or a salt does not fit: a record has all of them or, when
 * it was erased, neither salt nor plain. */
const char *cp_plain_unfit(enum cp_entry_kind kind, const struct cp_value *values);
