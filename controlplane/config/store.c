/* controlplane/config/store.c - see store.h for the contract; changes. */
#include "controlplane/config/store.h"

#include <inttypes.h>
#include <string.h>

#include "common/buf.h"
#include "common/json.h"
#include "common/keyring.h"
#include "common/mem.h"
#include "common/secret.h"
#include "controlplane/config/change.h"
#include "controlplane/config/store_private.h"
#include "controlplane/migrate.h"
#include "proto/limits.h"

enum {
    BODY_MAX = 4 << 20,    /* bytes of one object as people send it */
    PATCHED_MAX = 8 << 20, /* ... of one with a patch */
};

static int check_schema(struct cp_db *db, struct sb_errmsg *err)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = cp_db_query(db, "SELECT max(number) FROM migrations", CP_NO_PARAMS, &rows);

    if (rc != SB_OK)
        return sb_err_set(err, rc, "cannot read the schema's version: %.200s",
                          cp_db_last_error(db)->text.text);
    if (cp_rows_i64(rows, 0, 0) != (int64_t)cp_migrate_latest())
        return sb_err_set(err, SB_EVERSION, "the schema has version %" PRId64 ", this program %u",
                          cp_rows_i64(rows, 0, 0), cp_migrate_latest());
    return SB_OK;
}

int cp_store_new(const struct cp_store_conf *conf, struct cp_store **ret_store,
                 struct sb_errmsg *err)
{
    struct cp_store *store = sb_mem_new(sizeof(*store));
    int rc;

    store->conf = *conf;
    store->conf.db = (struct cp_db_conf){0}; /* its texts were borrowed for this call */
    rc = cp_db_new(&conf->db, &store->db, err);
    if (rc == SB_OK)
        rc = check_schema(store->db, err);
    if (rc != SB_OK) {
        cp_store_destroy(&store);
        return rc;
    }
    *ret_store = store;
    return SB_OK;
}

void cp_store_destroy(struct cp_store **store)
{
    if (*store == NULL)
        return;
    cp_db_destroy(&(*store)->db);
    sb_mem_free(*store);
    *store = NULL;
}

struct cp_db *cp_store_db(struct cp_store *store)
{
    return store->db;
}

int cp_store_ready(struct cp_store *store)
{
    /* The server may have ended an idle session; that shows only now. */
    if (cp_db_is_alive(store->db) && cp_db_ping(store->db) == SB_OK)
        return SB_OK;
    return cp_db_reset(store->db, NULL);
}

void cp_answer_init(struct cp_answer *answer, struct sb_arena *arena)
{
    *answer = (struct cp_answer){.arena = arena};
    cp_problems_init(&answer->problems, arena);
}

/* --- running a change --------------------------------------------------------------- */

/* One of the operations; kind and name, or text, or revision as it needs. */
struct operation {
    struct cp_edit edit;
    int (*stage)(struct operation *operation);
    struct cp_catalog *catalog;
    enum cp_kind kind;
    struct sb_slice name;
    struct sb_slice text;
    uint64_t revision;
};

/* Runs inside of a transaction, perhaps several times. */
static int run_operation(struct cp_db *db, void *ctx)
{
    struct operation *operation = ctx;
    struct cp_answer *answer = operation->edit.answer;
    struct cp_problems before = answer->problems;
    int rc;

    (void)db;
    answer->result = (struct cp_result){.changed = false};
    rc = cp_edit_begin(&operation->edit);
    if (rc == SB_OK)
        rc = operation->stage(operation);
    if (rc == SB_OK)
        rc = cp_edit_finish(&operation->edit);
    if (rc == SB_EAGAIN) { /* another try finds its problems again */
        answer->problems = before;
        if (before.last != NULL)
            before.last->next = NULL;
    }
    return rc;
}

static int count_problems(struct cp_answer *answer, int rc)
{
    size_t n = answer->problems.n;

    return n == 0 ? sb_err_set(&answer->err, rc, "%s", sb_err_str(rc))
                  : sb_err_set(&answer->err, rc, "there %s %zu problem%s", n == 1 ? "is" : "are", n,
                               n == 1 ? "" : "s");
}

