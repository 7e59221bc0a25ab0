//! The signature of a message.

use aws_lc_rs::hmac;
use data_encoding::BASE64;
use time::OffsetDateTime;

/// The value of `webhook-signature`: one signature for each of `keys`, so that a receiver that knows either takes it
/// (Standard Webhooks, "Signature scheme").
pub fn sign(keys: &[&[u8]], id: &str, at: OffsetDateTime, body: &str) -> String {
    let signed = format!("{id}.{}.{body}", at.unix_timestamp());
    let signatures = keys.iter().map(|key| {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes());
        format!("v1,{}", BASE64.encode(tag.as_ref()))
    });
    signatures.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the reference implementations.
    #[test]
    fn a_message_is_signed_as_the_standard_shows() {
        let key = BASE64.decode(b"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let at = OffsetDateTime::from_unix_timestamp(1_614_265_330).unwrap();
        let signature = sign(&[&key], "msg_p5jXN8AQM9LWM0D4loKWxJek", at, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn while_a_secret_is_replaced_both_sign() {
        let at = OffsetDateTime::UNIX_EPOCH;
        let both = sign(&[b"new", b"old"], "evt_1", at, "{}");
        let each = [sign(&[b"new"], "evt_1", at, "{}"), sign(&[b"old"], "evt_1", at, "{}")];
        assert_eq!(both, each.join(" "));
    }
}
