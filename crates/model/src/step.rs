//! What to do next for a domain: the one decision of the engine, as a pure function.

use time::OffsetDateTime;

use crate::DomainStatus;

/// What is known of a domain when it is looked at.
#[derive(Clone, Copy, Debug)]
pub struct DomainSituation {
    /// Its status.
    pub status: DomainStatus,
    /// Whether an order is under way.
    pub has_open_order: bool,
    /// When its current certificate is due for renewal; `None` without a certificate.
    pub renew_after: Option<OffsetDateTime>,
    /// Load balancers that do not yet serve what is wanted.
    pub undelivered: u32,
    /// Load balancers that were seen to serve what is wanted.
    pub delivered: u32,
}

/// The next step for a domain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NextStep {
    /// Nothing until then; `None` until somebody wants something else of it.
    Rest(Option<OffsetDateTime>),
    /// Look whether the name points at us, and order a certificate if it does.
    CheckAndOrder,
    /// Go on with the order under way.
    ContinueOrder,
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
    let DomainSituation { status, has_open_order, renew_after, undelivered, delivered } = *situation;
    match status {
        DomainStatus::Paused | DomainStatus::Blocked | DomainStatus::Deleted => NextStep::Rest(None),
        DomainStatus::PendingDeletion if delivered > 0 => NextStep::TakeOff,
        DomainStatus::PendingDeletion if undelivered == 0 => NextStep::FinishDeletion,
        DomainStatus::PendingDeletion => NextStep::AwaitDelivery(None),
        _ if has_open_order => NextStep::ContinueOrder,
        _ => match renew_after {
            None => NextStep::CheckAndOrder,
            Some(due) if due <= now => NextStep::CheckAndOrder,
            due if undelivered > 0 || delivered == 0 => NextStep::AwaitDelivery(due),
            due if status == DomainStatus::Active => NextStep::Rest(due),
            _ => NextStep::Activate,
        },
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn situation(status: DomainStatus) -> DomainSituation {
        DomainSituation { status, has_open_order: false, renew_after: None, undelivered: 0, delivered: 0 }
    }

    #[test]
    fn a_new_domain_is_checked_and_ordered() {
        assert_eq!(next_step(&situation(DomainStatus::PendingDns), NOW), NextStep::CheckAndOrder);
    }

    #[test]
    fn an_order_under_way_is_continued_even_when_a_renewal_is_due() {
        let domain = DomainSituation {
            has_open_order: true,
            renew_after: Some(NOW),
            ..situation(DomainStatus::Active)
        };
        assert_eq!(next_step(&domain, NOW), NextStep::ContinueOrder);
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
            has_open_order: true,
            renew_after: Some(NOW),
            undelivered: 3,
            delivered: 0,
            status: DomainStatus::Paused,
        };
        assert_eq!(next_step(&domain, NOW), NextStep::Rest(None));
    }
}
