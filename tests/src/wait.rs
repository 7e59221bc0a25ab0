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
