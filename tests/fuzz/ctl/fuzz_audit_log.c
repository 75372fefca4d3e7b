/* tests/fuzz/ctl/fuzz_audit_log.c - a log as some server tells it.  Cut in two
 * anywhere it is the same log, and it proves no more than its entries. */
#include <stdint.h>
#include <stdlib.h>

#include "common/arena.h"
#include "controlplane/ctl/findings.h"
#include "controlplane/ctl/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ctl_verified run(struct sb_slice text, size_t cut, uint64_t *ret_findings)
{
    const struct ctl_signed checkpoints[] = {{.size = 1}, {.size = 3}}; /* of no tree */
    const struct sb_merkle_edge start = {.size = 0};
    struct sb_arena *arena = sb_arena_new(4096);
    struct ctl_findings *findings = sb_arena_alloc(arena, sizeof(*findings));
    struct ctl_verified result;
    struct ctl_verify *verify;

    findings->arena = arena;
    verify = ctl_verify_new(&start, checkpoints, SB_ARRAY_LEN(checkpoints), findings);
    if (ctl_verify_feed(verify, sb_slice_make(text.p, cut)) == SB_OK &&
        ctl_verify_feed(verify, sb_slice_from(text, cut)) != SB_OK && findings->total == 0)
        abort(); /* refused, and nobody says why */
    ctl_verify_end(verify, UINT64_MAX);
    result = ctl_verify_result(verify);
    *ret_findings = findings->total;
    ctl_verify_destroy(&verify);
    sb_arena_destroy(&arena);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sb_slice text = sb_slice_make(data, size);
    struct ctl_verified whole, cut;
    uint64_t n_whole, n_cut;

    if (size == 0 || size > 64 * 1024)
        return 0;
    whole = run(text, size, &n_whole);
    cut = run(text, data[size / 2] % size, &n_cut);
    if (whole.entries != cut.entries || whole.next != cut.next || n_whole != n_cut)
        abort();
    if (whole.proved != 0 || whole.checkpoints != 0 || n_whole == 0 || whole.entries > whole.next)
        abort();
    return 0;
}
