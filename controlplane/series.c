/* controlplane/series.c */
#include "controlplane/series.h"

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

/* --- sums --------------------------------------------------------------------- */

void cp_sums_release(struct cp_sums *sums)
{
    sb_sketch_release(&sums->first_token);
    sb_sketch_release(&sums->throughput);
    *sums = (struct cp_sums){.attempts = 0};
}

void cp_sums_reset(struct cp_sums *sums)
{
    sb_sketch_reset(&sums->first_token);
    sb_sketch_reset(&sums->throughput);
    *sums = (struct cp_sums){.first_token = sums->first_token, .throughput = sums->throughput};
}

static void add_numbers(struct cp_sums *sums, const struct cp_sums *more)
{
    sums->attempts += more->attempts;
    sums->successes += more->successes;
    sums->faults += more->faults;
    sums->rate_limited += more->rate_limited;
    sums->prompt_tokens += more->prompt_tokens;
    sums->completion_tokens += more->completion_tokens;
    if (__builtin_add_overflow(sums->cost, more->cost, &sums->cost))
        sums->cost = INT64_MAX;
}

int cp_sums_add(struct cp_sums *sums, const struct cp_sums *more)
{
    int rc, other;

    add_numbers(sums, more);
    rc = sb_sketch_merge(&sums->first_token, &more->first_token);
    other = sb_sketch_merge(&sums->throughput, &more->throughput);
    return rc != SB_OK ? rc : other;
}

/* --- slots --------------------------------------------------------------------- */

static void destroy_slots(struct cp_slot **slotp)
{
    struct cp_slot *slot = *slotp, *older;

    *slotp = NULL;
    for (; slot != NULL; slot = older) {
        older = slot->older;
        cp_sums_release(&slot->sums);
        sb_mem_free(slot);
    }
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
    cp_minute_destroy(&series->minute);
    *series = (struct cp_series){.is_open = false};
}

/* The slot of that number, made when there is none; NULL without memory. */
static struct cp_slot *slot_at(struct cp_series *series, enum cp_span span, uint64_t number)
{
    struct cp_slot **place = &series->newest[span], *slot;

    while (*place != NULL && (*place)->number > number)
        place = &(*place)->older;
    if (*place != NULL && (*place)->number == number)
        return *place;
    slot = sb_mem_try(sizeof(*slot));
    if (slot == NULL)
        return NULL;
    slot->number = slot->first = number;
    slot->older = *place;
    *place = slot;
    return slot;
}

/* The slot of a long span that takes what was heard at that number. */
static struct cp_slot *wide_slot(struct cp_series *series, enum cp_span span, uint64_t number)
{
    struct cp_slot *slot = series->newest[span];

    if (slot != NULL && slot->number < number && slot->sums.attempts < CP_SLOT_FEW &&
        number - slot->first < spans[span].n / 3) {
        slot->number = number;
        return slot;
    }
    return slot_at(series, span, number);
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
    const struct cp_slot *open = series->newest[CP_SPAN_NOW];
    sb_msec when = open->number * CP_SLOT;
    int rc = SB_OK;

    series->is_open = false;
    for (int span = CP_SPAN_NOW + 1; span < CP_SPANS; span++) {
        struct cp_slot *slot = wide_slot(series, (enum cp_span)span, when / spans[span].width);

        if (slot != NULL)
            rc |= cp_sums_add(&slot->sums, &open->sums);
    }
    if (series->minute != NULL && series->minute->minute != series->opened)
        hand_on(series, at);
    if (series->minute == NULL) {
        series->minute = sb_mem_new(sizeof(*series->minute));
        sb_list_init(&series->minute->link);
        series->minute->endpoint = at->endpoint;
        series->minute->minute = series->opened;
    }
    rc |= cp_sums_add(&series->minute->sums, &open->sums);
    (void)rc; /* without memory the long spans say less; the numbers are right */
}

