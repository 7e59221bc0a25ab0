//! An engine whose clock is moved by hand, on a real database and a real mail server.

use std::{fs, sync::Arc};

use certmill_acme::CaSettings;
use certmill_delivery::Connector;
use certmill_dns::Resolver;
use certmill_engine::{AuthoritySettings, Engine, MailSettings, Parts, look_for_alerts, send_due_mails};
use certmill_lab::{Lab, Options};
use certmill_model::{Chance, Clock, LimitProfile, ManualClock, UpstreamAddress, WebhookDestinations};
use certmill_nginx::Templates;
use certmill_notify::{Mailer, Security, Site, SmtpSettings, webhook};
use certmill_store::Api;
use certmill_vault::{MasterKey, Vault};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use time::{Duration, OffsetDateTime, macros::datetime};

/// A Wednesday, half past noon: half a day before any digest.
pub(crate) const START: OffsetDateTime = datetime!(2027-01-06 12:30 UTC);

pub(crate) struct World {
    pub(crate) lab: Lab,
    pub(crate) api: Api,
    pub(crate) engine: Engine,
    pub(crate) clock: Arc<ManualClock>,
}

impl World {
    /// With one tenant, one load balancer, and one person of the platform who wants every alert and no digest.
    pub(crate) async fn new() -> Self {
        let lab = Lab::up(Options { load_balancers: 1, ..Options::default() }).await.unwrap();
        let url = &lab.description().postgres_url;
        certmill_store::migrate(url).await.unwrap();
        let clock = Arc::new(ManualClock::new(START));
        let engine = Engine::new(parts(&lab, clock.clone()).await);
        let api = certmill_store::connect_api(url, 4).await.unwrap();
        let world = Self { lab, api, engine, clock };
        world
            .sql(
                "INSERT INTO tenants (tenant_id, name, template, upstream, created_at)
                 VALUES ('00000000-0000-7000-8000-00000000000a', 'Nordwind', 'storefront', '127.0.0.1:1', '2026-01-01Z');
                 INSERT INTO accounts (account_id, directory_url, sealed_key, created_at)
                 VALUES ('00000000-0000-7000-8000-00000000000b', 'https://ca.test/dir', '', '2026-01-01Z');
                 INSERT INTO targets (target_id, name, address, public_addresses, settings, state, state_since,
                                      next_attempt_at, created_at)
                 VALUES ('00000000-0000-7000-8000-00000000000c', 'lb1', '127.0.0.1:1', '{}', '{}', 'in_sync',
                         '2026-01-01Z', '2026-01-01Z', '2026-01-01Z')",
            )
            .await;
        world.add_user("ops@platform.test").await;
        world
    }

    pub(crate) async fn add_user(&self, address: &str) {
        self.sql(&format!(
            "WITH person AS (
                 INSERT INTO users (user_id, email, name, role, password_hash, created_at, updated_at)
                 VALUES (gen_random_uuid(), '{address}', 'Ops', 'operator', 'x', '2026-01-01Z', '2026-01-01Z')
                 RETURNING user_id)
             INSERT INTO notification_rules (rule_id, user_id, least_level, digest, created_at, updated_at)
             SELECT gen_random_uuid(), user_id, 'notice', 'off', '2026-01-01Z', '2026-01-01Z' FROM person"
        ))
        .await;
    }

    /// So many active names whose certificates of 90 days end 30 days from the start, and whose third renewal has failed.
    pub(crate) async fn add_failing_names(&self, names: u32) {
        for statement in FAILING_NAMES {
            self.sql(&statement.replace("$names", &names.to_string())).await;
        }
    }

    /// The same names are renewed and served.
    pub(crate) async fn mend(&self) {
        self.sql("DELETE FROM problems").await;
        self.sql("UPDATE domains SET renew_after = '2027-06-01Z', consecutive_failures = 0").await;
        self.sql("UPDATE certificates SET not_after = '2027-07-01Z'").await;
    }

    pub(crate) async fn sql(&self, statement: &str) {
        let mut owner = PgConnection::connect(&self.lab.description().postgres_url).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut owner).await.unwrap();
    }

    pub(crate) async fn number(&self, statement: &'static str) -> i64 {
        let mut owner = PgConnection::connect(&self.lab.description().postgres_url).await.unwrap();
        sqlx::query_scalar(statement).fetch_one(&mut owner).await.unwrap()
    }

    /// Moves the clock, looks for alerts, and sends what is due.
    pub(crate) async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        look_for_alerts(&self.engine).await.unwrap();
        while send_due_mails(&self.engine).await.unwrap() > 0 {}
    }

    /// The mails that have arrived, the first first, without folds in their headers.
    pub(crate) fn arrived(&self) -> Vec<String> {
        let Ok(mails) = fs::read_dir(self.lab.description().mail_directory.join("new")) else {
            return Vec::new();
        };
        let mut mails: Vec<_> = mails
            .map(|mail| mail.unwrap())
            .map(|mail| (mail.metadata().unwrap().modified().unwrap(), mail.path()))
            .collect();
        mails.sort();
        mails.iter().map(|(_, path)| fs::read_to_string(path).unwrap().replace("\n ", " ")).collect()
    }
}

