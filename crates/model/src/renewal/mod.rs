//! When a certificate is renewed: as its CA suggests (RFC 9773), by its lifetime where the CA is silent, and spread so
//! that what was issued together is not renewed together.

mod forecast;
mod plan;
mod validity;
mod window;

#[cfg(test)]
mod properties;

pub use forecast::Forecast;
pub use plan::RenewalPlan;
pub use validity::Validity;
pub use window::{InvalidWindow, RenewalAnswer, SuggestedWindow};

use time::{Duration, OffsetDateTime};

use crate::{AccountId, Exemption};

/// For how long a CA exempts names that it has issued for: Let's Encrypt for 120 days, and a day is for its clock and ours.
const NAMES_REMEMBERED: Duration = Duration::days(119);

/// What is left of a window in which no order is begun any more as one inside it: it takes a while to arrive.
const TOO_LATE: Duration = Duration::MINUTE;

/// Whether an order says which certificate it replaces: only to the account that issued it, if that is known. Any other
/// account, and any other CA, refuses the order (RFC 9773 section 5).
pub fn asks_to_replace(issued_by: Option<AccountId>, orders_from: AccountId) -> bool {
    issued_by == Some(orders_from)
}

/// Why an order placed at `now` is exempt from limits of its CA. `replaces`: whether it says what it replaces; `window`:
/// what the CA suggested for that; `same_names_since`: when the CA last issued for exactly the same names.
pub fn exemption(
    replaces: bool,
    window: Option<SuggestedWindow>,
    same_names_since: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Exemption {
    let inside = |window: SuggestedWindow| window.contains(now) && window.contains(now + TOO_LATE);
    if replaces && window.is_some_and(inside) {
        Exemption::Window
    } else if same_names_since.is_some_and(|since| now - since < NAMES_REMEMBERED) {
        Exemption::SameNames
    } else {
        Exemption::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Chance;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    #[test]
    fn an_order_names_its_predecessor_only_to_the_account_that_issued_it() {
        let chance = Chance::seeded(1);
        let [one, other] = [(); 2].map(|()| AccountId::new(&chance, NOW));
        assert!(asks_to_replace(Some(one), one));
        assert!(!asks_to_replace(Some(one), other));
        assert!(!asks_to_replace(None, one));
    }

    #[test]
    fn the_window_exempts_only_within_it_and_only_with_what_is_replaced() {
        let window = SuggestedWindow::new(NOW, NOW + Duration::HOUR).ok();
        assert_eq!(exemption(true, window, None, NOW), Exemption::Window);
        assert_eq!(exemption(false, window, None, NOW), Exemption::None);
        assert_eq!(exemption(true, window, Some(NOW), NOW + Duration::seconds(3_590)), Exemption::SameNames);
    }

    #[test]
    fn a_ca_has_forgotten_the_names_of_a_long_lived_certificate_when_it_is_renewed() {
        assert_eq!(exemption(true, None, Some(NOW), NOW + Duration::days(60)), Exemption::SameNames);
        assert_eq!(exemption(true, None, Some(NOW), NOW + Duration::days(133)), Exemption::None);
    }
}
