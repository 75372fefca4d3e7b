/* Verification of a log, without a server: what each kind of damage is called,
 * and where it is said to be. */
#include "controlplane/ctl/verify.h"

#include <inttypes.h>

#include "common/arena.h"
#include "common/buf.h"
#include "controlplane/ctl/findings.h"
#include "tests/lib/random.h"
#include "tests/lib/test.h"

enum { ENTRIES = 100 };

struct line {
    bool is_gone, has_no_hash;
    const char *unfit; /* or NULL */
    char entry[400];
    struct sb_hash hash; /* as stored */
    uint64_t leaf;
};

static struct line lines[ENTRIES + 10];
static size_t n_lines;
static struct ctl_signed checkpoints[8];
static size_t n_checkpoints;
static struct ctl_findings *findings;
static struct sb_arena *arena;
static struct ctl_verified result;

static void make_entry(size_t i, const char *text)
{
    (void)snprintf(lines[i].entry, sizeof(lines[i].entry),
                   "{\"boot_id\":7,\"generation\":\"%s-%zu\",\"kind\":\"request\",\"received_at\":"
                   "1790000000000000,\"sequence\":%zu,\"worker_id\":\"w\"}",
                   text, i, i + 1);
    sb_merkle_leaf(sb_slice_of(lines[i].entry), &lines[i].hash);
}

/* The tree of the first so many hashes as they are stored. */
static struct sb_hash root_of(size_t size)
{
    struct sb_merkle_edge edge = {.size = 0};
    struct sb_hash root;

    for (size_t i = 0; i < size; i++)
        sb_merkle_append(&edge, &lines[i].hash, NULL);
    sb_merkle_root(&edge, &root);
    return root;
}

static int set_up(void **state)
{
    (void)state;
    arena = sb_arena_new(4096);
    findings = sb_arena_alloc(arena, sizeof(*findings));
    findings->arena = arena;
    n_lines = ENTRIES;
    memset(lines, 0, sizeof(lines));
    for (size_t i = 0; i < ENTRIES; i++) {
        lines[i].leaf = i;
        make_entry(i, "gen");
    }
    n_checkpoints = 0;
    for (size_t size = 25; size <= ENTRIES; size += 25)
        checkpoints[n_checkpoints++] = (struct ctl_signed){.size = size, .root = root_of(size)};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sb_arena_destroy(&arena);
    return 0;
}

static void put_line(struct sb_buf *out, const struct line *line)
{
    assert_int_equal(sb_buf_printf(out, "{\"leaf\":%" PRIu64, line->leaf), SB_OK);
    if (!line->has_no_hash) {
        assert_int_equal(sb_buf_append_text(out, ",\"hash\":\""), SB_OK);
        for (size_t i = 0; i < sizeof(line->hash.bytes); i++)
            assert_int_equal(sb_buf_printf(out, "%02x", line->hash.bytes[i]), SB_OK);
        assert_int_equal(sb_buf_append_text(out, "\""), SB_OK);
    }
    if (line->unfit != NULL)
        assert_int_equal(sb_buf_printf(out, ",\"unfit\":\"%s\"", line->unfit), SB_OK);
    if (!line->is_gone)
        assert_int_equal(sb_buf_printf(out, ",\"entry\":%s", line->entry), SB_OK);
    assert_int_equal(sb_buf_append_text(out, "}\n"), SB_OK);
}

/* Feeds the lines from one on, in pieces of every size, and some text behind. */
static int verify_from(const struct sb_merkle_edge *start, const char *behind)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf text = {.data = NULL};
    struct ctl_verify *verify = ctl_verify_new(start, checkpoints, n_checkpoints, findings);
    uint64_t seed = 3;
    int rc = SB_OK;

    sb_buf_init(&text, 1 << 20);
    for (size_t i = start->size; i < n_lines; i++)
        put_line(&text, &lines[i]);
    assert_int_equal(sb_buf_append_text(&text, behind), SB_OK);
    while (rc == SB_OK && sb_buf_len(&text) > 0) {
        size_t n = 1 + random_below(&seed, 300);

        n = n < sb_buf_len(&text) ? n : sb_buf_len(&text);
        rc = ctl_verify_feed(verify, sb_slice_make(sb_buf_slice(&text).p, n));
        sb_buf_consume(&text, n);
    }
    ctl_verify_end(verify, UINT64_MAX);
    result = ctl_verify_result(verify);
    ctl_verify_destroy(&verify);
    return rc;
}

