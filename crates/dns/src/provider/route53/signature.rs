//! AWS Signature Version 4:
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.

use std::fmt::Write;

use aws_lc_rs::{
    digest,
    hmac::{self, HMAC_SHA256},
};
use time::{OffsetDateTime, format_description::StaticFormatDescription, macros::format_description};

/// Route 53 is in no region; requests are signed for this one.
const SCOPE: &str = "us-east-1/route53/aws4_request";

const DATE_TIME: StaticFormatDescription = format_description!("[year][month][day]T[hour][minute][second]Z");

/// What is asked. The path and the query are in the canonical form already: percent-encoded, the query in order.
pub(super) struct Question<'a> {
    pub(super) method: &'a str,
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) body: &'a [u8],
}

/// Who asks.
pub(super) struct Key<'a> {
    pub(super) id: &'a str,
    pub(super) secret: &'a str,
}

/// The headers that say who asks, beside `Host`.
pub(super) struct Signature {
    /// `X-Amz-Date`
    pub(super) date: String,
    pub(super) authorization: String,
}

pub(super) fn sign(question: &Question<'_>, key: &Key<'_>, now: OffsetDateTime) -> Signature {
    let now = now.to_offset(time::UtcOffset::UTC);
    let date = now.format(DATE_TIME).expect("every instant has a date and a time");
    let (day, _) = date.split_at(8);
    let Question { method, host, path, query, body } = question;
    let canonical = format!(
        "{method}\n{path}\n{query}\nhost:{host}\nx-amz-date:{date}\n\nhost;x-amz-date\n{}",
        hex(digest::digest(&digest::SHA256, body).as_ref())
    );
    let scope = format!("{day}/{SCOPE}");
    let hash = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hash}");
    let signature = hex(hmac_sha256(&signing_key(key.secret, day), &text).as_ref());
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders=host;x-amz-date, Signature={signature}",
        key.id
    );
    Signature { date, authorization }
}

/// The secret, bound to the day and to what it may be used for.
fn signing_key(secret: &str, day: &str) -> Vec<u8> {
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [day].into_iter().chain(SCOPE.split('/')) {
        key = hmac_sha256(&key, part).as_ref().to_vec();
    }
    key
}

fn hmac_sha256(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(HMAC_SHA256, key), text.as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all that is written to it");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compared with what the crate aws-sigv4 1.x makes of the same requests.
    #[test]
    fn the_signature_is_the_one_that_amazon_s_own_code_makes() {
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        let key = Key { id: "AKIDEXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" };
        let path = "/2013-04-01/hostedzone/Z1D633PJN98FT9/rrset";
        let list = "maxitems=1&name=k7.acme.example&type=TXT";
        let requests = [
            ("GET", list, "", "2a0167945a98d757fa81f39efb8d4f370415711d7d4e85c8d127c8d20c1a2f06"),
            ("POST", "", "<a>\"x\"</a>", "a5af103fa0d730ed67c638f247faeda218aff49ea103ea2eeaa78637e9aa7a8c"),
        ];
        for (method, query, body, expected) in requests {
            let host = "route53.amazonaws.com";
            let signature = sign(&Question { method, host, path, query, body: body.as_bytes() }, &key, now);
            assert_eq!(signature.date, "20270115T080000Z");
            let credential = "AKIDEXAMPLE/20270115/us-east-1/route53/aws4_request";
            let headers = format!(
                "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host;x-amz-date, Signature={expected}"
            );
            assert_eq!(signature.authorization, headers);
        }
    }
}
