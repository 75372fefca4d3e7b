/* proto/unique.c */
#include "proto/unique.h"

#include <stdbool.h>
#include <string.h>

#include "common/check.h"
#include "common/err.h"
#include "common/mem.h"

/* uthash takes memory by our door and reports when there is none.  Its default
 * hash falls through switch labels, of which clang warns. */
#define HASH_FUNCTION(key, n, hash) HASH_OAT(key, n, hash)
#define uthash_malloc(size)         sb_mem_try(size)
#define uthash_free(p, size)        sb_mem_free(p)
#define HASH_NONFATAL_OOM           1
#define uthash_nonfatal_oom(elt)    out_of_memory = true
#include <uthash.h>

struct member {
    UT_hash_handle hh;
};

struct msg_unique {
    struct member *first; /* uthash's head */
    size_t n, room;
    struct member members[];
};

int msg_unique_new(size_t n, struct msg_unique **ret_set)
{
    struct msg_unique *set = sb_mem_try(sizeof(*set) + n * sizeof(set->members[0]));

    if (set == NULL)
        return SB_ENOMEM;
    set->room = n;
    *ret_set = set;
    return SB_OK;
}

void msg_unique_destroy(struct msg_unique **set)
{
    if (*set == NULL)
        return;
    HASH_CLEAR(hh, (*set)->first);
    sb_mem_free(*set);
    *set = NULL;
}

/* One call as a person counts; uthash's macros make it a long one. */
/* NOLINTNEXTLINE(readability-function-size) */
int msg_unique_add(struct msg_unique *set, struct sb_slice key)
{
    struct member *found, *member;
    bool out_of_memory = false;
    unsigned hash;

    HASH_VALUE(key.p, key.n, hash);
    HASH_FIND_BYHASHVALUE(hh, set->first, key.p, key.n, hash, found);
    if (found != NULL)
        return SB_EEXIST;
    SB_BUG_ON(set->n == set->room);
    member = &set->members[set->n];
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, set->first, key.p, key.n, hash, member);
    if (out_of_memory)
        return SB_ENOMEM;
    set->n++;
    return SB_OK;
}
