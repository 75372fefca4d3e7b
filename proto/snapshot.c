/* proto/snapshot.c - the bytes of a snapshot.
 *
 *      [format, epoch, revision, created_at, sticky_key, user_key, [counts]]
 *      a row of the first section, ... a row of the last section
 *
 * A section that an older decoder does not know has its count behind the known
 * ones and its rows behind theirs, and is skipped. */
#include "proto/snapshot.h"

#include <inttypes.h>

#include "proto/codec.h"

/* No row that makes sense is shorter, so a count is not believed beyond. */
enum { ROW_BYTES_MIN = 4 };

#define MODALITIES ((UINT64_C(1) << MSG_MODALITY_COUNT) - 1)
#define PARAMETERS ((UINT64_C(1) << MSG_PARAMETER_COUNT) - 1)

#define PAIR_FIELDS(F, A)                                                                          \
    F(text, name, MSG_NAME_MAX)                                                                    \
    F(text, value, MSG_TEXT_MAX)
WIRE_STRUCT(pair, PAIR_FIELDS)

#define CLAIM_FIELDS(F, A)                                                                         \
    F(u8, value, MSG_TRI_YES)                                                                      \
    F(i32, attested_on, 0)                                                                         \
    F(i32, expires_on, 0)                                                                          \
    F(text, evidence, MSG_TEXT_MAX)                                                                \
    F(text, attested_by, MSG_NAME_MAX)
WIRE_STRUCT(claim, CLAIM_FIELDS)

#define PROVIDER_FIELDS(F, A)                                                                      \
    F(text, slug, MSG_SLUG_MAX)                                                                    \
    F(text, name, MSG_NAME_MAX)                                                                    \
    F(text, dialect, MSG_SLUG_MAX)                                                                 \
    F(text, base_url, MSG_URL_MAX)                                                                 \
    F(text, headquarters, MSG_SLUG_MAX)                                                            \
    F(text, auth_header, MSG_NAME_MAX)                                                             \
    F(text, proxy, MSG_URL_MAX)                                                                    \
    F(text, ca_file, MSG_URL_MAX)                                                                  \
    A(pair, headers, n_headers, MSG_LIST_MAX, 0)                                                   \
    A(pair, query, n_query, MSG_LIST_MAX, 0)                                                       \
    F(u32, max_connections, UINT32_MAX)                                                            \
    F(u32, max_in_flight, UINT32_MAX)                                                              \
    F(text, privacy_policy_url, MSG_URL_MAX)                                                       \
    F(text, terms_of_service_url, MSG_URL_MAX)                                                     \
    F(text, status_page_url, MSG_URL_MAX)                                                          \
    F(flag, wants_key, 0)
WIRE_STRUCT(provider, PROVIDER_FIELDS)

#define MODEL_FIELDS(F, A)                                                                         \
    F(text, id, MSG_MODEL_ID_MAX)                                                                  \
    F(text, name, MSG_NAME_MAX)                                                                    \
    F(text, description, MSG_TEXT_MAX)                                                             \
    F(i64, created, 0)                                                                             \
    F(u32, context_length, UINT32_MAX)                                                             \
    F(bits32, input_modalities, MODALITIES)                                                        \
    F(bits32, output_modalities, MODALITIES)                                                       \
    F(u32, image_tokens, UINT32_MAX)                                                               \
    A(text, aliases, n_aliases, MSG_LIST_MAX, MSG_MODEL_ID_MAX)                                    \
    F(claim, distillable, 0)
WIRE_STRUCT(model, MODEL_FIELDS)

/* A price that is missing or nil is not offered; zero would make it free. */
static void put_prices(struct wire_writer *w, const int64_t (*v)[MSG_PRICE_COUNT], uint64_t unused)
{
    (void)unused;
    wire_write_array(w, MSG_PRICE_COUNT);
    for (size_t i = 0; i < MSG_PRICE_COUNT; i++) {
        if ((*v)[i] == -1)
            wire_write_nil(w);
        else
            wire_write_i64(w, (*v)[i]);
    }
}

