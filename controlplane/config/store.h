/* controlplane/config/store.h - the configuration in PostgreSQL, and its history.
 *
 * Every change is one transaction that begins by taking the next revision, so
 * revisions are in commit order; it writes who, when and each object before and
 * after, changes the tables, and notifies CP_CHANNEL_CONFIG.  A change that
 * changes nothing makes no revision.
 *
 * A store has a connection of its own (service role) and belongs to one thread.
 * Every call that finds the connection lost tries once to connect again before
 * it begins; codes beside those named are those of controlplane/db.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/attr.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/slice.h"
#include "controlplane/catalog/catalog.h"
#include "controlplane/catalog/problem.h"
#include "controlplane/db.h"
#include "proto/version.h"

struct cp_store;
struct sb_buf;
struct sb_keyring;
struct sb_secret;
struct cp_scope;

struct cp_store_conf {
    struct cp_db_conf db;
    const struct sb_keyring *keyring; /* borrowed; seals credentials, hashes API keys */
    const struct sb_clock *clock;     /* borrowed */
};

/* The schema must be there (controlplane/migrate.h).  SB_EVERSION: it is older
 * or newer than this program. */
int cp_store_new(const struct cp_store_conf *conf, struct cp_store **ret_store,
                 struct sb_errmsg *err) SB_MUSTCHECK;
void cp_store_destroy(struct cp_store **store);
/* For other queries of the same thread; borrowed. */
struct cp_db *cp_store_db(struct cp_store *store);

/* --- changing ----------------------------------------------------------------------- */

#define CP_ANY_REVISION UINT64_MAX

struct cp_change {
    struct sb_slice author;       /* who; 1 to MSG_NAME_MAX bytes */
    struct sb_slice role;         /* that the author had; empty: the daemon itself */
    struct sb_slice address;      /* it came from; empty: not known, or the daemon itself */
    const struct cp_scope *scope; /* what it may touch; NULL: everything */
    struct sb_slice note;         /* why, or empty; MSG_TEXT_MAX bytes at most */
    uint64_t if_match;            /* only if this is the newest revision, or CP_ANY_REVISION */
    bool dry_run;                 /* find out, change nothing */
    bool force;                   /* may remove more than half */
    bool prune;                   /* apply: remove what files made and this one does not name */
};

/* An API key that was made: shown once, stored nowhere. */
struct cp_made_key {
    struct cp_made_key *next;
    struct sb_slice name;
    const struct sb_secret *secret; /* destroyed with the arena */
};

/* A sentence about what was left as it is, or needs doing. */
struct cp_note {
    struct cp_note *next;
    struct sb_slice text;
};

struct cp_result {
    struct msg_version version; /* newest after the change; on a dry run, that it would be */
    bool changed;               /* a revision was made, or would be */
    uint64_t added, changed_objects, removed;
    /* JSON array of {"kind", "name", "action": added|changed|removed, "before",
     * "after", "secret_changed"}, at most CP_DIFFERENCE_MAX of them. */
    struct sb_slice difference;
    struct cp_made_key *made;
    struct cp_note *notes;
};
enum { CP_DIFFERENCE_MAX = 1000 };

/* What a change may end in, beside the codes of the database:
 *      SB_EINVAL     problems says what is wrong, all of it
 *      SB_ECONFLICT  if_match is not the newest revision
 *      SB_EACCES     it removes more than half of at least ten endpoints or
 *                    keys, or the last endpoint: needs force; err says which
 *      SB_EFORBIDDEN it touches what is outside of its scope; err says which
 *      SB_ENOENT     no such object, no such revision
 *      SB_ENOMEM, SB_ETOOBIG
 * Nothing has changed then.  Results and problems are in arena. */
struct cp_answer {
    struct sb_arena *arena; /* borrowed */
    struct cp_problems problems;
    struct cp_result result; /* meaningful after SB_OK */
    struct sb_errmsg err;
};
/* Zeroes the answer and keeps arena in it. */
void cp_answer_init(struct cp_answer *answer, struct sb_arena *arena);

/* Applies a whole document. */
int cp_store_apply(struct cp_store *store, struct sb_slice text, enum cp_doc_format format,
                   const struct cp_change *change, struct cp_answer *answer) SB_MUSTCHECK;
/* Makes or replaces one object.  body: JSON or YAML. */
int cp_store_put(struct cp_store *store, enum cp_kind kind, struct sb_slice name,
                 struct sb_slice body, const struct cp_change *change,
                 struct cp_answer *answer) SB_MUSTCHECK;
/* RFC 7396 on what cp_store_get() shows; body is JSON. */
int cp_store_patch(struct cp_store *store, enum cp_kind kind, struct sb_slice name,
                   struct sb_slice body, const struct cp_change *change,
                   struct cp_answer *answer) SB_MUSTCHECK;
/* Removes one object; a key is revoked, which nothing undoes.  What others
 * refer to is not removed (SB_EINVAL); a provider takes its credentials along. */
int cp_store_delete(struct cp_store *store, enum cp_kind kind, struct sb_slice name,
                    const struct cp_change *change, struct cp_answer *answer) SB_MUSTCHECK;
/* Makes a new revision in which everything is as it was after that revision.
 * Revoked keys stay revoked, deleted credentials deleted, secrets as they are:
 * notes says where that makes a difference.  SB_ENOENT: no such revision yet. */
int cp_store_rollback(struct cp_store *store, uint64_t revision, const struct cp_change *change,
                      struct cp_answer *answer) SB_MUSTCHECK;

/* --- reading --------------------------------------------------------------------------- */

int cp_store_head(struct cp_store *store, struct msg_version *ret_version) SB_MUSTCHECK;

/* Bytes of a cursor, with its NUL. */
enum { CP_CURSOR_MAX = 400, CP_LIMIT_MAX = 1000 };

struct cp_page {
    size_t limit;               /* 1 to CP_LIMIT_MAX */
    char cursor[CP_CURSOR_MAX]; /* in: where to go on, or ""; out: the next, "" at the end */
    /* Only what is of these: a JSON array of names; empty: everything. */
    struct sb_slice tenants;
};

/* Append a JSON value to out: an array of objects, or one object, with what the
 * store knows beside ("id", "revision", ... which a PUT ignores).  Never a
 * secret.  SB_ENOENT, SB_ETOOBIG; SB_EINVAL: the cursor is not one of ours. */
int cp_store_list(struct cp_store *store, enum cp_kind kind, struct cp_page *page,
                  struct sb_buf *out) SB_MUSTCHECK;
int cp_store_get(struct cp_store *store, enum cp_kind kind, struct sb_slice name,
                 struct sb_buf *out) SB_MUSTCHECK;
/* The whole as one document that cp_store_apply() takes, of one revision. */
int cp_store_catalog(struct cp_store *store, struct sb_buf *out,
                     struct msg_version *ret_version) SB_MUSTCHECK;

/* Newest first: {"revision", "epoch", "at", "author", "role", "address", "action", "note", "added",
 * "changed", "removed"}. */
int cp_store_revisions(struct cp_store *store, struct cp_page *page,
                       struct sb_buf *out) SB_MUSTCHECK;
/* One of them, with its "difference". */
int cp_store_revision(struct cp_store *store, uint64_t revision, struct sb_buf *out) SB_MUSTCHECK;
/* The difference between two revisions, older first: an array as in cp_result. */
int cp_store_compare(struct cp_store *store, uint64_t older, uint64_t newer,
                     struct sb_buf *out) SB_MUSTCHECK;
