//! Keeps a lease alive while its step goes on.

use std::future::Future;

use certmill_store::{LEASE, StoreError};

/// Does `work`, and renews its lease every third of its life. Ends early, with [`StoreError::LeaseLost`], when the
/// lease is another's: whatever is done from then on is the other's to do.
pub(crate) async fn while_held<T, R>(
    work: impl Future<Output = T>,
    mut renew: impl FnMut() -> R,
) -> Result<T, StoreError>
where
    R: Future<Output = Result<(), StoreError>>,
{
    let lost = async {
        loop {
            tokio::time::sleep(LEASE / 3).await;
            match renew().await {
                Err(StoreError::LeaseLost) => break,
                // The database may be back before the lease runs out.
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "a lease was not renewed");
                }
                Ok(()) => {}
            }
        }
    };
    tokio::select! {
        done = work => Ok(done),
        () = lost => Err(StoreError::LeaseLost),
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, time::Duration};

    use super::*;

    const LONG: Duration = Duration::from_secs(24 * 3_600);

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_renewed_for_as_long_as_the_work_takes() {
        let renewed = Cell::new(0);
        let renew = || {
            renewed.set(renewed.get() + 1);
            std::future::ready(Ok(()))
        };
        assert!(while_held(tokio::time::sleep(LEASE * 3), renew).await.is_ok());
        assert!(renewed.get() >= 8, "{}", renewed.get());
    }

    #[tokio::test(start_paused = true)]
    async fn work_whose_lease_is_lost_ends() {
        let ended =
            while_held(tokio::time::sleep(LONG), || std::future::ready(Err(StoreError::LeaseLost))).await;
        assert!(matches!(ended, Err(StoreError::LeaseLost)));
    }
}
