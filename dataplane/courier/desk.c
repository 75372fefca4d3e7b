/* dataplane/courier/desk.c */
#define _GNU_SOURCE /* memmem */
#include "dataplane/courier/desk.h"

#include <string.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/bus.h"
#include "common/err.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/reactor.h"
#include "dataplane/courier/courier_mail.h"
#include "dataplane/courier/link.h"
#include "dataplane/records/spool.h"
#include "proto/bus.h"
#include "proto/generation.h"
#include "proto/record.h"

enum {
    PATIENCE = 2000, /* milliseconds */
    OPEN_MAX = 1024, /* questions under way */
    EXPLAINS_MAX = 64,
    SEARCH_BYTES = 64 << 20,       /* of our own records, for one question */
    SEARCH_PER_SECOND = 256 << 20, /* for all: nobody keeps the courier from its work */
    JSON_MAX = 64 << 20,
    SMALL = 4096,
    ARENA_BLOCK = 4096,
};

/* An explain that the loop works at. */
struct explain {
    uint64_t id; /* ours; 0 free */
    uint64_t asked_as;
    unsigned peer;
    sb_msec until;
};

struct dp_desk {
    struct sb_reactor *reactor;
    struct dp_spool *spool;
    struct sb_mailbox *loop;
    struct dp_link *link;
    struct dp_question *open; /* newest first */
    unsigned n_open;
    uint64_t last_id;
    struct explain explains[EXPLAINS_MAX];
    size_t may_search; /* bytes, in this second */
};

/* --- our own records ---------------------------------------------------------- */

struct wanted {
    struct sb_slice id;
    uint64_t tenant;
    struct sb_buf *json;
    int rc; /* of writing it */
};

static bool is_wanted(void *ctx, struct sb_slice bytes)
{
    struct wanted *wanted = ctx;
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = NULL;
    struct msg_record record;

    /* Nearly all are told apart without being decoded. */
    if (memmem(bytes.p, bytes.n, wanted->id.p, wanted->id.n) == NULL)
        return false;
    arena = sb_arena_new(ARENA_BLOCK);
    if (msg_record_decode(bytes, arena, &record) != SB_OK ||
        !msg_generation_matches(&record, wanted->id, wanted->tenant))
        return false;
    wanted->rc = msg_generation_write(&record, wanted->json);
    return true;
}

/* Status 200 with JSON, 404, or 503 when not all could be looked at. */
static int find_generation(struct dp_desk *desk, struct sb_slice id, uint64_t tenant,
                           struct sb_buf *json)
{
    struct wanted wanted = {.id = id, .tenant = tenant, .json = json, .rc = SB_OK};
    size_t budget = desk->may_search < SEARCH_BYTES ? desk->may_search : SEARCH_BYTES;
    struct dp_spool_stats stats;
    int rc;

    if (id.n == 0)
        return 404;
    rc = dp_spool_search(desk->spool, budget, is_wanted, &wanted);
    dp_spool_stats(desk->spool, &stats);
    desk->may_search -= stats.bytes < budget ? (size_t)stats.bytes : budget;
    if (rc == SB_OK)
        return wanted.rc == SB_OK ? 200 : 503;
    return rc == SB_ENOENT ? 404 : 503;
}

/* --- questions of clients ----------------------------------------------------- */

static void answer(struct dp_desk *desk, struct dp_question *question, int status)
{
    question->status = status;
    (void)sb_mailbox_post(desk->loop, &question->mail);
}

static int send_question(struct dp_desk *desk, const struct dp_question *question)
{
    const struct msg_query query = {
        .id = question->id,
        .what = (uint8_t)question->what,
        .tenant = question->tenant,
        .key = question->key,
        .argument = question->argument,
    };
    SB_CLEANUP(sb_buf_release) struct sb_buf body;
    int rc;

    sb_buf_init(&body, SMALL);
    rc = msg_query_encode(&query, &body);
    return rc == SB_OK ? dp_link_send(desk->link, MSG_KIND_QUERY, sb_buf_slice(&body), NULL) : rc;
}

void dp_desk_on_question(struct dp_desk *desk, struct dp_question *question)
{
    if (question->what == MSG_QUERY_GENERATION || question->what == MSG_QUERY_RECEIPT) {
        int status = find_generation(desk, question->argument, question->tenant, &question->json);

        if (status == 200) { /* of a receipt: what waits here is not in the log yet */
            answer(desk, question, question->what == MSG_QUERY_RECEIPT ? 202 : status);
            return;
        }
        question->is_uncertain = status != 404;
    }
    question->id = ++desk->last_id;
    question->until = sb_reactor_now(desk->reactor) + PATIENCE;
    if (desk->n_open == OPEN_MAX || send_question(desk, question) != SB_OK) {
        answer(desk, question, 503);
        return;
    }
    question->next = desk->open;
    desk->open = question;
    desk->n_open++;
}

static void unlink_question(struct dp_desk *desk, struct dp_question **at)
{
    *at = (*at)->next;
    desk->n_open--;
}

void dp_desk_on_answer(struct dp_desk *desk, const struct dp_link_message *message)
{
    struct dp_question **at = &desk->open, *question;
    struct msg_answer msg;
    int status;

    if (msg_answer_decode(message->body, &msg) != SB_OK)
        return;
    while (*at != NULL && (*at)->id != msg.id)
        at = &(*at)->next;
    question = *at;
    if (question == NULL)
        return; /* too late */
    unlink_question(desk, at);
    status = msg.status;
    if (status == 404 && question->is_uncertain)
        status = 503;
    sb_buf_reset(&question->json);
    if (status == 200 && sb_buf_append(&question->json, message->bulk) != SB_OK)
        status = 503;
    answer(desk, question, status);
}

