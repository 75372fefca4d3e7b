-- Endpoints that revision $1 leaves without a price that they need: name,
-- no prompt price, no completion price.
SELECT e.name, e.price_prompt IS NULL, e.price_completion IS NULL AND 'text' = ANY (x.output)
  FROM endpoints e
  JOIN models m ON m.id = e.model_id
 CROSS JOIN LATERAL (SELECT coalesce(e.output_modalities, m.output_modalities) AS output) x
 WHERE (e.revision = $1::bigint OR m.revision = $1::bigint)
   AND (('text' = ANY (x.output) AND (e.price_prompt IS NULL OR e.price_completion IS NULL))
        OR ('embeddings' = ANY (x.output) AND e.price_prompt IS NULL))
