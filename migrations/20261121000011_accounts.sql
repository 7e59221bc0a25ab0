-- What people need to look after their own accounts, the audit log to be searched, and answers that are given again to a
-- request that is sent again.
--
-- Only additions; the version before goes on working beside this one.

ALTER TABLE sessions
    ADD COLUMN address text,
    ADD COLUMN agent text;
COMMENT ON COLUMN sessions.address IS 'where it was opened from';
COMMENT ON COLUMN sessions.agent IS 'what the browser called itself when it was opened';

CREATE INDEX audit_entries_by_actor ON audit_entries (actor_id, entry_id) WHERE actor_id IS NOT NULL;
CREATE INDEX audit_entries_by_action ON audit_entries (action, entry_id);

CREATE TABLE idempotency_keys (
    token_id uuid NOT NULL REFERENCES api_tokens ON DELETE CASCADE,
    key text COLLATE "C" NOT NULL,
    tenant_id uuid REFERENCES tenants,
    request bytea NOT NULL,
    started_at timestamptz NOT NULL,
    status smallint,
    sealed_answer bytea,
    PRIMARY KEY (token_id, key)
);
COMMENT ON TABLE idempotency_keys IS 'requests that carried an Idempotency-Key in the last 24 hours, and their answers';
COMMENT ON COLUMN idempotency_keys.request IS 'SHA-256 of method, path, query and body';
COMMENT ON COLUMN idempotency_keys.status IS 'NULL: it is being answered';
COMMENT ON COLUMN idempotency_keys.sealed_answer IS 'headers and body, under a key that only the token''s text yields: an answer may show a secret';
CREATE INDEX idempotency_keys_old ON idempotency_keys (started_at);

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['idempotency_keys']
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

GRANT SELECT, DELETE ON idempotency_keys TO certmill_engine;
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO certmill_api;
