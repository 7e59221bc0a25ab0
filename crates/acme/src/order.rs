//! One order, from its placing to its certificate (RFC 8555 section 7.4).

use std::{collections::HashSet, sync::Arc, time::Duration};

use certmill_model::{ChallengeKind, Clock, OrderStatus, ProblemCode};
use rcgen::{CertificateParams, DistinguishedName};
use tokio::time::{Instant, sleep};

use crate::{
    AcmeError, Challenge, Client, Failure, PrivateKey,
    authorization::{Found, answer_challenges, find_challenges, find_reasons},
    document::OrderDocument,
    exchange::{Note, attempt},
    polling::{Awaited, Polling},
    reaction::Stage,
    refusal::{refusal, refusal_of_names},
};

/// An order at the CA. Each step may be repeated, also after a crash, from whatever state the order is in.
pub struct Order {
    client: Client,
    inner: instant_acme::Order,
    document: OrderDocument,
    /// It was placed here, and named a profile.
    named_profile: bool,
    retry_after: Option<time::Duration>,
    /// The nonce of the last answer, which the next request would use.
    nonce: Option<String>,
    /// URLs of the challenges that [`Order::challenges`] gave out, and of those that the CA was told of.
    chosen: HashSet<String>,
    answered: HashSet<String>,
}

impl Order {
    /// `named_profile`: whether it is known to have named one; the CA's own document names one in any case.
    pub(crate) fn new(client: Client, inner: instant_acme::Order, note: &Note, named_profile: bool) -> Self {
        let mut order = Self {
            client,
            inner,
            document: OrderDocument::default(),
            named_profile,
            retry_after: None,
            nonce: None,
            chosen: HashSet::new(),
            answered: HashSet::new(),
        };
        order.read(note);
        order
    }

    /// The order's URL: store it before anything else is done with the order.
    pub fn url(&self) -> &str {
        self.inner.url()
    }

    /// The status when the CA last spoke of the order.
    pub fn status(&mut self) -> OrderStatus {
        match self.inner.state().status {
            instant_acme::OrderStatus::Pending => OrderStatus::Pending,
            instant_acme::OrderStatus::Ready => OrderStatus::Ready,
            instant_acme::OrderStatus::Processing => OrderStatus::Processing,
            instant_acme::OrderStatus::Valid => OrderStatus::Valid,
            instant_acme::OrderStatus::Invalid => OrderStatus::Invalid,
        }
    }

    /// Asks the CA for the status.
    pub async fn refresh(&mut self) -> Result<OrderStatus, AcmeError> {
        let clock = self.start();
        let inner = &mut self.inner;
        let ((), note) = attempt!(Stage::StoredUrl, clock, async { inner.refresh().await.map(|_| ()) })?;
        self.read(&note);
        Ok(self.status())
    }

    /// The challenges that are still to be met, of the kind that `choose` wants for each name: it gets the name without
    /// its `*.`, and whether it is a wildcard. None are left where the CA remembers that a name was proved before. A
    /// kind that the CA does not offer is [`AcmeError::NameRejected`].
    pub async fn challenges(
        &mut self,
        choose: impl Fn(&str, bool) -> ChallengeKind,
    ) -> Result<Vec<Challenge>, AcmeError> {
        match self.status() {
            OrderStatus::Pending => {}
            OrderStatus::Invalid => return Err(self.reason().await),
            _ => return Ok(Vec::new()),
        }
        let clock = self.start();
        let inner = &mut self.inner;
        let (found, note) = attempt!(Stage::StoredUrl, clock, find_challenges(inner, &choose))?;
        self.keep_nonce(&note);
        self.chosen.clear();
        let mut challenges = Vec::new();
        for found in found {
            match found {
                Found::Pending(challenge, url) => {
                    self.chosen.insert(url);
                    challenges.push(challenge);
                }
                Found::Done => {}
                Found::Spent => return Err(self.reason().await),
                Found::Unusable(reason) => return Err(reason),
            }
        }
        Ok(challenges)
    }

    /// Tells the CA that each challenge of the last [`Order::challenges`] can be looked at now, and no other.
    pub async fn answer(&mut self) -> Result<(), AcmeError> {
        if self.status() != OrderStatus::Pending {
            return Ok(());
        }
        let clock = self.start();
        let (inner, chosen, answered) = (&mut self.inner, &self.chosen, &mut self.answered);
        let ((), note) = attempt!(Stage::Answer, clock, answer_challenges(inner, chosen, answered))?;
        self.keep_nonce(&note);
        Ok(())
    }

    /// Waits until the CA is convinced, at most until `deadline`: then, or when the CA asks to come back later than
    /// that, [`AcmeError::StillProcessing`].
    pub async fn await_ready(&mut self, deadline: Instant) -> Result<(), AcmeError> {
        let mut delay = None;
        loop {
            match self.status() {
                OrderStatus::Pending => self.pause(Awaited::Validation, &mut delay, deadline).await?,
                OrderStatus::Invalid => return Err(self.reason().await),
                _ => return Ok(()),
            }
        }
    }

