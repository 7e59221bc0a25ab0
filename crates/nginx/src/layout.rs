//! Where things are on a load balancer, and where it listens.

use std::net::SocketAddr;

use certmill_model::{Hostname, UpstreamAddress};

/// What a rendering needs to know of the load balancer besides its domains.
#[derive(Clone, Debug)]
pub struct Layout {
    root: String,
    plain_listen: Vec<String>,
    tls_listen: Vec<String>,
    https_port: u16,
    responders: Vec<UpstreamAddress>,
}

/// Why something is no layout.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidLayout {
    /// The root would mean something else in nginx or in a shell, or is no place of its own.
    #[error("the directory {0:?} must be an absolute path of letters, digits and ._- between its slashes")]
    Root(String),
    /// Not what a `listen` directive takes.
    #[error("{0:?} is no listening address: write a port, or an address and a port, as in 80 or [::]:443")]
    Listen(String),
    /// nginx would listen nowhere.
    #[error("at least one listening address for {0} is needed")]
    NoListen(&'static str),
    /// Nobody would answer the challenges.
    #[error("at least one address of a challenge responder is needed")]
    NoResponder,
}

impl Layout {
    /// Checks and takes: the directory of certmill on the target, the listening addresses (`80`, `127.0.0.1:8080`,
    /// `[::]:443`), the port that clients reach HTTPS at, and who answers http-01 challenges.
    pub fn new(
        root: &str,
        plain_listen: &[String],
        tls_listen: &[String],
        https_port: u16,
        responders: Vec<UpstreamAddress>,
    ) -> Result<Self, InvalidLayout> {
        if !is_root(root) {
            return Err(InvalidLayout::Root(root.to_owned()));
        }
        if responders.is_empty() {
            return Err(InvalidLayout::NoResponder);
        }
        Ok(Self {
            root: root.to_owned(),
            plain_listen: listens(plain_listen, "HTTP")?,
            tls_listen: listens(tls_listen, "HTTPS")?,
            https_port,
            responders,
        })
    }

    /// That of a load balancer with the usual ports, to show what a template makes where no load balancer is asked.
    pub fn usual() -> Self {
        let responder = UpstreamAddress::parse("127.0.0.1:8080").expect("it is an address");
        Self {
            root: "/srv/certmill".to_owned(),
            plain_listen: vec!["80".to_owned()],
            tls_listen: vec!["443".to_owned()],
            https_port: 443,
            responders: vec![responder],
        }
    }

    /// The directory of certmill on the target.
    pub fn root(&self) -> &str {
        &self.root
    }

    pub(crate) fn plain_listen(&self) -> &[String] {
        &self.plain_listen
    }

    pub(crate) fn tls_listen(&self) -> &[String] {
        &self.tls_listen
    }

    pub(crate) fn https_port(&self) -> u16 {
        self.https_port
    }

    pub(crate) fn responders(&self) -> &[UpstreamAddress] {
        &self.responders
    }

    /// `:8443`, or nothing for the port that HTTPS has anyway.
    pub(crate) fn port_suffix(&self) -> String {
        match self.https_port {
            443 => String::new(),
            port => format!(":{port}"),
        }
    }

    /// The authority (RFC 3986 section 3.2) of `name` over HTTPS.
    pub(crate) fn authority(&self, name: &Hostname) -> String {
        format!("{name}{}", self.port_suffix())
    }
}

fn is_root(root: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with(['.', '-'])
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    root.len() <= 200 && root.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_name))
}

fn listens(given: &[String], kind: &'static str) -> Result<Vec<String>, InvalidLayout> {
    if given.is_empty() {
        return Err(InvalidLayout::NoListen(kind));
    }
    given.iter().map(|listen| parse_listen(listen)).collect()
}

/// The canonical text, so that what reaches nginx was written by us.
fn parse_listen(listen: &str) -> Result<String, InvalidLayout> {
    let port = listen.parse::<u16>().map(|port| (port, port.to_string()));
    let address = || listen.parse::<SocketAddr>().map(|address| (address.port(), address.to_string()));
    match port.or_else(|_| address()) {
        Ok((port, text)) if port != 0 => Ok(text),
        _ => Err(InvalidLayout::Listen(listen.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(root: &str, listen: &str) -> Result<Layout, InvalidLayout> {
        let responder = UpstreamAddress::parse("127.0.0.1:1").unwrap();
        Layout::new(root, &[listen.into()], &["443".into()], 443, vec![responder])
    }

    #[test]
    fn a_root_that_a_shell_or_nginx_would_read_otherwise_is_refused() {
        assert!(layout("/srv/certmill-1.0", "80").is_ok());
        for bad in ["", "/", "srv", "/a b", "/a;b", "/a/../b", "/a//b", "/a/", "/$a", "/-a", "/a\n"] {
            assert!(layout(bad, "80").is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_listen_is_a_port_or_an_address_with_one() {
        for good in ["80", "127.9.1.1:8080", "[::]:443"] {
            assert_eq!(layout("/srv", good).unwrap().plain_listen(), [good]);
        }
        for bad in ["", "0", "65536", "unix:/x", "80 default_server", "localhost:80", "80;"] {
            assert!(layout("/srv", bad).is_err(), "{bad:?}");
        }
    }
}
