//! Limits of CAs: who waits for how long, who does not, and what is refused before it does harm.

use std::time::{Duration, Instant};

use certmill_lab::{
    Lab, Options, PebbleOptions,
    fault_ca::{Answer, Endpoint, When},
    service::Role,
};
use certmill_tests::{
    CaLog, FaultStage, MINUTE, SOON, Stage, fault_lab, instant, problem, recovered, until, until_all,
};
use serde_json::{Value, json};

const SECOND: Duration = Duration::from_secs(1);

fn deferred(domain: &Value) -> bool {
    domain["deferred"].is_object()
}

/// Waits until the domain waits for a limit, sees that all that is said of it agrees, and answers how long it waits.
async fn waits(stage: &Stage, name: &str, limit: &str, counted: &str) -> time::Duration {
    let domain = stage.shops.wait_for(name, SOON, deferred).await.unwrap();
    let deferral = &domain["deferred"];
    assert_eq!((&deferral["limit"], &deferral["counted"]), (&json!(limit), &json!(counted)), "{deferral}");
    let problem = problem(&domain, "ca_rate_limited").expect("it is told as a problem");
    assert_eq!(problem["next_attempt_at"], deferral["until"]);
    assert_eq!(domain["status"], "pending_issuance");
    instant(&deferral["until"]) - instant(&problem["last_attempt_at"])
}

