/* controlplane/probes/models_list.c */
#include "controlplane/probes/models_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/json.h"
#include "common/money.h"
#include "common/num.h"
#include "proto/limits.h"

enum { DECIMAL_MAX = 48 };

/* The exact decimal of a number or a text; none when it is neither. */
static struct sb_slice decimal_of(yyjson_val *value, char text[DECIMAL_MAX])
{
    if (yyjson_is_str(value))
        return sb_json_text(value);
    if (yyjson_is_uint(value))
        return sb_slice_make(text, sb_num_put_u64(text, yyjson_get_uint(value)));
    if (yyjson_is_real(value)) /* as many digits as a double has for sure: 1e-07 */
        return sb_slice_make(text,
                             (size_t)snprintf(text, DECIMAL_MAX, "%.15g", yyjson_get_real(value)));
    return SB_SLICE_NONE;
}

static int64_t read_price(yyjson_val *value)
{
    char text[DECIMAL_MAX];
    struct sb_slice decimal = decimal_of(value, text);
    sb_money price;

    if (decimal.n == 0 || sb_money_parse(decimal, &price) != SB_OK || price < 0)
        return -1;
    return price;
}

static void read_prices(yyjson_val *pricing, struct cp_listed *listed)
{
    for (int kind = 0; kind < MSG_PRICE_COUNT; kind++)
        listed->price[kind] = read_price(yyjson_obj_get(pricing, msg_price_name(kind)));
}

static uint32_t read_context(yyjson_val *model)
{
    static const char *const names[] = {"context_length", "max_model_len", "context_window"};
    uint64_t tokens = 0;

    for (size_t i = 0; i < SB_ARRAY_LEN(names); i++) {
        if (sb_json_get_u64(model, names[i], &tokens) == SB_OK && tokens > 0 && tokens <= INT32_MAX)
            return (uint32_t)tokens;
    }
    return 0;
}

static int compare_ids(const void *a, const void *b)
{
    const struct sb_slice *x = &((const struct cp_listed *)a)->id;
    const struct sb_slice *y = &((const struct cp_listed *)b)->id;
    int order = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);

    return order != 0 ? order : (x->n > y->n) - (x->n < y->n);
}

static void read_model(yyjson_val *model, struct sb_arena *arena, struct cp_listed *models,
                       size_t *n)
{
    struct cp_listed *listed = &models[*n];
    struct sb_slice id;

    if (sb_json_get_text(model, "id", &id) != SB_OK || id.n == 0 || id.n > MSG_MODEL_ID_MAX)
        return;
    listed->id = sb_arena_dup(arena, id);
    listed->context_length = read_context(model);
    read_prices(yyjson_obj_get(model, "pricing"), listed);
    (*n)++;
}

int cp_models_read(struct sb_slice text, struct sb_arena *arena, struct cp_listed **ret_models,
                   size_t *ret_n, struct sb_errmsg *err)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    struct cp_listed *models;
    yyjson_arr_iter iter;
    yyjson_val *list, *model;
    size_t n = 0;
    int rc = sb_json_read(text, CP_MODELS_BYTES_MAX, &doc, err);

    if (rc != SB_OK)
        return rc;
    list = yyjson_doc_get_root(doc);
    if (yyjson_is_obj(list))
        list = yyjson_obj_get(list, "data");
    if (!yyjson_is_arr(list))
        return sb_err_set(err, SB_EPARSE, "there is no list of models in it");
    if (yyjson_arr_size(list) > CP_MODELS_MAX)
        return sb_err_set(err, SB_ETOOBIG, "%zu models, more than %d", yyjson_arr_size(list),
                          (int)CP_MODELS_MAX);
    models = sb_arena_try(arena, (yyjson_arr_size(list) + 1) * sizeof(*models));
    if (models == NULL)
        return SB_ENOMEM;
    iter = yyjson_arr_iter_with(list);
    while ((model = yyjson_arr_iter_next(&iter)) != NULL)
        read_model(model, arena, models, &n);
    if (n > 0)
        qsort(models, n, sizeof(*models), compare_ids);
    *ret_models = models;
    *ret_n = n;
    return SB_OK;
}

const struct cp_listed *cp_models_find(const struct cp_listed *models, size_t n, struct sb_slice id)
{
    const struct cp_listed wanted = {.id = id};

    return n == 0 ? NULL : bsearch(&wanted, models, n, sizeof(*models), compare_ids);
}
