//! `/alerts/{alert}`: one alert, the names that have its cause, who was mailed, and silence about it.

use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use certmill_model::{AlertId, Cause, Label, Permission};
use certmill_store::{AlertRow, CauseDomain, MailRow, Mute, ScopedTx};
use http::{
    StatusCode,
    header::{CONTENT_DISPOSITION, CONTENT_TYPE},
};
use serde::Deserialize;
use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::{
    alerts::AlertCard,
    export::{instant, quoted},
    frame::Frame,
    moment::Moment,
    pages,
    visit::done,
    words::Look,
};
use crate::{WebState, access::Caller, problem::Problem, streamed};

/// Names on the page, and names that are read at a time for the table of all.
const SHOWN: i64 = 50;
const PAGE: i64 = 1000;

/// For how many hours there may be silence, and what that is called; none: until the alert is over.
const SILENCES: [(&str, &str); 5] =
    [("4", "4 hours"), ("24", "A day"), ("168", "A week"), ("720", "30 days"), ("", "Until it is over")];

#[derive(Default, Deserialize)]
pub(super) struct MuteForm {
    #[serde(default)]
    hours: String,
    #[serde(default)]
    reason: String,
}

/// A name that has the cause.
struct Hit {
    name: String,
    detail: String,
    since: Moment,
    expires: Option<Moment>,
}

/// A mail about it.
struct Told {
    recipient: String,
    look: Look,
    at: Moment,
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "alert.html")]
struct AlertPage {
    frame: Frame,
    alert: AlertCard,
    hits: Vec<Hit>,
    told: Vec<Told>,
    silences: [(&'static str, &'static str); 5],
    may_mute: bool,
    fault: Option<String>,
}

pub(super) async fn show(
    State(state): State<WebState>,
    caller: Caller,
    Path(alert): Path<String>,
) -> Result<Response, Problem> {
    page(&state, &caller, &alert, StatusCode::OK, None).await
}

/// Mails nobody about it for a while.
pub(super) async fn mute(
    State(state): State<WebState>,
    caller: Caller,
    Path(alert): Path<String>,
    Form(form): Form<MuteForm>,
) -> Result<Response, Problem> {
    let now = state.now();
    let refused = async |fault: String| {
        page(&state, &caller, &alert, StatusCode::UNPROCESSABLE_ENTITY, Some(fault)).await
    };
    let until = match form.hours.as_str() {
        "" => None,
        text => match text.parse() {
            Ok(hours @ 1..=8760) => Some(now + Duration::hours(hours)),
            _ => return refused("Say for how long: 1 to 8,760 hours.".into()).await,
        },
    };
    let reason = match form.reason.trim() {
        "" => None,
        text => match Label::parse(text) {
            Ok(reason) => Some(reason),
            Err(error) => return refused(format!("The reason cannot be kept: {error}.")).await,
        },
    };
    let mute = Mute { by: caller.actor.name.clone(), until, reason };
    set(&state, &caller, &alert, Some(&mute), "Nobody is mailed about it.").await
}

/// Mails begin again.
pub(super) async fn unmute(
    State(state): State<WebState>,
    caller: Caller,
    Path(alert): Path<String>,
) -> Result<Response, Problem> {
    set(&state, &caller, &alert, None, "Mails about it begin again, with what is news from now on.").await
}

async fn set(
    state: &WebState,
    caller: &Caller,
    alert: &str,
    mute: Option<&Mute>,
    words: &str,
) -> Result<Response, Problem> {
    let (id, now) = (parse(alert)?, state.now());
    let mut tx = state.store.scoped(caller.reach).await?;
    let row = find(&mut tx, id).await?;
    tx.mute_alert(id, mute, now).await?;
    let action = if mute.is_some() { "alert.muted" } else { "alert.unmuted" };
    let detail = json!({
        "until": mute.and_then(|mute| mute.until).map(OffsetDateTime::unix_timestamp),
        "reason": mute.and_then(|mute| mute.reason.as_ref()).map(Label::as_str),
    });
    let mut entry = caller.did(action, "alert", id, row.cause.code, detail);
    entry.tenant = row.cause.tenant_id;
    tx.commit(&entry, &state.chance, now).await?;
    Ok(done(state, caller, &format!("/alerts/{id}"), words))
}

