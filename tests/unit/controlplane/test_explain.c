/* tests/unit/controlplane/test_explain.c */
#include "controlplane/publish/explain.h"

#include "common/mem.h"
#include "controlplane/mail.h"
#include "tests/lib/test.h"

static int freed;

static void free_ask(struct sb_ask *ask)
{
    struct cp_ask_explain *explain = container_of(ask, struct cp_ask_explain, ask);

    sb_buf_release(&explain->out);
    sb_mem_free(explain);
    freed++;
}

/* A question under way: held by the asker, too. */
static struct cp_ask_explain *make(void)
{
    struct cp_ask_explain *explain = sb_mem_new(sizeof(*explain));

    sb_ask_init(&explain->ask, CP_ASK_EXPLAIN, free_ask);
    (void)atomic_fetch_add(&explain->ask.refs, 1);
    sb_buf_init(&explain->out, 64);
    return explain;
}

static void expect(struct cp_ask_explain *explain, int rc)
{
    assert_true(sb_ask_is_done(&explain->ask));
    assert_int_equal(explain->ask.rc, rc);
    sb_ask_release(&explain->ask);
}

static void an_answer_finds_its_question(void **state)
{
    struct cp_ask_explain *a = make(), *b = make();
    struct cp_explains explains = {.last_id = 0};
    uint64_t id_a = cp_explains_next(&explains), id_b = cp_explains_next(&explains);

    (void)state;
    assert_true(id_a != id_b);
    cp_explains_add(&explains, id_a, a, 0);
    cp_explains_add(&explains, id_b, b, 0);
    cp_explains_answer(&explains, id_b + 1, 200, SB_SLICE_LIT("nobody's"));
    cp_explains_answer(&explains, id_a, 404, SB_SLICE_LIT("{}"));
    assert_false(sb_ask_is_done(&b->ask));
    assert_int_equal(a->status, 404);
    assert_true(sb_slice_is(sb_buf_slice(&a->out), "{}"));
    expect(a, SB_OK);
    cp_explains_answer(&explains, id_a, 200, SB_SLICE_LIT("again"));
    cp_explains_answer(&explains, id_b, 200, SB_SLICE_NONE);
    expect(b, SB_OK);
    assert_null(explains.first);
}

static void an_answer_that_is_too_long_is_an_error(void **state)
{
    struct cp_explains explains = {.last_id = 0};
    struct cp_ask_explain *a = make();
    static const char text[100];

    (void)state;
    cp_explains_add(&explains, 1, a, 0);
    cp_explains_answer(&explains, 1, 200, sb_slice_make(text, sizeof(text)));
    expect(a, SB_ETOOBIG);
}

static void those_that_wait_too_long_are_told(void **state)
{
    struct cp_ask_explain *a = make(), *b = make();
    struct cp_explains explains = {.last_id = 0};

    (void)state;
    cp_explains_add(&explains, 1, a, 1000);
    cp_explains_add(&explains, 2, b, 2000);
    cp_explains_expire(&explains, 1000 + CP_EXPLAIN_PATIENCE - 1);
    assert_false(sb_ask_is_done(&a->ask));
    cp_explains_expire(&explains, 1000 + CP_EXPLAIN_PATIENCE);
    expect(a, SB_ETIMEDOUT);
    assert_false(sb_ask_is_done(&b->ask));
    cp_explains_cancel(&explains);
    expect(b, SB_ECANCELED);
    assert_null(explains.first);
}

static int all_is_freed(void **state)
{
    (void)state;
    return freed == 5 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_finds_its_question),
        cmocka_unit_test(an_answer_that_is_too_long_is_an_error),
        cmocka_unit_test(those_that_wait_too_long_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, all_is_freed);
}
