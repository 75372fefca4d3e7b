-- Endpoints that answer embeddings are probed too: probes have a third kind.

ALTER TABLE probes DROP CONSTRAINT probes_kind_check;

-- Partitions that make_partition() made have the constraint as their own.
DO $$
DECLARE
    part regclass;
BEGIN
    FOR part IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'switchboard.probes'::regclass LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS probes_kind_check', part);
    END LOOP;
END
$$;

ALTER TABLE probes
    ADD CONSTRAINT probes_kind_check CHECK (kind IN ('completion', 'models', 'embedding'));
