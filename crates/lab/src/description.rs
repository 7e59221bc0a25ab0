//! What is where in a lab.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::network::Network;
use crate::part::Part;
use crate::parts::mail;

/// What is where in a lab; also in its directory as `lab.json`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Description {
    /// The lab's directory. What a test puts there goes with the lab.
    pub directory: PathBuf,
    /// The database, as its superuser.
    pub postgres_url: String,
    /// The ACME server's directory.
    pub acme_directory_url: String,
    /// PEM file with the root of the ACME server's own certificate (not of those that it issues).
    pub acme_ca_file: PathBuf,
    /// The ACME server's management interface, `https://…`.
    pub acme_management_url: String,
    /// The DNS server that owns the zone `test`, over UDP and TCP.
    pub dns_server: SocketAddr,
    /// The key that may change everything in the zone `test`.
    pub dns_key: TsigKey,
    /// The zone in which certmill may write.
    pub acme_zone: AcmeZone,
    /// The load balancers, all with the same ports.
    pub load_balancers: Vec<LoadBalancer>,
    /// The private key that every load balancer lets in, in OpenSSH's format.
    pub ssh_private_key: PathBuf,
    /// Where certmill's own HTTP listener belongs; nothing else listens there.
    pub responder: SocketAddr,
    /// The web server behind the load balancers: it answers 200 and a line with the host asked for.
    pub shop: SocketAddr,
    /// The mail server for anybody: no TLS, no login. It refuses `nobody@…`, asks to come again with mail to `later@…`,
    /// and says that it is too busy for anybody to mail to `busy@…`.
    pub smtp: SocketAddr,
    /// The same with STARTTLS and a login, both required; its certificate leads to [`Self::acme_ca_file`].
    pub smtp_starttls: SocketAddr,
    /// The same with TLS from the first byte on.
    pub smtp_tls: SocketAddr,
    /// Who may log in there.
    pub smtp_user: String,
    /// The file with the password.
    pub smtp_password_file: PathBuf,
    /// The maildir where mail arrives, with the envelope in `X-MailFrom` and `X-RcptTo`.
    pub mail_directory: PathBuf,
}

/// A dynamic zone, as a platform sets one up for TXT records of challenges.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct AcmeZone {
    /// Its name, `acme.test`.
    pub name: String,
    /// The server that takes updates, over UDP and TCP, and lets everybody transfer the zone.
    pub primary: SocketAddr,
    /// The server that follows the primary.
    pub secondary: SocketAddr,
    /// The keys that may change TXT records and nothing else: `certmill` (hmac-sha512), `certmill-sha256`,
    /// `certmill-sha384`.
    pub keys: Vec<TsigKey>,
    /// A key that the primary knows and that may do nothing.
    pub stranger: TsigKey,
}

/// A key for signed dynamic updates (RFC 8945). Made for one lab and gone with it, hence no secret type.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct TsigKey {
    /// The key's name.
    pub name: String,
    /// The algorithm's name, `hmac-sha512`.
    pub algorithm: String,
    /// The secret in base64.
    pub secret: String,
    /// Key, algorithm and secret in a file, as nsupdate reads it.
    pub file: PathBuf,
    /// The secret alone in a file.
    pub secret_file: PathBuf,
}

/// A machine as one rents it: ssh, rsync and nginx.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct LoadBalancer {
    /// `lb1`, `lb2` …
    pub name: String,
    /// Its address, for everything.
    pub address: IpAddr,
    /// Where its nginx is asked for over HTTP, as soon as a configuration says so.
    pub http_port: u16,
    /// The same over HTTPS.
    pub https_port: u16,
    /// Where its sshd listens.
    pub ssh_port: u16,
    /// The user to log in as: the one who runs the lab.
    pub ssh_user: String,
    /// The public host key, `ssh-ed25519 AAAA…`.
    pub ssh_host_key: String,
    /// Everything of the load balancer.
    pub directory: PathBuf,
    /// certmill's directory: nginx includes `current/*.conf` in it.
    pub root: PathBuf,
    /// nginx's own configuration, with no server block.
    pub nginx_conf: PathBuf,
    /// The nginx of this load balancer, taking `-t` and `-s reload`; as plain `nginx` on the PATH of a login.
    pub nginx_program: PathBuf,
}

