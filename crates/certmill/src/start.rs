//! Wiring: from the configuration to running parts.

use std::sync::Arc;

use certmill_delivery::Connector;
use certmill_dns::Resolver;
use certmill_model::{Chance, NamePolicy, SystemClock, UpstreamAddress};
use certmill_nginx::Templates;
use certmill_vault::{MasterKey, Vault};
use certmill_web::{Previewer, PublicUrl, WebSettings, WebState};
use sha2::{Digest, Sha256};
use tokio::{net::TcpListener, sync::watch};

use crate::{
    config::{
        Config, authorities, authority_limits, authority_names, mail, webhook_destinations, webhook_sender,
    },
    database::Database,
    metrics,
    trouble::Trouble,
};

/// Connections of the workers: steps hold one only while they record, and each plans every statement for itself.
const ENGINE_CONNECTIONS: u32 = 6;
/// Connections of API, dashboard and responder.
const WEB_CONNECTIONS: u32 = 8;

/// How long steps under way may take when the process is told to stop.
const DRAIN: std::time::Duration = std::time::Duration::from_secs(25);

/// Which parts a process runs.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Role {
    All,
    Serve,
    Work,
}

/// Runs the parts of `role` until the process is told to stop.
pub(crate) async fn run(config: &Config, role: Role) -> Result<(), Trouble> {
    let vault = if role == Role::Serve { None } else { Some(Arc::new(vault(config)?)) };
    let templates = templates(config)?;
    let database = Database::open(config).await?;
    if role == Role::All {
        migrate(&database.url).await?;
    }
    let (stop, stopped) = watch::channel(false);
    let mut parts = tokio::task::JoinSet::new();
    let counters = metrics::begin();
    if let Some(listener) = metrics::listen(config, counters.clone(), stopped.clone()).await? {
        parts.spawn(listener);
    }
    if role != Role::Work {
        let listener = listen(config).await?;
        let state = web_state(config, &database.url, &templates).await?.with_counters(counters);
        let (router, stopped) = (certmill_web::router(state.clone()), wait_for(stopped.clone()));
        let shutdown = async move {
            stopped.await;
            state.end_streams();
        };
        parts.spawn(async move {
            if let Err(error) = certmill_web::serve(listener, router, shutdown).await {
                tracing::error!(%error, "the listener ended");
            }
        });
        tracing::info!(listen = %config.web.listen, url = config.web.public_url, "answering");
    }
    if let Some(vault) = vault {
        let engine = engine(config, &database.url, vault, templates).await?;
        parts.spawn(certmill_engine::run(engine, stopped));
        tracing::info!(ca = config.acme.directory_url, "working");
    }
    let fault = tokio::select! {
        () = told_to_stop() => false,
        _ = parts.join_next() => true,
    };
    tracing::info!("stopping: steps under way are finished first");
    let _ = stop.send(true);
    let drained = async { while parts.join_next().await.is_some() {} };
    tokio::select! {
        () = drained => {}
        () = tokio::time::sleep(DRAIN) => tracing::warn!("stopping with steps under way; the next start goes on with them"),
        () = told_to_stop() => tracing::warn!("told to stop at once; the next start goes on where this one was"),
    }
    database.close().await;
    if fault {
        return Err(Trouble::plain(
            "a part of certmill ended by a fault",
            "Look at the log above; start certmill again.",
        ));
    }
    Ok(())
}

/// Brings our tables and the queue's up to date.
pub(crate) async fn migrate(url: &str) -> Result<(), Trouble> {
    certmill_store::migrate(url).await.map_err(|error| {
        Trouble::new(
            "the schema cannot be brought up to date",
            &error,
            "Check database_url and that its role owns the database and may make roles.",
        )
    })?;
    certmill_engine::set_up_queue(url).await.map_err(|error| {
        Trouble::new("the queue's tables cannot be made", &error, "Its extensions hstore and pgcrypto must be installable: they are in PostgreSQL's contrib package.")
    })
}

/// The master key, without which nothing secret is read or written.
pub(crate) fn vault(config: &Config) -> Result<Vault, Trouble> {
    let path = &config.master_key_file;
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Trouble::new(
            format!("there is no master key at {shown}"),
            &error,
            "Run `certmill init` once, or set master_key_file. Without its key, sealed data cannot be read.",
        )
    })?;
    let keys = MasterKey::parse_file(&text).map_err(|error| {
        Trouble::new(
            format!("{shown} is no key file"),
            &error,
            "Bring back the file that `certmill init` made.",
        )
    })?;
    Vault::new(keys).ok_or_else(|| Trouble::plain(format!("{shown} holds no key"), "Run `certmill init`."))
}

/// The nginx templates, the operator's included.
pub(crate) fn templates(config: &Config) -> Result<Templates, Trouble> {
    let directory = &config.nginx.template_directory;
    if directory.as_os_str().is_empty() {
        return Ok(Templates::built_in());
    }
    Templates::with_directory(directory).map_err(|error| {
        Trouble::new(
            "a template in nginx.template_directory cannot be used",
            &error,
            "Mend or remove the file that is named.",
        )
    })
}

