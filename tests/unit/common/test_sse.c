/* tests/unit/common/test_sse.c */
#include "common/sse.h"

#include "common/err.h"
#include "common/mem.h"
#include "tests/lib/sse_run.h"
#include "tests/lib/test.h"

enum { LIMIT = 99 };

static const struct {
    const char *what, *bytes, *want; /* what tests/lib/sse_run.h writes down */
} rows[] = {
    {"one event", "data: x\n\n", "|x|data: x\n"},
    {"CRLF", "data: x\r\n\r\n", "|x|data: x\n"},
    {"CR", "data: x\r\r", "|x|data: x\n"},
    {"line ends of all kinds", "data: x\r\n\ndata: y\n\r\ndata: z\r\n\rdata: w\n\r",
     "|x|data: x\n|y|data: y\n|z|data: z\n|w|data: w\n"},
    {"two events", "data: {\"a\": 1}\n\ndata: [DONE]\n\n",
     "|{\"a\": 1}|data: {\"a\": 1}\n|[DONE]|data: [DONE]\n"},
    {"without the space", "data:x\n\n", "|x|data:x\n"},
    {"only one space is dropped", "data:  x \n\n", "| x |data:  x \n"},
    {"several data lines", "data: a\ndata: b\ndata:\ndata: c\n\n",
     "|a\nb\n\nc|data: a\ndata: b\ndata:\ndata: c\n"},
    {"empty data", "data:\n\n", "||data:\n"},
    {"a data line without a colon", "data\n\n", "||data\n"},
    {"two empty data lines", "data\ndata\n\n", "|\n|data\ndata\n"},
    {"a name", "event: error\ndata: x\n\n", "error|x|event: error\ndata: x\n"},
    {"the last name counts", "event: a\nevent: b\ndata: x\n\n",
     "b|x|event: a\nevent: b\ndata: x\n"},
    {"a name without data", "event: ping\n\n", "ping|-|event: ping\n"},
    {"a comment", ": PROCESSING\n\n", "|-#|: PROCESSING\n"},
    {"a bare colon", ":\n\n", "|-#|:\n"},
    {"a comment before data", ": c\ndata: x\n\n", "|x|: c\ndata: x\n"},
    {"id and retry are passed over", "id: 7\nretry: 10\ndata: x\n\n",
     "|x|id: 7\nretry: 10\ndata: x\n"},
    {"only an id", "id: 7\n\n", "|-|id: 7\n"},
    {"names that only begin alike", "dataset: x\ndat: y\nDATA: z\n\n",
     "|-|dataset: x\ndat: y\nDATA: z\n"},
    {"a space before the colon", "data : x\n\n", "|-|data : x\n"},
    {"empty lines between events", "\n\r\n\n\rdata: x\n\n\n\r\n\ndata: y\n\n\n",
     "|x|data: x\n|y|data: y\n"},
    {"only empty lines", "\n\r\n\r\r\n", ""},
    {"nothing", "", ""},
    {"a byte order mark",
     "\xef\xbb\xbf"
     "data: x\n\n",
     "|x|data: x\n"},
    {"a mark and nothing", "\xef\xbb\xbf", ""},
    {"half a mark", "\xef\xbb", ""},
    {"half a mark and a line",
     "\xef\xbb"
     "data: x\n\n",
     "|-|\xef\xbb"
     "data: x\n"},
    {"a mark later is none",
     "data: x\n\n\xef\xbb\xbf"
     "data: y\n\n",
     "|x|data: x\n|-|\xef\xbb\xbf"
     "data: y\n"},
    {"no empty line at the end", "data: x\n\ndata: [DONE]\n",
     "|x|data: x\nend: |[DONE]|data: [DONE]\n"},
    {"no line end at the end", "data: [DONE]", "end: |[DONE]|data: [DONE]\n"},
    {"CR at the end", "data: [DONE]\r", "end: |[DONE]|data: [DONE]\n"},
    {"as long as may be",
     "data: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
     "xxxxxxxx\n\n",
     "|xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
     "xxxxxxxx|"
     "data: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
     "xxxxxxxx\n"},
    {"too long",
     "data: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
     "xxxxxxxxx\n\n",
     "too big"},
    {"too long without an end",
     "data: y\n\n: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
     "xxxxxxxxxxxxxxxxxxxxx",
     "|y|data: y\ntoo big"},
};

