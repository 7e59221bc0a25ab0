//! Signed updates, to a real BIND.

use std::net::SocketAddr;

use certmill_dns::{ProviderError, TxtRecord};
use certmill_lab::{AcmeZone, Lab, Options, PebbleOptions, TsigKey};
use serde_json::{Value, json};

use crate::conformance::{self, BadCredentials, Fixture, Silence, open, setting};

struct Bind<'a> {
    lab: &'a Lab,
    protocol: &'static str,
    key: &'a TsigKey,
    silence: Silence,
}

impl<'a> Bind<'a> {
    fn new(lab: &'a Lab, protocol: &'static str, key: &'a TsigKey) -> Self {
        Self { lab, protocol, key, silence: Silence::new() }
    }

    fn acme_zone(&self) -> &AcmeZone {
        &self.lab.description().acme_zone
    }

    fn settings_at(&self, server: SocketAddr) -> Value {
        json!({ "provider": "rfc2136", "server": server, "protocol": self.protocol,
            "key_name": self.key.name, "algorithm": self.key.algorithm })
    }
}

impl Fixture for Bind<'_> {
    fn zone(&self) -> &str {
        &self.acme_zone().name
    }

    fn settings(&self) -> Value {
        self.settings_at(self.acme_zone().primary)
    }

    fn secret(&self) -> String {
        self.key.secret.clone()
    }

    async fn visible(&self, name: &str) -> Vec<String> {
        visible(self.lab, name).await
    }

    fn bad_credentials(&self) -> BadCredentials {
        let secret = "dGhlIHNlY3JldCBvZiBzb21lYm9keSBlbHNlLCBub3Qgb3Vycw==".to_owned();
        BadCredentials { settings: self.settings(), secret, setting: "secret" }
    }

    fn silent(&self) -> Value {
        let mut settings = self.settings_at(self.silence.address());
        settings["timeout_seconds"] = 1.into();
        settings
    }
}

/// From the name server itself, by a program that is not ours.
pub(crate) async fn visible(lab: &Lab, name: &str) -> Vec<String> {
    let records = lab.txt_records().await.unwrap();
    let is_it = |owner: &str| owner.trim_end_matches('.').eq_ignore_ascii_case(name);
    let values = records.into_iter().filter(|(owner, _)| is_it(owner)).map(|(_, value)| value);
    let mut values: Vec<_> = values.map(|value| value.trim_matches('"').to_owned()).collect();
    values.sort();
    values
}

pub(crate) async fn lab() -> Lab {
    Lab::up(Options { load_balancers: 0, pebble: PebbleOptions::default() }).await.unwrap()
}

#[tokio::test]
async fn a_name_server_does_what_every_provider_must_with_each_algorithm_over_tcp_and_udp() {
    let lab = lab().await;
    for key in &lab.description().acme_zone.keys {
        for protocol in ["tcp", "udp"] {
            conformance::check(&Bind::new(&lab, protocol, key)).await;
        }
    }
    lab.down().await.unwrap();
}

#[tokio::test]
async fn each_wrong_setting_is_named_by_what_the_server_answers() {
    let lab = lab().await;
    let zone = &lab.description().acme_zone;
    let bind = Bind::new(&lab, "tcp", zone.key());
    let record = TxtRecord { name: "k7.acme.test", value: "x" };
    for protocol in ["tcp", "udp"] {
        let refused = async |mut settings: Value, zone: &str, name: &str, secret: &str| {
            settings["protocol"] = protocol.into();
            let provider = open(&settings, zone, secret);
            provider.present(TxtRecord { name, value: "x" }).await.unwrap_err()
        };
        let mut settings = bind.settings();
        settings["key_name"] = "nobody".into();
        let error = refused(settings, "acme.test", record.name, &zone.key().secret).await;
        assert_eq!(setting(&error), "key_name");
        assert!(error.to_string().contains("nobody (hmac-sha512) (BADKEY)"), "{error}");

        let mut settings = bind.settings();
        settings["algorithm"] = "hmac-sha256".into();
        let error = refused(settings, "acme.test", record.name, &zone.key().secret).await;
        assert_eq!(setting(&error), "key_name");
        assert!(error.to_string().contains("name and algorithm"), "{error}");

        let stranger = Bind::new(&lab, protocol, &zone.stranger);
        let error = refused(stranger.settings(), "acme.test", record.name, &zone.stranger.secret).await;
        assert_eq!(setting(&error), "key_name");
        assert!(error.to_string().contains("(REFUSED)"), "{error}");

        let error = refused(bind.settings(), "nobody.example", "k7.nobody.example", &zone.key().secret).await;
        assert_eq!(setting(&error), "zone");
        assert!(error.to_string().contains("(NOTAUTH)"), "{error}");
    }
    assert_eq!(visible(&lab, record.name).await, Vec::<String>::new());
    lab.down().await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_reason_to_try_again() {
    let closed = { Silence::new().address() };
    for protocol in ["tcp", "udp"] {
        let settings =
            json!({ "provider": "rfc2136", "server": closed, "protocol": protocol, "key_name": "k" });
        let provider = open(&settings, "acme.test", "c2VjcmV0");
        let record = TxtRecord { name: "k7.acme.test", value: "x" };
        let error = provider.present(record).await.unwrap_err();
        assert!(matches!(error, ProviderError::Retry { after: None, .. }), "{error}");
        assert!(error.to_string().starts_with(&format!("{closed} cannot be reached")), "{error}");
    }
}

#[tokio::test]
async fn hundreds_of_updates_at_once_lose_none() {
    let lab = lab().await;
    for protocol in ["tcp", "udp"] {
        let bind = Bind::new(&lab, protocol, lab.description().acme_zone.key());
        let provider = open(&bind.settings(), bind.zone(), &bind.secret());
        let names: Vec<String> =
            (0..400).map(|number| format!("n{number:03}.{protocol}.acme.test")).collect();
        let calls = names.iter().map(|name| provider.present(TxtRecord { name, value: "value" }));
        for result in futures_util::future::join_all(calls).await {
            result.unwrap();
        }
        let records = lab.txt_records().await.unwrap();
        let mut written: Vec<_> = records.into_iter().map(|(name, _)| name).collect();
        written.retain(|name| name.ends_with(&format!(".{protocol}.acme.test")));
        written.sort();
        assert_eq!(written, names);
    }
    lab.down().await.unwrap();
}

#[tokio::test]
async fn values_of_any_length_are_written_whole() {
    let lab = lab().await;
    let bind = Bind::new(&lab, "tcp", lab.description().acme_zone.key());
    let provider = open(&bind.settings(), bind.zone(), &bind.secret());
    let long = "x".repeat(600);
    let record = TxtRecord { name: "long.acme.test", value: &long };
    provider.present(record).await.unwrap();
    assert_eq!(visible(&lab, record.name).await.concat().matches('x').count(), 600);
    provider.remove(record).await.unwrap();
    assert_eq!(visible(&lab, record.name).await, Vec::<String>::new());
    lab.down().await.unwrap();
}
