/* dataplane/dialect/openai_repeat.h - chunks that differ in their text alone.
 *
 * Nearly all chunks of a stream are the same but for the content of their only
 * choice.  What one of them was and what became of it is kept, split at that
 * content; the next one that begins and ends with the same bytes has been read
 * and written before: only what lies between is looked at.  A chunk that is
 * different in anything, be it a blank, is read in full.
 *
 *      {"id":"a","choices":[{"index":0,"delta":{"content":"  Hello  "},"finish_reason":null}]}
 *      \___________________ head _________________________/      \________ tail ________/
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/slice.h"

struct sb_arena;
struct sb_buf;

/* All lengths 0: knows nothing yet. */
struct dp_openai_repeat {
    uint16_t in_head, in_tail, out_head, out_tail; /* bytes, in this order */
    char bytes[2040];
};

/* Keeps a chunk.  text: its data; content: the inside of the string in it that
 * is its only content; written: what went to the client.  Keeps nothing when
 * they are too long, or when it is not plain where the content is in written.
 * *repeat is made in the arena at the first call. */
void dp_openai_repeat_keep(struct dp_openai_repeat **repeat, struct sb_arena *arena,
                           struct sb_slice text, struct sb_slice content, struct sb_slice written);
/* Whether text is that chunk with another, sound content; gives its inside.
 * repeat may be NULL. */
bool dp_openai_repeat_is(const struct dp_openai_repeat *repeat, struct sb_slice text,
                         struct sb_slice *ret_content);
/* Appends what goes to the client for it.  Errors as sb_buf_reserve(). */
int dp_openai_repeat_write(const struct dp_openai_repeat *repeat, struct sb_slice content,
                           struct sb_buf *out);
