/* tests/bench/tables_bench.c - what the telemetry of a fleet costs the leader.
 *
 *      tables_bench [SECONDS [WORKERS [REQUESTS_PER_SECOND]]]
 *      tables_bench day [HOURS [ENDPOINTS]]
 *
 * The first: a daemon's publisher and tables actors in a process of their own, on the real
 * bus; this process is the fleet: it folds each request as a worker does, sends
 * one beat per worker and second, and reads what is published.  100 000
 * endpoints, of which 1 000 get nearly all requests (Zipf).
 *
 * The second: the same requests of a day, by a clock that runs as fast as it
 * can, folded into the windows alone, and how much memory they take.  What each
 * endpoint gets in 10 s is drawn at once; with fewer endpoints there are fewer
 * requests, and the figure is for so many as were asked for. */
#include <dirent.h>
#include <inttypes.h>
#include <malloc.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/bus.h"
#include "common/log.h"
#include "common/mailbox.h"
#include "common/mem.h"
#include "controlplane/mail.h"
#include "controlplane/publish/publisher.h"
#include "controlplane/stats.h"
#include "controlplane/tables/tables.h"
#include "controlplane/tables/windows.h"
#include "dataplane/courier/telemetry.h"
#include "proto/bus.h"
#include "proto/record.h"
#include "proto/sketch.h"
#include "proto/tables.h"
#include "tests/lib/random.h"

enum {
    ENDPOINTS = 100000,
    HOT = 1000,
    COLD_OF = 50, /* one request in so many goes to any endpoint at all */
    WORKERS_MAX = 200,
    MARKERS = 1000,      /* endpoints from MARKER on are told once, to be timed */
    MARKER = 2000000000, /* beyond all others */
    TURN = 20000000,     /* ns */
};

static void die(const char *what)
{
    (void)fprintf(stderr, "tables_bench: %s\n", what);
    exit(1);
}

static double seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* --- the daemon ----------------------------------------------------------------- */

static void run_control(const char *control, const char *publish)
{
    static struct cp_stats stats;
    const struct cp_tables_conf tables_conf = {.interval = 1000, .stats = &stats};
    struct cp_publisher_conf conf = {
        .control = control, .publish = publish, .name = "bench", .stats = &stats};
    struct cp_publisher *publisher = NULL;
    struct cp_tables *tables = NULL;
    struct sb_errmsg err;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (sb_bus_init(&err) != SB_OK || cp_tables_start(&tables_conf, &tables, &err) != SB_OK)
        die(err.text);
    conf.tables = cp_tables_mailbox(tables);
    if (cp_publisher_start(&conf, &publisher, &err) != SB_OK)
        die(err.text);
    (void)sb_mailbox_post(conf.tables, &cp_attach_new(cp_publisher_mailbox(publisher))->mail);
    (void)sb_mailbox_post(conf.tables, &cp_lead_new(true, 1, 1)->mail);
    (void)sb_mailbox_post(cp_publisher_mailbox(publisher), &cp_lead_new(true, 1, 1)->mail);
    for (;;)
        (void)pause();
}

