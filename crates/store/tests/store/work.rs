//! What is worked on next, and what is laid aside.

use std::collections::BTreeSet;

use crate::base::{Base, now, tenant};
use certmill_model::{DomainId, LOST_CLAIMS, TenantId};
use certmill_store::{Due, StoreError};
use time::Duration;

/// New names of one tenant, due for an hour.
const IMPORT: &str = "WITH filled AS (
    INSERT INTO domains (domain_id, tenant_id, name, status, status_since, next_action_at, created_at, updated_at)
    SELECT gen_random_uuid(), (SELECT tenant_id FROM tenants ORDER BY created_at LIMIT 1), 's' || n || '.example.com',
           'pending_dns', now(), now() - interval '1 hour', now(), now()
    FROM generate_series(1, 500) n RETURNING 1)
    SELECT count(*) FROM filled";

impl Base {
    async fn due(&self, room: i64, from: Option<TenantId>) -> Due {
        let mut tx = self.engine.begin_nudges().await.unwrap();
        let at = now() + Duration::SECOND;
        let due = self.engine.take_due_domains(&mut tx, room, from, at).await.unwrap();
        tx.commit().await.unwrap();
        due
    }

    async fn troubled(&self) -> Vec<DomainId> {
        let mut tx = self.engine.begin_nudges().await.unwrap();
        let due = self.engine.take_due_troubled(&mut tx, 9, now() + Duration::SECOND).await.unwrap();
        tx.commit().await.unwrap();
        ids(&due)
    }

    /// Claims a domain and lets the lease run out, as a worker does that is gone.
    async fn lose(&self, domain: DomainId) -> Result<u32, StoreError> {
        let claimed = self.engine.claim_domain(domain, now() + Duration::SECOND).await;
        self.sql("UPDATE domains SET lease_until = now() - interval '1 second' RETURNING 1::bigint").await;
        Ok(claimed?.expect("it is due").lost_claims)
    }

    async fn park(&self, domain: DomainId) -> bool {
        let until = now() + Duration::DAY;
        self.engine.park(domain, LOST_CLAIMS, until, &self.chance, now()).await.unwrap()
    }
}

fn ids(due: &Due) -> Vec<DomainId> {
    due.taken.iter().map(|(id, _)| *id).collect()
}

#[tokio::test]
async fn a_name_that_fails_is_due_in_a_lane_of_its_own() {
    let base = Base::new().await;
    let healthy = base.put("shop.example.com").await;
    let failing = base.put("gone.example.com").await;
    base.sql(
        "UPDATE domains SET consecutive_failures = 1 WHERE name = 'gone.example.com' RETURNING 1::bigint",
    )
    .await;
    assert_eq!(ids(&base.due(9, None).await), [healthy]);
    assert_eq!(base.troubled().await, [failing]);
    assert!(
        base.due(9, None).await.taken.is_empty() && base.troubled().await.is_empty(),
        "each is told once"
    );
}

#[tokio::test]
async fn a_single_name_is_taken_at_once_though_an_import_of_another_tenant_is_due() {
    let base = Base::new().await;
    base.sql(IMPORT).await;
    let single = {
        let mut platform = base.api.platform().await.unwrap();
        let other = platform.put_tenant(&tenant("Südwind", &base.chance), now()).await.unwrap();
        platform.commit().await.unwrap();
        base.put_for(other, "single.example.net").await
    };
    let due = base.due(8, None).await;
    assert!(due.is_more);
    assert_eq!(due.taken.len(), 8);
    assert_eq!(ids(&due)[1], single);
}

#[tokio::test]
async fn what_ends_soonest_is_taken_first() {
    let base = Base::new().await;
    base.sql(IMPORT).await;
    base.sql("UPDATE domains SET expires_at = now() + interval '20 days' RETURNING 1::bigint").await;
    let urgent = base.put("urgent.example.net").await;
    base.sql(
        "UPDATE domains SET expires_at = now() + interval '1 day' WHERE name = 'urgent.example.net' RETURNING 1::bigint",
    )
    .await;
    assert_eq!(ids(&base.due(8, None).await)[0], urgent);
}

