//! The configuration: defaults, then the file, then the environment. Unknown keys are refused.

mod authorities;
mod mail;
mod sources;
mod webhooks;

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use serde::Deserialize;

pub(crate) use authorities::{authorities, authority_limits, authority_names};
pub(crate) use mail::{Mail, mail};
pub(crate) use sources::Setting;
pub(crate) use webhooks::{webhook_destinations, webhook_sender};

use crate::trouble::Trouble;

/// Everything that can be configured.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Where certmill keeps what is not in the database: the master key, and its own database if none is named.
    pub(crate) data_directory: PathBuf,
    /// PostgreSQL; empty: a private one in the data directory.
    pub(crate) database_url: String,
    /// The file of the master key; empty: `master.key` in the data directory.
    pub(crate) master_key_file: PathBuf,
    pub(crate) web: Web,
    pub(crate) acme: Acme,
    pub(crate) dns: Dns,
    pub(crate) names: Names,
    pub(crate) nginx: Nginx,
    pub(crate) mail: Mail,
    pub(crate) webhooks: Webhooks,
    pub(crate) metrics: Metrics,
    pub(crate) log: Log,
    /// Where each value comes from.
    #[serde(skip)]
    pub(crate) settings: Vec<Setting>,
}

/// The `[web]` section.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Web {
    /// Where API, dashboard and responder listen.
    pub(crate) listen: SocketAddr,
    /// How people reach the dashboard.
    pub(crate) public_url: String,
    /// Where load balancers reach the responder, `host:port`; empty: `listen`.
    pub(crate) responders: Vec<String>,
    /// Requests a minute that a token may send, where its tenant's quota says nothing else.
    pub(crate) requests_per_minute: i16,
    /// Addresses of proxies in front of certmill, which say in `X-Forwarded-For` where a request came from.
    pub(crate) trusted_proxies: Vec<IpAddr>,
}

/// The `[acme]` section.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Acme {
    /// What the CA is called here, by tenants that choose; empty: `default`.
    pub(crate) name: String,
    /// The CA's directory; Let's Encrypt's staging environment unless set.
    pub(crate) directory_url: String,
    /// Where the CA may write to, as in `mailto:ops@platform.example`.
    pub(crate) contacts: Vec<String>,
    /// PEM file with the root of a private CA's own server; empty: the system's roots.
    pub(crate) trust_file: PathBuf,
    /// PEM file with the roots that certificates must lead to; empty: not checked beyond the chain itself.
    pub(crate) issuing_roots_file: PathBuf,
    /// What the CA calls itself in CAA records, as in `letsencrypt.org`; empty: what its directory says.
    pub(crate) caa_identities: Vec<String>,
    /// The profile that orders ask for; empty: the CA's choice.
    pub(crate) profile: String,
    /// What the CA takes of us in which time: a built-in profile, or a table; empty: the CA's own, where it is built in.
    pub(crate) limits: toml::Value,
    /// The key id of an external account, where the CA wants one.
    pub(crate) external_account_key_id: String,
    /// The file with its HMAC key.
    pub(crate) external_account_key_file: PathBuf,
    /// CAs that are asked when those before them are away, the preferred one first: blocks with the same keys.
    pub(crate) authorities: Vec<toml::Value>,
    /// The port at which the CA asks for http-01 challenges: 80, but for a CA of one's own.
    pub(crate) http_01_port: u16,
    /// Orders in flight at a time in this process.
    pub(crate) orders_in_flight: u16,
    /// Milliseconds before the first look at an order that the CA works on.
    pub(crate) poll_initial_delay_ms: u64,
}

/// The `[dns]` section.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dns {
    /// The servers to ask, `ip:port`; empty: the system's.
    pub(crate) servers: Vec<SocketAddr>,
    /// Seconds that the name servers of our own zones may take to show what was written there.
    pub(crate) propagation_seconds: u16,
}

/// The `[names]` section.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Names {
    /// Special-use names (such as `test`) below which names are taken all the same, for a CA of one's own.
    pub(crate) allow_special_use: Vec<String>,
    /// A file with names that nobody may register, one in a line; with a dot in front, everything below as well. Empty: none.
    pub(crate) blocked_file: PathBuf,
}

/// The `[nginx]` section.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nginx {
    /// A directory with templates beside the built-in ones; empty: none.
    pub(crate) template_directory: PathBuf,
}

/// The `[webhooks]` section.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Webhooks {
    /// Networks that are not public and may be sent to all the same, `10.1.0.0/16`; there also over HTTP, at any port.
    pub(crate) allow_networks: Vec<String>,
    /// PEM file with roots that servers there are trusted by, beside the system's; empty: none.
    pub(crate) trust_file: PathBuf,
}

/// The `[metrics]` section.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metrics {
    /// Where `/metrics` is answered without a token, `ip:port`; empty: nowhere.
    pub(crate) listen: String,
}

/// The `[log]` section.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    /// What is logged, as in `warn,certmill=info` or `warn,certmill=debug`.
    pub(crate) filter: String,
}

/// The defaults; also the list of all keys.
const DEFAULTS: &str = r#"
data_directory = "/var/lib/certmill"
database_url = ""
master_key_file = ""

[web]
listen = "127.0.0.1:8402"
public_url = "http://127.0.0.1:8402"
responders = []
requests_per_minute = 1200
trusted_proxies = []

[acme]
name = ""
directory_url = "https://acme-staging-v02.api.letsencrypt.org/directory"
contacts = []
trust_file = ""
issuing_roots_file = ""
caa_identities = []
profile = ""
limits = ""
external_account_key_id = ""
external_account_key_file = ""
authorities = []
http_01_port = 80
orders_in_flight = 64
poll_initial_delay_ms = 250

[dns]
servers = []
propagation_seconds = 120

[names]
allow_special_use = []
blocked_file = ""

[nginx]
template_directory = ""

[mail]
host = ""
port = 587
security = "starttls"
user = ""
password_file = ""
trust_file = ""
from = ""

[webhooks]
allow_networks = []
trust_file = ""

[metrics]
listen = ""

[log]
filter = "warn,certmill=info"
"#;

impl Config {
    /// Reads the file (the given one, else `certmill.toml` here or in `/etc/certmill`, if there) and the environment.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self, Trouble> {
        let (table, settings) = sources::merged(DEFAULTS, file)?;
        let mut config: Self = table.try_into().map_err(|error: toml::de::Error| {
            let message = error.message().to_owned();
            Trouble::plain(
                format!("the configuration makes no sense: {message}"),
                "Mend that key; `certmill config show` lists all keys with their values.",
            )
        })?;
        config.settings = settings;
        if config.master_key_file.as_os_str().is_empty() {
            config.master_key_file = config.data_directory.join("master.key");
        }
        if config.web.responders.is_empty() {
            config.web.responders = vec![config.web.listen.to_string()];
        }
        Ok(config)
    }
}