/* What the server refused although it was checked: two changes at once cannot
 * be the reason, so it is something that only it can see. */
static int explain(struct operation *operation, int rc)
{
    struct cp_answer *answer = operation->edit.answer;
    const struct cp_db_error *error = cp_db_last_error(operation->edit.db);

    if (rc == SB_EEXIST && strstr(error->constraint, "hash") != NULL) {
        cp_problems_add(&answer->problems, SB_SLICE_NONE, 0, "two keys have the same secret");
        return SB_EINVAL;
    }
    if (rc == SB_EINVAL && answer->problems.n == 0)
        cp_problems_add(&answer->problems, SB_SLICE_NONE, 0, "the database refuses it: %s",
                        error->text.text);
    if (answer->err.text[0] == '\0') {
        if (answer->problems.n > 0)
            (void)count_problems(answer, rc);
        else if (error->code == rc)
            answer->err = error->text;
        else
            (void)sb_err_set(&answer->err, rc, "%s", sb_err_str(rc));
    }
    return rc;
}

/* A document holds secrets as they were typed: they go when it was used. */
static void wipe(struct sb_slice text)
{
    if (text.n > 0)
        sb_secret_wipe((void *)(uintptr_t)text.p, text.n);
}

static void wipe_secrets(const struct cp_catalog *catalog)
{
    static const enum cp_kind kinds[] = {CP_KEYS, CP_CREDENTIALS};

    for (size_t k = 0; catalog != NULL && k < SB_ARRAY_LEN(kinds); k++) {
        for (size_t i = 0; i < catalog->n[kinds[k]]; i++) {
            const struct cp_object *object = &catalog->objects[kinds[k]][i];

            if (object->secret.from != CP_SECRET_VALUE)
                continue;
            wipe(object->secret.text);
            wipe(object->secret.written);
        }
    }
}

static int run(struct cp_store *store, struct operation *operation)
{
    const struct cp_change *change = operation->edit.change;
    struct cp_answer *answer = operation->edit.answer;
    int rc;

    if (change->author.n == 0 || change->author.n > MSG_NAME_MAX || change->note.n > MSG_TEXT_MAX)
        return sb_err_set(&answer->err, SB_EINVAL,
                          "a change needs an author of 1 to %d bytes, and a note of %d at most",
                          MSG_NAME_MAX, MSG_TEXT_MAX);
    operation->edit.db = store->db;
    operation->edit.conf = &store->conf;
    rc = cp_store_ready(store);
    if (rc == SB_OK)
        rc = cp_db_transact(store->db, CP_READ_COMMITTED, run_operation, operation);
    wipe_secrets(operation->catalog);
    if (rc == CP_CHANGE_DONE)
        return SB_OK;
    return rc == SB_OK ? rc : explain(operation, rc);
}

/* --- operations ------------------------------------------------------------------------ */

static int stage_document(struct operation *operation)
{
    operation->edit.catalog = operation->catalog;
    return cp_edit_stage_catalog(&operation->edit);
}

int cp_store_apply(struct cp_store *store, struct sb_slice text, enum cp_doc_format format,
                   const struct cp_change *change, struct cp_answer *answer)
{
    struct operation operation = {
        .edit = {.change = change, .answer = answer, .action = "apply", .by_file = true},
        .stage = stage_document};
    int rc = cp_catalog_read(text, format, answer->arena, &answer->problems, &operation.catalog);

    return rc == SB_OK ? run(store, &operation) : count_problems(answer, rc);
}

int cp_store_put(struct cp_store *store, enum cp_kind kind, struct sb_slice name,
                 struct sb_slice body, const struct cp_change *change, struct cp_answer *answer)
{
    struct operation operation = {.edit = {.change = change, .answer = answer, .action = "put"},
                                  .stage = stage_document};
    int rc;

