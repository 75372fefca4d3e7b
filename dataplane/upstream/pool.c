/* dataplane/upstream/pool.c */
#include "dataplane/upstream/pool.h"

#include "common/check.h"
#include "common/loop.h"
#include "common/mem.h"

enum { BUCKETS = 256 }; /* of targets, by their hash */

/* One target and its connections.  Takes that wait are in two lists: those
 * with a dial under way, and, all later ones, those for which there was no
 * room.  Together they are the queue. */
struct dp_origin {
    struct sb_list link; /* in its bucket */
    struct dp_pool *pool;
    struct dp_target target; /* its strings lie in text */
    char *text;
    struct sb_list idle;     /* places, newest first */
    struct sb_list dials;    /* places */
    struct sb_list dialling; /* takes */
    struct sb_list queued;   /* takes */
    uint32_t n_idle;
    uint32_t n_conns;   /* idle, in use, dialling, assigned */
    uint32_t in_flight; /* takes that wait, and connections in use */
    bool named;         /* while dp_pool_retain() works */
    bool gone;          /* no snapshot names it: keeps nothing, and goes when it is unused */
};

struct dp_pool {
    struct sb_loop *loop;     /* borrowed */
    struct dp_dialer *dialer; /* borrowed */
    struct dp_pool_conf conf;
    struct sb_list buckets[BUCKETS];
    struct sb_list idle;    /* places of all targets, oldest first */
    struct sb_list ready;   /* takes that have got a connection given back */
    struct sb_task deliver; /* to these: not from inside dp_pool_give() */
    struct sb_timer expiry; /* of the oldest idle one */
    struct dp_pool_stats stats;
    bool draining;
};

const struct dp_pool_conf dp_pool_conf_default = {
    .connections = 4096,
    .idle_per_target = 256,
    .idle_total = 1024,
    .idle_timeout = 60000,
    .max_age = 600000,
};

static void on_dialled(struct dp_conn *conn, enum msg_outcome outcome, const char *text);

/* --- origins ------------------------------------------------------------------ */

static struct sb_list *bucket_of(struct dp_pool *pool, const struct dp_target *target)
{
    return &pool->buckets[(target->hash ^ target->hash >> 32) % BUCKETS];
}

static struct dp_origin *origin_find(struct dp_pool *pool, const struct dp_target *target)
{
    sb_list_for_each(link, bucket_of(pool, target))
    {
        struct dp_origin *origin = container_of(link, struct dp_origin, link);

        if (dp_target_same(&origin->target, target))
            return origin;
    }
    return NULL;
}

static struct sb_slice keep(char **at, struct sb_slice text)
{
    struct sb_slice kept = sb_slice_make(*at, text.n);

    if (text.n > 0)
        memcpy(*at, text.p, text.n);
    *at += text.n;
    return kept;
}

/* Strings of a target are at most as long as proto/limits.h lets them be. */
static struct dp_origin *origin_new(struct dp_pool *pool, const struct dp_target *target)
{
    struct dp_origin *origin = sb_mem_new(sizeof(*origin));
    char *at;

    at = origin->text =
        sb_mem_new(target->provider.n + target->host.n + target->proxy.n + target->ca_file.n + 1);
    origin->pool = pool;
    origin->target = *target;
    origin->target.provider = keep(&at, target->provider);
    origin->target.host = keep(&at, target->host);
    origin->target.proxy = keep(&at, target->proxy);
    origin->target.ca_file = keep(&at, target->ca_file);
    origin->target.authority = SB_SLICE_NONE;
    origin->target.path = SB_SLICE_NONE;
    sb_list_init(&origin->idle);
    sb_list_init(&origin->dials);
    sb_list_init(&origin->dialling);
    sb_list_init(&origin->queued);
    sb_list_init(&origin->link);
    sb_list_add_head(bucket_of(pool, target), &origin->link);
    return origin;
}

static void origin_free(struct dp_origin *origin)
{
    sb_list_remove(&origin->link);
    sb_mem_free(origin->text);
    sb_mem_free(origin);
}

