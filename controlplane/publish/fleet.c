/* controlplane/publish/fleet.c */
#include "controlplane/publish/fleet.h"

#include <stdio.h>

#include "common/check.h"
#include "common/err.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "common/timefmt.h"
#include "controlplane/peer.h"

/* Workers are authenticated, or local: none of them attacks a table. */
#define HASH_FUNCTION        HASH_FNV
#define uthash_malloc(size)  sb_mem_new(size)
#define uthash_free(p, size) sb_mem_free(p)
#include <uthash.h>

struct worker {
    char name[MSG_WORKER_ID_MAX + 1];
    unsigned name_n;
    struct cp_peer peer; /* nobody once another worker has it */
    char host[MSG_NAME_MAX + 1], release[MSG_NAME_MAX + 1], key[65];
    uint32_t pid;
    enum cp_worker_state state;
    struct msg_version holds;
    sb_msec seen, offered;
    sb_usec seen_at;
    int32_t nack_code;
    struct msg_version nacked; /* none: never */
    char nack_text[256];
    struct msg_beat beat; /* its slices and rows are not valid */
    bool has_beat;
    UT_hash_handle by_name, by_peer;
};

struct cp_fleet {
    const struct sb_clock *clock;
    struct worker *workers, *peers; /* the same ones, by name and by connection */
    struct msg_version newest;
    unsigned counts[CP_WORKER_STATES];
};

const char *cp_worker_state_name(enum cp_worker_state state)
{
    static const char *const names[] = {
#define X(name, text) [CP_WORKER_##name] = (text),
        CP_WORKER_STATE_MAP(X)
#undef X
    };

    return names[state];
}

struct cp_fleet *cp_fleet_new(const struct sb_clock *clock)
{
    struct cp_fleet *fleet = sb_mem_new(sizeof(*fleet));

    fleet->clock = clock;
    return fleet;
}

static void unlink_peer(struct cp_fleet *fleet, struct worker *worker)
{
    if (worker->peer.n > 0)
        HASH_DELETE(by_peer, fleet->peers, worker);
    worker->peer.n = 0;
}

static void forget(struct cp_fleet *fleet, struct worker *worker)
{
    unlink_peer(fleet, worker);
    HASH_DELETE(by_name, fleet->workers, worker);
    fleet->counts[worker->state]--;
    sb_mem_free(worker);
}

void cp_fleet_clear(struct cp_fleet *fleet)
{
    struct worker *worker, *next;

    HASH_ITER(by_name, fleet->workers, worker, next)
    {
        forget(fleet, worker);
    }
    fleet->newest = (struct msg_version){.epoch = 0};
}

void cp_fleet_destroy(struct cp_fleet **fleet)
{
    if (*fleet == NULL)
        return;
    cp_fleet_clear(*fleet);
    sb_mem_free(*fleet);
    *fleet = NULL;
}

bool cp_fleet_may_be(struct sb_slice key_name, struct sb_slice worker)
{
    struct sb_slice rest;

    for (size_t i = 0; i < worker.n; i++)
        if (worker.p[i] <= ' ' || worker.p[i] > '~')
            return false;
    if (worker.n == 0)
        return false;
    if (key_name.n == 0 || sb_slice_eq(key_name, worker))
        return true;
    if (!sb_slice_starts_with(worker, key_name))
        return false;
    rest = sb_slice_from(worker, key_name.n);
    if (rest.n < 2 || rest.p[0] != '-')
        return false;
    for (size_t i = 1; i < rest.n; i++)
        if (rest.p[i] < '0' || rest.p[i] > '9')
            return false;
    return true;
}

/* --- states ---------------------------------------------------------------------- */

static void set_state(struct cp_fleet *fleet, struct worker *worker, enum cp_worker_state next)
{
    fleet->counts[worker->state]--;
    fleet->counts[next]++;
    worker->state = next;
}

/* What a worker that is alive is, by what it holds. */
static void judge(struct cp_fleet *fleet, struct worker *worker)
{
    sb_msec now = sb_clock_now(fleet->clock);

    if (!msg_version_is_none(fleet->newest) && msg_version_cmp(worker->holds, fleet->newest) == 0)
        set_state(fleet, worker, CP_WORKER_SYNCED);
    else if (!msg_version_is_none(worker->nacked) &&
             msg_version_cmp(worker->nacked, fleet->newest) == 0)
        set_state(fleet, worker, CP_WORKER_NACKED);
    else if (now - worker->offered < CP_FLEET_PATIENCE)
        set_state(fleet, worker, CP_WORKER_SENT);
    else
        set_state(fleet, worker, CP_WORKER_STALE);
}

