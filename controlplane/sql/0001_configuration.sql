-- The configuration: what the catalogue says now, and how it became so.
--
-- Texts that name something compare byte by byte (COLLATE "C"): the snapshot
-- is sorted so, and pages of a list are cut so.

-- One row.  Every change of the configuration begins by taking the next
-- revision from it, so changes are one after the other and revisions are in
-- commit order.
CREATE TABLE config_head (
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    epoch      bigint NOT NULL CHECK (epoch > 0),
    revision   bigint NOT NULL CHECK (revision >= 0),
    changed_at timestamptz NOT NULL DEFAULT now()
);

-- One row, apart from the head so that the leader's own transactions, which
-- hold it FOR SHARE to be sure of their term, never wait for a change.
CREATE TABLE leadership (
    one               boolean PRIMARY KEY DEFAULT true CHECK (one),
    term              bigint NOT NULL DEFAULT 0 CHECK (term >= 0),
    leader            text,        -- name of the daemon that took the term
    taken_at          timestamptz,
    system_identifier bigint,      -- of the cluster and the history in which
    timeline          integer      -- the epoch was made
);

-- Who changed the configuration, when and why.
CREATE TABLE revisions (
    revision bigint PRIMARY KEY CHECK (revision > 0),
    epoch    bigint NOT NULL,
    at       timestamptz NOT NULL DEFAULT now(),
    author   text NOT NULL CHECK (author <> ''),
    action   text NOT NULL CHECK (action IN ('apply', 'put', 'patch', 'delete', 'rollback')),
    note     text,
    forced   boolean NOT NULL DEFAULT false
);

-- Each object that a revision changed, before and after.  Read backwards it
-- is every earlier state, so a revision costs what it changes, not a copy of
-- the catalogue.  Secrets are never in it, only that one changed.
CREATE TABLE audit_changes (
    revision       bigint NOT NULL REFERENCES revisions,
    kind           text NOT NULL COLLATE "C",
    name           text NOT NULL COLLATE "C",
    before         jsonb, -- null: it was not there
    after          jsonb, -- null: it is gone
    secret_changed boolean NOT NULL DEFAULT false,
    PRIMARY KEY (revision, kind, name),
    CHECK (before IS NOT NULL OR after IS NOT NULL)
);
CREATE INDEX audit_changes_object ON audit_changes (kind, name, revision);

-- What is believed about an endpoint, a provider or a model, and why.
CREATE TYPE claim_fields AS (
    value       text,
    evidence    text,
    attested_by text,
    attested_on date,
    expires_on  date
);
CREATE DOMAIN claim AS claim_fields CHECK (
    VALUE IS NULL
    OR ((VALUE).value IN ('yes', 'no', 'unknown')
        AND ((VALUE).value <> 'yes' OR coalesce((VALUE).evidence, '') <> ''))
);

CREATE TABLE providers (
    id                   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slug                 text NOT NULL COLLATE "C" UNIQUE CHECK (slug ~ '^[a-z0-9][a-z0-9._-]{0,127}$'),
    name                 text NOT NULL,
    dialect              text NOT NULL,
    base_url             text NOT NULL CHECK (base_url ~ '^https?://[^/]' AND base_url !~ '/$'),
    -- what a sealed credential is bound to
    origin               text NOT NULL GENERATED ALWAYS AS (substring(base_url FROM '^[a-z]+://[^/?#]+')) STORED,
    headquarters         text CHECK (headquarters ~ '^[A-Z]{2}$'),
    auth_header          text,  -- null: authorization, as Bearer
    headers              jsonb CHECK (jsonb_typeof(headers) = 'object'),
    query                jsonb CHECK (jsonb_typeof(query) = 'object'),
    proxy                text,
    ca_file              text,
    max_connections      integer CHECK (max_connections > 0),
    max_in_flight        integer CHECK (max_in_flight > 0),
    price_updates        text CHECK (price_updates IN ('apply', 'report')),
    privacy_policy_url   text,
    terms_of_service_url text,
    status_page_url      text,
    no_training          claim,
    zdr                  claim,
    from_file            boolean NOT NULL, -- a catalogue file made it
    revision             bigint NOT NULL   -- that changed it last
);

CREATE TABLE models (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model             text NOT NULL COLLATE "C" UNIQUE CHECK (model ~ '^[^/@]+/[^/@]+$'),
    name              text NOT NULL,
    description       text,
    created           date,
    context_length    integer NOT NULL CHECK (context_length > 0),
    input_modalities  text[] NOT NULL CHECK (cardinality(input_modalities) > 0),
    output_modalities text[] NOT NULL CHECK (cardinality(output_modalities) > 0),
    image_tokens      integer CHECK (image_tokens > 0),
    distillable       claim,
    from_file         boolean NOT NULL,
    revision          bigint NOT NULL
);

CREATE TABLE model_aliases (
    alias    text COLLATE "C" PRIMARY KEY,
    model_id bigint NOT NULL REFERENCES models ON DELETE CASCADE,
    position integer NOT NULL,
    UNIQUE (model_id, position)
);

CREATE TABLE tenants (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name      text NOT NULL COLLATE "C" UNIQUE,
    from_file boolean NOT NULL,
    revision  bigint NOT NULL
);

