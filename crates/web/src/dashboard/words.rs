//! States, events and records in plain words, each with an icon and a tone.

use certmill_model::{
    AlertLevel, CertificateStatus, CheckResult, DeploymentStatus, DomainStatus, EventKind, Health, KeyType,
    OrderStatus, TargetState, TenantStatus,
};
use certmill_store::Canary;

use crate::{people::UserStatus, setup::Purpose};

/// How something is shown: the icon and the word say it, the tone (a colour) only repeats it.
#[derive(Clone, Copy)]
pub(super) struct Look {
    /// The id of a symbol in `icons.html`.
    pub(super) icon: &'static str,
    /// A class in the style sheet: `good`, `busy`, `warn`, `bad` or `idle`.
    pub(super) tone: &'static str,
    pub(super) words: &'static str,
}

pub(super) const fn look(icon: &'static str, tone: &'static str, words: &'static str) -> Look {
    Look { icon, tone, words }
}

/// A domain's status in a few words.
pub(super) fn status(status: DomainStatus) -> Look {
    match status {
        DomainStatus::PendingDns => look("clock", "busy", "Waiting for DNS"),
        DomainStatus::PendingIssuance => look("clock", "busy", "Getting certificate"),
        DomainStatus::PendingDeployment => look("clock", "busy", "Going live"),
        DomainStatus::Active => look("check", "good", "Active"),
        DomainStatus::Moved => look("alert", "warn", "Moved away"),
        DomainStatus::Expired => look("cross", "bad", "Certificate expired"),
        DomainStatus::Failed => look("cross", "bad", "Not working"),
        DomainStatus::Paused => look("pause", "idle", "Paused"),
        DomainStatus::Blocked => look("cross", "bad", "Blocked"),
        DomainStatus::PendingDeletion => look("bin", "idle", "Being removed"),
        DomainStatus::Deleted => look("bin", "idle", "Removed"),
    }
}

/// A tenant's status.
pub(super) fn tenant_status(status: TenantStatus) -> Look {
    match status {
        TenantStatus::Active => look("check", "good", "Active"),
        TenantStatus::Suspended => look("pause", "warn", "Suspended"),
        TenantStatus::PendingDeletion => look("bin", "bad", "Being deleted"),
        TenantStatus::Deleted => look("bin", "idle", "Deleted"),
    }
}

/// A domain's status in a sentence.
pub(super) fn status_sentence(status: DomainStatus) -> &'static str {
    match status {
        DomainStatus::PendingDns => "We are waiting for the domain's DNS records.",
        DomainStatus::PendingIssuance => "DNS is right. The certificate is on the way.",
        DomainStatus::PendingDeployment => "The certificate is here and is going to the load balancers.",
        DomainStatus::Active => "Every load balancer serves this domain securely.",
        DomainStatus::Moved => {
            "The domain points somewhere else now. We still serve it, with its certificate."
        }
        DomainStatus::Expired => "The certificate has run out. Shoppers who come here see a warning.",
        DomainStatus::Failed => "The domain's DNS records were not right for a week.",
        DomainStatus::Paused => "An operator has paused this domain.",
        DomainStatus::Blocked => "This domain is blocked by policy.",
        DomainStatus::PendingDeletion => "The domain is being taken off the load balancers.",
        DomainStatus::Deleted => "The domain is gone.",
    }
}

/// What happens next and what to do, where that does not go without saying.
pub(super) fn status_advice(status: DomainStatus) -> Option<&'static str> {
    match status {
        DomainStatus::PendingDns => Some(
            "Set the records below at the company that manages the domain's DNS. We look again by ourselves, and go on \
             as soon as they are right.",
        ),
        DomainStatus::Moved => Some(
            "We look again every hour. Once the domain points here, it is active again by itself; until then its \
             certificate is not renewed. If it was moved by mistake, set the records below. If it was moved for good, \
             remove it from the platform.",
        ),
        DomainStatus::Expired => Some(
            "We go on trying, and a new certificate comes by itself once nothing stands in the way. What does is said \
             below.",
        ),
        DomainStatus::Failed => Some(
            "We look only once a week now. Set the records below, then choose “Check now”: we look at once, and go on if \
             they are right.",
        ),
        _ => None,
    }
}

