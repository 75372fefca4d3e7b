/* controlplane/probes/probe_plan.c */
#include "controlplane/probes/probe_plan.h"

#include "common/err.h"
#include "common/heap.h"
#include "common/mem.h"

#define HASH_FUNCTION        HASH_FNV /* ids are the database's: nobody chooses what collides */
#define uthash_malloc(size)  sb_mem_new(size)
#define uthash_free(p, size) sb_mem_free(p)
#include <uthash.h>

struct turn {
    uint64_t id;
    struct sb_heap_node node; /* in the heap while waiting; its key is when it is due */
    sb_msec fresh_until;      /* news are young until then */
    unsigned failures, rechecks;
    bool is_down;
    bool is_wanted; /* by the cp_plan_set() under way */
    UT_hash_handle hh;
};

struct cp_plan {
    sb_msec interval;
    uint64_t chance; /* state of the generator */
    struct turn *all;
    struct sb_heap waiting;
};

/* 0 to just under 1: splitmix64 (Steele, Lea, Flood 2014). */
static double chance(struct cp_plan *plan)
{
    uint64_t z = (plan->chance += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

struct cp_plan *cp_plan_new(sb_msec interval, uint64_t seed)
{
    struct cp_plan *plan = sb_mem_new(sizeof(*plan));

    plan->interval = interval;
    plan->chance = seed;
    return plan;
}

static void forget(struct cp_plan *plan, struct turn *turn)
{
    if (turn->node.queued)
        sb_heap_remove(&plan->waiting, &turn->node);
    HASH_DEL(plan->all, turn); /* NOLINT(clang-analyzer-core.NullDereference): it is in there */
    sb_mem_free(turn);
}

void cp_plan_destroy(struct cp_plan **planp)
{
    struct cp_plan *plan = *planp;
    struct turn *turn, *next;

    *planp = NULL;
    if (plan == NULL)
        return;
    HASH_ITER(hh, plan->all, turn, next)
    {
        forget(plan, turn);
    }
    sb_mem_free(plan);
}

size_t cp_plan_count(const struct cp_plan *plan)
{
    return HASH_COUNT(plan->all);
}

static struct turn *find(const struct cp_plan *plan, uint64_t id)
{
    struct turn *turn;

    HASH_FIND(hh, plan->all, &id, sizeof(id), turn);
    return turn;
}

static void queue(struct cp_plan *plan, struct turn *turn, sb_msec due)
{
    if (turn->node.queued)
        sb_heap_remove(&plan->waiting, &turn->node);
    sb_heap_insert(&plan->waiting, &turn->node, due);
}

/* By how much a pause may be shorter or longer. */
static sb_msec jitter_of(sb_msec pause)
{
    return pause * CP_PLAN_JITTER / 100;
}

sb_msec cp_plan_pause(sb_msec interval, unsigned failures, bool is_down, unsigned rechecks,
                      double at)
{
    sb_msec pause = is_down ? CP_PLAN_RECHECK : interval;
    sb_msec most = CP_PLAN_PAUSE_MAX > interval ? CP_PLAN_PAUSE_MAX : interval;
    unsigned doublings = failures;

    if (is_down && rechecks < CP_PLAN_RECHECKS) {
        most = CP_PLAN_RECHECK_MAX;
        doublings = rechecks;
    } else if (is_down) {
        pause = interval;
    }
    while (doublings-- > 0 && pause < most)
        pause *= 2;
    if (pause > most)
        pause = most;
    return pause - jitter_of(pause) + (sb_msec)(2 * (double)jitter_of(pause) * at);
}

static void queue_after_pause(struct cp_plan *plan, struct turn *turn, sb_msec now)
{
    queue(plan, turn,
          now + cp_plan_pause(plan->interval, turn->failures, turn->is_down, turn->rechecks,
                              chance(plan)));
}

int cp_plan_set(struct cp_plan *plan, const uint64_t *ids, size_t n, sb_msec now)
{
    struct turn *turn, *next;
    int rc = SB_OK;

    HASH_ITER(hh, plan->all, turn, next)
    {
        turn->is_wanted = false;
    }
    for (size_t i = 0; i < n; i++) {
        turn = find(plan, ids[i]);
        if (turn == NULL) {
            turn = sb_mem_try(sizeof(*turn));
            if (turn == NULL) {
                rc = SB_ENOMEM;
                continue;
            }
            turn->id = ids[i];
            HASH_ADD(hh, plan->all, id, sizeof(turn->id), turn);
            queue(plan, turn, now + (sb_msec)((double)plan->interval * chance(plan)));
        }
        turn->is_wanted = true;
    }
    HASH_ITER(hh, plan->all, turn, next)
    {
        if (!turn->is_wanted)
            forget(plan, turn);
    }
    return rc;
}

void cp_plan_heard(struct cp_plan *plan, uint64_t id, sb_msec age, bool is_down, sb_msec now)
{
    struct turn *turn = find(plan, id);
    sb_msec fresh_until;

    if (turn == NULL)
        return;
    fresh_until = now + plan->interval > age ? now + plan->interval - age : 0;
    if (fresh_until > turn->fresh_until)
        turn->fresh_until = fresh_until;
    if (is_down == turn->is_down)
        return;
    turn->is_down = is_down;
    turn->rechecks = 0;
    if (turn->node.queued) /* not when its probe is under way: that looks already */
        queue_after_pause(plan, turn, now);
}

bool cp_plan_take(struct cp_plan *plan, sb_msec now, uint64_t *ret_id,
                  enum cp_probe_reason *ret_reason)
{
    while (plan->waiting.root != NULL && plan->waiting.root->key <= now) {
        struct turn *turn = container_of(plan->waiting.root, struct turn, node);

        if (turn->fresh_until > now && !turn->is_down) {
            turn->failures = 0;
            queue(plan, turn,
                  turn->fresh_until + (sb_msec)((double)jitter_of(plan->interval) * chance(plan)));
            continue;
        }
        sb_heap_remove(&plan->waiting, &turn->node);
        *ret_id = turn->id;
        *ret_reason = turn->is_down ? CP_PROBE_OUTAGE : CP_PROBE_STALE;
        return true;
    }
    return false;
}

void cp_plan_done(struct cp_plan *plan, uint64_t id, bool has_failed, sb_msec now)
{
    struct turn *turn = find(plan, id);

    if (turn == NULL || turn->node.queued)
        return;
    turn->failures = has_failed ? turn->failures + 1 : 0;
    turn->rechecks++;
    if (!has_failed)
        turn->is_down = false; /* the tables will say the same in a moment */
    queue_after_pause(plan, turn, now);
}

void cp_plan_put_off(struct cp_plan *plan, uint64_t id, sb_msec pause, sb_msec now)
{
    struct turn *turn = find(plan, id);

    if (turn != NULL && !turn->node.queued)
        queue(plan, turn, now + pause);
}

sb_msec cp_plan_wait(const struct cp_plan *plan, sb_msec now, sb_msec most)
{
    if (plan->waiting.root == NULL || plan->waiting.root->key >= now + most)
        return most;
    return plan->waiting.root->key > now ? plan->waiting.root->key - now : 0;
}
