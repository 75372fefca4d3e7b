/* controlplane/admin/filter.c */
#include "controlplane/admin/filter.h"

#include "common/closest.h"
#include "common/log.h"
#include "common/money.h"
#include "common/network.h"
#include "common/num.h"
#include "common/timefmt.h"
#include "controlplane/admin/call.h"
#include "controlplane/catalog/catalog.h"
#include "proto/country.h"
#include "proto/vocabulary.h"

static void complain(struct cp_call *call, const char *name, struct sb_slice value,
                     const char *wanted)
{
    cp_problems_add(&call->problems, sb_slice_of(name), 0, "'%.*s' is not %s", SB_LOG_SLICE(value),
                    wanted);
}

struct sb_slice cp_filter_words(struct cp_call *call, const char *const *names)
{
    struct sb_slice list = sb_slice_of(names[0]);

    for (size_t i = 1; names[i] != NULL; i++)
        list = sb_arena_printf(call->arena, "%.*s%s%s", SB_SLICE_ARGS(list),
                               names[i + 1] != NULL ? ", " : " and ", names[i]);
    return list;
}

void cp_filter_complain(struct cp_call *call, const char *name, struct sb_slice value,
                        const char *const *names)
{
    cp_problems_add(&call->problems, sb_slice_of(name), 0, "'%.*s' is none; there are %.*s",
                    SB_LOG_SLICE(value), SB_SLICE_ARGS(cp_filter_words(call, names)));
}

struct cp_param cp_filter_text(struct cp_call *call, const char *name)
{
    struct sb_slice value = cp_call_param(call, name);

    return value.p != NULL ? CP_P_TEXT(value) : CP_P_NULL;
}

struct cp_param cp_filter_time(struct cp_call *call, const char *name)
{
    struct sb_slice value = cp_call_param(call, name);
    char text[SB_TIME_TEXT_MAX];
    sb_usec wall = 0;
    int32_t day = 0;
    size_t n;

    if (value.p == NULL)
        return CP_P_NULL;
    if (sb_date_parse(value, &day) == SB_OK && day >= 0) {
        wall = (sb_usec)((int64_t)day * SB_SEC_PER_DAY * SB_USEC_PER_SEC);
    } else if (sb_time_parse(value, &wall) != SB_OK) {
        complain(call, name, value, "a time: 2026-01-31 or 2026-01-31T12:00:00Z is");
        return CP_P_NULL;
    }
    n = sb_time_format(wall, 6, text);
    return CP_P_TEXT(sb_arena_dup(call->arena, sb_slice_make(text, n)));
}

struct cp_param cp_filter_money(struct cp_call *call, const char *name)
{
    struct sb_slice value = cp_call_param(call, name);
    sb_money money = 0;

    if (value.p == NULL)
        return CP_P_NULL;
    if (sb_money_parse(value, &money) != SB_OK) {
        complain(call, name, value, "an amount of USD: 0.25 is");
        return CP_P_NULL;
    }
    return CP_P_I64(money);
}

struct cp_param cp_filter_number(struct cp_call *call, const char *name)
{
    struct sb_slice value = cp_call_param(call, name);
    uint64_t number = 0;

    if (value.p == NULL)
        return CP_P_NULL;
    if (!sb_num_read_u64(value, &number) || number > INT64_MAX) {
        complain(call, name, value, "a whole number");
        return CP_P_NULL;
    }
    return CP_P_I64(number);
}

struct cp_param cp_filter_kind(struct cp_call *call, const char *name)
{
    struct sb_slice value = cp_call_param(call, name);
    const char *sections[CP_KINDS + 1] = {NULL};
    int kind = cp_kind_parse(value);

    if (value.p == NULL)
        return CP_P_NULL;
    if (kind >= 0)
        return CP_P_STR(cp_kind_section((enum cp_kind)kind));
    for (int i = 0; i < CP_KINDS; i++)
        sections[i] = cp_kind_section((enum cp_kind)i);
    cp_filter_complain(call, name, value, sections);
    return CP_P_NULL;
}

struct cp_param cp_filter_network(struct cp_call *call, const char *name)
{
    struct sb_slice value = cp_call_param(call, name);
    struct sb_network network;

    if (value.p == NULL)
        return CP_P_NULL;
    if (sb_network_parse(value, &network) != SB_OK) {
        complain(call, name, value, "an address or a network: 192.0.2.0/24 is");
        return CP_P_NULL;
    }
    return CP_P_TEXT(value);
}

