-- Tenants whose domains are configured anew, part by part: a tenant may have a million, and whoever changes its template or its
-- upstream waits for none but the first.
--
-- Only additions. Until it is replaced, the version before this one goes on with all of them at once.

CREATE TABLE redeliveries (
    tenant_id uuid NOT NULL REFERENCES tenants,
    after_name text NOT NULL,
    turn_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id)
);
COMMENT ON TABLE redeliveries IS 'tenants of whom domains behind after_name are still to be brought to load balancers with what was changed';

ALTER TABLE redeliveries ENABLE ROW LEVEL SECURITY;
ALTER TABLE redeliveries FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON redeliveries TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY engine ON redeliveries TO certmill_engine USING (true) WITH CHECK (true);
CREATE POLICY tenant ON redeliveries TO certmill_api
    USING (tenant_id = (SELECT current_tenant()) OR (SELECT is_platform()))
    WITH CHECK (tenant_id = (SELECT current_tenant()) OR (SELECT is_platform()));
GRANT SELECT, UPDATE, DELETE ON redeliveries TO certmill_engine;
GRANT SELECT, INSERT, UPDATE, DELETE ON redeliveries TO certmill_api;
