/* controlplane/records/answers.c */
#include "controlplane/records/answers.h"

#include <stdio.h>

#include "common/actor.h"
#include "common/arena.h"
#include "common/check.h"
#include "common/json.h"
#include "common/log.h"
#include "common/mailbox.h"
#include "common/mem.h"
#include "common/reactor.h"
#include "controlplane/db.h"
#include "controlplane/log/receipts.h"
#include "controlplane/mail.h"
#include "controlplane/records/audit_rows.h"
#include "controlplane/stats.h"
#include "proto/generation.h"
#include "proto/record.h"

enum { RECONNECT = 1000 }; /* ms after a failure: questions do not wait for one each */

struct cp_answers {
    struct cp_answers_conf conf;
    char application[96];
    struct sb_actor *actor;
    /* The actor's own. */
    struct sb_reactor *reactor;
    struct cp_observers observers; /* the publisher */
    struct cp_db *db;
    bool told; /* the last question failed */
    sb_msec next_try;
};

/* --- the answers ------------------------------------------------------------------------ */

static int answer_generation(struct cp_db *db, const struct msg_query *query, struct sb_buf *out)
{
    SB_CLEANUP(sb_arena_destroy) struct sb_arena *arena = sb_arena_new(4096);
    struct msg_record record;
    int rc = cp_audit_find(db, query->argument, query->tenant, arena, &record);

    return rc == SB_OK ? msg_generation_write(&record, out) : rc;
}

/* Money as a JSON number, exact: numeric knows no exponent. */
#define USD(sum) "trim_scale(coalesce(" sum ", 0) * 0.000000000000001)::text"
#define SINCE(column, unit)                                                                        \
    "sum(" column ") FILTER (WHERE received_at >= date_trunc('" unit "', now()))"

static void add_raw(struct sb_json *json, const char *name, const struct cp_rows *rows, int column)
{
    sb_json_add_raw(json, name, cp_rows_bytes(rows, 0, column));
}

static void add_text(struct sb_json *json, const char *name, const struct cp_rows *rows, int column)
{
    if (cp_rows_is_null(rows, 0, column))
        sb_json_add_null(json, name);
    else
        sb_json_add_text(json, name, cp_rows_bytes(rows, 0, column));
}

/* As OpenRouter's GET /key.  There are no limits on keys yet. */
/* What OpenRouter has and we have not; its client insists on the members. */
static void add_foreign_members(struct sb_json *json)
{
    sb_json_add_null(json, "organization_id");
    sb_json_add_null(json, "workspace_id");
    sb_json_add_array(json, "allowed_data_regions");
    sb_json_close_array(json);
    sb_json_add_object(json, "free_model_daily_requests");
    sb_json_add_i64(json, "limit", -1);
    sb_json_add_i64(json, "remaining", -1);
    sb_json_add_i64(json, "used", 0);
    sb_json_close_object(json);
}

