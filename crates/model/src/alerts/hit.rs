//! One name in trouble, and how pressing that is.

use time::{Duration, OffsetDateTime};

use super::{AlertLevel, Cause};
use crate::{DomainId, Hostname, ProblemCode, TargetId, TenantId, Validity};

/// Renewals that fail in a row before anybody is told: the first often mends itself.
const FAILURES: u32 = 3;

/// How many tenths of what was left when a renewal was due may pass in silence. A third is promised; this leaves the
/// rest for a look that comes late and a letter that is held back.
const SILENT_TENTHS: i32 = 3;

/// How long a name that nobody mends keeps its alert open. After that it is a number in the digest.
const GIVEN_UP: Duration = Duration::days(7);

/// With what a name is served: what a handshake showed, else what was last proved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Served {
    /// A certificate that is valid for the name, be it an older one.
    Valid(Validity),
    /// It was, and no valid one is since then.
    Invalid {
        /// Since when.
        since: OffsetDateTime,
    },
    /// It never had one.
    Never,
}

/// One name that has a problem.
#[derive(Clone, Debug)]
pub struct Hit {
    /// Its domain.
    pub domain_id: DomainId,
    /// The name.
    pub name: Hostname,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// What is wrong.
    pub code: ProblemCode,
    /// The particulars, in the CA's or nginx's own words where they are the source.
    pub detail: String,
    /// The CA that was asked, if one was.
    pub ca: Option<String>,
    /// The load balancer that does not take it, if that is what is wrong.
    pub target: Option<TargetId>,
    /// Load balancers of this name that cannot be reached.
    pub unreachable: Vec<TargetId>,
    /// With what it is served.
    pub served: Served,
    /// When its renewal was due; `None`: it has nothing to renew.
    pub renew_at: Option<OffsetDateTime>,
    /// Attempts that failed, in a row.
    pub failures: u32,
    /// Since when it has the problem.
    pub since: OffsetDateTime,
    /// The last attempt.
    pub last_attempt_at: OffsetDateTime,
    /// The next one, if one is planned.
    pub next_attempt_at: Option<OffsetDateTime>,
}

impl Hit {
    /// How pressing it is; `None`: nobody is told yet, or any more.
    pub fn level(&self, now: OffsetDateTime) -> Option<AlertLevel> {
        match self.served {
            Served::Valid(validity) if now - validity.not_after >= GIVEN_UP => None,
            Served::Valid(validity) => AlertLevel::of_life(validity, now).or_else(|| {
                (self.goes_on_failing() || self.is_overdue(validity, now)).then_some(AlertLevel::Notice)
            }),
            Served::Invalid { since } => (now - since < GIVEN_UP).then_some(AlertLevel::Expired),
            // What a shop's owner has not set up yet is on the owner's page; nothing is broken by it.
            Served::Never => {
                (self.goes_on_failing() && !self.code.awaits_owner()).then_some(AlertLevel::Notice)
            }
        }
    }

    /// What it is a case of.
    pub fn cause(&self) -> Cause {
        Cause::of(self)
    }

    /// When shoppers notice: when what is served ends.
    pub fn ends_at(&self) -> Option<OffsetDateTime> {
        match self.served {
            Served::Valid(validity) => Some(validity.not_after),
            Served::Invalid { since } => Some(since),
            Served::Never => None,
        }
    }

    fn goes_on_failing(&self) -> bool {
        self.failures >= FAILURES && !self.code.is_advice()
    }

    /// A renewal was due, and nearly a third of what was left then has passed.
    fn is_overdue(&self, served: Validity, now: OffsetDateTime) -> bool {
        let latest = served.fallback();
        let due = self.renew_at.map_or(latest, |at| at.min(latest)).max(served.not_before);
        now - due >= (served.not_after - due) * SILENT_TENTHS / 10
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::properties::hit;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn serving(lifetime: i64, left: i64) -> Served {
        let not_after = NOW + Duration::days(left);
        Served::Valid(Validity { not_before: not_after - Duration::days(lifetime), not_after })
    }

    #[test]
    fn the_first_two_failures_are_silent_and_the_third_in_a_row_is_not() {
        let level = |failures| Hit { failures, served: serving(90, 30), ..hit(1) }.level(NOW);
        assert_eq!([1, 2, 3].map(level), [None, None, Some(AlertLevel::Notice)]);
    }

    #[test]
    fn what_never_failed_and_was_never_tried_is_told_when_it_is_overdue() {
        let level = |left| Hit { failures: 0, served: serving(6, left), ..hit(1) }.level(NOW);
        assert_eq!(level(3), None);
        assert_eq!(level(2), Some(AlertLevel::Notice));
        assert_eq!(level(1), Some(AlertLevel::Late));
    }

    #[test]
    fn a_name_whose_owner_has_not_set_it_up_is_no_alert_and_one_that_the_ca_refuses_is() {
        let level =
            |code| Hit { code, failures: 50, served: Served::Never, renew_at: None, ..hit(1) }.level(NOW);
        assert_eq!(level(ProblemCode::DnsNotFound), None);
        assert_eq!(level(ProblemCode::CaRejectedName), Some(AlertLevel::Notice));
    }

    #[test]
    fn a_name_that_nobody_mends_for_a_week_is_given_up() {
        let level =
            |days| Hit { served: Served::Invalid { since: NOW - Duration::days(days) }, ..hit(1) }.level(NOW);
        assert_eq!(level(6), Some(AlertLevel::Expired));
        assert_eq!(level(7), None);
        let ended = |days: i64| Hit { served: serving(90, -days), ..hit(1) }.level(NOW);
        assert_eq!([6, 7].map(ended), [Some(AlertLevel::Expired), None]);
    }

    #[test]
    fn advice_is_no_alert_by_itself() {
        let advice = Hit {
            code: ProblemCode::DnsExtraAddresses,
            failures: 9,
            served: serving(90, 80),
            renew_at: Some(NOW + Duration::days(50)),
            ..hit(1)
        };
        assert_eq!(advice.level(NOW), None);
    }
}
