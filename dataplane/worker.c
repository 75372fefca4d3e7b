/* dataplane/worker.c */
#include "dataplane/worker.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/check.h"
#include "common/file.h"
#include "common/json.h"
#include "common/keyring.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/secret.h"
#include "common/timefmt.h"
#include "dataplane/breaker.h"
#include "dataplane/client.h"
#include "dataplane/conf.h"
#include "dataplane/courier/courier.h"
#include "dataplane/courier/telemetry.h"
#include "dataplane/explain.h"
#include "dataplane/keymemo.h"
#include "dataplane/listener.h"
#include "dataplane/pace.h"
#include "dataplane/receipt.h"
#include "dataplane/records/spool.h"
#include "dataplane/refusals.h"
#include "dataplane/request.h"
#include "dataplane/route/tables.h"
#include "dataplane/route/view.h"
#include "dataplane/status.h"
#include "dataplane/supervisor.h"
#include "dataplane/tail.h"
#include "dataplane/upstream/outlet.h"
#include "dataplane/upstream/pool.h"

enum {
    ARENAS_KEPT = 256,
    OUT_MAX = 1 << 30,      /* a request body at its limit, with its escapes */
    SCRATCH_KEPT = 1 << 20, /* of the shared buffers, between turns */
    SECOND = 1000,
    DRAIN_LOOK_MSEC = 50,
    OPEN_MSEC = 500, /* after start-wait, for the snapshot on disk */
};

/* --- what is served by -------------------------------------------------------- */

void dp_worker_adopt_snapshot(struct dp_worker *worker, struct dp_snapshot **taken)
{
    struct dp_snapshot *old = worker->snapshot;
    const struct dp_target *targets;
    size_t n;

    worker->snapshot = *taken;
    *taken = NULL;
    worker->stats.snapshots++;
    worker->adopted_at = (int64_t)(sb_clock_wall(worker->clock) / 1000000);
    worker->snapshot_text_n = (uint8_t)snprintf(
        worker->snapshot_text, sizeof(worker->snapshot_text), "%" PRIu64 ".%" PRIu64,
        worker->snapshot->records->version.epoch, worker->snapshot->records->version.revision);
    targets = dp_outlets_targets(worker->snapshot->extra, &n);
    dp_pool_retain(worker->pool, targets, n);
    dp_snapshot_unref(&old); /* requests in flight hold their own */
}

/* Not before there is a snapshot: after a crash clients wait in the kernel's
 * queue for the moment that it takes, instead of being told 503. */
static void open_listener(struct dp_worker *worker)
{
    sb_timer_cancel(&worker->open);
    if (worker->listener != NULL)
        dp_listener_open(worker->listener);
}

/* But neither for ever: /readyz has to say why. */
static void on_open(struct sb_timer *timer)
{
    open_listener(container_of(timer, struct dp_worker, open));
}

static void on_snapshot(void *ctx, struct dp_snapshot *snapshot, bool from_disk)
{
    struct dp_worker *worker = ctx;
    struct msg_version version = snapshot->records->version;

    worker->from_disk = from_disk;
    dp_worker_adopt_snapshot(worker, &snapshot);
    open_listener(worker);
    sb_log_info(SYNC, "serving snapshot epoch=%" PRIu64 " revision=%" PRIu64 " from=%s",
                version.epoch, version.revision, from_disk ? "disk" : "bus");
}

static void on_confirmed(void *ctx)
{
    struct dp_worker *worker = ctx;

    worker->from_disk = false;
}

static int on_tables(void *ctx, const struct msg_tables *tables)
{
    struct dp_worker *worker = ctx;

    worker->stats.tables++;
    return dp_tables_apply(worker->tables, tables, sb_loop_now(worker->loop));
}

static void on_explain(void *ctx, uint64_t id, struct sb_slice key_name, struct sb_slice body)
{
    dp_explain_answer(ctx, id, key_name, body);
}

static void on_synced(void *ctx, uint64_t sequence)
{
    struct dp_worker *worker = ctx;

    dp_waits_advance(&worker->waits, sequence);
}

static void on_certificate(void *ctx, struct sb_slice certificate)
{
    struct dp_worker *worker = ctx;

    dp_receipts_certify(worker->receipts, certificate);
}

static const struct dp_courier_events courier_events = {
    .on_snapshot = on_snapshot,
    .on_confirmed = on_confirmed,
    .on_tables = on_tables,
    .on_explain = on_explain,
    .on_synced = on_synced,
    .on_certificate = on_certificate,
};

/* --- small things ------------------------------------------------------------- */

