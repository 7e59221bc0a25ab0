//! `/`: the domains of all tenants, how they are, and how the load balancers are.

use axum::{
    extract::{Query, State},
    response::Response,
};
use certmill_model::{DomainId, DomainStatus, Problem as DomainProblem, SearchText, TargetState};
use certmill_store::{Domain, DomainFilter, DomainPosition, DomainSort, TargetRow};
use http::StatusCode;
use serde::Deserialize;
use time::OffsetDateTime;

use super::{
    frame::Frame,
    moment::{Moment, number},
    pages::{self, ListPage},
    words::{self, Look},
};
use crate::{WebState, access::Caller, api::encode, problem::Problem};

/// Rows on a page.
const ROWS: usize = 50;

/// Statuses that have a tile even when no domain is in them.
const ALWAYS: [DomainStatus; 4] = [
    DomainStatus::Active,
    DomainStatus::PendingDns,
    DomainStatus::PendingIssuance,
    DomainStatus::PendingDeployment,
];

/// What is looked at: kept in the address, so that it can be shared and reloaded.
#[derive(Default, Deserialize)]
pub(super) struct ListQuery {
    #[serde(default)]
    pub(super) q: String,
    #[serde(default)]
    pub(super) show: String,
    #[serde(default)]
    after: String,
    #[serde(default)]
    refresh: String,
}

/// A number that leads to the domains it counts.
pub(super) struct Tile {
    pub(super) look: Look,
    pub(super) count: String,
    pub(super) show: &'static str,
    pub(super) chosen: bool,
}

/// A load balancer.
pub(super) struct TargetCard {
    pub(super) name: String,
    pub(super) look: Look,
    pub(super) detail: Option<String>,
    pub(super) release: Option<i64>,
    pub(super) domains: String,
    pub(super) pending: String,
    pub(super) is_complete: bool,
    pub(super) since: Moment,
}

/// A domain in the table.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) name_unicode: String,
    pub(super) external_id: Option<String>,
    pub(super) tenant: String,
    pub(super) look: Look,
    pub(super) health: Option<Look>,
    pub(super) problem: Option<&'static str>,
    pub(super) valid_until: Option<Moment>,
    pub(super) renews: Option<Moment>,
    pub(super) since: Moment,
}

pub(super) async fn show(
    State(state): State<WebState>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    let now = state.now();
    let mut tx = state.store.read(caller.reach).await?;
    let counts = tx.count_domains().await?;
    let unhealthy = tx.count_unhealthy().await?;
    let targets = tx.list_targets().await?;
    let page = tx.search_domains(&query.filter(), DomainSort::Name, query.after().as_ref(), ROWS).await?;
    let domains = page.domains;
    let ids: Vec<DomainId> = domains.iter().map(|domain| domain.domain_id).collect();
    let problems = tx.problems_of(&ids).await?;

    let under_way = domains.iter().any(|domain| words::is_under_way(domain.status));
    let next = page.next.map(|place| query.address(&place.to_string(), &query.refresh));
    let page = ListPage {
        frame: Frame::new(&caller, "/"),
        refresh: pages::Refresh::new(under_way, query.refresh == "off", |word| {
            query.address(&query.after, word)
        }),
        tiles: tiles(&counts, unhealthy, &query.show),
        targets: targets.into_iter().map(|target| TargetCard::new(target, now)).collect(),
        is_empty: counts.is_empty(),
        rows: domains.into_iter().map(|domain| Row::new(domain, &problems, now)).collect(),
        next,
        first: (!query.after.is_empty()).then(|| query.address("", &query.refresh)),
        origin: state.settings.public_url.origin().to_owned(),
        query,
    };
    Ok(pages::answer(StatusCode::OK, &page))
}

impl ListQuery {
    /// The address of this list behind the place `after`.
    fn address(&self, after: &str, refresh: &str) -> String {
        let pairs = [("q", self.q.as_str()), ("show", &self.show), ("after", after), ("refresh", refresh)];
        let set: Vec<_> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let query: Vec<_> = set.iter().map(|(key, value)| format!("{key}={}", encode(value))).collect();
        if query.is_empty() { "/".into() } else { format!("/?{}", query.join("&")) }
    }

    fn filter(&self) -> DomainFilter {
        DomainFilter {
            q: SearchText::parse(&self.q),
            status: self.show.parse().ok(),
            unhealthy: self.show == "attention",
            ..DomainFilter::default()
        }
    }

    /// A place that makes no sense is the beginning.
    fn after(&self) -> Option<DomainPosition> {
        self.after.parse().ok().filter(|place: &DomainPosition| place.suits(DomainSort::Name))
    }
}

fn tiles(counts: &[(DomainStatus, i64)], unhealthy: i64, show: &str) -> Vec<Tile> {
    let count = |wanted| counts.iter().find(|(status, _)| *status == wanted).map_or(0, |(_, count)| *count);
    let tile = |look, count, word| Tile { look, count: number(count), show: word, chosen: show == word };
    let all = Look { icon: "globe", tone: "idle", words: "All domains" };
    let tone = if unhealthy > 0 { "bad" } else { "idle" };
    let attention = Look { icon: "alert", tone, words: "Need attention" };
    let total = counts.iter().map(|(_, count)| count).sum();
    let mut tiles = vec![tile(all, total, ""), tile(attention, unhealthy, "attention")];
    for status in DomainStatus::ALL {
        if ALWAYS.contains(status) || count(*status) > 0 {
            tiles.push(tile(words::status(*status), count(*status), status.as_str()));
        }
    }
    tiles
}

impl TargetCard {
    fn new(target: TargetRow, now: OffsetDateTime) -> Self {
        // The state is of the last delivery; something may have come up since.
        let state = match target.state {
            TargetState::InSync if target.pending > 0 => TargetState::Behind,
            state => state,
        };
        Self {
            look: words::target(state),
            name: target.name,
            detail: target.state_detail,
            release: target.release_number,
            domains: number(target.domains),
            pending: number(target.pending),
            is_complete: target.pending == 0,
            since: Moment::new(target.state_since, now),
        }
    }
}

impl Row {
    fn new(domain: Domain, problems: &[(DomainId, DomainProblem)], now: OffsetDateTime) -> Self {
        let problem = problems.iter().find(|(id, _)| *id == domain.domain_id);
        Self {
            name_unicode: domain.name.to_unicode(),
            name: domain.name.to_string(),
            external_id: domain.external_id,
            tenant: domain.tenant,
            look: words::status(domain.status),
            health: words::health(domain.health),
            problem: problem.map(|(_, problem)| problem.code.title()),
            valid_until: domain.certificate.map(|certificate| Moment::new(certificate.not_after, now)),
            renews: domain.renew_after.map(|at| Moment::new(at, now)),
            since: Moment::new(domain.status_since, now),
        }
    }
}
