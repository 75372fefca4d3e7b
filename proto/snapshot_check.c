/* proto/snapshot_check.c - what a snapshot promises beyond its structure. */
#include <string.h>

#include "common/err.h"
#include "proto/snapshot.h"
#include "proto/unique.h"

/* The section that is being checked. */
struct check {
    const struct msg_snapshot *snapshot;
    const char *section;
    struct msg_unique *ids;   /* numbers, or the names that stand for them */
    struct msg_unique *names; /* a second thing that is unique, or NULL */
    struct sb_errmsg *err;
};

static int refuse(const struct check *check, size_t row, const char *problem)
{
    return sb_err_set(check->err, SB_EPARSE, "%s[%zu]: %s", check->section, row, problem);
}

/* Adds to a set of the section; problem says what it means to be there already. */
static int add(const struct check *check, struct msg_unique *set, struct sb_slice key, size_t row,
               const char *problem)
{
    int rc = msg_unique_add(set, key);

    if (rc == SB_EEXIST)
        return refuse(check, row, problem);
    return rc == SB_OK ? SB_OK
                       : sb_err_set(check->err, rc, "%s: %s", check->section, sb_err_str(rc));
}

/* An id: never 0 and never twice. */
static int add_id(const struct check *check, const uint64_t *id, size_t row)
{
    if (*id == 0)
        return refuse(check, row, "id is 0");
    return add(check, check->ids, sb_slice_make(id, sizeof(*id)), row, "id is there twice");
}

static int add_name(const struct check *check, struct sb_slice name, size_t row)
{
    if (name.n == 0)
        return refuse(check, row, "has no name");
    return add(check, check->names, name, row, "name is there twice");
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_country(struct sb_slice text)
{
    return text.n == 2 && is_upper(text.p[0]) && is_upper(text.p[1]);
}

static bool is_region(struct sb_slice text)
{
    return text.n == 0 || is_country(text) || sb_slice_is(text, "eu") || sb_slice_is(text, "us") ||
           sb_slice_is(text, "global");
}

static bool has_upper(struct sb_slice text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (is_upper(text.p[i]))
            return true;
    }
    return false;
}

/* As bytes; a prefix comes first. */
static int compare(struct sb_slice a, struct sb_slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n > 0 ? memcmp(a.p, b.p, n) : 0;

    if (order != 0)
        return order;
    return a.n == b.n ? 0 : a.n < b.n ? -1 : 1;
}

static int check_provider(const struct check *check, size_t row)
{
    const struct msg_provider *p = &check->snapshot->providers[row];

    if (p->slug.n == 0 || has_upper(p->slug))
        return refuse(check, row, "slug is empty or has upper case letters");
    if (p->dialect.n == 0)
        return refuse(check, row, "has no dialect");
    if (p->base_url.n == 0 || p->base_url.p[p->base_url.n - 1] == '/')
        return refuse(check, row, "base_url is empty or ends with a slash");
    if (p->headquarters.n > 0 && !is_country(p->headquarters))
        return refuse(check, row, "headquarters is not a country");
    return add(check, check->ids, p->slug, row, "slug is there twice");
}

static int check_model(const struct check *check, size_t row)
{
    const struct msg_model *m = &check->snapshot->models[row];
    int rc;

    if (m->id.n == 0)
        return refuse(check, row, "has no id");
    rc = add(check, check->ids, m->id, row, "id is there twice, or is an alias too");
    for (size_t i = 0; i < m->n_aliases && rc == SB_OK; i++) {
        if (m->aliases[i].n == 0)
            return refuse(check, row, "has an empty alias");
        rc = add(check, check->ids, m->aliases[i], row, "alias is there twice, or is an id too");
    }
    return rc;
}

static int check_override(const struct check *check, size_t row,
                          const struct msg_override *override)
{
    bool has_price = false;

    if (override->min_prompt_tokens == 0 && override->from == override->until &&
        override->days == 0)
        return refuse(check, row, "has an override without a condition");
    for (size_t i = 0; i < MSG_PRICE_COUNT; i++) {
        if (override->price[i] < -1)
            return refuse(check, row, "has a negative price in an override");
        has_price |= override->price[i] >= 0;
    }
    return has_price ? SB_OK : refuse(check, row, "has an override without a price");
}

static int check_endpoint(const struct check *check, size_t row)
{
    const struct msg_endpoint *e = &check->snapshot->endpoints[row];

    if (e->model >= check->snapshot->n_models)
        return refuse(check, row, "refers to a model that is not there");
    if (e->provider >= check->snapshot->n_providers)
        return refuse(check, row, "refers to a provider that is not there");
    if (e->tag.n == 0 || e->upstream_model.n == 0)
        return refuse(check, row, "has no tag or no upstream model");
    if (!is_region(e->region))
        return refuse(check, row, "region is neither a country nor eu, us, global");
    if (e->context_length == 0)
        return refuse(check, row, "context length is 0");
    for (size_t i = 0; i < MSG_PRICE_COUNT; i++) {
        if (e->price[i] < -1)
            return refuse(check, row, "has a negative price");
    }
    for (size_t i = 0; i < e->n_overrides; i++) {
        int rc = check_override(check, row, &e->overrides[i]);

        if (rc != SB_OK)
            return rc;
    }
    if (row > 0) {
        const struct msg_endpoint *before = e - 1;

        if (before->model > e->model ||
            (before->model == e->model && compare(before->tag, e->tag) >= 0))
            return refuse(check, row, "not sorted by model and tag, or there twice");
    }
    return add_id(check, &e->id, row);
}

