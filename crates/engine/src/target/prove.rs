//! The proof of a delivery: a handshake for each domain, and for some that nobody meant to change.

use std::time::Duration;

use certmill_delivery::{NotServed, served_certificate, wait_until_served};
use certmill_model::{Hostname, ProblemCode, backoff, target_retry};
use certmill_store::{ClaimedTarget, Delivered, PendingPlacement, ReleaseRecord, StoreError, Undelivered};
use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::{
    deliver::{Delivery, Flipped, KEEP_RELEASES},
    failed,
    outcome::{Failed, Proved},
    release::Rendered,
};
use crate::Engine;

/// Handshakes at a time with one load balancer.
const HANDSHAKES: usize = 16;

/// How long a new configuration may take until it answers: a large one takes many seconds to be taken up. One for all
/// handshakes of a delivery.
const UNTIL_SERVED: Duration = Duration::from_secs(20);

/// How long one handshake may take at least, whatever the others took.
const ONE_HANDSHAKE: Duration = Duration::from_secs(2);

/// Handshakes in a row, and the time between them, that show that nginx's old workers are gone: they stop a tenth of a
/// second after the new ones begin.
const SETTLED: u32 = 6;
const BETWEEN_HANDSHAKES: Duration = Duration::from_millis(50);

/// How long to wait for that. A domain that is never served must not hold up the others.
const SETTLE_AT_MOST: Duration = Duration::from_secs(5);

/// Domains that must be served after a delivery as before it.
const WITNESSES: i64 = 8;

/// Some of the domains that a target is known to serve, as far as it does so now.
pub(super) async fn right_witnesses(
    engine: &Engine,
    target: &ClaimedTarget,
) -> Result<Vec<(Hostname, [u8; 32])>, StoreError> {
    if target.release.is_none() {
        return Ok(Vec::new());
    }
    let known = engine.parts.store.witnesses(&target.lease, WITNESSES).await?;
    let known =
        known.into_iter().filter_map(|(name, fingerprint)| Some((name, fingerprint.try_into().ok()?)));
    let right = stream::iter(known).map(async |(name, fingerprint)| {
        let served = wait_until_served(target.address, &name, fingerprint, Duration::from_millis(500)).await;
        served.is_ok().then_some((name, fingerprint))
    });
    Ok(right.buffer_unordered(HANDSHAKES).filter_map(std::future::ready).collect().await)
}

