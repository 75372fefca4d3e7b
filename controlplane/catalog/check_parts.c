/* controlplane/catalog/check_parts.c - checks of members that have parts of their own. */
#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "common/secret.h"
#include "common/timefmt.h"
#include "controlplane/catalog/schema.h"
#include "proto/limits.h"
#include "proto/vocabulary.h"

static bool is_kind(struct cp_reader *reader, const struct cp_node *node, enum cp_node_kind kind)
{
    if (node->kind == kind)
        return true;
    cp_reader_problem(reader, node, "must be %s, not %s", kind == CP_NODE_LIST ? "a list" : "a map",
                      cp_node_describe(node));
    return false;
}

/* --- headers and query ---------------------------------------------------------- */

static bool is_token(struct sb_slice text)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              strchr("!#$%&'*+-.^_`|~", c) != NULL))
            return false;
    }
    return text.n > 0;
}

/* Fields that frame the message or name its sender are the worker's. */
static bool is_reserved_header(struct sb_slice name)
{
    static const char *const reserved[] = {
        "host",    "content-length", "transfer-encoding", "connection",   "upgrade",        "te",
        "trailer", "expect",         "keep-alive",        "content-type", "accept-encoding"};

    for (size_t i = 0; i < SB_ARRAY_LEN(reserved); i++)
        if (sb_slice_eq_nocase(name, sb_slice_of(reserved[i])))
            return true;
    return false;
}

static void check_pair(struct cp_reader *reader, const struct cp_node *node, bool header)
{
    struct sb_slice text;

    if (header && !is_token(node->name))
        cp_reader_problem(reader, node, "is no valid name of a header");
    else if (header && is_reserved_header(node->name))
        cp_reader_problem(reader, node, "is set by Switchboard");
    else if (node->name.n == 0 || node->name.n > MSG_NAME_MAX)
        cp_reader_problem(reader, node, "the name must be 1 to %d bytes", MSG_NAME_MAX);
    /* plain numbers and words are texts here */
    if (node->kind != CP_NODE_SCALAR || cp_node_is_null(node)) {
        cp_reader_problem(reader, node, "must be a text, not %s", cp_node_describe(node));
        return;
    }
    text = node->text;
    if (text.n > MSG_URL_MAX)
        cp_reader_problem(reader, node, "is longer than %d bytes", MSG_URL_MAX);
    for (size_t i = 0; i < text.n; i++) {
        if ((unsigned char)text.p[i] < 0x20 || (unsigned char)text.p[i] == 0x7f) {
            cp_reader_problem(reader, node, "has a control character");
            return;
        }
    }
    sb_json_name(&reader->json, node->name);
    sb_json_put_text(&reader->json, text);
}

/* field->arg: they are headers. */
void cp_check_pairs(struct cp_reader *reader, const struct cp_field *field,
                    const struct cp_node *node)
{
    if (!is_kind(reader, node, CP_NODE_MAP))
        return;
    if (node->n > MSG_LIST_MAX)
        cp_reader_problem(reader, node, "has over %d entries", MSG_LIST_MAX);
    if (node->n == 0)
        return;
    sb_json_add_object(&reader->json, field->name);
    for (const struct cp_node *one = node->first; one != NULL; one = one->next) {
        size_t back = sb_json_path_member(&reader->path, one->name);

        check_pair(reader, one, field->arg != NULL);
        sb_json_path_back(&reader->path, back);
    }
    sb_json_close_object(&reader->json);
}

static void check_auth_header(struct cp_reader *reader, const struct cp_field *field,
                              const struct cp_node *node)
{
    char lower[MSG_NAME_MAX + 1];
    struct sb_slice text;

    if (cp_node_text(node, &text) != SB_OK || !is_token(text) || text.n > MSG_NAME_MAX ||
        is_reserved_header(text)) {
        cp_reader_problem(reader, node, "must be the name of a header, such as api-key");
        return;
    }
    for (size_t i = 0; i < text.n; i++)
        lower[i] = (char)(text.p[i] >= 'A' && text.p[i] <= 'Z' ? text.p[i] + 32 : text.p[i]);
    sb_json_add_text(&reader->json, field->name, sb_slice_make(lower, text.n));
}