void cp_series_roll(struct cp_series *series, const struct cp_series_at *at, bool flush)
{
    if (series->is_open && series->newest[CP_SPAN_NOW]->number != at->now / CP_SLOT)
        close_slot(series, at);
    /* An open slot that began in it still belongs to it. */
    if (series->minute != NULL &&
        (flush || (series->minute->minute != at->minute &&
                   !(series->is_open && series->opened == series->minute->minute))))
        hand_on(series, at);
    forget_old(series, at->now);
}

bool cp_series_is_empty(const struct cp_series *series)
{
    for (int span = 0; span < CP_SPANS; span++)
        if (series->newest[span] != NULL)
            return false;
    return series->minute == NULL;
}

/* --- adding ------------------------------------------------------------------------- */

int cp_series_add(struct cp_series *series, const struct cp_series_at *at,
                  const struct cp_sums *sums)
{
    struct cp_slot *slot;

    if (series->is_open && series->newest[CP_SPAN_NOW]->number != at->now / CP_SLOT)
        cp_series_roll(series, at, false);
    slot = slot_at(series, CP_SPAN_NOW, at->now / CP_SLOT);
    if (slot == NULL)
        return SB_ENOMEM;
    if (!series->is_open) {
        series->is_open = true;
        series->opened = at->minute;
    }
    return cp_sums_add(&slot->sums, sums);
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
        struct cp_slot *slot;
        sb_msec when = now > age ? now - age : 0;
        int added;

        if (!is_young((enum cp_span)one, when / spans[one].width, now))
            continue;
        slot = slot_at(series, (enum cp_span)one, when / spans[one].width);
        added = slot != NULL ? cp_sums_add(&slot->sums, sums) : SB_ENOMEM;
        rc = rc != SB_OK ? rc : added;
    }
    return rc;
}

/* --- looking -------------------------------------------------------------------------- */

/* The open slot, when the span has to add it itself. */
static const struct cp_slot *open_slot(const struct cp_series *series, enum cp_span span,
                                       sb_msec now)
{
    const struct cp_slot *open = series->is_open ? series->newest[CP_SPAN_NOW] : NULL;

    if (span == CP_SPAN_NOW || open == NULL ||
        !is_young(span, open->number * CP_SLOT / spans[span].width, now))
        return NULL;
    return open;
}

int cp_series_sum(const struct cp_series *series, enum cp_span span, sb_msec now,
                  struct cp_sums *sums)
{
    const struct cp_slot *open = open_slot(series, span, now);
    int rc = SB_OK;

    cp_sums_reset(sums);
    for (const struct cp_slot *slot = series->newest[span];
         rc == SB_OK && slot != NULL && is_young(span, slot->number, now); slot = slot->older)
        rc = cp_sums_add(sums, &slot->sums);
    if (rc == SB_OK && open != NULL)
        rc = cp_sums_add(sums, &open->sums);
    return rc;
}

int cp_series_recent(const struct cp_series *series, sb_msec now, uint64_t least,
                     struct cp_sums *sums)
{
    int rc = SB_OK;

    cp_sums_reset(sums);
    for (const struct cp_slot *slot = series->newest[CP_SPAN_NOW];
         rc == SB_OK && slot != NULL && sums->attempts < least &&
         now / CP_SLOT - slot->number < CP_RECENT_SLOTS;
         slot = slot->older)
        rc = cp_sums_add(sums, &slot->sums);
    return rc;
}

void cp_series_count(const struct cp_series *series, enum cp_span span, sb_msec now,
                     struct cp_sums *sums)
{
    const struct cp_slot *open = open_slot(series, span, now);

    cp_sums_reset(sums);
    for (const struct cp_slot *slot = series->newest[span];
         slot != NULL && is_young(span, slot->number, now); slot = slot->older)
        add_numbers(sums, &slot->sums);
    if (open != NULL)
        add_numbers(sums, &open->sums);
}
