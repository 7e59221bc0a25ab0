//! `/v1/orders`: the attempts to get certificates, and what the CA said.

use axum::{
    Json,
    extract::{Path, State},
    response::Response,
};
use certmill_model::{OrderId, OrderStatus, told_to_tenants};
use certmill_store::{OrderRow, Reach};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{
    domains::DomainRef,
    page::{ListQuery, Page, cut},
    refusals::{OfList, OfRead},
};
use crate::{
    WebState,
    access::Caller,
    problem::{Problem, ProblemDocument},
};

const LIST: &str = "orders";

/// An attempt to get a certificate.
#[derive(Serialize, ToSchema)]
#[schema(title = "Order")]
pub(super) struct OrderDocument {
    /// Its id.
    #[schema(example = "ord_01jd4z6k3m8q2v5w7x9y0a1b2c")]
    id: String,
    /// The id of the tenant.
    tenant: String,
    /// The id of the domain.
    domain: String,
    /// `queued`, `deferred`, `pending`, `ready`, `processing`, `valid`, `invalid` or `cancelled`.
    status: &'static str,
    /// The names, and how each of them is proved.
    names: Vec<OrderedName>,
    /// The directory of the CA.
    authority: String,
    /// The profile that was asked for.
    profile: Option<String>,
    /// Where the CA keeps it; null: it is not there yet, or not for this caller to see.
    url: Option<String>,
    /// What the CA said of the last failure (RFC 8555 section 6.7). A tenant sees the kinds, the names and the words, but no
    /// addresses: such a page may act for the whole account.
    #[schema(value_type = Option<HashMap<String, serde_json::Value>>)]
    problem: Option<serde_json::Value>,
    /// When it was begun.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When it last changed; of one that is over, its end.
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

/// A name of an order.
#[derive(Serialize, ToSchema)]
struct OrderedName {
    /// The name, in A-label form.
    name: String,
    /// `http-01` or `dns-01`.
    challenge: String,
}

/// Which orders are wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OrderQuery {
    domain: Option<DomainRef>,
    status: Option<OrderStatus>,
}

/// List orders, newest first
#[utoipa::path(
    get, path = "/v1/orders", operation_id = "list_orders", tag = "certificates", security(("token" = [])),
    params(
        ("domain" = Option<String>, Query, description = "The name or id of the domain that they are for"),
        ("status" = Option<String>, Query, description = "One of the statuses"),
        ("limit" = Option<u16>, Query, description = "Entries on a page, 1 to 1000; 100 by default"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ),
    responses(
        (status = 200, description = "A page", body = Page<OrderDocument>, headers(("Link" = String, description = "The next page, rel=next"))),
        (status = 410, description = "The domain was removed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "There is no such domain where this caller can see it", body = ProblemDocument, content_type = "application/problem+json"),
        OfList,
    )
)]
pub(super) async fn list(
    State(state): State<WebState>,
    caller: Caller,
    query: ListQuery<OrderQuery>,
) -> Result<Response, Problem> {
    let before = query.after::<OrderId>(caller.reach, LIST)?;
    let mut tx = state.store.read(caller.reach).await?;
    let domain = match &query.filter.domain {
        Some(word) => Some(word.find(&state, &mut tx).await?.domain_id),
        None => None,
    };
    let mut rows = tx.list_orders(domain, query.filter.status, before, query.rows()).await?;
    let end = cut(&mut rows, query.limit, |row| row.order_id.to_string());
    let data = rows.into_iter().map(|row| OrderDocument::new(row, caller.reach)).collect();
    Ok(query.answer(caller.reach, LIST, "/v1/orders", data, end.as_deref()))
}

/// Read an order
#[utoipa::path(
    get, path = "/v1/orders/{order}", operation_id = "show_order", tag = "certificates", security(("token" = [])),
    params(("order" = String, Path, description = "Its id", example = "ord_01jd4z6k3m8q2v5w7x9y0a1b2c")),
    responses((status = 200, description = "The order", body = OrderDocument), OfRead)
)]
pub(super) async fn show(
    State(state): State<WebState>,
    caller: Caller,
    Path(order): Path<String>,
) -> Result<Json<OrderDocument>, Problem> {
    let missing = || Problem::no_such("order");
    let id: OrderId = order.parse().map_err(|_| missing())?;
    let row = state.store.read(caller.reach).await?.order(id).await?.ok_or_else(missing)?;
    Ok(Json(OrderDocument::new(row, caller.reach)))
}

impl OrderDocument {
    fn new(row: OrderRow, reach: Reach) -> Self {
        let is_platform = reach == Reach::Platform;
        let kinds = row.challenges.into_iter().map(Some).chain(std::iter::repeat(None));
        let names = row.names.into_iter().zip(kinds).map(|(name, challenge)| OrderedName {
            name,
            // An order that says nothing of it is from before there was a choice.
            challenge: challenge.unwrap_or_else(|| "http-01".to_owned()),
        });
        Self {
            id: row.order_id.to_string(),
            tenant: row.tenant_id.to_string(),
            domain: row.domain_id.to_string(),
            status: row.status.as_str(),
            names: names.collect(),
            authority: row.authority,
            profile: row.profile,
            url: row.url.filter(|_| is_platform),
            problem: row.problem.map(|problem| if is_platform { problem } else { told_to_tenants(&problem) }),
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}
