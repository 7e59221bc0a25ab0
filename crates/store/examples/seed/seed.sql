-- Rows as they are after a year: a giant tenant and many small ones, every status, what has gone wrong and when.
-- Deterministic but for today's date. `:domains` and `:tenants` are replaced by numbers.

-- References hold by the way rows are made, and indexes are built when all rows are there: minutes instead of an hour.
SET session_replication_role = replica;
SET maintenance_work_mem = '512MB';
SET work_mem = '256MB';
CREATE TEMP TABLE dropped AS
SELECT i.indexrelid::regclass::text AS index, pg_get_indexdef(i.indexrelid) AS definition
FROM pg_index i
WHERE NOT i.indisunique AND i.indrelid IN ('domains'::regclass, 'domain_names'::regclass, 'domain_tags'::regclass, 'orders'::regclass, 'certificates'::regclass,
    'placements'::regclass, 'problems'::regclass, 'events'::regclass, 'watches'::regclass, 'renewal_info'::regclass, 'audit_entries'::regclass,
    'webhook_deliveries'::regclass);
DO $$ DECLARE d record; BEGIN FOR d IN SELECT * FROM dropped LOOP EXECUTE 'DROP INDEX ' || d.index; END LOOP; END $$;

CREATE FUNCTION pg_temp.id(kind text, n bigint, at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE
    RETURN (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(md5(kind || n), 1, 3) || '8'
            || substr(md5(kind || n), 4, 15))::uuid;
-- A number from 0 to 1 for each row and question.
CREATE FUNCTION pg_temp.fraction(kind text, n bigint) RETURNS double precision LANGUAGE sql IMMUTABLE
    RETURN (('x' || substr(md5(kind || n), 1, 8))::bit(32)::bigint) / 4294967296.0;

INSERT INTO tenants (tenant_id, name, template, upstream, created_at)
SELECT pg_temp.id('tenant', n, date_trunc('day', now()) - interval '400 days'), CASE n WHEN 1 THEN 'Nordwind' ELSE 'Brand ' || n END,
       'storefront', '127.0.0.1:1', now() - interval '400 days'
FROM generate_series(1, :tenants) n ON CONFLICT (name) DO NOTHING;

INSERT INTO accounts (account_id, directory_url, sealed_key, url, created_at, registered_at)
SELECT pg_temp.id('account', n, now()), url, '', url || '/acct/1', now(), now()
FROM (VALUES (1, 'https://acme-v02.api.letsencrypt.org/directory'), (2, 'https://dv.acme-v02.api.pki.goog/directory')) a (n, url)
ON CONFLICT (directory_url) DO NOTHING;

INSERT INTO targets (target_id, name, address, public_addresses, settings, state, state_since, release_number, next_attempt_at, revisit, created_at)
SELECT pg_temp.id('target', n, now()), 'lb-' || n, '127.0.9.' || n || ':443', ARRAY['127.0.9.' || n],
       '{}', CASE n WHEN 4 THEN 'disabled' WHEN 3 THEN 'behind' ELSE 'in_sync' END, now() - interval '3 hours', 812, now() + interval '10 years', false,
       now() - interval '400 days'
FROM generate_series(1, 4) n ON CONFLICT (name) DO NOTHING;

CREATE TEMP TABLE plan AS
SELECT n, pg_temp.id('domain', n, created) AS domain_id, t.tenant_id, name, status, created,
       CASE WHEN status IN ('active', 'moved', 'expired', 'pending_deployment', 'paused') THEN pg_temp.id('certificate', n, not_after - interval '90 days') END AS certificate_id,
       pg_temp.id('order', n, CASE WHEN status IN ('active', 'moved', 'expired', 'pending_deployment', 'paused') THEN not_after - interval '90 days' ELSE now() END) AS order_id,
       not_after, trouble, CASE WHEN trouble IS NULL THEN 'ok' WHEN status IN ('active', 'moved') THEN 'warning' ELSE 'critical' END AS health
FROM (
    SELECT n, CASE WHEN n % 2 = 0 OR :tenants = 1 THEN 1 ELSE 2 + floor((:tenants - 1) * pg_temp.fraction('tenant of', n) ^ 3)::int END AS number,
           (ARRAY['shoes', 'garden', 'coffee', 'swift', 'nord', 'vintage', 'urban', 'little', 'green', 'royal', 'happy', 'silver', 'atelier', 'studio', 'moto', 'velo'])[1 + n % 16]
           || (ARRAY['', '-'])[1 + n / 7 % 2]
           || (ARRAY['shop', 'store', 'market', 'house', 'world', 'cheese', 'bikes', 'books', 'fashion', 'toys', 'lab', 'works', 'corner'])[1 + n / 16 % 13]
           || n || (ARRAY['.com', '.de', '.co.uk', '.fr', '.shop', '.com.au', '.nl', '.it'])[1 + n / 3 % 8] AS bare,
           date_trunc('day', now()) - pg_temp.fraction('age', n) * interval '390 days' AS created,
           CASE WHEN s < 0.940 THEN 'active' WHEN s < 0.955 THEN 'pending_dns' WHEN s < 0.965 THEN 'pending_issuance' WHEN s < 0.970 THEN 'pending_deployment'
                WHEN s < 0.980 THEN 'moved' WHEN s < 0.985 THEN 'expired' WHEN s < 0.995 THEN 'failed' WHEN s < 0.998 THEN 'paused' ELSE 'pending_deletion' END AS status,
           CASE WHEN s BETWEEN 0.980 AND 0.985 THEN date_trunc('day', now()) - pg_temp.fraction('end', n) * interval '60 days'
                ELSE date_trunc('day', now()) + interval '1 day' + pg_temp.fraction('end', n) * interval '88 days' END AS not_after,
           CASE WHEN s < 0.020 THEN (ARRAY['caa_forbids', 'http_unreachable', 'ca_rate_limited', 'dns_extra_addresses'])[1 + n % 4]
                WHEN s BETWEEN 0.940 AND 0.955 THEN (ARRAY['dns_not_found', 'dns_wrong_target', 'dns_servfail', 'dns_delegation_missing'])[1 + n % 4]
                WHEN s BETWEEN 0.960 AND 0.965 THEN 'ca_rate_limited' WHEN s BETWEEN 0.968 AND 0.970 THEN 'target_unreachable'
                WHEN s BETWEEN 0.970 AND 0.980 THEN 'dns_wrong_target' WHEN s BETWEEN 0.980 AND 0.985 THEN 'http_unreachable'
                WHEN s BETWEEN 0.985 AND 0.995 THEN (ARRAY['ca_rejected_name', 'dns_not_found'])[1 + n % 2] END AS trouble
    FROM (SELECT n, pg_temp.fraction('status', n) AS s FROM generate_series(1, :domains) n) AS numbered
) AS said, LATERAL (SELECT CASE WHEN n % 5 = 0 THEN 'www.' || bare ELSE bare END AS name) AS named
JOIN LATERAL (SELECT pg_temp.id('tenant', said.number, date_trunc('day', now()) - interval '400 days') AS tenant_id) AS t ON true
ORDER BY domain_id;

INSERT INTO domains (domain_id, tenant_id, name, external_id, status, status_since, health, renew_after, expires_at, next_action_at, check_after,
                     consecutive_failures, created_at, updated_at, certificate_id)
SELECT domain_id, tenant_id, name, 'shop-' || n, status, LEAST(created + interval '1 hour', now()), health,
       CASE WHEN certificate_id IS NOT NULL THEN not_after - interval '30 days' + interval '30 days' * pg_temp.fraction('renew', n) END,
       CASE WHEN certificate_id IS NOT NULL THEN not_after END, now() + interval '10 years', now() + interval '10 years',
       CASE WHEN trouble IS NULL THEN 0 ELSE 3 END, created, now() - pg_temp.fraction('updated', n) ^ 2 * (now() - created), certificate_id
FROM plan;
INSERT INTO domain_names (domain_id, tenant_id, name, external_id) SELECT domain_id, tenant_id, name, 'shop-' || n FROM plan;

INSERT INTO orders (order_id, tenant_id, domain_id, account_id, names, status, problem, created_at, updated_at, challenges)
SELECT p.order_id, tenant_id, domain_id, pg_temp.id('account', CASE WHEN n % 11 = 0 THEN 2 ELSE 1 END, now()), ARRAY[name],
       CASE WHEN certificate_id IS NOT NULL THEN 'valid' WHEN status = 'pending_issuance' AND n % 3 = 0 THEN 'pending' ELSE 'invalid' END,
       CASE WHEN certificate_id IS NULL THEN jsonb_build_object('type', 'urn:ietf:params:acme:error:' || (ARRAY['caa', 'connection', 'unauthorized', 'rateLimited'])[1 + n % 4],
           'detail', 'The CA could not prove the name.', 'status', 403) END,
       LEAST(not_after - interval '90 days', now()), LEAST(not_after - interval '90 days', now()) + interval '40 seconds', ARRAY['http-01']
FROM plan p WHERE certificate_id IS NOT NULL OR status IN ('pending_issuance', 'failed')
ORDER BY p.order_id;
INSERT INTO certificates (certificate_id, tenant_id, domain_id, order_id, names, status, serial_number, fingerprint, issuer, not_before, not_after, fullchain, created_at, key_type)
SELECT certificate_id, tenant_id, domain_id, order_id, ARRAY[name], CASE WHEN status = 'expired' THEN 'expired' WHEN status = 'pending_deployment' THEN 'issued' ELSE 'active' END,
       md5('serial' || n), decode(md5('leaf' || n) || md5('print' || n), 'hex'), (ARRAY['CN=R12, O=Let''s Encrypt, C=US', 'CN=WE1, O=Google Trust Services, C=US'])[CASE WHEN n % 11 = 0 THEN 2 ELSE 1 END],
       not_after - interval '90 days', not_after, '-----BEGIN CERTIFICATE-----', not_after - interval '90 days', CASE WHEN n % 9 = 0 THEN 'rsa_2048' ELSE 'ecdsa_p256' END
FROM plan WHERE certificate_id IS NOT NULL ORDER BY certificate_id;
INSERT INTO renewal_info (certificate_id, tenant_id, account_id, identifier, window_start, window_end, poll_after)
SELECT certificate_id, tenant_id, pg_temp.id('account', CASE WHEN n % 11 = 0 THEN 2 ELSE 1 END, now()), 'aki.' || n, not_after - interval '31 days',
       not_after - interval '29 days', now() + interval '10 years'
FROM plan WHERE certificate_id IS NOT NULL ORDER BY certificate_id;
INSERT INTO watches (domain_id, tenant_id, due_at, looked_at, seen, not_before, not_after)
SELECT domain_id, tenant_id, now() + interval '10 years', now() - pg_temp.fraction('looked', n) * interval '1 day', 'right', not_after - interval '90 days', not_after
FROM plan WHERE status = 'active';

INSERT INTO placements (target_id, domain_id, tenant_id, shard, wanted_certificate_id, wanted_revision, served_certificate_id, served_revision, pending, next_attempt_at, served_at)
SELECT pg_temp.id('target', t, now()), domain_id, tenant_id, get_byte(uuid_send(domain_id), 15), certificate_id, 1,
       CASE WHEN status <> 'pending_deployment' THEN certificate_id END, 1, status = 'pending_deployment', now() + interval '10 years', LEAST(not_after - interval '89 days', now())
FROM plan, generate_series(1, 2) t WHERE certificate_id IS NOT NULL;
INSERT INTO problems (domain_id, tenant_id, code, detail, since, last_attempt_at, next_attempt_at)
SELECT domain_id, tenant_id, trouble, 'As it was last seen of ' || name || '.', now() - pg_temp.fraction('since', n) * interval '20 days',
       now() - pg_temp.fraction('last', n) * interval '1 day', now() + pg_temp.fraction('next', n) * interval '1 day'
FROM plan WHERE trouble IS NOT NULL;
INSERT INTO domain_tags (domain_id, tag, tenant_id)
SELECT domain_id, tag, tenant_id FROM plan, LATERAL (VALUES (CASE n % 4 WHEN 0 THEN 'eu' WHEN 1 THEN 'us' END), (CASE WHEN n % 1000 = 0 THEN 'vip' END),
    (CASE WHEN n % 97 = 0 THEN 'beta' END)) AS tagged (tag) WHERE tag IS NOT NULL;
INSERT INTO domain_metadata (domain_id, tenant_id, metadata) SELECT domain_id, tenant_id, '{"plan": "gold"}' FROM plan WHERE n % 10 = 0;
INSERT INTO events (event_id, tenant_id, domain_id, kind, detail, happened_at, position)
SELECT pg_temp.id(kind, n, at), tenant_id, domain_id, kind, '', at, row_number() OVER (ORDER BY at, n, kind)
FROM plan, LATERAL (VALUES ('domain_created', created), ('certificate_issued', CASE WHEN certificate_id IS NOT NULL THEN LEAST(not_after - interval '90 days', now()) END),
    ('problem_opened', CASE WHEN trouble IS NOT NULL THEN now() - pg_temp.fraction('since', n) * interval '20 days' END)) AS told (kind, at) WHERE at IS NOT NULL
ORDER BY 1;
UPDATE event_feed SET last_position = (SELECT max(position) FROM events);
INSERT INTO deployments (deployment_id, target_id, release_number, status, domains, problem, started_at, finished_at)
SELECT pg_temp.id('deployment', n, at), pg_temp.id('target', 1 + n % 2, now()), n, CASE WHEN n % 50 = 0 THEN 'failed' WHEN n % 333 = 0 THEN 'rolled_back' ELSE 'succeeded' END,
       1 + n % 200, CASE WHEN n % 50 = 0 THEN 'nginx: [emerg] host not found in upstream' END, at, at + interval '4 seconds'
FROM generate_series(1, 20000) n, LATERAL (SELECT now() - n * interval '10 minutes' AS at) AS then_;

INSERT INTO users (user_id, tenant_id, email, name, role, created_at, updated_at)
SELECT pg_temp.id('user', n * 8 + k, created_at), tenant_id, 'person' || k || '@brand' || n || '.example', 'Person ' || k,
       (ARRAY['tenant_admin', 'operator', 'viewer'])[k], created_at, created_at
FROM (SELECT tenant_id, created_at, row_number() OVER (ORDER BY tenant_id) AS n FROM tenants) t, generate_series(1, 3) k;
INSERT INTO api_tokens (token_id, tenant_id, name, hash, created_at, expires_at, scopes, created_by)
SELECT pg_temp.id('token', n * 8 + k, created_at), tenant_id, 'program ' || k, sha256(('token' || n || k)::bytea), created_at, now() + interval '90 days', '{admin}', 'command line'
FROM (SELECT tenant_id, created_at, row_number() OVER (ORDER BY tenant_id) AS n FROM tenants) t, generate_series(1, 3) k;
INSERT INTO audit_entries (entry_id, tenant_id, actor_kind, actor_id, actor_name, action, object_kind, object_id, object_name, detail, happened_at)
SELECT pg_temp.id('audit', n, created), tenant_id, 'token', tenant_id::text, 'program 1', CASE WHEN n % 50 = 0 THEN 'domain.paused' ELSE 'domain.added' END,
       'domain', domain_id::text, name, '{}', created
FROM plan ORDER BY 1;
INSERT INTO webhook_endpoints (endpoint_id, tenant_id, url, description, created_at, updated_at)
SELECT pg_temp.id('endpoint', n, created_at), tenant_id, 'https://hooks.brand' || n || '.example/in', '', created_at, created_at
FROM (SELECT tenant_id, created_at, row_number() OVER (ORDER BY tenant_id) AS n FROM tenants) t;
INSERT INTO webhook_deliveries (delivery_id, tenant_id, endpoint_id, event_id, kind, status, attempts, next_attempt_at, response_status, duration_ms, created_at)
SELECT pg_temp.id('delivery', n, created), tenant_id, endpoint_id, pg_temp.id('domain_created', n, created), 'domain_created',
       CASE WHEN n % 500 = 0 THEN 'failed' ELSE 'delivered' END, 1, created, CASE WHEN n % 500 = 0 THEN 500 ELSE 204 END, 12, created
FROM plan JOIN webhook_endpoints USING (tenant_id) WHERE n % 5 = 0 ORDER BY 1;
INSERT INTO alerts (alert_id, tenant_id, code, about, level, is_incident, names, first, detail, since, last_attempt_at, opened_at, resolved_at)
SELECT pg_temp.id('alert', n, at), tenant_id, code, '', 'late', false, names, '[]', '', at, at, at, CASE WHEN is_over THEN at + interval '1 day' END
FROM (SELECT tenant_id, trouble AS code, is_over, count(*) AS names, min(n) * 2 + is_over::int AS n, min(created) AS at
      FROM plan, (VALUES (false), (true)) AS o (is_over) WHERE trouble IS NOT NULL GROUP BY 1, 2, 3) AS caused;

INSERT INTO operations (operation_id, tenant_id, status, title, total, done, failed, reached, is_complete, created_at, started_at, finished_at, updated_at)
SELECT pg_temp.id('operation', n, at), pg_temp.id('tenant', 1, date_trunc('day', now()) - interval '400 days'), 'succeeded', 'Import of ' || at::date, lines, lines,
       CASE WHEN n = 1 THEN 2000 ELSE 0 END, lines, true, at, at, at + interval '1 minute', at + interval '1 minute'
FROM generate_series(1, 5000) n, LATERAL (SELECT now() - n * interval '1 hour' AS at, CASE WHEN n = 1 THEN 100000 ELSE 10 END AS lines) AS then_;
INSERT INTO operation_lines (operation_id, line, tenant_id, ref, action, name, wish, result, domain_id, code, detail)
SELECT o.operation_id, line, o.tenant_id, 'shop-' || line, 'put', 'imported' || line || '.example', '{}', CASE WHEN line % 50 = 0 AND total > 10 THEN 422 ELSE 201 END, NULL,
       CASE WHEN line % 50 = 0 AND total > 10 THEN 'reserved_name' END, CASE WHEN line % 50 = 0 AND total > 10 THEN 'The name is reserved.' END
FROM operations o, generate_series(1, o.total) line;

DO $$ DECLARE d record; BEGIN FOR d IN SELECT * FROM dropped LOOP EXECUTE d.definition; END LOOP; END $$;
RESET session_replication_role;
UPDATE rollups SET next_at = '-infinity';
