/* controlplane/ctl/drops.c */
#include "controlplane/ctl/drops.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/arena.h"
#include "common/mem.h"
#include "common/merkle.h"
#include "common/timefmt.h"

/* uthash's default falls through cases in a way that clang reports. */
#define HASH_FUNCTION(s, len, hashv) HASH_SAX(s, len, hashv)
#define uthash_malloc(size)          sb_mem_new(size)
#define uthash_free(p, size)         sb_mem_free(p)
#include <uthash.h>

enum { ARENA = 4096 };
#define USEC_PER_DAY (INT64_C(1000000) * SB_SEC_PER_DAY)

static const struct {
    struct sb_slice kind;
    const char *name;
} tables[CTL_HISTORIES] = {
    [CTL_HISTORY_REQUESTS] = {SB_SLICE_INIT("request"), "audit_requests"},
    [CTL_HISTORY_DISPATCHES] = {SB_SLICE_INIT("dispatch"), "audit_dispatches"},
    [CTL_HISTORY_REFUSALS] = {SB_SLICE_INIT("refusals"), "audit_refusals"},
};

/* The last record of a day that is there in a file. */
struct last {
    struct last *next; /* of the file before */
    unsigned file;
    uint64_t leaf;
};

struct day {
    UT_hash_handle hh;
    uint64_t key;   /* of table and day */
    int32_t number; /* of the day */
    uint64_t first; /* record that is there; UINT64_MAX: none is */
    struct last *lasts;
    bool is_dropped;
    uint64_t dropped_by; /* entry */
};

struct hold {
    struct hold *next;
    const char *name;
    int32_t from, to; /* days, both included */
    uint64_t leaf;
    int64_t at, lifted_at; /* microseconds since 1970 UTC; INT64_MAX: it was not lifted */
};

/* Beside each drop. */
struct about {
    const struct day *day;
    uint64_t reach_from; /* the first entry that it explains in the file that was turned to */
};

struct ctl_drops {
    struct sb_arena *arena; /* of days, holds and texts */
    struct day *days, *recent[CTL_HISTORIES];
    struct hold *holds;
    int64_t newest;      /* time of an entry that the database dated, and is no drop */
    int64_t newest_drop; /* likewise, of drops */
    struct ctl_drop *list;
    struct about *about;
    size_t n, size;
};

const char *ctl_history_name(enum ctl_history table)
{
    return tables[table].name;
}

bool ctl_history_of_kind(struct sb_slice kind, enum ctl_history *ret)
{
    for (int i = 0; i < CTL_HISTORIES; i++)
        if (sb_slice_eq(kind, tables[i].kind)) {
            *ret = (enum ctl_history)i;
            return true;
        }
    return false;
}

struct ctl_drops *ctl_drops_new(void)
{
    struct ctl_drops *drops = sb_mem_new(sizeof(*drops));

    drops->arena = sb_arena_new(ARENA);
    return drops;
}

void ctl_drops_destroy(struct ctl_drops **dropsp)
{
    struct ctl_drops *drops = *dropsp;

    *dropsp = NULL;
    if (drops == NULL)
        return;
    HASH_CLEAR(hh, drops->days); /* they are the arena's */
    sb_mem_free(drops->list);
    sb_mem_free(drops->about);
    sb_arena_destroy(&drops->arena);
    sb_mem_free(drops);
}

const struct ctl_drop *ctl_drops_list(const struct ctl_drops *drops, size_t *ret_n)
{
    *ret_n = drops->n;
    return drops->list;
}

/* --- records that are there ---------------------------------------------------------------- */

static struct day *day_of(struct ctl_drops *drops, enum ctl_history table, int32_t number)
{
    struct day *day = drops->recent[table];
    uint64_t key = (uint64_t)table << 32 | (uint32_t)number;

    if (day != NULL && day->number == number)
        return day;
    HASH_FIND(hh, drops->days, &key, sizeof(key), day);
    if (day == NULL) {
        day = sb_arena_alloc(drops->arena, sizeof(*day));
        day->key = key;
        day->number = number;
        day->first = UINT64_MAX;
        HASH_ADD(hh, drops->days, key, sizeof(key), day);
    }
    drops->recent[table] = day;
    return day;
}

static bool day_of_time(int64_t usec, int32_t *ret)
{
    if (usec < 0)
        return false;
    *ret = sb_day_of((sb_usec)usec);
    return true;
}

void ctl_drops_see_record(struct ctl_drops *drops, const struct ctl_there *there)
{
    struct day *day;
    int32_t number;

    if (!day_of_time(there->received_at, &number))
        return;
    day = day_of(drops, there->table, number);
    if (day->is_dropped)
        return;
    if (there->leaf < day->first)
        day->first = there->leaf;
    if (day->lasts == NULL || day->lasts->file != there->file) {
        struct last *last = sb_arena_alloc(drops->arena, sizeof(*last));

        *last = (struct last){.next = day->lasts, .file = there->file};
        day->lasts = last;
    }
    day->lasts->leaf = there->leaf;
}

