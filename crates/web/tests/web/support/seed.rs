//! Domains in every state, brought there as the engine brings them there.

use std::net::SocketAddr;

use certmill_model::{
    About, AlertId, AlertLevel, AlertState, Cause, CertificateId, ChallengeKind, ChallengeToken, DomainId,
    DomainStatus, Gathered, Hostname, Label, OrderId, OrderStatus, ProblemCode, RenewalPlan, TargetId,
    TenantId,
};
use certmill_store::{
    AlertRecord, ClaimedDomain, Delivered, Failure, Issued, NewOrder, NewTarget, OrderFailure,
    PlacedChallenge, ReleaseRecord, Without,
};
use certmill_vault::Secret;
use time::Duration;

use super::Bench;

impl Bench {
    /// Adds a load balancer.
    pub(crate) async fn add_target(&self, name: &str) -> TargetId {
        self.add_target_at(name, "203.0.113.7:443").await
    }

    /// Adds a load balancer at `address`.
    pub(crate) async fn add_target_at(&self, name: &str, address: &str) -> TargetId {
        let address: SocketAddr = address.parse().unwrap();
        let target = NewTarget {
            target_id: TargetId::new(&self.chance, self.now()),
            name: Label::parse(name).unwrap(),
            address,
            public_addresses: vec![address.ip()],
            settings: serde_json::json!({ "identity_file": "/secret/place" }),
        };
        let mut tx = self.api.platform().await.unwrap();
        let id = tx.put_target(&target, self.now()).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// Opens an alert of a tenant, as the engine opens it.
    pub(crate) async fn add_alert(&self, tenant: TenantId) -> AlertId {
        let (alert_id, now) = (AlertId::new(&self.chance, self.now()), self.now());
        let cause = Cause { tenant_id: Some(tenant), code: ProblemCode::CaaForbids, about: About::Nobody };
        let found = Gathered {
            cause,
            names: 1,
            level: Some(AlertLevel::Late),
            first: Vec::new(),
            since: now,
            last_attempt_at: now,
            next_attempt_at: None,
            detail: "CAA 0 issue \"other.example\"".into(),
        };
        let state = AlertState {
            opened_at: now,
            level: AlertLevel::Late,
            told: Some(AlertLevel::Late),
            is_incident: false,
            quiet_since: None,
        };
        let record = AlertRecord { alert_id, found, state, is_over: false, letters: Vec::new() };
        let round = self.engine.take_alert_round(now).await.unwrap().expect("nobody else has the turn");
        self.engine.record_alerts(round, &[record], now, now).await.unwrap();
        alert_id
    }

    /// Places an order for a registered domain, with one challenge.
    pub(crate) async fn place_order(&self, name: &str, token: &str) -> OrderId {
        let domain = self.claim(name).await;
        let (order_id, key) = (OrderId::new(&self.chance, self.now()), Secret::new(vec![1; 32]));
        let vault = &self.vault;
        let directory = "https://ca.example/directory";
        let new_key = || Secret::new(vec![2; 32]);
        let account = self.engine.account(directory, new_key, vault, &self.chance, self.now()).await.unwrap();
        let names = [domain.name.clone()];
        let order = NewOrder {
            order_id,
            account_id: account.account_id,
            names: &names,
            challenges: &[ChallengeKind::Http01],
            joined: None,
            replaces: None,
            profile: None,
            key: &key,
            checks: &[],
        };
        self.engine.start_order(&domain.lease, &order, vault, &self.chance, self.now()).await.unwrap();
        let challenge = PlacedChallenge {
            token: ChallengeToken::parse(token).unwrap(),
            key_authorization: format!("{token}.thumbprint"),
        };
        let url = "https://ca.example/order/1";
        self.engine.order_placed(&domain.lease, order_id, url, &[challenge], &[], self.now()).await.unwrap();
        self.engine.rest(&domain.lease, Some(self.now())).await.unwrap();
        order_id
    }

    /// Gives a domain with an order a certificate that is valid for 90 days.
    pub(crate) async fn issue(&self, name: &str, order_id: OrderId) -> CertificateId {
        let domain = self.claim(name).await;
        let certificate_id = CertificateId::new(&self.chance, self.now());
        let names = [domain.name.clone()];
        let issued = Issued {
            certificate_id,
            order_id,
            names: &names,
            serial_number: "04a1b2c3d4e5f60718293a4b5c6d7e8f9012",
            fingerprint: &[7; 32],
            issuer: "CN=Example Intermediate R3, O=Example CA",
            not_before: self.now(),
            not_after: self.now() + Duration::days(90),
            fullchain: "-----BEGIN CERTIFICATE-----",
            key: &Secret::new(vec![3; 32]),
            plan: &RenewalPlan {
                renew_at: self.now() + Duration::days(60),
                window: None,
                explanation_url: None,
                poll_at: None,
                poll_failures: 0,
            },
            known_as: None,
            check_after: self.now() + Duration::days(1),
        };
        self.engine.issued(&domain, &issued, &self.vault, &self.chance, self.now()).await.unwrap();
        certificate_id
    }

    /// Delivers all that is pending on `target`, and makes it active.
    pub(crate) async fn deliver(&self, target: TargetId) {
        let claimed =
            self.engine.claim_target(target, self.now()).await.unwrap().expect("a target to deliver to");
        let lease = claimed.lease;
        let pending = self.engine.pending_placements(&lease, 1000, self.now()).await.unwrap();
        let deployment =
            self.engine.begin_deployment(&lease, pending.len(), &self.chance, self.now()).await.unwrap();
        let number = self.engine.begin_release(&lease, 0, self.now()).await.unwrap();
        let release =
            ReleaseRecord { number, manifest: [].into(), rendered_from: String::new(), upstreams: [].into() };
        let delivered: Vec<_> = pending
            .iter()
            .map(|one| Delivered {
                domain_id: one.domain_id,
                certificate_id: one.wanted_certificate_id,
                revision: one.wanted_revision,
                template: None,
            })
            .collect();
        let (chance, now) = (&self.chance, self.now());
        self.engine
            .finish_deployment(&claimed, deployment, &release, &delivered, &[], chance, now)
            .await
            .unwrap();
        let domains: Vec<DomainId> = pending.iter().map(|one| one.domain_id).collect();
        self.engine.activate(&domains, chance, now).await.unwrap();
    }

    /// Ends the removal of a domain that is on no load balancer.
    pub(crate) async fn finish_deletion(&self, name: &str) {
        let domain = self.claim(name).await;
        self.engine.finish_deletion(&domain.lease, &self.chance, self.now()).await.unwrap();
    }

    /// Lets a step for a domain fail, and with it `order`, if one is given.
    pub(crate) async fn fail(&self, name: &str, code: ProblemCode, detail: &str, order: Option<OrderId>) {
        let domain = self.claim(name).await;
        let order = order.map(|order_id| OrderFailure {
            order_id,
            status: OrderStatus::Invalid,
            problem: serde_json::json!({}),
        });
        let failure = Failure {
            code,
            detail,
            order,
            status: DomainStatus::PendingDns,
            consecutive_failures: 1,
            next_attempt_at: Some(self.now() + Duration::minutes(10)),
            order_after: None,
            validation_failed: false,
            deferral: None,
            without: Without::default(),
            checks: &[],
            blamed: &[],
        };
        self.engine.fail(&domain.lease, &failure, &self.chance, self.now()).await.unwrap();
    }

    pub(super) async fn claim(&self, name: &str) -> ClaimedDomain {
        let name = Hostname::parse(name).unwrap();
        let mut tx = self.api.platform().await.unwrap();
        let domain = tx.find_domain(&name).await.unwrap().expect("a registered domain");
        self.engine.claim_domain(domain.domain_id, self.now()).await.unwrap().expect("a domain that is due")
    }
}
