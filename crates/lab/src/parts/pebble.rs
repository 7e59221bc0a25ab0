//! Pebble, the ACME server.

use std::process::Command;

use super::{make_directory, write};
use crate::certificates;
use crate::description::Description;
use crate::error::LabError;
use crate::network::Network;
use crate::part::Part;
use crate::process::{Launch, Ready};
use crate::programs::Programs;

/// What pebble does to its clients on purpose.
#[derive(Clone, Copy, Debug)]
pub struct PebbleOptions {
    /// How many of 100 good nonces it refuses.
    pub nonce_reject: u8,
    /// How many of 100 orders reuse a valid authorization of their account. Pebble 2.4.0 reuses one of 100 at 0.
    pub authorization_reuse: u8,
}

impl Default for PebbleOptions {
    /// As pebble itself rejects nonces, and with a challenge for every order.
    fn default() -> Self {
        Self { nonce_reject: 5, authorization_reuse: 0 }
    }
}

/// Writes the configuration, and the certificate for the server's own listener.
pub(crate) fn prepare(description: &Description, network: &Network) -> Result<(), LabError> {
    let directory = description.directory.join("acme");
    make_directory(&directory)?;
    let own = certificates::issue_for(network.pebble().ip())?;
    write(&description.acme_ca_file, &own.ca)?;
    write(&directory.join("server.pem"), &own.certificate)?;
    write(&directory.join("server.key"), &own.key)?;
    let configuration = serde_json::json!({ "pebble": {
        "listenAddress": network.pebble(),
        "managementListenAddress": network.pebble_management(),
        "certificate": directory.join("server.pem"),
        "privateKey": directory.join("server.key"),
        "httpPort": Network::HTTP,
        "tlsPort": Network::HTTPS,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": false,
    }});
    write(&directory.join("pebble.json"), &configuration.to_string())
}

pub(crate) fn launch(
    description: &Description,
    programs: &Programs,
    network: &Network,
    options: PebbleOptions,
) -> Launch {
    let directory = description.directory.join("acme");
    let mut command = Command::new(&programs.pebble);
    command.arg("-strict").arg("-config").arg(directory.join("pebble.json"));
    command.arg("-dnsserver").arg(description.dns_server.to_string()).current_dir(&directory);
    // With two threads pebble 2.4.0 deadlocks at 32 orders in flight.
    command.env("GOMAXPROCS", "1").env("PEBBLE_VA_NOSLEEP", "1");
    command.env("PEBBLE_WFE_NONCEREJECT", options.nonce_reject.to_string());
    command.env("PEBBLE_AUTHZREUSE", options.authorization_reuse.to_string());
    let ready = Ready::Listens(vec![network.pebble(), network.pebble_management()]);
    Launch { part: Part::Pebble, command, ready, log: description.log(Part::Pebble) }
}
