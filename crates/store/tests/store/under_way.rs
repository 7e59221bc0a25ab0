//! What is wanted during a step is not undone by its end; and who waits for a limit keeps his place.

use crate::base::{Base, now, tenant};
use certmill_model::{
    CertificateId, Checks, DomainId, DomainStatus, Hostname, LOST_CLAIMS, LimitKind, ProblemCode, RenewalPlan,
};
use certmill_store::{AnsweredRenewal, ClaimedDomain, Deferral, Failure, Looked, Reach, Without};
use time::{Duration, OffsetDateTime};

const NAME: &str = "shop.example.com";

impl Base {
    /// A domain with a certificate, in the hands of a worker that looks at it again.
    async fn looked_at(&self, name: &str) -> ClaimedDomain {
        let id = self.put(name).await;
        let domain = self.claim(id).await.unwrap();
        let order = self.start_order(&domain).await.unwrap();
        self.issued(&domain, order).await.unwrap();
        self.sql("UPDATE domains SET next_action_at = now() RETURNING 1::bigint").await;
        self.claim(id).await.unwrap()
    }

    async fn fail_at(&self, domain: &ClaimedDomain, deferral: Option<&Deferral>) {
        let failure = Failure {
            code: ProblemCode::CaUnavailable,
            detail: "",
            order: None,
            status: DomainStatus::PendingIssuance,
            consecutive_failures: 0,
            next_attempt_at: Some(now()),
            order_after: None,
            validation_failed: false,
            deferral,
            without: Without::default(),
            checks: &[],
            blamed: &[],
        };
        self.engine.fail(&domain.lease, &failure, &self.chance, now()).await.unwrap();
    }

    /// Ends a look at a name that is not right, or is right and only waits.
    async fn look_ends(&self, domain: &ClaimedDomain, is_right: bool) {
        let checks = Checks { looks: Vec::new(), checked_at: now() };
        let finding = certmill_model::Finding {
            code: ProblemCode::DnsNotFound,
            detail: "there is no record".to_owned(),
        };
        let looked = Looked {
            checks: &checks,
            problem: (!is_right).then_some(&finding),
            status: None,
            consecutive_failures: 1,
            next_look_at: now(),
            solved: &[],
            clock_restarts: false,
        };
        self.engine.looked(domain, &looked, &self.chance, now()).await.unwrap();
    }

    async fn shown_deferral(&self) -> Option<Deferral> {
        let mut tx = self.api.read(Reach::Tenant(self.tenant)).await.unwrap();
        tx.find_domain(&Hostname::parse(NAME).unwrap()).await.unwrap().unwrap().deferral
    }

    async fn answer(&self, certificate: CertificateId, renew_at: OffsetDateTime) {
        let plan = RenewalPlan {
            renew_at,
            window: None,
            explanation_url: None,
            poll_at: Some(now() + Duration::HOUR),
            poll_failures: 0,
        };
        let answered = AnsweredRenewal { certificate_id: certificate, plan };
        self.engine.renewal_infos_answered(&[answered], now()).await.unwrap();
    }
}

fn deferral(until: OffsetDateTime) -> Deferral {
    Deferral { until, limit: LimitKind::OrdersPerAccount, counted: String::new() }
}

#[tokio::test]
async fn a_renewal_that_moves_during_a_step_is_not_forgotten_at_its_end() {
    let base = Base::new().await;
    let looking = base.looked_at(NAME).await;
    base.answer(looking.certificate_id.unwrap(), now()).await;
    base.engine.rest(&looking.lease, Some(now() + Duration::days(20))).await.unwrap();
    let again = base.claim(looking.lease.domain_id).await.expect("it is due at once");
    assert!(again.situation.renew_after <= Some(now()));
}

#[tokio::test]
async fn a_renewal_and_a_retry_that_an_operator_wants_during_a_step_follow_it() {
    let base = Base::new().await;
    let looking = base.looked_at(NAME).await;
    let id = looking.lease.domain_id;
    let mut tx = base.api.platform().await.unwrap();
    assert!(tx.renew_now(id, now()).await.unwrap());
    tx.commit().await.unwrap();
    base.engine.rest(&looking.lease, Some(now() + Duration::days(20))).await.unwrap();
    let again = base.claim(id).await.expect("it is due at once");

    let mut tx = base.api.platform().await.unwrap();
    tx.retry_now(id, now()).await.unwrap();
    tx.commit().await.unwrap();
    base.look_ends(&again, false).await;
    assert!(base.claim(id).await.is_some(), "it is due at once");
}