static void touch(struct cp_fleet *fleet, struct worker *worker)
{
    worker->seen = sb_clock_now(fleet->clock);
    worker->seen_at = sb_clock_wall(fleet->clock);
}

static struct worker *of_peer(const struct cp_fleet *fleet, struct sb_slice peer)
{
    struct worker *worker = NULL;

    if (peer.n > 0)
        HASH_FIND(by_peer, fleet->peers, peer.p, peer.n, worker);
    return worker;
}

static void link_peer(struct cp_fleet *fleet, struct worker *worker, struct sb_slice peer)
{
    struct worker *other = of_peer(fleet, peer);

    if (other == worker)
        return;
    if (other != NULL) /* a connection that calls itself something else now */
        unlink_peer(fleet, other);
    unlink_peer(fleet, worker);
    worker->peer = cp_peer_of(peer);
    if (worker->peer.n > 0)
        HASH_ADD_KEYPTR(by_peer, fleet->peers, worker->peer.id, worker->peer.n, worker);
}

static void copy(struct sb_slice text, char *to, size_t size)
{
    (void)snprintf(to, size, "%.*s", SB_SLICE_ARGS(text));
}

static int enter(struct cp_fleet *fleet, struct sb_slice name, uint64_t boot, struct sb_slice peer,
                 struct sb_slice key_name, struct worker **ret_worker)
{
    struct worker *worker = NULL;

    HASH_FIND(by_name, fleet->workers, name.p, name.n, worker);
    if (worker == NULL) {
        if (HASH_CNT(by_name, fleet->workers) >= CP_FLEET_MAX || name.n > MSG_WORKER_ID_MAX)
            return SB_ETOOBIG;
        worker = sb_mem_new(sizeof(*worker));
        copy(name, worker->name, sizeof(worker->name));
        worker->name_n = (unsigned)name.n;
        worker->offered = sb_clock_now(fleet->clock);
        worker->state = CP_WORKER_SENT;
        fleet->counts[CP_WORKER_SENT]++;
        HASH_ADD_KEYPTR(by_name, fleet->workers, worker->name, worker->name_n, worker);
    } else if (boot < worker->beat.boot && worker->state != CP_WORKER_GONE) {
        return SB_ECONFLICT; /* words of a process that is dead */
    } else if (boot != worker->beat.boot) {
        worker->has_beat = false;
        worker->beat = (struct msg_beat){.boot = boot};
        worker->nacked = (struct msg_version){.epoch = 0};
    }
    worker->beat.boot = boot;
    copy(key_name, worker->key, sizeof(worker->key));
    link_peer(fleet, worker, peer);
    touch(fleet, worker);
    *ret_worker = worker;
    return SB_OK;
}

int cp_fleet_hello(struct cp_fleet *fleet, struct sb_slice peer, struct sb_slice key_name,
                   const struct msg_hello *hello)
{
    struct worker *worker;
    int rc = enter(fleet, hello->worker, hello->boot, peer, key_name, &worker);

    if (rc != SB_OK)
        return rc;
    copy(hello->host, worker->host, sizeof(worker->host));
    copy(hello->release, worker->release, sizeof(worker->release));
    worker->pid = hello->pid;
    worker->holds = hello->version;
    worker->offered = sb_clock_now(fleet->clock);
    judge(fleet, worker);
    return SB_OK;
}

int cp_fleet_beat(struct cp_fleet *fleet, struct sb_slice peer, struct sb_slice key_name,
                  const struct msg_beat *beat)
{
    struct worker *worker;
    int rc = enter(fleet, beat->worker, beat->boot, peer, key_name, &worker);

    if (rc != SB_OK)
        return rc;
    worker->beat = *beat;
    worker->beat.worker = SB_SLICE_NONE;
    worker->beat.rows = NULL;
    worker->beat.n_rows = 0;
    worker->has_beat = true;
    worker->holds = beat->version;
    judge(fleet, worker);
    return SB_OK;
}

bool cp_fleet_saw(struct cp_fleet *fleet, struct sb_slice peer)
{
    struct worker *worker = of_peer(fleet, peer);

    if (worker == NULL)
        return false;
    touch(fleet, worker);
    if (worker->state == CP_WORKER_GONE)
        judge(fleet, worker);
    return true;
}

void cp_fleet_offered(struct cp_fleet *fleet, struct sb_slice peer)
{
    struct worker *worker = of_peer(fleet, peer);

    if (worker == NULL)
        return;
    worker->offered = sb_clock_now(fleet->clock);
    judge(fleet, worker);
}

void cp_fleet_ack(struct cp_fleet *fleet, struct sb_slice peer, struct msg_version version)
{
    struct worker *worker = of_peer(fleet, peer);

    if (worker == NULL)
        return;
    worker->holds = version;
    judge(fleet, worker);
}