static void reads_events_however_they_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(rows); i++) {
        struct sb_slice bytes = sb_slice_of(rows[i].bytes);

        for (size_t piece = bytes.n + 1; piece > 0; piece--) {
            struct sb_buf log = sse_run(bytes, piece, LIMIT);

            if (!sb_slice_is(sb_buf_slice(&log), rows[i].want))
                fail_msg("%s, in pieces of %zu:\n%.*s\nwanted:\n%s", rows[i].what, piece,
                         SB_SLICE_ARGS(sb_buf_slice(&log)), rows[i].want);
            sb_buf_release(&log);
        }
    }
}

static void whole_events_are_not_copied(void **state)
{
    struct sb_slice in = SB_SLICE_LIT("data: a\n\ndata: b\r\n\r\n: c\n\nda");
    const char *start = in.p;
    struct sb_sse_event event;
    struct sb_sse sse;

    (void)state;
    sb_mem_fail_nth(1);
    sb_sse_init(&sse, LIMIT);
    assert_int_equal(sb_sse_next(&sse, &in, &event), SB_OK);
    assert_ptr_equal(event.raw.p, start);
    assert_int_equal(event.raw.n, 9);
    assert_ptr_equal(event.data.p, start + 6);
    assert_int_equal(sb_sse_next(&sse, &in, &event), SB_OK);
    assert_ptr_equal(event.raw.p, start + 9);
    assert_int_equal(event.raw.n, 11);
    assert_int_equal(sb_sse_next(&sse, &in, &event), SB_OK);
    assert_true(event.is_comment);
    /* Only the tail has to be held. */
    assert_int_equal(sb_sse_next(&sse, &in, &event), SB_ENOMEM);
    sb_mem_fail_nth(0);
    assert_int_equal(sb_sse_next(&sse, &in, &event), SB_EAGAIN);
    assert_int_equal(sb_sse_held(&sse), 2);
    assert_int_equal(in.n, 0);
    sb_sse_release(&sse);
}

static void a_cut_event_costs_no_memory_once_it_is_over(void **state)
{
    struct sb_sse_event event;
    struct sb_slice in;
    struct sb_sse sse;
    static char big[20000];

    (void)state;
    memset(big, 'x', sizeof(big));
    sb_sse_init(&sse, 1 << 16);
    in = SB_SLICE_LIT("data: ");
    assert_int_equal(sb_sse_next(&sse, &in, &event), SB_EAGAIN);
    in = sb_slice_make(big, sizeof(big));
    assert_int_equal(sb_sse_next(&sse, &in, &event), SB_EAGAIN);
    in = SB_SLICE_LIT("\n\n");
    assert_int_equal(sb_sse_next(&sse, &in, &event), SB_OK);
    assert_int_equal(event.data.n, sizeof(big));
    assert_int_equal(sb_sse_held(&sse), 0);
    assert_int_equal(sb_sse_next(&sse, &in, &event), SB_EAGAIN);
    assert_null(sse.held.data);
    sb_sse_release(&sse);
}

static void an_error_leaves_the_result_alone(void **state)
{
    struct sb_sse_event event = {.name = SB_SLICE_LIT("mine")};
    struct sb_slice in = SB_SLICE_LIT("data: 0123456789\n\n");
    struct sb_sse sse;

    (void)state;
    sb_sse_init(&sse, 9);
    assert_int_equal(sb_sse_next(&sse, &in, &event), SB_ETOOBIG);
    assert_true(sb_slice_is(event.name, "mine"));
    sb_sse_release(&sse);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_events_however_they_are_cut),
        cmocka_unit_test(whole_events_are_not_copied),
        cmocka_unit_test(a_cut_event_costs_no_memory_once_it_is_over),
        cmocka_unit_test(an_error_leaves_the_result_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
