/* tests/fuzz/ctl/fuzz_exported.c - an exported day as some file tells it, compressed
 * or not.  Cut in two anywhere it is the same day; what has no finding is signed to
 * its end, by a key of which the corpus has the secret half. */
#include <stdint.h>
#include <stdlib.h>

#include "common/arena.h"
#include "common/check.h"
#include "common/zstd.h"
#include "controlplane/ctl/exported.h"
#include "controlplane/ctl/findings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PLAIN_MAX = 1 << 20 };

struct run {
    struct ctl_exported *exported;
    struct sb_zstd_reader *reader;
    size_t plain;
};

static int on_lines(void *ctx, struct sb_slice lines)
{
    struct run *run = ctx;

    run->plain += lines.n;
    return run->plain > PLAIN_MAX ? SB_ECANCELED : ctl_exported_feed(run->exported, lines);
}

static int feed(struct run *run, struct sb_slice piece, bool is_plain)
{
    return is_plain ? on_lines(run, piece) : sb_zstd_read(run->reader, piece);
}

static const struct sb_note_key *log_key(void)
{
    static struct sb_note_key key;
    static const char text[] =
        "example.com/log+556406d6+AXm1Vi6P5lT5QHixEuipi6eQH4U65pW+1+DjkQutBJZk";

    if (key.name[0] == '\0' && sb_note_key_parse(sb_slice_of(text), &key, NULL) != SB_OK)
        abort();
    return &key;
}

/* too_long: it is more than anybody wants to see compared. */
static struct ctl_verified read_day(struct sb_slice text, size_t cut, uint64_t *ret_findings,
                                    bool *ret_too_long)
{
    bool is_plain = !sb_zstd_is_one(text);
    struct sb_arena *arena = sb_arena_new(4096);
    struct ctl_findings *findings = sb_arena_alloc(arena, sizeof(*findings));
    struct run run = {.exported = ctl_exported_new(log_key(), NULL, findings)};
    struct ctl_verified result;
    uint64_t from;
    int rc;

    findings->arena = arena;
    run.reader = sb_zstd_reader_new(on_lines, &run);
    ctl_exported_begin(run.exported, "day");
    rc = feed(&run, sb_slice_make(text.p, cut), is_plain);
    if (rc == SB_OK)
        rc = feed(&run, sb_slice_from(text, cut), is_plain);
    if (rc == SB_EPARSE && is_plain && findings->total == 0)
        abort(); /* refused, and nobody says why */
    ctl_exported_end(run.exported);
    ctl_exported_close(run.exported);
    result = ctl_exported_result(run.exported, &from);
    if (from > result.next || result.proved > result.next)
        abort();
    if (findings->total == 0 && rc == SB_OK && result.proved != result.next)
        abort();
    *ret_findings = findings->total;
    *ret_too_long = run.plain > PLAIN_MAX;
    sb_zstd_reader_destroy(&run.reader);
    ctl_exported_destroy(&run.exported);
    sb_arena_destroy(&arena);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sb_slice text = sb_slice_make(data, size);
    uint64_t n_whole, n_cut;
    bool long_whole, long_cut;
    struct ctl_verified whole, cut;

    if (size == 0 || size > 64 * 1024)
        return 0;
    whole = read_day(text, size, &n_whole, &long_whole);
    cut = read_day(text, data[size / 2] % size, &n_cut, &long_cut);
    if (!long_whole && !long_cut &&
        (whole.entries != cut.entries || whole.next != cut.next || whole.proved != cut.proved ||
         n_whole != n_cut))
        abort();
    return 0;
}
