//! Why a record is not written, by what happens next.

use std::{error::Error, fmt::Write, future::Future};

use certmill_model::ProblemCode;
use time::Duration;

/// What of a foreign text is shown, in characters.
const LONGEST_QUOTE: usize = 300;

/// Why a record could not be written; each is a sentence, with the provider's own words where it gave any.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProviderError {
    /// It may go better later.
    #[error("{detail}")]
    Retry {
        /// How long the provider asks us to wait, if it does.
        after: Option<Duration>,
        /// What happened.
        detail: String,
    },
    /// An operator must mend a setting, or the rights that go with it.
    #[error("the setting {setting} is wrong: {detail}")]
    Settings {
        /// The name of the setting, as in the settings' JSON; or of the secret.
        setting: &'static str,
        /// What is wrong with it.
        detail: String,
    },
}

/// A setting that cannot work, found without asking anybody.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the setting {setting} is wrong: {detail}")]
pub struct InvalidProvider {
    /// The name of the setting, as in the settings' JSON; or of the secret; or `zone`.
    pub setting: &'static str,
    /// What is wrong with it.
    pub detail: String,
}

impl ProviderError {
    /// The kind of problem that a domain shows for it.
    pub fn problem_code(&self) -> ProblemCode {
        ProblemCode::DnsZoneUnavailable
    }

    pub(super) fn retry(detail: impl Into<String>) -> Self {
        Self::Retry { after: None, detail: detail.into() }
    }

    pub(super) fn settings(setting: &'static str, detail: impl Into<String>) -> Self {
        Self::Settings { setting, detail: detail.into() }
    }
}

impl InvalidProvider {
    pub(super) fn new(setting: &'static str, detail: impl Into<String>) -> Self {
        Self { setting, detail: detail.into() }
    }
}

impl From<InvalidProvider> for ProviderError {
    fn from(invalid: InvalidProvider) -> Self {
        Self::Settings { setting: invalid.setting, detail: invalid.detail }
    }
}

/// Waits for `call`, but not for ever.
pub(super) async fn within<T>(
    limit: std::time::Duration,
    whom: &str,
    call: impl Future<Output = Result<T, ProviderError>>,
) -> Result<T, ProviderError> {
    let silent = |_| ProviderError::retry(format!("{whom} did not answer within {} s", limit.as_secs_f32()));
    tokio::time::timeout(limit, call).await.map_err(silent)?
}

/// Foreign words as they may be shown and stored: bounded, printable, and never with the secret in them.
pub(super) fn quote(words: &str, secret: &str) -> String {
    let words = if secret.is_empty() { words.to_owned() } else { words.replace(secret, "(the secret)") };
    let quote = printable(&words);
    match quote.char_indices().nth(LONGEST_QUOTE) {
        Some((end, _)) => format!("{} …", &quote[..end]),
        None => quote,
    }
}

/// Words in one line, without what would move a terminal's cursor.
pub(super) fn printable(words: &str) -> String {
    let words = words.split(|c: char| c.is_whitespace() || c.is_control());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// An error with its causes, which say what the error itself does not.
pub(super) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(text, ": {error}").expect("a String takes all that is written to it");
        cause = error.source();
    }
    quote(&text, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_others_are_bounded_printable_and_without_the_secret() {
        assert_eq!(quote("no\r\n\u{1b}[31m such\tkey s3cret!", "s3cret"), "no [31m such key (the secret)!");
        let long = quote(&"ä".repeat(10_000), "x");
        assert_eq!(long.chars().count(), LONGEST_QUOTE + 2);
        // The secret goes before the end is cut off: not even its beginning stays.
        let cut = quote(&format!("{}topsecret", "x".repeat(LONGEST_QUOTE - 3)), "topsecret");
        assert!(!cut.contains("top"), "{cut}");
    }

    #[tokio::test]
    async fn whoever_does_not_answer_is_waited_for_until_the_limit() {
        let limit = std::time::Duration::from_millis(50);
        let silent = within::<()>(limit, "192.0.2.1:53", std::future::pending()).await.unwrap_err();
        assert_eq!(silent, ProviderError::retry("192.0.2.1:53 did not answer within 0.05 s"));
    }
}
