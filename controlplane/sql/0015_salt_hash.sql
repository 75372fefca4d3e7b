-- The salt of a record is no part of its entry, so that it can be destroyed.  Its hash
-- is: a salt that was exchanged is told from one that was destroyed.  NULL in
-- older rows.
ALTER TABLE audit_requests ADD COLUMN salt_hash bytea;
ALTER TABLE audit_dispatches ADD COLUMN salt_hash bytea;