/// What records that can stand for one another are for, and what to do with them.
pub(super) fn record_group(purpose: Purpose, required: bool, count: usize) -> (&'static str, &'static str) {
    match (purpose, required, count) {
        (Purpose::Traffic, true, 1) => {
            ("Brings shoppers to the shop", "Set this record, and no other A or AAAA record.")
        }
        (Purpose::Traffic, true, _) => (
            "Brings shoppers to the shop",
            "Set at least one of these records, and no other A or AAAA record.",
        ),
        (Purpose::Traffic, false, _) => (
            "Brings shoppers to every name below the domain",
            "For all names that have no record of their own. One of the addresses is enough.",
        ),
        (Purpose::Ownership, ..) => (
            "Says whose the domain is",
            "Somebody else has or had to do with this name here. The record shows that it is meant for this account.",
        ),
        (Purpose::Certificate, true, _) => (
            "Allows the certificate",
            "A wildcard certificate needs this record. Set it once; it stays right for ever.",
        ),
        (Purpose::Certificate, false, _) => (
            "Allows the certificate before the domain points here",
            "Only for a domain that is still elsewhere. Set it once; it stays right for ever. If the domain has its address \
             from a wildcard record (*), give it a record of its own as well.",
        ),
    }
}

/// A record that nothing waits for, now that the domain is proved otherwise.
pub(super) const NOT_NEEDED: Look = look("check", "idle", "Not needed");

/// A record that may be missing.
pub(super) const NOT_SET: Look = look("plus", "idle", "Not set");

/// What came of the look at a record.
pub(super) fn record(result: CheckResult, is_nothing_there: bool, is_looked_at: bool) -> Look {
    match result {
        CheckResult::Pass => look("check", "good", "Right"),
        CheckResult::Fail if is_nothing_there => look("cross", "bad", "Not found"),
        CheckResult::Fail => look("cross", "bad", "Not right"),
        CheckResult::Unknown if is_looked_at => look("pause", "idle", "Not checked"),
        CheckResult::Unknown => look("clock", "busy", "Not looked at yet"),
    }
}

/// A kind of key.
pub(super) fn key_type(key_type: KeyType) -> &'static str {
    match key_type {
        KeyType::EcdsaP256 => "ECDSA P-256",
        KeyType::EcdsaP384 => "ECDSA P-384",
        KeyType::Rsa2048 => "RSA 2048",
        KeyType::Rsa3072 => "RSA 3072",
        KeyType::Rsa4096 => "RSA 4096",
    }
}

/// Whether something is under way, so that the page is worth looking at again soon.
pub(super) fn is_under_way(status: DomainStatus) -> bool {
    matches!(
        status,
        DomainStatus::PendingDns
            | DomainStatus::PendingIssuance
            | DomainStatus::PendingDeployment
            | DomainStatus::PendingDeletion
    )
}

/// A domain's health, where it is worth a word.
pub(super) fn health(health: Health) -> Option<Look> {
    match health {
        Health::Ok => None,
        Health::Warning => Some(look("alert", "warn", "Needs a look")),
        Health::Critical => Some(look("alert", "bad", "Needs action")),
    }
}

/// A load balancer's state in a few words.
pub(super) fn target(state: TargetState) -> Look {
    match state {
        TargetState::InSync => look("check", "good", "Up to date"),
        TargetState::Behind => look("clock", "busy", "Being updated"),
        TargetState::Drifted => look("alert", "warn", "Changed by somebody else"),
        TargetState::Unreachable => look("cross", "bad", "Cannot be reached"),
        TargetState::Disabled => look("pause", "idle", "Switched off"),
    }
}

