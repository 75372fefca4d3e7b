/* Verification of exported days, without files: what each kind of damage is
 * called, and where it is said to be.  test_retention.py has whole files. */
#include "controlplane/ctl/exported.h"

#include <inttypes.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/canon.h"
#include "common/checkpoint.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/notekey.h"
#include "controlplane/ctl/checkpoints.h"
#include "controlplane/ctl/findings.h"
#include "tests/lib/random.h"
#include "tests/lib/test.h"

#define NOON INT64_C(1790000000000000) /* of 2026-09-21 */
#define DAY  INT64_C(86400000000)

enum { LINES = 200, TEXT = 1500, FROM = 37, ENTRIES = 60, STRETCH = 20 };

/* One file: its head, entries, a checkpoint every STRETCH of them. */
static char lines[LINES][TEXT];
static size_t n_lines;
static const char *day;     /* of the head */
static int64_t received_at; /* of entries */
static struct sb_note_signer *signer, *stranger;
static struct sb_merkle_edge edge;
static struct sb_arena *arena;
static struct ctl_findings *findings;
static struct ctl_exported *exported;
static struct ctl_checkpoints outside;

static struct sb_hash leaf_of(const char *line)
{
    struct sb_hash leaf;

    sb_merkle_leaf(sb_slice_of(line), &leaf);
    return leaf;
}

static void put_note(const struct sb_note_signer *by, struct sb_json *json, const char *name)
{
    struct sb_buf note = {.limit = SB_CHECKPOINT_MAX};
    struct sb_hash root;

    sb_merkle_root(&edge, &root);
    assert_int_equal(sb_checkpoint_sign(by, edge.size, &root, &note), SB_OK);
    sb_json_add_text(json, name, sb_buf_slice(&note));
    sb_buf_release(&note);
}

static void end_line(struct sb_json *json, struct sb_buf *text)
{
    sb_json_close_object(json);
    assert_int_equal(sb_json_end(json), SB_OK);
    assert_true(sb_slice_copy_text(sb_buf_slice(text), lines[n_lines++], TEXT));
    sb_buf_release(text);
}

static void add_checkpoint(const struct sb_note_signer *by)
{
    struct sb_buf text = {.limit = TEXT};
    struct sb_json json;

    sb_json_init(&json, &text);
    sb_json_open_object(&json);
    put_note(by, &json, "checkpoint");
    end_line(&json, &text);
}

static void add_head(uint64_t to)
{
    struct sb_buf text = {.limit = TEXT};
    char hex[2 * SB_SHA256_BYTES + 2];
    struct sb_json json;

    sb_json_init(&json, &text);
    sb_json_open_object(&json);
    sb_json_add_text(&json, "format", SB_SLICE_LIT("switchboard-export-1"));
    sb_json_add_text(&json, "day", sb_slice_of(day));
    sb_json_add_u64(&json, "from", edge.size);
    sb_json_add_u64(&json, "to", to);
    sb_json_add_array(&json, "edge");
    for (unsigned i = 0; i < edge.n; i++)
        sb_json_put_raw(
            &json, sb_slice_make(hex, (size_t)(sb_canon_hex(hex, sb_slice_make(edge.nodes[i].bytes,
                                                                               SB_SHA256_BYTES)) -
                                               hex)));
    sb_json_close_array(&json);
    if (edge.size > 0)
        put_note(signer, &json, "start");
    end_line(&json, &text);
}

static void add_entry(uint64_t i)
{
    struct sb_hash leaf;

    (void)snprintf(lines[n_lines], TEXT,
                   "{\"boot_id\":7,\"generation\":\"gen-%" PRIu64
                   "\",\"kind\":\"request\",\"received_at\":%" PRId64 ",\"sequence\":%" PRIu64
                   ",\"worker_id\":\"w\"}",
                   i, received_at, i + 1);
    leaf = leaf_of(lines[n_lines++]);
    sb_merkle_append(&edge, &leaf, NULL);
}

static int set_up(void **state)
{
    (void)state;
    arena = sb_arena_new(4096);
    findings = sb_arena_alloc(arena, sizeof(*findings));
    findings->arena = arena;
    n_lines = 0;
    day = "2026-09-21";
    received_at = NOON;
    edge = (struct sb_merkle_edge){.size = 0};
    for (uint64_t i = 0; i < FROM; i++) {
        struct sb_hash leaf = leaf_of("before");

        sb_merkle_append(&edge, &leaf, NULL);
    }
    add_head(FROM + ENTRIES);
    for (uint64_t i = 0; i < ENTRIES; i++) {
        add_entry(i);
        if ((i + 1) % STRETCH == 0)
            add_checkpoint(signer);
    }
    outside = (struct ctl_checkpoints){.list = NULL};
    exported = ctl_exported_new(sb_note_signer_key(signer), &outside, findings);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ctl_exported_destroy(&exported);
    sb_arena_destroy(&arena);
    return 0;
}

