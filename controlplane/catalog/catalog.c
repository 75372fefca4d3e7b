/* controlplane/catalog/catalog.c - see catalog.h for the contract. */
#include "controlplane/catalog/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "controlplane/catalog/schema.h"

enum { OBJECT_MAX = 1 << 20 }; /* bytes of one object's JSON */

static const struct {
    const char *section, *one;
} kinds[] = {
#define X(name, section, one) {section, one},
    CP_KIND_MAP(X)
#undef X
};

const char *cp_kind_section(enum cp_kind kind)
{
    return kinds[kind].section;
}

const char *cp_kind_one(enum cp_kind kind)
{
    return kinds[kind].one;
}

int cp_kind_parse(struct sb_slice text)
{
    for (int i = 0; i < CP_KINDS; i++)
        if (sb_slice_is(text, kinds[i].section) || sb_slice_is(text, kinds[i].one))
            return i;
    return -1;
}

/* --- members ------------------------------------------------------------------ */

enum { FIELDS_MAX = 64 };

static void unknown_member(struct cp_reader *reader, const struct cp_node *node,
                           const struct cp_field *fields, size_t n)
{
    const char *words[FIELDS_MAX];
    const char *meant;
    size_t count = 0;

    for (size_t i = 0; i < n && count < FIELDS_MAX - 1; i++)
        if ((fields[i].flags & CP_FIELD_STORE) == 0)
            words[count++] = fields[i].name;
    words[count] = NULL;
    meant = cp_closest(node->name, words);
    if (meant != NULL)
        cp_reader_problem(reader, node, "is not known; did you mean '%s'?", meant);
    else
        cp_reader_problem(reader, node, "is not known");
}

void cp_reader_members(struct cp_reader *reader, const struct cp_node *node,
                       const struct cp_field *fields, size_t n)
{
    for (const struct cp_node *one = node->first; one != NULL; one = one->next) {
        const struct cp_field *field = NULL;
        size_t back;

        for (size_t i = 0; field == NULL && i < n; i++)
            if (sb_slice_is(one->name, fields[i].name))
                field = &fields[i];
        back = sb_json_path_member(&reader->path, one->name);
        if (field == NULL || ((field->flags & CP_FIELD_STORE) != 0 && !reader->tolerant))
            unknown_member(reader, one, fields, n);
        else if (field->check != NULL && !cp_node_is_null(one))
            field->check(reader, field, one);
        sb_json_path_back(&reader->path, back);
    }
    for (size_t i = 0; i < n; i++) {
        size_t back;

        if ((fields[i].flags & CP_FIELD_REQUIRED) == 0 ||
            !cp_node_is_null(cp_node_get(node, fields[i].name)))
            continue;
        back = sb_json_path_member(&reader->path, sb_slice_of(fields[i].name));
        cp_reader_problem(reader, node, "is missing");
        sb_json_path_back(&reader->path, back);
    }
}

/* --- objects -------------------------------------------------------------------- */

struct work {
    struct cp_catalog *catalog;
    struct cp_problems *problems;
    struct sb_buf buf; /* one object's JSON at a time */
    bool tolerant;
};

static struct cp_object *add_object(struct cp_catalog *catalog, enum cp_kind kind)
{
    struct cp_object *object = &catalog->objects[kind][catalog->n[kind]++];

    object->kind = kind;
    return object;
}

/* A provider's own credential is one of the house, named by the slug. */
static void add_house_credential(struct work *work, const struct cp_object *provider,
                                 const struct cp_secret_source *source)
{
    struct cp_object *object = add_object(work->catalog, CP_CREDENTIALS);

    object->name = provider->name;
    object->path = source->path;
    object->line = source->line;
    object->secret = *source;
    if (cp_is_slug(provider->name)) /* else it is named as a problem of the provider */
        object->json =
            sb_arena_printf(work->catalog->arena, "{\"name\":\"%.*s\",\"provider\":\"%.*s\"}",
                            SB_SLICE_ARGS(provider->name), SB_SLICE_ARGS(provider->name));
}

