/* controlplane/publish/compile_read.c - the tables as the records of a snapshot.
 *
 * Rows of the database live as long as the arena, so no text is copied.
 */
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "controlplane/catalog/catalog.h"
#include "controlplane/catalog/prices.h"
#include "controlplane/db.h"
#include "controlplane/publish/compile.h"
#include "proto/snapshot.h"

/* Where the row of an id is in its section. */
struct place {
    int64_t id;
    uint32_t index;
};

struct reading {
    struct cp_db *db;
    struct sb_arena *arena;
    struct msg_snapshot *snapshot;
    struct place *providers, *models, *policies, *tenants; /* sorted by id */
    /* what providers claim for all their endpoints, by index */
    struct msg_claim (*claims)[MSG_ENDPOINT_CLAIMS];
};

/* --- helpers ------------------------------------------------------------------- */

static void destroy_rows(void *ctx)
{
    struct cp_rows *rows = ctx;

    cp_rows_destroy(&rows);
}

static int query(struct reading *reading, const char *sql, struct cp_rows **ret_rows,
                 size_t *ret_count)
{
    int rc = cp_db_query(reading->db, sql, CP_NO_PARAMS, ret_rows);

    if (rc != SB_OK)
        return rc;
    sb_arena_on_destroy(reading->arena, destroy_rows, *ret_rows);
    *ret_count = cp_rows_count(*ret_rows);
    return *ret_count <= MSG_ROWS_MAX ? SB_OK : SB_ETOOBIG;
}

/* Zeroed; for sizes that grow with the catalogue. */
static void *section(struct reading *reading, size_t n, size_t size)
{
    void *rows = sb_arena_try(reading->arena, n * size + 1);

    if (rows != NULL)
        memset(rows, 0, n * size);
    return rows;
}

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

/* Ids in the first column. */
static struct place *places_of(struct reading *reading, const struct cp_rows *rows)
{
    size_t n = cp_rows_count(rows);
    struct place *places = section(reading, n, sizeof(*places));

    for (size_t i = 0; places != NULL && i < n; i++)
        places[i] = (struct place){.id = cp_rows_i64(rows, i, 0), .index = (uint32_t)i};
    if (places != NULL)
        qsort(places, n, sizeof(*places), compare_places);
    return places;
}

/* Foreign keys promise that it is there; MSG_NONE for NULL. */
static uint32_t index_of(const struct place *places, size_t n, int64_t id)
{
    const struct place wanted = {.id = id};
    const struct place *found =
        n > 0 ? bsearch(&wanted, places, n, sizeof(*places), compare_places) : NULL;

    return found != NULL ? found->index : MSG_NONE;
}

/* False: there is none. */
static bool read_claim(const struct cp_rows *rows, size_t row, int column,
                       struct msg_claim *ret_claim)
{
    struct cp_record record = cp_record_open(cp_rows_bytes(rows, row, column));
    struct sb_slice value, evidence, by, on, until;
    int tri;

    if (!cp_record_next(&record, &value) || !cp_record_next(&record, &evidence) ||
        !cp_record_next(&record, &by) || !cp_record_next(&record, &on) ||
        !cp_record_next(&record, &until))
        return false;
    tri = msg_tri_parse(value);
    *ret_claim = (struct msg_claim){.value = (uint8_t)(tri > 0 ? tri : MSG_TRI_UNKNOWN),
                                    .evidence = evidence,
                                    .attested_by = by,
                                    .attested_on = cp_record_day(on),
                                    .expires_on = cp_record_day(until)};
    return true;
}

typedef int parse_fn(struct sb_slice text);

static uint64_t read_bits(struct sb_slice raw, parse_fn *parse)
{
    struct cp_array array = cp_array_open(raw);
    struct sb_slice word;
    uint64_t bits = 0;

    while (cp_array_next(&array, &word)) {
        int number = parse(word);

        if (number >= 0)
            bits |= UINT64_C(1) << number;
    }
    return bits;
}

static uint32_t u32(const struct cp_rows *rows, size_t row, int column)
{
    return (uint32_t)cp_rows_i64(rows, row, column);
}

/* --- sections -------------------------------------------------------------------- */

