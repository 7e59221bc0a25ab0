//! Amazon Route 53, by a fake of `ListResourceRecordSets` and `ChangeResourceRecordSets` that verifies signatures by
//! itself: <https://docs.aws.amazon.com/Route53/latest/APIReference/>.

mod server;
mod signature;

use std::sync::Arc;

use certmill_dns::{Credentials, DnsProvider, ProviderError, ProviderSettings, TxtRecord};
use certmill_model::{Clock, ManualClock, SystemClock};
use serde_json::{Value, json};
use time::Duration;

use self::server::Route53;
use crate::{
    conformance::{self, BadCredentials, Fixture, Silence, open, setting},
    fake::{Fake, Mood, bad_days_are_reasons_to_try_again},
};

const ZONE: &str = "acme.example";
const HOSTED_ZONE: &str = "Z1D633PJN98FT9";
const KEY_ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

struct Setup {
    fake: Fake<Route53>,
    silence: Silence,
}

impl Setup {
    async fn new() -> Self {
        let fake = Fake::start(|_| Route53 { has_rights: true, ..Route53::default() }).await;
        Self { fake, silence: Silence::new() }
    }

    fn settings_at(endpoint: &str) -> Value {
        json!({ "provider": "route53", "hosted_zone_id": HOSTED_ZONE, "access_key_id": KEY_ID, "endpoint": endpoint,
            "timeout_seconds": 2 })
    }

    fn open(&self, change: impl FnOnce(&mut Value)) -> Arc<dyn DnsProvider> {
        let mut settings = self.settings();
        change(&mut settings);
        open(&settings, ZONE, SECRET)
    }
}

impl Fixture for Setup {
    fn zone(&self) -> &'static str {
        ZONE
    }

    fn settings(&self) -> Value {
        Self::settings_at(&self.fake.endpoint())
    }

    fn secret(&self) -> String {
        SECRET.to_owned()
    }

    async fn visible(&self, name: &str) -> Vec<String> {
        let set = self.fake.with(|route53| route53.sets.get(&format!("{name}.")).cloned());
        let values = set.map(|set| set.values()).unwrap_or_default();
        let mut values: Vec<_> = values.iter().map(|value| value.trim_matches('"').to_owned()).collect();
        values.sort();
        values
    }

    fn bad_credentials(&self) -> BadCredentials {
        let secret = SECRET.to_lowercase();
        BadCredentials { settings: self.settings(), secret, setting: "secret_access_key" }
    }

    fn silent(&self) -> Value {
        let mut settings = Self::settings_at(&format!("http://{}", self.silence.address()));
        settings["timeout_seconds"] = 1.into();
        settings
    }
}

const RECORD: TxtRecord<'_> = TxtRecord { name: "k7.acme.example", value: "value" };

#[tokio::test]
async fn route_53_does_what_every_provider_must() {
    conformance::check(&Setup::new().await).await;
}

#[tokio::test]
async fn a_bad_day_of_route_53_and_its_throttling_are_reasons_to_try_again() {
    let setup = Setup::new().await;
    let provider = setup.open(|_| {});
    bad_days_are_reasons_to_try_again(&setup.fake, &*provider, RECORD).await;
    setup.fake.feels(Mood::RateLimited);
    let error = provider.present(RECORD).await.unwrap_err();
    assert!(matches!(error, ProviderError::Retry { .. }), "{error}");
    assert!(error.to_string().ends_with("Rate exceeded (Throttling)"), "{error}");
}

#[tokio::test]
async fn each_wrong_setting_is_named_with_amazon_s_words() {
    let setup = Setup::new().await;
    for (name, words) in
        [("access_key_id", "(InvalidClientTokenId)"), ("hosted_zone_id", "(NoSuchHostedZone)")]
    {
        let provider = setup.open(|settings| settings[name] = "NOBODY".into());
        for result in [provider.present(RECORD).await, provider.remove(RECORD).await] {
            let error = result.unwrap_err();
            assert_eq!(setting(&error), name);
            assert!(error.to_string().contains(words), "{error}");
        }
    }
    let provider = open(&setup.settings(), "other.example", SECRET);
    let error = provider.present(TxtRecord { name: "k7.other.example", value: "x" }).await.unwrap_err();
    assert_eq!(setting(&error), "hosted_zone_id");
    assert!(error.to_string().contains("not permitted in zone"), "{error}");
    setup.fake.with(|route53| route53.has_rights = false);
    let error = setup.open(|_| {}).present(RECORD).await.unwrap_err();
    assert_eq!(setting(&error), "access_key_id");
    assert!(error.to_string().contains("not authorized to perform: route53:"), "{error}");
}

#[tokio::test]
async fn a_wrong_clock_is_a_reason_to_try_again_and_is_named() {
    let setup = Setup::new().await;
    let clock = Arc::new(ManualClock::new(SystemClock.now() - Duration::HOUR));
    let settings: ProviderSettings = serde_json::from_value(setup.settings()).unwrap();
    let provider = settings.open(ZONE, Some(&Credentials::new(SECRET)), clock).unwrap();
    let error = provider.present(RECORD).await.unwrap_err();
    assert!(matches!(error, ProviderError::Retry { .. }), "{error:?}");
    assert!(error.to_string().contains("Signature expired"), "{error}");
}

#[tokio::test]
async fn what_somebody_else_writes_meanwhile_is_kept() {
    let setup = Setup::new().await;
    let provider = setup.open(|_| {});
    let intrude =
        |times| setup.fake.with(|route53| route53.intruder = Some(("k7.acme.example.".to_owned(), times)));
    intrude(2);
    provider.present(RECORD).await.unwrap();
    assert_eq!(setup.visible(RECORD.name).await, ["theirs 1", "theirs 2", "value"]);
    intrude(1);
    provider.remove(RECORD).await.unwrap();
    assert_eq!(setup.visible(RECORD.name).await, ["theirs 1", "theirs 2", "theirs 3"]);
    assert_eq!(setup.fake.with(|route53| route53.sets["k7.acme.example."].ttl), 7);
}

#[tokio::test]
async fn who_is_always_late_gives_up_for_now_with_amazon_s_words() {
    let setup = Setup::new().await;
    setup.fake.with(|route53| route53.intruder = Some(("k7.acme.example.".to_owned(), u32::MAX)));
    let error =
        setup.open(|settings| settings["timeout_seconds"] = 20.into()).present(RECORD).await.unwrap_err();
    assert!(matches!(error, ProviderError::Retry { .. }), "{error:?}");
    assert!(error.to_string().contains("do not match the current values"), "{error}");
}

#[tokio::test]
async fn nothing_is_written_where_nothing_changes() {
    let setup = Setup::new().await;
    let provider = setup.open(|_| {});
    provider.present(RECORD).await.unwrap();
    provider.present(RECORD).await.unwrap();
    provider.remove(TxtRecord { value: "never there", ..RECORD }).await.unwrap();
    assert_eq!(setup.fake.with(|route53| route53.changes), 1);
}
