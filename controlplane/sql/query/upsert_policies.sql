-- As upsert_providers.sql.
INSERT INTO policies (name, rules, from_file, revision)
SELECT c.name, c.after - 'name', coalesce($2::boolean, was_from_file(c.kind, c.name)), $1::bigint
  FROM audit_changes c
 WHERE c.revision = $1::bigint AND c.kind = 'policies' AND c.after IS NOT NULL
ON CONFLICT (name) DO UPDATE SET (rules, revision) = (EXCLUDED.rules, EXCLUDED.revision)
