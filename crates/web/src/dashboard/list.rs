//! `/domains`: the domains of all tenants, searched, filtered and page by page.

use axum::{
    extract::{Query, State},
    response::Response,
};
use certmill_model::{DomainId, DomainStatus, Permission, Problem as DomainProblem, ProblemCode, SearchText};
use certmill_store::{
    CappedCount, Domain, DomainFilter, DomainPosition, DomainSort, Reach, ScopedTx, StoreError,
};
use http::StatusCode;
use serde::Deserialize;
use time::{Duration, OffsetDateTime};

use super::{
    bulk,
    frame::Frame,
    moment::{Moment, number},
    operation_words,
    pages::{self, ListPage},
    words::{self, Look},
};
use crate::{WebState, access::Caller, api::encode, problem::Problem};

/// Rows on a page.
const ROWS: usize = 50;

/// Statuses that have a chip even when no domain is in them.
const ALWAYS: [DomainStatus; 2] = [DomainStatus::Active, DomainStatus::PendingDns];

/// What is looked at: kept in the address, so that it can be shared and reloaded.
#[derive(Default, Deserialize)]
pub(super) struct ListQuery {
    #[serde(default)]
    pub(super) q: String,
    /// A status, or `attention`.
    #[serde(default)]
    pub(super) show: String,
    /// The code of a problem.
    #[serde(default)]
    pub(super) problem: String,
    #[serde(default)]
    pub(super) tag: String,
    /// Days until the certificate ends, at most.
    #[serde(default)]
    pub(super) ends: String,
    /// `ends` or `changed`; else by name.
    #[serde(default)]
    pub(super) sort: String,
    #[serde(default)]
    pub(super) after: String,
    #[serde(default)]
    refresh: String,
}

/// A filter that is a click away, with how many it leads to.
pub(super) struct Chip {
    pub(super) look: Look,
    pub(super) count: String,
    pub(super) to: String,
    pub(super) chosen: bool,
}

/// A filter that narrows the list, and the address of the list without it.
pub(super) struct Narrowing {
    pub(super) words: String,
    pub(super) without: String,
}

/// A domain in the table.
pub(super) struct Row {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) name_unicode: String,
    pub(super) external_id: Option<String>,
    pub(super) tags: Vec<String>,
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
    let filter = query.filter(now);
    let page = tx.search_domains(&filter, query.sort(), query.after().as_ref(), ROWS).await?;
    let count = if query.is_narrowed() { Some(tx.count_domains_capped(&filter).await?) } else { None };
    let domains = page.domains;
    let ids: Vec<DomainId> = domains.iter().map(|domain| domain.domain_id).collect();
    let problems = tx.problems_of(&ids).await?;

    let under_way = domains.iter().any(|domain| words::is_under_way(domain.status));
    let count = count.map(counted);
    let page = ListPage {
        frame: Frame::new(&caller, "/domains"),
        refresh: pages::Refresh::new(under_way, query.refresh == "off", |word| query.with("refresh", word)),
        may_change: caller.may(Permission::DomainsWrite),
        is_platform: caller.reach == Reach::Platform,
        chips: chips(&query, &counts, unhealthy),
        narrowings: narrowings(&query),
        all: count.clone().unwrap_or_else(|| operation_words::domains(query.shown(&counts, unhealthy))),
        count,
        actions: bulk::ACTIONS.map(|action| (action.as_str(), operation_words::bulk_action(action))),
        found: page.found,
        is_empty: counts.is_empty(),
        rows: domains.into_iter().map(|domain| Row::new(domain, &problems, now)).collect(),
        next: page.next.map(|place| query.with("after", &place.to_string())),
        first: (!query.after.is_empty()).then(|| query.with("after", "")),
        export: query.export(),
        origin: state.settings.public_url.origin().to_owned(),
        query,
    };
    Ok(pages::answer(StatusCode::OK, &page))
}

