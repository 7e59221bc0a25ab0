-- What is served for a name, alerts by cause, who is told, and the mails that tell it.
--
-- Only new tables: the version before goes on working beside this one, and knows nothing of them. What is kept of a name's
-- watch stands in a table of its own: domains has many indexes, and is written to all the time.

CREATE TABLE watches (
    domain_id uuid PRIMARY KEY REFERENCES domains ON DELETE CASCADE,
    tenant_id uuid NOT NULL REFERENCES tenants,
    due_at timestamptz NOT NULL,
    looked_at timestamptz,
    seen text,
    detail text NOT NULL DEFAULT '',
    not_before timestamptz,
    not_after timestamptz,
    wrong_looks integer NOT NULL DEFAULT 0,
    wrong_since timestamptz,
    has_alarmed boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE watches IS 'what a handshake with a name showed, as a browser makes one';
COMMENT ON COLUMN watches.due_at IS 'when it is looked at again; whoever looks moves it first, and records only while it stands so';
COMMENT ON COLUMN watches.seen IS 'right, other (valid, but not the one that is meant), invalid or unreachable; NULL: not looked at yet';
COMMENT ON COLUMN watches.not_after IS 'of the valid certificate that was last seen';
COMMENT ON COLUMN watches.wrong_since IS 'since when looks in a row showed something else than what is meant';
COMMENT ON COLUMN watches.has_alarmed IS 'it opened the problem, and closes it';
CREATE INDEX watches_due ON watches (due_at);

CREATE TABLE notification_rules (
    rule_id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    tenant_id uuid REFERENCES tenants,
    least_level text,
    digest text NOT NULL,
    unsubscribed_at timestamptz,
    revision bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE NULLS NOT DISTINCT (user_id, tenant_id)
);
COMMENT ON COLUMN notification_rules.tenant_id IS 'of whose names; NULL: of everybody''s, for the platform''s own people';
COMMENT ON COLUMN notification_rules.least_level IS 'NULL: no alerts';
COMMENT ON COLUMN notification_rules.unsubscribed_at IS 'nothing is sent since; NULL when it was taken back';
CREATE INDEX notification_rules_by_tenant ON notification_rules (tenant_id, rule_id);

CREATE TABLE alerts (
    alert_id uuid PRIMARY KEY,
    tenant_id uuid REFERENCES tenants,
    code text NOT NULL,
    about text COLLATE "C" NOT NULL,
    level text NOT NULL,
    told text,
    is_incident boolean NOT NULL,
    names bigint NOT NULL,
    first jsonb NOT NULL,
    detail text NOT NULL,
    since timestamptz NOT NULL,
    last_attempt_at timestamptz NOT NULL,
    next_attempt_at timestamptz,
    opened_at timestamptz NOT NULL,
    quiet_since timestamptz,
    resolved_at timestamptz,
    muted_at timestamptz,
    muted_by text
);
COMMENT ON COLUMN alerts.tenant_id IS 'NULL: the platform''s own trouble';
COMMENT ON COLUMN alerts.about IS 'ca:<host>, target:<id>, or empty';
COMMENT ON COLUMN alerts.told IS 'the most pressing level that a letter told of';
COMMENT ON COLUMN alerts.first IS 'the names that end soonest: domain_id, name, ends_at';
COMMENT ON COLUMN alerts.muted_at IS 'nobody is mailed about it any more';
CREATE UNIQUE INDEX alerts_open ON alerts (code, about, tenant_id) NULLS NOT DISTINCT WHERE resolved_at IS NULL;
CREATE INDEX alerts_by_tenant ON alerts (tenant_id, alert_id);
CREATE INDEX alerts_resolved ON alerts (resolved_at) WHERE resolved_at IS NOT NULL;

CREATE TABLE mails (
    mail_id uuid PRIMARY KEY,
    key text COLLATE "C" NOT NULL UNIQUE,
    tenant_id uuid REFERENCES tenants,
    alert_id uuid REFERENCES alerts,
    rule_id uuid REFERENCES notification_rules ON DELETE SET NULL,
    recipient text NOT NULL,
    language text NOT NULL,
    kind text NOT NULL,
    is_reply boolean NOT NULL DEFAULT false,
    letter jsonb,
    status text NOT NULL DEFAULT 'waiting',
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    lease_until timestamptz,
    lease_token bigint NOT NULL DEFAULT 0,
    error text,
    unsubscribe_hash bytea UNIQUE,
    created_at timestamptz NOT NULL,
    sent_at timestamptz
);
COMMENT ON TABLE mails IS 'what is to be sent, and what became of it';
COMMENT ON COLUMN mails.key IS 'what it tells whom: the same is never written down twice';
COMMENT ON COLUMN mails.letter IS 'what it says; NULL once it is sent or refused, if a link in it lets somebody in';
COMMENT ON COLUMN mails.is_reply IS 'an earlier mail began its thread';
COMMENT ON COLUMN mails.status IS 'waiting, sent or refused';
COMMENT ON COLUMN mails.unsubscribe_hash IS 'SHA-256 of the token in its link; the token itself is in the mail alone';
CREATE INDEX mails_due ON mails (next_attempt_at) WHERE status = 'waiting';
CREATE INDEX mails_by_alert ON mails (alert_id, recipient) WHERE alert_id IS NOT NULL;
CREATE INDEX mails_by_tenant ON mails (tenant_id, mail_id);
CREATE INDEX mails_by_rule ON mails (rule_id) WHERE rule_id IS NOT NULL;

CREATE TABLE mail_state (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    server text,
    last_success_at timestamptz,
    failing_since timestamptz,
    last_failure_at timestamptz,
    last_error text
);
COMMENT ON TABLE mail_state IS 'one row: how the mail server fares';
COMMENT ON COLUMN mail_state.server IS 'host:port; NULL: no mail server is configured, and mail waits';
INSERT INTO mail_state DEFAULT VALUES;

CREATE TABLE alert_rounds (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    next_at timestamptz NOT NULL,
    lease_until timestamptz,
    lease_token bigint NOT NULL DEFAULT 0,
    finished_at timestamptz
);
COMMENT ON TABLE alert_rounds IS 'one row: who looks for alerts now, and when next';
INSERT INTO alert_rounds (next_at) VALUES ('-infinity');

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['watches', 'notification_rules', 'alerts', 'mails']
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

GRANT SELECT, INSERT, UPDATE, DELETE ON watches, notification_rules, alerts, mails TO certmill_engine;
GRANT SELECT, UPDATE ON mail_state, alert_rounds TO certmill_engine;

GRANT SELECT ON watches, alerts, mail_state, alert_rounds TO certmill_api;
GRANT UPDATE (muted_at, muted_by) ON alerts TO certmill_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON notification_rules TO certmill_api;
-- What a mail says may let somebody in: it is written through this door, and read through the other one.
GRANT SELECT (mail_id, key, tenant_id, alert_id, rule_id, recipient, language, kind, status, attempts, next_attempt_at, error,
              unsubscribe_hash, created_at, sent_at), INSERT ON mails TO certmill_api;
