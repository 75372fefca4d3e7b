-- What happened: the audit records of requests, and telemetry.
--
-- Append only and partitioned by day (UTC): the service role can insert and
-- read; only the owner makes and drops partitions, and nobody updates.  Numbers
-- of closed lists (outcome, api, ...) are those of proto/vocabulary.h.

-- One request, its attempts inside.
CREATE TABLE audit_requests (
    received_at       timestamptz NOT NULL,
    worker_id         text NOT NULL COLLATE "C",
    boot_id           bigint NOT NULL,
    sequence          bigint NOT NULL,
    generation        text NOT NULL COLLATE "C",
    request_id        text,
    took_us           bigint NOT NULL,
    first_token_us    bigint, -- null: no content came
    api               smallint NOT NULL,
    streamed          boolean NOT NULL,
    key_id            bigint NOT NULL,
    tenant_id         bigint NOT NULL,
    key_name          text NOT NULL,
    tenant_name       text NOT NULL,
    model_asked       text NOT NULL,
    model_served      text,
    endpoint_id       bigint,
    tag               text,
    provider          text,
    region            text,
    credential_kind   smallint NOT NULL,
    epoch             bigint NOT NULL,   -- of the snapshot it was routed by
    revision          bigint NOT NULL,
    demanded          integer NOT NULL,  -- bits 1 << claim
    residency         text,
    evidence          jsonb,             -- what was held for the demanded claims then
    attempts          jsonb NOT NULL,
    prompt_tokens     bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    cached_tokens     bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    reasoning_tokens  bigint NOT NULL,
    usage_source      smallint NOT NULL,
    cost              bigint NOT NULL,   -- 1e-15 USD; sum() of it is exact
    upstream_cost     bigint NOT NULL,
    status            integer NOT NULL,
    outcome           smallint NOT NULL,
    finish_reason     text,
    request_bytes     bigint NOT NULL,
    response_bytes    bigint NOT NULL,
    PRIMARY KEY (received_at, worker_id, boot_id, sequence)
) PARTITION BY RANGE (received_at);
CREATE INDEX audit_requests_generation ON audit_requests (generation);
CREATE INDEX audit_requests_key ON audit_requests (key_id, received_at);
CREATE INDEX audit_requests_tenant ON audit_requests (tenant_id, received_at);

-- Policies with "audit: sync": about to be sent.  A row here without one of
-- its generation in audit_requests is a request that died in between.
CREATE TABLE audit_dispatches (
    received_at timestamptz NOT NULL,
    worker_id   text NOT NULL COLLATE "C",
    boot_id     bigint NOT NULL,
    sequence    bigint NOT NULL,
    generation  text NOT NULL COLLATE "C",
    key_id      bigint NOT NULL,
    tenant_id   bigint NOT NULL,
    key_name    text NOT NULL,
    tenant_name text NOT NULL,
    model_asked text NOT NULL,
    endpoint_id bigint,
    tag         text,
    provider    text,
    region      text,
    epoch       bigint NOT NULL,
    revision    bigint NOT NULL,
    PRIMARY KEY (received_at, worker_id, boot_id, sequence)
) PARTITION BY RANGE (received_at);
CREATE INDEX audit_dispatches_generation ON audit_dispatches (generation);

-- Refused before authentication: only counted, per reason and minute.
CREATE TABLE audit_refusals (
    received_at timestamptz NOT NULL, -- start of the minute
    worker_id   text NOT NULL COLLATE "C",
    boot_id     bigint NOT NULL,
    sequence    bigint NOT NULL,
    reason      text NOT NULL,
    refusals    bigint NOT NULL,
    PRIMARY KEY (received_at, worker_id, boot_id, sequence)
) PARTITION BY RANGE (received_at);

