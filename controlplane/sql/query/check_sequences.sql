-- Credentials that revision $1 changes, whose provider, tenant and sequence
-- another one has already: name, sequence, that other one.  Of two that change
-- both, the second by name is told.
SELECT c.name, c.sequence::bigint, o.name
  FROM credentials c
  JOIN credentials o
    ON o.provider_id = c.provider_id AND o.tenant_id IS NOT DISTINCT FROM c.tenant_id
   AND o.sequence = c.sequence AND o.id <> c.id
 WHERE c.revision = $1::bigint AND (o.revision <> c.revision OR o.name < c.name)
