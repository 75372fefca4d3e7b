/* tests/unit/controlplane/test_stats.c */
#include "controlplane/stats.h"

#include "common/buf.h"
#include "common/err.h"
#include "tests/lib/test.h"

static void every_member_is_on_the_page(void **state)
{
    struct cp_stats stats;
    struct sb_buf page;
    uint64_t *members = (uint64_t *)(void *)&stats;

    (void)state;
    for (size_t i = 0; i < sizeof(stats) / sizeof(*members); i++)
        members[i] = (1000 + i) * 1000000;
    sb_buf_init(&page, 1 << 20);
    assert_int_equal(cp_stats_write(&stats, &page), SB_OK);
    assert_int_equal(sb_buf_append_byte(&page, '\0'), SB_OK);
    for (size_t i = 0; i < sizeof(stats) / sizeof(*members); i++) {
        char whole[32], seconds[32];

        (void)snprintf(whole, sizeof(whole), " %zu000000\n", 1000 + i);
        (void)snprintf(seconds, sizeof(seconds), " %zu\n", 1000 + i);
        if (strstr(page.data, whole) == NULL && strstr(page.data, seconds) == NULL)
            fail_msg("member %zu is not shown", i);
    }
    sb_buf_release(&page);
}

static void counting_and_setting_do_what_they_say(void **state)
{
    struct cp_stats stats = {.leading = 0};

    (void)state;
    cp_stat_add(&stats, batches, 2);
    cp_stat_add(&stats, batches, 3);
    cp_stat_set(&stats, leading, 1);
    cp_stat_set(&stats, leading, 0);
    assert_int_equal(stats.batches, 5);
    assert_int_equal(stats.leading, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member_is_on_the_page),
        cmocka_unit_test(counting_and_setting_do_what_they_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