impl Description {
    /// The places of a lab whose keys are not made yet.
    pub(crate) fn plan(directory: &Path, network: &Network, load_balancers: u8, user: &str) -> Self {
        Self {
            directory: directory.to_owned(),
            postgres_url: String::new(),
            acme_directory_url: format!("https://{}/dir", network.pebble()),
            acme_ca_file: directory.join("acme/ca.pem"),
            acme_management_url: format!("https://{}", network.pebble_management()),
            dns_server: network.dns(),
            dns_key: TsigKey::plan(directory, "lab", "hmac-sha512"),
            acme_zone: AcmeZone::plan(directory, network),
            load_balancers: (1..=load_balancers)
                .map(|number| LoadBalancer::plan(directory, network, number, user))
                .collect(),
            ssh_private_key: directory.join("ssh/id_ed25519"),
            responder: network.responder(),
            shop: network.shop(),
            smtp: network.smtp(),
            smtp_starttls: network.smtp_starttls(),
            smtp_tls: network.smtp_tls(),
            smtp_user: mail::USER.to_owned(),
            smtp_password_file: directory.join("smtp/password"),
            mail_directory: directory.join("mail"),
        }
    }

    /// Load balancer `number`, the first being 1.
    pub fn load_balancer(&self, number: u8) -> Option<&LoadBalancer> {
        self.load_balancers.get(usize::from(number).checked_sub(1)?)
    }

    /// The addresses of all load balancers.
    pub fn load_balancer_addresses(&self) -> Vec<IpAddr> {
        self.load_balancers.iter().map(|load_balancer| load_balancer.address).collect()
    }

    /// Where `part` writes what it has to say.
    pub fn log(&self, part: Part) -> PathBuf {
        self.directory.join("logs").join(format!("{part}.log"))
    }

    /// Pretty-printed.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("paths of a lab are UTF-8")
    }
}

impl AcmeZone {
    fn plan(directory: &Path, network: &Network) -> Self {
        let keys = [
            ("certmill", "hmac-sha512"),
            ("certmill-sha256", "hmac-sha256"),
            ("certmill-sha384", "hmac-sha384"),
        ];
        Self {
            name: "acme.test".to_owned(),
            primary: network.dns(),
            secondary: network.dns_secondary(),
            keys: keys.map(|(name, algorithm)| TsigKey::plan(directory, name, algorithm)).into(),
            stranger: TsigKey::plan(directory, "stranger", "hmac-sha512"),
        }
    }

    /// The key that certmill has.
    pub fn key(&self) -> &TsigKey {
        &self.keys[0]
    }
}

impl TsigKey {
    fn plan(directory: &Path, name: &str, algorithm: &str) -> Self {
        Self {
            name: name.to_owned(),
            algorithm: algorithm.to_owned(),
            secret: String::new(),
            file: directory.join(format!("dns/{name}.key")),
            secret_file: directory.join(format!("dns/{name}.secret")),
        }
    }
}

impl LoadBalancer {
    fn plan(directory: &Path, network: &Network, number: u8, user: &str) -> Self {
        let name = format!("lb{number}");
        let directory = directory.join(&name);
        Self {
            name,
            address: network.load_balancer(number),
            http_port: Network::HTTP,
            https_port: Network::HTTPS,
            ssh_port: Network::SSH,
            ssh_user: user.to_owned(),
            ssh_host_key: String::new(),
            root: directory.join("certmill"),
            nginx_conf: directory.join("nginx.conf"),
            nginx_program: directory.join("bin/nginx"),
            directory,
        }
    }

    /// Where its nginx listens for HTTP.
    pub fn http(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.http_port)
    }

    /// Where its nginx listens for HTTPS.
    pub fn https(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.https_port)
    }

    /// Where its sshd listens.
    pub fn ssh(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.ssh_port)
    }
}