/* Call it last: the origin may be gone then. */
static void origin_leave(struct dp_origin *origin)
{
    if (origin->gone && origin->n_conns == 0 && origin->in_flight == 0)
        origin_free(origin);
}

static uint32_t max_connections(const struct dp_origin *origin)
{
    uint32_t own = origin->target.max_connections;

    return own > 0 ? own : origin->pool->conf.connections;
}

/* --- idle --------------------------------------------------------------------- */

static struct dp_conn_place *place_of(struct sb_list *link)
{
    return container_of(link, struct dp_conn_place, link);
}

static void close_conn(struct dp_conn_place *place)
{
    struct dp_conn *conn = place->conn;

    place->origin->n_conns--;
    place->origin = NULL;
    dp_conn_close(&conn);
}

static void idle_remove(struct dp_conn_place *place)
{
    sb_list_remove(&place->link);
    sb_list_remove(&place->link_all);
    place->origin->n_idle--;
    place->origin->pool->stats.idle--;
}

static void expire(struct dp_conn_place *place)
{
    place->origin->pool->stats.idle_expired++;
    idle_remove(place);
    close_conn(place);
}

static void arm_expiry(struct dp_pool *pool)
{
    struct sb_list *oldest = sb_list_first(&pool->idle);

    if (oldest != NULL) {
        const struct dp_conn_place *place = container_of(oldest, struct dp_conn_place, link_all);

        sb_timer_set(&pool->expiry, place->since + pool->conf.idle_timeout);
    }
}

/* The timer is set to the oldest that there was: it may have been used since. */
static void on_expiry(struct sb_timer *timer)
{
    struct dp_pool *pool = container_of(timer, struct dp_pool, expiry);
    sb_msec now = sb_loop_now(pool->loop);
    struct sb_list *oldest;

    while ((oldest = sb_list_first(&pool->idle)) != NULL) {
        struct dp_conn_place *place = container_of(oldest, struct dp_conn_place, link_all);
        struct dp_origin *origin = place->origin;

        if (place->since + pool->conf.idle_timeout > now)
            break;
        expire(place);
        origin_leave(origin);
    }
    arm_expiry(pool);
}

/* Anything that comes to an idle connection ends it: a FIN, or bytes that
 * answer no request and must not be taken for the answer to the next.  TLS
 * tickets wake it too, and leave nothing to read. */
static void on_idle_event(struct dp_conn *conn, unsigned events)
{
    struct dp_conn_place *place = dp_conn_place(conn);
    struct dp_origin *origin = place->origin;
    char byte;
    size_t n;

    (void)events;
    if (dp_conn_recv(conn, &byte, 1, &n) == SB_EAGAIN)
        return;
    origin->pool->stats.idle_closed++;
    idle_remove(place);
    close_conn(place);
    origin_leave(origin); /* nobody waits for room where something is idle: pump() */
}

static bool is_keepable(const struct dp_origin *origin, const struct dp_conn *conn)
{
    const struct dp_pool *pool = origin->pool;

    return !pool->draining && !origin->gone && pool->conf.idle_per_target > 0 &&
           pool->conf.idle_total > 0 && dp_conn_age(conn) < pool->conf.max_age;
}

static void idle_add(struct dp_origin *origin, struct dp_conn_place *place)
{
    struct dp_pool *pool = origin->pool;

    if (origin->n_idle >= pool->conf.idle_per_target)
        expire(place_of(sb_list_last(&origin->idle)));
    else if (pool->stats.idle >= (int64_t)pool->conf.idle_total) {
        struct dp_conn_place *oldest =
            container_of(sb_list_first(&pool->idle), struct dp_conn_place, link_all);
        struct dp_origin *other = oldest->origin;

        expire(oldest);
        origin_leave(other);
    }
    place->reused = true;
    place->since = sb_loop_now(pool->loop);
    sb_list_add_head(&origin->idle, &place->link);
    sb_list_add_tail(&pool->idle, &place->link_all);
    origin->n_idle++;
    pool->stats.idle++;
    dp_conn_hold(place->conn, on_idle_event, NULL);
    if (!sb_timer_is_set(&pool->expiry))
        arm_expiry(pool);
}

/* --- waiting ------------------------------------------------------------------ */

