//! `/alerts`: what people are told of by mail, by cause.

use axum::{
    extract::{Query, State},
    response::Response,
};
use certmill_model::About;
use certmill_store::AlertRow;
use http::StatusCode;
use serde::Deserialize;
use time::OffsetDateTime;

use super::{
    frame::Frame,
    moment::{Moment, number},
    pages::{self, AlertsPage},
    words::{self, Look},
};
use crate::{WebState, access::Caller, problem::Problem};

/// Which alerts are listed.
#[derive(Default, Deserialize)]
pub(super) struct AlertsQuery {
    /// `over`: those that are over.
    #[serde(default)]
    show: String,
}

/// An alert.
pub(super) struct AlertCard {
    pub(super) id: String,
    pub(super) look: Look,
    pub(super) title: &'static str,
    pub(super) fix: &'static str,
    pub(super) code: &'static str,
    /// With whom, where that is known.
    pub(super) about: Option<String>,
    pub(super) names: String,
    /// Some of the names, those that end soonest first.
    pub(super) first: Vec<String>,
    pub(super) detail: String,
    pub(super) since: Moment,
    pub(super) next: Option<Moment>,
    /// Whether a letter told of it.
    pub(super) is_told: bool,
    pub(super) resolved: Option<Moment>,
    pub(super) muted: Option<(Moment, String)>,
    pub(super) muted_until: Option<Moment>,
    pub(super) mute_reason: Option<String>,
}

pub(super) async fn show(
    State(state): State<WebState>,
    caller: Caller,
    Query(query): Query<AlertsQuery>,
) -> Result<Response, Problem> {
    let now = state.now();
    let is_open = query.show != "over";
    let rows = state.store.read(caller.reach).await?.list_alerts(is_open, None).await?;
    let page = AlertsPage {
        frame: Frame::new(&caller, "/alerts"),
        is_open,
        alerts: rows.into_iter().map(|row| AlertCard::new(row, now)).collect(),
    };
    Ok(pages::answer(StatusCode::OK, &page))
}

impl AlertCard {
    pub(super) fn new(row: AlertRow, now: OffsetDateTime) -> Self {
        let code = row.cause.code;
        let is_muted = row.is_muted(now);
        let names = row.first.as_array().into_iter().flatten();
        let names = names.filter_map(|one| one.get("name")?.as_str().map(str::to_owned));
        Self {
            look: words::alert(row.level),
            title: code.title(),
            fix: code.fix(),
            code: code.as_str(),
            about: match row.cause.about {
                About::Ca(host) => Some(host),
                About::Nobody | About::Target(_) => None,
            },
            names: number(row.names as i64),
            first: names.collect(),
            detail: row.detail,
            since: Moment::new(row.since, now),
            next: row.next_attempt_at.filter(|at| *at > now).map(|at| Moment::new(at, now)),
            is_told: row.told.is_some(),
            resolved: row.resolved_at.map(|at| Moment::new(at, now)),
            id: row.alert_id.to_string(),
            muted_until: row.muted_until.map(|at| Moment::new(at, now)),
            mute_reason: row.mute_reason,
            muted: row
                .muted_at
                .filter(|_| is_muted)
                .map(|at| (Moment::new(at, now), row.muted_by.unwrap_or_default())),
        }
    }
}