-- Per endpoint and minute, folded by the leader.  Sketches are those of
-- common/sketch.h.
CREATE TABLE telemetry_minutes (
    minute            timestamptz NOT NULL,
    endpoint_id       bigint NOT NULL,
    attempts          bigint NOT NULL,
    successes         bigint NOT NULL,
    faults            bigint NOT NULL,
    rate_limited      bigint NOT NULL,
    prompt_tokens     bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    cost              numeric NOT NULL, -- 1e-15 USD
    first_token       bytea,            -- milliseconds
    throughput        bytea,            -- tokens per second
    PRIMARY KEY (minute, endpoint_id)
) PARTITION BY RANGE (minute);
CREATE INDEX telemetry_minutes_endpoint ON telemetry_minutes (endpoint_id, minute);

-- How far the records of one boot of a worker are stored; advanced in the
-- transaction that stores them, so that a batch sent twice is stored once.
CREATE TABLE ingest_cursor (
    worker_id  text COLLATE "C",
    boot_id    bigint,
    last_seq   bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (worker_id, boot_id)
);

-- Records that could not be stored, as bytes: a record never blocks a spool.
CREATE TABLE quarantine (
    worker_id text COLLATE "C",
    boot_id   bigint,
    sequence  bigint,
    at        timestamptz NOT NULL DEFAULT now(),
    code      text NOT NULL,
    problem   text NOT NULL,
    bytes     bytea NOT NULL,
    PRIMARY KEY (worker_id, boot_id, sequence)
);

-- Makes the partition of one day.  Rows of that day that wait in the default
-- partition move over.  Attaching, unlike CREATE ... PARTITION OF, does not
-- stop those who insert meanwhile.
CREATE FUNCTION make_partition(parent text, day date) RETURNS boolean
LANGUAGE plpgsql
SET timezone = 'UTC'
AS $$
DECLARE
    part   text := parent || '_' || to_char(day, 'YYYYMMDD');
    keycol text := CASE parent WHEN 'telemetry_minutes' THEN 'minute' ELSE 'received_at' END;
    lower  timestamptz := day::timestamptz;
    upper  timestamptz := (day + 1)::timestamptz;
BEGIN
    IF to_regclass(format('switchboard.%I', part)) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('LOCK TABLE switchboard.%I IN ACCESS EXCLUSIVE MODE', parent || '_default');
    IF to_regclass(format('switchboard.%I', part)) IS NOT NULL THEN
        RETURN false; -- somebody else was faster
    END IF;
    EXECUTE format('CREATE TABLE switchboard.%I (LIKE switchboard.%I INCLUDING ALL)', part, parent);
    EXECUTE format('WITH moved AS (DELETE FROM switchboard.%I WHERE %I >= $1 AND %I < $2 RETURNING *) '
                   'INSERT INTO switchboard.%I SELECT * FROM moved',
                   parent || '_default', keycol, keycol, part)
        USING lower, upper;
    EXECUTE format('ALTER TABLE switchboard.%I ATTACH PARTITION switchboard.%I '
                   'FOR VALUES FROM (%L) TO (%L)', parent, part, lower, upper);
    RETURN true;
END
$$;

-- Drops the partitions of days before one; gives how many.
CREATE FUNCTION drop_partitions(parent text, before date) RETURNS integer
LANGUAGE plpgsql
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
    RETURN dropped;
END
$$;
REVOKE ALL ON FUNCTION make_partition(text, date), drop_partitions(text, date) FROM PUBLIC;

CREATE TABLE audit_requests_default PARTITION OF audit_requests DEFAULT;
CREATE TABLE audit_dispatches_default PARTITION OF audit_dispatches DEFAULT;
CREATE TABLE audit_refusals_default PARTITION OF audit_refusals DEFAULT;
CREATE TABLE telemetry_minutes_default PARTITION OF telemetry_minutes DEFAULT;

GRANT SELECT, INSERT ON audit_requests, audit_dispatches, audit_refusals, quarantine
    TO switchboard_service;
GRANT SELECT, INSERT, UPDATE ON telemetry_minutes, ingest_cursor TO switchboard_service;
