//! What a server says to a signed update.

use std::net::SocketAddr;

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{
        TSigVerifier,
        rdata::tsig::{TSIG, TsigError},
    },
};

use crate::provider::ProviderError;

/// What an answer is about.
pub(super) struct Asked<'a> {
    pub(super) server: SocketAddr,
    /// The key's name and algorithm.
    pub(super) key: &'a str,
    /// The record's name.
    pub(super) name: &'a str,
    /// Seconds since 1970.
    pub(super) time: i64,
}

/// Tells success, which counts only when it is signed, from each kind of refusal.
pub(super) fn read(bytes: &[u8], mut verifier: TSigVerifier, asked: &Asked<'_>) -> Result<(), ProviderError> {
    let server = asked.server;
    let Ok(answer) = Message::from_vec(bytes) else {
        return Err(ProviderError::retry(format!("the answer of {server} cannot be read")));
    };
    let tsig = answer.signature().map(|signature| &signature.data);
    if let Some((tsig, error)) = tsig.and_then(|tsig| Some((tsig, tsig.error?))) {
        return Err(signature_refused(error, tsig, asked));
    }
    // Refusals may be unsigned, also by RFC 8945 section 5.3.2.
    if answer.response_code != ResponseCode::NoError {
        return Err(update_refused(answer.response_code, asked));
    }
    if tsig.is_none() {
        return Err(ProviderError::settings("server", format!("the answer of {server} is not signed")));
    }
    let forged = |_| {
        ProviderError::retry(format!(
            "the answer of {server} is not signed with the key that it was asked with"
        ))
    };
    verifier.verify(bytes).map(drop).map_err(forged)
}

/// RFC 8945 section 5.2: the server could not verify our signature.
fn signature_refused(error: TsigError, tsig: &TSIG, asked: &Asked<'_>) -> ProviderError {
    let Asked { server, key, .. } = asked;
    match error {
        TsigError::BadKey => {
            let detail =
                format!("{server} has no key {key} (BADKEY); name and algorithm must both be the server's");
            ProviderError::settings("key_name", detail)
        }
        TsigError::BadSig => {
            let detail = format!("{server} has another secret for the key {key} (BADSIG)");
            ProviderError::settings("secret", detail)
        }
        TsigError::BadTime => ProviderError::retry(format!(
            "the clocks of this machine and of {server} are {} apart (BADTIME)",
            clock_difference(tsig, asked.time)
        )),
        TsigError::BadTrunc => ProviderError::settings(
            "algorithm",
            format!("{server} does not take signatures of {key} (BADTRUNC)"),
        ),
        TsigError::Unknown(code) => {
            ProviderError::retry(format!("{server} refuses the signature of {key} with TSIG error {code}"))
        }
    }
}

/// RFC 2136 section 2.2, RFC 8945 section 5.2.
fn update_refused(code: ResponseCode, asked: &Asked<'_>) -> ProviderError {
    let Asked { server, key, name, .. } = asked;
    match code {
        ResponseCode::NotAuth => ProviderError::settings(
            "zone",
            format!("{server} is not the primary server of this zone (NOTAUTH)"),
        ),
        ResponseCode::NotZone => {
            ProviderError::settings("zone", format!("{server} does not find {name} in this zone (NOTZONE)"))
        }
        ResponseCode::Refused => {
            let detail = format!("{server} does not let the key {key} write TXT records at {name} (REFUSED)");
            ProviderError::settings("key_name", detail)
        }
        ResponseCode::FormErr | ResponseCode::NotImp => {
            ProviderError::settings("server", format!("{server} does not take updates ({code})"))
        }
        code => ProviderError::retry(format!("{server} fails to update {name} ({code})")),
    }
}

/// The server's time is the 48 bits of "other data" (RFC 8945 section 5.2.3).
fn clock_difference(tsig: &TSIG, ours: i64) -> String {
    let bytes: Option<[u8; 6]> = tsig.other.as_slice().try_into().ok();
    let theirs = bytes.map(|bytes| bytes.iter().fold(0, |time, byte| (time << 8) | i64::from(*byte)));
    match theirs {
        Some(theirs) => format!("{} s", theirs.abs_diff(ours)),
        None => format!("more than {} s", tsig.fudge),
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
