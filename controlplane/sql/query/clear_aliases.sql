-- Takes the aliases of the models that revision $1 changed or removed.
DELETE FROM model_aliases a
 USING models m, audit_changes c
 WHERE m.id = a.model_id AND c.revision = $1::bigint AND c.kind = 'models' AND c.name = m.model
