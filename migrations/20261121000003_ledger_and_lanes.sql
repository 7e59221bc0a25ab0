-- What is left of the CAs' limits, and two columns of domains.
--
-- Only additions, and nothing that rewrites a table: the version before goes on working beside this one. The columns come
-- last, so that the table is locked for an instant only, once nobody is in the middle of a transaction with it. The indexes
-- are a migration of their own (20261121000005), so that nobody waits for them behind this lock.

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
