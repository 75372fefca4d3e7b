/* tests/sim/text.c */
#include "tests/sim/text.h"

#include <stdbool.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/check.h"
#include "common/json.h"
#include "common/mem.h"

enum {
    TOKEN_CHARS = 8,
    /* Every text that is split is smaller: a knob, or JSON made from a schema. */
    SPLIT_MAX = 64 << 20,
};

struct sim_words {
    struct sb_arena *arena;
    struct sim_text cycle;
};

int sim_text_write(const struct sim_text *text, struct sb_buf *out)
{
    int64_t left = text->count;

    while (left > 0) {
        uint32_t tokens = left < text->period ? (uint32_t)left : text->period;
        int rc = sb_buf_append(out, sb_slice_make(text->bytes, text->ends[tokens - 1]));

        if (rc != SB_OK)
            return rc;
        left -= tokens;
    }
    return SB_OK;
}

/* Length of one escaped character: an escape, or a UTF-8 sequence. */
static size_t char_length(struct sb_slice text)
{
    unsigned char c = (unsigned char)text.p[0];
    size_t n = 1;

    if (c == '\\')
        n = text.n > 1 && text.p[1] == 'u' ? 6 : 2;
    else if (c >= 0xf0)
        n = 4;
    else if (c >= 0xe0)
        n = 3;
    else if (c >= 0xc0)
        n = 2;
    return n <= text.n ? n : text.n;
}

static size_t token_length(struct sb_slice text)
{
    size_t at = 0;

    for (int chars = 0; at < text.n && chars < TOKEN_CHARS; chars++) {
        if (text.p[at] == ' ' && at > 0)
            break;
        at += char_length(sb_slice_from(text, at));
    }
    return at;
}

static struct sim_text split_escaped(struct sb_arena *arena, struct sb_slice escaped)
{
    struct sim_text text = {.bytes = escaped.p};
    uint32_t *ends;

    for (size_t at = 0; at < escaped.n; text.period++)
        at += token_length(sb_slice_from(escaped, at));
    ends = sb_arena_try(arena, (text.period + 1) * sizeof(*ends));
    SB_BUG_ON(ends == NULL);
    for (size_t at = 0, i = 0; at < escaped.n; i++) {
        at += token_length(sb_slice_from(escaped, at));
        ends[i] = (uint32_t)at;
    }
    text.ends = ends;
    text.count = text.period;
    return text;
}

struct sim_text sim_text_split(struct sb_arena *arena, struct sb_slice text)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf buf;
    struct sb_json json;
    struct sb_slice quoted;

    sb_buf_init(&buf, SPLIT_MAX);
    sb_json_init(&json, &buf);
    sb_json_put_text(&json, text);
    SB_BUG_ON(sb_json_end(&json) != SB_OK);
    quoted = sb_buf_slice(&buf);
    return split_escaped(arena, sb_arena_dup(arena, sb_slice_make(quoted.p + 1, quoted.n - 2)));
}

struct sim_text sim_text_of_size(struct sb_arena *arena, uint32_t token_bytes, int64_t count)
{
    char *bytes = sb_arena_alloc_raw(arena, token_bytes);
    uint32_t *end = sb_arena_alloc(arena, sizeof(*end));

    for (uint32_t i = 0; i + 1 < token_bytes; i++)
        bytes[i] = (char)('a' + i % 26);
    bytes[token_bytes - 1] = ' ';
    *end = token_bytes;
    return (struct sim_text){.bytes = bytes, .ends = end, .period = 1, .count = count};
}

struct sim_words *sim_words_new(struct sb_slice name)
{
    static const struct sb_slice rest = SB_SLICE_INIT(
        " here, a simulated provider. No model has thought about your question, but every byte of"
        " this answer travelled the way a real one would: through the router, from the endpoint"
        " that fits best, with its tokens counted and its price known to the last digit. Should I"
        " fail, another provider takes over before you notice.\n");
    struct sim_words *words = sb_mem_new(sizeof(*words));
    struct sb_slice text;

    words->arena = sb_arena_new(4096);
    text = sb_arena_printf(words->arena, "%.*s%.*s", SB_SLICE_ARGS(name), SB_SLICE_ARGS(rest));
    words->cycle = sim_text_split(words->arena, text);
    return words;
}

void sim_words_destroy(struct sim_words **words)
{
    if (*words == NULL)
        return;
    sb_arena_destroy(&(*words)->arena);
    sb_mem_free(*words);
    *words = NULL;
}

struct sim_text sim_words_text(const struct sim_words *words, int64_t count)
{
    struct sim_text text = words->cycle;

    text.count = count;
    return text;
}
