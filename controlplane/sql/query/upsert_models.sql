-- As upsert_providers.sql; aliases are replaced whole, by the two files beside.
INSERT INTO models AS m (model, name, description, created, context_length, input_modalities,
    output_modalities, image_tokens, distillable, from_file, revision)
SELECT c.name, x.name, x.description, x.created, x.context_length, x.input_modalities,
       x.output_modalities, x.image_tokens, x.distillable,
       coalesce($2::boolean, was_from_file(c.kind, c.name)), $1::bigint
  FROM audit_changes c
 CROSS JOIN LATERAL jsonb_to_record(c.after) AS x(name text, description text, created date,
    context_length integer, input_modalities text[], output_modalities text[], image_tokens integer,
    distillable claim)
 WHERE c.revision = $1::bigint AND c.kind = 'models' AND c.after IS NOT NULL
ON CONFLICT (model) DO UPDATE SET
    (name, description, created, context_length, input_modalities, output_modalities, image_tokens,
     distillable, revision) =
    (EXCLUDED.name, EXCLUDED.description, EXCLUDED.created, EXCLUDED.context_length,
     EXCLUDED.input_modalities, EXCLUDED.output_modalities, EXCLUDED.image_tokens,
     EXCLUDED.distillable, EXCLUDED.revision)