static void verify_all(void)
{
    const struct sb_merkle_edge start = {.size = 0};

    assert_int_equal(verify_from(&start, ""), SB_OK);
}

static void expect(size_t at, enum ctl_finding_kind kind, uint64_t from, uint64_t to)
{
    assert_true(at < findings->n);
    if (findings->list[at].kind != kind || findings->list[at].from != from ||
        findings->list[at].to != to)
        fail_msg("%s %d to %d: %s", ctl_finding_name(findings->list[at].kind),
                 (int)findings->list[at].from, (int)findings->list[at].to, findings->list[at].text);
}

static void a_whole_log_has_no_findings(void **state)
{
    (void)state;
    verify_all();
    assert_int_equal(findings->total, 0);
    assert_int_equal(result.entries, ENTRIES);
    assert_int_equal(result.next, ENTRIES);
    assert_int_equal(result.proved, ENTRIES);
    assert_int_equal(result.checkpoints, 4);
}

static void it_may_begin_at_any_checkpoint(void **state)
{
    struct sb_merkle_edge start = {.size = 0};

    (void)state;
    for (size_t i = 0; i < 50; i++)
        sb_merkle_append(&start, &lines[i].hash, NULL);
    checkpoints[0] = checkpoints[2];
    checkpoints[1] = checkpoints[3];
    n_checkpoints = 2;
    assert_int_equal(verify_from(&start, ""), SB_OK);
    assert_int_equal(findings->total, 0);
    assert_int_equal(result.entries, 50);
    assert_int_equal(result.checkpoints, 2);
}

static void every_single_change_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < ENTRIES; i++) {
        struct sb_hash stored = lines[i].hash;

        findings->n = findings->total = 0;
        make_entry(i, "forged");
        lines[i].hash = stored;
        verify_all();
        assert_int_equal(findings->total, 1);
        expect(0, CTL_FINDING_CHANGED, i, i);
        assert_non_null(strstr(findings->list[0].text, "forged"));
        assert_int_equal(result.proved, ENTRIES);
        make_entry(i, "gen");
    }
}

static void every_single_loss_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < ENTRIES; i++) {
        findings->n = findings->total = 0;
        lines[i].is_gone = true;
        verify_all();
        assert_int_equal(findings->total, 1); /* the gap in the sequence is the same loss */
        expect(0, CTL_FINDING_MISSING, i, i);
        lines[i].is_gone = false;
    }
    findings->n = findings->total = 0;
    for (size_t i = 20; i < 60; i++)
        lines[i].is_gone = i != 40;
    verify_all();
    assert_int_equal(findings->total, 2);
    expect(0, CTL_FINDING_MISSING, 20, 39);
    expect(1, CTL_FINDING_MISSING, 41, 59);
}

static void plain_data_that_is_not_what_was_hashed_is_named(void **state)
{
    (void)state;
    lines[30].unfit = "user,metadata";
    verify_all();
    assert_int_equal(findings->total, 1);
    expect(0, CTL_FINDING_PLAIN, 30, 30);
    assert_non_null(strstr(findings->list[0].text, "(user,metadata)"));
    assert_int_equal(result.proved, ENTRIES);
}

