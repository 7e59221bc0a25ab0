//! Targets (load balancers), as operators see and add them.

use std::net::{IpAddr, SocketAddr};

use certmill_model::{GroupId, Label, TargetId, TargetState};
use time::OffsetDateTime;

use super::{
    PlatformTx, ScopedTx,
    planning::{plan_as_usual, plan_each},
};
use crate::{StoreError, WAKE_CHANNEL, rows::parsed};

/// A target to be added.
#[derive(Clone, Debug)]
pub struct NewTarget {
    /// Its id, if its name is new.
    pub target_id: TargetId,
    /// Its name.
    pub name: Label,
    /// Where a handshake proves what it serves.
    pub address: SocketAddr,
    /// What a shop's A and AAAA records must hold.
    pub public_addresses: Vec<IpAddr>,
    /// How it is reached and laid out, in the shape that `delivery` reads.
    pub settings: serde_json::Value,
}

/// A target as it stands.
#[derive(Clone, Debug)]
pub struct TargetRow {
    /// Its id.
    pub target_id: TargetId,
    /// Its name.
    pub name: String,
    /// Where a handshake proves what it serves.
    pub address: SocketAddr,
    /// What a shop's A and AAAA records must hold.
    pub public_addresses: Vec<IpAddr>,
    /// How it is reached and laid out.
    pub settings: serde_json::Value,
    /// How it stands to what it should serve.
    pub state: TargetState,
    /// Why, where there is a reason to give.
    pub state_detail: Option<String>,
    /// Since when.
    pub state_since: OffsetDateTime,
    /// The release that is live there.
    pub release_number: Option<i64>,
    /// The group that it serves in.
    pub group_id: Option<GroupId>,
    /// Domains on it.
    pub domains: i64,
    /// Domains of which something is still to be delivered to it; 10,000 stand for that many and more.
    pub pending: i64,
}

/// What waits for a target is counted up to here: for a new one it is everything.
const PENDING_COUNTED: i64 = 10_000;

impl PlatformTx {
    /// Adds a target, or changes the one with that name. Its first delivery places every domain with a certificate on it.
    pub async fn put_target(
        &mut self,
        target: &NewTarget,
        now: OffsetDateTime,
    ) -> Result<TargetId, StoreError> {
        let addresses: Vec<_> = target.public_addresses.iter().map(ToString::to_string).collect();
        let target_id = sqlx::query_scalar!(
            "INSERT INTO targets (target_id, name, address, public_addresses, settings, state, state_since,
                                  next_attempt_at, created_at)
             VALUES ($1, $2, $3, $4, $5, 'behind', $6, $6, $6)
             ON CONFLICT (name) DO UPDATE SET address = EXCLUDED.address, settings = EXCLUDED.settings,
                 -- Another machine or another directory: nothing of ours is there.
                 release_number = CASE WHEN targets.address = EXCLUDED.address
                     AND targets.settings -> 'connection' = EXCLUDED.settings -> 'connection'
                     AND targets.settings -> 'config' = EXCLUDED.settings -> 'config' THEN targets.release_number END,
                 public_addresses = EXCLUDED.public_addresses, revisit = true,
                 next_attempt_at = EXCLUDED.next_attempt_at
             RETURNING target_id",
            target.target_id.uuid(),
            target.name.as_str(),
            target.address.to_string(),
            &addresses,
            target.settings,
            now,
        )
        .fetch_one(self.connection())
        .await?;
        sqlx::query!(
            "UPDATE placements p SET pending = true, served_certificate_id = NULL, served_revision = NULL,
                 served_template = NULL, consecutive_failures = 0, next_attempt_at = $2
             FROM targets t WHERE p.target_id = $1 AND t.target_id = $1 AND t.release_number IS NULL",
            target_id,
            now,
        )
        .execute(self.connection())
        .await?;
        // What waits for a load balancer is looked at again.
        sqlx::query!(
            "UPDATE domains SET next_action_at = $1, check_after = $1
             WHERE next_action_at > $1 AND domain_id IN (
                 SELECT d.domain_id FROM domains d JOIN problems p USING (domain_id) WHERE p.code = 'no_targets'
                 ORDER BY d.domain_id FOR NO KEY UPDATE OF d)",
            now,
        )
        .execute(self.connection())
        .await?;
        sqlx::query!("SELECT pg_notify($1, '')", WAKE_CHANNEL).fetch_one(self.connection()).await?;
        Ok(TargetId::from_uuid(target_id))
    }
}

impl ScopedTx {
    /// Every target, by name.
    pub async fn list_targets(&mut self) -> Result<Vec<TargetRow>, StoreError> {
        self.select_targets(None).await
    }

    /// The target with this id.
    pub async fn find_target(&mut self, id: TargetId) -> Result<Option<TargetRow>, StoreError> {
        Ok(self.select_targets(Some(id)).await?.pop())
    }

    async fn select_targets(&mut self, id: Option<TargetId>) -> Result<Vec<TargetRow>, StoreError> {
        // A target without placements would have the planner read those of all others for its count.
        plan_each(self.connection()).await?;
        let rows = sqlx::query!(
            r#"SELECT target_id, name, address, public_addresses, settings, state, state_detail, state_since,
                      release_number, group_id,
                      -- Counted while they are few, summed by the engine when they are many.
                      GREATEST((SELECT count(*) FROM (
                          SELECT 1 FROM placements p WHERE p.target_id = t.target_id LIMIT 1000) AS few),
                          (SELECT r.domains FROM rollup_targets r WHERE r.target_id = t.target_id)) AS "domains!",
                      (SELECT count(*) FROM (
                          SELECT 1 FROM placements p WHERE p.target_id = t.target_id AND pending LIMIT $2) AS waiting) AS "pending!"
               FROM targets t WHERE $1::uuid IS NULL OR target_id = $1 ORDER BY name"#,
            id.map(TargetId::uuid),
            PENDING_COUNTED,
        )
        .fetch_all(self.connection())
        .await?;
        plan_as_usual(self.connection()).await?;
        rows.into_iter()
            .map(|row| {
                let addresses = row.public_addresses.iter().map(|address| parsed("targets", address));
                Ok(TargetRow {
                    target_id: TargetId::from_uuid(row.target_id),
                    name: row.name,
                    address: parsed("targets", &row.address)?,
                    public_addresses: addresses.collect::<Result<_, StoreError>>()?,
                    settings: row.settings,
                    state: parsed("targets", &row.state)?,
                    state_detail: row.state_detail,
                    state_since: row.state_since,
                    release_number: row.release_number,
                    group_id: row.group_id.map(GroupId::from_uuid),
                    domains: row.domains,
                    pending: row.pending,
                })
            })
            .collect()
    }
}
