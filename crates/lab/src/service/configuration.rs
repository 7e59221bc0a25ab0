//! The configuration file of a certmill on a lab.

use std::path::Path;

use super::{Service, ServiceError};
use crate::{network::Network, parts};

/// Writes the file over the one that `certmill init` made.
pub(super) fn write(service: &Service) -> Result<(), ServiceError> {
    let lab = &service.description;
    let content = format!(
        r#"data_directory = {data_directory}
database_url = {database_url}

[web]
listen = "{responder}"
public_url = "http://{responder}"

[acme]
directory_url = {directory_url}
trust_file = {trust_file}
issuing_roots_file = {issuing_roots_file}
poll_initial_delay_ms = {POLL_INITIAL_DELAY_MS}
caa_identities = ["{CAA_IDENTITY}"]
http_01_port = {http_port}

[dns]
servers = ["{dns_server}"]

[names]
allow_special_use = ["test"]

[mail]
host = "{smtp_host}"
port = {smtp_port}
security = "none"
from = "certmill@platform.test"
"#,
        data_directory = path(&service.data_directory()),
        database_url = text(&lab.postgres_url),
        responder = lab.responder,
        directory_url = text(&lab.acme_directory_url),
        trust_file = path(&lab.acme_ca_file),
        issuing_roots_file = path(&service.issuing_roots_file()),
        dns_server = lab.dns_server,
        smtp_host = lab.smtp.ip(),
        smtp_port = lab.smtp.port(),
        http_port = Network::HTTP,
    );
    Ok(parts::write(&service.configuration_file(), &content)?)
}

/// What the lab's CA is called in CAA records; its server neither says so nor looks.
pub const CAA_IDENTITY: &str = "ca.certmill.test";

/// The lab's CA is beside us and validates at once.
const POLL_INITIAL_DELAY_MS: u32 = 10;

fn path(path: &Path) -> String {
    text(&path.display().to_string())
}

/// A string of JSON is one of TOML too, as long as it holds no DEL, which no path of a lab does.
fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
