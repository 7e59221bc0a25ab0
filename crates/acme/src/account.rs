//! Our account at a CA: made once, found again by its key.

use std::sync::Arc;

use certmill_model::{Clock, ProblemCode};
use instant_acme::{Account, Key};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use crate::{
    AccountKey, AcmeError, CaSettings, Failure, exchange::attempt, reaction::Stage, transport::Transport,
};

/// An account at a CA.
pub struct Registration {
    /// The account's URL, by which the CA and CAA records (RFC 8657) name it.
    pub account_url: String,
    /// What [`crate::Client::open`] needs.
    pub credentials: AccountCredentials,
}

/// The secret part of an account: its URL, its private key and the CA's directory, as JSON. Wiped from memory when
/// dropped; to be sealed before it is stored.
pub struct AccountCredentials(Zeroizing<Vec<u8>>);

impl AccountCredentials {
    /// Takes back what [`AccountCredentials::secret_bytes`] gave.
    pub fn from_secret_bytes(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes to seal.
    pub fn secret_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What the protocol library takes.
    pub(crate) fn parse(&self) -> Result<instant_acme::AccountCredentials, serde_json::Error> {
        serde_json::from_slice(&self.0)
    }

    /// Refuses credentials that cannot be read, or are for another CA than the one of the settings.
    pub(crate) fn check(&self, settings: &CaSettings) -> Result<(), AcmeError> {
        #[derive(serde::Deserialize)]
        struct Origin {
            directory: String,
        }
        let origin: Result<Origin, _> = serde_json::from_slice(&self.0);
        let summary = match (origin, self.parse()) {
            (Ok(origin), Ok(_)) if origin.directory == settings.directory_url().to_string() => return Ok(()),
            (Ok(_), Ok(_)) => "the stored credentials of the account are for another CA's directory",
            _ => "the stored credentials of the account cannot be read",
        };
        Err(AcmeError::NeedsOperator { failure: Failure::found(ProblemCode::CaAccount, summary) })
    }
}

/// Makes the account of this key at the CA, or finds it when the key has one. So a caller that stores the key first
/// may repeat this after any crash, and no account is lost or made twice.
pub async fn register(
    settings: &CaSettings,
    key: &AccountKey,
    clock: Arc<dyn Clock>,
) -> Result<Registration, AcmeError> {
    let transport = Transport::new(settings).map_err(unusable_settings)?;
    let directory_url = settings.directory_url().to_string();
    let contacts: Vec<_> = settings.contacts.iter().map(String::as_str).collect();
    let create = || async {
        let pkcs8 = || PrivatePkcs8KeyDer::from(key.pkcs8().to_vec());
        let pair = (Key::from_pkcs8_der(pkcs8())?, PrivateKeyDer::Pkcs8(pkcs8()));
        let builder = Account::builder_with_http(Box::new(transport.clone()));
        builder.create_from_key(pair, directory_url.clone()).await
    };
    let ((account, credentials), _) = attempt!(Stage::Account, clock, create())?;
    if !contacts.is_empty() {
        attempt!(Stage::Account, clock, account.update_contacts(&contacts))?;
    }
    Ok(Registration { account_url: account.id().to_owned(), credentials: secret_json(&credentials) })
}

pub(crate) fn unusable_settings(error: crate::InvalidCaSettings) -> AcmeError {
    AcmeError::NeedsOperator { failure: Failure::caused_by(ProblemCode::Internal, error) }
}

fn secret_json(credentials: &instant_acme::AccountCredentials) -> AccountCredentials {
    // Large enough to never move, which would leave a copy of the key behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(4_096));
    serde_json::to_writer(&mut *bytes, credentials).expect("credentials are plain JSON");
    AccountCredentials(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_another_ca_are_refused_before_anything_is_sent() {
        let settings = CaSettings::new("https://ca.example/directory").unwrap();
        for bad in ["{}", "x", r#"{"id":"a","key_pkcs8":"","directory":"https://other.example/directory"}"#] {
            let credentials = AccountCredentials::from_secret_bytes(bad.as_bytes().to_vec());
            let error = credentials.check(&settings).unwrap_err();
            assert!(matches!(error, AcmeError::NeedsOperator { .. }));
            assert_eq!(error.problem_code(), ProblemCode::CaAccount);
        }
    }
}