/// How a webhook endpoint fares.
pub(super) const WORKING: Look = look("check", "good", "Working");
pub(super) const FAILING: Look = look("alert", "warn", "Failing");
pub(super) const OFF: Look = look("pause", "idle", "Off");

/// What has become of a webhook.
pub(super) const TAKEN: Look = look("check", "good", "Taken");
pub(super) const WAITING: Look = look("clock", "busy", "Is tried again");
pub(super) const GIVEN_UP: Look = look("cross", "bad", "Given up");

/// What load balancers are configured with: a published version of a template, its file, or neither.
pub(super) fn template(is_published: bool, has_file: bool) -> Look {
    match (is_published, has_file) {
        (true, _) => look("check", "good", "A published version"),
        (false, true) => look("file", "idle", "The file"),
        (false, false) => look("pause", "idle", "Not served"),
    }
}

/// The load balancer that a version goes to before the others.
pub(super) fn canary(canary: Canary) -> String {
    match canary {
        Canary::Target(name) => name,
        Canary::Removed => "a load balancer that takes the place of one that was removed".to_owned(),
    }
}

/// A version of a template.
pub(super) fn template_version(is_served: bool, has_passed: bool) -> Look {
    match (is_served, has_passed) {
        (true, _) => look("check", "good", "Served"),
        (false, true) => look("check", "idle", "Passed its test"),
        (false, false) => look("file", "idle", "Not tested"),
    }
}

/// A test of a version; `None`: it is under way.
pub(super) fn template_test(passed: Option<bool>) -> Look {
    match passed {
        Some(true) => look("check", "good", "nginx takes it"),
        Some(false) => look("cross", "bad", "Refused"),
        None => look("clock", "busy", "Under way"),
    }
}

/// A delivery in a few words.
pub(super) fn deployment(status: DeploymentStatus) -> Look {
    match status {
        DeploymentStatus::Queued => look("clock", "busy", "Waits"),
        DeploymentStatus::Syncing => look("clock", "busy", "Being sent"),
        DeploymentStatus::Testing => look("clock", "busy", "Being tested"),
        DeploymentStatus::Reloading => look("clock", "busy", "Being taken up"),
        DeploymentStatus::Verifying => look("clock", "busy", "Being proved"),
        DeploymentStatus::Succeeded => look("check", "good", "Proved"),
        DeploymentStatus::Failed => look("cross", "bad", "Stopped before it went live"),
        DeploymentStatus::RolledBack => look("turn", "bad", "Taken back"),
    }
}

/// An event in a few words.
pub(super) fn event(kind: EventKind) -> Look {
    match kind {
        EventKind::DomainCreated => look("plus", "idle", "Registered"),
        EventKind::DomainChanged => look("plus", "idle", "Settings changed"),
        EventKind::DomainPaused => look("pause", "idle", "Paused"),
        EventKind::DomainResumed => look("play", "busy", "Goes on"),
        EventKind::DomainDeletionRequested => look("bin", "idle", "Removal asked for"),
        EventKind::DomainDeleted => look("bin", "idle", "Off every load balancer"),
        EventKind::DnsVerified => look("globe", "good", "DNS is right"),
        EventKind::OwnershipVerified => look("check", "good", "Ownership proved"),
        EventKind::OwnershipLost => look("alert", "bad", "Taken over by its owner"),
        EventKind::OwnershipGivenUp => look("bin", "idle", "Given up without proof"),
        EventKind::DomainMoved => look("alert", "warn", "Moved away"),
        EventKind::DomainReturned => look("check", "good", "Came back"),
        EventKind::DomainExpired => look("cross", "bad", "Certificate ran out"),
        EventKind::DomainFailed => look("cross", "bad", "Given up, but for slow attempts"),
        EventKind::OrderStarted => look("clock", "busy", "Certificate asked for"),
        EventKind::OrderFailed => look("cross", "bad", "Certificate not issued"),
        EventKind::CertificateIssued => look("seal", "good", "Certificate issued"),
        EventKind::CertificateRenewed => look("seal", "good", "Certificate renewed"),
        EventKind::CertificateExpiring => look("alert", "bad", "Certificate ends soon"),
        EventKind::Served => look("server", "good", "Served by a load balancer"),
        EventKind::DomainActive => look("check", "good", "Active on every load balancer"),
        EventKind::ProblemOpened => look("alert", "bad", "Problem seen"),
        EventKind::ProblemResolved => look("check", "good", "Problem gone"),
        EventKind::DeploymentFailed => look("server", "bad", "Load balancer refused a delivery"),
        EventKind::TargetUnreachable => look("server", "bad", "Load balancer cannot be reached"),
        EventKind::TargetRecovered => look("server", "good", "Load balancer is back"),
        EventKind::OperationCompleted => look("check", "idle", "Operation ended"),
        EventKind::WebhookDisabled => look("cross", "bad", "Webhook endpoint disabled"),
        EventKind::WebhookTest => look("check", "idle", "Webhook tested"),
    }
}