fn about(wait: time::Duration, minutes: i64) -> bool {
    (wait - time::Duration::minutes(minutes)).abs() < time::Duration::minutes(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn names_beyond_a_limit_wait_with_their_date_while_the_others_and_renewals_go_on() {
    let lab = fault_lab(PebbleOptions::default()).await;
    let limits = r#"{ orders_per_account = "4/1h", certificates_per_registered_domain = "2/1h", exempts_renewals = true }"#;
    let stage = Stage::on(lab, &[("CERTMILL_ACME__LIMITS", limits)]).await;
    let _certmill = stage.start().await;
    for name in ["one.shops.test", "two.shops.test"] {
        stage.put(name).await;
        stage.active(name).await;
    }
    // A full registered domain, and others beside it.
    stage.put("three.shops.test").await;
    let wait = waits(&stage, "three.shops.test", "certificates_per_registered_domain", "shops.test").await;
    assert!(about(wait, 30), "{wait}");
    let told = stage.told("three.shops.test", "ca_rate_limited").await;
    assert!(told.contains("next slot for shops.test: ") && told.ends_with(" UTC."), "{told}");
    for name in ["one.example-shops.test", "two.example-shops.test"] {
        stage.put(name).await;
        stage.active(name).await;
    }
    // A full account: whatever the name is.
    let own = [stage.load_balancers()[0].address];
    stage.lab.set_addresses("lonely.test", &own).await.unwrap();
    stage.put("lonely.test").await;
    let wait = waits(&stage, "lonely.test", "orders_per_account", "").await;
    assert!(about(wait, 15), "{wait}");
    assert_eq!(CaLog::read(&stage.lab), CaLog { orders: 4, certificates: 4 });

    let before = stage.active("one.shops.test").await;
    stage.service.run(&["domain", "renew", "one.shops.test"]).await.unwrap();
    let other = |domain: &Value| domain["certificate"]["id"] != before["certificate"]["id"];
    stage.shops.wait_for("one.shops.test", SOON, other).await.unwrap();
    assert_eq!(CaLog::read(&stage.lab).certificates, 5);

    half_an_hour_passes(&stage).await;
    for name in ["three.shops.test", "lonely.test"] {
        let domain = stage.active(name).await;
        assert_eq!((&domain["deferred"], &domain["problems"]), (&Value::Null, &json!([])));
    }
    assert_eq!(CaLog::read(&stage.lab).certificates, 7);
}

/// Lets time pass for what is counted, and for whom waits for it.
async fn half_an_hour_passes(stage: &Stage) {
    let counted = "UPDATE limit_buckets SET full_at = full_at - interval '31 minutes', tail_at = tail_at - interval '31 minutes'";
    let waiting = "UPDATE domains SET next_action_at = next_action_at - interval '31 minutes',
                       deferred_until = deferred_until - interval '31 minutes' WHERE deferred_until IS NOT NULL";
    stage.database.execute(counted).await;
    stage.database.execute(waiting).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_429_holds_what_it_names_until_its_date_and_nothing_else() {
    let stage = FaultStage::set().await;
    let documentation = "https://letsencrypt.org/docs/rate-limits/#";
    let cases = [
        ("certificates_per_registered_domain", "new-certificates-per-registered-domain", "shops.test"),
        (
            "failed_validations",
            "authorization-failures-per-identifier-per-account",
            "failed.example-shops.test",
        ),
        ("orders_per_account", "new-orders-per-account", ""),
    ];
    let names = ["full.shops.test", "failed.example-shops.test", "first.example-shops.test"];
    let asked = || stage.ca.requests(Endpoint::NewOrder);
    for ((limit, anchor, counted), name) in cases.into_iter().zip(names) {
        let detail = format!("too many, retry later: see {documentation}{anchor}");
        let busy = Answer::problem(429, "rateLimited", &detail).retry_after_seconds(3600);
        stage.ca.add(When::of(Endpoint::NewOrder).about(name).first(1), busy);
        stage.stage.put(name).await;
        let wait = waits(&stage.stage, name, limit, counted).await;
        assert!(about(wait, 60), "{limit}: {wait}");
        let before = asked();
        let (held, free): (&[&str], &[&str]) = match limit {
            "certificates_per_registered_domain" => (&["beside.shops.test"], &["beside.example-shops.test"]),
            "failed_validations" => (&[], &["again.example-shops.test"]),
            _ => (&["second.example-shops.test"], &[]),
        };
        for name in held {
            stage.stage.put(name).await;
            waits(&stage.stage, name, limit, counted).await;
        }
        assert_eq!(asked(), before, "{limit}: the CA was asked for what it had refused");
        for name in free {
            stage.recovers(&format!("another name beside a full {limit}"), name, SOON).await;
        }
    }
    assert_eq!(stage.ca.rate_limited(), cases.len());
    stage.ca.assert_all_rules_met();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_of_many_names_leaves_a_place_to_the_single_name_of_another_tenant() {
    const IMPORTED: usize = 80;
    const ALLOWED: usize = 60;
    let lab = fault_lab(PebbleOptions::default()).await;
    let ca = lab.fault_ca(1).await.unwrap();
    let directory = ca.directory_url();
    let limits = format!("{{ orders_per_account = \"{ALLOWED}/12h\" }}");
    let environment = [
        ("CERTMILL_ACME__DIRECTORY_URL", directory.as_str()),
        ("CERTMILL_ACME__LIMITS", &limits),
        ("CERTMILL_ACME__ORDERS_IN_FLIGHT", "4"),
    ];
    let stage = Stage::on(lab, &environment).await;
    let certmill = stage.start().await;
    certmill.stop().await.unwrap();
    let _serving = stage.service.start(Role::Serve, &[]).await.unwrap();
    for number in 0..IMPORTED {
        stage.put(&format!("import{number}.shops.test")).await;
    }
    let single = stage.service.add_tenant("Südwind").await.unwrap();
    let _working = stage.service.start(Role::Work, &[]).await.unwrap();
    let ordered = || ca.requests(Endpoint::NewOrder);
    until("the import is under way", SOON, async || match ordered() {
        0..5 => Err("not yet".to_owned()),
        _ => Ok(()),
    })
    .await;

    // While others wait in front of it.
    let (begin, before) = (Instant::now(), ordered());
    single.put("single.example-shops.test", &Value::Null).await.unwrap();
    single.wait_for_status("single.example-shops.test", "active", SOON).await.unwrap();
    recovered("a single name behind an import", begin);
    let place = ca.payloads(Endpoint::NewOrder).iter().position(is_single).unwrap() - before;
    eprintln!("{place} of the import went before it");
    assert!(place < 20, "{place}");

    // When all that the import may have is used up.
    let reserve = ALLOWED / 10;
    let part = ALLOWED - reserve;
    until_all("the import has used up its part", part as i64, async || ordered() as i64).await;
    let queued = "SELECT count(*) FROM domains WHERE status = 'pending_issuance' AND deferred_until IS NULL";
    until("the import waits for the limit", MINUTE, async || {
        match (stage.database.count(queued).await, ordered()) {
            (0, _) => Ok(()),
            (queued, ordered) => Err(format!("{queued} are to be ordered, {ordered} are")),
        }
    })
    .await;
    assert_eq!(ordered(), part);
    let begin = Instant::now();
    single.put("late.example-shops.test", &Value::Null).await.unwrap();
    single.wait_for_status("late.example-shops.test", "active", SOON).await.unwrap();
    recovered("a single name when an import has used up its part", begin);
    assert_eq!(ca.rate_limited(), 0);
}

fn is_single(order: &Value) -> bool {
    order["identifiers"][0]["value"] == "single.example-shops.test"
}

/// What is written where, and what is said of it.
const NONSENSE: [(&str, &str, &[&str]); 19] = [
    ("LIMITS", r#""letsencrpyt""#, &["acme.limits", "there is no built-in profile \"letsencrpyt\""]),
    (
        "LIMITS",
        r#"{ base = "lets-encrypt" }"#,
        &["acme.limits", "there is no built-in profile \"lets-encrypt\""],
    ),
    ("LIMITS", "7", &["acme.limits", "neither a name nor a table"]),
    ("LIMITS", r#"{ orders = "1/h" }"#, &["acme.limits.orders", "unknown field"]),
    ("LIMITS", r#"{ orders_per_account = "0/3h" }"#, &["orders_per_account = 0/3h", "a capacity of 0"]),
    ("LIMITS", r#"{ orders_per_account = "300/3w" }"#, &["acme.limits.orders_per_account", "is no rate"]),
    (
        "LIMITS",
        r#"{ failed_validations = "5/400d" }"#,
        &["failed_validations = 5/400d", "longer than a year"],
    ),
    ("LIMITS", r#"{ requests = { new_odrer = "9/s" } }"#, &["acme.limits.requests", "new_odrer"]),
    (
        "LIMITS",
        r#"{ requests = { new_order = "1/h" } }"#,
        &["requests.new_order = 1/1h", "less than once a minute"],
    ),
    ("NAME", "My CA", &["acme.name \"My CA\"", "lower-case letters"]),
    ("DIRECTORY_URL", "http://ca.test/directory", &["acme.directory_url"]),
    ("TRUST_FILE", "/nowhere/roots.pem", &["acme.trust_file /nowhere/roots.pem", "No such file"]),
    ("EXTERNAL_ACCOUNT_KEY_ID", "kid-1", &["acme:", "only one is set"]),
    ("AUTHORITIES", r#"[{ name = "second" }]"#, &["acme.authorities[0]", "missing field `directory_url`"]),
    (
        "AUTHORITIES",
        r#"[{ name = "second", directory_url = "https://ca.test/directory", limit = "none" }]"#,
        &["acme.authorities[0]", "unknown field `limit`"],
    ),
    (
        "AUTHORITIES",
        r#"[{ name = "second", directory_url = "https://ca.test/directory", limits = { orders_per_account = "9" } }]"#,
        &["acme.authorities[0].limits.orders_per_account", "is no rate"],
    ),
    (
        "AUTHORITIES",
        r#"[{ name = "default", directory_url = "https://ca.test/directory" }]"#,
        &["acme.authorities", "default stands there twice"],
    ),
    (
        "AUTHORITIES",
        r#"[{ name = "a", directory_url = "https://ca.test/dir" }, { name = "b", directory_url = "https://ca.test/dir" }]"#,
        &["acme.authorities", "https://ca.test/dir stands there twice"],
    ),
    (
        "AUTHORITIES",
        r#"[{ name = "a", directory_url = "https://ca.test/dir", external_account_key_id = "kid", external_account_key_file = "/nowhere/key" }]"#,
        &["acme.authorities[0].external_account_key_file /nowhere/key", "No such file"],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_authorities_that_make_no_sense_are_refused_at_start_with_key_and_reason() {
    let options = Options { load_balancers: 1, ..Options::default() };
    let lab = Lab::up(options).await.unwrap();
    let stage = Stage::on(lab, &[]).await;
    for (key, value, words) in NONSENSE {
        let said_before = std::fs::read_to_string(stage.service.log()).unwrap_or_default().len();
        let variable = format!("CERTMILL_ACME__{key}");
        let mut running = stage.service.spawn(Role::Work, &[(&variable, value)]).unwrap();
        let ended = running.wait(20 * SECOND).await;
        let said = std::fs::read_to_string(stage.service.log()).unwrap();
        let said = &said[said_before..];
        assert_eq!(ended.expect(value).code(), Some(1), "{value}: {said}");
        assert!(said.starts_with("certmill: ") && said.contains("\n  do:  "), "{value}: {said}");
        for words in words {
            assert!(said.contains(words), "{value}: no {words:?} in {said}");
        }
    }
}
