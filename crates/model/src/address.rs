//! Where a shop's requests go behind the load balancer.

use std::{fmt, net::IpAddr};

/// `host:port` of a backend as an nginx `server` in an `upstream` takes it; given by operators only.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UpstreamAddress {
    host: String,
    port: u16,
}

/// A text that is no upstream address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an upstream is an IP address or a host name, a colon and a port, as in 10.0.0.5:8080")]
pub struct InvalidUpstream;

impl UpstreamAddress {
    /// Parses `host:port`, where `host` is an IPv4 address, an IPv6 address in brackets, or a host name.
    pub fn parse(input: &str) -> Result<Self, InvalidUpstream> {
        let (host, port) = input.rsplit_once(':').ok_or(InvalidUpstream)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or(InvalidUpstream)?;
        is_host(host).then(|| Self { host: host.to_ascii_lowercase(), port }).ok_or(InvalidUpstream)
    }
}

impl fmt::Display for UpstreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

fn is_host(host: &str) -> bool {
    if let Some(v6) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return v6.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6());
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    host.len() <= 253 && host.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_with_a_port_are_upstreams() {
        for good in ["10.0.0.5:8080", "[::1]:80", "shops.internal:3000", "localhost:1"] {
            assert_eq!(UpstreamAddress::parse(good).unwrap().to_string(), good);
        }
    }

    #[test]
    fn nothing_that_nginx_would_read_otherwise_is_an_upstream() {
        for bad in [
            "",
            "a",
            "a:0",
            "a:65536",
            ":80",
            "a b:80",
            "a;}:80",
            "unix:/x:80",
            "$host:80",
            "a/..:80",
            "::1:80x",
        ] {
            assert!(UpstreamAddress::parse(bad).is_err(), "{bad}");
        }
    }
}
