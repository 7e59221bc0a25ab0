//! The XML of Route 53's requests and answers.

use std::fmt::Write;

use bytes::Bytes;
use quick_xml::{DeError, de, escape::escape};
use serde::Deserialize;

const NAMESPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";

/// The TXT records of a name.
#[derive(Clone)]
pub(super) struct RecordSet {
    pub(super) ttl: u32,
    /// As Route 53 writes them: in quotes.
    pub(super) values: Vec<String>,
}

/// Why a request was refused; empty where the answer does not say.
#[derive(Default)]
pub(super) struct Refusal {
    pub(super) code: String,
    pub(super) message: String,
}

/// A value as it stands in a record set.
pub(super) fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The TXT records of `name` in a `ListResourceRecordSetsResponse`.
pub(super) fn record_set(body: &Bytes, name: &str) -> Result<Option<RecordSet>, DeError> {
    let list: List = de::from_reader(body.as_ref())?;
    let is_it = |set: &Set| set.kind == "TXT" && set.name.trim_end_matches('.').eq_ignore_ascii_case(name);
    Ok(list.sets.items.into_iter().find(is_it).map(|set| RecordSet {
        ttl: set.ttl,
        values: set.records.items.into_iter().map(|record| record.value).collect(),
    }))
}

/// A `ChangeResourceRecordSetsRequest` that deletes `before`, which must be exact, and creates `after`.
pub(super) fn change_batch(name: &str, before: Option<&RecordSet>, after: &RecordSet) -> String {
    let mut changes = String::new();
    if let Some(before) = before {
        write_change(&mut changes, "DELETE", name, before);
    }
    if !after.values.is_empty() {
        write_change(&mut changes, "CREATE", name, after);
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <ChangeResourceRecordSetsRequest xmlns=\"{NAMESPACE}\"><ChangeBatch><Changes>{changes}</Changes></ChangeBatch>\
         </ChangeResourceRecordSetsRequest>"
    )
}

/// Errors come in two forms: `ErrorResponse`, and the error's name as the root element.
pub(super) fn error(body: &Bytes) -> Refusal {
    if let Ok(response) = de::from_reader::<_, ErrorResponse>(body.as_ref()) {
        return Refusal { code: response.error.code, message: response.error.message };
    }
    match de::from_reader::<_, InvalidChangeBatch>(body.as_ref()) {
        Ok(batch) => {
            Refusal { code: "InvalidChangeBatch".to_owned(), message: batch.messages.items.join(" ") }
        }
        Err(_) => Refusal::default(),
    }
}

fn write_change(to: &mut String, action: &str, name: &str, set: &RecordSet) {
    let records = set.values.iter().fold(String::new(), |mut records, value| {
        write!(records, "<ResourceRecord><Value>{}</Value></ResourceRecord>", escape(value.as_str()))
            .expect("a String takes all that is written to it");
        records
    });
    write!(
        to,
        "<Change><Action>{action}</Action><ResourceRecordSet><Name>{}.</Name><Type>TXT</Type><TTL>{}</TTL>\
         <ResourceRecords>{records}</ResourceRecords></ResourceRecordSet></Change>",
        escape(name),
        set.ttl
    )
    .expect("a String takes all that is written to it");
}

#[derive(Deserialize)]
#[serde(rename = "ListResourceRecordSetsResponse")]
struct List {
    #[serde(rename = "ResourceRecordSets")]
    sets: Sets,
}

#[derive(Deserialize)]
struct Sets {
    #[serde(rename = "ResourceRecordSet", default)]
    items: Vec<Set>,
}

#[derive(Deserialize)]
struct Set {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Type")]
    kind: String,
    /// Aliases have none.
    #[serde(rename = "TTL", default)]
    ttl: u32,
    #[serde(rename = "ResourceRecords", default)]
    records: Records,
}

#[derive(Default, Deserialize)]
struct Records {
    #[serde(rename = "ResourceRecord", default)]
    items: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "Value")]
    value: String,
}

#[derive(Deserialize)]
struct ErrorResponse {
    #[serde(rename = "Error")]
    error: ErrorElement,
}

#[derive(Deserialize)]
struct ErrorElement {
    #[serde(rename = "Code", default)]
    code: String,
    #[serde(rename = "Message", default)]
    message: String,
}

#[derive(Deserialize)]
struct InvalidChangeBatch {
    #[serde(rename = "Messages")]
    messages: Messages,
}

#[derive(Deserialize)]
struct Messages {
    #[serde(rename = "Message", default)]
    items: Vec<String>,
}

#[cfg(test)]
#[path = "xml_tests.rs"]
mod tests;
