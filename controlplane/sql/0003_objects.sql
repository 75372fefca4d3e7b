-- The stored configuration as objects: JSON in the normal form that
-- controlplane/catalog.c makes of a document, so that equal objects compare
-- equal.  "extra" is what the store knows beside; a document cannot set it.

-- Exact: numeric times a decimal constant never rounds.
CREATE FUNCTION usd_per_million(price bigint) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN trim_scale(price * 0.000000001)::text;

CREATE FUNCTION usd_each(price bigint) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN trim_scale(price * 0.000000000000001)::text;

CREATE FUNCTION object_extra(id bigint, from_file boolean, revision bigint) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN jsonb_build_object('id', id, 'revision', revision,
                          'managed_by', CASE WHEN from_file THEN 'file' ELSE 'api' END);

CREATE VIEW provider_objects AS
SELECT p.slug AS name,
       p.from_file,
       jsonb_strip_nulls(jsonb_build_object(
           'slug', p.slug, 'name', p.name, 'dialect', p.dialect, 'base_url', p.base_url,
           'headquarters', p.headquarters,
           'auth', CASE WHEN p.auth_header IS NOT NULL THEN jsonb_build_object('header', p.auth_header) END,
           'headers', p.headers, 'query', p.query, 'proxy', p.proxy, 'ca_file', p.ca_file,
           'max_connections', p.max_connections, 'max_in_flight', p.max_in_flight,
           'price_updates', p.price_updates,
           'privacy_policy_url', p.privacy_policy_url,
           'terms_of_service_url', p.terms_of_service_url,
           'status_page_url', p.status_page_url,
           -- of a composite, IS NOT NULL would mean that no part is null
           'data_policy', CASE WHEN NOT (p.no_training IS NULL AND p.zdr IS NULL)
                               THEN jsonb_build_object('no_training', p.no_training, 'zdr', p.zdr) END
       )) AS object,
       object_extra(p.id, p.from_file, p.revision) AS extra
  FROM providers p;

CREATE VIEW model_objects AS
SELECT m.model AS name,
       m.from_file,
       jsonb_strip_nulls(jsonb_build_object(
           'id', m.model, 'name', m.name, 'description', m.description, 'created', m.created,
           'context_length', m.context_length,
           'input_modalities', m.input_modalities, 'output_modalities', m.output_modalities,
           'image_tokens', m.image_tokens,
           'aliases', (SELECT jsonb_agg(a.alias ORDER BY a.position) FROM model_aliases a WHERE a.model_id = m.id),
           'distillable', m.distillable
       )) AS object,
       object_extra(m.id, m.from_file, m.revision) - 'id' AS extra
  FROM models m;

CREATE VIEW tenant_objects AS
SELECT t.name,
       t.from_file,
       jsonb_build_object('name', t.name) AS object,
       object_extra(t.id, t.from_file, t.revision) AS extra
  FROM tenants t;

CREATE VIEW policy_objects AS
SELECT p.name,
       p.from_file,
       p.rules || jsonb_build_object('name', p.name) AS object,
       object_extra(p.id, p.from_file, p.revision) AS extra
  FROM policies p;

CREATE VIEW endpoint_objects AS
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
               'web_search', usd_each(e.price_web_search))), '{}'),
           'eu_resident', e.eu_resident, 'zdr', e.zdr, 'no_training', e.no_training
       )) AS object,
       object_extra(e.id, e.from_file, e.revision) AS extra
  FROM endpoints e
  JOIN models m ON m.id = e.model_id
  JOIN providers p ON p.id = e.provider_id;

