/* proto/unique.h - a set of byte strings that says whether one came before.
 *
 * Made for a known number of members, used for one check, thrown away.  Keys
 * are borrowed.  Private to proto/.
 */
#pragma once

#include <stddef.h>

#include "common/attr.h"
#include "common/slice.h"

struct msg_unique;

/* Room for n keys.  Errors: SB_ENOMEM. */
int msg_unique_new(size_t n, struct msg_unique **ret_set) SB_MUSTCHECK;
/* NULL is fine; sets *set to NULL. */
void msg_unique_destroy(struct msg_unique **set);
/* Errors: SB_EEXIST when the key was added before; SB_ENOMEM. */
int msg_unique_add(struct msg_unique *set, struct sb_slice key) SB_MUSTCHECK;
