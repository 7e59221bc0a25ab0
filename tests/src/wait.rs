//! Waiting for a state.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// For what takes a second or two on an idle machine.
pub const SOON: Duration = Duration::from_secs(30);

/// For what takes longer, or for many at once.
pub const MINUTE: Duration = Duration::from_secs(60);

/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_millis(40);

/// Looks until there is something to see, and answers it. After `within` the test fails: `what` was not seen, and
/// the last look's words say what was seen instead.
pub async fn until<T>(what: &str, within: Duration, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + within;
    loop {
        match look().await {
            Ok(seen) => return seen,
            Err(instead) => {
                assert!(Instant::now() < deadline, "not within {within:?}: {what}; instead: {instead}");
            }
        }
        sleep(PAUSE).await;
    }
}

/// Looks until so many are counted, however long that takes, as long as they become more: the test fails after a minute without
/// progress, which is far more than a lease of somebody who is gone. For many at once: their sum depends on the machine.
pub async fn until_all(what: &str, wanted: i64, mut count: impl AsyncFnMut() -> i64) {
    let mut most = i64::MIN;
    while most < wanted {
        most = until(&format!("{what}, or there is progress"), MINUTE, async || match count().await {
            counted if counted > most => Ok(counted),
            counted => Err(format!("{counted} of {wanted}")),
        })
        .await;
    }
}
