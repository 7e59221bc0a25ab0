//! Domains that are due, and the claim on one.

use certmill_model::{
    AccountId, CertificateId, ChallengeKind, DomainId, DomainSituation, DomainStatus, Health, Hostname,
    KeyType, OrderId, OrderStatus, SuggestedWindow, TenantId, Validity, ZoneId,
};
use certmill_vault::{Secret, Vault};
use time::OffsetDateTime;

use super::{Engine, LEASE, interval, orders::key_place};
use crate::StoreError;

/// The right to record for a domain, until it expires or another claims.
#[derive(Clone, Copy, Debug)]
pub struct DomainLease {
    /// The domain.
    pub domain_id: DomainId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The fencing token.
    pub(super) token: i64,
    /// What was wanted when it was claimed: if that has changed since, the domain is due again at once.
    pub(super) revision: i64,
}

/// A domain in the hands of this worker.
pub struct ClaimedDomain {
    /// The right to record.
    pub lease: DomainLease,
    /// The name.
    pub name: Hostname,
    /// What is true of it.
    pub status: DomainStatus,
    /// Since when.
    pub status_since: OffsetDateTime,
    /// How it fares; `ok` means that no problem is open.
    pub health: Health,
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// Claims in a row before this one whose worker recorded nothing.
    pub lost_claims: u32,
    /// The same as it stood at the claim before this one.
    pub lost_before: u32,
    /// The CA is not asked before this instant.
    pub order_after: Option<OffsetDateTime>,
    /// The CA looked at the name and did not like it; `None` since the last success.
    pub validation_failed_at: Option<OffsetDateTime>,
    /// An operator said to order whatever the checks find.
    pub checks_overridden: bool,
    /// The kind of key that its certificate is to have.
    pub key_type: KeyType,
    /// Where its owner was told to point `_acme-challenge` at; `None` while there is no zone.
    pub delegation: Option<Delegation>,
    /// The same name with or without `www.`, if this tenant has it as well.
    pub counterpart: Option<Counterpart>,
    /// Where that name's owner was told to point `_acme-challenge` at, also when the name is gone again.
    pub counterpart_delegation: Option<Delegation>,
    /// Its current certificate.
    pub certificate_id: Option<CertificateId>,
    /// The same, as far as its renewal goes.
    pub held: Option<HeldCertificate>,
    /// The CAs that its tenant wants to be asked, the preferred one first; `None`: the platform's list.
    pub authorities: Option<Vec<String>>,
    /// Its order has waited for a limit of the CA before.
    pub was_deferred: bool,
    /// The CA did not take the profile that it was asked for last.
    pub without_profile: bool,
    /// What the next step is decided from.
    pub situation: DomainSituation,
    /// The order under way.
    pub order: Option<OpenOrder>,
}

/// The certificate that a renewal would replace.
#[derive(Clone, Debug)]
pub struct HeldCertificate {
    /// Its names.
    pub names: Vec<Hostname>,
    /// From when until when it is valid.
    pub validity: Validity,
    /// The account that it was ordered with.
    pub account_id: Option<AccountId>,
    /// How its CA knows it (RFC 9773 section 4.1); `None` where the CA does not tell when to renew, or did not take the last
    /// order as a renewal.
    pub identifier: Option<String>,
    /// When its CA wants it to be renewed, as far as it was told.
    pub window: Option<SuggestedWindow>,
}

/// Where the TXT records of a name are written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delegation {
    /// The zone.
    pub zone_id: ZoneId,
    /// The record's full name, without trailing dot.
    pub record_name: String,
}

/// A tenant's other name of the pair `shop.example` and `www.shop.example`.
#[derive(Clone, Debug)]
pub struct Counterpart {
    /// Its id.
    pub domain_id: DomainId,
    /// Its name.
    pub name: Hostname,
    /// Whether one certificate may be for both: nothing stops it, no CA disliked it lately or asked to wait, and its key is
    /// to be of the same kind.
    pub suits: bool,
    /// When an order of its own began that is under way.
    pub ordering_since: Option<OffsetDateTime>,
}

/// An order that has not ended.
pub struct OpenOrder {
    /// Its id here.
    pub order_id: OrderId,
    /// The account it belongs to.
    pub account_id: AccountId,
    /// The directory of the CA that it was placed with.
    pub directory_url: String,
    /// Where it is.
    pub status: OrderStatus,
    /// When it was begun.
    pub created_at: OffsetDateTime,
    /// Its URL at the CA, once the CA knows it (RFC 8555 section 7.4).
    pub url: Option<String>,
    /// The certificate that it renews, as the CA knows it.
    pub replaces: Option<String>,
    /// The profile that is asked for.
    pub profile: Option<String>,
    /// The names it is for.
    pub names: Vec<Hostname>,
    /// How each of the names is proved.
    pub challenges: Vec<ChallengeKind>,
    pub(super) tenant_id: TenantId,
    pub(super) sealed_key: Option<Vec<u8>>,
}

impl OpenOrder {
    /// The private key that its certificate will be for.
    pub fn private_key(&self, vault: &Vault) -> Result<Secret, StoreError> {
        let sealed = self.sealed_key.as_deref();
        let sealed =
            sealed.ok_or_else(|| StoreError::inconsistent("orders", "an open order without a key"))?;
        Ok(vault.open(&key_place("orders", self.tenant_id, self.order_id.uuid()), sealed)?)
    }
}

impl Engine {
    /// Lets a domain go until `next`; `None` until somebody wants something else of it.
    pub async fn rest(&self, lease: &DomainLease, next: Option<OffsetDateTime>) -> Result<(), StoreError> {
        let done = sqlx::query!(
            "UPDATE domains SET lease_until = NULL,
                 next_action_at = CASE WHEN revision = $3 THEN $4 ELSE now() END
             WHERE domain_id = $1 AND lease_token = $2",
            lease.domain_id.uuid(),
            lease.token,
            lease.revision,
            next,
        )
        .execute(&self.pool)
        .await?;
        held(done.rows_affected())
    }

    /// Renews the claim on a domain whose step takes long.
    pub async fn renew_lease(&self, lease: &DomainLease) -> Result<(), StoreError> {
        let done = sqlx::query!(
            "UPDATE domains SET lease_until = now() + $3
             WHERE domain_id = $1 AND lease_token = $2 AND lease_until IS NOT NULL",
            lease.domain_id.uuid(),
            lease.token,
            interval(LEASE),
        )
        .execute(&self.pool)
        .await?;
        held(done.rows_affected())
    }
}

/// A record that found no row means that the lease is another's now.
pub(super) fn held(rows: u64) -> Result<(), StoreError> {
    if rows == 0 { Err(StoreError::LeaseLost) } else { Ok(()) }
}
