//! Our account at a CA: made once, found again by its key.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use certmill_model::{Clock, ProblemCode};
use http::StatusCode;
use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    AccountKey, AcmeError, CaSettings, Failure,
    exchange::{Note, attempt},
    jws::{Signer, external_binding},
    reaction::Stage,
    transport::Transport,
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
    /// The credentials of an account of which the URL and the key are known.
    pub fn of(settings: &CaSettings, account_url: &str, key: &AccountKey) -> Self {
        let key = Zeroizing::new(URL_SAFE_NO_PAD.encode(key.pkcs8()));
        let directory = settings.directory_url().to_string();
        let document = StoredCredentials { id: account_url, key_pkcs8: &key, directory: &directory };
        // Large enough to never move, which would leave a copy of the key behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(4_096));
        serde_json::to_writer(&mut *bytes, &document).expect("credentials are plain JSON");
        Self(bytes)
    }

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

/// What the protocol library reads.
#[derive(serde::Serialize)]
struct StoredCredentials<'a> {
    id: &'a str,
    key_pkcs8: &'a str,
    directory: &'a str,
}

/// Makes the account of this key at the CA, or finds it when the key has one. So a caller that stores the key first
/// may repeat this after any crash, and no account is lost or made twice. Once the account's URL is known, use
/// [`find_account`].
pub async fn register(
    settings: &CaSettings,
    key: &AccountKey,
    clock: Arc<dyn Clock>,
) -> Result<Registration, AcmeError> {
    // Some CAs let the key of an external account be used once: not for an account that was made before a crash.
    if settings.external_account.is_some() {
        match find_account(settings, key, clock.clone()).await {
            Err(error) if is_account_missing(&error) => {}
            result => return result,
        }
    }
    let transport = Transport::new(settings).map_err(unusable_settings)?;
    let created = attempt!(Stage::Account, clock, new_account(&transport, settings, key));
    let ((), note) = created?;
    let account_url = account_url(&note)?;
    let is_older = note.status != Some(StatusCode::CREATED);
    if is_older && !settings.contacts.is_empty() {
        let signer = Signer::account(key, &account_url)?;
        let contacts = json!({ "contact": settings.contacts });
        attempt!(Stage::Account, clock, transport.post(&signer, &account_url, &contacts))?;
    }
    Ok(registration(settings, account_url, key))
}

/// Finds the account of this key, and makes none: a CA that has lost our account, or never had it, is an operator's
/// matter ([`AcmeError::NeedsOperator`]), because limits and CAA records hang on the account's URL.
pub async fn find_account(
    settings: &CaSettings,
    key: &AccountKey,
    clock: Arc<dyn Clock>,
) -> Result<Registration, AcmeError> {
    let transport = Transport::new(settings).map_err(unusable_settings)?;
    let account_url = find_account_url(&transport, key, &clock).await?;
    Ok(registration(settings, account_url, key))
}

/// The URL of the account that has this key (RFC 8555 section 7.3.1).
pub(crate) async fn find_account_url(
    transport: &Transport,
    key: &AccountKey,
    clock: &Arc<dyn Clock>,
) -> Result<String, AcmeError> {
    let signer = Signer::key(key)?;
    let find = || async {
        let url = transport.fetch_directory().await?.new_account.clone();
        transport.post(&signer, &url, &json!({ "onlyReturnExisting": true })).await
    };
    let ((), note) = attempt!(Stage::Account, clock, find())?;
    account_url(&note)
}

pub(crate) fn is_account_missing(error: &AcmeError) -> bool {
    error.problem().is_some_and(|problem| problem.short_kind() == "accountDoesNotExist")
}

pub(crate) fn unusable_settings(error: crate::InvalidCaSettings) -> AcmeError {
    AcmeError::NeedsOperator { failure: Failure::caused_by(ProblemCode::Internal, error) }
}

async fn new_account(
    transport: &Transport,
    settings: &CaSettings,
    key: &AccountKey,
) -> Result<(), instant_acme::Error> {
    let url = transport.fetch_directory().await?.new_account.clone();
    let mut payload = json!({ "termsOfServiceAgreed": true });
    if !settings.contacts.is_empty() {
        payload["contact"] = json!(settings.contacts);
    }
    let signer = Signer::key(key).map_err(|_| instant_acme::Error::KeyRejected)?;
    if let Some(external) = &settings.external_account {
        payload["externalAccountBinding"] = external_binding(external, &signer, &url);
    }
    transport.post(&signer, &url, &payload).await
}

fn account_url(note: &Note) -> Result<String, AcmeError> {
    let missing = || {
        let failure = Failure::found(ProblemCode::CaUnavailable, "the CA does not say where the account is");
        AcmeError::Retry { after: None, failure }
    };
    note.location.clone().ok_or_else(missing)
}

fn registration(settings: &CaSettings, account_url: String, key: &AccountKey) -> Registration {
    let credentials = AccountCredentials::of(settings, &account_url, key);
    Registration { account_url, credentials }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_made_of_what_is_known() {
        let settings = CaSettings::new("https://ca.example/directory").unwrap();
        let key = AccountKey::generate();
        let credentials = AccountCredentials::of(&settings, "https://ca.example/account/1", &key);
        credentials.check(&settings).unwrap();
        let parsed = credentials.parse().unwrap();
        assert_eq!(parsed.private_key().secret_pkcs8_der(), key.pkcs8());
    }

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
