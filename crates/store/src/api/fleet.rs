//! One target, and what operators do with it: leave it out, take it in again, move it to a group, deliver to it anew.

use std::net::IpAddr;

use certmill_model::{GroupId, Label, TargetId};
use time::OffsetDateTime;

use super::ScopedTx;
use crate::{StoreError, WAKE_CHANNEL};

/// What is to become of a target.
#[derive(Clone, Debug)]
pub struct TargetChange {
    /// What a shop's A and AAAA records must hold.
    pub public_addresses: Vec<IpAddr>,
    /// The group that it serves in. Tenants without a group are served by every target.
    pub group_id: Option<GroupId>,
    /// Whether it is left out: nothing is delivered to it, and no name is led there.
    pub disabled: bool,
}

impl ScopedTx {
    /// The target with this id or name.
    pub async fn target_id(
        &mut self,
        id: Option<TargetId>,
        name: &str,
    ) -> Result<Option<TargetId>, StoreError> {
        let found = sqlx::query_scalar!(
            "SELECT target_id FROM targets WHERE target_id = $1 OR ($1::uuid IS NULL AND name = $2)",
            id.map(TargetId::uuid),
            name,
        )
        .fetch_optional(self.connection())
        .await?;
        Ok(found.map(TargetId::from_uuid))
    }

    /// Nobody else changes the target before this transaction ends.
    pub async fn lock_target(&mut self, id: TargetId) -> Result<(), StoreError> {
        sqlx::query!("SELECT target_id FROM targets WHERE target_id = $1 FOR NO KEY UPDATE", id.uuid())
            .fetch_optional(self.connection())
            .await?;
        Ok(())
    }

    /// Changes a target. One that is taken in again is delivered to at once.
    pub async fn change_target(
        &mut self,
        id: TargetId,
        change: &TargetChange,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let addresses: Vec<_> = change.public_addresses.iter().map(ToString::to_string).collect();
        sqlx::query!(
            "UPDATE targets SET public_addresses = $2, group_id = $3, revisit = true,
                 state_detail = CASE WHEN $4 = (state = 'disabled') THEN state_detail END,
                 state_since = CASE WHEN $4 = (state = 'disabled') THEN state_since ELSE $5 END,
                 next_attempt_at = CASE WHEN $4 THEN next_attempt_at ELSE LEAST(next_attempt_at, $5) END,
                 state = CASE WHEN $4 THEN 'disabled' WHEN state = 'disabled' THEN 'behind' ELSE state END
             WHERE target_id = $1",
            id.uuid(),
            &addresses,
            change.group_id.map(GroupId::uuid),
            change.disabled,
            now,
        )
        .execute(self.connection())
        .await?;
        self.look_again_at_unplaced(now).await
    }

    /// Has a target delivered to now, and everything on it compared with what should be there.
    pub async fn sync_target(&mut self, id: TargetId, now: OffsetDateTime) -> Result<(), StoreError> {
        sqlx::query!(
            "WITH retried AS (
                 UPDATE placements SET next_attempt_at = $2, consecutive_failures = 0
                 WHERE target_id = $1 AND pending AND next_attempt_at > $2
             )
             UPDATE targets SET revisit = true, next_attempt_at = LEAST(next_attempt_at, $2), nudged_until = NULL
             WHERE target_id = $1",
            id.uuid(),
            now,
        )
        .execute(self.connection())
        .await?;
        sqlx::query!("SELECT pg_notify($1, '')", WAKE_CHANNEL).fetch_one(self.connection()).await?;
        Ok(())
    }

    /// Forgets a target that is left out, with what was delivered to it; nothing is changed on the machine itself. `false`: it
    /// is not left out.
    pub async fn remove_target(&mut self, id: TargetId) -> Result<bool, StoreError> {
        let out = sqlx::query_scalar!(
            "SELECT target_id FROM targets WHERE target_id = $1 AND state = 'disabled'
               AND (lease_until IS NULL OR lease_until < now()) FOR UPDATE",
            id.uuid(),
        )
        .fetch_optional(self.connection())
        .await?;
        if out.is_none() {
            return Ok(false);
        }
        for forget in [
            sqlx::query!("DELETE FROM placements WHERE target_id = $1", id.uuid()),
            sqlx::query!("DELETE FROM deployments WHERE target_id = $1", id.uuid()),
            sqlx::query!("DELETE FROM releases WHERE target_id = $1", id.uuid()),
            sqlx::query!("DELETE FROM targets WHERE target_id = $1", id.uuid()),
        ] {
            forget.execute(self.connection()).await?;
        }
        Ok(true)
    }

    /// The name of a group.
    pub async fn group_name(&mut self, id: GroupId) -> Result<Option<Label>, StoreError> {
        let found = sqlx::query_scalar!("SELECT name FROM target_groups WHERE group_id = $1", id.uuid())
            .fetch_optional(self.connection())
            .await?;
        found
            .map(|name| Label::parse(&name).map_err(|error| StoreError::inconsistent("target_groups", error)))
            .transpose()
    }

    /// What waits for a load balancer is looked at again.
    async fn look_again_at_unplaced(&mut self, now: OffsetDateTime) -> Result<(), StoreError> {
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
        Ok(())
    }
}
