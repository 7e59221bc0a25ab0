//! What to do next for a domain: the one decision of the engine, as a pure function.

use time::OffsetDateTime;

use crate::DomainStatus;

/// What is known of a domain when it is looked at.
#[derive(Clone, Copy, Debug)]
pub struct DomainSituation {
    /// Its status.
    pub status: DomainStatus,
    /// The order under way that it is part of.
    pub order: OpenOrderRole,
    /// When its current certificate is due for renewal; `None` without a certificate.
    pub renew_after: Option<OffsetDateTime>,
    /// When its current certificate ends.
    pub not_after: Option<OffsetDateTime>,
    /// When its DNS is to be looked at again, beside all renewals.
    pub check_after: Option<OffsetDateTime>,
    /// Load balancers that do not yet serve what is wanted.
    pub undelivered: u32,
    /// Load balancers that were seen to serve what is wanted.
    pub delivered: u32,
}

/// What a domain has to do with an order under way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OpenOrderRole {
    /// There is none.
    None,
    /// The order is carried out by this domain's steps.
    Leads,
    /// Another domain's order includes its name.
    Joined,
}

/// The next step for a domain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NextStep {
    /// Nothing until then; `None` until somebody wants something else of it.
    Rest(Option<OffsetDateTime>),
    /// Look whether the name can be proved, and order a certificate if it can.
    CheckAndOrder,
    /// Look whether an active or moved name still points at us; no order follows from it.
    Check,
    /// Its certificate has ended.
    Expire,
    /// Go on with the order under way.
    ContinueOrder,
    /// Another domain's order will bring the certificate.
    AwaitOrder,
    /// The load balancers have the word; look again when the renewal is due.
    AwaitDelivery(Option<OffsetDateTime>),
    /// Every load balancer was seen to serve its certificate: make it active.
    Activate,
    /// Tell the load balancers that have it to take it off.
    TakeOff,
    /// It is gone from every load balancer: make it a tombstone.
    FinishDeletion,
}