/* The lines as a file, in pieces of every size; the code that ended it. */
static int feed(const char *name)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf text = {.limit = LINES * TEXT};
    uint64_t seed = 3;
    int rc = SB_OK;
    char *piece;

    for (size_t i = 0; i < n_lines; i++)
        assert_int_equal(sb_buf_printf(&text, "%s\n", lines[i]), SB_OK);
    ctl_exported_begin(exported, name);
    while (rc == SB_OK && sb_buf_len(&text) > 0) {
        size_t n = 1 + random_below(&seed, 300);

        n = n < sb_buf_len(&text) ? n : sb_buf_len(&text);
        piece = sb_mem_new(n); /* of its own, so that nobody reads behind it */
        memcpy(piece, sb_buf_slice(&text).p, n);
        rc = ctl_exported_feed(exported, sb_slice_make(piece, n));
        sb_mem_free(piece);
        sb_buf_consume(&text, n);
    }
    ctl_exported_end(exported);
    return rc;
}

static void verify(void)
{
    (void)(feed("day") == SB_OK);
    ctl_exported_close(exported);
}

/* The first finding, and no other of its kind. */
static void found(enum ctl_finding_kind kind, const char *words)
{
    assert_true(findings->n > 0);
    if (findings->list[0].kind != kind || strstr(findings->list[0].text, words) == NULL)
        fail_msg("%s: %s", ctl_finding_name(findings->list[0].kind), findings->list[0].text);
}

static void remove_line(size_t at)
{
    memmove(lines[at], lines[at + 1], (LINES - at - 1) * TEXT);
    n_lines--;
}

static void a_whole_day_is_fine(void **state)
{
    struct ctl_verified result;
    uint64_t from;

    (void)state;
    verify();
    result = ctl_exported_result(exported, &from);
    assert_int_equal(findings->total, 0);
    assert_int_equal(from, FROM);
    assert_int_equal(result.entries, ENTRIES);
    assert_int_equal(result.proved, FROM + ENTRIES);
    assert_int_equal(result.next, FROM + ENTRIES);
    assert_int_equal(result.checkpoints, ENTRIES / STRETCH);
}

static void a_change_is_named_between_checkpoints(void **state)
{
    (void)state;
    lines[30][2] = 'B';
    verify();
    found(CTL_FINDING_CHANGED, "day lines 23 to 43: an entry from 57 to 76 was changed");
    assert_int_equal(findings->list[0].from, FROM + STRETCH);
    assert_int_equal(findings->list[0].to, FROM + 2 * STRETCH - 1);
}

static void a_missing_line_is_named_by_place_and_number(void **state)
{
    (void)state;
    remove_line(30);
    verify();
    found(CTL_FINDING_MISSING, "day lines 23 to 42: 1 line missing between entries 57 and 76");
    /* Its worker's numbers say which one it was. */
    assert_int_equal(findings->list[1].kind, CTL_FINDING_GAP);
}

static void a_stretch_without_its_checkpoint_is_still_proven_by_the_next(void **state)
{
    (void)state;
    remove_line(1 + STRETCH);
    verify();
    assert_int_equal(findings->total, 0);
}

static void signatures_of_others_prove_nothing(void **state)
{
    (void)state;
    n_lines--;
    add_checkpoint(stranger);
    verify();
    found(CTL_FINDING_OTHER_KEY, "day line 64: the checkpoint is not signed by this key");
    assert_int_equal(findings->list[1].kind, CTL_FINDING_SHORTER);
}

static void checkpoints_kept_elsewhere_count_as_well(void **state)
{
    struct ctl_signed other = {.size = FROM + 10};

    (void)state;
    outside = (struct ctl_checkpoints){.list = &other, .n = 1};
    verify();
    found(CTL_FINDING_REWRITTEN, "not the log whose checkpoint was kept outside");
}

static void days_have_to_continue_each_other(void **state)
{
    (void)state;
    assert_int_equal(feed("first"), SB_OK);
    n_lines = 0;
    day = "2026-09-22";
    received_at += DAY;
    add_head(FROM + ENTRIES + 1);
    add_entry(ENTRIES);
    add_checkpoint(signer);
    assert_int_equal(feed("second"), SB_OK);
    assert_int_equal(findings->total, 0);
    /* One is left out. */
    add_entry(ENTRIES + 1);
    n_lines = 0;
    day = "2026-09-24";
    received_at += 2 * DAY;
    add_head(FROM + ENTRIES + 3);
    add_entry(ENTRIES + 2);
    add_checkpoint(signer);
    assert_int_equal(feed("fourth"), SB_OK);
    found(CTL_FINDING_MISSING, "entries 98 to 98 are in none of these files: fourth begins");
    /* And one has another past. */
    ctl_exported_begin(exported, "other");
    findings->n = 0;
    n_lines = 0;
    edge.nodes[0].bytes[0] ^= 1;
    day = "2026-09-25";
    received_at += DAY;
    add_head(edge.size + 1);
    add_entry(ENTRIES + 3);
    add_checkpoint(signer);
    assert_int_equal(feed("other"), SB_OK);
    found(CTL_FINDING_CONTRADICTION, "other does not continue the file before it");
    ctl_exported_close(exported);
}

/* The same entries under another label. */
static void relabel(const char *other)
{
    char *at = strstr(lines[0], "2026-09-21");

    assert_non_null(at);
    memcpy(at, other, strlen(other));
}

