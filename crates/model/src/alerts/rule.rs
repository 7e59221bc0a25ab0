//! Who is told.

use super::{AlertLevel, Cause, DigestFrequency};
use crate::{Role, TenantId};

/// What one person wants to be told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rule {
    /// Of whose names; `None`: of everybody's and of the platform itself.
    pub tenant_id: Option<TenantId>,
    /// From which level on; `None`: of no alert.
    pub least_level: Option<AlertLevel>,
    /// How often there is a digest.
    pub digest: DigestFrequency,
}

impl Rule {
    /// What is usual for who was never asked.
    pub fn usual(role: Role, tenant_id: Option<TenantId>) -> Self {
        let (least_level, digest) = match (role, tenant_id) {
            (Role::Viewer, _) => (None, DigestFrequency::Off),
            (_, None) => (Some(AlertLevel::Notice), DigestFrequency::Daily),
            (_, Some(_)) => (Some(AlertLevel::Notice), DigestFrequency::Weekly),
        };
        Self { tenant_id, least_level, digest }
    }

    /// Whether its owner is told of `cause` at `level`.
    pub fn wants(&self, cause: &Cause, level: AlertLevel) -> bool {
        let is_theirs = self.tenant_id.is_none() || self.tenant_id == cause.tenant_id;
        is_theirs && self.least_level.is_some_and(|least| level >= least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ProblemCode,
        alerts::{Hit, properties::hit},
    };

    #[test]
    fn a_tenants_people_hear_of_their_own_names_and_the_platforms_people_of_all() {
        let own = hit(1).cause();
        let platforms = Hit { code: ProblemCode::CaUnavailable, ..hit(1) }.cause();
        let rule = Rule {
            tenant_id: own.tenant_id,
            least_level: Some(AlertLevel::Late),
            digest: DigestFrequency::Off,
        };
        assert!(rule.wants(&own, AlertLevel::Late) && !rule.wants(&platforms, AlertLevel::Page));
        let platform = Rule { tenant_id: None, ..rule };
        assert!(platform.wants(&own, AlertLevel::Late) && platform.wants(&platforms, AlertLevel::Page));
        assert!(!platform.wants(&own, AlertLevel::Notice));
        assert!(!Rule { least_level: None, ..platform }.wants(&own, AlertLevel::Expired));
    }
}
