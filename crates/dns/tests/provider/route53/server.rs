//! The fake itself.

use std::collections::BTreeMap;

use axum::response::Response;
use certmill_model::{Clock, SystemClock};
use http::{Method, request::Parts};
use quick_xml::{de, escape::escape};
use serde::Deserialize;

use super::{HOSTED_ZONE, KEY_ID, SECRET, ZONE, signature::verify};
use crate::fake::{Api, reply};

const NAMESPACE: &str = "xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"";

#[derive(Default)]
pub(super) struct Route53 {
    /// By name with a trailing dot.
    pub(super) sets: BTreeMap<String, Set>,
    pub(super) changes: u64,
    pub(super) has_rights: bool,
    /// Who adds a value just before the next changes, and before how many of them.
    pub(super) intruder: Option<(String, u32)>,
    pub(super) intrusions: u32,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Set {
    name: String,
    r#type: String,
    #[serde(rename = "TTL")]
    pub(super) ttl: u32,
    resource_records: Records,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Records {
    resource_record: Vec<Record>,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Record {
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ChangeRequest {
    #[serde(rename = "@xmlns")]
    namespace: String,
    change_batch: ChangeBatch,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ChangeBatch {
    changes: Changes,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Changes {
    change: Vec<Change>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Change {
    action: String,
    resource_record_set: Set,
}

impl Set {
    fn of(name: &str, values: &[String]) -> Self {
        let resource_record = values.iter().map(|value| Record { value: value.clone() }).collect();
        Self {
            name: name.to_owned(),
            r#type: "TXT".to_owned(),
            ttl: 7,
            resource_records: Records { resource_record },
        }
    }

    pub(super) fn values(&self) -> Vec<String> {
        self.resource_records.resource_record.iter().map(|record| record.value.clone()).collect()
    }

    fn to_xml(&self) -> String {
        let record =
            |value: &String| format!("<ResourceRecord><Value>{}</Value></ResourceRecord>", escape(value));
        let records = self.values().iter().map(record).collect::<Vec<_>>().concat();
        format!(
            "<ResourceRecordSet><Name>{}</Name><Type>TXT</Type><TTL>{}</TTL>\
             <ResourceRecords>{records}</ResourceRecords></ResourceRecordSet>",
            self.name, self.ttl
        )
    }
}

impl Api for Route53 {
    fn answer(&mut self, request: &Parts, body: &[u8]) -> Response {
        if let Err((code, message)) = verify(request, body, KEY_ID, SECRET, SystemClock.now()) {
            return refusal(403, code, &message);
        }
        if !self.has_rights {
            let words = "User: arn:aws:iam::1:user/certmill is not authorized to perform: route53:ListResourceRecordSets";
            return refusal(403, "AccessDenied", words);
        }
        if request.uri.path() != format!("/2013-04-01/hostedzone/{HOSTED_ZONE}/rrset") {
            return refusal(404, "NoSuchHostedZone", "No hosted zone found with ID: Z0");
        }
        match request.method {
            Method::GET => self.list(request.uri.query().unwrap()),
            Method::POST => self.change(body),
            _ => refusal(405, "InvalidMethod", "no"),
        }
    }

    fn too_many_requests(&self) -> Response {
        refusal(400, "Throttling", "Rate exceeded")
    }
}

impl Route53 {
    /// From the name that is asked for on, in order: not that name alone.
    fn list(&self, query: &str) -> Response {
        assert!(query.contains("type=TXT") && query.contains("maxitems=1"), "{query}");
        let name = query.split('&').find_map(|pair| pair.strip_prefix("name=")).unwrap();
        let sets: String =
            self.sets.range(format!("{name}.")..).take(1).map(|(_, set)| set.to_xml()).collect();
        let body = format!(
            "<?xml version=\"1.0\"?>\n<ListResourceRecordSetsResponse {NAMESPACE}><ResourceRecordSets>{sets}\
             </ResourceRecordSets><IsTruncated>false</IsTruncated><MaxItems>1</MaxItems></ListResourceRecordSetsResponse>"
        );
        reply(200, "text/xml", body)
    }

    /// All of it, or nothing.
    fn change(&mut self, body: &[u8]) -> Response {
        self.intrude();
        let request: Result<ChangeRequest, _> = de::from_reader(body);
        let changes = match request {
            Ok(request) if NAMESPACE.contains(&request.namespace) => request.change_batch.changes.change,
            Ok(request) => return refusal(400, "InvalidInput", &request.namespace),
            Err(error) => return refusal(400, "InvalidInput", &error.to_string()),
        };
        let mut sets = self.sets.clone();
        for change in &changes {
            if let Err(words) = apply(&mut sets, change) {
                return invalid_change_batch(&words);
            }
        }
        self.sets = sets;
        self.changes += 1;
        let body = format!(
            "<?xml version=\"1.0\"?>\n<ChangeResourceRecordSetsResponse {NAMESPACE}><ChangeInfo><Id>/change/C1</Id>\
             <Status>PENDING</Status></ChangeInfo></ChangeResourceRecordSetsResponse>"
        );
        reply(200, "text/xml", body)
    }

    fn intrude(&mut self) {
        let Some((name, left)) = self.intruder.take() else { return };
        if left == 0 {
            return;
        }
        self.intrusions += 1;
        let mut values = self.sets.get(&name).map(Set::values).unwrap_or_default();
        values.push(format!("\"theirs {}\"", self.intrusions));
        self.sets.insert(name.clone(), Set::of(&name, &values));
        self.intruder = Some((name, left - 1));
    }
}

fn apply(sets: &mut BTreeMap<String, Set>, change: &Change) -> Result<(), String> {
    let set = &change.resource_record_set;
    let what = format!("[name='{}', type='{}']", set.name, set.r#type);
    if !set.name.ends_with(&format!(".{ZONE}.")) {
        return Err(format!("RRSet with DNS name {} is not permitted in zone {ZONE}.", set.name));
    }
    if set.r#type != "TXT"
        || set.values().iter().any(|value| !value.starts_with('"') || !value.ends_with('"'))
    {
        return Err(format!(
            "InvalidCharacterString (Value should be enclosed in quotation marks) encountered {what}"
        ));
    }
    match (change.action.as_str(), sets.get(&set.name)) {
        ("CREATE", None) => drop(sets.insert(set.name.clone(), set.clone())),
        ("CREATE", Some(_)) => {
            return Err(format!("Tried to create resource record set {what} but it already exists"));
        }
        ("DELETE", None) => {
            return Err(format!("Tried to delete resource record set {what} but it was not found"));
        }
        ("DELETE", Some(existing)) if existing == set => drop(sets.remove(&set.name)),
        ("DELETE", Some(_)) => {
            let words = "but the values provided do not match the current values";
            return Err(format!("Tried to delete resource record set {what} {words}"));
        }
        (action, _) => return Err(format!("no such action: {action}")),
    }
    Ok(())
}

fn refusal(status: u16, code: &str, message: &str) -> Response {
    let body = format!(
        "<?xml version=\"1.0\"?>\n<ErrorResponse {NAMESPACE}><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{}</Message></Error><RequestId>7eb28fd5</RequestId></ErrorResponse>",
        escape(message)
    );
    reply(status, "text/xml", body)
}

/// The other form of errors.
fn invalid_change_batch(message: &str) -> Response {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<InvalidChangeBatch {NAMESPACE}><Messages><Message>{}</Message>\
         </Messages><RequestId>b25f48e8</RequestId></InvalidChangeBatch>",
        escape(message)
    );
    reply(400, "text/xml", body)
}
