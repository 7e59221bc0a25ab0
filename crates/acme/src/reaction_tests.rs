use time::{Duration, macros::datetime};

use super::*;

fn problem(status: u16, kind: &str) -> CaProblem {
    let body = format!(r#"{{"type":"urn:ietf:params:acme:error:{kind}","detail":"what the CA says"}}"#);
    CaProblem::from_body(status, body.as_bytes())
}

fn with_wait(problem: CaProblem, seconds: i64) -> CaProblem {
    CaProblem { retry_after: Some(seconds), ..problem }
}

#[track_caller]
fn assert_reaction(stage: Stage, problem: &CaProblem, reaction: Reaction, code: ProblemCode) {
    assert_eq!(react(stage, problem), (reaction, code), "{stage:?} {problem}");
}

#[test]
fn the_same_word_means_different_things_at_different_places() {
    use Reaction::{NeedsOperator, NewOrder, Refused, Retry};
    let rows = [
        (
            Stage::Validation(ChallengeKind::Http01),
            403,
            "unauthorized",
            Refused,
            ProblemCode::HttpWrongResponse,
        ),
        (Stage::NewOrder, 403, "unauthorized", NeedsOperator, ProblemCode::CaAccount),
        (Stage::StoredUrl, 404, "malformed", NewOrder, ProblemCode::Internal),
        (Stage::NewOrder, 404, "malformed", NeedsOperator, ProblemCode::Internal),
        (Stage::NewOrder, 400, "malformed", NeedsOperator, ProblemCode::Internal),
        (Stage::Answer, 400, "malformed", Retry, ProblemCode::Internal),
    ];
    for (stage, status, kind, reaction, code) in rows {
        assert_reaction(stage, &problem(status, kind), reaction, code);
    }
}

#[test]
fn a_verdict_on_a_name_is_for_its_owner() {
    let rows = [
        ("connection", ProblemCode::HttpUnreachable),
        ("tls", ProblemCode::HttpUnreachable),
        ("dns", ProblemCode::DnsServfail),
        ("unauthorized", ProblemCode::HttpWrongResponse),
        ("incorrectResponse", ProblemCode::HttpWrongResponse),
        ("caa", ProblemCode::CaaForbids),
        ("serverInternal", ProblemCode::CaUnavailable),
    ];
    for (kind, code) in rows {
        // The authorization is spent whatever the reason, so that even the CA's own fault needs a new order.
        let stage = Stage::Validation(ChallengeKind::Http01);
        assert_reaction(stage, &problem(400, kind), Reaction::Refused, code);
    }
    assert_reaction(Stage::Finalize, &problem(403, "caa"), Reaction::Refused, ProblemCode::CaaForbids);
}

#[test]
fn a_verdict_on_a_name_proved_by_dns_is_about_dns() {
    let rows = [
        ("dns", ProblemCode::DnsNotPropagated),
        ("unauthorized", ProblemCode::DnsNotPropagated),
        ("incorrectResponse", ProblemCode::DnsNotPropagated),
        ("connection", ProblemCode::DnsServfail),
        ("caa", ProblemCode::CaaForbids),
        ("rejectedIdentifier", ProblemCode::CaRejectedName),
        ("serverInternal", ProblemCode::CaUnavailable),
    ];
    for (kind, code) in rows {
        let stage = Stage::Validation(ChallengeKind::Dns01);
        assert_reaction(stage, &problem(400, kind), Reaction::Refused, code);
    }
}

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
    let error = refusal(Stage::NewOrder, CaProblem::from_body(403, body));
    assert!(matches!(error, AcmeError::NameRejected { .. }), "{error:?}");
    let names: Vec<_> = error.failed_names().iter().map(|name| (&*name.identifier, &*name.detail)).collect();
    assert_eq!(names, [("a.example", "rejectedIdentifier: no"), ("*.b.example", "caa: never")]);
}

#[test]
fn troubles_that_pass_are_tried_again() {
    let unavailable = ProblemCode::CaUnavailable;
    assert_reaction(Stage::NewOrder, &problem(400, "badNonce"), Reaction::Retry, unavailable);
    assert_reaction(Stage::Finalize, &problem(500, "serverInternal"), Reaction::Retry, unavailable);
    assert_reaction(Stage::Finalize, &problem(403, "orderNotReady"), Reaction::Retry, ProblemCode::Internal);
    let html = CaProblem::from_body(503, b"<html>busy</html>");
    assert_reaction(Stage::Account, &html, Reaction::Retry, unavailable);
    let html = CaProblem::from_body(429, b"<html>slow down</html>");
    assert_reaction(Stage::NewOrder, &html, Reaction::Retry, ProblemCode::CaRateLimited);
}

