-- Runs at every start, before the numbered files: what they stand on.
-- Everything here may be there already.

DO $$
BEGIN
    -- Roles belong to the whole cluster: another database of it may have made
    -- this one, in the same moment even.
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'switchboard_service') THEN
        CREATE ROLE switchboard_service NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END
$$;

DO $$
BEGIN
    -- So that a daemon that logs in as the owner can serve as the service role.
    -- From PostgreSQL 16 on, who made a role is a member that may not yet SET it.
    IF NOT pg_has_role(current_user, 'switchboard_service',
                       CASE WHEN current_setting('server_version_num')::integer >= 160000
                            THEN 'SET' ELSE 'MEMBER' END) THEN
        EXECUTE format('GRANT switchboard_service TO %I', current_user);
    END IF;
END
$$;

CREATE SCHEMA IF NOT EXISTS switchboard;

CREATE TABLE IF NOT EXISTS switchboard.migrations (
    number     integer PRIMARY KEY,
    name       text NOT NULL,
    hash       bytea NOT NULL, -- of the file, so that a changed one is noticed
    applied_at timestamptz NOT NULL DEFAULT now()
);

GRANT USAGE ON SCHEMA switchboard TO switchboard_service;
GRANT SELECT ON switchboard.migrations TO switchboard_service;
