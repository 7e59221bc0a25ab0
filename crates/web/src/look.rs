//! A look at a name right now: the engine looks, and whoever asked waits a little for it.

use std::time::Duration;

use certmill_model::{BulkAction, Possible};
use certmill_store::{Actor, AuditEntry, Domain, Reach, StoreError};
use serde_json::json;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};

use crate::WebState;

/// How long whoever asked waits, and how often it is seen whether the engine has looked.
const PATIENCE: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(100);

/// The shortest time between two looks at one name, in seconds.
const PAUSE: i64 = 5;

/// How many may wait at once: each asks the database ten times a second.
pub(crate) const WAITING: usize = 64;

/// What came of the wish.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Looked {
    /// The engine has looked.
    Done,
    /// It will; whoever asked did not wait for it.
    UnderWay,
    /// It does not look at a domain that is paused, blocked or being removed.
    Never,
    /// It looked a moment ago; the next look may be asked for in so many seconds.
    TooSoon(i64),
}

/// Asks the engine for a look at `domain` because `actor` wants it, and waits for it.
pub(crate) async fn look_now(state: &WebState, domain: &Domain, actor: &Actor) -> Result<Looked, StoreError> {
    if BulkAction::Check.possible(domain.status, true) != Possible::Now {
        return Ok(Looked::Never);
    }
    let before = checked_at(state, domain).await?;
    if let Some(wait) = before.and_then(|at| pause_left(at, state.now())) {
        return Ok(Looked::TooSoon(wait));
    }
    request(state, domain, actor).await?;
    let Ok(_place) = state.waiting_for_looks.try_acquire() else { return Ok(Looked::UnderWay) };
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        sleep(AGAIN).await;
        // Not "later than the wish": the engine may run on another machine, by another clock.
        if checked_at(state, domain).await? != before {
            return Ok(Looked::Done);
        }
    }
    Ok(Looked::UnderWay)
}

async fn request(state: &WebState, domain: &Domain, actor: &Actor) -> Result<(), StoreError> {
    let (mut tx, now) = (state.store.tenant(domain.tenant_id).await?, state.now());
    // Whoever asks again while no worker runs changes nothing, and must not make the audit log grow: some have but a link.
    if !tx.request_check(domain.domain_id, now).await? {
        return tx.commit().await;
    }
    let entry = AuditEntry {
        actor,
        action: "domain.check_requested",
        object_kind: "domain",
        object_id: Some(domain.domain_id.to_string()),
        object_name: domain.name.to_string(),
        tenant: Some(domain.tenant_id),
        detail: json!({}),
    };
    tx.commit_audited(&entry, &state.chance, now).await
}

async fn checked_at(state: &WebState, domain: &Domain) -> Result<Option<OffsetDateTime>, StoreError> {
    let setup = state.store.read(Reach::Tenant(domain.tenant_id)).await?.setup(domain.domain_id).await?;
    Ok(setup.checks.map(|checks| checks.checked_at))
}

/// The seconds until another look may be asked for, if that is not now.
fn pause_left(checked_at: OffsetDateTime, now: OffsetDateTime) -> Option<i64> {
    let left = PAUSE - (now - checked_at).whole_seconds();
    (left > 0).then_some(left.min(PAUSE))
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    #[test]
    fn another_look_may_be_asked_for_after_five_seconds() {
        let at = OffsetDateTime::UNIX_EPOCH;
        assert_eq!(pause_left(at, at), Some(5));
        assert_eq!(pause_left(at, at + Duration::milliseconds(4_900)), Some(1));
        assert_eq!(pause_left(at, at + Duration::seconds(5)), None);
        // By the engine's clock it has not happened yet.
        assert_eq!(pause_left(at + Duration::hours(1), at), Some(5));
    }
}
