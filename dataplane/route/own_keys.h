/* dataplane/route/own_keys.h - house and own credentials (ROUTING.md 7): which
 * classes an endpoint can be tried in, and with which keys. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/vocabulary.h"

struct dp_credentials;
struct dp_endpoint;
struct dp_filter;

/* The keys of one class, in their sequence; none for a provider that wants
 * none. */
struct dp_credentials dp_class_keys(const struct dp_filter *filter,
                                    const struct dp_endpoint *endpoint,
                                    enum msg_credential_kind kind);
/* Whether there is any way to pay for it, by whatever `byok`: a key of the
 * house or an own one, or a provider that wants none. */
bool dp_has_key(const struct dp_filter *filter, const struct dp_endpoint *endpoint);
/* Writes the classes that may be used, at most two; returns how many. */
uint32_t dp_classes_of(const struct dp_filter *filter, const struct dp_endpoint *endpoint,
                       enum msg_credential_kind ret_kinds[2]);
