//! What the API answers, in JSON.

use certmill_model::{OrderStatus, Problem};
use certmill_store::{CappedCount, Domain, OrderOfDomain, TargetRow};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::domains::ChecksDocument;
use crate::{PublicUrl, docs};

/// A domain as it stands.
#[derive(Serialize, ToSchema)]
#[schema(title = "Domain")]
pub(super) struct DomainDocument {
    /// Its id.
    #[schema(example = "dom_01jd4z6k3m8q2v5w7x9y0a1b2c")]
    id: String,
    /// The name in A-label form.
    name: String,
    /// The name as people write it.
    name_unicode: String,
    /// The id of the tenant.
    tenant: String,
    /// The shop's id in the commerce system.
    external_id: Option<String>,
    /// The words that its tenant sorts it by.
    tags: Vec<String>,
    /// What its tenant keeps with it: short texts by name.
    #[schema(value_type = HashMap<String, String>)]
    metadata: serde_json::Value,
    /// The nginx template, where the domain names one itself.
    template: Option<String>,
    /// The kind of key of its next certificate, its own or else the tenant's: `ecdsa_p256`, `ecdsa_p384`, `rsa_2048`,
    /// `rsa_3072` or `rsa_4096`.
    key_type: &'static str,
    /// `pending_dns`, `pending_issuance`, `pending_deployment`, `active`, `moved`, `expired`, `failed`, `paused`,
    /// `blocked` or `pending_deletion`.
    status: &'static str,
    /// Since when it has this status.
    #[serde(with = "time::serde::rfc3339")]
    since: OffsetDateTime,
    /// `ok`, `warning` or `critical`. A renewal that fails shows here, not in `status`.
    health: &'static str,
    /// What is wrong, and what mends it.
    problems: Vec<DomainProblemDocument>,
    /// The current certificate.
    certificate: Option<CertificateDocument>,
    /// The rate limit of the CA that its order waits for, with the date of its turn; null: it waits for none.
    deferred: Option<DeferralDocument>,
    /// When something is tried next.
    #[serde(with = "time::serde::rfc3339::option")]
    next_action_at: Option<OffsetDateTime>,
    /// When it was registered.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When anything of it last changed.
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

/// A page of domains.
#[derive(Serialize, ToSchema)]
pub(super) struct DomainList {
    /// The domains.
    pub(super) data: Vec<DomainDocument>,
    /// The `cursor` of the next page; null on the last one.
    pub(super) next_cursor: Option<String>,
    /// `suiting`: these are what was asked for. `similar`: nothing suits, these names are like it. `in_part`: there may be more,
    /// not all names were looked at; the next page goes on, if there is one, else more letters help.
    pub(super) found: &'static str,
    /// How many there are, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) count: Option<CountDocument>,
}

/// How many there are.
#[derive(Serialize, ToSchema)]
#[schema(title = "CappedCount")]
pub(super) struct CountDocument {
    /// At least so many.
    at_least: u64,
    /// Whether it is exactly so many.
    is_exact: bool,
}

impl From<CappedCount> for CountDocument {
    fn from(count: CappedCount) -> Self {
        let (at_least, is_exact) = match count {
            CappedCount::Exactly(count) => (count, true),
            CappedCount::MoreThan(count) => (count, false),
            CappedCount::Unknown => (0, false),
        };
        Self { at_least, is_exact }
    }
}

/// A domain as it stands, with what was last seen of its name.
#[derive(Serialize, ToSchema)]
#[schema(title = "DomainDetails")]
pub(super) struct DomainDetails {
    #[serde(flatten)]
    pub(super) domain: DomainDocument,
    /// What was last seen.
    pub(super) checks: ChecksDocument,
    /// When DNS was last looked at; null: not yet.
    #[serde(with = "time::serde::rfc3339::option")]
    pub(super) checked_at: Option<OffsetDateTime>,
    /// Its last order; null: none was placed yet.
    pub(super) latest_order: Option<LatestOrder>,
}

/// The last order of a domain.
#[derive(Serialize, ToSchema)]
pub(super) struct LatestOrder {
    /// Its id.
    #[schema(example = "ord_01jd4z6k3m8q2v5w7x9y0a1b2c")]
    id: String,
    /// `queued`, `deferred`, `pending`, `ready`, `processing`, `valid`, `invalid` or `cancelled`.
    status: &'static str,
    /// How many orders there were since the last one that brought a certificate, this one included.
    attempt: usize,
}

impl LatestOrder {
    /// Of `orders`, the newest first.
    pub(super) fn of(orders: &[OrderOfDomain]) -> Option<Self> {
        let latest = orders.first()?;
        let failed = orders.iter().skip(1).take_while(|order| order.status != OrderStatus::Valid).count();
        Some(Self { id: latest.order_id.to_string(), status: latest.status.as_str(), attempt: failed + 1 })
    }
}

/// An open problem of a domain.
#[derive(Serialize, ToSchema)]
#[schema(title = "DomainProblem")]
pub(super) struct DomainProblemDocument {
    /// A stable word for programs.
    code: &'static str,
    /// `warning` or `critical`.
    severity: &'static str,
    /// The kind of problem, for people.
    title: &'static str,
    /// The particulars.
    detail: String,
    /// What mends it.
    fix: &'static str,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    since: OffsetDateTime,
    /// The last attempt that showed it.
    #[serde(with = "time::serde::rfc3339")]
    last_attempt_at: OffsetDateTime,
    /// The next attempt.
    #[serde(with = "time::serde::rfc3339::option")]
    next_attempt_at: Option<OffsetDateTime>,
    /// A page about this kind of problem.
    #[schema(example = "https://certmill.example.com/docs/problems/caa_forbids")]
    docs_url: String,
}

/// A certificate.
#[derive(Serialize, ToSchema)]
#[schema(title = "Certificate")]
struct CertificateDocument {
    /// Its id.
    id: String,
    /// The serial number, hexadecimal.
    serial_number: String,
    /// Who issued it.
    issuer: String,
    /// Valid from.
    #[serde(with = "time::serde::rfc3339")]
    not_before: OffsetDateTime,
    /// Valid until.
    #[serde(with = "time::serde::rfc3339")]
    not_after: OffsetDateTime,
    /// When its renewal begins.
    #[serde(with = "time::serde::rfc3339::option")]
    renew_after: Option<OffsetDateTime>,
    /// The directory of the CA that it was ordered from.
    authority: String,
    /// When the CA wants it to be renewed (RFC 9773); null where it did not say.
    suggested_window: Option<WindowDocument>,
}

/// When a CA wants a certificate to be renewed.
#[derive(Serialize, ToSchema)]
#[schema(title = "SuggestedWindow")]
struct WindowDocument {
    /// From when.
    #[serde(with = "time::serde::rfc3339")]
    start: OffsetDateTime,
    /// Until when.
    #[serde(with = "time::serde::rfc3339")]
    end: OffsetDateTime,
    /// A page of the CA that says why then.
    explanation_url: Option<String>,
}

/// A rate limit that an order waits for.
#[derive(Serialize, ToSchema)]
#[schema(title = "Deferral")]
struct DeferralDocument {
    /// Until when.
    #[serde(with = "time::serde::rfc3339")]
    until: OffsetDateTime,
    /// `orders_per_account`, `certificates_per_registered_domain`, `certificates_per_name_set`, `failed_validations` or
    /// `requests`.
    limit: &'static str,
    /// What the limit counts: a registered domain or names; empty for the account.
    counted: String,
}

/// A target: a load balancer.
#[derive(Serialize, ToSchema)]
#[schema(title = "Target")]
pub(super) struct TargetDocument {
    /// Its id.
    id: String,
    /// Its name.
    name: String,
    /// Where a handshake proves what it serves: address and port.
    address: String,
    /// What a shop's A and AAAA records must hold.
    public_addresses: Vec<String>,
    /// `in_sync`, `behind`, `drifted`, `unreachable` or `disabled`.
    state: &'static str,
    /// Why.
    state_detail: Option<String>,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    since: OffsetDateTime,
    /// The release that is live there.
    release: Option<i64>,
    /// The id of the group that it serves in; null: none. Tenants without a group are served by every load balancer.
    group: Option<String>,
    /// Domains on it.
    domains: i64,
    /// Domains of which something is still to be delivered to it.
    pending: i64,
}

impl DomainDocument {
    pub(super) fn new(domain: Domain, problems: Vec<Problem>, url: &PublicUrl) -> Self {
        let renew_after = domain.renew_after;
        let certificate = domain.certificate.map(|certificate| CertificateDocument {
            id: certificate.certificate_id.to_string(),
            serial_number: certificate.serial_number,
            issuer: certificate.issuer,
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            renew_after,
            authority: certificate.directory_url,
            suggested_window: certificate.window.map(|window| WindowDocument {
                start: window.start(),
                end: window.end(),
                explanation_url: certificate.explanation_url,
            }),
        });
        let deferred = domain.deferral.map(|deferral| DeferralDocument {
            until: deferral.until,
            limit: deferral.limit.as_str(),
            counted: deferral.counted,
        });
        Self {
            id: domain.domain_id.to_string(),
            name_unicode: domain.name.to_unicode(),
            name: domain.name.to_string(),
            tenant: domain.tenant_id.to_string(),
            external_id: domain.external_id,
            tags: domain.tags,
            metadata: domain.metadata,
            template: domain.template,
            key_type: domain.effective_key_type.as_str(),
            status: domain.status.as_str(),
            since: domain.status_since,
            health: domain.health.as_str(),
            problems: problems.into_iter().map(|problem| DomainProblemDocument::new(problem, url)).collect(),
            certificate,
            deferred,
            next_action_at: domain.next_action_at,
            created_at: domain.created_at,
            updated_at: domain.updated_at,
        }
    }
}

impl DomainProblemDocument {
    fn new(problem: Problem, url: &PublicUrl) -> Self {
        Self {
            code: problem.code.as_str(),
            severity: problem.code.severity().as_str(),
            title: problem.code.title(),
            detail: problem.detail,
            fix: problem.code.fix(),
            since: problem.since,
            last_attempt_at: problem.last_attempt_at,
            next_attempt_at: problem.next_attempt_at,
            docs_url: docs::problem_url(url, problem.code),
        }
    }
}

impl From<TargetRow> for TargetDocument {
    fn from(target: TargetRow) -> Self {
        Self {
            id: target.target_id.to_string(),
            name: target.name,
            address: target.address.to_string(),
            public_addresses: target.public_addresses.iter().map(ToString::to_string).collect(),
            state: target.state.as_str(),
            state_detail: target.state_detail,
            since: target.state_since,
            release: target.release_number,
            group: target.group_id.map(|group| group.to_string()),
            domains: target.domains,
            pending: target.pending,
        }
    }
}
