-- Lanes for what is due, and the end of what is no longer needed: indexes alone.
--
-- Readers go on. Whoever writes to a table waits from its first index here until the end of this migration, so that the
-- table which most is written to comes last. With 1,000,000 domains, each with an order and a certificate, two busy cores
-- took 8 seconds, of which writers of domains waited 7.5: half of what a worker's claim lasts without a word. With many
-- more, or slow disks, stop the workers first.

CREATE INDEX certificates_ended ON certificates (not_after, certificate_id)
    WHERE status IN ('superseded', 'expired', 'revoked');
CREATE INDEX orders_ended ON orders (updated_at, order_id) WHERE status IN ('invalid', 'cancelled');
CREATE INDEX placements_by_wanted ON placements (wanted_certificate_id) WHERE wanted_certificate_id IS NOT NULL;
CREATE INDEX placements_by_served ON placements (served_certificate_id) WHERE served_certificate_id IS NOT NULL;

-- Two lanes of what is due: names that fail, whose lookups hang, never take a worker from those that do not.
CREATE INDEX domains_due_healthy ON domains (next_action_at)
    WHERE next_action_at IS NOT NULL AND consecutive_failures = 0 AND status NOT IN ('failed', 'moved', 'expired');

-- When more is due than there is room for: some of each tenant, and what ends soonest.
CREATE INDEX domains_due_by_tenant ON domains (tenant_id, next_action_at)
    WHERE next_action_at IS NOT NULL AND consecutive_failures = 0 AND status NOT IN ('failed', 'moved', 'expired');
CREATE INDEX domains_due_by_end ON domains (expires_at, next_action_at)
    WHERE expires_at IS NOT NULL AND next_action_at IS NOT NULL AND consecutive_failures = 0
      AND status NOT IN ('failed', 'moved', 'expired');

-- Of what is in trouble, what has a certificate or an order comes before names that never had one.
CREATE INDEX domains_due_troubled ON domains (next_action_at)
    WHERE next_action_at IS NOT NULL AND (consecutive_failures > 0 OR status IN ('failed', 'moved', 'expired'))
      AND (certificate_id IS NOT NULL OR order_id IS NOT NULL);
CREATE INDEX domains_troubled_by_end ON domains (expires_at, next_action_at)
    WHERE expires_at IS NOT NULL AND next_action_at IS NOT NULL
      AND (consecutive_failures > 0 OR status IN ('failed', 'moved', 'expired'));
CREATE INDEX domains_due_dead ON domains (next_action_at)
    WHERE next_action_at IS NOT NULL AND (consecutive_failures > 0 OR status IN ('failed', 'moved', 'expired'))
      AND certificate_id IS NULL AND order_id IS NULL;

-- Who may still refer to what is deleted after a while.
CREATE INDEX domains_by_certificate ON domains (certificate_id) WHERE certificate_id IS NOT NULL;
CREATE INDEX domains_deleted ON domains (status_since) WHERE status = 'deleted';
CREATE INDEX domains_deleted_with_certificate ON domains (status_since)
    WHERE status = 'deleted' AND certificate_id IS NOT NULL;

-- How many renewals are planned for each hour is counted by this index alone.
CREATE INDEX domains_renewals ON domains (renew_after) WHERE renew_after IS NOT NULL AND status <> 'deleted';