/* --- holds ------------------------------------------------------------------------------------ */

static void see_hold(struct ctl_drops *drops, struct sb_slice name, yyjson_val *detail, int64_t at,
                     uint64_t leaf)
{
    struct sb_slice from, to;
    struct hold *hold = sb_arena_alloc(drops->arena, sizeof(*hold));

    if (sb_json_get_text(detail, "from", &from) != SB_OK ||
        sb_json_get_text(detail, "to", &to) != SB_OK || sb_date_parse(from, &hold->from) != SB_OK ||
        sb_date_parse(to, &hold->to) != SB_OK)
        return;
    hold->name = sb_arena_dup(drops->arena, name).p;
    hold->leaf = leaf;
    hold->at = at;
    hold->lifted_at = INT64_MAX;
    hold->next = drops->holds;
    drops->holds = hold;
}

static void lift_hold(struct ctl_drops *drops, struct sb_slice name, int64_t at)
{
    for (struct hold *hold = drops->holds; hold != NULL; hold = hold->next)
        if (sb_slice_is(name, hold->name))
            hold->lifted_at = at;
}

/* By time, not by place: what waits for its place in the log gets it kind by kind, so
 * that a drop may come before the lifting that allowed it. */
static const struct hold *find_hold(const struct ctl_drops *drops, const struct ctl_drop *drop)
{
    const struct hold *hold = drops->holds;

    while (hold != NULL && (drop->day < hold->from || drop->day > hold->to ||
                            drop->at <= hold->at || drop->at >= hold->lifted_at))
        hold = hold->next;
    return hold;
}

/* --- drops ------------------------------------------------------------------------------------ */

static bool read_table(struct sb_slice history, enum ctl_history *ret)
{
    for (int i = 0; i < CTL_HISTORIES; i++)
        if (sb_slice_is(history, tables[i].name)) {
            *ret = (enum ctl_history)i;
            return true;
        }
    return false;
}

static bool read_drop(yyjson_val *entry, struct ctl_drop *ret)
{
    struct sb_slice history, day;

    if (sb_json_get_text(entry, "history", &history) != SB_OK ||
        !read_table(history, &ret->table) || sb_json_get_text(entry, "day", &day) != SB_OK ||
        sb_date_parse(day, &ret->day) != SB_OK || sb_json_get_i64(entry, "at", &ret->at) != SB_OK ||
        sb_json_get_u64(entry, "rows", &ret->rows) != SB_OK || ret->rows > SB_MERKLE_SIZE_MAX)
        return false;
    ret->has_entries = sb_json_get_u64(entry, "first_leaf", &ret->first) == SB_OK &&
                       sb_json_get_u64(entry, "last_leaf", &ret->last) == SB_OK;
    return !ret->has_entries || (ret->first <= ret->last && ret->last < ret->leaf);
}

/* Why retention cannot have done that, but for holds; NULL. */
static const char *find_wrong(const struct ctl_drops *drops, const struct ctl_drop *drop,
                              const struct day *day)
{
    int32_t today;

    if (!day_of_time(drop->at, &today) || drop->day >= today)
        return "that day was not over by then";
    if (day->is_dropped)
        return sb_arena_printf(drops->arena, "entry %" PRIu64 " says already that all of it was",
                               day->dropped_by)
            .p;
    /* A time before the hold would be a way round it. */
    if (drops->newest > drop->at && drops->newest - drop->at > USEC_PER_DAY)
        return "entries before this one are more than a day younger than it says it is";
    if (day->first != UINT64_MAX && (!drop->has_entries || day->first < drop->first))
        return sb_arena_printf(drops->arena,
                               "entry %" PRIu64 " is of it as well, before the first one that was "
                               "dropped, and is there",
                               day->first)
            .p;
    return NULL;
}

static void add_drop(struct ctl_drops *drops, const struct ctl_drop *drop, struct day *day)
{
    if (drops->n == drops->size) {
        size_t size = drops->size == 0 ? 64 : 2 * drops->size;
        struct ctl_drop *list = sb_mem_new(size * sizeof(*list));
        struct about *about = sb_mem_new(size * sizeof(*about));

        if (drops->n > 0) {
            memcpy(list, drops->list, drops->n * sizeof(*list));
            memcpy(about, drops->about, drops->n * sizeof(*about));
        }
        sb_mem_free(drops->list);
        sb_mem_free(drops->about);
        drops->list = list;
        drops->about = about;
        drops->size = size;
    }
    drops->about[drops->n] = (struct about){.day = day};
    drops->list[drops->n++] = *drop;
}

/* An entry of that time comes behind them. */
static void find_ahead(struct ctl_drops *drops, int64_t at)
{
    if (drops->newest_drop <= at || drops->newest_drop - at <= USEC_PER_DAY)
        return;
    for (size_t i = 0; i < drops->n; i++)
        if (drops->list[i].wrong == NULL && drops->list[i].at > at &&
            drops->list[i].at - at > USEC_PER_DAY)
            drops->list[i].wrong = "entries behind this one are more than a day older than it "
                                   "says it is";
}

