-- Who comes in for a tenant that is suspended, and under which brand; silence about an alert that ends by itself.
--
-- Only additions: the two functions give further columns, which the version before does not name.

ALTER TABLE alerts ADD COLUMN muted_until timestamptz, ADD COLUMN mute_reason text;
COMMENT ON COLUMN alerts.muted_until IS 'when mails begin again by themselves; NULL: never';
GRANT UPDATE (muted_until, mute_reason) ON alerts TO certmill_api;

CREATE INDEX users_platform_admins ON users (user_id) WHERE role = 'platform_admin';

DROP FUNCTION token_holder;
CREATE FUNCTION token_holder(wanted bytea, at timestamptz)
    RETURNS TABLE (token_id uuid, tenant_id uuid, name text, scopes text[], quota_requests integer, tenant_status text)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    UPDATE api_tokens SET last_used_at = at
    WHERE hash = wanted AND expires_at > at AND revoked_at IS NULL
      AND (last_used_at IS NULL OR last_used_at < at - interval '1 minute');
    SELECT k.token_id, k.tenant_id, k.name, k.scopes, t.quota_requests, t.status
    FROM api_tokens k LEFT JOIN tenants t USING (tenant_id)
    WHERE k.hash = wanted AND k.expires_at > at AND k.revoked_at IS NULL
      AND (k.tenant_id IS NULL OR t.status <> 'deleted');
END;

DROP FUNCTION session_holder;
CREATE FUNCTION session_holder(wanted bytea, at timestamptz, idle interval)
    RETURNS TABLE (user_id uuid, tenant_id uuid, name text, email text, role text, language text, tenant_status text,
                   tenant_name text, product_name text, support_url text, has_colours boolean, has_logo boolean,
                   tenant_revision bigint)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
    UPDATE sessions SET last_seen_at = at
    WHERE hash = wanted AND expires_at > at AND last_seen_at > at - idle AND last_seen_at < at - interval '1 minute';
    SELECT s.user_id, u.tenant_id, u.name, u.email, u.role, u.language, t.status, t.name, t.branding->>'product_name',
           t.branding->>'support_url', t.branding ? 'accent', t.logo IS NOT NULL, t.revision
    FROM sessions s LEFT JOIN users u USING (user_id) LEFT JOIN tenants t ON t.tenant_id = u.tenant_id
    WHERE s.hash = wanted AND s.expires_at > at AND s.last_seen_at > at - idle
      AND (s.user_id IS NULL OR u.disabled_at IS NULL)
      AND (u.tenant_id IS NULL OR t.status <> 'deleted');
END;
REVOKE EXECUTE ON FUNCTION token_holder, session_holder FROM PUBLIC;
GRANT EXECUTE ON FUNCTION token_holder, session_holder TO certmill_api;