/* CPU seconds of the daemon's threads of that name; NULL: of all. */
static double cpu_of(pid_t pid, const char *name)
{
    char path[300], text[64];
    double spent = 0;
    struct dirent *entry;
    DIR *tasks;

    (void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    tasks = opendir(path);
    while (tasks != NULL && (entry = readdir(tasks)) != NULL) {
        unsigned long long ns = 0;
        FILE *file;

        (void)snprintf(path, sizeof(path), "/proc/%d/task/%.20s/comm", (int)pid, entry->d_name);
        file = fopen(path, "r");
        if (file == NULL)
            continue;
        text[0] = '\0';
        (void)!fgets(text, sizeof(text), file);
        (void)fclose(file);
        text[strcspn(text, "\n")] = '\0';
        (void)snprintf(path, sizeof(path), "/proc/%d/task/%.20s/schedstat", (int)pid,
                       entry->d_name);
        file = fopen(path, "r");
        if (file == NULL)
            continue;
        if ((name == NULL || strcmp(text, name) == 0) &&
            fscanf(file, "%llu", &ns) == 1) /* NOLINT */
            spent += (double)ns / 1e9;
        (void)fclose(file);
    }
    if (tasks != NULL)
        (void)closedir(tasks);
    return spent;
}

/* MiB. */
static double resident(pid_t pid)
{
    char path[64];
    unsigned long long pages = 0;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    file = fopen(path, "r");
    if (file == NULL || fscanf(file, "%*u %llu", &pages) != 1) /* NOLINT(cert-err34-c) */
        die("cannot read the daemon's memory");
    (void)fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1048576;
}

/* --- the fleet -------------------------------------------------------------------- */

struct fleet {
    struct sb_bus_socket *dealer[WORKERS_MAX], *sub;
    struct dp_telemetry *telemetry[WORKERS_MAX];
    unsigned n;
    double rank[HOT]; /* cumulated weights */
    uint64_t random;
    uint64_t samples, rows, beats, beat_bytes, unsent;
    uint64_t messages, row_n, bytes;  /* published */
    double told[MARKERS], worst, sum; /* of the markers: when told; seconds until published */
    unsigned n_told, n_seen;
};

static void prepare_ranks(struct fleet *fleet)
{
    double sum = 0;

    for (int i = 0; i < HOT; i++)
        fleet->rank[i] = sum += 1.0 / (i + 1);
    for (int i = 0; i < HOT; i++)
        fleet->rank[i] /= sum;
}

static uint64_t draw_endpoint(struct fleet *fleet)
{
    double u;
    int low = 0, high = HOT - 1;

    if (random_below(&fleet->random, COLD_OF) == 0)
        return 1 + random_below(&fleet->random, ENDPOINTS);
    u = random_unit(&fleet->random);
    while (low < high) {
        int middle = (low + high) / 2;

        if (fleet->rank[middle] < u)
            low = middle + 1;
        else
            high = middle;
    }
    return (uint64_t)low + 1;
}

static void add_sample(struct fleet *fleet, unsigned worker, uint64_t endpoint)
{
    double wait = 200 / pow(random_unit(&fleet->random), 0.5); /* ms, a heavy tail */
    struct msg_attempt attempt = {.endpoint = endpoint,
                                  .outcome = MSG_OUTCOME_SUCCESS,
                                  .credential_kind = MSG_CREDENTIAL_KIND_HOUSE,
                                  .first_token = (uint32_t)(1000 * fmin(wait, 60000))};
    const struct msg_usage usage = {.prompt_tokens = 500,
                                    .completion_tokens = 100 + random_below(&fleet->random, 400),
                                    .source = MSG_USAGE_SOURCE_PROVIDER};

    attempt.took = attempt.first_token + (uint32_t)(usage.completion_tokens * 12000);
    dp_telemetry_add(fleet->telemetry[worker], &(struct dp_telemetry_entry){
                                                   .attempt = &attempt,
                                                   .usage = &usage,
                                                   .cost = 1000000,
                                                   .verdict = DP_BREAKER_OK,
                                                   .streamed = true,
                                               });
    fleet->samples++;
}

static void send_frames(struct fleet *fleet, unsigned worker, enum msg_kind kind,
                        struct sb_slice body)
{
    const struct msg_envelope envelope = {.protocol = MSG_PROTOCOL, .kind = (uint8_t)kind};
    SB_CLEANUP(sb_buf_release) struct sb_buf head;
    struct sb_slice frames[2];

    sb_buf_init(&head, 64);
    if (msg_envelope_encode(&envelope, &head) != SB_OK)
        die("cannot encode an envelope");
    frames[0] = sb_buf_slice(&head);
    frames[1] = body;
    fleet->unsent += sb_bus_send(fleet->dealer[worker], frames, 2) != SB_OK;
}

static void send_beat(struct fleet *fleet, unsigned worker)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(1 << 20);
    SB_CLEANUP(sb_buf_release) struct sb_buf body = {.limit = 64 << 20};
    struct dp_fold *fold = dp_telemetry_take(fleet->telemetry[worker]);
    char name[32];
    struct msg_beat beat = {.boot = 1};

    if (fold == NULL)
        return;
    (void)snprintf(name, sizeof(name), "bench-%u", worker);
    beat.worker = sb_slice_of(name);
    beat.rows = dp_fold_rows(fold, arena, &beat.n_rows);
    if (msg_beat_encode(&beat, &body) != SB_OK)
        die("cannot encode a beat");
    send_frames(fleet, worker, MSG_KIND_BEAT, sb_buf_slice(&body));
    fleet->beats++;
    fleet->rows += beat.n_rows;
    fleet->beat_bytes += sb_buf_len(&body);
    dp_fold_destroy(&fold);
}

