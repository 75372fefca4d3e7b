/* tests/unit/common/test_note.c - with notes that others made. */
#include "common/note.h"

#include "common/buf.h"
#include "tests/lib/test.h"

/* From the examples of golang.org/x/mod/sumdb/note, which the form comes from. */
static const char neumann[] = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
static const char neumann_note[] =
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "\xe2\x80\x94 PeterNeumann "
    "x08go/ZJkuBS9UG/"
    "SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
static const uint8_t neumann_seed[] = {
    0x81, 0x0a, 0x14, 0x02, 0xd5, 0x14, 0x6c, 0x8d, 0x84, 0xf2, 0x44, 0x33, 0x30, 0xf5, 0x40, 0x80,
    0xeb, 0xf9, 0x8e, 0xe1, 0x7d, 0x9c, 0x74, 0xf6, 0x25, 0x2f, 0xc5, 0xd5, 0xc7, 0x28, 0x31, 0x73};

static struct sb_note_key key_of(const char *text)
{
    struct sb_errmsg err = {.text = ""};
    struct sb_note_key key;

    if (sb_note_key_parse(sb_slice_of(text), &key, &err) != SB_OK)
        fail_msg("%s", err.text);
    return key;
}

static struct sb_note parse(const char *text)
{
    struct sb_errmsg err = {.text = ""};
    struct sb_note note;

    if (sb_note_parse(sb_slice_of(text), &note, &err) != SB_OK)
        fail_msg("%s", err.text);
    return note;
}

static void keys_of_others_are_understood(void **state)
{
    /* The key of the Go module checksum database, and the one above. */
    static const char *const keys[] = {
        "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        neumann,
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(keys); i++) {
        struct sb_note_key key = key_of(keys[i]);
        char text[SB_NOTE_KEY_TEXT];

        sb_note_key_put(&key, text);
        assert_string_equal(text, keys[i]);
    }
}

static void what_is_no_key_is_refused(void **state)
{
    static const struct {
        const char *text;
        int rc;
    } bad[] = {
        {"", SB_EPARSE},
        {"PeterNeumann", SB_EPARSE},
        {"PeterNeumann+c74f20a3", SB_EPARSE},
        {"PeterNeumann+c74f20a3+", SB_EPARSE},
        {"PeterNeumann+c74f20a+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", SB_EPARSE},
        {"PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", SB_EPARSE},
        {"PeterNeuman+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", SB_EPARSE},
        {"Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", SB_EPARSE},
        {"+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", SB_EPARSE},
        {"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10T=", SB_EPARSE},
        {"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy", SB_EPARSE},
        {"PeterNeumann+c74f20a3+Ahpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", SB_EUNSUPPORTED},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(bad); i++) {
        struct sb_errmsg err = {.text = ""};
        struct sb_note_key key = {.name = "as before"};

        assert_int_equal(sb_note_key_parse(sb_slice_of(bad[i].text), &key, &err), bad[i].rc);
        assert_string_not_equal(err.text, "");
        assert_string_equal(key.name, "as before");
    }
}

static void a_name_has_no_blanks_of_any_script(void **state)
{
    static const char *const bad[] = {"",      "a b",          "a+b",           "a\tb",
                                      "a\x7f", "\xc2\xa0",     "a\xe2\x80\x83", "\xe3\x80\x80",
                                      "a\xff", "\xe2\x80\xa8", "\xe1\x9a\x80",  "a\n"};
    static const char *const good[] = {"a", "switchboard/audit", "example.com/log-1",
                                       "\xc3\xbc" /* a letter */};
    char longest[SB_NOTE_NAME_MAX + 2];
    const uint8_t public_key[SB_SIGN_PUBLIC] = {1};
    struct sb_note_key key;

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(bad); i++)
        assert_int_equal(sb_note_key_make(sb_slice_of(bad[i]), public_key, &key, NULL), SB_EINVAL);
    for (size_t i = 0; i < SB_ARRAY_LEN(good); i++)
        assert_int_equal(sb_note_key_make(sb_slice_of(good[i]), public_key, &key, NULL), SB_OK);
    memset(longest, 'x', sizeof(longest));
    assert_int_equal(
        sb_note_key_make(sb_slice_make(longest, SB_NOTE_NAME_MAX), public_key, &key, NULL), SB_OK);
    assert_int_equal(
        sb_note_key_make(sb_slice_make(longest, SB_NOTE_NAME_MAX + 1), public_key, &key, NULL),
        SB_EINVAL);
}

static void a_note_of_somebody_else_verifies(void **state)
{
    struct sb_note_key key = key_of(neumann);
    struct sb_note note = parse(neumann_note);

    (void)state;
    assert_int_equal(note.n, 1);
    assert_true(sb_slice_is(note.signatures[0].name, "PeterNeumann"));
    assert_true(sb_slice_starts_with(note.text, SB_SLICE_LIT("If you think")));
    assert_int_equal(note.text.p[note.text.n - 1], '\n');
    assert_int_equal(sb_note_verify(&note, &key, NULL), SB_OK);
}

