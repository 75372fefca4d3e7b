/* controlplane/config/enter.c - secrets that come in with a change: read, hash, seal. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/file.h"
#include "common/json.h"
#include "common/keyring.h"
#include "common/log.h"
#include "common/secret.h"
#include "controlplane/config/change.h"
#include "proto/snapshot.h"

enum {
    APIKEY_MIN = 16,    /* characters of an API key that somebody brings along */
    BINDING_MAX = 4096, /* bytes of what a credential is bound to */
    LABEL_HEAD = 6,
    LABEL_TAIL = 3,
    ENTERED_MAX = 256 << 20, /* bytes of all that was entered, as JSON */
};

/* --- reading ------------------------------------------------------------------ */

static void problem(struct cp_edit *edit, const struct cp_object *object, const char *fmt, ...)
    SB_PRINTF(3, 4);
static void problem(struct cp_edit *edit, const struct cp_object *object, const char *fmt, ...)
{
    char text[400];
    const struct cp_secret_source *source = &object->secret;
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    cp_problems_add(&edit->answer->problems, source->path.n > 0 ? source->path : object->path,
                    source->path.n > 0 ? source->line : object->line, "%s", text);
}

static int read_file(const char *path, struct sb_secret **ret_secret, struct sb_errmsg *err)
{
    struct sb_slice text;
    struct sb_buf buf;
    int rc;

    sb_buf_init(&buf, SB_SECRET_MAX);
    rc = sb_file_read(path, &buf, err);
    if (rc == SB_OK) {
        text = sb_buf_slice(&buf);
        while (text.n > 0 && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
            text.n--;
        rc = sb_secret_new(text, ret_secret);
    }
    if (buf.data != NULL)
        sb_secret_wipe(buf.data, buf.size);
    sb_buf_release(&buf);
    return rc;
}

/* It travels in a header. */
static void check_characters(struct cp_edit *edit, const struct cp_object *object,
                             struct sb_slice text, size_t min)
{
    if (text.n < min) {
        problem(edit, object,
                min > 1 ? "the secret must have at least 16 characters" : "the secret is empty");
        return;
    }
    for (const char *p = text.p; p < text.p + text.n; p++) {
        if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f) {
            problem(edit, object, "the secret has spaces or characters beyond ASCII");
            return;
        }
    }
}

/* The secret that an object names; NULL and a problem when it cannot be had. */
static struct sb_secret *read_secret(struct cp_edit *edit, const struct cp_object *object,
                                     size_t min)
{
    const struct cp_secret_source *source = &object->secret;
    struct sb_secret *secret = NULL;
    struct sb_errmsg err = {{0}};
    char name[4096];
    int rc = SB_ENOENT;

    switch (source->from) {
    case CP_SECRET_ENV:
        if (sb_slice_copy_text(source->text, name, sizeof(name)) && getenv(name) != NULL)
            rc = sb_secret_new(sb_slice_of(getenv(name)), &secret);
        if (rc == SB_ENOENT)
            problem(edit, object,
                    "the control plane's environment has no '%.*s': start it with that variable, "
                    "or say {file: PATH} or {value: SECRET}",
                    SB_LOG_SLICE(source->text));
        break;
    case CP_SECRET_FILE:
        if (sb_slice_copy_text(source->text, name, sizeof(name)))
            rc = read_file(name, &secret, &err);
        if (rc != SB_OK)
            problem(edit, object, "the control plane cannot read the file '%.*s'",
                    SB_LOG_SLICE(source->text));
        break;
    case CP_SECRET_VALUE:
        rc = sb_secret_new(source->text, &secret);
        break;
    case CP_SECRET_NONE:
        break;
    }
    if (rc == SB_ETOOBIG)
        problem(edit, object, "the secret is too long");
    if (rc != SB_OK)
        return NULL;
    check_characters(edit, object, sb_secret_expose(secret), min);
    return secret;
}

/* --- what both kinds share ------------------------------------------------------ */

struct entry {
    struct cp_edit *edit;
    enum cp_kind kind;
    struct sb_buf buf;
    struct sb_json json;
    struct sb_slice *names;
    size_t n;
};

