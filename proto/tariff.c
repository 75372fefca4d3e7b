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
    int64_t rest = a % unit, whole = a / unit;

    *ret_rest = rest < 0 ? rest + unit : rest;
    return rest < 0 ? whole - 1 : whole;
}

struct msg_moment msg_moment_of(int64_t unix_seconds)
{
    int64_t second, weekday, day = floor_to(unix_seconds, SB_SEC_PER_DAY, &second);

    (void)floor_to(day + EPOCH_DAY, MSG_DAY_COUNT, &weekday);
    return (struct msg_moment){.minute = (uint16_t)(second / SECONDS_PER_MINUTE),
                               .day = (uint8_t)(1u << weekday)};
}

uint32_t msg_tariff_at(const struct msg_tariff *tariff, uint64_t prompt_tokens,
                       struct msg_moment moment, struct msg_prices *ret_prices)
{
    uint32_t applied = 0;

    memcpy(ret_prices->at, tariff->price, sizeof(ret_prices->at));
    for (size_t i = 0; i < tariff->n_overrides; i++) {
        const struct msg_override *override = &tariff->overrides[i];

        if (!msg_override_applies(override, prompt_tokens, moment))
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
