//! The limits of a CA, by name or by configuration.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::Duration;

use super::{Endpoint, Exemption, LimitKind, Rate};

/// What a CA allows. A limit that is not given is not kept on our side.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitProfile {
    /// New orders of an account.
    pub orders_per_account: Option<Rate>,
    /// Certificates below a registered domain.
    pub certificates_per_registered_domain: Option<Rate>,
    /// Certificates for exactly the same names.
    pub certificates_per_name_set: Option<Rate>,
    /// Failed validations of a name by an account.
    pub failed_validations: Option<Rate>,
    /// Requests to each endpoint, from all workers together.
    pub requests: BTreeMap<Endpoint, Rate>,
    /// Whether renewals are exempt from limits as at Let's Encrypt: inside the suggested window from all, of the same names
    /// from those of new orders and registered domains. Without it each is counted like any other order.
    pub exempts_renewals: bool,
}

/// A profile that makes no sense: an operator has to mend the configuration.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("limit {key} = {rate}: {reason}")]
pub struct InvalidLimits {
    /// The limit, as it is called in the configuration.
    pub key: String,
    /// What is written there.
    pub rate: Rate,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// What sounds like a rate and is a slip: a limit over longer than a year, an endpoint that is asked less than once a minute.
const LONGEST_PERIOD: Duration = Duration::days(366);
const SLOWEST_REQUESTS: Duration = Duration::MINUTE;

impl LimitProfile {
    /// The names of the built-in profiles.
    pub const NAMES: [&str; 3] = ["letsencrypt", "letsencrypt-staging", "none"];

    /// The built-in profile of that name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "letsencrypt" => Some(lets_encrypt()),
            "letsencrypt-staging" => Some(lets_encrypt_staging()),
            "none" => Some(Self::default()),
            _ => None,
        }
    }

    /// The rate of what is counted for orders and names; `None`: there is none, or it is of requests.
    pub fn rate(&self, kind: LimitKind) -> Option<Rate> {
        match kind {
            LimitKind::OrdersPerAccount => self.orders_per_account,
            LimitKind::CertificatesPerRegisteredDomain => self.certificates_per_registered_domain,
            LimitKind::CertificatesPerNameSet => self.certificates_per_name_set,
            LimitKind::FailedValidations => self.failed_validations,
            LimitKind::Requests => None,
        }
    }

    /// What becomes of the reason for an exemption at this CA.
    #[must_use]
    pub fn exemption(&self, reason: Exemption) -> Exemption {
        if self.exempts_renewals { reason } else { Exemption::None }
    }

    /// Says which limit makes no sense, and why.
    pub fn check(&self) -> Result<(), InvalidLimits> {
        for kind in LimitKind::ALL {
            let Some(rate) = self.rate(*kind) else { continue };
            refuse(kind.as_str().to_owned(), rate, nonsense(rate))?;
        }
        for (endpoint, rate) in &self.requests {
            let slow = "an endpoint that is asked less than once a minute would stop all orders";
            let too_slow = (rate.interval() > SLOWEST_REQUESTS).then_some(slow);
            refuse(format!("requests.{endpoint}"), *rate, nonsense(*rate).or(too_slow))?;
        }
        Ok(())
    }
}

fn nonsense(rate: Rate) -> Option<&'static str> {
    if rate.capacity == 0 {
        Some("a capacity of 0 would never let anything through; leave the limit out if there is none")
    } else if rate.period <= Duration::ZERO {
        Some("the period must be longer than nothing")
    } else if rate.period > LONGEST_PERIOD {
        Some("the period is longer than a year")
    } else if rate.period / f64::from(rate.capacity) < Duration::MICROSECOND {
        Some("more than a million a second is no limit; leave it out if there is none")
    } else {
        None
    }
}

fn refuse(key: String, rate: Rate, reason: Option<&'static str>) -> Result<(), InvalidLimits> {
    reason.map_or(Ok(()), |reason| Err(InvalidLimits { key, rate, reason }))
}

/// As published on 2026-08-05, a tenth below each.
fn lets_encrypt() -> LimitProfile {
    let kept = |capacity, period| Some(Rate::new(capacity, period).with_less_burst());
    LimitProfile {
        orders_per_account: kept(300, Duration::hours(3)),
        certificates_per_registered_domain: kept(50, Duration::days(7)),
        certificates_per_name_set: kept(5, Duration::days(7)),
        failed_validations: kept(5, Duration::HOUR),
        requests: requests([
            (Endpoint::NewNonce, 20, 10),
            (Endpoint::NewAccount, 5, 15),
            (Endpoint::NewOrder, 300, 200),
            (Endpoint::RevokeCert, 10, 100),
            (Endpoint::RenewalInfo, 1_000, 100),
            (Endpoint::Directory, 40, 40),
            (Endpoint::Other, 250, 125),
        ]),
        exempts_renewals: true,
    }
}

