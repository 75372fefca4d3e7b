/* controlplane/catalog/prices.c */
#include "controlplane/catalog/prices.h"

#include "common/arena.h"
#include "common/check.h"
#include "common/err.h"
#include "common/json.h"
#include "common/money.h"
#include "proto/limits.h"

enum { MINUTES_PER_HOUR = 60, HOURS_PER_DAY = 24, HOURS_TEXT = 11 /* "00:30-08:30" */ };

const struct cp_price_form cp_price_forms[MSG_PRICE_COUNT] = {
    [MSG_PRICE_PROMPT] = {"prompt", true},
    [MSG_PRICE_COMPLETION] = {"completion", true},
    [MSG_PRICE_REQUEST] = {"request", false},
    [MSG_PRICE_IMAGE] = {"image", false},
    [MSG_PRICE_IMAGE_OUTPUT] = {"image_output", false},
    [MSG_PRICE_AUDIO] = {"audio", false},
    [MSG_PRICE_AUDIO_OUTPUT] = {"audio_output", false},
    [MSG_PRICE_CACHE_READ] = {"cache_read", true},
    [MSG_PRICE_CACHE_WRITE] = {"cache_write", true},
    [MSG_PRICE_REASONING] = {"reasoning", true},
    [MSG_PRICE_WEB_SEARCH] = {"web_search", false},
};

/* --- hours -------------------------------------------------------------------------- */

static bool read_two(const char *p, unsigned most, unsigned *ret_number)
{
    if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
        return false;
    *ret_number = (unsigned)(p[0] - '0') * 10 + (unsigned)(p[1] - '0');
    return *ret_number <= most;
}

/* "HH:MM"; 24:00 is the next day's first minute. */
static bool read_clock(const char *p, uint16_t *ret_minute)
{
    unsigned hour, minute;

    if (!read_two(p, HOURS_PER_DAY, &hour) || p[2] != ':' ||
        !read_two(p + 3, MINUTES_PER_HOUR - 1, &minute) || (hour == HOURS_PER_DAY && minute > 0))
        return false;
    *ret_minute = (uint16_t)(hour % HOURS_PER_DAY * MINUTES_PER_HOUR + minute);
    return true;
}

bool cp_hours_read(struct sb_slice text, uint16_t *ret_from, uint16_t *ret_until)
{
    return text.n == HOURS_TEXT && text.p[5] == '-' && read_clock(text.p, ret_from) &&
           read_clock(text.p + 6, ret_until) && *ret_from != *ret_until;
}

/* --- normal forms ----------------------------------------------------------------------- */

int64_t cp_price_read(struct yyjson_val *prices, int kind)
{
    struct sb_slice text = sb_json_text(yyjson_obj_get(prices, cp_price_forms[kind].name));
    sb_money money = -1;
    int rc;

    if (text.n == 0)
        return -1;
    rc = cp_price_forms[kind].per_million ? sb_money_parse_per_million(text, &money)
                                          : sb_money_parse(text, &money);
    return SB_NEVER(rc != SB_OK) ? -1 : money; /* the document was checked */
}

static uint8_t read_days(yyjson_val *list)
{
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);
    yyjson_val *word;
    uint8_t bits = 0;

    while ((word = yyjson_arr_iter_next(&iter)) != NULL) {
        int number = msg_day_parse(sb_json_text(word));

        if (!SB_NEVER(number < 0))
            bits |= (uint8_t)(1u << number);
    }
    return bits;
}

static struct msg_override read_override(yyjson_val *object)
{
    struct sb_slice hours = sb_json_text(yyjson_obj_get(object, "hours"));
    struct msg_override override = {
        .min_prompt_tokens = (uint32_t)yyjson_get_uint(yyjson_obj_get(object, "min_prompt_tokens")),
        .days = read_days(yyjson_obj_get(object, "days")),
    };

    if (hours.n > 0 && SB_NEVER(!cp_hours_read(hours, &override.from, &override.until)))
        override.from = override.until = 0;
    for (int kind = 0; kind < MSG_PRICE_COUNT; kind++)
        override.price[kind] = cp_price_read(object, kind);
    return override;
}

int cp_overrides_read(struct yyjson_val *list, struct sb_arena *arena,
                      const struct msg_override **ret_overrides, size_t *ret_n)
{
    size_t n = yyjson_arr_size(list), at = 0;
    struct msg_override *rows = NULL;
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);
    yyjson_val *object;

    if (n > 0) {
        rows = sb_arena_try(arena, n * sizeof(*rows));
        if (rows == NULL)
            return SB_ENOMEM;
    }
    while ((object = yyjson_arr_iter_next(&iter)) != NULL)
        rows[at++] = read_override(object);
    *ret_overrides = rows;
    *ret_n = n;
    return SB_OK;
}
