//! The value of an `issue` or `issuewild` property (RFC 8659 section 4.2) and its parameters (RFC 8657).

use certmill_model::ChallengeKind;

/// The parameter that names the account that may order.
pub(super) const ACCOUNT_URI: &str = "accounturi";

/// The parameter that names the challenges that may prove the name.
pub(super) const VALIDATION_METHODS: &str = "validationmethods";

/// A value that is well formed; any other permits nobody.
pub(super) struct Issue<'a> {
    /// Empty: nobody.
    domain: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Issue<'a> {
    pub(super) fn parse(value: &'a [u8]) -> Option<Self> {
        let value = str::from_utf8(value).ok()?;
        let (domain, parameters) = value.split_once(';').unwrap_or((value, ""));
        let domain = trim(domain);
        if !domain.is_empty() && !domain.split('.').all(is_label) {
            return None;
        }
        let parameters = match trim(parameters) {
            "" => Vec::new(),
            parameters => parameters.split(';').map(parameter).collect::<Option<_>>()?,
        };
        Some(Self { domain, parameters })
    }

    pub(super) fn names(&self, identities: &[String]) -> bool {
        identities
            .iter()
            .any(|identity| !self.domain.is_empty() && self.domain.eq_ignore_ascii_case(identity))
    }

    /// Whether this account may order. RFC 8657 section 3: the parameter twice permits nobody.
    pub(super) fn allows_account(&self, url: &str) -> bool {
        let mut named = self.all(ACCOUNT_URI);
        match (named.next(), named.next()) {
            (None, _) => true,
            (Some(named), None) => named == url,
            (Some(_), Some(_)) => false,
        }
    }

    /// Whether this challenge may prove the name (RFC 8657 section 4).
    pub(super) fn allows_method(&self, method: ChallengeKind) -> bool {
        let mut named = self.all(VALIDATION_METHODS);
        match (named.next(), named.next()) {
            (None, _) => true,
            (Some(methods), None) => methods.split(',').any(|named| named == method.as_str()),
            (Some(_), Some(_)) => false,
        }
    }

    fn all(&self, tag: &'static str) -> impl Iterator<Item = &'a str> {
        self.parameters.iter().filter(move |(named, _)| *named == tag).map(|(_, value)| *value)
    }
}

fn parameter(text: &str) -> Option<(&str, &str)> {
    let (tag, value) = text.split_once('=')?;
    let (tag, value) = (trim(tag), trim(value));
    (is_label(tag) && value.bytes().all(|byte| byte.is_ascii_graphic())).then_some((tag, value))
}

fn is_label(text: &str) -> bool {
    let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !text.is_empty() && text.bytes().all(is_inside) && !text.starts_with('-') && !text.ends_with('-')
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}