/* Two arrays, of names and of values. */
static int read_pairs(struct reading *reading, const struct cp_rows *rows, size_t row, int column,
                      const struct msg_pair **ret_pairs, size_t *ret_n)
{
    struct cp_array names = cp_array_open(cp_rows_bytes(rows, row, column));
    struct cp_array values = cp_array_open(cp_rows_bytes(rows, row, column + 1));
    size_t n = names.n < values.n ? names.n : values.n;
    struct msg_pair *pairs = section(reading, n, sizeof(*pairs));

    if (pairs == NULL)
        return SB_ENOMEM;
    for (size_t i = 0; i < n; i++)
        if (!cp_array_next(&names, &pairs[i].name) || !cp_array_next(&values, &pairs[i].value))
            return SB_EPARSE;
    *ret_pairs = pairs;
    *ret_n = n;
    return SB_OK;
}

#define PAIRS(column)                                                                              \
    "(SELECT array_agg(j.key ORDER BY j.key COLLATE \"C\") FROM jsonb_each_text(" column ") j),"   \
    " (SELECT array_agg(j.value ORDER BY j.key COLLATE \"C\") FROM jsonb_each_text(" column ") j)"

static int read_providers(struct reading *reading)
{
    enum {
        P_ID,
        P_SLUG,
        P_NAME,
        P_DIALECT,
        P_BASE_URL,
        P_HEADQUARTERS,
        P_AUTH,
        P_PROXY,
        P_CA_FILE,
        P_CONNECTIONS,
        P_IN_FLIGHT,
        P_PRIVACY,
        P_TERMS,
        P_STATUS,
        P_HEADERS,
        P_QUERY = P_HEADERS + 2,
        P_ZDR = P_QUERY + 2,
        P_NO_TRAINING,
        P_WANTS_KEY
    };
    struct msg_snapshot *snapshot = reading->snapshot;
    struct cp_rows *rows = NULL;
    size_t n;
    int rc =
        query(reading,
              "SELECT id, slug, name, dialect, base_url, headquarters,"
              " coalesce(auth_header, 'authorization'), proxy, ca_file, max_connections,"
              " max_in_flight, privacy_policy_url, terms_of_service_url, status_page_url,"
              " " PAIRS("headers") ", " PAIRS(
                  "query") ", zdr, no_training,"
                           " EXISTS (SELECT FROM credentials c WHERE c.provider_id = providers.id)"
                           " FROM providers ORDER BY slug",
              &rows, &n);

    if (rc != SB_OK)
        return rc;
    snapshot->providers = section(reading, n, sizeof(struct msg_provider));
    reading->providers = places_of(reading, rows);
    reading->claims = section(reading, n, sizeof(*reading->claims));
    if (snapshot->providers == NULL || reading->providers == NULL || reading->claims == NULL)
        return SB_ENOMEM;
    snapshot->n_providers = n;
    for (size_t i = 0; rc == SB_OK && i < n; i++) {
        struct msg_provider *p = &snapshot->providers[i];

        *p = (struct msg_provider){.slug = cp_rows_bytes(rows, i, P_SLUG),
                                   .name = cp_rows_bytes(rows, i, P_NAME),
                                   .dialect = cp_rows_bytes(rows, i, P_DIALECT),
                                   .base_url = cp_rows_bytes(rows, i, P_BASE_URL),
                                   .headquarters = cp_rows_bytes(rows, i, P_HEADQUARTERS),
                                   .auth_header = cp_rows_bytes(rows, i, P_AUTH),
                                   .proxy = cp_rows_bytes(rows, i, P_PROXY),
                                   .ca_file = cp_rows_bytes(rows, i, P_CA_FILE),
                                   .max_connections = u32(rows, i, P_CONNECTIONS),
                                   .max_in_flight = u32(rows, i, P_IN_FLIGHT),
                                   .privacy_policy_url = cp_rows_bytes(rows, i, P_PRIVACY),
                                   .terms_of_service_url = cp_rows_bytes(rows, i, P_TERMS),
                                   .status_page_url = cp_rows_bytes(rows, i, P_STATUS),
                                   .wants_key = cp_rows_bool(rows, i, P_WANTS_KEY)};
        rc = read_pairs(reading, rows, i, P_HEADERS, &p->headers, &p->n_headers);
        if (rc == SB_OK)
            rc = read_pairs(reading, rows, i, P_QUERY, &p->query, &p->n_query);
        (void)read_claim(rows, i, P_ZDR, &reading->claims[i][MSG_CLAIM_ZDR]);
        (void)read_claim(rows, i, P_NO_TRAINING, &reading->claims[i][MSG_CLAIM_NO_TRAINING]);
    }
    return rc;
}

