use time::{Duration, macros::datetime};

use super::*;
use crate::LimitHit;

/// An order for names alone.
const PLACING: Stage = Stage::NewOrder { replaces: false, profile: false };

#[test]
fn each_name_that_failed_is_told_with_its_own_reason() {
    let verdict =
        |identifier: &str, kind| CaProblem { identifier: Some(identifier.to_owned()), ..problem(403, kind) };
    let verdicts = vec![
        (ChallengeKind::Dns01, verdict("*.a.example", "unauthorized")),
        (ChallengeKind::Http01, verdict("b.example", "caa")),
    ];
    let error = refusal_of_names(verdicts).unwrap();
    assert!(matches!(error, AcmeError::Refused { .. }), "{error:?}");
    assert_eq!(error.problem_code(), ProblemCode::DnsNotPropagated);
    let names: Vec<_> = error.failed_names().iter().map(|name| (&*name.identifier, name.code)).collect();
    assert_eq!(
        names,
        [("*.a.example", ProblemCode::DnsNotPropagated), ("b.example", ProblemCode::CaaForbids)]
    );
    assert!(refusal_of_names(Vec::new()).is_none());
}

#[test]
fn the_names_of_a_refused_order_are_found_in_its_parts() {
    let body = br#"{"type":"urn:ietf:params:acme:error:compound","detail":"several","subproblems":[
        {"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"no","identifier":{"type":"dns","value":"a.example"}},
        {"type":"urn:ietf:params:acme:error:caa","detail":"never","identifier":{"type":"dns","value":"*.b.example"}},
        {"type":"urn:ietf:params:acme:error:caa","detail":"x","identifier":{"type":"dns","value":"c\u001b.example"}},
        {"type":"urn:ietf:params:acme:error:caa","detail":"about nobody"}]}"#;
    let error = refusal(PLACING, CaProblem::from_body(403, body));
    assert!(matches!(error, AcmeError::NameRejected { .. }), "{error:?}");
    let names: Vec<_> = error.failed_names().iter().map(|name| (&*name.identifier, &*name.detail)).collect();
    assert_eq!(names, [("a.example", "rejectedIdentifier: no"), ("*.b.example", "caa: never")]);
}

#[test]
fn a_rate_limited_order_waits_as_long_as_the_ca_asks() {
    let error = refusal(PLACING, with_wait(problem(429, "rateLimited"), 3_600));
    assert!(matches!(&error, AcmeError::Retry { after, .. } if *after == Some(Duration::hours(1))));
    assert_eq!(error.problem_code(), ProblemCode::CaRateLimited);
    assert_eq!(error.detail(), "rateLimited: what the CA says");
}

#[test]
fn a_rate_limit_without_a_time_waits_by_our_own_back_off() {
    let error = refusal(PLACING, problem(429, "rateLimited"));
    assert!(matches!(error, AcmeError::Retry { after: None, .. }));
}

#[test]
fn the_header_s_time_is_counted_from_now() {
    let now = datetime!(2026-11-21 12:00:00 UTC);
    let note = Note {
        retry_after: Some("Sat, 21 Nov 2026 12:02:00 GMT".to_owned()),
        problem: Some(problem(503, "serverInternal")),
        ..Note::default()
    };
    let error =
        reaction_to_failure(Stage::Finalize { profile: false }, instant_acme::Error::Str("x"), note, now);
    assert!(matches!(&error, AcmeError::Retry { after, .. } if *after == Some(Duration::minutes(2))));
    assert_eq!(error.problem().unwrap().retry_after, Some(120));
}

