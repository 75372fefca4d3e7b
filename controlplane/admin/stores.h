/* controlplane/admin/stores.h - a few connections to the database, shared by
 * the threads of the server.
 *
 * A store is opened when it is first needed, and kept.  Who cannot get one in
 * time is told so, instead of waiting for ever behind a slow database.
 */
#pragma once

#include "common/attr.h"
#include "common/err.h"
#include "controlplane/config/store.h"

struct cp_stores;

enum {
    CP_STORES_MAX = 8,
    CP_STORES_WAIT_MSEC = 5000,
};

/* Copies the texts of conf; borrows keyring and clock.  Connects to nothing. */
struct cp_stores *cp_stores_new(const struct cp_store_conf *conf);
/* All must have been given back. */
void cp_stores_destroy(struct cp_stores **stores);

/* SB_EAGAIN: all are busy; else as cp_store_new(). */
int cp_stores_take(struct cp_stores *stores, struct cp_store **ret_store,
                   struct sb_errmsg *err) SB_MUSTCHECK;
/* Sets *store to NULL; NULL is fine. */
void cp_stores_give(struct cp_stores *stores, struct cp_store **store);

/* The code of a query of our own that failed, and its text in err: values that
 * the server refuses are no mistake of who asked, SB_EINVAL becomes SB_EDB. */
int cp_stores_failure(struct cp_store *store, int rc, struct sb_errmsg *err);
