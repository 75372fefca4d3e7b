-- Runs at every start, before the numbered files: what they stand on.
-- Everything here may be there already.

-- Roles belong to the whole cluster: another database of it may have made
-- these, in the same moment even.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'switchboard_service') THEN
        CREATE ROLE switchboard_service NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END
$$;

DO $$
DECLARE
    login name;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'switchboard_collector') THEN
        CREATE ROLE switchboard_collector NOLOGIN;
        -- Once: who serves today also collects, until an operator gives the
        -- collector a login of its own and takes this away.
        FOR login IN
            SELECT u.rolname
              FROM pg_auth_members m
              JOIN pg_roles g ON g.oid = m.roleid
              JOIN pg_roles u ON u.oid = m.member
             WHERE g.rolname = 'switchboard_service' AND u.rolcanlogin AND u.rolname <> current_user
        LOOP
            EXECUTE format('GRANT switchboard_collector TO %I', login);
        END LOOP;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END
$$;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'switchboard_auditor') THEN
        CREATE ROLE switchboard_auditor NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END
$$;

DO $$
DECLARE
    one name;
BEGIN
    -- So that a daemon that logs in as the owner can serve as these roles.
    -- From PostgreSQL 16 on, who made a role is a member that may not yet SET it.
    FOREACH one IN ARRAY ARRAY['switchboard_service', 'switchboard_collector'] LOOP
        IF NOT pg_has_role(current_user, one,
                           CASE WHEN current_setting('server_version_num')::integer >= 160000
                                THEN 'SET' ELSE 'MEMBER' END) THEN
            EXECUTE format('GRANT %I TO %I', one, current_user);
        END IF;
    END LOOP;
END
$$;

CREATE SCHEMA IF NOT EXISTS switchboard;

CREATE TABLE IF NOT EXISTS switchboard.migrations (
    number     integer PRIMARY KEY,
    name       text NOT NULL,
    hash       bytea NOT NULL, -- of the file, so that a changed one is noticed
    applied_at timestamptz NOT NULL DEFAULT now()
);

GRANT USAGE ON SCHEMA switchboard TO switchboard_service, switchboard_collector, switchboard_auditor;
GRANT SELECT ON switchboard.migrations TO switchboard_service, switchboard_collector, switchboard_auditor;
