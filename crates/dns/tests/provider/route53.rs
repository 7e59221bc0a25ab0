//! Amazon Route 53, by a fake of `ListResourceRecordSets` and `ChangeResourceRecordSets` that verifies signatures by
//! itself: <https://docs.aws.amazon.com/Route53/latest/APIReference/>.

mod signature;

use std::{collections::BTreeMap, sync::Arc};

use axum::response::Response;
use certmill_dns::{Credentials, DnsProvider, ProviderError, ProviderSettings, TxtRecord};
use certmill_model::{Clock, ManualClock, SystemClock};
use http::{Method, request::Parts};
use quick_xml::{de, escape::escape};
use serde::Deserialize;
use serde_json::{Value, json};
use time::Duration;

use self::signature::verify;
use crate::{
    conformance::{self, BadCredentials, Fixture, Silence, open, setting},
    fake::{Api, Fake, Mood, bad_days_are_reasons_to_try_again, reply},
};

const ZONE: &str = "acme.example";
const HOSTED_ZONE: &str = "Z1D633PJN98FT9";
const KEY_ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const NAMESPACE: &str = "xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"";

#[derive(Default)]
struct Route53 {
    /// By name with a trailing dot.
    sets: BTreeMap<String, Set>,
    changes: u64,
    has_rights: bool,
    /// Who adds a value just before the next changes, and before how many of them.
    intruder: Option<(String, u32)>,
    intrusions: u32,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Set {
    name: String,
    r#type: String,
    #[serde(rename = "TTL")]
    ttl: u32,
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

    fn values(&self) -> Vec<String> {
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

struct Setup {
    fake: Fake<Route53>,
    silence: Silence,
}

impl Setup {
    async fn new() -> Self {
        let fake = Fake::start(|_| Route53 { has_rights: true, ..Route53::default() }).await;
        Self { fake, silence: Silence::new() }
    }

    fn settings_at(endpoint: &str) -> Value {
        json!({ "provider": "route53", "hosted_zone_id": HOSTED_ZONE, "access_key_id": KEY_ID, "endpoint": endpoint,
            "timeout_seconds": 2 })
    }

    fn open(&self, change: impl FnOnce(&mut Value)) -> Arc<dyn DnsProvider> {
        let mut settings = self.settings();
        change(&mut settings);
        open(&settings, ZONE, SECRET)
    }
}

impl Fixture for Setup {
    fn zone(&self) -> &'static str {
        ZONE
    }

    fn settings(&self) -> Value {
        Self::settings_at(&self.fake.endpoint())
    }

    fn secret(&self) -> String {
        SECRET.to_owned()
    }

    async fn visible(&self, name: &str) -> Vec<String> {
        let set = self.fake.with(|route53| route53.sets.get(&format!("{name}.")).cloned());
        let values = set.map(|set| set.values()).unwrap_or_default();
        let mut values: Vec<_> = values.iter().map(|value| value.trim_matches('"').to_owned()).collect();
        values.sort();
        values
    }

    fn bad_credentials(&self) -> BadCredentials {
        let secret = SECRET.to_lowercase();
        BadCredentials { settings: self.settings(), secret, setting: "secret_access_key" }
    }

    fn silent(&self) -> Value {
        let mut settings = Self::settings_at(&format!("http://{}", self.silence.address()));
        settings["timeout_seconds"] = 1.into();
        settings
    }
}

const RECORD: TxtRecord<'_> = TxtRecord { name: "k7.acme.example", value: "value" };

#[tokio::test]
async fn route_53_does_what_every_provider_must() {
    conformance::check(&Setup::new().await).await;
}

#[tokio::test]
async fn a_bad_day_of_route_53_and_its_throttling_are_reasons_to_try_again() {
    let setup = Setup::new().await;
    let provider = setup.open(|_| {});
    bad_days_are_reasons_to_try_again(&setup.fake, &*provider, RECORD).await;
    setup.fake.feels(Mood::RateLimited);
    let error = provider.present(RECORD).await.unwrap_err();
    assert!(matches!(error, ProviderError::Retry { .. }), "{error}");
    assert!(error.to_string().ends_with("Rate exceeded (Throttling)"), "{error}");
}

#[tokio::test]
async fn each_wrong_setting_is_named_with_amazon_s_words() {
    let setup = Setup::new().await;
    for (name, words) in
        [("access_key_id", "(InvalidClientTokenId)"), ("hosted_zone_id", "(NoSuchHostedZone)")]
    {
        let provider = setup.open(|settings| settings[name] = "NOBODY".into());
        for result in [provider.present(RECORD).await, provider.remove(RECORD).await] {
            let error = result.unwrap_err();
            assert_eq!(setting(&error), name);
            assert!(error.to_string().contains(words), "{error}");
        }
    }
    let provider = open(&setup.settings(), "other.example", SECRET);
    let error = provider.present(TxtRecord { name: "k7.other.example", value: "x" }).await.unwrap_err();
    assert_eq!(setting(&error), "hosted_zone_id");
    assert!(error.to_string().contains("not permitted in zone"), "{error}");
    setup.fake.with(|route53| route53.has_rights = false);
    let error = setup.open(|_| {}).present(RECORD).await.unwrap_err();
    assert_eq!(setting(&error), "access_key_id");
    assert!(error.to_string().contains("not authorized to perform: route53:"), "{error}");
}

#[tokio::test]
async fn a_wrong_clock_is_a_reason_to_try_again_and_is_named() {
    let setup = Setup::new().await;
    let clock = Arc::new(ManualClock::new(SystemClock.now() - Duration::HOUR));
    let settings: ProviderSettings = serde_json::from_value(setup.settings()).unwrap();
    let provider = settings.open(ZONE, Some(&Credentials::new(SECRET)), clock).unwrap();
    let error = provider.present(RECORD).await.unwrap_err();
    assert!(matches!(error, ProviderError::Retry { .. }), "{error:?}");
    assert!(error.to_string().contains("Signature expired"), "{error}");
}

#[tokio::test]
async fn what_somebody_else_writes_meanwhile_is_kept() {
    let setup = Setup::new().await;
    let provider = setup.open(|_| {});
    let intrude =
        |times| setup.fake.with(|route53| route53.intruder = Some(("k7.acme.example.".to_owned(), times)));
    intrude(2);
    provider.present(RECORD).await.unwrap();
    assert_eq!(setup.visible(RECORD.name).await, ["theirs 1", "theirs 2", "value"]);
    intrude(1);
    provider.remove(RECORD).await.unwrap();
    assert_eq!(setup.visible(RECORD.name).await, ["theirs 1", "theirs 2", "theirs 3"]);
    assert_eq!(setup.fake.with(|route53| route53.sets["k7.acme.example."].ttl), 7);
}

#[tokio::test]
async fn who_is_always_late_gives_up_for_now_with_amazon_s_words() {
    let setup = Setup::new().await;
    setup.fake.with(|route53| route53.intruder = Some(("k7.acme.example.".to_owned(), u32::MAX)));
    let error =
        setup.open(|settings| settings["timeout_seconds"] = 20.into()).present(RECORD).await.unwrap_err();
    assert!(matches!(error, ProviderError::Retry { .. }), "{error:?}");
    assert!(error.to_string().contains("do not match the current values"), "{error}");
}

#[tokio::test]
async fn nothing_is_written_where_nothing_changes() {
    let setup = Setup::new().await;
    let provider = setup.open(|_| {});
    provider.present(RECORD).await.unwrap();
    provider.present(RECORD).await.unwrap();
    provider.remove(TxtRecord { value: "never there", ..RECORD }).await.unwrap();
    assert_eq!(setup.fake.with(|route53| route53.changes), 1);
}
