/* common/confvalue.c */
#include "common/confvalue.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/num.h"
#include "common/slice.h"

struct unit {
    const char *name;
    uint64_t factor;
};

/* The largest first: so a number is written with the unit that is shortest. */
static const struct unit size_units[] = {
    {"TiB", UINT64_C(1) << 40},
    {"GiB", UINT64_C(1) << 30},
    {"MiB", UINT64_C(1) << 20},
    {"KiB", UINT64_C(1) << 10},
    {"", 1},
};
static const struct unit time_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

size_t sb_conf_value_size(enum sb_conf_type type)
{
    static const union sb_conf_value value;

    switch (type) {
    case SB_CONF_INT:
        return sizeof(value.number);
    case SB_CONF_SIZE:
    case SB_CONF_MSEC:
        return sizeof(value.size);
    case SB_CONF_BOOL:
        return sizeof(value.truth);
    case SB_CONF_STRING:
        return sizeof(value.string);
    case SB_CONF_ENUM:
        return sizeof(value.choice);
    }
    return 0;
}

const char *sb_conf_value_word(enum sb_conf_type type)
{
    switch (type) {
    case SB_CONF_INT:
        return "NUMBER";
    case SB_CONF_SIZE:
        return "SIZE";
    case SB_CONF_MSEC:
        return "TIME";
    case SB_CONF_BOOL:
        return "BOOL";
    case SB_CONF_STRING:
        return "TEXT";
    case SB_CONF_ENUM:
        return "WORD";
    }
    return "";
}

static bool is_bounded(const struct sb_conf_item *item)
{
    return item->min != 0 || item->max != 0;
}

/* --- reading -------------------------------------------------------------- */

static bool read_number(const struct sb_conf_item *item, const char *text, int64_t *ret_number)
{
    bool negative = text[0] == '-';
    uint64_t magnitude;
    int64_t number;

    if (!sb_num_read_u64(sb_slice_of(text + (negative ? 1 : 0)), &magnitude) ||
        magnitude > INT64_MAX)
        return false;
    number = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    if (is_bounded(item) && (number < item->min || number > item->max))
        return false;
    *ret_number = number;
    return true;
}

/* Digits and a unit; nothing has no unit, so "0" needs none. */
static bool read_amount(const struct sb_conf_item *item, const char *text, const struct unit *units,
                        size_t n_units, uint64_t *ret_amount)
{
    size_t digits = strspn(text, "0123456789");
    uint64_t amount;

    if (!sb_num_read_u64(sb_slice_make(text, digits), &amount))
        return false;
    for (size_t i = 0; i < n_units; i++) {
        if (strcmp(text + digits, units[i].name) != 0 && !(amount == 0 && text[digits] == '\0'))
            continue;
        if (__builtin_mul_overflow(amount, units[i].factor, &amount) || amount > INT64_MAX)
            return false;
        if (is_bounded(item) && ((int64_t)amount < item->min || (int64_t)amount > item->max))
            return false;
        *ret_amount = amount;
        return true;
    }
    return false;
}

static bool read_truth(const char *text, bool *ret_truth)
{
    static const char *const words[][2] = {
        {"true", "false"}, {"yes", "no"}, {"on", "off"}, {"1", "0"}};

    for (size_t i = 0; i < SB_ARRAY_LEN(words); i++) {
        for (int no = 0; no < 2; no++) {
            if (strcmp(text, words[i][no]) == 0) {
                *ret_truth = no == 0;
                return true;
            }
        }
    }
    return false;
}

static bool read_choice(const struct sb_conf_item *item, const char *text, int *ret_choice)
{
    for (int i = 0; item->choices[i] != NULL; i++) {
        if (strcmp(text, item->choices[i]) == 0) {
            *ret_choice = i;
            return true;
        }
    }
    return false;
}

static bool string_fits(const struct sb_conf_item *item, const char *text)
{
    int64_t length = (int64_t)strlen(text);

    return !is_bounded(item) || (length >= item->min && length <= item->max);
}

