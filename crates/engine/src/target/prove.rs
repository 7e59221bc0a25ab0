//! The proof of a delivery: a handshake for each domain.

use std::time::Duration;

use certmill_delivery::{NotServed, wait_until_served};
use certmill_model::{DomainId, ProblemCode, TargetState, backoff, target_retry};
use certmill_store::{Delivered, PendingPlacement, ReleaseRecord, Undelivered};
use futures_util::{StreamExt, stream};

use super::{
    deliver::{Delivery, Flipped},
    failed,
    outcome::{Failed, Proved},
    release::Rendered,
};

/// Handshakes at a time with one load balancer.
const HANDSHAKES: usize = 16;

/// How long a new configuration may take until it answers: a large one takes many seconds to be taken up.
const UNTIL_SERVED: Duration = Duration::from_secs(20);

/// Releases that stay on a target, to go back to.
const KEEP_RELEASES: usize = 3;

impl Delivery<'_> {
    /// A handshake for each domain; the release stays if any name is right, or none was asked for.
    pub(super) async fn prove(
        &self,
        live: ReleaseRecord,
        rendered: Rendered,
        flipped: Flipped,
    ) -> Result<Proved, Failed> {
        let mut delivered = Vec::new();
        let mut undelivered = Vec::new();
        let outcomes = stream::iter(self.pending.iter().cloned()).map(|one| self.prove_one(one, &rendered));
        // Old releases go meanwhile; the one before stays, to go back to.
        let (outcomes, cleaned) = tokio::join!(
            outcomes.buffer_unordered(HANDSHAKES).collect::<Vec<_>>(),
            self.session.clean_up(KEEP_RELEASES)
        );
        if let Err(error) = cleaned {
            tracing::warn!(error = &error as &dyn std::error::Error, "old releases could not be removed");
        }
        for outcome in outcomes {
            match outcome {
                Ok(one) => delivered.push(one),
                Err(one) => undelivered.push(one),
            }
        }
        let wrong = undelivered.iter().find(|one| one.code == ProblemCode::ServedWrongCertificate);
        if let (Flipped::From(before), Some(wrong), true) = (flipped, wrong, delivered.is_empty()) {
            let reason = failed(TargetState::Behind, wrong.code, wrong.detail.clone());
            return Err(self.take_back(live.number, before, reason).await);
        }
        let gone: Vec<_> =
            delivered.iter().filter(|one| one.certificate_id.is_none()).map(|one| one.domain_id).collect();
        if !gone.is_empty() {
            self.session.remove_certificates(&gone).await?;
        }
        Ok(Proved { release: live, delivered, undelivered })
    }

    async fn prove_one(&self, one: PendingPlacement, rendered: &Rendered) -> Result<Delivered, Undelivered> {
        let domain_id = one.domain_id;
        let template = rendered.templates.get(&domain_id).cloned();
        let proved = Delivered {
            domain_id,
            certificate_id: one.wanted_certificate_id,
            revision: one.wanted_revision,
            template,
        };
        let fingerprint: Option<[u8; 32]> =
            one.fingerprint.as_deref().and_then(|bytes| bytes.try_into().ok());
        if let Some((code, detail)) = rendered.refused.get(&domain_id) {
            return Err(self.undelivered(&one, domain_id, *code, detail.clone()));
        }
        let Some(fingerprint) = fingerprint else { return Ok(proved) };
        match wait_until_served(self.target.address, &one.name, fingerprint, UNTIL_SERVED).await {
            Ok(()) => Ok(proved),
            Err(NotServed::Other(_)) => {
                let detail = "a handshake shows another certificate".to_owned();
                Err(self.undelivered(&one, domain_id, ProblemCode::ServedWrongCertificate, detail))
            }
            Err(NotServed::Probe(error)) => {
                let detail = format!("a handshake does not succeed: {error}");
                Err(self.undelivered(&one, domain_id, ProblemCode::ServedWrongCertificate, detail))
            }
        }
    }

    fn undelivered(
        &self,
        one: &PendingPlacement,
        domain_id: DomainId,
        code: ProblemCode,
        detail: String,
    ) -> Undelivered {
        let failures = one.consecutive_failures + 1;
        let fraction = self.engine.fraction();
        // A handshake may be right in a moment; a template only when somebody mends it.
        let wait = match code {
            ProblemCode::ServedWrongCertificate => target_retry(failures, fraction),
            _ => backoff(failures, fraction),
        };
        Undelivered { domain_id, code, detail, next_attempt_at: self.engine.now() + wait }
    }
}