static int answer_key(struct cp_db *db, const struct msg_query *query, struct sb_buf *out)
{
    static const char sql[] =
        "SELECT k.label, to_char(k.expires_at AT TIME ZONE 'UTC', "
        "'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),"
        " k.disabled, " USD("u.total") ", " USD("u.day") ", " USD("u.week") ", " USD(
            "u.month") ","
                       " " USD("u.own") ", " USD("u.own_day") ", " USD("u.own_week") ", " USD(
                           "u.own_month") " FROM keys k CROSS JOIN LATERAL (SELECT sum(cost) AS "
                                          "total,"
                                          " " SINCE("cost", "day") " AS day, " SINCE(
                                              "cost",
                                              "week") " AS week,"
                                                      " " SINCE(
                                                          "cost",
                                                          "month") " AS month,"
                                                                   " sum(upstream_cost) FILTER "
                                                                   "(WHERE credential_kind = 2) AS "
                                                                   "own,"
                                                                   " sum(upstream_cost) FILTER "
                                                                   "(WHERE credential_kind = 2"
                                                                   " AND received_at >= "
                                                                   "date_trunc('day', now())) AS "
                                                                   "own_day,"
                                                                   " sum(upstream_cost) FILTER "
                                                                   "(WHERE credential_kind = 2"
                                                                   " AND received_at >= "
                                                                   "date_trunc('week', now())) AS "
                                                                   "own_week,"
                                                                   " sum(upstream_cost) FILTER "
                                                                   "(WHERE credential_kind = 2"
                                                                   " AND received_at >= "
                                                                   "date_trunc('month', now())) AS "
                                                                   "own_month"
                                                                   " FROM audit_requests a WHERE "
                                                                   "a.key_name = k.name AND "
                                                                   "a.key_id = k.id) u"
                                                                   " WHERE k.id = $1 AND "
                                                                   "k.tenant_id = $2";
    static const char *const money[] = {
        "usage",      "usage_daily",      "usage_weekly",      "usage_monthly",
        "byok_usage", "byok_usage_daily", "byok_usage_weekly", "byok_usage_monthly"};
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct sb_json json;
    int rc = cp_db_query(db, sql, CP_PARAMS(CP_P_I64(query->key), CP_P_I64(query->tenant)), &rows);

    if (rc != SB_OK)
        return rc;
    if (cp_rows_count(rows) == 0)
        return SB_ENOENT;
    sb_json_init(&json, out);
    sb_json_open_object(&json);
    sb_json_add_object(&json, "data");
    add_text(&json, "label", rows, 0);
    for (size_t i = 0; i < SB_ARRAY_LEN(money); i++)
        add_raw(&json, money[i], rows, 3 + (int)i);
    sb_json_add_null(&json, "limit");
    sb_json_add_null(&json, "limit_remaining");
    sb_json_add_null(&json, "limit_reset");
    sb_json_add_bool(&json, "include_byok_in_limit", false);
    sb_json_add_bool(&json, "is_free_tier", false);
    sb_json_add_bool(&json, "is_management_key", false);
    sb_json_add_bool(&json, "is_provisioning_key", false);
    sb_json_add_bool(&json, "disabled", cp_rows_bool(rows, 0, 2));
    add_text(&json, "expires_at", rows, 1);
    sb_json_add_null(&json, "creator_user_id");
    sb_json_add_object(&json, "rate_limit");
    sb_json_add_i64(&json, "requests", -1);
    sb_json_add_text(&json, "interval", SB_SLICE_LIT("10s"));
    sb_json_add_text(&json, "note", SB_SLICE_LIT("not limited by rate"));
    sb_json_close_object(&json);
    add_foreign_members(&json);
    sb_json_close_object(&json);
    sb_json_close_object(&json);
    return sb_json_end(&json);
}

/* Nobody buys credits here: what was used is what there was. */
static int answer_credits(struct cp_db *db, const struct msg_query *query, struct sb_buf *out)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct sb_json json;
    int rc = cp_db_query(db, "SELECT " USD("sum(cost)") " FROM audit_requests WHERE tenant_id = $1",
                         CP_PARAMS(CP_P_I64(query->tenant)), &rows);

    if (rc != SB_OK)
        return rc;
    sb_json_init(&json, out);
    sb_json_open_object(&json);
    sb_json_add_object(&json, "data");
    add_raw(&json, "total_credits", rows, 0);
    add_raw(&json, "total_usage", rows, 0);
    sb_json_close_object(&json);
    sb_json_close_object(&json);
    return sb_json_end(&json);
}

static int look_up(struct cp_answers *answers, const struct msg_query *query, struct sb_buf *out)
{
    struct cp_db *db = answers->db;

    if (query->tenant > INT64_MAX || query->key > INT64_MAX)
        return SB_ENOENT;
    switch (query->what) {
    case MSG_QUERY_GENERATION:
        return answer_generation(db, query, out);
    case MSG_QUERY_KEY:
        return answer_key(db, query, out);
    case MSG_QUERY_CREDITS:
        return answer_credits(db, query, out);
    case MSG_QUERY_RECEIPT:
        return cp_receipt_write(db, query->argument, query->tenant, answers->conf.is_signing, out);
    default: /* of a newer worker, or none that we answer */
        return SB_EUNSUPPORTED;
    }
}

static uint16_t status_of(int rc)
{
    switch (rc) {
    case SB_OK:
        return 200;
    case SB_EGAP: /* a receipt, later */
        return 202;
    case SB_ENOENT:
    case SB_EINVAL: /* bytes that are no text are no id either */
        return 404;
    case SB_EUNSUPPORTED:
        return 501;
    default:
        return 503;
    }
}

/* --- the actor ------------------------------------------------------------------------------ */

