-- Whose a name is: the record by which its owner names a tenant, and claims to names that another tenant holds.
--
-- Only additions. An API of the version before cannot read what was seen of a name that waits for such a record: update it
-- before the workers. The two indexes on domains take a few seconds with 1,000,000 of them, and writers wait.

CREATE TABLE ownership_proofs (
    tenant_id uuid NOT NULL REFERENCES tenants,
    name text COLLATE "C" NOT NULL,
    value text NOT NULL,
    created_at timestamptz NOT NULL,
    verified_at timestamptz,
    PRIMARY KEY (tenant_id, name)
);
COMMENT ON TABLE ownership_proofs IS 'the TXT record at _certmill-verify by which the owner of a name says that a tenant may have it; never changes, since owners set it once';
COMMENT ON COLUMN ownership_proofs.name IS 'without "*.": a name and its wildcard are proved by the same record';
COMMENT ON COLUMN ownership_proofs.verified_at IS 'since when it is seen; NULL: not seen at the last look';
CREATE INDEX ownership_proofs_verified ON ownership_proofs (name) WHERE verified_at IS NOT NULL;

CREATE TABLE ownership_claims (
    tenant_id uuid NOT NULL REFERENCES tenants,
    name text COLLATE "C" NOT NULL,
    external_id text,
    template text,
    key_type text,
    tags text[] NOT NULL DEFAULT '{}',
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL,
    failures integer NOT NULL DEFAULT 0,
    next_look_at timestamptz NOT NULL,
    lease_until timestamptz,
    PRIMARY KEY (tenant_id, name)
);
COMMENT ON TABLE ownership_claims IS 'what a tenant wants of a name that another holds, until its record is seen or a week is over';
CREATE INDEX ownership_claims_due ON ownership_claims (next_look_at);

-- Who had a name before, and who has names below it.
CREATE INDEX domains_gone_by_name ON domains (name) WHERE status = 'deleted';
CREATE INDEX domains_by_suffix ON domains (reverse(name)) WHERE status <> 'deleted';

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['ownership_proofs', 'ownership_claims']
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

GRANT SELECT, INSERT, UPDATE, DELETE ON ownership_proofs, ownership_claims TO certmill_engine;

GRANT SELECT, INSERT ON ownership_proofs TO certmill_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON ownership_claims TO certmill_api;