static void salts_that_nobody_erased_are_missed(void **state)
{
    (void)state;
    lines[30].unfit = lines[40].unfit = lines[41].unfit = "no salt";
    (void)snprintf(lines[99].entry, sizeof(lines[0].entry), "{\"kind\":\"erased\",\"rows\":2}");
    sb_merkle_leaf(sb_slice_of(lines[99].entry), &lines[99].hash);
    checkpoints[3].root = root_of(ENTRIES);
    verify_all();
    assert_int_equal(findings->total, 1);
    expect(0, CTL_FINDING_PLAIN, 30, 41);
    assert_non_null(strstr(findings->list[0].text, "3 records from 30 to 41 lost their salts"));
    findings->n = findings->total = 0;
    lines[40].unfit = NULL;
    verify_all();
    assert_int_equal(findings->total, 0);
}

static void swapped_entries_are_named(void **state)
{
    char entry[sizeof(lines[0].entry)];

    (void)state;
    memcpy(entry, lines[30].entry, sizeof(entry));
    memcpy(lines[30].entry, lines[33].entry, sizeof(entry));
    memcpy(lines[33].entry, entry, sizeof(entry));
    verify_all();
    assert_int_equal(findings->total, 2);
    expect(0, CTL_FINDING_MOVED, 30, 30);
    expect(1, CTL_FINDING_MOVED, 33, 33);
}

static void what_was_squeezed_in_moves_the_others(void **state)
{
    (void)state;
    for (size_t i = ENTRIES - 1; i > 30; i--)
        memcpy(lines[i].entry, lines[i - 1].entry, sizeof(lines[i].entry));
    (void)snprintf(lines[30].entry, sizeof(lines[30].entry), "{\"kind\":\"request\"}");
    verify_all();
    expect(0, CTL_FINDING_CHANGED, 30, 30);
    expect(1, CTL_FINDING_MOVED, 31, 49); /* up to the checkpoint */
    assert_non_null(strstr(findings->list[1].text, "inserted before"));
}

static void two_rows_of_one_leaf_are_named_and_the_right_one_counts(void **state)
{
    (void)state;
    for (int is_first = 0; is_first < 2; is_first++) {
        findings->n = findings->total = 0;
        n_lines = ENTRIES + 1;
        memmove(&lines[41], &lines[40], (ENTRIES - 40) * sizeof(*lines));
        (void)snprintf(lines[40 + (is_first == 0)].entry, sizeof(lines[0].entry),
                       "{\"generation\":\"gen-forged\",\"kind\":\"request\"}");
        verify_all();
        assert_int_equal(findings->total, 1);
        expect(0, CTL_FINDING_INSERTED, 40, 40);
        assert_non_null(strstr(findings->list[0].text, "gen-forged"));
        memmove(&lines[40], &lines[40 + (is_first != 0)], sizeof(*lines));
        memmove(&lines[41], &lines[42], (ENTRIES - 41) * sizeof(*lines));
    }
}

static void a_rewritten_part_is_named_by_its_checkpoints(void **state)
{
    (void)state;
    make_entry(60, "forged"); /* with the hash that fits */
    verify_all();
    assert_int_equal(findings->total, 1);
    expect(0, CTL_FINDING_REWRITTEN, 50, 74);
    assert_int_equal(result.proved, 50);
}

static void a_hash_that_was_changed_is_told_from_an_entry(void **state)
{
    (void)state;
    lines[60].hash.bytes[5] ^= 1;
    verify_all();
    assert_int_equal(findings->total, 1);
    expect(0, CTL_FINDING_HASH_CHANGED, 60, 60);
    assert_int_equal(result.proved, ENTRIES);
    findings->n = findings->total = 0;
    lines[60].has_no_hash = true;
    verify_all();
    assert_int_equal(findings->total, 1);
    expect(0, CTL_FINDING_HASH_CHANGED, 60, 60);
    assert_int_equal(result.proved, ENTRIES);
    findings->n = findings->total = 0;
    lines[60].is_gone = true;
    verify_all();
    expect(0, CTL_FINDING_MISSING, 60, 60);
    assert_int_equal(result.proved, 50);
}

