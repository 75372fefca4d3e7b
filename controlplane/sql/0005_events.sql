-- What happened that an operator should know of: an outage, evidence that ends,
-- a price, an address.  Append only for the service role.

CREATE TABLE events (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at           timestamptz NOT NULL DEFAULT now(),
    kind         text NOT NULL COLLATE "C",     -- "outage_began"
    severity     smallint NOT NULL CHECK (severity BETWEEN 0 AND 2), -- info, warning, critical
    subject_kind text NOT NULL COLLATE "C",     -- "endpoints": the section of the catalogue
    subject      text NOT NULL COLLATE "C",     -- its name there, then
    text         text NOT NULL,
    detail       jsonb CHECK (jsonb_typeof(detail) = 'object'),
    revision     bigint,                        -- of the configuration; null: it is not about one
    term         bigint,                        -- of the leader that saw it; null: no leader did
    once         text COLLATE "C" UNIQUE        -- of those with the same text only the first is kept
);
CREATE INDEX events_at ON events (at);
CREATE INDEX events_subject ON events (subject_kind, subject, id);

-- Events that are still to be told: written with the event, in its transaction,
-- and removed once it was logged and every receiver has it.
CREATE TABLE event_outbox (
    event_id  bigint PRIMARY KEY REFERENCES events,
    is_logged boolean NOT NULL DEFAULT false,
    tries     integer NOT NULL DEFAULT 0,
    due       timestamptz NOT NULL DEFAULT now()
);

GRANT SELECT, INSERT ON events TO switchboard_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON event_outbox TO switchboard_service;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA switchboard TO switchboard_service;