void dp_worker_count_refusal(struct dp_worker *worker, const char *reason)
{
    worker->stats.refused++;
    dp_refusals_add(worker->refusals, reason, (int64_t)sb_clock_wall(worker->clock));
}

/* xorshift128+ (Vigna, "Further scramblings of Marsaglia's xorshift
 * generators", 2014): a few instructions, seeded from the kernel. */
uint64_t dp_worker_random(struct dp_worker *worker)
{
    uint64_t a = worker->random[0], b = worker->random[1];

    worker->random[0] = b;
    a ^= a << 23;
    worker->random[1] = a ^ b ^ (a >> 18) ^ (b >> 5);
    return worker->random[1] + b;
}

struct sb_slice dp_worker_date(struct dp_worker *worker)
{
    sb_msec now = sb_loop_now(worker->loop);

    if (now >= worker->date_until) {
        char date[SB_HTTP_DATE_MAX];

        (void)sb_time_format_http(sb_clock_wall(worker->clock), date);
        worker->date_n = (size_t)snprintf(worker->date, sizeof(worker->date), "Date: %s\r\n", date);
        worker->date_until = now + SECOND / 2;
    }
    return sb_slice_make(worker->date, worker->date_n);
}

static void on_accept(void *ctx, int fd)
{
    static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
                               "Retry-After: 1\r\nContent-Type: application/json\r\n"
                               "Content-Length: 128\r\n\r\n"
                               "{\"error\":{\"code\":503,\"message\":\"this worker has as many "
                               "connections as it may\",\"metadata\":{\"error_type\":"
                               "\"provider_overloaded\"}}}";
    struct dp_worker *worker = ctx;

    worker->stats.accepted++;
    if (worker->n_clients < (uint32_t)worker->conf->max_connections) {
        dp_client_new(worker, fd, false);
        return;
    }
    worker->stats.turned_away++;
    (void)!send(fd, busy, sizeof(busy) - 1, MSG_NOSIGNAL);
    (void)close(fd);
}

/* Tells the courier how things stand; at the end of each turn, so that many
 * records cost one wake. */
static void on_turn_end(struct sb_hook *hook)
{
    struct dp_worker *worker = container_of(hook, struct dp_worker, turn_end);
    const struct dp_load load = {
        .in_flight = worker->n_requests,
        .connections = worker->n_clients,
        .requests = worker->requests_done,
        .draining = worker->draining,
    };

    dp_courier_note(worker->courier, &load);
    if (worker->out.size > SCRATCH_KEPT)
        sb_buf_clear(&worker->out);
}

static void on_second(struct sb_timer *timer)
{
    struct dp_worker *worker = container_of(timer, struct dp_worker, second);

    dp_breakers_sweep(worker->breakers);
    dp_refusals_flush(worker->refusals, worker->spool, (int64_t)sb_clock_wall(worker->clock));
    sb_timer_set(timer, sb_loop_now(worker->loop) + SECOND);
}

/* --- the end ------------------------------------------------------------------ */

static void finish(struct dp_worker *worker)
{
    sb_timer_cancel(&worker->drain_timer);
    sb_loop_stop(worker->loop);
}

void dp_worker_request_ended(struct dp_worker *worker)
{
    worker->requests_done++;
    if (worker->drain_phase == DP_DRAIN_WAIT)
        sb_timer_set(&worker->drain_timer, 0);
}

void dp_worker_client_ended(struct dp_worker *worker)
{
    if (worker->drain_phase >= DP_DRAIN_WAIT)
        sb_timer_set(&worker->drain_timer, 0);
}

static bool is_busy(struct dp_worker *worker)
{
    sb_list_for_each(link, &worker->clients) if (dp_client_is_busy(dp_client_of(link))) return true;
    return worker->n_requests > 0;
}

/* Whether clients or requests still have to be waited for. */
static bool is_waiting(struct dp_worker *worker, sb_msec now)
{
    if (now >= worker->drain_until)
        return false;
    if (is_busy(worker))
        return true;
    /* the idle ones last: a request of theirs may be in the socket */
    sb_list_for_each_safe(link, &worker->clients) dp_client_close_idle(dp_client_of(link));
    return is_busy(worker);
}

static void stop_listening(struct dp_worker *worker, sb_msec now)
{
    dp_listener_finish(&worker->listener);
    sb_list_for_each_safe(link, &worker->clients) dp_client_drain(dp_client_of(link));
    sb_log_info(MAIN, "no new connections requests=%u connections=%u", worker->n_requests,
                worker->n_clients);
    worker->drain_phase = DP_DRAIN_WAIT;
    worker->drain_until = now + worker->conf->drain_timeout;
}

