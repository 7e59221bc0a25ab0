//! When certificates are renewed, and what CAs say of it.

use certmill_model::{AccountId, DomainId, Hostname, RenewalPlan, SuggestedWindow};
use certmill_store::{Actor, AnsweredRenewal, AuditEntry, DueRenewalInfo, Reach};
use time::{Duration, OffsetDateTime};

use crate::base::{Base, now};

const NAME: &str = "shop.example.com";

/// A domain with a certificate whose CA tells when to renew.
async fn issued(base: &Base, name: &str) -> DomainId {
    let id = base.put(name).await;
    let domain = base.claim(id).await.unwrap();
    let order = base.start_order(&domain).await.unwrap();
    let names = [Hostname::parse(name).unwrap()];
    let account = base.engine.accounts().await.unwrap()[0].account_id;
    let plan = plan(now() + Duration::days(60), now());
    base.issued_as(&domain, order, &names, &plan, Some(account)).await.unwrap();
    id
}

fn plan(renew_at: OffsetDateTime, poll_at: OffsetDateTime) -> RenewalPlan {
    RenewalPlan { renew_at, window: None, explanation_url: None, poll_at: Some(poll_at), poll_failures: 0 }
}

async fn due(base: &Base) -> Vec<DueRenewalInfo> {
    base.engine.take_due_renewal_infos(10, now() + Duration::SECOND).await.unwrap()
}

async fn renew_after(base: &Base, name: &str) -> OffsetDateTime {
    let mut tx = base.api.read(Reach::Tenant(base.tenant)).await.unwrap();
    let domain = tx.find_domain(&Hostname::parse(name).unwrap()).await.unwrap().unwrap();
    domain.renew_after.unwrap()
}

#[tokio::test]
async fn a_ca_is_asked_by_one_worker_at_a_time_and_its_window_moves_the_renewal() {
    let base = Base::new().await;
    issued(&base, NAME).await;
    let asked = due(&base).await;
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].directory_url, "https://ca.test/dir");
    assert!(due(&base).await.is_empty(), "somebody asks already");

    let earlier = now() + Duration::days(3);
    let window = SuggestedWindow::new(earlier, earlier + Duration::DAY).unwrap();
    let answered = RenewalPlan { window: Some(window), ..plan(earlier, now() + Duration::hours(6)) };
    let answer = AnsweredRenewal { certificate_id: asked[0].certificate_id, plan: answered };
    base.engine.renewal_infos_answered(&[answer], now()).await.unwrap();
    assert_eq!(renew_after(&base, NAME).await, earlier);
    assert!(due(&base).await.is_empty());
    let later = now() + Duration::hours(7);
    let again = base.engine.take_due_renewal_infos(10, later).await.unwrap();
    assert_eq!(again[0].plan.window, Some(window));
    assert_eq!(again[0].plan.renew_at, earlier);
}

#[tokio::test]
async fn nothing_is_asked_for_a_certificate_that_was_replaced() {
    let base = Base::new().await;
    let id = issued(&base, NAME).await;
    let before = due(&base).await;
    base.sql("WITH due AS (UPDATE domains SET next_action_at = now() RETURNING 1) SELECT count(*) FROM due")
        .await;
    let domain = base.claim(id).await.unwrap();
    let order = base.start_order(&domain).await.unwrap();
    base.issued(&domain, order).await.unwrap();
    let planned = renew_after(&base, NAME).await;

    // What the CA said meanwhile is about the one before.
    let answer = AnsweredRenewal { certificate_id: before[0].certificate_id, plan: plan(now(), now()) };
    base.engine.renewal_infos_answered(&[answer], now()).await.unwrap();
    assert_eq!(renew_after(&base, NAME).await, planned);
    assert!(due(&base).await.is_empty());
    assert_eq!(base.sql("SELECT count(*) FROM renewal_info").await, 0, "what is not used is forgotten");
}

#[tokio::test]
async fn a_renewal_that_an_operator_wants_now_is_not_put_off_by_what_the_ca_says_meanwhile() {
    let base = Base::new().await;
    let id = issued(&base, NAME).await;
    let asked = due(&base).await;
    let mut tx = base.api.platform().await.unwrap();
    assert!(tx.renew_now(id, now()).await.unwrap());
    tx.commit().await.unwrap();

    let later = now() + Duration::days(20);
    let window = SuggestedWindow::new(later, later + Duration::DAY).unwrap();
    let answered = RenewalPlan { window: Some(window), ..plan(later, now() + Duration::hours(6)) };
    let answer = AnsweredRenewal { certificate_id: asked[0].certificate_id, plan: answered };
    base.engine.renewal_infos_answered(&[answer], now()).await.unwrap();
    assert!(renew_after(&base, NAME).await < now());
}

#[tokio::test]
async fn planned_renewals_are_counted_by_the_hour() {
    let base = Base::new().await;
    for name in ["one.example.com", "two.example.com", "three.example.com"] {
        issued(&base, name).await;
    }
    let planned = base.engine.planned_renewals().await.unwrap();
    assert_eq!(planned.iter().map(|(_, renewals)| renewals).sum::<u32>(), 3);
}

#[tokio::test]
async fn of_two_that_change_an_accounts_key_both_use_the_one_that_was_first_on_record() {
    let base = Base::new().await;
    issued(&base, NAME).await;
    let account: AccountId = base.engine.accounts().await.unwrap()[0].account_id;
    let actor = Actor::command_line();
    let entry = AuditEntry {
        actor: &actor,
        action: "ca_account.key_changed",
        object_kind: "ca_account",
        object_id: Some(account.to_string()),
        object_name: "example".to_owned(),
        tenant: None,
        detail: serde_json::json!({}),
    };
    let next = |byte| {
        let key = move || certmill_vault::Secret::new(vec![byte]);
        base.engine.next_account_key(account, key, &base.vault, &entry, &base.chance, now())
    };
    let (one, other) = (next(7).await.unwrap(), next(8).await.unwrap());
    assert_eq!((one.expose(), other.expose()), (&[7][..], &[7][..]));
    let told = "SELECT count(*) FROM audit_entries WHERE action = 'ca_account.key_changed'";
    assert_eq!(base.sql(told).await, 1, "only the first of them changed anything");
    let read = async || {
        let new_key = || unreachable!("there is one");
        base.engine.account("https://ca.test/dir", new_key, &base.vault, &base.chance, now()).await.unwrap()
    };
    let (quick, slow) = (read().await, read().await);
    base.engine.account_key_changed(&quick, &one, &base.vault).await.unwrap();
    let changed = read().await;
    assert_eq!(changed.key.expose(), &[7]);
    assert!(changed.next_key.is_none());

    // Whoever ends the first change late does not undo the second.
    next(9).await.unwrap();
    let late = base.engine.account_key_changed(&slow, &one, &base.vault).await;
    assert!(matches!(late, Err(certmill_store::StoreError::LeaseLost)), "{late:?}");
    assert_eq!(read().await.next_key.unwrap().expose(), &[9]);
}
