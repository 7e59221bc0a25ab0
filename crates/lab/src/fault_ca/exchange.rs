//! The way of one request.

use std::future::pending;
use std::sync::Mutex;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{HeaderValue, LOCATION, RETRY_AFTER};
use hyper::http::response::Parts;
use hyper::{Request, Response};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::action::Action;
use super::answer::Answer;
use super::body::{Body, trickling, whole};
use super::endpoint::Endpoint;
use super::issuer::Issuer;
use super::journal::{Journal, Outcome};
use super::known::{Known, path_of};
use super::ledger::{Exemption, Ledger, Refusal};
use super::request::{Asked, identifiers};
use super::script::{Order, Script};
use super::upstream::Upstream;
use super::{lock, wall_clock};

/// No request of a client is longer.
const LONGEST_REQUEST: usize = 1 << 20;

/// What all requests share.
pub(super) struct Shared {
    pub(super) upstream: Upstream,
    pub(super) issuer: Issuer,
    pub(super) script: Mutex<Script>,
    pub(super) journal: Mutex<Journal>,
    pub(super) known: Mutex<Known>,
    pub(super) ledger: Mutex<Ledger>,
}

/// Answers a request, or cuts the connection.
pub(super) async fn answer(shared: &Shared, request: Request<Incoming>, cut: &Notify) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, LONGEST_REQUEST).collect().await else {
        return Answer::problem(400, "malformed", "the request broke off or is too long").into_response();
    };
    let asked = Asked::read(parts, body.to_bytes(), &lock(&shared.known));
    let number = lock(&shared.journal).note(&asked);
    let exchange = Exchange { shared, asked, number, cut };
    let response = exchange.run().await;
    lock(&shared.journal).answered(number, response.status().as_u16());
    response
}

struct Exchange<'a> {
    shared: &'a Shared,
    asked: Asked,
    number: usize,
    cut: &'a Notify,
}

