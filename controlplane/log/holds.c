/* controlplane/log/holds.c */
#include "controlplane/log/holds.h"

#include "common/buf.h"
#include "common/json.h"
#include "common/timefmt.h"
#include "controlplane/admin_tokens.h"
#include "controlplane/config/store_private.h"
#include "controlplane/named.h"

enum { DETAIL_MAX = 64 * 1024, NAME_MAX_BYTES = 64 };

static int db_failed(struct cp_store *store, int rc, struct sb_errmsg *err)
{
    return sb_err_set(err, rc, "%s", cp_db_last_error(store->db)->text.text);
}

bool cp_hold_name_is_fit(struct sb_slice name)
{
    return cp_named_is_fit(name, NAME_MAX_BYTES);
}

/* --- setting ---------------------------------------------------------------------------- */

struct setting {
    const struct cp_hold_wish *wish;
    const struct cp_actor *by;
    char from[SB_DATE_TEXT_MAX], to[SB_DATE_TEXT_MAX];
};

static int set(struct cp_db *db, void *ctx)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf detail = {.limit = DETAIL_MAX};
    const struct setting *setting = ctx;
    struct sb_json json;
    int rc = cp_db_exec(db,
                        "INSERT INTO legal_holds (name, from_day, to_day, note, set_by)"
                        " VALUES ($1, $2::date, $3::date, $4, $5)",
                        CP_PARAMS(CP_P_TEXT(setting->wish->name), CP_P_STR(setting->from),
                                  CP_P_STR(setting->to), CP_P_TEXT(setting->wish->note),
                                  CP_P_TEXT(setting->by->name)),
                        NULL);

    if (rc != SB_OK)
        return rc;
    sb_json_init(&json, &detail);
    sb_json_open_object(&json);
    sb_json_add_text(&json, "from", sb_slice_of(setting->from));
    sb_json_add_text(&json, "note", setting->wish->note);
    sb_json_add_text(&json, "to", sb_slice_of(setting->to));
    sb_json_close_object(&json);
    rc = sb_json_end(&json);
    return rc == SB_OK ? cp_action_record(db, "hold_set", setting->by, setting->wish->name,
                                          sb_buf_slice(&detail))
                       : rc;
}

int cp_hold_set(struct cp_store *store, const struct cp_hold_wish *wish, const struct cp_actor *by,
                struct sb_errmsg *err)
{
    struct setting setting = {.wish = wish, .by = by};
    int rc = cp_store_ready(store);

    (void)sb_date_format(wish->from, setting.from);
    (void)sb_date_format(wish->to, setting.to);
    if (rc == SB_OK)
        rc = cp_db_transact(store->db, CP_READ_COMMITTED, set, &setting);
    if (rc == SB_EEXIST)
        return sb_err_set(err, rc,
                          "there is or was a hold '%.*s': a name is used once, so that the audit "
                          "stays clear; choose another",
                          SB_SLICE_ARGS(wish->name));
    return rc == SB_OK ? rc : db_failed(store, rc, err);
}

/* --- lifting ------------------------------------------------------------------------------ */

struct lifting {
    struct sb_slice name;
    const struct cp_actor *by;
    struct sb_errmsg *err;
};

static int lift(struct cp_db *db, void *ctx)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    const struct lifting *lifting = ctx;
    uint64_t changed = 0;
    int rc =
        cp_db_exec(db,
                   "UPDATE legal_holds SET lifted_at = now(), lifted_by = $2"
                   " WHERE name = $1 AND lifted_at IS NULL",
                   CP_PARAMS(CP_P_TEXT(lifting->name), CP_P_TEXT(lifting->by->name)), &changed);

    if (rc == SB_OK && changed == 1)
        return cp_action_record(db, "hold_lifted", lifting->by, lifting->name, SB_SLICE_LIT("{}"));
    if (rc == SB_OK)
        rc = cp_db_query(db, "SELECT lifted_by FROM legal_holds WHERE name = $1",
                         CP_PARAMS(CP_P_TEXT(lifting->name)), &rows);
    if (rc != SB_OK)
        return rc;
    if (cp_rows_count(rows) == 0)
        return sb_err_set(lifting->err, SB_ENOENT, "there is no hold '%.*s'",
                          SB_SLICE_ARGS(lifting->name));
    return sb_err_set(lifting->err, SB_ECONFLICT, "the hold '%.*s' was lifted already, by %.*s",
                      SB_SLICE_ARGS(lifting->name), SB_SLICE_ARGS(cp_rows_bytes(rows, 0, 0)));
}

int cp_hold_lift(struct cp_store *store, struct sb_slice name, const struct cp_actor *by,
                 struct sb_errmsg *err)
{
    struct lifting lifting = {.name = name, .by = by, .err = err};
    int rc = cp_store_ready(store);

    if (rc == SB_OK)
        rc = cp_db_transact(store->db, CP_READ_COMMITTED, lift, &lifting);
    if (rc == SB_OK || rc == SB_ENOENT || rc == SB_ECONFLICT)
        return rc;
    return db_failed(store, rc, err);
}

/* --- reading --------------------------------------------------------------------------------- */

#define HOLD_OBJECT                                                                                \
    "json_strip_nulls(json_build_object('name', name, 'from', to_char(from_day, 'YYYY-MM-DD'),"    \
    " 'to', to_char(to_day, 'YYYY-MM-DD'), 'note', note,"                                          \
    " 'state', CASE WHEN lifted_at IS NULL THEN 'active' ELSE 'lifted' END,"                       \
    " 'set_at', " CP_NAMED_TIME("set_at") ", 'set_by', set_by,"                                    \
                                          " 'lifted_at', " CP_NAMED_TIME(                          \
                                              "lifted_at") ", 'lifted_by', "                       \
                                                           "lifted_by))::text"

int cp_hold_list(struct cp_store *store, struct cp_page *page, struct sb_buf *out)
{
    return cp_named_list(store,
                         "SELECT name, " HOLD_OBJECT " FROM legal_holds WHERE name > $1"
                         " ORDER BY name LIMIT $2",
                         page, out);
}

int cp_hold_get(struct cp_store *store, struct sb_slice name, struct sb_buf *out)
{
    return cp_named_get(store, "SELECT " HOLD_OBJECT " FROM legal_holds WHERE name = $1", name,
                        out);
}
