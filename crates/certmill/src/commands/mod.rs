//! The commands of operators.

mod access;
mod authorities;
mod domains;
mod forecast;
mod mail;
mod settings;
mod simulate;
mod targets;
mod tenants;
mod users;
mod zones;

use std::{fmt::Display, sync::LazyLock};

use certmill_store::{Actor, Api, AuditEntry};

pub(crate) use settings::{init, show_config};
pub(crate) use simulate::{SimulateArguments, run as simulate};
pub(crate) use users::init_admin;

use crate::{
    cli::{Command, TokenCommand, UserCommand},
    config::Config,
    database::Database,
    start::{self, Role},
    trouble::Trouble,
};

/// Runs one command.
pub(crate) async fn run(command: Command, config: Config) -> Result<(), Trouble> {
    match command {
        Command::All => return start::run(&config, Role::All).await,
        Command::Serve => return start::run(&config, Role::Serve).await,
        Command::Work => return start::run(&config, Role::Work).await,
        _ => {}
    }
    let database = Database::open(&config).await?;
    let done = with_database(command, &config, &database).await;
    database.close().await;
    done
}

async fn with_database(command: Command, config: &Config, database: &Database) -> Result<(), Trouble> {
    if matches!(command, Command::Migrate) {
        start::migrate(&database.url).await?;
        say("the schema is up to date");
        return Ok(());
    }
    let store: Api = certmill_store::connect_api(&database.url, 2).await?;
    match command {
        Command::LoginLink => access::login_link(&store, config).await,
        Command::Token(TokenCommand::Create { name, tenant, platform: _, days, scopes }) => {
            access::create_token(&store, &name, tenant.as_deref(), days, scopes).await
        }
        Command::User(UserCommand::Add(arguments)) => users::add(&store, config, arguments).await,
        Command::Tenant(command) => tenants::run(&store, config, command).await,
        Command::Target(command) => targets::run(&store, config, command).await,
        Command::Zone(command) => zones::run(&store, database, config, command).await,
        Command::Authority(command) => authorities::run(database, config, command).await,
        Command::Mail(command) => mail::run(&store, config, command).await,
        Command::Forecast => forecast::run(database).await,
        Command::Domain(command) => domains::run(&store, config, command).await,
        Command::All
        | Command::Serve
        | Command::Work
        | Command::Migrate
        | Command::Init { .. }
        | Command::Simulate(_)
        | Command::Config(_) => Ok(()),
    }
}

/// An entry for the audit log: that somebody with a shell did `action` to a thing of the platform's.
fn did(
    action: &'static str,
    object_kind: &'static str,
    object_id: impl Display,
    object_name: impl Display,
) -> AuditEntry<'static> {
    static ACTOR: LazyLock<Actor> = LazyLock::new(Actor::command_line);
    AuditEntry {
        actor: &ACTOR,
        action,
        object_kind,
        object_id: Some(object_id.to_string()),
        object_name: object_name.to_string(),
        tenant: None,
        detail: serde_json::json!({}),
    }
}

/// Prints a line of a command's answer.
#[expect(clippy::print_stdout, reason = "the answer of a command belongs on standard output")]
pub(crate) fn say(line: impl Display) {
    println!("{line}");
}
