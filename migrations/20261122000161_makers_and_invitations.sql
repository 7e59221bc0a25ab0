-- Who made a token, by id: what somebody's tokens open can be ended when the person goes. And an invitation that ended without
-- being taken keeps nobody else from inviting the same person.
--
-- Only additions. Of tokens that were made before, or by the version before, nobody is known but a name.

ALTER TABLE api_tokens ADD COLUMN created_by_user uuid;
COMMENT ON COLUMN api_tokens.created_by_user IS
    'who made it, or the token that it was made with; stays when the user is removed; NULL: not known, or nobody with an account';
CREATE INDEX api_tokens_by_maker ON api_tokens (created_by_user) WHERE created_by_user IS NOT NULL AND revoked_at IS NULL;

-- An address has one account on the whole platform, and a tenant sees no other's: past the policies, for one address at a time. An
-- account that somebody can come in by, or whose invitation can still be taken, stays, and so does each of the platform's own
-- people. The one that goes is told of in the log of its own tenant, without a word of who wants the address now.
CREATE FUNCTION release_address(wanted text, by_tenant uuid, entry uuid, at timestamptz) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    WITH lapsed AS (
        DELETE FROM users u
        WHERE u.email = wanted AND u.password_hash IS NULL
          AND u.tenant_id IS NOT NULL AND u.tenant_id IS DISTINCT FROM by_tenant
          AND NOT EXISTS (
              SELECT 1 FROM password_links l WHERE l.user_id = u.user_id AND l.used_at IS NULL AND l.expires_at > at)
        RETURNING u.tenant_id, u.email, u.role
    )
    INSERT INTO audit_entries (entry_id, tenant_id, actor_kind, actor_name, action, object_kind, object_name, detail, happened_at)
    SELECT entry, tenant_id, 'certmill', 'certmill', 'user.invitation_lapsed', 'user', email, jsonb_build_object('role', role), at
    FROM lapsed;
END;
REVOKE EXECUTE ON FUNCTION release_address FROM PUBLIC;
GRANT EXECUTE ON FUNCTION release_address TO certmill_api;
