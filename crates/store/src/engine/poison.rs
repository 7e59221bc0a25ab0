//! Domains whose step takes its worker with it: laid aside, so that they stop nobody.

use certmill_model::{Chance, DomainId, ProblemCode};
use time::OffsetDateTime;

use super::{Engine, problems::open_problem};
use crate::StoreError;

/// What people are told; what happened stands in the log, because whoever it happened to could not record it.
const DETAIL: &str = "Work on this domain was begun several times in a row and never ended. It is laid aside until the next \
                      attempt; the others go on.";

impl Engine {
    /// Lays a domain aside until `until`, if its last claim found that `lost_claims` or more before it had come to nothing.
    /// Its lease ends, whoever holds it. Returns whether it was laid aside.
    pub async fn park(
        &self,
        domain: DomainId,
        lost_claims: u32,
        until: OffsetDateTime,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await?;
        let parked = sqlx::query!(
            "UPDATE domains SET lease_until = NULL, lease_token = lease_token + 1, next_action_at = $3, updated_at = $4
             WHERE domain_id = $1 AND lost_claims >= $2 AND lease_until IS NOT NULL",
            domain.uuid(),
            lost_claims as i32,
            until,
            now,
        )
        .execute(&mut *tx)
        .await?;
        let is_parked = parked.rows_affected() > 0;
        if is_parked {
            let code = ProblemCode::Internal;
            open_problem(&mut tx, &[domain], code, DETAIL, Some(until), chance, now).await?;
        }
        tx.commit().await?;
        Ok(is_parked)
    }
}
