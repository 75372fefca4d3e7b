/* dataplane/route/view.c */
#include "dataplane/route/view.h"

#include "common/check.h"
#include "dataplane/route/policy.h"
#include "proto/country.h"
#include "proto/rules.h"

/* --- building -------------------------------------------------------------------- */

struct builder {
    struct dp_snapshot *snap;
    struct sb_arena *arena;
    const struct msg_snapshot *records;
    const struct dp_view_options *options;
    struct sb_errmsg *err;
};

/* Room for n things that are all written by the caller; NULL when memory is
 * gone. */
static void *room(struct builder *b, size_t n, size_t size)
{
    return sb_arena_try(b->arena, n * size + 1);
}

static int32_t claim_holds_through(const struct msg_claim *claim, enum msg_tri value)
{
    if (claim->value != value || claim->evidence.n == 0)
        return INT32_MIN;
    return claim->expires_on != 0 ? claim->expires_on : INT32_MAX;
}

static int16_t region_number(struct sb_slice region)
{
    if (sb_slice_eq_nocase(region, SB_SLICE_LIT("eu")))
        return DP_REGION_EU;
    if (sb_slice_eq_nocase(region, SB_SLICE_LIT("global")))
        return DP_REGION_GLOBAL;
    return (int16_t)msg_country_parse(region); /* "us" is a country too; -1 unknown */
}

/* Where an endpoint is says its region; whether that is more than a word says
 * the evidence of eu_resident: yes inside the union, no outside. */
static int32_t located_through(const struct msg_endpoint *row, int16_t region)
{
    const struct msg_claim *claim = &row->claim[MSG_CLAIM_EU_RESIDENT];

    if (region == DP_REGION_EU)
        return claim_holds_through(claim, MSG_TRI_YES);
    if (region < 0)
        return INT32_MIN;
    return claim_holds_through(claim, msg_country_is_eu(region) ? MSG_TRI_YES : MSG_TRI_NO);
}

static bool speaks(const struct dp_view_options *options, struct sb_slice dialect)
{
    for (const char *const *known = options->dialects; *known != NULL; known++) {
        if (sb_slice_is(dialect, *known))
            return true;
    }
    return false;
}

static int build_providers(struct builder *b)
{
    struct dp_snapshot *snap = b->snap;
    size_t n = b->records->n_providers;

    snap->providers = room(b, n, sizeof(*snap->providers));
    if (snap->providers == NULL || dp_index_init(&snap->by_provider_slug, b->arena, n) != SB_OK)
        return SB_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const struct msg_provider *row = &b->records->providers[i];

        snap->providers[i] = (struct dp_provider){
            .row = row,
            .headquarters = (int16_t)msg_country_parse(row->headquarters),
            .dialect_known = speaks(b->options, row->dialect),
            .keyless = !row->wants_key,
        };
        dp_index_add(&snap->by_provider_slug, dp_hash_nocase(row->slug), (uint32_t)i);
    }
    return SB_OK;
}

static int build_models(struct builder *b)
{
    struct dp_snapshot *snap = b->snap;
    size_t n = b->records->n_models, names = n;

    for (size_t i = 0; i < n; i++)
        names += b->records->models[i].n_aliases;
    snap->models = room(b, n, sizeof(*snap->models));
    snap->mean = room(b, n, sizeof(*snap->mean));
    if (snap->models == NULL || snap->mean == NULL ||
        dp_index_init(&snap->by_model_name, b->arena, names) != SB_OK)
        return SB_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const struct msg_model *row = &b->records->models[i];

        snap->models[i] = (struct dp_model){
            .row = row,
            .number = (uint32_t)i,
            .distillable_through = claim_holds_through(&row->distillable, MSG_TRI_YES),
        };
        snap->mean[i] = (struct dp_model_mean){.tables = NULL};
        dp_index_add(&snap->by_model_name, dp_hash_text(row->id), (uint32_t)i);
    }
    for (size_t i = 0; i < n; i++) { /* behind all ids, so that an id is never hidden */
        const struct msg_model *row = &b->records->models[i];

        for (size_t a = 0; a < row->n_aliases; a++)
            dp_index_add(&snap->by_model_name, dp_hash_text(row->aliases[a]), (uint32_t)i);
    }
    return SB_OK;
}

