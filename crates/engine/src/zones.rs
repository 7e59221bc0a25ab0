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

/// How long the name servers that NS records name are believed.
const SERVERS_LAST: Duration = Duration::from_secs(60);

/// The zones, as they were when they were last looked at.
#[derive(Default)]
pub(crate) struct Zones(Mutex<Option<(Instant, HashMap<ZoneId, Opened>)>>);

type Opened = Result<Arc<OpenZone>, ZoneTrouble>;

/// A zone that can be written to.
pub(crate) struct OpenZone {
    name: Hostname,
    provider: Arc<dyn DnsProvider>,
    named_servers: Vec<NameServer>,
    keep_empty: bool,
    updated_at: OffsetDateTime,
    found_servers: Mutex<Option<(Instant, Vec<NameServer>)>>,
}

/// Why a record of ours is not where it belongs, in words for operators.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct ZoneTrouble {
    pub(crate) code: ProblemCode,
    pub(crate) detail: String,
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
        let gone = || Err(ZoneTrouble::unavailable("the DNS zone is not set up any more"));
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
        let unavailable =
            |detail: String| ZoneTrouble::unavailable(&format!("the DNS zone {}: {detail}", zone.name));
        let credentials =
            zone.credentials(&self.parts.vault).map_err(|error| unavailable(error.to_string()))?;
        let credentials = credentials.map(|secret| {
            Credentials::new(&Zeroizing::new(String::from_utf8_lossy(secret.expose()).into_owned()))
        });
        let settings: ProviderSettings = serde_json::from_value(zone.settings.clone())
            .map_err(|_| unavailable("its settings cannot be read: add it again".into()))?;
        let provider = settings
            .open(zone.name.as_str(), credentials.as_ref(), self.parts.clock.clone())
            .map_err(|error| unavailable(error.to_string()))?;
        let named_servers = zone.name_servers.iter().map(|address| named(*address)).collect();
        Ok(Arc::new(OpenZone {
            name: zone.name.clone(),
            provider,
            named_servers,
            keep_empty: zone.keep_empty,
            updated_at: zone.updated_at,
            found_servers: Mutex::new(None),
        }))
    }
}

impl OpenZone {
    /// Writes a value beside whatever is there.
    pub(crate) async fn write(&self, name: &str, value: &str) -> Result<(), ZoneTrouble> {
        self.provider.present(TxtRecord { name, value }).await.map_err(|error| self.trouble(&error))
    }

    /// Removes a value, and leaves what keeps the name from vanishing where that is wanted.
    pub(crate) async fn remove(&self, name: &str, value: &str) -> Result<(), ZoneTrouble> {
        if self.keep_empty && value != EMPTY {
            self.write(name, EMPTY).await?;
        }
        self.provider.remove(TxtRecord { name, value }).await.map_err(|error| self.trouble(&error))
    }

    /// Every authoritative server: those that the operator named, else those of the NS records.
    pub(crate) async fn name_servers(&self, engine: &Engine) -> Result<Vec<NameServer>, ZoneTrouble> {
        if !self.named_servers.is_empty() {
            return Ok(self.named_servers.clone());
        }
        let mut kept = self.found_servers.lock().await;
        if let Some((at, servers)) = &*kept
            && at.elapsed() < SERVERS_LAST
        {
            return Ok(servers.clone());
        }
        let servers = engine.parts.resolver.authoritative_servers(&self.name).await.map_err(|error| {
            ZoneTrouble::unavailable(&format!("the name servers of the DNS zone {}: {error}", self.name))
        })?;
        *kept = Some((Instant::now(), servers.clone()));
        Ok(servers)
    }

    fn trouble(&self, error: &ProviderError) -> ZoneTrouble {
        let after = match error {
            ProviderError::Retry { after, .. } => *after,
            ProviderError::Settings { .. } => None,
        };
        let detail = format!("the DNS zone {}: {error}", self.name);
        ZoneTrouble { code: error.problem_code(), detail, after }
    }
}

fn named(address: SocketAddr) -> NameServer {
    NameServer { name: address.ip().to_string(), address: Some(address) }
}

impl ZoneTrouble {
    pub(crate) fn unavailable(detail: &str) -> Self {
        Self { code: ProblemCode::DnsZoneUnavailable, detail: detail.to_owned(), after: None }
    }
}
