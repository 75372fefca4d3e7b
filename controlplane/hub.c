/* controlplane/hub.c */
#include "controlplane/hub.h"

#include "common/json.h"
#include "common/log.h"
#include "common/mailbox.h"
#include "common/mem.h"
#include "controlplane/mail.h"
#include "controlplane/publish/explain.h"
#include "controlplane/stats.h"

struct cp_hub {
    struct cp_hub_conf conf;
};

struct cp_hub *cp_hub_new(const struct cp_hub_conf *conf)
{
    struct cp_hub *hub = sb_mem_new(sizeof(*hub));

    hub->conf = *conf;
    hub->conf.publisher = sb_mailbox_ref(conf->publisher);
    hub->conf.tables = sb_mailbox_ref(conf->tables);
    return hub;
}

void cp_hub_destroy(struct cp_hub **hub)
{
    if (*hub == NULL)
        return;
    sb_mailbox_unref(&(*hub)->conf.publisher);
    sb_mailbox_unref(&(*hub)->conf.tables);
    sb_mem_free(*hub);
    *hub = NULL;
}

static int explain_failure(int rc, struct sb_errmsg *err)
{
    switch (rc) {
    case SB_OK:
        return rc;
    case SB_ENOTLEADER:
        return sb_err_set(err, rc, "this daemon does not lead: ask the one that does");
    case SB_ETIMEDOUT:
        return sb_err_set(err, rc, "no answer in time");
    case SB_ECANCELED:
        return sb_err_set(err, rc, "this daemon has stopped leading, or ends");
    default:
        return sb_err_set(err, rc, "%s", sb_err_str(rc));
    }
}

/* --- texts ------------------------------------------------------------------------------ */

static void free_text(struct sb_ask *ask)
{
    struct cp_ask_text *text = container_of(ask, struct cp_ask_text, ask);

    sb_buf_release(&text->out);
    sb_mem_free(text);
}

static int ask_text(struct sb_mailbox *box, enum cp_mail_kind kind, struct sb_buf *out)
{
    struct cp_ask_text *text = sb_mem_new(sizeof(*text));
    int rc;

    sb_ask_init(&text->ask, kind, free_text);
    sb_buf_init(&text->out, CP_HUB_ANSWER_MAX);
    rc = sb_ask_wait(&text->ask, box, CP_HUB_PATIENCE);
    if (rc == SB_OK)
        rc = sb_buf_append(out, sb_buf_slice(&text->out));
    sb_ask_release(&text->ask);
    return rc;
}

int cp_hub_workers(void *ctx, struct sb_buf *out, struct sb_errmsg *err)
{
    struct cp_hub *hub = ctx;

    return explain_failure(ask_text(hub->conf.publisher, CP_ASK_FLEET, out), err);
}

static void free_tables(struct sb_ask *ask)
{
    struct cp_ask_tables *tables = container_of(ask, struct cp_ask_tables, ask);

    sb_buf_release(&tables->out);
    sb_mem_free(tables->ids);
    sb_mem_free(tables);
}

int cp_hub_tables(void *ctx, const uint64_t *ids, size_t n, struct sb_buf *out,
                  struct sb_errmsg *err)
{
    struct cp_hub *hub = ctx;
    struct cp_ask_tables *tables = sb_mem_new(sizeof(*tables));
    int rc;

    sb_ask_init(&tables->ask, CP_ASK_TABLES, free_tables);
    sb_buf_init(&tables->out, CP_HUB_ANSWER_MAX);
    tables->ids = sb_mem_try((n + 1) * sizeof(*ids));
    rc = tables->ids != NULL ? SB_OK : SB_ENOMEM;
    if (rc == SB_OK) {
        if (n > 0)
            memcpy(tables->ids, ids, n * sizeof(*ids));
        tables->n = n;
        rc = sb_ask_wait(&tables->ask, hub->conf.tables, CP_HUB_PATIENCE);
    }
    if (rc == SB_OK)
        rc = sb_buf_append(out, sb_buf_slice(&tables->out));
    sb_ask_release(&tables->ask);
    return explain_failure(rc, err);
}

int cp_hub_metrics(void *ctx, struct sb_buf *page)
{
    struct cp_hub *hub = ctx;
    int rc = cp_stats_write(hub->conf.stats, page), fleet;

    if (rc != SB_OK)
        return rc;
    /* Without the fleet the page is still worth having. */
    fleet = ask_text(hub->conf.publisher, CP_ASK_METRICS, page);
    return fleet == SB_ETOOBIG || fleet == SB_ENOMEM ? fleet : SB_OK;
}

