//! The name of an nginx template.

use std::{fmt, str::FromStr};

/// How a template serves its domains (measured costs: `docs/templates.md`).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Form {
    /// One `server` block for all its domains; the certificate is found by SNI at the handshake.
    Shared,
    /// A `server` block for each domain.
    Dedicated,
}

impl Form {
    /// The word in file names and references.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Dedicated => "dedicated",
        }
    }
}

/// The template that a tenant or domain names: `storefront`, or `storefront:dedicated` for one form of it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TemplateRef {
    name: String,
    form: Option<Form>,
}

/// A text that names no template.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "a template's name has 1 to 40 lower-case letters, digits and hyphens; :shared or :dedicated may follow"
)]
pub struct InvalidTemplateRef;

impl TemplateRef {
    /// Parses a reference. Whether such a template exists is another question.
    pub fn parse(input: &str) -> Result<Self, InvalidTemplateRef> {
        let (name, form) = match input.split_once(':') {
            None => (input, None),
            Some((name, "shared")) => (name, Some(Form::Shared)),
            Some((name, "dedicated")) => (name, Some(Form::Dedicated)),
            Some(_) => return Err(InvalidTemplateRef),
        };
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let valid = (1..=40).contains(&name.len()) && name.bytes().all(allowed) && !name.starts_with('-');
        valid.then(|| Self { name: name.to_owned(), form }).ok_or(InvalidTemplateRef)
    }

    /// The template's name without its form.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The form asked for; `None` leaves it to the template: shared where it has that form.
    pub fn form(&self) -> Option<Form> {
        self.form
    }
}

impl FromStr for TemplateRef {
    type Err = InvalidTemplateRef;

    fn from_str(input: &str) -> Result<Self, InvalidTemplateRef> {
        Self::parse(input)
    }
}

impl fmt::Display for TemplateRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.form {
            None => f.write_str(&self.name),
            Some(form) => write!(f, "{}:{}", self.name, form.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_comes_back_from_its_text() {
        for good in ["storefront", "storefront-cached", "storefront:dedicated", "a1:shared"] {
            assert_eq!(TemplateRef::parse(good).unwrap().to_string(), good);
        }
    }

    #[test]
    fn a_reference_is_never_a_path() {
        for bad in ["", "../x", "a/b", "A", "-a", "a:b", "a.conf", "a:shared:x"] {
            assert!(TemplateRef::parse(bad).is_err(), "{bad}");
        }
    }
}
