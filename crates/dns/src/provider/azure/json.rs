//! The JSON of Azure's record sets and errors.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::provider::{TTL, https::Answer};

/// A record set with its version.
pub(super) struct RecordSet {
    pub(super) etag: String,
    pub(super) ttl: u32,
    pub(super) metadata: Value,
    pub(super) values: Vec<Vec<String>>,
}

pub(super) fn record_set(set: &Value) -> Option<RecordSet> {
    #[derive(Deserialize)]
    struct Record {
        value: Vec<String>,
    }
    let properties = &set["properties"];
    let records: Vec<Record> = match &properties["TXTRecords"] {
        Value::Null => Vec::new(),
        records => Vec::deserialize(records).ok()?,
    };
    Some(RecordSet {
        etag: set["etag"].as_str()?.to_owned(),
        ttl: properties["TTL"].as_u64().and_then(|ttl| ttl.try_into().ok()).unwrap_or(TTL),
        metadata: properties["metadata"].clone(),
        values: records.into_iter().map(|record| record.value).collect(),
    })
}

/// The whole set is replaced: what is not said here is gone, also the notes that others attached to it.
pub(super) fn body(before: Option<&RecordSet>, values: &[Vec<String>]) -> Value {
    let records: Vec<Value> = values.iter().map(|value| json!({ "value": value })).collect();
    let mut properties = json!({ "TTL": before.map_or(TTL, |before| before.ttl), "TXTRecords": records });
    if let Some(before) = before.filter(|before| before.metadata.is_object()) {
        properties["metadata"] = before.metadata.clone();
    }
    json!({ "properties": properties })
}

/// A value longer than 255 characters becomes several strings (RFC 1035 section 3.3.14).
pub(super) fn strings(value: &str) -> Vec<String> {
    let characters: Vec<char> = value.chars().collect();
    characters.chunks(usize::from(u8::MAX)).map(|chunk| chunk.iter().collect()).collect()
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ApiError {
    pub(super) code: String,
    pub(super) message: String,
}

/// Empty where the answer does not say.
pub(super) fn api_error(answer: &Answer) -> ApiError {
    #[derive(Deserialize)]
    struct Body {
        error: ApiError,
    }
    // Some errors of Azure DNS itself come without the envelope.
    answer.json::<Body>().map(|body| body.error).or_else(|| answer.json()).unwrap_or_default()
}

/// Whether what the record set would be in does not exist. Of a zone that does not exist, reading says the same as of
/// a record set; there, writing tells.
pub(super) fn container_is_missing(code: &str) -> bool {
    matches!(code, "SubscriptionNotFound" | "InvalidSubscriptionId" | "ResourceGroupNotFound")
}