/* The drain, step by step: load balancers notice; running requests end; what
 * is left is ended. */
static void on_drain(struct sb_timer *timer)
{
    struct dp_worker *worker = container_of(timer, struct dp_worker, drain_timer);
    sb_msec now = sb_loop_now(worker->loop);

    switch (worker->drain_phase) {
    case DP_DRAIN_NONE:
        return;
    case DP_DRAIN_NOTICE:
        stop_listening(worker, now);
        sb_timer_set(timer, now);
        return;
    case DP_DRAIN_WAIT:
        if (is_waiting(worker, now)) { /* an answer that has left is not told: look again */
            sb_timer_set(timer, now + DRAIN_LOOK_MSEC);
            return;
        }
        worker->drain_phase = DP_DRAIN_CUT;
        worker->drain_until = now + SECOND / 2; /* for the last bytes to leave */
        sb_list_for_each_safe(link, &worker->clients) dp_client_shut_down(dp_client_of(link));
        sb_timer_set(timer, worker->n_clients == 0 ? now : worker->drain_until);
        return;
    case DP_DRAIN_CUT:
        if (worker->n_clients == 0 || now >= worker->drain_until)
            finish(worker);
        else
            sb_timer_set(timer, worker->drain_until);
        return;
    }
}

void dp_worker_drain(struct dp_worker *worker)
{
    if (worker->draining)
        return;
    sb_log_info(MAIN, "draining requests=%u connections=%u", worker->n_requests, worker->n_clients);
    worker->draining = true;
    worker->drain_phase = DP_DRAIN_NOTICE;
    dp_pool_drain(worker->pool);
    sb_timer_set(&worker->drain_timer, sb_loop_now(worker->loop) + worker->conf->drain_delay);
}

void dp_worker_hurry(struct dp_worker *worker)
{
    dp_worker_drain(worker);
    if (worker->drain_phase == DP_DRAIN_CUT)
        return;
    worker->drain_phase = DP_DRAIN_WAIT;
    worker->drain_until = 0;
    sb_timer_set(&worker->drain_timer, 0);
}

static void on_hurry(struct sb_signal *sig, int signum)
{
    (void)signum;
    dp_worker_hurry(container_of(sig, struct dp_worker, hurry));
}

static void on_term(struct sb_signal *sig, int signum)
{
    struct dp_worker *worker = signum == SIGTERM ? container_of(sig, struct dp_worker, sigterm)
                                                 : container_of(sig, struct dp_worker, sigint);

    dp_worker_drain(worker);
}

static int load_keyring(const struct dp_conf *conf, struct sb_keyring **ret_keyring,
                        struct sb_errmsg *err)
{
    SB_CLEANUP(sb_keyring_destroy) struct sb_keyring *keyring = NULL;
    int rc = sb_keyring_load("SWITCHBOARD_MASTER_KEYS", conf->keyring, &keyring, err);

    if (rc == SB_OK && sb_keyring_hash_key(keyring) == NULL)
        rc = sb_err_set(err, SB_EINVAL, "the keyring has no key named api-key-hash");
    if (rc != SB_OK)
        return rc;
    *ret_keyring = keyring;
    keyring = NULL;
    return SB_OK;
}

/* Credentials are opened when they are used first, by the loop: the next one
 * that could not be opened is tried with what is there now. */
static void reload_keyring(struct dp_worker *worker)
{
    struct sb_keyring *newer = NULL;
    struct sb_errmsg err;

    if (load_keyring(worker->conf, &newer, &err) != SB_OK) {
        sb_log_warn(MAIN, "the keyring was not read again, keeping the old one: %s", err.text);
        return;
    }
    sb_keyring_replace(worker->keyring, &newer);
    /* what clients' keys were hashed with may be another one now */
    sb_list_for_each(link, &worker->clients) dp_keymemo_clear(dp_client_key(dp_client_of(link)));
    sb_log_info(MAIN, "the keyring was read again");
}

static void on_hup(struct sb_signal *sig, int signum)
{
    struct dp_worker *worker = container_of(sig, struct dp_worker, sighup);
    struct sb_errmsg err;

    (void)signum;
    reload_keyring(worker);
    if (dp_dialer_reload(worker->dialer, &err) != SB_OK)
        sb_log_warn(MAIN, "certificate authorities not read again, keeping the old reason=%s",
                    err.text);
    else
        sb_log_info(MAIN, "certificate authorities read again");
}