void cp_fleet_nack(struct cp_fleet *fleet, struct sb_slice peer, const struct msg_nack *nack)
{
    struct worker *worker = of_peer(fleet, peer);

    if (worker == NULL)
        return;
    worker->nacked = nack->version;
    worker->nack_code = nack->code;
    copy(nack->text, worker->nack_text, sizeof(worker->nack_text));
    judge(fleet, worker);
}

struct sb_slice cp_fleet_name(const struct cp_fleet *fleet, struct sb_slice peer)
{
    const struct worker *worker = of_peer(fleet, peer);

    return worker != NULL ? sb_slice_make(worker->name, worker->name_n) : SB_SLICE_NONE;
}

void cp_fleet_published(struct cp_fleet *fleet, struct msg_version version)
{
    struct worker *worker, *next;
    sb_msec now = sb_clock_now(fleet->clock);

    fleet->newest = version;
    HASH_ITER(by_name, fleet->workers, worker, next)
    {
        worker->offered = now;
        if (worker->state != CP_WORKER_GONE)
            judge(fleet, worker);
    }
}

void cp_fleet_tick(struct cp_fleet *fleet)
{
    struct worker *worker, *next;
    sb_msec now = sb_clock_now(fleet->clock);

    HASH_ITER(by_name, fleet->workers, worker, next)
    {
        sb_msec silence = now - worker->seen;

        if (silence >= CP_FLEET_MEMORY)
            forget(fleet, worker);
        else if (silence >= CP_FLEET_LIVENESS)
            set_state(fleet, worker, CP_WORKER_GONE);
        else
            judge(fleet, worker);
    }
}

unsigned cp_fleet_count(const struct cp_fleet *fleet, enum cp_worker_state state)
{
    return fleet->counts[state];
}

struct sb_slice cp_fleet_reach(const struct cp_fleet *fleet, struct sb_slice name)
{
    struct worker *worker = NULL, *next;

    if (name.n > 0) {
        HASH_FIND(by_name, fleet->workers, name.p, name.n, worker);
        return worker != NULL && worker->state != CP_WORKER_GONE ? cp_peer_id(&worker->peer)
                                                                 : SB_SLICE_NONE;
    }
    HASH_ITER(by_name, fleet->workers, worker, next)
    {
        if (worker->state == CP_WORKER_SYNCED && !worker->beat.draining && worker->peer.n > 0)
            return cp_peer_id(&worker->peer);
    }
    return SB_SLICE_NONE;
}

/* --- for people -------------------------------------------------------------------- */

static void put_version(struct sb_json *json, const char *name, struct msg_version version)
{
    sb_json_add_object(json, name);
    sb_json_add_u64(json, "epoch", version.epoch);
    sb_json_add_u64(json, "revision", version.revision);
    sb_json_close_object(json);
}

static void put_beat(struct sb_json *json, const struct msg_beat *beat)
{
    sb_json_add_object(json, "load");
    sb_json_add_u64(json, "in_flight", beat->in_flight);
    sb_json_add_u64(json, "connections", beat->connections);
    sb_json_add_u64(json, "requests", beat->requests);
    sb_json_close_object(json);
    sb_json_add_object(json, "spool");
    sb_json_add_u64(json, "bytes", beat->spool_bytes);
    sb_json_add_u64(json, "limit", beat->spool_limit);
    sb_json_add_u64(
        json, "records",
        beat->spool_next > beat->spool_acked + 1 ? beat->spool_next - beat->spool_acked - 1 : 0);
    sb_json_add_u64(json, "next", beat->spool_next);
    sb_json_add_u64(json, "acknowledged", beat->spool_acked);
    sb_json_close_object(json);
    sb_json_add_bool(json, "from_disk", beat->from_disk);
    sb_json_add_bool(json, "draining", beat->draining);
}