impl ListQuery {
    /// What of a form narrows the list.
    pub(super) fn of(pairs: &[(String, String)]) -> Self {
        let of = |name: &str| {
            let found = pairs.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let (q, show, problem) = (of("q"), of("show"), of("problem"));
        Self { q, show, problem, tag: of("tag"), ends: of("ends"), ..Self::default() }
    }

    /// How many domains suit, in words.
    pub(super) async fn count(&self, tx: &mut ScopedTx, now: OffsetDateTime) -> Result<String, StoreError> {
        if self.is_narrowed() {
            return Ok(counted(tx.count_domains_capped(&self.filter(now)).await?));
        }
        let (counts, unhealthy) = (tx.count_domains().await?, tx.count_unhealthy().await?);
        Ok(operation_words::domains(self.shown(&counts, unhealthy)))
    }

    /// How many there are of what a chip shows.
    fn shown(&self, counts: &[(DomainStatus, i64)], unhealthy: i64) -> i64 {
        let status = self.show.parse().ok();
        match self.show.as_str() {
            "attention" => unhealthy,
            _ => counts
                .iter()
                .filter(|(of, _)| status.is_none_or(|status| *of == status))
                .map(|(_, n)| n)
                .sum(),
        }
    }

    /// What narrows the list and how it is sorted.
    pub(super) fn pairs(&self) -> [(&'static str, &str); 6] {
        [
            ("q", &self.q),
            ("show", &self.show),
            ("problem", &self.problem),
            ("tag", &self.tag),
            ("ends", &self.ends),
            ("sort", &self.sort),
        ]
    }

    /// The address of this list with `value` for `key`. Another filter begins at the first page.
    fn with(&self, key: &str, value: &str) -> String {
        let stays = [("after", self.after.as_str()), ("refresh", self.refresh.as_str())];
        let stays = stays.into_iter().filter(|_| key == "refresh" || key == "after");
        let pairs = self.pairs().into_iter().chain(stays).filter(|(name, _)| *name != key);
        address("/domains", pairs.chain([(key, value)]))
    }

    /// The end of the address that exports what is listed.
    fn export(&self) -> String {
        address("", self.pairs().into_iter())
    }

    pub(super) fn filter(&self, now: OffsetDateTime) -> DomainFilter {
        let days = self.ends.parse().ok().filter(|days| (1..=3650).contains(days));
        DomainFilter {
            q: SearchText::parse(&self.q),
            status: self.show.parse().ok(),
            unhealthy: self.show == "attention",
            problem: self.problem.parse().ok(),
            tag: Some(self.tag.clone()).filter(|tag| !tag.is_empty() && !tag.contains('\0')),
            expires_before: days.map(|days| now + Duration::days(days)),
            ..DomainFilter::default()
        }
    }

    pub(super) fn sort(&self) -> DomainSort {
        match self.sort.as_str() {
            "ends" => DomainSort::NotAfter,
            "changed" => DomainSort::UpdatedAt,
            _ => DomainSort::Name,
        }
    }

    /// Whether not all domains are listed, but for what the chips count.
    fn is_narrowed(&self) -> bool {
        [&self.q, &self.problem, &self.tag, &self.ends].into_iter().any(|text| !text.is_empty())
    }

    /// A place that makes no sense is the beginning.
    fn after(&self) -> Option<DomainPosition> {
        self.after.parse().ok().filter(|place: &DomainPosition| place.suits(self.sort()))
    }
}

/// The address `path` with those of `pairs` that say something.
pub(super) fn address<'a>(path: &str, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let set = pairs.filter(|(_, value)| !value.is_empty());
    let query: Vec<_> = set.map(|(key, value)| format!("{key}={}", encode(value))).collect();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
}

fn chips(query: &ListQuery, counts: &[(DomainStatus, i64)], unhealthy: i64) -> Vec<Chip> {
    let count = |wanted| counts.iter().find(|(status, _)| *status == wanted).map_or(0, |(_, count)| *count);
    let chip = |look, count, word: &str| Chip {
        look,
        count: number(count),
        to: query.with("show", word),
        chosen: query.show == word,
    };
    let all = Look { icon: "globe", tone: "idle", words: "All" };
    let tone = if unhealthy > 0 { "bad" } else { "idle" };
    let attention = Look { icon: "alert", tone, words: "Need attention" };
    let total = ListQuery::default().shown(counts, unhealthy);
    let mut chips = vec![chip(all, total, ""), chip(attention, unhealthy, "attention")];
    for status in DomainStatus::ALL {
        if ALWAYS.contains(status) || count(*status) > 0 {
            chips.push(chip(words::status(*status), count(*status), status.as_str()));
        }
    }
    chips
}

fn narrowings(query: &ListQuery) -> Vec<Narrowing> {
    let problem = query.problem.parse().ok().map(|code: ProblemCode| code.title().to_owned());
    let tag = Some(&query.tag).filter(|tag| !tag.is_empty()).map(|tag| format!("Tag {tag}"));
    let ends: Option<u16> = query.ends.parse().ok();
    let ends = ends.map(|days| format!("Certificate ends within {days} days"));
    [("problem", problem), ("tag", tag), ("ends", ends)]
        .into_iter()
        .filter_map(|(key, words)| Some(Narrowing { words: words?, without: query.with(key, "") }))
        .collect()
}

fn counted(count: CappedCount) -> String {
    match count {
        CappedCount::Exactly(count) => operation_words::domains(count as i64),
        CappedCount::MoreThan(count) => format!("more than {} domains", number(count as i64)),
        CappedCount::Unknown => "very many domains".to_owned(),
    }
}

impl Row {
    fn new(domain: Domain, problems: &[(DomainId, DomainProblem)], now: OffsetDateTime) -> Self {
        let problem = problems.iter().find(|(id, _)| *id == domain.domain_id);
        Self {
            id: domain.domain_id.to_string(),
            name_unicode: domain.name.to_unicode(),
            name: domain.name.to_string(),
            external_id: domain.external_id,
            tags: domain.tags,
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
