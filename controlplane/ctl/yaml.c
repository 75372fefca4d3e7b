/* controlplane/ctl/yaml.c */
#include "controlplane/ctl/yaml.h"

#include <stdbool.h>
#include <string.h>

#include <yaml.h>

#include "common/buf.h"

static int on_bytes(void *ctx, unsigned char *bytes, size_t n)
{
    return sb_buf_append((struct sb_buf *)ctx, sb_slice_make(bytes, n)) == SB_OK ? 1 : 0;
}

static bool emit(yaml_emitter_t *emitter, yaml_event_t *event, int is_made)
{
    return is_made != 0 && yaml_emitter_emit(emitter, event) != 0;
}

/* Words that YAML 1.1 or 1.2 reads as something else than a string. */
static bool is_word_of_yaml(struct sb_slice text)
{
    static const char *const words[] = {"",   "~",  "null", "true",  "false", "yes",
                                        "no", "on", "off",  "y",     "n",     ".inf",
                                        "=",  "<<", ".nan", "-.inf", "+.inf"};

    for (size_t i = 0; i < SB_ARRAY_LEN(words); i++) {
        if (sb_slice_eq_nocase(text, sb_slice_of(words[i])))
            return true;
    }
    return false;
}

/* Whatever could pass for a number, a date or a time is quoted; a decimal in
 * quotes is how prices are written anyhow. */
static bool needs_quotes(struct sb_slice text)
{
    static const char first[] = {'0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '+', '-', '.'};

    return is_word_of_yaml(text) || memchr(first, text.p[0], sizeof(first)) != NULL;
}

static bool put_scalar(yaml_emitter_t *emitter, struct sb_slice text, yaml_scalar_style_t style)
{
    yaml_event_t event;

    return emit(emitter, &event,
                yaml_scalar_event_initialize(&event, NULL, NULL,
                                             (const yaml_char_t *)(text.n > 0 ? text.p : ""),
                                             (int)text.n, 1, 1, style));
}

static bool put_text(yaml_emitter_t *emitter, struct sb_slice text)
{
    if (memchr(text.n > 0 ? text.p : "", '\n', text.n) != NULL)
        return put_scalar(emitter, text, YAML_DOUBLE_QUOTED_SCALAR_STYLE);
    return put_scalar(emitter, text,
                      text.n == 0 || needs_quotes(text) ? YAML_DOUBLE_QUOTED_SCALAR_STYLE
                                                        : YAML_ANY_SCALAR_STYLE);
}

static bool put_number(yaml_emitter_t *emitter, yyjson_val *value)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf text;
    struct sb_json json;

    sb_buf_init(&text, 256);
    sb_json_init(&json, &text);
    sb_json_put_value(&json, value);
    return sb_json_end(&json) == SB_OK &&
           put_scalar(emitter, sb_buf_slice(&text), YAML_PLAIN_SCALAR_STYLE);
}

/* Short lists of scalars stand in one line. */
static bool is_flow(yyjson_val *list)
{
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);
    yyjson_val *one;
    size_t bytes = 0;

    while ((one = yyjson_arr_iter_next(&iter)) != NULL) {
        if (yyjson_is_ctn(one))
            return false;
        bytes += yyjson_is_str(one) ? yyjson_get_len(one) + 2 : 8;
    }
    return bytes < 100;
}

static bool put_value(yaml_emitter_t *emitter, yyjson_val *value)
{
    yaml_event_t event;
    bool ok;

    if (yyjson_is_str(value))
        return put_text(emitter, sb_json_text(value));
    if (!yyjson_is_ctn(value))
        return put_number(emitter, value); /* true, false and null are spelled alike */
    if (yyjson_is_obj(value)) {
        yyjson_obj_iter iter = yyjson_obj_iter_with(value);
        yyjson_val *name;

        ok = emit(
            emitter, &event,
            yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE));
        while (ok && (name = yyjson_obj_iter_next(&iter)) != NULL)
            ok = put_text(emitter, sb_json_text(name)) &&
                 put_value(emitter, yyjson_obj_iter_get_val(name));
        return ok && emit(emitter, &event, yaml_mapping_end_event_initialize(&event));
    }
    ok = emit(emitter, &event,
              yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
                                                   is_flow(value) ? YAML_FLOW_SEQUENCE_STYLE
                                                                  : YAML_BLOCK_SEQUENCE_STYLE));
    yyjson_arr_iter iter = yyjson_arr_iter_with(value);
    yyjson_val *one;

    while (ok && (one = yyjson_arr_iter_next(&iter)) != NULL)
        ok = put_value(emitter, one);
    return ok && emit(emitter, &event, yaml_sequence_end_event_initialize(&event));
}

int ctl_yaml_write(yyjson_val *value, struct sb_buf *out)
{
    yaml_emitter_t emitter;
    yaml_event_t event;
    bool ok;

    if (yaml_emitter_initialize(&emitter) == 0)
        return SB_ENOMEM;
    yaml_emitter_set_output(&emitter, on_bytes, out);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, 100);
    ok =
        emit(&emitter, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING)) &&
        emit(&emitter, &event, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1)) &&
        put_value(&emitter, value) &&
        emit(&emitter, &event, yaml_document_end_event_initialize(&event, 1)) &&
        emit(&emitter, &event, yaml_stream_end_event_initialize(&event));
    yaml_emitter_delete(&emitter);
    return ok ? SB_OK : SB_ETOOBIG;
}
