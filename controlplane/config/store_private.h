/* controlplane/config/store_private.h - what store.c and store_read.c share. */
#pragma once

#include "controlplane/config/store.h"

struct cp_store {
    struct cp_store_conf conf; /* without the settings of the connection */
    struct cp_db *db;
};

/* Connects again if that is needed. */
int cp_store_ready(struct cp_store *store) SB_MUSTCHECK;
/* Appends the normal form of one object.  SB_ENOENT. */
int cp_store_read_object(struct cp_db *db, enum cp_kind kind, struct sb_slice name,
                         struct sb_buf *out) SB_MUSTCHECK;
