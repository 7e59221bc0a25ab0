-- Moves between groups of load balancers: what is to be looked at until nothing stands where it no longer belongs.
--
-- Only additions, and nothing that rewrites a table.

CREATE TABLE group_moves (
    tenant_id uuid NOT NULL REFERENCES tenants,
    asked_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id)
);
COMMENT ON TABLE group_moves IS 'tenants of whom placements may be missing, or stand on load balancers that are no longer theirs';

ALTER TABLE group_moves ENABLE ROW LEVEL SECURITY;
ALTER TABLE group_moves FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON group_moves TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY engine ON group_moves TO certmill_engine USING (true) WITH CHECK (true);
CREATE POLICY tenant ON group_moves TO certmill_api USING (tenant_id = current_tenant() OR is_platform())
    WITH CHECK (tenant_id = current_tenant() OR is_platform());
GRANT SELECT, INSERT, UPDATE, DELETE ON group_moves TO certmill_engine;
GRANT SELECT, INSERT, UPDATE ON group_moves TO certmill_api;

CREATE INDEX targets_by_group ON targets (group_id) WHERE group_id IS NOT NULL;
CREATE INDEX tenants_by_group ON tenants (target_group_id) WHERE target_group_id IS NOT NULL;

-- Whoever changes a group, by whatever way: what follows from it is looked at.
CREATE FUNCTION tenant_group_changed() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO group_moves (tenant_id, asked_at) VALUES (NEW.tenant_id, clock_timestamp())
    ON CONFLICT (tenant_id) DO UPDATE SET asked_at = EXCLUDED.asked_at;
    RETURN NULL;
END
$$;
CREATE TRIGGER tenants_group AFTER UPDATE OF target_group_id ON tenants
    FOR EACH ROW WHEN (OLD.target_group_id IS DISTINCT FROM NEW.target_group_id)
    EXECUTE FUNCTION tenant_group_changed();

CREATE FUNCTION target_group_changed() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO group_moves (tenant_id, asked_at)
    SELECT tenant_id, clock_timestamp() FROM tenants
    WHERE target_group_id IN (OLD.group_id, NEW.group_id)
    ON CONFLICT (tenant_id) DO UPDATE SET asked_at = EXCLUDED.asked_at;
    RETURN NULL;
END
$$;
CREATE TRIGGER targets_group AFTER UPDATE OF group_id ON targets
    FOR EACH ROW WHEN (OLD.group_id IS DISTINCT FROM NEW.group_id)
    EXECUTE FUNCTION target_group_changed();

-- A load balancer that is left out may be forgotten.
GRANT DELETE ON targets, placements, deployments TO certmill_api;
GRANT SELECT, DELETE ON releases TO certmill_api;