    /// Sends the certificate signing request: the order's names, and the public half of `key`. Does nothing when one
    /// was sent before.
    pub async fn finalize(&mut self, key: &PrivateKey) -> Result<(), AcmeError> {
        match self.status() {
            OrderStatus::Ready => {}
            OrderStatus::Invalid => return Err(self.reason().await),
            OrderStatus::Pending => return Err(AcmeError::StillProcessing { retry_after: self.retry_after }),
            _ => return Ok(()),
        }
        let request = self.signing_request(key)?;
        let clock = self.start();
        let inner = &mut self.inner;
        let stage = Stage::Finalize { profile: self.named_profile };
        match attempt!(stage, clock, inner.finalize_csr(&request)) {
            Ok(((), note)) => self.read(&note),
            // We saw it ready, so somebody was there in between: the order says how it stands.
            Err(error) if is_order_not_ready(&error) => match self.refresh().await? {
                OrderStatus::Processing | OrderStatus::Valid => {}
                OrderStatus::Invalid => return Err(self.reason().await),
                _ => return Err(error),
            },
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Waits for the certificate, at most until `deadline` as [`Order::await_ready`] does, and fetches it: PEM, the
    /// leaf first. Nothing in it has been checked: [`crate::verify_issued`] does that.
    pub async fn await_certificate(&mut self, deadline: Instant) -> Result<String, AcmeError> {
        let mut delay = None;
        loop {
            match self.status() {
                OrderStatus::Valid => return self.fetch_certificate().await,
                OrderStatus::Processing => self.pause(Awaited::Certificate, &mut delay, deadline).await?,
                OrderStatus::Invalid => return Err(self.reason().await),
                _ => return Err(AcmeError::StillProcessing { retry_after: self.retry_after }),
            }
        }
    }

    async fn fetch_certificate(&mut self) -> Result<String, AcmeError> {
        let clock = self.start();
        let inner = &mut self.inner;
        let (certificate, note) = attempt!(Stage::StoredUrl, clock, inner.certificate())?;
        self.keep_nonce(&note);
        certificate.ok_or(AcmeError::StillProcessing { retry_after: None })
    }

    /// Waits until the CA is usually done, and longer each time after that, or as long as it asks where that is longer, and
    /// looks again. `delay` is the next wait of our own, `None` before the first.
    async fn pause(
        &mut self,
        awaited: Awaited,
        delay: &mut Option<Duration>,
        deadline: Instant,
    ) -> Result<(), AcmeError> {
        let polling = self.client.polling.clone();
        let asked = self.retry_after.and_then(|wait| Duration::try_from(wait).ok());
        let own = delay.unwrap_or_else(|| polling.first(awaited));
        // A CA that says 0, or a date in the past, does not mean as fast as we can.
        let wait = asked.map_or(own, |asked| asked.max(own));
        if Instant::now() + wait > deadline {
            return Err(AcmeError::StillProcessing { retry_after: self.retry_after });
        }
        sleep(wait).await;
        let before = self.status();
        let after = self.refresh().await?;
        let is_first = delay.is_none();
        if is_first && asked.is_none() {
            polling.learn(awaited, after != before);
        }
        *delay = Some(if is_first { polling.second(own) } else { Polling::next(own) });
        Ok(())
    }

    /// Why the order is invalid.
    async fn reason(&mut self) -> AcmeError {
        let clock = self.start();
        let stage = Stage::Finalize { profile: self.named_profile };
        let inner = &mut self.inner;
        let reasons = match attempt!(Stage::StoredUrl, clock, find_reasons(inner)) {
            Ok((reasons, note)) => {
                self.keep_nonce(&note);
                reasons
            }
            Err(error) => return error,
        };
        match (refusal_of_names(reasons), self.document.error.take()) {
            (Some(refusal), _) => refusal,
            (None, Some(problem)) => match refusal(stage, problem.cleaned()) {
                // Whatever passes by itself or is mended, this order does not come back.
                AcmeError::Retry { failure, .. } | AcmeError::NeedsOperator { failure } => {
                    AcmeError::NewOrder { failure }
                }
                error => error,
            },
            (None, None) => AcmeError::NewOrder {
                failure: Failure::found(ProblemCode::Internal, "the CA gave the order up without a reason"),
            },
        }
    }

    fn signing_request(&self, key: &PrivateKey) -> Result<Vec<u8>, AcmeError> {
        let names: Vec<_> = self.document.identifiers.iter().map(|it| it.value.clone()).collect();
        let internal =
            |error| AcmeError::NeedsOperator { failure: Failure::caused_by(ProblemCode::Internal, error) };
        let mut params = CertificateParams::new(names).map_err(internal)?;
        params.distinguished_name = DistinguishedName::new();
        let request = key.with_pair(|pair| params.serialize_request(pair)).map_err(internal)?;
        Ok(request.der().to_vec())
    }

    /// Before each request: it uses the nonce, whatever becomes of it.
    fn start(&mut self) -> Arc<dyn Clock> {
        self.nonce = None;
        self.client.clock.clone()
    }

    fn read(&mut self, note: &Note) {
        self.document = OrderDocument::parse(&note.body);
        self.retry_after = note.wait(&*self.client.clock);
        self.keep_nonce(note);
    }

    fn keep_nonce(&mut self, note: &Note) {
        self.nonce.clone_from(&note.nonce);
    }
}

impl Drop for Order {
    fn drop(&mut self) {
        if let Some(nonce) = self.nonce.take() {
            self.client.transport.keep_nonce(nonce);
        }
    }
}

fn is_order_not_ready(error: &AcmeError) -> bool {
    error.problem().is_some_and(|problem| problem.short_kind() == "orderNotReady")
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
