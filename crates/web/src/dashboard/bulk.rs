//! `/domains/bulk`: what is done with many domains at once, those that were chosen or all that suit a list. After a question it
//! becomes an operation.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    response::Response,
};
use certmill_model::{BulkAction, BulkLine, DomainId, OperationId, TenantId};
use certmill_store::{Domain, DomainPosition, DomainSort, Found, NewLine, ScopedTx};
use http::StatusCode;
use serde_json::Map;
use tracing::Instrument;

use super::{frame::Frame, list::ListQuery, operation_words, pages, visit::done};
use crate::{WebState, access::Caller, api::bulk, problem::Problem};

/// What may be done with many.
pub(super) const ACTIONS: [BulkAction; 5] =
    [BulkAction::Check, BulkAction::Renew, BulkAction::Pause, BulkAction::Resume, BulkAction::Delete];

/// Domains that are read at a time.
const AT_ONCE: usize = 1_000;

/// The fields of the list's form, in which `pick` stands once for each box.
type Pairs = Vec<(String, String)>;

/// What is to be done, and with which domains.
struct Choice {
    action: BulkAction,
    whom: Whom,
}

enum Whom {
    /// Those with these ids.
    Picked(Vec<DomainId>),
    /// All that suit the list.
    All(Box<ListQuery>),
}

/// A domain that was chosen, and why nothing can be done with it.
struct Picked {
    id: String,
    name: String,
    hindrance: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "bulk.html")]
struct BulkPage<'a> {
    frame: Frame,
    title: &'static str,
    heading: String,
    meaning: &'static str,
    action: &'static str,
    is_danger: bool,
    picked: Vec<Picked>,
    /// How many of these are left as they are.
    left: usize,
    all: Option<&'a ListQuery>,
}

/// Says what would be done with how many, before it is.
pub(super) async fn ask(
    State(state): State<WebState>,
    caller: Caller,
    Query(pairs): Query<Pairs>,
) -> Result<Response, Problem> {
    let Choice { action, whom } = Choice::read(&pairs)?;
    let mut tx = state.store.read(caller.reach).await?;
    let (count, domains, all) = match &whom {
        Whom::Picked(ids) => (operation_words::domains(ids.len() as i64), picked(&mut tx, ids).await?, None),
        Whom::All(list) => (list.count(&mut tx, state.now()).await?, Vec::new(), Some(&**list)),
    };
    let picked: Vec<_> = domains.iter().map(|domain| Picked::new(domain, action)).collect();
    let page = BulkPage {
        frame: Frame::new(&caller, "/domains"),
        title: operation_words::bulk_title(action),
        heading: operation_words::bulk_title(action).replace("domains", &count),
        meaning: operation_words::bulk_meaning(action),
        action: action.as_str(),
        is_danger: action == BulkAction::Delete,
        left: picked.iter().filter(|one| one.hindrance.is_some()).count(),
        picked,
        all,
    };
    Ok(pages::answer(StatusCode::OK, &page))
}

/// Begins it.
pub(super) async fn start(
    State(state): State<WebState>,
    caller: Caller,
    Form(pairs): Form<Pairs>,
) -> Result<Response, Problem> {
    let Choice { action, whom } = Choice::read(&pairs)?;
    let mut gathering = Gathering { state: &state, caller: &caller, action, open: BTreeMap::new() };
    match whom {
        Whom::Picked(ids) => {
            let domains = picked(&mut state.store.read(caller.reach).await?, &ids).await?;
            let added = gathering.add(&domains).await;
            gathering.end(added).await?;
        }
        Whom::All(list) => {
            // So that there is a page to lead to, before anything was found.
            if let Some(own) = caller.reach.tenant() {
                gathering.of_tenant(own).await?;
            }
            let place = gathering.place();
            // Behind the answer: a million domains take longer than an answer may.
            tokio::spawn(
                gather(state.clone(), caller.clone(), action, gathering.open, list).in_current_span(),
            );
            return Ok(done(
                &state,
                &caller,
                &place,
                "The domains are being gathered; then it begins by itself.",
            ));
        }
    }
    Ok(done(&state, &caller, &gathering.place(), "It begins by itself."))
}

impl Choice {
    fn read(pairs: &Pairs) -> Result<Self, Problem> {
        let values = |name: &'static str| {
            pairs.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
        };
        let action = values("action").next().and_then(|word| word.parse().ok());
        let action = action.filter(|action| ACTIONS.contains(action)).ok_or_else(|| {
            unclear(
                "Nothing of this kind can be done with many domains. Go back, and choose one of the buttons.",
            )
        })?;
        if values("all").next().is_some() {
            return Ok(Self { action, whom: Whom::All(Box::new(ListQuery::of(pairs))) });
        }
        let mut ids = values("pick").map(str::parse).collect::<Result<Vec<DomainId>, _>>();
        if let Ok(ids) = &mut ids {
            ids.sort_unstable();
            ids.dedup();
        }
        match ids {
            Ok(ids) if ids.is_empty() => {
                Err(unclear("No domain was chosen. Go back, and check the boxes of those that are meant."))
            }
            Ok(ids) => Ok(Self { action, whom: Whom::Picked(ids) }),
            Err(_) => Err(no_such()),
        }
    }
}

