//! What an alert is about: a cause, not a name.

use std::{fmt, str::FromStr};

use time::{Duration, OffsetDateTime};

use super::{AlertLevel, Hit};
use crate::{InvalidId, ProblemCode, TargetId, TenantId};

/// What an alert is about. Names that have the same are one alert.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Cause {
    /// Whose names have it; `None`: it is the platform's own, and all tenants' names count together.
    pub tenant_id: Option<TenantId>,
    /// The kind of problem.
    pub code: ProblemCode,
    /// With whom.
    pub about: About,
}

/// With whom something is wrong.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum About {
    /// Nobody in particular.
    Nobody,
    /// A CA, by the host of its directory.
    Ca(String),
    /// A load balancer.
    Target(TargetId),
}

/// Something that is away, which explains what fails behind it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outage {
    /// What is away.
    pub about: About,
    /// Since when.
    pub since: OffsetDateTime,
    /// What is known of it.
    pub detail: String,
}

/// A stored text that says with whom in no known way.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} says neither a CA nor a load balancer")]
pub struct InvalidAbout(String);

impl Cause {
    /// The cause of one name's trouble, by itself.
    pub(super) fn of(hit: &Hit) -> Self {
        let about = match (hit.code.is_of_ca(), hit.code.is_of_target()) {
            (true, _) => hit.ca.clone().map_or(About::Nobody, About::Ca),
            (_, true) => hit.target.map_or(About::Nobody, About::Target),
            _ => About::Nobody,
        };
        let tenant_id = (!hit.code.is_of_platform()).then_some(hit.tenant_id);
        Self { tenant_id, code: hit.code, about }
    }

    /// How pressing it is by lasting alone, whatever is left of certificates.
    pub(super) fn lasting(&self, since: OffsetDateTime, now: OffsetDateTime) -> Option<AlertLevel> {
        let (patience, level) = match self.code {
            // It is to be served by every load balancer: shoppers who are sent there see nothing.
            ProblemCode::TargetUnreachable => (Duration::minutes(5), AlertLevel::Urgent),
            ProblemCode::ConfigTestFailed | ProblemCode::ReloadFailed | ProblemCode::DnsZoneUnavailable => {
                (Duration::minutes(10), AlertLevel::Notice)
            }
            ProblemCode::CaAccount => (Duration::ZERO, AlertLevel::Notice),
            ProblemCode::CaUnavailable => (Duration::HOUR, AlertLevel::Notice),
            _ => return None,
        };
        (now - since >= patience).then_some(level)
    }
}

impl Outage {
    /// The alert that stands for it.
    pub fn cause(&self) -> Cause {
        let code = match self.about {
            About::Target(_) => ProblemCode::TargetUnreachable,
            About::Ca(_) | About::Nobody => ProblemCode::CaUnavailable,
        };
        Cause { tenant_id: None, code, about: self.about.clone() }
    }

    /// Whether a name's trouble is only what follows from it.
    pub(super) fn explains(&self, hit: &Hit) -> bool {
        match &self.about {
            About::Ca(ca) => {
                hit.ca.as_ref() == Some(ca)
                    && matches!(
                        hit.code,
                        ProblemCode::CaUnavailable | ProblemCode::CaRateLimited | ProblemCode::RenewalLate
                    )
            }
            About::Target(target) => {
                (hit.target == Some(*target) && hit.code.is_of_target())
                    || (hit.unreachable.contains(target)
                        && matches!(
                            hit.code,
                            ProblemCode::HttpUnreachable
                                | ProblemCode::HttpWrongResponse
                                | ProblemCode::ServedWrongCertificate
                                | ProblemCode::RenewalLate
                        ))
            }
            About::Nobody => false,
        }
    }
}

