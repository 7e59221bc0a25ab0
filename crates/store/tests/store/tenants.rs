//! Quotas, and the end of tenants.

use certmill_model::{Hostname, TenantId};
use certmill_store::{DomainWish, Put, StoreError};
use time::Duration;

use crate::base::{Base, now};

async fn put(base: &Base, tenant: TenantId, name: &str) -> Result<Put, StoreError> {
    let mut tx = base.api.tenant(tenant).await?;
    let put = tx.put_domain(&DomainWish::of(Hostname::parse(name).unwrap()), &base.chance, now()).await?;
    tx.commit().await?;
    Ok(put)
}

#[tokio::test]
async fn a_quota_is_exact_however_many_names_come_at_once() {
    let base = Base::new().await;
    base.put("first.example.com").await;
    base.sql("WITH q AS (UPDATE tenants SET quota_domains = 20) SELECT count(*) FROM tenants").await;
    let names: Vec<_> = (0..60).map(|at| format!("shop{at}.example.com")).collect();
    let puts = names.iter().map(|name| put(&base, base.tenant, name));
    let outcomes = futures_util::future::join_all(puts).await;
    let created = outcomes.iter().filter(|put| matches!(put, Ok(Put::Created(_)))).count();
    let refused = outcomes.iter().filter(|put| matches!(put, Err(StoreError::QuotaReached))).count();
    assert_eq!((created, refused), (19, 41));
    // What is there already is no new name.
    assert!(matches!(put(&base, base.tenant, "first.example.com").await, Ok(Put::Same(_))));

    let mut tx = base.api.tenant(base.tenant).await.unwrap();
    let name = Hostname::parse("first.example.com").unwrap();
    let id = tx.find_domain(&name).await.unwrap().unwrap().domain_id;
    tx.delete_domain(&name, &base.chance, now()).await.unwrap();
    tx.commit().await.unwrap();
    let leaving = base.claim(id).await.unwrap();
    base.engine.finish_deletion(&leaving.lease, &base.chance, now()).await.unwrap();
    assert!(matches!(put(&base, base.tenant, "next.example.com").await, Ok(Put::Created(_))));
    assert!(matches!(put(&base, base.tenant, "more.example.com").await, Err(StoreError::QuotaReached)));
    base.engine.recount_quotas().await.unwrap();
    assert_eq!(base.sql("SELECT domains::bigint FROM tenant_usage").await, 20);
}

#[tokio::test]
async fn a_suspended_tenant_gets_no_new_names_and_keeps_those_it_has() {
    let base = Base::new().await;
    let id = base.put("shop.example.com").await;
    base.sql("WITH q AS (UPDATE tenants SET status = 'suspended') SELECT count(*) FROM tenants").await;
    assert!(matches!(put(&base, base.tenant, "new.example.com").await, Err(StoreError::Suspended)));
    assert!(matches!(put(&base, base.tenant, "shop.example.com").await, Ok(Put::Same(_))));
    assert!(base.claim(id).await.is_some(), "its names are worked on");
}

#[tokio::test]
async fn a_tenant_is_deleted_after_its_grace_once_its_domains_are_gone() {
    let base = Base::new().await;
    let id = base.put("shop.example.com").await;
    let ending =
        "WITH q AS (UPDATE tenants SET status = 'pending_deletion', delete_after = now() + interval '1 day')
                  SELECT count(*) FROM tenants";
    base.sql(ending).await;
    assert_eq!(base.engine.end_tenants(&base.chance, now()).await.unwrap(), 0, "its grace is not over");
    let later = now() + Duration::days(2);
    assert_eq!(base.engine.end_tenants(&base.chance, later).await.unwrap(), 1);
    let deleted = "SELECT count(*) FROM tenants WHERE status = 'deleted'";
    assert_eq!(base.sql(deleted).await, 0, "its domain is still there");
    base.sql("WITH d AS (UPDATE domains SET next_action_at = now()) SELECT count(*) FROM domains").await;
    let leaving = base.claim(id).await.unwrap();
    base.engine.finish_deletion(&leaving.lease, &base.chance, later).await.unwrap();
    assert_eq!(base.engine.end_tenants(&base.chance, later).await.unwrap(), 0);
    assert_eq!(base.sql(deleted).await, 1);
}
