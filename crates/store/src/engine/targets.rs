//! Targets that something is to be delivered to, and the claim on one.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use certmill_model::{GroupId, TargetId, TargetState, UpstreamAddress};
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{Engine, LEASE, NUDGE, domains::held, interval};
use crate::{StoreError, rows::parsed};

/// The right to deliver to a target, until it expires or another claims.
#[derive(Clone, Copy, Debug)]
pub struct TargetLease {
    /// The target.
    pub target_id: TargetId,
    pub(super) token: i64,
}

/// A target in the hands of this worker.
pub struct ClaimedTarget {
    /// The right to deliver and record.
    pub lease: TargetLease,
    /// Its name.
    pub name: String,
    /// Where a handshake proves what it serves.
    pub address: SocketAddr,
    /// How it is reached and laid out.
    pub settings: serde_json::Value,
    /// How it stood.
    pub state: TargetState,
    /// Failed deliveries in a row.
    pub consecutive_failures: u32,
    /// What is live there; `None` before the first release.
    pub release: Option<ReleaseRecord>,
    /// Whether its settings, or what releases are rendered from, may have changed.
    pub revisit: bool,
    /// Grows with every change of a template: what is published after the claim makes another look necessary.
    pub templates_revision: i64,
    /// What its operators are to read beside its state when it is let go, whatever it serves.
    pub remark: Option<String>,
}

/// A release that is live on a target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReleaseRecord {
    /// Its number; numbers only grow.
    pub number: i64,
    /// Path -> SHA-256 of its files.
    pub manifest: BTreeMap<String, String>,
    /// What else it was rendered from: the templates and the layout.
    pub rendered_from: String,
    /// Where it may send requests.
    pub upstreams: BTreeSet<UpstreamAddress>,
}

/// A target as the world sees it.
#[derive(Clone, Debug)]
pub struct PublicPlace {
    /// What shops' A and AAAA records must hold to lead there.
    pub addresses: BTreeSet<IpAddr>,
    /// Where we reach it ourselves.
    pub reached_at: IpAddr,
    /// Where a handshake proves what it serves.
    pub serves_at: SocketAddr,
    /// It has a release, so that it answers challenges.
    pub is_ready: bool,
    /// An operator has left it out: no name is led there any more, and none has moved because it still is.
    pub is_disabled: bool,
    /// The group that it serves in.
    pub group_id: Option<GroupId>,
}

