//! What is deleted after a while, and what stays.

use std::cell::Cell;

use crate::base::{Base, now};
use certmill_model::{ReleaseId, SetupLinkId, TrialId};
use certmill_store::Expendable;

impl Base {
    async fn delete(&self, kind: Expendable) -> u64 {
        self.engine.delete_expendable(kind, now(), async || {}).await.unwrap()
    }

    /// A domain with a certificate.
    async fn with_certificate(&self, name: &str) {
        let domain = self.put(name).await;
        let claimed = self.claim(domain).await.unwrap();
        let order = self.start_order(&claimed).await.unwrap();
        self.issued(&claimed, order).await.unwrap();
    }
}

#[tokio::test]
async fn orders_that_came_to_nothing_go_after_90_days() {
    let base = Base::new().await;
    for name in ["old.example.com", "new.example.com", "used.example.com"] {
        let domain = base.put(name).await;
        let claimed = base.claim(domain).await.unwrap();
        base.start_order(&claimed).await.unwrap();
    }
    base.sql(
        "WITH let_go AS (UPDATE domains SET order_id = NULL WHERE name <> 'used.example.com'),
              ended AS (UPDATE orders SET status = 'invalid', updated_at = now() - CASE names[1]
                  WHEN 'new.example.com' THEN interval '89 days' ELSE interval '91 days' END RETURNING 1)
         SELECT count(*) FROM ended",
    )
    .await;
    assert_eq!(base.delete(Expendable::Orders).await, 1);
    assert_eq!(base.sql("SELECT count(*) FROM orders WHERE names[1] = 'old.example.com'").await, 0);
    assert_eq!(base.sql("SELECT count(*) FROM orders").await, 2, "a young one, and one that is referred to");
}

#[tokio::test]
async fn certificates_that_ended_long_ago_go_with_their_orders_but_not_those_in_use() {
    let base = Base::new().await;
    base.with_certificate("replaced.example.com").await;
    base.with_certificate("expired.example.com").await;
    base.with_certificate("valid.example.com").await;
    base.sql(
        "WITH ended AS (
             UPDATE certificates SET not_after = now() - interval '91 days',
                 status = CASE names[1] WHEN 'expired.example.com' THEN 'expired' ELSE 'superseded' END
             WHERE names[1] <> 'valid.example.com' RETURNING certificate_id, names),
         replaced AS (
             UPDATE domains d SET certificate_id = NULL FROM ended e
             WHERE d.certificate_id = e.certificate_id AND e.names[1] = 'replaced.example.com' RETURNING 1)
         SELECT count(*) FROM replaced",
    )
    .await;
    assert_eq!(base.delete(Expendable::Certificates).await, 2, "the certificate and its order");
    let left = "SELECT count(*) FROM certificates c JOIN orders USING (order_id)";
    assert_eq!(base.sql(left).await, 2, "the last one of a name stays, expired or not");
}

#[tokio::test]
async fn certificates_of_domains_that_were_deleted_long_ago_go_too() {
    let base = Base::new().await;
    for name in ["gone.example.com", "lately.example.com", "shop.example.com"] {
        base.with_certificate(name).await;
    }
    base.sql(
        "WITH ended AS (UPDATE certificates SET not_after = now() - interval '91 days'),
              gone AS (UPDATE domains SET status = 'deleted', next_action_at = NULL,
                           status_since = now() - CASE name WHEN 'gone.example.com' THEN interval '91 days'
                                                            ELSE interval '89 days' END
                       WHERE name <> 'shop.example.com' RETURNING 1)
         SELECT count(*) FROM gone",
    )
    .await;
    assert_eq!(base.delete(Expendable::Certificates).await, 2, "the certificate and its order");
    let left =
        "SELECT count(*) FROM certificates WHERE names[1] IN ('lately.example.com', 'shop.example.com')";
    assert_eq!(base.sql(left).await, 2);
    assert_eq!(base.delete(Expendable::Certificates).await, 0);
}