static void send_hello(struct fleet *fleet, unsigned worker)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf body;
    char name[32];
    struct msg_hello hello = {
        .protocol_min = MSG_PROTOCOL_MIN, .protocol_max = MSG_PROTOCOL, .boot = 1};

    (void)snprintf(name, sizeof(name), "bench-%u", worker);
    hello.worker = hello.host = sb_slice_of(name);
    sb_buf_init(&body, 4096);
    if (msg_hello_encode(&hello, &body) != SB_OK)
        die("cannot encode a hello");
    send_frames(fleet, worker, MSG_KIND_HELLO, sb_buf_slice(&body));
}

static void take_tables(struct fleet *fleet, struct sb_slice bulk)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(1 << 20);
    double now = seconds();
    struct msg_tables tables;

    if (msg_tables_decode(bulk, arena, &tables) != SB_OK)
        die("cannot decode the tables");
    fleet->messages++;
    fleet->row_n += tables.n_rows;
    fleet->bytes += bulk.n;
    for (size_t i = 0; i < tables.n_rows; i++) {
        uint64_t endpoint = tables.rows[i].endpoint;
        double took;

        if (endpoint < MARKER || fleet->told[endpoint - MARKER] == 0)
            continue;
        took = now - fleet->told[endpoint - MARKER];
        fleet->told[endpoint - MARKER] = 0;
        fleet->sum += took;
        fleet->worst = took > fleet->worst ? took : fleet->worst;
        fleet->n_seen++;
    }
}

static void receive(struct fleet *fleet)
{
    struct sb_bus_msg *msg = NULL;

    while (sb_bus_recv(fleet->sub, &msg) == SB_OK) {
        if (sb_slice_is(sb_bus_msg_frame(msg, 0), "T"))
            take_tables(fleet, sb_bus_msg_frame(msg, 3));
        sb_bus_msg_destroy(&msg);
    }
    for (unsigned i = 0; i < fleet->n; i++)
        while (sb_bus_recv(fleet->dealer[i], &msg) == SB_OK)
            sb_bus_msg_destroy(&msg);
}

/* So many turns, in each of which one worker has its second. */
static void run(struct fleet *fleet, double length, unsigned per_second)
{
    double begin = seconds(), now;
    uint64_t turn = 0;
    const struct timespec pause = {.tv_nsec = TURN / 10};

    while ((now = seconds() - begin) < length) {
        while ((double)turn < now * fleet->n) {
            unsigned worker = (unsigned)(turn++ % fleet->n);

            for (unsigned i = 0; i < per_second; i++)
                add_sample(fleet, worker, draw_endpoint(fleet));
            if (turn % 10 == 0 && fleet->n_told < MARKERS) {
                add_sample(fleet, worker, MARKER + fleet->n_told);
                fleet->told[fleet->n_told++] = seconds();
            }
            send_beat(fleet, worker);
        }
        receive(fleet);
        (void)nanosleep(&pause, NULL);
    }
}

