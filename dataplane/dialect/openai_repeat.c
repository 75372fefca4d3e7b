/* dataplane/dialect/openai_repeat.c */
#define _GNU_SOURCE /* memmem */
#include "dataplane/dialect/openai_repeat.h"

#include <string.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/splice.h"

/* The place of the content in written, with its quotes, if it is there once. */
static const char *only_place(struct sb_slice written, struct sb_slice content)
{
    struct sb_slice quoted = sb_slice_make(content.p - 1, content.n + 2);
    const char *first = memmem(written.p, written.n, quoted.p, quoted.n);
    const char *rest = first != NULL ? first + 1 : written.p;

    if (first == NULL ||
        memmem(rest, written.n - (size_t)(rest - written.p), quoted.p, quoted.n) != NULL)
        return NULL;
    return first + 1;
}

void dp_openai_repeat_keep(struct dp_openai_repeat **repeat, struct sb_arena *arena,
                           struct sb_slice text, struct sb_slice content, struct sb_slice written)
{
    size_t in_head = (size_t)(content.p - text.p), in_tail = text.n - in_head - content.n;
    const char *place = only_place(written, content);
    size_t out_head, out_tail;
    char *p;

    if (*repeat != NULL)
        **repeat = (struct dp_openai_repeat){.in_head = 0};
    if (place == NULL)
        return;
    out_head = (size_t)(place - written.p);
    out_tail = written.n - out_head - content.n;
    if (in_head + in_tail + out_head + out_tail > sizeof((*repeat)->bytes))
        return;
    if (*repeat == NULL)
        *repeat = sb_arena_alloc_raw(arena, sizeof(**repeat));
    (*repeat)->in_head = (uint16_t)in_head;
    (*repeat)->in_tail = (uint16_t)in_tail;
    (*repeat)->out_head = (uint16_t)out_head;
    (*repeat)->out_tail = (uint16_t)out_tail;
    p = mempcpy((*repeat)->bytes, text.p, in_head);
    p = mempcpy(p, content.p + content.n, in_tail);
    p = mempcpy(p, written.p, out_head);
    memcpy(p, place + content.n, out_tail);
}

bool dp_openai_repeat_is(const struct dp_openai_repeat *repeat, struct sb_slice text,
                         struct sb_slice *ret_content)
{
    struct sb_slice content;

    if (repeat == NULL || repeat->in_head == 0 ||
        text.n < (size_t)repeat->in_head + repeat->in_tail)
        return false;
    content = sb_slice_make(text.p + repeat->in_head, text.n - repeat->in_head - repeat->in_tail);
    if (memcmp(text.p, repeat->bytes, repeat->in_head) != 0 ||
        memcmp(content.p + content.n, repeat->bytes + repeat->in_head, repeat->in_tail) != 0 ||
        !sb_splice_is_inside(content))
        return false;
    *ret_content = content;
    return true;
}

int dp_openai_repeat_write(const struct dp_openai_repeat *repeat, struct sb_slice content,
                           struct sb_buf *out)
{
    const char *head = repeat->bytes + repeat->in_head + repeat->in_tail;
    size_t n = repeat->out_head + content.n + repeat->out_tail;
    int rc = sb_buf_reserve(out, n);
    char *p;

    if (rc != SB_OK)
        return rc;
    p = mempcpy(sb_buf_end(out), head, repeat->out_head);
    p = mempcpy(p, content.p, content.n);
    memcpy(p, head + repeat->out_head, repeat->out_tail);
    sb_buf_commit(out, n);
    return SB_OK;
}