#[test]
fn a_name_that_the_ca_will_not_have_is_not_offered_again() {
    for kind in ["rejectedIdentifier", "unsupportedIdentifier"] {
        let code = ProblemCode::CaRejectedName;
        assert_reaction(Stage::NewOrder, &problem(400, kind), Reaction::NameRejected, code);
    }
}

#[test]
fn trouble_with_the_account_or_with_us_is_an_operator_s() {
    for kind in
        ["accountDoesNotExist", "externalAccountRequired", "userActionRequired", "invalidContact", "conflict"]
    {
        for stage in [Stage::Account, Stage::NewOrder, Stage::StoredUrl, Stage::Finalize] {
            assert_reaction(stage, &problem(400, kind), Reaction::NeedsOperator, ProblemCode::CaAccount);
        }
    }
    for kind in ["badCSR", "badPublicKey", "badSignatureAlgorithm", "somethingNew"] {
        assert_reaction(Stage::Finalize, &problem(400, kind), Reaction::NeedsOperator, ProblemCode::Internal);
    }
}

#[test]
fn a_compound_problem_is_as_bad_as_its_first_part() {
    let body = br#"{"type":"urn:ietf:params:acme:error:compound","detail":"several","subproblems":[
        {"type":"urn:ietf:params:acme:error:caa","detail":"no","identifier":{"type":"dns","value":"a.example"}}]}"#;
    let problem = CaProblem::from_body(403, body);
    assert_reaction(Stage::NewOrder, &problem, Reaction::Refused, ProblemCode::CaaForbids);
}

#[test]
fn a_rate_limited_order_waits_as_long_as_the_ca_asks() {
    let error = refusal(Stage::NewOrder, with_wait(problem(429, "rateLimited"), 3_600));
    assert!(matches!(&error, AcmeError::Retry { after, .. } if *after == Some(Duration::hours(1))));
    assert_eq!(error.problem_code(), ProblemCode::CaRateLimited);
    assert_eq!(error.detail(), "rateLimited: what the CA says");
}

#[test]
fn a_rate_limit_without_a_time_waits_by_our_own_back_off() {
    let error = refusal(Stage::NewOrder, problem(429, "rateLimited"));
    assert!(matches!(error, AcmeError::Retry { after: None, .. }));
}

#[test]
fn a_paused_name_needs_an_operator_to_follow_the_link() {
    let paused = CaProblem {
        detail: "Your account is temporarily prevented; unpause at https://ca.example/unpause?jwt=x"
            .to_owned(),
        ..problem(429, "rateLimited")
    };
    assert!(matches!(refusal(Stage::NewOrder, paused.clone()), AcmeError::NeedsOperator { .. }));
    // Ordinary limits have links to their documentation, and a time.
    assert!(matches!(refusal(Stage::NewOrder, with_wait(paused, 60)), AcmeError::Retry { .. }));
}

#[test]
fn the_header_s_time_is_counted_from_now() {
    let now = datetime!(2026-11-21 12:00:00 UTC);
    let note = Note {
        retry_after: Some("Sat, 21 Nov 2026 12:02:00 GMT".to_owned()),
        problem: Some(problem(503, "serverInternal")),
        ..Note::default()
    };
    let error = reaction_to_failure(Stage::Finalize, instant_acme::Error::Str("x"), note, now);
    assert!(matches!(&error, AcmeError::Retry { after, .. } if *after == Some(Duration::minutes(2))));
    assert_eq!(error.problem().unwrap().retry_after, Some(120));
}

#[test]
fn urls_to_elsewhere_are_an_operator_s_and_silence_is_not() {
    let now = datetime!(2026-11-21 12:00:00 UTC);
    let fail = |error: TransportError| {
        reaction_to_failure(
            Stage::NewOrder,
            instant_acme::Error::Other(Box::new(error)),
            Note::default(),
            now,
        )
    };
    let foreign = fail(TransportError::ForeignUrl("http://169.254.169.254/".to_owned()));
    assert!(matches!(foreign, AcmeError::NeedsOperator { .. }));
    let silent = fail(TransportError::TimedOut(std::time::Duration::from_secs(30)));
    assert!(matches!(silent, AcmeError::Retry { after: None, .. }));
    assert_eq!(silent.detail(), "the CA did not answer within 30 s");
    assert_eq!(silent.problem_code(), ProblemCode::CaUnavailable);
}
