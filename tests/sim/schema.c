/* tests/sim/schema.c */
#include "tests/sim/schema.h"

#include <math.h>
#include <string.h>

#include "common/json.h"

enum {
    FULL_DEPTH = 8,  /* from here on only what is required */
    LAST_DEPTH = 24, /* a schema that requires itself has no value: give null */
    ITEMS_MAX = 100,
    LENGTH_MAX = 4096,
    VALUES_MAX = 10000, /* of one text: nested minItems multiply */
};

struct writer {
    struct sb_json *json;
    yyjson_val *root;
    int depth;
    int values;
};

static void write_value(struct writer *w, yyjson_val *schema);

static yyjson_val *first_of(yyjson_val *schema, const char *name)
{
    return yyjson_arr_get_first(yyjson_obj_get(schema, name));
}

/* The variant of a union: null is a poor answer, unless we are deep. */
static yyjson_val *variant_of(struct writer *w, yyjson_val *variants)
{
    yyjson_val *variant;
    size_t i, max;

    yyjson_arr_foreach(variants, i, max, variant)
    {
        bool is_null = yyjson_equals_str(yyjson_obj_get(variant, "type"), "null");

        if (is_null == (w->depth >= FULL_DEPTH))
            return variant;
    }
    return yyjson_arr_get_first(variants);
}

static const char *type_of(struct writer *w, yyjson_val *schema)
{
    yyjson_val *type = yyjson_obj_get(schema, "type");
    yyjson_val *one;
    size_t i, max;

    if (yyjson_is_str(type))
        return yyjson_get_str(type);
    yyjson_arr_foreach(type, i, max, one)
    {
        if (yyjson_equals_str(one, "null") == (w->depth >= FULL_DEPTH) && yyjson_is_str(one))
            return yyjson_get_str(one);
    }
    if (yyjson_is_str(yyjson_arr_get_first(type)))
        return yyjson_get_str(yyjson_arr_get_first(type));
    if (yyjson_obj_get(schema, "properties") != NULL)
        return "object";
    if (yyjson_obj_get(schema, "items") != NULL || yyjson_obj_get(schema, "prefixItems") != NULL)
        return "array";
    return "string";
}

static bool is_required(yyjson_val *required, yyjson_val *name)
{
    yyjson_val *one;
    size_t i, max;

    yyjson_arr_foreach(required, i, max, one)
    {
        if (yyjson_equals_strn(one, yyjson_get_str(name), yyjson_get_len(name)))
            return true;
    }
    return false;
}

/* "#", "#/$defs/node", with ~0 and ~1 as RFC 6901 has it. */
static yyjson_val *resolve(struct writer *w, yyjson_val *ref)
{
    const char *text = yyjson_get_str(ref);
    size_t n = yyjson_get_len(ref);

    if (n == 0 || text[0] != '#')
        return NULL;
    return n == 1 ? w->root : yyjson_ptr_getn(w->root, text + 1, n - 1);
}

/* Members of "properties", and of those of each schema of "allOf". */
static void write_members(struct writer *w, yyjson_val *schema, int nested)
{
    yyjson_val *ref = yyjson_obj_get(schema, "$ref");
    yyjson_val *required, *name, *value;
    size_t i, max;

    if (nested >= FULL_DEPTH)
        return;
    schema = yyjson_is_str(ref) ? resolve(w, ref) : schema;
    required = yyjson_obj_get(schema, "required");

    yyjson_obj_foreach(yyjson_obj_get(schema, "properties"), i, max, name, value)
    {
        if (w->depth >= FULL_DEPTH && !is_required(required, name))
            continue;
        sb_json_name(w->json, sb_json_text(name));
        write_value(w, value);
    }
    yyjson_arr_foreach(yyjson_obj_get(schema, "allOf"), i, max, value)
    {
        write_members(w, value, nested + 1);
    }
}

static void write_object(struct writer *w, yyjson_val *schema)
{
    sb_json_open_object(w->json);
    write_members(w, schema, 0);
    sb_json_close_object(w->json);
}

static uint64_t number_of(yyjson_val *schema, const char *name, uint64_t fallback, uint64_t max)
{
    uint64_t number;

    if (sb_json_get_u64(schema, name, &number) != SB_OK)
        return fallback;
    return number < max ? number : max;
}

static void write_array(struct writer *w, yyjson_val *schema)
{
    yyjson_val *items = yyjson_obj_get(schema, "items");
    uint64_t most = number_of(schema, "maxItems", ITEMS_MAX, ITEMS_MAX);
    uint64_t n =
        number_of(schema, "minItems", w->depth < FULL_DEPTH && most > 0 ? 1 : 0, ITEMS_MAX);
    yyjson_val *value;
    size_t i, max, written = 0;

    sb_json_open_array(w->json);
    yyjson_arr_foreach(yyjson_obj_get(schema, "prefixItems"), i, max, value)
    {
        write_value(w, value);
        written++;
    }
    for (; written < n && yyjson_is_obj(items); written++)
        write_value(w, items);
    sb_json_close_array(w->json);
}

