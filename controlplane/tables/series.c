/* controlplane/tables/series.c */
#include "controlplane/tables/series.h"

#include <string.h>

#include "common/err.h"
#include "common/mem.h"

static const struct {
    sb_msec width;
    unsigned n; /* slots that are young, the one begun included */
} spans[CP_SPANS] = {
    [CP_SPAN_NOW] = {CP_SLOT, CP_SPAN_NOW_LIFE / CP_SLOT},
    [CP_SPAN_HALF_HOUR] = {300000, 7},
    [CP_SPAN_DAY] = {3600000, 25},
};

/* --- slots --------------------------------------------------------------------- */

static struct sb_slice packed(const struct cp_slot *slot)
{
    return sb_slice_make((const char *)slot->bytes, slot->n);
}

static void destroy_slots(struct cp_slot **slotp)
{
    struct cp_slot *slot = *slotp, *older;

    *slotp = NULL;
    for (; slot != NULL; slot = older) {
        older = slot->older;
        sb_mem_free(slot);
    }
}

static void destroy_open(struct cp_open_slot **open)
{
    if (*open != NULL)
        cp_sums_release(&(*open)->sums);
    sb_mem_free(*open);
    *open = NULL;
}

void cp_minute_destroy(struct cp_minute **minute)
{
    if (*minute != NULL)
        cp_sums_release(&(*minute)->sums);
    sb_mem_free(*minute);
    *minute = NULL;
}

void cp_series_release(struct cp_series *series)
{
    for (int span = 0; span < CP_SPANS; span++)
        destroy_slots(&series->newest[span]);
    destroy_open(&series->open);
    cp_minute_destroy(&series->minute);
}

static uint64_t attempts_of(const struct cp_slot *slot)
{
    struct cp_sums numbers = {.attempts = 0};

    cp_sums_add_packed_numbers(&numbers, packed(slot));
    return numbers.attempts;
}

/* Whether the slot may hold what was heard at that number as well. */
static bool can_take(const struct cp_slot *slot, enum cp_span span, uint32_t number)
{
    uint32_t first, last;

    if (slot == NULL)
        return false;
    first = slot->first < number ? slot->first : number;
    last = slot->number > number ? slot->number : number;
    if (first == slot->first && last == slot->number)
        return true;
    return span != CP_SPAN_NOW && last - first < spans[span].n / 3 &&
           attempts_of(slot) < CP_SLOT_FEW;
}

/* Where what was heard at that number belongs: the place of a slot that can
 * take it, or *ret_make, where a new one is to be put. */
static struct cp_slot **place_of(struct cp_series *series, enum cp_span span, uint32_t number,
                                 bool *ret_make)
{
    struct cp_slot **place = &series->newest[span], **newer = NULL;

    while (*place != NULL && (*place)->number > number) {
        newer = place;
        place = &(*place)->older;
    }
    *ret_make = false;
    if (can_take(*place, span, number))
        return place;
    if (newer != NULL && can_take(*newer, span, number))
        return newer;
    *ret_make = true;
    return place;
}

static int put(struct cp_series *series, enum cp_span span, sb_msec when,
               const struct cp_sums *sums)
{
    uint32_t number = (uint32_t)(when / spans[span].width);
    bool make;
    struct cp_slot **place = place_of(series, span, number, &make), *slot;
    struct cp_slot *joined = make ? NULL : *place; /* into the new one */
    uint8_t bytes[CP_SUMS_PACKED_MAX];
    struct cp_sums all = {.attempts = 0};
    int rc = SB_OK;
    size_t n;

    if (joined != NULL) {
        rc = cp_sums_add_packed(&all, packed(joined));
        if (rc == SB_OK)
            rc = cp_sums_add(&all, sums);
    }
    n = cp_sums_pack(joined != NULL ? &all : sums, bytes);
    cp_sums_release(&all);
    if (rc == SB_ENOMEM) /* else it says what fits */
        return rc;
    slot = sb_mem_try(sizeof(*slot) + n);
    if (slot == NULL)
        return SB_ENOMEM;
    slot->number = joined != NULL && joined->number > number ? joined->number : number;
    slot->first = joined != NULL && joined->first < number ? joined->first : number;
    slot->n = (uint32_t)n;
    memcpy(slot->bytes, bytes, n);
    slot->older = joined != NULL ? joined->older : *place;
    *place = slot;
    sb_mem_free(joined);
    return rc;
}

static bool is_young(enum cp_span span, uint64_t number, sb_msec now)
{
    return now / spans[span].width - number < spans[span].n;
}

static void forget_old(struct cp_series *series, sb_msec now)
{
    for (int span = 0; span < CP_SPANS; span++) {
        struct cp_slot **place = &series->newest[span];

        while (*place != NULL && is_young((enum cp_span)span, (*place)->number, now))
            place = &(*place)->older;
        destroy_slots(place);
    }
}

/* --- closing ---------------------------------------------------------------------- */

static void hand_on(struct cp_series *series, const struct cp_series_at *at)
{
    if (series->minute == NULL)
        return;
    sb_list_add_tail(at->minutes, &series->minute->link);
    series->minute = NULL;
}