static void read_object(struct work *work, enum cp_kind kind, const struct cp_node *node,
                        const struct sb_json_path *path)
{
    const struct cp_schema *schema = &cp_schemas[kind];
    struct cp_reader reader = {
        .problems = work->problems, .path = *path, .tolerant = work->tolerant};
    struct cp_object *object;
    struct cp_object unnamed = {.kind = kind};
    struct sb_arena *arena = work->catalog->arena;

    reader.object = &unnamed;
    if (node->kind != CP_NODE_MAP) {
        cp_reader_problem(&reader, node, "must be a map, not %s", cp_node_describe(node));
        return;
    }
    if (schema->name(&unnamed, node, arena)) {
        object = add_object(work->catalog, kind);
        *object = unnamed;
        reader.object = object;
    } else {
        object = &unnamed; /* checked all the same */
    }
    object->node = node;
    object->line = node->line;
    object->path = sb_arena_dup(arena, sb_slice_make(path->text, path->n));
    sb_buf_reset(&work->buf);
    sb_json_init(&reader.json, &work->buf);
    sb_json_open_object(&reader.json);
    cp_reader_members(&reader, node, schema->fields, schema->n);
    if (schema->complete != NULL)
        schema->complete(&reader, node);
    sb_json_close_object(&reader.json);
    if (sb_json_end(&reader.json) != SB_OK)
        cp_reader_problem(&reader, node, "is larger than %d bytes", OBJECT_MAX);
    else if (!reader.bad)
        object->json = sb_arena_dup(arena, sb_buf_slice(&work->buf));
    if (reader.credential.from != CP_SECRET_NONE && object != &unnamed)
        add_house_credential(work, object, &reader.credential);
}

/* --- what concerns several objects ------------------------------------------------- */

int cp_slice_order(struct sb_slice a, struct sb_slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n > 0 ? memcmp(a.p, b.p, n) : 0;

    if (order != 0)
        return order;
    return a.n < b.n ? -1 : a.n > b.n;
}

/* By name, then as in the document (one array, so by address). */
static int compare_objects(const void *a, const void *b)
{
    const struct cp_object *x = *(struct cp_object *const *)a;
    const struct cp_object *y = *(struct cp_object *const *)b;
    int order = cp_slice_order(x->name, y->name);

    if (order != 0)
        return order;
    return x < y ? -1 : x > y;
}

static void sort_objects(struct work *work, enum cp_kind kind)
{
    struct cp_catalog *catalog = work->catalog;
    size_t n = catalog->n[kind];
    struct cp_object **sorted;

    if (n == 0)
        return;
    sorted = sb_arena_alloc(catalog->arena, n * sizeof(struct cp_object *));
    for (size_t i = 0; i < n; i++)
        sorted[i] = &catalog->objects[kind][i];
    qsort(sorted, n, sizeof(struct cp_object *), compare_objects);
    catalog->by_name[kind] = sorted;
    for (size_t i = 1; i < n; i++) {
        if (!sb_slice_eq(sorted[i]->name, sorted[i - 1]->name))
            continue;
        cp_problems_add(work->problems, sorted[i]->path, sorted[i]->line,
                        "%s '%.*s' comes twice, first at %.*s", cp_kind_one(kind),
                        SB_SLICE_ARGS(sorted[i]->name), SB_SLICE_ARGS(sorted[i - 1]->path));
        sorted[i]->json = SB_SLICE_NONE;
    }
}

size_t cp_catalog_place(const struct cp_catalog *catalog, enum cp_kind kind, struct sb_slice name)
{
    size_t low = 0, high = catalog->n[kind];

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = cp_slice_order(catalog->by_name[kind][middle]->name, name);

        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return catalog->n[kind];
}

struct cp_object *cp_catalog_find(const struct cp_catalog *catalog, enum cp_kind kind,
                                  struct sb_slice name)
{
    size_t place = cp_catalog_place(catalog, kind, name);

    return place < catalog->n[kind] ? catalog->by_name[kind][place] : NULL;
}

/* A name that a client may ask for. */
struct asked {
    struct sb_slice name;
    const struct cp_object *model;
    uint32_t line;
    uint32_t index; /* of the alias; meaningful unless is_id */
    bool is_id;
};

