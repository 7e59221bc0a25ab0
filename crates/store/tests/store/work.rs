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

    async fn names(&self, domains: &[DomainId]) -> Vec<String> {
        let mut tx = self.api.read(certmill_store::Reach::Platform).await.unwrap();
        let all = tx.list_domains(None, 10_000).await.unwrap();
        let name =
            |id: &DomainId| all.iter().find(|domain| domain.domain_id == *id).unwrap().name.to_string();
        domains.iter().map(name).collect()
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

/// Names that never had a certificate, due for hours, and one each of those that come before them.
const DEAD: &str = "WITH filled AS (
    INSERT INTO domains (domain_id, tenant_id, name, status, status_since, next_action_at, consecutive_failures, expires_at,
                         created_at, updated_at)
    SELECT gen_random_uuid(), (SELECT tenant_id FROM tenants LIMIT 1), name, status, now(), now() - due, 3, now() + ends,
           now(), now()
    FROM (SELECT 'd' || n || '.example.com', 'failed', interval '5 hours', NULL::interval FROM generate_series(1, 3000) n
          UNION ALL
          VALUES ('late.example.com', 'active', interval '1 minute', interval '20 days'),
                 ('soon.example.com', 'active', interval '1 second', interval '1 day'),
                 ('over.example.com', 'expired', interval '4 hours', interval '-90 days'))
        AS v (name, status, due, ends) RETURNING domain_id, tenant_id, name, expires_at
), ordered AS (
    INSERT INTO orders (order_id, tenant_id, domain_id, account_id, names, status, created_at, updated_at)
    SELECT f.domain_id, f.tenant_id, f.domain_id, a.account_id, ARRAY[f.name], 'valid', now(), now() FROM filled f, accounts a
    WHERE f.expires_at IS NOT NULL
), issued AS (
    INSERT INTO certificates (certificate_id, tenant_id, domain_id, order_id, names, status, serial_number, fingerprint,
                              issuer, not_before, not_after, fullchain, created_at)
    SELECT domain_id, tenant_id, domain_id, domain_id, ARRAY[name], 'active', '01', '', 'CN=test', now(), expires_at, 'PEM', now()
    FROM filled WHERE expires_at IS NOT NULL
)
SELECT count(*) FROM filled";

#[tokio::test]
async fn what_has_a_certificate_comes_before_names_that_never_had_one() {
    let base = Base::new().await;
    let ordering = base.put("ordering.example.net").await;
    let claimed = base.claim(ordering).await.unwrap();
    base.start_order(&claimed).await.unwrap();
    base.sql(DEAD).await;
    base.sql(
        "WITH held AS (UPDATE domains SET certificate_id = domain_id WHERE expires_at IS NOT NULL),
              failed AS (UPDATE domains SET consecutive_failures = 1, lease_until = NULL, next_action_at = now()
                         WHERE order_id IS NOT NULL RETURNING 1)
         SELECT count(*) FROM failed",
    )
    .await;
    let first = base.names(&base.troubled().await).await;
    let expected = ["soon.example.com", "late.example.com", "over.example.com", "ordering.example.net"];
    assert_eq!(first[..4], expected);
    assert_eq!(first.len(), 8, "of nine places dead names have no more than half: {first:?}");
    assert!(first[4..].iter().all(|name| name.starts_with('d')));
    assert_eq!(base.troubled().await.len(), 9, "they have the room that nobody else needs");
}

#[tokio::test]
async fn names_that_never_had_a_certificate_have_a_part_of_the_room_however_much_else_is_due() {
    let base = Base::new().await;
    let ordering = base.put("ordering.example.net").await;
    let claimed = base.claim(ordering).await.unwrap();
    base.start_order(&claimed).await.unwrap();
    base.sql(DEAD).await;
    let urgent = "s1.example.com";
    base.sql(IMPORT).await;
    base.sql(
        "WITH failing AS (
             UPDATE domains SET consecutive_failures = 1, certificate_id = (SELECT certificate_id FROM certificates LIMIT 1),
                 expires_at = now() + CASE name WHEN 's1.example.com' THEN interval '1 day' ELSE interval '15 days' END,
                 next_action_at = now() - CASE name WHEN 's1.example.com' THEN interval '0' ELSE interval '1 hour' END
             WHERE name LIKE 's%' RETURNING 1)
         SELECT count(*) FROM failing",
    )
    .await;
    let names = base.names(&base.troubled().await).await;
    assert_eq!(names[0], urgent, "what ends soonest is found behind what is due for longer");
    assert_eq!(names.iter().filter(|name| name.starts_with('d')).count(), 2);
    assert_eq!(names.len(), 9);
}

#[tokio::test]
async fn a_single_new_name_is_found_at_once_among_thousands_of_tenants_that_have_nothing_due() {
    let base = Base::new().await;
    base.sql(IMPORT).await;
    base.sql(
        "WITH owners AS (
             INSERT INTO tenants (tenant_id, name, template, upstream, created_at)
             SELECT gen_random_uuid(), 'tenant ' || n, 'storefront', '127.0.0.1:1', now() FROM generate_series(1, 2000) n
             RETURNING tenant_id, name
         ), filled AS (
             INSERT INTO domains (domain_id, tenant_id, name, status, status_since, next_action_at, created_at, updated_at)
             SELECT gen_random_uuid(), tenant_id, replace(name, ' ', '') || '.example.net', 'pending_dns', now(),
                    CASE WHEN right(name, 3) = '000' THEN now() ELSE now() + interval '10 days' END, now(), now()
             FROM owners RETURNING 1)
         SELECT count(*) FROM filled",
    )
    .await;
    let due = base.due(8, None).await;
    assert_eq!(due.next_tenant, None, "the walk came to the end");
    let taken = base.names(&ids(&due)).await;
    assert!(
        ["tenant1000.example.net", "tenant2000.example.net"]
            .iter()
            .all(|name| taken.contains(&(*name).to_owned()))
    );
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
