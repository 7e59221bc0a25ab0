//! `/targets`: the load balancers, how each is, what was brought to it, and what operators do with it.

use std::net::IpAddr;

use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    response::Response,
};
use certmill_model::{GroupId, Label, Permission, TargetState};
use certmill_store::{DeploymentRow, ScopedTx, TargetChange, TargetGroup, TargetRow};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;

use super::{
    frame::Frame,
    moment::{Moment, number},
    pages,
    visit::done,
    words::{self, Look},
};
use crate::{
    WebState,
    access::{Access, Caller, Routes},
    api::{encode, groups, targets},
    problem::Problem,
};

/// Deliveries on the page of a load balancer.
const DELIVERIES: i64 = 30;

/// The routes of these pages.
pub(super) fn routes() -> Routes {
    let (read, write) = (Access::Needs(Permission::TargetsRead), Access::Needs(Permission::TargetsWrite));
    Routes::default()
        .page("/targets", read, list)
        .page("/targets/{target}", read, show)
        .form("/targets/{target}", write, change)
        .form("/targets/{target}/sync", write, sync)
        .page("/targets/{target}/remove", write, ask_remove)
        .form("/targets/{target}/remove", write, remove)
        .form("/target-groups", write, add_group)
        .form("/target-groups/{group}/remove", write, remove_group)
}

/// A load balancer in the table.
struct Row {
    name: String,
    path: String,
    address: String,
    look: Look,
    detail: Option<String>,
    group: Option<String>,
    domains: String,
    pending: Option<String>,
    since: Moment,
}

/// A delivery.
struct Delivery {
    look: Look,
    release: Option<i64>,
    domains: String,
    problem: Option<String>,
    started: Moment,
}

/// All load balancers.
#[derive(Template)]
#[template(path = "targets.html")]
struct TargetsPage {
    frame: Frame,
    rows: Vec<Row>,
    groups: Vec<TargetGroup>,
    may_change: bool,
    group_name: String,
    fault: Option<String>,
}

/// One load balancer.
#[derive(Template)]
#[template(path = "target.html")]
struct TargetPage {
    frame: Frame,
    row: Row,
    id: String,
    release: Option<i64>,
    addresses: String,
    group_id: String,
    is_disabled: bool,
    shown: String,
    groups: Vec<TargetGroup>,
    deliveries: Vec<Delivery>,
    may_change: bool,
    fault: Option<String>,
}

/// Whether a load balancer is to be forgotten.
#[derive(Template)]
#[template(path = "target_remove.html")]
struct RemoveTargetPage {
    frame: Frame,
    name: String,
    path: String,
    is_disabled: bool,
}

/// What somebody typed to change a load balancer.
#[derive(Default, Deserialize)]
struct ChangeForm {
    #[serde(default)]
    addresses: String,
    #[serde(default)]
    group: String,
    #[serde(default)]
    disabled: String,
    /// What was shown, as [`ChangeForm::text`] writes it.
    #[serde(default)]
    shown: String,
}

/// What somebody typed to make a group.
#[derive(Default, Deserialize)]
struct GroupForm {
    #[serde(default)]
    name: String,
}

async fn list(State(state): State<WebState>, caller: Caller) -> Result<Response, Problem> {
    list_page(&state, &caller, StatusCode::OK, GroupForm::default(), None).await
}

async fn show(
    State(state): State<WebState>,
    caller: Caller,
    Path(target): Path<String>,
) -> Result<Response, Problem> {
    page(&state, &caller, &target, (None, StatusCode::OK, None)).await
}

