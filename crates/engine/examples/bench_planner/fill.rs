//! Rows as they are after years: made by SQL, because a million of them by the front door takes an hour.

use sqlx::AssertSqlSafe;

use crate::{Base, Done};

/// Tenants.
const TENANTS: i64 = 1_000;

/// So many domains: 97 of 100 active, looked at once a day and renewed within 60 days, the others failing. None is due for
/// the next four hours.
pub(crate) async fn domains(base: &Base, domains: i64) -> Done {
    run(
        base,
        format!(
            "INSERT INTO tenants (tenant_id, name, template, upstream, created_at)
             SELECT gen_random_uuid(), 'tenant ' || n, 'storefront', '127.0.0.1:1', now() FROM generate_series(1, {TENANTS}) n"
        ),
    )
    .await?;
    run(
        base,
        format!(
            "WITH owners AS (SELECT tenant_id, row_number() OVER () AS number FROM tenants)
             INSERT INTO domains (domain_id, tenant_id, name, status, status_since, consecutive_failures, next_action_at,
                                  renew_after, expires_at, check_after, created_at, updated_at)
             SELECT gen_random_uuid(), o.tenant_id, 's' || n || '.example.com',
                    CASE WHEN n % 100 < 97 THEN 'active' ELSE 'pending_dns' END, now(),
                    CASE WHEN n % 100 < 97 THEN 0 ELSE 9 END, now() + interval '4 hours' + random() * interval '1 day',
                    now() + random() * interval '60 days', now() + interval '30 days' + random() * interval '60 days',
                    now() + random() * interval '1 day', now(), now()
             FROM generate_series(1, {domains}) n JOIN owners o ON o.number = n % {TENANTS} + 1"
        ),
    )
    .await?;
    run(base, "VACUUM ANALYZE".to_owned()).await
}

/// Makes so many of those due that are as `condition` says, since up to an hour.
pub(crate) async fn make_due(base: &Base, due: i64, condition: &str) -> Done {
    run(
        base,
        format!(
            "UPDATE domains SET next_action_at = now() - random() * interval '1 hour', nudged_until = NULL, lease_until = NULL
             WHERE domain_id IN (SELECT domain_id FROM domains WHERE {condition} AND domain_id >= (SELECT overlay(gen_random_uuid()::text PLACING '0' FROM 1 FOR 1)::uuid)
                                 ORDER BY domain_id LIMIT {due})"
        ),
    )
    .await?;
    Ok(())
}

/// Whatever is due is so no more, and nothing waits in the queue.
pub(crate) async fn nothing_due(base: &Base) -> Done {
    run(
        base,
        "UPDATE domains SET next_action_at = now() + interval '4 hours' + random() * interval '1 day', nudged_until = NULL
         WHERE next_action_at <= now() + interval '1 minute'"
            .to_owned(),
    )
    .await?;
    run(base, "DELETE FROM apalis.jobs".to_owned()).await
}

/// Runs a statement of ours.
pub(crate) async fn run(base: &Base, statement: String) -> Done {
    sqlx::query(AssertSqlSafe(statement)).execute(&base.owner).await?;
    Ok(())
}
