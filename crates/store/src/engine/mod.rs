//! The door for workers: what is due, claims, and what came of them.
//!
//! A step claims (lease and fencing token, committed), acts without a connection, and records in one short statement or
//! transaction that takes effect only while the token is still its own ([`StoreError::LeaseLost`] otherwise).

mod accounts;
mod alerts;
mod claims;
mod contests;
mod deletions;
mod deliveries;
mod deployments;
mod domains;
mod due;
mod events;
mod expiring;
mod feed;
mod groups;
mod issuing;
mod ledger;
mod looks;
mod measures;
mod operations;
mod orders;
mod outbox;
mod outcomes;
mod owners;
mod ownership;
mod poison;
mod problems;
mod renewals;
mod replays;
mod retention;
mod rollups;
mod targets;
mod templates;
mod tenants;
mod troubled;
mod watches;
mod webhooks;
mod zones;

use std::time::Duration;

use sqlx::{PgPool, Postgres, Transaction, postgres::PgListener, postgres::types::PgInterval};

pub use accounts::{Account, KnownAccount};
pub use alerts::{AlertMail, AlertRecord, AlertRound, DigestFacts, OpenAlert, RuleOwner, TenantFacts};
pub use contests::{DueClaim, NameHolder};
pub use deliveries::{CertificateMaterial, DomainPlacement, PendingPlacement};
pub use deployments::{Delivered, Undelivered};
pub use domains::{ClaimedDomain, Counterpart, Delegation, DomainLease, HeldCertificate, OpenOrder};
pub use due::Due;
pub use feed::Placed;
pub use groups::Move;
pub use issuing::Issued;
pub use ledger::{LimitScope, Requests, Taking};
pub use looks::Looked;
pub use measures::{EarliestEnd, QueueMeasure, TargetMeasure};
pub use operations::OperationLease;
pub use orders::{NewOrder, PlacedChallenge, PlacedRecord};
pub use outbox::DueMail;
pub use outcomes::{Blamed, Deferral, Failure, OrderFailure, Without};
pub use renewals::{AnsweredRenewal, DueRenewalInfo};
pub use retention::Expendable;
pub use targets::{ClaimedTarget, PublicPlace, ReleaseRecord, TargetLease};
pub use templates::{BorrowedTarget, DueTrial, TemplateText};
pub use watches::{DueWatch, MeantCertificate, Watched};
pub use webhooks::{ClaimedWebhook, WebhookAttempt, WebhookTurn};
pub use zones::{EMPTY, LeftRecord, REMOVAL, Zone};

use crate::{StoreError, WAKE_CHANNEL};

/// How long a claim lasts without a word from its holder. Every record of a step that goes on renews it.
pub const LEASE: Duration = Duration::from_secs(15);

/// How long a nudge may wait in the queue before it counts as lost.
const NUDGE: Duration = Duration::from_secs(15);

/// The database, for workers.
#[derive(Clone)]
pub struct Engine {
    pool: PgPool,
    nudges: PgPool,
}

impl Engine {
    pub(crate) fn new(pool: PgPool, nudges: PgPool) -> Self {
        Self { pool, nudges }
    }

    /// A pool for the queue, which keeps its tables in the same database. What is committed there may be forgotten
    /// when the database crashes.
    pub fn nudges(&self) -> &PgPool {
        &self.nudges
    }

    /// A transaction in which nudges are taken and pushed together, as forgettable as they are.
    pub async fn begin_nudges(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        Ok(self.nudges.begin().await?)
    }

    /// Hears when somebody wrote what may be due now.
    pub async fn listen(&self) -> Result<PgListener, StoreError> {
        let mut listener = PgListener::connect_with(&self.nudges).await?;
        listener.listen(WAKE_CHANNEL).await?;
        Ok(listener)
    }

    /// Wakes every planner.
    pub async fn wake(&self) -> Result<(), StoreError> {
        sqlx::query!("SELECT pg_notify($1, '')", WAKE_CHANNEL).fetch_one(&self.pool).await?;
        Ok(())
    }
}

fn interval(duration: Duration) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: duration.as_micros() as i64 }
}
