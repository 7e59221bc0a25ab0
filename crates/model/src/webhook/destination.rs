//! Where webhooks may go: to the world, and to what an operator allows beside it.

use std::net::IpAddr;

use super::{Network, WebhookHost, WebhookUrl, is_public};

/// Ports that may be sent to in the world.
const PORTS: [u16; 2] = [443, 80];

/// Where webhooks may go. Anybody may set a URL: without this, a tenant could have us talk to what only we reach.
#[derive(Clone, Debug, Default)]
pub struct WebhookDestinations {
    allowed: Vec<Network>,
}

/// Why nothing is sent somewhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DestinationRefused {
    /// The address is a private, local or reserved one. It is not named: it may come from a DNS server of ours.
    #[error("the host is at an address that is not public, to which no webhooks are sent")]
    NotPublic,
    /// The URL is not https.
    #[error("webhooks are sent over https only")]
    NotHttps,
    /// An unusual port.
    #[error("webhooks are sent to port 443 only")]
    Port,
}

impl WebhookDestinations {
    /// The world, and `allowed` beside it: there any port may be used, and plain HTTP.
    pub fn allowing(allowed: Vec<Network>) -> Self {
        Self { allowed }
    }

    /// Whether something may be sent to `url`, as far as that can be told without looking its name up.
    pub fn admit_url(&self, url: &WebhookUrl) -> Result<(), DestinationRefused> {
        match url.host() {
            WebhookHost::Address(address) => self.admit(url, *address),
            // A name may lead to a network that is allowed.
            WebhookHost::Name(_) if !self.allowed.is_empty() => Ok(()),
            WebhookHost::Name(_) => in_the_world(url),
        }
    }

    /// Whether something may be sent to `url` at `address`.
    pub fn admit(&self, url: &WebhookUrl, address: IpAddr) -> Result<(), DestinationRefused> {
        if self.allowed.iter().any(|network| network.contains(address)) {
            return Ok(());
        }
        if !is_public(address) {
            return Err(DestinationRefused::NotPublic);
        }
        in_the_world(url)
    }
}

fn in_the_world(url: &WebhookUrl) -> Result<(), DestinationRefused> {
    if !url.is_https() {
        return Err(DestinationRefused::NotHttps);
    }
    if PORTS.contains(&url.port()) { Ok(()) } else { Err(DestinationRefused::Port) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> WebhookUrl {
        text.parse().unwrap()
    }

    #[test]
    fn the_world_is_sent_to_over_https_at_the_usual_port() {
        let world = WebhookDestinations::default();
        let public: IpAddr = "1.1.1.1".parse().unwrap();
        assert_eq!(world.admit_url(&url("https://a.example/")), Ok(()));
        assert_eq!(world.admit_url(&url("http://a.example/")), Err(DestinationRefused::NotHttps));
        assert_eq!(world.admit_url(&url("https://a.example:22/")), Err(DestinationRefused::Port));
        assert_eq!(world.admit(&url("https://a.example/"), public), Ok(()));
        for inner in
            ["https://127.0.0.1/", "https://[::ffff:127.0.0.1]/", "https://169.254.169.254/latest/meta-data"]
        {
            assert_eq!(world.admit_url(&url(inner)), Err(DestinationRefused::NotPublic), "{inner}");
        }
        let private = "10.0.0.1".parse().unwrap();
        assert_eq!(world.admit(&url("https://a.example/"), private), Err(DestinationRefused::NotPublic));
    }

    #[test]
    fn what_an_operator_allows_is_sent_to_in_any_way_and_nothing_else_is() {
        let lab = WebhookDestinations::allowing(vec!["127.0.0.0/8".parse().unwrap()]);
        assert_eq!(lab.admit_url(&url("http://127.0.0.1:8080/")), Ok(()));
        assert_eq!(lab.admit_url(&url("http://10.0.0.1/")), Err(DestinationRefused::NotPublic));
        assert_eq!(lab.admit_url(&url("http://1.1.1.1/")), Err(DestinationRefused::NotHttps));
        // A name is judged by where it leads.
        let named = url("http://a.example:8080/");
        assert_eq!(lab.admit_url(&named), Ok(()));
        assert_eq!(lab.admit(&named, "127.0.0.1".parse().unwrap()), Ok(()));
        assert_eq!(lab.admit(&named, "10.0.0.1".parse().unwrap()), Err(DestinationRefused::NotPublic));
        assert_eq!(lab.admit(&named, "1.1.1.1".parse().unwrap()), Err(DestinationRefused::NotHttps));
    }
}