static void entry_begin(struct entry *entry, struct cp_edit *edit, enum cp_kind kind)
{
    *entry = (struct entry){.edit = edit, .kind = kind};
    entry->names =
        sb_arena_alloc(edit->answer->arena, edit->catalog->n[kind] * sizeof(struct sb_slice));
    sb_buf_init(&entry->buf, ENTERED_MAX);
    sb_json_init(&entry->json, &entry->buf);
    sb_json_open_array(&entry->json);
}

static void put_hex(struct sb_json *json, const char *name, struct sb_slice bytes,
                    struct sb_arena *arena)
{
    char *text = sb_arena_alloc(arena, bytes.n * 2 + 1);

    for (size_t i = 0; bytes.p != NULL && i < bytes.n; i++) {
        text[2 * i] = "0123456789abcdef"[(unsigned char)bytes.p[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[(unsigned char)bytes.p[i] & 15];
    }
    sb_json_add_text(json, name, sb_slice_make(text, bytes.n * 2));
}

static int entry_end(struct entry *entry, struct cp_entered *ret_entered)
{
    int rc;

    sb_json_close_array(&entry->json);
    rc = sb_json_end(&entry->json);
    if (rc == SB_OK)
        *ret_entered = (struct cp_entered){
            .json = sb_arena_dup(entry->edit->answer->arena, sb_buf_slice(&entry->buf)),
            .names = entry->names,
            .n = entry->n};
    sb_buf_release(&entry->buf);
    return rc;
}

/* Rows of the stored objects that the catalogue names, by name: the order of
 * catalog->by_name. */
static int stored(struct cp_edit *edit, enum cp_kind kind, const char *sql,
                  struct cp_rows **ret_rows)
{
    struct sb_json json;
    struct sb_buf buf;
    int rc;

    sb_buf_init(&buf, ENTERED_MAX);
    sb_json_init(&json, &buf);
    sb_json_open_array(&json);
    for (size_t i = 0; i < edit->catalog->n[kind]; i++)
        sb_json_put_text(&json, edit->catalog->objects[kind][i].name);
    sb_json_close_array(&json);
    rc = sb_json_end(&json);
    if (rc == SB_OK)
        rc = cp_db_query(edit->db, sql, CP_PARAMS(CP_P_TEXT(sb_buf_slice(&buf))), ret_rows);
    sb_buf_release(&buf);
    return rc;
}

/* The row whose first column is name, or SIZE_MAX. */
static size_t find_row(const struct cp_rows *rows, struct sb_slice name)
{
    size_t low = 0, high = cp_rows_count(rows);

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = cp_slice_order(cp_rows_bytes(rows, middle, 0), name);

        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return SIZE_MAX;
}

/* --- API keys ------------------------------------------------------------------------ */

static void destroy_secret(void *ctx)
{
    struct sb_secret *secret = ctx;

    sb_secret_destroy(&secret);
}

static void hand_out(struct cp_edit *edit, struct sb_slice name, struct sb_secret *secret)
{
    struct cp_made_key *made = sb_arena_alloc(edit->answer->arena, sizeof(*made));

    made->name = name;
    made->secret = secret;
    made->next = edit->answer->result.made;
    edit->answer->result.made = made;
}

/* One that has a new secret. */
static void add_key(struct entry *entry, const struct cp_object *object, struct sb_slice secret,
                    const uint8_t hash[SB_HASH_BYTES])
{
    struct sb_slice tail = sb_slice_from(secret, secret.n - LABEL_TAIL);
    struct sb_slice label = sb_arena_printf(entry->edit->answer->arena, "%.*s...%.*s", LABEL_HEAD,
                                            secret.p, LABEL_TAIL, tail.p);

    entry->names[entry->n++] = object->name;
    sb_json_open_object(&entry->json);
    sb_json_add_text(&entry->json, "name", object->name);
    put_hex(&entry->json, "hash", sb_slice_make(hash, SB_HASH_BYTES), entry->edit->answer->arena);
    sb_json_add_text(&entry->json, "label", label);
    sb_json_close_object(&entry->json);
}

static void enter_key(struct entry *entry, const struct cp_object *object,
                      const struct cp_rows *rows)
{
    struct cp_edit *edit = entry->edit;
    const struct sb_keyring *keyring = edit->conf->keyring;
    bool given = object->secret.from != CP_SECRET_NONE;
    size_t row = find_row(rows, object->name);
    uint8_t hash[SB_HASH_BYTES];
    struct sb_secret *secret;

    if (object->json.n == 0 || (!given && row != SIZE_MAX))
        return;
    secret = given ? read_secret(edit, object, APIKEY_MIN) : sb_apikey_new();
    if (secret == NULL)
        return;
    sb_arena_on_destroy(edit->answer->arena, destroy_secret, secret);
    if (sb_secret_len(secret) < APIKEY_MIN)
        return; /* is a problem already */
    if (keyring == NULL || sb_keyring_hash(keyring, sb_secret_expose(secret), hash) != SB_OK) {
        problem(edit, object, "the control plane has no key to hash API keys with");
        return;
    }
    if (row != SIZE_MAX &&
        sb_slice_eq(cp_rows_bytes(rows, row, 1), sb_slice_make(hash, sizeof(hash))))
        return;
    add_key(entry, object, sb_secret_expose(secret), hash);
    if (!given && !edit->change->dry_run)
        hand_out(edit, object->name, secret);
}

/* One secret, one key; and a revoked one never again. */
static int check_hashes(struct cp_edit *edit)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = cp_db_query(
        edit->db,
        "WITH s AS MATERIALIZED (SELECT name, decode(hash, 'hex') AS hash"
        " FROM jsonb_to_recordset($1::jsonb) AS x(name text, hash text))"
        " SELECT s.name, k.name, false FROM s JOIN keys k ON k.hash = s.hash AND k.name <> s.name"
        " UNION ALL SELECT s.name, r.name, true FROM s JOIN revoked_keys r ON r.hash = s.hash",
        CP_PARAMS(CP_P_TEXT(edit->entered[CP_ENTERED_KEYS].json)), &rows);

    for (size_t i = 0; rc == SB_OK && i < cp_rows_count(rows); i++)
        cp_edit_problem(edit, CP_KEYS, cp_rows_bytes(rows, i, 0), "secret",
                        cp_rows_bool(rows, i, 2) ? "is that of the revoked key '%.*s'"
                                                 : "is that of the key '%.*s'",
                        SB_SLICE_ARGS(cp_rows_bytes(rows, i, 1)));
    return rc;
}

static int enter_keys(struct cp_edit *edit)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct entry entry;
    int rc;

