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
pub use validity::{Validity, renew_after};
pub use window::{InvalidWindow, RenewalAnswer, SuggestedWindow};

use crate::AccountId;

/// Whether an order says which certificate it replaces: only to the account that issued it. Any other account, and any
/// other CA, refuses the order (RFC 9773 section 5).
pub fn asks_to_replace(issued_by: AccountId, orders_from: AccountId) -> bool {
    issued_by == orders_from
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::Chance;

    #[test]
    fn an_order_names_its_predecessor_only_to_the_account_that_issued_it() {
        let chance = Chance::seeded(1);
        let [one, other] = [(); 2].map(|()| AccountId::new(&chance, OffsetDateTime::UNIX_EPOCH));
        assert!(asks_to_replace(one, one));
        assert!(!asks_to_replace(one, other));
    }
}