impl ProblemCode {
    /// Whether it names a CA.
    fn is_of_ca(self) -> bool {
        matches!(
            self,
            Self::CaaForbids
                | Self::CaRateLimited
                | Self::CaPaused
                | Self::CaRejectedName
                | Self::CaUnavailable
                | Self::CaAccount
                | Self::CaWrongCertificate
        )
    }

    /// Whether it names a load balancer.
    fn is_of_target(self) -> bool {
        matches!(
            self,
            Self::TargetUnreachable
                | Self::ConfigTestFailed
                | Self::ReloadFailed
                | Self::ServedWrongCertificate
        )
    }

    /// Whether the platform's people mend it, and no tenant can.
    pub fn is_of_platform(self) -> bool {
        matches!(
            self,
            Self::CaRateLimited
                | Self::CaUnavailable
                | Self::CaAccount
                | Self::CaWrongCertificate
                | Self::DnsZoneUnavailable
                | Self::DnsNotPropagated
                | Self::NoTargets
                | Self::TargetUnreachable
                | Self::ConfigTestFailed
                | Self::ReloadFailed
                | Self::RenewalLate
                | Self::Internal
        )
    }

    /// Whether it only says that a shop's owner has not set the name up.
    pub(super) fn awaits_owner(self) -> bool {
        matches!(
            self,
            Self::DnsNotFound
                | Self::DnsWrongTarget
                | Self::DnsExtraAddresses
                | Self::DnsApexCname
                | Self::DnsServfail
                | Self::DnsDelegationMissing
                | Self::DnsDelegationWrong
                | Self::HttpUnreachable
                | Self::HttpWrongResponse
                | Self::CaaForbids
        )
    }

    /// Whether renewals go on in spite of it.
    pub(super) fn is_advice(self) -> bool {
        matches!(self, Self::DnsExtraAddresses | Self::DnsApexCname)
    }
}

impl PartialOrd for ProblemCode {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ProblemCode {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => Ok(()),
            Self::Ca(host) => write!(f, "ca:{host}"),
            Self::Target(id) => write!(f, "target:{id}"),
        }
    }
}

impl FromStr for About {
    type Err = InvalidAbout;

    fn from_str(text: &str) -> Result<Self, InvalidAbout> {
        let invalid = |_: InvalidId| InvalidAbout(text.to_owned());
        match text.split_once(':') {
            None if text.is_empty() => Ok(Self::Nobody),
            Some(("ca", host)) => Ok(Self::Ca(host.to_owned())),
            Some(("target", id)) => id.parse().map(Self::Target).map_err(invalid),
            _ => Err(InvalidAbout(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::properties::hit;

    #[test]
    fn a_tenants_problem_is_the_tenants_and_a_cas_is_everybodys() {
        let own = Hit { code: ProblemCode::CaaForbids, ..hit(1) }.cause();
        assert_eq!(own.tenant_id, Some(hit(1).tenant_id));
        assert_eq!(own.about, About::Ca("ca.example".into()));
        let away = Hit { code: ProblemCode::CaUnavailable, ..hit(1) }.cause();
        assert_eq!(away.tenant_id, None);
    }

    #[test]
    fn a_load_balancer_that_is_down_explains_what_fails_behind_it() {
        let target = TargetId::nil();
        let outage =
            Outage { about: About::Target(target), since: OffsetDateTime::UNIX_EPOCH, detail: String::new() };
        let behind = Hit { code: ProblemCode::HttpUnreachable, unreachable: vec![target], ..hit(1) };
        assert!(outage.explains(&behind));
        assert!(!outage.explains(&Hit { unreachable: Vec::new(), ..behind.clone() }));
        assert!(!outage.explains(&Hit { code: ProblemCode::CaaForbids, ..behind }));
    }

    #[test]
    fn with_whom_comes_back_from_its_text() {
        for about in [About::Nobody, About::Ca("ca.example".into()), About::Target(TargetId::nil())] {
            assert_eq!(about.to_string().parse(), Ok(about));
        }
        assert!("lb1".parse::<About>().is_err());
    }
}