impl Engine {
    /// Takes up to `limit` targets that are to be looked at, or to which something is to be delivered that has waited
    /// since `pending_since`, and that nobody holds or was told of.
    pub async fn take_due_targets(
        &self,
        connection: &mut PgConnection,
        limit: i64,
        pending_since: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<Vec<(TargetId, i64)>, StoreError> {
        let rows = sqlx::query!(
            "UPDATE targets SET nudged_until = now() + $3
             WHERE target_id = ANY (ARRAY (
                 SELECT target_id FROM targets t
                 WHERE next_attempt_at <= $1 AND state <> 'disabled'
                   AND (lease_until IS NULL OR lease_until < now())
                   AND (nudged_until IS NULL OR nudged_until < now())
                   AND (revisit OR EXISTS (
                       SELECT 1 FROM placements p
                       WHERE p.target_id = t.target_id AND p.pending AND p.next_attempt_at <= $4))
                 ORDER BY next_attempt_at LIMIT $2
                 FOR UPDATE SKIP LOCKED))
             RETURNING target_id, lease_token",
            now,
            limit,
            interval(NUDGE),
            pending_since,
        )
        .fetch_all(connection)
        .await?;
        Ok(rows.into_iter().map(|row| (TargetId::from_uuid(row.target_id), row.lease_token)).collect())
    }

    /// Claims a target whose time has come at `now`. `None`: it has not, or another worker has it.
    pub async fn claim_target(
        &self,
        target: TargetId,
        now: OffsetDateTime,
    ) -> Result<Option<ClaimedTarget>, StoreError> {
        let row = sqlx::query!(
            r#"UPDATE targets SET lease_until = now() + $3, lease_token = lease_token + 1, nudged_until = NULL
             WHERE target_id = $1 AND next_attempt_at <= $2 AND state <> 'disabled'
               AND (lease_until IS NULL OR lease_until < now())
             RETURNING name, address, settings, state, consecutive_failures, release_number, manifest, rendered_from,
                       upstreams, revisit, lease_token,
                       (SELECT COALESCE(sum(revision), 0)::bigint FROM templates) AS "templates_revision!""#,
            target.uuid(),
            now,
            interval(LEASE),
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let release = match (row.release_number, row.manifest, row.rendered_from, row.upstreams) {
            (Some(number), Some(manifest), Some(rendered_from), Some(upstreams)) => {
                let manifest = serde_json::from_value(manifest)
                    .map_err(|error| StoreError::inconsistent("targets", error))?;
                Some(ReleaseRecord {
                    number,
                    manifest,
                    rendered_from,
                    upstreams: stored_upstreams(&upstreams)?,
                })
            }
            _ => None,
        };
        Ok(Some(ClaimedTarget {
            lease: TargetLease { target_id: target, token: row.lease_token },
            name: row.name,
            address: parsed("targets", &row.address)?,
            settings: row.settings,
            state: parsed("targets", &row.state)?,
            consecutive_failures: row.consecutive_failures.unsigned_abs(),
            release,
            revisit: row.revisit,
            templates_revision: row.templates_revision,
            remark: None,
        }))
    }

    /// Renews the claim on a target whose delivery takes long.
    pub async fn renew_target_lease(&self, lease: &TargetLease) -> Result<(), StoreError> {
        let done = sqlx::query!(
            "UPDATE targets SET lease_until = now() + $3
             WHERE target_id = $1 AND lease_token = $2 AND lease_until IS NOT NULL",
            lease.target_id.uuid(),
            lease.token,
            interval(LEASE),
        )
        .execute(&self.pool)
        .await?;
        held(done.rows_affected())
    }

    /// Lets a target go on which nothing was to be done.
    pub async fn release_target(&self, target: &ClaimedTarget) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        lock_target(&mut tx, &target.lease).await?;
        let done = sqlx::query!(
            "UPDATE targets SET lease_until = NULL, state = 'in_sync', state_detail = $5,
                 revisit = (settings <> $3 OR $4 <> (SELECT COALESCE(sum(revision), 0)::bigint FROM templates))
             WHERE target_id = $1 AND lease_token = $2",
            target.lease.target_id.uuid(),
            target.lease.token,
            target.settings,
            target.templates_revision,
            target.remark,
        )
        .execute(&mut *tx)
        .await?;
        held(done.rows_affected())?;
        Ok(tx.commit().await?)
    }

    /// Places every domain with a certificate on a target that was added, perhaps while certificates were issued.
    pub async fn place_missing(&self, lease: &TargetLease, now: OffsetDateTime) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO placements (target_id, domain_id, tenant_id, shard, wanted_certificate_id, wanted_revision,
                                     pending, next_attempt_at)
             SELECT $1, d.domain_id, d.tenant_id, get_byte(uuid_send(d.domain_id), 15), d.certificate_id, d.revision, true, $2
             FROM targets t
             JOIN tenants n ON n.target_group_id IS NULL OR n.target_group_id = t.group_id
             JOIN domains d ON d.tenant_id = n.tenant_id
             WHERE t.target_id = $1 AND d.certificate_id IS NOT NULL AND d.status NOT IN ('pending_deletion', 'deleted')
               AND NOT EXISTS (SELECT 1 FROM placements p WHERE p.target_id = $1 AND p.domain_id = d.domain_id)
             ORDER BY d.domain_id FOR SHARE OF d
             ON CONFLICT (target_id, domain_id) DO NOTHING",
            lease.target_id.uuid(),
            now,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Has every target looked at, and whatever waits for a later attempt tried now: templates or settings may have been
    /// mended since this process ran last.
    pub async fn revisit_targets(&self, now: OffsetDateTime) -> Result<(), StoreError> {
        sqlx::query!(
            "WITH targets_too AS (
                 UPDATE targets SET revisit = true, next_attempt_at = LEAST(next_attempt_at, $1)
             )
             UPDATE placements SET next_attempt_at = $1 WHERE pending AND next_attempt_at > $1",
            now,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Takes the next release number of a target, above `at_least`.
    pub async fn begin_release(
        &self,
        lease: &TargetLease,
        at_least: i64,
        now: OffsetDateTime,
    ) -> Result<i64, StoreError> {
        let number = sqlx::query_scalar!(
            "INSERT INTO releases (target_id, number, created_at)
             SELECT t.target_id, GREATEST(COALESCE(max(r.number), 0), $3) + 1, $4
             FROM targets t LEFT JOIN releases r USING (target_id)
             WHERE t.target_id = $1 AND t.lease_token = $2 GROUP BY t.target_id
             RETURNING number",
            lease.target_id.uuid(),
            lease.token,
            at_least,
            now,
        )
        .fetch_optional(&self.pool)
        .await?;
        number.ok_or(StoreError::LeaseLost)
    }

    /// What shops' records must hold, and who answers there.
    pub async fn public_places(&self) -> Result<Vec<PublicPlace>, StoreError> {
        let rows =
            sqlx::query!("SELECT address, public_addresses, release_number, state, group_id FROM targets")
                .fetch_all(&self.pool)
                .await?;
        rows.into_iter()
            .map(|row| {
                let addresses = row.public_addresses.iter().map(|address| parsed("targets", address));
                let serves_at: SocketAddr = parsed("targets", &row.address)?;
                Ok(PublicPlace {
                    addresses: addresses.collect::<Result<_, StoreError>>()?,
                    reached_at: serves_at.ip(),
                    serves_at,
                    is_ready: row.release_number.is_some(),
                    is_disabled: parsed::<TargetState>("targets", &row.state)? == TargetState::Disabled,
                    group_id: row.group_id.map(GroupId::from_uuid),
                })
            })
            .collect()
    }
}

fn stored_upstreams(texts: &[String]) -> Result<BTreeSet<UpstreamAddress>, StoreError> {
    let parse = |text: &String| {
        UpstreamAddress::parse(text).map_err(|error| StoreError::inconsistent("targets", error))
    };
    texts.iter().map(parse).collect()
}

/// Holds the row of a target. Whoever publishes a template changes that row too, so the statement behind this one sees all that
/// was published by then.
pub(super) async fn lock_target(
    tx: &mut sqlx::Transaction<'_, sqlx::Postgres>,
    lease: &TargetLease,
) -> Result<(), StoreError> {
    sqlx::query!("SELECT target_id FROM targets WHERE target_id = $1 FOR UPDATE", lease.target_id.uuid())
        .fetch_optional(&mut **tx)
        .await?;
    Ok(())
}