static int check_policy(const struct check *check, size_t row)
{
    const struct msg_policy *p = &check->snapshot->policies[row];
    int rc = add_id(check, &p->id, row);

    return rc == SB_OK ? add_name(check, p->name, row) : rc;
}

static int check_tenant(const struct check *check, size_t row)
{
    const struct msg_tenant *t = &check->snapshot->tenants[row];
    int rc = add_id(check, &t->id, row);

    return rc == SB_OK ? add_name(check, t->name, row) : rc;
}

static int check_key(const struct check *check, size_t row)
{
    const struct msg_key *k = &check->snapshot->keys[row];
    int rc;

    if (k->tenant >= check->snapshot->n_tenants)
        return refuse(check, row, "refers to a tenant that is not there");
    if (k->policy != MSG_NONE && k->policy >= check->snapshot->n_policies)
        return refuse(check, row, "refers to a policy that is not there");
    rc = add_id(check, &k->id, row);
    if (rc != SB_OK)
        return rc;
    return add(check, check->names, sb_slice_make(k->hash, sizeof(k->hash)), row,
               "hash is there twice");
}

/* MSG_NONE is the greatest number, so the house comes last. */
static bool is_before(const struct msg_credential *a, const struct msg_credential *b)
{
    if (a->provider != b->provider)
        return a->provider < b->provider;
    if (a->tenant != b->tenant)
        return a->tenant < b->tenant;
    return a->sequence < b->sequence;
}

static int check_credential(const struct check *check, size_t row)
{
    const struct msg_credential *c = &check->snapshot->credentials[row];

    if (c->provider >= check->snapshot->n_providers)
        return refuse(check, row, "refers to a provider that is not there");
    if (c->tenant != MSG_NONE && c->tenant >= check->snapshot->n_tenants)
        return refuse(check, row, "refers to a tenant that is not there");
    if (c->sealed.n == 0)
        return refuse(check, row, "has no sealed key");
    if (row > 0 && is_before(c, c - 1))
        return refuse(check, row, "not sorted by provider, tenant and sequence");
    return add_id(check, &c->id, row);
}

typedef int check_row_fn(const struct check *check, size_t row);

/* Checks n rows; n_ids and n_names are the room that its two sets need. */
static int check_section(struct check *check, check_row_fn *check_row, size_t n, size_t n_ids,
                         size_t n_names)
{
    int rc = msg_unique_new(n_ids, &check->ids);

    if (rc == SB_OK)
        rc = msg_unique_new(n_names, &check->names);
    if (rc != SB_OK)
        (void)sb_err_set(check->err, rc, "%s: %s", check->section, sb_err_str(rc));
    for (size_t i = 0; i < n && rc == SB_OK; i++)
        rc = check_row(check, i);
    msg_unique_destroy(&check->ids);
    msg_unique_destroy(&check->names);
    return rc;
}

int msg_snapshot_check(const struct msg_snapshot *snapshot, struct sb_errmsg *err)
{
    size_t n_aliases = 0;
    int rc = SB_OK;

    for (size_t i = 0; i < snapshot->n_models; i++)
        n_aliases += snapshot->models[i].n_aliases;
    const struct {
        const char *name;
        check_row_fn *check_row;
        size_t n, n_ids, n_names;
    } sections[] = {
        {"providers", check_provider, snapshot->n_providers, snapshot->n_providers, 0},
        {"models", check_model, snapshot->n_models, snapshot->n_models + n_aliases, 0},
        {"endpoints", check_endpoint, snapshot->n_endpoints, snapshot->n_endpoints, 0},
        {"policies", check_policy, snapshot->n_policies, snapshot->n_policies,
         snapshot->n_policies},
        {"tenants", check_tenant, snapshot->n_tenants, snapshot->n_tenants, snapshot->n_tenants},
        {"keys", check_key, snapshot->n_keys, snapshot->n_keys, snapshot->n_keys},
        {"credentials", check_credential, snapshot->n_credentials, snapshot->n_credentials, 0},
    };

    for (size_t i = 0; i < SB_ARRAY_LEN(sections) && rc == SB_OK; i++) {
        struct check check = {.snapshot = snapshot, .section = sections[i].name, .err = err};

        rc = check_section(&check, sections[i].check_row, sections[i].n, sections[i].n_ids,
                           sections[i].n_names);
    }
    return rc;
}
