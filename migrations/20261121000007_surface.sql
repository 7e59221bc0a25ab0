-- What lists, searches and pictures read, so that none of them ever scans the domains; tags and free data of domains.
--
-- `domains` is written at every step of an order, and each of its indexes with it: what is searched for by its letters is
-- kept beside it, by a trigger, so that the version before keeps it up too. Only additions. With 1,000,000 domains the copy
-- and its indexes take about a minute, during which domains are read but not written: stop the workers first.

CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS btree_gin;

CREATE TABLE domain_names (
    domain_id uuid PRIMARY KEY REFERENCES domains ON DELETE CASCADE,
    tenant_id uuid NOT NULL REFERENCES tenants,
    name text COLLATE "C" NOT NULL,
    reversed text COLLATE "C" NOT NULL GENERATED ALWAYS AS (reverse(name)) STORED,
    external_id text COLLATE "C"
);
COMMENT ON TABLE domain_names IS 'what domains are searched by; a row goes when its domain is gone';

CREATE TABLE domain_tags (
    domain_id uuid NOT NULL REFERENCES domains ON DELETE CASCADE,
    tag text COLLATE "C" NOT NULL,
    tenant_id uuid NOT NULL REFERENCES tenants,
    PRIMARY KEY (domain_id, tag)
);
COMMENT ON TABLE domain_tags IS 'a row for each tag: row level security lets no array be searched by an index';
CREATE INDEX domain_tags_by_tag ON domain_tags (tag, tenant_id, domain_id);

CREATE TABLE domain_metadata (
    domain_id uuid PRIMARY KEY REFERENCES domains ON DELETE CASCADE,
    tenant_id uuid NOT NULL REFERENCES tenants,
    metadata jsonb NOT NULL
);
COMMENT ON TABLE domain_metadata IS 'what a tenant keeps with a domain; no row: nothing';

-- Sums behind the pictures, kept by the engine. The nil tenant: all of them together.
CREATE TABLE rollup_domains (
    tenant_id uuid NOT NULL,
    status text NOT NULL,
    health text NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (tenant_id, status, health)
);
CREATE TABLE rollup_expiry (
    tenant_id uuid NOT NULL,
    week date NOT NULL,
    health text NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (tenant_id, week, health)
);
COMMENT ON COLUMN rollup_expiry.week IS 'the Monday (UTC) of the week in which the certificate ends';
CREATE TABLE rollup_problems (
    tenant_id uuid NOT NULL,
    code text NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (tenant_id, code)
);
CREATE TABLE rollup_renewals (
    day date PRIMARY KEY,
    count bigint NOT NULL
);
COMMENT ON TABLE rollup_renewals IS 'renewals that are planned for each day (UTC), over all tenants';
CREATE TABLE rollup_orders (
    hour timestamptz NOT NULL,
    authority text NOT NULL,
    result text NOT NULL,
    code text NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (hour, authority, result, code)
);
COMMENT ON TABLE rollup_orders IS 'orders by the hour of their end; authority: the CA''s directory; code: the type of its problem, or empty';
CREATE TABLE rollup_targets (
    target_id uuid PRIMARY KEY REFERENCES targets ON DELETE CASCADE,
    domains bigint NOT NULL
);
CREATE TABLE rollups (
    the_only boolean PRIMARY KEY DEFAULT true CHECK (the_only),
    as_of timestamptz,
    next_at timestamptz NOT NULL DEFAULT '-infinity',
    seen text NOT NULL DEFAULT ''
);
COMMENT ON COLUMN rollups.as_of IS 'the instant that all sums are of';
COMMENT ON COLUMN rollups.next_at IS 'nobody counts again before';
COMMENT ON COLUMN rollups.seen IS 'what had last changed when they were counted';
INSERT INTO rollups DEFAULT VALUES;

-- Long work of a tenant, line by line.
CREATE TABLE operations (
    operation_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants,
    status text NOT NULL,
    title text NOT NULL,
    total integer NOT NULL DEFAULT 0,
    done integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0,
    reached integer NOT NULL DEFAULT 0,
    is_complete boolean NOT NULL DEFAULT false,
    cancel_requested_at timestamptz,
    problem text,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    updated_at timestamptz NOT NULL,
    lease_until timestamptz,
    lease_token bigint NOT NULL DEFAULT 0
);
COMMENT ON COLUMN operations.is_complete IS 'all of its lines are here: it may begin';
COMMENT ON COLUMN operations.reached IS 'every line up to this one has its result';
CREATE INDEX operations_by_tenant ON operations (tenant_id, operation_id);
CREATE INDEX operations_open ON operations (operation_id) WHERE status IN ('queued', 'running');

CREATE TABLE operation_lines (
    operation_id uuid NOT NULL REFERENCES operations ON DELETE CASCADE,
    line integer NOT NULL,
    tenant_id uuid NOT NULL REFERENCES tenants,
    ref text,
    action text,
    name text,
    wish jsonb,
    result smallint,
    domain_id uuid,
    code text,
    detail text,
    PRIMARY KEY (operation_id, line)
);
COMMENT ON COLUMN operation_lines.action IS 'NULL, like name: the line was refused as it came in';
COMMENT ON COLUMN operation_lines.result IS 'the status as of HTTP (RFC 9110) that a request of its own would have had; NULL: not done yet';
CREATE INDEX operation_lines_failed ON operation_lines (operation_id, line) WHERE result >= 400;

CREATE FUNCTION keep_domain_names() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
BEGIN
    IF NEW.status = 'deleted' THEN
        DELETE FROM domain_names WHERE domain_id = NEW.domain_id;
    ELSE
        INSERT INTO domain_names (domain_id, tenant_id, name, external_id)
        VALUES (NEW.domain_id, NEW.tenant_id, NEW.name, NEW.external_id)
        ON CONFLICT (domain_id) DO UPDATE SET external_id = EXCLUDED.external_id;
    END IF;
    RETURN NULL;
