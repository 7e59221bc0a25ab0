//! DNS zones that challenges are written to.

use std::{io::Read, sync::Arc, time::Duration};

use certmill_dns::{
    Credentials, DnsProvider, InvalidProvider, NameServer, ProviderError, ProviderSettings, TxtRecord,
    values_at, wait_until_visible,
};
use certmill_model::{Chance, Clock, Hostname, SystemClock, ZoneId};
use certmill_store::{Api, NewZone, Zone, ZoneRow};
use certmill_vault::Secret;
use serde_json::{Map, Value};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::{did, say};
use crate::{
    cli::{ZoneArguments, ZoneCommand},
    config::Config,
    database::Database,
    start,
    trouble::Trouble,
};

/// How long name servers may take to show what was written, or that it is gone.
const PROPAGATION: Duration = Duration::from_secs(120);

/// The wait between two looks.
const LOOK: Duration = Duration::from_millis(200);

pub(super) async fn run(
    store: &Api,
    database: &Database,
    config: &Config,
    command: ZoneCommand,
) -> Result<(), Trouble> {
    match command {
        ZoneCommand::Add(arguments) => add(store, config, *arguments).await,
        ZoneCommand::List => list(store).await,
        ZoneCommand::Test { name } => test(database, config, &name).await,
        ZoneCommand::Remove { name } => remove(store, &name).await,
    }
}

async fn add(store: &Api, config: &Config, arguments: ZoneArguments) -> Result<(), Trouble> {
    let now = SystemClock.now();
    let name = parse(&arguments.name)?;
    let settings = settings(&arguments)?;
    let secret = arguments.secret_file.as_deref().map(read_secret).transpose()?;
    let known = store.platform().await?.list_zones().await?.into_iter().find(|zone| zone.name == name);
    check(&settings, &name, secret.as_ref(), known.as_ref())?;
    let zone = NewZone {
        zone_id: ZoneId::new(&Chance::from_system(), now),
        settings: serde_json::to_value(&settings).expect("settings are plain data"),
        credentials: secret.as_ref(),
        record_prefix: &prefix(&settings, &name),
        name_servers: &arguments.name_servers,
        keep_empty: arguments.keep_empty,
        name,
    };
    let mut tx = store.platform().await?;
    let id = tx.put_zone(&zone, &start::vault(config)?, now).await?;
    let entry = did("zone.set", "zone", id, &zone.name);
    tx.commit_audited(&entry, &Chance::from_system(), now).await?;
    say(format!("{id} {}", zone.name));
    if known.is_none() {
        say("names that come in from now on are told to point into it");
    }
    Ok(())
}

/// Whatever writing a record would refuse is better refused now.
fn check(
    settings: &ProviderSettings,
    name: &Hostname,
    secret: Option<&Secret>,
    known: Option<&ZoneRow>,
) -> Result<(), Trouble> {
    let same_provider = known.is_some_and(|zone| {
        let before: Option<ProviderSettings> = serde_json::from_value(zone.settings.clone()).ok();
        before.is_some_and(|before| std::mem::discriminant(&before) == std::mem::discriminant(settings))
    });
    // The secret that is stored was looked at when it came; another provider is never shown it.
    let placeholder = Secret::new(b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_vec());
    let shown = secret.or_else(|| same_provider.then_some(&placeholder));
    open(settings, name, shown).map_err(|error| invalid(&error))?;
    match known {
        Some(zone) if zone.delegations > 0 && zone.record_prefix != prefix(settings, name) => {
            Err(Trouble::needs_action(
                format!(
                    "the owners of {} names were told to point at records of another form than this provider writes",
                    zone.delegations
                ),
                "Give this provider a zone with another name: names that come in from then on belong to it.",
            ))
        }
        _ => Ok(()),
    }
}

/// What stands before a label in the names of this provider's records.
fn prefix(settings: &ProviderSettings, zone: &Hostname) -> String {
    let name = settings.record_name("", zone.as_str());
    name.strip_suffix(&format!(".{zone}")).unwrap_or_default().to_owned()
}

fn parse(name: &str) -> Result<Hostname, Trouble> {
    let fix = "Give the zone's name, as in acme.platform.example.";
    let name = Hostname::parse(name)
        .map_err(|error| Trouble::new(format!("{name:?} cannot be a zone"), &error, fix))?;
    if name.is_wildcard() {
        return Err(Trouble::plain(format!("{name} cannot be a zone: it is a wildcard"), fix));
    }
    Ok(name)
}

/// The options that were given, as the settings of the provider: whatever does not belong to it is named.
fn settings(arguments: &ZoneArguments) -> Result<ProviderSettings, Trouble> {
    let mut given = Map::new();
    given.insert("provider".to_owned(), arguments.provider.clone().into());
    for (setting, value) in arguments.settings() {
        given.insert(setting.to_owned(), value);
    }
    serde_json::from_value(Value::Object(given)).map_err(|error| {
        Trouble::plain(
            format!("the settings of the provider make no sense: {error}"),
            "`certmill zone add --help` lists the options of each provider; an option has its setting's name.",
        )
    })
}

/// The provider's secret, from a file or from standard input.
fn read_secret(path: &std::path::Path) -> Result<Secret, Trouble> {
    let mut text = Zeroizing::new(String::new());
    let read = if path.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|error| {
        Trouble::new(
            format!("the secret cannot be read from {}", path.display()),
            &error,
            "Check --secret-file.",
        )
    })?;
    Ok(Secret::new(text.trim().as_bytes().to_vec()))
}

