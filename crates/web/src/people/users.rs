//! Users: inviting, changing and removing them.

use certmill_model::{EmailAddress, Label, Letter, MailId, Role, TenantId, UserId};
use certmill_store::{Actor, AuditEntry, NewMail, NewUser, Reach, ScopedTx, User, UserChange};
use certmill_vault::ApiToken;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;

use super::{invalid, is_platforms, matter_of, one_of, present, tenant_for};
use crate::{WebState, access::Caller, problem::Problem};

/// How long an invitation can be taken, and how long a link for a new password works.
const INVITATION_LASTS: Duration = Duration::days(3);
const RESET_LASTS: Duration = Duration::hours(1);

/// The languages that mail is written in.
pub(crate) const LANGUAGES: [&str; 2] = ["en", "de"];

/// A user to be invited, as a program sends it or a person types it.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(title = "Invitation")]
pub(crate) struct InvitationText {
    /// The tenant, by id or name; left out, the caller's own, or one of the platform's own people.
    #[serde(default)]
    pub(crate) tenant: Option<String>,
    /// The address, which the user logs in by. One account for each, on the whole platform; an invitation of another tenant's that
    /// ended without being taken does not count.
    #[schema(example = "ada@example.com")]
    pub(crate) email: String,
    /// The name.
    #[schema(example = "Ada Lovelace")]
    pub(crate) name: String,
    /// `viewer`, `operator` or `tenant_admin`; of the platform's own people `viewer`, `operator` or `platform_admin`.
    #[schema(example = "operator")]
    pub(crate) role: String,
    /// The language of mail, `en` or `de`; `en` if it is left out.
    #[serde(default)]
    pub(crate) language: Option<String>,
}

/// What is to become of a user: a field that is left out stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(title = "UserChange")]
pub(crate) struct UserText {
    /// The name.
    #[serde(default, deserialize_with = "present")]
    pub(crate) name: Option<String>,
    /// The role. Nobody changes their own.
    #[serde(default, deserialize_with = "present")]
    pub(crate) role: Option<String>,
    /// The language of mail, `en` or `de`.
    #[serde(default, deserialize_with = "present")]
    pub(crate) language: Option<String>,
    /// Whether the user is locked out, which ends every session at once.
    #[serde(default, deserialize_with = "present")]
    pub(crate) disabled: Option<bool>,
    /// Whether every token that the user made, or that was made with one of these, is revoked with the change: `open_tokens` says
    /// how many. Left out, they go on.
    #[serde(default, deserialize_with = "present")]
    pub(crate) revoke_tokens: Option<bool>,
}

/// Whether a user can come in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum UserStatus {
    /// No password was set yet.
    Invited,
    Active,
    /// Locked out.
    Disabled,
}

/// Somebody who has a link that sets a password.
pub(crate) struct Invited {
    pub(crate) user: User,
    /// The link, to be handed over by whoever asked for it, and shown this once; `None`: it was mailed to the user.
    pub(crate) link: Option<String>,
    /// Until when it works.
    pub(crate) expires_at: OffsetDateTime,
}

/// Whether `user` can come in.
pub(crate) fn status_of(user: &User) -> UserStatus {
    match user {
        _ if user.disabled_at.is_some() => UserStatus::Disabled,
        _ if user.has_password => UserStatus::Active,
        _ => UserStatus::Invited,
    }
}

impl UserStatus {
    /// The word in the API.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Invited => "invited",
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }
}

/// Invites somebody.
pub(crate) async fn invite(
    state: &WebState,
    caller: &Caller,
    text: &InvitationText,
) -> Result<Invited, Problem> {
    let now = state.now();
    let mut tx = state.store.scoped(caller.reach).await?;
    let tenant = tenant_for(&mut tx, caller, text.tenant.as_deref()).await?;
    let new = NewUser {
        user_id: UserId::new(&state.chance, now),
        tenant_id: tenant,
        email: EmailAddress::parse(&text.email).map_err(|error| invalid("email", error))?,
        name: parse_name(&text.name)?,
        role: parse_role(&text.role, tenant)?,
        language: parse_language(text.language.as_deref().unwrap_or("en"))?,
    };
    tx.add_user(&new, &state.chance, now).await?;
    let user = tx.find_user(new.user_id).await?.ok_or_else(Problem::internal)?;
    let invited = with_link(state, &mut tx, user, &caller.actor.name, INVITATION_LASTS).await?;
    let detail = json!({ "role": new.role, "expires_at": invited.expires_at.unix_timestamp() });
    let entry = caller.did("user.invited", "user", new.user_id, &new.email, detail);
    tx.commit(&matter_of(tenant, entry), &state.chance, now).await?;
    Ok(invited)
}