/* --- areas ---------------------------------------------------------------------------- */

/* The union as a region of its own, and its members. */
static struct sb_slice add_union(struct sb_slice list, struct sb_arena *arena)
{
    char code[MSG_COUNTRY_CODE];

    list = sb_arena_printf(arena, "%.*s,EU", SB_SLICE_ARGS(list));
    for (int country = 0; country < MSG_COUNTRIES; country++) {
        if (!msg_country_is_eu(country))
            continue;
        msg_country_format(country, code);
        list = sb_arena_printf(arena, "%.*s,%s", SB_SLICE_ARGS(list), code);
    }
    return list;
}

struct cp_param cp_filter_area(struct cp_call *call, const char *name)
{
    struct sb_slice left = cp_call_param(call, name), list = SB_SLICE_NONE;
    char code[MSG_COUNTRY_CODE];

    if (left.p == NULL)
        return CP_P_NULL;
    for (;;) {
        struct sb_slice word = sb_slice_make(left.p, sb_slice_find(left, ','));
        int country = msg_country_parse(word);

        if (sb_slice_eq_nocase(word, SB_SLICE_LIT("eu"))) {
            list = add_union(list, call->arena);
        } else if (country < 0) {
            complain(call, name, word, "eu, and no country: DE, or DE,FR is");
        } else {
            msg_country_format(country, code);
            list = sb_arena_printf(call->arena, "%.*s,%s", SB_SLICE_ARGS(list), code);
        }
        if (word.n == left.n)
            break;
        left = sb_slice_from(left, word.n + 1);
    }
    if (list.n == 0)
        return CP_P_NULL;
    return CP_P_TEXT(sb_arena_printf(call->arena, "{%.*s}", SB_SLICE_ARGS(sb_slice_from(list, 1))));
}

struct cp_param cp_filter_residency(struct cp_call *call, const char *name)
{
    struct sb_slice value = cp_call_param(call, name);
    int country = msg_country_parse(value);
    char code[MSG_COUNTRY_CODE];

    if (value.p == NULL)
        return CP_P_NULL;
    if (sb_slice_eq_nocase(value, SB_SLICE_LIT("eu")))
        return CP_P_STR("eu");
    if (country < 0) {
        complain(call, name, value, "eu, and no country: DE is");
        return CP_P_NULL;
    }
    msg_country_format(country, code);
    return CP_P_TEXT(sb_arena_dup(call->arena, sb_slice_of(code)));
}

/* --- outcomes ------------------------------------------------------------------------ */

static void complain_outcome(struct cp_call *call, const char *name, struct sb_slice word)
{
    static const char *const names[] = {
#define X(name, number, text) text,
        MSG_OUTCOME_MAP(X)
#undef X
            NULL};
    struct sb_closest guess = sb_closest_begin(word);

    for (size_t i = 0; names[i] != NULL; i++)
        sb_closest_try(&guess, names[i]);
    if (guess.best != NULL)
        cp_problems_add(&call->problems, sb_slice_of(name), 0,
                        "'%.*s' is no outcome; did you mean '%s'?", SB_LOG_SLICE(word), guess.best);
    else
        cp_filter_complain(call, name, word, names + 1); /* the first is that there is none yet */
}

struct cp_param cp_filter_outcomes(struct cp_call *call, const char *name)
{
    struct sb_slice left = cp_call_param(call, name), list = SB_SLICE_NONE;

    if (left.p == NULL)
        return CP_P_NULL;
    for (;;) {
        struct sb_slice word = sb_slice_make(left.p, sb_slice_find(left, ','));
        int number = msg_outcome_parse(word);

        if (number < 0)
            complain_outcome(call, name, word);
        list = sb_arena_printf(call->arena, "%.*s%s%d", SB_SLICE_ARGS(list), list.n > 0 ? "," : "",
                               number);
        if (word.n == left.n)
            break;
        left = sb_slice_from(left, word.n + 1);
    }
    return CP_P_TEXT(sb_arena_printf(call->arena, "{%.*s}", SB_SLICE_ARGS(list)));
}

void cp_filter_bit(struct cp_call *call, const char *name, unsigned bit, int64_t *with,
                   int64_t *without)
{
    if (cp_call_param(call, name).p == NULL)
        return;
    *(cp_call_flag(call, name) ? with : without) |= INT64_C(1) << bit;
}
