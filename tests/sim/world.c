/* tests/sim/world.c */
#include "tests/sim/world.h"

#include "common/arena.h"
#include "common/err.h"
#include "common/json.h"
#include "common/mem.h"
#include "tests/sim/behaviour.h"
#include "tests/sim/text.h"

enum {
    EVENT_MAX = 256 << 20, /* a whole answer of a hundred million tokens is asked of no test */
    SCRIPT_MAX = 1 << 20,  /* bytes of a change */
    TIMES_MAX = 1000000,
    ARENA_FIRST = 4096,
    ARENAS_KEPT = 1024,
};

struct script_entry {
    struct sb_list link;
    struct sim_behaviour *behaviour; /* owned reference */
    uint64_t times;
};

static void entry_destroy(struct script_entry *entry)
{
    sb_list_remove(&entry->link);
    sim_behaviour_unref(&entry->behaviour);
    sb_mem_free(entry);
}

static void script_clear(struct sb_list *script)
{
    sb_list_for_each_safe(link, script)
    {
        entry_destroy(container_of(link, struct script_entry, link));
    }
}

void sim_world_init(struct sim_world *world, const char *name, struct sim_behaviour **start)
{
    *world = (struct sim_world){.name = name, .models = ""};
    world->words = sim_words_new(sb_slice_of(name));
    world->start = *start;
    *start = NULL;
    world->now = sim_behaviour_ref(world->start);
    sb_list_init(&world->script);
    world->arenas = sb_arena_cache_new(ARENA_FIRST, ARENAS_KEPT);
    sb_buf_init(&world->event, EVENT_MAX);
    sb_buf_init(&world->body, EVENT_MAX);
}

void sim_world_release(struct sim_world *world)
{
    script_clear(&world->script);
    sim_behaviour_unref(&world->now);
    sim_behaviour_unref(&world->start);
    sim_words_destroy(&world->words);
    sb_arena_cache_destroy(&world->arenas);
    sb_buf_release(&world->event);
    sb_buf_release(&world->body);
}

struct sim_behaviour *sim_world_next(struct sim_world *world)
{
    struct sb_list *first = sb_list_first(&world->script);
    struct script_entry *entry;
    struct sim_behaviour *behaviour;

    if (first == NULL)
        return sim_behaviour_ref(world->now);
    entry = container_of(first, struct script_entry, link);
    behaviour = sim_behaviour_ref(entry->behaviour);
    world->script_left--;
    if (--entry->times == 0)
        entry_destroy(entry);
    return behaviour;
}

/* Appends one entry to script. */
static int add_entry(struct sb_list *script, yyjson_val *object, const struct sim_world *world,
                     const struct sim_behaviour *base, struct sb_errmsg *err)
{
    static const char *const skip[] = {"times", NULL};
    SB_CLEANUP(sim_behaviour_unref) struct sim_behaviour *behaviour = sim_behaviour_copy(base);
    uint64_t times = 1;
    struct script_entry *entry;
    int rc = sim_behaviour_apply(behaviour, object, world->start, skip, err);

    if (rc != SB_OK)
        return rc;
    rc = sb_json_get_u64(object, "times", &times);
    if ((rc != SB_OK && rc != SB_ENOENT) || times == 0 || times > TIMES_MAX)
        return sb_err_set(err, SB_EINVAL, "times: not a number from 1 to %d", TIMES_MAX);
    entry = sb_mem_new(sizeof(*entry));
    entry->behaviour = behaviour;
    behaviour = NULL;
    entry->times = times;
    sb_list_init(&entry->link);
    sb_list_add_tail(script, &entry->link);
    return SB_OK;
}

static int add_entries(struct sb_list *script, yyjson_val *list, const struct sim_world *world,
                       const struct sim_behaviour *base, struct sb_errmsg *err)
{
    yyjson_val *object;
    size_t i, max;

    if (list != NULL && !yyjson_is_arr(list))
        return sb_err_set(err, SB_EINVAL, "scripted: not a list");
    yyjson_arr_foreach(list, i, max, object)
    {
        int rc = add_entry(script, object, world, base, err);

        if (rc != SB_OK)
            return rc;
    }
    return SB_OK;
}

int sim_world_change(struct sim_world *world, struct sb_slice text, struct sb_errmsg *err)
{
    static const char *const skip[] = {"scripted", NULL};
    SB_CLEANUP(sb_json_free) yyjson_doc *doc = NULL;
    SB_CLEANUP(sim_behaviour_unref) struct sim_behaviour *next = NULL;
    struct sb_list added;
    yyjson_val *root;
    int rc = sb_json_read(text, SCRIPT_MAX, &doc, err);

    if (rc != SB_OK)
        return rc;
    root = yyjson_doc_get_root(doc);
    next = sim_behaviour_copy(world->now);
    rc = sim_behaviour_apply(next, root, world->start, skip, err);
    if (rc != SB_OK)
        return rc;
    sb_list_init(&added);
    rc = add_entries(&added, yyjson_obj_get(root, "scripted"), world, next, err);
    if (rc != SB_OK) {
        script_clear(&added);
        return rc;
    }
    sb_list_for_each(link, &added)
    {
        world->script_left += container_of(link, struct script_entry, link)->times;
    }
    sb_list_append_all(&world->script, &added);
    sim_behaviour_unref(&world->now);
    world->now = next;
    next = NULL;
    return SB_OK;
}

void sim_world_restore(struct sim_world *world)
{
    script_clear(&world->script);
    world->script_left = 0;
    sim_behaviour_unref(&world->now);
    world->now = sim_behaviour_ref(world->start);
}
