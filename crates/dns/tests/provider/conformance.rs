//! What every provider must do. Each function is one fact; a failure names the provider by its settings.

use std::{
    future::Future,
    net::{SocketAddr, TcpListener, UdpSocket},
    sync::Arc,
    time::{Duration, Instant},
};

use certmill_dns::{Credentials, DnsProvider, ProviderError, ProviderSettings, TxtRecord};
use certmill_model::{ProblemCode, SystemClock};
use serde_json::Value;

/// The limit that a fixture sets where nobody answers.
pub(crate) const SHORT: Duration = Duration::from_secs(1);

/// One provider, and a look into the zone that does not go through it.
pub(crate) trait Fixture: Sync {
    fn zone(&self) -> &str;

    /// Settings that work, as an operator writes them.
    fn settings(&self) -> Value;

    fn secret(&self) -> String;

    /// Every TXT value at a name, without quotes, in order.
    fn visible(&self, name: &str) -> impl Future<Output = Vec<String>> + Send;

    fn bad_credentials(&self) -> BadCredentials;

    /// Settings whose server does not answer (or whose program does not end), with the limit [`SHORT`].
    fn silent(&self) -> Value;
}

/// Settings and secret of which the secret is wrong.
pub(crate) struct BadCredentials {
    pub(crate) settings: Value,
    pub(crate) secret: String,
    /// What the error is to name.
    pub(crate) setting: &'static str,
}

pub(crate) async fn check(fixture: &impl Fixture) {
    what_is_presented_is_visible_and_presenting_it_again_changes_nothing(fixture).await;
    a_second_value_stands_beside_the_first_and_removing_one_keeps_the_other(fixture).await;
    removing_what_is_gone_or_never_was_is_harmless(fixture).await;
    values_presented_at_the_same_time_all_stay(fixture).await;
    values_come_and_go_at_the_same_time_without_harm(fixture).await;
    the_value_that_keeps_a_name_from_being_empty_is_a_value(fixture).await;
    a_name_of_another_zone_is_refused(fixture).await;
    bad_credentials_name_the_setting_and_never_the_secret(fixture).await;
    silence_is_a_reason_to_try_again_within_the_limit(fixture).await;
}

pub(crate) fn open(settings: &Value, zone: &str, secret: &str) -> Arc<dyn DnsProvider> {
    let settings: ProviderSettings = serde_json::from_value(settings.clone()).unwrap();
    let credentials = Credentials::new(secret);
    let credentials = settings.secret_name().map(|_| &credentials);
    settings.open(zone, credentials, Arc::new(SystemClock)).unwrap()
}

/// The setting that the error says is to be mended.
pub(crate) fn setting(error: &ProviderError) -> &'static str {
    match error {
        ProviderError::Settings { setting, .. } => setting,
        ProviderError::Retry { detail, .. } => panic!("no setting is named: {detail}"),
    }
}

/// A port that takes connections and datagrams, and says nothing.
pub(crate) struct Silence {
    listener: TcpListener,
    _socket: UdpSocket,
}

impl Silence {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = UdpSocket::bind(listener.local_addr().unwrap()).unwrap();
        Self { listener, _socket: socket }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }
}

/// A fixture's provider, opened, at a name of its own.
struct Place<'a, F> {
    fixture: &'a F,
    provider: Arc<dyn DnsProvider>,
    name: String,
}

impl<'a, F: Fixture> Place<'a, F> {
    fn new(fixture: &'a F, label: &str) -> Self {
        let settings: ProviderSettings = serde_json::from_value(fixture.settings()).unwrap();
        let provider = open(&fixture.settings(), fixture.zone(), &fixture.secret());
        Self { fixture, provider, name: settings.record_name(label, fixture.zone()) }
    }

    async fn present(&self, value: &str) {
        let record = TxtRecord { name: &self.name, value };
        self.provider.present(record).await.unwrap_or_else(|error| panic!("{}: {error}", self.name));
    }

    async fn remove(&self, value: &str) {
        let record = TxtRecord { name: &self.name, value };
        self.provider.remove(record).await.unwrap_or_else(|error| panic!("{}: {error}", self.name));
    }

    async fn shows(&self, values: &[&str]) {
        let visible = self.fixture.visible(&self.name).await;
        assert_eq!(visible, values, "at {} with {}", self.name, self.fixture.settings());
    }
}

async fn what_is_presented_is_visible_and_presenting_it_again_changes_nothing(fixture: &impl Fixture) {
    let place = Place::new(fixture, "visible");
    place.present("LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0").await;
    place.shows(&["LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"]).await;
    place.present("LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0").await;
    place.shows(&["LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"]).await;
}

