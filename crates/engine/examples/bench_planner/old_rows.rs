//! What a million old orders and a million old events cost a claim, and how fast they go.

use certmill_model::DomainId;
use certmill_store::Expendable;
use tokio::time::Instant;

use crate::{Base, Done, fill, median, now, say};

const CLAIMS: i64 = 1_000;

pub(crate) async fn measure(base: &Base) -> Done {
    // The first claims make what domains of older versions lack.
    claims(base).await?;
    let before = claims(base).await?;
    fill(base).await?;
    claims(base).await?;
    let after = claims(base).await?;
    say(&format!("a claim: {before:.2} ms, with 1,000,000 old orders and events {after:.2} ms"));
    for kind in [Expendable::Orders, Expendable::Events] {
        let began = Instant::now();
        let rows = base.engine.delete_expendable(kind, now(), async || {}).await?;
        let seconds = began.elapsed().as_secs_f64();
        say(&format!("{kind:?}: {rows} rows deleted in {seconds:.1} s"));
    }
    Ok(())
}

/// The median of a claim, in milliseconds.
async fn claims(base: &Base) -> Done<f64> {
    fill::nothing_due(base).await?;
    let ids: Vec<uuid::Uuid> = sqlx::query_scalar(
        "SELECT domain_id FROM domains WHERE status = 'active' ORDER BY domain_id LIMIT $1",
    )
    .bind(CLAIMS)
    .fetch_all(&base.owner)
    .await?;
    sqlx::query("UPDATE domains SET next_action_at = now() WHERE domain_id = ANY ($1)")
        .bind(&ids)
        .execute(&base.owner)
        .await?;
    let mut times = Vec::new();
    for id in ids {
        let began = Instant::now();
        let claimed = base.engine.claim_domain(DomainId::from_uuid(id), now()).await?;
        times.push(began.elapsed().as_secs_f64() * 1_000.0);
        let claimed = claimed.ok_or("a domain that is due was not claimed")?;
        base.engine.rest(&claimed.lease, Some(now() + time::Duration::DAY)).await?;
    }
    Ok(median(&mut times))
}

/// One order and one event for each domain, a tenth of them old enough to go.
async fn fill(base: &Base) -> Done {
    fill::run(
        base,
        "INSERT INTO accounts (account_id, directory_url, sealed_key, created_at)
         VALUES (gen_random_uuid(), 'https://ca.test/dir', '', now())"
            .to_owned(),
    )
    .await?;
    fill::run(
        base,
        "INSERT INTO orders (order_id, tenant_id, domain_id, account_id, names, status, created_at, updated_at)
         SELECT gen_random_uuid(), d.tenant_id, d.domain_id, a.account_id, ARRAY[d.name], 'invalid', at, at
         FROM domains d, accounts a, LATERAL (SELECT now() - (random() + 0 * length(d.name)) * interval '100 days') t (at)"
            .to_owned(),
    )
    .await?;
    fill::run(
        base,
        "INSERT INTO events (event_id, tenant_id, domain_id, kind, detail, happened_at)
         SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || substr(gen_random_uuid()::text, 14))::uuid,
                d.tenant_id, d.domain_id, 'domain_changed', '', at
         FROM domains d, LATERAL (SELECT now() - (random() + 0 * length(d.name)) * interval '444 days') t (at)"
            .to_owned(),
    )
    .await?;
    fill::run(base, "VACUUM ANALYZE".to_owned()).await
}