static void put_worker(struct sb_json *json, const struct worker *worker, sb_msec now)
{
    char seen_at[SB_TIME_TEXT_MAX];
    size_t n = sb_time_format(worker->seen_at, 3, seen_at);

    sb_json_open_object(json);
    sb_json_add_text(json, "worker", sb_slice_of(worker->name));
    sb_json_add_text(json, "state", sb_slice_of(cp_worker_state_name(worker->state)));
    put_version(json, "version", worker->holds);
    sb_json_add_text(json, "last_seen", sb_slice_make(seen_at, n));
    sb_json_add_u64(json, "silent_ms", now - worker->seen);
    sb_json_add_text(json, "host", sb_slice_of(worker->host));
    sb_json_add_u64(json, "pid", worker->pid);
    sb_json_add_text(json, "release", sb_slice_of(worker->release));
    sb_json_add_u64(json, "boot", worker->beat.boot);
    if (worker->key[0] != '\0')
        sb_json_add_text(json, "bus_key", sb_slice_of(worker->key));
    if (worker->has_beat)
        put_beat(json, &worker->beat);
    if (!msg_version_is_none(worker->nacked)) {
        sb_json_add_object(json, "refused");
        put_version(json, "version", worker->nacked);
        sb_json_add_text(json, "code", sb_slice_of(sb_err_name(worker->nack_code)));
        sb_json_add_text(json, "text", sb_slice_of(worker->nack_text));
        sb_json_close_object(json);
    }
    sb_json_close_object(json);
}

static int by_name(const struct worker *a, const struct worker *b)
{
    return strcmp(a->name, b->name);
}

int cp_fleet_json(struct cp_fleet *fleet, struct sb_buf *out)
{
    sb_msec now = sb_clock_now(fleet->clock);
    struct worker *worker, *next;
    struct sb_json json;

    HASH_SRT(by_name, fleet->workers, by_name);
    sb_json_init(&json, out);
    sb_json_open_array(&json);
    HASH_ITER(by_name, fleet->workers, worker, next)
    {
        put_worker(&json, worker, now);
    }
    sb_json_close_array(&json);
    return sb_json_end(&json);
}

/* --- for Prometheus ------------------------------------------------------------------ */

static int64_t in_flight(const struct worker *worker)
{
    return worker->beat.in_flight;
}

static int64_t connections(const struct worker *worker)
{
    return worker->beat.connections;
}

static int64_t requests(const struct worker *worker)
{
    return (int64_t)worker->beat.requests;
}

static int64_t spool_bytes(const struct worker *worker)
{
    return (int64_t)worker->beat.spool_bytes;
}

static int64_t revision(const struct worker *worker)
{
    return (int64_t)worker->holds.revision;
}

static int64_t is_synced(const struct worker *worker)
{
    return worker->state == CP_WORKER_SYNCED;
}

static const struct {
    const char *name, *help;
    enum sb_metric_type type;
    int64_t (*value)(const struct worker *worker);
} gauges[] = {
    {"switchboard_fleet_in_flight", "Requests in flight, as the worker said last.", SB_GAUGE,
     in_flight},
    {"switchboard_fleet_connections", "Connections of clients.", SB_GAUGE, connections},
    {"switchboard_fleet_requests_total", "Requests since the worker's start.", SB_COUNTER,
     requests},
    {"switchboard_fleet_spool_bytes", "Records not stored yet.", SB_GAUGE, spool_bytes},
    {"switchboard_fleet_revision", "Revision that the worker holds.", SB_GAUGE, revision},
    {"switchboard_fleet_synced", "Whether that is the newest.", SB_GAUGE, is_synced},
};

static int put_states(const struct cp_fleet *fleet, struct sb_buf *page)
{
    static const char name[] = "switchboard_fleet_workers";
    int rc = sb_metrics_family(page, SB_GAUGE, name, "Workers by state.");

    for (int state = 0; rc == SB_OK && state < CP_WORKER_STATES; state++) {
        SB_CLEANUP(sb_buf_release) struct sb_buf labels = {.limit = 0};

        sb_buf_init(&labels, 256);
        rc = sb_metrics_label(&labels, "state",
                              sb_slice_of(cp_worker_state_name((enum cp_worker_state)state)));
        if (rc == SB_OK)
            rc = sb_metrics_sample(page, name, sb_buf_slice(&labels), fleet->counts[state], 1);
    }
    return rc;
}

int cp_fleet_metrics(struct cp_fleet *fleet, struct sb_buf *page)
{
    int rc = put_states(fleet, page);

    for (size_t i = 0; rc == SB_OK && i < SB_ARRAY_LEN(gauges); i++) {
        struct worker *worker, *next;

        rc = sb_metrics_family(page, gauges[i].type, gauges[i].name, gauges[i].help);
        HASH_ITER(by_name, fleet->workers, worker, next)
        {
            SB_CLEANUP(sb_buf_release) struct sb_buf labels = {.limit = 0};

            if (rc != SB_OK || worker->state == CP_WORKER_GONE)
                continue;
            sb_buf_init(&labels, 1024);
            rc = sb_metrics_label(&labels, "worker", sb_slice_of(worker->name));
            if (rc == SB_OK)
                rc = sb_metrics_sample(page, gauges[i].name, sb_buf_slice(&labels),
                                       gauges[i].value(worker), 1);
        }
    }
    return rc;
}
