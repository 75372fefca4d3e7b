/* controlplane/peer.h - one bus connection to the daemon: sb_bus_msg_peer(),
 * kept. */
#pragma once

#include <stdint.h>

#include "common/slice.h"

enum { CP_PEER_MAX = 255 };
struct cp_peer {
    uint8_t n; /* bytes; 0: nobody */
    char id[CP_PEER_MAX];
};

static inline struct cp_peer cp_peer_of(struct sb_slice id)
{
    struct cp_peer peer = {.n = id.n <= CP_PEER_MAX ? (uint8_t)id.n : 0};

    if (peer.n > 0)
        memcpy(peer.id, id.p, peer.n);
    return peer;
}

static inline struct sb_slice cp_peer_id(const struct cp_peer *peer)
{
    return sb_slice_make(peer->id, peer->n);
}
