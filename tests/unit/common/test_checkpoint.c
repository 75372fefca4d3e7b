/* tests/unit/common/test_checkpoint.c */
#include "common/checkpoint.h"

#include "common/buf.h"
#include "common/file.h"
#include "common/notekey.h"
#include "tests/lib/tmpdir.h"

/* The tree of the eight classic entries (test_merkle.c). */
static const uint8_t root_of_eight[] = {
    0x5d, 0xc9, 0xda, 0x79, 0xa7, 0x06, 0x59, 0xa9, 0xad, 0x55, 0x9c, 0xb7, 0x01, 0xde, 0xd9, 0xa2,
    0xab, 0x9d, 0x82, 0x3a, 0xad, 0x2f, 0x49, 0x60, 0xcf, 0xe3, 0x70, 0xef, 0xf4, 0x60, 0x43, 0x28};

static struct sb_note_signer *signer;

/* Everybody knows it.  The golden note was signed with it by openssl pkeyutl. */
static const char key_text[] =
    "public: example.com/switchboard+839d97e5+AeQIF0DMpK/rLJ0Osde/Xvz9oOv8A5IuukowtSVHzRg/\n"
    "secret: PRIVATE+KEY+example.com/switchboard+839d97e5+"
    "ARhNUUvLlM7J0A64KnaZDn0H6N2MFOVP9hohuOuG+GKu\n";

static int load_signer(void **state)
{
    struct test_tmpdir dir;
    int rc;

    (void)state;
    test_tmpdir_make(&dir);
    test_write_file(test_tmp(&dir, "log.key"), key_text, 0600);
    rc = sb_note_signer_load(test_tmp(&dir, "log.key"), &signer, NULL);
    test_tmpdir_remove(&dir);
    return rc;
}

static int drop_signer(void **state)
{
    (void)state;
    sb_note_signer_destroy(&signer);
    return 0;
}

static struct sb_hash root(void)
{
    struct sb_hash hash;

    memcpy(hash.bytes, root_of_eight, sizeof(hash.bytes));
    return hash;
}

static void signs_the_golden_bytes(void **state)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf out = {.data = NULL};
    SB_CLEANUP(sb_buf_release) struct sb_buf golden = {.data = NULL};
    struct sb_checkpoint checkpoint;
    struct sb_hash hash = root();

    (void)state;
    sb_buf_init(&out, SB_NOTE_MAX);
    sb_buf_init(&golden, SB_NOTE_MAX);
    assert_int_equal(sb_file_read(SB_SOURCE_DIR "/tests/golden/checkpoint.note", &golden, NULL),
                     SB_OK);
    assert_int_equal(sb_checkpoint_sign(signer, 8, &hash, &out), SB_OK);
    assert_true(sb_slice_eq(sb_buf_slice(&out), sb_buf_slice(&golden)));
    assert_int_equal(
        sb_checkpoint_open(sb_buf_slice(&golden), sb_note_signer_key(signer), &checkpoint, NULL),
        SB_OK);
    assert_true(sb_slice_is(checkpoint.origin, "example.com/switchboard"));
    assert_int_equal(checkpoint.size, 8);
    assert_true(sb_hash_equal(&checkpoint.root, &hash));
}

#define ROOT "XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg="

static void lines_of_others_are_passed_over(void **state)
{
    struct sb_checkpoint checkpoint;
    struct sb_hash hash = root();

    (void)state;
    assert_int_equal(sb_checkpoint_parse(SB_SLICE_LIT("a log\n8\n" ROOT "\nmore\nand more\n"),
                                         &checkpoint, NULL),
                     SB_OK);
    assert_true(sb_slice_is(checkpoint.origin, "a log"));
    assert_true(sb_hash_equal(&checkpoint.root, &hash));
    assert_int_equal(
        sb_checkpoint_parse(SB_SLICE_LIT("a\n9223372036854775807\n" ROOT "\n"), &checkpoint, NULL),
        SB_OK);
    assert_int_equal(checkpoint.size, INT64_MAX);
    assert_int_equal(sb_checkpoint_parse(SB_SLICE_LIT("a\n0\n" ROOT "\n"), &checkpoint, NULL),
                     SB_OK);
}

static void what_is_no_checkpoint_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "a\n",
        "a\n8\n",
        "a\n8\n" ROOT,
        "\n8\n" ROOT "\n",
        "a\n08\n" ROOT "\n",
        "a\n-8\n" ROOT "\n",
        "a\n+8\n" ROOT "\n",
        "a\n8 \n" ROOT "\n",
        "a\n\n" ROOT "\n",
        "a\n9223372036854775808\n" ROOT "\n",
        "a\n8\nXcnaeacGWamtVZy3Ad7Zoqudgjqt\n",
        "a\n8\nXcnaeacGWamtVZy3Ad7Zoqudgjqt\n\n",
        "a\n8\n" ROOT "AAAA\n",
        "a\n8\n" ROOT "\n\nmore\n",
        "a\n8\n" ROOT "\nmore",
    };
    struct sb_checkpoint checkpoint = {.size = 77};

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(bad); i++) {
        struct sb_errmsg err = {.text = ""};

        assert_int_equal(sb_checkpoint_parse(sb_slice_of(bad[i]), &checkpoint, &err), SB_EPARSE);
        assert_string_not_equal(err.text, "");
        assert_int_equal(checkpoint.size, 77);
    }
}