/// The domains with these ids; all of them can be seen from here.
async fn picked(tx: &mut ScopedTx, ids: &[DomainId]) -> Result<Vec<Domain>, Problem> {
    let domains = tx.domains(ids).await?;
    if domains.len() == ids.len() { Ok(domains) } else { Err(no_such()) }
}

fn no_such() -> Problem {
    let detail =
        "One of the chosen domains is not here, or not any more. Go back, reload the list, and choose again.";
    Problem { detail: detail.into(), ..Problem::no_such_domain() }
}

fn unclear(detail: &'static str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "nothing_chosen", "Nothing chosen", detail)
}

/// Domains on their way into operations, one for each tenant.
struct Gathering<'a> {
    state: &'a WebState,
    caller: &'a Caller,
    action: BulkAction,
    open: Open,
}

/// The operation of each tenant, and how many lines it has.
type Open = BTreeMap<TenantId, (OperationId, i32)>;

/// Makes lines of all domains that suit `list`.
async fn gather(state: WebState, caller: Caller, action: BulkAction, open: Open, list: Box<ListQuery>) {
    let mut gathering = Gathering { state: &state, caller: &caller, action, open };
    let added = gathering.add_all(&list).await;
    if let Err(problem) = gathering.end(added).await {
        warn(&problem, "domains could not be gathered for an operation");
    }
}

fn warn(problem: &Problem, words: &str) {
    let cause = problem.cause.as_deref().map(|cause| cause as &dyn std::error::Error);
    tracing::warn!(cause, code = problem.code, "{words}");
}

impl Gathering<'_> {
    /// Where one sees how far it is.
    fn place(&self) -> String {
        match self.open.values().collect::<Vec<_>>()[..] {
            [(operation, _)] => format!("/operations/{operation}"),
            _ => "/operations".to_owned(),
        }
    }

    async fn add_all(&mut self, list: &ListQuery) -> Result<(), Problem> {
        let filter = list.filter(self.state.now());
        let mut after: Option<DomainPosition> = None;
        loop {
            // It may last for minutes, and the session may have ended meanwhile.
            if !self.caller.is_still_valid(self.state).await? {
                return Err(Problem::of_status(StatusCode::UNAUTHORIZED));
            }
            let mut tx = self.state.store.read(self.caller.reach).await?;
            let page = tx.search_domains(&filter, DomainSort::Name, after.as_ref(), AT_ONCE).await?;
            drop(tx);
            // Similar names help whoever looks for one. Nobody meant them.
            if page.found == Found::Similar {
                return Ok(());
            }
            // Better nothing than a part of what was meant.
            if page.found == Found::InPart && page.next.is_none() {
                return Err(Problem::too_broad());
            }
            self.add(&page.domains).await?;
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn add(&mut self, domains: &[Domain]) -> Result<(), Problem> {
        let mut of_tenants: BTreeMap<TenantId, Vec<&Domain>> = BTreeMap::new();
        for domain in domains {
            of_tenants.entry(domain.tenant_id).or_default().push(domain);
        }
        for (tenant, domains) in of_tenants {
            let (operation, before) = self.of_tenant(tenant).await?;
            let asks = |domain: &Domain| BulkLine {
                action: self.action,
                name: domain.name.clone(),
                wish: Map::new(),
            };
            let lines: Vec<_> = (before + 1..)
                .zip(&domains)
                .map(|(line, domain)| NewLine { line, reference: None, asks: Ok(asks(domain)) })
                .collect();
            let mut tx = self.state.store.tenant(tenant).await?;
            if !tx.add_lines(operation, &lines, self.state.now()).await? {
                return Err(bulk::ended_meanwhile());
            }
            tx.commit().await?;
            self.open.insert(tenant, (operation, before + lines.len() as i32));
        }
        Ok(())
    }

    /// The operation of `tenant`, and how many lines it has.
    async fn of_tenant(&mut self, tenant: TenantId) -> Result<(OperationId, i32), Problem> {
        if let Some(open) = self.open.get(&tenant) {
            return Ok(*open);
        }
        let operation = bulk::begin(self.state, tenant, operation_words::bulk_title(self.action)).await?;
        self.open.insert(tenant, (operation, 0));
        Ok((operation, 0))
    }

    /// Lets the operations begin, or, where not all lines came, gives them up: open ones count against the tenant.
    async fn end(&self, added: Result<(), Problem>) -> Result<(), Problem> {
        let ended = match added {
            Ok(()) => self.complete().await,
            Err(problem) => Err(problem),
        };
        if ended.is_err() {
            for (operation, _) in self.open.values() {
                if let Err(problem) = bulk::abandon(self.state, self.caller, *operation).await {
                    warn(
                        &problem,
                        "an operation could not be abandoned; it ends when no line has come for a while",
                    );
                }
            }
        }
        ended
    }

    async fn complete(&self) -> Result<(), Problem> {
        let title = operation_words::bulk_title(self.action);
        for (tenant, (operation, lines)) in &self.open {
            bulk::complete(self.state, self.caller, *tenant, *operation, title, *lines).await?;
        }
        Ok(())
    }
}

impl Picked {
    fn new(domain: &Domain, action: BulkAction) -> Self {
        Self {
            id: domain.domain_id.to_string(),
            name: domain.name.to_unicode(),
            hindrance: action.hindrance(domain.status, domain.renew_after.is_some()),
        }
    }
}
