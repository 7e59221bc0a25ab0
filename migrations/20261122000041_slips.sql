-- Names that are like what was typed, found by what a slip leaves right of them: some few entries of the index instead of most.
--
-- A function is added, and one index takes another one's place; the version before this one goes on with names_like.

-- What waits for a load balancer is counted without the rows themselves.
-- Dropped first: its lock is the strongest, and whoever waits for it holds no other.
DROP INDEX placements_pending;
CREATE INDEX placements_waiting ON placements (target_id, next_attempt_at) INCLUDE (tenant_id) WHERE pending;

CREATE FUNCTION names_with_any(wanted_tenant uuid, patterns text[], meant text, of_each integer)
    RETURNS TABLE (domain_id uuid, likeness real)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
    pattern text;
BEGIN
    IF NOT COALESCE(is_platform() OR wanted_tenant = current_tenant(), false) THEN
        RETURN;
    END IF;
    FOREACH pattern IN ARRAY patterns LOOP
        -- Planned with the pattern: how many names have it in them says which way is the shorter.
        IF wanted_tenant IS NULL THEN
            RETURN QUERY EXECUTE 'SELECT domain_id, similarity(name, $1) FROM (SELECT domain_id, name FROM domain_names WHERE name LIKE $2 LIMIT $3) AS n'
                USING meant, pattern, of_each;
        ELSE
            RETURN QUERY EXECUTE 'SELECT domain_id, similarity(name, $1)
                                  FROM (SELECT domain_id, name FROM domain_names WHERE tenant_id = $4 AND name LIKE $2 LIMIT $3) AS n'
                USING meant, pattern, of_each, wanted_tenant;
        END IF;
    END LOOP;
END
$$;
REVOKE EXECUTE ON FUNCTION names_with_any FROM PUBLIC;
GRANT EXECUTE ON FUNCTION names_with_any TO certmill_api;
