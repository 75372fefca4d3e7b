-- As upsert_providers.sql.  Prices are exact: catalog.c has checked that they
-- are whole numbers of 1e-15 USD and fit.
INSERT INTO endpoints AS e (name, model_id, provider_id, tag, upstream_model, region, quantization,
    context_length, max_completion_tokens, max_prompt_tokens, input_modalities, output_modalities,
    supported_parameters, price_prompt, price_completion, price_request, price_image,
    price_image_output, price_audio, price_audio_output, price_cache_read, price_cache_write,
    price_reasoning, price_web_search, price_overrides, eu_resident, zdr, no_training, from_file,
    revision)
SELECT c.name, m.id, p.id, x.tag, x.upstream_model, x.region, x.quantization, x.context_length,
       x.max_completion_tokens, x.max_prompt_tokens, x.input_modalities, x.output_modalities,
       x.supported_parameters,
       (r.prompt * 1000000000)::bigint, (r.completion * 1000000000)::bigint,
       (r.request * 1000000000000000)::bigint, (r.image * 1000000000000000)::bigint,
       (r.image_output * 1000000000000000)::bigint, (r.audio * 1000000000000000)::bigint,
       (r.audio_output * 1000000000000000)::bigint, (r.cache_read * 1000000000)::bigint,
       (r.cache_write * 1000000000)::bigint, (r.reasoning * 1000000000)::bigint,
       (r.web_search * 1000000000000000)::bigint, r.overrides,
       x.eu_resident, x.zdr, x.no_training,
       coalesce($2::boolean, was_from_file(c.kind, c.name)), $1::bigint
  FROM audit_changes c
 CROSS JOIN LATERAL jsonb_to_record(c.after) AS x(model text, provider text, tag text,
    upstream_model text, region text, quantization text, context_length integer,
    max_completion_tokens integer, max_prompt_tokens integer, input_modalities text[],
    output_modalities text[], supported_parameters text[], pricing jsonb, eu_resident claim,
    zdr claim, no_training claim)
 CROSS JOIN LATERAL jsonb_to_record(coalesce(x.pricing, '{}')) AS r(prompt numeric,
    completion numeric, request numeric, image numeric, image_output numeric, audio numeric,
    audio_output numeric, cache_read numeric, cache_write numeric, reasoning numeric,
    web_search numeric, overrides jsonb)
  JOIN models m ON m.model = x.model
  JOIN providers p ON p.slug = x.provider
 WHERE c.revision = $1::bigint AND c.kind = 'endpoints' AND c.after IS NOT NULL
ON CONFLICT (name) DO UPDATE SET
    (upstream_model, region, quantization, context_length, max_completion_tokens, max_prompt_tokens,
     input_modalities, output_modalities, supported_parameters, price_prompt, price_completion,
     price_request, price_image, price_image_output, price_audio, price_audio_output,
     price_cache_read, price_cache_write, price_reasoning, price_web_search, price_overrides,
     eu_resident, zdr, no_training, revision) =
    (EXCLUDED.upstream_model, EXCLUDED.region, EXCLUDED.quantization, EXCLUDED.context_length,
     EXCLUDED.max_completion_tokens, EXCLUDED.max_prompt_tokens, EXCLUDED.input_modalities,
     EXCLUDED.output_modalities, EXCLUDED.supported_parameters, EXCLUDED.price_prompt,
     EXCLUDED.price_completion, EXCLUDED.price_request, EXCLUDED.price_image,
     EXCLUDED.price_image_output, EXCLUDED.price_audio, EXCLUDED.price_audio_output,
     EXCLUDED.price_cache_read, EXCLUDED.price_cache_write, EXCLUDED.price_reasoning,
     EXCLUDED.price_web_search, EXCLUDED.price_overrides, EXCLUDED.eu_resident, EXCLUDED.zdr, EXCLUDED.no_training,
     EXCLUDED.revision)
