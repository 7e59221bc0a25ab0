//! A say in when each request is sent.

use std::{fmt, pin::Pin, sync::Arc};

use certmill_model::Endpoint;

type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Called before each request; the request is sent once what it returns is ready. The time that this takes does not
/// count for the request's own time-out. Cheap to clone.
#[derive(Clone)]
pub struct Pace(Arc<dyn Fn(Endpoint) -> Wait + Send + Sync>);

impl Pace {
    /// Holds each request for as long as `hold` does.
    pub fn new<F>(hold: impl Fn(Endpoint) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self(Arc::new(move |endpoint| Box::pin(hold(endpoint))))
    }

    pub(crate) async fn hold(&self, endpoint: Endpoint) {
        (self.0)(endpoint).await;
    }
}

impl fmt::Debug for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pace")
    }
}