static void a_shorter_log_is_told(void **state)
{
    (void)state;
    n_lines = 70;
    verify_all();
    assert_int_equal(findings->total, 1);
    expect(0, CTL_FINDING_SHORTER, 70, ENTRIES - 1);
    assert_non_null(strstr(findings->list[0].text, "old backup"));
    assert_int_equal(result.proved, 50);
}

static void what_is_not_signed_yet_is_checked_by_its_hashes(void **state)
{
    struct sb_hash stored = lines[90].hash;

    (void)state;
    n_checkpoints = 3;
    make_entry(90, "forged");
    lines[90].hash = stored;
    verify_all();
    assert_int_equal(findings->total, 1);
    expect(0, CTL_FINDING_CHANGED, 90, 90);
    assert_int_equal(result.proved, 75);
    assert_int_equal(result.next, ENTRIES);
}

/* Dispatches of 2026-09-20 dropped on 2026-12-01: entry 99 says so. */
static void say_dropped(const char *table, const char *day, const char *leaves)
{
    (void)snprintf(lines[99].entry, sizeof(lines[0].entry),
                   "{\"at\":1796083200000000,\"day\":\"%s\",%s,\"history\":\"%s\",\"id\":1,"
                   "\"kind\":\"dropped\"}",
                   day, leaves, table);
    sb_merkle_leaf(sb_slice_of(lines[99].entry), &lines[99].hash);
    checkpoints[3].root = root_of(ENTRIES);
}

static void what_retention_dropped_is_allowed_to_be_gone(void **state)
{
    (void)state;
    say_dropped("audit_dispatches", "2026-09-20", "\"first_leaf\":10,\"last_leaf\":40,\"rows\":20");
    for (size_t i = 10; i < 30; i++)
        lines[i].is_gone = true;
    verify_all();
    assert_int_equal(findings->total, 0);
    assert_int_equal(result.dropped, 20);
    /* more are gone than it says */
    findings->n = findings->total = 0;
    lines[35].is_gone = lines[60].is_gone = true;
    verify_all();
    assert_int_equal(findings->total, 2);
    expect(0, CTL_FINDING_MISSING, 60, 60);
    expect(1, CTL_FINDING_MISSING, 10, 40);
    assert_non_null(strstr(findings->list[1].text, "retention dropped 20 only"));
}

/* The records are requests of 2026-09-21, all of them. */
static void a_drop_of_one_row_is_none(void **state)
{
    (void)state;
    say_dropped("audit_requests", "2026-09-21", "\"first_leaf\":40,\"last_leaf\":40,\"rows\":1");
    lines[40].is_gone = true;
    verify_all();
    assert_int_equal(findings->total, 2);
    expect(0, CTL_FINDING_NO_DROP, 99, 99);
    assert_non_null(strstr(findings->list[0].text, "entry 0 is of it as well"));
    expect(1, CTL_FINDING_MISSING, 40, 40);
    assert_non_null(strstr(findings->list[1].text, "audit_requests of 2026-09-21, but"));
    assert_int_equal(result.dropped, 0);
    /* nor one that says that it began with the first of them */
    findings->n = findings->total = 0;
    say_dropped("audit_requests", "2026-09-21", "\"first_leaf\":0,\"last_leaf\":98,\"rows\":99");
    verify_all();
    assert_int_equal(findings->total, 1);
    expect(0, CTL_FINDING_MISSING, 40, 40);
    assert_non_null(strstr(findings->list[0].text, "dropped as a whole, and entry 98 of it"));
}

/* Of a day on which there were no dispatches, so that nothing of it is there. */
static void a_row_of_one_day_is_not_dropped_with_another(void **state)
{
    (void)state;
    say_dropped("audit_dispatches", "2026-09-01", "\"first_leaf\":40,\"last_leaf\":40,\"rows\":1");
    lines[40].is_gone = true;
    verify_all();
    assert_int_equal(findings->total, 1);
    expect(0, CTL_FINDING_NO_DROP, 40, 40);
    assert_non_null(strstr(findings->list[0].text, "records 41 to 41 of worker w, which came"));
}