static void get_prices(struct wire_reader *r, int64_t (*v)[MSG_PRICE_COUNT], uint64_t unused)
{
    struct wire_scope outer = wire_enter(r);

    (void)unused;
    for (size_t i = 0; i < MSG_PRICE_COUNT; i++)
        (*v)[i] = wire_read_nil(r) ? -1 : wire_read_i64(r, 0, INT64_MAX);
    wire_leave(r, outer);
}

enum { MINUTES_PER_DAY = 24 * 60 };

#define OVERRIDE_FIELDS(F, A)                                                                      \
    F(u32, min_prompt_tokens, UINT32_MAX)                                                          \
    F(u16, from, MINUTES_PER_DAY - 1)                                                              \
    F(u16, until, MINUTES_PER_DAY - 1)                                                             \
    F(u8, days, (1u << MSG_DAY_COUNT) - 1)                                                         \
    F(prices, price, 0)
WIRE_STRUCT(override, OVERRIDE_FIELDS)

static void put_claims(struct wire_writer *w, const struct msg_claim (*v)[MSG_ENDPOINT_CLAIMS],
                       uint64_t unused)
{
    (void)unused;
    wire_write_array(w, MSG_ENDPOINT_CLAIMS);
    for (size_t i = 0; i < MSG_ENDPOINT_CLAIMS; i++)
        put_claim(w, &(*v)[i], 0);
}

static void get_claims(struct wire_reader *r, struct msg_claim (*v)[MSG_ENDPOINT_CLAIMS],
                       uint64_t unused)
{
    struct wire_scope outer = wire_enter(r);

    (void)unused;
    for (size_t i = 0; i < MSG_ENDPOINT_CLAIMS; i++)
        get_claim(r, &(*v)[i], 0);
    wire_leave(r, outer);
}

#define ENDPOINT_FIELDS(F, A)                                                                      \
    F(u64, id, UINT64_MAX)                                                                         \
    F(u32, model, UINT32_MAX)                                                                      \
    F(u32, provider, UINT32_MAX)                                                                   \
    F(text, tag, MSG_SLUG_MAX)                                                                     \
    F(text, upstream_model, MSG_MODEL_ID_MAX)                                                      \
    F(text, region, MSG_SLUG_MAX)                                                                  \
    F(u8, quantization, MSG_QUANTIZATION_COUNT - 1)                                                \
    F(u32, context_length, UINT32_MAX)                                                             \
    F(u32, max_completion_tokens, UINT32_MAX)                                                      \
    F(u32, max_prompt_tokens, UINT32_MAX)                                                          \
    F(bits32, input_modalities, MODALITIES)                                                        \
    F(bits32, output_modalities, MODALITIES)                                                       \
    F(bits64, parameters, PARAMETERS)                                                              \
    F(prices, price, 0)                                                                            \
    F(claims, claim, 0)                                                                            \
    A(override, overrides, n_overrides, MSG_OVERRIDES_MAX, 0)
WIRE_STRUCT(endpoint, ENDPOINT_FIELDS)

#define POLICY_FIELDS(F, A)                                                                        \
    F(u64, id, UINT64_MAX)                                                                         \
    F(text, name, MSG_SLUG_MAX)                                                                    \
    F(text, rules, MSG_RULES_MAX)
WIRE_STRUCT(policy, POLICY_FIELDS)

#define TENANT_FIELDS(F, A)                                                                        \
    F(u64, id, UINT64_MAX)                                                                         \
    F(text, name, MSG_SLUG_MAX)
WIRE_STRUCT(tenant, TENANT_FIELDS)

#define KEY_FIELDS(F, A)                                                                           \
    F(u64, id, UINT64_MAX)                                                                         \
    F(fixed, hash, MSG_HASH_BYTES)                                                                 \
    F(text, name, MSG_SLUG_MAX)                                                                    \
    F(text, label, MSG_SLUG_MAX)                                                                   \
    F(u32, tenant, UINT32_MAX)                                                                     \
    F(opt32, policy, 0)                                                                            \
    F(i64, expires_at, 0)                                                                          \
    F(flag, disabled, 0)
WIRE_STRUCT(key, KEY_FIELDS)

