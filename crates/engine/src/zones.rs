//! The DNS zones that are written to, each opened once and kept until somebody changes it.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use certmill_dns::{Credentials, DnsProvider, NameServer, ProviderError, ProviderSettings, TxtRecord};
use certmill_model::{Hostname, ProblemCode, ZoneId};
use certmill_store::{EMPTY, StoreError};
use time::OffsetDateTime;
use tokio::{sync::Mutex, time::Instant};
use zeroize::Zeroizing;

use crate::Engine;

/// How long the list of zones is believed.
const LIST_LASTS: Duration = Duration::from_secs(2);

/// How long a provider that refused is left alone, and how long a name server that lags is not waited for.
const REST: Duration = Duration::from_secs(5);
const LAGS: Duration = Duration::from_secs(30);

/// How long a step waits for name servers to show what was written: the next one goes on.
const PATIENCE: Duration = Duration::from_secs(10);
const PATIENCE_WITH_LAGGARDS: Duration = Duration::from_secs(1);

/// How long the name servers that NS records name are believed.
const SERVERS_LAST: Duration = Duration::from_secs(60);

/// The zones, as they were when they were last looked at.
#[derive(Default)]
pub(crate) struct Zones(Mutex<Option<(Instant, HashMap<ZoneId, Opened>)>>);

type Opened = Result<Arc<OpenZone>, ZoneTrouble>;

/// What the zone's NS records lead to.
type FoundServers = Result<Vec<NameServer>, ZoneTrouble>;

/// A zone that can be written to.
pub(crate) struct OpenZone {
    name: Hostname,
    provider: Arc<dyn DnsProvider>,
    named_servers: Vec<NameServer>,
    keep_empty: bool,
    updated_at: OffsetDateTime,
    found_servers: Mutex<Option<(Instant, FoundServers)>>,
    lately: std::sync::Mutex<Lately>,
}

/// How a zone fared: what is wrong with it holds up none but its own orders, and those not for long.
#[derive(Default)]
struct Lately {
    /// Its provider refused or was silent: until then nobody tries, then one does.
    refused: Option<(Instant, ZoneTrouble)>,
    /// A name server did not show what was written: until then nobody waits for it long.
    lags_until: Option<Instant>,
}

/// Why a record of ours is not where it belongs.
#[derive(Clone, Debug)]
pub(crate) struct ZoneTrouble {
    pub(crate) code: ProblemCode,
    /// What a domain shows.
    pub(crate) detail: String,
    /// What the provider said, for operators: a hook may say anything.
    pub(crate) words: String,
    /// How long the provider asks us to wait.
    pub(crate) after: Option<time::Duration>,
}

impl Engine {
    /// The zone, ready to be written to.
    pub(crate) async fn zone(&self, id: ZoneId) -> Result<Opened, StoreError> {
        let mut kept = self.zones.0.lock().await;
        let fresh = kept.as_ref().is_some_and(|(at, _)| at.elapsed() < LIST_LASTS);
        if !fresh {
            let before = kept.take().map(|(_, zones)| zones).unwrap_or_default();
            *kept = Some((Instant::now(), self.open_zones(&before).await?));
        }
        let zones = kept.as_ref().map(|(_, zones)| zones);
        let gone = || Err(ZoneTrouble::unavailable("The DNS zone is not set up any more.", String::new()));
        Ok(zones.and_then(|zones| zones.get(&id)).cloned().unwrap_or_else(gone))
    }

    async fn open_zones(
        &self,
        before: &HashMap<ZoneId, Opened>,
    ) -> Result<HashMap<ZoneId, Opened>, StoreError> {
        let mut zones = HashMap::new();
        for zone in self.parts.store.zones().await? {
            // One that has not changed keeps its connections.
            let opened = match before.get(&zone.zone_id) {
                Some(Ok(open)) if open.updated_at == zone.updated_at => Ok(open.clone()),
                _ => self.open_zone(&zone),
            };
            zones.insert(zone.zone_id, opened);
        }
        Ok(zones)
    }

