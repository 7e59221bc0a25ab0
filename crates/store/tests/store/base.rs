//! A database with one tenant, for tests of both doors.

use std::{fs, os::unix::fs::PermissionsExt};

use certmill_model::{
    AccountId, CertificateId, ChallengeKind, ChallengeToken, Chance, Clock, DomainId, Hostname, KeyType,
    Label, OrderId, RenewalPlan, SystemClock, TemplateRef, TenantId, UpstreamAddress,
};
use certmill_postgres::Cluster;
use certmill_store::{
    Actor, Api, AuditEntry, ClaimedDomain, DomainWish, Engine, Issued, NewOrder, Put, ScopedTx, StoreError,
    Tenant,
};
use certmill_vault::{MasterKey, Secret, Vault};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

/// A database with one tenant.
pub(crate) struct Base {
    pub(crate) api: Api,
    pub(crate) engine: Engine,
    pub(crate) vault: Vault,
    pub(crate) chance: Chance,
    pub(crate) tenant: TenantId,
    pub(crate) url: String,
    _cluster: Cluster,
    _directory: TempDir,
}

impl Base {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // The server's user must be able to go through it.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let cluster = Cluster::start(&directory.path().join("postgres")).await.unwrap();
        let url = cluster.url();
        certmill_store::migrate(&url).await.unwrap();
        let api = certmill_store::connect_api(&url, 8).await.unwrap();
        let engine = certmill_store::connect_engine(&url, 16).await.unwrap();
        let vault = Vault::new(vec![MasterKey::generate()]).unwrap();
        let chance = Chance::seeded(1);
        let mut platform = api.platform().await.unwrap();
        let tenant = platform.put_tenant(&tenant("Nordwind", &chance), now()).await.unwrap();
        platform.commit().await.unwrap();
        Self { api, engine, vault, chance, tenant, url, _cluster: cluster, _directory: directory }
    }

    /// With an entry of the audit log that stands for any.
    pub(crate) async fn commit(&self, tx: ScopedTx) {
        let actor = Actor::command_line();
        let entry = AuditEntry {
            actor: &actor,
            action: "test.done",
            object_kind: "test",
            object_id: None,
            object_name: String::new(),
            tenant: Some(self.tenant),
            detail: serde_json::Value::Null,
        };
        tx.commit(&entry, &self.chance, now()).await.unwrap();
    }

    pub(crate) async fn put(&self, name: &str) -> DomainId {
        self.put_for(self.tenant, name).await
    }

    pub(crate) async fn put_for(&self, tenant: TenantId, name: &str) -> DomainId {
        let mut tx = self.api.tenant(tenant).await.unwrap();
        let name = Hostname::parse(name).unwrap();
        let wish = DomainWish::of(name);
        let (Put::Created(domain) | Put::Changed(domain) | Put::Same(domain)) =
            tx.put_domain(&wish, &self.chance, now()).await.unwrap();
        tx.commit().await.unwrap();
        domain.domain_id
    }

    pub(crate) async fn claim(&self, domain: DomainId) -> Option<ClaimedDomain> {
        self.engine.claim_domain(domain, now() + Duration::SECOND).await.unwrap()
    }

    pub(crate) async fn start_order(&self, domain: &ClaimedDomain) -> Result<OrderId, StoreError> {
        self.start_order_with(domain, None).await
    }

    /// An order for a domain and, perhaps, for a second one.
    pub(crate) async fn start_order_with(
        &self,
        domain: &ClaimedDomain,
        joined: Option<(DomainId, &str)>,
    ) -> Result<OrderId, StoreError> {
        let account = self
            .engine
            .account("https://ca.test/dir", || Secret::new(vec![1]), &self.vault, &self.chance, now())
            .await?;
        let order_id = OrderId::new(&self.chance, now());
        let mut names = vec![domain.name.clone()];
        names.extend(joined.map(|(_, name)| Hostname::parse(name).unwrap()));
        let order = NewOrder {
            order_id,
            account_id: account.account_id,
            names: &names,
            challenges: &vec![ChallengeKind::Http01; names.len()],
            joined: joined.map(|(id, _)| id),
            replaces: None,
            profile: None,
            key: &Secret::new(b"a private key".to_vec()),
            checks: &[],
        };
        self.engine.start_order(&domain.lease, &order, &self.vault, &self.chance, now()).await?;
        Ok(order_id)
    }

    pub(crate) async fn issued(&self, domain: &ClaimedDomain, order_id: OrderId) -> Result<(), StoreError> {
        self.issued_for(domain, order_id, std::slice::from_ref(&domain.name)).await
    }

    pub(crate) async fn issued_for(
        &self,
        domain: &ClaimedDomain,
        order_id: OrderId,
        names: &[Hostname],
    ) -> Result<(), StoreError> {
        let plan = RenewalPlan {
            renew_at: now() + Duration::days(60),
            window: None,
            explanation_url: None,
            poll_at: None,
            poll_failures: 0,
        };
        self.issued_as(domain, order_id, names, &plan, None).await
    }

    /// A certificate whose renewal is planned so, by a CA that tells when to renew if an account is given.
    pub(crate) async fn issued_as(
        &self,
        domain: &ClaimedDomain,
        order_id: OrderId,
        names: &[Hostname],
        plan: &RenewalPlan,
        known_to: Option<AccountId>,
    ) -> Result<(), StoreError> {
        let issued = Issued {
            certificate_id: CertificateId::new(&self.chance, now()),
            order_id,
            names,
            serial_number: "01",
            fingerprint: &[7; 32],
            issuer: "CN=test",
            not_before: now(),
            not_after: now() + Duration::days(90),
            fullchain: "PEM",
            key: &Secret::new(b"a private key".to_vec()),
            plan,
            known_as: known_to.map(|account| ("aki.serial", account)),
            check_after: now() + Duration::days(1),
        };
        self.engine.issued(domain, &issued, &self.vault, &self.chance, now()).await.map(drop)
    }

    /// As the cluster's superuser, past every wall.
    pub(crate) async fn sql(&self, statement: &str) -> i64 {
        let mut owner = <sqlx::PgConnection as sqlx::Connection>::connect(&self.url).await.unwrap();
        sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_one(&mut owner).await.unwrap()
    }
}

pub(crate) fn now() -> OffsetDateTime {
    SystemClock.now()
}

pub(crate) fn tenant(name: &str, chance: &Chance) -> Tenant {
    Tenant {
        tenant_id: TenantId::new(chance, now()),
        name: Label::parse(name).unwrap(),
        template: TemplateRef::parse("storefront").unwrap(),
        upstream: UpstreamAddress::parse("127.0.0.1:1").unwrap(),
        key_type: KeyType::EcdsaP256,
        authorities: None,
    }
}

pub(crate) fn token(text: &str) -> ChallengeToken {
    ChallengeToken::parse(text).unwrap()
}
