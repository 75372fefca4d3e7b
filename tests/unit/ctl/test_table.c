/* Tables: aligned, cut where the terminal ends, harmless. */
#include "tests/lib/test.h"

#include "common/buf.h"
#include "common/err.h"
#include "controlplane/ctl/table.h"

static const struct ctl_column columns[] = {
    {"NAME", false, true, 0},
    {"COUNT", true, false, 0},
    {"NOTE", false, true, 0},
};
static const struct ctl_term plain = {.has_colour = false};

static struct sb_arena *arena;

static int set_up(void **state)
{
    (void)state;
    arena = sb_arena_new(4096);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sb_arena_destroy(&arena);
    return 0;
}

static struct ctl_table *make(const char *const *cells, enum ctl_style style)
{
    struct ctl_table *made = ctl_table_new(arena, columns, SB_ARRAY_LEN(columns));

    for (; *cells != NULL; cells++)
        ctl_table_add(made, style, sb_slice_of(*cells));
    return made;
}

static void assert_written(const struct ctl_table *table, const struct ctl_term *term,
                           const char *wanted)
{
    struct sb_buf out;

    sb_buf_init(&out, 1 << 20);
    assert_int_equal(ctl_table_write(table, term, &out), SB_OK);
    assert_string_equal(sb_arena_dup(arena, sb_buf_slice(&out)).p, wanted);
    sb_buf_release(&out);
}

static void columns_are_aligned_and_lines_end_where_text_does(void **state)
{
    static const char *const cells[] = {"a", "1", "", "longer", "123456", "x", NULL};

    (void)state;
    assert_written(make(cells, CTL_PLAIN), &plain,
                   "NAME     COUNT  NOTE\n"
                   "a            1\n"
                   "longer  123456  x\n");
}

static void width_is_what_is_seen(void **state)
{
    static const char *const cells[] = {"\xc3\xbc\xc3\xbc",
                                        "1",
                                        "n",
                                        "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",
                                        "2",
                                        "n",
                                        "e\xcc\x81",
                                        "3",
                                        "n",
                                        NULL};

    (void)state;
    assert_int_equal(ctl_text_width(SB_SLICE_LIT("\xc3\xbc")), 1);
    assert_int_equal(ctl_text_width(SB_SLICE_LIT("\xe6\x97\xa5")), 2);
    assert_int_equal(ctl_text_width(SB_SLICE_LIT("e\xcc\x81")), 1);
    assert_written(make(cells, CTL_PLAIN), &plain,
                   "NAME    COUNT  NOTE\n"
                   "\xc3\xbc\xc3\xbc          1  n\n"
                   "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e      2  n\n"
                   "e\xcc\x81           3  n\n");
}

static void what_is_too_wide_loses_its_end(void **state)
{
    static const char *const cells[] = {"0123456789abcdef", "1", "0123456789abcdefghijkl", NULL};
    const struct ctl_term narrow = {.width = 34};

    (void)state;
    assert_written(make(cells, CTL_PLAIN), &narrow,
                   "NAME          COUNT  NOTE\n"
                   "0123456789a…      1  0123456789ab…\n");
}

static void names_lose_their_middle(void **state)
{
    static const char *const cells[] = {"0123456789abcdef", "1", "", NULL};
    const struct ctl_term narrow = {.width = 23};

    (void)state;
    assert_written(make(cells, CTL_NAME), &narrow,
                   "NAME        COUNT  NOTE\n"
                   "01234…cdef      1\n");
}

static void what_may_not_shrink_stays(void **state)
{
    static const char *const cells[] = {"0123456789", "1234567890123456", "0123456789", NULL};
    const struct ctl_term narrow = {.width = 5};

    (void)state;
    assert_written(make(cells, CTL_PLAIN), &narrow,
                   "NAME                COUNT NOTE\n"
                   "0123456… 1234567890123456 0123456…\n");
}

static void columns_leave_for_the_sake_of_others(void **state)
{
    static const struct ctl_column fields[] = {{"MODEL", false, true, 1},
                                               {"TAG", false, true, 0},
                                               {"REGION", false, false, 3},
                                               {"N", true, false, 0}};
    static const char *const cells[] = {"author/a-model-of-a-long-name", "acme/turbo", "DE", "7"};
    static const struct {
        unsigned width;
        const char *wanted;
    } views[] = {
        {60, "MODEL                          TAG         REGION  N\n"
             "author/a-model-of-a-long-name  acme/turbo  DE      7\n"},
        {46, "MODEL                    TAG         REGION  N\n"
             "author/a-mo…a-long-name  acme/turbo  DE      7\n"},
        {40, "MODEL                      TAG         N\n"
             "author/a-mod…-a-long-name  acme/turbo  7\n"},
        {24, "MODEL      TAG         N\n"
             "auth…name  acme/turbo  7\n"},
        {13, "TAG        N\n"
             "acme/turbo 7\n"},
    };

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(views); i++) {
        const struct ctl_term term = {.width = views[i].width};
        struct ctl_table *table = ctl_table_new(arena, fields, SB_ARRAY_LEN(fields));

        for (size_t k = 0; k < SB_ARRAY_LEN(cells); k++)
            ctl_table_add(table, k < 2 ? CTL_NAME : CTL_PLAIN, sb_slice_of(cells[k]));
        assert_written(table, &term, views[i].wanted);
    }
}

static void colours_take_no_width(void **state)
{
    static const char *const cells[] = {"a", "1", "n", NULL};
    const struct ctl_term colour = {.has_colour = true};

    (void)state;
    assert_written(make(cells, CTL_BAD), &colour,
                   "\033[1mNAME\033[0m  \033[1mCOUNT\033[0m  \033[1mNOTE\033[0m\n"
                   "\033[31ma\033[0m         \033[31m1\033[0m  \033[31mn\033[0m\n");
}

static void nothing_steers_the_terminal(void **state)
{
    static const char *const cells[] = {"\033[2J\a\r\n",
                                        "\xc2\x9b"
                                        "1m\x7f",
                                        "\xff\xe2\x80\xae", NULL};

    (void)state;
    assert_written(make(cells, CTL_PLAIN), &plain,
                   "NAME     COUNT  NOTE\n"
                   "?[2J???   ?1m?  ??\n");
}

static void many_rows_are_kept(void **state)
{
    struct ctl_table *table = ctl_table_new(arena, columns, SB_ARRAY_LEN(columns));
    struct sb_buf out;
    size_t lines = 0;

    (void)state;
    for (int i = 0; i < 3000; i++)
        ctl_table_add(table, CTL_PLAIN, sb_arena_printf(arena, "%d", i));
    assert_int_equal(ctl_table_rows(table), 1000);
    sb_buf_init(&out, 1 << 20);
    assert_int_equal(ctl_table_write(table, &plain, &out), SB_OK);
    for (size_t i = 0; i < sb_buf_len(&out); i++)
        lines += sb_buf_slice(&out).p[i] == '\n';
    assert_int_equal(lines, 1001);
    assert_non_null(strstr(sb_arena_dup(arena, sb_buf_slice(&out)).p, "\n2997   2998  2999\n"));
    sb_buf_release(&out);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(columns_are_aligned_and_lines_end_where_text_does),
        TEST(width_is_what_is_seen),
        TEST(what_is_too_wide_loses_its_end),
        TEST(names_lose_their_middle),
        TEST(what_may_not_shrink_stays),
        TEST(columns_leave_for_the_sake_of_others),
        TEST(colours_take_no_width),
        TEST(nothing_steers_the_terminal),
        TEST(many_rows_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