fn open(
    settings: &ProviderSettings,
    zone: &Hostname,
    secret: Option<&Secret>,
) -> Result<Arc<dyn DnsProvider>, InvalidProvider> {
    let text = |secret: &Secret| Zeroizing::new(String::from_utf8_lossy(secret.expose()).into_owned());
    let credentials = secret.map(|secret| Credentials::new(&text(secret)));
    settings.open(zone.as_str(), credentials.as_ref(), Arc::new(SystemClock))
}

fn invalid(error: &InvalidProvider) -> Trouble {
    Trouble::plain(
        error.to_string(),
        "Mend that setting; the secret is read from the file that --secret-file names.",
    )
}

async fn list(store: &Api) -> Result<(), Trouble> {
    for zone in store.platform().await?.list_zones().await? {
        let servers: Vec<_> = zone.name_servers.iter().map(ToString::to_string).collect();
        say(format!(
            "{:<32} {:<12} {} names delegated, name servers: {}",
            zone.name,
            zone.settings["provider"].as_str().unwrap_or_default(),
            zone.delegations,
            if servers.is_empty() { "by its NS records".to_owned() } else { servers.join(", ") },
        ));
    }
    Ok(())
}

async fn remove(store: &Api, name: &str) -> Result<(), Trouble> {
    let mut tx = store.platform().await?;
    let zone: ZoneRow = tx
        .list_zones()
        .await?
        .into_iter()
        .find(|zone| zone.name.as_str() == name)
        .ok_or_else(|| unknown(name))?;
    if !tx.remove_zone(zone.zone_id).await? {
        return Err(Trouble::needs_action(
            format!("{name} is in use: the owners of {} names were told to point into it", zone.delegations),
            "Keep it, and write to it by another provider with `certmill zone add`.",
        ));
    }
    let entry = did("zone.removed", "zone", zone.zone_id, name);
    tx.commit_audited(&entry, &Chance::from_system(), SystemClock.now()).await?;
    say(format!("{name} is forgotten"));
    Ok(())
}

fn unknown(name: &str) -> Trouble {
    Trouble::not_found(format!("there is no zone {name:?}"), "`certmill zone list` names them.")
}

/// Does with a record of its own what a challenge does, and says how each step went.
async fn test(database: &Database, config: &Config, name: &str) -> Result<(), Trouble> {
    let store = certmill_store::connect_engine(&database.url, 2).await?;
    let zones = store.zones().await?;
    let zone = zones.into_iter().find(|zone| zone.name.as_str() == name).ok_or_else(|| unknown(name))?;
    let settings: ProviderSettings = serde_json::from_value(zone.settings.clone())
        .map_err(|error| Trouble::new("its settings cannot be read", &error, "Add it again."))?;
    let secret = zone.credentials(&start::vault(config)?)?;
    let provider = open(&settings, &zone.name, secret.as_ref()).map_err(|error| invalid(&error))?;
    let servers = name_servers(config, &zone).await?;
    say(format!("name servers: {}", servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")));
    let label = format!("certmill-test-{}", Chance::from_system().label());
    let record = format!("{}{label}.{}", zone.record_prefix, zone.name);
    let tested = probe(&*provider, &servers, &record).await;
    // Whatever came of it, nothing stays; what went wrong first is told.
    let removed = async {
        for value in ["one", "two"] {
            provider.remove(TxtRecord { name: &record, value }).await.map_err(|error| refused(&error))?;
        }
        Ok(())
    };
    let removed = removed.await;
    tested.and(removed)?;
    gone(&servers, &record).await?;
    say("removed, and gone from every name server");
    say(format!("{name} is ready"));
    Ok(())
}

async fn name_servers(config: &Config, zone: &Zone) -> Result<Vec<NameServer>, Trouble> {
    if !zone.name_servers.is_empty() {
        let named = zone.name_servers.iter();
        return Ok(named
            .map(|address| NameServer { name: address.ip().to_string(), address: Some(*address) })
            .collect());
    }
    start::resolver(config)?.authoritative_servers(&zone.name).await.map_err(|error| {
        Trouble::new(
            format!("the name servers of {} are not known", zone.name),
            &error,
            "Delegate the zone with NS records, or name its servers with --name-server.",
        )
    })
}

async fn probe(provider: &dyn DnsProvider, servers: &[NameServer], record: &str) -> Result<(), Trouble> {
    for value in ["one", "two"] {
        provider.present(TxtRecord { name: record, value }).await.map_err(|error| refused(&error))?;
    }
    say(format!("two values written at {record}"));
    let begun = Instant::now();
    wait_until_visible(servers, record, &["one", "two"], begun + PROPAGATION).await.map_err(|error| {
        Trouble::needs_action(error.to_string(), "Look at the name server that is named.")
    })?;
    say(format!("seen at every name server after {:.1} s", begun.elapsed().as_secs_f64()));
    Ok(())
}

async fn gone(servers: &[NameServer], record: &str) -> Result<(), Trouble> {
    let deadline = Instant::now() + PROPAGATION;
    for server in servers {
        while !values_at(server, record).await.is_ok_and(|values| values.is_empty()) {
            if Instant::now() > deadline {
                let what = format!("{server} still shows {record}, which was removed");
                return Err(Trouble::needs_action(what, "Look at the name server that is named."));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    Ok(())
}

fn refused(error: &ProviderError) -> Trouble {
    Trouble::needs_action(error.to_string(), "Mend what is named with `certmill zone add`, and test again.")
}
