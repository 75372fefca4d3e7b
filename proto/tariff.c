/* proto/tariff.c */
#include "proto/tariff.h"

#include <string.h>

#include "common/timefmt.h"

enum {
    SECONDS_PER_MINUTE = 60,
    EPOCH_DAY = MSG_DAY_THURSDAY, /* of 1970-01-01 */
};

/* Also before 1970, which only a broken clock says. */
static int64_t floor_to(int64_t a, int64_t unit, int64_t *ret_rest)
{
    int64_t rest = a % unit;

    if (rest < 0)
        rest += unit;
    *ret_rest = rest;
    return (a - rest) / unit;
}

static bool is_within(const struct msg_override *override, int64_t second)
{
    int64_t minute = second / SECONDS_PER_MINUTE;

    if (override->from == override->until)
        return true;
    if (override->from < override->until)
        return minute >= override->from && minute < override->until;
    return minute >= override->from || minute < override->until;
}

bool msg_override_applies(const struct msg_override *override, uint64_t prompt_tokens,
                          int64_t unix_seconds)
{
    int64_t second, weekday, day = floor_to(unix_seconds, SB_SEC_PER_DAY, &second);

    if (override->min_prompt_tokens > 0 && prompt_tokens <= override->min_prompt_tokens)
        return false;
    (void)floor_to(day + EPOCH_DAY, MSG_DAY_COUNT, &weekday);
    if (override->days != 0 && (override->days >> weekday & 1) == 0)
        return false;
    return is_within(override, second);
}

uint32_t msg_tariff_at(const struct msg_tariff *tariff, uint64_t prompt_tokens,
                       int64_t unix_seconds, struct msg_prices *ret_prices)
{
    uint32_t applied = 0;

    memcpy(ret_prices->at, tariff->price, sizeof(ret_prices->at));
    for (size_t i = 0; i < tariff->n_overrides; i++) {
        const struct msg_override *override = &tariff->overrides[i];

        if (!msg_override_applies(override, prompt_tokens, unix_seconds))
            continue;
        applied |= UINT32_C(1) << i;
        for (int kind = 0; kind < MSG_PRICE_COUNT; kind++) {
            if (override->price[kind] >= 0)
                ret_prices->at[kind] = override->price[kind];
        }
    }
    return applied;
}

void msg_tariff_dearest(const struct msg_tariff *tariff, struct msg_prices *ret_prices)
{
    memcpy(ret_prices->at, tariff->price, sizeof(ret_prices->at));
    for (size_t i = 0; i < tariff->n_overrides; i++) {
        for (int kind = 0; kind < MSG_PRICE_COUNT; kind++) {
            if (tariff->overrides[i].price[kind] > ret_prices->at[kind])
                ret_prices->at[kind] = tariff->overrides[i].price[kind];
        }
    }
}