static uint32_t number_tag(struct dp_snapshot *snap, uint32_t endpoint)
{
    const struct msg_endpoint *rows = snap->records->endpoints;
    struct sb_slice tag = rows[endpoint].tag;
    uint32_t hash = dp_hash_nocase(tag), at = hash, item;

    while ((item = dp_index_next(&snap->by_tag, hash, &at)) != DP_NONE) {
        if (sb_slice_eq_nocase(rows[item].tag, tag))
            return snap->endpoints[item].tag;
    }
    dp_index_add(&snap->by_tag, hash, endpoint);
    return snap->n_tags++;
}

/* An embedding has no completions: -1. */
static int64_t offered(int64_t price)
{
    return price > 0 ? price : 0;
}

static bool is_cheaper_cached(int64_t cached, int64_t prompt)
{
    return cached >= 0 && cached < prompt;
}

/* At the base prices, or by any one override: what makes a conversation sticky
 * must not change with the hour. */
static bool has_cheaper_cached(const struct msg_endpoint *row)
{
    int64_t cached = row->price[MSG_PRICE_CACHE_READ], prompt = row->price[MSG_PRICE_PROMPT];
    bool is_cheaper = is_cheaper_cached(cached, prompt);

    for (size_t i = 0; i < row->n_overrides && !is_cheaper; i++) {
        const int64_t *price = row->overrides[i].price;

        is_cheaper = is_cheaper_cached(
            price[MSG_PRICE_CACHE_READ] >= 0 ? price[MSG_PRICE_CACHE_READ] : cached,
            price[MSG_PRICE_PROMPT] >= 0 ? price[MSG_PRICE_PROMPT] : prompt);
    }
    return is_cheaper;
}

static void build_endpoint(struct dp_endpoint *endpoint, const struct msg_endpoint *row)
{
    const uint64_t limits = UINT64_C(1) << MSG_PARAMETER_MAX_TOKENS |
                            UINT64_C(1) << MSG_PARAMETER_MAX_COMPLETION_TOKENS;

    *endpoint = (struct dp_endpoint){
        .row = row,
        .mix = dp_mix(row->id),
        .parameters = row->parameters | ((row->parameters & limits) != 0 ? limits : 0),
        .prompt = offered(row->price[MSG_PRICE_PROMPT]),
        .completion = offered(row->price[MSG_PRICE_COMPLETION]),
        .request = offered(row->price[MSG_PRICE_REQUEST]),
        .model = row->model,
        .provider = row->provider,
        .context_length = row->context_length,
        .max_prompt_tokens = row->max_prompt_tokens,
        .max_completion_tokens = row->max_completion_tokens,
        .region = region_number(row->region),
        .quantization = row->quantization,
        .cheaper_cached = has_cheaper_cached(row),
        .n_overrides = (uint8_t)row->n_overrides,
        .input_modalities = (uint16_t)row->input_modalities,
        .output_modalities = (uint16_t)row->output_modalities,
    };
    endpoint->base = dp_endpoint_cost(endpoint, DP_BASE_PROMPT, DP_BASE_COMPLETION);
    for (int claim = 0; claim < MSG_ENDPOINT_CLAIMS; claim++)
        endpoint->holds_through[claim] = claim_holds_through(&row->claim[claim], MSG_TRI_YES);
    endpoint->located_through = located_through(row, endpoint->region);
}

