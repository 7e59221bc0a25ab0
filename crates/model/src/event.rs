//! What happens, in the words of timelines, of the feed and of webhooks.

mod document;

pub use document::{EventData, EventDocument, EventProblem, LONGEST_EVENT};

use crate::status::{UnknownStatus, closed_set};

closed_set! {
    /// The kinds of event, as they are stored. Programs read [`EventKind::public_type`].
    EventKind {
        /// The commerce backend registered it.
        DomainCreated = "domain_created",
        /// What is wanted of it changed.
        DomainChanged = "domain_changed",
        /// All work on it was stopped.
        DomainPaused = "domain_paused",
        /// Work on it goes on.
        DomainResumed = "domain_resumed",
        /// Its removal was asked for.
        DomainDeletionRequested = "domain_deletion_requested",
        /// It is off every load balancer.
        DomainDeleted = "domain_deleted",
        /// It points at our load balancers, or lets us prove it by DNS.
        DnsVerified = "dns_verified",
        /// Its owner said by a record that it is this tenant's.
        OwnershipVerified = "ownership_verified",
        /// Another tenant has proved that the name is theirs: it is taken off.
        OwnershipLost = "ownership_lost",
        /// Nobody has proved for a week that the name is this tenant's: it is free again.
        OwnershipGivenUp = "ownership_given_up",
        /// It points elsewhere now.
        DomainMoved = "domain_moved",
        /// It points at our load balancers again.
        DomainReturned = "domain_returned",
        /// Its certificate has ended.
        DomainExpired = "domain_expired",
        /// Automatic attempts ended.
        DomainFailed = "domain_failed",
        /// A certificate was asked for.
        OrderStarted = "order_started",
        /// The CA refused or failed, and the order is over.
        OrderFailed = "order_failed",
        /// The CA issued a certificate for a name that was not served with one.
        CertificateIssued = "certificate_issued",
        /// The CA issued the next certificate of a name that is served.
        CertificateRenewed = "certificate_renewed",
        /// A handshake with a load balancer showed the certificate.
        Served = "served",
        /// Less is left of the certificate than a renewal in time would leave.
        CertificateExpiring = "certificate_expiring",
        /// Every load balancer serves it.
        DomainActive = "domain_active",
        /// A problem was seen for the first time.
        ProblemOpened = "problem_opened",
        /// A problem is gone.
        ProblemResolved = "problem_resolved",
        /// A load balancer did not take a delivery.
        DeploymentFailed = "deployment_failed",
        /// A load balancer cannot be reached any more.
        TargetUnreachable = "target_unreachable",
        /// A load balancer is reached again.
        TargetRecovered = "target_recovered",
        /// A bulk operation has ended.
        OperationCompleted = "operation_completed",
        /// Nothing is sent to a webhook endpoint any more.
        WebhookDisabled = "webhook_disabled",
        /// Somebody wants to see a webhook arrive.
        WebhookTest = "webhook_test",
    }
}

