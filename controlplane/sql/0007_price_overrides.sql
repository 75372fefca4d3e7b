-- Prices with conditions: long prompts, hours and days.

-- In the form of the catalogue (controlplane/catalog/prices.h), decimals as
-- text, so that they stay exact; in the sequence in which they apply.
ALTER TABLE endpoints ADD COLUMN price_overrides jsonb
    CHECK (jsonb_typeof(price_overrides) = 'array' AND price_overrides <> '[]');

CREATE OR REPLACE VIEW endpoint_objects AS
SELECT e.name,
       e.from_file,
       jsonb_strip_nulls(jsonb_build_object(
           'model', m.model, 'provider', p.slug, 'tag', e.tag, 'upstream_model', e.upstream_model,
           'region', e.region, 'quantization', e.quantization,
           'context_length', e.context_length,
           'max_completion_tokens', e.max_completion_tokens,
           'max_prompt_tokens', e.max_prompt_tokens,
           'input_modalities', e.input_modalities, 'output_modalities', e.output_modalities,
           'supported_parameters', e.supported_parameters,
           'pricing', nullif(jsonb_strip_nulls(jsonb_build_object(
               'prompt', usd_per_million(e.price_prompt),
               'completion', usd_per_million(e.price_completion),
               'request', usd_each(e.price_request),
               'image', usd_each(e.price_image),
               'image_output', usd_each(e.price_image_output),
               'audio', usd_each(e.price_audio),
               'audio_output', usd_each(e.price_audio_output),
               'cache_read', usd_per_million(e.price_cache_read),
               'cache_write', usd_per_million(e.price_cache_write),
               'reasoning', usd_per_million(e.price_reasoning),
               'web_search', usd_each(e.price_web_search),
               'overrides', e.price_overrides)), '{}'),
           'eu_resident', e.eu_resident, 'zdr', e.zdr, 'no_training', e.no_training
       )) AS object,
       object_extra(e.id, e.from_file, e.revision) AS extra
  FROM endpoints e
  JOIN models m ON m.id = e.model_id
  JOIN providers p ON p.id = e.provider_id;
