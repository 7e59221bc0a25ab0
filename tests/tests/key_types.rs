//! Keys of every kind: by tenant, by domain, served.

use certmill_tests::{SOON, Stage, until};
use serde_json::{Value, json};
use x509_parser::{pem::parse_x509_pem, public_key::PublicKey};

/// The key in the certificate that is on record for `name`: its kind and bits.
async fn key(stage: &Stage, name: &str) -> (&'static str, usize) {
    let pem = stage.database.fullchain(name).await;
    let (_, pem) = parse_x509_pem(pem.as_bytes()).unwrap();
    let certificate = pem.parse_x509().unwrap();
    match certificate.public_key().parsed().unwrap() {
        PublicKey::RSA(key) => ("rsa", key.key_size()),
        PublicKey::EC(key) => ("ecdsa", key.key_size()),
        _ => ("other", 0),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_has_the_kind_of_key_that_its_domain_or_else_its_tenant_asks_for() {
    let stage = Stage::set().await;
    let _running = stage.start().await;
    let kinds = [
        ("ecdsa_p256", ("ecdsa", 256)),
        ("ecdsa_p384", ("ecdsa", 384)),
        ("rsa_2048", ("rsa", 2048)),
        ("rsa_3072", ("rsa", 3072)),
        ("rsa_4096", ("rsa", 4096)),
    ];
    for (key_type, _) in kinds {
        let name = format!("{}.shops.test", key_type.replace('_', "-"));
        let domain = stage.shops.put(&name, &json!({ "key_type": key_type })).await.unwrap();
        assert_eq!(domain["key_type"], key_type);
    }
    for (key_type, wanted) in kinds {
        let name = format!("{}.shops.test", key_type.replace('_', "-"));
        stage.active(&name).await;
        assert_eq!(key(&stage, &name).await, wanted, "{key_type}");
    }

    // Another kind is taken at the next certificate; until then nothing changes for shoppers.
    stage.shops.put("rsa-2048.shops.test", &json!({ "key_type": "ecdsa_p256" })).await.unwrap();
    assert_eq!(key(&stage, "rsa-2048.shops.test").await, ("rsa", 2048));
    let due = "UPDATE domains SET renew_after = now(), next_action_at = now() WHERE name = $1";
    stage.database.execute_for("rsa-2048.shops.test", due).await;
    until("it is renewed with the other kind", SOON, async || {
        match key(&stage, "rsa-2048.shops.test").await {
            ("ecdsa", 256) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;

    let shop = stage.lab.description().shop.to_string();
    let tenant = ["tenant", "add", "Nordwind", "--upstream", &shop, "--key-type", "ecdsa_p384"];
    stage.service.run(&tenant).await.unwrap();
    stage.shops.put("by-tenant.shops.test", &Value::Null).await.unwrap();
    stage.active("by-tenant.shops.test").await;
    assert_eq!(key(&stage, "by-tenant.shops.test").await, ("ecdsa", 384));
}
