//! The part of a domain's page about DNS: each record that is wanted, beside what was seen; and the button for a look now.

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};
use certmill_model::{CheckResult, DomainStatus, Finding, Hostname, Problem as DomainProblem};
use certmill_store::{Domain, Setup};
use time::OffsetDateTime;

use super::{
    moment::Moment,
    words::{self, Look},
};
use crate::{
    WebState,
    access::Caller,
    look::look_now,
    problem::Problem,
    setup::{self, Purpose, WantedRecord},
};

/// What is to be set, and what is there.
pub(super) struct DnsCard {
    pub(super) groups: Vec<RecordGroup>,
    /// What is wrong beside the records.
    pub(super) faults: Vec<Fault>,
    pub(super) looked: Option<Moment>,
    pub(super) next_look: Option<Moment>,
    /// Whether an operator said to go on whatever is seen.
    pub(super) is_overridden: bool,
}

/// Records of which any one will do, or the only one.
pub(super) struct RecordGroup {
    pub(super) title: &'static str,
    pub(super) note: &'static str,
    pub(super) look: Look,
    /// Whether it is put aside, because nothing waits for it.
    pub(super) is_aside: bool,
    pub(super) zone: String,
    pub(super) records: Vec<RecordRow>,
    pub(super) seen: Vec<String>,
    pub(super) seen_from: Option<String>,
    pub(super) fault: Option<Fault>,
}

/// One record to set.
pub(super) struct RecordRow {
    pub(super) kind: &'static str,
    pub(super) host: String,
    pub(super) name: String,
    pub(super) name_unicode: String,
    pub(super) value: Option<String>,
}

/// Something that is wrong.
pub(super) struct Fault {
    pub(super) title: &'static str,
    pub(super) detail: String,
    pub(super) fix: &'static str,
}

/// Looks now, and leads back to the page.
pub(super) async fn check(
    State(state): State<WebState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let name = Hostname::parse(&name).map_err(|_| Problem::no_such_domain())?;
    let domain = state.store.read(caller.reach).await?.find_domain(&name).await?;
    let domain = domain.ok_or_else(Problem::no_such_domain)?;
    // The page shows when the last look was and whether one is due: more there is not to tell.
    look_now(&state, &domain, &caller.actor).await?;
    Ok(Redirect::to(&format!("/domains/{name}#dns")).into_response())
}

impl DnsCard {
    /// The card of `domain`; `None` for one that nobody looks at any more. The page has told of its `problems` already.
    pub(super) fn new(
        domain: &Domain,
        setup: &Setup,
        problems: &[DomainProblem],
        now: OffsetDateTime,
    ) -> Option<Self> {
        if domain.status == DomainStatus::PendingDeletion {
            return None;
        }
        let is_news = |finding: &Finding| problems.iter().all(|problem| problem.code != finding.code);
        let mut records = setup::wanted_records(&domain.name, setup);
        for record in &mut records {
            record.problem = record.problem.take().filter(is_news);
        }
        let mut groups = Vec::new();
        while let Some(first) = records.first() {
            let rank = first.rank;
            let count = records.iter().take_while(|record| record.rank == rank).count();
            groups.extend(RecordGroup::new(records.drain(..count).collect(), setup));
        }
        let faults = setup::other_problems(setup).into_iter().filter(is_news).map(Fault::from).collect();
        Some(Self {
            groups,
            faults,
            looked: setup.checks.as_ref().map(|checks| Moment::new(checks.checked_at, now)),
            next_look: domain.next_action_at.filter(|at| *at > now).map(|at| Moment::new(at, now)),
            is_overridden: setup.checks_overridden,
        })
    }
}

impl RecordGroup {
    /// `None`: it is not needed, and there is nothing that could be set.
    fn new(records: Vec<WantedRecord>, setup: &Setup) -> Option<Self> {
        let first = records.first()?;
        if !first.required && first.value.is_none() {
            return None;
        }
        let result = best(&records);
        let is_spare =
            first.purpose == Purpose::Certificate && !first.required && result != CheckResult::Pass;
        let is_aside = is_spare && setup::points_at_us(setup);
        let is_missing = is_spare && result == CheckResult::Fail && first.seen.is_empty();
        let look = match result {
            _ if is_aside => words::NOT_NEEDED,
            _ if is_missing => words::NOT_SET,
            result => words::record(result, first.seen.is_empty(), setup.checks.is_some()),
        };
        let (title, note) = words::record_group(first.purpose, first.required, records.len());
        Some(Self {
            title,
            note,
            look,
            is_aside,
            zone: first.zone.clone(),
            seen: first.seen.clone(),
            seen_from: first.seen_from.clone(),
            fault: first.problem.clone().map(Fault::from),
            records: records.into_iter().map(RecordRow::from).collect(),
        })
    }
}

/// What came of the look at records of which any one will do.
fn best(records: &[WantedRecord]) -> CheckResult {
    let any = |result: &CheckResult| records.iter().any(|record| record.result == *result);
    [CheckResult::Pass, CheckResult::Fail].into_iter().find(any).unwrap_or(CheckResult::Unknown)
}

impl From<WantedRecord> for RecordRow {
    fn from(record: WantedRecord) -> Self {
        let WantedRecord { kind, host, name, name_unicode, value, .. } = record;
        Self { kind, host, name, name_unicode, value }
    }
}

impl From<Finding> for Fault {
    fn from(finding: Finding) -> Self {
        Self { title: finding.code.title(), detail: finding.detail, fix: finding.code.fix() }
    }
}
