/* controlplane/admin/flags.c - GET flags: what was believed about an endpoint, or
 * about a provider and its endpoints, on a day, and why.
 *
 * The answer is read from the revisions: each object as it was after the last
 * revision of that moment, which is the "before" of the next change of it, or
 * what it is now.  A claim that the endpoint does not make is its provider's;
 * "distillable" is the model's.
 */
#include "controlplane/admin/call.h"
#include "controlplane/admin/cell.h"
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

/* A provider ($1) and the endpoints that it had, each as its last change until
 * then left it.  A claim without an endpoint is the provider's. */
static const char provider_sql[] =
    "WITH seen AS (SELECT at, (at AT TIME ZONE 'UTC')::date AS day,"
    "   coalesce((SELECT max(revision) FROM revisions r WHERE r.at <= m.at), 0) AS revision"
    "  FROM (SELECT coalesce($2::timestamptz, now()) AS at) m),"
    " provider AS (SELECT c.after AS object FROM audit_changes c, seen s"
    "  WHERE c.kind = 'providers' AND c.name = $1 AND c.revision <= s.revision"
    "  ORDER BY c.revision DESC LIMIT 1),"
    " endpoints AS (SELECT DISTINCT ON (c.name) c.name, c.after AS object"
    "  FROM audit_changes c, seen s WHERE c.kind = 'endpoints' AND c.revision <= s.revision"
    "  ORDER BY c.name, c.revision DESC),"
    " held (endpoint, region, claim, said) AS ("
    "  SELECT NULL, NULL, x.claim, p.object -> 'data_policy' -> x.claim"
    "   FROM provider p, (VALUES ('zdr'), ('no_training')) AS x (claim)"
    "  UNION ALL SELECT e.name, e.object ->> 'region', x.claim, coalesce(e.object -> x.claim,"
    "    CASE WHEN x.claim <> 'eu_resident' THEN p.object -> 'data_policy' -> x.claim END)"
    "   FROM endpoints e, provider p,"
    "    (VALUES ('eu_resident'), ('zdr'), ('no_training')) AS x (claim)"
    "   WHERE e.object ->> 'provider' = $1)"
    " SELECT to_char(s.at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), s.revision,"
    "  p.object ->> 'headquarters', (SELECT json_agg(json_build_object("
    "   'endpoint', h.endpoint, 'region', h.region, 'claim', h.claim,"
    "   'value', CASE WHEN h.said IS NULL OR (h.said ->> 'expires_on')::date < s.day"
    "     THEN 'unknown' ELSE h.said ->> 'value' END,"
    "   'said', h.said -> 'value',"
    "   'is_expired', coalesce((h.said ->> 'expires_on')::date < s.day, false),"
    "   'evidence', h.said -> 'evidence', 'attested_by', h.said -> 'attested_by',"
    "   'attested_on', h.said -> 'attested_on', 'expires_on', h.said -> 'expires_on')"
    "   ORDER BY h.endpoint NULLS FIRST, h.claim) FROM held h)::text"
    " FROM seen s, provider p WHERE p.object IS NOT NULL";

static int reply(struct cp_call *call, const struct cp_rows *rows, bool is_endpoint)
{
    struct sb_json json;

    cp_call_json(call, 200, &json);
    sb_json_open_object(&json);
    sb_json_add_text(&json, is_endpoint ? "endpoint" : "provider", call->args[0]);
    cp_cell_add_text(&json, "at", rows, 0, 0);
    cp_cell_add_number(&json, "revision", rows, 0, 1);
    cp_cell_add_text(&json, is_endpoint ? "region" : "headquarters", rows, 0, 2);
    cp_cell_add_raw(&json, "flags", rows, 0, 3);
    sb_json_close_object(&json);
    return cp_call_json_end(call, &json);
}

int cp_serve_flags(struct cp_call *call)
{
    SB_CLEANUP(cp_rows_destroy) struct cp_rows *rows = NULL;
    struct cp_param params[] = {CP_P_TEXT(call->args[0]), cp_filter_time(call, "at")};
    bool is_endpoint = sb_slice_find(call->args[0], '@') < call->args[0].n;
    struct msg_version head;
    int rc = cp_call_check(call);

    if (rc == SB_OK)
        rc = cp_call_store(call);
    if (rc == SB_OK) /* also connects again when it must */
        rc = cp_store_head(call->store, &head);
    if (rc != SB_OK)
        return rc;
    rc = cp_db_query(cp_store_db(call->store), is_endpoint ? sql : provider_sql, params,
                     SB_ARRAY_LEN(params), &rows);
    if (rc != SB_OK)
        return cp_stores_failure(call->store, rc, &call->err);
    if (cp_rows_count(rows) == 0)
        return sb_err_set(&call->err, SB_ENOENT, "there is no %s '%.*s' at that time",
                          is_endpoint ? "endpoint" : "provider", SB_SLICE_ARGS(call->args[0]));
    return reply(call, rows, is_endpoint);
}
