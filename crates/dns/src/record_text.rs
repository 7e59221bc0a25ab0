//! Records as people read them in a zone file: printable, and at a bounded length.

use std::fmt::Write;

use hickory_proto::rr::RData;

use crate::name::{shortened, text};

/// More records than anybody wants to read of one name.
const MAX_RECORDS: usize = 8;

/// More of a value than anybody wants to read.
const MAX_VALUE: usize = 200;

/// The first few of `records`, sorted, so that the same ones make the same text in whatever order they came.
pub(crate) fn several(records: &[RData]) -> Vec<String> {
    let mut texts: Vec<_> = records.iter().map(one).collect();
    texts.sort();
    texts.truncate(MAX_RECORDS);
    texts
}

/// `A 192.0.2.1`, `TXT "xyz"` …
fn one(record: &RData) -> String {
    let value = match record {
        RData::CNAME(target) => text(&target.0),
        RData::NS(server) => text(&server.0),
        RData::TXT(texts) => quoted(&texts.txt_data.concat()),
        RData::A(address) => address.to_string(),
        RData::AAAA(address) => address.to_string(),
        other => shortened(&quoted(other.to_string().as_bytes()), MAX_VALUE),
    };
    format!("{} {value}", record.record_type())
}

/// Bytes as a quoted text (RFC 1035 section 5.1), cut where they are very many.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    const INFALLIBLE: &str = "a String takes all that is written to it";
    let mut text = String::from("\"");
    for byte in bytes {
        if text.len() > MAX_VALUE {
            text.push('…');
            break;
        }
        match byte {
            b'"' | b'\\' => write!(text, "\\{}", char::from(*byte)).expect(INFALLIBLE),
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => write!(text, "\\{byte:03}").expect(INFALLIBLE),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_cannot_be_seen_are_written_as_numbers_and_long_texts_are_cut() {
        assert_eq!(quoted(b"a \"b\"\\\x07\xff"), r#""a \"b\"\\\007\255""#);
        for long in [quoted("x".repeat(60_000).as_bytes()), quoted(&vec![7; 60_000])] {
            assert!(long.len() < MAX_VALUE + 10 && long.ends_with("…\""), "{long}");
        }
    }
}
