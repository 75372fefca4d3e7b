/* tests/unit/controlplane/test_models_list.c */
#include "controlplane/probes/models_list.h"

#include "common/arena.h"
#include "common/buf.h"
#include "tests/lib/test.h"

static struct sb_arena *arena;
static struct cp_listed *models;
static size_t n;

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

static int read_text(const char *text)
{
    struct sb_errmsg err;

    return cp_models_read(sb_slice_of(text), arena, &models, &n, &err);
}

static const struct cp_listed *find(const char *id)
{
    return cp_models_find(models, n, sb_slice_of(id));
}

static void openrouters_shape_has_prices_and_context(void **state)
{
    (void)state;
    assert_int_equal(
        read_text(
            "{\"data\":["
            "{\"id\":\"z/one\",\"context_length\":131072,\"pricing\":{\"prompt\":\"0.0000001\","
            "\"completion\":\"0.0000003\",\"request\":\"0\",\"image\":\"-1\","
            "\"input_cache_read\":\"0.00000001\",\"internal_reasoning\":3e-7,\"x\":\"9\"}},"
            "{\"id\":\"a/two\"}]}"),
        SB_OK);
    assert_int_equal(n, 2);
    assert_int_equal(find("z/one")->context_length, 131072);
    assert_int_equal(find("z/one")->price[MSG_PRICE_PROMPT], 100000000);
    assert_int_equal(find("z/one")->price[MSG_PRICE_COMPLETION], 300000000);
    assert_int_equal(find("z/one")->price[MSG_PRICE_REQUEST], 0);
    assert_int_equal(find("z/one")->price[MSG_PRICE_IMAGE], -1); /* it depends */
    assert_int_equal(find("z/one")->price[MSG_PRICE_CACHE_READ], 10000000);
    assert_int_equal(find("z/one")->price[MSG_PRICE_REASONING], 300000000);
    assert_int_equal(find("z/one")->price[MSG_PRICE_AUDIO], -1);
    assert_int_equal(find("a/two")->context_length, 0);
    assert_int_equal(find("a/two")->price[MSG_PRICE_PROMPT], -1);
    assert_null(find("a/tw"));
    assert_null(find("a/two2"));
}

static void the_plain_shape_has_names(void **state)
{
    (void)state;
    assert_int_equal(read_text("{\"object\":\"list\",\"data\":[{\"id\":\"b\",\"object\":\"model\"},"
                               "{\"id\":\"a\",\"max_model_len\":4096},"
                               "{\"id\":\"c\",\"context_window\":8192}]}"),
                     SB_OK);
    assert_int_equal(n, 3);
    assert_int_equal(find("a")->context_length, 4096);
    assert_int_equal(find("c")->context_length, 8192);
    assert_int_equal(read_text("[{\"id\":\"bare\"}]"), SB_OK);
    assert_non_null(find("bare"));
}

static void what_cannot_be_read_of_a_model_is_left_out(void **state)
{
    (void)state;
    assert_int_equal(
        read_text("{\"data\":[7,null,{},{\"id\":9},{\"id\":\"\"},"
                  "{\"id\":\"m\",\"context_length\":-4,\"pricing\":{\"prompt\":\"cheap\","
                  "\"completion\":{},\"request\":\"1e-20\",\"image\":\"99999999999999\"}},"
                  "{\"id\":\"k\",\"pricing\":\"free\",\"context_length\":\"4k\"}]}"),
        SB_OK);
    assert_int_equal(n, 2);
    assert_int_equal(find("m")->context_length, 0);
    for (int kind = 0; kind < MSG_PRICE_COUNT; kind++)
        assert_int_equal(find("m")->price[kind], -1);
}

static void what_is_no_list_is_refused(void **state)
{
    static const char *const texts[] = {
        "", "<html>", "7", "{}", "{\"data\":{}}", "{\"data\":[", "{\"models\":[{\"id\":\"x\"}]}"};
    size_t before = 99;

    (void)state;
    for (size_t i = 0; i < SB_ARRAY_LEN(texts); i++) {
        n = before;
        assert_int_equal(read_text(texts[i]), SB_EPARSE);
        assert_int_equal(n, before);
    }
}

static void there_is_an_end_to_what_is_read(void **state)
{
    struct sb_errmsg err;
    struct sb_buf text;

    (void)state;
    sb_buf_init(&text, CP_MODELS_BYTES_MAX + 1);
    assert_int_equal(sb_buf_append_byte(&text, '['), SB_OK);
    for (int i = 0; i <= CP_MODELS_MAX; i++)
        assert_int_equal(sb_buf_append_text(&text, i > 0 ? ",0" : "0"), SB_OK);
    assert_int_equal(sb_buf_append_byte(&text, ']'), SB_OK);
    assert_int_equal(cp_models_read(sb_buf_slice(&text), arena, &models, &n, &err), SB_ETOOBIG);
    while (sb_buf_len(&text) <= CP_MODELS_BYTES_MAX)
        assert_int_equal(sb_buf_append_byte(&text, ' '), SB_OK);
    assert_int_equal(cp_models_read(sb_buf_slice(&text), arena, &models, &n, &err), SB_ETOOBIG);
    sb_buf_release(&text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(openrouters_shape_has_prices_and_context),
        TEST(the_plain_shape_has_names),
        TEST(what_cannot_be_read_of_a_model_is_left_out),
        TEST(what_is_no_list_is_refused),
        TEST(there_is_an_end_to_what_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
