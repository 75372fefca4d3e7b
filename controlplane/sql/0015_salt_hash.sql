-- The salt of a record is no part of its entry, so that it can be destroyed.  Its hash
-- is: a salt that was exchanged is told from one that was destroyed.  NULL in
-- older rows.
ALTER TABLE audit_requests ADD COLUMN salt_hash bytea;
ALTER TABLE audit_dispatches ADD COLUMN salt_hash bytea;

CREATE OR REPLACE VIEW audit_open_requests AS
SELECT d.received_at, d.worker_id, d.boot_id, d.sequence, d.generation, d.request_id,
       NULL::bigint AS took_us, NULL::bigint AS first_token_us, d.api, d.streamed,
       d.key_id, d.tenant_id, d.key_name, d.tenant_name, d.model_asked,
       NULL::text AS model_served, d.endpoint_id, d.tag, d.provider, d.region,
       d.credential_kind, d.epoch, d.revision, d.demanded, d.residency, d.evidence,
       '[]'::jsonb AS attempts, 0::bigint AS prompt_tokens, 0::bigint AS completion_tokens,
       0::bigint AS cached_tokens, 0::bigint AS cache_write_tokens,
       0::bigint AS reasoning_tokens, 0::smallint AS usage_source, 0::bigint AS cost,
       0::bigint AS upstream_cost, 0::integer AS status,
       CASE WHEN d.received_at < now() - interval '1 hour'
              OR EXISTS (SELECT FROM ingest_cursor c
                          WHERE c.worker_id = d.worker_id AND c.boot_id > d.boot_id)
            THEN 36::smallint ELSE 38::smallint END AS outcome,
       NULL::text AS finish_reason, d.request_bytes, 0::bigint AS response_bytes,
       d.client_address, d.leaf, d.salt, d.request_digest, d.response_digest,
       NULL::bytea AS user_hash, NULL::bytea AS metadata_hash, NULL::text AS user_plain,
       NULL::text AS metadata_plain, d.demanded_by_policy, d.salt_hash
  FROM open_dispatches o
  JOIN audit_dispatches d USING (received_at, worker_id, boot_id, sequence);