void dp_desk_on_leader(struct dp_desk *desk)
{
    for (const struct dp_question *at = desk->open; at != NULL; at = at->next)
        (void)!send_question(desk, at); /* else its time runs out */
}

/* --- questions of the control plane ------------------------------------------- */

static void reply(struct dp_desk *desk, unsigned peer, uint64_t id, int status,
                  struct sb_slice json)
{
    const struct msg_answer msg = {.id = id, .status = (uint16_t)status};
    SB_CLEANUP(sb_buf_release) struct sb_buf body;

    sb_buf_init(&body, SMALL);
    if (msg_answer_encode(&msg, &body) == SB_OK)
        (void)!dp_link_reply(desk->link, peer, MSG_KIND_ANSWER, sb_buf_slice(&body), &json);
}

static void reply_error(struct dp_desk *desk, unsigned peer, uint64_t id, int status,
                        const char *text)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf out;
    struct sb_json json;

    sb_buf_init(&out, SMALL);
    sb_json_init(&json, &out);
    sb_json_open_object(&json);
    sb_json_add_object(&json, "error");
    sb_json_add_i64(&json, "code", status);
    sb_json_add_text(&json, "message", sb_slice_of(text));
    sb_json_close_object(&json);
    sb_json_close_object(&json);
    if (sb_json_end(&json) == SB_OK)
        reply(desk, peer, id, status, sb_buf_slice(&out));
}

static void ask_loop(struct dp_desk *desk, const struct dp_link_message *message,
                     const struct msg_query *query)
{
    struct explain *explain = desk->explains;
    struct dp_explain_mail *mail;

    while (explain < desk->explains + EXPLAINS_MAX && explain->id != 0)
        explain++;
    if (explain == desk->explains + EXPLAINS_MAX) {
        reply_error(desk, message->peer, query->id, 503, "too many decisions are being explained");
        return;
    }
    *explain = (struct explain){
        .id = ++desk->last_id,
        .asked_as = query->id,
        .peer = message->peer,
        .until = sb_reactor_now(desk->reactor) + PATIENCE,
    };
    mail = dp_mail_new(sizeof(*mail), DP_MAIL_EXPLAIN);
    mail->id = explain->id;
    mail->key_name = query->argument;
    mail->body = message->bulk;
    mail->msg = *message->msg;
    *message->msg = NULL;
    (void)sb_mailbox_post(desk->loop, &mail->mail);
}

void dp_desk_on_query(struct dp_desk *desk, const struct dp_link_message *message)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf json;
    struct msg_query query;
    int status;

    sb_buf_init(&json, JSON_MAX);
    if (msg_query_decode(message->body, &query) != SB_OK)
        return;
    switch (query.what) {
    case MSG_QUERY_EXPLAIN:
        ask_loop(desk, message, &query);
        return;
    case MSG_QUERY_GENERATION:
        status = find_generation(desk, query.argument, query.tenant, &json);
        if (status == 200)
            reply(desk, message->peer, query.id, status, sb_buf_slice(&json));
        else
            reply_error(desk, message->peer, query.id, status,
                        "the record is not among those that wait here");
        return;
    default:
        reply_error(desk, message->peer, query.id, 501, "this worker does not know the question");
        return;
    }
}

void dp_desk_on_explained(struct dp_desk *desk, struct dp_explained_mail *mail)
{
    for (size_t i = 0; i < EXPLAINS_MAX; i++) {
        struct explain *explain = &desk->explains[i];

        if (explain->id != mail->id)
            continue;
        reply(desk, explain->peer, explain->asked_as, mail->status, sb_buf_slice(&mail->json));
        explain->id = 0;
        break;
    }
    dp_mail_drop(&mail->mail);
}

/* --- time --------------------------------------------------------------------- */

void dp_desk_on_pulse(struct dp_desk *desk, sb_msec now)
{
    struct dp_question **at = &desk->open;

    desk->may_search = SEARCH_PER_SECOND;
    while (*at != NULL) {
        struct dp_question *question = *at;

        if (question->until > now) {
            at = &question->next;
            continue;
        }
        unlink_question(desk, at);
        answer(desk, question, 503);
    }
    for (size_t i = 0; i < EXPLAINS_MAX; i++)
        if (desk->explains[i].until <= now)
            desk->explains[i].id = 0;
}

struct dp_desk *dp_desk_new(struct sb_reactor *reactor, struct dp_spool *spool,
                            struct sb_mailbox *loop)
{
    struct dp_desk *desk = sb_mem_new(sizeof(*desk));

    desk->reactor = reactor;
    desk->spool = spool;
    desk->loop = loop;
    desk->may_search = SEARCH_PER_SECOND;
    return desk;
}

void dp_desk_set_link(struct dp_desk *desk, struct dp_link *link)
{
    desk->link = link;
}

void dp_desk_destroy(struct dp_desk **desk)
{
    if (*desk != NULL) {
        while ((*desk)->open != NULL) {
            struct dp_question *question = (*desk)->open;

            unlink_question(*desk, &(*desk)->open);
            answer(*desk, question, 503);
        }
    }
    sb_mem_free(*desk);
    *desk = NULL;
}
