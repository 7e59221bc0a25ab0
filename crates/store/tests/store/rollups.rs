//! The sums behind the pictures are the truth, after whatever happened.

use std::time::Duration;

use certmill_model::{DomainStatus, Health, OrderStatus, ProblemCode};
use certmill_store::{OrderFailure, Reach};

use crate::base::{Base, now};

impl Base {
    async fn sum_up(&self) -> bool {
        self.engine.sum_up(Duration::ZERO, now()).await.unwrap()
    }
}

#[tokio::test]
async fn after_a_burst_the_sums_equal_the_rows() {
    let base = Base::new().await;
    for number in 0..30 {
        let domain = base.put(&format!("shop-{number}.example.com")).await;
        let claimed = base.claim(domain).await.unwrap();
        match number % 3 {
            0 => {
                let order = base.start_order(&claimed).await.unwrap();
                base.issued(&claimed, order).await.unwrap();
            }
            1 => {
                let order_id = base.start_order(&claimed).await.unwrap();
                let problem = serde_json::json!({"type": "urn:ietf:params:acme:error:caa"});
                let order = OrderFailure { order_id, status: OrderStatus::Invalid, problem };
                let failure = crate::joint_orders::failure(order, &[]);
                base.engine.fail(&claimed.lease, &failure, &base.chance, now()).await.unwrap();
            }
            _ => {}
        }
    }
    assert!(base.sum_up().await);
    let mut all = base.api.read(Reach::Platform).await.unwrap();
    let sums = all.rollups().await.unwrap();
    assert!(sums.as_of.is_some());
    assert_eq!(
        sums.domains,
        [
            (DomainStatus::PendingDeployment, Health::Ok, 10),
            (DomainStatus::PendingDns, Health::Ok, 10),
            (DomainStatus::PendingIssuance, Health::Critical, 10),
        ]
    );
    assert_eq!(sums.problems, [(ProblemCode::HttpUnreachable, 10)]);
    assert_eq!(sums.expiry.iter().map(|(_, _, count)| count).sum::<i64>(), 10);
    let planned = all.planned_renewals_by_day(now().date()).await.unwrap();
    assert_eq!(planned.iter().map(|(_, count)| count).sum::<i64>(), 10);
    let mut ended = all.ended_orders(now() - time::Duration::DAY).await.unwrap();
    ended.retain(|one| one.result == OrderStatus::Invalid);
    assert_eq!(ended.iter().map(|one| (one.code.as_str(), one.count)).collect::<Vec<_>>(), [("caa", 10)]);
    let own = base.api.read(Reach::Tenant(base.tenant)).await.unwrap().rollups().await.unwrap();
    assert_eq!(own.domains, sums.domains);
}

#[tokio::test]
async fn what_is_there_no_more_is_in_no_sum_and_nothing_is_counted_twice() {
    let base = Base::new().await;
    base.put("shop.example.com").await;
    assert!(base.sum_up().await);
    assert!(!base.sum_up().await, "nothing has changed");
    base.sql("UPDATE domains SET status = 'deleted', updated_at = now() RETURNING 1::bigint").await;
    assert!(base.sum_up().await);
    for table in ["rollup_domains", "rollup_expiry", "rollup_problems", "rollup_renewals"] {
        let mut owner = <sqlx::PgConnection as sqlx::Connection>::connect(&base.url).await.unwrap();
        let count = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        let rows: i64 = sqlx::query_scalar(count).fetch_one(&mut owner).await.unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}

#[tokio::test]
async fn of_many_processes_one_counts() {
    let base = Base::new().await;
    base.put("shop.example.com").await;
    let hour = Duration::from_secs(3_600);
    let (one, other) = tokio::join!(base.engine.sum_up(hour, now()), base.engine.sum_up(hour, now()));
    assert_ne!(one.unwrap(), other.unwrap());
}