#define CREDENTIAL_FIELDS(F, A)                                                                    \
    F(u64, id, UINT64_MAX)                                                                         \
    F(u32, provider, UINT32_MAX)                                                                   \
    F(opt32, tenant, 0)                                                                            \
    F(u32, sequence, UINT32_MAX)                                                                   \
    F(flag, spill, 0)                                                                              \
    F(bytes, sealed, MSG_SEALED_MAX)
WIRE_STRUCT(credential, CREDENTIAL_FIELDS)

/* In the order of the wire; rows refer to earlier sections only. */
#define SECTIONS(S)                                                                                \
    S(provider, providers)                                                                         \
    S(model, models)                                                                               \
    S(endpoint, endpoints)                                                                         \
    S(policy, policies)                                                                            \
    S(tenant, tenants)                                                                             \
    S(key, keys)                                                                                   \
    S(credential, credentials)

enum {
#define S(type, member) SECTION_##member,
    SECTIONS(S) SECTION_COUNT
#undef S
};

/* What a header counts. */
struct counts {
    uint32_t known[SECTION_COUNT];
    uint64_t unknown; /* rows of all sections that are newer than this decoder */
};

static int refuse_row(struct sb_errmsg *err, int rc, const char *section, size_t row,
                      const char *field)
{
    return sb_err_set(err, rc, "%s[%zu].%s: %s", section, row, field != NULL ? field : "",
                      sb_err_str(rc));
}

/* ---- encoding ---- */

