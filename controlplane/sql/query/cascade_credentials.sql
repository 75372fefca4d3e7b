-- A provider that revision $1 removes takes its credentials along.
INSERT INTO audit_changes (revision, kind, name, before)
SELECT $1::bigint, 'credentials', o.name, o.object
  FROM credential_objects o
  JOIN audit_changes g
    ON g.revision = $1::bigint AND g.kind = 'providers' AND g.after IS NULL AND g.name = o.object ->> 'provider'
ON CONFLICT DO NOTHING