static void a_drop_that_nothing_is_signed_for_explains_nothing(void **state)
{
    (void)state;
    say_dropped("audit_dispatches", "2026-09-20", "\"first_leaf\":10,\"last_leaf\":11,\"rows\":2");
    lines[10].is_gone = lines[11].is_gone = true;
    n_checkpoints = 3;
    verify_all();
    assert_int_equal(findings->total, 1);
    expect(0, CTL_FINDING_MISSING, 10, 11);
    assert_non_null(strstr(findings->list[0].text, "no checkpoint has that yet"));
    /* nor does one that is not the entry that was logged */
    findings->n = findings->total = 0;
    n_checkpoints = 4;
    lines[99].hash.bytes[0] ^= 1;
    checkpoints[3].root = root_of(ENTRIES);
    verify_all();
    expect(0, CTL_FINDING_CHANGED, 99, 99);
    expect(1, CTL_FINDING_MISSING, 10, 11);
}

static void gaps_in_a_sequence_are_named(void **state)
{
    (void)state;
    /* 41 to 45 were never there; 50 comes late */
    for (size_t i = 40; i < ENTRIES; i++)
        (void)snprintf(lines[i].entry, sizeof(lines[i].entry),
                       "{\"boot_id\":7,\"kind\":\"request\",\"sequence\":%zu,\"worker_id\":\"w\"}",
                       i == 46             ? 50
                       : i >= 44 && i < 46 ? i + 7
                                           : i + 6);
    for (size_t i = 0; i < ENTRIES; i++)
        sb_merkle_leaf(sb_slice_of(lines[i].entry), &lines[i].hash);
    n_checkpoints = 0;
    verify_all();
    assert_int_equal(findings->total, 1);
    expect(0, CTL_FINDING_GAP, 39, 40);
    assert_non_null(strstr(findings->list[0].text, "records 41 to 45 of worker w (boot 7)"));
    /* and one that is there twice */
    findings->n = findings->total = 0;
    memcpy(lines[70].entry, lines[69].entry, sizeof(lines[70].entry));
    lines[70].hash = lines[69].hash;
    verify_all();
    assert_int_equal(findings->total, 3);
    expect(0, CTL_FINDING_REPEATED, 70, 70);
}

/* Its first four records never came; one of them comes late. */
static void a_boot_that_begins_late_is_named(void **state)
{
    const struct sb_merkle_edge start = {.size = 0};

    (void)state;
    for (size_t i = 60; i < ENTRIES; i++) {
        (void)snprintf(lines[i].entry, sizeof(lines[i].entry),
                       "{\"boot_id\":8,\"kind\":\"request\",\"sequence\":%zu,\"worker_id\":\"w\"}",
                       i == 62  ? 4
                       : i < 62 ? i - 55
                                : i - 56);
        sb_merkle_leaf(sb_slice_of(lines[i].entry), &lines[i].hash);
    }
    n_checkpoints = 0;
    verify_all();
    assert_int_equal(findings->total, 1);
    expect(0, CTL_FINDING_GAP, 60, 60);
    assert_non_null(strstr(findings->list[0].text, "records 1 to 3 of worker w (boot 8)"));
    /* where there are records from before the log, it may have begun there */
    findings->n = findings->total = 0;
    assert_int_equal(
        verify_from(&start,
                    "{\"stray\":{\"kind\":\"request\",\"received_at\":1789999999999999}}\n"),
        SB_OK);
    assert_int_equal(findings->total, 0);
}

static void rows_in_no_tree_are_named(void **state)
{
    const struct sb_merkle_edge start = {.size = 0};

    (void)state;
    assert_int_equal(
        verify_from(&start,
                    "{\"stray\":{\"generation\":\"gen-a\",\"kind\":\"request\"},\"leaf\":500}\n"
                    "{\"stray\":{\"generation\":\"gen-b\",\"kind\":\"request\"}}\n"),
        SB_OK);
    assert_int_equal(findings->total, 2);
    expect(0, CTL_FINDING_INSERTED, 500, 500);
    assert_non_null(strstr(findings->list[1].text, "gen-b"));
}