void dp_worker_run(struct dp_worker *worker)
{
    sb_loop_run(worker->loop);
}

/* --- life --------------------------------------------------------------------- */

static int open_records(struct dp_worker *worker, struct sb_errmsg *err)
{
    const struct dp_spool_conf spool = {
        .home = worker->conf->spool,
        .worker = worker->name,
        .limit = worker->conf->spool_limit,
    };
    const struct dp_courier_start courier = {
        .conf = worker->conf,
        .worker = worker->name,
        .loop = worker->loop,
        .keyring = worker->keyring,
        .telemetry = worker->telemetry,
        .receipt_key = dp_receipts_public_key(worker->receipts),
        .events = &courier_events,
        .ctx = worker,
    };
    struct dp_courier_start start = courier;
    int rc = dp_spool_open(&spool, &worker->spool, err);

    if (rc != SB_OK)
        return rc;
    start.spool = worker->spool;
    return dp_courier_new(&start, &worker->courier, err);
}

static int open_upstream(struct dp_worker *worker, struct sb_errmsg *err)
{
    struct dp_pool_conf pool = dp_pool_conf_default;
    int rc = dp_dialer_new(worker->loop, &worker->dialer, err);

    if (rc != SB_OK)
        return rc;
    pool.connections = (uint32_t)worker->conf->pool_per_provider;
    pool.idle_per_target = (uint32_t)worker->conf->pool_idle;
    pool.idle_timeout = worker->conf->pool_idle_timeout;
    worker->pool = dp_pool_new(worker->loop, worker->dialer, &pool);
    return SB_OK;
}

static int watch_signals(struct dp_worker *worker)
{
    int rc = sb_signal_init(&worker->sigterm, worker->loop, SIGTERM, on_term);

    if (rc == SB_OK)
        rc = sb_signal_init(&worker->sigint, worker->loop, SIGINT, on_term);
    if (rc == SB_OK)
        rc = sb_signal_init(&worker->sighup, worker->loop, SIGHUP, on_hup);
    if (rc == SB_OK)
        rc = sb_signal_init(&worker->hurry, worker->loop, DP_HURRY_SIGNAL, on_hurry);
    worker->has_signals = rc == SB_OK;
    return rc;
}

static void init_buffers(struct dp_worker *worker)
{
    const struct dp_conf *conf = worker->conf;

    sb_list_init(&worker->clients);
    sb_list_init(&worker->tails);
    dp_waits_init(&worker->waits);
    worker->scratch = sb_mem_new(DP_SCRATCH_BYTES);
    worker->fields = sb_mem_new(sizeof(*worker->fields) * DP_CLIENT_FIELDS_MAX);
    worker->arenas = sb_arena_cache_new(DP_ARENA_BYTES, ARENAS_KEPT);
    sb_buf_init(&worker->out, OUT_MAX);
    sb_buf_init(&worker->head, OUT_MAX);
    sb_buf_init(&worker->usage, OUT_MAX);
    sb_buf_init(&worker->record, MSG_RECORD_MAX);
    worker->request_limits = (struct sb_http1_limits){
        .target_bytes = (uint32_t)conf->target_limit,
        .head_bytes = (uint32_t)conf->head_limit,
        .body_bytes = UINT64_MAX, /* counted by the request, which says so in words */
    };
    worker->answer_limits = (struct sb_http1_limits){
        .target_bytes = 0,
        .head_bytes = (uint32_t)conf->head_limit,
        .body_bytes = UINT64_MAX,
    };
    sb_random_bytes(worker->random, sizeof(worker->random));
    worker->random[0] |= 1; /* all zeros would stay so */
    dp_stats_init(&worker->stats);
}

static void name_worker(struct dp_worker *worker)
{
    const struct dp_conf *conf = worker->conf;
    char host[49] = "worker";

    if (conf->name != NULL)
        (void)snprintf(host, sizeof(host), "%s", conf->name);
    else if (gethostname(host, sizeof(host)) != 0)
        (void)snprintf(host, sizeof(host), "worker");
    host[sizeof(host) - 1] = '\0';
    (void)snprintf(worker->name, sizeof(worker->name), "%s-%d", host,
                   conf->slot >= 0 ? (int)conf->slot : 0);
}

