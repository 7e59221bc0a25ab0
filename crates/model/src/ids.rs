//! Ids: a UUIDv7 in the database, `dom_01jd…` in text.
//!
//! The text form is a prefix and 26 characters of Crockford's base 32 in lower case, which sort like the UUID itself.

use std::{cmp, fmt, hash, marker::PhantomData, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Chance;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const TEXT_LENGTH: usize = 26;

/// What an id is of: the prefix of its text form.
pub trait IdKind {
    /// Three or four letters, without the underscore.
    const PREFIX: &'static str;
}

/// The id of a `K`.
pub struct Id<K>(Uuid, PhantomData<fn() -> K>);

/// A text that is no id of the wanted kind.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an id of the form {expected}_ and 26 characters")]
pub struct InvalidId {
    expected: &'static str,
}

impl<K> Id<K> {
    /// A new id; ids made later sort behind earlier ones.
    pub fn new(chance: &Chance, now: OffsetDateTime) -> Self {
        Self::from_uuid(chance.uuid(now))
    }

    /// The id of nobody.
    pub fn nil() -> Self {
        Self::from_uuid(Uuid::nil())
    }

    /// The id whose database form is `uuid`.
    pub fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid, PhantomData)
    }

    /// The database form.
    pub fn uuid(self) -> Uuid {
        self.0
    }

    /// The shard of this id, `0..=255`: its last byte, which is random (the first ones are a time).
    pub fn shard(self) -> u8 {
        self.0.as_bytes()[15]
    }
}

impl<K: IdKind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0.as_u128();
        let digits = (0..TEXT_LENGTH).rev().map(|digit| ALPHABET[(value >> (digit * 5)) as usize & 31]);
        write!(f, "{}_{}", K::PREFIX, digits.map(char::from).collect::<String>())
    }
}

impl<K: IdKind> FromStr for Id<K> {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = InvalidId { expected: K::PREFIX };
        let digits = text.strip_prefix(K::PREFIX).and_then(|rest| rest.strip_prefix('_'));
        let digits = digits.filter(|digits| digits.len() == TEXT_LENGTH).ok_or(invalid.clone())?;
        let value = digits.bytes().try_fold(0_u128, |value, digit| {
            let digit = ALPHABET.iter().position(|known| *known == digit)? as u128;
            value.checked_mul(32).map(|shifted| shifted | digit)
        });
        value.map(|value| Self::from_uuid(Uuid::from_u128(value))).ok_or(invalid)
    }
}

impl<K: IdKind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<K: IdKind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: IdKind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> hash::Hash for Id<K> {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

macro_rules! ids {
    ($($kind:ident $alias:ident $prefix:literal $what:literal;)*) => {$(
        #[doc = concat!("Marks the id of ", $what, ".")]
        pub enum $kind {}
        impl IdKind for $kind {
            const PREFIX: &'static str = $prefix;
        }
        #[doc = concat!("The id of ", $what, ", `", $prefix, "_…` in text.")]
        pub type $alias = Id<$kind>;
    )*};
}

ids! {
    TenantKind TenantId "ten" "a tenant";
    DomainKind DomainId "dom" "a domain";
    OrderKind OrderId "ord" "an order";
    CertificateKind CertificateId "crt" "a certificate";
    AccountKind AccountId "acc" "an account at a CA";
    TargetKind TargetId "tgt" "a target (a load balancer)";
    ReleaseKind ReleaseId "rel" "a release of configuration on a target";
    EventKind EventId "evt" "an event";
    TokenKind TokenId "tok" "an API token";
    OperationKind OperationId "opn" "an operation of many lines";
    ZoneKind ZoneId "zon" "a DNS zone that certmill writes to";
    AlertKind AlertId "alr" "an alert: one cause, while it lasts";
    MailKind MailId "mai" "a mail that is to be sent";
    RuleKind RuleId "rul" "a notification rule";
    UserKind UserId "usr" "a user";
    TrialKind TrialId "trl" "a trial of an nginx template";
    AuditKind AuditId "aud" "an entry of the audit log";
    GroupKind GroupId "grp" "a group of targets";
    SetupLinkKind SetupLinkId "lnk" "a link for the owner of a shop";
    WebhookEndpointKind WebhookEndpointId "whe" "a webhook endpoint";
    WebhookSecretKind WebhookSecretId "whs" "a secret of a webhook endpoint";
    WebhookDeliveryKind WebhookDeliveryId "whd" "the delivery of an event to a webhook endpoint";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_comes_back_from_its_text() {
        let id = DomainId::new(&Chance::seeded(3), OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000));
        let text = id.to_string();
        assert!(text.starts_with("dom_01"), "{text}");
        assert_eq!(text.len(), 4 + TEXT_LENGTH);
        assert_eq!(text.parse(), Ok(id));
    }

    #[test]
    fn text_of_another_kind_or_shape_is_refused() {
        let text = DomainId::from_uuid(Uuid::from_u128(1)).to_string();
        assert!(text.parse::<OrderId>().is_err());
        for bad in ["", "dom_", "dom_0", "dom_zzzzzzzzzzzzzzzzzzzzzzzzzz", "dom_0000000000000000000000000u"] {
            assert!(bad.parse::<DomainId>().is_err(), "{bad}");
        }
    }
}