void ctl_drops_see_entry(struct ctl_drops *drops, yyjson_val *entry, uint64_t leaf)
{
    struct ctl_drop drop = {.leaf = leaf};
    struct sb_slice kind, action, subject;
    struct day *day;
    int64_t at;

    if (sb_json_get_text(entry, "kind", &kind) != SB_OK)
        return;
    if (sb_slice_is(kind, "dropped") && read_drop(entry, &drop)) {
        day = day_of(drops, drop.table, drop.day);
        drop.wrong = find_wrong(drops, &drop, day);
        add_drop(drops, &drop, day);
        if (!day->is_dropped)
            day->dropped_by = leaf;
        day->is_dropped = true;
    }
    if (sb_json_get_i64(entry, "at", &at) != SB_OK)
        return;
    find_ahead(drops, at);
    if (sb_slice_is(kind, "dropped"))
        drops->newest_drop = at > drops->newest_drop ? at : drops->newest_drop;
    else
        drops->newest = at > drops->newest ? at : drops->newest;
    if (!sb_slice_is(kind, "action") || sb_json_get_text(entry, "action", &action) != SB_OK ||
        sb_json_get_text(entry, "subject", &subject) != SB_OK)
        return;
    if (sb_slice_is(action, "hold_set"))
        see_hold(drops, subject, yyjson_obj_get(entry, "detail"), at, leaf);
    else if (sb_slice_is(action, "hold_lifted"))
        lift_hold(drops, subject, at);
}

/* --- what they explain ------------------------------------------------------------------------ */

void ctl_drops_judge(struct ctl_drops *drops, uint64_t proved)
{
    for (size_t i = 0; i < drops->n; i++) {
        struct ctl_drop *drop = &drops->list[i];
        const struct hold *hold = find_hold(drops, drop);

        drop->is_signed = drop->leaf < proved;
        if (drop->wrong == NULL && hold != NULL)
            drop->wrong =
                sb_arena_printf(drops->arena, "the legal hold '%.64s' (entry %" PRIu64 ") had it",
                                hold->name, hold->leaf)
                    .p;
    }
}

/* The last record of its day that is there in the file; UINT64_MAX: none is. */
static uint64_t last_there(const struct day *day, unsigned file)
{
    const struct last *last = day->lasts;

    while (last != NULL && last->file != file)
        last = last->next;
    return last != NULL ? last->leaf : UINT64_MAX;
}

void ctl_drops_turn_to(struct ctl_drops *drops, unsigned file)
{
    for (size_t i = 0; i < drops->n; i++) {
        const struct ctl_drop *drop = &drops->list[i];
        uint64_t there = last_there(drops->about[i].day, file);

        drops->about[i].reach_from = drop->first;
        if (there != UINT64_MAX && there >= drop->first)
            drops->about[i].reach_from = there + 1;
        if (drop->wrong != NULL || !drop->is_signed || !drop->has_entries)
            drops->about[i].reach_from = UINT64_MAX;
    }
}

uint64_t ctl_drops_reach(const struct ctl_drops *drops, uint64_t from, uint64_t to)
{
    uint64_t end = from;
    bool is_longer = true;

    while (is_longer && end <= to) {
        is_longer = false;
        for (size_t i = 0; i < drops->n; i++)
            if (drops->about[i].reach_from <= end && drops->list[i].last >= end) {
                end = drops->list[i].last + 1;
                is_longer = true;
            }
    }
    return end <= to ? end : to + 1;
}

uint64_t ctl_drops_next(const struct ctl_drops *drops, uint64_t from, uint64_t to)
{
    uint64_t next = to + 1;

    for (size_t i = 0; i < drops->n; i++) {
        uint64_t begin = drops->about[i].reach_from;

        if (begin > from && begin < next && drops->list[i].last >= begin)
            next = begin;
    }
    return next;
}

const struct ctl_drop *ctl_drops_claim(const struct ctl_drops *drops, uint64_t leaf,
                                       uint64_t *ret_there)
{
    for (size_t i = 0; i < drops->n; i++) {
        const struct ctl_drop *drop = &drops->list[i];
        uint64_t reach_from = drops->about[i].reach_from;

        if (!drop->has_entries || drop->first > leaf || drop->last < leaf)
            continue;
        *ret_there = reach_from != UINT64_MAX && reach_from > leaf ? reach_from - 1 : UINT64_MAX;
        return drop;
    }
    return NULL;
}

bool ctl_drops_are_older(const struct ctl_drops *drops, uint64_t from, uint64_t to, int32_t day)
{
    bool any = false;

    for (size_t i = 0; i < drops->n; i++) {
        const struct ctl_drop *drop = &drops->list[i];

        if (!drop->has_entries || drop->first > to || drop->last < from)
            continue;
        if (drop->day >= day)
            return false;
        any = true;
    }
    return any;
}
