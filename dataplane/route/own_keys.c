/* dataplane/route/own_keys.c */
#include "dataplane/route/own_keys.h"

#include "dataplane/route/filter.h"
#include "dataplane/route/view.h"

struct dp_credentials dp_class_keys(const struct dp_filter *filter,
                                    const struct dp_endpoint *endpoint,
                                    enum msg_credential_kind kind)
{
    switch (kind) {
    case MSG_CREDENTIAL_KIND_OWN:
        return dp_snapshot_own_keys(filter->snapshot, filter->tenant, endpoint->provider);
    case MSG_CREDENTIAL_KIND_HOUSE:
        return filter->snapshot->providers[endpoint->provider].house;
    case MSG_CREDENTIAL_KIND_NONE:
        break;
    }
    return (struct dp_credentials){.n = 0};
}

bool dp_has_key(const struct dp_filter *filter, const struct dp_endpoint *endpoint)
{
    return endpoint->has_house ||
           dp_snapshot_own_keys(filter->snapshot, filter->tenant, endpoint->provider).n > 0;
}

uint32_t dp_classes_of(const struct dp_filter *filter, const struct dp_endpoint *endpoint,
                       enum msg_credential_kind ret_kinds[2])
{
    uint32_t n = 0;

    if (filter->tenant->own_n > 0 && filter->plan->own_allowed &&
        dp_snapshot_own_keys(filter->snapshot, filter->tenant, endpoint->provider).n > 0)
        ret_kinds[n++] = MSG_CREDENTIAL_KIND_OWN;
    if (endpoint->has_house && filter->plan->house_allowed)
        ret_kinds[n++] = (enum msg_credential_kind)endpoint->house;
    return n;
}
