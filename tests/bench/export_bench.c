/* tests/bench/export_bench.c - how many records a second audit verify checks of an
 * exported day, on one core: decompression, lines, sequences, hashes, checkpoints.
 *
 *      export_bench [RECORDS]      (default 500000)
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/checkpoint.h"
#include "common/json.h"
#include "common/notekey.h"
#include "common/zstd.h"
#include "controlplane/ctl/exported.h"
#include "controlplane/ctl/findings.h"
#include "tests/lib/random.h"

enum { STRETCH = 4096, LINE_BYTES = 4096 };

static struct sb_buf file;
static uint64_t plain_bytes, seed = 1;

static int keep(void *ctx, struct sb_slice piece)
{
    (void)ctx;
    return sb_buf_append(&file, piece);
}

static void must(int rc, const char *what)
{
    if (rc == SB_OK)
        return;
    (void)fprintf(stderr, "%s: %s\n", what, sb_err_str(rc));
    exit(1);
}

static void write_text(struct sb_zstd_writer *writer, struct sb_slice text)
{
    must(sb_zstd_write(writer, text), "write");
    plain_bytes += text.n;
}

/* As the collector makes them: what differs from one to the next differs here. */
static size_t make_entry(char *to, uint64_t i)
{
    int n = snprintf(
        to, LINE_BYTES,
        "{\"api\":0,\"attempts\":[{\"credential_kind\":1,\"endpoint\":%" PRIu64
        ",\"first_token_us\":%" PRIu64 ",\"model\":\"model-one\",\"outcome\":1,\"provider\":"
        "\"acme\",\"status\":200,\"took_us\":%" PRIu64 "}],\"boot_id\":%" PRIu64
        ",\"cached_tokens\":0,\"cache_write_tokens\":0,\"client_address\":\"192.0.2.%" PRIu64
        "\",\"completion_tokens\":%" PRIu64 ",\"cost\":%" PRIu64
        ",\"credential_kind\":1,\"demanded\":3,\"demanded_by_policy\":1,\"endpoint_id\":%" PRIu64
        ",\"epoch\":1790000000000000,\"evidence\":[{\"attested_by\":\"jo\",\"attested_on\":20000,"
        "\"claim\":0,\"evidence\":\"https://example.com/dpa\",\"value\":1}],\"finish_reason\":"
        "\"stop\",\"first_token_us\":%" PRIu64 ",\"generation\":\"gen-%016" PRIx64 "%016" PRIx64
        "\",\"key_id\":%" PRIu64 ",\"key_name\":\"key-%" PRIu64
        "\",\"kind\":\"request\",\"model_asked\":\"acme/model-one\",\"model_served\":"
        "\"acme/model-one\",\"outcome\":1,\"prompt_tokens\":%" PRIu64
        ",\"provider\":\"acme\",\"reasoning_tokens\":0,\"received_at\":%" PRIu64
        ",\"region\":\"DE\",\"request_bytes\":%" PRIu64 ",\"request_digest\":\"%016" PRIx64
        "%016" PRIx64 "%016" PRIx64 "%016" PRIx64 "\",\"residency\":\"eu\",\"response_bytes\":"
        "%" PRIu64 ",\"response_digest\":\"%016" PRIx64 "%016" PRIx64 "%016" PRIx64 "%016" PRIx64
        "\",\"revision\":7,\"sequence\":%" PRIu64
        ",\"status\":200,\"streamed\":true,\"tag\":\"acme\",\"tenant_id\":1,\"tenant_name\":"
        "\"default\",\"took_us\":%" PRIu64 ",\"upstream_cost\":%" PRIu64
        ",\"usage_source\":1,\"worker_id\":\"worker-%" PRIu64 "\"}\n",
        random_below(&seed, 9), random_below(&seed, 900000), random_below(&seed, 9000000),
        UINT64_C(1790000000000000), random_below(&seed, 255), random_below(&seed, 2000),
        random_below(&seed, UINT64_C(1) << 40), random_below(&seed, 9), random_below(&seed, 900000),
        random_next(&seed), random_next(&seed), random_below(&seed, 50), random_below(&seed, 50),
        random_below(&seed, 9000), UINT64_C(1790000000000000) + i * 50, random_below(&seed, 90000),
        random_next(&seed), random_next(&seed), random_next(&seed), random_next(&seed),
        random_below(&seed, 90000), random_next(&seed), random_next(&seed), random_next(&seed),
        random_next(&seed), i / 4 + 1, random_below(&seed, 9000000),
        random_below(&seed, UINT64_C(1) << 40), i % 4);

    return (size_t)n;
}

