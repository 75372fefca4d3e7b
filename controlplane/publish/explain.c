/* controlplane/publish/explain.c */
#include "controlplane/publish/explain.h"

#include "common/mem.h"
#include "controlplane/mail.h"

struct cp_explain {
    struct cp_explain *next;
    struct cp_ask_explain *ask;
    uint64_t id;
    sb_msec deadline;
};

uint64_t cp_explains_next(struct cp_explains *explains)
{
    return ++explains->last_id;
}

void cp_explains_add(struct cp_explains *explains, uint64_t id, struct cp_ask_explain *ask,
                     sb_msec now)
{
    struct cp_explain *explain = sb_mem_new(sizeof(*explain));

    *explain = (struct cp_explain){
        .next = explains->first, .ask = ask, .id = id, .deadline = now + CP_EXPLAIN_PATIENCE};
    explains->first = explain;
}

/* Takes *at out of the list and answers it. */
static void finish(struct cp_explain **at, int rc)
{
    struct cp_explain *explain = *at;

    *at = explain->next;
    sb_ask_reply(&explain->ask->ask, rc);
    sb_mem_free(explain);
}

void cp_explains_answer(struct cp_explains *explains, uint64_t id, uint16_t status,
                        struct sb_slice json)
{
    for (struct cp_explain **at = &explains->first; *at != NULL; at = &(*at)->next) {
        struct cp_ask_explain *ask = (*at)->ask;

        if ((*at)->id != id)
            continue;
        ask->status = status;
        finish(at, sb_buf_append(&ask->out, json));
        return;
    }
}

void cp_explains_expire(struct cp_explains *explains, sb_msec now)
{
    struct cp_explain **at = &explains->first;

    while (*at != NULL) {
        if (now >= (*at)->deadline)
            finish(at, SB_ETIMEDOUT);
        else
            at = &(*at)->next;
    }
}

void cp_explains_cancel(struct cp_explains *explains)
{
    while (explains->first != NULL)
        finish(&explains->first, SB_ECANCELED);
}