CREATE TABLE policies (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name      text NOT NULL COLLATE "C" UNIQUE,
    rules     jsonb NOT NULL CHECK (jsonb_typeof(rules) = 'object'),
    from_file boolean NOT NULL,
    revision  bigint NOT NULL
);

-- An id names one endpoint for ever: measurements and records refer to it.
CREATE TABLE endpoints (
    id                      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name                    text NOT NULL COLLATE "C" UNIQUE, -- model@tag
    model_id                bigint NOT NULL REFERENCES models,
    provider_id             bigint NOT NULL REFERENCES providers,
    tag                     text NOT NULL COLLATE "C",
    upstream_model          text NOT NULL,
    region                  text CHECK (region ~ '^([A-Z]{2}|eu|us|global)$'),
    quantization            text,
    context_length          integer CHECK (context_length > 0), -- null: the model's
    max_completion_tokens   integer CHECK (max_completion_tokens > 0),
    max_prompt_tokens       integer CHECK (max_prompt_tokens > 0),
    input_modalities        text[], -- null: the model's
    output_modalities       text[],
    supported_parameters    text[],
    -- whole numbers of 1e-15 USD per token, request or piece; null: not offered
    price_prompt            bigint CHECK (price_prompt >= 0),
    price_completion        bigint CHECK (price_completion >= 0),
    price_request           bigint CHECK (price_request >= 0),
    price_image             bigint CHECK (price_image >= 0),
    price_image_output      bigint CHECK (price_image_output >= 0),
    price_audio             bigint CHECK (price_audio >= 0),
    price_audio_output      bigint CHECK (price_audio_output >= 0),
    price_cache_read        bigint CHECK (price_cache_read >= 0),
    price_cache_write       bigint CHECK (price_cache_write >= 0),
    price_reasoning         bigint CHECK (price_reasoning >= 0),
    price_web_search        bigint CHECK (price_web_search >= 0),
    eu_resident             claim,
    zdr                     claim, -- null: the provider's
    no_training             claim, -- null: the provider's
    from_file               boolean NOT NULL,
    revision                bigint NOT NULL,
    UNIQUE (model_id, tag)
);
CREATE INDEX endpoints_provider ON endpoints (provider_id);

CREATE TABLE keys (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL COLLATE "C" UNIQUE,
    hash       bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32), -- keyed; never the key
    label      text NOT NULL, -- what may be shown
    tenant_id  bigint NOT NULL REFERENCES tenants,
    policy_id  bigint REFERENCES policies,
    expires_at timestamptz,
    disabled   boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    from_file  boolean NOT NULL,
    revision   bigint NOT NULL
);
CREATE INDEX keys_tenant ON keys (tenant_id);
CREATE INDEX keys_policy ON keys (policy_id);

-- A revoked key is never a key again, by rollback neither.
CREATE TABLE revoked_keys (
    id         bigint PRIMARY KEY, -- it had in keys
    name       text NOT NULL COLLATE "C",
    hash       bytea NOT NULL UNIQUE,
    label      text NOT NULL,
    tenant     text NOT NULL,
    revoked_at timestamptz NOT NULL DEFAULT now(),
    revision   bigint NOT NULL
);

CREATE TABLE credentials (
    id          bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, -- taken before it is sealed
    name        text NOT NULL COLLATE "C" UNIQUE,
    provider_id bigint NOT NULL REFERENCES providers ON DELETE CASCADE,
    tenant_id   bigint REFERENCES tenants, -- null: the house
    sequence    integer NOT NULL DEFAULT 0 CHECK (sequence >= 0),
    spill       boolean NOT NULL DEFAULT true,
    sealed      bytea NOT NULL,
    origin      text NOT NULL, -- it was sealed for
    suspended   boolean NOT NULL DEFAULT false, -- the origin changed since
    entered_at  timestamptz NOT NULL DEFAULT now(),
    from_file   boolean NOT NULL,
    revision    bigint NOT NULL,
    -- at the end of a change, so that two can swap their places in one
    UNIQUE NULLS NOT DISTINCT (provider_id, tenant_id, sequence) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX credentials_tenant ON credentials (tenant_id);

-- Random keys that all workers share; made once, never changed.
CREATE TABLE cluster_keys (
    name    text PRIMARY KEY CHECK (name IN ('sticky', 'user')),
    key     bytea NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);

-- The bytes that were published for a version, so that every daemon serves
-- the same.  They hardly compress, and time counts.
CREATE TABLE compiled_snapshots (
    epoch       bigint NOT NULL,
    revision    bigint NOT NULL,
    format      smallint NOT NULL,
    hash        bytea NOT NULL CHECK (octet_length(hash) = 32),
    bytes       bytea NOT NULL,
    compiled_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (epoch, revision, format)
);
ALTER TABLE compiled_snapshots ALTER COLUMN bytes SET STORAGE EXTERNAL;

GRANT SELECT, UPDATE ON config_head, leadership TO switchboard_service;
GRANT SELECT, INSERT ON revisions, audit_changes, revoked_keys TO switchboard_service;
GRANT SELECT, INSERT, UPDATE, DELETE
    ON providers, models, model_aliases, tenants, policies, endpoints, keys, credentials
    TO switchboard_service;
GRANT SELECT ON cluster_keys TO switchboard_service;
GRANT SELECT, INSERT, DELETE ON compiled_snapshots TO switchboard_service;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA switchboard TO switchboard_service;