static void put_checkpoint(struct sb_zstd_writer *writer, const struct sb_note_signer *signer,
                           const struct sb_merkle_edge *edge)
{
    struct sb_buf note = {.limit = SB_CHECKPOINT_MAX}, line = {.limit = LINE_BYTES};
    struct sb_hash root;
    struct sb_json json;

    sb_merkle_root(edge, &root);
    must(sb_checkpoint_sign(signer, edge->size, &root, &note), "sign");
    sb_json_init(&json, &line);
    sb_json_open_object(&json);
    sb_json_add_text(&json, "checkpoint", sb_buf_slice(&note));
    sb_json_close_object(&json);
    must(sb_json_end(&json), "checkpoint");
    must(sb_buf_append_byte(&line, '\n'), "checkpoint");
    write_text(writer, sb_buf_slice(&line));
    sb_buf_release(&note);
    sb_buf_release(&line);
}

static void make_file(const struct sb_note_signer *signer, uint64_t records)
{
    struct sb_zstd_writer *writer = sb_zstd_writer_new(keep, NULL);
    struct sb_merkle_edge edge = {.size = 0};
    char line[LINE_BYTES];
    int n = snprintf(line, sizeof(line),
                     "{\"format\":\"switchboard-export-1\",\"day\":\"2026-09-21\",\"from\":0,"
                     "\"to\":%" PRIu64 ",\"edge\":[]}\n",
                     records);

    write_text(writer, sb_slice_make(line, (size_t)n));
    for (uint64_t i = 0; i < records; i++) {
        size_t length = make_entry(line, i);
        struct sb_hash leaf;

        sb_merkle_leaf(sb_slice_make(line, length - 1), &leaf);
        sb_merkle_append(&edge, &leaf, NULL);
        write_text(writer, sb_slice_make(line, length));
        if (edge.size % STRETCH == 0 || edge.size == records)
            put_checkpoint(writer, signer, &edge);
    }
    must(sb_zstd_end(writer), "end");
    sb_zstd_writer_destroy(&writer);
}

/* Milliseconds of this process, whoever else uses the core meanwhile. */
static uint64_t cpu_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int feed(void *ctx, struct sb_slice piece)
{
    return ctl_exported_feed(ctx, piece);
}

static void verify(const struct sb_note_signer *signer, uint64_t records)
{
    struct sb_arena *arena = sb_arena_new(1 << 16);
    struct ctl_findings *findings = sb_arena_alloc(arena, sizeof(*findings));
    struct ctl_exported *exported = ctl_exported_new(sb_note_signer_key(signer), NULL, findings);
    struct sb_zstd_reader *reader = sb_zstd_reader_new(feed, exported);
    struct sb_slice left = sb_buf_slice(&file);
    uint64_t before = cpu_now(), took;
    uint64_t from;

    findings->arena = arena;
    ctl_exported_begin(exported, "file");
    while (left.n > 0) {
        size_t n = left.n < 65536 ? left.n : 65536;

        must(sb_zstd_read(reader, sb_slice_make(left.p, n)), "read");
        left = sb_slice_from(left, n);
    }
    ctl_exported_end(exported);
    ctl_exported_close(exported);
    took = cpu_now() - before;
    if (findings->total > 0 || ctl_exported_result(exported, &from).proved != records)
        must(SB_EHASH, findings->total > 0 ? findings->list[0].text : "not proven");
    (void)printf("%" PRIu64 " records of %" PRIu64 " bytes (%" PRIu64 " compressed) in %" PRIu64
                 " ms of CPU: %" PRIu64 " a second of a core\n",
                 records, plain_bytes / records, (uint64_t)sb_buf_len(&file) / records, took,
                 records * 1000 / (took > 0 ? took : 1));
    sb_zstd_reader_destroy(&reader);
    ctl_exported_destroy(&exported);
    sb_arena_destroy(&arena);
}

int main(int argc, char **argv)
{
    uint64_t records = argc > 1 ? strtoull(argv[1], NULL, 10) : 500000;
    struct sb_note_signer *signer = NULL;

    sb_buf_init(&file, SIZE_MAX / 2);
    must(sb_note_signer_new(SB_SLICE_LIT("example.com/log"), &signer, NULL), "key");
    make_file(signer, records);
    for (int i = 0; i < 3; i++)
        verify(signer, records);
    sb_note_signer_destroy(&signer);
    sb_buf_release(&file);
    return 0;
}
