//! Short texts that people and programs give: capped, without control characters.

use std::fmt;

/// A short text from outside (a shop's id in the commerce system, a name of a token): 1 to 200 characters, none of
/// them a control or bidirectional-override character, no white space at the ends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Label(String);

/// Why a text is no [`Label`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidText {
    /// Nothing, or only white space at an end.
    #[error("it is empty or begins or ends with white space")]
    EmptyOrPadded,
    /// More than 200 characters.
    #[error("it has more than {} characters", Label::MAX)]
    TooLong,
    /// A character that does not print, or turns the direction of writing.
    #[error("it contains a character that cannot be shown (U+{0:04X})")]
    Unprintable(u32),
}

impl Label {
    const MAX: usize = 200;

    /// Parses a text from outside.
    pub fn parse(input: &str) -> Result<Self, InvalidText> {
        if input.is_empty() || input.trim() != input {
            return Err(InvalidText::EmptyOrPadded);
        }
        if input.chars().count() > Self::MAX {
            return Err(InvalidText::TooLong);
        }
        match input.chars().find(|c| is_unprintable(*c)) {
            Some(c) => Err(InvalidText::Unprintable(c.into())),
            None => Ok(Self(input.to_owned())),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text from anywhere as one line that can be shown: what does not print becomes a space, and what is longer than `longest`
/// characters is cut.
pub fn one_line(text: &str, longest: usize) -> String {
    let shown: String = text.chars().map(|c| if is_unprintable(c) { ' ' } else { c }).collect();
    let line = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(longest) {
        None => line,
        Some(_) => line.chars().take(longest.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// Controls, line separators, zero-width and bidirectional formatting characters, the byte order mark, tags.
pub(crate) fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_keeps_what_prints_and_nothing_else() {
        assert_eq!(one_line(" a\r\nBcc: x\u{202e}\0y ", 99), "a Bcc: x y");
        assert_eq!(one_line("Läden über alles", 6), "Läden…");
        assert_eq!(one_line("Läden", 5), "Läden");
    }

    #[test]
    fn a_label_takes_any_script_but_nothing_invisible() {
        assert_eq!(Label::parse("Läden 北").unwrap().as_str(), "Läden 北");
        assert_eq!(Label::parse("a\r\nBcc: x"), Err(InvalidText::Unprintable(13)));
        assert_eq!(Label::parse("a\u{202e}b"), Err(InvalidText::Unprintable(0x202e)));
        assert_eq!(Label::parse(&"x".repeat(201)), Err(InvalidText::TooLong));
        assert_eq!(Label::parse(" a"), Err(InvalidText::EmptyOrPadded));
    }
}
