-- Searches and lists of a million rows: what they look at stands in the index itself, and policies are asked once.
--
-- An index holds up writers of its table while it is built: with a million domains some seconds each. The version before goes
-- on with the new ones, which begin with the columns of those that they replace.

-- Names are looked at in their order without the rows themselves, whatever else is asked of them.
CREATE INDEX domain_names_by_name ON domain_names (name) INCLUDE (domain_id, tenant_id, external_id);
CREATE INDEX domain_names_of_tenant ON domain_names (tenant_id, name) INCLUDE (domain_id, external_id);
DROP INDEX domain_names_by_tenant;
CREATE INDEX domain_names_backwards ON domain_names (reversed) INCLUDE (domain_id, tenant_id);
DROP INDEX domain_names_reversed;
CREATE INDEX domain_names_backwards_of_tenant ON domain_names (tenant_id, reversed) INCLUDE (domain_id);
DROP INDEX domain_names_reversed_by_tenant;
CREATE INDEX domain_names_by_external_id ON domain_names (external_id, tenant_id) INCLUDE (domain_id) WHERE external_id IS NOT NULL;
DROP INDEX domain_names_external;

-- What is rare among many: what is in use is the most by far, and is found by its end.
CREATE INDEX certificates_by_status ON certificates (status, not_after, certificate_id) WHERE status <> 'active';
CREATE INDEX webhook_deliveries_by_status ON webhook_deliveries (endpoint_id, status, delivery_id) WHERE status <> 'delivered';

-- In a subquery a function is called once for each statement. Called for each row it cost more than the row, and the planner,
-- which knows nothing of it, took it for one that lets next to nothing through.
DO $$
DECLARE
    policy record;
BEGIN
    FOR policy IN
        SELECT tablename, policyname,
               replace(replace(qual, 'current_tenant()', '(SELECT current_tenant())'), 'is_platform()', '(SELECT is_platform())') AS seen,
               replace(replace(with_check, 'current_tenant()', '(SELECT current_tenant())'), 'is_platform()', '(SELECT is_platform())') AS taken
        FROM pg_policies
        WHERE schemaname = current_schema() AND roles = '{certmill_api}' AND concat(qual, with_check) ~ '(current_tenant|is_platform)\(\)'
          AND concat(qual, with_check) !~* 'SELECT'
    LOOP
        EXECUTE format('ALTER POLICY %I ON %I', policy.policyname, policy.tablename)
            || COALESCE(format(' USING (%s)', policy.seen), '') || COALESCE(format(' WITH CHECK (%s)', policy.taken), '');
    END LOOP;
END
$$;
