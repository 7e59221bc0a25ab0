-- The first schema. Wanted and observed state of everything certmill keeps; what is due, when, how often it failed and
-- why are columns here, never facts of a queue.
--
-- Three roles: the owner (migrates), certmill_api (answers people and programs, one tenant at a time) and
-- certmill_engine (makes wanted state so). They are made here, without login: the owner's connections switch to them.

DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['certmill_api', 'certmill_engine'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL; -- roles belong to the whole cluster; another database of it has them already
        END;
        EXECUTE format('GRANT %I TO CURRENT_USER', wanted);
        EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', wanted);
    END LOOP;
END
$$;

-- The tenant that the current transaction works for; empty outside of one.
CREATE FUNCTION current_tenant() RETURNS uuid LANGUAGE sql STABLE
    RETURN NULLIF(current_setting('certmill.tenant_id', true), '')::uuid;

-- Whether the current transaction works for the platform's own people.
CREATE FUNCTION is_platform() RETURNS boolean LANGUAGE sql STABLE
    RETURN COALESCE(current_setting('certmill.scope', true), '') = 'platform';

CREATE TABLE tenants (
    tenant_id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE,
    template text NOT NULL,
    upstream text NOT NULL,
    created_at timestamptz NOT NULL
);
COMMENT ON COLUMN tenants.template IS 'the nginx template of domains that name none';
COMMENT ON COLUMN tenants.upstream IS 'host:port behind the load balancers; set by operators only';

CREATE TABLE api_tokens (
    token_id uuid PRIMARY KEY,
    tenant_id uuid REFERENCES tenants,
    name text NOT NULL,
    hash bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);
COMMENT ON TABLE api_tokens IS 'tenant_id NULL: a token of the platform; hash: SHA-256 of the token''s text';

CREATE TABLE login_links (
    hash bytea PRIMARY KEY,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);

CREATE TABLE sessions (
    hash bytea PRIMARY KEY,
    created_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE TABLE accounts (
    account_id uuid PRIMARY KEY,
    directory_url text NOT NULL UNIQUE,
    sealed_key bytea NOT NULL,
    sealed_credentials bytea,
    url text,
    created_at timestamptz NOT NULL,
    registered_at timestamptz
);
COMMENT ON TABLE accounts IS 'the key is stored before the CA hears of it, so that a crash never loses an account';

CREATE TABLE domains (
    domain_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants,
    name text COLLATE "C" NOT NULL,
    external_id text,
    template text,
    revision bigint NOT NULL DEFAULT 1,
    status text NOT NULL,
    status_since timestamptz NOT NULL,
    health text NOT NULL DEFAULT 'ok',
    certificate_id uuid,
    renew_after timestamptz,
    next_action_at timestamptz,
    consecutive_failures integer NOT NULL DEFAULT 0,
    nudged_until timestamptz,
    lease_until timestamptz,
    lease_token bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
COMMENT ON COLUMN domains.revision IS 'grows with every change of wanted configuration';
COMMENT ON COLUMN domains.nudged_until IS 'a nudge is in the queue; it counts as lost after this instant';
COMMENT ON COLUMN domains.lease_token IS 'fencing: grows with every claim, and only its holder may record';

-- One owner of a name at a time, over all tenants; tombstones do not count.
CREATE UNIQUE INDEX domains_name ON domains (name) WHERE status <> 'deleted';
CREATE INDEX domains_by_tenant ON domains (tenant_id, name) WHERE status <> 'deleted';
CREATE INDEX domains_due ON domains (next_action_at) WHERE next_action_at IS NOT NULL;

CREATE TABLE orders (
    order_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants,
    domain_id uuid NOT NULL REFERENCES domains,
    account_id uuid NOT NULL REFERENCES accounts,
    names text[] NOT NULL,
    status text NOT NULL,
    url text,
    sealed_key bytea,
    problem jsonb,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX orders_open ON orders (domain_id)
    WHERE status IN ('queued', 'deferred', 'pending', 'ready', 'processing');
CREATE INDEX orders_by_domain ON orders (domain_id, order_id);

CREATE TABLE challenges (
    token text PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants,
    order_id uuid NOT NULL REFERENCES orders,
    key_authorization text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX challenges_by_order ON challenges (order_id);

CREATE TABLE certificates (
    certificate_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants,
    domain_id uuid NOT NULL REFERENCES domains,
    order_id uuid NOT NULL UNIQUE REFERENCES orders,
    names text[] NOT NULL,
    status text NOT NULL,
    serial_number text NOT NULL,
    fingerprint bytea NOT NULL,
    issuer text NOT NULL,
    not_before timestamptz NOT NULL,
    not_after timestamptz NOT NULL,
    fullchain text NOT NULL,
    sealed_key bytea,
    created_at timestamptz NOT NULL
);
CREATE INDEX certificates_by_domain ON certificates (domain_id, certificate_id);

ALTER TABLE domains ADD FOREIGN KEY (certificate_id) REFERENCES certificates;

CREATE TABLE targets (
    target_id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE,
    address text NOT NULL,
    public_addresses text[] NOT NULL,
    settings jsonb NOT NULL,
    state text NOT NULL,
    state_detail text,
    state_since timestamptz NOT NULL,
    release_number bigint,
    manifest jsonb,
    rendered_from text,
    upstreams text[],
    consecutive_failures integer NOT NULL DEFAULT 0,
    revisit boolean NOT NULL DEFAULT true,
    next_attempt_at timestamptz NOT NULL,
    nudged_until timestamptz,
    lease_until timestamptz,
    lease_token bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL
);
COMMENT ON COLUMN targets.revisit IS 'its settings or what releases are rendered from may have changed';
COMMENT ON COLUMN targets.address IS 'ip:port at which a handshake proves what is served';
COMMENT ON COLUMN targets.public_addresses IS 'what a shop''s A and AAAA records must hold';
COMMENT ON COLUMN targets.upstreams IS 'what the release that is live there may send requests to';
COMMENT ON COLUMN targets.manifest IS 'path -> SHA-256 of the release that is live there';

CREATE TABLE releases (
    target_id uuid NOT NULL REFERENCES targets,
    number bigint NOT NULL,
    created_at timestamptz NOT NULL,
    activated_at timestamptz,
    PRIMARY KEY (target_id, number)
);
COMMENT ON TABLE releases IS 'numbers are taken before anything is sent, and only grow';

CREATE TABLE deployments (
    deployment_id uuid PRIMARY KEY,
    target_id uuid NOT NULL REFERENCES targets,
    release_number bigint,
    status text NOT NULL,
    domains integer NOT NULL,
    problem text,
    started_at timestamptz NOT NULL,
    finished_at timestamptz
);
CREATE INDEX deployments_by_target ON deployments (target_id, deployment_id);

CREATE TABLE placements (
    target_id uuid NOT NULL REFERENCES targets,
    domain_id uuid NOT NULL REFERENCES domains,
    tenant_id uuid NOT NULL REFERENCES tenants,
    shard smallint NOT NULL,
    wanted_certificate_id uuid REFERENCES certificates,
    wanted_revision bigint NOT NULL,
    served_certificate_id uuid REFERENCES certificates,
    served_revision bigint,
    served_template text,
    pending boolean NOT NULL,
    consecutive_failures integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    served_at timestamptz,
    PRIMARY KEY (target_id, domain_id)
);
COMMENT ON TABLE placements IS 'one domain on one target: wanted beside proved';
COMMENT ON COLUMN placements.wanted_certificate_id IS 'NULL: the domain is to be taken off the target';
CREATE INDEX placements_pending ON placements (target_id, next_attempt_at) WHERE pending;
CREATE INDEX placements_by_shard ON placements (target_id, shard);
CREATE INDEX placements_by_domain ON placements (domain_id);

CREATE TABLE problems (
    domain_id uuid NOT NULL REFERENCES domains,
    tenant_id uuid NOT NULL REFERENCES tenants,
    code text NOT NULL,
    detail text NOT NULL,
    since timestamptz NOT NULL,
    last_attempt_at timestamptz NOT NULL,
    next_attempt_at timestamptz,
    PRIMARY KEY (domain_id, code)
);

CREATE TABLE events (
    event_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants,
    domain_id uuid NOT NULL REFERENCES domains,
    kind text NOT NULL,
    detail text NOT NULL,
    happened_at timestamptz NOT NULL
);
CREATE INDEX events_by_domain ON events (domain_id, event_id);

-- Every table with tenant_id is behind row level security, for its owner too.
DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['tenants', 'domains', 'orders', 'challenges', 'certificates', 'placements', 'problems', 'events', 'api_tokens']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY owner ON %I TO CURRENT_USER USING (true) WITH CHECK (true)', tenant_table);
        EXECUTE format('CREATE POLICY engine ON %I TO certmill_engine USING (true) WITH CHECK (true)', tenant_table);
        EXECUTE format('CREATE POLICY tenant ON %I TO certmill_api USING (tenant_id = current_tenant() OR is_platform()) '
                       'WITH CHECK (tenant_id = current_tenant() OR is_platform())', tenant_table);
    END LOOP;
END
$$;

-- The responder answers any token for anybody, without knowing a tenant: a key authorization is public by design.
CREATE POLICY responder ON challenges FOR SELECT TO certmill_api USING (true);

-- Who holds a token is asked before a tenant is known, at every request: past the policies, for one hash at a time.
CREATE FUNCTION token_owner(wanted bytea, at timestamptz) RETURNS TABLE (tenant_id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT t.tenant_id FROM api_tokens t WHERE t.hash = wanted AND t.expires_at > at AND t.revoked_at IS NULL;
END;
REVOKE EXECUTE ON FUNCTION token_owner FROM PUBLIC;
GRANT EXECUTE ON FUNCTION token_owner TO certmill_api;

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO certmill_engine;

GRANT SELECT ON tenants, domains, orders, challenges, certificates, placements, problems, events, targets, deployments TO certmill_api;
GRANT INSERT ON tenants, domains, events TO certmill_api;
GRANT UPDATE ON tenants TO certmill_api;
GRANT INSERT, UPDATE ON targets TO certmill_api;
GRANT UPDATE ON domains, orders, placements TO certmill_api;
GRANT SELECT, INSERT, UPDATE ON api_tokens TO certmill_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON login_links, sessions TO certmill_api;
