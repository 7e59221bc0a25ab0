//! Azure DNS, by a fake of Azure Resource Manager's record sets and of the token endpoint:
//! <https://learn.microsoft.com/rest/api/dns/record-sets>,
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>.

mod server;

use std::sync::Arc;

use certmill_dns::{DnsProvider, ProviderError, TxtRecord};
use serde_json::{Value, json};
use time::Duration;

use self::server::Azure;
use crate::{
    conformance::{self, BadCredentials, Fixture, Silence, open, setting},
    fake::{Fake, Mood, bad_days_are_reasons_to_try_again},
};

const ZONE: &str = "acme.example";
const TENANT: &str = "11111111-1111-4111-8111-111111111111";
const CLIENT: &str = "22222222-2222-4222-8222-222222222222";
const SUBSCRIPTION: &str = "33333333-3333-4333-8333-333333333333";
const GROUP: &str = "dns-(production)";
const SECRET: &str = "Qx~8Q+/&=% .secret~_-";

struct Setup {
    fake: Fake<Azure>,
    silence: Silence,
}

impl Setup {
    async fn new() -> Self {
        Self { fake: Fake::start(Azure::new).await, silence: Silence::new() }
    }

    fn settings_at(endpoint: &str) -> Value {
        json!({ "provider": "azure", "tenant_id": TENANT, "client_id": CLIENT, "subscription_id": SUBSCRIPTION,
            "resource_group": GROUP, "endpoint": endpoint, "authority": endpoint, "timeout_seconds": 2 })
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
        let relative = name.strip_suffix(&format!(".{ZONE}")).unwrap();
        let mut values = self.fake.with(|azure| azure.values(relative));
        values.sort();
        values
    }

    fn bad_credentials(&self) -> BadCredentials {
        let secret = "another~secret+of/some&kind".to_owned();
        BadCredentials { settings: self.settings(), secret, setting: "client_secret" }
    }

    fn silent(&self) -> Value {
        let mut settings = Self::settings_at(&format!("http://{}", self.silence.address()));
        settings["timeout_seconds"] = 1.into();
        settings
    }
}

const RECORD: TxtRecord<'_> = TxtRecord { name: "k7.acme.example", value: "value" };

#[tokio::test]
async fn azure_does_what_every_provider_must() {
    conformance::check(&Setup::new().await).await;
}

#[tokio::test]
async fn a_bad_day_of_azure_is_a_reason_to_try_again_and_its_wish_to_wait_is_heard() {
    let setup = Setup::new().await;
    let knows_a_token = setup.open(|_| {});
    knows_a_token.remove(RECORD).await.unwrap();
    for provider in [knows_a_token, setup.open(|_| {})] {
        bad_days_are_reasons_to_try_again(&setup.fake, &*provider, RECORD).await;
        setup.fake.feels(Mood::RateLimited);
        let error = provider.present(RECORD).await.unwrap_err();
        let ProviderError::Retry { after, .. } = error else { panic!("{error}") };
        assert_eq!(after, Some(Duration::seconds(17)));
        setup.fake.feels(Mood::Well);
    }
}

#[tokio::test]
async fn each_wrong_setting_is_named_with_microsoft_s_words() {
    let setup = Setup::new().await;
    let wrong = [
        ("tenant_id", "AADSTS90002"),
        ("client_id", "AADSTS700016"),
        ("subscription_id", "(SubscriptionNotFound)"),
        ("resource_group", "(ResourceGroupNotFound)"),
    ];
    for (name, words) in wrong {
        let provider = setup.open(|settings| settings[name] = "nobody".into());
        for result in [provider.present(RECORD).await, provider.remove(RECORD).await] {
            let error = result.unwrap_err();
            assert_eq!(setting(&error), name);
            assert!(error.to_string().contains(words), "{error}");
            assert!(!error.to_string().contains("Trace ID"), "{error}");
        }
    }
    let provider = open(&setup.settings(), "other.example", SECRET);
    let error = provider.present(TxtRecord { name: "k7.other.example", value: "x" }).await.unwrap_err();
    assert_eq!(setting(&error), "zone");
    setup.fake.with(|azure| azure.has_rights = false);
    let error = setup.open(|_| {}).present(RECORD).await.unwrap_err();
    assert_eq!(setting(&error), "client_id");
    assert!(error.to_string().contains("Microsoft.Network/dnszones/TXT/write"), "{error}");
}

#[tokio::test]
async fn a_token_is_used_until_it_is_refused() {
    let setup = Setup::new().await;
    let provider = setup.open(|_| {});
    for value in ["one", "two", "three"] {
        provider.present(TxtRecord { value, ..RECORD }).await.unwrap();
    }
    assert_eq!(setup.fake.with(|azure| azure.issued), 1);
    setup.fake.with(|azure| azure.tokens.clear());
    provider.present(TxtRecord { value: "four", ..RECORD }).await.unwrap();
    assert_eq!(setup.fake.with(|azure| azure.issued), 2);
}

#[tokio::test]
async fn what_somebody_else_writes_meanwhile_is_kept_with_their_notes() {
    let setup = Setup::new().await;
    let provider = setup.open(|_| {});
    let intrude = |value: &str| {
        setup.fake.with(|azure| azure.intruder = Some(("k7".to_owned(), value.to_owned())));
    };
    intrude("first of theirs");
    provider.present(RECORD).await.unwrap();
    intrude("second of theirs");
    provider.remove(RECORD).await.unwrap();
    assert_eq!(setup.visible(RECORD.name).await, ["first of theirs", "second of theirs"]);
    let properties = setup.fake.with(|azure| azure.sets["k7"].1.clone());
    assert_eq!(properties["metadata"]["owner"], "somebody else");
    assert_eq!(properties["TTL"], 7);
}

#[tokio::test]
async fn nothing_is_written_where_nothing_changes() {
    let setup = Setup::new().await;
    let provider = setup.open(|_| {});
    provider.present(RECORD).await.unwrap();
    provider.present(RECORD).await.unwrap();
    provider.remove(TxtRecord { value: "never there", ..RECORD }).await.unwrap();
    assert_eq!(setup.fake.with(|azure| azure.changes), 1);
}
