/* controlplane/catalog/check_prices.c - checks of an endpoint's "pricing". */
#include <stdio.h>

#include "common/money.h"
#include "controlplane/catalog/prices.h"
#include "controlplane/catalog/schema.h"
#include "proto/limits.h"

static bool is_kind(struct cp_reader *reader, const struct cp_node *node, enum cp_node_kind kind)
{
    if (node->kind == kind)
        return true;
    cp_reader_problem(reader, node, "must be %s, not %s", kind == CP_NODE_LIST ? "a list" : "a map",
                      cp_node_describe(node));
    return false;
}

/* --- one price -------------------------------------------------------------------- */

/* field->arg: per million tokens, else each. */
static void check_price(struct cp_reader *reader, const struct cp_field *field,
                        const struct cp_node *node)
{
    bool per_million = field->arg != NULL;
    char out[SB_MONEY_TEXT_MAX];
    struct sb_slice text;
    sb_money money;
    int rc;

    if (cp_node_decimal(node, &text) != SB_OK) {
        cp_reader_problem(reader, node, "must be a decimal number of USD, such as \"0.25\"");
        return;
    }
    if (text.p[0] == '-') {
        cp_reader_problem(reader, node, "must not be negative");
        return;
    }
    rc = per_million ? sb_money_parse_per_million(text, &money) : sb_money_parse(text, &money);
    if (rc == SB_EINVAL)
        cp_reader_problem(reader, node, "has more than %d decimals", per_million ? 9 : 15);
    else if (rc == SB_ETOOBIG)
        cp_reader_problem(reader, node, "is out of range");
    else if (rc != SB_OK)
        cp_reader_problem(reader, node, "must be a decimal number of USD, such as \"0.25\"");
    if (rc != SB_OK)
        return;
    if (per_million)
        (void)sb_money_format_per_million(money, out);
    else
        (void)sb_money_format(money, out);
    sb_json_add_text(&reader->json, field->name, sb_slice_of(out));
}

/* X(member, rest of the field): what may have a price, here and in an override. */
#define PRICE_MAP(X)                                                                               \
    X(prompt, .arg = "per million")                                                                \
    X(completion, .arg = "per million")                                                            \
    X(request, .arg = NULL)                                                                        \
    X(image, .arg = NULL)                                                                          \
    X(image_output, .arg = NULL)                                                                   \
    X(audio, .arg = NULL)                                                                          \
    X(audio_output, .arg = NULL)                                                                   \
    X(cache_read, .arg = "per million")                                                            \
    X(cache_write, .arg = "per million")                                                           \
    X(reasoning, .arg = "per million")                                                             \
    X(web_search, .arg = NULL)
#define X(member, rest) {.name = #member, .check = check_price, rest},

/* --- overrides ------------------------------------------------------------------------- */

static void check_hours(struct cp_reader *reader, const struct cp_field *field,
                        const struct cp_node *node)
{
    uint16_t from, until;
    struct sb_slice text;
    char normal[32];

    if (cp_node_text(node, &text) != SB_OK) {
        cp_reader_problem(reader, node, "must be hours of the UTC day, such as \"22:00-06:00\"");
        return;
    }
    if (!cp_hours_read(text, &from, &until)) {
        cp_reader_problem(reader, node,
                          "'%.*s' is not allowed; it must be hours of the UTC day, such as "
                          "\"22:00-06:00\", and not end where it begins",
                          SB_SLICE_ARGS(text));
        return;
    }
    (void)snprintf(normal, sizeof(normal), "%02d:%02d-%02d:%02d", from / 60, from % 60, until / 60,
                   until % 60);
    sb_json_add_text(&reader->json, field->name, sb_slice_of(normal));
}

static const struct cp_field override_fields[] = {
    {.name = "min_prompt_tokens", .check = cp_check_number, .min = 1, .max = 1000000000},
    {.name = "hours", .check = check_hours},
    {.name = "days", .check = cp_check_days, .min = 1, .max = MSG_DAY_COUNT},
    PRICE_MAP(X)};
enum { CONDITIONS = 3 }; /* the first of them */

static bool has_any(const struct cp_node *node, const struct cp_field *fields, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!cp_node_is_null(cp_node_get(node, fields[i].name)))
            return true;
    }
    return false;
}

static void check_override(struct cp_reader *reader, const struct cp_node *node)
{
    if (!is_kind(reader, node, CP_NODE_MAP))
        return;
    sb_json_open_object(&reader->json);
    cp_reader_members(reader, node, override_fields, SB_ARRAY_LEN(override_fields));
    sb_json_close_object(&reader->json);
    if (!has_any(node, override_fields, CONDITIONS))
        cp_reader_problem(reader, node, "has no condition: give min_prompt_tokens, hours or days");
    if (!has_any(node, override_fields + CONDITIONS, SB_ARRAY_LEN(override_fields) - CONDITIONS))
        cp_reader_problem(reader, node, "has no price");
}

static void check_overrides(struct cp_reader *reader, const struct cp_field *field,
                            const struct cp_node *node)
{
    size_t index = 0;

    if (!is_kind(reader, node, CP_NODE_LIST))
        return;
    if (node->n > MSG_OVERRIDES_MAX)
        cp_reader_problem(reader, node, "has over %d entries", MSG_OVERRIDES_MAX);
    if (node->n == 0)
        return;
    sb_json_add_array(&reader->json, field->name);
    for (const struct cp_node *one = node->first; one != NULL; one = one->next, index++) {
        size_t back = sb_json_path_index(&reader->path, index);

        check_override(reader, one);
        sb_json_path_back(&reader->path, back);
    }
    sb_json_close_array(&reader->json);
}

/* --- all of it ---------------------------------------------------------------------------- */

/* An object of members that say nothing is none, as the store shows it. */
static bool says_nothing(const struct cp_node *node)
{
    for (const struct cp_node *one = node->first; one != NULL; one = one->next) {
        bool is_empty =
            one->kind == CP_NODE_LIST && one->n == 0 && sb_slice_is(one->name, "overrides");

        if (!cp_node_is_null(one) && !is_empty)
            return false;
    }
    return true;
}

void cp_check_pricing(struct cp_reader *reader, const struct cp_field *field,
                      const struct cp_node *node)
{
    static const struct cp_field fields[] = {
        PRICE_MAP(X){.name = "overrides", .check = check_overrides},
    };

    if (!is_kind(reader, node, CP_NODE_MAP))
        return;
    if (says_nothing(node)) {
        cp_reader_members(reader, node, fields, SB_ARRAY_LEN(fields)); /* unknown ones are told */
        return;
    }
    sb_json_add_object(&reader->json, field->name);
    cp_reader_members(reader, node, fields, SB_ARRAY_LEN(fields));
    sb_json_close_object(&reader->json);
}
