//! Load balancers.

use certmill_delivery::{Connection, SshSettings, TargetConfig};
use certmill_engine::TargetSettings;
use certmill_model::{Chance, Clock, Label, SystemClock, TargetId};
use certmill_store::{Api, NewTarget, Reach};

use super::{did, say};
use crate::{
    cli::{TargetArguments, TargetCommand},
    config::Config,
    start,
    trouble::Trouble,
};

pub(super) async fn run(store: &Api, config: &Config, command: TargetCommand) -> Result<(), Trouble> {
    match command {
        TargetCommand::Add(arguments) => add(store, config, *arguments).await,
        TargetCommand::List => list(store).await,
        TargetCommand::Test { name } => test(store, config, &name).await,
    }
}

async fn add(store: &Api, config: &Config, arguments: TargetArguments) -> Result<(), Trouble> {
    let now = SystemClock.now();
    let name = Label::parse(&arguments.name)
        .map_err(|error| Trouble::new("the name cannot be used", &error, "Give it another name."))?;
    let address = arguments.address;
    let public_addresses = match arguments.public_addresses.as_slice() {
        [] => vec![address.ip()],
        given => given.to_vec(),
    };
    let settings = settings(arguments)?;
    // Whatever a delivery would refuse is better refused now.
    start::connector(config)?.open(&settings.connection, settings.config.clone()).map_err(|error| {
        Trouble::new("the load balancer cannot be set up so", &error, "Mend what is named.")
    })?;
    settings.layout(&start::responders(config)?).map_err(|error| {
        Trouble::new("the load balancer cannot be set up so", &error, "Mend what is named.")
    })?;
    let settings = serde_json::to_value(&settings).expect("settings are plain data");
    let target_id = TargetId::new(&Chance::from_system(), now);
    let mut tx = store.platform().await?;
    let mut entry = did("target.set", "target", target_id, &name);
    entry.detail = serde_json::json!({ "address": address.to_string() });
    let id = tx.put_target(&NewTarget { target_id, name, address, public_addresses, settings }, now).await?;
    entry.object_id = Some(id.to_string());
    tx.commit_audited(&entry, &Chance::from_system(), now).await?;
    say(format!("{id} {address}"));
    Ok(())
}

fn settings(arguments: TargetArguments) -> Result<TargetSettings, Trouble> {
    let connection = match (arguments.local, arguments.ssh_key, arguments.host_key) {
        (false, Some(key), Some(host_key)) => Connection::Ssh(SshSettings {
            host: arguments.ssh_host.unwrap_or_else(|| arguments.address.ip().to_string()),
            port: arguments.ssh_port,
            user: arguments.ssh_user,
            identity_file: key.canonicalize().map_err(|error| {
                Trouble::new(format!("the key {} cannot be used", key.display()), &error, "Check --ssh-key.")
            })?,
            host_key,
        }),
        _ => Connection::Local,
    };
    Ok(TargetSettings {
        connection,
        config: TargetConfig {
            root: arguments.root,
            nginx: arguments.nginx.split_whitespace().map(str::to_owned).collect(),
            nginx_conf: arguments.nginx_conf,
            certificate_group: arguments.certificate_group,
        },
        http_listen: arguments.http_listen,
        https_listen: arguments.https_listen,
        https_port: arguments.https_port,
    })
}

async fn list(store: &Api) -> Result<(), Trouble> {
    for target in store.read(Reach::Platform).await?.list_targets().await? {
        let release = target.release_number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        say(format!(
            "{:<16} {:<22} {:<12} release {release}, {} domains, {} to be delivered {}",
            target.name,
            target.address,
            target.state,
            target.domains,
            target.pending,
            target.state_detail.unwrap_or_default(),
        ));
    }
    Ok(())
}

async fn test(store: &Api, config: &Config, name: &str) -> Result<(), Trouble> {
    let targets = store.read(Reach::Platform).await?.list_targets().await?;
    let target = targets.into_iter().find(|target| target.name == name).ok_or_else(|| {
        Trouble::not_found(
            format!("there is no load balancer {name:?}"),
            "`certmill target list` names them.",
        )
    })?;
    let settings: TargetSettings = serde_json::from_value(target.settings)
        .map_err(|error| Trouble::new("its settings cannot be read", &error, "Add it again."))?;
    let session = start::connector(config)?
        .open(&settings.connection, settings.config)
        .map_err(|error| Trouble::new("its settings make no sense", &error, "Add it again."))?;
    let facts = session.prepare().await.map_err(|error| {
        Trouble::needs_action(format!("{name} is not ready: {error}"), "Mend it there, and test again.")
    })?;
    say(format!(
        "{name} is ready: {}, {}, {} MB free, release {}",
        facts.nginx_version,
        facts.rsync_version,
        facts.free_bytes / 1_000_000,
        facts.current.map_or_else(|| "none yet".to_owned(), |number| number.to_string()),
    ));
    Ok(())
}
