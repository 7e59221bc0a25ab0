use super::*;

/// An order for names alone.
const PLACING: Stage = Stage::NewOrder { replaces: false, profile: false };

/// An order that replaces a certificate, with a profile.
const RENEWING: Stage = Stage::NewOrder { replaces: true, profile: true };

/// The CSR of an order that is not known to have named a profile.
const FINALIZE: Stage = Stage::Finalize { profile: false };

const HTTP: Stage = Stage::Validation(ChallengeKind::Http01);
const DNS: Stage = Stage::Validation(ChallengeKind::Dns01);

/// A test for each row of the table: a problem, where it is met, what is done, and what the domain shows.
macro_rules! rows {
    ($($name:ident: $problem:expr, $stage:expr => $reaction:ident, $code:ident;)*) => {$(
        #[test]
        fn $name() {
            assert_reaction($stage, &$problem, Reaction::$reaction, ProblemCode::$code);
        }
    )*};
}

// Anywhere.
rows! {
    a_refused_nonce_is_tried_again: problem(400, "badNonce"), Stage::Answer => Retry, CaUnavailable;
    an_error_inside_the_ca_is_tried_again: problem(500, "serverInternal"), FINALIZE => Retry, CaUnavailable;
    a_rate_limit_is_waited_for: problem(429, "rateLimited"), PLACING => Retry, CaRateLimited;
    a_rate_limit_on_new_accounts_is_waited_for: problem(429, "rateLimited"), Stage::Account => Retry, CaRateLimited;
    a_busy_balancer_is_waited_for: problem(503, "rateLimited"), PLACING => Retry, CaRateLimited;
    a_page_of_html_with_status_503_is_waited_for: html(503), Stage::StoredUrl => Retry, CaUnavailable;
    a_page_of_html_with_status_429_is_waited_for: html(429), PLACING => Retry, CaRateLimited;
    a_missing_account_is_an_operator_s: problem(400, "accountDoesNotExist"), Stage::StoredUrl => NeedsOperator, CaAccount;
    a_missing_account_is_an_operator_s_at_an_order_too: problem(400, "accountDoesNotExist"), RENEWING => NeedsOperator, CaAccount;
    something_to_agree_to_is_an_operator_s: problem(403, "userActionRequired"), PLACING => NeedsOperator, CaAccount;
    a_signature_of_the_wrong_kind_is_an_operator_s: problem(400, "badSignatureAlgorithm"), PLACING => NeedsOperator, Internal;
    a_malformed_request_is_an_operator_s: problem(400, "malformed"), PLACING => NeedsOperator, Internal;
    an_unknown_problem_with_status_429_is_waited_for: problem(429, "somethingNew"), PLACING => Retry, CaRateLimited;
    an_unknown_problem_with_status_500_is_tried_again: problem(500, "somethingNew"), PLACING => Retry, CaUnavailable;
    an_unknown_problem_with_another_status_is_an_operator_s: problem(418, "somethingNew"), PLACING => NeedsOperator, Internal;
}

// At the account.
rows! {
    an_account_needs_an_external_one: problem(403, "externalAccountRequired"), Stage::Account => NeedsOperator, CaAccount;
    a_contact_that_makes_no_sense_is_an_operator_s: problem(400, "invalidContact"), Stage::Account => NeedsOperator, CaAccount;
    a_contact_that_cannot_be_used_is_an_operator_s: problem(400, "unsupportedContact"), Stage::Account => NeedsOperator, CaAccount;
    a_key_that_is_in_use_is_an_operator_s: problem(409, "conflict"), Stage::Account => NeedsOperator, CaAccount;
    an_account_key_that_is_refused_is_an_operator_s: problem(400, "badPublicKey"), Stage::Account => NeedsOperator, CaAccount;
}

// At a new order.
rows! {
    an_account_that_is_not_ours_any_more_is_an_operator_s: problem(403, "unauthorized"), PLACING => NeedsOperator, CaAccount;
    a_rejected_name_is_not_offered_again: problem(400, "rejectedIdentifier"), PLACING => NameRejected, CaRejectedName;
    an_unsupported_name_is_not_offered_again: problem(400, "unsupportedIdentifier"), PLACING => NameRejected, CaRejectedName;
    a_certificate_replaced_before_is_not_named_again: problem(409, "alreadyReplaced"), RENEWING => WithoutReplaces, Internal;
    a_certificate_of_another_account_is_not_named_again: problem(403, "unauthorized"), RENEWING => WithoutReplaces, Internal;
    a_certificate_that_the_ca_cannot_find_is_not_named_again: problem(404, "malformed"), RENEWING => WithoutReplaces, Internal;
    a_profile_that_was_withdrawn_is_not_asked_for_again: problem(400, "invalidProfile"), RENEWING => WithoutProfile, Internal;
    a_profile_that_nobody_asked_for_is_an_operator_s: problem(400, "invalidProfile"), PLACING => NeedsOperator, Internal;
    a_compound_problem_is_as_bad_as_its_first_part: compound("caa"), PLACING => Refused, CaaForbids;
    a_caa_record_against_us_is_its_owner_s: problem(403, "caa"), PLACING => Refused, CaaForbids;
}

