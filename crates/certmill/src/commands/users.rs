//! Users: the first administrator of the platform, and others.

use certmill_model::{Chance, Clock, EmailAddress, Label, Role, SystemClock, TenantId, UserId};
use certmill_store::{Api, NewUser, Reach, StoreError};
use certmill_vault::ApiToken;
use time::Duration;

use super::{did, say, tenants::find_tenant};
use crate::{cli::UserArguments, config::Config, database::Database, start, trouble::Trouble};

/// How long a link lets its holder choose a password.
const LINK_LASTS: Duration = Duration::days(3);

/// Makes somebody the first administrator of the platform, unless there is one, and prints the link that sets the password.
pub(crate) async fn init_admin(config: &Config, email: &str) -> Result<(), Trouble> {
    let database = Database::open(config).await?;
    let done = first_admin(&database, config, email).await;
    database.close().await;
    done
}

async fn first_admin(database: &Database, config: &Config, email: &str) -> Result<(), Trouble> {
    let email = parse_email(email)?;
    start::migrate(&database.url).await?;
    let store = certmill_store::connect_api(&database.url, 1).await?;
    let known = store.scoped(Reach::Platform).await?.platform_admins().await?;
    if let Some(known) = known.first() {
        return Err(Trouble::needs_action(
            format!("{known} administers this platform already"),
            "Ask for an invitation, add somebody with `certmill user add`, or come in once with `certmill login-link`.",
        ));
    }
    let arguments = UserArguments {
        email: email.to_string(),
        role: Role::PlatformAdmin,
        tenant: None,
        name: None,
        language: "en".into(),
    };
    add(&store, config, arguments).await
}

/// Adds a user, or gives one who has not chosen a password yet another link.
pub(super) async fn add(store: &Api, config: &Config, arguments: UserArguments) -> Result<(), Trouble> {
    let (chance, now, link) = (Chance::from_system(), SystemClock.now(), ApiToken::generate());
    let url = start::public_url(config)?;
    let new = new_user(store, arguments).await?;
    let known = store.user_by_email(&new.email).await?;
    let mut tx = store.scoped(Reach::Platform).await?;
    let user = match known {
        Some(user) if user.role == new.role && user.tenant_id == new.tenant_id && !user.has_password => user,
        Some(user) if user.has_password || user.tenant_id == new.tenant_id => return Err(taken(&new.email)),
        // Of an invitation elsewhere, the store knows whether it can still be taken.
        _ => {
            tx.add_user(&new, &chance, now).await.map_err(|error| match error {
                StoreError::Taken { .. } => taken(&new.email),
                error => error.into(),
            })?;
            let added = tx.find_user(new.user_id).await?;
            added.ok_or_else(|| Trouble::plain("the user is gone again", "Try it once more."))?
        }
    };
    let expires_at = now + LINK_LASTS;
    tx.add_password_link(&user, &link.hash(), now, expires_at).await?;
    let detail = serde_json::json!({ "role": user.role, "expires_at": expires_at.unix_timestamp() });
    let mut entry = did("user.invited", "user", user.user_id, &user.email);
    (entry.tenant, entry.detail) = (user.tenant_id, detail);
    tx.commit(&entry, &chance, now).await?;
    say(url.password_link(&link));
    say(format!(
        "Whoever opens this link first chooses the password of {}. It works once, for 3 days.",
        user.email
    ));
    Ok(())
}

async fn new_user(store: &Api, arguments: UserArguments) -> Result<NewUser, Trouble> {
    let tenant_id: Option<TenantId> = match &arguments.tenant {
        Some(tenant) => Some(find_tenant(store, tenant).await?.tenant_id),
        None => None,
    };
    let possible = Role::possible(tenant_id.is_none());
    if !possible.contains(&arguments.role) {
        let words: Vec<_> = possible.iter().map(|role| role.as_str()).collect();
        let whom = if tenant_id.is_none() { "one of the platform's own people" } else { "a tenant's user" };
        return Err(Trouble::plain(
            format!("{} is no role of {whom}", arguments.role),
            format!("Choose {}, or say with --tenant whose user it is.", words.join(", ")),
        ));
    }
    let email = parse_email(&arguments.email)?;
    let name = arguments.name.unwrap_or_else(|| email.to_string());
    Ok(NewUser {
        user_id: UserId::new(&Chance::from_system(), SystemClock.now()),
        tenant_id,
        name: Label::parse(&name)
            .map_err(|error| Trouble::new("the name cannot be used", &error, "Give another one."))?,
        email,
        role: arguments.role,
        language: arguments.language,
    })
}

fn parse_email(text: &str) -> Result<EmailAddress, Trouble> {
    let fix = "Give one like ada@example.com.";
    EmailAddress::parse(text).map_err(|error| Trouble::new(format!("{text:?} is no address"), &error, fix))
}

fn taken(email: &EmailAddress) -> Trouble {
    Trouble::plain(
        format!("{email} has an account already"),
        "Make a new link on the page of that user; `certmill login-link` lets you in.",
    )
}
