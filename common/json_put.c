/* common/json_put.c - the writing half of common/json.h. */
#include "common/json.h"

#include <math.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/check.h"
#include "common/mem.h"
#include "common/num.h"

/* A bit per level in a word. */
enum { DEPTH_MAX = 63 };

void sb_json_init(struct sb_json *json, struct sb_buf *out)
{
    *json = (struct sb_json){.out = out, .start = sb_buf_len(out), .rc = SB_OK};
}

int sb_json_end(struct sb_json *json)
{
    SB_BUG_ON(json->rc == SB_OK && (json->depth > 0 || json->named));
    if (json->rc != SB_OK)
        json->out->tail = json->out->head + json->start;
    return json->rc;
}

static void put(struct sb_json *json, struct sb_slice text)
{
    if (json->rc == SB_OK)
        json->rc = sb_buf_append(json->out, text);
}

static bool in_array(const struct sb_json *json)
{
    return (json->arrays >> json->depth & 1) != 0;
}

/* Before a name or an element. */
static void separate(struct sb_json *json)
{
    uint64_t bit = UINT64_C(1) << json->depth;

    if (json->depth > 0 && (json->filled & bit) != 0)
        put(json, SB_SLICE_LIT(","));
    json->filled |= bit;
}

/* Before a value: it is an element, or its name is there. */
static void begin_value(struct sb_json *json)
{
    if (json->depth == 0 || in_array(json))
        separate(json);
    else
        SB_BUG_ON(!json->named);
    json->named = false;
}

static void open_level(struct sb_json *json, bool array)
{
    uint64_t bit;

    begin_value(json);
    SB_BUG_ON(json->depth == DEPTH_MAX);
    put(json, array ? SB_SLICE_LIT("[") : SB_SLICE_LIT("{"));
    bit = UINT64_C(1) << ++json->depth;
    json->arrays = array ? json->arrays | bit : json->arrays & ~bit;
    json->filled &= ~bit;
}

static void close_level(struct sb_json *json, bool array)
{
    SB_BUG_ON(json->depth == 0 || in_array(json) != array || json->named);
    json->depth--;
    put(json, array ? SB_SLICE_LIT("]") : SB_SLICE_LIT("}"));
}

void sb_json_open_object(struct sb_json *json)
{
    open_level(json, false);
}

void sb_json_close_object(struct sb_json *json)
{
    close_level(json, false);
}

void sb_json_open_array(struct sb_json *json)
{
    open_level(json, true);
}

void sb_json_close_array(struct sb_json *json)
{
    close_level(json, true);
}

/* --- strings --------------------------------------------------------------- */

/* Bytes of the character at p, or 0 when they are not UTF-8. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4 || n < 2 || (p[1] & 0xc0) != 0x80)
        return 0;
    if (p[0] < 0xe0)
        return 2;
    if (n < 3 || (p[2] & 0xc0) != 0x80)
        return 0;
    if (p[0] < 0xf0)
        return (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ? 0 : 3;
    if (n < 4 || (p[3] & 0xc0) != 0x80)
        return 0;
    return (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f) ? 0 : 4;
}

static void put_escape(struct sb_json *json, unsigned char c)
{
    static const char named[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *at = c != 0 ? memchr(named, c, sizeof(named) - 1) : NULL;
    char text[6] = {'\\', 'u', '0', '0', "0123456789abcdef"[c >> 4], "0123456789abcdef"[c & 15]};

    if (at != NULL) {
        text[1] = letters[at - named];
        put(json, sb_slice_make(text, 2));
    } else {
        put(json, sb_slice_make(text, 6));
    }
}

static void put_string(struct sb_json *json, struct sb_slice text)
{
    const unsigned char *p = (const unsigned char *)text.p;
    size_t from = 0, i = 0;

    put(json, SB_SLICE_LIT("\""));
    while (i < text.n) {
        size_t n = utf8_length(p + i, text.n - i);

        if (n > 0 && p[i] >= ' ' && p[i] != '"' && p[i] != '\\') {
            i += n;
            continue;
        }
        put(json, sb_slice_make(text.p + from, i - from));
        if (n == 0)
            put(json, SB_SLICE_LIT("\xef\xbf\xbd"));
        else
            put_escape(json, p[i]);
        from = ++i;
    }
    if (i > from) /* no bytes may be at no address */
        put(json, sb_slice_make(text.p + from, i - from));
    put(json, SB_SLICE_LIT("\""));
}

void sb_json_name(struct sb_json *json, struct sb_slice name)
{
    SB_BUG_ON(json->depth == 0 || in_array(json) || json->named);
    separate(json);
    put_string(json, name);
    put(json, SB_SLICE_LIT(":"));
    json->named = true;
}

