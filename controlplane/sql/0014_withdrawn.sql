-- Evidence that was taken back, and all that was given for the same claim of the
-- object before: who replaces it first, and then takes the claim back, has taken
-- back what older requests relied on as well.
CREATE OR REPLACE VIEW withdrawn_evidence AS
WITH said AS (
SELECT c.revision, c.kind, c.name, c.after IS NOT NULL AS is_there, x.claim,
       x.was ->> 'value' AS value, x.was ->> 'evidence' AS evidence, x.became ->> 'value' AS became
  FROM audit_changes c
 CROSS JOIN LATERAL (VALUES
       ('endpoints', 'eu_resident', c.before -> 'eu_resident', c.after -> 'eu_resident'),
       ('endpoints', 'zdr', c.before -> 'zdr', c.after -> 'zdr'),
       ('endpoints', 'no_training', c.before -> 'no_training', c.after -> 'no_training'),
       ('providers', 'zdr', c.before #> '{data_policy,zdr}', c.after #> '{data_policy,zdr}'),
       ('providers', 'no_training', c.before #> '{data_policy,no_training}',
        c.after #> '{data_policy,no_training}'),
       ('models', 'distillable', c.before -> 'distillable', c.after -> 'distillable')
       ) AS x (kind, claim, was, became)
 WHERE x.kind = c.kind AND x.was ->> 'value' IN ('yes', 'no'))
SELECT DISTINCT w.revision, r.at, r.author, w.kind, w.name, w.claim, w.value, s.evidence
  FROM said w
  JOIN revisions r ON r.revision = w.revision
  JOIN said s ON (s.kind, s.name, s.claim, s.value) = (w.kind, w.name, w.claim, w.value)
             AND s.revision <= w.revision
 WHERE w.is_there AND w.became IS DISTINCT FROM w.value;
