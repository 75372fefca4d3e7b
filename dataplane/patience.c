/* dataplane/patience.c */
#include "dataplane/patience.h"

#include "dataplane/conf.h"
#include "dataplane/route/policy.h"
#include "proto/tables.h"

enum {
    FIRST_CONTENT = 10000, /* milliseconds, of a prompt that is short */
    P99_FACTOR = 3,
    REASONING_FACTOR = 6,
};

static const double tokens_per_second = 4000; /* of a prompt that is read */

static sb_msec at_most(sb_msec limit, sb_msec other)
{
    return other > 0 && other < limit ? other : limit;
}

static sb_msec first_content(const struct dp_patience_ask *ask)
{
    sb_msec limit = FIRST_CONTENT + (sb_msec)(ask->prompt_tokens * 1000 / tokens_per_second);

    if (ask->is_last)
        limit = ask->conf->first_token_last;
    else if (ask->p99 != MSG_NO_DATA && (sb_msec)ask->p99 * P99_FACTOR > limit)
        limit = (sb_msec)ask->p99 * P99_FACTOR;
    return ask->reasoning ? limit * REASONING_FACTOR : limit;
}

sb_msec dp_patience(const struct dp_patience_ask *ask)
{
    const struct dp_conf *conf = ask->conf;
    sb_msec limit;

    if (ask->streamed)
        limit = at_most(first_content(ask), ask->plan->first_token_timeout);
    else
        limit = ask->is_last ? conf->answer_timeout_last : conf->answer_timeout;
    return at_most(limit, ask->plan->attempt_timeout);
}
