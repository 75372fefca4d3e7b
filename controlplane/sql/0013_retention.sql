-- What may be forgotten, and what may not: holds, exported days, erasing what
-- leads to a person.  Administrators' actions become entries of the log.

-- Days that a hold has are not dropped, and nothing in them is erased.  A name is
-- used once, so that history stays clear.
CREATE TABLE legal_holds (
    name      text PRIMARY KEY COLLATE "C" CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$'),
    from_day  date NOT NULL,
    to_day    date NOT NULL, -- included
    note      text NOT NULL CHECK (note <> ''),
    set_by    text NOT NULL,
    set_at    timestamptz NOT NULL DEFAULT now(),
    lifted_at timestamptz,
    lifted_by text,
    CHECK (from_day <= to_day),
    CHECK ((lifted_at IS NULL) = (lifted_by IS NULL))
);
GRANT SELECT, INSERT, UPDATE (lifted_at, lifted_by) ON legal_holds TO switchboard_service;
GRANT SELECT ON legal_holds TO switchboard_collector;

-- Files that were written: each continues the one before, so what is below the
-- greatest to_leaf is in some file.
CREATE TABLE log_exports (
    day       date PRIMARY KEY,
    from_leaf bigint NOT NULL CHECK (from_leaf >= 0),
    to_leaf   bigint NOT NULL UNIQUE CHECK (to_leaf > from_leaf), -- not included
    file      text NOT NULL,
    daemon    text NOT NULL,
    at        timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT ON log_exports TO switchboard_collector;
GRANT SELECT ON log_exports TO switchboard_service;

ALTER TABLE admin_actions DROP CONSTRAINT admin_actions_action_check;
ALTER TABLE admin_actions ADD CONSTRAINT admin_actions_action_check CHECK (action IN
    ('token_created', 'token_revoked', 'refused', 'hold_set', 'hold_lifted', 'erasure'));

CREATE TABLE log_actions (
    action_id bigint PRIMARY KEY REFERENCES admin_actions,
    leaf      bigint NOT NULL UNIQUE
);
GRANT SELECT, INSERT ON log_actions TO switchboard_collector;
GRANT SELECT ON log_actions TO switchboard_service;

-- As before, but for days that are held; and, when that is wanted, those that are
-- not exported as a whole.
DROP FUNCTION drop_partitions(text, date);
CREATE FUNCTION drop_partitions(parent text, before date, exported_only boolean DEFAULT false)
RETURNS integer
LANGUAGE plpgsql
SET timezone = 'UTC'
AS $$
DECLARE
    part     text;
    day      date;
    exported bigint;
    missing  boolean;
    dropped  integer := 0;
BEGIN
    -- A hold that is set meanwhile is set before, or has come too late for all.
    LOCK TABLE switchboard.legal_holds IN SHARE MODE;
    SELECT coalesce(max(to_leaf), 0) INTO exported FROM switchboard.log_exports;
    FOR part IN
        SELECT c.relname
          FROM pg_inherits i
          JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = to_regclass(format('switchboard.%I', parent))
           AND c.relname ~ '_[0-9]{8}$'
           AND right(c.relname, 8) < to_char(before, 'YYYYMMDD')
         ORDER BY c.relname
    LOOP
        day := to_date(right(part, 8), 'YYYYMMDD');
        IF parent LIKE 'audit\_%' THEN
            CONTINUE WHEN EXISTS (SELECT FROM switchboard.legal_holds h
                                   WHERE h.lifted_at IS NULL AND day BETWEEN h.from_day AND h.to_day);
            IF exported_only THEN
                EXECUTE format('SELECT EXISTS (SELECT FROM switchboard.%I WHERE leaf >= $1)', part)
                    INTO missing USING exported;
                CONTINUE WHEN missing;
            END IF;
            EXECUTE format('INSERT INTO switchboard.log_drops (history, day, first_leaf, last_leaf, rows)'
                           ' SELECT $1, $2, min(leaf), max(leaf), count(*) FROM switchboard.%I'
                           ' HAVING count(*) > 0', part)
                USING parent, day;
        END IF;
        EXECUTE format('DROP TABLE switchboard.%I', part);
        dropped := dropped + 1;
    END LOOP;
    IF parent = 'audit_dispatches' THEN
        DELETE FROM switchboard.open_dispatches o
         WHERE o.received_at < before
           AND NOT EXISTS (SELECT FROM switchboard.audit_dispatches d
                            WHERE d.received_at = o.received_at AND d.worker_id = o.worker_id
                              AND d.boot_id = o.boot_id AND d.sequence = o.sequence);
    END IF;
    RETURN dropped;
END
$$;
REVOKE ALL ON FUNCTION drop_partitions(text, date, boolean) FROM PUBLIC;

-- What leads to a person is destroyed: the salts of these records, without which
-- their hashes fit nobody, and what is plain.  The entries of the log do not
-- have any of it, so the tree stays as it is.
--
-- The service calls it with the rights of the owner: it finds the records (a
-- database cannot, they are keyed hashes), and has no right of its own to change
-- one.  Nothing else can be changed by it, and never without the entry of the log
-- that says so.  records: an array of objects of received_at, worker_id, boot_id
-- and sequence.  Gives how many there were; one of a day that is held is an error.
CREATE FUNCTION erase_records(who text, of_tenant text, records jsonb) RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    hold    text;
    erased  bigint;
BEGIN
    LOCK TABLE switchboard.legal_holds IN SHARE MODE;
    SELECT h.name INTO hold
      FROM jsonb_to_recordset(records) AS r (received_at timestamptz)
      JOIN switchboard.legal_holds h
        ON h.lifted_at IS NULL AND r.received_at::date BETWEEN h.from_day AND h.to_day
     ORDER BY h.name LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'some of these records are of days under the legal hold ''%''', hold
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    WITH wanted AS (
        SELECT * FROM jsonb_to_recordset(records)
                   AS w (received_at timestamptz, worker_id text, boot_id bigint, sequence bigint)
    ), emptied AS (
        UPDATE switchboard.audit_requests r
           SET salt = NULL, user_plain = NULL, metadata_plain = NULL
          FROM wanted w
         WHERE r.received_at = w.received_at AND r.worker_id = w.worker_id
           AND r.boot_id = w.boot_id AND r.sequence = w.sequence
           AND r.tenant_name = of_tenant
           AND (r.salt IS NOT NULL OR r.user_plain IS NOT NULL OR r.metadata_plain IS NOT NULL)
        RETURNING r.generation, r.received_at
    ), dispatches AS ( -- the same request before it was sent: by the same salt
        UPDATE switchboard.audit_dispatches d
           SET salt = NULL
          FROM emptied e
         WHERE d.generation = e.generation
           AND d.received_at >= e.received_at - interval '1 day'
           AND d.received_at <= e.received_at + interval '1 day'
    )
    SELECT count(*) INTO erased FROM emptied;
    IF erased > 0 THEN
        INSERT INTO switchboard.log_erasures (author, rows) VALUES (who, erased);
    END IF;
    RETURN erased;
END
$$;
REVOKE ALL ON FUNCTION erase_records(text, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION erase_records(text, text, jsonb) TO switchboard_service;
