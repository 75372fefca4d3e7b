-- What a rollback by revision $1 to revision $2 leaves as it is, in words.
WITH first AS (
    SELECT DISTINCT ON (kind, name) kind, name, before AS target
      FROM audit_changes WHERE revision > $2::bigint AND revision < $1::bigint
     ORDER BY kind, name, revision
), last AS (
    SELECT DISTINCT ON (kind, name) kind, name, after AS now
      FROM audit_changes WHERE revision > $2::bigint AND revision < $1::bigint
     ORDER BY kind, name, revision DESC
), secret AS (
    SELECT DISTINCT kind, name
      FROM audit_changes
     WHERE revision > $2::bigint AND revision < $1::bigint AND secret_changed AND before IS NOT NULL AND after IS NOT NULL
)
SELECT CASE
         WHEN f.kind = 'keys' AND l.now IS NULL THEN 'key ''' || f.name || ''' stays revoked'
         WHEN f.kind = 'credentials' AND l.now IS NULL
             THEN 'credential ''' || f.name || ''' stays deleted: enter it again'
         WHEN f.kind = 'credentials'
              AND ROW(f.target ->> 'provider', f.target ->> 'tenant')
                  IS DISTINCT FROM ROW(l.now ->> 'provider', l.now ->> 'tenant')
             THEN 'credential ''' || f.name || ''' stays with its provider and tenant'
         ELSE 'the secret of ' || CASE f.kind WHEN 'keys' THEN 'key' ELSE 'credential' END
              || ' ''' || f.name || ''' stays the newest'
       END
  FROM first f
  JOIN last l ON l.kind = f.kind AND l.name = f.name
  LEFT JOIN secret s ON s.kind = f.kind AND s.name = f.name
 WHERE f.target IS NOT NULL AND f.kind IN ('keys', 'credentials')
   AND (l.now IS NULL OR s.name IS NOT NULL
        OR (f.kind = 'credentials'
            AND ROW(f.target ->> 'provider', f.target ->> 'tenant')
                IS DISTINCT FROM ROW(l.now ->> 'provider', l.now ->> 'tenant')))
 ORDER BY f.kind, f.name
 LIMIT 100