static void another_key_or_log_is_told(void **state)
{
    SB_CLEANUP(sb_note_signer_destroy) struct sb_note_signer *other = NULL;
    SB_CLEANUP(sb_note_signer_destroy) struct sb_note_signer *same_name = NULL;
    SB_CLEANUP(sb_buf_release) struct sb_buf out = {.data = NULL};
    struct sb_checkpoint checkpoint;
    struct sb_hash hash = root();
    struct sb_slice note;

    (void)state;
    sb_buf_init(&out, SB_NOTE_MAX);
    assert_int_equal(sb_note_signer_new(SB_SLICE_LIT("other"), &other, NULL), SB_OK);
    assert_int_equal(
        sb_note_signer_new(sb_slice_of(sb_note_signer_key(signer)->name), &same_name, NULL), SB_OK);
    assert_int_equal(sb_checkpoint_sign(signer, 8, &hash, &out), SB_OK);
    note = sb_buf_slice(&out);
    assert_int_equal(sb_checkpoint_open(note, sb_note_signer_key(other), &checkpoint, NULL),
                     SB_EINVAL);
    assert_int_equal(sb_checkpoint_open(note, sb_note_signer_key(same_name), &checkpoint, NULL),
                     SB_ENOENT);
    out.data[out.head + sizeof("example.com/switchboard\n") - 1] = '9'; /* the size */
    assert_int_equal(sb_checkpoint_open(note, sb_note_signer_key(signer), &checkpoint, NULL),
                     SB_EHASH);
}

static void a_file_of_checkpoints_is_read_note_by_note(void **state)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf out = {.data = NULL};
    struct sb_hash hash = root();
    struct sb_slice text, note;
    struct sb_checkpoint checkpoint;

    (void)state;
    sb_buf_init(&out, SB_NOTE_MAX);
    for (uint64_t size = 8; size < 11; size++) {
        assert_int_equal(sb_checkpoint_sign(signer, size, &hash, &out), SB_OK);
        if (size == 9) /* a witness has signed it, too */
            assert_int_equal(sb_buf_append_text(&out, "\xe2\x80\x94 witness AAAAAAA=\n"), SB_OK);
        assert_int_equal(sb_buf_append_text(&out, "\n"), SB_OK);
    }
    assert_int_equal(sb_buf_append_text(&out, "torn\n8\n"), SB_OK);
    text = sb_buf_slice(&out);
    for (uint64_t size = 8; size < 11; size++) {
        assert_true(sb_checkpoint_next(&text, &note));
        assert_int_equal(sb_checkpoint_open(note, sb_note_signer_key(signer), &checkpoint, NULL),
                         SB_OK);
        assert_int_equal(checkpoint.size, size);
    }
    assert_false(sb_checkpoint_next(&text, &note));
    assert_true(sb_slice_starts_with(text, SB_SLICE_LIT("torn")));
}

/* However much of a note reached the disk, the next one is found behind an
 * empty line. */
static void a_torn_note_hides_no_other(void **state)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf one = {.data = NULL};
    struct sb_hash hash = root();

    (void)state;
    sb_buf_init(&one, SB_NOTE_MAX);
    assert_int_equal(sb_checkpoint_sign(signer, 8, &hash, &one), SB_OK);
    for (size_t n = 1; n < sb_buf_len(&one); n++) {
        SB_CLEANUP(sb_buf_release) struct sb_buf file = {.data = NULL};
        struct sb_checkpoint checkpoint;
        struct sb_slice text, note;
        unsigned found = 0;

        sb_buf_init(&file, SB_NOTE_MAX);
        assert_int_equal(sb_buf_append(&file, sb_slice_make(sb_buf_slice(&one).p, n)), SB_OK);
        if (file.data[file.tail - 1] != '\n')
            assert_int_equal(sb_buf_append_text(&file, "\n"), SB_OK);
        assert_int_equal(sb_buf_append_text(&file, "\n"), SB_OK);
        assert_int_equal(sb_buf_append(&file, sb_buf_slice(&one)), SB_OK);
        text = sb_buf_slice(&file);
        while (sb_checkpoint_next(&text, &note))
            found +=
                sb_checkpoint_open(note, sb_note_signer_key(signer), &checkpoint, NULL) == SB_OK;
        assert_int_equal(found, n + 1 == sb_buf_len(&one) ? 2 : 1);
        assert_int_equal(text.n, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs_the_golden_bytes),
        cmocka_unit_test(lines_of_others_are_passed_over),
        cmocka_unit_test(what_is_no_checkpoint_is_refused),
        cmocka_unit_test(another_key_or_log_is_told),
        cmocka_unit_test(a_file_of_checkpoints_is_read_note_by_note),
        cmocka_unit_test(a_torn_note_hides_no_other),
    };

    return cmocka_run_group_tests(tests, load_signer, drop_signer);
}
