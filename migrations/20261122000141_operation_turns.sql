-- Long operations take turns, and how much of them is stored is known in bytes.
--
-- Two things are added. What came in before is counted with no bytes; it goes after 30 days at the latest. The version before this
-- one runs beside it: it takes operations as they come, and counts nothing.

CREATE TABLE operation_turns (
    tenant_id uuid PRIMARY KEY REFERENCES tenants,
    taken_at timestamptz NOT NULL
);
COMMENT ON TABLE operation_turns IS 'when an operation of a tenant last had a turn, by the clock of the database';

ALTER TABLE operation_turns ENABLE ROW LEVEL SECURITY;
ALTER TABLE operation_turns FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON operation_turns TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY engine ON operation_turns TO certmill_engine USING (true) WITH CHECK (true);
CREATE POLICY tenant ON operation_turns TO certmill_api USING (tenant_id = current_tenant() OR is_platform())
    WITH CHECK (tenant_id = current_tenant() OR is_platform());
GRANT SELECT, INSERT, UPDATE ON operation_turns TO certmill_engine;

ALTER TABLE operations ADD COLUMN bytes bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN operations.bytes IS 'what its lines hold: what came in, without the wishes that have their result';
COMMENT ON COLUMN operations.lease_until IS 'somebody works on it until then; in the past: since then it waits for its next turn';
GRANT UPDATE (bytes) ON operations TO certmill_api;
