//! What of a CA's words is for whom.

use serde_json::{Map, Value};

/// The part of a CA's problem document (RFC 8555 section 6.7) that a tenant may see: which kind of problem it is, about which
/// name, and the words, unless they hold an address. A page that a CA names may act for the platform's whole account, by
/// nothing but its address.
pub fn told_to_tenants(problem: &Value) -> Value {
    let mut told = Map::new();
    for member in ["type", "status", "identifier"] {
        if let Some(value) = problem.get(member) {
            told.insert(member.to_owned(), value.clone());
        }
    }
    if let Some(detail) = problem.get("detail").filter(|detail| !holds_address(detail)) {
        told.insert("detail".to_owned(), detail.clone());
    }
    if let Some(parts) = problem.get("subproblems").and_then(Value::as_array) {
        told.insert("subproblems".to_owned(), parts.iter().map(told_to_tenants).collect());
    }
    Value::Object(told)
}

fn holds_address(detail: &Value) -> bool {
    detail.as_str().is_none_or(|text| text.contains("://") || text.contains("www."))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tenant_sees_the_words_and_no_page_of_the_account() {
        let whole = json!({
            "type": "urn:ietf:params:acme:error:compound", "status": 403, "instance": "https://ca.test/agree?jwt=1",
            "detail": "Paused: see https://ca.test/unpause?jwt=1", "help": "https://ca.test/help",
            "subproblems": [{"type": "urn:ietf:params:acme:error:caa", "detail": "CAA record for a.de prevents issuance",
                             "identifier": {"type": "dns", "value": "a.de"}, "url": "https://ca.test/authz/1"}],
        });
        assert_eq!(
            told_to_tenants(&whole),
            json!({
                "type": "urn:ietf:params:acme:error:compound", "status": 403,
                "subproblems": [{"type": "urn:ietf:params:acme:error:caa", "detail": "CAA record for a.de prevents issuance",
                                 "identifier": {"type": "dns", "value": "a.de"}}],
            })
        );
    }
}
