//! `/tokens`: which programs may come in.

use askama::Template;
use axum::{
    extract::{Path, Query, RawForm, State},
    response::Response,
};
use certmill_model::{Permission, Scope, TokenId};
use certmill_store::{Reach, TokenRow};
use http::StatusCode;
use serde::Deserialize;
use time::OffsetDateTime;

use super::{Choice, ConfirmPage, ShownOncePage, answer, mendable, tenant_choices};
use crate::{
    WebState,
    access::Caller,
    dashboard::{
        frame::Frame,
        moment::Moment,
        visit::done,
        words::{Look, token_status},
    },
    people::{self, MadeToken, TokenText},
    problem::Problem,
};

/// Rows on a page.
const ROWS: usize = 50;

#[derive(Deserialize)]
pub(super) struct ListQuery {
    #[serde(default)]
    after: String,
}

struct Row {
    id: String,
    name: String,
    tenant: Option<String>,
    scopes: String,
    created_by: Option<String>,
    look: Look,
    is_valid: bool,
    expires: Moment,
    last_used: Option<Moment>,
}

#[derive(Template)]
#[template(path = "tokens.html")]
struct TokensPage {
    frame: Frame,
    rows: Vec<Row>,
    is_platforms: bool,
    may_write: bool,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "token_new.html")]
struct MakePage<'a> {
    frame: Frame,
    form: &'a TokenText,
    fault: Option<String>,
    tenants: Vec<Choice>,
    scopes: Vec<Choice>,
    days: i64,
}

pub(super) async fn list(
    State(state): State<WebState>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    let mut tx = state.store.read(caller.reach).await?;
    let mut tokens = tx.list_tokens(None, query.after.parse().ok(), ROWS as i64 + 1).await?;
    let more = tokens.len() > ROWS;
    tokens.truncate(ROWS);
    let next = tokens.last().filter(|_| more).map(|token| token.token_id.to_string());
    let tenants: Vec<_> = tokens.iter().filter_map(|token| token.tenant_id).collect();
    let names = tx.tenant_names(&tenants).await?;
    let row = |token: TokenRow| {
        let tenant = token.tenant_id.and_then(|tenant| names.get(&tenant).cloned());
        Row::new(token, tenant, state.now())
    };
    let page = TokensPage {
        frame: Frame::new(&caller, "/tokens"),
        rows: tokens.into_iter().map(row).collect(),
        is_platforms: caller.reach == Reach::Platform,
        may_write: caller.may(Permission::TokensWrite),
        next,
    };
    Ok(answer(StatusCode::OK, &page))
}

/// The form for another token.
pub(super) async fn ask_make(State(state): State<WebState>, caller: Caller) -> Result<Response, Problem> {
    make_page(&state, &caller, &TokenText::default(), StatusCode::OK, None).await
}

/// Makes a token, and shows it this once.
pub(super) async fn make(
    State(state): State<WebState>,
    caller: Caller,
    RawForm(form): RawForm,
) -> Result<Response, Problem> {
    let text = read(&form);
    match people::make_token(&state, &caller, &text).await {
        Ok(made) => Ok(made_page(&state, &caller, &made)),
        Err(problem) => {
            let (status, fault) = mendable(problem)?;
            make_page(&state, &caller, &text, status, Some(fault)).await
        }
    }
}

/// Asks whether a token is to be revoked.
pub(super) async fn ask_revoke(
    State(state): State<WebState>,
    caller: Caller,
    Path(token): Path<String>,
) -> Result<Response, Problem> {
    let found = state.store.read(caller.reach).await?.find_token(parse(&token)?).await?;
    let token = found.ok_or_else(|| Problem::no_such("token"))?;
    let title = format!("Revoke {}?", token.name);
    let page = ConfirmPage {
        frame: Frame::new(&caller, "/tokens"),
        title: &title,
        trail: ("Tokens", "/tokens"),
        words: "The next request with it is refused. A revoked token cannot be brought back; make another one instead.",
        action: format!("/tokens/{}/revoke", token.token_id),
        button: "Revoke the token",
    };
    Ok(answer(StatusCode::OK, &page))
}

