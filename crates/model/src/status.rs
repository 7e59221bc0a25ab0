//! The states, each a closed set: documented once in the API, stored as these words.

/// A word that is no state of the wanted set: the database or a peer speaks another version.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{word:?} is no {set}")]
pub struct UnknownStatus {
    pub(crate) set: &'static str,
    pub(crate) word: String,
}

macro_rules! closed_set {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, serde::Deserialize, serde::Serialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// Every member, in the order of its life.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word in the API and the database.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownStatus;

            fn from_str(word: &str) -> Result<Self, UnknownStatus> {
                match word {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(UnknownStatus { set: stringify!($name), word: word.to_owned() }),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use closed_set;

closed_set! {
    /// What is true of a domain now. A failing renewal changes its health, not this.
    DomainStatus {
        /// The name does not point at our load balancers.
        PendingDns = "pending_dns",
        /// DNS is right; a certificate is being obtained.
        PendingIssuance = "pending_issuance",
        /// A certificate is there, but not yet proved on all load balancers.
        PendingDeployment = "pending_deployment",
        /// Every load balancer was seen to serve the certificate.
        Active = "active",
        /// It was active; its DNS now points elsewhere.
        Moved = "moved",
        /// No valid certificate any more.
        Expired = "expired",
        /// Automatic attempts ended.
        Failed = "failed",
        /// Stopped by an operator.
        Paused = "paused",
        /// Stopped by policy.
        Blocked = "blocked",
        /// Being taken off the load balancers.
        PendingDeletion = "pending_deletion",
        /// Gone; kept as a tombstone.
        Deleted = "deleted",
    }
}

closed_set! {
    /// Where an order is: before the CA knows it, then RFC 8555 section 7.1.6.
    OrderStatus {
        /// Its key is stored; the CA does not know it yet.
        Queued = "queued",
        /// Waits for a known date, such as the end of a rate limit.
        Deferred = "deferred",
        /// The CA waits for challenges.
        Pending = "pending",
        /// The CA waits for the request for the certificate.
        Ready = "ready",
        /// The CA is issuing.
        Processing = "processing",
        /// The certificate is issued.
        Valid = "valid",
        /// The CA refused; a new order is needed.
        Invalid = "invalid",
        /// Given up by us.
        Cancelled = "cancelled",
    }
}

closed_set! {
    /// What has become of a certificate.
    CertificateStatus {
        /// Stored, not proved anywhere yet.
        Issued = "issued",
        /// Seen to be served.
        Active = "active",
        /// A newer one is served in its place.
        Superseded = "superseded",
        /// Past its `not_after`.
        Expired = "expired",
        /// Revoked at the CA.
        Revoked = "revoked",
    }
}

closed_set! {
    /// Where one delivery to one target is.
    DeploymentStatus {
        /// Planned.
        Queued = "queued",
        /// Files are being sent.
        Syncing = "syncing",
        /// nginx tests the whole configuration with the candidate in place.
        Testing = "testing",
        /// nginx takes up the new configuration.
        Reloading = "reloading",
        /// Handshakes prove what is served.
        Verifying = "verifying",
        /// Proved.
        Succeeded = "succeeded",
        /// Stopped before anything went live.
        Failed = "failed",
        /// Went live, was not right, and the previous release is back.
        RolledBack = "rolled_back",
    }
}

closed_set! {
    /// How a target stands to what it should serve.
    TargetState {
        /// Serves what is wanted.
        InSync = "in_sync",
        /// Something is still to be delivered.
        Behind = "behind",
        /// Its files differ from what was delivered.
        Drifted = "drifted",
        /// Cannot be reached.
        Unreachable = "unreachable",
        /// Left out by an operator.
        Disabled = "disabled",
    }
}

closed_set! {
    /// Where a tenant is.
    TenantStatus {
        /// As usual.
        Active = "active",
        /// Its own people and programs only read; its names are served and renewed.
        Suspended = "suspended",
        /// The same, until the grace is over and its names are taken off the load balancers.
        PendingDeletion = "pending_deletion",
        /// Gone.
        Deleted = "deleted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_comes_back_from_its_word() {
        for status in DomainStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(*status));
        }
        assert!("Active".parse::<DomainStatus>().is_err());
    }
}