static int read_aliases(struct reading *reading, struct sb_slice raw, struct msg_model *model)
{
    struct cp_array array = cp_array_open(raw);
    struct sb_slice *aliases = section(reading, array.n, sizeof(*aliases));

    if (aliases == NULL)
        return SB_ENOMEM;
    model->n_aliases = array.n;
    model->aliases = aliases;
    for (size_t i = 0; i < model->n_aliases; i++)
        if (!cp_array_next(&array, &aliases[i]))
            return SB_EPARSE;
    return SB_OK;
}

static int read_models(struct reading *reading)
{
    enum {
        M_ID,
        M_MODEL,
        M_NAME,
        M_DESCRIPTION,
        M_CREATED,
        M_CONTEXT,
        M_INPUT,
        M_OUTPUT,
        M_IMAGE,
        M_ALIASES,
        M_DISTILLABLE
    };
    struct msg_snapshot *snapshot = reading->snapshot;
    struct cp_rows *rows = NULL;
    size_t n;
    int rc =
        query(reading,
              "SELECT m.id, m.model, m.name, m.description, m.created, m.context_length,"
              " m.input_modalities, m.output_modalities, m.image_tokens, a.aliases,"
              " m.distillable FROM models m LEFT JOIN"
              " (SELECT model_id, array_agg(alias ORDER BY position) AS aliases FROM model_aliases"
              " GROUP BY model_id) a ON a.model_id = m.id ORDER BY m.model",
              &rows, &n);

    if (rc != SB_OK)
        return rc;
    snapshot->models = section(reading, n, sizeof(struct msg_model));
    reading->models = places_of(reading, rows);
    if (snapshot->models == NULL || reading->models == NULL)
        return SB_ENOMEM;
    snapshot->n_models = n;
    for (size_t i = 0; rc == SB_OK && i < n; i++) {
        struct msg_model *m = &snapshot->models[i];

        *m = (struct msg_model){.id = cp_rows_bytes(rows, i, M_MODEL),
                                .name = cp_rows_bytes(rows, i, M_NAME),
                                .description = cp_rows_bytes(rows, i, M_DESCRIPTION),
                                .created = (int64_t)cp_rows_day(rows, i, M_CREATED) * 86400,
                                .context_length = u32(rows, i, M_CONTEXT),
                                .input_modalities = (uint32_t)read_bits(
                                    cp_rows_bytes(rows, i, M_INPUT), msg_modality_parse),
                                .output_modalities = (uint32_t)read_bits(
                                    cp_rows_bytes(rows, i, M_OUTPUT), msg_modality_parse),
                                .image_tokens = u32(rows, i, M_IMAGE)};
        (void)read_claim(rows, i, M_DISTILLABLE, &m->distillable);
        rc = read_aliases(reading, cp_rows_bytes(rows, i, M_ALIASES), m);
    }
    return rc;
}

static int read_policies(struct reading *reading)
{
    struct msg_snapshot *snapshot = reading->snapshot;
    struct cp_rows *rows = NULL;
    size_t n;
    int rc = query(reading, "SELECT id, name, rules::text FROM policies ORDER BY name", &rows, &n);

    if (rc != SB_OK)
        return rc;
    snapshot->policies = section(reading, n, sizeof(struct msg_policy));
    reading->policies = places_of(reading, rows);
    if (snapshot->policies == NULL || reading->policies == NULL)
        return SB_ENOMEM;
    snapshot->n_policies = n;
    for (size_t i = 0; i < n; i++)
        snapshot->policies[i] = (struct msg_policy){.id = (uint64_t)cp_rows_i64(rows, i, 0),
                                                    .name = cp_rows_bytes(rows, i, 1),
                                                    .rules = cp_rows_bytes(rows, i, 2)};
    return SB_OK;
}

static int read_tenants(struct reading *reading)
{
    struct msg_snapshot *snapshot = reading->snapshot;
    struct cp_rows *rows = NULL;
    size_t n;
    int rc = query(reading, "SELECT id, name FROM tenants ORDER BY name", &rows, &n);

    if (rc != SB_OK)
        return rc;
    snapshot->tenants = section(reading, n, sizeof(struct msg_tenant));
    reading->tenants = places_of(reading, rows);
    if (snapshot->tenants == NULL || reading->tenants == NULL)
        return SB_ENOMEM;
    snapshot->n_tenants = n;
    for (size_t i = 0; i < n; i++)
        snapshot->tenants[i] = (struct msg_tenant){.id = (uint64_t)cp_rows_i64(rows, i, 0),
                                                   .name = cp_rows_bytes(rows, i, 1)};
    return SB_OK;
}

