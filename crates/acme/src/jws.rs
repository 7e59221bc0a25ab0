//! Signed requests (RFC 7515, RFC 8555 section 6.2) of the few kinds that the protocol library cannot make.

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{AccountKey, ExternalAccount, InvalidKey};

/// Who signs a request: a key, by itself or as that of an account.
pub(crate) struct Signer<'a> {
    pair: EcdsaKeyPair,
    account_url: Option<&'a str>,
}

impl<'a> Signer<'a> {
    /// A key that introduces itself.
    pub(crate) fn key(key: &AccountKey) -> Result<Self, InvalidKey> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.pkcs8());
        Ok(Self { pair: pair.map_err(|_| InvalidKey)?, account_url: None })
    }

    /// The key of the account with this URL.
    pub(crate) fn account(key: &AccountKey, url: &'a str) -> Result<Self, InvalidKey> {
        Ok(Self { account_url: Some(url), ..Self::key(key)? })
    }

    /// The public key as a JWK (RFC 7518 section 6.2).
    pub(crate) fn public_key(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        // 4 for "uncompressed", then both coordinates in full (SEC 1 section 2.3.3).
        let (x, y) = point[1..].split_at(32);
        json!({ "crv": "P-256", "kty": "EC", "x": encode(x), "y": encode(y) })
    }

    fn signature(&self, input: &str) -> String {
        let signature = self.pair.sign(&SystemRandom::new(), input.as_bytes());
        encode(signature.expect("a valid key signs").as_ref())
    }
}

/// The signed payload in its JSON form (RFC 7515 section 7.2.2). Without a nonce it is to be put into another.
pub(crate) fn sign(signer: &Signer<'_>, nonce: Option<&str>, url: &str, payload: &Value) -> Value {
    let mut protected = json!({ "alg": "ES256", "url": url });
    match signer.account_url {
        Some(account_url) => protected["kid"] = account_url.into(),
        None => protected["jwk"] = signer.public_key(),
    }
    if let Some(nonce) = nonce {
        protected["nonce"] = nonce.into();
    }
    assemble(&protected, payload, |input| signer.signature(input))
}

/// The external account's word that it belongs together with the key of `signer` (RFC 8555 section 7.3.4).
pub(crate) fn external_binding(external: &ExternalAccount, signer: &Signer<'_>, url: &str) -> Value {
    let protected = json!({ "alg": "HS256", "kid": external.key_id(), "url": url });
    assemble(&protected, &signer.public_key(), |input| hs256(external.hmac_key(), input))
}

fn assemble(protected: &Value, payload: &Value, signature: impl FnOnce(&str) -> String) -> Value {
    let (protected, payload) = (encode(protected.to_string()), encode(payload.to_string()));
    let signature = signature(&format!("{protected}.{payload}"));
    json!({ "protected": protected, "payload": payload, "signature": signature })
}

fn hs256(key: &[u8], input: &str) -> String {
    encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), input.as_bytes()))
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    /// The payload of RFC 7515 appendix A.
    const PAYLOAD: &str =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

    /// The key of RFC 7515 appendix A.3.
    const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
    const D: &str = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";

    fn decode(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    fn point() -> Vec<u8> {
        [vec![4], decode(X), decode(Y)].concat()
    }

    fn key_of_the_rfc() -> AccountKey {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &decode(D), &point()).unwrap();
        AccountKey::from_pkcs8(pair.to_pkcs8v1().unwrap().as_ref()).unwrap()
    }

    #[test]
    fn a_mac_is_that_of_the_rfc() {
        let key =
            decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow");
        let input = format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{PAYLOAD}");
        assert_eq!(hs256(&key, &input), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    }

    #[test]
    fn a_signature_holds_where_that_of_the_rfc_does() {
        let input = format!("eyJhbGciOiJFUzI1NiJ9.{PAYLOAD}");
        let of_the_rfc =
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        let ours = Signer::key(&key_of_the_rfc()).unwrap().signature(&input);
        for signature in [of_the_rfc, &ours] {
            let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point());
            key.verify(input.as_bytes(), &decode(signature)).unwrap();
        }
    }

    #[test]
    fn the_public_key_is_that_of_the_rfc() {
        let key = Signer::key(&key_of_the_rfc()).unwrap().public_key();
        assert_eq!(key, json!({ "kty": "EC", "crv": "P-256", "x": X, "y": Y }));
    }

    #[test]
    fn a_key_introduces_itself_and_an_account_is_named() {
        let key = key_of_the_rfc();
        let header = |signer: &Signer<'_>| -> Value {
            let signed = sign(signer, Some("n"), "https://ca.example/x", &json!({}));
            serde_json::from_slice(&decode(signed["protected"].as_str().unwrap())).unwrap()
        };
        let header_of_key = header(&Signer::key(&key).unwrap());
        assert_eq!(header_of_key["jwk"]["x"], X);
        assert_eq!(header_of_key.get("kid"), None);
        let header_of_account = header(&Signer::account(&key, "https://ca.example/account/1").unwrap());
        assert_eq!(header_of_account["kid"], "https://ca.example/account/1");
        assert_eq!(header_of_account.get("jwk"), None);
    }
}