    if (edit->catalog->n[CP_KEYS] == 0)
        return SB_OK;
    rc = stored(edit, CP_KEYS,
                "SELECT name, hash FROM keys"
                " WHERE name IN (SELECT jsonb_array_elements_text($1::jsonb)) ORDER BY name",
                &rows);
    if (rc != SB_OK)
        return rc;
    entry_begin(&entry, edit, CP_KEYS);
    for (size_t i = 0; i < edit->catalog->n[CP_KEYS]; i++)
        enter_key(&entry, edit->catalog->by_name[CP_KEYS][i], rows);
    rc = entry_end(&entry, &edit->entered[CP_ENTERED_KEYS]);
    if (rc == SB_OK && edit->entered[CP_ENTERED_KEYS].n > 0)
        rc = check_hashes(edit);
    return rc;
}

/* --- credentials ------------------------------------------------------------------------ */

/* Columns of the stored credentials. */
enum { C_NAME, C_ID, C_SEALED, C_ORIGIN, C_SUSPENDED, C_PROVIDER, C_TENANT };
#define STORED_CREDENTIALS                                                                         \
    "SELECT c.name, c.id, c.sealed, c.origin, c.suspended, p.slug, coalesce(t.name, '')"           \
    " FROM credentials c JOIN providers p ON p.id = c.provider_id"                                 \
    " LEFT JOIN tenants t ON t.id = c.tenant_id"                                                   \
    " WHERE c.name IN (SELECT jsonb_array_elements_text($1::jsonb)) ORDER BY c.name"

struct credential {
    const struct cp_object *object;
    struct sb_slice provider, tenant; /* tenant: empty for the house */
    struct sb_slice origin;           /* of the provider's address, after this change */
    size_t row;                       /* SIZE_MAX: it is new */
};

static struct sb_slice member(const struct cp_object *object, const char *name)
{
    struct sb_slice text = SB_SLICE_NONE;

    if (cp_node_text(cp_node_get(object->node, name), &text) != SB_OK)
        return SB_SLICE_NONE;
    return text;
}

