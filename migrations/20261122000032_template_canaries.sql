-- Which load balancer has a published template first: one that serves a shop with it, and another one when it is lost.
--
-- A function, an index and one constraint less; the version before this one runs beside it. The index takes a few seconds with
-- 1,000,000 placements, and writers wait.

-- With the constraint, a version that nobody had proved counted for all load balancers as soon as the first one was removed.
ALTER TABLE templates DROP CONSTRAINT templates_canary_target_id_fkey;
COMMENT ON COLUMN templates.canary_target_id IS
    'the one target that published_version is brought to so far, removed perhaps by now; NULL: all of them';

CREATE INDEX placements_by_template ON placements (target_id, served_template) WHERE served_template IS NOT NULL;

-- The target that has a template first; NULL: none can. A domain that names no form means the shared one, where there is one.
CREATE FUNCTION template_canary(template_name text, template_form text, previous uuid) RETURNS uuid
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    WITH meant AS (
        SELECT template_name || ':' || template_form AS reference
        UNION ALL
        SELECT template_name WHERE template_form = 'shared' OR NOT EXISTS (
            SELECT 1 FROM templates WHERE name = template_name AND form = 'shared'
            AND (built_in IS NOT NULL OR published_version IS NOT NULL))
    )
    SELECT t.target_id FROM targets t
    WHERE t.release_number IS NOT NULL AND t.state NOT IN ('disabled', 'unreachable')
    -- One that shows it to nobody proves little. Whoever publishes once more wants another one.
    ORDER BY NOT EXISTS (SELECT 1 FROM placements p JOIN meant ON p.served_template = meant.reference
                         WHERE p.target_id = t.target_id AND p.served_certificate_id IS NOT NULL),
             t.target_id IS NOT DISTINCT FROM previous, t.consecutive_failures, t.name
    LIMIT 1
$$;