/// An order's status in a few words.
pub(super) fn order(status: OrderStatus) -> Look {
    match status {
        OrderStatus::Queued => look("clock", "busy", "About to begin"),
        OrderStatus::Deferred => look("clock", "busy", "Waits for its turn"),
        OrderStatus::Pending => look("clock", "busy", "Being proved"),
        OrderStatus::Ready => look("clock", "busy", "Proved"),
        OrderStatus::Processing => look("clock", "busy", "Being issued"),
        OrderStatus::Valid => look("check", "good", "Issued"),
        OrderStatus::Invalid => look("cross", "bad", "Refused"),
        OrderStatus::Cancelled => look("cross", "idle", "Cancelled"),
    }
}

/// A certificate's status in a few words.
pub(super) fn certificate(status: CertificateStatus) -> Look {
    match status {
        CertificateStatus::Issued => look("clock", "busy", "Issued, not served yet"),
        CertificateStatus::Active => look("check", "good", "Served"),
        CertificateStatus::Superseded => look("seal", "idle", "Replaced"),
        CertificateStatus::Expired => look("cross", "bad", "Run out"),
        CertificateStatus::Revoked => look("cross", "bad", "Revoked"),
    }
}

/// How a domain stands on one load balancer.
pub(super) fn placement(is_pending: bool, is_proved: bool, failures: i32) -> Look {
    match (is_pending, is_proved) {
        (true, _) if failures > 0 => look("alert", "bad", "Not delivered"),
        (true, _) => look("clock", "busy", "Being delivered"),
        (false, true) => look("check", "good", "Served"),
        (false, false) => look("alert", "warn", "Not proved"),
    }
}

/// A CA, by the host of its directory.
pub(super) fn authority(directory: &str) -> String {
    let host = directory.split_once("://").map_or(directory, |(_, rest)| rest);
    host.split('/').next().unwrap_or(host).to_owned()
}

/// Whether a user can come in.
pub(super) fn user_status(status: UserStatus) -> Look {
    match status {
        UserStatus::Invited => look("clock", "busy", "Invited"),
        UserStatus::Active => look("check", "good", "Active"),
        UserStatus::Disabled => look("cross", "idle", "Locked out"),
    }
}

/// Whether a token opens anything.
pub(super) fn token_status(is_revoked: bool, is_valid: bool) -> Look {
    match (is_revoked, is_valid) {
        (true, _) => look("cross", "idle", "Revoked"),
        (false, true) => look("check", "good", "Valid"),
        (false, false) => look("clock", "idle", "Ended"),
    }
}

/// How pressing an alert is.
pub(super) fn alert(level: AlertLevel) -> Look {
    match level {
        AlertLevel::Notice => look("bell", "warn", "To be looked at"),
        AlertLevel::Late => look("bell", "warn", "Late"),
        AlertLevel::Urgent => look("alert", "bad", "Urgent"),
        AlertLevel::Page => look("alert", "bad", "Very urgent"),
        AlertLevel::Expired => look("cross", "bad", "Shoppers see a warning"),
    }
}