CREATE VIEW key_objects AS
SELECT k.name,
       k.from_file,
       jsonb_strip_nulls(jsonb_build_object(
           'name', k.name, 'tenant', t.name, 'policy', p.name,
           'expires_at', to_char(k.expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
           'disabled', nullif(k.disabled, false)
       )) AS object,
       object_extra(k.id, k.from_file, k.revision)
           || jsonb_build_object('label', k.label,
                                 'created_at', to_char(k.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
           AS extra
  FROM keys k
  JOIN tenants t ON t.id = k.tenant_id
  LEFT JOIN policies p ON p.id = k.policy_id;

CREATE VIEW credential_objects AS
SELECT c.name,
       c.from_file,
       jsonb_strip_nulls(jsonb_build_object(
           'name', c.name, 'provider', p.slug, 'tenant', t.name,
           'sequence', nullif(c.sequence, 0), 'spill', nullif(c.spill, true)
       )) AS object,
       object_extra(c.id, c.from_file, c.revision)
           || jsonb_build_object('suspended', c.suspended, 'origin', c.origin,
                                 'entered_at', to_char(c.entered_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
           AS extra
  FROM credentials c
  JOIN providers p ON p.id = c.provider_id
  LEFT JOIN tenants t ON t.id = c.tenant_id;

-- Every name that can be referred to.
CREATE VIEW object_names AS
          SELECT 'providers' AS kind, slug AS name FROM providers
UNION ALL SELECT 'models', model FROM models
UNION ALL SELECT 'tenants', name FROM tenants
UNION ALL SELECT 'policies', name FROM policies;

-- Who attested a claim, and when, are those of the revision unless the document
-- says; a claim that says the same as before keeps them.
CREATE FUNCTION settle_claim(new jsonb, old jsonb, author text, today date) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE
    WHEN new IS NULL OR new ->> 'value' = 'unknown' THEN new
    WHEN old ->> 'value' = new ->> 'value'
         AND old ->> 'evidence' IS NOT DISTINCT FROM new ->> 'evidence'
        THEN jsonb_build_object('attested_by', old -> 'attested_by', 'attested_on', old -> 'attested_on') || new
    ELSE jsonb_build_object('attested_by', author, 'attested_on', today) || new
END;

CREATE FUNCTION settle_claims(kind text, new jsonb, old jsonb, author text, today date) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE
    WHEN kind = 'endpoints' AND new ?| ARRAY['eu_resident', 'zdr', 'no_training'] THEN
        new || jsonb_strip_nulls(jsonb_build_object(
            'eu_resident', settle_claim(new -> 'eu_resident', old -> 'eu_resident', author, today),
            'zdr', settle_claim(new -> 'zdr', old -> 'zdr', author, today),
            'no_training', settle_claim(new -> 'no_training', old -> 'no_training', author, today)))
    WHEN kind = 'models' AND new ? 'distillable' THEN
        new || jsonb_build_object('distillable',
            settle_claim(new -> 'distillable', old -> 'distillable', author, today))
    WHEN kind = 'providers' AND new ? 'data_policy' THEN
        new || jsonb_build_object('data_policy', jsonb_strip_nulls(jsonb_build_object(
            'zdr', settle_claim(new #> '{data_policy,zdr}', old #> '{data_policy,zdr}', author, today),
            'no_training', settle_claim(new #> '{data_policy,no_training}',
                                        old #> '{data_policy,no_training}', author, today))))
    ELSE new
END;

-- Whether an object was made by a file, when a rollback makes it again.
CREATE FUNCTION was_from_file(of_kind text, of_name text) RETURNS boolean
LANGUAGE sql STABLE
RETURN coalesce((SELECT r.action = 'apply'
                   FROM audit_changes c
                   JOIN revisions r ON r.revision = c.revision
                  WHERE c.kind = of_kind AND c.name = of_name AND c.before IS NULL
                    AND r.action <> 'rollback'
                  ORDER BY c.revision DESC
                  LIMIT 1), false);

-- One entry of a difference, as people and programs see it.
CREATE FUNCTION change_object(kind text, name text, before jsonb, after jsonb, secret_changed boolean)
RETURNS json
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN json_strip_nulls(json_build_object(
    'kind', kind, 'name', name,
    'action', CASE WHEN before IS NULL THEN 'added' WHEN after IS NULL THEN 'removed' ELSE 'changed' END,
    'before', before, 'after', after,
    'secret_changed', nullif(secret_changed, false)));

-- A revision with what it changed, counted.
CREATE VIEW revision_objects AS
SELECT r.revision, r.epoch, r.at, r.author, r.action, r.note, r.forced, n.added, n.changed, n.removed
  FROM revisions r
 CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE c.before IS NULL) AS added,
           count(*) FILTER (WHERE c.before IS NOT NULL AND c.after IS NOT NULL) AS changed,
           count(*) FILTER (WHERE c.after IS NULL) AS removed
      FROM audit_changes c
     WHERE c.revision = r.revision) n;

GRANT SELECT ON provider_objects, model_objects, tenant_objects, policy_objects, endpoint_objects,
    key_objects, credential_objects, object_names, revision_objects TO switchboard_service;