static int build_endpoints(struct builder *b)
{
    struct dp_snapshot *snap = b->snap;
    size_t n = b->records->n_endpoints;

    snap->endpoints = room(b, n, sizeof(*snap->endpoints));
    snap->table_slot = room(b, n, sizeof(*snap->table_slot));
    if (snap->endpoints == NULL || snap->table_slot == NULL ||
        dp_index_init(&snap->by_endpoint_id, b->arena, n) != SB_OK ||
        dp_index_init(&snap->by_tag, b->arena, n) != SB_OK)
        return SB_ENOMEM;
    memset(snap->table_slot, 0xff, n * sizeof(*snap->table_slot));
    for (uint32_t i = 0; i < n; i++) {
        const struct msg_endpoint *row = &b->records->endpoints[i];
        struct dp_endpoint *endpoint = &snap->endpoints[i];
        struct dp_model *model = &snap->models[row->model];

        if (i > 0 && row->model < row[-1].model)
            return sb_err_set(b->err, SB_EINVAL, "endpoint %u: not sorted by model", i);
        build_endpoint(endpoint, row);
        endpoint->number = i;
        endpoint->tag = number_tag(snap, i);
        endpoint->dialect_known = snap->providers[row->provider].dialect_known;
        dp_index_add(&snap->by_endpoint_id, (uint32_t)endpoint->mix, i);
        if (model->n++ == 0)
            model->first = i;
        model->parameters |= endpoint->parameters;
    }
    return SB_OK;
}

/* One pass for the house, one to count and one to place what tenants own. */
static int build_credentials(struct builder *b)
{
    struct dp_snapshot *snap = b->snap;
    const struct msg_credential *row = b->records->credentials;
    size_t n = b->records->n_credentials, n_tenants = b->records->n_tenants;
    uint32_t at = 0;

    snap->tenants = room(b, n_tenants, sizeof(*snap->tenants));
    snap->own = room(b, n, sizeof(*snap->own));
    if (snap->tenants == NULL || snap->own == NULL)
        return SB_ENOMEM;
    for (size_t i = 0; i < n_tenants; i++)
        snap->tenants[i] = (struct dp_tenant){.row = &b->records->tenants[i]};

    for (size_t i = 0; i < n; i++) {
        struct dp_provider *provider = &snap->providers[row[i].provider];
        bool continues =
            i > 0 && row[i].provider == row[i - 1].provider && row[i].tenant == row[i - 1].tenant;

        provider->keyless = false;
        if (row[i].tenant != MSG_NONE) {
            snap->tenants[row[i].tenant].own_n += !continues;
            continue;
        }
        if (provider->house.n++ == 0)
            provider->house.first = &row[i];
        else if (!continues)
            return sb_err_set(b->err, SB_EINVAL, "credential %zu: not sorted", i);
    }
    for (size_t i = 0; i < n_tenants; i++) {
        snap->tenants[i].own_first = at;
        at += snap->tenants[i].own_n;
        snap->tenants[i].own_n = 0;
    }
    snap->n_own = at;
    for (size_t i = 0; i < n; i++) { /* rows are sorted by provider, so each tenant's are too */
        struct dp_tenant *tenant;

        if (row[i].tenant == MSG_NONE)
            continue;
        tenant = &snap->tenants[row[i].tenant];
        if (i > 0 && row[i].provider == row[i - 1].provider && row[i].tenant == row[i - 1].tenant) {
            snap->own[tenant->own_first + tenant->own_n - 1].keys.n++;
            continue;
        }
        snap->own[tenant->own_first + tenant->own_n++] = (struct dp_own){
            .provider = row[i].provider,
            .keys = {.first = &row[i], .n = 1},
        };
    }
    for (size_t i = 0; i < b->records->n_endpoints; i++) {
        const struct dp_provider *provider = &snap->providers[snap->endpoints[i].provider];

        snap->endpoints[i].has_house = provider->keyless || provider->house.n > 0;
        snap->endpoints[i].house =
            provider->keyless ? MSG_CREDENTIAL_KIND_NONE : MSG_CREDENTIAL_KIND_HOUSE;
    }
    return SB_OK;
}