static int read_keys(struct reading *reading)
{
    enum { K_ID, K_HASH, K_NAME, K_LABEL, K_TENANT, K_POLICY, K_EXPIRES, K_DISABLED };
    struct msg_snapshot *snapshot = reading->snapshot;
    struct cp_rows *rows = NULL;
    size_t n;
    int rc = query(reading,
                   "SELECT id, hash, name, label, tenant_id, policy_id, expires_at, disabled"
                   " FROM keys ORDER BY name",
                   &rows, &n);

    if (rc != SB_OK)
        return rc;
    snapshot->keys = section(reading, n, sizeof(struct msg_key));
    if (snapshot->keys == NULL)
        return SB_ENOMEM;
    snapshot->n_keys = n;
    for (size_t i = 0; i < n; i++) {
        struct msg_key *key = &snapshot->keys[i];
        struct sb_slice hash = cp_rows_bytes(rows, i, K_HASH);

        *key = (struct msg_key){.id = (uint64_t)cp_rows_i64(rows, i, K_ID),
                                .name = cp_rows_bytes(rows, i, K_NAME),
                                .label = cp_rows_bytes(rows, i, K_LABEL),
                                .tenant = index_of(reading->tenants, snapshot->n_tenants,
                                                   cp_rows_i64(rows, i, K_TENANT)),
                                .policy = index_of(reading->policies, snapshot->n_policies,
                                                   cp_rows_i64(rows, i, K_POLICY)),
                                .expires_at = cp_rows_usec(rows, i, K_EXPIRES) / 1000000,
                                .disabled = cp_rows_bool(rows, i, K_DISABLED)};
        if (hash.n != sizeof(key->hash))
            return SB_EPARSE;
        memcpy(key->hash, hash.p, sizeof(key->hash));
    }
    return SB_OK;
}

