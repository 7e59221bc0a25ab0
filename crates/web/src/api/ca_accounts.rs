//! `/v1/ca-accounts`: our accounts at CAs, for the platform's own people.

use axum::{Json, extract::State};
use certmill_model::{Endpoint, LimitKind, UsedLimit};
use certmill_store::CaAccount;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::refusals::OfList;
use crate::{WebState, access::Caller, limits::used_limits, problem::Problem};

/// Every account.
#[derive(Serialize, ToSchema)]
pub(super) struct CaAccounts {
    /// The accounts, by directory.
    data: Vec<CaAccountDocument>,
}

/// An account at a CA.
#[derive(Serialize, ToSchema)]
#[schema(title = "CaAccount")]
pub(super) struct CaAccountDocument {
    /// Its id here.
    id: String,
    /// The CA's directory (RFC 8555 section 7.1.1).
    directory: String,
    /// Its URL at the CA; null: it is not registered yet.
    url: Option<String>,
    /// When its key was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When the CA took it.
    #[serde(with = "time::serde::rfc3339::option")]
    registered_at: Option<OffsetDateTime>,
    /// Orders at this CA that ended with a certificate, in the last seven days.
    issued_last_week: i64,
    /// Orders at this CA that it refused, in the last seven days.
    refused_last_week: i64,
    /// What the CA told us to wait for: 20 at most, the first end first.
    holds: Vec<HoldDocument>,
    /// What is used of its limits, as far as they are known: of new orders, and of requests to each endpoint.
    limits: Vec<UsedLimitDocument>,
}

/// How much of a limit is used.
#[derive(Serialize, ToSchema)]
#[schema(title = "UsedLimit")]
pub(super) struct UsedLimitDocument {
    /// `orders_per_account` or `requests`.
    limit: &'static str,
    /// Of `requests`, to which endpoint: `new_order`, `new_account` and so on; null: of the account itself.
    endpoint: Option<&'static str>,
    /// How many are taken at once, and so many again in each period after that: a little below what the CA allows.
    allowed: u32,
    /// The period, in seconds.
    period: f64,
    /// How many of them are used now.
    used: u32,
    /// Until when there is no room; null: there is.
    #[serde(with = "time::serde::rfc3339::option")]
    blocked_until: Option<OffsetDateTime>,
}

/// A limit that is reached, by the CA's own word.
#[derive(Serialize, ToSchema)]
#[schema(title = "HeldLimit")]
pub(super) struct HoldDocument {
    /// Which limit.
    limit: String,
    /// Of what: a registered domain, names; empty: of the account itself.
    of: String,
    /// Until when.
    #[serde(with = "time::serde::rfc3339")]
    until: OffsetDateTime,
}

/// List accounts at CAs by directory
#[utoipa::path(
    get, path = "/v1/ca-accounts", operation_id = "list_ca_accounts", tag = "platform", security(("token" = [])),
    responses((status = 200, description = "Every account", body = CaAccounts), OfList)
)]
pub(super) async fn list(State(state): State<WebState>, caller: Caller) -> Result<Json<CaAccounts>, Problem> {
    let accounts = state.store.read(caller.reach).await?.ca_accounts(state.now()).await?;
    let document = |row: CaAccount| {
        let limits = used_limits(&state, &row).into_iter().map(UsedLimitDocument::from).collect();
        CaAccountDocument { limits, ..row.into() }
    };
    Ok(Json(CaAccounts { data: accounts.into_iter().map(document).collect() }))
}

impl From<CaAccount> for CaAccountDocument {
    fn from(row: CaAccount) -> Self {
        let hold = |held: certmill_store::HeldLimit| HoldDocument {
            limit: held.kind,
            of: held.key,
            until: held.until,
        };
        Self {
            id: row.account_id.to_string(),
            directory: row.directory_url,
            url: row.url,
            created_at: row.created_at,
            registered_at: row.registered_at,
            issued_last_week: row.issued,
            refused_last_week: row.refused,
            holds: row.holds.into_iter().map(hold).collect(),
            limits: Vec::new(),
        }
    }
}

impl From<UsedLimit> for UsedLimitDocument {
    fn from(limit: UsedLimit) -> Self {
        let kind = if limit.endpoint.is_some() { LimitKind::Requests } else { LimitKind::OrdersPerAccount };
        Self {
            limit: kind.as_str(),
            endpoint: limit.endpoint.map(Endpoint::as_str),
            allowed: limit.rate.capacity,
            period: limit.rate.period.as_seconds_f64(),
            used: limit.used,
            blocked_until: limit.blocked_until,
        }
    }
}
