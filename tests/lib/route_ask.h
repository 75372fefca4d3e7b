/* tests/lib/route_ask.h - sends requests through routing, without a network;
 * see route_world.h for what they are routed by. */
#pragma once

#include "common/splice.h"
#include "dataplane/route/content.h"
#include "dataplane/route/decide.h"
#include "tests/lib/route_build.h"

enum { SICK_MAX = 16 };

/* Pairs that are not well; credential 0: every one of the endpoint. */
struct sick {
    struct dp_health_source source; /* first: cast back */
    struct {
        uint64_t endpoint, credential;
        enum dp_health health;
    } at[SICK_MAX];
    size_t n;
};

struct ask {
    const struct world *world;
    const struct dp_key *key;
    struct sick sick;
    struct sb_slice session;
    int64_t second; /* of WORLD_TODAY, a Friday, when it is received */
    uint64_t random;
    bool rank_all;
    bool no_tables;
    enum msg_api api;

    struct sb_arena *arena;
    struct sb_buf body;
    struct sb_splice_member table[SB_SPLICE_MEMBERS];
    struct sb_splice doc;
    struct dp_requirements requirements;
    struct dp_route route;
    struct dp_decision decision;
    struct sb_errmsg err;
    int rc;
};

static inline enum dp_health ask_health(const struct dp_health_source *source, uint64_t endpoint,
                                        uint64_t credential, sb_msec now)
{
    const struct sick *sick = (const struct sick *)(const void *)source;

    assert_int_equal(now, WORLD_NOW);
    for (size_t i = 0; i < sick->n; i++) {
        if (sick->at[i].endpoint == endpoint &&
            (sick->at[i].credential == 0 || sick->at[i].credential == credential))
            return sick->at[i].health;
    }
    return DP_HEALTH_GOOD;
}

static inline struct ask *ask_new(const struct world *world)
{
    struct ask *ask = sb_mem_new(sizeof(*ask));

    ask->world = world;
    ask->key = world->key;
    ask->random = 12345;
    ask->second = 86399;
    sb_buf_init(&ask->body, 64 << 20);
    return ask;
}

static inline void ask_free(struct ask **ask)
{
    sb_arena_destroy(&(*ask)->arena);
    sb_buf_release(&(*ask)->body);
    sb_mem_free(*ask);
    *ask = NULL;
}

static inline void ask_mark(struct ask *ask, const char *tag, uint64_t credential,
                            enum dp_health health)
{
    const struct msg_snapshot *records = &ask->world->records;

    assert_true(ask->sick.n < SICK_MAX);
    for (size_t i = 0; i < records->n_endpoints; i++) {
        if (!sb_slice_is(records->endpoints[i].tag, tag))
            continue;
        ask->sick.at[ask->sick.n].endpoint = records->endpoints[i].id;
        ask->sick.at[ask->sick.n].credential = credential;
        ask->sick.at[ask->sick.n++].health = health;
        return;
    }
    fail_msg("no endpoint %s", tag);
}

/* Reads the body that is there. */
static inline int ask_read(struct ask *ask)
{
    struct sb_splice_error error;
    struct dp_content content;

    sb_arena_destroy(&ask->arena);
    ask->arena = sb_arena_new(16384);
    sb_splice_init(&ask->doc, ask->table, SB_ARRAY_LEN(ask->table));
    dp_content_init(&content, ask->api);
    if (sb_splice_visit(&ask->doc, sb_buf_slice(&ask->body), SB_SPLICE_DEPTH, &content.visitor,
                        &error) != SB_OK)
        fail_msg("byte %zu: %s: %.*s", error.offset, error.reason,
                 SB_SLICE_ARGS(sb_buf_slice(&ask->body)));
    ask->err.text[0] = '\0';
    return dp_requirements_read(&ask->doc, &content, ask->arena, &ask->requirements, &ask->err);
}

static inline int ask_decide(struct ask *ask)
{
    ask->sick.source =
        (struct dp_health_source){.health = ask_health, .all_good = ask->sick.n == 0};
    ask->route = (struct dp_route){
        .snapshot = ask->world->snap,
        .tables = ask->no_tables ? NULL : ask->world->tables,
        .health = &ask->sick.source,
        .ask = &ask->requirements,
        .key = ask->key,
        .session = ask->session,
        .now = WORLD_NOW,
        .unix_seconds = (int64_t)WORLD_TODAY * 86400 + ask->second,
        .random = ask->random,
        .rank_all = ask->rank_all,
    };
    ask->rc = dp_route_decide(&ask->route, ask->arena, &ask->decision, &ask->err);
    return ask->rc;
}

/* The body: members (' for ") beside model m/a and one short message, unless
 * they name their own. */
static inline void ask_write(struct ask *ask, const char *members)
{
    size_t n = strlen(members);
    const char *between = n > 0 ? "," : "";

    sb_buf_reset(&ask->body);
    assert_int_equal(sb_buf_append_byte(&ask->body, '{'), SB_OK);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(sb_buf_append_byte(&ask->body, members[i] == '\'' ? '"' : members[i]),
                         SB_OK);
    if (strstr(members, "'model':") == NULL && strstr(members, "\"model\":") == NULL) {
        assert_int_equal(sb_buf_printf(&ask->body, "%s\"model\":\"m/a\"", between), SB_OK);
        between = ",";
    }
    if (strstr(members, "'messages':") == NULL && strstr(members, "\"messages\":") == NULL)
        assert_int_equal(sb_buf_printf(&ask->body,
                                       "%s\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]",
                                       between),
                         SB_OK);
    assert_int_equal(sb_buf_append_byte(&ask->body, '}'), SB_OK);
}

static inline int ask_for(struct ask *ask, const char *members)
{
    ask_write(ask, members);
    ask->rc = ask_read(ask);
    return ask->rc == SB_OK ? ask_decide(ask) : ask->rc;
}

/* The tags in order, "a b c"; in the arena. */
static inline const char *ask_order(struct ask *ask)
{
    struct sb_slice text = SB_SLICE_LIT("");

    for (uint32_t i = 0; ask->rc == SB_OK && i < ask->decision.n; i++)
        text = sb_arena_printf(ask->arena, "%.*s%s%.*s", SB_SLICE_ARGS(text), i > 0 ? " " : "",
                               SB_SLICE_ARGS(ask->decision.candidates[i].endpoint->row->tag));
    return text.p;
}
