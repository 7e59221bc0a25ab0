//! The watch over what is served: which names are to be looked at, and what was seen.

use certmill_model::{Chance, DomainId, Hostname, ProblemCode, SeenServed, Validity, WatchMemory, WatchTurn};
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};

use super::{
    Engine,
    problems::{open_problem, resolve_problems},
};
use crate::{StoreError, rows::hostname};

/// How long a look may take: then another process takes the name up.
const LOOK: Duration = Duration::minutes(3);

/// How long a name that is not active is left alone.
const NOT_ACTIVE: Duration = Duration::hours(6);

/// Names that get a watch at a time, which an engine of the version before has left without one.
const MISSING: i64 = 5_000;

/// A name to be looked at.
#[derive(Clone, Debug)]
pub struct DueWatch {
    /// Its domain.
    pub domain_id: DomainId,
    /// The name.
    pub name: Hostname,
    /// The certificates that may be seen, the one that is meant first: the leaf's SHA-256, the whole chain in PEM, and when
    /// it is valid.
    pub certificates: Vec<MeantCertificate>,
    /// A load balancer is being told of something new.
    pub is_being_delivered: bool,
    /// What is remembered.
    pub memory: WatchMemory,
    /// Changes when somebody else takes it up.
    due_at: OffsetDateTime,
}

/// A certificate that may be seen.
#[derive(Clone, Debug)]
pub struct MeantCertificate {
    /// SHA-256 of the leaf.
    pub fingerprint: Vec<u8>,
    /// Leaf and chain, in PEM.
    pub fullchain: String,
    /// When it is valid.
    pub validity: Validity,
}

/// What a look showed.
#[derive(Clone, Debug)]
pub struct Watched {
    /// What was seen.
    pub seen: SeenServed,
    /// In words.
    pub detail: String,
    /// Of the valid certificate that was seen, if one was.
    pub validity: Option<Validity>,
    /// What follows.
    pub turn: WatchTurn,
}