static int build_policies(struct builder *b)
{
    struct dp_snapshot *snap = b->snap;
    size_t n = b->records->n_policies;

    snap->policies = room(b, n, sizeof(*snap->policies));
    if (snap->policies == NULL)
        return SB_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const struct msg_policy *row = &b->records->policies[i];
        struct msg_problem problem = {.path = ""};
        struct msg_report report = {.problem = &problem, .max = 1};
        struct msg_rules *said = sb_arena_alloc_raw(b->arena, sizeof(*said));
        int rc;

        msg_rules_init(said);
        rc = msg_rules_read(said, MSG_IN_POLICY, row->rules, b->arena, &report);
        if (rc != SB_OK)
            return sb_err_set(b->err, SB_EINVAL, "policy %.*s: %s: %s", SB_SLICE_ARGS(row->name),
                              problem.path, problem.text);
        dp_rules_compile(snap, said, b->arena, NULL, &snap->policies[i]);
    }
    return SB_OK;
}

static uint32_t hash_prefix(const uint8_t *hash)
{
    uint32_t prefix;

    memcpy(&prefix, hash, sizeof(prefix)); /* of a keyed hash: as good as any */
    return prefix;
}

static int build_keys(struct builder *b)
{
    struct dp_snapshot *snap = b->snap;
    size_t n = b->records->n_keys;

    snap->keys = room(b, n, sizeof(*snap->keys));
    if (snap->keys == NULL || dp_index_init(&snap->by_key_hash, b->arena, n) != SB_OK)
        return SB_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const struct msg_key *row = &b->records->keys[i];

        snap->keys[i] = (struct dp_key){
            .row = row,
            .tenant = &snap->tenants[row->tenant],
            .policy = row->policy != MSG_NONE ? &snap->policies[row->policy] : NULL,
        };
        dp_index_add(&snap->by_key_hash, hash_prefix(row->hash), (uint32_t)i);
    }
    return SB_OK;
}

int dp_snapshot_build(struct sb_arena **arena, const struct msg_snapshot *records,
                      const struct dp_view_options *options, struct dp_snapshot **ret_snapshot,
                      struct sb_errmsg *err)
{
    static int (*const steps[])(struct builder *) = {
        build_providers, build_models,      build_endpoints, /* names come before what uses them */
        build_policies,  build_credentials, build_keys,
    };
    struct dp_snapshot *snap = sb_arena_alloc(*arena, sizeof(*snap));
    struct builder b = {
        .snap = snap, .arena = *arena, .records = records, .options = options, .err = err};
    int rc;

    snap->records = records;
    snap->refs = 1;
    for (size_t i = 0; i < SB_ARRAY_LEN(steps); i++) {
        rc = steps[i](&b);
        if (rc == SB_ENOMEM)
            return sb_err_set(err, rc, "not enough memory for a snapshot of %zu endpoints",
                              records->n_endpoints);
        if (rc != SB_OK)
            return rc;
    }
    snap->arena = *arena;
    *arena = NULL;
    *ret_snapshot = snap;
    return SB_OK;
}

/* --- life ------------------------------------------------------------------------ */

void dp_snapshot_set_on_last(struct dp_snapshot *snapshot,
                             void (*on_last)(void *ctx, struct dp_snapshot *snapshot), void *ctx)
{
    snapshot->on_last = on_last;
    snapshot->on_last_ctx = ctx;
}

struct dp_snapshot *dp_snapshot_ref(struct dp_snapshot *snapshot)
{
    snapshot->refs++;
    return snapshot;
}

void dp_snapshot_unref(struct dp_snapshot **snapshot)
{
    struct dp_snapshot *snap = *snapshot;

    *snapshot = NULL;
    if (snap == NULL)
        return;
    SB_BUG_ON(snap->refs == 0);
    if (--snap->refs > 0)
        return;
    if (snap->on_last != NULL)
        snap->on_last(snap->on_last_ctx, snap);
    else
        dp_snapshot_free(&snap);
}

