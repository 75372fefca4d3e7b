/* tests/unit/sim/test_schema.c */
#include "tests/sim/schema.h"

#include "common/buf.h"
#include "common/err.h"
#include "common/json.h"
#include "tests/lib/test.h"

static void check(const char *schema, const char *value)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    SB_CLEANUP(sb_buf_release) struct sb_buf text;
    struct sb_json json;

    sb_buf_init(&text, 1 << 20);
    assert_int_equal(sb_json_read(sb_slice_of(schema), 1 << 20, &doc, NULL), SB_OK);
    sb_json_init(&json, &text);
    sim_schema_write(&json, yyjson_doc_get_root(doc), yyjson_doc_get_root(doc));
    assert_int_equal(sb_json_end(&json), SB_OK);
    assert_int_equal(sb_buf_append_byte(&text, '\0'), SB_OK);
    assert_string_equal(sb_buf_slice(&text).p, value);
}

static void each_type_has_its_value(void **state)
{
    (void)state;
    check("{\"type\":\"string\"}", "\"simulated\"");
    check("{\"type\":\"integer\"}", "7");
    check("{\"type\":\"number\"}", "7");
    check("{\"type\":\"boolean\"}", "true");
    check("{\"type\":\"null\"}", "null");
    check("{\"type\":\"object\"}", "{}");
    check("{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}", "[7]");
    check("{\"type\":[\"null\",\"boolean\"]}", "true");
}

static void every_property_is_given_with_its_type(void **state)
{
    (void)state;
    check("{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"},"
          "\"days\":{\"type\":\"integer\"},\"units\":{\"enum\":[\"c\",\"f\"]}},"
          "\"required\":[\"city\"]}",
          "{\"city\":\"simulated\",\"days\":7,\"units\":\"c\"}");
}

static void given_values_come_first(void **state)
{
    (void)state;
    check("{\"const\":{\"a\":[1]}}", "{\"a\":[1]}");
    check("{\"type\":\"string\",\"enum\":[\"x\",\"y\"]}", "\"x\"");
    check("{\"type\":\"integer\",\"default\":3}", "3");
}

static void numbers_keep_their_bounds(void **state)
{
    (void)state;
    check("{\"type\":\"integer\",\"minimum\":10}", "10");
    check("{\"type\":\"integer\",\"maximum\":-3}", "-3");
    check("{\"type\":\"integer\",\"exclusiveMinimum\":10}", "11");
    check("{\"type\":\"integer\",\"exclusiveMaximum\":5}", "4");
    check("{\"type\":\"integer\",\"multipleOf\":5}", "5");
    check("{\"type\":\"integer\",\"multipleOf\":5,\"minimum\":6}", "10");
    check("{\"type\":\"number\",\"exclusiveMinimum\":0,\"exclusiveMaximum\":1}", "0.5");
    check("{\"type\":\"number\",\"exclusiveMaximum\":7}", "6");
    check("{\"type\":\"number\",\"minimum\":8.5}", "8.5");
}

static void texts_keep_their_lengths_and_formats(void **state)
{
    (void)state;
    check("{\"type\":\"string\",\"maxLength\":3}", "\"sim\"");
    check("{\"type\":\"string\",\"minLength\":12}", "\"simulatedsim\"");
    check("{\"type\":\"string\",\"format\":\"email\"}", "\"someone@example.com\"");
}

static void arrays_keep_their_sizes(void **state)
{
    (void)state;
    check("{\"type\":\"array\",\"items\":{\"type\":\"null\"},\"minItems\":3}", "[null,null,null]");
    check("{\"type\":\"array\",\"items\":{\"type\":\"null\"},\"maxItems\":0}", "[]");
    check("{\"type\":\"array\",\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"boolean\"}]}",
          "[7,true]");
}

static void unions_give_a_value_rather_than_null(void **state)
{
    (void)state;
    check("{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"integer\"}]}", "7");
    check("{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"integer\"}]}", "\"simulated\"");
}

static void references_are_followed(void **state)
{
    (void)state;
    check("{\"$defs\":{\"a/b\":{\"type\":\"integer\"}},\"type\":\"object\","
          "\"properties\":{\"n\":{\"$ref\":\"#/$defs/a~1b\"}}}",
          "{\"n\":7}");
    check("{\"$defs\":{\"s\":{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"}}}},"
          "\"allOf\":[{\"$ref\":\"#/$defs/s\"}]}",
          "{\"n\":7}");
    check("{\"allOf\":[{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}}},"
          "{\"properties\":{\"b\":{\"type\":\"boolean\"}}}]}",
          "{\"a\":7,\"b\":true}");
}

static void what_never_ends_is_ended(void **state)
{
    (void)state;
    check("{\"$ref\":\"#\"}", "null");
    check("{\"$ref\":\"#/nowhere\"}", "null");
    check("{\"type\":\"array\",\"items\":{\"$ref\":\"#\"},\"maxItems\":1}",
          "[[[[[]]]]]"); /* optional: ends where only required things are written */
}

static void nested_sizes_do_not_multiply_without_bound(void **state)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    SB_CLEANUP(sb_buf_release) struct sb_buf text;
    struct sb_json json;
    const char *schema = "{\"type\":\"array\",\"minItems\":100,\"items\":{\"type\":\"array\","
                         "\"minItems\":100,\"items\":{\"type\":\"array\",\"minItems\":100,"
                         "\"items\":{\"type\":\"array\",\"minItems\":100,\"items\":{\"type\":"
                         "\"string\"}}}}}";

    (void)state;
    sb_buf_init(&text, 64 << 20);
    assert_int_equal(sb_json_read(sb_slice_of(schema), 1 << 20, &doc, NULL), SB_OK);
    sb_json_init(&json, &text);
    sim_schema_write(&json, yyjson_doc_get_root(doc), yyjson_doc_get_root(doc));
    assert_int_equal(sb_json_end(&json), SB_OK);
    assert_true(sb_buf_len(&text) < 200000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_has_its_value),
        cmocka_unit_test(every_property_is_given_with_its_type),
        cmocka_unit_test(given_values_come_first),
        cmocka_unit_test(numbers_keep_their_bounds),
        cmocka_unit_test(texts_keep_their_lengths_and_formats),
        cmocka_unit_test(arrays_keep_their_sizes),
        cmocka_unit_test(unions_give_a_value_rather_than_null),
        cmocka_unit_test(references_are_followed),
        cmocka_unit_test(what_never_ends_is_ended),
        cmocka_unit_test(nested_sizes_do_not_multiply_without_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
