-- Names that clients may ask for, of the models that revision $1 changes, that
-- belong to other models: model, name, that other model.  What the document
-- says twice by itself was found before.
WITH changed AS MATERIALIZED (
    SELECT name, after FROM audit_changes WHERE revision = $1::bigint AND kind = 'models'
), asked AS (
    SELECT c.name AS model, a.alias AS name, true AS is_alias
      FROM changed c
     CROSS JOIN LATERAL jsonb_array_elements_text(c.after -> 'aliases') AS a(alias)
     WHERE c.after ? 'aliases'
    UNION ALL
    SELECT name, name, false FROM changed WHERE after IS NOT NULL
), stays AS (
    SELECT m.id, m.model FROM models m WHERE NOT EXISTS (SELECT FROM changed c WHERE c.name = m.model)
)
SELECT a.model, a.name, s.model
  FROM asked a JOIN stays s ON s.model = a.name
 WHERE a.is_alias
UNION ALL
SELECT a.model, a.name, s.model
  FROM asked a JOIN model_aliases x ON x.alias = a.name JOIN stays s ON s.id = x.model_id
