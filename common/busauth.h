/* common/busauth.h - who may connect to the bus over TCP: the authorised keys
 * and the process's ZAP handler.
 *
 * The keys are either a directory with one public key file NAME.pub each
 * (common/buskey.h), or one file with lines "<public key> <name>", where
 * empty lines and those that start with "# " are skipped.  The name says whose key
 * it is: messages of that peer carry both, see sb_bus_msg_key() and
 * sb_bus_msg_name().
 *
 * Who is turned away is told "not now": its library tries again every one to
 * five seconds, so a key that is authorised later gets in without a restart.
 * (After a plain "no", libzmq gives up for ever.)
 */
#pragma once

#include <stdbool.h>

#include "common/attr.h"
#include "common/err.h"
#include "common/slice.h"

struct sb_busauth;

enum {
    SB_BUSAUTH_NAME_MAX = 64, /* bytes; letters, digits, '.', '_', '-' */
    SB_BUSAUTH_KEYS_MAX = 10000,
};

/* A peer was turned away: its key in Z85 and its address.  Runs in the
 * handler's thread; repeats as often as the peer tries. */
typedef void sb_busauth_refused_cb(void *ctx, struct sb_slice key, struct sb_slice address);

/* Loads the keys and starts the handler, an actor; one per process, before
 * the sockets that use it.  on_refused may be NULL.  SB_ENOENT; SB_EPARSE
 * names file and line; SB_EEXIST: a key or name comes twice; SB_EADDRINUSE:
 * there is a handler already. */
int sb_busauth_start(const char *path, sb_busauth_refused_cb *on_refused, void *ctx,
                     struct sb_busauth **ret, struct sb_errmsg *err) SB_MUSTCHECK;
/* After the sockets that use it are destroyed. */
void sb_busauth_stop(struct sb_busauth **auth);
/* Reads the same path again, from any thread; on failure the old keys stay.
 * New connections see the change.  Connections that exist go on: a receiver
 * that must not hear a removed key asks sb_busauth_allows(). */
int sb_busauth_reload(struct sb_busauth *auth, struct sb_errmsg *err) SB_MUSTCHECK;
/* From any thread.  key: Z85, as sb_bus_msg_key() gives it. */
bool sb_busauth_allows(struct sb_busauth *auth, struct sb_slice key);

/* For common/bus.c: a socket relies on the handler.  libzmq lets everybody in
 * when there is none, so it is a bug (and aborts) if it ends while held. */
void sb_busauth_hold(struct sb_busauth *auth);
void sb_busauth_release(struct sb_busauth *auth);