impl Delivery<'_> {
    /// A handshake for each domain. A release with which none of them is served, or one that was served before is not
    /// any more, is taken back.
    pub(super) async fn prove(
        &self,
        live: ReleaseRecord,
        rendered: Rendered,
        flipped: Flipped,
    ) -> Result<Proved, Failed> {
        let deadline = Instant::now() + UNTIL_SERVED;
        if matches!(flipped, Flipped::From(_)) {
            self.settle(&rendered).await;
        }
        let outcomes = stream::iter(self.pending.iter().cloned())
            .map(|one| self.prove_one(one, &rendered, deadline))
            .buffer_unordered(HANDSHAKES)
            .collect::<Vec<_>>()
            .await;
        let (mut delivered, mut undelivered) = (Vec::new(), Vec::new());
        for outcome in outcomes {
            match outcome {
                Ok(one) => delivered.push(one),
                Err(one) => undelivered.push(one),
            }
        }
        let live = match flipped {
            Flipped::From(before) => {
                match self.verdict(&delivered, &undelivered, deadline).await {
                    Some(reason) => {
                        // What was taken off comes back with the previous release, and nothing of it counts.
                        undelivered.extend(delivered.drain(..).map(|one| self.not_delivered(&one)));
                        self.restore(live.number, before, reason).await?
                    }
                    None => live,
                }
            }
            Flipped::No => live,
        };
        self.remove_gone(&rendered, &mut delivered, &mut undelivered).await;
        if let Err(error) = self.session.clean_up(KEEP_RELEASES).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "old releases could not be removed");
        }
        Ok(Proved { release: live, delivered, undelivered })
    }

    /// Waits until only the new configuration answers. For a moment after a reload nginx's old workers take connections
    /// beside the new ones, and one handshake proves nothing then: several in a row do.
    async fn settle(&self, rendered: &Rendered) {
        let new = self.pending.iter().find_map(|one| {
            let fingerprint: [u8; 32] = one.fingerprint.as_deref()?.try_into().ok()?;
            (!rendered.refused.contains_key(&one.domain_id)).then_some((&one.name, fingerprint))
        });
        let Some((name, fingerprint)) = new else { return };
        let until = Instant::now() + SETTLE_AT_MOST;
        let mut in_a_row = 0;
        while in_a_row < SETTLED && Instant::now() < until {
            let served = served_certificate(self.target.address, name, ONE_HANDSHAKE).await;
            let right = served.is_ok_and(|served| served.fingerprint() == fingerprint);
            in_a_row = if right { in_a_row + 1 } else { 0 };
            tokio::time::sleep(BETWEEN_HANDSHAKES).await;
        }
    }

    /// Why a release that went live must not stay.
    async fn verdict(
        &self,
        delivered: &[Delivered],
        undelivered: &[Undelivered],
        deadline: Instant,
    ) -> Option<String> {
        let shown = delivered.iter().any(|one| one.certificate_id.is_some());
        let wrong = undelivered.iter().find(|one| one.code == ProblemCode::ServedWrongCertificate);
        if let (false, Some(wrong)) = (shown, wrong) {
            return Some(wrong.detail.clone());
        }
        for (name, fingerprint) in &self.witnesses {
            if wait_until_served(self.target.address, name, *fingerprint, patience(deadline)).await.is_err() {
                return Some(format!("{name} was served before and is not with the new configuration"));
            }
        }
        None
    }

    /// Goes back to the release that was live before.
    async fn restore(
        &self,
        number: i64,
        before: Option<i64>,
        reason: String,
    ) -> Result<ReleaseRecord, Failed> {
        let taken_back = self.take_back(number, before, failed_with(reason)).await;
        match (&self.target.release, before) {
            (Some(previous), Some(number)) if previous.number == number => {
                let Failed::Target { detail, .. } = &taken_back else { return Err(taken_back) };
                tracing::error!(
                    target.name = self.target.name,
                    detail,
                    "the new configuration was taken back"
                );
                Ok(previous.clone())
            }
            _ => Err(taken_back),
        }
    }

    async fn prove_one(
        &self,
        one: PendingPlacement,
        rendered: &Rendered,
        deadline: Instant,
    ) -> Result<Delivered, Undelivered> {
        if let Some((code, detail)) = rendered.refused.get(&one.domain_id) {
            return Err(self.undelivered(&one, *code, detail.clone()));
        }
        let proved = Delivered {
            domain_id: one.domain_id,
            certificate_id: one.wanted_certificate_id,
            revision: one.wanted_revision,
            template: rendered.templates.get(&one.domain_id).cloned(),
        };
        let fingerprint: Option<[u8; 32]> =
            one.fingerprint.as_deref().and_then(|bytes| bytes.try_into().ok());
        let Some(fingerprint) = fingerprint else { return Ok(proved) };
        // One that was wrong before is not waited for as long: it may never be right.
        let patience = if one.consecutive_failures > 0 { ONE_HANDSHAKE } else { patience(deadline) };
        match wait_until_served(self.target.address, &one.name, fingerprint, patience).await {
            Ok(()) => Ok(proved),
            Err(NotServed::Other(_)) => {
                let detail = "a handshake shows another certificate".to_owned();
                Err(self.undelivered(&one, ProblemCode::ServedWrongCertificate, detail))
            }
            Err(NotServed::Probe(error)) => {
                let detail = format!("a handshake does not succeed: {error}");
                Err(self.undelivered(&one, ProblemCode::ServedWrongCertificate, detail))
            }
        }
    }

    /// Removes the certificates of domains that were taken off. What cannot be removed is not delivered yet.
    async fn remove_gone(
        &self,
        rendered: &Rendered,
        delivered: &mut Vec<Delivered>,
        undelivered: &mut Vec<Undelivered>,
    ) {
        let is_gone = |one: &Delivered| {
            one.certificate_id.is_none() && !rendered.templates.contains_key(&one.domain_id)
        };
        let gone: Vec<_> = delivered.iter().filter(|one| is_gone(one)).map(|one| one.domain_id).collect();
        if gone.is_empty() {
            return;
        }
        if let Err(error) = self.session.remove_certificates(&gone).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "certificates could not be removed");
            let (kept, other) = delivered.drain(..).partition(|one| !gone.contains(&one.domain_id));
            *delivered = kept;
            undelivered.extend(Vec::into_iter(other).map(|one| self.not_delivered(&one)));
        }
    }

    fn not_delivered(&self, one: &Delivered) -> Undelivered {
        Undelivered {
            domain_id: one.domain_id,
            code: ProblemCode::ReloadFailed,
            detail: "the new configuration was taken back".to_owned(),
            next_attempt_at: self.started + target_retry(1, self.fraction),
            certificate_id: one.certificate_id,
            revision: one.revision,
        }
    }

    fn undelivered(&self, one: &PendingPlacement, code: ProblemCode, detail: String) -> Undelivered {
        let failures = one.consecutive_failures + 1;
        // A handshake may be right in a moment; a template only when somebody mends it.
        let wait = match code {
            ProblemCode::ServedWrongCertificate => target_retry(failures, self.fraction),
            _ => backoff(failures, self.fraction),
        };
        Undelivered {
            domain_id: one.domain_id,
            code,
            detail,
            next_attempt_at: self.started + wait,
            certificate_id: one.wanted_certificate_id,
            revision: one.wanted_revision,
        }
    }
}

/// What is left until `deadline`, but enough for one handshake.
fn patience(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(ONE_HANDSHAKE)
}

fn failed_with(reason: String) -> Failed {
    failed(certmill_model::TargetState::Behind, ProblemCode::ServedWrongCertificate, reason)
}