/* The first in the queue that this connection will do for, or NULL. */
static struct dp_take *first_waiting(const struct dp_origin *origin, bool reused)
{
    const struct sb_list *const lists[] = {&origin->dialling, &origin->queued};

    for (size_t i = 0; i < SB_ARRAY_LEN(lists); i++) {
        sb_list_for_each(link, lists[i])
        {
            struct dp_take *take = container_of(link, struct dp_take, link);

            if (!reused || !take->fresh)
                return take;
        }
    }
    return NULL;
}

static void pair(struct dp_take *take, struct dp_conn *dial)
{
    take->dial = dial;
    dp_conn_place(dial)->take = take;
}

/* A take leaves the queue: its dial goes to the first that has none. */
static void pass_dial_on(struct dp_origin *origin, struct dp_take *take)
{
    struct dp_conn *dial = take->dial;
    struct sb_list *next = sb_list_first(&origin->queued);

    if (dial == NULL)
        return;
    take->dial = NULL;
    dp_conn_place(dial)->take = NULL;
    if (next != NULL) {
        sb_list_move(next, &origin->dialling);
        pair(container_of(next, struct dp_take, link), dial);
    }
}

static void start_dial(struct dp_origin *origin, struct dp_take *take)
{
    struct dp_conn *conn =
        dp_dial(origin->pool->dialer, &origin->target, take->connect_timeout, on_dialled, NULL);
    struct dp_conn_place *place = dp_conn_place(conn);

    place->origin = origin;
    sb_list_add_tail(&origin->dials, &place->link);
    origin->n_conns++;
    sb_list_move(&take->link, &origin->dialling);
    pair(take, conn);
}

/* There may be room: dials for those that wait for it. */
static void pump(struct dp_origin *origin)
{
    struct sb_list *next;

    while ((next = sb_list_first(&origin->queued)) != NULL) {
        /* What is idle then is not fresh enough for those that wait. */
        while (origin->n_conns >= max_connections(origin) && origin->n_idle > 0)
            expire(place_of(sb_list_last(&origin->idle)));
        if (origin->n_conns >= max_connections(origin))
            return;
        start_dial(origin, container_of(next, struct dp_take, link));
    }
}

/* Ends the take, with a connection.  Call it last. */
static void succeed(struct dp_take *take, struct dp_conn *conn)
{
    struct dp_pool *pool = take->origin->pool;

    take->origin = NULL;
    take->got = NULL;
    pool->stats.waiting--;
    pool->stats.in_use++;
    (*(dp_conn_place(conn)->reused ? &pool->stats.reused : &pool->stats.fresh))++;
    take->cb(take, conn, MSG_OUTCOME_SUCCESS, "");
}

static void on_deliver(struct sb_task *task)
{
    struct dp_pool *pool = container_of(task, struct dp_pool, deliver);
    struct sb_list ready, *link;

    sb_list_init(&ready);
    sb_list_append_all(&ready, &pool->ready);
    while ((link = sb_list_pop(&ready)) != NULL) {
        struct dp_take *take = container_of(link, struct dp_take, link);

        succeed(take, take->got);
    }
}

/* A connection that nobody uses: for the next in the queue, who is told soon,
 * or to the idle ones, or closed. */
static void settle(struct dp_origin *origin, struct dp_conn_place *place)
{
    struct dp_pool *pool = origin->pool;
    struct dp_take *take = NULL;

    if (dp_conn_age(place->conn) < pool->conf.max_age)
        take = first_waiting(origin, place->reused);
    if (take != NULL) {
        dp_conn_hold(place->conn, NULL, NULL);
        sb_list_move(&take->link, &pool->ready);
        pass_dial_on(origin, take);
        take->got = place->conn;
        sb_task_soon(&pool->deliver);
    } else if (is_keepable(origin, place->conn)) {
        idle_add(origin, place);
    } else {
        pool->stats.idle_expired++;
        close_conn(place);
    }
    pump(origin); /* room; or something idle that takes of fresh ones can replace */
}

/* The take that the dial was for may have got another connection, and the
 * dial another take; and one that waits longer goes first. */