#[tokio::test]
async fn events_go_after_400_days_in_batches() {
    let base = Base::new().await;
    base.put("shop.example.com").await;
    base.sql(
        "WITH filled AS (
             INSERT INTO events (event_id, tenant_id, domain_id, kind, detail, happened_at)
             SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008000'
                     || lpad(to_hex(n), 12, '0'))::uuid, tenant_id, domain_id, 'domain_changed', '', at
             FROM generate_series(1, 2600) n, domains,
                  LATERAL (SELECT now() - CASE WHEN n > 2500 THEN interval '399 days' ELSE interval '401 days' END) t (at)
             RETURNING 1)
         SELECT count(*) FROM filled",
    )
    .await;
    let rests = Cell::new(0);
    let rest = async || rests.set(rests.get() + 1);
    let deleted = base.engine.delete_expendable(Expendable::Events, now(), rest).await.unwrap();
    assert_eq!((deleted, rests.get()), (2_500, 2));
    assert_eq!(base.sql("SELECT count(*) FROM events").await, 101);
}

#[tokio::test]
async fn what_was_seen_of_a_deleted_domain_goes() {
    let base = Base::new().await;
    base.put("gone.example.com").await;
    base.put("shop.example.com").await;
    base.sql(
        "WITH seen AS (INSERT INTO checks (domain_id, tenant_id, observed, checked_at)
                       SELECT domain_id, tenant_id, '{}', now() FROM domains),
              gone AS (UPDATE domains SET status = 'deleted', status_since = now()
                       WHERE name = 'gone.example.com' RETURNING 1)
         SELECT count(*) FROM gone",
    )
    .await;
    assert_eq!(base.delete(Expendable::Checks).await, 1);
    assert_eq!(base.sql("SELECT count(*) FROM checks").await, 1);
}

#[tokio::test]
async fn limits_that_nobody_uses_go_and_those_that_hold_stay() {
    let base = Base::new().await;
    base.sql(
        "WITH filled AS (
             INSERT INTO limit_buckets (owner, kind, key, share_of, full_at, held_until, tail_at)
             SELECT 'acc', 'orders_per_account', n::text, gen_random_uuid(), now() + full_in, now() + held_for, now() + tail
             FROM (VALUES (1, interval '-1 minute', NULL::interval, NULL::interval), (2, interval '1 hour', NULL, NULL),
                          (3, interval '-1 minute', interval '1 hour', NULL),
                          (4, interval '-1 minute', NULL, interval '1 hour')) v (n, full_in, held_for, tail) RETURNING 1)
         SELECT count(*) FROM filled",
    )
    .await;
    assert_eq!(base.delete(Expendable::Buckets).await, 1);
    assert_eq!(base.sql("SELECT count(*) FROM limit_buckets").await, 3);
}

#[tokio::test]
async fn trials_deliveries_and_links_to_owners_go_by_the_age_of_their_ids() {
    let base = Base::new().await;
    let target = base.target("lb1", None).await.uuid();
    let domain = base.put("shop.example.com").await.uuid();
    let (tenant, chance) = (base.tenant.uuid(), &base.chance);
    base.sql(
        "WITH made AS (INSERT INTO templates (name, form, created_at, updated_at)
                       VALUES ('sale', 'shared', now(), now()) RETURNING 1::bigint)
         SELECT * FROM made",
    )
    .await;
    base.sql(
        "INSERT INTO template_versions (name, form, version, source, note, author, created_at)
         VALUES ('sale', 'shared', 1, '', '', 'Ada', now()) RETURNING 1::bigint",
    )
    .await;
    for days in [29, 31, 89, 91, 179, 181] {
        let at = now() - time::Duration::days(days);
        let (trial, deployment, link) = (
            TrialId::new(chance, at).uuid(),
            ReleaseId::new(chance, at).uuid(),
            SetupLinkId::new(chance, at).uuid(),
        );
        for statement in [
            format!(
                "INSERT INTO template_trials (trial_id, name, form, version, domains, author, created_at)
                 VALUES ('{trial}', 'sale', 'shared', 1, '{{}}', 'Ada', now()) RETURNING 1::bigint"
            ),
            format!(
                "INSERT INTO deployments (deployment_id, target_id, status, domains, started_at)
                 VALUES ('{deployment}', '{target}', 'succeeded', 1, now()) RETURNING 1::bigint"
            ),
            format!(
                "INSERT INTO setup_links (hash, link_id, tenant_id, domain_id, language, created_at, expires_at)
                 VALUES (uuid_send('{link}'), '{link}', '{tenant}', '{domain}', 'en', now(), now()) RETURNING 1::bigint"
            ),
        ] {
            base.sql(&statement).await;
        }
    }
    assert_eq!(base.delete(Expendable::Trials).await, 5);
    assert_eq!(base.delete(Expendable::Deployments).await, 3);
    assert_eq!(base.delete(Expendable::SetupLinks).await, 1);
}
