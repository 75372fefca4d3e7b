/* tests/bench/collector_bench.c - how fast records become rows and leaves,
 * against a plain COPY of the same rows.
 *
 *      collector_bench [RECORDS [ROUNDS]]
 *
 * Each round stores the same records twice, into empty tables of a private
 * PostgreSQL: by controlplane/records/ingest.h from batches as they come from workers,
 * and as bytes of COPY that were made before, in transactions of as many rows.
 * The collector has core 0, PostgreSQL core 1 (where there are two). */
#define _GNU_SOURCE /* sched_setaffinity() */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/merkle.h"
#include "controlplane/log/columns.h"
#include "controlplane/log/entry.h"
#include "controlplane/migrate.h"
#include "controlplane/records/audit_rows.h"
#include "controlplane/records/collector.h"
#include "controlplane/records/ingest.h"
#include "controlplane/stats.h"
#include "proto/bus.h"
#include "proto/record.h"
#include "tests/lib/pg_cluster.h"
#include "tests/lib/random.h"

enum { TERM = 1, BATCHES_MAX = 4096, ROUNDS_MAX = 99 };

/* As many records as the collector puts into one transaction. */
struct chunk {
    struct sb_buf bulk;
    uint64_t first, n;
    struct sb_buf copy; /* the rows of them */
};

static struct pg_cluster cluster;
static struct chunk chunks[BATCHES_MAX];
static size_t n_chunks;

static double seconds(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void die(const char *what)
{
    (void)fprintf(stderr, "collector_bench: %s\n", what);
    exit(1);
}

static void check(struct cp_db *db, int rc, const char *what)
{
    if (rc != SB_OK) {
        (void)fprintf(stderr, "collector_bench: %s: %s: %s\n", what, sb_err_name(rc),
                      db != NULL ? cp_db_last_error(db)->text.text : "");
        exit(1);
    }
}

static void use_core(unsigned core)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(core, &set);
    (void)!sched_setaffinity(0, sizeof(set), &set);
}

/* --- records ---------------------------------------------------------------------- */

/* A request as most are: one attempt, two claims demanded, digests. */
static void encode(uint64_t *seed, uint64_t i, struct sb_buf *out)
{
    static const char bytes[64] = "0123456789abcdef0123456789abcdef0123456789abcdef";
    char generation[32], model[64], key[32];
    struct msg_evidence evidence[] = {
        {.claim = MSG_CLAIM_EU_RESIDENT,
         .value = MSG_TRI_YES,
         .attested_on = 20500,
         .expires_on = 20865,
         .evidence = SB_SLICE_LIT("https://acme.example/regions/frankfurt"),
         .attested_by = SB_SLICE_LIT("legal@acme.example")},
        {.claim = MSG_CLAIM_ZDR,
         .value = MSG_TRI_YES,
         .attested_on = 20500,
         .expires_on = 20865,
         .evidence = SB_SLICE_LIT("https://acme.example/dpa"),
         .attested_by = SB_SLICE_LIT("legal@acme.example")},
    };
    struct msg_attempt attempt = {.endpoint = random_below(seed, 300) + 1,
                                  .tag = SB_SLICE_LIT("acme/turbo"),
                                  .credential = 7,
                                  .credential_kind = MSG_CREDENTIAL_KIND_HOUSE,
                                  .status = 200,
                                  .outcome = MSG_OUTCOME_SUCCESS,
                                  .started = 180,
                                  .first_token = (uint32_t)random_below(seed, 900000),
                                  .took = (uint32_t)random_below(seed, 9000000)};
    struct msg_record record = {
        .kind = MSG_RECORD_REQUEST,
        /* the day before the tables were made has a partition, too */
        .received_at = (int64_t)sb_clock_wall(&sb_clock_system) - (int64_t)(i % 1000) * 50,
        .took = attempt.took + 300,
        .first_token = attempt.first_token + 180,
        .api = MSG_API_CHAT,
        .streamed = true,
        .key = random_below(seed, 200) + 1,
        .tenant = 1,
        .tenant_name = SB_SLICE_LIT("default"),
        .endpoint = attempt.endpoint,
        .tag = attempt.tag,
        .provider = SB_SLICE_LIT("acme"),
        .region = SB_SLICE_LIT("DE"),
        .credential_kind = attempt.credential_kind,
        .version = {1790000000000000, 4711},
        .demanded = 1u << MSG_CLAIM_EU_RESIDENT | 1u << MSG_CLAIM_ZDR,
        .demanded_by_policy = 1u << MSG_CLAIM_EU_RESIDENT,
        .residency = SB_SLICE_LIT("eu"),
        .evidence = evidence,
        .n_evidence = 2,
        .attempts = &attempt,
        .n_attempts = 1,
        .usage = {.prompt_tokens = random_below(seed, 4000),
                  .completion_tokens = random_below(seed, 900),
                  .source = MSG_USAGE_SOURCE_PROVIDER},
        .cost = (int64_t)random_below(seed, 1UL << 40),
        .upstream_cost = (int64_t)random_below(seed, 1UL << 40),
        .status = 200,
        .outcome = MSG_OUTCOME_SUCCESS,
        .finish_reason = SB_SLICE_LIT("stop"),
        .request_bytes = random_below(seed, 20000),
        .response_bytes = random_below(seed, 9000),
        .client_address = SB_SLICE_LIT("192.0.2.117"),
        .salt = sb_slice_make(bytes, MSG_SALT_BYTES),
        .request_digest = sb_slice_make(bytes, MSG_HASH_BYTES),
        .response_digest = sb_slice_make(bytes + 1, MSG_HASH_BYTES),
        .user_hash = sb_slice_make(bytes + 2, MSG_HASH_BYTES),
    };

    (void)snprintf(generation, sizeof(generation), "gen-%016llx%08llx",
                   (unsigned long long)random_next(seed), (unsigned long long)i);
    (void)snprintf(model, sizeof(model), "lab-%d/model-%d", (int)(attempt.endpoint % 9),
                   (int)(attempt.endpoint % 60));
    (void)snprintf(key, sizeof(key), "app-%d", (int)record.key);
    record.generation = sb_slice_of(generation);
    record.model_asked = record.model_served = attempt.model = sb_slice_of(model);
    record.key_name = sb_slice_of(key);
    check(NULL, msg_record_encode(&record, out), "encoding");
}

