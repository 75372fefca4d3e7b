-- Revision $1 makes everything as it was after revision $2: for each object
-- that changed since, from what it is now to what it was then.  A key that was
-- revoked and a credential that was deleted stay so, and a credential does not
-- move to another provider or tenant: it is sealed for its own.
WITH first AS (
    SELECT DISTINCT ON (kind, name) kind, name, before AS target
      FROM audit_changes WHERE revision > $2::bigint AND revision < $1::bigint
     ORDER BY kind, name, revision
), last AS (
    SELECT DISTINCT ON (kind, name) kind, name, after AS now
      FROM audit_changes WHERE revision > $2::bigint AND revision < $1::bigint
     ORDER BY kind, name, revision DESC
)
INSERT INTO audit_changes (revision, kind, name, before, after)
SELECT $1::bigint, f.kind, f.name, l.now, f.target
  FROM first f
  JOIN last l ON l.kind = f.kind AND l.name = f.name
 WHERE l.now IS DISTINCT FROM f.target
   AND NOT (f.kind IN ('keys', 'credentials') AND l.now IS NULL)
   AND NOT (f.kind = 'credentials' AND f.target IS NOT NULL
            AND ROW(f.target ->> 'provider', f.target ->> 'tenant')
                IS DISTINCT FROM ROW(l.now ->> 'provider', l.now ->> 'tenant'))