/// The value of a mail's header.
pub(crate) fn header<'a>(mail: &'a str, name: &str) -> Option<&'a str> {
    let head = mail.split("\n\n").next().unwrap();
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

async fn parts(lab: &Lab, clock: Arc<dyn Clock>) -> Parts {
    let smtp = lab.description().smtp;
    let settings = SmtpSettings {
        host: smtp.ip().to_string(),
        port: smtp.port(),
        security: Security::None,
        credentials: None,
        trusted_roots: None,
    };
    let authority = AuthoritySettings {
        name: "default".into(),
        ca: CaSettings::new("https://ca.test/dir").unwrap(),
        limits: LimitProfile::default(),
        caa_identities: Vec::new(),
        issuing_roots: None,
        profile: None,
    };
    Parts {
        store: certmill_store::connect_engine(&lab.description().postgres_url, 4).await.unwrap(),
        vault: Arc::new(Vault::new(vec![MasterKey::generate()]).unwrap()),
        clock,
        chance: Arc::new(Chance::seeded(1)),
        resolver: Resolver::new(vec![lab.description().dns_server]).unwrap(),
        authorities: vec![authority],
        http_01_port: 80,
        propagation: std::time::Duration::from_secs(1),
        templates: Templates::built_in(),
        responders: vec![UpstreamAddress::parse("127.0.0.1:1").unwrap()],
        connector: Connector::new(lab.directory()).unwrap(),
        orders_in_flight: 1,
        mail: Some(MailSettings {
            mailer: Mailer::new(settings).unwrap(),
            server: smtp.to_string(),
            from: "certmill@platform.test".into(),
            site: Site { public_url: "https://certmill.platform.test".into(), product: "certmill".into() },
        }),
        // No endpoint is registered here.
        webhooks: webhook::Sender::new(WebhookDestinations::default(), Vec::new(), webhook::system_lookup())
            .unwrap(),
    }
}

const FAILING_NAMES: [&str; 6] = [
    "INSERT INTO domains (domain_id, tenant_id, name, status, status_since, health, renew_after, consecutive_failures,
                          created_at, updated_at)
     SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, '00000000-0000-7000-8000-00000000000a',
            'shop' || n || '.shops.test', 'active', '2026-01-01Z', 'warning', '2027-01-06 12:30Z', 3, '2026-01-01Z',
            '2026-01-01Z' FROM generate_series(1, $names) n",
    "INSERT INTO orders (order_id, tenant_id, domain_id, account_id, names, status, created_at, updated_at)
     SELECT domain_id, tenant_id, domain_id, '00000000-0000-7000-8000-00000000000b', ARRAY[name], 'valid', created_at,
            updated_at FROM domains",
    "INSERT INTO certificates (certificate_id, tenant_id, domain_id, order_id, names, status, serial_number, fingerprint,
                               issuer, not_before, not_after, fullchain, created_at)
     SELECT domain_id, tenant_id, domain_id, domain_id, ARRAY[name], 'active', '01', '', 'CN=test',
            '2026-11-07 12:30Z', '2027-02-05 12:30Z', '', created_at FROM domains",
    "UPDATE domains SET certificate_id = domain_id",
    "INSERT INTO placements (target_id, domain_id, tenant_id, shard, wanted_certificate_id, wanted_revision,
                             served_certificate_id, served_revision, pending, next_attempt_at, served_at)
     SELECT '00000000-0000-7000-8000-00000000000c', domain_id, tenant_id, 0, domain_id, 1, domain_id, 1, false,
            created_at, created_at FROM domains",
    "INSERT INTO problems (domain_id, tenant_id, code, detail, since, last_attempt_at)
     SELECT domain_id, tenant_id, 'caa_forbids', 'CAA record for ' || name || ' prevents issuance', '2027-01-06 12:00Z',
            '2027-01-06 12:11Z' FROM domains",
];
