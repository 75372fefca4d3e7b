/* tests/unit/controlplane/test_country_db.c */
#include "controlplane/probes/country_db.h"

#include "common/buf.h"
#include "common/file.h"
#include "common/network.h"
#include "proto/country.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

#define SAMPLE SB_SOURCE_DIR "/tests/golden/country.mmdb"

static struct cp_country_db *db;

static int set_up(void **state)
{
    struct sb_errmsg err;

    (void)state;
    if (cp_country_db_new(SAMPLE, &db, &err) != SB_OK)
        fail_msg("%s", err.text);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cp_country_db_destroy(&db);
    return 0;
}

/* "" for an address of which nothing is known. */
static const char *country_of(const char *text)
{
    static char code[MSG_COUNTRY_CODE];
    struct sb_address address;
    int number;

    assert_int_equal(sb_address_parse(sb_slice_of(text), &address), SB_OK);
    number = cp_country_db_find(db, &address);
    if (number < 0)
        return "";
    msg_country_format(number, code);
    return code;
}

static void the_forms_of_several_makers_are_understood(void **state)
{
    (void)state;
    assert_string_equal(country_of("192.0.2.7"), "DE");
    assert_string_equal(country_of("::ffff:192.0.2.7"), "DE");
    assert_string_equal(country_of("198.51.100.255"), "FR");
    assert_string_equal(country_of("203.0.113.1"), "US");
    assert_string_equal(country_of("2001:db8::1"), "SE");
    assert_string_equal(cp_country_db_date(db), "2026-12-01");
}

static void what_the_file_does_not_say_is_unknown(void **state)
{
    (void)state;
    assert_string_equal(country_of("203.0.113.200"), ""); /* a continent alone */
    assert_string_equal(country_of("100.64.0.1"), "");    /* no such country */
    assert_string_equal(country_of("10.0.0.1"), "");
    assert_string_equal(country_of("127.0.0.1"), "");
    assert_string_equal(country_of("::1"), "");
    assert_string_equal(country_of("fe80::1"), "");
}

static void what_is_no_database_is_refused_with_its_name(void **state)
{
    struct cp_country_db *none = NULL;
    struct sb_errmsg err;

    (void)state;
    assert_int_equal(cp_country_db_new("/nowhere/x.mmdb", &none, &err), SB_ENOENT);
    assert_non_null(strstr(err.text, "/nowhere/x.mmdb"));
    assert_int_equal(cp_country_db_new(SB_SOURCE_DIR "/LICENSE", &none, &err), SB_EPARSE);
    assert_non_null(strstr(err.text, "LICENSE"));
    assert_int_equal(cp_country_db_new("/dev/null", &none, &err), SB_EPARSE);
    assert_null(none);
}

static void put(const char *path, struct sb_slice bytes)
{
    struct sb_errmsg err;

    if (sb_file_write(path, bytes, 0644, &err) != SB_OK)
        fail_msg("%s", err.text);
}

static void a_file_that_was_replaced_is_read_again_and_a_broken_one_is_not(void **state)
{
    struct tempdir dir;
    struct sb_buf sample;
    char path[200];
    struct sb_errmsg err;
    FILE *file;

    (void)state;
    cp_country_db_destroy(&db);
    assert_true(tempdir_make(&dir));
    (void)snprintf(path, sizeof(path), "%s/country.mmdb", dir.path);
    sb_buf_init(&sample, 1 << 20);
    assert_int_equal(sb_file_read(SAMPLE, &sample, &err), SB_OK);
    put(path, sb_buf_slice(&sample));
    assert_int_equal(cp_country_db_new(path, &db, &err), SB_OK);
    assert_false(cp_country_db_has_changed(db));
    /* cut in its place, under who reads it */
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_string_equal(country_of("192.0.2.7"), "DE");
    assert_true(cp_country_db_has_changed(db));
    assert_int_equal(cp_country_db_reload(db, &err), SB_EPARSE);
    assert_false(cp_country_db_has_changed(db)); /* the same is not tried again */
    assert_string_equal(country_of("192.0.2.7"), "DE");
    put(path, sb_buf_slice(&sample));
    assert_true(cp_country_db_has_changed(db));
    assert_int_equal(cp_country_db_reload(db, &err), SB_OK);
    assert_string_equal(country_of("2001:db8::1"), "SE");
    assert_true(tempdir_remove(&dir));
    assert_false(cp_country_db_has_changed(db)); /* gone: what was read serves on */
    assert_string_equal(country_of("192.0.2.7"), "DE");
    sb_buf_release(&sample);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_forms_of_several_makers_are_understood),
        TEST(what_the_file_does_not_say_is_unknown),
        TEST(what_is_no_database_is_refused_with_its_name),
        TEST(a_file_that_was_replaced_is_read_again_and_a_broken_one_is_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
