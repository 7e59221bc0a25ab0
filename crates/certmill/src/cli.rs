//! The command line.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use certmill_model::{KeyType, Role, Scope};
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::Value;

use crate::commands::SimulateArguments;

/// TLS certificates for white-label platforms.
#[derive(Parser)]
#[command(version, about)]
pub(crate) struct Arguments {
    /// The configuration file; without one, certmill.toml here or in /etc/certmill, else the defaults.
    #[arg(long, short, global = true, env = "CERTMILL_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run everything: API, dashboard, responder and workers; the schema is brought up to date first.
    All,
    /// Run the API, the dashboard and the responder.
    Serve,
    /// Run the workers.
    Work,
    /// Bring the schema of the database up to date.
    Migrate,
    /// Make a data directory with a master key and a configuration to start from, and the platform's first administrator.
    Init {
        /// Where; it must not hold a configuration or a key yet. Without it and without --admin: here.
        directory: Option<PathBuf>,
        /// The e-mail address of the first administrator: prints a link that lets its holder choose the password, once. The
        /// configuration is the one that was just made, or without a directory the one in force.
        #[arg(long)]
        admin: Option<String>,
    },
    /// Print a link that logs one person in to the dashboard, once.
    LoginLink,
    /// Users.
    #[command(subcommand)]
    User(UserCommand),
    /// API tokens.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Tenants.
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Load balancers.
    #[command(subcommand)]
    Target(TargetCommand),
    /// DNS zones that challenges are written to.
    #[command(subcommand)]
    Zone(ZoneCommand),
    /// Certificate authorities.
    #[command(subcommand)]
    Authority(AuthorityCommand),
    /// Domains.
    #[command(subcommand)]
    Domain(DomainCommand),
    /// Mail.
    #[command(subcommand)]
    Mail(MailCommand),
    /// Print how many renewals are planned for each day.
    Forecast,
    /// The configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Run the decisions on renewals against a model of a CA and a virtual clock: a year in seconds.
    Simulate(Box<SimulateArguments>),
}

#[derive(Subcommand)]
pub(crate) enum UserCommand {
    /// Add a user, and print a link that lets its holder choose the password, once.
    Add(UserArguments),
}

#[derive(Args)]
pub(crate) struct UserArguments {
    /// Where mail goes, and what the user logs in by.
    #[arg(long)]
    pub(crate) email: String,
    /// `viewer`, `operator` or `tenant_admin`; of the platform's own people `viewer`, `operator` or `platform_admin`.
    #[arg(long)]
    pub(crate) role: Role,
    /// The tenant whose user it is; without one, one of the platform's own people.
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// The name; without one, the address.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The language of mail.
    #[arg(long, default_value = "en", value_parser = ["en", "de"])]
    pub(crate) language: String,
}

#[derive(Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token; it is printed once and kept only as a hash.
    Create {
        /// What it is for.
        #[arg(long)]
        name: String,
        /// The tenant it speaks for.
        #[arg(long, required_unless_present = "platform", conflicts_with = "platform")]
        tenant: Option<String>,
        /// A token of the platform's own people.
        #[arg(long)]
        platform: bool,
        /// Days until it expires.
        #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=365))]
        days: u16,
        /// What it may be used for: `domains:read`, `domains:write`, `targets:read`, `targets:write`, `webhooks:write` or
        /// `admin`; several times, or with commas.
        #[arg(long = "scope", value_delimiter = ',', default_value = "admin")]
        scopes: Vec<Scope>,
    },
}

#[derive(Subcommand)]
pub(crate) enum TenantCommand {
    /// Add a tenant, or change the one with that name.
    Add {
        /// Its name.
        name: String,
        /// Where its shops' requests go behind the load balancers, as in 10.0.0.5:8080.
        #[arg(long)]
        upstream: String,
        /// The nginx template of its domains that name none.
        #[arg(long, default_value = "storefront")]
        template: String,
        /// The kind of key of its domains that name none: `ecdsa_p256`, `ecdsa_p384`, `rsa_2048`,
        /// `rsa_3072` or `rsa_4096`.
        #[arg(long, default_value = "ecdsa_p256")]
        key_type: KeyType,
        /// A CA that is asked for its domains, by its name in the configuration; several times: the preferred one first.
        /// Without one, the platform's list.
        #[arg(long = "authority")]
        authorities: Vec<String>,
    },
    /// List the tenants.
    List,
}

