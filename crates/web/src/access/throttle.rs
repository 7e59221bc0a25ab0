//! How long a log-in waits after others that failed.

use std::net::{IpAddr, Ipv6Addr};

use certmill_model::EmailAddress;
use certmill_store::{LoginAttempt, LoginFailures, StoreError};
use time::{Duration, OffsetDateTime};

use super::PeerAddress;
use crate::WebState;

/// So many may fail in a row without any wait: people mistype.
const FREE: i32 = 5;

/// The longest wait.
const LONGEST: Duration = Duration::minutes(15);

/// A failure that lies so far back counts no longer.
const FORGOTTEN_AFTER: Duration = Duration::hours(24);

/// What attempts at the account with this address are counted under.
pub(crate) fn account_key(email: &EmailAddress) -> String {
    format!("account {email}")
}

/// What attempts from `peer` are counted under. Of IPv6 it is the network: whoever has one address has all 2^64 of its /64
/// (RFC 4291 section 2.5.4), and would guess with a fresh one each time.
pub(crate) fn origin_key(kind: &str, peer: PeerAddress) -> Option<String> {
    Some(match peer.0? {
        IpAddr::V4(address) => format!("{kind} {address}"),
        IpAddr::V6(address) => {
            let network = Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX));
            format!("{kind} {network}/64")
        }
    })
}

/// Counts an attempt under `keys` before it is known how it ends; `Err`: it has to wait until then, and was not counted.
pub(crate) async fn attempt(
    state: &WebState,
    keys: &[String],
) -> Result<Result<LoginAttempt, OffsetDateTime>, StoreError> {
    let now = state.now();
    let throttled = |found: &[LoginFailures]| throttled_until(found, now);
    state.store.count_login_attempt(keys, now, now - FORGOTTEN_AFTER, throttled).await
}

/// When the next log-in may be tried, if that is still to come. The wait doubles with each failure, from a second to a
/// quarter of an hour: slow enough for who guesses, and nobody is locked out by a stranger for long.
fn throttled_until(found: &[LoginFailures], now: OffsetDateTime) -> Option<OffsetDateTime> {
    let until = |failures: &LoginFailures| {
        let over = failures.failures - FREE;
        let wait = Duration::seconds(1_i64 << over.clamp(0, 20)).min(LONGEST);
        (over >= 0 && failures.last_at > now - FORGOTTEN_AFTER).then(|| failures.last_at + wait)
    };
    found.iter().filter_map(until).max().filter(|until| *until > now)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

    fn wait(failures: i32, ago: Duration) -> Option<Duration> {
        throttled_until(&[LoginFailures { failures, last_at: NOW - ago }], NOW).map(|until| until - NOW)
    }

    #[test]
    fn after_five_failures_each_waits_twice_as_long_up_to_a_quarter_of_an_hour() {
        assert_eq!(wait(4, Duration::ZERO), None);
        assert_eq!(wait(5, Duration::ZERO), Some(Duration::seconds(1)));
        assert_eq!(wait(8, Duration::ZERO), Some(Duration::seconds(8)));
        assert_eq!(wait(8, Duration::seconds(9)), None);
        assert_eq!(wait(1000, Duration::ZERO), Some(LONGEST));
        assert_eq!(wait(1000, FORGOTTEN_AFTER), None);
    }

    #[test]
    fn whoever_has_many_addresses_of_one_network_is_counted_once() {
        let key = |address: &str| origin_key("address", PeerAddress(Some(address.parse().unwrap()))).unwrap();
        assert_eq!(key("2001:db8:1:2::1"), "address 2001:db8:1:2::/64");
        assert_eq!(key("2001:db8:1:2:ffff:ffff:ffff:ffff"), key("2001:db8:1:2::1"));
        assert_ne!(key("2001:db8:1:3::1"), key("2001:db8:1:2::1"));
        assert_eq!(key("203.0.113.9"), "address 203.0.113.9");
    }

    #[test]
    fn a_thousand_guesses_take_more_than_ten_days() {
        let waits = (0..1000).filter_map(|failures| wait(failures, Duration::ZERO));
        assert!(waits.sum::<Duration>() > Duration::days(10));
    }
}
