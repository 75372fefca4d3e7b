-- Who may do what: the roles of the database, the tokens of the admin API, and
-- what was done with them.

-- Records are written by the collector alone, and read by the others.
REVOKE INSERT ON audit_requests, audit_dispatches, audit_refusals, quarantine FROM switchboard_service;
REVOKE INSERT, UPDATE ON ingest_cursor FROM switchboard_service;
REVOKE INSERT, DELETE ON open_dispatches FROM switchboard_service;

GRANT SELECT, INSERT ON audit_requests, audit_dispatches, audit_refusals, quarantine
    TO switchboard_collector;
GRANT SELECT, INSERT, UPDATE ON ingest_cursor TO switchboard_collector;
GRANT SELECT, INSERT, DELETE ON open_dispatches TO switchboard_collector;
-- FOR SHARE, which checks the term, wants UPDATE of some column; this one can
-- only stay as it is.
GRANT SELECT, UPDATE (one) ON leadership TO switchboard_collector;
-- What of the configuration's history goes into the records.
GRANT SELECT ON revisions, audit_changes TO switchboard_collector;

-- A token of the admin API.  Its secret is in no table: only its hash, keyed as
-- that of an API key.  A name is used once, so that history stays clear; "admin"
-- is the token of the file, "prober" the daemon itself.
CREATE TABLE admin_tokens (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text NOT NULL COLLATE "C" UNIQUE
                 CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$' AND name NOT IN ('admin', 'prober')),
    hash         bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    role         text NOT NULL COLLATE "C" CHECK (role IN ('viewer', 'auditor', 'operator', 'admin')),
    kinds        text[] CHECK (cardinality(kinds) > 0),   -- null: every kind of object
    tenants      text[] CHECK (cardinality(tenants) > 0), -- null: those of every tenant, and of none
    created_at   timestamptz NOT NULL DEFAULT now(),
    created_by   text NOT NULL,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    revoked_by   text,
    last_used_at timestamptz, -- coarse
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL)),
    CHECK ((kinds IS NULL AND tenants IS NULL) OR role IN ('viewer', 'operator'))
);

-- What was done, or attempted, by administrators and is no revision: nothing of
-- the configuration changed by it.  Append only.
CREATE TABLE admin_actions (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now(),
    action  text NOT NULL COLLATE "C" CHECK (action IN ('token_created', 'token_revoked', 'refused')),
    author  text NOT NULL COLLATE "C", -- name of the token
    role    text NOT NULL COLLATE "C",
    address inet,                      -- of the peer
    subject text NOT NULL COLLATE "C", -- the token; or what was asked, "PUT /admin/v1/keys/a"
    detail  jsonb NOT NULL CHECK (jsonb_typeof(detail) = 'object')
);
CREATE INDEX admin_actions_at ON admin_actions (at);
CREATE INDEX admin_actions_author ON admin_actions (author, at);

-- By whom as whom, and from where; null in rows that are older, and of the prober.
ALTER TABLE revisions
    ADD COLUMN role    text COLLATE "C",
    ADD COLUMN address inet;

CREATE OR REPLACE VIEW revision_objects AS
SELECT r.revision, r.epoch, r.at, r.author, r.action, r.note, r.forced, n.added, n.changed, n.removed,
       r.role, r.address
  FROM revisions r
 CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE c.before IS NULL) AS added,
           count(*) FILTER (WHERE c.before IS NOT NULL AND c.after IS NOT NULL) AS changed,
           count(*) FILTER (WHERE c.after IS NULL) AS removed
      FROM audit_changes c
     WHERE c.revision = r.revision) n;

GRANT SELECT, INSERT, UPDATE (revoked_at, revoked_by, last_used_at) ON admin_tokens TO switchboard_service;
GRANT SELECT, INSERT ON admin_actions TO switchboard_service;
GRANT SELECT ON admin_actions TO switchboard_collector;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA switchboard TO switchboard_service;

-- Auditors read everything, what comes later as well, but no secrets, sealed or
-- hashed.  Who adds a column of that sort takes it away here.
GRANT SELECT ON ALL TABLES IN SCHEMA switchboard TO switchboard_auditor;
ALTER DEFAULT PRIVILEGES IN SCHEMA switchboard GRANT SELECT ON TABLES TO switchboard_auditor;
REVOKE SELECT ON cluster_keys, keys, revoked_keys, credentials, compiled_snapshots, admin_tokens
    FROM switchboard_auditor;
GRANT SELECT (name, made_at) ON cluster_keys TO switchboard_auditor;
GRANT SELECT (id, name, label, tenant_id, policy_id, expires_at, disabled, created_at, from_file, revision)
    ON keys TO switchboard_auditor;
GRANT SELECT (id, name, label, tenant, revoked_at, revision) ON revoked_keys TO switchboard_auditor;
GRANT SELECT (id, name, provider_id, tenant_id, sequence, spill, origin, suspended, entered_at,
              from_file, revision)
    ON credentials TO switchboard_auditor;
GRANT SELECT (epoch, revision, format, hash, compiled_at) ON compiled_snapshots TO switchboard_auditor;
GRANT SELECT (id, name, role, kinds, tenants, created_at, created_by, expires_at, revoked_at, revoked_by,
              last_used_at)
    ON admin_tokens TO switchboard_auditor;