static void entries_of_another_day_are_named(void **state)
{
    (void)state;
    relabel("2026-09-20");
    verify();
    assert_int_equal(findings->total, 1);
    found(CTL_FINDING_OTHER_DAY, "is not proven to be of 2026-09-20: none of its entries is");
}

static void a_later_label_is_no_better(void **state)
{
    (void)state;
    relabel("2026-09-22");
    verify();
    assert_int_equal(findings->total, 1);
    found(CTL_FINDING_OTHER_DAY, "is not proven to be of 2026-09-22");
    assert_int_equal(ctl_exported_result(exported, &(uint64_t){0}).late, ENTRIES);
}

/* A file that goes on after its day, though some of it is of the day; what is late is
 * counted, and a clock may be a little ahead. */
static void records_from_after_the_day_are_named(void **state)
{
    const int64_t times[] = {NOON - DAY, NOON, NOON + DAY / 2 - 3 * 3600 * INT64_C(1000000),
                             NOON + DAY, NOON + DAY + 1};

    (void)state;
    assert_int_equal(feed("first"), SB_OK);
    n_lines = 0;
    day = "2026-09-22";
    add_head(edge.size + SB_ARRAY_LEN(times));
    for (size_t i = 0; i < SB_ARRAY_LEN(times); i++) {
        received_at = times[i] + DAY;
        add_entry(ENTRIES + i);
    }
    add_checkpoint(signer);
    assert_int_equal(feed("second"), SB_OK);
    ctl_exported_close(exported);
    assert_int_equal(findings->total, 1);
    found(CTL_FINDING_OTHER_DAY, "second says that it is of 2026-09-22, but 2 of the entries");
    assert_int_equal(findings->list[0].from, FROM + ENTRIES + 3);
    assert_int_equal(findings->list[0].to, FROM + ENTRIES + 4);
    assert_int_equal(ctl_exported_result(exported, &(uint64_t){0}).late, 1);
}

static void names_and_days_have_to_agree(void **state)
{
    (void)state;
    assert_int_equal(feed("/kept/2026-09-22.ndjson.zst"), SB_OK);
    assert_int_equal(findings->total, 1);
    found(CTL_FINDING_OTHER_DAY, "its name says another day");
    findings->n = findings->total = 0;
    n_lines = 0;
    add_head(FROM + ENTRIES + 1);
    add_entry(ENTRIES);
    add_checkpoint(signer);
    assert_int_equal(feed("2026-09-21.ndjson.zst"), SB_OK);
    ctl_exported_close(exported);
    assert_int_equal(findings->total, 1);
    found(CTL_FINDING_OTHER_DAY, "its day does not come behind that of the file before");
}

static void a_head_that_is_none_ends_the_file(void **state)
{
    static const char *const heads[] = {
        "",
        "{}",
        "[]",
        "{\"format\":\"switchboard-export-2\"}",
        "{\"format\":\"switchboard-export-1\",\"from\":0,\"to\":0,\"edge\":[]}",
        "{\"format\":\"switchboard-export-1\",\"from\":1,\"to\":2,\"edge\":[]}",
        "{\"format\":\"switchboard-export-1\",\"from\":1,\"to\":2,\"edge\":[\"00\"]}",
        "{\"format\":\"switchboard-export-1\",\"from\":0,\"to\":-1,\"edge\":[]}",
        "{\"format\":\"switchboard-export-1\",\"from\":0,\"to\":1,\"edge\":[]}",
        "{\"format\":\"switchboard-export-1\",\"day\":\"soon\",\"from\":0,\"to\":1,\"edge\":[]}"};

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(heads); i++) {
        (void)snprintf(lines[0], TEXT, "%s", heads[i]);
        findings->n = 0;
        assert_int_equal(feed("day"), SB_EPARSE);
        found(CTL_FINDING_BROKEN, "day line 1: ");
    }
    ctl_exported_close(exported);
}

static int group_start(void **state)
{
    (void)state;
    return sb_note_signer_new(SB_SLICE_LIT("example.com/log"), &signer, NULL) == SB_OK &&
                   sb_note_signer_new(SB_SLICE_LIT("example.com/log"), &stranger, NULL) == SB_OK
               ? 0
               : -1;
}

static int group_stop(void **state)
{
    (void)state;
    sb_note_signer_destroy(&signer);
    sb_note_signer_destroy(&stranger);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_whole_day_is_fine),
        TEST(a_change_is_named_between_checkpoints),
        TEST(a_missing_line_is_named_by_place_and_number),
        TEST(a_stretch_without_its_checkpoint_is_still_proven_by_the_next),
        TEST(signatures_of_others_prove_nothing),
        TEST(checkpoints_kept_elsewhere_count_as_well),
        TEST(days_have_to_continue_each_other),
        TEST(entries_of_another_day_are_named),
        TEST(a_later_label_is_no_better),
        TEST(records_from_after_the_day_are_named),
        TEST(names_and_days_have_to_agree),
        TEST(a_head_that_is_none_ends_the_file),
    };

    return cmocka_run_group_tests(tests, group_start, group_stop);
}
