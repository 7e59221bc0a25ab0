//! `/v1/certificates`: what was issued, what ends soonest first; never a key.

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use certmill_model::{CertificateId, CertificateStatus, KeyType};
use certmill_store::{
    CertificateFilter, CertificatePosition, CertificateRow, Reach, ScopedTx, ServedCertificate,
};
use data_encoding::HEXLOWER;
use http::{
    HeaderMap,
    header::{ACCEPT, CONTENT_TYPE, VARY},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{
    domains::DomainRef,
    page::{Instant, ListQuery, Page, cut},
    refusals::{OfList, OfRead},
};
use crate::{
    WebState,
    access::Caller,
    problem::{Problem, ProblemDocument},
};

const LIST: &str = "certificates";

/// The media type of a chain (RFC 8555 section 9.1).
pub(crate) const CHAIN: &str = "application/pem-certificate-chain";

/// A certificate of the inventory.
#[derive(Serialize, ToSchema)]
#[schema(title = "IssuedCertificate")]
pub(super) struct IssuedCertificate {
    /// Its id.
    #[schema(example = "crt_01jd4z6k3m8q2v5w7x9y0a1b2c")]
    id: String,
    /// The id of the tenant.
    tenant: String,
    /// The id of the domain that it was ordered for.
    domain: String,
    /// The id of the order that it came of.
    order: String,
    /// Its names, in A-label form.
    names: Vec<String>,
    /// `issued`, `active`, `superseded`, `expired` or `revoked`.
    status: &'static str,
    /// The serial number, hexadecimal.
    serial_number: String,
    /// SHA-256 of the certificate, hexadecimal.
    fingerprint: String,
    /// Who issued it.
    issuer: String,
    /// The directory of the CA.
    authority: String,
    /// The kind of its key; null: not on record.
    key_type: Option<&'static str>,
    /// Valid from.
    #[serde(with = "time::serde::rfc3339")]
    not_before: OffsetDateTime,
    /// Valid until.
    #[serde(with = "time::serde::rfc3339")]
    not_after: OffsetDateTime,
    /// When it came.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// A certificate with its chain.
#[derive(Serialize, ToSchema)]
#[schema(title = "CertificateWithChain")]
pub(super) struct CertificateWithChain {
    #[serde(flatten)]
    certificate: IssuedCertificate,
    /// The certificate and what leads to its root, in PEM.
    fullchain: String,
    /// How many load balancers were seen to serve it.
    served_by: i64,
    /// Their names; null: they are not for this caller to see.
    targets: Option<Vec<String>>,
}

/// Which certificates are wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CertificateQuery {
    domain: Option<DomainRef>,
    status: Option<CertificateStatus>,
    ca: Option<String>,
    key_type: Option<KeyType>,
    expires_before: Option<Instant>,
    expires_after: Option<Instant>,
}

/// List certificates, what ends soonest first
///
/// Superseded ones are left out, unless `status` asks for them.
#[utoipa::path(
    get, path = "/v1/certificates", operation_id = "list_certificates", tag = "certificates", security(("token" = [])),
    params(
        ("domain" = Option<String>, Query, description = "The name or id of the domain that they were ordered for"),
        ("status" = Option<String>, Query, description = "One of the statuses"),
        ("ca" = Option<String>, Query, description = "The directory of the CA"),
        ("key_type" = Option<String>, Query, description = "The kind of key"),
        ("expires_before" = Option<String>, Query, format = DateTime, description = "They end before this instant"),
        ("expires_after" = Option<String>, Query, format = DateTime, description = "They end at this instant or after"),
        ("limit" = Option<u16>, Query, description = "Entries on a page, 1 to 1000; 100 by default"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses(
        (status = 200, description = "A page", body = Page<IssuedCertificate>, headers(("Link" = String, description = "The next page, rel=next"))),
        (status = 410, description = "The domain was removed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "There is no such domain where this caller can see it", body = ProblemDocument, content_type = "application/problem+json"),
        OfList,
    )
)]
pub(super) async fn list(
    State(state): State<WebState>,
    caller: Caller,
    query: ListQuery<CertificateQuery>,
) -> Result<Response, Problem> {
    let after = query.after::<CertificatePosition>(caller.reach, LIST)?;
    let mut tx = state.store.read(caller.reach).await?;
    let wanted = &query.filter;
    let domain = match &wanted.domain {
        Some(word) => Some(word.find(&state, &mut tx).await?.domain_id),
        None => None,
    };
    let filter = CertificateFilter {
        domain,
        status: wanted.status,
        authority: wanted.ca.clone(),
        key_type: wanted.key_type,
        expires_before: wanted.expires_before.map(|instant| instant.0),
        expires_after: wanted.expires_after.map(|instant| instant.0),
    };
    let mut rows = tx.list_certificates(&filter, after, query.rows()).await?;
    let end = cut(&mut rows, query.limit, |row| row.position().to_string());
    let data = rows.into_iter().map(IssuedCertificate::from).collect();
    Ok(query.answer(caller.reach, LIST, "/v1/certificates", data, end.as_deref()))
}

/// Read a certificate
///
/// With `Accept: application/pem-certificate-chain` its chain alone. Private keys are never shown.
#[utoipa::path(
    get, path = "/v1/certificates/{certificate}", operation_id = "show_certificate", tag = "certificates", security(("token" = [])),
    params(("certificate" = String, Path, description = "Its id", example = "crt_01jd4z6k3m8q2v5w7x9y0a1b2c")),
    responses(
        (status = 200, description = "The certificate", content((CertificateWithChain = "application/json"), (String = "application/pem-certificate-chain"))),
        OfRead,
    )
)]
pub(super) async fn show(
    State(state): State<WebState>,
    caller: Caller,
    Path(certificate): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut tx = state.store.read(caller.reach).await?;
    let (row, served) = find(&mut tx, &certificate).await?;
    let accepts = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepts.split([',', ';']).any(|kind| kind.trim().eq_ignore_ascii_case(CHAIN)) {
        return Ok(([(CONTENT_TYPE, CHAIN), (VARY, "accept")], served.fullchain).into_response());
    }
    let document = CertificateWithChain {
        certificate: row.into(),
        fullchain: served.fullchain,
        served_by: served.served_by,
        targets: (caller.reach == Reach::Platform).then_some(served.targets),
    };
    Ok(([(VARY, "accept")], Json(document)).into_response())
}

/// The certificate of this id, and where it is served.
pub(crate) async fn find(
    tx: &mut ScopedTx,
    id: &str,
) -> Result<(CertificateRow, ServedCertificate), Problem> {
    let missing = || Problem::no_such("certificate");
    let id: CertificateId = id.parse().map_err(|_| missing())?;
    let row = tx.certificate(id).await?.ok_or_else(missing)?;
    let served = tx.served_certificate(id).await?.ok_or_else(missing)?;
    Ok((row, served))
}

impl From<CertificateRow> for IssuedCertificate {
    fn from(row: CertificateRow) -> Self {
        Self {
            id: row.certificate_id.to_string(),
            tenant: row.tenant_id.to_string(),
            domain: row.domain_id.to_string(),
            order: row.order_id.to_string(),
            names: row.names,
            status: row.status.as_str(),
            serial_number: row.serial_number,
            fingerprint: HEXLOWER.encode(&row.fingerprint),
            issuer: row.issuer,
            authority: row.authority,
            key_type: row.key_type.map(KeyType::as_str),
            not_before: row.not_before,
            not_after: row.not_after,
            created_at: row.created_at,
        }
    }
}