#[test]
fn urls_to_elsewhere_are_an_operator_s_and_silence_is_not() {
    let now = datetime!(2026-11-21 12:00:00 UTC);
    let fail = |error: TransportError| {
        reaction_to_failure(PLACING, instant_acme::Error::Other(Box::new(error)), Note::default(), now)
    };
    let foreign = fail(TransportError::ForeignUrl("http://169.254.169.254/".to_owned()));
    assert!(matches!(foreign, AcmeError::NeedsOperator { .. }));
    let silent = fail(TransportError::TimedOut(std::time::Duration::from_secs(30)));
    assert!(matches!(silent, AcmeError::Retry { after: None, .. }));
    assert_eq!(silent.detail(), "the CA did not answer within 30 s");
    assert_eq!(silent.problem_code(), ProblemCode::CaUnavailable);
}

#[test]
fn a_paused_name_is_left_alone_until_somebody_follows_the_link() {
    let url = "https://ca.example/sfe/v1/unpause?jwt=x";
    let detail = format!("Your account is temporarily prevented from that. Please visit: {url}");
    let error = refusal(PLACING, CaProblem { detail, ..problem(429, "rateLimited") });
    assert!(matches!(&error, AcmeError::Paused { unpause_url, .. } if unpause_url == url), "{error:?}");
    assert_eq!(error.operator_url(), Some(url));
    assert_eq!(error.problem_code(), ProblemCode::CaPaused);
    assert_eq!(error.limit_hit(), None);
    assert!(!error.is_ca_side());
}

#[test]
fn an_operator_is_shown_where_to_agree_to_something() {
    let asks = |instance: &str| {
        let instance = Some(instance.to_owned());
        refusal(PLACING, CaProblem { instance, ..problem(403, "userActionRequired") })
    };
    assert_eq!(asks("https://ca.example/agree").operator_url(), Some("https://ca.example/agree"));
    assert_eq!(asks("javascript:alert(1)").operator_url(), None);
}

#[test]
fn a_limit_is_told_from_trouble_of_the_ca() {
    let detail = "too many, see https://letsencrypt.org/docs/rate-limits/#new-orders-per-account".to_owned();
    let limited = refusal(PLACING, CaProblem { detail, ..problem(429, "rateLimited") });
    assert_eq!((limited.limit_hit(), limited.is_ca_side()), (Some(LimitHit::Orders), false));
    let busy = refusal(Stage::Finalize { profile: false }, problem(503, "rateLimited"));
    assert_eq!((busy.limit_hit(), busy.is_ca_side()), (Some(LimitHit::Requests), false));
    let away = refusal(Stage::Account, CaProblem::from_body(503, b"<h1>Down</h1>"));
    assert_eq!((away.limit_hit(), away.is_ca_side()), (None, true));
    let failed = refusal(Stage::Validation(ChallengeKind::Http01), problem(500, "serverInternal"));
    assert!(matches!(failed, AcmeError::Refused { .. }));
    assert!(failed.is_ca_side());
}

#[test]
fn a_summary_of_bad_names_is_told_name_by_name() {
    let body = br#"{"type":"urn:ietf:params:acme:error:malformed","detail":"some of the identifiers were rejected","subproblems":[
        {"type":"urn:ietf:params:acme:error:malformed","detail":"bad label","identifier":{"type":"dns","value":"a_.example"}},
        {"type":"urn:ietf:params:acme:error:caa","detail":"no","identifier":{"type":"dns","value":"b.example"}}]}"#;
    let error = refusal(PLACING, CaProblem::from_body(400, body));
    assert!(matches!(error, AcmeError::NameRejected { .. }), "{error:?}");
    let names: Vec<_> = error.failed_names().iter().map(|name| (&*name.identifier, name.code)).collect();
    assert_eq!(names, [("a_.example", ProblemCode::CaRejectedName), ("b.example", ProblemCode::CaaForbids)]);
}

fn problem(status: u16, kind: &str) -> CaProblem {
    let body = format!(r#"{{"type":"urn:ietf:params:acme:error:{kind}","detail":"what the CA says"}}"#);
    CaProblem::from_body(status, body.as_bytes())
}

fn with_wait(problem: CaProblem, seconds: i64) -> CaProblem {
    CaProblem { retry_after: Some(seconds), ..problem }
}
