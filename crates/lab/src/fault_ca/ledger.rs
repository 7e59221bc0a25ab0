//! Who took how much of what is limited.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use time::macros::format_description;

use super::answer::Answer;
use super::endpoint::Endpoint;
use super::limits::{Bucket, Limit, Limits, Rate};
use super::wall_clock;

const DOCUMENTATION: &str = "https://letsencrypt.org/docs/rate-limits";

/// Who took how much. As at Let's Encrypt, an order is counted when it is placed, a certificate when it is issued, and
/// a failure when it is seen.
#[derive(Default)]
pub(super) struct Ledger {
    limits: Limits,
    buckets: HashMap<(Limit, String), Bucket>,
    /// Sets of names that had a certificate before.
    issued: HashSet<String>,
    /// Orders, by their path, that renew.
    renewals: HashSet<String>,
}

/// What a limit says instead of the CA.
pub(super) struct Refusal {
    pub(super) limit: Limit,
    pub(super) answer: Answer,
}

/// What an order need not keep to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Exemption {
    /// Nothing.
    None,
    /// A certificate with the same names was issued before: orders and certificates of the domain are not counted.
    SameNames,
    /// It replaces a certificate in the window that was suggested for it: nothing is counted.
    Window,
}

impl Ledger {
    pub(super) fn set(&mut self, limits: Limits) {
        self.limits = limits;
        self.buckets.clear();
    }

    /// Takes a request of what an address may send.
    pub(super) fn request(&mut self, endpoint: Endpoint, now: Instant) -> Option<Refusal> {
        let (rate, key) = self.limits.requests_to(endpoint)?;
        let bucket = self.bucket(Limit::Requests, key, now);
        let Some(wait) = bucket.wait(rate, now) else {
            bucket.take(rate, now);
            return None;
        };
        let answer = Answer::problem(503, "rateLimited", "Service busy; retry later.");
        Some(Refusal { limit: Limit::Requests, answer: answer.retry_after_seconds(whole_seconds(wait)) })
    }

    /// Takes an order of what `account` may place, unless a limit refuses it: the one that does so longest.
    pub(super) fn order(
        &mut self,
        account: &str,
        names: &[String],
        in_window: bool,
        now: Instant,
    ) -> Result<Exemption, Box<Refusal>> {
        if in_window {
            return Ok(Exemption::Window);
        }
        let same_names = self.issued.contains(&set_of(names));
        let exemption = if same_names { Exemption::SameNames } else { Exemption::None };
        let wanted = self.wanted(account, names, exemption);
        let refused = wanted.into_iter().filter_map(|(limit, key, rate)| {
            Some((self.bucket(limit, key.clone(), now).wait(rate, now)?, limit, key, rate))
        });
        if let Some((wait, limit, key, rate)) = refused.max_by_key(|(wait, ..)| *wait) {
            return Err(Box::new(Refusal { limit, answer: refusal(limit, &key, rate, wait) }));
        }
        if let (Exemption::None, Some(rate)) = (exemption, self.limits.orders_per_account) {
            self.bucket(Limit::OrdersPerAccount, account.to_owned(), now).take(rate, now);
        }
        Ok(exemption)
    }

    /// Gives back what an order took that was not placed after all.
    pub(super) fn not_placed(&mut self, account: &str, exemption: Exemption, now: Instant) {
        if let (Exemption::None, Some(rate)) = (exemption, self.limits.orders_per_account) {
            self.bucket(Limit::OrdersPerAccount, account.to_owned(), now).put_back(rate);
        }
    }

    /// Notes the path of an order.
    pub(super) fn placed(&mut self, order: &str, exemption: Exemption) {
        if exemption != Exemption::None {
            self.renewals.insert(order.to_owned());
        }
    }

    /// Counts the certificate of an order.
    pub(super) fn issued(&mut self, order: &str, names: &[String], now: Instant) {
        let (set, per_domain) = (set_of(names), self.limits.certificates_per_registered_domain);
        if let (false, Some(rate)) = (self.renewals.contains(order), per_domain) {
            for domain in registered_domains(names) {
                self.bucket(Limit::CertificatesPerRegisteredDomain, domain, now).take(rate, now);
            }
        }
        if let Some(rate) = self.limits.certificates_per_name_set {
            self.bucket(Limit::CertificatesPerNameSet, set.clone(), now).take(rate, now);
        }
        self.issued.insert(set);
    }

