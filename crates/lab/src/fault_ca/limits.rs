//! Limits as Let's Encrypt has them: token buckets.

use std::time::{Duration, Instant};

use super::endpoint::Endpoint;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(60 * 60);
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A token bucket: it holds `capacity`, and an empty one is full again after `period`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    /// How much goes at once.
    pub capacity: u32,
    /// How long an empty bucket takes to be full.
    pub period: Duration,
}

/// What is limited, and how. [`Limits::default`] limits nothing.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// New orders of an account.
    pub orders_per_account: Option<Rate>,
    /// Certificates below a registered domain, of all accounts together.
    pub certificates_per_registered_domain: Option<Rate>,
    /// Certificates with exactly the same names, of all accounts together.
    pub certificates_per_name_set: Option<Rate>,
    /// Failed validations of a name by an account.
    pub failed_validations: Option<Rate>,
    /// Requests to an endpoint; from one address, as every client of a lab has.
    pub requests: Vec<(Endpoint, Rate)>,
    /// Requests to each endpoint that is not in `requests`, together.
    pub other_requests: Option<Rate>,
}

/// Which of the limits.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Limit {
    /// New orders of an account.
    OrdersPerAccount,
    /// Certificates below a registered domain.
    CertificatesPerRegisteredDomain,
    /// Certificates with exactly the same names.
    CertificatesPerNameSet,
    /// Failed validations of a name by an account.
    FailedValidations,
    /// Requests to an endpoint.
    Requests,
}

impl Limits {
    /// Let's Encrypt's production.
    pub fn lets_encrypt() -> Self {
        Self {
            orders_per_account: Some(rate(300, 3 * HOUR)),
            certificates_per_registered_domain: Some(rate(50, WEEK)),
            certificates_per_name_set: Some(rate(5, WEEK)),
            failed_validations: Some(rate(5, HOUR)),
            requests: vec![
                (Endpoint::NewNonce, per_second(20, 10)),
                (Endpoint::NewAccount, per_second(5, 15)),
                (Endpoint::NewOrder, per_second(300, 200)),
                (Endpoint::RevokeCertificate, per_second(10, 100)),
                (Endpoint::RenewalInfo, per_second(1000, 100)),
                (Endpoint::Directory, per_second(40, 40)),
            ],
            other_requests: Some(per_second(250, 125)),
        }
    }

    /// Let's Encrypt's staging environment.
    pub fn lets_encrypt_staging() -> Self {
        Self {
            orders_per_account: Some(rate(1500, 3 * HOUR)),
            certificates_per_registered_domain: Some(rate(30_000, SECOND)),
            certificates_per_name_set: Some(rate(30_000, WEEK)),
            failed_validations: Some(rate(200, HOUR)),
            requests: vec![
                (Endpoint::NewNonce, per_second(20, 10)),
                (Endpoint::NewAccount, per_second(5, 15)),
                (Endpoint::NewOrder, per_second(20, 40)),
                (Endpoint::RevokeCertificate, per_second(10, 100)),
                (Endpoint::RenewalInfo, per_second(1000, 100)),
                (Endpoint::Directory, per_second(40, 40)),
            ],
            other_requests: Some(per_second(20, 20)),
        }
    }

    /// The rate of requests to an endpoint, and what shares it.
    pub(super) fn requests_to(&self, endpoint: Endpoint) -> Option<(Rate, String)> {
        let own = self.requests.iter().find(|(limited, _)| *limited == endpoint);
        own.map(|(_, rate)| (*rate, endpoint.to_string()))
            .or_else(|| self.other_requests.map(|rate| (rate, "others".to_owned())))
    }
}

fn rate(capacity: u32, period: Duration) -> Rate {
    Rate { capacity, period }
}

fn per_second(rate: u32, burst: u32) -> Rate {
    Rate { capacity: burst, period: SECOND * burst / rate }
}

/// When a bucket will be full (the generic cell rate algorithm's theoretical arrival time).
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket(Instant);

impl Bucket {
    pub(super) fn full(now: Instant) -> Self {
        Self(now)
    }

    /// Nothing, when there is one to take; else how long until then.
    pub(super) fn wait(self, rate: Rate, now: Instant) -> Option<Duration> {
        let after = self.0.max(now) + each(rate);
        let latest = now + rate.period;
        (after > latest).then(|| after - latest)
    }

    /// Takes one, whether there is one or not.
    pub(super) fn take(&mut self, rate: Rate, now: Instant) {
        self.0 = self.0.max(now) + each(rate);
    }

    /// Puts one back.
    pub(super) fn put_back(&mut self, rate: Rate) {
        self.0 -= each(rate);
    }
}

fn each(rate: Rate) -> Duration {
    rate.period / rate.capacity.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_capacity_at_once_and_then_one_at_a_time() {
        let rate = Rate { capacity: 3, period: 3 * SECOND };
        let start = Instant::now();
        let mut bucket = Bucket::full(start);
        for _ in 0..3 {
            assert_eq!(bucket.wait(rate, start), None);
            bucket.take(rate, start);
        }
        assert_eq!(bucket.wait(rate, start), Some(SECOND));
        assert_eq!(bucket.wait(rate, start + SECOND / 4), Some(SECOND * 3 / 4));
        assert_eq!(bucket.wait(rate, start + SECOND), None);
        bucket.take(rate, start + SECOND);
        assert_eq!(bucket.wait(rate, start + SECOND), Some(SECOND));
        bucket.put_back(rate);
        assert_eq!(bucket.wait(rate, start + SECOND), None);
    }

    #[test]
    fn a_bucket_that_was_left_alone_holds_no_more_than_its_capacity() {
        let rate = Rate { capacity: 2, period: 2 * SECOND };
        let start = Instant::now();
        let (mut bucket, later) = (Bucket::full(start), start + HOUR);
        for _ in 0..2 {
            assert_eq!(bucket.wait(rate, later), None);
            bucket.take(rate, later);
        }
        assert_eq!(bucket.wait(rate, later), Some(SECOND));
    }

    #[test]
    fn lets_encrypts_limits_refill_as_it_says() {
        let production = Limits::lets_encrypt();
        assert_eq!(production.orders_per_account.map(each), Some(36 * SECOND));
        let refill = production.certificates_per_registered_domain.map(each).unwrap();
        assert_eq!(refill.as_secs() / 60, 201, "1 per 202 minutes");
        assert_eq!(production.failed_validations.map(each), Some(12 * 60 * SECOND));
        let (nonces, _) = production.requests_to(Endpoint::NewNonce).unwrap();
        assert_eq!((nonces.capacity, each(nonces)), (10, SECOND / 20));
        let (orders, others) = production.requests_to(Endpoint::Order).unwrap();
        assert_eq!((orders.capacity, each(orders), &*others), (125, SECOND / 250, "others"));
    }
}