void cp_check_auth(struct cp_reader *reader, const struct cp_field *field,
                   const struct cp_node *node)
{
    static const struct cp_field fields[] = {
        {.name = "header", .check = check_auth_header, .flags = CP_FIELD_REQUIRED},
    };
    const struct cp_node *header = cp_node_get(node, "header");

    if (!is_kind(reader, node, CP_NODE_MAP))
        return;
    /* The default says nothing. */
    if (node->n == 1 && header != NULL && header->kind == CP_NODE_SCALAR &&
        sb_slice_eq_nocase(header->text, SB_SLICE_LIT("authorization")))
        return;
    sb_json_add_object(&reader->json, field->name);
    cp_reader_members(reader, node, fields, SB_ARRAY_LEN(fields));
    sb_json_close_object(&reader->json);
}

/* --- closed lists ------------------------------------------------------------------ */

typedef int parse_fn(struct sb_slice text);
typedef const char *name_fn(int number);

/* The number of a word of a vocabulary, or -1 and a problem. */
static int read_word(struct cp_reader *reader, const struct cp_node *node, parse_fn *parse,
                     name_fn *name, int count)
{
    const char *words[64];
    const char *meant;
    struct sb_slice text;
    int number;

    if (cp_node_text(node, &text) != SB_OK) {
        cp_reader_problem(reader, node, "must be a text, not %s", cp_node_describe(node));
        return -1;
    }
    number = parse(text);
    if (number >= 0)
        return number;
    for (int i = 0; i < count; i++)
        words[i] = name(i);
    words[count] = NULL;
    meant = cp_closest(text, words);
    if (meant != NULL)
        cp_reader_problem(reader, node, "'%.*s' is not known; did you mean '%s'?",
                          SB_SLICE_ARGS(text), meant);
    else
        cp_reader_problem(reader, node, "'%.*s' is not known", SB_SLICE_ARGS(text));
    return -1;
}

/* A set, written in the order of the vocabulary; at_least: entries. */
static void check_set(struct cp_reader *reader, const struct cp_field *field,
                      const struct cp_node *node, parse_fn *parse, name_fn *name)
{
    int count = (int)field->max;
    uint64_t seen = 0;
    size_t index = 0;

    if (!is_kind(reader, node, CP_NODE_LIST))
        return;
    if (node->n < (uint64_t)field->min)
        cp_reader_problem(reader, node, "must not be empty");
    for (const struct cp_node *one = node->first; one != NULL; one = one->next, index++) {
        size_t back = sb_json_path_index(&reader->path, index);
        int number = read_word(reader, one, parse, name, count);

        if (number >= 0 && (seen >> number & 1) != 0)
            cp_reader_problem(reader, one, "'%s' comes twice", name(number));
        if (number >= 0)
            seen |= UINT64_C(1) << number;
        sb_json_path_back(&reader->path, back);
    }
    if (seen == 0)
        return;
    sb_json_add_array(&reader->json, field->name);
    for (int i = 0; i < count; i++)
        if ((seen >> i & 1) != 0)
            sb_json_put_text(&reader->json, sb_slice_of(name(i)));
    sb_json_close_array(&reader->json);
}

void cp_check_modalities(struct cp_reader *reader, const struct cp_field *field,
                         const struct cp_node *node)
{
    check_set(reader, field, node, msg_modality_parse, msg_modality_name);
}

void cp_check_parameters(struct cp_reader *reader, const struct cp_field *field,
                         const struct cp_node *node)
{
    check_set(reader, field, node, msg_parameter_parse, msg_parameter_name);
}

void cp_check_days(struct cp_reader *reader, const struct cp_field *field,
                   const struct cp_node *node)
{
    check_set(reader, field, node, msg_day_parse, msg_day_name);
}

void cp_check_quantization(struct cp_reader *reader, const struct cp_field *field,
                           const struct cp_node *node)
{
    int number = read_word(reader, node, msg_quantization_parse, msg_quantization_name,
                           MSG_QUANTIZATION_COUNT);

    if (number > MSG_QUANTIZATION_UNKNOWN) /* unknown says nothing */
        sb_json_add_text(&reader->json, field->name, sb_slice_of(msg_quantization_name(number)));
}

/* --- claims ------------------------------------------------------------------------------ */

/* yes, no, unknown, however YAML and JSON spell them; -1 and a problem. */
static int read_tri(struct cp_reader *reader, const struct cp_node *node)
{
    bool truth;
    int value = -1;

    if (cp_node_bool(node, &truth) == SB_OK)
        return truth ? MSG_TRI_YES : MSG_TRI_NO;
    if (node->kind == CP_NODE_SCALAR)
        value = msg_tri_parse(node->text);
    if (value < 0)
        cp_reader_problem(reader, node, "must be yes, no or unknown");
    return value;
}

