//! `/domains/{name}`: one domain, what is wrong with it, and what happened to it.

use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use certmill_model::{BulkAction, DomainId, DomainStatus, Hostname, Permission, Problem as DomainProblem};
use certmill_store::{
    CertificateOfDomain, Domain, DomainCertificate, DomainEvent, OrderOfDomain, PlacementOfDomain, ScopedTx,
};
use http::StatusCode;
use serde::Deserialize;
use time::OffsetDateTime;

use super::{
    dns::DnsCard,
    frame::Frame,
    moment::Moment,
    operation_words,
    pages::{self, DomainPage, Refresh},
    past::{CertificateRow, OrderRow, Weeks, placements},
    words::{self, Look},
};
use crate::{WebState, access::Caller, api, problem::Problem};

/// Entries of the timeline on the page.
const EVENTS: i64 = 100;

/// Orders and certificates on the page.
const ORDERS: i64 = 10;

/// The width of the picture of a certificate's life, in its own units.
const LIFE_WIDTH: f64 = 1000.0;

#[derive(Deserialize)]
pub(super) struct DomainQuery {
    #[serde(default)]
    refresh: String,
}

/// Something that people do with the domain by a button, or why they cannot now.
pub(super) struct Step {
    /// The end of the address that does it.
    pub(super) action: &'static str,
    pub(super) icon: &'static str,
    pub(super) words: &'static str,
    pub(super) hindrance: Option<&'static str>,
}

/// Something that is wrong, and what mends it.
pub(super) struct ProblemCard {
    pub(super) code: &'static str,
    pub(super) tone: &'static str,
    pub(super) title: &'static str,
    pub(super) detail: String,
    pub(super) fix: &'static str,
    pub(super) since: Moment,
    pub(super) last_attempt: Moment,
    pub(super) next_attempt: Option<Moment>,
}

/// The certificate, and how much of its life is over.
pub(super) struct CertificateCard {
    pub(super) id: String,
    pub(super) issuer: String,
    pub(super) serial_number: String,
    pub(super) valid_from: Moment,
    pub(super) valid_until: Moment,
    pub(super) renews: Option<Moment>,
    pub(super) suggested: Option<Suggested>,
    pub(super) life_over: i64,
    pub(super) life_renewal: Option<i64>,
}

/// When the authority wants the certificate to be renewed, and where it says why.
pub(super) struct Suggested {
    pub(super) from: Moment,
    pub(super) until: Moment,
    pub(super) reason: Option<String>,
}

/// Something that happened.
pub(super) struct EventEntry {
    pub(super) look: Look,
    pub(super) detail: String,
    pub(super) at: Moment,
}

pub(super) async fn show(
    State(state): State<WebState>,
    caller: Caller,
    Path(name): Path<String>,
    Query(query): Query<DomainQuery>,
) -> Result<Response, Problem> {
    let now = state.now();
    let mut tx = state.store.read(caller.reach).await?;
    let domain = named(&mut tx, &name).await?;
    let name = domain.name.clone();
    let problems = tx.problems(domain.domain_id).await?;
    let setup = tx.setup(domain.domain_id).await?;
    let past = Past::read(&mut tx, domain.domain_id).await?;
    let json = api::domain_json(&state, &mut tx, domain.clone()).await?;
    let paused = query.refresh == "off";
    let address = |word: &str| match word {
        "" => format!("/domains/{name}"),
        word => format!("/domains/{name}?refresh={word}"),
    };
    let page = DomainPage {
        frame: Frame::new(&caller, "/domains"),
        refresh: Refresh::new(words::is_under_way(domain.status), paused, address),
        may_change: caller.may(Permission::DomainsWrite) && domain.status != DomainStatus::PendingDeletion,
        steps: steps(&domain),
        check_hindrance: Step::new(BulkAction::Check, &domain).hindrance,
        look: words::status(domain.status),
        sentence: words::status_sentence(domain.status),
        advice: words::status_advice(domain.status),
        dns: DnsCard::new(&domain, &setup, &problems, now),
        key_type: words::key_type(domain.effective_key_type),
        health: words::health(domain.health),
        since: Moment::new(domain.status_since, now),
        problems: problems.into_iter().map(|problem| ProblemCard::new(problem, now)).collect(),
        lanes: Weeks::new(domain.created_at, &past.events, &past.orders, &past.certificates, now),
        certificate: domain.certificate.map(|found| CertificateCard::new(found, domain.renew_after, now)),
        is_cut: past.events.len() as i64 == EVENTS,
        events: past.events.into_iter().map(|event| EventEntry::new(event, now)).collect(),
        orders: past.orders.into_iter().map(|order| OrderRow::new(order, now)).collect(),
        certificates: past.certificates.into_iter().map(|found| CertificateRow::new(found, now)).collect(),
        placements: placements(past.placements, now),
        name_unicode: name.to_unicode(),
        name: name.to_string(),
        id: domain.domain_id.to_string(),
        tenant: domain.tenant,
        external_id: domain.external_id,
        tags: domain.tags,
        template: domain.template,
        registered: Moment::new(domain.created_at, now),
        next_action: domain.next_action_at.filter(|at| *at > now).map(|at| Moment::new(at, now)),
        deferral: domain.deferral.map(|deferral| Moment::new(deferral.until, now)),
        origin: state.settings.public_url.origin().to_owned(),
        json,
    };
    Ok(pages::answer(StatusCode::OK, &page))
}