    fn open_zone(&self, zone: &certmill_store::Zone) -> Opened {
        let unavailable = |words: String| ZoneTrouble::unavailable(&cannot_be_written(&zone.name), words);
        let credentials =
            zone.credentials(&self.parts.vault).map_err(|error| unavailable(error.to_string()))?;
        let credentials = credentials.map(|secret| {
            Credentials::new(&Zeroizing::new(String::from_utf8_lossy(secret.expose()).into_owned()))
        });
        let settings: ProviderSettings = serde_json::from_value(zone.settings.clone())
            .map_err(|_| unavailable("its settings cannot be read: add it again".into()))?;
        let provider = settings
            .open(zone.name.as_str(), credentials.as_ref(), self.parts.clock.clone())
            .map_err(|error| setting_is_wrong(&zone.name, error.setting, &error))?;
        let named_servers = zone.name_servers.iter().map(|address| named(*address)).collect();
        Ok(Arc::new(OpenZone {
            name: zone.name.clone(),
            provider,
            named_servers,
            keep_empty: zone.keep_empty,
            updated_at: zone.updated_at,
            found_servers: Mutex::new(None),
            lately: std::sync::Mutex::default(),
        }))
    }
}

impl OpenZone {
    /// Writes a value beside whatever is there.
    pub(crate) async fn write(&self, name: &str, value: &str) -> Result<(), ZoneTrouble> {
        self.refused_lately()?;
        self.note(self.provider.present(TxtRecord { name, value }).await)
    }

    /// Removes a value, and leaves what keeps the name from vanishing where that is wanted.
    pub(crate) async fn remove(&self, name: &str, value: &str) -> Result<(), ZoneTrouble> {
        if self.keep_empty && value != EMPTY {
            self.write(name, EMPTY).await?;
        }
        self.refused_lately()?;
        self.note(self.provider.remove(TxtRecord { name, value }).await)
    }

    /// How long a step waits for name servers.
    pub(crate) fn patience(&self) -> Duration {
        let lags = self.lately().lags_until.is_some_and(|until| Instant::now() < until);
        if lags { PATIENCE_WITH_LAGGARDS } else { PATIENCE }
    }

    /// A name server does not show what was written.
    pub(crate) fn lags(&self) {
        self.lately().lags_until = Some(Instant::now() + LAGS);
    }

    fn refused_lately(&self) -> Result<(), ZoneTrouble> {
        match &mut self.lately().refused {
            Some((until, trouble)) if Instant::now() < *until => Err(trouble.clone()),
            // This caller tries; the others go on resting.
            Some((until, _)) => {
                *until = Instant::now() + REST;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn note(&self, outcome: Result<(), ProviderError>) -> Result<(), ZoneTrouble> {
        let outcome = outcome.map_err(|error| self.trouble(&error));
        self.lately().refused =
            outcome.as_ref().err().map(|trouble| (Instant::now() + REST, trouble.clone()));
        outcome
    }

    fn lately(&self) -> std::sync::MutexGuard<'_, Lately> {
        self.lately.lock().expect("no holder of this lock panics")
    }

    /// Every authoritative server: those that the operator named, else those of the NS records.
    pub(crate) async fn name_servers(&self, engine: &Engine) -> FoundServers {
        if !self.named_servers.is_empty() {
            return Ok(self.named_servers.clone());
        }
        let mut kept = self.found_servers.lock().await;
        if let Some((at, found)) = &*kept
            && at.elapsed() < if found.is_ok() { SERVERS_LAST } else { REST }
        {
            return found.clone();
        }
        let found = engine.parts.resolver.authoritative_servers(&self.name).await.map_err(|error| {
            let detail = format!("The name servers of the DNS zone {} are not known: {error}.", self.name);
            ZoneTrouble::unavailable(&detail, error.to_string())
        });
        *kept = Some((Instant::now(), found.clone()));
        found
    }

    fn trouble(&self, error: &ProviderError) -> ZoneTrouble {
        match error {
            ProviderError::Retry { after, .. } => ZoneTrouble {
                after: *after,
                ..ZoneTrouble::unavailable(&cannot_be_written(&self.name), error.to_string())
            },
            ProviderError::Settings { setting, .. } => setting_is_wrong(&self.name, setting, error),
        }
    }
}

fn cannot_be_written(zone: &Hostname) -> String {
    format!("The DNS zone {zone} cannot be written now; `certmill zone test {zone}` says why.")
}

fn setting_is_wrong(zone: &Hostname, setting: &str, error: &dyn std::error::Error) -> ZoneTrouble {
    let detail = format!(
        "The setting {setting} of the DNS zone {zone} is wrong; `certmill zone test {zone}` says how."
    );
    ZoneTrouble::unavailable(&detail, error.to_string())
}

fn named(address: SocketAddr) -> NameServer {
    NameServer { name: address.ip().to_string(), address: Some(address) }
}

impl ZoneTrouble {
    pub(crate) fn unavailable(detail: &str, words: String) -> Self {
        Self { code: ProblemCode::DnsZoneUnavailable, detail: detail.to_owned(), words, after: None }
    }
}