/* Records began at 1790000000000000; what else has no leaf was put there. */
static void records_from_before_the_log_are_counted(void **state)
{
    const struct sb_merkle_edge start = {.size = 0};

    (void)state;
    assert_int_equal(verify_from(&start,
                                 "{\"stray\":{\"generation\":\"gen-a\",\"kind\":\"request\","
                                 "\"received_at\":1789999999999999}}\n"
                                 "{\"stray\":{\"at\":1789999999999999,\"bytes_sha256\":\"00\","
                                 "\"kind\":\"quarantined\"}}\n"),
                     SB_OK);
    assert_int_equal(findings->total, 0);
    assert_int_equal(result.older, 2);
    assert_int_equal(
        verify_from(&start,
                    "{\"stray\":{\"generation\":\"gen-b\",\"kind\":\"request\","
                    "\"received_at\":1790000000000000}}\n"
                    "{\"stray\":{\"generation\":\"gen-c\",\"kind\":\"request\","
                    "\"received_at\":1789999999999999},\"leaf\":18446744073709551611}\n"
                    "{\"stray\":{\"at\":1789999999999999,\"kind\":\"change\",\"revision\":3}}\n"),
        SB_OK);
    assert_int_equal(result.older, 0);
    assert_int_equal(findings->total, 3);
    assert_non_null(strstr(findings->list[0].text, "gen-b"));
    assert_non_null(strstr(findings->list[1].text, "gen-c"));
    assert_non_null(strstr(findings->list[2].text, "revision 3"));
}

static void what_is_no_log_is_refused(void **state)
{
    static const char *const bad[] = {
        "\n",
        "{}\n",
        "{\"leaf\":101}\n",
        "{\"leaf\":-1}\n",
        "{\"leaf\":100,\"hash\":\"00\"}\n",
        "{\"leaf\":100,\"entry\":}\n",
        "{\"leaf\":100,\"unfit\":\"user}\n",
        "{\"leaf\":100} \n",
        "<html>\n",
    };
    const struct sb_merkle_edge start = {.size = 0};

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(bad); i++) {
        findings->n = findings->total = 0;
        assert_int_equal(verify_from(&start, bad[i]), SB_EPARSE);
        assert_int_equal(findings->total, 1);
        assert_int_equal(findings->list[0].kind, CTL_FINDING_BROKEN);
    }
    findings->n = findings->total = 0;
    assert_int_equal(verify_from(&start, "{\"leaf\":100"), SB_OK); /* cut off */
    assert_int_equal(findings->list[0].kind, CTL_FINDING_BROKEN);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_whole_log_has_no_findings),
        TEST(it_may_begin_at_any_checkpoint),
        TEST(every_single_change_is_named),
        TEST(every_single_loss_is_named),
        TEST(plain_data_that_is_not_what_was_hashed_is_named),
        TEST(salts_that_nobody_erased_are_missed),
        TEST(swapped_entries_are_named),
        TEST(what_was_squeezed_in_moves_the_others),
        TEST(two_rows_of_one_leaf_are_named_and_the_right_one_counts),
        TEST(a_rewritten_part_is_named_by_its_checkpoints),
        TEST(a_hash_that_was_changed_is_told_from_an_entry),
        TEST(a_shorter_log_is_told),
        TEST(what_is_not_signed_yet_is_checked_by_its_hashes),
        TEST(what_retention_dropped_is_allowed_to_be_gone),
        TEST(a_drop_of_one_row_is_none),
        TEST(a_row_of_one_day_is_not_dropped_with_another),
        TEST(a_drop_that_nothing_is_signed_for_explains_nothing),
        TEST(gaps_in_a_sequence_are_named),
        TEST(a_boot_that_begins_late_is_named),
        TEST(rows_in_no_tree_are_named),
        TEST(records_from_before_the_log_are_counted),
        TEST(what_is_no_log_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
