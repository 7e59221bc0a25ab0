//! How a target is reached and laid out, as stored with it.

use certmill_delivery::{Connection, TargetConfig};
use certmill_model::UpstreamAddress;
use certmill_nginx::{InvalidLayout, Layout};
use serde::{Deserialize, Serialize};

/// The settings of a target.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TargetSettings {
    /// How it is reached.
    pub connection: Connection,
    /// Where things are on it.
    pub config: TargetConfig,
    /// What its plain-HTTP server listens on, as nginx's `listen` takes it.
    pub http_listen: Vec<String>,
    /// What its TLS servers listen on.
    pub https_listen: Vec<String>,
    /// The port in addresses that shoppers are redirected to.
    pub https_port: u16,
}

impl TargetSettings {
    /// The layout of its releases. Every address of `responders` answers challenges.
    pub fn layout(&self, responders: &[UpstreamAddress]) -> Result<Layout, InvalidLayout> {
        Layout::new(
            &self.config.root,
            &self.http_listen,
            &self.https_listen,
            self.https_port,
            responders.to_vec(),
        )
    }

    /// A text that differs whenever a release would be rendered otherwise for the same domains.
    pub(super) fn rendered_from(&self, templates: &str, responders: &[UpstreamAddress]) -> String {
        let responders: Vec<_> = responders.iter().map(ToString::to_string).collect();
        format!(
            "{templates} {} {} {} {} {}",
            self.config.root,
            self.http_listen.join(","),
            self.https_listen.join(","),
            self.https_port,
            responders.join(",")
        )
    }
}
