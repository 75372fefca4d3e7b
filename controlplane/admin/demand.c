/* controlplane/admin/demand.c */
#include "controlplane/admin/demand.h"

#include "common/log.h"
#include "common/timefmt.h"
#include "controlplane/admin/call.h"
#include "controlplane/records/compliance.h"
#include "proto/country.h"

enum { DAYS = 30 };

static const int64_t usec_per_day = SB_SEC_PER_DAY * SB_USEC_PER_SEC;

/* Countries in the order in which records have them; NONE: one is none. */
static struct sb_slice read_countries(struct sb_slice left, struct sb_arena *arena)
{
    struct sb_slice list = SB_SLICE_NONE;
    struct msg_countries set = {{0}};
    char code[MSG_COUNTRY_CODE];

    for (;;) {
        struct sb_slice word = sb_slice_make(left.p, sb_slice_find(left, ','));
        int country = msg_country_parse(word);

        if (country < 0)
            return SB_SLICE_NONE;
        msg_countries_add(&set, country);
        if (word.n == left.n)
            break;
        left = sb_slice_from(left, word.n + 1);
    }
    for (int country = 0; country < MSG_COUNTRIES; country++) {
        if (!msg_countries_have(&set, country))
            continue;
        msg_country_format(country, code);
        list = sb_arena_printf(arena, "%.*s%s%s", SB_SLICE_ARGS(list), list.n > 0 ? "," : "", code);
    }
    return list;
}

static void read_claim(struct cp_call *call, struct cp_demand *demand)
{
    struct sb_slice text = cp_call_param(call, "claim"), name, area;
    int claim;

    name = sb_slice_make(text.p, sb_slice_find(text, ':'));
    claim = cp_demand_parse(name);
    if (claim < 0 || (name.n < text.n && claim != MSG_CLAIM_EU_RESIDENT)) {
        cp_problems_add(&call->problems, SB_SLICE_LIT("claim"), 0,
                        "'%.*s' is none; there are residency, residency:eu, residency:DE,FR, zdr, "
                        "no_training and distillable",
                        SB_LOG_SLICE(text));
        return;
    }
    demand->claim = (enum msg_claim_kind)claim;
    demand->name = name;
    if (name.n == text.n)
        return;
    area = sb_slice_from(text, name.n + 1);
    demand->area = sb_slice_eq_nocase(area, SB_SLICE_LIT("eu")) ? SB_SLICE_LIT("eu")
                                                                : read_countries(area, call->arena);
    demand->name = sb_arena_printf(call->arena, "residency:%.*s", SB_SLICE_ARGS(demand->area));
    if (demand->area.n == 0)
        cp_problems_add(&call->problems, SB_SLICE_LIT("claim"), 0,
                        "'%.*s' is no residency: eu, or countries such as DE,FR are",
                        SB_LOG_SLICE(area));
}

/* A day, or a moment: the first day that begins not before it (up), or the one
 * that it is in. */
static int32_t read_day(struct cp_call *call, const char *name, bool up, int32_t fallback)
{
    struct sb_slice text = cp_call_param(call, name);
    sb_usec wall = 0;
    int32_t day = 0;

    if (text.p == NULL)
        return fallback;
    if (sb_date_parse(text, &day) == SB_OK)
        return day;
    if (sb_time_parse(text, &wall) == SB_OK)
        return sb_day_of(wall) + (up && (int64_t)wall % usec_per_day != 0 ? 1 : 0);
    cp_problems_add(&call->problems, sb_slice_of(name), 0,
                    "'%.*s' is not a day: 2026-01-31 is; days are those of UTC",
                    SB_LOG_SLICE(text));
    return fallback;
}

void cp_demand_read(struct cp_call *call, struct cp_demand *ret_demand)
{
    struct cp_demand demand = {.name = SB_SLICE_NONE};

    read_claim(call, &demand);
    demand.to = read_day(call, "to", true, sb_day_of(sb_clock_wall(&sb_clock_system)) + 1);
    demand.from = read_day(call, "from", false, demand.to - DAYS);
    if (demand.from >= demand.to)
        cp_problems_add(&call->problems, SB_SLICE_LIT("from"), 0,
                        "has to be before \"to\", which is the first day after the report");
    *ret_demand = demand;
}

_Static_assert(MSG_CLAIM_EU_RESIDENT == 0 && MSG_CLAIM_ZDR == 1 && MSG_CLAIM_NO_TRAINING == 2 &&
                   MSG_CLAIM_DISTILLABLE == 3,
               "as in CP_DEMAND_BIT");

void cp_demand_params(const struct cp_demand *demand, struct cp_param ret_params[CP_DEMAND_PARAMS])
{
    ret_params[0] = CP_P_STR(cp_demand_name(demand->claim));
    ret_params[1] = CP_P_I64(demand->from);
    ret_params[2] = CP_P_I64(demand->to);
    ret_params[3] = demand->area.p != NULL ? CP_P_TEXT(demand->area) : CP_P_NULL;
}
