/* dataplane/pace.c */
#include "dataplane/pace.h"

#define HASH_FUNCTION        HASH_FNV
#define uthash_malloc(size)  sb_mem_new(size)
#define uthash_free(p, size) sb_mem_free(p)
#include <uthash.h>

#include "common/mem.h"
#include "dataplane/courier/telemetry.h"
#include "dataplane/dialect.h"
#include "proto/record.h"

/* What each answer before the newest one still counts. */
static const double FADE = 15.0 / 16;

/* What an endpoint's finished streams were like; sums that fade. */
struct habit {
    uint64_t endpoint;
    double answers, bytes, tokens;
    UT_hash_handle hh;
};

struct dp_paces {
    struct dp_telemetry *telemetry; /* borrowed */
    struct habit *habits;           /* by endpoint, and in the order of their making */
};

/* --- habits ------------------------------------------------------------------ */

struct dp_paces *dp_paces_new(struct dp_telemetry *telemetry)
{
    struct dp_paces *paces = sb_mem_new(sizeof(*paces));

    paces->telemetry = telemetry;
    return paces;
}

static void forget(struct dp_paces *paces, struct habit *habit)
{
    HASH_DEL(paces->habits, habit);
    sb_mem_free(habit);
}

void dp_paces_destroy(struct dp_paces **pacesp)
{
    struct dp_paces *paces = *pacesp;
    struct habit *habit, *next;

    *pacesp = NULL;
    if (paces == NULL)
        return;
    HASH_ITER(hh, paces->habits, habit, next)
    {
        forget(paces, habit);
    }
    sb_mem_free(paces);
}

static struct habit *find(const struct dp_paces *paces, uint64_t endpoint)
{
    struct habit *habit = NULL;

    HASH_FIND(hh, paces->habits, &endpoint, sizeof(endpoint), habit);
    return habit;
}

static struct habit *find_or_make(struct dp_paces *paces, uint64_t endpoint)
{
    struct habit *habit = find(paces, endpoint);

    if (habit != NULL)
        return habit;
    if (HASH_COUNT(paces->habits) >= DP_PACES_MAX)
        forget(paces, paces->habits);
    habit = sb_mem_new(sizeof(*habit));
    habit->endpoint = endpoint;
    HASH_ADD(hh, paces->habits, endpoint, sizeof(habit->endpoint), habit);
    return habit;
}

static bool is_own(const struct msg_attempt *attempt)
{
    return attempt->credential_kind == MSG_CREDENTIAL_KIND_OWN;
}

void dp_paces_learn(struct dp_paces *paces, const struct msg_attempt *attempt,
                    const struct dp_incoming *in)
{
    struct habit *habit;

    if (is_own(attempt) || in->usage.source != MSG_USAGE_SOURCE_PROVIDER ||
        in->usage.completion_tokens < 2 || in->content_bytes == 0)
        return;
    habit = find_or_make(paces, attempt->endpoint);
    habit->answers = habit->answers * FADE + 1;
    habit->bytes = habit->bytes * FADE + (double)in->content_bytes;
    habit->tokens = habit->tokens * FADE + (double)in->usage.completion_tokens;
}

/* --- what is said ------------------------------------------------------------ */

/* Bytes per millisecond between two marks, the first one earlier. */
static double pace_between(const struct dp_pace_mark *from, const struct dp_pace_mark *to)
{
    return (double)(to->bytes - from->bytes) / (double)(to->at - from->at);
}

/* Tokens per second of a whole answer of such a pace. */
static double throughput(const struct dp_pace *pace, const struct habit *habit, double bytes)
{
    double usual = habit->bytes / habit->answers;
    double all = bytes > usual ? bytes : usual;
    double took;

    if (pace->said_pace <= 0)
        return 0;
    took = pace->wait + (all - (double)pace->begun.bytes) / pace->said_pace;
    return all * habit->tokens / habit->bytes * 1000 / took;
}

static void say(struct dp_pace *pace, const struct dp_pace_mark *now, double newest)
{
    const struct habit *habit = find(pace->paces, pace->endpoint);

    pace->said = *now;
    pace->said_pace = newest;
    pace->say_at = now->at + DP_PACE_TICK;
    if (pace->say_at < now->at + (now->at - pace->pauses_from) / 2)
        pace->say_at = now->at + (now->at - pace->pauses_from) / 2;
    if (habit != NULL)
        dp_telemetry_pace(pace->paces->telemetry, pace->endpoint,
                          throughput(pace, habit, (double)now->bytes));
}

/* Whether the newest seconds are of another pace than what was said. */
static bool has_changed(const struct dp_pace *pace, double newest)
{
    return newest * 2 < pace->said_pace || newest > pace->said_pace * 2;
}

void dp_pace_look(struct dp_pace *pace, sb_msec at)
{
    struct dp_pace_mark now = {.at = at, .bytes = pace->in->content_bytes};
    double newest = pace_between(&pace->before[0], &now);

    if (pace->in->finished >= pace->in->n) /* only usage and the end mark are to come */
        return;
    if (pace->said.at != pace->begun.at && pace->changes < DP_PACE_CHANGES &&
        has_changed(pace, newest)) {
        pace->changes++;
        pace->pauses_from = now.at;
        say(pace, &now, newest);
    } else if (now.at >= pace->say_at) {
        say(pace, &now, pace_between(&pace->said, &now));
    }
    pace->before[0] = pace->before[1];
    pace->before[1] = now;
    sb_timer_set(&pace->tick, now.at + DP_PACE_TICK);
}

static void on_tick(struct sb_timer *timer)
{
    dp_pace_look(container_of(timer, struct dp_pace, tick), sb_loop_now(timer->loop));
}

/* --- one stream -------------------------------------------------------------- */

void dp_pace_init(struct dp_pace *pace, struct sb_loop *loop)
{
    *pace = (struct dp_pace){.has_begun = false};
    sb_timer_init(&pace->tick, loop, on_tick);
}

void dp_pace_release(struct dp_pace *pace)
{
    sb_timer_release(&pace->tick);
}

void dp_pace_begin(struct dp_pace *pace, struct dp_paces *paces, const struct msg_attempt *attempt,
                   const struct dp_incoming *in, uint64_t wait, sb_msec now)
{
    pace->has_begun = true;
    if (is_own(attempt))
        return;
    pace->changes = 0;
    pace->paces = paces;
    pace->in = in;
    pace->endpoint = attempt->endpoint;
    pace->wait = (double)wait / 1000;
    pace->begun = (struct dp_pace_mark){.at = now, .bytes = in->content_bytes};
    pace->said = pace->before[0] = pace->before[1] = pace->begun;
    pace->said_pace = 0;
    pace->pauses_from = pace->begun.at;
    pace->say_at = pace->begun.at + DP_PACE_TICK;
    sb_timer_set(&pace->tick, pace->say_at);
}

void dp_pace_hush(struct dp_pace *pace)
{
    sb_timer_cancel(&pace->tick);
}

void dp_pace_end(struct dp_pace *pace)
{
    sb_timer_cancel(&pace->tick);
    pace->has_begun = false;
}