/* --- values ---------------------------------------------------------------- */

void sb_json_put_text(struct sb_json *json, struct sb_slice text)
{
    begin_value(json);
    put_string(json, text);
}

void sb_json_put_raw(struct sb_json *json, struct sb_slice text)
{
    begin_value(json);
    put(json, text);
}

void sb_json_put_i64(struct sb_json *json, int64_t number)
{
    char text[SB_NUM_I64_MAX];

    sb_json_put_raw(json, sb_slice_make(text, sb_num_put_i64(text, number)));
}

void sb_json_put_u64(struct sb_json *json, uint64_t number)
{
    char text[SB_NUM_U64_MAX];

    sb_json_put_raw(json, sb_slice_make(text, sb_num_put_u64(text, number)));
}

void sb_json_put_bool(struct sb_json *json, bool value)
{
    sb_json_put_raw(json, value ? SB_SLICE_LIT("true") : SB_SLICE_LIT("false"));
}

void sb_json_put_null(struct sb_json *json)
{
    sb_json_put_raw(json, SB_SLICE_LIT("null"));
}

/* yyjson's own writer, for what it does best. */
static void put_by_yyjson(struct sb_json *json, yyjson_val *value)
{
    char *text;
    size_t n;

    begin_value(json);
    if (json->rc != SB_OK)
        return;
    text = yyjson_val_write_opts(value, YYJSON_WRITE_NOFLAG, sb_json_allocator(), &n, NULL);
    if (text == NULL) {
        json->rc = SB_ENOMEM;
        return;
    }
    put(json, sb_slice_make(text, n));
    sb_mem_free(text);
}

void sb_json_put_double(struct sb_json *json, double number)
{
    yyjson_val value = {0};

    if (!isfinite(number)) {
        sb_json_put_null(json);
        return;
    }
    (void)yyjson_set_real(&value, number);
    put_by_yyjson(json, &value);
}

void sb_json_put_value(struct sb_json *json, yyjson_val *value)
{
    if (value == NULL)
        sb_json_put_null(json);
    else
        put_by_yyjson(json, value);
}

/* --- name and value in one -------------------------------------------------- */

void sb_json_add_text(struct sb_json *json, const char *name, struct sb_slice text)
{
    sb_json_name(json, sb_slice_of(name));
    sb_json_put_text(json, text);
}

void sb_json_add_i64(struct sb_json *json, const char *name, int64_t number)
{
    sb_json_name(json, sb_slice_of(name));
    sb_json_put_i64(json, number);
}

void sb_json_add_u64(struct sb_json *json, const char *name, uint64_t number)
{
    sb_json_name(json, sb_slice_of(name));
    sb_json_put_u64(json, number);
}

void sb_json_add_double(struct sb_json *json, const char *name, double number)
{
    sb_json_name(json, sb_slice_of(name));
    sb_json_put_double(json, number);
}

void sb_json_add_bool(struct sb_json *json, const char *name, bool value)
{
    sb_json_name(json, sb_slice_of(name));
    sb_json_put_bool(json, value);
}

void sb_json_add_null(struct sb_json *json, const char *name)
{
    sb_json_name(json, sb_slice_of(name));
    sb_json_put_null(json);
}

void sb_json_add_raw(struct sb_json *json, const char *name, struct sb_slice text)
{
    sb_json_name(json, sb_slice_of(name));
    sb_json_put_raw(json, text);
}

void sb_json_add_object(struct sb_json *json, const char *name)
{
    sb_json_name(json, sb_slice_of(name));
    sb_json_open_object(json);
}

void sb_json_add_array(struct sb_json *json, const char *name)
{
    sb_json_name(json, sb_slice_of(name));
    sb_json_open_array(json);
}

/* A byte that stands for itself inside quotes. */
static inline bool is_plain(char c)
{
    return (unsigned char)(c - 0x20) < 0x5f && c != '"' && c != '\\';
}

struct sb_slice sb_json_quote(struct sb_arena *arena, struct sb_slice text)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf escaped;
    struct sb_json json;
    size_t n = 0;
    char *out;

    while (n < text.n && is_plain(text.p[n]))
        n++;
    sb_buf_init(&escaped, SIZE_MAX);
    if (n < text.n) {
        sb_json_init(&json, &escaped);
        sb_json_put_text(&json, text);
        if (sb_json_end(&json) == SB_OK)
            return sb_arena_dup(arena, sb_buf_slice(&escaped));
        text.n = n; /* without memory a name is cut rather than wrong */
    }
    out = sb_arena_alloc_raw(arena, text.n + 2);
    out[0] = out[text.n + 1] = '"';
    if (text.n > 0)
        memcpy(out + 1, text.p, text.n);
    return sb_slice_make(out, text.n + 2);
}
