-- The feed of events without gaps, and the webhooks that are sent from it.
--
-- Only additions, and nothing that rewrites a table: the version before goes on working beside this one, and what it writes
-- takes its place in the feed. Whoever writes events waits until the end of this migration, some seconds for each ten
-- million of them: the indexes are partial, and hold nothing yet, but the table is read once for each.

CREATE TABLE event_feed (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    last_position bigint NOT NULL
);
COMMENT ON TABLE event_feed IS 'one row: the last position that was given to an event; whoever holds it gives the next ones';
INSERT INTO event_feed (last_position) VALUES (0);

CREATE TABLE sealing_keys (
    key_id bytea PRIMARY KEY,
    public_key bytea NOT NULL,
    created_at timestamptz NOT NULL
);
COMMENT ON TABLE sealing_keys IS 'for parts that seal secrets and open none: the public side of each master key';

CREATE TABLE webhook_endpoints (
    endpoint_id uuid PRIMARY KEY,
    tenant_id uuid REFERENCES tenants,
    url text NOT NULL,
    kinds text[],
    description text NOT NULL,
    revision bigint NOT NULL DEFAULT 1,
    disabled_at timestamptz,
    disabled_reason text,
    failing_since timestamptz,
    replay_after bigint,
    replay_until bigint,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
COMMENT ON COLUMN webhook_endpoints.tenant_id IS 'NULL: the platform''s, which hears of every tenant';
COMMENT ON COLUMN webhook_endpoints.kinds IS 'the kinds of event it is sent; NULL: all that are not quiet';
COMMENT ON COLUMN webhook_endpoints.failing_since IS 'the first failure since the last success';
COMMENT ON COLUMN webhook_endpoints.replay_after IS 'events behind this position, up to replay_until, are sent again';
CREATE INDEX webhook_endpoints_by_tenant ON webhook_endpoints (tenant_id, endpoint_id);
CREATE INDEX webhook_endpoints_replaying ON webhook_endpoints (endpoint_id) WHERE replay_after IS NOT NULL;

CREATE TABLE webhook_secrets (
    secret_id uuid PRIMARY KEY,
    endpoint_id uuid NOT NULL REFERENCES webhook_endpoints ON DELETE CASCADE,
    tenant_id uuid REFERENCES tenants,
    sealed_secret bytea NOT NULL,
    ends_at timestamptz,
    created_at timestamptz NOT NULL
);
COMMENT ON COLUMN webhook_secrets.ends_at IS 'signs until then, beside the one that replaces it; NULL: the present one';
CREATE UNIQUE INDEX webhook_secrets_present ON webhook_secrets (endpoint_id) WHERE ends_at IS NULL;
CREATE INDEX webhook_secrets_by_endpoint ON webhook_secrets (endpoint_id, secret_id);

CREATE TABLE webhook_deliveries (
    delivery_id uuid PRIMARY KEY,
    tenant_id uuid REFERENCES tenants,
    endpoint_id uuid NOT NULL REFERENCES webhook_endpoints ON DELETE CASCADE,
    event_id uuid NOT NULL,
    kind text NOT NULL,
    status text NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    lease_until timestamptz,
    lease_token bigint NOT NULL DEFAULT 0,
    body text,
    last_attempt_at timestamptz,
    response_status smallint,
    error text,
    answer text,
    duration_ms integer,
    created_at timestamptz NOT NULL,
    UNIQUE (endpoint_id, event_id)
);
COMMENT ON COLUMN webhook_deliveries.event_id IS 'no reference: an event may be deleted before its delivery';
COMMENT ON COLUMN webhook_deliveries.body IS 'what was sent, kept as long as it may have to be sent again: its bytes stay the same';
COMMENT ON COLUMN webhook_deliveries.answer IS 'the first kilobyte of the last answer''s body';
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, next_attempt_at) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_by_endpoint ON webhook_deliveries (endpoint_id, delivery_id);
CREATE INDEX webhook_deliveries_old ON webhook_deliveries (created_at);

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['webhook_endpoints', 'webhook_secrets', 'webhook_deliveries']
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

GRANT SELECT, UPDATE ON event_feed TO certmill_engine;
GRANT SELECT ON event_feed TO certmill_api;
GRANT SELECT, INSERT ON sealing_keys TO certmill_engine;
GRANT SELECT ON sealing_keys TO certmill_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_endpoints, webhook_secrets, webhook_deliveries TO certmill_engine;
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_endpoints TO certmill_api;
-- What is sealed is written through this door, and read through the other one.
GRANT SELECT (secret_id, endpoint_id, tenant_id, ends_at, created_at), INSERT, UPDATE (ends_at), DELETE
    ON webhook_secrets TO certmill_api;
GRANT SELECT, INSERT, UPDATE (status, attempts, next_attempt_at) ON webhook_deliveries TO certmill_api;

-- Events that were written before there was a feed stand at 0, in front of it. A constant default rewrites nothing.
ALTER TABLE events
    ADD COLUMN position bigint DEFAULT 0,
    ADD COLUMN status text,
    ADD COLUMN previous_status text,
    ADD COLUMN health text,
    ADD COLUMN problems jsonb,
    ADD COLUMN subject text,
    ADD COLUMN subject_name text,
    ALTER COLUMN tenant_id DROP NOT NULL,
    ALTER COLUMN domain_id DROP NOT NULL;
ALTER TABLE events ALTER COLUMN position DROP DEFAULT;
COMMENT ON COLUMN events.position IS 'its place in the feed; NULL: not given yet, which readers take as not there yet';
COMMENT ON COLUMN events.tenant_id IS 'NULL: it happened to the platform';
COMMENT ON COLUMN events.subject IS 'the id, in text, of what it happened to, where that is no domain';
COMMENT ON COLUMN events.status IS 'after what happened; what the writer leaves open is read when the position is given';
COMMENT ON COLUMN events.problems IS 'the open ones at that time: code, detail, since; NULL: none';

CREATE UNIQUE INDEX events_by_position ON events (position) WHERE position > 0;
-- With the id, so that how far a page reaches is read from the index alone.
CREATE INDEX events_by_tenant ON events (tenant_id, position) INCLUDE (event_id) WHERE position > 0;
CREATE INDEX events_without_position ON events (event_id) WHERE position IS NULL;
