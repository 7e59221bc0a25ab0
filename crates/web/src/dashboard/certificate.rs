//! `/certificates/{certificate}`: what is public of one certificate, when it is renewed, and who serves it.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use certmill_store::{CertificateRow, ScopedTx};
use data_encoding::HEXLOWER;
use http::{
    StatusCode,
    header::{CONTENT_DISPOSITION, CONTENT_TYPE},
};

use super::{
    domain::CertificateCard,
    frame::Frame,
    inventory::CertificateLine,
    moment::Moment,
    pages,
    past::{PlacementRow, placements},
};
use crate::{
    WebState,
    access::Caller,
    api::certificates::{CHAIN, find},
    problem::Problem,
};

#[derive(Template)]
#[template(path = "certificate.html")]
struct CertificatePage {
    frame: Frame,
    line: CertificateLine,
    fingerprint: String,
    order: String,
    from: Moment,
    came: Moment,
    use_now: Option<Use>,
    /// How many load balancers were seen to serve it, and their names, where the reader may see them.
    served_by: i64,
    targets: Vec<String>,
    /// In PEM.
    chain: String,
    origin: String,
}

/// What the domain that it was ordered for has of it, while that domain uses it.
struct Use {
    life: CertificateCard,
    placements: Vec<PlacementRow>,
}

pub(super) async fn show(
    State(state): State<WebState>,
    caller: Caller,
    Path(certificate): Path<String>,
) -> Result<Response, Problem> {
    let now = state.now();
    let mut tx = state.store.read(caller.reach).await?;
    let (row, served) = find(&mut tx, &certificate).await?;
    let page = CertificatePage {
        frame: Frame::new(&caller, "/certificates"),
        fingerprint: HEXLOWER.encode(&row.fingerprint),
        order: row.order_id.to_string(),
        from: Moment::new(row.not_before, now),
        came: Moment::new(row.created_at, now),
        use_now: Use::of(&mut tx, &row, now).await?,
        served_by: served.served_by,
        targets: served.targets,
        chain: served.fullchain,
        origin: state.settings.public_url.origin().to_owned(),
        line: CertificateLine::new(row, now),
    };
    Ok(pages::answer(StatusCode::OK, &page))
}

/// Its chain, as a file. There is no way to its key.
pub(super) async fn chain(
    State(state): State<WebState>,
    caller: Caller,
    Path(certificate): Path<String>,
) -> Result<Response, Problem> {
    let (row, served) = find(&mut state.store.read(caller.reach).await?, &certificate).await?;
    let name = format!("attachment; filename=\"{}.pem\"", row.certificate_id);
    Ok(([(CONTENT_TYPE, CHAIN.to_owned()), (CONTENT_DISPOSITION, name)], served.fullchain).into_response())
}

impl Use {
    async fn of(
        tx: &mut ScopedTx,
        row: &CertificateRow,
        now: time::OffsetDateTime,
    ) -> Result<Option<Self>, Problem> {
        let Some(domain) = tx.domain(row.domain_id).await? else { return Ok(None) };
        let found = domain.certificate.filter(|found| found.certificate_id == row.certificate_id);
        let Some(found) = found else { return Ok(None) };
        let life = CertificateCard::new(found, domain.renew_after, now);
        Ok(Some(Self { life, placements: placements(tx.placements_of(row.domain_id).await?, now) }))
    }
}
