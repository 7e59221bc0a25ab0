//! DNS names: the only way for a name to come in.

use std::{fmt, net::IpAddr, str::FromStr};

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use unicode_security::{MixedScript, RestrictionLevel, RestrictionLevelDetection};

use crate::text::is_unprintable;

/// A DNS name that a publicly trusted certificate can hold: A-labels (RFC 5890) of letters, digits and hyphens in
/// lower case, no trailing dot, below a public suffix, and at most one `*.`, in front.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Hostname(String);

/// Why a text is no [`Hostname`], in words for the person who typed it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidHostname {
    /// Nothing was given.
    #[error("the name is empty")]
    Empty,
    /// More than 253 bytes in A-label form (RFC 1035 section 2.3.4).
    #[error("the name is longer than 253 characters")]
    TooLong,
    /// More than 10 labels, the most that CAs take.
    #[error("the name has more than 10 parts between its dots")]
    TooManyLabels,
    /// Two dots in a row, or a dot in front.
    #[error("the name has an empty part between two dots, or begins with a dot")]
    EmptyLabel,
    /// A label of more than 63 bytes in A-label form.
    #[error("the part {0:?} is longer than 63 characters")]
    LabelTooLong(String),
    /// A character that no DNS name of a web site has.
    #[error("the name contains {0:?}; only letters, digits, hyphens and dots are allowed")]
    ForbiddenCharacter(char),
    /// A control, a zero-width or a direction-changing character.
    #[error("the name contains a character that cannot be seen (U+{0:04X})")]
    InvisibleCharacter(u32),
    /// Characters that look like plain letters but are others, such as full-width forms.
    #[error("the name is written with look-alike characters; write {0:?} if that is what you mean")]
    LookAlike(String),
    /// A label that mixes scripts, as names made to deceive do.
    #[error("the part {0:?} mixes letters of different alphabets")]
    MixedScripts(String),
    /// A hyphen at an end of a label, or at its third and fourth place without being an A-label.
    #[error("the part {0:?} has a hyphen where none may be")]
    MisplacedHyphen(String),
    /// Not valid as an internationalised name (UTS 46).
    #[error("the name is not a valid international domain name")]
    InvalidInternational,
    /// A `*` that is not the whole first label.
    #[error("a * may only stand alone in front, as in *.shop.example")]
    MisplacedWildcard,
    /// An IP address, which has certificates of its own kind.
    #[error("this is an IP address, not a domain name")]
    IpAddress,
    /// One label only, such as `localhost`.
    #[error("the name has no dot: a full domain name is needed")]
    SingleLabel,
    /// A last label that is a number, as in no top-level domain.
    #[error("the last part of the name is a number, which is no top-level domain")]
    NumericTopLevel,
    /// A name under which others register theirs (Public Suffix List), or a `*.` directly on one.
    #[error("{0:?} is a public suffix: the names below it belong to different owners")]
    PublicSuffix(String),
}

impl Hostname {
    const MAX_LENGTH: usize = 253;
    const MAX_LABEL: usize = 63;
    const MAX_LABELS: usize = 10;

    /// Parses a name in U-label or A-label form, in any case, with or without the trailing dot.
    pub fn parse(input: &str) -> Result<Self, InvalidHostname> {
        check_characters(input)?;
        let name = input.strip_suffix('.').unwrap_or(input);
        if name.is_empty() {
            return Err(InvalidHostname::Empty);
        }
        if name.parse::<IpAddr>().is_ok() {
            return Err(InvalidHostname::IpAddress);
        }
        let (wildcard, base) = match name.strip_prefix("*.") {
            Some(base) => (true, base),
            None => (false, name),
        };
        if base.contains('*') {
            return Err(InvalidHostname::MisplacedWildcard);
        }
        let base = to_ascii(base)?;
        let name = if wildcard { format!("*.{base}") } else { base.clone() };
        check_lengths(&name)?;
        check_suffix(&base)?;
        Ok(Self(name))
    }

