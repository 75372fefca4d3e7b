/* dataplane/upstream/multi.h - libcurl's multi interface on our loop.
 *
 * Watches libcurl's sockets and timers for it.  Nothing of libcurl is called
 * from inside its callbacks: those only note what it wants.  Results come from
 * a task, never from inside a call made here.  Easy handles are void pointers,
 * so that libcurl's header stays with the two files that own it.
 */
#pragma once

#include "common/attr.h"
#include "common/list.h"

struct sb_loop;
struct dp_multi;

struct dp_multi_cbs {
    /* A transfer ended with a CURLcode; its handle is still inside, and may be
     * removed from here. */
    void (*on_result)(void *easy, int result);
    /* The last handle was removed, some time ago and none was added since.
     * The multi may be destroyed from here, and from nowhere else inside a
     * callback of this module. */
    void (*on_empty)(struct dp_multi *multi, void *ctx);
};

/* cbs is borrowed.  NULL when memory or descriptors are gone. */
struct dp_multi *dp_multi_new(struct sb_loop *loop, const struct dp_multi_cbs *cbs, void *ctx);
/* All handles must have been removed.  Sets *multi to NULL; NULL is fine. */
void dp_multi_destroy(struct dp_multi **multi);

/* Errors: SB_EINTERNAL, the handle is not inside then. */
int dp_multi_add(struct dp_multi *multi, void *easy) SB_MUSTCHECK;
/* Ends its transfer, and closes its connection when that is CONNECT_ONLY. */
void dp_multi_remove(struct dp_multi *multi, void *easy);
unsigned dp_multi_count(const struct dp_multi *multi);

/* A link for the caller's list of multis. */
struct sb_list *dp_multi_link(struct dp_multi *multi);
struct dp_multi *dp_multi_of_link(struct sb_list *link);
