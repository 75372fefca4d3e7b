/* tests/sim/embedding.c */
#include "tests/sim/embedding.h"

#include <math.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/json.h"
#include "common/mem.h"
#include "tests/sim/behaviour.h"
#include "tests/sim/error.h"
#include "tests/sim/request.h"
#include "tests/sim/rng.h"

enum { INPUT_MAX = 64 << 20, INPUTS_MAX = 2048, PAD = 64 /* '=' in base64 */ };

/* --- vectors ----------------------------------------------------------------- */

/* FNV-1a: short, and good enough to tell inputs apart. */
static uint64_t hash_of(struct sb_slice bytes)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < bytes.n; i++)
        hash = (hash ^ (unsigned char)bytes.p[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static void fill_vector(float *vector, int64_t dimensions, struct sb_slice input)
{
    struct sim_rng rng = sim_rng_of(hash_of(input), 0);
    double sum = 0;

    for (int64_t i = 0; i < dimensions; i++) {
        double x = 2 * sim_rng_unit(&rng) - 1;

        vector[i] = (float)x;
        sum += x * x;
    }
    for (int64_t i = 0; i < dimensions; i++)
        vector[i] = (float)(vector[i] / sqrt(sum > 0 ? sum : 1));
}

static int put_base64(struct sb_json *json, const unsigned char *bytes, size_t n)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    SB_CLEANUP(sb_buf_release) struct sb_buf text;

    sb_buf_init(&text, n / 3 * 4 + 8);
    if (sb_buf_reserve(&text, n / 3 * 4 + 8) != SB_OK)
        return SB_ENOMEM;
    for (size_t i = 0; i < n; i += 3) {
        unsigned left = n - i < 3 ? (unsigned)(n - i) : 3;
        unsigned group = (unsigned)bytes[i] << 16 | (left > 1 ? (unsigned)bytes[i + 1] << 8 : 0) |
                         (left > 2 ? bytes[i + 2] : 0);
        char *out = sb_buf_end(&text);

        out[0] = digits[group >> 18];
        out[1] = digits[group >> 12 & 63];
        out[2] = digits[left > 1 ? group >> 6 & 63 : PAD];
        out[3] = digits[left > 2 ? group & 63 : PAD];
        sb_buf_commit(&text, 4);
    }
    sb_json_put_text(json, sb_buf_slice(&text));
    return SB_OK;
}

static int put_vector(struct sb_json *json, struct sb_slice input, int64_t dimensions, bool base64)
{
    float *vector = sb_mem_new((size_t)dimensions * sizeof(*vector));
    int rc = SB_OK;

    fill_vector(vector, dimensions, input);
    if (base64) {
        /* Little-endian, as numpy and every client read it. */
        rc = put_base64(json, (const unsigned char *)vector, (size_t)dimensions * sizeof(*vector));
    } else {
        sb_json_open_array(json);
        for (int64_t i = 0; i < dimensions; i++)
            sb_json_put_double(json, (double)vector[i]);
        sb_json_close_array(json);
    }
    sb_mem_free(vector);
    return rc;
}

/* --- embeddings ---------------------------------------------------------------- */

struct writer {
    struct sb_json json;
    int64_t dimensions;
    int64_t index;
    bool base64;
    int rc;
};

static void put_one(struct writer *w, struct sb_slice input)
{
    if (w->rc != SB_OK)
        return;
    sb_json_open_object(&w->json);
    sb_json_add_text(&w->json, "object", SB_SLICE_LIT("embedding"));
    sb_json_add_i64(&w->json, "index", w->index++);
    sb_json_name(&w->json, SB_SLICE_LIT("embedding"));
    w->rc = put_vector(&w->json, input, w->dimensions, w->base64);
    sb_json_close_object(&w->json);
}

/* A value as text, to be hashed: a string's characters, or token numbers. */
static void put_input(struct writer *w, yyjson_val *value)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf text;
    struct sb_json json;

    sb_buf_init(&text, INPUT_MAX);
    if (yyjson_is_str(value)) {
        put_one(w, sb_json_text(value));
        return;
    }
    sb_json_init(&json, &text);
    sb_json_put_value(&json, value);
    w->rc = w->rc == SB_OK ? sb_json_end(&json) : w->rc;
    put_one(w, sb_buf_slice(&text));
}

/* One text, one list of tokens, or a list of either. */
static void put_inputs(struct writer *w, yyjson_val *input)
{
    yyjson_val *one;
    size_t i, max;

    if (yyjson_is_str(input) || yyjson_is_num(yyjson_arr_get_first(input))) {
        put_input(w, input);
        return;
    }
    yyjson_arr_foreach(input, i, max, one)
    {
        put_input(w, one);
    }
}

static bool is_good_input(yyjson_val *input)
{
    yyjson_val *one;
    size_t i, max;
    yyjson_type type = yyjson_get_type(yyjson_arr_get_first(input));

    if (yyjson_is_str(input))
        return true;
    if (type != YYJSON_TYPE_STR && type != YYJSON_TYPE_NUM && type != YYJSON_TYPE_ARR)
        return false;
    yyjson_arr_foreach(input, i, max, one)
    {
        if (yyjson_get_type(one) != type)
            return false;
    }
    return type == YYJSON_TYPE_NUM || yyjson_arr_size(input) <= INPUTS_MAX;
}

int sim_embedding_write(const struct sim_request *request, const struct sim_behaviour *behaviour,
                        struct sb_buf *out, struct sim_error *error)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    int64_t tokens = behaviour->prompt_tokens >= 0 ? behaviour->prompt_tokens
                                                   : (int64_t)(request->input.n + 3) / 4;
    struct writer w = {.base64 = request->base64, .rc = SB_OK};
    int end;

    w.dimensions = request->dimensions > 0 ? request->dimensions : behaviour->dimensions;
    if (sb_json_read(request->input, INPUT_MAX, &doc, NULL) != SB_OK ||
        !is_good_input(yyjson_doc_get_root(doc)))
        return sim_error_set(error, 400, "input", "Invalid 'input'.");
    sb_json_init(&w.json, out);
    sb_json_open_object(&w.json);
    sb_json_add_text(&w.json, "object", SB_SLICE_LIT("list"));
    sb_json_add_array(&w.json, "data");
    put_inputs(&w, yyjson_doc_get_root(doc));
    sb_json_close_array(&w.json);
    sb_json_add_raw(&w.json, "model", request->model);
    if (!behaviour->no_usage) {
        sb_json_add_object(&w.json, "usage");
        sb_json_add_i64(&w.json, "prompt_tokens", tokens);
        sb_json_add_i64(&w.json, "total_tokens", tokens);
        sb_json_close_object(&w.json);
    }
    sb_json_close_object(&w.json);
    end = sb_json_end(&w.json);
    if (w.rc != SB_OK || end != SB_OK)
        return sim_error_set(error, 400, "input", "The answer would be too large.");
    return 0;
}
