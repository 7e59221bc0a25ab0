//! Named places where tests end the process as `kill -9` would.
//!
//! Only builds with the feature `checkpoints` look at the environment; in all others this is nothing.

/// Ends the process here if the environment variable `CERTMILL_DIE_AT` names this checkpoint.
#[cfg(feature = "checkpoints")]
pub fn reached(checkpoint: &str) {
    if std::env::var("CERTMILL_DIE_AT").is_ok_and(|wanted| wanted == checkpoint) {
        tracing::warn!(checkpoint, "ending here, as asked for");
        std::process::abort();
    }
}

/// Nothing, in builds that are not for tests.
#[cfg(not(feature = "checkpoints"))]
pub fn reached(_checkpoint: &str) {}
