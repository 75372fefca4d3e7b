-- Brings what revision $1 changed into the table.  $2: a file makes the new
-- ones; null on a rollback: as it was when they were made.
INSERT INTO providers AS p (slug, name, dialect, base_url, headquarters, auth_header, headers, query,
    proxy, ca_file, max_connections, max_in_flight, price_updates, privacy_policy_url,
    terms_of_service_url, status_page_url, no_training, zdr, from_file, revision)
SELECT c.name, x.name, x.dialect, x.base_url, x.headquarters, x.auth ->> 'header', x.headers, x.query,
       x.proxy, x.ca_file, x.max_connections, x.max_in_flight, x.price_updates, x.privacy_policy_url,
       x.terms_of_service_url, x.status_page_url,
       jsonb_populate_record(NULL::claim, x.data_policy -> 'no_training'),
       jsonb_populate_record(NULL::claim, x.data_policy -> 'zdr'),
       coalesce($2::boolean, was_from_file(c.kind, c.name)), $1::bigint
  FROM audit_changes c
 CROSS JOIN LATERAL jsonb_to_record(c.after) AS x(name text, dialect text, base_url text,
    headquarters text, auth jsonb, headers jsonb, query jsonb, proxy text, ca_file text,
    max_connections integer, max_in_flight integer, price_updates text, privacy_policy_url text,
    terms_of_service_url text, status_page_url text, data_policy jsonb)
 WHERE c.revision = $1::bigint AND c.kind = 'providers' AND c.after IS NOT NULL
ON CONFLICT (slug) DO UPDATE SET
    (name, dialect, base_url, headquarters, auth_header, headers, query, proxy, ca_file,
     max_connections, max_in_flight, price_updates, privacy_policy_url, terms_of_service_url,
     status_page_url, no_training, zdr, revision) =
    (EXCLUDED.name, EXCLUDED.dialect, EXCLUDED.base_url, EXCLUDED.headquarters, EXCLUDED.auth_header,
     EXCLUDED.headers, EXCLUDED.query, EXCLUDED.proxy, EXCLUDED.ca_file, EXCLUDED.max_connections,
     EXCLUDED.max_in_flight, EXCLUDED.price_updates, EXCLUDED.privacy_policy_url,
     EXCLUDED.terms_of_service_url, EXCLUDED.status_page_url, EXCLUDED.no_training, EXCLUDED.zdr,
     EXCLUDED.revision)
