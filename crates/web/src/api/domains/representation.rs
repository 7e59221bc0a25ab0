//! A domain as the API shows it, and the version of it.

use axum::response::{IntoResponse, Response};
use certmill_model::DomainId;
use certmill_store::{Domain, ScopedTx};
use data_encoding::HEXLOWER;
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_TYPE, ETAG},
};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::super::{
    documents::{DomainDetails, DomainDocument, LatestOrder},
    etag::{IfMatch, IfNoneMatch},
};
use crate::{WebState, problem::Problem};

/// Orders that are looked at for the number of attempts.
const ORDERS: i64 = 20;

/// The document of `domain`, with its problems, what was last seen of it, and its last order.
pub(super) async fn details(
    state: &WebState,
    reader: &mut ScopedTx,
    domain: Domain,
) -> Result<DomainDetails, Problem> {
    let id = domain.domain_id;
    let problems = reader.problems_of(&[id]).await?.into_iter().map(|(_, problem)| problem).collect();
    let setup = reader.setup(id).await?;
    let placements = reader.placements_of(id).await?;
    let latest_order = LatestOrder::of(&reader.orders_of(id, ORDERS).await?);
    let url = &state.settings.public_url;
    let checks = super::checks::ChecksDocument::new(&domain, &setup, &placements, state.now(), url);
    let checked_at = setup.checks.map(|checks| checks.checked_at);
    Ok(DomainDetails { domain: DomainDocument::new(domain, problems, url), checks, checked_at, latest_order })
}

/// The same as text, as it is answered.
pub(crate) async fn domain_json(
    state: &WebState,
    reader: &mut ScopedTx,
    domain: Domain,
) -> Result<String, Problem> {
    let details = details(state, reader, domain).await?;
    serde_json::to_string_pretty(&details).map_err(|_| Problem::internal())
}

/// The documents of `domains`, with the problems of all of them read at once.
pub(super) async fn documents(
    state: &WebState,
    reader: &mut ScopedTx,
    domains: Vec<Domain>,
) -> Result<Vec<DomainDocument>, Problem> {
    let ids: Vec<DomainId> = domains.iter().map(|domain| domain.domain_id).collect();
    let problems = reader.problems_of(&ids).await?;
    let of =
        |id| problems.iter().filter(move |(domain, _)| *domain == id).map(|(_, problem)| problem.clone());
    let document = |domain: Domain| {
        let problems = of(domain.domain_id).collect();
        DomainDocument::new(domain, problems, &state.settings.public_url)
    };
    Ok(domains.into_iter().map(document).collect())
}

/// Answers with `domain` as it stands, and its `ETag`; `304` if the caller has just that.
pub(super) async fn answer(
    state: &WebState,
    reader: &mut ScopedTx,
    status: StatusCode,
    domain: Domain,
    known: Option<&IfNoneMatch>,
) -> Result<Response, Problem> {
    let wanted = wanted_version(&domain);
    let details = details(state, reader, domain).await?;
    let body = serde_json::to_vec(&details).map_err(|_| Problem::internal())?;
    let tag = format!("\"{wanted}{}\"", digest(&body));
    let header = HeaderValue::from_str(&tag).expect("hexadecimal digits are plain characters");
    if known.is_some_and(|known| known.has(&tag)) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, header)]).into_response());
    }
    let json = HeaderValue::from_static("application/json");
    Ok((status, [(ETAG, header), (CONTENT_TYPE, json)], body).into_response())
}

/// Refuses a change, unless what is wanted of `domain` is what the caller read. What the engine does meanwhile changes the
/// representation, and with it the whole `ETag`, but is nothing that a change could undo.
pub(super) fn check_version(condition: &IfMatch, domain: &Domain) -> Result<(), Problem> {
    let wanted = wanted_version(domain);
    condition.check_by(|tag| tag.strip_prefix('"').is_some_and(|tag| tag.starts_with(&wanted)))
}

/// The part of the `ETag` that stands for what is wanted.
pub(crate) fn wanted_version(domain: &Domain) -> String {
    let wanted = json!([
        domain.domain_id.to_string(),
        domain.external_id,
        domain.template,
        domain.key_type,
        domain.tags,
        domain.metadata,
    ]);
    digest(wanted.to_string().as_bytes())
}

fn digest(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes)[..8])
}
