//! What is wrong with a domain, and what exactly mends it.

use time::OffsetDateTime;

use crate::status::{UnknownStatus, closed_set};

closed_set! {
    /// How a domain fares, beside its status.
    Health {
        /// Nothing is wrong.
        Ok = "ok",
        /// Something needs attention; shoppers notice nothing yet.
        Warning = "warning",
        /// Shoppers notice, or will soon.
        Critical = "critical",
    }
}

closed_set! {
    /// How much a problem matters.
    Severity {
        /// Nothing is broken yet.
        Warning = "warning",
        /// The domain is not served, or will soon not be.
        Critical = "critical",
    }
}

closed_set! {
    /// The kinds of problem, a closed set with one documentation page each.
    ProblemCode {
        /// The name has no address.
        DnsNotFound = "dns_not_found",
        /// The name points elsewhere.
        DnsWrongTarget = "dns_wrong_target",
        /// The name has addresses beside ours.
        DnsExtraAddresses = "dns_extra_addresses",
        /// The name is the top of its zone, and a CNAME record.
        DnsApexCname = "dns_apex_cname",
        /// The name servers fail.
        DnsServfail = "dns_servfail",
        /// The CNAME record that would let us prove the name by DNS is not set.
        DnsDelegationMissing = "dns_delegation_missing",
        /// Something else stands where that CNAME record belongs.
        DnsDelegationWrong = "dns_delegation_wrong",
        /// Our own DNS zone is not set up, or its provider refuses us.
        DnsZoneUnavailable = "dns_zone_unavailable",
        /// A name server of our own zone does not show what we wrote.
        DnsNotPropagated = "dns_not_propagated",
        /// The record that says whose the name is, is not set.
        OwnershipMissing = "ownership_missing",
        /// Another tenant has proved that the name is theirs.
        OwnershipConflict = "ownership_conflict",
        /// The CA could not fetch the challenge response.
        HttpUnreachable = "http_unreachable",
        /// The CA fetched something else than the challenge response.
        HttpWrongResponse = "http_wrong_response",
        /// A CAA record forbids our CA.
        CaaForbids = "caa_forbids",
        /// The CA's rate limit is reached.
        CaRateLimited = "ca_rate_limited",
        /// The CA has paused the name for our account.
        CaPaused = "ca_paused",
        /// The CA refuses the name.
        CaRejectedName = "ca_rejected_name",
        /// The CA does not answer, or answers with errors of its own.
        CaUnavailable = "ca_unavailable",
        /// The CA refuses our account.
        CaAccount = "ca_account",
        /// The CA sent a certificate that is not what was ordered.
        CaWrongCertificate = "ca_wrong_certificate",
        /// No load balancer is registered, or none is ready yet.
        NoTargets = "no_targets",
        /// A load balancer cannot be reached.
        TargetUnreachable = "target_unreachable",
        /// nginx refused the configuration.
        ConfigTestFailed = "config_test_failed",
        /// nginx did not take up the configuration.
        ReloadFailed = "reload_failed",
        /// A load balancer serves another certificate than it should.
        ServedWrongCertificate = "served_wrong_certificate",
        /// The renewal was due long ago, and nothing says why it did not come.
        RenewalLate = "renewal_late",
        /// The template that the domain names does not exist or does not render.
        TemplateUnusable = "template_unusable",
        /// Our own fault.
        Internal = "internal",
    }
}

