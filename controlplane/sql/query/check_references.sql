-- What revision $1 would leave without what it refers to.  First, changed
-- objects that name something that will not be there: kind, name, member,
-- kind and name of the missing one.  Then, removed objects that others still
-- use: kind, name, member null, kind of the users, one of them, how many.
WITH new AS MATERIALIZED (
    SELECT kind, name, after FROM audit_changes WHERE revision = $1::bigint AND after IS NOT NULL
), gone AS MATERIALIZED (
    SELECT kind, name FROM audit_changes WHERE revision = $1::bigint AND after IS NULL
), wanted AS (
    SELECT kind, name, 'model' AS member, 'models' AS target_kind, after ->> 'model' AS target
      FROM new WHERE kind = 'endpoints'
    UNION ALL
    SELECT kind, name, 'provider', 'providers', after ->> 'provider'
      FROM new WHERE kind IN ('endpoints', 'credentials')
    UNION ALL
    SELECT kind, name, 'tenant', 'tenants', after ->> 'tenant'
      FROM new WHERE kind IN ('keys', 'credentials')
    UNION ALL
    SELECT kind, name, 'policy', 'policies', after ->> 'policy'
      FROM new WHERE kind = 'keys'
), used AS (
    SELECT 'providers' AS kind, p.slug AS name, 'endpoints' AS user_kind, e.name AS user_name
      FROM gone g JOIN providers p ON p.slug = g.name JOIN endpoints e ON e.provider_id = p.id
     WHERE g.kind = 'providers'
    UNION ALL
    SELECT 'models', m.model, 'endpoints', e.name
      FROM gone g JOIN models m ON m.model = g.name JOIN endpoints e ON e.model_id = m.id
     WHERE g.kind = 'models'
    UNION ALL
    SELECT 'tenants', t.name, 'keys', k.name
      FROM gone g JOIN tenants t ON t.name = g.name JOIN keys k ON k.tenant_id = t.id
     WHERE g.kind = 'tenants'
    UNION ALL
    SELECT 'tenants', t.name, 'credentials', c.name
      FROM gone g JOIN tenants t ON t.name = g.name JOIN credentials c ON c.tenant_id = t.id
     WHERE g.kind = 'tenants'
    UNION ALL
    SELECT 'policies', p.name, 'keys', k.name
      FROM gone g JOIN policies p ON p.name = g.name JOIN keys k ON k.policy_id = p.id
     WHERE g.kind = 'policies'
)
SELECT w.kind, w.name, w.member, w.target_kind, w.target, 0::bigint
  FROM wanted w
 WHERE w.target IS NOT NULL
   AND NOT EXISTS (SELECT FROM new n WHERE n.kind = w.target_kind AND n.name = w.target)
   AND (NOT EXISTS (SELECT FROM object_names o WHERE o.kind = w.target_kind AND o.name = w.target)
        OR EXISTS (SELECT FROM gone g WHERE g.kind = w.target_kind AND g.name = w.target))
UNION ALL
SELECT u.kind, u.name, NULL, u.user_kind, min(u.user_name), count(*)
  FROM used u -- users that change as well have been looked at above
 WHERE NOT EXISTS (SELECT FROM audit_changes c
                    WHERE c.revision = $1::bigint AND c.kind = u.user_kind AND c.name = u.user_name)
 GROUP BY u.kind, u.name, u.user_kind
