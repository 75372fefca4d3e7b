/* tests/bench/spool_bench.c - what a record costs: the loop's append, and the
 * courier's CPU until it is committed.
 *
 *      spool_bench [DIRECTORY [RECORDS_PER_SECOND [SECONDS]]]
 *
 * The control daemon is a process of its own, whose CPU does not count. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/bus.h"
#include "common/keyring.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/reactor.h"
#include "dataplane/conf.h"
#include "dataplane/courier/courier.h"
#include "dataplane/courier/telemetry.h"
#include "dataplane/records/spool.h"
#include "proto/bus.h"

enum { RECORD = 600, APPENDS = 200000, PER_MSEC_MAX = 1000 };

static double seconds(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void die(const char *what)
{
    (void)fprintf(stderr, "spool_bench: %s\n", what);
    exit(1);
}

static struct sb_slice sample(void)
{
    static char bytes[RECORD];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 7);
    return sb_slice_make(bytes, sizeof(bytes));
}

/* --- the loop's part ---------------------------------------------------------- */

static void bench_append(const char *home)
{
    const struct dp_spool_conf conf = {.home = home, .worker = "append", .limit = 1 << 30};
    struct sb_slice record = sample();
    struct dp_spool *spool = NULL;
    double spent = 0, worst = 0;
    struct sb_errmsg err;

    if (dp_spool_open(&conf, &spool, &err) != SB_OK)
        die(err.text);
    for (int i = 0; i < APPENDS; i += 100) {
        double begin, took;

        dp_spool_tend(spool);
        begin = seconds(CLOCK_THREAD_CPUTIME_ID);
        for (int j = 0; j < 100; j++) {
            if (!dp_spool_reserve(spool))
                die("the spool is full");
            (void)dp_spool_append(spool, record);
        }
        took = seconds(CLOCK_THREAD_CPUTIME_ID) - begin;
        spent += took;
        worst = took > worst ? took : worst;
        if (dp_spool_ack(spool, SB_SLICE_LIT("append"), dp_spool_boot(spool),
                         dp_spool_last(spool)) != SB_OK)
            die("cannot acknowledge");
    }
    (void)printf("append of %d bytes: %.0f ns (worst mean of 100: %.0f ns)\n", RECORD,
                 spent / (double)APPENDS * 1e9, worst / 100 * 1e9);
    dp_spool_close(&spool);
}

/* --- a control daemon --------------------------------------------------------- */

static void answer(struct sb_bus_socket *router, const struct sb_bus_msg *msg, int kind,
                   struct sb_slice body)
{
    const struct msg_envelope envelope = {
        .protocol = MSG_PROTOCOL, .kind = (uint8_t)kind, .term = 1};
    SB_CLEANUP(sb_buf_release) struct sb_buf head;
    struct sb_slice frames[2];

    sb_buf_init(&head, 64);
    if (msg_envelope_encode(&envelope, &head) != SB_OK)
        die("cannot encode");
    frames[0] = sb_buf_slice(&head);
    frames[1] = body;
    (void)!sb_bus_send_to(router, sb_bus_msg_peer(msg), frames, 2);
}

static void serve(struct sb_bus_socket *router, const struct sb_bus_msg *msg)
{
    const struct msg_welcome welcome = {.daemon = SB_SLICE_INIT("bench"), .leader = true};
    SB_CLEANUP(sb_buf_release) struct sb_buf body;
    struct msg_envelope envelope;
    struct msg_batch batch;
    struct msg_batch_ok ok;

    sb_buf_init(&body, 4096);
    if (msg_envelope_decode(sb_bus_msg_frame(msg, 0), &envelope) != SB_OK)
        die("no envelope");
    if (envelope.kind == MSG_KIND_HELLO && msg_welcome_encode(&welcome, &body) == SB_OK)
        answer(router, msg, MSG_KIND_WELCOME, sb_buf_slice(&body));
    if (envelope.kind != MSG_KIND_BATCH)
        return;
    if (msg_batch_decode(sb_bus_msg_frame(msg, 1), &batch) != SB_OK)
        die("no batch");
    ok = (struct msg_batch_ok){
        .worker = batch.worker, .boot = batch.boot, .last = batch.first + batch.count - 1};
    if (msg_batch_ok_encode(&ok, &body) == SB_OK)
        answer(router, msg, MSG_KIND_BATCH_OK, sb_buf_slice(&body));
}

static void on_ready(void *ctx, unsigned events)
{
    struct sb_bus_msg *msg = NULL;

    (void)events;
    while (sb_bus_recv(ctx, &msg) == SB_OK) {
        serve(ctx, msg);
        sb_bus_msg_destroy(&msg);
    }
}

