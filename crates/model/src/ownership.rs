//! Whose a name is: what a tenant must show before a CA is asked for it, and who gives way when two tenants claim one.
//!
//! A CA's validation proves that a name leads here. It does not say for which tenant: where the name led here for
//! somebody else before, only a record that names the tenant does.

use std::collections::BTreeSet;

use time::{Duration, OffsetDateTime};

use crate::Hostname;

/// Stands before a name in the name of its record.
const LABEL: &str = "_certmill-verify";

/// How long a name that a CA has just validated for its holder stays with the holder, whoever proves it meanwhile.
const AFTER_VALIDATION: Duration = Duration::days(7);

/// How long a claim that nobody proves is kept.
const PATIENCE: Duration = Duration::days(7);

/// The TXT record by which the owner of a name says which tenant may have it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OwnershipRecord {
    /// The record's full name, without trailing dot.
    pub name: String,
    /// Its value, which is another one for each tenant and name.
    pub value: String,
}

impl OwnershipRecord {
    /// The record for `name`; a name and its wildcard have the same one.
    pub fn new(name: &Hostname, value: impl Into<String>) -> Self {
        Self { name: format!("{LABEL}.{}", name.base()), value: value.into() }
    }
}

impl std::fmt::Display for OwnershipRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} TXT \"{}\"", self.name, self.value)
    }
}

/// What is known here of a name that a tenant claims.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Claim {
    /// Since it was claimed, a CA has certified it for this tenant, or the tenant's own record was seen.
    pub is_proved: bool,
    /// What other tenants have to do with it.
    pub others: BTreeSet<Contested>,
}

/// Whether a CA may be asked for a name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ownership {
    /// It is this tenant's.
    Proven,
    /// Nobody else has to do with it: the CA's validation after the claim is the proof.
    ByValidation,
    /// Not before the tenant's own record is seen.
    Wanted(Contested),
}

/// Why a CA's validation is not enough.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Contested {
    /// Another tenant had the name or its wildcard last, or is giving it up: it may still lead here for that one.
    HeldBefore,
    /// Another tenant has proved a name above it, or the name itself where this is its wildcard.
    Below,
    /// Another tenant has proved a name below it, or its wildcard.
    Above,
}

impl Contested {
    /// Why, for the person who claims the name. Says nothing of who else it is.
    pub fn reason(self) -> &'static str {
        match self {
            Self::HeldBefore => "The name was registered here by another account before",
            Self::Below => "Another account has proved a domain above this name",
            Self::Above => "Another account has proved a name below this domain",
        }
    }
}

/// Decides whether a CA may be asked for a name.
pub fn ownership(claim: &Claim) -> Ownership {
    match claim.others.first() {
        _ if claim.is_proved => Ownership::Proven,
        Some(contested) => Ownership::Wanted(*contested),
        None => Ownership::ByValidation,
    }
}

/// The names above `name` that its owner's zone may hold, the registered domain last, each with its wildcard; and the
/// name itself where `name` is its wildcard, or the other way round.
pub fn names_above(name: &Hostname) -> Vec<String> {
    let (base, end) = (name.base(), name.registered_domain());
    let own = if name.is_wildcard() { base.to_owned() } else { format!("*.{base}") };
    let mut names = vec![own];
    let mut above = base;
    while above != end {
        let Some((_, rest)) = above.split_once('.') else { break };
        names.extend([rest.to_owned(), format!("*.{rest}")]);
        above = rest;
    }
    names
}

/// The holder of a name that somebody else claims.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Holder {
    /// The holder's own record stands now: at the name's `_certmill-verify`, or its own label at `_acme-challenge`.
    pub shows_record: bool,
    /// When a CA last validated the name for the holder before the other's record was first seen.
    pub validated_at: Option<OffsetDateTime>,
    /// The name leads to our load balancers now.
    pub points_here: bool,
}

/// What becomes of a claim to a name that another tenant holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Contest {
    /// The claimant's record is not to be seen.
    Unproven,
    /// The holder's own record stands as well: it stays.
    Kept,
    /// The holder has until then to set its own record.
    Notice(OffsetDateTime),
    /// The name goes to the claimant.
    Won,
    /// Nobody has proved the claim for too long.
    GivenUp,
}