impl EventKind {
    /// What programs know it by: segments of letters, digits and underscores, parted by full stops.
    pub const fn public_type(self) -> &'static str {
        match self {
            Self::DomainCreated => "domain.created",
            Self::DomainChanged => "domain.changed",
            Self::DomainPaused => "domain.paused",
            Self::DomainResumed => "domain.resumed",
            Self::DomainDeletionRequested => "domain.deletion_requested",
            Self::DomainDeleted => "domain.deleted",
            Self::DnsVerified => "domain.dns_verified",
            Self::OwnershipVerified => "domain.ownership_verified",
            Self::OwnershipLost => "domain.ownership_lost",
            Self::OwnershipGivenUp => "domain.ownership_given_up",
            Self::DomainMoved => "domain.moved",
            Self::DomainReturned => "domain.returned",
            Self::DomainExpired => "domain.expired",
            Self::DomainFailed => "domain.failed",
            Self::OrderStarted => "order.started",
            Self::OrderFailed => "order.failed",
            Self::CertificateIssued => "certificate.issued",
            Self::CertificateRenewed => "certificate.renewed",
            Self::Served => "certificate.served",
            Self::CertificateExpiring => "certificate.expiring",
            Self::DomainActive => "domain.active",
            Self::ProblemOpened => "domain.problem_opened",
            Self::ProblemResolved => "domain.problem_resolved",
            Self::DeploymentFailed => "deployment.failed",
            Self::TargetUnreachable => "target.unreachable",
            Self::TargetRecovered => "target.recovered",
            Self::OperationCompleted => "operation.completed",
            Self::WebhookDisabled => "webhook.disabled",
            Self::WebhookTest => "webhook.test",
        }
    }

    /// The kind that programs know by this type.
    pub fn from_public_type(public_type: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.public_type() == public_type)
    }

    /// Whether it is sent to nobody who did not ask for it by name: what comes again with each certificate of a healthy
    /// domain. A million names renew hundreds of thousands of times a month.
    pub const fn is_quiet(self) -> bool {
        matches!(self, Self::DomainChanged | Self::OrderStarted | Self::CertificateRenewed | Self::Served)
    }

    /// What it means, in one line of the documentation.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::DomainCreated => "A domain was registered.",
            Self::DomainChanged => "What is wanted of a domain changed.",
            Self::DomainPaused => "All work on a domain was stopped; what is served stays.",
            Self::DomainResumed => "Work on a paused domain goes on.",
            Self::DomainDeletionRequested => "The removal of a domain was asked for.",
            Self::DomainDeleted => "A domain is off every load balancer.",
            Self::DnsVerified => "DNS is right: a certificate is obtained next.",
            Self::OwnershipVerified => "The owner of a name said by a record that it is this account's.",
            Self::OwnershipLost => "Another account has proved that a name is theirs: the domain is removed.",
            Self::OwnershipGivenUp => {
                "Nobody has proved for a week that a name is this account's: it is free again."
            }
            Self::DomainMoved => "The DNS of an active domain leads elsewhere now.",
            Self::DomainReturned => "The DNS of a moved domain leads here again.",
            Self::DomainExpired => "The certificate of a domain has ended, and there is no other.",
            Self::DomainFailed => "Automatic attempts ended; slow ones go on.",
            Self::OrderStarted => "A certificate was asked for at the CA.",
            Self::OrderFailed => "The CA refused an order.",
            Self::CertificateIssued => {
                "The first certificate of a domain, or the one after an outage, was issued."
            }
            Self::CertificateRenewed => "The next certificate of an active domain was issued.",
            Self::Served => "A load balancer was seen to serve the certificate.",
            Self::CertificateExpiring => {
                "A renewal is so late that half of the time that was left for it is gone."
            }
            Self::DomainActive => "Every load balancer serves the domain.",
            Self::ProblemOpened => "Something is wrong with a domain; `problems` says what mends it.",
            Self::ProblemResolved => "A problem is gone.",
            Self::DeploymentFailed => "A load balancer did not take a delivery.",
            Self::TargetUnreachable => "A load balancer cannot be reached.",
            Self::TargetRecovered => "A load balancer is reached again.",
            Self::OperationCompleted => "A bulk operation has ended.",
            Self::WebhookDisabled => "Nothing is sent to a webhook endpoint any more.",
            Self::WebhookTest => "Somebody asked for a test of a webhook endpoint.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_unique_and_made_of_segments_that_the_standard_allows() {
        for kind in EventKind::ALL {
            let public = kind.public_type();
            assert_eq!(EventKind::from_public_type(public), Some(*kind), "{public}");
            let is_segment = |segment: &str| {
                !segment.is_empty()
                    && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            };
            assert!(public.contains('.') && public.split('.').all(is_segment), "{public}");
        }
        assert_eq!(EventKind::from_public_type("domain_created"), None);
    }

    #[test]
    fn routine_renewals_are_quiet_and_trouble_is_not() {
        assert!(EventKind::CertificateRenewed.is_quiet() && EventKind::Served.is_quiet());
        for kind in [EventKind::CertificateIssued, EventKind::CertificateExpiring, EventKind::DomainExpired] {
            assert!(!kind.is_quiet(), "{kind}");
        }
    }
}