static void we_sign_as_somebody_else_does(void **state)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf out = {.data = NULL};
    struct sb_note_key key = key_of(neumann);
    struct sb_note note = parse(neumann_note);
    struct sb_secret *seed = NULL;

    (void)state;
    sb_buf_init(&out, SB_NOTE_MAX);
    assert_int_equal(sb_secret_new(sb_slice_make(neumann_seed, sizeof(neumann_seed)), &seed),
                     SB_OK);
    assert_int_equal(sb_note_sign(note.text, &key, seed, &out), SB_OK);
    assert_true(sb_slice_is(sb_buf_slice(&out), neumann_note));
    assert_int_equal(sb_note_sign(SB_SLICE_LIT("no end"), &key, seed, &out), SB_EINVAL);
    assert_int_equal(sb_note_sign(SB_SLICE_LIT("a\r\n"), &key, seed, &out), SB_EINVAL);
    assert_int_equal(sb_note_sign(SB_SLICE_NONE, &key, seed, &out), SB_EINVAL);
    assert_true(sb_slice_is(sb_buf_slice(&out), neumann_note));
    sb_secret_destroy(&seed);
}

/* Whatever byte is changed: no note, not signed by the key, or wrongly. */
static void a_note_that_was_changed_does_not_verify(void **state)
{
    struct sb_note_key key = key_of(neumann);
    char text[sizeof(neumann_note)];

    (void)state;
    for (size_t i = 0; i < sizeof(neumann_note) - 1; i++) {
        struct sb_note note;

        memcpy(text, neumann_note, sizeof(text));
        text[i] ^= 1;
        if (sb_note_parse(sb_slice_of(text), &note, NULL) == SB_OK)
            assert_int_not_equal(sb_note_verify(&note, &key, NULL), SB_OK);
    }
}

static void signatures_of_strangers_are_as_good_as_absent(void **state)
{
    static const char line[] = "\xe2\x80\x94 EnochRoot "
                               "rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/"
                               "5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";
    struct sb_note_key key = key_of(neumann), other = key;
    struct sb_errmsg err = {.text = ""};
    char text[1024];
    struct sb_note note;

    (void)state;
    (void)snprintf(text, sizeof(text), "%s%s", neumann_note, line);
    note = parse(text);
    assert_int_equal(note.n, 2);
    assert_int_equal(sb_note_verify(&note, &key, NULL), SB_OK);
    /* The same name with another id is another key. */
    other.id[0] ^= 1;
    assert_int_equal(sb_note_verify(&note, &other, &err), SB_ENOENT);
    assert_non_null(strstr(err.text, "PeterNeumann"));
    /* The same id with another key: the signature is wrong. */
    other = key;
    other.public_key[0] ^= 1;
    assert_int_equal(sb_note_verify(&note, &other, &err), SB_EHASH);
}

static void what_is_no_note_is_refused(void **state)
{
#define SIGNATURE "\xe2\x80\x94 a AAAAAAA=\n"
    static const char *const bad[] = {
        "",
        "\n",
        "text\n",
        "text\n\n",
        "\n" SIGNATURE,
        "text\n" SIGNATURE,
        "text\n\n" SIGNATURE "\n",
        "text\n\n" SIGNATURE "more\n",
        "text\n\n\xe2\x80\x94 a AAAAAAA=",
        "text\n\n- a AAAAAAA=\n",
        "text\n\n\xe2\x80\x94 a\n",
        "text\n\n\xe2\x80\x94 a \n",
        "text\n\n\xe2\x80\x94  AAAAAAA=\n",
        "text\n\n\xe2\x80\x94 a AAAAAA==\n", /* an id and nothing behind it */
        "text\n\n\xe2\x80\x94 a AAAAAAA= \n",
        "text\n\n\xe2\x80\x94 a+b AAAAAAA=\n",
        "te\rxt\n\n" SIGNATURE,
        "te\xffxt\n\n" SIGNATURE,
    };
    static const char *const good[] = {
        "text\n\n" SIGNATURE,
        "\n\n" SIGNATURE,
        "text\n\nmore\n\n" SIGNATURE,
        "text\n\n" SIGNATURE SIGNATURE,
    };
    char many[1024] = "text\n\n";
    struct sb_note note = {.n = 77};

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(bad); i++) {
        struct sb_errmsg err = {.text = ""};

        if (sb_note_parse(sb_slice_of(bad[i]), &note, &err) != SB_EPARSE)
            fail_msg("taken: %s", bad[i]);
        assert_string_not_equal(err.text, "");
        assert_int_equal(note.n, 77);
    }
    for (size_t i = 0; i < SB_ARRAY_LEN(good); i++)
        (void)parse(good[i]);
    for (unsigned i = 0; i <= SB_NOTE_SIGNATURES_MAX; i++)
        (void)snprintf(many + strlen(many), sizeof(many) - strlen(many), SIGNATURE);
    assert_int_equal(sb_note_parse(sb_slice_of(many), &note, NULL), SB_ETOOBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_others_are_understood),
        cmocka_unit_test(what_is_no_key_is_refused),
        cmocka_unit_test(a_name_has_no_blanks_of_any_script),
        cmocka_unit_test(a_note_of_somebody_else_verifies),
        cmocka_unit_test(we_sign_as_somebody_else_does),
        cmocka_unit_test(a_note_that_was_changed_does_not_verify),
        cmocka_unit_test(signatures_of_strangers_are_as_good_as_absent),
        cmocka_unit_test(what_is_no_note_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