/// Revokes a token.
pub(super) async fn revoke(
    State(state): State<WebState>,
    caller: Caller,
    Path(token): Path<String>,
) -> Result<Response, Problem> {
    people::revoke_token(&state, &caller, parse(&token)?).await?;
    Ok(done(&state, &caller, "/tokens", "The token is revoked."))
}

fn parse(id: &str) -> Result<TokenId, Problem> {
    id.parse().map_err(|_| Problem::no_such("token"))
}

/// What somebody typed: `scope` stands in it for each box that is ticked.
fn read(form: &[u8]) -> TokenText {
    let mut text = TokenText::default();
    for (name, value) in form_urlencoded::parse(form) {
        match &*name {
            "tenant" => text.tenant = Some(value.into_owned()),
            "name" => text.name = value.into_owned(),
            "scope" => text.scopes.push(value.into_owned()),
            // What is no number is refused like one that is too small.
            "days" => text.days = Some(value.parse().unwrap_or_default()),
            _ => {}
        }
    }
    text
}

async fn make_page(
    state: &WebState,
    caller: &Caller,
    form: &TokenText,
    status: StatusCode,
    fault: Option<String>,
) -> Result<Response, Problem> {
    let choice = |scope: Scope| Choice {
        chosen: form.scopes.iter().any(|chosen| chosen == scope.as_str()),
        value: scope.as_str().to_owned(),
        words: scope_words(scope).to_owned(),
    };
    let chosen = form.tenant.clone().unwrap_or_default();
    let page = MakePage {
        frame: Frame::new(caller, "/tokens"),
        form,
        fault,
        tenants: tenant_choices(state, caller, &chosen).await?,
        scopes: Scope::possible(caller.reach == Reach::Platform).map(choice).collect(),
        days: form.days.unwrap_or(90),
    };
    Ok(answer(status, &page))
}

fn made_page(state: &WebState, caller: &Caller, made: &MadeToken) -> Response {
    let origin = state.settings.public_url.origin();
    let title = format!("Token {}", made.row.name);
    let page = ShownOncePage {
        frame: Frame::new(caller, "/tokens"),
        title: &title,
        trail: ("Tokens", "/tokens"),
        words: "Keep this token where your program reads its secrets. Whoever has it may do what its scopes say.",
        secret: made.token.expose(),
        command: Some(format!(
            "curl {origin}/v1/domains -H \"Authorization: Bearer {}\"",
            made.token.expose()
        )),
        expires: Moment::new(made.row.expires_at, state.now()),
    };
    answer(StatusCode::OK, &page)
}

fn scope_words(scope: Scope) -> &'static str {
    match scope {
        Scope::DomainsRead => "read domains and what belongs to them",
        Scope::DomainsWrite => "register, change and remove domains",
        Scope::TargetsRead => "read load balancers and templates (the platform's tokens)",
        Scope::TargetsWrite => "change load balancers and templates (the platform's tokens)",
        Scope::WebhooksWrite => "read and change webhook endpoints",
        Scope::Admin => "everything, people and tokens as well",
    }
}

impl Row {
    fn new(token: TokenRow, tenant: Option<String>, now: OffsetDateTime) -> Self {
        let scopes: Vec<_> = token.scopes.iter().map(|scope| scope.as_str()).collect();
        let is_valid = token.revoked_at.is_none() && token.expires_at > now;
        Self {
            id: token.token_id.to_string(),
            look: token_status(token.revoked_at.is_some(), is_valid),
            is_valid,
            name: token.name,
            tenant,
            scopes: scopes.join(", "),
            created_by: token.created_by,
            expires: Moment::new(token.expires_at, now),
            last_used: token.last_used_at.map(|at| Moment::new(at, now)),
        }
    }
}
