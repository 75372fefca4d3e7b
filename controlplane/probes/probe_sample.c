/* controlplane/probes/probe_sample.c */
#include "controlplane/probes/probe_sample.h"

#include "common/arena.h"
#include "common/buf.h"
#include "common/retry_after.h"
#include "common/sketch.h"
#include "common/timefmt.h"
#include "controlplane/mail.h"
#include "controlplane/probes/fetch.h"
#include "controlplane/probes/probe_answer.h"
#include "proto/sketch.h"
#include "proto/tariff.h"

static const double usual_tokens = 256; /* as where routing knows no better */

/* --- the end ------------------------------------------------------------------------- */

/* A transfer that broke says more than the piece of an answer that came. */
static enum msg_outcome judge(const struct cp_fetch_end *end, enum msg_outcome answered,
                              bool has_content)
{
    if (end->status != 0 && end->status != 200)
        return cp_probe_outcome_of_status(end->status);
    if (end->outcome == MSG_OUTCOME_SUCCESS || answered == MSG_OUTCOME_SUCCESS)
        return answered;
    if (!has_content)
        return end->outcome;
    return end->outcome == MSG_OUTCOME_ATTEMPT_TIMEOUT ? MSG_OUTCOME_STREAM_STALLED
                                                       : MSG_OUTCOME_STREAM_CUT;
}

static void bill(struct cp_probe *probe, const struct cp_fetch_end *end,
                 const struct cp_probe_answer *answer, const struct msg_tariff *tariff)
{
    probe->usage = (struct msg_usage){.source = MSG_USAGE_SOURCE_NONE};
    probe->cost = 0;
    if (!end->was_sent || (end->status != 0 && end->status != 200))
        return;
    probe->usage = answer->usage;
    probe->cost =
        msg_bill_make_at(tariff, (int64_t)(probe->started_at / SB_USEC_PER_SEC), &probe->usage)
            .total;
}

void cp_probe_conclude(struct cp_probe *probe, const struct cp_fetch_end *end,
                       struct cp_probe_answer *answer, size_t request_bytes,
                       const struct msg_tariff *tariff)
{
    enum msg_outcome answered = cp_probe_answer_end(answer, request_bytes);
    uint64_t first = answer->first_at * 1000;

    probe->outcome = judge(end, answered, answer->has_content);
    probe->status = (uint16_t)end->status;
    probe->connect = end->connect;
    probe->took = end->took;
    probe->retry_after = end->retry_after;
    /* As workers see it, who mostly have a connection already. */
    if (answer->has_content)
        probe->first_token = first > (uint64_t)end->ready + 1 ? (uint32_t)(first - end->ready) : 1;
    probe->throughput = cp_probe_answer_throughput(answer);
    bill(probe, end, answer, tariff);
}

/* --- the sample -------------------------------------------------------------------------- */

/* One value as an encoded sketch, in arena; none when it does not work out. */
static struct sb_slice sketch_of(double value, struct sb_arena *arena)
{
    SB_CLEANUP(sb_sketch_release) struct sb_sketch sketch;
    SB_CLEANUP(sb_buf_release) struct sb_buf bytes;

    sb_sketch_init(&sketch);
    sb_buf_init(&bytes, MSG_SKETCH_MAX);
    if (sb_sketch_add(&sketch, value, 1) != SB_OK || msg_sketch_encode(&sketch, &bytes) != SB_OK)
        return SB_SLICE_NONE;
    return sb_arena_dup(arena, sb_buf_slice(&bytes));
}

/* Workers count the wait for the first token in, which would be most of a
 * probe: so it is that of an answer of the usual length at the same pace. */
static double usual_throughput(const struct cp_probe *probe)
{
    double pace = probe->throughput / 1000.0;

    return usual_tokens / (probe->first_token / 1e6 + (usual_tokens - 1) / pace);
}

/* How long a 429 asks to be left alone; one that does not say, as workers have it. */
static uint32_t rest_of(const struct cp_probe *probe)
{
    if (probe->outcome != MSG_OUTCOME_RATE_LIMITED)
        return 0;
    return probe->retry_after > 0 ? probe->retry_after : SB_RETRY_AFTER_UNSAID;
}

struct cp_samples *cp_probe_sample(const struct cp_probe *probe, int64_t second)
{
    struct cp_samples *samples = cp_samples_new(CP_SAMPLE_PROBE);
    struct msg_beat_row *row = sb_arena_alloc(samples->arena, sizeof(*row));

    *row = (struct msg_beat_row){
        .endpoint = probe->endpoint,
        .second = second,
        .attempts = 1,
        .successes = probe->outcome == MSG_OUTCOME_SUCCESS,
        .faults = msg_outcome_is_fault(probe->outcome),
        .rate_limited = probe->outcome == MSG_OUTCOME_RATE_LIMITED,
        .prompt_tokens = probe->usage.prompt_tokens,
        .completion_tokens = probe->usage.completion_tokens,
        .cost = probe->cost,
        .retry_after = rest_of(probe),
    };
    if (probe->first_token > 0)
        row->first_token = sketch_of(probe->first_token / 1000.0, samples->arena);
    if (probe->outcome == MSG_OUTCOME_SUCCESS && probe->throughput > 0)
        row->throughput = sketch_of(usual_throughput(probe), samples->arena);
    samples->rows = row;
    samples->n_rows = 1;
    return samples;
}
