/* tests/unit/common/test_list.c */
#include "common/list.h"

#include "tests/lib/test.h"

struct item {
    int value;
    struct sb_list link;
};

static struct item items[4];
static struct sb_list list;

static int set_up(void **state)
{
    (void)state;
    sb_list_init(&list);
    for (int i = 0; i < 4; i++) {
        items[i].value = i;
        sb_list_init(&items[i].link);
    }
    return 0;
}

/* The values in order, as one decimal number with a leading 9. */
static int shape(const struct sb_list *of)
{
    int number = 9;

    sb_list_for_each(at, of)
    {
        assert_ptr_equal(at->next->prev, at);
        number = number * 10 + container_of(at, struct item, link)->value;
    }
    return number;
}

static void keeps_the_order_of_adding(void **state)
{
    (void)state;
    assert_true(sb_list_is_empty(&list));
    assert_null(sb_list_first(&list));
    assert_null(sb_list_last(&list));
    sb_list_add_tail(&list, &items[1].link);
    sb_list_add_tail(&list, &items[2].link);
    sb_list_add_head(&list, &items[0].link);
    sb_list_insert(&items[2].link, &items[3].link);
    assert_int_equal(shape(&list), 90132);
    assert_int_equal(sb_list_count(&list), 4);
    assert_ptr_equal(sb_list_first(&list), &items[0].link);
    assert_ptr_equal(sb_list_last(&list), &items[2].link);
}

static void an_item_leaves_knowing_only_itself_and_twice_is_harmless(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        sb_list_add_tail(&list, &items[i].link);
    assert_true(sb_list_is_linked(&items[1].link));
    sb_list_remove(&items[1].link);
    sb_list_remove(&items[1].link);
    assert_false(sb_list_is_linked(&items[1].link));
    assert_int_equal(shape(&list), 902);
    assert_ptr_equal(sb_list_pop(&list), &items[0].link);
    assert_ptr_equal(sb_list_pop(&list), &items[2].link);
    assert_null(sb_list_pop(&list));
    assert_false(sb_list_is_linked(&items[2].link));
}

static void an_item_moves_between_lists(void **state)
{
    struct sb_list other;

    (void)state;
    sb_list_init(&other);
    for (int i = 0; i < 4; i++)
        sb_list_add_tail(&list, &items[i].link);
    sb_list_move(&items[0].link, &other);
    sb_list_move(&items[2].link, &other);
    assert_int_equal(shape(&list), 913);
    assert_int_equal(shape(&other), 902);
    sb_list_move(&items[0].link, &other);
    assert_int_equal(shape(&other), 920);
    sb_list_append_all(&list, &other);
    assert_int_equal(shape(&list), 91320);
    assert_true(sb_list_is_empty(&other));
    sb_list_append_all(&list, &other);
    assert_int_equal(shape(&list), 91320);
}

static void the_safe_loop_survives_removal(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        sb_list_add_tail(&list, &items[i].link);
    sb_list_for_each_safe(at, &list)
    {
        if (container_of(at, struct item, link)->value % 2 == 0)
            sb_list_remove(at);
    }
    assert_int_equal(shape(&list), 913);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(keeps_the_order_of_adding, set_up),
        cmocka_unit_test_setup(an_item_leaves_knowing_only_itself_and_twice_is_harmless, set_up),
        cmocka_unit_test_setup(an_item_moves_between_lists, set_up),
        cmocka_unit_test_setup(the_safe_loop_survives_removal, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