static void connect_fleet(struct fleet *fleet, const char *control, const char *publish)
{
    const struct sb_bus_opts opts = {.max_message_bytes = 256 << 20};
    struct sb_errmsg err;

    if (sb_bus_init(&err) != SB_OK ||
        sb_bus_socket_new(SB_BUS_SUB, &opts, &fleet->sub, &err) != SB_OK)
        die(err.text);
    sb_bus_subscribe(fleet->sub, SB_SLICE_LIT("T"));
    if (sb_bus_connect(fleet->sub, publish, &err) != SB_OK)
        die(err.text);
    for (unsigned i = 0; i < fleet->n; i++) {
        fleet->telemetry[i] = dp_telemetry_new(&sb_clock_system);
        if (sb_bus_socket_new(SB_BUS_DEALER, &opts, &fleet->dealer[i], &err) != SB_OK ||
            sb_bus_connect(fleet->dealer[i], control, &err) != SB_OK)
            die(err.text);
        send_hello(fleet, i);
    }
}

/* One sample of each endpoint, so that all of them are known. */
static void fill(struct fleet *fleet)
{
    for (uint64_t endpoint = 1; endpoint <= ENDPOINTS; endpoint++) {
        unsigned worker = (unsigned)(endpoint / 2000 % fleet->n);

        add_sample(fleet, worker, endpoint);
        if (endpoint % 2000 == 1999)
            send_beat(fleet, worker);
    }
    for (unsigned i = 0; i < fleet->n; i++)
        send_beat(fleet, i);
}

static void report(struct fleet *fleet, pid_t pid, double length, double tables, double publisher,
                   double all)
{
    double rows = (double)fleet->rows, samples = (double)fleet->samples;

    (void)printf("%u workers, %.0f samples/s in %.0f rows/s, %.2f MB/s of beats; unsent %" PRIu64
                 "\n",
                 fleet->n, samples / length, rows / length,
                 (double)fleet->beat_bytes / length / 1e6, fleet->unsent);
    (void)printf("tables actor: %.1f %% of a core, %.2f us per row; %.0f samples/s per core\n",
                 tables / length * 100, tables / rows * 1e6, samples / tables);
    (void)printf("publisher: %.1f %%; the daemon with the bus: %.1f %%, %.0f MiB resident\n",
                 publisher / length * 100, all / length * 100, resident(pid));
    (void)printf("published: %.1f messages/s, %.0f rows/s, %.2f MB/s\n",
                 (double)fleet->messages / length, (double)fleet->row_n / length,
                 (double)fleet->bytes / length / 1e6);
    (void)printf("a sample is in the tables after %.2f s, %.2f s at worst (%u of %u seen)\n",
                 fleet->n_seen > 0 ? fleet->sum / fleet->n_seen : 0.0, fleet->worst, fleet->n_seen,
                 fleet->n_told);
}

static void clear(struct fleet *fleet)
{
    fleet->samples = fleet->rows = fleet->beats = fleet->beat_bytes = fleet->unsent = 0;
    fleet->messages = fleet->row_n = fleet->bytes = 0;
    fleet->worst = fleet->sum = 0;
    fleet->n_seen = 0;
    memset(fleet->told, 0, sizeof(fleet->told)); /* those that are on their way count no more */
}

/* --- a day ------------------------------------------------------------------------- */

enum {
    DAY_STEP = 10,        /* seconds */
    DAY_RATE = 100000,    /* requests per second of the whole fleet */
    DAY_DRAWN = 64,       /* values drawn of one endpoint and step; the others are like them */
    DAY_START = 20000000, /* ms */
};

struct day {
    struct cp_windows *windows;
    unsigned endpoints, hot;
    uint64_t random;
    double rank_sum;
    sb_msec now;
    uint64_t requests, adds, rows;
    size_t most; /* bytes */
};