/// As published on 2026-04-10, a tenth below each.
fn lets_encrypt_staging() -> LimitProfile {
    let kept = |capacity, period| Some(Rate::new(capacity, period).with_less_burst());
    LimitProfile {
        orders_per_account: kept(1_500, Duration::hours(3)),
        certificates_per_registered_domain: kept(30_000, Duration::SECOND),
        certificates_per_name_set: kept(30_000, Duration::days(7)),
        failed_validations: kept(200, Duration::HOUR),
        requests: requests([
            (Endpoint::NewNonce, 20, 10),
            (Endpoint::NewAccount, 5, 15),
            (Endpoint::NewOrder, 20, 40),
            (Endpoint::RevokeCert, 10, 100),
            (Endpoint::RenewalInfo, 1_000, 100),
            (Endpoint::Directory, 40, 40),
            (Endpoint::Other, 20, 20),
        ]),
        exempts_renewals: true,
    }
}

/// From requests a second and the burst on top of them that the CA's load balancer lets through.
fn requests<const N: usize>(published: [(Endpoint, u32, u32); N]) -> BTreeMap<Endpoint, Rate> {
    let rate = |a_second: u32, burst: u32| {
        Rate::new(burst, Duration::SECOND * f64::from(burst) / f64::from(a_second)).slower()
    };
    published.into_iter().map(|(endpoint, a_second, burst)| (endpoint, rate(a_second, burst))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_profile_makes_sense() {
        for name in LimitProfile::NAMES {
            assert_eq!(LimitProfile::named(name).expect(name).check(), Ok(()), "{name}");
        }
        assert_eq!(LimitProfile::named("lets-encrypt"), None);
    }

    #[test]
    fn lets_encrypts_orders_are_taken_at_its_speed_and_with_a_tenth_less_at_once() {
        let rate = LimitProfile::named("letsencrypt").unwrap().orders_per_account.unwrap();
        assert_eq!((rate.capacity, rate.interval()), (270, Duration::seconds(36)));
    }

    #[test]
    fn requests_stay_a_tenth_below_what_is_published() {
        let profile = LimitProfile::named("letsencrypt").unwrap();
        let a_second = |endpoint| Duration::SECOND / profile.requests[&endpoint].interval();
        assert!((a_second(Endpoint::RenewalInfo) - 900.0).abs() < 1.0);
        assert!((a_second(Endpoint::NewNonce) - 18.0).abs() < 0.1);
        assert_eq!(profile.requests[&Endpoint::Other].capacity, 112);
    }

    #[test]
    fn only_a_ca_that_exempts_renewals_is_taken_to_do_so() {
        for (name, of_the_window) in [
            ("letsencrypt", Exemption::Window),
            ("letsencrypt-staging", Exemption::Window),
            ("none", Exemption::None),
        ] {
            let profile = LimitProfile::named(name).unwrap();
            assert_eq!(profile.exemption(Exemption::Window), of_the_window, "{name}");
            assert_eq!(profile.exemption(Exemption::None), Exemption::None, "{name}");
        }
        let own: LimitProfile = serde_json::from_str(r#"{"orders_per_account": "300/3h"}"#).unwrap();
        assert_eq!(own.exemption(Exemption::SameNames), Exemption::None);
        let own: LimitProfile = serde_json::from_str(r#"{"exempts_renewals": true}"#).unwrap();
        assert_eq!(own.exemption(Exemption::SameNames), Exemption::SameNames);
    }

    #[test]
    fn a_limit_that_makes_no_sense_is_refused_with_its_key_and_the_reason() {
        let refused = |kind: &str, rate: Rate| {
            let profile = match kind {
                "orders" => LimitProfile { orders_per_account: Some(rate), ..LimitProfile::default() },
                _ => {
                    LimitProfile { requests: [(Endpoint::NewOrder, rate)].into(), ..LimitProfile::default() }
                }
            };
            profile.check().unwrap_err().to_string()
        };
        let zero = refused("orders", Rate::new(0, Duration::HOUR));
        assert!(zero.starts_with("limit orders_per_account = 0/1h: a capacity of 0"), "{zero}");
        assert!(refused("orders", Rate::new(5, Duration::ZERO)).contains("longer than nothing"));
        assert!(refused("orders", Rate::new(5, Duration::days(400))).contains("longer than a year"));
        assert!(refused("orders", Rate::new(5_000_000, Duration::SECOND)).contains("no limit"));
        let slow = refused("requests", Rate::new(1, Duration::HOUR));
        assert!(slow.starts_with("limit requests.new_order = 1/1h"), "{slow}");
    }

    #[test]
    fn a_profile_is_read_from_configuration_and_an_unknown_limit_is_refused() {
        let read = |text: &str| serde_json::from_str::<LimitProfile>(text);
        let profile =
            read(r#"{"orders_per_account": "3000/3h", "requests": {"new_order": "10/1s"}}"#).unwrap();
        assert_eq!(profile.orders_per_account, Some(Rate::new(3_000, Duration::hours(3))));
        assert_eq!(profile.requests[&Endpoint::NewOrder], Rate::new(10, Duration::SECOND));
        assert!(read(r#"{"orders_per_acount": "3000/3h"}"#).is_err());
        assert!(read(r#"{"orders_per_account": 3000}"#).is_err());
    }
}