static int compare_credentials(const void *a, const void *b)
{
    const struct msg_credential *x = a, *y = b;

    if (x->provider != y->provider)
        return x->provider < y->provider ? -1 : 1;
    if (x->tenant != y->tenant)
        return x->tenant < y->tenant ? -1 : 1;
    return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

static int read_credentials(struct reading *reading)
{
    enum { C_ID, C_PROVIDER, C_TENANT, C_SEQUENCE, C_SPILL, C_SEALED };
    struct msg_snapshot *snapshot = reading->snapshot;
    struct cp_rows *rows = NULL;
    size_t n;
    int rc = query(reading,
                   "SELECT id, provider_id, tenant_id, sequence, spill, sealed FROM credentials"
                   " WHERE NOT suspended",
                   &rows, &n);

    if (rc != SB_OK)
        return rc;
    snapshot->credentials = section(reading, n, sizeof(struct msg_credential));
    if (snapshot->credentials == NULL)
        return SB_ENOMEM;
    snapshot->n_credentials = n;
    for (size_t i = 0; i < n; i++)
        snapshot->credentials[i] =
            (struct msg_credential){.id = (uint64_t)cp_rows_i64(rows, i, C_ID),
                                    .provider = index_of(reading->providers, snapshot->n_providers,
                                                         cp_rows_i64(rows, i, C_PROVIDER)),
                                    .tenant = index_of(reading->tenants, snapshot->n_tenants,
                                                       cp_rows_i64(rows, i, C_TENANT)),
                                    .sequence = u32(rows, i, C_SEQUENCE),
                                    .spill = cp_rows_bool(rows, i, C_SPILL),
                                    .sealed = cp_rows_bytes(rows, i, C_SEALED)};
    if (n > 0)
        qsort(snapshot->credentials, n, sizeof(struct msg_credential), compare_credentials);
    return SB_OK;
}

/* --- endpoints ------------------------------------------------------------------------ */

enum {
    E_ID,
    E_MODEL,
    E_PROVIDER,
    E_TAG,
    E_UPSTREAM,
    E_REGION,
    E_QUANTIZATION,
    E_CONTEXT,
    E_COMPLETION,
    E_PROMPT,
    E_INPUT,
    E_OUTPUT,
    E_PARAMETERS,
    E_PRICES,
    E_CLAIMS = E_PRICES + MSG_PRICE_COUNT,
    E_OVERRIDES = E_CLAIMS + MSG_ENDPOINT_CLAIMS
};

/* Prices by enum msg_price, claims by enum msg_claim_kind. */
#define ENDPOINTS                                                                                  \
    "SELECT e.id, e.model_id, e.provider_id, e.tag, e.upstream_model, e.region, e.quantization,"   \
    " e.context_length, e.max_completion_tokens, e.max_prompt_tokens, e.input_modalities,"         \
    " e.output_modalities, e.supported_parameters, e.price_prompt, e.price_completion,"            \
    " e.price_request, e.price_image, e.price_image_output, e.price_audio, e.price_audio_output,"  \
    " e.price_cache_read, e.price_cache_write, e.price_reasoning, e.price_web_search,"             \
    " e.eu_resident, e.zdr, e.no_training, e.price_overrides::text FROM endpoints e"

_Static_assert(MSG_PRICE_PROMPT == 0 && MSG_PRICE_COMPLETION == 1 && MSG_PRICE_REQUEST == 2 &&
                   MSG_PRICE_IMAGE == 3 && MSG_PRICE_IMAGE_OUTPUT == 4 && MSG_PRICE_AUDIO == 5 &&
                   MSG_PRICE_AUDIO_OUTPUT == 6 && MSG_PRICE_CACHE_READ == 7 &&
                   MSG_PRICE_CACHE_WRITE == 8 && MSG_PRICE_REASONING == 9 &&
                   MSG_PRICE_WEB_SEARCH == 10 && MSG_PRICE_COUNT == 11,
               "the order of the price columns above");
_Static_assert(MSG_CLAIM_EU_RESIDENT == 0 && MSG_CLAIM_ZDR == 1 && MSG_CLAIM_NO_TRAINING == 2 &&
                   MSG_ENDPOINT_CLAIMS == 3,
               "the order of the claim columns above");

static int compare_endpoints(const void *a, const void *b)
{
    const struct msg_endpoint *x = a, *y = b;

    if (x->model != y->model)
        return x->model < y->model ? -1 : 1;
    return cp_slice_order(x->tag, y->tag);
}

/* Neighbours mostly have the same list: read it once. */
struct last_list {
    struct sb_slice raw;
    uint64_t bits;
};

static uint64_t read_parameters(struct sb_slice raw, struct last_list *last)
{
    if (!sb_slice_eq(raw, last->raw)) {
        last->raw = raw;
        last->bits = read_bits(raw, msg_parameter_parse);
    }
    return last->bits;
}

/* Few endpoints have any. */
static int read_overrides(const struct reading *reading, struct sb_slice text,
                          struct msg_endpoint *e)
{
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    int rc;

    if (text.n == 0)
        return SB_OK;
    rc = sb_json_read(text, text.n, &doc, NULL);
    if (rc != SB_OK)
        return rc;
    return cp_overrides_read(yyjson_doc_get_root(doc), reading->arena, &e->overrides,
                             &e->n_overrides);
}

static int read_endpoint(const struct reading *reading, const struct cp_rows *rows, size_t i,
                         struct last_list *last, struct msg_endpoint *e)
{
    const struct msg_snapshot *snapshot = reading->snapshot;
    const struct msg_model *model;
    int quantization = msg_quantization_parse(cp_rows_bytes(rows, i, E_QUANTIZATION));

    e->id = (uint64_t)cp_rows_i64(rows, i, E_ID);
    e->model = index_of(reading->models, snapshot->n_models, cp_rows_i64(rows, i, E_MODEL));
    e->provider =
        index_of(reading->providers, snapshot->n_providers, cp_rows_i64(rows, i, E_PROVIDER));
    e->tag = cp_rows_bytes(rows, i, E_TAG);
    e->upstream_model = cp_rows_bytes(rows, i, E_UPSTREAM);
    e->region = cp_rows_bytes(rows, i, E_REGION);
    e->quantization = (uint8_t)(quantization > 0 ? quantization : MSG_QUANTIZATION_UNKNOWN);
    e->context_length = u32(rows, i, E_CONTEXT);
    e->max_completion_tokens = u32(rows, i, E_COMPLETION);
    e->max_prompt_tokens = u32(rows, i, E_PROMPT);
    e->input_modalities = (uint32_t)read_bits(cp_rows_bytes(rows, i, E_INPUT), msg_modality_parse);
    e->output_modalities =
        (uint32_t)read_bits(cp_rows_bytes(rows, i, E_OUTPUT), msg_modality_parse);
    if (e->model != MSG_NONE) { /* what it does not say itself is the model's */
        model = &snapshot->models[e->model];
        if (e->context_length == 0)
            e->context_length = model->context_length;
        if (e->input_modalities == 0)
            e->input_modalities = model->input_modalities;
        if (e->output_modalities == 0)
            e->output_modalities = model->output_modalities;
    }
    e->parameters = read_parameters(cp_rows_bytes(rows, i, E_PARAMETERS), last);
    for (int price = 0; price < MSG_PRICE_COUNT; price++)
        e->price[price] = cp_rows_is_null(rows, i, E_PRICES + price)
                              ? -1
                              : cp_rows_i64(rows, i, E_PRICES + price);
    for (int claim = 0; claim < MSG_ENDPOINT_CLAIMS; claim++)
        if (!read_claim(rows, i, E_CLAIMS + claim, &e->claim[claim]) && e->provider != MSG_NONE)
            e->claim[claim] = reading->claims[e->provider][claim];
    return read_overrides(reading, cp_rows_bytes(rows, i, E_OVERRIDES), e);
}

static int read_endpoints(struct reading *reading)
{
    struct msg_snapshot *snapshot = reading->snapshot;
    struct last_list last = {.bits = 0};
    struct cp_rows *rows = NULL;
    size_t n;
    int rc = query(reading, ENDPOINTS, &rows, &n);

    if (rc != SB_OK)
        return rc;
    snapshot->endpoints = section(reading, n, sizeof(struct msg_endpoint));
    if (snapshot->endpoints == NULL)
        return SB_ENOMEM;
    snapshot->n_endpoints = n;
    for (size_t i = 0; i < n && rc == SB_OK; i++)
        rc = read_endpoint(reading, rows, i, &last, &snapshot->endpoints[i]);
    if (rc != SB_OK)
        return rc;
    if (n > 0)
        qsort(snapshot->endpoints, n, sizeof(struct msg_endpoint), compare_endpoints);
    return SB_OK;
}

/* --- the whole ---------------------------------------------------------------------------- */

static int read_head(struct reading *reading)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct msg_snapshot *snapshot = reading->snapshot;
    struct sb_slice sticky, user;
    int rc = cp_db_query(reading->db,
                         "SELECT h.epoch, h.revision, h.changed_at, s.key, u.key"
                         " FROM config_head h, cluster_keys s, cluster_keys u"
                         " WHERE s.name = 'sticky' AND u.name = 'user'",
                         CP_NO_PARAMS, &rows);

    if (rc != SB_OK)
        return rc;
    if (cp_rows_count(rows) != 1)
        return SB_EPARSE;
    snapshot->version.epoch = (uint64_t)cp_rows_i64(rows, 0, 0);
    snapshot->version.revision = (uint64_t)cp_rows_i64(rows, 0, 1);
    snapshot->created_at = cp_rows_usec(rows, 0, 2);
    sticky = cp_rows_bytes(rows, 0, 3);
    user = cp_rows_bytes(rows, 0, 4);
    if (sticky.n != sizeof(snapshot->sticky_key) || user.n != sizeof(snapshot->user_key))
        return SB_EPARSE;
    memcpy(snapshot->sticky_key, sticky.p, sticky.n);
    memcpy(snapshot->user_key, user.p, user.n);
    return SB_OK;
}

int cp_compile_records(struct cp_db *db, struct sb_arena *arena, struct msg_snapshot **ret_snapshot)
{
    static int (*const steps[])(struct reading * reading) = {
        read_head,      read_providers, read_models, read_policies,
        read_endpoints, read_tenants,   read_keys,   read_credentials};
    struct reading reading = {.db = db, .arena = arena};
    int rc = SB_OK;

    reading.snapshot = sb_arena_alloc(arena, sizeof(*reading.snapshot));
    for (size_t i = 0; rc == SB_OK && i < SB_ARRAY_LEN(steps); i++)
        rc = steps[i](&reading);
    if (rc == SB_OK)
        *ret_snapshot = reading.snapshot;
    return rc;
}