/* Scheme, host and port of a base URL in normal form. */
static struct sb_slice origin_of(struct sb_slice base_url)
{
    size_t at = sb_slice_find(base_url, ':');

    if (at + 3 > base_url.n)
        return SB_SLICE_NONE;
    at += 3;
    return sb_slice_make(base_url.p, at + sb_slice_find(sb_slice_from(base_url, at), '/'));
}

static struct sb_slice find_origin(const struct cp_edit *edit, const struct cp_rows *providers,
                                   struct sb_slice slug)
{
    const struct cp_object *object = cp_catalog_find(edit->catalog, CP_PROVIDERS, slug);
    size_t row;

    if (object != NULL)
        return origin_of(object->base_url);
    row = find_row(providers, slug);
    return row != SIZE_MAX ? cp_rows_bytes(providers, row, 1) : SB_SLICE_NONE;
}

static int seal(const struct cp_edit *edit, const struct credential *credential, uint64_t id,
                const struct sb_secret *secret, struct sb_buf *out)
{
    struct sb_slice bound;
    struct sb_buf binding;
    int rc;

    sb_buf_init(&binding, BINDING_MAX);
    rc = msg_credential_binding(id, credential->tenant, credential->provider, credential->origin,
                                &binding);
    bound = sb_buf_slice(&binding);
    if (rc == SB_OK)
        rc = sb_keyring_seal(edit->conf->keyring, &bound, 1, sb_secret_expose(secret), out);
    sb_buf_release(&binding);
    return rc;
}

/* Whether what is stored is this secret, in force for this origin. */
static bool is_stored(const struct cp_edit *edit, const struct credential *credential,
                      const struct cp_rows *rows, const struct sb_secret *secret)
{
    struct sb_secret *old = NULL;
    struct sb_slice bound;
    struct sb_buf binding;
    bool same = false;

    if (credential->row == SIZE_MAX || cp_rows_bool(rows, credential->row, C_SUSPENDED) ||
        !sb_slice_eq(cp_rows_bytes(rows, credential->row, C_ORIGIN), credential->origin))
        return false;
    sb_buf_init(&binding, BINDING_MAX);
    if (msg_credential_binding((uint64_t)cp_rows_i64(rows, credential->row, C_ID),
                               credential->tenant, credential->provider, credential->origin,
                               &binding) == SB_OK) {
        bound = sb_buf_slice(&binding);
        /* What does not open any more is replaced by what is entered now. */
        if (sb_keyring_unseal(edit->conf->keyring, &bound, 1,
                              cp_rows_bytes(rows, credential->row, C_SEALED), &old, NULL) == SB_OK)
            same = sb_secret_equal(sb_secret_expose(old), sb_secret_expose(secret));
    }
    sb_secret_destroy(&old);
    sb_buf_release(&binding);
    return same;
}

static int next_id(struct cp_edit *edit, uint64_t *ret_id)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = cp_db_query(edit->db,
                         "SELECT nextval(pg_get_serial_sequence('switchboard.credentials', 'id'))",
                         CP_NO_PARAMS, &rows);

    if (rc == SB_OK)
        *ret_id = (uint64_t)cp_rows_i64(rows, 0, 0);
    return rc;
}

static int add_credential(struct entry *entry, const struct credential *credential,
                          const struct cp_rows *rows, const struct sb_secret *secret)
{
    struct cp_edit *edit = entry->edit;
    struct sb_buf sealed;
    uint64_t id = 0;
    int rc = SB_OK;

    if (credential->row == SIZE_MAX)
        rc = next_id(edit, &id);
    else
        id = (uint64_t)cp_rows_i64(rows, credential->row, C_ID);
    if (rc != SB_OK)
        return rc;
    sb_buf_init(&sealed, SB_SECRET_MAX + SB_KEYRING_OVERHEAD);
    rc = seal(edit, credential, id, secret, &sealed);
    if (rc == SB_OK && sb_buf_len(&sealed) > MSG_SEALED_MAX)
        rc = SB_ETOOBIG;
    if (rc == SB_OK) {
        entry->names[entry->n++] = credential->object->name;
        sb_json_open_object(&entry->json);
        sb_json_add_text(&entry->json, "name", credential->object->name);
        sb_json_add_u64(&entry->json, "id", id);
        put_hex(&entry->json, "sealed", sb_buf_slice(&sealed), edit->answer->arena);
        sb_json_close_object(&entry->json);
    } else if (rc != SB_ENOMEM) {
        problem(edit, credential->object,
                rc == SB_ETOOBIG ? "the secret is too long" : "cannot be sealed");
        rc = SB_OK;
    }
    sb_buf_release(&sealed);
    return rc;
}

