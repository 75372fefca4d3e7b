/* tests/lib/route_prices.h - reading the catalogue of route_world.h: small
 * values, and prices with their conditions.
 *
 *      {'price': [1, 2], 'request': 0.01, 'cache_read': 0.1,
 *       'overrides': [{'min': 1000, 'from': '22:30', 'until': '06:00',
 *                      'days': ['friday'], 'price': [2, null]}]}
 */
#pragma once

#include <math.h>

#include "common/arena.h"
#include "common/json.h"
#include "proto/snapshot.h"
#include "tests/lib/test.h"

static inline double world_number(yyjson_val *object, const char *name, double otherwise)
{
    yyjson_val *value = yyjson_obj_get(object, name);

    return value != NULL ? yyjson_get_num(value) : otherwise;
}

static inline struct sb_slice world_text(yyjson_val *object, const char *name,
                                         const char *otherwise)
{
    yyjson_val *value = yyjson_obj_get(object, name);

    return value != NULL ? sb_json_text(value) : sb_slice_of(otherwise);
}

/* Bits of a list of words; otherwise when it is not there. */
static inline uint64_t world_bits(yyjson_val *object, const char *name,
                                  int (*parse)(struct sb_slice text), uint64_t otherwise)
{
    yyjson_val *list = yyjson_obj_get(object, name), *word;
    uint64_t bits = 0;
    size_t i, n;

    if (list == NULL)
        return otherwise;
    yyjson_arr_foreach(list, i, n, word)
    {
        int number = parse(sb_json_text(word));

        assert_true(number >= 0);
        bits |= UINT64_C(1) << number;
    }
    return bits;
}

/* USD per million tokens, or per piece, to 1e-15 USD. */
static inline int64_t world_price(yyjson_val *value, double unit)
{
    return value != NULL ? llround(yyjson_get_num(value) * unit) : -1;
}

/* "22:30" as minutes of the day. */
static inline uint16_t world_minute(yyjson_val *object, const char *name)
{
    struct sb_slice text = world_text(object, name, "00:00");

    assert_int_equal(text.n, 5);
    return (uint16_t)(((text.p[0] - '0') * 10 + text.p[1] - '0') * 60 + (text.p[3] - '0') * 10 +
                      text.p[4] - '0');
}

/* [{'min': 1000, 'from': '22:30', 'until': '06:00', 'days': ['friday'],
 * 'price': [2, null], 'cache_read': 0.1}] */
static inline void world_overrides(struct sb_arena *arena, yyjson_val *list,
                                   struct msg_endpoint *row)
{
    struct msg_override *all = sb_arena_alloc(arena, yyjson_arr_size(list) * sizeof(*all) + 1);
    yyjson_val *props;
    size_t i, n;

    yyjson_arr_foreach(list, i, n, props)
    {
        yyjson_val *price = yyjson_obj_get(props, "price");

        all[i] = (struct msg_override){
            .min_prompt_tokens = (uint32_t)world_number(props, "min", 0),
            .from = world_minute(props, "from"),
            .until = world_minute(props, "until"),
            .days = (uint8_t)world_bits(props, "days", msg_day_parse, 0),
        };
        for (int kind = 0; kind < MSG_PRICE_COUNT; kind++)
            all[i].price[kind] = -1;
        for (int at = 0; at < 2; at++) {
            yyjson_val *one = yyjson_arr_get(price, (size_t)at);

            all[i].price[at] = world_price(yyjson_is_null(one) ? NULL : one, 1e9);
        }
        all[i].price[MSG_PRICE_REQUEST] = world_price(yyjson_obj_get(props, "request"), 1e15);
        all[i].price[MSG_PRICE_IMAGE] = world_price(yyjson_obj_get(props, "image"), 1e15);
        all[i].price[MSG_PRICE_CACHE_READ] = world_price(yyjson_obj_get(props, "cache_read"), 1e9);
    }
    row->overrides = all;
    row->n_overrides = yyjson_arr_size(list);
}

static inline void world_prices(struct sb_arena *arena, yyjson_val *props, struct msg_endpoint *row)
{
    yyjson_val *price = yyjson_obj_get(props, "price");

    for (int kind = 0; kind < MSG_PRICE_COUNT; kind++)
        row->price[kind] = -1;
    for (int at = 0; at < 2; at++) /* [prompt, completion], or one number for both */
        row->price[at] = price == NULL ? 1000000000
                         : yyjson_is_arr(price)
                             ? world_price(yyjson_arr_get(price, (size_t)at), 1e9)
                             : world_price(price, 1e9);
    row->price[MSG_PRICE_REQUEST] = world_price(yyjson_obj_get(props, "request"), 1e15);
    row->price[MSG_PRICE_IMAGE] = world_price(yyjson_obj_get(props, "image"), 1e15);
    row->price[MSG_PRICE_AUDIO] = world_price(yyjson_obj_get(props, "audio"), 1e15);
    row->price[MSG_PRICE_CACHE_READ] = world_price(yyjson_obj_get(props, "cache_read"), 1e9);
    world_overrides(arena, yyjson_obj_get(props, "overrides"), row);
}