static void write_string(struct writer *w, yyjson_val *schema)
{
    static const struct {
        const char *format, *example;
    } examples[] = {
        {"date-time", "2026-01-02T03:04:05Z"},
        {"date", "2026-01-02"},
        {"time", "03:04:05Z"},
        {"duration", "P1D"},
        {"email", "someone@example.com"},
        {"hostname", "example.com"},
        {"ipv4", "192.0.2.1"},
        {"ipv6", "2001:db8::1"},
        {"uri", "https://example.com/"},
        {"uuid", "00000000-0000-4000-8000-000000000000"},
    };
    yyjson_val *format = yyjson_obj_get(schema, "format");
    uint64_t least = number_of(schema, "minLength", 0, LENGTH_MAX);
    uint64_t most = number_of(schema, "maxLength", LENGTH_MAX, LENGTH_MAX);
    char text[LENGTH_MAX];
    struct sb_slice word = SB_SLICE_LIT("simulated");
    size_t n;

    for (size_t i = 0; i < SB_ARRAY_LEN(examples); i++) {
        if (yyjson_equals_str(format, examples[i].format)) {
            sb_json_put_text(w->json, sb_slice_of(examples[i].example));
            return;
        }
    }
    n = word.n < least ? least : word.n;
    n = n > most ? most : n;
    for (size_t i = 0; i < n; i++)
        text[i] = word.p[i % word.n];
    sb_json_put_text(w->json, sb_slice_make(text, n));
}

static double bound(yyjson_val *schema, const char *name, double fallback)
{
    yyjson_val *value = yyjson_obj_get(schema, name);

    return yyjson_is_num(value) ? yyjson_get_num(value) : fallback;
}

struct range {
    double low, high;
    bool low_open, high_open; /* the bound itself is outside */
};

static struct range range_of(yyjson_val *schema)
{
    double above = bound(schema, "exclusiveMinimum", -INFINITY);
    double below = bound(schema, "exclusiveMaximum", INFINITY);
    struct range range = {.low = bound(schema, "minimum", -INFINITY),
                          .high = bound(schema, "maximum", INFINITY)};

    range.low_open = above >= range.low && above > -INFINITY;
    range.high_open = below <= range.high && below < INFINITY;
    range.low = range.low_open ? above : range.low;
    range.high = range.high_open ? below : range.high;
    return range;
}

/* The multiples of step that are inside. */
static struct range multiples_of(struct range range, double step)
{
    double low = ceil(range.low / step) * step;
    double high = floor(range.high / step) * step;

    if (range.low_open && low <= range.low)
        low += step;
    if (range.high_open && high >= range.high)
        high -= step;
    return (struct range){.low = low, .high = high};
}

static double number_in(struct range range)
{
    if (range.low > -INFINITY && range.high < INFINITY)
        return range.low + (range.high - range.low) / 2;
    if (range.low > -INFINITY)
        return range.low_open ? range.low + 1 : range.low;
    return range.high_open ? range.high - 1 : range.high;
}

static void write_number(struct writer *w, yyjson_val *schema, bool integer)
{
    double step = bound(schema, "multipleOf", integer ? 1 : 0);
    struct range range = range_of(schema);
    double number = 7;

    if (step > 0) {
        range = multiples_of(range, step);
        number = floor(number / step) * step;
        if (number < range.low || number > range.high)
            number = range.low > -INFINITY ? range.low : range.high;
    } else if (number < range.low || number > range.high ||
               (range.low_open && number == range.low) ||
               (range.high_open && number == range.high)) {
        number = number_in(range);
    }
    if (fabs(number) < 1e15 && number == floor(number))
        sb_json_put_i64(w->json, (int64_t)number);
    else
        sb_json_put_double(w->json, number);
}

/* A value that is a choice or a fixed one; false: it has to be made. */
static bool write_given(struct writer *w, yyjson_val *schema)
{
    static const char *const unions[] = {"anyOf", "oneOf"};
    yyjson_val *given = yyjson_obj_get(schema, "const");

    if (given == NULL)
        given = first_of(schema, "enum");
    if (given == NULL)
        given = yyjson_obj_get(schema, "default");
    if (given != NULL) {
        sb_json_put_value(w->json, given);
        return true;
    }
    if (yyjson_is_str(yyjson_obj_get(schema, "$ref"))) {
        write_value(w, resolve(w, yyjson_obj_get(schema, "$ref")));
        return true;
    }
    for (size_t i = 0; i < SB_ARRAY_LEN(unions); i++) {
        yyjson_val *variants = yyjson_obj_get(schema, unions[i]);

        if (yyjson_arr_size(variants) > 0) {
            write_value(w, variant_of(w, variants));
            return true;
        }
    }
    return false;
}

static void write_made(struct writer *w, yyjson_val *schema)
{
    const char *type;

    /* One that only bundles others, usually a single $ref with a description. */
    if (yyjson_obj_get(schema, "type") == NULL && yyjson_obj_get(schema, "properties") == NULL &&
        yyjson_arr_size(yyjson_obj_get(schema, "allOf")) == 1) {
        write_value(w, first_of(schema, "allOf"));
        return;
    }
    type = yyjson_obj_get(schema, "allOf") != NULL && yyjson_obj_get(schema, "type") == NULL
               ? "object"
               : type_of(w, schema);
    if (strcmp(type, "object") == 0)
        write_object(w, schema);
    else if (strcmp(type, "array") == 0)
        write_array(w, schema);
    else if (strcmp(type, "string") == 0)
        write_string(w, schema);
    else if (strcmp(type, "integer") == 0 || strcmp(type, "number") == 0)
        write_number(w, schema, strcmp(type, "integer") == 0);
    else if (strcmp(type, "boolean") == 0)
        sb_json_put_bool(w->json, true);
    else
        sb_json_put_null(w->json);
}

static void write_value(struct writer *w, yyjson_val *schema)
{
    if (!yyjson_is_obj(schema) || w->depth >= LAST_DEPTH || w->values++ >= VALUES_MAX) {
        sb_json_put_null(w->json);
        return;
    }
    w->depth++;
    if (!write_given(w, schema))
        write_made(w, schema);
    w->depth--;
}

void sim_schema_write(struct sb_json *json, yyjson_val *schema, yyjson_val *root)
{
    struct writer w = {.json = json, .root = root};

    write_value(&w, schema);
}