void dp_snapshot_free(struct dp_snapshot **snapshot)
{
    struct sb_arena *arena;

    if (*snapshot == NULL)
        return;
    arena = (*snapshot)->arena; /* it lies in there itself */
    *snapshot = NULL;
    sb_arena_destroy(&arena);
}

/* --- looking up ------------------------------------------------------------------- */

const struct dp_key *dp_snapshot_find_key(const struct dp_snapshot *snapshot, const uint8_t *hash)
{
    uint32_t prefix = hash_prefix(hash), at = prefix, item;

    while ((item = dp_index_next(&snapshot->by_key_hash, prefix, &at)) != DP_NONE) {
        if (memcmp(snapshot->keys[item].row->hash, hash, MSG_HASH_BYTES) == 0)
            return &snapshot->keys[item];
    }
    return NULL;
}

static bool model_has_name(const struct msg_model *row, struct sb_slice name)
{
    if (sb_slice_eq(row->id, name))
        return true;
    for (size_t i = 0; i < row->n_aliases; i++) {
        if (sb_slice_eq(row->aliases[i], name))
            return true;
    }
    return false;
}

const struct dp_model *dp_snapshot_find_model(const struct dp_snapshot *snapshot,
                                              struct sb_slice name)
{
    uint32_t hash = dp_hash_text(name), at = hash, item;

    while ((item = dp_index_next(&snapshot->by_model_name, hash, &at)) != DP_NONE) {
        if (model_has_name(snapshot->models[item].row, name))
            return &snapshot->models[item];
    }
    return NULL;
}

const struct dp_endpoint *dp_snapshot_find_endpoint(const struct dp_snapshot *snapshot, uint64_t id)
{
    uint32_t hash = (uint32_t)dp_mix(id), at = hash, item;

    while ((item = dp_index_next(&snapshot->by_endpoint_id, hash, &at)) != DP_NONE) {
        if (snapshot->endpoints[item].row->id == id)
            return &snapshot->endpoints[item];
    }
    return NULL;
}

const struct dp_provider *dp_snapshot_find_provider(const struct dp_snapshot *snapshot,
                                                    struct sb_slice slug)
{
    uint32_t hash = dp_hash_nocase(slug), at = hash, item;

    while ((item = dp_index_next(&snapshot->by_provider_slug, hash, &at)) != DP_NONE) {
        if (sb_slice_eq_nocase(snapshot->providers[item].row->slug, slug))
            return &snapshot->providers[item];
    }
    return NULL;
}

const struct dp_provider *dp_snapshot_find_provider_name(const struct dp_snapshot *snapshot,
                                                         struct sb_slice name)
{
    const struct dp_provider *found = NULL;

    for (size_t i = 0; i < snapshot->records->n_providers; i++) {
        if (!sb_slice_eq_nocase(snapshot->providers[i].row->name, name))
            continue;
        if (found != NULL)
            return NULL;
        found = &snapshot->providers[i];
    }
    return found;
}

uint32_t dp_snapshot_find_tag(const struct dp_snapshot *snapshot, struct sb_slice tag)
{
    uint32_t hash = dp_hash_nocase(tag), at = hash, item;

    while ((item = dp_index_next(&snapshot->by_tag, hash, &at)) != DP_NONE) {
        if (sb_slice_eq_nocase(snapshot->endpoints[item].row->tag, tag))
            return snapshot->endpoints[item].tag;
    }
    return DP_NONE;
}

struct dp_credentials dp_snapshot_own_keys(const struct dp_snapshot *snapshot,
                                           const struct dp_tenant *tenant, uint32_t provider)
{
    uint32_t low = tenant->own_first, high = low + tenant->own_n;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (snapshot->own[middle].provider < provider)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < tenant->own_first + tenant->own_n && snapshot->own[low].provider == provider)
        return snapshot->own[low].keys;
    return (struct dp_credentials){.n = 0};
}