static void run_control(const char *addr)
{
    const struct sb_bus_opts opts = {.max_message_bytes = 64 << 20};
    struct sb_bus_socket *router = NULL;
    struct sb_reactor *reactor = NULL;
    struct sb_errmsg err;

    if (sb_bus_init(&err) != SB_OK || sb_reactor_new(&sb_clock_system, &reactor) != SB_OK ||
        sb_bus_socket_new(SB_BUS_ROUTER, &opts, &router, &err) != SB_OK ||
        sb_bus_bind(router, addr, &err) != SB_OK)
        die("cannot bind");
    sb_reactor_add_socket(reactor, router, SB_REACTOR_IN, on_ready, router);
    (void)!sb_reactor_run(reactor); /* until it is killed */
    _exit(0);
}

/* --- the courier's part ------------------------------------------------------- */

static void on_snapshot(void *ctx, struct dp_snapshot *snapshot, bool from_disk)
{
    (void)ctx;
    (void)snapshot;
    (void)from_disk;
}

static void pace(struct sb_loop *loop, struct dp_spool *spool, struct dp_courier *courier,
                 double per_second, double length)
{
    const struct timespec msec = {.tv_nsec = 1000000};
    const struct dp_load load = {.in_flight = 1};
    double begin = seconds(CLOCK_MONOTONIC), now;
    struct sb_slice record = sample();
    uint64_t done = 0;

    while ((now = seconds(CLOCK_MONOTONIC) - begin) < length) {
        for (int i = 0; (double)done < now * per_second && i < PER_MSEC_MAX; i++, done++) {
            if (!dp_spool_reserve(spool))
                die("the spool is full");
            (void)dp_spool_append(spool, record);
        }
        dp_courier_note(courier, &load);
        sb_loop_turn(loop);
        (void)nanosleep(&msec, NULL);
    }
}

static void bench_courier(const char *home, const char *addr, double per_second, double length)
{
    static const char keys[] = "k:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n";
    static const struct dp_courier_events events = {.on_snapshot = on_snapshot};
    const struct dp_spool_conf conf = {.home = home, .worker = "courier", .limit = 1 << 30};
    const struct dp_conf settings = {
        .control = addr, .publish = addr, .start_wait = 600000, .spool_sync = 100};
    struct dp_courier_start start = {.conf = &settings, .worker = "courier", .events = &events};
    struct dp_courier_state state = {.connected = false};
    struct dp_spool_stats before, after;
    struct dp_courier *courier = NULL;
    struct sb_keyring *keyring = NULL;
    struct dp_spool *spool = NULL;
    double own, all, records;
    struct sb_errmsg err;

    if (sb_bus_init(&err) != SB_OK || sb_loop_new(&start.loop) != SB_OK ||
        sb_keyring_parse(SB_SLICE_LIT(keys), &keyring, &err) != SB_OK ||
        dp_spool_open(&conf, &spool, &err) != SB_OK)
        die("cannot start");
    start.telemetry = dp_telemetry_new(&sb_clock_system);
    start.keyring = keyring;
    start.spool = spool;
    if (dp_courier_new(&start, &courier, &err) != SB_OK)
        die(err.text);
    while (!state.connected) {
        pace(start.loop, spool, courier, 10, 0.01);
        dp_courier_state(courier, &state);
    }
    pace(start.loop, spool, courier, per_second, 0.5);
    dp_spool_stats(spool, &before);
    all = seconds(CLOCK_PROCESS_CPUTIME_ID);
    own = seconds(CLOCK_THREAD_CPUTIME_ID);
    pace(start.loop, spool, courier, per_second, length);
    own = seconds(CLOCK_THREAD_CPUTIME_ID) - own;
    all = seconds(CLOCK_PROCESS_CPUTIME_ID) - all;
    dp_spool_stats(spool, &after);
    dp_courier_state(courier, &state);
    records = (double)(after.acked - before.acked);
    (void)printf("courier at %.0f records/s: %.3f us of CPU for each record, bus threads and sync "
                 "included (%.1f %% of a core; %.0f committed, %llu batches)\n",
                 per_second, (all - own) / records * 1e6, (all - own) / length * 100, records,
                 (unsigned long long)state.batches);
    dp_courier_destroy(&courier);
    dp_spool_close(&spool);
    dp_telemetry_destroy(&start.telemetry);
    sb_keyring_destroy(&keyring);
    sb_loop_destroy(&start.loop);
    sb_bus_shutdown();
}

int main(int argc, char **argv)
{
    char home[256], addr[300];
    double per_second = argc > 2 ? strtod(argv[2], NULL) : 20000;
    double length = argc > 3 ? strtod(argv[3], NULL) : 3;
    struct sb_errmsg err;
    pid_t pid;

    (void)snprintf(home, sizeof(home), "%s/spool_bench.XXXXXX", argc > 1 ? argv[1] : "/tmp");
    if (mkdtemp(home) == NULL)
        die("cannot make a directory");
    (void)snprintf(addr, sizeof(addr), "ipc://%s/control", home);
    if (sb_log_set_levels("error", &err) != SB_OK)
        die(err.text);
    bench_append(home);
    (void)fflush(stdout);
    pid = fork();
    if (pid == 0)
        run_control(addr);
    if (pid < 0)
        die("cannot fork");
    bench_courier(home, addr, per_second, length);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    (void)printf("left behind: %s\n", home);
    return 0;
}
