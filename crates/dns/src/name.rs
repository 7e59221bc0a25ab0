//! Names on their way in and out: from text into questions, and from hostile answers into text.

use hickory_proto::rr::Name;

use crate::LookupError;

/// The longest text that is made of a name in an answer: every host name fits, escaped bytes by the hundred do not.
const MAX_TEXT: usize = 255;

/// `text`, with or without the dot behind it, as a name that can be asked for.
pub(crate) fn parse(text: &str) -> Result<Name, LookupError> {
    let invalid = || LookupError::InvalidName { name: shortened(text, MAX_TEXT) };
    let full = format!("{}.", text.trim_end_matches('.'));
    match Name::from_ascii(full) {
        Ok(name) if name.len() <= Name::MAX_LENGTH => Ok(name),
        _ => Err(invalid()),
    }
}

/// In lower case, without the dot behind it, at a bounded length.
pub(crate) fn text(name: &Name) -> String {
    shortened(name.to_lowercase().to_ascii().trim_end_matches('.'), MAX_TEXT)
}

pub(crate) fn texts(names: &[Name]) -> Vec<String> {
    names.iter().map(text).collect()
}

/// The first `limit` characters.
pub(crate) fn shortened(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_fits_into_no_question_is_refused_and_not_asked_for() {
        let longest = format!("{}.{}", vec!["a".repeat(61); 4].join("."), "a".repeat(5));
        assert_eq!(longest.len(), 253);
        assert!(parse(&longest).is_ok());
        for text in ["a..test".to_owned(), ".test".to_owned(), format!("b{longest}"), "a".repeat(64)] {
            assert!(matches!(parse(&text), Err(LookupError::InvalidName { .. })), "{text}");
        }
        assert!(parse("_acme-challenge.shop.test.").is_ok());
    }

    #[test]
    fn a_name_of_arbitrary_bytes_is_shown_escaped_and_short() {
        let name =
            Name::from_labels([[0_u8, b'A', b'\n'].as_slice(), &[200; 63], &[7; 63], &[9; 63]]).unwrap();
        let text = text(&name);
        assert!(text.is_ascii() || text.ends_with('…'));
        assert!(text.chars().count() <= MAX_TEXT + 1 && text.chars().all(|c| !c.is_control()), "{text}");
    }
}