/// Gives a user a new link, for the first password or for another one; earlier ones end.
pub(crate) async fn invite_again(state: &WebState, caller: &Caller, id: UserId) -> Result<Invited, Problem> {
    let now = state.now();
    let mut tx = state.store.scoped(caller.reach).await?;
    let user = tx.find_user(id).await?.ok_or_else(|| Problem::no_such("user"))?;
    if user.disabled_at.is_some() {
        let detail = "The user is locked out. Let the user in again first.";
        return Err(conflict("user_disabled", detail));
    }
    let (action, lasts) = if user.has_password {
        ("user.password_reset", RESET_LASTS)
    } else {
        ("user.invited", INVITATION_LASTS)
    };
    let invited = with_link(state, &mut tx, user, &caller.actor.name, lasts).await?;
    let user = &invited.user;
    let detail = json!({ "expires_at": invited.expires_at.unix_timestamp() });
    let entry = caller.did(action, "user", user.user_id, &user.email, detail);
    tx.commit(&matter_of(user.tenant_id, entry), &state.chance, now).await?;
    Ok(invited)
}

/// Changes a user, who is at a revision that `expected` accepts.
pub(crate) async fn change_user(
    state: &WebState,
    caller: &Caller,
    id: UserId,
    text: &UserText,
    expected: impl FnOnce(i64) -> Result<(), Problem>,
) -> Result<User, Problem> {
    let now = state.now();
    let mut tx = state.store.scoped(caller.reach).await?;
    let user = tx.find_user(id).await?.ok_or_else(|| Problem::no_such("user"))?;
    expected(user.revision)?;
    let change = UserChange {
        name: text.name.as_deref().map_or_else(|| Ok(user.name.clone()), parse_name)?,
        role: text.role.as_deref().map_or(Ok(user.role), |role| parse_role(role, user.tenant_id))?,
        language: text.language.as_deref().map_or_else(|| Ok(user.language.clone()), parse_language)?,
        disabled: text.disabled.unwrap_or(user.disabled_at.is_some()),
    };
    if caller.user_id == Some(id) && (change.role != user.role || change.disabled) {
        return Err(own_account());
    }
    if user.role == Role::PlatformAdmin && (change.role != user.role || change.disabled) {
        keep_an_admin(&mut tx, &user).await?;
    }
    tx.change_user(id, &change, Some(user.revision), now).await?;
    let changed = tx.find_user(id).await?.ok_or_else(Problem::internal)?;
    let mut detail = difference(&user, &change);
    if text.revoke_tokens == Some(true) {
        detail["tokens_revoked"] = json!(tx.revoke_tokens_of(id, now).await?);
    }
    let entry = caller.did("user.changed", "user", id, &user.email, detail);
    tx.commit(&matter_of(user.tenant_id, entry), &state.chance, now).await?;
    Ok(changed)
}

/// Removes a user, and with `revoke_tokens` what the user's tokens open.
pub(crate) async fn delete_user(
    state: &WebState,
    caller: &Caller,
    id: UserId,
    revoke_tokens: bool,
    expected: impl FnOnce(i64) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let now = state.now();
    let mut tx = state.store.scoped(caller.reach).await?;
    let user = tx.find_user(id).await?.ok_or_else(|| Problem::no_such("user"))?;
    expected(user.revision)?;
    if caller.user_id == Some(id) {
        return Err(own_account());
    }
    if user.role == Role::PlatformAdmin {
        keep_an_admin(&mut tx, &user).await?;
    }
    if !tx.delete_user(id).await? {
        return Err(Problem::no_such("user"));
    }
    let mut detail = json!({ "role": user.role });
    if revoke_tokens {
        detail["tokens_revoked"] = json!(tx.revoke_tokens_of(id, now).await?);
    }
    let entry = caller.did("user.deleted", "user", id, &user.email, detail);
    tx.commit(&matter_of(user.tenant_id, entry), &state.chance, now).await?;
    Ok(())
}

/// How many tokens that this user made, or that were made with one of these, still open something.
pub(crate) async fn open_tokens(state: &WebState, caller: &Caller, id: UserId) -> Result<i64, Problem> {
    let open = state.store.read(caller.reach).await?.open_tokens_of(&[id], state.now()).await?;
    Ok(open.get(&id).copied().unwrap_or_default())
}

