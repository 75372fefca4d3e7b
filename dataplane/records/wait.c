/* dataplane/records/wait.c */
#include "dataplane/records/wait.h"

#include "common/attr.h"
#include "common/check.h"

void dp_waits_init(struct dp_waits *waits)
{
    sb_list_init(&waits->waiting);
}

void dp_waits_advance(struct dp_waits *waits, uint64_t sequence)
{
    struct sb_list *first;

    while ((first = sb_list_first(&waits->waiting)) != NULL) {
        struct dp_wait *wait = container_of(first, struct dp_wait, link);

        if (wait->sequence > sequence)
            return;
        dp_wait_cancel(wait);
        wait->cb(wait, true);
    }
}

static void on_limit(struct sb_timer *timer)
{
    struct dp_wait *wait = container_of(timer, struct dp_wait, limit);

    dp_wait_cancel(wait);
    wait->cb(wait, false);
}

void dp_wait_init(struct dp_wait *wait, struct sb_loop *loop, dp_wait_cb *cb)
{
    sb_list_init(&wait->link);
    sb_timer_init(&wait->limit, loop, on_limit);
    wait->sequence = 0;
    wait->cb = cb;
}

void dp_wait_release(struct dp_wait *wait)
{
    dp_wait_cancel(wait);
    sb_timer_release(&wait->limit);
}

void dp_wait_begin(struct dp_wait *wait, struct dp_waits *waits, uint64_t sequence, sb_msec limit)
{
    struct sb_list *last = sb_list_last(&waits->waiting);

    SB_BUG_ON(dp_wait_is_waiting(wait));
    SB_BUG_ON(last != NULL && container_of(last, struct dp_wait, link)->sequence > sequence);
    wait->sequence = sequence;
    sb_list_add_tail(&waits->waiting, &wait->link);
    sb_timer_set(&wait->limit, sb_loop_now(wait->limit.loop) + limit);
}

void dp_wait_cancel(struct dp_wait *wait)
{
    sb_timer_cancel(&wait->limit);
    sb_list_remove(&wait->link);
}

bool dp_wait_is_waiting(const struct dp_wait *wait)
{
    return sb_list_is_linked(&wait->link);
}
