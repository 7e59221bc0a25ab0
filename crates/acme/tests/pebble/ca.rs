//! A CA, and what a certmill beside it has.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use certmill_acme::{
    AccountCredentials, AccountKey, AcmeError, CaSettings, Challenge, Client, IssuedCertificate, Order,
    PrivateKey, TrustedRoots, register, verify_issued,
};
use certmill_lab::{Lab, Options, PebbleOptions, Record};
use certmill_model::{ChallengeKind, Clock, Hostname, SystemClock};
use tokio::time::Instant;

use crate::responder::Responder;

/// A CA in a lab, and what answers its challenges.
pub(crate) struct Ca {
    pub(crate) lab: Lab,
    pub(crate) responder: Responder,
    pub(crate) settings: CaSettings,
    pub(crate) key: AccountKey,
}

impl Ca {
    pub(crate) async fn up(nonce_reject: u8) -> Self {
        Self::up_with(PebbleOptions { nonce_reject, ..PebbleOptions::default() }).await
    }

    pub(crate) async fn up_with(pebble: PebbleOptions) -> Self {
        let lab = Lab::up(Options { load_balancers: 1, pebble }).await.unwrap();
        let description = lab.description();
        let load_balancer = &description.load_balancers[0];
        // nginx listens there only when a configuration says so.
        let address = SocketAddr::new(load_balancer.address, load_balancer.http_port);
        let responder = Responder::listen(address).await;
        let mut settings = CaSettings::new(&description.acme_directory_url).unwrap();
        let trust = std::fs::read_to_string(&description.acme_ca_file).unwrap();
        settings.trust = Some(TrustedRoots::from_pem(&trust).unwrap());
        settings.contacts = vec!["mailto:ops@platform.example".to_owned()];
        settings.poll_initial_delay = Duration::from_millis(10);
        Self { lab, responder, settings, key: AccountKey::generate() }
    }

    pub(crate) async fn register(&self) -> (String, AccountCredentials) {
        let registration = register(&self.settings, &self.key, clock()).await.unwrap();
        (registration.account_url, registration.credentials)
    }

    pub(crate) async fn client(&self) -> Client {
        let (_, credentials) = self.register().await;
        Client::open(&self.settings, &credentials, clock()).await.unwrap()
    }

    /// Names that lead to the responder.
    pub(crate) async fn names(&self, names: &[&str]) -> Vec<Hostname> {
        let address = self.lab.description().load_balancers[0].address;
        let records: Vec<_> = names.iter().map(|name| (*name, vec![address])).collect();
        self.lab.set_addresses_of(&records).await.unwrap();
        names.iter().map(|name| Hostname::parse(name).unwrap()).collect()
    }

    pub(crate) async fn verify(
        &self,
        chain: &str,
        key: &PrivateKey,
        names: &[Hostname],
    ) -> IssuedCertificate {
        let roots = TrustedRoots::from_pem(&self.lab.issuing_roots_pem().await.unwrap()).unwrap();
        verify_issued(chain, key, names, SystemClock.now(), Some(&roots)).unwrap()
    }

    /// Shows the CA what it wants to see.
    pub(crate) async fn publish(&self, challenges: &[Challenge]) {
        self.responder.publish(challenges);
        let records: Vec<_> = challenges.iter().filter_map(txt_record).collect();
        self.lab.set_records(&records).await.unwrap();
    }

    /// The rest of the way, from whatever state the order is in.
    pub(crate) async fn finish(&self, order: &mut Order, key: &PrivateKey) -> Result<String, AcmeError> {
        self.publish(&order.challenges(http_01).await?).await;
        self.finish_published(order, key).await
    }

    /// The way on from where the challenges are published.
    pub(crate) async fn finish_published(
        &self,
        order: &mut Order,
        key: &PrivateKey,
    ) -> Result<String, AcmeError> {
        order.answer().await?;
        order.await_ready(soon()).await?;
        order.finalize(key).await?;
        order.await_certificate(soon()).await
    }
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// Chooses http-01 for every name.
pub(crate) fn http_01(_: &str, _: bool) -> ChallengeKind {
    ChallengeKind::Http01
}

fn txt_record(challenge: &Challenge) -> Option<Record> {
    let Challenge::Dns01(challenge) = challenge else { return None };
    Some(Record::txt(&format!("_acme-challenge.{}", challenge.identifier), &challenge.value))
}