async fn change(
    State(state): State<WebState>,
    caller: Caller,
    Path(target): Path<String>,
    Form(form): Form<ChangeForm>,
) -> Result<Response, Problem> {
    let mut tx = state.store.scoped(caller.reach).await?;
    let found = targets::lock(&mut tx, &target).await?;
    let checked = match pages::unchanged_since(form.shown.as_str())(&ChangeForm::of(&found).shown) {
        Ok(()) => checked(&mut tx, &form)
            .await
            .map_err(|fault| (Some(form), StatusCode::UNPROCESSABLE_ENTITY, fault)),
        Err(problem) => Err((None, problem.status, problem.detail.into_owned())),
    };
    let change = match checked {
        Ok(change) => change,
        Err((form, status, fault)) => {
            // The page wants a connection of its own.
            drop(tx);
            return page(&state, &caller, &target, (form, status, Some(fault))).await;
        }
    };
    tx.change_target(found.target_id, &change, state.now()).await?;
    let detail = json!({ "public_addresses": change.public_addresses, "group": change.group_id, "disabled": change.disabled });
    let entry = caller.did("target.changed", "target", found.target_id, &found.name, detail);
    tx.commit(&entry, &state.chance, state.now()).await?;
    let words = format!("{} is changed. What follows from it begins now.", found.name);
    Ok(done(&state, &caller, &path_of(&found.name), &words))
}

async fn sync(
    State(state): State<WebState>,
    caller: Caller,
    Path(target): Path<String>,
) -> Result<Response, Problem> {
    let mut tx = state.store.scoped(caller.reach).await?;
    let found = targets::find(&mut tx, &target).await?;
    tx.sync_target(found.target_id, state.now()).await?;
    let entry = caller.did("target.synced", "target", found.target_id, &found.name, json!({}));
    tx.commit(&entry, &state.chance, state.now()).await?;
    let words = format!("{} is being delivered to. The newest delivery is on top below.", found.name);
    Ok(done(&state, &caller, &path_of(&found.name), &words))
}

async fn ask_remove(
    State(state): State<WebState>,
    caller: Caller,
    Path(target): Path<String>,
) -> Result<Response, Problem> {
    let found = targets::find(&mut state.store.read(caller.reach).await?, &target).await?;
    let page = RemoveTargetPage {
        frame: Frame::new(&caller, "/targets"),
        path: path_of(&found.name),
        is_disabled: found.state == TargetState::Disabled,
        name: found.name,
    };
    Ok(pages::answer(StatusCode::OK, &page))
}

async fn remove(
    State(state): State<WebState>,
    caller: Caller,
    Path(target): Path<String>,
) -> Result<Response, Problem> {
    let gone = targets::remove(&state, &caller, &target).await?;
    let words = format!("{} is forgotten. Nothing was changed on the machine itself.", gone.name);
    Ok(done(&state, &caller, "/targets", &words))
}

async fn add_group(
    State(state): State<WebState>,
    caller: Caller,
    Form(form): Form<GroupForm>,
) -> Result<Response, Problem> {
    let name = match Label::parse(&form.name) {
        Ok(name) => name,
        Err(error) => {
            let (status, fault) =
                (StatusCode::UNPROCESSABLE_ENTITY, format!("The name cannot be used: {error}."));
            return list_page(&state, &caller, status, form, Some(fault)).await;
        }
    };
    match groups::add(&state, &caller, &name).await {
        Ok(_) => Ok(done(&state, &caller, "/targets#groups", &format!("The group {name} is there."))),
        Err(problem) if problem.status == StatusCode::CONFLICT => {
            let fault = "There is a group of this name already.".to_owned();
            list_page(&state, &caller, problem.status, form, Some(fault)).await
        }
        Err(problem) => Err(problem),
    }
}

async fn remove_group(
    State(state): State<WebState>,
    caller: Caller,
    Path(group): Path<String>,
) -> Result<Response, Problem> {
    match groups::remove(&state, &caller, &group).await {
        Ok(()) => Ok(done(&state, &caller, "/targets#groups", "The group is removed.")),
        Err(problem) if problem.status == StatusCode::CONFLICT => {
            let fault = Some(problem.detail.into_owned());
            list_page(&state, &caller, problem.status, GroupForm::default(), fault).await
        }
        Err(problem) => Err(problem),
    }
}

async fn list_page(
    state: &WebState,
    caller: &Caller,
    status: StatusCode,
    form: GroupForm,
    fault: Option<String>,
) -> Result<Response, Problem> {
    let mut tx = state.store.read(caller.reach).await?;
    let (targets, groups) = (tx.list_targets().await?, tx.list_groups().await?);
    let page = TargetsPage {
        frame: Frame::new(caller, "/targets"),
        rows: targets.into_iter().map(|target| Row::new(target, &groups, state.now())).collect(),
        groups,
        may_change: caller.may(Permission::TargetsWrite),
        group_name: form.name,
        fault,
    };
    Ok(pages::answer(status, &page))
}

