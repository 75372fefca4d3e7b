/* tests/sim/text.h - what the simulated models say, token by token.
 *
 * A text is kept escaped for a JSON string, with the end of each token, so
 * that a stream and a whole answer both only copy.  It may be a cycle: the
 * answer of a million tokens is the same few words again and again.
 */
#pragma once

#include <stdint.h>

#include "common/attr.h"
#include "common/slice.h"

struct sb_arena;
struct sb_buf;

struct sim_text {
    const char *bytes;    /* escaped; borrowed from an arena or from a sim_words */
    const uint32_t *ends; /* offset past each token of the cycle */
    uint32_t period;      /* tokens of the cycle */
    int64_t count;        /* tokens of the text; may be less or more than a cycle */
};

/* Token i of count, escaped. */
static inline struct sb_slice sim_text_token(const struct sim_text *text, int64_t i)
{
    uint32_t at = (uint32_t)(i % text->period);
    uint32_t from = at > 0 ? text->ends[at - 1] : 0;

    return sb_slice_make(text->bytes + from, text->ends[at] - from);
}

/* Appends all tokens, without quotes; errors as sb_buf_append(). */
int sim_text_write(const struct sim_text *text, struct sb_buf *out) SB_MUSTCHECK;

/* Cuts a text into tokens: at most some characters each, a space belongs to the
 * word behind it.  Copies into the arena.  Bytes that are not UTF-8 become
 * U+FFFD. */
struct sim_text sim_text_split(struct sb_arena *arena, struct sb_slice text);
/* count equal tokens of so many bytes. */
struct sim_text sim_text_of_size(struct sb_arena *arena, uint32_t token_bytes, int64_t count);

/* The words of one provider, which begin with its name. */
struct sim_words;
struct sim_words *sim_words_new(struct sb_slice name);
void sim_words_destroy(struct sim_words **words);
/* Borrows words. */
struct sim_text sim_words_text(const struct sim_words *words, int64_t count);