static int compare_asked(const void *a, const void *b)
{
    const struct asked *x = a, *y = b;
    int order = cp_slice_order(x->name, y->name);

    if (order != 0)
        return order;
    if (x->is_id != y->is_id)
        return x->is_id ? -1 : 1;
    if (x->model != y->model)
        return x->model < y->model ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static const struct cp_node *aliases_of(const struct cp_object *model)
{
    const struct cp_node *aliases = cp_node_get(model->node, "aliases");

    return aliases != NULL && aliases->kind == CP_NODE_LIST ? aliases : NULL;
}

/* An alias may neither be an alias of another model, nor a model's id. */
static void check_aliases(struct work *work)
{
    const struct cp_catalog *catalog = work->catalog;
    size_t n = catalog->n[CP_MODELS], count = 0;
    struct asked *all;

    for (size_t i = 0; i < catalog->n[CP_MODELS]; i++) {
        const struct cp_node *aliases = aliases_of(&catalog->objects[CP_MODELS][i]);

        n += aliases != NULL ? aliases->n : 0;
    }
    if (n == 0)
        return;
    all = sb_arena_alloc(catalog->arena, n * sizeof(*all));
    for (size_t i = 0; i < catalog->n[CP_MODELS]; i++) {
        const struct cp_object *model = &catalog->objects[CP_MODELS][i];
        const struct cp_node *aliases = aliases_of(model);
        uint32_t index = 0;

        all[count++] = (struct asked){.name = model->name, .model = model, .is_id = true};
        for (const struct cp_node *one = aliases != NULL ? aliases->first : NULL; one != NULL;
             one = one->next, index++)
            if (one->kind == CP_NODE_SCALAR)
                all[count++] = (struct asked){
                    .name = one->text, .model = model, .line = one->line, .index = index};
    }
    qsort(all, count, sizeof(*all), compare_asked);
    for (size_t i = 1; i < count; i++) {
        struct asked *one = &all[i], *first = &all[i - 1];

        if (one->is_id || !sb_slice_eq(one->name, first->name))
            continue; /* models that come twice are named elsewhere */
        cp_problems_add(
            work->problems,
            sb_arena_printf(catalog->arena, "%.*s%saliases[%u]", SB_SLICE_ARGS(one->model->path),
                            one->model->path.n > 0 ? "." : "", one->index),
            one->line, "'%.*s' is %s%.*s already", SB_SLICE_ARGS(one->name),
            first->is_id ? "the model " : "an alias of ", SB_SLICE_ARGS(first->model->name));
    }
}

static bool has_word(const struct cp_node *list, const char *word)
{
    for (const struct cp_node *one = list->first; one != NULL; one = one->next)
        if (one->kind == CP_NODE_SCALAR && sb_slice_is(one->text, word))
            return true;
    return false;
}

/* What an endpoint answers with is its own list, or its model's.  A model that
 * only the store knows is the store's to check. */
static void check_prices(struct work *work, struct cp_object *endpoint)
{
    const struct cp_node *output = cp_node_get(endpoint->node, "output_modalities");
    const struct cp_node *pricing = cp_node_get(endpoint->node, "pricing");
    struct sb_slice id;
    bool text = true, embeddings = false;

    if (cp_node_is_null(output)) {
        const struct cp_object *model = NULL;

        if (cp_node_text(cp_node_get(endpoint->node, "model"), &id) == SB_OK)
            model = cp_catalog_find(work->catalog, CP_MODELS, id);
        if (model == NULL)
            return;
        output = cp_node_get(model->node, "output_modalities");
    }
    if (!cp_node_is_null(output)) {
        text = has_word(output, "text");
        embeddings = has_word(output, "embeddings");
    }
    for (int i = 0; i < 2; i++) {
        const char *price = i == 0 ? "prompt" : "completion";

        if ((i == 0 ? !text && !embeddings : !text) ||
            !cp_node_is_null(cp_node_get(pricing, price)))
            continue;
        cp_problems_add(work->problems,
                        sb_arena_printf(work->catalog->arena, "%.*s%spricing.%s",
                                        SB_SLICE_ARGS(endpoint->path),
                                        endpoint->path.n > 0 ? "." : "", price),
                        endpoint->line, "is missing; write \"0\" for what is free");
        endpoint->json = SB_SLICE_NONE;
    }
}

static void check_together(struct work *work)
{
    struct cp_catalog *catalog = work->catalog;

    for (int kind = 0; kind < CP_KINDS; kind++)
        sort_objects(work, (enum cp_kind)kind);
    check_aliases(work);
    for (size_t i = 0; i < catalog->n[CP_ENDPOINTS]; i++)
        check_prices(work, &catalog->objects[CP_ENDPOINTS][i]);
}

/* --- documents ------------------------------------------------------------------------ */

static struct cp_catalog *new_catalog(struct sb_arena *arena)
{
    struct cp_catalog *catalog = sb_arena_alloc(arena, sizeof(*catalog));

    catalog->arena = arena;
    return catalog;
}

static int read_root(struct sb_slice text, enum cp_doc_format format, struct sb_arena *arena,
                     struct cp_problems *problems, struct cp_node **ret_root)
{
    struct sb_errmsg err = {{0}};
    struct cp_node *root = NULL;
    int rc = cp_doc_read(text, format, arena, &root, &err);

    if (rc == SB_ENOMEM)
        return rc;
    if (rc != SB_OK) {
        cp_problems_add(problems, SB_SLICE_NONE, 0, "%s",
                        err.text[0] != '\0' ? err.text : sb_err_str(rc));
        return SB_EINVAL;
    }
    if (root->kind != CP_NODE_MAP) {
        cp_problems_add(problems, SB_SLICE_NONE, root->line, "must be a map, not %s",
                        cp_node_describe(root));
        return SB_EINVAL;
    }
    *ret_root = root;
    return SB_OK;
}

static void check_version(struct cp_problems *problems, const struct cp_node *root)
{
    const struct cp_node *version = cp_node_get(root, "version");
    int64_t number;

    if (cp_node_is_null(version))
        cp_problems_add(problems, SB_SLICE_LIT("version"), 0, "is missing; this is version %d",
                        CP_CATALOG_VERSION);
    else if (cp_node_i64(version, &number) != SB_OK || number != CP_CATALOG_VERSION)
        cp_problems_add(problems, SB_SLICE_LIT("version"), version->line, "must be %d",
                        CP_CATALOG_VERSION);
}

static void unknown_section(struct cp_problems *problems, const struct cp_node *node)
{
    const char *words[CP_KINDS + 1];
    const char *meant;

    for (int i = 0; i < CP_KINDS; i++)
        words[i] = kinds[i].section;
    words[CP_KINDS] = NULL;
    meant = cp_closest(node->name, words);
    cp_problems_add(problems, node->name, node->line, "is not known%s%s%s",
                    meant != NULL ? "; did you mean '" : "", meant != NULL ? meant : "",
                    meant != NULL ? "'?" : "");
}

static void read_section(struct work *work, enum cp_kind kind, const struct cp_node *node)
{
    struct sb_json_path path;
    size_t index = 0;

    sb_json_path_init(&path);
    (void)sb_json_path_member(&path, sb_slice_of(kinds[kind].section));
    for (const struct cp_node *one = node->first; one != NULL; one = one->next, index++) {
        size_t back = sb_json_path_index(&path, index);

        read_object(work, kind, one, &path);
        sb_json_path_back(&path, back);
    }
}

int cp_catalog_read(struct sb_slice text, enum cp_doc_format format, struct sb_arena *arena,
                    struct cp_problems *problems, struct cp_catalog **ret_catalog)
{
    struct work work = {.problems = problems};
    struct cp_node *root = NULL;
    int rc = read_root(text, format, arena, problems, &root);

    if (rc != SB_OK)
        return rc;
    work.catalog = new_catalog(arena);
    sb_buf_init(&work.buf, OBJECT_MAX);
    check_version(problems, root);
    for (const struct cp_node *one = root->first; one != NULL; one = one->next) {
        int kind = cp_kind_parse(one->name);

        if (sb_slice_is(one->name, "version"))
            continue;
        if (kind < 0 || !sb_slice_is(one->name, kinds[kind].section))
            unknown_section(problems, one);
        else if (!cp_node_is_null(one) && one->kind != CP_NODE_LIST)
            cp_problems_add(problems, one->name, one->line, "must be a list, not %s",
                            cp_node_describe(one));
    }
    for (int kind = 0; kind < CP_KINDS; kind++) {
        const struct cp_node *section = cp_node_get(root, kinds[kind].section);
        size_t n = section != NULL && section->kind == CP_NODE_LIST ? section->n : 0;

        if (kind == CP_CREDENTIALS) /* providers bring theirs; they are read before */
            continue;
        work.catalog->objects[kind] =
            n > 0 ? sb_arena_alloc(arena, n * sizeof(struct cp_object)) : NULL;
        if (kind == CP_PROVIDERS) {
            const struct cp_node *own = cp_node_get(root, kinds[CP_CREDENTIALS].section);
            size_t all = n + (own != NULL && own->kind == CP_NODE_LIST ? own->n : 0);

            work.catalog->objects[CP_CREDENTIALS] =
                all > 0 ? sb_arena_alloc(arena, all * sizeof(struct cp_object)) : NULL;
        }
        if (n > 0)
            read_section(&work, (enum cp_kind)kind, section);
    }
    if (work.catalog->objects[CP_CREDENTIALS] != NULL) {
        const struct cp_node *section = cp_node_get(root, kinds[CP_CREDENTIALS].section);

        if (section != NULL && section->kind == CP_NODE_LIST)
            read_section(&work, CP_CREDENTIALS, section);
    }
    check_together(&work);
    sb_buf_release(&work.buf);
    *ret_catalog = work.catalog;
    return SB_OK;
}

/* --- single objects ---------------------------------------------------------------------- */

/* Sets a member that is missing, as if it had been written. */
static void add_member(struct cp_node *map, const char *name, struct sb_slice text,
                       struct sb_arena *arena)
{
    struct cp_node *node;

    if (text.n == 0 || !cp_node_is_null(cp_node_get(map, name)))
        return;
    node = sb_arena_alloc(arena, sizeof(*node));
    *node = (struct cp_node){.kind = CP_NODE_SCALAR,
                             .style = CP_STYLE_QUOTED,
                             .name = sb_slice_of(name),
                             .text = sb_arena_dup(arena, text),
                             .weight = 1,
                             .height = 1,
                             .next = map->first};
    map->first = node;
    map->n++;
}

/* What the address says goes into the object. */
static void add_address(struct cp_node *root, enum cp_kind kind, struct sb_slice name,
                        struct sb_arena *arena)
{
    size_t at = sb_slice_find(name, CP_ENDPOINT_SEPARATOR);
    struct sb_slice tag;

    if (kind != CP_ENDPOINTS) {
        add_member(root,
                   kind == CP_PROVIDERS ? "slug"
                   : kind == CP_MODELS  ? "id"
                                        : "name",
                   name, arena);
        return;
    }
    if (at == name.n)
        return; /* the comparison of names says it */
    tag = sb_slice_from(name, at + 1);
    add_member(root, "model", sb_slice_make(name.p, at), arena);
    add_member(root, "provider", sb_slice_make(tag.p, sb_slice_find(tag, '/')), arena);
    add_member(root, "tag", tag, arena);
}

int cp_catalog_read_object(enum cp_kind kind, struct sb_slice name, struct sb_slice text,
                           struct sb_arena *arena, struct cp_problems *problems,
                           struct cp_catalog **ret_catalog)
{
    struct work work = {.problems = problems, .tolerant = true};
    struct sb_json_path path;
    struct cp_node *root = NULL;
    int rc = read_root(text, CP_DOC_AUTO, arena, problems, &root);

    if (rc != SB_OK)
        return rc;
    add_address(root, kind, name, arena);
    work.catalog = new_catalog(arena);
    work.catalog->objects[kind] = sb_arena_alloc(arena, sizeof(struct cp_object));
    if (kind == CP_PROVIDERS)
        work.catalog->objects[CP_CREDENTIALS] = sb_arena_alloc(arena, sizeof(struct cp_object));
    sb_buf_init(&work.buf, OBJECT_MAX);
    sb_json_path_init(&path);
    read_object(&work, kind, root, &path);
    check_together(&work);
    sb_buf_release(&work.buf);
    if (work.catalog->n[kind] == 1 && !sb_slice_eq(work.catalog->objects[kind][0].name, name))
        cp_problems_add(problems, SB_SLICE_NONE, 0, "the object is '%.*s', the address says '%.*s'",
                        SB_SLICE_ARGS(work.catalog->objects[kind][0].name), SB_SLICE_ARGS(name));
    *ret_catalog = work.catalog;
    return SB_OK;
}
