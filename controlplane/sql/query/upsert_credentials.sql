-- As upsert_providers.sql.  $3: [{"name", "id", "sealed" (hex)}] of those that
-- were entered now; provider and tenant of the others never change.
INSERT INTO credentials AS c (id, name, provider_id, tenant_id, sequence, spill, sealed, origin,
    suspended, from_file, revision)
SELECT coalesce(s.id, old.id), a.name, p.id, t.id, coalesce(x.sequence, 0), coalesce(x.spill, true),
       coalesce(decode(s.sealed, 'hex'), old.sealed),
       CASE WHEN s.sealed IS NOT NULL THEN p.origin ELSE old.origin END,
       s.sealed IS NULL AND old.suspended,
       coalesce($2::boolean, was_from_file(a.kind, a.name)), $1::bigint
  FROM audit_changes a
 CROSS JOIN LATERAL jsonb_to_record(a.after) AS x(provider text, tenant text, sequence integer, spill boolean)
  JOIN providers p ON p.slug = x.provider
  LEFT JOIN tenants t ON t.name = x.tenant
  LEFT JOIN jsonb_to_recordset($3::jsonb) AS s(name text, id bigint, sealed text) ON s.name = a.name
  LEFT JOIN credentials old ON old.name = a.name
 WHERE a.revision = $1::bigint AND a.kind = 'credentials' AND a.after IS NOT NULL
ON CONFLICT (name) DO UPDATE SET
    (sequence, spill, sealed, origin, suspended, entered_at, revision) =
    (EXCLUDED.sequence, EXCLUDED.spill, EXCLUDED.sealed, EXCLUDED.origin, EXCLUDED.suspended,
     CASE WHEN EXCLUDED.sealed = c.sealed THEN c.entered_at ELSE now() END, EXCLUDED.revision)
