//! The tests in a real browser: what they are shown, and how they are run. They are written in JavaScript, in `web/tests`.

use std::path::{Path, PathBuf};

use certmill_lab::service::domain_path;
use certmill_store::Published;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{SOON, Stage, Template, until};

/// Words that are code wherever they are not escaped.
pub const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'{{7*7}}";

/// Shops with a certificate, as a platform has them.
const SHOPS: [&str; 6] = [
    "wolle.example-shops.test",
    "bücher.example-shops.test",
    "tee.example-shops.test",
    "lampen.example-shops.test",
    "keramik.example-shops.test",
    "fahrrad.example-shops.test",
];

/// A shop whose DNS still leads elsewhere.
const FAILING: &str = "umzug.example-shops.test";

/// In a network for examples (RFC 5737): nobody is there, and nobody is asked.
const ELSEWHERE: std::net::Ipv4Addr = std::net::Ipv4Addr::new(203, 0, 113, 80);

/// The tenant of the many shops that are there to be found among.
const MANY: &str = "Marktplatz";

/// `$1` is the tenant's name.
const ADD_MANY_SHOPS: &str = "
    INSERT INTO domains (domain_id, tenant_id, name, external_id, status, status_since, created_at, updated_at)
    SELECT gen_random_uuid(), tenant_id, 'boutique-' || number || '.many-shops.test', 'stall-' || number, 'paused', now(), now(), now()
    FROM tenants, generate_series(100000, 199999) AS number
    WHERE tenants.name = $1";

/// What is wrong with the name `$1`, as an alert: by itself it would come only after a while.
const ADD_ALERT: &str = "
    INSERT INTO alerts (alert_id, tenant_id, code, about, level, is_incident, names, first, detail, since, last_attempt_at, opened_at)
    SELECT gen_random_uuid(), d.tenant_id, p.code, '', 'notice', false, 1,
           jsonb_build_array(jsonb_build_object('domain_id', d.domain_id, 'name', d.name)), p.detail, p.since, p.last_attempt_at, now()
    FROM problems p JOIN domains d USING (domain_id)
    WHERE d.name = $1 AND p.code = 'dns_wrong_target'";

/// A template of the platform's own, and what its versions say; nginx refuses the one in the middle.
const TEMPLATE: &str = "season:shared";
const VERSIONS: [(&str, &str); 3] = [
    ("add_header X-Season winter;", "winter"),
    ("add_header X-Season winter never;", "a header for errors, too"),
    ("add_header X-Season spring;", "spring"),
];

/// One login link for each test that logs in by itself, and some to spare.
const LOGIN_LINKS: usize = 12;

/// A stage with shops in several states, as the browser is shown it.
pub struct Audience<'a> {
    stage: &'a Stage,
    description: Value,
}

impl<'a> Audience<'a> {
    /// Fills `stage`, on which certmill runs.
    pub async fn before(stage: &'a Stage) -> Self {
        stage.lab.set_addresses_of(&[(FAILING, vec![ELSEWHERE.into()])]).await.unwrap();
        for (number, name) in SHOPS.iter().chain([&FAILING]).enumerate() {
            let body = json!({ "external_id": format!("shop-{}", 1001 + number) });
            stage.shops.put(name, &body).await.unwrap();
        }
        for name in SHOPS {
            stage.becomes(name, "active").await;
        }
        stage.told(FAILING, "dns_wrong_target").await;
        stage.database.execute_for(FAILING, ADD_ALERT).await;
        let user = json!({ "email": "ada@nordwind.test", "name": "Ada", "role": "tenant_admin" });
        stage.shops.expect("POST", "/v1/users", Some(&user)).await.unwrap();
        let webhook = json!({ "url": "https://backend.nordwind.test/hooks/certmill", "description": "The shop backend" });
        stage.shops.expect("POST", "/v1/webhook-endpoints", Some(&webhook)).await.unwrap();
        publish_template(stage).await;
        let setup_links = json!({ "active": setup_link(stage, SHOPS[0]).await, "failing": setup_link(stage, FAILING).await });
        let mut login_links = Vec::new();
        for _ in 0..LOGIN_LINKS {
            login_links.push(stage.service.run(&["login-link"]).await.unwrap());
        }
        let fresh: Vec<_> = (1..=8).map(|number| format!("fresh-{number}.example-shops.test")).collect();
        let description = json!({
            "url": format!("http://{}", stage.lab.description().responder),
            "loginLinks": login_links,
            "platformToken": stage.service.platform_api().await.unwrap().token(),
            "tenantToken": stage.shops.token(),
            "active": SHOPS[0],
            "failing": FAILING,
            "template": TEMPLATE,
            "setupLinks": setup_links,
            "fresh": fresh,
            "pictures": root().join("docs/pictures"),
        });
        Self { stage, description }
    }

    /// Registers 100,000 shops more, of a tenant that has paused them all: they are looked for, and nothing is done for them.
    pub async fn with_many_shops(self) -> Self {
        self.stage.service.add_tenant(MANY).await.unwrap();
        self.stage.database.execute_for(MANY, ADD_MANY_SHOPS).await;
        self.stage.database.execute("ANALYZE domains, domain_names").await;
        self
    }

    /// Puts words that are code where they are not escaped wherever words may stand, and waits until they do.
    pub async fn with_hostile_words(self) -> Self {
        let hostile = self.stage.service.add_tenant(HOSTILE).await.unwrap();
        let body = json!({ "external_id": HOSTILE });
        hostile.put("hostile.example-shops.test", &body).await.unwrap();
        until("hostile words are stored", SOON, async || {
            let path = domain_path("hostile.example-shops.test");
            let domain = hostile.expect("GET", &path, None).await.unwrap();
            if domain["external_id"] == HOSTILE { Ok(()) } else { Err(domain.to_string()) }
        })
        .await;
        self
    }

    /// What the browser is shown, as STAGE has it.
    pub fn description(&self) -> &Value {
        &self.description
    }

    /// Runs a program of `web/tests` to its end, and fails with its words.
    #[expect(
        clippy::print_stdout,
        reason = "a test's words are kept back unless it fails or they are asked for"
    )]
    pub async fn run(&self, arguments: &[&str]) {
        let mut node = Command::new("node");
        node.args(arguments).current_dir(root().join("web/tests")).kill_on_drop(true);
        node.env("STAGE", self.description.to_string());
        // The browser keeps things in its user's home: here they go with the lab.
        node.env("HOME", self.stage.lab.directory());
        let output = node.output().await.expect("node runs; scripts/install-parts installs it");
        let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
        assert!(output.status.success(), "the browser tests failed:\n{}", said.concat());
        println!("{}", said.concat());
    }
}

/// A template with versions that were tried, two of which were published.
async fn publish_template(stage: &Stage) {
    let template = Template::of(stage, TEMPLATE).await;
    for (header, note) in VERSIONS {
        let source = format!(
            "{{% include \"defaults.conf\" %}}\n{header}\nlocation / {{\n    proxy_pass http://$certmill_upstream;\n}}\n"
        );
        let (version, outcome) = template.tried(&source, note).await;
        if outcome.passed {
            assert!(matches!(template.publish(Some(version)).await, Published::Done(_)));
        }
    }
}

/// The path of a new page for the owner of a shop.
async fn setup_link(stage: &Stage, name: &str) -> String {
    let path = format!("{}/setup-links", domain_path(name));
    let made = stage.shops.expect("POST", &path, Some(&json!({}))).await.unwrap();
    let link = made["url"].as_str().expect("a link that was made is shown");
    link[link.find("/setup/").expect("its path")..].to_owned()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace is here")
}
