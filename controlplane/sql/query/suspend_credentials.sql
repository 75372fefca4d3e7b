-- Credentials are bound to the origin of their provider: those of providers
-- that revision $1 moved to another are not used until they are entered again.
UPDATE credentials c
   SET suspended = true, revision = $1::bigint
  FROM providers p
 WHERE p.id = c.provider_id AND p.revision = $1::bigint AND c.origin <> p.origin AND NOT c.suspended
RETURNING 'credential ''' || c.name || ''' is suspended: the address of its provider changed; enter it again'