/// Where certmill reaches load balancers from.
pub(crate) fn connector(config: &Config) -> Result<Connector, Trouble> {
    std::fs::create_dir_all(&config.data_directory)
        .map_err(|error| error.to_string())
        .and_then(|()| Connector::new(&config.data_directory).map_err(|error| error.to_string()))
        .map_err(|why| {
            Trouble::plain(
                format!("the data directory {} cannot be used: {why}", config.data_directory.display()),
                "Set data_directory to a place that certmill may write to.",
            )
        })
}

async fn engine(
    config: &Config,
    url: &str,
    vault: Arc<Vault>,
    templates: Templates,
) -> Result<Arc<certmill_engine::Engine>, Trouble> {
    let store = certmill_store::connect_engine(url, ENGINE_CONNECTIONS).await?;
    store.check_master_key(&vault).await.map_err(|error| {
        Trouble::new("the database or the master key cannot be used", &error, "Check database_url, that `certmill migrate` has run, and that master_key_file is the one this database was sealed with.")
    })?;
    let parts = certmill_engine::Parts {
        store,
        vault,
        clock: Arc::new(SystemClock),
        chance: Arc::new(Chance::from_system()),
        resolver: resolver(config)?,
        authorities: authorities(config)?,
        http_01_port: config.acme.http_01_port,
        propagation: std::time::Duration::from_secs(config.dns.propagation_seconds.max(1).into()),
        templates,
        responders: responders(config)?,
        connector: connector(config)?,
        orders_in_flight: usize::from(config.acme.orders_in_flight.max(1)),
        mail: mail(config)?,
        webhooks: webhook_sender(config)?,
    };
    Ok(Arc::new(certmill_engine::Engine::new(parts)))
}

async fn web_state(config: &Config, url: &str, templates: &Templates) -> Result<WebState, Trouble> {
    let store = certmill_store::connect_server(url, WEB_CONNECTIONS, certmill_web::REQUEST_TIMEOUT).await?;
    let settings = WebSettings {
        public_url: public_url(config)?,
        name_policy: name_policy(config)?,
        templates: templates.list(),
        authorities: authority_names(config),
        limits: authority_limits(config)?,
        previewer: previewer(templates),
        requests_per_minute: i32::from(config.web.requests_per_minute.max(1)),
        trusted_proxies: config.web.trusted_proxies.clone(),
        webhook_destinations: webhook_destinations(config)?,
    };
    Ok(WebState::new(store, Arc::new(SystemClock), Arc::new(Chance::from_system()), settings))
}

/// Shows what a template that is being written makes, beside these files.
fn previewer(files: &Templates) -> Previewer {
    let files = files.clone();
    Previewer::new(move |draft| files.preview(draft))
}

/// How people reach the dashboard.
pub(crate) fn public_url(config: &Config) -> Result<PublicUrl, Trouble> {
    PublicUrl::parse(&config.web.public_url).map_err(|error| {
        Trouble::new(
            "web.public_url makes no sense",
            &error,
            "Set it to how people reach the dashboard, as in https://certmill.example.com.",
        )
    })
}

/// Which names are taken in. The log says by its hash which list of blocked names it was.
pub(crate) fn name_policy(config: &Config) -> Result<NamePolicy, Trouble> {
    let policy = NamePolicy::allowing_special_use(config.names.allow_special_use.iter().cloned());
    let file = &config.names.blocked_file;
    if file.as_os_str().is_empty() {
        return Ok(policy);
    }
    let unusable = |error: &(dyn std::error::Error + 'static)| {
        Trouble::new(
            format!("names.blocked_file {} cannot be used", file.display()),
            error,
            "Name a text file with one name in a line; `.corp.example` means everything below as well.",
        )
    };
    let list = std::fs::read_to_string(file).map_err(|error| unusable(&error))?;
    let policy = policy.blocking(&list).map_err(|error| unusable(&error))?;
    let sha256 = format!("{:x}", Sha256::digest(&list));
    tracing::info!(file = %file.display(), sha256, "names are blocked by a list");
    Ok(policy)
}

async fn listen(config: &Config) -> Result<TcpListener, Trouble> {
    TcpListener::bind(config.web.listen).await.map_err(|error| {
        Trouble::new(
            format!("web.listen {} cannot be listened on", config.web.listen),
            &error,
            "Stop what else listens there, or choose another address.",
        )
    })
}

/// Who is asked about names.
pub(crate) fn resolver(config: &Config) -> Result<Resolver, Trouble> {
    let resolver = match config.dns.servers.as_slice() {
        [] => Resolver::from_system(),
        servers => Resolver::new(servers.to_vec()),
    };
    resolver.map_err(|error| Trouble::new("no DNS server is known", &error, "Set dns.servers."))
}

/// Where load balancers reach the responder.
pub(crate) fn responders(config: &Config) -> Result<Vec<UpstreamAddress>, Trouble> {
    let parse = |text: &String| {
        UpstreamAddress::parse(text).map_err(|error| {
            Trouble::new(
                format!("web.responders: {text:?} makes no sense"),
                &error,
                "Set it to host:port, where load balancers reach certmill.",
            )
        })
    };
    config.web.responders.iter().map(parse).collect()
}

async fn wait_for(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone: the process is ending.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// SIGTERM, as service managers send it, or Ctrl-C.
async fn told_to_stop() {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .expect("a handler for SIGTERM can be set");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
