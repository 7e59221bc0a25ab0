//! What certmill knows about its field: names that parse, ids, states, decisions.
//!
//! Pure: no I/O, no clock, no SQL. Time and chance are values that come in ([`Clock`], [`Chance`]).

mod address;
mod alerts;
mod authority;
mod backoff;
mod branding;
mod breaker;
mod bulk;
mod ca_words;
mod challenge;
mod chance;
mod checks;
mod clock;
mod email;
mod event;
mod hostname;
mod ids;
mod instant;
mod key_type;
mod letters;
mod limits;
mod logo;
mod looks;
mod name_policy;
mod ownership;
mod people;
mod problem;
mod renewal;
mod retry_after;
mod search;
mod status;
mod step;
mod template_draft;
mod template_ref;
mod text;
mod token;
mod trial;
mod watching;
mod webhook;
mod work;

pub use address::{InvalidUpstream, UpstreamAddress};
pub use alerts::{
    About, AlertLevel, AlertState, AlertTurn, Cause, DigestFrequency, DigestPeriod, Gathered, Gathering, Hit,
    InvalidAbout, Outage, Rule, Served, TOP, Victim, Word, digest_due, take_turn,
};
pub use authority::{CaCandidate, CaChoice, RemainingLife, choose_authority};
pub use backoff::{backoff, ca_retry, target_retry};
pub use branding::{AccentColour, Branding, InvalidAccent, InvalidProductName, ProductName, SupportUrl};
pub use breaker::Breaker;
pub use bulk::{
    BulkAction, BulkLine, KEPT_BYTES, KEPT_LINES, KEPT_OPERATIONS, LineWish, OPEN_OPERATIONS,
    OperationStatus, ParsedWish, Possible, RawLine, RefusedLine, STORED_BYTES, STORED_LINES, merge_patch,
};
pub use ca_words::told_to_tenants;
pub use challenge::{ChallengeKind, possible_challenges};
pub use chance::Chance;
pub use checks::{Check, CheckKind, CheckResult, Checks, Finding};
pub use clock::{Clock, ManualClock, SystemClock};
pub use email::{EmailAddress, InvalidEmail};
pub use event::{EventData, EventDocument, EventKind, EventProblem, LONGEST_EVENT};
pub use hostname::{Hostname, InvalidHostname};
pub use ids::{
    AccountId, AlertId, AuditId, CertificateId, DomainId, EventId, GroupId, Id, IdKind, InvalidId, MailId,
    OperationId, OrderId, ReleaseId, RuleId, SetupLinkId, TargetId, TenantId, TokenId, TrialId, UserId,
    WebhookDeliveryId, WebhookEndpointId, WebhookSecretId, ZoneId,
};
pub use instant::in_utc;
pub use key_type::KeyType;
pub use letters::{AlertLetter, Brand, DigestAlert, DigestLetter, Letter, Listed, Occasion, Record};
pub use limits::{
    Bucket, Endpoint, Exemption, InvalidLimits, InvalidRate, LimitKind, LimitProfile, Need, Rate, UsedLimit,
    next_date, order_needs, take_fairly,
};
pub use logo::{InvalidLogo, Logo};
pub use looks::{after_validation_failure, look_at_active, look_at_moved, look_at_pending};
pub use name_policy::{InvalidBlockList, NamePolicy, NameRefused};
pub use ownership::{
    Claim, Contest, Contested, Holder, Ownership, OwnershipRecord, contest, is_given_up, names_above,
    ownership,
};
pub use people::{Permission, Role, Scope};
pub use problem::{Health, Problem, ProblemCode, Severity};
pub use renewal::{
    Forecast, InvalidWindow, RenewalAnswer, RenewalPlan, SuggestedWindow, Validity, asks_to_replace,
    exemption,
};
pub use retry_after::parse_retry_after;
pub use search::{InvalidLabels, Metadata, SearchText, Tags};
pub use status::{
    CertificateStatus, DeploymentStatus, DomainStatus, OrderStatus, TargetState, TenantStatus, UnknownStatus,
};
pub use step::{DomainSituation, NextStep, OpenOrderRole, next_step};
pub use template_draft::{PreviewedDomain, TemplateDraft, TemplateMistake, TemplateSample};
pub use template_ref::{Form, InvalidTemplateRef, TemplateRef};
pub use text::{InvalidText, Label, one_line};
pub use token::{ChallengeToken, InvalidChallengeToken};
pub use trial::{TrialOutcome, TrialPlace};
pub use watching::{SeenServed, WatchMemory, WatchTurn, after_watch};
pub use webhook::{
    DestinationRefused, InvalidNetwork, InvalidWebhookUrl, Network, WEBHOOK_RETRIES, WebhookDeliveryStatus,
    WebhookDestinations, WebhookHost, WebhookRoom, WebhookUrl, WebhookVerdict, gives_up_on_endpoint,
    is_public, retry_webhook_after, webhook_room, webhook_verdict,
};
pub use work::{DueDomain, LOST_CLAIMS, is_poison, line_up};