bool sb_conf_value_read(const struct sb_conf_item *item, const char *text,
                        union sb_conf_value *ret_value)
{
    switch (item->type) {
    case SB_CONF_INT:
        return read_number(item, text, &ret_value->number);
    case SB_CONF_SIZE:
        return read_amount(item, text, size_units, SB_ARRAY_LEN(size_units), &ret_value->size);
    case SB_CONF_MSEC:
        return read_amount(item, text, time_units, SB_ARRAY_LEN(time_units), &ret_value->size);
    case SB_CONF_BOOL:
        return read_truth(text, &ret_value->truth);
    case SB_CONF_STRING:
        ret_value->string = text;
        return string_fits(item, text);
    case SB_CONF_ENUM:
        return read_choice(item, text, &ret_value->choice);
    }
    return false;
}

/* --- what is allowed -------------------------------------------------------- */

static void put_amount(char text[32], int64_t amount, const struct unit *units, size_t n_units)
{
    size_t i = 0;

    while (i < n_units - 1 && (uint64_t)amount % units[i].factor != 0)
        i++;
    if (amount == 0)
        (void)snprintf(text, 32, "0");
    else
        (void)snprintf(text, 32, "%" PRIu64 "%s", (uint64_t)amount / units[i].factor,
                       units[i].name);
}

static void allow_amount(const struct sb_conf_item *item, const struct unit *units, size_t n_units,
                         const char *what, char allowed[SB_CONF_ALLOWED_MAX])
{
    char min[32], max[32];

    put_amount(min, item->min, units, n_units);
    put_amount(max, item->max, units, n_units);
    if (is_bounded(item))
        (void)snprintf(allowed, SB_CONF_ALLOWED_MAX, "%s, from %s to %s", what, min, max);
    else
        (void)snprintf(allowed, SB_CONF_ALLOWED_MAX, "%s", what);
}

static void allow_choices(const struct sb_conf_item *item, char allowed[SB_CONF_ALLOWED_MAX])
{
    size_t n = 0;

    allowed[0] = '\0';
    for (int i = 0; item->choices[i] != NULL && n < SB_CONF_ALLOWED_MAX; i++) {
        const char *between = i == 0 ? "" : item->choices[i + 1] != NULL ? ", " : " or ";

        n += (size_t)snprintf(allowed + n, SB_CONF_ALLOWED_MAX - n, "%s%s", between,
                              item->choices[i]);
    }
}

void sb_conf_value_allowed(const struct sb_conf_item *item, char text[SB_CONF_ALLOWED_MAX])
{
    switch (item->type) {
    case SB_CONF_INT:
        (void)snprintf(text, SB_CONF_ALLOWED_MAX, "a whole number");
        if (is_bounded(item))
            (void)snprintf(text, SB_CONF_ALLOWED_MAX, "a whole number from %" PRId64 " to %" PRId64,
                           item->min, item->max);
        return;
    case SB_CONF_SIZE:
        allow_amount(item, size_units, SB_ARRAY_LEN(size_units),
                     "a number of bytes (4096) or one with KiB, MiB, GiB or TiB", text);
        return;
    case SB_CONF_MSEC:
        allow_amount(item, time_units, SB_ARRAY_LEN(time_units), "a number with ms, s, m, h or d",
                     text);
        return;
    case SB_CONF_BOOL:
        (void)snprintf(text, SB_CONF_ALLOWED_MAX, "true or false");
        return;
    case SB_CONF_STRING:
        (void)snprintf(text, SB_CONF_ALLOWED_MAX, "a text");
        if (is_bounded(item))
            (void)snprintf(text, SB_CONF_ALLOWED_MAX, "a text of %" PRId64 " to %" PRId64 " bytes",
                           item->min, item->max);
        return;
    case SB_CONF_ENUM:
        allow_choices(item, text);
        return;
    }
}
