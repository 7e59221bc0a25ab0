//! Lines of a long operation: what each asks for, checked like a request of its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Hostname, KeyType, Label, Metadata, NamePolicy, Tags, TemplateRef,
    status::{UnknownStatus, closed_set},
};

closed_set! {
    /// Where an operation is.
    OperationStatus {
        /// Its lines are coming in, or it waits for its turn.
        Queued = "queued",
        /// Lines are being worked on.
        Running = "running",
        /// Every line has its result; some may have failed.
        Succeeded = "succeeded",
        /// It cannot go on.
        Failed = "failed",
        /// Somebody ended it; lines without a result were left.
        Cancelled = "cancelled",
    }
}

closed_set! {
    /// What a line asks for.
    BulkAction {
        /// Register the domain, or change what is wanted of it.
        Put = "put",
        /// Remove it.
        Delete = "delete",
        /// Look at its name now.
        Check = "check",
        /// Renew its certificate now.
        Renew = "renew",
        /// Stop its orders and renewals.
        Pause = "pause",
        /// Go on with them.
        Resume = "resume",
    }
}

/// A line as it comes in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawLine {
    op: String,
    name: String,
    #[serde(default, rename = "ref")]
    reference: Option<String>,
    #[serde(default)]
    external_id: Option<String>,
    #[serde(default)]
    template: Option<String>,
    #[serde(default)]
    key_type: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

/// A line that can be worked on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BulkLine {
    /// What it asks for.
    pub action: BulkAction,
    /// Of which name.
    pub name: Hostname,
    /// What `put` says beside the name.
    pub wish: LineWish,
}

/// What `put` says of a domain beside its name, in the words that it came in.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct LineWish {
    /// The shop's id in the commerce system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// The kind of key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_type: Option<String>,
    /// The tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The free data.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// The same, parsed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ParsedWish {
    /// The shop's id in the commerce system.
    pub external_id: Option<Label>,
    /// The template.
    pub template: Option<TemplateRef>,
    /// The kind of key.
    pub key_type: Option<KeyType>,
    /// The tags.
    pub tags: Tags,
    /// The free data.
    pub metadata: Metadata,
}

/// Why a line is not worked on, as a request of its own would have been told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RefusedLine {
    /// A stable word for programs.
    pub code: &'static str,
    /// What is wrong, for people.
    pub detail: String,
}

impl RawLine {
    /// Reads a line of NDJSON.
    pub fn read(text: &str) -> Result<Self, RefusedLine> {
        serde_json::from_str(text)
            .map_err(|error| refused("invalid_line", format!("The line is not as expected: {error}.")))
    }

    /// What the sender calls it.
    pub fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }

    /// Checks it like a request of its own; `exists` knows the templates.
    pub fn check(
        self,
        policy: &NamePolicy,
        exists: impl FnOnce(&TemplateRef) -> bool,
    ) -> Result<BulkLine, RefusedLine> {
        let actions = BulkAction::ALL.iter().map(|action| action.as_str()).collect::<Vec<_>>().join(", ");
        let action =
            self.op.parse().map_err(|_| refused("invalid_field", format!("op: it is none of {actions}.")))?;
        let name = Hostname::parse(&self.name).map_err(|error| refused(error.code(), error.to_string()))?;
        if action == BulkAction::Put {
            policy.check(&name).map_err(|error| refused(error.code(), error.to_string()))?;
        }
        let Self { external_id, template, key_type, tags, metadata, .. } = self;
        let wish = LineWish { external_id, template, key_type, tags, metadata };
        let parsed = wish.parse()?;
        if parsed.template.is_some_and(|template| !exists(&template)) {
            return Err(refused("unknown_template", "There is no template of this name and form.".into()));
        }
        Ok(BulkLine { action, name, wish })
    }
}

impl LineWish {
    /// Reads the words.
    pub fn parse(&self) -> Result<ParsedWish, RefusedLine> {
        fn bad<T>(field: &str, error: impl std::fmt::Display) -> Result<T, RefusedLine> {
            Err(refused("invalid_field", format!("{field}: {error}.")))
        }
        let external_id = self.external_id.as_deref().map(Label::parse).transpose();
        let template = self.template.as_deref().map(TemplateRef::parse).transpose();
        let key_type = self.key_type.as_deref().map(str::parse).transpose();
        let pairs = self.metadata.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        Ok(ParsedWish {
            external_id: external_id.or_else(|error| bad("external_id", error))?,
            template: template.or_else(|error| bad("template", error))?,
            key_type: key_type.or_else(|error: UnknownStatus| bad("key_type", error))?,
            tags: Tags::parse(self.tags.iter().map(String::as_str)).or_else(|error| bad("tags", error))?,
            metadata: Metadata::parse(pairs).or_else(|error| bad("metadata", error))?,
        })
    }
}

fn refused(code: &'static str, detail: String) -> RefusedLine {
    RefusedLine { code, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<BulkLine, &'static str> {
        let line = RawLine::read(text).map_err(|refused| refused.code)?;
        line.check(&NamePolicy::default(), |template| template.name() == "storefront")
            .map_err(|refused| refused.code)
    }

    #[test]
    fn a_line_is_checked_like_a_request_of_its_own() {
        let good = check(
            r#"{"op":"put","name":"Bücher.de","external_id":"1","ref":"row-1","template":"storefront"}"#,
        );
        assert_eq!(good.unwrap().name.as_str(), "xn--bcher-kva.de");
        for (text, code) in [
            ("{", "invalid_line"),
            (r#"{"op":"put"}"#, "invalid_line"),
            (r#"{"op":"put","name":"a.de","colour":"red"}"#, "invalid_line"),
            (r#"{"op":"burn","name":"a.de"}"#, "invalid_field"),
            (r#"{"op":"put","name":"localhost"}"#, "name_single_label"),
            (r#"{"op":"put","name":"a.test"}"#, "name_special_use"),
            (r#"{"op":"put","name":"a.de","template":"other"}"#, "unknown_template"),
            (r#"{"op":"put","name":"a.de","key_type":"dsa"}"#, "invalid_field"),
            (r#"{"op":"put","name":"a.de","external_id":""}"#, "invalid_field"),
        ] {
            assert_eq!(check(text), Err(code), "{text}");
        }
    }
}
