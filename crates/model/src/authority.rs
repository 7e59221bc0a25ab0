//! Which CA an order goes to.

use time::{Duration, OffsetDateTime};

use crate::Validity;

/// How long a CA has to fail on its side until the next one is asked in its place.
const FAILS_FOR: Duration = Duration::minutes(5);

/// A CA that may be asked for a name, as far as the choice goes.
#[derive(Clone, Copy, Debug)]
pub struct CaCandidate {
    /// Whether it may be asked now; otherwise when.
    pub available: Result<(), OffsetDateTime>,
    /// Since when it fails on its side.
    pub failing_since: Option<OffsetDateTime>,
    /// Whether the CAA records of the name let it issue (RFC 8659).
    pub caa_allows: bool,
}

/// The life of a certificate that is to be renewed.
#[derive(Clone, Copy, Debug)]
pub struct RemainingLife {
    /// How long it is still valid; negative: it is not.
    pub left: Duration,
    /// How long it was valid in all.
    pub lifetime: Duration,
}

/// Which CA an order goes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CaChoice {
    /// The one at this place of the list.
    Use(usize),
    /// None before then.
    Wait(OffsetDateTime),
    /// No CA of the list may issue for the name.
    Forbidden,
}

/// Chooses the first of `candidates` that may issue for the name. One behind it is asked only when those before it fail on
/// their side, for a while, and the name cannot wait: it is new (`life` is `None`), or its certificate has less than half of
/// the time left that a renewal usually has.
pub fn choose_authority(
    candidates: &[CaCandidate],
    life: Option<RemainingLife>,
    now: OffsetDateTime,
) -> CaChoice {
    let mut allowed = candidates.iter().enumerate().filter(|(_, candidate)| candidate.caa_allows).peekable();
    if allowed.peek().is_none() {
        return CaChoice::Forbidden;
    }
    let mut again_at = None;
    for (place, candidate) in allowed {
        let Err(available_at) = candidate.available else { return CaChoice::Use(place) };
        let given_up_at = candidate.failing_since.map(|since| given_up_at(since, life, now));
        let next_look = given_up_at.filter(|at| *at > now).map_or(available_at, |at| at.min(available_at));
        again_at = Some(again_at.map_or(next_look, |at: OffsetDateTime| at.min(next_look)));
        if given_up_at.is_none_or(|at| at > now) {
            break;
        }
    }
    CaChoice::Wait(again_at.unwrap_or(now))
}

/// When a CA that fails `since` is no longer waited for.
fn given_up_at(since: OffsetDateTime, life: Option<RemainingLife>, now: OffsetDateTime) -> OffsetDateTime {
    let failed_long = since + FAILS_FOR;
    match life {
        None => failed_long,
        Some(life) if life.left <= Duration::ZERO => now,
        Some(life) => failed_long.max(now + life.left - usual_remainder(life.lifetime) / 2),
    }
}

/// How long a certificate of that lifetime is still valid when it is renewed.
fn usual_remainder(lifetime: Duration) -> Duration {
    let not_before = OffsetDateTime::UNIX_EPOCH;
    let validity = Validity { not_before, not_after: not_before + lifetime };
    validity.not_after - validity.fallback()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
    const UP: CaCandidate = CaCandidate { available: Ok(()), failing_since: None, caa_allows: true };

    fn down_for(failing: Duration) -> CaCandidate {
        let available = Err(NOW + Duration::minutes(4));
        CaCandidate { available, failing_since: Some(NOW - failing), caa_allows: true }
    }

    /// Of a certificate for 90 days, which is renewed with 30 days left.
    fn left(left: Duration) -> RemainingLife {
        RemainingLife { left, lifetime: Duration::days(90) }
    }

    #[test]
    fn the_first_ca_is_asked_while_it_is_there() {
        assert_eq!(choose_authority(&[UP, UP], None, NOW), CaChoice::Use(0));
        assert_eq!(choose_authority(&[UP, UP], Some(left(Duration::days(1))), NOW), CaChoice::Use(0));
    }

    #[test]
    fn a_new_name_goes_to_the_next_ca_when_the_first_has_failed_for_five_minutes() {
        let short = [down_for(Duration::minutes(3)), UP];
        assert_eq!(choose_authority(&short, None, NOW), CaChoice::Wait(NOW + Duration::minutes(2)));
        let long = [down_for(Duration::minutes(5)), UP];
        assert_eq!(choose_authority(&long, None, NOW), CaChoice::Use(1));
    }

    #[test]
    fn a_renewal_waits_for_its_ca_as_long_as_it_has_half_of_its_time() {
        let candidates = [down_for(Duration::hours(12)), UP];
        let again = CaChoice::Wait(NOW + Duration::minutes(4));
        assert_eq!(choose_authority(&candidates, Some(left(Duration::days(30))), NOW), again);
        assert_eq!(choose_authority(&candidates, Some(left(Duration::days(16))), NOW), again);
        assert_eq!(choose_authority(&candidates, Some(left(Duration::days(14))), NOW), CaChoice::Use(1));
    }

    #[test]
    fn a_name_whose_certificate_has_ended_waits_for_nobody() {
        let candidates = [down_for(Duration::SECOND), UP];
        assert_eq!(choose_authority(&candidates, Some(left(Duration::ZERO)), NOW), CaChoice::Use(1));
    }

    #[test]
    fn a_ca_that_only_asks_for_patience_is_waited_for() {
        let until = NOW + Duration::hours(1);
        let busy = CaCandidate { available: Err(until), ..UP };
        assert_eq!(choose_authority(&[busy, UP], Some(left(Duration::ZERO)), NOW), CaChoice::Wait(until));
    }

    #[test]
    fn when_all_fail_whoever_may_be_asked_first_is_asked_first() {
        let sooner = CaCandidate { available: Err(NOW + Duration::MINUTE), ..down_for(Duration::HOUR) };
        let choice = choose_authority(&[down_for(Duration::HOUR), sooner], None, NOW);
        assert_eq!(choice, CaChoice::Wait(NOW + Duration::MINUTE));
    }

    #[test]
    fn a_ca_that_caa_records_forbid_is_passed_over() {
        let forbidden = CaCandidate { caa_allows: false, ..UP };
        assert_eq!(choose_authority(&[forbidden, UP], None, NOW), CaChoice::Use(1));
        let failing = [down_for(Duration::HOUR), forbidden];
        assert!(matches!(choose_authority(&failing, None, NOW), CaChoice::Wait(_)));
        assert_eq!(choose_authority(&[forbidden, forbidden], None, NOW), CaChoice::Forbidden);
    }
}
