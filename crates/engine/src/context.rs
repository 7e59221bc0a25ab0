//! Everything that a step needs.

use std::{
    collections::{BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use certmill_delivery::Connector;
use certmill_dns::Resolver;
use certmill_model::{Chance, Clock, GroupId, TenantId, UpstreamAddress};
use certmill_nginx::Templates;
use certmill_notify::webhook;
use certmill_store as store;
use certmill_vault::Vault;
use time::OffsetDateTime;
use tokio::{
    sync::{Mutex, Notify},
    time::Instant,
};

use crate::{
    authorities::{Authority, AuthoritySettings},
    outbox::MailSettings,
    published::Published,
    reach::Answered,
    renewals::Planned,
    zones::Zones,
};

/// How long what the targets' addresses are is believed.
const ADDRESSES_LAST: Duration = Duration::from_secs(1);

/// What an engine is made of.
pub struct Parts {
    /// The database.
    pub store: store::Engine,
    /// Seals and opens secrets.
    pub vault: Arc<Vault>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub chance: Arc<Chance>,
    /// Looks names up.
    pub resolver: Resolver,
    /// The CAs, the preferred one first; at least one.
    pub authorities: Vec<AuthoritySettings>,
    /// The port at which the CA asks for http-01 challenges.
    pub http_01_port: u16,
    /// How long the name servers of a zone of ours may take to show what was written there.
    pub propagation: Duration,
    /// The nginx templates.
    pub templates: Templates,
    /// Where load balancers reach the responder for challenges.
    pub responders: Vec<UpstreamAddress>,
    /// The way to load balancers.
    pub connector: Connector,
    /// Orders in flight at the CA at a time.
    pub orders_in_flight: usize,
    /// How mail goes out; `None`: it waits.
    pub mail: Option<MailSettings>,
    /// The way to webhook endpoints.
    pub webhooks: webhook::Sender,
}

/// The engine of one process.
pub struct Engine {
    pub(crate) parts: Parts,
    pub(crate) authorities: Vec<Arc<Authority>>,
    pub(crate) planned: Planned,
    /// Woken when a worker has finished something, so that the planner tops the lanes up.
    pub(crate) finished: Notify,
    /// Woken when there is something new to deliver.
    pub(crate) to_deliver: Notify,
    /// Woken when an order is over that may have left TXT records.
    pub(crate) records_left: Notify,
    /// Woken when there is something new to send to webhook endpoints.
    pub(crate) to_send: Notify,
    pub(crate) zones: Zones,
    pub(crate) answered: Answered,
    pub(crate) published: Published,
    addresses: Mutex<Option<(Instant, Fleet)>>,
}

/// Every load balancer, and which tenants are served by a group of them alone.
#[derive(Clone)]
struct Fleet {
    places: Arc<Vec<store::PublicPlace>>,
    groups: Arc<HashMap<TenantId, GroupId>>,
}

/// The load balancers, as far as DNS and challenges of one tenant's names go.
pub(crate) struct LoadBalancers {
    places: Arc<Vec<store::PublicPlace>>,
    /// The group that the tenant is served by; `None`: by all.
    group: Option<GroupId>,
}

impl LoadBalancers {
    /// What a shop's A and AAAA records must hold.
    pub(crate) fn addresses(&self) -> BTreeSet<IpAddr> {
        let own = self.enabled().filter(|place| self.group.is_none() || place.group_id == self.group);
        own.flat_map(|place| &place.addresses).copied().collect()
    }

    /// Whether any of `seen` is one of ours, be it one that is left out for now.
    pub(crate) fn know_any(&self, seen: &BTreeSet<IpAddr>) -> bool {
        self.places.iter().any(|place| !place.addresses.is_disjoint(seen))
    }

    /// Whether everyone whom the CA may meet at `seen` answers challenges. One that a name does not lead to, and that
    /// cannot be reached perhaps, holds nobody up.
    pub(crate) fn answer_at(&self, seen: &BTreeSet<IpAddr>) -> bool {
        let mut met = self.met(seen).peekable();
        met.peek().is_some() && met.all(|place| place.is_ready)
    }

    /// Where we reach those whom the CA may meet at `seen`. Their public addresses may be out of our reach, behind the
    /// same translation of addresses as we are.
    pub(crate) fn reached_at(&self, seen: &BTreeSet<IpAddr>) -> BTreeSet<IpAddr> {
        self.met(seen).map(|place| place.reached_at).collect()
    }

    /// Where handshakes show what those of us serve whom a browser meets at `seen`.
    pub(crate) fn serve_at(&self, seen: &BTreeSet<IpAddr>) -> BTreeSet<SocketAddr> {
        self.met(seen).map(|place| place.serves_at).collect()
    }

    fn met(&self, seen: &BTreeSet<IpAddr>) -> impl Iterator<Item = &store::PublicPlace> {
        self.enabled().filter(|place| !place.addresses.is_disjoint(seen))
    }

    fn enabled(&self) -> impl Iterator<Item = &store::PublicPlace> {
        self.places.iter().filter(|place| !place.is_disabled)
    }
}

impl Engine {
    /// An engine of `parts`.
    pub fn new(mut parts: Parts) -> Self {
        let authorities = std::mem::take(&mut parts.authorities);
        assert!(!authorities.is_empty(), "an engine without a CA has nothing to do");
        let authority = |settings| Arc::new(Authority::new(settings, &parts));
        Self {
            authorities: authorities.into_iter().map(authority).collect(),
            planned: Planned::default(),
            finished: Notify::new(),
            to_deliver: Notify::new(),
            records_left: Notify::new(),
            to_send: Notify::new(),
            zones: Zones::default(),
            answered: Answered::default(),
            published: Published::default(),
            addresses: Mutex::new(None),
            parts,
        }
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        self.parts.clock.now()
    }

    pub(crate) fn fraction(&self) -> f64 {
        self.parts.chance.fraction()
    }

    /// The load balancers of a tenant.
    pub(crate) async fn load_balancers(&self, tenant: TenantId) -> Result<LoadBalancers, store::StoreError> {
        let fleet = self.fleet().await?;
        Ok(LoadBalancers { places: fleet.places, group: fleet.groups.get(&tenant).copied() })
    }

    /// The load balancers of whichever tenant.
    pub(crate) async fn every_load_balancer(&self) -> Result<LoadBalancers, store::StoreError> {
        Ok(LoadBalancers { places: self.fleet().await?.places, group: None })
    }

    /// The fleet; hundreds of orders a second ask, so the answer is kept for a second.
    async fn fleet(&self) -> Result<Fleet, store::StoreError> {
        let mut kept = self.addresses.lock().await;
        if let Some((at, known)) = &*kept
            && at.elapsed() < ADDRESSES_LAST
        {
            return Ok(known.clone());
        }
        let places = Arc::new(self.parts.store.public_places().await?);
        let known = Fleet { places, groups: Arc::new(self.parts.store.grouped_tenants().await?) };
        *kept = Some((Instant::now(), known.clone()));
        Ok(known)
    }
}