async fn a_second_value_stands_beside_the_first_and_removing_one_keeps_the_other(fixture: &impl Fixture) {
    let place = Place::new(fixture, "beside");
    place.present("apex-9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9").await;
    place.present("wildcard-IlirfxKKXAsHtmzK29Pj8A4eK2eZ3nG").await;
    place
        .shows(&["apex-9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9", "wildcard-IlirfxKKXAsHtmzK29Pj8A4eK2eZ3nG"])
        .await;
    place.remove("apex-9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9").await;
    place.shows(&["wildcard-IlirfxKKXAsHtmzK29Pj8A4eK2eZ3nG"]).await;
    place.remove("wildcard-IlirfxKKXAsHtmzK29Pj8A4eK2eZ3nG").await;
    place.shows(&[]).await;
}

async fn removing_what_is_gone_or_never_was_is_harmless(fixture: &impl Fixture) {
    let place = Place::new(fixture, "gone");
    place.remove("never-there").await;
    place.present("first").await;
    place.present("second").await;
    place.remove("first").await;
    place.remove("first").await;
    place.remove("never-there").await;
    place.shows(&["second"]).await;
    place.remove("second").await;
    place.remove("second").await;
    place.shows(&[]).await;
}

async fn values_presented_at_the_same_time_all_stay(fixture: &impl Fixture) {
    let place = Place::new(fixture, "at-once");
    for _ in 0..5 {
        tokio::join!(place.present("one"), place.present("three"), place.present("two"));
        place.shows(&["one", "three", "two"]).await;
        tokio::join!(place.remove("one"), place.remove("three"), place.remove("two"));
        place.shows(&[]).await;
    }
}

async fn values_come_and_go_at_the_same_time_without_harm(fixture: &impl Fixture) {
    let place = Place::new(fixture, "come-and-go");
    place.present("stays").await;
    for _ in 0..5 {
        place.present("goes").await;
        tokio::join!(place.remove("goes"), place.present("comes"), place.present("stays"));
        place.shows(&["comes", "stays"]).await;
        place.remove("comes").await;
    }
}

/// Some keep it there so that nobody caches that the name does not exist.
async fn the_value_that_keeps_a_name_from_being_empty_is_a_value(fixture: &impl Fixture) {
    let place = Place::new(fixture, "empty");
    place.present(".empty").await;
    place.present("value").await;
    place.remove("value").await;
    place.shows(&[".empty"]).await;
}

async fn a_name_of_another_zone_is_refused(fixture: &impl Fixture) {
    let place = Place::new(fixture, "own");
    for name in ["k7.elsewhere.example", fixture.zone(), "", "a b"] {
        let error = place.provider.present(TxtRecord { name, value: "x" }).await.unwrap_err();
        assert_eq!(setting(&error), "zone", "{error}");
    }
}

async fn bad_credentials_name_the_setting_and_never_the_secret(fixture: &impl Fixture) {
    let bad = fixture.bad_credentials();
    let provider = open(&bad.settings, fixture.zone(), &bad.secret);
    let settings: ProviderSettings = serde_json::from_value(bad.settings).unwrap();
    let name = settings.record_name("denied", fixture.zone());
    let record = TxtRecord { name: &name, value: "x" };
    for result in [provider.present(record).await, provider.remove(record).await] {
        let error = result.unwrap_err();
        if settings.secret_name().is_some() {
            assert_eq!(setting(&error), bad.setting, "{error}");
        }
        assert!(error.to_string().contains(bad.setting), "{error}");
        assert!(bad.secret.is_empty() || !format!("{error:?}").contains(&bad.secret), "{error}");
        assert_eq!(error.problem_code(), ProblemCode::DnsZoneUnavailable);
    }
    assert_eq!(fixture.visible(&name).await, Vec::<String>::new());
}

async fn silence_is_a_reason_to_try_again_within_the_limit(fixture: &impl Fixture) {
    let settings = fixture.silent();
    let provider = open(&settings, fixture.zone(), &fixture.secret());
    let settings: ProviderSettings = serde_json::from_value(settings).unwrap();
    let name = settings.record_name("silent", fixture.zone());
    let started = Instant::now();
    let error = provider.present(TxtRecord { name: &name, value: "x" }).await.unwrap_err();
    assert!(matches!(error, ProviderError::Retry { .. }), "{error}");
    assert!(error.to_string().contains("1 s"), "{error}");
    let waited = started.elapsed();
    assert!((SHORT..SHORT * 2).contains(&waited), "{waited:?}");
}
