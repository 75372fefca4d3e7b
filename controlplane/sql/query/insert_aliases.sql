-- Gives the models that revision $1 changed the aliases that they have now.
INSERT INTO model_aliases (alias, model_id, position)
SELECT a.alias, m.id, a.position
  FROM audit_changes c
  JOIN models m ON m.model = c.name
 CROSS JOIN LATERAL jsonb_array_elements_text(c.after -> 'aliases') WITH ORDINALITY AS a(alias, position)
 WHERE c.revision = $1::bigint AND c.kind = 'models' AND c.after ? 'aliases'