static void encode_sketch(const struct sb_sketch *sketch, struct sb_buf *out)
{
    if (msg_sketch_encode(sketch, out) != SB_OK)
        die("cannot encode a sketch");
}

/* What one endpoint got in a step: n requests. */
static void add_step(struct day *day, uint64_t endpoint, uint64_t n)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf first = {.limit = 65536}, pace = {.limit = 65536};
    struct sb_sketch first_token = {.n = 0}, throughput = {.n = 0};
    struct msg_beat_row row = {.endpoint = endpoint,
                               .attempts = (uint32_t)n,
                               .successes = (uint32_t)n,
                               .prompt_tokens = 500 * n,
                               .completion_tokens = 300 * n,
                               .cost = (int64_t)(1000000 * n)};

    for (uint64_t left = n, draws = DAY_DRAWN; left > 0; draws--) {
        uint32_t times = (uint32_t)(draws > left ? 1 : left / draws);
        double wait = fmin(200 / pow(random_unit(&day->random), 0.5), 60000);
        double tokens = 100 + (double)random_below(&day->random, 400);

        if (sb_sketch_add(&first_token, wait, times) != SB_OK ||
            sb_sketch_add(&throughput, 1000 * tokens / (wait + 12 * tokens), times) != SB_OK)
            die("cannot add to a sketch");
        left -= times;
    }
    encode_sketch(&first_token, &first);
    encode_sketch(&throughput, &pace);
    row.first_token = sb_buf_slice(&first);
    row.throughput = sb_buf_slice(&pace);
    if (cp_windows_add(day->windows, CP_SAMPLE_TRAFFIC, &row, day->now, (sb_usec)day->now * 1000) !=
        SB_OK)
        die("cannot add to the windows");
    day->requests += n;
    day->adds++;
    sb_sketch_release(&first_token);
    sb_sketch_release(&throughput);
}

/* Poisson, by the exponential distances of its events. */
static uint64_t draw_count(uint64_t *random, double mean)
{
    uint64_t n = 0;

    for (double at = -log(random_unit(random)); at < mean; at -= log(random_unit(random)))
        n++;
    return n;
}

static void step(struct day *day)
{
    double scale = (double)day->endpoints / (double)ENDPOINTS;
    double all = scale * (double)(DAY_RATE * DAY_STEP);
    double cold = all / (double)COLD_OF;

    for (unsigned i = 0; i < day->hot; i++) {
        double n = (all - cold) / ((i + 1) * day->rank_sum);

        if (n >= 1)
            add_step(day, 1 + i, (uint64_t)n);
    }
    for (uint64_t n = draw_count(&day->random, cold); n > 0; n--)
        add_step(day, 1 + random_below(&day->random, day->endpoints), 1);
}

/* What the tables actor does besides: rows once a second here once a step, and
 * minutes once a minute, which the chronicle takes. */
static void work_of_the_actor(struct day *day)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(1 << 20);
    struct msg_tables tables;
    struct sb_list minutes, *link;

    if (cp_windows_rows(day->windows, false, day->now, arena, &tables) != SB_OK)
        die("cannot make rows");
    day->rows += tables.n_rows;
    if (day->now / 1000 % 60 >= DAY_STEP)
        return;
    sb_list_init(&minutes);
    cp_windows_minutes(day->windows, false, day->now, (sb_usec)day->now * 1000, &minutes);
    while ((link = sb_list_pop(&minutes)) != NULL) {
        struct cp_minute *minute = container_of(link, struct cp_minute, link);

        cp_minute_destroy(&minute);
    }
}

static void report_day(struct day *day, unsigned hour)
{
    struct mallinfo2 info = mallinfo2();
    size_t used = info.uordblks + info.hblkhd;

    day->most = used > day->most ? used : day->most;
    if (hour <= 2 || hour % 3 == 0)
        (void)printf("%2u h: %zu windows, %.0f MiB in use, %.0f MiB resident\n", hour,
                     cp_windows_count(day->windows), (double)used / 1048576, resident(getpid()));
    (void)fflush(stdout);
}