static void on_dial_succeeded(struct dp_origin *origin, struct dp_conn_place *place,
                              struct dp_take *take)
{
    struct dp_take *first = first_waiting(origin, false);

    if (first == NULL) {
        settle(origin, place);
        origin_leave(origin);
        return;
    }
    sb_list_remove(&first->link);
    if (first != take && take != NULL) {
        pair(take, first->dial); /* takes of this list have one */
        first->dial = NULL;
    }
    pass_dial_on(origin, first);
    succeed(first, place->conn);
}

static void on_dial_failed(struct dp_origin *origin, struct dp_conn_place *place,
                           struct dp_take *take, enum msg_outcome outcome, const char *text)
{
    struct dp_pool *pool = origin->pool;

    close_conn(place);
    if (take != NULL)
        sb_list_remove(&take->link);
    pump(origin);
    if (take != NULL) {
        take->origin = NULL;
        origin->in_flight--;
        pool->stats.waiting--;
        pool->stats.failed++;
    }
    origin_leave(origin);
    if (take != NULL)
        take->cb(take, NULL, outcome, text);
}

static void on_dialled(struct dp_conn *conn, enum msg_outcome outcome, const char *text)
{
    struct dp_conn_place *place = dp_conn_place(conn);
    struct dp_take *take = place->take;

    sb_list_remove(&place->link);
    place->take = NULL;
    if (take != NULL)
        take->dial = NULL;
    if (outcome == MSG_OUTCOME_SUCCESS)
        on_dial_succeeded(place->origin, place, take);
    else
        on_dial_failed(place->origin, place, take, outcome, text);
}

/* --- for everybody ------------------------------------------------------------ */

int dp_pool_take(struct dp_pool *pool, const struct dp_target *target, struct dp_take *take,
                 struct dp_conn **ret_conn)
{
    struct dp_origin *origin = origin_find(pool, target);
    struct sb_list *newest;

    SB_BUG_ON(take->origin != NULL); /* waits already */
    pool->stats.takes++;
    if (origin == NULL)
        origin = origin_new(pool, target);
    if (origin->target.max_in_flight > 0 && origin->in_flight >= origin->target.max_in_flight) {
        pool->stats.refused++;
        return SB_ETOOBIG; /* so the origin is in use */
    }
    origin->in_flight++;
    while (!take->fresh && (newest = sb_list_first(&origin->idle)) != NULL) {
        struct dp_conn_place *place = place_of(newest);

        if (dp_conn_age(place->conn) >= pool->conf.max_age) {
            expire(place);
            continue;
        }
        idle_remove(place);
        dp_conn_hold(place->conn, NULL, NULL);
        pool->stats.in_use++;
        pool->stats.reused++;
        *ret_conn = place->conn;
        return SB_OK;
    }
    take->origin = origin;
    take->dial = take->got = NULL;
    sb_list_init(&take->link);
    sb_list_add_tail(&origin->queued, &take->link);
    pool->stats.waiting++;
    pump(origin);
    if (take->dial == NULL)
        pool->stats.queued++;
    return SB_EAGAIN;
}

void dp_pool_cancel(struct dp_pool *pool, struct dp_take *take)
{
    struct dp_origin *origin = take->origin;

    if (origin == NULL)
        return;
    take->origin = NULL;
    origin->in_flight--;
    pool->stats.waiting--;
    pool->stats.cancelled++;
    sb_list_remove(&take->link);
    pass_dial_on(origin, take);
    if (take->got != NULL)
        settle(origin, dp_conn_place(take->got));
    take->got = NULL;
    origin_leave(origin);
}

bool dp_take_is_waiting(const struct dp_take *take)
{
    return take->origin != NULL;
}

bool dp_take_is_queued(const struct dp_take *take)
{
    return take->origin != NULL && take->dial == NULL && take->got == NULL;
}

/* The connection leaves the hands of whoever took it. */
static struct dp_conn_place *hand_in(struct dp_pool *pool, struct dp_conn **conn)
{
    struct dp_conn_place *place = dp_conn_place(*conn);

    SB_BUG_ON(place->origin == NULL); /* not one of ours */
    *conn = NULL;
    dp_conn_hold(place->conn, NULL, NULL);
    place->origin->in_flight--;
    pool->stats.in_use--;
    return place;
}

