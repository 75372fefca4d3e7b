/* controlplane/log/pending.c */
#include "controlplane/log/pending.h"

#include "common/buf.h"
#include "common/err.h"
#include "controlplane/db.h"
#include "controlplane/log/appender.h"
#include "controlplane/log/entry.h"
#include "controlplane/publish/term.h"

enum { SQL_MAX = 4096 };

/* Revisions are committed in their order; the numbers of the others are not, so
 * that a smaller one may come later.  What is missing in the log is explained
 * before anything that may be younger. */
static const struct {
    enum cp_entry_kind kind;
    int id; /* column */
    const char *where, *insert;
} kinds[] = {
    {CP_ENTRY_DROPPED, CP_DROPPED_id, " WHERE leaf IS NULL ORDER BY id LIMIT 64",
     "INSERT INTO log_dropped (drop_id, leaf) VALUES ($1, $2)"},
    {CP_ENTRY_ERASED, CP_ERASED_id, " WHERE leaf IS NULL ORDER BY id LIMIT 64",
     "INSERT INTO log_erased (erasure_id, leaf) VALUES ($1, $2)"},
    {CP_ENTRY_CHANGE, CP_CHANGE_revision,
     " WHERE revision > (SELECT coalesce(max(revision), 0) FROM log_changes)"
     " ORDER BY revision LIMIT 64",
     "INSERT INTO log_changes (revision, leaf) VALUES ($1, $2)"},
    {CP_ENTRY_ACTION, CP_ACTION_id, " WHERE leaf IS NULL ORDER BY id LIMIT 64",
     "INSERT INTO log_actions (action_id, leaf) VALUES ($1, $2)"},
};
_Static_assert(CP_PENDING_MAX == 64, "as above");

int cp_pending_look(struct cp_db *db, bool *ret_waits)
{
    static const char sql[] = "SELECT EXISTS (SELECT FROM revisions WHERE revision >"
                              "               (SELECT coalesce(max(revision), 0) FROM log_changes))"
                              " OR EXISTS (SELECT FROM log_drops d WHERE NOT EXISTS"
                              "            (SELECT FROM log_dropped l WHERE l.drop_id = d.id))"
                              " OR EXISTS (SELECT FROM log_erasures d WHERE NOT EXISTS"
                              "            (SELECT FROM log_erased l WHERE l.erasure_id = d.id))"
                              " OR EXISTS (SELECT FROM admin_actions a WHERE NOT EXISTS"
                              "            (SELECT FROM log_actions l WHERE l.action_id = a.id))";
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc = cp_db_query(db, sql, CP_NO_PARAMS, &rows);

    if (rc == SB_OK)
        *ret_waits = cp_rows_bool(rows, 0, 0);
    return rc;
}

static int append_row(struct cp_db *db, struct cp_appender *appender, size_t k,
                      const struct cp_rows *rows, size_t row)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf line = {.limit = CP_ENTRY_LINE_MAX};
    uint64_t leaf = cp_appender_next(appender);
    int rc = cp_entry_put_row(kinds[k].kind, rows, row, &line);

    if (rc != SB_OK)
        return rc;
    cp_appender_add(appender, sb_buf_slice(&line));
    return cp_db_exec(db, kinds[k].insert,
                      CP_PARAMS(CP_P_I64(cp_rows_i64(rows, row, kinds[k].id)), CP_P_I64(leaf)),
                      NULL);
}

static int append_kind(struct cp_db *db, struct cp_appender *appender, size_t k)
{
    SB_CLEANUP(sb_buf_release) struct sb_buf sql = {.limit = SQL_MAX};
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    int rc =
        sb_buf_printf(&sql, "%s%s%c", cp_columns_of(kinds[k].kind)->select, kinds[k].where, '\0');

    if (rc == SB_OK)
        rc = cp_db_query(db, sql.data, CP_NO_PARAMS, &rows);
    for (size_t row = 0; rc == SB_OK && row < cp_rows_count(rows); row++)
        rc = append_row(db, appender, k, rows, row);
    return rc;
}

struct pending {
    struct cp_appender *appender;
    uint64_t term;
};

static int append_all(struct cp_db *db, void *ctx)
{
    const struct pending *pending = ctx;
    int rc = cp_appender_lock(pending->appender, db);

    for (size_t k = 0; rc == SB_OK && k < SB_ARRAY_LEN(kinds); k++)
        rc = append_kind(db, pending->appender, k);
    if (rc == SB_OK)
        rc = cp_appender_store(pending->appender, db, pending->term);
    return rc == SB_OK ? cp_term_check(db, pending->term) : rc;
}

int cp_pending_append(struct cp_db *db, uint64_t term, struct cp_appender *appender)
{
    struct pending pending = {.appender = appender, .term = term};

    return cp_db_transact(db, CP_READ_COMMITTED, append_all, &pending);
}