/// The domain called `name`, if it can be seen from here.
pub(super) async fn named(tx: &mut ScopedTx, name: &str) -> Result<Domain, Problem> {
    let name = Hostname::parse(name).map_err(|_| Problem::no_such_domain())?;
    tx.find_domain(&name).await?.ok_or_else(Problem::no_such_domain)
}

/// What its state has buttons for; of pause and resume only the one that makes sense.
fn steps(domain: &Domain) -> Vec<Step> {
    let is_paused = domain.status == DomainStatus::Paused;
    let turn = if is_paused { BulkAction::Resume } else { BulkAction::Pause };
    [BulkAction::Renew, turn].map(|action| Step::new(action, domain)).into()
}

impl Step {
    fn new(action: BulkAction, domain: &Domain) -> Self {
        let (icon, words) = operation_words::bulk_action(action);
        let hindrance = action.hindrance(domain.status, domain.renew_after.is_some());
        Self { action: action.as_str(), icon, words, hindrance }
    }
}

/// What there was of a domain.
struct Past {
    events: Vec<DomainEvent>,
    orders: Vec<OrderOfDomain>,
    certificates: Vec<CertificateOfDomain>,
    placements: Vec<PlacementOfDomain>,
}

impl Past {
    async fn read(tx: &mut ScopedTx, domain: DomainId) -> Result<Self, Problem> {
        Ok(Self {
            events: tx.latest_events(domain, EVENTS).await?,
            orders: tx.orders_of(domain, ORDERS).await?,
            certificates: tx.certificates_of(domain, ORDERS).await?,
            placements: tx.placements_of(domain).await?,
        })
    }
}

impl ProblemCard {
    fn new(problem: DomainProblem, now: OffsetDateTime) -> Self {
        let code = problem.code;
        Self {
            tone: if code.severity() == certmill_model::Severity::Critical { "bad" } else { "warn" },
            code: code.as_str(),
            title: code.title(),
            detail: problem.detail,
            fix: code.fix(),
            since: Moment::new(problem.since, now),
            last_attempt: Moment::new(problem.last_attempt_at, now),
            next_attempt: problem.next_attempt_at.filter(|at| *at > now).map(|at| Moment::new(at, now)),
        }
    }
}

impl CertificateCard {
    pub(super) fn new(
        found: DomainCertificate,
        renew_after: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Self {
        let life = (found.not_after - found.not_before).as_seconds_f64();
        let place = |at: OffsetDateTime| {
            let part = (at - found.not_before).as_seconds_f64() / life.max(1.0);
            (part.clamp(0.0, 1.0) * LIFE_WIDTH) as i64
        };
        let reason = found.explanation_url;
        Self {
            id: found.certificate_id.to_string(),
            suggested: found.window.map(|window| Suggested {
                from: Moment::new(window.start(), now),
                until: Moment::new(window.end(), now),
                reason,
            }),
            life_over: place(now),
            life_renewal: renew_after.map(place),
            renews: renew_after.map(|at| Moment::new(at, now)),
            valid_from: Moment::new(found.not_before, now),
            valid_until: Moment::new(found.not_after, now),
            issuer: found.issuer,
            serial_number: found.serial_number,
        }
    }
}

impl EventEntry {
    fn new(event: DomainEvent, now: OffsetDateTime) -> Self {
        Self { look: words::event(event.kind), detail: event.detail, at: Moment::new(event.happened_at, now) }
    }
}
