//! Options of a scenario, as people write them.

use std::str::FromStr;

use certmill_model::LimitProfile;
use time::Duration;

use crate::{Import, Limits, Outage, Revocation, Start, published::Published};

/// A text that is no option of a scenario.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is not understood; write {example}")]
pub struct InvalidOption {
    text: String,
    example: &'static str,
}

/// A lifetime: `45d` or `160h`.
pub fn parse_lifetime(text: &str) -> Result<Duration, InvalidOption> {
    let parse = |suffix, unit: Duration| unit.checked_mul(text.strip_suffix(suffix)?.parse().ok()?);
    parse('d', Duration::DAY)
        .or_else(|| parse('h', Duration::HOUR))
        .ok_or_else(|| InvalidOption { text: text.to_owned(), example: "45d or 160h" })
}

impl FromStr for Limits {
    type Err = InvalidOption;

    /// The name of a built-in profile, or `orders-per-3h=5000` for Let's Encrypt's with that many new orders.
    fn from_str(text: &str) -> Result<Self, InvalidOption> {
        let example =
            "letsencrypt, letsencrypt-staging, none or orders-per-3h=5000, with 100,000,000 at most";
        let invalid = || InvalidOption { text: text.to_owned(), example };
        let (name, orders) = match text.strip_prefix("orders-per-3h=") {
            Some(orders) => {
                let orders = orders.parse().ok().filter(|orders| (1..=Self::MOST_ORDERS).contains(orders));
                ("letsencrypt", Some(orders.ok_or_else(invalid)?))
            }
            None => (text, None),
        };
        let profile = LimitProfile::named(name).ok_or_else(invalid)?;
        let published = match name {
            "letsencrypt" => Published::lets_encrypt(),
            "letsencrypt-staging" => Published::lets_encrypt_staging(),
            _ => Published::default(),
        };
        let limits = Self { published, profile };
        Ok(orders.map_or(limits.clone(), |orders| limits.with_orders(orders)))
    }
}

impl FromStr for Outage {
    type Err = InvalidOption;

    fn from_str(text: &str) -> Result<Self, InvalidOption> {
        let parse = || {
            let (start, hours) = text.strip_suffix('h')?.split_once('+')?;
            let hours = hours.parse().ok()?;
            let start = match start {
                "worst" => Start::Worst,
                day => Start::Hour((day.parse::<f64>().ok().filter(|day| *day >= 0.0)? * 24.0) as u32),
            };
            Some(Self { start, hours })
        };
        parse().ok_or_else(|| InvalidOption { text: text.to_owned(), example: "100+24h or worst+24h" })
    }
}

impl FromStr for Revocation {
    type Err = InvalidOption;

    fn from_str(text: &str) -> Result<Self, InvalidOption> {
        let (day, percent) = pair(text, "150:10, a day and a percentage")?;
        if percent > 100 {
            return Err(InvalidOption { text: text.to_owned(), example: "a percentage of 100 at most" });
        }
        Ok(Self { day, percent })
    }
}

impl FromStr for Import {
    type Err = InvalidOption;

    fn from_str(text: &str) -> Result<Self, InvalidOption> {
        pair(text, "120:300000, a day and a number of names").map(|(day, domains)| Self { day, domains })
    }
}

fn pair(text: &str, example: &'static str) -> Result<(u32, u32), InvalidOption> {
    let both = || {
        let (left, right) = text.split_once(':')?;
        Some((left.parse().ok()?, right.parse().ok()?))
    };
    both().ok_or_else(|| InvalidOption { text: text.to_owned(), example })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_read_as_they_are_documented() {
        assert_eq!("100+24h".parse(), Ok(Outage { start: Start::Hour(2_400), hours: 24 }));
        assert_eq!("0.5+3h".parse(), Ok(Outage { start: Start::Hour(12), hours: 3 }));
        assert_eq!("worst+24h".parse(), Ok(Outage { start: Start::Worst, hours: 24 }));
        assert_eq!("150:10".parse(), Ok(Revocation { day: 150, percent: 10 }));
        assert_eq!("120:300000".parse(), Ok(Import { day: 120, domains: 300_000 }));
        let limits: Limits = "orders-per-3h=3000".parse().unwrap();
        assert_eq!(limits.profile.orders_per_account.unwrap().capacity, 2_700);
        let most: Limits = "orders-per-3h=100000000".parse().unwrap();
        assert_eq!(most.profile.orders_per_account.unwrap().capacity, 90_000_000);
    }

    #[test]
    fn what_is_not_understood_is_refused_with_an_example() {
        for text in ["", "24h", "100+24", "-1+24h", "best+24h"] {
            assert!(text.parse::<Outage>().unwrap_err().to_string().contains("100+24h"), "{text}");
        }
        assert!("150:101".parse::<Revocation>().is_err());
        assert!("150".parse::<Import>().is_err());
        for text in ["", "lets-encrypt", "orders-per-3h=0", "orders-per-3h=x", "orders-per-3h=500000000"] {
            assert!(text.parse::<Limits>().unwrap_err().to_string().contains("orders-per-3h=5000"), "{text}");
        }
    }
}
