//! `/account`: one's own name, password, sessions, and what one is mailed.

use askama::Template;
use axum::{Form, extract::State, response::Response};
use certmill_model::{AlertLevel, DigestFrequency, UserId};
use certmill_store::{RuleRow, SessionRow, User};
use certmill_vault::Password;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::{Choice, answer, mendable, role_name};
use crate::{
    WebState,
    access::{Caller, SESSION_IDLE, attempt},
    dashboard::{frame::Frame, moment::Moment, visit::done},
    people::{self, RuleText, UserText},
    problem::Problem,
};

/// What somebody typed. Without `Debug`.
#[derive(Default, Deserialize)]
pub(super) struct AccountForm {
    #[serde(default)]
    name: String,
    #[serde(default)]
    language: String,
    #[serde(default)]
    current: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    least_level: String,
    #[serde(default)]
    digest: String,
}

struct Session {
    agent: String,
    address: String,
    opened: Moment,
    seen: Moment,
    is_own: bool,
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: Frame,
    /// `None`: whoever made a link on the command line, without an account.
    user: Option<Own>,
    /// What is wrong, and with which form.
    fault: Option<(&'static str, String)>,
}

#[derive(Template)]
#[template(path = "notifications.html")]
struct NotificationsPage {
    frame: Frame,
    user: Option<Own>,
}

struct Own {
    name: String,
    email: String,
    role: &'static str,
    language: String,
    sessions: Vec<Session>,
    levels: Vec<Choice>,
    digests: Vec<Choice>,
    unsubscribed: Option<Moment>,
}

pub(super) async fn show(State(state): State<WebState>, caller: Caller) -> Result<Response, Problem> {
    page(&state, &caller, StatusCode::OK, None).await
}

/// Changes name and language.
pub(super) async fn change(
    State(state): State<WebState>,
    caller: Caller,
    Form(form): Form<AccountForm>,
) -> Result<Response, Problem> {
    let text = UserText { name: Some(form.name), language: Some(form.language), ..UserText::default() };
    match people::change_user(&state, &caller, own_id(&caller)?, &text, |_| Ok(())).await {
        Ok(_) => Ok(done(&state, &caller, "/account", "Your account is changed.")),
        Err(problem) => {
            let (status, words) = mendable(problem)?;
            page(&state, &caller, status, Some(("account", words))).await
        }
    }
}

/// Sets another password; every other session ends.
pub(super) async fn change_password(
    State(state): State<WebState>,
    caller: Caller,
    Form(form): Form<AccountForm>,
) -> Result<Response, Problem> {
    let (id, now) = (own_id(&caller)?, state.now());
    let key = format!("password of {id}");
    let Ok(attempt) = attempt(&state, std::slice::from_ref(&key)).await? else {
        let words = "Too many attempts failed. Wait a while, and try again.".to_owned();
        return page(&state, &caller, StatusCode::TOO_MANY_REQUESTS, Some(("password", words))).await;
    };
    let kept = state.store.read(caller.reach).await?.password_hash(id).await?;
    let wanted = Password::choose(form.password);
    let place = state.passwords.acquire().await.map_err(|_| Problem::internal())?;
    let hashed = tokio::task::spawn_blocking(move || {
        let is_right = Password::typed(form.current).matches(kept.as_deref());
        (is_right, wanted.map(|password| password.hash()))
    });
    let (is_right, hash) = hashed.await.map_err(|_| Problem::internal())?;
    drop(place);
    if is_right {
        state.store.login_succeeded(&attempt, &key).await?;
    }
    let refused = match hash {
        Ok(hash) if is_right => {
            let mut tx = state.store.scoped(caller.reach).await?;
            tx.change_password(id, &hash, now).await?;
            tx.end_sessions(id, caller.session()).await?;
            let entry = caller.did("user.password_set", "user", id, &caller.actor.name, json!({}));
            tx.commit(&entry, &state.chance, now).await?;
            return Ok(done(
                &state,
                &caller,
                "/account",
                "The new password holds. Every other session has ended.",
            ));
        }
        Err(error) if is_right => format!("The new password cannot be used: {error}."),
        _ => "The current password is not right.".to_owned(),
    };
    page(&state, &caller, StatusCode::UNPROCESSABLE_ENTITY, Some(("password", refused))).await
}

/// Ends every other session.
pub(super) async fn end_sessions(State(state): State<WebState>, caller: Caller) -> Result<Response, Problem> {
    let id = own_id(&caller)?;
    let mut tx = state.store.scoped(caller.reach).await?;
    let ended = tx.end_sessions(id, caller.session()).await?;
    let entry =
        caller.did("user.sessions_ended", "user", id, &caller.actor.name, json!({ "sessions": ended }));
    tx.commit(&entry, &state.chance, state.now()).await?;
    Ok(done(&state, &caller, "/account", "Every other session has ended."))
}

/// What is mailed.
pub(super) async fn show_mail(State(state): State<WebState>, caller: Caller) -> Result<Response, Problem> {
    let user = own(&state, &caller).await?;
    Ok(answer(StatusCode::OK, &NotificationsPage { frame: Frame::new(&caller, "/account"), user }))
}

/// Changes what is mailed.
pub(super) async fn change_mail(
    State(state): State<WebState>,
    caller: Caller,
    Form(form): Form<AccountForm>,
) -> Result<Response, Problem> {
    let least_level = Some(form.least_level).filter(|level| !level.is_empty());
    let text = RuleText { least_level, digest: form.digest };
    // What none of the form's choices is comes from no form of ours: it is refused with a page of its own.
    people::put_rule(&state, &caller, own_id(&caller)?, &text, |_| Ok(())).await?;
    Ok(done(&state, &caller, "/account/notifications", "What you are mailed is changed."))
}

fn own_id(caller: &Caller) -> Result<UserId, Problem> {
    caller.user_id.ok_or_else(|| {
        let detail = "This session was opened by a link from the command line and belongs to no account.";
        Problem::new(StatusCode::CONFLICT, "no_account", "No account", detail)
    })
}

async fn page(
    state: &WebState,
    caller: &Caller,
    status: StatusCode,
    fault: Option<(&'static str, String)>,
) -> Result<Response, Problem> {
    let user = own(state, caller).await?;
    Ok(answer(status, &AccountPage { frame: Frame::new(caller, "/account"), user, fault }))
}

/// The account of who calls; `None`: whoever made a link on the command line has none.
async fn own(state: &WebState, caller: &Caller) -> Result<Option<Own>, Problem> {
    let (Some(id), Some(session)) = (caller.user_id, caller.session()) else { return Ok(None) };
    let mut tx = state.store.read(caller.reach).await?;
    let user = tx.find_user(id).await?.ok_or_else(|| Problem::no_such("user"))?;
    let sessions = tx.sessions(id, session, state.now(), SESSION_IDLE).await?;
    let rule = people::rule_of(state, &mut tx, &user).await?;
    Ok(Some(Own::new(state, &user, sessions, &rule)))
}

impl Own {
    fn new(state: &WebState, user: &User, sessions: Vec<SessionRow>, rule: &RuleRow) -> Self {
        let now = state.now();
        let (level, digest) = (rule.least_level.map_or("", AlertLevel::as_str), rule.digest.as_str());
        let choice = |value: &str, words: &str, chosen: &str| Choice {
            value: value.to_owned(),
            words: words.to_owned(),
            chosen: value == chosen,
        };
        let levels = AlertLevel::ALL.iter().map(|one| choice(one.as_str(), level_words(*one), level));
        Self {
            name: user.name.to_string(),
            email: user.email.to_string(),
            role: role_name(user.role),
            language: user.language.clone(),
            sessions: sessions.into_iter().map(|session| Session::new(session, now)).collect(),
            levels: std::iter::once(choice("", "No alerts", level)).chain(levels).collect(),
            digests: DigestFrequency::ALL
                .iter()
                .map(|one| choice(one.as_str(), digest_words(*one), digest))
                .collect(),
            unsubscribed: rule.unsubscribed_at.map(|at| Moment::new(at, now)),
        }
    }
}

impl Session {
    fn new(row: SessionRow, now: time::OffsetDateTime) -> Self {
        Self {
            agent: row.origin.agent.unwrap_or_else(|| "A browser that says nothing of itself".into()),
            address: row.origin.address.unwrap_or_default(),
            opened: Moment::new(row.created_at, now),
            seen: Moment::new(row.last_seen_at, now),
            is_own: row.is_own,
        }
    }
}

fn level_words(level: AlertLevel) -> &'static str {
    match level {
        AlertLevel::Notice => "Everything that goes on failing",
        AlertLevel::Late => "A quarter of a certificate's life is left, or less",
        AlertLevel::Urgent => "An eighth is left, or less",
        AlertLevel::Page => "A sixteenth is left, or less",
        AlertLevel::Expired => "Shoppers see a warning",
    }
}

fn digest_words(digest: DigestFrequency) -> &'static str {
    match digest {
        DigestFrequency::Daily => "Every day",
        DigestFrequency::Weekly => "Every week",
        DigestFrequency::Off => "Never",
    }
}