// At an order that was stored, or a part of it.
rows! {
    an_order_that_the_ca_does_not_know_is_placed_anew: problem(404, "malformed"), Stage::StoredUrl => NewOrder, Internal;
    a_challenge_that_was_answered_before_is_looked_at: problem(400, "malformed"), Stage::Answer => Retry, Internal;
}

// At the CSR.
rows! {
    an_order_that_is_not_ready_is_looked_at: problem(403, "orderNotReady"), FINALIZE => LookAtOrder, Internal;
    a_refused_request_gets_a_new_key: problem(400, "badCSR"), FINALIZE => NewKey, Internal;
    a_refused_key_is_never_offered_again: problem(400, "badPublicKey"), FINALIZE => NewKey, Internal;
    a_profile_withdrawn_before_the_end_is_not_asked_for_again: problem(400, "invalidProfile"), Stage::Finalize { profile: true } => WithoutProfile, Internal;
    a_profile_refused_at_the_end_that_nobody_is_known_to_have_asked_for_needs_a_new_order: problem(400, "invalidProfile"), FINALIZE => NewOrder, Internal;
    a_caa_record_seen_late_is_its_owner_s: problem(403, "caa"), FINALIZE => Refused, CaaForbids;
    a_name_server_that_fails_late_is_its_owner_s: problem(400, "dns"), FINALIZE => Refused, DnsServfail;
    a_name_rejected_late_is_not_offered_again: problem(400, "rejectedIdentifier"), FINALIZE => NameRejected, CaRejectedName;
}

// In a challenge: the authorization is spent whatever the reason, so that even the CA's own fault needs a new order.
rows! {
    a_web_server_that_cannot_be_reached_is_its_owner_s: problem(400, "connection"), HTTP => Refused, HttpUnreachable;
    a_web_server_without_tls_is_its_owner_s: problem(400, "tls"), HTTP => Refused, HttpUnreachable;
    name_servers_that_fail_are_their_owner_s: problem(400, "dns"), HTTP => Refused, DnsServfail;
    a_wrong_response_is_the_web_server_owner_s: problem(403, "unauthorized"), HTTP => Refused, HttpWrongResponse;
    an_incorrect_response_is_the_web_server_owner_s: problem(403, "incorrectResponse"), HTTP => Refused, HttpWrongResponse;
    a_caa_record_in_a_challenge_is_its_owner_s: problem(403, "caa"), HTTP => Refused, CaaForbids;
    an_error_inside_the_ca_in_a_challenge_needs_a_new_order: problem(500, "serverInternal"), HTTP => Refused, CaUnavailable;
    a_limit_in_a_challenge_needs_a_new_order: problem(429, "rateLimited"), HTTP => Refused, CaRateLimited;
    a_missing_txt_record_is_our_own_zone_s: problem(403, "unauthorized"), DNS => Refused, DnsNotPropagated;
    a_wrong_txt_record_is_our_own_zone_s: problem(403, "incorrectResponse"), DNS => Refused, DnsNotPropagated;
    a_txt_record_that_is_not_found_is_our_own_zone_s: problem(400, "dns"), DNS => Refused, DnsNotPropagated;
    a_zone_that_cannot_be_reached_is_a_matter_of_dns: problem(400, "connection"), DNS => Refused, DnsServfail;
    a_name_rejected_in_a_challenge_is_told_so: problem(400, "rejectedIdentifier"), DNS => Refused, CaRejectedName;
    a_compound_problem_in_a_challenge_is_as_bad_as_its_first_part: compound("caa"), DNS => Refused, CaaForbids;
}

// At a revocation; one that was made before is a success.
rows! {
    a_reason_that_the_ca_does_not_know_is_an_operator_s: problem(400, "badRevocationReason"), Stage::Revocation => NeedsOperator, Internal;
    a_revocation_by_another_account_is_an_operator_s: problem(403, "unauthorized"), Stage::Revocation => NeedsOperator, CaAccount;
    a_revocation_that_the_ca_is_too_busy_for_is_tried_again: problem(500, "serverInternal"), Stage::Revocation => Retry, CaUnavailable;
}

fn problem(status: u16, kind: &str) -> CaProblem {
    let body = format!(r#"{{"type":"urn:ietf:params:acme:error:{kind}","detail":"what the CA says"}}"#);
    CaProblem::from_body(status, body.as_bytes())
}

fn html(status: u16) -> CaProblem {
    CaProblem::from_body(status, b"<html>busy</html>")
}

fn compound(part: &str) -> CaProblem {
    let body = format!(
        r#"{{"type":"urn:ietf:params:acme:error:compound","detail":"several","subproblems":[
        {{"type":"urn:ietf:params:acme:error:{part}","detail":"no","identifier":{{"type":"dns","value":"a.example"}}}}]}}"#
    );
    CaProblem::from_body(403, body.as_bytes())
}

#[track_caller]
fn assert_reaction(stage: Stage, problem: &CaProblem, reaction: Reaction, code: ProblemCode) {
    assert_eq!(react(stage, problem), (reaction, code), "{stage:?} {problem}");
}
