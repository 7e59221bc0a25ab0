//! A tenant's domains are configured anew, part by part.

use certmill_model::UpstreamAddress;

use crate::base::{Base, now, tenant};

impl Base {
    /// Gives the tenant another upstream.
    async fn change_upstream(&self, address: &str) {
        let mut tx = self.api.platform().await.unwrap();
        let upstream = UpstreamAddress::parse(address).unwrap();
        let changed = certmill_store::Tenant { upstream, ..tenant("Nordwind", &self.chance) };
        tx.put_tenant(&changed, now()).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn with_revision(&self, revision: i64) -> i64 {
        self.sql(&format!("SELECT count(*) FROM domains WHERE revision = {revision}")).await
    }

    async fn finish(&self) -> usize {
        let mut parts = 0;
        while self.engine.redeliver_more(now()).await.unwrap() {
            parts += 1;
        }
        parts
    }
}

#[tokio::test]
async fn a_million_domains_are_configured_anew_a_thousand_at_a_time_and_each_once() {
    let base = Base::new().await;
    let target = base.target("lb-1", None).await;
    let served = base.issue("zz.example.com").await;
    base.deliver(target).await;
    let before = base.sql("SELECT revision FROM domains").await;
    base.sql(&format!(
        "WITH added AS (
             INSERT INTO domains (domain_id, tenant_id, name, status, status_since, revision, created_at, updated_at)
             SELECT gen_random_uuid(), tenant_id, 'shop-' || n || '.example.com', 'pending_dns', now(), {before}, now(), now()
             FROM tenants, generate_series(1, 2499) AS n RETURNING 1)
         SELECT count(*) FROM added"
    ))
    .await;

    base.change_upstream("127.0.0.1:2").await;
    assert_eq!(base.with_revision(before + 1).await, 1_000, "whoever asks waits for the first part alone");
    let pending =
        format!("SELECT count(*) FROM placements WHERE pending AND domain_id = '{}'", served.uuid());
    assert_eq!(base.sql(&pending).await, 0, "its turn has not come");
    assert_eq!(base.finish().await, 2);
    assert_eq!((base.with_revision(before + 1).await, base.sql(&pending).await), (2_500, 1));
    assert_eq!(base.sql("SELECT count(*) FROM redeliveries").await, 0);

    // Another change on the way begins anew: what had the one before has to have this one, too.
    base.change_upstream("127.0.0.1:3").await;
    base.change_upstream("127.0.0.1:4").await;
    assert_eq!(base.finish().await, 2);
    assert_eq!((base.with_revision(before + 3).await, base.with_revision(before + 2).await), (1_000, 1_500));
}

#[tokio::test]
async fn a_tenant_of_usual_size_is_configured_anew_at_once() {
    let base = Base::new().await;
    let target = base.target("lb-1", None).await;
    base.issue("shop.example.com").await;
    base.deliver(target).await;
    base.change_upstream("127.0.0.1:2").await;
    assert_eq!(base.sql("SELECT count(*) FROM placements WHERE pending").await, 1);
    assert!(!base.engine.redeliver_more(now()).await.unwrap(), "nothing is left for the engine");
}
