//! The server's side of AWS Signature Version 4, from Amazon's description and from what is in the request:
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.

use std::collections::BTreeMap;

use aws_lc_rs::{digest, hmac};
use data_encoding::HEXLOWER;
use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use time::{Duration, OffsetDateTime, PrimitiveDateTime, macros::format_description};

/// What RFC 3986 calls unreserved stays.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The code and the message of the refusal, if the request is not signed by this key.
pub(super) fn verify(
    request: &Parts,
    body: &[u8],
    key_id: &str,
    secret: &str,
    now: OffsetDateTime,
) -> Result<(), (&'static str, String)> {
    let missing = || ("MissingAuthenticationToken", "Missing Authentication Token".to_owned());
    let header = |name: &str| request.headers.get(name).map(|value| value.to_str().unwrap());
    let authorization = header("authorization").and_then(|text| text.strip_prefix("AWS4-HMAC-SHA256 "));
    let parameters: BTreeMap<_, _> =
        authorization.ok_or_else(missing)?.split(", ").filter_map(|part| part.split_once('=')).collect();
    let (credential, signed, signature) =
        (parameters["Credential"], parameters["SignedHeaders"], parameters["Signature"]);
    let (id, scope) = credential.split_once('/').ok_or_else(missing)?;
    if id != key_id {
        return Err((
            "InvalidClientTokenId",
            "The security token included in the request is invalid.".to_owned(),
        ));
    }
    let names: Vec<&str> = signed.split(';').collect();
    assert!(names.is_sorted() && names.contains(&"host") && names.contains(&"x-amz-date"), "{signed}");
    let date = header("x-amz-date").ok_or_else(missing)?;
    assert_eq!(scope, format!("{}/us-east-1/route53/aws4_request", &date[..8]));
    check_date(date, now)?;

    let headers: Vec<_> =
        names.iter().map(|name| format!("{name}:{}\n", header(name).unwrap_or_default().trim())).collect();
    let canonical = [
        request.method.as_str(),
        &canonical_path(request.uri.path()),
        &canonical_query(request.uri.query().unwrap_or_default()),
        &headers.concat(),
        signed,
        &sha256(body),
    ]
    .join("\n");
    let text = ["AWS4-HMAC-SHA256", date, scope, &sha256(canonical.as_bytes())].join("\n");
    let key = scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, part| hmac(&key, part));
    if HEXLOWER.encode(&hmac(&key, &text)) == signature {
        return Ok(());
    }
    let words = "The request signature we calculated does not match the signature you provided.";
    Err(("SignatureDoesNotMatch", words.to_owned()))
}

fn check_date(date: &str, now: OffsetDateTime) -> Result<(), (&'static str, String)> {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let signed_at = PrimitiveDateTime::parse(date, format).unwrap().assume_utc();
    if now - signed_at > Duration::minutes(5) {
        return Err((
            "SignatureDoesNotMatch",
            format!("Signature expired: {date} is now earlier than it may be"),
        ));
    }
    if signed_at - now > Duration::minutes(5) {
        return Err((
            "SignatureDoesNotMatch",
            format!("Signature not yet current: {date} is still later than now"),
        ));
    }
    Ok(())
}

/// Encoded once more than in the request, for every service but S3.
fn canonical_path(path: &str) -> String {
    path.split('/')
        .map(|part| utf8_percent_encode(part, UNRESERVED).to_string())
        .collect::<Vec<_>>()
        .join("/")
}

fn canonical_query(query: &str) -> String {
    let encode = |text: &str| {
        let text = percent_decode_str(text).decode_utf8().unwrap().into_owned();
        utf8_percent_encode(&text, UNRESERVED).to_string()
    };
    let pairs = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut pairs: Vec<_> =
        pairs.map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.sort();
    pairs.join("&")
}

fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}