static void check_claim_value(struct cp_reader *reader, const struct cp_field *field,
                              const struct cp_node *node)
{
    int value = read_tri(reader, node);

    if (value >= 0)
        sb_json_add_text(&reader->json, field->name, sb_slice_of(msg_tri_name(value)));
}

static void complete_claim(struct cp_reader *reader, const struct cp_node *node)
{
    const struct cp_node *value = cp_node_get(node, "value");
    const struct cp_node *attested = cp_node_get(node, "attested_on");
    const struct cp_node *expires = cp_node_get(node, "expires_on");
    int32_t from, until;
    bool truth = false;

    if (value != NULL && value->kind == CP_NODE_SCALAR &&
        (sb_slice_is(value->text, "yes") || (cp_node_bool(value, &truth) == SB_OK && truth)) &&
        cp_node_is_null(cp_node_get(node, "evidence")))
        cp_reader_problem(reader, node, "a yes needs evidence");
    if (attested != NULL && expires != NULL && sb_date_parse(attested->text, &from) == SB_OK &&
        sb_date_parse(expires->text, &until) == SB_OK && until < from) {
        size_t back = sb_json_path_member(&reader->path, expires->name);

        cp_reader_problem(reader, expires, "is before it was attested");
        sb_json_path_back(&reader->path, back);
    }
}

void cp_check_claim(struct cp_reader *reader, const struct cp_field *field,
                    const struct cp_node *node)
{
    static const struct cp_field fields[] = {
        {.name = "value", .check = check_claim_value, .flags = CP_FIELD_REQUIRED},
        {.name = "evidence", .check = cp_check_text, .max = MSG_TEXT_MAX},
        {.name = "attested_by", .check = cp_check_line, .max = MSG_NAME_MAX},
        {.name = "attested_on", .check = cp_check_date},
        {.name = "expires_on", .check = cp_check_date},
    };

    if (node->kind == CP_NODE_SCALAR) { /* the short form; a yes cannot have it */
        int value = read_tri(reader, node);

        if (value == MSG_TRI_YES)
            cp_reader_problem(reader, node, "a yes needs evidence: {value: yes, evidence: ...}");
        if (value < 0)
            return;
        sb_json_add_object(&reader->json, field->name);
        sb_json_add_text(&reader->json, "value", sb_slice_of(msg_tri_name(value)));
        sb_json_close_object(&reader->json);
        return;
    }
    if (!is_kind(reader, node, CP_NODE_MAP))
        return;
    sb_json_add_object(&reader->json, field->name);
    cp_reader_members(reader, node, fields, SB_ARRAY_LEN(fields));
    sb_json_close_object(&reader->json);
    complete_claim(reader, node);
}

void cp_check_data_policy(struct cp_reader *reader, const struct cp_field *field,
                          const struct cp_node *node)
{
    static const struct cp_field fields[] = {
        {.name = "no_training", .check = cp_check_claim},
        {.name = "zdr", .check = cp_check_claim},
    };

    if (!is_kind(reader, node, CP_NODE_MAP) || node->n == 0)
        return;
    sb_json_add_object(&reader->json, field->name);
    cp_reader_members(reader, node, fields, SB_ARRAY_LEN(fields));
    sb_json_close_object(&reader->json);
}

/* --- secrets ------------------------------------------------------------------------------- */

/* Where to read it from; goes beside the object, never into its JSON. */
void cp_check_secret(struct cp_reader *reader, const struct cp_field *field,
                     const struct cp_node *node)
{
    static const struct {
        const char *name;
        enum cp_secret_from from;
    } places[] = {{"env", CP_SECRET_ENV}, {"file", CP_SECRET_FILE}, {"value", CP_SECRET_VALUE}};
    struct cp_secret_source source = {.from = CP_SECRET_NONE, .line = node->line};

    for (size_t i = 0; node->kind == CP_NODE_MAP && node->n == 1 && i < SB_ARRAY_LEN(places); i++) {
        const struct cp_node *place = cp_node_get(node, places[i].name);

        if (place == NULL || place->kind != CP_NODE_SCALAR || cp_node_is_null(place) ||
            place->text.n == 0)
            continue;
        source.from = places[i].from;
        source.text = sb_arena_dup(reader->problems->arena, place->text);
        source.written = place->text;
    }
    if (source.from == CP_SECRET_NONE) {
        cp_reader_problem(reader, node, "must be {env: NAME}, {file: PATH} or {value: ...}");
        return;
    }
    source.path =
        sb_arena_dup(reader->problems->arena, sb_slice_make(reader->path.text, reader->path.n));
    if (field->arg != NULL)
        reader->credential = source;
    else
        reader->object->secret = source;
}
