-- How far those have read who keep checkpoints of the log elsewhere and cannot
-- be asked themselves (controlplane/witness.h).
CREATE TABLE log_witnesses (
    name text PRIMARY KEY COLLATE "C",
    size bigint NOT NULL CHECK (size >= 0), -- of the newest checkpoint they took
    at   timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, UPDATE ON log_witnesses TO switchboard_collector;
GRANT SELECT ON log_witnesses TO switchboard_service;
-- The notary tells of a log that forked.
GRANT SELECT, INSERT ON events, event_outbox TO switchboard_collector;