void dp_pool_give(struct dp_pool *pool, struct dp_conn **conn)
{
    struct dp_conn_place *place = hand_in(pool, conn);
    struct dp_origin *origin = place->origin;
    char byte;
    size_t n;

    place->reused = true;
    dp_conn_resume(place->conn); /* the next one expects it so */
    /* Costs a system call only where something may be left in it. */
    if (dp_conn_recv(place->conn, &byte, 1, &n) == SB_EAGAIN) {
        settle(origin, place);
    } else {
        pool->stats.idle_closed++;
        close_conn(place);
        pump(origin);
    }
    origin_leave(origin);
}

void dp_pool_drop(struct dp_pool *pool, struct dp_conn **conn)
{
    struct dp_conn_place *place = hand_in(pool, conn);
    struct dp_origin *origin = place->origin;

    close_conn(place);
    pump(origin);
    origin_leave(origin);
}

bool dp_conn_is_reused(struct dp_conn *conn)
{
    return dp_conn_place(conn)->reused;
}

/* --- changes ------------------------------------------------------------------ */

static void close_idle(struct dp_origin *origin)
{
    while (!sb_list_is_empty(&origin->idle))
        expire(place_of(sb_list_first(&origin->idle)));
}

static void each_origin(struct dp_pool *pool, void (*visit)(struct dp_origin *origin))
{
    for (size_t i = 0; i < BUCKETS; i++) {
        sb_list_for_each_safe(link, &pool->buckets[i])
            visit(container_of(link, struct dp_origin, link));
    }
}

static void forget(struct dp_origin *origin)
{
    origin->named = false;
}

static void follow(struct dp_origin *origin)
{
    origin->gone = !origin->named;
    if (origin->gone)
        close_idle(origin);
    pump(origin); /* the limit may have grown */
    origin_leave(origin);
}

void dp_pool_retain(struct dp_pool *pool, const struct dp_target *targets, size_t n)
{
    each_origin(pool, forget);
    for (size_t i = 0; i < n; i++) {
        struct dp_origin *origin = origin_find(pool, &targets[i]);

        if (origin == NULL)
            continue; /* made when it is needed */
        origin->named = true;
        origin->target.max_connections = targets[i].max_connections;
        origin->target.max_in_flight = targets[i].max_in_flight;
    }
    each_origin(pool, follow);
}

void dp_pool_drain(struct dp_pool *pool)
{
    pool->draining = true;
    each_origin(pool, close_idle);
}

const struct dp_pool_stats *dp_pool_stats(const struct dp_pool *pool)
{
    return &pool->stats;
}

/* --- life --------------------------------------------------------------------- */

struct dp_pool *dp_pool_new(struct sb_loop *loop, struct dp_dialer *dialer,
                            const struct dp_pool_conf *conf)
{
    struct dp_pool *pool = sb_mem_new(sizeof(*pool));

    pool->loop = loop;
    pool->dialer = dialer;
    pool->conf = *conf;
    for (size_t i = 0; i < BUCKETS; i++)
        sb_list_init(&pool->buckets[i]);
    sb_list_init(&pool->idle);
    sb_list_init(&pool->ready);
    sb_task_init(&pool->deliver, loop, on_deliver);
    sb_timer_init(&pool->expiry, loop, on_expiry);
    return pool;
}

static void dissolve(struct dp_origin *origin)
{
    close_idle(origin);
    while (!sb_list_is_empty(&origin->dials)) {
        struct dp_conn_place *place = place_of(sb_list_first(&origin->dials));

        sb_list_remove(&place->link);
        close_conn(place);
    }
    origin_free(origin);
}

void dp_pool_destroy(struct dp_pool **pool)
{
    struct dp_pool *old = *pool;

    *pool = NULL;
    if (old == NULL)
        return;
    SB_BUG_ON(old->stats.in_use > 0 || old->stats.waiting > 0);
    each_origin(old, dissolve);
    sb_task_cancel(&old->deliver);
    sb_timer_release(&old->expiry);
    sb_mem_free(old);
}
