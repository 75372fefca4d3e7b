/* tests/lib/sse_run.h - feeds bytes to the SSE reader in pieces and writes
 * down every event, so that two ways of cutting can be compared.  Each piece
 * lies in a block of its own size. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/sse.h"

static void sse_run_note(struct sb_buf *log, struct sb_slice text)
{
    if (sb_buf_append(log, text) != SB_OK)
        abort();
}

/* "name|data|raw\n"; '-' stands for no data, '#' for a comment.  Line ends
 * behind raw are left out: how much of them belongs to it depends on the cut. */
static void sse_run_event(struct sb_buf *log, const struct sb_sse_event *event)
{
    struct sb_slice raw = event->raw;

    while (raw.n > 0 && (raw.p[raw.n - 1] == '\n' || raw.p[raw.n - 1] == '\r'))
        raw.n--;
    if (raw.n == event->raw.n)
        abort(); /* every event ends in a line end */
    sse_run_note(log, event->name);
    sse_run_note(log, SB_SLICE_LIT("|"));
    sse_run_note(log, event->has_data ? event->data : SB_SLICE_LIT("-"));
    sse_run_note(log, event->is_comment ? SB_SLICE_LIT("#|") : SB_SLICE_LIT("|"));
    sse_run_note(log, raw);
    sse_run_note(log, SB_SLICE_LIT("\n"));
}

/* Gives the log, which the caller releases. */
static struct sb_buf sse_run(struct sb_slice bytes, size_t piece, size_t limit)
{
    struct sb_sse_event event;
    struct sb_buf log;
    struct sb_sse sse;
    int rc = SB_EAGAIN;

    sb_buf_init(&log, 1 << 24);
    sb_sse_init(&sse, limit);
    for (size_t at = 0; at < bytes.n && rc == SB_EAGAIN; at += piece) {
        size_t n = bytes.n - at < piece ? bytes.n - at : piece;
        char *block = malloc(n);
        struct sb_slice in = sb_slice_make(block, n);

        if (block == NULL)
            abort();
        memcpy(block, bytes.p + at, n);
        while ((rc = sb_sse_next(&sse, &in, &event)) == SB_OK)
            sse_run_event(&log, &event);
        if (rc == SB_EAGAIN && in.n > 0)
            abort();
        free(block);
        if (piece > bytes.n)
            break;
    }
    if (rc == SB_EAGAIN) {
        rc = sb_sse_finish(&sse, &event);
        if (rc == SB_OK) {
            sse_run_note(&log, SB_SLICE_LIT("end: "));
            sse_run_event(&log, &event);
        }
    }
    if (rc == SB_ETOOBIG)
        sse_run_note(&log, SB_SLICE_LIT("too big"));
    sb_sse_release(&sse);
    return log;
}
