-- What is left of the CAs' limits, lanes for what is due, and the end of what is no longer needed.
--
-- Only additions, and nothing that rewrites a table: the version before goes on working beside this one.

CREATE TABLE limit_buckets (
    owner text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    share_of uuid NOT NULL,
    full_at timestamptz NOT NULL,
    held_until timestamptz,
    tail_at timestamptz,
    PRIMARY KEY (owner, kind, key, share_of)
);
COMMENT ON TABLE limit_buckets IS 'token buckets, one for all workers; a row that is missing is a full bucket';
COMMENT ON COLUMN limit_buckets.owner IS 'an account, or the directory of a CA where a limit counts for all accounts';
COMMENT ON COLUMN limit_buckets.key IS 'what is counted: a registered domain, names, an endpoint; empty: the account itself';
COMMENT ON COLUMN limit_buckets.share_of IS 'the tenant whose share of the limit this is; nil: the limit itself';
COMMENT ON COLUMN limit_buckets.full_at IS 'when it is full again if nothing more is taken';
COMMENT ON COLUMN limit_buckets.held_until IS 'nothing is taken before: the CA said so';
COMMENT ON COLUMN limit_buckets.tail_at IS 'the date of the last one that waits';

CREATE INDEX limit_buckets_waiting ON limit_buckets (owner, kind, key, tail_at) WHERE tail_at IS NOT NULL;
CREATE INDEX limit_buckets_full ON limit_buckets (full_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON limit_buckets TO certmill_engine;

ALTER TABLE domains
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN lost_claims integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN domains.expires_at IS 'when its certificate ends; NULL: it has none, or the version before stored it';
COMMENT ON COLUMN domains.lost_claims IS 'claims in a row whose worker recorded nothing: its step takes the worker with it';

-- Two lanes of what is due: names that fail, whose lookups hang, never take a worker from those that do not.
CREATE INDEX domains_due_healthy ON domains (next_action_at)
    WHERE next_action_at IS NOT NULL AND consecutive_failures = 0 AND status NOT IN ('failed', 'moved', 'expired');
CREATE INDEX domains_due_troubled ON domains (next_action_at)
    WHERE next_action_at IS NOT NULL AND (consecutive_failures > 0 OR status IN ('failed', 'moved', 'expired'));

-- When more is due than there is room for: some of each tenant, and what ends soonest.
CREATE INDEX domains_due_by_tenant ON domains (tenant_id, next_action_at)
    WHERE next_action_at IS NOT NULL AND consecutive_failures = 0 AND status NOT IN ('failed', 'moved', 'expired');
CREATE INDEX domains_due_by_end ON domains (expires_at, next_action_at)
    WHERE expires_at IS NOT NULL AND next_action_at IS NOT NULL AND consecutive_failures = 0
      AND status NOT IN ('failed', 'moved', 'expired');

-- What is deleted after a while, and who may still refer to it.
CREATE INDEX orders_ended ON orders (updated_at, order_id) WHERE status IN ('invalid', 'cancelled');
CREATE INDEX certificates_ended ON certificates (not_after, certificate_id)
    WHERE status IN ('superseded', 'expired', 'revoked');
CREATE INDEX domains_by_certificate ON domains (certificate_id) WHERE certificate_id IS NOT NULL;
CREATE INDEX placements_by_wanted ON placements (wanted_certificate_id) WHERE wanted_certificate_id IS NOT NULL;
CREATE INDEX placements_by_served ON placements (served_certificate_id) WHERE served_certificate_id IS NOT NULL;
CREATE INDEX domains_deleted ON domains (status_since) WHERE status = 'deleted';
