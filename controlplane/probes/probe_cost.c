/* controlplane/probes/probe_cost.c */
#include "controlplane/probes/probe_cost.h"

#include "common/err.h"
#include "common/money.h"
#include "common/timefmt.h"
#include "proto/tariff.h"

enum {
    TEMPLATE_TOKENS = 256, /* roles, separators, a system prompt of the provider's own */
    AHEAD_SECONDS = 3600,
};

static int64_t dearer(const int64_t *price, enum msg_price a, enum msg_price b)
{
    return price[a] > price[b] ? price[a] : price[b];
}

int cp_probe_worst(const struct msg_endpoint *endpoint, size_t request_bytes, uint32_t max_tokens,
                   int64_t *ret_worst)
{
    const struct msg_tariff tariff = msg_endpoint_tariff(endpoint);
    struct msg_prices dearest;
    const int64_t *price = dearest.at;
    sb_money prompt, completion = 0, worst;
    int rc;

    msg_tariff_dearest(&tariff, &dearest); /* it may be sent at another hour than it is planned */
    if (price[MSG_PRICE_PROMPT] < 0 || (price[MSG_PRICE_COMPLETION] < 0 && max_tokens > 0))
        return SB_EINVAL;
    rc = sb_money_mul(dearer(price, MSG_PRICE_PROMPT, MSG_PRICE_CACHE_WRITE),
                      request_bytes + TEMPLATE_TOKENS, &prompt);
    if (rc == SB_OK && max_tokens > 0)
        rc = sb_money_mul(dearer(price, MSG_PRICE_COMPLETION, MSG_PRICE_REASONING), max_tokens,
                          &completion);
    if (rc == SB_OK)
        rc = sb_money_add(prompt, completion, &worst);
    if (rc == SB_OK && price[MSG_PRICE_REQUEST] > 0)
        rc = sb_money_add(worst, price[MSG_PRICE_REQUEST], &worst);
    if (rc == SB_OK)
        *ret_worst = worst;
    return rc;
}

int64_t cp_probe_allowance(int64_t budget, enum cp_probe_reason reason, sb_usec wall)
{
    int64_t second = (int64_t)(wall / SB_USEC_PER_SEC) % SB_SEC_PER_DAY + AHEAD_SECONDS;

    if (reason != CP_PROBE_STALE || second >= SB_SEC_PER_DAY)
        return budget;
    return budget / SB_SEC_PER_DAY * second + budget % SB_SEC_PER_DAY * second / SB_SEC_PER_DAY;
}
