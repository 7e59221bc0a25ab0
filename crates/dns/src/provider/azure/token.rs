//! Access tokens by client credentials (RFC 6749 section 4.4):
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>.

use std::time::{Duration, Instant};

use http::{HeaderValue, Method, Request, header};
use http_body_util::Full;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::AzureSettings;
use crate::provider::{
    Credentials, InvalidProvider, ProviderError,
    error::quote,
    https::{Answer, Endpoint, Https, secret_header},
    settings::id,
};

/// A token is not used in its last five minutes, or in the last quarter of a shorter life.
const RESERVE: Duration = Duration::from_secs(300);

/// What a form leaves as it is.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// The one token that is in use.
pub(super) struct Tokens {
    uri: String,
    form: Zeroizing<String>,
    secret: Zeroizing<String>,
    current: Mutex<Option<Token>>,
}

struct Token {
    authorization: HeaderValue,
    use_until: Instant,
}

impl Tokens {
    pub(super) fn new(
        settings: &AzureSettings,
        endpoint: &Endpoint,
        credentials: &Credentials,
    ) -> Result<Self, InvalidProvider> {
        let authority = Endpoint::parse("authority", settings.authority.as_deref(), super::AUTHORITY)?;
        let tenant = tenant(&settings.tenant_id)?;
        let client = id("client_id", &settings.client_id)?;
        let secret = credentials.secret();
        let scope = format!("{endpoint}/.default");
        let form = format!(
            "grant_type=client_credentials&client_id={client}&client_secret={}&scope={}",
            utf8_percent_encode(secret, FORM),
            utf8_percent_encode(&scope, FORM)
        );
        Ok(Self {
            uri: format!("{authority}/{tenant}/oauth2/v2.0/token"),
            form: Zeroizing::new(form),
            secret: Zeroizing::new(secret.to_owned()),
            current: Mutex::new(None),
        })
    }

    pub(super) fn secret(&self) -> &str {
        &self.secret
    }

    /// The token in use, or a new one. Those who come while one is on its way wait for it.
    pub(super) async fn current(&self, https: &Https) -> Result<HeaderValue, ProviderError> {
        let mut current = self.current.lock().await;
        if let Some(token) = current.as_ref().filter(|token| Instant::now() < token.use_until) {
            return Ok(token.authorization.clone());
        }
        let token = self.fetch(https).await?;
        let authorization = token.authorization.clone();
        *current = Some(token);
        Ok(authorization)
    }

    /// The token in use was refused.
    pub(super) async fn forget(&self) {
        *self.current.lock().await = None;
    }

    async fn fetch(&self, https: &Https) -> Result<Token, ProviderError> {
        #[derive(Deserialize)]
        struct Granted {
            access_token: String,
            expires_in: u32,
        }
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.uri)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(self.form.as_bytes().to_vec().into()));
        let request = request.expect("the parts of the request were checked");
        let answer = https.send(request).await?.unless_busy()?;
        if !answer.status.is_success() {
            return Err(self.refused(&answer));
        }
        let granted: Granted = answer.json().ok_or_else(|| answer.retry("no access token"))?;
        let life = Duration::from_secs(granted.expires_in.into());
        let authorization = secret_header("client_secret", &format!("Bearer {}", granted.access_token))?;
        Ok(Token { authorization, use_until: Instant::now() + life.saturating_sub(RESERVE.min(life / 4)) })
    }

    /// <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>
    fn refused(&self, answer: &Answer) -> ProviderError {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Refusal {
            error: String,
            error_description: String,
            error_codes: Vec<u64>,
        }
        let refusal: Refusal = answer.json().unwrap_or_default();
        let setting = match refusal.error_codes.first() {
            // No such application in this directory; not an id at all.
            Some(700_016 | 7_000_229 | 900_144) => "client_id",
            // No such directory; not an id at all.
            Some(90_002 | 900_021 | 900_023) => "tenant_id",
            // No such resource: the endpoint is part of the scope.
            Some(70_011 | 500_011 | 1_002_012) => "endpoint",
            _ if matches!(refusal.error.as_str(), "invalid_client" | "unauthorized_client") => {
                AzureSettings::SECRET
            }
            _ => return answer.retry(&quote(&refusal.error_description, &self.secret)),
        };
        // The first line says what is wrong; behind it are ids for Microsoft's support.
        let words = refusal.error_description.lines().next().unwrap_or_default();
        ProviderError::settings(setting, format!("Microsoft says: {}", quote(words, &self.secret)))
    }
}

/// An id, or one of the directory's domains.
fn tenant(text: &str) -> Result<&str, InvalidProvider> {
    let labels = text.split('.').map(|label| id("tenant_id", label));
    labels.collect::<Result<Vec<_>, _>>().map(|_| text)
}