#[tokio::test]
async fn every_tenant_has_its_turn_however_many_there_are() {
    let base = Base::new().await;
    base.sql(IMPORT).await;
    base.sql(
        "WITH owners AS (
             INSERT INTO tenants (tenant_id, name, template, upstream, created_at)
             SELECT gen_random_uuid(), 'tenant ' || n, 'storefront', '127.0.0.1:1', now() FROM generate_series(1, 300) n
             RETURNING tenant_id, name
         ), filled AS (
             INSERT INTO domains (domain_id, tenant_id, name, status, status_since, next_action_at, created_at, updated_at)
             SELECT gen_random_uuid(), tenant_id, replace(name, ' ', '') || '.example.net', 'pending_dns', now(), now(),
                    now(), now() FROM owners RETURNING 1)
         SELECT count(*) FROM filled",
    )
    .await;
    let (mut next, mut taken) = (None, BTreeSet::new());
    for _ in 0..4 {
        let due = base.due(130, next).await;
        assert!(due.is_more);
        next = due.next_tenant;
        taken.extend(ids(&due));
    }
    assert_eq!(taken.len(), 4 * 130, "nobody twice");
    let left = "SELECT count(*) FROM domains WHERE name LIKE '%.example.net' AND nudged_until IS NULL";
    assert_eq!(base.sql(left).await, 0, "each of the 300 before the last of the 500");
}

#[tokio::test]
async fn a_domain_whose_claims_come_to_nothing_is_laid_aside_and_brought_back_by_a_person() {
    let base = Base::new().await;
    let domain = base.put("shop.example.com").await;
    for lost in 0..=LOST_CLAIMS {
        assert!(!base.park(domain).await, "not yet");
        assert_eq!(base.lose(domain).await.unwrap(), lost);
    }
    assert!(base.park(domain).await);
    assert!(base.claim(domain).await.is_none(), "it is not due for a day");
    assert_eq!(base.sql("SELECT count(*) FROM problems WHERE code = 'internal'").await, 1);

    let mut platform = base.api.platform().await.unwrap();
    platform.retry_now(domain, now()).await.unwrap();
    platform.commit().await.unwrap();
    assert_eq!(base.claim(domain).await.expect("it is due").lost_claims, 0);
}

#[tokio::test]
async fn after_its_day_a_domain_that_was_laid_aside_begins_anew() {
    let base = Base::new().await;
    let domain = base.put("shop.example.com").await;
    for _ in 0..=LOST_CLAIMS {
        base.lose(domain).await.unwrap();
    }
    assert!(base.park(domain).await);
    base.sql("UPDATE domains SET next_action_at = now() RETURNING 1::bigint").await;
    let claimed = base.claim(domain).await.expect("it is due");
    assert_eq!((claimed.lost_claims, claimed.lost_before), (0, LOST_CLAIMS));
}

#[tokio::test]
async fn claims_that_are_recorded_do_not_count() {
    let base = Base::new().await;
    let domain = base.put("shop.example.com").await;
    base.lose(domain).await.unwrap();
    let claimed = base.claim(domain).await.expect("it is due");
    assert_eq!(claimed.lost_claims, 1);
    base.engine.rest(&claimed.lease, Some(now())).await.unwrap();
    assert_eq!(base.claim(domain).await.expect("it is due").lost_claims, 0);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_laid_aside_as_well() {
    let base = Base::new().await;
    let domain = base.put("shop.example.com").await;
    base.sql("UPDATE domains SET status = 'strange' RETURNING 1::bigint").await;
    for _ in 0..=LOST_CLAIMS {
        assert!(!base.park(domain).await);
        assert!(matches!(base.lose(domain).await, Err(StoreError::Inconsistent { .. })));
    }
    assert!(base.park(domain).await);
}
