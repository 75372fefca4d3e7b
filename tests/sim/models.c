/* tests/sim/models.c */
#include "tests/sim/models.h"

#include "common/buf.h"
#include "common/err.h"
#include "common/json.h"
#include "tests/sim/behaviour.h"
#include "tests/sim/error.h"
#include "tests/sim/world.h"

static void put_model(const struct sim_world *world, struct sb_slice model, struct sb_json *json)
{
    sb_json_open_object(json);
    sb_json_add_text(json, "id", model);
    sb_json_add_text(json, "object", SB_SLICE_LIT("model"));
    sb_json_add_i64(json, "created", world->created);
    sb_json_add_text(json, "owned_by", sb_slice_of(world->name));
    sb_json_close_object(json);
}

/* Takes the next name off a list with commas; false at its end. */
static bool next_name(struct sb_slice *list, struct sb_slice *ret_name)
{
    size_t n;

    while (list->n > 0 && list->p[0] == ',')
        *list = sb_slice_from(*list, 1);
    if (list->n == 0)
        return false;
    n = sb_slice_find(*list, ',');
    *ret_name = sb_slice_make(list->p, n);
    *list = sb_slice_from(*list, n);
    return true;
}

/* What a test wants said, as often as it wants. */
static int write_given(const struct sim_behaviour *behaviour, struct sb_buf *out,
                       struct sim_error *error)
{
    for (int64_t i = 0; i < behaviour->models_times; i++)
        if (sb_buf_append_text(out, behaviour->models_body) != SB_OK)
            return sim_error_set(error, 500, NULL, "Out of memory.");
    return 0;
}

int sim_models_write_list(const struct sim_world *world, const struct sim_behaviour *behaviour,
                          struct sb_buf *out, struct sim_error *error)
{
    struct sb_slice list = sb_slice_of(world->models), name;
    struct sb_json json;

    if (behaviour->models_body != NULL && behaviour->models_body[0] != '\0')
        return write_given(behaviour, out, error);
    sb_json_init(&json, out);
    sb_json_open_object(&json);
    sb_json_add_text(&json, "object", SB_SLICE_LIT("list"));
    sb_json_add_array(&json, "data");
    while (next_name(&list, &name))
        put_model(world, name, &json);
    sb_json_close_array(&json);
    sb_json_close_object(&json);
    if (sb_json_end(&json) != SB_OK)
        return sim_error_set(error, 500, NULL, "Out of memory.");
    return 0;
}

int sim_models_write_one(const struct sim_world *world, struct sb_slice model, struct sb_buf *out,
                         struct sim_error *error)
{
    struct sb_slice list = sb_slice_of(world->models), name;
    struct sb_json json;

    while (next_name(&list, &name)) {
        if (!sb_slice_eq(name, model))
            continue;
        sb_json_init(&json, out);
        put_model(world, name, &json);
        return sb_json_end(&json) == SB_OK ? 0 : sim_error_set(error, 500, NULL, "Out of memory.");
    }
    (void)sim_error_set(error, 404, "model", "The model '%.*s' does not exist.",
                        model.n < 200 ? (int)model.n : 200, model.p);
    return 404;
}