    if (body.n > BODY_MAX)
        return sb_err_set(&answer->err, SB_ETOOBIG, "over %d bytes", BODY_MAX);
    rc = cp_catalog_read_object(kind, name, body, answer->arena, &answer->problems,
                                &operation.catalog);
    return rc == SB_OK ? run(store, &operation) : count_problems(answer, rc);
}

/* The object as it is, with the patch, read as if it had been put. */
static int stage_patch(struct operation *operation)
{
    struct cp_edit *edit = &operation->edit;
    struct sb_arena *arena = edit->answer->arena;
    struct cp_node *patch = NULL, *target = NULL;
    struct sb_json json;
    struct sb_buf buf;
    int rc;

    sb_buf_init(&buf, PATCHED_MAX);
    rc = cp_store_read_object(edit->db, operation->kind, operation->name, &buf);
    if (rc == SB_ENOENT)
        (void)sb_err_set(&edit->answer->err, rc, "there is no %s '%.*s'",
                         cp_kind_one(operation->kind), SB_SLICE_ARGS(operation->name));
    if (rc == SB_OK)
        rc = cp_doc_read(sb_buf_slice(&buf), CP_DOC_JSON, arena, &target, NULL);
    if (rc == SB_OK) {
        rc = cp_doc_read(operation->text, CP_DOC_AUTO, arena, &patch, &edit->answer->err);
        if (rc == SB_OK && patch->kind != CP_NODE_MAP)
            rc = sb_err_set(&edit->answer->err, SB_EINVAL, "a patch must be a map");
        if (rc == SB_EPARSE || rc == SB_EINVAL) {
            cp_problems_add(&edit->answer->problems, SB_SLICE_NONE, 0, "%s",
                            edit->answer->err.text);
            rc = SB_EINVAL;
        }
    }
    if (rc == SB_OK) {
        sb_buf_reset(&buf);
        sb_json_init(&json, &buf);
        cp_node_write(cp_node_merge(target, patch, arena), &json);
        rc = sb_json_end(&json);
    }
    if (rc == SB_OK)
        rc = cp_catalog_read_object(operation->kind, operation->name, sb_buf_slice(&buf), arena,
                                    &edit->answer->problems, &operation->catalog);
    if (buf.data != NULL)
        sb_secret_wipe(buf.data, buf.size);
    sb_buf_release(&buf);
    return rc == SB_OK ? stage_document(operation) : rc;
}

int cp_store_patch(struct cp_store *store, enum cp_kind kind, struct sb_slice name,
                   struct sb_slice body, const struct cp_change *change, struct cp_answer *answer)
{
    struct operation operation = {.edit = {.change = change, .answer = answer, .action = "patch"},
                                  .stage = stage_patch,
                                  .kind = kind,
                                  .name = name,
                                  .text = body};

    if (body.n > BODY_MAX)
        return sb_err_set(&answer->err, SB_ETOOBIG, "over %d bytes", BODY_MAX);
    return run(store, &operation);
}

static int stage_delete(struct operation *operation)
{
    return cp_edit_stage_delete(&operation->edit, operation->kind, operation->name);
}

int cp_store_delete(struct cp_store *store, enum cp_kind kind, struct sb_slice name,
                    const struct cp_change *change, struct cp_answer *answer)
{
    struct operation operation = {.edit = {.change = change, .answer = answer, .action = "delete"},
                                  .stage = stage_delete,
                                  .kind = kind,
                                  .name = name};

    return run(store, &operation);
}

static int stage_rollback(struct operation *operation)
{
    return cp_edit_stage_rollback(&operation->edit, operation->revision);
}

int cp_store_rollback(struct cp_store *store, uint64_t revision, const struct cp_change *change,
                      struct cp_answer *answer)
{
    struct operation operation = {
        .edit = {.change = change, .answer = answer, .action = "rollback", .from_history = true},
        .stage = stage_rollback,
        .revision = revision};

    return run(store, &operation);
}
