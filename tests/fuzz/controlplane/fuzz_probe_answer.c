/* tests/fuzz/controlplane/fuzz_probe_answer.c - whatever a provider answers to a
 * probe.
 *
 * What it amounts to does not depend on where the bytes are cut, and no bill is
 * made of more tokens than a probe can use.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/err.h"
#include "controlplane/probes/probe_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
    enum msg_outcome outcome;
    unsigned pieces;
    struct msg_usage usage;
};

static struct result read_in_pieces(const uint8_t *data, size_t size, size_t piece)
{
    struct cp_probe_answer answer;
    struct result result;
    int rc = SB_OK;

    cp_probe_answer_init(&answer);
    for (size_t at = 0; rc == SB_OK && at < size; at += piece)
        rc = cp_probe_answer_take(
            &answer, sb_slice_make(data + at, size - at < piece ? size - at : piece), at);
    result.outcome = cp_probe_answer_end(&answer, 200);
    result.pieces = answer.pieces;
    result.usage = answer.usage;
    (void)cp_probe_answer_throughput(&answer);
    cp_probe_answer_release(&answer);
    return result;
}

/* The same bytes as an embedding. */
static void read_embedding(const uint8_t *data, size_t size)
{
    struct cp_probe_answer answer;
    enum msg_outcome outcome;

    cp_probe_answer_init(&answer);
    cp_probe_answer_take_embedding(&answer, sb_slice_make((const char *)data, size), 1);
    outcome = cp_probe_answer_end(&answer, 200);
    if (outcome != MSG_OUTCOME_SUCCESS && outcome != MSG_OUTCOME_BAD_ANSWER)
        abort();
    if (answer.usage.prompt_tokens > 100000 || answer.usage.completion_tokens > 100000)
        abort();
    cp_probe_answer_release(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct result whole = read_in_pieces(data, size, size > 0 ? size : 1);
    struct result cut = read_in_pieces(data, size, 7);

    if (whole.outcome != cut.outcome || whole.pieces != cut.pieces ||
        whole.usage.completion_tokens != cut.usage.completion_tokens ||
        whole.usage.prompt_tokens != cut.usage.prompt_tokens)
        abort();
    if (whole.usage.source == MSG_USAGE_SOURCE_PROVIDER &&
        (whole.usage.prompt_tokens > 100000 || whole.usage.completion_tokens > 100000))
        abort();
    read_embedding(data, size);
    return 0;
}
