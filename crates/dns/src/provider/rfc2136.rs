//! Signed dynamic updates (RFC 2136, RFC 8945).

mod answer;
mod exchange;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use certmill_model::Clock;
use futures_util::future::BoxFuture;
use hickory_proto::{
    op::{Message, update_message},
    rr::{
        Name, RData, Record, RecordSet, TSigVerifier, TSigner,
        rdata::{TXT, tsig::TsigAlgorithm},
    },
};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use self::exchange::Protocol;
use super::{
    Credentials, DnsProvider, InvalidProvider, ProviderError, TTL, TxtRecord,
    error::within,
    settings::{ten_seconds, timeout},
    zone::Zone,
};

/// More would be for nothing: a server makes one change of a zone after the other, and BIND drops those that come while
/// 100 wait (`update-quota`).
const AT_ONCE: usize = 32;

/// How far the clocks may be apart, in seconds (recommended in RFC 8945 section 10).
const FUDGE: u16 = 300;

/// The settings of a name server that takes signed updates.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rfc2136Settings {
    /// The address of the zone's primary server, `192.0.2.53:53`; port 53 unless given.
    pub server: String,
    /// `tcp` or `udp`.
    #[serde(default = "tcp")]
    pub protocol: String,
    /// The name of the TSIG key, as the server knows it.
    pub key_name: String,
    /// `hmac-sha256`, `hmac-sha384` or `hmac-sha512`.
    #[serde(default = "hmac_sha256")]
    pub algorithm: String,
    /// How long a call may take, in seconds.
    #[serde(default = "ten_seconds")]
    pub timeout_seconds: u16,
}

pub(super) struct Rfc2136 {
    zone: Zone,
    server: SocketAddr,
    protocol: Protocol,
    signer: TSigner,
    /// For people.
    key: String,
    timeout: Duration,
    turns: Semaphore,
    clock: Arc<dyn Clock>,
}

impl Rfc2136Settings {
    pub(super) const SECRET: &'static str = "secret";
}

impl Rfc2136 {
    pub(super) fn new(
        settings: &Rfc2136Settings,
        zone: Zone,
        credentials: &Credentials,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, InvalidProvider> {
        Ok(Self {
            zone,
            server: server(&settings.server)?,
            protocol: Protocol::parse(&settings.protocol)?,
            signer: signer(settings, credentials)?,
            key: format!("{} ({})", settings.key_name, settings.algorithm),
            timeout: timeout(settings.timeout_seconds)?,
            turns: Semaphore::new(AT_ONCE),
            clock,
        })
    }

    /// Sends the update that `make` makes of the record and the zone.
    async fn update(
        &self,
        record: TxtRecord<'_>,
        make: fn(RecordSet, Name) -> Message,
    ) -> Result<(), ProviderError> {
        let name = self.zone.relative(record.name).and_then(|_| absolute(record.name))?;
        let zone = absolute(self.zone.name())?;
        let message = make(record_set(name, record.value), zone);
        let whom = self.server.to_string();
        within(self.timeout, &whom, async {
            let _turn = self.turns.acquire().await.expect("nobody closes the semaphore");
            let time = self.clock.now().unix_timestamp();
            let (question, verifier) = self.sign(message, time)?;
            let answer = exchange::exchange(self.server, self.protocol, &question).await;
            let unreachable = |error| ProviderError::retry(format!("{whom} cannot be reached: {error}"));
            let asked = answer::Asked { server: self.server, key: &self.key, name: record.name, time };
            answer::read(&answer.map_err(unreachable)?, verifier, &asked)
        })
        .await
    }

    fn sign(&self, mut message: Message, at: i64) -> Result<(Vec<u8>, TSigVerifier), ProviderError> {
        let at = u64::try_from(at).unwrap_or_default();
        let unsigned = |error| ProviderError::retry(format!("the update cannot be signed: {error}"));
        let verifier = message.finalize(&self.signer, at).map_err(unsigned)?;
        let verifier = verifier.expect("what signs a message gives what verifies the answer");
        Ok((message.to_vec().map_err(unsigned)?, verifier))
    }
}

impl DnsProvider for Rfc2136 {
    fn present<'a>(&'a self, record: TxtRecord<'a>) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(self.update(record, |records, zone| update_message::append(records, zone, false, false)))
    }

    fn remove<'a>(&'a self, record: TxtRecord<'a>) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(self.update(record, |records, zone| update_message::delete_by_rdata(records, zone, false)))
    }
}

fn tcp() -> String {
    "tcp".to_owned()
}

fn hmac_sha256() -> String {
    "hmac-sha256".to_owned()
}

fn server(text: &str) -> Result<SocketAddr, InvalidProvider> {
    let address = text.parse::<SocketAddr>().or_else(|_| text.parse::<IpAddr>().map(|ip| (ip, 53).into()));
    address.map_err(|_| InvalidProvider::new("server", "it is not an address like 192.0.2.53:53"))
}

fn signer(settings: &Rfc2136Settings, credentials: &Credentials) -> Result<TSigner, InvalidProvider> {
    let algorithm = match settings.algorithm.as_str() {
        "hmac-sha256" => TsigAlgorithm::HmacSha256,
        "hmac-sha384" => TsigAlgorithm::HmacSha384,
        "hmac-sha512" => TsigAlgorithm::HmacSha512,
        _ => {
            let detail = "it is none of hmac-sha256, hmac-sha384 and hmac-sha512";
            return Err(InvalidProvider::new("algorithm", detail));
        }
    };
    let no_name = |_| InvalidProvider::new("key_name", "it is not a DNS name");
    Zone::parse(&settings.key_name).map_err(no_name)?;
    let name = Name::from_ascii(settings.key_name.to_ascii_lowercase());
    let name = name.map_err(|_| InvalidProvider::new("key_name", "it is not a DNS name"))?;
    let secret = BASE64_STANDARD.decode(credentials.secret()).map(Zeroizing::new);
    let secret = secret.map_err(|_| InvalidProvider::new(Rfc2136Settings::SECRET, "it is not base64"))?;
    let signer = TSigner::new(secret.to_vec(), algorithm, name, FUDGE);
    signer.map_err(|error| InvalidProvider::new("algorithm", error.to_string()))
}

fn absolute(name: &str) -> Result<Name, ProviderError> {
    let absolute = Name::from_ascii(format!("{}.", name.to_ascii_lowercase()));
    absolute.map_err(|error| ProviderError::settings("zone", format!("{name:?} is not a DNS name: {error}")))
}

/// A value longer than a character-string of 255 bytes becomes several (RFC 1035 section 3.3.14).
fn record_set(name: Name, value: &str) -> RecordSet {
    let strings = value.as_bytes().chunks(usize::from(u8::MAX)).collect();
    Record::from_rdata(name, TTL, RData::TXT(TXT::from_bytes(strings))).into()
}
