//! `/v1/ca-accounts`: our accounts at CAs, for the platform's own people.

use axum::{Json, extract::State};
use certmill_store::CaAccount;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::refusals::OfList;
use crate::{WebState, access::Caller, problem::Problem};

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
    Ok(Json(CaAccounts { data: accounts.into_iter().map(CaAccountDocument::from).collect() }))
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
        }
    }
}
