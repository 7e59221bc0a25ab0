//! `/v1/stats`: the numbers behind the pictures, from sums that the engine keeps. Nothing is counted when somebody asks.

use axum::{Json, extract::State};
use certmill_store::{EndedOrders, Reach};
use serde::{Deserialize, Serialize};
use time::{Date, Duration, OffsetDateTime};
use utoipa::ToSchema;

use super::{page::Filters, refusals::OfList};
use crate::{WebState, access::Caller, problem::Problem};

/// How far back orders are summed up.
const WEEK: Duration = Duration::days(7);

/// How all domains stand.
#[derive(Serialize, ToSchema)]
pub(super) struct Stats {
    /// The instant that the sums are of; null: nobody has counted yet.
    #[serde(with = "time::serde::rfc3339::option")]
    as_of: Option<OffsetDateTime>,
    /// Domains by status and health; what there is none of is left out.
    domains: Vec<DomainCount>,
    /// Open problems by kind, the most frequent first.
    problems: Vec<ProblemCount>,
    /// Orders that ended within the last seven days; null: for callers of the platform alone.
    orders: Option<Vec<OrderCount>>,
    /// Renewals that are planned from today on, by day (UTC); null: for callers of the platform alone.
    renewals: Option<Vec<RenewalCount>>,
}

/// Domains of one status and health.
#[derive(Serialize, ToSchema)]
struct DomainCount {
    /// The status.
    status: &'static str,
    /// `ok`, `warning` or `critical`.
    health: &'static str,
    /// How many.
    count: i64,
}

/// Open problems of one kind.
#[derive(Serialize, ToSchema)]
struct ProblemCount {
    /// The kind.
    code: &'static str,
    /// How many domains have it.
    count: i64,
}

/// Orders that ended alike.
#[derive(Serialize, ToSchema)]
struct OrderCount {
    /// The directory of the CA.
    authority: String,
    /// `valid`, `invalid` or `cancelled`.
    status: &'static str,
    /// The last part of the type of the CA's problem; null: there was none.
    code: Option<String>,
    /// How many.
    count: i64,
}

/// Renewals of a day.
#[derive(Serialize, ToSchema)]
struct RenewalCount {
    /// The day (UTC).
    #[schema(example = "2026-11-22")]
    day: String,
    /// How many.
    count: i64,
}

/// When certificates end.
#[derive(Serialize, ToSchema)]
pub(super) struct Expiry {
    /// The instant that the sums are of; null: nobody has counted yet.
    #[serde(with = "time::serde::rfc3339::option")]
    as_of: Option<OffsetDateTime>,
    /// What each entry is for: `week`.
    bucket: &'static str,
    /// The weeks in which certificates end, the first one first; weeks without are left out.
    data: Vec<ExpiryWeek>,
}

/// Certificates that end within one week, by the health of their domains.
#[derive(Serialize, ToSchema)]
struct ExpiryWeek {
    /// Its Monday (UTC).
    #[schema(example = "2026-11-16")]
    from: String,
    /// Of domains that are well.
    ok: i64,
    /// Of domains that need a look.
    warning: i64,
    /// Of domains that need action.
    critical: i64,
}

/// What the sums are by.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpiryQuery {
    #[serde(default, rename = "bucket")]
    _bucket: Bucket,
}

/// What the sums are kept by.
#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Bucket {
    #[default]
    Week,
}

/// Read how all domains stand
///
/// Sums that are kept as things change, a few seconds old at most while an engine runs.
#[utoipa::path(
    get, path = "/v1/stats", operation_id = "show_stats", tag = "stats", security(("token" = [])),
    responses((status = 200, description = "The sums", body = Stats), OfList)
)]
pub(super) async fn show(State(state): State<WebState>, caller: Caller) -> Result<Json<Stats>, Problem> {
    let (mut tx, now) = (state.store.read(caller.reach).await?, state.now());
    let rollups = tx.rollups().await?;
    let (orders, renewals) = match caller.reach {
        Reach::Tenant(_) => (None, None),
        Reach::Platform => {
            let ended = tx.ended_orders(now - WEEK).await?;
            let planned = tx.planned_renewals_by_day(now.date()).await?;
            (Some(order_counts(ended)), Some(planned.into_iter().map(RenewalCount::from).collect()))
        }
    };
    let domain = |(status, health, count): (certmill_model::DomainStatus, certmill_model::Health, i64)| {
        DomainCount { status: status.as_str(), health: health.as_str(), count }
    };
    let problem =
        |(code, count): (certmill_model::ProblemCode, i64)| ProblemCount { code: code.as_str(), count };
    Ok(Json(Stats {
        as_of: rollups.as_of,
        domains: rollups.domains.into_iter().filter(|(_, _, count)| *count > 0).map(domain).collect(),
        problems: rollups.problems.into_iter().map(problem).collect(),
        orders,
        renewals,
    }))
}

/// Read in which week how many certificates end
#[utoipa::path(
    get, path = "/v1/stats/expiry", operation_id = "show_expiry", tag = "stats", security(("token" = [])),
    params(("bucket" = Option<String>, Query, description = "`week`, which is the default as well")),
    responses((status = 200, description = "The sums", body = Expiry), OfList)
)]
pub(super) async fn expiry(
    State(state): State<WebState>,
    caller: Caller,
    _: Filters<ExpiryQuery>,
) -> Result<Json<Expiry>, Problem> {
    use certmill_model::Health;
    let rollups = state.store.read(caller.reach).await?.rollups().await?;
    let mut data: Vec<(Date, ExpiryWeek)> = Vec::new();
    for (week, health, count) in rollups.expiry.into_iter().filter(|(_, _, count)| *count > 0) {
        if data.last().is_none_or(|(last, _)| *last != week) {
            let from = week.to_string();
            data.push((week, ExpiryWeek { from, ok: 0, warning: 0, critical: 0 }));
        }
        let Some((_, entry)) = data.last_mut() else { continue };
        match health {
            Health::Ok => entry.ok += count,
            Health::Warning => entry.warning += count,
            Health::Critical => entry.critical += count,
        }
    }
    let data = data.into_iter().map(|(_, week)| week).collect();
    Ok(Json(Expiry { as_of: rollups.as_of, bucket: "week", data }))
}

/// The same over all hours.
fn order_counts(ended: Vec<EndedOrders>) -> Vec<OrderCount> {
    let mut counts: Vec<OrderCount> = Vec::new();
    for EndedOrders { authority, result, code, count, .. } in ended {
        let (status, code) = (result.as_str(), Some(code).filter(|code| !code.is_empty()));
        let same =
            |one: &&mut OrderCount| (&one.authority, one.status, &one.code) == (&authority, status, &code);
        match counts.iter_mut().find(same) {
            Some(found) => found.count += count,
            None => counts.push(OrderCount { authority, status, code, count }),
        }
    }
    counts
}

impl From<(Date, i64)> for RenewalCount {
    fn from((day, count): (Date, i64)) -> Self {
        Self { day: day.to_string(), count }
    }
}
