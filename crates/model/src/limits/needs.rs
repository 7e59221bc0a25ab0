//! What a CA counts, and what an order is counted in.

use crate::{
    Hostname,
    status::{UnknownStatus, closed_set},
};

closed_set! {
    /// What a CA limits.
    #[derive(Ord, PartialOrd)]
    LimitKind {
        /// New orders of an account.
        OrdersPerAccount = "orders_per_account",
        /// Certificates below a registered domain (Public Suffix List), whoever orders them.
        CertificatesPerRegisteredDomain = "certificates_per_registered_domain",
        /// Certificates for exactly the same names, whoever orders them.
        CertificatesPerNameSet = "certificates_per_name_set",
        /// Failed validations of a name by an account.
        FailedValidations = "failed_validations",
        /// Requests to an endpoint.
        Requests = "requests",
    }
}

closed_set! {
    /// Where requests of a CA are limited separately.
    #[derive(Ord, PartialOrd)]
    Endpoint {
        /// `newNonce`.
        NewNonce = "new_nonce",
        /// `newAccount`.
        NewAccount = "new_account",
        /// `newOrder`.
        NewOrder = "new_order",
        /// `revokeCert`.
        RevokeCert = "revoke_cert",
        /// `renewalInfo` (RFC 9773).
        RenewalInfo = "renewal_info",
        /// The directory.
        Directory = "directory",
        /// Everything else: orders, authorizations, challenges, certificates.
        Other = "other",
    }
}

impl LimitKind {
    /// Whether it counts for an account; otherwise for all accounts of the CA together.
    pub fn is_per_account(self) -> bool {
        matches!(self, Self::OrdersPerAccount | Self::FailedValidations)
    }

    /// Whether tenants compete for it, so that one must not take all.
    pub fn is_shared(self) -> bool {
        matches!(self, Self::OrdersPerAccount | Self::CertificatesPerRegisteredDomain)
    }
}

/// Why an order may be exempt from limits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exemption {
    /// It is not.
    None,
    /// It renews exactly the same names at the same CA.
    SameNames,
    /// It is placed inside the window that the CA suggested, and says what it replaces (RFC 9773 section 5).
    Window,
}

/// One limit that an order has to have room in.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Need {
    /// What is limited.
    pub kind: LimitKind,
    /// For whom, beside the account or CA: a domain, names; empty for the account itself.
    pub key: String,
    /// Whether the order itself uses one up. A limit of failures only has to have room.
    pub uses: bool,
}

impl Need {
    fn of(kind: LimitKind, key: impl Into<String>, uses: bool) -> Self {
        Self { kind, key: key.into(), uses }
    }

    /// Failures of validating `name`: to be noted when one happens.
    pub fn failed_validation(name: &Hostname) -> Self {
        Self::of(LimitKind::FailedValidations, name.base(), true)
    }
}

/// The limits that an order for `names` has to have room in, in the order in which everybody takes them.
pub fn order_needs(names: &[Hostname], exemption: Exemption) -> Vec<Need> {
    let mut needs = Vec::new();
    if exemption == Exemption::Window {
        return needs;
    }
    if exemption == Exemption::None {
        needs.push(Need::of(LimitKind::OrdersPerAccount, "", true));
        let domains = names.iter().map(Hostname::registered_domain);
        needs
            .extend(domains.map(|domain| Need::of(LimitKind::CertificatesPerRegisteredDomain, domain, true)));
    }
    needs.push(Need::of(LimitKind::CertificatesPerNameSet, name_set(names), true));
    needs.extend(names.iter().map(|name| Need { uses: false, ..Need::failed_validation(name) }));
    needs.sort();
    needs.dedup();
    needs
}

fn name_set(names: &[Hostname]) -> String {
    let mut names: Vec<_> = names.iter().map(Hostname::as_str).collect();
    names.sort_unstable();
    names.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Vec<Hostname> {
        texts.iter().map(|text| Hostname::parse(text).unwrap()).collect()
    }

    fn kinds(exemption: Exemption) -> Vec<LimitKind> {
        order_needs(&names(&["shop.example.com"]), exemption).into_iter().map(|need| need.kind).collect()
    }

    #[test]
    fn a_new_order_is_counted_everywhere() {
        let expected = [
            LimitKind::OrdersPerAccount,
            LimitKind::CertificatesPerRegisteredDomain,
            LimitKind::CertificatesPerNameSet,
            LimitKind::FailedValidations,
        ];
        assert_eq!(kinds(Exemption::None), expected);
    }

    #[test]
    fn a_renewal_of_the_same_names_is_counted_for_them_only() {
        let expected = [LimitKind::CertificatesPerNameSet, LimitKind::FailedValidations];
        assert_eq!(kinds(Exemption::SameNames), expected);
    }

    #[test]
    fn a_renewal_in_the_suggested_window_is_counted_nowhere() {
        assert_eq!(kinds(Exemption::Window), []);
    }

    #[test]
    fn a_name_and_its_www_are_one_registered_domain_and_one_set_in_any_order() {
        let (one, other) = (["example.com", "www.example.com"], ["www.example.com", "example.com"]);
        let needs = order_needs(&names(&one), Exemption::None);
        assert_eq!(needs, order_needs(&names(&other), Exemption::None));
        let keys: Vec<_> = needs.iter().map(|need| need.key.as_str()).collect();
        let expected = ["", "example.com", "example.com,www.example.com", "example.com", "www.example.com"];
        assert_eq!(keys, expected);
    }

    #[test]
    fn an_order_only_looks_at_the_limit_of_failures() {
        let needs = order_needs(&names(&["*.example.com"]), Exemption::SameNames);
        assert!(needs.iter().all(|need| need.uses == (need.kind != LimitKind::FailedValidations)));
        assert_eq!(needs[1].key, "example.com", "a wildcard is validated at its base");
    }
}
