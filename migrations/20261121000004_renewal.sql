-- Several CAs, renewal at the time that the CA suggests (RFC 9773), and work that waits for a rate limit.
--
-- Only additions, and nothing that rewrites a table: the version before goes on working beside this one. What locks
-- tables that are in use comes last, and takes an instant.

CREATE TABLE renewal_info (
    certificate_id uuid PRIMARY KEY REFERENCES certificates ON DELETE CASCADE,
    tenant_id uuid NOT NULL REFERENCES tenants,
    account_id uuid NOT NULL REFERENCES accounts,
    identifier text NOT NULL,
    window_start timestamptz,
    window_end timestamptz,
    explanation_url text,
    failures integer NOT NULL DEFAULT 0,
    poll_after timestamptz NOT NULL
);
COMMENT ON TABLE renewal_info IS 'what the CA said of when to renew a certificate that is in use; a row goes with its use';
COMMENT ON COLUMN renewal_info.identifier IS 'how the CA knows the certificate (RFC 9773 section 4.1)';
CREATE INDEX renewal_info_due ON renewal_info (poll_after);

ALTER TABLE renewal_info ENABLE ROW LEVEL SECURITY;
ALTER TABLE renewal_info FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON renewal_info TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY engine ON renewal_info TO certmill_engine USING (true) WITH CHECK (true);
CREATE POLICY tenant ON renewal_info TO certmill_api USING (tenant_id = current_tenant() OR is_platform())
    WITH CHECK (tenant_id = current_tenant() OR is_platform());
GRANT SELECT, INSERT, UPDATE, DELETE ON renewal_info TO certmill_engine;
GRANT SELECT ON renewal_info TO certmill_api;

-- Which CA issued a certificate is shown; the keys stay behind the other door.
GRANT SELECT (account_id, directory_url, url, created_at, registered_at) ON accounts TO certmill_api;

-- An operator may ask a CA again before the time that it named.
GRANT SELECT (owner, kind, key, held_until), UPDATE (held_until) ON limit_buckets TO certmill_api;

ALTER TABLE tenants ADD COLUMN authorities text[];
COMMENT ON COLUMN tenants.authorities IS 'the names of the CAs that are asked, the preferred one first; NULL: the platform''s list';

ALTER TABLE accounts ADD COLUMN sealed_next_key bytea;
COMMENT ON COLUMN accounts.sealed_next_key IS 'a key that the CA is about to be told of in place of the present one; it may know it already';

ALTER TABLE orders ADD COLUMN replaces text, ADD COLUMN profile text;
COMMENT ON COLUMN orders.replaces IS 'the certificate that it is a renewal of, as the CA knows it (RFC 9773 section 4.1)';
COMMENT ON COLUMN orders.profile IS 'the profile that is asked for; NULL: the CA''s own choice';

ALTER TABLE domains
    ADD COLUMN deferred_until timestamptz,
    ADD COLUMN deferred_by text,
    ADD COLUMN deferred_for text,
    ADD COLUMN without_replaces boolean NOT NULL DEFAULT false,
    ADD COLUMN without_profile boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN domains.deferred_until IS 'an order waits for a rate limit of the CA until then';
COMMENT ON COLUMN domains.deferred_by IS 'the limit''s word';
COMMENT ON COLUMN domains.deferred_for IS 'what the limit counts: a registered domain, a name, or empty for the account';
COMMENT ON COLUMN domains.without_replaces IS 'the CA did not take the last order as a renewal: the next one is a plain one';
COMMENT ON COLUMN domains.without_profile IS 'the CA did not take the profile: the next order leaves the choice to it';
