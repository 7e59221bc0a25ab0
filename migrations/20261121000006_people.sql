-- People and what they may do: users, invitations, scopes of tokens, the audit log; what a platform sets for a tenant; groups
-- of load balancers; links for the owners of shops.
--
-- Only additions, and nothing that rewrites a table: the version before goes on working beside this one. A token that it
-- makes may do everything in its tenant, as it always could.

CREATE TABLE target_groups (
    group_id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL
);
COMMENT ON TABLE target_groups IS 'load balancers that serve the same tenants';

CREATE TABLE users (
    user_id uuid PRIMARY KEY,
    tenant_id uuid REFERENCES tenants,
    email text COLLATE "C" NOT NULL UNIQUE,
    name text NOT NULL,
    role text NOT NULL,
    language text NOT NULL DEFAULT 'en',
    password_hash text,
    revision bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    disabled_at timestamptz,
    last_login_at timestamptz,
    CHECK (role IN ('viewer', 'operator', 'tenant_admin', 'platform_admin')),
    CHECK (role <> 'platform_admin' OR tenant_id IS NULL),
    CHECK (role <> 'tenant_admin' OR tenant_id IS NOT NULL)
);
COMMENT ON COLUMN users.tenant_id IS 'NULL: one of the platform''s own people';
COMMENT ON COLUMN users.email IS 'in lower case';
COMMENT ON COLUMN users.password_hash IS 'argon2id; NULL until the invitation is taken';
CREATE INDEX users_by_tenant ON users (tenant_id, email);