/// Decides between a claim, made at `claimed_at` and proved since `verified_at`, and the holder of the name.
///
/// What its owner says newly and by name beats what was true of it before. A validation in the last days only delays
/// that, once: renewals after the claimant's record was seen do not count.
pub fn contest(
    claimed_at: OffsetDateTime,
    verified_at: Option<OffsetDateTime>,
    holder: &Holder,
    now: OffsetDateTime,
) -> Contest {
    let is_old = now - claimed_at >= PATIENCE;
    if verified_at.is_none() {
        return if is_old { Contest::GivenUp } else { Contest::Unproven };
    }
    if holder.shows_record {
        return if is_old { Contest::GivenUp } else { Contest::Kept };
    }
    let until = holder.validated_at.filter(|_| holder.points_here).map(|at| at + AFTER_VALIDATION);
    until.filter(|until| *until > now).map_or(Contest::Won, Contest::Notice)
}

/// Whether a claim that waits for its tenant's own record is given up at `now`.
pub fn is_given_up(claimed_at: OffsetDateTime, now: OffsetDateTime) -> bool {
    now - claimed_at >= PATIENCE
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn name(text: &str) -> Hostname {
        Hostname::parse(text).unwrap()
    }

    #[test]
    fn a_name_that_nobody_else_has_to_do_with_is_proved_by_the_ca_alone() {
        assert_eq!(ownership(&Claim::default()), Ownership::ByValidation);
    }

    #[test]
    fn a_name_that_another_has_to_do_with_needs_the_record_of_its_tenant() {
        for contested in [Contested::HeldBefore, Contested::Below, Contested::Above] {
            let claim = Claim { is_proved: false, others: [contested].into() };
            assert_eq!(ownership(&claim), Ownership::Wanted(contested));
            assert_eq!(ownership(&Claim { is_proved: true, ..claim }), Ownership::Proven);
        }
    }

    #[test]
    fn names_above_end_at_the_registered_domain() {
        assert_eq!(names_above(&name("shop.co.uk")), ["*.shop.co.uk"]);
        assert_eq!(
            names_above(&name("a.b.shop.co.uk")),
            ["*.a.b.shop.co.uk", "b.shop.co.uk", "*.b.shop.co.uk", "shop.co.uk", "*.shop.co.uk"]
        );
        assert_eq!(names_above(&name("*.shop.com")), ["shop.com"]);
        assert_eq!(names_above(&name("me.github.io")), ["*.me.github.io"], "a private suffix ends it too");
    }

    #[test]
    fn a_claim_without_a_record_changes_nothing_and_is_given_up_after_a_week() {
        let holder = Holder::default();
        assert_eq!(contest(NOW, None, &holder, NOW + Duration::days(6)), Contest::Unproven);
        assert_eq!(contest(NOW, None, &holder, NOW + Duration::days(7)), Contest::GivenUp);
        assert!(is_given_up(NOW, NOW + Duration::days(7)) && !is_given_up(NOW, NOW + Duration::days(6)));
    }

    #[test]
    fn a_new_record_beats_a_holder_whose_proof_is_old_or_who_is_not_pointed_at() {
        let seen = Some(NOW);
        let fresh =
            Holder { validated_at: Some(NOW - Duration::DAY), points_here: true, shows_record: false };
        assert_eq!(contest(NOW, seen, &fresh, NOW), Contest::Notice(NOW + Duration::days(6)));
        assert_eq!(contest(NOW, seen, &fresh, NOW + Duration::days(6)), Contest::Won);
        assert_eq!(contest(NOW, seen, &Holder { points_here: false, ..fresh }, NOW), Contest::Won);
        assert_eq!(contest(NOW, seen, &Holder { validated_at: None, ..fresh }, NOW), Contest::Won);
    }

    #[test]
    fn a_proved_claim_is_not_given_up_while_its_time_has_yet_to_come() {
        let fresh =
            Holder { validated_at: Some(NOW + Duration::days(6)), points_here: true, ..Holder::default() };
        let later = NOW + Duration::days(8);
        assert_eq!(
            contest(NOW, Some(NOW + Duration::days(6)), &fresh, later),
            Contest::Notice(NOW + Duration::days(13))
        );
    }

    #[test]
    fn a_holder_whose_own_record_stands_keeps_the_name() {
        let holder = Holder { shows_record: true, ..Holder::default() };
        assert_eq!(contest(NOW, Some(NOW), &holder, NOW), Contest::Kept);
        assert_eq!(contest(NOW, Some(NOW), &holder, NOW + Duration::days(8)), Contest::GivenUp);
    }

    #[test]
    fn the_record_of_a_wildcard_is_that_of_its_name() {
        let record = OwnershipRecord::new(&name("*.shop.com"), "x");
        assert_eq!(record.to_string(), "_certmill-verify.shop.com TXT \"x\"");
    }
}
