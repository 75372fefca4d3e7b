-- Where requests came from, and those that were sent to a provider and of whose
-- end nothing is known.

ALTER TABLE audit_requests ADD COLUMN client_address inet; -- null: not known

-- A dispatch that stays alone is all that an auditor has: it says as much as a
-- request does at that moment.
ALTER TABLE audit_dispatches
    ADD COLUMN request_id      text,
    ADD COLUMN api             smallint NOT NULL DEFAULT 0,
    ADD COLUMN streamed        boolean NOT NULL DEFAULT false,
    ADD COLUMN credential_kind smallint NOT NULL DEFAULT 0,
    ADD COLUMN demanded        integer NOT NULL DEFAULT 0,
    ADD COLUMN residency       text,
    ADD COLUMN evidence        jsonb,
    ADD COLUMN request_bytes   bigint NOT NULL DEFAULT 0,
    ADD COLUMN client_address  inet;

-- The dispatches that have no record of their end yet.  No history, which is in
-- audit_dispatches for good, but a list that is kept short: a row goes in the
-- transaction that stores the record of its request.
CREATE TABLE open_dispatches (
    worker_id   text COLLATE "C",
    boot_id     bigint,
    sequence    bigint,
    received_at timestamptz NOT NULL, -- finds the partition
    PRIMARY KEY (worker_id, boot_id, sequence)
);
GRANT SELECT, INSERT, DELETE ON open_dispatches TO switchboard_service;

-- They as rows of audit_requests: the same columns in the same order, so whoever
-- adds one there adds one here.  Outcomes are those of proto/vocabulary.h: 38
-- dispatched; 36 abandoned, when the worker has begun a later boot or nothing was
-- heard for an hour.
CREATE VIEW audit_open_requests AS
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
       d.client_address
  FROM open_dispatches o
  JOIN audit_dispatches d USING (received_at, worker_id, boot_id, sequence);
GRANT SELECT ON audit_open_requests TO switchboard_service;

-- As in 0002, and what stays open goes with its dispatch.
CREATE OR REPLACE FUNCTION drop_partitions(parent text, before date) RETURNS integer
LANGUAGE plpgsql
SET timezone = 'UTC'
AS $$
DECLARE
    part    text;
    dropped integer := 0;
BEGIN
    FOR part IN
        SELECT c.relname
          FROM pg_inherits i
          JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = to_regclass(format('switchboard.%I', parent))
           AND c.relname ~ '_[0-9]{8}$'
           AND right(c.relname, 8) < to_char(before, 'YYYYMMDD')
         ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE switchboard.%I', part);
        dropped := dropped + 1;
    END LOOP;
    IF parent = 'audit_dispatches' THEN
        DELETE FROM switchboard.open_dispatches WHERE received_at < before;
    END IF;
    RETURN dropped;
END
$$;
