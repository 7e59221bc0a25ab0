use certmill_model::Hostname;

use super::*;
use crate::{AccountKey, CaSettings, PlaceOrder, find_account, register, roll_over};

#[test]
fn the_steps_of_an_order_can_be_spawned() {
    fn is_send<T: Send>(_: impl FnOnce(Client, Vec<Hostname>, PrivateKey) -> T) {}
    is_send(|client, names, key| async move {
        let mut order = client.place(&PlaceOrder::of(&names)).await?;
        order = client.resume(order.url()).await?;
        let _ = order.challenges(|_, _| ChallengeKind::Http01).await;
        let _ = order.answer().await;
        let _ = order.await_ready(Instant::now()).await;
        let _ = order.finalize(&key).await;
        let _ = order.await_certificate(Instant::now()).await;
        order.refresh().await
    });
}

#[test]
fn what_is_asked_between_orders_can_be_spawned() {
    fn is_send<T: Future<Output: Send> + Send + 'static>(
        _: impl FnOnce(Client, CaSettings, AccountKey) -> T,
    ) {
    }
    is_send(|client, settings, key| async move {
        let clock = client.clock.clone();
        let registration = register(&settings, &key, clock.clone()).await?;
        let url = find_account(&settings, &key, clock.clone()).await?.account_url;
        roll_over(&settings, &url, &key, &AccountKey::generate(), clock.clone()).await?;
        let client = Client::open(&settings, &registration.credentials, clock).await?;
        let _ = client.renewal_info("a.b").await;
        client.revoke(b"").await
    });
}
