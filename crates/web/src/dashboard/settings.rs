//! `/settings`: how the service itself is, for the platform's own people.

use askama::Template;
use axum::{extract::State, response::Response};
use certmill_model::UsedLimit;
use certmill_store::{CaAccount, MailState};
use data_encoding::HEXLOWER;
use http::StatusCode;
use time::OffsetDateTime;

use super::{
    frame::Frame,
    moment::{Moment, number},
    pages,
};
use crate::{WebState, access::Caller, limits::used_limits, problem::Problem};

/// An account at a CA.
struct Account {
    directory: String,
    url: Option<String>,
    registered: Option<Moment>,
    issued: String,
    refused: String,
    holds: Vec<Hold>,
    limits: Vec<Used>,
}

/// How much of a limit is used.
struct Used {
    what: String,
    taken: u32,
    rate: String,
    blocked: Option<Moment>,
}

struct Hold {
    limit: String,
    of: String,
    until: Moment,
}

/// How mail fares.
struct Mail {
    server: Option<String>,
    waiting: String,
    last: Option<Moment>,
    failing: Option<(Moment, String)>,
}

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    frame: Frame,
    version: &'static str,
    address: String,
    queue: Option<Moment>,
    counted: Option<Moment>,
    alerts: Option<Moment>,
    key: Option<(String, Moment)>,
    mail: Mail,
    accounts: Vec<Account>,
}

pub(super) async fn show(State(state): State<WebState>, caller: Caller) -> Result<Response, Problem> {
    let now = state.now();
    let mut tx = state.store.read(caller.reach).await?;
    let mail = tx.mail_state().await?;
    let moment = |at: OffsetDateTime| Moment::new(at, now);
    let page = SettingsPage {
        frame: Frame::new(&caller, "/settings"),
        version: pages::version(),
        address: state.settings.public_url.to_string(),
        queue: tx.oldest_due(now).await?.map(moment),
        counted: tx.rollups().await?.as_of.map(moment),
        alerts: mail.looked_at.map(moment),
        key: tx.sealing_key().await?.map(|(id, since)| (HEXLOWER.encode(&id), moment(since))),
        mail: Mail::new(mail, now),
        accounts: tx.ca_accounts(now).await?.into_iter().map(|row| Account::new(&state, row, now)).collect(),
    };
    Ok(pages::answer(StatusCode::OK, &page))
}

impl Mail {
    fn new(state: MailState, now: OffsetDateTime) -> Self {
        let error = state.last_error.unwrap_or_default();
        Self {
            server: state.server,
            waiting: number(state.waiting),
            last: state.last_success_at.map(|at| Moment::new(at, now)),
            failing: state.failing_since.map(|at| (Moment::new(at, now), error)),
        }
    }
}

impl Account {
    fn new(state: &WebState, row: CaAccount, now: OffsetDateTime) -> Self {
        let limits = used_limits(state, &row);
        let used = |limit: UsedLimit| Used {
            what: limit.endpoint.map_or("new orders".to_owned(), |endpoint| {
                format!("requests: {}", endpoint.as_str().replace('_', " "))
            }),
            taken: limit.used,
            rate: limit.rate.to_string(),
            blocked: limit.blocked_until.map(|until| Moment::new(until, now)),
        };
        let hold = |held: certmill_store::HeldLimit| Hold {
            limit: held.kind.replace('_', " "),
            of: held.key,
            until: Moment::new(held.until, now),
        };
        Self {
            directory: row.directory_url,
            url: row.url,
            registered: row.registered_at.map(|at| Moment::new(at, now)),
            issued: number(row.issued),
            refused: number(row.refused),
            holds: row.holds.into_iter().map(hold).collect(),
            limits: limits.into_iter().map(used).collect(),
        }
    }
}