impl ProblemCode {
    /// One line for people, without the particulars.
    pub fn title(self) -> &'static str {
        match self {
            Self::DnsNotFound => "The domain has no DNS record yet",
            Self::DnsWrongTarget => "The domain points somewhere else",
            Self::DnsExtraAddresses => "The domain also points somewhere else",
            Self::DnsApexCname => "The domain itself is a CNAME record",
            Self::DnsServfail => "The domain's name servers do not answer properly",
            Self::DnsDelegationMissing => "A DNS record is missing",
            Self::DnsDelegationWrong => "A DNS record points somewhere else",
            Self::DnsZoneUnavailable => "Our own DNS zone cannot be written",
            Self::DnsNotPropagated => "Our own name servers are not up to date",
            Self::OwnershipMissing => "The domain's owner has not said yet that it is yours",
            Self::OwnershipConflict => "Another account has proved that the domain is theirs",
            Self::HttpUnreachable => "The domain could not be reached",
            Self::HttpWrongResponse => "A different server answers for the domain",
            Self::CaaForbids => "A CAA record forbids our certificate authority",
            Self::CaRateLimited => "The certificate authority asks us to wait",
            Self::CaPaused => "The certificate authority has paused this name",
            Self::CaRejectedName => "The certificate authority refuses this name",
            Self::CaUnavailable => "The certificate authority is not available",
            Self::CaAccount => "The certificate authority refuses our account",
            Self::CaWrongCertificate => "The certificate authority sent a wrong certificate",
            Self::NoTargets => "No load balancer is ready yet",
            Self::TargetUnreachable => "A load balancer cannot be reached",
            Self::ConfigTestFailed => "A load balancer refused the configuration",
            Self::ReloadFailed => "A load balancer did not take up the configuration",
            Self::ServedWrongCertificate => "A load balancer serves a different certificate",
            Self::RenewalLate => "The certificate should have been renewed by now",
            Self::TemplateUnusable => "The configuration template cannot be used",
            Self::Internal => "Something went wrong on our side",
        }
    }

    /// What to do, without the particulars.
    pub fn fix(self) -> &'static str {
        match self {
            Self::DnsNotFound => "Add an A record (or CNAME) that points the domain at the load balancers.",
            Self::DnsWrongTarget => {
                "Change the domain's A and AAAA records to the load balancers' addresses."
            }
            Self::DnsExtraAddresses => {
                "Remove the A and AAAA records that are not the load balancers' addresses."
            }
            Self::DnsApexCname => "Replace the CNAME record by A records with the load balancers' addresses.",
            Self::DnsServfail => {
                "Ask the domain's DNS provider; a broken DNSSEC signature is a common cause."
            }
            Self::DnsDelegationMissing => "Add the CNAME record that is shown.",
            Self::DnsDelegationWrong => {
                "Replace what stands at _acme-challenge by the CNAME record that is shown."
            }
            Self::DnsZoneUnavailable => {
                "An operator must look at the DNS zone: `certmill zone test` says what is wrong."
            }
            Self::DnsNotPropagated => "An operator must look at the name server that is named.",
            Self::OwnershipMissing => {
                "Add the TXT record that is shown; it may be removed once the domain is active."
            }
            Self::OwnershipConflict => {
                "Add the TXT record that is shown to keep the domain; otherwise it goes to the other account."
            }
            Self::HttpUnreachable => {
                "Make sure that port 80 of the domain reaches the load balancers from everywhere."
            }
            Self::HttpWrongResponse => {
                "Remove old A and AAAA records, proxies or CDNs in front of the domain."
            }
            Self::CaaForbids => "Add a CAA record for our certificate authority, or remove the CAA records.",
            Self::CaRateLimited => "Nothing to do: the order goes on by itself at the time shown.",
            Self::CaPaused => {
                "An operator must mend the cause, end the pause on the page that `certmill domain show` names, and then \
                 run `certmill domain retry`."
            }
            Self::CaRejectedName => "Ask support: this certificate authority will not certify the name.",
            Self::CaUnavailable => "Nothing to do: the order goes on by itself when the authority is back.",
            Self::CaAccount => "An operator must look at the account at the certificate authority.",
            Self::CaWrongCertificate => "An operator must report this to the certificate authority.",
            Self::NoTargets => {
                "An operator must register a load balancer, or wait for its first configuration."
            }
            Self::TargetUnreachable => {
                "An operator must bring the load balancer back; delivery goes on by itself then."
            }
            Self::ConfigTestFailed => "An operator must mend the template; the message of nginx says where.",
            Self::ReloadFailed => "An operator must look at nginx on the load balancer.",
            Self::ServedWrongCertificate => "An operator must look at what else serves this name there.",
            Self::RenewalLate => {
                "An operator must see whether the workers run: `certmill domain show` says what it waits for."
            }
            Self::TemplateUnusable => "An operator must add or mend the template, or name another one.",
            Self::Internal => {
                "Nothing to do: it is tried again at the time shown. Operators find details in the log."
            }
        }
    }

    /// How much it matters by itself.
    pub fn severity(self) -> Severity {
        match self {
            Self::CaRateLimited
            | Self::CaUnavailable
            | Self::DnsExtraAddresses
            | Self::DnsApexCname
            | Self::DnsNotPropagated
            | Self::OwnershipConflict
            | Self::Internal => Severity::Warning,
            _ => Severity::Critical,
        }
    }
}

/// An open problem of a domain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// The kind.
    pub code: ProblemCode,
    /// The particulars, with the words of the CA or nginx where they are the source.
    pub detail: String,
    /// When it was first seen.
    pub since: OffsetDateTime,
    /// The last attempt that showed it.
    pub last_attempt_at: OffsetDateTime,
    /// The next attempt, if one is planned.
    pub next_attempt_at: Option<OffsetDateTime>,
}
