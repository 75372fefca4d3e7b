-- As upsert_providers.sql.  $3: [{"name", "hash" (hex), "label"}] of those whose
-- secret is new.
INSERT INTO keys AS k (name, hash, label, tenant_id, policy_id, expires_at, disabled, from_file, revision)
SELECT c.name, coalesce(decode(s.hash, 'hex'), old.hash), coalesce(s.label, old.label),
       t.id, p.id, x.expires_at, coalesce(x.disabled, false),
       coalesce($2::boolean, was_from_file(c.kind, c.name)), $1::bigint
  FROM audit_changes c
 CROSS JOIN LATERAL jsonb_to_record(c.after) AS x(tenant text, policy text, expires_at timestamptz,
    disabled boolean)
  JOIN tenants t ON t.name = x.tenant
  LEFT JOIN policies p ON p.name = x.policy
  LEFT JOIN jsonb_to_recordset($3::jsonb) AS s(name text, hash text, label text) ON s.name = c.name
  LEFT JOIN keys old ON old.name = c.name
 WHERE c.revision = $1::bigint AND c.kind = 'keys' AND c.after IS NOT NULL
ON CONFLICT (name) DO UPDATE SET
    (hash, label, tenant_id, policy_id, expires_at, disabled, revision) =
    (EXCLUDED.hash, EXCLUDED.label, EXCLUDED.tenant_id, EXCLUDED.policy_id, EXCLUDED.expires_at,
     EXCLUDED.disabled, EXCLUDED.revision)
