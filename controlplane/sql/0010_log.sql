-- The log: a Merkle tree (RFC 6962, SHA-256) over what is recorded.  An entry is
-- made of the columns of a row (controlplane/entry.h), so a row that was edited
-- does not fit its leaf any more.  Only the leader's collector appends.

-- What helps to prove a request later.  Digests are BLAKE2b-256 keyed with the
-- salt; the salt and plain personal data are not part of the entry, so that they
-- can be destroyed.
ALTER TABLE audit_requests
    ADD COLUMN leaf               bigint, -- null: from before the log
    ADD COLUMN salt               bytea,
    ADD COLUMN request_digest     bytea,  -- of the body that the client sent
    ADD COLUMN response_digest    bytea,  -- of the body that it got
    ADD COLUMN user_hash          bytea,
    ADD COLUMN metadata_hash      bytea,
    ADD COLUMN user_plain         text,
    ADD COLUMN metadata_plain     text,
    ADD COLUMN demanded_by_policy integer; -- of demanded; null: not known
ALTER TABLE audit_dispatches
    ADD COLUMN leaf               bigint,
    ADD COLUMN salt               bytea,
    ADD COLUMN request_digest     bytea,
    ADD COLUMN response_digest    bytea,
    ADD COLUMN demanded_by_policy integer;
ALTER TABLE audit_refusals ADD COLUMN leaf bigint;
ALTER TABLE quarantine ADD COLUMN leaf bigint;
CREATE INDEX audit_requests_leaf ON audit_requests (leaf);
CREATE INDEX audit_dispatches_leaf ON audit_dispatches (leaf);
CREATE INDEX audit_refusals_leaf ON audit_refusals (leaf);
CREATE INDEX quarantine_leaf ON quarantine (leaf);

-- One row, locked by each transaction that appends: what it stores gets the
-- leaves size, size + 1, ...
CREATE TABLE log_head (
    id         smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    size       bigint NOT NULL CHECK (size >= 0),
    edge       bytea NOT NULL,  -- 32 bytes for each bit set in size: the root of
                                -- that perfect subtree, the largest first
    term       bigint NOT NULL, -- of the leader that appended last
    updated_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO log_head (size, edge, term) VALUES (0, '', 0);

-- The nodes of the tree at every eighth level: those of level n are the roots of
-- 256^n leaves, those of level 0 the leaves themselves.  A row holds those that
-- one transaction completed, 32 bytes each, from the first on; so node i is in
-- the row with the greatest "first" that is not above i.
CREATE TABLE log_nodes (
    level  smallint NOT NULL CHECK (level BETWEEN 0 AND 7),
    first  bigint NOT NULL CHECK (first >= 0),
    hashes bytea NOT NULL CHECK (octet_length(hashes) % 32 = 0 AND octet_length(hashes) > 0),
    PRIMARY KEY (level, first)
);
-- They do not compress, and one is cut out without reading the rest.
ALTER TABLE log_nodes ALTER COLUMN hashes SET STORAGE EXTERNAL;

-- Signed notes (C2SP tlog-checkpoint).
CREATE TABLE log_checkpoints (
    size bigint PRIMARY KEY CHECK (size >= 0),
    at   timestamptz NOT NULL DEFAULT now(),
    text text NOT NULL
);

-- What history lost on purpose: partitions that retention dropped, and salts
-- that were destroyed for the sake of a person (who it was is not said).
CREATE TABLE log_drops (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT now(),
    history    text NOT NULL COLLATE "C", -- the table
    day        date NOT NULL,
    first_leaf bigint, -- null: none of its rows was in the log
    last_leaf  bigint,
    rows       bigint NOT NULL
);
CREATE TABLE log_erasures (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     timestamptz NOT NULL DEFAULT now(),
    author text NOT NULL CHECK (author <> ''),
    rows   bigint NOT NULL -- requests whose salts are gone
);

-- Which leaf they have, and revisions of the configuration.  Others write those,
-- at any time; the leader appends what has no leaf yet, in order.
CREATE TABLE log_changes (
    revision bigint PRIMARY KEY REFERENCES revisions,
    leaf     bigint NOT NULL UNIQUE
);
CREATE TABLE log_dropped (
    drop_id bigint PRIMARY KEY REFERENCES log_drops,
    leaf    bigint NOT NULL UNIQUE
);
CREATE TABLE log_erased (
    erasure_id bigint PRIMARY KEY REFERENCES log_erasures,
    leaf       bigint NOT NULL UNIQUE
);

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
       NULL::text AS metadata_plain, d.demanded_by_policy
  FROM open_dispatches o
  JOIN audit_dispatches d USING (received_at, worker_id, boot_id, sequence);

-- As before, and what is dropped is noted for the log.
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
        IF parent LIKE 'audit\_%' THEN
            EXECUTE format('INSERT INTO switchboard.log_drops (history, day, first_leaf, last_leaf, rows)'
                           ' SELECT $1, $2, min(leaf), max(leaf), count(*) FROM switchboard.%I'
                           ' HAVING count(*) > 0', part)
                USING parent, to_date(right(part, 8), 'YYYYMMDD');
        END IF;
        EXECUTE format('DROP TABLE switchboard.%I', part);
        dropped := dropped + 1;
    END LOOP;
    IF parent = 'audit_dispatches' THEN
        DELETE FROM switchboard.open_dispatches WHERE received_at < before;
    END IF;
    RETURN dropped;
END
$$;

-- The leader's collector appends, and its notary signs, by one role; who serves
-- reads.
GRANT SELECT, UPDATE ON log_head TO switchboard_collector;
GRANT SELECT, INSERT ON log_nodes, log_checkpoints, log_changes, log_dropped, log_erased
    TO switchboard_collector;
GRANT SELECT ON log_drops, log_erasures TO switchboard_collector;
GRANT SELECT ON log_head, log_nodes, log_checkpoints, log_changes, log_dropped, log_erased,
    log_drops, log_erasures TO switchboard_service;
