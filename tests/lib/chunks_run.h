/* tests/lib/chunks_run.h - the chunks of a stream through the openai dialect,
 * twice: once as a worker reads them, once by a reader that forgets every chunk
 * and so reads each in full.  Both must come to the same. */
#pragma once

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"
#include "dataplane/dialect.h"

struct chunks_run {
    struct sb_arena *arena;
    struct dp_incoming in[2]; /* [1] forgets */
    struct sb_buf out[2];
};

static inline void chunks_run_init(struct chunks_run *run)
{
    run->arena = sb_arena_new(8192);
    for (int i = 0; i < 2; i++) {
        run->in[i] = (struct dp_incoming){.api = MSG_API_CHAT,
                                          .n = 1,
                                          .id_json = SB_SLICE_LIT("\"gen-1\""),
                                          .model_json = SB_SLICE_LIT("\"a/b\""),
                                          .provider_json = SB_SLICE_LIT("\"Acme\""),
                                          .created = 7,
                                          .arena = run->arena};
        sb_buf_init(&run->out[i], 1 << 24);
    }
}

static inline void chunks_run_release(struct chunks_run *run)
{
    for (int i = 0; i < 2; i++)
        sb_buf_release(&run->out[i]);
    sb_arena_destroy(&run->arena);
}

/* What both came to differs in this; NULL when it does not. */
static inline const char *chunks_run_feed(struct chunks_run *run, struct sb_slice data)
{
    const struct sb_sse_event event = {.data = data, .has_data = true};
    const struct dp_incoming *a = &run->in[0], *b = &run->in[1];
    int rc[2];

    run->in[1].repeat = NULL;
    for (int i = 0; i < 2; i++)
        rc[i] = dp_dialect_openai.on_event(&run->in[i], &event, &run->out[i]);
    if (rc[0] != rc[1])
        return "the code";
    if (!sb_slice_eq(sb_buf_slice(&run->out[0]), sb_buf_slice(&run->out[1])))
        return "what the client gets";
    if (a->has_content != b->has_content || a->content_bytes != b->content_bytes)
        return "the content";
    if (a->finished != b->finished || !sb_slice_eq(a->finish_reason, b->finish_reason) ||
        a->is_told != b->is_told || a->is_done != b->is_done)
        return "the end";
    if (a->has_error != b->has_error || a->bad_events != b->bad_events ||
        a->usage.completion_tokens != b->usage.completion_tokens)
        return "errors or usage";
    return NULL;
}