static bool connect_db(struct cp_answers *answers)
{
    const struct cp_db_conf conf = {.conninfo = answers->conf.conninfo,
                                    .application = answers->application,
                                    .role = CP_DB_SERVICE_ROLE,
                                    .connect_timeout = 1000,
                                    .query_timeout = CP_ANSWERS_PATIENCE};
    sb_msec now = sb_reactor_now(answers->reactor);
    int rc;

    if (answers->db != NULL && cp_db_is_alive(answers->db))
        return true;
    cp_db_destroy(&answers->db);
    if (now < answers->next_try)
        return false;
    rc = cp_db_new(&conf, &answers->db, NULL);
    answers->next_try = rc == SB_OK ? 0 : sb_clock_now(&sb_clock_system) + RECONNECT;
    return rc == SB_OK;
}

static void on_query(struct cp_answers *answers, const struct cp_query *asked)
{
    struct cp_send *send = cp_send_new(MSG_KIND_ANSWER, asked->term);
    struct msg_answer answer = {.id = asked->query.id};
    bool is_late = sb_clock_now(&sb_clock_system) - asked->at > CP_ANSWERS_PATIENCE;
    int rc = SB_ETIMEDOUT;

    if (!is_late)
        rc = connect_db(answers) ? look_up(answers, &asked->query, &send->bulk) : SB_ECONNRESET;
    /* A connection that has died while nobody asked is found out by the one
     * who asks: try again on another. */
    if (rc == SB_ECONNRESET && answers->db != NULL && connect_db(answers))
        rc = look_up(answers, &asked->query, &send->bulk);
    answer.status = status_of(rc);
    if (answer.status == 503) {
        cp_stat_add(answers->conf.stats, queries_failed, 1);
        if (!answers->told)
            sb_log_warn(STORE, "questions of workers are not answered what=%u code=%s",
                        asked->query.what, sb_err_name(rc));
    }
    answers->told = answer.status == 503;
    rc = msg_answer_encode(&answer, &send->body);
    SB_BUG_ON(rc != SB_OK);
    send->to = asked->from;
    if (answers->observers.n > 0)
        (void)sb_mailbox_post(answers->observers.boxes[0], &send->mail);
    else
        cp_mail_free(&send->mail);
}

static void on_mail(void *ctx, struct sb_mail *mail)
{
    struct cp_answers *answers = ctx;

    switch (mail->kind) {
    case CP_MAIL_ATTACH:
        cp_observers_add(&answers->observers, container_of(mail, struct cp_attach, mail));
        return;
    case CP_MAIL_QUERY:
        on_query(answers, container_of(mail, struct cp_query, mail));
        break;
    default:
        break;
    }
    cp_mail_free(mail);
}

static int on_start(void *ctx, struct sb_reactor *reactor, struct sb_mailbox *self,
                    struct sb_errmsg *err)
{
    struct cp_answers *answers = ctx;

    (void)self;
    (void)err;
    answers->reactor = reactor;
    return SB_OK;
}

static void on_stop(void *ctx)
{
    struct cp_answers *answers = ctx;

    cp_db_destroy(&answers->db);
    cp_observers_release(&answers->observers);
}

static const struct sb_actor_ops ops = {
    .name = "answers", .start = on_start, .on_mail = on_mail, .stop = on_stop};

int cp_answers_start(const struct cp_answers_conf *conf, struct cp_answers **ret,
                     struct sb_errmsg *err)
{
    struct cp_answers *answers = sb_mem_new(sizeof(*answers));
    int rc;

    answers->conf = *conf;
    (void)snprintf(answers->application, sizeof(answers->application),
                   "switchboard-control answers %s", conf->name);
    rc = sb_actor_start(&ops, answers, &answers->actor, err);
    if (rc != SB_OK) {
        sb_mem_free(answers);
        return rc;
    }
    *ret = answers;
    return SB_OK;
}

void cp_answers_stop(struct cp_answers **answersp)
{
    struct cp_answers *answers = *answersp;

    *answersp = NULL;
    if (answers == NULL)
        return;
    sb_actor_stop(&answers->actor);
    sb_mem_free(answers);
}

struct sb_mailbox *cp_answers_mailbox(const struct cp_answers *answers)
{
    return sb_actor_mailbox(answers->actor);
}