static void close_slot(struct cp_series *series, const struct cp_series_at *at)
{
    struct cp_open_slot *open = series->open;
    sb_msec when = (sb_msec)open->number * CP_SLOT;
    int rc = SB_OK;

    series->open = NULL;
    for (int span = 0; span < CP_SPANS; span++)
        rc |= put(series, (enum cp_span)span, when, &open->sums);
    if (series->minute != NULL && series->minute->minute != open->minute)
        hand_on(series, at);
    if (series->minute == NULL) {
        series->minute = sb_mem_new(sizeof(*series->minute));
        sb_list_init(&series->minute->link);
        series->minute->endpoint = at->endpoint;
        series->minute->minute = open->minute;
    }
    rc |= cp_sums_add(&series->minute->sums, &open->sums);
    (void)rc; /* without memory the spans say less */
    destroy_open(&open);
}

void cp_series_roll(struct cp_series *series, const struct cp_series_at *at, bool flush)
{
    if (series->open != NULL && (flush || series->open->number != at->now / CP_SLOT))
        close_slot(series, at);
    /* An open slot that began in it still belongs to it. */
    if (series->minute != NULL &&
        (flush || (series->minute->minute != at->minute &&
                   !(series->open != NULL && series->open->minute == series->minute->minute))))
        hand_on(series, at);
    forget_old(series, at->now);
}

bool cp_series_is_empty(const struct cp_series *series)
{
    for (int span = 0; span < CP_SPANS; span++)
        if (series->newest[span] != NULL)
            return false;
    return series->open == NULL && series->minute == NULL;
}

/* --- adding ------------------------------------------------------------------------- */

int cp_series_add(struct cp_series *series, const struct cp_series_at *at,
                  const struct cp_sums *sums)
{
    if (series->open != NULL && series->open->number != at->now / CP_SLOT)
        cp_series_roll(series, at, false);
    if (series->open == NULL) {
        series->open = sb_mem_try(sizeof(*series->open));
        if (series->open == NULL)
            return SB_ENOMEM;
        series->open->number = (uint32_t)(at->now / CP_SLOT);
        series->open->minute = at->minute;
    }
    return cp_sums_add(&series->open->sums, sums);
}

int cp_series_load(struct cp_series *series, sb_msec now, sb_msec age, enum cp_span span,
                   const struct cp_sums *sums)
{
    int rc = SB_OK;

    /* What is open, and with it all of its slot, is still to be counted in the
     * wide spans: it must not get what they have already. */
    if (age < CP_SLOT)
        age = CP_SLOT;
    for (int one = (int)span; one < CP_SPANS; one++) {
        sb_msec when = now > age ? now - age : 0;
        int added;

        if (!is_young((enum cp_span)one, when / spans[one].width, now))
            continue;
        added = put(series, (enum cp_span)one, when, sums);
        rc = rc != SB_OK ? rc : added;
    }
    return rc;
}

/* --- looking -------------------------------------------------------------------------- */

/* The open slot, while it is young enough for the span. */
static const struct cp_open_slot *open_slot(const struct cp_series *series, enum cp_span span,
                                            sb_msec now)
{
    const struct cp_open_slot *open = series->open;

    return open != NULL && is_young(span, (sb_msec)open->number * CP_SLOT / spans[span].width, now)
               ? open
               : NULL;
}

int cp_series_sum(const struct cp_series *series, enum cp_span span, sb_msec now,
                  struct cp_sums *sums)
{
    const struct cp_open_slot *open = open_slot(series, span, now);
    int rc = SB_OK;

    cp_sums_reset(sums);
    for (const struct cp_slot *slot = series->newest[span];
         rc == SB_OK && slot != NULL && is_young(span, slot->number, now); slot = slot->older)
        rc = cp_sums_add_packed(sums, packed(slot));
    if (rc == SB_OK && open != NULL)
        rc = cp_sums_add(sums, &open->sums);
    return rc;
}

static bool has_values(const struct cp_sums *sums, uint64_t least)
{
    return sums->first_token.count >= least && sums->throughput.count >= least;
}

int cp_series_recent(const struct cp_series *series, sb_msec now, uint64_t least,
                     struct cp_sums *sums)
{
    const struct cp_open_slot *open = open_slot(series, CP_SPAN_NOW, now);
    int rc = SB_OK;

    cp_sums_reset(sums);
    if (open != NULL)
        rc = cp_sums_add(sums, &open->sums);
    for (const struct cp_slot *slot = series->newest[CP_SPAN_NOW];
         rc == SB_OK && slot != NULL && !has_values(sums, least) &&
         is_young(CP_SPAN_NOW, slot->number, now);
         slot = slot->older)
        rc = cp_sums_top_up(sums, packed(slot), least);
    return rc;
}

void cp_series_count(const struct cp_series *series, enum cp_span span, sb_msec now,
                     struct cp_sums *sums)
{
    const struct cp_open_slot *open = open_slot(series, span, now);

    cp_sums_reset(sums);
    for (const struct cp_slot *slot = series->newest[span];
         slot != NULL && is_young(span, slot->number, now); slot = slot->older)
        cp_sums_add_packed_numbers(sums, packed(slot));
    if (open != NULL)
        cp_sums_add_numbers(sums, &open->sums);
}