impl Engine {
    /// Takes up to `limit` names that are due, to be looked at by the caller alone for a while. Names that are not active
    /// are put off, and answered as none.
    pub async fn take_due_watches(
        &self,
        limit: i64,
        now: OffsetDateTime,
    ) -> Result<Vec<DueWatch>, StoreError> {
        let rows = sqlx::query!(
            r#"UPDATE watches w SET due_at = CASE WHEN d.status = 'active' THEN $2::timestamptz ELSE $3::timestamptz END
               FROM domains d
               WHERE d.domain_id = w.domain_id AND w.domain_id IN (
                   SELECT domain_id FROM watches WHERE due_at <= $1 ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED)
               RETURNING w.domain_id, d.name, d.status = 'active' AS "is_active!",
                   d.status = 'deleted' AS "is_deleted!", w.wrong_looks, w.wrong_since,
                   w.has_alarmed, w.due_at,
                   EXISTS (SELECT 1 FROM placements p WHERE p.domain_id = d.domain_id AND p.pending
                             AND p.consecutive_failures = 0) AS "is_being_delivered!""#,
            now,
            now + LOOK,
            now + NOT_ACTIVE,
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        let gone: Vec<_> = rows.iter().filter(|row| row.is_deleted).map(|row| row.domain_id).collect();
        if !gone.is_empty() {
            sqlx::query!("DELETE FROM watches WHERE domain_id = ANY($1)", &gone).execute(&self.pool).await?;
        }
        let mut due = Vec::new();
        for row in rows.into_iter().filter(|row| row.is_active) {
            let domain_id = DomainId::from_uuid(row.domain_id);
            due.push(DueWatch {
                domain_id,
                name: hostname("domains", &row.name)?,
                certificates: self.meant_certificates(domain_id, now).await?,
                is_being_delivered: row.is_being_delivered,
                memory: WatchMemory {
                    wrong_looks: row.wrong_looks.unsigned_abs(),
                    wrong_since: row.wrong_since,
                    has_alarmed: row.has_alarmed,
                },
                due_at: row.due_at,
            });
        }
        Ok(due)
    }

    /// What a name may be served with at `now`: its certificate, and those before it that are still valid.
    async fn meant_certificates(
        &self,
        domain: DomainId,
        now: OffsetDateTime,
    ) -> Result<Vec<MeantCertificate>, StoreError> {
        let rows = sqlx::query!(
            "SELECT c.fingerprint, c.fullchain, c.not_before, c.not_after FROM domains d
             JOIN certificates c ON c.certificate_id = d.certificate_id OR c.domain_id = d.domain_id
             WHERE d.domain_id = $1 AND c.not_after > $2 AND c.status <> 'revoked'
             ORDER BY c.certificate_id = d.certificate_id DESC, c.certificate_id DESC LIMIT 8",
            domain.uuid(),
            now,
        )
        .fetch_all(&self.pool)
        .await?;
        let meant = rows.into_iter().map(|row| MeantCertificate {
            fingerprint: row.fingerprint,
            fullchain: row.fullchain,
            validity: Validity { not_before: row.not_before, not_after: row.not_after },
        });
        Ok(meant.collect())
    }

    /// Records a look, and what follows from it; nothing if somebody else has taken the name up since.
    pub async fn watched(
        &self,
        due: &DueWatch,
        watched: &Watched,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let memory = &watched.turn.memory;
        let next = now + watched.turn.wait;
        let mut tx = self.pool.begin().await?;
        let done = sqlx::query!(
            "UPDATE watches SET due_at = $3, looked_at = $4, seen = $5, detail = $6,
                 not_before = COALESCE($7, not_before), not_after = COALESCE($8, not_after), wrong_looks = $9,
                 wrong_since = $10, has_alarmed = $11
             WHERE domain_id = $1 AND due_at = $2",
            due.domain_id.uuid(),
            due.due_at,
            next,
            now,
            watched.seen.as_str(),
            watched.detail,
            watched.validity.map(|validity| validity.not_before),
            watched.validity.map(|validity| validity.not_after),
            memory.wrong_looks as i32,
            memory.wrong_since,
            memory.has_alarmed,
        )
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::LeaseLost);
        }
        let code = ProblemCode::ServedWrongCertificate;
        if watched.turn.opens {
            open_problem(&mut tx, &[due.domain_id], code, &watched.detail, Some(next), chance, now).await?;
        }
        if watched.turn.closes && !is_undelivered(&mut tx, due.domain_id).await? {
            resolve_problems(&mut tx, &[due.domain_id], &[code], chance, now).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Gives a watch to up to a few thousand active names that have none: those that an engine of the version before made
    /// active. Answers how many there were.
    pub async fn add_missing_watches(&self, now: OffsetDateTime) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "INSERT INTO watches (domain_id, tenant_id, due_at)
             SELECT d.domain_id, d.tenant_id, $1::timestamptz + random() * interval '12 hours' FROM domains d
             WHERE d.status = 'active' AND NOT EXISTS (SELECT 1 FROM watches w WHERE w.domain_id = d.domain_id)
             LIMIT $2
             ON CONFLICT DO NOTHING",
            now,
            MISSING,
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }
}

/// Domains that have just been proved at every load balancer are looked at by their name within some minutes.
pub(super) async fn watch_soon(
    connection: &mut PgConnection,
    domains: &[uuid::Uuid],
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO watches (domain_id, tenant_id, due_at)
         SELECT d.domain_id, d.tenant_id, $2::timestamptz + (1 + random() * 14) * interval '1 minute' FROM domains d
         WHERE d.domain_id = ANY($1)
         ON CONFLICT (domain_id) DO UPDATE SET due_at = LEAST(watches.due_at, EXCLUDED.due_at)",
        domains,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A load balancer has said itself that it does not serve the domain: that is not over because another one does.
async fn is_undelivered(connection: &mut PgConnection, domain: DomainId) -> Result<bool, StoreError> {
    let found = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM placements WHERE domain_id = $1 AND pending AND consecutive_failures > 0)
           AS "found!""#,
        domain.uuid(),
    )
    .fetch_one(connection)
    .await?;
    Ok(found)
}
