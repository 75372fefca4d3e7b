/* controlplane/admin/flags.c - GET flags: what was believed about an endpoint on a
 * day, and why.
 *
 * The answer is read from the revisions: each object as it was after the last
 * revision of that moment, which is the "before" of the next change of it, or
 * what it is now.  A claim that the endpoint does not make is its provider's;
 * "distillable" is the model's.
 */
#include "controlplane/admin/call.h"
#include "controlplane/admin/filter.h"
#include "controlplane/admin/routes.h"

/* was(): an object as of a revision, or NULL.  At $2, or now. */
static const char sql[] =
    "WITH moment AS (SELECT coalesce($2::timestamptz, now()) AS at),"
    " seen AS (SELECT at, (at AT TIME ZONE 'UTC')::date AS day,"
    "   coalesce((SELECT max(revision) FROM revisions r WHERE r.at <= moment.at), 0) AS revision"
    "  FROM moment),"
    " endpoint AS (SELECT CASE WHEN c.revision IS NULL"
    "   THEN (SELECT o.object FROM endpoint_objects o WHERE o.name = $1) ELSE c.before END AS "
    "object"
    "  FROM seen LEFT JOIN LATERAL (SELECT * FROM audit_changes a WHERE a.kind = 'endpoints'"
    "   AND a.name = $1 AND a.revision > seen.revision ORDER BY a.revision LIMIT 1) c ON true),"
    " provider AS (SELECT e.object ->> 'provider' AS name, CASE WHEN c.revision IS NULL"
    "   THEN (SELECT o.object FROM provider_objects o WHERE o.name = e.object ->> 'provider')"
    "   ELSE c.before END AS object"
    "  FROM seen, endpoint e LEFT JOIN LATERAL (SELECT * FROM audit_changes a"
    "   WHERE a.kind = 'providers' AND a.name = e.object ->> 'provider'"
    "   AND a.revision > (SELECT revision FROM seen) ORDER BY a.revision LIMIT 1) c ON true),"
    " model AS (SELECT e.object ->> 'model' AS name, CASE WHEN c.revision IS NULL"
    "   THEN (SELECT o.object FROM model_objects o WHERE o.name = e.object ->> 'model')"
    "   ELSE c.before END AS object"
    "  FROM seen, endpoint e LEFT JOIN LATERAL (SELECT * FROM audit_changes a"
    "   WHERE a.kind = 'models' AND a.name = e.object ->> 'model'"
    "   AND a.revision > (SELECT revision FROM seen) ORDER BY a.revision LIMIT 1) c ON true),"
    " held (claim, kind, name, path, said) AS ("
    "  SELECT 'eu_resident', 'endpoints', $1, '{eu_resident}'::text[], object -> 'eu_resident'"
    "   FROM endpoint"
    "  UNION ALL SELECT c.claim, CASE WHEN e.object ? c.claim THEN 'endpoints' ELSE 'providers' "
    "END,"
    "   CASE WHEN e.object ? c.claim THEN $1 ELSE p.name END,"
    "   CASE WHEN e.object ? c.claim THEN ARRAY[c.claim] ELSE ARRAY['data_policy', c.claim] END,"
    "   coalesce(e.object -> c.claim, p.object -> 'data_policy' -> c.claim)"
    "   FROM endpoint e, provider p, (VALUES ('zdr'), ('no_training')) AS c (claim)"
    "  UNION ALL SELECT 'distillable', 'models', name, '{distillable}'::text[],"
    "   object -> 'distillable' FROM model)"
    " SELECT to_char(s.at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), s.revision,"
    "  e.object ->> 'region', coalesce(jsonb_object_agg(h.claim, jsonb_build_object("
    "   'value', CASE WHEN h.said IS NULL THEN 'unknown'"
    "     WHEN (h.said ->> 'expires_on')::date < s.day THEN 'unknown' ELSE h.said ->> 'value' END,"
    "   'said', h.said ->> 'value',"
    "   'is_expired', coalesce((h.said ->> 'expires_on')::date < s.day, false),"
    "   'evidence', h.said -> 'evidence', 'attested_by', h.said -> 'attested_by',"
    "   'attested_on', h.said -> 'attested_on', 'expires_on', h.said -> 'expires_on',"
    "   'source', CASE WHEN h.said IS NULL THEN NULL ELSE"
    "     jsonb_build_object('kind', h.kind, 'name', h.name) END,"
    "   'changed_by', (SELECT jsonb_build_object('revision', r.revision, 'at', r.at,"
    "     'author', r.author, 'note', r.note)"
    "    FROM audit_changes a JOIN revisions r ON r.revision = a.revision"
    "    WHERE a.kind = h.kind AND a.name = h.name AND a.revision <= s.revision"
    "    AND a.before #> h.path IS DISTINCT FROM a.after #> h.path"
    "    ORDER BY a.revision DESC LIMIT 1)))::text, '{}')"
    " FROM seen s, endpoint e, held h WHERE e.object IS NOT NULL GROUP BY s.at, s.revision, "
    "e.object";

int cp_serve_flags(struct cp_call *call)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct cp_param params[] = {CP_P_TEXT(call->args[0]), cp_filter_time(call, "at")};
    struct msg_version head;
    struct sb_json json;
    int rc = cp_call_check(call);

    if (rc == SB_OK)
        rc = cp_call_store(call);
    if (rc == SB_OK) /* also connects again when it must */
        rc = cp_store_head(call->store, &head);
    if (rc != SB_OK)
        return rc;
    rc = cp_db_query(cp_store_db(call->store), sql, params, SB_ARRAY_LEN(params), &rows);
    if (rc != SB_OK)
        return cp_stores_failure(call->store, rc, &call->err);
    if (cp_rows_count(rows) == 0)
        return sb_err_set(&call->err, SB_ENOENT, "there is no endpoint '%.*s' at that time",
                          SB_SLICE_ARGS(call->args[0]));
    cp_call_json(call, 200, &json);
    sb_json_open_object(&json);
    sb_json_add_text(&json, "endpoint", call->args[0]);
    sb_json_add_text(&json, "at", cp_rows_bytes(rows, 0, 0));
    sb_json_add_i64(&json, "revision", cp_rows_i64(rows, 0, 1));
    if (cp_rows_is_null(rows, 0, 2))
        sb_json_add_null(&json, "region");
    else
        sb_json_add_text(&json, "region", cp_rows_bytes(rows, 0, 2));
    sb_json_add_raw(&json, "flags", cp_rows_bytes(rows, 0, 3));
    sb_json_close_object(&json);
    return cp_call_json_end(call, &json);
}
