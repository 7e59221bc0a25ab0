//! `/v1/domains/{name}/setup`: what a name's owner is to set in DNS, and what is there.

use axum::{Json, extract::State};
use certmill_model::{ChallengeKind, Hostname};
use certmill_store::Domain;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{super::refusals::OfRead, checks::FindingDocument, name::DomainRef};
use crate::{
    PublicUrl, WebState,
    access::Caller,
    problem::{Problem, ProblemDocument},
    setup::{self, Purpose, WantedRecord},
};

/// What the owner of a name is told.
#[derive(Serialize, ToSchema)]
#[schema(title = "Setup")]
pub(super) struct SetupDocument {
    /// The name in A-label form.
    name: String,
    /// The name as people write it.
    name_unicode: String,
    /// As of the domain.
    status: &'static str,
    /// When the name was last looked at; null: not yet.
    #[serde(with = "time::serde::rfc3339::option")]
    checked_at: Option<OffsetDateTime>,
    /// How the name would be proved to a certificate authority as it was last seen: `http-01`, `dns-01`, or null while
    /// it cannot be.
    challenge: Option<&'static str>,
    /// Why so, for people.
    challenge_reason: &'static str,
    /// The records to set, what counts first in front.
    records: Vec<RecordDocument>,
    /// What is wrong beside the records.
    problems: Vec<FindingDocument>,
}

/// A DNS record to set, beside what is there.
#[derive(Serialize, ToSchema)]
#[schema(title = "WantedRecord")]
struct RecordDocument {
    /// What counts first is 1. Of several records of one rank any one will do.
    rank: u8,
    /// `traffic`: it brings shoppers to the load balancers. `certificate`: it lets the name be proved by DNS. `ownership`:
    /// it says that the name is this tenant's.
    purpose: &'static str,
    /// Whether the name does not work without it.
    required: bool,
    /// `A`, `AAAA`, `CNAME` or `TXT`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The record's full name, in A-label form.
    #[schema(example = "_acme-challenge.shop.brand.example")]
    name: String,
    /// The same as people write it.
    name_unicode: String,
    /// What to type where a form appends the name of the zone by itself; `@` is the zone.
    #[schema(example = "_acme-challenge.shop")]
    host: String,
    /// The registered domain, which `host` is relative to.
    #[schema(example = "brand.example")]
    zone: String,
    /// What the record must hold; null while the platform has no DNS zone to point into.
    value: Option<String>,
    /// `pass`, `fail`, or `unknown`: not looked at yet, or it does not matter now.
    result: &'static str,
    /// What was seen there; empty if nothing.
    seen: Vec<String>,
    /// The address of the name server that said so.
    seen_from: Option<String>,
    /// What is wrong, if something is.
    problem: Option<FindingDocument>,
}

/// Read what to set in DNS, and what is there
#[utoipa::path(
    get, path = "/v1/domains/{name}/setup", operation_id = "show_setup", tag = "domains", security(("token" = [])),
    params(("name" = String, Path, description = "The name, in A-label or U-label form, or the id", example = "shop.brand.test")),
    responses(
        (status = 200, description = "What to set, and what was last seen", body = SetupDocument),
        (status = 400, description = "The name cannot be read", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 410, description = "It was removed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "Not a name", body = ProblemDocument, content_type = "application/problem+json"),
        OfRead,
    )
)]
pub(super) async fn show(
    State(state): State<WebState>,
    caller: Caller,
    name: DomainRef,
) -> Result<Json<SetupDocument>, Problem> {
    let mut reader = state.store.read(caller.reach).await?;
    let domain = name.find(&state, &mut reader).await?;
    let setup = reader.setup(domain.domain_id).await?;
    Ok(Json(SetupDocument::new(&domain, &setup, &state.settings.public_url)))
}

impl SetupDocument {
    fn new(domain: &Domain, setup: &certmill_store::Setup, url: &PublicUrl) -> Self {
        let name: &Hostname = &domain.name;
        let (challenge, challenge_reason) = setup::challenge(name, setup);
        Self {
            name: name.to_string(),
            name_unicode: name.to_unicode(),
            status: domain.status.as_str(),
            checked_at: setup.checks.as_ref().map(|checks| checks.checked_at),
            challenge: challenge.map(ChallengeKind::as_str),
            challenge_reason,
            records: setup::wanted_records(name, setup)
                .into_iter()
                .map(|record| RecordDocument::new(record, url))
                .collect(),
            problems: setup::other_problems(setup)
                .into_iter()
                .map(|finding| FindingDocument::new(finding, url))
                .collect(),
        }
    }
}

impl RecordDocument {
    fn new(record: WantedRecord, url: &PublicUrl) -> Self {
        let purpose = match record.purpose {
            Purpose::Traffic => "traffic",
            Purpose::Certificate => "certificate",
            Purpose::Ownership => "ownership",
        };
        Self {
            rank: record.rank,
            purpose,
            required: record.required,
            kind: record.kind,
            name: record.name,
            name_unicode: record.name_unicode,
            host: record.host,
            zone: record.zone,
            value: record.value,
            result: record.result.as_str(),
            seen: record.seen,
            seen_from: record.seen_from,
            problem: record.problem.map(|finding| FindingDocument::new(finding, url)),
        }
    }
}