#[derive(Subcommand)]
pub(crate) enum AuthorityCommand {
    /// List the certificate authorities of the configuration, in order of preference, with our accounts and their limits.
    List,
    /// Ask an authority for its directory and for our account.
    Test {
        /// Its name.
        name: String,
    },
    /// Register a new account at an authority that does not know the old one any more. Limits that were granted to the old
    /// one, and CAA records that name it, do not hold for the new one.
    ReplaceAccount {
        /// Its name.
        name: String,
        /// The URL of the account that is given up, as `certmill authority list` shows it.
        #[arg(long)]
        account: String,
    },
    /// Give our account at an authority a new key. May be repeated after any failure.
    RollOver {
        /// Its name.
        name: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum TargetCommand {
    /// Add a load balancer, or change the one with that name.
    Add(Box<TargetArguments>),
    /// List the load balancers and how they stand.
    List,
    /// Look whether a load balancer can be reached and is set up.
    Test {
        /// Its name.
        name: String,
    },
}

#[derive(Args)]
pub(crate) struct TargetArguments {
    /// Its name.
    pub(crate) name: String,
    /// Where its nginx answers over TLS, as in 203.0.113.7:443: a handshake there proves what is served.
    #[arg(long)]
    pub(crate) address: SocketAddr,
    /// What shops' A and AAAA records must hold; without one, the address above.
    #[arg(long = "public-address")]
    pub(crate) public_addresses: Vec<IpAddr>,
    /// It is this machine: no ssh.
    #[arg(long, conflicts_with_all = ["ssh_key", "host_key"])]
    pub(crate) local: bool,
    /// The host to log in to; without one, the address above.
    #[arg(long)]
    pub(crate) ssh_host: Option<String>,
    /// Its port.
    #[arg(long, default_value_t = 22)]
    pub(crate) ssh_port: u16,
    /// Who to log in as.
    #[arg(long, default_value = "root")]
    pub(crate) ssh_user: String,
    /// The file of our private key.
    #[arg(long, required_unless_present = "local")]
    pub(crate) ssh_key: Option<PathBuf>,
    /// The host's public key, as in "ssh-ed25519 AAAA…"; `ssh-keyscan` shows it, you compare it.
    #[arg(long, required_unless_present = "local")]
    pub(crate) host_key: Option<String>,
    /// certmill's directory there.
    #[arg(long, default_value = "/etc/certmill-lb")]
    pub(crate) root: String,
    /// The command that is nginx there, as in "sudo -n nginx".
    #[arg(long, default_value = "nginx")]
    pub(crate) nginx: String,
    /// nginx's main configuration there; its http block holds `include <root>/current/*.conf;`.
    #[arg(long, default_value = "/etc/nginx/nginx.conf")]
    pub(crate) nginx_conf: String,
    /// The group of nginx's workers, who must read the certificates.
    #[arg(long)]
    pub(crate) certificate_group: Option<String>,
    /// What nginx listens on over HTTP.
    #[arg(long, default_values_t = ["80".to_owned(), "[::]:80".to_owned()])]
    pub(crate) http_listen: Vec<String>,
    /// What nginx listens on over TLS.
    #[arg(long, default_values_t = ["443".to_owned(), "[::]:443".to_owned()])]
    pub(crate) https_listen: Vec<String>,
    /// The port that shoppers are redirected to.
    #[arg(long, default_value_t = 443)]
    pub(crate) https_port: u16,
}

#[derive(Subcommand)]
pub(crate) enum ZoneCommand {
    /// Add a zone, or change the one with that name.
    Add(Box<ZoneArguments>),
    /// List the zones.
    List,
    /// Write two values, look for them at every name server, and remove them again.
    Test {
        /// Its name.
        name: String,
    },
    /// Forget a zone that no name is delegated to.
    Remove {
        /// Its name.
        name: String,
    },
}

#[derive(Args)]
pub(crate) struct ZoneArguments {
    /// Its name, as in acme.platform.example.
    pub(crate) name: String,
    /// Who runs it.
    #[arg(long, value_parser = ["rfc2136", "exec", "cloudflare", "route53", "azure"])]
    pub(crate) provider: String,
    /// The file with the provider's secret, - for standard input: a TSIG secret in base64, a Cloudflare API token, an AWS
    /// secret access key or an Azure client secret. Without it, a zone that is there keeps its secret.
    #[arg(long)]
    pub(crate) secret_file: Option<PathBuf>,
    /// An authoritative server of the zone, ip:port; may be given several times. Without one, those of its NS records.
    #[arg(long = "name-server")]
    pub(crate) name_servers: Vec<SocketAddr>,
    /// Leave a TXT record ".empty" behind, so that no resolver remembers that there is nothing.
    #[arg(long)]
    pub(crate) keep_empty: bool,
    /// The longest wait for the provider.
    #[arg(long)]
    pub(crate) timeout_seconds: Option<u16>,
    /// The primary server, ip:port.
    #[arg(long, help_heading = "rfc2136")]
    pub(crate) server: Option<String>,
    /// tcp or udp.
    #[arg(long, help_heading = "rfc2136")]
    pub(crate) protocol: Option<String>,
    /// The name of the TSIG key.
    #[arg(long, help_heading = "rfc2136")]
    pub(crate) key_name: Option<String>,
    /// hmac-sha256, hmac-sha384 or hmac-sha512.
    #[arg(long, help_heading = "rfc2136")]
    pub(crate) algorithm: Option<String>,
    /// The program that adds a value, as certbot's --manual-auth-hook.
    #[arg(long, help_heading = "exec")]
    pub(crate) auth_program: Option<String>,
    /// The program that removes one, as certbot's --manual-cleanup-hook.
    #[arg(long, help_heading = "exec")]
    pub(crate) cleanup_program: Option<String>,
    /// The zone's id.
    #[arg(long, help_heading = "cloudflare")]
    pub(crate) zone_id: Option<String>,
    /// The hosted zone's id.
    #[arg(long, help_heading = "route53")]
    pub(crate) hosted_zone_id: Option<String>,
    /// The id of the access key.
    #[arg(long, help_heading = "route53")]
    pub(crate) access_key_id: Option<String>,
    /// The directory of the app registration.
    #[arg(long, help_heading = "azure")]
    pub(crate) tenant_id: Option<String>,
    /// The app registration.
    #[arg(long, help_heading = "azure")]
    pub(crate) client_id: Option<String>,
    /// The subscription of the zone.
    #[arg(long, help_heading = "azure")]
    pub(crate) subscription_id: Option<String>,
    /// The resource group of the zone.
    #[arg(long, help_heading = "azure")]
    pub(crate) resource_group: Option<String>,
    /// Where sovereign clouds log in.
    #[arg(long, help_heading = "azure")]
    pub(crate) authority: Option<String>,
    /// Where the provider's API is, if not at its own address.
    #[arg(long, help_heading = "cloudflare, route53, azure")]
    pub(crate) endpoint: Option<String>,
}

impl ZoneArguments {
    /// The provider's settings that were given, by their names.
    pub(crate) fn settings(&self) -> impl Iterator<Item = (&'static str, Value)> {
        let texts = [
            ("server", &self.server),
            ("protocol", &self.protocol),
            ("key_name", &self.key_name),
            ("algorithm", &self.algorithm),
            ("auth_program", &self.auth_program),
            ("cleanup_program", &self.cleanup_program),
            ("zone_id", &self.zone_id),
            ("hosted_zone_id", &self.hosted_zone_id),
            ("access_key_id", &self.access_key_id),
            ("tenant_id", &self.tenant_id),
            ("client_id", &self.client_id),
            ("subscription_id", &self.subscription_id),
            ("resource_group", &self.resource_group),
            ("authority", &self.authority),
            ("endpoint", &self.endpoint),
        ];
        let texts: Vec<_> =
            texts.into_iter().filter_map(|(name, text)| Some((name, Value::from(text.clone()?)))).collect();
        texts.into_iter().chain(self.timeout_seconds.map(|seconds| ("timeout_seconds", seconds.into())))
    }
}

#[derive(Subcommand)]
pub(crate) enum DomainCommand {
    /// Register a domain, or change it.
    Add {
        /// The name.
        name: String,
        /// Whose it is.
        #[arg(long)]
        tenant: String,
        /// The nginx template; without one, the tenant's.
        #[arg(long)]
        template: Option<String>,
        /// The shop's id in the commerce system.
        #[arg(long)]
        external_id: Option<String>,
        /// The kind of key; without one, the tenant's.
        #[arg(long)]
        key_type: Option<KeyType>,
        /// Follow it until it is active.
        #[arg(long)]
        wait: bool,
    },
    /// List the domains.
    List,
    /// Show a domain, its problems and its timeline.
    Show {
        /// The name.
        name: String,
        /// Follow it until it is active.
        #[arg(long)]
        wait: bool,
    },
    /// Let the next attempt at the certificate authority begin now, whatever it waits for, and whatever the authority said of
    /// its limits.
    Retry {
        /// The name.
        name: String,
    },
    /// Renew a domain's certificate now, whatever is planned.
    Renew {
        /// The name.
        name: String,
    },
    /// Order for a domain whatever its checks find, or heed them again.
    Override {
        /// The name.
        name: String,
        /// What becomes of the checks.
        #[arg(long, value_enum)]
        checks: ChecksMode,
    },
}

/// What becomes of the checks before an order.
#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
pub(crate) enum ChecksMode {
    /// They are made and shown, but stop nothing.
    Ignore,
    /// They stop an order that would fail.
    Heed,
}

#[derive(Subcommand)]
pub(crate) enum MailCommand {
    /// Send a mail through the configured server, and say what the server said.
    Test {
        /// Who gets it.
        address: String,
    },
    /// Show how the mail server fares, and what waits.
    Status,
}

#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the configuration in force, and where each value comes from.
    Show,
}