impl Exchange<'_> {
    async fn run(&self) -> Response<Body> {
        let limited = lock(&self.shared.ledger).request(self.asked.endpoint, Instant::now());
        if let Some(refusal) = limited {
            self.became(Outcome::Limited(refusal.limit));
            return refusal.answer.into_response();
        }
        let order = lock(&self.shared.script).decide(&self.asked);
        match order.as_ref().map(|order| &order.action) {
            Some(Action::Answer(answer)) => self.own(order.as_ref(), (**answer).clone()).await,
            Some(Action::Flood(bytes)) => {
                self.acted(order.as_ref());
                Response::new(whole(vec![b' '; *bytes]))
            }
            Some(Action::Hang) => {
                self.acted(order.as_ref());
                pending().await
            }
            Some(Action::Cut) => self.cut(order.as_ref()).await,
            Some(Action::Delay(delay)) => {
                self.acted(order.as_ref());
                sleep(*delay).await;
                self.pass(None).await
            }
            _ => self.pass(order.as_ref()).await,
        }
    }

    /// An answer of our own. To a signed request the CA gives a nonce, also with an error.
    async fn own(&self, order: Option<&Order>, answer: Answer) -> Response<Body> {
        self.acted(order);
        if self.asked.endpoint == Endpoint::RenewalInfo {
            lock(&self.shared.known).renewal_info(self.asked.path(), answer.document());
        }
        let with_nonce = self.asked.is_signed() && answer.is_of_the_ca() && answer.status() != 503;
        let mut response = answer.into_response();
        if with_nonce && let Some(nonce) = self.shared.upstream.nonce().await {
            response.headers_mut().insert("replay-nonce", nonce);
        }
        response
    }

    async fn cut(&self, order: Option<&Order>) -> Response<Body> {
        self.acted(order);
        self.cut.notify_one();
        pending().await
    }

    /// Asks pebble, unless a limit refuses, and does with its answer what the rule says.
    async fn pass(&self, order: Option<&Order>) -> Response<Body> {
        let exemption = match self.take_order() {
            Ok(exemption) => exemption,
            Err(refusal) => {
                self.became(Outcome::Limited(refusal.limit));
                return self.own(None, refusal.answer).await;
            }
        };
        let Ok((mut parts, mut body)) = self.shared.upstream.ask(&self.asked).await else {
            self.became(Outcome::Unreachable);
            return Answer::html(502, "<html><body><h1>502 Bad Gateway</h1></body></html>\n").into_response();
        };
        self.learn(&parts, &body, exemption);
        match order.map(|order| &order.action) {
            Some(Action::CutAfterwards) => return self.cut(order).await,
            Some(Action::Trickle(pause)) => {
                self.acted(order);
                return Response::from_parts(parts, trickling(body, *pause));
            }
            Some(action) => {
                if let Some(changed) = self.change(action, &mut parts, &body) {
                    self.acted(order);
                    body = changed;
                }
            }
            None => {}
        }
        Response::from_parts(parts, whole(body))
    }

    /// What a new order is exempt from, or the refusal.
    fn take_order(&self) -> Result<Option<Exemption>, Box<Refusal>> {
        let asked = &self.asked;
        let (Endpoint::NewOrder, Some(account)) = (asked.endpoint, &asked.account) else { return Ok(None) };
        let replaces = asked.payload.as_ref().and_then(|payload| payload["replaces"].as_str());
        let in_window = replaces
            .is_some_and(|certificate| lock(&self.shared.known).is_in_window(certificate, wall_clock()));
        let taken = lock(&self.shared.ledger).order(account, &asked.names, in_window, Instant::now());
        taken.map(Some)
    }

    /// Learns from pebble's answer, and counts what the limits count.
    fn learn(&self, parts: &Parts, body: &Bytes, exemption: Option<Exemption>) {
        let (asked, now) = (&self.asked, Instant::now());
        let account = asked.account.as_deref().unwrap_or_default();
        let document: Value = serde_json::from_slice(body).unwrap_or_default();
        if !parts.status.is_success() {
            if let Some(exemption) = exemption {
                lock(&self.shared.ledger).not_placed(account, exemption, now);
            }
            return;
        }
        let (mut known, mut ledger) = (lock(&self.shared.known), lock(&self.shared.ledger));
        match asked.endpoint {
            Endpoint::NewOrder | Endpoint::Order | Endpoint::Finalize => {
                let path = order_path(asked, parts, &known);
                if let Some(exemption) = exemption {
                    ledger.placed(&path, exemption);
                }
                if known.order(&path, &document, now) {
                    ledger.issued(&path, &identifiers(&document), now);
                }
                if let Some(name) = known.failed_alone(&document) {
                    ledger.failed(account, &name, now);
                }
            }
            Endpoint::Authorization => {
                let failed = known.authorization(asked.path(), &document);
                for name in identifiers(&document).iter().filter(|_| failed) {
                    ledger.failed(account, name, now);
                }
            }
            Endpoint::RenewalInfo => known.renewal_info(asked.path(), &document),
            _ => {}
        }
    }

    /// The body that goes out instead, if the action has anything to change in this answer.
    fn change(&self, action: &Action, parts: &mut Parts, body: &Bytes) -> Option<Bytes> {
        if !parts.status.is_success() {
            return None;
        }
        match action {
            Action::WrongCertificate(wrong) => Some(self.shared.issuer.spoil(body, *wrong)?.into()),
            Action::Edit(edit) => {
                let mut document = serde_json::from_slice(body).ok()?;
                edit(&mut document);
                Some(document.to_string().into())
            }
            Action::HideOrderError => {
                let mut document: Value = serde_json::from_slice(body).ok()?;
                document.as_object_mut()?.remove("error")?;
                Some(document.to_string().into())
            }
            Action::Processing(time, retry_after) => {
                let known = lock(&self.shared.known);
                let issued = known.issued_at(&order_path(&self.asked, parts, &known))?;
                if issued.elapsed() >= *time {
                    return None;
                }
                let retry_after = retry_after.map(HeaderValue::from);
                parts.headers.remove(RETRY_AFTER);
                parts.headers.extend(retry_after.map(|seconds| (RETRY_AFTER, seconds)));
                processing(body)
            }
            _ => None,
        }
    }

    fn acted(&self, order: Option<&Order>) {
        let Some(order) = order else { return };
        let words = lock(&self.shared.script).note_acted(order.rule);
        self.became(Outcome::Ruled(words));
    }

    fn became(&self, outcome: Outcome) {
        lock(&self.shared.journal).became(self.number, outcome);
    }
}

/// A valid order as it looked before.
fn processing(order: &Bytes) -> Option<Bytes> {
    let mut document: Value = serde_json::from_slice(order).ok()?;
    if document["status"] != "valid" {
        return None;
    }
    document["status"] = "processing".into();
    document.as_object_mut()?.remove("certificate");
    Some(document.to_string().into())
}

/// The path of the order in this answer.
fn order_path(asked: &Asked, parts: &Parts, known: &Known) -> String {
    let location = parts.headers.get(LOCATION).and_then(|url| url.to_str().ok()).and_then(path_of);
    let location = location.filter(|path| Endpoint::of(path) == Endpoint::Order);
    location.or_else(|| known.order_of(asked.path()).cloned()).unwrap_or_else(|| asked.path().to_owned())
}