/* The rows of a chunk, as COPY has them.  Leaves go on from chunk to chunk. */
static void make_copy(struct chunk *chunk)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(1 << 20);
    struct sb_slice left = sb_buf_slice(&chunk->bulk), bytes, line;
    struct cp_record_id id = {.worker = SB_SLICE_LIT("bench"), .boot = 1, .sequence = chunk->first};
    struct cp_audit_rows rows;
    struct msg_record record;

    cp_audit_rows_init(&rows);
    for (; msg_batch_next(&left, &bytes) == SB_OK; id.sequence++) {
        check(NULL, msg_record_decode(bytes, arena, &record), "decoding");
        check(NULL, cp_audit_rows_add(&rows, &id, &record, id.sequence - 1, &line), "rows");
    }
    sb_buf_init(&chunk->copy, SIZE_MAX);
    check(NULL, sb_buf_append(&chunk->copy, sb_buf_slice(&rows.tables[CP_AUDIT_REQUESTS].copy)),
          "rows");
    check(NULL, sb_buf_append(&chunk->copy, SB_SLICE_LIT("\xff\xff")), "rows"); /* the end */
    cp_audit_rows_release(&rows);
}

static void make_chunks(uint64_t n)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf record = {.limit = MSG_RECORD_MAX};
    struct chunk *chunk = NULL;
    uint64_t seed = 1, bytes = 0;

    for (uint64_t i = 0; i < n; i++) {
        sb_buf_reset(&record);
        encode(&seed, i, &record);
        bytes += sb_buf_len(&record);
        if (chunk == NULL || sb_buf_len(&chunk->bulk) > CP_COLLECTOR_TRANSACTION) {
            if (n_chunks == BATCHES_MAX)
                die("too many records");
            chunk = &chunks[n_chunks++];
            chunk->first = i + 1;
            sb_buf_init(&chunk->bulk, SIZE_MAX);
        }
        check(NULL, msg_batch_append(&chunk->bulk, sb_buf_slice(&record)), "a batch");
        chunk->n++;
    }
    for (size_t c = 0; c < n_chunks; c++)
        make_copy(&chunks[c]);
    (void)printf("%llu records of %.0f bytes in %zu transactions\n", (unsigned long long)n,
                 (double)bytes / (double)n, n_chunks);
}

/* --- measuring -------------------------------------------------------------------- */

struct result {
    double wall, cpu; /* seconds */
};

static struct cp_db *connect_as(const char *role)
{
    struct cp_db_conf conf = {.conninfo = cluster.conninfo, .role = role};
    struct cp_db *db = NULL;
    struct sb_errmsg err;

    if (cp_db_new(&conf, &db, &err) != SB_OK)
        die(err.text);
    return db;
}

static void empty(void)
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *owner = connect_as(NULL);

    check(owner,
          cp_db_script(owner, "TRUNCATE audit_requests, log_nodes, ingest_cursor;"
                              "UPDATE log_head SET size = 0, edge = '', term = 0"),
          "emptying");
    pg_cluster_sql(&cluster, "CHECKPOINT");
}

static void ingest(struct cp_db *db, const struct chunk *chunk)
{
    static struct cp_stats stats;
    struct cp_ingest_batch batch = {.worker = SB_SLICE_LIT("bench"),
                                    .boot = 1,
                                    .first = chunk->first,
                                    .bulk = sb_buf_slice(&chunk->bulk)};

    check(db, cp_ingest(db, TERM, &batch, 1, &stats), "storing");
    if (batch.last != chunk->first + chunk->n - 1 || stats.records_quarantined > 0)
        die("not all records were stored");
}

