-- What was demanded and what became of it, by day: compliance reports are made of
-- this, since a month of requests takes too long to read.  Written in the
-- transaction that stores the requests (controlplane/tallies.h).

CREATE TABLE compliance_days (
    day        date NOT NULL,             -- UTC, of received_at
    key        bytea NOT NULL CHECK (octet_length(key) = 32), -- SHA-256 of the texts
    claim      text NOT NULL COLLATE "C", -- residency, zdr, no_training, distillable
    demanded   text NOT NULL COLLATE "C", -- of a residency: "eu", "DE,FR"; else ""
    endpoint   text NOT NULL COLLATE "C", -- model@tag that served; "": none did
    provider   text NOT NULL COLLATE "C",
    region     text NOT NULL COLLATE "C",
    evidence   text NOT NULL,             -- that was held; "": none was
    expires_on date,                      -- of the evidence; null: never
    verdict    text NOT NULL CHECK (verdict IN ('served', 'refused', 'failed', 'violation')),
    why        text NOT NULL,             -- of a violation
    requests   bigint NOT NULL,
    tokens     numeric NOT NULL,          -- prompt and completion
    cost       numeric NOT NULL,          -- 1e-15 USD
    PRIMARY KEY (day, key)
);

-- Requests that were served outside of what they demanded, or on evidence that
-- had expired: there should be none.  A row for each claim.
CREATE TABLE compliance_violations (
    received_at timestamptz NOT NULL,
    worker_id   text NOT NULL COLLATE "C",
    boot_id     bigint NOT NULL,
    sequence    bigint NOT NULL,
    generation  text NOT NULL COLLATE "C",
    claim       text NOT NULL COLLATE "C",
    why         text NOT NULL,
    demanded    text NOT NULL,
    key_name    text NOT NULL,
    endpoint    text NOT NULL,
    provider    text NOT NULL,
    region      text NOT NULL,
    evidence    text NOT NULL,
    expires_on  date,
    found_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (received_at, worker_id, boot_id, sequence, claim)
);

-- "Every request on a key" is asked by the name that the key had then.
DROP INDEX audit_requests_key;
CREATE INDEX audit_requests_key ON audit_requests (key_name, received_at);

-- Where an endpoint was said to be as of a revision; null when it was not there.
CREATE FUNCTION region_then(of_endpoint text, as_of bigint) RETURNS text
LANGUAGE sql STABLE
RETURN (SELECT c.after ->> 'region'
          FROM audit_changes c
         WHERE c.kind = 'endpoints' AND c.name = of_endpoint AND c.revision <= as_of
         ORDER BY c.revision DESC
         LIMIT 1);

-- Whether a request was served outside of an area (regions in capitals), or sent
-- there by an attempt that came to nothing, but not by one that could not
-- connect (outcomes 2 to 5).  What has no known place was outside.
CREATE FUNCTION left_area(area text[], region text, endpoint text, attempts jsonb, as_of bigint)
RETURNS boolean
LANGUAGE sql STABLE
RETURN (endpoint IS NOT NULL AND NOT coalesce(upper(region) = ANY (area), false))
    OR (jsonb_array_length(attempts) > CASE WHEN endpoint IS NULL THEN 0 ELSE 1 END
        AND EXISTS (SELECT
                      FROM jsonb_to_recordset(attempts) AS t (tag text, model text, outcome integer)
                     WHERE t.outcome NOT BETWEEN 2 AND 5
                       AND t.model || '@' || t.tag IS DISTINCT FROM endpoint
                       AND NOT coalesce(upper(region_then(t.model || '@' || t.tag, as_of))
                                        = ANY (area), false)));

-- Evidence that was taken back: a revision after which what it was given for is
-- not said any more, though the object is still there.
CREATE VIEW withdrawn_evidence AS
SELECT c.revision, r.at, r.author, c.kind, c.name, x.claim,
       x.was ->> 'value' AS value, x.was ->> 'evidence' AS evidence
  FROM audit_changes c
  JOIN revisions r ON r.revision = c.revision
 CROSS JOIN LATERAL (VALUES
       ('endpoints', 'eu_resident', c.before -> 'eu_resident', c.after -> 'eu_resident'),
       ('endpoints', 'zdr', c.before -> 'zdr', c.after -> 'zdr'),
       ('endpoints', 'no_training', c.before -> 'no_training', c.after -> 'no_training'),
       ('providers', 'zdr', c.before #> '{data_policy,zdr}', c.after #> '{data_policy,zdr}'),
       ('providers', 'no_training', c.before #> '{data_policy,no_training}',
        c.after #> '{data_policy,no_training}'),
       ('models', 'distillable', c.before -> 'distillable', c.after -> 'distillable')
       ) AS x (kind, claim, was, became)
 WHERE x.kind = c.kind AND c.after IS NOT NULL
   AND x.was ->> 'value' IN ('yes', 'no')
   AND x.became ->> 'value' IS DISTINCT FROM x.was ->> 'value';

-- Written with the records, by whoever writes them.
GRANT SELECT, INSERT, UPDATE ON compliance_days TO switchboard_collector;
GRANT SELECT, INSERT ON compliance_violations, events, event_outbox TO switchboard_collector;
GRANT USAGE, SELECT ON SEQUENCE events_id_seq TO switchboard_collector;
GRANT SELECT ON compliance_days, compliance_violations, withdrawn_evidence
    TO switchboard_service, switchboard_auditor;
