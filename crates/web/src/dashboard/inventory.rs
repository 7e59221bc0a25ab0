//! `/certificates` and `/orders`: what there is and what was asked for, page by page.

use axum::{
    extract::{Query, State},
    response::Response,
};
use certmill_model::{CertificateStatus, OrderId, OrderStatus};
use certmill_store::{CertificateFilter, CertificateRow, OrderRow, Reach};
use http::StatusCode;
use serde::Deserialize;
use time::OffsetDateTime;

use super::{
    frame::Frame,
    list::address,
    moment::Moment,
    pages::{self, CertificatesPage, OrdersPage},
    words::{self, Look},
};
use crate::{WebState, access::Caller, problem::Problem};

/// Rows on a page.
const ROWS: usize = 50;

/// What is looked at.
#[derive(Default, Deserialize)]
pub(super) struct InventoryQuery {
    #[serde(default)]
    status: String,
    #[serde(default)]
    after: String,
}

/// A status to choose.
pub(super) struct Choice {
    pub(super) look: Look,
    pub(super) to: String,
    pub(super) chosen: bool,
}

/// A certificate.
pub(super) struct CertificateLine {
    pub(super) id: String,
    pub(super) names: Vec<String>,
    pub(super) look: Look,
    pub(super) authority: String,
    pub(super) issuer: String,
    pub(super) serial_number: String,
    pub(super) key: &'static str,
    pub(super) until: Moment,
}

/// An order.
pub(super) struct OrderLine {
    pub(super) names: Vec<String>,
    pub(super) look: Look,
    pub(super) authority: String,
    /// The CA's own words, for the platform's people.
    pub(super) words: Option<String>,
    pub(super) began: Moment,
    pub(super) changed: Moment,
}

pub(super) async fn certificates(
    State(state): State<WebState>,
    caller: Caller,
    Query(query): Query<InventoryQuery>,
) -> Result<Response, Problem> {
    let now = state.now();
    let status = query.status.parse().ok();
    let filter = CertificateFilter { status, ..CertificateFilter::default() };
    let mut tx = state.store.read(caller.reach).await?;
    // A place that makes no sense is the beginning.
    let mut rows = tx.list_certificates(&filter, query.after.parse().ok(), ROWS as i64 + 1).await?;
    let is_more = rows.len() > ROWS;
    rows.truncate(ROWS);
    let after = rows.last().filter(|_| is_more).map(|row| row.position().to_string());
    let looks = CertificateStatus::ALL.iter().map(|status| (status.as_str(), words::certificate(*status)));
    let page = CertificatesPage {
        frame: Frame::new(&caller, "/certificates"),
        choices: choices("/certificates", &query, looks),
        rows: rows.into_iter().map(|row| CertificateLine::new(row, now)).collect(),
        next: after.map(|after| turned("/certificates", &query, &after)),
        first: (!query.after.is_empty()).then(|| turned("/certificates", &query, "")),
    };
    Ok(pages::answer(StatusCode::OK, &page))
}

pub(super) async fn orders(
    State(state): State<WebState>,
    caller: Caller,
    Query(query): Query<InventoryQuery>,
) -> Result<Response, Problem> {
    let now = state.now();
    let after: Option<OrderId> = query.after.parse().ok();
    let mut tx = state.store.read(caller.reach).await?;
    let mut rows = tx.list_orders(None, query.status.parse().ok(), after, ROWS as i64 + 1).await?;
    let is_more = rows.len() > ROWS;
    rows.truncate(ROWS);
    let after = rows.last().filter(|_| is_more).map(|row| row.order_id.to_string());
    let looks = OrderStatus::ALL.iter().map(|status| (status.as_str(), words::order(*status)));
    let is_platform = caller.reach == Reach::Platform;
    let page = OrdersPage {
        frame: Frame::new(&caller, "/orders"),
        choices: choices("/orders", &query, looks),
        rows: rows.into_iter().map(|row| OrderLine::new(row, is_platform, now)).collect(),
        next: after.map(|after| turned("/orders", &query, &after)),
        first: (!query.after.is_empty()).then(|| turned("/orders", &query, "")),
    };
    Ok(pages::answer(StatusCode::OK, &page))
}

fn turned(path: &str, query: &InventoryQuery, after: &str) -> String {
    address(path, [("status", query.status.as_str()), ("after", after)].into_iter())
}

fn choices(
    path: &str,
    query: &InventoryQuery,
    looks: impl Iterator<Item = (&'static str, Look)>,
) -> Vec<Choice> {
    let all = Look { icon: "list", tone: "idle", words: "All" };
    let choice = |(word, look): (&'static str, Look)| Choice {
        look,
        to: address(path, [("status", word)].into_iter()),
        chosen: query.status == word,
    };
    std::iter::once(("", all)).chain(looks).map(choice).collect()
}

impl CertificateLine {
    pub(super) fn new(row: CertificateRow, now: OffsetDateTime) -> Self {
        Self {
            id: row.certificate_id.to_string(),
            look: words::certificate(row.status),
            authority: words::authority(&row.authority),
            key: row.key_type.map_or("", words::key_type),
            until: Moment::new(row.not_after, now),
            names: row.names,
            issuer: row.issuer,
            serial_number: row.serial_number,
        }
    }
}

impl OrderLine {
    fn new(row: OrderRow, is_platform: bool, now: OffsetDateTime) -> Self {
        // It may name pages that act for the platform's account.
        let problem = row.problem.filter(|_| is_platform);
        let detail =
            problem.as_ref().and_then(|problem| problem.get("detail")).and_then(|text| text.as_str());
        Self {
            words: detail.map(str::to_owned),
            look: words::order(row.status),
            authority: words::authority(&row.authority),
            began: Moment::new(row.created_at, now),
            changed: Moment::new(row.updated_at, now),
            names: row.names,
        }
    }
}