    /// Counts a validation that failed.
    pub(super) fn failed(&mut self, account: &str, name: &str, now: Instant) {
        if let Some(rate) = self.limits.failed_validations {
            let key = format!("{account} {name}");
            self.bucket(Limit::FailedValidations, key, now).take(rate, now);
        }
    }

    /// What an order is to find in which buckets.
    fn wanted(&self, account: &str, names: &[String], exemption: Exemption) -> Vec<(Limit, String, Rate)> {
        let limits = &self.limits;
        let mut wanted = Vec::new();
        let mut want = |limit, key: String, rate: Option<Rate>| {
            wanted.extend(rate.map(|rate| (limit, key, rate)));
        };
        if exemption == Exemption::None {
            want(Limit::OrdersPerAccount, account.to_owned(), limits.orders_per_account);
            for domain in registered_domains(names) {
                let rate = limits.certificates_per_registered_domain;
                want(Limit::CertificatesPerRegisteredDomain, domain, rate);
            }
        }
        want(Limit::CertificatesPerNameSet, set_of(names), limits.certificates_per_name_set);
        for name in names {
            want(Limit::FailedValidations, format!("{account} {name}"), limits.failed_validations);
        }
        wanted
    }

    fn bucket(&mut self, limit: Limit, key: String, now: Instant) -> &mut Bucket {
        self.buckets.entry((limit, key)).or_insert_with(|| Bucket::full(now))
    }
}

/// In Let's Encrypt's words, with its link.
fn refusal(limit: Limit, key: &str, rate: Rate, wait: Duration) -> Answer {
    let (capacity, period) = (rate.capacity, duration(rate.period));
    let key = key.rsplit(' ').next().unwrap_or_default();
    let (what, anchor) = match limit {
        Limit::OrdersPerAccount => {
            (format!("new orders ({capacity}) from this account"), "new-orders-per-account")
        }
        Limit::CertificatesPerRegisteredDomain => (
            format!("certificates ({capacity}) already issued for {key:?}"),
            "new-certificates-per-registered-domain",
        ),
        Limit::CertificatesPerNameSet => (
            format!("certificates ({capacity}) already issued for this exact set of identifiers"),
            "new-certificates-per-exact-set-of-identifiers",
        ),
        Limit::FailedValidations => (
            format!("failed authorizations ({capacity}) for {key:?}"),
            "authorization-failures-per-identifier-per-account",
        ),
        Limit::Requests => ("requests".to_owned(), "overall-requests-limit"),
    };
    let seconds = whole_seconds(wait);
    let again = wall_clock() + Duration::from_secs(seconds);
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    let again = again.format(format).expect("the format fits a date");
    let detail =
        format!("too many {what} in the last {period}, retry after {again}: see {DOCUMENTATION}/#{anchor}");
    Answer::problem(429, "rateLimited", &detail).retry_after_seconds(seconds).help(DOCUMENTATION)
}

fn set_of(names: &[String]) -> String {
    names.join(",")
}