async fn page(
    state: &WebState,
    caller: &Caller,
    target: &str,
    (form, status, fault): (Option<ChangeForm>, StatusCode, Option<String>),
) -> Result<Response, Problem> {
    let now = state.now();
    let mut tx = state.store.read(caller.reach).await?;
    let found = targets::find(&mut tx, target).await?;
    let deliveries = tx.list_deployments(Some(found.target_id), None, None, DELIVERIES).await?;
    let groups = tx.list_groups().await?;
    let form = form.unwrap_or_else(|| ChangeForm::of(&found));
    let page = TargetPage {
        frame: Frame::new(caller, "/targets"),
        id: found.target_id.to_string(),
        release: found.release_number,
        addresses: form.addresses,
        group_id: form.group,
        is_disabled: form.disabled == "on",
        shown: form.shown,
        row: Row::new(found, &groups, now),
        groups,
        deliveries: deliveries.into_iter().map(|row| Delivery::new(row, now)).collect(),
        may_change: caller.may(Permission::TargetsWrite),
        fault,
    };
    Ok(pages::answer(status, &page))
}

async fn checked(tx: &mut ScopedTx, form: &ChangeForm) -> Result<TargetChange, String> {
    let change = read_change(form)?;
    targets::check(tx, &change).await.map_err(|problem| problem.detail.into_owned())?;
    Ok(change)
}

fn read_change(form: &ChangeForm) -> Result<TargetChange, String> {
    let words = form.addresses.split([',', ' ', '\n', '\r']).filter(|word| !word.is_empty());
    let addresses = words.map(|word| {
        word.parse().map_err(|_| {
            format!("“{word}” is no IP address. Write them like 203.0.113.7, with commas between.")
        })
    });
    let group_id = match form.group.as_str() {
        "" => None,
        id => Some(id.parse::<GroupId>().map_err(|_| "Choose a group from the list.".to_owned())?),
    };
    let public_addresses = addresses.collect::<Result<Vec<IpAddr>, _>>()?;
    Ok(TargetChange { public_addresses, group_id, disabled: form.disabled == "on" })
}

fn path_of(name: &str) -> String {
    format!("/targets/{}", encode(name))
}

impl ChangeForm {
    fn of(target: &TargetRow) -> Self {
        let addresses: Vec<_> = target.public_addresses.iter().map(ToString::to_string).collect();
        let form = Self {
            addresses: addresses.join(", "),
            group: target.group_id.map(|group| group.to_string()).unwrap_or_default(),
            disabled: if target.state == TargetState::Disabled { "on".into() } else { String::new() },
            shown: String::new(),
        };
        Self { shown: form.text(), ..form }
    }

    /// All that the form sets.
    fn text(&self) -> String {
        format!("{} | {} | {}", self.addresses, self.group, self.disabled)
    }
}

impl Row {
    fn new(target: TargetRow, groups: &[TargetGroup], now: OffsetDateTime) -> Self {
        // The state is of the last delivery; something may have come up since.
        let state = match target.state {
            TargetState::InSync if target.pending > 0 => TargetState::Behind,
            state => state,
        };
        let group = groups.iter().find(|group| Some(group.group_id) == target.group_id);
        Self {
            path: path_of(&target.name),
            address: target.address.to_string(),
            look: words::target(state),
            detail: target.state_detail,
            group: group.map(|group| group.name.clone()),
            domains: number(target.domains),
            pending: (target.pending > 0).then(|| number(target.pending)),
            since: Moment::new(target.state_since, now),
            name: target.name,
        }
    }
}

impl Delivery {
    fn new(row: DeploymentRow, now: OffsetDateTime) -> Self {
        Self {
            look: words::deployment(row.status),
            release: row.release_number,
            domains: number(row.domains.into()),
            problem: row.problem,
            started: Moment::new(row.started_at, now),
        }
    }
}
