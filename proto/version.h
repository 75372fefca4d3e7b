/* proto/version.h - which state of the configuration somebody holds.
 *
 * Both numbers come from PostgreSQL: the epoch names one history of the
 * database, the revision counts committed changes inside it.  Ordered as a
 * pair.  {0, 0} means "none".
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct msg_version {
    uint64_t epoch;
    uint64_t revision;
};

/* Below, equal, above: -1, 0, 1. */
static inline int msg_version_cmp(struct msg_version a, struct msg_version b)
{
    if (a.epoch != b.epoch)
        return a.epoch < b.epoch ? -1 : 1;
    if (a.revision != b.revision)
        return a.revision < b.revision ? -1 : 1;
    return 0;
}

static inline bool msg_version_is_none(struct msg_version v)
{
    return v.epoch == 0 && v.revision == 0;
}