fn registered_domains(names: &[String]) -> Vec<String> {
    let registered = |name: &String| {
        let name = name.trim_start_matches("*.");
        psl::domain_str(name).unwrap_or(name).to_owned()
    };
    let mut domains: Vec<_> = names.iter().map(registered).collect();
    domains.sort();
    domains.dedup();
    domains
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// As in `168h0m0s`.
fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    format!("{}h{}m{}s", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_name_that_had_a_certificate_renews_whatever_the_account_and_the_domain_used_up() {
        let rate = Some(Rate { capacity: 1, period: Duration::from_secs(3600) });
        let mut ledger = Ledger::default();
        let limits = Limits {
            orders_per_account: rate,
            certificates_per_registered_domain: rate,
            ..Limits::default()
        };
        ledger.set(limits);
        let (now, shop) = (Instant::now(), names(&["www.shop.co.uk"]));
        assert_eq!(ledger.order("account", &shop, false, now).ok(), Some(Exemption::None));
        ledger.issued("/my-order/1", &shop, now);
        assert_eq!(ledger.order("account", &shop, false, now).ok(), Some(Exemption::SameNames));

        let refused = ledger.order("other", &names(&["shop.co.uk"]), false, now).unwrap_err();
        assert_eq!(refused.limit, Limit::CertificatesPerRegisteredDomain);
        assert!(ledger.order("other", &names(&["elsewhere.co.uk"]), false, now).is_ok());
    }

    #[test]
    fn an_account_places_so_many_orders_at_once_and_then_one_at_a_time() {
        let mut ledger = Ledger::default();
        let rate = Rate { capacity: 3, period: Duration::from_secs(6) };
        ledger.set(Limits { orders_per_account: Some(rate), ..Limits::default() });
        let start = Instant::now();
        let mut order = |account: &str, seconds| {
            let now = start + Duration::from_secs(seconds);
            ledger.order(account, &names(&["shop.example"]), false, now).map_err(|refused| refused.limit)
        };
        for _ in 0..3 {
            assert_eq!(order("account", 0), Ok(Exemption::None));
        }
        assert_eq!(order("account", 1), Err(Limit::OrdersPerAccount));
        assert_eq!(order("other", 1), Ok(Exemption::None));
        assert_eq!(order("account", 2), Ok(Exemption::None));
        assert_eq!(order("account", 3), Err(Limit::OrdersPerAccount));
        assert_eq!(order("account", 4), Ok(Exemption::None));
    }

    #[test]
    fn an_endpoint_takes_so_many_requests_at_once_and_then_one_at_a_time() {
        let mut ledger = Ledger::default();
        let requests = vec![(Endpoint::Directory, Rate { capacity: 3, period: Duration::from_secs(3) })];
        ledger.set(Limits { requests, ..Limits::default() });
        let start = Instant::now();
        for _ in 0..3 {
            assert!(ledger.request(Endpoint::Directory, start).is_none());
        }
        let refused = ledger.request(Endpoint::Directory, start).unwrap();
        assert_eq!(refused.answer.into_response().headers()["retry-after"], "1");
        assert!(ledger.request(Endpoint::Directory, start + Duration::from_secs(1)).is_none());
        assert!(ledger.request(Endpoint::Directory, start + Duration::from_secs(1)).is_some());
    }

    #[test]
    fn in_its_window_a_renewal_keeps_to_no_limit() {
        let rate = Some(Rate { capacity: 1, period: Duration::from_secs(3600) });
        let mut ledger = Ledger::default();
        ledger.set(Limits { certificates_per_name_set: rate, ..Limits::default() });
        let (now, shop) = (Instant::now(), names(&["shop.example"]));
        ledger.issued("/my-order/1", &shop, now);
        let refused = ledger.order("account", &shop, false, now).unwrap_err();
        assert_eq!(refused.limit, Limit::CertificatesPerNameSet);
        assert_eq!(ledger.order("account", &shop, true, now).ok(), Some(Exemption::Window));
    }

    #[test]
    fn of_several_limits_the_one_that_refuses_longest_speaks() {
        let rate = |hours: u64| Some(Rate { capacity: 1, period: Duration::from_secs(hours * 3600) });
        let mut ledger = Ledger::default();
        let limits = Limits { orders_per_account: rate(3), failed_validations: rate(5), ..Limits::default() };
        ledger.set(limits);
        let (now, shop) = (Instant::now(), names(&["shop.example"]));
        assert!(ledger.order("account", &shop, false, now).is_ok());
        ledger.failed("account", "shop.example", now);
        let refused = ledger.order("account", &shop, false, now).unwrap_err();
        assert_eq!(refused.limit, Limit::FailedValidations);
        let answer = refused.answer.into_response();
        assert_eq!(answer.headers()["retry-after"], "18000");
        assert_eq!(answer.headers()["link"], "<https://letsencrypt.org/docs/rate-limits>;rel=\"help\"");
    }
}