CREATE TABLE password_links (
    hash bytea PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    tenant_id uuid REFERENCES tenants,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
COMMENT ON TABLE password_links IS 'invitations and resets: each lets its holder set the password once';
CREATE INDEX password_links_by_user ON password_links (user_id);

CREATE TABLE login_failures (
    key text COLLATE "C" PRIMARY KEY,
    failures integer NOT NULL,
    last_at timestamptz NOT NULL
);
COMMENT ON TABLE login_failures IS 'failed log-ins in a row, by account and by address';
CREATE INDEX login_failures_old ON login_failures (last_at);

CREATE TABLE audit_entries (
    entry_id uuid PRIMARY KEY,
    tenant_id uuid REFERENCES tenants,
    actor_kind text NOT NULL,
    actor_id text,
    actor_name text NOT NULL,
    action text NOT NULL,
    object_kind text NOT NULL,
    object_id text,
    object_name text NOT NULL,
    detail jsonb NOT NULL,
    request_id text,
    address text,
    happened_at timestamptz NOT NULL
);
COMMENT ON TABLE audit_entries IS 'who changed what, written with the change; only added to';
COMMENT ON COLUMN audit_entries.tenant_id IS 'NULL: a matter of the platform''s own';
CREATE INDEX audit_entries_by_tenant ON audit_entries (tenant_id, entry_id);
CREATE INDEX audit_entries_by_object ON audit_entries (object_kind, object_id, entry_id);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is only added to';
END
$$;
CREATE TRIGGER audit_entries_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE setup_links (
    hash bytea PRIMARY KEY,
    link_id uuid NOT NULL UNIQUE,
    tenant_id uuid NOT NULL REFERENCES tenants,
    domain_id uuid NOT NULL REFERENCES domains ON DELETE CASCADE,
    language text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);
COMMENT ON TABLE setup_links IS 'pages for the owners of shops, who have no account';
CREATE INDEX setup_links_by_domain ON setup_links (domain_id);

ALTER TABLE sessions ADD COLUMN user_id uuid REFERENCES users ON DELETE CASCADE;
COMMENT ON COLUMN sessions.user_id IS 'NULL: opened by a link that was made on the command line';
CREATE INDEX sessions_by_user ON sessions (user_id) WHERE user_id IS NOT NULL;

ALTER TABLE api_tokens
    ADD COLUMN scopes text[] NOT NULL DEFAULT '{admin}',
    ADD COLUMN last_used_at timestamptz,
    ADD COLUMN created_by text;
COMMENT ON COLUMN api_tokens.last_used_at IS 'to the minute';
CREATE INDEX api_tokens_by_tenant ON api_tokens (tenant_id, token_id);

ALTER TABLE targets ADD COLUMN group_id uuid REFERENCES target_groups;

ALTER TABLE tenants
    ADD COLUMN status text NOT NULL DEFAULT 'active',
    ADD COLUMN delete_after timestamptz,
    ADD COLUMN quota_domains integer,
    ADD COLUMN quota_requests integer,
    ADD COLUMN target_group_id uuid REFERENCES target_groups,
    ADD COLUMN branding jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN logo bytea,
    ADD COLUMN revision bigint NOT NULL DEFAULT 1,
    ADD COLUMN updated_at timestamptz;
COMMENT ON COLUMN tenants.status IS 'active, suspended, pending_deletion or deleted';
COMMENT ON COLUMN tenants.delete_after IS 'when its domains are taken off the load balancers; set with pending_deletion';
COMMENT ON COLUMN tenants.quota_domains IS 'domains at most; NULL: no limit';
COMMENT ON COLUMN tenants.quota_requests IS 'API requests a minute at most, of each token; NULL: the platform''s';
COMMENT ON COLUMN tenants.target_group_id IS 'NULL: every load balancer';
COMMENT ON COLUMN tenants.logo IS 'PNG';

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['users', 'password_links', 'audit_entries', 'setup_links']
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

-- Who holds a token or a session is asked before a tenant is known, at every request: past the policies, for one hash at a
-- time. A token of a tenant that is deleted opens nothing.
CREATE FUNCTION token_holder(wanted bytea, at timestamptz)
    RETURNS TABLE (token_id uuid, tenant_id uuid, name text, scopes text[], quota_requests integer)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    UPDATE api_tokens SET last_used_at = at
    WHERE hash = wanted AND expires_at > at AND revoked_at IS NULL
      AND (last_used_at IS NULL OR last_used_at < at - interval '1 minute');
    SELECT k.token_id, k.tenant_id, k.name, k.scopes, t.quota_requests
    FROM api_tokens k LEFT JOIN tenants t USING (tenant_id)
    WHERE k.hash = wanted AND k.expires_at > at AND k.revoked_at IS NULL
      AND (k.tenant_id IS NULL OR t.status <> 'deleted');
END;
CREATE FUNCTION session_holder(wanted bytea, at timestamptz, idle interval)
    RETURNS TABLE (user_id uuid, tenant_id uuid, name text, email text, role text, language text)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    UPDATE sessions SET last_seen_at = at
    WHERE hash = wanted AND expires_at > at AND last_seen_at > at - idle AND last_seen_at < at - interval '1 minute';
    SELECT s.user_id, u.tenant_id, u.name, u.email, u.role, u.language
    FROM sessions s LEFT JOIN users u USING (user_id) LEFT JOIN tenants t ON t.tenant_id = u.tenant_id
    WHERE s.hash = wanted AND s.expires_at > at AND s.last_seen_at > at - idle
      AND (s.user_id IS NULL OR u.disabled_at IS NULL)
      AND (u.tenant_id IS NULL OR t.status <> 'deleted');
END;
CREATE FUNCTION setup_link_holder(wanted bytea, at timestamptz)
    RETURNS TABLE (tenant_id uuid, domain_id uuid, language text, expires_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    SELECT l.tenant_id, l.domain_id, l.language, l.expires_at FROM setup_links l
    WHERE l.hash = wanted AND l.expires_at > at AND l.revoked_at IS NULL;
END;
REVOKE EXECUTE ON FUNCTION token_holder, session_holder, setup_link_holder FROM PUBLIC;
GRANT EXECUTE ON FUNCTION token_holder, session_holder, setup_link_holder TO certmill_api;

GRANT SELECT, INSERT, UPDATE, DELETE ON target_groups, users, password_links, login_failures, setup_links TO certmill_engine;
GRANT SELECT, INSERT ON audit_entries TO certmill_engine;

GRANT SELECT, INSERT, UPDATE, DELETE ON target_groups, users, login_failures, setup_links TO certmill_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON password_links TO certmill_api;
GRANT SELECT, INSERT ON audit_entries TO certmill_api;
GRANT DELETE ON sessions, login_links TO certmill_api;