#define S(type, member)                                                                            \
    static void write_##member(struct wire_writer *w, const struct msg_snapshot *snapshot,         \
                               struct sb_errmsg *err)                                              \
    {                                                                                              \
        for (size_t i = 0; i < snapshot->n_##member; i++) {                                        \
            put_##type(w, &snapshot->member[i], 0);                                                \
            if (w->error != SB_OK) {                                                               \
                (void)refuse_row(err, w->error, #member, i, w->failed);                            \
                return;                                                                            \
            }                                                                                      \
        }                                                                                          \
    }
SECTIONS(S)
#undef S

static void write_header(struct wire_writer *w, const struct msg_snapshot *snapshot,
                         struct sb_errmsg *err)
{
    wire_write_array(w, 7);
    wire_write_u64(w, MSG_SNAPSHOT_FORMAT);
    wire_write_u64(w, snapshot->version.epoch);
    wire_write_u64(w, snapshot->version.revision);
    wire_write_i64(w, snapshot->created_at);
    put_fixed(w, snapshot->sticky_key, sizeof(snapshot->sticky_key));
    put_fixed(w, snapshot->user_key, sizeof(snapshot->user_key));
    wire_write_array(w, SECTION_COUNT);
#define S(type, member)                                                                            \
    w->at = #member;                                                                               \
    if (snapshot->n_##member > MSG_ROWS_MAX)                                                       \
        wire_writer_fail(w, SB_ETOOBIG);                                                           \
    wire_write_u64(w, snapshot->n_##member);
    SECTIONS(S)
#undef S
    if (w->error != SB_OK)
        (void)sb_err_set(err, w->error, "%s: %s", w->failed != NULL ? w->failed : "header",
                         sb_err_str(w->error));
}

int msg_snapshot_encode(const struct msg_snapshot *snapshot, struct sb_buf *out,
                        struct sb_errmsg *err)
{
    struct wire_writer w = wire_writer_init(out);

    write_header(&w, snapshot, err);
#define S(type, member)                                                                            \
    if (w.error == SB_OK)                                                                          \
        write_##member(&w, snapshot, err);
    SECTIONS(S)
#undef S
    if (w.error == SB_OK && sb_buf_len(out) - w.start > MSG_SNAPSHOT_MAX) {
        wire_writer_fail(&w, SB_ETOOBIG);
        (void)sb_err_set(err, w.error, "over %zu bytes", MSG_SNAPSHOT_MAX);
    }
    return wire_writer_end(&w);
}

/* ---- decoding ---- */

/* Enters a section of n rows.  NULL when there are none, or on error. */
static void *take_rows(struct wire_reader *r, uint32_t n, size_t row_size, size_t *ret_n)
{
    if (n > (size_t)(r->end - r->p) / ROW_BYTES_MIN)
        wire_reader_fail(r, n > MSG_ROWS_MAX ? SB_ETOOBIG : SB_EPARSE);
    else
        r->left = n;
    return wire_read_rows(r, MSG_ROWS_MAX, row_size, ret_n);
}

#define S(type, member)                                                                            \
    static int read_##member(struct wire_reader *r, uint32_t n, struct msg_snapshot *snapshot,     \
                             struct sb_errmsg *err)                                                \
    {                                                                                              \
        struct msg_##type *rows = take_rows(r, n, sizeof(*rows), &snapshot->n_##member);           \
        size_t i;                                                                                  \
                                                                                                   \
        for (i = 0; i < snapshot->n_##member && r->error == SB_OK; i++)                            \
            get_##type(r, &rows[i], 0);                                                            \
        if (r->error != SB_OK)                                                                     \
            return refuse_row(err, r->error, #member, i > 0 ? i - 1 : 0, r->failed);               \
        snapshot->member = rows;                                                                   \
        return SB_OK;                                                                              \
    }
SECTIONS(S)
#undef S

static int read_header(struct wire_reader *r, struct msg_snapshot *snapshot, struct counts *counts,
                       struct sb_errmsg *err)
{
    struct wire_scope outer = wire_enter(r), inner;
    uint64_t format = wire_read_u64(r, UINT64_MAX);

    if (r->error == SB_OK && format != MSG_SNAPSHOT_FORMAT)
        return sb_err_set(err, SB_EVERSION, "format %" PRIu64 ", this program reads %d", format,
                          MSG_SNAPSHOT_FORMAT);
    snapshot->version.epoch = wire_read_u64(r, UINT64_MAX);
    snapshot->version.revision = wire_read_u64(r, UINT64_MAX);
    snapshot->created_at = wire_read_i64(r, INT64_MIN, INT64_MAX);
    get_fixed(r, snapshot->sticky_key, sizeof(snapshot->sticky_key));
    get_fixed(r, snapshot->user_key, sizeof(snapshot->user_key));
    inner = wire_enter(r);
    for (size_t i = 0; i < SECTION_COUNT; i++)
        counts->known[i] = (uint32_t)wire_read_u64(r, UINT32_MAX);
    while (r->left > 0)
        counts->unknown += wire_read_u64(r, UINT32_MAX);
    wire_leave(r, inner);
    wire_leave(r, outer);
    return r->error == SB_OK ? SB_OK
                             : sb_err_set(err, r->error, "header: %s", sb_err_str(r->error));
}

static int read_all(struct wire_reader *r, struct msg_snapshot *snapshot, struct sb_errmsg *err)
{
    struct counts counts = {.unknown = 0};
    int rc = read_header(r, snapshot, &counts, err);

#define S(type, member)                                                                            \
    if (rc == SB_OK)                                                                               \
        rc = read_##member(r, counts.known[SECTION_##member], snapshot, err);
    SECTIONS(S)
#undef S
    if (rc != SB_OK)
        return rc;
    for (uint64_t i = 0; i < counts.unknown && r->error == SB_OK; i++) {
        r->left = 1;
        wire_skip(r);
    }
    rc = wire_reader_end(r);
    return rc == SB_OK ? SB_OK : sb_err_set(err, rc, "behind the last section: %s", sb_err_str(rc));
}

int msg_snapshot_decode(struct sb_slice bytes, struct sb_arena *arena,
                        struct msg_snapshot **ret_snapshot, struct sb_errmsg *err)
{
    struct wire_reader r = wire_reader_init(bytes, arena);
    struct msg_snapshot *snapshot;
    int rc;

    if (bytes.n > MSG_SNAPSHOT_MAX)
        return sb_err_set(err, SB_ETOOBIG, "%zu bytes, at most %zu", bytes.n, MSG_SNAPSHOT_MAX);
    snapshot = sb_arena_try(arena, sizeof(*snapshot));
    if (snapshot == NULL)
        return sb_err_set(err, SB_ENOMEM, "%s", sb_err_str(SB_ENOMEM));
    *snapshot = (struct msg_snapshot){.version = {0, 0}};
    rc = read_all(&r, snapshot, err);
    if (rc == SB_OK)
        rc = msg_snapshot_check(snapshot, err);
    if (rc == SB_OK)
        *ret_snapshot = snapshot;
    return rc;
}
