/* common/list.h - a doubly linked list through links embedded in its items.
 *
 * uthash's utlist.h was weighed and left: its links are typed members of one
 * object, the head must be at hand to remove, and an object that is on no
 * list cannot be told from one at an end.  Ours is what requests and
 * connections need: an item leaves or changes its list knowing only its own
 * link, may sit on several lists by several links, and a link on no list
 * points to itself, so removing twice is harmless.
 *
 * A list and a link are the same struct; both are initialised before use and
 * never copied.  Items are found with container_of() or the loops below.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/attr.h"

struct sb_list {
    struct sb_list *next, *prev;
};

/* For a list (then empty) and for a link (then on no list). */
static inline void sb_list_init(struct sb_list *list)
{
    list->next = list->prev = list;
}

static inline bool sb_list_is_empty(const struct sb_list *list)
{
    return list->next == list;
}

/* Whether the link is on a list. */
static inline bool sb_list_is_linked(const struct sb_list *link)
{
    return link->next != link;
}

/* Inserts a link that is on no list before an item, or at the end when
 * `before` is the list itself. */
static inline void sb_list_insert(struct sb_list *before, struct sb_list *link)
{
    link->prev = before->prev;
    link->next = before;
    before->prev->next = link;
    before->prev = link;
}

static inline void sb_list_add_tail(struct sb_list *list, struct sb_list *link)
{
    sb_list_insert(list, link);
}

static inline void sb_list_add_head(struct sb_list *list, struct sb_list *link)
{
    sb_list_insert(list->next, link);
}

/* Leaves its list, when it is on one. */
static inline void sb_list_remove(struct sb_list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    sb_list_init(link);
}

/* Leaves its list, when it is on one, and joins the end of another. */
static inline void sb_list_move(struct sb_list *link, struct sb_list *list)
{
    sb_list_remove(link);
    sb_list_add_tail(list, link);
}

/* The first or last link, or NULL when the list is empty. */
static inline struct sb_list *sb_list_first(const struct sb_list *list)
{
    return sb_list_is_empty(list) ? NULL : list->next;
}

static inline struct sb_list *sb_list_last(const struct sb_list *list)
{
    return sb_list_is_empty(list) ? NULL : list->prev;
}

/* Removes and returns the first link, or NULL. */
static inline struct sb_list *sb_list_pop(struct sb_list *list)
{
    struct sb_list *link = sb_list_first(list);

    if (link != NULL)
        sb_list_remove(link);
    return link;
}

/* Moves all items of `from` to the end of `list`; `from` is empty after. */
static inline void sb_list_append_all(struct sb_list *list, struct sb_list *from)
{
    if (sb_list_is_empty(from))
        return;
    from->next->prev = list->prev;
    list->prev->next = from->next;
    from->prev->next = list;
    list->prev = from->prev;
    sb_list_init(from);
}

/* Walks the list: for tests and pages a person asks for, not for every
 * request. */
static inline size_t sb_list_count(const struct sb_list *list)
{
    size_t n = 0;

    for (const struct sb_list *at = list->next; at != list; at = at->next)
        n++;
    return n;
}

/* NOLINTBEGIN(bugprone-macro-parentheses): a name that is declared takes none */
/* for (link ...): the body must not remove anything. */
#define sb_list_for_each(link, list)                                                               \
    for (struct sb_list *link = (list)->next; link != (list); link = link->next)

/* As above; the body may remove (and free) the current item, and no other. */
#define sb_list_for_each_safe(link, list)                                                          \
    for (struct sb_list *link = (list)->next, *link##_next = link->next; link != (list);           \
         link = link##_next, link##_next = link->next)
/* NOLINTEND(bugprone-macro-parentheses) */