/* One that is stored can change neither its provider nor its tenant. */
static bool stays_bound(struct cp_edit *edit, const struct credential *credential,
                        const struct cp_rows *rows)
{
    struct sb_slice provider = cp_rows_bytes(rows, credential->row, C_PROVIDER);
    struct sb_slice tenant = cp_rows_bytes(rows, credential->row, C_TENANT);
    bool same_provider = sb_slice_eq(provider, credential->provider);
    const char *member = NULL;

    if (same_provider && sb_slice_eq(tenant, credential->tenant))
        return true;
    if (credential->object->node != NULL) /* else it stands inside of its provider */
        member = same_provider ? "tenant" : "provider";
    cp_edit_problem(edit, CP_CREDENTIALS, credential->object->name, member,
                    "the credential '%.*s' is sealed for the provider '%.*s' and %s%.*s%s; delete "
                    "it and enter it again",
                    SB_SLICE_ARGS(credential->object->name), SB_SLICE_ARGS(provider),
                    tenant.n > 0 ? "the tenant '" : "the house", SB_SLICE_ARGS(tenant),
                    tenant.n > 0 ? "'" : "");
    return false;
}

static int enter_credential(struct entry *entry, const struct cp_object *object,
                            const struct cp_rows *rows, const struct cp_rows *providers)
{
    struct cp_edit *edit = entry->edit;
    struct credential credential = {.object = object, .row = find_row(rows, object->name)};
    struct sb_secret *secret;
    int rc = SB_OK;

    credential.provider = object->node != NULL ? member(object, "provider") : object->name;
    credential.tenant = object->node != NULL ? member(object, "tenant") : SB_SLICE_NONE;
    if (object->json.n == 0)
        return SB_OK;
    if (credential.row != SIZE_MAX && !stays_bound(edit, &credential, rows))
        return SB_OK;
    if (object->secret.from == CP_SECRET_NONE) {
        if (credential.row == SIZE_MAX)
            problem(edit, object, "a new credential needs a secret");
        return SB_OK;
    }
    credential.origin = find_origin(edit, providers, credential.provider);
    if (credential.origin.n == 0)
        return SB_OK; /* no such provider, or one with problems: named elsewhere */
    if (edit->conf->keyring == NULL || sb_keyring_current(edit->conf->keyring) == NULL) {
        problem(edit, object, "the control plane has no master key to seal it with");
        return SB_OK;
    }
    secret = read_secret(edit, object, 1);
    if (secret != NULL && sb_secret_len(secret) > 0 && !is_stored(edit, &credential, rows, secret))
        rc = add_credential(entry, &credential, rows, secret);
    sb_secret_destroy(&secret);
    return rc;
}

static int enter_credentials(struct cp_edit *edit)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *providers = NULL;
    struct entry entry;
    int rc, ended;

    if (edit->catalog->n[CP_CREDENTIALS] == 0)
        return SB_OK;
    rc = stored(edit, CP_CREDENTIALS, STORED_CREDENTIALS, &rows);
    if (rc == SB_OK)
        rc = cp_db_query(edit->db, "SELECT slug, origin FROM providers ORDER BY slug", CP_NO_PARAMS,
                         &providers);
    if (rc != SB_OK)
        return rc;
    entry_begin(&entry, edit, CP_CREDENTIALS);
    for (size_t i = 0; rc == SB_OK && i < edit->catalog->n[CP_CREDENTIALS]; i++)
        rc = enter_credential(&entry, edit->catalog->by_name[CP_CREDENTIALS][i], rows, providers);
    ended = entry_end(&entry, &edit->entered[CP_ENTERED_CREDENTIALS]);
    return rc != SB_OK ? rc : ended;
}

int cp_edit_enter_secrets(struct cp_edit *edit)
{
    int rc = enter_keys(edit);

    return rc == SB_OK ? enter_credentials(edit) : rc;
}