/// Decides what to do next for a domain at `now`.
pub fn next_step(situation: &DomainSituation, now: OffsetDateTime) -> NextStep {
    let DomainSituation { status, order, renew_after, not_after, check_after, undelivered, delivered } =
        *situation;
    let due = |at: Option<OffsetDateTime>| at.is_some_and(|at| at <= now);
    match status {
        DomainStatus::Paused | DomainStatus::Blocked | DomainStatus::Deleted => NextStep::Rest(None),
        DomainStatus::PendingDeletion if delivered > 0 => NextStep::TakeOff,
        DomainStatus::PendingDeletion if undelivered == 0 => NextStep::FinishDeletion,
        DomainStatus::PendingDeletion => NextStep::AwaitDelivery(None),
        DomainStatus::Active | DomainStatus::Moved | DomainStatus::PendingDeployment if due(not_after) => {
            NextStep::Expire
        }
        _ if order == OpenOrderRole::Leads => NextStep::ContinueOrder,
        _ if order == OpenOrderRole::Joined => NextStep::AwaitOrder,
        _ if renew_after.is_none() || due(renew_after) => NextStep::CheckAndOrder,
        DomainStatus::Active | DomainStatus::Moved if due(check_after) => NextStep::Check,
        _ if undelivered > 0 || delivered == 0 => NextStep::AwaitDelivery(renew_after),
        DomainStatus::Active | DomainStatus::Moved => {
            NextStep::Rest([renew_after, check_after].into_iter().flatten().min())
        }
        _ => NextStep::Activate,
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn situation(status: DomainStatus) -> DomainSituation {
        DomainSituation {
            status,
            order: OpenOrderRole::None,
            renew_after: None,
            not_after: None,
            check_after: None,
            undelivered: 0,
            delivered: 0,
        }
    }

    #[test]
    fn a_new_domain_is_checked_and_ordered() {
        assert_eq!(next_step(&situation(DomainStatus::PendingDns), NOW), NextStep::CheckAndOrder);
    }

    #[test]
    fn an_order_under_way_is_continued_even_when_a_renewal_is_due() {
        let domain = DomainSituation {
            order: OpenOrderRole::Leads,
            renew_after: Some(NOW),
            ..situation(DomainStatus::Active)
        };
        assert_eq!(next_step(&domain, NOW), NextStep::ContinueOrder);
        let joined = DomainSituation { order: OpenOrderRole::Joined, ..domain };
        assert_eq!(next_step(&joined, NOW), NextStep::AwaitOrder);
    }

    #[test]
    fn an_active_domain_rests_until_its_renewal_is_due() {
        let due = NOW + Duration::days(60);
        let domain =
            DomainSituation { renew_after: Some(due), delivered: 2, ..situation(DomainStatus::Active) };
        assert_eq!(next_step(&domain, NOW), NextStep::Rest(Some(due)));
        assert_eq!(next_step(&domain, due), NextStep::CheckAndOrder);
    }

    #[test]
    fn an_active_or_moved_domain_is_looked_at_between_its_renewals_even_while_a_load_balancer_is_away() {
        let (check, due) = (NOW + Duration::days(1), NOW + Duration::days(60));
        for status in [DomainStatus::Active, DomainStatus::Moved] {
            let domain = DomainSituation {
                renew_after: Some(due),
                check_after: Some(check),
                delivered: 1,
                ..situation(status)
            };
            assert_eq!(next_step(&domain, NOW), NextStep::Rest(Some(check)));
            assert_eq!(next_step(&domain, check), NextStep::Check);
            assert_eq!(next_step(&DomainSituation { undelivered: 1, ..domain }, check), NextStep::Check);
            assert_eq!(next_step(&domain, due), NextStep::CheckAndOrder);
        }
    }

    #[test]
    fn a_certificate_that_has_ended_is_told_before_a_new_one_is_asked_for() {
        let domain = DomainSituation {
            renew_after: Some(NOW - Duration::days(30)),
            not_after: Some(NOW),
            delivered: 2,
            ..situation(DomainStatus::Moved)
        };
        assert_eq!(next_step(&domain, NOW), NextStep::Expire);
        let told = DomainSituation { status: DomainStatus::Expired, ..domain };
        assert_eq!(next_step(&told, NOW), NextStep::CheckAndOrder);
    }

    #[test]
    fn a_domain_with_an_undelivered_certificate_orders_no_second_one() {
        let domain = DomainSituation {
            renew_after: Some(NOW + Duration::days(60)),
            undelivered: 1,
            ..situation(DomainStatus::PendingDeployment)
        };
        assert!(matches!(next_step(&domain, NOW), NextStep::AwaitDelivery(Some(_))));
    }

    #[test]
    fn a_domain_is_active_only_when_a_load_balancer_was_seen_to_serve_it_and_none_is_left_over() {
        let domain = DomainSituation {
            renew_after: Some(NOW + Duration::days(60)),
            ..situation(DomainStatus::PendingDeployment)
        };
        let with = |undelivered, delivered| DomainSituation { undelivered, delivered, ..domain };
        assert!(matches!(next_step(&with(0, 0), NOW), NextStep::AwaitDelivery(_)));
        assert!(matches!(next_step(&with(1, 1), NOW), NextStep::AwaitDelivery(_)));
        assert_eq!(next_step(&with(0, 2), NOW), NextStep::Activate);
    }

    #[test]
    fn a_deleted_domain_is_a_tombstone_only_when_no_load_balancer_has_it() {
        let domain = situation(DomainStatus::PendingDeletion);
        let still_there = DomainSituation { undelivered: 2, ..domain };
        assert_eq!(next_step(&still_there, NOW), NextStep::AwaitDelivery(None));
        assert_eq!(next_step(&domain, NOW), NextStep::FinishDeletion);
        let not_told = DomainSituation { delivered: 1, ..domain };
        assert_eq!(next_step(&not_told, NOW), NextStep::TakeOff);
    }

    #[test]
    fn a_paused_domain_rests_whatever_else_is_true() {
        let domain = DomainSituation {
            order: OpenOrderRole::Leads,
            renew_after: Some(NOW),
            undelivered: 3,
            ..situation(DomainStatus::Paused)
        };
        assert_eq!(next_step(&domain, NOW), NextStep::Rest(None));
    }
}
