-- How much revision $1 adds, changes and removes; endpoints removed and added,
-- keys removed; endpoints and keys that there are.
SELECT count(*) FILTER (WHERE before IS NULL),
       count(*) FILTER (WHERE before IS NOT NULL AND after IS NOT NULL),
       count(*) FILTER (WHERE after IS NULL),
       count(*) FILTER (WHERE after IS NULL AND kind = 'endpoints'),
       count(*) FILTER (WHERE before IS NULL AND kind = 'endpoints'),
       count(*) FILTER (WHERE after IS NULL AND kind = 'keys'),
       (SELECT count(*) FROM endpoints),
       (SELECT count(*) FROM keys)
  FROM audit_changes
 WHERE revision = $1::bigint
