//! What the CA says about the renewal of a certificate (RFC 9773).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use certmill_model::{Clock, RenewalAnswer, SuggestedWindow, in_utc};
use instant_acme::Error;
use serde::Deserialize;
use time::OffsetDateTime;
use x509_parser::extensions::ParsedExtension;

use crate::{
    Client,
    chain::{parse, read_chain},
    directory::is_web_url,
    exchange::{Note, noted},
    transport::TransportError,
};

/// The certificate's name in renewal information and in [`crate::PlaceOrder::replaces`] (RFC 9773 section 4.1), out of
/// its DER, or PEM that begins with it. `None` for a certificate that does not say which key has signed it, and for
/// what is no certificate.
pub fn certificate_id(certificate: impl AsRef<[u8]>) -> Option<String> {
    let certificate = certificate.as_ref();
    match std::str::from_utf8(certificate) {
        Ok(pem) if pem.trim_start().starts_with('-') => of_der(read_chain(pem).ok()?.first()?),
        _ => of_der(certificate),
    }
}

fn of_der(der: &[u8]) -> Option<String> {
    let certificate = parse(der).ok()?;
    let mut extensions = certificate.extensions().iter();
    let authority_key = extensions.find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(identifier) => identifier.key_identifier.as_ref(),
        _ => None,
    })?;
    // As it stands in the certificate: the zero that keeps a high bit from being a sign belongs to it.
    let serial = certificate.tbs_certificate.raw_serial();
    Some(format!("{}.{}", URL_SAFE_NO_PAD.encode(authority_key.0), URL_SAFE_NO_PAD.encode(serial)))
}

/// The answer (RFC 9773 section 4.2).
#[derive(Deserialize)]
struct RenewalInfoDocument {
    #[serde(rename = "suggestedWindow")]
    suggested_window: WindowDocument,
    // Whatever stands there, the window is good.
    #[serde(default, rename = "explanationURL")]
    explanation_url: serde_json::Value,
}

#[derive(Deserialize)]
struct WindowDocument {
    #[serde(with = "time::serde::rfc3339")]
    start: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    end: OffsetDateTime,
}

impl Client {
    /// Asks the CA when the certificate that [`certificate_id`] names should be renewed. Costs one request, not signed
    /// and without a nonce, which CAs hardly limit. A CA without renewal information is [`RenewalAnswer::Useless`].
    pub async fn renewal_info(&self, certificate_id: &str) -> RenewalAnswer {
        let Some(base) = &self.directory().renewal_info else { return RenewalAnswer::Useless };
        let url = format!("{}/{certificate_id}", base.trim_end_matches('/'));
        let (result, note) = noted(self.transport.get(&url)).await;
        understand(result.err(), &note, &*self.clock)
    }
}

fn understand(error: Option<Error>, note: &Note, clock: &dyn Clock) -> RenewalAnswer {
    let retry_after = note.wait(clock);
    match (error, note.status.map(|status| status.as_u16())) {
        (None, _) => window(&note.body, retry_after).unwrap_or(RenewalAnswer::Useless),
        (Some(_), Some(408 | 429 | 500..)) => RenewalAnswer::Busy { retry_after },
        (Some(error), None) if passes(&error) => RenewalAnswer::Busy { retry_after: None },
        _ => RenewalAnswer::Useless,
    }
}

fn window(body: &[u8], retry_after: Option<time::Duration>) -> Option<RenewalAnswer> {
    let document: RenewalInfoDocument = serde_json::from_slice(body).ok()?;
    let WindowDocument { start, end } = document.suggested_window;
    let window = SuggestedWindow::new(credible(start)?, credible(end)?).ok()?;
    let explanation_url = document.explanation_url.as_str().filter(|url| is_web_url(url)).map(str::to_owned);
    Some(RenewalAnswer::Window { window, explanation_url, retry_after })
}

/// In UTC; `None` for a year that no certificate lives in.
fn credible(at: OffsetDateTime) -> Option<OffsetDateTime> {
    in_utc(at).filter(|at| at.year() >= 1970)
}

/// Whether there was no answer because of something that passes by itself.
fn passes(error: &Error) -> bool {
    let Error::Other(source) = error else { return false };
    let failure = source.downcast_ref();
    matches!(
        failure,
        Some(TransportError::TimedOut(_) | TransportError::Unreachable(_) | TransportError::BrokenOff(_))
    )
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SerialNumber};

    use super::*;

    /// RFC 9773, appendix A.
    const EXAMPLE: &str = "-----BEGIN CERTIFICATE-----
MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt
cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS
BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu
7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf
qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B
yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb
+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK
-----END CERTIFICATE-----
";

    #[test]
    fn the_example_of_the_rfc_has_the_name_that_the_rfc_gives_it() {
        let name = Some("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE".to_owned());
        assert_eq!(certificate_id(EXAMPLE), name);
        assert_eq!(certificate_id(&read_chain(EXAMPLE).unwrap()[0]), name);
    }

    #[test]
    fn a_certificate_that_names_no_authority_has_no_name() {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from_slice(&[0x87, 1]));
        let certificate = params.self_signed(&key).unwrap();
        assert_eq!(certificate_id(certificate.der()), None);
        for bad in ["", "-", "-----BEGIN CERTIFICATE-----\n", "hello"] {
            assert_eq!(certificate_id(bad), None, "{bad:?}");
        }
    }
}
