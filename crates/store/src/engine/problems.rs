//! Problems of domains, opened and closed, and what the timeline says of them.

use certmill_model::{Chance, DomainId, EventKind, ProblemCode};
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{Engine, events::add_events, orders::lock};
use crate::StoreError;

impl Engine {
    /// Closes the problems of `domains` that have one of `codes`.
    pub async fn resolve(
        &self,
        domains: &[DomainId],
        codes: &[ProblemCode],
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        resolve_problems(&mut tx, domains, codes, chance, now).await?;
        Ok(tx.commit().await?)
    }
}

/// Opens a problem for each of `domains`, or brings the open one up to date; only a new one is told on the timeline.
pub(super) async fn open_problem(
    connection: &mut PgConnection,
    domains: &[DomainId],
    code: ProblemCode,
    detail: &str,
    next_attempt_at: Option<OffsetDateTime>,
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    if domains.is_empty() {
        return Ok(());
    }
    lock(connection, domains).await?;
    let ids: Vec<_> = domains.iter().map(|id| id.uuid()).collect();
    let opened = sqlx::query!(
        r#"INSERT INTO problems (domain_id, tenant_id, code, detail, since, last_attempt_at, next_attempt_at)
           SELECT domain_id, tenant_id, $2, $3, $4, $4, $5 FROM domains WHERE domain_id = ANY($1)
           ON CONFLICT (domain_id, code) DO UPDATE SET detail = EXCLUDED.detail,
               last_attempt_at = EXCLUDED.last_attempt_at, next_attempt_at = EXCLUDED.next_attempt_at
           RETURNING domain_id, (xmax = 0) AS "is_new!""#,
        &ids,
        code.as_str(),
        detail,
        now,
        next_attempt_at,
    )
    .fetch_all(&mut *connection)
    .await?;
    sqlx::query!(
        "UPDATE domains SET health = CASE WHEN status IN ('active', 'moved') THEN 'warning' ELSE 'critical' END
         WHERE domain_id = ANY($1)",
        &ids,
    )
    .execute(&mut *connection)
    .await?;
    let new: Vec<_> =
        opened.iter().filter(|row| row.is_new).map(|row| DomainId::from_uuid(row.domain_id)).collect();
    let told = format!("{}: {detail}", code.title());
    add_events(connection, &new, EventKind::ProblemOpened, &told, chance, now).await
}

/// Closes the problems of `domains` that have one of `codes`, and tells it on the timeline.
pub(super) async fn resolve_problems(
    connection: &mut PgConnection,
    domains: &[DomainId],
    codes: &[ProblemCode],
    chance: &Chance,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    // Before the look for what is left: a problem that another opens meanwhile is seen, and health says so.
    lock(connection, domains).await?;
    let ids: Vec<_> = domains.iter().map(|id| id.uuid()).collect();
    let codes: Vec<_> = codes.iter().map(|code| code.as_str().to_owned()).collect();
    let resolved = sqlx::query!(
        "DELETE FROM problems WHERE domain_id = ANY($1) AND code = ANY($2) RETURNING domain_id, code",
        &ids,
        &codes,
    )
    .fetch_all(&mut *connection)
    .await?;
    for row in resolved {
        let title = crate::rows::parsed::<ProblemCode>("problems", &row.code)?.title();
        let domain = DomainId::from_uuid(row.domain_id);
        add_events(connection, &[domain], EventKind::ProblemResolved, title, chance, now).await?;
    }
    sqlx::query!(
        "UPDATE domains d SET health = 'ok' WHERE domain_id = ANY($1) AND health <> 'ok'
         AND NOT EXISTS (SELECT 1 FROM problems p WHERE p.domain_id = d.domain_id)",
        &ids,
    )
    .execute(connection)
    .await?;
    Ok(())
}
