/* tests/bench/splice_bench.c - what the pass over a body costs.
 *
 * Prints microseconds for bodies of 2, 20 and 200 KB, ASCII text, text with
 * many escapes and text beyond ASCII, and for one event of a stream: the scan,
 * the scan that gathers what routing needs of the messages, scan with four
 * edits and emission, and yyjson's read of the same bytes for comparison.  Best of many rounds. Not
 * a test. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/json.h"
#include "common/splice.h"
#include "dataplane/route/content.h"

static const struct {
    const char *name, *text;
} texts[] = {
    {"ASCII",
     "The quick brown fox jumps over the lazy dog, and nobody minds; it was a long day for all. "},
    {"escapes", "if (x) {\\n\\tprintf(\\\"%d\\\", x);\\n}\\n"},
    {"UTF-8", "\xd0\xa1\xd1\x8a\xd0\xb5\xd1\x88\xd1\x8c \xd0\xb5\xd1\x89\xd1\x91, "
              "\xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x98\x80 "},
};

static void add(struct sb_buf *buf, const char *text)
{
    if (sb_buf_append_text(buf, text) != SB_OK)
        abort();
}

/* A chat request of about that size, in messages of up to 600 bytes. */
static void make_body(struct sb_buf *buf, size_t size, const char *text)
{
    add(buf,
        "{\"model\":\"acme/large\",\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"}");
    while (sb_buf_len(buf) + 200 < size) {
        size_t stop = sb_buf_len(buf) + 600 < size ? sb_buf_len(buf) + 600 : size - 150;

        add(buf, ",{\"role\":\"user\",\"content\":\"");
        while (sb_buf_len(buf) < stop)
            add(buf, text);
        add(buf, "\"}");
    }
    add(buf, "],\"temperature\":0.7,\"max_tokens\":512,\"stream\":true,\"user\":\"u-1\","
             "\"provider\":{\"order\":[\"a\",\"b\"],\"zdr\":true}}");
}

static double now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void scan_only(struct sb_slice body, struct sb_buf *out)
{
    struct sb_splice_member members[SB_SPLICE_MEMBERS];
    struct sb_splice doc;

    (void)out;
    sb_splice_init(&doc, members, SB_SPLICE_MEMBERS);
    if (sb_splice_scan(&doc, body, SB_SPLICE_DEPTH, NULL) != SB_OK)
        abort();
}

static void scan_and_gather(struct sb_slice body, struct sb_buf *out)
{
    struct sb_splice_member members[SB_SPLICE_MEMBERS];
    struct dp_content content;
    struct sb_splice doc;

    (void)out;
    sb_splice_init(&doc, members, SB_SPLICE_MEMBERS);
    dp_content_init(&content, MSG_API_CHAT);
    if (sb_splice_visit(&doc, body, SB_SPLICE_DEPTH, &content.visitor, NULL) != SB_OK)
        abort();
}

static void scan_and_edit(struct sb_slice body, struct sb_buf *out)
{
    struct sb_splice_member members[SB_SPLICE_MEMBERS];
    struct sb_splice_edit items[8];
    struct sb_splice_edits edits;
    const struct sb_splice_member *member;
    struct sb_splice doc;
    int rc;

    sb_splice_init(&doc, members, SB_SPLICE_MEMBERS);
    rc = sb_splice_scan(&doc, body, SB_SPLICE_DEPTH, NULL);
    sb_splice_edits_init(&edits, &doc, items, 8);
    member = sb_splice_find(&doc, SB_SLICE_LIT("model"));
    rc |= sb_splice_replace(&edits, member, SB_SLICE_LIT("\"meta-llama/llama-3-70b\""));
    member = sb_splice_find(&doc, SB_SLICE_LIT("provider"));
    if (member != NULL)
        rc |= sb_splice_cut(&edits, member);
    member = sb_splice_find(&doc, SB_SLICE_LIT("id"));
    if (member != NULL)
        rc |= sb_splice_replace(&edits, member, SB_SLICE_LIT("\"gen-0123456789abcdef\""));
    rc |= sb_splice_append(&edits, SB_SLICE_LIT("stream_options"),
                           SB_SLICE_LIT("{\"include_usage\":true}"));
    sb_buf_reset(out);
    rc |= sb_splice_emit(&edits, out);
    if (rc != SB_OK)
        abort();
}

static void read_by_yyjson(struct sb_slice body, struct sb_buf *out)
{
    yyjson_doc *doc = yyjson_read(body.p, body.n, 0);

    (void)out;
    if (doc == NULL)
        abort();
    yyjson_doc_free(doc);
}

static double best_of(void (*job)(struct sb_slice, struct sb_buf *), struct sb_slice body)
{
    unsigned calls = body.n > 50000 ? 20 : body.n > 5000 ? 200 : 2000;
    double best = 1e9;
    struct sb_buf out;

    sb_buf_init(&out, 1 << 20);
    for (int round = 0; round < 60; round++) {
        double start = now_us(), took;

        for (unsigned i = 0; i < calls; i++)
            job(body, &out);
        took = (now_us() - start) / calls;
        best = took < best ? took : best;
    }
    sb_buf_release(&out);
    return best;
}

static void report(const char *what, struct sb_slice body)
{
    (void)printf("%-16s %8zu %10.3f %10.3f %10.3f %10.3f\n", what, body.n, best_of(scan_only, body),
                 best_of(scan_and_gather, body), best_of(scan_and_edit, body),
                 best_of(read_by_yyjson, body));
}

int main(void)
{
    static const size_t sizes[] = {2000, 20000, 200000};

    (void)printf("%-16s %8s %10s %10s %10s %10s   us, best of 60 rounds\n", "text", "bytes", "scan",
                 "and gather", "and edit", "yyjson");
    for (size_t t = 0; t < SB_ARRAY_LEN(texts); t++) {
        for (size_t i = 0; i < SB_ARRAY_LEN(sizes); i++) {
            SB_CLEANUP(sb_buf_release) struct sb_buf body;

            sb_buf_init(&body, 1 << 20);
            make_body(&body, sizes[i], texts[t].text);
            report(texts[t].name, sb_buf_slice(&body));
        }
    }
    report("event", SB_SLICE_LIT("{\"id\":\"chatcmpl-9xYz\",\"object\":\"chat.completion.chunk\","
                                 "\"created\":1754000000,\"model\":\"gpt-4o\",\"choices\":[{"
                                 "\"index\":0,\"delta\":{\"content\":\" token\"},"
                                 "\"finish_reason\":null}]}"));
    return EXIT_SUCCESS;
}
