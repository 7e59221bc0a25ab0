//! An nginx template that is being written: what it is shown on, and what comes of it.

use crate::{DomainId, Form, Hostname, UpstreamAddress};

/// A text that is to become a template.
#[derive(Clone, Debug)]
pub struct TemplateDraft {
    /// The template's name.
    pub name: String,
    /// Its form.
    pub form: Form,
    /// The text.
    pub source: String,
    /// The domains that it is shown on.
    pub samples: Vec<TemplateSample>,
}

/// A domain that a template is shown on.
#[derive(Clone, Debug)]
pub struct TemplateSample {
    /// Its id.
    pub domain_id: DomainId,
    /// Its name.
    pub name: Hostname,
    /// Where its requests go.
    pub upstream: UpstreamAddress,
}

/// What a template makes for a domain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PreviewedDomain {
    /// The domain.
    pub name: Hostname,
    /// Its `server` block; or why there is none.
    pub block: Result<String, String>,
}

/// What is wrong with a template's text, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TemplateMistake {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// What is wrong, in words for the person who wrote it.
    pub what: String,
}
