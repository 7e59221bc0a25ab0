//! Tenants that are served by a group of load balancers, and moves from one group to another.

use std::net::IpAddr;

use certmill_model::{DomainId, GroupId, Label, TargetId};
use certmill_store::{Move, NewTarget, Reach, TargetChange};

use crate::base::{Base, now};

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));

impl Base {
    pub(crate) async fn target(&self, name: &str, group: Option<GroupId>) -> TargetId {
        let new = NewTarget {
            target_id: TargetId::new(&self.chance, now()),
            name: Label::parse(name).unwrap(),
            address: "203.0.113.7:443".parse().unwrap(),
            public_addresses: vec![ADDRESS],
            settings: serde_json::json!({}),
        };
        let mut tx = self.api.platform().await.unwrap();
        let id = tx.put_target(&new, now()).await.unwrap();
        tx.commit().await.unwrap();
        self.regroup(id, group).await;
        id
    }

    async fn regroup(&self, target: TargetId, group_id: Option<GroupId>) {
        let change = TargetChange { public_addresses: vec![ADDRESS], group_id, disabled: false };
        let mut tx = self.api.scoped(Reach::Platform).await.unwrap();
        tx.change_target(target, &change, now()).await.unwrap();
        self.commit(tx).await;
    }

    async fn group(&self, name: &str) -> GroupId {
        let id = GroupId::new(&self.chance, now());
        let mut tx = self.api.scoped(Reach::Platform).await.unwrap();
        tx.add_group(id, &Label::parse(name).unwrap(), now()).await.unwrap();
        self.commit(tx).await;
        id
    }

    async fn assign(&self, group: GroupId) {
        let assign = format!("UPDATE tenants SET target_group_id = '{}' RETURNING 1::bigint", group.uuid());
        self.sql(&assign).await;
    }

    pub(crate) async fn issue(&self, name: &str) -> DomainId {
        let id = self.put(name).await;
        let domain = self.claim(id).await.unwrap();
        let order = self.start_order(&domain).await.unwrap();
        self.issued(&domain, order).await.unwrap();
        id
    }

    /// Plays a delivery: what is wanted on a target is served there, and what is not is gone.
    pub(crate) async fn deliver(&self, target: TargetId) {
        let target = target.uuid();
        self.sql(&format!(
            "WITH gone AS (DELETE FROM placements WHERE target_id = '{target}' AND wanted_certificate_id IS NULL),
                  served AS (
                 UPDATE placements SET served_certificate_id = wanted_certificate_id, pending = false
                 WHERE target_id = '{target}' AND wanted_certificate_id IS NOT NULL)
             SELECT 1::bigint"
        ))
        .await;
    }

    /// Domains that are wanted on a target.
    async fn wanted_on(&self, target: TargetId) -> i64 {
        let query = format!(
            "SELECT count(*) FROM placements WHERE wanted_certificate_id IS NOT NULL AND target_id = '{}'",
            target.uuid()
        );
        self.sql(&query).await
    }

    async fn look_at_moves(&self) -> Vec<Move> {
        let mut found = Vec::new();
        for (tenant, asked_at) in self.engine.moving_tenants(10).await.unwrap() {
            found.push(self.engine.move_tenant(tenant, asked_at, now()).await.unwrap());
        }
        found
    }
}

#[tokio::test]
async fn a_tenant_with_a_group_is_placed_on_the_targets_of_that_group_alone() {
    let base = Base::new().await;
    let europe = base.group("Europe").await;
    let (ours, other) = (base.target("eu-1", Some(europe)).await, base.target("us-1", None).await);
    base.assign(europe).await;
    base.issue("shop.example.com").await;
    assert_eq!((base.wanted_on(ours).await, base.wanted_on(other).await), (1, 0));
    let groups = base.engine.grouped_tenants().await.unwrap();
    assert_eq!(groups.get(&base.tenant), Some(&europe));
}

#[tokio::test]
async fn a_tenant_that_moves_leaves_a_target_only_when_it_is_served_by_the_new_ones() {
    let base = Base::new().await;
    let (old, new) = (base.target("us-1", None).await, base.target("eu-1", None).await);
    base.issue("shop.example.com").await;
    base.deliver(old).await;
    base.deliver(new).await;
    assert_eq!(base.look_at_moves().await, []);

    let europe = base.group("Europe").await;
    base.assign(europe).await;
    // Nobody is in the group yet: nothing is taken off.
    assert_eq!(base.look_at_moves().await, [Move::UnderWay]);
    assert_eq!(base.wanted_on(old).await, 1);
    let third = base.target("eu-2", Some(europe)).await;
    base.regroup(new, Some(europe)).await;
    assert_eq!(base.look_at_moves().await, [Move::UnderWay]);
    // One of the two serves it, the other does not yet.
    assert_eq!(
        (base.wanted_on(old).await, base.wanted_on(new).await, base.wanted_on(third).await),
        (1, 1, 1)
    );
    base.deliver(third).await;
    assert_eq!(base.look_at_moves().await, [Move::UnderWay]);
    assert_eq!(base.wanted_on(old).await, 0);
    base.deliver(old).await;
    assert_eq!(base.look_at_moves().await, [Move::Done]);
    assert_eq!(base.look_at_moves().await, []);
    assert_eq!(
        (base.wanted_on(old).await, base.wanted_on(new).await, base.wanted_on(third).await),
        (0, 1, 1)
    );
}

#[tokio::test]
async fn a_group_that_somebody_is_in_is_not_removed_and_a_name_is_given_once() {
    let base = Base::new().await;
    let europe = base.group("Europe").await;
    let target = base.target("eu-1", Some(europe)).await;
    let mut tx = base.api.scoped(Reach::Platform).await.unwrap();
    assert!(!tx.remove_group(europe).await.unwrap());
    drop(tx);
    base.regroup(target, None).await;
    let mut tx = base.api.scoped(Reach::Platform).await.unwrap();
    let again =
        tx.add_group(GroupId::new(&base.chance, now()), &Label::parse("Europe").unwrap(), now()).await;
    assert!(matches!(again, Err(certmill_store::StoreError::Taken { field: "name" })), "{again:?}");
    drop(tx);
    let mut tx = base.api.scoped(Reach::Platform).await.unwrap();
    assert!(tx.remove_group(europe).await.unwrap());
}
