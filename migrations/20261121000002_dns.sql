-- dns-01 through delegated names, what was seen of a name, certificates for a name and its `www.`, kinds of keys.
--
-- Only additions, and nothing that rewrites a table: the version before goes on working beside this one. Update workers
-- before the API, which takes wildcards that an older worker cannot prove.

CREATE TABLE zones (
    zone_id uuid PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    settings jsonb NOT NULL,
    sealed_credentials bytea,
    record_prefix text NOT NULL,
    name_servers text[] NOT NULL,
    keep_empty boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
COMMENT ON TABLE zones IS 'DNS zones of the platform that certmill writes TXT records to';
COMMENT ON COLUMN zones.settings IS 'the provider, in the shape that crate dns reads; nothing secret';
COMMENT ON COLUMN zones.name_servers IS 'ip:port of every authoritative server; empty: those of the zone''s NS records';
COMMENT ON COLUMN zones.record_prefix IS 'what stands before a label in a record''s name';
COMMENT ON COLUMN zones.keep_empty IS 'a TXT record ".empty" stays after the values are gone, against negative caching';

CREATE TABLE delegations (
    tenant_id uuid NOT NULL REFERENCES tenants,
    name text COLLATE "C" NOT NULL,
    label text NOT NULL UNIQUE,
    zone_id uuid REFERENCES zones,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, name)
);
COMMENT ON TABLE delegations IS 'where a tenant''s owner of a name points _acme-challenge at; never changes, since owners set it once';
COMMENT ON COLUMN delegations.name IS 'without "*.": a name and its wildcard are proved at the same place';
COMMENT ON COLUMN delegations.zone_id IS 'NULL: there was no zone when the name came in';

CREATE TABLE txt_records (
    zone_id uuid NOT NULL REFERENCES zones,
    name text NOT NULL,
    value text NOT NULL,
    tenant_id uuid NOT NULL REFERENCES tenants,
    order_id uuid REFERENCES orders,
    consecutive_failures integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    lease_until timestamptz,
    PRIMARY KEY (zone_id, name, value)
);
COMMENT ON TABLE txt_records IS 'values that may stand in a zone: stored before they are written, gone after they are removed';
COMMENT ON COLUMN txt_records.order_id IS 'the order that needs it; NULL: none does any more';
CREATE INDEX txt_records_by_order ON txt_records (order_id);
CREATE INDEX delegations_by_zone ON delegations (zone_id);

CREATE TABLE checks (
    domain_id uuid PRIMARY KEY REFERENCES domains,
    tenant_id uuid NOT NULL REFERENCES tenants,
    observed jsonb NOT NULL,
    checked_at timestamptz NOT NULL
);
COMMENT ON TABLE checks IS 'what was last seen of a name';

ALTER TABLE tenants ADD COLUMN key_type text NOT NULL DEFAULT 'ecdsa_p256';

ALTER TABLE domains
    ADD COLUMN key_type text,
    ADD COLUMN order_id uuid REFERENCES orders,
    ADD COLUMN order_after timestamptz,
    ADD COLUMN check_after timestamptz,
    ADD COLUMN validation_failed_at timestamptz,
    ADD COLUMN checks_overridden boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN domains.key_type IS 'NULL: the tenant''s';
COMMENT ON COLUMN domains.order_id IS 'the order under way that includes this name, its own or another domain''s';
COMMENT ON COLUMN domains.order_after IS 'the CA is not asked before this instant';
COMMENT ON COLUMN domains.check_after IS 'when DNS is looked at again, beside all renewals';
COMMENT ON COLUMN domains.validation_failed_at IS 'the CA looked at the name and did not like it; NULL since the last success';
COMMENT ON COLUMN domains.checks_overridden IS 'an operator said to order whatever the checks find';

ALTER TABLE orders ADD COLUMN challenges text[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN orders.challenges IS 'the kind of challenge for each of names; empty: http-01 for all';

CREATE INDEX domains_by_order ON domains (order_id) WHERE order_id IS NOT NULL;

-- Who failed at the CA and comes again under the same name is known.
CREATE INDEX domains_gone ON domains (tenant_id, name, status_since) WHERE status = 'deleted';

UPDATE domains d SET order_id = o.order_id FROM orders o
WHERE o.domain_id = d.domain_id AND o.status IN ('queued', 'deferred', 'pending', 'ready', 'processing');

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['delegations', 'txt_records', 'checks']
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

GRANT SELECT, INSERT, UPDATE, DELETE ON zones, delegations, txt_records, checks TO certmill_engine;

-- What provider credentials are sealed in is written through this door and never read.
GRANT SELECT (zone_id, name, settings, record_prefix, name_servers, keep_empty, created_at, updated_at) ON zones TO certmill_api;
GRANT INSERT, UPDATE, DELETE ON zones TO certmill_api;
GRANT SELECT, INSERT, UPDATE ON delegations TO certmill_api;
GRANT SELECT ON checks, txt_records TO certmill_api;
