-- What the prober did, and what it cost.

-- One probe.  It is written before it is sent, with the most that it can cost;
-- what it did cost replaces that when it has ended.  A row without an outcome
-- is under way, or its daemon died: then its cost stays the worst.
CREATE TABLE probes (
    started_at        timestamptz NOT NULL,
    term              bigint NOT NULL, -- of the leader that sent it
    sequence          bigint NOT NULL, -- in that term
    kind              text NOT NULL CHECK (kind IN ('completion', 'models')),
    reason            text NOT NULL CHECK (reason IN ('stale', 'outage', 'scheduled')),
    provider          text NOT NULL COLLATE "C",
    endpoint_id       bigint, -- null: of the whole provider
    endpoint          text COLLATE "C",
    outcome           smallint,
    status            integer,
    connect_us        bigint, -- null: a connection was not made
    first_token_us    bigint, -- from when the request could be sent; null: none came
    took_us           bigint,
    throughput        bigint, -- after the first, 1/1000 token per second; null: too little came
    prompt_tokens     bigint,
    completion_tokens bigint,
    usage_source      smallint,
    reserved          bigint NOT NULL CHECK (reserved >= 0), -- 1e-15 USD
    cost              bigint NOT NULL CHECK (cost >= 0),
    PRIMARY KEY (started_at, term, sequence)
) PARTITION BY RANGE (started_at);
CREATE INDEX probes_endpoint ON probes (endpoint, started_at);
CREATE INDEX probes_provider ON probes (provider, started_at);
CREATE TABLE probes_default PARTITION OF probes DEFAULT;

-- The sum of probes.cost by day (UTC), kept beside it in the same transactions:
-- who takes the lead goes on with what is left of the day.
CREATE TABLE probe_days (
    day  date PRIMARY KEY,
    cost numeric NOT NULL DEFAULT 0 CHECK (cost >= 0)
);

-- As before, for any table that is partitioned by one column.
CREATE OR REPLACE FUNCTION make_partition(parent text, day date) RETURNS boolean
LANGUAGE plpgsql
SET timezone = 'UTC'
AS $$
DECLARE
    part   text := parent || '_' || to_char(day, 'YYYYMMDD');
    keycol text;
    lower  timestamptz := day::timestamptz;
    upper  timestamptz := (day + 1)::timestamptz;
BEGIN
    IF to_regclass(format('switchboard.%I', part)) IS NOT NULL THEN
        RETURN false;
    END IF;
    SELECT a.attname INTO STRICT keycol
      FROM pg_partitioned_table p
      JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
     WHERE p.partrelid = to_regclass(format('switchboard.%I', parent));
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
REVOKE ALL ON FUNCTION make_partition(text, date) FROM PUBLIC;

GRANT SELECT, INSERT, UPDATE ON probes, probe_days TO switchboard_service;

-- A price that a provider lists and the catalogue does not have: those that
-- were not applied.  Applied ones are revisions.
CREATE TABLE price_sightings (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       timestamptz NOT NULL DEFAULT now(),
    endpoint text NOT NULL COLLATE "C",
    verdict  text NOT NULL CHECK (verdict IN ('reported', 'held')), -- held: it rose too much
    revision bigint NOT NULL, -- it was compared with
    term     bigint NOT NULL,
    have     jsonb NOT NULL,  -- what differs, in the form of the catalogue
    seen     jsonb NOT NULL
);
CREATE INDEX price_sightings_endpoint ON price_sightings (endpoint, at);

-- Every price that an endpoint had, or was said to have.
CREATE VIEW price_history AS
SELECT r.at, c.name AS endpoint, r.revision, r.author, 'applied' AS verdict,
       c.before -> 'pricing' AS before, c.after -> 'pricing' AS after
  FROM audit_changes c
  JOIN revisions r USING (revision)
 WHERE c.kind = 'endpoints' AND c.before -> 'pricing' IS DISTINCT FROM c.after -> 'pricing'
UNION ALL
SELECT s.at, s.endpoint, s.revision, 'prober', s.verdict, s.have, s.seen
  FROM price_sightings s;

GRANT SELECT, INSERT ON price_sightings TO switchboard_service;
GRANT SELECT ON price_history TO switchboard_service;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA switchboard TO switchboard_service;
