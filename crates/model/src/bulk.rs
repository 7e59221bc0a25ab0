//! Lines of a long operation: what each asks for, checked like a request of its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::{
    DomainStatus, Hostname, KeyType, Label, Metadata, NamePolicy, Tags, TemplateRef,
    status::{UnknownStatus, closed_set},
};

/// Operations of a tenant that may be under way at a time: beyond that nobody's turn would come.
pub const OPEN_OPERATIONS: i64 = 10;

/// Lines of a tenant that are taken in before the oldest of them go, so that none fills the disk.
pub const STORED_LINES: i64 = 5_000_000;
/// The same in bytes of what they say: a line may have 16 KiB.
pub const STORED_BYTES: i64 = 4 << 30;

/// Lines, bytes of them, and operations of a tenant that are kept: beyond that the oldest go before their time.
pub const KEPT_LINES: i64 = 2_000_000;
/// See [`KEPT_LINES`].
pub const KEPT_BYTES: i64 = 1 << 30;
/// See [`KEPT_LINES`].
pub const KEPT_OPERATIONS: i64 = 10_000;

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
        /// Register the domain, or change what is wanted of it: what is left out is unset.
        Put = "put",
        /// Change what is wanted of it: what is left out stays, null unsets it (RFC 7396).
        Patch = "patch",
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

/// What becomes of a wish for a domain that is there, whoever has it: a request, a form, or a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Possible {
    /// It is done.
    Now,
    /// It is so already, in these words: nothing changes.
    Already(&'static str),
    /// It is refused: a stable word for programs, and the reason for people.
    Not(&'static str, &'static str),
}

impl BulkAction {
    /// Whether that can be done with a domain in `status`, which has a certificate that could be renewed or not.
    pub fn possible(self, status: DomainStatus, is_renewable: bool) -> Possible {
        match (self, status) {
            (Self::Put | Self::Patch | Self::Delete, _) | (Self::Resume, DomainStatus::Paused) => {
                Possible::Now
            }
            (_, DomainStatus::PendingDeletion | DomainStatus::Deleted) => {
                Possible::Not("domain_being_removed", "It is being removed.")
            }
            (_, DomainStatus::Blocked) => {
                Possible::Not("domain_blocked", "The platform has blocked this name.")
            }
            (Self::Resume, _) => Possible::Already("It is not paused."),
            (Self::Pause, DomainStatus::Paused) => Possible::Already("It is paused already."),
            (_, DomainStatus::Paused) => Possible::Not("domain_paused", "It is paused."),
            (Self::Renew, _) if !is_renewable => {
                Possible::Not("not_renewable", "It has no certificate yet that could be renewed.")
            }
            (Self::Check | Self::Renew | Self::Pause, _) => Possible::Now,
        }
    }

    /// Why nothing would come of it; `None`: something would.
    pub fn hindrance(self, status: DomainStatus, is_renewable: bool) -> Option<&'static str> {
        match self.possible(status, is_renewable) {
            Possible::Now => None,
            Possible::Already(why) | Possible::Not(_, why) => Some(why),
        }
    }

    /// The status with which a request of its own is answered (RFC 9110): what is looked at or renewed comes later.
    pub fn done(self) -> i16 {
        if matches!(self, Self::Pause | Self::Resume) { 200 } else { 202 }
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
    #[serde(default, deserialize_with = "said")]
    external_id: Option<Value>,
    #[serde(default, deserialize_with = "said")]
    template: Option<Value>,
    #[serde(default, deserialize_with = "said")]
    key_type: Option<Value>,
    #[serde(default, deserialize_with = "said")]
    tags: Option<Value>,
    #[serde(default, deserialize_with = "said")]
    metadata: Option<Value>,
}

/// Null is said, too.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// A line that can be worked on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BulkLine {
    /// What it asks for.
    pub action: BulkAction,
    /// Of which name.
    pub name: Hostname,
    /// What it says beside the name, as it came in: of `put` a whole [`LineWish`], of `patch` a change of one.
    pub wish: Map<String, Value>,
}

/// What is wanted of a domain beside its name, in words.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct LineWish {
    /// The shop's id in the commerce system.
    pub external_id: Option<String>,
    /// The template.
    pub template: Option<String>,
    /// The kind of key.
    pub key_type: Option<String>,
    /// The tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The free data.
    #[serde(default)]
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
        let members = [
            ("external_id", self.external_id),
            ("template", self.template),
            ("key_type", self.key_type),
            ("tags", self.tags),
            ("metadata", self.metadata),
        ];
        let wish: Map<_, _> =
            members.into_iter().filter_map(|(name, said)| Some((name.to_owned(), said?))).collect();
        let parsed = LineWish::after(&Map::new(), &wish)?.parse()?;
        if parsed.template.is_some_and(|template| !exists(&template)) {
            return Err(refused("unknown_template", "There is no template of this name and form.".into()));
        }
        Ok(BulkLine { action, name, wish })
    }
}

