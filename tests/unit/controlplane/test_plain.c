/* Plain personal data against the hashes of its entry. */
#include "controlplane/log/plain.h"

#include "common/secret.h"
#include "tests/lib/test.h"

static uint8_t salt[SB_SALT_BYTES] = "sixteen bytes..", user[SB_HASH_BYTES],
               metadata[SB_HASH_BYTES], salt_hash[SB_HASH_BYTES];
static struct cp_value values[CP_REQUEST_N];

static struct cp_value value_of(struct sb_slice bytes)
{
    return (struct cp_value){.is_set = true, .bytes = bytes};
}

static int set_up(void **state)
{
    (void)state;
    memset(values, 0, sizeof(values));
    sb_hash_named(salt, "user", SB_SLICE_LIT("jo"), user);
    sb_hash_named(salt, "metadata", SB_SLICE_LIT("{}"), metadata);
    sb_hash_salt(salt, salt_hash);
    values[CP_REQUEST_salt] = value_of(sb_slice_make(salt, sizeof(salt)));
    values[CP_REQUEST_salt_hash] = value_of(sb_slice_make(salt_hash, sizeof(salt_hash)));
    values[CP_REQUEST_user_hash] = value_of(sb_slice_make(user, sizeof(user)));
    values[CP_REQUEST_metadata_hash] = value_of(sb_slice_make(metadata, sizeof(metadata)));
    values[CP_REQUEST_user_plain] = value_of(SB_SLICE_LIT("jo"));
    values[CP_REQUEST_metadata_plain] = value_of(SB_SLICE_LIT("{}"));
    return 0;
}

static void what_was_hashed_fits(void **state)
{
    (void)state;
    assert_null(cp_plain_unfit(CP_ENTRY_REQUEST, values));
    values[CP_REQUEST_metadata_plain].is_set = false; /* nobody asked for it */
    assert_null(cp_plain_unfit(CP_ENTRY_REQUEST, values));
    values[CP_REQUEST_user_plain].is_set = values[CP_REQUEST_salt].is_set = false; /* erased */
    assert_string_equal(cp_plain_unfit(CP_ENTRY_REQUEST, values), "no salt");
    values[CP_REQUEST_user_hash].is_set = values[CP_REQUEST_metadata_hash].is_set = false;
    assert_null(cp_plain_unfit(CP_ENTRY_REQUEST, values)); /* never had one */
}

static void what_was_changed_does_not(void **state)
{
    (void)state;
    values[CP_REQUEST_user_plain].bytes = SB_SLICE_LIT("joe");
    assert_string_equal(cp_plain_unfit(CP_ENTRY_REQUEST, values), "user");
    values[CP_REQUEST_metadata_plain].bytes = SB_SLICE_LIT("{ }");
    assert_string_equal(cp_plain_unfit(CP_ENTRY_REQUEST, values), "user,metadata");
    values[CP_REQUEST_user_plain].bytes = SB_SLICE_LIT("jo");
    assert_string_equal(cp_plain_unfit(CP_ENTRY_REQUEST, values), "metadata");
}

static void a_salt_that_was_exchanged_is_told_without_anything_plain(void **state)
{
    static uint8_t other[SB_SALT_BYTES] = "sixteen other..";

    (void)state;
    values[CP_REQUEST_user_plain].is_set = values[CP_REQUEST_metadata_plain].is_set = false;
    assert_null(cp_plain_unfit(CP_ENTRY_REQUEST, values));
    values[CP_REQUEST_salt].bytes.p = (const char *)other;
    assert_string_equal(cp_plain_unfit(CP_ENTRY_REQUEST, values), "salt");
    values[CP_REQUEST_salt_hash].is_set = false; /* an older record */
    assert_null(cp_plain_unfit(CP_ENTRY_REQUEST, values));
    values[CP_REQUEST_salt_hash].is_set = true;
    values[CP_REQUEST_salt].bytes.n--;
    assert_string_equal(cp_plain_unfit(CP_ENTRY_REQUEST, values), "salt");
}

static void a_dispatch_has_its_salt_too(void **state)
{
    struct cp_value dispatch[CP_DISPATCH_N] = {0};

    (void)state;
    assert_null(cp_plain_unfit(CP_ENTRY_DISPATCH, dispatch));
    dispatch[CP_DISPATCH_salt] = values[CP_REQUEST_salt];
    dispatch[CP_DISPATCH_salt_hash] = values[CP_REQUEST_salt_hash];
    assert_null(cp_plain_unfit(CP_ENTRY_DISPATCH, dispatch));
    dispatch[CP_DISPATCH_salt].bytes = SB_SLICE_LIT("sixteen other...");
    assert_string_equal(cp_plain_unfit(CP_ENTRY_DISPATCH, dispatch), "salt");
    assert_null(cp_plain_unfit(CP_ENTRY_CHANGE, dispatch));
}

static void nor_does_what_lost_its_salt_or_never_had_a_hash(void **state)
{
    (void)state;
    values[CP_REQUEST_user_hash].is_set = values[CP_REQUEST_salt_hash].is_set = false;
    assert_string_equal(cp_plain_unfit(CP_ENTRY_REQUEST, values), "user");
    values[CP_REQUEST_salt].bytes.n--;
    assert_string_equal(cp_plain_unfit(CP_ENTRY_REQUEST, values), "user,metadata");
    values[CP_REQUEST_salt].is_set = false;
    assert_string_equal(cp_plain_unfit(CP_ENTRY_REQUEST, values), "user,metadata");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
    const struct CMUnitTest tests[] = {
        TEST(what_was_hashed_fits),
        TEST(what_was_changed_does_not),
        TEST(a_salt_that_was_exchanged_is_told_without_anything_plain),
        TEST(a_dispatch_has_its_salt_too),
        TEST(nor_does_what_lost_its_salt_or_never_had_a_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