static void run_day(unsigned hours, unsigned endpoints)
{
    struct day day = {.windows = cp_windows_new(),
                      .endpoints = endpoints,
                      .hot = endpoints / (ENDPOINTS / HOT),
                      .random = 1,
                      .now = DAY_START};
    double begin = seconds();

    for (unsigned i = 0; i < day.hot; i++)
        day.rank_sum += 1.0 / (i + 1);
    for (unsigned hour = 1; hour <= hours; hour++) {
        for (unsigned i = 0; i < 3600 / DAY_STEP; i++) {
            day.now += (sb_msec)DAY_STEP * 1000;
            step(&day);
            work_of_the_actor(&day);
        }
        report_day(&day, hour);
    }
    (void)printf(
        "%u hours of %u endpoints, %u hot: %.3g requests in %.3g rows, %.3g rows published; "
        "at most %.0f MiB in use; %.0f s\n",
        hours, endpoints, day.hot, (double)day.requests, (double)day.adds, (double)day.rows,
        (double)day.most / 1048576, seconds() - begin);
    cp_windows_destroy(&day.windows);
}

int main(int argc, char **argv)
{
    double length = argc > 1 ? strtod(argv[1], NULL) : 30;
    unsigned workers = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 50;
    unsigned per_second = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 2000;
    char home[] = "/tmp/tables_bench.XXXXXX", control[64], publish[64];
    struct fleet *fleet = sb_mem_new(sizeof(*fleet));
    double tables, publisher, all;
    struct sb_errmsg err;
    unsigned first;
    pid_t pid;

    if (argc > 1 && strcmp(argv[1], "day") == 0) {
        unsigned hours = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 26;
        unsigned endpoints = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : ENDPOINTS;

        if (hours == 0 || endpoints < HOT || endpoints > ENDPOINTS)
            die("usage: tables_bench day [HOURS [ENDPOINTS (1000-100000)]]");
        run_day(hours, endpoints);
        sb_mem_free(fleet);
        return 0;
    }
    if (length <= 0 || workers == 0 || workers > WORKERS_MAX || per_second == 0 ||
        per_second > 4000)
        die("usage: tables_bench [SECONDS [WORKERS (1-200) [REQUESTS_PER_SECOND (1-4000)]]]");
    if (mkdtemp(home) == NULL)
        die("cannot make a directory");
    (void)snprintf(control, sizeof(control), "ipc://%s/control", home);
    (void)snprintf(publish, sizeof(publish), "ipc://%s/publish", home);
    if (sb_log_set_levels("error", &err) != SB_OK)
        die(err.text);
    pid = fork();
    if (pid == 0)
        run_control(control, publish);
    if (pid < 0)
        die("cannot fork");
    fleet->n = workers;
    fleet->random = 1;
    prepare_ranks(fleet);
    connect_fleet(fleet, control, publish);
    fill(fleet);
    run(fleet, 5, per_second); /* until it is warm */
    clear(fleet);
    first = fleet->n_told;
    tables = cpu_of(pid, "tables");
    publisher = cpu_of(pid, "publisher");
    all = cpu_of(pid, NULL);
    run(fleet, length, per_second);
    fleet->n_told -= first;
    report(fleet, pid, length, cpu_of(pid, "tables") - tables, cpu_of(pid, "publisher") - publisher,
           cpu_of(pid, NULL) - all);
    for (unsigned i = 0; i < fleet->n; i++) {
        dp_telemetry_destroy(&fleet->telemetry[i]);
        sb_bus_socket_destroy(&fleet->dealer[i]);
    }
    sb_bus_socket_destroy(&fleet->sub);
    sb_bus_shutdown();
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    sb_mem_free(fleet);
    (void)printf("left behind: %s\n", home);
    return 0;
}
