//! Certificate chains as CAs send them (RFC 8555 section 9.1).

use base64::{Engine, engine::general_purpose::STANDARD};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::WrongCertificate;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The most certificates of a chain.
const MOST: usize = 10;

/// The longest certificate in DER, in bytes: one with 100 long names fits.
const LONGEST: usize = 36_500;

/// Takes a chain apart, leaf first, as DER. Nothing but `CERTIFICATE` blocks and white space may be in it.
pub(crate) fn read_chain(pem: &str) -> Result<Vec<Vec<u8>>, WrongCertificate> {
    let mut chain = Vec::new();
    let mut block: Option<String> = None;
    for line in pem.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match (&mut block, line) {
            (None, BEGIN) => block = Some(String::new()),
            (Some(text), END) => {
                chain.push(decode(text)?);
                block = None;
            }
            (Some(text), line) if !line.starts_with("-----") => text.push_str(line),
            _ => return Err(WrongCertificate::NotAChain),
        }
        if chain.len() > MOST {
            return Err(WrongCertificate::TooLarge);
        }
    }
    if chain.is_empty() || block.is_some() {
        return Err(WrongCertificate::NotAChain);
    }
    Ok(chain)
}

/// The chain as PEM of one form, whatever line ends and lengths the CA used.
pub(crate) fn write_chain(chain: &[Vec<u8>]) -> String {
    let mut pem = String::new();
    for der in chain {
        pem.push_str(BEGIN);
        pem.push('\n');
        let text = STANDARD.encode(der);
        for line in text.as_bytes().chunks(64) {
            pem.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
            pem.push('\n');
        }
        pem.push_str(END);
        pem.push('\n');
    }
    pem
}

/// Reads one certificate, which must fill its bytes.
pub(crate) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, WrongCertificate> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(WrongCertificate::NotAChain),
    }
}

fn decode(text: &str) -> Result<Vec<u8>, WrongCertificate> {
    if text.len() > LONGEST * 4 / 3 + 4 {
        return Err(WrongCertificate::TooLarge);
    }
    STANDARD.decode(text).map_err(|_| WrongCertificate::NotAChain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_comes_back_from_its_pem() {
        let chain = vec![vec![7; 100], vec![8; 3]];
        let pem = write_chain(&chain);
        assert!(pem.lines().all(|line| line.len() <= 64));
        assert_eq!(read_chain(&pem).unwrap(), chain);
        assert_eq!(read_chain(&pem.replace('\n', "\r\n\n")).unwrap(), chain);
    }

    #[test]
    fn anything_beside_certificates_is_refused() {
        let good = write_chain(&[vec![7; 100]]);
        let key = good.replace("CERTIFICATE", "PRIVATE KEY");
        for bad in [
            String::new(),
            format!("{good}{key}"),
            format!("hello\n{good}"),
            good.replace(END, ""),
            good.replace("Bwc", "B!c"),
            format!("{BEGIN}\n{good}"),
        ] {
            assert!(matches!(read_chain(&bad), Err(WrongCertificate::NotAChain)), "{bad}");
        }
    }

    #[test]
    fn chains_beyond_all_measure_are_refused() {
        let long = write_chain(&vec![vec![7; 10]; MOST + 1]);
        assert!(matches!(read_chain(&long), Err(WrongCertificate::TooLarge)));
        let large = write_chain(&[vec![7; LONGEST + 100]]);
        assert!(matches!(read_chain(&large), Err(WrongCertificate::TooLarge)));
    }
}
