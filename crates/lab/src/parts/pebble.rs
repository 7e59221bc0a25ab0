//! Pebble, the ACME server.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::{make_directory, write};
use crate::certificates::ServerAuthority;
use crate::description::Description;
use crate::error::LabError;
use crate::network::Network;
use crate::part::Part;
use crate::process::{Launch, Ready};
use crate::programs::{self, Programs};
use crate::service::CAA_IDENTITY;

/// Which pebble runs, what it issues, and what it does to its clients on purpose.
#[derive(Clone, Copy, Debug)]
pub struct PebbleOptions {
    /// How many of 100 good nonces it refuses.
    pub nonce_reject: u8,
    /// How many of 100 orders reuse a valid authorization of their account. Pebble 2.4.0 reuses one of 100 at 0.
    pub authorization_reuse: u8,
    /// Which of the two.
    pub release: PebbleRelease,
    /// How long certificates are valid where there are no profiles; `None`: as pebble likes.
    pub lifetime: Option<Duration>,
    /// Profiles that an order can name, and how long their certificates are valid. An order that names none gets one
    /// by chance. Pebble 2.4.0 knows no profiles.
    pub profiles: &'static [(&'static str, Duration)],
}

/// The release of pebble.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PebbleRelease {
    /// 2.4.0, as Debian 12 has it: no ARI, no profiles.
    Installed,
    /// 2.10 or newer, which `scripts/fetch-pebble` brings: with ARI, `replaces` and profiles.
    Fetched,
}

impl Default for PebbleOptions {
    /// As pebble itself rejects nonces, and with a challenge for every order.
    fn default() -> Self {
        Self {
            nonce_reject: 5,
            authorization_reuse: 0,
            release: PebbleRelease::Installed,
            lifetime: None,
            profiles: &[],
        }
    }
}

impl PebbleOptions {
    /// The release with ARI and profiles, whose certificates are valid for so many days.
    pub fn with_renewal_info(days: u64) -> Self {
        let lifetime = Some(Duration::from_secs(days * 24 * 60 * 60));
        Self { release: PebbleRelease::Fetched, lifetime, ..Self::default() }
    }
}

/// Writes the certificate for the server's own listener.
pub(crate) fn prepare(
    description: &Description,
    network: &Network,
    authority: &ServerAuthority,
) -> Result<(), LabError> {
    let directory = description.directory.join("acme");
    make_directory(&directory)?;
    let own = authority.issue_for(network.pebble().ip())?;
    write(&description.acme_ca_file, authority.pem())?;
    write(&directory.join("server.pem"), &own.certificate)?;
    write(&directory.join("server.key"), &own.key)
}

/// Writes the configuration, and says how to start it.
pub(crate) fn launch(
    description: &Description,
    programs: &Programs,
    network: &Network,
    options: PebbleOptions,
) -> Result<Launch, LabError> {
    let directory = description.directory.join("acme");
    write(&directory.join("pebble.json"), &configuration(description, network, options).to_string())?;
    let mut command = match options.release {
        PebbleRelease::Installed => Command::new(&programs.pebble),
        PebbleRelease::Fetched => Command::new(programs::fetched_pebble()?),
    };
    command.arg("-strict").arg("-config").arg(directory.join("pebble.json"));
    command.arg("-dnsserver").arg(description.dns_server.to_string()).current_dir(&directory);
    // With two threads pebble deadlocks at 32 orders in flight.
    command.env("GOMAXPROCS", "1").env("PEBBLE_VA_NOSLEEP", "1");
    command.env("PEBBLE_WFE_NONCEREJECT", options.nonce_reject.to_string());
    command.env("PEBBLE_AUTHZREUSE", options.authorization_reuse.to_string());
    let ready = Ready::Listens(vec![network.pebble(), network.pebble_management()]);
    Ok(Launch { part: Part::Pebble, command, ready, log: description.log(Part::Pebble) })
}

fn configuration(description: &Description, network: &Network, options: PebbleOptions) -> Value {
    let directory = description.directory.join("acme");
    let mut pebble = json!({
        "listenAddress": network.pebble(),
        "managementListenAddress": network.pebble_management(),
        "certificate": directory.join("server.pem"),
        "privateKey": directory.join("server.key"),
        "httpPort": Network::HTTP,
        "tlsPort": Network::HTTPS,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": false,
        "caaIdentities": [CAA_IDENTITY],
        // In seconds, and 0 means its own 3 and 5.
        "retryAfter": { "authz": 1, "order": 1 },
    });
    let mut profiles = options.profiles.to_vec();
    if let Some(lifetime) = options.lifetime {
        pebble["certificateValidityPeriod"] = lifetime.as_secs().into();
        // The newer pebble issues by a profile, always.
        if profiles.is_empty() {
            profiles.push(("default", lifetime));
        }
    }
    if !profiles.is_empty() {
        let profile = |(name, lifetime): (&'static str, Duration)| {
            (name, json!({ "description": name, "validityPeriod": lifetime.as_secs() }))
        };
        pebble["profiles"] = json!(profiles.into_iter().map(profile).collect::<BTreeMap<_, _>>());
    }
    json!({ "pebble": pebble })
}