static void copy(struct cp_db *db, const struct chunk *chunk)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf sql = {.limit = 8192};
    uint64_t stored;

    check(db, cp_columns_copy_sql(cp_columns_of(CP_ENTRY_REQUEST), &sql), "COPY");
    check(db, sb_buf_append_byte(&sql, '\0'), "COPY");
    check(db, cp_db_begin(db, CP_READ_COMMITTED), "BEGIN");
    check(db, cp_db_copy_begin(db, sql.data), "COPY");
    check(db, cp_db_copy_put(db, sb_buf_slice(&chunk->copy)), "COPY");
    check(db, cp_db_copy_end(db, &stored), "COPY");
    check(db, cp_db_commit(db), "COMMIT");
}

static struct result measure(void (*store)(struct cp_db *, const struct chunk *))
{
    SB_CLEANUP(cp_db_destroy) struct cp_db *db = NULL;
    struct result result;

    empty();
    db = connect_as(CP_DB_COLLECTOR_ROLE);
    result.wall = seconds(CLOCK_MONOTONIC);
    result.cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (size_t c = 0; c < n_chunks; c++)
        store(db, &chunks[c]);
    result.wall = seconds(CLOCK_MONOTONIC) - result.wall;
    result.cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - result.cpu;
    return result;
}

/* The CPU of one pass over the records of the first chunk, decoded before; with
 * leaves or without. */
static double pass(const struct msg_record *records, bool leaves, size_t *ret_bytes)
{
    struct cp_record_id id = {.worker = SB_SLICE_LIT("bench"), .boot = 1};
    struct cp_audit_rows rows;
    struct sb_slice line;
    struct sb_hash hash;
    double begin, took;

    cp_audit_rows_init(&rows);
    check(NULL, sb_buf_reserve(&rows.tables[CP_AUDIT_REQUESTS].copy, 1 << 27), "memory");
    begin = seconds(CLOCK_PROCESS_CPUTIME_ID);
    *ret_bytes = 0;
    for (uint64_t i = 0; i < chunks[0].n; i++) {
        check(NULL, cp_audit_rows_add(&rows, &id, &records[i], i, &line), "a row");
        if (leaves)
            sb_merkle_leaf(line, &hash);
        *ret_bytes += line.n;
    }
    took = seconds(CLOCK_PROCESS_CPUTIME_ID) - begin;
    cp_audit_rows_release(&rows);
    return took / (double)chunks[0].n * 1e6;
}

static void measure_lines(void)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(1 << 20);
    struct sb_slice left = sb_buf_slice(&chunks[0].bulk), bytes;
    struct msg_record *records = sb_mem_try(chunks[0].n * sizeof(*records));
    double without, with;
    size_t total;

    if (records == NULL)
        die("no memory");
    for (uint64_t i = 0; i < chunks[0].n; i++)
        if (msg_batch_next(&left, &bytes) != SB_OK ||
            msg_record_decode(bytes, arena, &records[i]) != SB_OK)
            die("a record is broken");
    (void)pass(records, true, &total); /* warms up */
    without = pass(records, false, &total);
    with = pass(records, true, &total);
    (void)printf("a record: line and row %.2f us, leaf of %.0f bytes %.2f us\n", without,
                 (double)total / (double)chunks[0].n, with - without);
    sb_mem_free(records);
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;

    return (a > b) - (a < b);
}

static void run(uint64_t n, int rounds)
{
    double ratios[ROUNDS_MAX];

    for (int i = 0; i < rounds; i++) {
        struct result stored = measure(ingest), copied = measure(copy);

        ratios[i] = copied.wall / stored.wall;
        (void)printf("round %d: collector %.0f records/s, CPU %.2f us each (%.0f records/s of a "
                     "core); COPY %.0f rows/s, CPU %.2f us each; ratio %.2f\n",
                     i + 1, (double)n / stored.wall, stored.cpu / (double)n * 1e6,
                     (double)n / stored.cpu, (double)n / copied.wall, copied.cpu / (double)n * 1e6,
                     ratios[i]);
        (void)fflush(stdout);
    }
    qsort(ratios, (size_t)rounds, sizeof(ratios[0]), compare);
    (void)printf("ratio: median %.2f [%.2f-%.2f]\n", ratios[rounds / 2], ratios[0],
                 ratios[rounds - 1]);
}

int main(int argc, char **argv)
{
    uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 200000;
    int rounds = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 5;
    SB_CLEANUP(cp_db_destroy) struct cp_db *owner = NULL;
    struct sb_errmsg err;

    if (n == 0 || rounds < 1 || rounds > ROUNDS_MAX)
        die("usage: collector_bench [RECORDS [ROUNDS]]");
    use_core(1);
    pg_cluster_start(&cluster);
    (void)pg_cluster_database(&cluster);
    use_core(0);
    owner = connect_as(NULL);
    if (cp_migrate(owner, &err) != SB_OK)
        die(err.text);
    check(owner, cp_db_script(owner, "UPDATE leadership SET term = 1"), "the term");
    make_chunks(n);
    measure_lines();
    run(n, rounds);
    cp_db_destroy(&owner);
    pg_cluster_stop(&cluster);
    return 0;
}