/// Makes a link for `user`, and mails it if a mail server is set up.
async fn with_link(
    state: &WebState,
    tx: &mut ScopedTx,
    user: User,
    by: &str,
    lasts: Duration,
) -> Result<Invited, Problem> {
    let (link, now) = (ApiToken::generate(), state.now());
    let expires_at = now + lasts;
    tx.add_password_link(&user, &link.hash(), now, expires_at).await?;
    let link = state.settings.public_url.password_link(&link);
    if tx.mail_state().await?.server.is_none() {
        return Ok(Invited { user, link: Some(link), expires_at });
    }
    let letter = if user.has_password {
        Letter::PasswordReset { link, expires_at }
    } else {
        let tenants: Vec<_> = user.tenant_id.into_iter().collect();
        let organisation = tx.tenant_names(&tenants).await?.into_values().next();
        let organisation = organisation.unwrap_or_else(|| "certmill".into());
        Letter::Invitation { invited_by: by.to_owned(), organisation, link, expires_at }
    };
    let mail_id = MailId::new(&state.chance, now);
    let mail = NewMail {
        mail_id,
        // Each link is a letter of its own.
        key: format!("password/{}/{mail_id}", user.user_id),
        tenant_id: user.tenant_id,
        recipient: user.email.as_str(),
        language: &user.language,
        letter: &letter,
    };
    tx.enqueue_mail(&mail, now).await?;
    Ok(Invited { user, link: None, expires_at })
}

/// Mails a link for another password to the user with this address, if there is one who may log in.
pub(crate) async fn mail_new_password(
    state: &WebState,
    email: &EmailAddress,
    address: Option<String>,
) -> Result<(), Problem> {
    let Some(user) = state.store.user_by_email(email).await? else { return Ok(()) };
    let reach = user.tenant_id.map_or(Reach::Platform, Reach::Tenant);
    let mut tx = state.store.scoped(reach).await?;
    if tx.mail_state().await?.server.is_none() {
        return Ok(());
    }
    let lasts = if user.has_password { RESET_LASTS } else { INVITATION_LASTS };
    let invited = with_link(state, &mut tx, user, "certmill", lasts).await?;
    let user = invited.user;
    let (id, name) = (user.user_id.to_string(), user.name.to_string());
    let actor = Actor { kind: "user", id: Some(id.clone()), name, request_id: None, address, keyed: None };
    let entry = AuditEntry {
        actor: &actor,
        action: "user.password_forgotten",
        object_kind: "user",
        object_id: Some(id),
        object_name: user.email.to_string(),
        tenant: user.tenant_id,
        detail: json!({}),
    };
    tx.commit(&entry, &state.chance, state.now()).await?;
    Ok(())
}

/// Refuses what would leave nobody who can do everything.
async fn keep_an_admin(tx: &mut ScopedTx, user: &User) -> Result<(), Problem> {
    let could_log_in = user.has_password && user.disabled_at.is_none();
    if could_log_in && tx.count_other_platform_admins(user.user_id).await? == 0 {
        let detail = "Nobody else can log in as platform_admin. Make somebody else one first.";
        return Err(conflict("last_platform_admin", detail));
    }
    Ok(())
}

fn own_account() -> Problem {
    let detail = "Nobody changes their own role, locks themselves out or removes themselves: ask another administrator.";
    conflict("own_account", detail)
}

fn conflict(code: &'static str, detail: &'static str) -> Problem {
    Problem::new(StatusCode::CONFLICT, code, "Not possible now", detail)
}

fn parse_name(text: &str) -> Result<Label, Problem> {
    Label::parse(text.trim()).map_err(|error| invalid("name", error))
}

fn parse_role(text: &str, tenant: Option<TenantId>) -> Result<Role, Problem> {
    let possible = Role::possible(is_platforms(tenant));
    let words: Vec<_> = possible.iter().map(|role| role.as_str()).collect();
    let role = text.parse().ok().filter(|role| possible.contains(role));
    role.ok_or_else(|| invalid("role", one_of(&words)))
}

fn parse_language(text: &str) -> Result<String, Problem> {
    LANGUAGES.contains(&text).then(|| text.to_owned()).ok_or_else(|| invalid("language", one_of(&LANGUAGES)))
}

/// What changed, for the audit log.
fn difference(user: &User, change: &UserChange) -> serde_json::Value {
    let was_disabled = user.disabled_at.is_some();
    let fields = [
        ("name", json!(user.name.as_str()), json!(change.name.as_str())),
        ("role", json!(user.role), json!(change.role)),
        ("language", json!(user.language), json!(change.language)),
        ("disabled", json!(was_disabled), json!(change.disabled)),
    ];
    let changed = fields.into_iter().filter(|(_, from, to)| from != to);
    changed.map(|(name, from, to)| (name.to_owned(), json!({ "from": from, "to": to }))).collect()
}
