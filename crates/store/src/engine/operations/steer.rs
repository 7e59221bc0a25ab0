//! Lines that look at domains, renew, pause and resume them: a few statements for all of them.

use certmill_model::{BulkAction, Chance, DomainStatus, Possible, TenantId};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Line, Outcome};
use crate::{
    StoreError, TenantTx,
    rows::parsed,
    steering::{lock_with_members, pause, resume},
};

/// A domain that is meant, and that nobody else changes.
struct Meant {
    id: Uuid,
    name: String,
    status: DomainStatus,
    is_renewable: bool,
}

/// Does to each domain what a request of its own would do.
pub(super) async fn steer(
    tx: &mut TenantTx,
    action: BulkAction,
    lines: &[Line],
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<Vec<Outcome>, StoreError> {
    let meant = lock(tx, lines).await?;
    let possible = |one: &Meant| action.possible(one.status, one.is_renewable);
    let ids: Vec<_> = meant.iter().filter(|one| possible(one) == Possible::Now).map(|one| one.id).collect();
    let tenant = tx.tenant;
    match action {
        BulkAction::Pause => pause(&mut tx.tx, tenant, &ids, chance, now).await?,
        BulkAction::Resume => resume(&mut tx.tx, tenant, &ids, chance, now).await?,
        _ => hasten(&mut tx.tx, tenant, action, &ids, now).await?,
    }
    let outcome = |line: &Line| match meant.iter().find(|one| one.name == line.name.as_str()) {
        None => Outcome::missing(line.number),
        Some(one) => match possible(one) {
            Possible::Now => Outcome::done(line.number, action.done(), one.id),
            Possible::Already(_) => Outcome::done(line.number, 200, one.id),
            Possible::Not(code, why) => Outcome::failed(line.number, 409, code, why),
        },
    };
    Ok(lines.iter().map(outcome).collect())
}

/// Read once they are locked: what is possible then stays so.
async fn lock(tx: &mut TenantTx, lines: &[Line]) -> Result<Vec<Meant>, StoreError> {
    let ids = lock_named(tx, lines).await?;
    let tenant = tx.tenant;
    let rows = sqlx::query!(
        r#"SELECT domain_id, name, status, renew_after IS NOT NULL AS "is_renewable!" FROM domains
           WHERE domain_id = ANY ($1) AND tenant_id = $2 AND status <> 'deleted'"#,
        &ids,
        tenant.uuid(),
    )
    .fetch_all(&mut *tx.tx)
    .await?;
    let meant = rows.into_iter().map(|row| {
        let status = parsed("domains", &row.status)?;
        Ok(Meant { id: row.domain_id, name: row.name, status, is_renewable: row.is_renewable })
    });
    meant.collect()
}

/// Locks what lines name, in the order in which everybody locks domains, whatever order the lines have.
pub(super) async fn lock_named(tx: &mut TenantTx, lines: &[Line]) -> Result<Vec<Uuid>, StoreError> {
    let names: Vec<_> = lines.iter().map(|line| line.name.to_string()).collect();
    let tenant = tx.tenant;
    let ids = sqlx::query_scalar!(
        "SELECT domain_id FROM domains WHERE tenant_id = $1 AND name = ANY ($2) AND status <> 'deleted'",
        tenant.uuid(),
        &names,
    )
    .fetch_all(&mut *tx.tx)
    .await?;
    lock_with_members(&mut tx.tx, &ids).await?;
    Ok(ids)
}

/// Has domains looked at, or renewed, now.
async fn hasten(
    connection: &mut PgConnection,
    tenant: TenantId,
    action: BulkAction,
    domains: &[Uuid],
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE domains SET nudged_until = NULL, updated_at = $3, next_action_at = $3,
             check_after = CASE WHEN $2::text = 'check' THEN $3 ELSE check_after END,
             renew_after = CASE WHEN $2::text = 'renew' THEN $3 ELSE renew_after END,
             revision = revision + CASE WHEN $2::text = 'renew' THEN 1 ELSE 0 END,
             consecutive_failures = CASE WHEN $2::text = 'check' AND status IN ('pending_dns', 'failed')
                                         THEN 0 ELSE consecutive_failures END
         WHERE domain_id = ANY ($1) AND tenant_id = $4",
        domains,
        action.as_str(),
        now,
        tenant.uuid(),
    )
    .execute(connection)
    .await?;
    Ok(())
}
