//! When a rule acts.

use std::ops::Range;
use std::time::Duration;

use super::endpoint::Endpoint;
use super::request::Asked;

/// When a rule acts: on which requests, and on which of those.
#[derive(Clone, Debug)]
pub struct When {
    requests: Requests,
    name: Option<String>,
    pub(super) during: Option<Range<Duration>>,
    which: Which,
}

#[derive(Clone, Debug)]
enum Requests {
    Any,
    AnyPost,
    Of(Vec<Endpoint>),
}

#[derive(Clone, Copy, Debug)]
enum Which {
    All,
    Nth(usize),
    First(usize),
    After(usize),
    Chance(f64),
}

impl When {
    /// On every request.
    pub fn any() -> Self {
        Self::on(Requests::Any)
    }

    /// On every request that is signed.
    pub fn any_post() -> Self {
        Self::on(Requests::AnyPost)
    }

    /// On requests to an endpoint.
    pub fn of(endpoint: Endpoint) -> Self {
        Self::of_these(&[endpoint])
    }

    /// On requests to one of these endpoints.
    pub fn of_these(endpoints: &[Endpoint]) -> Self {
        Self::on(Requests::Of(endpoints.to_vec()))
    }

    /// Only on requests about this name: new orders with it, and all that belongs to such an order.
    #[must_use]
    pub fn about(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Only from so long to so long after the rule was added.
    #[must_use]
    pub fn during(mut self, window: Range<Duration>) -> Self {
        self.during = Some(window);
        self
    }

    /// Only on the nth of these requests, the first being 1.
    #[must_use]
    pub fn nth(self, number: usize) -> Self {
        self.which(Which::Nth(number))
    }

    /// Only on so many of these requests, and on none after them.
    #[must_use]
    pub fn first(self, count: usize) -> Self {
        self.which(Which::First(count))
    }

    /// On none of so many of these requests, and on all after them.
    #[must_use]
    pub fn after(self, count: usize) -> Self {
        self.which(Which::After(count))
    }

    /// With this probability, above 0 and up to 1.
    #[must_use]
    pub fn with_chance(self, probability: f64) -> Self {
        self.which(Which::Chance(probability))
    }

    /// Whether there is a request on which this acts.
    pub(super) fn can_be(&self) -> bool {
        let which = match self.which {
            Which::All | Which::After(_) => true,
            Which::Nth(number) | Which::First(number) => number > 0,
            Which::Chance(probability) => probability > 0.0 && probability <= 1.0,
        };
        let requests = !matches!(&self.requests, Requests::Of(endpoints) if endpoints.is_empty());
        which && requests && self.during.as_ref().is_none_or(|window| !window.is_empty())
    }

    /// Whether it is about this request, `age` after the rule was added.
    pub(super) fn is_about(&self, asked: &Asked, age: Duration) -> bool {
        let requested = match &self.requests {
            Requests::Any => true,
            Requests::AnyPost => asked.is_signed(),
            Requests::Of(endpoints) => endpoints.contains(&asked.endpoint),
        };
        requested
            && self.name.as_ref().is_none_or(|name| asked.names.contains(name))
            && self.during.as_ref().is_none_or(|window| window.contains(&age))
    }

    /// Whether it acts on the request that is the `number`th of those it is about; `draw` is from 0 up to 1.
    pub(super) fn acts_on(&self, number: usize, draw: impl FnOnce() -> f64) -> bool {
        match self.which {
            Which::All => true,
            Which::Nth(nth) => number == nth,
            Which::First(count) => number <= count,
            Which::After(count) => number > count,
            Which::Chance(probability) => draw() < probability,
        }
    }

    fn on(requests: Requests) -> Self {
        Self { requests, name: None, during: None, which: Which::All }
    }

    fn which(mut self, which: Which) -> Self {
        assert!(matches!(self.which, Which::All), "one of nth, first, after and with_chance is enough");
        self.which = which;
        self
    }
}
