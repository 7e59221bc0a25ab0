//! Every look at DNS against a server that answers with anything: nothing panics, and what is told of it is short.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use certmill_model::{ChallengeKind, Hostname};
use hickory_proto::op::Message;
use proptest::prelude::*;
use tokio::{runtime::Runtime, time::Instant};

use crate::{
    CaaQuestion, Delegation, NameServer, Resolver, compare, testing::server, values_at, wait_until_visible,
};

/// What comes behind the question, with the counts of the three kinds of record.
type Tail = (u8, [u8; 3], Vec<u8>);

/// More than any text about a look needs: a chain of the longest names.
const MAX_TEXT: usize = 8_192;

/// A record to be: by which bytes its owner is named, its type, and its data.
fn record() -> impl Strategy<Value = Vec<u8>> {
    // The name in the question, by a pointer and in another case, and a name that answers lead to.
    let owner = prop_oneof![
        8 => Just(vec![0xC0, 12]),
        1 => Just(b"\x04LONG\x04test\x00".to_vec()),
        1 => Just(b"\x01y\x04test\x00".to_vec()),
    ];
    let name = prop_oneof![
        1 => Just(vec![0xC0, 12]),
        2 => Just(b"\x01x\x04ACME\x04test\x00".to_vec()),
        2 => Just(b"\x01y\x04test\x00".to_vec()),
        2 => (any::<u8>(), 1..63_u8).prop_map(|(byte, length)| {
            let mut label = vec![length];
            label.extend(vec![byte; length.into()]);
            label.extend([0xC0, 12]);
            label
        }),
    ];
    let value = prop_oneof![
        "(letsencrypt\\.org|ca\\.test|;|%)?(; ?(accounturi|validationmethods|a)=[ -~]{0,20}){0,3}"
            .prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..300),
    ];
    let caa = (any::<u8>(), "(issue|issuewild|iodef|new)", value)
        .prop_map(|(flags, tag, value)| [vec![flags, tag.len() as u8], tag.into_bytes(), value].concat());
    let text =
        prop::collection::vec(any::<u8>(), 0..255).prop_map(|text| [vec![text.len() as u8], text].concat());
    let data = prop_oneof![
        prop::collection::vec(any::<u8>(), 4..5).prop_map(|data| (1_u16, data)),
        prop::collection::vec(any::<u8>(), 16..17).prop_map(|data| (28, data)),
        name.clone().prop_map(|data| (5, data)),
        name.prop_map(|data| (2, data)),
        prop::collection::vec(text, 1..4).prop_map(|texts| (16, texts.concat())),
        caa.prop_map(|data| (257, data)),
        (0xFF00..0xFFFE_u16, prop::collection::vec(any::<u8>(), 0..40)),
    ];
    (owner, data).prop_map(|(owner, (kind, data))| {
        let length = (data.len() as u16).to_be_bytes();
        let head = [kind.to_be_bytes().as_slice(), &[0, 1, 0, 0, 0, 60], &length].concat();
        [owner, head, data].concat()
    })
}

/// Records that are nearly right, some of their bytes flipped; or bytes without any sense.
fn tail() -> impl Strategy<Value = Tail> {
    let flips = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    let flips = prop_oneof![4 => Just(Vec::new()), 1 => flips];
    let mutated = (prop::collection::vec(record(), 0..12), flips).prop_map(|(records, flips)| {
        let counts = [records.len() as u8, 0, 0];
        let mut bytes = records.concat();
        for (at, value) in flips.into_iter().filter(|_| !bytes.is_empty()).collect::<Vec<_>>() {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        (counts, bytes)
    });
    let senseless = (any::<[u8; 3]>(), prop::collection::vec(any::<u8>(), 0..600));
    let code = prop_oneof![16 => Just(0), 4 => Just(3), 1 => 0..16_u8];
    (code, prop_oneof![9 => mutated, 1 => senseless])
        .prop_map(|(code, (counts, bytes))| (code, counts, bytes))
}

/// An answer to `question`, with authority, and then `tail`.
fn answer(question: &Message, tail: &Tail) -> Vec<u8> {
    let mut question = question.clone();
    question.edns = None;
    let mut bytes = question.to_vec().unwrap();
    let (code, counts, records) = tail;
    bytes[2] = 0x84;
    bytes[3] = 0x80 | code;
    for (at, count) in [7, 9, 11].into_iter().zip(counts) {
        bytes[at] = *count;
    }
    [bytes, records.clone()].concat()
}

fn check_text(text: &str) {
    assert!(text.len() <= MAX_TEXT, "{} bytes", text.len());
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

async fn look_at_everything(address: SocketAddr) {
    let resolver = Resolver::new(vec![address]).unwrap();
    let name = Hostname::parse("long.test").unwrap();
    match resolver.addresses(&name).await {
        Ok(seen) => {
            assert!(seen.v4.len() <= 64 && seen.v6.len() <= 64 && seen.cname_chain.len() <= 10);
            let elsewhere = compare(&name, &seen, &["192.0.2.1".parse().unwrap()].into());
            check_text(&elsewhere.err().map(|error| format!("{error} {}", error.fix())).unwrap_or_default());
        }
        Err(error) => check_text(&error.to_string()),
    }
    match resolver.delegation(&name, "x.acme.test").await {
        Ok(Delegation::Right { chain, .. }) => assert!(chain.len() <= 10),
        Ok(Delegation::Wrong(wrong)) => check_text(&format!("{wrong} {}", wrong.fix())),
        Err(error) => check_text(&error.to_string()),
    }
    match resolver.caa(&name).await {
        Ok(records) => {
            for is_wildcard in [false, true] {
                let identities = ["letsencrypt.org".to_owned()];
                let method = ChallengeKind::Http01;
                let asked =
                    CaaQuestion { identities: &identities, is_wildcard, method, account_url: "https://a" };
                let error = records.permits(&asked).err();
                check_text(&error.map(|error| format!("{error} {}", error.fix())).unwrap_or_default());
            }
        }
        Err(error) => check_text(&error.to_string()),
    }
    match resolver.authoritative_servers(&name).await {
        Ok(servers) => assert!(servers.len() <= 16 * 8),
        Err(error) => check_text(&error.to_string()),
    }
}

async fn look_directly(address: SocketAddr) {
    let server = NameServer::new("ns1.test", address);
    if let Err(trouble) = values_at(&server, "long.test").await {
        check_text(&trouble.to_string());
    }
    let deadline = Instant::now() + Duration::from_millis(20);
    if let Err(error) = wait_until_visible(&[server], "long.test", &["value"], deadline).await {
        check_text(&error.to_string());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_answer_makes_a_look_panic_or_talk_without_end(tails in prop::collection::vec(tail(), 1..4)) {
        Runtime::new().unwrap().block_on(async {
            let turn = Arc::new(Mutex::new(0));
            let (address, _listener) = server(move |question| {
                let mut turn = turn.lock().unwrap();
                *turn += 1;
                vec![answer(&question, &tails[*turn % tails.len()])]
            })
            .await;
            let begin = Instant::now();
            look_at_everything(address).await;
            look_directly(address).await;
            assert!(begin.elapsed() < Duration::from_secs(60));
        });
    }
}