static int start(struct dp_worker *worker, int *listen_fd, int *status_fd, struct sb_errmsg *err)
{
    int rc = load_keyring(worker->conf, &worker->keyring, err);

    if (rc == SB_OK)
        rc = dp_proxies_parse(worker->conf->trusted_proxy, &worker->proxies, err);
    if (rc == SB_OK)
        rc = open_upstream(worker, err);
    if (rc == SB_OK)
        rc = open_records(worker, err);
    if (rc == SB_OK) {
        rc = dp_listener_new(worker->loop, *listen_fd, on_accept, worker, &worker->listener);
        *listen_fd = -1;
    }
    if (rc == SB_OK && *status_fd >= 0) {
        rc = dp_status_new(worker, *status_fd, &worker->status);
        *status_fd = -1;
    }
    if (rc == SB_OK)
        rc = watch_signals(worker);
    return rc;
}

int dp_worker_new(const struct dp_conf *conf, int listen_fd, int status_fd,
                  struct dp_worker **ret_worker, struct sb_errmsg *err)
{
    struct dp_worker *worker = sb_mem_new(sizeof(*worker));
    int rc = sb_loop_new(&worker->loop);

    (void)sb_err_set(err, SB_OK, "the event loop cannot be made");
    worker->conf = conf;
    if (rc == SB_OK) {
        worker->clock = sb_loop_clock(worker->loop);
        name_worker(worker);
        init_buffers(worker);
        worker->breakers = dp_breakers_new(worker->clock);
        worker->tables = dp_tables_new();
        worker->telemetry = dp_telemetry_new(worker->clock);
        worker->paces = dp_paces_new(worker->telemetry);
        worker->refusals = dp_refusals_new();
        worker->receipts = dp_receipts_new();
        sb_timer_init(&worker->open, worker->loop, on_open);
        sb_timer_init(&worker->drain_timer, worker->loop, on_drain);
        sb_timer_init(&worker->second, worker->loop, on_second);
        rc = start(worker, &listen_fd, &status_fd, err);
    }
    if (rc == SB_OK) {
        sb_hook_add(&worker->turn_end, worker->loop, on_turn_end);
        sb_timer_set(&worker->open, sb_loop_now(worker->loop) + conf->start_wait + OPEN_MSEC);
        sb_timer_set(&worker->second, sb_loop_now(worker->loop) + SECOND);
        *ret_worker = worker;
        return SB_OK;
    }
    if (listen_fd >= 0)
        (void)close(listen_fd);
    if (status_fd >= 0)
        (void)close(status_fd);
    dp_worker_destroy(&worker);
    return rc;
}

/* Ends what hangs on the loop, in the order in which it depends. */
static void close_loop(struct dp_worker *worker)
{
    dp_listener_close(&worker->listener);
    dp_status_destroy(&worker->status);
    sb_list_for_each_safe(link, &worker->clients) dp_client_destroy(dp_client_of(link));
    sb_loop_turn(worker->loop); /* requests end as tasks */
    SB_BUG_ON(worker->n_requests != 0);
    dp_tail_end(worker);
    dp_refusals_flush_all(worker->refusals, worker->spool);
    dp_snapshot_unref(&worker->snapshot);
    dp_courier_destroy(&worker->courier);
    dp_spool_close(&worker->spool);
    dp_pool_destroy(&worker->pool);
    dp_dialer_destroy(&worker->dialer);
    sb_timer_release(&worker->open);
    sb_timer_release(&worker->drain_timer);
    sb_timer_release(&worker->second);
    if (worker->turn_end.cb != NULL)
        sb_hook_remove(&worker->turn_end);
    if (worker->has_signals) {
        sb_signal_close(&worker->sigterm, NULL);
        sb_signal_close(&worker->sigint, NULL);
        sb_signal_close(&worker->sighup, NULL);
        sb_signal_close(&worker->hurry, NULL);
    }
}

void dp_worker_destroy(struct dp_worker **worker)
{
    struct dp_worker *old = *worker;

    if (old == NULL)
        return;
    if (old->loop != NULL && old->arenas != NULL)
        close_loop(old);
    dp_paces_destroy(&old->paces);
    dp_telemetry_destroy(&old->telemetry);
    dp_tables_destroy(&old->tables);
    dp_breakers_destroy(&old->breakers);
    dp_refusals_destroy(&old->refusals);
    dp_receipts_destroy(&old->receipts);
    sb_keyring_destroy(&old->keyring);
    dp_proxies_release(&old->proxies);
    sb_loop_destroy(&old->loop);
    sb_arena_cache_destroy(&old->arenas);
    sb_buf_release(&old->out);
    sb_buf_release(&old->head);
    sb_buf_release(&old->usage);
    sb_buf_release(&old->record);
    sb_mem_free(old->scratch);
    sb_mem_free(old->fields);
    sb_mem_free(old);
    *worker = NULL;
}