impl LineWish {
    /// What is wanted when `patch` has changed what was wanted before.
    pub fn after(before: &Map<String, Value>, patch: &Map<String, Value>) -> Result<Self, RefusedLine> {
        for (name, said) in patch {
            check_shape(name, said)?;
        }
        let mut wanted = Value::Object(before.clone());
        merge_patch(&mut wanted, patch);
        serde_json::from_value(wanted).map_err(|error| refused("invalid_field", format!("{error}.")))
    }

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

fn check_shape(name: &str, said: &Value) -> Result<(), RefusedLine> {
    let (fits, expected) = match (name, said) {
        (_, Value::Null) => (true, ""),
        ("tags", Value::Array(words)) => (words.iter().all(Value::is_string), "an array of strings"),
        ("tags", _) => (false, "an array of strings"),
        ("metadata", Value::Object(pairs)) => {
            (pairs.values().all(|text| text.is_string() || text.is_null()), "an object of strings")
        }
        ("metadata", _) => (false, "an object of strings"),
        (_, said) => (said.is_string(), "a string"),
    };
    if fits { Ok(()) } else { Err(refused("invalid_field", format!("{name}: it is not {expected}."))) }
}

/// Changes `target` as a JSON merge patch says (RFC 7396).
pub fn merge_patch(target: &mut Value, patch: &Map<String, Value>) {
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(members) = target.as_object_mut() else { return };
    for (name, value) in patch {
        match value {
            Value::Null => drop(members.remove(name)),
            Value::Object(part) => merge_patch(members.entry(name.clone()).or_insert(Value::Null), part),
            value => drop(members.insert(name.clone(), value.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
            (r#"{"op":"put","name":"a.de","external_id":7}"#, "invalid_field"),
            (r#"{"op":"patch","name":"a.de","tags":"eu"}"#, "invalid_field"),
        ] {
            assert_eq!(check(text), Err(code), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_done_with_a_domain_has_its_reason() {
        use {BulkAction::*, DomainStatus as Status};
        for (action, status, is_renewable, reason) in [
            (Renew, Status::Active, true, None),
            (Renew, Status::PendingDns, false, Some("It has no certificate yet that could be renewed.")),
            (Renew, Status::Paused, true, Some("It is paused.")),
            (Check, Status::Paused, true, Some("It is paused.")),
            (Check, Status::Failed, false, None),
            (Pause, Status::Paused, true, Some("It is paused already.")),
            (Resume, Status::Paused, false, None),
            (Resume, Status::Active, true, Some("It is not paused.")),
            (Resume, Status::Blocked, true, Some("The platform has blocked this name.")),
            (Check, Status::PendingDeletion, true, Some("It is being removed.")),
            (Delete, Status::Blocked, true, None),
        ] {
            assert_eq!(action.hindrance(status, is_renewable), reason, "{action} of {status}");
        }
    }

    #[test]
    fn a_patch_changes_what_it_names_and_null_unsets() {
        let before = json!({"external_id": "1", "template": "storefront", "tags": ["a"], "metadata": {"x": "1", "y": "2"}});
        let line = check(
            r#"{"op":"patch","name":"a.de","template":null,"tags":["b"],"metadata":{"x":null,"z":"3"}}"#,
        );
        let after = LineWish::after(before.as_object().unwrap(), &line.unwrap().wish).unwrap();
        assert_eq!((after.external_id.as_deref(), after.template), (Some("1"), None));
        assert_eq!(after.tags, ["b"]);
        assert_eq!(after.metadata.into_keys().collect::<Vec<_>>(), ["y", "z"]);
    }

    #[test]
    fn a_merge_patch_changes_what_it_names() {
        let mut target = json!({"a": {"x": 1, "y": 2}, "b": [1], "c": 3});
        let patch = json!({"a": {"x": null, "z": {"n": null}}, "b": [2], "d": {"e": null}});
        merge_patch(&mut target, patch.as_object().unwrap());
        assert_eq!(target, json!({"a": {"y": 2, "z": {}}, "b": [2], "c": 3, "d": {}}));
    }
}
