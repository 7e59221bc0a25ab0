use hickory_proto::{
    op::{MessageType, OpCode},
    rr::{
        Name, TSigner,
        rdata::tsig::{TsigAlgorithm, make_tsig_record},
    },
};
use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_800_000_000;

fn signer(secret: &[u8]) -> TSigner {
    let name = Name::from_ascii("acme.").unwrap();
    TSigner::new(secret.to_vec(), TsigAlgorithm::HmacSha256, name, 300).unwrap()
}

fn verifier() -> TSigVerifier {
    let mut question = Message::query();
    question.finalize(&signer(b"ours"), NOW).unwrap().unwrap()
}

fn judge(answer: &Message) -> Result<(), ProviderError> {
    read(&answer.to_vec().unwrap(), verifier(), &asked())
}

fn asked() -> Asked<'static> {
    Asked {
        server: "192.0.2.53:53".parse().unwrap(),
        key: "acme (hmac-sha256)",
        name: "k7.acme.example",
        time: NOW.cast_signed(),
    }
}

fn answer(code: ResponseCode) -> Message {
    let mut answer = Message::new(7, MessageType::Response, OpCode::Update);
    answer.metadata.response_code = code;
    answer
}

fn with_tsig_error(error: TsigError, other: Vec<u8>) -> Message {
    let mut answer = answer(ResponseCode::NotAuth);
    let tsig = TSIG::new(TsigAlgorithm::HmacSha256, NOW, 300, Vec::new(), 7, Some(error), other);
    answer.set_signature(Box::new(make_tsig_record(Name::from_ascii("acme.").unwrap(), tsig)));
    answer
}

fn setting(result: Result<(), ProviderError>) -> &'static str {
    match result.unwrap_err() {
        ProviderError::Settings { setting, .. } => setting,
        ProviderError::Retry { detail, .. } => panic!("{detail}"),
    }
}

#[test]
fn each_refusal_names_the_setting_that_is_to_be_mended() {
    assert_eq!(setting(judge(&with_tsig_error(TsigError::BadKey, Vec::new()))), "key_name");
    assert_eq!(setting(judge(&with_tsig_error(TsigError::BadSig, Vec::new()))), "secret");
    assert_eq!(setting(judge(&with_tsig_error(TsigError::BadTrunc, Vec::new()))), "algorithm");
    assert_eq!(setting(judge(&answer(ResponseCode::NotAuth))), "zone");
    assert_eq!(setting(judge(&answer(ResponseCode::NotZone))), "zone");
    assert_eq!(setting(judge(&answer(ResponseCode::Refused))), "key_name");
    assert_eq!(setting(judge(&answer(ResponseCode::NotImp))), "server");
    assert!(matches!(judge(&answer(ResponseCode::ServFail)), Err(ProviderError::Retry { .. })));
}

#[test]
fn clocks_that_are_apart_are_named_with_the_difference() {
    let theirs = (NOW + 4_000).to_be_bytes()[2..].to_vec();
    let error = judge(&with_tsig_error(TsigError::BadTime, theirs)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the clocks of this machine and of 192.0.2.53:53 are 4000 s apart (BADTIME)"
    );
}

#[test]
fn success_counts_only_with_a_signature_by_our_key() {
    assert_eq!(setting(judge(&answer(ResponseCode::NoError))), "server");
    let mut forged = answer(ResponseCode::NoError);
    forged.finalize(&signer(b"theirs"), NOW).unwrap();
    assert!(matches!(judge(&forged), Err(ProviderError::Retry { .. })));
}

proptest! {
    #[test]
    fn no_answer_makes_us_panic_or_believe(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(read(&bytes, verifier(), &asked()).is_err());
    }

    #[test]
    fn no_mutilated_answer_makes_us_panic_or_believe(at in 0_usize..200, byte in any::<u8>(), cut in 0_usize..200) {
        let mut answer = answer(ResponseCode::NoError);
        answer.finalize(&signer(b"theirs"), NOW).unwrap();
        let mut bytes = answer.to_vec().unwrap();
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(cut.max(12));
        prop_assert!(read(&bytes, verifier(), &asked()).is_err());
    }
}
