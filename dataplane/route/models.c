/* dataplane/route/models.c */
#include "dataplane/route/models.h"

#include "dataplane/route/policy.h"
#include "dataplane/route/view.h"

/* What a suffix asks for, or -1 when it is none of ours: then it is part of a
 * name that the catalogue does not have. */
static int suffix_sort(struct sb_slice suffix)
{
    if (sb_slice_is(suffix, "nitro"))
        return MSG_SORT_THROUGHPUT;
    if (sb_slice_is(suffix, "floor"))
        return MSG_SORT_PRICE;
    if (sb_slice_is(suffix, "exacto"))
        return MSG_SORT_EXACTO;
    return -1;
}

int dp_model_resolve(const struct dp_snapshot *snapshot, struct sb_slice name,
                     const struct dp_model **ret_model, enum msg_sort *ret_sort)
{
    enum msg_sort sort = MSG_SORT_NONE;

    for (;;) {
        const struct dp_model *model = dp_snapshot_find_model(snapshot, name);
        size_t colon = name.n;
        int found;

        if (model != NULL) {
            *ret_model = model;
            *ret_sort = sort;
            return SB_OK;
        }
        while (colon > 0 && name.p[colon - 1] != ':')
            colon--;
        if (colon == 0)
            return SB_ENOENT;
        found = suffix_sort(sb_slice_from(name, colon));
        if (found < 0)
            return SB_ENOENT;
        if (sort == MSG_SORT_NONE) /* from the end: the last suffix wins */
            sort = (enum msg_sort)found;
        name.n = colon - 1;
    }
}

static bool is_listed(const struct dp_models *models, const struct dp_model *model)
{
    for (uint32_t i = 0; i < models->n; i++) {
        if (models->at[i].model == model)
            return true;
    }
    return false;
}

int dp_models_resolve(const struct dp_snapshot *snapshot, const struct dp_requirements *ask,
                      const struct dp_rules *policy, struct dp_models *ret_models,
                      struct sb_errmsg *err)
{
    ret_models->n = 0;
    for (uint32_t i = 0; i < ask->n_models; i++) {
        const struct dp_model *model;
        enum msg_sort sort;

        if (dp_model_resolve(snapshot, ask->model[i], &model, &sort) != SB_OK)
            return sb_err_set(err, SB_EINVAL, "%.*s is not a valid model ID",
                              SB_SLICE_ARGS(ask->model[i]));
        if (!dp_policy_allows_model(policy, model->row->id))
            return sb_err_set(err, SB_EACCES, "model %.*s is not allowed by the policy of this key",
                              SB_SLICE_ARGS(model->row->id));
        if (is_listed(ret_models, model))
            continue; /* `model` and the first of `models` are often the same */
        ret_models->at[ret_models->n].model = model;
        ret_models->at[ret_models->n].asked = ask->model[i];
        ret_models->at[ret_models->n].sort = sort;
        ret_models->n++;
    }
    return SB_OK;
}
