use certmill_model::SystemClock;
use serde_json::{Value, json};

use super::*;

fn open(settings: &Value, zone: &str, secret: &str) -> Result<(), InvalidProvider> {
    let settings: ProviderSettings = serde_json::from_value(settings.clone()).unwrap();
    let credentials = Credentials::new(secret);
    settings.open(zone, Some(&credentials), Arc::new(SystemClock)).map(drop)
}

/// Settings that work, each with a secret that does.
fn good() -> Vec<(Value, &'static str)> {
    vec![
        (json!({ "provider": "rfc2136", "server": "192.0.2.53", "key_name": "acme.example." }), "c2VjcmV0"),
        (json!({ "provider": "exec", "auth_program": "/opt/add", "cleanup_program": "/opt/remove" }), ""),
        (json!({ "provider": "cloudflare", "zone_id": "023e105f4ecef8ad9ca31a8372d0c353" }), "token"),
        (json!({ "provider": "route53", "hosted_zone_id": "Z1", "access_key_id": "AKIDEXAMPLE" }), "secret"),
        (
            json!({ "provider": "azure", "tenant_id": "shops.onmicrosoft.com", "client_id": "c-1",
                "subscription_id": "s-1", "resource_group": "Läden-(dns)" }),
            "secret",
        ),
    ]
}

#[test]
fn each_wrong_setting_is_named_before_anybody_is_asked() {
    let wrong = [
        ("rfc2136", "server", "ns1.example:53"),
        ("rfc2136", "protocol", "tls"),
        ("rfc2136", "algorithm", "hmac-md5"),
        ("rfc2136", "key_name", "a key"),
        ("exec", "auth_program", "bin/add"),
        ("exec", "cleanup_program", ""),
        ("cloudflare", "zone_id", "../accounts"),
        ("cloudflare", "endpoint", "http://192.0.2.1"),
        ("route53", "hosted_zone_id", "Z1/../Z2"),
        ("route53", "access_key_id", "AKID EXAMPLE"),
        ("azure", "tenant_id", "a..b"),
        ("azure", "client_id", ""),
        ("azure", "subscription_id", "s?x=1"),
        ("azure", "resource_group", "a/b"),
        ("azure", "authority", "login.example"),
    ];
    for (provider, setting, value) in wrong {
        let (mut settings, secret) =
            good().into_iter().find(|(good, _)| good["provider"] == provider).unwrap();
        assert_eq!(open(&settings, "acme.example", secret), Ok(()), "{provider}");
        settings[setting] = value.into();
        let error = open(&settings, "acme.example", secret).unwrap_err();
        assert_eq!(error.setting, setting);
        assert!(error.to_string().contains(setting), "{error}");
    }
}

#[test]
fn a_wrong_zone_secret_or_time_limit_is_named_too() {
    for (mut settings, secret) in good() {
        assert_eq!(open(&settings, "not a zone", secret).unwrap_err().setting, "zone");
        let parsed: ProviderSettings = serde_json::from_value(settings.clone()).unwrap();
        if let Some(name) = parsed.secret_name() {
            assert_eq!(open(&settings, "acme.example", " \n").unwrap_err().setting, name);
            let none = parsed.open("acme.example", None, Arc::new(SystemClock)).map(drop);
            assert_eq!(none.unwrap_err().setting, name);
        }
        settings["timeout_seconds"] = 0.into();
        assert_eq!(open(&settings, "acme.example", secret).unwrap_err().setting, "timeout_seconds");
    }
    let rfc2136 = &good()[0].0;
    let error = open(rfc2136, "acme.example", "not base64!").unwrap_err();
    assert_eq!(error.setting, "secret");
    assert!(!error.to_string().contains("not base64!"));
}

#[test]
fn settings_come_back_from_json_as_they_went_and_unknown_ones_are_refused() {
    for (mut settings, _) in good() {
        let parsed: ProviderSettings = serde_json::from_value(settings.clone()).unwrap();
        let stored = serde_json::to_value(&parsed).unwrap();
        assert_eq!(serde_json::from_value::<ProviderSettings>(stored).unwrap(), parsed);
        settings["secret"] = "in the wrong place".into();
        let error = serde_json::from_value::<ProviderSettings>(settings).unwrap_err();
        assert!(error.to_string().contains("unknown field `secret`"), "{error}");
    }
}

#[test]
fn programs_for_certbot_find_the_challenge_label_where_they_look_for_it() {
    let name = |at: usize| {
        let settings: ProviderSettings = serde_json::from_value(good()[at].0.clone()).unwrap();
        settings.record_name("k7", "acme.example")
    };
    assert_eq!(name(0), "k7.acme.example");
    assert_eq!(name(1), "_acme-challenge.k7.acme.example");
}