    /// A name that was parsed once and stored since. What is a public suffix may have changed in the meantime: a name
    /// that was taken stays a name.
    pub fn from_stored(text: &str) -> Result<Self, InvalidHostname> {
        let allowed = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | '*');
        match text.chars().find(|c| !allowed(c)) {
            Some(c) => Err(InvalidHostname::ForbiddenCharacter(c)),
            None if text.is_empty() => Err(InvalidHostname::Empty),
            None => check_lengths(text).map(|()| Self(text.to_owned())),
        }
    }

    /// The name in A-label form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as people write it.
    pub fn to_unicode(&self) -> String {
        let (unicode, _) = idna::domain_to_unicode(self.base());
        if self.is_wildcard() { format!("*.{unicode}") } else { unicode }
    }

    /// Whether the name begins with `*.`.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with("*.")
    }

    /// The name without its `*.`: what an authorization is for (RFC 8555 section 7.1.3).
    pub fn base(&self) -> &str {
        self.0.strip_prefix("*.").unwrap_or(&self.0)
    }

    /// The registered domain: the public suffix and one label.
    pub fn registered_domain(&self) -> &str {
        psl::domain_str(self.base()).unwrap_or(self.base())
    }

    /// `www.shop.example` for `shop.example`, and the other way round.
    pub fn www_counterpart(&self) -> Option<Self> {
        let counterpart = match self.0.strip_prefix("www.") {
            Some(apex) => apex.to_owned(),
            None => format!("www.{}", self.0),
        };
        if self.is_wildcard() { None } else { Self::parse(&counterpart).ok() }
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Hostname {
    type Err = InvalidHostname;

    fn from_str(input: &str) -> Result<Self, InvalidHostname> {
        Self::parse(input)
    }
}

impl Serialize for Hostname {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Hostname {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl InvalidHostname {
    /// A stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "name_empty",
            Self::TooLong => "name_too_long",
            Self::TooManyLabels => "name_too_many_labels",
            Self::EmptyLabel => "name_empty_label",
            Self::LabelTooLong(_) => "name_label_too_long",
            Self::ForbiddenCharacter(_) => "name_forbidden_character",
            Self::InvisibleCharacter(_) => "name_invisible_character",
            Self::LookAlike(_) => "name_look_alike",
            Self::MixedScripts(_) => "name_mixed_scripts",
            Self::MisplacedHyphen(_) => "name_misplaced_hyphen",
            Self::InvalidInternational => "name_invalid_international",
            Self::MisplacedWildcard => "name_misplaced_wildcard",
            Self::IpAddress => "name_ip_address",
            Self::SingleLabel => "name_single_label",
            Self::NumericTopLevel => "name_numeric_top_level",
            Self::PublicSuffix(_) => "name_public_suffix",
        }
    }
}

/// What must hold before any conversion, so that an error names what was typed.
fn check_characters(input: &str) -> Result<(), InvalidHostname> {
    // Longer than any name in any form: not worth a conversion.
    if input.len() > 4 * Hostname::MAX_LENGTH {
        return Err(InvalidHostname::TooLong);
    }
    for c in input.chars() {
        if is_unprintable(c) {
            return Err(InvalidHostname::InvisibleCharacter(c.into()));
        }
        if c.is_ascii() && !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '*')) {
            // The one punctuation that comes with a familiar mistake: an IPv6 address.
            let address = input.trim_matches(['[', ']']).split('%').next().unwrap_or_default();
            return Err(match address.parse::<IpAddr>() {
                Ok(_) => InvalidHostname::IpAddress,
                Err(_) => InvalidHostname::ForbiddenCharacter(c),
            });
        }
    }
    if input.contains("..") || (input.starts_with('.') && input.len() > 1) {
        return Err(InvalidHostname::EmptyLabel);
    }
    Ok(())
}

/// The A-label form of a name without wildcard (UTS 46, non-transitional; RFC 5891 section 5).
pub(crate) fn to_ascii(name: &str) -> Result<String, InvalidHostname> {
    for label in name.split('.') {
        check_label(label)?;
    }
    let ascii = Uts46::new()
        .to_ascii(name.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Ignore)
        .map_err(|_| InvalidHostname::InvalidInternational)?;
    if !name.is_ascii() && ascii.split('.').all(|label| !label.starts_with("xn--")) {
        return Err(InvalidHostname::LookAlike(ascii.into_owned()));
    }
    // Mapping can make new labels (an ideographic full stop) or empty ones.
    for label in ascii.split('.') {
        if label.is_empty() {
            return Err(InvalidHostname::EmptyLabel);
        }
        check_scripts(label)?;
    }
    Ok(ascii.into_owned())
}

fn check_label(label: &str) -> Result<(), InvalidHostname> {
    let misplaced = || Err(InvalidHostname::MisplacedHyphen(label.to_owned()));
    if label.starts_with('-') || label.ends_with('-') {
        return misplaced();
    }
    // RFC 5891 section 4.2.3.1: "--" there is reserved for A-labels.
    let reserved = label.as_bytes().get(2..4) == Some(b"--");
    if reserved && !label[..2].eq_ignore_ascii_case("xn") {
        return misplaced();
    }
    Ok(())
}

fn check_scripts(ascii_label: &str) -> Result<(), InvalidHostname> {
    if !ascii_label.starts_with("xn--") {
        return Ok(());
    }
    let (label, _) = idna::domain_to_unicode(ascii_label);
    let deceptive = label.as_str().detect_restriction_level() > RestrictionLevel::HighlyRestrictive;
    if !label.as_str().is_single_script() && deceptive {
        return Err(InvalidHostname::MixedScripts(label));
    }
    Ok(())
}

fn check_lengths(name: &str) -> Result<(), InvalidHostname> {
    if let Some(label) = name.split('.').find(|label| label.len() > Hostname::MAX_LABEL) {
        return Err(InvalidHostname::LabelTooLong(label.to_owned()));
    }
    if name.len() > Hostname::MAX_LENGTH {
        return Err(InvalidHostname::TooLong);
    }
    if name.split('.').count() > Hostname::MAX_LABELS {
        return Err(InvalidHostname::TooManyLabels);
    }
    Ok(())
}

fn check_suffix(base: &str) -> Result<(), InvalidHostname> {
    let (_, top_level) = base.rsplit_once('.').ok_or(InvalidHostname::SingleLabel)?;
    if top_level.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidHostname::NumericTopLevel);
    }
    if psl::suffix_str(base) == Some(base) {
        return Err(InvalidHostname::PublicSuffix(base.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
#[path = "hostname_tests.rs"]
mod tests;