END
$$;

-- First, so that nothing that comes in meanwhile is missed.
CREATE TRIGGER domain_names_added AFTER INSERT ON domains FOR EACH ROW
    WHEN (NEW.status <> 'deleted') EXECUTE FUNCTION keep_domain_names();
CREATE TRIGGER domain_names_changed AFTER UPDATE OF status, external_id ON domains FOR EACH ROW
    WHEN ((OLD.status = 'deleted') <> (NEW.status = 'deleted') OR OLD.external_id IS DISTINCT FROM NEW.external_id)
    EXECUTE FUNCTION keep_domain_names();

INSERT INTO domain_names (domain_id, tenant_id, name, external_id)
SELECT domain_id, tenant_id, name, external_id FROM domains WHERE status <> 'deleted';

CREATE INDEX domain_names_by_tenant ON domain_names (tenant_id, name);
CREATE INDEX domain_names_reversed ON domain_names (reversed);
CREATE INDEX domain_names_reversed_by_tenant ON domain_names (tenant_id, reversed);
CREATE INDEX domain_names_external ON domain_names (external_id, tenant_id) WHERE external_id IS NOT NULL;
CREATE INDEX domain_names_parts ON domain_names USING gin (tenant_id, name gin_trgm_ops);

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['domain_names', 'domain_tags', 'domain_metadata', 'rollup_domains', 'rollup_expiry',
                                        'rollup_problems', 'operations', 'operation_lines']
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

-- LIKE and similarity are not leakproof: behind a policy they would be asked of every row instead of an index. These two go
-- past the policies, and see to it themselves that nobody finds another's names.
CREATE FUNCTION names_containing(wanted_tenant uuid, part text, at_most integer) RETURNS SETOF uuid
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
BEGIN
    IF is_platform() AND wanted_tenant IS NULL THEN
        RETURN QUERY EXECUTE 'SELECT domain_id FROM domain_names WHERE name LIKE $1 LIMIT $2'
            USING '%' || part || '%', at_most;
    ELSIF is_platform() OR wanted_tenant = current_tenant() THEN
        RETURN QUERY EXECUTE 'SELECT domain_id FROM domain_names WHERE tenant_id = $3 AND name LIKE $1 LIMIT $2'
            USING '%' || part || '%', at_most, wanted_tenant;
    END IF;
END
$$;

CREATE FUNCTION names_like(wanted_tenant uuid, meant text, at_most integer) RETURNS SETOF uuid
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET pg_trgm.similarity_threshold = 0.45
AS $$
BEGIN
    IF is_platform() AND wanted_tenant IS NULL THEN
        RETURN QUERY EXECUTE 'SELECT domain_id FROM domain_names WHERE name % $1 ORDER BY similarity(name, $1) DESC LIMIT $2'
            USING meant, at_most;
    ELSIF is_platform() OR wanted_tenant = current_tenant() THEN
        RETURN QUERY EXECUTE 'SELECT domain_id FROM domain_names WHERE tenant_id = $3 AND name % $1
                              ORDER BY similarity(name, $1) DESC LIMIT $2'
            USING meant, at_most, wanted_tenant;
    END IF;
END
$$;
REVOKE EXECUTE ON FUNCTION names_containing, names_like, keep_domain_names FROM PUBLIC;
GRANT EXECUTE ON FUNCTION names_containing, names_like TO certmill_api;

GRANT SELECT, INSERT, UPDATE, DELETE ON domain_names, domain_tags, domain_metadata, rollup_domains, rollup_expiry,
    rollup_problems, rollup_renewals, rollup_orders, rollup_targets, rollups, operations, operation_lines TO certmill_engine;
GRANT SELECT ON domain_names, rollup_domains, rollup_expiry, rollup_problems, rollup_renewals, rollup_orders,
    rollup_targets TO certmill_api;
GRANT SELECT (the_only, as_of) ON rollups TO certmill_api;
GRANT SELECT, INSERT, DELETE ON domain_tags TO certmill_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON domain_metadata TO certmill_api;
GRANT SELECT, INSERT ON operations, operation_lines TO certmill_api;
GRANT UPDATE (status, total, done, failed, is_complete, cancel_requested_at, finished_at, updated_at) ON operations TO certmill_api;

CREATE INDEX certificates_by_end ON certificates (not_after, certificate_id) WHERE status <> 'superseded';
CREATE INDEX certificates_by_tenant_end ON certificates (tenant_id, not_after, certificate_id) WHERE status <> 'superseded';
CREATE INDEX orders_by_tenant ON orders (tenant_id, order_id);
CREATE INDEX orders_by_status ON orders (status, order_id) WHERE status <> 'valid';
CREATE INDEX orders_finished ON orders (updated_at) WHERE status IN ('valid', 'invalid', 'cancelled');
CREATE INDEX orders_by_account ON orders (account_id, order_id) WHERE status = 'valid';
CREATE INDEX problems_by_code ON problems (code, tenant_id, domain_id);

-- What is neither active nor well is rare: these say nothing of the others, and cost a renewal nothing.
CREATE INDEX domains_not_active ON domains (status, name) WHERE status NOT IN ('active', 'deleted');
CREATE INDEX domains_unhealthy ON domains (health, name) WHERE health <> 'ok' AND status <> 'deleted';
-- New entries go to its end: the cheapest kind.
CREATE INDEX domains_updated ON domains (updated_at, domain_id) WHERE status <> 'deleted';

ALTER TABLE certificates ADD COLUMN key_type text;
COMMENT ON COLUMN certificates.key_type IS 'NULL: the version before stored it';