/* --- state --------------------------------------------------------------------------------- */

static void free_state(struct sb_ask *ask)
{
    sb_mem_free(container_of(ask, struct cp_ask_state, ask));
}

static int ask_state(struct cp_hub *hub, struct cp_ask_state *ret)
{
    struct cp_ask_state *state = sb_mem_new(sizeof(*state));
    int rc;

    sb_ask_init(&state->ask, CP_ASK_STATE, free_state);
    rc = sb_ask_wait(&state->ask, hub->conf.publisher, CP_HUB_PATIENCE);
    if (rc == SB_OK) {
        ret->leading = state->leading;
        ret->term = state->term;
        ret->published = state->published;
        ret->tables_sequence = state->tables_sequence;
        memcpy(ret->workers, state->workers, sizeof(ret->workers));
    }
    sb_ask_release(&state->ask);
    return rc;
}

int cp_hub_state(void *ctx, struct sb_json *json)
{
    struct cp_hub *hub = ctx;
    struct cp_ask_state state;
    int rc = ask_state(hub, &state);

    sb_json_add_text(json, "daemon", sb_slice_of(hub->conf.name));
    if (rc != SB_OK) {
        sb_json_add_text(json, "problem", SB_SLICE_LIT("the publisher does not answer"));
        return SB_OK;
    }
    sb_json_add_bool(json, "leading", state.leading);
    sb_json_add_u64(json, "term", state.term);
    sb_json_add_object(json, "published");
    sb_json_add_u64(json, "epoch", state.published.epoch);
    sb_json_add_u64(json, "revision", state.published.revision);
    sb_json_close_object(json);
    sb_json_add_u64(json, "tables_sequence", state.tables_sequence);
    sb_json_add_object(json, "workers");
    for (int i = 0; i < CP_WORKER_STATES; i++)
        sb_json_add_u64(json, cp_worker_state_name((enum cp_worker_state)i), state.workers[i]);
    sb_json_close_object(json);
    return SB_OK;
}

int cp_hub_ready(void *ctx, struct sb_errmsg *err)
{
    struct cp_ask_state state;
    int rc = ask_state(ctx, &state);

    return rc == SB_OK ? rc : sb_err_set(err, rc, "the publisher does not answer");
}

/* --- explain -----------------------------------------------------------------------------------
 */

static void free_explain(struct sb_ask *ask)
{
    struct cp_ask_explain *explain = container_of(ask, struct cp_ask_explain, ask);

    sb_buf_release(&explain->key_name);
    sb_buf_release(&explain->body);
    sb_buf_release(&explain->out);
    sb_mem_free(explain);
}

/* Both may be the client's words: too long is unknown. */
static int fill(struct cp_ask_explain *explain, const struct cp_explain_what *what)
{
    int rc;

    if (!sb_slice_copy_text(what->worker, explain->worker, sizeof(explain->worker)))
        return SB_ENOENT;
    rc = sb_buf_append(&explain->key_name, what->key);
    return rc == SB_OK ? sb_buf_append(&explain->body, what->body) : rc;
}

int cp_hub_explain(void *ctx, const struct cp_explain_what *what, struct sb_buf *out,
                   unsigned *ret_status, struct sb_errmsg *err)
{
    struct cp_hub *hub = ctx;
    struct cp_ask_explain *explain = sb_mem_new(sizeof(*explain));
    int rc;

    sb_ask_init(&explain->ask, CP_ASK_EXPLAIN, free_explain);
    sb_buf_init(&explain->key_name, MSG_SLUG_MAX);
    sb_buf_init(&explain->body, MSG_QUERY_MAX);
    sb_buf_init(&explain->out, CP_HUB_ANSWER_MAX);
    rc = fill(explain, what);
    if (rc == SB_OK)
        rc = sb_ask_wait(&explain->ask, hub->conf.publisher, CP_EXPLAIN_PATIENCE + CP_HUB_PATIENCE);
    if (rc == SB_OK)
        rc = sb_buf_append(out, sb_buf_slice(&explain->out));
    if (rc == SB_OK)
        *ret_status = explain->status;
    sb_ask_release(&explain->ask);
    if (rc == SB_ENOENT)
        return sb_err_set(
            err, rc, "there is no worker '%.*s', or it is gone; GET /admin/v1/workers lists them",
            SB_LOG_SLICE(what->worker));
    if (rc == SB_EAGAIN)
        return sb_err_set(err, rc, "no worker is ready to answer");
    return explain_failure(rc, err);
}
