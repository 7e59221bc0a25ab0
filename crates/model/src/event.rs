//! What happens to a domain, in the words of its timeline.

use crate::status::{UnknownStatus, closed_set};

closed_set! {
    /// The kinds of event on a domain's timeline.
    EventKind {
        /// The commerce backend registered it.
        DomainCreated = "domain_created",
        /// What is wanted of it changed.
        DomainChanged = "domain_changed",
        /// Its removal was asked for.
        DomainDeletionRequested = "domain_deletion_requested",
        /// It is off every load balancer.
        DomainDeleted = "domain_deleted",
        /// It points at our load balancers, or lets us prove it by DNS.
        DnsVerified = "dns_verified",
        /// It points elsewhere now.
        DomainMoved = "domain_moved",
        /// It points at our load balancers again.
        DomainReturned = "domain_returned",
        /// Its certificate has ended.
        DomainExpired = "domain_expired",
        /// A certificate was asked for.
        OrderStarted = "order_started",
        /// The CA refused or failed.
        OrderFailed = "order_failed",
        /// The CA issued a certificate.
        CertificateIssued = "certificate_issued",
        /// A handshake with a load balancer showed the certificate.
        Served = "served",
        /// Every load balancer serves it.
        DomainActive = "domain_active",
        /// A problem was seen for the first time.
        ProblemOpened = "problem_opened",
        /// A problem is gone.
        ProblemResolved = "problem_resolved",
    }
}
