//! Many tenants over few connections, and callers that go away in the middle: no connection may remember whose it was.

use std::{
    collections::BTreeMap,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use certmill_model::{Chance, DomainId, Hostname, TenantId};
use certmill_store::{Api, Reach, connect_api};
use certmill_vault::ApiToken;
use tokio::task::JoinSet;

use crate::base::{Base, now, tenant};

const TENANTS: usize = 8;
const TASKS: u64 = 200;
const LOOKS: usize = 25;
const CONNECTIONS: u32 = 4;

/// What the tasks saw.
#[derive(Default)]
struct Seen {
    own: usize,
    foreign: usize,
    given_up: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_on_shared_connections_see_only_their_own_even_when_some_give_up_halfway() {
    let base = Base::new().await;
    let owners = Arc::new(fill(&base).await);
    let api = connect_api(&base.url, CONNECTIONS).await.unwrap();
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        tasks.spawn(looks(api.clone(), owners.clone(), Chance::seeded(task)));
    }
    let mut all = Seen::default();
    while let Some(seen) = tasks.join_next().await {
        let seen = seen.unwrap();
        all.own += seen.own;
        all.foreign += seen.foreign;
        all.given_up += seen.given_up;
    }
    assert_eq!(all.foreign, 0, "of {} rows", all.own);
    assert!(all.own > 1000 && all.given_up > 100, "{} rows, {} given up", all.own, all.given_up);
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_no_transaction_behind() {
    let base = Base::new().await;
    let api = connect_api(&base.url, 1).await.unwrap();
    let nobody = ApiToken::generate().hash();
    let keys = ["account ada@example.com", "address ::1"].map(str::to_owned);
    let attempt = base.api.count_login_attempt(&keys, now(), now(), |_| None).await.unwrap().unwrap();
    base.sql("UPDATE login_failures SET failures = 1000 RETURNING 1::bigint").await;
    let (mut tries, mut given_up) = (0, 0);
    // How often a caller has to wait is the machine's affair; two are to give up, of twelve at least.
    for patience in (0..12).cycle().take(240) {
        if tries >= 12 && given_up >= 2 {
            break;
        }
        // This one only reads, and whoever comes next on its connection would be refused to write.
        given_up += i64::from(with_patience(api.read(Reach::Platform), patience).await.is_none());
        tries += 1;
        api.login_succeeded(&attempt, &keys[0]).await.unwrap();
        assert!(api.token_holder(&nobody, now()).await.unwrap().is_none());
    }
    assert!(given_up >= 2 && given_up < tries, "{given_up} of {tries}");
    let left = base.sql("SELECT failures::bigint FROM login_failures").await;
    assert_eq!(left, 1000 - tries, "what is written lasts");
}

/// Two domains for each tenant; who owns which.
async fn fill(base: &Base) -> BTreeMap<DomainId, TenantId> {
    let mut owners = BTreeMap::new();
    for number in 0..TENANTS {
        let mut platform = base.api.platform().await.unwrap();
        let new = tenant(&format!("Tenant {number}"), &base.chance);
        let id = platform.put_tenant(&new, now()).await.unwrap();
        platform.commit().await.unwrap();
        for shop in ["a", "b"] {
            owners.insert(base.put_for(id, &format!("{shop}{number}.brand.de")).await, id);
        }
    }
    owners
}

/// One caller after another, each of a tenant or the platform, each of whom may give up at any point.
async fn looks(api: Api, owners: Arc<BTreeMap<DomainId, TenantId>>, chance: Chance) -> Seen {
    let mut seen = Seen::default();
    let tenants: Vec<_> = owners.values().copied().collect();
    for _ in 0..LOOKS {
        let own = tenants[one_of(&chance, tenants.len())];
        let looking = look(&api, own, one_of(&chance, 4));
        match with_patience(looking, one_of(&chance, 16)).await {
            None => seen.given_up += 1,
            Some(found) => {
                let foreign = found.iter().filter(|domain| owners[domain] != own).count();
                seen.foreign += foreign;
                seen.own += found.len() - foreign;
            }
        }
    }
    seen
}

/// The domains that are seen. Callers of the platform see everybody's; they are here to leave their reach behind.
async fn look(api: &Api, own: TenantId, way: usize) -> Vec<DomainId> {
    let mut tx = match way {
        0 => api.scoped(Reach::Tenant(own)).await.unwrap(),
        1 => api.read(Reach::Platform).await.unwrap(),
        _ => api.read(Reach::Tenant(own)).await.unwrap(),
    };
    let domains = tx.list_domains(None, 100).await.unwrap();
    let found: Vec<_> = domains.iter().map(|domain| domain.domain_id).collect();
    if way == 1 { Vec::new() } else { found }
}

/// What `future` comes to; none if it has to wait more than `patience` times, and is dropped where it waits then.
async fn with_patience<T>(future: impl Future<Output = T>, patience: usize) -> Option<T> {
    let (mut future, mut waits) = (pin!(future), 0);
    poll_fn(|context| {
        if waits > patience {
            return Poll::Ready(None);
        }
        waits += 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

fn one_of(chance: &Chance, count: usize) -> usize {
    (chance.fraction() * count as f64) as usize
}

#[tokio::test]
async fn a_server_gives_up_what_takes_longer_than_whoever_asked_waits_for_it() {
    let base = Base::new().await;
    base.put("shop.example.com").await;
    let name = Hostname::parse("shop.example.com").unwrap();
    let mut holder = base.api.tenant(base.tenant).await.unwrap();
    holder.lock_domain(&name).await.unwrap();
    let server =
        certmill_store::connect_server(&base.url, 1, std::time::Duration::from_millis(200)).await.unwrap();
    let mut tx = server.tenant(base.tenant).await.unwrap();
    let refused = tx.lock_domain(&name).await.unwrap_err();
    assert!(refused.took_too_long(), "{refused:?}");
    drop((tx, holder));
    let mut tx = server.tenant(base.tenant).await.unwrap();
    assert!(tx.lock_domain(&name).await.unwrap().is_some(), "its one connection works on");
}