#[tokio::test]
async fn nothing_is_delivered_again_because_a_renewal_moves() {
    let base = Base::new().await;
    base.sql(
        "WITH made AS (
             INSERT INTO targets (target_id, name, address, public_addresses, settings, state, state_since, next_attempt_at,
                                  created_at)
             VALUES (gen_random_uuid(), 'lb', '127.0.0.1:1', '{}', '{}', 'in_sync', now(), now(), now()) RETURNING 1)
         SELECT count(*) FROM made",
    )
    .await;
    let looking = base.looked_at(NAME).await;
    base.sql(
        "WITH served AS (UPDATE placements SET pending = false, served_certificate_id = wanted_certificate_id,
                             served_revision = wanted_revision RETURNING 1)
         SELECT count(*) FROM served",
    )
    .await;
    base.answer(looking.certificate_id.unwrap(), now()).await;
    base.engine.activate(&[looking.lease.domain_id], &base.chance, now()).await.unwrap();
    assert_eq!(base.sql("SELECT count(*) FROM placements WHERE NOT pending").await, 1);
    assert_eq!(base.sql("SELECT count(*) FROM domains WHERE revision = 2 AND status = 'active'").await, 1);
}

#[tokio::test]
async fn answers_that_move_renewals_do_not_block_one_another_whatever_their_order() {
    let base = Base::new().await;
    let mut certificates = Vec::new();
    for number in 0..20 {
        certificates.push(base.looked_at(&format!("s{number}.example.com")).await.certificate_id.unwrap());
    }
    let mut answering = tokio::task::JoinSet::new();
    for round in 0..40_i64 {
        let engine = base.engine.clone();
        let plan = RenewalPlan {
            renew_at: now() + Duration::days(30) + Duration::hours(round),
            window: None,
            explanation_url: None,
            poll_at: Some(now() + Duration::HOUR),
            poll_failures: 0,
        };
        let mut answered: Vec<_> = certificates
            .iter()
            .map(|id| AnsweredRenewal { certificate_id: *id, plan: plan.clone() })
            .collect();
        if round % 2 == 0 {
            answered.reverse();
        }
        answering.spawn(async move { engine.renewal_infos_answered(&answered, now()).await });
    }
    for done in answering.join_all().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn an_outage_costs_a_deferred_name_its_place_in_no_line() {
    let base = Base::new().await;
    let id = base.put(NAME).await;
    let domain = base.claim(id).await.unwrap();
    let soon = deferral(now() + Duration::HOUR);
    base.fail_at(&domain, Some(&soon)).await;
    assert_eq!(base.shown_deferral().await.map(|shown| shown.limit), Some(LimitKind::OrdersPerAccount));
    let domain = base.claim(id).await.unwrap();
    base.fail_at(&domain, None).await;
    let domain = base.claim(id).await.unwrap();
    assert!(domain.was_deferred);
    base.look_ends(&domain, true).await;
    let domain = base.claim(id).await.unwrap();
    assert!(domain.was_deferred, "it is right, and waits on");
    base.look_ends(&domain, false).await;
    let domain = base.claim(id).await.unwrap();
    assert!(!domain.was_deferred, "what cannot be proved waits for no limit");
}

#[tokio::test]
async fn a_deferral_is_shown_until_its_date_and_ends_with_the_certificate() {
    let base = Base::new().await;
    let id = base.put(NAME).await;
    let domain = base.claim(id).await.unwrap();
    base.fail_at(&domain, Some(&deferral(now() - Duration::SECOND))).await;
    assert_eq!(base.shown_deferral().await, None);
    let domain = base.claim(id).await.unwrap();
    assert!(domain.was_deferred);
    let order = base.start_order(&domain).await.unwrap();
    base.sql("UPDATE domains SET deferred_until = now() + interval '1 hour' RETURNING 1::bigint").await;
    base.issued(&domain, order).await.unwrap();
    assert_eq!(base.sql("SELECT count(*) FROM domains WHERE deferred_until IS NOT NULL").await, 0);
}

#[tokio::test]
async fn the_problem_of_a_domain_that_was_laid_aside_can_be_closed_after_a_person_brought_it_back() {
    let base = Base::new().await;
    let id: DomainId = base.put(NAME).await;
    base.sql("UPDATE domains SET lost_claims = 5 RETURNING 1::bigint").await;
    let mut tx = base.api.platform().await.unwrap();
    tx.retry_now(id, now()).await.unwrap();
    tx.commit().await.unwrap();
    let claimed = base.claim(id).await.expect("it is due");
    assert_eq!((claimed.lost_claims, claimed.lost_before), (0, LOST_CLAIMS));
}

#[tokio::test]
async fn a_tenants_list_of_cas_stays_when_the_tenant_is_put_again_without_one() {
    let base = Base::new().await;
    let put = async |authorities: Option<&[&str]>| {
        let authorities = authorities.map(|names| names.iter().map(ToString::to_string).collect());
        let tenant = certmill_store::Tenant { authorities, ..tenant("Nordwind", &base.chance) };
        let mut tx = base.api.platform().await.unwrap();
        tx.put_tenant(&tenant, now()).await.unwrap();
        let found = tx.find_tenant("Nordwind").await.unwrap().unwrap().authorities;
        tx.commit().await.unwrap();
        found.unwrap_or_default()
    };
    assert_eq!(put(Some(&["main"])).await, ["main"]);
    assert_eq!(put(None).await, ["main"]);
    assert_eq!(put(Some(&["other", "main"])).await, ["other", "main"]);
}