/// Every name that has the cause now, as a table.
pub(super) async fn names(
    State(state): State<WebState>,
    caller: Caller,
    Path(alert): Path<String>,
) -> Result<Response, Problem> {
    let id = parse(&alert)?;
    let row = find(&mut state.store.read(caller.reach).await?, id).await?;
    let place = Place { state, caller, cause: row.cause, after: None };
    let name = format!("attachment; filename=\"{id}.csv\"");
    let headers = [(CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, name)];
    Ok((headers, streamed::body(place, read)).into_response())
}

/// How far a table is, page by page: constant in memory, however many names there are.
struct Place {
    state: WebState,
    caller: Caller,
    cause: Cause,
    /// Behind which one the next page begins; `None`: nothing is read yet.
    after: Option<CauseDomain>,
}

async fn read(place: Place) -> Result<(String, Option<Place>), Problem> {
    let mut text = String::new();
    match place.after {
        // It may last for minutes, and the session may have ended meanwhile.
        Some(_) => place.caller.may_go_on(&place.state).await?,
        None => text.push_str("name,since,not_after,detail\r\n"),
    }
    let mut tx = place.state.store.read(place.caller.reach).await?;
    let found = tx.domains_of_cause(&place.cause, place.after.as_ref(), PAGE).await?;
    for one in &found {
        let CauseDomain { name, detail, .. } = one;
        let (since, expires) = (instant(Some(one.since)), instant(one.expires_at));
        let cells = [quoted(name), since, expires, quoted(detail)];
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    let last = found.last().filter(|_| found.len() as i64 == PAGE).cloned();
    Ok((text, last.map(|last| Place { after: Some(last), ..place })))
}

async fn page(
    state: &WebState,
    caller: &Caller,
    alert: &str,
    status: StatusCode,
    fault: Option<String>,
) -> Result<Response, Problem> {
    let (id, now) = (parse(alert)?, state.now());
    let mut tx = state.store.read(caller.reach).await?;
    let row = find(&mut tx, id).await?;
    let mut hits = tx.domains_of_cause(&row.cause, None, SHOWN).await?;
    hits.sort_by(|one, other| one.name.cmp(&other.name));
    let told = tx.mails_of_alert(id).await?;
    let page = AlertPage {
        frame: Frame::new(caller, "/alerts"),
        alert: AlertCard::new(row, now),
        hits: hits.into_iter().map(|hit| Hit::new(hit, now)).collect(),
        told: told.into_iter().map(|mail| Told::new(mail, now)).collect(),
        silences: SILENCES,
        may_mute: caller.may(Permission::DomainsWrite) && !caller.only_reads(),
        fault,
    };
    Ok(pages::answer(status, &page))
}

fn parse(id: &str) -> Result<AlertId, Problem> {
    id.parse().map_err(|_| Problem::no_such("alert"))
}

async fn find(tx: &mut ScopedTx, id: AlertId) -> Result<AlertRow, Problem> {
    tx.find_alert(id).await?.ok_or_else(|| Problem::no_such("alert"))
}

impl Hit {
    fn new(row: CauseDomain, now: OffsetDateTime) -> Self {
        Self {
            name: row.name,
            detail: row.detail,
            since: Moment::new(row.since, now),
            expires: row.expires_at.map(|at| Moment::new(at, now)),
        }
    }
}

impl Told {
    fn new(row: MailRow, now: OffsetDateTime) -> Self {
        let (icon, tone, words) = match row.status.as_str() {
            "sent" => ("check", "good", "Sent"),
            "waiting" => ("clock", "busy", "Waiting"),
            _ => ("cross", "bad", "Refused"),
        };
        Self {
            recipient: row.recipient,
            look: Look { icon, tone, words },
            at: Moment::new(row.sent_at.unwrap_or(row.created_at), now),
            error: row.error,
        }
    }
}
